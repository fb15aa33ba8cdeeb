//! OpenCode's sessions: a folder of JSON files (`storage/session`, `storage/message` and `storage/part`), in newer versions
//! the tables of those names in `opencode.db`, or what `opencode export` writes. Kilo Code keeps the same tables. Source: the
//! code of `anomalyco/opencode` (`session/message-v2.ts` and `session.sql.ts`).
//!
//! A session, its messages and their parts are files or rows of their own. The parts are joined to their message, and the
//! messages to their session.

use retort_json::{Kind, Parser, RawJson, Text};
use retort_model::{Conversation, Kind as Held, Message, Role, ToolCall};

use super::fields::{self, FieldMap};
use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Refusal, Spread};
use super::parts::Segment;
use super::roles;
use super::session::{self, Step, Trail};
use super::sniff::{Entry, Sniff};
use super::thread::{self, Turn};
use super::unplaced::{Least, short};

/// The format.
pub(super) struct OpenCode;

/// Where a file and a row have the same.
const SESSION: [&str; 2] = ["sessionID", "session_id"];
const MESSAGE: [&str; 2] = ["messageID", "message_id"];

impl ImportFormat for OpenCode {
    fn name(&self) -> &'static str {
        "opencode"
    }

    fn about(&self) -> &'static str {
        "OpenCode's sessions: its `storage` folder, `opencode.db`, and `opencode export`"
    }

    fn notes(&self) -> &'static str {
        "OpenCode keeps its sessions below `~/.local/share/opencode`, in `opencode.db` or, in older versions, in the folder \
         `storage`; give the folder to Retort as it is, or write one session with `opencode export`. Kilo Code's `kilo.db` \
         has the same tables. Reasoning, calls, results, errors, files, models and tokens are kept. Texts that are marked \
         as ignored, which the model never sees, snapshots, patches and the beginnings of sub-tasks are kept as metadata. \
         Messages that were undone (`revert`) are sibling rounds that are not trained on, and an answer without an end, where \
         others have one, ends with `interrupted`. The session of a sub-agent is a conversation of its own, with the id of its parent in its metadata. Written from \
         OpenCode's code and from shared sessions."
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let holds_time = || sniff.holds(&["time", "created"]);
        let is_role = |path: &[&str]| {
            sniff.text(path).is_some_and(|role| matches!(&*role, "user" | "assistant"))
        };
        let is_message = || sniff.has("sessionID") && is_role(&["role"]) && holds_time();
        let is_part =
            || sniff.has("messageID") && sniff.has("id") && sniff.text(&["type"]).is_some();
        let is_session =
            || sniff.has("projectID") && sniff.has("id") && sniff.has("version") && holds_time();
        let is_row = || {
            sniff.has("session_id")
                && sniff.has("time_created")
                && if sniff.has("message_id") {
                    sniff.holds(&["data", "type"])
                } else {
                    is_role(&["data", "role"])
                }
        };
        let is_session_row =
            || ["project_id", "slug", "directory", "time_created"].iter().all(|key| sniff.has(key));
        let is_export = || {
            sniff.holds(&["info", "id"])
                && sniff.kind(&["messages"]) == Some(Kind::Array)
                && (sniff.holds(&["messages", "info", "role"]) || !sniff.has_keys(&["messages"]))
        };
        is_message() || is_part() || is_session() || is_row() || is_session_row() || is_export()
    }

    fn spread(&self) -> Spread {
        Spread::Anywhere
    }

    fn fragments<'t>(&self, text: &'t str, _entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
        if !session::is_object(text) {
            return;
        }
        let sniff = Sniff::of(text);
        let word = |names: &[&str]| names.iter().find_map(|name| sniff.word(name));
        let (of, order) = if let Some(message) = word(&MESSAGE) {
            (format!("message {message}"), 1)
        } else if let (Some(id), true) = (sniff.word("id"), word(&SESSION).is_some()) {
            (format!("message {id}"), 0)
        } else if let (Some(id), false) = (sniff.word("id"), sniff.has("info")) {
            (format!("session {id}"), 0)
        } else {
            return;
        };
        into.push(Fragment { key: of, order, text: text.into() });
    }

    fn regroup<'t>(&self, joined: &'t str) -> Option<Fragment<'t>> {
        let first = fields::list(&RawJson::parse(joined).ok()?)?.into_iter().next()?;
        let mut map = fields::map(&first)?;
        if map.has(&MESSAGE) || !map.has(&SESSION) {
            // Parts without their message still belong to a session, as a rule.
            let names: &[&str] = if map.has(&MESSAGE) { &SESSION } else { &["id"] };
            let id = map.take_id(names)?;
            return Some(Fragment {
                key: format!("session {}", id.decoded()),
                order: 0,
                text: joined.into(),
            });
        }
        let id = map.take_id(&SESSION)?;
        let order = created(&map).and_then(|time| u64::try_from(time.unix_micros()).ok());
        Some(Fragment {
            key: format!("session {}", id.decoded()),
            order: order.unwrap_or(0),
            text: joined.into(),
        })
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut parser = Parser::lenient(text);
        let raw = parser.raw()?;
        parser.end()?;
        notes.count(&parser);
        let groups = match fields::list(&raw) {
            // What is joined to a message is read with its session.
            Some(list) if list.iter().all(|one| fields::kind(one) == Some(Kind::Object)) => {
                return if self.regroup(text).is_some() {
                    Ok(Items::default())
                } else {
                    Err(unknown("parts of a message that is not among the inputs"))
                };
            }
            Some(list) => list,
            None => exported(&raw, notes).ok_or_else(|| unknown("no session in the item"))?,
        };
        conversation(groups, notes)
    }
}

/// Whether an item is a row of `session_message`, where newer versions keep what they write to the other tables again.
pub(super) fn is_copy(sniff: &Sniff<'_>) -> bool {
    ["session_id", "type", "data", "time_created", "time_updated"].iter().all(|key| sniff.has(key))
}

fn unknown(why: &str) -> ItemError {
    ItemError::new(Refusal::UnknownShape, 0, why)
}

/// An exported session as what its files would be joined to.
fn exported<'a>(raw: &RawJson<'a>, notes: &mut Notes) -> Option<Vec<RawJson<'a>>> {
    let mut map = FieldMap::of(raw, notes)?;
    let info = map.take(&["info"], fields::object)?;
    let mut groups = vec![RawJson::array(&[info])];
    for message in map.take(&["messages"], fields::list)? {
        let mut message = FieldMap::of(&message, notes)?;
        let mut group = vec![message.take(&["info"], fields::object)?];
        group.extend(message.take(&["parts"], fields::list).unwrap_or_default());
        groups.push(RawJson::array(&group));
        notes.unplaced_texts(&message.rest());
    }
    notes.unplaced_texts(&map.rest());
    Some(groups)
}

/// Whether a message says that it came to its end, or why it did not.
fn ended(map: &FieldMap<'_>) -> bool {
    let completed = || fields::map(map.peek("time")?)?.take(&["completed"], fields::time);
    map.has(&["finish", "error"]) || completed().is_some()
}

/// When a message was written.
fn created(map: &FieldMap<'_>) -> Option<retort_model::Time> {
    let within = |name: &str| fields::map(map.peek("time")?)?.take(&[name], fields::time);
    within("created").or_else(|| map.peek("time_created").and_then(fields::time))
}

/// Reads a session of what was joined: lists of a description, or of a message and its parts.
fn conversation<'a>(groups: Vec<RawJson<'_>>, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
    let mut conversation = Conversation { kind: Held::Agent, ..Conversation::default() };
    let (mut trail, mut system, mut reverted) = (Trail::default(), None, None);
    // By their ids; and answers of which nothing says that they ended.
    let (mut places, mut open, mut tells_ends) = (Vec::new(), Vec::new(), false);
    let groups = groups.into_iter().map(RawJson::into_owned).collect::<Vec<_>>();
    for (at, group) in groups.iter().enumerate() {
        let mark = notes.mark();
        let mut list = fields::list(group).unwrap_or_default().into_iter();
        let Some(first) = list.next() else { continue };
        let Some(mut map) = FieldMap::of(&first, notes) else {
            notes.unplaced("", &first);
            continue;
        };
        if map.has(&MESSAGE) {
            notes.unplaced("messageID", &first);
        } else if map.has(&["role", "data"]) {
            unpack(&mut map, notes);
            if let Some(id) = map.take_id(&SESSION) {
                conversation.id = id;
            }
            system = map.take(&["system"], RawJson::text).or(system);
            let id = map.peek("id").and_then(fields::id);
            let ended = ended(&map);
            let step = message(map, list.collect(), notes)?;
            let answers = step.messages.iter().any(|one| one.role == Role::Assistant);
            let place = trail.push(step);
            places.push((id, place));
            if answers {
                tells_ends |= ended;
                open.extend((!ended).then_some(place));
            }
        } else {
            reverted = map.peek("revert").and_then(fields::map_within).or(reverted);
            describe(map, &mut conversation, notes);
        }
        notes.under(mark, || format!("messages[{at}]"));
    }
    if trail.steps().all(|step| step.messages.is_empty()) {
        return Ok(Items::default());
    }
    for place in open.into_iter().filter(|_| tells_ends) {
        let last = trail.step_mut(place).and_then(|step| step.messages.last_mut());
        last.filter(|last| last.role == Role::Assistant).into_iter().for_each(session::interrupt);
    }
    if let Some(id) = reverted.and_then(|mut map| map.take_id(&["messageID"]))
        && let Some((_, place)) = places.iter().find(|(one, _)| one.as_ref() == Some(&id))
    {
        trail.take_back(*place);
    }
    (conversation.rounds, conversation.current) = trail.rounds();
    thread::instruct(&mut conversation, system);
    session::date(&mut conversation);
    Ok(conversation.into())
}

/// Fields of sessions that say nothing of what was said.
const OF_SESSIONS: [&str; 11] = [
    "directory",
    "path",
    "slug",
    "share",
    "summary",
    "summary_diffs",
    "revert",
    "permission",
    "model",
    "goal",
    "metadata",
];

/// Takes what is known of the session.
fn describe<'a>(mut map: FieldMap<'a>, conversation: &mut Conversation<'a>, notes: &mut Notes) {
    if let Some(id) = map.take_id(&["id"]) {
        conversation.id = id;
    }
    conversation.title = map.take(&["title"], RawJson::text);
    conversation.created_at = created(&map);
    let time = map.take(&["time"], fields::map);
    let updated = time.and_then(|mut time| time.take(&["updated"], fields::time));
    conversation.updated_at = updated.or_else(|| map.take(&["time_updated"], fields::time));
    let model = map.peek("model").and_then(fields::map_within);
    conversation.model = model.and_then(|mut model| model.take(&["id", "modelID"], RawJson::text));
    let mut rest = map.rest();
    rest.retain(|_, raw| !raw.is_null());
    notes.unplaced_fields(&rest, &OF_SESSIONS, Least::Prose);
    conversation.metadata.extend(rest);
}

/// Fields of messages that say nothing more than is read, or nothing that the model wrote or read.
const KNOWN: [&str; 10] = [
    "summary",
    "path",
    "agent",
    "mode",
    "model",
    "format",
    "fallbackModels",
    "tools",
    "cost",
    "structured",
];

fn message<'a>(
    mut map: FieldMap<'a>,
    parts: Vec<RawJson<'a>>,
    notes: &mut Notes,
) -> Result<Step<'a>, ItemError> {
    let word = map.take(&["role"], RawJson::text).unwrap_or_default();
    let (role, source_role) = roles::role(word.clone());
    if role == Role::Other {
        notes.unplaced(
            format!("role={}", short(&word.decoded())),
            &RawJson::string(&word.decoded()),
        );
    }
    let mut message = Message { role, source_role, ..Message::default() };
    message.created_at = created(&map);
    message.finish_reason = map.take(&["finish"], RawJson::text);
    message.error = map.take(&["error"], error);
    let model = map.take(&["modelID"], RawJson::text);
    let usage = map.peek("tokens").map(session::usage_of).unwrap_or_default();
    let mut segments = Vec::new();
    for raw in sorted(parts) {
        let mark = notes.mark();
        let Some(mut part) = FieldMap::of(&raw, notes) else {
            notes.unplaced("parts", &raw);
            continue;
        };
        unpack(&mut part, notes);
        let id = part.peek("id").and_then(RawJson::as_text).unwrap_or_default();
        self::part(part, &raw, &mut segments, notes);
        notes.under(mark, || format!("parts.{}", short(&id)));
    }
    for name in ["time_created", "time_updated"] {
        map.take(&[name], fields::json);
    }
    let mut rest = map.rest();
    rest.retain(|_, raw| !raw.is_null());
    notes.unplaced_fields(&rest, &KNOWN, Least::Prose);
    message.metadata = rest;
    // An answer that failed before it said anything.
    let messages = Turn::said(message, segments);
    Ok(Step { messages, model, usage, ..Step::default() })
}

/// Puts the fields that a row of the database keeps as JSON text beside the others.
fn unpack<'a>(row: &mut FieldMap<'a>, notes: &mut Notes) {
    let data = row.take(&["data"], fields::object_within);
    let Some(data) = data.and_then(|raw| FieldMap::of(&raw, notes)) else { return };
    for (key, raw) in data.rest() {
        row.add(key, raw);
    }
}

/// Parts by their ids, which say when they were made.
fn sorted(mut parts: Vec<RawJson<'_>>) -> Vec<RawJson<'_>> {
    parts.sort_by_cached_key(|raw| fields::map(raw).and_then(|map| map.peek("id")?.as_text()));
    parts
}

/// What an error says: its message, or else its name.
fn error<'a>(raw: &RawJson<'a>) -> Option<Text<'a>> {
    let mut map = fields::map(raw)?;
    let told = map.take(&["data"], fields::map);
    let told = told.and_then(|mut data| data.take(&["message"], RawJson::text));
    told.or_else(|| map.take(&["message", "name"], RawJson::text))
}

/// Fields that say where a part belongs.
const PLACES: [&str; 7] =
    ["id", "sessionID", "messageID", "session_id", "message_id", "time_created", "time_updated"];

fn part<'a>(
    mut map: FieldMap<'a>,
    raw: &RawJson<'a>,
    into: &mut Vec<Segment<'a>>,
    notes: &mut Notes,
) {
    let kind = map.peek("type").and_then(RawJson::as_text).unwrap_or_default();
    for name in PLACES {
        map.take(&[name], fields::json);
    }
    // Without its place, and not as the JSON text that a row has.
    let whole = RawJson::object(map.fields()).unwrap_or_else(|| raw.clone());
    map.take(&["type"], fields::json);
    match kind.as_str() {
        "text" if map.is_true("ignored") => into.push(Segment::Kept("ignored", whole)),
        "text" => match map.take(&["text"], RawJson::text) {
            Some(text) if text.is_empty() => {}
            Some(text) => {
                into.push(Segment::text(text));
                notes.unplaced_fields(&map.rest(), &["metadata"], Least::Prose);
            }
            None => notes.unplaced("text", raw),
        },
        "reasoning" => match map.take(&["text"], RawJson::text) {
            Some(text) if text.is_empty() => {}
            Some(text) => into.push(Segment::Reasoning(text)),
            None => notes.unplaced("text", raw),
        },
        "tool" => into.extend(tool(map, raw, notes)),
        "file" => into.push(Segment::Part(thread::file_part(&whole, &["mime"]))),
        "step-start" => into.push(Segment::Step),
        "step-finish" | "snapshot" | "patch" | "retry" | "agent" | "subtask" | "compaction" => {
            into.push(Segment::Kept("events", whole));
        }
        other => notes.unplaced(format!("type={}", short(other)), raw),
    }
}

/// A call, with what came of it.
fn tool<'a>(mut map: FieldMap<'a>, raw: &RawJson<'a>, notes: &mut Notes) -> Option<Segment<'a>> {
    let state = map.take(&["state"], fields::object).and_then(|raw| FieldMap::of(&raw, notes));
    let (Some(name), Some(mut state)) = (map.take(&["tool"], RawJson::text), state) else {
        notes.unplaced("", raw);
        return None;
    };
    let id = map.take_id(&["callID"]).unwrap_or_default();
    let status = state.take(&["status"], RawJson::as_text).unwrap_or_default();
    // What the model wrote of a call that was never parsed is under `raw`.
    let written = state.take(&["raw"], RawJson::text).filter(|text| !text.is_blank());
    let input = state.take(&["input"], fields::json);
    let arguments = match (&*status, written) {
        ("pending", Some(written)) => written,
        _ => input.and_then(|raw| fields::words(&raw)).unwrap_or_else(|| "{}".into()),
    };
    let output = state.take(&["output"], fields::json);
    let error = state.take(&["error"], fields::words);
    let shown = state.take(&["attachments"], fields::list).unwrap_or_default();
    let mut metadata = map.rest();
    fields::put_missing(&mut metadata, state.rest());
    notes.unplaced_fields(&metadata, &["metadata", "title"], Least::Prose);
    let call = ToolCall { id, name, arguments, metadata };
    let mut ran = match status.as_str() {
        "completed" | "error" => thread::ran(call, output, error, notes).ok()?,
        "pending" | "running" => Segment::Call(call),
        other => {
            notes.unplaced(format!("state.status={}", short(other)), raw);
            Segment::Call(call)
        }
    };
    if let Segment::Ran(_, Some(result)) = &mut ran {
        let parts = shown.iter().map(|raw| thread::file_part(raw, &["mime"])).collect();
        thread::attach(std::slice::from_mut(result), parts);
    }
    Some(ran)
}
