//! `preview` and `stats` of an export: the first records as they would be written, and what is in the items, with nothing
//! written.

use std::sync::atomic::AtomicBool;

use std::collections::BTreeSet;

use retort_engine::{
    Dedup, Error as EngineError, Preview, Sampling, Split, Stats, sample, stats_of,
};
use retort_model::bounds::{CHECKED_BEFORE, CHECKED_BEFORE_BYTES};
use retort_model::{
    Check, ConversationFilter, DocumentFilter, Grant, ItemFilter, ItemKind, RunFilter, Status,
};
use retort_store::{Dataset, Stop};

use crate::caller::Caller;
use crate::error::Error;
use crate::export::KeptExport;
use crate::listed::ListedFeed;
use crate::queue::ExportRequest;
use crate::service::Service;

/// How often a selection is read again that changed while it was read.
const TRIES: usize = 3;

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
        self.open_files(&mut dataset, self.clock.now())?;
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
        let most = (CHECKED_BEFORE as u64, CHECKED_BEFORE_BYTES);
        let mut feed = ListedFeed::new(&self.store, &scope, &request.selection, most);
        let stop = Stop::current();
        let preview = sample(&dataset, &mut feed, stop.flag())?;
        Ok(Sample { preview, looked_at: feed.items, total })
    }

    /// The records of an item, as an export with the options of a dataset would write them now: as the check leaves them if it
    /// repairs nothing, and as it does.
    ///
    /// # Errors
    /// There is no such item any more; the options no longer go together; those of the store.
    pub fn repairs_of(
        &self,
        caller: &Caller,
        dataset: &Dataset,
        (kind, id): (ItemKind, &str),
    ) -> Result<[Vec<String>; 2], Error> {
        let mut plan = KeptExport::read(&self.store.job_of_dataset(dataset)?)?.dataset;
        // One item alone is no sample, has no duplicates, and goes to no output of several.
        plan.sampling = Sampling::default();
        plan.dedup = Dedup::default();
        (plan.split, plan.split_from) = (Split::default(), None);
        let ids: BTreeSet<String> = [id.to_owned()].into();
        let selection = match kind {
            ItemKind::Conversation => ItemFilter::Conversations(ConversationFilter {
                ids,
                statuses: Status::ALL.to_vec(),
                ..ConversationFilter::default()
            }),
            ItemKind::Run => ItemFilter::Runs(RunFilter { ids, ..RunFilter::default() }),
            ItemKind::Document => {
                ItemFilter::Documents(DocumentFilter { ids, ..DocumentFilter::default() })
            }
        };
        let mut request = ExportRequest { selection, dataset: plan };
        let after = self.preview_export(caller, &request)?.preview.records;
        request.dataset.shape_options.check = Check::Off;
        let before = self.preview_export(caller, &request)?.preview.records;
        Ok([before, after])
    }

    /// What is in the items that an export would read and in those that it would write; nothing is written. Duplicates are
    /// looked for as the options of the export say, or else as `counting` does, which leaves none of them out.
    ///
    /// # Errors
    /// Choices that the formats do not allow; nothing that matches; items that change while they are read twice; those of
    /// the store.
    pub fn export_stats(
        &self,
        caller: &Caller,
        request: &ExportRequest,
        counting: Dedup,
        stopped: &AtomicBool,
    ) -> Result<Stats, Error> {
        caller.needs(Grant::Export)?;
        let request = &request.with_key()?;
        self.check_export(caller, request)?;
        let mut dataset = request.dataset.clone();
        self.open_files(&mut dataset, self.clock.now())?;
        if let Some((earlier, mut package)) = self.split_from(caller, &dataset)? {
            dataset.pin(&mut package, earlier.name.as_ref())?;
        }
        let scope = caller.scope();
        for _ in 0..TRIES {
            let everything = (u64::MAX, u64::MAX);
            let mut feed = ListedFeed::new(&self.store, &scope, &request.selection, everything);
            let stats = stats_of(&dataset, &mut feed, counting, self.settings.threads, stopped)?;
            if feed.readings.windows(2).all(|two| matches!(two, [one, other] if one == other)) {
                return Ok(stats);
            }
        }
        Err(Error::Conflict(
            "the selection changed while it was read; try again, or do not look for duplicates"
                .into(),
        ))
    }
}
