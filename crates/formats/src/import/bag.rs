//! The fields of an object, out of which a reader takes what it knows under any of several names. What it does not
//! take, or what holds something else than it should, is left to be kept.

use std::borrow::Cow;
use std::collections::HashSet;

use retort_json::{Kind, Parser, RawJson, Text, Value};
use retort_model::{Fields, Time};

use super::fields::{each_field, put, time_of};
use super::format::{ItemError, Notes};

/// The fields of an object, in their order.
#[derive(Default)]
pub(super) struct Bag<'a>(Fields<'a>);

impl<'a> Bag<'a> {
    /// The fields of the object that comes next.
    pub(super) fn read(parser: &mut Parser<'a>, notes: &mut Notes) -> Result<Self, ItemError> {
        let mut fields = Fields::new();
        each_field(parser, notes, |parser, key, _| {
            let raw = parser.raw()?;
            put(&mut fields, key.into(), raw);
            Ok(())
        })?;
        Ok(Self(fields))
    }

    /// The fields of a value, if it is an object.
    pub(super) fn of(raw: &RawJson<'a>, notes: &mut Notes) -> Option<Self> {
        match raw.clone().into_cow() {
            Cow::Borrowed(text) => Self::read(&mut Parser::new(text), notes).ok(),
            Cow::Owned(text) => {
                let Bag(fields) = Bag::read(&mut Parser::new(&text), notes).ok()?;
                Some(Self(fields.into_owned()))
            }
        }
    }

    /// Whether there is such a field and it holds something.
    pub(super) fn has(&self, names: &[&str]) -> bool {
        names.iter().any(|name| self.peek(name).is_some())
    }

    /// Whether there is such a field and it holds null.
    pub(super) fn is_null(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(RawJson::is_null)
    }

    /// What was not taken so far.
    pub(super) fn fields(&self) -> &Fields<'a> {
        &self.0
    }

    /// The value under a name, which stays.
    pub(super) fn peek(&self, name: &str) -> Option<&RawJson<'a>> {
        self.0.get(name).filter(|raw| !raw.is_null())
    }

    /// Takes the value of the first of the names under which `read` finds what it should be. Nulls before it are
    /// dropped, as they say nothing.
    pub(super) fn take<T>(
        &mut self,
        names: &[&str],
        mut read: impl FnMut(&RawJson<'a>) -> Option<T>,
    ) -> Option<T> {
        for name in names {
            let Some(raw) = self.0.get(name) else { continue };
            let found = if raw.is_null() { None } else { read(raw) };
            if found.is_some() || raw.is_null() {
                self.0.take(name);
            }
            if found.is_some() {
                return found;
            }
        }
        None
    }

    /// As [`Self::take`], an id; an empty one is none.
    pub(super) fn take_id(&mut self, names: &[&str]) -> Option<Text<'a>> {
        self.0.retain(|key, raw| raw.as_str() != "\"\"" || !names.contains(&&*key.decoded()));
        self.take(names, id)
    }

    /// Puts a field back, to be kept.
    pub(super) fn put(&mut self, name: &'static str, raw: RawJson<'a>) {
        put(&mut self.0, name.into(), raw);
    }

    /// Adds the fields of an object that stands under `name`. Where two would bear one name it stays as it is.
    pub(super) fn spread(&mut self, name: &str, notes: &mut Notes) {
        let Some(raw) = self.0.get(name) else { return };
        if raw.is_null() {
            self.0.take(name);
            return;
        }
        let Some(Self(inner)) = Self::of(raw, notes) else { return };
        let taken: HashSet<_> = self.0.iter().map(|(key, _)| key.decoded()).collect();
        if inner.iter().map(|(key, _)| key.decoded()).any(|key| key != name && taken.contains(&key))
        {
            return;
        }
        self.0.take(name);
        self.0.extend(inner);
    }

    /// What was not taken.
    pub(super) fn rest(self) -> Fields<'a> {
        self.0
    }

    /// What was not taken, as an object; none if that is nothing.
    pub(super) fn rest_object(self) -> Option<RawJson<'a>> {
        RawJson::object(&self.0)
    }
}

impl<'a> From<Fields<'a>> for Bag<'a> {
    fn from(fields: Fields<'a>) -> Self {
        Self(fields)
    }
}

/// The kind of a value.
pub(super) fn kind(raw: &RawJson<'_>) -> Option<Kind> {
    Parser::new(raw.as_str()).kind().ok()
}

/// A text; of anything else its JSON text.
pub(super) fn words<'a>(raw: &RawJson<'a>) -> Option<Text<'a>> {
    Some(raw.text().unwrap_or_else(|| raw.clone().into_cow().into()))
}

/// An id: a text, or a number as its text; MongoDB's `{"$oid": …}` too.
pub(super) fn id<'a>(raw: &RawJson<'a>) -> Option<Text<'a>> {
    match kind(raw)? {
        Kind::Number => Some(raw.clone().into_cow().into()),
        Kind::Object => {
            let value = Value::parse(raw.as_str()).ok()?;
            Some(value.get("$oid")?.as_str()?.to_owned().into())
        }
        _ => raw.text(),
    }
}

/// A moment, as other readers take it.
pub(super) fn time(raw: &RawJson<'_>) -> Option<Time> {
    time_of(&Value::parse(raw.as_str()).ok()?)
}

/// A whole number, or one in a text.
pub(super) fn count(raw: &RawJson<'_>) -> Option<u64> {
    raw.as_str().parse().ok().or_else(|| raw.as_text()?.parse().ok())
}

/// Any value.
pub(super) fn json<'a>(raw: &RawJson<'a>) -> Option<RawJson<'a>> {
    Some(raw.clone())
}

/// An object.
pub(super) fn object<'a>(raw: &RawJson<'a>) -> Option<RawJson<'a>> {
    (kind(raw)? == Kind::Object).then(|| raw.clone())
}

/// The elements of a list.
pub(super) fn list<'a>(raw: &RawJson<'a>) -> Option<Vec<RawJson<'a>>> {
    fn elements<'t>(text: &'t str) -> Option<Vec<RawJson<'t>>> {
        let mut parser = Parser::new(text);
        let mut raws = Vec::new();
        parser.array().ok()?;
        while parser.next_element().ok()? {
            raws.push(parser.raw().ok()?);
        }
        Some(raws)
    }
    match raw.clone().into_cow() {
        Cow::Borrowed(text) => elements(text),
        Cow::Owned(text) => Some(elements(&text)?.into_iter().map(RawJson::into_owned).collect()),
    }
}

/// What a text holds, if that is the JSON text of an object or a list.
pub(super) fn json_within(raw: &RawJson<'_>) -> Option<RawJson<'static>> {
    let inner = raw.as_text()?;
    inner.trim_start().starts_with(['{', '[']).then(|| RawJson::owned(&inner).ok())?
}
