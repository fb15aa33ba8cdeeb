//! Taking single fields from foreign JSON, tolerantly: what has another type than it should is kept raw.

use std::borrow::Cow;
use std::collections::HashSet;

use retort_json::{Kind, Parser, RawJson, Text, Value};
use retort_model::{Fields, Time};

use super::format::{ItemError, Notes};

/// Walks over the object that comes next and hands each key to `take`, which must take its value.
pub(super) fn each_field<'a>(
    parser: &mut Parser<'a>,
    notes: &mut Notes,
    mut take: impl FnMut(&mut Parser<'a>, Cow<'a, str>, &mut Notes) -> Result<(), ItemError>,
) -> Result<(), ItemError> {
    let mut seen = Seen::default();
    parser.object()?;
    while let Some(key) = parser.next_key()? {
        notes.duplicate_keys += u64::from(seen.again(&key));
        take(parser, key, notes)?;
    }
    Ok(())
}

/// Which keys an object had so far, by hash: the first few, which is all that most objects have, and the others.
#[derive(Default)]
struct Seen {
    hashes: [u64; 24],
    count: usize,
    others: HashSet<u64>,
}

impl Seen {
    fn again(&mut self, key: &str) -> bool {
        let hash = retort_model::fnv1a(key);
        if self.hashes.iter().take(self.count).any(|&one| one == hash) {
            return true;
        }
        let Some(slot) = self.hashes.get_mut(self.count) else { return !self.others.insert(hash) };
        *slot = hash;
        self.count += 1;
        false
    }
}

/// Keeps a field that Retort has no name for; a key that came before is replaced.
pub(super) fn keep<'a>(
    parser: &mut Parser<'a>,
    key: Cow<'a, str>,
    into: &mut Fields<'a>,
) -> Result<(), ItemError> {
    let value = parser.raw()?;
    put(into, key.into(), value);
    Ok(())
}

/// Puts a field, in place of one with the same key.
pub(super) fn put<'a>(into: &mut Fields<'a>, key: Text<'a>, value: RawJson<'a>) {
    into.put(key, value);
}

/// A text if there is one; null is none, and what is neither is kept in `rest`.
pub(super) fn text_or_keep<'a>(
    parser: &mut Parser<'a>,
    key: Cow<'a, str>,
    rest: &mut Fields<'a>,
) -> Result<Option<Text<'a>>, ItemError> {
    match parser.kind()? {
        Kind::String => Ok(Some(parser.string()?)),
        Kind::Null => {
            parser.null()?;
            Ok(None)
        }
        _ => {
            keep(parser, key, rest)?;
            Ok(None)
        }
    }
}

/// An id: a text, or a number as its text; MongoDB's `{"$oid": …}` too.
pub(super) fn id_or_keep<'a>(
    parser: &mut Parser<'a>,
    key: Cow<'a, str>,
    rest: &mut Fields<'a>,
) -> Result<Option<Text<'a>>, ItemError> {
    match parser.kind()? {
        Kind::Number => Ok(Some(parser.number()?.into())),
        Kind::Object => {
            let raw = parser.raw()?;
            let id = Value::parse(raw.as_str())?
                .get("$oid")
                .and_then(Value::as_str)
                .map(|id| id.to_owned().into());
            if id.is_none() {
                put(rest, key.into(), raw);
            }
            Ok(id)
        }
        _ => text_or_keep(parser, key, rest),
    }
}

/// A moment: a text, a number since 1970, or what databases write for one. What is none is kept and counted.
pub(super) fn time_or_keep<'a>(
    parser: &mut Parser<'a>,
    key: Cow<'a, str>,
    rest: &mut Fields<'a>,
    notes: &mut Notes,
) -> Result<Option<Time>, ItemError> {
    // Almost all are texts.
    let mut ahead = parser.clone();
    if ahead.kind()? == Kind::String
        && let Ok(time) = Time::parse(&ahead.string()?.decoded())
    {
        *parser = ahead;
        return Ok(Some(time));
    }
    let raw = parser.raw()?;
    let value = Value::parse(raw.as_str())?;
    let time = time_of(&value);
    if time.is_none() && !raw.is_null() {
        notes.unread_times += u64::from(value.as_str().is_none_or(|text| !text.trim().is_empty()));
        put(rest, key.into(), raw);
    }
    Ok(time)
}

/// A moment in any of the forms that systems write: see [`Time::parse_any`] and [`Time::from_epoch`]; MongoDB's
/// `{"$date": …}`; `seconds` and `nanoseconds` of Firestore and Protocol Buffers.
pub(super) fn time_of(value: &Value<'_>) -> Option<Time> {
    let long = |value: &Value<'_>| -> Option<i64> {
        match value {
            Value::Number(number) => number.parse().ok(),
            Value::String(text) => text.parse().ok(),
            _ => None,
        }
    };
    match value {
        Value::String(text) => Time::parse_any(text),
        Value::Number(number) => Time::from_epoch(number),
        Value::Object(_) => match value.get("$date") {
            Some(Value::String(text)) => Time::parse_any(text),
            Some(Value::Number(number)) => Time::from_epoch_ms(number.parse().ok()?),
            Some(wrapped) => Time::from_epoch_ms(long(wrapped.get("$numberLong")?)?),
            None => {
                let part = |names: [&str; 2]| names.into_iter().find_map(|name| value.get(name));
                let seconds = long(part(["seconds", "_seconds"])?)?;
                let nanos = part(["nanoseconds", "_nanoseconds"]).or_else(|| value.get("nanos"));
                Time::from_unix_nanos(
                    i128::from(seconds) * 1_000_000_000
                        + i128::from(nanos.and_then(long).unwrap_or(0)),
                )
            }
        },
        _ => None,
    }
}

/// A list of texts; null is empty, and what is neither is kept.
pub(super) fn texts_or_keep<'a>(
    parser: &mut Parser<'a>,
    key: Cow<'a, str>,
    rest: &mut Fields<'a>,
) -> Result<Vec<Text<'a>>, ItemError> {
    let mut ahead = parser.clone();
    if ahead.kind()? == Kind::Array {
        let mut texts = Vec::new();
        ahead.array()?;
        let plain = loop {
            if !ahead.next_element()? {
                break true;
            }
            if ahead.kind()? != Kind::String {
                break false;
            }
            texts.push(ahead.string()?);
        };
        if plain {
            *parser = ahead;
            return Ok(texts);
        }
    }
    let raw = parser.raw()?;
    if !raw.is_null() {
        put(rest, key.into(), raw);
    }
    Ok(Vec::new())
}

/// A whole number; null is none, and what is neither is kept.
pub(super) fn count_or_keep<'a>(
    parser: &mut Parser<'a>,
    key: Cow<'a, str>,
    rest: &mut Fields<'a>,
) -> Result<Option<u64>, ItemError> {
    let raw = parser.raw()?;
    let count = raw.as_str().parse().ok();
    if count.is_none() && !raw.is_null() {
        put(rest, key.into(), raw);
    }
    Ok(count)
}

/// One of a closed set by its name; what is none of it is kept.
pub(super) fn named_or_keep<'a, T: std::str::FromStr>(
    parser: &mut Parser<'a>,
    key: Cow<'a, str>,
    rest: &mut Fields<'a>,
) -> Result<Option<T>, ItemError> {
    let raw = parser.raw()?;
    let named = raw.as_text().and_then(|text| text.parse().ok());
    if named.is_none() && !raw.is_null() {
        put(rest, key.into(), raw);
    }
    Ok(named)
}

/// A list of raw values; a lone object is a list of one, a JSON text of a list is that list, and what is neither
/// is kept.
pub(super) fn raws_or_keep<'a>(
    parser: &mut Parser<'a>,
    key: Cow<'a, str>,
    rest: &mut Fields<'a>,
) -> Result<Vec<RawJson<'a>>, ItemError> {
    let mut raws = Vec::new();
    match parser.kind()? {
        Kind::Array => {
            parser.array()?;
            while parser.next_element()? {
                raws.push(parser.raw()?);
            }
        }
        Kind::Object => raws.push(parser.raw()?),
        Kind::Null => drop(parser.null()?),
        Kind::String => {
            let text = parser.string()?;
            match elements(&text.decoded()) {
                Some(elements) => raws = elements,
                None if text.is_blank() => {}
                None => put(rest, key.into(), RawJson::string(&text.decoded())),
            }
        }
        _ => keep(parser, key, rest)?,
    }
    Ok(raws)
}

/// The elements of a JSON text that holds a list.
fn elements(text: &str) -> Option<Vec<RawJson<'static>>> {
    let mut parser = Parser::new(text);
    let mut raws = Vec::new();
    if parser.kind().ok()? == Kind::Object {
        raws.push(parser.raw().ok()?.into_owned());
    } else {
        parser.array().ok()?;
        while parser.next_element().ok()? {
            raws.push(parser.raw().ok()?.into_owned());
        }
    }
    parser.end().ok()?;
    Some(raws)
}
