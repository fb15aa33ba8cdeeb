//! Rows with a span each, as systems that keep traces in tables of their own export them, one a line or in pages: what
//! the readers of these systems share.

use std::borrow::Cow;
use std::collections::HashMap;

use retort_json::{RawJson, Text};
use retort_model::Fields;

use super::fields::{self, FieldMap, list};
use super::format::{Fragment, Notes};
use super::raw_spans::parsed;
use super::span_messages::read_all_messages;
use super::spans::Trace;

/// Traces in the order in which their ids were met.
#[derive(Default)]
pub(super) struct Traces {
    all: Vec<Trace>,
    places: HashMap<String, usize>,
}

impl Traces {
    /// Changes the trace of that id, which is added if it is new.
    pub(super) fn with(&mut self, id: &str, change: impl FnOnce(&mut Trace)) {
        let place = self.places.get(id).copied().unwrap_or_else(|| {
            self.places.insert(id.to_owned(), self.all.len());
            self.all.push(Trace { id: id.to_owned(), ..Trace::default() });
            self.all.len() - 1
        });
        if let Some(trace) = self.all.get_mut(place) {
            change(trace);
        }
    }

    /// The traces, with the messages of their spans; `what` is what their source calls these.
    pub(super) fn with_messages(mut self, what: &str, notes: &mut Notes) -> Vec<Trace> {
        for trace in &mut self.all {
            read_all_messages(trace, what, notes);
        }
        self.all
    }
}

/// Adds the fragments of a row, or of the rows of a page: the list under one of `pages`. A page with a row that is of no
/// trace has none, and is read as it is.
pub(super) fn row_fragments<'t>(
    text: &'t str,
    pages: &[&str],
    key: impl Fn(&RawJson<'_>) -> Option<String>,
    into: &mut Vec<Fragment<'t>>,
) {
    let Some(raw) = parsed(text) else { return };
    if let Some(key) = key(&raw) {
        into.push(Fragment { key, order: 0, text: Cow::Borrowed(text) });
        return;
    }
    let rows = fields::map(&raw).and_then(|mut map| map.take(pages, list));
    let with_key = |row: RawJson<'t>| {
        let key = key(&row)?;
        Some(Fragment { key, order: 0, text: row.into_cow() })
    };
    let found: Option<Vec<_>> = rows.unwrap_or_default().into_iter().map(with_key).collect();
    into.extend(found.unwrap_or_default());
}

/// Takes `read` to each of the rows, and to those of pages.
pub(super) fn each_row(
    texts: &[RawJson<'_>],
    pages: &[&str],
    is_row: impl Fn(&FieldMap<'_>) -> bool,
    notes: &mut Notes,
    mut read: impl FnMut(FieldMap<'static>, &mut Notes),
) {
    for raw in texts {
        let Some(mut map) = FieldMap::of(raw, notes).map(FieldMap::owned) else { continue };
        if is_row(&map) {
            read(map, notes);
            continue;
        }
        for row in map.take(pages, list).unwrap_or_default() {
            if let Some(row) = FieldMap::of(&row, notes).map(FieldMap::owned).filter(&is_row) {
                read(row, notes);
            }
        }
    }
}

/// A text, or a number as one; an empty one is none.
pub(super) fn text(map: &mut FieldMap<'static>, names: &[&str]) -> Option<String> {
    let found = map.take(names, |raw| fields::id(raw).filter(|text| !text.is_blank()));
    found.map(|text| text.decoded().into_owned())
}

/// What is said under one of the names of what a row has under `metadata`, where it stays.
pub(super) fn said(metadata: Option<&FieldMap<'_>>, names: &[&str]) -> Option<String> {
    let metadata = metadata?;
    let found = names.iter().filter_map(|name| metadata.peek(name).and_then(fields::id));
    found.map(|text| text.decoded().into_owned()).find(|text| !text.trim().is_empty())
}

/// A value, or what the JSON text of it holds; an empty one is none.
pub(super) fn value(map: &mut FieldMap<'static>, name: &str) -> Option<RawJson<'static>> {
    let found = map.take(&[name], |raw| Some(fields::unquoted(raw)));
    found.filter(|raw| !matches!(raw.as_str(), "\"\"" | "{}" | "null"))
}

/// What is left and says something; what a JSON text holds is kept as that.
pub(super) fn kept(mut map: FieldMap<'static>) -> Fields<'static> {
    map.retain(|_, raw| !matches!(raw.as_str(), "null" | "\"\"" | "[]" | "{}"));
    map.rest().into_iter().map(|(key, raw)| (key, fields::unquoted(&raw))).collect()
}

/// Texts of a list.
pub(super) fn texts(map: &mut FieldMap<'static>, name: &str) -> Option<Vec<Text<'static>>> {
    let listed = map.take(&[name], fields::list_within)?;
    Some(listed.iter().filter_map(RawJson::as_text).map(Text::from).collect())
}
