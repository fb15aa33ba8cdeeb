//! `alpaca`: `instruction`, `input`, `output`, `system` and `history`, text alone, as Stanford's Alpaca had them and as
//! LLaMA-Factory and many scripts read them.

use retort_json::{Text, Value};
use retort_model::{Check, Item, ItemKind, LeftOut, Reason};

use super::carried::ShownAs;
use super::chat_messages::{ChatMessageText, Voice, speak};
use super::chat_row::ChatRow;
use super::format::{DataFormat, Outcome, ShapeContext, ShapeOptions, TrainerColumns};
use super::record::shape_records;
use super::schema::{Field, Schema, Sink, Type};
use super::turns::Unlearnt;

/// The format.
pub(super) struct Alpaca;

static SCHEMA: Schema = Schema::of(&[
    Field::required("instruction", Type::Text),
    Field::required("input", Type::Text),
    Field::required("output", Type::Text),
    Field::required("system", Type::Text),
    Field::required("history", Type::List(&Type::List(&Type::Text))),
]);

impl DataFormat for Alpaca {
    fn name(&self) -> &'static str {
        "alpaca"
    }

    fn about(&self) -> &'static str {
        "`instruction`, `output`, `system` and `history` as text, for LLaMA-Factory; no tool calls"
    }

    fn schema(&self, _options: &ShapeOptions, _flat: bool) -> Schema {
        SCHEMA.clone()
    }

    fn file_formats(&self) -> &'static [&'static str] {
        &["jsonl", "parquet"]
    }

    fn items(&self) -> &'static [ItemKind] {
        &[ItemKind::Conversation, ItemKind::Run]
    }

    fn is_for_training(&self) -> bool {
        true
    }

    fn trainer_columns(&self, _options: &ShapeOptions, _flat: bool) -> Option<TrainerColumns> {
        Some(TrainerColumns {
            formatting: "alpaca",
            ranking: false,
            columns: &[
                ("prompt", "instruction"),
                ("query", "input"),
                ("response", "output"),
                ("system", "system"),
                ("history", "history"),
            ],
            tags: &[],
        })
    }

    fn chats(&self, row: &Value<'_>) -> Option<Vec<ChatRow>> {
        let mut messages = Vec::new();
        let mut say = |role: &'static str, content: Option<&Value<'_>>| {
            let content = content.and_then(Value::as_str).unwrap_or_default().to_owned();
            if role != "system" || !content.is_empty() {
                messages.push(Value::Object(vec![
                    ("role".into(), Value::String(role.into())),
                    ("content".into(), Value::String(content.into())),
                ]));
            }
        };
        say("system", row.get("system"));
        if let Some(Value::Array(pairs)) = row.get("history") {
            for pair in pairs {
                let Value::Array(texts) = pair else { return None };
                say("user", texts.first());
                say("assistant", texts.get(1));
            }
        }
        say("user", row.get("instruction"));
        say("assistant", row.get("output"));
        Some(vec![ChatRow::of_messages(&[(&Value::Array(messages), true)], None)?])
    }

    fn card_notes(&self, _options: &ShapeOptions, _flat: bool) -> String {
        "LLaMA-Factory reads the folder through `dataset_info.json`. `history` has the questions and answers before \
         `instruction`, in pairs; `input` is always empty. `ids.txt` names the item of each record, one per line; \
         `extra.jsonl` has what a row cannot hold."
            .into()
    }

    fn shape(
        &self,
        item: &Item<'_>,
        context: &mut ShapeContext<'_>,
        out: &mut dyn Sink,
    ) -> Outcome {
        shape_records(item, context.options, |_, draft| {
            // With a row for each answer, the trainer masks the history.
            let unlearnt =
                if draft.answer_at.is_some() { Unlearnt::Context } else { Unlearnt::Refused };
            let voice = Voice {
                unlearnt,
                may_ask: false,
                has_reasoning: false,
                shown_as: ShownAs::Nothing,
            };
            let speech = speak(draft, voice, context, &mut Vec::new())?;
            let has_tools =
                |message: &ChatMessageText<'_>| !message.calls.is_empty() || message.role == "tool";
            if speech.messages.iter().any(has_tools) && context.options.check != Check::Off {
                return Err(LeftOut::new(Reason::CallsTools, "the conversation calls tools"));
            }
            write(&speech.messages, out);
            Ok(speech.notes)
        })
    }
}

fn write(messages: &[ChatMessageText<'_>], out: &mut dyn Sink) {
    let empty = Text::default();
    let mut system = &empty;
    let mut pairs: Vec<[&Text<'_>; 2]> = Vec::new();
    let mut question = None;
    for message in messages {
        match &*message.role {
            "system" => system = &message.content,
            "assistant" => pairs.push([question.take().unwrap_or(&empty), &message.content]),
            _ => question = Some(&message.content),
        }
    }
    let [instruction, output] = match question {
        Some(question) => [question, &empty],
        None => pairs.pop().unwrap_or([&empty, &empty]),
    };
    out.begin_row();
    out.text(instruction);
    out.str("");
    out.text(output);
    out.text(system);
    out.open_list();
    for pair in pairs {
        out.open_list();
        pair.into_iter().for_each(|text| out.text(text));
        out.close_list();
    }
    out.close_list();
    out.end_row();
}
