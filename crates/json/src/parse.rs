//! The pull parser.

use std::borrow::Cow;

use crate::error::{Due, JSON_DEPTH, JsonError, Problem};
use crate::scan::{BROKEN, Body, ESCAPED, UNICODE, string_body};
use crate::text::{RawJson, Text};
use crate::write::{compact_into, unescape_counting};

/// The kinds of JSON value.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[allow(missing_docs, reason = "the names are JSON's own")]
pub enum Kind {
    Null,
    Bool,
    Number,
    String,
    Array,
    Object,
}

/// A pull parser over one JSON text.
///
/// Containers are walked with [`object`](Self::object) and [`next_key`](Self::next_key), or
/// [`array`](Self::array) and [`next_element`](Self::next_element); each key or element must be followed by
/// exactly one call that takes its value.
#[derive(Clone, Debug)]
pub struct Parser<'a> {
    text: &'a str,
    bytes: &'a [u8],
    at: usize,
    depth: usize,
    fresh: bool,
    lone_surrogates: u32,
    /// Whether `NaN`, `Infinity` and `-Infinity` are read as null, and how many were.
    lenient: bool,
    non_finite: u32,
}

impl<'a> Parser<'a> {
    /// A parser at the start of `text`.
    pub fn new(text: &'a str) -> Self {
        Self {
            text,
            bytes: text.as_bytes(),
            at: 0,
            depth: 0,
            fresh: false,
            lone_surrogates: 0,
            lenient: false,
            non_finite: 0,
        }
    }

    /// A parser that reads `NaN`, `Infinity` and `-Infinity`, which Python and others write, as null.
    pub fn lenient(text: &'a str) -> Self {
        Self { lenient: true, ..Self::new(text) }
    }

    /// Bytes from the start of the text to where the parser stands.
    pub fn at(&self) -> usize {
        self.at
    }

    /// Lone surrogates that were read as U+FFFD so far.
    pub fn lone_surrogates(&self) -> u32 {
        self.lone_surrogates
    }

    /// How often `NaN`, `Infinity` or `-Infinity` was read as null so far.
    pub fn non_finite(&self) -> u32 {
        self.non_finite
    }

    fn fail<T>(&self, problem: Problem) -> Result<T, JsonError> {
        let problem = if self.at >= self.bytes.len() && matches!(problem, Problem::Expected(_)) {
            Problem::Ended
        } else {
            problem
        };
        Err(JsonError { at: self.at, problem })
    }

    fn skip_space(&mut self) {
        while let Some(b' ' | b'\n' | b'\r' | b'\t') = self.bytes.get(self.at) {
            self.at += 1;
        }
    }

    /// The kind of the value that comes next.
    pub fn kind(&mut self) -> Result<Kind, JsonError> {
        self.skip_space();
        match self.bytes.get(self.at) {
            Some(b'"') => Ok(Kind::String),
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b't' | b'f') => Ok(Kind::Bool),
            Some(b'n') => Ok(Kind::Null),
            Some(b'0'..=b'9') => Ok(Kind::Number),
            Some(b'-') if self.non_finite_here().is_none() => Ok(Kind::Number),
            _ if self.non_finite_here().is_some() => Ok(Kind::Null),
            _ => self.fail(Problem::Expected(Due::Value)),
        }
    }

    /// The word for a number that is not finite, if one comes next and this parser reads such.
    #[cold]
    fn non_finite_here(&self) -> Option<&'static str> {
        let rest = self.bytes.get(self.at..).filter(|_| self.lenient)?;
        ["NaN", "Infinity", "-Infinity"].into_iter().find(|word| rest.starts_with(word.as_bytes()))
    }

    fn open(&mut self, bracket: u8, due: Due) -> Result<(), JsonError> {
        self.skip_space();
        if self.bytes.get(self.at) != Some(&bracket) {
            return self.fail(Problem::Expected(due));
        }
        if self.depth >= JSON_DEPTH {
            return self.fail(Problem::TooDeep);
        }
        self.depth += 1;
        self.at += 1;
        self.fresh = true;
        Ok(())
    }

    /// Enters an object.
    pub fn object(&mut self) -> Result<(), JsonError> {
        self.open(b'{', Due::Object)
    }

    /// Enters an array.
    pub fn array(&mut self) -> Result<(), JsonError> {
        self.open(b'[', Due::Array)
    }

    /// Steps over the comma or out of the container; false when it has ended.
    fn step(&mut self, close: u8, due: Due) -> Result<bool, JsonError> {
        self.skip_space();
        match self.bytes.get(self.at) {
            Some(&byte) if byte == close => {
                self.at += 1;
                self.depth = self.depth.saturating_sub(1);
                self.fresh = false;
                Ok(false)
            }
            Some(b',') if !self.fresh => {
                self.at += 1;
                self.skip_space();
                Ok(true)
            }
            Some(_) if self.fresh => {
                self.fresh = false;
                Ok(true)
            }
            _ => self.fail(Problem::Expected(due)),
        }
    }

    /// The next key of the object that was entered last; `None` at its end, which is stepped over.
    pub fn next_key(&mut self) -> Result<Option<Cow<'a, str>>, JsonError> {
        if !self.step(b'}', Due::CommaOrBrace)? {
            return Ok(None);
        }
        if self.bytes.get(self.at) != Some(&b'"') {
            return self.fail(Problem::Expected(Due::Key));
        }
        let start = self.at + 1;
        let scanned = self.scan_string()?;
        let body = &self.text[start..scanned.end];
        let key = if scanned.has(ESCAPED) {
            let mut decoded = String::with_capacity(body.len());
            self.lone_surrogates += unescape_counting(body, &mut decoded);
            Cow::Owned(decoded)
        } else {
            Cow::Borrowed(body)
        };
        self.fresh = false;
        self.skip_space();
        if self.bytes.get(self.at) != Some(&b':') {
            return self.fail(Problem::Expected(Due::Colon));
        }
        self.at += 1;
        Ok(Some(key))
    }

    /// An object that has two texts under these keys, in this order, and nothing else. If it is any other value, or
    /// not valid, nothing is taken.
    pub fn pair(&mut self, [first, second]: [&str; 2]) -> Option<[Text<'a>; 2]> {
        let before = self.clone();
        let pair = self
            .text_under(b'{', first)
            .and_then(|first| Some([first, self.text_under(b',', second)?]))
            .filter(|_| self.depth < JSON_DEPTH && self.passes(b"}"));
        if pair.is_none() {
            *self = before;
        }
        pair
    }

    /// The text under a key that comes after this byte.
    fn text_under(&mut self, before: u8, key: &str) -> Option<Text<'a>> {
        let is_due = self.passes(&[before])
            && self.passes(b"\"")
            && self.passes_at_once(key.as_bytes())
            && self.passes_at_once(b"\"")
            && self.passes(b":");
        if is_due { self.string().ok() } else { None }
    }

    /// Steps over white space and a token, if it comes next.
    fn passes(&mut self, token: &[u8]) -> bool {
        self.skip_space();
        self.passes_at_once(token)
    }

    fn passes_at_once(&mut self, token: &[u8]) -> bool {
        let passes = self.bytes.get(self.at..).is_some_and(|rest| rest.starts_with(token));
        self.at += if passes { token.len() } else { 0 };
        passes
    }

    /// Whether the array that was entered last has another element; at its end it is stepped over.
    pub fn next_element(&mut self) -> Result<bool, JsonError> {
        self.step(b']', Due::CommaOrBracket)
    }

    /// A string.
    pub fn string(&mut self) -> Result<Text<'a>, JsonError> {
        self.skip_space();
        if self.bytes.get(self.at) != Some(&b'"') {
            return self.fail(Problem::Expected(Due::String));
        }
        let start = self.at + 1;
        let scanned = self.scan_string()?;
        let body = &self.text[start..scanned.end];
        self.fresh = false;
        if !scanned.has(UNICODE) {
            return Ok(Text::Escaped(body));
        }
        let mut decoded = String::with_capacity(body.len());
        self.lone_surrogates += unescape_counting(body, &mut decoded);
        Ok(Text::from(decoded))
    }

    /// Walks over the string that begins here and stops behind its closing quote.
    fn scan_string(&mut self) -> Result<Body, JsonError> {
        let body = string_body(self.bytes, self.at + 1);
        if body.has(BROKEN) {
            let (at, problem) = body.fault(self.bytes);
            self.at = at;
            return Err(JsonError { at, problem });
        }
        self.at = body.end + 1;
        Ok(body)
    }

    /// A number, as its text stands.
    pub fn number(&mut self) -> Result<&'a str, JsonError> {
        self.skip_space();
        let start = self.at;
        if self.bytes.get(self.at) == Some(&b'-') {
            self.at += 1;
        }
        match self.bytes.get(self.at) {
            Some(b'0') => self.at += 1,
            Some(b'1'..=b'9') => self.digits()?,
            _ => return self.fail(Problem::Number),
        }
        if self.bytes.get(self.at) == Some(&b'.') {
            self.at += 1;
            self.digits()?;
        }
        if let Some(b'e' | b'E') = self.bytes.get(self.at) {
            self.at += 1;
            if let Some(b'+' | b'-') = self.bytes.get(self.at) {
                self.at += 1;
            }
            self.digits()?;
        }
        self.fresh = false;
        Ok(&self.text[start..self.at])
    }

    fn digits(&mut self) -> Result<(), JsonError> {
        let start = self.at;
        while self.bytes.get(self.at).is_some_and(u8::is_ascii_digit) {
            self.at += 1;
        }
        if self.at == start { self.fail(Problem::Number) } else { Ok(()) }
    }

    fn literal(&mut self, word: &'static str) -> Result<(), JsonError> {
        if self.passes_at_once(word.as_bytes()) {
            self.fresh = false;
            Ok(())
        } else {
            self.fail(Problem::Expected(Due::Literal))
        }
    }

    /// `true` or `false`.
    pub fn bool(&mut self) -> Result<bool, JsonError> {
        self.skip_space();
        let value = self.bytes.get(self.at) == Some(&b't');
        self.literal(if value { "true" } else { "false" })?;
        Ok(value)
    }

    /// Takes a `null` if one comes next.
    pub fn null(&mut self) -> Result<bool, JsonError> {
        self.skip_space();
        match self.bytes.get(self.at) {
            Some(b'n') => self.literal("null")?,
            Some(b'N' | b'I' | b'-') => {
                let Some(word) = self.non_finite_here() else { return Ok(false) };
                self.literal(word)?;
                self.non_finite += 1;
            }
            _ => return Ok(false),
        }
        Ok(true)
    }

    /// Any value, checked and kept as its text: on one line, without lone surrogates and with null for numbers that are
    /// not finite, otherwise as it stands.
    pub fn raw(&mut self) -> Result<RawJson<'a>, JsonError> {
        self.skip_space();
        let (start, non_finite) = (self.at, self.non_finite);
        if self.bytes.get(start) == Some(&b'"') {
            // Most values of a history are texts without `\u`, which are on one line and are taken as they are.
            let scanned = self.scan_string()?;
            self.fresh = false;
            if !scanned.has(UNICODE) {
                return Ok(RawJson::checked(Cow::Borrowed(&self.text[start..self.at])));
            }
            self.at = start;
        }
        let has_surrogate = self.walk()?;
        let text = &self.text[start..self.at];
        // Line ends stand between tokens alone. All bytes are looked at, as that goes by vectors.
        let is_line_end = |byte| matches!(byte, b'\n' | b'\r');
        let has_line_end = text.bytes().fold(false, |seen, byte| seen | is_line_end(byte));
        if !has_line_end && !has_surrogate && self.non_finite == non_finite {
            return Ok(RawJson::checked(Cow::Borrowed(text)));
        }
        let mut compact = String::with_capacity(text.len());
        self.lone_surrogates += compact_into(text, &mut compact);
        Ok(RawJson::checked(Cow::Owned(compact)))
    }

    /// Any value, checked and passed over.
    pub fn skip(&mut self) -> Result<(), JsonError> {
        self.walk().map(drop)
    }

    /// Hands each string of the next value to `take`; keys are not among them.
    pub fn each_string(&mut self, take: &mut dyn FnMut(Text<'a>)) -> Result<(), JsonError> {
        match self.kind()? {
            Kind::String => take(self.string()?),
            Kind::Array => {
                self.array()?;
                while self.next_element()? {
                    self.each_string(take)?;
                }
            }
            Kind::Object => {
                self.object()?;
                while self.next_key()?.is_some() {
                    self.each_string(take)?;
                }
            }
            Kind::Null | Kind::Bool | Kind::Number => self.skip()?,
        }
        Ok(())
    }

    /// Walks over one value without recursion; says whether it has an escape of a surrogate.
    fn walk(&mut self) -> Result<bool, JsonError> {
        let mut has_surrogate = false;
        let base = self.depth;
        // One bit a level: whether it is an object.
        let mut objects = [0_u64; JSON_DEPTH / 64 + 1];
        loop {
            match self.kind()? {
                Kind::Object => {
                    self.object()?;
                    objects[self.depth / 64] |= 1 << (self.depth % 64);
                }
                Kind::Array => {
                    self.array()?;
                    objects[self.depth / 64] &= !(1 << (self.depth % 64));
                }
                Kind::String => {
                    let start = self.at;
                    let scanned = self.scan_string()?;
                    self.fresh = false;
                    if scanned.has(UNICODE) {
                        has_surrogate |= has_surrogate_escape(&self.bytes[start..self.at]);
                    }
                }
                Kind::Number => drop(self.number()?),
                Kind::Bool => drop(self.bool()?),
                Kind::Null => drop(self.null()?),
            }
            // To the next value, out of every container that ends here.
            loop {
                if self.depth == base {
                    return Ok(has_surrogate);
                }
                let is_object = objects[self.depth / 64] & (1 << (self.depth % 64)) != 0;
                let more =
                    if is_object { self.next_key()?.is_some() } else { self.next_element()? };
                if more {
                    break;
                }
            }
        }
    }

    /// Checks that only white space is left.
    pub fn end(&mut self) -> Result<(), JsonError> {
        self.skip_space();
        if self.at == self.bytes.len() { Ok(()) } else { self.fail(Problem::Trailing) }
    }
}

impl<'a> RawJson<'a> {
    /// Checks a text and keeps it.
    ///
    /// # Errors
    /// What is wrong with the text, and at which byte.
    pub fn parse(text: &'a str) -> Result<Self, JsonError> {
        let mut parser = Parser::new(text);
        let raw = parser.raw()?;
        parser.end()?;
        Ok(raw)
    }

    /// As [`parse`](RawJson::parse), borrowing from nothing.
    ///
    /// # Errors
    /// What is wrong with the text, and at which byte.
    pub fn owned(text: &str) -> Result<RawJson<'static>, JsonError> {
        Ok(RawJson::parse(text)?.into_owned())
    }
}

fn has_surrogate_escape(bytes: &[u8]) -> bool {
    bytes.windows(4).any(|w| {
        w[0] == b'\\'
            && w[1] == b'u'
            && matches!(w[2], b'd' | b'D')
            && matches!(w[3], b'8'..=b'9' | b'a'..=b'f' | b'A'..=b'F')
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_string_of_a_value_is_handed_over_but_no_key() {
        let strings = |text| {
            let (mut parser, mut strings) = (Parser::new(text), Vec::new());
            let all = parser.each_string(&mut |text| strings.push(text.decoded().into_owned()));
            all.and_then(|()| parser.end()).map(|()| strings)
        };
        let text = r#"{"a":["x\n",1,{"b":"y"}],"c":null,"d":true,"e":"z"}"#;
        assert_eq!(
            strings(text).unwrap(),
            [
                "x
", "y", "z"
            ]
        );
        assert_eq!(strings(r#""a""#).unwrap(), ["a"]);
        assert!(strings(r#"["a",]"#).is_err());
    }

    #[test]
    fn a_pair_of_texts_is_taken_whole_or_not_at_all() {
        for text in [r#"{"a":"x","b":"y\n"} 1"#, "\n{ \"a\" : \"x\" ,\t\"b\":\"y\\n\" }  1"] {
            let mut parser = Parser::new(text);
            let [first, second] = parser.pair(["a", "b"]).unwrap();
            assert_eq!((&*first.decoded(), &*second.decoded()), ("x", "y\n"));
            assert_eq!(parser.number().unwrap(), "1");
            parser.end().unwrap();
        }
        for other in [
            r#"{"b":"y","a":"x"}"#,
            r#"{"a":"x","b":"y","c":1}"#,
            r#"{"a":"x"}"#,
            r#"{"a":"x","b":null}"#,
            r#"{"a":"\ud800","b":["y"]}"#,
            r#"{"\u0061":"x","b":"y"}"#,
            r#"{"aa":"x","b":"y"}"#,
            r#"["a","x"]"#,
            "{}",
        ] {
            let mut parser = Parser::new(other);
            assert!(parser.pair(["a", "b"]).is_none(), "{other}");
            assert_eq!((parser.at(), parser.lone_surrogates()), (0, 0), "{other}");
            parser.skip().unwrap();
            parser.end().unwrap();
        }
        for broken in
            [r#"{"a":"x","b":"y"#, r#"{"a":"\x","b":"y"}"#, r#"{"a":"x","b":"y"]"#, "{", ""]
        {
            let mut parser = Parser::new(broken);
            assert!(parser.pair(["a", "b"]).is_none(), "{broken}");
            assert!(parser.skip().is_err(), "{broken}");
        }
    }

    #[test]
    fn a_lenient_parser_reads_numbers_that_are_not_finite_as_null_and_counts_them() {
        let text = r#"{"a":NaN,"b":[-Infinity,{"c":Infinity},"NaN -Infinity\\ \"NaN"],"d":-1}"#;
        let mut parser = Parser::lenient(text);
        let raw = parser.raw().unwrap();
        let expect = r#"{"a":null,"b":[null,{"c":null},"NaN -Infinity\\ \"NaN"],"d":-1}"#;
        assert_eq!((raw.as_str(), parser.non_finite()), (expect, 3));
        parser.end().unwrap();
        for broken in ["[NaNa]", "[Infinit]", "[-Inf]", "[+Infinity]", "{NaN:1}"] {
            assert!(Parser::lenient(broken).skip().is_err(), "{broken}");
        }
        assert!(Parser::new(text).skip().is_err());
    }
}
