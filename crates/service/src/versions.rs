//! Two versions of a copilot, recipe or application side by side: their runs of the same input.

use std::collections::HashMap;
use std::sync::Arc;

use retort_model::bounds::PAGE_ITEMS;
use retort_model::{Grant, Run, RunFilter, RunSource, RunStatus, canonical};
use retort_store::RunOrder;

use crate::caller::Caller;
use crate::comparisons::{Compared, InputPair, VersionComparison, VersionRun, VersionSide};
use crate::error::Error;
use crate::service::Service;

/// The most recent runs of each version that are compared, and bytes of them: each is read while a person waits.
const COMPARED_RUNS: u64 = 2000;
/// As above.
const COMPARED_BYTES: u64 = 64 * 1024 * 1024;

/// Characters of a text that are shown.
const SHOWN: usize = 500;

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
            let page = self.store.runs(&scope, &filter, RunOrder::Newest, after, PAGE_ITEMS)?;
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
