//! An export as it is asked for.

use retort_model::{ConversationFilter, DocumentFilter, ItemFilter, RunFilter};
use retort_service::ExportRequest;
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{AdditionalProperties, ObjectBuilder, Schema, Type};
use utoipa::openapi::{Ref, RefOr};
use utoipa::{PartialSchema, ToSchema};

use super::filter;
use super::options::{self, Options};
use crate::problem::Problem;

/// Whether a filter selects everything.
fn is_unfiltered(filter: &ConversationFilter) -> bool {
    *filter == ConversationFilter::default()
}

/// An export to create.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct Export {
    /// Name of the dataset: 1 to 64 characters.
    pub dataset_name: String,
    /// Which conversations.
    #[serde(default, skip_serializing_if = "is_unfiltered")]
    pub selection: ConversationFilter,
    /// Selects runs instead of conversations.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub runs: Option<RunFilter>,
    /// Selects documents, for owners and admins only.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub documents: Option<DocumentFilter>,
    /// What is made of them.
    #[serde(flatten)]
    pub options: Options,
}

impl PartialSchema for Export {
    /// One object: with the options as another, joined by `allOf`, neither could refuse what it does not know.
    fn schema() -> RefOr<Schema> {
        let name = ObjectBuilder::new()
            .schema_type(Type::String)
            .min_length(Some(1))
            .max_length(Some(64))
            .description(Some("Name of the dataset"));
        let object = ObjectBuilder::new()
            .description(Some(
                "An export of conversations, runs or documents. An option that is left out has its default.",
            ))
            .property("dataset_name", name)
            .required("dataset_name")
            .property("selection", Ref::from_schema_name(filter::Conversations::name()))
            .property("runs", Ref::from_schema_name(filter::Runs::name()))
            .property("documents", Ref::from_schema_name(filter::Documents::name()))
            .additional_properties(Some(AdditionalProperties::FreeForm(false)));
        options::with_options(object).into()
    }
}

impl ToSchema for Export {
    fn schemas(schemas: &mut Vec<(String, RefOr<Schema>)>) {
        schemas.extend([
            (filter::Conversations::name().into(), filter::Conversations::schema()),
            (filter::Runs::name().into(), filter::Runs::schema()),
            (filter::Documents::name().into(), filter::Documents::schema()),
        ]);
    }
}

impl Export {
    /// What is asked of the service.
    ///
    /// # Errors
    /// Names and words that there are not; conversations and runs at once.
    pub fn request(self) -> Result<ExportRequest, Problem> {
        let is_of_conversations = !is_unfiltered(&self.selection);
        let selection: ItemFilter = match (self.runs, self.documents) {
            (Some(runs), None) if !is_of_conversations => runs.into(),
            (None, Some(documents)) if !is_of_conversations => documents.into(),
            (None, None) => self.selection.into(),
            _ => {
                return Err(Problem::bad_request(
                    "an export selects one kind of item: conversations (`selection`), runs (`runs`) or documents \
                     (`documents`)",
                ));
            }
        };
        let dataset = self.options.plan(&self.dataset_name, selection.kind())?;
        Ok(ExportRequest { selection, dataset })
    }
}
