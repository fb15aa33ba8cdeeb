//! NeMo Gym's rollouts: `responses_create_params` with what was asked, and `response` with what came of it, both as items
//! of the Responses API. Source: `rollouts.jsonl` of `NVIDIA-NeMo/Gym`.

use retort_json::RawJson;
use retort_model::{Conversation, Kind as Held, Message, Role};

use super::definitions;
use super::fields::{self, FieldMap};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::rounds::Rounds;
use super::session;
use super::sniff::Sniff;

/// The format.
pub(super) struct NemoGym;

impl ImportFormat for NemoGym {
    fn name(&self) -> &'static str {
        "nemo-gym"
    }

    fn about(&self) -> &'static str {
        "Rollouts of NeMo Gym: `responses_create_params` with `response`"
    }

    fn notes(&self) -> &'static str {
        "`ng_collect_rollouts` writes them. What was asked and every item of the response become the conversation; tools \
         are those of the request; rewards and what the environment adds are kept. The inputs alone \
         (`*_materialized_inputs.jsonl`) are conversations without an answer."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        sniff.holds(&["responses_create_params", "input"])
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut map = FieldMap::item(text, notes)?;
        let request = map.take(&["responses_create_params"], fields::map).ok_or_else(|| {
            ItemError::new(Refusal::UnknownShape, 0, "no `responses_create_params` in the item")
        })?;
        let mut conversation = Conversation { kind: Held::Agent, ..Conversation::default() };
        let mut request = request;
        let mut rounds = Rounds::default();
        if let Some(text) = request.take(&["instructions"], RawJson::text) {
            rounds.push(Message::text(Role::System, text));
        }
        let tools = request.take(&["tools"], fields::list).unwrap_or_default();
        let mark = notes.mark();
        let tools = definitions::definitions(tools, notes);
        notes.under(mark, || "responses_create_params.tools".into());
        if let Some(input) = request.take(&["input"], fields::json) {
            let mark = notes.mark();
            rounds.push_input(&input, notes)?;
            notes.under(mark, || "responses_create_params.input".into());
        }
        let response = map.take(&["response"], fields::map);
        if let Some(mut response) = response {
            conversation.model = response.take(&["model"], RawJson::text);
            let usage = response.peek("usage").map(session::usage_of);
            if let Some(output) = response.take(&["output"], fields::json) {
                let mark = notes.mark();
                rounds.push_items(&output, notes)?;
                notes.under(mark, || "response.output".into());
            }
            conversation.rounds = rounds.finish(tools);
            if let (Some(usage), Some(last)) = (usage, conversation.rounds.last_mut()) {
                last.usage = usage;
            }
            if let Some(rest) = response.rest_object() {
                map.put("response", rest);
            }
        } else {
            conversation.rounds = rounds.finish(tools);
        }
        if let Some(rest) = request.rest_object() {
            map.put("responses_create_params", rest);
        }
        conversation.metadata = map.rest();
        Ok(conversation.into())
    }
}
