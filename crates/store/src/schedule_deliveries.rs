//! Datasets of schedules on their way to a destination outside the store. A dataset is delivered after its run has ended,
//! and those of a schedule in their order.

use retort_model::bounds::{SCHEDULE_FAILURES, SERIES_WINDOWS};
use retort_model::{Time, retry_wait};

use crate::columns::{moment, whole};
use crate::dialect::{Row, Value};
use crate::error::Error;
use crate::jobs::still_held;
use crate::notices::notify;
use crate::schedules::{Schedule, disable};

/// A dataset of a schedule that is, or was, on its way to a destination.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ScheduleDelivery {
    /// The run that made the dataset.
    pub job: i64,
    /// The schedule.
    pub schedule: i64,
    /// The project.
    pub project: i64,
    /// The dataset's number.
    pub dataset: i64,
    /// The moment that the folder is named after.
    pub named_at: Time,
    /// The number that the folder is named after.
    pub number: u64,
    /// Name of the destination; none before the first attempt.
    pub destination: Option<String>,
    /// The folder in the destination; none before the first attempt.
    pub path: Option<String>,
    /// When it is tried next; none if it was delivered, or waits until the schedule is resumed.
    pub next_at: Option<Time>,
    /// Attempts that failed in a row.
    pub failures: u64,
    /// Why the last attempt failed.
    pub error: Option<String>,
    /// When it was delivered.
    pub delivered_at: Option<Time>,
}

/// A closed window of a series.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SeriesWindow {
    /// Its number in the series, from 1.
    pub number: u64,
    /// The store's number of the last change before it.
    pub changes_after: i64,
    /// The store's number of its last change.
    pub changes_to: i64,
    /// The period: its start, inclusive, and its end, exclusive.
    pub period: Option<(Time, Time)>,
    /// Items of earlier periods that arrived too late for them.
    pub late: u64,
    /// Items that were selected.
    pub items: u64,
    /// Name of the dataset, and SHA-256 of its receipt.
    pub dataset: Option<(String, String)>,
    /// Records in the dataset.
    pub records: u64,
    /// The dataset's folder at the destination, once it is delivered.
    pub path: Option<String>,
}

/// Names that are tried for a folder before it is refused.
const PATHS_TRIED: usize = 1_000;

const DELIVERY: &str =
    "SELECT d.job, d.schedule, s.project, d.dataset, d.named_at, d.number, d.destination, d.path,
                            d.next_at, d.failures, d.error, d.delivered_at
                        FROM schedule_delivery d JOIN schedule s ON s.id = d.schedule";

/// Nothing before it in its schedule is to be delivered yet.
const IS_NEXT: &str =
    "NOT EXISTS (SELECT 1 FROM schedule_delivery e WHERE e.schedule = d.schedule AND e.job < d.job
                           AND e.dataset IS NOT NULL AND e.delivered_at IS NULL)";

fn read_delivery(row: &Row<'_>) -> Result<ScheduleDelivery, Error> {
    let damaged = || Error::Damaged("a delivery is named after no moment".into());
    Ok(ScheduleDelivery {
        job: row.int(0)?,
        schedule: row.int(1)?,
        project: row.int(2)?,
        dataset: row.int(3)?,
        named_at: moment(row.int(4)?).ok_or_else(damaged)?,
        number: row.int(5)?.unsigned_abs(),
        destination: row.text_or_none(6)?,
        path: row.text_or_none(7)?,
        next_at: row.int_or_none(8)?.and_then(moment),
        failures: row.int(9)?.unsigned_abs(),
        error: row.text_or_none(10)?,
        delivered_at: row.int_or_none(11)?.and_then(moment),
    })
}

impl crate::Store {
    /// Takes the delivery that is due longest, or the one of a run, until `until`; none if nothing is due.
    pub fn claim_schedule_delivery(
        &self,
        job: Option<i64>,
        worker: &str,
        now: Time,
        until: Time,
    ) -> Result<Option<ScheduleDelivery>, Error> {
        let mut due = format!("{DELIVERY} WHERE d.next_at <= $1 AND {IS_NEXT}");
        if let Some(job) = job {
            due.push_str(&format!(" AND d.job = {job}"));
        }
        due.push_str(" ORDER BY d.next_at, d.job LIMIT 1");
        let moment = [Value::Int(now.unix_micros())];
        // Mostly there is none, and nobody has to wait for that.
        let found = self.read(|connection| connection.row(&due, &moment, read_delivery))?;
        let Some(found) = found else { return Ok(None) };
        let sql = "UPDATE schedule_delivery SET next_at = $1, worker = $2 WHERE job = $3 AND next_at <= $4";
        let values = [
            Value::Int(until.unix_micros()),
            worker.into(),
            found.job.into(),
            Value::Int(now.unix_micros()),
        ];
        let taken = self.write(|connection| connection.execute(sql, &values))?;
        Ok((taken > 0).then_some(found))
    }

    /// Gives a delivery that a worker holds the folder in the destination, or one with a number behind its name if another
    /// dataset of this store has that folder. Once given, it stays.
    ///
    /// # Errors
    /// The delivery is no longer this worker's; those of the database.
    pub fn place_schedule_delivery(
        &self,
        delivery: &ScheduleDelivery,
        worker: &str,
        (destination, path): (&str, &str),
    ) -> Result<String, Error> {
        if let (Some(there), Some(placed)) = (&delivery.destination, &delivery.path)
            && there == destination
        {
            return Ok(placed.clone());
        }
        self.write(|connection| {
            for number in 1..=PATHS_TRIED {
                let tried =
                    if number == 1 { path.to_owned() } else { format!("{path}-{number}") };
                let sql = "SELECT job FROM schedule_delivery WHERE destination = $1 AND path = $2";
                let values = [destination.into(), Value::Text(&tried)];
                if connection.row(sql, &values, |row| row.int(0))?.is_some() {
                    continue;
                }
                let sql = "UPDATE schedule_delivery SET destination = $1, path = $2 WHERE job = $3 AND worker = $4";
                let values =
                    [destination.into(), Value::Text(&tried), delivery.job.into(), worker.into()];
                still_held(connection.execute(sql, &values)?)?;
                return Ok(tried);
            }
            Err(Error::NameTaken(path.to_owned()))
        })
    }

    /// Holds a delivery until then.
    ///
    /// # Errors
    /// It is no longer this worker's; those of the database.
    pub fn keep_schedule_delivery(&self, job: i64, worker: &str, until: Time) -> Result<(), Error> {
        let sql = "UPDATE schedule_delivery SET next_at = $1
                   WHERE job = $2 AND worker = $3 AND delivered_at IS NULL AND next_at IS NOT NULL";
        let values = [Value::Int(until.unix_micros()), job.into(), worker.into()];
        still_held(self.write(|connection| connection.execute(sql, &values))?)
    }

    /// Notes that a dataset was delivered, and in its window where to.
    ///
    /// # Errors
    /// The delivery is no longer this worker's; those of the database.
    pub fn end_schedule_delivery(
        &self,
        delivery: &ScheduleDelivery,
        worker: &str,
        (path, manifest_sha256): (&str, &str),
        now: Time,
    ) -> Result<(), Error> {
        self.write(|connection| {
            let sql = "UPDATE schedule_delivery SET next_at = NULL, worker = NULL, failures = 0, error = NULL,
                           delivered_at = $1
                       WHERE job = $2 AND worker = $3 AND delivered_at IS NULL";
            let at = Value::Int(now.unix_micros());
            still_held(connection.execute(sql, &[at, delivery.job.into(), worker.into()])?)?;
            let sql = "UPDATE schedule_window SET path = $1, manifest_sha256 = $2 WHERE job = $3";
            let values = [path.into(), manifest_sha256.into(), delivery.job.into()];
            connection.execute(sql, &values).map(|_| ())
        })
    }

    /// Gives a delivery back that was interrupted.
    pub fn release_schedule_delivery(
        &self,
        job: i64,
        worker: &str,
        now: Time,
    ) -> Result<(), Error> {
        let sql = "UPDATE schedule_delivery SET next_at = $1, worker = NULL
                   WHERE job = $2 AND worker = $3 AND next_at IS NOT NULL";
        let values = [Value::Int(now.unix_micros()), job.into(), worker.into()];
        self.write(|connection| connection.execute(sql, &values).map(|_| ()))
    }

    /// Notes that an attempt failed. It is made again after a wait that grows; after too many, the schedule is disabled, its
    /// owner told, and the dataset waits until the schedule is resumed.
    pub fn fail_schedule_delivery(
        &self,
        delivery: &ScheduleDelivery,
        worker: &str,
        error: &str,
        now: Time,
    ) -> Result<(), Error> {
        let failures = delivery.failures + 1;
        let is_over = failures >= SCHEDULE_FAILURES;
        let wait = i64::try_from(retry_wait(failures).as_micros()).unwrap_or(i64::MAX);
        let again = now.unix_micros().saturating_add(wait);
        let again = (!is_over).then_some(again);
        self.write(|connection| {
            let sql = "UPDATE schedule_delivery SET failures = $1, error = $2, next_at = $3, worker = NULL
                       WHERE job = $4 AND worker = $5 AND delivered_at IS NULL";
            let values = [
                Value::Int(whole(failures)),
                error.into(),
                again.into(),
                delivery.job.into(),
                worker.into(),
            ];
            if connection.execute(sql, &values)? == 0 || !is_over {
                return Ok(());
            }
            let reason = format!("{failures} deliveries failed in a row: {error}");
            disable(connection, delivery.schedule, 0, &reason)?;
            notify(connection, delivery.job, now)
        })
    }

    /// The delivery of a run; none if its dataset is not delivered anywhere or was not made yet.
    pub fn schedule_delivery(&self, job: i64) -> Result<Option<ScheduleDelivery>, Error> {
        let sql = format!("{DELIVERY} WHERE d.job = $1 AND d.dataset IS NOT NULL");
        self.read(|connection| connection.row(&sql, &[job.into()], read_delivery))
    }

    /// The last deliveries of a schedule, the newest first.
    pub fn schedule_deliveries(
        &self,
        schedule: i64,
        most: usize,
    ) -> Result<Vec<ScheduleDelivery>, Error> {
        let sql = format!(
            "{DELIVERY} WHERE d.schedule = $1 AND d.dataset IS NOT NULL ORDER BY d.job DESC LIMIT {most}"
        );
        self.read(|connection| connection.rows(&sql, &[schedule.into()], read_delivery))
    }

    /// Whether a dataset waits to be delivered, of any schedule, that was not tried yet or whose worker is at it.
    pub fn has_open_deliveries(&self) -> Result<bool, Error> {
        let sql = "SELECT COUNT(*) FROM schedule_delivery WHERE next_at IS NOT NULL AND (failures = 0 OR worker IS NOT NULL)";
        Ok(self.read(|connection| connection.row(sql, &[], |row| row.int(0)))?.unwrap_or(0) > 0)
    }

    /// How many datasets wait to be delivered, of all schedules, and how many of them failed last.
    pub fn waiting_deliveries(&self) -> Result<(u64, u64), Error> {
        let sql = "SELECT COUNT(*), COUNT(CASE WHEN failures > 0 THEN 1 END) FROM schedule_delivery
                   WHERE dataset IS NOT NULL AND delivered_at IS NULL";
        let read = |row: &Row<'_>| Ok((row.int(0)?.unsigned_abs(), row.int(1)?.unsigned_abs()));
        Ok(self.read(|connection| connection.row(sql, &[], read))?.unwrap_or_default())
    }

    /// The current series of a schedule, or the one that a run belongs to, and its closed windows in order, up to that of the
    /// run: the last ones, as many as a receipt lists.
    pub fn series_windows(
        &self,
        schedule: &Schedule,
        job: Option<i64>,
    ) -> Result<(String, Vec<SeriesWindow>), Error> {
        let of_run = "(SELECT series FROM schedule_window WHERE job = $1)";
        let series = format!(
            "SELECT COALESCE({of_run}, series), (SELECT value FROM meta WHERE name = 'identity') FROM schedule
             WHERE id = $2"
        );
        let sql = format!(
            "SELECT number, changes_after, changes_to, starts_at, ends_at, late, items, dataset, manifest_sha256,
                 records, path
             FROM schedule_window WHERE schedule = $1 AND series = $2 AND job <= $3
             ORDER BY number DESC LIMIT {SERIES_WINDOWS}"
        );
        let read = |row: &Row<'_>| {
            let period = row.int_or_none(3)?.and_then(moment);
            Ok(SeriesWindow {
                number: row.int(0)?.unsigned_abs(),
                changes_after: row.int(1)?,
                changes_to: row.int(2)?,
                period: period.zip(row.int_or_none(4)?.and_then(moment)),
                late: row.int(5)?.unsigned_abs(),
                items: row.int(6)?.unsigned_abs(),
                dataset: row.text_or_none(7)?.zip(row.text_or_none(8)?),
                records: row.int(9)?.unsigned_abs(),
                path: row.text_or_none(10)?,
            })
        };
        self.read(|connection| {
            let found = connection.row(&series, &[job.into(), schedule.id.into()], |row| {
                Ok((row.int(0)?, row.text(1)?))
            })?;
            let (series, identity) = found.unwrap_or_default();
            let last = Value::Int(job.unwrap_or(i64::MAX));
            let values = [schedule.id.into(), series.into(), last];
            let mut windows = connection.rows(&sql, &values, read)?;
            windows.reverse();
            Ok((format!("{identity}/{}/{series}", schedule.id), windows))
        })
    }
}
