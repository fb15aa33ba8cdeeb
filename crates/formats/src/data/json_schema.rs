//! The rows of a data format as JSON Schema, for programs that check or type what they read.

use serde_json::{Map, Value, json};

use super::format::{DataFormat, ShapeOptions};
use super::schema::{Column, Field, Schema, Type};

/// The JSON Schema (draft 2020-12) of a row as the format writes it in JSON Lines with the default options; none for a
/// format whose rows have no fixed columns. Further properties are the variables of prompts, where the format has them.
pub fn json_schema(format: &dyn DataFormat) -> Option<Value> {
    let schema = format.schema(&ShapeOptions::default(), false);
    if schema.is_empty() {
        return None;
    }
    let mut whole = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": format.name(),
        "description": format.about(),
    });
    if let (Some(whole), Value::Object(row)) = (whole.as_object_mut(), row(&schema)) {
        whole.extend(row);
        if format.has_variables() {
            let variable = json!({"type": ["string", "null"]});
            whole.insert("additionalProperties".into(), variable);
        }
    }
    Some(whole)
}

fn row(schema: &Schema) -> Value {
    object(schema.columns())
}

fn fields(fields: &[Field]) -> Value {
    object(fields.iter().map(|field| field.as_column()))
}

/// An object with these properties and no others.
fn object<'c>(columns: impl Iterator<Item = Column<'c>>) -> Value {
    let (mut types, mut required) = (Map::new(), Vec::new());
    for Column { name, kind, optional, null_if_absent } in columns {
        let may_be_null = optional && null_if_absent;
        types.insert(name.to_owned(), if may_be_null { or_null(kind) } else { value(kind) });
        if !optional || null_if_absent {
            required.push(name);
        }
    }
    json!({
        "type": "object",
        "properties": types,
        "required": required,
        "additionalProperties": false,
    })
}

fn or_null(kind: Type) -> Value {
    match kind {
        Type::Json => value(kind),
        _ => json!({"anyOf": [value(kind), {"type": "null"}]}),
    }
}

fn value(kind: Type) -> Value {
    match kind {
        Type::Text | Type::Word => json!({"type": "string"}),
        Type::Int => json!({"type": "integer"}),
        Type::Bool => json!({"type": "boolean"}),
        Type::Json => json!({}),
        Type::Object => json!({"type": "object"}),
        Type::Vector32 | Type::Vector64 => json!({"type": "array", "items": {"type": "number"}}),
        Type::List(item) => json!({"type": "array", "items": value(*item)}),
        Type::Struct(names) => fields(names),
    }
}
