//! A JSON value as a tree, for the small ones that are looked into or changed: tool definitions, arguments.

use std::borrow::Cow;
use std::collections::HashMap;

use crate::error::JsonError;
use crate::parse::{Kind, Parser};
use crate::write::{Append, write_string};

/// Keys of an object from which on an index of them is kept while it is read.
const INDEXED_FROM: usize = 32;

/// A JSON value that keeps the order of keys and the text of numbers.
#[derive(Clone, Debug, PartialEq)]
#[allow(missing_docs, reason = "the names are JSON's own")]
pub enum Value<'a> {
    Null,
    Bool(bool),
    Number(Cow<'a, str>),
    String(Cow<'a, str>),
    Array(Vec<Value<'a>>),
    Object(Vec<(Cow<'a, str>, Value<'a>)>),
}

impl<'a> Value<'a> {
    /// Parses one JSON text.
    ///
    /// # Errors
    /// What is wrong with the text, and at which byte.
    pub fn parse(text: &'a str) -> Result<Self, JsonError> {
        let mut parser = Parser::new(text);
        let value = Self::take(&mut parser)?;
        parser.end()?;
        Ok(value)
    }

    /// Takes the next value of a parser.
    ///
    /// # Errors
    /// What is wrong with the text, and at which byte.
    pub fn take(parser: &mut Parser<'a>) -> Result<Self, JsonError> {
        Ok(match parser.kind()? {
            Kind::Null => {
                parser.null()?;
                Self::Null
            }
            Kind::Bool => Self::Bool(parser.bool()?),
            Kind::Number => Self::Number(parser.number()?.into()),
            Kind::String => Self::String(parser.string()?.into_cow()),
            Kind::Array => {
                parser.array()?;
                let mut items = Vec::new();
                while parser.next_element()? {
                    items.push(Self::take(parser)?);
                }
                Self::Array(items)
            }
            Kind::Object => {
                parser.object()?;
                let mut fields: Vec<(Cow<'a, str>, Self)> = Vec::new();
                // Positions of the keys, once there are too many to look at all of them for each.
                let mut index: HashMap<Cow<'a, str>, usize> = HashMap::new();
                while let Some(key) = parser.next_key()? {
                    let value = Self::take(parser)?;
                    let place = if fields.len() < INDEXED_FROM {
                        fields.iter().position(|(name, _)| *name == key)
                    } else {
                        if index.is_empty() {
                            let names = fields.iter().enumerate();
                            index.extend(names.map(|(place, (name, _))| (name.clone(), place)));
                        }
                        index.get(&key).copied()
                    };
                    match place.and_then(|place| fields.get_mut(place)) {
                        Some(field) => field.1 = value,
                        None => {
                            if !index.is_empty() {
                                index.insert(key.clone(), fields.len());
                            }
                            fields.push((key, value));
                        }
                    }
                }
                Self::Object(fields)
            }
        })
    }

    /// The value under `key` of an object.
    pub fn get(&self, key: &str) -> Option<&Value<'a>> {
        match self {
            Self::Object(fields) => {
                fields.iter().find(|(name, _)| name == key).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// As [`get`](Self::get), to change it.
    pub fn get_mut(&mut self, key: &str) -> Option<&mut Value<'a>> {
        match self {
            Self::Object(fields) => {
                fields.iter_mut().find(|(name, _)| name == key).map(|(_, value)| value)
            }
            _ => None,
        }
    }

    /// The text of a string.
    pub fn as_str(&self) -> Option<&str> {
        match self {
            Self::String(text) => Some(text),
            _ => None,
        }
    }

    /// Appends the value as JSON without white space.
    pub fn write(&self, out: &mut impl Append) {
        match self {
            Self::Null => out.append("null"),
            Self::Bool(true) => out.append("true"),
            Self::Bool(false) => out.append("false"),
            Self::Number(text) => out.append(text),
            Self::String(text) => write_string(text, out),
            Self::Array(items) => {
                out.append("[");
                for (index, item) in items.iter().enumerate() {
                    if index > 0 {
                        out.append(",");
                    }
                    item.write(out);
                }
                out.append("]");
            }
            Self::Object(fields) => {
                out.append("{");
                for (index, (key, value)) in fields.iter().enumerate() {
                    if index > 0 {
                        out.append(",");
                    }
                    write_string(key, out);
                    out.append(":");
                    value.write(out);
                }
                out.append("}");
            }
        }
    }

    /// The value as JSON text.
    pub fn to_json(&self) -> String {
        let mut out = String::new();
        self.write(&mut out);
        out
    }
}
