//! Open WebUI's chats: the exports of a chat, of all chats and of feedback, and the rows of its database. Written from its
//! code (`backend/open_webui/models/chats.py` and `feedbacks.py`, and `utils/middleware.py`, which writes the blocks below)
//! and from exports that people have shared.
//!
//! A chat is a tree of messages under `history`. An answer of an older version shows reasoning, calls and code that ran as
//! HTML blocks (`<details type="…">`) in its content; a newer one has them as items of OpenAI's Responses API under
//! `output`, too, which then count.

use std::borrow::Cow;

use retort_json::{Kind, Parser, RawJson, Text};
use retort_model::{Conversation, Message, Role, ToolCall, Usage};

use super::chat;
use super::fields::{self, FieldMap};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::parts::Segment;
use super::sniff::Sniff;
use super::thread::{self, Turn};
use super::tree::Links;

/// The format.
pub(super) struct OpenWebUi;

impl ImportFormat for OpenWebUi {
    fn name(&self) -> &'static str {
        "open-webui"
    }

    fn about(&self) -> &'static str {
        "Open WebUI's exports of chats and of feedback"
    }

    fn notes(&self) -> &'static str {
        "In Open WebUI, Settings → Data Controls → Export Chats; an admin exports everybody's under Admin Panel → \
         Settings → Database, and ratings under Admin Panel → Evaluations → Feedbacks → Export. One chat's export, the \
         bare `chat` object, the database `webui.db`, and rows of its tables `chat` and `feedback` as JSON or CSV are \
         read, too.\n\nRegenerated answers, answers of several models and edits are sibling rounds. Reasoning, calls, \
         their results and code that ran are taken from `output`, or else from the HTML blocks in an answer's text. \
         Retrieved `sources` are contexts, files parts without their bytes, ratings feedback; the system prompt of a \
         chat becomes a system message. A feedback export gives the chat of its snapshot; without a snapshot, a rating \
         is refused. Suggested follow-ups, status messages and the text before an edit are kept as metadata. The list \
         `messages` beside `history`, which holds the shown path again, is dropped; the table `chat_message`, which \
         repeats the chats, is skipped. Written from Open WebUI's code and from shared exports."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let is_chat = |path: &[&str]| {
            sniff.kind(&[path, &["history", "messages"]].concat()) == Some(Kind::Object)
                && (sniff.holds(&[path, &["history", "currentId"]].concat())
                    || sniff.holds(&[path, &["models"]].concat()))
        };
        let has_list = || {
            sniff.kind(&["chat", "messages"]) == Some(Kind::Array)
                && sniff.holds(&["chat", "models"])
        };
        is_chat(&["chat"]) || is_chat(&[]) || has_list() || is_rating(sniff)
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut map = FieldMap::item(text, notes)?;
        if !(map.has(&["snapshot"]) || map.has(&["meta"]) && map.has(&["data"])) {
            return Ok(conversation(map, notes)?.into());
        }
        // A rating, with the chat as it was then.
        let row = map
            .take(&["snapshot"], fields::object_within)
            .and_then(|raw| FieldMap::of(&raw, notes)?.take(&["chat"], fields::object_within))
            .and_then(|raw| FieldMap::of(&raw, notes))
            .ok_or_else(|| unknown("a rating without the snapshot of its chat"))?;
        let mut conversation = conversation(row, notes)?;
        rate(&mut conversation, &mut map, notes);
        Ok(conversation.into())
    }
}

/// Whether an item is a row of `chat_message`, where newer versions keep the messages of their chats again.
pub(super) fn is_copy(sniff: &Sniff<'_>) -> bool {
    ["chat_id", "parent_id", "model_id", "status_history"].iter().all(|key| sniff.has(key))
}

fn is_rating(sniff: &Sniff<'_>) -> bool {
    sniff.has("snapshot") && (sniff.holds(&["data", "rating"]) || sniff.holds(&["meta", "chat_id"]))
}

fn unknown(why: &str) -> ItemError {
    ItemError::new(Refusal::UnknownShape, 0, why)
}

/// Reads a row of the table of chats, or the `chat` that it holds.
fn conversation<'a>(
    mut row: FieldMap<'a>,
    notes: &mut Notes,
) -> Result<Conversation<'a>, ItemError> {
    let chat = row.take(&["chat"], fields::object_within);
    let mark = notes.mark();
    let mut chat = match &chat {
        Some(raw) => FieldMap::of(raw, notes).ok_or_else(|| unknown("`chat` is not an object"))?,
        None => std::mem::take(&mut row),
    };
    if !chat.has(&["history", "messages"]) {
        return Err(unknown("no `history` or `messages` of a chat in the item"));
    }
    let mut conversation = Conversation {
        id: row.take_id(&["id"]).or_else(|| chat.take_id(&["id"])).unwrap_or_default(),
        title: row.take(&["title"], RawJson::text),
        created_at: row.take(&["created_at"], fields::time),
        updated_at: row.take(&["updated_at"], fields::time),
        ..Conversation::default()
    };
    conversation.title = chat.take(&["title"], RawJson::text).or(conversation.title);
    let began = chat.take(&["timestamp"], fields::time);
    conversation.created_at = conversation.created_at.or(began);
    let mut meta =
        row.take(&["meta"], fields::object_within).and_then(|raw| FieldMap::of(&raw, notes));
    let tags = chat.take(&["tags"], fields::list).unwrap_or_default();
    let tags = meta
        .as_mut()
        .and_then(|meta| meta.take(&["tags"], fields::list))
        .filter(|tags| !tags.is_empty())
        .unwrap_or(tags);
    conversation.tags = tags.iter().filter_map(tag).collect();
    let system = chat
        .take(&["system"], RawJson::text)
        .or_else(|| FieldMap::of(chat.peek("params")?, notes)?.take(&["system"], RawJson::text));
    let list = chat.take(&["messages"], fields::list).unwrap_or_default();
    let history = chat.take(&["history"], fields::object);
    let mut history = history.and_then(|raw| FieldMap::of(&raw, notes)).unwrap_or_default();
    let by_id = history.take(&["messages"], fields::object);
    let by_id = by_id.and_then(|raw| FieldMap::of(&raw, notes)).unwrap_or_default().rest();
    let mut turns = Vec::with_capacity(by_id.len().max(list.len()));
    if by_id.is_empty() {
        for (at, raw) in list.iter().enumerate() {
            let mark = notes.mark();
            turns.push(turn(raw, notes)?);
            notes.under(mark, || format!("messages[{at}]"));
        }
        thread::grow(turns, None, &mut conversation, notes, |at| {
            format!("messages[{at}].parentId")
        });
    } else {
        let path =
            |id: &Text<'_>| format!("history.messages.{}", super::unplaced::short(&id.decoded()));
        for (id, raw) in &by_id {
            let mark = notes.mark();
            let mut turn = turn(raw, notes)?;
            if turn.links.id.is_empty() {
                turn.links.id = id.clone();
            }
            turns.push(turn);
            notes.under(mark, || path(id));
        }
        for (at, raw) in list.iter().enumerate() {
            if !is_again(raw, &by_id) {
                notes.unplaced(format!("messages[{at}]"), raw);
            }
        }
        let current = history.take(&["currentId"], RawJson::text);
        let ids: Vec<_> = by_id.iter().map(|(id, _)| id).collect();
        let name = |at: usize| ids.get(at).map(|id| path(id) + ".parentId").unwrap_or_default();
        thread::grow(turns, current.as_ref(), &mut conversation, notes, name);
    }
    thread::instruct(&mut conversation, system);
    if let [model] = &*chat.peek("models").and_then(fields::list).unwrap_or_default() {
        conversation.model = model.text();
    }
    notes.under(mark, || "chat".into());
    conversation.metadata = row.rest();
    let rest = [("chat", chat.rest_object()), ("meta", meta.and_then(FieldMap::rest_object))];
    for (name, raw) in rest {
        if let Some(raw) = raw {
            conversation.metadata.put(name.into(), raw);
        }
    }
    Ok(conversation)
}

/// The name of a tag: a text, or an object with a name.
fn tag<'a>(raw: &RawJson<'a>) -> Option<Text<'a>> {
    fields::text_or_under(raw, &["name"])
}

/// Whether a message of the list says what its namesake in the tree says.
fn is_again(raw: &RawJson<'_>, by_id: &retort_model::Fields<'_>) -> bool {
    let said = |raw: &RawJson<'_>| {
        let map = fields::map(raw)?;
        Some(["role", "content"].map(|name| map.peek(name).map(RawJson::compact)))
    };
    let id = fields::map(raw).and_then(|mut map| map.take_id(&["id"]));
    let own = said(raw);
    match id.and_then(|id| by_id.get(&id.decoded())) {
        Some(there) => own.is_some() && said(there) == own,
        None => by_id.iter().any(|(_, there)| own.is_some() && said(there) == own),
    }
}

/// Fields of messages that say nothing more than is read, or nothing that the model wrote or read.
const KNOWN: [&str; 12] = [
    "output",
    "statusHistory",
    "followUps",
    "lastSentence",
    "userContext",
    "originalContent",
    "code_executions",
    "info",
    "embeds",
    "done",
    "arena",
    "favorite",
];

/// Reads a message, which may be several.
fn turn<'a>(raw: &RawJson<'a>, notes: &mut Notes) -> Result<Turn<'a>, ItemError> {
    if fields::kind(raw) != Some(Kind::Object) {
        notes.unplaced("", raw);
        return Ok(Turn::default());
    }
    let mut messages = thread::message(raw, &KNOWN, notes)?;
    let id = messages.iter().find_map(|one| fields::id(one.metadata.get("id")?));
    let parent = thread::take(&mut messages, "parentId", |raw| fields::id(raw));
    let children = thread::take(&mut messages, "childrenIds", |raw| fields::list(raw));
    let children = children.iter().flatten().filter_map(fields::id).collect();
    let links = Links { id: id.clone().unwrap_or_default(), parent, children };
    let sources = thread::take(&mut messages, "sources", |raw| fields::list(raw))
        .or_else(|| thread::take(&mut messages, "citations", |raw| fields::list(raw)));
    let files = thread::take(&mut messages, "files", |raw| fields::list(raw));
    let annotation = thread::take(&mut messages, "annotation", fields::map);
    let output = thread::take(&mut messages, "output", |raw| fields::list(raw));
    let model = messages.iter().find_map(|one| one.metadata.get("model")?.text());
    let usage = messages.iter().find_map(usage).unwrap_or_default();
    let is_open = messages
        .iter()
        .any(|one| one.metadata.get("done").is_some_and(|raw| raw.as_str() == "false"));
    if let [message] = messages.as_mut_slice()
        && message.role == Role::Assistant
    {
        if is_open && message.finish_reason.is_none() {
            message.finish_reason = Some("unfinished".into());
        }
        let items = output.filter(|list| !list.is_empty());
        let has_blocks = || message.words().as_written().contains("<details");
        if items.is_some() || has_blocks() {
            let message = std::mem::take(message);
            let shown = message.words().into_owned();
            messages = match items {
                Some(items) => from_items(message, &items, &shown, notes)?,
                None => from_blocks(message, &shown, notes)?,
            };
        }
    }
    if let Some(answer) = messages.iter_mut().rfind(|one| one.role == Role::Assistant) {
        answer.contexts.extend(sources.into_iter().flatten());
        if let Some(mut map) = annotation {
            answer.feedback = thread::feedback(&mut map, &["rating"], &["reason"], &["comment"]);
            if let Some(rest) = map.rest_object() {
                answer.metadata.put("annotation".into(), rest);
            }
        }
    } else if let Some(question) = messages.last_mut() {
        question.contexts.extend(sources.into_iter().flatten());
    }
    let files = files.iter().flatten().map(|raw| thread::file_part(raw, &["type"])).collect();
    thread::attach(&mut messages, files);
    Ok(Turn { links, messages, model, usage })
}

/// The tokens of an answer, by OpenAI's names or Ollama's.
fn usage(message: &Message<'_>) -> Option<Usage> {
    let raw = message.metadata.get("usage").or_else(|| message.metadata.get("info"))?;
    let mut map = fields::map(raw)?;
    Some(Usage {
        input_tokens: map
            .take(&["prompt_tokens", "input_tokens", "prompt_eval_count"], fields::count),
        output_tokens: map
            .take(&["completion_tokens", "output_tokens", "eval_count"], fields::count),
    })
}

/// How Open WebUI cut reasoning out of the model's text.
const OF_ITEMS: [&str; 3] = ["start_tag", "end_tag", "attributes"];

/// The messages that an answer's items make. Its text shows them once more.
fn from_items<'a>(
    whole: Message<'a>,
    items: &[RawJson<'a>],
    shown: &Text<'_>,
    notes: &mut Notes,
) -> Result<Vec<Message<'a>>, ItemError> {
    let mark = notes.mark();
    let list = RawJson::array(items);
    let text = list.into_cow();
    let read = chat::messages(&mut Parser::lenient(&text), &OF_ITEMS, notes);
    let read = read.map_err(|error| ItemError { at: 0, ..error })?;
    notes.under(mark, || "output".into());
    let mut messages: Vec<Message<'a>> = read.into_iter().map(Message::into_owned).collect();
    let shown = shown.decoded();
    let plain = |text: &str| -> String { text.chars().filter(|c| !c.is_whitespace()).collect() };
    let said: String = messages
        .iter()
        .filter(|message| message.role == Role::Assistant)
        .map(|message| message.words().decoded().into_owned())
        .collect();
    let texts = blocks(&shown).into_iter().filter_map(|block| match block {
        Block::Text(text) => Some(text),
        Block::Details(..) => None,
    });
    if plain(&said) != plain(&texts.collect::<String>()) {
        // A person may have changed the text since.
        notes.unplaced("content", &RawJson::string(&shown));
    }
    // What is said of the whole is said of its last answer.
    match messages.iter_mut().rfind(|message| message.role == Role::Assistant) {
        Some(last) => {
            let mut own = std::mem::replace(&mut last.metadata, whole.metadata);
            if let Some(items) = own.take("items") {
                last.metadata.put("items".into(), items);
            }
            chat::keep_also(last, own);
            if shown.contains(DETAILS) {
                last.metadata.put("content".into(), RawJson::string(&shown));
            }
            last.created_at = whole.created_at.or(last.created_at);
            last.error = whole.error.or(last.error.take());
            last.finish_reason = whole.finish_reason.or(last.finish_reason.take());
            last.name = whole.name;
            last.train = whole.train;
        }
        None => messages.push(Message { content: None, ..whole }),
    }
    Ok(messages)
}

/// The messages that an answer makes whose text shows what else belongs to it.
fn from_blocks<'a>(
    message: Message<'a>,
    shown: &Text<'_>,
    notes: &mut Notes,
) -> Result<Vec<Message<'a>>, ItemError> {
    let shown = shown.decoded();
    if !shown.contains(DETAILS) {
        return Ok(vec![message]);
    }
    let mut segments = Vec::new();
    for block in blocks(&shown) {
        match block {
            Block::Text(text) if text.trim().is_empty() => {}
            Block::Text(text) => {
                segments.push(Segment::text(text.trim().to_owned().into()));
            }
            Block::Details(attributes, body, whole) => {
                let place = segments.len();
                match details(&attributes, body, place, notes)? {
                    Some(segment) => {
                        // Code runs one piece after the other.
                        if attributes.contains(&("type", "code_interpreter".to_owned())) {
                            segments.push(Segment::Step);
                        }
                        segments.push(segment);
                    }
                    None => notes.unplaced("content", &RawJson::string(whole)),
                }
            }
        }
    }
    let mut message = Message { content: None, ..message };
    message.metadata.put("content".into(), RawJson::string(&shown));
    Ok(Turn::of(message, segments).messages)
}

const DETAILS: &str = "<details type=\"";

/// A piece of an answer's text.
enum Block<'t> {
    Text(&'t str),
    /// A block's attributes, what is inside, and the whole.
    Details(Vec<(&'t str, String)>, &'t str, &'t str),
}

/// Cuts an answer's text into what is said and what is shown as blocks.
fn blocks(mut text: &str) -> Vec<Block<'_>> {
    let mut blocks = Vec::new();
    while let Some(start) = text.find(DETAILS) {
        let (before, rest) = text.split_at(start);
        let Some((attributes, body, end)) = block(rest) else { break };
        blocks.push(Block::Text(before));
        let (whole, after) = rest.split_at(end);
        blocks.push(Block::Details(attributes, body, whole));
        text = after;
    }
    blocks.push(Block::Text(text));
    blocks
}

type Opened<'t> = (Vec<(&'t str, String)>, &'t str, usize);

/// The attributes and the inside of the block that comes next, and where it ends.
fn block(text: &str) -> Option<Opened<'_>> {
    let mut rest = text.strip_prefix("<details")?;
    let mut attributes = Vec::new();
    loop {
        rest = rest.trim_start();
        if let Some(inside) = rest.strip_prefix('>') {
            rest = inside;
            break;
        }
        let (name, value) = rest.split_once("=\"")?;
        let (value, after) = value.split_once('"')?;
        attributes.push((name, unescape(value).into_owned()));
        rest = after;
    }
    let (body, after) = rest.split_once("</details>")?;
    Some((attributes, body, text.len() - after.len()))
}

/// What a block shows; none if it is not known.
fn details(
    attributes: &[(&str, String)],
    body: &str,
    place: usize,
    notes: &mut Notes,
) -> Result<Option<Segment<'static>>, ItemError> {
    let attribute = |name: &str| {
        attributes.iter().find(|(one, _)| *one == name).map(|(_, value)| value.as_str())
    };
    let body = match body.split_once("</summary>") {
        Some((_, body)) => body.trim(),
        None => body.trim(),
    };
    let body = unescape(body);
    let json = |text: &str| RawJson::owned(text).ok().filter(|_| !text.is_empty());
    match attribute("type") {
        Some("reasoning") => {
            let lines = body.lines().map(|line| {
                line.strip_prefix("> ").or_else(|| line.strip_prefix('>')).unwrap_or(line)
            });
            Ok(Some(Segment::Reasoning(lines.collect::<Vec<_>>().join("\n").into())))
        }
        Some("tool_calls") => {
            let Some(arguments) = attribute("arguments").and_then(json) else { return Ok(None) };
            let mut call = ToolCall {
                id: attribute("id").unwrap_or_default().to_owned().into(),
                name: attribute("name").unwrap_or_default().to_owned().into(),
                arguments: fields::words(&arguments).unwrap_or_default(),
                ..ToolCall::default()
            };
            for name in ["files", "embeds"] {
                let shown = attribute(name)
                    .and_then(json)
                    .filter(|raw| !matches!(raw.as_str(), "\"\"" | "null" | "[]"));
                if let Some(raw) = shown {
                    call.metadata.put(name.into(), raw);
                }
            }
            let output = attribute("result").and_then(json).or_else(|| json(&body));
            let output = output.or_else(|| (!body.is_empty()).then(|| RawJson::string(&body)));
            Ok(Some(thread::ran(call, output, None, notes)?))
        }
        Some("code_interpreter") => {
            let fenced = body.strip_prefix("```").and_then(|text| text.split_once('\n'));
            let Some((language, code)) = fenced else { return Ok(None) };
            let code = code.trim_end().strip_suffix("```").unwrap_or(code).trim_end_matches('\n');
            let call = ToolCall {
                id: format!("code_interpreter-{place}").into(),
                name: "code_interpreter".into(),
                arguments: format!(
                    "{{\"code\":{},\"lang\":{}}}",
                    RawJson::string(code),
                    RawJson::string(language.trim())
                )
                .into(),
                ..ToolCall::default()
            };
            Ok(Some(thread::ran(call, attribute("output").and_then(json), None, notes)?))
        }
        _ => Ok(None),
    }
}

/// Undoes what Python's `html.escape` does.
fn unescape(text: &str) -> Cow<'_, str> {
    if !text.contains('&') {
        return text.into();
    }
    let pairs = [("&lt;", "<"), ("&gt;", ">"), ("&quot;", "\""), ("&#x27;", "'"), ("&#39;", "'")];
    let mut plain = text.to_owned();
    for (escaped, c) in pairs {
        plain = plain.replace(escaped, c);
    }
    plain.replace("&amp;", "&").into()
}

/// Puts a rating to the answer that it is of.
fn rate<'a>(conversation: &mut Conversation<'a>, row: &mut FieldMap<'a>, notes: &mut Notes) {
    let meta = row.take(&["meta"], fields::object_within).and_then(|raw| FieldMap::of(&raw, notes));
    let data = row.take(&["data"], fields::object_within).and_then(|raw| FieldMap::of(&raw, notes));
    let id = meta.as_ref().and_then(|meta| fields::id(meta.peek("message_id")?));
    let Some(mut data) = data else { return };
    let mut messages = conversation.rounds.iter_mut().flat_map(|round| &mut round.messages);
    let answer = messages.find(|message| {
        message.role == Role::Assistant
            && id.is_some()
            && message.metadata.get("id").and_then(fields::id) == id
    });
    match answer {
        Some(answer) => {
            let feedback = thread::feedback(&mut data, &["rating"], &["reason"], &["comment"]);
            answer.feedback = feedback.or(answer.feedback.take());
        }
        None => notes.unplaced(
            "meta.message_id",
            &id.map_or(RawJson::null(), |id| RawJson::string(&id.decoded())),
        ),
    }
    let rest = [("data", data.rest_object()), ("meta", meta.and_then(FieldMap::rest_object))];
    for (name, raw) in rest {
        if let Some(raw) = raw {
            row.put(name, raw);
        }
    }
    if let Some(raw) = std::mem::take(row).rest_object() {
        conversation.metadata.put("rating".into(), raw);
    }
}
