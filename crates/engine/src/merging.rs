//! What merging parts and merging the packages of a series have in common: batches of rows, shaped before, become the data
//! files of one package.

use std::path::Path;
use std::sync::atomic::AtomicBool;

use retort_model::ConversationFilter;
use retort_model::bounds::INFERENCE_BYTES;

use crate::draft::Draft;
use crate::error::Error;
use crate::files::{Part, PartWriter, WHOLE};
use crate::pipeline::{More, Observer, Shaping, Totals, regroup};
use crate::plan::DatasetPlan;
use crate::record_files::RecordFiles;

/// Where the package goes, how it is written, and who watches.
#[derive(Clone, Copy)]
pub(crate) struct Merging<'m> {
    pub(crate) path: &'m Path,
    /// Whether it replaces what is there.
    pub(crate) force: bool,
    /// Threads that encode.
    pub(crate) threads: usize,
    pub(crate) observer: &'m dyn Observer,
    pub(crate) stopped: &'m AtomicBool,
}

/// Packed batches of rows.
pub(crate) struct PackedBatches<'b> {
    /// The next one, in their order.
    pub(crate) next: &'b mut dyn FnMut() -> Result<Option<Box<[u8]>>, Error>,
    /// About as many bytes as all of them have.
    pub(crate) bytes: u64,
    /// Bytes at which a data file is full.
    pub(crate) shard_bytes: u64,
}

impl Merging<'_> {
    /// Writes batches to the data files of a draft, and what `add_files` adds to the files of the records.
    ///
    /// # Errors
    /// The output is in use; those of the batches; failing I/O.
    pub(crate) fn write(
        &self,
        dataset: &DatasetPlan,
        batches: PackedBatches<'_>,
        totals: Totals,
        add_files: impl FnOnce(&RecordFiles<'_>) -> Result<(), Error>,
    ) -> Result<(Draft, Part, Totals), Error> {
        dataset.check_output(self.path)?;
        let PackedBatches { next, bytes, shard_bytes } = batches;
        let draft = Draft::begin(self.path, self.force)?;
        let storage = draft.storage();
        let mut writer =
            PartWriter::begin(dataset, &storage, WHOLE.into(), shard_bytes, self.threads);
        let everything = ConversationFilter::default();
        let mut shaping = Shaping::of(dataset, &everything, self.threads);
        shaping.inference_bytes = shard_bytes.min(INFERENCE_BYTES);
        shaping.shard_bytes = shard_bytes;
        let totals =
            regroup(next, bytes, &shaping, totals, self.observer, self.stopped, &mut |delivery| {
                writer.take(delivery).map(|()| More::Wanted)
            })?;
        add_files(&writer.record_files())?;
        let part = writer.finish()?;
        Ok((draft, part, totals))
    }
}
