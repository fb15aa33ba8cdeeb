//! Rows that part a conversation into what is given and what is learnt: `prompt` and `completion`, each a list of
//! messages, as Retort's data format of that name writes them for TRL; and rows of a `prompt` alone, for reinforcement
//! learning, which may have an `answer`. Where one of both is a text it is a message. Reference: TRL's conversational
//! datasets.

use std::borrow::Cow;

use retort_json::{Kind, Parser, RawJson};

use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::openai;
use super::pairs::Dialogue;
use super::sniff::Sniff;

/// The format.
pub(super) struct PromptCompletion;

/// What rows of other formats have beside their prompt.
const OTHERS: [&str; 7] =
    ["messages", "chosen", "chosen_messages", "rejected", "response", "request_id", "nodes"];

impl ImportFormat for PromptCompletion {
    fn name(&self) -> &'static str {
        "prompt-completion"
    }

    fn about(&self) -> &'static str {
        "rows of `prompt` and `completion`, each a list of messages, or of `prompt` alone, as TRL has them"
    }

    fn notes(&self) -> &'static str {
        "The messages of both, one after another; where one is a text, it is a message. Without a `completion`, an `answer` that is text follows the prompt."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        (sniff.holds(&["prompt", "role"])
            && sniff.kind(&["prompt"]) != Some(Kind::Object)
            && (sniff.has("completion") || !OTHERS.iter().any(|key| sniff.has(key))))
            || (sniff.has("prompt") && sniff.holds(&["completion", "role"]))
    }

    fn parse<'a>(&self, item: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut parser = Parser::lenient(item);
        let (mut prompt, mut completion, mut answer) = (None, None, None);
        let mut rest = String::new();
        parser.object()?;
        while let Some(key) = parser.next_key()? {
            let at = parser.at();
            let raw = parser.raw()?;
            match &*key {
                "prompt" => prompt = Some(messages(&raw, "user", at)?),
                "completion" => completion = Some(messages(&raw, "assistant", at)?),
                "answer" if raw.text().is_some() => answer = raw.as_text(),
                _ => {
                    rest.push(',');
                    retort_json::write_string(&key, &mut rest);
                    rest.push(':');
                    rest.push_str(raw.as_str());
                }
            }
        }
        parser.end()?;
        notes.count(&parser);
        let Some(prompt) = prompt else {
            let why = "no `prompt` in the item";
            return Err(ItemError::new(Refusal::UnknownShape, 0, why));
        };
        let completion = completion
            .unwrap_or_else(|| answer.map_or_else(String::new, |answer| message(&answer)));
        let between = if prompt.is_empty() || completion.is_empty() { "" } else { "," };
        let whole = format!("{{\"messages\":[{prompt}{between}{completion}]{rest}}}");
        // The place is one of the joined text.
        let conversation = openai::conversation(&whole, notes)
            .map_err(|error| ItemError { at: 0, ..error })?
            .into_owned();
        Ok(conversation.into())
    }
}

/// An answer as a message; the JSON text of calls is one of calls.
fn message(answer: &str) -> String {
    let role = if answer.starts_with("[{\"name\":") { "function_call" } else { "assistant" };
    let mut message = format!("{{\"role\":\"{role}\",\"content\":");
    retort_json::write_string(answer, &mut message);
    message.push('}');
    message
}

/// What stands between the brackets of a list, which may be a JSON text; of any other text a message of that role.
fn messages(raw: &RawJson<'_>, role: &str, at: usize) -> Result<String, ItemError> {
    if raw.is_null() {
        return Ok(String::new());
    }
    let text: Cow<'_, str> = raw.as_text().map_or_else(|| raw.as_str().into(), Cow::Owned);
    let mut parser = Parser::lenient(&text);
    let is_list = parser.kind().is_ok_and(|kind| kind == Kind::Array);
    let list = parser.raw().ok().filter(|_| is_list && parser.end().is_ok());
    let inner =
        list.as_ref().and_then(|list| list.as_str().trim().strip_prefix('[')?.strip_suffix(']'));
    if let Some(inner) = inner {
        return Ok(inner.trim().to_owned());
    }
    if raw.as_text().is_none() {
        let why = "`prompt` and `completion` are lists of messages";
        return Err(ItemError::new(Refusal::BadField, at, why));
    }
    let mut dialogue = Dialogue::default();
    dialogue.say(role, &text);
    Ok(dialogue.into_messages().first().map(|one| one.as_str().to_owned()).unwrap_or_default())
}
