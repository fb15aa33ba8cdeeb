//! `openai`: chat messages with `tool_calls`, as OpenAI, Mistral, Together, TRL, Axolotl and ms-swift read them.
//! A row holds `messages` and, where there are any, `tools`, and nothing else.

use retort_json::Value;
use retort_model::{Item, ItemKind, Purpose};

use super::chat_messages::{Spoken, Voice, speak};
use super::chat_row::ChatRow;
use super::format::{DataFormat, Outcome, ShapeContext, ShapeOptions};
use super::record::shape_records;
use super::schema::{Field, Schema, Sink, Type};
use super::turns::Unlearnt;

/// The format.
pub(super) struct OpenAi;

static SCHEMA: Schema = Schema::of(&[
    Field::required(
        "messages",
        Type::List(&Type::Struct(&[
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
                            Field::required("arguments", Type::Text),
                        ]),
                    ),
                ])),
            ),
            Field::optional("tool_call_id", Type::Text),
            Field::optional("weight", Type::Int),
        ])),
    ),
    Field::optional("tools", Type::Json),
]);

const VOICE: Voice = Voice { unlearnt: Unlearnt::Marked, has_reasoning: false };

impl DataFormat for OpenAi {
    fn name(&self) -> &'static str {
        "openai"
    }

    fn about(&self) -> &'static str {
        "OpenAI chat format, for fine-tuning or moving to another tool"
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

    fn chats(&self, row: &Value<'_>) -> Option<Vec<ChatRow>> {
        Some(vec![ChatRow::spoken(&[(row.get("messages")?, true)], row.get("tools"))?])
    }

    fn card_notes(&self, _options: &ShapeOptions, _flat: bool) -> String {
        "Each row holds `messages` and, where there are any, `tools`, and nothing else. `ids.txt` names the conversation \
         of each record, a line each; `extra.jsonl` keeps what a row may not hold, such as reasoning. `weight` 0 marks \
         answers that are context only; leave them out of the loss where a trainer does not know it."
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
            let speech = speak(draft, VOICE, context, &mut renamed_tools)?;
            out.begin_row();
            out.open_list();
            for message in &speech.messages {
                write(message, out);
            }
            out.close_list();
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

fn write(message: &Spoken<'_>, out: &mut dyn Sink) {
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
            out.str(&call.arguments);
            out.close_struct();
            out.close_struct();
        }
        out.close_list();
    }
    match &message.answers {
        Some(id) => out.str(id),
        None => out.absent(),
    }
    match message.is_learnt {
        Some(is_learnt) => out.int(is_learnt.into()),
        None => out.absent(),
    }
    out.close_struct();
}
