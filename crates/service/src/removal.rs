//! People and projects that are deleted, and what becomes of what they have.

use retort_model::{
    Action, ConversationFilter, DocumentFilter, Grant, ProjectRole, RunFilter, Scope, Status,
};
use retort_store::{Belongings, Edit, NewAudit, Person};

use crate::accounts::Signed;
use crate::caller::{Caller, LOCAL, Origin};
use crate::error::Error;
use crate::export::prefix;
use crate::service::Service;

impl Service {
    /// What a person has, in all projects.
    pub fn belongings_of(&self, person: &Person) -> Result<Belongings, Error> {
        Ok(self.store.belongings_of_person(person.id, &person.name)?)
    }

    /// What is in the caller's project.
    ///
    /// # Errors
    /// The caller does not own it.
    pub fn belongings(&self, caller: &Caller) -> Result<Belongings, Error> {
        owns(caller)?;
        Ok(self.store.belongings_of_project(caller.project.id)?)
    }

    /// Deletes a person, for someone who opens the store directly: their account, sessions, tokens, webhooks and invitations.
    /// Their public links close, their jobs end, the names of the files that they imported are forgotten, and what they
    /// made or own stays in its projects under their name.
    ///
    /// # Errors
    /// A project would have no owner who may sign in.
    pub fn delete_person(&self, person: &Person) -> Result<(), Error> {
        self.remove_person(person, LOCAL, &Origin::default())
    }

    /// Deletes one's own account; see [`Service::delete_person`].
    ///
    /// # Errors
    /// A token may not; the password is wrong; a project would have no owner who may sign in.
    pub fn delete_own_account(
        &self,
        signed: &Signed,
        password: Option<&str>,
        origin: &Origin,
    ) -> Result<(), Error> {
        if !signed.is_ambient() {
            return Err(Error::Forbidden(
                "a token cannot delete an account; sign in with a browser",
            ));
        }
        let person = signed.person();
        self.check_current(person, password.unwrap_or_default())?;
        self.remove_person(person, &person.name, origin)
    }

    /// Refuses to delete a person without whom a project has no owner.
    ///
    /// # Errors
    /// There is such a project, or the store fails.
    pub fn check_removal(&self, person: &Person) -> Result<(), Error> {
        match self.store.solely_owned(person.id)?.first() {
            None => Ok(()),
            Some(project) => Err(Error::Conflict(format!(
                "the project `{project}` needs an owner: make someone else an owner first, or delete the project"
            ))),
        }
    }

    fn remove_person(&self, person: &Person, by: &str, origin: &Origin) -> Result<(), Error> {
        self.check_removal(person)?;
        match self.store.delete_person(person.id, &person.name) {
            Err(retort_store::Error::LastOwner) => {
                return Err(Error::Conflict("a project needs an owner".into()));
            }
            done => done?,
        }
        self.forget_file_names(&person.name)?;
        for project in self.store.projects()? {
            let erased = self.store.erased_people(project.id)?;
            if let Some(erasure) = erased.and_then(|erased| erased.erasure_of(&person.name)) {
                self.forget_maker(project.id, erasure, &person.name)?;
            }
        }
        let entry = NewAudit {
            project: None,
            person: Some(by),
            action: Action::Person,
            object: &format!("{}: deleted", person.name),
            is_refused: false,
            address: origin.address.as_deref(),
            request: origin.request.as_deref(),
        };
        Ok(self.store.add_audit(&entry, self.clock.now())?)
    }

    /// Deletes the caller's project for good, with everything in it: items, datasets with their files, jobs, links,
    /// tokens, webhooks. The people stay, and the audit log keeps what was done. Broken off, it goes on when it is asked
    /// for again.
    ///
    /// # Errors
    /// The caller does not own it, or said another name; the store or the place of the datasets failed.
    pub fn delete_project(&self, caller: &Caller, name: &str) -> Result<(), Error> {
        self.audited(caller, Action::Project, &format!("{}: deleted", caller.project.name), || {
            owns(caller)?;
            if name != caller.project.name {
                return Err(Error::Choice(format!(
                    "to delete the project, repeat its name: `{}`",
                    caller.project.name
                )));
            }
            let project = caller.project.id;
            self.store.close_project(project, caller.person)?;
            let scope = Scope::project(project);
            for dataset in self.store.datasets(&scope)? {
                self.store.delete_dataset(&dataset)?;
                self.objects.remove_all(&dataset.prefix)?;
            }
            let all = ConversationFilter {
                statuses: Status::ALL.to_vec(),
                ..ConversationFilter::default()
            };
            self.store.edit(&scope, &all, &Edit::Purge)?;
            self.store.purge_runs(&scope, &RunFilter::default())?;
            self.purge_documents(caller, &DocumentFilter::default())?;
            let jobs = self.store.jobs(&scope, usize::MAX)?;
            match self.store.delete_project(project) {
                Err(busy @ retort_store::Error::InUse) => {
                    return Err(Error::Conflict(busy.to_string()));
                }
                done => done?,
            }
            // What their workers made, or were to read; what they still write, `doctor` finds.
            for job in jobs {
                self.objects.remove_all(&prefix(&self.store, job.id))?;
                self.clear_upload(&job)?;
                self.clear_rejects(job.id)?;
            }
            Ok(())
        })
    }
}

fn owns(caller: &Caller) -> Result<(), Error> {
    caller.needs(Grant::Manage)?;
    caller.needs_role(ProjectRole::Owner)
}
