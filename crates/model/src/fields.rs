//! Fields of a JSON object in their order, each key once.

use std::collections::HashMap;
use std::ops::Deref;

use retort_json::{RawJson, Text};

/// What a source said beyond the fields that Retort names: keys and raw values, in the source's order.
///
/// Objects have a handful of keys, so a key is looked for among all of them. Past `INDEXED_FROM` keys an index is
/// kept, so that an object with a hundred thousand of them is read in time that grows with their number only.
#[derive(Clone, Default)]
pub struct Fields<'a> {
    entries: Vec<(Text<'a>, RawJson<'a>)>,
    /// The position of each key; none while there are few.
    #[allow(
        clippy::box_collection,
        reason = "every message has such fields, and few have an index"
    )]
    index: Option<Box<HashMap<String, usize>>>,
}

/// Keys from which on an index is kept.
const INDEXED_FROM: usize = 32;

impl<'a> Fields<'a> {
    /// No fields.
    pub fn new() -> Self {
        Self::default()
    }

    /// The value of a key.
    pub fn get(&self, key: &str) -> Option<&RawJson<'a>> {
        self.entries.get(self.position(key)?).map(|(_, value)| value)
    }

    /// Sets the value of a key, which keeps its place if it was there already.
    pub fn put(&mut self, key: Text<'a>, value: RawJson<'a>) {
        if self.entries.len() >= INDEXED_FROM && self.index.is_none() {
            let places = self.entries.iter().enumerate();
            let places = places.map(|(place, (key, _))| (key.decoded().into_owned(), place));
            self.index = Some(Box::new(places.collect()));
        }
        match self.position(&key.decoded()) {
            Some(place) => {
                if let Some(entry) = self.entries.get_mut(place) {
                    entry.1 = value;
                }
            }
            None => {
                if let Some(index) = &mut self.index {
                    index.insert(key.decoded().into_owned(), self.entries.len());
                }
                self.entries.push((key, value));
            }
        }
    }

    /// Takes a field out.
    pub fn take(&mut self, key: &str) -> Option<RawJson<'a>> {
        let place = self.position(key)?;
        self.index = None;
        Some(self.entries.remove(place).1)
    }

    /// Keeps the fields for which `keep` says so.
    pub fn retain(&mut self, mut keep: impl FnMut(&Text<'a>, &RawJson<'a>) -> bool) {
        let before = self.entries.len();
        self.entries.retain(|(key, value)| keep(key, value));
        if self.entries.len() != before {
            self.index = None;
        }
    }

    /// Takes all of them out.
    pub fn clear(&mut self) {
        *self = Self::default();
    }

    /// The same, borrowing from nothing.
    pub fn into_owned(self) -> Fields<'static> {
        let own = |(key, value): (Text<'_>, RawJson<'_>)| (key.into_owned(), value.into_owned());
        Fields { entries: self.entries.into_iter().map(own).collect(), index: self.index }
    }

    fn position(&self, key: &str) -> Option<usize> {
        match &self.index {
            Some(index) => index.get(key).copied(),
            None => self.entries.iter().position(|(name, _)| *name == *key),
        }
    }
}

impl<'a> Deref for Fields<'a> {
    type Target = [(Text<'a>, RawJson<'a>)];

    fn deref(&self) -> &Self::Target {
        &self.entries
    }
}

impl PartialEq for Fields<'_> {
    fn eq(&self, other: &Self) -> bool {
        self.entries == other.entries
    }
}

impl std::fmt::Debug for Fields<'_> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.entries.fmt(f)
    }
}

impl<'a> Extend<(Text<'a>, RawJson<'a>)> for Fields<'a> {
    fn extend<I: IntoIterator<Item = (Text<'a>, RawJson<'a>)>>(&mut self, fields: I) {
        for (key, value) in fields {
            self.put(key, value);
        }
    }
}

impl<'a> FromIterator<(Text<'a>, RawJson<'a>)> for Fields<'a> {
    fn from_iter<I: IntoIterator<Item = (Text<'a>, RawJson<'a>)>>(fields: I) -> Self {
        let mut all = Self::default();
        all.extend(fields);
        all
    }
}

impl<'a> IntoIterator for Fields<'a> {
    type Item = (Text<'a>, RawJson<'a>);
    type IntoIter = std::vec::IntoIter<Self::Item>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.into_iter()
    }
}

impl<'f, 'a> IntoIterator for &'f Fields<'a> {
    type Item = &'f (Text<'a>, RawJson<'a>);
    type IntoIter = std::slice::Iter<'f, (Text<'a>, RawJson<'a>)>;

    fn into_iter(self) -> Self::IntoIter {
        self.entries.iter()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn number(n: usize) -> RawJson<'static> {
        RawJson::owned(&n.to_string()).unwrap()
    }

    #[test]
    fn a_key_stands_once_however_many_there_are() {
        let mut fields = Fields::new();
        for round in 0..2 {
            for n in 0..100 {
                fields.put(format!("k{n}").into(), number(n + round));
            }
        }
        assert_eq!(fields.len(), 100);
        assert_eq!(fields.get("k7"), Some(&number(8)));
        assert_eq!(fields.take("k7"), Some(number(8)));
        assert_eq!(fields.take("k7"), None);
        fields.put("k7".into(), number(1));
        fields.put(Text::Escaped("k8"), number(2));
        assert_eq!(fields.len(), 100);
        assert_eq!(fields.last(), Some(&("k7".into(), number(1))));
        assert_eq!(fields.get("k8"), Some(&number(2)));
        fields.retain(|key, _| *key != *"k0");
        assert_eq!(fields.first().map(|(key, _)| key.decoded()), Some("k1".into()));
        assert_eq!(fields.get("k99"), Some(&number(100)));
        assert_eq!(fields.clone().into_owned(), fields);
    }
}
