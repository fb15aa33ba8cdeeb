//! What a data format is, what can be asked of it, and what it says of an item.

use std::sync::Arc;

use retort_json::Value;
use retort_model::{
    Check, Conversation, Item, ItemKind, LeftOut, Purpose, Reason, Repair, Warning, named,
};

use super::chat_row::ChatRow;
use super::given::GivenFiles;
use super::record_file::RecordFile;
use super::schema::{Schema, Sink};
use super::tools::ToolCache;

/// A shape of datasets.
pub trait DataFormat: Sync {
    /// The name to say on the command line.
    fn name(&self) -> &'static str;

    /// What it is for, in one line.
    fn about(&self) -> &'static str;

    /// The columns. `flat` asks for those that a format without nesting (CSV) carries beside them.
    fn schema(&self, options: &ShapeOptions, flat: bool) -> Schema;

    /// The file formats that can hold it, the default first.
    fn file_formats(&self) -> &'static [&'static str] {
        &["jsonl", "csv", "parquet"]
    }

    /// The kinds of items that it has a shape for.
    fn items(&self) -> &'static [ItemKind] {
        &[ItemKind::Conversation]
    }

    /// Whether trainers read its rows: records are checked for what trainers refuse, and exports may be for fine-tuning.
    fn is_for_training(&self) -> bool {
        false
    }

    /// What exports in this shape are made for, the usual first.
    fn purposes(&self) -> &'static [Purpose] {
        if self.is_for_training() {
            &[Purpose::ExportDataset, Purpose::FineTuning]
        } else {
            &[Purpose::ExportDataset]
        }
    }

    /// Writes the records of an item and says what was found. Items of other kinds are left out.
    fn shape(&self, item: &Item<'_>, context: &mut ShapeContext<'_>, out: &mut dyn Sink)
    -> Outcome;

    /// Whether some of its columns are variables that only the items tell, so that those are asked first
    /// ([`Self::each_variable`]).
    fn has_variables(&self) -> bool {
        false
    }

    /// Names the variables of an item that are to have columns.
    fn each_variable(
        &self,
        _item: &Item<'_>,
        _options: &ShapeOptions,
        _take: &mut dyn FnMut(&str),
    ) {
    }

    /// The chats that a row holds, for templates: one, or one for each answer of a pair. None if its rows hold no chats.
    fn chats(&self, _row: &Value<'_>) -> Option<Vec<ChatRow>> {
        None
    }

    /// What people who train on it should know, for the dataset card.
    fn card_notes(&self, _options: &ShapeOptions, _flat: bool) -> String {
        String::new()
    }

    /// The folder with a file for each record, where these files are what is read and the rows only list them.
    fn records_folder(&self) -> Option<&'static str> {
        None
    }

    /// Whether its records are for people to read: what was said cannot be told from how it is shown, so a package of them
    /// is not read again.
    fn is_for_people(&self) -> bool {
        false
    }

    /// Whether its records have files beside their rows, so that a data file alone is not enough.
    fn writes_files(&self, options: &ShapeOptions) -> bool {
        self.carries_attachments(options) && options.attachments == Attachments::Keep
    }

    /// Whether its rows have a place for images, videos and sound.
    fn carries_attachments(&self, _options: &ShapeOptions) -> bool {
        false
    }

    /// Whether the ids of the items are written to a separate file because the rows have no place for them.
    fn has_ids_apart(&self) -> bool {
        self.is_for_training()
    }

    /// The `columns` and `tags` by which LLaMA-Factory reads it, if it does.
    fn trainer_columns(&self, _options: &ShapeOptions, _flat: bool) -> Option<TrainerColumns> {
        None
    }
}

/// How LLaMA-Factory is to read a dataset: the entries of `dataset_info.json`.
#[derive(Clone, Copy, Debug)]
pub struct TrainerColumns {
    /// `formatting`.
    pub formatting: &'static str,
    /// Whether rows hold a better and a worse answer.
    pub ranking: bool,
    /// `columns`: role in the trainer, column in the file.
    pub columns: &'static [(&'static str, &'static str)],
    /// `tags`: meaning, word in the file.
    pub tags: &'static [(&'static str, &'static str)],
}

/// How rows of `standard` hold tool definitions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ToolsAs {
    /// As the text of a JSON array, which every reader takes.
    #[default]
    Text,
    /// As a bare array, in JSON Lines alone.
    Array,
}

named!(ToolsAs, "form of tool definitions", Text = "text", Array = "array");

impl ToolsAs {
    /// What it does, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Text => "as JSON text, which every trainer reads",
            Self::Array => "as a JSON array",
        }
    }
}

/// Whose tools a row defines.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ToolsOf {
    /// All that were offered anywhere in the conversation.
    #[default]
    Conversation,
    /// Those that were offered for its last answer, and those that it calls.
    Answer,
}

named!(ToolsOf, "choice of tools", Conversation = "conversation", Answer = "answer");

impl ToolsOf {
    /// Which they are, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Conversation => "all that were offered anywhere in the conversation",
            Self::Answer => {
                "those that were offered for the row's last answer, and those that the row calls"
            }
        }
    }
}

/// Where to put text that an assistant wrote in the same message as a tool call, in formats that allow both.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CallText {
    /// It stays the message's content.
    #[default]
    Keep,
    /// It moves to `extra`, for trainers that refuse a message with both (Mistral).
    Extra,
}

named!(CallText, "place for text next to tool calls", Keep = "keep", Extra = "extra");

impl CallText {
    /// What it does, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Keep => "keep it in the message if the format allows it",
            Self::Extra => "move it to the column `extra`",
        }
    }
}

/// Where the reasoning of a model goes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReasoningAs {
    /// Into a field of its own where the format has one, else to `extra`.
    #[default]
    Keep,
    /// To `extra`.
    Extra,
    /// In front of the answer, between `<think>` and `</think>`.
    Think,
    /// Nowhere.
    Drop,
}

named!(
    ReasoningAs,
    "place for reasoning",
    Keep = "keep",
    Extra = "extra",
    Think = "think",
    Drop = "drop"
);

impl ReasoningAs {
    /// What it does, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Keep => {
                "keep it in a field of its own if the format has one, otherwise in `extra`"
            }
            Self::Extra => "move it to `extra`",
            Self::Think => "write it in front of the answer, between `<think>` and `</think>`",
            Self::Drop => "leave it out",
        }
    }
}

/// The field that holds reasoning, in formats that have one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum ReasoningField {
    /// Of most chat templates.
    #[default]
    ReasoningContent,
    /// Of some, such as that of gpt-oss.
    Thinking,
}

named!(
    ReasoningField,
    "field for reasoning",
    ReasoningContent = "reasoning_content",
    Thinking = "thinking"
);

impl ReasoningField {
    /// What it is, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::ReasoningContent => "the field that most chat templates read",
            Self::Thinking => "the field that the templates of gpt-oss and a few others read",
        }
    }
}

/// Whose rows are written, where trainers read different ones.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Layout {
    /// TRL's.
    #[default]
    Trl,
    /// LLaMA-Factory's.
    LlamaFactory,
    /// OpenAI's.
    OpenAi,
}

named!(Layout, "layout", Trl = "trl", LlamaFactory = "llama-factory", OpenAi = "openai");

impl Layout {
    /// Whose it is, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Trl => "as TRL and Axolotl read them: lists of messages",
            Self::LlamaFactory => "as LLaMA-Factory reads them, with `dataset_info.json`",
            Self::OpenAi => "as OpenAI reads them (`preference` only)",
        }
    }
}

/// The program that evaluates the answers: its column names are written.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Evaluator {
    /// Ragas.
    #[default]
    Ragas,
    /// DeepEval.
    DeepEval,
    /// Inspect, of the UK AI Security Institute.
    Inspect,
    /// promptfoo.
    Promptfoo,
    /// OpenAI Evals.
    OpenAiEvals,
}

named!(
    Evaluator,
    "evaluator",
    Ragas = "ragas",
    DeepEval = "deepeval",
    Inspect = "inspect",
    Promptfoo = "promptfoo",
    OpenAiEvals = "openai-evals"
);

impl Evaluator {
    /// Which columns it reads, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Ragas => "Ragas: `user_input`, `response`, `retrieved_contexts`, `reference`",
            Self::DeepEval => {
                "DeepEval: `input`, `actual_output`, `expected_output`, `retrieval_context`"
            }
            Self::Inspect => "Inspect: `input`, `target`, `id`, `metadata`",
            Self::Promptfoo => {
                "promptfoo: test cases with variables, the recorded answer and the expected one"
            }
            Self::OpenAiEvals => {
                "OpenAI Evals: one `item` per line with `input`, `output`, `ground_truth` and more"
            }
        }
    }
}

/// What says which of two answers to a question is the better one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum PairsBy {
    /// Labels and ratings and, without these, which answer replaced the other or was continued.
    #[default]
    Shown,
    /// Labels and ratings alone.
    Rated,
}

named!(PairsBy, "evidence for pairs", Shown = "shown", Rated = "rated");

impl PairsBy {
    /// What it takes, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Shown => {
                "labels and ratings; without them, the answer that the conversation continued with or that replaced the other"
            }
            Self::Rated => "labels and ratings only",
        }
    }
}

/// How many records a conversation makes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RowsPer {
    /// One.
    #[default]
    Conversation,
    /// One for each answer, with everything before it.
    Answer,
}

named!(RowsPer, "number of rows", Conversation = "per-conversation", Answer = "per-answer");

impl RowsPer {
    /// What it does, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Conversation => "one row per conversation",
            Self::Answer => "one row per answer, with the history before it as context",
        }
    }
}

/// What to do with the images, sound and files of messages, and with the answers to them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Attachments {
    /// They are not trained on, as they may describe what only the attachment shows.
    #[default]
    LeaveOut,
    /// Images, videos and sound go with the row, as files or URLs. Answers to what cannot are not trained on.
    Keep,
    /// The attachment is dropped, and they are trained on as if it had never been there.
    Drop,
}

named!(
    Attachments,
    "treatment of attachments",
    LeaveOut = "leave-out",
    Keep = "keep",
    Drop = "drop"
);

impl Attachments {
    /// What it does, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::LeaveOut => "do not train on answers to them",
            Self::Keep => {
                "keep images, videos and sound: as files in the package, or as URLs; do not train on answers to others"
            }
            Self::Drop => "drop them and train on the answers",
        }
    }
}

/// Which branches of a conversation with regenerated answers or edited questions become records.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Branches {
    /// The one that is shown.
    #[default]
    Active,
    /// Each, from its first question to its last answer.
    All,
}

named!(Branches, "choice of branches", Active = "active", All = "all");

impl Branches {
    /// The paths of a conversation that become records, each with the number of its branch where there are several.
    pub(super) fn paths(self, conversation: &Conversation<'_>) -> Vec<(Option<usize>, Vec<usize>)> {
        let leaves = match self {
            Self::All => conversation.leaves(),
            Self::Active => Vec::new(),
        };
        match leaves.as_slice() {
            [] | [_] => vec![(None, conversation.active_path())],
            leaves => (1..)
                .map(Some)
                .zip(leaves.iter().map(|&at| conversation.path_to(Some(at))))
                .collect(),
        }
    }

    /// What it does, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Active => "the branch that was shown last",
            Self::All => {
                "a record for each branch; what branches share is in each of their records"
            }
        }
    }
}

/// How rows of documents and chunks hold embeddings.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Embeddings {
    /// In columns with 64 bits per number.
    #[default]
    F64,
    /// In columns with 32 bits per number, which hold every value of the source exactly.
    F32,
    /// Not at all.
    Without,
}

named!(Embeddings, "form of embeddings", F64 = "f64", F32 = "f32", Without = "none");

impl Embeddings {
    /// What it does, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::F64 => "64 bits per number",
            Self::F32 => "32 bits per number, where that loses nothing",
            Self::Without => "leave them out",
        }
    }
}

/// What can be asked of a data format.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ShapeOptions {
    /// What to do with records that a trainer would refuse.
    pub check: Check,
    /// How `standard` holds tool definitions.
    pub tools: ToolsAs,
    /// Whose tools a row defines.
    pub tools_of: ToolsOf,
    /// Wrap arguments that are not a JSON object instead of leaving the record out.
    pub wrap_arguments: bool,
    /// Fill gaps with placeholders (a missing result, missing arguments, an empty message) instead of cutting around
    /// them.
    pub fill: bool,
    /// How many records a conversation makes.
    pub rows: RowsPer,
    /// Where reasoning goes.
    pub reasoning: ReasoningAs,
    /// What the field for reasoning is called.
    pub reasoning_field: ReasoningField,
    /// Whose rows are written, for the formats of which there are several.
    pub layout: Layout,
    /// The evaluator whose columns are written.
    pub evaluator: Evaluator,
    /// What says which of two answers is the better one.
    pub pairs: PairsBy,
    /// Where text beside tool calls goes.
    pub call_text: CallText,
    /// What becomes of answers after a picture, sound or file.
    pub attachments: Attachments,
    /// Write the histories of sub-agents as records of their own.
    pub tasks: bool,
    /// Which branches become records.
    pub branches: Branches,
    /// Retrieved passages carried with one assistant message of `history`.
    pub max_contexts: usize,
    /// How embeddings are written, for the formats that have them.
    pub embeddings: Embeddings,
    /// The node of runs whose executions become the records, for the formats that need one.
    pub node: Option<Arc<str>>,
    /// The variables that have columns, for the formats that have such; in their order.
    pub variables: Arc<[Arc<str>]>,
}

impl Default for ShapeOptions {
    fn default() -> Self {
        Self {
            check: Check::Repair,
            tools: ToolsAs::Text,
            tools_of: ToolsOf::default(),
            wrap_arguments: false,
            fill: false,
            rows: RowsPer::default(),
            reasoning: ReasoningAs::default(),
            reasoning_field: ReasoningField::default(),
            layout: Layout::default(),
            evaluator: Evaluator::default(),
            pairs: PairsBy::default(),
            call_text: CallText::default(),
            attachments: Attachments::default(),
            tasks: false,
            branches: Branches::default(),
            max_contexts: retort_model::bounds::CONTEXTS_PER_MESSAGE,
            embeddings: Embeddings::default(),
            node: None,
            variables: [].into(),
        }
    }
}

/// What a data format works with, beside the item.
pub struct ShapeContext<'w> {
    /// What was asked.
    pub options: &'w ShapeOptions,
    /// Whether the flat columns are wanted.
    pub flat: bool,
    /// The name of the output that the records go to, if there are several.
    pub output: Option<&'w str>,
    /// The files beside the history that the item is from, if there may be some.
    pub given: Option<&'w dyn GivenFiles>,
    /// Tool definitions in their prepared form, remembered from one conversation to the next.
    pub tools: &'w mut ToolCache,
}

impl ShapeContext<'_> {
    /// The path of a record's file in a folder of the package, which has a folder for each output if there are several.
    pub(super) fn path_in(&self, folder: &str, name: &str) -> String {
        match self.output {
            Some(output) => format!("{folder}/{output}/{name}"),
            None => format!("{folder}/{name}"),
        }
    }
}

/// What came of one item.
#[derive(Clone, Debug, Default)]
pub struct Outcome {
    /// The records that were written.
    pub records: Vec<RecordNotes>,
    /// What was left out.
    pub left_out: Vec<RecordLeftOut>,
    /// Tools that got another name: the old and the new.
    pub renamed_tools: Vec<(String, String)>,
}

/// What was found in a record that was written.
#[derive(Clone, Debug, Default)]
pub struct RecordNotes {
    /// What was mended.
    pub repairs: Vec<Noted<Repair>>,
    /// What would have to be mended, where the check is off.
    pub unrepaired: Vec<Noted<Repair>>,
    /// Why a trainer would refuse it for good, where the check is off.
    pub unfit: Option<Reason>,
    /// Notes.
    pub warnings: Vec<Noted<Warning>>,
    /// The part of the item that the record is, if not the whole.
    pub part: Option<String>,
    /// What is added to the id of the item to name the record, if the item makes several.
    pub suffix: Option<String>,
    /// What the row could not hold and keeps no place for, as the JSON text of an object.
    pub extra: Option<String>,
    /// The files that it has beside its row.
    pub files: Vec<RecordFile>,
}

/// A repair or warning, and where it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Noted<K> {
    /// What was found.
    pub kind: K,
    /// The first message that it concerns, counted from 0 in the order of the source; none if it concerns the whole
    /// record.
    pub message: Option<usize>,
}

impl<K> From<K> for Noted<K> {
    fn from(kind: K) -> Self {
        Self { kind, message: None }
    }
}

/// A record that was left out.
#[derive(Clone, Debug)]
pub struct RecordLeftOut {
    /// The graph's round or the sub-agent's task that the record was for.
    pub part: Option<String>,
    /// Why.
    pub why: LeftOut,
}

impl Outcome {
    /// An item of a kind that the format cannot hold.
    pub(super) fn other_kind(item: &Item<'_>) -> Self {
        let detail = format!("it is a {}", item.kind());
        Self::left_out(None, LeftOut::new(Reason::OtherKind, detail))
    }

    pub(super) fn left_out(part: Option<String>, why: LeftOut) -> Self {
        Self { left_out: vec![RecordLeftOut { part, why }], ..Self::default() }
    }
}
