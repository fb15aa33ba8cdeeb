//! ChatGPT's data export: `conversations.json`, or `conversations-000.json` and so on, in a ZIP archive or unpacked.
//! There is no specification; the shapes are those of exports that people have shared.
//!
//! A conversation is a tree of nodes under `mapping`, some without a message; `tree.rs` makes rounds of it. A call is a
//! message of the model to a recipient other than `all`; what the tool says next answers it. Calls have no ids, so that
//! of the message is taken. The model's thoughts are nodes before its answer, of which they become the reasoning.

use retort_json::{Kind, Parser, RawJson, Text};
use retort_model::{
    Conversation, Feedback, Fields, Message, Part, PartKind, Role, Status, ToolCall,
};

use super::fields::{self, FieldMap};
use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Refusal, SideFiles};
use super::openai;
use super::parts;
use super::roles::role;
use super::sniff::{Entry, Sniff};
use super::tree::{Broken, Links, Tree};
use super::unplaced::{Least, says, short};

/// The format.
pub(super) struct ChatGpt;

const FEEDBACK: &str = "message_feedback.json";

impl ImportFormat for ChatGpt {
    fn name(&self) -> &'static str {
        "chatgpt"
    }

    fn about(&self) -> &'static str {
        "ChatGPT's data export: its ZIP archive, or `conversations.json` from it"
    }

    fn notes(&self) -> &'static str {
        "In ChatGPT, Settings → Data controls → Export data sends a ZIP archive; give it to Retort as it is, or unpack \
         it. Regenerated answers and edited questions are sibling rounds, and what was shown last is the path. Calls \
         of the code interpreter, browsing and other tools become calls with the id of their message, as the export \
         has none, and what the tool said next becomes their results; code stays as it was written. Thoughts become \
         the reasoning of the answer that follows, custom instructions and memories a system message, images, audio \
         and attached files parts without their bytes. Ratings in `message_feedback.json` become feedback. Everything \
         else in a message or conversation (citations, safe URLs, …) is kept as metadata, including nodes without a \
         message or with an empty system message."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let has_nodes = |path: &[&str]| {
            ["message", "parent", "children"]
                .iter()
                .any(|key| sniff.holds(&[path, &["mapping", "*", key]].concat()))
        };
        sniff.kind(&["mapping"]) == Some(Kind::Object)
            && (has_nodes(&[]) || sniff.has("current_node"))
            || has_nodes(&["conversations"])
    }

    fn side_files(&self) -> Option<&'static SideFiles> {
        Some(&SideFiles {
            items: &["conversations.json", "conversations-*.json"],
            read: &[FEEDBACK],
            ignored: &[
                "user.json",
                "user_settings.json",
                "shared_conversations.json",
                "model_comparisons.json",
                "group_chats.json",
                "shopping.json",
                "sora.json",
                "export_manifest.json",
                "chat.html",
            ],
        })
    }

    fn fragments<'t>(&self, text: &'t str, entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
        let sniff = Sniff::found(text, entry);
        let id = sniff.text(&["conversation_id"]);
        let id = if entry.name() == FEEDBACK { id } else { id.or_else(|| sniff.text(&["id"])) };
        into.extend(id.map(|key| Fragment { key, order: 0, text: text.into() }));
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut parser = Parser::lenient(text);
        let (mut conversations, mut feedback) = (Vec::new(), Vec::new());
        if parser.kind()? == Kind::Array {
            parser.array()?;
            while parser.next_element()? {
                let at = parser.at();
                let raw = parser.raw()?;
                let Some(map) = FieldMap::of(&raw, notes) else { return Err(unknown(at)) };
                if map.has(&["mapping"]) { &mut conversations } else { &mut feedback }.push(map);
            }
        } else {
            conversations.push(FieldMap::read(&mut parser, notes)?);
        }
        parser.end()?;
        notes.count(&parser);
        let mut items = Items::default();
        for mut map in conversations {
            let Some(list) = map.take(&["conversations"], fields::list) else {
                items.push(conversation(map, &mut feedback, notes)?);
                continue;
            };
            for raw in list {
                let map = FieldMap::of(&raw, notes).ok_or_else(|| unknown(0))?;
                items.push(conversation(map, &mut feedback, notes)?);
            }
        }
        Ok(items)
    }
}

fn unknown(at: usize) -> ItemError {
    ItemError::new(Refusal::UnknownShape, at, "no `mapping` of nodes in the item")
}

fn conversation<'a>(
    mut map: FieldMap<'a>,
    feedback: &mut [FieldMap<'a>],
    notes: &mut Notes,
) -> Result<Conversation<'a>, ItemError> {
    let mapping = map.take(&["mapping"], fields::object).ok_or_else(|| unknown(0))?;
    let current = map.peek("current_node").and_then(RawJson::text);
    let mut conversation = Conversation {
        id: map.take_id(&["conversation_id", "id"]).unwrap_or_default(),
        title: map.take(&["title"], RawJson::text),
        created_at: map.take(&["create_time"], fields::time),
        updated_at: map.take(&["update_time"], fields::time),
        model: map.take(&["default_model_slug", "model_slug"], RawJson::text),
        ..Conversation::default()
    };
    if map.is_true("is_starred") {
        conversation.status = Status::Favorite;
    }
    if map.peek("id").and_then(RawJson::text).is_some_and(|id| id == conversation.id) {
        map.take(&["id"], fields::json);
    }
    let nodes = nodes(&mapping, notes)?;
    let empty = grow(&nodes, current.as_ref(), &mut conversation, notes);
    conversation.metadata = map.rest();
    for map in feedback {
        rate(&mut conversation, map);
    }
    openai::account_for_messages(&conversation, notes);
    if !empty.is_empty() {
        conversation.metadata.put("nodes_without_message".into(), RawJson::array(&empty));
    }
    Ok(conversation)
}

/// Puts what a person thought of an answer to it.
fn rate<'a>(conversation: &mut Conversation<'a>, map: &mut FieldMap<'a>) {
    let Some(id) = ["message_id", "id"].iter().find_map(|name| map.peek(name)?.text()) else {
        return;
    };
    let is_rated = |message: &&mut Message<'_>| {
        message.metadata.get("id").and_then(RawJson::text).is_some_and(|one| one == id)
    };
    let messages = conversation.rounds.iter_mut().flat_map(|round| &mut round.messages);
    let Some(message) = messages.filter(|one| one.role == Role::Assistant).find(is_rated) else {
        return;
    };
    // Details are the JSON text of an object.
    let mut details = map
        .peek("content")
        .and_then(fields::json_within)
        .and_then(|raw| fields::map(&raw))
        .unwrap_or_default();
    let label = details.take(&["tags"], |raw| {
        let tags: Vec<_> = fields::list(raw)?.iter().filter_map(RawJson::as_text).collect();
        (!tags.is_empty()).then(|| Text::from(tags.join(", ")))
    });
    let comment = details.take(&["text"], RawJson::text).filter(|text| !text.is_blank());
    message.feedback =
        Some(Box::new(Feedback { rating: map.take(&["rating"], fields::json), label, comment }));
}

/// A node of a conversation.
struct Node<'a> {
    raw: RawJson<'a>,
    message: Option<RawJson<'a>>,
    links: Links<'a>,
}

fn nodes<'a>(mapping: &RawJson<'a>, notes: &mut Notes) -> Result<Vec<Node<'a>>, ItemError> {
    let fields = FieldMap::of(mapping, notes).ok_or_else(|| unknown(0))?.rest();
    let mut nodes = Vec::with_capacity(fields.len());
    for (id, raw) in &fields {
        let Some(mut node) = FieldMap::of(raw, notes) else {
            notes.unplaced(path(id), raw);
            continue;
        };
        let message = node.take(&["message"], fields::json);
        let parent = node.take(&["parent"], fields::id);
        let children = node.take(&["children"], fields::list).unwrap_or_default();
        let children = children.iter().filter_map(fields::id).collect();
        let mark = notes.mark();
        notes.unplaced_fields(&node.rest(), &["id"], Least::Prose);
        notes.under(mark, || path(id));
        let links = Links { id: id.clone(), parent, children };
        nodes.push(Node { raw: raw.clone(), message, links });
    }
    Ok(nodes)
}

/// Reads the rounds of a conversation; gives the nodes that say nothing.
fn grow<'a>(
    nodes: &[Node<'a>],
    current: Option<&Text<'a>>,
    conversation: &mut Conversation<'a>,
    notes: &mut Notes,
) -> Vec<RawJson<'a>> {
    let links: Vec<_> = nodes.iter().map(|node| node.links.clone()).collect();
    let (mut tree, broken) = Tree::of(&links, current);
    for Broken::NoParent(at) | Broken::Circle(at) in broken {
        if let Some(Links { id, parent: Some(parent), .. }) = links.get(at) {
            notes.unplaced(format!("{}.parent", path(id)), &RawJson::string(&parent.decoded()));
        }
    }
    // Of each node, the id of the call that waits for results.
    let mut calls: Vec<Option<Text<'a>>> = vec![None; nodes.len()];
    let mut drafts: Vec<Draft<'a>> = Vec::new();
    let mut empty = Vec::new();
    for at in tree.order() {
        let Some(node) = nodes.get(at) else { continue };
        let call = tree.parent(at).and_then(|parent| calls.get(parent).cloned().flatten());
        let turn = match node.message.as_ref().filter(|raw| !raw.is_null()) {
            Some(raw) => {
                let mark = notes.mark();
                let turn = turn(raw, node, call.as_ref(), notes);
                notes.under(mark, || format!("{}.message", path(&node.links.id)));
                turn
            }
            None => Turn::Nothing,
        };
        if let Some(slot) = calls.get_mut(at) {
            *slot = match &turn {
                Turn::Said(message, _) if message.role != Role::Tool => {
                    message.tool_calls.first().map(|call| call.id.clone())
                }
                _ => call,
            };
        }
        let role = match &turn {
            Turn::Nothing => {
                tree.pass(at);
                empty.push(node.raw.clone());
                continue;
            }
            Turn::Thoughts(_) => Role::Assistant,
            Turn::Said(message, _) => message.role,
        };
        let answers = !matches!(role, Role::User | Role::System);
        let round = tree.enter(at, role == Role::User, answers);
        drafts.resize_with(drafts.len().max(round + 1), Draft::default);
        if let Some(draft) = drafts.get_mut(round) {
            draft.take(turn, node);
        }
    }
    let (mut rounds, shown) = tree.rounds();
    for (round, draft) in rounds.iter_mut().zip(drafts) {
        (round.messages, round.model) = draft.finish();
    }
    (conversation.rounds, conversation.current) = (rounds, shown);
    empty
}

fn path(id: &Text<'_>) -> String {
    format!("mapping.{}", short(&id.decoded()))
}

/// A round under way.
#[derive(Default)]
struct Draft<'a> {
    messages: Vec<Message<'a>>,
    model: Option<Text<'a>>,
    /// Thoughts before the answer that comes next.
    thoughts: String,
    /// The nodes that they were.
    kept: Vec<RawJson<'a>>,
}

impl<'a> Draft<'a> {
    fn take(&mut self, turn: Turn<'a>, node: &Node<'a>) {
        match turn {
            Turn::Nothing => {}
            Turn::Thoughts(text) => {
                if !self.thoughts.is_empty() && !text.is_empty() {
                    self.thoughts.push_str("\n\n");
                }
                self.thoughts.push_str(&text);
                self.kept.push(node.raw.clone());
            }
            Turn::Said(mut message, model) => {
                if message.role == Role::Assistant {
                    self.give_thoughts(&mut message);
                }
                self.model = model.or(self.model.take());
                self.messages.push(*message);
            }
        }
    }

    fn give_thoughts(&mut self, message: &mut Message<'a>) {
        if !self.thoughts.is_empty() {
            message.reasoning = Some(std::mem::take(&mut self.thoughts).into());
        }
        if !self.kept.is_empty() {
            message
                .metadata
                .put("thoughts".into(), RawJson::array(&std::mem::take(&mut self.kept)));
        }
    }

    fn finish(mut self) -> (Vec<Message<'a>>, Option<Text<'a>>) {
        if !self.kept.is_empty() {
            let mut message = Message { role: Role::Assistant, ..Message::default() };
            self.give_thoughts(&mut message);
            self.messages.push(message);
        }
        (self.messages, self.model)
    }
}

/// What a node says.
enum Turn<'a> {
    /// Nothing, such as the empty system message at the root.
    Nothing,
    /// Thoughts before an answer.
    Thoughts(String),
    /// A message, and the model that wrote it.
    Said(Box<Message<'a>>, Option<Text<'a>>),
}

/// Who reads what is no call.
const PEOPLE: [&str; 3] = ["all", "user", "assistant"];

/// Fields of messages and contents that say nothing more than is read.
const KNOWN: [&str; 6] = [
    "content_type",
    "response_format_name",
    "assets",
    "tether_id",
    "source_analysis_msg_id",
    "language",
];

/// Reads the message of a node; `call` is the id of the call that it may answer.
fn turn<'a>(
    raw: &RawJson<'a>,
    node: &Node<'a>,
    call: Option<&Text<'a>>,
    notes: &mut Notes,
) -> Turn<'a> {
    let Some(mut map) = FieldMap::of(raw, notes) else {
        notes.unplaced("", raw);
        return Turn::Nothing;
    };
    let mut author = map.take(&["author"], fields::map).unwrap_or_default();
    let word = author.take(&["role"], RawJson::text);
    let (who, source_role) = word.map_or((Role::Other, None), role);
    let mut message = Message { role: who, source_role, ..Message::default() };
    message.name = author.take(&["name"], RawJson::text).filter(|name| !name.is_empty());
    message.created_at = map.take(&["create_time"], fields::time);
    let details = map.peek("metadata").and_then(|raw| FieldMap::of(raw, notes)).unwrap_or_default();
    let model =
        details.peek("model_slug").and_then(RawJson::text).filter(|_| who == Role::Assistant);
    let recipient = map.peek("recipient").and_then(RawJson::text);
    let content = map.take(&["content"], fields::json);
    let mark = notes.mark();
    let said = match &content {
        Some(raw) => said(raw, &mut message, notes),
        None => Said::default(),
    };
    notes.under(mark, || "content".into());
    if let Some(text) = said.thoughts {
        return Turn::Thoughts(text);
    }
    let mut parts = said.parts;
    if who == Role::System && parts.is_empty() {
        parts.extend(instructions(&details));
    }
    parts.extend(attachments(&details, &parts));
    if parts.is_empty() && message.error.is_none() && who == Role::System {
        return Turn::Nothing;
    }
    let tool = recipient.filter(|one| !PEOPLE.iter().any(|name| one == *name) && !one.is_empty());
    if let Some(name) = tool.filter(|_| who == Role::Assistant) {
        map.take(&["recipient"], fields::json);
        let id = map.peek("id").and_then(fields::id).unwrap_or_else(|| node.links.id.clone());
        let arguments = text_of(&mut parts);
        message.tool_calls.push(ToolCall { id, name, arguments, metadata: Fields::new() });
    }
    if who == Role::Tool {
        message.tool_call_id = call.cloned();
    }
    message.content = parts::content(parts);
    ended(&mut message, &map, &details);
    let weight = map.peek("weight").and_then(|raw| raw.as_str().parse::<f64>().ok());
    message.train = weight.map(|weight| weight != 0.0);
    if message.role == Role::Other {
        let word = message.source_role.as_ref().map_or("".into(), |word| word.decoded());
        notes.unplaced(format!("author.role={}", short(&word)), raw);
    }
    node.keep_links(&mut map);
    let mut rest = map.rest();
    notes.unplaced_fields(&rest, &KNOWN, Least::Prose);
    rest.extend(said.kept);
    message.metadata = rest;
    Turn::Said(Box::new(message), model)
}

impl<'a> Node<'a> {
    /// Keeps with its message which node it is and which it follows.
    fn keep_links(&self, message: &mut FieldMap<'a>) {
        let Links { id, parent, .. } = &self.links;
        if message.peek("id").and_then(fields::id).is_none_or(|own| own != *id) {
            message.put("node", RawJson::string(&id.decoded()));
        }
        if let Some(parent) = parent {
            message.put("parent", RawJson::string(&parent.decoded()));
        }
    }
}

/// How a message ended.
fn ended<'a>(message: &mut Message<'a>, map: &FieldMap<'a>, details: &FieldMap<'a>) {
    if message.role != Role::Assistant {
        return;
    }
    let status = map.peek("status").and_then(RawJson::text);
    let cut = status.filter(|status| *status != *"finished_successfully");
    let reason = || {
        let mut finish = fields::map(details.peek("finish_details")?)?;
        finish.take(&["type"], RawJson::text)
    };
    message.finish_reason = cut.or_else(reason);
}

/// What a content says.
#[derive(Default)]
struct Said<'a> {
    parts: Vec<Part<'a>>,
    thoughts: Option<String>,
    kept: Fields<'a>,
}

fn said<'a>(raw: &RawJson<'a>, message: &mut Message<'a>, notes: &mut Notes) -> Said<'a> {
    let mut said = Said::default();
    let Some(mut map) = FieldMap::of(raw, notes) else {
        match raw.text() {
            Some(text) => said.parts.extend(text_part(text)),
            None => notes.unplaced("", raw),
        }
        return said;
    };
    let kind = map.peek("content_type").and_then(RawJson::text);
    let kind = kind.as_ref().map_or("".into(), |kind| kind.decoded());
    let names: &[&str] = match &*kind {
        "" | "text" | "multimodal_text" => {
            for (at, part) in
                map.take(&["parts"], fields::list).unwrap_or_default().iter().enumerate()
            {
                let mark = notes.mark();
                said.parts.extend(part_of(part, notes));
                notes.under(mark, || format!("parts[{at}]"));
            }
            &["text"]
        }
        "code" | "execution_output" | "tether_quote" | "sonic_webpage" => &["text"],
        "tether_browsing_display" => &["result", "summary"],
        "system_error" => {
            message.error = map.peek("text").and_then(RawJson::text);
            &["text"]
        }
        // What the person or the model wanted to be remembered is told to the model.
        "user_editable_context" | "model_editable_context" => {
            message.source_role = Some(message.role_word().into_owned().into());
            message.role = Role::System;
            said.parts.extend(
                ["user_profile", "user_instructions", "model_set_context"]
                    .iter()
                    .filter_map(|name| text_part(map.take(&[name], RawJson::text)?)),
            );
            &[]
        }
        "thoughts" => {
            let thoughts = map.take(&["thoughts"], fields::list).unwrap_or_default();
            let texts: Vec<_> = thoughts.iter().filter_map(thought).collect();
            said.thoughts = Some(texts.join("\n\n"));
            &[]
        }
        "reasoning_recap" => {
            said.thoughts = Some(String::new());
            return said;
        }
        "computer_output" => {
            said.parts.extend(map.take(&["screenshot"], |raw| Some(shown(PartKind::Image, raw))));
            &["text"]
        }
        other => {
            notes.unplaced(format!("content_type={}", short(other)), raw);
            said.kept.put("content".into(), raw.clone());
            return said;
        }
    };
    for name in names {
        let text = map.take(&[name], RawJson::text).filter(|text| !text.is_empty());
        if said.parts.is_empty() {
            said.parts.extend(text.and_then(text_part));
        } else if let Some(text) = text {
            said.kept.put((*name).into(), RawJson::string(&text.decoded()));
        }
    }
    let rest = map.rest();
    let found = !said.parts.is_empty() || said.thoughts.is_some();
    let known = [&KNOWN[..], &PAGE].concat();
    notes.unplaced_fields(&rest, &known, if found { Least::Prose } else { Least::Word });
    if !rest.is_empty() {
        said.kept.extend(rest);
    }
    said
}

/// What browsing keeps of a page beside its text.
const PAGE: [&str; 7] = ["url", "domain", "title", "snippet", "pub_date", "attribution", "summary"];

/// The text of a thought: its heading and what it says.
fn thought(raw: &RawJson<'_>) -> Option<String> {
    let mut map = fields::map(raw)?;
    let texts = ["summary", "content"].map(|name| map.take(&[name], RawJson::text));
    let texts: Vec<_> = texts
        .into_iter()
        .flatten()
        .map(Text::into_cow)
        .filter(|text| !text.trim().is_empty())
        .collect();
    (!texts.is_empty()).then(|| texts.join("\n\n"))
}

fn part_of<'a>(raw: &RawJson<'a>, notes: &mut Notes) -> Option<Part<'a>> {
    if let Some(text) = raw.text() {
        return text_part(text);
    }
    let Some(mut map) = FieldMap::of(raw, notes) else {
        if says(raw, Least::Word) {
            notes.unplaced("", raw);
        }
        return None;
    };
    let kind = map.take(&["content_type"], RawJson::text)?.decoded().into_owned();
    Some(match kind.as_str() {
        "image_asset_pointer" => shown(PartKind::Image, raw),
        "audio_asset_pointer" | "real_time_user_audio_video_asset_pointer" => {
            shown(PartKind::Audio, raw)
        }
        "video_container_asset_pointer" => shown(PartKind::Other, raw),
        "audio_transcription" => return text_part(map.take(&["text"], RawJson::text)?),
        other => {
            notes.unplaced(format!("content_type={}", short(other)), raw);
            shown(PartKind::Other, raw)
        }
    })
}

fn shown<'a>(kind: PartKind, raw: &RawJson<'a>) -> Part<'a> {
    Part { kind, text: None, raw: Some(raw.clone()) }
}

fn text_part(text: Text<'_>) -> Option<Part<'_>> {
    (!text.is_empty()).then(|| Part::text(text))
}

/// Instructions that older exports keep beside an empty message.
fn instructions<'a>(details: &FieldMap<'a>) -> Vec<Part<'a>> {
    let data = details.peek("user_context_message_data");
    let Some(mut data) = data.and_then(fields::map) else {
        return Vec::new();
    };
    let names = ["about_user_message", "about_model_message"];
    names.iter().filter_map(|name| text_part(data.take(&[name], RawJson::text)?)).collect()
}

/// Files that were sent along and are not among the parts.
fn attachments<'a>(details: &FieldMap<'a>, parts: &[Part<'a>]) -> Vec<Part<'a>> {
    let list = details.peek("attachments").and_then(fields::list).unwrap_or_default();
    let is_among_parts = |raw: &RawJson<'_>| {
        let id = fields::map(raw).and_then(|mut map| map.take_id(&["id"]));
        id.is_some_and(|id| {
            let mut raws = parts.iter().filter_map(|part| part.raw.as_ref());
            raws.any(|raw| raw.as_str().contains(&*id.decoded()))
        })
    };
    list.iter().filter(|raw| !is_among_parts(raw)).map(|raw| shown(PartKind::File, raw)).collect()
}

/// Takes the text out of parts.
fn text_of<'a>(parts: &mut Vec<Part<'a>>) -> Text<'a> {
    let mut texts: Vec<_> = parts
        .extract_if(.., |part| part.kind == PartKind::Text)
        .filter_map(|part| part.text)
        .collect();
    match texts.len() {
        0 | 1 => texts.pop().unwrap_or_default(),
        _ => texts.iter().map(Text::decoded).collect::<String>().into(),
    }
}
