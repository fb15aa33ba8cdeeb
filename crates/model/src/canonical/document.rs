//! The canonical line of a document. Embeddings are in it as the bits of their numbers, little end first, in base64.

use base64::Engine;
use base64::engine::general_purpose::STANDARD;

use super::line::{
    CanonicalError, Object, VERSION, check_version, count, each_key, fields, list, optional_text,
    time, write_list,
};
use crate::document::{Chunk, Document, Embedding, Vector, doubles, singles};
use retort_json::Parser;

const F32: &str = "f32";
const F32_AS_F64: &str = "f32_as_f64";
const F64: &str = "f64";

/// Appends the document as one line, without the line's end.
pub fn write_document(document: &Document<'_>, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    object.raw("retort_document", &VERSION.to_string());
    object.text("id", &document.id);
    object.text("source", &document.source);
    object.optional("project", document.project.as_ref());
    object.optional("readable_filename", document.readable_filename.as_ref());
    object.optional("url", document.url.as_ref());
    object.optional("base_url", document.base_url.as_ref());
    object.optional("s3_path", document.s3_path.as_ref());
    object.time("created_at", document.created_at);
    object.key("chunks");
    write_list(&document.chunks, object.out, write_chunk);
    object.fields("metadata", &document.metadata);
    object.end();
}

fn write_chunk(chunk: &Chunk<'_>, out: &mut Vec<u8>) {
    let mut object = Object::begin(out);
    object.text("text", &chunk.text);
    object.optional_raw("pagenumber", chunk.pagenumber.as_ref());
    object.optional_raw("timestamp", chunk.timestamp.as_ref());
    object.number("chunk_index", chunk.chunk_index);
    if let Some(embedding) = &chunk.embedding {
        object.optional("embedding_model", embedding.model.as_ref());
        object.key(match embedding.vector {
            Vector::F32(_) => F32,
            Vector::F32AsF64(_) => F32_AS_F64,
            Vector::F64(_) => F64,
        });
        object.out.push(b'"');
        let bits = embedding.vector.to_bytes();
        let start = object.out.len();
        let length = base64::encoded_len(bits.len(), true).unwrap_or_default();
        object.out.resize(start + length, 0);
        if let Some(room) = object.out.get_mut(start..) {
            // The room is what the bits need.
            let _ = STANDARD.encode_slice(&bits, room);
        }
        object.out.push(b'"');
    }
    object.fields("metadata", &chunk.metadata);
    object.end();
}

/// Reads a document from one canonical line, borrowing from it.
///
/// # Errors
/// What is wrong with the text and at which byte; a version of a later release.
pub fn read_document(line: &str) -> Result<Document<'_>, CanonicalError> {
    let mut parser = Parser::new(line);
    let document = read_document_from(&mut parser)?;
    parser.end()?;
    Ok(document)
}

/// As [`read_document`], from where a parser stands.
///
/// # Errors
/// As [`read_document`].
pub fn read_document_from<'a>(parser: &mut Parser<'a>) -> Result<Document<'a>, CanonicalError> {
    let mut document = Document::default();
    let mut versioned = false;
    each_key(parser, |key, parser| {
        match key {
            "retort_document" => {
                check_version(parser, VERSION)?;
                versioned = true;
            }
            "id" => document.id = parser.string()?,
            "source" => document.source = parser.string()?,
            "project" => document.project = optional_text(parser)?,
            "readable_filename" => document.readable_filename = optional_text(parser)?,
            "url" => document.url = optional_text(parser)?,
            "base_url" => document.base_url = optional_text(parser)?,
            "s3_path" => document.s3_path = optional_text(parser)?,
            "created_at" => document.created_at = time(parser, "created_at")?,
            "chunks" => document.chunks = list(parser, read_chunk)?,
            "metadata" => document.metadata = fields(parser)?,
            _ => document.metadata.put(key.to_owned().into(), parser.raw()?),
        }
        Ok(())
    })?;
    if !versioned {
        return Err(CanonicalError::Field("retort_document", 0));
    }
    Ok(document)
}

fn read_chunk<'a>(parser: &mut Parser<'a>) -> Result<Chunk<'a>, CanonicalError> {
    let mut chunk = Chunk::default();
    let (mut model, mut vector) = (None, None);
    each_key(parser, |key, parser| {
        match key {
            "text" => chunk.text = parser.string()?,
            "pagenumber" => chunk.pagenumber = Some(parser.raw()?),
            "timestamp" => chunk.timestamp = Some(parser.raw()?),
            "chunk_index" => chunk.chunk_index = count(parser, "chunk_index")?,
            "embedding_model" => model = optional_text(parser)?,
            F32 => {
                vector = Some(Vector::F32(numbers(parser, F32, singles)?));
            }
            F32_AS_F64 => {
                vector = Some(Vector::F32AsF64(numbers(parser, F32_AS_F64, singles)?));
            }
            F64 => {
                vector = Some(Vector::F64(numbers(parser, F64, doubles)?));
            }
            "metadata" => chunk.metadata = fields(parser)?,
            _ => chunk.metadata.put(key.to_owned().into(), parser.raw()?),
        }
        Ok(())
    })?;
    chunk.embedding = vector.map(|vector| Embedding { model, vector });
    Ok(chunk)
}

fn numbers<T>(
    parser: &mut Parser<'_>,
    name: &'static str,
    read: impl FnOnce(&[u8]) -> Option<Vec<T>>,
) -> Result<Vec<T>, CanonicalError> {
    let at = parser.at();
    let text = parser.string()?;
    let bits = STANDARD.decode(text.as_written()).ok();
    bits.and_then(|bits| read(&bits)).ok_or(CanonicalError::Field(name, at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::time::Time;
    use retort_json::RawJson;

    fn back(document: &Document<'_>) -> Document<'static> {
        let mut line = Vec::new();
        write_document(document, &mut line);
        let line = String::from_utf8(line).unwrap();
        assert!(!line.contains('\n'));
        let read = read_document(&line).unwrap();
        let mut again = Vec::new();
        write_document(&read, &mut again);
        assert_eq!(String::from_utf8(again).unwrap(), line);
        read.into_owned()
    }

    fn chunk(vector: Vector) -> Chunk<'static> {
        let embedding = Embedding { model: Some("m".into()), vector };
        Chunk { text: "“text”\n".into(), embedding: Some(embedding), ..Chunk::default() }
    }

    #[test]
    fn a_document_comes_back_as_it_was() {
        let raw = |text: &str| RawJson::owned(text).unwrap();
        let whole = Document {
            id: "7".into(),
            source: "uiuc-documents".into(),
            project: Some("p".into()),
            readable_filename: Some("A name.pdf".into()),
            url: Some("https://a.b/c".into()),
            base_url: Some("https://a.b".into()),
            s3_path: Some("courses/p/a.pdf".into()),
            created_at: Time::parse("2023-08-14T16:35:40.508062Z").ok(),
            chunks: vec![
                Chunk {
                    pagenumber: Some(raw("3")),
                    timestamp: Some(raw(r#""1:02""#)),
                    chunk_index: Some(0),
                    metadata: [("k".into(), raw("[1.50]"))].into_iter().collect(),
                    ..chunk(Vector::F32(vec![0.1, -0.0, f32::MIN_POSITIVE / 2.0]))
                },
                chunk(Vector::F64(vec![0.1, f64::MAX, 5e-324])),
                chunk(Vector::F32AsF64(vec![0.1])),
                Chunk::default(),
            ],
            metadata: [("k".into(), raw("null"))].into_iter().collect(),
        };
        assert_eq!(back(&whole), whole);
        assert_eq!(back(&Document::default()), Document::default());
        let stats = whole.embedding_stats();
        assert_eq!((stats.embedded, stats.least_dimension, stats.most_dimension), (3, 1, 3));
        assert_eq!((stats.width, stats.model.as_deref()), (64, Some("m")));
    }

    #[test]
    fn every_bit_of_a_finite_number_comes_back() {
        arbtest::arbtest(|u| {
            let single = f32::from_bits(u.arbitrary()?);
            let double = f64::from_bits(u.arbitrary()?);
            if single.is_finite() && double.is_finite() {
                let chunks =
                    vec![chunk(Vector::F32(vec![single])), chunk(Vector::F64(vec![double]))];
                let document = back(&Document { chunks, ..Document::default() });
                let vectors = document.chunks.iter().filter_map(|one| one.embedding.as_ref());
                let bits: Vec<Vec<u8>> = vectors.map(|one| one.vector.to_bytes()).collect();
                assert_eq!(bits, [single.to_le_bytes().to_vec(), double.to_le_bytes().to_vec()]);
            }
            Ok(())
        });
    }

    #[test]
    fn numbers_that_are_none_are_refused_with_their_place() {
        for text in ["AAAAfw", "AA==", "AADAfw==", "*", "AACAfw=="] {
            let line = format!(r#"{{"retort_document":1,"chunks":[{{"f32":"{text}"}}]}}"#);
            let error = read_document(&line).unwrap_err();
            let at = line.find(text).unwrap() - 1;
            assert_eq!(error, CanonicalError::Field("f32", at), "{text}");
        }
        assert!(read_document(r#"{"id":"1"}"#).is_err());
        assert!(read_document(r#"{"retort_document":99}"#).is_err());
    }
}
