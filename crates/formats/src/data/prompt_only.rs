//! `prompt-only`: questions for reinforcement learning (GRPO and its kin), with columns from which rewards can be computed.

use retort_json::Value;
use retort_model::{Item, ItemKind, Role};

use super::chat_columns::{IMAGES_NOTE, messages, schema, voice, write, write_rest};
use super::chat_messages::{ChatMessageText, Voice, shape_speech};
use super::chat_row::ChatRow;
use super::execution::{put_text, text_of};
use super::format::{DataFormat, Outcome, ShapeContext, ShapeOptions};
use super::reference::reference_of;
use super::schema::{Field, Schema, Sink, Type};
use super::turns::Unlearnt;

/// The format.
pub(super) struct PromptOnly;

impl DataFormat for PromptOnly {
    fn name(&self) -> &'static str {
        "prompt-only"
    }

    fn about(&self) -> &'static str {
        "prompts without their answers, for reinforcement learning, with columns for rewards"
    }

    fn schema(&self, options: &ShapeOptions, _flat: bool) -> Schema {
        let messages = messages(options);
        let fields = [
            Field::required("prompt", messages),
            Field::required("answer", Type::Text),
            Field::nullable("ground_truth", Type::Text),
            Field::nullable("label", Type::Word),
            Field::nullable("rating", Type::Text),
            Field::nullable("comment", Type::Text),
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
        Some(vec![ChatRow::of_messages(&[(row.get("prompt")?, false)], row.get("tools"))?])
    }

    fn card_notes(&self, options: &ShapeOptions, _flat: bool) -> String {
        let mut notes = String::from(
            "Each row holds a `prompt` as a list of messages. Trainers pass the other columns to reward functions: \
         `answer` is the recorded answer (the JSON text of its calls if it called tools, empty if the last question was not \
         answered), `ground_truth` the expected \
         one, and `label`, `rating` and `comment` are people's judgements of the answer. `ids.txt` names the item of \
         each row, one per line.",
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
        let voice = Voice { may_ask: true, ..voice(Unlearnt::Context) };
        shape_speech(item, voice, context, out, |draft, speech, out| {
            let (prompt, answer) = speech.split_at_answer();
            write(prompt, options, out);
            match answer.first() {
                Some(answer) if !answer.calls.is_empty() => out.str(&calls_json(answer)),
                Some(answer) => out.text(&answer.content),
                None => out.str(""),
            }
            // The message that the answer was made of, with what people thought of it.
            let said = draft.messages().filter(|message| message.role == Role::Assistant).last();
            let said = said.filter(|_| !answer.is_empty());
            let run = draft.run;
            put_text(reference_of(draft, said).as_ref(), out);
            let label = said.and_then(|message| message.label.or(draft.conversation.label));
            match label {
                Some(label) => out.str(label.as_str()),
                None => out.absent(),
            }
            let feedback = said
                .and_then(|message| message.feedback.as_deref())
                .or_else(|| run?.feedback.as_deref());
            let rating = feedback.and_then(|feedback| feedback.rating.as_ref()).map(text_of);
            put_text(rating.as_ref(), out);
            put_text(feedback.and_then(|feedback| feedback.comment.as_ref()), out);
            write_rest(speech, options, out);
        })
    }
}

fn calls_json(answer: &ChatMessageText<'_>) -> String {
    let mut out = String::from("[");
    for (at, call) in answer.calls.iter().enumerate() {
        if at > 0 {
            out.push(',');
        }
        call.write_json("", &mut out);
    }
    out.push(']');
    out
}
