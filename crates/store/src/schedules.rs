//! Schedules: exports that run by themselves, and the series of windows that each has exported so far.

use retort_model::bounds::SCHEDULE_FAILURES;
use retort_model::{JobState, ScheduleState, Scope, Time, Window, retry_wait};

use crate::columns::{column_text, moment, whole};
use crate::delivery_queue::{
    begin_delivery, drop_deliveries, drop_delivery, list_window, resume_deliveries,
};
use crate::dialect::{Connection, Row, Value};
use crate::error::Error;
use crate::notices::{Which, forget_webhooks};
use crate::statement::Statement;
use crate::store::next;

/// A next run that was planned this much later than now was planned by a clock that was wrong.
const FAR_PLAN_MICROS: i64 = 15 * 60 * 1_000_000;

/// A schedule counts as late after this time. A worker with a long job, or a restart, delays a run by less.
const LATE_MICROS: i64 = 10 * 60 * 1_000_000;

/// A schedule.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schedule {
    /// The store's number of it.
    pub id: i64,
    /// The project.
    pub project: i64,
    /// The name of its owner.
    pub creator: String,
    /// The owner's number; none for someone who opens the store directly.
    pub person: Option<i64>,
    /// Its name.
    pub name: String,
    /// What is exported, when and under which name, as the service wrote it.
    pub plan: String,
    /// Whether it runs.
    pub state: ScheduleState,
    /// Why it is disabled.
    pub reason: Option<String>,
    /// When it was added.
    pub created_at: Option<Time>,
    /// When it runs next.
    pub next_at: Option<Time>,
    /// Goes up by one with each change.
    pub revision: i64,
    /// Datasets that it made.
    pub delivered: u64,
    /// Runs that failed in a row.
    pub failures: u64,
    /// Where its last period ended.
    pub period_to: Option<Time>,
    /// The job of the run in progress.
    pub job: Option<i64>,
    /// When the last run ended, or found nothing to export.
    pub last_at: Option<Time>,
    /// Why the last run made no dataset.
    pub last_note: Option<String>,
    /// Datasets that wait to be delivered.
    pub undelivered: u64,
    /// Why the first of them could not be delivered.
    pub delivery_error: Option<String>,
}

/// A schedule to be added.
#[derive(Clone, Copy, Debug)]
pub struct NewSchedule<'n> {
    /// The name of its owner.
    pub creator: &'n str,
    /// The owner's number; none for someone who opens the store directly.
    pub person: Option<i64>,
    /// Its name.
    pub name: &'n str,
    /// As in [`Schedule`].
    pub plan: &'n str,
    /// When it runs first.
    pub next_at: Option<Time>,
    /// Where its first period begins.
    pub period_to: Option<Time>,
}

/// A change of a schedule.
#[derive(Clone, Debug)]
pub struct ScheduleChange {
    /// As in [`Schedule`].
    pub plan: String,
    /// Whether it runs.
    pub state: ScheduleState,
    /// When it runs next.
    pub next_at: Option<Time>,
    /// Whether a new series of windows begins, as the schedule exports something else.
    pub restarts: bool,
    /// Where the first period of the new series begins, if the windows are periods.
    pub period_to: Option<Time>,
    /// Whether datasets that wait to be delivered are dropped, as the new series goes elsewhere.
    pub drops_deliveries: bool,
}

/// How many schedules of all projects are in which state.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ScheduleStats {
    /// Those that run.
    pub active: u64,
    /// Those that should have run ten minutes ago.
    pub late: u64,
    /// Those that are disabled.
    pub disabled: u64,
    /// Datasets that wait to be delivered.
    pub undelivered: u64,
    /// Of these, those whose last attempt failed.
    pub failing_deliveries: u64,
}

/// The current series of windows, and how much of it was exported.
pub(crate) struct Series {
    pub(crate) series: i64,
    pub(crate) windows: i64,
    pub(crate) changes_to: i64,
    pub(crate) seen: Option<String>,
}

const SCHEDULE: &str = "SELECT id, project, creator, person, name, plan, state, reason, created_at, next_at, revision, \
                        delivered, failures, period_to, job, last_at, last_note,
                        (SELECT COUNT(*) FROM schedule_delivery d WHERE d.schedule = schedule.id
                             AND d.dataset IS NOT NULL AND d.delivered_at IS NULL),
                        (SELECT d.error FROM schedule_delivery d WHERE d.schedule = schedule.id AND d.failures > 0
                             AND d.delivered_at IS NULL ORDER BY d.job LIMIT 1)
                        FROM schedule";

fn read_schedule(row: &Row<'_>) -> Result<Schedule, Error> {
    Ok(Schedule {
        id: row.int(0)?,
        project: row.int(1)?,
        creator: row.text(2)?,
        person: row.int_or_none(3)?,
        name: row.text(4)?,
        plan: row.text(5)?,
        state: row.text(6)?.parse().map_err(Error::Damaged)?,
        reason: row.text_or_none(7)?,
        created_at: moment(row.int(8)?),
        next_at: row.int_or_none(9)?.and_then(moment),
        revision: row.int(10)?,
        delivered: row.int(11)?.unsigned_abs(),
        failures: row.int(12)?.unsigned_abs(),
        period_to: moment(row.int(13)?),
        job: row.int_or_none(14)?,
        last_at: row.int_or_none(15)?.and_then(moment),
        last_note: row.text_or_none(16)?,
        undelivered: row.int(17)?.unsigned_abs(),
        delivery_error: row.text_or_none(18)?,
    })
}

fn micros(time: Option<Time>) -> Value<'static> {
    time.map(Time::unix_micros).into()
}

impl crate::Store {
    /// Adds a schedule; returns its number.
    ///
    /// # Errors
    /// Its owner has another schedule with that name; those of the database.
    pub fn add_schedule(
        &self,
        project: i64,
        new: &NewSchedule<'_>,
        now: Time,
    ) -> Result<i64, Error> {
        self.write(|connection| {
            let id = next(connection, "schedule", 1)?;
            let (creator, name) = (column_text(new.creator), column_text(new.name));
            let sql = "SELECT id FROM schedule WHERE project = $1 AND creator = $2 AND name = $3";
            let values = [project.into(), Value::Text(&creator), Value::Text(&name)];
            if connection.row(sql, &values, |row| row.int(0))?.is_some() {
                return Err(Error::NameTaken(new.name.to_owned()));
            }
            let sql = "INSERT INTO schedule (id, project, creator, person, name, plan, state, created_at, next_at,
                           planned_at, revision, delivered, failures, series, windows, changes_to, period_to)
                       VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9, $8, 0, 0, 0, 1, 0, 0, $10)";
            let values = [
                id.into(),
                project.into(),
                Value::Text(&creator),
                new.person.into(),
                Value::Text(&name),
                new.plan.into(),
                ScheduleState::Active.as_str().into(),
                Value::Int(now.unix_micros()),
                micros(new.next_at),
                Value::Int(new.period_to.unwrap_or(now).unix_micros()),
            ];
            connection.execute(sql, &values)?;
            begin_periods(connection, id, new.period_to)?;
            Ok(id)
        })
    }

    /// The schedules in a scope, the oldest first.
    pub fn schedules(&self, scope: &Scope) -> Result<Vec<Schedule>, Error> {
        let mut statement = Statement::new(SCHEDULE);
        statement.made_in(scope).push(" ORDER BY id");
        self.read(|connection| connection.rows(&statement.sql, &statement.values(), read_schedule))
    }

    /// The schedule with that number in a scope.
    pub fn schedule(&self, scope: &Scope, id: i64) -> Result<Option<Schedule>, Error> {
        let mut statement = Statement::new(SCHEDULE);
        statement.made_in(scope).push(" AND id = ").int(id);
        self.read(|connection| connection.row(&statement.sql, &statement.values(), read_schedule))
    }

    /// Schedules of all projects that are due, the one due longest first.
    pub fn due_schedules(&self, now: Time, most: usize) -> Result<Vec<Schedule>, Error> {
        let mut statement =
            Statement::new(format!("{SCHEDULE} WHERE next_at IS NOT NULL AND (next_at <= "));
        statement.int(now.unix_micros());
        statement.push(" OR planned_at > ").int(now.unix_micros().saturating_add(FAR_PLAN_MICROS));
        statement.push(") ORDER BY next_at, id").at_most(most);
        self.read(|connection| connection.rows(&statement.sql, &statement.values(), read_schedule))
    }

    /// Changes a schedule and resets its failures; false if someone else changed it since it was read.
    pub fn change_schedule(
        &self,
        schedule: &Schedule,
        change: &ScheduleChange,
        now: Time,
    ) -> Result<bool, Error> {
        let sql = "UPDATE schedule SET plan = $1, state = $2, reason = NULL, next_at = $3, planned_at = $4, failures = 0,
                       revision = revision + 1 WHERE id = $5 AND revision = $6";
        let values = [
            Value::Text(&change.plan),
            change.state.as_str().into(),
            micros(change.next_at),
            Value::Int(now.unix_micros()),
            schedule.id.into(),
            schedule.revision.into(),
        ];
        self.write(|connection| {
            if connection.execute(sql, &values)? == 0 {
                return Ok(false);
            }
            if change.drops_deliveries {
                drop_deliveries(connection, schedule.id)?;
            }
            if change.state == ScheduleState::Active {
                resume_deliveries(connection, schedule.id, now)?;
            }
            if change.restarts {
                let sql = "UPDATE schedule SET series = series + 1, windows = 0, changes_to = 0, seen = NULL
                           WHERE id = $1";
                connection.execute(sql, &[schedule.id.into()])?;
                begin_periods(connection, schedule.id, change.period_to)?;
            }
            Ok(true)
        })
    }

    /// Notes that a run found nothing to export, and when the schedule runs next, unless someone else changed the schedule
    /// since it was read.
    pub fn put_off_schedule(
        &self,
        schedule: &Schedule,
        next_at: Option<Time>,
        note: Option<&str>,
        now: Time,
    ) -> Result<(), Error> {
        let sql = "UPDATE schedule SET next_at = $1, planned_at = $2, revision = revision + 1,
                       last_at = CASE WHEN CAST($3 AS TEXT) IS NULL THEN last_at ELSE $2 END,
                       last_note = COALESCE(CAST($3 AS TEXT), last_note)
                   WHERE id = $4 AND revision = $5";
        let values = [
            micros(next_at),
            Value::Int(now.unix_micros()),
            note.into(),
            schedule.id.into(),
            schedule.revision.into(),
        ];
        self.write(|connection| connection.execute(sql, &values).map(|_| ()))
    }

    /// Deletes a schedule, with the webhooks that are limited to it. Its datasets and a run in progress stay as ordinary
    /// exports of its owner.
    pub fn delete_schedule(&self, schedule: &Schedule) -> Result<(), Error> {
        self.write(|connection| {
            for sql in [
                "UPDATE job SET schedule = NULL WHERE schedule = $1",
                "DELETE FROM schedule_run WHERE schedule = $1",
                "DELETE FROM schedule_delivery WHERE schedule = $1",
                "DELETE FROM schedule_window WHERE schedule = $1",
                "DELETE FROM schedule WHERE id = $1",
            ] {
                connection.execute(sql, &[schedule.id.into()])?;
            }
            let scope = Scope::project(schedule.project);
            forget_webhooks(connection, &scope, Which::LimitedTo(schedule.id)).map(|_| ())
        })
    }

    /// How many schedules of all projects are in which state.
    pub fn schedule_stats(&self, now: Time) -> Result<ScheduleStats, Error> {
        let sql = "SELECT COUNT(*), COUNT(CASE WHEN next_at < $1 THEN 1 END),
                       (SELECT COUNT(*) FROM schedule WHERE state = 'disabled')
                   FROM schedule WHERE next_at IS NOT NULL";
        let late = Value::Int(now.unix_micros().saturating_sub(LATE_MICROS));
        let found = self.read(|connection| {
            connection.row(sql, &[late], |row| {
                let count = |column| Ok::<_, Error>(row.int(column)?.unsigned_abs());
                Ok(ScheduleStats {
                    active: count(0)?,
                    late: count(1)?,
                    disabled: count(2)?,
                    ..ScheduleStats::default()
                })
            })
        })?;
        let (undelivered, failing_deliveries) = self.waiting_deliveries()?;
        Ok(ScheduleStats { undelivered, failing_deliveries, ..found.unwrap_or_default() })
    }

    /// The window that a job exports, and the name of its schedule; none if the job has no window.
    pub fn window_of(&self, job: i64) -> Result<Option<(String, Window)>, Error> {
        let sql = "SELECT s.name, r.schedule, r.series, r.number, r.changes_after, r.changes_to, r.starts_at, r.ends_at,
                       r.late, (SELECT value FROM meta WHERE name = 'identity')
                   FROM schedule_run r JOIN schedule s ON s.id = r.schedule WHERE r.job = $1";
        self.read(|connection| {
            connection.row(sql, &[job.into()], |row| {
                let (starts_at, ends_at) = (row.int_or_none(6)?, row.int_or_none(7)?);
                let window = Window {
                    series: format!("{}/{}/{}", row.text(9)?, row.int(1)?, row.int(2)?),
                    number: row.int(3)?.unsigned_abs(),
                    changes_after: row.int(4)?,
                    changes_to: row.int(5)?,
                    period: starts_at.and_then(moment).zip(ends_at.and_then(moment)),
                    late: row.int(8)?.unsigned_abs(),
                };
                Ok((row.text(0)?, window))
            })
        })
    }
}

/// Has a series of periods begin at `start`. Older items count as late only if they are imported from now on.
fn begin_periods(
    connection: &mut Connection,
    schedule: i64,
    start: Option<Time>,
) -> Result<(), Error> {
    let Some(start) = start else { return Ok(()) };
    let sql = "UPDATE schedule SET period_to = $1,
                   changes_to = COALESCE((SELECT value FROM counter WHERE name = 'item'), 0)
               WHERE id = $2";
    let values = [Value::Int(start.unix_micros()), schedule.into()];
    connection.execute(sql, &values).map(|_| ())
}

/// The series of a schedule, locked until the transaction ends; none if a run is in progress, or someone else changed
/// the schedule since it was read.
pub(crate) fn series_of(
    connection: &mut Connection,
    schedule: &Schedule,
) -> Result<Option<Series>, Error> {
    let locked = connection.dialect().locked();
    let sql = format!(
        "SELECT series, windows, changes_to, seen FROM schedule WHERE id = $1 AND revision = $2 AND job IS NULL{locked}"
    );
    connection.row(&sql, &[schedule.id.into(), schedule.revision.into()], |row| {
        Ok(Series {
            series: row.int(0)?,
            windows: row.int(1)?,
            changes_to: row.int(2)?,
            seen: row.text_or_none(3)?,
        })
    })
}

/// If the job is a run of a schedule, records its outcome: a dataset closes the window, a run without one leaves it open,
/// and a failure is retried or disables the schedule.
pub(crate) fn run_ended(connection: &mut Connection, job: i64, now: Time) -> Result<(), Error> {
    let sql = "SELECT s.id, s.state, s.failures + 1, j.state, j.error, j.dataset
               FROM job j JOIN schedule s ON s.id = j.schedule
               WHERE j.id = $1 AND (s.job = $1 OR s.job IS NULL)";
    let found = connection.row(sql, &[job.into()], |row| {
        let is_active = row.text(1)? == ScheduleState::Active.as_str();
        let state: JobState = row.text(3)?.parse().map_err(Error::Damaged)?;
        let failures = row.int(2)?.unsigned_abs();
        let came = (row.text_or_none(4)?, row.int_or_none(5)?.is_some());
        Ok((row.int(0)?, is_active, failures, state, came))
    })?;
    let Some((schedule, is_active, failures, state, (error, is_made))) = found else {
        return Ok(());
    };
    let note = match state {
        JobState::Completed | JobState::CompletedWithSkips => error,
        JobState::Cancelled => Some(format!("job {job} was cancelled")),
        _ => Some(error.unwrap_or_else(|| format!("job {job} failed"))),
    };
    let sql = "UPDATE schedule SET job = NULL, last_at = $1, last_note = $2, revision = revision + 1 WHERE id = $3";
    let at = Value::Int(now.unix_micros());
    connection.execute(sql, &[at, note.as_deref().into(), schedule.into()])?;
    if note.is_some() {
        drop_delivery(connection, job)?;
    }
    match state {
        JobState::Completed | JobState::CompletedWithSkips if !is_made => {
            let sql = "UPDATE schedule SET failures = 0 WHERE id = $1";
            connection.execute(sql, &[schedule.into()]).map(|_| ())
        }
        JobState::Completed | JobState::CompletedWithSkips => {
            begin_delivery(connection, job, now)?;
            close_window(connection, schedule, job)
        }
        JobState::Failed if is_active && failures >= SCHEDULE_FAILURES => {
            let why = note.unwrap_or_default();
            let reason = format!("{failures} runs failed in a row: {why}");
            disable(connection, schedule, failures, &reason)
        }
        JobState::Failed => plan_retry(connection, schedule, failures, now),
        _ => Ok(()),
    }
}

/// Counts the dataset of a run and closes its window, so that the next one begins where it ended.
fn close_window(connection: &mut Connection, schedule: i64, job: i64) -> Result<(), Error> {
    let sql = "UPDATE schedule SET delivered = delivered + 1, failures = 0 WHERE id = $1";
    connection.execute(sql, &[schedule.into()])?;
    let sql = "UPDATE schedule SET windows = r.number, changes_to = r.changes_to,
                   period_to = COALESCE(r.ends_at, period_to)
               FROM schedule_run r WHERE r.job = $1 AND schedule.id = $2";
    connection.execute(sql, &[job.into(), schedule.into()])?;
    list_window(connection, job)
}

/// Has a schedule run again after a wait that grows with its failures, unless it runs sooner anyway.
fn plan_retry(
    connection: &mut Connection,
    schedule: i64,
    failures: u64,
    now: Time,
) -> Result<(), Error> {
    let wait = i64::try_from(retry_wait(failures).as_micros()).unwrap_or(i64::MAX);
    let again = now.unix_micros().saturating_add(wait);
    let sql = "UPDATE schedule SET failures = $1, planned_at = $2,
                   next_at = CASE WHEN next_at > $3 THEN $3 ELSE next_at END WHERE id = $4";
    let at = Value::Int(now.unix_micros());
    let values = [Value::Int(whole(failures)), at, Value::Int(again), schedule.into()];
    connection.execute(sql, &values).map(|_| ())
}

/// Disables a schedule, with the reason.
pub(crate) fn disable(
    connection: &mut Connection,
    schedule: i64,
    failures: u64,
    reason: &str,
) -> Result<(), Error> {
    let sql = "UPDATE schedule SET state = $1, reason = $2, next_at = NULL, failures = $3, revision = revision + 1
               WHERE id = $4";
    let state = ScheduleState::Disabled.as_str();
    let values = [state.into(), reason.into(), Value::Int(whole(failures)), schedule.into()];
    connection.execute(sql, &values).map(|_| ())
}
