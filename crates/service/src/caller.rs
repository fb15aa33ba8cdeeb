//! Who asks, and what they may.

use retort_model::{Grant, Grants, ProjectRole, Scope};
use retort_store::{Membership, Person, Project};

use crate::error::Error;

/// Where a request came from, for the audit log.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origin {
    /// The address of the network.
    pub address: Option<String>,
    /// The request's id.
    pub request: Option<String>,
}

/// Someone who asks something of a project. Only the service makes one, so what they may is decided in one place.
#[derive(Clone, Debug)]
pub struct Caller {
    pub(crate) name: String,
    pub(crate) person: Option<i64>,
    pub(crate) project: Project,
    pub(crate) role: ProjectRole,
    /// Whether someone vouched that the name is theirs.
    pub(crate) is_proved: bool,
    pub(crate) grants: Grants,
    pub(crate) origin: Origin,
    /// Whether this is a dry run, whose changes are undone.
    pub(crate) is_rehearsing: bool,
}

impl Caller {
    /// A member of a project, with what their credential allows.
    pub(crate) fn member(
        person: &Person,
        membership: Membership,
        grants: Grants,
        origin: Origin,
    ) -> Self {
        let Membership { project, role, is_proved } = membership;
        let (name, person) = (person.name.clone(), Some(person.id));
        Self { name, person, project, role, is_proved, grants, origin, is_rehearsing: false }
    }

    /// Someone who opens the store directly: they may do everything in a project.
    pub fn local(project: &Project) -> Self {
        Self {
            name: LOCAL.into(),
            person: None,
            project: project.clone(),
            role: ProjectRole::Owner,
            is_proved: true,
            grants: Grants::ALL,
            origin: Origin::default(),
            is_rehearsing: false,
        }
    }

    /// The same caller, for a dry run: requests are checked and answered as usual, but their changes to the store are
    /// undone before the answer. Only for use cases that audit their changes and change nothing outside the store.
    pub fn rehearsing(self) -> Self {
        Self { is_rehearsing: true, ..self }
    }

    /// What they are called: datasets and jobs are theirs by it, and conversations that they held.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The number of the person; none for someone who opens the store directly.
    pub fn person(&self) -> Option<i64> {
        self.person
    }

    /// The project.
    pub fn project(&self) -> &Project {
        &self.project
    }

    /// What they are in it.
    pub fn role(&self) -> ProjectRole {
        self.role
    }

    /// Whether someone vouched that the name is theirs.
    pub fn is_proved(&self) -> bool {
        self.is_proved
    }

    /// What they let their token, or themselves, do.
    pub fn grants(&self) -> Grants {
        self.grants
    }

    /// The conversations that they may see: members their own, admins and owners everyone's.
    pub fn scope(&self) -> Scope {
        match self.role {
            // A name that someone chose for themselves is no proof that what others import under it is theirs.
            ProjectRole::Member => Scope { only_imported: !self.is_proved, ..self.own() },
            ProjectRole::Admin | ProjectRole::Owner => Scope::project(self.project.id),
        }
    }

    /// What they made.
    pub(crate) fn own(&self) -> Scope {
        Scope::person(self.project.id, self.name.as_str())
    }

    /// The datasets and jobs whose contents they may see: their own, and all of them for
    /// someone who opens the store directly.
    pub(crate) fn made(&self) -> Scope {
        match self.person {
            Some(_) => self.own(),
            None => Scope::project(self.project.id),
        }
    }

    /// The datasets and jobs that they may look at from outside and end: owners everyone's in the project.
    pub(crate) fn overseen(&self) -> Scope {
        match self.role {
            ProjectRole::Owner => Scope::project(self.project.id),
            ProjectRole::Member | ProjectRole::Admin => self.made(),
        }
    }

    /// Refuses a token that was not given this.
    pub(crate) fn needs(&self, grant: Grant) -> Result<(), Error> {
        if self.grants.has(grant) { Ok(()) } else { Err(Error::NotGranted(grant)) }
    }

    /// The role that bringing in, or taking out, what they may see takes.
    pub(crate) fn needed_role(&self) -> ProjectRole {
        self.role.min(ProjectRole::Admin)
    }

    /// Refuses who is less than this in the project.
    pub(crate) fn needs_role(&self, role: ProjectRole) -> Result<(), Error> {
        if self.role >= role { Ok(()) } else { Err(Error::NotAllowed(role)) }
    }
}

/// What the holder of the store's file is called, and the owner that a server makes of its own accord.
pub const LOCAL: &str = "local";
