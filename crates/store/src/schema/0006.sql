-- Whose an item is, who imported it, and who sees it. `owner` is whom the source or the importer names; `importer` is
-- who imported it; `holder` is the person who sees it as a member: the owner, or the importer where there is none.
-- `space` is empty for what admins and owners import. What a member imports has their name there, so that nobody learns
-- from an import which ids others have, and nobody can take an id from others.
ALTER TABLE conversation ADD COLUMN importer TEXT;
ALTER TABLE conversation ADD COLUMN holder TEXT;
ALTER TABLE conversation ADD COLUMN space TEXT NOT NULL DEFAULT '';
UPDATE conversation SET holder = owner;
DROP INDEX conversation_owner;
DROP INDEX conversation_owner_updated;
CREATE INDEX conversation_holder ON conversation (project, holder, created_at, key, status, kind)
    WHERE holder IS NOT NULL;
CREATE INDEX conversation_holder_updated ON conversation (project, holder, updated_at, key, status, kind)
    WHERE holder IS NOT NULL;

ALTER TABLE run ADD COLUMN importer TEXT;
ALTER TABLE run ADD COLUMN holder TEXT;
ALTER TABLE run ADD COLUMN space TEXT NOT NULL DEFAULT '';
UPDATE run SET holder = owner;
DROP INDEX run_owner;
CREATE INDEX run_holder ON run (project, holder, started_at, key, status, marks, variant, flow, finished_at)
    WHERE holder IS NOT NULL;

-- Documents are a project's, so no member holds one.
ALTER TABLE document ADD COLUMN importer TEXT;
ALTER TABLE document ADD COLUMN holder TEXT;
