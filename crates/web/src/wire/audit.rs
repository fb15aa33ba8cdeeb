//! The audit log.

use retort_model::Action;
use retort_service::AuditEntry;
use serde::{Deserialize, Serialize};
use utoipa::{IntoParams, ToSchema};

use super::fields::{moment, time, word};
use crate::problem::Problem;

/// An entry of the audit log.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Audited {
    /// Its number.
    pub id: i64,
    /// When.
    pub at: Option<String>,
    /// Who; null if they were not signed in.
    pub person: Option<String>,
    /// What they did.
    pub action: String,
    /// With what.
    pub object: String,
    /// Whether they were refused.
    pub refused: bool,
    /// The network address that the request came from.
    pub address: Option<String>,
    /// The request's id.
    pub request: Option<String>,
}

impl From<&AuditEntry> for Audited {
    fn from(entry: &AuditEntry) -> Self {
        Self {
            id: entry.id,
            at: moment(entry.at),
            person: entry.person.clone(),
            action: entry.action.to_string(),
            object: entry.object.clone(),
            refused: entry.is_refused,
            address: entry.address.clone(),
            request: entry.request.clone(),
        }
    }
}

/// A page of the audit log, newest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct AuditPage {
    /// The entries.
    pub entries: Vec<Audited>,
    /// The value of `after` for the next page; null on the last page.
    pub next: Option<i64>,
}

/// Which entries of the audit log.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct AuditQuery {
    /// Only this action.
    pub action: Option<String>,
    /// Only this person.
    pub person: Option<String>,
    /// At this date or moment, or later.
    pub from: Option<String>,
    /// Before this date or moment.
    pub before: Option<String>,
    /// Only refused actions.
    pub refused: bool,
    /// After this entry: `next` of the previous page.
    pub after: Option<i64>,
    /// Entries per page: 1 to 1000. Default: 100.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
}

impl AuditQuery {
    /// The service's filter.
    ///
    /// # Errors
    /// There is no such action or moment.
    pub fn filter(&self) -> Result<retort_service::AuditFilter, Problem> {
        Ok(retort_service::AuditFilter {
            action: self.action.as_deref().map(word::<Action>).transpose()?,
            person: self.person.clone(),
            from: time(self.from.as_deref())?,
            before: time(self.before.as_deref())?,
            only_refused: self.refused,
        })
    }
}
