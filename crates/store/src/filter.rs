//! A selection as SQL.

use std::collections::BTreeSet;

use retort_model::{ConversationFilter, DateRange, Scope, Status, Time};

use crate::columns::{UNKNOWN, array_of, key_text, number_of_kind, number_of_status};
use crate::dialect::Dialect;
use crate::features::push_features;
use crate::statement::{Held, Statement};

/// Shortest text that the index of trigrams finds.
const TRIGRAM: usize = 3;

/// Trigrams of one text that are looked up: more leave hardly fewer rows.
const TRIGRAMS_SOUGHT: usize = 24;

/// How titles and tags are searched.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum SearchBy {
    /// By the index of their trigrams, which then leads the query.
    Trigrams,
    /// By looking at each row that the rest of the filter leaves.
    Rows,
    /// By looking at all rows, in the order in which they lie.
    Walk,
}

/// As `by`, or by a walk over all rows where most of them are looked at anyway.
pub(crate) fn walk_or(by: SearchBy, scope: &Scope, selection: &ConversationFilter) -> SearchBy {
    let is_wide = scope.owner.is_none() && (selection.ids.is_empty() || !selection.or.is_empty());
    if by == SearchBy::Rows && is_wide { SearchBy::Walk } else { by }
}

/// How the texts of a selection can be searched.
pub(crate) fn search_by(dialect: Dialect, selection: &ConversationFilter) -> SearchBy {
    if selection.or.is_empty() { texts_by(dialect, &selection.search) } else { SearchBy::Rows }
}

/// How any of these texts can be searched.
pub(crate) fn texts_by(dialect: Dialect, texts: &[String]) -> SearchBy {
    let long = |text: &String| text.to_lowercase().chars().count() >= TRIGRAM;
    match dialect {
        Dialect::Sqlite if !texts.is_empty() && texts.iter().all(long) => SearchBy::Trigrams,
        // PostgreSQL's planner chooses by itself.
        Dialect::Sqlite | Dialect::Postgres => SearchBy::Rows,
    }
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
    if search_by == SearchBy::Trigrams {
        statement
            .push(" FROM conversation_search s CROSS JOIN conversation c ON c.key = s.rowid")
            .push(" WHERE s.conversation_search MATCH ")
            .text(&trigram_query(&selection.search))
            // The plus keeps the index on projects out: the search leads.
            .push(" AND +c.project = ");
    } else {
        let walk = if search_by == SearchBy::Walk { dialect.without_index() } else { "" };
        statement.push(" FROM conversation c").push(walk).push(" WHERE c.project = ");
    }
    statement.int(scope.project).held_by(scope);
    if selection.or.is_empty() {
        push_conditions(statement, dialect, selection);
    } else {
        for (index, one) in std::iter::once(selection).chain(&selection.or).enumerate() {
            statement.push(if index == 0 { " AND ((1 = 1" } else { " OR (1 = 1" });
            push_conditions(statement, dialect, one);
            statement.push(")");
        }
        statement.push(")");
    }
    if !selection.except.is_empty() {
        statement.push(" AND NOT (");
        push_ids(statement, dialect, &selection.except);
        statement.push(")");
    }
}

/// Appends ` AND …` for what one filter means, without its alternatives.
fn push_conditions(statement: &mut Statement, dialect: Dialect, selection: &ConversationFilter) {
    let statuses = match selection.statuses.as_slice() {
        // Who names one by its id means it, deleted or not.
        [] if !selection.ids.is_empty() => Status::ALL,
        [] => &[Status::Active, Status::Favorite],
        some => some,
    };
    let statuses = statuses.iter().copied().map(number_of_status);
    push_among(statement, "c.status", statuses);
    if !selection.kinds.is_empty() {
        push_among(statement, "c.kind", selection.kinds.iter().copied().map(number_of_kind));
    }
    push_range(statement, "c.created_at", selection.created);
    if !selection.ids.is_empty() {
        statement.push(" AND ");
        push_ids(statement, dialect, &selection.ids);
    }
    push_features(statement, dialect, selection);
    push_texts(statement, &selection.search);
}

/// Appends that any of these texts is in what is searched, if there are any.
pub(crate) fn push_texts(statement: &mut Statement, texts: &[String]) {
    for (index, text) in texts.iter().enumerate() {
        statement.push(if index == 0 { " AND (" } else { " OR " });
        statement.push("c.search LIKE ").text(&like_pattern(text)).push(" ESCAPE '\\'");
    }
    if !texts.is_empty() {
        statement.push(")");
    }
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

/// Appends that the moment in a column lies in a range.
pub(crate) fn push_range(statement: &mut Statement, column: &str, range: DateRange) {
    if range.from.is_none() && range.before.is_none() {
        return;
    }
    // An unknown moment lies in no range that has an end.
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

/// Between title and tags: what is sought does not reach across it.
pub(crate) const SEPARATOR: char = '\u{1f}';

/// What search looks at: title and tags in lower case.
pub(crate) fn search_text(title: Option<&str>, tags: &[String]) -> String {
    let mut text = searchable(title.unwrap_or_default());
    for tag in tags {
        text.push(SEPARATOR);
        text.push_str(&searchable(tag));
    }
    text
}

pub(crate) fn searchable(text: &str) -> String {
    let mut text = text.to_lowercase();
    if text.contains(['\0', SEPARATOR]) {
        text = text.replace(['\0', SEPARATOR], "\u{fffd}");
    }
    text
}
