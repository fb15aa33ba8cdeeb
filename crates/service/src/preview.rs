//! `preview` of an export: the first records as they would be written, with nothing written.

use std::ops::Range;
use std::sync::Arc;

use retort_engine::pipeline::{Edits, Feed, Outlet, PackedBatch, Source, Unpacked, Work};
use retort_engine::{Error as EngineError, Preview, STORE, SourceName, sample};
use retort_model::bounds::{CHECKED_BEFORE, CHECKED_BEFORE_BYTES};
use retort_model::{Grant, ItemFilter, ItemKind};
use retort_store::{Order, Stop};

use crate::browse::edits_of;
use crate::caller::Caller;
use crate::error::Error;
use crate::queue::ExportRequest;
use crate::service::Service;

/// Shapes and checks the first items of a selection as an export would.
#[derive(Debug, Default)]
pub struct Sample {
    /// The first records, and what was found in all that were looked at.
    pub preview: Preview,
    /// How many items were looked at: the most recent ones.
    pub looked_at: u64,
    /// How many there are.
    pub total: u64,
}

impl Service {
    /// What an export would find and write, by the most recent items of its selection; nothing is written.
    ///
    /// # Errors
    /// Choices that the formats do not allow; nothing that matches; those of the store.
    pub fn preview_export(
        &self,
        caller: &Caller,
        request: &ExportRequest,
    ) -> Result<Sample, Error> {
        caller.needs(Grant::Export)?;
        let request = &request.with_key()?;
        self.check_export(caller, request)?;
        let mut dataset = request.dataset.clone();
        self.open_measure(&mut dataset, self.clock.now())?;
        let (scope, limit) = (caller.scope(), request.selection.limit());
        let total = match &request.selection {
            ItemFilter::Conversations(selection) => self.store.count(&scope, selection)?,
            ItemFilter::Runs(selection) => self.store.count_runs(&scope, selection)?,
            ItemFilter::Documents(selection) => self.store.document_stats(&scope, selection)?.0,
        };
        let total = limit.map_or(total, |limit| total.min(limit));
        if total == 0 {
            return Err(EngineError::Nothing("nothing matches the selection".into()).into());
        }
        let most = usize::try_from(total).unwrap_or(usize::MAX).min(CHECKED_BEFORE);
        let mut unpacker = self.store.unpacker();
        let mut lines = Lines { kind: request.selection.kind(), ..Lines::default() };
        match &request.selection {
            ItemFilter::Conversations(selection) => {
                for summary in
                    self.store.list(&scope, selection, Order::Newest, None, most)?.conversations
                {
                    if !lines.takes(summary.size) {
                        break;
                    }
                    if let Some(line) = self.store.line(&summary, &mut unpacker)? {
                        lines.push(&line, edits_of(&summary));
                    }
                }
            }
            ItemFilter::Documents(selection) => {
                for summary in self.store.documents(&scope, selection, None, most)?.documents {
                    if !lines.takes(summary.size) {
                        break;
                    }
                    if let Some(line) = self.store.document_line(&summary, &mut unpacker)? {
                        lines.push(&line, Edits::default());
                    }
                }
            }
            ItemFilter::Runs(selection) => {
                for summary in self.store.runs(&scope, selection, None, most)?.runs {
                    if !lines.takes(summary.size) {
                        break;
                    }
                    if let Some(line) = self.store.run_line(&summary, &mut unpacker)? {
                        lines.push(&line, Edits::default());
                    }
                }
            }
        }
        let looked_at = lines.items.len() as u64;
        let stop = Stop::current();
        let preview = sample(&dataset, &mut LinesFeed(Arc::new(lines)), stop.flag())?;
        Ok(Sample { preview, looked_at, total })
    }
}

/// Lines of items that are looked at, and what was set in the store instead of what they say.
#[derive(Default)]
struct Lines {
    kind: ItemKind,
    bytes: Vec<u8>,
    items: Vec<(Range<usize>, Edits)>,
}

impl Lines {
    fn takes(&self, size: u64) -> bool {
        self.items.is_empty() || self.bytes.len() as u64 + size <= CHECKED_BEFORE_BYTES
    }

    fn push(&mut self, line: &[u8], edits: Edits) {
        let start = self.bytes.len();
        self.bytes.extend_from_slice(line);
        self.items.push((start..self.bytes.len(), edits));
    }
}

/// All lines in one batch.
struct LinesFeed(Arc<Lines>);

impl Feed for LinesFeed {
    fn total_bytes(&self) -> u64 {
        self.0.bytes.len() as u64
    }

    fn feed(&mut self, to: &mut Outlet<'_>) -> Result<(), EngineError> {
        let name = SourceName { label: STORE.into(), side_of: None };
        let source = Arc::new(Source { place: 0, name, format: None });
        to.send(source, Work::Packed(Box::new(LinesBatch(Arc::clone(&self.0)))));
        Ok(())
    }
}

struct LinesBatch(Arc<Lines>);

impl PackedBatch for LinesBatch {
    fn kind(&self) -> ItemKind {
        self.0.kind
    }

    fn items(&self) -> u64 {
        self.0.items.len() as u64
    }

    fn bytes(&self) -> u64 {
        self.0.bytes.len() as u64
    }

    fn unpack(&self, out: &mut Vec<u8>) -> Vec<Unpacked> {
        out.extend_from_slice(&self.0.bytes);
        let items = (1..).zip(&self.0.items);
        items
            .map(|(ordinal, (line, edits))| Unpacked {
                ordinal,
                line: Ok(line.clone()),
                edits: edits.clone(),
            })
            .collect()
    }

    fn id(&self, _ordinal: u64) -> String {
        String::new()
    }
}
