//! fast-agent's histories: `history_AGENT.json` in the folder of a session, and files that its commands save. Written
//! from its code (`evalstate/fast-agent`: `mcp/prompt_message_extended.py`, `session/snapshot.py`).
//!
//! A message has its content as MCP parts, next to it calls and results by their ids, and channels with what the
//! provider sent in addition to the answer. `session.json` in the same folder describes the session and names each
//! agent's history.

use retort_json::{Kind, RawJson, Text};
use retort_model::{Conversation, Kind as Held, Message, Role, ToolCall, Usage};

use super::fields::{self, FieldMap};
use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Refusal, SideFiles};
use super::parts::{self, Segment};
use super::roles::role;
use super::session::{self, Step};
use super::side::parted;
use super::sniff::{Entry, Sniff};
use super::thread::{self, Turn};
use super::unplaced::{Least, says, short};

/// The format.
pub(super) struct FastAgent;

/// The file of a session.
const SESSION: &str = "session.json";

/// What the name of a history contains if it is a copy of an earlier state.
const PREVIOUS: &str = "_previous";

/// The field of a session's fragment with the name of the agent.
const AGENT: &str = "agent_name";

/// The channel with the blocks of Anthropic's answer as Anthropic sent them.
const RAW_ANSWER: &str = "anthropic-assistant-raw-content";

impl ImportFormat for FastAgent {
    fn name(&self) -> &'static str {
        "fast-agent"
    }

    fn about(&self) -> &'static str {
        "fast-agent's histories: `history_*.json` below `.fast-agent/sessions`, and saved histories"
    }

    fn notes(&self) -> &'static str {
        "fast-agent keeps a folder for each session below `.fast-agent/sessions` (or where `environment_dir` says). \
         Import the folder as it is. Each agent's history is a conversation with the id `SESSION/AGENT`, and with \
         title, model and system prompt from `session.json`. Calls, results and reasoning are kept. Answers from \
         Anthropic are read as Anthropic sent them, with the tools that ran on its servers. Messages from prompt \
         templates are context (`train: false`). Other channels are kept as metadata. `history_*_previous.json` is a \
         copy of an earlier state, and is read only if the history does not continue it. Written from fast-agent's \
         code."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        (sniff.has("messages") && sniff.holds(&["messages", "is_template"]))
            || (sniff.has("is_template") && sniff.has("role") && sniff.has("content"))
            || is_session(sniff)
    }

    fn side_files(&self) -> Option<&'static SideFiles> {
        Some(&SideFiles {
            items: &["history_*.json"],
            read: &[SESSION, "history_*_previous.json"],
            ignored: &[],
        })
    }

    fn fragments<'t>(&self, text: &'t str, entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
        let folder = parted(entry.path).0;
        let key = |file: &str| format!("{folder}/{file}");
        if entry.name() != SESSION {
            if entry.name().starts_with("history_") {
                let name = entry.name().replace(PREVIOUS, "");
                into.push(Fragment { key: key(&name), order: 0, text: text.into() });
            }
            return;
        }
        for (file, about) in agents(text).unwrap_or_default() {
            into.push(Fragment { key: key(&file), order: 0, text: about.into_cow() });
        }
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let (mut agent, mut histories) = (None, Vec::new());
        for session::Line { raw, map } in session::lines(text, notes)? {
            if map.has(&["messages", "role"]) {
                histories.push((raw, map));
            } else if map.has(&[AGENT]) {
                agent = Some(map);
            }
        }
        let mut items = Items::default();
        let mut histories = histories.into_iter();
        let Some((raw, map)) = histories.next() else { return Ok(items) };
        let said = map.peek("messages").and_then(fields::list).unwrap_or_default();
        items.push(conversation(map, &raw, agent.clone(), notes)?);
        for (raw, map) in histories {
            // An earlier state, which the current one usually continues.
            let before = map.peek("messages").and_then(fields::list).unwrap_or_default();
            if !said.starts_with(&before) {
                let mut earlier = conversation(map, &raw, agent.clone(), notes)?;
                earlier.id = format!("{}#previous", earlier.id.decoded()).into();
                items.push(earlier);
            }
        }
        Ok(items)
    }
}

fn is_session(sniff: &Sniff<'_>) -> bool {
    sniff.has("session_id") && sniff.kind(&["continuation", "agents"]) == Some(Kind::Object)
}

/// For each agent of a session, the file of its history and what `session.json` says about it: the session, and the
/// agent's name and own fields.
fn agents(session: &str) -> Option<Vec<(String, RawJson<'static>)>> {
    let mut session = fields::map(&RawJson::owned(session).ok()?)?.owned();
    let mut state = session.take(&["continuation"], fields::map)?;
    let all = state.take(&["agents"], fields::map)?;
    let mut found = Vec::new();
    for (name, raw) in &all.rest() {
        let Some(mut agent) = fields::map(raw) else { continue };
        let Some(file) = agent.take(&["history_file"], RawJson::as_text) else { continue };
        let mut about = session.clone();
        for field in ["resolved_prompt", "model", "provider"] {
            if let Some(raw) = agent.take(&[field], fields::json) {
                about.put(field, raw.into_owned());
            }
        }
        about.put(AGENT, RawJson::string(&name.decoded()));
        found.extend(about.rest_object().map(|about| (file, about)));
    }
    Some(found)
}

fn conversation<'a>(
    mut map: FieldMap<'a>,
    raw: &RawJson<'a>,
    agent: Option<FieldMap<'a>>,
    notes: &mut Notes,
) -> Result<Conversation<'a>, ItemError> {
    let mut conversation = Conversation { kind: Held::Agent, ..Conversation::default() };
    let mut steps = Vec::new();
    if map.has(&["messages"]) {
        let list = map.take(&["messages"], fields::list).ok_or_else(|| {
            ItemError::new(Refusal::UnknownShape, 0, "no list of `messages` in the item")
        })?;
        for (at, raw) in list.iter().enumerate() {
            let mark = notes.mark();
            steps.push(step(raw, notes)?);
            notes.under(mark, || format!("messages[{at}]"));
        }
        conversation.metadata = map.rest();
        notes.unplaced_fields(&conversation.metadata, &[], Least::Prose);
    } else {
        // A single message, as in recordings of answers.
        steps.push(step(raw, notes)?);
    }
    session::finish(&mut conversation, steps)?;
    if let Some(agent) = agent {
        tell(&mut conversation, agent);
    }
    Ok(conversation)
}

/// Adds what `session.json` says about a history.
fn tell<'a>(conversation: &mut Conversation<'a>, mut agent: FieldMap<'a>) {
    let session = agent.take_id(&["session_id"]).unwrap_or_default();
    let name = agent.take(&[AGENT], RawJson::text).unwrap_or_default();
    conversation.id = format!("{}/{}", session.decoded(), name.decoded()).into();
    conversation.model = agent.take(&["model"], RawJson::text);
    let about = agent.peek("metadata").and_then(fields::map);
    conversation.title = about.and_then(|mut about| about.take(&["title", "label"], RawJson::text));
    conversation.created_at = agent.take(&["created_at"], fields::time).or(conversation.created_at);
    conversation.updated_at =
        agent.take(&["last_activity"], fields::time).or(conversation.updated_at);
    thread::instruct(conversation, agent.take(&["resolved_prompt"], RawJson::text));
    conversation.metadata.extend(agent.rest());
}

/// Fields of messages that add nothing to what is read.
const KNOWN: [&str; 3] = ["phase", "channels", "tool_calls"];

fn step<'a>(raw: &RawJson<'a>, notes: &mut Notes) -> Result<Step<'a>, ItemError> {
    let Some(mut map) = FieldMap::of(raw, notes) else {
        notes.unplaced("", raw);
        return Ok(Step::default());
    };
    let word = map.take(&["role"], RawJson::text);
    let (who, source_role) = word.map_or((Role::Other, None), role);
    if who == Role::Other {
        let word = source_role.as_ref().map_or("".into(), Text::decoded);
        notes.unplaced(format!("role={}", short(&word)), raw);
    }
    let mut channels = map.take(&["channels"], fields::map).unwrap_or_default();
    let is_template = map.is_true("is_template");
    map.take(&["is_template"], fields::json);
    let mut message = Message {
        role: who,
        source_role,
        created_at: map.take(&["timestamp"], fields::time),
        finish_reason: map.take(&["stop_reason"], RawJson::text),
        error: said(&channels, "fast-agent-error"),
        train: is_template.then_some(false),
        ..Message::default()
    };
    let mut segments = results(&mut map, notes)?;
    let requests = map.take(&["tool_calls"], fields::json);
    let content = map.take(&["content"], fields::json);
    if answer(&channels, &mut segments, notes)? {
        channels.take(&[RAW_ANSWER], fields::json);
        // The blocks contain the calls; these requests add how they were made.
        if let Some(raw) = requests {
            map.put("tool_calls", raw);
        }
    } else {
        segments.extend(said(&channels, "reasoning").map(Segment::Reasoning));
        if let Some(raw) = content {
            let mark = notes.mark();
            parts::segments_of(&raw, notes, &mut segments)?;
            notes.under(mark, || "content".into());
        }
        let calls = requests.as_ref().map(|raw| calls(raw, notes)).unwrap_or_default();
        segments.extend(calls.into_iter().map(Segment::Call));
    }
    channels.take(&["reasoning"], fields::json);
    let spent = said(&channels, "fast-agent-usage");
    let spent =
        spent.and_then(|text| Some(fields::map(&RawJson::owned(&text.decoded()).ok()?)?.owned()));
    let mut turn =
        spent.and_then(|mut usage| usage.take(&["turn"], fields::map)).unwrap_or_default();
    let model = turn.take(&["model"], RawJson::text);
    let usage = turn.rest_object().map_or(Usage::default(), |raw| session::usage_of(&raw));
    unknown_channels(&channels, notes);
    if let Some(raw) = channels.rest_object() {
        map.put("channels", raw);
    }
    message.metadata = map.rest();
    notes.unplaced_fields(&message.metadata, &KNOWN, Least::Prose);
    let messages = Turn::said(message, segments);
    Ok(Step { messages, model, usage, ..Step::default() })
}

/// The texts of a channel.
fn texts(channels: &FieldMap<'_>, name: &str) -> Vec<String> {
    let blocks = channels.peek(name).and_then(fields::maps).unwrap_or_default();
    blocks.into_iter().filter_map(|mut block| block.take(&["text"], RawJson::as_text)).collect()
}

/// The text of a channel; none if it is empty.
fn said(channels: &FieldMap<'_>, name: &str) -> Option<Text<'static>> {
    let text = texts(channels, name).join("\n");
    (!text.is_empty()).then(|| text.into())
}

/// Reads an answer of Anthropic from its blocks; false if there are none.
fn answer<'a>(
    channels: &FieldMap<'_>,
    segments: &mut Vec<Segment<'a>>,
    notes: &mut Notes,
) -> Result<bool, ItemError> {
    let blocks = texts(channels, RAW_ANSWER);
    let blocks: Vec<_> = blocks.iter().map_while(|block| RawJson::owned(block).ok()).collect();
    if blocks.is_empty() || blocks.len() != texts(channels, RAW_ANSWER).len() {
        return Ok(false);
    }
    let mark = notes.mark();
    parts::segments_of(&RawJson::array(&blocks), notes, segments)?;
    notes.under(mark, || format!("channels.{RAW_ANSWER}"));
    Ok(true)
}

/// Calls, which are MCP requests by their ids.
fn calls<'a>(requests: &RawJson<'a>, notes: &mut Notes) -> Vec<ToolCall<'a>> {
    let mut calls = Vec::new();
    for (id, raw) in fields::map(requests).unwrap_or_default().rest() {
        let request = fields::map(&raw).and_then(|mut request| {
            let mut params = request.take(&["params"], fields::map)?;
            let name = params.take(&["name"], RawJson::text)?;
            Some((request, params, name))
        });
        let Some((request, mut params, name)) = request else {
            notes.unplaced(format!("tool_calls.{}", short(&id.decoded())), &raw);
            continue;
        };
        let arguments = params.take(&["arguments"], fields::words).unwrap_or_default();
        let mut metadata = params.rest();
        fields::put_missing(&mut metadata, request.rest());
        calls.push(ToolCall { id, name, arguments, metadata });
    }
    calls
}

/// Results, which are MCP results by the ids of their calls.
fn results<'a>(map: &mut FieldMap<'a>, notes: &mut Notes) -> Result<Vec<Segment<'a>>, ItemError> {
    let mut results = Vec::new();
    for (id, raw) in map.take(&["tool_results"], fields::map).unwrap_or_default().rest() {
        let mark = notes.mark();
        let Some(mut result) = FieldMap::of(&raw, notes) else {
            notes.unplaced("", &raw);
            continue;
        };
        // The result for programs, which says the same as the content.
        let structured = result.take(&["structuredContent", "structured_content"], fields::json);
        let about = result.take(&["_meta", "meta"], fields::json);
        result.put("tool_call_id", RawJson::string(&id.decoded()));
        let mut message = parts::result_of(result, notes)?;
        for (name, raw) in [("structuredContent", structured), ("meta", about)] {
            message.metadata.extend(raw.map(|raw| (name.into(), raw)));
        }
        results.push(Segment::Result(message));
        notes.under(mark, || format!("tool_results.{}", short(&id.decoded())));
    }
    Ok(results)
}

/// Notes channels that are neither fast-agent's own nor a provider's.
fn unknown_channels(channels: &FieldMap<'_>, notes: &mut Notes) {
    for (name, raw) in channels.fields() {
        let word = name.decoded();
        let is_known =
            ["fast-agent-", "anthropic-", "openai-"].iter().any(|start| word.starts_with(start));
        if !is_known && says(raw, Least::Word) {
            notes.unplaced(format!("channels.{}", short(&word)), raw);
        }
    }
}
