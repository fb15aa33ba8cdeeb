//! Datasets, and their records.

use retort_service::Without;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::fields::moment;
use crate::problem::Problem;

/// A dataset.
#[derive(Clone, Debug, Serialize, Deserialize, ToSchema)]
pub struct Dataset {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// The purpose that it was exported for.
    pub purpose: String,
    /// The node that it belongs to.
    pub node: Option<String>,
    /// The shape of its records.
    pub data_format: String,
    /// The kind of its files.
    pub file_format: String,
    /// How many records.
    pub records: u64,
    /// Bytes of all its files.
    pub bytes: u64,
    /// Who created it.
    pub creator: String,
    /// When it was created, RFC 3339.
    pub created_at: Option<String>,
    /// The job that made it.
    pub job: i64,
}

impl From<&retort_service::Dataset> for Dataset {
    fn from(dataset: &retort_service::Dataset) -> Self {
        Self {
            id: dataset.id,
            name: dataset.name.clone(),
            purpose: dataset.purpose.clone(),
            node: dataset.node.clone(),
            data_format: dataset.data_format.clone(),
            file_format: dataset.file_format.clone(),
            records: dataset.records,
            bytes: dataset.bytes,
            creator: dataset.creator.clone(),
            created_at: moment(dataset.created_at),
            job: dataset.job,
        }
    }
}

/// Datasets, newest first.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Datasets {
    /// The datasets.
    pub datasets: Vec<Dataset>,
    /// The value of `after` for the next page; null on the last page.
    pub next: Option<i64>,
}

/// A new name.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rename {
    /// The name: 1 to 64 characters.
    pub name: String,
}

/// What to leave out when a dataset is exported again: the items with an id, or those of a person. Items that were purged
/// since are always left out.
#[derive(Debug, Default, Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Rebuild {
    /// The items with this id.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub without_id: Option<String>,
    /// What the person of this name owns or imported; for owners of the project.
    #[serde(skip_serializing_if = "Option::is_none", default)]
    pub without_person: Option<String>,
    /// Keep the old dataset, and give the new one another name; otherwise the new one replaces it.
    #[serde(default)]
    pub keep: bool,
}

impl Rebuild {
    /// What is left out.
    ///
    /// # Errors
    /// Both are named.
    pub fn without(&self) -> Result<Without<'_>, Problem> {
        match (&self.without_id, &self.without_person) {
            (None, None) => Ok(Without::Purged),
            (Some(id), None) => Ok(Without::Id(id)),
            (None, Some(name)) => Ok(Without::Person(name)),
            (Some(_), Some(_)) => {
                Err(Problem::bad_request("give either `without_id` or `without_person`, not both"))
            }
        }
    }
}

/// The first records of a dataset.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Records {
    /// The records, each as the dataset has it.
    #[schema(value_type = Vec<Object>)]
    pub records: Vec<Box<serde_json::value::RawValue>>,
}
