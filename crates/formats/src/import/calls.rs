//! Calls of tools and their results, under the names that systems have for their fields.

use std::borrow::Cow;

use retort_json::{Kind, Parser, RawJson};
use retort_model::{Fields, ToolCall};

use super::fields::{self, each_field, id_or_keep, keep, put, text_or_keep};
use super::format::{ItemError, Notes};
use super::unplaced::Least;

/// What was seen of a call that says whether it was understood.
#[derive(Default)]
struct Seen {
    name: bool,
    arguments: bool,
}

/// Fields of calls that say nothing of what is called.
const KNOWN: [&str; 8] = [
    "partialJson",
    "placeholder_args",
    "providerExecuted",
    "dynamic",
    "preliminary",
    "streaming",
    "view",
    "display_name",
];

/// A call: OpenAI's `{id, type, function: {name, arguments}}`, or the fields themselves, as `{id, name, arguments}`,
/// LangChain's `args`, Anthropic's `input`, Vercel's `toolCallId` and `toolName`.
pub(super) fn tool_call<'a>(
    parser: &mut Parser<'a>,
    notes: &mut Notes,
) -> Result<ToolCall<'a>, ItemError> {
    let whole = parser.clone();
    let mut call = ToolCall::default();
    let mut seen = Seen::default();
    each_field(parser, notes, |parser, key, notes| match &*key {
        "function" | "custom" | "functionCall" | "function_call" | "toolUse"
            if parser.kind()? == Kind::Object =>
        {
            if key == "custom" {
                put(&mut call.metadata, "type".into(), RawJson::string("custom"));
            }
            each_field(parser, notes, |parser, key, _| {
                call_field(parser, key, &mut call, &mut seen)
            })
        }
        "type" => {
            let word = text_or_keep(parser, key, &mut call.metadata)?;
            if let Some(word) = word.filter(|word| *word != *"function") {
                put(&mut call.metadata, "type".into(), RawJson::string(&word.decoded()));
            }
            Ok(())
        }
        _ => call_field(parser, key, &mut call, &mut seen),
    })?;
    account_for(&call, &seen, whole, notes)?;
    Ok(call)
}

fn call_field<'a>(
    parser: &mut Parser<'a>,
    key: Cow<'a, str>,
    call: &mut ToolCall<'a>,
    seen: &mut Seen,
) -> Result<(), ItemError> {
    match &*key {
        "name" | "function" | "toolName" | "tool_name" if !seen.name => {
            if let Some(name) = text_or_keep(parser, key, &mut call.metadata)? {
                seen.name = true;
                call.name = name;
            }
        }
        "arguments" | "args" | "input" | "parameters" if !seen.arguments => match parser.kind()? {
            Kind::Null => drop(parser.null()?),
            Kind::String => {
                seen.arguments = true;
                call.arguments = parser.string()?;
            }
            _ => {
                seen.arguments = true;
                call.arguments = parser.raw()?.into_cow().into();
            }
        },
        "id" if call.id.is_empty() => {
            call.id = id_or_keep(parser, key, &mut call.metadata)?.unwrap_or_default();
        }
        "call_id" | "toolCallId" | "tool_call_id" | "toolUseId" => {
            // Items of the Responses API have an id of their own beside the call's.
            let id = id_or_keep(parser, key, &mut call.metadata)?.unwrap_or_default();
            let own = std::mem::replace(&mut call.id, id);
            if !own.is_empty() {
                put(&mut call.metadata, "item_id".into(), RawJson::string(&own.decoded()));
            }
        }
        _ => keep(parser, key, &mut call.metadata)?,
    }
    Ok(())
}

/// Tells of a call without a name or with fields that may be its arguments.
fn account_for<'a>(
    call: &ToolCall<'a>,
    seen: &Seen,
    mut whole: Parser<'a>,
    notes: &mut Notes,
) -> Result<(), ItemError> {
    if !seen.name {
        notes.unplaced("", &whole.raw()?);
    } else if seen.arguments {
        notes.unplaced_fields(&call.metadata, &KNOWN, Least::Prose);
    } else {
        for (key, raw) in call.metadata.iter().filter(|(key, _)| *key != *"type") {
            if !matches!(fields::kind(raw), Some(Kind::Null | Kind::Bool | Kind::Number)) {
                notes.unplaced(super::unplaced::short(&key.decoded()), raw);
            }
        }
    }
    Ok(())
}

/// The call that a map of fields holds.
pub(super) fn call_of<'a>(fields: &Fields<'a>, notes: &mut Notes) -> Option<ToolCall<'a>> {
    let raw = RawJson::object(fields)?;
    let text = raw.into_cow();
    tool_call(&mut Parser::new(&text), notes).ok().map(ToolCall::into_owned)
}

/// The calls of a JSON text: one `{name, arguments}` or a list of them. None if it is anything else.
pub(super) fn calls_in(text: &str, notes: &mut Notes) -> Option<Vec<ToolCall<'static>>> {
    let mark = notes.mark();
    let calls = try_calls_in(text, notes);
    if calls.is_none() {
        notes.forget(mark);
    }
    calls
}

fn try_calls_in(text: &str, notes: &mut Notes) -> Option<Vec<ToolCall<'static>>> {
    let mut parser = Parser::new(text);
    let mut calls = Vec::new();
    if parser.kind().ok()? == Kind::Array {
        parser.array().ok()?;
        while parser.next_element().ok()? {
            let (mark, at) = (notes.mark(), calls.len());
            calls.push(tool_call(&mut parser, notes).ok()?.into_owned());
            notes.under(mark, || format!("[{at}]"));
        }
    } else {
        calls.push(tool_call(&mut parser, notes).ok()?.into_owned());
    }
    parser.end().ok()?;
    let named = !calls.is_empty() && calls.iter().all(|call| !call.name.is_empty());
    named.then_some(calls)
}

/// Under what results say which call they answer.
pub(super) const CALL_ID: [&str; 7] =
    ["tool_call_id", "toolCallId", "tool_use_id", "toolUseId", "toolUseID", "call_id", "callId"];

/// Under what they say the tool.
pub(super) const TOOL_NAME: [&str; 5] =
    ["name", "tool_name", "toolName", "function_name", "function"];

/// Under what they say what came of it.
pub(super) const RESULT: [&str; 5] = ["content", "output", "response", "result", "value"];
