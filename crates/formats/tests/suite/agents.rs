//! Sessions and trajectories of agents, beyond Claude Code's.

use std::collections::BTreeMap;
use std::io::{Cursor, Read};

use retort_model::{Conversation, Message, Role};
use retort_testing::{files_below, real_data};
use serde_json::{Value, json};

use crate::support::{lines, read_files, told};

/// What one file holds, which is of that format and wholly understood.
fn read_as(format: &str, path: &str, bytes: &[u8]) -> Vec<Conversation<'static>> {
    let read = read_files(&[(path, bytes)]);
    assert_eq!(read.formats, [Some(format)]);
    assert!(read.refused.is_empty(), "{:?}", read.refused);
    for one in &read.conversations {
        assert!(one.not_understood.is_empty(), "{:?}", one.not_understood);
    }
    read.conversations
}

fn one(format: &str, item: &Value) -> Conversation<'static> {
    let mut all = read_as(format, "one.json", item.to_string().as_bytes());
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn session(format: &str, of: &[Value]) -> Conversation<'static> {
    let mut all = read_as(format, "one.jsonl", &lines(of));
    assert_eq!(all.len(), 1);
    all.remove(0)
}

#[test]
#[ignore = "prints what is read of the agents' fixtures, for people"]
fn survey() {
    let Some(root) = real_data() else { return };
    for folder in std::env::var("FOLDERS").unwrap().split(' ') {
        for path in files_below(&root.join(folder)) {
            let bytes = std::fs::read(&path).unwrap();
            let name = path.strip_prefix(&root).unwrap().display().to_string();
            for (name, bytes) in unpacked(&name, bytes) {
                let read = read_files(&[(&name, &bytes)]);
                println!(
                    "{name}: {:?} {} refused {:.300?}",
                    read.formats,
                    read.conversations.len(),
                    read.refused
                );
                for one in read.conversations.iter().take(2) {
                    let mut roles: BTreeMap<&str, usize> = BTreeMap::new();
                    one.messages()
                        .for_each(|message| *roles.entry(message.role.as_str()).or_default() += 1);
                    let calls: usize = one.messages().map(|message| message.tool_calls.len()).sum();
                    println!(
                        "    {} {roles:?} calls {calls} rounds {} on path {} tasks {} tools {}",
                        one.id.decoded(),
                        one.rounds.len(),
                        one.active_path().len(),
                        one.tasks.len(),
                        one.rounds.first().map_or(0, |r| r.tools.len())
                    );
                    for what in one.not_understood.iter().take(4) {
                        println!("    ? {} {:.150}", what.path, what.raw.as_str());
                    }
                }
            }
        }
    }
}

/// A file, or the entries of an `.eval` archive.
fn unpacked(name: &str, bytes: Vec<u8>) -> Vec<(String, Vec<u8>)> {
    if !name.ends_with(".eval") {
        return vec![(name.to_owned(), bytes)];
    }
    let mut archive = zip::ZipArchive::new(Cursor::new(bytes)).unwrap();
    (0..archive.len())
        .map(|at| {
            let mut entry = archive.by_index(at).unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (format!("{name}/{}", entry.name().unwrap()), bytes)
        })
        .collect()
}

#[test]
fn a_codex_session_joins_the_items_of_an_answer() {
    let item = |second: u32, payload: Value| json!({"timestamp": format!("2026-05-13T06:03:{second:02}Z"), "type": "response_item", "payload": payload});
    let event = |payload: Value| json!({"timestamp": "2026-05-13T06:03:09Z", "type": "event_msg", "payload": payload});
    let total = |input: u32, output: u32| {
        event(
            json!({"type": "token_count", "info": {"total_token_usage": {"input_tokens": input, "output_tokens": output}}}),
        )
    };
    let read = session(
        "codex",
        &[
            json!({"timestamp": "2026-05-13T06:03:05Z", "type": "session_meta", "payload": {"id": "s", "timestamp": "2026-05-13T06:03:05Z",
            "cwd": "/w", "base_instructions": {"text": "You are Codex."}}}),
            json!({"timestamp": "2026-05-13T06:03:05Z", "type": "turn_context", "payload": {"cwd": "/w", "model": "gpt-x"}}),
            item(
                6,
                json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "list"}]}),
            ),
            event(json!({"type": "user_message", "message": "list"})),
            item(
                7,
                json!({"type": "reasoning", "summary": [{"type": "summary_text", "text": "Hm."}], "content": null, "encrypted_content": "e"}),
            ),
            item(
                7,
                json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "I look."}], "phase": "commentary"}),
            ),
            item(
                8,
                json!({"type": "function_call", "name": "exec", "arguments": "{\"cmd\":\"ls\"}", "call_id": "k1"}),
            ),
            item(
                8,
                json!({"type": "custom_tool_call", "name": "apply_patch", "input": "*** Begin", "call_id": "k2", "status": "completed"}),
            ),
            item(9, json!({"type": "function_call_output", "call_id": "k1", "output": "a.txt"})),
            item(9, json!({"type": "custom_tool_call_output", "call_id": "k2", "output": "done"})),
            total(100, 10),
            total(100, 10),
            item(
                10,
                json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Done."}]}),
            ),
            total(250, 15),
            json!({"timestamp": "2026-05-13T06:04:00Z", "type": "compacted", "payload": {"message": "So far: …", "replacement_history": [{"type": "message"}]}}),
            item(
                30,
                json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "On."}]}),
            ),
        ],
    );
    assert_eq!(
        told(&read.rounds),
        [
            "system=You are Codex. user=list assistant=I look.<Hm.>!k1:exec:{\"cmd\":\"ls\"}!k2:apply_patch:*** Begin tool=a.txt(k1) tool=done(k2) assistant=Done.",
            "user=So far: … assistant=On."
        ]
    );
    let first = &read.rounds[0];
    assert_eq!((first.usage.input_tokens, first.usage.output_tokens), (Some(250), Some(15)));
    assert_eq!(first.model.as_ref().unwrap().decoded(), "gpt-x");
    assert_eq!(first.messages[2].metadata.get("encrypted_content").unwrap().as_str(), "\"e\"");
    assert_eq!(read.id.decoded(), "s");
}

#[test]
fn the_first_versions_of_codex_are_read() {
    let read = session(
        "codex",
        &[
            json!({"id": "s", "timestamp": "2025-05-07T17:24:21Z", "instructions": null, "git": {}}),
            json!({"record_type": "state"}),
            json!({"type": "message", "role": "user", "content": [{"type": "input_text", "text": "list"}]}),
            json!({"type": "function_call", "id": "f", "name": "shell", "arguments": "{}", "call_id": "k"}),
            json!({"type": "function_call_output", "call_id": "k", "output": "{\"output\":\"a\"}"}),
            json!({"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Done."}]}),
        ],
    );
    assert_eq!(
        told(&read.rounds),
        ["user=list assistant=!k:shell:{} tool={\"output\":\"a\"}(k) assistant=Done."]
    );
}

#[test]
fn a_pi_session_is_a_tree_and_what_it_branched_from_is_context() {
    let message = |id: &str, parent: Value, at: &str, message: Value| json!({"type": "message", "id": id, "parentId": parent, "timestamp": at, "message": message});
    let usage = json!({"input": 5, "output": 2, "cost": {"total": 0.1}});
    let read = session(
        "pi",
        &[
            json!({"type": "session", "version": 3, "id": "s", "timestamp": "2026-01-02T00:00:05Z", "cwd": "/w", "parentSession": "/old.jsonl"}),
            message(
                "a",
                Value::Null,
                "2026-01-02T00:00:01Z",
                json!({"role": "user", "content": "old"}),
            ),
            message(
                "b",
                json!("a"),
                "2026-01-02T00:00:06Z",
                json!({"role": "assistant", "model": "m", "provider": "p", "api": "x",
            "content": [{"type": "thinking", "thinking": "Hm.", "thinkingSignature": "z"}, {"type": "toolCall", "id": "k", "name": "bash", "arguments": {"command": "ls"}}],
            "usage": usage, "stopReason": "toolUse", "timestamp": 1}),
            ),
            message(
                "c",
                json!("b"),
                "2026-01-02T00:00:07Z",
                json!({"role": "toolResult", "toolCallId": "k", "toolName": "bash",
            "content": [{"type": "text", "text": "no"}], "isError": true, "details": {"more": "two words"}}),
            ),
            json!({"type": "thinking_level_change", "id": "d", "parentId": "c", "timestamp": "2026-01-02T00:00:08Z", "thinkingLevel": "high"}),
            message(
                "e",
                json!("d"),
                "2026-01-02T00:00:09Z",
                json!({"role": "bashExecution", "command": "pwd", "output": "/w", "exitCode": 0}),
            ),
            message(
                "f",
                json!("d"),
                "2026-01-02T00:00:09Z",
                json!({"role": "assistant", "content": [], "stopReason": "aborted", "errorMessage": "Request was aborted"}),
            ),
            json!({"type": "compaction", "id": "g", "parentId": "f", "timestamp": "2026-01-02T00:00:10Z", "summary": "So far: …", "firstKeptEntryId": "c"}),
        ],
    );
    assert_eq!(
        told(&read.rounds),
        [
            "user=old- assistant=<Hm.>!k:bash:{\"command\":\"ls\"} tool=no(k)~failed",
            "user=Ran `pwd`\n```\n/w\n```",
            "assistant=~Request was aborted",
            "user=So far: …"
        ]
    );
    assert_eq!(read.active_path(), [0, 2, 3]);
    assert_eq!(read.rounds[0].usage.input_tokens, Some(5));
}

#[test]
fn the_hubs_session_traces_are_read() {
    let read = session(
        "sts",
        &[
            json!({"type": "session", "harness": "mine", "id": "s", "name": "T"}),
            json!({"type": "message", "message": {"role": "user", "content": "list", "timestamp": 1_700_000_000_000_u64}}),
            json!({"type": "message", "message": {"role": "assistant", "content": "", "reasoningContent": "Hm.", "model": "m",
            "toolCalls": [{"id": "k", "function": {"name": "ls", "arguments": "{}"}}]}}),
            json!({"type": "message", "message": {"role": "tool", "toolCallId": "k", "content": "a"}}),
        ],
    );
    assert_eq!(told(&read.rounds), ["user=list assistant=<Hm.>!k:ls:{} tool=a(k)"]);
    assert_eq!(read.title.unwrap().decoded(), "T");
    assert!(read.created_at.is_some());
}

#[test]
fn droids_sessions_are_read() {
    let message = |id: &str, parent: Value, role: &str, content: Value| json!({"type": "message", "id": id, "parentId": parent, "timestamp": "2026-01-02T00:00:01Z", "message": {"role": role, "content": content}});
    let read = session(
        "droid",
        &[
            json!({"type": "session_start", "id": "s", "title": "first words", "sessionTitle": "T", "owner": "o", "cwd": "/w"}),
            message(
                "a",
                Value::Null,
                "user",
                json!([{"type": "text", "text": "<system-reminder>"}]),
            ),
            message("b", Value::Null, "user", json!([{"type": "text", "text": "list"}])),
            message(
                "c",
                json!("b"),
                "assistant",
                json!([{"type": "thinking", "thinking": "Hm.", "signature": "z"}, {"type": "tool_use", "id": "k", "name": "LS", "input": {}}]),
            ),
            message(
                "d",
                json!("c"),
                "user",
                json!([{"type": "tool_result", "tool_use_id": "k", "content": "a", "is_error": false}]),
            ),
            json!({"type": "todo_state", "id": "t", "todos": {"todos": "1. do it"}, "messageIndex": 1}),
        ],
    );
    assert_eq!(
        told(&read.rounds),
        ["user=<system-reminder> user=list assistant=<Hm.>!k:LS:{} tool=a(k)"]
    );
}

#[test]
fn an_answer_of_droid_that_a_person_stopped_is_cut_off() {
    let say = |id: &str, parent: Value, role: &str, text: &str| {
        json!({"type": "message", "id": id, "parentId": parent, "message": {"role": role,
            "content": [{"type": "text", "text": text}]}})
    };
    let read = session(
        "droid",
        &[
            json!({"type": "session_start", "id": "s"}),
            say("a", Value::Null, "user", "q"),
            say("b", json!("a"), "assistant", "half of"),
            say("c", json!("b"), "user", "Request interrupted by user"),
            say("d", json!("c"), "user", "r"),
            say("e", json!("d"), "assistant", "whole"),
        ],
    );
    let ends: Vec<_> = (read.rounds.iter().flat_map(|round| &round.messages))
        .filter(|message| message.role == Role::Assistant)
        .map(Message::is_cut_off)
        .collect();
    assert_eq!(ends, [true, false]);
}

#[test]
fn gemini_clis_sessions_are_read_in_both_forms() {
    let user = json!({"id": "1", "timestamp": "2026-01-02T00:00:01Z", "type": "user", "content": [{"text": "list"}]});
    let answer = json!({"id": "2", "timestamp": "2026-01-02T00:00:02Z", "type": "gemini", "content": "Done.", "model": "m",
        "thoughts": [{"subject": "Looking", "description": "at it"}], "tokens": {"input": 3, "output": 4},
        "toolCalls": [{"id": "k", "name": "ls", "args": {}, "status": "error", "resultDisplay": "no such folder",
            "result": [{"functionResponse": {"id": "k", "name": "ls", "response": {"error": "no such folder"}}}]}]});
    let whole = json!({"sessionId": "s", "projectHash": "p", "startTime": "2026-01-02T00:00:00Z", "lastUpdated": "2026-01-02T00:00:03Z",
        "messages": [user, answer, {"id": "3", "type": "info", "content": "Update available", "timestamp": "2026-01-02T00:00:03Z"}]});
    let expect =
        ["user=list assistant=Done.<Looking\n\nat it>!k:ls:{} tool=no such folder(k)~failed"];
    let read = one("gemini-cli", &whole);
    assert_eq!(told(&read.rounds), expect);
    assert_eq!(read.id.decoded(), "s");
    let mut first = answer.clone();
    first["content"] = json!("Do");
    let lines = [
        json!({"sessionId": "s", "projectHash": "p", "startTime": "2026-01-02T00:00:00Z"}),
        user,
        first,
        answer,
        json!({"$set": {"lastUpdated": "2026-01-02T00:00:09Z"}}),
    ];
    let read = session("gemini-cli", &lines);
    assert_eq!(told(&read.rounds), expect);
    assert_eq!(read.updated_at.unwrap().to_string(), "2026-01-02T00:00:09Z");
}

/// A line of a session of Codex's.
fn codex_line(kind: &str, payload: Value) -> Value {
    json!({"timestamp": "2026-05-13T06:03:05Z", "type": kind, "payload": payload})
}

fn codex_said(role: &str, text: &str) -> Value {
    let kind = if role == "assistant" { "output_text" } else { "input_text" };
    codex_line(
        "response_item",
        json!({"type": "message", "role": role, "content": [{"type": kind, "text": text}]}),
    )
}

fn codex_event(payload: Value) -> Value {
    codex_line("event_msg", payload)
}

/// What the rounds on the path of a conversation say.
fn told_on_path(read: &Conversation<'_>) -> Vec<String> {
    let path: Vec<_> = read.active_path().into_iter().map(|at| read.rounds[at].clone()).collect();
    told(&path)
}

fn codex_session(lines: &[Value]) -> Conversation<'static> {
    let first = codex_line("session_meta", json!({"id": "s", "timestamp": "2026-05-13T06:03:05Z"}));
    let lines: Vec<_> = [first].iter().chain(lines).cloned().collect();
    session("codex", &lines)
}

/// How the answers ended, where that is told.
fn ends(read: &Conversation<'_>) -> Vec<String> {
    let answers = read.messages().filter(|one| one.role == Role::Assistant);
    let end = |one: &Message<'_>| match (&one.finish_reason, &one.error) {
        (Some(reason), None) => format!("{}={}", one.words().decoded(), reason.decoded()),
        (None, Some(error)) => format!("{}~{}", one.words().decoded(), error.decoded()),
        (None, None) => one.words().decoded().into_owned(),
        both => panic!("{both:?}"),
    };
    answers.map(end).collect()
}

#[test]
fn turns_that_codex_rolled_back_are_beside_the_path() {
    let back = |turns: u32| codex_event(json!({"type": "thread_rolled_back", "num_turns": turns}));
    let turn = |name: &str| {
        [
            codex_said("user", &format!("<environment_context>{name}</environment_context>")),
            codex_said("user", name),
            codex_event(json!({"type": "user_message", "message": name})),
            codex_said("assistant", &name.to_uppercase()),
        ]
    };
    let mut lines = turn("q1").to_vec();
    lines.extend(turn("q2"));
    lines.push(back(1));
    lines.extend(turn("q3"));
    let read = codex_session(&lines);
    let context = |name: &str| format!("user=<environment_context>{name}</environment_context>");
    let [one, two, three] = ["q1", "q2", "q3"].map(context);
    assert_eq!(
        told(&read.rounds),
        [
            format!("{one} user=q1 assistant=Q1"),
            format!("{two} user=q2 assistant=Q2-"),
            format!("{three} user=q3 assistant=Q3"),
        ]
    );
    assert_eq!(read.active_path(), [0, 2]);
    // Nothing followed, and more turns than there are; what came before the first stays.
    lines.truncate(9);
    let read = codex_session(&lines);
    assert_eq!(read.active_path(), [0]);
    *lines.last_mut().unwrap() = back(7);
    let read = codex_session(&lines);
    let shown = &read.rounds[*read.active_path().last().unwrap()];
    assert_eq!(told(std::slice::from_ref(shown)), [one]);
    let answers = || read.messages().filter(|one| one.role == Role::Assistant);
    assert!(answers().count() == 2 && answers().all(|one| one.train == Some(false)));
    // What a person typed is a turn, in a tag as well.
    let tagged = "<task>list</task>";
    let read = codex_session(&[
        codex_said("user", "q1"),
        codex_said("assistant", "A1"),
        codex_said("user", tagged),
        codex_event(json!({"type": "user_message", "message": tagged})),
        codex_said("assistant", "A2"),
        back(1),
        codex_said("user", "q3"),
        codex_said("assistant", "A3"),
    ]);
    assert_eq!(told_on_path(&read), ["user=q1 assistant=A1", "user=q3 assistant=A3"]);
    // Where only the screen is known.
    let shown = |kind: &str, text: &str| codex_event(json!({"type": kind, "message": text}));
    let read = codex_session(&[
        shown("user_message", "q1"),
        shown("agent_message", "A1"),
        shown("user_message", "q2"),
        shown("agent_message", "A2"),
        back(1),
        shown("user_message", "q3"),
        shown("agent_message", "A3"),
    ]);
    assert_eq!(told_on_path(&read), ["user=q1 assistant=A1", "user=q3 assistant=A3"]);
}

#[test]
fn answers_of_codex_that_were_stopped_or_failed_say_so() {
    let aborted = || codex_event(json!({"type": "turn_aborted", "reason": "interrupted"}));
    let error = |info: &str| {
        codex_event(json!({"type": "error", "message": "down", "codex_error_info": info}))
    };
    let item = |payload: Value| codex_line("response_item", payload);
    let call =
        || item(json!({"type": "function_call", "name": "ls", "arguments": "{}", "call_id": "k"}));
    let result =
        || item(json!({"type": "function_call_output", "call_id": "k", "output": "aborted"}));
    let read = codex_session(&[
        codex_said("user", "q1"),
        codex_said("assistant", "Whole."),
        codex_event(json!({"type": "task_complete", "last_agent_message": "Whole."})),
        // Of a compaction that a person stopped, not of the answer.
        aborted(),
        codex_said("user", "q2"),
        codex_said("assistant", "Calls."),
        call(),
        result(),
        aborted(),
        codex_said("user", "q3"),
        codex_said("assistant", "Stopped."),
        codex_said("user", "<turn_aborted>\nThe user interrupted.\n</turn_aborted>"),
        aborted(),
        codex_said("user", "q4"),
        codex_said("assistant", "Not rolled back."),
        error("thread_rollback_failed"),
        codex_said("user", "q5"),
        codex_said("assistant", "Failed."),
        error("other"),
        codex_said("user", "q6"),
        aborted(),
    ]);
    assert_eq!(
        ends(&read),
        ["Whole.", "Calls.", "Stopped.=interrupted", "Not rolled back.", "Failed.~down"]
    );
}

/// A message of Gemini CLI's.
fn gemini(id: &str, kind: &str, text: &str) -> Value {
    json!({"id": id, "timestamp": "2026-01-02T00:00:01Z", "type": kind, "content": text})
}

fn gemini_session(lines: &[Value]) -> Conversation<'static> {
    let first = json!({"sessionId": "s", "projectHash": "p", "startTime": "2026-01-02T00:00:00Z"});
    let lines: Vec<_> = [first].iter().chain(lines).cloned().collect();
    session("gemini-cli", &lines)
}

#[test]
fn what_gemini_cli_rewound_is_beside_the_path() {
    let rewind = |id: &str| json!({"$rewindTo": id});
    let mut lines = vec![
        gemini("1", "user", "q1"),
        gemini("2", "gemini", "A1"),
        gemini("n", "info", "Update available"),
        gemini("3", "user", "q2"),
        gemini("4", "gemini", "A2"),
        rewind("3"),
        gemini("5", "user", "q3"),
        gemini("n2", "info", "Update available"),
        gemini("6", "gemini", "A"),
        // Told again, as it is now.
        gemini("6", "gemini", "A3"),
    ];
    let read = gemini_session(&lines);
    let expect = ["user=q1 assistant=A1", "user=q2 assistant=A2-", "user=q3 assistant=A3"];
    assert_eq!(told(&read.rounds), expect);
    assert_eq!(read.active_path(), [0, 2]);
    // To the same place again, and to one that is gone, which takes all back.
    lines.extend([rewind("5"), gemini("5", "user", "q4"), gemini("6", "gemini", "A4")]);
    let read = gemini_session(&lines);
    assert_eq!(told_on_path(&read), ["user=q1 assistant=A1", "user=q4 assistant=A4"]);
    lines.extend([rewind("4"), gemini("7", "user", "q5"), gemini("8", "gemini", "A5")]);
    let read = gemini_session(&lines);
    assert_eq!(told_on_path(&read), ["user=q5 assistant=A5"]);
    let trained = read.messages().filter(|one| one.role == Role::Assistant && one.train.is_none());
    assert_eq!(trained.count(), 1);
}

#[test]
fn answers_of_gemini_cli_that_were_stopped_or_failed_say_so() {
    let mut called = gemini("6", "gemini", "Calls.");
    called["toolCalls"] = json!([{"id": "k", "name": "ls", "args": {}, "status": "cancelled"}]);
    let read = gemini_session(&[
        gemini("1", "user", "q1"),
        gemini("2", "gemini", "Stopped."),
        gemini("n1", "info", "Request cancelled."),
        // The tokens of it, which are known later.
        gemini("2", "gemini", "Stopped."),
        gemini("3", "user", "q2"),
        gemini("4", "gemini", "Failed."),
        gemini("n2", "error", "[API Error: down]"),
        gemini("5", "user", "q3"),
        called,
        gemini("n3", "info", "Request cancelled."),
        gemini("7", "user", "q4"),
        gemini("8", "gemini", "Whole."),
        // A notice that is told again says nothing of this answer.
        gemini("n1", "info", "Request cancelled."),
        gemini("9", "user", "q5"),
        gemini("n4", "error", "down"),
    ]);
    let expect = ["Stopped.=interrupted", "Failed.~[API Error: down]", "Calls.", "Whole."];
    assert_eq!(ends(&read), expect);
}

#[test]
fn cursors_transcripts_are_read() {
    let said = |role: &str, content: Value| json!({"role": role, "message": {"content": content}});
    let read = session(
        "cursor",
        &[
            json!({"type": "cursor_session_meta", "session_id": "s", "model": "m"}),
            json!({"type": "cursor_available_tools", "tools": [{"type": "function", "function": {"name": "Shell"}}]}),
            said("user", json!([{"type": "text", "text": "list"}])),
            said(
                "assistant",
                json!([{"type": "thinking", "text": "Hm."}, {"type": "tool_use", "id": "k", "name": "Shell", "input": {}}]),
            ),
            said("user", json!([{"type": "tool_result", "tool_use_id": "k", "content": "a"}])),
            json!({"type": "turn_ended", "status": "success"}),
        ],
    );
    assert_eq!(told(&read.rounds), ["user=list assistant=<Hm.>!k:Shell:{} tool=a(k)"]);
    assert_eq!(read.rounds[0].tools.len(), 1);
}

#[test]
fn an_atif_trajectory_has_its_sub_agents_as_tasks() {
    let child = json!({"schema_version": "ATIF-v1.7", "trajectory_id": "c", "session_id": "s", "agent": {"name": "worker", "version": "1"},
        "steps": [{"step_id": 1, "source": "user", "message": "inspect", "is_copied_context": true},
            {"step_id": 2, "source": "agent", "message": "complete"}]});
    let item = json!({"schema_version": "ATIF-v1.8", "session_id": "s", "trajectory_id": "t",
        "agent": {"name": "lead", "version": "1", "model_name": "m", "tool_definitions": [{"type": "function", "function": {"name": "worker"}}]},
        "steps": [
            {"step_id": 1, "source": "system", "message": "S"},
            {"step_id": 2, "source": "user", "message": [{"type": "text", "text": "go"}, {"type": "image", "source": {"media_type": "image/png", "path": "a.png"}}]},
            {"step_id": 3, "source": "agent", "message": "I do.", "reasoning_content": "Hm.", "model_name": "m2", "timestamp": "2026-07-12T12:00:01Z",
                "tool_calls": [{"tool_call_id": "k", "function_name": "worker", "arguments": {"task": "inspect"}}],
                "observation": {"results": [{"source_call_id": "k", "content": "complete", "subagent_trajectory_ref": [{"trajectory_id": "c", "session_id": "s"}], "extra": {"is_error": true}}]},
                "metrics": {"prompt_tokens": 10, "completion_tokens": 5, "cost_usd": 0.1}, "llm_call_count": 1},
            {"step_id": 4, "source": "agent", "message": "by a program", "llm_call_count": 0},
            {"step_id": 5, "source": "agent", "message": "", "observation": {"results": [{"content": "parse error"}]}},
        ],
        "subagent_trajectories": [child], "final_metrics": {"total_steps": 5}});
    let read = one("atif", &item);
    assert_eq!(
        told(&read.rounds),
        [
            "system=S user=go+image assistant=I do.<Hm.>!k:worker:{\"task\":\"inspect\"} tool=complete(k)~failed assistant=by a program- assistant= user=parse error"
        ]
    );
    let task = &read.tasks[0];
    assert_eq!((&*task.id.decoded(), &*task.tool_call_id.as_ref().unwrap().decoded()), ("c", "k"));
    assert_eq!(told(&task.rounds), ["user=inspect- assistant=complete"]);
    assert_eq!(read.rounds[0].usage.output_tokens, Some(5));
    // Beside one another, as some keep them.
    let mut whole = item.clone();
    let child = whole["subagent_trajectories"].take()[0].take();
    whole.as_object_mut().unwrap().remove("subagent_trajectories");
    let read = one("atif", &json!({"parent": whole, "child": child}));
    assert_eq!(read.tasks[0].tool_call_id.as_ref().unwrap().decoded(), "k");
}

#[test]
fn inspect_logs_hold_a_conversation_for_each_sample() {
    let sample = |id: u32, epoch: u32| {
        json!({"id": id, "epoch": epoch, "input": "2+2?", "target": "4", "messages": [
                {"id": "a", "role": "user", "content": "attachment://x", "source": "input"},
                {"id": "b", "role": "assistant", "content": [{"type": "reasoning", "reasoning": "Hm."}, {"type": "text", "text": "I count."}], "source": "generate",
                    "tool_calls": [{"id": "k", "function": "sum", "arguments": {"a": 2}, "type": "function", "view": {"content": "two words"}}]},
                {"role": "tool", "content": "4", "tool_call_id": "k", "function": "sum", "error": {"type": "timeout", "message": "slow"}},
                {"role": "assistant", "content": "4"}],
            "output": {"model": "m", "choices": [{"message": {"role": "assistant", "content": "4"}, "stop_reason": "max_tokens"}]},
            "attachments": {"x": "What is 2+2?"}, "scores": {"match": {"value": "C"}},
            "events": [{"event": "model", "tools": [{"name": "sum", "description": "adds", "parameters": {}}]}]})
    };
    let log = json!({"version": 2, "status": "success", "eval": {"task": "t", "run_id": "r", "model": "m"}, "plan": {},
        "samples": [sample(1, 1), sample(1, 2)]});
    let read = read_as("inspect", "log.json", log.to_string().as_bytes());
    let ids: Vec<_> = read.iter().map(|one| one.id.decoded().into_owned()).collect();
    assert_eq!(ids, ["r/1/1", "r/1/2"]);
    for one in &read {
        let told = told(&one.rounds);
        assert!(
            told[0].starts_with(
                "user=What is 2+2? assistant=I count.<Hm.>!k:sum:{\"a\":2} tool=4(k)~"
            ),
            "{told:?}"
        );
        let last = one.rounds[0].messages.last().unwrap();
        assert_eq!(last.finish_reason.as_ref().unwrap().decoded(), "max_tokens");
        assert_eq!(one.rounds[0].tools.len(), 1);
    }
    assert_eq!(read_as("inspect", "1.json", sample(1, 1).to_string().as_bytes()).len(), 1);
    let summaries = json!([{"id": 1, "epoch": 1, "input": "2+2?", "target": "4", "scores": {}}]);
    assert!(read_as("inspect", "summaries.json", summaries.to_string().as_bytes()).is_empty());
}

#[test]
fn nemo_gyms_rollouts_are_read() {
    let read = one(
        "nemo-gym",
        &json!({"responses_create_params": {"input": [{"role": "user", "content": "go"}], "tools": [{"type": "function", "name": "f", "parameters": {}}]},
        "response": {"model": "m", "output": [
            {"type": "function_call", "call_id": "k", "name": "f", "arguments": "{}"},
            {"type": "function_call_output", "call_id": "k", "output": "r"},
            {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Done."}]}], "usage": {"input_tokens": 3, "output_tokens": 4}},
        "reward": 1.0}),
    );
    assert_eq!(told(&read.rounds), ["user=go assistant=!k:f:{} tool=r(k) assistant=Done."]);
    assert_eq!(read.rounds[0].usage.input_tokens, Some(3));
    assert_eq!(read.metadata.get("reward").unwrap().as_str(), "1.0");
}

#[test]
fn swe_agents_trajectories_are_read() {
    let read = one(
        "swe-agent",
        &json!({"trajectory": [{"action": "ls", "observation": "a", "thought": "Hm.", "response": "r"}], "info": {"exit_status": "submitted"},
        "history": [
            {"role": "system", "content": "S", "agent": "main", "message_type": "system_prompt"},
            {"role": "user", "content": "shown", "agent": "main", "is_demo": true, "message_type": "demonstration"},
            {"role": "assistant", "content": "I look.", "thought": "I look.", "action": "ls -l", "agent": "main", "message_type": "action",
                "tool_calls": [{"id": "k", "type": "function", "function": {"name": "bash", "arguments": "{}"}}]},
            {"role": "tool", "content": "a", "agent": "main", "message_type": "observation", "tool_call_ids": ["k"]}]}),
    );
    assert_eq!(told(&read.rounds), ["system=S user=shown- assistant=I look.!k:bash:{} tool=a(k)"]);
}

/// What a file says, counted without the reader.
#[derive(Debug, Default)]
struct Counted {
    texts: Vec<String>,
    calls: Vec<String>,
    results: usize,
}

impl Counted {
    /// Anthropic's blocks, Pi's parts, and texts.
    fn content(&mut self, content: &Value) {
        match content {
            Value::String(text) => self.texts.push(text.clone()),
            Value::Array(parts) => parts.iter().for_each(|part| self.part(part)),
            _ => {}
        }
    }

    fn part(&mut self, part: &Value) {
        match part["type"].as_str() {
            Some("tool_use" | "toolCall") => self.call(&part["name"]),
            Some("tool_result") => {
                self.results += 1;
                self.content(&part["content"]);
            }
            Some("image") => {}
            _ => {
                for key in ["text", "thinking", "reasoning"] {
                    self.texts.extend(part[key].as_str().map(str::to_owned));
                }
            }
        }
    }

    fn call(&mut self, name: &Value) {
        self.calls.push(name.as_str().unwrap_or_default().to_owned());
    }

    fn item(&mut self, item: &Value) {
        match item["type"].as_str().unwrap_or("message") {
            "message" if item["role"].is_string() => self.content(&item["content"]),
            "function_call" | "custom_tool_call" => self.call(&item["name"]),
            "function_call_output" | "custom_tool_call_output" => {
                self.results += 1;
                if let Value::String(text) = &item["output"] {
                    self.texts.push(text.clone());
                }
            }
            "reasoning" => item["summary"].as_array().into_iter().flatten().for_each(|one| {
                self.texts.extend(one["text"].as_str().map(str::to_owned));
            }),
            _ => {}
        }
    }

    fn chat(&mut self, message: &Value) {
        self.results +=
            usize::from(matches!(message["role"].as_str(), Some("tool" | "toolResult")));
        self.content(&message["content"]);
        for call in message["tool_calls"].as_array().into_iter().flatten() {
            let function = &call["function"];
            self.call(if function.is_string() { function } else { &function["name"] });
        }
    }

    fn atif(&mut self, trajectory: &Value) {
        for step in trajectory["steps"].as_array().into_iter().flatten() {
            self.content(&step["message"]);
            self.texts.extend(step["reasoning_content"].as_str().map(str::to_owned));
            for call in step["tool_calls"].as_array().into_iter().flatten() {
                self.call(&call["function_name"]);
            }
            for result in step["observation"]["results"].as_array().into_iter().flatten() {
                self.content(&result["content"]);
            }
        }
        for inner in trajectory["subagent_trajectories"].as_array().into_iter().flatten() {
            self.atif(inner);
        }
    }

    /// One value of a file of that format.
    fn value(&mut self, format: &str, value: &Value) {
        let list = |value: &Value| value.as_array().cloned().unwrap_or_default();
        match format {
            "codex" => match value["type"].as_str() {
                Some("response_item") => self.item(&value["payload"]),
                Some("session_meta") => {
                    self.texts.extend(
                        value["payload"]["base_instructions"]["text"].as_str().map(str::to_owned),
                    );
                }
                _ => {}
            },
            "pi" | "droid" | "cursor" if value["message"].is_object() => {
                self.chat(&value["message"]);
                let error = value["message"]["errorMessage"].as_str();
                self.texts.extend(error.map(str::to_owned));
            }
            "gemini-cli" => {
                for message in list(&value["messages"]).iter().chain([value]) {
                    self.content(&message["content"]);
                    list(&message["toolCalls"]).iter().for_each(|call| self.call(&call["name"]));
                }
            }
            "atif" => [value, &value["parent"], &value["child"]]
                .into_iter()
                .for_each(|one| self.atif(one)),
            "toolbench" => {
                let told = list(&value["answer_generation"]["train_messages"]);
                for message in told.last().map(list).unwrap_or_default() {
                    self.chat(&message);
                    if message["function_call"].is_object() {
                        self.call(&message["function_call"]["name"]);
                    }
                }
            }
            "mint" => list(&value["state"]["history"]).iter().for_each(|one| self.chat(one)),
            "adp" => {
                for one in list(&value["content"]) {
                    match one["class_"].as_str().unwrap_or_default() {
                        "api_action" if one["function"].is_string() => self.call(&one["function"]),
                        "code_action" => self.call(&one["language"]),
                        _ => self.content(&one["content"]),
                    }
                    self.content(&one["description"]);
                    self.content(&one["axtree"]);
                }
            }
            "openhands" => {
                let events = list(&value["history"]);
                for event in events.iter().chain([value]) {
                    let is_event = event["observation"].is_string() || event["action"] == "message";
                    if is_event && event["action"] != "change_agent_state" {
                        self.content(&event["content"]);
                        self.content(&event["args"]["content"]);
                    }
                    if event["tool_call_metadata"].is_null() {
                        self.content(&event["thought"]);
                    }
                }
            }
            "copilot" => match value["type"].as_str() {
                Some("user.message" | "assistant.message") => {
                    self.content(&value["data"]["content"]);
                    list(&value["data"]["toolRequests"])
                        .iter()
                        .for_each(|call| self.call(&call["name"]));
                }
                Some("tool.execution_complete") => {
                    self.results += 1;
                    self.content(&value["data"]["result"]["text_result_for_llm"]);
                }
                _ => {}
            },
            "inspect" => list(&value["messages"]).iter().for_each(|one| self.chat(one)),
            "swe-agent" => list(&value["history"]).iter().for_each(|one| self.chat(one)),
            "nemo-gym" => {
                let input = &value["responses_create_params"]["input"];
                self.content(input.get(0).map_or(input, |_| &Value::Null));
                list(input)
                    .iter()
                    .chain(&list(&value["response"]["output"]))
                    .for_each(|one| self.item(one));
            }
            _ => {}
        }
    }
}

/// The values of a file: its lines, or itself.
fn values(bytes: &[u8]) -> Vec<Value> {
    let text = std::str::from_utf8(bytes).unwrap();
    match serde_json::from_str::<Value>(text) {
        Ok(Value::Array(list)) => list,
        Ok(one) => vec![one],
        Err(_) => text.lines().filter_map(|line| serde_json::from_str(line).ok()).collect(),
    }
}

#[test]
fn real_sessions_and_trajectories_are_read_whole() {
    let Some(root) = real_data() else { return };
    let groups = [
        ("teich", 4),
        ("git-ai/fixtures", 13),
        ("polylogue", 7),
        ("chatgpt-small/chat-view", 1),
        ("pi", 4),
        ("inspect-eval", 8),
        ("nemo-gym", 17),
        ("swe-agent", 7),
        ("swe-smith", 1),
        ("atif-fast-agent", 1),
        ("atif-hermes", 1),
        ("atif-nat", 6),
        ("atif-phoenix-more", 3),
        ("phoenix-atif", 4),
        ("agentpile/fixtures", 2),
        ("openhands", 5),
        ("toolbench", 6),
        ("mint-bench", 5),
        ("agentpile/corpora/fixtures/adp", 14),
    ];
    let kinds = [
        "codex",
        "pi",
        "sts",
        "droid",
        "gemini-cli",
        "cursor",
        "atif",
        "openhands",
        "toolbench",
        "mint",
        "adp",
        "copilot",
        "inspect",
        "swe-agent",
        "nemo-gym",
    ];
    let mut wrong = Vec::new();
    for (group, expect) in groups {
        let mut files = 0;
        for path in files_below(&root.join(group)) {
            let name = path.strip_prefix(&root).unwrap().display().to_string();
            for (name, bytes) in unpacked(&name, std::fs::read(&path).unwrap()) {
                let read = read_files(&[(&name, &bytes)]);
                let Some(format) = read.formats[0].filter(|format| kinds.contains(format)) else {
                    continue;
                };
                if read.conversations.is_empty() {
                    continue;
                }
                files += 1;
                assert!(read.refused.is_empty(), "{name}: {:?}", read.refused);
                let mut counted = Counted::default();
                values(&bytes).iter().for_each(|value| counted.value(format, value));
                let (mut said, mut calls, mut results) = (String::new(), Vec::new(), 0);
                for one in &read.conversations {
                    // One is redacted, and the other broken on purpose.
                    if !name.contains("redacted") && !name.contains("agenttuning_kg") {
                        assert!(
                            one.not_understood.is_empty(),
                            "{name}: {:.300?}",
                            one.not_understood
                        );
                    }
                    for message in one.messages() {
                        results += usize::from(message.role == Role::Tool);
                        for text in [&Some(message.words()), &message.reasoning, &message.error]
                            .into_iter()
                            .flatten()
                        {
                            said.push_str(&text.decoded());
                            said.push('\n');
                        }
                        calls.extend(
                            message.tool_calls.iter().map(|call| call.name.decoded().into_owned()),
                        );
                    }
                }
                counted.calls.sort();
                calls.sort();
                let has_calls = !matches!(format, "openhands" | "copilot");
                if has_calls && counted.calls != calls {
                    wrong.push(format!("{name}: calls {:?}, not {calls:?}", counted.calls));
                }
                let is_told = !matches!(
                    format,
                    "atif" | "gemini-cli" | "pi" | "swe-agent" | "toolbench" | "adp" | "openhands"
                );
                if is_told && counted.results != results {
                    wrong.push(format!("{name}: {results} results, not {}", counted.results));
                }
                for text in &counted.texts {
                    let is_there = said.contains(text.as_str()) || said.contains(text.trim());
                    if !is_there {
                        wrong.push(format!("{name}: lost {text:.200}"));
                    }
                }
            }
        }
        if files != expect {
            wrong.push(format!("{group}: {files} files, not {expect}"));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
}

#[test]
fn openhands_events_become_answers_with_their_results() {
    let metadata = |answer: &str| {
        json!({"function_name": "bash", "tool_call_id": "k", "model_response": {"id": answer, "model": "m", "choices": [{"finish_reason": "tool_calls",
            "message": {"role": "assistant", "content": "I look.", "tool_calls": [{"id": "k", "type": "function", "function": {"name": "bash", "arguments": "{}"}}]}}]}})
    };
    let event = |source: &str, more: Value| {
        let mut event = json!({"id": 1, "timestamp": "2025-02-01T00:14:10", "source": source, "message": "words of it"});
        event.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        event
    };
    let read = one(
        "openhands",
        &json!([
            event(
                "user",
                json!({"action": "message", "args": {"content": "list", "image_urls": null}})
            ),
            event(
                "environment",
                json!({"observation": "agent_state_changed", "content": "", "extras": {}})
            ),
            event(
                "agent",
                json!({"action": "run", "args": {"command": "ls", "thought": "I look."}, "tool_call_metadata": metadata("r")})
            ),
            event(
                "agent",
                json!({"observation": "run", "content": "a", "extras": {}, "tool_call_metadata": metadata("r")})
            ),
            event("agent", json!({"action": "message", "args": {"content": "Done."}})),
        ]),
    );
    assert_eq!(
        told(&read.rounds),
        ["user=list assistant=I look.!k:bash:{} tool=a(k) assistant=Done."]
    );
    let read = one(
        "openhands",
        &json!({"instance_id": "i", "instruction": "fix it", "history": [
        {"action": "message", "content": "fix it"},
        {"action": "run", "command": "ls", "thought": "I look."},
        {"observation": "run", "content": "a", "command": "ls", "exit_code": 0}]}),
    );
    assert_eq!(
        told(&read.rounds),
        ["user=fix it assistant=I look.!event-1:run:{\"command\":\"ls\"} tool=a(event-1)"]
    );
}

#[test]
fn toolbench_mint_and_adp_are_read() {
    let ask = json!({"role": "user", "content": "q"});
    let call = json!({"role": "assistant", "content": null, "function_call": {"name": "f", "arguments": "{}"}});
    let read = one(
        "toolbench",
        &json!({"win": true, "tree": {"size": 1}, "answer_generation": {"query": "q", "function": [{"name": "f", "parameters": {}}],
        "train_messages": [[ask, call], [ask, call, {"role": "function", "name": "f", "content": "r"}]]}}),
    );
    assert_eq!(read.rounds[0].messages.len(), 3);
    assert_eq!(read.rounds[0].tools.len(), 1);
    let read = one(
        "mint",
        &json!({"state": {"history": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}], "success": true,
        "token_counter": {"prompt_tokens": 3}}, "task": {"task_id": 0}}),
    );
    assert_eq!(told(&read.rounds), ["user=q assistant=a"]);
    let read = one(
        "adp",
        &json!({"id": "x", "content": [
        {"class_": "text_observation", "content": "q", "source": "user"},
        {"class_": "code_action", "language": "bash", "content": "ls", "description": "I look."},
        {"class_": "text_observation", "content": "a", "source": "environment", "name": null},
        {"class_": "api_action", "function": "click", "kwargs": {"b": 1}, "description": ""},
        {"class_": "web_observation", "html": null, "axtree": "tree", "url": null, "image_observation": {"class_": "image_observation", "content": "p.png"}},
        {"class_": "message_action", "content": "Done.", "description": "It is there."}], "details": {}}),
    );
    assert_eq!(
        told(&read.rounds),
        [
            "user=q assistant=I look.!call-1:bash:{\"code\":\"ls\"} tool=a(call-1) assistant=!call-3:click:{\"b\":1} tool=tree+image(call-3) assistant=Done.<It is there.>"
        ]
    );
}

#[test]
fn copilots_events_are_read() {
    let event = |kind: &str, data: Value| json!({"type": kind, "data": data, "id": "i", "timestamp": "2026-05-12T00:21:05Z", "parentId": null});
    let read = session(
        "copilot",
        &[
            event(
                "session.start",
                json!({"sessionId": "s", "producer": "copilot-agent", "startTime": "2026-05-12T00:21:05Z"}),
            ),
            event("session.model_change", json!({"newModel": "m"})),
            event("user.message", json!({"content": "list", "attachments": []})),
            event(
                "assistant.message",
                json!({"messageId": "1", "content": "I look.", "toolRequests": [{"toolCallId": "k", "name": "ls", "arguments": "{}", "type": "function"}]}),
            ),
            event(
                "tool.execution_start",
                json!({"toolCallId": "k", "toolName": "ls", "arguments": {}}),
            ),
            event(
                "tool.execution_complete",
                json!({"toolCallId": "k", "success": false, "result": {"result_type": "success", "text_result_for_llm": "a"}, "error": {"message": "no"}}),
            ),
            event("assistant.turn_end", json!({"turnId": "0"})),
            event(
                "tool.execution_start",
                json!({"toolCallId": "l", "toolName": "read", "arguments": {"path": "a"}}),
            ),
        ],
    );
    assert_eq!(
        told(&read.rounds),
        ["user=list assistant=I look.!k:ls:{} tool=a(k)~no assistant=!l:read:{\"path\":\"a\"}"]
    );
    assert_eq!(read.rounds[0].model.as_ref().unwrap().decoded(), "m");
}

#[test]
fn answers_of_copilot_that_were_stopped_or_failed_say_so() {
    let event = |kind: &str, data: Value| json!({"type": kind, "data": data, "id": "i", "timestamp": "2026-05-12T00:21:05Z", "parentId": null});
    let asked = |text: &str| event("user.message", json!({"content": text}));
    let said = |text: &str| event("assistant.message", json!({"messageId": text, "content": text}));
    let read = session(
        "copilot",
        &[
            event("session.start", json!({"sessionId": "s"})),
            asked("q1"),
            said("Stopped."),
            event("abort", json!({"reason": "user initiated"})),
            asked("q2"),
            said("Failed."),
            event("session.error", json!({"errorType": "query", "message": "down"})),
            asked("q3"),
            said("Calls."),
            event("tool.execution_start", json!({"toolCallId": "k", "toolName": "ls"})),
            event(
                "tool.execution_complete",
                json!({"toolCallId": "k", "success": true, "result": {"content": "a"}}),
            ),
            event("abort", json!({"reason": "user initiated"})),
            asked("q4"),
            said("Whole."),
            asked("q5"),
            event("session.error", json!({"errorType": "quota", "message": "none left"})),
        ],
    );
    assert_eq!(ends(&read), ["Stopped.=interrupted", "Failed.~down", "Calls.", "", "Whole."]);
}
