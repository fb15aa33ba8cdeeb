-- Who judged a conversation or an answer of it: a JSON list of names, NULL if nobody did. The judgements are in the body.
ALTER TABLE conversation ADD COLUMN judges TEXT;
