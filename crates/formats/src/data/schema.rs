//! The shape of a dataset's rows, and the stream of calls by which a data format hands a row to a file format.
//!
//! A row is not built as a tree: the data format names its values one by one, in the order of the schema, and
//! the file format writes them as they come.

use retort_model::Text;

/// The columns of a dataset.
#[derive(Debug, PartialEq, Eq)]
pub struct Schema {
    /// The columns, in order.
    pub fields: &'static [Field],
}

/// A column, or a field of a struct.
#[derive(Debug, PartialEq, Eq)]
pub struct Field {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Type,
    /// Whether it may be absent: null in Parquet, empty in CSV.
    pub optional: bool,
    /// What JSON has in its absence: null, or nothing at all.
    pub null_if_absent: bool,
}

/// The type of a column or value.
#[derive(Debug, PartialEq, Eq)]
pub enum Type {
    /// UTF-8 text.
    Text,
    /// UTF-8 text of few different values.
    Word,
    /// Whole numbers, 64 bits.
    Int,
    /// Any JSON value: itself in JSON, its text elsewhere.
    Json,
    /// A list.
    List(&'static Type),
    /// Named fields.
    Struct(&'static [Field]),
}

impl Field {
    /// A field that is always there.
    pub const fn required(name: &'static str, kind: Type) -> Self {
        Self { name, kind, optional: false, null_if_absent: false }
    }

    /// A field that may be absent, and is then left out of JSON.
    pub const fn optional(name: &'static str, kind: Type) -> Self {
        Self { name, kind, optional: true, null_if_absent: false }
    }

    /// A field that may be null.
    pub const fn nullable(name: &'static str, kind: Type) -> Self {
        Self { name, kind, optional: true, null_if_absent: true }
    }
}

impl Type {
    /// The type in words, as the manifest names it.
    pub fn words(&self) -> String {
        match self {
            Self::Text | Self::Word => "text".into(),
            Self::Int => "int".into(),
            Self::Json => "json".into(),
            Self::List(item) => format!("list<{}>", item.words()),
            Self::Struct(fields) => {
                let fields: Vec<_> = fields
                    .iter()
                    .map(|field| {
                        format!(
                            "{}: {}{}",
                            field.name,
                            field.kind.words(),
                            if field.optional { "?" } else { "" }
                        )
                    })
                    .collect();
                format!("struct<{}>", fields.join(", "))
            }
        }
    }
}

/// Takes the values of rows, in the order of the schema.
pub trait Sink {
    /// Begins a row.
    fn begin_row(&mut self);
    /// Ends it.
    fn end_row(&mut self);
    /// A text.
    fn text(&mut self, text: &Text<'_>);
    /// A number.
    fn int(&mut self, number: i64);
    /// A JSON value, as valid JSON text on one line.
    fn json(&mut self, text: &str);
    /// An optional value that is not there.
    fn absent(&mut self);
    /// Begins a list.
    fn open_list(&mut self);
    /// Ends it.
    fn close_list(&mut self);
    /// Begins a struct.
    fn open_struct(&mut self);
    /// Ends it.
    fn close_struct(&mut self);

    /// A text that is at hand as such.
    fn str(&mut self, text: &str) {
        self.text(&Text::from(text));
    }
}
