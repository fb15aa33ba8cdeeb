//! The history data format: what UIUC.chat said of a conversation comes out as it came in.

use crate::support::*;
use retort_formats::data::ShapeOptions;
use retort_formats::import::Notes;
use serde_json::{Value, json};

fn context(number: usize) -> Value {
    json!({"id": number, "text": format!("passage {number}"), "readable_filename": "a.pdf", "course_name ": "c", "s3_path": "", "pagenumber": "1", "url": "", "base_url": "http://x"})
}

fn convo(messages: Value) -> Value {
    json!({"folderId": null, "id": "u-1", "messages": messages, "model": {"id": "gpt-4", "name": "GPT-4", "tokenLimit": 8192},
        "name": "How?", "prompt": "You are kind.", "temperature": 0.4, "user_email": "kim@example.org"})
}

fn row(convo: Value) -> Value {
    json!({"convo": convo, "convo_id": "u-1", "course_name": "c", "created_at": "2023-08-14T16:35:40.508062-07:00", "id": 3476, "user_email": "kim@example.org"})
}

/// The row comes out with the same values under the same keys.
fn check(input: &Value) {
    let shaped = shape(input, "history", ShapeOptions::default());
    assert_eq!(shaped.rows, std::slice::from_ref(input));
    assert_eq!(
        shaped.keys(),
        ["convo", "convo_id", "course_name", "created_at", "id", "user_email"]
    );
}

fn user(content: &str) -> Value {
    json!({"content": content, "contexts": [], "role": "user"})
}

fn assistant(content: &str, contexts: usize) -> Value {
    json!({"content": content, "contexts": (0..contexts).map(context).collect::<Value>(), "role": "assistant"})
}

#[test]
fn a_row_of_the_documented_shape_comes_out_as_it_came_in() {
    check(&row(convo(json!([user("q"), assistant("a", 2)]))));
    check(&row(convo(json!([user("q"), assistant("a", 1), user("r"), assistant("b", 80)]))));
}

#[test]
fn what_was_not_understood_is_told_in_the_row_and_read_back() {
    for item in [
        json!({"id": "x", "messages": [{"role": "user", "content": "q"}, {"role": "narrator", "content": "Meanwhile …"}, {"role": "assistant", "content": "a"}]}),
        json!({"id": "x", "messages": [{"role": "user", "content": [{"type": "act", "id": "k"}]}, {"role": "assistant", "content": "a"}]}),
        json!({"id": "x", "answer": "No idea.", "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}),
        row({
            let mut inner = convo(json!([user("q"), assistant("a", 0)]));
            inner["messages"][1]["calls"] = json!([{"name": "f", "arguments": "{}"}]);
            inner
        }),
    ] {
        let text = item.to_string();
        let conversation = read(&text);
        let told = &conversation.not_understood;
        assert_eq!(told.len(), 1, "{text}");
        let shaped = shape_conversation(&conversation, "history", ShapeOptions::default());
        let listed = &shaped.rows[0]["convo"]["not_understood"];
        assert_eq!(listed[0]["path"], told[0].path, "{listed}");
        let back = shaped.rows[0].to_string();
        let back = read(&back);
        assert_eq!(back.not_understood[0].path, told[0].path);
        let rows = shape_conversation(&back, "openai", ShapeOptions::default());
        assert_eq!(rows.findings(), "left-out:not-understood");
    }
}

#[test]
fn newer_fields_of_messages_come_out_too() {
    let question = json!({"id": "m1", "role": "user", "contexts": [], "content": [{"type": "text", "text": "look"}, {"type": "image_url", "image_url": {"url": "x"}}],
        "latestSystemMessage": "S", "wasQueryRewritten": false,
        "tools": [{"id": "w", "name": "weather", "readableName": "Weather", "description": "d", "aiGeneratedArgumentValues": {"city": "Oslo"}, "output": {"text": "rain"}}]});
    let answer = json!({"id": "m2", "role": "assistant", "contexts": [context(1)], "content": [{"type": "text", "text": "a"}], "responseTimeSec": 3,
        "feedback": {"isPositive": true, "category": "good", "details": "thanks"}});
    check(&row(convo(json!([question, answer]))));
}

#[test]
fn times_of_the_convo_itself_come_out_too() {
    let mut inner = convo(json!([user("q"), assistant("a", 0)]));
    inner["createdAt"] = json!("2023-08-14T23:00:00Z");
    inner["updatedAt"] = json!("2023-08-15T23:00:00Z");
    check(&row(inner));
}

#[test]
fn a_feedback_without_category_stays_one() {
    let mut answer = assistant("a", 0);
    answer["feedback"] = json!({"isPositive": false, "category": null, "details": null});
    check(&row(convo(json!([user("q"), answer]))));
}

#[test]
fn without_an_email_it_is_null() {
    let mut inner = convo(json!([user("q"), assistant("a", 0)]));
    inner["user_email"] = Value::Null;
    let mut input = row(inner);
    input["user_email"] = Value::Null;
    check(&input);
}

#[test]
fn a_row_says_the_same_whatever_the_order_of_its_keys() {
    let inner = convo(json!([user("q"), assistant("a", 1)]));
    let text = format!(
        r#"{{"user_email": null, "id": 7, "created_at": "2024-01-01T00:00:00Z", "course_name": "c", "convo_id": "u-1", "convo": {inner}}}"#
    );
    let shaped = shape_conversation(&read(&text), "history", ShapeOptions::default());
    assert_eq!(shaped.rows, [serde_json::from_str::<Value>(&text).unwrap()]);
}

#[test]
fn a_convo_kept_as_json_text_is_read() {
    let whole = row(convo(json!([user("q"), assistant("a", 1)])));
    let mut as_text = whole.clone();
    as_text["convo"] = json!(whole["convo"].to_string());
    assert_eq!(shape(&as_text, "history", ShapeOptions::default()).rows, [whole]);
}

#[test]
fn a_convo_whose_json_text_goes_on_behind_its_end_is_refused() {
    let item = r#"{"convo": "{\"id\":\"u\",\"messages\":[],\"prompt\":\"\"} and more", "convo_id": "u", "course_name": "c"}"#;
    let reader = retort_formats::import::by_name("uiuc-chat").unwrap();
    assert!(reader.read(item, &mut Notes::default()).is_err());
}

#[test]
fn contexts_are_at_most_eighty_and_the_cut_is_counted() {
    let shaped = shape(
        &row(convo(json!([user("q"), assistant("a", 81)]))),
        "history",
        ShapeOptions::default(),
    );
    let contexts = shaped.rows[0]["convo"]["messages"][1]["contexts"].as_array().unwrap();
    assert_eq!(contexts.len(), 80);
    assert_eq!(contexts[79], context(79));
    assert_eq!(shaped.findings(), "warns:cut-contexts");
    let fewer = ShapeOptions { max_contexts: 3, ..ShapeOptions::default() };
    let shaped = shape(&row(convo(json!([user("q"), assistant("a", 4)]))), "history", fewer);
    assert_eq!(shaped.rows[0]["convo"]["messages"][1]["contexts"].as_array().unwrap().len(), 3);
}

#[test]
fn contexts_of_a_question_are_given_to_its_answer() {
    let mut asks = user("q");
    asks["contexts"] = json!([context(1)]);
    let shaped =
        shape(&row(convo(json!([asks, assistant("a", 0)]))), "history", ShapeOptions::default());
    assert_eq!(shaped.rows, [row(convo(json!([user("q"), assistant_with(&[1])])))]);
}

fn assistant_with(numbers: &[usize]) -> Value {
    json!({"content": "a", "contexts": numbers.iter().map(|&n| context(n)).collect::<Value>(), "role": "assistant"})
}

#[test]
fn other_histories_take_the_shape() {
    let input = json!({"id": "x", "title": "T", "model": "m", "created_at": "2024-01-01", "user_email": "a@b.c",
        "messages": [say("system", "S"), say("user", "q"), say("assistant", "a")]});
    let mut rows = shape(&input, "history", ShapeOptions::default()).rows;
    let number = rows[0]["id"].as_u64().unwrap();
    assert!(number < 1 << 53, "{number}");
    rows[0]["id"] = json!(1);
    assert_eq!(
        rows,
        [
            json!({"convo": {"folderId": null, "id": "x", "messages": [user("q"), assistant("a", 0)], "model": {"id": "m", "name": "m"}, "name": "T",
            "prompt": "S", "temperature": null, "user_email": "a@b.c"},
            "convo_id": "x", "course_name": null, "created_at": "2024-01-01T00:00:00Z", "id": 1, "user_email": "a@b.c"})
        ]
    );
}

#[test]
fn a_conversation_without_messages_is_left_out() {
    assert_eq!(
        shape(&json!({"id": "x", "rounds": []}), "history", ShapeOptions::default()).findings(),
        "left-out:no-messages"
    );
}

#[test]
fn a_moment_before_the_year_nought_does_not_end_the_export() {
    let input = json!({"id": "x", "created_at": -99_999_999_999_i64, "messages": [say("user", "q"), say("assistant", "a")]});
    assert_eq!(shape(&input, "history", ShapeOptions::default()).rows.len(), 1);
}

#[test]
fn the_number_of_a_row_is_the_same_in_every_export() {
    let number = |id: &str| {
        let input = json!({"id": id, "messages": [say("user", "q"), say("assistant", "a")]});
        shape(&input, "history", ShapeOptions::default()).rows[0]["id"].clone()
    };
    assert_eq!(number("x"), number("x"));
    assert_ne!(number("x"), number("y"));
}

/// Report history-name-twice.
#[test]
fn no_key_stands_twice() {
    let input = r#"{"id":"t","title":"My title","name":"of the trace","temperature":0.5,"tags":["t"],
        "messages":[{"role":"user","content":"q"},
            {"role":"assistant","content":"a","name":"bob","contexts":"none","created_at":"2024-01-01","timestamp":7}]}"#;
    let shaped = shape_conversation(&read(input), "history", ShapeOptions::default());
    assert_no_key_twice(&shaped.text);
    let convo = &shaped.rows[0]["convo"];
    assert_eq!(
        (&convo["name"], &convo["source_name"]),
        (&json!("My title"), &json!("of the trace"))
    );
    assert_eq!(convo["messages"][1]["name"], "bob");
}

/// Panics where an object of the JSON text has a key twice.
fn assert_no_key_twice(text: &str) {
    fn look(value: &retort_json::Value<'_>) {
        use retort_json::Value;
        match value {
            Value::Object(fields) => {
                let keys: std::collections::HashSet<_> =
                    fields.iter().map(|(key, _)| key).collect();
                assert_eq!(keys.len(), fields.len(), "{}", value.to_json());
                fields.iter().for_each(|(_, value)| look(value));
            }
            Value::Array(items) => items.iter().for_each(look),
            _ => {}
        }
    }
    text.lines().for_each(|line| look(&retort_json::Value::parse(line).unwrap()));
}

#[test]
fn what_other_histories_say_stands_in_the_row() {
    let tool = tool("f", "d");
    let line = json!({"retort": 1, "id": "x", "source": "s", "kind": "agent", "status": "active", "tags": ["t1"], "label": "preferred",
        "rounds": [{"number": 1, "tools": [tool], "messages": [
            {"role": "user", "content": "q", "name": "ann"},
            {"role": "assistant", "content": "let me see", "reasoning": "hm", "tool_calls": [{"id": "k", "name": "f", "arguments": "{}"}]},
            {"role": "tool", "tool_call_id": "k", "content": "", "error": "disk full"},
            {"role": "assistant", "content": "a", "finish_reason": "stop", "train": true, "label": "rejected"}]},
            {"number": 2, "tools": [tool], "messages": []}],
        "tasks": [{"id": "t-1", "agent": "helper", "tool_call_id": "k", "rounds": [{"number": 1, "messages": [say("user", "sub")]}]}]});
    let shaped = shape(&line, "history", ShapeOptions::default());
    assert_no_key_twice(&shaped.text);
    assert_matches(
        &shaped.rows[0]["convo"],
        &json!({"tools": [tool], "tags": ["t1"], "label": "preferred",
            "tasks": [{"id": "t-1", "agent": "helper", "tool_call_id": "k", "messages": [{"role": "user", "content": "sub"}]}],
            "messages": [
                {"name": "ann"},
                {"content": "let me see", "reasoning": "hm", "tool_calls": [{"function": {"name": "f"}}]},
                {"content": "", "error": "disk full"},
                {"finish_reason": "stop", "train": true, "label": "rejected"}]}),
        "convo",
    );
    assert_eq!(shaped.findings(), "");
}
