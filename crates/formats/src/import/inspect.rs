//! Logs of Inspect evaluations: `.json`, and the samples in `.eval` archives. Reference: `inspect_ai.log`, `EvalLog` and
//! `EvalSample`.
//!
//! Every sample is a conversation. Long texts stand apart under `attachments` and are put back where they are referred to.

use retort_json::{Parser, RawJson};
use retort_model::{Conversation, Kind as Held, Role};

use super::chat;
use super::fields::{self, FieldMap};
use super::format::{ImportFormat, ItemError, Items, Notes, Refusal};
use super::marks;
use super::rounds::Rounds;
use super::sniff::Sniff;
use super::{definitions, session};

/// The format.
pub(super) struct Inspect;

/// Fields of messages that say nothing more than is read.
const KNOWN: [&str; 5] = ["view", "internal", "source", "working_time", "error"];

impl ImportFormat for Inspect {
    fn name(&self) -> &'static str {
        "inspect"
    }

    fn about(&self) -> &'static str {
        "Logs of Inspect evaluations: `.eval` archives and `.json` logs"
    }

    fn notes(&self) -> &'static str {
        "`inspect eval` writes its logs below `logs/`; give them to Retort as they are. Every sample of every epoch is \
         a conversation with its calls, results, errors and reasoning; the tools are those of its first call of a \
         model. Scores, targets, events and the store are kept. Texts that the log stores separately (`attachment://`) \
         are put back. Summaries, reductions and the header of an archive contain no conversations."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let holds = |names: &[&str]| names.iter().all(|name| sniff.holds(&[name]));
        let is_header =
            || holds(&["version", "eval", "plan"]) || holds(&["version", "eval", "samples"]);
        let is_sample = || holds(&["id", "epoch", "input", "target"]);
        let is_reduction = || holds(&["scorer", "samples"]) && sniff.holds(&["samples", "value"]);
        is_sample() || (is_header() && sniff.holds(&["eval", "task"])) || is_reduction()
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut map = FieldMap::item(text, notes)?;
        let mut items = Items::default();
        if map.has(&["epoch"]) {
            // Summaries of samples have no messages.
            if map.has(&["messages"]) {
                items.push(sample(map, None, notes)?);
            }
            return Ok(items);
        }
        if map.has(&["scorer"]) {
            return Ok(items);
        }
        let header = map.take(&["eval"], fields::map);
        let header = header.ok_or_else(unknown)?;
        for (at, raw) in map.take(&["samples"], fields::list).unwrap_or_default().iter().enumerate()
        {
            let mark = notes.mark();
            match FieldMap::of(raw, notes) {
                Some(map) => items.push(sample(map, Some(&header), notes)?),
                None => notes.unplaced("", raw),
            }
            notes.under(mark, || format!("samples[{at}]"));
        }
        Ok(items)
    }
}

fn unknown() -> ItemError {
    ItemError::new(Refusal::UnknownShape, 0, "no `eval` with `samples`, and no sample of one")
}

/// Reads a sample; `header` is what the log says of the evaluation.
fn sample<'a>(
    mut map: FieldMap<'a>,
    header: Option<&FieldMap<'a>>,
    notes: &mut Notes,
) -> Result<Conversation<'a>, ItemError> {
    let mut conversation = Conversation { kind: Held::Agent, ..Conversation::default() };
    let own = map.peek("uuid").and_then(fields::id);
    let name = |map: &FieldMap<'a>, name| map.peek(name).and_then(fields::id);
    let run = header.and_then(|header| {
        ["eval_id", "run_id", "task_id"].iter().find_map(|key| name(header, key))
    });
    conversation.id = match (own, run, name(&map, "id"), name(&map, "epoch")) {
        (Some(own), ..) => own,
        (None, Some(run), Some(id), Some(epoch)) => {
            format!("{}/{}/{}", run.decoded(), id.decoded(), epoch.decoded()).into()
        }
        _ => Default::default(),
    };
    if let Some(header) = header {
        for key in ["task", "run_id", "model"] {
            if let Some(raw) = header.peek(key) {
                conversation.metadata.put(format!("eval_{key}").into(), raw.clone());
            }
        }
        conversation.model = header.peek("model").and_then(RawJson::text);
        conversation.created_at = header.peek("created").and_then(fields::time);
    }
    let attachments = map.take(&["attachments"], fields::map).unwrap_or_default();
    let messages = map.take(&["messages"], fields::json).unwrap_or(RawJson::null());
    let messages = with_attachments(messages, &attachments);
    let mut rounds = Rounds::default();
    let mark = notes.mark();
    {
        let text = messages.as_str();
        let mut parser = Parser::lenient(text);
        chat::each_message(&mut parser, &KNOWN, notes, |message| {
            rounds.push(message.into_owned());
        })?;
    }
    notes.under(mark, || "messages".into());
    let tools = map.peek("events").and_then(tools_of).unwrap_or_default();
    conversation.rounds = rounds.finish(definitions::definitions(tools, notes));
    let output = map.peek("output").and_then(fields::map);
    if let Some(mut output) = output {
        let model = output.take(&["model"], RawJson::text).filter(|model| !model.is_empty());
        let reason = output.take(&["choices"], fields::list).and_then(|choices| {
            fields::map(choices.first()?)?.take(&["stop_reason"], marks::ended)
        });
        if let Some(round) = conversation.rounds.last_mut() {
            round.model = model;
            if let Some(last) = round.messages.last_mut().filter(|one| one.role == Role::Assistant)
                && last.finish_reason.is_none()
            {
                last.finish_reason = reason;
            }
        }
    }
    if let Some(usage) = map.peek("model_usage").and_then(fields::map)
        && let [round] = conversation.rounds.as_mut_slice()
    {
        for (_, raw) in usage.fields() {
            session::add_usage(&mut round.usage, session::usage_of(raw));
        }
    }
    if let Some(rest) = attachments.rest_object() {
        map.put("attachments", rest);
    }
    for (key, raw) in map.rest() {
        conversation.metadata.put(key, raw);
    }
    session::date(&mut conversation);
    Ok(conversation)
}

/// The tools that the first call of a model was offered.
fn tools_of<'a>(events: &RawJson<'a>) -> Option<Vec<RawJson<'a>>> {
    fields::list(events)?.iter().find_map(|raw| {
        let mut event = fields::map(raw)?;
        let kind = event.take(&["event"], RawJson::text)?;
        event.take(&["tools"], fields::list).filter(|list| kind == *"model" && !list.is_empty())
    })
}

/// Puts back what is referred to.
fn with_attachments<'a>(raw: RawJson<'a>, attachments: &FieldMap<'a>) -> RawJson<'a> {
    if attachments.fields().is_empty()
        || !["attachment://", "tc://"].iter().any(|scheme| raw.as_str().contains(scheme))
    {
        return raw;
    }
    let mut text = String::with_capacity(raw.as_str().len());
    let mut rest = raw.as_str();
    // References are whole strings.
    while let Some((at, scheme)) = ["\"attachment://", "\"tc://"]
        .iter()
        .filter_map(|scheme| Some((rest.find(scheme)?, scheme)))
        .min()
    {
        let (before, found) = rest.split_at(at);
        text.push_str(before);
        let name = found.get(scheme.len()..).unwrap_or_default();
        let name = name.split('"').next().unwrap_or_default();
        let length = scheme.len() + name.len() + 1;
        let (reference, after) = found.split_at(length.min(found.len()));
        match attachments.peek(name) {
            Some(value) => text.push_str(value.as_str()),
            None => text.push_str(reference),
        }
        rest = after;
    }
    text.push_str(rest);
    RawJson::owned(&text).unwrap_or(raw)
}
