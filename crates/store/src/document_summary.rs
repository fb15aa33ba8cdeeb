//! A document as lists show it.

use retort_model::{EmbeddingStats, Time};

use crate::columns::moment;
use crate::dialect::Row;
use crate::error::Error;

/// The original file of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
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

/// A document as lists show it.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DocumentSummary {
    /// Its number in the store.
    pub key: i64,
    /// The source's id.
    pub id: String,
    /// The import format.
    pub source: String,
    /// Its readable name.
    pub name: Option<String>,
    /// Where it came from.
    pub url: Option<String>,
    /// The site that it came from.
    pub base_url: Option<String>,
    /// Where the source keeps the original.
    pub s3_path: Option<String>,
    /// When the source added it.
    pub created_at: Option<Time>,
    /// How many chunks it has.
    pub chunks: u64,
    /// The number, dimensions and model of its embeddings.
    pub embeddings: EmbeddingStats,
    /// The original file, if it is stored here.
    pub original: Option<Original>,
    /// Bytes of its canonical line.
    pub size: u64,
}

impl DocumentSummary {
    /// What people call it: its name, else its path, address or id.
    pub fn called(&self) -> &str {
        let names = [&self.name, &self.s3_path, &self.url];
        let found = names.into_iter().flatten().find(|name| !name.is_empty());
        found.map_or(&self.id, String::as_str)
    }
}

/// The columns of a document (`c`), up to its conditions.
pub(crate) const SUMMARY: &str = "SELECT c.key, c.id, c.source, c.name, c.url, c.base_url, c.s3_path, c.created_at, c.chunks, \
                       c.embedded, c.least_dimension, c.most_dimension, c.width, c.model, c.original, \
                       c.original_name, c.original_type, c.original_bytes, c.size FROM document c WHERE ";

pub(crate) fn read_summary(row: &Row<'_>) -> Result<DocumentSummary, Error> {
    let count = |column| Ok::<_, Error>(row.int(column)?.unsigned_abs());
    let dimension = |column| Ok::<_, Error>(usize::try_from(row.int(column)?).unwrap_or_default());
    let original = match row.text_or_none(14)? {
        Some(sha256) => Some(Original {
            sha256,
            name: row.text_or_none(15)?,
            media_type: row.text_or_none(16)?,
            bytes: row.int_or_none(17)?.unwrap_or_default().unsigned_abs(),
        }),
        None => None,
    };
    Ok(DocumentSummary {
        key: row.int(0)?,
        id: row.text(1)?,
        source: row.text(2)?,
        name: row.text_or_none(3)?,
        url: row.text_or_none(4)?,
        base_url: row.text_or_none(5)?,
        s3_path: row.text_or_none(6)?,
        created_at: moment(row.int(7)?),
        chunks: count(8)?,
        embeddings: EmbeddingStats {
            embedded: count(9)?,
            least_dimension: dimension(10)?,
            most_dimension: dimension(11)?,
            width: u32::try_from(row.int(12)?).unwrap_or_default(),
            model: row.text_or_none(13)?,
        },
        original,
        size: count(18)?,
    })
}
