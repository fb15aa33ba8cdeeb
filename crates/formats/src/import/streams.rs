//! Responses that an API sent piece by piece: server-sent events as text, or a list of the pieces. Put together they are
//! the response that it would have sent whole. References: the streaming formats of OpenAI's Chat Completions and
//! Responses, of Anthropic's Messages, Google's `streamGenerateContent`, Bedrock's `ConverseStream` and Ollama.

use std::collections::BTreeMap;

use retort_json::{Kind, RawJson, write_string};

use super::fields::{self, FieldMap};
use super::marks;
use super::parts::texts_in;

/// The response that pieces make; none if they are no pieces of one.
pub(super) fn joined(raw: &RawJson<'_>) -> Option<RawJson<'static>> {
    let (events, has_end) = events(raw)?;
    let first = fields::map(events.first()?)?;
    if first.has(&["choices"]) {
        // Some servers mark the end of a stream, but give no reason.
        return choices(&events, has_end);
    }
    if first.has(&["candidates"]) || first.has(&["usageMetadata"]) {
        return candidates(&events);
    }
    if first.has(&["messageStart", "contentBlockDelta"]) {
        return converse(&events);
    }
    if first.has(&["message"]) && first.has(&["done"]) {
        return ollama(&events);
    }
    let kind = word(&first, "type")?;
    if kind == "message_start" || kind == "ping" {
        return blocks(&events);
    }
    kind.starts_with("response.").then(|| responses(&events))?
}

/// The pieces of a stream, and whether it has the end mark. The end mark and comments are not pieces.
fn events(raw: &RawJson<'_>) -> Option<(Vec<RawJson<'static>>, bool)> {
    match fields::kind(raw)? {
        Kind::String => of_text(&raw.as_text()?),
        Kind::Array => {
            let list = fields::list(raw)?;
            if list.iter().all(|one| fields::kind(one) == Some(Kind::String)) {
                let texts: Option<Vec<String>> = list.iter().map(RawJson::as_text).collect();
                return of_text(&texts?.join("\n\n"));
            }
            let piece = |one: &RawJson<'_>| {
                let mut map = fields::map(one)?;
                let inner = map.take(&["__data__"], fields::object);
                Some(inner.unwrap_or_else(|| one.clone()).into_owned())
            };
            let events: Option<Vec<_>> = list.iter().map(piece).collect();
            events.map(|events| (events, false))
        }
        _ => None,
    }
    .filter(|(events, _)| !events.is_empty())
}

fn of_text(text: &str) -> Option<(Vec<RawJson<'static>>, bool)> {
    let (mut events, mut has_end) = (Vec::new(), false);
    let mut data = String::new();
    for line in text.lines().chain([""]) {
        if let Some(more) = line.strip_prefix("data:") {
            data.push_str(more.trim_start());
        } else if line.trim().is_empty() && !data.is_empty() {
            match &*data {
                "[DONE]" => has_end = true,
                event => events.push(RawJson::owned(event).ok()?),
            }
            data.clear();
        } else if !["event:", "id:", "retry:", ":"].iter().any(|start| line.starts_with(start))
            && !line.trim().is_empty()
        {
            return None;
        }
    }
    Some((events, has_end))
}

fn word(map: &FieldMap<'_>, name: &str) -> Option<String> {
    map.peek(name).and_then(RawJson::as_text)
}

fn ended(map: &FieldMap<'_>, name: &str) -> Option<String> {
    map.peek(name).and_then(marks::ended).map(|reason| reason.decoded().into_owned())
}

fn inner<'a>(map: &mut FieldMap<'a>, name: &str) -> Option<FieldMap<'a>> {
    map.take(&[name], fields::map)
}

/// An object that is made of texts and values.
#[derive(Default)]
struct Object(String);

impl Object {
    fn put(&mut self, name: &str, value: &str) {
        self.0.push(if self.0.is_empty() { '{' } else { ',' });
        write_string(name, &mut self.0);
        self.0.push(':');
        self.0.push_str(value);
    }

    fn text(&mut self, name: &str, text: &str) {
        let mut value = String::new();
        write_string(text, &mut value);
        self.put(name, &value);
    }

    fn texts(&mut self, texts: &BTreeMap<String, String>) {
        texts.iter().for_each(|(name, text)| self.text(name, text));
    }

    fn end(mut self) -> String {
        self.0.push_str(if self.0.is_empty() { "{}" } else { "}" });
        self.0
    }
}

fn list(values: impl IntoIterator<Item = String>) -> String {
    let values: Vec<_> = values.into_iter().collect();
    format!("[{}]", values.join(","))
}

/// Texts that grow piece by piece, by name.
fn grow(texts: &mut BTreeMap<String, String>, name: &str, map: &FieldMap<'_>) {
    if let Some(more) = word(map, name) {
        texts.entry(name.to_owned()).or_default().push_str(&more);
    }
}

#[derive(Default)]
struct Choice {
    texts: BTreeMap<String, String>,
    calls: BTreeMap<u64, Call>,
    kept: Vec<String>,
    reason: Option<String>,
}

#[derive(Default)]
struct Call {
    id: String,
    name: String,
    arguments: String,
}

impl Call {
    fn grow(&mut self, mut piece: FieldMap<'_>) {
        if let Some(id) = word(&piece, "id").filter(|id| !id.is_empty()) {
            self.id = id;
        }
        if let Some(function) = inner(&mut piece, "function") {
            // Some repeat the name in each piece.
            if self.name.is_empty() {
                self.name = word(&function, "name").unwrap_or_default();
            }
            self.arguments.push_str(&word(&function, "arguments").unwrap_or_default());
        }
    }

    fn end(&self) -> String {
        let mut function = Object::default();
        function.text("name", &self.name);
        function.text("arguments", &self.arguments);
        let mut call = Object::default();
        call.text("id", &self.id);
        call.text("type", "function");
        call.put("function", &function.end());
        call.end()
    }
}

/// The finish reason of an answer whose stream has no end, because the connection was lost.
const BROKEN_OFF: &str = "incomplete";

/// How an answer ended: for the reason that its stream gives, or because the stream broke off.
fn reason_or_broken(reason: Option<String>, has_end: bool) -> Option<String> {
    reason.or_else(|| (!has_end).then(|| BROKEN_OFF.into()))
}

/// Chat Completions: each piece has what comes on of each choice.
fn choices(events: &[RawJson<'_>], has_end: bool) -> Option<RawJson<'static>> {
    let mut choices: BTreeMap<u64, Choice> = BTreeMap::new();
    for event in events {
        let mut map = fields::map(event)?;
        for raw in map.take(&["choices"], fields::list).unwrap_or_default() {
            let mut piece = fields::map(&raw)?;
            let index = piece.take(&["index"], fields::count).unwrap_or(0);
            let choice = choices.entry(index).or_default();
            choice.reason = ended(&piece, "finish_reason").or(choice.reason.take());
            grow(&mut choice.texts, "text", &piece);
            let Some(mut delta) = inner(&mut piece, "delta") else { continue };
            for name in ["content", "reasoning_content", "reasoning", "refusal"] {
                grow(&mut choice.texts, name, &delta);
            }
            // Mistral's pieces may be parts.
            if let Some(parts) = delta.take(&["content"], fields::list) {
                for part in parts {
                    let mut map = fields::map(&part)?;
                    match word(&map, "type")?.as_str() {
                        "text" => {
                            let text = word(&map, "text").unwrap_or_default();
                            choice.texts.entry("content".into()).or_default().push_str(&text);
                        }
                        "thinking" => {
                            let texts = map.take(&["thinking"], texts_in).unwrap_or_default();
                            let said = choice.texts.entry("reasoning_content".into()).or_default();
                            texts.iter().for_each(|text| said.push_str(text));
                        }
                        _ => choice.kept.push(part.to_string()),
                    }
                }
            }
            for raw in delta.take(&["tool_calls"], fields::list).unwrap_or_default() {
                let mut piece = fields::map(&raw)?;
                let next = choice.calls.len() as u64;
                let at = piece.take(&["index"], fields::count).unwrap_or(next);
                choice.calls.entry(at).or_default().grow(piece);
            }
        }
    }
    let choices = choices.into_iter().map(|(index, choice)| {
        let Choice { mut texts, calls, kept, reason } = choice;
        let mut one = Object::default();
        one.put("index", &index.to_string());
        if let Some(text) = texts.remove("text") {
            one.text("text", &text);
        } else {
            let mut message = Object::default();
            message.text("role", "assistant");
            if !kept.is_empty() {
                let mut parts = kept;
                if let Some(text) = texts.remove("content").filter(|text| !text.is_empty()) {
                    let mut part = Object::default();
                    part.text("type", "text");
                    part.text("text", &text);
                    parts.push(part.end());
                }
                message.put("content", &list(parts));
            } else if !texts.contains_key("content") {
                message.put("content", "null");
            }
            message.texts(&texts);
            if !calls.is_empty() {
                message.put("tool_calls", &list(calls.values().map(Call::end)));
            }
            one.put("message", &message.end());
        }
        if let Some(reason) = reason_or_broken(reason, has_end) {
            one.text("finish_reason", &reason);
        }
        one.end()
    });
    RawJson::owned(&format!("{{\"choices\":{}}}", list(choices))).ok()
}

#[derive(Default)]
struct Block {
    start: Vec<(String, String)>,
    texts: BTreeMap<String, String>,
    input: String,
}

/// Anthropic's Messages: blocks begin, grow and end.
fn blocks(events: &[RawJson<'_>]) -> Option<RawJson<'static>> {
    let mut blocks: BTreeMap<u64, Block> = BTreeMap::new();
    let (mut reason, mut has_end) = (None, false);
    for event in events {
        let mut map = fields::map(event)?;
        let at = map.take(&["index"], fields::count).unwrap_or(0);
        match word(&map, "type")?.as_str() {
            "content_block_start" => {
                let start = inner(&mut map, "content_block")?;
                let block = blocks.entry(at).or_default();
                for (name, raw) in start.rest() {
                    let name = name.decoded().into_owned();
                    match raw.as_text() {
                        Some(text) if ["text", "thinking", "signature"].contains(&&*name) => {
                            block.texts.insert(name, text);
                        }
                        _ => block.start.push((name, raw.to_string())),
                    }
                }
            }
            "content_block_delta" => {
                let delta = inner(&mut map, "delta")?;
                let block = blocks.entry(at).or_default();
                for name in ["text", "thinking", "signature"] {
                    grow(&mut block.texts, name, &delta);
                }
                block.input.push_str(&word(&delta, "partial_json").unwrap_or_default());
            }
            "message_delta" => {
                let delta = inner(&mut map, "delta")?;
                reason = ended(&delta, "stop_reason").or(reason);
            }
            "message_stop" => has_end = true,
            "error" => return None,
            _ => {}
        }
    }
    let content = blocks.into_values().map(|block| {
        let mut one = Object::default();
        for (name, value) in &block.start {
            if name != "input" || block.input.is_empty() {
                one.put(name, value);
            }
        }
        one.texts(&block.texts);
        if !block.input.is_empty() {
            match RawJson::owned(&block.input) {
                Ok(input) => one.put("input", input.as_str()),
                Err(_) => one.text("input", &block.input),
            }
        }
        one.end()
    });
    let mut message = Object::default();
    message.text("role", "assistant");
    message.put("content", &list(content));
    if let Some(reason) = reason_or_broken(reason, has_end) {
        message.text("stop_reason", &reason);
    }
    RawJson::owned(&message.end()).ok()
}

/// OpenAI's Responses: the last event has the whole response, or else each item is whole once it is done.
fn responses(events: &[RawJson<'_>]) -> Option<RawJson<'static>> {
    let (mut whole, mut items) = (None, Vec::new());
    for event in events {
        let mut map = fields::map(event)?;
        match word(&map, "type")?.as_str() {
            "response.completed" | "response.incomplete" | "response.failed" => {
                whole = map.take(&["response"], fields::object).map(RawJson::into_owned);
            }
            "response.output_item.done" => {
                items.extend(map.take(&["item"], fields::object).map(|item| item.to_string()));
            }
            _ => {}
        }
    }
    let is_empty = |raw: &RawJson<'_>| {
        let mut map = fields::map(raw);
        let list = map.as_mut().and_then(|map| map.take(&["output"], fields::list));
        list.is_none_or(|list| list.is_empty())
    };
    match whole {
        Some(whole) if items.is_empty() || !is_empty(&whole) => Some(whole),
        whole => {
            let state = if whole.is_some() { "completed" } else { "incomplete" };
            RawJson::owned(&format!("{{\"status\":\"{state}\",\"output\":{}}}", list(items))).ok()
        }
    }
}

/// Google's: each piece is a response of its own. Texts that follow one another are one.
fn candidates(events: &[RawJson<'_>]) -> Option<RawJson<'static>> {
    let mut parts: Vec<(Option<bool>, String)> = Vec::new();
    let (mut reason, mut has_end) = (None, false);
    for event in events {
        let mut map = fields::map(event)?;
        let listed = map.take(&["candidates"], fields::list).unwrap_or_default();
        let Some(first) = listed.first() else { continue };
        let mut candidate = fields::map(first)?;
        reason = ended(&candidate, "finishReason").or(reason);
        has_end |= candidate.has(&["finishReason"]) || candidate.is_null("finishReason");
        let Some(mut content) = inner(&mut candidate, "content") else { continue };
        for raw in content.take(&["parts"], fields::list).unwrap_or_default() {
            let map = fields::map(&raw)?;
            let is_thought = map.is_true("thought");
            let is_plain =
                map.fields().iter().all(|(key, _)| ["text", "thought"].contains(&&*key.decoded()));
            match (word(&map, "text"), parts.last_mut()) {
                (Some(text), Some((Some(before), said))) if is_plain && *before == is_thought => {
                    said.push_str(&text);
                }
                (Some(text), _) if is_plain => parts.push((Some(is_thought), text)),
                _ => parts.push((None, raw.to_string())),
            }
        }
    }
    let parts = parts.into_iter().map(|(thought, value)| {
        let Some(is_thought) = thought else { return value };
        let mut part = Object::default();
        part.text("text", &value);
        if is_thought {
            part.put("thought", "true");
        }
        part.end()
    });
    let mut content = Object::default();
    content.text("role", "model");
    content.put("parts", &list(parts));
    let mut candidate = Object::default();
    candidate.put("content", &content.end());
    if let Some(reason) = reason_or_broken(reason, has_end) {
        candidate.text("finishReason", &reason);
    }
    RawJson::owned(&format!("{{\"candidates\":[{}]}}", candidate.end())).ok()
}

/// Bedrock's: blocks begin, grow and end.
fn converse(events: &[RawJson<'_>]) -> Option<RawJson<'static>> {
    let mut blocks: BTreeMap<u64, (Option<String>, BTreeMap<String, String>)> = BTreeMap::new();
    let mut reason = None;
    for event in events {
        let mut map = fields::map(event)?;
        if let Some(mut start) = inner(&mut map, "contentBlockStart") {
            let at = start.take(&["contentBlockIndex"], fields::count).unwrap_or(0);
            let tool = inner(&mut start, "start").and_then(|mut one| inner(&mut one, "toolUse"));
            if let Some(tool) = tool.and_then(FieldMap::rest_object) {
                blocks.entry(at).or_default().0 = Some(tool.to_string());
            }
        }
        if let Some(mut piece) = inner(&mut map, "contentBlockDelta") {
            let at = piece.take(&["contentBlockIndex"], fields::count).unwrap_or(0);
            let mut delta = inner(&mut piece, "delta")?;
            let (_, texts) = blocks.entry(at).or_default();
            grow(texts, "text", &delta);
            if let Some(tool) = inner(&mut delta, "toolUse") {
                grow(texts, "input", &tool);
            }
            if let Some(thought) = inner(&mut delta, "reasoningContent") {
                texts.entry("thinking".into()).or_default();
                if let Some(more) = word(&thought, "text") {
                    texts.entry("thinking".into()).or_default().push_str(&more);
                }
            }
        }
        if let Some(stop) = inner(&mut map, "messageStop") {
            reason = ended(&stop, "stopReason");
        }
    }
    let content = blocks.into_values().map(|(tool, texts)| {
        let mut block = Object::default();
        match tool {
            Some(tool) => {
                let input = texts.get("input").filter(|input| !input.trim().is_empty());
                let input = input.and_then(|input| RawJson::owned(input).ok());
                let input = input.as_ref().map_or("{}", RawJson::as_str);
                let tool = tool.strip_suffix('}').unwrap_or(&tool);
                block.put("toolUse", &format!("{tool},\"input\":{input}}}"));
            }
            None if texts.contains_key("thinking") => {
                block.text("type", "thinking");
                block.texts(&texts);
            }
            None => block.texts(&texts),
        }
        block.end()
    });
    let mut message = Object::default();
    message.text("role", "assistant");
    message.put("content", &list(content));
    message.text("stopReason", reason.as_deref().unwrap_or(BROKEN_OFF));
    RawJson::owned(&message.end()).ok()
}

/// Ollama's: each piece is a message of its own.
fn ollama(events: &[RawJson<'_>]) -> Option<RawJson<'static>> {
    let (mut texts, mut calls, mut reason) = (BTreeMap::new(), Vec::new(), None);
    let mut has_end = false;
    for event in events {
        let mut map = fields::map(event)?;
        reason = ended(&map, "done_reason").or(reason);
        has_end |= map.is_true("done");
        let mut message = inner(&mut map, "message")?;
        for name in ["content", "thinking"] {
            grow(&mut texts, name, &message);
        }
        let more = message.take(&["tool_calls"], fields::list).unwrap_or_default();
        calls.extend(more.iter().map(ToString::to_string));
    }
    let mut message = Object::default();
    message.text("role", "assistant");
    message.texts(&texts);
    if !calls.is_empty() {
        message.put("tool_calls", &list(calls));
    }
    let mut whole = Object::default();
    whole.put("message", &message.end());
    if let Some(reason) = reason_or_broken(reason, has_end) {
        whole.text("done_reason", &reason);
    }
    RawJson::owned(&whole.end()).ok()
}
