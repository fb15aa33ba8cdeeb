//! Runs: executions of a copilot, of a webhook recipe or of a traced application.

use crate::conversation::Usage;
use crate::fields::Fields;
use crate::judgement::Judgement;
use crate::message::{Feedback, NotUnderstood};
use crate::named;
use crate::time::Time;
use retort_json::{RawJson, Text};

/// One execution of a copilot, a webhook recipe or a traced application.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Run<'a> {
    /// The source's own id of the run.
    pub request_id: Text<'a>,
    /// The project it belongs to, in the source's words.
    pub project: Option<Text<'a>>,
    /// Who started it.
    pub owner: Option<Text<'a>>,
    /// What ran.
    pub source: RunSource,
    /// Id of the copilot, recipe or application.
    pub source_id: Text<'a>,
    /// Its name.
    pub source_name: Option<Text<'a>>,
    /// Its version.
    pub version: Option<Text<'a>>,
    /// The conversation that the run belongs to, in the source's words.
    pub thread: Option<Text<'a>>,
    /// What was asked.
    pub question: Option<Text<'a>>,
    /// What the system and the person put in, as JSON.
    pub inputs: Option<RawJson<'a>>,
    /// What was answered.
    pub answer: Option<Text<'a>>,
    /// Why it failed.
    pub error: Option<Text<'a>>,
    /// How it ended.
    pub status: RunStatus,
    /// Files that belong to it.
    pub files: Vec<FileReference<'a>>,
    /// Passages that were retrieved for it, as the source wrote them.
    pub contexts: Vec<RawJson<'a>>,
    /// The nodes that it passed, in the order of the source; a node may run more than once.
    pub nodes: Vec<NodeRun<'a>>,
    /// What a person thought of the answer: of several what was said last.
    pub feedback: Option<Box<Feedback<'a>>>,
    /// The answer that it should have been.
    pub ground_truth: Option<Text<'a>>,
    /// What people said of the answer, and what the source had said before.
    pub judgements: Vec<Judgement<'a>>,
    /// When it began.
    pub started_at: Option<Time>,
    /// When it ended.
    pub finished_at: Option<Time>,
    /// What the reader met and could not place. Nothing is trained on a run that has any.
    pub not_understood: Vec<NotUnderstood<'a>>,
    /// What the source said beyond that.
    pub metadata: Fields<'a>,
}

/// What a run is an execution of.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum RunSource {
    /// A copilot, which people talk to.
    #[default]
    Copilot,
    /// A recipe, which a webhook calls.
    Recipe,
    /// An application of any other kind, known by its traces.
    Application,
}

/// How a run, or a node of it, ended.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum RunStatus {
    /// It answered.
    #[default]
    Success,
    /// It failed.
    Failure,
    /// It has not ended.
    Running,
    /// Someone ended it.
    Cancelled,
}

/// A file by reference.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FileReference<'a> {
    /// Where it is.
    pub uri: Text<'a>,
    /// Its name.
    pub name: Option<Text<'a>>,
    /// Its media type.
    pub media_type: Option<Text<'a>>,
    /// Its size.
    pub size_bytes: Option<u64>,
    /// What the source said beyond that.
    pub metadata: Fields<'a>,
}

/// One execution of a node inside a run.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct NodeRun<'a> {
    /// The node's name.
    pub node: Text<'a>,
    /// What the node does.
    pub kind: NodeKind,
    /// Position in the run's nodes of the node that it ran inside.
    pub parent: Option<usize>,
    /// The model that was called.
    pub model: Option<Text<'a>>,
    /// The prompt, with its variables in place or as a template.
    pub prompt: Option<Text<'a>>,
    /// What the prompt's variables stood for, as a JSON object.
    pub variables: Option<RawJson<'a>>,
    /// What went in, as JSON.
    pub input: Option<RawJson<'a>>,
    /// What came out, as JSON.
    pub output: Option<RawJson<'a>>,
    /// How it ended.
    pub status: RunStatus,
    /// Why it failed.
    pub error: Option<Text<'a>>,
    /// What a person thought of its output.
    pub feedback: Option<Box<Feedback<'a>>>,
    /// The output that it should have been.
    pub ground_truth: Option<Text<'a>>,
    /// When it began.
    pub started_at: Option<Time>,
    /// When it ended.
    pub finished_at: Option<Time>,
    /// Tokens used.
    pub usage: Usage,
    /// What it cost in US dollars; finite.
    pub cost_usd: Option<f64>,
    /// What the source said beyond that.
    pub metadata: Fields<'a>,
}

/// What a node does.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum NodeKind {
    /// Calls a model.
    ModelCall,
    /// Retrieves passages.
    Retrieval,
    /// Runs a tool.
    Tool,
    /// Is an agent.
    Agent,
    /// Does something else.
    #[default]
    Other,
}

/// Why an export is made: it decides which items are taken and how they are shaped.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum Purpose {
    /// Everything, for reports, analysis and archives.
    #[default]
    ExportDataset,
    /// Finished runs end to end, comparable across versions.
    RecipeEvaluation,
    /// One row an execution of the chosen node.
    NodeEvaluation,
    /// The same with what is needed to better its prompt.
    NodeOptimization,
    /// Successful runs as messages.
    FineTuning,
}

impl Run<'_> {
    /// The same run, borrowing from nothing.
    pub fn into_owned(self) -> Run<'static> {
        Run {
            request_id: self.request_id.into_owned(),
            project: self.project.map(Text::into_owned),
            owner: self.owner.map(Text::into_owned),
            source: self.source,
            source_id: self.source_id.into_owned(),
            source_name: self.source_name.map(Text::into_owned),
            version: self.version.map(Text::into_owned),
            thread: self.thread.map(Text::into_owned),
            question: self.question.map(Text::into_owned),
            inputs: self.inputs.map(RawJson::into_owned),
            answer: self.answer.map(Text::into_owned),
            error: self.error.map(Text::into_owned),
            status: self.status,
            files: self.files.into_iter().map(FileReference::into_owned).collect(),
            contexts: self.contexts.into_iter().map(RawJson::into_owned).collect(),
            nodes: self.nodes.into_iter().map(NodeRun::into_owned).collect(),
            feedback: self.feedback.map(|one| Box::new(one.into_owned())),
            ground_truth: self.ground_truth.map(Text::into_owned),
            judgements: self.judgements.into_iter().map(Judgement::into_owned).collect(),
            started_at: self.started_at,
            finished_at: self.finished_at,
            not_understood: self
                .not_understood
                .into_iter()
                .map(NotUnderstood::into_owned)
                .collect(),
            metadata: self.metadata.into_owned(),
        }
    }
}

impl FileReference<'_> {
    fn into_owned(self) -> FileReference<'static> {
        FileReference {
            uri: self.uri.into_owned(),
            name: self.name.map(Text::into_owned),
            media_type: self.media_type.map(Text::into_owned),
            size_bytes: self.size_bytes,
            metadata: self.metadata.into_owned(),
        }
    }
}

impl NodeRun<'_> {
    fn into_owned(self) -> NodeRun<'static> {
        NodeRun {
            node: self.node.into_owned(),
            kind: self.kind,
            parent: self.parent,
            model: self.model.map(Text::into_owned),
            prompt: self.prompt.map(Text::into_owned),
            variables: self.variables.map(RawJson::into_owned),
            input: self.input.map(RawJson::into_owned),
            output: self.output.map(RawJson::into_owned),
            status: self.status,
            error: self.error.map(Text::into_owned),
            feedback: self.feedback.map(|one| Box::new(one.into_owned())),
            ground_truth: self.ground_truth.map(Text::into_owned),
            started_at: self.started_at,
            finished_at: self.finished_at,
            usage: self.usage,
            cost_usd: self.cost_usd,
            metadata: self.metadata.into_owned(),
        }
    }
}

named!(
    RunSource,
    "source of runs",
    Copilot = "copilot",
    Recipe = "recipe",
    Application = "application"
);
named!(
    RunStatus,
    "status of a run",
    Success = "success",
    Failure = "failure",
    Running = "running",
    Cancelled = "cancelled"
);
named!(
    NodeKind,
    "kind of node",
    ModelCall = "model-call",
    Retrieval = "retrieval",
    Tool = "tool",
    Agent = "agent",
    Other = "other"
);
named!(
    Purpose,
    "purpose",
    ExportDataset = "export-dataset",
    RecipeEvaluation = "recipe-evaluation",
    NodeEvaluation = "node-evaluation",
    NodeOptimization = "node-optimization",
    FineTuning = "fine-tuning"
);

impl Purpose {
    /// The purpose in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::ExportDataset => "for reports, analysis and archives",
            Self::RecipeEvaluation => "to evaluate runs end to end and compare versions",
            Self::NodeEvaluation => "to evaluate one node by itself",
            Self::NodeOptimization => "to improve one node's prompt",
            Self::FineTuning => "to train on successful answers",
        }
    }

    /// Whether a node must be chosen.
    pub fn needs_node(self) -> bool {
        matches!(self, Self::NodeEvaluation | Self::NodeOptimization)
    }
}
