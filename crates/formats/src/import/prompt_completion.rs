//! Rows that part a conversation into what is given and what is learnt: `prompt` and `completion`, each a list of
//! messages, as Retort's data format of that name writes them for TRL. Reference: TRL's conversational
//! prompt-completion datasets.

use std::borrow::Cow;

use retort_json::{Kind, Parser, RawJson};

use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::openai;
use super::sniff::Sniff;

/// The format.
pub(super) struct PromptCompletion;

impl ImportFormat for PromptCompletion {
    fn name(&self) -> &'static str {
        "prompt-completion"
    }

    fn about(&self) -> &'static str {
        "rows of `prompt` and `completion`, each a list of messages, as TRL and Retort have them"
    }

    fn notes(&self) -> &'static str {
        "The messages of both, one after another."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        sniff.has("completion") && sniff.holds(&["prompt", "role"])
    }

    fn parse<'a>(&self, item: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut parser = Parser::lenient(item);
        let (mut prompt, mut completion) = (None, None);
        let mut rest = String::new();
        parser.object()?;
        while let Some(key) = parser.next_key()? {
            let at = parser.at();
            let raw = parser.raw()?;
            match &*key {
                "prompt" => prompt = Some(messages(&raw, at)?),
                "completion" => completion = Some(messages(&raw, at)?),
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
        let (Some(prompt), Some(completion)) = (prompt, completion) else {
            let why = "no `prompt` and `completion` in the item";
            return Err(ItemError::new(Refusal::UnknownShape, 0, why));
        };
        let between = if prompt.is_empty() || completion.is_empty() { "" } else { "," };
        let whole = format!("{{\"messages\":[{prompt}{between}{completion}]{rest}}}");
        // The place is one of the joined text.
        let conversation = openai::conversation(&whole, notes)
            .map_err(|error| ItemError { at: 0, ..error })?
            .into_owned();
        Ok(conversation.into())
    }
}

/// What stands between the brackets of a list, which may be a JSON text.
fn messages(raw: &RawJson<'_>, at: usize) -> Result<String, ItemError> {
    let text: Cow<'_, str> = raw.as_text().map_or_else(|| raw.as_str().into(), Cow::Owned);
    let mut parser = Parser::lenient(&text);
    let is_list = parser.kind().is_ok_and(|kind| kind == Kind::Array);
    let list = parser.raw().ok().filter(|_| is_list && parser.end().is_ok());
    let inner =
        list.as_ref().and_then(|list| list.as_str().trim().strip_prefix('[')?.strip_suffix(']'));
    match inner {
        Some(inner) => Ok(inner.trim().to_owned()),
        None => Err(ItemError::new(
            Refusal::BadField,
            at,
            "`prompt` and `completion` are lists of messages",
        )),
    }
}
