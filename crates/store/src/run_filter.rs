//! A selection of runs as SQL.

use retort_model::{NodeKind, RunFilter, RunSource, RunStatus, Scope};

use crate::columns::{PURGED, column_text, key_text, title_text};
use crate::dialect::{Connection, Dialect};
use crate::error::Error;
use crate::features::{push_elements, push_judges};
use crate::filter::{
    SEPARATOR, SearchBy, has_trigrams, push_among, push_ids, push_range, push_texts, searchable,
    trigram_query,
};
use crate::page_search::{FEW_FOUND, few_or_rows};
use crate::statement::{Statement, push_array};

/// Bits of `marks`.
pub(crate) const HAS_FEEDBACK: i64 = 1;
pub(crate) const HAS_ERROR: i64 = 2;

/// The numbers of a kind; [`PURGED`] stands for a purged run.
pub(crate) fn number_of_run_status(status: RunStatus) -> i64 {
    match status {
        RunStatus::Success => 0,
        RunStatus::Failure => 1,
        RunStatus::Running => 2,
        RunStatus::Cancelled => 4,
    }
}

pub(crate) fn run_status_of(number: i64) -> RunStatus {
    let all = RunStatus::ALL.iter().copied();
    all.into_iter().find(|one| number_of_run_status(*one) == number).unwrap_or_default()
}

pub(crate) fn number_of_source(source: RunSource) -> i64 {
    match source {
        RunSource::Copilot => 0,
        RunSource::Recipe => 1,
        RunSource::Application => 2,
    }
}

pub(crate) fn source_of(number: i64) -> RunSource {
    let all = RunSource::ALL.iter().copied();
    all.into_iter().find(|one| number_of_source(*one) == number).unwrap_or_default()
}

pub(crate) fn number_of_node_kind(kind: NodeKind) -> i64 {
    match kind {
        NodeKind::ModelCall => 0,
        NodeKind::Retrieval => 1,
        NodeKind::Tool => 2,
        NodeKind::Agent => 3,
        NodeKind::Other => 4,
    }
}

pub(crate) fn node_kind_of(number: i64) -> NodeKind {
    let all = NodeKind::ALL.iter().copied();
    all.into_iter().find(|one| number_of_node_kind(*one) == number).unwrap_or_default()
}

/// What search looks at.
pub(crate) fn run_search_text(id: &str, texts: [Option<&str>; 3]) -> String {
    let mut text = searchable(id);
    for part in texts.into_iter().flatten() {
        text.push(SEPARATOR);
        text.push_str(&searchable(part));
    }
    text
}

/// The flows that a selection names; none if it names none.
pub(crate) fn flows_meant(
    connection: &mut Connection,
    scope: &Scope,
    selection: &RunFilter,
) -> Result<Option<Vec<i64>>, Error> {
    if selection.flow.is_none() && selection.source.is_none() {
        return Ok(None);
    }
    let mut statement = Statement::new("SELECT key FROM flow WHERE project = ");
    statement.int(scope.project);
    if let Some(flow) = &selection.flow {
        statement.push(" AND id = ").key(flow);
    }
    if let Some(source) = selection.source {
        statement.push(" AND source = ").int(number_of_source(source));
    }
    statement.push(" ORDER BY key");
    connection.rows(&statement.sql, &statement.values(), |row| row.int(0)).map(Some)
}

/// How the texts of a selection are best searched for a page: what is found often is soon found in order, too.
pub(crate) fn page_by(
    connection: &mut Connection,
    selection: &RunFilter,
) -> Result<SearchBy, Error> {
    if !has_trigrams(&selection.search) {
        return Ok(SearchBy::Rows);
    }
    let mut statement = Statement::new("SELECT COUNT(*) FROM (");
    match connection.dialect() {
        Dialect::Sqlite => {
            statement.push("SELECT 1 FROM run_search WHERE run_search MATCH ");
            statement.text(&trigram_query(&selection.search));
        }
        Dialect::Postgres => push_keys(&mut statement, &selection.search),
    }
    statement.at_most(FEW_FOUND).push(") s");
    few_or_rows(connection, &statement)
}

/// Appends the query for the keys of runs that PostgreSQL's index finds.
fn push_keys(statement: &mut Statement, texts: &[String]) {
    statement.push("SELECT s.key FROM run s WHERE 1 = 1");
    push_texts(statement, "s.search", texts);
}

/// Appends `FROM … WHERE …` for the runs (`c`) that scope and selection mean, without the limit. `flows` is what
/// [`flows_meant`] found.
pub(crate) fn push_runs(
    statement: &mut Statement,
    dialect: Dialect,
    scope: &Scope,
    selection: &RunFilter,
    flows: Option<&[i64]>,
    by: SearchBy,
) {
    match by {
        SearchBy::Index if dialect == Dialect::Postgres => {
            // PostgreSQL expects few keys of an array, so they lead.
            statement.push(" FROM run c WHERE c.key = ANY(ARRAY(");
            push_keys(statement, &selection.search);
            statement.push(")) AND c.project = ").int(scope.project);
        }
        SearchBy::Index => {
            statement
                .push(" FROM run_search s CROSS JOIN run c ON c.key = s.rowid WHERE s.run_search MATCH ")
                .text(&trigram_query(&selection.search))
                // The plus keeps an index out: the search leads.
                .push(" AND +c.project = ")
                .int(scope.project);
        }
        SearchBy::Rows if selection.ids.is_empty() => {
            push_held(statement.push(" FROM run c"), scope, flows);
            return push_run_meant(statement, dialect, scope, selection);
        }
        SearchBy::Rows | SearchBy::First(_) | SearchBy::Walk => {
            let walk = if by == SearchBy::Walk { dialect.without_index() } else { "" };
            statement.push(&format!(" FROM run c{walk} WHERE c.project = ")).int(scope.project);
        }
    }
    statement.held_by(scope);
    push_flows(statement, flows);
    push_run_meant(statement, dialect, scope, selection);
}

/// Appends `WHERE …` for the runs (`c`) of these flows in a scope.
pub(crate) fn push_held(statement: &mut Statement, scope: &Scope, flows: Option<&[i64]>) {
    // A flow is of one project, so that its index alone tells everyone's runs of it.
    if flows.is_some_and(|flows| flows.len() == 1) && scope.owner.is_none() {
        statement.push(" WHERE 1 = 1");
    } else {
        statement.held_in(scope);
    }
    push_flows(statement, flows);
}

fn push_flows(statement: &mut Statement, flows: Option<&[i64]>) {
    match flows {
        None => {}
        Some([]) => {
            statement.push(" AND 1 = 0");
        }
        Some([one]) => {
            statement.push(" AND c.flow = ").int(*one);
        }
        Some(several) => push_among(statement, "c.flow", several.iter().copied()),
    }
}

/// Appends ` AND …` for what a selection of runs (`c`) means, apart from its scope and its flows.
pub(crate) fn push_run_meant(
    statement: &mut Statement,
    dialect: Dialect,
    scope: &Scope,
    selection: &RunFilter,
) {
    if selection.statuses.is_empty() {
        statement.push(&format!(" AND c.status <> {PURGED}"));
    } else {
        let numbers = selection.statuses.iter().copied().map(number_of_run_status);
        push_among(statement, "c.status", numbers);
    }
    for (bit, wanted) in [(HAS_FEEDBACK, selection.has_feedback), (HAS_ERROR, selection.has_error)]
    {
        if let Some(wanted) = wanted {
            let is = if wanted { "<>" } else { "=" };
            statement.push(&format!(" AND (c.marks & {bit}) {is} 0"));
        }
    }
    push_range(statement, "c.started_at", selection.started);
    push_variants(statement, scope, selection);
    push_run_features(statement, dialect, selection);
    if !selection.ids.is_empty() {
        statement.push(" AND ");
        push_ids(statement, dialect, &selection.ids);
    }
    push_texts(statement, "c.search", &selection.search);
}

/// Appends ` AND …` for models, scores, thread, owner and environment.
fn push_run_features(statement: &mut Statement, dialect: Dialect, selection: &RunFilter) {
    let models: Vec<_> = selection.models.iter().map(|model| title_text(model)).collect();
    push_elements(statement, dialect, "c.models", &models);
    // Both columns are null without scores, and null is in no range.
    if let Some(from) = selection.scores.from {
        statement.push(" AND c.least_score >= ").int(from);
    }
    if let Some(to) = selection.scores.to {
        statement.push(" AND c.most_score <= ").int(to);
    }
    let keys = |texts: &[String]| texts.iter().map(|text| key_text(text).into_owned()).collect();
    push_array(statement, dialect, "c.thread", keys(&selection.threads));
    push_array(statement, dialect, "c.owner", keys(&selection.owners));
    push_array(statement, dialect, "c.environment", keys(&selection.environments));
    push_judges(statement, dialect, (&selection.judges, selection.judged));
    if !selection.not_judges.is_empty() {
        statement.push(" AND (c.judges IS NULL OR NOT (1 = 1");
        push_elements(statement, dialect, "c.judges", &keys(&selection.not_judges));
        statement.push("))");
    }
}

/// Appends that the variant has one of the versions, the node, and one of the kinds of nodes.
fn push_variants(statement: &mut Statement, scope: &Scope, selection: &RunFilter) {
    let (versions, kinds) = (&selection.versions, &selection.node_kinds);
    if versions.is_empty() && kinds.is_empty() && selection.node.is_none() {
        return;
    }
    statement
        .push(" AND c.variant IN (SELECT v.key FROM variant v JOIN flow f ON f.key = v.flow WHERE f.project = ")
        .int(scope.project);
    if !versions.is_empty() {
        statement.push(" AND v.version IN (");
        statement.each(", ", versions, |list, version| list.key(version)).push(")");
    }
    if let Some(node) = &selection.node {
        statement
            .push(" AND v.key IN (SELECT n.variant FROM variant_node n WHERE n.node = ")
            .key(node)
            .push(")");
    }
    if !kinds.is_empty() {
        statement.push(" AND v.key IN (SELECT n.variant FROM variant_node n WHERE 1 = 1");
        push_among(statement, "n.kind", kinds.iter().copied().map(number_of_node_kind));
        statement.push(")");
    }
    statement.push(")");
}

/// The beginning of a text, as its column.
pub(crate) fn column(text: Option<&String>) -> Option<String> {
    text.map(|text| column_text(text).into_owned())
}
