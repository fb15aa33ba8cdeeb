//! Run states of OpenAI's Agents SDK: what it writes of a run to go on with it later, `RunState.to_json()`. Source: the
//! code of `openai/openai-agents-python` (`run_state.py`).

use retort_json::{Kind, RawJson};
use retort_model::{Conversation, Kind as Held};

use super::fields::{self, FieldMap};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::rounds::Rounds;
use super::session;
use super::sniff::Sniff;

/// The format.
pub(super) struct RunState;

impl ImportFormat for RunState {
    fn name(&self) -> &'static str {
        "run-state"
    }

    fn about(&self) -> &'static str {
        "Run states of OpenAI's Agents SDK, as `RunState.to_json()` writes them"
    }

    fn notes(&self) -> &'static str {
        "The input of a run and its later output, as items of the Responses API. Calls that wait for an approval have no \
         result; the approvals, the context and the state of the run are kept as metadata."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        sniff.has("$schemaVersion")
            && sniff.has("original_input")
            && sniff.kind(&["generated_items"]) == Some(Kind::Array)
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut map = FieldMap::item(text, notes)?;
        let input = map.take(&["original_input"], fields::json).ok_or_else(|| {
            ItemError::new(Refusal::UnknownShape, 0, "no `original_input` in the item")
        })?;
        let mut rounds = Rounds::default();
        let mark = notes.mark();
        rounds.push_input(&input, notes).map_err(at_start)?;
        notes.under(mark, || "original_input".into());
        // The items of the session are those that were made, and those of before a handover.
        let made = ["session_items", "generated_items"].iter().find_map(|name| {
            let list = map.peek(name).and_then(fields::list)?;
            (!list.is_empty()).then_some((*name, list))
        });
        let (mut raws, mut waiting) = (Vec::new(), Vec::new());
        let (name, list) = made.unwrap_or(("generated_items", Vec::new()));
        for (at, raw) in list.iter().enumerate() {
            let mut item = fields::map(raw).unwrap_or_default();
            // It names a call that is there already.
            if item.peek("type").is_some_and(|kind| kind.as_str() == "\"tool_approval_item\"") {
                waiting.push(raw.clone());
                continue;
            }
            match item.take(&["raw_item"], fields::object) {
                Some(raw) => raws.push(raw),
                None => notes.unplaced(format!("{name}[{at}]"), raw),
            }
        }
        let mark = notes.mark();
        rounds.push_items(&RawJson::array(&raws), notes).map_err(at_start)?;
        notes.under(mark, || name.into());
        let mut conversation = Conversation {
            id: map.take_id(&["conversation_id"]).unwrap_or_default(),
            kind: Held::Agent,
            rounds: rounds.finish(Vec::new()),
            ..Conversation::default()
        };
        conversation.metadata = map.rest();
        session::keep_events(&mut conversation, &waiting);
        Ok(conversation.into())
    }
}

/// An error within a list that was put together here: its place is not one of the item.
fn at_start(error: ItemError) -> ItemError {
    ItemError { at: 0, ..error }
}
