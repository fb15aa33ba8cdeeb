//! Histories that programs keep in databases: each row as it comes from a table, and the same in the files of older
//! versions. The tables themselves are read by the engine.

use retort_model::{Conversation, Role};
use serde_json::{Value, json};

use crate::support::{lines, read_files, told};

/// What files or tables hold, which are all of that format and wholly understood.
fn read(format: &str, files: &[(&str, &[Value])]) -> Vec<Conversation<'static>> {
    let read = read_as_it_is(format, files);
    for one in &read {
        assert!(one.not_understood.is_empty(), "{:?}", one.not_understood);
    }
    read
}

fn read_as_it_is(format: &str, files: &[(&str, &[Value])]) -> Vec<Conversation<'static>> {
    let bytes: Vec<_> = files.iter().map(|(path, rows)| (*path, lines(rows))).collect();
    let files: Vec<_> = bytes.iter().map(|(path, bytes)| (*path, bytes.as_slice())).collect();
    let read = read_files(&files);
    assert!(read.formats.iter().all(|one| *one == Some(format)), "{:?}", read.formats);
    assert!(read.refused.is_empty(), "{:?}", read.refused);
    read.conversations
}

fn only(mut all: Vec<Conversation<'static>>) -> Conversation<'static> {
    assert_eq!(all.len(), 1, "{all:#?}");
    all.remove(0)
}

fn goose_message(id: u32, role: &str, content: &Value) -> Value {
    json!({"id": id, "message_id": format!("m{id}"), "session_id": "20260102_1", "role": role,
           "content_json": content.to_string(), "created_timestamp": 1_767_323_045 + id,
           "timestamp": "2026-01-02 03:04:05", "tokens": null,
           "metadata_json": "{\"userVisible\":true,\"agentVisible\":true}"})
}

fn goose_messages() -> Vec<(&'static str, Value)> {
    vec![
        ("user", json!([{"type": "text", "text": "Run the tests."}])),
        (
            "assistant",
            json!([{"type": "thinking", "thinking": "Quickly.", "signature": "s"},
                   {"type": "redactedThinking", "data": "x"},
                   {"type": "text", "text": "I run them."},
                   {"type": "toolRequest", "id": "k1", "toolCall": {"status": "success",
                    "value": {"name": "shell", "arguments": {"command": "make test"}}}}]),
        ),
        (
            "user",
            json!([{"type": "toolResponse", "id": "k1", "toolResult": {"status": "success",
                    "value": {"content": [{"type": "text", "text": "1 failed"}], "isError": true}}}]),
        ),
        (
            "assistant",
            json!([{"type": "toolRequest", "id": "k2", "toolCall": {"status": "success",
                    "value": {"name": "read", "arguments": {}}}},
                   {"type": "actionRequired", "data": {"actionType": "toolConfirmation", "id": "k2"}}]),
        ),
        (
            "user",
            // As older versions write a result, and one that failed.
            json!([{"type": "toolResponse", "id": "k2", "toolResult": {"status": "error", "error": "denied"}}]),
        ),
        ("assistant", json!([{"type": "text", "text": "One fails."}])),
    ]
}

const GOOSE: [&str; 1] =
    ["user=Run the tests. assistant=I run them.<Quickly.>!k1:shell:{\"command\":\"make test\"} \
     tool=1 failed(k1)~failed assistant=!k2:read:{} tool=(k2)~denied assistant=One fails."];

#[test]
fn goose_keeps_sessions_and_messages_in_two_tables() {
    let rows: Vec<_> = (1..)
        .zip(goose_messages())
        .map(|(id, (role, content))| goose_message(id, role, &content))
        .collect();
    let session = json!({"id": "20260102_1", "name": "Tests", "description": "", "session_type": "user",
        "working_dir": "/w", "created_at": "2026-01-02 03:04:05", "updated_at": "2026-01-02 03:05:05",
        "extension_data": "{}", "total_tokens": 12, "provider_name": "anthropic",
        "model_config_json": "{\"model_name\":\"claude-x\",\"context_limit\":null}", "recipe_json": null});
    let unused =
        json!({"id": "20260102_2", "name": "New", "working_dir": "/w", "extension_data": "{}"});
    let read = only(read(
        "goose",
        &[("sessions.db/sessions", &[session, unused]), ("sessions.db/messages", &rows)],
    ));
    assert_eq!(told(&read.rounds), GOOSE);
    assert_eq!(read.id.decoded(), "20260102_1");
    assert_eq!(read.title.as_ref().unwrap().decoded(), "Tests");
    assert_eq!(read.model.as_ref().unwrap().decoded(), "claude-x");
    let errors = read.messages().filter_map(|one| one.error.as_ref());
    let errors: Vec<String> = errors.map(|error| error.decoded().into_owned()).collect();
    assert_eq!(errors, ["failed", "denied"]);
}

#[test]
fn goose_kept_a_file_for_each_session_and_exports_one() {
    let message = |(role, content): (&str, Value)| json!({"role": role, "created": 1_767_323_045, "content": content});
    let messages: Vec<_> = goose_messages().into_iter().map(message).collect();
    let head = json!({"working_dir": "/w", "description": "Tests", "message_count": 6, "total_tokens": 12});
    let file: Vec<_> = [head].into_iter().chain(messages.clone()).collect();
    let of_file = only(read("goose", &[("20250102_030405.jsonl", &file)]));
    let export = json!({"id": "20260102_1", "name": "Tests", "working_dir": "/w",
                        "extension_data": {}, "conversation": messages, "message_count": 6});
    let of_export = only(read("goose", &[("session.json", &[export])]));
    for one in [of_file, of_export] {
        assert_eq!(told(&one.rounds), GOOSE);
        assert_eq!(one.title.unwrap().decoded(), "Tests");
    }
}

#[test]
fn a_call_that_goose_could_not_parse_is_not_understood() {
    let content = json!([{"type": "toolRequest", "id": "k", "toolCall": {"status": "error", "error": "bad JSON"}}]);
    let rows = [
        goose_message(1, "user", &json!([{"type": "text", "text": "q"}])),
        goose_message(2, "assistant", &content),
        goose_message(3, "assistant", &json!([{"type": "hologram", "text": "x"}])),
    ];
    let read = only(read_as_it_is("goose", &[("sessions.db/messages", &rows)]));
    let paths: Vec<_> = read.not_understood.iter().map(|one| &*one.path).collect();
    assert_eq!(paths, ["lines[1].content_json[0]", "lines[2].content_json[0].type=hologram"]);
}

/// The parts of a session by their message, each as its file has it.
fn opencode() -> (Value, Vec<(Value, Vec<Value>)>) {
    let session = json!({"id": "ses_1", "version": "1.0", "projectID": "p", "directory": "/w", "title": "Rain",
                         "time": {"created": 1_767_323_045_000_u64, "updated": 1_767_323_050_000_u64}});
    let user = json!({"id": "msg_1", "sessionID": "ses_1", "role": "user", "time": {"created": 1_767_323_045_000_u64},
                      "agent": "build", "model": {"providerID": "a", "modelID": "m"}, "system": "Be brief."});
    let answer = json!({"id": "msg_2", "sessionID": "ses_1", "role": "assistant", "parentID": "msg_1", "modelID": "m",
                        "providerID": "a", "time": {"created": 1_767_323_046_000_u64}, "finish": "stop",
                        "tokens": {"input": 10, "output": 20, "reasoning": 0, "cache": {"read": 0, "write": 0}}});
    let part = |message: &str, id: &str, rest: &Value| {
        let mut part = json!({"id": id, "sessionID": "ses_1", "messageID": message});
        part.as_object_mut().unwrap().extend(rest.as_object().unwrap().clone());
        part
    };
    let asked = vec![
        part("msg_1", "prt_1", &json!({"type": "text", "text": "Rain in Oslo?"})),
        part("msg_1", "prt_2", &json!({"type": "text", "text": "hidden", "ignored": true})),
        part(
            "msg_1",
            "prt_3",
            &json!({"type": "file", "mime": "image/png", "url": "data:image/png;base64,x"}),
        ),
    ];
    let answered = vec![
        part("msg_2", "prt_4", &json!({"type": "step-start"})),
        part(
            "msg_2",
            "prt_5",
            &json!({"type": "reasoning", "text": "Look.", "time": {"start": 1}}),
        ),
        part(
            "msg_2",
            "prt_6",
            &json!({"type": "tool", "callID": "k1", "tool": "weather", "state": {"status": "completed",
            "input": {"city": "Oslo"}, "output": "rain", "title": "t", "metadata": {}, "time": {"start": 1, "end": 2}}}),
        ),
        part(
            "msg_2",
            "prt_7",
            &json!({"type": "tool", "callID": "k2", "tool": "read", "state": {"status": "error",
            "input": {}, "error": "no such file", "time": {"start": 1, "end": 2}}}),
        ),
        part("msg_2", "prt_8", &json!({"type": "step-finish", "reason": "tool-calls", "cost": 0})),
        part("msg_2", "prt_9", &json!({"type": "text", "text": "Yes."})),
    ];
    (session, vec![(user, asked), (answer, answered)])
}

const OPENCODE: &str = "system=Be brief. user=Rain in Oslo?+image assistant=<Look.>!k1:weather:{\"city\":\"Oslo\"}\
                        !k2:read:{} tool=rain(k1) tool=(k2)~no such file assistant=Yes.";

fn assert_opencode(read: &Conversation<'_>) {
    assert_eq!(told(&read.rounds), [OPENCODE]);
    assert_eq!(read.id.decoded(), "ses_1");
    assert_eq!(read.title.as_ref().unwrap().decoded(), "Rain");
    let round = &read.rounds[0];
    assert_eq!(round.model.as_ref().unwrap().decoded(), "m");
    assert_eq!((round.usage.input_tokens, round.usage.output_tokens), (Some(10), Some(20)));
    let failed = read.messages().find(|one| one.error.is_some()).unwrap();
    assert_eq!(failed.tool_call_id.as_ref().unwrap().decoded(), "k2");
}

#[test]
fn opencode_exports_a_session() {
    let (session, messages) = opencode();
    let messages: Vec<_> =
        messages.iter().map(|(info, parts)| json!({"info": info, "parts": parts})).collect();
    let export = json!({"info": session, "messages": messages});
    assert_opencode(&only(read("opencode", &[("export.json", &[export])])));
}

#[test]
fn what_was_undone_in_opencode_is_beside_the_path() {
    let message = |id: &str, role: &str, fields: Value| {
        let mut info = json!({"id": id, "sessionID": "ses_1", "role": role, "time": {"created": 1_767_323_045_000_u64}});
        info.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        json!({"info": info, "parts": [{"id": format!("prt_{id}"), "sessionID": "ses_1", "messageID": id, "type": "text", "text": id}]})
    };
    let export = |revert: Value, fields: Value| {
        let session = json!({"id": "ses_1", "version": "1.0", "projectID": "p", "time": {"created": 1_767_323_045_000_u64}, "revert": revert});
        let messages = [
            message("q1", "user", json!({})),
            message("a1", "assistant", fields),
            message("q2", "user", json!({})),
            message("a2", "assistant", json!({})),
        ];
        only(read(
            "opencode",
            &[("export.json", &[json!({"info": session, "messages": messages})])],
        ))
    };
    for revert in [json!({"messageID": "q2", "snapshot": "x"}), json!("{\"messageID\":\"q2\"}")] {
        let read = export(revert, json!({}));
        assert_eq!(told(&read.rounds), ["user=q1 assistant=a1", "user=q2 assistant=a2-"]);
        assert_eq!(read.active_path(), [0]);
    }
    // Where no answer says that it ended, that means nothing.
    let ends = |read: &Conversation<'_>| -> Vec<bool> {
        read.messages()
            .filter(|one| one.role == Role::Assistant)
            .map(retort_model::Message::is_cut_off)
            .collect()
    };
    assert_eq!(ends(&export(Value::Null, json!({}))), [false, false]);
    assert_eq!(ends(&export(Value::Null, json!({"finish": "stop"}))), [false, true]);
    let completed = json!({"time": {"created": 1, "completed": 2}});
    assert_eq!(ends(&export(Value::Null, completed)), [false, true]);
}

/// Joins as the engine does: the fragments of a message, then those of its session.
fn joined(texts: &[Value]) -> Conversation<'static> {
    use retort_formats::import::{Entry, Notes, by_name};
    let format = by_name("opencode").unwrap();
    let mut groups: Vec<(String, Vec<(u64, String)>)> = Vec::new();
    let add =
        |groups: &mut Vec<(String, Vec<(u64, String)>)>, key: String, order, text| match groups
            .iter_mut()
            .find(|(one, _)| *one == key)
        {
            Some((_, list)) => list.push((order, text)),
            None => groups.push((key, vec![(order, text)])),
        };
    for text in texts {
        let text = text.to_string();
        let mut fragments = Vec::new();
        format.fragments(&text, Entry::default(), &mut fragments);
        for one in fragments {
            add(&mut groups, one.key, one.order, one.text.into_owned());
        }
    }
    for _ in 0..2 {
        let mut again = Vec::new();
        for (_, mut list) in std::mem::take(&mut groups) {
            list.sort_by_key(|(order, _)| *order);
            let texts: Vec<_> = list.into_iter().map(|(_, text)| text).collect();
            let text = format!("[{}]", texts.join(","));
            let Some(one) = format.regroup(&text) else {
                let read = format.read(&text, &mut Notes::default()).unwrap();
                return read.into_conversation().unwrap().into_owned();
            };
            let own = format.read_all(&text, &mut Notes::default()).unwrap();
            assert!(own.is_empty(), "a message alone is no conversation");
            add(&mut again, one.key, one.order, one.text.into_owned());
        }
        groups = again;
    }
    panic!("the session was never read");
}

#[test]
fn opencode_keeps_parts_and_messages_in_files_of_their_own() {
    let (session, messages) = opencode();
    // Anywhere, in any order.
    let parts = messages.iter().rev().flat_map(|(_, parts)| parts.iter().rev().cloned());
    let infos = messages.iter().rev().map(|(info, _)| info.clone());
    let all: Vec<_> = parts.chain([session]).chain(infos).collect();
    let read = joined(&all);
    assert!(read.not_understood.is_empty(), "{:?}", read.not_understood);
    assert_opencode(&read);
}

#[test]
fn opencode_keeps_them_in_three_tables() {
    let (_, messages) = opencode();
    let row = |value: &Value, names: &[(&str, &str)]| {
        let mut data = value.as_object().unwrap().clone();
        let mut row = serde_json::Map::new();
        for (from, to) in names {
            row.insert((*to).into(), data.remove(*from).unwrap());
        }
        let time = value.pointer("/time/created").cloned().unwrap_or(json!(1_767_323_045_000_u64));
        row.extend([
            ("time_created".into(), time.clone()),
            ("time_updated".into(), time),
            ("data".into(), Value::Object(data).to_string().into()),
        ]);
        Value::Object(row)
    };
    let session = json!({"id": "ses_1", "project_id": "p", "parent_id": null, "slug": "s", "directory": "/w",
                         "title": "Rain", "version": "1.0", "time_created": 1_767_323_045_000_u64,
                         "time_updated": 1_767_323_050_000_u64, "model": "{\"id\":\"m\"}"});
    let mut rows = vec![session];
    for (info, parts) in &messages {
        rows.push(row(info, &[("id", "id"), ("sessionID", "session_id")]));
        let names = [("id", "id"), ("sessionID", "session_id"), ("messageID", "message_id")];
        rows.extend(parts.iter().map(|part| row(part, &names)));
    }
    let read = joined(&rows);
    assert!(read.not_understood.is_empty(), "{:?}", read.not_understood);
    assert_opencode(&read);
}

fn bubble(id: &str, value: &Value) -> Value {
    json!({"key": format!("bubbleId:c1:{id}"), "value": value.to_string()})
}

fn cursor_rows() -> Vec<Value> {
    let chat = json!({"_v": 3, "composerId": "c1", "name": "Rate limits", "createdAt": 1_767_323_045_000_u64,
        "lastUpdatedAt": 1_767_323_050_000_u64, "modelConfig": {"modelName": "m"}, "text": "", "status": "completed",
        "fullConversationHeadersOnly": [{"bubbleId": "b1", "type": 1}, {"bubbleId": "b2", "type": 2},
                                        {"bubbleId": "b3", "type": 2}]});
    vec![
        json!({"key": "checkpointId:c1:x", "value": "{\"files\":[]}"}),
        json!({"key": "bubbleId:c1:gone", "value": null}),
        bubble("b3", &json!({"_v": 3, "type": 2, "bubbleId": "b3", "text": "Done.", "tokenCount": {"inputTokens": 5, "outputTokens": 6}})),
        bubble("b2", &json!({"_v": 3, "type": 2, "bubbleId": "b2", "text": "", "thinking": {"text": "Where?", "signature": ""},
            "createdAt": "2026-01-02T03:04:06Z", "lints": [], "codeBlocks": [],
            "toolFormerData": {"tool": 5, "name": "read_file", "toolCallId": "k1", "status": "completed",
                               "rawArgs": "{\"path\":\"a.rs\"}", "params": "{\"path\":\"/w/a.rs\"}", "result": "{\"contents\":\"fn\"}"}})),
        bubble("b1", &json!({"_v": 3, "type": 1, "bubbleId": "b1", "text": "Add a limit.", "richText": "{\"root\":{}}",
            "createdAt": "2026-01-02T03:04:05Z"})),
        bubble("b0", &json!({"_v": 3, "type": 2, "bubbleId": "b0", "text": "taken back"})),
        chat,
    ]
    .into_iter()
    .map(|row| if row.get("key").is_some() { row } else { json!({"key": "composerData:c1", "value": row.to_string()}) })
    .collect()
}

#[test]
fn cursor_lists_the_bubbles_of_a_chat() {
    let rows = cursor_rows();
    let read = only(read("cursor-chats", &[("state.vscdb/cursorDiskKV", &rows)]));
    assert_eq!(
        told(&read.rounds),
        [
            "user=Add a limit. assistant=<Where?>!k1:read_file:{\"path\":\"a.rs\"} tool={\"contents\":\"fn\"}(k1) assistant=Done."
        ]
    );
    assert_eq!(read.title.as_ref().unwrap().decoded(), "Rate limits");
    assert_eq!(read.model.as_ref().unwrap().decoded(), "m");
    let unlisted = read.metadata.get("unlisted").unwrap().as_str();
    assert!(unlisted.contains("taken back"), "{unlisted}");
    assert!(read.messages().all(|one| !one.words().decoded().contains("taken back")));
}

#[test]
fn a_bubble_that_cursor_lists_and_no_longer_has_is_told() {
    let rows: Vec<_> =
        cursor_rows().into_iter().filter(|row| row["key"] != "bubbleId:c1:b2").collect();
    let read = only(read_as_it_is("cursor-chats", &[("state.vscdb/cursorDiskKV", &rows)]));
    assert_eq!(read.not_understood[0].path, "fullConversationHeadersOnly[1]");
}

#[test]
fn older_versions_of_cursor_hold_the_bubbles_in_the_chat() {
    let chat = json!({"composerId": "c1", "conversation": [{"type": 1, "bubbleId": "a", "text": "q"},
                      {"type": 2, "bubbleId": "b", "text": "a"}], "createdAt": 1_767_323_045_000_u64});
    let row = json!({"key": "composerData:c1", "value": chat.to_string()});
    let read = only(read("cursor-chats", &[("state.vscdb/cursorDiskKV", &[row])]));
    assert_eq!(told(&read.rounds), ["user=q assistant=a"]);
    assert_eq!(read.messages().filter(|one| one.role == Role::User).count(), 1);
}

#[test]
fn messages_that_a_database_keeps_twice_are_read_once() {
    let copies = [
        json!({"id": "c-m", "chat_id": "c", "user_id": "u", "role": "user", "parent_id": null, "content": "q",
               "model_id": null, "status_history": null, "created_at": 1}),
        json!({"id": "evt", "session_id": "ses", "type": "user", "time_created": 1, "time_updated": 1, "data": "{\"text\":\"q\"}"}),
    ];
    for copy in copies {
        let read = read_files(&[("x.db/copies", lines(&[copy]).as_slice())]);
        assert_eq!(read.formats, [None]);
    }
}
