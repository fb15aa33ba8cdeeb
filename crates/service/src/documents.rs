//! Documents looked at and taken away, and their original files.

use std::collections::{HashMap, HashSet};
use std::io;

use retort_engine::DatasetPlan;
use retort_engine::Error as EngineError;
use retort_engine::{Storage, hex};
use retort_formats::data::Embeddings;
use retort_formats::file::ReadSeek;
use retort_json::Value;
use retort_model::bounds::CITATIONS;
use retort_model::{
    Action, Document, DocumentFilter, EmbeddingStats, Grant, ProjectRole, canonical,
};
use retort_store::{Cursor, DocumentOrder, DocumentPage, DocumentSummary, Original, Summary};

use crate::caller::Caller;
use crate::error::Error;
use crate::intake::{UPLOADS, Upload};
use crate::memory::take_for_item;
use crate::service::Service;

/// A file that is to be kept as the original of a document.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct NewOriginal {
    /// Its name.
    pub name: Option<String>,
    /// Its media type.
    pub media_type: Option<String>,
}

impl Service {
    /// A page of the documents.
    ///
    /// # Errors
    /// The caller is no admin; those of the store.
    pub fn documents(
        &self,
        caller: &Caller,
        selection: &DocumentFilter,
        order: DocumentOrder,
        after: Option<Cursor>,
        most: usize,
    ) -> Result<DocumentPage, Error> {
        sees_documents(caller)?;
        Ok(self.store.documents(&caller.scope(), selection, order, after, most)?)
    }

    /// The documents before and after one, in the list of this filter and order.
    ///
    /// # Errors
    /// The caller is not an admin, or the store fails.
    pub fn document_neighbours(
        &self,
        caller: &Caller,
        filter: &DocumentFilter,
        order: DocumentOrder,
        one: &DocumentSummary,
    ) -> Result<[Option<DocumentSummary>; 2], Error> {
        sees_documents(caller)?;
        Ok(self.store.document_neighbours(&caller.scope(), filter, order, one)?)
    }

    /// How many documents the selection means, and what their embeddings have in common.
    ///
    /// # Errors
    /// The caller is no admin; those of the store.
    pub fn document_stats(
        &self,
        caller: &Caller,
        selection: &DocumentFilter,
    ) -> Result<(u64, EmbeddingStats), Error> {
        sees_documents(caller)?;
        Ok(self.store.document_stats(&caller.scope(), selection)?)
    }

    /// The document with that id, of that source if one is named.
    ///
    /// # Errors
    /// There is none, or several; the caller is no admin; those of the store.
    pub fn document(
        &self,
        caller: &Caller,
        id: &str,
        source: Option<&str>,
    ) -> Result<DocumentSummary, Error> {
        sees_documents(caller)?;
        let mut found = self.store.document(&caller.scope(), id)?;
        found.retain(|one| source.is_none_or(|source| one.source == source));
        match <[DocumentSummary; 1]>::try_from(found) {
            Ok([one]) => Ok(one),
            Err(none) if none.is_empty() => Err(no_document(id)),
            Err(several) => {
                let of: Vec<_> = several.iter().map(|one| format!("`{}`", one.source)).collect();
                let of = of.join(", ");
                Err(Error::Choice(format!(
                    "documents of several sources have this id; name one source: {of}"
                )))
            }
        }
    }

    /// Hands over a document as it was taken in, with its chunks.
    ///
    /// # Errors
    /// It is no longer there, or damaged; those of the store.
    pub fn with_document<T>(
        &self,
        summary: &DocumentSummary,
        take: impl FnOnce(Document<'_>) -> T,
    ) -> Result<T, Error> {
        take_for_item(summary.size, summary.chunks)?;
        let line = self.store.document_line(summary, &mut self.store.unpacker())?;
        let line = line.ok_or_else(|| no_document(&summary.id))?;
        let damaged = |why: String| {
            let why = format!("the document `{}`: {why}", summary.id);
            Error::Store(retort_store::Error::Damaged(why))
        };
        let text = std::str::from_utf8(&line).map_err(|error| damaged(error.to_string()))?;
        canonical::read_document(text).map(take).map_err(|error| damaged(error.to_string()))
    }

    /// Keeps what was uploaded as the original file of a document, in place of the one that it had. Nothing is left of
    /// the upload.
    ///
    /// # Errors
    /// There is no such document; the caller is no admin; failing I/O; those of the store.
    pub fn keep_original(
        &self,
        caller: &Caller,
        (id, source): (&str, Option<&str>),
        new: &NewOriginal,
        mut upload: Upload,
    ) -> Result<DocumentSummary, Error> {
        let kept = self.audited(caller, Action::Import, &format!("{id}: original"), || {
            caller.needs(Grant::Write)?;
            caller.needs_role(ProjectRole::Admin)?;
            let mut document = self.document(caller, id, source)?;
            let (sha256, bytes) = (hex(&upload.finish()?), upload.bytes());
            let place = self.objects.below(&self.originals());
            let put = || {
                if self.objects.size(&format!("{}/{sha256}", self.originals()))? == Some(bytes) {
                    return Ok(());
                }
                let fail = |error| EngineError::write(&place.describe(&sha256), error);
                let mut given = self.objects.below(UPLOADS).open(upload.key())?;
                let mut out = place.create(&sha256)?;
                io::copy(&mut given, &mut out).map_err(fail)?;
                out.finish().map_err(fail)
            };
            put()?;
            let (name, media_type) = (new.name.clone(), new.media_type.clone());
            let original = Original { sha256: sha256.clone(), name, media_type, bytes };
            let gone = self.store.set_original(&caller.scope(), document.key, &original)?;
            // Until it was named, it could go with another document that was.
            put()?;
            self.forget_originals(&gone.ok_or_else(|| no_document(id))?)?;
            document.original = Some(original);
            Ok(document)
        });
        self.discard_upload(upload);
        kept
    }

    /// Opens the original file of a document.
    ///
    /// # Errors
    /// There is none; the caller is no admin; failing I/O; those of the store.
    pub fn original(
        &self,
        caller: &Caller,
        id: &str,
        source: Option<&str>,
    ) -> Result<(Original, Box<dyn ReadSeek>), Error> {
        self.audited(caller, Action::Download, &format!("document {id}"), || {
            caller.needs(Grant::Export)?;
            let document = self.document(caller, id, source)?;
            let original = document.original.ok_or_else(|| Error::NotFound {
                what: "original file of the document",
                name: id.to_owned(),
            })?;
            let file = self.objects.below(&self.originals()).open(&original.sha256)?;
            Ok((original, file))
        })
    }

    /// Takes documents away, with everything that they hold; how many.
    ///
    /// # Errors
    /// The caller is no admin; those of the store.
    pub fn purge_documents(
        &self,
        caller: &Caller,
        selection: &DocumentFilter,
    ) -> Result<u64, Error> {
        let meant = crate::browse::named(&selection.ids);
        self.audited(caller, Action::Edit, &format!("documents {meant}: purged"), || {
            caller.needs(Grant::Write)?;
            caller.needs_role(ProjectRole::Admin)?;
            let mut left = Vec::new();
            let gone = self
                .store
                .purge_documents(&caller.scope(), selection, &mut |more| left.extend(more))?;
            self.forget_originals(&left)?;
            Ok(gone)
        })
    }

    /// The ids of the documents of the passages that a conversation's answers were given with, by the passages' JSON
    /// texts. `line` is its canonical line. Who may not see documents gets none.
    pub fn cited(&self, caller: &Caller, line: &[u8]) -> Result<HashMap<String, String>, Error> {
        let read = std::str::from_utf8(line).ok().and_then(|line| canonical::read(line).ok());
        let Some(conversation) = read.filter(|_| sees_documents(caller).is_ok()) else {
            return Ok(HashMap::new());
        };
        let (mut sought, mut found) = (HashSet::new(), HashMap::new());
        for raw in conversation.messages().flat_map(|message| &message.contexts).take(CITATIONS) {
            if !sought.insert(raw.as_str()) {
                continue;
            }
            let Ok(context) = Value::parse(raw.as_str()) else { continue };
            let text = |name: &str| context.get(name).and_then(Value::as_str);
            let (path, url) = (text("s3_path"), text("url"));
            if let Some(document) = self.store.document_at(&caller.scope(), path, url)? {
                found.insert(raw.as_str().to_owned(), document.id);
            }
        }
        Ok(found)
    }

    /// The conversations whose answers were given with passages of a document, the newest first.
    ///
    /// # Errors
    /// The caller is no admin; those of the store.
    pub fn citing(
        &self,
        caller: &Caller,
        document: &DocumentSummary,
        most: usize,
    ) -> Result<Vec<Summary>, Error> {
        sees_documents(caller)?;
        let places = [document.s3_path.as_deref(), document.url.as_deref()];
        let places: Vec<&str> =
            places.into_iter().flatten().filter(|place| !place.is_empty()).collect();
        Ok(self.store.citing(&caller.scope(), &places, most)?)
    }

    /// Where originals lie. Other stores may share the place.
    pub(crate) fn originals(&self) -> String {
        format!("originals/{}", self.store.identity())
    }

    pub(crate) fn forget_originals(&self, hashes: &[String]) -> Result<(), Error> {
        let place = self.objects.below(&self.originals());
        for hash in hashes {
            let mut removed = Ok(());
            self.store.if_unnamed(hash, &mut || removed = place.remove(hash))?;
            removed?;
        }
        Ok(())
    }
}

/// Makes the columns of embeddings as narrow as hold all that they say.
pub(crate) fn fit(dataset: &mut DatasetPlan, stats: &EmbeddingStats) {
    let embeddings = &mut dataset.shape_options.embeddings;
    if *embeddings != Embeddings::Without {
        *embeddings = if stats.width > 32 { Embeddings::F64 } else { Embeddings::F32 };
    }
}

/// Documents are the project's: who administers it sees them all, and a member none.
fn sees_documents(caller: &Caller) -> Result<(), Error> {
    caller.needs(Grant::Read)?;
    caller.needs_role(ProjectRole::Admin)
}

fn no_document(id: &str) -> Error {
    Error::NotFound { what: "document", name: id.to_owned() }
}
