//! The parts of a message's content: text, reasoning, calls, results, pictures and files, as OpenAI, Anthropic, Google,
//! Bedrock, Vercel and OpenTelemetry write them. Where two of them mean the same they are read the same.

use std::borrow::Cow;

use retort_json::{Kind, Parser, RawJson, Text};
use retort_model::{Content, Message, Part, PartKind, Role, ToolCall};

use super::calls::{CALL_ID, RESULT, TOOL_NAME, call_of, calls_in};
use super::fields::{self, FieldMap};
use super::format::{ItemError, Notes};
use super::unplaced::{Least, short};

/// One part of a message, by what it is.
#[derive(Debug)]
pub(super) enum Segment<'a> {
    /// What the content says or shows.
    Part(Part<'a>),
    /// Reasoning before the answer.
    Reasoning(Text<'a>),
    /// A call.
    Call(ToolCall<'a>),
    /// The result of a call.
    Result(Message<'a>),
    /// A call with its result, where it has ended.
    Ran(ToolCall<'a>, Option<Message<'a>>),
    /// A new step of an agent begins.
    Step,
    /// What is kept under that name, as it says nothing to a reader.
    Kept(&'static str, RawJson<'a>),
}

impl<'a> Segment<'a> {
    /// A part that is text and nothing else.
    pub(super) fn text(text: Text<'a>) -> Self {
        Self::Part(Part::text(text))
    }

    fn into_owned(self) -> Segment<'static> {
        match self {
            Self::Part(part) => Segment::Part(own(part)),
            Self::Reasoning(text) => Segment::Reasoning(text.into_owned()),
            Self::Call(call) => Segment::Call(call.into_owned()),
            Self::Result(message) => Segment::Result(message.into_owned()),
            Self::Ran(call, result) => {
                Segment::Ran(call.into_owned(), result.map(Message::into_owned))
            }
            Self::Step => Segment::Step,
            Self::Kept(name, raw) => Segment::Kept(name, raw.into_owned()),
        }
    }
}

pub(super) fn own(part: Part<'_>) -> Part<'static> {
    Part {
        kind: part.kind,
        text: part.text.map(Text::into_owned),
        raw: part.raw.map(RawJson::into_owned),
    }
}

/// Reads a list of parts, or one alone.
pub(super) fn segments<'a>(
    parser: &mut Parser<'a>,
    notes: &mut Notes,
    into: &mut Vec<Segment<'a>>,
) -> Result<(), ItemError> {
    if parser.kind()? != Kind::Array {
        return segment(parser, notes, into);
    }
    parser.array()?;
    let mut at = 0_usize;
    while parser.next_element()? {
        let mark = notes.mark();
        segment(parser, notes, into)?;
        notes.under(mark, || format!("[{at}]"));
        at += 1;
    }
    Ok(())
}

/// As [`segments`], of a value that may have been made while reading.
pub(super) fn segments_of<'a>(
    raw: &RawJson<'a>,
    notes: &mut Notes,
    into: &mut Vec<Segment<'a>>,
) -> Result<(), ItemError> {
    match raw.clone().into_cow() {
        Cow::Borrowed(text) => segments(&mut Parser::lenient(text), notes, into),
        Cow::Owned(text) => {
            let mut inner = Vec::new();
            segments(&mut Parser::lenient(&text), notes, &mut inner)?;
            for segment in inner {
                into.push(segment.into_owned());
            }
            Ok(())
        }
    }
}

/// The content that the parts of a result make. A result holds no calls or results of its own.
pub(super) fn content_of<'a>(
    raw: &RawJson<'a>,
    notes: &mut Notes,
) -> Result<Content<'a>, ItemError> {
    let mut segments = Vec::new();
    segments_of(raw, notes, &mut segments)?;
    let mut parts = Vec::with_capacity(segments.len());
    for (at, segment) in segments.into_iter().enumerate() {
        match segment {
            Segment::Part(part) => parts.push(part),
            _ => notes.unplaced(format!("[{at}]"), raw),
        }
    }
    Ok(Content::Parts(parts))
}

/// The content of these parts: none without any, and a text that stands alone as such.
pub(super) fn content(mut parts: Vec<Part<'_>>) -> Option<Content<'_>> {
    match parts.as_mut_slice() {
        [] => None,
        [Part { kind: PartKind::Text, text, raw: None }] => text.take().map(Content::Text),
        _ => Some(Content::Parts(parts)),
    }
}

/// A result that stands among the parts of a message, as a message of its own.
pub(super) fn result_of<'a>(
    mut map: FieldMap<'a>,
    notes: &mut Notes,
) -> Result<Message<'a>, ItemError> {
    let mut message = Message { role: Role::Tool, ..Message::default() };
    message.tool_call_id = map.take_id(&CALL_ID).or_else(|| map.take_id(&["id"]));
    message.name = map.take(&TOOL_NAME, RawJson::text);
    map.take(&["type"], fields::json);
    let content = map.take(&RESULT, fields::json);
    let failed = map.take(&["is_error", "isError"], flag).unwrap_or(false)
        || map.peek("status").is_some_and(|raw| raw.as_str() == "\"error\"");
    message.error = map
        .take(&["errorText", "error"], fields::words)
        .filter(|text| !matches!(text.as_written(), "" | "false"))
        .or_else(|| failed.then(|| "failed".into()));
    let has_id = message.tool_call_id.is_some();
    let said = content.is_some();
    if let Some(raw) = content {
        message.content = result_content(raw, notes)?;
    }
    message.metadata = map.rest();
    let least = if said && has_id { Least::Prose } else { Least::Word };
    notes.unplaced_fields(&message.metadata, &[], least);
    Ok(message)
}

fn flag(raw: &RawJson<'_>) -> Option<bool> {
    match raw.as_str() {
        "true" => Some(true),
        "false" => Some(false),
        _ => None,
    }
}

/// What a result says: text, a list of parts, or the JSON text of anything else.
pub(super) fn result_content<'a>(
    raw: RawJson<'a>,
    notes: &mut Notes,
) -> Result<Option<Content<'a>>, ItemError> {
    match fields::kind(&raw) {
        Some(Kind::Null) | None => Ok(None),
        Some(Kind::String) => Ok(raw.text().map(Content::Text)),
        Some(Kind::Array) if are_parts(raw.as_str()) => {
            let mark = notes.mark();
            let content = content_of(&raw, notes)?;
            notes.under(mark, || "content".into());
            Ok(Some(content))
        }
        // One part alone, as a screenshot is.
        Some(Kind::Object) if is_shown(&raw) => Ok(Some(content_of(&raw, notes)?)),
        Some(Kind::Object) => Ok(Some(Content::Text(match unwrapped(&raw) {
            Some(text) => text,
            None => raw.into_cow().into(),
        }))),
        _ => Ok(Some(Content::Text(raw.into_cow().into()))),
    }
}

/// Vercel's outputs name their kind: `{"type": "text", "value": …}`.
fn unwrapped<'a>(raw: &RawJson<'a>) -> Option<Text<'a>> {
    let mut map = fields::map(raw)?;
    let kind = map.take(&["type"], RawJson::text)?;
    match &*kind.decoded() {
        "text" | "error-text" | "json" | "error-json" => map.take(&["value"], fields::words),
        _ => None,
    }
}

/// Whether a list holds parts of a content, not data of any other kind: all are texts, or objects that say their type
/// and hold something, or hold a text alone.
pub(super) fn are_parts(list: &str) -> bool {
    fn look(list: &str) -> Option<bool> {
        let mut parser = Parser::new(list);
        let mut objects = 0;
        parser.array().ok()?;
        while parser.next_element().ok()? {
            if parser.kind().ok()? != Kind::Object {
                parser.skip().ok()?;
                continue;
            }
            objects += 1;
            let (mut keys, mut kind, mut holds) = (0, None, false);
            parser.object().ok()?;
            while let Some(key) = parser.next_key().ok()? {
                keys += 1;
                holds |= HOLDS.contains(&&*key) || CALL_ID.contains(&&*key);
                if key == "type" && parser.kind().ok()? == Kind::String {
                    kind = Some(parser.string().ok()?);
                } else {
                    parser.skip().ok()?;
                }
            }
            let shows = kind.as_ref().is_some_and(|kind| {
                let kind = kind.decoded();
                TEXTS.contains(&&*kind) || shown(&kind).is_some()
            });
            if !(shows || holds && (kind.is_some() || keys == 1)) {
                return Some(false);
            }
        }
        Some(objects > 0)
    }
    look(list).unwrap_or(false)
}

/// The types of parts that are text.
const TEXTS: [&str; 5] = ["text", "input_text", "output_text", "refusal", "summary_text"];

/// Under what parts hold what they are about.
const HOLDS: [&str; 12] = [
    "text",
    "content",
    "value",
    "source",
    "data",
    "image",
    "image_url",
    "json",
    "document",
    "resource",
    "toolResult",
    "functionResponse",
];

/// Keys that parts have beside what they say.
const KNOWN: [&str; 5] = ["detail", "name", "filename", "title", "details"];

fn segment<'a>(
    parser: &mut Parser<'a>,
    notes: &mut Notes,
    into: &mut Vec<Segment<'a>>,
) -> Result<(), ItemError> {
    match parser.kind()? {
        Kind::String => {
            into.push(Segment::text(parser.string()?));
            return Ok(());
        }
        Kind::Object => {}
        Kind::Null => {
            parser.null()?;
            return Ok(());
        }
        _ => {
            let raw = parser.raw()?;
            notes.unplaced("", &raw);
            into.push(other(PartKind::Other, raw));
            return Ok(());
        }
    }
    if let Some(text) = plain_text(parser)? {
        into.push(Segment::text(text));
        return Ok(());
    }
    let raw = parser.clone().raw()?;
    let mut map = FieldMap::read(parser, notes)?;
    let kind = map.take(&["type"], RawJson::text).or_else(|| Some(union_of(&map)?.into()));
    let Some(kind) = kind else {
        notes.unplaced("", &raw);
        into.push(other(PartKind::Other, raw));
        return Ok(());
    };
    let word = kind.decoded();
    if !known_part(&word, map, &raw, notes, into)? {
        notes.unplaced(format!("type={}", short(&word)), &raw);
        into.push(other(PartKind::Other, raw));
    }
    Ok(())
}

fn text_part<'a>(text: Text<'a>, raw: &RawJson<'a>) -> Segment<'a> {
    Segment::Part(Part { kind: PartKind::Text, text: Some(text), raw: Some(raw.clone()) })
}

fn other(kind: PartKind, raw: RawJson<'_>) -> Segment<'_> {
    Segment::Part(Part { kind, text: None, raw: Some(raw) })
}

/// The text of `{"type": "text", "text": …}` with nothing else, which most parts are. If it is anything else nothing is
/// taken.
fn plain_text<'a>(parser: &mut Parser<'a>) -> Result<Option<Text<'a>>, ItemError> {
    let before = parser.clone();
    let (mut is_text, mut text, mut others) = (false, None, false);
    parser.object()?;
    while let Some(key) = parser.next_key()? {
        match &*key {
            "type" if parser.kind()? == Kind::String => is_text = parser.string()? == *"text",
            "text" if text.is_none() && parser.kind()? == Kind::String => {
                text = Some(parser.string()?);
            }
            _ => {
                others = true;
                parser.skip()?;
            }
        }
    }
    if is_text && text.is_some() && !others {
        return Ok(text);
    }
    *parser = before;
    Ok(None)
}

/// What a part without a type is, by the key that says it: Google's and Bedrock's parts are unions.
fn union_of(map: &FieldMap<'_>) -> Option<&'static str> {
    const KEYS: [(&str, &str); 18] = [
        ("json", "json"),
        ("functionCall", "functionCall"),
        ("function_call", "functionCall"),
        ("functionResponse", "functionResponse"),
        ("function_response", "functionResponse"),
        ("toolUse", "toolUse"),
        ("toolResult", "toolResult"),
        ("reasoningContent", "reasoningContent"),
        ("inlineData", "file"),
        ("inline_data", "file"),
        ("fileData", "file"),
        ("file_data", "file"),
        ("image", "image"),
        ("image_url", "image"),
        ("document", "document"),
        ("video", "video"),
        ("cachePoint", "cachePoint"),
        ("text", "text"),
    ];
    let kind = KEYS.into_iter().find(|(key, _)| map.has(&[key])).map(|(_, kind)| kind)?;
    let is_thought = kind == "text" && map.is_true("thought");
    Some(if is_thought { "reasoning" } else { kind })
}

/// Reads a part of that type; false if it is not known, or does not hold what it should.
fn known_part<'a>(
    word: &str,
    mut map: FieldMap<'a>,
    raw: &RawJson<'a>,
    notes: &mut Notes,
    into: &mut Vec<Segment<'a>>,
) -> Result<bool, ItemError> {
    match word {
        word if TEXTS.contains(&word) => {
            let Some(text) = text_of(&mut map) else { return Ok(false) };
            let least = if text.is_empty() { Least::Word } else { Least::Prose };
            notes.unplaced_fields(&map.rest(), &KNOWN, least);
            into.push(text_part(text, raw));
        }
        "thinking" | "reasoning" | "reasoning_text" | "thought" => {
            let Some(text) = reasoning_of(&mut map) else { return Ok(false) };
            let rest = map.rest();
            notes.unplaced_fields(&rest, &KNOWN, Least::Prose);
            into.push(Segment::Reasoning(text));
            // Signatures, without which a provider does not take its reasoning back.
            if rest.iter().any(|(_, raw)| !raw.is_null()) {
                into.push(Segment::Kept("reasoning_parts", raw.clone()));
            }
        }
        "reasoningContent" => {
            let inner = map.take(&["reasoningContent"], fields::map);
            let text = inner.and_then(|mut inner| {
                inner.spread("reasoningText", notes);
                inner.take(&["text"], RawJson::text)
            });
            let Some(text) = text else { return Ok(false) };
            into.push(Segment::Reasoning(text));
            into.push(Segment::Kept("reasoning_parts", raw.clone()));
        }
        "json" => {
            // Bedrock's results are texts or values.
            let Some(value) = map.take(&["json"], fields::words) else { return Ok(false) };
            into.push(text_part(value, raw));
        }
        "resource" => {
            // MCP's embedded resources hold their text, or bytes.
            let inner = map.take(&["resource"], fields::map);
            match inner.and_then(|mut inner| inner.take(&["text"], RawJson::text)) {
                Some(text) => into.push(text_part(text, raw)),
                None => into.push(other(PartKind::File, raw.clone())),
            }
        }
        "redacted_thinking" => into.push(Segment::Kept("redacted_thinking", raw.clone())),
        "tool_call" if map.has(&["text", "value"]) => {
            let text = map.take(&["text", "value"], RawJson::text);
            match text.and_then(|text| calls_in(&text.decoded(), notes)) {
                Some(calls) => into.extend(calls.into_iter().map(Segment::Call)),
                None => return Ok(false),
            }
        }
        "tool_use" | "server_tool_use" | "mcp_tool_use" | "tool_call" | "tool-call"
        | "toolCall" | "function_call" | "functionCall" | "toolUse" => {
            let Some(call) = call_of(&map.rest(), notes) else { return Ok(false) };
            if call.name.is_empty() {
                return Ok(false);
            }
            into.push(Segment::Call(call));
        }
        "toolResult" | "functionResponse" => {
            for name in ["toolResult", "functionResponse", "function_response"] {
                map.spread(name, notes);
            }
            into.push(Segment::Result(result_of(map, notes)?));
        }
        "tool_result"
        | "tool-result"
        | "tool_call_response"
        | "tool_response"
        | "function_call_output"
        | "function_response"
        | "toolResponse" => {
            into.push(Segment::Result(result_of(map, notes)?));
        }
        word if word.ends_with("_tool_result") => {
            into.push(Segment::Result(result_of(map, notes)?));
        }
        "tool-invocation" => {
            let inner = map.take(&["toolInvocation"], fields::map);
            let Some(inner) = inner else { return Ok(false) };
            return invocation(inner, None, notes, into);
        }
        "dynamic-tool" => return invocation(map, None, notes, into),
        word if word.starts_with("tool-") && map.has(&CALL_ID) => {
            let name = word.strip_prefix("tool-").unwrap_or_default().to_owned();
            return invocation(map, Some(name.into()), notes, into);
        }
        "step-start" | "step_start" => into.push(Segment::Step),
        "step-finish" | "step_finish" | "cachePoint" | "cache_point" => {
            into.push(Segment::Kept("parts", raw.clone()));
        }
        // Data that Vercel's AI SDK shows next to the model's text.
        word if word.starts_with("data-") && map.has(&["data"]) => {
            into.push(Segment::Kept("parts", raw.clone()));
        }
        "source" | "source-url" | "source-document" => {
            into.push(Segment::Kept("sources", raw.clone()));
        }
        _ => match shown(word) {
            Some(kind) => into.push(other(kind, raw.clone())),
            None => return Ok(false),
        },
    }
    Ok(true)
}

/// Whether a value is a part that shows something.
pub(super) fn is_shown(raw: &RawJson<'_>) -> bool {
    let kind = fields::map(raw).and_then(|mut map| map.take(&["type"], RawJson::text));
    kind.is_some_and(|kind| shown(&kind.decoded()).is_some())
}

/// The kind of a part that shows something, by its type. `image/png` and the like are media types.
fn shown(word: &str) -> Option<PartKind> {
    Some(match word {
        "image"
        | "image_url"
        | "input_image"
        | "output_image"
        | "image_file"
        | "tool_image_url"
        | "image_asset_pointer"
        | "image-url"
        | "image_base64"
        | "computer_screenshot" => PartKind::Image,
        "audio" | "input_audio" | "output_audio" | "audio_url" => PartKind::Audio,
        "file" | "input_file" | "document" | "file_url" | "pdf" | "blob" | "uri" | "media"
        | "resource_link" => PartKind::File,
        "video" | "video_url" | "input_video" => PartKind::Other,
        media if media.starts_with("image/") => PartKind::Image,
        media if media.starts_with("audio/") => PartKind::Audio,
        _ => return None,
    })
}

/// The text of a part: under `text`, OpenTelemetry's `content`, or OpenAI's `{"text": {"value": …}}`. One that is null
/// is empty, where nothing else is there.
fn text_of<'a>(map: &mut FieldMap<'a>) -> Option<Text<'a>> {
    const NAMES: [&str; 4] = ["text", "content", "value", "refusal"];
    let is_empty = NAMES.iter().any(|name| map.is_null(name));
    // One that is empty says nothing beside one that is not.
    let found = map.take(&NAMES, |raw| raw.text().filter(|text| !text.is_empty()));
    let found = found
        .or_else(|| map.take(&NAMES, RawJson::text))
        .or_else(|| map.take(&["text"], |raw| fields::map(raw)?.take(&["value"], RawJson::text)));
    found.or_else(|| is_empty.then(Text::default))
}

/// The text of reasoning: under the name of what it is, or as a list of texts.
fn reasoning_of<'a>(map: &mut FieldMap<'a>) -> Option<Text<'a>> {
    let names = ["thinking", "reasoning", "text", "content", "value", "thought"];
    map.take(&names, RawJson::text).or_else(|| {
        let texts = map.take(&["summary", "content", "thinking"], texts_in)?;
        Some(texts.join("\n\n").into())
    })
}

/// The texts of a list of them, or of objects with a `text`.
pub(super) fn texts_in(raw: &RawJson<'_>) -> Option<Vec<String>> {
    let texts: Vec<String> =
        fields::list(raw)?.iter().map(|one| text_in(one)).collect::<Option<_>>()?;
    (!texts.is_empty()).then_some(texts)
}

fn text_in(one: &RawJson<'_>) -> Option<String> {
    one.as_text().or_else(|| {
        let text = fields::map(one)?.take(&["text", "summary", "thinking"], RawJson::text)?;
        Some(text.decoded().into_owned())
    })
}

/// The reasoning in a list of blocks, and whether it is all there is in them: providers encrypt some of it.
pub(super) fn reasoning_in(raw: &RawJson<'_>) -> Option<(String, bool)> {
    let is_readable = |one: &RawJson<'_>| {
        let kind = fields::map(one).and_then(|map| map.peek("type")?.as_text());
        !matches!(kind.as_deref(), Some("reasoning.encrypted" | "redacted_thinking"))
    };
    let list = fields::list(raw)?;
    let readable: Vec<_> = list.iter().filter(|one| is_readable(one)).collect();
    let texts: Vec<String> = readable.iter().map(|one| text_in(one)).collect::<Option<_>>()?;
    (!texts.is_empty()).then(|| (texts.join("\n\n"), readable.len() == list.len()))
}

/// A call of Vercel's AI SDK with the state that it is in.
pub(super) fn invocation<'a>(
    mut map: FieldMap<'a>,
    name: Option<Text<'a>>,
    notes: &mut Notes,
    into: &mut Vec<Segment<'a>>,
) -> Result<bool, ItemError> {
    map.take(&["type"], fields::json);
    let Some(name) = map.take(&["toolName", "tool_name"], RawJson::text).or(name) else {
        return Ok(false);
    };
    let Some(arguments) = map.take(&["args", "input", "rawInput"], fields::words) else {
        return Ok(false);
    };
    let id = map.take_id(&CALL_ID).unwrap_or_default();
    let output = map.take(&["result", "output"], fields::json);
    let error = map.take(&["errorText"], RawJson::text).filter(|text| !text.is_empty());
    let metadata = map.rest();
    notes.unplaced_fields(&metadata, &["title"], Least::Word);
    let result = if output.is_some() || error.is_some() {
        let content = output.map(|raw| result_content(raw, notes)).transpose()?.flatten();
        Some(Message {
            role: Role::Tool,
            tool_call_id: Some(id.clone()),
            name: Some(name.clone()),
            content,
            error,
            ..Message::default()
        })
    } else {
        None
    };
    into.push(Segment::Ran(ToolCall { id, name, arguments, metadata }, result));
    Ok(true)
}

/// Reads calls with their results, as Vercel keeps them beside the content.
pub(super) fn invocations<'a>(
    parser: &mut Parser<'a>,
    notes: &mut Notes,
    into: &mut Vec<Segment<'a>>,
) -> Result<(), ItemError> {
    if parser.kind()? != Kind::Array {
        let raw = parser.raw()?;
        if !raw.is_null() {
            notes.unplaced("", &raw);
        }
        return Ok(());
    }
    parser.array()?;
    let mut at = 0_usize;
    while parser.next_element()? {
        let mark = notes.mark();
        let raw = parser.raw()?;
        let read = match FieldMap::of(&raw, notes) {
            Some(map) => invocation(map, None, notes, into)?,
            None => false,
        };
        if !read {
            notes.unplaced("", &raw);
        }
        notes.under(mark, || format!("[{at}]"));
        at += 1;
    }
    Ok(())
}
