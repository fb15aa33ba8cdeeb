//! `openai`: chat messages with `tool_calls`, as OpenAI, Mistral, Together, TRL, Axolotl and ms-swift read them.
//! A row holds `messages` and, where there are any, `tools`, and nothing else.

use retort_json::Value;
use retort_model::{Item, ItemKind};

use super::carried::ShownAs;
use super::chat_columns::{WEIGHTED, WEIGHTED_WITH_IMAGES, write_tools, write_weighted};
use super::chat_messages::{Voice, shape_speech};
use super::chat_row::ChatRow;
use super::format::{Attachments, DataFormat, Outcome, ShapeContext, ShapeOptions};
use super::schema::{Field, Schema, Sink, Type};
use super::turns::Unlearnt;

/// The format.
pub(super) struct OpenAi;

static SCHEMA: Schema =
    Schema::of(&[Field::required("messages", WEIGHTED), Field::optional("tools", Type::Json)]);

static WITH_IMAGES: Schema = Schema::of(&[
    Field::required("messages", WEIGHTED_WITH_IMAGES),
    Field::optional("tools", Type::Json),
]);

const VOICE: Voice = Voice {
    unlearnt: Unlearnt::Marked,
    may_ask: false,
    has_reasoning: false,
    shown_as: ShownAs::Urls,
};

impl DataFormat for OpenAi {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn about(&self) -> &'static str {
        "OpenAI chat format, for fine-tuning or moving to another tool"
    }

    fn schema(&self, options: &ShapeOptions, _flat: bool) -> Schema {
        match options.attachments {
            Attachments::Keep => WITH_IMAGES.clone(),
            Attachments::LeaveOut | Attachments::Drop => SCHEMA.clone(),
        }
    }

    fn items(&self) -> &'static [ItemKind] {
        &[ItemKind::Conversation, ItemKind::Run]
    }

    fn is_for_training(&self) -> bool {
        true
    }

    fn carries_attachments(&self, _options: &ShapeOptions) -> bool {
        true
    }

    fn writes_files(&self, _options: &ShapeOptions) -> bool {
        // OpenAI takes a file of rows, and nothing beside it.
        false
    }

    fn chats(&self, row: &Value<'_>) -> Option<Vec<ChatRow>> {
        Some(vec![ChatRow::of_messages(&[(row.get("messages")?, true)], row.get("tools"))?])
    }

    fn card_notes(&self, options: &ShapeOptions, _flat: bool) -> String {
        let mut notes = String::from(
            "Each row has `messages` and, if there are any, `tools`, and nothing else. `ids.txt` names the \
         conversation of each record, one per line; `extra.jsonl` has what a row may not hold, such as reasoning. \
         `weight` 0 marks answers that are context only; if your trainer does not know it, mask these answers.",
        );
        if options.attachments == Attachments::Keep {
            notes.push_str(
                "\n\nThe content of messages is a list of parts; images are in parts `image_url`, as URLs or with \
                 their bytes in a data URL. OpenAI accepts files of up to 50,000 rows with images, and skips images of \
                 people and of CAPTCHAs.",
            );
        }
        notes
    }

    fn shape(
        &self,
        item: &Item<'_>,
        context: &mut ShapeContext<'_>,
        out: &mut dyn Sink,
    ) -> Outcome {
        let options = context.options;
        shape_speech(item, VOICE, context, out, |_, speech, out| {
            write_weighted(&speech.messages, options, out);
            write_tools(&speech.tools, out);
        })
    }
}
