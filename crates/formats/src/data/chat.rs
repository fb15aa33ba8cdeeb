//! `chat`: rows of `messages` and `tools` as Hugging Face's chat templates take them, with reasoning in a field of its own
//! and the arguments of calls as objects. TRL, Axolotl and Unsloth train on them, and `apply_chat_template` renders them.

use retort_json::Value;
use retort_model::{Item, ItemKind};

use super::chat_columns::{IMAGES_NOTE, messages, schema, voice, write, write_rest};
use super::chat_messages::shape_speech;
use super::chat_row::ChatRow;
use super::format::{DataFormat, Outcome, ShapeContext, ShapeOptions};
use super::schema::{Field, Schema, Sink, Type};
use super::turns::Unlearnt;

/// The format.
pub(super) struct Chat;

impl DataFormat for Chat {
    fn name(&self) -> &'static str {
        "chat"
    }

    fn about(&self) -> &'static str {
        "Hugging Face chat rows with reasoning, tool calls and tools, for TRL, Axolotl and chat templates"
    }

    fn schema(&self, options: &ShapeOptions, _flat: bool) -> Schema {
        let messages = messages(options);
        let fields = [Field::required("messages", messages), Field::nullable("tools", Type::Json)];
        schema(&fields, options)
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

    fn chats(&self, row: &Value<'_>) -> Option<Vec<ChatRow>> {
        Some(vec![ChatRow::of_messages(&[(row.get("messages")?, true)], row.get("tools"))?])
    }

    fn card_notes(&self, options: &ShapeOptions, _flat: bool) -> String {
        let mut notes = String::from(
            "Each row holds `messages` and `tools` (null if there are none) as Hugging Face's chat templates read \
         them: the arguments of calls are objects, and reasoning is in a field of its own. There is no mark for a \
         single answer, so conversations with an answer that must not be trained on are left out; `prompt-completion` \
         with `--rows per-answer` keeps them. Most templates render only the reasoning of the last answer. `ids.txt` \
         names the item of each record, one per line; `extra.jsonl` has what a row cannot hold.",
        );
        if self.writes_files(options) {
            notes.push_str(IMAGES_NOTE);
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
        shape_speech(item, voice(Unlearnt::Refused), context, out, |_, speech, out| {
            write(&speech.messages, options, out);
            write_rest(speech, options, out);
        })
    }
}
