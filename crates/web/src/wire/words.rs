//! Closed sets of words in the description, so that generated clients know them. The fields themselves are text, and are
//! read by `word`.

use retort_service::ListOrder as _;
use utoipa::openapi::RefOr;
use utoipa::openapi::schema::{ObjectBuilder, Schema, Type};
use utoipa::{PartialSchema, ToSchema};

macro_rules! words {
    ($($(#[$about:meta])* $name:ident = $type:ty;)+) => {
        $(
            $(#[$about])*
            pub struct $name;

            impl PartialSchema for $name {
                fn schema() -> RefOr<Schema> {
                    let words = <$type>::ALL.iter().map(|word| word.as_str());
                    ObjectBuilder::new().schema_type(Type::String).enum_values(Some(words)).into()
                }
            }

            impl ToSchema for $name {}
        )+
    };
}

words! {
    /// The type of a conversation.
    ConversationType = retort_model::Kind;
    /// The status of a conversation.
    ConversationStatus = retort_model::Status;
    /// How a list of conversations is sorted.
    ConversationOrder = retort_service::Order;
    /// How a list of runs is sorted.
    RunOrder = retort_service::RunOrder;
    /// How a list of documents is sorted.
    DocumentOrder = retort_service::DocumentOrder;
    /// What a job does.
    JobKind = retort_model::JobKind;
    /// How far a job is.
    JobState = retort_model::JobState;
    /// What an item is.
    ItemKind = retort_model::ItemKind;
    /// What a token may be used for.
    Scope = retort_model::Grant;
    /// What a person is in a project.
    ProjectRole = retort_model::ProjectRole;
    /// How a run ended.
    RunStatus = retort_model::RunStatus;
    /// What a node of a run does.
    NodeKind = retort_model::NodeKind;
    /// Whether a schedule runs.
    ScheduleState = retort_model::ScheduleState;
    /// What a run of a schedule exports.
    ScheduleWindow = retort_model::WindowKind;
}
