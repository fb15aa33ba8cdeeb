-- Erasures of everything of a person. `state` is `running` until the datasets are rebuilt. `person` is their name; it is
-- NULL once the erasure has ended, as `name_hash` is enough to find what it left. `detail` is what the service found and
-- did; `receipt` is a signed envelope. The keys of signatures and of hashes are rows of `meta`.
CREATE TABLE erasure (
    id {key},
    project BIGINT NOT NULL REFERENCES project (id),
    creator TEXT NOT NULL,
    state TEXT NOT NULL,
    person TEXT,
    name_hash TEXT NOT NULL,
    detail TEXT NOT NULL,
    error TEXT,
    created_at BIGINT NOT NULL,
    finished_at BIGINT,
    receipt TEXT
);
CREATE INDEX erasure_list ON erasure (project, id);
CREATE INDEX erasure_running ON erasure (id) WHERE state = 'running';

-- Keyed hashes of what was erased: the name of a person, the id of an item, and the content of an item.
CREATE TABLE tombstone (
    project BIGINT NOT NULL REFERENCES project (id),
    hash TEXT NOT NULL,
    erasure BIGINT NOT NULL REFERENCES erasure (id),
    PRIMARY KEY (project, hash)
){clustered};
CREATE INDEX tombstone_erasure ON tombstone (erasure);
