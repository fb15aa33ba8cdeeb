//! Google AI Studio's prompts, as it keeps them in Google Drive: chunks of a question or an answer under `chunkedPrompt`.
//! There is no specification; the shapes are those of files that people have shared.
//!
//! An answer comes as several chunks: thoughts, texts, code that ran and what it printed. Chunks of one speaker that follow
//! one another are one message, unless one of them says that it branches off an earlier one.

use std::collections::HashSet;

use retort_json::{Kind, RawJson, Text};
use retort_model::{Conversation, Message, Part, PartKind, Role, ToolCall, Usage};

use super::fields::{self, FieldMap};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::marks;
use super::parts::{self, Segment};
use super::roles::role;
use super::sniff::Sniff;
use super::thread::{self, Turn};
use super::tree::Links;
use super::unplaced::{Least, short};

/// The format.
pub(super) struct AiStudio;

impl ImportFormat for AiStudio {
    fn name(&self) -> &'static str {
        "ai-studio"
    }

    fn about(&self) -> &'static str {
        "Google AI Studio's prompts from Google Drive"
    }

    fn notes(&self) -> &'static str {
        "Google AI Studio saves prompts in the folder `Google AI Studio` of Google Drive: download the files (they have no ending), \
         or the folder as a ZIP archive. Chunks of one speaker that follow one another become one message; thoughts become the \
         reasoning, code that ran a call with what it printed as the result, function calls calls. Documents, pictures, audio \
         and videos are parts, with their bytes where the file has them. The system instruction becomes a system message; run \
         settings, grounding and safety ratings are kept as metadata. A chunk that branches off an earlier one begins a sibling \
         round. What was typed and not sent (`pendingInputs`) is kept as metadata. Written from shared files, as no \
         specification is public."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        sniff.kind(&["chunkedPrompt", "chunks"]) == Some(Kind::Array)
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut map = FieldMap::item(text, notes)?;
        let prompt = map.take(&["chunkedPrompt"], fields::object).ok_or_else(unknown)?;
        let mut prompt = FieldMap::of(&prompt, notes).ok_or_else(unknown)?;
        let list = prompt.take(&["chunks"], fields::list).ok_or_else(unknown)?;
        let mut conversation = Conversation {
            id: map.take_id(&["id"]).unwrap_or_default(),
            title: map.take(&["displayName", "title"], RawJson::text),
            created_at: map.take(&["createTime"], fields::time),
            updated_at: map.take(&["updateTime"], fields::time),
            ..Conversation::default()
        };
        let settings = map.peek("runSettings").and_then(|raw| FieldMap::of(raw, notes));
        let model = settings.and_then(|settings| settings.peek("model").and_then(RawJson::text));
        conversation.model = model;
        grow(&list, &mut conversation, notes)?;
        let system = map.take(&["systemInstruction"], instruction);
        thread::instruct(&mut conversation, system);
        conversation.metadata = map.rest();
        if let Some(rest) = prompt.rest_object() {
            conversation.metadata.put("chunkedPrompt".into(), rest);
        }
        notes.unplaced_fields(&conversation.metadata, &KNOWN_BESIDE, Least::Prose);
        Ok(conversation.into())
    }
}

/// What a prompt has beside its chunks that nobody said.
const KNOWN_BESIDE: [&str; 4] = ["runSettings", "chunkedPrompt", "citations", "applet"];

fn unknown() -> ItemError {
    ItemError::new(Refusal::UnknownShape, 0, "no `chunkedPrompt` with `chunks` in the item")
}

/// The system instruction: a text, or parts with a text each.
fn instruction<'a>(raw: &RawJson<'a>) -> Option<Text<'a>> {
    if let Some(text) = raw.text() {
        return Some(text);
    }
    let mut map = fields::map(raw)?;
    map.take(&["text"], RawJson::text)
        .or_else(|| Some(map.take(&["parts"], parts::texts_in)?.join("\n").into()))
}

/// A message under way.
#[derive(Default)]
struct Draft<'a> {
    links: Links<'a>,
    message: Message<'a>,
    segments: Vec<Segment<'a>>,
    usage: Usage,
    /// Place of its first chunk.
    at: usize,
}

fn grow<'a>(
    list: &[RawJson<'a>],
    conversation: &mut Conversation<'a>,
    notes: &mut Notes,
) -> Result<(), ItemError> {
    let mut drafts: Vec<Draft<'a>> = Vec::new();
    let mut ids: HashSet<String> = HashSet::new();
    // In which draft each named chunk is, as a branch goes off a chunk and a message has several.
    let mut places: Vec<(Text<'a>, usize)> = Vec::new();
    for (at, raw) in list.iter().enumerate() {
        let mark = notes.mark();
        match FieldMap::of(raw, notes) {
            Some(mut map) => {
                let id = map.peek("id").and_then(fields::id);
                let above = map.peek("branchParent").and_then(|raw| FieldMap::of(raw, notes));
                let above = above.and_then(|mut above| above.take_id(&["id"]));
                let above = above.filter(|above| ids.contains(&*above.decoded()));
                let above = above.and_then(|above| places.iter().find(|(id, _)| *id == above));
                let above = above.map(|(_, place)| *place);
                let word = map.take(&["role"], RawJson::text);
                let (who, source_role) = word.map_or((Role::Other, None), role);
                if who == Role::Other {
                    let word = source_role.as_ref().map_or("".into(), Text::decoded);
                    notes.unplaced(format!("role={}", short(&word)), raw);
                }
                let before = drafts.len().checked_sub(1);
                let goes_on = drafts.last().is_some_and(|last| last.message.role == who)
                    && above.is_none_or(|above| Some(above) == before);
                if !goes_on {
                    let parent = above.or(before);
                    drafts.push(Draft {
                        links: Links {
                            id: drafts.len().to_string().into(),
                            parent: parent.map(|parent| parent.to_string().into()),
                            children: Vec::new(),
                        },
                        message: Message { role: who, source_role, ..Message::default() },
                        at,
                        ..Draft::default()
                    });
                }
                if let Some(id) = id {
                    ids.insert(id.decoded().into_owned());
                    places.push((id, drafts.len() - 1));
                }
                if let Some(draft) = drafts.last_mut() {
                    chunk(map, at, draft, notes)?;
                }
            }
            None => notes.unplaced("", raw),
        }
        notes.under(mark, || format!("chunkedPrompt.chunks[{at}]"));
    }
    let places: Vec<_> = drafts.iter().map(|draft| draft.at).collect();
    let turns = drafts.into_iter().map(|draft| {
        let Draft { links, message, segments, usage, .. } = draft;
        Turn { links, usage, ..Turn::of(message, segments) }
    });
    let path = |at: usize| {
        format!("chunkedPrompt.chunks[{}]", places.get(at).copied().unwrap_or_default())
    };
    thread::grow(turns.collect(), None, conversation, notes, path);
    Ok(())
}

/// Fields of chunks that say nothing that a person or the model said.
const KNOWN: [&str; 12] = [
    "grounding",
    "safetyRatings",
    "finishReason",
    "thinkingBudget",
    "thoughtSignatures",
    "branchParent",
    "branchChildren",
    "isEdited",
    "isThought",
    "isGeneratedUsingApiKey",
    "tokenCount",
    "renderingSettings",
];

/// Fields of chunks and parts that show something.
const SHOWN: [(&str, PartKind); 12] = [
    ("driveDocument", PartKind::File),
    ("driveImage", PartKind::Image),
    ("driveAudio", PartKind::Audio),
    ("driveVideo", PartKind::Other),
    ("inlineImage", PartKind::Image),
    ("inlineAudio", PartKind::Audio),
    ("inlineData", PartKind::File),
    ("inlineFile", PartKind::File),
    ("fileData", PartKind::File),
    ("youtubeVideo", PartKind::Other),
    ("image", PartKind::Image),
    ("video", PartKind::Other),
];

fn chunk<'a>(
    mut map: FieldMap<'a>,
    at: usize,
    draft: &mut Draft<'a>,
    notes: &mut Notes,
) -> Result<(), ItemError> {
    let message = &mut draft.message;
    message.created_at = message.created_at.or(map.take(&["createTime"], fields::time));
    let is_thought = map.is_true("isThought");
    for (name, kind) in SHOWN {
        if let Some(raw) = map.take(&[name], fields::json) {
            let media = FieldMap::of(&raw, notes)
                .and_then(|map| map.peek("mimeType").and_then(RawJson::as_text));
            let kind = match media.as_deref().unwrap_or_default().split('/').next() {
                Some("image") => PartKind::Image,
                Some("audio") => PartKind::Audio,
                _ => kind,
            };
            let raw = format!("{{\"{name}\":{raw}}}");
            let raw = RawJson::owned(&raw).ok();
            draft.segments.push(Segment::Part(Part { kind, text: None, raw }));
        }
    }
    let mut said = Vec::new();
    if let Some(raw) = map.take(&["parts"], |raw| fields::list(raw).map(|_| raw.clone())) {
        let mark = notes.mark();
        parts::segments_of(&raw, notes, &mut said)?;
        notes.under(mark, || "parts".into());
    }
    let text = map.take(&["text"], RawJson::text).filter(|text| !text.is_empty());
    let of_parts: String = said.iter().filter_map(text_of).collect();
    match text {
        Some(text) if of_parts.is_empty() => said.push(Segment::text(text)),
        Some(text) if text.decoded().trim() != of_parts.trim() => {
            notes.unplaced("text", &RawJson::string(&text.decoded()));
        }
        Some(text) => {
            // The parts are the pieces in which it came.
            said.retain(|segment| text_of(segment).is_none());
            said.insert(0, Segment::text(text));
        }
        None => {}
    }
    if is_thought {
        for segment in &mut said {
            if let Segment::Part(Part { kind: PartKind::Text, text: Some(text), .. }) = segment {
                *segment = Segment::Reasoning(std::mem::take(text));
            }
        }
    }
    draft.segments.append(&mut said);
    if let Some(raw) = map.take(&["executableCode"], fields::json) {
        let call = ToolCall {
            id: format!("executableCode-{at}").into(),
            name: "code_execution".into(),
            arguments: raw.into_cow().into(),
            ..ToolCall::default()
        };
        draft.segments.push(Segment::Call(call));
    }
    if let Some(raw) = map.take(&["codeExecutionResult"], fields::json) {
        let id = draft.segments.iter().rev().find_map(|segment| match segment {
            Segment::Call(call) if call.name == *"code_execution" => Some(call.id.clone()),
            _ => None,
        });
        let mut result = FieldMap::of(&raw, notes).unwrap_or_default();
        let output = result.take(&["output"], RawJson::text);
        let outcome = result.peek("outcome").and_then(RawJson::text);
        let failed = outcome.filter(|outcome| *outcome != *"OUTCOME_OK");
        notes.unplaced_fields(result.fields(), &[], Least::Prose);
        draft.segments.push(Segment::Result(Message {
            role: Role::Tool,
            tool_call_id: id,
            content: output.map(retort_model::Content::Text),
            error: failed,
            metadata: result.rest(),
            ..Message::default()
        }));
    }
    for name in ["functionCall", "functionResponse"] {
        if let Some(raw) = map.take(&[name], fields::object) {
            let part = format!("{{\"{name}\":{raw}}}");
            if let Ok(part) = RawJson::owned(&part) {
                parts::segments_of(&part, notes, &mut draft.segments)?;
            }
        }
    }
    let message = &mut draft.message;
    message.error = map
        .take(&["errorMessage"], RawJson::text)
        .filter(|text| !text.is_empty())
        .or(message.error.take());
    message.finish_reason =
        map.peek("finishReason").and_then(marks::ended).or(message.finish_reason.take());
    draft.usage.output_tokens = match map.peek("tokenCount").and_then(fields::count) {
        Some(count) if message.role == Role::Assistant => {
            Some(draft.usage.output_tokens.unwrap_or(0).saturating_add(count))
        }
        _ => draft.usage.output_tokens,
    };
    let rest = map.rest();
    notes.unplaced_fields(&rest, &KNOWN, Least::Prose);
    let kept = FieldMap::from(rest).rest_object();
    if let Some(raw) = kept {
        let before = message.metadata.take("chunks").and_then(|list| fields::list(&list));
        let list = RawJson::array(before.unwrap_or_default().iter().chain([&raw]));
        message.metadata.put("chunks".into(), list);
    }
    Ok(())
}

fn text_of(segment: &Segment<'_>) -> Option<String> {
    match segment {
        Segment::Part(part) if part.kind == PartKind::Text => {
            part.text.as_ref().map(|text| text.decoded().into_owned())
        }
        Segment::Reasoning(text) => Some(text.decoded().into_owned()),
        _ => None,
    }
}
