//! SQLite databases. A table is read like an entry of an archive, called `DATABASE/TABLE`, and each of its rows is a JSON
//! object under the names of the columns: texts as they are, columns declared as JSON as what they hold, bytes as text if
//! they are UTF-8 and else as base64.
//!
//! A database is copied before it is opened, together with its write-ahead log: the program that it belongs to may go on
//! writing, and SQLite itself would write beside it. Nothing in it is trusted: no views, triggers or expressions of its own
//! are run, and only the rows of plain tables are selected.

use std::fs::{self, File};
use std::io::{self, Read};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use retort_formats::import::{Entry, Refusal, Sniff, recognise};
use retort_json::{RawJson, write_string};
use retort_model::bounds::{ITEM_BYTES, SNIFFED_BYTES};
use rusqlite::config::DbConfig;
use rusqlite::types::ValueRef;
use rusqlite::{Connection, OpenFlags, Row};

use super::bytes::{Bounded, Lines, unsupported};
use super::open::{Opener, StreamInfo, copy_to, named, temporary};
use super::stream::PassedOver;
use crate::disk::TEMPORARY_PREFIX;
use crate::error::Error;

/// What the name of a write-ahead log adds to that of its database.
pub(super) const LOG: &str = "-wal";

/// Whether bytes are the beginning of a write-ahead log.
pub(super) fn is_log(start: &[u8]) -> bool {
    matches!(start, [0x37, 0x7f, 0x06, 0x82 | 0x83, ..])
}

/// The name of a database's write-ahead log.
pub(crate) fn log_of(name: &str) -> String {
    format!("{name}{LOG}")
}

/// Rows of a table that are looked at to know what it holds.
const SNIFFED_ROWS: usize = 64;

impl Opener<'_> {
    /// The tables of a database. `path` is where it is, if it is a file of its own: its log is beside it. For a database in
    /// an archive, the log is in `self.log`.
    pub(super) fn database(
        &mut self,
        place: &StreamInfo,
        input: &mut dyn Read,
        path: Option<&Path>,
    ) -> Result<bool, Error> {
        let folder = tempfile::Builder::new()
            .prefix(TEMPORARY_PREFIX)
            .tempdir()
            .map_err(|source| Error::Failed { what: "a temporary folder", source })?;
        let copied = copy(input, path, self.log.take(), folder.path())?;
        let opened = copied.and_then(|copy| {
            let connection = open(&copy).map_err(broken)?;
            let tables = tables(&connection).map_err(broken)?;
            Ok((connection, tables))
        });
        let (connection, tables) = match opened {
            Ok(opened) => opened,
            Err(error) => return self.fail(place, &error),
        };
        let (mut known, mut unknown) = (Vec::new(), Vec::new());
        for table in tables {
            let inside = place.entry(&table.name);
            match self.knows(&connection, &table, &inside) {
                Ok(Some(true)) => known.push((inside, table)),
                Ok(Some(false)) => unknown.push((inside, table.name)),
                // It is empty.
                Ok(None) => {}
                Err(error) => {
                    if !self.fail(&inside, &broken(error))? {
                        return Ok(false);
                    }
                }
            }
        }
        if known.is_empty() {
            if let Some(why) = place.expected.passed_over() {
                return self.pass_over(place, why);
            }
            let names: Vec<_> = unknown.into_iter().map(|(_, name)| name).collect();
            let why = match names.as_slice() {
                [] => "it is an SQLite database without rows".to_owned(),
                names => format!(
                    "no import format knows its tables {}; `--map` reads a table of your choice",
                    named(names)
                ),
            };
            return self.refuse(place, Refusal::UnknownShape, why);
        }
        for (inside, _) in unknown {
            if !self.pass_over(&inside, PassedOver::NotAHistory)? {
                return Ok(false);
            }
        }
        for (inside, table) in known {
            if !self.table_rows(&connection, &table, &inside)? {
                return Ok(false);
            }
        }
        Ok(true)
    }

    /// Whether one of the first rows of a table is a history; none if it has no rows.
    fn knows(
        &self,
        connection: &Connection,
        table: &Table,
        place: &StreamInfo,
    ) -> rusqlite::Result<Option<bool>> {
        let mut statement = connection.prepare(&table.select())?;
        let mut rows = statement.query([signed(self.options.max_item)])?;
        let (mut count, mut bytes) = (0, 0);
        while count < SNIFFED_ROWS && bytes < SNIFFED_BYTES {
            let Some(row) = rows.next()? else { return Ok((count > 0).then_some(false)) };
            let text = table.json(row);
            (count, bytes) = (count + 1, bytes + text.len());
            if self.wanted.knows(&Sniff::found(&text, Entry { path: &place.label })) {
                return Ok(Some(true));
            }
        }
        Ok(Some(false))
    }

    fn table_rows(
        &mut self,
        connection: &Connection,
        table: &Table,
        place: &StreamInfo,
    ) -> Result<bool, Error> {
        let most = self.options.max_item;
        match table.count_above(connection, most) {
            Ok(0) => {}
            Ok(count) => {
                let why = format!(
                    "{count} of its rows are larger than {} MiB, and are not read",
                    most >> 20
                );
                if !self.refuse(place, Refusal::TooLarge, why)? {
                    return Ok(false);
                }
            }
            Err(error) => return self.fail(place, &broken(error)),
        }
        let mut statement = match connection.prepare(&table.select()) {
            Ok(statement) => statement,
            Err(error) => return self.fail(place, &broken(error)),
        };
        let mut rows = match statement.query([signed(most)]) {
            Ok(rows) => rows,
            Err(error) => return self.fail(place, &broken(error)),
        };
        let mut has_failed = false;
        let lines = std::iter::from_fn(|| {
            if has_failed {
                return None;
            }
            match rows.next() {
                Ok(row) => Some(Ok(table.json(row?))),
                Err(error) => {
                    has_failed = true;
                    Some(Err(broken(error)))
                }
            }
        });
        let inner = Lines { rows: Box::new(lines), line: io::Cursor::default() };
        let budget = Arc::clone(&self.budget);
        self.items(place, &mut Bounded { inner, budget })
    }
}

/// A copy of a database, to look at its rows more than once.
pub(crate) struct Database {
    connection: Connection,
    tables: Vec<(Table, Vec<String>)>,
    /// Where the copy is, which is deleted with this.
    _folder: tempfile::TempDir,
}

impl Database {
    /// Copies and opens a database; none if the file is none.
    pub(crate) fn open(path: &Path) -> io::Result<Option<Self>> {
        let mut file = File::open(path)?;
        let mut start = Vec::new();
        (&mut file).take(MAGIC.len() as u64).read_to_end(&mut start)?;
        if start != MAGIC {
            return Ok(None);
        }
        let folder = tempfile::Builder::new().prefix(TEMPORARY_PREFIX).tempdir()?;
        let input = &mut start.as_slice().chain(file);
        let copied = copy(input, Some(path), None, folder.path()).map_err(io::Error::other)??;
        let connection = open(&copied).map_err(broken)?;
        let tables = tables(&connection).map_err(broken)?.into_iter().map(|table| {
            let key = key_of(&connection, &table.name)?;
            Ok((table, key))
        });
        let tables = tables.collect::<rusqlite::Result<_>>().map_err(broken)?;
        Ok(Some(Self { connection, tables, _folder: folder }))
    }

    /// Its tables.
    pub(crate) fn tables(&self) -> impl Iterator<Item = KnownTable<'_>> {
        let connection = &self.connection;
        self.tables.iter().map(move |(table, key)| KnownTable { connection, table, key })
    }
}

/// A table of a database, for the rows of it that an import format knows by their columns alone.
pub(crate) struct KnownTable<'d> {
    connection: &'d Connection,
    table: &'d Table,
    key: &'d [String],
}

impl KnownTable<'_> {
    pub(crate) fn name(&self) -> &str {
        &self.table.name
    }

    /// The columns that no two rows of the table have alike; empty if it has no such.
    pub(crate) fn key(&self) -> &[String] {
        self.key
    }

    /// Hands over the rows that an import format knows, each as a line of JSON.
    pub(crate) fn rows(&self, take: &mut dyn FnMut(String) -> io::Result<()>) -> io::Result<()> {
        let mut statement = self.connection.prepare(&self.table.select()).map_err(broken)?;
        let mut rows = statement.query([signed(ITEM_BYTES)]).map_err(broken)?;
        while let Some(row) = rows.next().map_err(broken)? {
            let text = self.table.json(row);
            if recognise(&Sniff::of(&text)).is_some() {
                take(text)?;
            }
        }
        Ok(())
    }
}

/// What a database begins with.
const MAGIC: &[u8] = b"SQLite format 3\0";

/// The columns of the primary key of a table, or else of its first unique index.
fn key_of(connection: &Connection, table: &str) -> rusqlite::Result<Vec<String>> {
    let names = |query: &str, of: &str| -> rusqlite::Result<Vec<String>> {
        connection.prepare(query)?.query_map([of], |row| row.get(0))?.collect()
    };
    let key = names("SELECT name FROM pragma_table_info(?1) WHERE pk > 0 ORDER BY pk", table)?;
    if !key.is_empty() {
        return Ok(key);
    }
    let unique =
        "SELECT name FROM pragma_index_list(?1) WHERE \"unique\" = 1 AND partial = 0 ORDER BY seq";
    match names(unique, table)?.first() {
        Some(index) => names("SELECT name FROM pragma_index_info(?1) ORDER BY seqno", index),
        None => Ok(Vec::new()),
    }
}

/// A copy of a database in a folder of its own.
struct Copy {
    database: PathBuf,
    has_log: bool,
}

/// Copies a database and its log. The inner error is that of the database, the outer that of the disk.
fn copy(
    input: &mut dyn Read,
    path: Option<&Path>,
    log: Option<File>,
    folder: &Path,
) -> Result<io::Result<Copy>, Error> {
    let database = folder.join("database");
    let before = path.map(states);
    if path.is_some_and(is_interrupted) {
        let why = "a program is writing to it, or was interrupted while writing; open and close it in that program";
        return Ok(Err(unsupported(why)));
    }
    let mut has_log = false;
    let log = log.or_else(|| File::open(beside(path?, LOG)).ok());
    if let Some(mut log) = log
        && log.metadata().is_ok_and(|metadata| metadata.is_file() && metadata.len() > 0)
    {
        let mut kept = File::create(folder.join("database-wal")).map_err(temporary)?;
        io::copy(&mut log, &mut kept).map_err(temporary)?;
        has_log = true;
    }
    let mut kept = File::create(&database).map_err(temporary)?;
    if let Err(error) = copy_to(input, &mut kept)? {
        return Ok(Err(error));
    }
    if before != path.map(states) {
        let why = "a program wrote to it while it was read; try again, or close that program first";
        return Ok(Err(io::Error::other(why)));
    }
    Ok(Ok(Copy { database, has_log }))
}

/// What changes of a database and its log when a program writes to the database itself: what is added to the log does not
/// matter, until it starts anew.
fn states(path: &Path) -> (Option<(u64, std::time::SystemTime)>, Option<Vec<u8>>) {
    let metadata = fs::metadata(path).ok();
    let state = metadata.and_then(|metadata| Some((metadata.len(), metadata.modified().ok()?)));
    let mut header = Vec::new();
    let log = File::open(beside(path, LOG)).ok().and_then(|log| {
        log.take(32).read_to_end(&mut header).ok()?;
        Some(header)
    });
    (state, log)
}

/// Whether a transaction is to be undone that was not finished.
fn is_interrupted(path: &Path) -> bool {
    let mut start = [0; 8];
    let journal = File::open(beside(path, "-journal"));
    journal.and_then(|mut journal| journal.read_exact(&mut start)).is_ok() && start != [0; 8]
}

fn beside(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(ending);
    name.into()
}

fn open(copy: &Copy) -> rusqlite::Result<Connection> {
    // With a log, SQLite writes beside the copy.
    let access = if copy.has_log {
        OpenFlags::SQLITE_OPEN_READ_WRITE
    } else {
        OpenFlags::SQLITE_OPEN_READ_ONLY
    };
    let mut name = url::Url::from_file_path(&copy.database)
        .map_err(|()| rusqlite::Error::InvalidPath(copy.database.clone()))?;
    name.set_query((!copy.has_log).then_some("immutable=1"));
    let flags = access | OpenFlags::SQLITE_OPEN_NO_MUTEX | OpenFlags::SQLITE_OPEN_URI;
    let connection = Connection::open_with_flags(name.as_str(), flags)?;
    for (setting, value) in [
        (DbConfig::SQLITE_DBCONFIG_DEFENSIVE, true),
        (DbConfig::SQLITE_DBCONFIG_TRUSTED_SCHEMA, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_TRIGGER, false),
        (DbConfig::SQLITE_DBCONFIG_ENABLE_VIEW, false),
    ] {
        connection.set_db_config(setting, value)?;
    }
    connection.execute_batch(
        "PRAGMA cell_size_check = ON; PRAGMA cache_size = -8192; PRAGMA query_only = ON;",
    )?;
    Ok(connection)
}

/// A table, and its columns: the name of each, and whether it is declared as JSON.
struct Table {
    name: String,
    columns: Vec<(String, bool)>,
}

/// The tables with rows of their own, in the order in which they were made.
fn tables(connection: &Connection) -> rusqlite::Result<Vec<Table>> {
    let mut names = connection.prepare(
        "SELECT name FROM sqlite_schema WHERE type = 'table' AND name NOT LIKE 'sqlite\\_%' ESCAPE '\\' \
         AND sql NOT LIKE 'CREATE VIRTUAL%' ORDER BY rowid",
    )?;
    let names = names.query_map([], |row| row.get::<_, String>(0))?;
    // Columns that are computed on reading say nothing new.
    let mut columns = connection.prepare(
        "SELECT name, type FROM pragma_table_xinfo(?1) WHERE hidden IN (0, 3) ORDER BY cid",
    )?;
    let mut tables = Vec::new();
    for name in names {
        let name = name?;
        let columns = columns.query_map([&name], |row| {
            Ok((row.get(0)?, row.get::<_, String>(1)?.eq_ignore_ascii_case("json")))
        })?;
        let columns = columns.collect::<rusqlite::Result<Vec<_>>>()?;
        if !columns.is_empty() {
            tables.push(Table { name, columns });
        }
    }
    Ok(tables)
}

impl Table {
    /// The rows of at most `?1` bytes, in the order in which they are stored. The sizes are those in the rows' headers, so
    /// that nothing large is loaded to be measured.
    fn select(&self) -> String {
        let names: Vec<_> = self.columns.iter().map(|(name, _)| quoted(name)).collect();
        format!("SELECT {} FROM {}", names.join(", "), self.up_to("<="))
    }

    fn up_to(&self, than: &str) -> String {
        let sizes = self.columns.iter().map(|(name, _)| {
            let name = quoted(name);
            format!("coalesce(octet_length({name}), 0)")
        });
        let sizes: Vec<_> = sizes.collect();
        format!("{} NOT INDEXED WHERE {} {than} ?1", quoted(&self.name), sizes.join(" + "))
    }

    /// How many rows are larger.
    fn count_above(&self, connection: &Connection, bytes: usize) -> rusqlite::Result<u64> {
        let count = format!("SELECT count(*) FROM {}", self.up_to(">"));
        let count: i64 = connection.query_row(&count, [signed(bytes)], |row| row.get(0))?;
        Ok(u64::try_from(count).unwrap_or(0))
    }

    fn json(&self, row: &Row<'_>) -> String {
        let mut out = String::from("{");
        for (at, (name, is_json)) in self.columns.iter().enumerate() {
            if at > 0 {
                out.push(',');
            }
            write_string(name, &mut out);
            out.push(':');
            write_value(row.get_ref(at).unwrap_or(ValueRef::Null), *is_json, &mut out);
        }
        out.push('}');
        out
    }
}

fn signed(bytes: usize) -> i64 {
    i64::try_from(bytes).unwrap_or(i64::MAX)
}

fn quoted(name: &str) -> String {
    format!("\"{}\"", name.replace('"', "\"\""))
}

fn write_value(value: ValueRef<'_>, is_json: bool, out: &mut String) {
    match value {
        ValueRef::Null => out.push_str("null"),
        ValueRef::Integer(number) => out.push_str(&number.to_string()),
        ValueRef::Real(number) => match serde_json::Number::from_f64(number) {
            Some(number) => out.push_str(&number.to_string()),
            // The readers take it for null and count it.
            None => out.push_str(if number > 0.0 { "Infinity" } else { "-Infinity" }),
        },
        ValueRef::Text(text) => {
            let text = String::from_utf8_lossy(text);
            match is_json.then(|| RawJson::parse(&text)) {
                // A row is a line.
                Some(Ok(raw)) => out.push_str(&raw.compact()),
                _ => write_string(&text, out),
            }
        }
        ValueRef::Blob(bytes) => match simdutf8::basic::from_utf8(bytes) {
            Ok(text) => write_string(text, out),
            Err(_) => write_string(&STANDARD.encode(bytes), out),
        },
    }
}

#[allow(clippy::needless_pass_by_value, reason = "as `map_err` gives it")]
fn broken(error: rusqlite::Error) -> io::Error {
    let why = match &error {
        rusqlite::Error::SqliteFailure(code, why) => {
            why.clone().unwrap_or_else(|| code.to_string())
        }
        other => other.to_string(),
    };
    io::Error::new(io::ErrorKind::InvalidData, format!("SQLite cannot read it: {why}"))
}
