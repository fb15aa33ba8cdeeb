-- Until when a process works on an erasure that is under way, so that another goes on with it if that one was killed.
ALTER TABLE erasure ADD COLUMN lease_until BIGINT;

-- Who corrected the answer of a run. It is read from the bodies when the store is first opened.
ALTER TABLE run ADD COLUMN corrected_by TEXT;
UPDATE run SET models = NULL WHERE body <> 0;
CREATE INDEX run_corrected ON run (project, corrected_by) WHERE corrected_by IS NOT NULL;

-- The conversations that someone judged.
CREATE INDEX conversation_judged ON conversation (project, key) WHERE judges IS NOT NULL;
