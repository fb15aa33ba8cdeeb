//! Function-calling sets in the shape of xLAM: a `query`, the `tools` at hand, and the right calls under `answers`, the last
//! two as JSON text or lists. Reference: the dataset card of `Salesforce/xlam-function-calling-60k`.

use retort_json::RawJson;

use super::fields::{self, FieldMap, object_of};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::openai;
use super::sniff::Sniff;

/// The format.
pub(super) struct XLam;

impl ImportFormat for XLam {
    fn name(&self) -> &'static str {
        "xlam"
    }

    fn about(&self) -> &'static str {
        "function-calling sets in the shape of xLAM: `query`, `tools` and the right calls under `answers`"
    }

    fn notes(&self) -> &'static str {
        "`Salesforce/xlam-function-calling-60k` and sets made like it (APIGen, irrelevance sets). The query is the \
         question, the calls of `answers` are the answer; a row without any has only the question. xLAM lists \
         the parameters of tools without a JSON schema; rows have one around them. Written from the dataset's \
         card; no real file was available."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let is_empty = || {
            let raw = sniff.raw("answers");
            raw.is_some_and(|raw| fields::list_within(&raw).is_some_and(|list| list.is_empty()))
        };
        sniff.is_text("query")
            && sniff.has("tools")
            && !sniff.has("messages")
            && (sniff.holds(&["answers", "name"]) || is_empty())
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut row = FieldMap::item(text, notes)?;
        let query = row.take(&["query"], fields::json);
        let calls = row.take(&["answers"], fields::list_within);
        let (Some(query), Some(calls)) = (query, calls) else {
            let why = "no `query` with a list of calls under `answers`";
            return Err(ItemError::new(Refusal::UnknownShape, 0, why));
        };
        let mut messages = vec![object_of([("role", RawJson::string("user")), ("content", query)])];
        if !calls.is_empty() {
            let role = RawJson::string("assistant");
            let calls = RawJson::array(&calls);
            messages.push(object_of([("role", role), ("tool_calls", calls)]));
        }
        let mark = notes.mark();
        let read = openai::with_messages(row.rest(), RawJson::array(&messages), &[], notes)?;
        notes.rename(mark, "messages[1].tool_calls", "answers");
        Ok(read.into())
    }
}
