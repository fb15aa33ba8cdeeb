//! Finds secrets and personal data in the JSON text of an item, and masks them.
//!
//! An item is looked at as its canonical line, so no field of the model can be forgotten. [`Redactor::line`] walks
//! through the line string by string, keys included. Each string is decoded first, so no escape hides anything, and
//! nothing that is put in its place can break an escape. A string that is JSON itself, as the arguments of calls and
//! many results are, is walked through in the same way; so are texts in base64. All patterns are searched at once
//! (`rules`), and what a pattern matches has to pass the check of its rule: a checksum, a length, what stands in front.

mod rules;

use std::borrow::Cow;
use std::fmt;
use std::str::FromStr;

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD_NO_PAD;
use retort_json::{Parser, unescape_into, write_escaped, write_string};
use retort_model::Redaction;

use self::rules::{Rules, is_card, is_secret_name};

/// Which rules are applied.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct RuleSets {
    /// Keys, tokens, passwords.
    pub secrets: bool,
    /// E-mail addresses, telephone numbers, account and card numbers, addresses of machines.
    pub pii: bool,
}

impl RuleSets {
    /// Whether any rule is applied.
    pub fn is_any(self) -> bool {
        self.secrets || self.pii
    }

    fn has(self, rule: Redaction) -> bool {
        if rule.is_secret() { self.secrets } else { self.pii }
    }
}

impl FromStr for RuleSets {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let mut sets = Self::default();
        for name in text.split(',').map(str::trim) {
            match name {
                "secrets" => sets.secrets = true,
                "pii" => sets.pii = true,
                _ => {
                    return Err(format!(
                        "unknown rules `{name}`; there are `secrets` and `pii`, with a comma for both"
                    ));
                }
            }
        }
        Ok(sets)
    }
}

impl fmt::Display for RuleSets {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match (self.secrets, self.pii) {
            (true, true) => "secrets,pii",
            (true, false) => "secrets",
            (false, true) => "pii",
            (false, false) => "",
        })
    }
}

/// How deep strings that are JSON, or base64, may hold others.
const DEPTH: usize = 16;

/// Shortest run of base64 that is looked into.
const BASE64: usize = 24;

/// Applies rules to texts.
pub struct Redactor {
    sets: RuleSets,
    rules: Rules,
}

/// What was found, by rule, in the order of the text.
pub type Hits = Vec<Redaction>;

impl Redactor {
    /// One that applies these rules.
    pub fn new(sets: RuleSets) -> Self {
        Self { sets, rules: Rules::of(|rule| sets.has(rule)) }
    }

    /// Whether all rules work. One that does not must not let anything pass.
    pub fn is_ready(&self) -> bool {
        self.rules.are_valid()
    }

    /// A line of JSON without what the rules find, which is added to `hits`; none if they find nothing. The line must
    /// be valid.
    pub fn line(&self, line: &str, hits: &mut Hits) -> Option<String> {
        self.json(line, hits, 0)
    }

    /// A text without what the rules find.
    pub fn text<'t>(&self, text: &'t str, hits: &mut Hits) -> Cow<'t, str> {
        self.string(text, hits, 0).map_or(Cow::Borrowed(text), Cow::Owned)
    }

    fn json(&self, json: &str, hits: &mut Hits, depth: usize) -> Option<String> {
        let mut out = String::new();
        let (mut copied, mut at) = (0, 0);
        // Whether the value that follows belongs to a key that names a secret.
        let mut is_secret = false;
        let bytes = json.as_bytes();
        while let Some(&byte) = bytes.get(at) {
            match byte {
                b'"' => {
                    let end = end_of_string(bytes, at + 1);
                    let body = json.get(at + 1..end).unwrap_or_default();
                    let is_key = is_followed_by_colon(bytes, end + 1);
                    let decoded = decoded(body);
                    let redacted = match is_secret && !is_key && is_worth_masking(&decoded) {
                        true => {
                            hits.push(Redaction::Password);
                            Some(mask(Redaction::Password))
                        }
                        false => self.string(&decoded, hits, depth),
                    };
                    if let Some(redacted) = redacted {
                        out.push_str(json.get(copied..at + 1).unwrap_or_default());
                        write_escaped(&redacted, &mut out);
                        copied = end;
                    }
                    is_secret = is_key && self.sets.secrets && is_secret_name(&decoded);
                    at = end + 1;
                }
                b'0'..=b'9' => {
                    let length =
                        bytes.iter().skip(at).take_while(|byte| byte.is_ascii_digit()).count();
                    let number = json.get(at..at + length).unwrap_or_default();
                    let is_whole = is_number_alone(bytes, at, at + length);
                    if self.sets.pii && is_whole && is_card(number) {
                        hits.push(Redaction::Card);
                        out.push_str(json.get(copied..at).unwrap_or_default());
                        write_string(&mask(Redaction::Card), &mut out);
                        copied = at + length;
                    }
                    at += length;
                }
                b'{' | b'[' | b'}' | b']' | b',' => {
                    is_secret = false;
                    at += 1;
                }
                _ => at += 1,
            }
        }
        if copied == 0 {
            return None;
        }
        out.push_str(json.get(copied..).unwrap_or_default());
        Some(out)
    }

    /// A decoded string; none if nothing was found in it.
    fn string(&self, text: &str, hits: &mut Hits, depth: usize) -> Option<String> {
        if depth < DEPTH {
            if is_json(text) {
                return self.json(text, hits, depth + 1);
            }
            if let Some(masked) = self.base64(text, hits, depth) {
                return Some(masked);
            }
        }
        let mut out = String::new();
        let mut copied = 0;
        self.rules.each(text, &mut |rule, found| {
            hits.push(rule);
            out.push_str(text.get(copied..found.start).unwrap_or_default());
            out.push_str(&mask(rule));
            copied = found.end;
        });
        if copied == 0 {
            return None;
        }
        out.push_str(text.get(copied..).unwrap_or_default());
        Some(out)
    }

    /// A string that is base64 of text, masked whole if something is found in the text.
    fn base64(&self, text: &str, hits: &mut Hits, depth: usize) -> Option<String> {
        let body = text.rsplit_once(";base64,").map_or(text, |(_, body)| body);
        let body = body.trim_end_matches('=');
        let is_base64 = |byte: u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'/');
        let start = body.get(..BASE64)?;
        let is_text = |bytes: &[u8]| !bytes.iter().any(|byte| *byte < 9);
        // The beginning tells most pictures and sounds from texts.
        if !start.bytes().all(is_base64) || !is_text(&STANDARD_NO_PAD.decode(start).ok()?) {
            return None;
        }
        let decoded = String::from_utf8(STANDARD_NO_PAD.decode(body).ok()?).ok()?;
        let before = hits.len();
        self.string(&decoded, hits, depth + 1)?;
        let rule = hits.get(before).copied()?;
        Some(mask(rule))
    }
}

/// What stands in the place of what was found.
fn mask(rule: Redaction) -> String {
    format!("[{}]", rule.as_str().to_uppercase().replace('-', "_"))
}

/// Where the string ends whose inside begins here: at its quote.
fn end_of_string(bytes: &[u8], mut at: usize) -> usize {
    while let Some(&byte) = bytes.get(at) {
        match byte {
            b'"' => return at,
            b'\\' => at += 2,
            _ => at += 1,
        }
    }
    bytes.len()
}

fn is_followed_by_colon(bytes: &[u8], at: usize) -> bool {
    let mut rest = bytes.iter().skip(at).skip_while(|byte| byte.is_ascii_whitespace());
    rest.next() == Some(&b':')
}

/// Whether digits are a whole number of JSON: no part of a fraction, an exponent or a word.
fn is_number_alone(bytes: &[u8], start: usize, end: usize) -> bool {
    let joins = |byte: Option<&u8>| {
        byte.is_some_and(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'.' | b'+' | b'-'))
    };
    !joins(start.checked_sub(1).and_then(|before| bytes.get(before))) && !joins(bytes.get(end))
}

fn decoded(body: &str) -> Cow<'_, str> {
    if !body.contains('\\') {
        return body.into();
    }
    let mut text = String::with_capacity(body.len());
    unescape_into(body, &mut text);
    text.into()
}

/// Whether a value is a secret of which more than its presence is told.
fn is_worth_masking(value: &str) -> bool {
    value.len() >= 4
        && !value.starts_with('[')
        && !value.starts_with('{')
        && !value.starts_with("${")
}

fn is_json(text: &str) -> bool {
    let text = text.trim();
    let is_enclosed = (text.starts_with('{') && text.ends_with('}'))
        || (text.starts_with('[') && text.ends_with(']'))
        || (text.len() > 1 && text.starts_with('"') && text.ends_with('"'));
    if !is_enclosed {
        return false;
    }
    let mut parser = Parser::new(text);
    parser.skip().is_ok() && parser.end().is_ok()
}

#[cfg(test)]
mod tests;
