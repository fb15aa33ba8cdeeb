//! Public links.

use retort_service::Shows;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fields::{moment, time};
use super::people::share_path;
use super::words;
use crate::problem::Problem;

/// A public link to create.
#[derive(Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields, default)]
pub struct NewShare {
    /// The conversation's id.
    pub conversation: String,
    /// Its source, if the id alone is ambiguous.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub source: Option<String>,
    /// When the link expires.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expires_at: Option<String>,
    /// The password of the link.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub password: Option<String>,
    /// Whether system prompts are shown.
    pub system: bool,
    /// Whether definitions of tools are shown.
    pub tools: bool,
    /// Whether token counts are shown.
    pub usage: bool,
    /// Whether secrets and personal data are shown as they are. Otherwise they are masked.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub unredacted: bool,
}

impl NewShare {
    /// The service's request.
    ///
    /// # Errors
    /// The moment is none.
    pub fn request(self) -> Result<retort_service::ShareRequest, Problem> {
        Ok(retort_service::ShareRequest {
            conversation: self.conversation,
            source: self.source,
            expires_at: time(self.expires_at.as_deref())?,
            password: self.password,
            shows: Shows {
                system: self.system,
                tools: self.tools,
                usage: self.usage,
                unredacted: self.unredacted,
            },
        })
    }
}

/// A public link.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Share {
    /// Its number.
    pub id: i64,
    /// The conversation's id.
    pub conversation: String,
    /// The conversation's title.
    pub title: Option<String>,
    /// The path of the public page; only returned when the link is created.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub path: Option<String>,
    /// Who created it, or last reopened it.
    pub creator: String,
    /// Whether it is closed because its creator lost the necessary role.
    pub closed: bool,
    /// Whether it needs a password.
    pub has_password: bool,
    /// Whether system prompts are shown.
    pub system: bool,
    /// Whether definitions of tools are shown.
    pub tools: bool,
    /// Whether token counts are shown.
    pub usage: bool,
    /// Whether secrets and personal data are shown as they are. Otherwise they are masked.
    #[serde(default)]
    pub unredacted: bool,
    /// When it was created.
    pub created_at: Option<String>,
    /// When it expires.
    pub expires_at: Option<String>,
}

impl From<&retort_service::Share> for Share {
    fn from(share: &retort_service::Share) -> Self {
        let shows = Shows::of(share);
        Self {
            id: share.id,
            conversation: share.conversation_id.clone(),
            title: share.title.clone(),
            path: None,
            creator: share.creator.clone(),
            closed: share.is_closed,
            has_password: share.has_password,
            system: shows.system,
            tools: shows.tools,
            usage: shows.usage,
            unredacted: shows.unredacted,
            created_at: moment(share.created_at),
            expires_at: moment(share.expires_at),
        }
    }
}

impl Share {
    /// A link that was made just now, with its path.
    pub fn made((share, secret): &(retort_service::Share, String)) -> Self {
        Self { path: Some(share_path(secret)), ..Self::from(share) }
    }
}

/// A page of links, newest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Shares {
    /// The links.
    pub shares: Vec<Share>,
    /// The value of `after` for the next page; null on the last page.
    pub next: Option<i64>,
}

/// What is behind a public link.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SharedConversation {
    /// Its title.
    pub title: Option<String>,
    /// `chat`, `agent` or `graph`.
    #[serde(rename = "type")]
    #[schema(value_type = words::ConversationType)]
    pub kind: String,
    /// Its model.
    pub model: Option<String>,
    /// When it began.
    pub created_at: Option<String>,
    /// The conversation in Retort's canonical form, without what the link does not show.
    #[schema(value_type = Object)]
    pub conversation: Box<serde_json::value::RawValue>,
    /// Files that are in it.
    pub files: Vec<SharedFile>,
}

/// A file of a shared conversation.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SharedFile {
    /// Its name.
    pub name: String,
    /// Its media type.
    pub media_type: String,
    /// Its bytes.
    pub bytes: u64,
    /// The path of its download.
    pub path: String,
}
