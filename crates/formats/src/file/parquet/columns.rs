//! Rows taken apart into columns of values with their definition and repetition levels, as they come (Melnik et al.,
//! "Dremel", VLDB 2010), so that no Arrow arrays are built in between.

use std::io;
use std::ops::Range;

use retort_json::Text;
use retort_model::Vector;
use retort_model::bounds::BATCH_BYTES;

use super::super::format::{Rows, front_of};
use super::super::saved::{Number, Saved, put_bytes, put_numbers};
use super::arrow::Lengths;
use super::schema::is_paged;
use crate::data::{Field, Schema, Sink, Type};

/// Definition and repetition level of a place in the schema.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Levels {
    pub(super) definition: i16,
    pub(super) repetition: i16,
}

impl Levels {
    fn below(self, optional: bool) -> Self {
        Self { definition: self.definition + i16::from(optional), ..self }
    }

    fn inside_list(self) -> Self {
        Self { definition: self.definition + 1, repetition: self.repetition + 1 }
    }
}

/// The values of one leaf column.
#[derive(Debug, Default)]
pub(super) struct Leaf {
    pub(super) most: Levels,
    pub(super) definitions: Vec<i16>,
    pub(super) repetitions: Vec<i16>,
    pub(super) texts: Texts,
    pub(super) ints: Vec<i64>,
    pub(super) singles: Vec<f32>,
    pub(super) doubles: Vec<f64>,
    /// Of vectors, how many numbers each has that has any; levels stand only for its first number, until it is written.
    pub(super) dimensions: Option<Vec<u32>>,
    /// How many numbers its vectors have.
    pub(super) lengths: Lengths,
}

impl Leaf {
    /// How many values are at some of its levels; the others say that none is there.
    pub(super) fn values_in(&self, levels: Range<usize>) -> usize {
        let levels = self.definitions.get(levels).unwrap_or_default();
        levels.iter().filter(|&&level| level == self.most.definition).count()
    }
}

impl Leaf {
    /// Takes what is at so many levels at the front.
    fn take_front(&mut self, levels: usize) -> Self {
        let values = self.values_in(0..levels);
        let dimensions = self.dimensions.as_mut().map(|list| front_of(list, values));
        let numbers = dimensions.as_deref().map_or(values, numbers_of);
        Self {
            most: self.most,
            definitions: front_of(&mut self.definitions, levels),
            repetitions: front_of(&mut self.repetitions, levels),
            texts: self.texts.take_front(values),
            ints: front_of(&mut self.ints, values),
            singles: front_of(&mut self.singles, numbers),
            doubles: front_of(&mut self.doubles, numbers),
            dimensions,
            lengths: self.lengths,
        }
    }

    /// Appends what is at some of the levels of another.
    pub(super) fn append(&mut self, other: &Self, levels: Range<usize>) {
        let first = other.values_in(0..levels.start);
        let values = first..first + other.values_in(levels.clone());
        let numbers = match &other.dimensions {
            None => values.clone(),
            Some(dimensions) => {
                let (before, rest) = dimensions.split_at_checked(values.start).unwrap_or_default();
                let here = rest.get(..values.len()).unwrap_or_default();
                self.dimensions.get_or_insert_default().extend_from_slice(here);
                let first = numbers_of(before);
                first..first + numbers_of(here)
            }
        };
        self.most = other.most;
        extend(&mut self.definitions, &other.definitions, levels.clone());
        extend(&mut self.repetitions, &other.repetitions, levels);
        extend(&mut self.ints, &other.ints, values.clone());
        extend(&mut self.singles, &other.singles, numbers.clone());
        extend(&mut self.doubles, &other.doubles, numbers);
        self.texts.append(&other.texts, values);
    }

    fn save(&self, out: &mut Vec<u8>) {
        put_numbers(&self.definitions, out);
        put_numbers(&self.repetitions, out);
        put_bytes(&self.texts.bytes, out);
        put_numbers(&self.texts.ends, out);
        put_numbers(&self.ints, out);
        put_numbers(&self.singles, out);
        put_numbers(&self.doubles, out);
        put_numbers(self.dimensions.as_deref().unwrap_or_default(), out);
        put_numbers(&self.lengths.bounds(), out);
    }

    fn load(&mut self, saved: &mut Saved<'_>) -> io::Result<()> {
        self.definitions = saved.numbers()?;
        self.repetitions = saved.numbers()?;
        self.texts.bytes = saved.bytes()?.to_vec();
        self.texts.ends = saved.numbers()?;
        self.ints = saved.numbers()?;
        self.singles = saved.numbers()?;
        self.doubles = saved.numbers()?;
        let dimensions = saved.numbers()?;
        self.dimensions = self.dimensions.is_some().then_some(dimensions);
        saved.numbers()?.into_iter().for_each(|length| self.lengths.add(length));
        Ok(())
    }
}

/// How many numbers vectors of these dimensions have.
fn numbers_of(dimensions: &[u32]) -> usize {
    dimensions.iter().map(|&numbers| numbers as usize).sum()
}

fn extend<T: Copy>(list: &mut Vec<T>, other: &[T], range: Range<usize>) {
    list.extend_from_slice(other.get(range).unwrap_or_default());
}

/// Texts, one behind the other.
#[derive(Debug, Default)]
pub(super) struct Texts {
    /// Whether they stand as in a page of the file: each behind its length.
    pub(super) paged: bool,
    pub(super) bytes: Vec<u8>,
    pub(super) ends: Vec<u32>,
}

impl Texts {
    /// Where the first `count` end.
    pub(super) fn end_of(&self, count: usize) -> usize {
        let last = count.checked_sub(1).and_then(|last| self.ends.get(last));
        last.map_or(0, |&end| end as usize)
    }

    /// Appends what `write` writes; its length in bytes.
    fn push(&mut self, write: impl FnOnce(&mut Vec<u8>)) -> usize {
        let before = self.bytes.len();
        if self.paged {
            self.bytes.extend_from_slice(&[0; 4]);
        }
        let start = self.bytes.len();
        write(&mut self.bytes);
        let length = self.bytes.len() - start;
        if let Some(place) = self.bytes.get_mut(before..start).filter(|_| self.paged) {
            place.copy_from_slice(&u32::try_from(length).unwrap_or(u32::MAX).to_le_bytes());
        }
        self.ends.push(u32::try_from(self.bytes.len()).unwrap_or(u32::MAX));
        length
    }

    fn take_front(&mut self, count: usize) -> Self {
        let end = self.end_of(count);
        let ends = front_of(&mut self.ends, count);
        let start = u32::try_from(end).unwrap_or(u32::MAX);
        self.ends.iter_mut().for_each(|later| *later -= start);
        Self { paged: self.paged, bytes: front_of(&mut self.bytes, end), ends }
    }

    fn append(&mut self, other: &Self, values: Range<usize>) {
        let (start, end) = (other.end_of(values.start), other.end_of(values.end));
        let before = self.bytes.len();
        self.bytes.extend_from_slice(other.bytes.get(start..end).unwrap_or_default());
        let ends = other.ends.get(values).unwrap_or_default().iter();
        self.ends.extend(
            ends.map(|&end| u32::try_from(before + end as usize - start).unwrap_or(u32::MAX)),
        );
    }
}

fn add_leaves(kind: &Type, levels: Levels, nested: bool, leaves: &mut Vec<Leaf>) {
    match kind {
        Type::Text | Type::Word | Type::Json | Type::Object | Type::Int | Type::Bool => {
            // Texts in lists are what conversations are made of.
            let long = matches!(kind, Type::Text) && levels.repetition > 0;
            let bytes = Vec::with_capacity(if long { BATCH_BYTES } else { 0 });
            let paged = is_paged(kind, nested);
            let texts = Texts { paged, bytes, ..Texts::default() };
            leaves.push(Leaf { most: levels, texts, ..Leaf::default() });
        }
        Type::Vector32 | Type::Vector64 => {
            let dimensions = Some(Vec::new());
            leaves.push(Leaf { most: levels.inside_list(), dimensions, ..Leaf::default() });
        }
        Type::List(item) => add_leaves(item, levels.inside_list(), true, leaves),
        Type::Struct(fields) => {
            for field in *fields {
                add_leaves(&field.kind, levels.below(field.optional), true, leaves);
            }
        }
    }
}

fn leaf_count(kind: &Type) -> usize {
    match kind {
        Type::Text
        | Type::Word
        | Type::Json
        | Type::Object
        | Type::Int
        | Type::Bool
        | Type::Vector32
        | Type::Vector64 => 1,
        Type::List(item) => leaf_count(item),
        Type::Struct(fields) => fields.iter().map(|field| leaf_count(&field.kind)).sum(),
    }
}

/// A container that is open while a row is taken apart.
#[derive(Clone, Copy, Debug)]
struct Frame {
    place: Cursor,
    /// First leaf column of the value that comes next.
    leaf: usize,
    /// Definition level of the container itself.
    definition: i16,
    /// Repetition level of its first value.
    repetition: i16,
}

#[derive(Clone, Copy, Debug)]
enum Cursor {
    Row { at: usize },
    Fields { fields: &'static [Field], at: usize },
    Items { item: &'static Type, level: i16, filled: bool },
}

/// Rows as columns.
pub(super) struct Columns {
    pub(super) schema: Schema,
    pub(super) leaves: Vec<Leaf>,
    open: Vec<Frame>,
    size: usize,
    row_start: usize,
    /// How many levels each leaf column has before each row, and behind the last: row by row.
    starts: Vec<usize>,
    sizes: Vec<u32>,
    evidence: Vec<u64>,
}

impl Columns {
    pub(super) fn new(schema: &Schema) -> Self {
        let mut leaves = Vec::new();
        for column in schema.columns() {
            add_leaves(&column.kind, Levels::default().below(column.optional), false, &mut leaves);
        }
        let starts = vec![0; leaves.len()];
        Self {
            schema: schema.clone(),
            leaves,
            open: Vec::new(),
            size: 0,
            row_start: 0,
            starts,
            sizes: Vec::new(),
            evidence: Vec::new(),
        }
    }

    /// Reads back what [`Rows::save`] wrote.
    pub(super) fn load(schema: &Schema, saved: &[u8]) -> io::Result<Self> {
        let mut saved = Saved(saved);
        let mut columns = Self::new(schema);
        for leaf in &mut columns.leaves {
            leaf.load(&mut saved)?;
        }
        columns.size = saved.number()?;
        columns.starts = saved.numbers()?;
        columns.sizes = saved.numbers()?;
        columns.evidence = vec![0; columns.sizes.len()];
        Ok(columns)
    }

    /// How many levels a leaf column has before a row.
    pub(super) fn levels_before(&self, row: usize, leaf: usize) -> usize {
        self.starts.get(row * self.leaves.len() + leaf).copied().unwrap_or(0)
    }

    /// The value that is due: its leaf, its levels and its type; steps behind it.
    fn next(&mut self, present: bool) -> Option<(usize, i16, i16, Type)> {
        let frame = self.open.last_mut()?;
        let (kind, optional): (Type, bool) = match &mut frame.place {
            Cursor::Row { at } => {
                let column = self.schema.column(*at)?;
                *at += 1;
                (column.kind, column.optional)
            }
            Cursor::Fields { fields, at } => {
                let field = fields.get(*at)?;
                *at += 1;
                (field.kind, field.optional)
            }
            Cursor::Items { item, level, filled } => {
                let repetition =
                    if std::mem::replace(filled, true) { *level } else { frame.repetition };
                return Some((frame.leaf, frame.definition + 1, repetition, **item));
            }
        };
        let leaf = frame.leaf;
        frame.leaf += leaf_count(&kind);
        let definition = frame.definition + i16::from(optional && present);
        Some((leaf, definition, frame.repetition, kind))
    }

    /// Notes for all leaves of a type that no value is there.
    fn nothing(&mut self, leaf: usize, definition: i16, repetition: i16, kind: &Type) {
        for leaf in self.leaves.iter_mut().skip(leaf).take(leaf_count(kind)) {
            leaf.definitions.push(definition);
            leaf.repetitions.push(repetition);
        }
    }

    fn value(&mut self, write: impl FnOnce(&mut Vec<u8>)) {
        let Some((leaf, definition, repetition, _)) = self.next(true) else { return };
        let Some(leaf) = self.leaves.get_mut(leaf) else { return };
        leaf.definitions.push(definition);
        leaf.repetitions.push(repetition);
        self.size += leaf.texts.push(write) + 8;
    }
}

impl Sink for Columns {
    fn begin_row(&mut self) {
        self.row_start = self.size;
        self.open.clear();
        let place = Cursor::Row { at: 0 };
        self.open.push(Frame { place, leaf: 0, definition: 0, repetition: 0 });
    }

    fn end_row(&mut self) {
        self.sizes.push(u32::try_from(self.size - self.row_start).unwrap_or(u32::MAX));
        self.evidence.push(0);
        self.starts.extend(self.leaves.iter().map(|leaf| leaf.definitions.len()));
    }

    fn text(&mut self, text: &Text<'_>) {
        self.value(|bytes| text.push_bytes(bytes));
    }

    fn int(&mut self, number: i64) {
        let Some((leaf, definition, repetition, _)) = self.next(true) else { return };
        let Some(leaf) = self.leaves.get_mut(leaf) else { return };
        leaf.definitions.push(definition);
        leaf.repetitions.push(repetition);
        leaf.ints.push(number);
        self.size += 8;
    }

    fn bool(&mut self, is_true: bool) {
        self.int(is_true.into());
    }

    fn json(&mut self, text: &str) {
        self.value(|bytes| bytes.extend_from_slice(text.as_bytes()));
    }

    fn vector(&mut self, vector: &Vector) {
        let Some((leaf, definition, repetition, kind)) = self.next(true) else { return };
        if vector.dimension() == 0 {
            if let Some(leaf) = self.leaves.get_mut(leaf) {
                leaf.lengths.add(0);
            }
            return self.nothing(leaf, definition, repetition, &kind);
        }
        let Some(leaf) = self.leaves.get_mut(leaf) else { return };
        let more = vector.dimension();
        leaf.lengths.add(more);
        leaf.definitions.push(leaf.most.definition);
        leaf.repetitions.push(repetition);
        leaf.dimensions.get_or_insert_default().push(u32::try_from(more).unwrap_or(u32::MAX));
        match (kind, vector) {
            (Type::Vector32, Vector::F32(numbers) | Vector::F32AsF64(numbers)) => {
                leaf.singles.extend_from_slice(numbers);
            }
            #[expect(clippy::cast_possible_truncation, reason = "such a row is left out before")]
            (Type::Vector32, Vector::F64(numbers)) => {
                leaf.singles.extend(numbers.iter().map(|number| *number as f32));
            }
            (_, Vector::F32(numbers)) => {
                // The number that the digits say, which those of 32 bits are told by.
                let mut digits = zmij::Buffer::new();
                leaf.doubles.extend(numbers.iter().map(|number| {
                    digits.format_finite(*number).parse().unwrap_or_else(|_| f64::from(*number))
                }));
            }
            (_, Vector::F32AsF64(numbers)) => {
                leaf.doubles.extend(numbers.iter().map(|number| f64::from(*number)));
            }
            (_, Vector::F64(numbers)) => leaf.doubles.extend_from_slice(numbers),
        }
        // Encoded they hardly become fewer: what is gathered, encoded, joined and written at a time is four times that.
        self.size += more * if matches!(kind, Type::Vector32) { 16 } else { 32 };
    }

    fn absent(&mut self) {
        if let Some((leaf, definition, repetition, kind)) = self.next(false) {
            self.nothing(leaf, definition, repetition, &kind);
        }
    }

    fn open_list(&mut self) {
        if let Some((leaf, definition, repetition, Type::List(item))) = self.next(true) {
            let level =
                self.leaves.get(leaf).map_or(1, |leaf| leaf.most.repetition) - lists_in(item);
            let place = Cursor::Items { item, level, filled: false };
            self.open.push(Frame { place, leaf, definition, repetition });
        }
    }

    fn close_list(&mut self) {
        if let Some(Frame {
            place: Cursor::Items { item, filled: false, .. },
            leaf,
            definition,
            repetition,
        }) = self.open.pop()
        {
            self.nothing(leaf, definition, repetition, item);
        }
    }

    fn open_struct(&mut self) {
        if let Some((leaf, definition, repetition, Type::Struct(fields))) = self.next(true) {
            let place = Cursor::Fields { fields, at: 0 };
            self.open.push(Frame { place, leaf, definition, repetition });
        }
    }

    fn close_struct(&mut self) {
        self.open.pop();
    }

    fn str(&mut self, text: &str) {
        self.value(|bytes| bytes.extend_from_slice(text.as_bytes()));
    }
}

/// How many lists stand above the first leaf of a type.
fn lists_in(kind: &Type) -> i16 {
    match kind {
        Type::Text | Type::Word | Type::Json | Type::Object | Type::Int | Type::Bool => 0,
        Type::Vector32 | Type::Vector64 => 1,
        Type::List(item) => 1 + lists_in(item),
        Type::Struct(fields) => fields.first().map_or(0, |field| lists_in(&field.kind)),
    }
}

impl Rows for Columns {
    fn count(&self) -> usize {
        self.sizes.len()
    }

    fn size_bytes(&self) -> usize {
        self.size
    }

    fn row_sizes(&self) -> &[u32] {
        &self.sizes
    }

    fn evidence(&self) -> &[u64] {
        &self.evidence
    }

    fn take_front(&mut self, count: usize) -> Box<dyn Rows> {
        let width = self.leaves.len();
        let ends: Vec<usize> = (0..width).map(|leaf| self.levels_before(count, leaf)).collect();
        let leaves = self.leaves.iter_mut().zip(&ends).map(|(leaf, &end)| leaf.take_front(end));
        let leaves = leaves.collect();
        let mut starts = front_of(&mut self.starts, count * width);
        starts.extend_from_slice(&ends);
        for (at, start) in self.starts.iter_mut().enumerate() {
            *start -= ends.get(at % width).copied().unwrap_or(0);
        }
        let sizes = front_of(&mut self.sizes, count);
        let size = sizes.iter().map(|&size| size as usize).sum();
        self.size = self.size.saturating_sub(size);
        Box::new(Self {
            schema: self.schema.clone(),
            leaves,
            open: Vec::new(),
            size,
            row_start: 0,
            starts,
            sizes,
            evidence: front_of(&mut self.evidence, count),
        })
    }

    fn save(&self, out: &mut Vec<u8>) {
        self.leaves.iter().for_each(|leaf| leaf.save(out));
        self.size.put(out);
        put_numbers(&self.starts, out);
        put_numbers(&self.sizes, out);
    }
}
