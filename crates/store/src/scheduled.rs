//! Runs of schedules: each an export with its window, queued in the transaction in which its schedule goes on.

use retort_model::{ItemFilter, JobKind, JobState, ProjectRole, Scope, Time};

use crate::dialect::Value;
use crate::error::Error;
use crate::filter::Statement;
use crate::jobs::{JOB, Job, NewExport, add_job, queue_export, read_job};
use crate::notices::notify;
use crate::page::{page_of, room_of};
use crate::schedules::{Schedule, disable, run_ended, series_of};
use crate::store::{last_change, take_turn};
use crate::within::{Within, count_late};

/// What of the matching items a run takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Taking {
    /// All.
    All,
    /// What came or changed since the last run.
    Changed,
    /// A period, and what came late for earlier ones.
    Period(Time, Time),
}

/// A run to be queued.
#[derive(Clone, Copy, Debug)]
pub struct NewRun<'n> {
    /// The schedule as it was read.
    pub schedule: &'n Schedule,
    /// What it takes.
    pub taking: Taking,
    /// When the schedule runs next.
    pub next_at: Option<Time>,
}

/// What came of a run that was to be queued.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum RunQueued {
    /// The job.
    Job(i64),
    /// Nothing matches: the schedule goes on to its next time.
    Nothing,
    /// Another server queued it, or someone changed the schedule.
    Elsewhere,
}

/// Whose items a scope shows: a series that changes it begins anew, as what was seen before is other.
fn seen(scope: &Scope) -> String {
    match &scope.owner {
        None => "everyone".into(),
        Some(owner) => format!("{} {owner}", if scope.only_imported { "imported" } else { "own" }),
    }
}

impl crate::Store {
    /// Queues a run of a schedule, freezes its selection and has the schedule go on, all or nothing.
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
        let (schedule, kind) = (run.schedule.id, selection.kind());
        self.write(|connection| {
            take_turn(connection)?;
            let Some(mut series) = series_of(connection, run.schedule)? else {
                return Ok(RunQueued::Elsewhere);
            };
            let seen = seen(scope);
            if run.taking == Taking::Changed && series.seen.as_ref().is_some_and(|before| *before != seen) {
                (series.series, series.windows, series.changes_to) = (series.series + 1, 0, 0);
            }
            let after = series.changes_to;
            let within = match run.taking {
                Taking::All => Within::All,
                Taking::Changed => Within::ChangedAfter(after),
                Taking::Period(from, before) => Within::Period {
                    from: from.unix_micros(),
                    before: before.unix_micros(),
                    came_after: after,
                },
            };
            let to = last_change(connection)?;
            let job = queue_export(connection, scope, (selection, within), new, now)?;
            let at = Value::Int(now.unix_micros());
            let sql = "SELECT COUNT(*) FROM (SELECT 1 FROM job_item WHERE job = $1 LIMIT 1) i";
            let is_any = connection.row(sql, &[job.into()], |row| row.int(0))? == Some(1);
            if !is_any {
                for table in ["job_item", "job_shard"] {
                    connection.execute(&format!("DELETE FROM {table} WHERE job = $1"), &[job.into()])?;
                }
                connection.execute("DELETE FROM job WHERE id = $1", &[job.into()])?;
            }
            let job_or_none = is_any.then_some(job);
            let note = (!is_any).then_some("nothing new");
            let sql = "UPDATE schedule SET next_at = $1, planned_at = $2, revision = revision + 1, job = $3, series = $4,
                           windows = $5, changes_to = $6, seen = $7,
                           last_at = CASE WHEN CAST($3 AS BIGINT) IS NULL THEN $2 ELSE last_at END, last_note = $8
                       WHERE id = $9";
            let values = [
                run.next_at.map(Time::unix_micros).into(),
                at,
                job_or_none.into(),
                series.series.into(),
                series.windows.into(),
                after.into(),
                Value::Text(&seen),
                note.into(),
                schedule.into(),
            ];
            connection.execute(sql, &values)?;
            if !is_any {
                return Ok(RunQueued::Nothing);
            }
            connection.execute("UPDATE job SET schedule = $1 WHERE id = $2", &[schedule.into(), job.into()])?;
            let (period, late) = match run.taking {
                Taking::All => return Ok(RunQueued::Job(job)),
                Taking::Changed => (None, 0),
                Taking::Period(from, before) => {
                    let late = count_late(connection, (job, kind), from.unix_micros())?;
                    (Some((from.unix_micros(), before.unix_micros())), late)
                }
            };
            let sql = "INSERT INTO schedule_run (job, schedule, series, number, changes_after, changes_to, starts_at,
                           ends_at, late) VALUES ($1, $2, $3, $4, $5, $6, $7, $8, $9)";
            let values = [
                job.into(),
                schedule.into(),
                series.series.into(),
                (series.windows + 1).into(),
                after.into(),
                to.into(),
                period.map(|(from, _)| from).into(),
                period.map(|(_, before)| before).into(),
                late.into(),
            ];
            connection.execute(sql, &values)?;
            Ok(RunQueued::Job(job))
        })
    }

    /// Notes that a run of a schedule could not be queued, as a job that failed; with `is_over`, the schedule is
    /// disabled with the same reason. Nothing if someone changed the schedule meanwhile.
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

    /// The datasets that a schedule made and that are there, the newest first.
    pub fn schedule_datasets(&self, schedule: i64) -> Result<Vec<i64>, Error> {
        let sql =
            "SELECT dataset FROM job WHERE schedule = $1 AND dataset IS NOT NULL ORDER BY id DESC";
        self.read(|connection| connection.rows(sql, &[schedule.into()], |row| row.int(0)))
    }
}
