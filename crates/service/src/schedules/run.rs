//! Runs of schedules: queued when they are due, with what their owner may see at that moment.

use std::time::Duration;

use retort_engine::panics::point;
use retort_engine::{DatasetPlan, Error as EngineError};
use retort_model::{Action, Grant, Keep, Scope, Time, WindowKind};
use retort_store::{Dataset, NewExport, NewRun, RunQueued, RunWindow, Schedule};

use super::SchedulePlan;
use crate::caller::{Caller, Origin};
use crate::clock::earlier;
use crate::error::Error;
use crate::queue::{ExportRequest, neighbour};
use crate::service::Service;

/// Schedules that are looked at one after another, until one has something to export.
const DUE_AT_ONCE: usize = 100;

/// How many names are tried for a dataset, as other exports may take them meanwhile.
const NAMES_TRIED: usize = 4;

impl Service {
    /// Queues a run of the schedule that is due longest and has something to export, if any. A run that cannot be queued is
    /// recorded as a failed job, and the schedule waits for its next time.
    ///
    /// # Errors
    /// The store cannot be reached; the schedule stays due.
    pub(crate) fn start_due(&self) -> Result<(), Error> {
        for schedule in self.store.due_schedules(self.clock.now(), DUE_AT_ONCE)? {
            point("schedule.due");
            if self.start_one(&schedule)? {
                break;
            }
        }
        Ok(())
    }

    /// Queues a run of a schedule that is due. Whether one was queued.
    fn start_one(&self, schedule: &Schedule) -> Result<bool, Error> {
        match self.start(schedule, true) {
            Ok(queued) => Ok(matches!(queued, RunQueued::Job(_))),
            Err(error) if error.may_pass() => Err(error),
            Err(error) => {
                let next_at = SchedulePlan::read(schedule)
                    .ok()
                    .and_then(|plan| plan.timing.next_run(self.clock.now()));
                // A plan that cannot be read now cannot be read the next time.
                let is_over = next_at.is_none();
                let (name, why) = (&schedule.name, error.to_string());
                let now = self.clock.now();
                self.store.fail_run((schedule, next_at), name, &why, is_over, now)?;
                Ok(false)
            }
        }
    }

    /// Queues a run of a schedule, unless someone changed the schedule since it was read.
    pub(super) fn start(&self, schedule: &Schedule, is_due: bool) -> Result<RunQueued, Error> {
        let now = self.clock.now();
        let plan = SchedulePlan::read(schedule)?;
        let next_at = if is_due { plan.timing.next_run(now) } else { schedule.next_at };
        let put_off = |note| self.store.put_off_schedule(schedule, next_at, note, now);
        if is_due && (schedule.job.is_some() || schedule.next_at.is_some_and(|next| next > now)) {
            // The run in progress will export this, too; or the time was planned by a clock that was wrong.
            put_off(None)?;
            return Ok(RunQueued::Elsewhere);
        }
        let caller = match self.owner_of(schedule)? {
            Ok(caller) => caller,
            Err(gone) => {
                self.store.fail_run((schedule, next_at), &schedule.name, &gone, true, now)?;
                return Ok(RunQueued::Elsewhere);
            }
        };
        let window = match plan.timing.window {
            WindowKind::All => RunWindow::All,
            WindowKind::Changed => RunWindow::Changed,
            WindowKind::Period => {
                let start = schedule.period_to.unwrap_or(now);
                let Some((start, end)) = plan.timing.period(start, now) else {
                    put_off(Some("no period has ended since the last run"))?;
                    return Ok(RunQueued::Nothing);
                };
                RunWindow::Period(start, end)
            }
        };
        let named_after = match window {
            RunWindow::Period(start, _) => start,
            RunWindow::All | RunWindow::Changed if is_due => {
                plan.timing.at_or_before(now).unwrap_or(now)
            }
            RunWindow::All | RunWindow::Changed => now,
        };
        let delivers = plan.deliver_to.as_ref().map(|_| (named_after, schedule.delivered + 1));
        let run = NewRun { schedule, window, next_at, delivers };
        match self.submit_run(&caller, plan, named_after, &run) {
            Err(Error::Engine(EngineError::Nothing(_))) => {
                put_off(Some("nothing new"))?;
                Ok(RunQueued::Nothing)
            }
            queued => queued,
        }
    }

    fn submit_run(
        &self,
        caller: &Caller,
        plan: SchedulePlan,
        named_after: Time,
        run: &NewRun<'_>,
    ) -> Result<RunQueued, Error> {
        let dataset_name = plan.name(named_after, run.schedule.delivered + 1)?;
        let name = dataset_name.to_string();
        let dataset = DatasetPlan { dataset_name, ..plan.dataset };
        let mut request = ExportRequest { selection: plan.selection, dataset };
        self.audited(caller, Action::Export, &name, || {
            caller.needs(Grant::Export)?;
            self.check_choices(caller, &request)?;
            self.check_room(caller)?;
            for _ in 0..NAMES_TRIED {
                let now = self.clock.now();
                let kept = self.kept_export(caller, &request, now)?;
                let new = NewExport {
                    creator: &caller.name,
                    person: caller.person,
                    name: request.dataset.dataset_name.as_str(),
                    plan: &kept,
                    part_bytes: self.settings.part_bytes,
                };
                match self.store.submit_run(&caller.scope(), &request.selection, &new, run, now) {
                    Err(retort_store::Error::NameTaken(taken)) => {
                        let free = neighbour(&taken, &self.store.dataset_names(&caller.own())?);
                        request.dataset.dataset_name =
                            free.parse().map_err(|error| Error::Choice(format!("{error}")))?;
                    }
                    queued => return Ok(queued?),
                }
            }
            Err(Error::Conflict(format!(
                "other exports keep taking the names like `{name}`; try again"
            )))
        })
    }

    /// The owner of a schedule, with what they may see now, or why the schedule has no owner any more.
    pub(super) fn owner_of(&self, schedule: &Schedule) -> Result<Result<Caller, String>, Error> {
        let name = &schedule.creator;
        let gone = |why: &str| Ok(Err(format!("its owner `{name}` {why}")));
        let Some(project) = self.store.project_numbered(schedule.project)? else {
            return gone("no longer has a project");
        };
        let Some(id) = schedule.person else { return Ok(Ok(Caller::local(&project))) };
        let Some(person) = self.store.person(id)? else { return gone("no longer has an account") };
        if person.is_disabled {
            return gone("is disabled");
        }
        let memberships = self.store.memberships(id)?;
        let membership = memberships.into_iter().find(|one| one.project.id == project.id);
        let Some(membership) = membership else { return gone("is no longer in the project") };
        let grants = [Grant::Read, Grant::Export].into_iter().collect();
        Ok(Ok(Caller::member(&person, membership, grants, Origin::default())))
    }

    /// Deletes the datasets that a schedule does not keep, but never the newest.
    pub(crate) fn retain(&self, project: i64, schedule: i64) -> Result<(), Error> {
        let scope = Scope::project(project);
        let Some(found) = self.store.schedule(&scope, schedule)? else { return Ok(()) };
        let Some(keep) = SchedulePlan::read(&found)?.keep else { return Ok(()) };
        let (most, since) = match keep {
            Keep::Datasets(count) => (usize::try_from(count).unwrap_or(usize::MAX), None),
            Keep::Days(days) => {
                let kept = Duration::from_secs(days.saturating_mul(86_400));
                (1, Some(earlier(self.clock.now(), kept)))
            }
        };
        let datasets = self.store.schedule_datasets(schedule)?;
        let is_old = |dataset: &Dataset| {
            since.is_none_or(|since| dataset.created_at.is_some_and(|made| made < since))
        };
        datasets
            .iter()
            .skip(most)
            .filter(|one| is_old(one))
            .try_for_each(|one| self.remove_dataset(one))
    }
}
