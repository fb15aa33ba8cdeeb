//! Claude Code's sessions: `~/.claude/projects/PROJECT/SESSION.jsonl`, and those of its sub-agents below
//! `SESSION/subagents/`. There is no specification; the shapes are those of sessions that people have shared, of versions
//! 1.0 to 2.1.
//!
//! Lines name the one that they follow, so a session is a tree; what says nothing to the model (`progress`, `system`, …)
//! stands among them. An answer of the API is written as a line for each of its blocks, with results between them: all
//! lines with its id are one message, and the results that hang on it follow. A session that was
//! resumed or forked repeats the lines of the one before, with their uuids: they count once, and are context where they
//! are repeated.

use std::collections::{HashMap, HashSet};

use retort_json::{Kind, RawJson, Text};
use retort_model::{Content, Conversation, Fields, Kind as Held, Message, Part, Role, Task, Usage};

use super::chat;
use super::fields::{self, FieldMap, keep_in_list};
use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Spread};
use super::session::{self, Constant, Line, Step};
use super::sniff::{Entry, Sniff};
use super::tree::Links;
use super::unplaced::{Least, short};

/// The format.
pub(super) struct ClaudeCode;

impl ImportFormat for ClaudeCode {
    fn name(&self) -> &'static str {
        "claude-code"
    }

    fn about(&self) -> &'static str {
        "Claude Code's sessions: the JSONL files below `~/.claude/projects`"
    }

    fn notes(&self) -> &'static str {
        "Claude Code keeps its sessions below `~/.claude/projects` and deletes them after 30 days: copy the folder, or \
         give it to Retort as it is. The lines of one answer become one message with its thinking, text and calls; a \
         result is joined to its call, and an error is kept in it. An answer that the person stopped ends with \
         `interrupted`. Edited and rewound turns are sibling rounds. \
         Sub-agents become tasks of the call that began them, whether they are in the session's own file or below \
         `subagents/`. A compaction does not cut a session: the summary follows what it sums up. Lines that a resumed \
         or forked session repeats from another one are context there (`train: false`), so that nothing is trained on \
         twice. Lines that say nothing to the model (`progress`, `system`, snapshots, hooks) are kept under `events`. \
         The output of `claude -p --output-format stream-json` is read as well."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let Some(kind) = sniff.text(&["type"]) else {
            // What some tools leave of a line.
            return ["sessionId", "requestId", "message"].iter().all(|key| sniff.holds(&[key]))
                && sniff.holds(&["message", "usage"]);
        };
        let is_of_session = ["sessionId", "session_id"].iter().any(|key| sniff.holds(&[key]));
        match kind.as_str() {
            "user" | "assistant" => sniff.kind(&["message"]) == Some(Kind::Object),
            "summary" => sniff.holds(&["leafUuid"]),
            "file-history-snapshot" => sniff.holds(&["snapshot"]),
            "system" => is_of_session && (sniff.holds(&["subtype"]) || sniff.holds(&["uuid"])),
            other => is_of_session && EVENTS.contains(&other),
        }
    }

    fn spread(&self) -> Spread {
        Spread::Anywhere
    }

    fn fragments<'t>(&self, text: &'t str, entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
        let sniff = Sniff::found(text, entry);
        let is_line = match sniff.text(&["type"]).as_deref() {
            Some("user" | "assistant") => sniff.kind(&["message"]) == Some(Kind::Object),
            Some(_) => true,
            None => sniff.kind(&["message"]) == Some(Kind::Object),
        };
        if !is_line || !session::is_object(text) {
            return;
        }
        // A file that is named after its session may repeat lines of the one that it goes on from.
        let of_file = Some(entry.stem()).filter(|stem| is_uuid(stem)).map(str::to_owned);
        let named = || {
            let mut ids = ["sessionId", "session_id"].iter().filter_map(|key| sniff.text(&[key]));
            ids.find(|id| !id.is_empty())
        };
        let key = of_file.or_else(named).unwrap_or_else(|| session::key_of_file(entry));
        into.push(Fragment { key, order: 0, text: text.into() });
    }

    fn identity(&self, fragment: &str) -> Option<String> {
        Sniff::of(fragment).text(&["uuid"])
    }

    fn repeated(&self, fragment: &str) -> String {
        match fragment.trim_start().strip_prefix('{') {
            Some(rest) => format!("{{\"{REPEATED}\":true,{rest}"),
            None => fragment.to_owned(),
        }
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let lines = session::lines(text, notes)?;
        let mut read = Read::of(&lines);
        let mut has_messages = false;
        for (at, line) in lines.into_iter().enumerate() {
            let mark = notes.mark();
            has_messages |= read.line(line, at, notes)?;
            notes.under(mark, || format!("lines[{at}]"));
        }
        if has_messages { read.finish() } else { Ok(Items::default()) }
    }
}

/// What is put into a line that came before.
const REPEATED: &str = "repeated";

/// Lines that say nothing to the model.
const EVENTS: [&str; 17] = [
    "progress",
    "queue-operation",
    "file-history-snapshot",
    "last-prompt",
    "permission-mode",
    "mode",
    "agent-name",
    "agent-color",
    "agent-setting",
    "ai-title",
    "custom-title",
    "tag",
    "pr-link",
    "worktree-state",
    "content-replacement",
    "attachment",
    "result",
];

/// What Claude Code says in the person's name when they stopped the model.
const STOPS: [&str; 2] =
    ["[Request interrupted by user]", "[Request interrupted by user for tool use]"];

/// What stays the same over a session.
const CONSTANT: [&str; 9] = [
    "cwd",
    "gitBranch",
    "version",
    "userType",
    "entrypoint",
    "slug",
    "permissionMode",
    "isSidechain",
    "teamName",
];

/// Fields of lines that say nothing more than is read.
const KNOWN: [&str; 10] = [
    "toolUseResult",
    "mcpMeta",
    "thinkingMetadata",
    "todos",
    "planContent",
    "costUSD",
    "sourceToolAssistantUUID",
    "imagePasteIds",
    "attribution",
    "context_management",
];

fn is_uuid(name: &str) -> bool {
    let lengths = name.split('-').map(str::len);
    lengths.eq([8, 4, 4, 4, 12])
        && name.bytes().all(|byte| byte == b'-' || byte.is_ascii_hexdigit())
}

/// A line, by its uuid.
struct Known<'a> {
    parent: Option<Text<'a>>,
    /// The step that it is part of; what says nothing is part of none.
    step: Option<usize>,
    /// Its message, to tell whether it came again as it was.
    message: Option<RawJson<'a>>,
}

/// A step that is being gathered: a question, or an answer with the results of its calls.
#[derive(Default)]
struct Gathered<'a> {
    id: Text<'a>,
    parent: Option<Text<'a>>,
    /// The sub-agent whose step it is.
    agent: Option<Text<'a>>,
    is_sidechain: bool,
    /// The id of the API's answer.
    answer: Option<(Text<'a>, Option<Text<'a>>)>,
    messages: Vec<Message<'a>>,
    results: Vec<Message<'a>>,
    model: Option<Text<'a>>,
    usage: Usage,
}

/// What was read so far of a session.
struct Read<'a> {
    session: Text<'a>,
    known: HashMap<String, Known<'a>>,
    steps: Vec<Gathered<'a>>,
    events: Vec<RawJson<'a>>,
    constant: Constant<'a>,
    /// Summaries by the last message that they sum up, and titles.
    titles: Vec<(Option<Text<'a>>, Text<'a>)>,
    /// Of each sub-agent, the call that began it.
    calls: HashMap<String, Text<'a>>,
}

impl<'a> Read<'a> {
    fn of(lines: &[Line<'a>]) -> Self {
        let id = |line: &Line<'a>| {
            let mut ids = ["sessionId", "session_id"].iter().filter_map(|key| line.map.peek(key));
            ids.find_map(fields::id).filter(|id| !id.is_empty())
        };
        Self {
            // A session that goes on from another repeats that one's lines before its own.
            session: lines.iter().rev().find_map(id).unwrap_or_default(),
            known: HashMap::new(),
            steps: Vec::new(),
            events: Vec::new(),
            constant: Constant::default(),
            titles: Vec::new(),
            calls: HashMap::new(),
        }
    }

    /// Takes a line; says whether it is a message.
    fn line(&mut self, line: Line<'a>, at: usize, notes: &mut Notes) -> Result<bool, ItemError> {
        let Line { raw, mut map } = line;
        let kind = map.take(&["type"], RawJson::text);
        let word = kind.as_ref().map_or("".into(), Text::decoded).into_owned();
        let uuid = map.take_id(&["uuid"]);
        let parent = map.take_id(&["parentUuid", "logicalParentUuid"]);
        let is_message = matches!(&*word, "user" | "assistant" | "") && map.has(&["message"]);
        if !is_message {
            self.event(&word, raw, map, uuid, parent, notes);
            return Ok(false);
        }
        let message = map.take(&["message"], fields::json).unwrap_or(RawJson::null());
        let uuid = uuid.unwrap_or_else(|| format!("line {at}").into());
        if let Some(before) = self.known.get(&*uuid.decoded()) {
            if before.message.as_ref() != Some(&message) {
                notes.unplaced("", &raw);
                self.events.push(raw);
            }
            return Ok(true);
        }
        self.message(&word, message, map, &uuid, parent, notes)?;
        Ok(true)
    }

    fn event(
        &mut self,
        word: &str,
        raw: RawJson<'a>,
        mut map: FieldMap<'a>,
        uuid: Option<Text<'a>>,
        parent: Option<Text<'a>>,
        notes: &mut Notes,
    ) {
        match word {
            "summary" => {
                let leaf = map.take_id(&["leafUuid"]);
                self.titles.extend(map.take(&["summary"], RawJson::text).map(|text| (leaf, text)));
            }
            "custom-title" | "ai-title" => {
                let title = map.take(&["customTitle", "aiTitle", "title"], RawJson::text);
                self.titles.extend(title.map(|text| (None, text)));
            }
            "attachment" if let Some(said) = queued(&map) => {
                let uuid = uuid.clone().unwrap_or_default();
                let place = self.steps.len();
                let mut message = Message { content: Some(said), ..Message::default() };
                message.created_at = map.take(&["timestamp"], fields::time);
                message.metadata.put("attachment".into(), raw);
                self.know(&uuid, parent.clone(), Some(place), None);
                let is_sidechain = map.is_true("isSidechain");
                let agent = map.take_id(&["agentId"]);
                self.steps.push(Gathered {
                    id: uuid,
                    parent,
                    agent,
                    is_sidechain,
                    messages: vec![message],
                    ..Gathered::default()
                });
                return;
            }
            "system" => {}
            word if EVENTS.contains(&word) => {}
            _ => {
                notes.unplaced(format!("type={}", short(word)), &raw);
            }
        }
        if let Some(uuid) = uuid {
            self.know(&uuid, parent, None, None);
        }
        self.events.push(raw);
    }

    fn know(
        &mut self,
        uuid: &Text<'a>,
        parent: Option<Text<'a>>,
        step: Option<usize>,
        message: Option<RawJson<'a>>,
    ) {
        self.known.entry(uuid.decoded().into_owned()).or_insert(Known { parent, step, message });
    }

    /// The step that a line follows, past what says nothing.
    fn step_of(&self, uuid: Option<&Text<'a>>) -> Option<usize> {
        let mut uuid = uuid?;
        // No line is passed twice unless they go round in a circle.
        for _ in 0..=self.known.len() {
            let known = self.known.get(&*uuid.decoded())?;
            if known.step.is_some() {
                return known.step;
            }
            uuid = known.parent.as_ref()?;
        }
        None
    }

    fn message(
        &mut self,
        word: &str,
        raw: RawJson<'a>,
        mut map: FieldMap<'a>,
        uuid: &Text<'a>,
        parent: Option<Text<'a>>,
        notes: &mut Notes,
    ) -> Result<(), ItemError> {
        let role = match word {
            "assistant" => "assistant",
            _ => "user",
        };
        let mut details = fields::map(&raw).unwrap_or_default();
        let answer = details.take_id(&["id"]).filter(|_| word == "assistant");
        let model = details.take(&["model"], RawJson::text);
        let usage = details.peek("usage").map(session::usage_of).unwrap_or_default();
        let mark = notes.mark();
        let mut messages = chat::message_of(&raw, Some(role), &KNOWN, notes)?;
        notes.under(mark, || "message".into());
        let is_copied = map.has(&["forkedFrom", REPEATED]);
        let session = map.take_id(&["sessionId", "session_id"]);
        if let Some(id) = session.filter(|id| *id != self.session) {
            map.put("sessionId", RawJson::string(&id.decoded()));
        }
        let created_at = map.take(&["timestamp"], fields::time);
        let request = map.peek("requestId").and_then(fields::id);
        let is_sidechain = map.is_true("isSidechain");
        let agent = map.peek("agentId").and_then(fields::id);
        if map.is_true("isApiErrorMessage")
            && let Some(message) = messages.first_mut()
        {
            message.error = Some(message.words().into_owned());
        }
        self.learn_call(&map, &messages);
        self.constant.take(&mut map, &CONSTANT);
        map.put("uuid", RawJson::string(&uuid.decoded()));
        if let Some(parent) = &parent {
            map.put("parentUuid", RawJson::string(&parent.decoded()));
        }
        let rest = map.rest();
        notes.unplaced_fields(&rest, &KNOWN, Least::Prose);
        let is_synthetic = model.as_ref().is_some_and(|model| *model == *"<synthetic>");
        for message in &mut messages {
            message.created_at = message.created_at.or(created_at);
            if is_copied || (is_synthetic && message.role == Role::Assistant) {
                message.train = Some(false);
            }
        }
        if let Some(first) = messages.first_mut() {
            fields::put_missing(&mut first.metadata, rest);
        }
        let is_stop = |message: &Message<'_>| STOPS.contains(&message.words().decoded().trim());
        if word != "assistant" && messages.iter().any(is_stop) {
            self.stop(parent.as_ref());
        }
        let before = self.step_of(parent.as_ref());
        let place = if word == "assistant" {
            let answer = answer.map(|id| (id, request));
            let goes_on = before.filter(|&at| {
                let before = self.steps.get(at).and_then(|step| step.answer.as_ref());
                answer.is_some() && before == answer.as_ref()
            });
            match goes_on {
                Some(at) => at,
                None => self.begin(uuid, &parent, agent, is_sidechain, answer),
            }
        } else {
            let (results, said): (Vec<_>, Vec<_>) =
                messages.into_iter().partition(|message| message.role == Role::Tool);
            messages = said;
            let of_answer =
                before.filter(|&at| self.steps.get(at).is_some_and(|step| step.answer.is_some()));
            match of_answer {
                Some(at) => {
                    if let Some(step) = self.steps.get_mut(at) {
                        step.results.extend(results);
                    }
                    if messages.is_empty() {
                        self.know(uuid, parent, Some(at), Some(raw));
                        return Ok(());
                    }
                }
                None => {
                    messages.splice(0..0, results);
                }
            }
            self.begin(uuid, &parent, agent, is_sidechain, None)
        };
        self.know(uuid, parent, Some(place), Some(raw));
        if let Some(step) = self.steps.get_mut(place) {
            step.model = model.filter(|_| !is_synthetic).or(step.model.take());
            // Each line of an answer has the tokens of all of it so far.
            step.usage.input_tokens = usage.input_tokens.or(step.usage.input_tokens);
            step.usage.output_tokens = usage.output_tokens.or(step.usage.output_tokens);
            for message in messages {
                match step.messages.last_mut() {
                    Some(open)
                        if message.role == Role::Assistant && open.role == Role::Assistant =>
                    {
                        go_on(open, message);
                    }
                    _ => step.messages.push(message),
                }
            }
        }
        Ok(())
    }

    /// The person stopped the model: its answer broke off, unless something says how it ended or it made its calls.
    fn stop(&mut self, parent: Option<&Text<'a>>) {
        let place = match parent {
            Some(_) => self.step_of(parent),
            None => self.steps.len().checked_sub(1),
        };
        let step = place.and_then(|place| self.steps.get_mut(place));
        let Some(step) = step.filter(|step| step.results.is_empty()) else { return };
        let last = step.messages.last_mut().filter(|last| last.role == Role::Assistant);
        if let Some(answer) = last.filter(|answer| answer.tool_calls.is_empty()) {
            session::interrupt(answer);
        }
    }

    fn begin(
        &mut self,
        uuid: &Text<'a>,
        parent: &Option<Text<'a>>,
        agent: Option<Text<'a>>,
        is_sidechain: bool,
        answer: Option<(Text<'a>, Option<Text<'a>>)>,
    ) -> usize {
        self.steps.push(Gathered {
            id: uuid.clone(),
            parent: parent.clone(),
            agent,
            is_sidechain,
            answer,
            ..Gathered::default()
        });
        self.steps.len() - 1
    }

    /// Remembers which call began a sub-agent, if a result says so.
    fn learn_call(&mut self, map: &FieldMap<'a>, messages: &[Message<'a>]) {
        let Some(result) = map.peek("toolUseResult") else { return };
        let Some(mut said) = fields::map(result) else { return };
        let call = messages.iter().find_map(|message| message.tool_call_id.clone());
        if let (Some(agent), Some(call)) = (said.take_id(&["agentId", "runId"]), call) {
            self.calls.entry(agent.decoded().into_owned()).or_insert(call);
        }
    }

    fn finish(mut self) -> Result<Items<'a>, ItemError> {
        let mut threads = self.threads();
        let of_main = threads.iter().position(|(agent, _)| agent.is_none());
        let main = of_main.map(|at| threads.remove(at).1);
        let mut conversation = Conversation {
            id: self.session.clone(),
            kind: Held::Agent,
            title: self.title(),
            ..Conversation::default()
        };
        self.constant.put(&CONSTANT, &mut conversation.metadata);
        conversation.metadata.take("isSidechain");
        session::keep_events(&mut conversation, &self.events);
        let mut items = Items::default();
        let Some(main) = main else {
            // Files of sub-agents alone.
            for (agent, steps) in threads {
                let agent = agent.unwrap_or_default();
                let mut one = conversation.clone();
                one.id = format!("{}/{}", self.session.decoded(), agent.decoded()).into();
                (one.rounds, one.current) = session::rounds(steps, None);
                if one.messages().all(session::is_empty) {
                    return Err(session::without_messages());
                }
                session::date(&mut one);
                items.push(one);
            }
            return Ok(items);
        };
        (conversation.rounds, conversation.current) = session::rounds(main, None);
        for (agent, steps) in threads {
            let id = agent.unwrap_or_default();
            let (rounds, _) = session::rounds(steps, None);
            let mut task = Task { id, rounds, ..Task::default() };
            task.tool_call_id = self.calls.get(&*task.id.decoded()).cloned();
            conversation.tasks.push(task);
        }
        find_calls(&mut conversation);
        if conversation.messages().all(session::is_empty) {
            return Err(session::without_messages());
        }
        session::date(&mut conversation);
        items.push(conversation);
        Ok(items)
    }

    /// The title that a person or the model gave to the session: the last one that is of it.
    fn title(&self) -> Option<Text<'a>> {
        let is_own = |leaf: &Option<Text<'a>>| {
            leaf.as_ref().is_none_or(|leaf| self.known.contains_key(&*leaf.decoded()))
        };
        let mut own = self.titles.iter().rev().filter(|(leaf, _)| is_own(leaf));
        own.next().map(|(_, title)| title.clone())
    }

    /// The steps of the session and of each of its sub-agents, in the order of their beginnings.
    fn threads(&mut self) -> Vec<(Option<Text<'a>>, Vec<Step<'a>>)> {
        let mut threads: Vec<(Option<Text<'a>>, Vec<Step<'a>>)> = Vec::new();
        let parents: Vec<_> =
            self.steps.iter().map(|step| self.step_of(step.parent.as_ref())).collect();
        let ids: Vec<_> = self.steps.iter().map(|step| step.id.clone()).collect();
        let mut of_steps: Vec<Option<Text<'a>>> = Vec::with_capacity(ids.len());
        for (at, (step, parent)) in
            std::mem::take(&mut self.steps).into_iter().zip(parents).enumerate()
        {
            // A chain of a sub-agent is named after its first line, where nothing else names it.
            let before = parent.and_then(|parent| of_steps.get(parent).cloned().flatten());
            let thread = (step.is_sidechain || step.agent.is_some())
                .then(|| step.agent.or(before).unwrap_or_else(|| step.id.clone()));
            of_steps.push(thread.clone());
            let parent = parent.filter(|&parent| parent != at);
            let links = Links {
                id: step.id,
                parent: parent.and_then(|parent| ids.get(parent).cloned()).or(step.parent),
                children: Vec::new(),
            };
            let mut messages = step.messages;
            messages.extend(step.results);
            let step = Step { links, messages, model: step.model, usage: step.usage };
            match threads.iter_mut().find(|(name, _)| *name == thread) {
                Some((_, steps)) => steps.push(step),
                None => threads.push((thread, vec![step])),
            }
        }
        for (_, steps) in &mut threads {
            chain(steps);
        }
        threads
    }
}

/// Where no step names one before it, they follow one another; a summary of what came before follows that.
fn chain(steps: &mut [Step<'_>]) {
    let ids: HashSet<String> =
        steps.iter().map(|step| step.links.id.decoded().into_owned()).collect();
    let names_one = |step: &Step<'_>| {
        step.links.parent.as_ref().is_some_and(|parent| ids.contains(&*parent.decoded()))
    };
    let is_flat = !steps.iter().any(names_one);
    let mut before: Option<Text<'_>> = None;
    for step in steps {
        let is_summary = || {
            step.messages.first().is_some_and(|message| {
                message.metadata.get("isCompactSummary").is_some_and(|raw| raw.as_str() == "true")
            })
        };
        if is_flat || step.links.parent.is_none() && is_summary() {
            step.links.parent = before.take().map(Text::into_owned);
        }
        before = Some(step.links.id.clone().into_owned());
    }
}

/// Finds the call that began a task by its prompt, and the name of its agent.
fn find_calls(conversation: &mut Conversation<'_>) {
    let mut calls = Vec::new();
    for call in conversation.messages().flat_map(|message| &message.tool_calls) {
        let arguments = RawJson::owned(&call.arguments.decoded()).ok();
        let Some(mut map) = arguments.and_then(|raw| fields::map(&raw)) else {
            continue;
        };
        let prompt = map.take(&["prompt"], RawJson::as_text);
        let agent = map.take(&["subagent_type", "agentType", "name"], RawJson::text);
        if prompt.is_some() || agent.is_some() {
            calls.push((call.id.clone().into_owned(), prompt, agent));
        }
    }
    for task in &mut conversation.tasks {
        let first = task.rounds.first().and_then(|round| round.messages.first());
        let asked = first.map(|message| message.words().decoded().into_owned());
        let is_it = |id: &Text<'_>, prompt: &Option<String>| match &task.tool_call_id {
            Some(call) => call == id,
            None => prompt.is_some() && *prompt == asked,
        };
        if let Some((id, _, agent)) = calls.iter().find(|(id, prompt, _)| is_it(id, prompt)) {
            task.tool_call_id = Some(id.clone());
            task.agent.clone_from(agent);
        }
    }
}

/// Adds the next line of an answer to it.
fn go_on<'a>(open: &mut Message<'a>, more: Message<'a>) {
    open.content = match (open.content.take(), more.content) {
        (Some(one), Some(other)) => {
            let mut parts = parts_of(one);
            parts.extend(parts_of(other));
            Some(Content::Parts(parts))
        }
        (one, other) => one.or(other),
    };
    open.reasoning = match (open.reasoning.take(), more.reasoning) {
        (Some(one), Some(other)) => {
            Some(format!("{}\n\n{}", one.decoded(), other.decoded()).into())
        }
        (one, other) => one.or(other),
    };
    open.tool_calls.extend(more.tool_calls);
    open.finish_reason = more.finish_reason.or(open.finish_reason.take());
    open.error = open.error.take().or(more.error);
    if let Some(usage) = more.metadata.get("usage") {
        open.metadata.put("usage".into(), usage.clone());
    }
    let mut others = Fields::new();
    for (key, raw) in more.metadata {
        if open.metadata.get(&key.decoded()) != Some(&raw) {
            others.put(key, raw);
        }
    }
    if let Some(others) = RawJson::object(&others) {
        keep_in_list(&mut open.metadata, "lines", &others);
    }
}

fn parts_of(content: Content<'_>) -> Vec<Part<'_>> {
    match content {
        Content::Text(text) => vec![Part::text(text)],
        Content::Parts(parts) => parts,
    }
}

/// What a person said while the model was at work.
fn queued<'a>(map: &FieldMap<'a>) -> Option<Content<'a>> {
    let mut said = fields::map(map.peek("attachment")?)?;
    let kind = said.take(&["type"], RawJson::text)?;
    let text = said.take(&["prompt"], RawJson::text).filter(|_| kind == *"queued_command")?;
    Some(Content::Text(text))
}
