//! From an input's JSON to the rows of a file, through the public doors alone: reader, data format, file format.

use retort_formats::data::{
    Outcome, ShapeContext, ShapeOptions, ToolCache, by_name as data_format_named,
};
use retort_formats::file::{FileOptions, by_name as file_format_named};
use retort_formats::import::{Notes, Sniff, recognise};
use retort_model::{Check, Conversation, Item, Reason, Run};
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
    let mut context =
        ShapeContext { options: &options, flat: false, tools: &mut ToolCache::default() };
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
