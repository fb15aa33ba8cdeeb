//! Arguments that several commands share.

use std::path::PathBuf;

use clap::Args;
use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser};

use retort_formats::import;
use retort_formats::import::ImportFormat;
use retort_model::{
    ConversationFilter, DateRange, DocumentFilter, ItemFilter, Kind, RunFilter, RunSource,
    RunStatus, Status, Time, bounds, check_search,
};
use retort_service::{ByKind, ConvertPlan, Input, ReadOptions};

use crate::commands::Failure;
use crate::config::item_bytes;
use crate::options::Records;

/// What to read.
#[derive(Args)]
pub struct InputArgs {
    /// Files, folders or archives with histories; `-` is standard input.
    #[arg(required = true, value_name = "INPUT")]
    pub inputs: Vec<PathBuf>,

    /// Import format [default: detected from the content].
    #[arg(long, value_name = "FORMAT", value_parser = PossibleValuesParser::new(import::FORMATS.iter().map(|f| f.name())))]
    from: Option<String>,

    /// Largest window of a Zstandard stream to accept, in megabytes; reading needs as much memory [default: 134].
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u64).range(1..=4096))]
    max_window: Option<u64>,

    /// Largest conversation, run or document to accept, in megabytes; reading needs several times as much memory [default: 268, the maximum].
    #[arg(long, value_name = "MB", value_parser = clap::value_parser!(u64).range(1..=268))]
    pub max_item: Option<u64>,

    /// Put ids into a namespace (`NAME/ID`), if they might collide with ids of other inputs.
    #[arg(long, value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
    pub namespace: Option<String>,
}

/// Which conversations are meant.
#[derive(Args)]
#[command(next_help_heading = "Selection")]
pub struct FilterArgs {
    /// Only conversations with this text in the title or tags; repeatable.
    #[arg(long = "search", visible_alias = "select-search", value_name = "TEXT", value_parser = NonEmptyStringValueParser::new())]
    search: Vec<String>,

    /// Only conversations created at or after this date or time.
    #[arg(long, value_name = "DATE", value_parser = Time::parse)]
    created_from: Option<Time>,

    /// Only conversations created before this date or time.
    #[arg(long, value_name = "DATE", value_parser = Time::parse)]
    created_before: Option<Time>,

    /// Only conversations of this type; repeatable.
    #[arg(long = "select-type", visible_alias = "type", value_name = "TYPE", value_parser = parse_kind)]
    kinds: Vec<Kind>,

    /// Only conversations with this status; repeatable [default: all except deleted ones].
    #[arg(long = "select-status", visible_alias = "status", value_name = "STATUS", value_parser = parse_status)]
    statuses: Vec<Status>,

    /// Only the conversation with this id; repeatable.
    #[arg(long = "id", visible_alias = "select-id", value_name = "ID")]
    ids: Vec<String>,
}

/// Which conversations to take, and how many at most.
#[derive(Args)]
#[command(next_help_heading = "Selection")]
pub struct SelectionArgs {
    #[command(flatten)]
    filtering: FilterArgs,

    /// At most N conversations: the first ones in files, the newest ones in a store.
    #[arg(long, value_name = "N")]
    limit: Option<u64>,
}

/// Of which copilot, recipe or application.
#[derive(Args)]
#[command(next_help_heading = "Selection")]
pub struct Narrowing {
    /// Only runs of this copilot.
    #[arg(long, value_name = "ID", conflicts_with = "recipe")]
    copilot: Option<String>,

    /// Only runs of this webhook recipe.
    #[arg(long, value_name = "ID")]
    recipe: Option<String>,

    /// Only runs of this traced application.
    #[arg(long, value_name = "ID", conflicts_with_all = ["copilot", "recipe"])]
    application: Option<String>,
}

/// What else is asked of runs.
#[derive(Args)]
#[command(next_help_heading = "Selection")]
pub struct RunNarrowing {
    #[command(flatten)]
    of: Narrowing,

    /// Only runs of this version of the copilot or recipe; repeatable.
    #[arg(long = "of-version", value_name = "VERSION")]
    versions: Vec<String>,

    /// Only runs that began at or after this date or time.
    #[arg(long, value_name = "DATE", value_parser = Time::parse)]
    started_from: Option<Time>,

    /// Only runs that began before this date or time.
    #[arg(long, value_name = "DATE", value_parser = Time::parse)]
    started_before: Option<Time>,

    /// Only runs with feedback, or only runs without.
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    has_feedback: Option<bool>,

    /// Only runs that failed or have an error, or only those that did not.
    #[arg(long, value_name = "true|false", num_args = 0..=1, default_missing_value = "true")]
    has_error: Option<bool>,

    /// Only runs that executed this node.
    #[arg(long, value_name = "NODE")]
    passed: Option<String>,
}

/// Which runs are meant.
#[derive(Args)]
#[command(next_help_heading = "Selection")]
pub struct RunFilterArgs {
    #[command(flatten)]
    narrowing: RunNarrowing,

    /// Only runs with this text in the request id, or at the start of the question, answer or error; repeatable.
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
    selecting: SelectionArgs,

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
    filtering: FilterArgs,

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

impl InputArgs {
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

/// The texts that are searched for, bounded as a server bounds them.
pub fn searched(texts: Vec<String>) -> Result<Vec<String>, Failure> {
    check_search(&texts)?;
    Ok(texts)
}

impl TryFrom<FilterArgs> for ConversationFilter {
    type Error = Failure;

    fn try_from(filtering: FilterArgs) -> Result<Self, Failure> {
        Ok(Self {
            search: searched(filtering.search)?,
            created: DateRange { from: filtering.created_from, before: filtering.created_before },
            kinds: filtering.kinds,
            statuses: filtering.statuses,
            ids: filtering.ids.into_iter().collect(),
            ..Self::default()
        })
    }
}

impl TryFrom<SelectionArgs> for ConversationFilter {
    type Error = Failure;

    fn try_from(selecting: SelectionArgs) -> Result<Self, Failure> {
        Ok(Self { limit: selecting.limit, ..selecting.filtering.try_into()? })
    }
}

impl From<Narrowing> for RunFilter {
    fn from(of: Narrowing) -> Self {
        let named = [
            (RunSource::Copilot, of.copilot),
            (RunSource::Recipe, of.recipe),
            (RunSource::Application, of.application),
        ];
        let found = named.into_iter().find_map(|(source, id)| Some((source, id?)));
        let (source, flow) = found.unzip();
        Self { source, flow, ..Self::default() }
    }
}

impl From<RunNarrowing> for RunFilter {
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

impl TryFrom<RunFilterArgs> for RunFilter {
    type Error = Failure;

    fn try_from(filtering: RunFilterArgs) -> Result<Self, Failure> {
        Ok(Self {
            search: searched(filtering.search)?,
            statuses: filtering.statuses,
            ids: filtering.ids.into_iter().collect(),
            ..filtering.narrowing.into()
        })
    }
}

impl Exporting {
    /// What is meant. Texts, ids and the limit are asked of either kind.
    pub fn selection(self) -> Result<ItemFilter, Failure> {
        let of_runs = RunFilter { statuses: self.run_statuses, ..self.narrowing.into() };
        let selection = ConversationFilter::try_from(self.selecting)?;
        if self.documents {
            let of_documents = ConversationFilter {
                search: selection.search.clone(),
                created: selection.created,
                ids: selection.ids.clone(),
                limit: selection.limit,
                ..ConversationFilter::default()
            };
            if selection != of_documents || of_runs != RunFilter::default() {
                return Err(
                    "documents are chosen by `--search`, `--created`, `--id` and `--limit` alone"
                        .into(),
                );
            }
            let ConversationFilter { search, created, ids, limit, .. } = selection;
            return Ok(DocumentFilter { search, created, ids, limit }.into());
        }
        if !self.runs && of_runs == RunFilter::default() {
            return Ok(selection.into());
        }
        let shared = ConversationFilter {
            search: selection.search.clone(),
            ids: selection.ids.clone(),
            limit: selection.limit,
            ..ConversationFilter::default()
        };
        if selection != shared {
            return Err(
                "dates of creation, types and statuses are those of conversations; for runs \
                        there are `--started-from`, `--started-before` and `--run-status`"
                    .into(),
            );
        }
        let ConversationFilter { search, ids, limit, .. } = selection;
        Ok(RunFilter { search, ids, limit, ..of_runs }.into())
    }
}

impl Choosing {
    /// What was chosen. Without a status, ids mean conversations of any, and a filter those of `statuses`, where
    /// none stands for all but the deleted.
    pub fn selection(self, statuses: &[Status]) -> Result<ConversationFilter, Failure> {
        let mut selection = ConversationFilter::try_from(self.filtering)?;
        selection.ids.extend(self.conversations);
        match (self.all, selection == ConversationFilter::default()) {
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

/// The plan of a conversion, but for what is made and where it goes.
pub fn plan(
    reading: &InputArgs,
    selecting: SelectionArgs,
    records: &Records,
) -> Result<ConvertPlan, Failure> {
    Ok(ConvertPlan {
        inputs: reading.inputs(),
        from: reading.from(),
        selection: selecting.try_into()?,
        namespace: reading.namespace.clone(),
        dataset: records.0.resolve("preview".parse()?, None)?,
        by_kind: ByKind {
            data_format: !records.0.has("data_format") && records.0.has("purpose"),
            file_name: false,
        },
        output: PathBuf::new(),
        shard_bytes: bounds::SHARD_BYTES,
        threads: threads(None),
        force: false,
        snapshot: snapshot()?,
        reading: reading.options(),
        strict: false,
        part: None,
    })
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
