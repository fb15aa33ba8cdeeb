//! Taking fields from foreign JSON, tolerantly: what holds something else than it should, and what nobody takes, is left
//! to be kept.
//!
//! A reader that knows the names of nearly all fields walks over them once ([`each_field`]) and takes each by one of the
//! functions that end in `_or_keep`. One that looks for a field under any of several names takes it out of a
//! [`FieldMap`], by the functions that read a single value.

use std::borrow::Cow;
use std::collections::HashSet;

use retort_json::{Kind, Parser, RawJson, Text, Value};
use retort_model::{Fields, Time};

use super::notes::{ItemError, Notes, Refusal};

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

/// What `read` finds in the value that comes next; null is none, and anything else is kept in `rest`.
pub(super) fn read_or_keep<'a, T>(
    parser: &mut Parser<'a>,
    key: Cow<'a, str>,
    rest: &mut Fields<'a>,
    read: impl FnOnce(&RawJson<'a>) -> Option<T>,
) -> Result<Option<T>, ItemError> {
    let raw = parser.raw()?;
    let found = read(&raw);
    if found.is_none() && !raw.is_null() {
        put(rest, key.into(), raw);
    }
    Ok(found)
}

/// An [`id`].
pub(super) fn id_or_keep<'a>(
    parser: &mut Parser<'a>,
    key: Cow<'a, str>,
    rest: &mut Fields<'a>,
) -> Result<Option<Text<'a>>, ItemError> {
    match parser.kind()? {
        Kind::String => Ok(Some(parser.string()?)),
        _ => read_or_keep(parser, key, rest, id),
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
        return Ok(Some(time).filter(is_set));
    }
    read_or_keep(parser, key, rest, |raw| {
        let whole = Value::parse(raw.as_str()).ok();
        let time = whole.as_ref().and_then(any_time);
        if time.is_some_and(|time| !is_set(&time)) {
            return None;
        }
        let is_blank = || raw.text().is_some_and(|text| text.is_blank());
        notes.unread_times += u64::from(time.is_none() && !raw.is_null() && !is_blank());
        time
    })
}

/// A moment in any of the forms that systems write: see [`Time::parse_any`] and [`Time::from_epoch`]; MongoDB's
/// `{"$date": …}`; `seconds` and `nanoseconds` of Firestore and Protocol Buffers.
pub(super) fn time_of(value: &Value<'_>) -> Option<Time> {
    any_time(value).filter(is_set)
}

/// Whether it is a moment, not Go's value for none: the beginning of the year 1.
fn is_set(time: &Time) -> bool {
    time.unix_micros() != -62_135_596_800_000_000
}

fn any_time(value: &Value<'_>) -> Option<Time> {
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
    read_or_keep(parser, key, rest, |raw| raw.as_str().parse().ok())
}

/// One of a closed set by its name; what is none of it is kept.
pub(super) fn named_or_keep<'a, T: std::str::FromStr>(
    parser: &mut Parser<'a>,
    key: Cow<'a, str>,
    rest: &mut Fields<'a>,
) -> Result<Option<T>, ItemError> {
    read_or_keep(parser, key, rest, |raw| raw.as_text()?.parse().ok())
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

/// The fields of an object, in their order.
#[derive(Clone, Default)]
pub(super) struct FieldMap<'a>(Fields<'a>);

impl<'a> FieldMap<'a> {
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

    /// The fields of an item that is one object.
    pub(super) fn item(text: &'a str, notes: &mut Notes) -> Result<Self, ItemError> {
        let mut parser = Parser::lenient(text);
        if parser.kind()? != Kind::Object {
            let why = "the item is not an object";
            return Err(ItemError::new(Refusal::UnknownShape, parser.at(), why));
        }
        let map = Self::read(&mut parser, notes)?;
        parser.end()?;
        notes.count(&parser);
        Ok(map)
    }

    /// The fields of a value, if it is an object.
    pub(super) fn of(raw: &RawJson<'a>, notes: &mut Notes) -> Option<Self> {
        match raw.clone().into_cow() {
            Cow::Borrowed(text) => Self::read(&mut Parser::new(text), notes).ok(),
            Cow::Owned(text) => {
                let FieldMap(fields) = FieldMap::read(&mut Parser::new(&text), notes).ok()?;
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

    /// Whether there is such a field and it holds `true`.
    pub(super) fn is_true(&self, name: &str) -> bool {
        self.0.get(name).is_some_and(|raw| raw.as_str() == "true")
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

    /// The same, borrowing from nothing.
    pub(super) fn owned(self) -> FieldMap<'static> {
        FieldMap(self.0.into_owned())
    }

    /// Keeps the fields for which `keep` says so.
    pub(super) fn retain(&mut self, keep: impl FnMut(&Text<'a>, &RawJson<'a>) -> bool) {
        self.0.retain(keep);
    }

    /// Puts a field that was read elsewhere.
    pub(super) fn put_field(&mut self, key: Text<'a>, raw: RawJson<'a>) {
        put(&mut self.0, key, raw);
    }

    /// Puts a field back, to be kept.
    pub(super) fn put(&mut self, name: &'static str, raw: RawJson<'a>) {
        put(&mut self.0, name.into(), raw);
    }

    /// Adds a field.
    pub(super) fn add(&mut self, name: Text<'a>, raw: RawJson<'a>) {
        put(&mut self.0, name, raw);
    }

    /// Adds the fields of an object that is under `name`. Where two would bear one name it stays as it is.
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
    pub(super) fn rest_object(self) -> Option<RawJson<'static>> {
        RawJson::object(&self.0)
    }
}

impl<'a> From<Fields<'a>> for FieldMap<'a> {
    fn from(fields: Fields<'a>) -> Self {
        Self(fields)
    }
}

/// The fields of an object; keys that are in it twice are not counted.
pub(super) fn map<'a>(raw: &RawJson<'a>) -> Option<FieldMap<'a>> {
    FieldMap::of(raw, &mut Notes::default())
}

/// Puts those of these fields whose keys are not taken.
pub(super) fn put_missing<'a>(into: &mut Fields<'a>, more: Fields<'a>) {
    for (key, raw) in more {
        if into.get(&key.decoded()).is_none() {
            into.put(key, raw);
        }
    }
}

/// The kind of a value.
pub(super) fn kind(raw: &RawJson<'_>) -> Option<Kind> {
    Parser::new(raw.as_str()).kind().ok()
}

/// A text, or that under the first of these names in an object.
pub(super) fn text_or_under<'a>(raw: &RawJson<'a>, names: &[&str]) -> Option<Text<'a>> {
    raw.text().or_else(|| map(raw)?.take(names, RawJson::text))
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

/// A moment.
pub(super) fn time(raw: &RawJson<'_>) -> Option<Time> {
    time_of(&Value::parse(raw.as_str()).ok()?)
}

/// A time in microseconds since 1970, to order by; none before that.
pub(super) fn micros(raw: &RawJson<'_>) -> Option<u64> {
    u64::try_from(time(raw)?.unix_micros()).ok()
}

/// A whole number, or one in a text.
pub(super) fn count(raw: &RawJson<'_>) -> Option<u64> {
    raw.as_str().parse().ok().or_else(|| raw.as_text()?.parse().ok())
}

/// A finite number, or one in a text.
pub(super) fn number(raw: &RawJson<'_>) -> Option<f64> {
    let parsed = raw.as_str().parse().ok().or_else(|| raw.as_text()?.trim().parse().ok());
    parsed.filter(|number: &f64| number.is_finite())
}

/// Any value.
pub(super) fn json<'a>(raw: &RawJson<'a>) -> Option<RawJson<'a>> {
    Some(raw.clone())
}

/// An object of these fields.
pub(super) fn object_of<'a>(
    list: impl IntoIterator<Item = (&'static str, RawJson<'a>)>,
) -> RawJson<'static> {
    let mut fields = Fields::new();
    for (key, raw) in list {
        put(&mut fields, key.into(), raw);
    }
    RawJson::object(&fields).unwrap_or(RawJson::null())
}

/// Whether a value is a text.
pub(super) fn is_text(raw: &RawJson<'_>) -> bool {
    kind(raw) == Some(Kind::String)
}

/// An object.
pub(super) fn object<'a>(raw: &RawJson<'a>) -> Option<RawJson<'a>> {
    (kind(raw)? == Kind::Object).then(|| raw.clone())
}

/// Adds a value to the list under that name.
pub(super) fn keep_in_list<'a>(fields: &mut Fields<'a>, name: &'static str, raw: &RawJson<'a>) {
    let before = fields.iter().find(|(key, _)| key == name).map(|(_, raw)| raw.as_str());
    let inside = before.and_then(|list| list.strip_prefix('[')?.strip_suffix(']'));
    let list = match inside {
        Some(inside) => format!("[{inside},{raw}]"),
        None => format!("[{raw}]"),
    };
    if let Ok(list) = RawJson::owned(&list) {
        put(fields, name.into(), list);
    }
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

/// The fields of each object in a list, read in one pass; whatever else is in it is passed over.
pub(super) fn maps<'a>(raw: &RawJson<'a>) -> Option<Vec<FieldMap<'a>>> {
    fn elements<'t>(text: &'t str) -> Option<Vec<FieldMap<'t>>> {
        let mut parser = Parser::new(text);
        let mut maps = Vec::new();
        parser.array().ok()?;
        while parser.next_element().ok()? {
            if parser.kind().ok()? == Kind::Object {
                maps.push(FieldMap::read(&mut parser, &mut Notes::default()).ok()?);
            } else {
                parser.skip().ok()?;
            }
        }
        Some(maps)
    }
    match raw.clone().into_cow() {
        Cow::Borrowed(text) => elements(text),
        Cow::Owned(text) => Some(elements(&text)?.into_iter().map(FieldMap::owned).collect()),
    }
}

/// What a text holds, if that is the JSON text of an object or a list.
pub(super) fn json_within(raw: &RawJson<'_>) -> Option<RawJson<'static>> {
    let inner = raw.as_text()?;
    inner.trim_start().starts_with(['{', '[']).then(|| RawJson::owned(&inner).ok())?
}

/// A value, or what a JSON text of an object or a list holds: tables and attributes keep them so.
pub(super) fn unquoted<'a>(raw: &RawJson<'a>) -> RawJson<'a> {
    json_within(raw).unwrap_or_else(|| raw.clone())
}

/// An object, or the JSON text of one.
pub(super) fn object_within<'a>(raw: &RawJson<'a>) -> Option<RawJson<'a>> {
    object(&unquoted(raw))
}

/// The elements of a list, or of the JSON text of one.
pub(super) fn list_within<'a>(raw: &RawJson<'a>) -> Option<Vec<RawJson<'a>>> {
    list(&unquoted(raw))
}

/// The fields of an object, or of the JSON text of one.
pub(super) fn map_within<'a>(raw: &RawJson<'a>) -> Option<FieldMap<'a>> {
    map(&unquoted(raw))
}
