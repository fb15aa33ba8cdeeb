//! Comparisons of two versions, and the last of them, which are kept for their next pages until anything in the store changes:
//! a comparison reads up to 4,000 runs.

use std::collections::VecDeque;
use std::sync::{Arc, Mutex, PoisonError};

use retort_model::{RunSource, RunStatus, Scope};

/// Comparisons that are kept: each has at most 2,000 pairs of some kilobytes.
const KEPT: usize = 4;

/// Two versions side by side.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VersionComparison {
    /// What there is of each version.
    pub sides: [VersionSide; 2],
    /// A page of the inputs that both versions had, those with different answers first, the most recent first.
    pub pairs: Vec<InputPair>,
    /// How many inputs both versions had.
    pub both: u64,
    /// How many of them have the same answer and ended in the same way.
    pub same: u64,
}

/// What there is of one version.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct VersionSide {
    /// Runs that were read.
    pub read: u64,
    /// Whether these are all of them: else the most recent.
    pub is_whole: bool,
    /// Runs that have neither a question nor inputs.
    pub without_input: u64,
    /// Runs of an input that a more recent run of this version had, too.
    pub repeated: u64,
    /// Inputs that the other version did not have.
    pub only: u64,
    /// Of the inputs that both had, those for which it failed.
    pub failed: u64,
}

/// An input that both versions had.
#[derive(Clone, Debug, PartialEq)]
pub struct InputPair {
    /// How it begins.
    pub input: String,
    /// The most recent run of it by each version.
    pub runs: [VersionRun; 2],
    /// Whether both answers are alike to the letter, and both runs ended in the same way.
    pub is_same: bool,
}

/// A run of one version.
#[derive(Clone, Debug, PartialEq)]
pub struct VersionRun {
    /// Its id.
    pub id: String,
    /// How it ended.
    pub status: RunStatus,
    /// How its answer begins.
    pub answer: String,
    /// How its error begins.
    pub error: String,
    /// How long it took, in milliseconds.
    pub took_ms: Option<u64>,
}

/// What a comparison is of, and the state of the store in which it was made: the number of the last change, and how many
/// runs there were of each version, as a purge has no number.
#[derive(Clone, PartialEq, Eq)]
pub(crate) struct Compared {
    pub(crate) scope: Scope,
    pub(crate) source: RunSource,
    pub(crate) flow: String,
    pub(crate) versions: [String; 2],
    pub(crate) last_change: i64,
    pub(crate) runs: [u64; 2],
}

/// The last comparisons, the newest last.
#[derive(Default)]
pub(crate) struct KeptComparisons(Mutex<VecDeque<(Compared, Arc<VersionComparison>)>>);

impl KeptComparisons {
    pub(crate) fn get(&self, compared: &Compared) -> Option<Arc<VersionComparison>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(one, _)| one == compared).map(|(_, comparison)| Arc::clone(comparison))
    }

    pub(crate) fn keep(&self, compared: Compared, comparison: Arc<VersionComparison>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What was made in an earlier state is never asked for again.
        kept.retain(|(one, _)| one.last_change == compared.last_change);
        while kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back((compared, comparison));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_comparison_is_kept_until_the_store_changes_and_only_for_those_who_see_the_same() {
        let kept = KeptComparisons::default();
        let of = |version: &str, last_change| Compared {
            scope: Scope::project(1),
            source: RunSource::Copilot,
            flow: "helper".into(),
            versions: [version.to_owned(), "2".into()],
            last_change,
            runs: [3, 4],
        };
        let comparison = || Arc::new(VersionComparison { both: 7, ..VersionComparison::default() });
        kept.keep(of("1", 5), comparison());
        assert_eq!(kept.get(&of("1", 5)).map(|one| one.both), Some(7));
        let member = Scope { owner: Some("ann".into()), ..Scope::project(1) };
        assert!(kept.get(&Compared { scope: member, ..of("1", 5) }).is_none());
        assert!(kept.get(&Compared { runs: [2, 4], ..of("1", 5) }).is_none(), "one was purged");
        assert!(kept.get(&of("1", 6)).is_none());
        for version in ["a", "b", "c", "d"] {
            kept.keep(of(version, 5), comparison());
        }
        assert!(kept.get(&of("1", 5)).is_none() && kept.get(&of("a", 5)).is_some());
        kept.keep(of("1", 6), comparison());
        assert!(kept.get(&of("d", 5)).is_none());
    }
}
