//! Chunks of documents, one a row: the text and embedding of each, beside what tells of its document.

use std::collections::HashSet;

use retort_json::{Kind, Parser};
use retort_model::{Chunk, Document};

use super::documents::{named, of_chunk};
use super::fields::{each_field, keep, put};
use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Refusal, Spread};
use super::sniff::{Entry, Sniff};

/// The format.
pub(super) struct Chunks;

/// Under what a row names its document; the first that is there counts.
const DOCUMENT: [&str; 6] =
    ["document_id", "doc_id", "s3_path", "url", "readable_filename", "base_url"];

impl ImportFormat for Chunks {
    fn name(&self) -> &'static str {
        "chunks"
    }

    fn about(&self) -> &'static str {
        "chunks of documents with their embeddings, one per row: JSON Lines or Parquet"
    }

    fn notes(&self) -> &'static str {
        "Rows of one document are those with the same `document_id`, else `s3_path`, `url` or `readable_filename`; its \
         chunks are in the order of `chunk_index`, if each has a different one. If the rows of a document are \
         scattered, even over several files, all rows are first collected in a temporary file of the same size; the \
         first 64 MB decide whether that is done. If a document continues only after that, late rows are reported as \
         repeated and left out: sort such rows by document. The rows of any Parquet file are read like JSON lines, so \
         that datasets of other formats are read from Parquet, too."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        sniff.has("text")
            && (sniff.has("embedding") || sniff.has("vector") || sniff.has("chunk_index"))
            && DOCUMENT.iter().any(|name| sniff.has(name))
    }

    fn spread(&self) -> Spread {
        Spread::Rows
    }

    fn fragments<'t>(&self, text: &'t str, _entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
        into.extend(document_of(text).map(|key| Fragment { key, order: 0, text: text.into() }));
    }

    fn parse<'a>(&self, item: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut parser = Parser::lenient(item);
        let mut document = Document::default();
        if parser.kind()? == Kind::Array {
            parser.array()?;
            while parser.next_element()? {
                row(&mut document, &mut parser, notes)?;
            }
        } else {
            row(&mut document, &mut parser, notes)?;
        }
        parser.end()?;
        put_in_order(&mut document.chunks);
        if document.id.is_empty() {
            let places = [&document.s3_path, &document.url, &document.readable_filename];
            let place = places.into_iter().flatten().find(|place| !place.is_empty());
            document.id = place.cloned().unwrap_or_default();
        }
        notes.count(&parser);
        Ok(document.into())
    }
}

/// What a row names its document by.
fn document_of(row: &str) -> Option<String> {
    let mut parser = Parser::lenient(row);
    let mut keys: [Option<String>; DOCUMENT.len()] = Default::default();
    parser.object().ok()?;
    while let Some(key) = parser.next_key().ok()? {
        match DOCUMENT.iter().position(|name| *name == key) {
            Some(at) => {
                let raw = parser.raw().ok()?;
                if let Some(slot) = keys.get_mut(at).filter(|_| !raw.is_null()) {
                    *slot = Some(format!("{at} {}", raw.as_str()));
                }
            }
            None => parser.skip().ok()?,
        }
    }
    keys.into_iter().flatten().next()
}

/// Puts chunks in the order of their indexes, where each has one of its own; else they stay as they came.
fn put_in_order(chunks: &mut [Chunk<'_>]) {
    let mut indexes = HashSet::with_capacity(chunks.len());
    if chunks.iter().all(|chunk| chunk.chunk_index.is_some_and(|index| indexes.insert(index))) {
        chunks.sort_by_key(|chunk| chunk.chunk_index);
    }
}

fn row<'a>(
    document: &mut Document<'a>,
    parser: &mut Parser<'a>,
    notes: &mut Notes,
) -> Result<(), ItemError> {
    let mut chunk = Chunk::default();
    let (mut model, mut has_text) = (None, false);
    let at = parser.at();
    each_field(parser, notes, |parser, key, notes| {
        has_text |= key == "text";
        if key == "id" && parser.kind()? != Kind::Null {
            // That of the row, not of the document.
            return keep(parser, key, &mut chunk.metadata);
        }
        if key == "metadata" && parser.kind()? == Kind::Object {
            parser.object()?;
            while let Some(key) = parser.next_key()? {
                put(&mut chunk.metadata, key.into(), parser.raw()?);
            }
            return Ok(());
        }
        if key == "metadata" && parser.null()? {
            return Ok(());
        }
        let Some(key) = of_chunk(&mut chunk, &mut model, parser, key)? else { return Ok(()) };
        if let Some(key) = named(document, parser, key, notes)? {
            keep(parser, key, &mut chunk.metadata)?;
        }
        Ok(())
    })?;
    if !has_text {
        return Err(ItemError::new(Refusal::BadField, at, "a chunk without `text`"));
    }
    if let Some(embedding) = &mut chunk.embedding {
        embedding.model = model;
    }
    document.chunks.push(chunk);
    Ok(())
}
