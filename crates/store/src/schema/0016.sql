-- Datasets of schedules on their way to a destination outside the store. `named_at` and `number` are what the folder there
-- is named after; `destination` and `path` are NULL until the first attempt. `dataset` is NULL until the run has made it.
-- `next_at` is when it is tried next, or until when `worker` is at it; NULL while nothing is to be done. `failures` counts
-- attempts that failed in a row.
CREATE TABLE schedule_delivery (
    job BIGINT PRIMARY KEY REFERENCES job (id),
    schedule BIGINT NOT NULL REFERENCES schedule (id),
    dataset BIGINT,
    named_at BIGINT NOT NULL,
    number BIGINT NOT NULL,
    destination TEXT,
    path TEXT,
    next_at BIGINT,
    worker TEXT,
    failures BIGINT NOT NULL,
    error TEXT,
    delivered_at BIGINT,
    UNIQUE (destination, path)
){clustered};
CREATE INDEX schedule_delivery_next ON schedule_delivery (next_at) WHERE next_at IS NOT NULL;
CREATE INDEX schedule_delivery_schedule ON schedule_delivery (schedule, job);

-- The windows of a series that were closed, for the receipt of the series: these stay when their jobs and datasets are
-- gone. `dataset` is the dataset's name, `manifest_sha256` the hash of its receipt, `path` its folder at the destination.
CREATE TABLE schedule_window (
    schedule BIGINT NOT NULL REFERENCES schedule (id),
    series BIGINT NOT NULL,
    number BIGINT NOT NULL,
    job BIGINT NOT NULL,
    changes_after BIGINT NOT NULL,
    changes_to BIGINT NOT NULL,
    starts_at BIGINT,
    ends_at BIGINT,
    late BIGINT NOT NULL,
    items BIGINT NOT NULL,
    dataset TEXT,
    records BIGINT NOT NULL,
    manifest_sha256 TEXT,
    path TEXT,
    PRIMARY KEY (schedule, series, number)
){clustered};
CREATE INDEX schedule_window_job ON schedule_window (job);

-- Windows that were closed before they were listed: those whose jobs are still known.
INSERT INTO schedule_window (schedule, series, number, job, changes_after, changes_to, starts_at, ends_at, late, items,
    dataset, records, manifest_sha256)
SELECT r.schedule, r.series, r.number, r.job, r.changes_after, r.changes_to, r.starts_at, r.ends_at, r.late, j.items_total,
    j.name, j.records, (SELECT f.sha256 FROM dataset_file f WHERE f.dataset = j.dataset AND f.path = 'manifest.json')
FROM schedule_run r JOIN job j ON j.id = r.job WHERE j.state LIKE 'completed%';
