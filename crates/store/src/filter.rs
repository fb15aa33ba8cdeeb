//! A selection as SQL.

use std::collections::BTreeSet;

use retort_model::bounds::{TAG_CHARACTERS, TAGS, TITLE_CHARACTERS};
use retort_model::{ConversationFilter, DateRange, Kind, Scope, Status, Time};

use crate::dialect::{Dialect, Value};
use crate::features::push_features;

/// The moment that stands for an unknown one: before all others.
pub(crate) const UNKNOWN: i64 = i64::MIN;

/// The status of a conversation that was purged: nothing is left but its id.
pub(crate) const PURGED: i64 = 3;

/// Longest id or owner that is kept whole, in characters: an index of PostgreSQL holds no more than 2,700 bytes.
const KEY_CHARACTERS: usize = 250;

/// Shortest text that the index of trigrams finds.
const TRIGRAM: usize = 3;

/// Trigrams of one text that are looked up: more leave hardly fewer rows.
const TRIGRAMS_SOUGHT: usize = 24;

/// A value that the filter holds.
pub(crate) enum Held {
    Int(i64),
    Text(String),
}

/// A growing statement with its values.
#[derive(Default)]
pub(crate) struct Statement {
    pub(crate) sql: String,
    values: Vec<Held>,
}

impl Statement {
    pub(crate) fn new(sql: impl Into<String>) -> Self {
        Self { sql: sql.into(), values: Vec::new() }
    }

    /// Appends SQL.
    pub(crate) fn push(&mut self, sql: &str) -> &mut Self {
        self.sql.push_str(sql);
        self
    }

    /// The number of the next parameter.
    pub(crate) fn next(&self) -> usize {
        self.values.len() + 1
    }

    /// Holds a value for a parameter that the SQL names itself.
    pub(crate) fn hold(&mut self, value: Held) -> &mut Self {
        self.values.push(value);
        self
    }

    /// Appends a parameter with its value.
    pub(crate) fn bind(&mut self, value: Held) -> &mut Self {
        let number = self.next();
        self.sql.push_str(&format!("${number}"));
        self.hold(value)
    }

    pub(crate) fn int(&mut self, number: i64) -> &mut Self {
        self.bind(Held::Int(number))
    }

    pub(crate) fn text(&mut self, text: &str) -> &mut Self {
        self.bind(Held::Text(column_text(text).into_owned()))
    }

    /// Appends a parameter with an id or a name of a person.
    pub(crate) fn key(&mut self, text: &str) -> &mut Self {
        self.bind(Held::Text(key_text(text).into_owned()))
    }

    /// Appends `WHERE …` for the jobs or datasets in a scope: those that its person made.
    pub(crate) fn made_in(&mut self, scope: &Scope) -> &mut Self {
        self.push(" WHERE project = ").int(scope.project);
        if let Some(owner) = &scope.owner {
            self.push(" AND creator = ").text(owner);
        }
        self
    }

    /// Appends `WHERE …` for the items (`c`) in a scope: those that its person holds.
    pub(crate) fn held_in(&mut self, scope: &Scope) -> &mut Self {
        self.push(" WHERE c.project = ").int(scope.project);
        self.held_by(scope)
    }

    /// Appends ` AND …` for the items (`c`) that the person of a scope holds, if it is a person's.
    pub(crate) fn held_by(&mut self, scope: &Scope) -> &mut Self {
        if let Some(owner) = &scope.owner {
            self.push(" AND c.holder = ").key(owner);
            if scope.only_imported {
                self.push(" AND c.importer = ").key(owner);
            }
        }
        self
    }

    /// Appends `LIMIT …`.
    pub(crate) fn at_most(&mut self, most: usize) -> &mut Self {
        self.push(" LIMIT ").int(i64::try_from(most).unwrap_or(i64::MAX))
    }

    pub(crate) fn values(&self) -> Vec<Value<'_>> {
        self.values
            .iter()
            .map(|held| match held {
                Held::Int(number) => Value::Int(*number),
                Held::Text(text) => Value::Text(text),
            })
            .collect()
    }
}

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

/// Appends that a column is one of these texts, if there are any.
pub(crate) fn push_array(
    statement: &mut Statement,
    dialect: Dialect,
    column: &str,
    texts: Vec<String>,
) {
    if !texts.is_empty() {
        let among = dialect.is_among(column, statement.next());
        statement.push(" AND ").push(&among);
        statement.hold(Held::Text(array_of(texts)));
    }
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

/// Texts as a JSON array.
pub(crate) fn array_of(texts: impl IntoIterator<Item = impl AsRef<str>>) -> String {
    let mut out = String::from("[");
    for (index, text) in texts.into_iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        retort_json::write_string(text.as_ref(), &mut out);
    }
    out.push(']');
    out
}

/// The texts of a JSON array that the store wrote.
pub(crate) fn read_texts(array: &str) -> Vec<String> {
    use retort_json::Value as Json;
    match Json::parse(array) {
        Ok(Json::Array(items)) => {
            items.iter().filter_map(Json::as_str).map(str::to_owned).collect()
        }
        _ => Vec::new(),
    }
}

/// Text for a column: PostgreSQL has no NUL.
pub(crate) fn column_text(text: &str) -> std::borrow::Cow<'_, str> {
    if text.contains('\0') { text.replace('\0', "\u{fffd}").into() } else { text.into() }
}

/// A text cut to so many characters, for its column: the body keeps it whole.
fn cut_text(text: &str, characters: usize) -> std::borrow::Cow<'_, str> {
    if text.char_indices().nth(characters).is_none() {
        return text.into();
    }
    let end = text.char_indices().nth(characters.saturating_sub(1)).map_or(0, |(end, _)| end);
    format!("{}…", text.get(..end).unwrap_or_default()).into()
}

/// A title or name for its column.
pub(crate) fn title_text(title: &str) -> String {
    column_text(&cut_text(title, TITLE_CHARACTERS)).into_owned()
}

/// Tags for their column: the first of them.
pub(crate) fn tag_texts(tags: &[String]) -> Vec<String> {
    tags.iter().take(TAGS).map(|tag| cut_tag(tag)).collect()
}

/// A tag for its column.
pub(crate) fn cut_tag(tag: &str) -> String {
    cut_text(tag, TAG_CHARACTERS).into_owned()
}

/// An id or the name of a person for its column: a very long one as its start and a hash. The body keeps it whole. What
/// was shortened stays as it is, so that an id is found as lists show it, too.
pub(crate) fn key_text(text: &str) -> std::borrow::Cow<'_, str> {
    let Some((end, _)) = text.char_indices().nth(KEY_CHARACTERS) else { return column_text(text) };
    if text.get(end..).is_some_and(is_key_end) {
        return column_text(text);
    }
    let hash = retort_model::fnv1a(text);
    format!("{}…{hash:016x}", column_text(text.get(..end).unwrap_or_default())).into()
}

/// Whether this is how [`key_text`] ends what it shortened.
fn is_key_end(end: &str) -> bool {
    let hash = end.strip_prefix('…');
    hash.is_some_and(|hash| hash.len() == 16 && hash.bytes().all(|byte| byte.is_ascii_hexdigit()))
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

pub(crate) fn number_of_kind(kind: Kind) -> i64 {
    match kind {
        Kind::Chat => 0,
        Kind::Agent => 1,
        Kind::Graph => 2,
    }
}

pub(crate) fn kind_of(number: i64) -> Kind {
    Kind::ALL.iter().copied().find(|kind| number_of_kind(*kind) == number).unwrap_or_default()
}

pub(crate) fn number_of_status(status: Status) -> i64 {
    match status {
        Status::Active => 0,
        Status::Favorite => 1,
        Status::Deleted => 2,
    }
}

pub(crate) fn status_of(number: i64) -> Status {
    Status::ALL.iter().copied().find(|one| number_of_status(*one) == number).unwrap_or_default()
}

/// A moment as its column.
pub(crate) fn micros(time: Option<Time>) -> i64 {
    time.map_or(UNKNOWN, Time::unix_micros)
}

/// A column as its moment.
pub(crate) fn moment(micros: i64) -> Option<Time> {
    if micros == UNKNOWN { None } else { Time::from_unix_micros(micros) }
}
