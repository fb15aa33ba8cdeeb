-- What filters ask of a conversation beyond its own fields (`Features`): messages of the user, calls of tools, bits, and
-- a list of models. They are null until they are read from the body.
ALTER TABLE conversation ADD COLUMN turns BIGINT;
ALTER TABLE conversation ADD COLUMN calls BIGINT;
ALTER TABLE conversation ADD COLUMN marks BIGINT;
ALTER TABLE conversation ADD COLUMN models TEXT;
UPDATE conversation SET marks = 0 WHERE status = 3;
CREATE INDEX conversation_unread ON conversation (key) WHERE marks IS NULL;
