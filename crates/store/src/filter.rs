//! A selection as SQL.

use std::collections::BTreeSet;

use retort_model::{ConversationFilter, DateRange, Query, Scope, Status, Time};

use crate::columns::{PURGED, UNKNOWN, array_of, key_text, number_of_kind, number_of_status};
use crate::dialect::Dialect;
use crate::features::push_features;
use crate::statement::{Held, Statement};
use crate::words::{Sought, asks_words, leading, push_matches, push_sought};

/// Shortest text that the index of trigrams finds.
const TRIGRAM: usize = 3;

/// Trigrams of one text that are looked up: more leave hardly fewer rows.
const TRIGRAMS_SOUGHT: usize = 24;

/// How texts are searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SearchBy {
    /// By their index, which then leads the query.
    Index,
    /// By looking at the rows that the rest of the filter leaves.
    Rows,
    /// By looking at so many rows, the first of a list in its order.
    First(usize),
    /// By looking at all rows, in the order in which they lie.
    Walk,
}

/// As `by`, or by a walk over all rows where most of them are looked at anyway.
pub(crate) fn walk_or(by: SearchBy, scope: &Scope, selection: &ConversationFilter) -> SearchBy {
    let is_wide = scope.owner.is_none() && (selection.ids.is_empty() || !selection.or.is_empty());
    if by == SearchBy::Rows && is_wide { SearchBy::Walk } else { by }
}

/// How the words of a selection can be searched for everything that it means.
pub(crate) fn search_by(dialect: Dialect, selection: &ConversationFilter) -> SearchBy {
    match dialect {
        Dialect::Sqlite if asks_words(selection) && leading(dialect, selection).is_some() => {
            SearchBy::Index
        }
        // PostgreSQL's planner chooses by itself.
        Dialect::Sqlite | Dialect::Postgres => SearchBy::Rows,
    }
}

/// How any of these texts can be searched for all items that have them.
pub(crate) fn texts_by(dialect: Dialect, texts: &[String]) -> SearchBy {
    match dialect {
        Dialect::Sqlite if has_trigrams(texts) => SearchBy::Index,
        // PostgreSQL's planner chooses by itself.
        Dialect::Sqlite | Dialect::Postgres => SearchBy::Rows,
    }
}

/// Whether the index of trigrams finds these texts.
pub(crate) fn has_trigrams(texts: &[String]) -> bool {
    let long = |text: &String| text.to_lowercase().chars().count() >= TRIGRAM;
    !texts.is_empty() && texts.iter().all(long)
}

/// The query of the trigram index for rows that hold all trigrams of any of the texts; those that hold them apart
/// are for the rest of the filter.
pub(crate) fn trigram_query(texts: &[String]) -> String {
    let all_of = |text: &String| {
        let characters: Vec<char> = searchable(text).chars().collect();
        let quoted: Vec<String> = characters
            .windows(TRIGRAM)
            .take(TRIGRAMS_SOUGHT)
            .map(|trigram| {
                format!("\"{}\"", trigram.iter().collect::<String>().replace('"', "\"\""))
            })
            .collect();
        format!("({})", quoted.join(" AND "))
    };
    let any: Vec<String> = texts.iter().map(all_of).collect();
    any.join(" OR ")
}

/// Appends `FROM … WHERE …` for the conversations (`c`) that scope and selection mean, without the limit.
pub(crate) fn push_conversations(
    statement: &mut Statement,
    dialect: Dialect,
    scope: &Scope,
    selection: &ConversationFilter,
    search_by: SearchBy,
) {
    let leads = leading(dialect, selection).filter(|_| search_by == SearchBy::Index);
    // What leads need not be looked at again, unless it finds more than one query asks for.
    let asking = match &leads {
        Some(_) if is_all_found(dialect, &selection.search) => Asking::Nothing,
        _ => Asking::AsSet,
    };
    match (leads, dialect) {
        (Some(question), Dialect::Sqlite) => {
            statement
                .push(" FROM conversation_words s CROSS JOIN conversation c ON c.key = s.rowid")
                .push(" WHERE s.conversation_words MATCH ")
                .text(&question)
                // The plus keeps the index on projects out: the search leads.
                .push(" AND +c.project = ");
        }
        (Some(question), Dialect::Postgres) => {
            // PostgreSQL expects few keys of an array, so they lead.
            statement.push(" FROM conversation c WHERE c.key = ANY(ARRAY(");
            push_matches(statement, &question).push(")) AND c.project = ");
        }
        (None, _) => {
            let walk = if search_by == SearchBy::Walk { dialect.without_index() } else { "" };
            statement.push(" FROM conversation c").push(walk).push(" WHERE c.project = ");
        }
    }
    statement.int(scope.project).held_by(scope);
    push_meant(statement, dialect, selection, asking);
}

/// Whether what leads has found all that queries ask of the index.
fn is_all_found(dialect: Dialect, queries: &[Query]) -> bool {
    matches!(queries, [one] if Sought::of(dialect, one).not_found.is_none())
}

/// Appends ` AND …` for what a selection means, apart from its scope.
pub(crate) fn push_meant(
    statement: &mut Statement,
    dialect: Dialect,
    selection: &ConversationFilter,
    asking: Asking,
) {
    if selection.or.is_empty() {
        push_conditions(statement, dialect, selection, asking);
    } else {
        let all = std::iter::once(selection).chain(&selection.or);
        statement.push(" AND (").each(" OR ", all, |either, one| {
            push_conditions(either.push("(1 = 1"), dialect, one, asking);
            either.push(")")
        });
        statement.push(")");
    }
    if !selection.except.is_empty() {
        statement.push(" AND NOT (");
        push_ids(statement, dialect, &selection.except);
        statement.push(")");
    }
}

/// What is still to be asked of the index of words.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asking {
    /// Nothing: it leads, and has found what the only query asks for.
    Nothing,
    /// For all that it finds.
    AsSet,
    /// Row by row whether it finds it.
    ByRow,
}

/// Appends ` AND …` for what one filter means, without its alternatives.
fn push_conditions(
    statement: &mut Statement,
    dialect: Dialect,
    selection: &ConversationFilter,
    asking: Asking,
) {
    statement.push(&format!(" AND c.status <> {PURGED}"));
    push_fields(statement, dialect, selection);
    match selection.search.as_slice() {
        [] => push_default_status(statement, selection, None),
        [one] => push_query(statement, dialect, selection, one, asking),
        several => {
            statement.push(" AND (").each(" OR ", several, |either, one| {
                push_query(either.push("(1 = 1"), dialect, selection, one, asking);
                either.push(")")
            });
            statement.push(")");
        }
    }
}

/// Appends ` AND …` for what one query of a filter means.
fn push_query(
    statement: &mut Statement,
    dialect: Dialect,
    selection: &ConversationFilter,
    query: &Query,
    asking: Asking,
) {
    push_default_status(statement, selection, Some(query));
    push_fields(statement, dialect, &query.wanted);
    for one in &query.unwanted {
        // What is not known is not what is unwanted.
        statement.push(" AND NOT COALESCE((1 = 1");
        push_fields(statement, dialect, one);
        statement.push("), FALSE)");
    }
    if asking != Asking::Nothing {
        push_sought(statement, dialect, query, asking == Asking::ByRow);
    }
}

/// Appends that deleted conversations are left out, unless someone asked for them.
fn push_default_status(
    statement: &mut Statement,
    selection: &ConversationFilter,
    query: Option<&Query>,
) {
    if selection.has_default_status(query) {
        let statuses = [Status::Active, Status::Favorite].map(number_of_status);
        push_among(statement, "c.status", statuses);
    }
}

/// Appends ` AND …` for what the fields of a filter ask for, without its queries; without a status, any.
fn push_fields(statement: &mut Statement, dialect: Dialect, selection: &ConversationFilter) {
    if !selection.statuses.is_empty() {
        push_among(statement, "c.status", selection.statuses.iter().copied().map(number_of_status));
    }
    if !selection.kinds.is_empty() {
        push_among(statement, "c.kind", selection.kinds.iter().copied().map(number_of_kind));
    }
    push_range(statement, "c.created_at", selection.created);
    if !selection.ids.is_empty() {
        statement.push(" AND ");
        push_ids(statement, dialect, &selection.ids);
    }
    push_features(statement, dialect, selection);
}

/// Appends that any of these texts is in a column of what is searched, if there are any.
pub(crate) fn push_texts(statement: &mut Statement, column: &str, texts: &[String]) {
    if texts.is_empty() {
        return;
    }
    statement.push(" AND (").each(" OR ", texts, |either, text| {
        let like = format!("{column} LIKE ");
        either.push(&like).text(&like_pattern(text)).push(" ESCAPE '\\'")
    });
    statement.push(")");
}

/// Appends that the id is one of these.
pub(crate) fn push_ids(statement: &mut Statement, dialect: Dialect, ids: &BTreeSet<String>) {
    let among = dialect.is_among("c.id", statement.next());
    statement.push(&among);
    statement.hold(Held::Text(array_of(ids.iter().map(|id| key_text(id)))));
}

pub(crate) fn push_among(
    statement: &mut Statement,
    column: &str,
    numbers: impl IntoIterator<Item = i64>,
) {
    let mut numbers: Vec<i64> = numbers.into_iter().collect();
    numbers.sort_unstable();
    numbers.dedup();
    let list: Vec<String> = numbers.iter().map(i64::to_string).collect();
    statement.push(&format!(" AND {column} IN ({})", list.join(", ")));
}

/// Appends that the moment in a column is in a range.
pub(crate) fn push_range(statement: &mut Statement, column: &str, range: DateRange) {
    if range.from.is_none() && range.before.is_none() {
        return;
    }
    // An unknown moment is in no range that has an end.
    let from = range.from.map_or(UNKNOWN + 1, ceiling);
    statement.push(&format!(" AND {column} >= ")).int(from);
    if let Some(before) = range.before {
        statement.push(&format!(" AND {column} < ")).int(ceiling(before));
    }
}

/// Microseconds, rounded up: moments in the store are rounded down.
pub(crate) fn ceiling(time: Time) -> i64 {
    let micros = time.unix_micros();
    let exact = Time::from_unix_micros(micros).is_some_and(|rounded| rounded >= time);
    if exact { micros } else { micros.saturating_add(1) }
}

fn like_pattern(text: &str) -> String {
    let mut pattern = String::from("%");
    for character in searchable(text).chars() {
        if matches!(character, '%' | '_' | '\\') {
            pattern.push('\\');
        }
        pattern.push(character);
    }
    pattern.push('%');
    pattern
}

/// Between texts that are searched together: what is sought does not reach across it.
pub(crate) const SEPARATOR: char = '\u{1f}';

pub(crate) fn searchable(text: &str) -> String {
    let mut text = text.to_lowercase();
    if text.contains(['\0', SEPARATOR]) {
        text = text.replace(['\0', SEPARATOR], "\u{fffd}");
    }
    text
}
