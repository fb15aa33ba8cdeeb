//! `prompt-completion`: `prompt` and `completion` as lists of messages, as TRL trains on the completion alone.

use retort_json::Value;
use retort_model::{Item, ItemKind, Purpose};

use super::chat_messages::{Spoken, speak};
use super::chat_row::ChatRow;
use super::format::{DataFormat, Outcome, ShapeContext, ShapeOptions};
use super::record::shape_records;
use super::schema::{Field, Schema, Sink, Type};
use super::turns::Unlearnt;

/// The format.
pub(super) struct PromptCompletion;

const MESSAGES: Type = Type::List(&Type::Struct(&[
    Field::required("role", Type::Word),
    Field::required("content", Type::Text),
    Field::optional(
        "tool_calls",
        Type::List(&Type::Struct(&[
            Field::required("id", Type::Text),
            Field::required("type", Type::Word),
            Field::required(
                "function",
                Type::Struct(&[
                    Field::required("name", Type::Word),
                    Field::required("arguments", Type::Object),
                ]),
            ),
        ])),
    ),
    Field::optional("tool_call_id", Type::Text),
]));

static SCHEMA: Schema = Schema::of(&[
    Field::required("prompt", MESSAGES),
    Field::required("completion", MESSAGES),
    Field::nullable("tools", Type::Json),
]);

impl DataFormat for PromptCompletion {
    fn name(&self) -> &'static str {
        "prompt-completion"
    }

    fn about(&self) -> &'static str {
        "`prompt` and `completion` as lists of messages, for TRL; trains on the last answer only"
    }

    fn schema(&self, _options: &ShapeOptions, _flat: bool) -> Schema {
        SCHEMA.clone()
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

    fn chat(&self, row: &Value<'_>) -> Option<ChatRow> {
        let lists = [(row.get("prompt")?, false), (row.get("completion")?, true)];
        ChatRow::spoken(&lists, row.get("tools"))
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
        let outcome = shape_records(item, context.options.tasks, |_, draft| {
            let speech = speak(draft, Unlearnt::Context, context, &mut renamed_tools)?;
            let last = speech.messages.iter().rposition(|message| message.role == "assistant");
            let (prompt, completion) =
                speech.messages.split_at(last.unwrap_or(speech.messages.len()));
            out.begin_row();
            write(prompt, out);
            write(completion, out);
            if speech.tools.is_empty() {
                out.absent();
            } else {
                out.json(&speech.tools);
            }
            out.end_row();
            Ok(speech.notes)
        });
        Outcome { renamed_tools, ..outcome }
    }
}

fn write(messages: &[Spoken<'_>], out: &mut dyn Sink) {
    out.open_list();
    for message in messages {
        out.open_struct();
        out.str(&message.role);
        out.text(&message.content);
        if message.calls.is_empty() {
            out.absent();
        } else {
            out.open_list();
            for call in &message.calls {
                out.open_struct();
                out.str(&call.id);
                out.str("function");
                out.open_struct();
                out.str(&call.name);
                out.json(&call.arguments);
                out.close_struct();
                out.close_struct();
            }
            out.close_list();
        }
        match &message.answers {
            Some(id) => out.str(id),
            None => out.absent(),
        }
        out.close_struct();
    }
    out.close_list();
}
