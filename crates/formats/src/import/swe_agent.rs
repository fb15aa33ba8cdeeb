//! SWE-agent's trajectories (`.traj`) and the rows of SWE-smith, whose messages are the same. Source: `sweagent/types.py`,
//! `HistoryItem`.
//!
//! `history` holds the messages as the model saw them, `trajectory` the same once more by steps. Messages have the type
//! of what they are, and an answer has its thought and its action told apart.

use retort_json::RawJson;
use retort_model::{Conversation, Kind as Held, Role};

use super::chat;
use super::definitions;
use super::fields::{self, FieldMap};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::marks;
use super::rounds::Rounds;
use super::sniff::Sniff;

/// The format.
pub(super) struct SweAgent;

/// Fields of messages that say nothing more than is read: of an answer, its content says again what they say. The first only
/// does if it is the system's text.
const KNOWN: [&str; 11] = [
    "system_prompt",
    "cutoff_date",
    "message_type",
    "thought",
    "action",
    "agent",
    "is_demo",
    "tags",
    "cache_control",
    "tool_call_ids",
    "thinking_blocks",
];

impl ImportFormat for SweAgent {
    fn name(&self) -> &'static str {
        "swe-agent"
    }

    fn about(&self) -> &'static str {
        "Trajectories of SWE-agent (`.traj`) and SWE-smith"
    }

    fn notes(&self) -> &'static str {
        "`history` becomes the conversation; `trajectory`, which has the same content step by step, `info` and \
         `replay_config` are kept. Rows of Nebius' trajectories (`trajectory` of `role` and `text`) are read as well; where \
         `exit_status` says that a run was broken off (`exit_context`, `exit_cost`, …), its last answer did not end by itself. \
         Demonstrations that were shown to the model are not trained on (`train: false`)."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let is_step = || {
            sniff.holds(&["trajectory", "action"]) && sniff.holds(&["trajectory", "observation"])
        };
        (sniff.holds(&["history", "role"])
            && (is_step() || sniff.holds(&["history", "message_type"])))
            || (sniff.holds(&["messages", "role"])
                && (sniff.holds(&["messages", "message_type"])
                    || (sniff.has("traj_id") && sniff.has("instance_id"))))
            || (is_step() && sniff.holds(&["info"]))
            || (sniff.holds(&["trajectory", "role"])
                && (sniff.holds(&["instance_id"]) || sniff.holds(&["exit_status"])))
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut map = FieldMap::item(text, notes)?;
        let mut conversation = Conversation { kind: Held::Agent, ..Conversation::default() };
        let name = ["history", "messages", "trajectory"].into_iter().find(|name| {
            map.peek(name).and_then(fields::list_within).is_some_and(|list| !list.is_empty())
        });
        let Some((name, list)) =
            name.and_then(|name| Some((name, map.take(&[name], fields::list_within)?)))
        else {
            return Err(ItemError::new(
                Refusal::UnknownShape,
                0,
                "no `history` of messages in the item",
            ));
        };
        let mut rounds = Rounds::default();
        for (at, raw) in list.iter().enumerate() {
            let mark = notes.mark();
            for message in message(raw, notes)? {
                rounds.push(message);
            }
            notes.under(mark, || format!("{name}[{at}]"));
        }
        let tools = map.take(&["tools"], fields::list_within).unwrap_or_default();
        conversation.rounds = rounds.finish(definitions::definitions(tools, notes));
        conversation.id =
            map.take_id(&["traj_id", "trajectory_id", "instance_id", "id"]).unwrap_or_default();
        conversation.model = map.take(&["model", "model_name"], RawJson::text);
        conversation.metadata = map.rest();
        let status = conversation.metadata.get("exit_status").and_then(RawJson::as_text);
        let status = status.unwrap_or_default().to_ascii_lowercase();
        if ["exit", "exceeded", "error"].iter().any(|word| status.contains(word)) {
            // The last answer is where the run was broken off.
            let messages = conversation.rounds.iter_mut().flat_map(|round| &mut round.messages);
            let last = messages.filter(|message| message.role == Role::Assistant).last();
            if let Some(last) = last.filter(|last| last.finish_reason.is_none()) {
                last.finish_reason = Some("incomplete".into());
            }
        }
        Ok(conversation.into())
    }
}

fn message<'a>(
    raw: &RawJson<'a>,
    notes: &mut Notes,
) -> Result<Vec<retort_model::Message<'a>>, ItemError> {
    let Some(mut map) = FieldMap::of(raw, notes) else {
        notes.unplaced("", raw);
        return Ok(Vec::new());
    };
    let is_demo = map.is_true("is_demo");
    let answers = map.peek("tool_call_ids").and_then(fields::list);
    // In Nebius' trajectories the system's text has a field of its own, and `mask` is true for what is trained on.
    let words = |raw: &RawJson<'a>| raw.text().filter(|text| !text.is_blank());
    let text = map.take(&["text"], words);
    let system = map.take(&["system_prompt"], words).filter(|_| text.is_none());
    let is_learnt = map.take(&["mask"], marks::flag_of).filter(|_| map.has(&["cutoff_date"]));
    let known = KNOWN.get(usize::from(system.is_none())..).unwrap_or_default();
    let text = system.or(text).filter(|_| !map.has(&["content"]));
    let mut messages = chat::message_of(raw, None, known, notes)?;
    if let Some(message) = messages.first_mut() {
        if let Some(text) = text {
            message.content = Some(retort_model::Content::Text(text));
        }
        let answered = answers.as_ref().and_then(|ids| ids.first()).and_then(fields::id);
        if message.role == Role::Tool && message.tool_call_id.is_none() {
            message.tool_call_id = answered;
        }
        if let Some(is_learnt) = is_learnt {
            message.train = (!is_learnt && message.role == Role::Assistant).then_some(false);
        }
        if is_demo {
            message.train = Some(false);
        }
    }
    Ok(messages)
}
