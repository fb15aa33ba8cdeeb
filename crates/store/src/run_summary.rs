//! A run as lists show it.

use retort_model::{RunSource, RunStatus, Time};

use crate::columns::moment;
use crate::dialect::Row;
use crate::error::Error;
use crate::run_filter::{HAS_ERROR, HAS_FEEDBACK, run_status_of, source_of};

/// A run as lists show it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunSummary {
    /// Its number in the store.
    pub key: i64,
    /// The source's id.
    pub id: String,
    /// What ran.
    pub source: RunSource,
    /// Id of the copilot or recipe.
    pub flow: String,
    /// Its most recent name.
    pub flow_name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Who started it.
    pub owner: Option<String>,
    /// Who imported it; none if that was not recorded.
    pub importer: Option<String>,
    /// The member to whose namespace its id belongs; none if an admin or owner imported it.
    pub member: Option<String>,
    /// The conversation that it belongs to.
    pub thread: Option<String>,
    /// How it ended.
    pub status: RunStatus,
    /// Whether someone judged it.
    pub has_feedback: bool,
    /// Whether it failed or names an error.
    pub has_error: bool,
    /// When it began.
    pub started_at: Option<Time>,
    /// When it ended.
    pub finished_at: Option<Time>,
    /// The lowest and the highest score, in millionths.
    pub scores: Option<[i64; 2]>,
    /// How many nodes ran in it.
    pub nodes: u64,
    /// How many files belong to it.
    pub files: u64,
    /// The beginning of the question.
    pub question: Option<String>,
    /// The beginning of the answer.
    pub answer: Option<String>,
    /// The beginning of the error.
    pub error: Option<String>,
    /// Bytes of its canonical line.
    pub size: u64,
    /// The number of its body in the store. A change of the run replaces the body.
    pub body: i64,
}

/// The columns of a run (`c`).
pub(crate) const SUMMARY: &str = "SELECT c.key, c.id, (SELECT f.source FROM flow f WHERE f.key = c.flow),
    (SELECT f.id FROM flow f WHERE f.key = c.flow), (SELECT f.name FROM flow f WHERE f.key = c.flow),
    (SELECT v.version FROM variant v WHERE v.key = c.variant), c.owner, c.thread, c.status, c.marks, c.started_at,
    c.finished_at, c.nodes, c.files, c.question, c.answer, c.error, c.size, c.importer, c.space, c.body,
    c.least_score, c.most_score";

pub(crate) fn read_summary(row: &Row<'_>) -> Result<RunSummary, Error> {
    let marks = row.int(9)?;
    Ok(RunSummary {
        key: row.int(0)?,
        id: row.text(1)?,
        source: source_of(row.int(2)?),
        flow: row.text(3)?,
        flow_name: row.text_or_none(4)?,
        version: row.text_or_none(5)?,
        owner: row.text_or_none(6)?,
        thread: row.text_or_none(7)?,
        status: run_status_of(row.int(8)?),
        has_feedback: marks & HAS_FEEDBACK != 0,
        has_error: marks & HAS_ERROR != 0,
        started_at: moment(row.int(10)?),
        finished_at: moment(row.int(11)?),
        nodes: row.int(12)?.unsigned_abs(),
        files: row.int(13)?.unsigned_abs(),
        question: row.text_or_none(14)?,
        answer: row.text_or_none(15)?,
        error: row.text_or_none(16)?,
        size: row.int(17)?.unsigned_abs(),
        importer: row.text_or_none(18)?,
        member: Some(row.text(19)?).filter(|space| !space.is_empty()),
        body: row.int(20)?,
        scores: row.int_or_none(21)?.zip(row.int_or_none(22)?).map(|(least, most)| [least, most]),
    })
}
