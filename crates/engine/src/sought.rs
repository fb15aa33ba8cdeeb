//! Texts to look for in raw bytes, in every spelling that a file may give them.

use std::collections::{BTreeSet, HashMap};
use std::io::{BufRead, Read};
use std::ops::Range;

use crate::error::Error;

/// Bytes of all texts: each of their pieces takes a few entries of the tables that find them.
const TEXTS_BYTES: usize = 1 << 20;

/// Bytes of a piece: enough to be no coincidence, and so few that a page of a database seldom cuts each of a text's.
const PIECE_BYTES: usize = 48;

/// Shorter texts occur in any large file by chance.
const LEAST_BYTES: usize = 6;

/// Bytes of a pattern that are looked up before the rest of it is compared.
const START_BYTES: usize = 4;

/// Texts to look for.
///
/// A long text is looked for in pieces, as a file may keep only part of it. Pieces end where formats escape: at quotes,
/// backslashes and control characters.
pub struct SoughtTexts {
    /// For each text, the line that it is on and how many pieces it has.
    texts: Vec<(usize, usize)>,
    /// For each piece, the text that it is of.
    pieces: Vec<usize>,
    /// Spellings of pieces, and which piece each is of.
    patterns: Vec<(Vec<u8>, usize)>,
    by_start: HashMap<[u8; START_BYTES], Vec<usize>>,
    /// Whether a pattern may start with bytes of that hash.
    may_start: Vec<bool>,
}

impl SoughtTexts {
    /// Reads one text per line; empty lines are skipped.
    ///
    /// # Errors
    /// There is no text, a text is too short to search for or not UTF-8, or all texts together are too long.
    pub fn read(name: &str, input: &mut dyn BufRead) -> Result<Self, Error> {
        let mut bytes = Vec::new();
        let most = TEXTS_BYTES as u64 + 1;
        let fail = |source| Error::Unpack { name: name.to_owned(), source };
        input.take(most).read_to_end(&mut bytes).map_err(fail)?;
        if bytes.len() > TEXTS_BYTES {
            let most = TEXTS_BYTES >> 20;
            return Err(Error::Choice(format!(
                "`{name}` is larger than {most} MiB; search for fewer texts at a time"
            )));
        }
        let mut sought = Self {
            texts: Vec::new(),
            pieces: Vec::new(),
            patterns: Vec::new(),
            by_start: HashMap::new(),
            may_start: vec![false; 1 << 16],
        };
        for (line, text) in (1..).zip(bytes.split(|byte| *byte == b'\n')) {
            let text = std::str::from_utf8(text)
                .map_err(|_| Error::Choice(format!("`{name}`: line {line} is not UTF-8")))?;
            if !text.trim().is_empty() && !sought.add(line, text.trim()) {
                return Err(Error::Choice(format!(
                    "`{name}`: line {line} needs at least {LEAST_BYTES} bytes in a row without a quote or backslash, as any \
                     large file contains shorter texts by chance; use a longer text"
                )));
            }
        }
        if sought.texts.is_empty() {
            return Err(Error::Choice(format!(
                "`{name}` contains no text; write one text per line"
            )));
        }
        Ok(sought)
    }

    fn add(&mut self, line: usize, text: &str) -> bool {
        let pieces: Vec<&str> = pieces_of(text).collect();
        for piece in &pieces {
            for spelling in spellings(piece) {
                let pattern = spelling.into_bytes();
                if let Some(start) = pattern.first_chunk() {
                    self.by_start.entry(*start).or_default().push(self.patterns.len());
                    if let Some(may) = self.may_start.get_mut(hash(*start)) {
                        *may = true;
                    }
                }
                self.patterns.push((pattern, self.pieces.len()));
            }
            self.pieces.push(self.texts.len());
        }
        self.texts.push((line, pieces.len()));
        !pieces.is_empty()
    }

    /// How many texts there are.
    pub fn count(&self) -> usize {
        self.texts.len()
    }

    /// Finds all pieces that start before `until`.
    pub(crate) fn find(
        &self,
        bytes: &[u8],
        until: usize,
        found: &mut dyn FnMut(usize, Range<usize>),
    ) {
        for at in 0..until {
            let Some(start) = bytes.get(at..).and_then(<[u8]>::first_chunk) else { break };
            if !self.may_start.get(hash(*start)).is_some_and(|may| *may) {
                continue;
            }
            for pattern in self.by_start.get(start).into_iter().flatten() {
                let Some((pattern, piece)) = self.patterns.get(*pattern) else { continue };
                if bytes.get(at..).is_some_and(|rest| rest.starts_with(pattern)) {
                    found(*piece, at..at + pattern.len());
                }
            }
        }
    }

    /// Whether any piece is in the bytes.
    pub(crate) fn is_in(&self, bytes: &[u8]) -> bool {
        let mut is_in = false;
        self.find(bytes, bytes.len(), &mut |_, _| is_in = true);
        is_in
    }

    /// The line of each text that these pieces are of, and whether they are all of it.
    pub(crate) fn lines(&self, pieces: &BTreeSet<usize>) -> Vec<(usize, bool)> {
        let mut counts = vec![0; self.texts.len()];
        for count in pieces.iter().filter_map(|piece| self.pieces.get(*piece)) {
            if let Some(count) = counts.get_mut(*count) {
                *count += 1;
            }
        }
        let counted = self.texts.iter().zip(counts).filter(|(_, count)| *count > 0);
        counted.map(|((line, pieces), count)| (*line, count == *pieces)).collect()
    }

    /// A name as it may be shown: without the texts.
    pub(crate) fn redacted(&self, name: &str) -> String {
        let mut shown = name.as_bytes().to_vec();
        let mut ranges = Vec::new();
        self.find(name.as_bytes(), name.len(), &mut |_, range| ranges.push(range));
        for range in ranges {
            if let Some(found) = shown.get_mut(range) {
                found.fill(b'*');
            }
        }
        String::from_utf8_lossy(&shown).into_owned()
    }
}

fn hash(start: [u8; START_BYTES]) -> usize {
    (u32::from_le_bytes(start).wrapping_mul(0x9e37_79b1) >> 16) as usize
}

fn pieces_of(text: &str) -> impl Iterator<Item = &str> {
    text.split(|one: char| one.is_control() || matches!(one, '"' | '\\'))
        .flat_map(cut)
        .filter(|piece| piece.len() >= LEAST_BYTES)
}

/// A run of characters in pieces of about the same length.
fn cut(run: &str) -> Vec<&str> {
    let count = run.len().div_ceil(PIECE_BYTES).max(1);
    let ends = (0..=count).map(|piece| {
        (run.len() * piece / count..).find(|at| run.is_char_boundary(*at)).unwrap_or(run.len())
    });
    let ends: Vec<usize> = ends.collect();
    ends.windows(2).filter_map(|pair| run.get(pair[0]..pair[1])).collect()
}

/// How a piece may be written: as it is, and as JSON that escapes more than it must, or is in JSON itself.
fn spellings(piece: &str) -> BTreeSet<String> {
    let html = |one: char| matches!(one, '<' | '>' | '&' | '\'');
    let wide = |one: char| !one.is_ascii();
    let escapes: [&dyn Fn(char) -> bool; 4] =
        [&|_| false, &wide, &html, &|one| wide(one) || html(one)];
    let mut spellings = BTreeSet::new();
    for backslash in ["\\", "\\\\"] {
        for slash in ["/", &format!("{backslash}/")] {
            for is_escaped in escapes {
                let mut lower = String::new();
                let mut upper = String::new();
                for one in piece.chars() {
                    if is_escaped(one) {
                        for unit in one.encode_utf16(&mut [0; 2]) {
                            lower.push_str(&format!("{backslash}u{unit:04x}"));
                            upper.push_str(&format!("{backslash}u{unit:04X}"));
                        }
                    } else {
                        let plain = if one == '/' { slash.to_owned() } else { one.to_string() };
                        lower.push_str(&plain);
                        upper.push_str(&plain);
                    }
                }
                spellings.extend([lower, upper]);
            }
        }
    }
    spellings
}

#[cfg(test)]
mod tests {
    use super::*;

    fn sought(texts: &str) -> SoughtTexts {
        SoughtTexts::read("texts", &mut texts.as_bytes()).unwrap()
    }

    fn found(sought: &SoughtTexts, bytes: &[u8]) -> Vec<(usize, bool)> {
        let mut pieces = BTreeSet::new();
        sought.find(bytes, bytes.len(), &mut |piece, _| {
            pieces.insert(piece);
        });
        sought.lines(&pieces)
    }

    #[test]
    fn a_text_is_found_in_every_spelling() {
        let texts = "zx-0007-77123\n\nJörg's <a>/旅行 💡\n";
        let sought = sought(texts);
        assert_eq!(sought.count(), 2);
        for (bytes, lines) in [
            (&b"\0\x01zx-0007-77123"[..], &[1][..]),
            ("Jörg's <a>/旅行 💡".as_bytes(), &[3]),
            (br#""J\u00f6rg's <a>/\u65c5\u884c \ud83d\udca1""#, &[3]),
            (br#"J\u00F6rg\u0027s \u003Ca\u003E\/\u65C5\u884C \uD83D\uDCA1"#, &[3]),
            (br#"{\"a\": \"J\\u00f6rg's <a>/\\u65c5\\u884c \\ud83d\\udca1\"}"#, &[3]),
            (b"zx-0007-7712", &[]),
        ] {
            let expect: Vec<_> = lines.iter().map(|line| (*line, true)).collect();
            assert_eq!(found(&sought, bytes), expect, "{}", String::from_utf8_lossy(bytes));
        }
    }

    #[test]
    fn a_long_text_is_found_in_part() {
        let text: String = (0..60).map(|number| format!("word{number} ")).collect();
        let sought = sought(&format!("{text}\nhe said \"hello there\" twice"));
        assert_eq!(found(&sought, text.as_bytes()), [(1, true)]);
        assert_eq!(found(&sought, &text.as_bytes()[100..250]), [(1, false)]);
        assert_eq!(found(&sought, br#"he said \"hello there\" twice"#), [(2, true)]);
        assert_eq!(sought.redacted("a/hello there.json"), "a/***********.json");
    }

    #[test]
    fn what_cannot_be_looked_for_is_refused() {
        for (texts, words) in [
            (&b"\n \n"[..], "no text"),
            (b"a long text\nyes\n", "line 2"),
            (b"\"a\"\"b\"\"c\"", "line 1"),
            (b"\xff\xfe\xfd\xfc\xfb\xfa", "line 1 is not UTF-8"),
        ] {
            let read = SoughtTexts::read("texts", &mut &*texts);
            let error = read.err().expect("an error").to_string();
            assert!(error.contains(words), "{error}");
        }
    }
}
