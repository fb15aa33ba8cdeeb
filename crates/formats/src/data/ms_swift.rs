//! `ms-swift`: messages with one `tool_call` a call, and `loss` for answers that are context only, as ms-swift reads them.

use retort_json::{Text, Value};
use retort_model::{Item, ItemKind};

use super::carried::{COLUMNS, ShownAs};
use super::chat_messages::{ChatMessageText, Voice, shape_speech};
use super::chat_row::ChatRow;
use super::format::{DataFormat, Outcome, ShapeContext, ShapeOptions};
use super::schema::{Field, Schema, Sink, Type};
use super::turns::Unlearnt;

/// The format.
pub(super) struct MsSwift;

const FIELDS: [Field; 2] = [
    Field::required(
        "messages",
        Type::List(&Type::Struct(&[
            Field::required("role", Type::Word),
            Field::required("content", Type::Text),
            Field::optional("loss", Type::Bool),
        ])),
    ),
    Field::optional("tools", Type::Word),
];
static SCHEMA: Schema = Schema::of(&FIELDS);

impl DataFormat for MsSwift {
    fn name(&self) -> &'static str {
        "ms-swift"
    }

    fn about(&self) -> &'static str {
        "messages for ms-swift: one `tool_call` message per call, and `loss` on each answer"
    }

    fn schema(&self, options: &ShapeOptions, _flat: bool) -> Schema {
        match self.writes_files(options) {
            true => Schema::chosen([&FIELDS[..], &COLUMNS].concat()),
            false => SCHEMA.clone(),
        }
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

    fn carries_attachments(&self, _options: &ShapeOptions) -> bool {
        true
    }

    fn chats(&self, row: &Value<'_>) -> Option<Vec<ChatRow>> {
        Some(vec![ChatRow::ms_swift(row.get("messages")?, row.get("tools"))?])
    }

    fn card_notes(&self, _options: &ShapeOptions, _flat: bool) -> String {
        "`swift sft --dataset FILE` trains on the data file. `loss` false marks answers that are context only; `tools` \
         is the JSON text of the definitions. ms-swift has no field for reasoning: `--reasoning think` writes it in \
         front of the answer. `ids.txt` names the item of each record, one per line; `extra.jsonl` has what a row \
         cannot hold."
            .into()
    }

    fn shape(
        &self,
        item: &Item<'_>,
        context: &mut ShapeContext<'_>,
        out: &mut dyn Sink,
    ) -> Outcome {
        let has_media = self.writes_files(context.options);
        let voice = Voice {
            unlearnt: Unlearnt::Marked,
            may_ask: false,
            has_reasoning: false,
            shown_as: ShownAs::Marks,
        };
        shape_speech(item, voice, context, out, |_, speech, out| {
            out.open_list();
            for message in &speech.messages {
                write(message, out);
            }
            out.close_list();
            if speech.tools.is_empty() {
                out.absent();
            } else {
                out.str(&speech.tools);
            }
            if has_media {
                speech.media.write(out);
            }
        })
    }
}

fn write(message: &ChatMessageText<'_>, out: &mut dyn Sink) {
    let mut say = |role: &str, content: &Text<'_>| {
        out.open_struct();
        out.str(role);
        out.text(content);
        match message.is_learnt {
            Some(is_learnt) => out.bool(is_learnt),
            None => out.absent(),
        }
        out.close_struct();
    };
    let role = if message.role == "tool" { "tool_response" } else { &message.role };
    if message.calls.is_empty() || !message.content.is_empty() {
        say(role, &message.content);
    }
    for call in &message.calls {
        let mut text = String::new();
        call.write_json(" ", &mut text);
        say("tool_call", &text.into());
    }
}
