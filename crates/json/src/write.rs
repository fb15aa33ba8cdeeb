//! Writing strings, and undoing their escapes.

use crate::scan::next_special;

const HEX: &str = "0123456789abcdef";

/// What JSON is appended to: a text, or its bytes.
pub trait Append {
    /// Appends a text.
    fn append(&mut self, text: &str);
}

impl Append for String {
    fn append(&mut self, text: &str) {
        self.push_str(text);
    }
}

impl Append for Vec<u8> {
    fn append(&mut self, text: &str) {
        self.extend_from_slice(text.as_bytes());
    }
}

/// Appends `text` as the inside of a JSON string: quotes, backslashes and control characters escaped.
pub fn write_escaped(text: &str, out: &mut impl Append) {
    let bytes = text.as_bytes();
    let mut from = 0;
    loop {
        let at = next_special(bytes, from);
        out.append(&text[from..at]);
        let Some(&byte) = bytes.get(at) else { return };
        match byte {
            b'"' => out.append("\\\""),
            b'\\' => out.append("\\\\"),
            b'\n' => out.append("\\n"),
            b'\r' => out.append("\\r"),
            b'\t' => out.append("\\t"),
            0x08 => out.append("\\b"),
            0x0c => out.append("\\f"),
            control => {
                let digit = |bits: u8| &HEX[usize::from(bits)..][..1];
                out.append("\\u00");
                out.append(digit(control >> 4));
                out.append(digit(control & 15));
            }
        }
        from = at + 1;
    }
}

/// Appends `text` as a JSON string, quotes included.
pub fn write_string(text: &str, out: &mut impl Append) {
    out.append("\"");
    write_escaped(text, out);
    out.append("\"");
}

/// Whether the inside of a JSON string has escapes.
pub(crate) fn has_escapes(body: &str) -> bool {
    next_special(body.as_bytes(), 0) < body.len()
}

/// Appends what the inside of a JSON string stands for. The escapes must be valid, as the parser leaves them.
pub fn unescape_into(body: &str, out: &mut String) {
    unescape_counting(body, out);
}

/// As [`unescape_into`], as UTF-8, for the inside of a string that has no `\u` escapes.
pub(crate) fn unescape_bytes(body: &str, out: &mut Vec<u8>) {
    let bytes = body.as_bytes();
    let mut from = 0;
    loop {
        let at = next_special(bytes, from);
        out.extend_from_slice(bytes.get(from..at).unwrap_or_default());
        let Some(&escape) = bytes.get(at + 1) else { return };
        out.push(match escape {
            b'n' => b'\n',
            b't' => b'\t',
            b'r' => b'\r',
            b'b' => 0x08,
            b'f' => 0x0c,
            other => other,
        });
        from = at + 2;
    }
}

/// As [`unescape_into`]; a lone surrogate becomes U+FFFD, and the number of them is returned.
pub(super) fn unescape_counting(body: &str, out: &mut String) -> u32 {
    let mut lone = 0;
    let mut rest = body;
    // In the inside of a string the first special byte is a backslash.
    while let Some(at) = Some(next_special(rest.as_bytes(), 0)).filter(|&at| at < rest.len()) {
        out.push_str(&rest[..at]);
        let escape = rest.as_bytes().get(at + 1).copied().unwrap_or(b'\\');
        let mut taken = at + 2;
        match escape {
            b'n' => out.push('\n'),
            b't' => out.push('\t'),
            b'r' => out.push('\r'),
            b'b' => out.push('\u{8}'),
            b'f' => out.push('\u{c}'),
            b'u' => {
                let (character, length) = unicode_escape(&rest[at..]);
                lone += u32::from(character.is_none());
                out.push(character.unwrap_or(char::REPLACEMENT_CHARACTER));
                taken = at + length;
            }
            other => out.push(char::from(other)),
        }
        rest = rest.get(taken..).unwrap_or("");
    }
    out.push_str(rest);
    lone
}

/// The character of the escape that `text` begins with (`None` for a lone surrogate) and its length in bytes.
fn unicode_escape(text: &str) -> (Option<char>, usize) {
    let unit = |from: usize| {
        let escape = text.get(from..from + 6)?.strip_prefix("\\u")?;
        u32::from_str_radix(escape, 16).ok()
    };
    match (unit(0), unit(6)) {
        (Some(high @ 0xd800..0xdc00), Some(low @ 0xdc00..0xe000)) => {
            (char::from_u32(0x10000 + ((high - 0xd800) << 10) + (low - 0xdc00)), 12)
        }
        (Some(unit), _) => (char::from_u32(unit), 6),
        (None, _) => (None, text.len()),
    }
}

/// Appends a valid JSON text without the white space between its tokens, lone surrogates as U+FFFD, and numbers that
/// are not finite as null; returns how many surrogates there were.
pub fn compact_into(text: &str, out: &mut String) -> u32 {
    let bytes = text.as_bytes();
    let mut lone = 0;
    let mut at = 0;
    while let Some(&byte) = bytes.get(at) {
        if byte != b'"' {
            let rest = bytes.get(at..).unwrap_or_default();
            let word = ["NaN", "Infinity", "-Infinity"].into_iter().find(|word| {
                matches!(byte, b'N' | b'I' | b'-') && rest.starts_with(word.as_bytes())
            });
            if let Some(word) = word {
                out.push_str("null");
                at += word.len();
                continue;
            }
            if !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                out.push(char::from(byte));
            }
            at += 1;
            continue;
        }
        let mut end = at + 1;
        loop {
            end = next_special(bytes, end);
            match bytes.get(end) {
                Some(b'\\') => end += 2,
                Some(b'"') | None => break,
                Some(_) => end += 1,
            }
        }
        let body = text.get(at + 1..end).unwrap_or("");
        out.push('"');
        lone += copy_without_lone_surrogates(body, out);
        out.push('"');
        at = end + 1;
    }
    lone
}

/// Copies the inside of a JSON string with its escapes as they are, but lone surrogates as `\ufffd`.
fn copy_without_lone_surrogates(body: &str, out: &mut String) -> u32 {
    let mut lone = 0;
    let mut rest = body;
    while let Some(at) = rest.find('\\') {
        out.push_str(&rest[..at]);
        let length = if rest.as_bytes().get(at + 1) == Some(&b'u') {
            let (character, length) = unicode_escape(&rest[at..]);
            if character.is_none() {
                lone += 1;
                out.push_str("\\ufffd");
            } else {
                out.push_str(&rest[at..at + length]);
            }
            length
        } else {
            out.push_str(rest.get(at..at + 2).unwrap_or(""));
            2
        };
        rest = rest.get(at + length..).unwrap_or("");
    }
    out.push_str(rest);
    lone
}
