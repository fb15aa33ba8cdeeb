//! What a filter selects, read from the store page by page and fed to the engine, without a job that freezes it.

use std::collections::hash_map::DefaultHasher;
use std::hash::{Hash, Hasher};
use std::sync::Arc;
use std::sync::atomic::Ordering;

use retort_engine::pipeline::{Edits, Feed, Outlet, PackedBatch, Source, Unpacked, Work};
use retort_engine::{Error as EngineError, STORE, SourceName};
use retort_model::bounds::PAGE_ITEMS;
use retort_model::{ItemFilter, ItemKind, LeftOut, Reason, Scope};
use retort_store::{
    Cursor, DocumentOrder, DocumentSummary, Order, RunOrder, RunSummary, Store, Summary,
};

use crate::browse::edits_of;
use crate::error::Error;

/// Bytes of the items of a batch, about: enough work for a thread.
const BATCH_BYTES: u64 = 1 << 20;

/// The items that a filter selects in a scope, the newest first.
pub(crate) struct ListedFeed<'f> {
    pub(crate) store: &'f Arc<Store>,
    pub(crate) scope: &'f Scope,
    pub(crate) selection: &'f ItemFilter,
    /// How many items are read, and how many bytes of them; there is always room for the first.
    pub(crate) most: (u64, u64),
    /// A hash of the items of each reading: they are not the same where something changed meanwhile.
    pub(crate) readings: Vec<u64>,
    /// Items in the last reading.
    pub(crate) items: u64,
}

impl<'f> ListedFeed<'f> {
    pub(crate) fn new(
        store: &'f Arc<Store>,
        scope: &'f Scope,
        selection: &'f ItemFilter,
        most: (u64, u64),
    ) -> Self {
        Self { store, scope, selection, most, readings: Vec::new(), items: 0 }
    }

    fn page(
        &self,
        after: Option<Cursor>,
        most: usize,
    ) -> Result<(Vec<Listed>, Option<Cursor>), retort_store::Error> {
        Ok(match self.selection {
            ItemFilter::Conversations(selection) => {
                let page = self.store.list(self.scope, selection, Order::Newest, after, most)?;
                (page.conversations.into_iter().map(Listed::conversation).collect(), page.next)
            }
            ItemFilter::Runs(selection) => {
                let page = self.store.runs(self.scope, selection, RunOrder::Newest, after, most)?;
                (page.runs.into_iter().map(Listed::Run).collect(), page.next)
            }
            ItemFilter::Documents(selection) => {
                let order = DocumentOrder::Newest;
                let page = self.store.documents(self.scope, selection, order, after, most)?;
                (page.documents.into_iter().map(Listed::Document).collect(), page.next)
            }
        })
    }
}

impl Feed for ListedFeed<'_> {
    fn total_bytes(&self) -> u64 {
        0
    }

    fn feed(&mut self, to: &mut Outlet<'_>) -> Result<(), EngineError> {
        let name = SourceName { label: STORE.into(), side_of: None };
        let source = Arc::new(Source { place: 0, name, format: None });
        let kind = self.selection.kind();
        let (mut left, mut room) = self.most;
        left = self.selection.limit().map_or(left, |limit| left.min(limit));
        let mut hash = DefaultHasher::new();
        let mut batch = ListedBatch {
            store: Arc::clone(self.store),
            kind,
            before: 0,
            items: Vec::new(),
            bytes: 0,
        };
        let mut after = None;
        let mut sent = 0;
        'pages: while left > 0 {
            let most = usize::try_from(left).unwrap_or(PAGE_ITEMS).min(PAGE_ITEMS);
            let (items, next) = self
                .page(after.take(), most)
                .map_err(|error| EngineError::from(Error::Store(error)))?;
            for item in items {
                let size = item.size();
                if sent > 0 && size > room {
                    break 'pages;
                }
                room = room.saturating_sub(size);
                left = left.saturating_sub(1);
                sent += 1;
                (item.state(), sent).hash(&mut hash);
                batch.bytes += size;
                batch.items.push(item);
                if batch.bytes < BATCH_BYTES && batch.items.len() < PAGE_ITEMS {
                    continue;
                }
                to.read_bytes.fetch_add(batch.bytes, Ordering::Relaxed);
                let rest = ListedBatch {
                    store: Arc::clone(self.store),
                    kind,
                    before: sent,
                    items: Vec::new(),
                    bytes: 0,
                };
                let full = std::mem::replace(&mut batch, rest);
                if !to.send(Arc::clone(&source), Work::Packed(Box::new(full))) {
                    return Ok(());
                }
            }
            after = next;
            if after.is_none() {
                break;
            }
        }
        if !batch.items.is_empty() {
            to.send(source, Work::Packed(Box::new(batch)));
        }
        self.items = sent;
        self.readings.push(hash.finish());
        Ok(())
    }
}

/// An item as lists show it.
enum Listed {
    Conversation(Box<Summary>),
    Run(RunSummary),
    Document(DocumentSummary),
}

impl Listed {
    fn conversation(summary: Summary) -> Self {
        Self::Conversation(Box::new(summary))
    }

    fn size(&self) -> u64 {
        match self {
            Self::Conversation(summary) => summary.size,
            Self::Run(summary) => summary.size,
            Self::Document(summary) => summary.size,
        }
    }

    /// Which item it is, and in which state.
    fn state(&self) -> (i64, i64, u64) {
        match self {
            Self::Conversation(summary) => (summary.key, summary.body, summary.size),
            Self::Run(summary) => (summary.key, 0, summary.size),
            Self::Document(summary) => (summary.key, 0, summary.size),
        }
    }

    fn id(&self) -> &str {
        match self {
            Self::Conversation(summary) => &summary.id,
            Self::Run(summary) => &summary.id,
            Self::Document(summary) => &summary.id,
        }
    }

    fn edits(&self) -> Edits {
        match self {
            Self::Conversation(summary) => edits_of(summary),
            Self::Run(_) | Self::Document(_) => Edits::default(),
        }
    }
}

/// Some of the items.
struct ListedBatch {
    store: Arc<Store>,
    kind: ItemKind,
    /// Items before them.
    before: u64,
    items: Vec<Listed>,
    bytes: u64,
}

impl PackedBatch for ListedBatch {
    fn kind(&self) -> ItemKind {
        self.kind
    }

    fn items(&self) -> u64 {
        self.items.len() as u64
    }

    fn bytes(&self) -> u64 {
        self.bytes
    }

    fn unpack(&self, out: &mut Vec<u8>) -> Vec<Unpacked> {
        let mut unpacker = self.store.unpacker();
        let mut unpacked = Vec::with_capacity(self.items.len());
        for (ordinal, item) in (self.before + 1..).zip(&self.items) {
            let line = match item {
                Listed::Conversation(summary) => self.store.line(summary, &mut unpacker),
                Listed::Run(summary) => self.store.run_line(summary, &mut unpacker),
                Listed::Document(summary) => self.store.document_line(summary, &mut unpacker),
            };
            let gone =
                |reason, why: String| Err((Some(item.id().to_owned()), LeftOut::new(reason, why)));
            let line = match line {
                Ok(Some(line)) => {
                    let start = out.len();
                    out.extend_from_slice(&line);
                    Ok(start..out.len())
                }
                Ok(None) => gone(Reason::Purged, "it was purged meanwhile".into()),
                Err(error) => gone(Reason::Damaged, error.to_string()),
            };
            unpacked.push(Unpacked { ordinal, line, edits: item.edits() });
        }
        unpacked
    }

    fn id(&self, ordinal: u64) -> String {
        let place = usize::try_from(ordinal.saturating_sub(self.before + 1));
        let item = place.ok().and_then(|place| self.items.get(place));
        item.map_or_else(String::new, |item| item.id().to_owned())
    }
}
