//! The index of the words of conversations (`retort_model::Words`): kept up to date, and asked.
//!
//! In SQLite it is an FTS5 table without content, in PostgreSQL a table of text vectors. Both have what users wrote, what
//! models wrote and the other texts of messages apart from each other (columns, weights); the words of titles, tags, tools
//! and other names are told apart by the marker before them, so that the words of a title can be replaced alone. To remove a
//! conversation's words, SQLite has to be told them; they are read from its body and its row.

use retort_model::{ConversationFilter, ItemKind, Phrase, Query, WordPart, Words, canonical};

use crate::body::{BodyHead, Unpacker};
use crate::columns::{array_of, cut_tag, read_texts};
use crate::dialect::{Connection, Dialect, Value};
use crate::error::Error;
use crate::items::unpack_stored;
use crate::statement::{Held, Statement};
use crate::store::take_turn;

/// A row's words, with those of its title and tags.
#[derive(Clone, Copy, Debug)]
pub(crate) struct RowWords<'w> {
    pub(crate) body: &'w Words,
    /// Title and tags.
    pub(crate) head: &'w str,
}

/// The words of a row's title and tags; `tags` is the column.
pub(crate) fn head_words(title: Option<&str>, tags: Option<&str>) -> String {
    let tags = read_texts(tags.unwrap_or("[]"));
    Words::of_head(title, tags.iter().map(String::as_str))
}

impl RowWords<'_> {
    fn is_empty(self) -> bool {
        self.body.is_empty() && self.head.is_empty()
    }

    fn names(self) -> String {
        let names = [self.body.names.as_str(), self.head];
        let names: Vec<_> = names.into_iter().filter(|text| !text.is_empty()).collect();
        names.join(" ")
    }
}

/// Adds the words of new rows, each with its key.
pub(crate) fn add_words(
    connection: &mut Connection,
    rows: &[(i64, RowWords<'_>)],
) -> Result<(), Error> {
    let rows = rows.iter().filter(|(_, row)| !row.is_empty());
    if connection.dialect() == Dialect::Postgres {
        return add_vectors(connection, rows);
    }
    for (key, row) in rows {
        let Words { question, answer, other, .. } = row.body;
        let sql = "INSERT INTO conversation_words (rowid, question, answer, other, names)
                   VALUES ($1, $2, $3, $4, $5)";
        let names = row.names();
        let texts = [question, answer, other, &names].map(Value::from);
        let values: Vec<_> = [Value::Int(*key)].into_iter().chain(texts).collect();
        connection.execute(sql, &values)?;
    }
    Ok(())
}

/// Adds rows to PostgreSQL's table of text vectors with one statement.
fn add_vectors<'w>(
    connection: &mut Connection,
    rows: impl Iterator<Item = &'w (i64, RowWords<'w>)>,
) -> Result<(), Error> {
    let mut statement = Statement::new("INSERT INTO conversation_words (key, words) VALUES ");
    statement.each(", ", rows, |list, (key, row)| {
        let Words { question, answer, other, .. } = row.body;
        let names = row.names();
        let vector = vector(&[(question, "A"), (answer, "B"), (other, "C"), (&names, "")]);
        list.push("(").int(*key).push(", CAST(CAST(").bind(Held::Text(vector));
        list.push(" AS TEXT) AS tsvector))")
    });
    let values = statement.values();
    if values.is_empty() {
        return Ok(());
    }
    connection.execute(&statement.sql, &values).map(|_| ())
}

/// Removes the words of a row.
pub(crate) fn remove_words(
    connection: &mut Connection,
    key: i64,
    row: RowWords<'_>,
) -> Result<(), Error> {
    match connection.dialect() {
        Dialect::Sqlite if row.is_empty() => Ok(()),
        Dialect::Sqlite => {
            let Words { question, answer, other, .. } = row.body;
            delete(connection, key, [question, answer, other, &row.names()])
        }
        Dialect::Postgres => {
            let sql = "DELETE FROM conversation_words WHERE key = $1";
            connection.execute(sql, &[key.into()]).map(|_| ())
        }
    }
}

/// Tells SQLite which words a row no longer has.
fn delete(connection: &mut Connection, key: i64, texts: [&str; 4]) -> Result<(), Error> {
    let sql =
        "INSERT INTO conversation_words (conversation_words, rowid, question, answer, other, names)
               VALUES ('delete', $1, $2, $3, $4, $5)";
    let values: Vec<_> = [key.into()].into_iter().chain(texts.map(Value::from)).collect();
    connection.execute(sql, &values).map(|_| ())
}

/// Replaces the words of a row's title and tags.
pub(crate) fn replace_head(
    connection: &mut Connection,
    key: i64,
    was: &str,
    becomes: &str,
) -> Result<(), Error> {
    if was == becomes {
        return Ok(());
    }
    match connection.dialect() {
        Dialect::Sqlite => {
            if !was.is_empty() {
                delete(connection, key, ["", "", "", was])?;
            }
            let body = Words::default();
            add_words(connection, &[(key, RowWords { body: &body, head: becomes })])
        }
        Dialect::Postgres => {
            let mut gone: Vec<_> = was.split(' ').filter(|word| !is_break(word)).collect();
            gone.sort_unstable();
            gone.dedup();
            let sql = "INSERT INTO conversation_words AS w (key, words)
                       VALUES ($1, CAST(CAST($2 AS TEXT) AS tsvector))
                       ON CONFLICT (key) DO UPDATE SET words = ts_delete(w.words,
                           ARRAY(SELECT jsonb_array_elements_text(CAST(CAST($3 AS TEXT) AS jsonb)))) || excluded.words";
            let (vector, gone) = (vector(&[(becomes, "")]), array_of(gone));
            let values = [key.into(), Value::Text(&vector), Value::Text(&gone)];
            connection.execute(sql, &values).map(|_| ())
        }
    }
}

fn is_break(word: &str) -> bool {
    word.is_empty() || word == retort_model::BREAK
}

/// Words as PostgreSQL reads a text vector. They have no quotes and no backslashes. Where a text ends, a place is left
/// empty.
fn vector(texts: &[(&str, &str)]) -> String {
    let mut out = String::new();
    let mut place = 0_usize;
    for (text, weight) in texts {
        for word in text.split(' ') {
            place += 1;
            if is_break(word) {
                continue;
            }
            // Later places are all the last one.
            let place = place.min(LAST_PLACE).to_string();
            for piece in ["'", word, "':", &place, *weight, " "] {
                out.push_str(piece);
            }
        }
    }
    out
}

/// The last place that a text vector tells apart from others.
const LAST_PLACE: usize = 16_383;

/// The words of a conversation that the store has; none if its body is damaged.
pub(crate) fn stored_words(
    connection: &mut Connection,
    unpacker: &mut Unpacker<'_>,
    (body, size): (i64, i64),
) -> Result<Option<Words>, Error> {
    let mut line = Vec::new();
    let head = BodyHead { size: usize::try_from(size).unwrap_or(0), ..BodyHead::default() };
    match unpack_stored(connection, unpacker, ItemKind::Conversation, (body, head), &mut line) {
        Ok(()) => {}
        Err(Error::Damaged(_)) => return Ok(None),
        Err(error) => return Err(error),
    }
    Ok(Some(words_of_line(&line)))
}

/// The words of a canonical line; none of what is no such line.
pub(crate) fn words_of_line(line: &[u8]) -> Words {
    let text = std::str::from_utf8(line).unwrap_or_default();
    canonical::read(text).map(|one| Words::of(&one)).unwrap_or_default()
}

/// Removes the words of a row that goes away or gets another body. If its body is damaged, nobody can tell SQLite which words
/// they are, and the whole index is to be made again.
pub(crate) fn remove_stored_words(
    connection: &mut Connection,
    unpacker: &mut Unpacker<'_>,
    key: i64,
    body: (i64, i64),
    head: &str,
) -> Result<(), Error> {
    let is_sqlite = connection.dialect() == Dialect::Sqlite;
    let words = if is_sqlite { stored_words(connection, unpacker, body)? } else { None };
    if is_sqlite && words.is_none() {
        let sql =
            "INSERT INTO meta (name, value) VALUES ('words', 'due') ON CONFLICT (name) DO NOTHING";
        connection.execute(sql, &[])?;
    }
    let body = words.unwrap_or_default();
    remove_words(connection, key, RowWords { body: &body, head })
}

impl crate::Store {
    /// Makes the index again if words of a damaged conversation were left in it.
    pub(crate) fn renew_words_if_due(&self) -> Result<(), Error> {
        let sql = "SELECT value FROM meta WHERE name = 'words'";
        if self.read(|connection| connection.row(sql, &[], |row| row.text(0)))?.is_none() {
            return Ok(());
        }
        self.write(|connection| {
            take_turn(connection)?;
            connection.script(
                "INSERT INTO conversation_words (conversation_words) VALUES ('delete-all');
                 UPDATE conversation SET marks = NULL WHERE body <> 0;
                 DELETE FROM meta WHERE name = 'words'",
            )
        })?;
        self.read_features()
    }
}

/// What the index is asked for one query.
pub(crate) struct Sought {
    /// What has to be found, if anything.
    pub(crate) found: Option<String>,
    /// What must not be found, if anything.
    pub(crate) not_found: Option<String>,
}

impl Sought {
    pub(crate) fn of(dialect: Dialect, query: &Query) -> Self {
        let one = |phrase: &Phrase| match dialect {
            Dialect::Sqlite => for_sqlite(phrase),
            Dialect::Postgres => for_postgres(phrase),
        };
        let joined = |phrases: &[Phrase], word: &str| {
            let each: Vec<_> = phrases.iter().map(one).collect();
            (!each.is_empty()).then(|| each.join(word))
        };
        let (and, or) = operators(dialect);
        let (found, not_found) = (joined(&query.all, and), joined(&query.none, or));
        match (found, not_found) {
            (Some(found), Some(not_found)) => {
                let but = if dialect == Dialect::Sqlite { "NOT" } else { "& !" };
                Self { found: Some(format!("(({found}) {but} ({not_found}))")), not_found: None }
            }
            (found, not_found) => Self { found, not_found },
        }
    }
}

/// The question that finds at least what a filter means, by the words of its queries and tags; none if it has neither, or
/// one of its queries asks only for what is not found.
pub(crate) fn leading(dialect: Dialect, filter: &ConversationFilter) -> Option<String> {
    lead(dialect, filter, |query| Sought::of(dialect, query).found)
}

/// As [`leading`] for PostgreSQL, without the places of words and their weights, which its index does not tell: it finds at
/// least as much, and never looks at a row.
pub(crate) fn leading_apart(filter: &ConversationFilter) -> Option<String> {
    let words = |phrase: &Phrase| {
        let one = |marker: &str| for_postgres_by(phrase, (marker, ""), " & ");
        let text = columns(phrase).map(|_| one(""));
        let each: Vec<_> = text.into_iter().chain(markers(phrase).map(one)).collect();
        format!("({})", each.join(" | "))
    };
    lead(Dialect::Postgres, filter, |query| {
        let all: Vec<_> = query.all.iter().map(words).collect();
        (!all.is_empty()).then(|| format!("({})", all.join(" & ")))
    })
}

/// A question of what `found` says of each query, and of the words of tags.
fn lead(
    dialect: Dialect,
    filter: &ConversationFilter,
    found: impl Fn(&Query) -> Option<String>,
) -> Option<String> {
    if !filter.or.is_empty() {
        return None;
    }
    let (and, or) = operators(dialect);
    let all_of = |some: [Option<String>; 2]| {
        let some: Vec<_> = some.into_iter().flatten().collect();
        (!some.is_empty()).then(|| format!("({})", some.join(and)))
    };
    let query = |query: &Query| all_of([found(query), tagged(dialect, &query.wanted.tags)]);
    let queries: Option<Vec<_>> = filter.search.iter().map(query).collect();
    let queries = queries.filter(|each| !each.is_empty());
    let queries = queries.map(|each| format!("({})", each.join(or)));
    all_of([queries, tagged(dialect, &filter.tags)])
}

/// The question for the words of any of these tags; none if there are none, or one has no words.
fn tagged(dialect: Dialect, tags: &[String]) -> Option<String> {
    let one = |tag: &String| {
        let phrase = Phrase::of_tag(&cut_tag(tag))?;
        Some(match dialect {
            Dialect::Sqlite => for_sqlite(&phrase),
            // The places of words may be unknown: see [`LAST_PLACE`].
            Dialect::Postgres => for_postgres_by(&phrase, (WordPart::Tag.marker(), ""), " & "),
        })
    };
    let each: Vec<_> = tags.iter().map(one).collect::<Option<_>>()?;
    (!each.is_empty()).then(|| format!("({})", each.join(operators(dialect).1)))
}

/// The words for and, or.
fn operators(dialect: Dialect) -> (&'static str, &'static str) {
    match dialect {
        Dialect::Sqlite => (" AND ", " OR "),
        Dialect::Postgres => (" & ", " | "),
    }
}

/// Whether a filter asks for words that are there or are not.
pub(crate) fn asks_words(filter: &ConversationFilter) -> bool {
    let asks = |one: &ConversationFilter| {
        one.search.iter().any(|query| !query.all.is_empty() || !query.none.is_empty())
    };
    asks(filter) || filter.or.iter().any(asks)
}

/// Whether the words of a phrase may be in text of messages, and in which columns or weights if not in all.
fn columns(phrase: &Phrase) -> Option<Option<&'static str>> {
    let has = |part: WordPart| phrase.parts.contains(&part);
    match (has(WordPart::Question), has(WordPart::Answer)) {
        (true, true) => Some(None),
        (true, false) => Some(Some("question")),
        (false, true) => Some(Some("answer")),
        (false, false) => None,
    }
}

/// Each way in which a phrase may be in the index: with the marker of each part.
fn markers(phrase: &Phrase) -> impl Iterator<Item = &'static str> {
    let names = WordPart::NAMES.into_iter().filter(|part| phrase.parts.contains(part));
    names.map(WordPart::marker)
}

fn for_sqlite(phrase: &Phrase) -> String {
    let one = |marker: &str| {
        let words: Vec<_> = phrase.words.iter().map(|word| format!("{marker}{word}")).collect();
        format!("\"{}\"{}", words.join(" "), if phrase.is_start { " *" } else { "" })
    };
    let text = columns(phrase).map(|column| match column {
        Some(column) => format!("{column} : {}", one("")),
        None => one(""),
    });
    let each: Vec<_> = text.into_iter().chain(markers(phrase).map(one)).collect();
    format!("({})", each.join(" OR "))
}

fn for_postgres(phrase: &Phrase) -> String {
    let one = |marker: &str, weight: &str| for_postgres_by(phrase, (marker, weight), " <-> ");
    let text = columns(phrase).map(|column| match column {
        Some("question") => one("", "A"),
        Some(_) => one("", "B"),
        None => one("", ""),
    });
    let each: Vec<_> =
        text.into_iter().chain(markers(phrase).map(|marker| one(marker, ""))).collect();
    format!("({})", each.join(" | "))
}

/// The words of a phrase, each with this marker before it and this weight.
fn for_postgres_by(phrase: &Phrase, (marker, weight): (&str, &str), between: &str) -> String {
    let last = phrase.words.len().saturating_sub(1);
    let word = |(place, word): (usize, &String)| {
        let start = if phrase.is_start && place == last { "*" } else { "" };
        let colon = if start.is_empty() && weight.is_empty() { "" } else { ":" };
        format!("'{marker}{word}'{colon}{start}{weight}")
    };
    let words: Vec<_> = phrase.words.iter().enumerate().map(word).collect();
    format!("({})", words.join(between))
}

/// Appends ` AND …` for what a query asks the index. `is_by_row` asks it about each row when its turn comes, instead of for
/// everything that it finds.
pub(crate) fn push_sought(
    statement: &mut Statement,
    dialect: Dialect,
    query: &Query,
    is_by_row: bool,
) {
    let sought = Sought::of(dialect, query);
    for (question, is_wanted) in [(sought.found, true), (sought.not_found, false)] {
        let Some(question) = question else { continue };
        let not = if is_wanted { "" } else { "NOT " };
        match dialect {
            // The plus leaves it to the rest of the statement in which order rows are looked at.
            Dialect::Sqlite => {
                statement.push(&format!(
                    " AND +c.key {not}IN (SELECT rowid FROM conversation_words WHERE conversation_words MATCH "
                ));
                statement.bind(Held::Text(question)).push(")");
            }
            // PostgreSQL does not make a join of an expression, so that it is asked of the rows in their order.
            Dialect::Postgres if is_by_row => {
                statement.push(&format!(" AND {not}COALESCE((SELECT w.words @@ "));
                push_question(statement, &question)
                    .push(" FROM conversation_words w WHERE w.key = c.key), FALSE)");
            }
            Dialect::Postgres => {
                statement.push(&format!(" AND {not}EXISTS ("));
                push_matches(statement, &question).push(" AND w.key = c.key)");
            }
        };
    }
}

/// Appends the query for the keys (`w`) that PostgreSQL's index finds.
pub(crate) fn push_matches<'s>(statement: &'s mut Statement, question: &str) -> &'s mut Statement {
    statement.push("SELECT w.key FROM conversation_words w WHERE w.words @@ ");
    push_question(statement, question)
}

/// Appends a question for PostgreSQL's index.
fn push_question<'s>(statement: &'s mut Statement, question: &str) -> &'s mut Statement {
    statement.push("CAST(CAST(").bind(Held::Text(question.to_owned())).push(" AS TEXT) AS tsquery)")
}
