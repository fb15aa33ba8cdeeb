//! `chunks`: one row per chunk, with the fields of its document, as vector stores take them.

use retort_json::RawJson;
use retort_model::{Item, ItemKind, LeftOut, Reason};

use super::documents::{created_at, nullable, rest_of};
use super::format::{
    DataFormat, Embeddings, Outcome, RecordLeftOut, RecordNotes, ShapeContext, ShapeOptions,
};
use super::schema::{Field, Schema, Sink, Type};

/// The format.
pub(super) struct Chunks;

macro_rules! chunk_columns {
    ($($embedding:expr),*) => {
        Schema::of(&[
            Field::required("document_id", Type::Word),
            Field::nullable("readable_filename", Type::Word),
            Field::nullable("url", Type::Word),
            Field::nullable("base_url", Type::Word),
            Field::nullable("s3_path", Type::Word),
            Field::nullable("course_name", Type::Word),
            Field::nullable("created_at", Type::Word),
            Field::nullable("chunk_index", Type::Int),
            Field::nullable("pagenumber", Type::Json),
            Field::nullable("timestamp", Type::Json),
            Field::required("text", Type::Text),
            Field::nullable("metadata", Type::Json),
            $($embedding),*
        ])
    };
}

static CHUNKS: Schema = chunk_columns!();
static CHUNKS_32: Schema = chunk_columns!(
    Field::nullable("embedding_model", Type::Word),
    Field::nullable("embedding", Type::Vector32)
);
static CHUNKS_64: Schema = chunk_columns!(
    Field::nullable("embedding_model", Type::Word),
    Field::nullable("embedding", Type::Vector64)
);

impl DataFormat for Chunks {
    fn name(&self) -> &'static str {
        "chunks"
    }

    fn about(&self) -> &'static str {
        "chunks of documents with their embeddings, one chunk per row, ready for vector stores"
    }

    fn schema(&self, options: &ShapeOptions, _flat: bool) -> Schema {
        match options.embeddings {
            Embeddings::Without => CHUNKS.clone(),
            Embeddings::F32 => CHUNKS_32.clone(),
            Embeddings::F64 => CHUNKS_64.clone(),
        }
    }

    fn file_formats(&self) -> &'static [&'static str] {
        &["parquet", "jsonl"]
    }

    fn items(&self) -> &'static [ItemKind] {
        &[ItemKind::Document]
    }

    fn shape(
        &self,
        item: &Item<'_>,
        context: &mut ShapeContext<'_>,
        out: &mut dyn Sink,
    ) -> Outcome {
        let Item::Document(document) = item else { return Outcome::other_kind(item) };
        if document.chunks.is_empty() {
            return Outcome::left_out(None, LeftOut::new(Reason::NoChunks, "no chunks"));
        }
        let created_at = created_at(document);
        let (mut records, mut left_out) = (Vec::with_capacity(document.chunks.len()), Vec::new());
        for (index, chunk) in document.chunks.iter().enumerate() {
            let part = (document.chunks.len() > 1).then(|| format!("chunk {}", index + 1));
            let width = chunk.embedding.as_ref().map_or(0, |one| one.vector.width());
            if context.options.embeddings == Embeddings::F32 && width > 32 {
                let why =
                    LeftOut::new(Reason::EmbeddingTooWide, "32 bits would round it; use 64 bits");
                left_out.push(RecordLeftOut { part, why });
                continue;
            }
            records.push(RecordNotes { part, ..RecordNotes::default() });
            out.begin_row();
            out.text(&document.id);
            nullable(document.readable_filename.as_ref(), out);
            nullable(document.url.as_ref(), out);
            nullable(document.base_url.as_ref(), out);
            nullable(document.s3_path.as_ref(), out);
            nullable(document.project.as_ref(), out);
            nullable(created_at.as_ref(), out);
            match chunk.chunk_index.and_then(|index| i64::try_from(index).ok()) {
                Some(index) => out.int(index),
                None => out.absent(),
            }
            raw(chunk.pagenumber.as_ref(), out);
            raw(chunk.timestamp.as_ref(), out);
            out.text(&chunk.text);
            match rest_of(&chunk.metadata) {
                Some(rest) => out.json(rest.as_str()),
                None => out.absent(),
            }
            if context.options.embeddings != Embeddings::Without {
                let embedding = chunk.embedding.as_ref();
                nullable(embedding.and_then(|one| one.model.as_ref()), out);
                match embedding {
                    Some(embedding) => out.vector(&embedding.vector),
                    None => out.absent(),
                }
            }
            out.end_row();
        }
        Outcome { records, left_out, ..Outcome::default() }
    }
}

fn raw(raw: Option<&RawJson<'_>>, out: &mut dyn Sink) {
    match raw {
        Some(raw) => out.json(raw.as_str()),
        None => out.absent(),
    }
}
