//! ShareGPT: `conversations` of `from` and `value` (or `role` and `content`), as LLaMA-Factory, FastChat and
//! Axolotl read it; and the rows of Retort's own `standard` data format, which descend from it.

use retort_json::{Parser, Text, Value};
use retort_model::{Conversation, Kind};

use super::format::{ImportFormat, ItemError, Items, Notes};
use super::openai;
use super::sniff::Sniff;

/// The format.
pub(super) struct ShareGpt;

/// The flat columns of `standard` say in other words what its messages say.
const FLAT: [&str; 4] = ["instruction", "input", "output", "system"];

impl ImportFormat for ShareGpt {
    fn name(&self) -> &'static str {
        "sharegpt"
    }

    fn about(&self) -> &'static str {
        "ShareGPT: `conversations` of `from` and `value`, with `tools` as JSON text or a list"
    }

    fn notes(&self) -> &'static str {
        "`human`/`gpt`/`function_call`/`observation`/`tool`/`system`, or `role` and `content`; `tools` as a list or as \
         JSON text. The rows of Retort's own `standard` format are read too, each as a conversation of its own \
         (`id#round` for a graph's); `extra` is kept as metadata."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        (sniff.has("conversations") && (sniff.message_has("from") || sniff.message_has("role")))
            || (sniff.has("messages")
                && (sniff.message_has("from")
                    || (sniff.has("data_source") && sniff.message_has("role"))))
    }

    fn parse<'a>(&self, item: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut parser = Parser::lenient(item);
        let mut conversation =
            openai::object(&mut parser, &["conversations", "messages"], &FLAT, notes)?;
        parser.end()?;
        take_extra(&mut conversation)?;
        notes.count(&parser);
        Ok(conversation.into())
    }
}

/// What a row of `standard` says beyond its columns: which round of a graph or which task it is. The rest of `extra`
/// stays with the metadata.
fn take_extra(conversation: &mut Conversation<'_>) -> Result<(), ItemError> {
    let Some(extra) = conversation
        .metadata
        .iter()
        .find(|(key, _)| key == "extra")
        .and_then(|(_, raw)| raw.as_text())
    else {
        return Ok(());
    };
    let Ok(extra) = Value::parse(&extra) else { return Ok(()) };
    let text =
        |key: &str| extra.get(key).and_then(Value::as_str).map(|text| Text::from(text.to_owned()));
    let number = match extra.get("round") {
        Some(Value::Number(number)) => number.parse::<u32>().ok(),
        _ => None,
    };
    // Rows of one conversation are conversations of their own here, so their ids must differ.
    let id = conversation.id.decoded().into_owned();
    if let Some(task) = text("task") {
        conversation.id = format!("{id}#{}", task.decoded()).into();
        conversation.kind = Kind::Agent;
    } else if let Some(number) = number {
        conversation.id = format!("{id}#{number}").into();
        for round in &mut conversation.rounds {
            round.number = number;
            round.node = text("node").or(Some("".into()));
            round.agent = text("agent");
        }
    }
    Ok(())
}
