//! `manifest.json`: the receipt of an export. It is written last, so a package that has one is whole.

use retort_model::{ItemKind, Tally};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// The version of the receipt's shape.
pub const FORMAT_VERSION: u32 = 1;

/// The receipt.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Manifest {
    /// Version of this shape.
    pub manifest_version: u32,
    /// Version of Retort that wrote the package.
    pub retort_version: String,
    /// Name of the dataset.
    pub dataset_name: String,
    /// The time whose state was exported: the newest change of the input, if it is known.
    pub snapshot: Option<String>,
    /// The window of the history that it covers, if it is one of a series that a schedule exports.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub window: Option<WindowTold>,
    /// The windows that it covers, if it was merged from the packages of a series.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub series: Option<SeriesMerged>,
    /// The purpose that it was made for.
    #[serde(default)]
    pub purpose: String,
    /// The node of the runs that it was made from.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub node: Option<String>,
    /// Data format.
    pub data_format: String,
    /// File format.
    pub file_format: String,
    /// How the data files are compressed: `none`, `gzip` or `zstd`.
    pub compression: String,
    /// The check against trainers.
    pub check: String,
    /// The other options, by name.
    pub options: std::collections::BTreeMap<String, String>,
    /// What was selected.
    pub selection: FilterAsked,
    /// What was read.
    pub read: ReadCounts,
    /// How many conversations were written and left out: `selected = written + left_out`.
    #[serde(skip_serializing_if = "Counts::is_nothing", default)]
    pub conversations: Counts,
    /// The same for runs.
    #[serde(skip_serializing_if = "Counts::is_nothing", default)]
    pub runs: Counts,
    /// The same for documents.
    #[serde(skip_serializing_if = "Counts::is_nothing", default)]
    pub documents: Counts,
    /// How many records were written, repaired and left out.
    pub records: RecordCounts,
    /// What redaction found and replaced, if it was on.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub redaction: Option<RedactionCounts>,
    /// The benchmarks whose text was searched for, if there were any.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub decontamination: Option<Decontamination>,
    /// Where the items that were written come from, if papers were written.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub origins: Option<OriginsTold>,
    /// The outputs, if there are several.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub split: Option<SplitCounts>,
    /// Columns of the data.
    pub schema: Vec<Column>,
    /// Tools that were renamed, up to a bound.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub renamed_tools: Vec<Renamed>,
    /// The files of the package, except this one.
    pub files: Vec<DataFile>,
}

/// A window in a series; each begins where the previous one ended.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WindowTold {
    /// Name of the schedule.
    pub schedule: String,
    /// Which series it is.
    pub series: String,
    /// Where the window begins and ends.
    #[serde(flatten)]
    pub span: WindowSpan,
}

/// Where a window of a series begins and ends.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct WindowSpan {
    /// Number of the window in the series, from 1.
    pub number: u64,
    /// Number of the last change in the store before the window.
    pub changes_after: i64,
    /// Number of the last change in the window.
    pub changes_to: i64,
    /// Start of the period, inclusive.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from: Option<String>,
    /// End of the period, exclusive.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub before: Option<String>,
    /// Items of earlier periods that arrived late.
    pub late: u64,
}

/// The windows of a series that were merged into one dataset, which has the last state of each item.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SeriesMerged {
    /// Name of the schedule.
    pub schedule: String,
    /// Which series it is.
    pub series: String,
    /// Number of the first window.
    pub first: u64,
    /// Number of the last window.
    pub last: u64,
    /// Number of the last change in the store before the first window.
    pub changes_after: i64,
    /// Number of the last change in the last window.
    pub changes_to: i64,
    /// Records of earlier states, which a later window replaced.
    pub replaced: u64,
    /// Papers of the windows that the dataset does not have: they describe each window as a whole, not its single
    /// records.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub papers_left_out: Vec<String>,
}

/// What redaction found in the items that were written.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RedactionCounts {
    /// The built-in rules: `secrets`, `pii` or both.
    pub rules: String,
    /// The names of the user's own rules.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub own_rules: Vec<String>,
    /// The programs of the user's own rules.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub programs: Vec<RedactionProgram>,
    /// A hash of all rules and of their programs. Datasets with the same hash were searched for the same things.
    pub rules_sha256: String,
    /// What was done with matches, unless a rule says otherwise.
    pub action: String,
    /// What was found, by the name of the rule.
    pub found: Vec<RedactedCount>,
}

/// A program that looked for what a redaction rule replaces.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RedactionProgram {
    /// The name of the rule.
    pub rule: String,
    /// The program, without its folder.
    pub program: String,
    /// A hash of its command and of the files that the command names.
    pub sha256: String,
}

/// What one redaction rule found.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct RedactedCount {
    /// The name of the rule.
    pub rule: String,
    /// How often it found something.
    pub hits: u64,
    /// In how many conversations, runs or documents.
    pub items: u64,
}

/// The benchmarks whose text was searched for.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Decontamination {
    /// How many words in a row an item and a benchmark have in common.
    pub words: u64,
    /// What was done with such items: `leave-out` or `report`.
    pub action: String,
    /// The files of the benchmarks.
    pub benchmarks: Vec<BenchmarkCount>,
    /// Items with text of a benchmark.
    pub contaminated: u64,
}

/// Where the items that were written come from.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct OriginsTold {
    /// Messages of assistants by the model that wrote them; the empty name counts those whose model is not named.
    pub models: Vec<ModelCount>,
    /// Conversations by their language, where it is certain.
    pub languages: Vec<LanguageCount>,
    /// Characters of text.
    pub characters: u64,
    /// When the first item began.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub first: Option<String>,
    /// When the last item began.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub last: Option<String>,
}

/// What one model wrote.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct ModelCount {
    /// The model.
    pub model: String,
    /// Messages that it wrote.
    pub messages: u64,
}

/// Items in one language.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct LanguageCount {
    /// The code of the language.
    pub language: String,
    /// Items in it.
    pub items: u64,
}

/// A file of a benchmark.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct BenchmarkCount {
    /// Its name, without the folders above it.
    pub name: String,
    /// SHA-256, hexadecimal.
    pub sha256: String,
    /// Examples in it.
    pub examples: u64,
    /// How many of them are too short to be searched for.
    #[serde(skip_serializing_if = "is_nought", default)]
    pub too_short: u64,
}

/// A tool that was renamed in the dataset.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Renamed {
    /// Its name in the history.
    pub from: String,
    /// Its name in the dataset.
    pub to: String,
}

/// The filter, as it was given.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct FilterAsked {
    /// Deleted conversations that match the filter except that it does not select deleted ones.
    #[serde(skip_serializing_if = "is_nought", default)]
    pub deleted_left_out: u64,
    /// Items that match the filter but are not in the sample.
    #[serde(skip_serializing_if = "is_nought", default)]
    pub not_sampled: u64,
    /// The fields that were set, as a filter is serialized.
    #[serde(flatten)]
    pub fields: serde_json::Map<String, serde_json::Value>,
}

impl FilterAsked {
    /// What a filter asks.
    pub fn of(filter: &impl Serialize) -> Self {
        match serde_json::to_value(filter) {
            Ok(serde_json::Value::Object(fields)) => Self { fields, ..Self::default() },
            // A filter is an object of texts, numbers and flags.
            _ => Self::default(),
        }
    }
}

impl FilterAsked {
    /// With the texts of the filter replaced.
    #[must_use]
    pub fn renamed(mut self, name: &dyn Fn(&str) -> String) -> Self {
        self.fields.values_mut().for_each(|value| rename(value, name));
        self
    }
}

fn rename(value: &mut serde_json::Value, name: &dyn Fn(&str) -> String) {
    match value {
        serde_json::Value::String(text) => *text = name(text),
        serde_json::Value::Array(values) => values.iter_mut().for_each(|one| rename(one, name)),
        serde_json::Value::Object(fields) => fields.values_mut().for_each(|one| rename(one, name)),
        _ => {}
    }
}

/// What was read.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct ReadCounts {
    /// Items in all inputs.
    pub items: u64,
    /// Conversations read from them.
    #[serde(skip_serializing_if = "is_nought", default)]
    pub conversations: u64,
    /// Runs read from them.
    #[serde(skip_serializing_if = "is_nought", default)]
    pub runs: u64,
    /// Documents read from them.
    #[serde(skip_serializing_if = "is_nought", default)]
    pub documents: u64,
    /// Items that could not be read, by reason.
    pub refused: Vec<Finding>,
    /// Lone surrogates read as U+FFFD.
    pub lone_surrogates: u64,
    /// Keys that appeared twice in one object; the last value was used.
    pub duplicate_keys: u64,
    /// Origins of the inputs that were copied from another machine.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub sources: Vec<SourceRead>,
    /// The inputs, one by one.
    pub inputs: Vec<InputCount>,
    /// Files and entries of archives that were not read, by reason, with the first of them.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub passed_over: Vec<Finding>,
}

/// The origin of an input that was copied from another machine.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SourceRead {
    /// Its address with the commit that was read, such as `hf://datasets/acme/support@0123…`.
    pub address: String,
    /// The branch, tag or commit that was asked for.
    pub revision: String,
}

impl SourceRead {
    /// With its texts replaced.
    #[must_use]
    pub fn renamed(&self, name: &dyn Fn(&str) -> String) -> Self {
        Self { address: name(&self.address), revision: name(&self.revision) }
    }
}

/// One input.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct InputCount {
    /// Its name, without the folders above it.
    pub name: String,
    /// The import format; none if nothing was recognized in it.
    pub format: Option<String>,
    /// Items in it.
    pub items: u64,
    /// Items that could not be read.
    pub refused: u64,
}

/// How many selected items of one kind were written and left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct Counts {
    /// Selected.
    pub selected: u64,
    /// Items from which at least one record was written.
    pub written: u64,
    /// Items from which nothing was written.
    pub left_out: u64,
    /// Left out, by reason.
    pub left_out_by_reason: Vec<Finding>,
}

/// A dataset in several outputs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct SplitCounts {
    /// What is never split over two outputs: `conversation`, `user`, `family` or `duplicates`.
    pub group_by: String,
    /// The outputs.
    pub outputs: Vec<OutputCounts>,
    /// The hash of the receipt of the earlier dataset that `--split-from` names.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub from_sha256: Option<String>,
    /// Test for leaks: groups with items in more than one output.
    pub groups_in_several_outputs: u64,
}

/// One of several outputs.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct OutputCounts {
    /// Its name.
    pub name: String,
    /// Its requested share of all groups.
    pub share: String,
    /// Groups from which something was written to it.
    pub groups: u64,
    /// How many of its items were written and left out: `selected = written + left_out`.
    #[serde(flatten)]
    pub items: Counts,
    /// Records in it.
    pub records: u64,
    /// Its data files; none if it has no records.
    pub files: Vec<String>,
}

/// How many records were written, repaired and left out.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize, ToSchema)]
pub struct RecordCounts {
    /// Those written.
    pub written: u64,
    /// Records left out of items that were written.
    pub left_out_by_reason: Vec<Finding>,
    /// Written records that were repaired.
    pub repaired: u64,
    /// What was repaired, by kind; a record may be counted under several kinds.
    pub repaired_by_kind: Vec<Finding>,
    /// With the check off: what trainers would reject, by the repair that it needs, or by the reason why it cannot be
    /// repaired.
    pub would_be_refused: Vec<Finding>,
    /// Notes.
    pub warnings: Vec<Finding>,
    /// How long they are.
    pub lengths: Lengths,
    /// How long they are as a model sees them, if that was measured.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub seen_lengths: Option<SeenBy>,
}

/// Lengths of records as a model sees them. Percentiles are exact to three digits, rounded up.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct SeenBy {
    /// `tokens` or `characters`.
    pub unit: String,
    /// Of all records together.
    pub total: u64,
    /// How much of that is trained on.
    pub learnt: u64,
    /// The median.
    pub p50: u64,
    /// The 90th percentile.
    pub p90: u64,
    /// The 99th percentile.
    pub p99: u64,
    /// Of the longest.
    pub longest: u64,
}

/// Lengths of records in the data file, in bytes of JSON or CSV text.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Lengths {
    /// The mean.
    pub mean_bytes: u64,
    /// The longest.
    pub longest_bytes: u64,
}

/// A count of one kind, with the ids of the first items.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Finding {
    /// The kind.
    pub kind: String,
    /// How many.
    pub count: u64,
    /// Their first ids.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    pub first_ids: Vec<String>,
}

/// A column of the data.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct Column {
    /// Its name.
    pub name: String,
    /// Its type, such as `text`, `list<text>`, `struct<…>` or `json`.
    #[serde(rename = "type")]
    pub kind: String,
    /// Whether it may be absent.
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    pub optional: bool,
}

/// A file of the package.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize, ToSchema)]
pub struct DataFile {
    /// Its path in the package.
    pub path: String,
    /// Records in it, for data files.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub records: Option<u64>,
    /// Bytes.
    pub bytes: u64,
    /// SHA-256, hexadecimal.
    pub sha256: String,
}

#[allow(clippy::trivially_copy_pass_by_ref, reason = "as serde calls it")]
fn is_nought(number: &u64) -> bool {
    *number == 0
}

impl Counts {
    fn is_nothing(&self) -> bool {
        self.selected == 0
    }
}

/// A tally as the receipt writes it.
pub fn findings<K: Ord + Copy>(tally: &Tally<K>, name: impl Fn(K) -> &'static str) -> Vec<Finding> {
    tally
        .iter()
        .map(|(kind, count, ids)| Finding {
            kind: name(kind).into(),
            count,
            first_ids: ids.to_vec(),
        })
        .collect()
}

impl Manifest {
    /// The receipt as the text of its file.
    pub fn to_json(&self) -> String {
        let mut text = serde_json::to_string_pretty(self).unwrap_or_default();
        text.push('\n');
        text
    }

    /// Reads a receipt.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn parse(text: &str) -> Result<Self, serde_json::Error> {
        serde_json::from_str(text)
    }

    /// What became of the selected items, for each kind that there were.
    pub fn counts(&self) -> impl Iterator<Item = (ItemKind, &Counts)> {
        self.kinds().map(|(kind, counts, _)| (kind, counts)).filter(|(_, one)| one.selected > 0)
    }

    /// The kinds of items, what became of them, and how many were read.
    fn kinds(&self) -> impl Iterator<Item = (ItemKind, &Counts, u64)> {
        [
            (ItemKind::Conversation, &self.conversations, self.read.conversations),
            (ItemKind::Run, &self.runs, self.read.runs),
            (ItemKind::Document, &self.documents, self.read.documents),
        ]
        .into_iter()
    }

    /// Whether every item is accounted for.
    pub fn balances(&self) -> bool {
        let sum = |findings: &[Finding]| findings.iter().map(|finding| finding.count).sum::<u64>();
        let read: u64 = self.kinds().map(|(_, _, read)| read).sum();
        self.kinds().all(|(_, counts, read)| {
            counts.selected == counts.written + counts.left_out
                && counts.left_out == sum(&counts.left_out_by_reason)
                && counts.selected <= read
        }) && self.read.items == read + sum(&self.read.refused)
            && self.read.items == self.read.inputs.iter().map(|input| input.items).sum::<u64>()
            && self.records.written
                == self.files.iter().filter_map(|file| file.records).sum::<u64>()
            && self.split.as_ref().is_none_or(|split| self.outputs_balance(split))
    }

    fn outputs_balance(&self, split: &SplitCounts) -> bool {
        let written: u64 = self.counts().map(|(_, counts)| counts.written).sum();
        let records_in = |paths: &[String]| {
            let files = self.files.iter().filter(|file| paths.contains(&file.path));
            files.filter_map(|file| file.records).sum::<u64>()
        };
        split.groups_in_several_outputs == 0
            && split.outputs.iter().all(|one| {
                one.items.selected == one.items.written + one.items.left_out
                    && one.records == records_in(&one.files)
            })
            && split.outputs.iter().map(|one| one.items.written).sum::<u64>() == written
            && split.outputs.iter().map(|one| one.records).sum::<u64>() == self.records.written
    }
}
