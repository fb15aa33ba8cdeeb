//! Histories of agent frameworks and of products built on them: threads of assistants, Pydantic AI, LangGraph, promptfoo,
//! FastGPT and Windsurf.

use retort_model::{Conversation, Kind};
use retort_testing::real_data;
use serde_json::{Value, json};

use crate::support::{read_files, told};

/// What one file holds, which is all of that format and wholly understood.
fn read(format: &str, path: &str, text: &str) -> Vec<Conversation<'static>> {
    let read = read_files(&[(path, text.as_bytes())]);
    assert_eq!(read.formats, [Some(format)], "{path}");
    assert!(read.refused.is_empty(), "{path}: {:?}", read.refused);
    for one in &read.conversations {
        assert!(one.not_understood.is_empty(), "{path}: {:?}", one.not_understood);
    }
    read.conversations
}

fn one(format: &str, item: &Value) -> Conversation<'static> {
    let mut all = read(format, "one.json", &item.to_string());
    assert_eq!(all.len(), 1);
    all.remove(0)
}

fn lines(format: &str, rows: &[Value]) -> Vec<Conversation<'static>> {
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    read(format, "rows.jsonl", &text)
}

/// A message of a thread.
fn message(thread: &str, role: &str, text: &str, at: u64) -> Value {
    json!({"id": format!("msg_{at}"), "object": "thread.message", "created_at": at, "thread_id": thread, "role": role,
        "assistant_id": null, "run_id": null, "attachments": [], "metadata": {},
        "content": [{"type": "text", "text": {"value": text, "annotations": []}}]})
}

#[test]
fn pages_of_threads_are_joined_in_the_order_of_time_whatever_theirs_is() {
    let page = json!({"object": "list", "has_more": false, "first_id": "msg_3", "last_id": "msg_1", "data": [
        message("t", "assistant", "4", 1_700_000_003), message("t", "user", "2+2?", 1_700_000_003),
        message("t", "assistant", "Hello", 1_700_000_002), message("t", "user", "Hi", 1_700_000_001)]});
    let steps = json!({"object": "list", "data": [{"id": "step_1", "object": "thread.run.step", "thread_id": "t",
        "run_id": "r", "created_at": 1_700_000_002, "type": "tool_calls", "status": "completed",
        "step_details": {"type": "tool_calls", "tool_calls": [
            {"id": "c", "type": "function", "function": {"name": "add", "arguments": "{\"a\":2}", "output": "4"}},
            {"id": "d", "type": "code_interpreter", "code_interpreter": {"input": "2+2",
                "outputs": [{"type": "logs", "logs": "4\n"}]}}]}},
        {"id": "step_0", "object": "thread.run.step", "thread_id": "t", "run_id": "r", "created_at": 1_700_000_002,
            "type": "message_creation", "step_details": {"type": "message_creation",
            "message_creation": {"message_id": "msg_2"}}}]});
    let run = json!({"id": "r", "object": "thread.run", "thread_id": "t", "created_at": 1_700_000_001, "model": "gpt-4o",
        "instructions": "Be brief.", "tools": [{"type": "code_interpreter"}], "status": "completed"});
    let text =
        format!("{page}\n{steps}\n{run}\n{}\n", message("u", "user", "Other", 1_700_000_000));
    let mut all = read("threads", "pages.jsonl", &text);
    all.sort_by_key(|one| one.id.decoded().into_owned());
    assert_eq!(
        told(&all[0].rounds),
        [
            "system=Be brief. user=Hi assistant=!c:add:{\"a\":2}!d:code_interpreter:{\"input\":\"2+2\"} tool=4(c) \
             tool=4\n(d) assistant=Hello",
            "user=2+2? assistant=4"
        ]
    );
    assert_eq!(all[0].model.as_ref().unwrap().decoded(), "gpt-4o");
    assert_eq!(all[0].rounds[0].tools.len(), 1);
    assert_eq!(told(&all[1].rounds), ["user=Other"]);
}

#[test]
fn threads_of_jan_have_their_title_and_times_in_milliseconds() {
    let thread = json!({"id": "t", "object": "thread", "title": "Talk", "created": 1_717_171_717,
        "assistants": [{"id": "jan", "name": "Jan", "model": {"id": "llama3", "engine": "llama-cpp"},
            "instructions": "Be kind."}]});
    let mut user = message("t", "user", "Hi", 1_717_171_717_171);
    user["completed_at"] = json!(1_717_171_717_171_u64);
    user["type"] = json!("text");
    let answer = message("t", "assistant", "Hello", 1_717_171_717_999);
    let read = lines("threads", &[answer, user, thread]);
    assert_eq!(read.len(), 1);
    assert_eq!(told(&read[0].rounds), ["system=Be kind. user=Hi assistant=Hello"]);
    assert_eq!(read[0].title.as_ref().unwrap().decoded(), "Talk");
    assert_eq!(read[0].model.as_ref().unwrap().decoded(), "llama3");
    assert_eq!(read[0].updated_at.unwrap().to_string(), "2024-05-31T16:08:37.999Z");
}

/// A run of an agent with a thought, a call, a retry and an answer.
fn pydantic() -> Value {
    json!([
        {"parts": [{"content": "Be nice.", "timestamp": "2025-01-01T00:00:00Z", "part_kind": "system-prompt"},
            {"content": ["Look: ", {"url": "https://x/y.png", "kind": "image-url"}], "timestamp": "2025-01-01T00:00:00Z",
                "part_kind": "user-prompt"}],
            "instructions": "In English.", "kind": "request"},
        {"parts": [{"content": "hm", "part_kind": "thinking", "signature": "s"},
            {"tool_name": "w", "args": {"a": 1}, "tool_call_id": "c", "part_kind": "tool-call"}],
            "usage": {"input_tokens": 5, "output_tokens": 2, "details": {}}, "model_name": "gpt-4o",
            "timestamp": "2025-01-01T00:00:01Z", "kind": "response", "finish_reason": "tool_call"},
        {"parts": [{"tool_name": "w", "content": {"t": 3}, "tool_call_id": "c", "timestamp": "2025-01-01T00:00:02Z",
            "part_kind": "tool-return"}], "instructions": "In English.", "kind": "request"},
        {"parts": [{"content": "It is 3.", "part_kind": "text"}], "model_name": "gpt-4o",
            "timestamp": "2025-01-01T00:00:03Z", "kind": "response"},
        {"parts": [{"tool_name": "w", "content": "Fix it.", "tool_call_id": "d", "part_kind": "retry-prompt"}],
            "kind": "request"}
    ])
}

#[test]
fn requests_and_responses_of_pydantic_ai_are_a_conversation() {
    let expect = [
        "system=In English. system=Be nice. user=Look: +image assistant=<hm>!c:w:{\"a\":1} tool={\"t\":3}(c) \
         assistant=It is 3. tool=Fix it.(d)~retry",
    ];
    for item in [pydantic(), json!({"id": "x", "messages": pydantic()})] {
        let read = one("pydantic-ai", &item);
        assert_eq!(told(&read.rounds), expect);
        assert_eq!(read.rounds[0].model.as_ref().unwrap().decoded(), "gpt-4o");
        assert_eq!(read.rounds[0].usage.input_tokens, Some(5));
        assert_eq!(read.created_at.unwrap().to_string(), "2025-01-01T00:00:00Z");
    }
    assert_eq!(lines("pydantic-ai", &[pydantic(), pydantic()]).len(), 2);
    let unknown = json!([{"kind": "request", "parts": [{"part_kind": "zz", "content": "q"},
        {"part_kind": "user-prompt", "content": "q"}]}]);
    let read = read_files(&[("x.json", unknown.to_string().as_bytes())]);
    assert_eq!(&*read.conversations[0].not_understood[0].path, "messages[0].parts[0].part_kind=zz");
}

/// Messages as LangChain dumps them.
fn langchain() -> [Value; 4] {
    [
        json!({"type": "human", "content": "q", "id": "1"}),
        json!({"type": "ai", "content": "", "id": "2", "tool_calls": [{"name": "f", "args": {"a": 1}, "id": "c",
            "type": "tool_call"}], "response_metadata": {"model_name": "m"}}),
        json!({"type": "tool", "content": "r", "tool_call_id": "c", "name": "f", "id": "3"}),
        json!({"type": "ai", "content": "a", "id": "4"}),
    ]
}

#[test]
fn states_of_langgraph_are_known_by_their_thread() {
    let expect = ["user=q assistant=!c:f:{\"a\":1} tool=r(c) assistant=a"];
    let snapshot = json!({"values": {"messages": langchain(), "topic": "x"}, "next": [], "tasks": [],
        "metadata": {"step": 3, "source": "loop"}, "created_at": "2024-08-29T19:19:38.821749+00:00",
        "config": {"configurable": {"thread_id": "t", "checkpoint_ns": "", "checkpoint_id": "c"}}, "parent_config": null});
    let state = json!({"values": {"messages": langchain()}, "next": [],
        "checkpoint": {"thread_id": "t", "checkpoint_id": "c"}, "created_at": "2024-08-29T19:19:38Z", "metadata": {}});
    let thread = json!({"thread_id": "t", "created_at": "2024-08-29T19:19:38Z", "status": "idle",
        "values": {"messages": langchain()}, "metadata": {"graph_id": "g"}, "interrupts": {}});
    for item in [snapshot, state, thread] {
        let read = one("langgraph", &item);
        assert_eq!(
            (&*read.id.decoded(), told(&read.rounds)),
            ("t", expect.map(String::from).to_vec())
        );
        assert!(read.created_at.is_some());
    }
}

#[test]
fn a_list_of_serialized_messages_is_one_conversation() {
    let class = |kind: &str| match kind {
        "human" => "HumanMessage",
        "ai" => "AIMessage",
        _ => "ToolMessage",
    };
    let dump = langchain().map(|message| {
        let class = class(message["type"].as_str().unwrap());
        json!({"lc": 1, "type": "constructor", "id": ["langchain", "schema", "messages", class], "kwargs": message})
    });
    let read = one("openai", &json!(dump));
    assert_eq!(told(&read.rounds), ["user=q assistant=!c:f:{\"a\":1} tool=r(c) assistant=a"]);
}

/// A result of promptfoo.
fn graded(prompt: &str, output: Value) -> Value {
    json!({"cost": 0.1, "latencyMs": 3, "id": "r", "namedScores": {}, "promptId": "p", "promptIdx": 0, "testIdx": 1,
        "gradingResult": {"pass": false, "score": 0.5, "reason": "too short", "componentResults": []},
        "prompt": {"raw": prompt, "label": "Say {{x}}"}, "provider": {"id": "openai:gpt-4o", "label": ""},
        "response": {"output": output, "tokenUsage": {"total": 3, "prompt": 1, "completion": 2}},
        "score": 0.5, "success": false, "error": "too short", "failureReason": 1,
        "testCase": {"vars": {"x": "hi"}, "assert": [{"type": "contains", "value": "hello there"}]}, "vars": {"x": "hi"}})
}

#[test]
fn results_of_promptfoo_are_conversations_with_their_score() {
    let chat = r#"[{"role":"system","content":"S"},{"role":"user","content":"Say hi"}]"#;
    let call =
        json!([{"id": "c", "type": "function", "function": {"name": "f", "arguments": "{}"}}]);
    let file = json!({"evalId": "eval-1", "config": {"prompts": ["Say {{x}}"]}, "shareableUrl": null,
        "results": {"version": 3, "timestamp": "2025-01-01T00:00:00.000Z", "prompts": [], "stats": {"successes": 1},
            "results": [graded("Say hi", json!("hi")), graded(chat, call), graded("q", json!({"a": 1}))]}});
    let all = read("promptfoo", "results.json", &file.to_string());
    let rounds: Vec<_> = all.iter().flat_map(|one| told(&one.rounds)).collect();
    assert_eq!(
        rounds,
        [
            "user=Say hi assistant=hi-",
            "system=S user=Say hi assistant=!c:f:{}-",
            "user=q assistant={\"a\":1}-"
        ]
    );
    let answer = all[0].messages().last().unwrap();
    let feedback = answer.feedback.as_ref().unwrap();
    assert_eq!(feedback.rating.as_ref().unwrap().as_str(), "0.5");
    assert_eq!(feedback.label.as_ref().unwrap().decoded(), "fail");
    assert_eq!(feedback.comment.as_ref().unwrap().decoded(), "too short");
    // An assertion that failed is no failure of the model, but its answer is not to be trained on.
    assert_eq!(answer.error, None);
    assert_eq!(all[0].model.as_ref().unwrap().decoded(), "openai:gpt-4o");
    assert_eq!(all[0].created_at.unwrap().to_string(), "2025-01-01T00:00:00Z");
    assert_eq!(lines("promptfoo", &[graded("q", json!("a")), graded("r", json!("b"))]).len(), 2);
}

#[test]
fn a_call_that_failed_in_promptfoo_has_its_error() {
    let mut failed = graded("q", Value::Null);
    failed["response"] = json!({"error": "API error: 429"});
    failed["failureReason"] = json!(2);
    failed["gradingResult"] = Value::Null;
    let read = one("promptfoo", &failed);
    assert_eq!(told(&read.rounds), ["user=q assistant=~API error: 429-"]);
}

/// A row of FastGPT's messages.
fn chat_item(obj: &str, value: Value, second: u8) -> Value {
    json!({"_id": {"$oid": format!("65{second}")}, "teamId": "t", "tmbId": "u", "userId": "u", "chatId": "c1",
        "dataId": format!("d{second}"), "appId": "a", "time": {"$date": format!("2024-05-01T00:00:0{second}Z")},
        "hideInUI": false, "obj": obj, "value": value})
}

#[test]
fn rows_of_fastgpt_are_joined_with_their_tools_and_likes() {
    let mut answer = chat_item(
        "AI",
        json!([{"type": "reasoning", "reasoning": {"content": "hm"}},
            {"type": "tool", "tools": [{"id": "k", "toolName": "Weather", "toolAvatar": "x", "functionName": "weather",
                "params": "{\"a\":1}", "response": "rain"}]},
            {"type": "text", "text": {"content": "It rains."}}]),
        2,
    );
    answer["userBadFeedback"] = json!("wrong");
    answer["responseData"] =
        json!([{"moduleType": "chatNode", "model": "gpt-4o", "query": "how is the weather"}]);
    let asked = chat_item(
        "Human",
        json!([{"type": "text", "text": {"content": "Weather?"}},
            {"type": "file", "file": {"type": "image", "name": "a.png", "url": "https://x/a.png"}}]),
        1,
    );
    let old = chat_item("Human", json!("And now?"), 3);
    let read = lines("fastgpt", &[answer.clone(), old, asked.clone()]);
    assert_eq!(read.len(), 1);
    assert_eq!(
        told(&read[0].rounds),
        [
            "user=Weather?+image assistant=<hm>!k:weather:{\"a\":1} tool=rain(k) assistant=It rains.",
            "user=And now?"
        ]
    );
    assert_eq!(read[0].rounds[0].model.as_ref().unwrap().decoded(), "gpt-4o");
    let rated = read[0].messages().find_map(|message| message.feedback.as_ref()).unwrap();
    assert_eq!(rated.rating.as_ref().unwrap().as_str(), "-1");
    let page = json!({"code": 200, "data": {"list": [asked, answer], "total": 2}});
    assert_eq!(told(&one("fastgpt", &page).rounds).len(), 1);
}

#[test]
fn steps_of_windsurf_are_calls_with_what_came_of_them() {
    let rows = [
        json!({"status": "done", "type": "user_input", "user_input": {"user_response": "Run it"}}),
        json!({"status": "done", "type": "planner_response", "planner_response": {"response": "I run it."}}),
        json!({"status": "done", "type": "run_command",
            "run_command": {"command": "ls", "cwd": "/w", "exit_code": 0, "output": "a b", "user_rejected": false}}),
        json!({"status": "done", "type": "list_directory", "list_directory": {"path": "file:///w"}}),
        json!({"status": "error", "type": "view_file", "view_file": {"path": "file:///w/a"}}),
    ];
    let read = lines("windsurf", &rows);
    assert_eq!(read.len(), 1);
    assert_eq!(read[0].kind, Kind::Agent);
    assert_eq!(
        told(&read[0].rounds),
        [
            "user=Run it assistant=I run it. assistant=!:run_command:{\"command\":\"ls\",\"cwd\":\"/w\"} tool=a b() \
          assistant=!:list_directory:{\"path\":\"file:///w\"} assistant=!:view_file:{\"path\":\"file:///w/a\"} \
          tool=()~failed"
        ]
    );
}

#[test]
fn a_real_transcript_of_windsurf_is_read_whole() {
    let Some(data) = real_data() else { return };
    let path = data.join("git-ai/fixtures/windsurf-session-simple.jsonl");
    let text = std::fs::read_to_string(path).expect("the transcript");
    let rows: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let read = read("windsurf", "session.jsonl", &text);
    assert_eq!(read.len(), 1);
    let of = |kind: &str| rows.iter().filter(|row| row["type"] == kind).count();
    let count =
        |act: fn(&retort_model::Message<'_>) -> usize| read[0].messages().map(act).sum::<usize>();
    assert_eq!(count(|one| usize::from(one.role == retort_model::Role::User)), of("user_input"));
    assert_eq!(
        count(|one| one.tool_calls.len()),
        rows.len() - of("user_input") - of("planner_response")
    );
    for row in rows.iter().filter(|row| row["type"] == "planner_response") {
        let said = row["planner_response"]["response"].as_str().unwrap();
        assert!(read[0].messages().any(|one| one.words().decoded() == said), "{said}");
    }
}
