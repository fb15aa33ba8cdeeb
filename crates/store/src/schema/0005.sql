-- A name is proved before it matches the owners of items, and what someone made ends with the role that let them.

-- `proved`: the operator or a provider of identities vouched for the name. `confirmed`: the person has come by a
-- one-time link or a provider, so no password or session of someone else is left.
ALTER TABLE person ADD COLUMN proved BIGINT NOT NULL DEFAULT 0;
ALTER TABLE person ADD COLUMN confirmed BIGINT NOT NULL DEFAULT 0;
UPDATE person SET proved = 1, confirmed = 1 WHERE id IN (SELECT person FROM identity);
UPDATE person SET proved = 1 WHERE name = 'local';

-- `proved`: an admin of the project vouched for the name there.
ALTER TABLE membership ADD COLUMN proved BIGINT NOT NULL DEFAULT 0;
UPDATE membership SET proved = 1;

-- A sign-in through a provider that waits for the person to say that an account is theirs.
CREATE TABLE pending_identity (
    secret {bytes} PRIMARY KEY,
    issuer TEXT NOT NULL,
    subject TEXT NOT NULL,
    person BIGINT NOT NULL REFERENCES person (id),
    takes_password BIGINT NOT NULL,
    expires_at BIGINT NOT NULL
){clustered};

-- Who made it; none is whoever holds the store.
ALTER TABLE invitation ADD COLUMN person BIGINT;
UPDATE invitation SET person = (SELECT p.id FROM person p WHERE p.name = invitation.creator)
    WHERE creator <> 'local';
DELETE FROM invitation WHERE person IS NULL AND creator <> 'local';

-- `person` as above. `needs` is the role that it takes: an admin's where it holds what others own.
ALTER TABLE job ADD COLUMN person BIGINT;
ALTER TABLE job ADD COLUMN needs TEXT NOT NULL DEFAULT 'member';
ALTER TABLE dataset ADD COLUMN needs TEXT NOT NULL DEFAULT 'member';
UPDATE job SET person = (SELECT p.id FROM person p WHERE p.name = job.creator) WHERE creator <> 'local';
UPDATE job SET needs = 'admin' WHERE kind = 'export' AND (items = 'document'
    OR EXISTS (SELECT 1 FROM job_item i JOIN conversation c ON c.key = i.item
        WHERE i.job = job.id AND c.status <> 3 AND (c.owner IS NULL OR c.owner <> job.creator))
    OR EXISTS (SELECT 1 FROM job_item i JOIN run c ON c.key = i.item
        WHERE i.job = job.id AND c.status <> 3 AND (c.owner IS NULL OR c.owner <> job.creator)));
UPDATE dataset SET needs = 'admin' WHERE job IN (SELECT j.id FROM job j WHERE j.needs = 'admin');

-- Links are known by the SHA-256 of their secret; `closed`: their maker lost the role, and nobody has kept them open.
ALTER TABLE share RENAME TO share_in_clear;
DROP INDEX share_conversation;
DROP INDEX share_list;
CREATE TABLE share (
    id {key},
    project BIGINT NOT NULL REFERENCES project (id),
    conversation BIGINT NOT NULL REFERENCES conversation (key),
    secret {bytes} NOT NULL UNIQUE,
    creator TEXT NOT NULL,
    person BIGINT,
    closed BIGINT NOT NULL DEFAULT 0,
    password TEXT,
    shows BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT
);
CREATE INDEX share_conversation ON share (conversation);
CREATE INDEX share_list ON share (project, id);
