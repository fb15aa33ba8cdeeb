-- Documents that answers were retrieved from. Their chunks and embeddings stand in the body. `width` is the bits that
-- hold a number of any of its embeddings. `original` is the SHA-256 of the original file, under which it lies among the
-- objects; several documents may have the same.
CREATE TABLE document (
    key {key},
    project BIGINT NOT NULL REFERENCES project (id),
    id TEXT NOT NULL,
    source TEXT NOT NULL,
    owner TEXT,
    status BIGINT NOT NULL,
    name TEXT,
    url TEXT,
    base_url TEXT,
    s3_path TEXT,
    created_at BIGINT NOT NULL,
    chunks BIGINT NOT NULL,
    embedded BIGINT NOT NULL,
    least_dimension BIGINT NOT NULL,
    most_dimension BIGINT NOT NULL,
    width BIGINT NOT NULL,
    model TEXT,
    original TEXT,
    original_name TEXT,
    original_type TEXT,
    original_bytes BIGINT,
    search TEXT NOT NULL,
    digest {bytes} NOT NULL,
    size BIGINT NOT NULL,
    body BIGINT NOT NULL,
    UNIQUE (project, id, source)
);
-- What a conversation's answers were given with: paths and addresses of its retrieved passages.
CREATE TABLE citation (
    place TEXT NOT NULL,
    conversation BIGINT NOT NULL REFERENCES conversation (key),
    PRIMARY KEY (place, conversation)
){clustered};
CREATE INDEX citation_conversation ON citation (conversation);

CREATE INDEX document_created ON document (project, created_at, key, status);
CREATE INDEX document_path ON document (project, s3_path) WHERE s3_path IS NOT NULL;
CREATE INDEX document_url ON document (project, url) WHERE url IS NOT NULL;
CREATE INDEX document_original ON document (original) WHERE original IS NOT NULL;
