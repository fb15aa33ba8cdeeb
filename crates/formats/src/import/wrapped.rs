//! Items in a list inside an object, as APIs and exporters wrap them: `{"data": […]}`, `{"rows": [{"row": …}]}`. Each
//! element is read by the format that knows it.

use std::collections::HashMap;

use retort_json::{Kind, Parser, RawJson};
use retort_model::{Conversation, Document, Item};

use super::fields::{self, FieldMap};
use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Refusal, Spread};
use super::layout::{self, Layout};
use super::sniff::{Entry, Sniff};
use super::unplaced::{Least, says};

/// The format, with what finds that of an element.
pub(super) struct Wrapped(pub(super) fn(&Sniff<'_>) -> Option<&'static dyn ImportFormat>);

/// Under what lists of items stand.
const LISTS: [&str; 22] = [
    "data",
    "items",
    "rows",
    "records",
    "results",
    "examples",
    "samples",
    "instances",
    "entries",
    "dataset",
    "conversations",
    "chats",
    "dialogues",
    "sessions",
    "threads",
    "train",
    "training",
    "validation",
    "valid",
    "eval",
    "test",
    "hits",
];

/// Under what an element of such a list holds the item.
const WITHIN: [&str; 3] = ["row", "_source", "node"];

impl ImportFormat for Wrapped {
    fn name(&self) -> &'static str {
        "wrapped"
    }

    fn about(&self) -> &'static str {
        "items of the other formats in a list inside an object, such as `{\"data\": […]}`"
    }

    fn notes(&self) -> &'static str {
        "Lists under `data`, `items`, `rows`, `records`, `results`, `examples`, `conversations`, `train`, `test` and \
         the like, as APIs and exporters wrap them; the datasets server's `{\"rows\": [{\"row\": …}]}` too. Each \
         element is read by the format that knows it, and messages in rows are joined inside the list. One such object \
         is an item, so the size limit of items applies to it; unwrap larger files first. Items are also found \
         under their ids (`{\"ID\": {…}}`), in the columns of a table (pandas' `to_json`, `to_dict` of `datasets`), and in the \
         lines of logs and hits of searches (`_source`, `message`, `log`, …), and as DynamoDB and Firestore export them, with the type of each value (`{\"S\": \"text\"}`). An object that holds more \
         than such lists and a few words is not read; counts and names of pages are dropped."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        self.has_list(sniff)
            || ((self.0)(sniff).is_none()
                && (self.nested(sniff).is_some()
                    || layout::is_one(sniff, &|text| self.is_whole(text))))
    }

    fn parse<'a>(&self, item: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        if !self.has_list(&Sniff::of(item))
            && let Some(items) = self.parse_layout(item, notes)?
        {
            return Ok(items);
        }
        let mut map = FieldMap::item(item, notes)?;
        let (mut items, mut found) = (Items::default(), false);
        for name in LISTS {
            let read = |raw: &RawJson<'a>| {
                let list = fields::list(raw)?;
                list.first().is_some_and(|first| self.holds_items(name, first)).then_some(list)
            };
            let Some(list) = map.take(&[name], read) else { continue };
            found = true;
            let mark = notes.mark();
            self.read_list(&list, &mut items, notes)?;
            notes.under(mark, || name.into());
        }
        if !found {
            let why = "no list of items in the object";
            return Err(ItemError::new(Refusal::UnknownShape, 0, why));
        }
        let rest = map.rest();
        for (key, raw) in &rest {
            // Texts of more than a word are not dropped without a word.
            if says(raw, Least::Prose) && !BESIDE.contains(&&*key.decoded()) {
                notes.unplaced(key.decoded(), raw);
            }
        }
        Ok(items)
    }
}

/// Rows of one item, each with its place in it.
type Rows = Vec<(u64, RawJson<'static>)>;

/// What wrappers say of their lists.
const BESIDE: [&str; 17] = [
    "features",
    "info",
    "meta",
    "metadata",
    "pagination",
    "links",
    "next",
    "previous",
    "name",
    "description",
    "license",
    "version",
    "title",
    "columns",
    "schema",
    "_shards",
    "total",
];

impl Wrapped {
    /// Whether an item has lists of items, and little else.
    fn has_list(&self, sniff: &Sniff<'_>) -> bool {
        // An item that contains more than lists is in a format that no reader knows.
        let is_plain = |key: &String| match sniff.kind(&[key]) {
            Some(Kind::Array) => LISTS.contains(&key.as_str()) || BESIDE.contains(&key.as_str()),
            Some(Kind::Object) => BESIDE.contains(&key.as_str()),
            _ => true,
        };
        let is_list = LISTS.iter().any(|name| {
            sniff.kind(&[name]) == Some(Kind::Array)
                && matches!(sniff.first_kind(&[name]), Some(Kind::Object | Kind::Array))
                && sniff.first(&[name]).is_some_and(|raw| self.holds_items(name, &raw))
        });
        is_list && sniff.keys().iter().all(is_plain)
    }

    /// Reads an item that holds others in another way; none if it does not.
    fn parse_layout(
        &self,
        item: &str,
        notes: &mut Notes,
    ) -> Result<Option<Items<'static>>, ItemError> {
        if let Some(inner) = self.nested(&Sniff::of(item)) {
            let mut items = Items::default();
            items.extend(self.parse(inner.as_str(), notes)?.into_iter().map(Item::into_owned));
            return Ok(Some(items));
        }
        let mut parser = Parser::lenient(item);
        let whole = parser.raw()?;
        parser.end()?;
        let Some(layout) = Layout::of(&whole, &|text| self.is_whole(text)) else {
            return Ok(None);
        };
        notes.count(&parser);
        self.laid_out(&layout, notes).map(Some)
    }

    /// The object in an API response that contains the lists: `{"hits": {"hits": […]}}`, `{"data": {"items": […]}}`.
    fn nested(&self, sniff: &Sniff<'_>) -> Option<RawJson<'static>> {
        let known = |key: &String| {
            LISTS.contains(&key.as_str())
                || BESIDE.contains(&key.as_str())
                || !matches!(sniff.kind(&[key]), Some(Kind::Array | Kind::Object))
        };
        let name = LISTS
            .iter()
            .chain(&["result", "response"])
            .find(|name| sniff.kind(&[name]) == Some(Kind::Object))?;
        let is_plain = sniff.keys().iter().all(|key| key == name || known(key));
        let inner = sniff.raw(name).filter(|_| is_plain)?;
        let within = Sniff::of(inner.as_str());
        (within.check().is_ok()
            && within.kind_of_item() == Some(Kind::Object)
            && self.recognises(&within))
        .then_some(inner.clone())
    }

    /// Whether a format recognises an item by its text, and needs no other items to read it.
    fn is_whole(&self, text: &str) -> bool {
        let sniff = Sniff::of(text);
        sniff.check().is_ok()
            && (self.0)(&sniff).is_some_and(|format| match format.spread() {
                Spread::No => true,
                _ => {
                    let mut fragments = Vec::new();
                    format.fragments(text, Entry::default(), &mut fragments);
                    fragments.is_empty()
                }
            })
    }

    /// Reads items that are not simply listed one after the other. The other fields of a log line are kept with its item.
    fn laid_out(
        &self,
        layout: &Layout<'_>,
        notes: &mut Notes,
    ) -> Result<Items<'static>, ItemError> {
        let mut items = Items::default();
        self.read_list(&layout.items, &mut items, notes)?;
        let mut all = Items::default();
        for mut item in items {
            if let Item::Conversation(Conversation { metadata, .. }) = &mut item {
                for (key, raw) in layout.beside.fields() {
                    if metadata.get(&key.decoded()).is_none() {
                        metadata.put(key.clone().into_owned(), raw.clone().into_owned());
                    }
                }
            }
            all.push(item);
        }
        Ok(all)
    }

    /// Whether the first element of a list under a name is an item. Messages in `conversations` are those of one.
    fn holds_items(&self, name: &str, first: &RawJson<'_>) -> bool {
        let rows = ["data", "items", "rows", "records", "results", "entries", "hits"];
        let known = self.of(first);
        known.is_some_and(|(format, _)| format.spread() != Spread::Anywhere || rows.contains(&name))
    }

    /// The format of an element, and the text that it reads.
    fn of(&self, raw: &RawJson<'_>) -> Option<(&'static dyn ImportFormat, RawJson<'static>)> {
        let known = |text: &str| {
            let sniff = Sniff::of(text);
            sniff.check().ok()?;
            (self.0)(&sniff)
        };
        let within = fields::map(raw).and_then(|mut map| map.take(&WITHIN, fields::object));
        let inner = within.filter(|_| known(raw.as_str()).is_none());
        let text = inner.unwrap_or_else(|| raw.clone()).into_owned();
        Some((known(text.as_str())?, text))
    }

    fn read_list(
        &self,
        list: &[RawJson<'_>],
        items: &mut Items<'_>,
        notes: &mut Notes,
    ) -> Result<(), ItemError> {
        // Fragments of one item, by their format and key, in the order in which their first stands.
        let mut spread: Vec<(&'static dyn ImportFormat, Rows)> = Vec::new();
        let mut places: HashMap<(&'static str, String), usize> = HashMap::new();
        let mut read = |format: &dyn ImportFormat, text: &str, at: usize, notes: &mut Notes| {
            let mark = notes.mark();
            let read = format.parse(text, notes).map_err(|error| ItemError {
                at: 0,
                message: format!("element {}: {}", at + 1, error.message),
                ..error
            })?;
            for mut item in read {
                if let Item::Conversation(Conversation { source, .. })
                | Item::Document(Document { source, .. }) = &mut item
                    && source.is_empty()
                {
                    *source = format.name().into();
                }
                items.push(item.into_owned());
            }
            notes.under(mark, || format!("[{at}]"));
            Ok::<(), ItemError>(())
        };
        for (at, raw) in list.iter().enumerate() {
            // Cells that the datasets server truncated.
            if let Some(cut) =
                fields::map(raw).and_then(|mut map| map.take(&["truncated_cells"], fields::json))
                && says(&cut, Least::Word)
            {
                notes.unplaced(format!("[{at}].truncated_cells"), &cut);
            }
            let Some((format, text)) = self.of(raw) else {
                notes.unplaced(format!("[{at}]"), raw);
                continue;
            };
            let mut fragments: Vec<Fragment<'_>> = Vec::new();
            if matches!(format.spread(), Spread::Anywhere | Spread::Rows) {
                format.fragments(text.as_str(), Entry::default(), &mut fragments);
            }
            if fragments.is_empty() {
                read(format, text.as_str(), at, notes)?;
            }
            for fragment in fragments {
                let place = *places.entry((format.name(), fragment.key)).or_insert_with(|| {
                    spread.push((format, Rows::new()));
                    spread.len() - 1
                });
                let raw = RawJson::owned(&fragment.text).map_err(ItemError::from)?;
                if let Some((_, rows)) = spread.get_mut(place) {
                    rows.push((fragment.order, raw));
                }
            }
        }
        for (at, (format, mut rows)) in spread.into_iter().enumerate() {
            rows.sort_by_key(|(order, _)| *order);
            let rows: Vec<_> = rows.into_iter().map(|(_, row)| row).collect();
            read(format, RawJson::array(&rows).as_str(), at, notes)?;
        }
        Ok(())
    }
}
