//! What a file format is.

use std::any::Any;
use std::io::{self, Read, Seek, Write};

use retort_model::named;

use crate::data::{Schema, Sink};

/// A kind of data file.
pub trait FileFormat: Sync {
    /// The name to say on the command line, and the ending of its files.
    fn name(&self) -> &'static str;

    /// What it is best for, in one line.
    fn about(&self) -> &'static str;

    /// Its media type.
    fn media_type(&self) -> &'static str;

    /// Whether it can hold nested values. Formats that cannot get flat columns in addition to the JSON text.
    fn is_nested(&self) -> bool {
        true
    }

    /// Whether readers infer the types of columns from the first rows.
    fn types_are_inferred(&self) -> bool {
        false
    }

    /// Whether the file may be compressed as a whole.
    fn is_text(&self) -> bool {
        true
    }

    /// An empty batch of rows.
    fn rows(&self, schema: &Schema, options: FileOptions) -> Box<dyn Rows>;

    /// Reads back a batch that [`Rows::save`] wrote, of the same schema and options.
    ///
    /// # Errors
    /// The bytes are cut short.
    fn load(
        &self,
        schema: &Schema,
        options: FileOptions,
        saved: &[u8],
    ) -> io::Result<Box<dyn Rows>>;

    /// How many rows, and how many bytes of them, are encoded as one group at most; none if groups leave no trace in the
    /// file.
    fn group_bounds(&self) -> Option<(usize, usize)> {
        None
    }

    /// Encodes the batches of a group; what comes back is for the writer of the same format.
    fn encode(&self, group: Vec<Box<dyn Rows>>, options: FileOptions) -> io::Result<Chunk>;

    /// A writer at the start of a file.
    fn writer(&self, schema: &Schema, options: FileOptions) -> io::Result<Box<dyn FileWriter>>;

    /// Reads the rows of a finished file back, each as the JSON text of an object.
    ///
    /// # Errors
    /// The file is not of this format.
    fn read(
        &self,
        input: Box<dyn ReadSeek>,
    ) -> io::Result<Box<dyn Iterator<Item = io::Result<String>> + Send>>;
}

/// For whom a CSV file is written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CsvDialect {
    /// People with spreadsheets.
    #[default]
    Spreadsheet,
    /// Programs.
    Plain,
}

named!(CsvDialect, "CSV dialect", Spreadsheet = "spreadsheet", Plain = "plain");

impl CsvDialect {
    /// What it does, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Spreadsheet => {
                "for people: with a byte order mark, and cells that a spreadsheet would run as formulas escaped"
            }
            Self::Plain => "for programs: without a byte order mark or escaping",
        }
    }
}

/// What can be asked of a file format.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct FileOptions {
    /// How CSV is written.
    pub csv: CsvDialect,
}

/// A batch of rows being gathered.
pub trait Rows: Sink + Any + Send {
    /// Rows so far.
    fn count(&self) -> usize;
    /// Bytes that they take, about.
    fn size_bytes(&self) -> usize;
    /// Characters or bytes of each row that was ended, for the account of lengths.
    fn row_sizes(&self) -> &[u32];
    /// Makes room for the rows of a large item of so many bytes: a buffer that grows by doubling is in memory twice
    /// while it does.
    fn reserve(&mut self, _item_bytes: usize) {}
    /// For each row, which lists were filled and which optional values were there: what a reader that infers
    /// types can learn from it.
    fn evidence(&self) -> &[u64];
    /// The bytes of one row in the file, for formats whose rows are independent.
    fn row(&self, _index: usize) -> Option<&[u8]> {
        None
    }
    /// Takes one row out of the batch.
    fn remove(&mut self, _index: usize) {}
    /// Takes so many rows at the front out of the batch, as a batch to which no more are added.
    fn take_front(&mut self, count: usize) -> Box<dyn Rows>;
    /// Cells that were guarded or are in danger, by count: guarded, long, ambiguous.
    fn cells(&self) -> [u64; 3] {
        [0; 3]
    }
    /// Appends the rows as bytes from which [`FileFormat::load`] makes them again. What was only needed for the
    /// account ([`Rows::cells`]) is not kept.
    fn save(&self, out: &mut Vec<u8>);
}

/// Something that can be read from any place.
pub trait ReadSeek: Read + Seek + Send {}

impl<T: Read + Seek + Send> ReadSeek for T {}

/// Encoded rows, ready for the file.
pub struct Chunk {
    /// How many.
    pub rows: u64,
    pub(super) body: Box<dyn Any + Send>,
}

/// Puts chunks into one file.
pub trait FileWriter: Send {
    /// Appends a chunk.
    fn write(&mut self, chunk: Chunk, out: &mut dyn Write) -> io::Result<()>;

    /// Ends the file.
    fn finish(self: Box<Self>, out: &mut dyn Write) -> io::Result<()>;
}

/// Takes so many values at the front out of a list.
pub(super) fn front_of<T>(list: &mut Vec<T>, count: usize) -> Vec<T> {
    let rest = list.split_off(count.min(list.len()));
    std::mem::replace(list, rest)
}

/// The rows as the type that the format made.
pub(super) fn own<T: Rows>(rows: Box<dyn Rows>) -> io::Result<Box<T>> {
    (rows as Box<dyn Any>)
        .downcast::<T>()
        .map_err(|_| io::Error::other("rows of another file format"))
}

pub(super) fn body<T: Any>(chunk: Chunk) -> io::Result<T> {
    chunk
        .body
        .downcast::<T>()
        .map(|body| *body)
        .map_err(|_| io::Error::other("a chunk of another file format"))
}

/// The rows of a text format, batch by batch, as they are: `take` gives how many a batch has, and their text.
pub(super) fn texts<T: Rows>(
    group: Vec<Box<dyn Rows>>,
    take: impl Fn(T) -> (usize, Vec<u8>),
) -> io::Result<Chunk> {
    let (mut rows, mut texts) = (0, Vec::with_capacity(group.len()));
    for batch in group {
        let (count, text) = take(*own::<T>(batch)?);
        rows += count as u64;
        texts.push(text);
    }
    Ok(Chunk { rows, body: Box::new(texts) })
}

/// Writes what [`texts`] made.
pub(super) fn write_texts(chunk: Chunk, out: &mut dyn Write) -> io::Result<()> {
    body::<Vec<Vec<u8>>>(chunk)?.into_iter().try_for_each(|text| out.write_all(&text))
}
