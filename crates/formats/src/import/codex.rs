//! Codex's sessions: `~/.codex/sessions/YYYY/MM/DD/rollout-….jsonl`. There is no specification; the shapes are those of
//! sessions that people have shared, and of Codex's source (`codex-rs/protocol`).
//!
//! The lines are `{timestamp, type, payload}`; in the first versions they are the payloads themselves, behind a line with
//! the session's id. A `response_item` is an item of the Responses API: reasoning, text and calls of one answer are one
//! message. An `event_msg` shows a person what the items say, and counts where there are none.

use retort_json::{Kind, RawJson, Text};
use retort_model::{Conversation, Kind as Held, Message, Role, Time, Usage};

use super::chat::{self, Joining};
use super::definitions;
use super::fields::{self, FieldMap};
use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Spread};
use super::session::{self, Line, Step, Trail};
use super::sniff::{Entry, Sniff};
use super::unplaced::{Least, short};

/// The format.
pub(super) struct Codex;

/// What lines with a payload are.
const TYPES: [&str; 5] =
    ["session_meta", "turn_context", "response_item", "event_msg", "compacted"];

/// Fields of items that say nothing more than is read.
const KNOWN: [&str; 3] = ["phase", "internal_chat_message_metadata_passthrough", "execution"];

impl ImportFormat for Codex {
    fn name(&self) -> &'static str {
        "codex"
    }

    fn about(&self) -> &'static str {
        "Codex's sessions: the `rollout-*.jsonl` files below `~/.codex/sessions`"
    }

    fn notes(&self) -> &'static str {
        "Codex keeps its sessions below `~/.codex/sessions`; give the folder to Retort as it is. Old and new shapes \
         are read. The instructions become the system message; reasoning, text and calls of one answer are one \
         message, and results are joined to their calls. Reasoning that is encrypted is kept, unread. A compaction \
         does not cut a session: its summary follows what it sums up, and the history that it repeats is kept with it. \
         What a fork repeats from the earlier session is context (`train: false`). Turns that were taken back are \
         sibling rounds that are not trained on. An answer that was stopped or failed ends with `interrupted` or has \
         the error. Events for the screen are kept under `events`."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        match sniff.text(&["type"]) {
            Some(kind) => TYPES.contains(&&*kind) && sniff.kind(&["payload"]) == Some(Kind::Object),
            // The first line of the first versions.
            None => {
                ["id", "timestamp", "instructions"].iter().all(|key| sniff.holds(&[key]))
                    && !sniff.holds(&["messages"])
            }
        }
    }

    fn spread(&self) -> Spread {
        Spread::Rows
    }

    fn fragments<'t>(&self, text: &'t str, entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
        session::line_of_file(text, entry, into);
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut read = Read::default();
        session::each_line(text, notes, |line, notes| read.line(line, notes))?;
        read.finish()
    }
}

#[derive(Default)]
struct Read<'a> {
    conversation: Conversation<'a>,
    /// Before when lines were told by another session.
    own_since: Option<Time>,
    is_fork: bool,
    told: Told<'a>,
    /// Whether the turn is over.
    is_over: bool,
    joining: Joining<'a>,
    model: Option<Text<'a>>,
    /// Tokens so far.
    total: Usage,
    tools: Vec<RawJson<'a>>,
    events: Vec<RawJson<'a>>,
    /// What the screen was told, and what the person typed last.
    shown: Told<'a>,
    asked: Option<Text<'a>>,
}

/// What was said, and where each turn began that was not taken back.
#[derive(Default)]
struct Told<'a> {
    trail: Trail<'a>,
    turns: Vec<usize>,
}

impl<'a> Told<'a> {
    fn push(&mut self, step: Step<'a>, is_turn: bool) {
        let place = self.trail.push(step);
        self.turns.extend(is_turn.then_some(place));
    }

    /// Takes the last turns back, and what told the model of its surroundings right before them.
    fn roll_back(&mut self, turns: usize) {
        let left = self.turns.len().saturating_sub(turns);
        let (Some(&first), Some(&from)) = (self.turns.first(), self.turns.get(left)) else {
            return;
        };
        self.turns.truncate(left);
        let mut from = from;
        while let Some((place, step)) = self.trail.before(from)
            && place > first
            && step.messages.first().is_some_and(is_context)
        {
            from = place;
        }
        self.trail.take_back(from);
    }

    fn says(&self) -> bool {
        self.trail.steps().any(|step| step.messages.iter().any(|one| one.role != Role::System))
    }
}

/// Whether Codex wrote a message, not the person in whose name it is: it is in a tag, or a project's instructions.
fn is_context(message: &Message<'_>) -> bool {
    let words = message.words();
    let words = words.decoded();
    let text = words.trim_start();
    let is_tagged = || {
        let tag = text.strip_prefix('<')?.split(['>', ' ']).next()?;
        // Pictures that a person sent are in a tag, too.
        let is_tag = !matches!(tag, "" | "image")
            && tag.bytes().all(|byte| byte.is_ascii_alphanumeric() || matches!(byte, b'_' | b'-'));
        (is_tag && text.contains(&format!("</{tag}>"))).then_some(())
    };
    match message.role {
        Role::System => true,
        Role::User => text.starts_with("# AGENTS.md instructions") || is_tagged().is_some(),
        _ => false,
    }
}

/// Whether a message tells the model that the person stopped it.
fn is_stop(message: &Message<'_>) -> bool {
    message.role == Role::User && message.words().decoded().starts_with("<turn_aborted>")
}

/// Errors of requests to Codex that no answer broke off with.
const OF_REQUESTS: [&str; 2] = ["thread_rollback_failed", "active_turn_not_steerable"];

impl<'a> Read<'a> {
    fn line(&mut self, line: Line<'a>, notes: &mut Notes) -> Result<(), ItemError> {
        let Line { raw, mut map } = line;
        let at = map.take(&["timestamp"], fields::time);
        let Some(payload) = map.take(&["payload"], fields::object) else {
            return self.first_version(raw, map, at, notes);
        };
        let kind = map.take(&["type"], RawJson::text).unwrap_or_default();
        let Some(mut said) = FieldMap::of(&payload, notes) else { return Ok(()) };
        let mark = notes.mark();
        match &*kind.decoded() {
            "session_meta" => self.begin(said, at, raw, notes),
            "turn_context" => {
                self.model = said.take(&["model"], RawJson::text).or(self.model.take());
                self.events.push(raw);
            }
            "response_item" => self.item(&payload, at, raw, notes)?,
            "event_msg" => self.event(said, at, raw),
            "compacted" => {
                let text = said.take(&["message"], RawJson::text).filter(|text| !text.is_blank());
                match text {
                    Some(text) => {
                        let mut message = Message::text(Role::User, text);
                        message.source_role = Some("compacted".into());
                        message.created_at = at;
                        message.metadata = said.rest();
                        self.end_answer();
                        self.push(message);
                    }
                    None => self.events.push(raw),
                }
            }
            other => {
                if super::unplaced::says(&payload, Least::Prose) {
                    notes.unplaced(format!("type={}", short(other)), &payload);
                }
                self.events.push(raw);
            }
        }
        notes.under(mark, || "payload".into());
        Ok(())
    }

    /// A line of the first versions, which is an item or what is told of the session.
    fn first_version(
        &mut self,
        raw: RawJson<'a>,
        mut map: FieldMap<'a>,
        at: Option<Time>,
        notes: &mut Notes,
    ) -> Result<(), ItemError> {
        if map.has(&["type"]) {
            return self.item(&raw.clone(), at, raw, notes);
        }
        if map.has(&["record_type"]) {
            self.events.push(raw);
            return Ok(());
        }
        if map.has(&["id", "instructions"]) {
            map.take(&["timestamp"], fields::json);
            self.begin(map, at, raw, notes);
            return Ok(());
        }
        notes.unplaced_fields(&map.rest(), &[], Least::Prose);
        self.events.push(raw);
        Ok(())
    }

    fn begin(
        &mut self,
        mut said: FieldMap<'a>,
        at: Option<Time>,
        raw: RawJson<'a>,
        notes: &mut Notes,
    ) {
        if !self.conversation.id.is_empty() {
            // That of the session that a fork goes on from.
            self.events.push(raw);
            return;
        }
        self.conversation.id = said.take_id(&["id"]).unwrap_or_default();
        let begun = said.take(&["timestamp"], fields::time).or(at);
        self.conversation.created_at = begun;
        self.own_since = begun;
        self.is_fork = said.has(&["forked_from_id"]);
        let instructions = said.take(&["base_instructions", "instructions"], |raw| {
            fields::text_or_under(raw, &["text"])
        });
        if let Some(text) = instructions.filter(|text| !text.is_blank()) {
            self.push(Message::text(Role::System, text));
        }
        if let Some(tools) = said.take(&["dynamic_tools"], fields::list) {
            self.tools = definitions::definitions(tools, notes);
        }
        self.conversation.metadata = said.rest();
    }

    fn item(
        &mut self,
        payload: &RawJson<'a>,
        at: Option<Time>,
        raw: RawJson<'a>,
        notes: &mut Notes,
    ) -> Result<(), ItemError> {
        let kind = fields::map(payload).and_then(|mut said| said.take(&["type"], RawJson::text));
        let kind = kind.as_ref().map_or("".into(), Text::decoded);
        if matches!(
            &*kind,
            "ghost_snapshot"
                | "token_count"
                | "compaction"
                | "compaction_summary"
                | "compaction_trigger"
                | "other"
        ) {
            self.events.push(raw);
            return Ok(());
        }
        let mut said = Vec::new();
        chat::item_of(payload, &KNOWN, notes, at, &mut self.joining, |message| {
            said.push(message);
        })?;
        said.into_iter().for_each(|message| self.push(message));
        Ok(())
    }

    fn event(&mut self, mut said: FieldMap<'a>, at: Option<Time>, raw: RawJson<'a>) {
        let kind = said.take(&["type"], RawJson::text).unwrap_or_default();
        match &*kind.decoded() {
            "user_message" => {
                if let Some(text) = said.take(&["message"], RawJson::text) {
                    self.ask(&text);
                    self.show(Role::User, text, at);
                }
            }
            "agent_message" => {
                if let Some(text) = said.take(&["message"], RawJson::text) {
                    self.show(Role::Assistant, text, at);
                }
            }
            "thread_rolled_back" => {
                self.end_answer();
                let turns = said.take(&["num_turns"], fields::count).unwrap_or(0);
                let turns = usize::try_from(turns).unwrap_or(usize::MAX);
                self.told.roll_back(turns);
                self.shown.roll_back(turns);
            }
            "task_complete" | "turn_complete" => {
                self.end_answer();
                self.is_over = true;
            }
            "turn_aborted" => self.broke_off(None),
            "error" => {
                let info = said.peek("codex_error_info").and_then(RawJson::as_text);
                if !info.is_some_and(|info| OF_REQUESTS.contains(&&*info)) {
                    let why = said.take(&["message"], RawJson::text);
                    self.broke_off(Some(why.unwrap_or_else(|| "failed".into())));
                }
            }
            "token_count" => {
                let info = said.take(&["info"], fields::map);
                let total =
                    info.and_then(|info| info.peek("total_token_usage").map(session::usage_of));
                if let Some(total) = total {
                    self.count(total);
                }
            }
            _ => {}
        }
        self.events.push(raw);
    }

    /// Takes what the person typed: it begins a turn, whatever it looks like.
    fn ask(&mut self, text: &Text<'a>) {
        let Told { trail, turns } = &mut self.told;
        if let Some((place, step)) = trail.before(trail.end())
            && turns.last() != Some(&place)
            && step.messages.iter().any(|one| one.role == Role::User && one.words() == *text)
        {
            turns.push(place);
        }
        self.asked = Some(text.clone());
    }

    fn show(&mut self, role: Role, text: Text<'a>, at: Option<Time>) {
        let step = self.step(Message { created_at: at, ..Message::text(role, text) });
        self.shown.push(step, role == Role::User);
    }

    /// The answer that is being given broke off: with an error, or because a person stopped it.
    fn broke_off(&mut self, error: Option<Text<'a>>) {
        self.end_answer();
        if !self.is_over {
            self.told.trail.broke_off(error.clone(), is_stop);
            self.shown.trail.broke_off(error, is_stop);
        }
    }

    /// Counts the tokens since the total was told last.
    fn count(&mut self, total: Usage) {
        let more = |now: Option<u64>, before: Option<u64>| {
            now.map(|now| now.saturating_sub(before.unwrap_or(0)))
        };
        let since = Usage {
            input_tokens: more(total.input_tokens, self.total.input_tokens),
            output_tokens: more(total.output_tokens, self.total.output_tokens),
        };
        self.total = total;
        let last = self.told.trail.end().checked_sub(1);
        if let Some(step) = last.and_then(|last| self.told.trail.step_mut(last)) {
            session::add_usage(&mut step.usage, since);
        }
    }

    fn push(&mut self, message: Message<'a>) {
        self.is_over = false;
        let is_asked = || self.asked.as_ref().is_some_and(|text| message.words() == *text);
        let is_turn = message.role == Role::User
            && message.source_role.is_none()
            && (!is_context(&message) || is_asked());
        if message.role == Role::System {
            let step = self.step(message.clone());
            self.shown.push(step, false);
        }
        let step = self.step(message);
        self.told.push(step, is_turn);
    }

    fn step(&self, mut message: Message<'a>) -> Step<'a> {
        let is_copied = self.is_fork
            && message.created_at.zip(self.own_since).is_some_and(|(at, since)| at < since);
        if is_copied {
            message.train = Some(false);
        }
        let model = self.model.clone().filter(|_| message.role == Role::Assistant);
        Step { messages: vec![message], model, ..Step::default() }
    }

    fn end_answer(&mut self) {
        let mut said = Vec::new();
        self.joining.end(&mut |message| said.push(message));
        said.into_iter().for_each(|message| self.push(message));
    }

    fn finish(mut self) -> Result<Items<'a>, ItemError> {
        self.end_answer();
        let told = if self.told.says() { self.told } else { self.shown };
        if !told.says() {
            return Err(session::without_messages());
        }
        let mut conversation = self.conversation;
        conversation.kind = Held::Agent;
        (conversation.rounds, conversation.current) = told.trail.rounds();
        if let Some(first) = conversation.rounds.first_mut() {
            first.tools = self.tools;
        }
        session::keep_events(&mut conversation, &self.events);
        session::date(&mut conversation);
        Ok(conversation.into())
    }
}
