//! Answers what formats ask of an item to know their own. Nothing of the item is read before somebody asks: its own
//! keys are read once and up to the one asked for, and what is under a path only when that path is asked for.

use std::borrow::Cow;
use std::cell::RefCell;

use retort_json::{JsonError, Kind, Parser, RawJson};

use super::roles::speaker;

/// Where an item was found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Entry<'e> {
    /// Name of the file or archive entry, behind the folders and archives that it is in.
    pub path: &'e str,
}

impl<'e> Entry<'e> {
    /// The name without folders.
    pub fn name(self) -> &'e str {
        self.path.rsplit(['/', '\\']).next().unwrap_or(self.path)
    }

    /// The name without its endings.
    pub fn stem(self) -> &'e str {
        self.name().split('.').next().unwrap_or_default()
    }
}

/// An item whose format is to be found out.
pub struct Sniff<'a> {
    entry: Entry<'a>,
    text: &'a str,
    top: RefCell<Top<'a>>,
}

/// What was read so far of the keys of an item.
struct Top<'a> {
    /// Each key, with a parser in front of its value.
    keys: Vec<(Cow<'a, str>, Parser<'a>)>,
    /// Where to go on; none at the end of the object, or where it is broken.
    rest: Option<Parser<'a>>,
    error: Option<JsonError>,
}

/// Where an item holds its messages, as a rule.
const MESSAGES: [&str; 8] =
    ["messages", "conversations", "traj", "conversation", "dialog", "dialogue", "turns", "History"];

/// The keys for the speaker in messages without a role.
pub(super) const SPEAKER: [&str; 3] = ["speaker", "sender", "author"];

impl<'a> Sniff<'a> {
    /// An item of which nothing is known but its text.
    pub fn of(text: &'a str) -> Self {
        Self::found(text, Entry::default())
    }

    /// An item that was found there.
    pub fn found(text: &'a str, entry: Entry<'a>) -> Self {
        let mut parser = Parser::lenient(text);
        let mut top = Top { keys: Vec::new(), rest: None, error: None };
        match parser.kind() {
            Ok(Kind::Object) => match parser.object() {
                Ok(()) => top.rest = Some(parser),
                Err(error) => top.error = Some(error),
            },
            // Only objects have keys.
            Ok(_) => {}
            Err(error) => top.error = Some(error),
        }
        Self { entry, text, top: RefCell::new(top) }
    }

    /// The item's text.
    pub(super) fn item(&self) -> &'a str {
        self.text
    }

    /// Where the item was found.
    pub fn entry(&self) -> Entry<'a> {
        self.entry
    }

    /// Reads the item to its end.
    ///
    /// # Errors
    /// The item is not JSON.
    pub fn check(&self) -> Result<(), JsonError> {
        let mut top = self.top.borrow_mut();
        while top.next_key() {}
        match &top.error {
            Some(error) => Err(error.clone()),
            None if self.kind_of_item() == Some(Kind::Object) => Ok(()),
            None => {
                let mut parser = Parser::lenient(self.text);
                parser.skip()?;
                parser.end()
            }
        }
    }

    /// Whether the item has the key.
    pub fn has(&self, key: &str) -> bool {
        let mut top = self.top.borrow_mut();
        let is_known = top.keys.iter().any(|(one, _)| one == key);
        is_known || {
            while top.next_key() {
                if top.keys.last().is_some_and(|(one, _)| one == key) {
                    return true;
                }
            }
            false
        }
    }

    /// The item's keys.
    pub fn keys(&self) -> Vec<String> {
        let mut top = self.top.borrow_mut();
        while top.next_key() {}
        top.keys.iter().map(|(key, _)| key.to_string()).collect()
    }

    /// The key of that name, whatever the case of its letters.
    pub fn key(&self, name: &str) -> Option<String> {
        let mut top = self.top.borrow_mut();
        while top.next_key() {}
        let mut keys = top.keys.iter().map(|(key, _)| key);
        keys.find(|key| key.eq_ignore_ascii_case(name)).map(ToString::to_string)
    }

    /// Whether a key has a text that is not itself JSON.
    pub fn is_text(&self, key: &str) -> bool {
        self.look(&[key], |parser| {
            let text = parser.string().ok()?;
            Some(
                RawJson::parse(text.decoded().trim())
                    .map_or(true, |raw| !raw.as_str().starts_with(['[', '{'])),
            )
        }) == Some(true)
    }

    /// The value of a key.
    pub fn raw(&self, key: &str) -> Option<RawJson<'static>> {
        self.look(&[key], |parser| Some(parser.raw().ok()?.into_owned()))
    }

    /// The value of a key as a word: a text that says something, or a number.
    pub fn word(&self, key: &str) -> Option<String> {
        let raw = self.raw(key)?;
        match Parser::new(raw.as_str()).kind().ok()? {
            Kind::String => raw.as_text().filter(|text| !text.is_empty()),
            Kind::Number => Some(raw.as_str().to_owned()),
            _ => None,
        }
    }

    /// The first element of the list under a path.
    pub fn first(&self, path: &[&str]) -> Option<RawJson<'static>> {
        self.look(path, |parser| {
            parser.array().ok()?;
            parser.next_element().ok()?.then(|| Some(parser.raw().ok()?.into_owned()))?
        })
    }

    /// What kind of value is the first of the list under a path.
    pub fn first_kind(&self, path: &[&str]) -> Option<Kind> {
        self.look(path, |parser| {
            parser.array().ok()?;
            parser.next_element().ok()?.then(|| parser.kind().ok())?
        })
    }

    /// What kind of value is under a path: a key of the item, a key of what that holds, and so on; `*` is the first key
    /// of an inner object. On the way, a list is its first element, if that is an object, and a text that is JSON is
    /// what it holds.
    pub fn kind(&self, path: &[&str]) -> Option<Kind> {
        self.look(path, |parser| parser.kind().ok())
    }

    /// Whether there is a value under a path, as [`Self::kind`] follows it.
    pub fn holds(&self, path: &[&str]) -> bool {
        self.kind(path).is_some()
    }

    /// The text under a path, as [`Self::kind`] follows it.
    pub fn text(&self, path: &[&str]) -> Option<String> {
        self.look(path, |parser| Some(parser.string().ok()?.into_cow().into_owned()))
    }

    /// Whether the value under a path, or the first element of the list there, has keys.
    pub fn has_keys(&self, path: &[&str]) -> bool {
        self.look(path, |parser| {
            inside(parser, &mut |parser| {
                parser.object().ok()?;
                parser.next_key().ok()?.map(drop)
            })
        })
        .is_some()
    }

    /// Whether the item's first message has the key.
    pub fn message_has(&self, key: &str) -> bool {
        if self.is_array() {
            self.holds(&[key])
        } else {
            MESSAGES.iter().any(|name| self.holds(&[name, key]))
        }
    }

    /// Whether the item's first message looks like one: it has a role, a word for the speaker, or LangChain's type and
    /// content.
    pub fn has_messages(&self) -> bool {
        let speaks = |path: &[&str]| self.text(path).is_some_and(|word| speaker(&word).is_some());
        self.message_has("role")
            || self.message_has("from")
            || SPEAKER
                .iter()
                .any(|key| !self.is_array() && MESSAGES.iter().any(|name| speaks(&[name, key])))
            || (self.message_has("type")
                && ["content", "data", "kwargs"].iter().any(|key| self.message_has(key)))
    }

    /// Whether the item is itself a list of messages.
    pub fn is_message_array(&self) -> bool {
        self.is_array() && self.has_messages()
    }

    /// The item's keys in words, for a person who must name its format.
    pub fn words(&self) -> String {
        let mut keys = Vec::new();
        let what = if self.is_array() {
            inside(&mut Parser::lenient(self.text), &mut |parser| keys_of(parser, &mut keys));
            "a list whose first item"
        } else {
            let mut top = self.top.borrow_mut();
            while top.next_key() {}
            keys.extend(top.keys.iter().map(|(key, _)| key.to_string()));
            "an item that"
        };
        if keys.is_empty() {
            return match self.text.trim_start().bytes().next() {
                Some(b'{' | b'[') => format!("{what} has no keys"),
                Some(b'"') => "a JSON string instead of an object".into(),
                _ => "a single value instead of an object".into(),
            };
        }
        let names: Vec<_> =
            keys.iter().take(8).map(|key| format!("`{}`", key.escape_debug())).collect();
        let more = if keys.len() > 8 { ", …" } else { "" };
        format!("{what} has the keys {}{more}", names.join(", "))
    }

    /// What kind of value the item is.
    pub fn kind_of_item(&self) -> Option<Kind> {
        Parser::lenient(self.text).kind().ok()
    }

    fn is_array(&self) -> bool {
        self.kind_of_item() == Some(Kind::Array)
    }

    /// What `look` finds in front of the value under a path.
    fn look<T>(
        &self,
        path: &[&str],
        mut look: impl FnMut(&mut Parser<'_>) -> Option<T>,
    ) -> Option<T> {
        if self.is_array() {
            return inside(&mut Parser::lenient(self.text), &mut |parser| {
                below(parser, path, &mut look)
            });
        }
        let (first, rest) = path.split_first()?;
        let mut top = self.top.borrow_mut();
        while top.next_key() {}
        // The last of two counts, as everywhere.
        let mut value = top.keys.iter().rfind(|(key, _)| **key == **first)?.1.clone();
        drop(top);
        if rest.is_empty() {
            return look(&mut value);
        }
        inside(&mut value, &mut |parser| below(parser, rest, &mut look))
    }
}

impl Top<'_> {
    /// Reads one more key; false at the end.
    fn next_key(&mut self) -> bool {
        let Some(parser) = &mut self.rest else { return false };
        let next = parser.next_key().and_then(|key| match key {
            Some(key) => {
                self.keys.push((key, parser.clone()));
                parser.skip().map(|()| true)
            }
            None => parser.end().map(|()| false),
        });
        if !matches!(next, Ok(true)) {
            self.error = next.err();
            self.rest = None;
            return false;
        }
        true
    }
}

/// What a reader finds in an object.
type Look<'l, T> = dyn FnMut(&mut Parser<'_>) -> Option<T> + 'l;

/// Takes `look` to the object that comes next: the value itself, the first element of a list, or what a JSON text of
/// either holds.
fn inside<T>(parser: &mut Parser<'_>, look: &mut Look<'_, T>) -> Option<T> {
    match parser.kind().ok()? {
        Kind::Object => look(parser),
        Kind::Array => {
            parser.array().ok()?;
            (parser.next_element().ok()? && parser.kind().ok()? == Kind::Object)
                .then(|| look(parser))?
        }
        Kind::String => {
            let text = parser.string().ok()?;
            let text = text.decoded();
            if !text.trim_start().starts_with(['[', '{']) {
                return None;
            }
            inside(&mut Parser::lenient(&text), look)
        }
        Kind::Null | Kind::Bool | Kind::Number => None,
    }
}

/// Takes `look` to what is under a path of the object that comes next.
fn below<T>(parser: &mut Parser<'_>, path: &[&str], look: &mut Look<'_, T>) -> Option<T> {
    let (first, rest) = path.split_first()?;
    parser.object().ok()?;
    let mut found = None;
    while let Some(key) = parser.next_key().ok()? {
        if key == *first {
            found = Some(parser.clone());
        } else if *first == "*" {
            found = Some(parser.clone());
            break;
        }
        parser.skip().ok()?;
    }
    let mut value = found?;
    if rest.is_empty() {
        return look(&mut value);
    }
    inside(&mut value, &mut |parser| below(parser, rest, look))
}

/// Takes the keys of the object that comes next, as far as it is whole.
fn keys_of(parser: &mut Parser<'_>, keys: &mut Vec<String>) -> Option<()> {
    parser.object().ok()?;
    while let Some(key) = parser.next_key().ok()? {
        keys.push(key.into_owned());
        parser.skip().ok()?;
    }
    Some(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn paths_lead_into_lists_and_texts() {
        let item = r#"{"a":{"b":[{"c":"x"},{"d":1}]},"e":"[{\"f\":[]}]","g":[[{"h":1}]],"i":[1],"a2":null}"#;
        let sniff = Sniff::of(item);
        assert_eq!(sniff.text(&["a", "b", "c"]).as_deref(), Some("x"));
        assert_eq!(sniff.kind(&["a", "b"]), Some(Kind::Array));
        assert_eq!(sniff.kind(&["e"]), Some(Kind::String));
        assert_eq!(sniff.kind(&["e", "f"]), Some(Kind::Array));
        assert_eq!(sniff.kind(&["a2"]), Some(Kind::Null));
        assert!(sniff.holds(&["a", "*", "c"]) && !sniff.holds(&["a", "*", "d"]));
        assert!(sniff.has_keys(&["a", "b"]) && !sniff.has_keys(&["i"]));
        for path in [&["a", "b", "d"][..], &["g", "h"], &["i", "x"], &["a2", "x"], &["z"], &[]] {
            assert!(!sniff.holds(path), "{path:?}");
        }
        let list = Sniff::of(r#"[{"role":"user"},{"text":1}]"#);
        assert!(list.holds(&["role"]) && !list.holds(&["text"]) && !list.has("role"));
        assert_eq!(list.words(), "a list whose first item has the keys `role`");
    }

    #[test]
    fn of_two_keys_the_last_counts() {
        let sniff = Sniff::of(r#"{"a":{"x":1},"b":2,"a":{"y":1}}"#);
        assert!(sniff.holds(&["a", "y"]) && !sniff.holds(&["a", "x"]));
    }

    #[test]
    fn an_item_is_read_as_far_as_is_asked() {
        let sniff = Sniff::of(r#"{"a":1,"b":2,"c":"#);
        assert!(sniff.has("a"));
        assert_eq!(sniff.top.borrow().keys.len(), 1);
        assert!(sniff.has("b") && sniff.has("a"));
        assert_eq!(sniff.top.borrow().keys.len(), 2);
        assert!(sniff.check().is_err());
        for broken in ["", "{", "[1,2", r#"{"a":1} x"#, "[1] 2"] {
            assert!(Sniff::of(broken).check().is_err(), "{broken}");
        }
        for whole in ["{}", "[]", "1", r#"{"a":[{}]} "#] {
            assert!(Sniff::of(whole).check().is_ok(), "{whole}");
        }
    }
}
