-- Bytes of the list that is kept of what an import could not read; null if none is.
ALTER TABLE job ADD COLUMN rejects_bytes BIGINT;
