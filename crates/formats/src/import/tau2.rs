//! Results of tau2-bench: simulations of an agent with a simulated user. Reference: `data_model/simulation.py` and
//! `message.py` of `sierra-research/tau2-bench`.
//!
//! The simulated user may have tools, too. The agent sees neither their calls nor the results, so they do not become
//! messages.

use retort_json::{Kind, RawJson};
use retort_model::{Conversation, Kind as Held, Role};

use super::chat;
use super::fields::{self, FieldMap, object_of};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::session::{self, Step};
use super::sniff::Sniff;
use super::thread;
use super::unplaced::Least;

/// The format.
pub(super) struct Tau2;

/// Fields of messages that add nothing to what is read: the response of the model's API, and facts about speech.
const KNOWN: [&str; 8] = [
    "requestor",
    "raw_data",
    "usage",
    "turn_idx",
    "audio_path",
    "audio_script_gold",
    "turn_taking_action",
    "source",
];

/// Fields about how a simulation was run and judged.
const ABOUT: [&str; 12] = [
    "reward_info",
    "review",
    "user_only_review",
    "auth_classification",
    "hallucination_check",
    "speech_environment",
    "effect_timeline",
    "agent_usage",
    "info",
    "task",
    "environment",
    "user_tools",
];

impl ImportFormat for Tau2 {
    fn name(&self) -> &'static str {
        "tau2"
    }

    fn about(&self) -> &'static str {
        "results of tau2-bench: `simulations` of an agent and a simulated user, with their `tasks`"
    }

    fn notes(&self) -> &'static str {
        "The JSON files that `tau2 run` saves. Each simulation is a conversation with its calls, results, errors and \
         token counts. The policy of the domain becomes the system message, without the text that tau2 adds around \
         it. Calls of the simulated user's own tools, and their results, are kept under `user_tools`, because the \
         agent does not see them. The task and its reward are kept as metadata. The raw response of the model's API \
         (`raw_data`) repeats the message and is dropped. Speech simulations that have only `ticks` are not read. \
         Written from the code of tau2-bench."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        sniff.kind(&["simulations"]) == Some(Kind::Array)
            && (sniff.has("tasks") || sniff.holds(&["info", "agent_info"]))
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut map = FieldMap::item(text, notes)?;
        let list = map.take(&["simulations"], fields::list).ok_or_else(|| {
            ItemError::new(Refusal::UnknownShape, 0, "no list of `simulations` in the item")
        })?;
        let tasks = map.take(&["tasks"], fields::list).unwrap_or_default();
        let info = map.take(&["info"], fields::map).unwrap_or_default();
        let agent = info.peek("agent_info").and_then(fields::map).unwrap_or_default();
        let environment = info.peek("environment_info").and_then(fields::map).unwrap_or_default();
        let model = agent.peek("llm").and_then(RawJson::text);
        thread::each(&list, "simulations", notes, |mut simulation, notes| {
            let task = simulation.peek("task_id").cloned();
            let is_task = |raw: &&RawJson<'a>| {
                fields::map(raw).is_some_and(|one| one.peek("id").cloned() == task)
            };
            if let Some(task) = tasks.iter().find(is_task) {
                simulation.put("task", task.clone());
            }
            let policy = simulation.take(&["policy"], RawJson::text);
            let policy = policy.or_else(|| environment.peek("policy").and_then(RawJson::text));
            let mut conversation = simulated(simulation, notes)?;
            conversation.model.clone_from(&model);
            thread::instruct(&mut conversation, policy);
            Ok(conversation)
        })
    }
}

fn simulated<'a>(mut map: FieldMap<'a>, notes: &mut Notes) -> Result<Conversation<'a>, ItemError> {
    let mut conversation = Conversation {
        id: map.take_id(&["id"]).unwrap_or_default(),
        kind: Held::Agent,
        created_at: map.take(&["start_time"], fields::time),
        updated_at: map.take(&["end_time"], fields::time),
        ..Conversation::default()
    };
    let (mut steps, mut of_user) = (Vec::new(), Vec::new());
    let messages = map.take(&["messages"], fields::list).unwrap_or_default();
    for (at, raw) in messages.iter().enumerate() {
        let mark = notes.mark();
        for raw in several(raw) {
            steps.extend(step(&raw, &mut of_user, notes)?);
        }
        notes.under(mark, || format!("messages[{at}]"));
    }
    session::finish(&mut conversation, steps)?;
    if !of_user.is_empty() {
        map.put("user_tools", RawJson::array(&of_user));
    }
    conversation.metadata = map.rest();
    notes.unplaced_fields(&conversation.metadata, &ABOUT, Least::Prose);
    Ok(conversation)
}

/// A message, or several if it contains the results of several calls.
fn several<'a>(raw: &RawJson<'a>) -> Vec<RawJson<'a>> {
    let results = fields::map(raw).and_then(|mut map| map.take(&["tool_messages"], fields::list));
    results.unwrap_or_else(|| vec![raw.clone()])
}

fn step<'a>(
    raw: &RawJson<'a>,
    of_user: &mut Vec<RawJson<'a>>,
    notes: &mut Notes,
) -> Result<Option<Step<'a>>, ItemError> {
    let Some(mut map) = FieldMap::of(raw, notes) else {
        notes.unplaced("", raw);
        return Ok(None);
    };
    let role = map.peek("role").and_then(RawJson::as_text).unwrap_or_default();
    let is_of_user = map.peek("requestor").is_some_and(|raw| raw.as_str() == "\"user\"");
    if is_of_user || (role == "user" && map.has(&["tool_calls"])) {
        of_user.push(raw.clone());
        return Ok(None);
    }
    let usage = map.peek("usage").map(session::usage_of).unwrap_or_default();
    map.take(&["raw_data"], fields::json);
    if role == "tool"
        && let Some(id) = map.take_id(&["id"])
    {
        map.put("tool_call_id", RawJson::string(&id.decoded()));
    }
    let whole = map.rest_object().unwrap_or_else(|| object_of([]));
    let mut messages = chat::message_of(&whole, None, &KNOWN, notes)?;
    for message in &mut messages {
        // In some versions, an answer that has only calls has an empty text.
        if message.role == Role::Assistant && !message.tool_calls.is_empty() {
            message.content = message.content.take().filter(|_| !message.words().is_empty());
        }
    }
    Ok(Some(Step { messages, usage, ..Step::default() }))
}
