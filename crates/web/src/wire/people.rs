//! People, projects and their members, invitations and tokens.

use retort_model::{Grant, ProjectRole};
use retort_service::Session as StoreSession;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fields::{moment, word};
use super::words;
use crate::problem::Problem;

/// Name and password.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct SignIn {
    /// The person's name.
    pub name: String,
    /// Their password.
    pub password: String,
}

/// A secret of a link that was given out.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Secret {
    /// The secret.
    pub secret: String,
}

/// A new password.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewPassword {
    /// Their current password, if they have one.
    #[serde(default)]
    pub current: Option<String>,
    /// The new one: 10 characters or more.
    pub new: String,
}

/// A session that began. The session itself is a cookie.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Session {
    /// Whose it is.
    pub person: String,
    /// The value of the header `X-CSRF-Token` for each request that changes something.
    pub csrf: String,
    /// When it expires.
    pub expires_at: String,
}

impl Session {
    /// A session, and its token against requests of other pages.
    pub fn new(session: &StoreSession, csrf: String) -> Self {
        Self {
            person: session.person.name.clone(),
            csrf,
            expires_at: session.expires_at.to_string(),
        }
    }
}

/// Who asks.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Me {
    /// The person's name.
    pub person: String,
    /// Whether they have a password.
    pub has_password: bool,
    /// What they may do within their roles: scopes.
    #[schema(value_type = Vec<words::Scope>)]
    pub scopes: Vec<String>,
    /// Their projects.
    pub projects: Vec<Project>,
    /// The value of the header `X-CSRF-Token` for each request that changes something; null without a cookie.
    pub csrf: Option<String>,
}

/// A project, and the caller's role in it.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Project {
    /// Its name.
    pub name: String,
    /// `owner`, `admin` or `member`.
    #[schema(value_type = words::ProjectRole)]
    pub role: String,
}

/// Projects by name.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Projects {
    /// The projects.
    pub projects: Vec<Project>,
}

/// Someone who may sign in.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Person {
    /// Their number.
    pub id: i64,
    /// Their name.
    pub name: String,
    /// Whether they have a password.
    pub has_password: bool,
    /// Whether their account is disabled.
    pub disabled: bool,
    /// When they were added.
    pub created_at: Option<String>,
    /// When they last signed in.
    pub seen_at: Option<String>,
}

impl From<&retort_service::Person> for Person {
    fn from(person: &retort_service::Person) -> Self {
        Self {
            id: person.id,
            name: person.name.clone(),
            has_password: person.has_password,
            disabled: person.is_disabled,
            created_at: moment(person.created_at),
            seen_at: moment(person.seen_at),
        }
    }
}

/// What ended.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Ended {
    /// How many sessions and one-time links.
    pub ended: u64,
    /// How many API tokens.
    pub tokens: u64,
}

impl From<retort_service::Ended> for Ended {
    fn from(ended: retort_service::Ended) -> Self {
        Self { ended: ended.sessions, tokens: ended.tokens }
    }
}

/// Your account to delete.
#[derive(Default, Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct DeleteAccount {
    /// The current password, where there is one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
}

/// What is in a project.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Belongings {
    /// People.
    pub members: u64,
    /// API tokens.
    pub tokens: u64,
    /// Webhooks.
    pub webhooks: u64,
    /// Invitations that can be accepted.
    pub invitations: u64,
    /// Public links.
    pub shares: u64,
    /// Jobs that wait or run.
    pub open_jobs: u64,
    /// Datasets.
    pub datasets: u64,
    /// Conversations.
    pub conversations: u64,
    /// Runs.
    pub runs: u64,
    /// Documents.
    pub documents: u64,
}

impl From<retort_service::Belongings> for Belongings {
    fn from(has: retort_service::Belongings) -> Self {
        Self {
            members: has.memberships,
            tokens: has.tokens,
            webhooks: has.webhooks,
            invitations: has.invitations,
            shares: has.shares,
            open_jobs: has.open_jobs,
            datasets: has.datasets,
            conversations: has.conversations,
            runs: has.runs,
            documents: has.documents,
        }
    }
}

/// Someone in a project.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Member {
    /// The number of the person.
    pub id: i64,
    /// Their name.
    pub name: String,
    /// `owner`, `admin` or `member`.
    #[schema(value_type = words::ProjectRole)]
    pub role: String,
    /// Since when.
    pub since: Option<String>,
    /// Whether their account is disabled.
    pub disabled: bool,
    /// Whether an admin confirmed the name: only then do they see the items that it owns.
    pub proved: bool,
    /// When they last signed in.
    pub seen_at: Option<String>,
}

impl From<&retort_service::Member> for Member {
    fn from(member: &retort_service::Member) -> Self {
        Self {
            id: member.person.id,
            name: member.person.name.clone(),
            role: member.role.to_string(),
            since: moment(member.since),
            disabled: member.person.is_disabled,
            proved: member.is_proved,
            seen_at: moment(member.person.seen_at),
        }
    }
}

/// Members by name.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Members {
    /// The members.
    pub members: Vec<Member>,
}

/// A new role.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Role {
    /// `owner`, `admin` or `member`.
    #[schema(value_type = words::ProjectRole)]
    pub role: String,
}

impl Role {
    /// The role.
    ///
    /// # Errors
    /// There is no such role.
    pub fn role(&self) -> Result<ProjectRole, Problem> {
        word(&self.role)
    }
}

/// An invitation to create.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Invite {
    /// Role that the invited person gets: `owner`, `admin` or `member`.
    #[schema(value_type = words::ProjectRole)]
    pub role: String,
    /// Who it is for; null means anyone with the link.
    #[serde(default)]
    pub name: Option<String>,
}

/// An invitation.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Invitation {
    /// Its number.
    pub id: i64,
    /// Role that the invited person gets.
    #[schema(value_type = words::ProjectRole)]
    pub role: String,
    /// Who it is for; null means anyone with the link.
    pub name: Option<String>,
    /// Who created it.
    pub creator: String,
    /// When it was created.
    pub created_at: Option<String>,
    /// When it expires.
    pub expires_at: Option<String>,
    /// The secret of its link; only returned when it is created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
    /// The path of the page that accepts it; only returned when it is created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
}

impl Invitation {
    /// An invitation, with its secret if it was just created.
    pub fn new(invitation: &retort_service::Invitation, secret: Option<String>) -> Self {
        Self {
            id: invitation.id,
            role: invitation.role.to_string(),
            name: invitation.name.clone(),
            creator: invitation.creator.clone(),
            created_at: moment(invitation.created_at),
            expires_at: moment(invitation.expires_at),
            path: secret.as_deref().map(invitation_path),
            secret,
        }
    }
}

/// The path of the page that takes an invitation. The secret comes after `#`, which browsers send to nobody.
pub fn invitation_path(secret: &str) -> String {
    format!("/invitation#{secret}")
}

/// The path of the page that signs in by a one-time link; see [`invitation_path`].
pub fn sign_in_path(secret: &str) -> String {
    format!("/sign-in/link#{secret}")
}

/// The path of a public page.
pub fn share_path(secret: &str) -> String {
    format!("/s/{secret}")
}

/// Invitations that can be accepted.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Invitations {
    /// The invitations.
    pub invitations: Vec<Invitation>,
}

/// Accepts an invitation, as the person who is signed in or as a new person with a name and a password.
#[derive(Deserialize, Serialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Accept {
    /// The secret of its link.
    pub secret: String,
    /// The name of the new person, if the invitation does not give one.
    #[serde(default)]
    pub name: Option<String>,
    /// Their password: 10 characters or more.
    pub password: String,
}

/// A token to create.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewToken {
    /// Its name.
    pub name: String,
    /// What it allows: `read`, `write`, `export`, `share`, `manage`.
    #[schema(value_type = Vec<words::Scope>)]
    pub scopes: Vec<String>,
    /// Days until it expires: 1 to 366.
    #[schema(minimum = 1, maximum = 366)]
    pub days: u64,
}

impl NewToken {
    /// The service's request.
    ///
    /// # Errors
    /// There is no such scope.
    pub fn request(self) -> Result<retort_service::TokenRequest, Problem> {
        let grants =
            self.scopes.iter().map(|scope| word::<Grant>(scope)).collect::<Result<_, _>>()?;
        Ok(retort_service::TokenRequest { name: self.name, grants, days: self.days })
    }
}

/// A token.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Token {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Whose it is.
    pub person: String,
    /// What it allows.
    #[schema(value_type = Vec<words::Scope>)]
    pub scopes: Vec<String>,
    /// When it was created.
    pub created_at: Option<String>,
    /// When it ends.
    pub expires_at: Option<String>,
    /// When it was last used.
    pub seen_at: Option<String>,
    /// The token itself; only returned when it is created.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub token: Option<String>,
}

impl Token {
    /// A token, with its secret if it was just created.
    pub fn new(token: &retort_service::Token, secret: Option<String>) -> Self {
        Self {
            id: token.id,
            name: token.name.clone(),
            person: token.person_name.clone(),
            scopes: token.grants.iter().map(|grant| grant.to_string()).collect(),
            created_at: moment(token.created_at),
            expires_at: moment(token.expires_at),
            seen_at: moment(token.seen_at),
            token: secret,
        }
    }
}

/// Tokens, newest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Tokens {
    /// The tokens.
    pub tokens: Vec<Token>,
}
