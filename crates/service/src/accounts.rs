//! Signing in and out: how people show who they are.

use std::time::Duration;

use retort_model::bounds::{NAME_CHARACTERS, SESSION_DAYS, SIGN_IN_LINK_MINUTES};
use retort_model::{Action, Grant, Grants, ProjectRole, Time};
use retort_store::{Ended, NewAudit, PendingIdentity, Person, Project, SecretHash, SessionKind};

use crate::caller::{Caller, LOCAL, Origin};
use crate::clock::{DAY, later};
use crate::error::Error;
use crate::secret::{hash, hash_password, is_password, new_secret};
use crate::service::Service;

/// Someone who showed who they are.
#[derive(Clone, Debug)]
pub struct Signed {
    person: Person,
    grants: Grants,
    /// The only project that their token is for.
    project: Option<i64>,
    by: By,
}

/// How someone showed who they are.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum By {
    Session(SecretHash),
    Token(i64),
    Header,
}

impl Signed {
    /// The person.
    pub fn person(&self) -> &Person {
        &self.person
    }

    /// Whether a browser carries it along by itself, so that requests of others' pages must be told apart.
    pub fn is_ambient(&self) -> bool {
        !matches!(self.by, By::Token(_))
    }

    /// What they may do within their roles.
    pub fn grants(&self) -> Grants {
        self.grants
    }

    /// What requests of theirs are counted under.
    pub fn key(&self) -> String {
        match self.by {
            By::Token(id) => format!("token {id}"),
            By::Session(_) | By::Header => format!("person {}", self.person.id),
        }
    }

    pub(crate) fn needs(&self, grant: Grant) -> Result<(), Error> {
        if self.grants.has(grant) { Ok(()) } else { Err(Error::NotGranted(grant)) }
    }

    pub(crate) fn is_token(&self) -> bool {
        matches!(self.by, By::Token(_))
    }
}

/// A session that began.
#[derive(Clone, Debug)]
pub struct Session {
    /// What the browser holds.
    pub secret: String,
    /// When it ends by itself.
    pub expires_at: Time,
    /// Whose it is.
    pub person: Person,
}

/// What a provider of identities vouches for.
#[derive(Clone, Debug)]
pub struct Identity<'i> {
    /// The provider.
    pub issuer: &'i str,
    /// Its name for the person, which never changes.
    pub subject: &'i str,
    /// Their address, as the provider gives it.
    pub email: Option<&'i str>,
    /// Whether the provider says that it has verified that the address is theirs; none if it says nothing.
    pub email_verified: Option<bool>,
    /// Whether the operator trusts this provider's addresses whatever it says of them.
    pub trusts_email: bool,
}

impl<'i> Identity<'i> {
    /// The address, or why it proves nothing.
    fn proved_email(&self) -> Result<&'i str, Unknown> {
        match (self.email, self.email_verified) {
            (None, _) => Err(Unknown::NoAddress),
            (Some(email), Some(true)) => Ok(email),
            (Some(email), _) if self.trusts_email => Ok(email),
            (Some(_), Some(false)) => Err(Unknown::NotVerified),
            (Some(_), None) => Err(Unknown::NotSaid),
        }
    }
}

/// Why nobody is known by what a provider says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Unknown {
    /// It gives no address.
    NoAddress,
    /// It says that the address is not verified.
    NotVerified,
    /// It does not say whether the address is verified.
    NotSaid,
    /// No account has the address for its name.
    NoAccount,
    /// The account is disabled.
    Disabled,
}

impl Unknown {
    /// For the log and the audit log.
    pub fn reason(self) -> &'static str {
        match self {
            Self::NoAddress => "the provider gave no e-mail address",
            Self::NotVerified => "the provider says that the e-mail address is not verified",
            Self::NotSaid => "the provider did not say whether the e-mail address is verified",
            Self::NoAccount => "no account has this address for its name",
            Self::Disabled => "the account is disabled",
        }
    }

    /// What to tell the person.
    fn for_people(self) -> &'static str {
        match self {
            Self::NoAddress => {
                "your organization's sign-in gave no e-mail address; ask your administrator for a one-time link"
            }
            Self::NotVerified | Self::NotSaid => {
                "your organization's sign-in has not verified your e-mail address; ask your administrator for a \
                 one-time link, then connect this sign-in in your settings"
            }
            Self::NoAccount | Self::Disabled => {
                "there is no account for your e-mail address; ask an owner of your project for an invitation"
            }
        }
    }
}

/// What a sign-in through a provider came to.
#[derive(Clone, Debug)]
pub enum ThroughProvider {
    /// A session.
    SignedIn(Session),
    /// There is an account of that name that this provider has not been used for. The person says whether it is theirs.
    Confirm {
        /// What [`Service::confirm_identity`] takes.
        secret: String,
        /// The account's name.
        name: String,
        /// Whether it takes the account's password: the provider did not verify the address, and someone is known to
        /// have used the account.
        takes_password: bool,
    },
    /// Nobody.
    Unknown(Unknown),
}

impl From<Unknown> for Error {
    fn from(unknown: Unknown) -> Self {
        Self::NotSignedIn(unknown.for_people())
    }
}

const WAITED_TOO_LONG: Error = Error::NotSignedIn("this sign-in took too long; start again");

const WRONG: Error = Error::NotSignedIn("wrong name or password");

/// Signing in.
impl Service {
    /// Makes the owner of a store that knows nobody yet, an owner of every project. While that owner has no password,
    /// gives them, and whether they were made just now.
    pub fn first_owner(&self) -> Result<Option<(Person, bool)>, Error> {
        let now = self.clock.now();
        let is_new = !self.store.has_people()?;
        if is_new {
            let person = match self.store.add_person(LOCAL, None, now) {
                // Another server began at the same moment.
                Err(retort_store::Error::NameTaken(_)) => return Ok(None),
                person => person?,
            };
            for project in self.store.projects()? {
                self.store.set_role(project.id, person.id, Some(ProjectRole::Owner), now)?;
            }
        }
        let person = self.store.person_named(LOCAL)?;
        let person = person.filter(|person| !person.has_password && !person.is_disabled);
        Ok(person.map(|person| (person, is_new)))
    }

    /// A secret that signs a person in, once.
    pub fn sign_in_link(&self, person: &Person) -> Result<String, Error> {
        let now = self.clock.now();
        let secret = new_secret("rl_")?;
        let until = later(now, Duration::from_secs(60 * SIGN_IN_LINK_MINUTES));
        self.store.add_session(SessionKind::Link, &hash(&secret), person.id, now, until)?;
        Ok(secret)
    }

    /// Signs in by name and password.
    ///
    /// # Errors
    /// They are wrong, whichever and for whatever reason: the answer and its time are the same.
    pub fn sign_in(&self, name: &str, password: &str, origin: &Origin) -> Result<Session, Error> {
        let person = match name.chars().count() {
            1..=NAME_CHARACTERS => self.store.person_named(name)?,
            _ => None,
        };
        let kept = match &person {
            Some(person) if !person.is_disabled => self.store.password_of(person.id)?,
            _ => None,
        };
        let matches = is_password(password, kept.as_deref());
        match person {
            Some(person) if matches => self.begin_session(person, "password", origin),
            person => {
                // A name that nobody has may be a password in the wrong place.
                let name = person.as_ref().map(|person| &*person.name);
                self.note_sign_in(name, "password", true, origin)?;
                Err(WRONG)
            }
        }
    }

    /// Signs in by a one-time link. The first time, what the account had before ends: its password, sessions and tokens
    /// may belong to the person who created it.
    ///
    /// # Errors
    /// It was used, or is too old.
    pub fn sign_in_by_link(&self, secret: &str, origin: &Origin) -> Result<Session, Error> {
        match self.store.take_link(&hash(secret), self.clock.now())? {
            Some(person) => {
                self.store.confirm_person(person.id, None)?;
                self.begin_session(self.again(person)?, "link", origin)
            }
            None => {
                self.note_sign_in(None, "link", true, origin)?;
                Err(Error::NotSignedIn(
                    "this sign-in link has expired or was already used; ask for a new one",
                ))
            }
        }
    }

    /// Signs in whom a provider vouches for: someone who signed in through it before, or someone whose account has
    /// the address for its name. An account that someone has used already is theirs only once they say so.
    pub fn sign_in_by_identity(
        &self,
        identity: &Identity<'_>,
        origin: &Origin,
    ) -> Result<ThroughProvider, Error> {
        let found = match self.store.person_identified(identity.issuer, identity.subject)? {
            Some(known) => Ok((known, true)),
            None => match identity.proved_email() {
                Ok(email) => {
                    let named = self.store.person_named(email)?;
                    named.map(|person| (person, false)).ok_or(Unknown::NoAccount)
                }
                Err(unknown) => Err(unknown),
            },
        };
        let found = found.and_then(|(person, known)| {
            if person.is_disabled { Err(Unknown::Disabled) } else { Ok((person, known)) }
        });
        let (person, is_known) = match found {
            Ok(found) => found,
            Err(unknown) => {
                let how = format!("{}: {}", identity.issuer, unknown.reason());
                self.note_sign_in(identity.email, &how, true, origin)?;
                return Ok(ThroughProvider::Unknown(unknown));
            }
        };
        let subject = (identity.issuer, identity.subject);
        if !is_known && (person.has_password || person.seen_at.is_some()) {
            let is_verified = identity.email_verified == Some(true);
            let takes_password = person.is_confirmed && !is_verified;
            let now = self.clock.now();
            let secret = new_secret("rc_")?;
            let until = later(now, Duration::from_secs(60 * SIGN_IN_LINK_MINUTES));
            let hash = hash(&secret);
            self.store.add_pending_identity(
                &hash,
                subject,
                (person.id, takes_password),
                now,
                until,
            )?;
            return Ok(ThroughProvider::Confirm { secret, name: person.name, takes_password });
        }
        if !is_known {
            self.store.confirm_person(person.id, None)?;
            self.store.add_identity(identity.issuer, identity.subject, person.id)?;
        }
        let session = self.begin_session(self.again(person)?, identity.issuer, origin)?;
        Ok(ThroughProvider::SignedIn(session))
    }

    /// Checks that a person may connect a provider's sign-in to their account. It stays connected when the password
    /// changes, so they must give their current password.
    ///
    /// # Errors
    /// They are not signed in by a session, or the password is wrong.
    pub fn may_connect_identity(&self, signed: &Signed, password: &str) -> Result<(), Error> {
        if !signed.is_ambient() {
            return Err(Error::Forbidden(
                "a token cannot connect a sign-in; sign in with a browser",
            ));
        }
        self.check_current(signed.person(), password)
    }

    /// Refuses who does not know the password that an account has, if it has one.
    pub(crate) fn check_current(&self, person: &Person, password: &str) -> Result<(), Error> {
        let kept = self.store.password_of(person.id)?;
        if kept.is_some() && !is_password(password, kept.as_deref()) {
            return Err(Error::Choice("the current password is wrong".into()));
        }
        Ok(())
    }

    /// Connects the identity that a provider returned to the account of the signed-in person. Whether the provider has
    /// verified the address does not matter, as the person has already signed in with a password or a link.
    ///
    /// # Errors
    /// It is connected to another account.
    pub fn connect_identity(
        &self,
        signed: &Signed,
        identity: &Identity<'_>,
        origin: &Origin,
    ) -> Result<(), Error> {
        let person = signed.person();
        let how = format!("{}: connected", identity.issuer);
        match self.store.add_identity(identity.issuer, identity.subject, person.id) {
            Err(retort_store::Error::NameTaken(_)) => {
                self.note_sign_in(Some(&person.name), &how, true, origin)?;
                Err(Error::Conflict("this sign-in is already connected to another account".into()))
            }
            done => {
                done?;
                self.note_sign_in(Some(&person.name), &how, false, origin)
            }
        }
    }

    /// Which account a sign-in through a provider waits to be confirmed for, and whether that takes its password.
    ///
    /// # Errors
    /// It waited too long.
    pub fn identity_to_confirm(&self, secret: &str) -> Result<(Person, bool), Error> {
        let found = self.store.pending_identity(&hash(secret), self.clock.now())?;
        let waiting = found.ok_or(WAITED_TOO_LONG)?;
        Ok((waiting.person, waiting.takes_password))
    }

    /// Joins an account to the identity that a provider vouched for, as the person says that it is theirs. With its
    /// password everything stays as it is. Without, its password, sessions and tokens may be another's, and end.
    ///
    /// # Errors
    /// It waited too long; the password is wrong, or is missing where it has to be given.
    pub fn confirm_identity(
        &self,
        secret: &str,
        password: Option<&str>,
        origin: &Origin,
    ) -> Result<Session, Error> {
        let hash = hash(secret);
        let found = self.store.pending_identity(&hash, self.clock.now())?;
        let waiting = found.ok_or(WAITED_TOO_LONG)?;
        let PendingIdentity { issuer, subject, person, takes_password } = waiting;
        match password.filter(|password| !password.is_empty()) {
            Some(password) => {
                let kept = self.store.password_of(person.id)?;
                if !is_password(password, kept.as_deref()) {
                    self.note_sign_in(Some(&person.name), &issuer, true, origin)?;
                    return Err(Error::NotSignedIn("the password of the account is wrong"));
                }
                if !self.store.end_pending_identity(&hash)? {
                    return Err(WAITED_TOO_LONG);
                }
                self.store.keep_account(person.id, true)?;
            }
            None if takes_password => {
                return Err(Error::NotSignedIn(
                    "the account has been used without this sign-in, so its password is needed; without one, ask your \
                     administrator for a one-time link, set a password in the settings, and try again",
                ));
            }
            None => {
                if !self.store.end_pending_identity(&hash)? {
                    return Err(WAITED_TOO_LONG);
                }
                self.store.take_over(person.id, (&issuer, &subject))?;
            }
        }
        self.store.add_identity(&issuer, &subject, person.id)?;
        self.begin_session(self.again(person)?, &issuer, origin)
    }

    /// The person as they are now.
    pub(crate) fn again(&self, person: Person) -> Result<Person, Error> {
        Ok(self.store.person(person.id)?.unwrap_or(person))
    }

    pub(crate) fn begin_session(
        &self,
        person: Person,
        how: &str,
        origin: &Origin,
    ) -> Result<Session, Error> {
        let now = self.clock.now();
        let secret = new_secret("rs_")?;
        let expires_at = later(now, DAY * u32::try_from(SESSION_DAYS).unwrap_or(1));
        self.store.clear_sessions(now)?;
        self.store.add_session(SessionKind::Session, &hash(&secret), person.id, now, expires_at)?;
        self.store.person_seen(person.id, now)?;
        self.note_sign_in(Some(&person.name), how, false, origin)?;
        Ok(Session { secret, expires_at, person })
    }

    fn note_sign_in(
        &self,
        name: Option<&str>,
        how: &str,
        is_refused: bool,
        origin: &Origin,
    ) -> Result<(), Error> {
        let entry = NewAudit {
            project: None,
            person: name,
            action: Action::SignIn,
            object: how,
            is_refused,
            address: origin.address.as_deref(),
            request: origin.request.as_deref(),
        };
        self.write_audit(&entry)
    }

    /// Whose session it is.
    pub fn by_session(&self, secret: &str) -> Result<Option<Signed>, Error> {
        let hash = hash(secret);
        let person = self.store.session(&hash, self.clock.now())?;
        Ok(person.map(|person| Signed {
            person,
            grants: Grants::ALL,
            project: None,
            by: By::Session(hash),
        }))
    }

    /// Whose token it is.
    ///
    /// # Errors
    /// It is nobody's, it has expired, or its person was disabled.
    pub fn by_token(&self, secret: &str) -> Result<Signed, Error> {
        let now = self.clock.now();
        let Some((token, person)) = self.store.token(&hash(secret))? else {
            return Err(Error::NotSignedIn("there is no such token"));
        };
        if token.expires_at.is_some_and(|until| until <= now) {
            return Err(Error::NotSignedIn("the token has expired; create a new one"));
        }
        if person.is_disabled {
            return Err(Error::NotSignedIn("the account of the token's person is disabled"));
        }
        // Once a minute tells enough of when it was used.
        let before = now.unix_micros() - 60_000_000;
        if token.seen_at.is_none_or(|seen| seen.unix_micros() < before) {
            self.store.token_seen(token.id, now)?;
        }
        Ok(Signed {
            person,
            grants: token.grants,
            project: Some(token.project),
            by: By::Token(token.id),
        })
    }

    /// The person that a proxy, which is trusted to, says it is.
    ///
    /// # Errors
    /// Nobody is called so, or they were disabled.
    pub fn by_header(&self, name: &str) -> Result<Signed, Error> {
        let person = self.store.person_named(name)?.filter(|person| !person.is_disabled);
        let mut person = person.ok_or(Error::NotSignedIn("there is no such account"))?;
        if !person.is_confirmed {
            // The proxy vouches for them as a provider does.
            self.store.confirm_person(person.id, None)?;
            person = self.again(person)?;
        }
        Ok(Signed { person, grants: Grants::ALL, project: None, by: By::Header })
    }

    /// Who asks, in the project that they name, or the only one that they are in.
    ///
    /// # Errors
    /// They are in no such project, which is not told from there being none; they are in several and named none.
    pub fn caller(
        &self,
        signed: &Signed,
        project: Option<&str>,
        origin: Origin,
    ) -> Result<Caller, Error> {
        let mut open = self.store.memberships(signed.person.id)?;
        open.retain(|one| signed.project.is_none_or(|only| one.project.id == only));
        if let Some(name) = project {
            open.retain(|one| one.project.name == name);
        }
        let named = project.unwrap_or("of yours");
        match <[_; 1]>::try_from(open) {
            Ok([membership]) => {
                Ok(Caller::member(&signed.person, membership, signed.grants, origin))
            }
            Err(none) if none.is_empty() => {
                Err(Error::NotFound { what: "project", name: named.to_owned() })
            }
            Err(several) => {
                let names: Vec<_> =
                    several.iter().map(|one| format!("`{}`", one.project.name)).collect();
                Err(Error::Choice(format!("name a project: {}", names.join(", "))))
            }
        }
    }

    /// The projects that someone is in, and as what.
    pub fn projects_of(&self, signed: &Signed) -> Result<Vec<(Project, ProjectRole)>, Error> {
        let open = self.store.memberships(signed.person.id)?.into_iter();
        let open = open.filter(|one| signed.project.is_none_or(|only| one.project.id == only));
        Ok(open.map(|one| (one.project, one.role)).collect())
    }

    /// Ends the session.
    pub fn sign_out(&self, signed: &Signed, origin: &Origin) -> Result<(), Error> {
        if let By::Session(secret) = &signed.by {
            self.store.end_session(secret)?;
            self.note_person(signed, Action::SignOut, "here", origin)?;
        }
        Ok(())
    }

    /// Ends all sessions, one-time links and API tokens of the person; says how many.
    ///
    /// # Errors
    /// A token may not; those of the store.
    pub fn sign_out_everywhere(&self, signed: &Signed, origin: &Origin) -> Result<Ended, Error> {
        if signed.is_token() {
            return Err(Error::Forbidden("a token cannot end sessions; sign in with a browser"));
        }
        let ended = self.store.end_credentials(signed.person.id)?;
        self.note_person(signed, Action::SignOut, "everywhere", origin)?;
        Ok(ended)
    }

    /// Sets the person's own password, and ends their other sessions, their one-time links and their API tokens.
    ///
    /// # Errors
    /// The current one is wrong, or the new one too short; a token may not.
    pub fn change_password(
        &self,
        signed: &Signed,
        current: Option<&str>,
        new: &str,
        origin: &Origin,
    ) -> Result<Ended, Error> {
        if signed.is_token() {
            return Err(Error::Forbidden("a token cannot set a password; sign in with a browser"));
        }
        self.check_current(&signed.person, current.unwrap_or_default())?;
        let new = hash_password(new)?;
        let keep = match &signed.by {
            By::Session(secret) => Some(secret),
            By::Token(_) | By::Header => None,
        };
        let ended = self.store.set_password(signed.person.id, Some(&new), keep)?;
        self.store.keep_account(signed.person.id, false)?;
        self.note_person(signed, Action::Password, "their own", origin)?;
        Ok(ended)
    }

    fn note_person(
        &self,
        signed: &Signed,
        action: Action,
        object: &str,
        origin: &Origin,
    ) -> Result<(), Error> {
        let entry = NewAudit {
            project: None,
            person: Some(&signed.person.name),
            action,
            object,
            is_refused: false,
            address: origin.address.as_deref(),
            request: origin.request.as_deref(),
        };
        self.write_audit(&entry)
    }
}
