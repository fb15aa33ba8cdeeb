//! OpenHands' trajectories: a list of events, each an action of somebody or what came of one, and the results of its
//! resolver, which hold such a list under `history`. Source: `openhands/events/serialization`.
//!
//! An action of the agent has the model's response beside it, whose calls it was made of; without one, it is a call itself.
//! Events say that nothing happened, too; these are kept as they are.

use retort_json::{Kind, Parser, RawJson, Text};
use retort_model::{Conversation, Kind as Held, Message, Role, ToolCall};

use super::chat;
use super::fields::{self, FieldMap};
use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Refusal, Spread};
use super::marks;
use super::session::{self, Step};
use super::sniff::{Entry, Sniff};
use super::unplaced::{Least, short};

/// The format.
pub(super) struct OpenHands;

/// Actions and observations that say nothing to the model.
const EVENTS: [&str; 8] = [
    "null",
    "agent_state_changed",
    "change_agent_state",
    "system",
    "recall",
    "condensation",
    "pause",
    "resume",
];

/// Fields that say nothing more than is read.
const KNOWN: [&str; 10] = [
    "message",
    "kernel_init_code",
    "extras",
    "args",
    "timeout",
    "tool_call_metadata",
    "llm_metrics",
    "cause",
    "command",
    "code",
];

impl ImportFormat for OpenHands {
    fn name(&self) -> &'static str {
        "openhands"
    }

    fn about(&self) -> &'static str {
        "Trajectories of OpenHands: lists of events, and the results of its resolver"
    }

    fn notes(&self) -> &'static str {
        "OpenHands saves a trajectory as a JSON list of events (`save_trajectory_path`), its resolver as \
         `output.jsonl`. Messages, the model's answers with their calls, and the results are kept; if an event does \
         not contain the model's answer, its action is the call. Changes of state are kept under `events`."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let is_event = |path: &[&str]| {
            let holds = |key: &str| sniff.holds(&[path, &[key]].concat());
            (holds("action") || holds("observation"))
                && (holds("source")
                    && (holds("args") || holds("content") || holds("extras"))
                    && holds("timestamp"))
        };
        is_event(&[])
            || (sniff.holds(&["history", "action"]) && sniff.has("instruction"))
            || (is_event(&["history"]) && sniff.has("history"))
    }

    fn spread(&self) -> Spread {
        Spread::Rows
    }

    fn fragments<'t>(&self, text: &'t str, entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
        if !Sniff::of(text).has("history") {
            session::line_of_file(text, entry, into);
        }
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut conversation = Conversation { kind: Held::Agent, ..Conversation::default() };
        let mut parser = Parser::lenient(text);
        let mut read = Read::default();
        let mut name = "";
        let list = if parser.kind()? == Kind::Array {
            session::lines(text, notes)?.into_iter().map(|line| line.raw).collect()
        } else {
            let mut map = FieldMap::read(&mut parser, notes)?;
            parser.end()?;
            notes.count(&parser);
            match map.take(&["history"], fields::list) {
                Some(list) => {
                    name = "history";
                    conversation.id = map.take_id(&["instance_id", "id"]).unwrap_or_default();
                    conversation.metadata = map.rest();
                    list
                }
                None if map.has(&["action", "observation"]) => vec![RawJson::owned(text)?],
                None => {
                    let why = "no list of events in the item";
                    return Err(ItemError::new(Refusal::UnknownShape, 0, why));
                }
            }
        };
        for (at, raw) in list.into_iter().enumerate() {
            let mark = notes.mark();
            read.event(raw, notes)?;
            notes.under(mark, || format!("{name}[{at}]"));
        }
        session::finish(&mut conversation, read.steps)?;
        session::keep_events(&mut conversation, &read.events);
        Ok(conversation.into())
    }
}

#[derive(Default)]
struct Read<'a> {
    steps: Vec<Step<'a>>,
    events: Vec<RawJson<'a>>,
    /// Ids of the model's answers that were read.
    answers: Vec<Text<'a>>,
    /// The call that waits for what comes of it, where calls have no ids.
    waiting: Option<Text<'a>>,
}

impl<'a> Read<'a> {
    fn event(&mut self, raw: RawJson<'a>, notes: &mut Notes) -> Result<(), ItemError> {
        let Some(mut map) = FieldMap::of(&raw, notes) else {
            notes.unplaced("", &raw);
            return Ok(());
        };
        let action = map.take(&["action"], RawJson::text);
        let observation = map.take(&["observation"], RawJson::text);
        let source = map.take(&["source"], RawJson::text);
        let at = map.take(&["timestamp"], fields::time);
        let word = action.as_ref().or(observation.as_ref());
        let word = word.map_or("".into(), Text::decoded).into_owned();
        if word.is_empty() || EVENTS.contains(&&*word) {
            self.events.push(raw);
            return Ok(());
        }
        let mut messages = match (&action, &observation) {
            (Some(_), _) => self.action(&word, source.as_ref(), &mut map, notes)?,
            (None, _) => vec![self.observation(&word, &mut map, notes)?],
        };
        let rest = map.rest();
        notes.unplaced_fields(&rest, &KNOWN, Least::Prose);
        match messages.first_mut() {
            Some(first) => {
                for (key, raw) in rest {
                    first.metadata.put(key, raw);
                }
                for (name, text) in [("action", &action), ("source", &source)] {
                    if let Some(text) = text {
                        first.metadata.put(name.into(), RawJson::string(&text.decoded()));
                    }
                }
            }
            None => self.events.push(raw),
        }
        for message in &mut messages {
            message.created_at = message.created_at.or(at);
        }
        let model = messages.iter().find_map(|one| one.metadata.get("model")?.text());
        if !messages.is_empty() {
            self.steps.push(Step { messages, model, ..Step::default() });
        }
        Ok(())
    }

    fn action(
        &mut self,
        word: &str,
        source: Option<&Text<'a>>,
        map: &mut FieldMap<'a>,
        notes: &mut Notes,
    ) -> Result<Vec<Message<'a>>, ItemError> {
        let is_first = self.steps.is_empty();
        let asks = source.map_or(is_first, |source| *source == *"user");
        let mut args = map.take(&["args"], fields::map).unwrap_or_default();
        // The resolver keeps what an action is made of beside its name.
        let mut take = |map: &mut FieldMap<'a>, names: &[&str]| {
            args.take(names, RawJson::text).or_else(|| map.take(names, RawJson::text))
        };
        if word == "message" {
            let role = if asks { Role::User } else { Role::Assistant };
            let text = take(map, &["content"]).unwrap_or_default();
            let message = Message::text(role, text);
            self.keep(map, args);
            return Ok(vec![message]);
        }
        let response = map.peek("tool_call_metadata").and_then(|raw| {
            let mut said = fields::map(raw)?;
            said.take(&["model_response"], fields::map)
        });
        if let Some(mut response) = response {
            let id = response.take_id(&["id"]).unwrap_or_default();
            self.keep(map, args);
            if self.answers.contains(&id) && !id.is_empty() {
                // Another call of an answer that was read.
                return Ok(Vec::new());
            }
            self.answers.push(id);
            let choice = response
                .take(&["choices"], fields::list)
                .and_then(|list| fields::map(list.first()?));
            if let Some(mut choice) = choice
                && let Some(message) = choice.take(&["message"], fields::object)
            {
                let mut messages = chat::message_of(&message, Some("assistant"), &[], notes)?;
                if let Some(last) = messages.last_mut() {
                    last.finish_reason = choice.take(&["finish_reason"], marks::ended);
                    if let Some(model) = response.peek("model") {
                        last.metadata.put("model".into(), model.clone());
                    }
                }
                return Ok(messages);
            }
            return Ok(Vec::new());
        }
        let thought = take(map, &["thought"]).filter(|text| !text.is_empty());
        let mut message = Message { role: Role::Assistant, ..Message::default() };
        message.content = thought.map(retort_model::Content::Text);
        let made_of =
            ["command", "code", "path", "content", "outputs", "task", "url", "browser_actions"];
        let mut arguments = retort_model::Fields::new();
        for name in made_of {
            let raw = args.take(&[name], fields::json).or_else(|| map.take(&[name], fields::json));
            if let Some(raw) = raw {
                arguments.put(name.into(), raw);
            }
        }
        let id = Text::from(format!("event-{}", self.steps.len()));
        let arguments =
            RawJson::object(&arguments).map_or("{}".into(), |raw| raw.into_cow().into());
        message.tool_calls.push(ToolCall {
            id: id.clone(),
            name: word.to_owned().into(),
            arguments,
            ..ToolCall::default()
        });
        self.waiting = Some(id);
        self.keep(map, args);
        Ok(vec![message])
    }

    /// Puts back what was not taken.
    fn keep(&self, map: &mut FieldMap<'a>, args: FieldMap<'a>) {
        if let Some(rest) = args.rest_object() {
            map.put("args", rest);
        }
    }

    fn observation(
        &mut self,
        word: &str,
        map: &mut FieldMap<'a>,
        notes: &mut Notes,
    ) -> Result<Message<'a>, ItemError> {
        let mut message = Message { role: Role::Tool, ..Message::default() };
        let called = map.peek("tool_call_metadata").and_then(|raw| {
            let mut said = fields::map(raw)?;
            Some((said.take_id(&["tool_call_id"])?, said.take(&["function_name"], RawJson::text)))
        });
        match called {
            Some((id, name)) => (message.tool_call_id, message.name) = (Some(id), name),
            None => message.tool_call_id = self.waiting.take(),
        }
        if let Some(content) = map.take(&["content"], fields::json) {
            message.content = super::parts::result_content(content, notes)?;
        }
        if word == "error" {
            message.error = Some("failed".into());
        }
        message.metadata.put("observation".into(), RawJson::string(&short(word)));
        Ok(message)
    }
}
