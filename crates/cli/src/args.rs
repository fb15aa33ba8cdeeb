//! Arguments that several commands share.

use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use clap::Args;
use clap::builder::{NonEmptyStringValueParser, PossibleValuesParser, TypedValueParser};

use retort_formats::import;
use retort_formats::import::ImportFormat;
use retort_model::{ConversationFilter, DatasetName, Filter, Status, Time, bounds};
use retort_service::{Clock, ConvertPlan, ExportOptions, Input, ListOrder, ReadOptions, io_reason};

use crate::changing::How;
use crate::commands::{Failure, misuse};
use crate::config::{MachineClock, item_bytes};
use crate::filters::{FilterArgs, SelectionArgs};
use crate::hub;
use crate::progress::Bar;

/// What to read.
#[derive(Args)]
pub struct InputArgs {
    /// Files, folders or archives with histories; `-` is standard input, and `hf://datasets/ORG/NAME` a dataset on the
    /// Hugging Face Hub (with `@REVISION` and `/PATH` if you want).
    #[arg(required = true, value_name = "INPUT")]
    pub inputs: Vec<PathBuf>,

    /// Import format [default: detected from the content].
    #[arg(long, value_name = "FORMAT", value_parser = PossibleValuesParser::new(import_formats()))]
    from: Option<String>,

    /// Read the inputs with a mapping: a TOML file that says where the fields are (see docs/mapping.md).
    /// `retort inspect --suggest-map` prints a draft.
    #[arg(long, value_name = "FILE.toml", conflicts_with = "from", value_parser = mapping)]
    map: Option<&'static dyn ImportFormat>,

    /// Largest window of a Zstandard or xz stream to accept, in megabytes; reading needs as much memory [default: 134].
    #[arg(long, value_name = "MB", hide_short_help = true, value_parser = whole::<u64, 1, 4096>)]
    max_window: Option<u64>,

    /// Largest conversation, run or document to accept, in megabytes; reading needs several times as much memory [default: 268, the maximum].
    #[arg(long, value_name = "MB", hide_short_help = true, value_parser = whole::<u64, 1, 268>)]
    pub max_item: Option<u64>,

    /// Prefix ids with a namespace (`NAME/ID`), in case they collide with ids of other inputs.
    #[arg(long, value_name = "NAME", hide_short_help = true, value_parser = NonEmptyStringValueParser::new())]
    pub namespace: Option<String>,
}

/// The key of redaction.
#[derive(Args)]
#[command(next_help_heading = "Records")]
pub struct RedactKey {
    /// File with the key of pseudonyms, at least 16 random bytes. With the same key, the same text gets the same pseudonym in
    /// every dataset [default: a random key, which is not kept].
    #[arg(long, value_name = "FILE")]
    pub redact_key: Option<PathBuf>,
}

/// Whether to only check what a command would do.
#[derive(Args, Clone, Copy)]
pub struct DryRunArgs {
    /// Only show what would change.
    #[arg(long)]
    pub dry_run: bool,
}

/// Conversations to change: by id, by a filter, or all.
#[derive(Args)]
pub struct Choosing {
    /// Ids of the conversations.
    #[arg(value_name = "ID")]
    conversations: Vec<String>,

    #[command(flatten)]
    filtering: FilterArgs<ConversationFilter>,

    /// All conversations.
    #[arg(long, conflicts_with = "conversations")]
    all: bool,

    #[command(flatten)]
    dry: DryRunArgs,

    /// Print the counts as JSON.
    #[arg(long)]
    json: bool,
}

/// Parses the length of a page; `of_what` names what is listed, and how to see more.
pub fn page_length(
    of_what: &'static str,
) -> impl Fn(&str) -> Result<usize, String> + Clone + Send + Sync {
    move |text| {
        let most = bounds::PAGE_ITEMS;
        let length = text.parse().ok().filter(|length| (1..=most).contains(length));
        length.ok_or_else(|| format!("a page has 1 to {most} {of_what}"))
    }
}

/// Parses the name of a sort order. The help lists the names.
pub fn order<O: ListOrder>() -> impl TypedValueParser<Value = O> {
    let names = O::ALL.iter().map(|one| one.as_str());
    PossibleValuesParser::new(names).map(|name| O::by_name(&name).unwrap_or_default())
}

impl InputArgs {
    /// Whether the import format is named.
    pub fn is_named(&self) -> bool {
        self.from().is_some()
    }

    /// Whether the inputs are read by a mapping.
    pub fn is_mapped(&self) -> bool {
        self.map.is_some()
    }

    /// What to read. Inputs on the Hub are copied to this machine first.
    pub fn inputs(&self) -> Result<Vec<Input>, Failure> {
        let stdin = std::path::Path::new("-");
        let input = |path: &PathBuf| {
            if path == stdin { Input::Stdin } else { Input::Path(path.clone()) }
        };
        let bar = Bar::new(false);
        let inputs = self.inputs.iter().map(input).collect();
        let fetched = hub::fetched(inputs, &bar, &AtomicBool::new(false));
        bar.finish();
        Ok(fetched?)
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
        self.map.or_else(|| self.from.as_deref().and_then(import::by_name))
    }
}

/// The names of the import formats, in alphabetical order.
fn import_formats() -> Vec<&'static str> {
    let mut names: Vec<_> = import::FORMATS.iter().map(|format| format.name()).collect();
    names.sort_unstable();
    names
}

/// Reads a mapping from its file.
fn mapping(path: &str) -> Result<&'static dyn ImportFormat, String> {
    let text = std::fs::read_to_string(path).map_err(|error| {
        let why = io_reason(&error);
        format!("cannot read the file: {why}; `retort inspect INPUT --suggest-map` prints a draft")
    })?;
    let mapping: import::Mapping = toml::from_str(&text).map_err(|error| error.to_string())?;
    mapping.into_format()
}

impl Choosing {
    /// Whether to change anything, and how to report it.
    pub fn how(&self) -> How {
        How { is_dry: self.dry.dry_run, is_json: self.json }
    }

    /// The selected conversations. Without `--status`, ids select conversations of any status, and a filter those of
    /// `statuses`, where none means all except deleted ones.
    pub fn selection(self, statuses: &[Status]) -> Result<ConversationFilter, Failure> {
        let FilterArgs(mut selection) = self.filtering;
        selection.ids.extend(self.conversations);
        check_chosen(self.all, &selection, "conversations: ids, a filter such as `--search TEXT`")?;
        if selection.statuses.is_empty() {
            let statuses = if selection.ids.is_empty() { statuses } else { Status::ALL };
            selection.statuses = statuses.to_vec();
        }
        Ok(selection)
    }
}

/// Refuses a filter that selects everything unless `--all` was given, and any other filter beside `--all`.
pub fn check_chosen<F: Filter>(all: bool, filter: &F, ways: &str) -> Result<(), Failure> {
    match (all, *filter == F::default()) {
        (false, true) => Err(misuse(format!("select {ways}, or `--all`"))),
        (true, false) => Err(misuse("`--all` cannot be combined with ids or filters")),
        _ => Ok(()),
    }
}

/// The plan of a conversion, but for where it goes.
pub fn plan(
    reading: &InputArgs,
    selecting: SelectionArgs,
    options: &ExportOptions,
    name: DatasetName,
) -> Result<ConvertPlan, Failure> {
    let mut plan = ConvertPlan::new(reading.inputs()?, options, name)?;
    let dataset = &mut plan.dataset;
    dataset.open_files(&dataset.paths(), MachineClock.now())?;
    Ok(ConvertPlan {
        from: reading.from(),
        selection: selecting.0,
        namespace: reading.namespace.clone(),
        snapshot: snapshot()?,
        reading: reading.options(),
        ..plan
    })
}

/// The moment that `SOURCE_DATE_EPOCH` sets for builds that are to be the same again.
fn snapshot() -> Result<Option<Time>, Failure> {
    match std::env::var("SOURCE_DATE_EPOCH") {
        Err(_) => Ok(None),
        Ok(text) => match Time::from_epoch(text.trim()) {
            Some(time) => Ok(Some(time)),
            None => {
                Err(misuse(format!("`SOURCE_DATE_EPOCH` must be seconds since 1970, not `{text}`")))
            }
        },
    }
}

/// A whole number from `LEAST` to `MOST`.
pub fn whole<T: TryFrom<u64>, const LEAST: u64, const MOST: u64>(text: &str) -> Result<T, String> {
    let number = text.parse().ok().filter(|number| (LEAST..=MOST).contains(number));
    number.and_then(|number: u64| number.try_into().ok()).ok_or_else(|| match MOST {
        u64::MAX => format!("write a whole number of at least {LEAST}"),
        most => format!("write a whole number from {LEAST} to {most}"),
    })
}
