-- The tools that a conversation calls, as a list like `models`, and the words of each conversation as an index (see
-- `words.rs`), in place of the index of titles and tags. Both are read from the bodies when the store is first opened.
ALTER TABLE conversation ADD COLUMN tools TEXT;
UPDATE conversation SET marks = NULL WHERE body <> 0;
