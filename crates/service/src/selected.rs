//! The frozen selection of an export, fed to the engine.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use retort_engine::Error as EngineError;
use retort_engine::panics::point;
use retort_engine::pipeline::{Edits, Feed, Outlet, PackedBatch, Source, Unpacked, Work};
use retort_engine::{STORE, SourceName};
use retort_model::bounds::ITEM_BYTES;
use retort_model::{ItemKind, LeftOut, Reason};
use retort_store::{SelectedBatch, SelectedItem, Shard, Store};

use crate::error::Error;

/// Items of a part of a frozen selection.
pub(crate) struct SelectedFeed<'f> {
    pub(crate) store: &'f Arc<Store>,
    pub(crate) job: i64,
    pub(crate) shard: &'f Shard,
    /// Bytes of history before the part.
    pub(crate) ends: u64,
}

impl Feed for SelectedFeed<'_> {
    fn total_bytes(&self) -> u64 {
        self.shard.bytes
    }

    fn items_before(&self) -> u64 {
        self.shard.first.saturating_sub(1)
    }

    fn feed(&mut self, to: &mut Outlet<'_>) -> Result<(), EngineError> {
        let name = SourceName { label: STORE.into(), side_of: None };
        let source = Arc::new(Source { place: 0, name, format: None });
        let mut after = self.items_before();
        let mut ends = self.ends;
        while after < self.shard.last {
            point("export.read");
            let batch = self.store.selected(self.job, after, self.shard.last, ends);
            let batch = batch.map_err(failed)?;
            let in_a_row =
                (after + 1..).zip(&batch.items).all(|(place, item)| item.ordinal == place);
            let Some(last) = batch.items.last().filter(|_| in_a_row) else {
                let why = format!("items of job {} behind {after} are gone", self.job);
                return Err(failed(retort_store::Error::Damaged(why)));
            };
            after = last.ordinal;
            to.read_bytes.fetch_add(batch.ends.saturating_sub(ends), Ordering::Relaxed);
            ends = batch.ends;
            if !to.send(
                Arc::clone(&source),
                Work::Packed(Box::new(StoredBatch { store: Arc::clone(self.store), batch })),
            ) {
                break;
            }
        }
        Ok(())
    }
}

fn failed(error: retort_store::Error) -> EngineError {
    Error::Store(error).into()
}

/// Items of a frozen selection as the store keeps them.
struct StoredBatch {
    store: Arc<Store>,
    batch: SelectedBatch,
}

impl PackedBatch for StoredBatch {
    fn kind(&self) -> ItemKind {
        self.batch.kind
    }

    fn items(&self) -> u64 {
        self.batch.items.len() as u64
    }

    fn bytes(&self) -> u64 {
        self.batch.size() as u64
    }

    fn unpack(&self, out: &mut Vec<u8>) -> Vec<Unpacked> {
        out.reserve(self.batch.size().min(ITEM_BYTES));
        let mut unpacker = self.store.unpacker();
        let mut unpack = |item: &SelectedItem| {
            if item.purged_id.is_some() {
                let why =
                    LeftOut::new(Reason::Purged, "it was purged after the selection was made");
                return Err((item.purged_id.clone(), why));
            }
            let start = out.len();
            match self.batch.unpack(item, &mut unpacker, out) {
                Ok(()) => Ok(start..out.len()),
                Err(error) => {
                    out.truncate(start);
                    Err((None, LeftOut::new(Reason::Damaged, error.to_string())))
                }
            }
        };
        let items = self.batch.items.iter();
        items
            .map(|item| Unpacked {
                ordinal: item.ordinal,
                line: unpack(item),
                edits: Edits {
                    status: item.status,
                    title: item.title.clone(),
                    tags: item.tags.clone(),
                },
            })
            .collect()
    }

    fn id(&self, ordinal: u64) -> String {
        self.store.selected_id(&self.batch, ordinal).unwrap_or_default()
    }
}
