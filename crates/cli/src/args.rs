//! Arguments that several commands share.

use std::path::PathBuf;

use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser};
use clap::{Args, ValueEnum};
use retort_formats::data::{Attachments, CallText, DataFormat, Embeddings, ShapeOptions, ToolsAs};
use retort_formats::file::{CsvDialect, FileFormat, FileOptions};
use retort_formats::import::ImportFormat;
use retort_formats::{data, file, import};
use retort_model::{
    Check, DatasetName, DateRange, DocumentSelection, FileName, ItemKind, ItemSelection, Kind,
    Purpose, RunSelection, RunSource, RunStatus, Selection, Status, Time, bounds,
};
use retort_service::{
    ByKind, Compression, ConvertPlan, DatasetPlan, Input, ReadOptions, usual_dialect,
};

use crate::commands::Failure;
use crate::config::item_bytes;

/// What to read.
#[derive(Args)]
pub struct Reading {
    /// Files, folders or archives with histories; `-` is standard input.
    #[arg(required = true, value_name = "INPUT")]
    pub inputs: Vec<PathBuf>,

    /// The import format, if it is not to be found out from the content.
    #[arg(long, value_name = "FORMAT", value_parser = PossibleValuesParser::new(import::FORMATS.iter().map(|f| f.name())))]
    from: Option<String>,

    /// Largest window of a Zstandard stream that is read, in megabytes; reading takes as much memory [default: 134].
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u64).range(1..=4096))]
    max_window: Option<u64>,

    /// Largest single conversation, run or document that is read, in megabytes; reading takes several times as much memory [default: 268, the most].
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u64).range(1..=268))]
    pub max_item: Option<u64>,

    /// Put ids into a namespace (`NAME/ID`), for inputs whose ids may collide with others.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub namespace: Option<String>,
}

/// Which conversations are meant.
#[derive(Args)]
#[command(next_help_heading = "Selection")]
pub struct Filtering {
    /// Only conversations with this text in title or tags; any of several.
    #[arg(long = "search", visible_alias = "select-search", value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    search: Vec<String>,

    /// Only conversations created at this date or time, or later.
    #[arg(long, value_name = "DATE", value_parser = Time::parse)]
    created_from: Option<Time>,

    /// Only conversations created before this date or time.
    #[arg(long, value_name = "DATE", value_parser = Time::parse)]
    created_before: Option<Time>,

    /// Only conversations of this type; any of several.
    #[arg(long = "select-type", visible_alias = "type", value_name = "TYPE", value_parser = parse_kind)]
    kinds: Vec<Kind>,

    /// Only conversations of this status; any of several. Without it, all but the deleted.
    #[arg(long = "select-status", visible_alias = "status", value_name = "STATUS", value_parser = parse_status)]
    statuses: Vec<Status>,

    /// Only the conversation with this id; any of several.
    #[arg(long = "id", visible_alias = "select-id", value_name = "ID")]
    ids: Vec<String>,
}

/// Which conversations to take, and how many at most.
#[derive(Args)]
#[command(next_help_heading = "Selection")]
pub struct Selecting {
    #[command(flatten)]
    filtering: Filtering,

    /// At most so many conversations: of files the first in order, of a store the most recent.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

/// Of which copilot or recipe.
#[derive(Args)]
#[command(next_help_heading = "Selection")]
pub struct Narrowing {
    /// Only runs of this copilot.
    #[arg(long, value_name = "ID", conflicts_with = "recipe")]
    copilot: Option<String>,

    /// Only runs of this webhook recipe.
    #[arg(long, value_name = "ID")]
    recipe: Option<String>,
}

/// What else is asked of runs.
#[derive(Args)]
#[command(next_help_heading = "Selection")]
pub struct RunNarrowing {
    #[command(flatten)]
    of: Narrowing,

    /// Only runs of this version of the copilot or recipe; any of several.
    #[arg(long = "of-version", value_name = "VERSION")]
    versions: Vec<String>,

    /// Only runs that began at this date or time, or later.
    #[arg(long, value_name = "DATE", value_parser = Time::parse)]
    started_from: Option<Time>,

    /// Only runs that began before this date or time.
    #[arg(long, value_name = "DATE", value_parser = Time::parse)]
    started_before: Option<Time>,

    /// Only runs that someone judged, or that nobody did.
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    has_feedback: Option<bool>,

    /// Only runs that failed or name an error, or those that did not.
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    has_error: Option<bool>,

    /// Only runs that passed this node.
    #[arg(long, value_name = "NODE")]
    passed: Option<String>,
}

/// Which runs are meant.
#[derive(Args)]
#[command(next_help_heading = "Selection")]
pub struct RunFiltering {
    #[command(flatten)]
    narrowing: RunNarrowing,

    /// Only runs with this text in the request id, or at the start of question, answer or error; any of several.
    #[arg(long = "search", value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    search: Vec<String>,

    /// Only runs of this status; any of several.
    #[arg(long = "status", value_name = "STATUS", value_parser = parse_run_status)]
    statuses: Vec<RunStatus>,

    /// Only the run with this request id; any of several.
    #[arg(long = "id", value_name = "ID")]
    ids: Vec<String>,
}

/// Which items an export takes: conversations, or runs.
#[derive(Args)]
#[command(next_help_heading = "Selection")]
pub struct Exporting {
    #[command(flatten)]
    selecting: Selecting,

    /// Runs, not conversations; any option of runs says so, too.
    #[arg(long)]
    runs: bool,

    /// Documents, not conversations.
    #[arg(long, conflicts_with = "runs")]
    documents: bool,

    #[command(flatten)]
    narrowing: RunNarrowing,

    /// Only runs of this status; any of several.
    #[arg(long = "run-status", value_name = "STATUS", value_parser = parse_run_status)]
    run_statuses: Vec<RunStatus>,
}

/// Conversations that are to be changed: some by id, those that a filter means, or all.
#[derive(Args)]
pub struct Choosing {
    /// The conversations, by id.
    #[arg(value_name = "ID")]
    conversations: Vec<String>,

    #[command(flatten)]
    filtering: Filtering,

    /// All of them.
    #[arg(long, conflicts_with = "conversations")]
    all: bool,
}

/// Reads how long a page of a list is; `of_what` says what is on it, and where more of it is.
pub fn page_length(
    of_what: &'static str,
) -> impl Fn(&str) -> Result<usize, String> + Clone + Send + Sync {
    move |text| {
        let most = bounds::PAGE_ITEMS;
        let length = text.parse().ok().filter(|length| (1..=most).contains(length));
        length.ok_or_else(|| format!("a page has 1 to {most} {of_what}"))
    }
}

fn parse_kind(text: &str) -> Result<Kind, String> {
    text.parse()
}

fn parse_run_status(text: &str) -> Result<RunStatus, String> {
    text.parse()
}

fn parse_status(text: &str) -> Result<Status, String> {
    text.parse()
}

fn parse_check(text: &str) -> Result<Check, String> {
    text.parse()
}

/// How to shape and check the records.
#[derive(Args)]
#[command(next_help_heading = "Records")]
pub struct Shaping {
    /// The shape of the records (`retort formats` says what each is for) [default: that of the purpose, `standard`
    /// without one].
    #[arg(short, long, visible_alias = "to", value_name = "FORMAT",
          value_parser = PossibleValuesParser::new(data::FORMATS.iter().map(|f| f.name())))]
    data_format: Option<String>,

    /// What the dataset is for: it decides on the usual format, and which formats there are.
    #[arg(long, value_name = "PURPOSE",
          value_parser = PossibleValuesParser::new(Purpose::ALL.iter().map(|one| one.as_str())))]
    purpose: Option<String>,

    /// The node of the runs whose executions become the records, for the purposes that need one.
    #[arg(long, value_name = "NODE")]
    node: Option<String>,

    /// What to do with records that trainers would refuse: mend them, leave them out, or write them as they are.
    #[arg(long, value_name = "repair|reject|off", default_value = "repair", value_parser = parse_check)]
    check: Check,

    /// Write arguments that are no JSON object as `{"_raw": …}` instead of leaving the record out.
    #[arg(long)]
    wrap_arguments: bool,

    /// Fill gaps with placeholders (a missing result, missing arguments, an empty message) instead of cutting them out.
    #[arg(long)]
    fill: bool,

    /// Where text beside tool calls goes: it stays in the message if the format can hold it, or moves to `extra`.
    #[arg(long, value_name = "keep|extra", default_value = "keep")]
    call_text: CallTextTo,

    /// What to do with answers that follow a picture, sound or file that the rows do not carry: leave them out of
    /// training, or drop the attachment and train on them.
    #[arg(long, value_name = "leave-out|drop", default_value = "leave-out")]
    attachments: WithAttachments,

    /// How `standard` writes tools in JSON Lines: as text, which trains everywhere, or as a bare array.
    #[arg(long, value_name = "text|array", default_value = "text")]
    tools: Tools,

    /// Write the histories of sub-agents as records of their own, too.
    #[arg(long)]
    tasks: bool,

    /// Retrieved passages carried with one answer, at most.
    #[arg(long, value_name = "N", default_value_t = bounds::CONTEXTS_PER_MESSAGE)]
    max_contexts: usize,

    /// How embeddings of documents are written: in 64 bits a number, in 32 where that holds all that a number says, or
    /// not at all.
    #[arg(long, value_name = "f64|f32|none", default_value = "f64")]
    embeddings: EmbeddingsAs,
}

#[derive(Clone, Copy, ValueEnum)]
enum EmbeddingsAs {
    F64,
    F32,
    None,
}

#[derive(Clone, Copy, ValueEnum)]
enum CallTextTo {
    Keep,
    Extra,
}

#[derive(Clone, Copy, ValueEnum)]
enum WithAttachments {
    LeaveOut,
    Drop,
}

#[derive(Clone, Copy, ValueEnum)]
enum Tools {
    Text,
    Array,
}

/// For whom CSV is written.
#[derive(Clone, Copy, ValueEnum)]
enum Dialect {
    /// For people: a byte order mark, and cells guarded that a spreadsheet would run.
    Spreadsheet,
    /// For programs: neither.
    Plain,
}

/// What the data file is to be.
#[derive(Args)]
#[command(next_help_heading = "Package")]
pub struct Making {
    /// Name of the data file, without its ending [default: what it is of: `conversations`, `runs` or `documents`].
    #[arg(long, value_name = "NAME")]
    pub file_name: Option<FileName>,

    /// The kind of data file.
    #[arg(short, long, value_name = "FORMAT", default_value = "jsonl",
          value_parser = PossibleValuesParser::new(file::FORMATS.iter().map(|f| f.name())))]
    file_format: String,

    /// Compress the data file as a whole.
    #[arg(long, value_name = "none|gzip|zstd", default_value = "none", value_parser = parse_compression)]
    compress: Compression,

    /// For whom CSV is written [default: `plain` to evaluate or to train, else `spreadsheet`].
    #[arg(long, value_name = "spreadsheet|plain")]
    csv: Option<Dialect>,

    /// List each repair and warning in `findings.jsonl`, with the record and its place in the input. Without it the
    /// receipt has the counts and the first ids.
    #[arg(long)]
    findings: bool,
}

fn parse_compression(text: &str) -> Result<Compression, String> {
    text.parse()
}

impl Reading {
    /// What to read.
    pub fn inputs(&self) -> Vec<Input> {
        let stdin = std::path::Path::new("-");
        let input = |path: &PathBuf| {
            if path == stdin { Input::Stdin } else { Input::Path(path.clone()) }
        };
        self.inputs.iter().map(input).collect()
    }

    /// How it is read.
    pub fn options(&self) -> ReadOptions {
        let usual = ReadOptions::default();
        let asked = self.max_window.map(|mb| mb.saturating_mul(1_000_000));
        ReadOptions {
            max_window: asked.unwrap_or(usual.max_window),
            max_item: self.max_item.map_or(usual.max_item, item_bytes),
        }
    }

    /// The import format that was named.
    pub fn from(&self) -> Option<&'static dyn ImportFormat> {
        self.from.as_deref().and_then(import::by_name)
    }
}

impl From<Filtering> for Selection {
    fn from(filtering: Filtering) -> Self {
        Self {
            search: filtering.search,
            created: DateRange { from: filtering.created_from, before: filtering.created_before },
            kinds: filtering.kinds,
            statuses: filtering.statuses,
            ids: filtering.ids.into_iter().collect(),
            ..Self::default()
        }
    }
}

impl From<Selecting> for Selection {
    fn from(selecting: Selecting) -> Self {
        Self { limit: selecting.limit, ..selecting.filtering.into() }
    }
}

impl From<Narrowing> for RunSelection {
    fn from(of: Narrowing) -> Self {
        let source = match (&of.copilot, &of.recipe) {
            (Some(_), _) => Some(RunSource::Copilot),
            (None, Some(_)) => Some(RunSource::Recipe),
            (None, None) => None,
        };
        Self { source, flow: of.copilot.or(of.recipe), ..Self::default() }
    }
}

impl From<RunNarrowing> for RunSelection {
    fn from(narrowing: RunNarrowing) -> Self {
        Self {
            versions: narrowing.versions,
            started: DateRange { from: narrowing.started_from, before: narrowing.started_before },
            has_feedback: narrowing.has_feedback,
            has_error: narrowing.has_error,
            node: narrowing.passed,
            ..narrowing.of.into()
        }
    }
}

impl From<RunFiltering> for RunSelection {
    fn from(filtering: RunFiltering) -> Self {
        Self {
            search: filtering.search,
            statuses: filtering.statuses,
            ids: filtering.ids.into_iter().collect(),
            ..filtering.narrowing.into()
        }
    }
}

impl Exporting {
    /// What is meant. Texts, ids and the limit are asked of either kind.
    pub fn selection(self) -> Result<ItemSelection, Failure> {
        let of_runs = RunSelection { statuses: self.run_statuses, ..self.narrowing.into() };
        let selection = Selection::from(self.selecting);
        if self.documents {
            let of_documents = Selection {
                search: selection.search.clone(),
                created: selection.created,
                ids: selection.ids.clone(),
                limit: selection.limit,
                ..Selection::default()
            };
            if selection != of_documents || of_runs != RunSelection::default() {
                return Err(
                    "documents are chosen by `--search`, `--created`, `--id` and `--limit` alone"
                        .into(),
                );
            }
            let Selection { search, created, ids, limit, .. } = selection;
            return Ok(DocumentSelection { search, created, ids, limit }.into());
        }
        if !self.runs && of_runs == RunSelection::default() {
            return Ok(selection.into());
        }
        let shared = Selection {
            search: selection.search.clone(),
            ids: selection.ids.clone(),
            limit: selection.limit,
            ..Selection::default()
        };
        if selection != shared {
            return Err(
                "dates of creation, types and statuses are those of conversations; for runs \
                        there are `--started-from`, `--started-before` and `--run-status`"
                    .into(),
            );
        }
        let Selection { search, ids, limit, .. } = selection;
        Ok(RunSelection { search, ids, limit, ..of_runs }.into())
    }
}

impl Choosing {
    /// What was chosen. Without a status, ids mean conversations of any, and a filter those of `statuses`, where
    /// none stands for all but the deleted.
    pub fn selection(self, statuses: &[Status]) -> Result<Selection, Failure> {
        let mut selection = Selection::from(self.filtering);
        selection.ids.extend(self.conversations);
        match (self.all, selection == Selection::default()) {
            (false, true) => {
                return Err(
                    "say which conversations are meant: ids, or a filter such as `--search TEXT`; \
                            `--all` means all of them"
                        .into(),
                );
            }
            (true, false) => return Err("`--all` goes with no ids and no filter".into()),
            _ => {}
        }
        if selection.statuses.is_empty() {
            let statuses = if selection.ids.is_empty() { statuses } else { Status::ALL };
            selection.statuses = statuses.to_vec();
        }
        Ok(selection)
    }
}

/// What is to be made, of items of a kind if that is known before they are read.
pub fn dataset_plan(
    shaping: &Shaping,
    making: Making,
    name: DatasetName,
    kind: Option<ItemKind>,
) -> Result<DatasetPlan, Failure> {
    let mut plan = shown_plan(shaping, kind)?;
    plan.file_format = file_format(&making.file_format)?;
    let is_of_documents = kind == Some(ItemKind::Document) && shaping.data_format.is_none();
    if is_of_documents && !plan.data_format.file_formats().contains(&plan.file_format.name()) {
        plan.data_format = data_format("chunks")?;
    }
    plan.file_options.csv = making.csv.map_or(usual_dialect(plan.purpose), CsvDialect::from);
    plan.compression = making.compress;
    plan.findings = making.findings;
    plan.dataset_name = name;
    if let Some(file_name) = making.file_name {
        plan.file_name = file_name;
    }
    Ok(plan)
}

/// What is to be shown, as JSON lines.
fn shown_plan(shaping: &Shaping, kind: Option<ItemKind>) -> Result<DatasetPlan, Failure> {
    let most = bounds::CONTEXTS_PER_MESSAGE;
    if shaping.max_contexts > most {
        return Err(format!("`--max-contexts` is at most {most}").into());
    }
    let purpose = shaping.purpose.as_deref().map(str::parse::<Purpose>).transpose()?;
    let data_format = match (&shaping.data_format, purpose) {
        (Some(name), _) => data_format(name)?,
        (None, purpose) => usual(purpose.unwrap_or_default(), kind)?,
    };
    Ok(DatasetPlan {
        purpose: purpose.or_else(|| data_format.purposes().first().copied()).unwrap_or_default(),
        data_format,
        file_format: file_format("jsonl")?,
        shape_options: ShapeOptions {
            check: shaping.check,
            tools: match shaping.tools {
                Tools::Text => ToolsAs::Text,
                Tools::Array => ToolsAs::Array,
            },
            wrap_arguments: shaping.wrap_arguments,
            fill: shaping.fill,
            call_text: match shaping.call_text {
                CallTextTo::Keep => CallText::Keep,
                CallTextTo::Extra => CallText::Extra,
            },
            attachments: match shaping.attachments {
                WithAttachments::LeaveOut => Attachments::LeaveOut,
                WithAttachments::Drop => Attachments::Drop,
            },
            tasks: shaping.tasks,
            max_contexts: shaping.max_contexts,
            embeddings: match shaping.embeddings {
                EmbeddingsAs::F64 => Embeddings::F64,
                EmbeddingsAs::F32 => Embeddings::F32,
                EmbeddingsAs::None => Embeddings::Without,
            },
            node: shaping.node.as_deref().map(Into::into),
            variables: [].into(),
        },
        file_options: FileOptions::default(),
        compression: Compression::None,
        dataset_name: "preview".parse()?,
        file_name: kind.unwrap_or_default().plural().parse()?,
        findings: false,
    })
}

/// The plan of a conversion, but for what is made and where it goes.
pub fn plan(
    reading: &Reading,
    selecting: Selecting,
    shaping: &Shaping,
) -> Result<ConvertPlan, Failure> {
    Ok(ConvertPlan {
        inputs: reading.inputs(),
        from: reading.from(),
        selection: selecting.into(),
        namespace: reading.namespace.clone(),
        dataset: shown_plan(shaping, None)?,
        by_kind: ByKind {
            data_format: shaping.data_format.is_none() && shaping.purpose.is_some(),
            file_name: false,
        },
        output: PathBuf::new(),
        shard_bytes: bounds::SHARD_BYTES,
        threads: threads(None),
        force: false,
        snapshot: snapshot()?,
        reading: reading.options(),
        strict: false,
    })
}

/// The data format that a purpose usually takes, for a kind of item, or else for whatever kind there is one.
fn usual(purpose: Purpose, kind: Option<ItemKind>) -> Result<&'static dyn DataFormat, Failure> {
    kind.as_ref()
        .map_or(ItemKind::ALL, std::slice::from_ref)
        .iter()
        .find_map(|kind| data::usual(purpose, *kind))
        .ok_or_else(|| format!("no data format is made for `{purpose}`").into())
}

fn data_format(name: &str) -> Result<&'static dyn DataFormat, Failure> {
    data::by_name(name).ok_or_else(|| format!("unknown data format `{name}`").into())
}

fn file_format(name: &str) -> Result<&'static dyn FileFormat, Failure> {
    file::by_name(name).ok_or_else(|| format!("unknown file format `{name}`").into())
}

impl From<Dialect> for CsvDialect {
    fn from(dialect: Dialect) -> Self {
        match dialect {
            Dialect::Spreadsheet => Self::Spreadsheet,
            Dialect::Plain => Self::Plain,
        }
    }
}

/// As many threads as asked, else as the machine has cores; within the bound.
pub fn threads(asked: Option<usize>) -> usize {
    let cores = || std::thread::available_parallelism().map_or(1, usize::from);
    asked.unwrap_or_else(cores).clamp(1, bounds::THREADS)
}

/// The moment that `SOURCE_DATE_EPOCH` sets for builds that are to be the same again.
fn snapshot() -> Result<Option<Time>, Failure> {
    match std::env::var("SOURCE_DATE_EPOCH") {
        Err(_) => Ok(None),
        Ok(text) => match Time::from_epoch(text.trim()) {
            Some(time) => Ok(Some(time)),
            None => {
                Err(format!("`SOURCE_DATE_EPOCH` must be seconds since 1970, not `{text}`").into())
            }
        },
    }
}
