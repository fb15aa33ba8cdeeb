//! Text and raw JSON as they were found: borrowed from the bytes they were parsed from wherever that is enough.

use std::borrow::Cow;

use crate::write::{
    Append, compact_into, has_escapes, unescape_bytes, unescape_into, write_escaped, write_string,
};

/// A text. What a JSON source wrote stays as it stands until someone needs to look inside, so that text which
/// only passes through costs one copy and no second look.
#[derive(Clone, Debug)]
pub enum Text<'a> {
    /// The text itself.
    Plain(Cow<'a, str>),
    /// The inside of a JSON string whose escapes, if it has any, are valid and none of them `\u`.
    Escaped(&'a str),
}

impl<'a> Text<'a> {
    /// The text, decoded if need be.
    pub fn decoded(&self) -> Cow<'_, str> {
        match self {
            Self::Plain(text) => Cow::Borrowed(text),
            Self::Escaped(body) => unescaped(body),
        }
    }

    /// As [`decoded`](Self::decoded), given away.
    pub fn into_cow(self) -> Cow<'a, str> {
        match self {
            Self::Plain(text) => text,
            Self::Escaped(body) => unescaped(body),
        }
    }

    /// Appends the decoded text.
    pub fn push_to(&self, out: &mut String) {
        match self {
            Self::Plain(text) => out.push_str(text),
            Self::Escaped(body) => unescape_into(body, out),
        }
    }

    /// Appends the decoded text as UTF-8.
    pub fn push_bytes(&self, out: &mut Vec<u8>) {
        match self {
            Self::Plain(text) => out.extend_from_slice(text.as_bytes()),
            Self::Escaped(body) => unescape_bytes(body, out),
        }
    }

    /// Appends the text as the inside of a JSON string.
    pub fn write_escaped(&self, out: &mut impl Append) {
        match self {
            Self::Plain(text) => write_escaped(text, out),
            Self::Escaped(body) => out.append(body),
        }
    }

    /// Appends the text as a JSON string, quotes included.
    pub fn write_string(&self, out: &mut impl Append) {
        out.append("\"");
        self.write_escaped(out);
        out.append("\"");
    }

    /// Whether there is nothing in it.
    pub fn is_empty(&self) -> bool {
        self.as_written().is_empty()
    }

    /// Whether there is nothing but white space in it.
    pub fn is_blank(&self) -> bool {
        match self {
            Self::Plain(text) => text.trim().is_empty(),
            Self::Escaped(body) => {
                // Only what begins with white space and escapes has to be decoded to know.
                let shown = body.trim_start();
                (shown.is_empty() || shown.starts_with('\\')) && unescaped(body).trim().is_empty()
            }
        }
    }

    /// The text as the source wrote it: decoded, or with simple escapes.
    pub fn as_written(&self) -> &str {
        match self {
            Self::Plain(text) => text,
            Self::Escaped(body) => body,
        }
    }

    /// A text that borrows from this one.
    pub fn borrowed(&self) -> Text<'_> {
        match self {
            Self::Plain(text) => Text::Plain(Cow::Borrowed(text)),
            Self::Escaped(body) => Text::Escaped(body),
        }
    }

    /// A text that borrows from nothing.
    pub fn into_owned(self) -> Text<'static> {
        Text::Plain(Cow::Owned(self.into_cow().into_owned()))
    }
}

fn unescaped(body: &str) -> Cow<'_, str> {
    if !has_escapes(body) {
        return Cow::Borrowed(body);
    }
    let mut text = String::with_capacity(body.len());
    unescape_into(body, &mut text);
    Cow::Owned(text)
}

impl Default for Text<'_> {
    fn default() -> Self {
        Self::Plain(Cow::Borrowed(""))
    }
}

impl PartialEq for Text<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.decoded() == other.decoded()
    }
}

impl Eq for Text<'_> {}

impl PartialEq<str> for Text<'_> {
    fn eq(&self, other: &str) -> bool {
        self.decoded() == other
    }
}

impl<'a> From<&'a str> for Text<'a> {
    fn from(text: &'a str) -> Self {
        Self::Plain(Cow::Borrowed(text))
    }
}

impl From<String> for Text<'_> {
    fn from(text: String) -> Self {
        Self::Plain(Cow::Owned(text))
    }
}

impl<'a> From<Cow<'a, str>> for Text<'a> {
    fn from(text: Cow<'a, str>) -> Self {
        Self::Plain(text)
    }
}

/// A JSON value kept as its text: valid, on one line, without lone surrogates.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawJson<'a>(Cow<'a, str>);

impl<'a> RawJson<'a> {
    pub(crate) fn checked(text: Cow<'a, str>) -> Self {
        Self(text)
    }

    /// `null`.
    pub fn null() -> Self {
        Self(Cow::Borrowed("null"))
    }

    /// A JSON string.
    pub fn string(text: &str) -> Self {
        let mut out = String::with_capacity(text.len() + 2);
        write_string(text, &mut out);
        Self(Cow::Owned(out))
    }

    /// An object of these fields; none if there are none.
    pub fn object<'f, 'j: 'f>(
        fields: impl IntoIterator<Item = &'f (Text<'j>, RawJson<'j>)>,
    ) -> Option<RawJson<'static>> {
        let mut out = String::new();
        for (key, value) in fields {
            out.push(if out.is_empty() { '{' } else { ',' });
            key.write_string(&mut out);
            out.push(':');
            out.push_str(value.as_str());
        }
        if out.is_empty() {
            return None;
        }
        out.push('}');
        Some(RawJson(Cow::Owned(out)))
    }

    /// An array of these values.
    pub fn array<'v, 'j: 'v>(
        values: impl IntoIterator<Item = &'v RawJson<'j>>,
    ) -> RawJson<'static> {
        let mut out = String::from("[");
        for value in values {
            if out.len() > 1 {
                out.push(',');
            }
            out.push_str(value.as_str());
        }
        out.push(']');
        RawJson(Cow::Owned(out))
    }

    /// The JSON text.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// The JSON text, given away.
    pub fn into_cow(self) -> Cow<'a, str> {
        self.0
    }

    /// The JSON text without white space between its tokens.
    pub fn compact(&self) -> String {
        let mut out = String::with_capacity(self.0.len());
        compact_into(&self.0, &mut out);
        out
    }

    /// Whether the value is `null`.
    pub fn is_null(&self) -> bool {
        self.0 == "null"
    }

    /// The value if it is a JSON string, not looked through again where it holds no `\u`.
    pub fn text(&self) -> Option<Text<'a>> {
        let body = self.0.strip_prefix('"')?.strip_suffix('"')?;
        if body.contains("\\u") {
            let mut decoded = String::with_capacity(body.len());
            unescape_into(body, &mut decoded);
            return Some(Text::from(decoded));
        }
        Some(match &self.0 {
            Cow::Borrowed(text) => Text::Escaped(&text[1..text.len() - 1]),
            Cow::Owned(_) => Text::Escaped(body).into_owned(),
        })
    }

    /// The value's text if it is a JSON string.
    pub fn as_text(&self) -> Option<String> {
        self.text().map(|text| text.into_cow().into_owned())
    }

    /// The same, borrowing from nothing.
    pub fn into_owned(self) -> RawJson<'static> {
        RawJson(Cow::Owned(self.0.into_owned()))
    }
}

impl std::fmt::Display for RawJson<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(&self.0)
    }
}
