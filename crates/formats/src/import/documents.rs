//! Documents as UIUC.chat exports them, one a line with its chunks in `contexts`. Source: `documents` in its
//! `src/db/schema.ts`.

use retort_json::{Kind, Parser, RawJson, Text};
use retort_model::{Chunk, Document, Embedding, Time};

use super::fields::{count_or_keep, each_field, id_or_keep, keep, put, text_or_keep, time_or_keep};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::sniff::Sniff;
use super::vector::{vector, vector_in_text};

/// The format.
pub(super) struct Documents;

impl ImportFormat for Documents {
    fn name(&self) -> &'static str {
        "uiuc-documents"
    }

    fn about(&self) -> &'static str {
        "documents with their chunks and embeddings, one per line, as UIUC.chat exports them"
    }

    fn notes(&self) -> &'static str {
        "`contexts` (or `chunks`) are the chunks, each with `text`, `pagenumber`, `timestamp`, `chunk_index` and \
         `embedding`; all other fields are kept. `embedding_model` names the model that made the embeddings."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let has = |names: &[&str]| names.iter().any(|name| sniff.has(name));
        has(&["contexts", "chunks"])
            && has(&["readable_filename", "s3_path", "base_url", "url"])
            && !has(&["messages", "convo", "rounds"])
    }

    fn parse<'a>(&self, item: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut parser = Parser::lenient(item);
        let mut document = Document::default();
        let (mut has_chunks, mut model) = (false, None);
        each_field(&mut parser, notes, |parser, key, notes| {
            match &*key {
                "contexts" | "chunks" if !has_chunks && parser.kind()? == Kind::Array => {
                    has_chunks = true;
                    parser.array()?;
                    while parser.next_element()? {
                        document.chunks.push(chunk(parser, notes)?);
                    }
                }
                "contexts" | "chunks" if !has_chunks && parser.kind()? == Kind::Null => {
                    has_chunks = true;
                    parser.null()?;
                }
                "embedding_model" => model = text_or_keep(parser, key, &mut document.metadata)?,
                _ => {
                    if let Some(key) = named(&mut document, parser, key, notes)? {
                        keep(parser, key, &mut document.metadata)?;
                    }
                }
            }
            Ok(())
        })?;
        parser.end()?;
        if !has_chunks {
            return Err(ItemError::new(
                Refusal::UnknownShape,
                0,
                "no list of chunks in `contexts`",
            ));
        }
        name_model(&mut document, model.as_ref());
        notes.count(&parser);
        Ok(document.into())
    }
}

/// Says which model made the embeddings that do not say so themselves.
pub(super) fn name_model<'a>(document: &mut Document<'a>, model: Option<&Text<'a>>) {
    for chunk in &mut document.chunks {
        if let Some(Embedding { model: own @ None, .. }) = &mut chunk.embedding {
            *own = model.cloned();
        }
    }
}

/// Takes a field that tells of the document as a whole; gives its key back if it is none.
pub(super) fn named<'a, 'k>(
    document: &mut Document<'a>,
    parser: &mut Parser<'a>,
    key: std::borrow::Cow<'k, str>,
    notes: &mut Notes,
) -> Result<Option<std::borrow::Cow<'k, str>>, ItemError>
where
    'k: 'a,
    'a: 'k,
{
    let rest = &mut document.metadata;
    match &*key {
        "id" | "document_id" | "doc_id" => {
            let raw = parser.clone().raw()?;
            document.id = id_or_keep(parser, key, rest)?.unwrap_or_default();
            if raw.as_str().starts_with(|first: char| first == '-' || first.is_ascii_digit()) {
                // A number comes out as one.
                put(rest, "row_id".into(), raw);
            }
        }
        "course_name" | "project" => document.project = text_or_keep(parser, key, rest)?,
        "readable_filename" => document.readable_filename = text_or_keep(parser, key, rest)?,
        "url" => document.url = text_or_keep(parser, key, rest)?,
        "base_url" => document.base_url = text_or_keep(parser, key, rest)?,
        "s3_path" => document.s3_path = text_or_keep(parser, key, rest)?,
        "created_at" => {
            let raw = parser.clone().raw()?;
            document.created_at = time_or_keep(parser, key, rest, notes)?;
            let is_other = |time: Time| raw.as_text().is_none_or(|text| text != time.to_string());
            if document.created_at.is_some_and(is_other) {
                put(rest, "row_created_at".into(), raw);
            }
        }
        "metadata" if parser.kind()? == Kind::Object => {
            parser.object()?;
            while let Some(key) = parser.next_key()? {
                put(rest, key.into(), parser.raw()?);
            }
        }
        _ => return Ok(Some(key)),
    }
    Ok(None)
}

fn chunk<'a>(parser: &mut Parser<'a>, notes: &mut Notes) -> Result<Chunk<'a>, ItemError> {
    let mut chunk = Chunk::default();
    let mut model = None;
    if parser.kind()? == Kind::String {
        chunk.text = parser.string()?;
        return Ok(chunk);
    }
    each_field(parser, notes, |parser, key, _| {
        if let Some(key) = of_chunk(&mut chunk, &mut model, parser, key)? {
            keep(parser, key, &mut chunk.metadata)?;
        }
        Ok(())
    })?;
    if let Some(embedding) = &mut chunk.embedding {
        embedding.model = model;
    }
    Ok(chunk)
}

/// Takes a field of a chunk; gives its key back if it is none. `model` is who made its embedding.
pub(super) fn of_chunk<'a>(
    chunk: &mut Chunk<'a>,
    model: &mut Option<Text<'a>>,
    parser: &mut Parser<'a>,
    key: std::borrow::Cow<'a, str>,
) -> Result<Option<std::borrow::Cow<'a, str>>, ItemError> {
    match &*key {
        "text" => chunk.text = text_or_keep(parser, key, &mut chunk.metadata)?.unwrap_or_default(),
        "pagenumber" => chunk.pagenumber = there(parser.raw()?),
        "timestamp" => chunk.timestamp = there(parser.raw()?),
        "chunk_index" => chunk.chunk_index = count_or_keep(parser, key, &mut chunk.metadata)?,
        "embedding_model" => *model = text_or_keep(parser, key, &mut chunk.metadata)?,
        "embedding" | "vector" if parser.kind()? == Kind::Array => {
            chunk.embedding = Some(Embedding { model: None, vector: vector(parser)? });
        }
        "embedding" | "vector" if parser.kind()? == Kind::String => {
            let text = parser.clone().string()?;
            let Some(vector) = vector_in_text(&text.decoded()) else { return Ok(Some(key)) };
            parser.string()?;
            chunk.embedding = Some(Embedding { model: None, vector });
        }
        "embedding" | "vector" if parser.kind()? == Kind::Null => drop(parser.null()?),
        _ => return Ok(Some(key)),
    }
    Ok(None)
}

fn there(raw: RawJson<'_>) -> Option<RawJson<'_>> {
    Some(raw).filter(|raw| !raw.is_null())
}
