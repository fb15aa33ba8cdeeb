//! Documents that answers were retrieved from.

use crate::message::Fields;
use crate::text::Text;
use crate::time::Time;

/// A document, cut into chunks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Document<'a> {
    /// The source's own id.
    pub id: Text<'a>,
    /// The import format.
    pub source: Text<'a>,
    /// The project it belongs to.
    pub project: Option<Text<'a>>,
    /// Its name as people know it.
    pub readable_filename: Option<Text<'a>>,
    /// Where it came from.
    pub url: Option<Text<'a>>,
    /// The site that it came from.
    pub base_url: Option<Text<'a>>,
    /// Where the original lies.
    pub s3_path: Option<Text<'a>>,
    /// When it was taken in.
    pub created_at: Option<Time>,
    /// Its chunks, in order.
    pub chunks: Vec<Chunk<'a>>,
    /// What the source said beyond that.
    pub metadata: Fields<'a>,
}

/// A piece of a document, as it is retrieved.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Chunk<'a> {
    /// Its text.
    pub text: Text<'a>,
    /// The page, in the source's words.
    pub pagenumber: Option<Text<'a>>,
    /// The place in a recording, in the source's words.
    pub timestamp: Option<Text<'a>>,
    /// Its place among the chunks.
    pub chunk_index: Option<u64>,
    /// Its embedding.
    pub embedding: Option<Embedding<'a>>,
}

/// A vector, with every bit of the numbers that came in.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding<'a> {
    /// Name of the model that made it.
    pub model: Option<Text<'a>>,
    /// Its numbers.
    pub vector: Vector,
}

/// The numbers of an embedding in the width in which they came.
#[derive(Clone, Debug, PartialEq)]
pub enum Vector {
    /// 32 bits each.
    F32(Vec<f32>),
    /// 64 bits each.
    F64(Vec<f64>),
}
