-- Lists of conversations are sorted by title, turns, tokens or score, each from an index (see `order.rs`).
CREATE INDEX conversation_title ON conversation (project, {sorted_title}, key, status, kind);
CREATE INDEX conversation_turns ON conversation (project, turns, key, status, kind);
CREATE INDEX conversation_tokens ON conversation (project, tokens, key, status, kind);
CREATE INDEX conversation_score ON conversation (project, COALESCE(most_score, -9223372036854775807), key, status, kind);

-- In which order a saved view lists conversations, and which columns it shows, with commas between them; NULL if not chosen.
ALTER TABLE saved_view ADD COLUMN sort TEXT;
ALTER TABLE saved_view ADD COLUMN columns TEXT;
