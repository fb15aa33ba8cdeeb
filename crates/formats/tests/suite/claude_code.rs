//! Claude Code's sessions.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;

use retort_model::{Conversation, Role};
use retort_testing::{files_below, real_data};
use serde_json::{Value, json};

use crate::support::{Gathered, lines as json_lines, read_files, told};

const MAIN: &str = "aaaaaaaa-0000-4000-8000-000000000001";
const OTHER: &str = "bbbbbbbb-0000-4000-8000-000000000002";

fn line(kind: &str, uuid: &str, parent: Value, message: Value) -> Value {
    json!({"parentUuid": parent, "isSidechain": false, "userType": "external", "cwd": "/w", "sessionId": MAIN,
        "version": "2.1.1", "gitBranch": "main", "type": kind, "message": message, "uuid": uuid,
        "timestamp": "2026-01-02T03:04:05.000Z"})
}

fn ask(uuid: &str, parent: Value, content: Value) -> Value {
    line("user", uuid, parent, json!({"role": "user", "content": content}))
}

fn answer(uuid: &str, parent: Value, id: &str, block: Value) -> Value {
    let message = json!({"id": id, "type": "message", "role": "assistant", "model": "claude-x", "content": [block],
        "stop_reason": null, "usage": {"input_tokens": 10, "output_tokens": 2}});
    line("assistant", uuid, parent, message)
}

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

fn call(id: &str) -> Value {
    json!({"type": "tool_use", "id": id, "name": "Bash", "input": {"command": "ls"}})
}

fn result(id: &str, text: &str, failed: bool) -> Value {
    json!([{"type": "tool_result", "tool_use_id": id, "content": text, "is_error": failed}])
}

fn with(mut line: Value, fields: Value) -> Value {
    let more = fields.as_object().unwrap().clone();
    line.as_object_mut().unwrap().extend(more);
    line
}

fn read(lines: &[Value]) -> Conversation<'static> {
    let read = read_files(&[("p/session.jsonl", &json_lines(lines))]);
    assert!(read.refused.is_empty(), "{:?}", read.refused);
    assert_eq!(read.formats, [Some("claude-code")]);
    let [one] = <[_; 1]>::try_from(read.conversations).unwrap();
    one
}

#[test]
fn the_lines_of_an_answer_are_one_message_and_results_follow_their_calls() {
    let read = read(&[
        json!({"type": "queue-operation", "operation": "enqueue", "sessionId": MAIN, "timestamp": "2026-01-02T03:04:04Z"}),
        ask("q", Value::Null, json!("list")),
        answer(
            "a1",
            json!("q"),
            "m1",
            json!({"type": "thinking", "thinking": "Hm.", "signature": "s"}),
        ),
        answer("a2", json!("a1"), "m1", text("I look.")),
        answer("a3", json!("a2"), "m1", call("k1")),
        // The result of the first call hangs on its own line, as does the second call.
        answer("a4", json!("a3"), "m1", call("k2")),
        json!({"type": "progress", "sessionId": MAIN, "uuid": "p", "parentUuid": "a3", "data": {"type": "hook_progress"}}),
        with(
            ask("r1", json!("p"), result("k1", "a.txt", false)),
            json!({"toolUseResult": {"stdout": "a.txt"}}),
        ),
        ask("r2", json!("a4"), result("k2", "denied", true)),
        answer("a5", json!("r2"), "m2", text("Done.")),
        ask("q2", json!("a5"), json!([text("thanks")])),
    ]);
    assert_eq!(
        told(&read.rounds),
        [
            "user=list assistant=I look.<Hm.>!k1:Bash:{\"command\":\"ls\"}!k2:Bash:{\"command\":\"ls\"} tool=a.txt(k1) tool=denied(k2)~failed assistant=Done.",
            "user=thanks"
        ]
    );
    assert_eq!(read.id.decoded(), MAIN);
    assert_eq!(read.rounds[0].model.as_ref().unwrap().decoded(), "claude-x");
    // Two answers, each told several times.
    assert_eq!(read.rounds[0].usage.input_tokens, Some(20));
    assert_eq!(read.metadata.get("cwd").unwrap().as_str(), "\"/w\"");
    assert!(read.not_understood.is_empty(), "{:?}", read.not_understood);
    assert!(read.created_at.is_some());
}

#[test]
fn an_edited_question_is_a_sibling_round() {
    let read = read(&[
        ask("q", Value::Null, json!("first")),
        answer("a", json!("q"), "m1", text("A")),
        ask("b", json!("a"), json!("one way")),
        ask("c", json!("a"), json!("another")),
        answer("d", json!("c"), "m2", text("D")),
    ]);
    assert_eq!(
        told(&read.rounds),
        ["user=first assistant=A", "user=one way", "user=another assistant=D"]
    );
    assert_eq!(read.active_path(), [0, 2]);
}

#[test]
fn an_answer_that_the_person_stopped_is_not_whole() {
    const STOP: &str = "[Request interrupted by user]";
    let stop = |uuid: &str, parent: &str| ask(uuid, json!(parent), json!([text(STOP)]));
    let mut ended = answer("a4", json!("q4"), "m4", text("Whole."));
    ended["message"]["stop_reason"] = json!("end_turn");
    let read = read(&[
        ask("q", Value::Null, json!("q")),
        answer("a", json!("q"), "m1", text("Stopped.")),
        stop("s", "a"),
        ask("q2", json!("s"), json!("q2")),
        answer("a2", json!("q2"), "m2", text("Calls.")),
        answer("b2", json!("a2"), "m2", call("k1")),
        ask("r2", json!("b2"), result("k1", "a", false)),
        stop("s2", "r2"),
        ask("q3", json!("s2"), json!("q3")),
        answer("a3", json!("q3"), "m3", call("k2")),
        ask("r3", json!("a3"), result("k2", "denied", true)),
        ask("s3", json!("r3"), json!([text("[Request interrupted by user for tool use]")])),
        ask("q4", json!("s3"), json!("q4")),
        ended,
        stop("s4", "a4"),
    ]);
    let answers = read.messages().filter(|one| one.role == Role::Assistant);
    let ends: Vec<_> =
        answers.map(|one| (one.words().decoded().into_owned(), one.is_cut_off())).collect();
    let expect = [("Stopped.", true), ("Calls.", false), ("", false), ("Whole.", false)];
    assert_eq!(ends, expect.map(|(words, cut)| (words.to_owned(), cut)));
    assert_eq!(read.messages().filter(|one| one.words() == *STOP).count(), 3);
}

#[test]
fn a_compaction_does_not_cut_the_session() {
    let summary = ask("s", json!("b"), json!("This session is being continued: …"));
    let read = read(&[
        ask("q", Value::Null, json!("first")),
        answer("a", json!("q"), "m1", text("A")),
        json!({"type": "system", "subtype": "compact_boundary", "content": "Conversation compacted", "uuid": "b",
            "parentUuid": null, "logicalParentUuid": "a", "sessionId": MAIN, "timestamp": "2026-01-02T03:04:06Z"}),
        with(summary, json!({"isCompactSummary": true})),
        answer("d", json!("s"), "m2", text("D")),
        json!({"type": "summary", "summary": "Of another session", "leafUuid": "elsewhere", "sessionId": MAIN}),
        json!({"type": "summary", "summary": "Titled", "leafUuid": "d", "sessionId": MAIN}),
    ]);
    assert_eq!(
        told(&read.rounds),
        ["user=first assistant=A", "user=This session is being continued: … assistant=D"]
    );
    assert_eq!(read.active_path(), [0, 1]);
    assert_eq!(read.title.unwrap().decoded(), "Titled");
}

#[test]
fn sub_agents_are_tasks_of_the_calls_that_began_them() {
    let spawn = |id: &str, prompt: &str| {
        json!({"type": "tool_use", "id": id, "name": "Task",
            "input": {"prompt": prompt, "subagent_type": "Explore"}})
    };
    let main = [
        ask("q", Value::Null, json!("go")),
        answer("a", json!("q"), "m1", spawn("k1", "look")),
        answer("b", json!("a"), "m1", spawn("k2", "count")),
        with(
            ask("r", json!("b"), result("k1", "found", false)),
            json!({"toolUseResult": {"agentId": "x1"}}),
        ),
        ask("r2", json!("r"), result("k2", "three", false)),
        // Older versions keep the agent's lines in the session.
        with(ask("s1", Value::Null, json!("count")), json!({"isSidechain": true})),
        with(answer("s2", json!("s1"), "m7", text("three")), json!({"isSidechain": true})),
    ];
    let agent = [
        with(
            ask("t1", Value::Null, json!("look closely")),
            json!({"isSidechain": true, "agentId": "x1"}),
        ),
        with(
            answer("t2", json!("t1"), "m8", text("found")),
            json!({"isSidechain": true, "agentId": "x1"}),
        ),
    ];
    let files = [
        (format!("p/{MAIN}/subagents/agent-x1.jsonl"), json_lines(&agent)),
        (format!("p/{MAIN}.jsonl"), json_lines(&main)),
    ];
    let read = read_files(&files.each_ref().map(|(path, bytes)| (path.as_str(), bytes.as_slice())));
    let [one] = read.conversations.as_slice() else {
        panic!("{} sessions", read.conversations.len())
    };
    assert_eq!(told(&one.rounds).len(), 1);
    let tasks: Vec<_> = one
        .tasks
        .iter()
        .map(|task| {
            let text = |text: &Option<retort_json::Text<'_>>| {
                text.as_ref().map(|one| one.decoded().into_owned())
            };
            (
                task.id.decoded().into_owned(),
                text(&task.tool_call_id),
                text(&task.agent),
                told(&task.rounds),
            )
        })
        .collect();
    let some = |text: &str| Some(text.to_owned());
    assert_eq!(
        tasks,
        [
            (
                "x1".into(),
                some("k1"),
                some("Explore"),
                vec!["user=look closely assistant=found".into()]
            ),
            ("s1".into(), some("k2"), some("Explore"), vec!["user=count assistant=three".into()]),
        ]
    );
    // Without the session that it belongs to, an agent's file is a conversation.
    let (path, bytes) = &files[0];
    let alone = read_files(&[(path.as_str(), bytes.as_slice())]);
    assert_eq!(told(&alone.conversations[0].rounds), ["user=look closely assistant=found"]);
    assert_eq!(alone.conversations[0].id.decoded(), format!("{MAIN}/x1"));
}

#[test]
fn a_session_that_goes_on_from_another_counts_its_history_once() {
    let first = [ask("q", Value::Null, json!("first")), answer("a", json!("q"), "m1", text("A"))];
    let own = [
        with(ask("c", json!("a"), json!("more")), json!({"sessionId": OTHER})),
        with(answer("d", json!("c"), "m2", text("D")), json!({"sessionId": OTHER})),
    ];
    let (one, two) = (json_lines(&first), json_lines(&[&first[..], &own].concat()));
    let (path, other) = (format!("p/{MAIN}.jsonl"), format!("p/{OTHER}.jsonl"));
    let read = read_files(&[(&path, &one), (&other, &two)]);
    let all: Vec<_> = read
        .conversations
        .iter()
        .map(|one| (one.id.decoded().into_owned(), told(&one.rounds)))
        .collect();
    assert_eq!(
        all,
        [
            (MAIN.to_owned(), vec!["user=first assistant=A".to_owned()]),
            (
                OTHER.to_owned(),
                vec!["user=first- assistant=A-".to_owned(), "user=more assistant=D".to_owned()]
            ),
        ]
    );
    // Forks of newer versions have an id of their own and say where each line is from.
    let fork = |line: &Value| {
        with(
            line.clone(),
            json!({"sessionId": OTHER, "forkedFrom": {"sessionId": MAIN, "messageUuid": "q"}}),
        )
    };
    let fork = [&first.each_ref().map(fork)[..], &own].concat();
    let read = read_files(&[(&other, &json_lines(&fork))]);
    assert_eq!(
        told(&read.conversations[0].rounds),
        ["user=first- assistant=A-", "user=more assistant=D"]
    );
}

#[test]
fn a_broken_line_is_refused_and_the_rest_is_read() {
    let mut bytes = json_lines(&[ask("q", Value::Null, json!("first"))]);
    bytes.extend_from_slice(
        b"{\"type\":\"assistant\",\"uuid\":\"a\",\"message\":{\"cont\n42\n{\"silly\":1}\n",
    );
    bytes.extend_from_slice(&json_lines(&[
        answer("b", json!("a"), "m2", text("B")),
        json!({"type": "unheard-of", "sessionId": MAIN, "words": "two words"}),
    ]));
    let read = read_files(&[("s.jsonl", &bytes)]);
    assert_eq!(read.refused.len(), 3, "{:?}", read.refused);
    let one = &read.conversations[0];
    // What follows a lost line follows the line before it.
    assert_eq!(told(&one.rounds), ["user=first assistant=B"]);
    let paths: Vec<_> = one.not_understood.iter().map(|one| one.path.as_str()).collect();
    assert_eq!(paths, ["lines[2].type=unheard-of"]);
}

#[test]
fn a_line_that_came_again_counts_once() {
    let lines = [ask("q", Value::Null, json!("first")), answer("a", json!("q"), "m1", text("A"))];
    let again = read(&[&lines[..], &lines[..]].concat());
    assert_eq!(told(&again.rounds), ["user=first assistant=A"]);
    assert!(again.not_understood.is_empty());
    let other = read(&[&lines[..], &[ask("q", Value::Null, json!("other"))]].concat());
    assert_eq!(other.not_understood[0].path, "lines[2]");
}

#[test]
fn usage_alone_is_no_session() {
    let line = json!({"timestamp": "2026-01-09T10:00:00.000Z", "sessionId": "s", "requestId": "r", "costUSD": 0.12,
        "message": {"role": "assistant", "id": "m", "model": "x", "usage": {"input_tokens": 1, "output_tokens": 2}}});
    let read = read_files(&[("chat.jsonl", &json_lines(&[line]))]);
    assert_eq!(read.refused, ["the session has no messages"]);
}

/// Files, by their paths.
type Files = Vec<(String, Vec<u8>)>;

/// The files of each folder of fixtures with Claude Code's sessions.
fn real() -> Option<BTreeMap<String, Files>> {
    let root = real_data()?;
    let folders = [
        "claude-code-log",
        "copilot-chat-claude/claude",
        "copilot-chat-claude/vscode-node",
        "agentpile/fixtures/claude_code",
        "agentpile/corpora/fixtures/trace_commons/sessions/claude_code",
        "git-ai/transcripts",
        "chatgpt-small/context-carry",
        "git-ai/fixtures",
        "teich",
        "polylogue/fixtures",
        "ccusage/claude",
    ];
    let name = |path: &Path| path.strip_prefix(&root).unwrap().display().to_string();
    let mut groups: BTreeMap<String, Files> = BTreeMap::new();
    for folder in folders {
        for path in files_below(&root.join(folder)) {
            let bytes = std::fs::read(&path).unwrap();
            let is_jsonl = path.extension().is_some_and(|ending| ending == "jsonl");
            let is_one = is_jsonl && read_files(&[("x", &bytes)]).formats == [Some("claude-code")];
            if is_one {
                groups.entry(folder.into()).or_default().push((name(&path), bytes));
            }
        }
    }
    Some(groups)
}

/// What the lines of files hold: messages by role, texts, calls and results, counted without the reader.
#[derive(Debug, Default, PartialEq)]
struct Counted {
    sessions: BTreeSet<String>,
    questions: usize,
    /// Answers of the API; those without an id one for each line.
    answers: BTreeSet<String>,
    texts: Vec<String>,
    thoughts: Vec<String>,
    calls: Vec<String>,
    results: Vec<String>,
}

fn counted(files: &[(String, Vec<u8>)]) -> Counted {
    let mut counted = Counted::default();
    let mut seen = BTreeSet::new();
    let word = |value: &Value| value.as_str().unwrap_or_default().to_owned();
    for (at, (path, bytes)) in files.iter().enumerate() {
        let lines = std::str::from_utf8(bytes).unwrap().lines().enumerate();
        for (number, line) in lines {
            let Ok(line) = serde_json::from_str::<Value>(line) else { continue };
            let kind = word(&line["type"]);
            if !(matches!(&*kind, "user" | "assistant") && line["message"].is_object()) {
                continue;
            }
            let uuid = line["uuid"].as_str().map_or(format!("{path} {number}"), str::to_owned);
            let session = line["sessionId"].as_str().map_or(format!("{at}"), str::to_owned);
            let stem = Path::new(path).file_stem().unwrap().to_string_lossy();
            let of_file = stem.len() == 36 && stem.matches('-').count() == 4;
            if !seen
                .insert((if of_file { stem.into_owned() } else { session.clone() }, uuid.clone()))
            {
                continue;
            }
            counted.sessions.insert(session);
            let content = &line["message"]["content"];
            let blocks = match content {
                Value::String(text) => vec![json!({"type": "text", "text": text})],
                Value::Array(blocks) => blocks.clone(),
                _ => vec![],
            };
            let is_answer = kind == "assistant";
            if is_answer {
                let id = line["message"]["id"]
                    .as_str()
                    .map_or(uuid, |id| format!("{id} {} {at}", word(&line["requestId"])));
                counted.answers.insert(id);
            } else if blocks.iter().any(|block| block["type"] != "tool_result") || blocks.is_empty()
            {
                counted.questions += 1;
            }
            for block in blocks {
                match block["type"].as_str() {
                    Some("text") => counted.texts.push(word(&block["text"])),
                    Some("thinking") => counted.thoughts.push(word(&block["thinking"])),
                    Some("tool_use") => counted.calls.push(format!(
                        "{} {}",
                        word(&block["id"]),
                        word(&block["name"])
                    )),
                    Some("tool_result") => {
                        let said = match &block["content"] {
                            Value::String(text) => text.clone(),
                            Value::Array(parts)
                                if parts.iter().all(|part| part["type"] != "tool_reference") =>
                            {
                                let texts = parts.iter().filter_map(|part| part["text"].as_str());
                                texts.collect::<Vec<_>>().join("\n")
                            }
                            Value::Array(_) => "[tool_reference]".into(),
                            other => other.to_string(),
                        };
                        counted.results.push(format!("{} {said}", word(&block["tool_use_id"])));
                    }
                    _ => {}
                }
            }
        }
    }
    counted
}

fn read_of(read: &Gathered) -> Counted {
    let mut counted = Counted::default();
    for one in &read.conversations {
        counted.sessions.insert(one.id.decoded().into_owned());
        for message in one.messages() {
            if let Some(thought) = &message.reasoning {
                counted.thoughts.push(thought.decoded().into_owned());
            }
            for call in &message.tool_calls {
                counted.calls.push(format!("{} {}", call.id.decoded(), call.name.decoded()));
            }
            let words = message.words().decoded().into_owned();
            match message.role {
                Role::Tool => {
                    let id = message.tool_call_id.as_ref().unwrap().decoded();
                    let is_reference = words.starts_with("[{\"type\":\"tool_reference\"");
                    let words = if is_reference { "[tool_reference]" } else { &words };
                    counted.results.push(format!("{id} {words}"));
                }
                role => {
                    counted.texts.push(words);
                    match role {
                        Role::User => counted.questions += 1,
                        _ => {
                            counted.answers.insert(format!("{}", counted.answers.len()));
                        }
                    }
                }
            }
        }
    }
    counted
}

#[test]
fn real_sessions_are_read_whole() {
    let Some(groups) = real() else { return };
    assert_eq!(groups.len(), 11, "{:?}", groups.keys());
    for (group, files) in groups {
        let named: Vec<_> =
            files.iter().map(|(path, bytes)| (path.as_str(), bytes.as_slice())).collect();
        let read = read_files(&named);
        let (mut there, mut found) = (counted(&files), read_of(&read));
        for (there, found) in
            [(&mut there.calls, &mut found.calls), (&mut there.results, &mut found.results)]
        {
            there.sort();
            found.sort();
        }
        assert_eq!(there.calls, found.calls, "{group}");
        assert_eq!(there.results, found.results, "{group}");
        assert_eq!(there.questions, found.questions, "{group}");
        assert_eq!(there.answers.len(), found.answers.len(), "{group}");
        // Several texts of one answer are in one message.
        let all = found.texts.join("\n");
        for text in &there.texts {
            assert!(all.contains(text.as_str()), "{group}: lost {text:.80}");
        }
        let all = found.thoughts.join("\n\n");
        for text in &there.thoughts {
            assert!(all.contains(text.as_str()), "{group}: lost {text:.80}");
        }
        let told: Vec<_> = read
            .conversations
            .iter()
            .flat_map(|one| {
                one.not_understood.iter().map(|what| format!("{} {}", one.id.decoded(), what.path))
            })
            .collect();
        println!(
            "{group}: {} files, {} sessions, {} refused {:?}, not understood {told:?}",
            files.len(),
            read.conversations.len(),
            read.refused.len(),
            read.refused
        );
    }
}
