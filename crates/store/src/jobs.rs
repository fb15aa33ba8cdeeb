//! Jobs: the queue, the frozen selections of exports, their parts, and who holds what.

use std::collections::HashSet;

use retort_model::bounds::{FAILED_JOB_DAYS, JOB_ATTEMPTS};
use retort_model::{
    ConversationFilter, DocumentFilter, ItemFilter, ItemKind, JobKind, JobState, ProjectRole,
    RunFilter, Scope, Time,
};

use crate::columns::{moment, whole};
use crate::cut::{cut, set_totals};
use crate::datasets::{NewDataset, add_dataset, forget_dataset};
use crate::delivery_queue::deliver_instead;
use crate::dialect::{Connection, Value};
use crate::documents::push_documents;
use crate::error::Error;
use crate::filter::{SearchBy, push_conversations, search_by, texts_by, walk_or};
use crate::items::table;
use crate::job::{JOB, Job, JobProgress, read_job, refuse_taken};
use crate::notices::notify;
use crate::page::{page_of, room_of};
use crate::run_filter::{flows_meant, page_by, push_runs};
use crate::schedules::run_ended;
use crate::statement::Statement;
use crate::store::{next, take_turn};
use crate::within::{Within, moment_of};

/// An export to be queued.
#[derive(Clone, Copy, Debug, Default)]
pub struct NewExport<'n> {
    /// The name of who asks.
    pub creator: &'n str,
    /// Their number; none for someone who opens the store directly.
    pub person: Option<i64>,
    /// The dataset's name.
    pub name: &'n str,
    /// What is to be done.
    pub plan: &'n str,
    /// Bytes of history after which a next part begins.
    pub part_bytes: u64,
}

/// An import to be queued.
#[derive(Clone, Copy, Debug)]
pub struct NewImport<'n> {
    /// The name of who asks.
    pub creator: &'n str,
    /// Their number; none for someone who opens the store directly.
    pub person: Option<i64>,
    /// The role that it takes.
    pub needs: ProjectRole,
    /// What is imported.
    pub name: &'n str,
    /// What is to be done.
    pub plan: &'n str,
    /// Bytes that wait to be read, as far as that is known.
    pub bytes: u64,
}

/// A worker says every half second that it has its job for one lease more. What it holds for longer than this, and for
/// longer than several leases, was written by a clock that was wrong, and nobody holds it. Clocks of several machines
/// may differ by less.
pub(crate) const FAR_LEASE_MICROS: i64 = 15 * 60 * 1_000_000;

/// What the queue is like.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct QueueStats {
    /// When the job that has waited longest was asked for.
    pub oldest: Option<Time>,
    /// Jobs under way whose workers have not been heard of in time.
    pub expired_leases: u64,
    /// Deliveries to webhooks that are still to be made.
    pub deliveries_waiting: u64,
    /// Those that were given up.
    pub deliveries_failed: u64,
}

impl crate::Store {
    /// Queues an import.
    pub fn submit_import(
        &self,
        project: i64,
        new: &NewImport<'_>,
        now: Time,
    ) -> Result<i64, Error> {
        self.write(|connection| {
            let who = (new.creator, new.person, new.needs);
            let texts = (new.name, new.plan);
            let job = add_job(connection, project, JobKind::Import, who, texts, now)?;
            // They count against quotas while they wait.
            let sql = "UPDATE job SET bytes_total = $1 WHERE id = $2";
            connection.execute(sql, &[Value::Int(whole(new.bytes)), job.into()])?;
            Ok(job)
        })
    }

    /// Notes an import that a worker does at once: nobody else can take it, unless the worker is not heard of any more.
    pub fn begin_import(
        &self,
        project: i64,
        new: &NewImport<'_>,
        (worker, lease_until): (&str, Time),
        now: Time,
    ) -> Result<Job, Error> {
        self.write(|connection| {
let who = (new.creator, new.person, new.needs);
            let texts = (new.name, new.plan);
            let job = add_job(connection, project, JobKind::Import, who, texts, now)?;
            let sql = "UPDATE job SET state = 'running', worker = $1, lease_until = $2, attempts = 1, started_at = $3
                       WHERE id = $4";
            let (lease, began) = (lease_until.unix_micros(), now.unix_micros());
            let values = [worker.into(), Value::Int(lease), Value::Int(began), job.into()];
            connection.execute(sql, &values)?;
            let found = connection.row(&format!("{JOB} WHERE id = $1"), &[job.into()], read_job)?;
            found.ok_or(Error::NotHeld)
        })
    }

    /// Queues an export and freezes its selection: what scope and selection mean now, its limit the most recent.
    ///
    /// # Errors
    /// The name is in use; those of the database.
    pub fn submit_export(
        &self,
        scope: &Scope,
        selection: &ItemFilter,
        new: &NewExport<'_>,
        now: Time,
    ) -> Result<i64, Error> {
        self.write(|connection| {
            take_turn(connection)?;
            queue_export(connection, scope, (selection, Within::All), new, now)
        })
    }

    /// Says that the worker is still there and how far the job is; whether it is to end.
    ///
    /// # Errors
    /// The job is no longer this worker's; those of the database.
    pub fn keep(
        &self,
        job: i64,
        worker: &str,
        progress: &JobProgress,
        lease_until: Time,
    ) -> Result<bool, Error> {
        let sql =
            "UPDATE job SET lease_until = $1, items_total = $2, items_done = $3, bytes_total = $4,
                       bytes_done = $5, records = $6
                   WHERE id = $7 AND worker = $8 AND state = 'running' RETURNING cancel";
        let count = |number: u64| Value::Int(whole(number));
        let values = [
            Value::Int(lease_until.unix_micros()),
            count(progress.items_total),
            count(progress.items_done),
            count(progress.bytes_total),
            count(progress.bytes_done),
            count(progress.records),
            job.into(),
            worker.into(),
        ];
        let cancel = self.write(|connection| connection.row(sql, &values, |row| row.int(0)))?;
        cancel.map(|cancel| cancel != 0).ok_or(Error::NotHeld)
    }

    /// Refuses a job whose asker has lost the role that it takes: it is not worked on.
    ///
    /// # Errors
    /// They have; those of the database.
    pub fn refuse_lost_role(&self, job: &Job) -> Result<(), Error> {
        self.read(|connection| refuse_lost_role(connection, job))
    }

    /// Ends an export with its dataset, which is seen from this moment on.
    ///
    /// # Errors
    /// The job is no longer this worker's, or the name was taken meanwhile; those of the database.
    pub fn finish_export(
        &self,
        job: i64,
        worker: &str,
        state: JobState,
        report: &str,
        dataset: &NewDataset,
        now: Time,
    ) -> Result<i64, Error> {
        self.write(|connection| {
            take_turn(connection)?;
            let found = held(connection, job, worker)?;
            // Nobody's role changes between this look and the dataset.
            next(connection, "membership", 0)?;
            refuse_lost_role(connection, &found)?;
            let name = match found.replaces {
                Some(old) => forget_dataset(connection, old)?.ok_or(Error::ReplacedGone)?,
                None => dataset.name.clone(),
            };
            refuse_taken(connection, found.project, &found.creator, &name, Some(job))?;
            let id = add_dataset(connection, &found, (dataset, &name), now)?;
            if let Some(old) = found.replaces {
                deliver_instead(connection, old, id)?;
            }
            let sql = "UPDATE job SET dataset = $1, items_done = items_total, bytes_done = bytes_total, records = $2
                       WHERE id = $3";
            connection.execute(sql, &[id.into(), Value::Int(whole(dataset.records)), job.into()])?;
            set_ended(connection, job, state, None, Some(report), now)?;
            Ok(id)
        })
    }

    /// Ends a run of a schedule that left out all of its items, and says why. Its window stays open: these items come again
    /// with the next run.
    ///
    /// # Errors
    /// The job is no longer this worker's; those of the database.
    pub fn end_without_dataset(
        &self,
        job: i64,
        worker: &str,
        report: &str,
        why: &str,
        now: Time,
    ) -> Result<(), Error> {
        self.write(|connection| {
            take_turn(connection)?;
            held(connection, job, worker)?;
            let sql =
                "UPDATE job SET items_done = items_total, bytes_done = bytes_total WHERE id = $1";
            connection.execute(sql, &[job.into()])?;
            set_ended(connection, job, JobState::CompletedWithSkips, Some(why), Some(report), now)
        })
    }

    /// Ends a job without a dataset.
    ///
    /// # Errors
    /// The job is no longer this worker's; those of the database.
    pub fn end(
        &self,
        job: i64,
        worker: &str,
        state: JobState,
        error: Option<&str>,
        report: Option<&str>,
        now: Time,
    ) -> Result<(), Error> {
        self.write(|connection| {
            take_turn(connection)?;
            held(connection, job, worker)?;
            set_ended(connection, job, state, error, report, now)
        })
    }

    /// Notes how many bytes the list has that is kept of what an import could not read.
    ///
    /// # Errors
    /// The job is no longer this worker's; those of the database.
    pub fn note_rejects(&self, job: i64, worker: &str, bytes: Option<u64>) -> Result<(), Error> {
        let sql =
            "UPDATE job SET rejects_bytes = $1 WHERE id = $2 AND worker = $3 AND state = 'running'";
        let values = [bytes.map(whole).into(), job.into(), worker.into()];
        still_held(self.write(|connection| connection.execute(sql, &values))?)
    }

    /// Gives a job back to the queue, as its worker stops.
    ///
    /// # Errors
    /// The job is no longer this worker's; those of the database.
    pub fn give_back(&self, job: i64, worker: &str) -> Result<(), Error> {
        self.write(|connection| {
            // Who stops in good order was not ended by the job.
            let sql = "UPDATE job SET state = 'queued', worker = NULL, lease_until = NULL,
                           attempts = attempts - 1
                       WHERE id = $1 AND worker = $2 AND state = 'running'";
            still_held(connection.execute(sql, &[job.into(), worker.into()])?)
        })
    }

    /// Puts a job back into the queue because the store was away. Unlike [`Self::give_back`], that is an attempt.
    ///
    /// # Errors
    /// The job is no longer this worker's; those of the database.
    pub fn put_back(&self, job: i64, worker: &str) -> Result<(), Error> {
        self.write(|connection| {
            let sql = "UPDATE job SET state = 'queued', worker = NULL, lease_until = NULL
                 WHERE id = $1 AND worker = $2 AND state = 'running'";
            still_held(connection.execute(sql, &[job.into(), worker.into()])?)
        })
    }

    /// How many jobs there are in each state, anyone's.
    pub fn job_counts(&self) -> Result<Vec<(JobState, u64)>, Error> {
        let sql = "SELECT state, COUNT(*) FROM job GROUP BY state";
        let found = self.read(|connection| {
            connection.rows(sql, &[], |row| {
                let state: JobState = row.text(0)?.parse().map_err(Error::Damaged)?;
                Ok((state, row.int(1)?.unsigned_abs()))
            })
        })?;
        let count = |state| found.iter().find(|(one, _)| *one == state).map_or(0, |(_, n)| *n);
        Ok(JobState::ALL.iter().map(|&state| (state, count(state))).collect())
    }

    /// What the queue is like, of all projects.
    pub fn queue_stats(&self, now: Time) -> Result<QueueStats, Error> {
        let sql = "SELECT
                (SELECT MIN(created_at) FROM job WHERE state = 'queued'),
                (SELECT COUNT(*) FROM job WHERE state = 'running' AND lease_until < $1),
                (SELECT COUNT(*) FROM delivery WHERE next_at IS NOT NULL),
                (SELECT COUNT(*) FROM delivery WHERE next_at IS NULL AND COALESCE(status, 0) NOT BETWEEN 200 AND 299)";
        let found = self.read(|connection| {
            connection.row(sql, &[Value::Int(now.unix_micros())], |row| {
                let count = |column| Ok::<_, Error>(row.int(column)?.unsigned_abs());
                Ok(QueueStats {
                    oldest: row.int_or_none(0)?.and_then(moment),
                    expired_leases: count(1)?,
                    deliveries_waiting: count(2)?,
                    deliveries_failed: count(3)?,
                })
            })
        })?;
        Ok(found.unwrap_or_default())
    }

    /// Bytes of the datasets in a scope, of what waits in it to be imported, and of what is kept of imports.
    pub fn made_bytes(&self, scope: &Scope) -> Result<u64, Error> {
        let mut datasets =
            Statement::new("SELECT CAST(COALESCE(SUM(bytes), 0) AS BIGINT) FROM dataset");
        datasets.made_in(scope);
        let mut waiting =
            Statement::new("SELECT CAST(COALESCE(SUM(bytes_total), 0) AS BIGINT) FROM job");
        waiting.made_in(scope).push(" AND kind = 'import' AND state IN ('queued', 'running')");
        let mut kept =
            Statement::new("SELECT CAST(COALESCE(SUM(rejects_bytes), 0) AS BIGINT) FROM job");
        kept.made_in(scope);
        self.read(|connection| {
            let mut sum = 0;
            for statement in [&datasets, &waiting, &kept] {
                let found =
                    connection.row(&statement.sql, &statement.values(), |row| row.int(0))?;
                sum += found.unwrap_or(0).unsigned_abs();
            }
            Ok(sum)
        })
    }

    /// Bytes of all items and datasets of a project.
    pub fn project_bytes(&self, project: i64) -> Result<u64, Error> {
        let made = self.made_bytes(&Scope::project(project))?;
        self.read(|connection| {
            let mut sum = made;
            for table in ["conversation", "run", "document"] {
                let sql = format!(
                    "SELECT CAST(COALESCE(SUM(size), 0) AS BIGINT) FROM {table} WHERE project = $1"
                );
                let found = connection.row(&sql, &[project.into()], |row| row.int(0))?;
                sum += found.unwrap_or(0).unsigned_abs();
            }
            Ok(sum)
        })
    }

    /// Removes jobs that ended before a moment and have no dataset and nothing else left, notices from before another,
    /// and entries of the audit log from before a third. Returns the removed imports of which a list is kept.
    pub fn forget_old(
        &self,
        jobs: Option<Time>,
        notices: Option<Time>,
        audit: Option<Time>,
    ) -> Result<Vec<i64>, Error> {
        let jobs_before = "SELECT id FROM job WHERE state NOT IN ('queued', 'running')
                           AND finished_at < $1 AND dataset IS NULL AND lease_until IS NULL";
        let mut all = Vec::new();
        for table in ["job_left_out", "job_item", "job_shard", "schedule_run", "schedule_delivery"]
        {
            all.push((jobs, format!("DELETE FROM {table} WHERE job IN ({jobs_before})")));
        }
        all.push((jobs, format!("DELETE FROM job WHERE id IN ({jobs_before})")));
        let notices_before = "SELECT id FROM notice WHERE at < $1";
        all.push((notices, format!("DELETE FROM delivery WHERE notice IN ({notices_before})")));
        all.push((notices, format!("DELETE FROM notice WHERE id IN ({notices_before})")));
        let listed = format!("{jobs_before} AND rejects_bytes IS NOT NULL");
        self.write(|connection| {
            let listed = match jobs.map(|before| Value::Int(before.unix_micros())) {
                Some(before) => connection.rows(&listed, &[before], |row| row.int(0))?,
                None => Vec::new(),
            };
            for (before, sql) in &all {
                if let Some(before) = before {
                    connection.execute(sql, &[Value::Int(before.unix_micros())])?;
                }
            }
            let Some(before) = audit.map(|before| Value::Int(before.unix_micros())) else {
                return Ok(listed);
            };
            let sql = "SELECT COUNT(*) FROM (SELECT 1 FROM audit WHERE at < $1 LIMIT 1) old";
            if connection.row(sql, &[before], |row| row.int(0))? == Some(0) {
                return Ok(listed);
            }
            let (open, close) = connection.dialect().audit_deletion();
            connection.script(open)?;
            connection.execute("DELETE FROM audit WHERE at < $1", &[before])?;
            connection.script(close)?;
            Ok(listed)
        })
    }

    /// Whether a job waits, is under way or is to be cleared up after, in any project: for workers, who serve all.
    pub fn has_open_jobs(&self) -> Result<bool, Error> {
        let sql = "SELECT COUNT(*) FROM job 
                   WHERE state = 'queued' OR (state <> 'failed' AND lease_until IS NOT NULL)";
        Ok(self.read(|connection| connection.row(sql, &[], |row| row.int(0)))?.unwrap_or(0) > 0)
    }

    /// Jobs that have ended, and whose worker was not heard of since or whose next try was long awaited: what they
    /// made besides a dataset, or are to be made of, may still be there.
    pub fn uncleared(&self, now: Time) -> Result<Vec<Job>, Error> {
        let sql = format!("{JOB} WHERE state NOT IN ('queued', 'running') AND lease_until < $1");
        self.read(|connection| connection.rows(&sql, &[Value::Int(now.unix_micros())], read_job))
    }

    /// Notes that nothing is left of a job that has ended but its dataset.
    pub fn cleared(&self, job: i64) -> Result<(), Error> {
        self.write(|connection| {
            let sql = "UPDATE job SET lease_until = NULL
                       WHERE id = $1 AND state NOT IN ('queued', 'running')";
            connection.execute(sql, &[job.into()]).map(|_| ())
        })
    }

    /// Jobs in a scope, the newest first, at most so many.
    pub fn jobs(&self, scope: &Scope, most: usize) -> Result<Vec<Job>, Error> {
        let mut statement = Statement::new(JOB);
        statement.made_in(scope).push(" ORDER BY id DESC").at_most(most);
        self.read(|connection| connection.rows(&statement.sql, &statement.values(), read_job))
    }

    /// The jobs in a scope, of a kind or of any, the newest first: the first behind `after`, or of all, in a page bounded
    /// in bytes; and whether there are more.
    pub fn job_page(
        &self,
        scope: &Scope,
        kind: Option<JobKind>,
        after: Option<i64>,
        most: usize,
    ) -> Result<(Vec<Job>, bool), Error> {
        let mut statement = Statement::new(JOB);
        statement.made_in(scope);
        if let Some(kind) = kind {
            statement.push(" AND kind = ").text(kind.as_str());
        }
        statement.newest_behind("id", after, most);
        let room = |job: &Job| {
            let report = job.report.as_ref().map_or(0, String::len);
            let error = job.error.as_deref().unwrap_or_default();
            room_of([&job.name, &job.creator, error]) + job.plan.len() + report
        };
        self.read(|connection| page_of(connection, &statement, most, read_job, room))
    }

    /// The names of the datasets in a scope, and of those that are being exported.
    pub fn dataset_names(&self, scope: &Scope) -> Result<HashSet<String>, Error> {
        let mut statement = Statement::new("SELECT name FROM dataset");
        statement.made_in(scope).push(" UNION SELECT name FROM job").made_in(scope);
        statement.push(" AND kind = 'export' AND state IN ('queued', 'running')");
        let names = self.read(|connection| {
            connection.rows(&statement.sql, &statement.values(), |row| row.text(0))
        })?;
        Ok(names.into_iter().collect())
    }

    /// Forgets what imports were called and what came of them, which names their files; each has another plan.
    pub fn forget_imports(&self, name: &str, plans: &[(i64, String)]) -> Result<(), Error> {
        if plans.is_empty() {
            return Ok(());
        }
        self.write(|connection| {
            for (job, plan) in plans {
                let sql = "UPDATE job SET name = $1, plan = $2, report = NULL, error = NULL, rejects_bytes = NULL
                           WHERE id = $3";
                connection.execute(sql, &[name.into(), plan.into(), Value::Int(*job)])?;
            }
            Ok(())
        })?;
        self.erase()
    }

    /// How many jobs of a kind in a scope wait or are under way.
    pub fn open_jobs(&self, scope: &Scope, kind: JobKind) -> Result<u64, Error> {
        let mut statement = Statement::new("SELECT COUNT(*) FROM job");
        statement.made_in(scope).push(" AND kind = ").text(kind.as_str());
        statement.push(" AND state IN ('queued', 'running')");
        let count = self.read(|connection| {
            connection.row(&statement.sql, &statement.values(), |row| row.int(0))
        })?;
        Ok(count.unwrap_or(0).unsigned_abs())
    }

    /// A job in a scope.
    pub fn job(&self, scope: &Scope, id: i64) -> Result<Option<Job>, Error> {
        let mut statement = Statement::new(JOB);
        statement.made_in(scope);
        statement.push(" AND id = ").int(id);
        self.read(|connection| connection.row(&statement.sql, &statement.values(), read_job))
    }

    /// Asks a job to end; one that waits ends at once. Whether there was anything to end.
    pub fn cancel(&self, scope: &Scope, id: i64, now: Time) -> Result<bool, Error> {
        let mut statement = Statement::new("UPDATE job SET cancel = 1");
        statement
            .made_in(scope)
            .push(" AND id = ")
            .int(id)
            .push(" AND state IN ('queued', 'running')");
        self.write(|connection| {
            take_turn(connection)?;
            let asked = connection.execute(&statement.sql, &statement.values())?;
            end_abandoned(connection, now, i64::MAX)?;
            Ok(asked > 0)
        })
    }

    /// Queues a job again that failed or was cancelled, with the selection that was frozen. Whether it was one.
    ///
    /// # Errors
    /// The name is in use meanwhile; those of the database.
    pub fn retry(&self, scope: &Scope, id: i64) -> Result<bool, Error> {
        let Some(job) = self.job(scope, id)? else { return Ok(false) };
        // A schedule retries by itself, with a new selection.
        if !job.state.has_failed() || job.schedule.is_some() {
            return Ok(false);
        }
        self.write(|connection| {
            take_turn(connection)?;
            if job.kind == JobKind::Export {
                refuse_taken(connection, job.project, &job.creator, &job.name, Some(id))?;
            }
            let sql = "UPDATE job SET state = 'queued', cancel = 0, attempts = 0, error = NULL, worker = NULL,
                           lease_until = NULL, finished_at = NULL
                       WHERE id = $1 AND state IN ('failed', 'cancelled')";
            Ok(connection.execute(sql, &[id.into()])? > 0)
        })
    }
}

/// Queues an export and freezes its items, within a turn.
///
/// # Errors
/// The name is in use; those of the database.
pub(crate) fn queue_export(
    connection: &mut Connection,
    scope: &Scope,
    (selection, within): (&ItemFilter, Within),
    new: &NewExport<'_>,
    now: Time,
) -> Result<i64, Error> {
    refuse_taken(connection, scope.project, new.creator, new.name, None)?;
    let who = (new.creator, new.person, ProjectRole::Member);
    let texts = (new.name, new.plan);
    let job = add_job(connection, scope.project, JobKind::Export, who, texts, now)?;
    let kind = Value::Text(selection.kind().as_str());
    connection.execute("UPDATE job SET items = $1 WHERE id = $2", &[kind, job.into()])?;
    match selection {
        ItemFilter::Conversations(selection) => {
            freeze_conversations(connection, job, scope, (selection, within))?;
        }
        ItemFilter::Runs(selection) => freeze_runs(connection, job, scope, (selection, within))?,
        ItemFilter::Documents(selection) => {
            freeze_documents(connection, job, scope, (selection, within))?;
        }
    }
    if scope.owner.is_none() && holds_others(connection, job, selection.kind())? {
        let needs = ProjectRole::Admin.as_str();
        let sql = "UPDATE job SET needs = $1 WHERE id = $2";
        connection.execute(sql, &[needs.into(), job.into()])?;
    }
    cut(connection, job, new.part_bytes)?;
    set_totals(connection, job)?;
    Ok(job)
}

pub(crate) fn add_job(
    connection: &mut Connection,
    project: i64,
    kind: JobKind,
    (creator, person, needs): (&str, Option<i64>, ProjectRole),
    (name, plan): (&str, &str),
    now: Time,
) -> Result<i64, Error> {
    let id = next(connection, "job", 1)?;
    let sql = "INSERT INTO job (id, project, kind, state, creator, name, plan, created_at, person, needs, attempts,
                   cancel, items_total, items_done, bytes_total, bytes_done, records)
               VALUES ($1, $2, $3, 'queued', $4, $5, $6, $7, $8, $9, 0, 0, 0, 0, 0, 0, 0)";
    let values = [
        id.into(),
        project.into(),
        kind.as_str().into(),
        creator.into(),
        name.into(),
        plan.into(),
        Value::Int(now.unix_micros()),
        person.into(),
        needs.as_str().into(),
    ];
    connection.execute(sql, &values)?;
    Ok(id)
}

/// Whether the frozen selection of an export holds anything that the person who asked for it does not own.
fn holds_others(connection: &mut Connection, job: i64, kind: ItemKind) -> Result<bool, Error> {
    let sql = format!(
        "SELECT i.ordinal FROM job_item i JOIN job j ON j.id = i.job JOIN {} c ON c.key = i.item
         WHERE i.job = $1 AND (c.holder IS NULL OR c.holder <> j.creator) LIMIT 1",
        table(kind)
    );
    Ok(connection.row(&sql, &[job.into()], |row| row.int(0))?.is_some())
}

/// Refuses a job whose asker has lost the role that it takes.
fn refuse_lost_role(connection: &mut Connection, job: &Job) -> Result<(), Error> {
    let Some(person) = job.person else { return Ok(()) };
    let sql = "SELECT p.disabled, m.role, p.name FROM person p
               LEFT JOIN membership m ON m.person = p.id AND m.project = $1 WHERE p.id = $2";
    let found = connection.row(sql, &[job.project.into(), person.into()], |row| {
        let role = row.text_or_none(1)?.map(|role| role.parse::<ProjectRole>());
        Ok((row.int(0)? != 0, role.transpose().map_err(Error::Damaged)?, row.text(2)?))
    })?;
    let Some((is_disabled, role, name)) = found else {
        return Err(Error::RoleLost(job.creator.clone(), "no longer has an account"));
    };
    let is_of_another = job.replaces.is_some() && name != job.creator;
    let why = match role {
        _ if is_disabled => "is disabled",
        None => "is no longer in the project",
        Some(role) if is_of_another && role < ProjectRole::Owner => {
            "is no longer an owner of the project"
        }
        Some(role) if role < job.needs => "is no longer an admin of the project",
        Some(_) => return Ok(()),
    };
    Err(Error::RoleLost(name, why))
}

fn freeze_conversations(
    connection: &mut Connection,
    job: i64,
    scope: &Scope,
    (selection, within): (&ConversationFilter, Within),
) -> Result<(), Error> {
    let dialect = connection.dialect();
    let by_index = search_by(dialect, selection);
    let by_walk = walk_or(by_index, scope, selection);
    let (by, count_by) =
        if selection.limit.is_some() { (by_index, by_walk) } else { (by_walk, by_index) };
    let frozen =
        Frozen { kind: ItemKind::Conversation, within, limit: selection.limit, by, count_by };
    // What was set here overrides the body.
    let set_here = (
        ", status, title, tags",
        ", CASE WHEN c.edited & 4 <> 0 THEN c.status END,
          CASE WHEN c.edited & 1 <> 0 THEN COALESCE(c.title, '') END,
          CASE WHEN c.edited & 2 <> 0 THEN COALESCE(c.tags, '[]') END",
    );
    freeze(connection, job, &frozen, set_here, &|statement, by| {
        push_conversations(statement, dialect, scope, selection, by);
    })
}

fn freeze_runs(
    connection: &mut Connection,
    job: i64,
    scope: &Scope,
    (selection, within): (&RunFilter, Within),
) -> Result<(), Error> {
    let dialect = connection.dialect();
    let flows = flows_meant(connection, scope, selection)?;
    let by_index = texts_by(dialect, &selection.search);
    let by = if selection.limit.is_some() { page_by(connection, selection)? } else { by_index };
    let count_by = match (selection.limit, by) {
        (None, SearchBy::Rows) => SearchBy::Walk,
        _ => by_index,
    };
    let frozen = Frozen { kind: ItemKind::Run, within, limit: selection.limit, by, count_by };
    freeze(connection, job, &frozen, ("", ""), &|statement, by| {
        push_runs(statement, dialect, scope, selection, flows.as_deref(), by);
    })
}

fn freeze_documents(
    connection: &mut Connection,
    job: i64,
    scope: &Scope,
    (selection, within): (&DocumentFilter, Within),
) -> Result<(), Error> {
    let dialect = connection.dialect();
    let (kind, by) = (ItemKind::Document, SearchBy::Rows);
    let frozen = Frozen { kind, within, limit: selection.limit, by, count_by: by };
    freeze(connection, job, &frozen, ("", ""), &|statement, _| {
        statement.push(" FROM document c WHERE ");
        push_documents(statement, dialect, scope, selection);
    })
}

/// A selection that is frozen, besides its filter.
struct Frozen {
    kind: ItemKind,
    within: Within,
    limit: Option<u64>,
    /// How the items are searched.
    by: SearchBy,
    /// How they are searched to count them: where possible in another way, so that a damaged index is noticed.
    count_by: SearchBy,
}

/// Writes down which items an export takes, in the order in which they came into the store. `more` is further columns and
/// their values; `push_selected` appends `FROM … WHERE …` for the items (`c`) that scope and filter mean.
fn freeze(
    connection: &mut Connection,
    job: i64,
    frozen: &Frozen,
    more: (&str, &str),
    push_selected: &dyn Fn(&mut Statement, SearchBy),
) -> Result<(), Error> {
    let Frozen { kind, within, limit, by, count_by } = *frozen;
    let select = |statement: &mut Statement, by| {
        push_selected(statement, by);
        statement.within(within, kind);
    };
    let (columns, values) = more;
    let mut statement = Statement::new(format!(
        "INSERT INTO job_item (job, ordinal, item, body, ends{columns}) SELECT CAST("
    ));
    statement.int(job).push(&format!(
        " AS BIGINT), ROW_NUMBER() OVER (ORDER BY c.key), c.key, c.body,
          CAST(SUM(c.size) OVER (ORDER BY c.key) AS BIGINT){values}"
    ));
    match limit {
        None => select(&mut statement, by),
        Some(limit) => {
            let (table, moment) = (table(kind), moment_of(kind));
            statement.push(&format!(" FROM {table} c WHERE c.key IN (SELECT c.key"));
            select(&mut statement, by);
            let newest = format!(" ORDER BY {moment} DESC, c.key DESC LIMIT ");
            statement.push(&newest).int(whole(limit)).push(")");
        }
    }
    let found = connection.execute(&statement.sql, &statement.values())?;
    let mut count = Statement::new("SELECT COUNT(*)");
    select(&mut count, count_by);
    check_frozen(connection, kind, found, &count, limit)
}

/// Refuses a frozen selection of another length than it is counted to have: a damaged page leaves out nothing in
/// silence.
fn check_frozen(
    connection: &mut Connection,
    kind: ItemKind,
    frozen: u64,
    count: &Statement,
    limit: Option<u64>,
) -> Result<(), Error> {
    let there = connection.row(&count.sql, &count.values(), |row| row.int(0))?.unwrap_or(0);
    let expected = there.unsigned_abs().min(limit.unwrap_or(u64::MAX));
    if frozen == expected {
        return Ok(());
    }
    Err(Error::Damaged(format!(
        "{expected} {} are selected, but {frozen} were found",
        kind.plural()
    )))
}

/// Whether the worker still held the row that it updated: if not, no row was changed.
pub(crate) fn still_held(changed: u64) -> Result<(), Error> {
    if changed == 0 { Err(Error::NotHeld) } else { Ok(()) }
}

/// The job, if the worker holds it.
pub(crate) fn held(connection: &mut Connection, job: i64, worker: &str) -> Result<Job, Error> {
    let locked = connection.dialect().locked();
    let sql = format!("{JOB} WHERE id = $1 AND worker = $2 AND state = 'running'{locked}");
    connection.row(&sql, &[job.into(), worker.into()], read_job)?.ok_or(Error::NotHeld)
}

/// Ends jobs that nobody will: cancelled ones that no worker holds, and those that too many workers did not live
/// to end. A lease beyond `far` is none.
pub(crate) fn end_abandoned(
    connection: &mut Connection,
    moment: Time,
    far: i64,
) -> Result<(), Error> {
    let (now, far) = (Value::Int(moment.unix_micros()), Value::Int(far));
    let sql = "SELECT COUNT(*) FROM job WHERE (cancel = 1 AND state = 'queued')
               OR (state = 'running' AND (lease_until < $1 OR lease_until > $2) AND (cancel = 1 OR attempts >= $3))";
    let attempts = Value::Int(whole(JOB_ATTEMPTS));
    if connection.row(sql, &[now, far, attempts], |row| row.int(0))? == Some(0) {
        return Ok(());
    }
    take_turn(connection)?;
    let sql = "UPDATE job SET state = 'cancelled', finished_at = $1,
                   lease_until = CASE WHEN kind = 'export' THEN $1 END
               WHERE cancel = 1 AND (state = 'queued'
                   OR (state = 'running' AND (lease_until < $1 OR lease_until > $2)))
               RETURNING id";
    let mut ended = connection.rows(sql, &[now, far], |row| row.int(0))?;
    let sql = "UPDATE job SET state = 'failed', finished_at = $1, lease_until = NULL,
                   error = 'its workers ended before it did, again and again; retry it where there is more memory'
               WHERE state = 'running' AND (lease_until < $1 OR lease_until > $2) AND attempts >= $3 RETURNING id";
    ended.extend(connection.rows(sql, &[now, far, attempts], |row| row.int(0))?);
    ended.sort_unstable();
    for job in &ended {
        run_ended(connection, *job, moment)?;
        notify(connection, *job, moment)?;
    }
    if ended.is_empty() { Ok(()) } else { drop_superseded(connection) }
}

fn set_ended(
    connection: &mut Connection,
    job: i64,
    state: JobState,
    error: Option<&str>,
    report: Option<&str>,
    now: Time,
) -> Result<(), Error> {
    // What an export made besides its dataset is its worker's to clear up; a failed job needs what it made, or is
    // to be made of, for the next try, and that is kept for a while.
    let sql = "UPDATE job SET state = $1, error = $2, report = $3, finished_at = $4,
                   lease_until = CASE WHEN CAST($5 AS BIGINT) > 0 THEN CAST($5 AS BIGINT)
                       WHEN kind = 'export' THEN lease_until END
               WHERE id = $6";
    let kept_until = match state {
        JobState::Failed => now.unix_micros().saturating_add(FAILED_JOB_DAYS * 86_400_000_000),
        _ => 0,
    };
    let values = [
        state.as_str().into(),
        error.into(),
        report.into(),
        Value::Int(now.unix_micros()),
        Value::Int(kept_until),
        job.into(),
    ];
    connection.execute(sql, &values)?;
    run_ended(connection, job, now)?;
    notify(connection, job, now)?;
    drop_superseded(connection)
}

/// Takes away earlier states of conversations when no export needs them any more. One statement sees one moment:
/// between two, an export and an import could come.
fn drop_superseded(connection: &mut Connection) -> Result<(), Error> {
    let sql = "DELETE FROM body WHERE superseded = 1 AND NOT EXISTS (
                   SELECT 1 FROM job WHERE state IN ('queued', 'running') AND kind = 'export')";
    connection.execute(sql, &[]).map(|_| ())
}
