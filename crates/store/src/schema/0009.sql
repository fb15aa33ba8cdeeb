-- The dataset in whose place an export puts its own.
ALTER TABLE job ADD COLUMN replaces BIGINT;
