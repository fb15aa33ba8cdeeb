//! What an item looks like from outside: enough for the formats to know their own.

use std::borrow::Cow;

use retort_model::json::{JsonError, Kind, Parser};

/// The outline of one item.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Shape<'a> {
    /// Keys of the item, if it is an object.
    keys: Vec<Cow<'a, str>>,
    /// Keys of the first message: of the item itself if it is an array, else of its `messages` or
    /// `conversations`.
    message_keys: Vec<Cow<'a, str>>,
    /// Keys of the first element of its `data`.
    data_keys: Vec<Cow<'a, str>>,
    is_array: bool,
}

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
                shape.message_keys = first_keys(&mut parser)?;
            }
            Kind::Object => {
                parser.object()?;
                while let Some(key) = parser.next_key()? {
                    let holds_messages = matches!(&*key, "messages" | "conversations" | "traj")
                        || key == "prompt" && shape.message_keys.is_empty();
                    if holds_messages && parser.kind()? == Kind::Array {
                        shape.message_keys = first_keys(&mut parser)?;
                    } else if holds_messages && parser.kind()? == Kind::String {
                        let keys = keys_in_text(&parser.string()?.decoded());
                        if !keys.is_empty() {
                            shape.message_keys = keys;
                        }
                    } else if key == "data" && parser.kind()? == Kind::Array {
                        shape.data_keys = first_keys(&mut parser)?;
                    } else {
                        parser.skip()?;
                    }
                    shape.keys.push(key);
                }
            }
            _ => parser.skip()?,
        }
        parser.end()?;
        Ok(shape)
    }

    /// Whether the item has the key.
    pub fn has(&self, key: &str) -> bool {
        self.keys.iter().any(|one| one == key)
    }

    /// Whether the item's first message has the key.
    pub fn message_has(&self, key: &str) -> bool {
        self.message_keys.iter().any(|one| one == key)
    }

    /// Whether the first element of the item's `data` has the key.
    pub fn data_has(&self, key: &str) -> bool {
        self.data_keys.iter().any(|one| one == key)
    }

    /// Whether the item is itself a list of messages.
    pub fn is_message_array(&self) -> bool {
        self.is_array && (self.message_has("role") || self.message_has("from"))
    }

    /// The item's keys in words, for a person who must name its format.
    pub fn words(&self) -> String {
        let (what, keys) = if self.is_array {
            ("a list whose first item", &self.message_keys)
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

/// The keys of the first element of an array in a text; none if the text is no such array.
fn keys_in_text(text: &str) -> Vec<Cow<'static, str>> {
    let mut parser = Parser::lenient(text);
    let keys = first_keys(&mut parser).unwrap_or_default();
    keys.into_iter().map(|key| Cow::Owned(key.into_owned())).collect()
}

/// The keys of the first element of an array, which is walked over.
fn first_keys<'a>(parser: &mut Parser<'a>) -> Result<Vec<Cow<'a, str>>, JsonError> {
    let mut keys = Vec::new();
    let mut first = true;
    parser.array()?;
    while parser.next_element()? {
        if std::mem::take(&mut first) && parser.kind()? == Kind::Object {
            parser.object()?;
            while let Some(key) = parser.next_key()? {
                parser.skip()?;
                keys.push(key);
            }
        } else {
            parser.skip()?;
        }
    }
    Ok(keys)
}
