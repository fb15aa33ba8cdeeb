//! The options of an export, as the API takes them: from the engine's table.

use retort_model::ItemKind;
use retort_service::{DatasetPlan, ExportOption, ExportOptions, OPTIONS, Values};
use serde::{Deserialize, Serialize};
use utoipa::openapi::schema::{Object, ObjectBuilder, Type};

use crate::problem::Problem;

/// What is made of conversations, runs or documents: values of the options that exports have.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Options(pub ExportOptions);

impl Options {
    /// A project's complete history, with retrieved passages; JSON Lines by default.
    ///
    /// # Errors
    /// A kind of file that there is not.
    pub fn history(file_format: Option<&str>) -> Result<Self, Problem> {
        let options = ExportOptions::default()
            .with("data_format", "history")
            .and_then(|options| options.with("file_name", "conversation_history"))
            .and_then(|options| options.with("file_format", file_format.unwrap_or("jsonl")));
        options.map(Self).map_err(Problem::bad_request)
    }

    /// The plan of it, for items of a kind.
    ///
    /// # Errors
    /// Names and words that there are not; no format is for the purpose.
    pub fn plan(&self, dataset_name: &str, kind: ItemKind) -> Result<DatasetPlan, Problem> {
        let name =
            dataset_name.parse().map_err(|error| Problem::bad_request(format!("{error}")))?;
        self.0.resolve(name, Some(kind)).map_err(Problem::bad_request)
    }
}

/// The object with a property for each option.
pub(super) fn with_options(object: ObjectBuilder) -> ObjectBuilder {
    OPTIONS.iter().fold(object, |object, option| object.property(option.name, schema_of(option)))
}

/// What the description says of an option.
fn schema_of(option: &ExportOption) -> Object {
    let mut about = option.about.to_owned();
    let schema = ObjectBuilder::new().default(option.default());
    let schema = match option.values {
        Values::Flag => schema.schema_type(Type::Boolean),
        Values::Number(most) => {
            schema.schema_type(Type::Integer).minimum(Some(0)).maximum(Some(most))
        }
        Values::Text | Values::FileText | Values::File => schema.schema_type(Type::String),
        Values::Words(words) => {
            let words = words();
            let meanings: Vec<_> =
                words.iter().map(|word| format!("`{}`: {}", word.name, word.about)).collect();
            about = format!("{about} ({})", meanings.join("; "));
            let names = words.iter().map(|word| word.name);
            schema.schema_type(Type::String).enum_values(Some(names))
        }
    };
    let about = format!("{about}. Default: {}.", option.default_words());
    schema.description(Some(about)).build()
}
