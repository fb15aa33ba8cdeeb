//! From an input's JSON to the rows of a file, through the public doors alone: reader, data format, file format.

use retort_formats::data::{
    Outcome, ShapeContext, ShapeOptions, ToolCache, by_name as data_format_named,
};
use retort_formats::file::{FileOptions, by_name as file_format_named};
use retort_formats::import::split::{Batch, Splitter};
use retort_formats::import::{Entry, Fragment, ImportFormat, Notes, Sniff, Spread, recognise};
use retort_model::{Check, Conversation, Item, Message, Reason, Round, Run};
use serde_json::{Value, json};

pub struct Shaped {
    /// The file.
    pub text: String,
    pub rows: Vec<Value>,
    pub outcome: Outcome,
}

pub fn checked(check: Check) -> ShapeOptions {
    ShapeOptions { check, ..ShapeOptions::default() }
}

/// The default options, but with gaps filled.
pub fn filled() -> ShapeOptions {
    ShapeOptions { fill: true, ..ShapeOptions::default() }
}

pub fn read_item(item: &str) -> Item<'_> {
    let sniff = Sniff::of(item);
    sniff.check().expect("an input is JSON");
    let format = recognise(&sniff).unwrap_or_else(|| panic!("no format knows {item}"));
    format
        .read(item, &mut Notes::default())
        .unwrap_or_else(|error| panic!("{error} at byte {} of {item}", error.at))
}

pub fn read(item: &str) -> Conversation<'_> {
    read_item(item).into_conversation().expect("a conversation")
}

pub fn read_run(item: &str) -> Run<'_> {
    match read_item(item) {
        Item::Run(run) => run,
        other => panic!("a {}, not a run: {item}", other.kind()),
    }
}

pub fn shape(input: &Value, data_format: &str, options: ShapeOptions) -> Shaped {
    shape_conversation(&read(&input.to_string()), data_format, options)
}

pub fn shape_conversation(
    conversation: &Conversation<'_>,
    data_format: &str,
    options: ShapeOptions,
) -> Shaped {
    shape_item(&conversation.clone().into(), data_format, options)
}

pub fn shape_item(item: &Item<'_>, data_format: &str, options: ShapeOptions) -> Shaped {
    let data_format = data_format_named(data_format).expect("a data format");
    let jsonl = file_format_named("jsonl").expect("JSON Lines");
    let schema = data_format.schema(&options, false);
    let mut rows = jsonl.rows(&schema, FileOptions::default());
    let mut context = ShapeContext {
        options: &options,
        flat: false,
        output: None,
        given: None,
        tools: &mut ToolCache::default(),
    };
    let outcome = data_format.shape(item, &mut context, &mut *rows);
    assert_eq!(rows.count(), outcome.records.len(), "every row is told of");
    let mut bytes = Vec::new();
    let mut writer = jsonl.writer(&schema, FileOptions::default()).expect("a writer");
    writer
        .write(jsonl.encode(vec![rows], FileOptions::default()).expect("a chunk"), &mut bytes)
        .expect("a file");
    writer.finish(&mut bytes).expect("an end");
    let text = String::from_utf8(bytes).expect("UTF-8");
    let rows =
        text.lines().map(|line| serde_json::from_str(line).expect("a row of JSON")).collect();
    Shaped { text, rows, outcome }
}

impl Shaped {
    /// What was found, in words: `repaired:…`, `needs:…` (check off), `unfit:…`, `warns:…`, `left-out:…`.
    pub fn findings(&self) -> String {
        let mut words: Vec<String> = Vec::new();
        for record in &self.outcome.records {
            words.extend(record.repairs.iter().map(|one| format!("repaired:{}", one.kind)));
            words.extend(record.unrepaired.iter().map(|one| format!("needs:{}", one.kind)));
            words.extend(record.unfit.iter().map(|one: &Reason| format!("unfit:{one}")));
            words.extend(record.warnings.iter().map(|one| format!("warns:{}", one.kind)));
        }
        words
            .extend(self.outcome.left_out.iter().map(|one| format!("left-out:{}", one.why.reason)));
        words.join(" ")
    }

    /// The keys of the first row, in their order.
    pub fn keys(&self) -> Vec<String> {
        let line = self.text.lines().next().unwrap_or("{}");
        let retort_json::Value::Object(fields) = retort_json::Value::parse(line).expect("a row")
        else {
            panic!("a row that is no object");
        };
        fields.into_iter().map(|(key, _)| key.into_owned()).collect()
    }
}

/// Whether `found` is as `expect` says, as far as it says: of objects only the keys it names are compared.
/// Where it has a list or an object and a text is found, the text's JSON is compared.
pub fn assert_matches(found: &Value, expect: &Value, place: &str) {
    match (found, expect) {
        (Value::Object(found), Value::Object(expect)) => {
            for (key, value) in expect {
                assert_matches(
                    found.get(key).unwrap_or(&Value::Null),
                    value,
                    &format!("{place}.{key}"),
                );
            }
        }
        (Value::Array(found), Value::Array(expect)) => {
            let (have, want) = (json!(found), json!(expect));
            assert_eq!(found.len(), expect.len(), "{place}: found {have}, expected {want}");
            for (index, (found, expect)) in found.iter().zip(expect).enumerate() {
                assert_matches(found, expect, &format!("{place}[{index}]"));
            }
        }
        (Value::String(text), Value::Array(_) | Value::Object(_)) => {
            let inner = serde_json::from_str(text)
                .unwrap_or_else(|_| panic!("{place}: no JSON text: {text}"));
            assert_matches(&inner, expect, place);
        }
        _ => assert_eq!(found, expect, "{place}"),
    }
}

pub fn say(role: &str, content: impl Into<Value>) -> Value {
    json!({"role": role, "content": content.into()})
}

/// An assistant's message with calls, each `(id, name, arguments)`.
pub fn call(calls: &[(&str, &str, &str)]) -> Value {
    let calls: Vec<_> = calls
        .iter()
        .map(|(id, name, arguments)| json!({"id": id, "type": "function", "function": {"name": name, "arguments": arguments}}))
        .collect();
    json!({"role": "assistant", "content": "", "tool_calls": calls})
}

pub fn result(id: &str, content: &str) -> Value {
    json!({"role": "tool", "tool_call_id": id, "content": content})
}

pub fn tool(name: &str, description: &str) -> Value {
    json!({"type": "function", "function": {"name": name, "description": description, "parameters": {"type": "object", "properties": {}}}})
}

/// An agent's conversation of one round, as mcp-agent-graph keeps it.
pub fn agent(messages: &[Value]) -> Value {
    agent_rounds(json!([{"round": 1, "messages": messages}]))
}

pub fn agent_rounds(rounds: Value) -> Value {
    json!({"_id": "c-1", "type": "agent", "rounds": rounds})
}

pub fn graph(rounds: Value) -> Value {
    json!({"_id": "g-1", "type": "graph", "tags": ["Agent graph"], "rounds": rounds})
}

/// JSON Lines.
pub fn lines(values: &[Value]) -> Vec<u8> {
    values.iter().map(|value| format!("{value}\n")).collect::<String>().into_bytes()
}

/// What became of files.
#[derive(Default)]
pub struct Gathered {
    pub conversations: Vec<Conversation<'static>>,
    /// The format of each file.
    pub formats: Vec<Option<&'static str>>,
    pub refused: Vec<String>,
}

/// Reads files as the engine does: each is of the format of its first item that one knows, and fragments with one key
/// are joined.
pub fn read_files(files: &[(&str, &[u8])]) -> Gathered {
    let mut gathered = Gathered::default();
    let mut seen = std::collections::HashSet::new();
    type Joined = (&'static dyn ImportFormat, Option<String>, Vec<(u64, String)>);
    let mut texts: Vec<Joined> = Vec::new();
    for (path, bytes) in files {
        let entry = Entry { path };
        let mut splitter = Splitter::new(*bytes);
        let mut format = None;
        while let Ok(Some(batch)) = splitter.next(Batch::default()) {
            for span in &batch.items {
                let Ok(text) = std::str::from_utf8(batch.item(span)) else {
                    gathered.refused.push(format!("{path}: not UTF-8"));
                    continue;
                };
                let sniff = Sniff::found(text, entry);
                if format.is_none() && sniff.check().is_ok() {
                    format = recognise(&sniff);
                }
                let Some(format) = format else {
                    gathered.refused.push(format!("{path}: no format knows {text:.60}"));
                    continue;
                };
                let mut fragments = Vec::new();
                if format.spread() != Spread::No {
                    format.fragments(text, entry, &mut fragments);
                }
                if fragments.is_empty() {
                    texts.push((format, None, vec![(0, text.to_owned())]));
                }
                for Fragment { key, order, text } in fragments {
                    let is_again = format.identity(&text).is_some_and(|id| !seen.insert(id));
                    let text = if is_again { format.repeated(&text).into() } else { text };
                    let key = Some(key);
                    let same = texts
                        .iter_mut()
                        .find(|(one, other, _)| one.name() == format.name() && *other == key);
                    match same {
                        Some((.., texts)) => texts.push((order, text.into_owned())),
                        None => texts.push((format, key, vec![(order, text.into_owned())])),
                    }
                }
            }
        }
        gathered.formats.push(format.map(ImportFormat::name));
    }
    for (format, key, mut texts) in texts {
        texts.sort_by_key(|(order, _)| *order);
        let texts: Vec<_> = texts.into_iter().map(|(_, text)| text).collect();
        let text = if key.is_some() { format!("[{}]", texts.join(",")) } else { texts.concat() };
        match format.read_all(&text, &mut Notes::default()) {
            Ok(items) => gathered.conversations.extend(
                items.into_iter().filter_map(|item| Some(item.into_conversation()?.into_owned())),
            ),
            Err(error) => gathered.refused.push(error.to_string()),
        }
    }
    gathered
}

/// The messages of rounds in short: a line for each round.
pub fn told(rounds: &[Round<'_>]) -> Vec<String> {
    rounds
        .iter()
        .map(|round| round.messages.iter().map(told_message).collect::<Vec<_>>().join(" "))
        .collect()
}

/// A message as `role=text`, with `<reasoning>`, `+attachment` and `!id:name:arguments` of its calls.
pub fn spoken(message: &Message<'_>) -> String {
    let mut spoken = format!("{}={}", message.role, message.words().decoded());
    if let Some(text) = &message.reasoning {
        spoken.push_str(&format!("<{}>", text.decoded()));
    }
    for part in message.attachments() {
        spoken.push_str(&format!("+{}", part.kind));
    }
    for call in &message.tool_calls {
        let texts = [&call.id, &call.name, &call.arguments].map(|text| text.decoded().into_owned());
        spoken.push_str(&format!("!{}", texts.join(":")));
    }
    spoken
}

fn told_message(message: &Message<'_>) -> String {
    let mut told = spoken(message);
    if let Some(id) = &message.tool_call_id {
        told.push_str(&format!("({})", id.decoded()));
    }
    if let Some(error) = &message.error {
        told.push_str(&format!("~{}", error.decoded()));
    }
    if message.train == Some(false) {
        told.push('-');
    }
    told
}
