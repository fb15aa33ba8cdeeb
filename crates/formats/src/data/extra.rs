//! What a record says beyond its columns, as JSON text: ids and text of calls, reasoning, single results,
//! attachments, contexts, and what was cut.

use retort_model::json::{write_escaped, write_string};
use retort_model::{Message, Run, Text};

use super::ShapeOptions;
use super::record::Draft;
use super::tools::Tools;
use super::turns::{Side, Turn, Turns};

/// Writes JSON objects that are only begun when there is something to say.
struct Lazy<'o> {
    out: &'o mut String,
    begun: bool,
}

impl Lazy<'_> {
    fn key(&mut self, key: &str) -> &mut String {
        self.out.push(if self.begun { ',' } else { '{' });
        self.begun = true;
        write_string(key, self.out);
        self.out.push(':');
        self.out
    }

    fn text(&mut self, key: &str, text: &Text<'_>) {
        text.write_string(self.key(key));
    }

    fn end(self) -> bool {
        if self.begun {
            self.out.push('}');
        }
        self.begun
    }
}

fn list<T>(
    out: &mut String,
    items: impl Iterator<Item = T>,
    mut write: impl FnMut(T, &mut String),
) {
    out.push('[');
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(item, out);
    }
    out.push(']');
}

/// What the columns cannot hold, as JSON text; empty if there is nothing.
pub(super) fn extra(
    draft: &Draft<'_>,
    turns: &Turns<'_>,
    tools: &Tools,
    options: &ShapeOptions,
) -> String {
    let is_plain = draft.graph_round.is_none()
        && draft.task.is_none()
        && draft.run.is_none()
        && turns.cut.is_empty()
        && turns.other_systems.is_empty()
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
    let mut object = Lazy { out: &mut buffer, begun: false };
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
    }
    if let Some(run) = draft.run {
        run_extra(run, object.key("run"));
    }
    let offset = usize::from(turns.system.is_some());
    let mut told = Vec::new();
    for (index, turn) in turns.turns.iter().enumerate() {
        let mut entry = String::new();
        if turn_extra(index + offset, turn, options, &mut entry) {
            told.push(entry);
        }
    }
    if let Some(system) = turns.system.filter(|system| !is_plain_message(system)) {
        let mut entry = String::new();
        if turn_extra(
            0,
            &Turn {
                side: Side::Question,
                first: Some(system),
                more: Vec::new(),
                results: Vec::new(),
            },
            options,
            &mut entry,
        ) {
            told.insert(0, entry);
        }
    }
    if !told.is_empty() {
        list(object.key("turns"), told.iter(), |entry, out| out.push_str(entry));
    }
    if !turns.other_systems.is_empty() {
        list(object.key("other_systems"), turns.other_systems.iter(), |m, out| {
            m.words().write_string(out);
        });
    }
    if !turns.cut.is_empty() {
        list(object.key("cut"), turns.cut.iter(), |(before, message), out| {
            write_cut(before + offset, message, out);
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
    let mut object = Lazy { out, begun: false };
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
        let mut said = Lazy { out: object.key("feedback"), begun: false };
        if let Some(rating) = &feedback.rating {
            said.key("rating").push_str(rating.as_str());
        }
        for (key, text) in [("label", &feedback.label), ("comment", &feedback.comment)] {
            if let Some(text) = text {
                said.text(key, text);
            }
        }
        if !said.end() {
            object.out.push_str("{}");
        }
    }
    for (key, time) in [("started_at", run.started_at), ("finished_at", run.finished_at)] {
        if let Some(time) = time {
            write_string(&time.to_string(), object.key(key));
        }
    }
    if !run.metadata.is_empty() {
        let mut rest = Lazy { out: object.key("metadata"), begun: false };
        for (key, raw) in &run.metadata {
            rest.key(&key.decoded()).push_str(raw.as_str());
        }
        rest.end();
    }
    object.end();
}

fn is_plain_message(message: &Message<'_>) -> bool {
    message.reasoning.is_none() && message.contexts.is_empty() && !has_attachments(message)
}

/// What one turn says beyond its content; false if nothing.
fn turn_extra(at: usize, turn: &Turn<'_>, options: &ShapeOptions, out: &mut String) -> bool {
    let mut object = Lazy { out, begun: false };
    object.key("at").push_str(&at.to_string());
    let bare = object.out.len();
    if turn.side == Side::Call {
        let text = turn.text();
        if !text.is_empty() {
            object.text("text", &text);
        }
        list(object.key("call_ids"), turn.calls(), |call, out| call.id.write_string(out));
    }
    let mut reasoning = turn.messages().filter_map(|message| message.reasoning.as_ref()).peekable();
    if reasoning.peek().is_some() {
        let texts: Vec<_> = reasoning.map(|text| text.decoded()).collect();
        write_string(&texts.join("\n\n"), object.key("reasoning"));
    }
    if turn.side == Side::Results && (turn.messages().count() > 1 || turn.results.len() > 1) {
        list(object.key("results"), turn.messages(), |message, out| {
            let mut result = Lazy { out, begun: false };
            result.text("id", message.tool_call_id.as_ref().unwrap_or(&Text::default()));
            result.text("content", &message.words());
            result.end();
        });
    }
    if !turn.more.is_empty() && turn.side != Side::Results {
        list(object.key("joined"), turn.messages(), |message, out| {
            message.words().write_string(out);
        });
    }
    let mut attachments = turn.messages().flat_map(attachments_of).peekable();
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

fn write_cut(before: usize, message: &Message<'_>, out: &mut String) {
    let mut object = Lazy { out, begun: false };
    object.key("before").push_str(&before.to_string());
    object.key("role").push('"');
    write_escaped(&message.role_word(), object.out);
    object.out.push('"');
    object.text("content", &message.words());
    if !message.tool_calls.is_empty() {
        list(object.key("calls"), message.tool_calls.iter(), |call, out| {
            let mut object = Lazy { out, begun: false };
            object.text("id", &call.id);
            object.text("name", &call.name);
            object.text("arguments", &call.arguments);
            object.end();
        });
    }
    if let Some(id) = &message.tool_call_id {
        object.text("tool_call_id", id);
    }
    if let Some(reasoning) = &message.reasoning {
        object.text("reasoning", reasoning);
    }
    object.end();
}

/// Whether a message has pictures, sound or files. Nearly none has.
pub(super) fn has_attachments(message: &Message<'_>) -> bool {
    let may = !message.metadata.is_empty()
        || matches!(message.content, Some(retort_model::Content::Parts(_)));
    may && attachments_of(message).next().is_some()
}

/// Pictures, sound and files of a message, as JSON: its parts, and the fields in which some systems keep them.
pub(super) fn attachments_of<'m>(message: &'m Message<'_>) -> impl Iterator<Item = &'m str> {
    let parts = message
        .attachments()
        .filter_map(|part| part.raw.as_ref())
        .map(retort_model::RawJson::as_str);
    let fields = message
        .metadata
        .iter()
        .filter(|(key, raw)| {
            matches!(key.as_written(), "image_paths" | "imageUrls" | "images" | "videos" | "audios")
                && !matches!(raw.as_str(), "[]" | "null" | "\"\"")
        })
        .map(|(_, raw)| raw.as_str());
    parts.chain(fields)
}
