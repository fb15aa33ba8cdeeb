//! `prompt-completion`: `prompt` and `completion` as lists of messages, as TRL trains on the completion alone.

use retort_json::Value;
use retort_model::{Item, ItemKind, Purpose};

use super::chat_columns::{chat_schema, voice, write, write_tools};
use super::chat_messages::speak;
use super::chat_row::ChatRow;
use super::format::{DataFormat, Outcome, ShapeContext, ShapeOptions};
use super::record::shape_records;
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
        chat_schema!(options, |MESSAGES| [
            Field::required("prompt", MESSAGES),
            Field::required("completion", MESSAGES),
            Field::nullable("tools", Type::Json),
        ])
    }

    fn items(&self) -> &'static [ItemKind] {
        &[ItemKind::Conversation, ItemKind::Run]
    }

    fn purposes(&self) -> &'static [Purpose] {
        &[Purpose::ExportDataset, Purpose::FineTuning]
    }

    fn is_for_training(&self) -> bool {
        true
    }

    fn has_ids_apart(&self) -> bool {
        true
    }

    fn chats(&self, row: &Value<'_>) -> Option<Vec<ChatRow>> {
        let lists = [(row.get("prompt")?, false), (row.get("completion")?, true)];
        Some(vec![ChatRow::spoken(&lists, row.get("tools"))?])
    }

    fn card_notes(&self, _options: &ShapeOptions, _flat: bool) -> String {
        "Each row holds `prompt`, `completion` and `tools` (null where there are none) as TRL reads them. The arguments of \
         calls are objects in JSON Lines, and in Parquet JSON that `datasets` 4.7 and later, which TRL needs, gives as \
         objects. `ids.txt` names the item of each record, a line each; `extra.jsonl` keeps what a row does not hold."
            .into()
    }

    fn shape(
        &self,
        item: &Item<'_>,
        context: &mut ShapeContext<'_>,
        out: &mut dyn Sink,
    ) -> Outcome {
        let mut renamed_tools = Vec::new();
        let outcome = shape_records(item, context.options, |_, draft| {
            let speech = speak(draft, voice(Unlearnt::Context), context, &mut renamed_tools)?;
            let last = speech.messages.iter().rposition(|message| message.role == "assistant");
            let (prompt, completion) =
                speech.messages.split_at(last.unwrap_or(speech.messages.len()));
            out.begin_row();
            write(prompt, context.options, out);
            write(completion, context.options, out);
            write_tools(&speech.tools, out);
            out.end_row();
            Ok(speech.notes)
        });
        Outcome { renamed_tools, ..outcome }
    }
}
