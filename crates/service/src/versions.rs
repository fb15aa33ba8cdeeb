//! Two versions of a copilot, recipe or application side by side: their runs of the same input.
//!
//! A comparison reads up to 4,000 runs, so that the last few are kept for their next pages, until anything in the store
//! changes.

use std::collections::{HashMap, VecDeque};
use std::sync::{Arc, Mutex, PoisonError};

use retort_model::bounds::PAGE_ITEMS;
use retort_model::{Grant, Run, RunFilter, RunSource, RunStatus, Scope, canonical};

use crate::caller::Caller;
use crate::error::Error;
use crate::service::Service;

/// The most recent runs of each version that are compared, and bytes of them: each is read while a person waits.
const COMPARED_RUNS: u64 = 2000;
/// As above.
const COMPARED_BYTES: u64 = 64 * 1024 * 1024;

/// Comparisons that are kept: each has at most 2,000 pairs of some kilobytes.
const KEPT: usize = 4;

/// Characters of a text that are shown.
const SHOWN: usize = 500;

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
struct Compared {
    scope: Scope,
    source: RunSource,
    flow: String,
    versions: [String; 2],
    last_change: i64,
    runs: [u64; 2],
}

/// The last comparisons, the newest last.
#[derive(Default)]
pub(crate) struct KeptComparisons(Mutex<VecDeque<(Compared, Arc<VersionComparison>)>>);

impl KeptComparisons {
    fn get(&self, compared: &Compared) -> Option<Arc<VersionComparison>> {
        let kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        kept.iter().find(|(one, _)| one == compared).map(|(_, comparison)| Arc::clone(comparison))
    }

    fn keep(&self, compared: Compared, comparison: Arc<VersionComparison>) {
        let mut kept = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // What was made in an earlier state is never asked for again.
        kept.retain(|(one, _)| one.last_change == compared.last_change);
        while kept.len() >= KEPT {
            kept.pop_front();
        }
        kept.push_back((compared, comparison));
    }
}

/// A run, and its whole answer.
struct Answered {
    run: VersionRun,
    answer: Option<String>,
    position: usize,
}

/// The question and the inputs of a run, as they were given.
type Input = (Option<String>, Option<String>);

fn input_of(run: &Run<'_>) -> Input {
    let question = run.question.as_ref().map(|text| text.decoded().into_owned());
    let inputs = run.inputs.as_ref().map(|raw| raw.as_str().to_owned());
    (question.filter(|text| !text.trim().is_empty()), inputs)
}

fn beginning(text: &str) -> String {
    text.chars().take(SHOWN).collect()
}

impl Service {
    /// Compares two versions of a copilot, recipe or application by the inputs that both had. Of several runs of one
    /// input, the most recent counts. Returns at most `most` of the inputs behind the first `after`.
    ///
    /// # Errors
    /// The caller may not read; a run is damaged; those of the store.
    pub fn compare_versions(
        &self,
        caller: &Caller,
        (source, flow): (RunSource, &str),
        versions: [&str; 2],
        (after, most): (usize, usize),
    ) -> Result<VersionComparison, Error> {
        caller.needs(Grant::Read)?;
        let last_change = self.store.last_change()?;
        let of = |version: &str| self.count_runs(caller, &of_version((source, flow), version));
        let compared = Compared {
            scope: caller.scope(),
            source,
            flow: flow.to_owned(),
            versions: versions.map(str::to_owned),
            last_change,
            runs: [of(versions[0])?, of(versions[1])?],
        };
        let comparison = match self.comparisons.get(&compared) {
            Some(kept) => kept,
            None => {
                let comparison = Arc::new(self.compare_all(caller, (source, flow), versions)?);
                self.comparisons.keep(compared, Arc::clone(&comparison));
                comparison
            }
        };
        let pairs = comparison.pairs.iter().skip(after).take(most).cloned().collect();
        let VersionComparison { sides, both, same, .. } = &*comparison;
        Ok(VersionComparison { sides: sides.clone(), pairs, both: *both, same: *same })
    }

    /// The same with all inputs.
    fn compare_all(
        &self,
        caller: &Caller,
        (source, flow): (RunSource, &str),
        versions: [&str; 2],
    ) -> Result<VersionComparison, Error> {
        let mut comparison = VersionComparison::default();
        let [first, second] = &mut comparison.sides;
        let before = self.answers_of(caller, (source, flow), versions[0], first)?;
        let mut after = self.answers_of(caller, (source, flow), versions[1], second)?;
        let mut pairs = Vec::new();
        for (input, one) in before {
            let Some(other) = after.remove(&input) else {
                first.only += 1;
                continue;
            };
            first.failed += u64::from(one.run.status == RunStatus::Failure);
            second.failed += u64::from(other.run.status == RunStatus::Failure);
            let is_same = one.answer == other.answer && one.run.status == other.run.status;
            let text = match &input {
                (Some(question), _) => question,
                (None, inputs) => inputs.as_deref().unwrap_or_default(),
            };
            let runs = [one.run, other.run];
            pairs.push((one.position, InputPair { input: beginning(text), runs, is_same }));
        }
        second.only = after.len() as u64;
        pairs.sort_by_key(|(position, pair)| (pair.is_same, *position));
        comparison.pairs = pairs.into_iter().map(|(_, pair)| pair).collect();
        comparison.both = comparison.pairs.len() as u64;
        comparison.same = comparison.pairs.iter().filter(|pair| pair.is_same).count() as u64;
        Ok(comparison)
    }

    /// The most recent run of each input of a version.
    fn answers_of(
        &self,
        caller: &Caller,
        (source, flow): (RunSource, &str),
        version: &str,
        side: &mut VersionSide,
    ) -> Result<HashMap<Input, Answered>, Error> {
        let filter = of_version((source, flow), version);
        let (scope, mut unpacker) = (caller.scope(), self.store.unpacker());
        let mut answers = HashMap::new();
        let (mut after, mut bytes) = (None, 0);
        loop {
            let page = self.store.runs(&scope, &filter, after, PAGE_ITEMS)?;
            for summary in &page.runs {
                bytes += summary.size;
                if side.read == COMPARED_RUNS || bytes > COMPARED_BYTES {
                    return Ok(answers);
                }
                let Some(line) = self.store.run_line(summary, &mut unpacker)? else { continue };
                let damaged = |why: String| {
                    let why = format!("the run `{}`: {why}", summary.id);
                    Error::from(retort_store::Error::Damaged(why))
                };
                let text =
                    std::str::from_utf8(&line).map_err(|error| damaged(error.to_string()))?;
                let run = canonical::read_run(text).map_err(|error| damaged(error.to_string()))?;
                side.read += 1;
                let input = input_of(&run);
                if input == (None, None) {
                    side.without_input += 1;
                    continue;
                }
                let position = answers.len();
                match answers.entry(input) {
                    std::collections::hash_map::Entry::Occupied(_) => side.repeated += 1,
                    std::collections::hash_map::Entry::Vacant(free) => {
                        free.insert(answered(&run, &summary.id, position));
                    }
                }
            }
            match page.next {
                Some(next) => after = Some(next),
                None => break,
            }
        }
        side.is_whole = true;
        Ok(answers)
    }
}

/// The runs of a version.
fn of_version((source, flow): (RunSource, &str), version: &str) -> RunFilter {
    RunFilter {
        source: Some(source),
        flow: Some(flow.to_owned()),
        versions: vec![version.to_owned()],
        ..RunFilter::default()
    }
}

fn answered(run: &Run<'_>, id: &str, position: usize) -> Answered {
    let answer = run.answer.as_ref().map(|text| text.decoded().into_owned());
    let error = run.error.as_ref().map(|text| beginning(&text.decoded()));
    let took = run.started_at.zip(run.finished_at).and_then(|(from, to)| {
        u64::try_from(to.unix_micros().saturating_sub(from.unix_micros()) / 1000).ok()
    });
    Answered {
        run: VersionRun {
            id: id.to_owned(),
            status: run.status,
            answer: answer.as_deref().map(beginning).unwrap_or_default(),
            error: error.unwrap_or_default(),
            took_ms: took,
        },
        answer,
        position,
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
