-- Exports that run by themselves. `plan` is what is exported, when and under which name, as the service wrote it.
-- `next_at` is NULL while the schedule does not run; `planned_at` is when `next_at` was decided. `revision` goes up by one
-- with each change. `delivered` counts datasets. In a series of windows, each begins where the one before it ended:
-- `windows` counts them, the last one ended with the change `changes_to` and the moment `period_to`, and `seen` says whose
-- items the series has. `job` is the run in progress.
CREATE TABLE schedule (
    id {key},
    project BIGINT NOT NULL REFERENCES project (id),
    creator TEXT NOT NULL,
    person BIGINT,
    name TEXT NOT NULL,
    plan TEXT NOT NULL,
    state TEXT NOT NULL,
    reason TEXT,
    created_at BIGINT NOT NULL,
    next_at BIGINT,
    planned_at BIGINT NOT NULL,
    revision BIGINT NOT NULL,
    delivered BIGINT NOT NULL,
    failures BIGINT NOT NULL,
    series BIGINT NOT NULL,
    windows BIGINT NOT NULL,
    changes_to BIGINT NOT NULL,
    period_to BIGINT NOT NULL,
    seen TEXT,
    job BIGINT,
    last_at BIGINT,
    last_note TEXT,
    UNIQUE (project, creator, name)
);
CREATE INDEX schedule_next ON schedule (next_at) WHERE next_at IS NOT NULL;

-- The window that a run of a schedule exports. `starts_at` and `ends_at` are NULL unless it is a period.
CREATE TABLE schedule_run (
    job BIGINT PRIMARY KEY REFERENCES job (id),
    schedule BIGINT NOT NULL REFERENCES schedule (id),
    series BIGINT NOT NULL,
    number BIGINT NOT NULL,
    changes_after BIGINT NOT NULL,
    changes_to BIGINT NOT NULL,
    starts_at BIGINT,
    ends_at BIGINT,
    late BIGINT NOT NULL
){clustered};
CREATE INDEX schedule_run_schedule ON schedule_run (schedule, job);

-- The schedule that asked for an export.
ALTER TABLE job ADD COLUMN schedule BIGINT;
CREATE INDEX job_schedule ON job (schedule, id) WHERE schedule IS NOT NULL;

-- The schedule of an export that ended, and why it was disabled then.
ALTER TABLE notice ADD COLUMN schedule BIGINT;
ALTER TABLE notice ADD COLUMN disabled TEXT;

-- The number of the last change of an item, from the counter `item`; 0 if it has not changed since it was imported: then
-- its key is that number.
ALTER TABLE conversation ADD COLUMN changed BIGINT NOT NULL DEFAULT 0;
ALTER TABLE run ADD COLUMN changed BIGINT NOT NULL DEFAULT 0;
ALTER TABLE document ADD COLUMN changed BIGINT NOT NULL DEFAULT 0;
