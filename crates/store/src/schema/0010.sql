-- Several workers make the parts of one export. What they share is known once `prepared` is there. A worker that takes
-- a part has it until `lease_until` as its `attempt`, and says how far it is. Results of before counted all parts up to
-- theirs: what has not ended begins again.
ALTER TABLE job ADD COLUMN prepared TEXT;
ALTER TABLE job_shard ADD COLUMN attempt BIGINT NOT NULL DEFAULT 0;
ALTER TABLE job_shard ADD COLUMN lease_until BIGINT;
ALTER TABLE job_shard ADD COLUMN bytes_done BIGINT NOT NULL DEFAULT 0;
ALTER TABLE job_shard ADD COLUMN records BIGINT NOT NULL DEFAULT 0;
DELETE FROM job_left_out WHERE job IN (SELECT id FROM job WHERE dataset IS NULL);
UPDATE job_shard SET result = NULL WHERE result IS NOT NULL;
