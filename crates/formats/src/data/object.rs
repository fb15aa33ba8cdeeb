//! JSON objects and lists as text, written field by field.

use retort_json::{RawJson, Text, write_string};

/// Writes a JSON object that is only begun when there is something to say.
pub(super) struct Lazy<'o> {
    pub(super) out: &'o mut String,
    begun: bool,
}

impl<'o> Lazy<'o> {
    pub(super) fn new(out: &'o mut String) -> Self {
        Self { out, begun: false }
    }

    /// Goes on behind fields that are JSON text.
    pub(super) fn after(out: &'o mut String, fields: &str) -> Self {
        let begun = !fields.is_empty();
        if begun {
            out.push('{');
            out.push_str(fields);
        }
        Self { out, begun }
    }

    pub(super) fn key(&mut self, key: &str) -> &mut String {
        self.out.push(if self.begun { ',' } else { '{' });
        self.begun = true;
        write_string(key, self.out);
        self.out.push(':');
        self.out
    }

    pub(super) fn text(&mut self, key: &str, text: &Text<'_>) {
        text.write_string(self.key(key));
    }

    pub(super) fn raw(&mut self, key: &str, raw: &RawJson<'_>) {
        self.key(key).push_str(raw.as_str());
    }

    /// Ends the object, and says whether there is one.
    pub(super) fn end(self) -> bool {
        if self.begun {
            self.out.push('}');
        }
        self.begun
    }

    pub(super) fn end_or_empty(self) {
        self.out.push_str(if self.begun { "}" } else { "{}" });
    }
}

pub(super) fn list<T>(
    out: &mut String,
    items: impl Iterator<Item = T>,
    mut write: impl FnMut(T, &mut String),
) {
    out.push('[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(item, out);
    }
    out.push(']');
}
