-- Who judged a run: a JSON list of names, NULL if nobody did, as in `conversation`. It takes the place of who corrected its
-- answer, and is read from the bodies of these runs when the store is first opened.
ALTER TABLE run ADD COLUMN judges TEXT;
UPDATE run SET models = NULL WHERE corrected_by IS NOT NULL;
DROP INDEX run_corrected;
ALTER TABLE run DROP COLUMN corrected_by;
CREATE INDEX run_judged ON run (project, key) WHERE judges IS NOT NULL;
