//! Saved views.

use retort_model::ConversationFilter;
use retort_service::ListOrder;
use serde::{Deserialize, Serialize};
use utoipa::ToSchema;

use super::filter;
use super::words::ConversationOrder;

/// Saved views, by name.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct Views {
    /// The caller's, and those that others share.
    pub views: Vec<View>,
}

/// A filter of conversations under a name.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct View {
    /// Its number.
    pub id: i64,
    /// Its name.
    pub name: String,
    /// Who created it.
    pub creator: String,
    /// Whether it is shared with the project.
    pub shared: bool,
    /// What it shows.
    #[schema(value_type = filter::Conversations)]
    pub filter: ConversationFilter,
    /// How its list is sorted, if that was set.
    #[serde(default)]
    #[schema(value_type = Option<ConversationOrder>)]
    pub sort: Option<String>,
    /// The columns that the list on the pages has besides the title, if they were set.
    #[serde(default)]
    pub columns: Option<Vec<String>>,
}

impl From<retort_service::View> for View {
    fn from(view: retort_service::View) -> Self {
        let retort_service::View { id, name, creator, shown, is_shared, .. } = view;
        let retort_service::Shown { filter, order, columns } = shown;
        let sort = order.map(|order| order.as_str().to_owned());
        Self { id, name, creator, shared: is_shared, filter, sort, columns }
    }
}

/// A filter to save under a name.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct NewView {
    /// Its name.
    pub name: String,
    /// What it shows.
    #[serde(default)]
    #[schema(value_type = filter::Conversations)]
    pub filter: ConversationFilter,
    /// Whether it is shared with the project.
    #[serde(default)]
    pub shared: bool,
    /// How its list is sorted. Default: newest first.
    #[serde(default)]
    #[schema(value_type = Option<ConversationOrder>)]
    pub sort: Option<String>,
    /// The columns that the list on the pages has besides the title. Default: the usual ones.
    #[serde(default)]
    pub columns: Option<Vec<String>>,
}

/// The number of a view that was saved.
#[derive(Debug, Serialize, Deserialize, ToSchema)]
pub struct SavedView {
    /// Its number.
    pub id: i64,
}
