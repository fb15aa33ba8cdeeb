//! Runs of schedules: queued when they are due, in the name of whoever owns them by then.

use std::time::Duration;

use retort_engine::Error as EngineError;
use retort_engine::panics::point;
use retort_model::{Action, Grant, Grants, JobKind, Keep, Scope, Time, WindowKind};
use retort_store::{NewExport, NewRun, RunQueued, Schedule, Taking};

use super::SchedulePlan;
use crate::caller::{Caller, Origin};
use crate::error::Error;
use crate::queue::{ExportRequest, neighbour};
use crate::service::{Service, earlier};

/// Names that are tried for a dataset, as others may take them meanwhile.
const NAMES_TRIED: usize = 4;

impl Service {
    /// Queues a run of the schedule that is due longest, if there is one; whether there was. What cannot be queued is a
    /// failed job, and the schedule goes on.
    ///
    /// # Errors
    /// The store is away; then it is due still.
    pub(crate) fn start_due(&self) -> Result<bool, Error> {
        let due = self.store.due_schedules(self.clock.now(), 1)?;
        let Some(schedule) = due.first() else { return Ok(false) };
        point("schedule.due");
        match self.start(schedule, true) {
            Ok(_) => Ok(true),
            Err(error) if error.may_pass() => Err(error),
            Err(error) => {
                let next_at = SchedulePlan::read(schedule)
                    .ok()
                    .and_then(|plan| plan.timing.next_run(self.clock.now()));
                // A plan that cannot be read will not be read the next time.
                let is_over = next_at.is_none();
                let (name, why) = (&schedule.name, error.to_string());
                self.store.fail_run((schedule, next_at), name, &why, is_over, self.clock.now())?;
                Ok(true)
            }
        }
    }

    /// Queues a run of a schedule as it was read.
    pub(super) fn start(&self, schedule: &Schedule, is_due: bool) -> Result<RunQueued, Error> {
        let now = self.clock.now();
        let plan = SchedulePlan::read(schedule)?;
        let next_at = if is_due { plan.timing.next_run(now) } else { schedule.next_at };
        let put_off = |note| self.store.put_off_schedule(schedule, next_at, note, now);
        if is_due && (schedule.job.is_some() || schedule.next_at.is_some_and(|next| next > now)) {
            // The run that is under way is late itself, or the time was planned by a clock that was wrong.
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
        let taking = match plan.timing.window {
            WindowKind::All => Taking::All,
            WindowKind::Changed => Taking::Changed,
            WindowKind::Period => {
                let start = schedule.period_to.unwrap_or(now);
                let Some((start, end)) = plan.timing.period(start, now) else {
                    put_off(Some("no period has ended since the last run"))?;
                    return Ok(RunQueued::Nothing);
                };
                Taking::Period(start, end)
            }
        };
        let named_after = match taking {
            Taking::Period(start, _) => start,
            Taking::All | Taking::Changed if is_due => plan.timing.at_or_before(now).unwrap_or(now),
            Taking::All | Taking::Changed => now,
        };
        let run = NewRun { schedule, taking, next_at };
        match self.submit_run(&caller, &plan, named_after, &run) {
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
        plan: &SchedulePlan,
        named_after: Time,
        run: &NewRun<'_>,
    ) -> Result<RunQueued, Error> {
        let wanted = plan.name(named_after, run.schedule.delivered + 1)?;
        let (selection, mut dataset) = (plan.selection.clone(), plan.dataset.clone());
        dataset.dataset_name = wanted;
        let mut request = ExportRequest { selection, dataset };
        let name = request.dataset.dataset_name.to_string();
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
                "the names like `{name}` are taken faster than they are found"
            )))
        })
    }

    /// Whoever owns a schedule, with what they may see now; or why they are gone.
    fn owner_of(&self, schedule: &Schedule) -> Result<Result<Caller, String>, Error> {
        let name = &schedule.creator;
        let gone = |why: &str| Ok(Err(format!("its owner `{name}` {why}")));
        let Some(project) = self.store.project_numbered(schedule.project)? else {
            return gone("has no project any more");
        };
        let Some(id) = schedule.person else { return Ok(Ok(Caller::local(&project))) };
        let Some(person) = self.store.person(id)? else { return gone("has no account any more") };
        if person.is_disabled {
            return gone("is disabled");
        }
        let memberships = self.store.memberships(id)?;
        match memberships.into_iter().find(|one| one.project.id == project.id) {
            None => gone("is no longer in the project"),
            Some(membership) => Ok(Ok(Caller {
                name: person.name,
                person: Some(id),
                project: membership.project,
                role: membership.role,
                is_proved: membership.is_proved,
                grants: [Grant::Read, Grant::Export].into_iter().collect::<Grants>(),
                origin: Origin::default(),
            })),
        }
    }

    /// Deletes the datasets of a schedule that it does not keep, but never the newest.
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
        for id in self.store.schedule_datasets(schedule)?.into_iter().skip(most) {
            let Some(dataset) = self.store.dataset_numbered(&scope, id)? else { continue };
            if since.is_some_and(|since| dataset.created_at.is_none_or(|made| made >= since)) {
                continue;
            }
            self.store.delete_dataset(&dataset)?;
            self.objects.remove_all(&dataset.prefix)?;
            self.store.cleared(dataset.job)?;
        }
        Ok(())
    }

    /// The job of a run that was queued.
    pub(super) fn queued_job(
        &self,
        caller: &Caller,
        queued: RunQueued,
    ) -> Result<Option<retort_store::Job>, Error> {
        match queued {
            RunQueued::Job(id) => self.job_of(caller, JobKind::Export, id).map(Some),
            RunQueued::Nothing => Ok(None),
            RunQueued::Elsewhere => Err(Error::Conflict(
                "the schedule was changed or run just now; look at it again".into(),
            )),
        }
    }
}
