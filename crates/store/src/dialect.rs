//! What differs between SQLite and PostgreSQL: connecting, binding, reading rows, and a few words of SQL.
//!
//! All other files have each statement once, as one text that both databases take. That works because the store asks little
//! of them: columns hold whole numbers, texts, bytes or null ([`Value`]), so times are microseconds, words of closed sets
//! are numbers, and lists are JSON texts. Where no common text exists, [`Dialect`] has a word or a fragment for each.
//! [`Connection`] runs a statement on either, and keeps it prepared, as the same few hundred come again and again.
//!
//! Statements number their parameters `$1`, `$2`, … in the order in which they first appear: SQLite then
//! gives them the same numbers as PostgreSQL.
//!
//! SQLite has one writer. A transaction takes that place when it begins (`BEGIN IMMEDIATE`), as a reader that turns into
//! a writer can be refused at any time. PostgreSQL has many writers; where their order matters, they wait for the row of
//! a counter (`take_turn`). A statement that is to end early is told by SQLite itself, which looks at [`stop`] every few
//! thousand steps, and by a second connection to PostgreSQL ([`Connection::canceller`]).

use std::collections::HashMap;
use std::error::Error as StdError;
use std::io::{self, Read};
use std::path::Path;
use std::time::Duration;

use postgres::fallible_iterator::FallibleIterator;
use postgres::types::private::BytesMut;
use postgres::types::{IsNull, ToSql, Type, to_sql_checked};
use retort_model::bounds::ROWS_AT_ONCE;
use rusqlite::types::{ToSqlOutput, ValueRef};

use crate::error::Error;
use crate::{stop, tls};

/// How long a statement waits for another process that writes.
pub(crate) const BUSY: Duration = Duration::from_secs(30);

/// Bytes of a page of a new SQLite file: with half as many, an import has a tenth more to do.
const PAGE_BYTES: i64 = 8192;

/// Pages of the log that gather while conversations come in, before they are put in their places: pages of the indexes
/// come again and again.
const INTAKE_LOG_PAGES: i64 = 16 << 10;

/// Memory for pages of a SQLite connection, in kibibytes.
const CACHE_KIB: i64 = 16 << 10;

/// Files up to this size are read through the system's memory by lists.
const MAP: &str = "PRAGMA mmap_size = 17179869184";

/// The same while conversations come in, whose ids and dates lie anywhere in the indexes.
const INTAKE_CACHE_KIB: i64 = 256 << 10;

/// Steps of SQLite's machine after which it looks whether the work is to end: some microseconds.
const STEPS_BETWEEN_LOOKS: i32 = 2000;

/// Statements that a connection keeps prepared.
const PREPARED: usize = 128;

/// The name of a document `c`, as in `DocumentSummary::called`. An index of the schema has this expression.
pub(crate) const DOCUMENT_NAME: &str =
    "COALESCE(NULLIF(c.name, ''), NULLIF(c.s3_path, ''), NULLIF(c.url, ''), c.id)";

/// A value to bind.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Value<'v> {
    Null,
    Int(i64),
    Text(&'v str),
    Bytes(&'v [u8]),
}

impl From<i64> for Value<'_> {
    fn from(number: i64) -> Self {
        Self::Int(number)
    }
}

impl<'v> From<&'v str> for Value<'v> {
    fn from(text: &'v str) -> Self {
        Self::Text(text)
    }
}

impl<'v> From<&'v String> for Value<'v> {
    fn from(text: &'v String) -> Self {
        Self::Text(text)
    }
}

impl<'v, T: Into<Value<'v>>> From<Option<T>> for Value<'v> {
    fn from(value: Option<T>) -> Self {
        value.map_or(Self::Null, Into::into)
    }
}

/// The two kinds of store.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Dialect {
    Sqlite,
    Postgres,
}

/// Characters of a title that it is sorted by: more would make the index large, and tell hardly any titles apart.
pub(crate) const TITLE_SORTED: usize = 200;

/// What conversations without a title are sorted by: it is behind all titles.
pub(crate) const NO_TITLE: char = char::MAX;

impl Dialect {
    /// The SQL of a schema with its words for types.
    pub(crate) fn schema(self, sql: &str) -> String {
        let words = match self {
            Self::Sqlite => [
                ("{key}", "INTEGER PRIMARY KEY"),
                ("{bytes}", "BLOB"),
                ("{clustered}", " WITHOUT ROWID"),
            ],
            Self::Postgres => {
                [("{key}", "BIGINT PRIMARY KEY"), ("{bytes}", "BYTEA"), ("{clustered}", "")]
            }
        };
        let sql = sql.replace("{sorted_title}", &self.sorted_title("title"));
        let sql =
            sql.replace("{sorted_name}", &self.sorted_title(&DOCUMENT_NAME.replace("c.", "")));
        words.iter().fold(sql, |sql, (word, meaning)| sql.replace(word, meaning))
    }

    /// What lists are sorted by for a column of titles: their beginnings byte by byte, with capital letters of ASCII as small
    /// ones, so that both databases sort alike.
    pub(crate) fn sorted_title(self, column: &str) -> String {
        let bytewise = match self {
            Self::Sqlite => "",
            Self::Postgres => " COLLATE \"C\"",
        };
        format!("COALESCE(lower(substr({column}, 1, {TITLE_SORTED}){bytewise}), '{NO_TITLE}')")
    }

    /// What makes titles and tags searchable by any part of them.
    pub(crate) fn search_schema(self) -> &'static str {
        match self {
            // The text is in the conversation's row alone, and what is deleted is gone from the index at once.
            // Without the places of trigrams it is written in half the time; what is found is looked at anyway.
            Self::Sqlite => {
                "CREATE VIRTUAL TABLE conversation_search USING fts5(
                     search, content='conversation', content_rowid='key', columnsize=0, detail=none,
                     tokenize='trigram case_sensitive 1');
                 INSERT INTO conversation_search (conversation_search, rank) VALUES ('secure-delete', 1);
                 INSERT INTO conversation_search (conversation_search, rank) VALUES ('automerge', 16)"
            }
            Self::Postgres => {
                "CREATE EXTENSION IF NOT EXISTS pg_trgm;
                 CREATE INDEX conversation_search ON conversation USING gin (search gin_trgm_ops)"
            }
        }
    }

    /// What makes ids, questions, answers and errors of runs searchable in the same way.
    pub(crate) fn run_search_schema(self) -> &'static str {
        match self {
            Self::Sqlite => {
                "CREATE VIRTUAL TABLE run_search USING fts5(
                     search, content='run', content_rowid='key', columnsize=0, detail=none,
                     tokenize='trigram case_sensitive 1');
                 INSERT INTO run_search (run_search, rank) VALUES ('secure-delete', 1);
                 INSERT INTO run_search (run_search, rank) VALUES ('automerge', 16)"
            }
            Self::Postgres => "CREATE INDEX run_search ON run USING gin (search gin_trgm_ops)",
        }
    }

    /// What makes the words of conversations searchable, in place of what made titles and tags searchable. The texts stand
    /// in the bodies alone.
    pub(crate) fn words_schema(self) -> &'static str {
        match self {
            // The words come with spaces between them and are not cut again. What is deleted is gone from the index at
            // once.
            Self::Sqlite => {
                "DROP TABLE conversation_search;
                 ALTER TABLE conversation DROP COLUMN search;
                 CREATE VIRTUAL TABLE conversation_words USING fts5(
                     question, answer, other, names, content='', columnsize=0, tokenize='ascii');
                 INSERT INTO conversation_words (conversation_words, rank) VALUES ('secure-delete', 1);
                 INSERT INTO conversation_words (conversation_words, rank) VALUES ('automerge', 16)"
            }
            Self::Postgres => {
                "DROP INDEX conversation_search;
                 ALTER TABLE conversation DROP COLUMN search;
                 CREATE TABLE conversation_words (key BIGINT PRIMARY KEY, words tsvector NOT NULL);
                 CREATE INDEX conversation_words_words ON conversation_words USING gin (words)"
            }
        }
    }

    /// How much memory words take before they are written. What an import commits at once then becomes one piece of SQLite's
    /// index, instead of one for each megabyte that has to be merged with the others.
    pub(crate) fn words_memory(self) -> &'static str {
        match self {
            Self::Sqlite => {
                "INSERT INTO conversation_words (conversation_words, rank) VALUES ('hashsize', 67108864)"
            }
            Self::Postgres => "",
        }
    }

    /// What lets the audit log only be added to.
    pub(crate) fn audit_schema(self) -> &'static str {
        match self {
            Self::Sqlite => {
                "CREATE TRIGGER audit_kept_from_update BEFORE UPDATE ON audit
                 BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
                 CREATE TRIGGER audit_kept_from_delete BEFORE DELETE ON audit
                 BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END;
                 -- `INSERT OR REPLACE` deletes, and tells no trigger.
                 CREATE TRIGGER audit_kept_from_replace BEFORE INSERT ON audit
                 WHEN EXISTS (SELECT 1 FROM audit WHERE id = NEW.id)
                 BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END"
            }
            Self::Postgres => {
                "CREATE FUNCTION keep_audit() RETURNS trigger LANGUAGE plpgsql AS
                 $$ BEGIN RAISE EXCEPTION 'the audit log is only added to'; END $$;
                 CREATE TRIGGER audit_kept BEFORE UPDATE OR DELETE OR TRUNCATE ON audit
                 EXECUTE FUNCTION keep_audit()"
            }
        }
    }

    /// What lets entries be removed from the audit log within a transaction, and what forbids it again.
    pub(crate) fn audit_deletion(self) -> (&'static str, &'static str) {
        match self {
            Self::Sqlite => (
                "DROP TRIGGER audit_kept_from_delete",
                "CREATE TRIGGER audit_kept_from_delete BEFORE DELETE ON audit
                 BEGIN SELECT RAISE(ABORT, 'the audit log is only added to'); END",
            ),
            Self::Postgres => (
                "ALTER TABLE audit DISABLE TRIGGER audit_kept",
                "ALTER TABLE audit ENABLE TRIGGER audit_kept",
            ),
        }
    }

    /// `column` is one of the texts in the JSON array that is the next parameter.
    pub(crate) fn is_among(self, column: &str, parameter: usize) -> String {
        match self {
            Self::Sqlite => format!("{column} IN (SELECT value FROM json_each(${parameter}))"),
            Self::Postgres => format!(
                "{column} = ANY(ARRAY(SELECT jsonb_array_elements_text(CAST(${parameter} AS TEXT)::jsonb)))"
            ),
        }
    }

    /// The function that says where in a text another one begins, from 1, or 0.
    pub(crate) fn position(self) -> &'static str {
        match self {
            Self::Sqlite => "instr",
            Self::Postgres => "strpos",
        }
    }

    /// Rows that one statement writes. SQLite keeps a way back for a statement of several, and its search index then
    /// goes to the file each time; PostgreSQL saves turns.
    pub(crate) fn rows_at_once(self) -> usize {
        match self {
            Self::Sqlite => 1,
            Self::Postgres => ROWS_AT_ONCE,
        }
    }

    /// Keeps indexes out of a walk over all rows, which they would make a jumping about.
    pub(crate) fn without_index(self) -> &'static str {
        match self {
            Self::Sqlite => " NOT INDEXED",
            Self::Postgres => "",
        }
    }

    /// Rows that are read wait for those who change them, and then hold others up.
    pub(crate) fn locked(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR UPDATE",
        }
    }

    /// Rows that the statement is about to change are left to others that hold them.
    pub(crate) fn skip_locked(self) -> &'static str {
        match self {
            Self::Sqlite => "",
            Self::Postgres => " FOR UPDATE SKIP LOCKED",
        }
    }
}

/// A connection to a store.
pub(crate) enum Connection {
    Sqlite(rusqlite::Connection),
    Postgres(Box<Server>),
}

/// A connection to PostgreSQL with its prepared statements.
pub(crate) struct Server {
    client: postgres::Client,
    url: String,
    statements: HashMap<String, postgres::Statement>,
}

/// One row of a result.
pub(crate) enum Row<'r> {
    Sqlite(&'r rusqlite::Row<'r>),
    Postgres(&'r postgres::Row),
}

/// An open file of SQLite.
pub(crate) fn open_sqlite(path: &Path, create: bool) -> Result<Connection, Error> {
    use rusqlite::OpenFlags;
    let mut flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    flags.set(OpenFlags::SQLITE_OPEN_CREATE, create);
    let mut connection = rusqlite::Connection::open_with_flags(path, flags)?;
    connection.busy_timeout(BUSY)?;
    connection.set_prepared_statement_cache_capacity(PREPARED);
    if create {
        // Of a file that is there it stays what it was.
        connection.pragma_update(None, "page_size", PAGE_BYTES)?;
    }
    connection.pragma_update(None, "journal_mode", "WAL")?;
    // What was said to be kept is on the disk.
    connection.pragma_update(None, "synchronous", "FULL")?;
    connection.pragma_update(None, "foreign_keys", "ON")?;
    // What is purged is not to be found in the file.
    connection.pragma_update(None, "secure_delete", "ON")?;
    connection.pragma_update(None, "cache_size", -CACHE_KIB)?;
    connection.progress_handler(STEPS_BETWEEN_LOOKS, Some(stop::is_asked))?;
    Ok(Connection::Sqlite(connection))
}

/// A connection to a PostgreSQL server.
pub(crate) fn open_postgres(url: &str) -> Result<Connection, Error> {
    let client =
        tls::connect(url).map_err(|reason| Error::Open { store: without_password(url), reason })?;
    let url = url.to_owned();
    Ok(Connection::Postgres(Box::new(Server { client, url, statements: HashMap::new() })))
}

/// A URL as it may be shown.
pub(crate) fn without_password(url: &str) -> String {
    let Some((scheme, rest)) = url.split_once("://") else { return url.to_owned() };
    let (place, options) = rest.split_once('?').unwrap_or((rest, ""));
    let mut shown = match place.rsplit_once('@') {
        Some((user, host)) => {
            let user = user.split(':').next().unwrap_or(user);
            format!("{scheme}://{user}@{host}")
        }
        None => format!("{scheme}://{place}"),
    };
    let open = options.split('&').filter(|one| !one.is_empty() && !one.starts_with("password="));
    for (index, option) in open.enumerate() {
        shown.push(if index == 0 { '?' } else { '&' });
        shown.push_str(option);
    }
    shown
}

impl Connection {
    pub(crate) fn dialect(&self) -> Dialect {
        match self {
            Self::Sqlite(_) => Dialect::Sqlite,
            Self::Postgres(_) => Dialect::Postgres,
        }
    }

    /// What cancels the query that it is at; none for SQLite, which looks by itself.
    pub(crate) fn canceller(&self) -> Option<Box<dyn FnOnce() + Send>> {
        match self {
            Self::Sqlite(_) => None,
            Self::Postgres(server) => {
                let (token, url) = (server.client.cancel_token(), server.url.clone());
                Some(Box::new(move || tls::cancel(&token, &url)))
            }
        }
    }

    /// Whether the server has ended it.
    pub(crate) fn is_closed(&self) -> bool {
        match self {
            Self::Sqlite(_) => false,
            Self::Postgres(server) => server.client.is_closed(),
        }
    }

    /// Does a statement; says how many rows it changed.
    pub(crate) fn execute(&mut self, sql: &str, values: &[Value<'_>]) -> Result<u64, Error> {
        match self {
            Self::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(sql)?;
                let changed = statement.execute(rusqlite::params_from_iter(values))?;
                Ok(changed as u64)
            }
            Self::Postgres(server) => {
                let statement = server.prepared(sql)?;
                Ok(server.client.execute(&statement, &bound(values))?)
            }
        }
    }

    /// Does several statements without parameters.
    pub(crate) fn script(&mut self, sql: &str) -> Result<(), Error> {
        match self {
            Self::Sqlite(connection) => Ok(connection.execute_batch(sql)?),
            Self::Postgres(server) => Ok(server.client.batch_execute(sql)?),
        }
    }

    /// Hands each row to `take`, as they come.
    pub(crate) fn each(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        take: &mut dyn FnMut(&Row<'_>) -> Result<(), Error>,
    ) -> Result<(), Error> {
        match self {
            Self::Sqlite(connection) => {
                let mut statement = connection.prepare_cached(sql)?;
                let mut rows = statement.query(rusqlite::params_from_iter(values))?;
                while let Some(row) = rows.next()? {
                    take(&Row::Sqlite(row))?;
                }
            }
            Self::Postgres(server) => {
                let statement = server.prepared(sql)?;
                let mut rows = server.client.query_raw(&statement, bound(values))?;
                while let Some(row) = rows.next()? {
                    take(&Row::Postgres(&row))?;
                }
            }
        }
        Ok(())
    }

    /// All rows.
    pub(crate) fn rows<T>(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        read: impl Fn(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Vec<T>, Error> {
        let mut found = Vec::new();
        self.each(sql, values, &mut |row| {
            found.push(read(row)?);
            Ok(())
        })?;
        Ok(found)
    }

    /// The one row, if there is one.
    pub(crate) fn row<T>(
        &mut self,
        sql: &str,
        values: &[Value<'_>],
        read: impl Fn(&Row<'_>) -> Result<T, Error>,
    ) -> Result<Option<T>, Error> {
        Ok(self.rows(sql, values, read)?.into_iter().next())
    }

    /// The names of all tables, with those that hold an index of SQLite's.
    pub(crate) fn tables(&mut self) -> Result<Vec<String>, Error> {
        let sql = match self {
            Self::Sqlite(_) => {
                "SELECT name FROM sqlite_master WHERE type = 'table' AND rootpage > 0"
            }
            Self::Postgres(_) => {
                "SELECT tablename::text FROM pg_tables WHERE schemaname = current_schema()"
            }
        };
        self.rows(sql, &[], |row| row.text(0))
    }

    /// Hands on what is in a table: value by value, or all of it as PostgreSQL copies it.
    pub(crate) fn read_table(
        &mut self,
        table: &str,
        look: &mut dyn FnMut(&mut dyn Read) -> io::Result<()>,
    ) -> Result<(), Error> {
        let fail = |error: io::Error| Error::Disk(error.to_string());
        match self {
            Self::Sqlite(connection) => {
                let mut statement = connection.prepare(&format!("SELECT * FROM \"{table}\""))?;
                let columns = statement.column_count();
                let mut rows = statement.query([])?;
                while let Some(row) = rows.next()? {
                    for column in 0..columns {
                        let value = row.get_ref(column)?;
                        if let ValueRef::Text(mut bytes) | ValueRef::Blob(mut bytes) = value {
                            look(&mut bytes).map_err(fail)?;
                        }
                    }
                }
                Ok(())
            }
            Self::Postgres(server) => {
                let mut rows = server.client.copy_out(&format!("COPY \"{table}\" TO STDOUT"))?;
                look(&mut rows).map_err(fail)
            }
        }
    }

    /// Reads the file through the system's memory from now on: lists jump about in it. Walks over everything would
    /// seem to take as much memory as the file.
    pub(crate) fn map(&mut self) -> Result<(), Error> {
        match self {
            Self::Sqlite(_) => self.each(MAP, &[], &mut |_| Ok(())),
            Self::Postgres(_) => Ok(()),
        }
    }

    /// Whether a statement of SQLite waits for another process that writes. PostgreSQL has no one writer.
    pub(crate) fn set_waiting(&mut self, waits: bool) -> Result<(), Error> {
        match self {
            Self::Sqlite(connection) => {
                Ok(connection.busy_timeout(if waits { BUSY } else { Duration::ZERO })?)
            }
            Self::Postgres(_) => Ok(()),
        }
    }

    /// Does `act` with plans that use indexes: PostgreSQL's planner does not know how long it takes to read the text vectors
    /// of all rows.
    pub(crate) fn by_index<T>(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        if self.dialect() == Dialect::Sqlite {
            return act(self);
        }
        self.script("SET enable_seqscan = off")?;
        let done = act(self);
        let reset = self.script("RESET enable_seqscan");
        done.and_then(|done| reset.map(|()| done))
    }

    /// Moves the pages of SQLite's log to their places and empties the file, which keeps old pages otherwise. While
    /// a reader holds an old snapshot for longer than `patience`, only part of it is moved.
    pub(crate) fn empty_log(&mut self, patience: Duration) -> Result<(), Error> {
        match self {
            Self::Sqlite(connection) => {
                connection.busy_timeout(patience)?;
                let done = connection.query_row("PRAGMA wal_checkpoint(TRUNCATE)", [], |_| Ok(()));
                connection.busy_timeout(BUSY)?;
                Ok(done?)
            }
            Self::Postgres(_) => Ok(()),
        }
    }

    /// Makes room for pages all over the indexes.
    pub(crate) fn widen(&mut self) -> Result<(), Error> {
        match self {
            Self::Sqlite(connection) => {
                connection.pragma_update(None, "wal_autocheckpoint", INTAKE_LOG_PAGES)?;
                Ok(connection.pragma_update(None, "cache_size", -INTAKE_CACHE_KIB)?)
            }
            Self::Postgres(_) => Ok(()),
        }
    }

    /// Does all of `act` or nothing of it.
    pub(crate) fn transaction<T>(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.begin()?;
        self.all_or_nothing(act, "COMMIT", "ROLLBACK")
    }

    /// As [`Connection::transaction`], within a transaction that has begun.
    pub(crate) fn step<T>(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.script("SAVEPOINT step")?;
        self.all_or_nothing(act, "RELEASE step", "ROLLBACK TO step; RELEASE step")
    }

    fn all_or_nothing<T>(
        &mut self,
        act: impl FnOnce(&mut Self) -> Result<T, Error>,
        keep: &str,
        undo: &str,
    ) -> Result<T, Error> {
        let result = act(self).and_then(|value| self.script(keep).map(|()| value));
        if result.is_err() {
            // It may have ended by itself, and then there is nothing to end.
            let _ = self.script(undo);
        }
        result
    }

    /// Begins a transaction.
    pub(crate) fn begin(&mut self) -> Result<(), Error> {
        self.script(match self.dialect() {
            // Takes the write lock at once: a transaction that has already read may no longer get it.
            Dialect::Sqlite => "BEGIN IMMEDIATE",
            Dialect::Postgres => "BEGIN",
        })
    }
}

impl Server {
    fn prepared(&mut self, sql: &str) -> Result<postgres::Statement, Error> {
        if let Some(statement) = self.statements.get(sql) {
            return Ok(statement.clone());
        }
        let statement = self.client.prepare(sql)?;
        if self.statements.len() >= PREPARED {
            self.statements.clear();
        }
        self.statements.insert(sql.to_owned(), statement.clone());
        Ok(statement)
    }
}

fn bound<'v>(values: &'v [Value<'v>]) -> Vec<&'v (dyn ToSql + Sync)> {
    values.iter().map(|value| value as &(dyn ToSql + Sync)).collect()
}

impl rusqlite::ToSql for Value<'_> {
    fn to_sql(&self) -> rusqlite::Result<ToSqlOutput<'_>> {
        Ok(ToSqlOutput::Borrowed(match self {
            Self::Null => ValueRef::Null,
            Self::Int(number) => ValueRef::Integer(*number),
            Self::Text(text) => ValueRef::Text(text.as_bytes()),
            Self::Bytes(bytes) => ValueRef::Blob(bytes),
        }))
    }
}

impl ToSql for Value<'_> {
    fn to_sql(
        &self,
        kind: &Type,
        out: &mut BytesMut,
    ) -> Result<IsNull, Box<dyn StdError + Sync + Send>> {
        match self {
            Self::Null => Ok(IsNull::Yes),
            Self::Int(number) if *kind == Type::INT4 => i32::try_from(*number)?.to_sql(kind, out),
            Self::Int(number) => number.to_sql(kind, out),
            Self::Text(text) => text.to_sql(kind, out),
            Self::Bytes(bytes) => bytes.to_sql(kind, out),
        }
    }

    fn accepts(_kind: &Type) -> bool {
        true
    }

    to_sql_checked!();
}

impl Row<'_> {
    pub(crate) fn int(&self, column: usize) -> Result<i64, Error> {
        match self {
            Self::Sqlite(row) => Ok(row.get(column)?),
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }

    pub(crate) fn int_or_none(&self, column: usize) -> Result<Option<i64>, Error> {
        match self {
            Self::Sqlite(row) => Ok(row.get(column)?),
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }

    pub(crate) fn text(&self, column: usize) -> Result<String, Error> {
        match self {
            Self::Sqlite(row) => Ok(row.get(column)?),
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }

    pub(crate) fn text_or_none(&self, column: usize) -> Result<Option<String>, Error> {
        match self {
            Self::Sqlite(row) => Ok(row.get(column)?),
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }

    /// Bytes; none if the column is null.
    pub(crate) fn bytes(&self, column: usize) -> Result<Option<&[u8]>, Error> {
        match self {
            Self::Sqlite(row) => row
                .get_ref(column)?
                .as_blob_or_null()
                .map_err(|error| Error::Damaged(error.to_string())),
            Self::Postgres(row) => Ok(row.try_get(column)?),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn passwords_are_not_shown() {
        assert_eq!(without_password("postgres://ann:secret@host/db"), "postgres://ann@host/db");
        assert_eq!(without_password("postgres://ann:se@cret@host/db"), "postgres://ann@host/db");
        assert_eq!(without_password("postgres://host/db"), "postgres://host/db");
        assert_eq!(
            without_password("postgres:///db?host=/run&password=secret&user=ann"),
            "postgres:///db?host=/run&user=ann"
        );
    }
}
