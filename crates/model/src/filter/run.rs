//! Which runs are meant.

use std::collections::BTreeSet;

use super::field::{Filter, FilterField, FilterValues, add, flag, limit, list, one, range, time};
use super::range::{DateRange, DecimalRange};
use crate::item::ItemKind;
use crate::run::{NodeKind, Run, RunSource, RunStatus};

/// A choice of runs: all that match, at most `limit` of them. Within one field any value may match; the fields must
/// all match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// What ran: copilots or recipes; none means both.
    pub source: Option<RunSource>,
    /// Id of the copilot, recipe or application; none means all.
    pub flow: Option<String>,
    /// Its versions; none means all.
    pub versions: Vec<String>,
    /// How they ended; none means any way, also not at all.
    pub statuses: Vec<RunStatus>,
    /// When they began.
    pub started: DateRange,
    /// Texts sought in the request id and at the start of question, answer and error, whatever their case.
    pub search: Vec<String>,
    /// Whether someone judged the answer, or that of a node.
    pub has_feedback: Option<bool>,
    /// Whether they failed, or name an error.
    pub has_error: Option<bool>,
    /// A node that they passed.
    pub node: Option<String>,
    /// Kinds of nodes, of which they passed one; none means any.
    pub node_kinds: Vec<NodeKind>,
    /// Names of models, of which one was called; none means any.
    pub models: Vec<String>,
    /// In which all their scores lie.
    pub scores: DecimalRange,
    /// The threads or sessions that they belong to; none means all.
    pub threads: Vec<String>,
    /// Who started them; none means anyone.
    pub owners: Vec<String>,
    /// Where they ran; none means anywhere.
    pub environments: Vec<String>,
    /// People of whom one judged it; none means anyone, or nobody.
    pub judges: Vec<String>,
    /// People of whom none judged it.
    pub not_judges: Vec<String>,
    /// Whether anyone judged it.
    pub judged: Option<bool>,
    /// Request ids; none means all.
    pub ids: BTreeSet<String>,
    /// At most this many, the most recent.
    pub limit: Option<u64>,
}

impl Filter for RunFilter {
    const KIND: ItemKind = ItemKind::Run;
    const NAME: &'static str = "RunFilter";
    const FIELDS: &'static [FilterField<Self>] = &[
        list!(
            "search",
            "Only runs with this text in the request id, or at the start of the question, answer or error",
            FilterValues::Text,
            search
        ),
        one!(
            "source",
            "Only runs of copilots, recipes or applications",
            FilterValues::Words(|| RunSource::ALL.iter().map(|source| source.as_str()).collect()),
            source,
            str::parse
        ),
        one!(
            "source_id",
            "Only runs of the copilot, recipe or application with this id",
            FilterValues::Text,
            flow,
            text
        ),
        list!(
            "source_version",
            "Only runs of this version of the copilot, recipe or application",
            FilterValues::Text,
            versions
        )
        .formerly(&["version", "versions"], &["of-version"]),
        list!(
            "status",
            "Only runs with this status",
            FilterValues::Words(|| RunStatus::ALL.iter().map(|status| status.as_str()).collect()),
            statuses
        )
        .formerly(&["statuses"], &["run-status"]),
        one!(
            "started_from",
            "Only runs that began at or after this date or time",
            FilterValues::Time,
            started.from,
            time
        ),
        one!(
            "started_before",
            "Only runs that began before this date or time",
            FilterValues::Time,
            started.before,
            time
        ),
        one!(
            "has_feedback",
            "Only runs with feedback; `false`: only those without",
            FilterValues::Flag,
            has_feedback,
            flag
        ),
        one!(
            "has_error",
            "Only runs that failed or have an error; `false`: only the others",
            FilterValues::Flag,
            has_error,
            flag
        ),
        one!("passed_node", "Only runs that executed this node", FilterValues::Text, node, text)
            .formerly(&["node"], &["passed"]),
        list!(
            "node_kind",
            "Only runs that executed a node of this kind",
            FilterValues::Words(|| NodeKind::ALL.iter().map(|kind| kind.as_str()).collect()),
            node_kinds
        ),
        list!("model", "Only runs that called this model", FilterValues::Text, models),
        range!(
            "score",
            "Only runs with numeric feedback on the answer or a node, all of it in this range",
            FilterValues::Decimals,
            scores
        ),
        list!(
            "thread",
            "Only runs of this thread, session or conversation",
            FilterValues::Text,
            threads
        ),
        list!("owner", "Only runs that this person or user started", FilterValues::Text, owners),
        list!(
            "environment",
            "Only runs in this environment, such as `production`, as named in their trace",
            FilterValues::Text,
            environments
        ),
        list!(
            "judged_by",
            "Only runs that this person judged, by e-mail or name",
            FilterValues::Text,
            judges
        ),
        list!(
            "not_judged_by",
            "Only runs that this person has not judged, by e-mail or name",
            FilterValues::Text,
            not_judges
        ),
        one!(
            "judged",
            "Only runs that someone judged here; `false`: only those that nobody judged",
            FilterValues::Flag,
            judged,
            flag
        ),
        list!("id", "Only the run with this request id", FilterValues::Text, ids)
            .formerly(&["ids"], &[]),
        one!("limit", "At most this many runs, newest first", FilterValues::Limit, limit, limit),
    ];
}

fn text(text: &str) -> Result<String, String> {
    Ok(text.to_owned())
}

impl Run<'_> {
    /// Whether someone judged its answer, or that of a node.
    pub fn has_feedback(&self) -> bool {
        self.feedback.is_some() || self.nodes.iter().any(|node| node.feedback.is_some())
    }

    /// Whether it failed or names an error.
    pub fn has_error(&self) -> bool {
        self.status == RunStatus::Failure || self.error.is_some()
    }
}
