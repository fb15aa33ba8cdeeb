//! Files of lines: every line that was seen is kept, as many times as it ever was in the file at once.

use std::collections::HashMap;
use std::fs::File;
use std::io::{self, BufRead, BufReader};
use std::path::Path;

use retort_json::RawJson;

use super::draft::{Draft, Mode, kept, mark};

/// Adds the lines of a file that are not kept yet, and returns their number.
///
/// A last line without a line end is taken only if it is whole JSON: a program may be writing it.
pub(super) fn add(source: &Path, path: &Path, mode: Mode) -> io::Result<u64> {
    let mut counts: HashMap<[u8; 16], u32> = HashMap::new();
    if let Some(kept) = kept(path)? {
        each_line(kept, |line| {
            *counts.entry(mark(line)).or_default() += 1;
            Ok(())
        })?;
    }
    let mut draft: Option<Draft<'_>> = None;
    let mut added = 0;
    each_line(BufReader::new(File::open(source)?), |line| {
        match counts.get_mut(&mark(line)) {
            Some(count) if *count > 0 => *count -= 1,
            _ => {
                let draft = match &mut draft {
                    Some(draft) => draft,
                    None => draft.insert(continued(path, mode)?),
                };
                draft.write(line)?;
                draft.write(b"\n")?;
                added += 1;
            }
        }
        Ok(())
    })?;
    if let Some(draft) = draft {
        draft.finish()?;
    }
    Ok(added)
}

/// A draft that begins with what is kept.
fn continued(path: &Path, mode: Mode) -> io::Result<Draft<'_>> {
    let mut draft = Draft::new(path, mode)?;
    if let Some(kept) = kept(path)? {
        each_line(kept, |line| {
            draft.write(line)?;
            draft.write(b"\n")
        })?;
    }
    Ok(draft)
}

/// Hands over each line that is not blank, without its end.
fn each_line(
    mut input: impl BufRead,
    mut take: impl FnMut(&[u8]) -> io::Result<()>,
) -> io::Result<()> {
    let mut line = Vec::new();
    while input.read_until(b'\n', &mut line)? > 0 {
        let is_ended = line.last() == Some(&b'\n');
        let text = line.trim_ascii_end();
        if !text.is_empty() && (is_ended || is_whole(text)) {
            take(text)?;
        }
        line.clear();
    }
    Ok(())
}

fn is_whole(line: &[u8]) -> bool {
    line.starts_with(b"{")
        && std::str::from_utf8(line).is_ok_and(|text| RawJson::parse(text).is_ok())
}
