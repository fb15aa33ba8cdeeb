//! Runs, copilots and recipes over the wire.

use retort_model::RunFilter;
use retort_service::{Flow as StoreFlow, FlowParts, Latency as Found, RunCharts, RunSummary};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fields::moment;

/// A run as lists show it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Run {
    /// The source's id.
    pub request_id: String,
    /// What ran: `copilot` or `recipe`.
    pub source: String,
    /// Id of the copilot or recipe; request ids are one of a kind within it.
    pub source_id: String,
    /// Its name, as last reported.
    pub source_name: Option<String>,
    /// Its version.
    pub version: Option<String>,
    /// E-mail address or name of the person who started it; null if unknown.
    pub owner: Option<String>,
    /// Who imported it; null if that was not recorded.
    #[serde(default)]
    pub importer: Option<String>,
    /// The conversation that it belongs to, as the source names it.
    pub thread: Option<String>,
    /// `success`, `failure`, `running` or `cancelled`.
    #[schema(value_type = super::words::RunStatus)]
    pub status: String,
    /// The first 160 characters of the question.
    pub question: Option<String>,
    /// The first 160 characters of the answer.
    pub answer: Option<String>,
    /// The first 160 characters of the error.
    pub error: Option<String>,
    /// How many files belong to it.
    pub files: u64,
    /// How many nodes ran.
    pub nodes: u64,
    /// Whether someone judged it.
    pub has_feedback: bool,
    /// Whether it failed or names an error.
    pub has_error: bool,
    /// When it began, RFC 3339.
    pub started_at: Option<String>,
    /// When it ended, RFC 3339.
    pub finished_at: Option<String>,
    /// Bytes of its canonical line.
    pub bytes: u64,
}

impl From<&RunSummary> for Run {
    fn from(run: &RunSummary) -> Self {
        Self {
            request_id: run.id.clone(),
            source: run.source.to_string(),
            source_id: run.flow.clone(),
            source_name: run.flow_name.clone(),
            version: run.version.clone(),
            owner: run.owner.clone(),
            importer: run.importer.clone(),
            thread: run.thread.clone(),
            status: run.status.to_string(),
            question: run.question.clone(),
            answer: run.answer.clone(),
            error: run.error.clone(),
            files: run.files,
            nodes: run.nodes,
            has_feedback: run.has_feedback,
            has_error: run.has_error,
            started_at: moment(run.started_at),
            finished_at: moment(run.finished_at),
            bytes: run.size,
        }
    }
}

/// A page of runs.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct RunPage {
    /// The runs.
    pub runs: Vec<Run>,
    /// The value of `after` for the next page; null on the last page.
    pub next: Option<String>,
}

/// A complete run.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct WholeRun {
    /// As lists show it.
    pub summary: Run,
    /// Everything that is stored of it, in Retort's canonical form, with prompts, inputs and outputs of every node.
    #[schema(value_type = Object)]
    pub run: Box<serde_json::value::RawValue>,
}

/// Runs to delete permanently.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct PurgeRuns {
    /// Which. Only what ids name is purged; the rest of the selection narrows it.
    #[schema(value_type = super::filter::Runs)]
    pub selection: RunFilter,
}

/// How many were permanently deleted.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Purged {
    /// How many.
    pub purged: u64,
}

/// A copilot or recipe, as its runs describe it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Flow {
    /// `copilot` or `recipe`.
    pub source: String,
    /// Its id.
    pub id: String,
    /// Its name, as last reported.
    pub name: Option<String>,
    /// How many runs there are.
    pub runs: u64,
    /// Of them, those that failed.
    pub failures: u64,
    /// When the last began, RFC 3339.
    pub last_started_at: Option<String>,
}

impl From<&StoreFlow> for Flow {
    fn from(flow: &StoreFlow) -> Self {
        Self {
            source: flow.source.to_string(),
            id: flow.id.clone(),
            name: flow.name.clone(),
            runs: flow.runs,
            failures: flow.failures,
            last_started_at: moment(flow.last_started_at),
        }
    }
}

/// Copilots and recipes, most recently used first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Flows {
    /// At most 1000.
    pub flows: Vec<Flow>,
}

/// A copilot or recipe with its versions and nodes.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct WholeFlow {
    /// As lists show it.
    #[serde(flatten)]
    pub flow: Flow,
    /// Its versions, most frequent first.
    pub versions: Vec<FlowVersion>,
    /// Its nodes, most frequent first.
    pub nodes: Vec<FlowNode>,
}

/// A version of a copilot or recipe.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct FlowVersion {
    /// Its name; null if no run names it.
    pub version: Option<String>,
    /// How many runs it has.
    pub runs: u64,
}

/// A node of a copilot or recipe.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct FlowNode {
    /// Its name.
    pub node: String,
    /// `model-call`, `retrieval`, `tool`, `agent` or `other`.
    #[schema(value_type = super::words::NodeKind)]
    pub kind: String,
    /// How many runs executed it.
    pub runs: u64,
}

impl From<&(StoreFlow, FlowParts)> for WholeFlow {
    fn from((flow, parts): &(StoreFlow, FlowParts)) -> Self {
        let version = |(version, runs): &(Option<String>, u64)| FlowVersion {
            version: version.clone(),
            runs: *runs,
        };
        let node = |(node, kind, runs): &(String, retort_model::NodeKind, u64)| FlowNode {
            node: node.clone(),
            kind: kind.to_string(),
            runs: *runs,
        };
        Self {
            flow: flow.into(),
            versions: parts.versions.iter().map(version).collect(),
            nodes: parts.nodes.iter().map(node).collect(),
        }
    }
}

/// Volume, failures and latency of the matching runs over time.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct RunStats {
    /// How many runs are described.
    pub runs: u64,
    /// Whether these are all matching runs, or only the most recent ones.
    pub whole: bool,
    /// Runs without a start time; they are in no bar.
    pub undated: u64,
    /// How they ended.
    pub statuses: std::collections::BTreeMap<String, u64>,
    /// How long they took.
    pub latency: Option<Latency>,
    /// Seconds that one bar spans.
    pub step_seconds: u64,
    /// From the first run to the last, at most 60, including those without runs.
    pub bars: Vec<RunBar>,
}

/// The runs that began in one time span.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct RunBar {
    /// Where the span begins, RFC 3339.
    pub from: Option<String>,
    /// How many began in it.
    pub runs: u64,
    /// Of them, those that failed.
    pub failures: u64,
    /// How long they took.
    pub latency: Option<Latency>,
}

/// How long runs took, in milliseconds, each within two percent.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Latency {
    /// The median.
    pub p50_ms: u64,
    /// The 95th percentile.
    pub p95_ms: u64,
    /// The 99th percentile.
    pub p99_ms: u64,
}

impl From<Found> for Latency {
    fn from(Found { p50_ms, p95_ms, p99_ms }: Found) -> Self {
        Self { p50_ms, p95_ms, p99_ms }
    }
}

impl From<RunCharts> for RunStats {
    fn from(charts: RunCharts) -> Self {
        Self {
            runs: charts.runs,
            whole: charts.is_whole,
            undated: charts.undated,
            statuses: charts
                .statuses
                .into_iter()
                .map(|(status, count)| (status.to_string(), count))
                .collect(),
            latency: charts.latency.map(Into::into),
            step_seconds: charts.step_seconds,
            bars: charts
                .bars
                .into_iter()
                .map(|bar| RunBar {
                    from: moment(bar.from),
                    runs: bar.runs,
                    failures: bar.failures,
                    latency: bar.latency.map(Into::into),
                })
                .collect(),
        }
    }
}
