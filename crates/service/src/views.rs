//! Saved views: filters of conversations that people keep under a name, for themselves or for their project.

use retort_model::bounds::{VIEW_CHARACTERS, VIEWS_PER_PERSON};
use retort_model::{Action, ConversationFilter, Grant, ProjectRole};
use retort_store::SavedView;

use crate::caller::Caller;
use crate::error::Error;
use crate::service::Service;

/// A filter under a name.
#[derive(Clone, Debug)]
pub struct View {
    /// The store's number of it.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Who made it.
    pub creator: String,
    /// What it shows.
    pub filter: ConversationFilter,
    /// Whether it is for everyone in the project.
    pub is_shared: bool,
    /// Whether the caller may delete it.
    pub is_own: bool,
}

impl Service {
    /// The caller's views, and those that others share in the project, by name. One that a later release saved, with fields
    /// that this one does not know, is left out.
    pub fn views(&self, caller: &Caller) -> Result<Vec<View>, Error> {
        caller.needs(Grant::Read)?;
        let is_admin = caller.role >= ProjectRole::Admin;
        let read = |one: SavedView| {
            let is_own = one.creator == caller.name || is_admin;
            let SavedView { id, name, creator, filter, is_shared, .. } = one;
            let filter = serde_json::from_str(&filter).ok()?;
            Some(View { id, name, creator, filter, is_shared, is_own })
        };
        let views = self.store.views(caller.project.id, &caller.name)?;
        Ok(views.into_iter().filter_map(read).collect())
    }

    /// The caller's view of that name, else one that is shared.
    ///
    /// # Errors
    /// There is none; those of the store.
    pub fn view(&self, caller: &Caller, name: &str) -> Result<View, Error> {
        let mut views = self.views(caller)?;
        views.retain(|view| view.name == name);
        views.sort_by_key(|view| view.creator != caller.name);
        let found = views.into_iter().next();
        found.ok_or_else(|| Error::NotFound { what: "saved view", name: name.to_owned() })
    }

    /// Keeps a filter under a name, in the place of the caller's view of that name; returns its number.
    ///
    /// # Errors
    /// The name is empty or too long; too many views; those of the store.
    pub fn save_view(
        &self,
        caller: &Caller,
        name: &str,
        filter: &ConversationFilter,
        is_shared: bool,
    ) -> Result<i64, Error> {
        self.audited(caller, Action::Edit, "a saved view", || {
            caller.needs(if is_shared { Grant::Write } else { Grant::Read })?;
            let name = name.trim();
            if name.is_empty() || name.chars().nth(VIEW_CHARACTERS).is_some() {
                return Err(Error::Choice(format!(
                    "the name of a view has 1 to {VIEW_CHARACTERS} characters"
                )));
            }
            let project = caller.project.id;
            let views = self.store.views(project, &caller.name)?;
            let own = views.iter().filter(|view| view.creator == caller.name);
            if own.clone().count() >= VIEWS_PER_PERSON && own.clone().all(|one| one.name != name) {
                return Err(Error::TooMany(format!(
                    "you have {VIEWS_PER_PERSON} saved views; delete some first"
                )));
            }
            let filter =
                serde_json::to_string(filter).map_err(|error| Error::Choice(error.to_string()))?;
            let whose = (project, &*caller.name);
            Ok(self.store.save_view(whose, name, &filter, is_shared, self.clock.now())?)
        })
    }

    /// Deletes a view of the caller's; an admin, anyone's that is shared.
    ///
    /// # Errors
    /// There is none that the caller may delete; those of the store.
    pub fn delete_view(&self, caller: &Caller, id: i64) -> Result<(), Error> {
        self.audited(caller, Action::Edit, "a saved view", || {
            let views = self.views(caller)?;
            let view = views.iter().find(|view| view.id == id && view.is_own);
            let gone = || Error::NotFound { what: "saved view", name: id.to_string() };
            let view = view.ok_or_else(gone)?;
            caller.needs(if view.is_shared { Grant::Write } else { Grant::Read })?;
            if self.store.remove_view(caller.project.id, id)? { Ok(()) } else { Err(gone()) }
        })
    }
}
