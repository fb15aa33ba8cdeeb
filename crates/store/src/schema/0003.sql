-- Conversations, runs and documents are items. Their numbers are given out by one counter, so that the number of an
-- item says which one it is, whatever its kind.

UPDATE counter SET name = 'item' WHERE name = 'conversation';

-- `items` is the kind of what an export is of.
ALTER TABLE job ADD COLUMN items TEXT NOT NULL DEFAULT 'conversation';

ALTER TABLE job_item RENAME COLUMN conversation TO item;
DROP INDEX job_item_conversation;
CREATE INDEX job_item_item ON job_item (item, job);
