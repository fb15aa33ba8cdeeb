-- More columns for filters of runs: a list of models, the lowest and the highest score in millionths, and the environment.
-- They are read from the bodies when the store is first opened; until then `models` is NULL.
ALTER TABLE run ADD COLUMN models TEXT;
ALTER TABLE run ADD COLUMN least_score BIGINT;
ALTER TABLE run ADD COLUMN most_score BIGINT;
ALTER TABLE run ADD COLUMN environment TEXT;
UPDATE run SET models = '[]' WHERE body = 0;
CREATE INDEX run_unread ON run (key) WHERE models IS NULL;
CREATE INDEX run_thread ON run (project, thread) WHERE thread IS NOT NULL;
CREATE INDEX variant_node_kind ON variant_node (kind, variant);
