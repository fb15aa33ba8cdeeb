//! Runs of schedules. Each is an export with a window, queued in the transaction that sets the schedule's next time.

use retort_model::{ItemFilter, ItemKind, JobKind, JobState, ProjectRole, Scope, Time};

use crate::delivery_queue::plan_delivery;
use crate::dialect::{Connection, Value};
use crate::error::Error;
use crate::job::{JOB, Job, read_job};
use crate::jobs::{NewExport, add_job, queue_export};
use crate::notices::notify;
use crate::page::{page_of, room_of};
use crate::schedules::{Schedule, Series, disable, run_ended, series_of};
use crate::statement::Statement;
use crate::store::{last_change, take_turn};
use crate::within::{Within, count_late};

/// Which of the matching items a run exports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunWindow {
    /// All.
    All,
    /// Those that are new or changed since the last run.
    Changed,
    /// Those of a period, and those of earlier periods that arrived late.
    Period(Time, Time),
}

impl RunWindow {
    /// The window of a series that has exported the changes up to `changes_to`.
    fn within(self, changes_to: i64) -> Within {
        match self {
            Self::All => Within::All,
            Self::Changed => Within::ChangedAfter(changes_to),
            Self::Period(from, before) => Within::Period {
                from: from.unix_micros(),
                before: before.unix_micros(),
                came_after: changes_to,
            },
        }
    }
}

/// A run to be queued.
#[derive(Clone, Copy, Debug)]
pub struct NewRun<'n> {
    /// The schedule as it was read.
    pub schedule: &'n Schedule,
    /// Which items it exports.
    pub window: RunWindow,
    /// When the schedule runs next.
    pub next_at: Option<Time>,
    /// The moment and number that the dataset's folder at the destination is named after; none if it stays in the store.
    pub delivers: Option<(Time, u64)>,
}

/// The outcome of queuing a run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunQueued {
    /// The job.
    Job(i64),
    /// Nothing matches: the schedule waits for its next time.
    Nothing,
    /// Another server queued it, or someone changed the schedule.
    Elsewhere,
}

/// Whose items a scope shows. If that changes, a new series begins, as the earlier windows were of other items.
fn seen(scope: &Scope) -> String {
    match &scope.owner {
        None => "everyone".into(),
        Some(owner) => format!("{} {owner}", if scope.only_imported { "imported" } else { "own" }),
    }
}

impl crate::Store {
    /// Queues a run of a schedule, freezes its selection and sets the schedule's next time, all or nothing.
    ///
    /// # Errors
    /// The dataset's name is in use; those of the database.
    pub fn submit_run(
        &self,
        scope: &Scope,
        selection: &ItemFilter,
        new: &NewExport<'_>,
        run: &NewRun<'_>,
        now: Time,
    ) -> Result<RunQueued, Error> {
        self.write(|connection| {
            take_turn(connection)?;
            let Some(mut series) = series_of(connection, run.schedule)? else {
                return Ok(RunQueued::Elsewhere);
            };
            let seen = Some(seen(scope));
            if run.window == RunWindow::Changed && series.seen.is_some() && series.seen != seen {
                (series.series, series.windows, series.changes_to) = (series.series + 1, 0, 0);
            }
            series.seen = seen;
            let within = run.window.within(series.changes_to);
            let changes_to = last_change(connection)?;
            let job = queue_export(connection, scope, (selection, within), new, now)?;
            let job = drop_if_empty(connection, job)?;
            note_queued(connection, run, &series, job, now)?;
            let Some(job) = job else { return Ok(RunQueued::Nothing) };
            let sql = "UPDATE job SET schedule = $1 WHERE id = $2";
            connection.execute(sql, &[run.schedule.id.into(), job.into()])?;
            add_window(connection, (job, selection.kind()), run, &series, changes_to)?;
            if let Some(named_after) = run.delivers {
                plan_delivery(connection, (job, run.schedule.id), named_after)?;
            }
            Ok(RunQueued::Job(job))
        })
    }

    /// Records a run that could not be queued as a failed job. With `is_over`, the schedule is disabled for the same
    /// reason. Does nothing if someone else changed the schedule since it was read.
    pub fn fail_run(
        &self,
        (schedule, next_at): (&Schedule, Option<Time>),
        name: &str,
        error: &str,
        is_over: bool,
        now: Time,
    ) -> Result<(), Error> {
        self.write(|connection| {
            take_turn(connection)?;
            if series_of(connection, schedule)?.is_none() {
                return Ok(());
            }
            let who = (&*schedule.creator, schedule.person, ProjectRole::Member);
            let job = add_job(connection, schedule.project, JobKind::Export, who, (name, "{}"), now)?;
            let sql = "UPDATE job SET state = $1, error = $2, finished_at = $3, schedule = $4 WHERE id = $5";
            let values = [
                JobState::Failed.as_str().into(),
                error.into(),
                Value::Int(now.unix_micros()),
                schedule.id.into(),
                job.into(),
            ];
            connection.execute(sql, &values)?;
            let sql = "UPDATE schedule SET next_at = $1 WHERE id = $2";
            connection.execute(sql, &[next_at.map(Time::unix_micros).into(), schedule.id.into()])?;
            run_ended(connection, job, now)?;
            if is_over {
                disable(connection, schedule.id, schedule.failures + 1, error)?;
            }
            notify(connection, job, now)
        })
    }

    /// The runs of a schedule, the newest first, in a page bounded in bytes.
    pub fn schedule_runs(&self, schedule: &Schedule, most: usize) -> Result<Vec<Job>, Error> {
        let mut statement = Statement::new(JOB);
        statement.push(" WHERE schedule = ").int(schedule.id);
        statement.newest_behind("id", None, most);
        let room = |job: &Job| room_of([&job.name, &job.creator]) + job.plan.len();
        let page = self.read(|connection| page_of(connection, &statement, most, read_job, room))?;
        Ok(page.0)
    }
}

/// The job, unless it has no items: then it is deleted.
fn drop_if_empty(connection: &mut Connection, job: i64) -> Result<Option<i64>, Error> {
    let sql = "SELECT COUNT(*) FROM (SELECT 1 FROM job_item WHERE job = $1 LIMIT 1) i";
    if connection.row(sql, &[job.into()], |row| row.int(0))? == Some(1) {
        return Ok(Some(job));
    }
    for table in ["job_item", "job_shard"] {
        connection.execute(&format!("DELETE FROM {table} WHERE job = $1"), &[job.into()])?;
    }
    connection.execute("DELETE FROM job WHERE id = $1", &[job.into()])?;
    Ok(None)
}

/// Writes into a schedule that a run was queued, or found nothing to export.
fn note_queued(
    connection: &mut Connection,
    run: &NewRun<'_>,
    series: &Series,
    job: Option<i64>,
    now: Time,
) -> Result<(), Error> {
    let note = if job.is_some() { None } else { Some("nothing new") };
    let sql = "UPDATE schedule SET next_at = $1, planned_at = $2, revision = revision + 1, job = $3, series = $4,
                   windows = $5, changes_to = $6, seen = $7,
                   last_at = CASE WHEN CAST($3 AS BIGINT) IS NULL THEN $2 ELSE last_at END, last_note = $8
               WHERE id = $9";
    let values = [
        run.next_at.map(Time::unix_micros).into(),
        Value::Int(now.unix_micros()),
        job.into(),
        series.series.into(),
        series.windows.into(),
        series.changes_to.into(),
        series.seen.as_ref().into(),
        note.into(),
        run.schedule.id.into(),
    ];
    connection.execute(sql, &values).map(|_| ())
}

/// Adds the window of a run; a run that exports everything has none.
fn add_window(
    connection: &mut Connection,
    (job, kind): (i64, ItemKind),
    run: &NewRun<'_>,
    series: &Series,
    changes_to: i64,
) -> Result<(), Error> {
    let (period, late) = match run.window {
        RunWindow::All => return Ok(()),
        RunWindow::Changed => (None, 0),
        RunWindow::Period(from, before) => {
            let (from, before) = (from.unix_micros(), before.unix_micros());
            (Some((from, before)), count_late(connection, (job, kind), from)?)
        }
    };
    let sql = "INSERT INTO schedule_run (job, schedule, series, number, changes_after, changes_to, starts_at,
                   ends_at, late) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
    let values = [
        job.into(),
        run.schedule.id.into(),
        series.series.into(),
        (series.windows + 1).into(),
        series.changes_to.into(),
        changes_to.into(),
        period.map(|(from, _)| from).into(),
        period.map(|(_, before)| before).into(),
        late.into(),
    ];
    connection.execute(sql, &values).map(|_| ())
}
