//! Conversations as files of their own: `sts`, which the Hub shows, and `markdown`, which people read.

use retort_formats::data::{Branches, FileContent, ShapeOptions};
use retort_formats::import::{Entry, Notes, by_name};
use retort_json::Text;
use retort_model::{Content, Conversation, Item, Role};
use serde_json::{Value, json};

use crate::support::*;

fn agent() -> Value {
    let calls = json!([
        {"id": "k", "type": "function", "function": {"name": "ls", "arguments": "{\"dir\": \".\"}"}},
        {"id": "l", "type": "function", "function": {"name": "pwd", "arguments": "{}"}}]);
    json!({"id": "s-1", "title": "A look\naround", "model": "m", "messages": [
        {"role": "system", "content": "S"},
        {"role": "user", "content": "What is `here`?", "timestamp": 1767225600123_i64},
        {"role": "assistant", "content": "I look.", "reasoning_content": "Hm.", "tool_calls": calls},
        {"role": "tool", "tool_call_id": "k", "content": "```\na.txt"},
        {"role": "tool", "tool_call_id": "l", "content": "/"},
        {"role": "assistant", "content": "One file.", "train": false, "finish_reason": "length"}]})
}

/// As an import names its format.
fn agent_of(source: &'static str) -> Conversation<'static> {
    let read = read(&agent().to_string()).into_owned();
    Conversation { source: source.into(), ..read }
}

/// The path and the text of the only file of the only record.
fn file(shaped: &Shaped) -> (&str, &str) {
    let [record] = &*shaped.outcome.records else { panic!("{} records", shaped.rows.len()) };
    let [file] = &*record.files else { panic!("{} files", record.files.len()) };
    let FileContent::Bytes(content) = &file.content else { panic!("no text") };
    (&file.path, std::str::from_utf8(content).unwrap())
}

/// The session of a file, as an import reads it.
fn session(text: &str) -> Conversation<'static> {
    let sts = by_name("sts").unwrap();
    let mut fragments = Vec::new();
    for line in text.lines() {
        sts.fragments(line, Entry { path: "sessions/s-1.jsonl" }, &mut fragments);
    }
    let lines: Vec<_> = fragments.iter().map(|one| &*one.text).collect();
    let list = format!("[{}]", lines.join(","));
    match sts.read(&list, &mut Notes::default()).unwrap() {
        Item::Conversation(conversation) => conversation.into_owned(),
        other => panic!("a {}", other.kind()),
    }
}

#[test]
fn a_session_is_a_line_about_it_and_a_line_for_each_message() {
    let shaped = shape_conversation(&agent_of("openai"), "sts", ShapeOptions::default());
    assert_eq!(shaped.findings(), "");
    let (path, text) = file(&shaped);
    assert_eq!(path, "sessions/s-1.jsonl");
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    assert_eq!(
        lines[0],
        json!({"type": "session", "harness": "openai", "id": "s-1", "name": "A look\naround"})
    );
    assert!(lines[1..].iter().all(|line| line["type"] == "message"));
    assert_eq!(
        lines[2]["message"],
        json!({"role": "user", "content": "What is `here`?", "timestamp": 1767225600123_i64})
    );
    assert_eq!(
        lines[3]["message"],
        json!({"role": "assistant", "content": "I look.", "reasoningContent": "Hm.", "model": "m", "toolCalls": [
            {"id": "k", "type": "function", "function": {"name": "ls", "arguments": "{\"dir\": \".\"}"}},
            {"id": "l", "type": "function", "function": {"name": "pwd", "arguments": "{}"}}]})
    );
    assert_eq!(
        lines[4]["message"],
        json!({"role": "tool", "content": "```\na.txt", "toolCallId": "k"})
    );
    assert_eq!(shaped.rows[0]["file"], "sessions/s-1.jsonl");
    assert_eq!(shaped.rows[0]["messages"], 6);
}

#[test]
fn a_session_that_was_written_is_read_as_it_was() {
    let input = agent().to_string();
    let before = read(&input);
    let shaped = shape_conversation(&before, "sts", ShapeOptions::default());
    let after = session(file(&shaped).1);
    assert!(after.not_understood.is_empty(), "{:?}", after.not_understood);
    assert_eq!((&after.id, &after.title), (&before.id, &before.title));
    let own = |text: &Text<'_>| text.decoded().into_owned();
    let said = |conversation: &Conversation<'_>| -> Vec<_> {
        conversation
            .messages()
            .map(|one| {
                let calls: Vec<_> = one
                    .tool_calls
                    .iter()
                    .map(|call| [&call.id, &call.name, &call.arguments].map(own))
                    .collect();
                (
                    one.role,
                    own(&one.words()),
                    one.reasoning.as_ref().map(own),
                    calls,
                    one.tool_call_id.as_ref().map(own),
                    one.created_at,
                    one.train,
                    one.is_cut_off(),
                )
            })
            .collect()
    };
    assert_eq!(said(&after), said(&before));
    assert_eq!(
        after.model_of(after.active_path().into_iter()),
        before.model_of(before.active_path().into_iter())
    );
}

#[test]
fn the_keys_of_an_answer_differ_from_those_of_a_question_however_plain_both_are() {
    // By this `datasets` knows a file as a session.
    let plain = json!({"id": "p", "messages": [say("user", "q"), say("assistant", "a")]});
    let shaped = shape(&plain, "sts", ShapeOptions::default());
    let lines: Vec<Value> =
        file(&shaped).1.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let keys = |at: usize| lines[at]["message"].as_object().unwrap().keys().count();
    assert!(keys(2) > keys(1));
}

#[test]
fn what_a_session_cannot_hold_is_told_and_nothing_unknown_is_written() {
    let picture = json!([{"type": "text", "text": "what?"}, {"type": "image_url", "image_url": {"url": "https://x/a.png"}}]);
    let seen = json!({"id": "i", "messages": [say("user", picture), say("assistant", "a cat")]});
    assert_eq!(
        shape(&seen, "sts", ShapeOptions::default()).findings(),
        "warns:attachment-left-behind"
    );
    let unknown = json!({"id": "u", "messages": [say("user", json!([{"type": "hologram", "text": "?"}])), say("assistant", "a")]});
    assert_eq!(
        shape(&unknown, "sts", ShapeOptions::default()).findings(),
        "left-out:not-understood"
    );
    let shaped = shape(&unknown, "markdown", ShapeOptions::default());
    assert!(file(&shaped).1.contains("## Not understood\n\n`messages[0].content[0]"));
}

#[test]
fn each_branch_is_a_file_of_its_own() {
    let node = |id: &str, parent: Option<&str>, role: &str, text: &str, children: &[&str]| {
        json!({"id": id, "parent": parent, "children": children,
            "message": {"id": id, "author": {"role": role}, "content": {"content_type": "text", "parts": [text]}}})
    };
    let tree = json!({"conversation_id": "t", "title": "T", "create_time": 1.0, "current_node": "c", "mapping": {
        "r": {"id": "r", "parent": null, "children": ["a"], "message": null},
        "a": node("a", Some("r"), "user", "q", &["b", "c"]),
        "b": node("b", Some("a"), "assistant", "one", &[]),
        "c": node("c", Some("a"), "assistant", "two", &[])}});
    let options = ShapeOptions { branches: Branches::All, ..ShapeOptions::default() };
    for format in ["sts", "markdown"] {
        let shaped = shape(&tree, format, options.clone());
        let files = shaped.outcome.records.iter().flat_map(|record| &record.files);
        let paths: std::collections::BTreeSet<_> = files.map(|file| file.path.clone()).collect();
        assert_eq!(paths.len(), 2, "{paths:?}");
        let shown = shape(&tree, format, ShapeOptions::default());
        assert_eq!(shown.findings(), "warns:other-branches");
    }
}

#[test]
fn markdown_shows_everything_that_was_said() {
    let shaped = shape_conversation(&agent_of("openai"), "markdown", ShapeOptions::default());
    assert_eq!(shaped.findings(), "");
    let (path, text) = file(&shaped);
    assert_eq!(path, "markdown/s-1.md");
    let expected = "# A look around

- id: s-1
- source: openai
- model: m

## System

S

## User

*2026-01-01T00:00:00.123Z*

What is `here`?

## Assistant

<details><summary>Reasoning</summary>

Hm.

</details>

I look.

**Call of `ls`**

```json
{\"dir\": \".\"}
```

**Call of `pwd`**

```json
{}
```

## Tool result

````
```
a.txt
````

## Tool result

```
/
```

## Assistant

One file.

*Cut off: length*
";
    assert_eq!(text, expected);
    let read = read(&agent().to_string()).into_owned();
    for message in read.messages().filter(|one| one.role != Role::Tool) {
        if let Some(Content::Text(said)) = &message.content {
            assert!(text.contains(&*said.decoded()));
        }
    }
}
