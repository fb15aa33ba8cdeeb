//! The shape of a dataset's rows, and the stream of calls by which a data format hands a row to a file format.
//!
//! A row is not built as a tree: the data format names its values one by one, in the order of the schema, and
//! the file format writes them as they come.

use std::borrow::Cow;
use std::sync::Arc;

use retort_json::Text;
use retort_model::Vector;

/// The columns of a dataset.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Schema {
    /// Those that are known beforehand, in order.
    fields: Cow<'static, [Field]>,
    /// Those that only the items tell: where among the others they stand, and their names.
    told: Option<(usize, Arc<[Arc<str>]>)>,
}

/// A column of a dataset.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Column<'s> {
    /// Its name.
    pub name: &'s str,
    /// Its type.
    pub kind: Type,
    /// Whether it may be absent: null in Parquet, empty in CSV.
    pub optional: bool,
    /// What JSON has in its absence: null, or nothing at all.
    pub null_if_absent: bool,
}

impl Schema {
    /// Columns that are known beforehand.
    pub const fn of(fields: &'static [Field]) -> Self {
        Self { fields: Cow::Borrowed(fields), told: None }
    }

    /// Columns that depend on the options.
    pub fn chosen(fields: impl Into<Vec<Field>>) -> Self {
        Self { fields: Cow::Owned(fields.into()), told: None }
    }

    /// The same with further columns of text behind the first `behind`; each may be null. Their names must be such as
    /// are in any file without quotes.
    pub fn with(&self, behind: usize, names: Arc<[Arc<str>]>) -> Self {
        Self { fields: self.fields.clone(), told: Some((behind, names)) }
    }

    /// How many columns there are; none means rows of any shape.
    pub fn len(&self) -> usize {
        self.fields.len() + self.told.as_ref().map_or(0, |(_, names)| names.len())
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// The column at a place.
    pub fn column(&self, at: usize) -> Option<Column<'_>> {
        let (behind, names) = match &self.told {
            Some((behind, names)) => (*behind, &**names),
            None => (usize::MAX, &[][..]),
        };
        if at >= behind && at - behind < names.len() {
            let name = names.get(at - behind)?;
            return Some(Column { name, kind: Type::Text, optional: true, null_if_absent: true });
        }
        let at = if at < behind { at } else { at - names.len() };
        self.fields.get(at).map(|field| field.as_column())
    }

    /// The columns, in order.
    pub fn columns(&self) -> impl Iterator<Item = Column<'_>> {
        (0..self.len()).filter_map(|at| self.column(at))
    }
}

/// A column that is known beforehand, or a field of a struct.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
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
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Type {
    /// UTF-8 text.
    Text,
    /// UTF-8 text of few different values.
    Word,
    /// Whole numbers, 64 bits.
    Int,
    /// True or false.
    Bool,
    /// Any JSON value: itself in JSON, its text elsewhere.
    Json,
    /// A JSON object: itself in JSON, its text elsewhere, which Parquet says is JSON: `datasets` then gives the object.
    Object,
    /// A list of numbers of 32 bits.
    Vector32,
    /// A list of numbers of 64 bits.
    Vector64,
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

    /// As a column.
    pub fn as_column(self) -> Column<'static> {
        let Self { name, kind, optional, null_if_absent } = self;
        Column { name, kind, optional, null_if_absent }
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
            Self::Bool => "bool".into(),
            Self::Json | Self::Object => "json".into(),
            Self::Vector32 => "list<float32>".into(),
            Self::Vector64 => "list<float64>".into(),
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
    /// The numbers of an embedding.
    fn vector(&mut self, vector: &Vector);
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

    /// True or false.
    fn bool(&mut self, is_true: bool) {
        self.json(if is_true { "true" } else { "false" });
    }

    /// A text that is at hand as such.
    fn str(&mut self, text: &str) {
        self.text(&Text::from(text));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_that_items_tell_stand_where_they_are_put() {
        static FIELDS: [Field; 2] =
            [Field::required("a", Type::Int), Field::required("b", Type::Text)];
        let schema = Schema::of(&FIELDS);
        let names = |schema: &Schema| -> Vec<String> {
            schema.columns().map(|column| column.name.to_owned()).collect()
        };
        assert_eq!(names(&schema), ["a", "b"]);
        let told = schema.with(1, ["x".into(), "y".into()].into());
        assert_eq!(names(&told), ["a", "x", "y", "b"]);
        assert_eq!(names(&schema.with(2, ["x".into()].into())), ["a", "b", "x"]);
        assert_eq!(names(&schema.with(1, [].into())), ["a", "b"]);
        assert!(told.column(1).unwrap().optional && !told.column(3).unwrap().optional);
        assert_eq!(told.column(4), None);
    }
}
