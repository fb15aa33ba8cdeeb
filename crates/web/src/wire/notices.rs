//! Notices of exports that ended, and webhooks.

use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fields::moment;
use super::words;

/// A webhook to add.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewWebhook {
    /// Where notices are posted.
    pub url: String,
    /// Adds a download link to each notice of a dataset, and says for how many hours it works. Anyone who has the link can download the dataset.
    /// Default: no link.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schema(minimum = 1, maximum = 168)]
    pub link_hours: Option<u64>,
    /// The number of one of your schedules: only notices of its runs are posted, and the webhook goes when the schedule is
    /// deleted. Default: notices of all your exports.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub schedule: Option<i64>,
}

/// A webhook.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Webhook {
    /// Its number.
    pub id: i64,
    /// Where notices are posted.
    pub url: String,
    /// When it was created.
    pub created_at: Option<String>,
    /// Hours for which a notice's link to the dataset works; null if notices have no link.
    #[serde(default)]
    pub link_hours: Option<u64>,
    /// The schedule whose runs are posted; null for all your exports.
    #[serde(default)]
    pub schedule: Option<i64>,
    /// The secret that notices are signed with; only returned when the webhook is added.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub secret: Option<String>,
}

impl Webhook {
    /// A webhook, with its secret if it was just added.
    pub fn new(webhook: &retort_service::Webhook, is_new: bool) -> Self {
        Self {
            id: webhook.id,
            url: webhook.url.clone(),
            created_at: moment(webhook.created_at),
            link_hours: webhook.link_hours,
            schedule: webhook.schedule,
            secret: is_new.then(|| webhook.secret.clone()),
        }
    }
}

/// Webhooks.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Webhooks {
    /// The webhooks.
    pub webhooks: Vec<Webhook>,
}

/// How far the delivery of a notice is.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Delivery {
    /// The notice.
    pub notice: i64,
    /// Attempts so far.
    pub attempts: u64,
    /// When the next attempt is made; null once it arrived or was given up.
    pub next_at: Option<String>,
    /// The status that the last was answered with.
    pub status: Option<i64>,
    /// Why the last failed.
    pub error: Option<String>,
}

impl From<&retort_service::DeliveryState> for Delivery {
    fn from(state: &retort_service::DeliveryState) -> Self {
        Self {
            notice: state.notice,
            attempts: state.attempts,
            next_at: moment(state.next_at),
            status: state.status,
            error: state.error.clone(),
        }
    }
}

/// The latest notices to a webhook.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Deliveries {
    /// The notices.
    pub deliveries: Vec<Delivery>,
}

/// An export that ended.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Notice {
    /// Its number.
    pub id: i64,
    /// The export's number.
    pub job: i64,
    /// The dataset's name.
    pub name: String,
    /// How it ended.
    #[schema(value_type = words::JobState)]
    pub state: String,
    /// The number of the dataset.
    pub dataset: Option<i64>,
    /// When.
    pub at: Option<String>,
    /// Name of the schedule that asked for it.
    #[serde(default)]
    pub schedule: Option<String>,
    /// Why that schedule was disabled.
    #[serde(default)]
    pub schedule_disabled: Option<String>,
}

impl From<&retort_service::Notice> for Notice {
    fn from(notice: &retort_service::Notice) -> Self {
        Self {
            id: notice.id,
            job: notice.job,
            name: notice.name.clone(),
            state: notice.state.to_string(),
            dataset: notice.dataset,
            at: moment(notice.at),
            schedule: notice.schedule.clone(),
            schedule_disabled: notice.disabled.clone(),
        }
    }
}

/// Exports that ended, oldest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Notices {
    /// The notices.
    pub notices: Vec<Notice>,
}
