//! Rows of finished data files, handed to a file format again.

use std::collections::HashMap;

use retort_formats::data::{Column, Schema, Sink, Type};
use retort_json::{JsonError, Kind, Parser, RawJson};
use retort_model::Vector;

/// How the rows of a file are read back.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Cells {
    /// As the JSON that was written.
    Json,
    /// As JSON, from columns that have types.
    Typed,
    /// As texts, each the cell of a table; an empty one may be no value.
    Text,
}

impl Cells {
    /// Those of a file format.
    pub(crate) fn of(file_format: &str) -> Self {
        match file_format {
            "jsonl" => Self::Json,
            "csv" => Self::Text,
            _ => Self::Typed,
        }
    }
}

/// Writes a row, given as the JSON text of an object as [`crate::rows_of`] reads it, to a file format with this schema.
///
/// # Errors
/// What does not go with the schema.
pub(crate) fn write_row(
    row: &str,
    schema: &Schema,
    cells: Cells,
    out: &mut dyn Sink,
) -> Result<(), String> {
    out.begin_row();
    if schema.is_empty() {
        let row = RawJson::parse(row).map_err(|error| error.to_string())?;
        out.json(row.as_str());
    } else {
        let writer = Writer { cells };
        writer.fields(
            &RawJson::parse(row).map_err(|error| error.to_string())?,
            schema.columns(),
            out,
        )?;
    }
    out.end_row();
    Ok(())
}

struct Writer {
    cells: Cells,
}

impl Writer {
    fn fields<'c>(
        &self,
        object: &RawJson<'_>,
        columns: impl Iterator<Item = Column<'c>>,
        out: &mut dyn Sink,
    ) -> Result<(), String> {
        let mut values = fields_of(object.as_str()).map_err(|error| error.to_string())?;
        for column in columns {
            let value = values.remove(column.name).filter(|value| self.is_there(value, &column));
            match value {
                Some(value) => self
                    .value(&value, column.kind, out)
                    .map_err(|error| format!("`{}`: {error}", column.name))?,
                None if column.optional => out.absent(),
                None => return Err(format!("`{}` is missing", column.name)),
            }
        }
        match values.into_keys().next() {
            Some(name) => Err(format!("`{name}` is not in the schema")),
            None => Ok(()),
        }
    }

    fn is_there(&self, value: &RawJson<'_>, column: &Column<'_>) -> bool {
        let is_empty = self.cells == Cells::Text && value.as_str() == "\"\"";
        !(column.optional && (value.is_null() || is_empty))
    }

    fn value(&self, value: &RawJson<'_>, kind: Type, out: &mut dyn Sink) -> Result<(), String> {
        let wrong = |error: JsonError| error.to_string();
        if let (Cells::Text, Some(cell)) = (self.cells, value.text()) {
            return cell_value(&cell.decoded(), kind, out);
        }
        match kind {
            Type::Text | Type::Word => out.text(&value.text().ok_or("not a text")?),
            Type::Int => {
                let number = value.as_str();
                out.int(number.parse().map_err(|_| format!("`{number}` is not a whole number"))?);
            }
            Type::Bool => match value.as_str() {
                "true" => out.bool(true),
                "false" => out.bool(false),
                other => return Err(format!("`{other}` is neither true nor false")),
            },
            Type::Json | Type::Object => out.json(value.as_str()),
            // The digits that the source told.
            Type::Vector32 | Type::Vector64 if self.cells == Cells::Json => {
                out.json(value.as_str());
            }
            Type::Vector32 => out.vector(&Vector::F32(numbers(value)?)),
            Type::Vector64 => out.vector(&Vector::F64(numbers(value)?)),
            Type::List(item) => {
                out.open_list();
                let mut parser = Parser::new(value.as_str());
                parser.array().map_err(wrong)?;
                while parser.next_element().map_err(wrong)? {
                    self.value(&parser.raw().map_err(wrong)?, *item, out)?;
                }
                out.close_list();
            }
            Type::Struct(fields) => {
                out.open_struct();
                self.fields(value, fields.iter().map(|field| field.as_column()), out)?;
                out.close_struct();
            }
        }
        Ok(())
    }
}

/// Writes a value that was the cell of a table.
fn cell_value(cell: &str, kind: Type, out: &mut dyn Sink) -> Result<(), String> {
    match kind {
        Type::Text | Type::Word => out.str(cell),
        Type::Json if cell.is_empty() => out.json("null"),
        // A text is written without its quotes, so a cell with quotes is a text that has them.
        Type::Json => match RawJson::parse(cell) {
            Ok(json) if json.text().is_none() => out.json(json.as_str()),
            _ => out.json(RawJson::string(cell).as_str()),
        },
        _ => {
            let value = RawJson::parse(cell).map_err(|error| error.to_string())?;
            Writer { cells: Cells::Json }.value(&value, kind, out)?;
        }
    }
    Ok(())
}

fn fields_of(object: &str) -> Result<HashMap<String, RawJson<'_>>, JsonError> {
    let mut parser = Parser::new(object);
    parser.object()?;
    let mut fields = HashMap::new();
    while let Some(key) = parser.next_key()? {
        fields.insert(key.into_owned(), parser.raw()?);
    }
    Ok(fields)
}

fn numbers<T: std::str::FromStr>(value: &RawJson<'_>) -> Result<Vec<T>, String> {
    let mut parser = Parser::new(value.as_str());
    let mut numbers = Vec::new();
    let wrong = |error: JsonError| error.to_string();
    parser.array().map_err(wrong)?;
    while parser.next_element().map_err(wrong)? {
        if parser.kind().map_err(wrong)? != Kind::Number {
            return Err("not a list of numbers".into());
        }
        let number = parser.number().map_err(wrong)?;
        numbers.push(number.parse().map_err(|_| format!("`{number}` is not a number"))?);
    }
    Ok(numbers)
}
