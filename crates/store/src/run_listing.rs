//! Runs listed, counted and read, and what they were executions of.

use std::collections::{BTreeMap, HashMap};

use retort_model::bounds::{FLOW_PARTS_LISTED, FLOWS_LISTED, PAGE_ITEMS};
use retort_model::{ItemKind, NodeKind, RunFilter, RunSource, RunStatus, Scope, Time};

use crate::body::Unpacker;
use crate::columns::{PURGED, moment, whole};
use crate::dialect::Connection;
use crate::error::Error;
use crate::filter::{SearchBy, has_trigrams, push_range, texts_by};
use crate::order::{Cursor, Part, neighbours};
use crate::orders::RunOrder;
use crate::page::{page_of, room_of};
use crate::page_search::{Searching, first_row};
use crate::run_filter::{
    flows_meant, node_kind_of, number_of_source, page_by, push_held, push_run_meant, push_runs,
    run_status_of, source_of,
};
use crate::run_summary::{RunSummary, SUMMARY, read_summary};
use crate::statement::Statement;

/// A page of runs.
#[derive(Clone, Debug, Default)]
pub struct RunPage {
    /// Its runs.
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

impl crate::Store {
    /// A page of the runs in the scope that match the selection, in that order. The selection's limit is ignored.
    pub fn runs(
        &self,
        scope: &Scope,
        selection: &RunFilter,
        order: RunOrder,
        after: Option<Cursor>,
        most: usize,
    ) -> Result<RunPage, Error> {
        let most = most.clamp(1, PAGE_ITEMS);
        self.look(|connection| {
            let part = (order, &Part::Onward(after), most);
            let (runs, more) =
                listed(connection, scope, selection, part, |connection, statement| {
                    let page = page_of(connection, statement, most, read_summary, |one| {
                        let ids =
                            [&one.flow_name, &one.version, &one.owner, &one.thread, &one.importer];
                        let texts = [&one.question, &one.answer, &one.error, &one.member];
                        room_of(ids.into_iter().chain(texts).flatten().chain([&one.id, &one.flow]))
                    })?;
                    let is_full = page.1;
                    Ok((page, is_full))
                })?;
            let next = runs.last().filter(|_| more).map(|last| Cursor::behind(last, order));
            Ok(RunPage { runs, next })
        })
    }

    /// The runs before and after one, in the list of this scope, selection and order.
    pub fn run_neighbours(
        &self,
        scope: &Scope,
        selection: &RunFilter,
        order: RunOrder,
        one: &RunSummary,
    ) -> Result<[Option<RunSummary>; 2], Error> {
        self.look(|connection| {
            neighbours(one, order, |part| {
                let part = (order, &part, 0);
                listed(connection, scope, selection, part, |connection, statement| {
                    first_row(connection, statement, read_summary)
                })
            })
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
            let first = (RunOrder::Newest, &Part::Onward(None), 0);
            let found = listed(connection, scope, selection, first, |connection, statement| {
                first_row(connection, statement, |row| row.int(0))
            })?;
            Ok(found.is_some())
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
    pub fn explain_runs(
        &self,
        scope: &Scope,
        selection: &RunFilter,
        order: RunOrder,
    ) -> Result<Vec<String>, Error> {
        self.read(|connection| {
            let first = (order, &Part::Onward(None), 1);
            listed(connection, scope, selection, first, |connection, statement| {
                let found =
                    connection.rows(&statement.sql, &statement.values(), |row| row.int(0))?;
                Ok((connection.explained(statement)?, found.len() > 1))
            })
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

/// Reads a part of the list in an order. `read` reads the rows of a statement for it, and says whether they are all that
/// was asked for.
fn listed<T>(
    connection: &mut Connection,
    scope: &Scope,
    selection: &RunFilter,
    (order, part, most): (RunOrder, &Part, usize),
    read: impl Fn(&mut Connection, &Statement) -> Result<(T, bool), Error>,
) -> Result<T, Error> {
    let dialect = connection.dialect();
    let flows = flows_meant(connection, scope, selection)?;
    let flows = flows.as_deref();
    let searching = Searching {
        is_searched: !selection.search.is_empty(),
        has_index: has_trigrams(&selection.search),
        by: &|connection| page_by(connection, selection),
        beyond: &|rows| {
            let mut statement = Statement::new("SELECT c.key FROM run c");
            push_held(&mut statement, scope, flows);
            push_range(&mut statement, "c.started_at", selection.started);
            statement.in_order(dialect, order, part.clone(), 0);
            statement.push(" OFFSET ").int(whole(rows as u64));
            statement
        },
    };
    searching.page(connection, |connection, by| {
        let mut statement = Statement::new(SUMMARY);
        match by {
            SearchBy::First(rows) => {
                statement.push(" FROM (SELECT c.* FROM run c");
                push_held(&mut statement, scope, flows);
                push_range(&mut statement, "c.started_at", selection.started);
                statement.in_order(dialect, order, part.clone(), rows.saturating_sub(1));
                statement.push(") c WHERE 1 = 1");
                push_run_meant(&mut statement, dialect, scope, selection);
            }
            by => push_runs(&mut statement, dialect, scope, selection, flows, by),
        }
        statement.in_order(dialect, order, part.clone(), most);
        read(connection, &statement)
    })
}
