//! Erasures of everything of a person.

use retort_service::{AffectedDataset, ErasedFrom, Error, StoredErasure};
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fields::moment;

/// Whose items are meant.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct ErasurePerson {
    /// Their name or e-mail address, as their items have it.
    pub person: String,
}

/// What belongs to a person in the project.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ErasurePreview {
    /// Conversations that they own, or that they imported and that name no owner.
    pub conversations: u64,
    /// Runs, likewise.
    pub runs: u64,
    /// Documents that they imported.
    pub documents: u64,
    /// Public links to these conversations.
    pub links: u64,
    /// Conversations of others that they judged, or in which they corrected an answer.
    pub judged_conversations: u64,
    /// Runs of others that they judged, or whose answer they corrected.
    pub judged_runs: u64,
    /// Everyone's datasets that were made from at least one of these items.
    pub datasets: Vec<AffectedDatasetPreview>,
}

/// A dataset that was made from items of the person.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct AffectedDatasetPreview {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Who created it.
    pub creator: String,
    /// `rebuild`, or `delete` if nothing would be left in it.
    pub action: String,
    /// All items from which it was made.
    pub items: u64,
    /// Items of the person, and items that were purged since.
    pub items_erased: u64,
}

impl From<&retort_service::Erasure> for ErasurePreview {
    fn from(found: &retort_service::Erasure) -> Self {
        Self {
            conversations: found.conversations,
            runs: found.runs,
            documents: found.documents,
            links: found.links,
            judged_conversations: found.judged,
            judged_runs: found.judged_runs,
            datasets: found.datasets.iter().map(AffectedDatasetPreview::from).collect(),
        }
    }
}

impl From<&AffectedDataset> for AffectedDatasetPreview {
    fn from(one: &AffectedDataset) -> Self {
        Self {
            id: one.dataset.id,
            name: one.dataset.name.clone(),
            creator: one.dataset.creator.clone(),
            action: if one.is_emptied() { "delete" } else { "rebuild" }.into(),
            items: one.selected,
            items_erased: one.leaving,
        }
    }
}

/// An erasure of everything that belongs to a person, who is not named.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Erasure {
    /// Its number.
    pub id: i64,
    /// `running` until the datasets are rebuilt, then `completed`.
    pub state: String,
    /// Why it is not completed.
    pub error: Option<String>,
    /// Who created it.
    pub creator: String,
    /// When it began.
    pub created_at: Option<String>,
    /// When it was completed.
    pub finished_at: Option<String>,
    /// Conversations that were erased.
    pub conversations: u64,
    /// Runs.
    pub runs: u64,
    /// Documents.
    pub documents: u64,
    /// Public links.
    pub links: u64,
    /// Conversations of others from which the person's judgements or corrections were removed.
    pub judged_conversations: u64,
    /// Runs of others from which a judgement or corrected answer of the person was removed.
    pub judged_runs: u64,
    /// Datasets that were deleted or rebuilt.
    pub datasets: Vec<ErasedDataset>,
    /// The signed receipt, once it is completed: a DSSE envelope as JSON text.
    pub receipt: Option<String>,
}

/// A dataset that was made from items of the person.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct ErasedDataset {
    /// Its number.
    pub id: i64,
    /// `rebuild` or `delete`.
    pub action: String,
    /// All items from which it was made.
    pub items: u64,
    /// Items that were left out.
    pub items_erased: u64,
    /// The export that rebuilds it.
    pub job: Option<i64>,
    /// The number of the dataset that replaced it.
    pub rebuilt_as: Option<i64>,
}

impl From<&ErasedFrom> for ErasedDataset {
    fn from(one: &ErasedFrom) -> Self {
        Self {
            id: one.dataset,
            action: if one.job.is_some() { "rebuild" } else { "delete" }.into(),
            items: one.items,
            items_erased: one.erased,
            job: one.job,
            rebuilt_as: one.rebuilt_as,
        }
    }
}

impl TryFrom<&StoredErasure> for Erasure {
    type Error = Error;

    fn try_from(erasure: &StoredErasure) -> Result<Self, Error> {
        let detail = retort_service::ErasureDetail::of(erasure)?;
        Ok(Self {
            id: erasure.id,
            state: erasure.state.to_string(),
            error: erasure.error.clone(),
            creator: erasure.creator.clone(),
            created_at: moment(erasure.created_at),
            finished_at: moment(erasure.finished_at),
            conversations: detail.conversations,
            runs: detail.runs,
            documents: detail.documents,
            links: detail.links,
            judged_conversations: detail.judged,
            judged_runs: detail.judged_runs,
            datasets: detail.datasets.iter().map(ErasedDataset::from).collect(),
            receipt: erasure.receipt.clone(),
        })
    }
}

/// A page of erasures, newest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Erasures {
    /// The erasures.
    pub erasures: Vec<Erasure>,
    /// The number for `after` to get the next page, if there is one.
    pub next: Option<i64>,
    /// The public key that verifies the receipts, as the text of a PEM file.
    pub public_key: String,
}
