//! Who is in a project and as what, and invitations into it.

use retort_model::bounds::INVITATION_DAYS;
use retort_model::{Action, Grant, ProjectRole};
use retort_store::{Invitation, Member, NewAudit, NewInvitation, Person, Project};

use crate::accounts::{Session, Signed};
use crate::caller::{Caller, LOCAL, Origin};
use crate::clock::{DAY, later};
use crate::error::Error;
use crate::people::check_name;
use crate::secret::{hash, hash_password, new_secret};
use crate::service::Service;

impl Service {
    /// Who is in the project.
    ///
    /// # Errors
    /// The caller is no admin of it.
    pub fn members(&self, caller: &Caller) -> Result<Vec<Member>, Error> {
        self.noting_refusal(caller, Action::Role, "members listed", || administers(caller))?;
        Ok(self.store.members(caller.project.id)?)
    }

    /// Changes a member's role, or removes them; any member may leave. Only owners may appoint owners
    /// or demote them.
    ///
    /// # Errors
    /// The caller may not; they are not in the project; nobody would own the project.
    pub fn set_role(
        &self,
        caller: &Caller,
        person: i64,
        role: Option<ProjectRole>,
    ) -> Result<(), Error> {
        let word = role.map_or("none", ProjectRole::as_str);
        let is_own = caller.person == Some(person);
        let act = || {
            caller.needs(Grant::Manage)?;
            if !(is_own && role.is_none()) {
                caller.needs_role(ProjectRole::Admin)?;
            }
            let missing = || Error::NotFound { what: "member", name: person.to_string() };
            let before = self.store.role(caller.project.id, person)?.ok_or_else(missing)?;
            let most = role.map_or(before, |role| role.max(before));
            if most == ProjectRole::Owner && !is_own {
                caller.needs_role(ProjectRole::Owner)?;
            }
            if role.is_some_and(|role| role > caller.role) {
                return Err(Error::NotAllowed(ProjectRole::Owner));
            }
            match self.store.set_role(caller.project.id, person, role, self.clock.now()) {
                Err(retort_store::Error::LastOwner) => Err(Error::Conflict(
                    "a project needs an owner; make someone else an owner first".into(),
                )),
                done => Ok(done.map(|_| ())?),
            }
        };
        let name = self.member_name(caller, person)?;
        self.audited(caller, Action::Role, &format!("{name}: {word}"), act)
    }

    /// Adds a person who has an account to a project, for someone who opens the store directly. An account that came by an
    /// invitation to another project may be controlled by the inviter, until the person signs in by a one-time link or a
    /// provider.
    ///
    /// # Errors
    /// It is such an account; nobody would own the project; those of the store.
    pub fn admit(&self, caller: &Caller, person: &Person, role: ProjectRole) -> Result<(), Error> {
        let object = format!("{}: {role}", person.name);
        self.audited(caller, Action::Role, &object, || {
            if caller.person.is_some() {
                return Err(Error::NotAllowed(ProjectRole::Owner));
            }
            let is_new = self.store.role(caller.project.id, person.id)?.is_none();
            let person = self.again(person.clone())?;
            if is_new && !(person.is_proved || person.is_confirmed) {
                let name = &person.name;
                return Err(Error::Conflict(format!(
                    "the account `{name}` was created through an invitation to another project, and the person who invited \
                     them may know its password: give them a one-time link (`retort users link {name}`), and add them \
                     after they have used it"
                )));
            }
            self.store.set_role(caller.project.id, person.id, Some(role), self.clock.now())?;
            Ok(self.store.prove_name(caller.project.id, person.id)?)
        })
    }

    /// Vouches that a member's name is theirs, so that they see the items in the project that it owns.
    ///
    /// # Errors
    /// The caller is no admin; they are not in the project.
    pub fn prove_name(&self, caller: &Caller, person: i64) -> Result<(), Error> {
        let name = self.member_name(caller, person)?;
        self.audited(caller, Action::Role, &format!("{name}: name confirmed"), || {
            caller.needs(Grant::Manage)?;
            caller.needs_role(ProjectRole::Admin)?;
            if self.store.role(caller.project.id, person)?.is_none() {
                return Err(Error::NotFound { what: "member", name: person.to_string() });
            }
            Ok(self.store.prove_name(caller.project.id, person)?)
        })
    }

    /// What the audit log calls a member: who is in other projects alone has no name here.
    fn member_name(&self, caller: &Caller, person: i64) -> Result<String, Error> {
        let members = self.store.members(caller.project.id)?;
        Ok(match members.into_iter().find(|member| member.person.id == person) {
            Some(member) => member.person.name,
            None => format!("person {person}"),
        })
    }

    /// A secret with which anyone, or only a person of that name, can join the project. It ends when the caller may no
    /// longer give the role.
    ///
    /// # Errors
    /// The caller is not an admin, or has a lower role than the invitation gives.
    pub fn invite(
        &self,
        caller: &Caller,
        role: ProjectRole,
        name: Option<&str>,
    ) -> Result<(Invitation, String), Error> {
        let object = format!("{}: {role}", name.unwrap_or("anyone with the link"));
        self.audited(caller, Action::Invite, &object, || {
            caller.needs(Grant::Manage)?;
            caller.needs_role(role.max(ProjectRole::Admin))?;
            let name = name.map(|name| check_name("person", name)).transpose()?;
            let now = self.clock.now();
            let secret = new_secret("ri_")?;
            let until = later(now, DAY * u32::try_from(INVITATION_DAYS).unwrap_or(1));
            let project = caller.project.id;
            let new = NewInvitation {
                project,
                role,
                name,
                secret: hash(&secret),
                creator: &caller.name,
                person: caller.person,
                expires_at: until,
            };
            let id = self.store.add_invitation(&new, now)?;
            let made = self.store.invitations(project, now)?.into_iter().find(|one| one.id == id);
            let made = made.ok_or_else(|| no_invitation(id))?;
            Ok((made, secret))
        })
    }

    /// Invitations that can still be used.
    ///
    /// # Errors
    /// The caller is no admin.
    pub fn invitations(&self, caller: &Caller) -> Result<Vec<Invitation>, Error> {
        self.noting_refusal(caller, Action::Invite, "listed", || administers(caller))?;
        Ok(self.store.invitations(caller.project.id, self.clock.now())?)
    }

    /// Takes an invitation back.
    ///
    /// # Errors
    /// The caller is no admin, or there is none.
    pub fn end_invitation(&self, caller: &Caller, id: i64) -> Result<(), Error> {
        self.audited(caller, Action::Invite, &format!("{id}: revoked"), || {
            caller.needs(Grant::Manage)?;
            caller.needs_role(ProjectRole::Admin)?;
            if self.store.end_invitation(caller.project.id, id)? {
                return Ok(());
            }
            Err(no_invitation(id))
        })
    }

    /// What an invitation is to: the project's name, the role, and for whom.
    ///
    /// # Errors
    /// It was used or revoked, or is too old.
    pub fn invitation(&self, secret: &str) -> Result<(Project, Invitation), Error> {
        let found = self.store.invitation(&hash(secret), self.clock.now())?;
        let invitation = found.ok_or(USED)?;
        let project = self.store.project_numbered(invitation.project)?;
        Ok((project.ok_or(USED)?, invitation))
    }

    /// Accepts an invitation for a person without an account: creates one and signs them in.
    ///
    /// # Errors
    /// It cannot be used, is for another, or the name cannot be taken.
    pub fn accept_anew(
        &self,
        secret: &str,
        name: &str,
        password: &str,
        origin: &Origin,
    ) -> Result<Session, Error> {
        let (_, invitation) = self.invitation(secret)?;
        let name = check_name("person", invitation.name.as_deref().unwrap_or(name))?;
        let password = hash_password(password)?;
        // Someone who opens the store directly acts under that name.
        let is_taken = self.store.person_named(name)?.is_some() || name.eq_ignore_ascii_case(LOCAL);
        if invitation.name.is_some() {
            if is_taken {
                return Err(Error::Conflict(
                    "an account with this name already exists; sign in first, then open the link again"
                        .into(),
                ));
            }
        } else if is_taken || is_address(name) || self.store.is_name_in_use(name)? {
            return Err(not_to_be_claimed());
        }
        let now = self.clock.now();
        let (invitation, person) = match self.store.add_invited(&hash(secret), name, &password, now)
        {
            Err(retort_store::Error::NameTaken(_)) => return Err(not_to_be_claimed()),
            added => added?.ok_or(USED)?,
        };
        self.join(&invitation, &person, origin)?;
        self.begin_session(person, "invitation", origin)
    }

    /// Accepts an invitation for the signed-in person.
    ///
    /// # Errors
    /// It cannot be used, is for another, or is the person's own.
    pub fn accept(&self, signed: &Signed, secret: &str, origin: &Origin) -> Result<(), Error> {
        if signed.is_token() {
            return Err(Error::Forbidden(
                "a token cannot accept an invitation; sign in with a browser",
            ));
        }
        let (_, invitation) = self.invitation(secret)?;
        let own = signed.person().name.to_lowercase();
        if invitation.name.as_ref().is_some_and(|name| name.to_lowercase() != own) {
            return Err(Error::Forbidden("the invitation is for someone else"));
        }
        let is_claimed = invitation.name.is_none() && !signed.person().is_proved;
        if is_claimed && self.store.is_name_in_use(&signed.person().name)? {
            return Err(not_to_be_claimed());
        }
        let taken = self.store.take_invitation(&hash(secret), self.clock.now())?.ok_or(USED)?;
        self.join(&taken, signed.person(), origin)
    }

    /// Makes someone a member by the invitation that they accepted. An invitation in their name vouches for the name; one
    /// for anyone does not, so they cannot see the items of that name until an admin says so.
    fn join(&self, invitation: &Invitation, person: &Person, origin: &Origin) -> Result<(), Error> {
        let now = self.clock.now();
        // A member with a higher role keeps it.
        let before = self.store.role(invitation.project, person.id)?;
        if before.is_none_or(|before| before < invitation.role) {
            self.store.set_role(invitation.project, person.id, Some(invitation.role), now)?;
        }
        if invitation.name.is_some() {
            self.store.prove_name(invitation.project, person.id)?;
        }
        let entry = NewAudit {
            project: Some(invitation.project),
            person: Some(&person.name),
            action: Action::Invite,
            object: &format!("{}: {} taken", person.name, invitation.role),
            is_refused: false,
            address: origin.address.as_deref(),
            request: origin.request.as_deref(),
        };
        self.write_audit(&entry)
    }
}

/// Whether a name looks like an address of e-mail, which is its holder's alone.
fn is_address(name: &str) -> bool {
    name.contains('@')
}

/// The same error for every reason, so that it does not reveal who has an account or is in a project.
fn not_to_be_claimed() -> Error {
    Error::Conflict(
        "this name is not available: choose one without `@`, or ask for an invitation for this name; if the account is \
         yours, sign in first and open the link again"
            .into(),
    )
}

fn administers(caller: &Caller) -> Result<(), Error> {
    caller.needs(Grant::Manage)?;
    caller.needs_role(ProjectRole::Admin)
}

const USED: Error =
    Error::NotSignedIn("the invitation has expired, or was used or revoked; ask for a new one");

fn no_invitation(id: i64) -> Error {
    Error::NotFound { what: "invitation", name: id.to_string() }
}
