//! Tokens, which people hand to programs.

use retort_model::bounds::TOKEN_DAYS;
use retort_model::{Action, Grant, Grants, ProjectRole};
use retort_store::{NewToken, Person, Token};

use crate::caller::Caller;
use crate::clock::{DAY, later};
use crate::error::Error;
use crate::people::check_name;
use crate::secret::{hash, new_secret};
use crate::service::Service;

/// A token that is asked for.
#[derive(Clone, Debug)]
pub struct TokenRequest {
    /// What it is called.
    pub name: String,
    /// What it lets its bearer do.
    pub grants: Grants,
    /// Days until it ends.
    pub days: u64,
}

impl Service {
    /// Makes a token for the caller's project; its secret is never shown again.
    ///
    /// # Errors
    /// It would let its bearer do what the caller's own token does not.
    pub fn add_token(
        &self,
        caller: &Caller,
        request: &TokenRequest,
    ) -> Result<(Token, String), Error> {
        self.audited(caller, Action::Token, &request.name, || {
            caller.needs(Grant::Manage)?;
            let Some(person) = caller.person else {
                return Err(Error::Choice("name the person that the token acts for".into()));
            };
            self.new_token(caller, person, request)
        })
    }

    /// Makes a token for another person, for someone who opens the store directly.
    ///
    /// # Errors
    /// They are not in the project.
    pub fn add_token_for(
        &self,
        caller: &Caller,
        person: &Person,
        request: &TokenRequest,
    ) -> Result<(Token, String), Error> {
        let object = format!("{} for {}", request.name, person.name);
        self.audited(caller, Action::Token, &object, || {
            if caller.person.is_some() {
                return Err(Error::NotAllowed(ProjectRole::Owner));
            }
            if self.store.role(caller.project.id, person.id)?.is_none() {
                return Err(Error::NotFound { what: "member", name: person.name.clone() });
            }
            self.new_token(caller, person.id, request)
        })
    }

    fn new_token(
        &self,
        caller: &Caller,
        person: i64,
        request: &TokenRequest,
    ) -> Result<(Token, String), Error> {
        let name = check_name("token", &request.name)?;
        if let Some(more) = request.grants.iter().find(|&grant| !caller.grants.has(grant)) {
            return Err(Error::NotGranted(more));
        }
        if request.grants == Grants::default() {
            return Err(Error::Choice("a token needs at least one scope".into()));
        }
        if !(1..=TOKEN_DAYS).contains(&request.days) {
            return Err(Error::Choice(format!("a token lasts 1 to {TOKEN_DAYS} days")));
        }
        let now = self.clock.now();
        let secret = new_secret("rt_")?;
        let project = caller.project.id;
        let new = NewToken {
            project,
            person,
            name,
            secret: hash(&secret),
            grants: request.grants,
            expires_at: Some(later(now, DAY * u32::try_from(request.days).unwrap_or(1))),
        };
        let id = self.store.add_token(&new, now)?;
        let made = self.store.tokens(project, Some(person))?.into_iter().find(|one| one.id == id);
        Ok((made.ok_or_else(|| no_token(id))?, secret))
    }

    /// The caller's tokens; those of all members for admins.
    pub fn tokens(&self, caller: &Caller) -> Result<Vec<Token>, Error> {
        caller.needs(Grant::Manage)?;
        Ok(self.store.tokens(caller.project.id, whose(caller))?)
    }

    /// Ends a token at once.
    ///
    /// # Errors
    /// There is none that the caller may end.
    pub fn end_token(&self, caller: &Caller, id: i64) -> Result<(), Error> {
        self.audited(caller, Action::Token, &format!("{id}: revoked"), || {
            caller.needs(Grant::Manage)?;
            if self.store.end_token(caller.project.id, whose(caller), id)? {
                return Ok(());
            }
            Err(no_token(id))
        })
    }
}

/// Members manage what is theirs, admins what is anyone's.
fn whose(caller: &Caller) -> Option<i64> {
    if caller.role >= ProjectRole::Admin { None } else { Some(caller.person.unwrap_or_default()) }
}

fn no_token(id: i64) -> Error {
    Error::NotFound { what: "token", name: id.to_string() }
}
