//! Traces of verifiers and prime-rl: `traces.jsonl`, one rollout per line. Reference: `verifiers/v1/trace.py` and
//! `graph.py` of `PrimeIntellect-ai/verifiers`.
//!
//! A trace is a tree of messages, each with the index of its parent. What an agent rewrote or tried again is a branch.
//! Only answers that were sampled from the model are trained on.

use retort_json::{Kind, RawJson, Text};
use retort_model::{Conversation, Kind as Held, Role};

use super::chat;
use super::definitions::definitions;
use super::fields::{self, FieldMap};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::session::{self, Step};
use super::sniff::Sniff;
use super::tree::Links;
use super::unplaced::Least;

/// The format.
pub(super) struct Verifiers;

/// Fields of messages that add nothing to what is read.
const KNOWN: [&str; 1] = ["provider_state"];

/// Fields of nodes about tokens.
const TOKENS: [&str; 10] = [
    "token_ids",
    "mask",
    "is_content",
    "logprobs",
    "advantages",
    "reference_logprobs",
    "loss_weights",
    "multi_modal_data",
    "routed_experts",
    "kept_tokens",
];

/// Fields of traces that contain no messages, or only those of the task.
const ABOUT: [&str; 12] = [
    "version",
    "verifiers",
    "task",
    "agent",
    "calls",
    "rewards",
    "metrics",
    "info",
    "state",
    "errors",
    "timing",
    "stop_condition",
];

impl ImportFormat for Verifiers {
    fn name(&self) -> &'static str {
        "verifiers"
    }

    fn about(&self) -> &'static str {
        "traces of verifiers and prime-rl: `traces.jsonl`, one rollout per line"
    }

    fn notes(&self) -> &'static str {
        "verifiers 1 writes one trace per rollout: a tree of messages, whose branches become sibling rounds. Calls, \
         results, reasoning, tools, models, token counts and finish reasons are kept; rewards, metrics and the task \
         become metadata. Answers that were not sampled from the model (`sampled: false`), and those of an agent that \
         is not trainable, are context (`train: false`). Token ids, masks and probabilities are dropped. Rows from \
         earlier versions (`prompt` and `completion`) are read as `prompt-completion`. Written from the code of \
         verifiers."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        sniff.has("verifiers")
            && sniff.kind(&["nodes"]) == Some(Kind::Array)
            && (sniff.holds(&["nodes", "message", "role"]) || !sniff.has_keys(&["nodes"]))
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut map = FieldMap::item(text, notes)?;
        let nodes = map.take(&["nodes"], fields::list).ok_or_else(|| {
            ItemError::new(Refusal::UnknownShape, 0, "no list of `nodes` in the item")
        })?;
        let agent = map.peek("agent").and_then(fields::map).unwrap_or_default();
        let is_trained = agent.peek("trainable").is_none_or(|raw| raw.as_str() != "false");
        let mut steps = Vec::with_capacity(nodes.len());
        for (at, raw) in nodes.iter().enumerate() {
            let mark = notes.mark();
            steps.push(step(at, raw, is_trained, notes)?);
            notes.under(mark, || format!("nodes[{at}]"));
        }
        add_calls(&map, &mut steps);
        let mut conversation = Conversation {
            id: map.take_id(&["id"]).unwrap_or_default(),
            kind: Held::Agent,
            ..Conversation::default()
        };
        session::finish(&mut conversation, steps)?;
        let mark = notes.mark();
        let tools = definitions(map.take(&["tools"], fields::list).unwrap_or_default(), notes);
        notes.under(mark, || "tools".into());
        for round in &mut conversation.rounds {
            round.tools.clone_from(&tools);
        }
        conversation.metadata = map.rest();
        notes.unplaced_fields(&conversation.metadata, &ABOUT, Least::Prose);
        Ok(conversation.into())
    }
}

fn step<'a>(
    at: usize,
    raw: &RawJson<'a>,
    is_trained: bool,
    notes: &mut Notes,
) -> Result<Step<'a>, ItemError> {
    let node = FieldMap::of(raw, notes);
    let Some((mut node, message)) = node.and_then(|mut node| {
        let message = node.take(&["message"], fields::object)?;
        Some((node, message))
    }) else {
        notes.unplaced("", raw);
        return Ok(Step::default());
    };
    let mark = notes.mark();
    let mut messages = chat::message_of(&message, None, &KNOWN, notes)?;
    notes.under(mark, || "message".into());
    let is_sampled = node.is_true("sampled");
    node.take(&["sampled"], fields::json);
    let time = node.take(&["timestamp"], fields::time);
    let parent = node.take(&["parent"], fields::count);
    node.retain(|key, _| !TOKENS.contains(&&*key.decoded()));
    let rest = node.rest();
    notes.unplaced_fields(&rest, &[], Least::Prose);
    for message in &mut messages {
        message.created_at = message.created_at.or(time);
        if message.role == Role::Assistant && !(is_sampled && is_trained) {
            message.train = Some(false);
        }
    }
    if let Some(first) = messages.first_mut() {
        first.metadata.extend(rest);
    }
    let links = Links {
        id: Text::from(at.to_string()),
        parent: parent.map(|parent| Text::from(parent.to_string())),
        children: Vec::new(),
    };
    Ok(Step { links, messages, ..Step::default() })
}

/// Adds model, token counts and finish reason of the model calls to the answers that they gave.
fn add_calls<'a>(map: &FieldMap<'a>, steps: &mut [Step<'a>]) {
    for mut call in map.peek("calls").and_then(fields::maps).unwrap_or_default() {
        let node = call.take(&["node"], fields::count).and_then(|at| usize::try_from(at).ok());
        let Some(step) = node.and_then(|at| steps.get_mut(at)) else { continue };
        step.model = call.take(&["model"], RawJson::text);
        if let Some(usage) = call.peek("usage") {
            step.usage = session::usage_of(usage);
        }
        let finish_reason = call.take(&["finish_reason"], RawJson::text);
        if let Some(answer) = step.messages.iter_mut().rfind(|one| one.role == Role::Assistant) {
            answer.finish_reason = answer.finish_reason.take().or(finish_reason);
        }
    }
}
