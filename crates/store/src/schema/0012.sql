-- More columns for filters of conversations: tokens, the lowest and the highest score in millionths, and the language. They
-- are read from the bodies when the store is first opened.
ALTER TABLE conversation ADD COLUMN tokens BIGINT;
ALTER TABLE conversation ADD COLUMN least_score BIGINT;
ALTER TABLE conversation ADD COLUMN most_score BIGINT;
ALTER TABLE conversation ADD COLUMN language TEXT;
UPDATE conversation SET marks = NULL WHERE body <> 0;
