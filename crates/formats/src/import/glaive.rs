//! Glaive's function-calling sets: a `system` text that defines functions, and a `chat` as one text with marks of who speaks.
//! Reference: `glaiveai/glaive-function-calling-v2`, and version 1, which has all in one `sample`.

use retort_json::{Parser, RawJson};

use super::fields::{self, FieldMap, object_of};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::openai;
use super::sniff::Sniff;

/// The format.
pub(super) struct Glaive;

/// What begins a turn at the start of a line, and whose turn it is.
const MARKS: [(&str, &str); 4] = [
    ("SYSTEM:", "system"),
    ("USER:", "user"),
    ("ASSISTANT:", "assistant"),
    ("FUNCTION RESPONSE:", "tool"),
];

/// What ends an answer.
const END: &str = "<|endoftext|>";

/// What begins a call.
const CALL: &str = "<functioncall>";

impl ImportFormat for Glaive {
    fn name(&self) -> &'static str {
        "glaive"
    }

    fn about(&self) -> &'static str {
        "Glaive's function-calling sets: `system` and `chat` as texts with `USER:`, `ASSISTANT:` and `FUNCTION RESPONSE:`"
    }

    fn notes(&self) -> &'static str {
        "`glaiveai/glaive-function-calling-v2` (`system`, `chat`) and version 1 (`sample`). `<functioncall>` becomes a \
         call, whose arguments may be in single quotes, and `FUNCTION RESPONSE` its result; `<|endoftext|>` is \
         dropped. Functions that are defined in the system's text become tools, and the words before them stay. A call \
         that cannot be read is not understood. Written from the datasets' cards; no real file was available."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let speaks = |key: &str| {
            sniff.text(&[key]).is_some_and(|text| {
                let text = text.trim_start();
                MARKS.iter().any(|(mark, _)| text.starts_with(mark)) && text.contains("ASSISTANT:")
            })
        };
        (sniff.has("chat") && speaks("chat")) || (sniff.has("sample") && speaks("sample"))
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut row = FieldMap::item(text, notes)?;
        let chat = row.take(&["chat", "sample"], RawJson::as_text).ok_or_else(|| {
            ItemError::new(Refusal::UnknownShape, 0, "no `chat` and no `sample` in the row")
        })?;
        let system = row.take(&["system"], RawJson::as_text).unwrap_or_default();
        let mut messages = Vec::new();
        let mut tools = Vec::new();
        let mut system_message = |text: &str, messages: &mut Vec<RawJson<'static>>| {
            let (words, defined) = defined_in(text).unwrap_or((text, Vec::new()));
            tools.extend(defined);
            if !words.trim().is_empty() {
                messages.push(said("system", words.trim()));
            }
        };
        let system = system.trim();
        system_message(system.strip_prefix("SYSTEM:").unwrap_or(system), &mut messages);
        for (role, text) in turns(&chat) {
            match role {
                "system" => system_message(text, &mut messages),
                "assistant" => messages.push(answer(text, notes)),
                _ => messages.push(said(role, text)),
            }
        }
        if !tools.is_empty() {
            row.put("tools", RawJson::array(&tools));
        }
        Ok(openai::with_messages(row.rest(), RawJson::array(&messages), &[], notes)?.into())
    }
}

fn said(role: &str, text: &str) -> RawJson<'static> {
    object_of([("role", RawJson::string(role)), ("content", RawJson::string(text))])
}

/// Who says what, in order. Text before the first mark names no speaker; it counts as the user's.
fn turns(chat: &str) -> Vec<(&'static str, &str)> {
    let mut turns = Vec::new();
    let (mut role, mut from, mut at) = ("user", 0, 0);
    for line in chat.split_inclusive('\n') {
        let mark = MARKS.iter().find(|(mark, _)| line.starts_with(mark));
        if let Some((mark, next)) = mark {
            turns.push((role, chat.get(from..at).unwrap_or_default().trim()));
            (role, from) = (next, at + mark.len());
        }
        at += line.len();
    }
    turns.push((role, chat.get(from..).unwrap_or_default().trim()));
    turns.retain(|(_, text)| !text.is_empty());
    turns
}

/// An answer: words, and calls behind them.
fn answer(text: &str, notes: &mut Notes) -> RawJson<'static> {
    let text = text.strip_suffix(END).unwrap_or(text).trim_end();
    let mut pieces = text.split(CALL);
    let words = pieces.next().unwrap_or_default().trim();
    let mut calls = Vec::new();
    for piece in pieces {
        let piece = piece.trim().trim_end_matches(END).trim_end();
        let Some(call) = call(piece) else {
            notes.unplaced("chat.functioncall", &RawJson::string(piece));
            return said("assistant", text);
        };
        calls.push(call);
    }
    if calls.is_empty() {
        return said("assistant", text);
    }
    object_of([
        ("role", RawJson::string("assistant")),
        ("content", if words.is_empty() { RawJson::null() } else { RawJson::string(words) }),
        ("tool_calls", RawJson::array(&calls)),
    ])
}

/// A call with its name and arguments, which may be JSON text in single quotes.
fn call(text: &str) -> Option<RawJson<'static>> {
    let named = |raw: &RawJson<'_>| fields::map(raw)?.take(&["name"], RawJson::as_text);
    if let Ok(raw) = RawJson::owned(text) {
        return named(&raw).map(|_| raw);
    }
    let (head, rest) = text.split_once("\"arguments\":")?;
    let (arguments, tail) = rest.trim_start().strip_prefix('\'')?.rsplit_once('\'')?;
    if tail.trim() != "}" {
        return None;
    }
    let head = RawJson::owned(&format!("{}}}", head.trim_end().trim_end_matches(','))).ok()?;
    let arguments = RawJson::string(&arguments.replace("\\'", "'"));
    Some(object_of([("name", RawJson::string(&named(&head)?)), ("arguments", arguments)]))
}

/// The words of a system's text and the functions that are defined behind them. None if anything else follows.
fn defined_in(text: &str) -> Option<(&str, Vec<RawJson<'static>>)> {
    let (words, mut rest) = text.split_at(text.find('{')?);
    let mut tools = Vec::new();
    while !rest.trim().is_empty() {
        let mut parser = Parser::new(rest);
        let raw = parser.raw().ok()?.into_owned();
        fields::map(&raw)?.peek("name")?;
        tools.push(raw);
        rest = rest.get(parser.at()..)?;
    }
    Some((words, tools))
}
