-- Filters of conversations that people keep under a name. `filter` is as the service writes it. Those that are shared are
-- for everyone in the project.
CREATE TABLE saved_view (
    id {key},
    project BIGINT NOT NULL REFERENCES project (id),
    creator TEXT NOT NULL,
    name TEXT NOT NULL,
    filter TEXT NOT NULL,
    is_shared BIGINT NOT NULL,
    created_at BIGINT NOT NULL,
    UNIQUE (project, creator, name)
);
