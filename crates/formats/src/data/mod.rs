//! Data formats: items to the rows of a dataset. One file a format; [`FORMATS`] is the list of them.

mod arguments;
mod attachments;
mod carried;
mod chat_columns;
mod chat_messages;
mod chat_row;
mod execution;
mod extra;
mod format;
mod given;
mod joined;
mod json_schema;
mod keys;
mod object;
mod open_calls;
mod record;
mod record_file;
mod reference;
mod repairs;
mod schema;
mod sessions;
mod siblings;
mod tools;
mod turn;
mod turns;
mod variables;

use retort_model::{ItemKind, Purpose};

use crate::list::formats;

pub(crate) use attachments::sent_fields;
pub use chat_row::{ChatMessage, ChatRow};
pub use documents::vector_json;
pub(crate) use documents::write_vector;
pub use format::{
    Attachments, Branches, CallText, DataFormat, Embeddings, Evaluator, Layout, Noted, Outcome,
    PairsBy, ReasoningAs, ReasoningField, RecordLeftOut, RecordNotes, RowsPer, ShapeContext,
    ShapeOptions, ToolsAs, ToolsOf, TrainerColumns,
};
pub use given::{GivenFile, GivenFiles, Open};
pub use json_schema::json_schema;
pub use record_file::{FileContent, RecordFile};
pub use schema::{Column, Field, Schema, Sink, Type};
pub use tools::ToolCache;

formats! {
    /// All data formats.
    FORMATS: DataFormat;
    standard::Standard,
    openai::OpenAi,
    chat::Chat,
    prompt_completion::PromptCompletion,
    preference::Preference,
    kto::Kto,
    prompt_only::PromptOnly,
    alpaca::Alpaca,
    ms_swift::MsSwift,
    history::History,
    runs::Runs,
    recipe_evaluation::RecipeEvaluation,
    evaluation::Evaluation,
    node_evaluation::NodeEvaluation,
    node_optimization::NodeOptimization,
    documents::Documents,
    chunks::Chunks,
    atif::Atif,
    sts::Sts,
    markdown::Markdown,
    otlp::Otlp,
    retort::Retort,
}

/// The format of that name.
pub fn by_name(name: &str) -> Option<&'static dyn DataFormat> {
    FORMATS.iter().copied().find(|format| format.name() == name)
}

/// The format that an export of such items takes for such a purpose, if none is named.
pub fn usual(purpose: Purpose, kind: ItemKind) -> Option<&'static dyn DataFormat> {
    let fit = || {
        let fits = |one: &&dyn DataFormat| {
            one.purposes().contains(&purpose) && one.items().contains(&kind)
        };
        FORMATS.iter().copied().filter(fits)
    };
    let is_meant_for = |one: &&dyn DataFormat| {
        one.purposes().first() == Some(&purpose) && one.items().first() == Some(&kind)
    };
    fit().find(is_meant_for).or_else(|| fit().next())
}

/// The same, of the formats that go into a file format; the usual one if none does.
pub fn usual_in(purpose: Purpose, kind: ItemKind, file: &str) -> Option<&'static dyn DataFormat> {
    let usual = usual(purpose, kind)?;
    if usual.file_formats().contains(&file) {
        return Some(usual);
    }
    let fits = |one: &&dyn DataFormat| {
        one.purposes().contains(&purpose)
            && one.items().contains(&kind)
            && one.file_formats().contains(&file)
    };
    FORMATS.iter().copied().find(fits).or(Some(usual))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_purpose_that_a_format_is_made_for_has_a_usual_one() {
        for format in FORMATS {
            assert!(!format.purposes().is_empty(), "{}", format.name());
            for (purpose, kind) in format
                .purposes()
                .iter()
                .flat_map(|purpose| format.items().iter().map(move |kind| (*purpose, *kind)))
            {
                let usual = usual(purpose, kind).unwrap();
                assert!(usual.purposes().contains(&purpose) && usual.items().contains(&kind));
            }
        }
        let name = |purpose| usual(purpose, ItemKind::Conversation).unwrap().name();
        assert_eq!(name(Purpose::ExportDataset), "standard");
        assert_eq!(name(Purpose::FineTuning), "standard");
    }
}
