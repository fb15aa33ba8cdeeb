//! Runs listed, counted and read, and what they were executions of.

use std::collections::{BTreeMap, HashMap};

use retort_model::bounds::{FLOW_PARTS_LISTED, FLOWS_LISTED, PAGE_ITEMS};
use retort_model::{ItemKind, NodeKind, RunFilter, RunSource, RunStatus, Scope, Time};

use crate::body::Unpacker;
use crate::columns::{PURGED, micros, moment, whole};
use crate::dialect::{Connection, Dialect, Row};
use crate::error::Error;
use crate::filter::{SearchBy, texts_by};
use crate::order::Cursor;
use crate::page::{page_of, room_of};
use crate::run_filter::{
    HAS_ERROR, HAS_FEEDBACK, flows_meant, node_kind_of, number_of_source, page_by, push_runs,
    run_status_of, source_of,
};
use crate::statement::Statement;

/// A run as lists show it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunSummary {
    /// The store's number of it.
    pub key: i64,
    /// The source's id.
    pub id: String,
    /// What ran.
    pub source: RunSource,
    /// Id of the copilot or recipe.
    pub flow: String,
    /// Its name, as it was last told.
    pub flow_name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// Who started it.
    pub owner: Option<String>,
    /// Who imported it; none if that was not recorded.
    pub importer: Option<String>,
    /// The member in whose own space its id is; none for what admins and owners imported.
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
    /// How many nodes it passed.
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
    /// The store's number of the body, which a change of the run replaces.
    pub body: i64,
}

/// A page of runs.
#[derive(Clone, Debug, Default)]
pub struct RunPage {
    /// The most recent first.
    pub runs: Vec<RunSummary>,
    /// Where the next begins, if there is one.
    pub next: Option<Cursor>,
}

/// What the columns say about one run, for statistics.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RunStats {
    /// When it began.
    pub started_at: Option<Time>,
    /// When it ended.
    pub finished_at: Option<Time>,
    /// How it ended.
    pub status: RunStatus,
}

/// A copilot or recipe, as its runs tell of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Flow {
    /// Which of the two.
    pub source: RunSource,
    /// Its id.
    pub id: String,
    /// Its name, as it was last told.
    pub name: Option<String>,
    /// How many runs there are.
    pub runs: u64,
    /// Of them, those that failed.
    pub failures: u64,
    /// When the last began.
    pub last_started_at: Option<Time>,
}

/// What a copilot or recipe is made of, as its runs tell of it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FlowParts {
    /// Its versions, with the number of runs, the most frequent first; none is what runs tell no version of.
    pub versions: Vec<(Option<String>, u64)>,
    /// Its nodes by name and kind, with the number of runs that passed them, the most frequent first.
    pub nodes: Vec<(String, NodeKind, u64)>,
}

const SUMMARY: &str = "SELECT c.key, c.id, (SELECT f.source FROM flow f WHERE f.key = c.flow),
    (SELECT f.id FROM flow f WHERE f.key = c.flow), (SELECT f.name FROM flow f WHERE f.key = c.flow),
    (SELECT v.version FROM variant v WHERE v.key = c.variant), c.owner, c.thread, c.status, c.marks, c.started_at,
    c.finished_at, c.nodes, c.files, c.question, c.answer, c.error, c.size, c.importer, c.space, c.body";

fn read_summary(row: &Row<'_>) -> Result<RunSummary, Error> {
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
    })
}

impl Cursor {
    /// Behind this run in the list of runs.
    pub fn behind_run(one: &RunSummary) -> Self {
        Self::at(micros(one.started_at), one.key)
    }
}

impl crate::Store {
    /// A page of the runs that scope and selection mean, the most recent first; the selection's limit does not count
    /// here.
    pub fn runs(
        &self,
        scope: &Scope,
        selection: &RunFilter,
        after: Option<Cursor>,
        most: usize,
    ) -> Result<RunPage, Error> {
        let most = most.clamp(1, PAGE_ITEMS);
        self.look(|connection| {
            let statement = page(connection, scope, selection, after, most)?;
            let (runs, more) = page_of(connection, &statement, most, read_summary, |one| {
                let ids = [&one.flow_name, &one.version, &one.owner, &one.thread, &one.importer];
                let texts = [&one.question, &one.answer, &one.error, &one.member];
                room_of(ids.into_iter().chain(texts).flatten().chain([&one.id, &one.flow]))
            })?;
            let next = runs.last().filter(|_| more);
            let next = next.map(Cursor::behind_run);
            Ok(RunPage { runs, next })
        })
    }

    /// How many runs scope and selection mean, without the limit.
    pub fn count_runs(&self, scope: &Scope, selection: &RunFilter) -> Result<u64, Error> {
        self.look(|connection| {
            let statement = meant(connection, "SELECT COUNT(*)", scope, selection)?;
            self.counts.of(connection, &statement)
        })
    }

    /// Whether there is a run that scope and selection mean.
    pub fn has_runs(&self, scope: &Scope, selection: &RunFilter) -> Result<bool, Error> {
        self.look(|connection| {
            let statement = page(connection, scope, selection, None, 1)?;
            let found = connection.rows(&statement.sql, &statement.values(), |row| row.int(0))?;
            Ok(!found.is_empty())
        })
    }

    /// Reads the canonical line of a run; none if it is gone meanwhile.
    ///
    /// # Errors
    /// It is damaged; those of the database.
    pub fn run_line(
        &self,
        summary: &RunSummary,
        unpacker: &mut Unpacker<'_>,
    ) -> Result<Option<Vec<u8>>, Error> {
        self.line_of(ItemKind::Run, (summary.key, &summary.id), unpacker)
    }

    /// Hands over what the columns say of the most recent runs that scope and selection mean, at most so many, the
    /// most recent first.
    pub fn each_run_fact(
        &self,
        scope: &Scope,
        selection: &RunFilter,
        most: u64,
        take: &mut dyn FnMut(RunStats),
    ) -> Result<(), Error> {
        self.look(|connection| {
            let columns = "SELECT c.started_at, c.finished_at, c.status";
            let flows = flows_meant(connection, scope, selection)?;
            let by = page_by(connection, selection)?;
            let mut statement = Statement::new(columns);
            let dialect = connection.dialect();
            push_runs(&mut statement, dialect, scope, selection, flows.as_deref(), by);
            statement.push(" ORDER BY c.started_at DESC, c.key DESC LIMIT ").int(whole(most));
            connection.each(&statement.sql, &statement.values(), &mut |row| {
                take(RunStats {
                    started_at: moment(row.int(0)?),
                    finished_at: moment(row.int(1)?),
                    status: run_status_of(row.int(2)?),
                });
                Ok(())
            })
        })
    }

    /// The copilots and recipes that have runs in a scope, the last used first; only one kind, or only those of an id.
    pub fn flows(
        &self,
        scope: &Scope,
        source: Option<RunSource>,
        id: Option<&str>,
    ) -> Result<Vec<Flow>, Error> {
        // The runs of one person, or flow by flow those of all: either way an index is walked once.
        let tables = if scope.owner.is_some() {
            "run c CROSS JOIN flow f"
        } else {
            "flow f CROSS JOIN run c"
        };
        let mut statement = Statement::new(format!(
            "SELECT f.source, f.id, f.name, COUNT(*), CAST(SUM(CASE WHEN c.status = 1 THEN 1 ELSE 0 END) AS BIGINT),
                 MAX(c.started_at) FROM {tables} WHERE c.flow = f.key AND f.project = "
        ));
        statement.int(scope.project).push(&format!(" AND c.status <> {PURGED}"));
        if let Some(source) = source {
            statement.push(" AND f.source = ").int(number_of_source(source));
        }
        if let Some(id) = id {
            statement.push(" AND f.id = ").key(id);
        }
        if scope.owner.is_some() {
            statement.push(" AND c.project = ").int(scope.project).held_by(scope);
        }
        statement
            .push(" GROUP BY f.key, f.source, f.id, f.name ORDER BY MAX(c.started_at) DESC, f.key")
            .at_most(FLOWS_LISTED);
        self.look(|connection| {
            connection.rows(&statement.sql, &statement.values(), |row| {
                Ok(Flow {
                    source: source_of(row.int(0)?),
                    id: row.text(1)?,
                    name: row.text_or_none(2)?,
                    runs: row.int(3)?.unsigned_abs(),
                    failures: row.int(4)?.unsigned_abs(),
                    last_started_at: moment(row.int(5)?),
                })
            })
        })
    }

    /// The versions and nodes of a copilot or recipe, as the runs in a scope tell of them.
    pub fn flow_parts(
        &self,
        scope: &Scope,
        source: RunSource,
        id: &str,
    ) -> Result<FlowParts, Error> {
        let of =
            RunFilter { source: Some(source), flow: Some(id.to_owned()), ..RunFilter::default() };
        self.look(|connection| {
            let flow = flows_meant(connection, scope, &of)?.unwrap_or_default();
            let Some(&flow) = flow.first() else { return Ok(FlowParts::default()) };
            let mut statement = Statement::new("SELECT c.variant, COUNT(*)");
            push_runs(
                &mut statement,
                connection.dialect(),
                scope,
                &of,
                Some(&[flow]),
                SearchBy::Rows,
            );
            statement.push(" GROUP BY c.variant");
            let mut runs = HashMap::new();
            connection.each(&statement.sql, &statement.values(), &mut |row| {
                runs.insert(row.int(0)?, row.int(1)?.unsigned_abs());
                Ok(())
            })?;
            let mut versions = BTreeMap::<Option<String>, u64>::new();
            let sql = "SELECT key, version FROM variant WHERE flow = $1";
            connection.each(sql, &[flow.into()], &mut |row| {
                if let Some(count) = runs.get(&row.int(0)?) {
                    *versions.entry(row.text_or_none(1)?).or_default() += count;
                }
                Ok(())
            })?;
            let mut nodes = BTreeMap::<(String, NodeKind), u64>::new();
            let sql = "SELECT n.variant, n.node, n.kind FROM variant v
                       JOIN variant_node n ON n.variant = v.key WHERE v.flow = $1";
            connection.each(sql, &[flow.into()], &mut |row| {
                if let Some(count) = runs.get(&row.int(0)?) {
                    *nodes.entry((row.text(1)?, node_kind_of(row.int(2)?))).or_default() += count;
                }
                Ok(())
            })?;
            let mut versions: Vec<_> = versions.into_iter().collect();
            versions.sort_by_key(|(_, count)| std::cmp::Reverse(*count));
            versions.truncate(FLOW_PARTS_LISTED);
            let mut nodes: Vec<_> =
                nodes.into_iter().map(|((node, kind), count)| (node, kind, count)).collect();
            nodes.sort_by_key(|(_, _, count)| std::cmp::Reverse(*count));
            nodes.truncate(FLOW_PARTS_LISTED);
            Ok(FlowParts { versions, nodes })
        })
    }

    /// The database's plan for a first page of runs, as text: for tests and measurements.
    pub fn explain_runs(&self, scope: &Scope, selection: &RunFilter) -> Result<Vec<String>, Error> {
        self.read(|connection| {
            let mut statement = page(connection, scope, selection, None, 1)?;
            let (words, column) = match connection.dialect() {
                Dialect::Sqlite => ("EXPLAIN QUERY PLAN ", 3),
                Dialect::Postgres => ("EXPLAIN ", 0),
            };
            statement.sql.insert_str(0, words);
            connection.rows(&statement.sql, &statement.values(), |row| row.text(column))
        })
    }
}

/// `columns FROM … WHERE …` for all runs that are meant.
fn meant(
    connection: &mut Connection,
    columns: &str,
    scope: &Scope,
    selection: &RunFilter,
) -> Result<Statement, Error> {
    let flows = flows_meant(connection, scope, selection)?;
    let dialect = connection.dialect();
    let by = texts_by(dialect, &selection.search);
    let mut statement = Statement::new(columns);
    push_runs(&mut statement, dialect, scope, selection, flows.as_deref(), by);
    Ok(statement)
}

fn page(
    connection: &mut Connection,
    scope: &Scope,
    selection: &RunFilter,
    after: Option<Cursor>,
    most: usize,
) -> Result<Statement, Error> {
    let flows = flows_meant(connection, scope, selection)?;
    let by = page_by(connection, selection)?;
    let mut statement = Statement::new(SUMMARY);
    let dialect = connection.dialect();
    push_runs(&mut statement, dialect, scope, selection, flows.as_deref(), by);
    if let Some(after) = after {
        statement.push(" AND (c.started_at, c.key) < (");
        statement.int(after.moment()).push(", ").int(after.key).push(")");
    }
    statement.push(" ORDER BY c.started_at DESC, c.key DESC LIMIT ");
    statement.int(whole(most as u64).saturating_add(1));
    Ok(statement)
}
