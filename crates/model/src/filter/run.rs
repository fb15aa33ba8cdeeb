//! Which runs are meant.

use std::collections::BTreeSet;

use super::DateRange;
use crate::run::{Run, RunSource, RunStatus};

/// A choice of runs: all that match, at most `limit` of them. Within one field any value may match; the fields must
/// all match.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RunFilter {
    /// What ran: copilots or recipes; none means both.
    pub source: Option<RunSource>,
    /// Id of the copilot or recipe; none means all.
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
    /// Request ids; none means all.
    pub ids: BTreeSet<String>,
    /// At most this many, the most recent.
    pub limit: Option<u64>,
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
