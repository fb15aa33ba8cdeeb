//! What an item looks like from outside: enough for the formats to know their own.

use std::borrow::Cow;

use retort_json::{JsonError, Kind, Parser};

/// The outline of one item.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape<'a> {
    /// Keys of the item, if it is an object.
    keys: Vec<Cow<'a, str>>,
    /// Keys of the first element, if it is a list.
    element_keys: Vec<Cow<'a, str>>,
    /// Keys of what some of its fields hold: an object, the first element of a list, or the JSON text of either.
    within: Vec<(&'static str, Vec<Cow<'a, str>>)>,
    is_array: bool,
}

/// Where an item holds its messages, as a rule.
const MESSAGES: [&str; 3] = ["messages", "conversations", "traj"];

/// The fields that formats know their own by, beside their names.
const WITHIN: [&str; 19] = [
    "messages",
    "conversations",
    "traj",
    "data",
    "rounds",
    "contents",
    "input",
    "output",
    "prompt",
    "completion",
    "chosen",
    "rejected",
    "request",
    "request_body",
    "requestBody",
    "body",
    "kwargs",
    "convo",
    "mapping",
];

impl<'a> Shape<'a> {
    /// The outline of an item.
    ///
    /// # Errors
    /// The item is no JSON.
    pub fn of(item: &'a str) -> Result<Self, JsonError> {
        let mut parser = Parser::lenient(item);
        let mut shape = Self::default();
        match parser.kind()? {
            Kind::Array => {
                shape.is_array = true;
                shape.element_keys = first_keys(&mut parser)?;
            }
            Kind::Object => {
                parser.object()?;
                while let Some(key) = parser.next_key()? {
                    match WITHIN.iter().find(|name| **name == key) {
                        Some(name) => shape.within.push((name, keys_within(&mut parser)?)),
                        None => parser.skip()?,
                    }
                    shape.keys.push(key);
                }
            }
            _ => parser.skip()?,
        }
        parser.end()?;
        Ok(shape)
    }

    /// The keys of what a field holds: an object, or the first element of a list. Only of fields that some format is
    /// known by.
    pub fn within(&self, key: &str) -> Vec<&str> {
        let held = self.within.iter().rfind(|(name, _)| *name == key);
        held.map(|(_, keys)| keys.iter().map(|key| &**key).collect()).unwrap_or_default()
    }

    /// Whether the item has the key.
    pub fn has(&self, key: &str) -> bool {
        self.keys.iter().any(|one| one == key)
    }

    /// Whether the item's first message has the key.
    pub fn message_has(&self, key: &str) -> bool {
        let mut held = self.within.iter().filter(|(name, _)| MESSAGES.contains(name));
        if self.is_array {
            self.element_keys.iter().any(|one| one == key)
        } else {
            held.any(|(_, keys)| keys.iter().any(|one| one == key))
        }
    }

    /// Whether the item's first message looks like one: it has a role, or LangChain's type and content.
    pub fn has_messages(&self) -> bool {
        self.message_has("role")
            || self.message_has("from")
            || (self.message_has("type")
                && ["content", "data", "kwargs"].iter().any(|key| self.message_has(key)))
    }

    /// Whether the item is itself a list of messages.
    pub fn is_message_array(&self) -> bool {
        self.is_array && self.has_messages()
    }

    /// The item's keys in words, for a person who must name its format.
    pub fn words(&self) -> String {
        let (what, keys) = if self.is_array {
            ("a list whose first item", &self.element_keys)
        } else {
            ("an item that", &self.keys)
        };
        if keys.is_empty() {
            return format!("{what} has no keys");
        }
        let names: Vec<_> =
            keys.iter().take(8).map(|key| format!("`{}`", key.escape_debug())).collect();
        let more = if keys.len() > 8 { ", …" } else { "" };
        format!("{what} has the keys {}{more}", names.join(", "))
    }
}

/// Whether an item has a field of that name.
pub(super) fn has_key(item: &str, key: &str) -> Result<bool, JsonError> {
    let mut parser = Parser::lenient(item);
    if parser.kind()? != Kind::Object {
        return Ok(false);
    }
    parser.object()?;
    while let Some(one) = parser.next_key()? {
        if one == key {
            return Ok(true);
        }
        parser.skip()?;
    }
    Ok(false)
}

/// The keys of an object, of the first element of a list, or of what a JSON text of either holds.
fn keys_within<'a>(parser: &mut Parser<'a>) -> Result<Vec<Cow<'a, str>>, JsonError> {
    match parser.kind()? {
        Kind::Array => first_keys(parser),
        Kind::Object => keys(parser),
        Kind::String => {
            let text = parser.string()?;
            let text = text.decoded();
            if !text.trim_start().starts_with(['[', '{']) {
                return Ok(Vec::new());
            }
            // Text that is no JSON has no keys.
            let keys = keys_within(&mut Parser::lenient(&text)).unwrap_or_default();
            Ok(keys.into_iter().map(|key| Cow::Owned(key.into_owned())).collect())
        }
        _ => {
            parser.skip()?;
            Ok(Vec::new())
        }
    }
}

fn keys<'a>(parser: &mut Parser<'a>) -> Result<Vec<Cow<'a, str>>, JsonError> {
    let mut keys = Vec::new();
    parser.object()?;
    while let Some(key) = parser.next_key()? {
        parser.skip()?;
        keys.push(key);
    }
    Ok(keys)
}

/// The keys of the first element of an array, which is walked over.
fn first_keys<'a>(parser: &mut Parser<'a>) -> Result<Vec<Cow<'a, str>>, JsonError> {
    let mut first = None;
    parser.array()?;
    while parser.next_element()? {
        if first.is_none() && parser.kind()? == Kind::Object {
            first = Some(keys(parser)?);
        } else {
            first.get_or_insert_default();
            parser.skip()?;
        }
    }
    Ok(first.unwrap_or_default())
}
