//! A mapping of one's own, for what no reader knows: paths into an item that name the fields of a conversation or of a run.
//! `docs/mapping.md` says how to write one.

use std::collections::{BTreeMap, BTreeSet};

use retort_json::{Kind, Parser, RawJson, Text};
use retort_model::{Conversation, Fields, Message, Role};
use serde::Deserialize;
use utoipa::ToSchema;

use super::calls;
use super::fields::{self, FieldMap};
use super::format::{Fragment, ImportFormat, ItemError, Items, Notes, Refusal, Spread};
use super::parts::{self, Segment};
use super::roles;
use super::runs;
use super::sniff::{Entry, Sniff};
use super::thread::{self, Turn};
use super::tree::Links;
use super::unplaced::short;

/// A mapping as its file has it.
#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
pub struct Mapping {
    /// What an item is: `conversation`, or `run`.
    #[serde(default)]
    kind: MappedKind,
    /// The table of a database to read. Default: all tables.
    table: Option<String>,
    /// Where the list of messages is.
    messages: Option<Path>,
    /// Where a message has its fields.
    #[serde(default)]
    message: BTreeMap<String, Path>,
    /// Messages that are columns of the item.
    #[serde(default)]
    columns: Vec<Column>,
    /// How rows with one message each are joined.
    rows: Option<Joined>,
    /// The item's own fields.
    #[serde(default)]
    fields: BTreeMap<String, Path>,
    /// The source's words for the roles.
    #[serde(default)]
    roles: BTreeMap<String, MappedRole>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum MappedKind {
    #[default]
    Conversation,
    Run,
}

#[derive(Clone, Copy, Debug, Deserialize, ToSchema)]
#[serde(rename_all = "lowercase")]
enum MappedRole {
    System,
    User,
    Assistant,
    Tool,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
#[schema(as = MappedColumn)]
struct Column {
    role: MappedRole,
    path: Path,
}

#[derive(Debug, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct Joined {
    /// What the rows of one conversation have in common.
    key: Path,
    /// A number or a time that orders them.
    order: Option<Path>,
}

/// Names that a conversation, a message and a run have.
const CONVERSATION: [&str; 9] =
    ["id", "title", "model", "owner", "project", "tags", "created_at", "updated_at", "system"];
const MESSAGE: [&str; 13] = [
    "role",
    "text",
    "name",
    "time",
    "reasoning",
    "calls",
    "call_id",
    "id",
    "parent",
    "model",
    "error",
    "rating",
    "comment",
];
const RUN: [&str; 16] = [
    "request_id",
    "source",
    "source_id",
    "version",
    "thread",
    "owner",
    "question",
    "inputs",
    "answer",
    "error",
    "status",
    "contexts",
    "feedback",
    "ground_truth",
    "started_at",
    "finished_at",
];

impl Mapping {
    /// The format that reads items by this mapping. It lives as long as the process.
    ///
    /// # Errors
    /// What the mapping lacks, or which of its names is none.
    pub fn into_format(self) -> Result<&'static dyn ImportFormat, String> {
        let is_run = self.kind == MappedKind::Run;
        let known: &[&str] = if is_run { &RUN } else { &CONVERSATION };
        for (table, names, known) in
            [("fields", &self.fields, known), ("message", &self.message, &MESSAGE[..])]
        {
            if let Some(name) = names.keys().find(|name| !known.contains(&name.as_str())) {
                let known = known.join(", ");
                return Err(format!("[{table}] has no `{name}`; it may have {known}"));
            }
        }
        let ways = [self.messages.is_some(), !self.columns.is_empty(), self.rows.is_some()];
        match (is_run, ways.iter().filter(|way| **way).count()) {
            (true, 0) if self.fields.is_empty() => Err("a run needs [fields]".into()),
            (true, 0) | (false, 1) => {
                let needs = self.messages.is_some() || self.rows.is_some();
                let lacks = |name: &str| needs && !self.message.contains_key(name);
                if lacks("role") || lacks("text") {
                    return Err("[message] must say where `role` and `text` are".into());
                }
                Ok(Box::leak(Box::new(Mapped(self))))
            }
            (true, _) => Err("a run has [fields] and no messages".into()),
            (false, _) => Err("a conversation needs one of `messages` (the path of their list), [[columns]] and [rows]".into()),
        }
    }
}

/// Where a value is: keys and positions in lists, such as `a.b[0].c`. Write a key with a dot or a bracket in quotes. If
/// a text on the path is JSON, the path continues inside it.
#[derive(Clone, Debug, PartialEq, Eq, Deserialize, ToSchema)]
#[serde(try_from = "String")]
#[schema(value_type = String)]
struct Path(Vec<Step>);

#[derive(Clone, Debug, PartialEq, Eq)]
enum Step {
    Key(String),
    Index(usize),
}

impl TryFrom<String> for Path {
    type Error = String;

    fn try_from(text: String) -> Result<Self, String> {
        let fail = || format!("`{text}` is not a path; write it like `a.b[0].c`");
        let mut steps = Vec::new();
        let mut rest = text.as_str();
        while !rest.is_empty() {
            if let Some(inside) = rest.strip_prefix('[') {
                let (place, after) = inside.split_once(']').ok_or_else(fail)?;
                steps.push(Step::Index(place.parse().map_err(|_| fail())?));
                rest = after;
            } else if let Some(inside) = rest.strip_prefix('"') {
                let (key, after) = inside.split_once('"').ok_or_else(fail)?;
                steps.push(Step::Key(key.to_owned()));
                rest = after;
            } else {
                let end = rest.find(['.', '[']).unwrap_or(rest.len());
                let (key, after) = rest.split_at(end);
                if key.is_empty() {
                    return Err(fail());
                }
                steps.push(Step::Key(key.to_owned()));
                rest = after;
            }
            if let Some(after) = rest.strip_prefix('.') {
                if after.is_empty() {
                    return Err(fail());
                }
                rest = after;
            }
        }
        if steps.is_empty() { Err(fail()) } else { Ok(Self(steps)) }
    }
}

impl Path {
    /// The value there, unless it is null.
    fn get<'a>(&self, item: &RawJson<'a>) -> Option<RawJson<'a>> {
        let mut value = item.clone();
        for step in &self.0 {
            if fields::kind(&value) == Some(Kind::String) {
                value = fields::json_within(&value)?;
            }
            value = match step {
                Step::Key(key) => fields::map(&value)?.peek(key)?.clone(),
                Step::Index(index) => fields::list(&value)?.into_iter().nth(*index)?,
            };
        }
        (!value.is_null()).then_some(value)
    }

    /// The field of the item itself that it is, if it leads no further.
    fn own(&self) -> Option<&str> {
        match self.0.as_slice() {
            [Step::Key(key)] => Some(key),
            _ => None,
        }
    }
}

/// The format of a mapping.
struct Mapped(Mapping);

impl ImportFormat for Mapped {
    fn name(&self) -> &'static str {
        "map"
    }

    fn about(&self) -> &'static str {
        "your own mapping, given with `--map`"
    }

    fn notes(&self) -> &'static str {
        ""
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        let is_it = |table: &String| sniff.entry().path.rsplit('/').next() == Some(table);
        self.0.table.as_ref().is_none_or(is_it)
    }

    fn spread(&self) -> Spread {
        if self.0.rows.is_some() { Spread::Anywhere } else { Spread::No }
    }

    fn fragments<'t>(&self, text: &'t str, _entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
        let (Some(rows), Ok(raw)) = (&self.0.rows, RawJson::parse(text)) else { return };
        let Some(key) = rows.key.get(&raw).as_ref().and_then(fields::id) else { return };
        let order = rows.order.as_ref().and_then(|path| path.get(&raw));
        let order = order.and_then(|raw| fields::count(&raw).or_else(|| fields::micros(&raw)));
        let key = key.decoded().into_owned();
        into.push(Fragment { key, order: order.unwrap_or(0), text: text.into() });
    }

    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut parser = Parser::lenient(text);
        let mut items = Vec::new();
        if self.0.rows.is_some() && parser.kind()? == Kind::Array {
            parser.array()?;
            while parser.next_element()? {
                items.push(parser.raw()?);
            }
        } else {
            items.push(parser.raw()?);
        }
        parser.end()?;
        notes.count(&parser);
        let Some(first) = items.first().filter(|raw| fields::kind(raw) == Some(Kind::Object))
        else {
            return Err(ItemError::new(Refusal::UnknownShape, 0, "an item that is not an object"));
        };
        match self.0.kind {
            MappedKind::Run => self.run(first, notes),
            MappedKind::Conversation => Ok(self.conversation(&items, notes)?.into()),
        }
    }
}

impl Mapped {
    /// Reads a run, by the names of the format for runs.
    fn run<'a>(&self, item: &RawJson<'a>, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let mut fields = Fields::new();
        for (name, path) in &self.0.fields {
            if let Some(raw) = path.get(item) {
                fields.put(name.clone().into(), raw);
            }
        }
        let rest = self.rest(item, self.0.fields.values());
        if let Some(raw) = RawJson::object(&rest) {
            fields.put("metadata".into(), raw);
        }
        Ok(runs::run(FieldMap::from(fields), notes).into())
    }

    /// What of an item has no place in the mapping.
    fn rest<'a, 'p>(
        &self,
        item: &RawJson<'a>,
        paths: impl Iterator<Item = &'p Path>,
    ) -> Fields<'a> {
        let taken: BTreeSet<&str> = paths.filter_map(Path::own).collect();
        let mut rest = fields::map(item).unwrap_or_default().rest();
        rest.retain(|key, _| !taken.contains(&*key.decoded()));
        rest
    }

    fn conversation<'a>(
        &self,
        items: &[RawJson<'a>],
        notes: &mut Notes,
    ) -> Result<Conversation<'a>, ItemError> {
        let mapping = &self.0;
        let field = |name: &str| {
            let path = mapping.fields.get(name)?;
            items.iter().find_map(|item| path.get(item))
        };
        let mut conversation = Conversation {
            id: field("id").as_ref().and_then(fields::id).unwrap_or_default(),
            title: field("title").as_ref().and_then(fields::words),
            model: field("model").as_ref().and_then(fields::words),
            owner: field("owner").as_ref().and_then(fields::words),
            project: field("project").as_ref().and_then(fields::words),
            ..Conversation::default()
        };
        if let Some(tags) = field("tags") {
            let list = fields::list_within(&tags).unwrap_or_else(|| vec![tags]);
            conversation.tags = list.iter().filter_map(fields::words).collect();
        }
        for (name, slot) in [
            ("created_at", &mut conversation.created_at),
            ("updated_at", &mut conversation.updated_at),
        ] {
            if let Some(raw) = field(name) {
                *slot = fields::time(&raw);
                notes.unread_times += u64::from(slot.is_none());
            }
        }
        let mut turns = Vec::new();
        let mut own: Vec<&Path> = mapping.fields.values().collect();
        if let (Some(path), Some(item)) = (&mapping.messages, items.first()) {
            own.push(path);
            let list = path.get(item).as_ref().and_then(fields::list_within).ok_or_else(|| {
                ItemError::new(Refusal::BadField, 0, "no list where the mapping has `messages`")
            })?;
            for (at, raw) in list.iter().enumerate() {
                let mark = notes.mark();
                turns.push(self.turn(raw, &[], notes)?);
                notes.under(mark, || format!("messages[{at}]"));
            }
        }
        for (at, column) in mapping.columns.iter().enumerate() {
            own.push(&column.path);
            let Some(raw) = items.first().and_then(|item| column.path.get(item)) else { continue };
            let mark = notes.mark();
            let message = Message { role: of(column.role), ..Message::default() };
            turns.push(Turn::of(message, said(&raw, notes)?));
            notes.under(mark, || format!("columns[{at}]"));
        }
        if let Some(rows) = &mapping.rows {
            if conversation.id.is_empty() {
                let key = items.first().and_then(|item| rows.key.get(item));
                conversation.id = key.as_ref().and_then(fields::id).unwrap_or_default();
            }
            let beside: Vec<_> = own.iter().copied().chain([&rows.key]).collect();
            for (at, raw) in items.iter().enumerate() {
                let mark = notes.mark();
                turns.push(self.turn(raw, &beside, notes)?);
                notes.under(mark, || format!("[{at}]"));
            }
        } else if let Some(item) = items.first() {
            conversation.metadata = self.rest(item, own.into_iter());
        }
        thread::grow(turns, None, &mut conversation, notes, |at| format!("messages[{at}].parent"));
        thread::instruct(&mut conversation, field("system").as_ref().and_then(fields::words));
        Ok(conversation)
    }

    /// Reads a message. `beside` are paths of the row that say nothing of it.
    fn turn<'a>(
        &self,
        raw: &RawJson<'a>,
        beside: &[&Path],
        notes: &mut Notes,
    ) -> Result<Turn<'a>, ItemError> {
        let at = |name: &str| self.0.message.get(name)?.get(raw);
        let word = at("role").as_ref().and_then(fields::words).unwrap_or_default();
        let told = word.decoded();
        let (role, source_role) = match self.0.roles.get(&*told) {
            Some(role) => (of(*role), (*told != *of(*role).as_str()).then(|| word.clone())),
            None => roles::role(word.clone()),
        };
        if role == Role::Other {
            notes.unplaced(format!("role={}", short(&told)), raw);
        }
        let mut message = Message { role, source_role, ..Message::default() };
        message.name = at("name").as_ref().and_then(fields::words);
        message.tool_call_id = at("call_id").as_ref().and_then(fields::id);
        message.error = at("error")
            .as_ref()
            .and_then(fields::words)
            .filter(|text| !matches!(text.as_written(), "" | "false" | "0"));
        if let Some(raw) = at("time") {
            message.created_at = fields::time(&raw);
            notes.unread_times += u64::from(message.created_at.is_none());
        }
        let (rating, comment) = (at("rating"), at("comment").as_ref().and_then(fields::words));
        if rating.is_some() || comment.is_some() {
            let feedback = retort_model::Feedback { rating, label: None, comment };
            message.feedback = Some(Box::new(feedback));
        }
        let mut segments = Vec::new();
        segments.extend(at("reasoning").as_ref().and_then(fields::words).map(Segment::Reasoning));
        if let Some(raw) = at("text") {
            let mark = notes.mark();
            if role == Role::Tool {
                message.content = parts::result_content(raw, notes)?;
            } else {
                segments.extend(said(&raw, notes)?);
            }
            notes.under(mark, || "text".into());
        }
        if let Some(raw) = at("calls") {
            let mark = notes.mark();
            let text = match raw.as_text() {
                Some(text) => text,
                None => raw.as_str().to_owned(),
            };
            match calls::calls_in(&text, notes) {
                Some(calls) => segments.extend(calls.into_iter().map(Segment::Call)),
                None if matches!(text.trim(), "" | "[]") => {}
                None => notes.unplaced("", &raw),
            }
            notes.under(mark, || "calls".into());
        }
        let paths = self.0.message.values().chain(beside.iter().copied());
        message.metadata = self.rest(raw, paths);
        let links = Links {
            id: at("id").as_ref().and_then(fields::id).unwrap_or_default(),
            parent: at("parent").as_ref().and_then(fields::id).filter(|id| !id.is_empty()),
            children: Vec::new(),
        };
        let model = at("model").as_ref().and_then(fields::words);
        let model = model.filter(|_| role == Role::Assistant);
        let turn = if segments.is_empty() {
            Turn::plain(vec![message])
        } else {
            Turn::of(message, segments)
        };
        Ok(Turn { links, model, ..turn })
    }
}

/// What a value says: a text, parts, or the text of anything else.
fn said<'a>(raw: &RawJson<'a>, notes: &mut Notes) -> Result<Vec<Segment<'a>>, ItemError> {
    let mut segments = Vec::new();
    match fields::kind(raw) {
        Some(Kind::Array | Kind::Object) => parts::segments_of(raw, notes, &mut segments)?,
        _ => {
            let text: Option<Text<'a>> = fields::words(raw);
            segments.extend(text.map(Segment::text));
        }
    }
    Ok(segments)
}

fn of(role: MappedRole) -> Role {
    match role {
        MappedRole::System => Role::System,
        MappedRole::User => Role::User,
        MappedRole::Assistant => Role::Assistant,
        MappedRole::Tool => Role::Tool,
    }
}

/// Words under which sources have what a mapping asks for, the likeliest first.
const ROLES: [&str; 9] =
    ["role", "from", "sender", "author", "speaker", "who", "direction", "user_type", "type"];
const TEXTS: [&str; 11] = [
    "content",
    "text",
    "value",
    "message",
    "message_text",
    "body",
    "msg",
    "said",
    "utterance",
    "comment",
    "says",
];
const KEYS: [&str; 13] = [
    "conversation_id",
    "session_id",
    "thread_id",
    "chat_id",
    "dialog_id",
    "dialogue_id",
    "ticket_id",
    "case_id",
    "session",
    "thread",
    "conversation",
    "chat",
    "ticket",
];
const ORDERS: [&str; 8] =
    ["turn", "index", "position", "n", "order", "timestamp", "created_at", "time"];
const QUESTIONS: [&str; 8] =
    ["question", "prompt", "query", "instruction", "request", "input", "user", "user_message"];
const ANSWERS: [&str; 8] =
    ["answer", "response", "completion", "reply", "output", "assistant", "bot", "ai_message"];
const FIELDS: [(&str, &[&str]); 5] = [
    ("id", &["id", "_id", "uuid", "conversation_id", "ticket_id"]),
    ("title", &["title", "subject", "topic", "name"]),
    ("model", &["model", "model_name", "engine"]),
    ("created_at", &["created_at", "timestamp", "date", "time", "created"]),
    ("system", &["system", "system_prompt", "instructions"]),
];

/// A first mapping for items, to be looked over: what is guessed is in it, and what could not be told is a comment.
pub fn suggest(items: &[String]) -> String {
    use serde_json::Value;
    use std::fmt::Write;

    let values: Vec<Value> =
        items.iter().filter_map(|item| serde_json::from_str(item).ok()).collect();
    let mut map =
        String::from("# A draft of a mapping; check it before you use it: see docs/mapping.md.\n");
    let Some(first @ Value::Object(own)) = values.iter().find(|value| value.is_object()) else {
        map.push_str("# The items are not objects, so a mapping cannot read them.\n");
        return map;
    };
    fn speaks(value: &Value) -> Option<(&str, &str)> {
        let object = value.as_object()?;
        let role = key_that(object, &ROLES, Value::is_string)?;
        Some((role, key(object, &TEXTS)?))
    }
    let (mut found, mut words) = (None, BTreeSet::new());
    let mut waiting = vec![(String::new(), first)];
    while let Some((path, value)) = waiting.pop() {
        match value {
            Value::Object(fields) => {
                for (key, value) in fields {
                    let dot = if path.is_empty() { "" } else { "." };
                    waiting.push((format!("{path}{dot}{}", step(key)), value));
                }
            }
            Value::Array(list) if !path.is_empty() => {
                if let Some(fields) = list.first().and_then(speaks) {
                    found = Some((path, fields));
                    break;
                }
            }
            _ => {}
        }
    }
    let mut used: Vec<&str> = Vec::new();
    if let Some((path, (role, text))) = &found {
        let _ = write!(
            map,
            "messages = '{path}'\n\n[message]\nrole = '{}'\ntext = '{}'\n",
            step(role),
            step(text)
        );
        if let Ok(path) = Path::try_from(path.clone()) {
            for item in items {
                let list =
                    RawJson::parse(item).ok().and_then(|raw| fields::list_within(&path.get(&raw)?));
                for message in list.unwrap_or_default() {
                    let map = fields::map(&message);
                    words.extend(map.and_then(|map| map.peek(role)?.as_text()));
                }
            }
        }
    } else if let Some((role, text)) = speaks(first) {
        let repeats = |name: &str| {
            let all =
                values.iter().filter_map(|value| value.get(name).filter(|one| !one.is_null()));
            let all: Vec<_> = all.map(Value::to_string).collect();
            let different: BTreeSet<_> = all.iter().collect();
            different.len() > 1 && different.len() < all.len()
        };
        let others = own.keys().map(String::as_str).filter(|name| ![role, text].contains(name));
        let joined = key(own, &KEYS).or_else(|| others.clone().find(|name| repeats(name)));
        match joined {
            Some(joined) => {
                let _ = write!(map, "\n[rows]\nkey = '{}'\n", step(joined));
                used.push(joined);
            }
            None => {
                let names: Vec<_> = others.take(NAMED).collect();
                let _ = write!(
                    map,
                    "\n# What do the rows of one conversation have in common? An item has: {}\n[rows]\nkey = ''\n",
                    names.join(", ")
                );
            }
        }
        if let Some(order) = key(own, &ORDERS).filter(|order| joined != Some(order)) {
            let _ = writeln!(map, "order = '{}'", step(order));
            used.push(order);
        }
        let _ = write!(map, "\n[message]\nrole = '{}'\ntext = '{}'\n", step(role), step(text));
        words
            .extend(values.iter().filter_map(|value| value.get(role)?.as_str().map(str::to_owned)));
    } else {
        let (question, answer) = (key(own, &QUESTIONS), key(own, &ANSWERS));
        for (role, name) in [("user", question), ("assistant", answer)] {
            match name {
                Some(name) => {
                    let path = step(name);
                    let _ = write!(map, "\n[[columns]]\nrole = '{role}'\npath = '{path}'\n");
                }
                None => {
                    let _ = write!(
                        map,
                        "\n# Where is the text of the {role}?\n# [[columns]]\n# role = '{role}'\n# path = ''\n"
                    );
                }
            }
        }
        let names: Vec<_> = own.keys().map(String::as_str).take(NAMED).collect();
        let _ = writeln!(map, "\n# The first item has: {}", names.join(", "));
    }
    let fields = FIELDS.iter().filter_map(|(field, names)| Some((field, key(own, names)?)));
    let fields: Vec<_> = fields.filter(|(_, name)| !used.contains(name)).collect();
    if !fields.is_empty() {
        map.push_str("\n[fields]\n");
        for (field, name) in fields {
            let _ = writeln!(map, "{field} = '{}'", step(name));
        }
    }
    let unknown = words.iter().filter(|word| roles::role_of(word).is_none()).take(NAMED);
    let unknown: Vec<_> = unknown.collect();
    if !unknown.is_empty() {
        map.push_str("\n# Who is who? system, user, assistant or tool.\n[roles]\n");
        for word in unknown {
            let _ = writeln!(map, "# {} = 'user'", toml_key(word));
        }
    }
    map
}

/// The key of an object that is the first of the names, whatever the case of its letters and what is between its words.
fn key<'o>(
    object: &'o serde_json::Map<String, serde_json::Value>,
    names: &[&str],
) -> Option<&'o str> {
    key_that(object, names, |value| !value.is_null())
}

fn key_that<'o>(
    object: &'o serde_json::Map<String, serde_json::Value>,
    names: &[&str],
    is_right: impl Fn(&serde_json::Value) -> bool,
) -> Option<&'o str> {
    let letters = |name: &str| -> String {
        let letters = name.chars().filter(|c| c.is_alphanumeric());
        letters.flat_map(char::to_lowercase).collect()
    };
    names.iter().find_map(|name| {
        let is_named = |key: &&String| letters(key) == letters(name);
        let mut found = object.iter().filter(|(key, value)| is_named(key) && is_right(value));
        found.next().map(|(key, _)| key.as_str())
    })
}

/// A key as a step of a path.
fn step(key: &str) -> String {
    if key.contains(['.', '[', '"']) { format!("\"{key}\"") } else { key.to_owned() }
}

/// Names that are listed for a person.
const NAMED: usize = 40;

fn toml_key(word: &str) -> String {
    format!("\"{}\"", word.escape_default())
}
