//! A job as the store has it.

use retort_model::{ItemKind, JobKind, JobState, ProjectRole, Time};

use crate::columns::moment;
use crate::dialect::{Connection, Row, Value};
use crate::error::Error;

/// An import or export, as it stands.
#[derive(Clone, Debug)]
pub struct Job {
    /// The store's number of it.
    pub id: i64,
    /// The project.
    pub project: i64,
    /// What it does.
    pub kind: JobKind,
    /// What an export is of.
    pub items: ItemKind,
    /// Where it stands.
    pub state: JobState,
    /// The name of who asked for it.
    pub creator: String,
    /// Their number; none for someone who opens the store directly.
    pub person: Option<i64>,
    /// The role that they need for what it makes.
    pub needs: ProjectRole,
    /// The dataset's name, or what is imported.
    pub name: String,
    /// What is to be done, as the service wrote it.
    pub plan: String,
    /// When it was asked for, which for an export is the moment whose state is exported.
    pub created_at: Option<Time>,
    /// When a worker first took it.
    pub started_at: Option<Time>,
    /// When it ended.
    pub finished_at: Option<Time>,
    /// The worker that holds it, or held it last.
    pub worker: Option<String>,
    /// Until when, unless it says that it is still there. An export that has ended has one until nothing is left of it
    /// but its dataset.
    pub lease_until: Option<Time>,
    /// Workers that took it since it last came forward.
    pub attempts: u64,
    /// Whether it is to end.
    pub is_cancelled: bool,
    /// Why it failed, or why it made no dataset.
    pub error: Option<String>,
    /// How far it is.
    pub progress: JobProgress,
    /// What came of it, as the service wrote it.
    pub report: Option<String>,
    /// The dataset that it made.
    pub dataset: Option<i64>,
    /// Bytes of the list that is kept of what an import could not read.
    pub rejects_bytes: Option<u64>,
    /// The dataset in whose place an export puts its own.
    pub replaces: Option<i64>,
    /// The schedule that asked for an export.
    pub schedule: Option<i64>,
    /// What all parts of an export share, as the service wrote it, once that is known.
    pub prepared: Option<String>,
}

/// How far a job is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct JobProgress {
    /// Items to do; 0 if unknown.
    pub items_total: u64,
    /// Items done.
    pub items_done: u64,
    /// Bytes to read; 0 if unknown.
    pub bytes_total: u64,
    /// Bytes read.
    pub bytes_done: u64,
    /// Records written, or conversations taken in.
    pub records: u64,
}

pub(crate) const JOB: &str = "SELECT id, project, kind, state, creator, name, plan, created_at, started_at, finished_at, worker, \
                   lease_until, attempts, cancel, error, items_total, items_done, bytes_total, bytes_done, records, \
                   report, dataset, items, person, needs, rejects_bytes, replaces, prepared, schedule FROM job";

pub(crate) fn read_job(row: &Row<'_>) -> Result<Job, Error> {
    let time = |column| Ok::<_, Error>(row.int_or_none(column)?.and_then(moment));
    let count = |column| Ok::<_, Error>(row.int(column)?.unsigned_abs());
    Ok(Job {
        id: row.int(0)?,
        project: row.int(1)?,
        kind: row.text(2)?.parse().map_err(Error::Damaged)?,
        items: row.text(22)?.parse().map_err(Error::Damaged)?,
        state: row.text(3)?.parse().map_err(Error::Damaged)?,
        creator: row.text(4)?,
        person: row.int_or_none(23)?,
        needs: row.text(24)?.parse().map_err(Error::Damaged)?,
        name: row.text(5)?,
        plan: row.text(6)?,
        created_at: time(7)?,
        started_at: time(8)?,
        finished_at: time(9)?,
        worker: row.text_or_none(10)?,
        lease_until: time(11)?,
        attempts: count(12)?,
        is_cancelled: row.int(13)? != 0,
        error: row.text_or_none(14)?,
        progress: JobProgress {
            items_total: count(15)?,
            items_done: count(16)?,
            bytes_total: count(17)?,
            bytes_done: count(18)?,
            records: count(19)?,
        },
        report: row.text_or_none(20)?,
        dataset: row.int_or_none(21)?,
        rejects_bytes: row.int_or_none(25)?.map(i64::unsigned_abs),
        replaces: row.int_or_none(26)?,
        prepared: row.text_or_none(27)?,
        schedule: row.int_or_none(28)?,
    })
}

/// A dataset of that name, or another export under way that will be one.
pub(crate) fn refuse_taken(
    connection: &mut Connection,
    project: i64,
    creator: &str,
    name: &str,
    but: Option<i64>,
) -> Result<(), Error> {
    let sql =
        "SELECT (SELECT COUNT(*) FROM dataset WHERE project = $1 AND creator = $2 AND name = $3
                        AND id <> COALESCE((SELECT replaces FROM job WHERE id = $4), 0))
                    + (SELECT COUNT(*) FROM job WHERE project = $1 AND creator = $2 AND name = $3
                       AND kind = 'export' AND state IN ('queued', 'running') AND id <> $4)";
    let values = [project.into(), creator.into(), name.into(), Value::Int(but.unwrap_or(0))];
    match connection.row(sql, &values, |row| row.int(0))? {
        Some(0) => Ok(()),
        _ => Err(Error::NameTaken(name.to_owned())),
    }
}
