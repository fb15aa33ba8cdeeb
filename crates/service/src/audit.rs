//! The audit log: who did what, and who was refused.

use retort_model::bounds::PAGE_ITEMS;
use retort_model::{Action, Grant, ProjectRole};
use retort_store::{AuditEntry, AuditFilter, NewAudit};

use crate::Error;
use crate::caller::Caller;
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

    /// A page of the audit log, the newest first; `after` is the last entry of the page before.
    ///
    /// # Errors
    /// The caller does not own the project.
    pub fn audit(
        &self,
        caller: &Caller,
        filter: &AuditFilter,
        after: Option<i64>,
        most: usize,
    ) -> Result<Vec<AuditEntry>, Error> {
        self.noting_refusal(caller, Action::Audit, "read", || {
            caller.needs(Grant::Manage)?;
            caller.needs_role(ProjectRole::Owner)
        })?;
        let (project, most) = (caller.project.id, most.min(PAGE_ITEMS));
        // Whoever holds the store sees it all.
        let only_members = caller.person.is_some();
        Ok(self.store.audit(project, only_members, filter, after, most)?)
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
            let page = self.audit(caller, filter, after, PAGE_ITEMS)?;
            page.iter().try_for_each(&mut *take)?;
            match page.last() {
                Some(last) => after = Some(last.id),
                None => return Ok(()),
            }
        }
    }
}
