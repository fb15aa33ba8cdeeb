-- Conversations, runs and documents are items. Their numbers are given out by one counter, so that the number of an
-- item says which one it is, whatever its kind.

UPDATE counter SET name = 'item' WHERE name = 'conversation';

-- `items` is the kind of what an export is of.
ALTER TABLE job ADD COLUMN items TEXT NOT NULL DEFAULT 'conversation';

ALTER TABLE job_item RENAME COLUMN conversation TO item;
DROP INDEX job_item_conversation;
CREATE INDEX job_item_item ON job_item (item, job);

-- What runs are executions of: `source` is 0 for a copilot, 1 for a recipe. Learnt from the runs.
CREATE TABLE flow (
    key {key},
    project BIGINT NOT NULL REFERENCES project (id),
    source BIGINT NOT NULL,
    id TEXT NOT NULL,
    name TEXT,
    UNIQUE (project, source, id)
);

-- What many runs of a flow have in common: its version, and the nodes that they passed. `digest` is of both.
CREATE TABLE variant (
    key {key},
    flow BIGINT NOT NULL REFERENCES flow (key),
    version TEXT,
    digest {bytes} NOT NULL,
    UNIQUE (flow, digest)
);
CREATE TABLE variant_node (
    variant BIGINT NOT NULL REFERENCES variant (key),
    node TEXT NOT NULL,
    kind BIGINT NOT NULL,
    PRIMARY KEY (variant, node, kind)
){clustered};

-- `marks`: someone judged it, it failed or names an error (1, 2). question, answer and error are their beginnings.
-- A purged run that datasets name stays as its bare id, of no variant.
CREATE TABLE run (
    key {key},
    project BIGINT NOT NULL REFERENCES project (id),
    id TEXT NOT NULL,
    flow BIGINT NOT NULL REFERENCES flow (key),
    variant BIGINT NOT NULL,
    owner TEXT,
    thread TEXT,
    status BIGINT NOT NULL,
    marks BIGINT NOT NULL,
    started_at BIGINT NOT NULL,
    finished_at BIGINT NOT NULL,
    nodes BIGINT NOT NULL,
    files BIGINT NOT NULL,
    question TEXT,
    answer TEXT,
    error TEXT,
    search TEXT NOT NULL,
    digest {bytes} NOT NULL,
    size BIGINT NOT NULL,
    body BIGINT NOT NULL,
    UNIQUE (project, id, flow)
);
CREATE INDEX run_started ON run (project, started_at, key, status, marks, variant, flow, finished_at);
CREATE INDEX run_flow ON run (flow, started_at, key, status, marks, variant, finished_at);
CREATE INDEX run_owner ON run (project, owner, started_at, key, status, marks, variant, flow, finished_at)
    WHERE owner IS NOT NULL;
CREATE INDEX run_variant ON run (variant);
