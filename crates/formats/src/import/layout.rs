//! Finds items of known formats where exporters and logs put them: in columns, in objects keyed by id, in log lines, in
//! texts. [`wrapped`](super::wrapped) reads what is found.

use retort_json::{Kind, Parser, RawJson, Text};
use retort_model::Fields;

use super::fields::{self, FieldMap, list};
use super::sniff::Sniff;
use super::typed;

/// The items in an item, and its other fields.
pub(super) struct Layout<'a> {
    pub(super) items: Vec<RawJson<'a>>,
    /// Fields to add to the metadata of each of them.
    pub(super) beside: FieldMap<'a>,
}

/// Whether a format recognises an item by its text.
pub(super) type Knows<'k> = &'k dyn Fn(&str) -> bool;

/// The keys under which log lines and search hits contain an item, as an object or as JSON text.
const INSIDE: [&str; 13] = [
    "_source",
    "row",
    "message",
    "msg",
    "log",
    "line",
    "event",
    "body",
    "payload",
    "@message",
    "_raw",
    "jsonPayload",
    "textPayload",
];

/// The keys for the id of an item.
const IDS: [&str; 5] = ["id", "_id", "conversation_id", "conversationId", "uuid"];

impl<'a> Layout<'a> {
    /// The items in an item; none if it contains nothing that a format recognises.
    pub(super) fn of(item: &RawJson<'a>, knows: Knows<'_>) -> Option<Self> {
        let is_known = |raw: &RawJson<'_>| knows(raw.as_str());
        if fields::kind(item)? == Kind::String {
            let inner = fields::json_within(item)?;
            return is_known(&inner).then(|| Self::plain(vec![inner]));
        }
        let map = fields::map(item)?;
        if let Some(layout) = inside(&map, knows) {
            return Some(layout);
        }
        [typed::items(&map), split(&map), by_id(&map, knows), columns(&map)]
            .into_iter()
            .flatten()
            .find_map(|items| items.first().is_some_and(is_known).then(|| Self::plain(items)))
    }

    fn plain(items: Vec<RawJson<'a>>) -> Self {
        Self { items, beside: FieldMap::default() }
    }
}

/// The item in a log line, which also has a time and other fields.
fn inside<'a>(map: &FieldMap<'a>, knows: Knows<'_>) -> Option<Layout<'a>> {
    INSIDE.iter().find_map(|name| {
        let raw = map.peek(name)?;
        let inner = match fields::kind(raw)? {
            Kind::String => fields::json_within(raw)?,
            _ => fields::object(raw)?,
        };
        if !knows(inner.as_str()) {
            return None;
        }
        let mut beside = map.clone();
        beside.take(&[name], fields::json);
        Some(Layout { items: vec![inner], beside })
    })
}

/// The rows of a table as pandas writes it with `orient="split"`: names of columns, and lists of cells.
fn split<'a>(map: &FieldMap<'a>) -> Option<Vec<RawJson<'a>>> {
    let columns = list(map.peek("columns")?)?;
    let names: Vec<_> = columns.iter().map(RawJson::text).collect::<Option<_>>()?;
    let rows = list(map.peek("data")?)?;
    let row = |raw: &RawJson<'a>| {
        let cells = list(raw).filter(|cells| cells.len() == names.len())?;
        let row: Fields<'a> = names.iter().cloned().zip(cells).collect();
        RawJson::object(&row)
    };
    rows.iter().map(row).collect()
}

/// Items keyed by id. An item without an id of its own gets the key as its id; a list of messages becomes an item.
fn by_id<'a>(map: &FieldMap<'a>, knows: Knows<'_>) -> Option<Vec<RawJson<'a>>> {
    let item = |(key, raw): &(Text<'a>, RawJson<'a>)| {
        if !knows(raw.as_str()) {
            return None;
        }
        let mut item = match fields::kind(raw)? {
            Kind::Object => fields::map(raw)?,
            _ => FieldMap::default(),
        };
        if item.fields().is_empty() {
            item.put("messages", raw.clone());
        }
        if !item.has(&IDS) {
            item.put("id", RawJson::string(&key.decoded()));
        }
        RawJson::object(item.fields())
    };
    map.fields().iter().map(item).collect()
}

/// The rows of a table that is stored by column: each column is a list, as in `to_dict` of `datasets`, or an object from
/// row number to cell, as in pandas.
fn columns<'a>(map: &FieldMap<'a>) -> Option<Vec<RawJson<'a>>> {
    if map.has(&["columns"]) && map.has(&["data"]) {
        return None;
    }
    let mut rows: Vec<FieldMap<'a>> = Vec::new();
    let mut numbers: Option<Vec<String>> = None;
    for (name, raw) in map.fields() {
        let cells = match fields::kind(raw)? {
            Kind::Array => list(raw)?,
            Kind::Object => {
                let cells = fields::map(raw)?;
                let own: Vec<_> =
                    cells.fields().iter().map(|(key, _)| key.decoded().into_owned()).collect();
                if numbers.get_or_insert_with(|| own.clone()) != &own {
                    return None;
                }
                cells.fields().iter().map(|(_, raw)| raw.clone()).collect()
            }
            _ => return None,
        };
        if rows.is_empty() {
            rows.resize_with(cells.len(), FieldMap::default);
        }
        if cells.is_empty() || cells.len() != rows.len() {
            return None;
        }
        for (row, cell) in rows.iter_mut().zip(cells) {
            row.add(name.clone(), cell);
        }
    }
    rows.into_iter().map(|row| RawJson::object(row.fields())).collect()
}

/// Whether an item holds others in one of these ways.
pub(super) fn is_one(sniff: &Sniff<'_>, knows: Knows<'_>) -> bool {
    let item = Parser::lenient(sniff.item()).raw();
    item.is_ok_and(|item| Layout::of(&item, knows).is_some())
}
