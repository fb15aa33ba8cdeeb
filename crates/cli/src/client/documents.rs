//! What a server can be asked of documents.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use reqwest::Method;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use retort_model::{DocumentFilter, Filter, bounds};
use retort_service::NewOriginal;
use retort_web::wire;

use super::transfer::body_of;
use super::{Client, ClientError, Query};

impl Client {
    pub fn documents(
        &self,
        selection: &DocumentFilter,
        after: Option<String>,
        most: usize,
    ) -> Result<wire::DocumentPage, ClientError> {
        let mut query = selection.pairs();
        query.push(("limit", most.to_string()));
        query.extend(after.map(|after| ("after", after)));
        self.get(&["documents"], query)
    }

    pub fn document_stats(
        &self,
        selection: &DocumentFilter,
    ) -> Result<wire::DocumentStats, ClientError> {
        self.get(&["documents", "stats"], selection.pairs())
    }

    pub fn document(
        &self,
        (id, source): (&str, Option<&str>),
    ) -> Result<wire::Document, ClientError> {
        self.get(&["documents", id], of(source))
    }

    pub fn chunks(
        &self,
        (id, source): (&str, Option<&str>),
        after: u64,
        embeddings: bool,
    ) -> Result<wire::Chunks, ClientError> {
        let mut query = of(source);
        query.push(("after", after.to_string()));
        query.push(("limit", bounds::CHUNKS_AT_ONCE.to_string()));
        query.push(("embeddings", embeddings.to_string()));
        self.get(&["documents", id, "chunks"], query)
    }

    pub fn original(
        &self,
        (id, source): (&str, Option<&str>),
        out: &mut dyn Write,
    ) -> Result<(), ClientError> {
        self.copy(&["documents", id, "original"], of(source), out)
    }

    pub fn keep_original(
        &self,
        (id, source): (&str, Option<&str>),
        new: &NewOriginal,
        file: File,
    ) -> Result<wire::Document, ClientError> {
        let mut query = of(source);
        query.extend(new.name.clone().map(|name| ("name", name)));
        let bytes = file.metadata().map(|metadata| metadata.len());
        let kind = new.media_type.as_deref().unwrap_or("application/octet-stream");
        let mut request = self
            .request(Method::PUT, &["documents", id, "original"], query)?
            .header(CONTENT_TYPE, kind)
            .body(body_of(Box::new(file), Arc::new(AtomicU64::new(0))));
        if let Ok(bytes) = bytes {
            request = request.header(CONTENT_LENGTH, bytes);
        }
        self.json(request)
    }

    pub fn purge_documents(&self, selection: &DocumentFilter) -> Result<u64, ClientError> {
        let asked = wire::PurgeDocuments { ids: selection.ids.iter().cloned().collect() };
        let request = self.request(Method::POST, &["documents", "purge"], Query::new())?;
        let done: wire::Purged = self.json(request.json(&asked))?;
        Ok(done.purged)
    }
}

fn of(source: Option<&str>) -> Query<'static> {
    source.map(|source| ("source", source.to_owned())).into_iter().collect()
}
