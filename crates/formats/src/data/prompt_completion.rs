//! `prompt-completion`: `prompt` and `completion` as lists of messages, as TRL trains on the completion alone.

use retort_json::Value;
use retort_model::{Item, ItemKind};

use super::chat_columns::{IMAGES_NOTE, messages, schema, voice, write, write_rest};
use super::chat_messages::shape_speech;
use super::chat_row::ChatRow;
use super::format::{DataFormat, Outcome, ShapeContext, ShapeOptions};
use super::schema::{Field, Schema, Sink, Type};
use super::turns::Unlearnt;

/// The format.
pub(super) struct PromptCompletion;

impl DataFormat for PromptCompletion {
    fn name(&self) -> &'static str {
        "prompt-completion"
    }

    fn about(&self) -> &'static str {
        "`prompt` and `completion` as lists of messages, for TRL; trains on the last answer only"
    }

    fn schema(&self, options: &ShapeOptions, _flat: bool) -> Schema {
        let messages = messages(options);
        let fields = [
            Field::required("prompt", messages),
            Field::required("completion", messages),
            Field::nullable("tools", Type::Json),
        ];
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
        let lists = [(row.get("prompt")?, false), (row.get("completion")?, true)];
        Some(vec![ChatRow::of_messages(&lists, row.get("tools"))?])
    }

    fn card_notes(&self, options: &ShapeOptions, _flat: bool) -> String {
        let mut notes = String::from(
            "Each row has `prompt`, `completion` and `tools` (null if there are none) as TRL reads them. The arguments \
         of calls are objects in JSON Lines; in Parquet they are JSON, which `datasets` 4.7 and later (TRL needs it) \
         returns as objects. `ids.txt` names the item of each record, one per line; `extra.jsonl` has what a row \
         cannot hold.",
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
        shape_speech(item, voice(Unlearnt::Context), context, out, |_, speech, out| {
            let (prompt, completion) = speech.split_at_answer();
            write(prompt, options, out);
            write(completion, options, out);
            write_rest(speech, options, out);
        })
    }
}
