//! Preference data as TRL trains on it: a `chosen` and a `rejected` answer, each a list of messages, with the `prompt` or
//! without. Without a prompt both hold the whole conversation; what they begin with alike is the question. Reference: the
//! dataset formats of TRL's documentation.

use retort_json::{Kind, Parser, RawJson};
use retort_model::{Fields, Role};

use super::fields::{self, FieldMap};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::openai;
use super::roles::role_of;
use super::sniff::Sniff;

/// The format.
pub(super) struct Preference;

impl ImportFormat for Preference {
    fn name(&self) -> &'static str {
        "preference"
    }

    fn about(&self) -> &'static str {
        "preference data: `chosen` and `rejected` as lists of messages or, with a `prompt`, as text"
    }

    fn notes(&self) -> &'static str {
        "Preference data in this shape, and in those of `openai` or `sharegpt`: the `chosen` answer follows the \
         question, the `rejected` one is its sibling, labelled so and never learnt. KTO's `label: false` labels \
         the conversation."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let speaks = |key: &str| sniff.holds(&[key, "role"]);
        let has_both = sniff.has("chosen") && sniff.has("rejected");
        !sniff.has("messages")
            && has_both
            && (sniff.has("prompt") || speaks("chosen") && speaks("rejected"))
    }

    fn parse<'a>(&self, item: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut parser = Parser::lenient(item);
        if parser.kind()? != Kind::Object {
            return Err(unknown(parser.at()));
        }
        let mut map = FieldMap::read(&mut parser, notes)?;
        parser.end()?;
        notes.count(&parser);
        let prompt = map.take(&["prompt"], fields::json);
        let mut answers = ["chosen", "rejected"].map(|name| map.take(&[name], messages));
        // Answers that are texts stay where they are.
        let are_texts = || {
            ["chosen", "rejected"]
                .iter()
                .all(|name| map.peek(name).and_then(RawJson::text).is_some())
        };
        if answers.iter().all(Option::is_none) && !(prompt.is_some() && are_texts()) {
            return Err(unknown(0));
        }
        // Lists that begin with a question hold the whole conversation, and the prompt says it once more.
        let start = if prompt.is_none() || starts_with_question(&answers) {
            Some(start_of(&mut answers))
        } else {
            None
        };
        let mut fields: Fields<'_> = map.rest();
        let prompt = match (start, prompt) {
            (Some(start), prompt) => {
                fields.extend(prompt.map(|prompt| ("prompt".into(), prompt)));
                start
            }
            (None, prompt) => prompt.unwrap_or(RawJson::null()),
        };
        fields.put("messages".into(), prompt);
        for (name, answer) in ["chosen", "rejected"].into_iter().zip(answers) {
            fields.extend(answer.map(|answer| (name.into(), RawJson::array(&answer))));
        }
        let text = RawJson::object(&fields).unwrap_or(RawJson::null()).into_cow();
        let mark = notes.mark();
        let conversation = openai::object(&mut Parser::new(&text), &["messages"], &[], notes)?;
        notes.rename(mark, "messages", "prompt");
        Ok(conversation.into_owned().into())
    }
}

fn unknown(at: usize) -> ItemError {
    let why = "no lists of messages in `chosen` and `rejected`";
    ItemError::new(Refusal::UnknownShape, at, why)
}

fn messages<'a>(raw: &RawJson<'a>) -> Option<Vec<RawJson<'a>>> {
    match fields::json_within(raw) {
        Some(inner) => fields::list(&inner),
        None => fields::list(raw),
    }
}

/// Whether all answers begin with a message that is no answer.
fn starts_with_question(answers: &[Option<Vec<RawJson<'_>>>]) -> bool {
    answers.iter().all(|answer| {
        let first = answer.as_ref().and_then(|answer| answer.first());
        let said = first.and_then(|raw| FieldMap::of(raw, &mut Notes::default()));
        let word = said.and_then(|mut map| map.take(&["role", "from"], RawJson::text));
        word.is_some_and(|word| role_of(&word.decoded()) != Some(Role::Assistant))
    })
}

/// Takes what the answers begin with alike.
fn start_of(answers: &mut [Option<Vec<RawJson<'_>>>]) -> RawJson<'static> {
    let mut all: Vec<_> = answers.iter_mut().flatten().collect();
    let alike = match all.as_slice() {
        [one, other, ..] => {
            one.iter().zip(other.iter()).take_while(|(one, other)| one == other).count()
        }
        _ => 0,
    };
    let mut start = Vec::new();
    for answer in &mut all {
        start = answer.drain(..alike.min(answer.len())).collect();
    }
    RawJson::array(&start)
}
