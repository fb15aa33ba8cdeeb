//! Runs looked at and purged, and the copilots and recipes that they were executions of.

use std::collections::BTreeMap;

use retort_model::bounds::{CHART_BARS, RUNS_CHARTED};
use retort_model::{Action, Grant, Run, RunFilter, RunSource, RunStatus, Time, canonical};
use retort_store::{Cursor, Flow, FlowParts, RunOrder, RunPage, RunSummary};

use crate::browse::{REWRITES, keep_first_space, named};
use crate::caller::Caller;
use crate::error::Error;
use crate::import::incoming_run;
use crate::memory::take_for_item;
use crate::service::Service;

/// What the runs of a filter were like over time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunCharts {
    /// How many runs are told of.
    pub runs: u64,
    /// Whether these are all, or the most recent of more.
    pub is_whole: bool,
    /// Whose beginning is not known: they are in no bar.
    pub undated: u64,
    /// How they ended.
    pub statuses: Vec<(RunStatus, u64)>,
    /// How long they took.
    pub latency: Option<Latency>,
    /// Seconds that one bar spans.
    pub step_seconds: u64,
    /// From the first run to the last, also those in which there was none.
    pub bars: Vec<RunBar>,
}

/// The runs that began in one span of time.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RunBar {
    /// Where the span begins.
    pub from: Option<Time>,
    /// How many began in it.
    pub runs: u64,
    /// Of them, those that failed.
    pub failures: u64,
    /// How long they took.
    pub latency: Option<Latency>,
}

/// How long runs took, in milliseconds: exact percentiles by nearest rank.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Latency {
    /// Half of them took no longer.
    pub p50_ms: u64,
    /// Nineteen of twenty took no longer.
    pub p95_ms: u64,
    /// All but one of a hundred took no longer.
    pub p99_ms: u64,
}

impl Service {
    /// A page of the runs.
    pub fn runs(
        &self,
        caller: &Caller,
        selection: &RunFilter,
        order: RunOrder,
        after: Option<Cursor>,
        most: usize,
    ) -> Result<RunPage, Error> {
        caller.needs(Grant::Read)?;
        Ok(self.store.runs(&caller.scope(), selection, order, after, most)?)
    }

    /// The runs before and after one, in the list of this filter and order.
    ///
    /// # Errors
    /// The caller may not read, or the store fails.
    pub fn run_neighbours(
        &self,
        caller: &Caller,
        filter: &RunFilter,
        order: RunOrder,
        one: &RunSummary,
    ) -> Result<[Option<RunSummary>; 2], Error> {
        caller.needs(Grant::Read)?;
        Ok(self.store.run_neighbours(&caller.scope(), filter, order, one)?)
    }

    /// How many runs the selection means.
    pub fn count_runs(&self, caller: &Caller, selection: &RunFilter) -> Result<u64, Error> {
        caller.needs(Grant::Read)?;
        Ok(self.store.count_runs(&caller.scope(), selection)?)
    }

    /// The run with that request id, with its canonical line. `of` tells it from those of other copilots and recipes.
    ///
    /// # Errors
    /// There is none, or several; it is damaged; those of the store.
    pub fn run(
        &self,
        caller: &Caller,
        id: &str,
        of: (Option<RunSource>, Option<&str>),
    ) -> Result<(RunSummary, Vec<u8>), Error> {
        caller.needs(Grant::Read)?;
        let one = self.find_run(caller, id, of)?;
        let line = self.run_line(&one)?;
        Ok((one, line))
    }

    /// The canonical line of a run.
    fn run_line(&self, one: &RunSummary) -> Result<Vec<u8>, Error> {
        take_for_item(one.size, one.nodes)?;
        let line = self.store.run_line(one, &mut self.store.unpacker())?;
        line.ok_or_else(|| no_run(&one.id))
    }

    /// The run with that request id. `of` tells it from those of other copilots and recipes.
    ///
    /// # Errors
    /// There is none, or several; those of the store.
    pub fn find_run(
        &self,
        caller: &Caller,
        id: &str,
        of: (Option<RunSource>, Option<&str>),
    ) -> Result<RunSummary, Error> {
        let selection = RunFilter {
            source: of.0,
            flow: of.1.map(str::to_owned),
            ids: [id.to_owned()].into(),
            ..RunFilter::default()
        };
        let order = RunOrder::Newest;
        let mut found = self.store.runs(&caller.scope(), &selection, order, None, SEVERAL)?.runs;
        found.sort_by_key(|one| (one.member.is_some(), one.key));
        keep_first_space(caller, &mut found, |one| one.member.as_deref());
        match <[RunSummary; 1]>::try_from(found) {
            Ok([one]) => Ok(one),
            Err(none) if none.is_empty() => Err(no_run(id)),
            Err(several) => {
                let of: Vec<_> =
                    several.iter().map(|one| format!("{} `{}`", one.source, one.flow)).collect();
                Err(Error::Choice(format!(
                    "runs of several copilots or recipes have this id; name one: {}",
                    of.join(", ")
                )))
            }
        }
    }

    /// Changes what is said of a run; whether it changed. `change` may be called again, if others changed it meanwhile.
    pub(crate) fn rewrite_run(
        &self,
        caller: &Caller,
        (id, of): (&str, (Option<RunSource>, Option<&str>)),
        mut change: impl FnMut(&mut Run<'_>) -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        for _ in 0..REWRITES {
            let summary = self.find_run(caller, id, of)?;
            let line = self.run_line(&summary)?;
            let damaged = |why: &dyn std::fmt::Display| {
                retort_store::Error::Damaged(format!("the run `{}`: {why}", summary.id))
            };
            let text = std::str::from_utf8(&line).map_err(|error| damaged(&error))?;
            let mut run = canonical::read_run(text).map_err(|error| damaged(&error))?;
            if !change(&mut run)? {
                return Ok(false);
            }
            let mut line = Vec::new();
            canonical::write_run(&run, &mut line);
            let incoming = incoming_run(&run, &line, self.store.packer().pack(&line)?);
            if self.store.change_judged_run((summary.key, summary.body), &incoming)? {
                return Ok(true);
            }
        }
        Err(Error::Conflict(format!("others keep changing the run `{id}`; try again")))
    }

    /// The copilots and recipes that have runs, the last used first.
    pub fn flows(&self, caller: &Caller, source: Option<RunSource>) -> Result<Vec<Flow>, Error> {
        caller.needs(Grant::Read)?;
        Ok(self.store.flows(&caller.scope(), source, None)?)
    }

    /// The copilot or recipe of that id, with its versions and nodes.
    ///
    /// # Errors
    /// There is none, or one of each; those of the store.
    pub fn flow(
        &self,
        caller: &Caller,
        source: Option<RunSource>,
        id: &str,
    ) -> Result<(Flow, FlowParts), Error> {
        caller.needs(Grant::Read)?;
        let found = self.store.flows(&caller.scope(), source, Some(id))?;
        match <[Flow; 1]>::try_from(found) {
            Ok([flow]) => {
                let parts = self.store.flow_parts(&caller.scope(), flow.source, &flow.id)?;
                Ok((flow, parts))
            }
            Err(none) if none.is_empty() => {
                let what = source.map_or("copilot or recipe", RunSource::as_str);
                Err(Error::NotFound { what, name: id.to_owned() })
            }
            Err(_) => {
                Err(Error::Choice(format!("`{id}` is both a copilot and a recipe; say which one")))
            }
        }
    }

    /// What the most recent runs that the selection means were like over time.
    pub fn run_charts(&self, caller: &Caller, selection: &RunFilter) -> Result<RunCharts, Error> {
        caller.needs(Grant::Read)?;
        let most = selection.limit.unwrap_or(u64::MAX).min(RUNS_CHARTED);
        let mut charting = Charting::default();
        self.store.each_run_fact(&caller.scope(), selection, most, &mut |fact| {
            let took = fact.started_at.zip(fact.finished_at).and_then(|(from, to)| {
                u64::try_from(to.unix_micros().saturating_sub(from.unix_micros())).ok()
            });
            charting.add(fact.started_at, fact.status, took);
        })?;
        Ok(charting.charts(most))
    }

    /// Takes everything of the runs away that the selection means; says how many are gone.
    ///
    /// # Errors
    /// One of the ids is none that the caller may see, and nothing was purged; those of the store.
    pub fn purge_runs(&self, caller: &Caller, selection: &RunFilter) -> Result<u64, Error> {
        let meant = format!("runs: {}", named(&selection.ids));
        self.audited(caller, Action::Purge, &meant, || {
            caller.needs(Grant::Write)?;
            self.check_run_ids(caller, selection)?;
            Ok(self.store.purge_runs(&caller.scope(), selection)?)
        })
    }

    /// Refuses a selection that names a request id of which the caller has no run.
    ///
    /// # Errors
    /// As it says; those of the store.
    pub fn check_run_ids(&self, caller: &Caller, selection: &RunFilter) -> Result<(), Error> {
        for id in &selection.ids {
            let one = RunFilter {
                source: selection.source,
                flow: selection.flow.clone(),
                ids: [id.clone()].into(),
                ..RunFilter::default()
            };
            if !self.store.has_runs(&caller.scope(), &one)? {
                return Err(no_run(id));
            }
        }
        Ok(())
    }
}

/// Runs of one id that are told apart in an error.
const SEVERAL: usize = 10;

fn no_run(id: &str) -> Error {
    Error::NotFound { what: "run", name: id.to_owned() }
}

/// Spans that one bar may have, in seconds; past the last they double.
const STEPS: [u64; 8] =
    [60, 10 * 60, 3_600, 6 * 3_600, 86_400, 7 * 86_400, 28 * 86_400, 364 * 86_400];

#[derive(Default)]
struct Slot {
    runs: u64,
    failures: u64,
    /// In microseconds.
    latencies: Vec<u64>,
}

/// Charts that grow; their spans grow with them.
#[derive(Default)]
struct Charting {
    runs: u64,
    undated: u64,
    statuses: BTreeMap<RunStatus, u64>,
    latencies: Vec<u64>,
    coarse: u32,
    slots: BTreeMap<i64, Slot>,
}

impl Charting {
    fn step(&self) -> i64 {
        let place = usize::try_from(self.coarse).unwrap_or(usize::MAX);
        let seconds = STEPS.get(place).copied().unwrap_or_else(|| {
            let last = STEPS.last().copied().unwrap_or(1);
            let doublings = place.saturating_sub(STEPS.len() - 1);
            last.saturating_mul(1 << doublings.min(32))
        });
        i64::try_from(seconds).unwrap_or(i64::MAX).saturating_mul(1_000_000)
    }

    fn add(&mut self, started_at: Option<Time>, status: RunStatus, took_micros: Option<u64>) {
        self.runs += 1;
        *self.statuses.entry(status).or_default() += 1;
        self.latencies.extend(took_micros);
        let Some(started_at) = started_at else {
            self.undated += 1;
            return;
        };
        let slot = self.slots.entry(started_at.unix_micros().div_euclid(self.step())).or_default();
        slot.runs += 1;
        slot.failures += u64::from(status == RunStatus::Failure);
        slot.latencies.extend(took_micros);
        while self.is_wide() {
            self.coarsen();
        }
    }

    fn is_wide(&self) -> bool {
        let ends = self.slots.first_key_value().zip(self.slots.last_key_value());
        ends.is_some_and(|((first, _), (last, _))| last.saturating_sub(*first) >= CHART_BARS)
    }

    fn coarsen(&mut self) {
        let fine = self.step();
        self.coarse += 1;
        let step = self.step();
        for (slot, one) in std::mem::take(&mut self.slots) {
            let into = self.slots.entry(slot.saturating_mul(fine).div_euclid(step)).or_default();
            into.runs += one.runs;
            into.failures += one.failures;
            into.latencies.extend(one.latencies);
        }
    }

    fn charts(mut self, most: u64) -> RunCharts {
        let step = self.step();
        let ends = self.slots.first_key_value().zip(self.slots.last_key_value());
        let (first, last) = ends.map_or((0, -1), |((first, _), (last, _))| (*first, *last));
        let mut bar = |at: i64| {
            let mut slot = self.slots.remove(&at).unwrap_or_default();
            RunBar {
                from: Time::from_unix_micros(at.saturating_mul(step)),
                runs: slot.runs,
                failures: slot.failures,
                latency: latency(&mut slot.latencies),
            }
        };
        let bars = (first..=last).map(&mut bar).collect();
        RunCharts {
            runs: self.runs,
            is_whole: self.runs < most,
            undated: self.undated,
            latency: latency(&mut self.latencies),
            step_seconds: step.unsigned_abs() / 1_000_000,
            bars,
            statuses: self.statuses.into_iter().collect(),
        }
    }
}

/// Percentiles by nearest rank: each is the latency of one of the runs.
fn latency(micros: &mut [u64]) -> Option<Latency> {
    micros.sort_unstable();
    let percentile = |percent: usize| {
        let rank = (micros.len() * percent).div_ceil(100);
        micros.get(rank.saturating_sub(1)).map(|micros| (micros + 500) / 1000)
    };
    Some(Latency { p50_ms: percentile(50)?, p95_ms: percentile(95)?, p99_ms: percentile(99)? })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Option<Time> {
        Some(Time::parse(text).unwrap())
    }

    #[test]
    fn bars_span_more_time_where_runs_lie_far_apart() {
        let mut charting = Charting::default();
        for (text, status, seconds) in [
            ("2024-03-01T00:00:30Z", RunStatus::Success, Some(1)),
            ("2024-03-01T00:00:40Z", RunStatus::Failure, Some(10)),
            ("2024-03-01T00:02:00Z", RunStatus::Running, None),
        ] {
            charting.add(at(text), status, seconds.map(|seconds: u64| seconds * 1_000_000));
        }
        charting.add(None, RunStatus::Success, None);
        let near = charting.charts(10);
        assert_eq!((near.runs, near.undated, near.step_seconds, near.is_whole), (4, 1, 60, true));
        let bars: Vec<_> = near.bars.iter().map(|bar| (bar.runs, bar.failures)).collect();
        assert_eq!(bars, [(2, 1), (0, 0), (1, 0)]);
        assert_eq!(near.bars[0].from, at("2024-03-01"));
        assert_eq!((&near.bars[1].latency, &near.bars[2].latency), (&None, &None));
        let mut charting = Charting::default();
        for text in ["2024-03-01T12:00:00Z", "2024-03-20", "1970-01-01", "2024-03-01"] {
            charting.add(at(text), RunStatus::Success, Some(5_000_000));
        }
        let far = charting.charts(4);
        assert!(!far.is_whole);
        assert_eq!(far.bars.iter().map(|bar| bar.runs).sum::<u64>(), 4);
        assert!(far.bars.len() <= usize::try_from(CHART_BARS).unwrap());
        assert_eq!(far.step_seconds, 364 * 86_400);
    }

    #[test]
    fn percentiles_are_exact() {
        let mut charting = Charting::default();
        for ms in (1..=1000_u64).rev() {
            charting.add(at("2024-03-01"), RunStatus::Success, Some(ms * 1000));
        }
        let charts = charting.charts(1);
        let exact = Latency { p50_ms: 500, p95_ms: 950, p99_ms: 990 };
        assert_eq!(charts.latency, Some(exact));
        assert_eq!(charts.bars[0].latency, Some(exact));
        let mut charting = Charting::default();
        charting.add(at("2024-03-01"), RunStatus::Success, Some(1_234_000));
        let Latency { p50_ms, p99_ms, .. } = charting.charts(1).latency.unwrap();
        assert_eq!((p50_ms, p99_ms), (1234, 1234));
    }
}
