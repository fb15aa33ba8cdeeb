//! `history`: the history of a whole project, as UIUC.chat exports it, a row a conversation:
//! `{convo, convo_id, course_name, created_at, id, user_email}`.
//!
//! What UIUC.chat said of a conversation comes out as it came in; other histories take its shape.

use std::collections::{HashSet, VecDeque};

use retort_json::{RawJson, Text, write_string};
use retort_model::{
    Content, Conversation, Fields, Item, Message, Part, PartKind, Role, Warning, fnv1a,
};

use super::format::{DataFormat, Noted, Outcome, RecordNotes, ShapeContext, ShapeOptions};
use super::keys::write_others;
use super::record::{is_silent, left_behind};
use super::schema::{Field, Schema, Sink, Type};

/// The format.
pub(super) struct History;

static SCHEMA: Schema = Schema::of(&[
    Field::required("convo", Type::Json),
    Field::required("convo_id", Type::Text),
    Field::nullable("course_name", Type::Text),
    Field::nullable("created_at", Type::Text),
    Field::required("id", Type::Json),
    Field::nullable("user_email", Type::Text),
]);

/// Fields of the metadata that have places of their own in the row.
const PLACED: [&str; 4] = ["folderId", "model", "temperature", "prompt"];
/// Keys of `convo` that are Retort's own.
const CONVO: [&str; 13] = [
    "folderId",
    "id",
    "messages",
    "model",
    "name",
    "prompt",
    "temperature",
    "user_email",
    "tools",
    "tags",
    "tasks",
    "label",
    "not_understood",
];

impl DataFormat for History {
    fn name(&self) -> &'static str {
        "history"
    }

    fn about(&self) -> &'static str {
        "full history with retrieved contexts, one conversation per line"
    }

    fn schema(&self, _options: &ShapeOptions, _flat: bool) -> Schema {
        SCHEMA.clone()
    }

    fn shape(
        &self,
        item: &Item<'_>,
        context: &mut ShapeContext<'_>,
        out: &mut dyn Sink,
    ) -> Outcome {
        let Item::Conversation(conversation) = item else { return Outcome::other_kind(item) };
        if let Some(why) = is_silent(conversation) {
            return Outcome::left_out(None, why);
        }
        let mut notes = RecordNotes::default();
        let mut convo = String::with_capacity(4096);
        write_convo(conversation, context.options.max_contexts, &mut convo, &mut notes);
        // The histories of sub-agents are in the row.
        notes.warnings.extend(left_behind(conversation, true).map(Noted::from));
        let row_id = field(&conversation.metadata, "row_id").map(|raw| raw.as_str().to_owned());
        out.begin_row();
        out.json(&convo);
        out.text(&conversation.id);
        nullable(conversation.project.as_ref(), out);
        let created_at = field(&conversation.metadata, "row_created_at")
            .and_then(RawJson::as_text)
            .or_else(|| conversation.created_at.map(|time| time.to_string()));
        nullable(created_at.map(Text::from).as_ref(), out);
        out.json(&row_id.unwrap_or_else(|| number_of(conversation).to_string()));
        nullable(email(conversation), out);
        out.end_row();
        Outcome { records: vec![notes], ..Outcome::default() }
    }
}

/// A number for a row whose source has none: the same for a conversation in every export, and exact as a double.
fn number_of(conversation: &Conversation<'_>) -> u64 {
    let (source, id) = (conversation.source.decoded(), conversation.id.decoded());
    fnv1a(&format!("{source}\0{id}")) >> 11
}

fn field<'f, 'a>(fields: &'f Fields<'a>, name: &str) -> Option<&'f RawJson<'a>> {
    fields.iter().find(|(key, _)| key == name).map(|(_, raw)| raw)
}

/// The e-mail of the person who held the conversation; none if the source knows no e-mail.
fn email<'c>(conversation: &'c Conversation<'c>) -> Option<&'c Text<'c>> {
    conversation.owner.as_ref().filter(|owner| owner.as_written().contains('@'))
}

fn nullable(text: Option<&Text<'_>>, out: &mut dyn Sink) {
    match text {
        Some(text) => out.text(text),
        None => out.absent(),
    }
}

fn write_convo(
    conversation: &Conversation<'_>,
    max_contexts: usize,
    out: &mut String,
    notes: &mut RecordNotes,
) {
    let metadata = &conversation.metadata;
    let raw = |name: &str| field(metadata, name).map_or("null", RawJson::as_str);
    let path = conversation.active_path();
    let messages: VecDeque<(usize, &Message<'_>)> = path
        .iter()
        .filter_map(|&position| conversation.rounds.get(position))
        .flat_map(|round| &round.messages)
        .enumerate()
        .filter(|(_, message)| message.source_role.as_ref().is_none_or(|word| *word != *"tools"))
        .collect();
    let is_prompt =
        |message: &Message<'_>| message.source_role.as_ref().is_some_and(|word| *word == *"prompt");
    // Where the source keeps the prompt apart it goes back there; else the last system message is the prompt.
    let prompt =
        messages.iter().map(|(_, message)| *message).find(|message| is_prompt(message)).or_else(
            || {
                let mut systems = messages.iter().rev().map(|(_, message)| *message);
                systems.find(|message| message.role == Role::System)
            },
        );
    out.push_str("{\"folderId\":");
    out.push_str(raw("folderId"));
    out.push_str(",\"id\":");
    conversation.id.write_string(out);
    out.push_str(",\"messages\":[");
    let mut first = true;
    let mut asked: &[RawJson<'_>] = &[];
    for (position, message) in messages {
        if prompt.is_some_and(|prompt| std::ptr::eq(prompt, message)) {
            continue;
        }
        if !std::mem::take(&mut first) {
            out.push(',');
        }
        // Contexts that a source keeps with the question belong to the answer that could use them.
        let contexts: &[RawJson<'_>] = match message.role {
            Role::User => {
                asked = &message.contexts;
                &[]
            }
            Role::Assistant if message.contexts.is_empty() => std::mem::take(&mut asked),
            _ => &message.contexts,
        };
        if contexts.len() > max_contexts {
            notes.warnings.push(Noted { kind: Warning::CutContexts, message: Some(position) });
        }
        write_message(message, contexts.get(..max_contexts).unwrap_or(contexts), out);
    }
    out.push_str("],\"model\":");
    match field(metadata, "model") {
        Some(model) => out.push_str(model.as_str()),
        None => write_model(conversation.model_of(path.iter().copied()), out),
    }
    out.push_str(",\"name\":");
    match &conversation.title {
        Some(title) => title.write_string(out),
        None => out.push_str("null"),
    }
    out.push_str(",\"prompt\":");
    match prompt {
        Some(message) => write_content(message, out),
        None => out.push_str(raw("prompt")),
    }
    out.push_str(",\"temperature\":");
    out.push_str(raw("temperature"));
    // What came in this shape keeps its keys.
    let is_foreign =
        field(metadata, "folderId").is_none() && field(metadata, "temperature").is_none();
    let mut taken = CONVO.to_vec();
    if !is_foreign {
        taken.retain(|name| !matches!(*name, "user_email" | "tools" | "tags" | "tasks" | "label"));
    }
    if field(metadata, "user_email").is_some() {
        taken.retain(|name| *name != "user_email");
    }
    if is_foreign {
        write_beside(conversation, &path, max_contexts, out);
    }
    if is_foreign && field(metadata, "user_email").is_none() {
        out.push_str(",\"user_email\":");
        match email(conversation) {
            Some(email) => email.write_string(out),
            None => out.push_str("null"),
        }
    }
    // Readers of the row should know what was not understood.
    write_list("not_understood", conversation.not_understood.iter(), out, |one, out| {
        out.push_str("{\"path\":");
        write_string(&one.path, out);
        out.push_str(",\"raw\":");
        out.push_str(one.raw.as_str());
        out.push('}');
    });
    let others = metadata.iter().filter(|(key, _)| {
        let key = key.as_written();
        !PLACED.contains(&key) && !key.starts_with("row_")
    });
    write_others(others, &taken, out);
    out.push('}');
}

/// What other sources say that UIUC.chat has no keys for: tools, tags, histories of sub-agents, a label.
fn write_beside(
    conversation: &Conversation<'_>,
    path: &[usize],
    max_contexts: usize,
    out: &mut String,
) {
    let rounds = path.iter().filter_map(|&position| conversation.rounds.get(position));
    let mut seen = HashSet::new();
    let tools = rounds.flat_map(|round| &round.tools).filter(|tool| seen.insert(tool.as_str()));
    write_list("tools", tools, out, |tool, out| out.push_str(tool.as_str()));
    write_list("tags", conversation.tags.iter(), out, Text::write_string);
    write_list("tasks", conversation.tasks.iter(), out, |task, out| {
        out.push_str("{\"id\":");
        task.id.write_string(out);
        for (key, text) in [("agent", &task.agent), ("tool_call_id", &task.tool_call_id)] {
            write_text(key, text.as_ref(), out);
        }
        let messages = || task.rounds.iter().flat_map(|round| &round.messages);
        if messages().next().is_none() {
            out.push_str(",\"messages\":[]");
        }
        write_list("messages", messages(), out, |message, out| {
            let contexts = message.contexts.get(..max_contexts).unwrap_or(&message.contexts);
            write_message(message, contexts, out);
        });
        write_others(task.metadata.iter(), &["id", "agent", "tool_call_id", "messages"], out);
        out.push('}');
    });
    if let Some(label) = conversation.label {
        out.push_str(",\"label\":");
        write_string(label.as_str(), out);
    }
}

/// A field that is a list; nothing if it would be empty.
fn write_list<T>(
    key: &str,
    items: impl Iterator<Item = T>,
    out: &mut String,
    mut write: impl FnMut(T, &mut String),
) {
    let mut items = items.peekable();
    if items.peek().is_none() {
        return;
    }
    out.push(',');
    write_string(key, out);
    out.push_str(":[");
    for (index, item) in items.enumerate() {
        if index > 0 {
            out.push(',');
        }
        write(item, out);
    }
    out.push(']');
}

/// A field that is a text, if there is one.
fn write_text(key: &str, text: Option<&Text<'_>>, out: &mut String) {
    if let Some(text) = text {
        out.push(',');
        write_string(key, out);
        out.push(':');
        text.write_string(out);
    }
}

fn write_model(model: Option<&Text<'_>>, out: &mut String) {
    let Some(model) = model else { return out.push_str("null") };
    out.push_str("{\"id\":");
    model.write_string(out);
    out.push_str(",\"name\":");
    model.write_string(out);
    out.push('}');
}

fn write_message(message: &Message<'_>, contexts: &[RawJson<'_>], out: &mut String) {
    out.push_str("{\"content\":");
    write_content(message, out);
    out.push_str(",\"contexts\":[");
    for (index, context) in contexts.iter().enumerate() {
        if index > 0 {
            out.push(',');
        }
        out.push_str(context.as_str());
    }
    out.push_str("],\"role\":");
    write_string(&message.role_word(), out);
    write_text("name", message.name.as_ref(), out);
    write_text("reasoning", message.reasoning.as_ref(), out);
    if !message.tool_calls.is_empty() {
        out.push_str(",\"tool_calls\":[");
        for (index, call) in message.tool_calls.iter().enumerate() {
            out.push_str(if index > 0 { ",{\"id\":" } else { "{\"id\":" });
            call.id.write_string(out);
            out.push_str(",\"type\":\"function\",\"function\":{\"name\":");
            call.name.write_string(out);
            out.push_str(",\"arguments\":");
            call.arguments.write_string(out);
            out.push_str("}}");
        }
        out.push(']');
    }
    if let Some(id) = &message.tool_call_id {
        out.push_str(",\"tool_call_id\":");
        id.write_string(out);
    }
    if let Some(feedback) = &message.feedback {
        out.push_str(",\"feedback\":{\"isPositive\":");
        out.push_str(feedback.rating.as_ref().map_or("null", RawJson::as_str));
        for (key, text) in [("category", &feedback.label), ("details", &feedback.comment)] {
            out.push(',');
            write_string(key, out);
            out.push(':');
            match text {
                Some(text) => text.write_string(out),
                None => out.push_str("null"),
            }
        }
        out.push('}');
    }
    if let Some(time) = message.created_at {
        out.push_str(",\"created_at\":");
        write_string(&time.to_string(), out);
    }
    write_text("error", message.error.as_ref(), out);
    write_text("finish_reason", message.finish_reason.as_ref(), out);
    if let Some(train) = message.train {
        out.push_str(if train { ",\"train\":true" } else { ",\"train\":false" });
    }
    if let Some(label) = message.label {
        out.push_str(",\"label\":");
        write_string(label.as_str(), out);
    }
    let attached = [
        ("name", message.name.is_some()),
        ("reasoning", message.reasoning.is_some()),
        ("tool_calls", !message.tool_calls.is_empty()),
        ("tool_call_id", message.tool_call_id.is_some()),
        ("feedback", message.feedback.is_some()),
        ("created_at", message.created_at.is_some()),
        ("error", message.error.is_some()),
        ("finish_reason", message.finish_reason.is_some()),
        ("train", message.train.is_some()),
        ("label", message.label.is_some()),
    ];
    let taken: Vec<_> = ["content", "contexts", "role"]
        .into_iter()
        .chain(attached.into_iter().filter(|(_, is_there)| *is_there).map(|(key, _)| key))
        .collect();
    write_others(message.metadata.iter(), &taken, out);
    out.push('}');
}

/// The content as it came: text, null, or parts.
fn write_content(message: &Message<'_>, out: &mut String) {
    match &message.content {
        None => out.push_str("null"),
        Some(Content::Text(text)) => text.write_string(out),
        Some(Content::Parts(parts)) => {
            out.push('[');
            for (index, part) in parts.iter().enumerate() {
                if index > 0 {
                    out.push(',');
                }
                write_part(part, out);
            }
            out.push(']');
        }
    }
}

fn write_part(part: &Part<'_>, out: &mut String) {
    match (&part.raw, &part.text) {
        (Some(raw), _) => out.push_str(raw.as_str()),
        (None, Some(text)) if part.kind == PartKind::Text => {
            out.push_str("{\"type\":\"text\",\"text\":");
            text.write_string(out);
            out.push('}');
        }
        _ => out.push_str("null"),
    }
}
