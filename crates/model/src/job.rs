//! Imports and exports under way.

use crate::named;

/// Where a job stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum JobState {
    /// It waits for a worker.
    Queued,
    /// A worker holds it.
    Running,
    /// It did all it was asked.
    Completed,
    /// It is done, and left something out: the receipt says what and why.
    CompletedWithSkips,
    /// It could not be done.
    Failed,
    /// Someone ended it.
    Cancelled,
}

named!(
    JobState,
    "state of a job",
    Queued = "queued",
    Running = "running",
    Completed = "completed",
    CompletedWithSkips = "completed_with_skips",
    Failed = "failed",
    Cancelled = "cancelled"
);

impl JobState {
    /// The states of a job that ended without doing what it was to do.
    pub const FAILED: [Self; 2] = [Self::Failed, Self::Cancelled];

    /// Whether it ended without doing what it was to do.
    pub fn has_failed(self) -> bool {
        Self::FAILED.contains(&self)
    }

    /// Whether nothing more happens by itself.
    pub fn is_ended(self) -> bool {
        !matches!(self, Self::Queued | Self::Running)
    }
}

/// What a job does.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum JobKind {
    /// Brings histories into the store.
    Import,
    /// Makes a dataset.
    Export,
}

named!(JobKind, "kind of job", Import = "import", Export = "export");

/// How far an erasure of everything of a person is.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum ErasureState {
    /// Datasets are being rebuilt.
    Running,
    /// Nothing is left.
    Completed,
}

named!(ErasureState, "state of an erasure", Running = "running", Completed = "completed");
