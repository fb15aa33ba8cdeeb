//! The schema of a file, and how each of its columns is encoded.

use std::io;
use std::sync::Arc;

use parquet::basic::{
    Compression, Encoding, LogicalType, Repetition, Type as PhysicalType, ZstdLevel,
};
use parquet::file::properties::{EnabledStatistics, WriterProperties, WriterPropertiesPtr};
use parquet::schema::types::{SchemaDescriptor, Type as ParquetType, TypePtr};

use super::settings::{PAGE_BYTES, ZSTD_LEVEL, broken};
use crate::data::{Schema, Type};

pub(super) fn properties_of(schema: &Schema, descriptor: &SchemaDescriptor) -> WriterPropertiesPtr {
    let level = ZstdLevel::try_new(ZSTD_LEVEL).unwrap_or_default();
    let numbers = ZstdLevel::try_new(1).unwrap_or_default();
    let mut properties = WriterProperties::builder()
        .set_created_by(concat!("retort ", env!("CARGO_PKG_VERSION")).to_owned())
        .set_compression(Compression::ZSTD(level))
        .set_data_page_size_limit(PAGE_BYTES)
        // A dictionary of long texts is built in vain.
        .set_dictionary_enabled(false)
        .set_statistics_enabled(EnabledStatistics::None);
    let mut words = Vec::new();
    for column in schema.columns() {
        // A word comes again and again.
        mark(&column.kind, &mut words, &|kind| matches!(kind, Type::Word));
    }
    for (index, is_word) in words.into_iter().enumerate() {
        let column = descriptor.column(index);
        let path = column.path().clone();
        if matches!(column.physical_type(), PhysicalType::FLOAT | PhysicalType::DOUBLE) {
            // The signs and exponents of numbers are alike, and only they are to be compressed.
            properties = properties
                .set_column_encoding(path.clone(), Encoding::BYTE_STREAM_SPLIT)
                .set_column_compression(path.clone(), Compression::ZSTD(numbers));
        }
        if is_word {
            properties = properties.set_column_dictionary_enabled(path.clone(), true);
        }
        if is_word || path.parts().len() == 1 {
            properties = properties.set_column_statistics_enabled(path, EnabledStatistics::Page);
        }
    }
    Arc::new(properties.build())
}

/// The key in a file's footer that lists the leaves which hold JSON text, by their numbers. They are marked as plain
/// text for others, as many readers refuse JSON of more than one kind in a column; Retort reads them as JSON again.
pub(super) const JSON_LEAVES: &str = "retort.json";

/// The numbers of the leaves that hold JSON text; none if there are none.
pub(super) fn json_leaves(schema: &Schema) -> Option<String> {
    let mut marked = Vec::new();
    for column in schema.columns() {
        mark(&column.kind, &mut marked, &|kind| matches!(kind, Type::Json));
    }
    let numbers = marked.iter().enumerate().filter(|(_, is_json)| **is_json);
    let numbers: Vec<_> = numbers.map(|(number, _)| number.to_string()).collect();
    (!numbers.is_empty()).then(|| numbers.join(","))
}

/// For each leaf, whether it is of that kind.
fn mark(kind: &Type, marked: &mut Vec<bool>, is_one: &impl Fn(&Type) -> bool) {
    match kind {
        Type::List(item) => mark(item, marked, is_one),
        Type::Struct(fields) => {
            for field in *fields {
                mark(&field.kind, marked, is_one);
            }
        }
        leaf => marked.push(is_one(leaf)),
    }
}

pub(super) fn root_of(schema: &Schema) -> io::Result<TypePtr> {
    let fields = schema
        .columns()
        .map(|column| type_of(column.name, &column.kind, column.optional))
        .collect::<io::Result<_>>()?;
    Ok(Arc::new(
        ParquetType::group_type_builder("schema").with_fields(fields).build().map_err(broken)?,
    ))
}

fn type_of(name: &str, kind: &Type, optional: bool) -> io::Result<TypePtr> {
    let repetition = if optional { Repetition::OPTIONAL } else { Repetition::REQUIRED };
    let built = match kind {
        Type::Text | Type::Word | Type::Json | Type::Object => {
            let logical = match kind {
                Type::Object => LogicalType::Json,
                _ => LogicalType::String,
            };
            ParquetType::primitive_type_builder(name, PhysicalType::BYTE_ARRAY)
                .with_repetition(repetition)
                .with_logical_type(Some(logical))
                .build()
        }
        Type::Int => ParquetType::primitive_type_builder(name, PhysicalType::INT64)
            .with_repetition(repetition)
            .build(),
        Type::Bool => ParquetType::primitive_type_builder(name, PhysicalType::BOOLEAN)
            .with_repetition(repetition)
            .build(),
        Type::List(item) => return list_of(name, type_of("element", item, false)?, repetition),
        Type::Vector32 | Type::Vector64 => {
            let physical = match kind {
                Type::Vector32 => PhysicalType::FLOAT,
                _ => PhysicalType::DOUBLE,
            };
            let number = ParquetType::primitive_type_builder("element", physical)
                .with_repetition(Repetition::REQUIRED)
                .build()
                .map_err(broken)?;
            return list_of(name, Arc::new(number), repetition);
        }
        Type::Struct(fields) => {
            let fields = fields
                .iter()
                .map(|field| type_of(field.name, &field.kind, field.optional))
                .collect::<io::Result<_>>()?;
            ParquetType::group_type_builder(name)
                .with_repetition(repetition)
                .with_fields(fields)
                .build()
        }
    };
    Ok(Arc::new(built.map_err(broken)?))
}

fn list_of(name: &str, item: TypePtr, repetition: Repetition) -> io::Result<TypePtr> {
    let list = ParquetType::group_type_builder("list")
        .with_repetition(Repetition::REPEATED)
        .with_fields(vec![item])
        .build()
        .map_err(broken)?;
    let built = ParquetType::group_type_builder(name)
        .with_repetition(repetition)
        .with_logical_type(Some(LogicalType::List))
        .with_fields(vec![Arc::new(list)])
        .build();
    Ok(Arc::new(built.map_err(broken)?))
}

/// Whether the texts of a leaf stand as in a page from the start: those within lists and structs, which are long, and
/// of which neither a dictionary nor statistics are kept.
pub(super) fn is_paged(kind: &Type, nested: bool) -> bool {
    nested && matches!(kind, Type::Text | Type::Json | Type::Object)
}
