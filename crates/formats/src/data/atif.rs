//! `atif`: trajectories of agents in ATIF, version 1.8. Reference: Harbor's RFC 0001.
//!
//! What was read from ATIF is written as it was. Other histories take its shape: each message but a tool's result is a
//! step, and a result belongs to the step that called. What ATIF has no field for is under `retort` in `extra`.

use std::borrow::Cow;
use std::collections::{HashMap, HashSet};

use retort_json::{RawJson, Text, Value, write_string};
use retort_model::{
    Content, Conversation, Feedback, Fields, Item, ItemKind, Label, LeftOut, Message,
    NotUnderstood, PartKind, Reason, Role, Round, Task, ToolCall, Warning,
};

use super::arguments::object_of;
use super::attachments::{attachments_of, has_attachments, is_attachment};
use super::carried::{Medium, Piece, Showing, Shown, ShownAs};
use super::format::{
    Attachments, DataFormat, Noted, Outcome, RecordNotes, ShapeContext, ShapeOptions,
};
use super::given::GivenFiles;
use super::object::{Lazy, list};
use super::record::{is_silent, left_behind};
use super::schema::{Schema, Sink};
use super::tools::Tools;

/// The format.
pub(super) struct Atif;

const VERSION: &str = "ATIF-v1.8";

/// Fields of a trajectory that are written as they were read.
const KEPT: [&str; 3] = ["notes", "final_metrics", "continued_trajectory_ref"];
/// Those of a step.
const KEPT_OF_STEPS: [&str; 5] =
    ["model_name", "reasoning_effort", "metrics", "llm_call_count", "is_copied_context"];

impl DataFormat for Atif {
    fn name(&self) -> &'static str {
        "atif"
    }

    fn about(&self) -> &'static str {
        "trajectories of agents in ATIF 1.8, one per line"
    }

    fn schema(&self, _options: &ShapeOptions, _flat: bool) -> Schema {
        Schema::of(&[])
    }

    fn file_formats(&self) -> &'static [&'static str] {
        &["jsonl"]
    }

    fn items(&self) -> &'static [ItemKind] {
        &[ItemKind::Conversation]
    }

    fn carries_attachments(&self, _options: &ShapeOptions) -> bool {
        true
    }

    fn card_notes(&self, options: &ShapeOptions, _flat: bool) -> String {
        let mut notes = String::from(
            "Each line is a trajectory in ATIF 1.8: the steps of the system, the user and the agent, the results of \
         calls in the step that made the calls, and sub-agents in `subagent_trajectories`. Steps with \
         `is_copied_context` must not be trained on. What ATIF has no field for is under `retort` in `extra`.",
        );
        if self.writes_files(options) {
            notes.push_str(
                "\n\nThe paths of images and sound are those of files in this folder, or URLs.",
            );
        }
        notes
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
        let mut writer = Writer {
            options: context.options,
            given: context.given,
            is_from_atif: is_from_atif(&conversation.metadata),
            notes: RecordNotes::default(),
        };
        let mut line = String::with_capacity(4096);
        if let Err(why) = writer.conversation(conversation, &mut line) {
            return Outcome::left_out(None, why);
        }
        let mut notes = writer.notes;
        let mut paths = HashSet::new();
        notes.files.retain(|file| paths.insert(file.path.clone()));
        notes.warnings.extend(left_behind(conversation, true).map(Noted::from));
        out.begin_row();
        out.json(&line);
        out.end_row();
        Outcome { records: vec![notes], ..Outcome::default() }
    }
}

/// What is written as one trajectory: a conversation, or the history of a sub-agent.
struct Trajectory<'c, 'a> {
    id: &'c Text<'a>,
    /// Whether it is written inside another, where it needs an id of its own.
    is_inner: bool,
    name: Option<&'c Text<'a>>,
    model: Option<&'c Text<'a>>,
    rounds: Vec<&'c Round<'a>>,
    metadata: &'c Fields<'a>,
    tasks: &'c [Task<'a>],
}

/// Sub-agents by the calls that started them.
type Started<'c, 'a> = HashMap<Cow<'c, str>, &'c Task<'a>>;

/// One step: what was said, and the results that it was given.
struct Step<'c, 'a> {
    message: Option<&'c Message<'a>>,
    results: Vec<&'c Message<'a>>,
    /// The round, if this is the last step of the agent in it.
    ends: Option<&'c Round<'a>>,
}

struct Writer<'w> {
    options: &'w ShapeOptions,
    given: Option<&'w dyn GivenFiles>,
    is_from_atif: bool,
    notes: RecordNotes,
}

impl Writer<'_> {
    fn conversation(
        &mut self,
        conversation: &Conversation<'_>,
        out: &mut String,
    ) -> Result<(), LeftOut> {
        let path = conversation.active_path();
        let trajectory = Trajectory {
            id: &conversation.id,
            is_inner: false,
            name: Some(&conversation.source),
            model: conversation.model_of(path.iter().copied()),
            rounds: path.iter().filter_map(|&at| conversation.rounds.get(at)).collect(),
            metadata: &conversation.metadata,
            tasks: &conversation.tasks,
        };
        let own = |own: &mut Lazy<'_>| {
            if let Some(title) = &conversation.title {
                own.text("title", title);
            }
            if !conversation.tags.is_empty() {
                list(own.key("tags"), conversation.tags.iter(), Text::write_string);
            }
            label(conversation.label, own);
            let unknown = &conversation.not_understood;
            if !unknown.is_empty() {
                list(own.key("not_understood"), unknown.iter(), not_understood);
            }
        };
        self.trajectory(&trajectory, own, out)
    }

    fn trajectory(
        &mut self,
        trajectory: &Trajectory<'_, '_>,
        own: impl FnOnce(&mut Lazy<'_>),
        out: &mut String,
    ) -> Result<(), LeftOut> {
        let steps = steps_of(&trajectory.rounds)?;
        let kept = |name: &str| trajectory.metadata.get(name).filter(|_| self.is_from_atif);
        let mut object = Lazy::new(out);
        match kept("schema_version") {
            Some(version) => object.raw("schema_version", version),
            None => write_string(VERSION, object.key("schema_version")),
        }
        let ids = ["session_id", "trajectory_id"].map(|name| (name, kept(name)));
        for (name, id) in ids {
            if let Some(id) = id {
                object.raw(name, id);
            }
        }
        let [(_, session), (_, own_id)] = ids;
        if own_id.is_none() && trajectory.is_inner {
            object.text("trajectory_id", trajectory.id);
        } else if own_id.or(session).is_none() {
            object.text("session_id", trajectory.id);
        }
        agent(trajectory, kept("agent"), object.key("agent"));
        let tasks = trajectory.tasks.iter().filter(|task| has_messages(task));
        let by_call: Started<'_, '_> =
            tasks.filter_map(|task| Some((task.tool_call_id.as_ref()?.decoded(), task))).collect();
        let system = kept("system_steps").and_then(|raw| Value::parse(raw.as_str()).ok());
        let mut system = match &system {
            Some(Value::Array(steps)) => steps.iter(),
            _ => [].iter(),
        };
        let written = object.key("steps");
        written.push('[');
        for (at, step) in steps.iter().enumerate() {
            if at > 0 {
                written.push(',');
            }
            let is_system = step.message.is_some_and(|message| message.role == Role::System);
            let of_system = if is_system { system.next() } else { None };
            self.step((at + 1, step), of_system, &by_call, written)?;
        }
        written.push(']');
        for name in KEPT {
            if let Some(raw) = trajectory.metadata.get(name).filter(|_| self.is_from_atif) {
                object.raw(name, raw);
            }
        }
        let base = trajectory.metadata.get("extra").filter(|_| self.is_from_atif);
        let rest = (!self.is_from_atif).then_some(trajectory.metadata);
        extra(&mut object, base.map(RawJson::as_str), |out| {
            own(out);
            metadata(rest, out);
        });
        let tasks = trajectory.tasks.iter().filter(|task| has_messages(task));
        let mut tasks = tasks.peekable();
        if tasks.peek().is_some() {
            let out = object.key("subagent_trajectories");
            out.push('[');
            for (at, task) in tasks.enumerate() {
                if at > 0 {
                    out.push(',');
                }
                self.task(task, out)?;
            }
            out.push(']');
        }
        object.end();
        Ok(())
    }

    fn task(&mut self, task: &Task<'_>, out: &mut String) -> Result<(), LeftOut> {
        let inner = Trajectory {
            id: &task.id,
            is_inner: true,
            name: task.agent.as_ref(),
            model: task.rounds.iter().rev().find_map(|round| round.model.as_ref()),
            rounds: task.rounds.iter().collect(),
            metadata: &task.metadata,
            tasks: &[],
        };
        self.trajectory(&inner, |_| {}, out)
    }

    /// Writes a step; `of_system` is what the source said of it beside its message, if it is one of the system.
    fn step(
        &mut self,
        (number, step): (usize, &Step<'_, '_>),
        of_system: Option<&Value<'_>>,
        started: &Started<'_, '_>,
        out: &mut String,
    ) -> Result<(), LeftOut> {
        let nothing = Message { role: Role::System, ..Message::default() };
        let is_from_atif = self.is_from_atif;
        let message = step.message.unwrap_or(&nothing);
        let kept = |name: &str| -> Option<Cow<'_, str>> {
            let own = message.metadata.get(name).map(|raw| raw.as_str().into());
            let kept = own.or_else(|| Some(of_system?.get(name)?.to_json().into()));
            kept.filter(|_| is_from_atif)
        };
        let mut object = Lazy::new(out);
        object.key("step_id").push_str(&number.to_string());
        if let Some(time) = message.created_at {
            write_string(&time.to_string(), object.key("timestamp"));
        }
        let is_agent = message.role == Role::Assistant;
        let source = match message.role {
            Role::User => "user",
            Role::Assistant => "agent",
            _ => "system",
        };
        write_string(source, object.key("source"));
        let shows = self.content(message, object.key("message"));
        if let Some(reasoning) = message.reasoning.as_ref().filter(|_| is_agent) {
            object.text("reasoning_content", reasoning);
        }
        if !message.tool_calls.is_empty() {
            let out = object.key("tool_calls");
            out.push('[');
            for (at, call) in message.tool_calls.iter().enumerate() {
                if at > 0 {
                    out.push(',');
                }
                self.call(call, &call_id(call, number, at), out)?;
            }
            out.push(']');
        }
        if !step.results.is_empty() {
            let ids = message.tool_calls.iter().enumerate();
            let ids: HashMap<_, _> =
                ids.map(|(at, call)| (call.id.decoded(), call_id(call, number, at))).collect();
            let only = message.tool_calls.first().filter(|_| message.tool_calls.len() == 1);
            let mut observation = Lazy::new(object.key("observation"));
            list(observation.key("results"), step.results.iter(), |result, out| {
                let call = result.tool_call_id.as_ref().or(only.map(|call| &call.id));
                let id = call.and_then(|call| ids.get(&call.decoded()));
                self.result(result, id.map(String::as_str), started, out);
            });
            observation.end();
        }
        for name in KEPT_OF_STEPS {
            if let Some(raw) = kept(name) {
                object.key(name).push_str(&raw);
            }
        }
        if !self.is_from_atif && is_agent {
            if let Some(round) = step.ends {
                metrics(round, &mut object);
            }
            if message.train == Some(false) {
                object.key("is_copied_context").push_str("true");
            }
        }
        let base = kept("extra");
        extra(&mut object, base.as_deref(), |own| self.own(message, shows, own));
        object.end();
        Ok(())
    }

    fn call(&mut self, call: &ToolCall<'_>, id: &str, out: &mut String) -> Result<(), LeftOut> {
        let mut repairs = Vec::new();
        let arguments = object_of(call, &Tools::default(), self.options, &mut repairs)?;
        self.notes.repairs.extend(repairs.into_iter().map(Noted::from));
        let mut object = Lazy::new(out);
        write_string(id, object.key("tool_call_id"));
        object.text("function_name", &call.name);
        object.key("arguments").push_str(&arguments);
        let base = call.metadata.get("extra").filter(|_| self.is_from_atif);
        let rest = (!self.is_from_atif).then_some(&call.metadata);
        extra(&mut object, base.map(RawJson::as_str), |own| metadata(rest, own));
        object.end();
        Ok(())
    }

    /// Writes a result, whose call in the step has this id.
    fn result(
        &mut self,
        result: &Message<'_>,
        call: Option<&str>,
        started: &Started<'_, '_>,
        out: &mut String,
    ) {
        let is_from_atif = self.is_from_atif;
        let kept = |name: &str| result.metadata.get(name).filter(|_| is_from_atif);
        let mut object = Lazy::new(out);
        if self.is_from_atif {
            if let Some(id) = kept("source_call_id") {
                object.raw("source_call_id", id);
            }
        } else if let Some(id) = call {
            write_string(id, object.key("source_call_id"));
        }
        let shows = result.content.is_some() && self.content(result, object.key("content"));
        let id = result.tool_call_id.as_ref();
        let task = id.and_then(|id| started.get(&id.decoded()).copied());
        // References by the session alone are of older versions, and resolve to nothing in this one.
        let resolves = |refers: &&RawJson<'_>| refers.as_str().contains("\"trajectory_");
        match (kept("subagent_trajectory_ref").filter(resolves), task) {
            (Some(refers), _) => object.raw("subagent_trajectory_ref", refers),
            (None, Some(task)) => {
                let refers = std::iter::once(task);
                list(object.key("subagent_trajectory_ref"), refers, |task, out| {
                    let mut refers = Lazy::new(out);
                    refers.text("trajectory_id", &task.id);
                    refers.end();
                });
            }
            (None, None) => {
                if let Some(refers) = kept("subagent_trajectory_ref") {
                    object.raw("subagent_trajectory_ref", refers);
                }
            }
        }
        let base = kept("extra").map(RawJson::as_str);
        extra(&mut object, base, |own| self.own(result, shows, own));
        object.end_or_empty();
    }

    /// Writes the content of a message. Returns whether what the message shows is in it.
    fn content(&mut self, message: &Message<'_>, out: &mut String) -> bool {
        let keeps = self.options.attachments == Attachments::Keep;
        if let (Some(Content::Parts(parts)), true) = (&message.content, self.is_from_atif) {
            let mut showing = Showing::new(ShownAs::Atif, self.given);
            let mut is_missing = false;
            list(out, parts.iter(), |part, out| match (&part.raw, &part.text) {
                (Some(raw), _) if part.kind != PartKind::Text => {
                    let shown = keeps.then(|| showing.piece(part));
                    is_missing |= matches!(shown, Some(Err(_)));
                    match shown {
                        Some(Ok(Piece::Shown(shown))) => write_shown(&shown, Some(raw), out),
                        _ => out.push_str(raw.as_str()),
                    }
                }
                (_, text) => write_text(text.as_ref().unwrap_or(&Text::default()), out),
            });
            self.notes.files.extend(showing.into_files());
            if is_missing {
                self.notes.warnings.push(Warning::AttachmentLeftBehind.into());
            }
            return true;
        }
        if keeps && has_attachments(message) {
            match Showing::new(ShownAs::Atif, self.given).pieces(message) {
                Ok((pieces, files)) => {
                    list(out, pieces.iter(), |piece, out| match piece {
                        Piece::Text(text) => write_text(&text.as_str().into(), out),
                        Piece::Shown(shown) => write_shown(shown, None, out),
                    });
                    self.notes.files.extend(files);
                    return true;
                }
                Err(_) => self.notes.warnings.push(Warning::AttachmentLeftBehind.into()),
            }
        }
        message.words().write_string(out);
        false
    }

    /// Writes what ATIF has no field for; `shows` if the content has what the message shows.
    fn own(&self, message: &Message<'_>, shows: bool, own: &mut Lazy<'_>) {
        if let Some(name) = &message.name {
            own.text("name", name);
        }
        if let Some(feedback) = &message.feedback {
            write_feedback(feedback, own.key("feedback"));
        }
        label(message.label, own);
        if let Some(reason) = &message.finish_reason {
            own.text("finish_reason", reason);
        }
        if !message.contexts.is_empty() {
            let contexts = message.contexts.iter();
            list(own.key("contexts"), contexts, |raw, out| out.push_str(raw.as_str()));
        }
        if self.is_from_atif {
            return;
        }
        if let Some(error) = &message.error {
            own.text("error", error);
        }
        let attachments = attachments_of(message).filter(|_| !shows);
        let mut attachments = attachments.peekable();
        if attachments.peek().is_some() {
            list(own.key("attachments"), attachments, |raw, out| out.push_str(raw));
        }
        metadata(Some(&message.metadata), own);
    }
}

fn write_text(text: &Text<'_>, out: &mut String) {
    let mut object = Lazy::new(out);
    write_string("text", object.key("type"));
    object.text("text", text);
    object.end();
}

/// Writes a part with an image or sound; `raw` is what its source wrote, if that was ATIF.
fn write_shown(shown: &Shown, raw: Option<&RawJson<'_>>, out: &mut String) {
    let kind = if shown.medium == Medium::Audio { "audio" } else { "image" };
    let raw = raw.and_then(|raw| Value::parse(raw.as_str()).ok());
    let seconds = raw.as_ref().and_then(|raw| raw.get("source")?.get("duration_sec"));
    let mut object = Lazy::new(out);
    write_string(kind, object.key("type"));
    let mut source = Lazy::new(object.key("source"));
    write_string(shown.media_type.as_deref().unwrap_or_default(), source.key("media_type"));
    write_string(&shown.place, source.key("path"));
    if let Some(seconds) = seconds {
        source.key("duration_sec").push_str(&seconds.to_json());
    }
    source.end();
    object.end();
}

/// Whether a conversation was read from ATIF, by what its reader keeps.
fn is_from_atif(metadata: &Fields<'_>) -> bool {
    let version = metadata.get("schema_version").and_then(RawJson::text);
    version.is_some_and(|version| version.as_written().starts_with("ATIF"))
}

/// The messages of some rounds as steps.
fn steps_of<'c, 'a>(rounds: &[&'c Round<'a>]) -> Result<Vec<Step<'c, 'a>>, LeftOut> {
    let mut steps: Vec<Step<'c, 'a>> = Vec::new();
    // Ids may come again, so the latest step with a call is meant.
    let mut called: HashMap<Cow<'c, str>, usize> = HashMap::new();
    for round in rounds {
        let start = steps.len();
        for message in &round.messages {
            let is_observed =
                message.source_role.as_ref().is_some_and(|role| role.as_written() == "observation");
            if message.role == Role::Other {
                let why = format!("a message of `{}`", message.role_word());
                return Err(LeftOut::new(Reason::UnknownRole, why));
            }
            if message.role != Role::Assistant && !message.tool_calls.is_empty() {
                let why =
                    format!("a call of the {}; in ATIF, only agents call tools", message.role);
                return Err(LeftOut::new(Reason::CallsTools, why));
            }
            if message.role != Role::Tool && !is_observed {
                let ids = message.tool_calls.iter().map(|call| call.id.decoded());
                called.extend(ids.map(|id| (id, steps.len())));
                steps.push(Step { message: Some(message), results: Vec::new(), ends: None });
                continue;
            }
            let id = message.tool_call_id.as_ref();
            let at = id.and_then(|id| called.get(&id.decoded()).copied());
            let at = at.or(steps.len().checked_sub(1));
            match at.and_then(|at| steps.get_mut(at)) {
                Some(step) => step.results.push(message),
                None => steps.push(Step { message: None, results: vec![message], ends: None }),
            }
        }
        let own = steps.get_mut(start..).unwrap_or_default();
        let is_agent = |step: &&mut Step<'_, '_>| {
            step.message.is_some_and(|message| message.role == Role::Assistant)
        };
        if let Some(last) = own.iter_mut().rfind(is_agent) {
            last.ends = Some(round);
        }
    }
    Ok(steps)
}

/// Writes the agent, from what the source said of it or else from what is known.
fn agent(trajectory: &Trajectory<'_, '_>, kept: Option<&RawJson<'_>>, out: &mut String) {
    let own = kept.and_then(|raw| fields_of(raw.as_str()));
    let mut object = match own {
        Some(fields) => Lazy::after(out, fields),
        None => {
            let mut object = Lazy::new(out);
            let name = trajectory.rounds.iter().find_map(|round| round.agent.as_ref());
            let name = name.or(trajectory.name).filter(|name| !name.is_empty());
            match name {
                Some(name) => object.text("name", name),
                None => write_string("agent", object.key("name")),
            }
            write_string("unknown", object.key("version"));
            if let Some(model) = trajectory.model {
                object.text("model_name", model);
            }
            object
        }
    };
    let mut seen = HashSet::new();
    let tools = trajectory.rounds.iter().flat_map(|round| &round.tools).map(RawJson::as_str);
    let mut tools = tools.filter(|tool| seen.insert(*tool)).peekable();
    if tools.peek().is_some() {
        list(object.key("tool_definitions"), tools, |tool, out| out.push_str(tool));
    }
    object.end();
}

/// Writes the tokens of a round, in the last step of the agent.
fn metrics(round: &Round<'_>, object: &mut Lazy<'_>) {
    let counts = [
        ("prompt_tokens", round.usage.input_tokens),
        ("completion_tokens", round.usage.output_tokens),
    ];
    if counts.iter().any(|(_, count)| count.is_some()) {
        let mut metrics = Lazy::new(object.key("metrics"));
        for (name, count) in counts {
            if let Some(count) = count {
                metrics.key(name).push_str(&count.to_string());
            }
        }
        metrics.end();
    }
}

/// Writes `extra`: what the source had there, and Retort's own fields under `retort`. Nothing, if there are none.
fn extra(object: &mut Lazy<'_>, base: Option<&str>, own: impl FnOnce(&mut Lazy<'_>)) {
    let mut written = String::new();
    let mut fields = Lazy::new(&mut written);
    own(&mut fields);
    if !fields.end() {
        if let Some(base) = base {
            object.key("extra").push_str(base);
        }
        return;
    }
    let out = object.key("extra");
    let mut whole = match base.and_then(fields_of) {
        Some(fields) => Lazy::after(out, fields),
        None => Lazy::new(out),
    };
    whole.key("retort").push_str(&written);
    whole.end();
}

/// The inside of the text of a JSON object.
fn fields_of(object: &str) -> Option<&str> {
    Some(object.trim().strip_prefix('{')?.strip_suffix('}')?.trim())
}

/// Writes what else the source says, but for attachments, which are written apart.
fn metadata(fields: Option<&Fields<'_>>, own: &mut Lazy<'_>) {
    let fields = fields.into_iter().flat_map(|fields| fields.iter());
    let fields = fields.filter(|(key, raw)| !is_attachment(key, raw));
    let mut fields = fields.peekable();
    if fields.peek().is_some() {
        let mut object = Lazy::new(own.key("metadata"));
        for (key, raw) in fields {
            object.raw(&key.decoded(), raw);
        }
        object.end();
    }
}

fn label(label: Option<Label>, own: &mut Lazy<'_>) {
    if let Some(label) = label {
        write_string(label.as_str(), own.key("label"));
    }
}

fn write_feedback(feedback: &Feedback<'_>, out: &mut String) {
    let mut object = Lazy::new(out);
    if let Some(rating) = &feedback.rating {
        object.raw("rating", rating);
    }
    for (name, text) in [("label", &feedback.label), ("comment", &feedback.comment)] {
        if let Some(text) = text {
            object.text(name, text);
        }
    }
    object.end_or_empty();
}

fn not_understood(one: &NotUnderstood<'_>, out: &mut String) {
    let mut object = Lazy::new(out);
    write_string(&one.path, object.key("path"));
    object.raw("raw", &one.raw);
    object.end();
}

/// The id of a call: the source's, or one by its place.
fn call_id(call: &ToolCall<'_>, step: usize, at: usize) -> String {
    if call.id.is_empty() {
        return format!("call-{step}-{}", at + 1);
    }
    call.id.decoded().into_owned()
}

fn has_messages(task: &Task<'_>) -> bool {
    task.rounds.iter().any(|round| !round.messages.is_empty())
}
