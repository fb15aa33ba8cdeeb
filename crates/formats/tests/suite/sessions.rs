//! Sessions of agents that keep a file each, or a text: Aider, Amp, Continue, and Google's Agent Development Kit.

use std::collections::HashSet;
use std::fs;
use std::io::BufReader;

use retort_formats::import::with_text;
use retort_model::{Conversation, Role};
use retort_testing::{files_below, real_data};
use serde_json::{Value, json};

use crate::support::{read_files, told};

/// What one file holds, which is all of that format and wholly understood.
fn read(format: &str, path: &str, bytes: &[u8]) -> Vec<Conversation<'static>> {
    let read = read_files(&[(path, bytes)]);
    assert_eq!(read.formats, [Some(format)], "{path}");
    assert!(read.refused.is_empty(), "{path}: {:?}", read.refused);
    for one in &read.conversations {
        assert!(one.not_understood.is_empty(), "{path}: {:?}", one.not_understood);
    }
    read.conversations
}

fn one(format: &str, item: &Value) -> Conversation<'static> {
    let mut all = read(format, "one.json", item.to_string().as_bytes());
    assert_eq!(all.len(), 1);
    all.remove(0)
}

/// The sessions of a history of Aider's.
fn aider(markdown: &str) -> Vec<Conversation<'static>> {
    let (format, files) = with_text("x/.aider.chat.history.md", b"").unwrap();
    assert_eq!(format.name(), "aider");
    let items: String = (files.items)(Box::new(BufReader::new(markdown.as_bytes())))
        .map(|item| item.unwrap() + "\n")
        .collect();
    read("aider", "history", items.as_bytes())
}

const AIDER: &str = "
# aider chat started at 2024-08-05 19:33:02

> Aider v0.50.0  
> Main model: claude-3-5-sonnet with diff edit format, infinite output  

#### /add a.py  

> Added a.py to the chat  

#### Fix it.  
####   
#### Both of them.  

I fix both.

# A heading of mine

```python
x = 1
```

> Tokens: 1 sent, 2 received.  

#### /clear  
#### /ask why?  

Because.

# aider chat started at 2024-08-06 10:00:00

> Aider v0.50.0  
";

#[test]
fn aider_cuts_its_history_at_sessions_and_where_the_context_was_cleared() {
    let read = aider(AIDER);
    // Lines of one prompt are one block; `/clear` is typed alone.
    let cleared = AIDER.replace("#### /clear  \n####", "#### /clear  \n\n####");
    assert_eq!(read.len(), 1);
    let read = aider(&cleared);
    let rounds: Vec<_> = read.iter().map(|one| told(&one.rounds)).collect();
    assert_eq!(
        rounds,
        [
            [
                "user=Fix it.\n\nBoth of them. assistant=I fix both.\n\n# A heading of mine\n\n```python\nx = 1\n```"
            ],
            ["user=/ask why? assistant=Because."]
        ]
    );
    assert_eq!(read[0].model.as_ref().unwrap().decoded(), "claude-3-5-sonnet");
    assert_eq!(read[0].created_at.unwrap().to_string(), "2024-08-05T19:33:02Z");
    let events = read[0].metadata.get("events").unwrap().as_str();
    assert!(events.contains("/add a.py") && events.contains("Tokens: 1 sent"), "{events}");
}

#[test]
fn aider_is_known_by_its_name_or_by_how_a_session_begins() {
    let known = |name: &str, start: &str| with_text(name, start.as_bytes()).is_some();
    assert!(known(".aider.chat.history.md", "") && known("b/old.aider.chat.history.md", "x"));
    assert!(known("notes.md", "x\n# aider chat started at 2024-08-05 19:33:02\n"));
    assert!(!known("README.md", "# Hello\nThis is how aider chat started at home."));
}

/// Of the real history, counted line by line with the rules of the program that wrote it.
#[test]
fn all_that_was_asked_and_answered_in_a_real_history_of_aider_is_read() {
    let Some(root) = real_data() else { return };
    let text = fs::read_to_string(root.join("aider/chat-history.head.md")).unwrap();
    let read = aider(&text);
    let sessions = text.lines().filter(|line| line.starts_with("# aider chat started at ")).count();
    assert_eq!(sessions, 294);
    // What was typed, a prompt for each block of lines, without commands.
    let (mut typed, mut prompt) = (0, String::new());
    for line in text.lines().chain([""]) {
        if let Some(line) = line.strip_prefix("#### ") {
            prompt.push_str(line.trim());
            prompt.push(' ');
            continue;
        }
        let words = std::mem::take(&mut prompt);
        let is_sent = ["/ask ", "/code ", "/architect ", "/context ", "/help "]
            .iter()
            .any(|one| words.trim().starts_with(one));
        let says = !matches!(words.trim(), "" | "<blank>");
        typed += usize::from(says && (is_sent || !words.trim().starts_with(['/', '!'])));
    }
    let of = |role: Role| {
        read.iter().flat_map(Conversation::messages).filter(|one| one.role == role).count()
    };
    assert_eq!(of(Role::User), typed);
    assert!(read.len() <= sessions && read.len() >= 150, "{}", read.len());
    // Of the sessions in which something was asked, every line that is neither typed nor reported is in an answer or in
    // an event.
    let mut there: HashSet<String> = HashSet::new();
    let mut answered = 0;
    for one in &read {
        let events = one.metadata.get("events").map_or("[]", |raw| raw.as_str());
        let events: Vec<String> = serde_json::from_str(events).unwrap();
        let answers = one.messages().filter(|one| one.role == Role::Assistant);
        let answers: Vec<_> = answers.map(|one| one.words().decoded().into_owned()).collect();
        answered += answers.len();
        there
            .extend(answers.iter().chain(&events).flat_map(|text| text.lines()).map(str::to_owned));
    }
    // Not all that was asked was answered, and commands print, too.
    assert!(answered > 160, "{answered}");
    let mut lines = 0;
    for session in text.split("\n# aider chat started at ").skip(1) {
        let is_asked = session.lines().any(|line| {
            let typed = line.strip_prefix("#### ").map_or("", str::trim);
            !matches!(typed, "" | "<blank>") && !typed.starts_with(['/', '!'])
        });
        let own = session
            .lines()
            .skip(1)
            .filter(|line| !line.starts_with(['>']) && !line.starts_with("####"));
        for line in own.filter(|line| is_asked && !line.trim().is_empty()) {
            lines += 1;
            assert!(there.contains(line), "{line}");
        }
    }
    assert!(lines > 7_000, "{lines}");
}

fn amp() -> Value {
    json!({"v": 85, "id": "T-1", "created": 1_772_243_812_131_u64, "title": "Jokes", "agentMode": "smart",
        "nextMessageId": 4, "env": {"initial": {"tags": ["model:m"]}}, "meta": {"traces": []},
        "messages": [
            {"role": "user", "messageId": 0, "content": [{"type": "text", "text": "Add a joke."}],
             "meta": {"sentAt": 1_772_243_812_139_u64}, "userState": {"currentlyVisibleFiles": []}},
            {"role": "assistant", "messageId": 1, "state": {"type": "complete", "stopReason": "tool_use"},
             "usage": {"model": "m", "inputTokens": 3, "outputTokens": 7, "timestamp": "2026-02-28T01:56:54Z"},
             "content": [{"type": "thinking", "thinking": "Where?", "signature": "s", "provider": "anthropic"},
                         {"type": "tool_use", "complete": true, "id": "k1", "name": "Read", "input": {"path": "j.csv"}}]},
            {"role": "user", "messageId": 2, "content": [{"type": "tool_result", "toolUseID": "k1",
                "run": {"status": "error", "error": {"message": "no such file"}, "trackFiles": []}}]},
            {"role": "assistant", "messageId": 3, "content": [{"type": "text", "text": "There is none."}],
             "state": {"type": "complete", "stopReason": "end_turn"}, "turnElapsedMs": 1}]})
}

#[test]
fn amp_keeps_results_under_how_they_ended() {
    let read = one("amp", &amp());
    assert_eq!(
        told(&read.rounds),
        [
            "user=Add a joke. assistant=<Where?>!k1:Read:{\"path\":\"j.csv\"} tool=(k1)~no such file assistant=There is none."
        ]
    );
    let failed = read.messages().find(|one| one.role == Role::Tool).unwrap();
    assert_eq!(failed.error.as_ref().unwrap().decoded(), "no such file");
    assert_eq!(read.rounds[0].model.as_ref().unwrap().decoded(), "m");
    let mut odd = amp();
    odd["messages"][2]["content"][0]["run"]["status"] = json!("levitated");
    let read = read_files(&[("odd.json", odd.to_string().as_bytes())]);
    assert_eq!(
        read.conversations[0].not_understood[0].path,
        "messages[2].content[0].run.status=levitated"
    );
}

fn continue_session(told_again: bool) -> Value {
    let call = json!({"id": "k1", "type": "function", "function": {"name": "Read", "arguments": "{\"filepath\":\"a\"}"}});
    let mut history = vec![
        json!({"message": {"role": "user", "content": "What is in a?"}, "contextItems": [{"name": "a", "description": "d", "content": "c"}],
               "editorState": {"type": "doc"}}),
        json!({"message": {"role": "assistant", "content": "I look.", "toolCalls": [call]}, "contextItems": [],
               "reasoning": {"active": false, "text": "Look.", "startAt": 1}, "promptLogs": [{"prompt": "p", "completion": "c"}],
               "toolCallStates": [{"toolCallId": "k1", "toolCall": call, "status": "done", "parsedArgs": {},
                                   "output": [{"content": "fn a()", "name": "Tool Result", "description": "r"}]}]}),
    ];
    if told_again {
        history.push(json!({"message": {"role": "tool", "content": "fn a()", "toolCallId": "k1"}, "contextItems": []}));
    }
    history.push(
        json!({"message": {"role": "assistant", "content": "A function."}, "contextItems": []}),
    );
    json!({"sessionId": "s", "title": "A", "workspaceDirectory": "/w", "history": history})
}

#[test]
fn continue_keeps_what_came_of_a_call_beside_it_and_in_a_message() {
    for told_again in [false, true] {
        let read = one("continue", &continue_session(told_again));
        assert_eq!(
            told(&read.rounds),
            [
                "user=What is in a? assistant=I look.<Look.>!k1:Read:{\"filepath\":\"a\"} tool=fn a()(k1) assistant=A function."
            ]
        );
    }
}

#[test]
fn adk_names_the_agents_that_said_something() {
    let event = |author: &str, role: &str, parts: Value| {
        json!({"id": "e", "invocationId": "i", "author": author, "timestamp": 1_772_243_812.5,
               "content": {"role": role, "parts": parts}, "actions": {"stateDelta": {}}, "partial": null})
    };
    let mut partial = event("root", "model", json!([{"text": "It ra"}]));
    partial["partial"] = json!(true);
    let session = json!({"id": "s", "appName": "weather", "userId": "u", "state": {}, "lastUpdateTime": 1_772_243_813.0, "events": [
        event("user", "user", json!([{"text": "Rain?"}])),
        event("root", "model", json!([{"text": "Look.", "thought": true}, {"functionCall": {"id": "k", "name": "weather", "args": {"city": "Oslo"}}}])),
        event("root", "user", json!([{"functionResponse": {"id": "k", "name": "weather", "response": {"result": "rain"}}}])),
        partial,
        event("root", "model", json!([{"text": "It rains."}])),
    ]});
    let read = one("adk", &session);
    assert_eq!(
        told(&read.rounds),
        [
            "user=Rain? assistant=<Look.>!k:weather:{\"city\":\"Oslo\"} tool={\"result\":\"rain\"}(k) assistant=It rains."
        ]
    );
    let last = read.messages().last().unwrap();
    assert_eq!(last.name.as_ref().unwrap().decoded(), "root");
    assert_eq!(read.owner.as_ref().unwrap().decoded(), "u");
}

fn vscode() -> Value {
    json!({"version": 3, "requesterUsername": "ada", "responderUsername": "GitHub Copilot", "sessionId": "s", "creationDate": 1_772_243_812_131_u64,
      "customTitle": "Jokes", "requests": [
        {"requestId": "r1", "timestamp": 1_772_243_812_131_u64, "modelId": "copilot/m", "vote": 1, "isCanceled": false,
         "message": {"text": "Add a joke.", "parts": []}, "variableData": {"variables": []},
         "response": [{"value": "I will"}, {"kind": "toolInvocationSerialized", "toolId": "x"}],
         "result": {"timings": {}, "metadata": {"renderedUserMessage": [{"type": 1, "text": "<context>long</context>"}],
            "toolCallRounds": [{"response": "I will look.", "toolCalls": [{"id": "k1", "name": "grep", "arguments": "{}"}], "toolInputRetry": 0, "id": "a"},
                               {"response": "Done.", "toolCalls": [], "id": "b"}],
            "toolCallResults": {"k1": {"content": [{"value": {"node": {"type": 1, "children": [
                {"type": 2, "text": "1 match", "lineBreakBefore": true}, {"type": 2, "text": "in a.csv", "lineBreakBefore": true}]}}}]}}}}}]})
}

const VSCODE: &str =
    "user=Add a joke. assistant=I will look.!k1:grep:{} tool=1 match\nin a.csv(k1) assistant=Done.";

#[test]
fn copilot_keeps_what_the_model_wrote_beside_what_was_shown() {
    let read = one("vscode-chat", &vscode());
    assert_eq!(told(&read.rounds), [VSCODE]);
    assert_eq!(read.title.as_ref().unwrap().decoded(), "Jokes");
    let last = read.messages().last().unwrap();
    assert_eq!(last.feedback.as_ref().unwrap().rating.as_ref().unwrap().as_str(), "1");
    // Without it, what was shown counts; what is called there has no arguments.
    let mut shown = vscode();
    shown["requests"][0]["result"] = json!({});
    let read = read_files(&[("shown.json", shown.to_string().as_bytes())]);
    let read = &read.conversations[0];
    assert_eq!(told(&read.rounds), ["user=Add a joke. assistant=I will"]);
    assert_eq!(
        read.not_understood[0].path,
        "requests[0].response[1].kind=toolInvocationSerialized"
    );
}

#[test]
fn requests_that_were_undone_in_vscode_are_beside_the_path() {
    let request = |text: &str, fields: Value| {
        let mut request = json!({"requestId": text, "timestamp": 1_772_243_812_131_u64, "message": {"text": text, "parts": []},
            "response": [{"value": text.to_uppercase()}]});
        request.as_object_mut().unwrap().extend(fields.as_object().unwrap().clone());
        request
    };
    let chat = |requests: Value| {
        json!({"version": 3, "responderUsername": "GitHub Copilot", "sessionId": "s",
            "creationDate": 1_772_243_812_131_u64, "requests": requests})
    };
    for undone in [json!({"shouldBeRemovedOnSend": {"requestId": "q2"}}), json!({"isHidden": true})]
    {
        let requests = json!([
            request("q1", json!({"isHidden": false})),
            request("q2", undone),
            request("q3", json!({}))
        ]);
        let read = one("vscode-chat", &chat(requests));
        let expect = ["user=q1 assistant=Q1", "user=q2 assistant=Q2-", "user=q3 assistant=Q3"];
        assert_eq!(told(&read.rounds), expect);
        assert_eq!(read.active_path(), [0, 2]);
    }
    let requests = (0..5).map(|state| {
        request(&format!("q{state}"), json!({"modelState": {"value": state, "completedAt": 1}}))
    });
    let read = one("vscode-chat", &chat(requests.collect()));
    let answers = read.messages().filter(|one| one.role == Role::Assistant);
    let ends: Vec<_> = answers
        .map(|one| one.finish_reason.as_ref().map(|end| end.decoded().into_owned()))
        .collect();
    let expect = [Some("incomplete"), None, Some("cancelled"), Some("failed"), Some("incomplete")];
    assert_eq!(ends.iter().map(Option::as_deref).collect::<Vec<_>>(), expect);
    assert!(read.messages().all(|one| one.is_cut_off() == one.finish_reason.is_some()));
}

#[test]
fn vscode_logs_the_changes_of_a_chat() {
    let whole = vscode();
    let mut first = whole.clone();
    first["requests"] = json!([]);
    let mut request = whole["requests"][0].clone();
    let shown = request["response"].take();
    let lines = [
        json!({"kind": 0, "v": first}),
        json!({"kind": 1, "k": ["inputState", "inputText"], "v": "x"}),
        json!({"kind": 2, "k": ["requests"], "v": [request]}),
        json!({"kind": 1, "k": ["requests", 0, "response"], "v": [{"value": "I wi"}]}),
        // From a place on, written anew.
        json!({"kind": 2, "k": ["requests", 0, "response"], "i": 0, "v": shown}),
        json!({"kind": 3, "k": ["customTitle"]}),
    ];
    // The state of what is typed is not there yet in this one.
    let lines: Vec<_> = lines.into_iter().filter(|line| line["k"][0] != "inputState").collect();
    let read = read("vscode-chat", "log.jsonl", &crate::support::lines(&lines));
    assert_eq!(told(&read[0].rounds), [VSCODE]);
    assert!(read[0].title.is_none());
    let torn =
        [json!({"kind": 0, "v": first}), json!({"kind": 1, "k": ["requests", 7, "x"], "v": 1})];
    let read = read_files(&[("torn.jsonl", &crate::support::lines(&torn))]);
    assert!(read.refused[0].contains("line 2 of the log"), "{:?}", read.refused);
}

#[test]
fn all_that_was_asked_and_called_in_real_chats_of_vscode_is_read() {
    let Some(root) = real_data() else { return };
    let mut seen = 0;
    for file in files_below(&root.join("git-ai/fixtures")) {
        let name = file.file_name().unwrap().to_string_lossy().into_owned();
        let is_one = ["simple.json", "simple.jsonl", "multiline.jsonl", "empty_then_patched.jsonl"];
        if !is_one.iter().any(|end| name == format!("copilot_session_{end}")) {
            continue;
        }
        seen += 1;
        let bytes = fs::read(&file).unwrap();
        let read = read("vscode-chat", &name, &bytes);
        let (mut asked, mut calls) = (Vec::new(), 0);
        for value in serde_json::Deserializer::from_slice(&bytes).into_iter::<Value>() {
            let value = value.unwrap();
            let lists = [value.get("requests"), value.pointer("/v/requests"), value.get("v")];
            for request in lists.into_iter().flatten().filter_map(Value::as_array).flatten() {
                let Some(text) = request.pointer("/message/text") else { continue };
                asked.push(text.as_str().unwrap().to_owned());
                let rounds = request.pointer("/result/metadata/toolCallRounds");
                let rounds = rounds.and_then(Value::as_array).into_iter().flatten();
                calls +=
                    rounds.map(|one| one["toolCalls"].as_array().unwrap().len()).sum::<usize>();
            }
        }
        let messages = || read.iter().flat_map(Conversation::messages);
        let said: Vec<_> = messages()
            .filter(|one| one.role == Role::User)
            .map(|one| one.words().decoded().into_owned())
            .collect();
        assert_eq!(said, asked, "{name}");
        assert_eq!(messages().map(|one| one.tool_calls.len()).sum::<usize>(), calls, "{name}");
        assert!(messages().all(|one| one.role != Role::Tool || !one.words().is_empty()), "{name}");
    }
    assert_eq!(seen, 4);
}

#[test]
fn a_run_state_of_the_agents_sdk_goes_on_from_its_input() {
    let state = json!({"$schemaVersion": "1.13", "original_input": "Rain?", "current_agent": {"name": "a"}, "session_items": [],
        "generated_items": [
            {"type": "tool_call_item", "raw_item": {"type": "function_call", "call_id": "k", "name": "weather", "arguments": "{}"}},
            {"type": "tool_approval_item", "raw_item": {"type": "function_call", "call_id": "k", "name": "weather", "arguments": "{}"}},
            {"type": "tool_call_output_item", "output": "rain", "raw_item": {"type": "function_call_output", "call_id": "k", "output": "rain"}},
            {"type": "message_output_item", "raw_item": {"type": "message", "role": "assistant", "content": [{"type": "output_text", "text": "Yes."}]}}],
        "model_responses": []});
    let read = one("run-state", &state);
    assert_eq!(
        told(&read.rounds),
        ["user=Rain? assistant=!k:weather:{} tool=rain(k) assistant=Yes."]
    );
}

/// Texts, calls and results of real files, counted in their JSON without a reader.
#[test]
fn all_texts_and_calls_of_real_sessions_are_read() {
    let Some(root) = real_data() else { return };
    for (format, folder, path) in [
        ("amp", "git-ai/fixtures/amp-threads", "T-"),
        ("continue", "git-ai/fixtures", "continue-cli-session"),
        ("adk", "adk-python", ".test.json"),
        ("adk", "adk-python", ".session.json"),
    ] {
        let mut files = 0;
        for file in files_below(&root.join(folder)) {
            let name = file.file_name().unwrap().to_string_lossy().into_owned();
            let bytes = fs::read(&file).unwrap();
            let whole: Value = serde_json::from_slice(&bytes).unwrap_or_default();
            // Two are lists of questions and references, which are another format.
            if !name.contains(path) || !whole.is_object() {
                continue;
            }
            files += 1;
            let read = read(format, &name, &bytes);
            let (mut texts, mut calls) = (Vec::new(), 0);
            counted(format, &whole, &mut texts, &mut calls);
            let messages = || read.iter().flat_map(Conversation::messages);
            let said: String = messages()
                .map(|one| {
                    let reasoning = one.reasoning.as_ref().map(|text| text.decoded().into_owned());
                    one.words().decoded().into_owned() + &reasoning.unwrap_or_default()
                })
                .collect();
            for text in texts {
                assert!(said.contains(&text), "{name}: {text}");
            }
            let read_calls: usize = messages().map(|one| one.tool_calls.len()).sum();
            assert_eq!(read_calls, calls, "{name}");
        }
        assert!(files > 0, "{format}");
    }
}

/// What is said, and how often something is called.
fn counted(format: &str, value: &Value, texts: &mut Vec<String>, calls: &mut usize) {
    match value {
        Value::Array(list) => list.iter().for_each(|one| counted(format, one, texts, calls)),
        Value::Object(map) => {
            let text = |name: &str| map.get(name).and_then(Value::as_str).map(str::to_owned);
            *calls += usize::from(match format {
                "amp" => text("type").as_deref() == Some("tool_use"),
                "continue" => map.contains_key("function") && map.contains_key("id"),
                _ => {
                    map.get("function_call").is_some_and(Value::is_object)
                        || map.contains_key("args") && map.contains_key("id")
                }
            });
            texts.extend(match format {
                "continue" => map.contains_key("role").then(|| text("content")).flatten(),
                _ => text("text").or_else(|| text("thinking")),
            });
            for (key, value) in map {
                let is_beside = matches!(
                    key.as_str(),
                    "toolCallStates" | "event_logs" | "session_input" | "past_events"
                );
                if !is_beside {
                    counted(format, value, texts, calls);
                }
            }
        }
        _ => {}
    }
}
