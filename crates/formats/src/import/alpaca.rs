//! Alpaca: rows of `instruction`, `input` and `output`, with `system`, the `history` as pairs, and `chosen` and `rejected`
//! answers in place of the output. Reference: Stanford's Alpaca, and LLaMA-Factory's converter of that name.

use retort_json::{Kind, Parser, RawJson, Text, write_string};
use retort_model::Fields;

use super::fields::{self, FieldMap};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::openai;
use super::sniff::Sniff;

/// The format.
pub(super) struct Alpaca;

const OUTPUT: [&str; 3] = ["output", "response", "completion"];

impl ImportFormat for Alpaca {
    fn name(&self) -> &'static str {
        "alpaca"
    }

    fn about(&self) -> &'static str {
        "Alpaca: `instruction`, `input` and `output`, with `system`, `history`, `chosen` and `rejected`"
    }

    fn notes(&self) -> &'static str {
        "`input` follows the instruction on a line of its own, as LLaMA-Factory joins them; the pairs of `history` come before \
         it. In place of an output, `chosen` and `rejected` are sibling answers."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let is_text = |key: &str| sniff.kind(&[key]) == Some(Kind::String);
        let answers = OUTPUT.iter().any(|key| is_text(key));
        is_text("instruction")
            && (answers || sniff.has("chosen") && sniff.has("rejected"))
            && !["messages", "conversations", "prompt"].iter().any(|key| sniff.has(key))
    }

    fn parse<'a>(&self, item: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut parser = Parser::lenient(item);
        if parser.kind()? != Kind::Object {
            return Err(unknown(parser.at()));
        }
        let mut map = FieldMap::read(&mut parser, notes)?;
        parser.end()?;
        notes.count(&parser);
        let Some(instruction) = map.take(&["instruction"], RawJson::text) else {
            return Err(unknown(0));
        };
        let input = map.take(&["input"], RawJson::text).filter(|input| !input.is_blank());
        let output = map.take(&OUTPUT, RawJson::text);
        if output.is_none() && !map.has(&["chosen"]) {
            return Err(unknown(0));
        }
        let mut messages = Messages(String::from("["));
        let system = map.take(&["system"], RawJson::text).filter(|system| !system.is_blank());
        if let Some(system) = system {
            messages.push("system", &system);
        }
        for [question, answer] in map.take(&["history"], history).unwrap_or_default() {
            messages.push("user", &question);
            messages.push("assistant", &answer);
        }
        let question = match input {
            // As LLaMA-Factory joins them.
            Some(input) => format!("{}\n{}", instruction.decoded(), input.decoded()).into(),
            None => instruction,
        };
        messages.push("user", &question);
        if let Some(output) = output {
            messages.push("assistant", &output);
        }
        messages.0.push(']');
        let mut fields: Fields<'_> = map.rest();
        fields.put("messages".into(), RawJson::owned(&messages.0).unwrap_or(RawJson::null()));
        let text = RawJson::object(&fields).unwrap_or(RawJson::null()).into_cow();
        let conversation = openai::object(&mut Parser::new(&text), &["messages"], &[], notes)?;
        Ok(conversation.into_owned().into())
    }
}

fn unknown(at: usize) -> ItemError {
    let why = "no `instruction` with an `output` as text";
    ItemError::new(Refusal::UnknownShape, at, why)
}

/// A list of messages as JSON.
struct Messages(String);

impl Messages {
    fn push(&mut self, role: &str, content: &Text<'_>) {
        self.0.push_str(if self.0.len() > 1 { ",{\"role\":" } else { "{\"role\":" });
        write_string(role, &mut self.0);
        self.0.push_str(",\"content\":");
        content.write_string(&mut self.0);
        self.0.push('}');
    }
}

/// Pairs of a question and its answer; none if it is anything else.
fn history<'a>(raw: &RawJson<'a>) -> Option<Vec<[Text<'a>; 2]>> {
    if raw.is_null() {
        return Some(Vec::new());
    }
    let inner = fields::json_within(raw);
    let listed = fields::list(inner.as_ref().unwrap_or(raw))?;
    let pair = |pair: &RawJson<'_>| -> Option<[Text<'static>; 2]> {
        let texts = fields::list(pair)?;
        let [question, answer] = texts.as_slice() else { return None };
        Some([question.text()?.into_owned(), answer.text()?.into_owned()])
    };
    listed.iter().map(pair).collect()
}
