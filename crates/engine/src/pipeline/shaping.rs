//! What happens to each item of an export.

use std::sync::Arc;

use retort_formats::data::{DataFormat, ShapeOptions};
use retort_formats::file::{FileFormat, FileOptions};
use retort_formats::import::ImportFormat;
use retort_model::ConversationFilter;
use retort_model::bounds::INFERENCE_BYTES;
use retort_redact::Redactor;

use crate::decontaminate::Benchmarks;
use crate::dedup::Dedup;
use crate::measure::Measure;
use crate::plan::DatasetPlan;
use crate::record_files::RecordFiles;
use crate::sampling::Sampling;
use crate::source::AttachedFiles;
use crate::split::{GroupBy, Split};
use crate::split_groups::Pinned;

/// What happens to each item.
#[derive(Clone)]
pub struct Shaping<'p> {
    /// The import format, if it was named.
    pub from: Option<&'static dyn ImportFormat>,
    /// Which items are chosen.
    pub selection: &'p ConversationFilter,
    /// What is put before all ids.
    pub namespace: Option<&'p str>,
    /// The shape of the records.
    pub data_format: &'static dyn DataFormat,
    /// The kind of file.
    pub file_format: &'static dyn FileFormat,
    /// Options of the data format.
    pub shape_options: ShapeOptions,
    /// Options of the file format.
    pub file_options: FileOptions,
    /// Threads that parse and shape.
    pub threads: usize,
    /// Bytes at the start of the first file from which readers infer the types of its columns.
    pub inference_bytes: u64,
    /// Bytes at which a data file is full; files end before, where their content says so.
    pub shard_bytes: u64,
    /// Whether each delivery says what was counted up to it.
    pub tells_account: bool,
    /// Measures records, where that is asked.
    pub measure: Option<Arc<Measure>>,
    /// Whether each repair and warning is listed.
    pub lists_findings: bool,
    /// Whether each batch is kept by itself, as one of a part of the export.
    pub keeps_batches: bool,
    /// The outputs.
    pub split: Split,
    /// What goes to one output as a whole.
    pub group_by: GroupBy,
    /// Whether the outputs of items depend on other items.
    pub split_needs_survey: bool,
    /// The outputs of the items of an earlier dataset.
    pub pinned: Option<Arc<Pinned>>,
    /// Which duplicates are left out.
    pub dedup: Dedup,
    /// The benchmarks whose text is looked for in the items.
    pub benchmarks: Option<Arc<Benchmarks>>,
    /// Which of the items are written, if not all.
    pub sampling: Sampling,
    /// Replaces secrets and personal data, where that is asked.
    pub redactor: Option<Arc<Redactor>>,
    /// How many of its hits are listed.
    pub hits_listed: usize,
    /// The files among the inputs, where histories may name them.
    pub attached: Option<Arc<AttachedFiles>>,
    /// Where the files of records are written; none if only the rows are wanted.
    pub record_files: Option<Arc<RecordFiles<'p>>>,
    /// Whether it is counted where the items come from.
    pub counts_origins: bool,
    /// Whether it is counted what is in the items.
    pub counts_contents: bool,
}

impl<'p> Shaping<'p> {
    /// What a dataset's plan says of items that `selection` chooses.
    pub fn of(plan: &DatasetPlan, selection: &'p ConversationFilter, threads: usize) -> Self {
        Self {
            from: None,
            selection,
            namespace: None,
            data_format: plan.data_format,
            file_format: plan.file_format,
            shape_options: plan.shape_options.clone(),
            file_options: plan.file_options,
            threads: threads.max(1),
            inference_bytes: INFERENCE_BYTES,
            shard_bytes: u64::MAX,
            tells_account: false,
            measure: plan.measure.clone(),
            lists_findings: plan.findings,
            keeps_batches: false,
            split: plan.split.clone(),
            group_by: plan.group_by,
            split_needs_survey: plan.split_needs_survey(),
            pinned: plan.pinned.clone(),
            dedup: plan.dedup,
            benchmarks: plan.benchmarks.clone(),
            sampling: plan.sampling,
            redactor: plan.redaction.redactor(),
            hits_listed: 0,
            attached: None,
            record_files: None,
            counts_origins: plan.papers.is_some(),
            counts_contents: false,
        }
    }
}
