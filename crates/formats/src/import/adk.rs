//! Sessions of Google's Agent Development Kit, as its services, its web interface and its database write them, and its sets
//! of evaluation cases. Source: the code of `google/adk-python` (`sessions/session.py`, `events/event.py`,
//! `evaluation/eval_case.py`).
//!
//! An event has an author, the name of an agent or `user`, and a content of Gemini's API. Results are in events of the
//! agents, with the role `user`.

use retort_json::{Kind, RawJson};
use retort_model::{Conversation, Kind as Held, Message, Role};

use super::chat;
use super::fields::{self, FieldMap};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::marks;
use super::session::{self, Step};
use super::sniff::Sniff;
use super::thread;
use super::unplaced::Least;

/// The format.
pub(super) struct Adk;

/// Fields of events that say nothing more than is read, or nothing that the model wrote or read.
const KNOWN: [&str; 10] = [
    "actions",
    "invocation_id",
    "invocationId",
    "options",
    "groundingMetadata",
    "grounding_metadata",
    "longRunningToolIds",
    "long_running_tool_ids",
    "customMetadata",
    "custom_metadata",
];

impl ImportFormat for Adk {
    fn name(&self) -> &'static str {
        "adk"
    }

    fn about(&self) -> &'static str {
        "Google's Agent Development Kit: sessions, and sets of evaluation cases"
    }

    fn notes(&self) -> &'static str {
        "Sessions as JSON (`adk run --save_session`, the session that `adk web` exports, the API server's answers) and \
         sets of evaluation cases (`*.evalset.json`, `*.test.json`), in which each case is a conversation. The author \
         of an event is kept as the name of its message; calls, results, thoughts, models and tokens are kept. The \
         parts of a streamed answer (`partial`) are left out, as its final event repeats them. The logs of requests \
         beside older sessions repeat the events, and are kept as metadata. Evaluation cases name the calls that are \
         expected and not their results, so those calls have none."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let is_session = || {
            sniff.kind(&["events"]) == Some(Kind::Array)
                && sniff.has("id")
                && (sniff.holds(&["events", "author"])
                    && (sniff.holds(&["events", "invocation_id"])
                        || sniff.holds(&["events", "invocationId"]))
                    || ["app_name", "appName"].iter().any(|key| sniff.has(key))
                        && sniff.has("state"))
        };
        let is_set = || {
            ["eval_cases", "evalCases"].iter().any(|key| sniff.kind(&[key]) == Some(Kind::Array))
                && ["eval_set_id", "evalSetId"].iter().any(|key| sniff.has(key))
        };
        is_session() || is_set()
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut map = FieldMap::item(text, notes)?;
        if let Some(cases) = map.take(&["eval_cases", "evalCases"], fields::list) {
            let set = map.take_id(&["eval_set_id", "evalSetId"]);
            let items = thread::each(&cases, "eval_cases", notes, case)?;
            let mut all = Items::default();
            all.extend(items.into_iter().map(|mut item| {
                if let (retort_model::Item::Conversation(one), Some(set)) = (&mut item, &set) {
                    one.metadata.put("eval_set_id".into(), RawJson::string(&set.decoded()));
                }
                item
            }));
            return Ok(all);
        }
        let events = map.take(&["events"], fields::list).ok_or_else(|| {
            ItemError::new(Refusal::UnknownShape, 0, "no list of `events` in the item")
        })?;
        let mut conversation = Conversation {
            id: map.take_id(&["id"]).unwrap_or_default(),
            kind: Held::Agent,
            owner: map.take(&["user_id", "userId"], RawJson::text),
            updated_at: map.take(&["last_update_time", "lastUpdateTime"], fields::time),
            ..Conversation::default()
        };
        let mut steps = Vec::with_capacity(events.len());
        for (at, raw) in events.iter().enumerate() {
            let mark = notes.mark();
            steps.extend(event(raw, notes)?);
            notes.under(mark, || format!("events[{at}]"));
        }
        // Sessions that were opened and never used.
        if steps.iter().all(|step| step.messages.is_empty()) {
            return Ok(Items::default());
        }
        (conversation.rounds, conversation.current) = session::rounds(steps, None);
        session::date(&mut conversation);
        conversation.metadata = map.rest();
        Ok(conversation.into())
    }
}

fn event<'a>(raw: &RawJson<'a>, notes: &mut Notes) -> Result<Option<Step<'a>>, ItemError> {
    let Some(mut map) = FieldMap::of(raw, notes) else {
        notes.unplaced("", raw);
        return Ok(None);
    };
    let is_partial = map.is_true("partial")
        || map.peek("options").and_then(fields::map).is_some_and(|map| map.is_true("partial"));
    if is_partial {
        return Ok(None);
    }
    let author = map.take(&["author"], RawJson::text);
    let is_user = author.as_ref().is_some_and(|author| *author == *"user");
    let at = map.take(&["timestamp"], fields::time);
    let model = map.take(&["modelVersion", "model_version"], RawJson::text);
    let ended = map.take(&["finishReason", "finish_reason"], marks::ended);
    let error =
        map.take(&["errorMessage", "error_message", "errorCode", "error_code"], fields::words);
    let usage = map.take(&["usageMetadata", "usage_metadata"], |raw| Some(usage_of(raw)));
    let mut messages = match map.take(&["content"], fields::object) {
        Some(content) => said(&content, is_user, notes)?,
        None => Vec::new(),
    };
    if let (true, Some(error)) = (messages.is_empty(), &error) {
        messages.push(Message { error: Some(error.clone()), ..Message::text(Role::Assistant, "") });
    }
    let mut rest = map.rest();
    rest.retain(|_, raw| !matches!(raw.as_str(), "null" | "{}" | "[]" | "false"));
    notes.unplaced_fields(&rest, &KNOWN, Least::Prose);
    for message in &mut messages {
        message.created_at = at;
        if !is_user && message.role != Role::Tool {
            message.name = author.clone();
        }
        if message.role == Role::Assistant {
            message.finish_reason = ended.clone();
            message.error = message.error.take().or_else(|| error.clone());
        }
    }
    if let Some(first) = messages.first_mut() {
        first.metadata.extend(rest);
    }
    Ok(Some(Step { messages, model, usage: usage.unwrap_or_default(), ..Step::default() }))
}

/// Gemini's counts, as either of its writers names them.
fn usage_of(raw: &RawJson<'_>) -> retort_model::Usage {
    let find = |names: &[&str]| {
        let map = fields::map(raw)?;
        names.iter().find_map(|name| fields::count(map.peek(name)?))
    };
    retort_model::Usage {
        input_tokens: find(&["promptTokenCount", "prompt_token_count"]),
        output_tokens: find(&["candidatesTokenCount", "candidates_token_count"]),
    }
}

/// The messages of a content. What agents say with the role `user` are the results of calls.
fn said<'a>(
    content: &RawJson<'a>,
    is_user: bool,
    notes: &mut Notes,
) -> Result<Vec<Message<'a>>, ItemError> {
    let Some(mut map) = FieldMap::of(content, notes) else { return Ok(Vec::new()) };
    map.take(&["role"], fields::json);
    // Older writers name every kind that a part is not.
    let parts = map.take(&["parts"], fields::list).unwrap_or_default();
    let parts: Vec<_> = parts.iter().filter_map(without_nulls).collect();
    map.put("parts", RawJson::array(&parts));
    let Some(raw) = map.rest_object() else { return Ok(Vec::new()) };
    let mark = notes.mark();
    let role = if is_user { "user" } else { "assistant" };
    let messages = chat::message_of(&raw, Some(role), &[], notes)?;
    notes.under(mark, || "content".into());
    Ok(messages)
}

fn without_nulls(raw: &RawJson<'_>) -> Option<RawJson<'static>> {
    let mut fields = fields::map(raw)?.rest();
    fields.retain(|_, raw| !raw.is_null());
    RawJson::object(&fields).map(RawJson::into_owned)
}

/// Reads an evaluation case: what is asked, the calls that are expected, and the answer.
fn case<'a>(mut map: FieldMap<'a>, notes: &mut Notes) -> Result<Conversation<'a>, ItemError> {
    let mut conversation = Conversation {
        id: map.take_id(&["eval_id", "evalId"]).unwrap_or_default(),
        kind: Held::Agent,
        created_at: map.take(&["creation_timestamp", "creationTimestamp"], fields::time),
        ..Conversation::default()
    };
    let turns = map.take(&["conversation"], fields::list).unwrap_or_default();
    let mut steps = Vec::new();
    for (at, raw) in turns.iter().enumerate() {
        let mark = notes.mark();
        steps.extend(turn(raw, notes)?);
        notes.under(mark, || format!("conversation[{at}]"));
    }
    (conversation.rounds, conversation.current) = session::rounds(steps, None);
    conversation.metadata = map.rest();
    Ok(conversation)
}

fn turn<'a>(raw: &RawJson<'a>, notes: &mut Notes) -> Result<Vec<Step<'a>>, ItemError> {
    let Some(mut map) = FieldMap::of(raw, notes) else {
        notes.unplaced("", raw);
        return Ok(Vec::new());
    };
    let at = map.take(&["creation_timestamp", "creationTimestamp"], fields::time);
    let mut messages = Vec::new();
    if let Some(content) = map.take(&["user_content", "userContent"], fields::object) {
        messages.extend(said(&content, true, notes)?);
    }
    let between = map.take(&["intermediate_data", "intermediateData"], fields::map);
    let mut between = between.unwrap_or_default();
    let uses = between.take(&["tool_uses", "toolUses"], fields::list).unwrap_or_default();
    let mut calling = Message { role: Role::Assistant, ..Message::default() };
    for (at, raw) in uses.iter().enumerate() {
        let mark = notes.mark();
        let call = without_nulls(raw);
        let calls = call.and_then(|raw| super::calls::calls_in(raw.as_str(), notes));
        match calls {
            Some(calls) => calling.tool_calls.extend(calls),
            None => notes.unplaced("", raw),
        }
        notes.under(mark, || format!("intermediate_data.tool_uses[{at}]"));
    }
    if !calling.tool_calls.is_empty() {
        messages.push(calling);
    }
    let rest = between.rest();
    for (key, raw) in &rest {
        if !matches!(raw.as_str(), "null" | "[]") {
            notes.unplaced(format!("intermediate_data.{}", key.decoded()), raw);
        }
    }
    if let Some(content) = map.take(&["final_response", "finalResponse"], fields::object) {
        messages.extend(said(&content, false, notes)?);
    }
    for message in &mut messages {
        message.created_at = at;
    }
    let mut rest = map.rest();
    rest.retain(|_, raw| !raw.is_null());
    notes.unplaced_fields(&rest, &KNOWN, Least::Prose);
    if let Some(first) = messages.first_mut() {
        first.metadata.extend(rest);
    }
    Ok(messages.into_iter().map(|one| Step { messages: vec![one], ..Step::default() }).collect())
}
