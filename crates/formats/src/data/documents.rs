//! `documents`: a document a line with its chunks, as UIUC.chat's tables have them.

use retort_json::{Append, RawJson, Text, write_string};
use retort_model::{Chunk, Document, Fields, Item, ItemKind, Vector};

use super::format::{DataFormat, Embeddings, Outcome, RecordNotes, ShapeContext, ShapeOptions};
use super::keys::write_others;
use super::schema::{Field, Schema, Sink, Type};

/// The format of documents.
pub(super) struct Documents;

static DOCUMENTS: Schema = Schema::of(&[
    Field::required("id", Type::Json),
    Field::nullable("s3_path", Type::Text),
    Field::nullable("course_name", Type::Text),
    Field::nullable("url", Type::Text),
    Field::nullable("created_at", Type::Text),
    Field::nullable("readable_filename", Type::Text),
    Field::nullable("base_url", Type::Text),
    Field::required("contexts", Type::Json),
    Field::optional("metadata", Type::Json),
]);

impl DataFormat for Documents {
    fn name(&self) -> &'static str {
        "documents"
    }

    fn about(&self) -> &'static str {
        "documents with the text and embeddings of their chunks, one document per line"
    }

    fn schema(&self, _options: &ShapeOptions, _flat: bool) -> Schema {
        DOCUMENTS.clone()
    }

    fn file_formats(&self) -> &'static [&'static str] {
        &["jsonl"]
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
        let with_embeddings = context.options.embeddings != Embeddings::Without;
        let mut contexts = String::with_capacity(4096);
        contexts.push('[');
        for (index, chunk) in document.chunks.iter().enumerate() {
            if index > 0 {
                contexts.push(',');
            }
            write_chunk(chunk, with_embeddings, &mut contexts);
        }
        contexts.push(']');
        out.begin_row();
        match raw_of(document, "row_id") {
            Some(raw) => out.json(raw.as_str()),
            None => out.text(&document.id),
        }
        nullable(document.s3_path.as_ref(), out);
        nullable(document.project.as_ref(), out);
        nullable(document.url.as_ref(), out);
        nullable(created_at(document).as_ref(), out);
        nullable(document.readable_filename.as_ref(), out);
        nullable(document.base_url.as_ref(), out);
        out.json(&contexts);
        let rest = rest_of(&document.metadata);
        match &rest {
            Some(rest) => out.json(rest.as_str()),
            None => out.absent(),
        }
        out.end_row();
        Outcome { records: vec![RecordNotes::default()], ..Outcome::default() }
    }
}

/// Writes a text, or that there is none.
pub(super) fn nullable(text: Option<&Text<'_>>, out: &mut dyn Sink) {
    match text {
        Some(text) => out.text(text),
        None => out.absent(),
    }
}

/// Fields of the metadata that come out as they came in, in places of their own.
const PLACED: [&str; 2] = ["row_id", "row_created_at"];

fn raw_of<'d>(document: &'d Document<'_>, name: &str) -> Option<&'d RawJson<'d>> {
    document.metadata.iter().find(|(key, _)| *key == *name).map(|(_, raw)| raw)
}

/// When the document was stored, as its source wrote it if that is kept.
pub(super) fn created_at<'d>(document: &'d Document<'_>) -> Option<Text<'d>> {
    let told = raw_of(document, "row_created_at").and_then(RawJson::as_text);
    told.or_else(|| document.created_at.map(|time| time.to_string())).map(Text::from)
}

/// The rest of what the source said, as an object.
pub(super) fn rest_of(metadata: &Fields<'_>) -> Option<RawJson<'static>> {
    RawJson::object(metadata.iter().filter(|(key, _)| PLACED.iter().all(|name| *key != **name)))
}

fn write_chunk(chunk: &Chunk<'_>, with_embedding: bool, out: &mut String) {
    out.push_str("{\"text\":");
    chunk.text.write_string(out);
    let mut field = |name: &str, json: &str| {
        out.push(',');
        write_string(name, out);
        out.push(':');
        out.push_str(json);
    };
    field("pagenumber", chunk.pagenumber.as_ref().map_or("null", RawJson::as_str));
    field("timestamp", chunk.timestamp.as_ref().map_or("null", RawJson::as_str));
    match chunk.chunk_index {
        Some(index) => field("chunk_index", &index.to_string()),
        None => field("chunk_index", "null"),
    }
    let taken = ["text", "pagenumber", "timestamp", "chunk_index", "embedding_model", "embedding"];
    write_others(chunk.metadata.iter(), &taken, out);
    if !with_embedding {
        out.push('}');
        return;
    }
    match &chunk.embedding {
        Some(embedding) => {
            if let Some(model) = &embedding.model {
                out.push_str(",\"embedding_model\":");
                model.write_string(out);
            }
            out.push_str(",\"embedding\":");
            write_vector(&embedding.vector, out);
        }
        None => out.push_str(",\"embedding\":null"),
    }
    out.push('}');
}

/// The numbers as a JSON list, each in the shortest digits that say it.
pub fn vector_json(vector: &Vector) -> String {
    let mut out = String::new();
    write_vector(vector, &mut out);
    out
}

/// Writes the numbers as a JSON list, each in the shortest digits that say it.
pub(crate) fn write_vector(vector: &Vector, out: &mut impl Append) {
    fn list<T: Copy, F: zmij::Float>(numbers: &[T], wide: impl Fn(T) -> F, out: &mut impl Append) {
        let mut buffer = zmij::Buffer::new();
        out.append("[");
        for (index, number) in numbers.iter().enumerate() {
            if index > 0 {
                out.append(",");
            }
            out.append(buffer.format_finite(wide(*number)));
        }
        out.append("]");
    }
    match vector {
        Vector::F32(numbers) => list(numbers, |number| number, out),
        Vector::F32AsF64(numbers) => list(numbers, f64::from, out),
        Vector::F64(numbers) => list(numbers, |number| number, out),
    }
}
