//! What `convert` is asked to do.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use retort_formats::data::{self, Attachments};
use retort_formats::import::ImportFormat;
use retort_model::bounds::{INFERENCE_BYTES, SHARD_BYTES};
use retort_model::{ConversationFilter, DatasetName, Tally, Time};

use crate::dedup::Dedup;
use crate::error::Error;
use crate::export_options::ExportOptions;
use crate::pipeline::{InputsFeed, PartNumber, Shaping, first_kind, threads, variables};
use crate::plan::DatasetPlan;
use crate::source::{AttachedFiles, Input, Inputs, PassedOver, ReadOptions};

/// What is to be done.
#[derive(Clone)]
pub struct ConvertPlan {
    /// What to read.
    pub inputs: Vec<Input>,
    /// The import format, if it is not to be found out.
    pub from: Option<&'static dyn ImportFormat>,
    /// Which conversations.
    pub selection: ConversationFilter,
    /// What keeps the ids of the inputs apart from others: an id becomes `NAMESPACE/ID`.
    pub namespace: Option<String>,
    /// What is to be made of them.
    pub dataset: DatasetPlan,
    /// What of that the items themselves decide.
    pub by_kind: ByKind,
    /// Where the package goes, or the data file alone; [`OutputForm::of`](crate::OutputForm::of) says which.
    pub output: PathBuf,
    /// Bytes after which the data goes on in a next file.
    pub shard_bytes: u64,
    /// Threads that parse and shape.
    pub threads: usize,
    /// Replace a package that is there.
    pub force: bool,
    /// The moment whose state is exported, if not the newest change of the inputs.
    pub snapshot: Option<Time>,
    /// How the inputs are read.
    pub reading: ReadOptions,
    /// Whether it fails, and publishes nothing, if anything could not be read.
    pub strict: bool,
    /// The part that is made, if it is not the whole; the output is then a folder for [`crate::merge()`].
    pub part: Option<AskedPart>,
}

/// A part of an export.
#[derive(Clone, Debug)]
pub struct AskedPart {
    /// Which one.
    pub part: PartNumber,
    /// What [`crate::merge()`] decided on ids that are repeated in several parts.
    pub repeats: Option<PathBuf>,
}

/// What of a dataset follows the kind of the items that are read, as nobody asked for anything.
#[derive(Clone, Copy, Debug, Default)]
pub struct ByKind {
    /// The data format: the usual one of the purpose for the kind of the first item.
    pub data_format: bool,
    /// The name of the data file: the kind of all items, where they are of one.
    pub file_name: bool,
}

impl ConvertPlan {
    /// A plan for these inputs and options, with the defaults for everything else. Its output is not set.
    ///
    /// # Errors
    /// As [`ExportOptions::resolve`].
    pub fn new(
        inputs: Vec<Input>,
        options: &ExportOptions,
        name: DatasetName,
    ) -> Result<Self, String> {
        Ok(Self {
            inputs,
            from: None,
            selection: ConversationFilter::default(),
            namespace: None,
            dataset: options.resolve(name, None)?,
            by_kind: ByKind {
                data_format: !options.has("data_format") && options.has("purpose"),
                file_name: !options.has("file_name"),
            },
            output: PathBuf::new(),
            shard_bytes: SHARD_BYTES,
            threads: threads(None),
            force: false,
            snapshot: None,
            reading: ReadOptions::default(),
            strict: false,
            part: None,
        })
    }

    /// The plan with what only the items tell: the data format, where it follows their kind, and its columns, where it
    /// has such.
    pub fn completed(&self, inputs: &mut Inputs, stopped: &AtomicBool) -> Result<Self, Error> {
        let mut plan = self.clone();
        if self.by_kind.data_format {
            inputs.keep_stdin()?;
            let mut feed = InputsFeed::new(inputs, self.from);
            let kind = first_kind(&mut feed, &self.shaping(), stopped)?;
            let (purpose, file) = (self.dataset.purpose, self.dataset.file_format.name());
            if let Some(format) = kind.and_then(|kind| data::usual_in(purpose, kind, file)) {
                plan.dataset.data_format = format;
                plan.dataset.check()?;
            }
        }
        if plan.dataset.data_format.has_variables() {
            inputs.keep_stdin()?;
            let mut feed = InputsFeed::new(inputs, plan.from);
            let variables = variables(&mut feed, &plan.shaping(), stopped)?;
            plan.dataset.shape_options.variables = variables;
        }
        Ok(plan)
    }

    /// What is read.
    pub(crate) fn feed<'i>(&self, inputs: &'i Inputs) -> InputsFeed<'i> {
        match &self.part {
            Some(asked) => InputsFeed::of_part(inputs, self.from, asked.part),
            None => InputsFeed::new(inputs, self.from),
        }
    }

    /// Checks that this conversion can be done, in parts if that is asked.
    pub(crate) fn check_ways(&self, inputs: &Inputs) -> Result<(), Error> {
        if self.dataset.dedup == Dedup::Near && self.selection.limit.is_some() {
            let why = "`--dedup near` may keep an item that comes after those that `--limit` takes; leave out one of them, or use `--dedup exact`";
            return Err(Error::Choice(why.into()));
        }
        if self.dataset.split_needs_survey() && self.selection.limit.is_some() {
            let why = "`--group-by duplicates` and `--split-from` look at all items, so they cannot be used with `--limit`; use `--sample`";
            return Err(Error::Choice(why.into()));
        }
        if self.part.is_none() {
            return Ok(());
        }
        if self.dataset.split_needs_survey() {
            let why = "`--group-by duplicates` and `--split-from` compare the items of all parts, so they cannot be used with `--part`; leave out one of them";
            return Err(Error::Choice(why.into()));
        }
        if self.dataset.dedup != Dedup::None {
            let why = "`--dedup` compares the items of all parts, so it cannot be used with `--part`; leave out one of them";
            return Err(Error::Choice(why.into()));
        }
        if self.dataset.sampling.needs_survey() {
            let why = "`--balance` and a number of items for `--sample` count the items of all parts, so they cannot be used with `--part`; use a share such as `--sample 5%`";
            return Err(Error::Choice(why.into()));
        }
        if self.selection.limit.is_some() {
            let why = "`--limit` counts the items of all parts, so it cannot be used with `--part`; leave out one of them";
            return Err(Error::Choice(why.into()));
        }
        match inputs.readable_once() {
            Some(name) => Err(Error::Choice(format!(
                "{name} can be read only once, but each part has to read it; write it to a file, or leave out `--part`"
            ))),
            None => Ok(()),
        }
    }

    /// What was passed over, as it may be told where the dataset goes.
    pub(crate) fn told(&self, mut passed_over: Tally<PassedOver>) -> Tally<PassedOver> {
        if let Some(redactor) = self.dataset.redaction.redactor() {
            passed_over.rename(&|name| redactor.name(name).into_owned());
        }
        passed_over
    }

    /// The files among the inputs, if pictures and the like are to go with the rows.
    pub(crate) fn attached(&self, inputs: &Inputs) -> Option<Arc<AttachedFiles>> {
        let keeps = self.dataset.shape_options.attachments == Attachments::Keep;
        keeps.then(|| Arc::new(AttachedFiles::of(inputs)))
    }

    pub(crate) fn shaping(&self) -> Shaping<'_> {
        Shaping {
            from: self.from,
            namespace: self.namespace.as_deref(),
            // What comes behind the first file comes too late for it.
            inference_bytes: self.shard_bytes.min(INFERENCE_BYTES),
            shard_bytes: self.shard_bytes,
            keeps_batches: self.part.is_some(),
            ..Shaping::of(&self.dataset, &self.selection, self.threads)
        }
    }
}
