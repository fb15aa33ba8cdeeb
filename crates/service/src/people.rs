//! People and projects, as someone who opens the store directly adds and changes them.

use retort_model::bounds::NAME_CHARACTERS;
use retort_model::{Action, Grant, ProjectRole};
use retort_store::{Ended, NewAudit, Person, Project};

use crate::accounts::Signed;
use crate::caller::{Caller, LOCAL, Origin};
use crate::error::Error;
use crate::secret::hash_password;
use crate::service::Service;

impl Service {
    /// All people.
    pub fn people(&self) -> Result<Vec<Person>, Error> {
        Ok(self.store.people()?)
    }

    /// The person of that name.
    ///
    /// # Errors
    /// There is none; those of the store.
    pub fn person(&self, name: &str) -> Result<Person, Error> {
        let found = self.store.person_named(name)?;
        found.ok_or_else(|| Error::NotFound { what: "person", name: name.to_owned() })
    }

    /// Adds a person, who is in no project yet.
    ///
    /// # Errors
    /// The name is in use, or the password too short.
    pub fn add_person(&self, name: &str, password: Option<&str>) -> Result<Person, Error> {
        let name = check_name("person", name)?;
        let password = password.map(hash_password).transpose()?;
        match self.store.add_person(name, password.as_deref(), self.clock.now()) {
            Err(retort_store::Error::NameTaken(name)) => {
                Err(Error::Conflict(format!("there is already a person `{name}`")))
            }
            person => {
                let person = person?;
                self.note_local(Action::Person, &format!("{}: added", person.name))?;
                Ok(person)
            }
        }
    }

    /// Disables or enables an account. Once disabled, and even if enabled later, its sessions, API tokens, webhooks and
    /// invitations are gone, and its public links stay closed.
    pub fn set_disabled(&self, person: &Person, disabled: bool) -> Result<(), Error> {
        self.store.set_disabled(person.id, disabled)?;
        let what = if disabled { "disabled" } else { "enabled" };
        self.note_local(Action::Person, &format!("{}: {what}", person.name))
    }

    /// Gives a person another password, and ends their sessions, one-time links and API tokens; says how many.
    ///
    /// # Errors
    /// It is too short.
    pub fn set_password(&self, person: &Person, password: &str) -> Result<Ended, Error> {
        let password = hash_password(password)?;
        let ended = self.store.set_password(person.id, Some(&password), None)?;
        self.note_local(Action::Person, &format!("{}: password set", person.name))?;
        Ok(ended)
    }

    /// Runs `act`; in a dry run, undoes its changes to the store.
    ///
    /// # Errors
    /// `act` fails, or the store cannot be reached.
    pub fn rehearse_if<T, E: From<retort_store::Error>>(
        &self,
        is_dry: bool,
        act: impl FnOnce() -> Result<T, E>,
    ) -> Result<T, E> {
        if is_dry { self.store.rehearse(act) } else { act() }
    }

    fn note_local(&self, action: Action, object: &str) -> Result<(), Error> {
        let entry = NewAudit {
            project: None,
            person: Some(LOCAL),
            action,
            object,
            is_refused: false,
            address: None,
            request: None,
        };
        Ok(self.store.add_audit(&entry, self.clock.now())?)
    }

    /// All projects.
    pub fn projects(&self) -> Result<Vec<Project>, Error> {
        Ok(self.store.projects()?)
    }

    /// Creates a project owned by the caller. Owners of a project may create others.
    ///
    /// # Errors
    /// They own none, or the name is in use.
    pub fn add_project(
        &self,
        signed: &Signed,
        name: &str,
        origin: Origin,
    ) -> Result<Caller, Error> {
        signed.needs(Grant::Manage)?;
        if signed.is_token() {
            return Err(Error::Forbidden(
                "a token belongs to one project and cannot create others",
            ));
        }
        let owns = self.store.memberships(signed.person().id)?;
        if !owns.iter().any(|one| one.role == ProjectRole::Owner) {
            return Err(Error::NotAllowed(ProjectRole::Owner));
        }
        let name = check_name("project", name)?;
        if self.store.project(name)?.is_some() {
            return Err(Error::Conflict(format!("the name `{name}` is in use; choose another")));
        }
        let now = self.clock.now();
        let project = self.store.project_or_new(name, now)?;
        if !self.store.members(project.id)?.is_empty() {
            return Err(Error::Conflict(format!("the name `{name}` is in use; choose another")));
        }
        self.store.set_role(project.id, signed.person().id, Some(ProjectRole::Owner), now)?;
        let caller = self.caller(signed, Some(name), origin)?;
        self.audited(&caller, Action::Role, &format!("{}: owner", caller.name), || Ok(()))?;
        Ok(caller)
    }
}

/// A name of a person, a project or a token.
pub(crate) fn check_name<'n>(what: &str, name: &'n str) -> Result<&'n str, Error> {
    let trimmed = name.trim();
    let is_fit = (1..=NAME_CHARACTERS).contains(&trimmed.chars().count())
        && !trimmed.chars().any(char::is_control);
    if is_fit {
        return Ok(trimmed);
    }
    Err(Error::Choice(format!(
        "the name of a {what} has 1 to {NAME_CHARACTERS} characters, none of them control characters"
    )))
}
