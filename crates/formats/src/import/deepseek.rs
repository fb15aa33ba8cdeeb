//! DeepSeek's data export: `conversations.json`, a list of conversations with a tree of nodes each. There is no
//! specification; the shape is the one that public converters of such exports read.

use retort_json::{Kind, RawJson, Text};
use retort_model::{Conversation, Message, Role};

use super::fields::{self, FieldMap};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::parts::Segment;
use super::roles::role;
use super::sniff::Sniff;
use super::thread::{self, Turn};
use super::tree::Links;
use super::unplaced::{Least, short};

/// The format.
pub(super) struct DeepSeek;

impl ImportFormat for DeepSeek {
    fn name(&self) -> &'static str {
        "deepseek"
    }

    fn about(&self) -> &'static str {
        "DeepSeek's data export: its ZIP archive, or `conversations.json` from it"
    }

    fn notes(&self) -> &'static str {
        "In DeepSeek, Settings → Data → Export data sends a ZIP archive; give it to Retort as it is, or unpack it. \
         Regenerated answers and edited questions are sibling rounds; the newest is shown, as the export does not say \
         which was. Thoughts become the reasoning, search results contexts, files parts without their bytes. \
         `user.json` has no conversations. Written from public converters of such exports, as no specification is \
         public; no real export was available."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        sniff.has("inserted_at")
            && sniff.kind(&["mapping"]) == Some(Kind::Object)
            && ["message", "parent", "children"]
                .iter()
                .any(|key| sniff.holds(&["mapping", "*", key]))
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut map = FieldMap::item(text, notes)?;
        let mapping = map.take(&["mapping"], fields::object).ok_or_else(unknown)?;
        let mut conversation = Conversation {
            id: map.take_id(&["id"]).unwrap_or_default(),
            title: map.take(&["title"], RawJson::text),
            created_at: map.take(&["inserted_at"], fields::time),
            updated_at: map.take(&["updated_at"], fields::time),
            ..Conversation::default()
        };
        let nodes = FieldMap::of(&mapping, notes).ok_or_else(unknown)?.rest();
        let path = |id: &Text<'_>| format!("mapping.{}", short(&id.decoded()));
        let mut turns = Vec::with_capacity(nodes.len());
        for (id, raw) in &nodes {
            let mark = notes.mark();
            turns.push(node(id, raw, notes)?);
            notes.under(mark, || path(id));
        }
        let ids: Vec<_> = nodes.iter().map(|(id, _)| id).collect();
        let name = |at: usize| ids.get(at).map(|id| path(id) + ".parent").unwrap_or_default();
        thread::grow(turns, None, &mut conversation, notes, name);
        conversation.metadata = map.rest();
        Ok(conversation.into())
    }
}

fn unknown() -> ItemError {
    ItemError::new(Refusal::UnknownShape, 0, "no `mapping` of nodes in the item")
}

fn node<'a>(id: &Text<'a>, raw: &RawJson<'a>, notes: &mut Notes) -> Result<Turn<'a>, ItemError> {
    let Some(mut node) = FieldMap::of(raw, notes) else {
        notes.unplaced("", raw);
        return Ok(Turn::default());
    };
    let children = node.take(&["children"], fields::list).unwrap_or_default();
    let links = Links {
        id: id.clone(),
        parent: node.take(&["parent"], fields::id),
        children: children.iter().filter_map(fields::id).collect(),
    };
    let Some(said) = node.take(&["message"], fields::object) else {
        return Ok(Turn { links, ..Turn::default() });
    };
    let mark = notes.mark();
    let map = FieldMap::of(&said, notes).unwrap_or_default();
    let turn = turn(map, notes)?;
    notes.under(mark, || "message".into());
    Ok(Turn { links, ..turn })
}

fn turn<'a>(mut map: FieldMap<'a>, notes: &mut Notes) -> Result<Turn<'a>, ItemError> {
    let mut message = Message {
        role: Role::Other,
        created_at: map.take(&["inserted_at"], fields::time),
        ..Message::default()
    };
    if let Some(word) = map.take(&["role"], RawJson::text) {
        (message.role, message.source_role) = role(word);
    }
    let mut segments = Vec::new();
    for raw in map.take(&["files"], fields::list).unwrap_or_default() {
        segments.push(Segment::Part(thread::file_part(&raw, &["content_type", "mime_type"])));
    }
    for (at, raw) in map.take(&["fragments"], fields::list).unwrap_or_default().iter().enumerate() {
        let mark = notes.mark();
        fragment(raw, &mut message, &mut segments, notes);
        notes.under(mark, || format!("fragments[{at}]"));
    }
    // Older exports have both as texts.
    let text = |raw: &RawJson<'a>| raw.text().filter(|text| !text.is_empty());
    segments
        .extend(map.take(&["reasoning_content", "thinking_content"], text).map(Segment::Reasoning));
    let content = map.take(&["content"], text);
    segments.extend(content.map(Segment::text));
    if message.role == Role::Other {
        let word = message.source_role.as_ref().map_or("".into(), Text::decoded);
        notes.unplaced(format!("role={}", short(&word)), &RawJson::string(&word));
    }
    let model = map.peek("model").and_then(RawJson::text);
    let model = model.filter(|model| message.role == Role::Assistant && !model.is_empty());
    message.metadata = map.rest();
    notes.unplaced_fields(&message.metadata, &[], Least::Prose);
    Ok(Turn { model, ..Turn::of(message, segments) })
}

fn fragment<'a>(
    raw: &RawJson<'a>,
    message: &mut Message<'a>,
    segments: &mut Vec<Segment<'a>>,
    notes: &mut Notes,
) {
    let map = FieldMap::of(raw, notes);
    let kind = map.as_ref().and_then(|map| map.peek("type")?.as_text()).unwrap_or_default();
    let Some(mut map) = map else { return notes.unplaced("", raw) };
    let text = map.take(&["content"], RawJson::text).filter(|text| !text.is_empty());
    match (kind.as_str(), text) {
        ("REQUEST", text) => {
            message.role = Role::User;
            segments.extend(text.map(Segment::text));
        }
        ("RESPONSE", text) => {
            message.role = Role::Assistant;
            segments.extend(text.map(Segment::text));
        }
        ("THINK", text) => {
            message.role = Role::Assistant;
            segments.extend(text.map(Segment::Reasoning));
        }
        ("SEARCH" | "READ_LINK" | "TOOL_SEARCH" | "TOOL_OPEN", text) => {
            message.role = Role::Assistant;
            message.contexts.extend(map.take(&["results"], fields::list).unwrap_or_default());
            if let Some(text) = text {
                notes.unplaced("content", &RawJson::string(&text.decoded()));
            }
            segments.push(Segment::Kept("fragments", raw.clone()));
        }
        (other, _) => notes.unplaced(format!("type={}", short(other)), raw),
    }
}
