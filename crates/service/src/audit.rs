//! The audit log: who did what, and who was refused.

use retort_model::bounds::PAGE_ITEMS;
use retort_model::{Action, Grant, ProjectRole, Time};
use retort_store::{AuditEntry, AuditFilter, NewAudit};

use crate::audit_limits::{Fate, Writer};
use crate::browse::with_next;
use crate::caller::Caller;
use crate::error::Error;
use crate::service::Service;

/// Longest name of an object in the log, in characters.
const OBJECT_CHARACTERS: usize = 300;

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

    /// As [`Service::audited`], for an object that is named after the result, which is none if the caller was refused.
    pub(crate) fn audited_as<T>(
        &self,
        caller: &Caller,
        action: Action,
        object: impl FnOnce(Option<&T>) -> String,
        act: impl FnOnce() -> Result<T, Error>,
    ) -> Result<T, Error> {
        let result = self.rehearse_if(caller.is_rehearsing, act);
        let is_refused = match &result {
            // Nothing was changed.
            Ok(_) if caller.is_rehearsing => return result,
            Ok(_) => false,
            Err(
                Error::NotGranted(_)
                | Error::NotAllowed(_)
                | Error::Forbidden(_)
                | Error::NotFound { .. },
            ) => true,
            Err(_) => return result,
        };
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
        match caller.person {
            Some(_) => self.write_audit(&entry)?,
            None => self.store.add_audit(&entry, self.clock.now())?,
        }
        result
    }

    /// Writes an entry, or only counts it if the same person or address caused too many.
    pub(crate) fn write_audit(&self, entry: &NewAudit<'_>) -> Result<(), Error> {
        let now = self.clock.now();
        self.write_counted(Some(now))?;
        // The name in a failed sign-in proves nothing, so the address is counted.
        let is_unknown = entry.is_refused && entry.action == Action::SignIn;
        let name = if is_unknown { entry.address.or(entry.person) } else { entry.person };
        let writer = Writer { project: entry.project, name: name.map(str::to_owned) };
        let what = (entry.person, entry.action, entry.is_refused);
        match self.audit_limits.add(writer, what, now, self.settings.quotas.audit_per_day) {
            Fate::Written => {}
            Fate::FirstCounted => {
                let object = "too many entries; further ones are only counted";
                return Ok(self.store.add_audit(&NewAudit { object, ..entry.clone() }, now)?);
            }
            Fate::Counted => return Ok(()),
        }
        Ok(self.store.add_audit(entry, now)?)
    }

    /// Writes the counts of entries that are due at `now`, or all counts, as a server does when it stops.
    ///
    /// # Errors
    /// They cannot be written, and are still counted.
    pub fn write_counted(&self, now: Option<Time>) -> Result<(), Error> {
        let mut counts = self.audit_limits.take(now).into_iter();
        while let Some(counted) = counts.next() {
            let (count, first) = (counted.count, counted.first);
            let entry = NewAudit {
                project: counted.writer.project,
                person: counted.person.as_deref(),
                action: counted.action,
                object: &format!("{count} more since {first}, which were only counted"),
                is_refused: counted.is_refused,
                address: None,
                request: None,
            };
            if let Err(error) = self.store.add_audit(&entry, self.clock.now()) {
                std::iter::once(counted)
                    .chain(counts)
                    .for_each(|one| self.audit_limits.take_back(one));
                return Err(error.into());
            }
        }
        Ok(())
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
        self.write_counted(Some(self.clock.now()))?;
        let (project, most) = (caller.project.id, most.min(PAGE_ITEMS));
        // Someone who opens the store directly sees all of it.
        let only_members = caller.person.is_some();
        let page = self.store.audit(project, only_members, filter, after, most)?;
        Ok(with_next(page, |one| one.id))
    }

    /// The whole log, entry by entry, the newest first. The export itself is logged, too.
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
