//! ATIF, the Agent Trajectory Interchange Format, versions 1.0 to 1.8. Reference: Harbor's RFC 0001.
//!
//! A trajectory is a list of steps of the system, the user or an agent; a step of an agent holds its calls and their
//! results. Trajectories of sub-agents are in it, or are beside it in one object, and are tasks of the calls whose
//! results refer to them.

use retort_json::{Kind, RawJson, Text};
use retort_model::{Conversation, Kind as Held, Message, Role, Task, ToolCall};

use super::fields::{self, FieldMap};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::session::{self, Step};
use super::sniff::Sniff;
use super::unplaced::{Least, short};
use super::{definitions, parts};

/// The format.
pub(super) struct Atif;

/// Fields that say nothing more than is read.
const KNOWN: [&str; 6] =
    ["extra", "metrics", "reasoning_effort", "notes", "model_name", "source_call_id"];

/// Fields with the id of a trajectory, its own first.
const IDS: [&str; 2] = ["trajectory_id", "session_id"];

/// How deep trajectories of sub-agents are followed in one another.
const DEPTH: usize = 16;

impl ImportFormat for Atif {
    fn name(&self) -> &'static str {
        "atif"
    }

    fn about(&self) -> &'static str {
        "Trajectories of agents in ATIF, versions 1.0 to 1.8"
    }

    fn notes(&self) -> &'static str {
        "Harbor, NeMo, Phoenix, VS Code's Copilot Chat and others write it. Messages and results with their parts, \
         reasoning, calls, models, times, tokens and costs are kept; tool definitions are those of the agent; embedded \
         sub-agents are tasks of the calls that refer to them. Steps that are copied context, or that were not written \
         by a model (`llm_call_count: 0`), are not trained on (`train: false`). A result that names no call belongs to \
         the step's only call; if the step has no call, the result becomes a message of the user."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let is_one = |path: &[&str]| {
            let version = sniff.text(&[path, &["schema_version"]].concat());
            version.is_some_and(|version| version.starts_with("ATIF"))
        };
        is_one(&[])
            || is_one(&["parent"])
            || (sniff.kind(&["steps"]) == Some(Kind::Array)
                && sniff.holds(&["steps", "source"])
                && sniff.holds(&["steps", "step_id"]))
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut map = FieldMap::item(text, notes)?;
        if map.has(&["steps"]) {
            return trajectory(map, notes).map(Items::from);
        }
        // A trajectory with those of its sub-agents beside it.
        let whole = map.take(&["parent"], fields::map);
        let Some(whole) = whole.filter(|map| map.has(&["steps"])) else {
            let why = "no list of `steps` in the item";
            return Err(ItemError::new(Refusal::UnknownShape, 0, why));
        };
        let mut conversation = trajectory(whole, notes)?;
        let mut others = Vec::new();
        for (name, raw) in map.rest() {
            let inner = FieldMap::of(&raw, notes).filter(|map| map.has(&["steps"]));
            match inner {
                Some(inner) => others.push((name, inner)),
                None => conversation.metadata.put(name, raw),
            }
        }
        for (name, inner) in others {
            let mark = notes.mark();
            add_task(&mut conversation, inner, notes, 0)?;
            notes.under(mark, || short(&name.decoded()));
        }
        Ok(conversation.into())
    }
}

fn trajectory<'a>(map: FieldMap<'a>, notes: &mut Notes) -> Result<Conversation<'a>, ItemError> {
    read(map, notes, 0)
}

fn read<'a>(
    mut map: FieldMap<'a>,
    notes: &mut Notes,
    depth: usize,
) -> Result<Conversation<'a>, ItemError> {
    let steps = map
        .take(&["steps"], fields::list)
        .ok_or_else(|| ItemError::new(Refusal::BadField, 0, "the `steps` are not a list"))?;
    let mut conversation = Conversation { kind: Held::Agent, ..Conversation::default() };
    // Ids and names of models stay where they were, so that a trajectory can be written as it was.
    let ids = IDS.iter().filter_map(|name| map.peek(name).and_then(fields::id));
    conversation.id = ids.into_iter().find(|id| !id.is_empty()).unwrap_or_default();
    let mut agent = map.take(&["agent"], fields::map).unwrap_or_default();
    conversation.model = agent.peek("model_name").and_then(RawJson::text);
    let mark = notes.mark();
    let tools = agent.take(&["tool_definitions"], fields::list).unwrap_or_default();
    let tools = definitions::definitions(tools, notes);
    notes.under(mark, || "agent.tool_definitions".into());
    let name = agent.peek("name").and_then(RawJson::text);
    if let Some(rest) = agent.rest_object() {
        map.put("agent", rest);
    }
    let inner = map.take(&["subagent_trajectories"], fields::list).unwrap_or_default();
    let mut read = Vec::with_capacity(steps.len());
    for (at, raw) in steps.iter().enumerate() {
        let mark = notes.mark();
        match FieldMap::of(raw, notes) {
            Some(map) => read.push(step(map, raw, notes)?),
            None => notes.unplaced("", raw),
        }
        notes.under(mark, || format!("steps[{at}]"));
    }
    // Formats join what the system says, so what is told of each of its steps stands apart.
    let system = read
        .iter_mut()
        .flat_map(|step| &mut step.messages)
        .filter(|message| message.role == Role::System)
        .filter_map(|message| RawJson::object(&std::mem::take(&mut message.metadata)));
    let system: Vec<_> = system.collect();
    (conversation.rounds, conversation.current) = session::rounds(read, None);
    for round in &mut conversation.rounds {
        round.agent.clone_from(&name);
    }
    if let Some(first) = conversation.rounds.first_mut() {
        first.tools = tools;
    }
    for (at, raw) in inner.iter().enumerate() {
        let mark = notes.mark();
        match FieldMap::of(raw, notes).filter(|map| map.has(&["steps"]) && depth < DEPTH) {
            Some(map) => add_task(&mut conversation, map, notes, depth + 1)?,
            None => notes.unplaced("", raw),
        }
        notes.under(mark, || format!("subagent_trajectories[{at}]"));
    }
    let rest = map.rest();
    notes.unplaced_fields(&rest, &[&KNOWN[..], &["final_metrics", "agent"]].concat(), Least::Prose);
    conversation.metadata = rest;
    if !system.is_empty() {
        conversation.metadata.put("system_steps".into(), RawJson::array(&system));
    }
    session::date(&mut conversation);
    Ok(conversation)
}

/// Adds a sub-agent's trajectory and those inside it.
fn add_task<'a>(
    conversation: &mut Conversation<'a>,
    map: FieldMap<'a>,
    notes: &mut Notes,
    depth: usize,
) -> Result<(), ItemError> {
    let ids: Vec<Text<'a>> =
        IDS.iter().filter_map(|name| map.peek(name).and_then(fields::id)).collect();
    let mut inner = read(map, notes, depth)?;
    let mut task = Task { id: inner.id, metadata: inner.metadata, ..Task::default() };
    task.agent = inner.rounds.first().and_then(|round| round.agent.clone());
    task.tool_call_id = conversation.messages().find_map(|message| {
        let refers = message.metadata.get("subagent_trajectory_ref")?;
        let refers: Vec<_> = fields::list(refers)?
            .iter()
            .filter_map(fields::map)
            .flat_map(|map| {
                // Where both are there, the trajectory's own id tells which one it is.
                IDS.iter().find_map(|name| map.peek(name).and_then(fields::id))
            })
            .collect();
        ids.iter().any(|id| refers.contains(id)).then(|| message.tool_call_id.clone()).flatten()
    });
    if let Some(model) = inner.model.take() {
        for round in inner.rounds.iter_mut().filter(|round| round.model.is_none()) {
            round.model = Some(model.clone());
        }
    }
    task.rounds = inner.rounds;
    conversation.tasks.push(task);
    conversation.tasks.extend(inner.tasks);
    Ok(())
}

fn step<'a>(
    mut map: FieldMap<'a>,
    raw: &RawJson<'a>,
    notes: &mut Notes,
) -> Result<Step<'a>, ItemError> {
    let source = map.take(&["source"], RawJson::text).unwrap_or_default();
    let role = match &*source.decoded() {
        "system" => Role::System,
        "user" => Role::User,
        "agent" => Role::Assistant,
        _ => Role::Other,
    };
    let mut message = Message { role, ..Message::default() };
    if role == Role::Other {
        notes.unplaced(format!("source={}", short(&source.decoded())), raw);
        message.source_role = Some(source);
    }
    let created_at = map.take(&["timestamp"], fields::time);
    message.created_at = created_at;
    if let Some(content) = map.take(&["message"], fields::json) {
        let mark = notes.mark();
        message.content = parts::result_content(content, notes)?;
        notes.under(mark, || "message".into());
    }
    message.reasoning = map.take(&["reasoning_content"], RawJson::text);
    let model = map.peek("model_name").and_then(RawJson::text);
    let usage = map.peek("metrics").map(session::usage_of).unwrap_or_default();
    let is_set = |map: &FieldMap<'_>, name: &str, word: &str| {
        map.peek(name).is_some_and(|raw| raw.as_str() == word)
    };
    let is_copied = is_set(&map, "is_copied_context", "true");
    let is_written = !(role == Role::Assistant && is_set(&map, "llm_call_count", "0"));
    if is_copied || !is_written {
        message.train = Some(false);
    }
    let mut called = map.take(&["tool_calls"], fields::list).unwrap_or_default();
    for (at, raw) in called.drain(..).enumerate() {
        let mark = notes.mark();
        match call(&raw, notes) {
            Some(call) => message.tool_calls.push(call),
            None => notes.unplaced("", &raw),
        }
        notes.under(mark, || format!("tool_calls[{at}]"));
    }
    let observation = map.take(&["observation"], fields::map).unwrap_or_default();
    let only = match message.tool_calls.as_slice() {
        [one] => Some(one.id.clone()),
        _ => None,
    };
    let mut messages = vec![];
    let mark = notes.mark();
    let results = observed(observation, only.as_ref(), notes)?;
    notes.under(mark, || "observation".into());
    let rest = map.rest();
    notes.unplaced_fields(&rest, &KNOWN, Least::Prose);
    message.metadata = rest;
    messages.push(message);
    for mut result in results {
        result.created_at = created_at;
        if is_copied {
            result.train = Some(false);
        }
        messages.push(result);
    }
    Ok(Step { messages, model, usage, ..Step::default() })
}

fn call<'a>(raw: &RawJson<'a>, notes: &mut Notes) -> Option<ToolCall<'a>> {
    let mut map = FieldMap::of(raw, notes)?;
    let name = map.take(&["function_name", "name"], RawJson::text)?;
    let id = map.take_id(&["tool_call_id", "id"]).unwrap_or_default();
    let arguments = map.take(&["arguments"], fields::words).unwrap_or_else(|| "{}".into());
    let metadata = map.rest();
    notes.unplaced_fields(&metadata, &KNOWN, Least::Prose);
    Some(ToolCall { id, name, arguments, metadata })
}

/// The results of a step; `only` is its only call.
fn observed<'a>(
    mut map: FieldMap<'a>,
    only: Option<&Text<'a>>,
    notes: &mut Notes,
) -> Result<Vec<Message<'a>>, ItemError> {
    let mut results = Vec::new();
    for (at, raw) in map.take(&["results"], fields::list).unwrap_or_default().iter().enumerate() {
        let mark = notes.mark();
        let Some(mut map) = FieldMap::of(raw, notes) else {
            notes.unplaced(format!("results[{at}]"), raw);
            continue;
        };
        let mut message = Message { role: Role::Tool, ..Message::default() };
        let id = map.peek("source_call_id").and_then(fields::id);
        message.tool_call_id = id.filter(|id| !id.is_empty()).or_else(|| only.cloned());
        if message.tool_call_id.is_none() {
            message.role = Role::User;
            message.source_role = Some("observation".into());
        }
        if let Some(content) = map.take(&["content"], fields::json) {
            message.content = parts::result_content(content, notes)?;
        }
        let failed =
            map.peek("extra").and_then(fields::map).is_some_and(|extra| extra.is_true("is_error"));
        if failed {
            message.error = Some("failed".into());
        }
        let rest = map.rest();
        notes.unplaced_fields(
            &rest,
            &[&KNOWN[..], &["subagent_trajectory_ref"]].concat(),
            Least::Prose,
        );
        message.metadata = rest;
        notes.under(mark, || format!("results[{at}]"));
        results.push(message);
    }
    notes.unplaced_fields(&map.rest(), &KNOWN, Least::Prose);
    Ok(results)
}
