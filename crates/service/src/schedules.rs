//! Schedules: exports that run by themselves. A schedule belongs to the person who added it. Owners of the project can
//! view, pause and delete everyone's.

mod deliver;
mod plan;
mod run;
mod series;

pub use plan::{SchedulePlan, Scheduled};

use retort_model::bounds::{NAME_CHARACTERS, SCHEDULES_PER_PERSON};
use retort_model::{Action, Grant, JobKind, ProjectRole, ScheduleState, Time, WindowKind};
use retort_store::{Job, NewSchedule, RunQueued, Schedule, ScheduleChange};

use crate::caller::Caller;
use crate::error::Error;
use crate::queue::ExportRequest;
use crate::service::Service;

/// Runs of a schedule that are shown.
const RUNS_SHOWN: usize = 50;

impl Service {
    /// Adds a schedule that belongs to the caller.
    ///
    /// # Errors
    /// Choices that the formats do not allow, a name in use, too many schedules; those of the store.
    pub fn add_schedule(
        &self,
        caller: &Caller,
        name: &str,
        plan: SchedulePlan,
    ) -> Result<Scheduled, Error> {
        self.audited(caller, Action::Schedule, &format!("{name}: added"), || {
            let length = name.chars().count();
            if !(1..=NAME_CHARACTERS).contains(&length) || name.chars().any(char::is_control) {
                return Err(Error::Choice(format!(
                    "a schedule's name has 1 to {NAME_CHARACTERS} characters and no line breaks"
                )));
            }
            let plan = self.checked(caller, plan, None)?;
            self.try_destination(caller, &plan)?;
            if self.store.schedules(&caller.own())?.len() >= SCHEDULES_PER_PERSON {
                return Err(Error::TooMany(format!(
                    "you have {SCHEDULES_PER_PERSON} schedules already; delete one first"
                )));
            }
            let now = self.clock.now();
            let kept = plan.to_json();
            let new = NewSchedule {
                creator: &caller.name,
                person: caller.person,
                name,
                plan: &kept,
                next_at: plan.timing.next_run(now),
                period_to: first_period(&plan, now),
            };
            let id = self.store.add_schedule(caller.project.id, &new, now).map_err(|error| {
                match error {
                    retort_store::Error::NameTaken(name) => Error::Conflict(format!(
                        "you already have a schedule `{name}`; choose another name, or edit that one"
                    )),
                    error => error.into(),
                }
            })?;
            self.schedule(caller, id)
        })
    }

    /// The plan, if the caller may run it, with a key for pseudonyms, so that they are the same in all its datasets.
    fn checked(
        &self,
        caller: &Caller,
        plan: SchedulePlan,
        before: Option<&SchedulePlan>,
    ) -> Result<SchedulePlan, Error> {
        caller.needs(Grant::Export)?;
        plan.check()?;
        let SchedulePlan { selection, mut dataset, pattern, timing, keep, deliver_to } = plan;
        if let Some(before) = before {
            dataset.redaction.prepare_as(&before.dataset.redaction);
        }
        let request = ExportRequest { selection, dataset }.with_key()?;
        self.check_choices(caller, &request)?;
        self.open_files(&mut request.dataset.clone(), self.clock.now())?;
        // Each run looks for it again, by the name that was given.
        self.split_from(caller, &request.dataset)?;
        let ExportRequest { selection, dataset } = request;
        Ok(SchedulePlan { selection, dataset, pattern, timing, keep, deliver_to })
    }

    /// The caller's schedules, the oldest first; with `everyone`, those of all people in the project.
    ///
    /// # Errors
    /// `everyone`, and the caller does not own the project; those of the store.
    pub fn schedules(&self, caller: &Caller, everyone: bool) -> Result<Vec<Scheduled>, Error> {
        caller.needs(Grant::Export)?;
        if everyone {
            caller.needs_role(ProjectRole::Owner)?;
        }
        let scope = if everyone { caller.overseen() } else { caller.made() };
        self.store.schedules(&scope)?.into_iter().map(with_plan).collect()
    }

    /// A schedule of the caller; for an owner, anyone's in the project.
    ///
    /// # Errors
    /// There is no such schedule; those of the store.
    pub fn schedule(&self, caller: &Caller, id: i64) -> Result<Scheduled, Error> {
        caller.needs(Grant::Export)?;
        let found = self.store.schedule(&caller.overseen(), id)?;
        found.map_or_else(|| Err(no_schedule(id)), with_plan)
    }

    /// A schedule of the caller, even if they own the project.
    fn own_schedule(&self, caller: &Caller, id: i64) -> Result<Scheduled, Error> {
        caller.needs(Grant::Export)?;
        let found = self.store.schedule(&caller.made(), id)?;
        found.map_or_else(|| Err(no_schedule(id)), with_plan)
    }

    /// The last runs of a schedule, the newest first.
    ///
    /// # Errors
    /// There is no such schedule; those of the store.
    pub fn schedule_runs(&self, caller: &Caller, id: i64) -> Result<Vec<Job>, Error> {
        let found = self.schedule(caller, id)?;
        Ok(self.store.schedule_runs(&found.schedule, RUNS_SHOWN)?)
    }

    /// Changes a schedule of the caller. If it now exports something else, a new series of windows begins.
    ///
    /// # Errors
    /// There is no such schedule, or a run of it is in progress; as [`Self::add_schedule`].
    pub fn edit_schedule(
        &self,
        caller: &Caller,
        id: i64,
        plan: SchedulePlan,
    ) -> Result<Scheduled, Error> {
        self.audited(caller, Action::Schedule, &format!("{id}: edited"), || {
            let Scheduled { schedule, plan: before } = self.own_schedule(caller, id)?;
            let plan = self.checked(caller, plan, Some(&before))?;
            refuse_running(&schedule)?;
            self.try_destination(caller, &plan)?;
            let now = self.clock.now();
            let restarts = plan.restarts_after(&before);
            let is_active = schedule.state == ScheduleState::Active;
            let change = ScheduleChange {
                plan: plan.to_json(),
                state: schedule.state,
                next_at: if is_active { plan.timing.next_run(now) } else { None },
                restarts,
                period_to: first_period(&plan, now),
                drops_deliveries: plan.goes_elsewhere_than(&before),
            };
            self.change(caller, &schedule, &change)
        })
    }

    /// Pauses or resumes a schedule of the caller; for an owner, anyone's in the project.
    ///
    /// # Errors
    /// There is no such schedule; those of the store.
    pub fn pause_schedule(
        &self,
        caller: &Caller,
        id: i64,
        pause: bool,
    ) -> Result<Scheduled, Error> {
        let word = if pause { "paused" } else { "resumed" };
        self.audited(caller, Action::Schedule, &format!("{id}: {word}"), || {
            let Scheduled { schedule, plan } = self.schedule(caller, id)?;
            let now = self.clock.now();
            let (state, next_at) = match (pause, schedule.state) {
                (true, _) => (ScheduleState::Paused, None),
                (false, ScheduleState::Active) if schedule.undelivered == 0 => {
                    return with_plan(schedule);
                }
                // What could not be delivered is tried again now.
                (false, ScheduleState::Active) => (ScheduleState::Active, schedule.next_at),
                (false, _) => (ScheduleState::Active, plan.timing.next_run(now)),
            };
            let plan = schedule.plan.clone();
            let change = ScheduleChange {
                plan,
                state,
                next_at,
                restarts: false,
                period_to: None,
                drops_deliveries: false,
            };
            self.change(caller, &schedule, &change)
        })
    }

    fn change(
        &self,
        caller: &Caller,
        schedule: &Schedule,
        change: &ScheduleChange,
    ) -> Result<Scheduled, Error> {
        if self.store.change_schedule(schedule, change, self.clock.now())? {
            self.schedule(caller, schedule.id)
        } else {
            Err(changed_meanwhile(schedule))
        }
    }

    /// Queues a run of a schedule of the caller now; none if there is nothing new to export.
    ///
    /// # Errors
    /// There is no such schedule, or a run of it is in progress; as [`Self::submit_export`].
    pub fn run_schedule(&self, caller: &Caller, id: i64) -> Result<Option<Job>, Error> {
        self.audited(caller, Action::Schedule, &format!("{id}: run"), || {
            let Scheduled { schedule, .. } = self.own_schedule(caller, id)?;
            refuse_running(&schedule)?;
            match self.start(&schedule, false)? {
                RunQueued::Job(id) => self.job_of(caller, JobKind::Export, id).map(Some),
                RunQueued::Nothing => Ok(None),
                RunQueued::Elsewhere => Err(changed_meanwhile(&schedule)),
            }
        })
    }

    /// Deletes a schedule of the caller, with the webhooks that are limited to it; for an owner, anyone's in the project.
    /// Its datasets stay.
    ///
    /// # Errors
    /// There is no such schedule; those of the store.
    pub fn delete_schedule(&self, caller: &Caller, id: i64) -> Result<(), Error> {
        self.audited(caller, Action::Schedule, &format!("{id}: deleted"), || {
            let Scheduled { schedule, .. } = self.schedule(caller, id)?;
            Ok(self.store.delete_schedule(&schedule)?)
        })
    }

    /// How many schedules of all projects are in which state.
    pub fn schedule_stats(&self) -> Result<retort_store::ScheduleStats, Error> {
        Ok(self.store.schedule_stats(self.clock.now())?)
    }
}

/// Where the first period of a schedule begins, if its windows are periods.
fn first_period(plan: &SchedulePlan, now: Time) -> Option<Time> {
    (plan.timing.window == WindowKind::Period).then(|| plan.timing.last_settled(now).unwrap_or(now))
}

fn with_plan(schedule: Schedule) -> Result<Scheduled, Error> {
    let plan = SchedulePlan::read(&schedule)?;
    Ok(Scheduled { schedule, plan })
}

fn refuse_running(schedule: &Schedule) -> Result<(), Error> {
    match schedule.job {
        None => Ok(()),
        Some(job) => Err(Error::Conflict(format!(
            "job {job} of schedule `{}` is under way; wait for it to end, or cancel it",
            schedule.name
        ))),
    }
}

fn changed_meanwhile(schedule: &Schedule) -> Error {
    let name = &schedule.name;
    Error::Conflict(format!("schedule `{name}` was changed or run just now; reload it"))
}

pub(crate) fn no_schedule(id: i64) -> Error {
    Error::NotFound { what: "schedule", name: id.to_string() }
}
