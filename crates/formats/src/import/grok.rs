//! Grok's data export: conversations with a list of responses each. There is no specification; the shapes are those of
//! exports that people have shared.

use retort_json::{Kind, RawJson, Text};
use retort_model::{Conversation, Message, Part, PartKind, Role, Status};

use super::fields::{self, FieldMap};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::parts::Segment;
use super::roles::role;
use super::sniff::Sniff;
use super::thread::{self, Turn};
use super::tree::Links;
use super::unplaced::{Least, short};

/// The format.
pub(super) struct Grok;

impl ImportFormat for Grok {
    fn name(&self) -> &'static str {
        "grok"
    }

    fn about(&self) -> &'static str {
        "Grok's data export: `prod-grok-backend.json` from its archive"
    }

    fn notes(&self) -> &'static str {
        "At accounts.x.ai, Data → Download account data sends an archive; give it to Retort as it is, or \
         `prod-grok-backend.json` from it. Regenerated answers are sibling rounds. The thinking trace, or else the \
         texts of the steps, become the reasoning, search results contexts, files and pictures parts without their \
         bytes. Everything else in a response is kept as metadata. The rest of the archive (sign-ins, billing) is \
         skipped. Written from shared exports, as no specification is public."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        sniff.holds(&["conversations", "responses"])
            && sniff.kind(&["conversations", "conversation"]) == Some(Kind::Object)
            || sniff.has("responses") && sniff.kind(&["conversation"]) == Some(Kind::Object)
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut map = FieldMap::item(text, notes)?;
        match map.take(&["conversations"], fields::list) {
            Some(list) => thread::each(&list, "conversations", notes, conversation),
            None => Ok(conversation(map, notes)?.into()),
        }
    }
}

fn unknown() -> ItemError {
    ItemError::new(Refusal::UnknownShape, 0, "no `conversation` with `responses` in the item")
}

fn conversation<'a>(
    mut map: FieldMap<'a>,
    notes: &mut Notes,
) -> Result<Conversation<'a>, ItemError> {
    let list = map.take(&["responses"], fields::list).ok_or_else(unknown)?;
    let about = map.take(&["conversation"], fields::map);
    let mut about = about.unwrap_or_default();
    let mut conversation = Conversation {
        id: about.take_id(&["conversation_id", "id"]).unwrap_or_default(),
        title: about.take(&["title"], RawJson::text),
        created_at: about.take(&["create_time"], fields::time),
        updated_at: about.take(&["modify_time"], fields::time),
        ..Conversation::default()
    };
    if about.is_true("starred") {
        conversation.status = Status::Favorite;
    }
    let current = about.take(&["leaf_response_id"], fields::id);
    let system = about.take(&["system_prompt", "custom_instructions"], RawJson::text);
    let mut turns = Vec::with_capacity(list.len());
    for (at, raw) in list.iter().enumerate() {
        let mark = notes.mark();
        match FieldMap::of(raw, notes) {
            Some(mut map) => {
                map.spread("response", notes);
                turns.push(turn(map, notes)?);
            }
            None => {
                notes.unplaced("", raw);
                turns.push(Turn::default());
            }
        }
        notes.under(mark, || format!("responses[{at}]"));
    }
    let path = |at| format!("responses[{at}].parent_response_id");
    thread::grow(turns, current.as_ref(), &mut conversation, notes, path);
    thread::instruct(&mut conversation, system);
    conversation.metadata = about.rest();
    conversation.metadata.extend(map.rest());
    Ok(conversation)
}

/// Fields of responses that say nothing that a person or the model said.
const KNOWN: [&str; 9] = [
    "query",
    "query_type",
    "steps",
    "cited_web_search_results",
    "card_attachments_json",
    "debug_log",
    "share_link",
    "webpage_urls",
    "media_types",
];

fn turn<'a>(mut map: FieldMap<'a>, notes: &mut Notes) -> Result<Turn<'a>, ItemError> {
    let id = map.peek("response_id").or_else(|| map.peek("_id")).and_then(fields::id);
    let parent = map.take(&["parent_response_id"], fields::id).filter(|id| !id.is_empty());
    let links = Links { id: id.unwrap_or_default(), parent, children: Vec::new() };
    let word = map.take(&["sender"], RawJson::text);
    let (who, source_role) = word.map_or((Role::Other, None), role);
    if who == Role::Other {
        let word = source_role.as_ref().map_or("".into(), Text::decoded);
        notes.unplaced(format!("sender={}", short(&word)), &RawJson::string(&word));
    }
    let mut message = Message { role: who, source_role, ..Message::default() };
    message.created_at = map.take(&["create_time"], fields::time);
    let mut segments = Vec::new();
    let thinking = map.take(&["thinking_trace"], |raw| raw.text().filter(|text| !text.is_blank()));
    let thinking = thinking.or_else(|| Some(steps(map.peek("steps")?)?.into()));
    segments.extend(thinking.map(Segment::Reasoning));
    for (name, kind) in [
        ("image_attachments", PartKind::Image),
        ("file_attachments", PartKind::File),
        ("generated_image_urls", PartKind::Image),
    ] {
        let list = map.take(&[name], fields::list).unwrap_or_default();
        let parts = list.into_iter().map(|raw| Part { kind, text: None, raw: Some(raw) });
        segments.extend(parts.map(Segment::Part));
    }
    match map.take(&["message"], RawJson::text) {
        Some(text) if text.is_empty() => {}
        Some(text) => segments.push(Segment::text(text)),
        None if map.has(&["message"]) => notes.unplaced("message", &RawJson::null()),
        None => {}
    }
    message.contexts = map.take(&["web_search_results"], fields::list).unwrap_or_default();
    message.error = map
        .take(&["error"], fields::words)
        .filter(|text| !matches!(text.as_written(), "" | "false" | "{}"));
    if map.is_true("partial") {
        message.finish_reason = Some("unfinished".into());
    }
    let model = map.peek("model").and_then(RawJson::text).filter(|model| !model.is_empty());
    let model = model.filter(|_| who == Role::Assistant);
    message.metadata = map.rest();
    message.metadata.retain(|_, raw| !matches!(raw.as_str(), "null" | "[]"));
    notes.unplaced_fields(&message.metadata, &KNOWN, Least::Prose);
    Ok(Turn { links, model, ..Turn::of(message, segments) })
}

/// What the steps before an answer say.
fn steps(raw: &RawJson<'_>) -> Option<String> {
    let mut texts = Vec::new();
    for step in fields::list(raw)? {
        let Some(mut step) = fields::map(&step) else { continue };
        match step.take(&["text"], fields::json)? {
            text if text.as_text().is_some() => texts.extend(text.as_text()),
            list => {
                let all = fields::list(&list).unwrap_or_default();
                texts.push(all.iter().filter_map(RawJson::as_text).collect());
            }
        }
    }
    texts.retain(|text| !text.trim().is_empty());
    (!texts.is_empty()).then(|| texts.join("\n\n"))
}
