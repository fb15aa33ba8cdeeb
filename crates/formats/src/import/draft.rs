//! One message as chat systems write it: OpenAI's fields, ShareGPT's `from` and `value`, the items of the Responses API, and
//! the words that others use for the same things.
//!
//! The fields that nearly all have are taken as they come; lists of parts and what only some systems write are read at
//! the end, when the role is known. What is left over is accounted for ([`super::unplaced`]).

use std::borrow::Cow;

use retort_json::{Kind, Parser, RawJson, Text};
use retort_model::{Content, Feedback, Fields, Message, PartKind, Role, ToolCall};

use super::assemble::assemble;
use super::calls::{CALL_ID, RESULT, TOOL_NAME, calls_in, tool_call};
use super::fields::{
    self, FieldMap, each_field, keep, put, raws_or_keep, read_or_keep, text_or_keep, time_or_keep,
};
use super::format::{ItemError, Notes, Refusal};
use super::hosted;
use super::marks::{self, Mark, cut_off};
use super::parts::{
    Segment, are_parts, invocations, reasoning_in, result_content, segments, texts_in,
};
use super::roles::{role, role_of, says_calls, speaker};
use super::sniff::SPEAKER;
use super::unplaced::{Least, repeats, short};

/// A message while it is read.
#[derive(Default)]
pub(super) struct Draft<'a> {
    message: Message<'a>,
    role: Option<Text<'a>>,
    /// What the message says that it is, apart from its role.
    kind: Option<Text<'a>>,
    legacy_call: bool,
    /// Where lists of parts stand that are read once the role is known.
    content: Option<Parser<'a>>,
    parts: Option<Parser<'a>>,
    invocations: Option<Parser<'a>>,
    /// What LangChain wraps a message in, and where that stands.
    wrapped: Option<(Cow<'a, str>, Parser<'a>)>,
    /// Where the whole message stands.
    whole: Option<Parser<'a>>,
}

impl<'a> Draft<'a> {
    /// A message of which a word for its speaker and a text are known.
    pub(super) fn of_text(role: Text<'a>, text: Text<'a>) -> Self {
        let content = Some(Content::Text(text));
        let message = Message { content, ..Message::default() };
        Self { role: Some(role), message, ..Self::default() }
    }

    /// Reads the fields of a message.
    pub(super) fn read(parser: &mut Parser<'a>, notes: &mut Notes) -> Result<Self, ItemError> {
        let mut draft = Self { whole: Some(parser.clone()), ..Self::default() };
        let mut legacy_call = None;
        each_field(parser, notes, |parser, key, notes| {
            let message = &mut draft.message;
            let rest = &mut message.metadata;
            match &*key {
                "role" | "from" if draft.role.is_none() => {
                    draft.role = text_or_keep(parser, key, rest)?;
                }
                "content" | "value" if message.content.is_none() && draft.content.is_none() => {
                    match parser.kind()? {
                        Kind::String => message.content = Some(Content::Text(parser.string()?)),
                        Kind::Null => drop(parser.null()?),
                        Kind::Array | Kind::Object => {
                            draft.content = Some(parser.clone());
                            parser.skip()?;
                        }
                        Kind::Number | Kind::Bool => {
                            message.content = Some(Content::Text(parser.raw()?.into_cow().into()));
                        }
                    }
                }
                "parts" if parser.kind()? == Kind::Array => {
                    draft.parts = Some(parser.clone());
                    parser.skip()?;
                }
                "toolInvocations" if parser.kind()? == Kind::Array => {
                    draft.invocations = Some(parser.clone());
                    parser.skip()?;
                }
                "data" | "kwargs" if parser.kind()? == Kind::Object => {
                    draft.wrapped = Some((key, parser.clone()));
                    parser.skip()?;
                }
                "type" => draft.kind = text_or_keep(parser, key, rest)?,
                "tool_calls" | "toolCalls" => tool_calls(parser, key, message, notes)?,
                "function_call" => {
                    if parser.kind()? == Kind::Object {
                        let mark = notes.mark();
                        legacy_call = Some(tool_call(parser, notes)?);
                        notes.under(mark, || "function_call".into());
                    } else {
                        keep_unless_null(parser, key, rest)?;
                    }
                }
                "tool_call_id" => message.tool_call_id = text_or_keep(parser, key, rest)?,
                "name" => message.name = text_or_keep(parser, key, rest)?,
                "reasoning_content" | "reasoningContent" | "reasoning" | "thinking"
                    if message.reasoning.is_none() =>
                {
                    message.reasoning = text_or_keep(parser, key, rest)?;
                }
                "contexts" => message.contexts = raws_or_keep(parser, key, rest)?,
                "feedback" => feedback(parser, key, message, notes)?,
                "created_at" | "timestamp" | "create_time" | "createdAt"
                    if message.created_at.is_none() =>
                {
                    message.created_at = time_or_keep(parser, key, rest, notes)?;
                }
                "error" => error(parser, key, message)?,
                "finish_reason" | "stop_reason" | "done_reason" | "finishReason" | "stopReason"
                    if message.finish_reason.is_none() =>
                {
                    message.finish_reason = read_or_keep(parser, key, rest, marks::ended)?;
                }
                "train_detail" | "training_detail" => marks_inside(parser, key, message, notes)?,
                key_of_mark if marks::is_mark(key_of_mark) => mark(parser, key, message)?,
                key_of_label if marks::is_label(key_of_label) => label(parser, key, message)?,
                _ => keep(parser, key, rest)?,
            }
            Ok(())
        })?;
        // Some write the same call under both names.
        let is_told = |call: &ToolCall<'_>| {
            let calls = &draft.message.tool_calls;
            calls.iter().any(|one| one.name == call.name && one.arguments == call.arguments)
        };
        if let Some(call) = legacy_call.filter(|call| !is_told(call)) {
            draft.legacy_call = true;
            draft.message.tool_calls.push(call);
        }
        Ok(draft)
    }

    /// Gives it this role, if it does not say who speaks.
    pub(super) fn said_by(mut self, role: Option<&'static str>) -> Self {
        let says = |kind: &Text<'_>| role_of(kind.as_written()).is_some();
        if self.role.is_none() && !self.kind.as_ref().is_some_and(says) {
            self.role = role.map(Text::from);
        }
        self
    }

    /// Whether it is an item of the Responses API.
    pub(super) fn is_item(&self) -> bool {
        self.kind.as_ref().is_some_and(|kind| {
            let word = kind.as_written();
            matches!(
                word,
                "message" | "reasoning" | "function_call" | "custom_tool_call" | "mcp_call"
            ) || hosted::tool(word).is_some()
        })
    }

    /// Takes what the message has beyond the usual, accounts for what is left, and gives the messages that it makes.
    pub(super) fn finish(
        mut self,
        known: &[&str],
        notes: &mut Notes,
        mut take: impl FnMut(Message<'a>),
    ) -> Result<(), ItemError> {
        let mut parts = Vec::new();
        if let Some((key, mut wrapped)) = self.wrapped.take() {
            if let Some(word) = self.wrapped_role() {
                let mut inner = Draft::read(&mut wrapped, notes)?;
                inner.role = Some(word);
                return inner.finish(known, notes, take);
            }
            put(&mut self.message.metadata, key.into(), wrapped.raw()?);
        }
        if self.role.is_none() && self.kind.as_ref().is_none_or(|kind| *kind == *"text") {
            self.take_speaker();
        }
        if self.role.is_none() && !self.take_kind(notes, &mut parts)? {
            return self.unplace_whole(notes, &mut take);
        }
        if let Some(word) = self.role.take() {
            if says_calls(&word) && self.message.tool_calls.is_empty() {
                self.take_calls_from_content(notes)?;
            }
            (self.message.role, self.message.source_role) = role(word);
        }
        if self.message.role == Role::Other {
            unknown_role(self.message.source_role.as_ref(), notes);
        }
        self.take_parts(notes, &mut parts)?;
        self.take_rest(notes)?;
        self.account_for(known, notes);
        assemble(self.message, parts, take);
        Ok(())
    }

    /// Takes the role from a field that names the speaker, if its value is a known word for a role.
    fn take_speaker(&mut self) {
        let mut map = FieldMap::from(std::mem::take(&mut self.message.metadata));
        self.role =
            map.take(&SPEAKER, |raw| raw.text().filter(|word| speaker(&word.decoded()).is_some()));
        self.message.metadata = map.rest();
    }

    /// Reads the calls of ShareGPT's `function_call` messages, whose content is JSON or JSON text. Other content stays as
    /// it is.
    fn take_calls_from_content(&mut self, notes: &mut Notes) -> Result<(), ItemError> {
        let mark = notes.mark();
        let calls = match (&self.message.content, &self.content) {
            (Some(Content::Text(text)), _) => calls_in(&text.decoded(), notes),
            (None, Some(content)) => calls_in(content.clone().raw()?.as_str(), notes),
            _ => None,
        };
        if let Some(calls) = calls {
            self.message.tool_calls = calls;
            self.message.content = None;
            self.content = None;
        }
        notes.under(mark, || "content".into());
        Ok(())
    }

    /// The role of a message that LangChain wraps: its type is the role, or its id ends with the name of its class.
    fn wrapped_role(&self) -> Option<Text<'a>> {
        let kind = self.kind.as_ref().filter(|_| self.role.is_none())?;
        if *kind != *"constructor" {
            return role_of(kind.as_written()).map(|_| kind.clone());
        }
        let (_, id) = self.message.metadata.iter().find(|(key, _)| *key == *"id")?;
        let class = fields::list(id)?.pop()?.as_text()?;
        role_of(&class).map(|_| class.into())
    }

    /// Reads a message that has no role but a type: LangChain's, and items of the Responses API. False if it is neither.
    fn take_kind(
        &mut self,
        notes: &mut Notes,
        parts: &mut Vec<Segment<'a>>,
    ) -> Result<bool, ItemError> {
        let Some(kind) = self.kind.take() else { return Ok(false) };
        let word = kind.decoded().into_owned();
        let message = &mut self.message;
        let mut map = FieldMap::from(std::mem::take(&mut message.metadata));
        match &*word {
            "function_call" | "custom_tool_call" | "mcp_call" => {
                message.role = Role::Assistant;
                let mut call = ToolCall {
                    id: map.take_id(&["call_id", "id"]).unwrap_or_default(),
                    name: message.name.take().unwrap_or_default(),
                    ..Default::default()
                };
                if word == "custom_tool_call" {
                    call.metadata.put("type".into(), RawJson::string("custom"));
                }
                let arguments = map.take(&["arguments", "input"], fields::words);
                let understood = !call.name.is_empty() && arguments.is_some();
                call.arguments = arguments.unwrap_or_default();
                let output = map.take(&["output"], fields::json);
                if let Some(server) = map.take(&["server_label"], fields::json) {
                    call.metadata.put("server_label".into(), server);
                }
                message.metadata = map.rest();
                if !understood {
                    return Ok(false);
                }
                let failed = message.error.take();
                if output.is_some() || failed.is_some() {
                    let content =
                        output.map(|raw| result_content(raw, notes)).transpose()?.flatten();
                    let result = Message {
                        role: Role::Tool,
                        tool_call_id: Some(call.id.clone()),
                        content,
                        error: failed,
                        ..Message::default()
                    };
                    parts.push(Segment::Ran(call, Some(result)));
                } else {
                    message.tool_calls.push(call);
                }
            }
            word if let Some(tool) = hosted::tool(word) => {
                message.role = Role::Assistant;
                let call = tool.call(&mut map, word);
                let output = tool.output(&mut map);
                message.metadata = map.rest();
                let Some(call) = call else {
                    self.kind = Some(kind);
                    return Ok(false);
                };
                let result = output.map(|raw| tool.result(&call, raw, notes)).transpose()?;
                parts.push(Segment::Ran(call, result));
            }
            word if word == "function_call_output"
                || word == "custom_tool_call_output"
                || hosted::is_output(word) =>
            {
                message.role = Role::Tool;
                if !map.has(&CALL_ID) && hosted::is_output(word) {
                    message.tool_call_id = map.take_id(&["id"]);
                }
                message.metadata = map.rest();
            }
            "reasoning" => {
                message.role = Role::Assistant;
                let summary = map.take(&["summary"], texts_in).map(|texts| texts.join("\n\n"));
                message.metadata = map.rest();
                if let Some(mut content) = self.content.take() {
                    segments(&mut content, notes, parts)?;
                }
                // Its texts are reasoning, whatever type they have.
                for part in parts.iter_mut() {
                    if let Segment::Part(text) = part
                        && let Some(text) = text.text.take_if(|_| text.kind == PartKind::Text)
                    {
                        *part = Segment::Reasoning(text);
                    }
                }
                if let Some(summary) = summary.filter(|_| parts.is_empty()) {
                    message.reasoning = Some(summary.into());
                }
            }
            word => {
                message.metadata = map.rest();
                let Some(role) = role_of(word) else {
                    self.kind = Some(kind);
                    return Ok(false);
                };
                message.role = role;
                if word != role.as_str() {
                    message.source_role = Some(kind);
                }
            }
        }
        Ok(true)
    }

    /// A message of which not even the speaker is known.
    fn unplace_whole(
        mut self,
        notes: &mut Notes,
        take: &mut impl FnMut(Message<'a>),
    ) -> Result<(), ItemError> {
        let raw = match &mut self.whole {
            Some(whole) => whole.raw()?,
            None => RawJson::null(),
        };
        let path = match &self.kind {
            Some(kind) => format!("type={}", short(&kind.decoded())),
            None => String::new(),
        };
        notes.unplaced(path, &raw);
        self.message.role = Role::Other;
        self.message.source_role = Some(self.kind.take().unwrap_or_default());
        put(&mut self.message.metadata, "raw".into(), raw);
        take(self.message);
        Ok(())
    }

    /// Reads lists of parts, wherever they stand.
    fn take_parts(
        &mut self,
        notes: &mut Notes,
        parts: &mut Vec<Segment<'a>>,
    ) -> Result<(), ItemError> {
        let message = &mut self.message;
        if let Some(mut content) = self.content.take() {
            let mark = notes.mark();
            let is_data = message.role == Role::Tool && {
                let raw = content.clone().raw()?;
                !are_parts(raw.as_str())
            };
            if is_data {
                message.content = result_content(content.raw()?, notes)?;
            } else {
                // What was passed over before counts the keys and numbers already.
                let before = content.lone_surrogates();
                segments(&mut content, notes, parts)?;
                notes.lone_surrogates += u64::from(content.lone_surrogates() - before);
                if parts.is_empty() && message.tool_calls.is_empty() {
                    message.content = Some(Content::Parts(Vec::new()));
                }
            }
            notes.under(mark, || "content".into());
        }
        if let Some(mut list) = self.parts.take() {
            let mark = notes.mark();
            let mut others = Vec::new();
            segments(&mut list.clone(), notes, &mut others)?;
            notes.under(mark, || "parts".into());
            let said = texts_of(&others);
            let own = message.content.as_ref().map(Content::text).unwrap_or_default();
            if said.is_empty() || own.is_blank() || said.trim() == own.decoded().trim() {
                // The content says what the parts say, in their order.
                if !said.is_empty() || own.is_blank() {
                    message.content = None;
                }
                parts.splice(0..0, others);
            } else {
                notes.unplaced("parts", &list.raw()?);
            }
        }
        if let Some(mut list) = self.invocations.take() {
            let mark = notes.mark();
            let mut ran = Vec::new();
            invocations(&mut list, notes, &mut ran)?;
            notes.under(mark, || "toolInvocations".into());
            // The parts hold them, too, where there are such.
            let has = |id: &Text<'_>| {
                parts.iter().any(|part| matches!(part, Segment::Ran(call, _) if call.id == *id))
            };
            ran.retain(|one| !matches!(one, Segment::Ran(call, _) if has(&call.id)));
            parts.splice(0..0, ran);
        }
        Ok(())
    }

    /// Takes what only some systems write.
    fn take_rest(&mut self, notes: &mut Notes) -> Result<(), ItemError> {
        let message = &mut self.message;
        if message.metadata.is_empty() {
            return Ok(());
        }
        let has_content = message.content.is_some();
        let mut map = FieldMap::from(std::mem::take(&mut message.metadata));
        if message.role == Role::Tool {
            // It may repeat the call that it answers.
            let call = map.take(&["tool_call"], fields::object);
            if let Some(call) = call.and_then(|call| call_in(&call, notes)) {
                let id = message.tool_call_id.get_or_insert_default();
                if id.is_empty() {
                    *id = call.id;
                }
                message.name.get_or_insert(call.name);
            }
            message.tool_call_id = message.tool_call_id.take().or_else(|| map.take_id(&CALL_ID));
            message.name = message.name.take().or_else(|| map.take(&TOOL_NAME, RawJson::text));
            let failed = map.peek("status").is_some_and(|raw| raw.as_str() == "\"error\"")
                || ["is_error", "isError"].iter().any(|name| map.is_true(name));
            if failed && message.error.is_none() {
                message.error = Some("failed".into());
            }
            if !has_content && let Some(raw) = map.take(&RESULT, fields::json) {
                message.content = result_content(raw, notes)?;
            }
        } else if !has_content && message.tool_calls.is_empty() {
            message.content = map.take(&SAID, RawJson::text).map(Content::Text);
        }
        take_kwargs(message, &mut map, notes);
        if message.role == Role::Assistant {
            take_state(message, &map, notes);
        }
        if let Some(reasoning) = &message.reasoning {
            // Some write it twice, under two names.
            let again = |raw: &RawJson<'a>| raw.text().filter(|text| text == reasoning);
            map.take(&["reasoning_content", "reasoning", "thinking"], again);
        } else {
            let told = ["thinking_blocks", "reasoning_details"]
                .into_iter()
                .find_map(|name| Some((name, reasoning_in(map.peek(name)?)?)));
            message.reasoning = match told {
                Some((name, (text, is_all))) => {
                    // What is encrypted stays: without it, a provider does not take its reasoning back.
                    if is_all {
                        map.take(&[name], fields::json);
                    }
                    Some(text.into())
                }
                None => map.take(&["tool_plan"], RawJson::text),
            };
        }
        if message.finish_reason.is_none() {
            message.finish_reason = ["response_metadata", "generation_info"]
                .iter()
                .find_map(|name| fields::map(map.peek(name)?))
                .and_then(|mut said| {
                    said.take(&["finish_reason", "stop_reason", "done_reason"], marks::ended)
                });
        }
        if message.content.is_none() {
            message.content = map.peek("refusal").and_then(RawJson::text).map(Content::Text);
        }
        message.metadata = map.rest();
        Ok(())
    }

    /// Notes fields that are left and not empty.
    fn account_for(&self, known: &[&str], notes: &mut Notes) {
        let message = &self.message;
        if message.metadata.is_empty() {
            return;
        }
        let is_told = message.content.is_some();
        let is_placed = message.role != Role::Tool || message.tool_call_id.is_some();
        let least = if is_told && is_placed { Least::Prose } else { Least::Word };
        // Where there are words, these say the same once more.
        let again: &[&str] = if is_told || message.reasoning.is_some() {
            &["refusal", "thinking_blocks", "reasoning_details"]
        } else {
            &[]
        };
        // What LangChain keeps there is accounted for where it is read.
        let known = known.iter().chain(again).copied().chain(["additional_kwargs"]);
        let keys = self.repeated();
        let known: Vec<_> = known.chain(keys.iter().map(|key| &**key)).collect();
        notes.unplaced_fields(&message.metadata, &known, least);
    }

    /// Remaining fields that only repeat the text of the message.
    fn repeated(&self) -> Vec<Cow<'_, str>> {
        let Message { content, metadata, .. } = &self.message;
        // The text of the message is assembled only if a field may repeat it.
        let nested: Vec<_> =
            metadata.iter().filter(|(_, raw)| raw.as_str().starts_with(['[', '{'])).collect();
        if nested.is_empty() {
            return Vec::new();
        }
        let said = content.as_ref().map(Content::text).unwrap_or_default();
        let said = said.decoded();
        let again = nested.into_iter().filter(|(_, raw)| repeats(raw, &said));
        again.map(|(key, _)| key.decoded()).collect()
    }
}

/// Other keys for the text of a message.
const SAID: [&str; 4] = ["text", "message", "say", "utterance"];

/// LangChain keeps beside a message what its provider said in other words: calls, which `tool_calls` hold once more, and
/// reasoning.
fn take_kwargs<'a>(message: &mut Message<'a>, map: &mut FieldMap<'a>, notes: &mut Notes) {
    let Some(raw) = map.take(&["additional_kwargs"], fields::object) else { return };
    let Some(mut said) = FieldMap::of(&raw, notes) else { return };
    let mark = notes.mark();
    let calls = said.take(&["tool_calls", "function_call"], |raw| calls_in(raw.as_str(), notes));
    if message.tool_calls.is_empty() {
        message.tool_calls = calls.unwrap_or_default();
    } else {
        // These say the same once more, as a rule.
        notes.forget(mark);
        let is_told = |call: &ToolCall<'_>| {
            message.tool_calls.iter().any(|one| one.id == call.id || one.name == call.name)
        };
        if !calls.iter().flatten().all(is_told) {
            notes.unplaced("tool_calls", &raw);
        }
    }
    if message.reasoning.is_none() {
        message.reasoning = said.take(&["reasoning_content", "reasoning"], RawJson::text);
    } else {
        let reasoning = message.reasoning.clone();
        let again = |raw: &RawJson<'a>| raw.text().filter(|text| Some(text) == reasoning.as_ref());
        said.take(&["reasoning_content", "reasoning"], again);
    }
    let left = said.rest();
    notes.unplaced_fields(&left, &["refusal"], Least::Prose);
    notes.under(mark, || "additional_kwargs".into());
    map.put("additional_kwargs", raw);
}

/// What a system says of an answer that did not end by itself: a word for its state, or a flag.
fn take_state(message: &mut Message<'_>, map: &FieldMap<'_>, notes: &mut Notes) {
    const CUT: [&str; 7] = [
        "unfinished",
        "incomplete",
        "truncated",
        "is_truncated",
        "aborted",
        "interrupted",
        "cancelled",
    ];
    if message.finish_reason.is_none() {
        let status = map.peek("status").and_then(RawJson::text).filter(cut_off);
        message.finish_reason = status.map(Text::into_owned).or_else(|| {
            let said = CUT.into_iter().find(|name| map.is_true(name))?;
            Some(said.strip_prefix("is_").unwrap_or(said).into())
        });
    }
    if message.finish_reason.is_none() {
        // ChatGPT's way to say it.
        let details = map.peek("finish_details").and_then(|raw| FieldMap::of(raw, notes));
        message.finish_reason = details
            .and_then(|details| details.peek("type").and_then(RawJson::text).map(Text::into_owned));
    }
    if message.error.is_none() && (map.is_true("is_error") || map.is_true("isError")) {
        message.error = Some("failed".into());
    }
}

/// The call that an object is, if it names its tool.
fn call_in(raw: &RawJson<'_>, notes: &mut Notes) -> Option<ToolCall<'static>> {
    let mark = notes.mark();
    let call = tool_call(&mut Parser::new(raw.as_str()), notes).ok()?;
    notes.under(mark, || "tool_call".into());
    Some(call.into_owned()).filter(|call| !call.name.is_empty())
}

/// The texts among parts, as a content of them would have it.
fn texts_of(parts: &[Segment<'_>]) -> String {
    let texts: Vec<_> = parts
        .iter()
        .filter_map(|part| match part {
            Segment::Part(part) => part.text.as_ref().map(Text::decoded),
            _ => None,
        })
        .collect();
    texts.join("")
}

fn keep_unless_null<'a>(
    parser: &mut Parser<'a>,
    key: Cow<'a, str>,
    rest: &mut Fields<'a>,
) -> Result<(), ItemError> {
    if !parser.null()? {
        keep(parser, key, rest)?;
    }
    Ok(())
}

fn tool_calls<'a>(
    parser: &mut Parser<'a>,
    key: Cow<'a, str>,
    message: &mut Message<'a>,
    notes: &mut Notes,
) -> Result<(), ItemError> {
    match parser.kind()? {
        Kind::Array => {
            parser.array()?;
            let mut at = 0_usize;
            while parser.next_element()? {
                if parser.kind()? != Kind::Object {
                    return Err(ItemError::new(
                        Refusal::BadField,
                        parser.at(),
                        "a tool call that is not an object",
                    ));
                }
                let mark = notes.mark();
                message.tool_calls.push(tool_call(parser, notes)?);
                notes.under(mark, || format!("tool_calls[{at}]"));
                at += 1;
            }
            Ok(())
        }
        Kind::String => {
            let raw = parser.raw()?;
            let mark = notes.mark();
            match raw.as_text().and_then(|text| calls_in(&text, notes)) {
                Some(calls) => message.tool_calls.extend(calls),
                None => put(&mut message.metadata, key.into(), raw),
            }
            notes.under(mark, || "tool_calls".into());
            Ok(())
        }
        _ => keep_unless_null(parser, key, &mut message.metadata),
    }
}

/// Reads a mark for whether to train on the message. A mark that says more is also kept in the metadata.
fn mark<'a>(
    parser: &mut Parser<'a>,
    key: Cow<'a, str>,
    message: &mut Message<'a>,
) -> Result<(), ItemError> {
    let raw = parser.raw()?;
    let Mark { train, is_whole } = marks::read(&key, &raw);
    // Of two marks the one that forbids counts.
    if let Some(train) = train {
        message.train = Some(message.train.unwrap_or(true) && train);
    }
    if !is_whole {
        put(&mut message.metadata, key.into(), raw);
    }
    Ok(())
}

/// Axolotl's marks of ranges inside a message. Rows cannot express ranges, so one excluded range excludes the message.
fn marks_inside<'a>(
    parser: &mut Parser<'a>,
    key: Cow<'a, str>,
    message: &mut Message<'a>,
    notes: &mut Notes,
) -> Result<(), ItemError> {
    let raw = parser.raw()?;
    let forbids = |range: RawJson<'a>| {
        let range = FieldMap::of(&range, notes);
        range.is_some_and(|range| range.peek("train").is_some_and(|raw| raw.as_str() == "false"))
    };
    if fields::list(&raw).is_some_and(|ranges| ranges.into_iter().any(forbids)) {
        message.train = Some(false);
    }
    put(&mut message.metadata, key.into(), raw);
    Ok(())
}

/// Whether the source prefers or rejects the message.
fn label<'a>(
    parser: &mut Parser<'a>,
    key: Cow<'a, str>,
    message: &mut Message<'a>,
) -> Result<(), ItemError> {
    let raw = parser.raw()?;
    match marks::label_of(&key, &raw) {
        Some(label) => message.label = Some(label),
        None if raw.is_null() || marks::flag_of(&raw).is_some() => {}
        None => put(&mut message.metadata, key.into(), raw),
    }
    Ok(())
}

fn feedback<'a>(
    parser: &mut Parser<'a>,
    key: Cow<'a, str>,
    message: &mut Message<'a>,
    notes: &mut Notes,
) -> Result<(), ItemError> {
    if parser.kind()? != Kind::Object {
        return keep_unless_null(parser, key, &mut message.metadata);
    }
    let mut feedback = Feedback::default();
    let rest = &mut message.metadata;
    each_field(parser, notes, |parser, key, _| {
        match &*key {
            "isPositive" | "rating" | "thumb" | "score" if feedback.rating.is_none() => {
                feedback.rating = Some(parser.raw()?).filter(|raw| !raw.is_null());
            }
            "category" | "label" | "tag" => feedback.label = text_or_keep(parser, key, rest)?,
            "details" | "comment" | "text" => feedback.comment = text_or_keep(parser, key, rest)?,
            _ => keep(parser, key, rest)?,
        }
        Ok(())
    })?;
    message.feedback = Some(Box::new(feedback));
    Ok(())
}

/// Whatever a source sets as an error, other than nothing.
fn error<'a>(
    parser: &mut Parser<'a>,
    key: Cow<'a, str>,
    message: &mut Message<'a>,
) -> Result<(), ItemError> {
    match parser.kind()? {
        Kind::Null => drop(parser.null()?),
        Kind::Bool => {
            if parser.bool()? {
                message.error = Some("failed".into());
            }
        }
        Kind::String => {
            let text = parser.string()?;
            message.error = Some(text).filter(|text| !text.is_empty());
        }
        _ => {
            let raw = parser.raw()?;
            if !matches!(raw.as_str(), "{}" | "[]" | "0") {
                message.error = Some(raw.as_str().to_owned().into());
            }
            put(&mut message.metadata, key.into(), raw);
        }
    }
    Ok(())
}

/// Records a role that no one knows.
pub(super) fn unknown_role(word: Option<&Text<'_>>, notes: &mut Notes) {
    let word = word.map(Text::decoded).unwrap_or_default();
    notes.unplaced(format!("role={}", short(&word)), &RawJson::string(&word));
}
