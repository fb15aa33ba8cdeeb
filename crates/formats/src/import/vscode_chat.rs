//! Chats of VS Code, with GitHub Copilot or another extension: the files of its `chatSessions` folders and its command
//! "Chat: Export Chat…". Source: the code of `microsoft/vscode` (`chatModel.ts`, `objectMutationLog.ts`) and of
//! `microsoft/vscode-copilot-chat`.
//!
//! A request holds what was asked and the parts of the answer as they are shown. What the model itself wrote, call by call,
//! Copilot keeps beside them, in `result.metadata.toolCallRounds`, and the results under the ids of the calls. A file of
//! newer versions is a log: a first state, and changes of it.

use retort_json::{RawJson, Text};
use retort_model::{Content, Conversation, Kind as Held, Message, Role, ToolCall};
use serde_json::Value;

use super::fields::{self, FieldMap};
use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Refusal, Spread};
use super::session::{self, Step, Trail};
use super::sniff::{Entry, Sniff};
use super::unplaced::{Least, short};

/// The format.
pub(super) struct VsCodeChat;

impl ImportFormat for VsCodeChat {
    fn name(&self) -> &'static str {
        "vscode-chat"
    }

    fn about(&self) -> &'static str {
        "VS Code's chats with Copilot: the files in `chatSessions` folders, and exported chats"
    }

    fn notes(&self) -> &'static str {
        "VS Code keeps chats in `User/workspaceStorage/*/chatSessions` of its configuration folder, and writes one with the \
         command \"Chat: Export Chat…\". What was typed is the question; the instructions and files that Copilot added to it \
         are kept as metadata. Answers and calls are those that the model wrote, with their results, as Copilot keeps them for \
         its next request; where there are none, the answer is what was shown, and calls in it, whose arguments VS Code \
         does not keep, are not understood. Models, errors and votes are kept. Requests that were undone \
         are sibling rounds that are not trained on; answers that were cancelled, failed or are not complete say so. In logs of changes the last state counts."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let holds = |path: &[&str]| sniff.holds(path);
        let is_session = holds(&["requests"])
            && (holds(&["responderUsername"])
                || holds(&["requesterUsername"])
                || holds(&["creationDate"]))
            && (holds(&["requests", "response"]) || !sniff.has_keys(&["requests"]));
        let kind = sniff.word("kind");
        let is_log =
            kind.as_deref() == Some("0") && holds(&["v", "requests"]) && holds(&["v", "version"])
                || kind.is_some_and(|kind| matches!(&*kind, "1" | "2" | "3"))
                    && sniff.keys().iter().all(|key| matches!(&**key, "kind" | "k" | "v" | "i"))
                    && sniff.first(&["k"]).is_some();
        is_session || is_log
    }

    fn spread(&self) -> Spread {
        Spread::Rows
    }

    fn fragments<'t>(&self, text: &'t str, entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
        if !Sniff::of(text).has("requests") {
            session::line_of_file(text, entry, into);
        }
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let lines = session::lines(text, notes)?;
        let is_log = lines.iter().any(|line| line.map.has(&["kind"]));
        let mut map = if is_log {
            let state = replayed(&lines.iter().map(|line| line.raw.clone()).collect::<Vec<_>>())?;
            let raw = RawJson::owned(&state.to_string())?;
            FieldMap::of(&raw, notes).unwrap_or_default()
        } else {
            lines.into_iter().next().map(|line| line.map).unwrap_or_default()
        };
        let requests = map.take(&["requests"], fields::list).ok_or_else(|| {
            ItemError::new(Refusal::UnknownShape, 0, "no list of `requests` in the item")
        })?;
        let mut trail = Trail::default();
        for (at, raw) in requests.iter().enumerate() {
            let mark = notes.mark();
            let place = trail.end();
            for step in request(raw, notes)? {
                trail.push(step);
            }
            if is_undone(raw) {
                trail.take_back(place);
            }
            notes.under(mark, || format!("requests[{at}]"));
        }
        // Chats that were opened and never used.
        if trail.steps().all(|step| step.messages.is_empty()) {
            return Ok(Items::default());
        }
        let mut conversation = Conversation {
            id: map.take_id(&["sessionId"]).unwrap_or_default(),
            kind: Held::Agent,
            owner: map.take(&["requesterUsername"], RawJson::text).filter(|name| !name.is_blank()),
            title: map.take(&["customTitle"], RawJson::text),
            created_at: map.take(&["creationDate"], fields::time),
            updated_at: map.take(&["lastMessageDate"], fields::time),
            ..Conversation::default()
        };
        (conversation.rounds, conversation.current) = trail.rounds();
        session::date(&mut conversation);
        conversation.metadata = map.rest();
        Ok(conversation.into())
    }
}

/// The last state of a log: its first one, with what was set, added and deleted since.
fn replayed(lines: &[RawJson<'_>]) -> Result<Value, ItemError> {
    let broken = |at: usize| {
        let why = format!("line {} of the log changes a missing value", at + 1);
        ItemError::new(Refusal::BadField, 0, why)
    };
    let mut state = Value::Null;
    for (at, line) in lines.iter().enumerate() {
        let mut entry: Value = serde_json::from_str(line.as_str()).map_err(|_| broken(at))?;
        let value = entry.get_mut("v").map(Value::take);
        let kind = entry.get("kind").and_then(Value::as_u64);
        if kind == Some(0) {
            state = value.unwrap_or_default();
            continue;
        }
        let path = entry.get("k").and_then(Value::as_array).ok_or_else(|| broken(at))?;
        let Some((last, above)) = path.split_last() else { return Err(broken(at)) };
        let mut place = &mut state;
        for step in above {
            place = within(place, step).ok_or_else(|| broken(at))?;
        }
        match kind {
            Some(1) => set(place, last, value.unwrap_or_default()).ok_or_else(|| broken(at))?,
            Some(2) => {
                if within(place, last).is_none() {
                    set(place, last, Value::Array(Vec::new())).ok_or_else(|| broken(at))?;
                }
                let list = within(place, last).and_then(Value::as_array_mut);
                let list = list.ok_or_else(|| broken(at))?;
                // What follows this place is written anew.
                if let Some(from) = entry.get("i").and_then(Value::as_u64) {
                    list.truncate(usize::try_from(from).unwrap_or(usize::MAX));
                }
                if let Some(Value::Array(values)) = value {
                    list.extend(values);
                }
            }
            Some(3) => {
                if let (Some(map), Some(key)) = (place.as_object_mut(), last.as_str()) {
                    map.remove(key);
                }
            }
            _ => return Err(broken(at)),
        }
    }
    Ok(state)
}

fn within<'v>(value: &'v mut Value, step: &Value) -> Option<&'v mut Value> {
    match step {
        Value::String(key) => value.get_mut(key),
        step => value.get_mut(usize::try_from(step.as_u64()?).ok()?),
    }
}

fn set(value: &mut Value, step: &Value, new: Value) -> Option<()> {
    match (value, step) {
        (Value::Object(map), Value::String(key)) => drop(map.insert(key.clone(), new)),
        (Value::Array(list), step) => {
            let at = usize::try_from(step.as_u64()?).ok()?;
            if at == list.len() {
                list.push(new);
            } else {
                *list.get_mut(at)? = new;
            }
        }
        _ => return None,
    }
    Some(())
}

/// Whether a person undid a request, so that it is not part of what is sent next.
fn is_undone(raw: &RawJson<'_>) -> bool {
    let Some(map) = fields::map(raw) else { return false };
    let undone = map.peek("shouldBeRemovedOnSend");
    undone.is_some_and(|raw| raw.as_str().starts_with(['{', 't'])) || map.is_true("isHidden")
}

/// How an answer ended that is not whole, by the number of its state (`ResponseModelState`).
fn ended(raw: &RawJson<'_>) -> Option<&'static str> {
    let state = fields::count(raw).or_else(|| fields::count(fields::map(raw)?.peek("value")?))?;
    match state {
        // Pending, and waiting for what a person says.
        0 | 4 => Some("incomplete"),
        2 => Some("cancelled"),
        3 => Some("failed"),
        _ => None,
    }
}

/// Reads a request: what was asked, and all that was answered.
fn request<'a>(raw: &RawJson<'a>, notes: &mut Notes) -> Result<Vec<Step<'a>>, ItemError> {
    let Some(mut map) = FieldMap::of(raw, notes) else {
        notes.unplaced("", raw);
        return Ok(Vec::new());
    };
    let at = map.take(&["timestamp"], fields::time);
    let model = map.take(&["modelId"], RawJson::text);
    let asked = map.take(&["message"], |raw| fields::text_or_under(raw, &["text"]));
    let mut question = Message::text(Role::User, asked.unwrap_or_default());
    question.created_at = at;
    let mut result = map.take(&["result"], fields::map).unwrap_or_default();
    let error =
        result.take(&["errorDetails"], |raw| fields::map(raw)?.take(&["message"], RawJson::text));
    let mut written = result.take(&["metadata"], fields::map).unwrap_or_default();
    let rounds = written.take(&["toolCallRounds"], fields::list).unwrap_or_default();
    let results = written.peek("toolCallResults").and_then(fields::map).unwrap_or_default();
    let shown = map.take(&["response"], fields::list).unwrap_or_default();
    let mut answers = if rounds.is_empty() {
        shown_answer(&shown, notes)
    } else {
        answers(&rounds, results, notes)?
    };
    let canceled =
        map.take(&["isCanceled"], fields::json).is_some_and(|raw| raw.as_str() == "true");
    if let Some(error) = error {
        match answers.iter_mut().rfind(|one| one.role == Role::Assistant) {
            Some(answer) => answer.error = Some(error),
            None => {
                answers.push(Message { error: Some(error), ..Message::text(Role::Assistant, "") });
            }
        }
    }
    if let Some(answer) = answers.iter_mut().rfind(|one| one.role == Role::Assistant) {
        let state = map.peek("modelState").and_then(ended);
        answer.finish_reason = canceled.then_some("cancelled").or(state).map(Text::from);
        let rating = map.take(&["vote"], fields::json);
        let label = map.take(&["voteDownReason"], RawJson::text);
        if rating.is_some() || label.is_some() {
            let feedback = retort_model::Feedback { rating, label, comment: None };
            answer.feedback = Some(Box::new(feedback));
        }
    }
    for (name, rest) in [("result", result), ("written", written)] {
        if let Some(rest) = rest.rest_object() {
            map.put(name, rest);
        }
    }
    if !rounds.is_empty() && !shown.is_empty() {
        map.put("response", RawJson::array(&shown));
    }
    question.metadata = map.rest();
    let mut steps = vec![Step { messages: vec![question], ..Step::default() }];
    steps.push(Step { messages: answers, model, ..Step::default() });
    Ok(steps)
}

/// What the model wrote, call by call, with the results.
fn answers<'a>(
    rounds: &[RawJson<'a>],
    mut results: FieldMap<'a>,
    notes: &mut Notes,
) -> Result<Vec<Message<'a>>, ItemError> {
    let mut messages = Vec::new();
    for (at, raw) in rounds.iter().enumerate() {
        let mark = notes.mark();
        let mut map = FieldMap::of(raw, notes).unwrap_or_default();
        let text = map.take(&["response"], RawJson::text).filter(|text| !text.is_empty());
        let mut answer = Message { role: Role::Assistant, ..Message::default() };
        answer.content = text.map(Content::Text);
        answer.reasoning = map.take(&["thinking"], thought);
        let mut outcomes = Vec::new();
        for raw in map.take(&["toolCalls"], fields::list).unwrap_or_default() {
            let Some(call) = call(&raw, notes) else {
                notes.unplaced("toolCalls", &raw);
                continue;
            };
            let found = results.take(&[&call.id.decoded()], fields::json);
            if let Some(raw) = found {
                outcomes.push(outcome(&call, &raw, notes)?);
            }
            answer.tool_calls.push(call);
        }
        let rest = map.rest();
        notes.unplaced_fields(
            &rest,
            &["id", "statefulMarker", "compaction", "summary"],
            Least::Prose,
        );
        answer.metadata = rest;
        messages.push(answer);
        messages.extend(outcomes);
        notes.under(mark, || format!("result.metadata.toolCallRounds[{at}]"));
    }
    for (id, raw) in results.rest() {
        notes.unplaced(format!("result.metadata.toolCallResults.{}", short(&id.decoded())), &raw);
    }
    Ok(messages)
}

/// The text of thinking, which may be in pieces.
fn thought<'a>(raw: &RawJson<'a>) -> Option<Text<'a>> {
    let mut map = fields::map(raw)?;
    let text = map.take(&["text"], RawJson::text).filter(|text| !text.is_blank());
    text.or_else(|| {
        let pieces = map.take(&["text"], fields::list)?;
        let pieces: Vec<_> = pieces.iter().filter_map(RawJson::as_text).collect();
        (!pieces.is_empty()).then(|| pieces.concat().into())
    })
}

fn call<'a>(raw: &RawJson<'a>, notes: &mut Notes) -> Option<ToolCall<'a>> {
    let mut map = FieldMap::of(raw, notes)?;
    let name = map.take(&["name"], RawJson::text)?;
    let id = map.take_id(&["id"]).unwrap_or_default();
    let arguments = map.take(&["arguments"], fields::words).unwrap_or_else(|| "{}".into());
    Some(ToolCall { id, name, arguments, metadata: map.rest() })
}

/// What came of a call: texts, and the trees of elements that Copilot renders to text.
fn outcome<'a>(
    call: &ToolCall<'a>,
    raw: &RawJson<'a>,
    notes: &mut Notes,
) -> Result<Message<'a>, ItemError> {
    let mut message = Message {
        role: Role::Tool,
        tool_call_id: Some(call.id.clone()),
        name: Some(call.name.clone()),
        ..Message::default()
    };
    let mut map = fields::map(raw).unwrap_or_default();
    let parts = map.take(&["content"], fields::list).unwrap_or_default();
    let (mut text, mut others) = (String::new(), Vec::new());
    for part in &parts {
        let mut map = fields::map(part).unwrap_or_default();
        match map.take(&["value"], fields::json) {
            Some(value) => match (value.as_text(), tree(&value)) {
                (Some(plain), _) => text.push_str(&plain),
                (None, Some(rendered)) => text.push_str(&rendered),
                (None, None) => notes.unplaced("toolCallResults", part),
            },
            // A picture, as bytes with their media type.
            None if map.has(&["mimeType"]) => others.push(part.clone()),
            None => notes.unplaced("toolCallResults", part),
        }
    }
    message.content = Some(Content::Text(text.into()));
    if !others.is_empty() {
        message.metadata.put("parts".into(), RawJson::array(&others).into_owned());
    }
    if map.is_true("hasError") {
        message.error = Some("failed".into());
    }
    Ok(message)
}

/// The text of a tree of elements.
fn tree(raw: &RawJson<'_>) -> Option<String> {
    let value: Value = serde_json::from_str(raw.as_str()).ok()?;
    let mut text = String::new();
    rendered(value.get("node")?, &mut text, 0)?;
    Some(text)
}

/// Elements in elements, as deep as items may nest.
fn rendered(node: &Value, into: &mut String, depth: usize) -> Option<()> {
    if depth > 500 {
        return None;
    }
    if let Some(text) = node.get("text").and_then(Value::as_str) {
        let breaks = node
            .get("lineBreakBefore")
            .is_some_and(|one| one.as_bool() == Some(true) || one.as_u64() == Some(1));
        if breaks && !into.is_empty() && !into.ends_with('\n') {
            into.push('\n');
        }
        into.push_str(text);
    }
    for child in node.get("children").and_then(Value::as_array).into_iter().flatten() {
        rendered(child, into, depth + 1)?;
    }
    Some(())
}

/// Kinds of parts that say nothing to the model.
const EVENTS: [&str; 18] = [
    "prepareToolInvocation",
    "undoStop",
    "codeblockUri",
    "textEditGroup",
    "notebookEditGroup",
    "progressMessage",
    "progressTask",
    "progressTaskSerialized",
    "confirmation",
    "command",
    "mcpServersStarting",
    "warning",
    "reference",
    "usedContext",
    "extensions",
    "multiDiffData",
    "codeCitation",
    "elicitation",
];

/// The answer as it was shown.
fn shown_answer<'a>(parts: &[RawJson<'a>], notes: &mut Notes) -> Vec<Message<'a>> {
    let mut answer = Message { role: Role::Assistant, ..Message::default() };
    let (mut text, mut thoughts, mut events) = (String::new(), String::new(), Vec::new());
    for (at, raw) in parts.iter().enumerate() {
        let mut map = fields::map(raw).unwrap_or_default();
        let kind = map.take(&["kind"], RawJson::as_text).unwrap_or_default();
        match kind.as_str() {
            "" => match map.take(&["value"], RawJson::as_text) {
                Some(value) => text.push_str(&value),
                None => notes.unplaced(format!("response[{at}]"), raw),
            },
            "markdownContent" | "markdownVuln" => {
                let value = map.take(&["content"], |raw| fields::text_or_under(raw, &["value"]));
                text.push_str(&value.unwrap_or_default().decoded());
            }
            "inlineReference" => text.push_str(&reference(map).unwrap_or_default()),
            "thinking" => {
                let value = map.take(&["value"], RawJson::as_text);
                thoughts.push_str(&value.unwrap_or_default());
            }
            other if EVENTS.contains(&other) => events.push(raw.clone()),
            other => notes.unplaced(format!("response[{at}].kind={}", short(other)), raw),
        }
    }
    answer.reasoning = (!thoughts.is_empty()).then(|| thoughts.into());
    answer.content = (!text.is_empty()).then(|| Content::Text(text.into()));
    if answer.content.is_none() && answer.reasoning.is_none() {
        return Vec::new();
    }
    if !events.is_empty() {
        answer.metadata.put("events".into(), RawJson::array(&events).into_owned());
    }
    vec![answer]
}

/// The name of what an answer refers to, as it is shown.
fn reference(mut map: FieldMap<'_>) -> Option<String> {
    let name = map.take(&["name"], RawJson::as_text);
    name.or_else(|| {
        let mut inner = fields::map(&map.take(&["inlineReference"], fields::object)?)?;
        let name = inner.take(&["name"], RawJson::as_text);
        let path = inner.take(&["fsPath", "path"], RawJson::as_text).or_else(|| {
            let mut uri = inner.take(&["uri"], fields::map)?;
            uri.take(&["fsPath", "path"], RawJson::as_text)
        });
        name.or_else(|| path?.rsplit(['/', '\\']).next().map(str::to_owned))
    })
}
