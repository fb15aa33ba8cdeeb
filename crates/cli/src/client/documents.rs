//! What a server can be asked of documents.

use std::fs::File;
use std::io::Write;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;

use reqwest::Method;
use reqwest::header::{CONTENT_LENGTH, CONTENT_TYPE};
use retort_model::{DocumentFilter, Filter, bounds};
use retort_service::{Cursor, DocumentOrder, ListOrder, NewOriginal};
use retort_web::wire;

use super::ids::sum_over;
use super::transfer::body_of;
use super::{Client, ClientError, Query, with_header};

impl Client {
    pub fn documents(
        &self,
        selection: &DocumentFilter,
        order: DocumentOrder,
        after: Option<Cursor>,
        most: usize,
    ) -> Result<wire::DocumentPage, ClientError> {
        let mut query = selection.pairs();
        query.push(("sort", order.as_str().to_owned()));
        query.push(("limit", most.to_string()));
        query.extend(after.map(|after| ("after", after.to_string())));
        self.get(&["documents"], query)
    }

    pub fn document_stats(
        &self,
        selection: &DocumentFilter,
    ) -> Result<wire::DocumentStats, ClientError> {
        self.get(&["documents", "stats"], selection.pairs())
    }

    /// How many documents a selection means, of however many ids.
    pub fn count_documents(&self, selection: &DocumentFilter) -> Result<u64, ClientError> {
        sum_over(&selection.ids, |ids| {
            Ok(self.document_stats(&DocumentFilter { ids, ..selection.clone() })?.documents)
        })
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
        let mut request = self.request(Method::PUT, &["documents", id, "original"], query)?;
        if let Some(kind) = &new.media_type {
            request = with_header(request, CONTENT_TYPE, kind);
        }
        if let Ok(bytes) = bytes {
            request.headers_mut().insert(CONTENT_LENGTH, bytes.into());
        }
        *request.body_mut() = Some(body_of(Box::new(file), Arc::new(AtomicU64::new(0))));
        self.json(request)
    }

    pub fn purge_documents(&self, selection: &DocumentFilter) -> Result<u64, ClientError> {
        let asked = wire::PurgeDocuments { ids: selection.ids.iter().cloned().collect() };
        let done: wire::Purged = self.post(&["documents", "purge"], &asked)?;
        Ok(done.purged)
    }
}

fn of(source: Option<&str>) -> Query<'static> {
    source.map(|source| ("source", source.to_owned())).into_iter().collect()
}
