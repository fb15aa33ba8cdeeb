//! Documents that answers were retrieved from.

use crate::fields::Fields;
use crate::time::Time;
use retort_json::{RawJson, Text};

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
    /// The page, as the source wrote it: a number or a text.
    pub pagenumber: Option<RawJson<'a>>,
    /// The place in a recording, as the source wrote it.
    pub timestamp: Option<RawJson<'a>>,
    /// Its place among the chunks.
    pub chunk_index: Option<u64>,
    /// Its embedding.
    pub embedding: Option<Embedding<'a>>,
    /// What the source said beyond that.
    pub metadata: Fields<'a>,
}

impl Chunk<'_> {
    fn into_owned(self) -> Chunk<'static> {
        Chunk {
            text: self.text.into_owned(),
            pagenumber: self.pagenumber.map(RawJson::into_owned),
            timestamp: self.timestamp.map(RawJson::into_owned),
            chunk_index: self.chunk_index,
            embedding: self.embedding.map(|embedding| Embedding {
                model: embedding.model.map(Text::into_owned),
                vector: embedding.vector,
            }),
            metadata: self.metadata.into_owned(),
        }
    }
}

/// A vector, with every bit of the numbers that came in.
#[derive(Clone, Debug, PartialEq)]
pub struct Embedding<'a> {
    /// Name of the model that made it.
    pub model: Option<Text<'a>>,
    /// Its numbers.
    pub vector: Vector,
}

/// The numbers of an embedding in the width in which they came. All are finite.
#[derive(Clone, Debug, PartialEq)]
pub enum Vector {
    /// 32 bits each.
    F32(Vec<f32>),
    /// 32 bits each, which the source told with the digits of 64.
    F32AsF64(Vec<f32>),
    /// 64 bits each.
    F64(Vec<f64>),
}

impl Vector {
    /// How many numbers it has.
    pub fn dimension(&self) -> usize {
        match self {
            Self::F32(numbers) | Self::F32AsF64(numbers) => numbers.len(),
            Self::F64(numbers) => numbers.len(),
        }
    }

    /// Bits of each number, 32 or 64: as few as hold what came in.
    pub fn width(&self) -> u32 {
        match self {
            Self::F32(_) | Self::F32AsF64(_) => 32,
            Self::F64(_) => 64,
        }
    }

    /// The numbers' bits, little end first.
    pub fn to_bytes(&self) -> Vec<u8> {
        match self {
            Self::F32(numbers) | Self::F32AsF64(numbers) => {
                numbers.iter().flat_map(|number| number.to_le_bytes()).collect()
            }
            Self::F64(numbers) => numbers.iter().flat_map(|number| number.to_le_bytes()).collect(),
        }
    }
}

/// Numbers of 32 bits from their bytes, little end first; none if the bytes are no whole numbers or one of the
/// numbers is not finite.
pub(crate) fn singles(bytes: &[u8]) -> Option<Vec<f32>> {
    let (numbers, rest) = bytes.as_chunks::<4>();
    let numbers: Vec<f32> = numbers.iter().map(|bits| f32::from_le_bytes(*bits)).collect();
    (rest.is_empty() && numbers.iter().all(|number| number.is_finite())).then_some(numbers)
}

/// The same of 64 bits.
pub(crate) fn doubles(bytes: &[u8]) -> Option<Vec<f64>> {
    let (numbers, rest) = bytes.as_chunks::<8>();
    let numbers: Vec<f64> = numbers.iter().map(|bits| f64::from_le_bytes(*bits)).collect();
    (rest.is_empty() && numbers.iter().all(|number| number.is_finite())).then_some(numbers)
}

/// What a document's embeddings have in common.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct EmbeddingStats {
    /// Chunks that have one.
    pub embedded: u64,
    /// How many numbers the shortest has.
    pub least_dimension: usize,
    /// How many the longest has.
    pub most_dimension: usize,
    /// Bits of a number that hold all of them, 32 or 64; 0 without any.
    pub width: u32,
    /// The model that made them, if all name the same.
    pub model: Option<String>,
}

impl EmbeddingStats {
    /// The stats of both together.
    #[must_use]
    pub fn with(mut self, other: Self) -> Self {
        if self.embedded == 0 {
            return other;
        }
        if other.embedded > 0 {
            self.embedded += other.embedded;
            self.least_dimension = self.least_dimension.min(other.least_dimension);
            self.most_dimension = self.most_dimension.max(other.most_dimension);
            self.width = self.width.max(other.width);
            self.model = self.model.filter(|model| other.model.as_ref() == Some(model));
        }
        self
    }
}

impl Document<'_> {
    /// The document with memory of its own.
    pub fn into_owned(self) -> Document<'static> {
        let text = |text: Option<Text<'_>>| text.map(Text::into_owned);
        Document {
            id: self.id.into_owned(),
            source: self.source.into_owned(),
            project: text(self.project),
            readable_filename: text(self.readable_filename),
            url: text(self.url),
            base_url: text(self.base_url),
            s3_path: text(self.s3_path),
            created_at: self.created_at,
            chunks: self.chunks.into_iter().map(Chunk::into_owned).collect(),
            metadata: self.metadata.into_owned(),
        }
    }

    /// Whether its embeddings differ in length.
    pub fn is_ragged(&self) -> bool {
        let mut lengths = self.chunks.iter().filter_map(|chunk| chunk.embedding.as_ref());
        let first = lengths.next().map(|embedding| embedding.vector.dimension());
        lengths.any(|embedding| Some(embedding.vector.dimension()) != first)
    }

    /// What its embeddings have in common.
    pub fn embedding_stats(&self) -> EmbeddingStats {
        let of = |embedding: &Embedding<'_>| EmbeddingStats {
            embedded: 1,
            least_dimension: embedding.vector.dimension(),
            most_dimension: embedding.vector.dimension(),
            width: embedding.vector.width(),
            model: embedding.model.as_ref().map(|model| model.decoded().into_owned()),
        };
        let all = self.chunks.iter().filter_map(|chunk| chunk.embedding.as_ref());
        all.map(of).fold(EmbeddingStats::default(), EmbeddingStats::with)
    }
}
