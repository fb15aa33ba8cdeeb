//! The audit log: who did what, and who was refused.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use retort_model::bounds::PAGE_ITEMS;
use retort_model::{Action, Grant, ProjectRole, Time};
use retort_store::{AuditEntry, AuditFilter, NewAudit};

use crate::browse::with_next;
use crate::caller::Caller;
use crate::error::Error;
use crate::service::Service;

/// Longest name of an object in the log, in characters.
const OBJECT_CHARACTERS: usize = 300;

/// Refusals of one person in a minute that are written down: each is a write that reaches the disk, and a program that is
/// refused may ask a thousand times a second.
const REFUSALS_PER_MINUTE: u32 = 60;

/// People whose refusals are counted at a time.
const REFUSED_COUNTED: usize = 10_000;

/// By name, the minute of the last refusal and how many there were in it.
#[derive(Default)]
pub(crate) struct Refusals(Mutex<HashMap<String, (i64, u32)>>);

impl Refusals {
    /// Counts a refusal; whether it is to be written down.
    fn notes(&self, name: &str, now: Time) -> bool {
        let minute = now.unix_micros() / 60_000_000;
        let mut counted = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        if counted.len() >= REFUSED_COUNTED {
            counted.retain(|_, (last, _)| *last == minute);
        }
        let (last, count) = counted.entry(name.to_owned()).or_insert((minute, 0));
        if *last != minute {
            (*last, *count) = (minute, 0);
        }
        *count = count.saturating_add(1);
        *count <= REFUSALS_PER_MINUTE
    }
}

impl Service {
    /// Does `act` and writes down that it was done, or that the caller was refused.
    pub(crate) fn audited<T>(
        &self,
        caller: &Caller,
        action: Action,
        object: &str,
        act: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        self.audited_as(caller, action, |_| object.to_owned(), act)
    }

    /// As [`Service::audited`], where what was done has its name from what came of it; none if it was refused.
    pub(crate) fn audited_as<T>(
        &self,
        caller: &Caller,
        action: Action,
        object: impl FnOnce(Option<&T>) -> String,
        act: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let result = act();
        let is_refused = match &result {
            Ok(_) => false,
            Err(
                Error::NotGranted(_)
                | Error::NotAllowed(_)
                | Error::Forbidden(_)
                | Error::NotFound { .. },
            ) => true,
            Err(_) => return result,
        };
        if is_refused && !self.refusals.notes(&caller.name, self.clock.now()) {
            return result;
        }
        let object = object(result.as_ref().ok());
        let end = object.char_indices().nth(OBJECT_CHARACTERS).map_or(object.len(), |(end, _)| end);
        let entry = NewAudit {
            project: Some(caller.project.id),
            person: Some(&caller.name),
            action,
            object: object.get(..end).unwrap_or_default(),
            is_refused,
            address: caller.origin.address.as_deref(),
            request: caller.origin.request.as_deref(),
        };
        self.store.add_audit(&entry, self.clock.now())?;
        result
    }

    /// Does `act`, which changes nothing, and writes down only that the caller was refused.
    pub(crate) fn noting_refusal<T>(
        &self,
        caller: &Caller,
        action: Action,
        object: &str,
        act: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        match act() {
            Err(refused @ (Error::NotGranted(_) | Error::NotAllowed(_))) => {
                self.audited(caller, action, object, || Err(refused))
            }
            result => result,
        }
    }

    /// A page of the audit log, the newest first, and its last entry if there are more; `after` is that of the page before.
    ///
    /// # Errors
    /// The caller does not own the project.
    pub fn audit(
        &self,
        caller: &Caller,
        filter: &AuditFilter,
        after: Option<i64>,
        most: usize,
    ) -> Result<(Vec<AuditEntry>, Option<i64>), Error> {
        self.noting_refusal(caller, Action::Audit, "read", || {
            caller.needs(Grant::Manage)?;
            caller.needs_role(ProjectRole::Owner)
        })?;
        let (project, most) = (caller.project.id, most.min(PAGE_ITEMS));
        // Whoever holds the store sees it all.
        let only_members = caller.person.is_some();
        let page = self.store.audit(project, only_members, filter, after, most)?;
        Ok(with_next(page, |one| one.id))
    }

    /// The whole log, entry by entry, the newest first; that it was exported stands in it.
    ///
    /// # Errors
    /// The caller does not own the project; those of `take`.
    pub fn export_audit(
        &self,
        caller: &Caller,
        filter: &AuditFilter,
        take: &mut dyn FnMut(&AuditEntry) -> Result<(), Error>,
    ) -> Result<(), Error> {
        let may = || {
            caller.needs(Grant::Manage)?;
            caller.needs_role(ProjectRole::Owner)
        };
        self.audited(caller, Action::Audit, "exported", may)?;
        let mut after = None;
        loop {
            let (page, next) = self.audit(caller, filter, after, PAGE_ITEMS)?;
            page.iter().try_for_each(&mut *take)?;
            after = next;
            if after.is_none() {
                return Ok(());
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_are_written_down_up_to_a_bound_in_a_minute() {
        let refusals = Refusals::default();
        let at = |seconds: i64| Time::from_unix_micros(1_700_000_000_000_000 + seconds * 1_000_000);
        let noted = |name: &str, seconds| {
            (0..500).filter(|_| refusals.notes(name, at(seconds).unwrap())).count()
        };
        assert_eq!([noted("ann", 0), noted("ben", 1), noted("ann", 2)], [60, 60, 0]);
        assert_eq!(noted("ann", 61), 60);
        for number in 0..3 * REFUSED_COUNTED {
            refusals.notes(&number.to_string(), at(120 + number as i64 / 100).unwrap());
        }
        assert!(refusals.0.lock().unwrap().len() <= REFUSED_COUNTED);
    }
}
