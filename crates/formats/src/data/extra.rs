//! What a record says beyond its columns, as JSON text: ids and text of calls, reasoning, single results,
//! attachments, contexts, and what was cut.

use retort_json::{RawJson, Text, write_escaped, write_string};
use retort_model::{Feedback, Message, Run, ToolCall};

use super::attachments::{attachments_of, has_attachments, is_attachment};
use super::carried::Carried;
use super::format::{ReasoningAs, ShapeOptions};
use super::object::{Lazy, list};
use super::record::Draft;
use super::tools::Tools;
use super::turn::{Side, Turn};
use super::turns::Turns;

/// What of a message its row holds, so that `extra` need not.
#[derive(Clone, Copy, Debug)]
pub(super) struct Held {
    /// The text beside a call.
    pub call_text: bool,
    /// The reasoning; also where it is wanted nowhere.
    pub reasoning: bool,
}

/// What the columns cannot hold, as JSON text; empty if there is nothing.
pub(super) fn extra(
    draft: &Draft<'_>,
    turns: &Turns<'_>,
    tools: &Tools,
    options: &ShapeOptions,
    held: Held,
) -> String {
    let conversation = draft.conversation;
    let is_plain = draft.graph_round.is_none()
        && draft.task.is_none()
        && draft.run.is_none()
        && !(draft.is_first && (conversation.label.is_some() || !conversation.metadata.is_empty()))
        && draft.rounds.iter().all(|round| round.metadata.is_empty())
        && turns.cut.is_empty()
        && turns.other_systems.is_empty()
        && !turns.is_system_moved
        && tools.nameless.is_empty()
        && turns.system.is_none_or(|system| is_plain_message(system))
        && turns.turns.iter().all(|turn| {
            matches!(turn.side, Side::Question | Side::Answer)
                && turn.more.is_empty()
                && turn.messages().all(is_plain_message)
        });
    if is_plain {
        return String::new();
    }
    let mut buffer = String::with_capacity(256);
    let mut object = Lazy::new(&mut buffer);
    if let Some(round) = draft.graph_round {
        object.key("round").push_str(&round.number.to_string());
        if let Some(node) = &round.node {
            object.text("node", node);
        }
        if let Some(agent) = &round.agent {
            object.text("agent", agent);
        }
    }
    if let Some(task) = draft.task {
        object.text("task", &task.id);
        if let Some(agent) = &task.agent {
            object.text("agent", agent);
        }
        if let Some(id) = &task.tool_call_id {
            object.text("task_of_call", id);
        }
        if !task.metadata.is_empty() {
            write_fields(task.metadata.iter(), object.key("task_metadata"));
        }
    }
    if let Some(run) = draft.run {
        run_extra(run, object.key("run"));
    }
    // What is said of the whole stands once, however many records it makes.
    if let Some(label) = conversation.label.filter(|_| draft.is_first) {
        write_string(label.as_str(), object.key("label"));
    }
    if draft.is_first && !conversation.metadata.is_empty() {
        write_fields(conversation.metadata.iter(), object.key("metadata"));
    }
    if draft.rounds.iter().any(|round| !round.metadata.is_empty()) {
        list(object.key("rounds"), draft.rounds.iter(), |round, out| {
            write_fields(round.metadata.iter(), out);
        });
    }
    let offset = usize::from(turns.system.is_some());
    let mut told = Vec::new();
    let system = turns.system.map(|system| Turn::of(Side::Question, system));
    let mut before = None;
    for (at, turn) in system.iter().chain(&turns.turns).enumerate() {
        let mut entry = String::new();
        if turn_extra(at, turn, before, options, (held, &turns.carried), &mut entry) {
            told.push(entry);
        }
        before = Some(turn);
    }
    if !told.is_empty() {
        list(object.key("turns"), told.iter(), |entry, out| out.push_str(entry));
    }
    if !turns.other_systems.is_empty() {
        list(object.key("other_systems"), turns.other_systems.iter(), |m, out| {
            m.words().write_string(out);
        });
    }
    let moved = turns.system.filter(|_| turns.is_system_moved);
    if let Some(at) = moved.and_then(|system| draft.position_of(system)) {
        object.key("system_from").push_str(&at.to_string());
    }
    if !turns.cut.is_empty() {
        list(object.key("cut"), turns.cut.iter(), |(before, message), out| {
            write_cut(before + offset, message, options, out);
        });
    }
    if !tools.nameless.is_empty() {
        list(object.key("other_tools"), tools.nameless.iter(), |tool, out| {
            out.push_str(&tool.source);
        });
    }
    object.end();
    buffer
}

/// What a run says beyond what was asked and answered.
fn run_extra(run: &Run<'_>, out: &mut String) {
    let mut object = Lazy::new(out);
    write_string(run.source.as_str(), object.key("source"));
    object.text("source_id", &run.source_id);
    let texts = [
        ("source_name", &run.source_name),
        ("version", &run.version),
        ("thread", &run.thread),
        ("ground_truth", &run.ground_truth),
    ];
    for (key, text) in texts {
        if let Some(text) = text {
            object.text(key, text);
        }
    }
    if let Some(inputs) = run.inputs.as_ref().filter(|_| run.question.is_some()) {
        object.key("inputs").push_str(inputs.as_str());
    }
    if let Some(feedback) = &run.feedback {
        write_feedback(feedback, object.key("feedback"));
    }
    for (key, time) in [("started_at", run.started_at), ("finished_at", run.finished_at)] {
        if let Some(time) = time {
            write_string(&time.to_string(), object.key(key));
        }
    }
    if !run.metadata.is_empty() {
        write_fields(run.metadata.iter(), object.key("metadata"));
    }
    object.end();
}

fn write_feedback(feedback: &Feedback<'_>, out: &mut String) {
    let mut said = Lazy::new(out);
    if let Some(rating) = &feedback.rating {
        said.key("rating").push_str(rating.as_str());
    }
    for (key, text) in [("label", &feedback.label), ("comment", &feedback.comment)] {
        if let Some(text) = text {
            said.text(key, text);
        }
    }
    said.end_or_empty();
}

/// Fields of a source as an object. Of two with one name the later is written, as readers take it.
fn write_fields<'f, 'a: 'f>(
    fields: impl DoubleEndedIterator<Item = &'f (Text<'a>, RawJson<'a>)> + Clone,
    out: &mut String,
) {
    let mut object = Lazy::new(out);
    let mut names = std::collections::HashSet::new();
    let mut last: Vec<_> = fields.rev().filter(|(key, _)| names.insert(key.decoded())).collect();
    last.reverse();
    for (key, raw) in last {
        object.key(&key.decoded()).push_str(raw.as_str());
    }
    object.end_or_empty();
}

fn is_plain_message(message: &Message<'_>) -> bool {
    message.reasoning.is_none()
        && message.tool_calls.is_empty()
        && message.contexts.is_empty()
        && !has_details(message)
        && !has_attachments(message)
}

/// Whether a message says anything that is neither its content nor has a place of its own in `extra`.
fn has_details(message: &Message<'_>) -> bool {
    message.name.is_some()
        || message.error.is_some()
        || message.finish_reason.is_some()
        || message.train.is_some()
        || message.label.is_some()
        || message.feedback.is_some()
        || !message.metadata.is_empty()
}

fn details(message: &Message<'_>, object: &mut Lazy<'_>) {
    let texts = [
        ("name", &message.name),
        ("error", &message.error),
        ("finish_reason", &message.finish_reason),
    ];
    for (key, text) in texts {
        if let Some(text) = text {
            object.text(key, text);
        }
    }
    if let Some(train) = message.train {
        object.key("train").push_str(if train { "true" } else { "false" });
    }
    if let Some(label) = message.label {
        write_string(label.as_str(), object.key("label"));
    }
    if let Some(feedback) = &message.feedback {
        write_feedback(feedback, object.key("feedback"));
    }
    let mut others =
        message.metadata.iter().filter(|(key, raw)| !is_attachment(key, raw)).peekable();
    if others.peek().is_some() {
        let others: Vec<_> = others.collect();
        write_fields(others.iter().copied(), object.key("metadata"));
    }
}

/// What one turn says beyond its content; false if nothing. `before` is the turn before it.
fn turn_extra(
    at: usize,
    turn: &Turn<'_>,
    before: Option<&Turn<'_>>,
    options: &ShapeOptions,
    (held, carried): (Held, &Carried),
    out: &mut String,
) -> bool {
    let mut object = Lazy::new(out);
    object.key("at").push_str(&at.to_string());
    let bare = object.out.len();
    if turn.side == Side::Call {
        let text = turn.text();
        if !text.is_empty() && !held.call_text {
            object.text("text", &text);
        }
        list(object.key("call_ids"), turn.calls(), |call, out| call.id.write_string(out));
        if turn.calls().any(|call| !call.metadata.is_empty()) {
            list(object.key("call_metadata"), turn.calls(), |call, out| {
                write_fields(call.metadata.iter(), out);
            });
        }
    } else if turn.calls().next().is_some() {
        // Simulated users call tools, too; rows have calls of assistants alone.
        write_calls(turn.calls(), object.key("calls"));
    }
    let mut reasoning = turn.messages().filter_map(|message| message.reasoning.as_ref()).peekable();
    if reasoning.peek().is_some() && !held.reasoning {
        let texts: Vec<_> = reasoning.map(|text| text.decoded()).collect();
        write_string(&texts.join("\n\n"), object.key("reasoning"));
    }
    if turn.side == Side::Results && (turn.messages().count() > 1 || turn.results.len() > 1) {
        list(object.key("results"), turn.messages(), |message, out| {
            let mut result = Lazy::new(out);
            result.text("id", message.tool_call_id.as_ref().unwrap_or(&Text::default()));
            result.text("content", &message.words());
            details(message, &mut result);
            result.end();
        });
    } else if turn.more.is_empty() {
        if let Some(message) = turn.first {
            if let Some(id) = &message.tool_call_id
                && !before.is_some_and(|calls| calls.calls().any(|call| call.id == *id))
            {
                object.text("result_id", id);
            }
            details(message, &mut object);
        }
    } else if turn.messages().any(has_details) {
        list(object.key("details"), turn.messages(), |message, out| {
            let mut said = Lazy::new(out);
            details(message, &mut said);
            said.end_or_empty();
        });
    }
    if !turn.more.is_empty() && turn.side != Side::Results {
        list(object.key("joined"), turn.messages(), |message, out| {
            message.words().write_string(out);
        });
    }
    let left = turn.messages().filter(|message| !carried.has(message));
    let mut attachments = left.flat_map(attachments_of).peekable();
    if attachments.peek().is_some() {
        list(object.key("attachments"), attachments, |raw, out| {
            out.push_str(raw);
        });
    }
    let mut contexts = turn.messages().flat_map(|message| &message.contexts).peekable();
    if contexts.peek().is_some() {
        let contexts = contexts.take(options.max_contexts);
        list(object.key("contexts"), contexts, |raw, out| {
            out.push_str(raw.as_str());
        });
    }
    let said = object.out.len() > bare;
    object.end();
    said
}

/// Calls that the rows have no place for.
fn write_calls<'c>(calls: impl Iterator<Item = &'c ToolCall<'c>>, out: &mut String) {
    list(out, calls, |call, out| {
        let mut object = Lazy::new(out);
        object.text("id", &call.id);
        object.text("name", &call.name);
        object.text("arguments", &call.arguments);
        if !call.metadata.is_empty() {
            write_fields(call.metadata.iter(), object.key("metadata"));
        }
        object.end();
    });
}

fn write_cut(before: usize, message: &Message<'_>, options: &ShapeOptions, out: &mut String) {
    let mut object = Lazy::new(out);
    object.key("before").push_str(&before.to_string());
    object.key("role").push('"');
    write_escaped(&message.role_word(), object.out);
    object.out.push('"');
    object.text("content", &message.words());
    if !message.tool_calls.is_empty() {
        write_calls(message.tool_calls.iter(), object.key("calls"));
    }
    if let Some(id) = &message.tool_call_id {
        object.text("tool_call_id", id);
    }
    if let Some(reasoning) = &message.reasoning
        && options.reasoning != ReasoningAs::Drop
    {
        object.text("reasoning", reasoning);
    }
    details(message, &mut object);
    let mut attachments = attachments_of(message).peekable();
    if attachments.peek().is_some() {
        list(object.key("attachments"), attachments, |raw, out| out.push_str(raw));
    }
    if !message.contexts.is_empty() {
        list(object.key("contexts"), message.contexts.iter(), |raw, out| {
            out.push_str(raw.as_str());
        });
    }
    object.end();
}
