-- The schedule whose runs alone a webhook is told of; NULL for all exports of its creator. Deleting a schedule deletes its
-- webhooks.
ALTER TABLE webhook ADD COLUMN schedule BIGINT;
