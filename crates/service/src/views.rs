//! Saved views: filters of conversations that people keep under a name, for themselves or for their project.

use retort_model::bounds::{VIEW_CHARACTERS, VIEW_COLUMNS, VIEWS_PER_PERSON};
use retort_model::{Action, ConversationFilter, Grant, ProjectRole};
use retort_store::{ListOrder, Order, SavedView, ShownView};

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
    pub shown: Shown,
    /// Whether it is for everyone in the project.
    pub is_shared: bool,
    /// Whether the caller may delete it.
    pub is_own: bool,
}

/// What a view shows.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Shown {
    /// Which conversations.
    pub filter: ConversationFilter,
    /// In which order; none if it was not chosen.
    pub order: Option<Order>,
    /// The columns beside the title, by the names that the list of the pages has for them; none if they were not chosen.
    pub columns: Option<Vec<String>>,
}

impl Shown {
    /// As the store keeps it.
    fn kept(&self) -> Result<ShownView, Error> {
        let columns = self.columns.as_deref().unwrap_or_default();
        if columns.len() > VIEW_COLUMNS || columns.iter().any(|name| !is_name(name)) {
            return Err(Error::Choice(format!(
                "a view has up to {VIEW_COLUMNS} columns, each by its name"
            )));
        }
        Ok(ShownView {
            filter: serde_json::to_string(&self.filter)
                .map_err(|error| Error::Choice(error.to_string()))?,
            sort: self.order.map(|order| order.as_str().to_owned()),
            columns: self.columns.as_ref().map(|columns| columns.join(",")),
        })
    }

    /// The reverse; none if a later release saved it, with fields that this one does not know.
    fn read(kept: &ShownView) -> Option<Self> {
        let order = kept.sort.as_deref().and_then(Order::by_name);
        let names =
            |text: &str| text.split(',').filter(|name| is_name(name)).map(str::to_owned).collect();
        let columns = kept.columns.as_deref().map(names);
        Some(Self { filter: serde_json::from_str(&kept.filter).ok()?, order, columns })
    }
}

fn is_name(text: &str) -> bool {
    !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_lowercase() || byte == b'_')
}

impl Service {
    /// The caller's views, and those that others share in the project, by name. One that a later release saved, with fields
    /// that this one does not know, is left out.
    pub fn views(&self, caller: &Caller) -> Result<Vec<View>, Error> {
        caller.needs(Grant::Read)?;
        let is_admin = caller.role >= ProjectRole::Admin;
        let read = |one: SavedView| {
            let is_own = one.creator == caller.name || is_admin;
            let SavedView { id, name, creator, shown, is_shared } = one;
            Some(View { id, name, creator, shown: Shown::read(&shown)?, is_shared, is_own })
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

    /// Keeps a filter, with its order and columns, under a name, in the place of the caller's view of that name; returns its number.
    ///
    /// # Errors
    /// The name is empty or too long; too many views; those of the store.
    pub fn save_view(
        &self,
        caller: &Caller,
        name: &str,
        shown: &Shown,
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
            let (kept, whose) = (shown.kept()?, (project, &*caller.name));
            Ok(self.store.save_view(whose, name, &kept, is_shared, self.clock.now())?)
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
