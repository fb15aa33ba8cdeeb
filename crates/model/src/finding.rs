//! What a check against trainers finds in a record, and what is done about it.

use crate::named;

/// What to do with records that a trainer would refuse.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Check {
    /// Mend what can be mended without inventing content; leave the rest out.
    #[default]
    Repair,
    /// Mend nothing; leave out what a trainer would refuse.
    Reject,
    /// Write every record as it stands; only count.
    Off,
}

named!(Check, "check", Repair = "repair", Reject = "reject", Off = "off");

impl Check {
    /// What it does, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Repair => "fix what can be fixed, leave out the rest",
            Self::Reject => "leave out every record that a trainer would reject",
            Self::Off => "write every record as it is, and only count problems",
        }
    }
}

/// A change that makes a record trainable.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Repair {
    /// Turns of the same side that followed each other were joined with a blank line.
    MergedTurns,
    /// What followed the last answer was cut.
    CutEnd,
    /// An answer before the first question was cut.
    CutGreeting,
    /// An empty answer was cut.
    CutEmptyAnswer,
    /// An empty question was cut, with what answered it.
    CutEmptyQuestion,
    /// An attempt at an answer that another attempt followed was cut.
    CutAttempt,
    /// Answers at the end that are not to be learnt were cut, with their questions.
    CutNotToLearn,
    /// Answers that are not to be learnt were kept as context: marked so, or in front of the one that is learnt.
    KeptAsContext,
    /// A tool's result that answers no call was cut.
    CutOrphanResult,
    /// Calls and results that no answer followed were cut, in whole or their last result.
    CutUnfinishedCall,
    /// A call that nothing answered got the result `{"error":"no result recorded"}`.
    AddedMissingResult,
    /// The results of parallel calls were joined, or put into the order of the calls.
    JoinedResults,
    /// Several system messages that differed: the last was kept.
    ReplacedSystem,
    /// A system message behind the first turn was moved to the front.
    MovedSystem,
    /// Text beside a call was moved to `extra`.
    MovedCallText,
    /// Arguments that were empty became `{}`.
    FilledArguments,
    /// Arguments that are text were put into an object: `{"input": …}` where the tool takes a text, else `{"_raw": …}`.
    WrappedArguments,
    /// Tool definitions got what trainers demand of them.
    MendedTools,
    /// One tool name had two definitions: the later was kept.
    ReplacedTool,
    /// A tool without a name was left out.
    DroppedTool,
    /// A called tool that was never defined got a bare definition.
    DeclaredTool,
    /// A tool got a name of letters, digits, `_` and `-`.
    RenamedTool,
    /// An empty message that may not be empty was marked as such.
    MarkedEmpty,
}

named!(
    Repair,
    "repair",
    MergedTurns = "merged-turns",
    CutEnd = "cut-end",
    CutGreeting = "cut-greeting",
    CutEmptyAnswer = "cut-empty-answer",
    CutEmptyQuestion = "cut-empty-question",
    CutAttempt = "cut-attempt",
    CutNotToLearn = "cut-not-to-learn",
    KeptAsContext = "kept-as-context",
    CutOrphanResult = "cut-orphan-result",
    CutUnfinishedCall = "cut-unfinished-call",
    AddedMissingResult = "added-missing-result",
    JoinedResults = "joined-results",
    ReplacedSystem = "replaced-system",
    MovedSystem = "moved-system",
    MovedCallText = "moved-call-text",
    FilledArguments = "filled-arguments",
    WrappedArguments = "wrapped-arguments",
    MendedTools = "mended-tools",
    ReplacedTool = "replaced-tool",
    DroppedTool = "dropped-tool",
    DeclaredTool = "declared-tool",
    RenamedTool = "renamed-tool",
    MarkedEmpty = "marked-empty"
);

impl Repair {
    /// Whether a trainer would refuse the record without the change. The others are rules of the data format.
    pub fn is_needed_by_trainers(self) -> bool {
        !matches!(
            self,
            Self::CutNotToLearn
                | Self::KeptAsContext
                | Self::ReplacedSystem
                | Self::MovedCallText
                | Self::ReplacedTool
        )
    }

    /// What was done, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::MergedTurns => "consecutive messages of one role joined",
            Self::CutEnd => "cut back to the last answer",
            Self::CutGreeting => "an answer before the first question removed",
            Self::CutEmptyAnswer => "an empty answer removed",
            Self::CutEmptyQuestion => "an empty question and its answer removed",
            Self::CutAttempt => "an earlier attempt at an answer removed",
            Self::CutNotToLearn => "answers at the end removed: marked as not to train on",
            Self::KeptAsContext => "answers not to train on kept as context",
            Self::CutOrphanResult => "a tool result without a call removed",
            Self::CutUnfinishedCall => "an incomplete tool exchange removed",
            Self::AddedMissingResult => "missing tool result filled in",
            Self::JoinedResults => "results of parallel calls joined in order",
            Self::ReplacedSystem => "several system messages, only the last kept",
            Self::MovedSystem => "a later system message moved to the front",
            Self::MovedCallText => "text next to a tool call moved to `extra`",
            Self::FilledArguments => "empty arguments written as `{}`",
            Self::WrappedArguments => "text arguments wrapped in an object",
            Self::MendedTools => "tool definitions completed",
            Self::ReplacedTool => "two definitions of a tool, only the later kept",
            Self::DroppedTool => "a tool without a name removed",
            Self::DeclaredTool => "a missing tool definition added",
            Self::RenamedTool => "a tool renamed",
            Self::MarkedEmpty => "an empty message filled",
        }
    }
}

/// Why a conversation, or one record of it, was left out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Reason {
    /// It is of a kind that the data format cannot hold.
    OtherKind,
    /// A document without chunks, where each row is one.
    NoChunks,
    /// An embedding says more than the width that was asked for holds.
    EmbeddingTooWide,
    /// It has no messages.
    NoMessages,
    /// It has no answer to learn from.
    NoAnswer,
    /// A graph with nothing after its start round.
    OnlyStartRound,
    /// A call's arguments are not JSON.
    ArgumentsNotJson,
    /// A call's arguments are JSON, but no object.
    ArgumentsNotObject,
    /// A call has no arguments.
    MissingArguments,
    /// An answer rests on the result of a call, which was not recorded or cannot be in the row.
    MissingResult,
    /// A call is content that names no tool.
    CallWithoutTool,
    /// An answer failed or was broken off.
    FailedAnswer,
    /// A speaker with a speaker that trainers do not know.
    UnknownRole,
    /// Something in it that carries meaning was not understood by its reader.
    NotUnderstood,
    /// Its source marks answers in it as not to be learnt or as bad, and the format cannot leave those unlearnt.
    NotToLearn,
    /// An answer was cut off by a token limit or a content filter, and the format cannot leave it unlearnt.
    CutOffAnswer,
    /// The answers follow a picture, sound or file that the rows do not carry.
    NeedsAttachment,
    /// No two answers to one question of which one is known to be better.
    NoPair,
    /// Nothing says whether an answer is good or bad.
    NoLabel,
    /// The answer is several messages, and the row holds one.
    SeveralMessages,
    /// It calls tools, and the data format holds text alone.
    CallsTools,
    /// A traced run, of which the conversation is written.
    InConversation,
    /// It is longer than was asked for.
    TooLong,
    /// A model would learn nothing of it.
    NothingToLearn,
    /// The chat template raised an error.
    TemplateError,
    /// A run, or the execution of a node, that has not finished or was broken off.
    NotFinished,
    /// A run that failed.
    NotSuccessful,
    /// Nothing says what was put in.
    NoInput,
    /// The chosen node did not run in it.
    NodeDidNotRun,
    /// Another item with its id has the same messages, and counts instead, whether it is written or not.
    RepeatedId,
    /// Another state of the conversation begins with all of its messages, and counts instead, whether it is written or not.
    EarlierState,
    /// Another item says the same.
    Duplicate,
    /// Another item says almost the same, or begins with all of it.
    NearDuplicate,
    /// Its group has items in several outputs of the dataset that this one grows from.
    LinksOutputs,
    /// It has text of a benchmark.
    Contaminated,
    /// A redaction rule found something in it, and was to leave it out.
    Redacted,
    /// What was found in it could not be replaced.
    NotRedacted,
    /// It was purged after the selection was made.
    Purged,
    /// The store can no longer read it.
    Damaged,
    /// A trainer would refuse it, and nothing was to be mended.
    NeedsRepair,
}

named!(
    Reason,
    "reason",
    OtherKind = "other-kind",
    NoChunks = "no-chunks",
    EmbeddingTooWide = "embedding-too-wide",
    NoMessages = "no-messages",
    NoAnswer = "no-answer",
    OnlyStartRound = "only-start-round",
    ArgumentsNotJson = "arguments-not-json",
    ArgumentsNotObject = "arguments-not-an-object",
    MissingArguments = "missing-arguments",
    MissingResult = "missing-result",
    CallWithoutTool = "call-without-tool",
    FailedAnswer = "failed-answer",
    UnknownRole = "unknown-role",
    NotUnderstood = "not-understood",
    NotToLearn = "not-to-learn",
    CutOffAnswer = "cut-off-answer",
    NeedsAttachment = "needs-attachment",
    NoPair = "no-pair",
    NoLabel = "no-label",
    SeveralMessages = "several-messages",
    CallsTools = "calls-tools",
    InConversation = "in-conversation",
    TooLong = "too-long",
    NothingToLearn = "nothing-to-learn",
    TemplateError = "template-error",
    NotFinished = "not-finished",
    NotSuccessful = "not-successful",
    NoInput = "no-input",
    NodeDidNotRun = "node-did-not-run",
    RepeatedId = "repeated-id",
    EarlierState = "earlier-state",
    Duplicate = "duplicate",
    NearDuplicate = "near-duplicate",
    LinksOutputs = "links-outputs",
    Contaminated = "contaminated",
    Redacted = "redacted",
    NotRedacted = "not-redacted",
    Purged = "purged",
    Damaged = "damaged",
    NeedsRepair = "needs-repair"
);

impl Reason {
    /// The reason in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::OtherKind => "of a kind that the data format cannot hold",
            Self::NoChunks => "no chunks",
            Self::EmbeddingTooWide => "an embedding that needs more than 32-bit precision",
            Self::NoMessages => "no messages",
            Self::NoAnswer => "no answer to train on",
            Self::OnlyStartRound => "a graph with nothing after its start round",
            Self::ArgumentsNotJson => "a call's arguments are not JSON",
            Self::ArgumentsNotObject => "a call's arguments are not a JSON object",
            Self::MissingArguments => "a call without arguments",
            Self::MissingResult => "an answer to a call whose result is missing",
            Self::CallWithoutTool => "a call that names no tool",
            Self::FailedAnswer => "an answer that failed",
            Self::UnknownRole => "a speaker that trainers do not know",
            Self::NotUnderstood => "something in it was not understood",
            Self::NotToLearn => "answers that are marked as not to train on",
            Self::CutOffAnswer => "an answer that was cut off by a limit or a filter",
            Self::NeedsAttachment => "answers to a picture, sound or file that is not in the rows",
            Self::NoPair => "no two answers to one question with one known to be better",
            Self::NoLabel => "nothing says whether an answer is good or bad",
            Self::SeveralMessages => "an answer of several messages, where a row holds one",
            Self::CallsTools => "tool calls, which the data format cannot hold",
            Self::InConversation => "a traced run whose conversation is written",
            Self::TooLong => "longer than the limit",
            Self::NothingToLearn => "nothing to train on with this template",
            Self::TemplateError => "the chat template raised an error",
            Self::NotFinished => "not finished, or cancelled",
            Self::NotSuccessful => "a run that failed",
            Self::NoInput => "no input recorded",
            Self::NodeDidNotRun => "the selected node did not run",
            Self::RepeatedId => {
                "the same messages as another item with its id, which counts instead"
            }
            Self::EarlierState => "an earlier state of an item, whose later state counts",
            Self::Duplicate => "a duplicate of an item that is kept",
            Self::NearDuplicate => "almost the same as an item that is kept, or its beginning",
            Self::LinksOutputs => "linked to items in several outputs of the earlier dataset",
            Self::Contaminated => "contains text of a benchmark",
            Self::Redacted => "left out by a redaction rule",
            Self::NotRedacted => "secrets or personal data could not be replaced",
            Self::Purged => "purged after it was selected",
            Self::Damaged => "damaged in the store",
            Self::NeedsRepair => "trainers would reject it without repair",
        }
    }
}

/// Something that trainers accept but people should know.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Warning {
    /// `<image>`, `<video>`, `<audio>` or `{{…}}` is in the text: some templates stop or alter it.
    TemplateMark,
    /// A picture, sound or file does not travel with the text.
    AttachmentLeftBehind,
    /// Reasoning is not in the rows.
    ReasoningLeftBehind,
    /// An empty question.
    EmptyQuestion,
    /// A spreadsheet would have run the cell as a formula.
    GuardedCell,
    /// A cell is longer than spreadsheets keep.
    LongCell,
    /// CSV readers take the cell for null, a number or a date.
    AmbiguousCell,
    /// An answer had more retrieved passages than are carried.
    CutContexts,
    /// A prompt had variables that have no columns of their own.
    VariableWithoutColumn,
    /// A date or time could not be read; it is kept as the source wrote it.
    UnreadTime,
    /// A selection by date left the item out, as no date of it could be read.
    Undated,
    /// `NaN`, `Infinity` or `-Infinity` stood for a number and was read as null.
    NonFinite,
    /// The embeddings of one document do not have one length.
    RaggedEmbedding,
    /// Rounds beside the active path are not written: other answers, edited questions.
    OtherBranches,
    /// Histories of sub-agents are not written.
    TasksLeftOut,
    /// The reader met something that it could not place. It is kept, and nothing is trained on the item.
    NotUnderstood,
    /// Other items have the same id: this one was written as `id#2`, `id#3` and so on.
    IdKeptApart,
    /// A split by user met an item that names none; its conversation is its group.
    NoUser,
    /// It has text of a benchmark.
    Contaminated,
}

named!(
    Warning,
    "warning",
    TemplateMark = "template-mark",
    AttachmentLeftBehind = "attachment-left-behind",
    ReasoningLeftBehind = "reasoning-left-behind",
    EmptyQuestion = "empty-question",
    GuardedCell = "guarded-cell",
    LongCell = "long-cell",
    AmbiguousCell = "ambiguous-cell",
    CutContexts = "cut-contexts",
    VariableWithoutColumn = "variable-without-column",
    UnreadTime = "unread-time",
    Undated = "undated",
    NonFinite = "non-finite-number",
    RaggedEmbedding = "ragged-embedding",
    OtherBranches = "other-branches",
    TasksLeftOut = "tasks-left-out",
    NotUnderstood = "not-understood",
    IdKeptApart = "id-kept-apart",
    NoUser = "no-user",
    Contaminated = "contaminated"
);

impl Warning {
    /// The warning in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::TemplateMark => {
                "text contains `<image>`, `<video>`, `<audio>` or `{{…}}`, which some chat templates replace"
            }
            Self::AttachmentLeftBehind => "pictures, sound or files are not included",
            Self::ReasoningLeftBehind => "reasoning that is not in the rows",
            Self::EmptyQuestion => "an empty question",
            Self::GuardedCell => "cells guarded so that spreadsheets do not run them",
            Self::LongCell => "cells longer than the 32,767 characters that spreadsheets keep",
            Self::AmbiguousCell => "cells that CSV readers take for null, a number or a date",
            Self::CutContexts => "answers with more retrieved passages than were written",
            Self::VariableWithoutColumn => {
                "prompt variables without a column of their own, in `other_variables`"
            }
            Self::UnreadTime => "dates or times that could not be read",
            Self::Undated => "not selected because no date could be read",
            Self::NonFinite => "`NaN` or `Infinity` in place of a number, read as null",
            Self::RaggedEmbedding => "embeddings of one document differ in length",
            Self::OtherBranches => "other answers or branches; only the active path is written",
            Self::TasksLeftOut => "histories of sub-agents, which `--tasks` writes",
            Self::NotUnderstood => "not fully understood: kept, but never trained on",
            Self::IdKeptApart => "different items under one id, written as `id#2` and so on",
            Self::NoUser => "no user named, so split by conversation",
            Self::Contaminated => "contain text of a benchmark",
        }
    }
}

/// Why something was left out, with what a person needs to find it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LeftOut {
    /// The reason.
    pub reason: Reason,
    /// Where and what, in words.
    pub detail: String,
}

impl LeftOut {
    /// A reason with its detail.
    pub fn new(reason: Reason, detail: impl Into<String>) -> Self {
        Self { reason, detail: detail.into() }
    }
}
