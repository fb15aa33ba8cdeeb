//! What a Parquet file tells readers that think in Arrow: that the lists of a column all have one length, which
//! Parquet itself has no word for. Source: `ARROW:schema` as Arrow's own writers keep it, an encapsulated IPC message
//! in base64.

use arrow_ipc::writer::{DictionaryTracker, IpcDataGenerator, IpcWriteOptions};
use arrow_schema::{DataType, Field as ArrowField, Fields};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use crate::data::{Schema, Type};

/// The key under which a file's footer says it.
pub(super) const KEY: &str = "ARROW:schema";

/// How many numbers the embeddings of a column have.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Lengths {
    least: usize,
    most: usize,
    any: bool,
}

impl Lengths {
    pub(super) fn add(&mut self, length: usize) {
        self.merge(Self { least: length, most: length, any: true });
    }

    pub(super) fn merge(&mut self, other: Self) {
        if other.any {
            self.least = if self.any { self.least.min(other.least) } else { other.least };
            self.most = self.most.max(other.most);
            self.any = true;
        }
    }

    /// The least and the most; nothing if there is none.
    pub(super) fn bounds(self) -> Vec<usize> {
        if self.any { vec![self.least, self.most] } else { Vec::new() }
    }

    /// The one length that all have, if it is one.
    fn one(self) -> Option<i32> {
        let length = i32::try_from(self.most).ok().filter(|length| *length > 0);
        length.filter(|_| self.least == self.most)
    }
}

/// The file's schema in Arrow's words; none if it says no more than Parquet's. `lengths` are those of each leaf.
pub(super) fn described(schema: &Schema, lengths: &[Lengths]) -> Option<String> {
    let mut lengths = lengths.iter().copied();
    let mut is_fixed = false;
    let fields: Fields = schema
        .columns()
        .map(|column| {
            let kind = kind_of(&column.kind, &mut lengths, &mut is_fixed);
            ArrowField::new(column.name, kind, column.optional)
        })
        .collect();
    if !is_fixed {
        return None;
    }
    let message = IpcDataGenerator::default()
        .schema_to_bytes_with_dictionary_tracker(
            &arrow_schema::Schema::new(fields),
            &mut DictionaryTracker::new(true),
            &IpcWriteOptions::default(),
        )
        .ipc_message;
    let length = u32::try_from(message.len()).ok()?;
    let mut framed = vec![0xff; 4];
    framed.extend_from_slice(&length.to_le_bytes());
    framed.extend_from_slice(&message);
    Some(STANDARD.encode(framed))
}

fn kind_of(
    kind: &Type,
    lengths: &mut impl Iterator<Item = Lengths>,
    is_fixed: &mut bool,
) -> DataType {
    let element = |kind| ArrowField::new("element", kind, false).into();
    match kind {
        Type::Text | Type::Word | Type::Json | Type::Object => {
            lengths.next();
            DataType::Utf8
        }
        Type::Int => {
            lengths.next();
            DataType::Int64
        }
        Type::Bool => {
            lengths.next();
            DataType::Boolean
        }
        Type::Vector32 | Type::Vector64 => {
            let number =
                if matches!(kind, Type::Vector32) { DataType::Float32 } else { DataType::Float64 };
            match lengths.next().and_then(Lengths::one) {
                Some(length) => {
                    *is_fixed = true;
                    DataType::FixedSizeList(element(number), length)
                }
                None => DataType::List(element(number)),
            }
        }
        Type::List(item) => DataType::List(element(kind_of(item, lengths, is_fixed))),
        Type::Struct(fields) => DataType::Struct(
            fields
                .iter()
                .map(|field| {
                    let kind = kind_of(&field.kind, lengths, is_fixed);
                    ArrowField::new(field.name, kind, field.optional)
                })
                .collect(),
        ),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::data::Field;

    static SCHEMA: Schema = Schema::of(&[
        Field::required("id", Type::Word),
        Field::nullable("number", Type::Int),
        Field::nullable("embedding", Type::Vector32),
        Field::required("other", Type::Vector64),
    ]);

    fn lengths(some: &[usize]) -> Lengths {
        let mut lengths = Lengths::default();
        some.iter().for_each(|&length| lengths.add(length));
        lengths
    }

    fn told(embedding: &[usize], other: &[usize]) -> Option<Vec<String>> {
        let none = Lengths::default();
        let text = described(&SCHEMA, &[none, none, lengths(embedding), lengths(other)])?;
        let framed = STANDARD.decode(text).unwrap();
        let (head, message) = framed.split_at(8);
        assert_eq!(head[..4], [0xff; 4]);
        assert_eq!(head[4..], u32::try_from(message.len()).unwrap().to_le_bytes());
        let message = arrow_ipc::root_as_message(message).unwrap();
        let schema = arrow_ipc::convert::fb_to_schema(message.header_as_schema().unwrap());
        let told = |field: &std::sync::Arc<ArrowField>| {
            let null = if field.is_nullable() { "?" } else { "" };
            format!("{}{null} {}", field.name(), field.data_type())
        };
        Some(schema.fields().iter().map(told).collect())
    }

    #[test]
    fn lists_of_one_length_are_told_as_such() {
        let fixed = told(&[3, 3], &[2, 4]).unwrap();
        assert_eq!(fixed[..2], ["id Utf8", "number? Int64"]);
        assert_eq!(fixed[2], "embedding? FixedSizeList(3 x non-null Float32, field: 'element')");
        assert_eq!(fixed[3], "other List(non-null Float64, field: 'element')");
        assert!(told(&[], &[2, 2]).unwrap()[3].starts_with("other FixedSizeList(2 x"));
    }

    #[test]
    fn what_parquet_says_itself_is_not_said_again() {
        for (embedding, other) in [(&[][..], &[][..]), (&[2, 3], &[]), (&[0, 0], &[0, 2])] {
            assert_eq!(told(embedding, other), None, "{embedding:?}, {other:?}");
        }
    }

    #[test]
    fn lengths_of_parts_are_those_of_the_whole() {
        for (one, other) in [(&[][..], &[2][..]), (&[2], &[]), (&[2], &[2, 2]), (&[3, 1], &[2])] {
            let mut merged = lengths(one);
            merged.merge(lengths(other));
            assert_eq!(merged, lengths(&[one, other].concat()));
        }
    }
}
