//! Text in an encoding inside another text: base64, percent-encoded, or escaped as in JSON.

use std::ops::Range;

use base64::Engine as _;
use base64::alphabet;
use base64::engine::DecodePaddingMode;
use base64::engine::general_purpose::{GeneralPurpose, GeneralPurposeConfig};

use crate::text::byte;

/// Shortest run of base64 that is looked into: shorter ones hold no secret, and every long word looks like one.
const BASE64: usize = 20;

/// The two alphabets, with or without padding, and with bits behind the last byte.
const CONFIG: GeneralPurposeConfig = GeneralPurposeConfig::new()
    .with_decode_padding_mode(DecodePaddingMode::Indifferent)
    .with_decode_allow_trailing_bits(true);
const STANDARD: GeneralPurpose = GeneralPurpose::new(&alphabet::STANDARD, CONFIG);
const URL_SAFE: GeneralPurpose = GeneralPurpose::new(&alphabet::URL_SAFE, CONFIG);

/// What can be part of base64, by its byte.
static IS_BASE64: [bool; 256] = {
    let mut table = [false; 256];
    let mut at = 0;
    while at < 256 {
        #[allow(clippy::cast_possible_truncation, reason = "up to 255")]
        let one = at as u8;
        table[at] = one.is_ascii_alphanumeric() || matches!(one, b'+' | b'/' | b'-' | b'_');
        at += 1;
    }
    table
};

/// Tells of each run of base64 that is text, with the text.
pub(crate) fn each_base64(text: &str, take: &mut dyn FnMut(Range<usize>, &str)) {
    let bytes = text.as_bytes();
    let mut at = 0;
    while at + BASE64 <= bytes.len() {
        // Whatever is shorter than the shortest run is stepped over from its far end.
        let window = bytes.get(at..at + BASE64).unwrap_or_default();
        if let Some(last) = window.iter().rposition(|one| !is_base64(*one)) {
            at += last + 1;
            continue;
        }
        let mut end = run_end(bytes, at);
        // Lines of one text.
        while let Some(next) = next_line(bytes, at, end) {
            end = run_end(bytes, next);
        }
        if let Some(decoded) = decoded(text.get(at..end).unwrap_or_default()) {
            let padded =
                end + bytes.iter().skip(end).take(2).take_while(|one| **one == b'=').count();
            take(at..padded, &decoded);
        }
        at = end;
    }
}

fn is_base64(one: u8) -> bool {
    IS_BASE64.get(usize::from(one)).copied().unwrap_or(false)
}

fn run_end(bytes: &[u8], start: usize) -> usize {
    start + bytes.iter().skip(start).take_while(|one| is_base64(**one)).count()
}

/// Where the next line begins, if a line of base64 ends here and is long enough to go on.
fn next_line(bytes: &[u8], start: usize, end: usize) -> Option<usize> {
    let next = match (bytes.get(end)?, bytes.get(end + 1)?) {
        (b'\n', _) => end + 1,
        (b'\r', b'\n') => end + 2,
        _ => return None,
    };
    let line = bytes.get(start..end)?.iter().rev().take_while(|one| is_base64(**one)).count();
    (line >= 60 && line % 4 == 0 && is_base64(*bytes.get(next)?)).then_some(next)
}

/// The text that a run of base64 holds. Its beginning tells most pictures, sounds and words from texts.
fn decoded(run: &str) -> Option<String> {
    let lines;
    let run = if run.contains('\n') {
        lines = run.replace(['\r', '\n'], "");
        lines.as_str()
    } else {
        run
    };
    let engine = if run.contains(['-', '_']) { URL_SAFE } else { STANDARD };
    let start = engine.decode(run.get(..BASE64.min(run.len() / 4 * 4))?).ok()?;
    let start = match std::str::from_utf8(&start) {
        Ok(start) => start,
        // A character that goes on behind it.
        Err(error) if error.valid_up_to() + 4 > start.len() => {
            std::str::from_utf8(start.get(..error.valid_up_to())?).ok()?
        }
        Err(_) => return None,
    };
    let is_text = |one: char| !one.is_control() || matches!(one, '\n' | '\r' | '\t');
    if !start.chars().all(is_text) {
        return None;
    }
    // One character more than whole groups is a word that goes on.
    let whole = if run.len() % 4 == 1 { run.get(..run.len() - 1)? } else { run };
    String::from_utf8(engine.decode(whole).ok()?).ok()
}

/// A text without an encoding, and where each byte of it was.
pub(crate) struct Plain {
    /// The decoded text.
    pub(crate) text: String,
    /// Of each byte of it, and of its end, the place in the encoded text.
    places: Vec<usize>,
}

impl Plain {
    /// The text without percent-encoding and without escapes as JSON has them; none if it has neither.
    pub(crate) fn of(text: &str) -> Option<Self> {
        let mut at = next_escape(text, 0)?;
        let (mut plain, mut places, mut copied) = (Vec::with_capacity(text.len()), Vec::new(), 0);
        loop {
            plain.extend_from_slice(text.as_bytes().get(copied..at).unwrap_or_default());
            places.extend(copied..at);
            let (one, length) = escape(text, at)?;
            let mut buffer = [0; 4];
            let bytes: &[u8] = match one {
                Escaped::Byte(one) => {
                    buffer[0] = one;
                    &buffer[..1]
                }
                Escaped::Character(one) => one.encode_utf8(&mut buffer).as_bytes(),
            };
            plain.extend_from_slice(bytes);
            places.extend(std::iter::repeat_n(at, bytes.len()));
            copied = at + length;
            match next_escape(text, copied) {
                Some(next) => at = next,
                None => break,
            }
        }
        plain.extend_from_slice(text.as_bytes().get(copied..).unwrap_or_default());
        places.extend(copied..=text.len());
        // What is no UTF-8 is no letter or digit either; one byte takes its place, so that the places stay.
        let text = match String::from_utf8(plain) {
            Ok(text) => text,
            Err(error) => ascii(error.into_bytes()),
        };
        Some(Self { text, places })
    }

    /// Where a range of the decoded text was.
    pub(crate) fn place(&self, range: &Range<usize>) -> Option<Range<usize>> {
        Some(*self.places.get(range.start)?..*self.places.get(range.end)?)
    }
}

fn ascii(mut bytes: Vec<u8>) -> String {
    for one in bytes.iter_mut().filter(|one| !one.is_ascii()) {
        *one = b'\x7f';
    }
    String::from_utf8(bytes).unwrap_or_default()
}

enum Escaped {
    Byte(u8),
    Character(char),
}

fn next_escape(text: &str, from: usize) -> Option<usize> {
    let mut at = from;
    loop {
        at += memchr::memchr2(b'%', b'\\', text.as_bytes().get(at..)?)?;
        if escape(text, at).is_some() {
            return Some(at);
        }
        at += 1;
    }
}

/// The escape that begins here, and its length.
fn escape(text: &str, at: usize) -> Option<(Escaped, usize)> {
    let hex =
        |from: usize, length: usize| u32::from_str_radix(text.get(from..from + length)?, 16).ok();
    match (byte(text, at)?, byte(text, at + 1)?) {
        (b'%', _) => Some((Escaped::Byte(u8::try_from(hex(at + 1, 2)?).ok()?), 3)),
        (b'\\', b'u') => Some((Escaped::Character(char::from_u32(hex(at + 2, 4)?)?), 6)),
        (b'\\', b'/') => Some((Escaped::Byte(b'/'), 2)),
        _ => None,
    }
}
