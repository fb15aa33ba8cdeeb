//! Filters in queries and bodies of the API, made from the tables of their fields.

use std::borrow::Cow;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use retort_model::{
    ConversationFilter, DocumentFilter, Filter, FilterField, FilterValues, RunFilter,
};
use url::form_urlencoded::parse;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::openapi::schema::{
    AdditionalProperties, ArrayBuilder, KnownFormat, ObjectBuilder, Schema, SchemaFormat, Type,
};
use utoipa::openapi::{RefOr, Required};
use utoipa::{IntoParams, PartialSchema, ToSchema};

use crate::api::query;
use crate::app::App;
use crate::problem::Problem;

/// A filter in a query.
pub struct Filtered<F>(pub F);

/// The description of filters of conversations.
pub type Conversations = Filtered<ConversationFilter>;
/// The description of filters of runs.
pub type Runs = Filtered<RunFilter>;
/// The description of filters of documents.
pub type Documents = Filtered<DocumentFilter>;

impl<F: Filter> Filtered<F> {
    /// Parses a query that consists of a filter only.
    ///
    /// # Errors
    /// An unknown field, or a value that a field does not take.
    pub fn read(query: &str) -> Result<F, Problem> {
        let pairs: Vec<_> = parse(query.as_bytes()).collect();
        F::from_pairs(pairs.iter().map(|(name, value)| (&**name, &**value)))
            .map_err(|error| Problem::bad_request(format!("in the query: {error}")))
    }
}

impl<F: Filter> FromRequestParts<App> for Filtered<F> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        query::check_count(&parts.uri)?;
        let [whole] = query::split(parts, |_| 0);
        Self::read(&whole).map(Self)
    }
}

impl<F: Filter> IntoParams for Filtered<F> {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let parameter = |field: &'static FilterField<F>| {
            ParameterBuilder::new()
                .name(field.name)
                .parameter_in(ParameterIn::Query)
                .required(Required::False)
                .description(Some(description(field)))
                .schema(Some(schema_of(field)))
                .build()
        };
        F::conditions().map(parameter).collect()
    }
}

impl<F: Filter> PartialSchema for Filtered<F> {
    fn schema() -> RefOr<Schema> {
        let object = ObjectBuilder::new()
            .description(Some(format!(
                "Selects {}. An item must match every field, and for a field with several values any one of them.",
                F::KIND.plural()
            )))
            .additional_properties(Some(AdditionalProperties::FreeForm(false)));
        let object = F::FIELDS.iter().fold(object, |object, field| {
            let schema = match schema_of(field) {
                Schema::Object(schema) => Schema::Object(
                    ObjectBuilder::from(schema).description(Some(description(field))).build(),
                ),
                Schema::Array(schema) => Schema::Array(
                    ArrayBuilder::from(schema).description(Some(description(field))).build(),
                ),
                other => other,
            };
            object.property(field.name, schema)
        });
        object.into()
    }
}

impl<F: Filter> ToSchema for Filtered<F> {
    fn name() -> Cow<'static, str> {
        F::NAME.into()
    }
}

fn description<F>(field: &FilterField<F>) -> String {
    let about = field.about;
    let several = if field.is_list { "; several values allowed" } else { "" };
    let default = field.default.map(|words| format!(". Default: {words}")).unwrap_or_default();
    format!("{about}{several}{default}.")
}

fn schema_of<F>(field: &FilterField<F>) -> Schema {
    let one = ObjectBuilder::new();
    let one = match field.values {
        FilterValues::Text if field.is_list => one.schema_type(Type::String).min_length(Some(1)),
        FilterValues::Text => one.schema_type(Type::String),
        FilterValues::Words(words) => one.schema_type(Type::String).enum_values(Some(words())),
        FilterValues::Time => one.schema_type(Type::String),
        FilterValues::Range => {
            one.schema_type(Type::String).pattern(Some(r"^\d+$|^\d+\.\.\d*$|^\.\.\d+$"))
        }
        FilterValues::Decimals => {
            let number = r"-?\d+(\.\d{1,6})?";
            let pattern = format!(r"^{number}$|^{number}\.\.({number})?$|^\.\.{number}$");
            one.schema_type(Type::String).pattern(Some(pattern))
        }
        FilterValues::Flag => one.schema_type(Type::Boolean),
        FilterValues::Limit => one
            .schema_type(Type::Integer)
            .format(Some(SchemaFormat::KnownFormat(KnownFormat::Int64)))
            .minimum(Some(0)),
    };
    if field.is_list { ArrayBuilder::new().items(one).into() } else { one.into() }
}
