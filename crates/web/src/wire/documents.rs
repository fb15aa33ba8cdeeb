//! Documents over the wire.

use retort_json::RawJson;
use retort_model::{Chunk as KeptChunk, Document as Kept};
use retort_service::{DocumentSummary, Original as KeptOriginal, data};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fields::moment;

/// A document as lists show it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Document {
    /// The source's id.
    pub id: String,
    /// The import format.
    pub source: String,
    /// Its display name.
    pub readable_filename: Option<String>,
    /// Where it came from.
    pub url: Option<String>,
    /// The site that it came from.
    pub base_url: Option<String>,
    /// Where the source keeps the original.
    pub s3_path: Option<String>,
    /// When it was added to its source, RFC 3339.
    pub created_at: Option<String>,
    /// How many chunks it has.
    pub chunks: u64,
    /// What its embeddings have in common.
    pub embeddings: EmbeddingStats,
    /// The original file, if it is stored.
    pub original: Option<Original>,
    /// Bytes of its canonical line.
    pub bytes: u64,
}

/// What embeddings have in common.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct EmbeddingStats {
    /// Chunks that have one.
    pub embedded: u64,
    /// How many numbers the shortest has.
    pub least_dimension: u64,
    /// How many the longest has.
    pub most_dimension: u64,
    /// Bits per number that hold all of them, 32 or 64; 0 if there are none.
    pub width: u32,
    /// The model that made them, if all name the same.
    pub model: Option<String>,
}

impl From<&retort_model::EmbeddingStats> for EmbeddingStats {
    fn from(stats: &retort_model::EmbeddingStats) -> Self {
        Self {
            embedded: stats.embedded,
            least_dimension: stats.least_dimension as u64,
            most_dimension: stats.most_dimension as u64,
            width: stats.width,
            model: stats.model.clone(),
        }
    }
}

/// The original file of a document.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Original {
    /// Its SHA-256 in hexadecimal digits.
    pub sha256: String,
    /// Its name.
    pub name: Option<String>,
    /// Its media type.
    pub media_type: Option<String>,
    /// Its size.
    pub bytes: u64,
}

impl From<&KeptOriginal> for Original {
    fn from(original: &KeptOriginal) -> Self {
        Self {
            sha256: original.sha256.clone(),
            name: original.name.clone(),
            media_type: original.media_type.clone(),
            bytes: original.bytes,
        }
    }
}

impl From<&DocumentSummary> for Document {
    fn from(document: &DocumentSummary) -> Self {
        Self {
            id: document.id.clone(),
            source: document.source.clone(),
            readable_filename: document.name.clone(),
            url: document.url.clone(),
            base_url: document.base_url.clone(),
            s3_path: document.s3_path.clone(),
            created_at: moment(document.created_at),
            chunks: document.chunks,
            embeddings: (&document.embeddings).into(),
            original: document.original.as_ref().map(Into::into),
            bytes: document.size,
        }
    }
}

/// A page of documents.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct DocumentPage {
    /// The documents, newest first.
    pub documents: Vec<Document>,
    /// The value of `after` for the next page; null on the last page.
    pub next: Option<String>,
}

/// How many documents there are, and how large they are.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct DocumentStats {
    /// How many.
    pub documents: u64,
    /// What their embeddings have in common.
    pub embeddings: EmbeddingStats,
}

/// Some chunks of a document.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Chunks {
    /// The chunks, in order.
    pub chunks: Vec<Chunk>,
    /// The value of `after` for the next ones; null after the last.
    pub next: Option<u64>,
}

/// A piece of a document, as it is retrieved.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Chunk {
    /// Its text.
    pub text: String,
    /// The page, as the source wrote it.
    pub pagenumber: Option<serde_json::Value>,
    /// The place in a recording, as the source wrote it.
    pub timestamp: Option<serde_json::Value>,
    /// Its place among the chunks, as the source says.
    pub chunk_index: Option<u64>,
    /// The model that made its embedding.
    pub embedding_model: Option<String>,
    /// How many numbers its embedding has.
    pub dimension: Option<u64>,
    /// The numbers, if they were asked for.
    #[serde(skip_serializing_if = "Option::is_none")]
    #[schema(value_type = Option<Vec<f64>>)]
    pub embedding: Option<Box<serde_json::value::RawValue>>,
}

impl Chunks {
    /// At most this many after the first `after`.
    pub fn of(document: &Kept<'_>, after: usize, most: usize, embeddings: bool) -> Self {
        let raw = |raw: &Option<RawJson<'_>>| {
            raw.as_ref().and_then(|raw| serde_json::from_str(raw.as_str()).ok())
        };
        let chunk = |chunk: &KeptChunk<'_>| Chunk {
            text: chunk.text.decoded().into_owned(),
            pagenumber: raw(&chunk.pagenumber),
            timestamp: raw(&chunk.timestamp),
            chunk_index: chunk.chunk_index,
            embedding_model: chunk
                .embedding
                .as_ref()
                .and_then(|one| one.model.as_ref())
                .map(|model| model.decoded().into_owned()),
            dimension: chunk.embedding.as_ref().map(|one| one.vector.dimension() as u64),
            embedding: chunk.embedding.as_ref().filter(|_| embeddings).and_then(|one| {
                serde_json::value::RawValue::from_string(data::vector_json(&one.vector)).ok()
            }),
        };
        let more = document.chunks.len() > after.saturating_add(most);
        Self {
            chunks: document.chunks.iter().skip(after).take(most).map(chunk).collect(),
            next: more.then_some((after + most) as u64),
        }
    }
}

/// Documents to delete permanently.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PurgeDocuments {
    /// Their ids.
    pub ids: Vec<String>,
}
