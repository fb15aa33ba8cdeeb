-- Spans that a server received over HTTP, until their traces are imported. The spans of one trace from one sender arrive in
-- parts, in any order. A trace is due at `due_at`, which is NULL once it was imported. It is kept until `forget_at`, as late
-- spans cause another import. `holder` is the member who will hold its items; '' if the sender sees everyone's.
CREATE TABLE open_trace (
    key {key},
    project BIGINT NOT NULL REFERENCES project (id),
    importer TEXT NOT NULL,
    holder TEXT NOT NULL,
    trace TEXT NOT NULL,
    session TEXT,
    has_root BIGINT NOT NULL,
    spans BIGINT NOT NULL,
    size BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    due_at BIGINT,
    forget_at BIGINT NOT NULL,
    UNIQUE (project, importer, holder, trace)
);
CREATE INDEX open_trace_due ON open_trace (due_at);
CREATE INDEX open_trace_forget ON open_trace (forget_at);
CREATE INDEX open_trace_session ON open_trace (project, session);
CREATE TABLE trace_part (
    key {key},
    trace BIGINT NOT NULL REFERENCES open_trace (key),
    size BIGINT NOT NULL,
    body {bytes} NOT NULL
);
CREATE INDEX trace_part_trace ON trace_part (trace);
