//! Who imports, and what of the items that are there they may replace.

use retort_model::Scope;

use crate::columns::key_text;

/// Someone who imports items into a project.
#[derive(Clone, Debug)]
pub struct Importer<'i> {
    /// What they may see and replace: a member only what they hold.
    pub scope: &'i Scope,
    /// Their name, which is recorded with what they import.
    pub name: Option<&'i str>,
    /// Who, as a member, sees what they import and nobody owns: they, unless they are nobody on this server.
    pub holds_unowned: bool,
    /// Whether an item that comes replaces what is there under its id, whatever that is.
    pub replaces: bool,
}

impl<'i> Importer<'i> {
    /// An importer of whom nothing is recorded.
    pub fn unnamed(scope: &'i Scope) -> Self {
        Self { scope, name: None, holds_unowned: false, replaces: false }
    }

    /// The name, as its column.
    pub(crate) fn column(&self) -> Option<String> {
        self.name.map(|name| key_text(name).into_owned())
    }

    /// The holder of an item that has this owner.
    pub(crate) fn holder_of(&self, owner: Option<&str>) -> Option<String> {
        let holder = owner.or(self.name.filter(|_| self.holds_unowned));
        holder.map(|name| key_text(name).into_owned())
    }

    /// The space in which the ids of what they import are unique.
    pub(crate) fn space(&self) -> String {
        self.scope.owner.as_deref().map(key_text).unwrap_or_default().into_owned()
    }
}
