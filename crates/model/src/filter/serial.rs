//! The serialised form of a filter: an object with its fields, lists as arrays. A field that is not set is left out.

use std::fmt;
use std::marker::PhantomData;

use serde::de::{Error as _, MapAccess, SeqAccess, Visitor};
use serde::ser::SerializeMap;
use serde::{Deserialize, Deserializer, Serialize, Serializer};

use super::conversation::ConversationFilter;
use super::document::DocumentFilter;
use super::field::{Filter, FilterField, FilterValues};
use super::item::ItemFilter;
use super::run::RunFilter;

/// A single value in JSON.
#[derive(Debug)]
enum Single {
    Text(String),
    Number(u64),
    Flag(bool),
}

/// Whatever JSON may have for a field.
enum Given {
    Nothing,
    Single(Single),
    Several(Vec<Single>),
}

impl Single {
    /// A field's text as JSON has it.
    fn of(values: FilterValues, text: String) -> Self {
        let single = match values {
            FilterValues::Flag => text.parse().ok().map(Self::Flag),
            FilterValues::Limit => text.parse().ok().map(Self::Number),
            _ => None,
        };
        single.unwrap_or(Self::Text(text))
    }

    /// The text that a field is set to; none if it takes no value of this type.
    fn text(self, values: FilterValues) -> Option<String> {
        match (values, self) {
            (FilterValues::Flag, Self::Flag(flag)) => Some(flag.to_string()),
            (FilterValues::Limit, Self::Number(number)) => Some(number.to_string()),
            (FilterValues::Flag | FilterValues::Limit, _) => None,
            (_, Self::Text(text)) => Some(text),
            _ => None,
        }
    }
}

impl Serialize for Single {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Text(text) => serializer.serialize_str(text),
            Self::Number(number) => serializer.serialize_u64(*number),
            Self::Flag(flag) => serializer.serialize_bool(*flag),
        }
    }
}

impl<'de> Deserialize<'de> for Given {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        struct Values;

        impl<'de> Visitor<'de> for Values {
            type Value = Given;

            fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str("a text, a whole number, `true`, `false`, or a list of texts")
            }

            fn visit_unit<E>(self) -> Result<Given, E> {
                Ok(Given::Nothing)
            }

            fn visit_bool<E>(self, flag: bool) -> Result<Given, E> {
                Ok(Given::Single(Single::Flag(flag)))
            }

            fn visit_u64<E>(self, number: u64) -> Result<Given, E> {
                Ok(Given::Single(Single::Number(number)))
            }

            fn visit_str<E>(self, text: &str) -> Result<Given, E> {
                Ok(Given::Single(Single::Text(text.to_owned())))
            }

            fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<Given, A::Error> {
                let mut several = Vec::new();
                while let Some(given) = list.next_element()? {
                    match given {
                        Given::Single(single) => several.push(single),
                        Given::Nothing | Given::Several(_) => {
                            return Err(A::Error::custom(
                                "a list in a filter may contain only texts",
                            ));
                        }
                    }
                }
                Ok(Given::Several(several))
            }
        }

        deserializer.deserialize_any(Values)
    }
}

fn write<F: Filter, M: SerializeMap>(filter: &F, map: &mut M) -> Result<(), M::Error> {
    for field in F::FIELDS {
        let mut values =
            field.values_in(filter).into_iter().map(|text| Single::of(field.values, text));
        if field.is_list {
            let values: Vec<Single> = values.collect();
            if !values.is_empty() {
                map.serialize_entry(field.name, &values)?;
            }
        } else if let Some(value) = values.next() {
            map.serialize_entry(field.name, &value)?;
        }
    }
    Ok(())
}

fn take<F: Filter>(field: &FilterField<F>, filter: &mut F, given: Given) -> Result<(), String> {
    let takes = |what: &str| Err(format!("`{}` is {what}", field.name));
    let values = match given {
        Given::Nothing => return Ok(()),
        Given::Several(values) if field.is_list => values,
        Given::Single(value) if !field.is_list => vec![value],
        Given::Single(_) => return takes("a list"),
        Given::Several(_) => return takes(field.values.words()),
    };
    for value in values {
        match value.text(field.values) {
            Some(text) => field.set(filter, &text)?,
            None => return takes(field.values.words()),
        }
    }
    Ok(())
}

struct Fields<F>(PhantomData<F>);

impl<'de, F: Filter> Visitor<'de> for Fields<F> {
    type Value = F;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("an object with the fields of a filter")
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<F, A::Error> {
        let mut filter = F::default();
        let mut seen = Vec::new();
        while let Some(name) = map.next_key::<String>()? {
            let field = F::field(&name).map_err(A::Error::custom)?;
            if seen.contains(&field.name) {
                return Err(A::Error::custom(format!("`{}` is given twice", field.name)));
            }
            seen.push(field.name);
            take(field, &mut filter, map.next_value()?).map_err(A::Error::custom)?;
        }
        filter.check().map_err(A::Error::custom)?;
        Ok(filter)
    }
}

macro_rules! deserialize {
    ($($type:ty),+) => {
        $(impl<'de> Deserialize<'de> for $type {
            fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
                deserializer.deserialize_map(Fields(PhantomData))
            }
        })+
    };
}

macro_rules! serialize {
    ($($type:ty),+) => {
        $(impl Serialize for $type {
            fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
                let mut map = serializer.serialize_map(None)?;
                write(self, &mut map)?;
                map.end()
            }
        })+
    };
}

deserialize!(ConversationFilter, RunFilter, DocumentFilter);
serialize!(RunFilter, DocumentFilter);

/// Alternatives and exceptions are written for receipts, but not read: who asks names neither.
impl Serialize for ConversationFilter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(None)?;
        write(self, &mut map)?;
        if !self.or.is_empty() {
            map.serialize_entry("or", &self.or)?;
        }
        if !self.except.is_empty() {
            map.serialize_entry("except", &self.except)?;
        }
        map.end()
    }
}

impl Serialize for ItemFilter {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        match self {
            Self::Conversations(filter) => filter.serialize(serializer),
            Self::Runs(filter) => filter.serialize(serializer),
            Self::Documents(filter) => filter.serialize(serializer),
        }
    }
}
