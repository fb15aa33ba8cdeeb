-- Moments are microseconds since 1970, UTC; the smallest number stands for an unknown one.

CREATE TABLE meta (name TEXT PRIMARY KEY, value TEXT NOT NULL){clustered};

-- Numbers that were given out.
CREATE TABLE counter (name TEXT PRIMARY KEY, value BIGINT NOT NULL){clustered};

CREATE TABLE project (
    id {key},
    name TEXT NOT NULL UNIQUE,
    created_at BIGINT NOT NULL
);

CREATE TABLE dictionary (id {key}, bytes {bytes} NOT NULL);

-- Bodies do not change: a conversation that does gets a next one. The checksum is that of the line within.
CREATE TABLE body (
    key {key},
    dictionary BIGINT NOT NULL,
    superseded BIGINT NOT NULL,
    crc32 BIGINT NOT NULL,
    bytes {bytes} NOT NULL
);
CREATE INDEX body_superseded ON body (key) WHERE superseded = 1;

-- title, tags and status are what counts now; `edited` says which of them were set here (1, 2, 4) and so
-- stand above those of the body. A purged conversation that datasets name stays as its bare id.
CREATE TABLE conversation (
    key {key},
    project BIGINT NOT NULL REFERENCES project (id),
    id TEXT NOT NULL,
    source TEXT NOT NULL,
    owner TEXT,
    kind BIGINT NOT NULL,
    status BIGINT NOT NULL,
    was BIGINT NOT NULL,
    edited BIGINT NOT NULL,
    title TEXT,
    tags TEXT,
    search TEXT NOT NULL,
    model TEXT,
    created_at BIGINT NOT NULL,
    updated_at BIGINT NOT NULL,
    rounds BIGINT NOT NULL,
    messages BIGINT NOT NULL,
    digest {bytes} NOT NULL,
    size BIGINT NOT NULL,
    body BIGINT NOT NULL,
    UNIQUE (project, id, source)
);
CREATE INDEX conversation_created ON conversation (project, created_at, key, status, kind);
CREATE INDEX conversation_updated ON conversation (project, updated_at, key, status, kind);
CREATE INDEX conversation_owner ON conversation (project, owner, created_at, key, status, kind)
    WHERE owner IS NOT NULL;

CREATE TABLE job (
    id {key},
    project BIGINT NOT NULL REFERENCES project (id),
    kind TEXT NOT NULL,
    state TEXT NOT NULL,
    creator TEXT NOT NULL,
    name TEXT NOT NULL,
    plan TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    started_at BIGINT,
    finished_at BIGINT,
    worker TEXT,
    lease_until BIGINT,
    attempts BIGINT NOT NULL,
    cancel BIGINT NOT NULL,
    error TEXT,
    items_total BIGINT NOT NULL,
    items_done BIGINT NOT NULL,
    bytes_total BIGINT NOT NULL,
    bytes_done BIGINT NOT NULL,
    records BIGINT NOT NULL,
    report TEXT,
    dataset BIGINT
);
CREATE INDEX job_open ON job (state, created_at) WHERE state IN ('queued', 'running');
CREATE INDEX job_list ON job (project, id);

-- The frozen selection of an export, and later what its dataset was made of.
CREATE TABLE job_item (
    job BIGINT NOT NULL REFERENCES job (id),
    ordinal BIGINT NOT NULL,
    conversation BIGINT NOT NULL,
    body BIGINT NOT NULL,
    status BIGINT,
    title TEXT,
    tags TEXT,
    ends BIGINT NOT NULL,
    PRIMARY KEY (job, ordinal)
){clustered};
CREATE INDEX job_item_conversation ON job_item (conversation, job);

-- Items of which nothing was written.
CREATE TABLE job_left_out (
    job BIGINT NOT NULL,
    ordinal BIGINT NOT NULL,
    PRIMARY KEY (job, ordinal)
){clustered};

-- Parts of an export; `result` is there when one is finished.
CREATE TABLE job_shard (
    job BIGINT NOT NULL REFERENCES job (id),
    number BIGINT NOT NULL,
    first BIGINT NOT NULL,
    last BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    result TEXT,
    PRIMARY KEY (job, number)
){clustered};

CREATE TABLE dataset (
    id {key},
    project BIGINT NOT NULL REFERENCES project (id),
    creator TEXT NOT NULL,
    name TEXT NOT NULL,
    purpose TEXT NOT NULL,
    node TEXT,
    data_format TEXT NOT NULL,
    file_format TEXT NOT NULL,
    records BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    prefix TEXT NOT NULL,
    job BIGINT NOT NULL,
    UNIQUE (project, creator, name)
);

CREATE TABLE dataset_file (
    dataset BIGINT NOT NULL REFERENCES dataset (id),
    place BIGINT NOT NULL,
    path TEXT NOT NULL,
    object TEXT NOT NULL,
    records BIGINT,
    bytes BIGINT NOT NULL,
    sha256 TEXT NOT NULL,
    crc32 BIGINT NOT NULL,
    PRIMARY KEY (dataset, place)
){clustered};
