//! Which datasets of schedules are to be delivered: steps of the transactions in which runs are queued and end, and datasets
//! are deleted.

use retort_model::Time;

use crate::columns::whole;
use crate::dialect::{Connection, Value};
use crate::error::Error;

/// Notes with a new run what the folder of its dataset will be named after.
pub(crate) fn plan_delivery(
    connection: &mut Connection,
    (job, schedule): (i64, i64),
    (named_at, number): (Time, u64),
) -> Result<(), Error> {
    let sql = "INSERT INTO schedule_delivery (job, schedule, named_at, number, failures) VALUES ($1, $2, $3, $4, 0)";
    let values = [
        job.into(),
        schedule.into(),
        Value::Int(named_at.unix_micros()),
        Value::Int(whole(number)),
    ];
    connection.execute(sql, &values).map(|_| ())
}

/// Has the dataset of a run delivered from now on, if it is to be.
pub(crate) fn begin_delivery(
    connection: &mut Connection,
    job: i64,
    now: Time,
) -> Result<(), Error> {
    let sql = "UPDATE schedule_delivery SET dataset = (SELECT dataset FROM job WHERE id = $1), next_at = $2
               WHERE job = $1";
    connection.execute(sql, &[job.into(), Value::Int(now.unix_micros())]).map(|_| ())
}

/// Has all datasets of a schedule that wait tried again now.
pub(crate) fn resume_deliveries(
    connection: &mut Connection,
    schedule: i64,
    now: Time,
) -> Result<(), Error> {
    // Who is at one goes on.
    let sql = "UPDATE schedule_delivery SET next_at = $1, failures = 0
               WHERE schedule = $2 AND dataset IS NOT NULL AND delivered_at IS NULL AND worker IS NULL";
    connection.execute(sql, &[Value::Int(now.unix_micros()), schedule.into()]).map(|_| ())
}

/// Drops what a schedule has not delivered yet.
pub(crate) fn drop_deliveries(connection: &mut Connection, schedule: i64) -> Result<(), Error> {
    let sql = "DELETE FROM schedule_delivery WHERE schedule = $1 AND delivered_at IS NULL";
    connection.execute(sql, &[schedule.into()]).map(|_| ())
}

/// Drops the delivery of a run that made no dataset.
pub(crate) fn drop_delivery(connection: &mut Connection, job: i64) -> Result<(), Error> {
    let sql = "DELETE FROM schedule_delivery WHERE job = $1 AND dataset IS NULL";
    connection.execute(sql, &[job.into()]).map(|_| ())
}

/// Drops the delivery of a dataset that is deleted, and notes that in its schedule.
pub(crate) fn drop_deleted(connection: &mut Connection, dataset: (i64, &str)) -> Result<(), Error> {
    let (id, name) = dataset;
    let note = format!("dataset `{name}` was deleted before it was delivered");
    let sql = "UPDATE schedule SET last_note = $1 WHERE id IN (
                   SELECT schedule FROM schedule_delivery WHERE dataset = $2 AND delivered_at IS NULL)";
    connection.execute(sql, &[Value::Text(&note), id.into()])?;
    let sql = "DELETE FROM schedule_delivery WHERE dataset = $1 AND delivered_at IS NULL";
    connection.execute(sql, &[id.into()]).map(|_| ())
}

/// Has a dataset that was made again delivered instead of the one before it, unless that was delivered.
pub(crate) fn deliver_instead(
    connection: &mut Connection,
    old: i64,
    new: i64,
) -> Result<(), Error> {
    let sql =
        "UPDATE schedule_delivery SET dataset = $1 WHERE dataset = $2 AND delivered_at IS NULL";
    connection.execute(sql, &[new.into(), old.into()]).map(|_| ())
}

/// Lists a window that was closed, for the receipt of its series.
pub(crate) fn list_window(connection: &mut Connection, job: i64) -> Result<(), Error> {
    let sql = "INSERT INTO schedule_window (schedule, series, number, job, changes_after, changes_to, starts_at, ends_at,
                   late, items, dataset, records, manifest_sha256)
               SELECT r.schedule, r.series, r.number, r.job, r.changes_after, r.changes_to, r.starts_at, r.ends_at, r.late,
                   j.items_total, CASE WHEN j.dataset IS NULL THEN NULL ELSE j.name END, j.records,
                   (SELECT f.sha256 FROM dataset_file f WHERE f.dataset = j.dataset AND f.path = 'manifest.json')
               FROM schedule_run r JOIN job j ON j.id = r.job WHERE r.job = $1";
    connection.execute(sql, &[job.into()]).map(|_| ())
}
