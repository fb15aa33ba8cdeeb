//! Databases: of each row that an import format knows, the newest state, in a file of lines for each table. A row that is
//! deleted stays. A state with text that the next one lacks goes to a hidden file, as readers would join the two.

use std::collections::{BTreeMap, HashMap, HashSet};
use std::io::{self, BufRead};
use std::path::{Path, PathBuf};

use retort_json::{Parser, RawJson};

use super::draft::{Draft, kept, mark};
use crate::source::sqlite::Database;

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

/// What is known of a table.
#[derive(Default)]
struct Table {
    key: Vec<String>,
    /// The rows that are there, by their keys.
    now: HashMap<Mark, Mark>,
    /// Those of them that are kept as they are.
    same: HashSet<Mark>,
    /// The kept states of the rows that changed.
    before: HashMap<Mark, String>,
}

/// Keeps the rows of a database in a folder.
pub(super) fn add(source: &Path, folder: &Path) -> io::Result<Added> {
    let Some(database) = Database::open(source)? else { return Ok(Added::default()) };
    let mut tables: BTreeMap<String, Table> = BTreeMap::new();
    database.known_rows(&mut |row| {
        if !tables.contains_key(row.table) {
            let table = Table { key: row.key.to_vec(), ..Table::default() };
            tables.insert(row.table.to_owned(), table);
        }
        if let Some(table) = tables.get_mut(row.table) {
            table.now.insert(table.key_of(&row.text), mark(row.text.as_bytes()));
        }
        Ok(())
    })?;
    let mut drafts: BTreeMap<String, (PathBuf, Table)> = BTreeMap::new();
    for (name, mut table) in tables {
        let path = folder.join(format!("{}.jsonl.zst", file_of(&name)));
        each_line(&path, |line| {
            let key = table.key_of(line);
            match table.now.get(&key) {
                Some(now) if *now == mark(line.as_bytes()) => drop(table.same.insert(key)),
                Some(_) => drop(table.before.insert(key, line.to_owned())),
                None => {}
            }
            Ok(())
        })?;
        if table.same.len() < table.now.len() {
            drafts.insert(name, (path, table));
        }
    }
    let mut added = Added::default();
    for (name, (path, table)) in &drafts {
        let mut draft = Draft::new(path)?;
        each_line(path, |line| {
            if table.before.contains_key(&table.key_of(line)) {
                return Ok(());
            }
            write(&mut draft, line)
        })?;
        let mut aside = Vec::new();
        database.known_rows(&mut |row| {
            let key = table.key_of(&row.text);
            if row.table != name || table.same.contains(&key) {
                return Ok(());
            }
            added.rows += 1;
            if let Some(before) = table.before.get(&key).filter(|before| loses(before, &row.text)) {
                aside.push(before);
            }
            write(&mut draft, &row.text)
        })?;
        // First what would be lost.
        added.aside +=
            put_aside(&folder.join(format!("{ASIDE}{}.jsonl.zst", file_of(name))), &aside)?;
        draft.finish()?;
    }
    Ok(added)
}

impl Table {
    /// A mark of the columns of the key; of the whole row, where there are none.
    fn key_of(&self, row: &str) -> Mark {
        if self.key.is_empty() {
            return mark(row.as_bytes());
        }
        let mut values = vec![None; self.key.len()];
        let mut parser = Parser::lenient(row);
        let mut read = || -> Result<(), retort_json::JsonError> {
            parser.object()?;
            while let Some(name) = parser.next_key()? {
                let at = self.key.iter().position(|one| *one == *name);
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

/// Adds states to those that were put aside, each once.
fn put_aside(path: &Path, states: &[&String]) -> io::Result<u64> {
    if states.is_empty() {
        return Ok(0);
    }
    let mut draft = Draft::new(path)?;
    let mut there = HashSet::new();
    each_line(path, |line| {
        there.insert(mark(line.as_bytes()));
        write(&mut draft, line)
    })?;
    let mut count = 0;
    for state in states {
        if there.insert(mark(state.as_bytes())) {
            write(&mut draft, state)?;
            count += 1;
        }
    }
    draft.finish()?;
    Ok(count)
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
