-- What is in a rare language is found without a walk over all conversations.
CREATE INDEX conversation_language ON conversation (project, language, created_at, key) WHERE language IS NOT NULL;
