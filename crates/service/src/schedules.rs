//! Schedules: exports that run by themselves. Their owner is whoever added them; owners of the project can look at,
//! pause and delete everyone's.

mod plan;
mod run;

pub use plan::{SchedulePlan, Scheduled};

use retort_model::bounds::{NAME_CHARACTERS, SCHEDULES_PER_PERSON};
use retort_model::{Action, Grant, ProjectRole, ScheduleState, Time, WindowKind};
use retort_store::{Job, NewSchedule, Schedule, ScheduleChange};

use crate::caller::Caller;
use crate::error::Error;
use crate::queue::ExportRequest;
use crate::service::Service;

/// Runs of a schedule that are shown.
const RUNS_SHOWN: usize = 50;

impl Service {
    /// Adds a schedule of the caller's.
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
                        "you have a schedule `{name}` already; choose another name, or edit that one"
                    )),
                    error => error.into(),
                }
            })?;
            self.schedule(caller, id)
        })
    }

    /// The plan, if the caller may have it carried out. Pseudonyms stay the same over all its datasets.
    fn checked(
        &self,
        caller: &Caller,
        plan: SchedulePlan,
        before: Option<&SchedulePlan>,
    ) -> Result<SchedulePlan, Error> {
        caller.needs(Grant::Export)?;
        plan.check()?;
        let SchedulePlan { selection, mut dataset, .. } = plan.clone();
        if let Some(before) = before {
            dataset.redaction.prepare_as(&before.dataset.redaction).map_err(Error::Choice)?;
        }
        let request = ExportRequest { selection, dataset }.with_key()?;
        self.check_choices(caller, &request)?;
        self.open_measure(&mut request.dataset.clone(), self.clock.now())?;
        Ok(SchedulePlan { dataset: request.dataset, ..plan })
    }

    /// The caller's schedules, the oldest first; with `everyone`, of all in the project.
    ///
    /// # Errors
    /// The caller wants everyone's and is no owner of the project; those of the store.
    pub fn schedules(&self, caller: &Caller, everyone: bool) -> Result<Vec<Scheduled>, Error> {
        caller.needs(Grant::Export)?;
        if everyone {
            caller.needs_role(ProjectRole::Owner)?;
        }
        let scope = if everyone { caller.overseen() } else { caller.made() };
        self.store.schedules(&scope)?.into_iter().map(with_plan).collect()
    }

    /// One of the caller's schedules; for an owner, anyone's in the project.
    ///
    /// # Errors
    /// There is none; those of the store.
    pub fn schedule(&self, caller: &Caller, id: i64) -> Result<Scheduled, Error> {
        caller.needs(Grant::Export)?;
        let found = self.store.schedule(&caller.overseen(), id)?;
        found.map_or_else(|| Err(no_schedule(id)), with_plan)
    }

    /// One of the schedules that run in the caller's own name.
    fn own_schedule(&self, caller: &Caller, id: i64) -> Result<Scheduled, Error> {
        caller.needs(Grant::Export)?;
        let found = self.store.schedule(&caller.made(), id)?;
        found.map_or_else(|| Err(no_schedule(id)), with_plan)
    }

    /// The last runs of a schedule, the newest first.
    ///
    /// # Errors
    /// There is none; those of the store.
    pub fn schedule_runs(&self, caller: &Caller, id: i64) -> Result<Vec<Job>, Error> {
        let found = self.schedule(caller, id)?;
        Ok(self.store.schedule_runs(&found.schedule, RUNS_SHOWN)?)
    }

    /// Has one of the caller's schedules export something else, at other times or under other names. Where it exports
    /// something else, its windows begin anew.
    ///
    /// # Errors
    /// There is none, a run of it is under way; as [`Self::add_schedule`].
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
            let now = self.clock.now();
            let restarts = plan.restarts_after(&before);
            let is_active = schedule.state == ScheduleState::Active;
            let change = ScheduleChange {
                plan: plan.to_json(),
                state: schedule.state,
                next_at: if is_active { plan.timing.next_run(now) } else { None },
                restarts,
                period_to: first_period(&plan, now),
            };
            self.change(caller, &schedule, &change)
        })
    }

    /// Has a schedule run no more, or again; an owner, anyone's in the project.
    ///
    /// # Errors
    /// There is none; those of the store.
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
                (false, ScheduleState::Active) => return with_plan(schedule),
                (false, _) => (ScheduleState::Active, plan.timing.next_run(now)),
            };
            let plan = schedule.plan.clone();
            let change = ScheduleChange { plan, state, next_at, restarts: false, period_to: None };
            self.change(caller, &schedule, &change)
        })
    }

    fn change(
        &self,
        caller: &Caller,
        schedule: &Schedule,
        change: &ScheduleChange,
    ) -> Result<Scheduled, Error> {
        if !self.store.change_schedule(schedule, change, self.clock.now())? {
            return Err(Error::Conflict(format!(
                "schedule `{}` was changed or run just now; look at it again",
                schedule.name
            )));
        }
        self.schedule(caller, schedule.id)
    }

    /// Queues a run of one of the caller's schedules now; none if there is nothing new to export.
    ///
    /// # Errors
    /// There is none, a run of it is under way; as [`Self::submit_export`].
    pub fn run_schedule(&self, caller: &Caller, id: i64) -> Result<Option<Job>, Error> {
        self.audited(caller, Action::Schedule, &format!("{id}: run"), || {
            let Scheduled { schedule, .. } = self.own_schedule(caller, id)?;
            refuse_running(&schedule)?;
            let queued = self.start(&schedule, false)?;
            self.queued_job(caller, queued)
        })
    }

    /// Deletes a schedule; an owner, anyone's in the project. Its datasets stay.
    ///
    /// # Errors
    /// There is none; those of the store.
    pub fn delete_schedule(&self, caller: &Caller, id: i64) -> Result<(), Error> {
        self.audited(caller, Action::Schedule, &format!("{id}: deleted"), || {
            let Scheduled { schedule, .. } = self.schedule(caller, id)?;
            Ok(self.store.delete_schedule(schedule.id)?)
        })
    }

    /// What the schedules of all projects are like.
    pub fn schedule_stats(&self) -> Result<retort_store::ScheduleStats, Error> {
        Ok(self.store.schedule_stats(self.clock.now())?)
    }
}

/// Where the first period of a schedule begins, if it is of periods.
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

fn no_schedule(id: i64) -> Error {
    Error::NotFound { what: "schedule", name: id.to_string() }
}
