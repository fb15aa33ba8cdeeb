//! States of LangGraph: what `get_state` and `get_state_history` return, and the threads of its platform's API. The messages so
//! far are under `values`. Reference: `StateSnapshot`, and the API's `ThreadState` and `Thread`.

use retort_json::{RawJson, Text};

use super::fields::{self, FieldMap};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::openai;
use super::sniff::Sniff;

/// The format.
pub(super) struct LangGraph;

/// Fields of a state that are not part of the chat.
const KNOWN: [&str; 10] = [
    "values",
    "next",
    "config",
    "parent_config",
    "metadata",
    "tasks",
    "interrupts",
    "checkpoint",
    "parent_checkpoint",
    "extracted",
];

impl ImportFormat for LangGraph {
    fn name(&self) -> &'static str {
        "langgraph"
    }

    fn about(&self) -> &'static str {
        "LangGraph's states: `get_state`, `get_state_history` and the platform's threads, with `values.messages`"
    }

    fn notes(&self) -> &'static str {
        "Save what `GET /threads/ID/state`, `…/history` or `POST /threads/search` gives, or write states of \
         `graph.get_state_history(config)` as JSON, one per line or in a list. Messages are read as LangChain writes \
         them. The states of one thread repeat the history so far: they are one conversation, identified by the \
         thread's id. What the state holds beside the messages is kept as metadata. Written from LangGraph's \
         reference; no real file was available. Streams of events are not read."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        ["role", "type"].iter().any(|key| sniff.holds(&["values", "messages", key]))
            && ["next", "config", "checkpoint", "thread_id"].iter().any(|key| sniff.has(key))
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut map = FieldMap::item(text, notes)?;
        let mut values = map.take(&["values"], fields::map).unwrap_or_default();
        let messages = values.take(&["messages"], fields::json).ok_or_else(|| {
            ItemError::new(Refusal::UnknownShape, 0, "no `messages` among the `values`")
        })?;
        if let Some(rest) = values.rest_object() {
            map.put("values", rest);
        }
        if let Some(id) = map.take_id(&["thread_id"]).or_else(|| thread_of(&map)) {
            map.put("id", RawJson::string(&id.decoded()));
        }
        Ok(openai::with_messages(map.rest(), messages, &KNOWN, notes)?.into())
    }
}

/// The thread that a state names, in any of the places for it.
fn thread_of<'a>(map: &FieldMap<'a>) -> Option<Text<'a>> {
    let inner = |name| map.peek(name).and_then(fields::map);
    let config = inner("config").and_then(|mut map| map.take(&["configurable"], fields::map));
    let places = [config, inner("checkpoint"), inner("metadata")];
    places.into_iter().flatten().find_map(|mut map| map.take_id(&["thread_id"]))
}
