//! Files that programs rewrite as a whole: the newest state is kept, and older ones with text that the newer ones lack.

use std::collections::HashSet;
use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use retort_json::{Parser, Text};
use retort_model::Time;
use retort_model::bounds::ITEM_BYTES;

use super::draft::{Draft, Mode, kept, mark};

/// What became of a file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Added {
    /// Whether it differs from what was kept.
    pub(super) is_new: bool,
    /// Whether the state before it is kept as well.
    pub(super) keeps_older: bool,
}

/// Keeps the state of a file.
pub(super) fn add(source: &Path, path: &Path, mode: Mode) -> io::Result<Added> {
    let bytes = fs::metadata(source)?.len();
    if bytes > ITEM_BYTES as u64 {
        let why = format!("it has {} MiB; at most {} MiB are kept", bytes >> 20, ITEM_BYTES >> 20);
        return Err(io::Error::new(io::ErrorKind::FileTooLarge, why));
    }
    let new = fs::read(source)?;
    let is_json = source.extension().is_some_and(|ending| ending.eq_ignore_ascii_case("json"));
    if is_json && texts_of(&new).is_none() {
        let why = "its JSON is incomplete; a program may be writing it";
        return Err(io::Error::new(io::ErrorKind::InvalidData, why));
    }
    let mut before = None;
    if let Some(mut kept) = kept(path)? {
        let mut bytes = Vec::new();
        kept.read_to_end(&mut bytes)?;
        before = Some(bytes);
    }
    if before.as_ref() == Some(&new) {
        return Ok(Added::default());
    }
    let says_less = before.as_ref().is_some_and(|before| !says_all(&new, before));
    if says_less && mode == Mode::Write {
        fs::rename(path, older(path))?;
    }
    let mut draft = Draft::new(path, mode)?;
    draft.write(&new)?;
    draft.finish()?;
    Ok(Added { is_new: true, keeps_older: says_less })
}

/// The first free name for an older state: `chat.json.zst` becomes `chat~1.json.zst`.
fn older(path: &Path) -> PathBuf {
    let name = path.file_name().unwrap_or_default().to_string_lossy();
    let (stem, endings) = match name.char_indices().skip(1).find(|(_, c)| *c == '.') {
        Some((at, _)) => name.split_at(at),
        None => (&*name, ""),
    };
    let mut number = 1_u32;
    loop {
        let older = path.with_file_name(format!("{stem}~{number}{endings}"));
        if !older.exists() {
            return older;
        }
        number += 1;
    }
}

/// Whether a state has everything that the one before it had: the texts of JSON, except times, or the lines of other files.
fn says_all(new: &[u8], before: &[u8]) -> bool {
    let lines = |bytes: &[u8]| bytes.split(|byte| *byte == b'\n').map(mark).collect();
    let (new, before): (HashSet<_>, HashSet<_>) = match (texts_of(new), texts_of(before)) {
        (Some(new), Some(before)) => (new, before),
        _ => (lines(new), lines(before)),
    };
    before.is_subset(&new)
}

/// Hashes of the texts in a JSON value, except times; none if it is not JSON.
fn texts_of(bytes: &[u8]) -> Option<HashSet<[u8; 16]>> {
    let mut parser = Parser::lenient(std::str::from_utf8(bytes).ok()?);
    let mut texts = HashSet::new();
    let add = &mut |text: Text<'_>| {
        let text = text.decoded();
        if Time::parse_any(&text).is_none() {
            texts.insert(mark(text.as_bytes()));
        }
    };
    parser.each_string(add).and_then(|()| parser.end()).ok()?;
    Some(texts)
}
