//! Databases: of each row that an import format knows, the newest state, in a file of lines for each table. A row that is
//! deleted stays. A state with text that the next one lacks goes to a hidden file, as readers would join the two.

use std::collections::HashSet;
use std::io::{self, BufRead};
use std::path::Path;

use retort_json::{Parser, RawJson};
use rusqlite::{Connection, OptionalExtension, ToSql};

use super::draft::{Draft, Mode, kept, mark};
use crate::source::sqlite::{Database, KnownTable};

/// Prefix of the files with older states. They are hidden, so they are read only when named explicitly.
const ASIDE: &str = ".older-";

/// Shorter texts without a space are words for a state, such as `generating`, and no loss.
const WORD_BYTES: usize = 20;

/// JSON in the texts of JSON, so deep.
const DEPTH: usize = 4;

type Mark = [u8; 16];

/// What became of a database.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Added {
    /// Rows that are new or changed.
    pub(super) rows: u64,
    /// States that were put aside.
    pub(super) aside: u64,
}

/// Keeps the rows of a database in a folder.
pub(super) fn add(source: &Path, folder: &Path, mode: Mode) -> io::Result<Added> {
    let Some(database) = Database::open(source)? else { return Ok(Added::default()) };
    let mut added = Added::default();
    for table in database.tables() {
        let of_table = add_table(&table, folder, mode)?;
        added.rows += of_table.rows;
        added.aside += of_table.aside;
    }
    Ok(added)
}

fn add_table(table: &KnownTable<'_>, folder: &Path, mode: Mode) -> io::Result<Added> {
    let states = States::new()?;
    table.rows(&mut |row| states.is(key_of(table.key(), &row), mark(row.as_bytes())))?;
    let path = folder.join(format!("{}.jsonl.zst", file_of(table.name())));
    each_line(&path, |line| states.was(key_of(table.key(), line), mark(line.as_bytes()), line))?;
    let mut added = Added::default();
    if !states.has_new()? {
        return Ok(added);
    }
    let mut draft = Draft::new(&path, mode)?;
    each_line(&path, |line| match states.of(key_of(table.key(), line))? {
        Some(State::Changed(_)) => Ok(()),
        _ => write(&mut draft, line),
    })?;
    let aside_path = folder.join(format!("{ASIDE}{}.jsonl.zst", file_of(table.name())));
    let mut aside = Aside::new(&aside_path, &states, mode);
    table.rows(&mut |row| {
        match states.of(key_of(table.key(), &row))? {
            Some(State::Same) => return Ok(()),
            Some(State::Changed(before)) if loses(&before, &row) => aside.put(&before)?,
            _ => {}
        }
        added.rows += 1;
        write(&mut draft, &row)
    })?;
    // First what would be lost.
    added.aside = aside.finish()?;
    draft.finish()?;
    Ok(added)
}

/// The rows of a table as they are and as they were kept, in a temporary database, as there may be more of them than memory
/// holds.
struct States(Connection);

/// What is known of a row that is there.
enum State {
    /// It was not kept.
    New,
    /// It is kept as it is.
    Same,
    /// It is kept in this state.
    Changed(String),
}

/// Pages of the temporary database in memory, in KiB.
const CACHE_KIB: i64 = 16 << 10;

impl States {
    fn new() -> io::Result<Self> {
        // Without a name, it is in a file that is deleted with the connection.
        let database = Connection::open("").map_err(io::Error::other)?;
        let tables = format!(
            "PRAGMA journal_mode = OFF; PRAGMA synchronous = OFF; PRAGMA cache_size = -{CACHE_KIB};
            CREATE TABLE rows (key BLOB PRIMARY KEY, now BLOB NOT NULL, is_same INTEGER NOT NULL DEFAULT 0, before TEXT);
            CREATE TABLE aside (mark BLOB PRIMARY KEY) WITHOUT ROWID;
            BEGIN"
        );
        database.execute_batch(&tables).map_err(io::Error::other)?;
        Ok(Self(database))
    }

    fn run(&self, sql: &str, values: &[&dyn ToSql]) -> io::Result<usize> {
        let mut statement = self.0.prepare_cached(sql).map_err(io::Error::other)?;
        statement.execute(values).map_err(io::Error::other)
    }

    /// Takes the state of a row that is there.
    fn is(&self, key: Mark, now: Mark) -> io::Result<()> {
        self.run("INSERT OR REPLACE INTO rows (key, now) VALUES (?1, ?2)", &[&key, &now]).map(drop)
    }

    /// Takes the state in which a row is kept.
    fn was(&self, key: Mark, kept: Mark, line: &str) -> io::Result<()> {
        let same = "UPDATE rows SET is_same = 1 WHERE key = ?1 AND now = ?2";
        if self.run(same, &[&key, &kept])? == 0 {
            let changed = "UPDATE rows SET before = ?2 WHERE key = ?1 AND is_same = 0";
            self.run(changed, &[&key, &line])?;
        }
        Ok(())
    }

    /// Whether a row is there that is not kept as it is.
    fn has_new(&self) -> io::Result<bool> {
        let sql = "SELECT EXISTS (SELECT 1 FROM rows WHERE is_same = 0)";
        self.0.query_row(sql, [], |row| row.get(0)).map_err(io::Error::other)
    }

    /// What is known of a row, if it is there.
    fn of(&self, key: Mark) -> io::Result<Option<State>> {
        let sql = "SELECT is_same, before FROM rows WHERE key = ?1";
        let mut statement = self.0.prepare_cached(sql).map_err(io::Error::other)?;
        let found = statement.query_row([key], |row| {
            Ok(match (row.get(0)?, row.get(1)?) {
                (true, _) => State::Same,
                (false, Some(before)) => State::Changed(before),
                (false, None) => State::New,
            })
        });
        found.optional().map_err(io::Error::other)
    }
}

/// A mark of the columns of the key; of the whole row, where there are none.
fn key_of(key: &[String], row: &str) -> Mark {
    if key.is_empty() {
        return mark(row.as_bytes());
    }
    let mut values = vec![None; key.len()];
    let mut parser = Parser::lenient(row);
    let mut read = || -> Result<(), retort_json::JsonError> {
        parser.object()?;
        while let Some(name) = parser.next_key()? {
            let at = key.iter().position(|one| *one == *name);
            let raw = parser.raw()?;
            if let Some(value) = at.and_then(|at| values.get_mut(at)) {
                *value = Some(raw.as_str().to_owned());
            }
        }
        Ok(())
    };
    match read() {
        Ok(()) => mark(format!("{values:?}").as_bytes()),
        Err(_) => mark(row.as_bytes()),
    }
}

/// The name of a table as that of a file.
fn file_of(table: &str) -> String {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '_' | '-');
    table.chars().map(|c| if is_plain(c) { c } else { '_' }).collect()
}

fn write(draft: &mut Draft<'_>, line: &str) -> io::Result<()> {
    draft.write(line.as_bytes())?;
    draft.write(b"\n")
}

/// The file of states that were put aside, which is written again once there is one more.
struct Aside<'a> {
    path: &'a Path,
    states: &'a States,
    mode: Mode,
    draft: Option<Draft<'a>>,
    count: u64,
}

impl<'a> Aside<'a> {
    fn new(path: &'a Path, states: &'a States, mode: Mode) -> Self {
        Self { path, states, mode, draft: None, count: 0 }
    }

    /// Adds a state, if it is not there.
    fn put(&mut self, state: &str) -> io::Result<()> {
        let draft = match &mut self.draft {
            Some(draft) => draft,
            None => {
                let mut draft = Draft::new(self.path, self.mode)?;
                each_line(self.path, |line| {
                    is_first(self.states, line)?;
                    write(&mut draft, line)
                })?;
                self.draft.insert(draft)
            }
        };
        if is_first(self.states, state)? {
            self.count += 1;
            write(draft, state)?;
        }
        Ok(())
    }

    /// How many states are new.
    fn finish(self) -> io::Result<u64> {
        if let Some(draft) = self.draft.filter(|_| self.count > 0) {
            draft.finish()?;
        }
        Ok(self.count)
    }
}

/// Whether a state was not put aside before; it is now.
fn is_first(states: &States, state: &str) -> io::Result<bool> {
    let sql = "INSERT OR IGNORE INTO aside (mark) VALUES (?1)";
    Ok(states.run(sql, &[&mark(state.as_bytes())])? > 0)
}

fn each_line(path: &Path, mut take: impl FnMut(&str) -> io::Result<()>) -> io::Result<()> {
    let Some(kept) = kept(path)? else { return Ok(()) };
    for line in kept.lines() {
        take(&line?)?;
    }
    Ok(())
}

/// Whether the next state of a row lacks a text of the one before it, and none that begins with it.
fn loses(before: &str, next: &str) -> bool {
    let (mut old, mut new) = (HashSet::new(), HashSet::new());
    texts(before, 0, &mut old);
    texts(next, 0, &mut new);
    let is_text = |text: &&String| text.len() > WORD_BYTES || text.contains(' ');
    old.difference(&new).filter(is_text).any(|text| !new.iter().any(|one| one.starts_with(text)))
}

/// The texts in JSON, and those of JSON in its texts.
fn texts(json: &str, depth: usize, into: &mut HashSet<String>) {
    let mut inner = Vec::new();
    let read = Parser::lenient(json).each_string(&mut |text| {
        let text = text.decoded();
        if text.starts_with(['{', '[']) && depth < DEPTH && RawJson::parse(&text).is_ok() {
            inner.push(text.into_owned());
        } else {
            into.insert(text.into_owned());
        }
    });
    if read.is_err() {
        into.insert(json.to_owned());
    }
    for json in inner {
        texts(&json, depth + 1, into);
    }
}
