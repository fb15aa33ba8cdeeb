//! What an import did.

use retort_service::package::Finding;
use retort_service::{ImportReport, Taken};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

/// What was imported.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ImportResult {
    /// Items that were read: new + updated + same + older + repeated + foreign + erased + refused.
    pub read: u64,
    /// New conversations.
    pub new: u64,
    /// Items that replaced an earlier state.
    pub updated: u64,
    /// Unchanged items.
    pub same: u64,
    /// Items that the store has in a newer state.
    pub older: u64,
    /// Items whose id occurred earlier in the same request, and that were not newer.
    pub repeated: u64,
    /// Items that belong to someone else, if the caller may only import their own.
    pub foreign: u64,
    /// Items that were left out because they, or everything that belongs to their owner, had been erased.
    #[serde(default)]
    pub erased: u64,
    /// Items that could not be read, or whose id another conversation has.
    pub refused: u64,
    /// Where they are, and what is wrong with them.
    pub refusals: Vec<String>,
    /// Notes on how the items were read, such as `not-understood`.
    #[serde(default)]
    pub warnings: Vec<Found>,
    /// Files of an archive that were not read, by reason.
    #[serde(default)]
    pub passed_over: Vec<Found>,
    /// Whether nothing was changed (dry run).
    #[serde(default)]
    pub dry_run: bool,
    /// The conversations.
    pub conversations: Vec<ImportedItem>,
}

/// How often something was found.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Found {
    /// What was found, or the reason.
    pub kind: String,
    /// How often.
    pub count: u64,
    /// The first items or files.
    pub first: Vec<String>,
}

impl From<Finding> for Found {
    fn from(finding: Finding) -> Self {
        Self { kind: finding.kind, count: finding.count, first: finding.first_ids }
    }
}

/// An imported conversation.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct ImportedItem {
    /// Its id.
    pub id: String,
    /// The import format.
    pub source: String,
    /// `new`, `updated`, `same`, `older`, `repeated`, `foreign`, `erased`, or `conflict` if another conversation has
    /// the id.
    pub outcome: String,
}

impl From<ImportReport> for ImportResult {
    fn from(report: ImportReport) -> Self {
        let outcome = |taken: Taken| match taken {
            Taken::New => "new",
            Taken::Updated => "updated",
            Taken::Same => "same",
            Taken::Older => "older",
            Taken::Repeated => "repeated",
            Taken::Foreign => "foreign",
            Taken::Conflict => "conflict",
            Taken::Erased => "erased",
        };
        Self {
            read: report.read,
            new: report.new,
            updated: report.updated,
            same: report.same,
            older: report.older,
            repeated: report.repeated,
            foreign: report.foreign,
            erased: report.erased,
            refused: report.refused_count(),
            refusals: report.first_refused,
            warnings: report.warnings.into_iter().map(Found::from).collect(),
            passed_over: report.passed_over.into_iter().map(Found::from).collect(),
            dry_run: report.dry_run,
            conversations: report
                .met
                .into_iter()
                .map(|met| ImportedItem {
                    id: met.id,
                    source: met.source,
                    outcome: outcome(met.outcome).into(),
                })
                .collect(),
        }
    }
}
