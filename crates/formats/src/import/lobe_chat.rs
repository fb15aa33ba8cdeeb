//! LobeChat's backups: tables of messages, topics and sessions in one object. Written from its code
//! (`src/types/exportConfig.ts`, `src/types/message` and the fixtures of its importer).
//!
//! Messages name their session, topic and thread; those with the same are a conversation. An answer's calls are under
//! `tools`, and their results are messages of the role `tool`.

use std::collections::HashMap;

use retort_json::{Kind, RawJson, Text};
use retort_model::{Conversation, Role, Status, ToolCall};

use super::fields::{self, FieldMap};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::sniff::Sniff;
use super::thread::{self, Turn};
use super::tree::Links;

/// The format.
pub(super) struct LobeChat;

impl ImportFormat for LobeChat {
    fn name(&self) -> &'static str {
        "lobe-chat"
    }

    fn about(&self) -> &'static str {
        "LobeChat's backups: messages, topics and sessions in one file"
    }

    fn notes(&self) -> &'static str {
        "In LobeChat, Settings → Data Storage → Export (or a session's menu → Export as JSON) saves one file; backups \
         of the browser's database (`state`) and of PGlite and servers (`data`) are read. The messages of one topic, \
         or of a session without a topic, are a conversation, whose title is the topic's; the system role of the \
         session's agent becomes a system message. Regenerated answers are sibling rounds where messages name their \
         parents. `tools` become calls, plugin messages results, files and pictures parts without their bytes. \
         Settings, plugins, files and embeddings are dropped. Written from LobeChat's code; no real backup was \
         available."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        ["state", "data"].iter().any(|top| {
            sniff.kind(&[top, "messages"]) == Some(Kind::Array)
                && (sniff.kind(&[top, "topics"]) == Some(Kind::Array)
                    || sniff.kind(&[top, "sessions"]) == Some(Kind::Array))
        })
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut map = FieldMap::item(text, notes)?;
        let tables = map.take(&["state", "data"], fields::map);
        let list = tables.and_then(|mut tables| {
            let list = tables.take(&["messages"], fields::list)?;
            Some((tables, list))
        });
        let Some((mut tables, list)) = list else {
            let why = "no `messages` under `state` or `data`";
            return Err(ItemError::new(Refusal::UnknownShape, 0, why));
        };
        let about = About {
            topics: by_id(&mut tables, "topics", "id", notes),
            sessions: by_id(&mut tables, "sessions", "id", notes),
            agents: by_id(&mut tables, "agents", "id", notes),
            agent_of: by_id(&mut tables, "agentsToSessions", "sessionId", notes),
            plugins: by_id(&mut tables, "messagePlugins", "id", notes),
        };
        let mut order: Vec<Key> = Vec::new();
        let mut groups: HashMap<Key, Vec<(usize, FieldMap<'a>)>> = HashMap::new();
        for (at, raw) in list.iter().enumerate() {
            let Some(map) = FieldMap::of(raw, notes) else {
                let why = format!("messages[{at}] is not an object");
                return Err(ItemError::new(Refusal::BadField, 0, why));
            };
            let key = ["sessionId", "topicId", "threadId"].map(|name| {
                map.peek(name).and_then(fields::id).map(|id| id.decoded().into_owned())
            });
            let group = groups.entry(key.clone()).or_default();
            if group.is_empty() {
                order.push(key);
            }
            group.push((at, map));
        }
        let mut items = Items::default();
        for key in order {
            let Some(group) = groups.remove(&key) else { continue };
            let mark = notes.mark();
            let mut conversation = about.conversation(&key, group, notes)?;
            conversation.not_understood.extend(notes.since(mark));
            items.push(conversation);
        }
        Ok(items)
    }
}

/// The session, topic and thread that a message belongs to.
type Key = [Option<String>; 3];

type Rows<'a> = HashMap<String, FieldMap<'a>>;

/// What the other tables say of sessions, topics and messages.
struct About<'a> {
    topics: Rows<'a>,
    sessions: Rows<'a>,
    agents: Rows<'a>,
    agent_of: Rows<'a>,
    plugins: Rows<'a>,
}

fn by_id<'a>(tables: &mut FieldMap<'a>, table: &str, id: &str, notes: &mut Notes) -> Rows<'a> {
    let rows = tables.take(&[table], fields::list).unwrap_or_default();
    let rows = rows.iter().filter_map(|raw| {
        let map = FieldMap::of(raw, notes)?;
        let id = map.peek(id).and_then(fields::id)?.decoded().into_owned();
        Some((id, map))
    });
    rows.collect()
}

impl<'a> About<'a> {
    fn conversation(
        &self,
        [session, topic, thread]: &Key,
        group: Vec<(usize, FieldMap<'a>)>,
        notes: &mut Notes,
    ) -> Result<Conversation<'a>, ItemError> {
        let mut conversation = Conversation::default();
        let id = topic.as_ref().or(session.as_ref());
        conversation.id = match (id, thread) {
            (Some(id), Some(thread)) => format!("{id}#{thread}").into(),
            (Some(id), None) => id.clone().into(),
            (None, _) => Text::default(),
        };
        let session_row = session.as_ref().and_then(|id| self.sessions.get(id));
        let row = topic.as_ref().and_then(|id| self.topics.get(id));
        let meta = session_row.and_then(|row| FieldMap::of(row.peek("meta")?, notes));
        let name = |row: &FieldMap<'a>| row.peek("title").and_then(RawJson::text);
        conversation.title =
            row.or(session_row).and_then(name).or_else(|| meta.as_ref().and_then(name));
        if let Some(row) = row.or(session_row) {
            let time = |name: &str| row.peek(name).and_then(fields::time);
            conversation.created_at = time("createdAt");
            conversation.updated_at = time("updatedAt");
            if row.peek("favorite").is_some_and(|raw| matches!(raw.as_str(), "true" | "1")) {
                conversation.status = Status::Favorite;
            }
        }
        // The agent is in the session, or in a table of its own.
        let config = session_row.and_then(|row| FieldMap::of(row.peek("config")?, notes));
        let agent = || {
            let link = self.agent_of.get(session.as_ref()?)?;
            let id = link.peek("agentId").and_then(fields::id)?;
            self.agents.get(&*id.decoded())
        };
        let config = config.as_ref().or_else(agent);
        let text = |name: &str| config?.peek(name).and_then(RawJson::text);
        let system = text("systemRole");
        conversation.model = text("model");
        let mut group = group;
        // Backups list messages by their time, or in no order.
        group.sort_by_key(|(at, map)| (map.peek("createdAt").and_then(fields::time), *at));
        let names_parents = group.iter().filter(|(_, map)| map.peek("parentId").is_some()).count()
            * 2
            > group.len();
        let (mut turns, mut places) = (Vec::new(), Vec::new());
        for (at, map) in group {
            let mark = notes.mark();
            let mut turn = self.turn(map, notes)?;
            if !names_parents {
                turn.links.parent = None;
            }
            turns.push(turn);
            places.push(at);
            notes.under(mark, || format!("messages[{at}]"));
        }
        let path = |at: usize| {
            format!("messages[{}].parentId", places.get(at).copied().unwrap_or_default())
        };
        thread::grow(turns, None, &mut conversation, notes, path);
        thread::instruct(&mut conversation, system);
        if let Some(raw) = session.as_ref().map(|id| RawJson::string(id)) {
            conversation.metadata.put("sessionId".into(), raw);
        }
        Ok(conversation)
    }

    fn turn(&self, mut map: FieldMap<'a>, notes: &mut Notes) -> Result<Turn<'a>, ItemError> {
        let id = map.peek("id").and_then(fields::id).unwrap_or_default();
        let parent = map.peek("parentId").and_then(fields::id);
        let calls = map.take(&["tools"], fields::list_within).unwrap_or_default();
        let reasoning = map.take(&["reasoning"], |raw| fields::text_or_under(raw, &["content"]));
        let files = ["files", "imageList", "fileList"].map(|name| map.take(&[name], fields::list));
        // Older backups have it at the message, newer in a table of its own.
        let own = map.take(&["plugin"], fields::map);
        let plugin = own.as_ref().or_else(|| self.plugins.get(&*id.decoded()));
        let call_id = ["tool_call_id", "toolCallId"]
            .iter()
            .find_map(|name| map.peek(name).or_else(|| plugin?.peek(name)).and_then(fields::id));
        let name = plugin.and_then(|plugin| plugin.peek("apiName").and_then(RawJson::text));
        let whole = map.rest_object().unwrap_or(RawJson::null());
        let mut messages = thread::message(&whole, &KNOWN, notes)?;
        let model = messages.iter().find_map(|message| {
            message.metadata.get("model").filter(|_| message.role == Role::Assistant)?.text()
        });
        if let Some(message) = messages.last_mut() {
            message.reasoning = message.reasoning.take().or(reasoning);
            if message.role == Role::Tool {
                message.tool_call_id = message.tool_call_id.take().or(call_id);
                message.name = message.name.take().or(name);
            }
            for (at, raw) in calls.iter().enumerate() {
                match call(raw) {
                    Some(call) => message.tool_calls.push(call),
                    None => notes.unplaced(format!("tools[{at}]"), raw),
                }
            }
        }
        let parts = files.iter().flatten().flatten();
        let parts = parts.map(|raw| thread::file_part(raw, &["fileType", "type"])).collect();
        thread::attach(&mut messages, parts);
        let links = Links { id, parent, children: Vec::new() };
        Ok(Turn { links, model, ..Turn::plain(messages) })
    }
}

/// Fields of messages that say nothing that a person or the model said.
const KNOWN: [&str; 6] =
    ["search", "extra", "pluginState", "observationId", "traceId", "translate"];

/// A call: `{id, identifier, apiName, arguments, type}`. A tool of a plugin is named after both.
fn call<'a>(raw: &RawJson<'a>) -> Option<ToolCall<'a>> {
    let mut map = fields::map(raw)?;
    Some(ToolCall {
        id: map.take_id(&["id"]).unwrap_or_default(),
        name: map.take(&["apiName", "name"], RawJson::text)?,
        arguments: map.take(&["arguments"], fields::words)?,
        metadata: map.rest(),
    })
}
