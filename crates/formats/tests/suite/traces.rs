//! Traces of OpenTelemetry, Langfuse, LangSmith and MLflow: what becomes of their spans.

use std::collections::{BTreeMap, HashSet};
use std::path::Path;

use retort_formats::import::{Entry, FORMATS, Notes, Sniff, by_name, recognise};
use retort_json::{RawJson, Value};
use retort_model::{
    Conversation, Item, Kind, NodeKind, NodeRun, Parent, Role, Run, RunSource, RunStatus, canonical,
};
use retort_testing::{files_below, real_data};

/// Reads texts as the pipeline does: the fragments of one trace together, and then the traces of one session.
pub fn read(format: &str, texts: &[String]) -> (Vec<Run<'static>>, Vec<Conversation<'static>>) {
    let format = by_name(format).unwrap();
    let mut groups: Vec<(String, Vec<String>)> = Vec::new();
    let mut alone = Vec::new();
    let add = |groups: &mut Vec<(String, Vec<String>)>, key: String, text: String| match groups
        .iter_mut()
        .find(|(one, _)| *one == key)
    {
        Some((_, texts)) => texts.push(text),
        None => groups.push((key, vec![text])),
    };
    for text in texts {
        let mut fragments = Vec::new();
        format.fragments(text, Entry::default(), &mut fragments);
        if fragments.is_empty() {
            alone.push(text.clone());
        }
        for one in fragments {
            add(&mut groups, one.key, one.text.into_owned());
        }
    }
    let mut sessions = Vec::new();
    let mut joined: Vec<String> =
        groups.into_iter().map(|(_, texts)| format!("[{}]", texts.join(","))).collect();
    for text in &joined {
        if let Some(one) = format.regroup(text) {
            add(&mut sessions, one.key, one.text.into_owned());
        }
    }
    joined.extend(sessions.into_iter().map(|(_, texts)| format!("[{}]", texts.join(","))));
    let (mut runs, mut conversations) = (Vec::new(), Vec::new());
    for text in alone.into_iter().chain(joined) {
        for item in format.read_all(&text, &mut Notes::default()).unwrap() {
            match item {
                Item::Run(run) => {
                    let mut line = Vec::new();
                    canonical::write_run(&run, &mut line);
                    let line = String::from_utf8(line).unwrap();
                    let line: &'static str = Box::leak(line.into_boxed_str());
                    assert_eq!(canonical::read_run(line).unwrap(), run);
                    runs.push(canonical::read_run(line).unwrap());
                }
                Item::Conversation(one) => conversations.push(one.into_owned()),
                Item::Document(_) => panic!("a document in a trace"),
            }
        }
    }
    (runs, conversations)
}

/// A request of OTLP with these spans: `id<parent name start end attributes`, where attributes are a JSON object.
fn request(trace: &str, spans: &[&str]) -> String {
    let mut out = String::new();
    for (at, span) in spans.iter().enumerate() {
        let mut parts = span.splitn(5, ' ');
        let mut next = || parts.next().unwrap();
        let (ids, name, start, end, attributes) = (next(), next(), next(), next(), next());
        let (id, parent) = ids.split_once('<').unwrap_or((ids, ""));
        let Value::Object(fields) = Value::parse(attributes).unwrap() else {
            panic!("{attributes}")
        };
        let mut listed = Vec::new();
        for (key, value) in &fields {
            let value = match value {
                Value::Number(number) => format!("{{\"intValue\":\"{number}\"}}"),
                Value::String(text) => {
                    format!("{{\"stringValue\":{}}}", RawJson::string(text).as_str())
                }
                other => {
                    format!("{{\"stringValue\":{}}}", RawJson::string(&other.to_json()).as_str())
                }
            };
            listed.push(format!("{{\"key\":\"{key}\",\"value\":{value}}}"));
        }
        if at > 0 {
            out.push(',');
        }
        out.push_str(&format!(
            "{{\"traceId\":\"{trace}\",\"spanId\":\"{id}\",\"parentSpanId\":\"{parent}\",\"name\":\"{name}\",\"kind\":1,\
             \"startTimeUnixNano\":\"17000000{start}000000000\",\"endTimeUnixNano\":\"17000000{end}000000000\",\
             \"attributes\":[{}],\"status\":{{}}}}",
            listed.join(",")
        ));
    }
    format!(
        "{{\"resourceSpans\":[{{\"resource\":{{\"attributes\":[{{\"key\":\"service.name\",\"value\":{{\"stringValue\":\"shop\"}}}},\
         {{\"key\":\"service.version\",\"value\":{{\"stringValue\":\"3\"}}}}]}},\"scopeSpans\":[{{\"spans\":[{out}]}}]}}]}}"
    )
}

/// What a conversation says, a line a message: role, words, calls.
pub fn said(conversation: &Conversation<'_>) -> Vec<String> {
    let path = conversation.active_path();
    let rounds = path.into_iter().filter_map(|at| conversation.rounds.get(at));
    rounds.flat_map(|round| &round.messages).map(line).collect()
}

fn line(message: &retort_model::Message<'_>) -> String {
    let calls: Vec<_> = message
        .tool_calls
        .iter()
        .map(|call| format!(" {}({})", call.name.decoded(), call.arguments.decoded()))
        .collect();
    format!("{}: {}{}", message.role, message.words().decoded(), calls.concat())
}

const CHAT: &str = r#""gen_ai.operation.name":"chat","gen_ai.request.model":"m","gen_ai.usage.input_tokens":3,"gen_ai.usage.output_tokens":2"#;

fn call(id: &str, times: &str, asked: &str, answered: &str) -> String {
    format!(
        r#"{id} chat {times} {{{CHAT},"gen_ai.input.messages":{asked},"gen_ai.output.messages":{answered}}}"#
    )
}

fn one(role: &str, text: &str) -> String {
    format!(r#"{{"role":"{role}","parts":[{{"type":"text","content":"{text}"}}]}}"#)
}

#[test]
fn a_trace_is_a_run_whose_spans_are_nested_nodes() {
    let chat = call(
        "c<a",
        "02 03",
        &format!("[{}]", one("user", "Weather?")),
        &format!("[{}]", one("assistant", "Fine.")),
    );
    let tool = r#"t<a run 01 02 {"gen_ai.operation.name":"execute_tool","gen_ai.tool.name":"look","gen_ai.tool.call.arguments":{"a":1},"gen_ai.tool.call.result":"r"}"#;
    let root = r#"a invoke 00 09 {"gen_ai.operation.name":"invoke_agent","gen_ai.agent.name":"bot","user.id":"ann","other":"kept"}"#;
    // The root comes last, as exporters send what ended; one span comes twice.
    let texts = [request("f1", &[&chat, tool]), request("f1", &[root, tool])];
    let (runs, conversations) = read("otlp", &texts);
    let run = &runs[0];
    assert_eq!((runs.len(), run.nodes.len()), (1, 3));
    assert_eq!(run.source, RunSource::Application);
    assert_eq!([&run.request_id, &run.source_id], ["f1", "shop"].map(|text| text));
    assert_eq!(run.version, Some("3".into()));
    assert_eq!(run.owner, Some("ann".into()));
    assert_eq!(run.question, Some("Weather?".into()));
    assert_eq!(run.answer, Some("Fine.".into()));
    assert_eq!(run.status, RunStatus::Success);
    let nodes: Vec<_> = run
        .nodes
        .iter()
        .map(|node| (node.node.decoded().into_owned(), node.kind, node.parent))
        .collect();
    assert_eq!(
        nodes,
        [
            ("invoke".to_owned(), NodeKind::Agent, None),
            ("look".to_owned(), NodeKind::Tool, Some(0)),
            ("chat".to_owned(), NodeKind::ModelCall, Some(0))
        ]
    );
    assert_eq!(run.nodes[1].input.as_ref().unwrap().as_str(), r#"{"a":1}"#);
    assert_eq!(run.nodes[2].model, Some("m".into()));
    assert_eq!(run.nodes[2].usage.input_tokens, Some(3));
    assert_eq!(run.nodes[0].metadata.get("other").unwrap().as_str(), "\"kept\"");
    assert_eq!(run.nodes[2].metadata.get("parent_span_id").unwrap().as_str(), "\"a\"");
    assert_eq!(conversations.len(), 1);
    assert_eq!(said(&conversations[0]), ["user: Weather?", "assistant: Fine."]);
}

#[test]
fn what_calls_repeat_is_there_once_and_results_stand_where_they_belong() {
    let asks = one("user", "q");
    let calls = r#"{"role":"assistant","parts":[{"type":"tool_call","id":"k","name":"f","arguments":{"x":1}}]}"#;
    let result =
        r#"{"role":"tool","parts":[{"type":"tool_call_response","id":"k","response":"r"}]}"#;
    let first = call("a", "01 02", &format!("[{asks}]"), &format!("[{calls}]"));
    let second = call(
        "b",
        "03 04",
        &format!("[{asks},{calls},{result}]"),
        &format!("[{}]", one("assistant", "a")),
    );
    let (_, conversations) = read("otlp", &[request("f1", &[&second, &first])]);
    assert_eq!(
        said(&conversations[0]),
        ["user: q", "assistant:  f({\"x\":1})", "tool: r", "assistant: a"]
    );
    let usage = conversations[0].rounds[0].usage;
    assert_eq!((usage.input_tokens, usage.output_tokens), (Some(6), Some(4)));

    // No later call repeats the result: the span of the tool has it.
    let tool = r#"t run 02 03 {"gen_ai.operation.name":"execute_tool","gen_ai.tool.name":"f","gen_ai.tool.call.id":"k","gen_ai.tool.call.result":"from the span"}"#;
    let (_, conversations) = read("otlp", &[request("f1", &[&first, tool])]);
    assert_eq!(
        said(&conversations[0]),
        ["user: q", "assistant:  f({\"x\":1})", "tool: from the span"]
    );
    assert_eq!(conversations[0].kind, Kind::Agent);
}

#[test]
fn a_session_is_one_conversation_of_its_traces_in_their_order() {
    let with_session =
        |span: String| span.replace("{\"gen_ai.op", "{\"session.id\":\"s\",\"gen_ai.op");
    let a = |text: &str| format!("[{}]", one("assistant", text));
    let history = format!("{},{},{}", one("user", "1"), one("assistant", "one"), one("user", "2"));
    let first = with_session(call("a", "01 02", &format!("[{}]", one("user", "1")), &a("one")));
    let second = with_session(call("b", "03 04", &format!("[{history}]"), &a("two")));
    // Another answer to the same question, then one that has no history with it.
    let again = with_session(call("c", "05 06", &format!("[{history}]"), &a("zwei")));
    let alone = with_session(call("d", "07 08", &format!("[{}]", one("user", "3")), &a("three")));
    let texts = [
        request("f2", &[&second]),
        request("f1", &[&first]),
        request("f3", &[&again]),
        request("f4", &[&alone]),
    ];
    let (runs, conversations) = read("otlp", &texts);
    assert_eq!(runs.len(), 4);
    assert!(runs.iter().all(|run| run.thread == Some("s".into())));
    let [conversation] = &conversations[..] else { panic!("{conversations:?}") };
    assert_eq!(conversation.id, *"s");
    assert_eq!(
        said(conversation),
        ["user: 1", "assistant: one", "user: 2", "assistant: zwei", "user: 3", "assistant: three"]
    );
    assert_eq!(conversation.messages().count(), 7);
    assert!(conversation.rounds.iter().any(|round| round.parent != Parent::Previous));
}

#[test]
fn calls_inside_a_tool_are_a_task_and_of_calls_inside_one_another_the_innermost_counts() {
    let asks = format!("[{}]", one("user", "q"));
    let calls = r#"[{"role":"assistant","parts":[{"type":"tool_call","id":"k","name":"helper","arguments":{}}]}]"#;
    let outer = call("a", "01 09", &asks, calls);
    let inner = call("b<a", "02 03", &asks, calls);
    let tool = r#"t helper 04 08 {"gen_ai.operation.name":"execute_tool","gen_ai.tool.name":"helper","gen_ai.tool.call.id":"k","gen_ai.tool.call.result":"42"}"#;
    let helper = call(
        "h<t",
        "05 06",
        &format!("[{},{}]", one("system", "Help."), one("user", "sub")),
        &format!("[{}]", one("assistant", "42")),
    );
    let (runs, conversations) = read("otlp", &[request("f1", &[&outer, &inner, tool, &helper])]);
    assert_eq!(runs[0].nodes.len(), 4);
    let conversation = &conversations[0];
    assert_eq!(said(conversation), ["user: q", "assistant:  helper({})", "tool: 42"]);
    let [task] = &conversation.tasks[..] else { panic!("{conversation:?}") };
    assert_eq!(task.tool_call_id, Some("k".into()));
    let lines: Vec<_> = task.rounds.iter().flat_map(|round| &round.messages).map(line).collect();
    assert_eq!(lines, ["system: Help.", "user: sub", "assistant: 42"]);
}

#[test]
fn another_call_on_the_same_question_under_other_instructions_is_a_history_of_its_own() {
    let ask = |system: &str| format!("[{},{}]", one("system", system), one("user", "q"));
    let answer = |text: &str| format!("[{}]", one("assistant", text));
    let classify = call("a", "01 02", &ask("Classify."), &answer("greeting"));
    let main = call("b", "03 04", &ask("Answer."), &answer("a"));
    let more = format!(
        "[{},{},{},{}]",
        one("system", "Answer."),
        one("user", "q"),
        one("assistant", "a"),
        one("user", "r")
    );
    let on = call("c", "05 06", &more, &answer("b"));
    let (_, conversations) = read("otlp", &[request("f1", &[&classify, &main, &on])]);
    assert_eq!(
        said(&conversations[0]),
        ["system: Answer.", "user: q", "assistant: a", "user: r", "assistant: b"]
    );
    assert_eq!(conversations[0].tasks.len(), 1);
}

#[test]
fn a_shortened_history_goes_on_behind_the_last_message_that_both_have() {
    let answer = |text: &str| format!("[{}]", one("assistant", text));
    let first = call("a", "01 02", &format!("[{}]", one("user", "q")), &answer("long"));
    let short = format!(
        "[{},{},{}]",
        one("user", "Summary: q"),
        one("assistant", "long"),
        one("user", "r")
    );
    let second = call("b", "03 04", &short, &answer("b"));
    let (_, conversations) = read("otlp", &[request("f1", &[&first, &second])]);
    assert_eq!(said(&conversations[0]), ["user: q", "assistant: long", "user: r", "assistant: b"]);
}

#[test]
fn every_convention_says_the_same_of_a_model_call() {
    let texts = [
        // OpenLLMetry.
        r#"{"llm.request.type":"chat","gen_ai.request.model":"m","gen_ai.usage.prompt_tokens":3,"gen_ai.usage.completion_tokens":2,"gen_ai.prompt.0.role":"user","gen_ai.prompt.0.content":"q","gen_ai.completion.0.role":"assistant","gen_ai.completion.0.content":"a","gen_ai.completion.0.finish_reason":"stop"}"#,
        // OpenInference.
        r#"{"openinference.span.kind":"LLM","llm.model_name":"m","llm.token_count.prompt":3,"llm.token_count.completion":2,"llm.input_messages.0.message.role":"user","llm.input_messages.0.message.contents.0.message_content.type":"text","llm.input_messages.0.message.contents.0.message_content.text":"q","llm.output_messages.0.message.role":"assistant","llm.output_messages.0.message.content":"a"}"#,
        // OpenTelemetry, new and old.
        r#"{"gen_ai.operation.name":"chat","gen_ai.request.model":"m","gen_ai.usage.input_tokens":3,"gen_ai.usage.output_tokens":2,"gen_ai.input.messages":[{"role":"user","parts":[{"type":"text","content":"q"}]}],"gen_ai.output.messages":[{"role":"assistant","parts":[{"type":"text","content":"a"}],"finish_reason":"stop"}]}"#,
        r#"{"gen_ai.system":"openai","gen_ai.request.model":"m","gen_ai.usage.prompt_tokens":3,"gen_ai.usage.completion_tokens":2,"gen_ai.prompt":"[{\"role\":\"user\",\"content\":\"q\"}]","gen_ai.completion":"{\"text\":\"a\",\"finish_reason\":\"stop\"}"}"#,
        // Vercel's SDK.
        r#"{"ai.operationId":"ai.generateText.doGenerate","ai.model.id":"m","ai.usage.promptTokens":3,"ai.usage.completionTokens":2,"ai.prompt.messages":"[{\"role\":\"user\",\"content\":[{\"type\":\"text\",\"text\":\"q\"}]}]","ai.response.text":"a","ai.response.finishReason":"stop"}"#,
        // Langfuse's SDK.
        r#"{"langfuse.observation.type":"generation","langfuse.observation.model.name":"m","langfuse.observation.usage_details":"{\"input\":3,\"output\":2}","langfuse.observation.input":"[{\"role\":\"user\",\"content\":\"q\"}]","langfuse.observation.output":"a"}"#,
        // Logfire's list of events.
        r#"{"gen_ai.operation.name":"chat","gen_ai.request.model":"m","gen_ai.usage.input_tokens":3,"gen_ai.usage.output_tokens":2,"events":"[{\"event.name\":\"gen_ai.user.message\",\"role\":\"user\",\"content\":\"q\"},{\"event.name\":\"gen_ai.choice\",\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"a\"}}]"}"#,
    ];
    for attributes in texts {
        let (runs, conversations) =
            read("otlp", &[request("f1", &[&format!("a call 01 02 {attributes}")])]);
        let node = &runs[0].nodes[0];
        assert_eq!(node.kind, NodeKind::ModelCall, "{attributes}");
        assert_eq!(node.model, Some("m".into()), "{attributes}");
        let usage = (node.usage.input_tokens, node.usage.output_tokens);
        assert_eq!(usage, (Some(3), Some(2)), "{attributes}");
        assert!(node.input.is_some() && node.output.is_some(), "{attributes}");
        assert_eq!(said(&conversations[0]), ["user: q", "assistant: a"], "{attributes}");
        assert!(conversations[0].not_understood.is_empty(), "{conversations:?}");
    }
}

#[test]
fn events_carry_messages_on_the_span_and_in_logs() {
    let span = |events: &str| {
        format!(
            r#"{{"traceId":"f1","spanId":"a","name":"chat","startTimeUnixNano":"1700000001000000000","endTimeUnixNano":"1700000002000000000","attributes":[{{"key":"gen_ai.operation.name","value":{{"stringValue":"chat"}}}}],"events":[{events}]}}"#
        )
    };
    let event = r#"{"name":"gen_ai.user.message","attributes":[{"key":"content","value":{"stringValue":"q"}}]},
        {"name":"gen_ai.choice","attributes":[{"key":"index","value":{"intValue":"0"}},{"key":"finish_reason","value":{"stringValue":"stop"}},{"key":"message","value":{"stringValue":"{\"role\":\"assistant\",\"content\":\"a\"}"}}]}"#;
    let on_span =
        format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}]}}]}}]}}"#, span(event));
    let (_, conversations) = read("otlp", &[on_span]);
    assert_eq!(said(&conversations[0]), ["user: q", "assistant: a"]);
    assert_eq!(conversations[0].rounds[0].messages[1].finish_reason, Some("stop".into()));
    let spans = format!(r#"{{"resourceSpans":[{{"scopeSpans":[{{"spans":[{}]}}]}}]}}"#, span(""));
    let logs = r#"{"resourceLogs":[{"scopeLogs":[{"logRecords":[
        {"traceId":"f1","spanId":"a","eventName":"gen_ai.user.message","body":{"kvlistValue":{"values":[{"key":"content","value":{"stringValue":"q"}}]}}},
        {"traceId":"f1","spanId":"a","eventName":"gen_ai.choice","body":{"kvlistValue":{"values":[{"key":"message","value":{"kvlistValue":{"values":[{"key":"content","value":{"stringValue":"a"}}]}}}]}}}]}]}]}"#;
    let (runs, conversations) = read("otlp", &[logs.to_owned(), spans]);
    assert_eq!(runs[0].nodes.len(), 1);
    assert_eq!(said(&conversations[0]), ["user: q", "assistant: a"]);
}

#[test]
fn orphans_circles_and_clocks_that_disagree_lose_no_span() {
    let plain = r#"{"x":"y"}"#;
    let spans = [
        format!("a<gone a 05 06 {plain}"),
        format!("b<c b 01 02 {plain}"),
        format!("c<b c 03 04 {plain}"),
        // It begins before the span that it ran inside.
        format!("d<a d 00 07 {plain}"),
    ];
    let spans: Vec<&str> = spans.iter().map(String::as_str).collect();
    let (runs, conversations) = read("otlp", &[request("f1", &spans)]);
    let run = &runs[0];
    assert_eq!(run.nodes.len(), 4);
    assert!(conversations.is_empty());
    for (at, node) in run.nodes.iter().enumerate() {
        assert!(node.parent.is_none_or(|parent| parent < at), "{run:?}");
    }
    let of = |name: &str| run.nodes.iter().find(|node| node.node == *name).unwrap();
    assert_eq!(run.nodes[of("d").parent.unwrap()].node, *"a");
    assert_eq!(of("a").metadata.get("parent_span_id").unwrap().as_str(), "\"gone\"");
}

#[test]
fn errors_are_told_by_the_status_or_by_an_exception() {
    let text = r#"{"resourceSpans":[{"scopeSpans":[{"spans":[{"traceId":"f1","spanId":"a","name":"x","startTimeUnixNano":"1700000001000000000","endTimeUnixNano":"1700000002000000000","attributes":[{"key":"gen_ai.operation.name","value":{"stringValue":"chat"}},{"key":"gen_ai.input.messages","value":{"stringValue":"[{\"role\":\"user\",\"parts\":[{\"type\":\"text\",\"content\":\"q\"}]}]"}}],"status":{"code":2},"events":[{"name":"exception","attributes":[{"key":"exception.message","value":{"stringValue":"too long"}}]}]}]}]}]}"#;
    let (runs, conversations) = read("otlp", &[text.to_owned()]);
    assert_eq!(runs[0].status, RunStatus::Failure);
    assert_eq!(runs[0].error, Some("too long".into()));
    assert_eq!(conversations[0].rounds[0].messages[1].error, Some("too long".into()));
}

#[test]
fn rows_of_langfuse_are_joined_with_their_trace_and_their_scores() {
    // Report `not-offered-langfuse-observation`: a row alone is read.
    let row = r#"{"id":"o1","traceId":"t1","type":"GENERATION","name":"chat","startTime":"2025-01-02T03:04:05.000Z","endTime":"2025-01-02T03:04:06.000Z","model":"gpt-x","input":[{"role":"user","content":"hi"}],"output":{"role":"assistant","content":"hello"},"usageDetails":{"input":1,"output":1},"totalCost":0.5}"#;
    let trace = r#"{"id":"t1","timestamp":"2025-01-02T03:04:04.000Z","name":"greet","bookmarked":false,"session_id":"s","user_id":"u","environment":"prod","tags":["x"],"input":"\"hi\"","output":"hello"}"#;
    let score = r#"{"id":"1","trace_id":"t1","observation_id":null,"name":"thumbs","value":1,"data_type":"NUMERIC","source":"API","comment":"nice"}"#;
    for text in [row, trace, score] {
        assert_eq!(recognise(&Sniff::of(text)).unwrap().name(), "langfuse");
    }
    let (runs, conversations) =
        read("langfuse", &[score.to_owned(), row.to_owned(), trace.to_owned()]);
    let run = &runs[0];
    assert_eq!((runs.len(), run.nodes.len()), (1, 1));
    assert_eq!([&run.question, &run.answer], [&Some("hi".into()), &Some("hello".into())]);
    assert_eq!([&run.thread, &run.owner], [&Some("s".into()), &Some("u".into())]);
    assert_eq!(run.nodes[0].cost_usd, Some(0.5));
    let feedback = run.feedback.as_ref().unwrap();
    assert_eq!(feedback.rating.as_ref().unwrap().as_str(), "1");
    assert_eq!(feedback.comment, Some("nice".into()));
    assert_eq!(run.metadata.get("environment").unwrap().as_str(), "\"prod\"");
    assert_eq!(conversations[0].id, *"s");
    assert_eq!(said(&conversations[0]), ["user: hi", "assistant: hello"]);
    assert_eq!(read("langfuse", &[row.to_owned()]).1.len(), 1);
}

#[test]
fn batches_of_langsmith_complete_a_run() {
    let batch = r#"{"post":[{"id":"r","trace_id":"r","dotted_order":"20240101T000000000000Zr","name":"llm","run_type":"llm","start_time":"2024-01-01T00:00:00","inputs":{"messages":[{"role":"user","content":"q"}]},"outputs":{},"session_name":"p","extra":{"metadata":{"ls_model_name":"m","thread_id":"s"}}}],"patch":[{"id":"r","trace_id":"r","dotted_order":"20240101T000000000000Zr","end_time":"2024-01-01T00:00:02","outputs":{"choices":[{"index":0,"finish_reason":"stop","message":{"role":"assistant","content":"a"}}],"usage_metadata":{"input_tokens":3,"output_tokens":2}}}]}"#;
    let (runs, conversations) = read("langsmith", &[batch.to_owned()]);
    let node = &runs[0].nodes[0];
    assert_eq!((runs.len(), runs[0].nodes.len(), node.kind), (1, 1, NodeKind::ModelCall));
    assert_eq!(node.status, RunStatus::Success);
    assert_eq!(node.usage.input_tokens, Some(3));
    assert_eq!(runs[0].source_id, *"p");
    assert_eq!(conversations[0].id, *"s");
    assert_eq!(said(&conversations[0]), ["user: q", "assistant: a"]);
}

#[test]
fn traces_of_mlflow_have_their_assessments() {
    let trace = r#"{"info":{"trace_id":"tr-1","trace_location":{"mlflow_experiment":{"experiment_id":"7"}},"request_time":"2025-01-02T03:04:05Z","state":"OK","trace_metadata":{"mlflow.trace.session":"s","mlflow.traceInputs":"{\"question\":\"q\"}"},"assessments":[{"assessment_name":"good","feedback":{"value":true},"rationale":"because"},{"assessment_name":"right","expectation":{"value":"a"}}]},"data":{"spans":[{"trace_id":"x","span_id":"1","parent_span_id":null,"name":"llm","start_time_unix_nano":1735787045000000000,"end_time_unix_nano":1735787046000000000,"status":{"code":"STATUS_CODE_OK"},"attributes":{"mlflow.spanType":"\"CHAT_MODEL\"","mlflow.spanInputs":"{\"messages\":[{\"role\":\"user\",\"content\":\"q\"}],\"model\":\"m\"}","mlflow.spanOutputs":"{\"choices\":[{\"index\":0,\"message\":{\"role\":\"assistant\",\"content\":\"a\"}}]}"}}]}}"#;
    assert_eq!(recognise(&Sniff::of(trace)).unwrap().name(), "mlflow");
    let (runs, conversations) = read("mlflow", &[trace.to_owned()]);
    let run = &runs[0];
    assert_eq!((run.nodes.len(), run.nodes[0].kind), (1, NodeKind::ModelCall));
    assert_eq!([&run.ground_truth, &run.answer], [&Some("a".into()), &Some("a".into())]);
    assert_eq!(run.feedback.as_ref().unwrap().label, Some("good".into()));
    assert_eq!(said(&conversations[0]), ["user: q", "assistant: a"]);
}

#[test]
fn a_trace_of_many_spans_is_read_in_time() {
    // One inside another.
    let spans: Vec<String> = (0..100_000)
        .map(|at| {
            format!(
                "{at:x}<{:x} step 01 02 {{\"x\":\"y\"}}",
                if at == 0 { 999_999 } else { at - 1 }
            )
        })
        .collect();
    let spans: Vec<&str> = spans.iter().map(String::as_str).collect();
    let run = read("otlp", &[request("f1", &spans)]).0.remove(0);
    assert_eq!(run.nodes.len(), 100_000);
    assert_eq!(run.nodes[99_999].parent, Some(99_998));
}

#[test]
fn calls_that_share_nothing_or_end_alike_are_read_in_time() {
    const CALLS: usize = 3_000;
    let system = |text: &str| one("system", text);
    type Asked<'a> = &'a dyn Fn(usize) -> String;
    let cases: [(Asked<'_>, usize); 4] = [
        // Each asks something else, under the same instructions or under its own.
        (&|at| format!("[{},{}]", system("S"), one("user", &format!("q{at}"))), CALLS),
        (&|at| format!("[{},{}]", system(&format!("S{at}")), one("user", "q")), CALLS),
        // None asks anything.
        (&|_| "[]".to_owned(), 1),
        // All begin alike, and go on in their own way.
        (&|at| format!("[{},{}]", one("user", "q"), one("assistant", &format!("b{at}"))), 1),
    ];
    for (asked, histories) in cases {
        let spans: Vec<String> = (0..CALLS)
            .map(|at| {
                let answered = format!("[{}]", one("assistant", &format!("a{at}")));
                call(&format!("{at:x}<fffff"), "01 02", &asked(at), &answered)
            })
            .collect();
        let spans: Vec<&str> = spans.iter().map(String::as_str).collect();
        let (runs, conversations) = read("otlp", &[request("f1", &spans)]);
        assert_eq!(runs[0].nodes.len(), CALLS);
        assert_eq!(conversations[0].tasks.len() + 1, histories);
    }
}

#[test]
fn calls_of_many_tools_find_their_results_in_time() {
    const CALLS: usize = 5_000;
    let mut spans = Vec::new();
    for at in 0..CALLS {
        let part = format!(
            r#"{{"role":"assistant","parts":[{{"type":"tool_call","id":"k{at}","name":"f","arguments":{{}}}}]}}"#
        );
        let asked = format!("[{}]", one("user", &format!("q{at}")));
        spans.push(call(&format!("c{at:x}<f"), "01 02", &asked, &format!("[{part}]")));
        spans.push(format!(
            r#"d{at:x}<f f 03 04 {{"gen_ai.operation.name":"execute_tool","gen_ai.tool.name":"f","gen_ai.tool.call.id":"k{at}","gen_ai.tool.call.result":"r{at}"}}"#
        ));
    }
    let spans: Vec<&str> = spans.iter().map(String::as_str).collect();
    let (_, conversations) = read("otlp", &[request("f1", &spans)]);
    let results = |rounds: &[retort_model::Round<'_>]| -> Vec<String> {
        let messages = rounds.iter().flat_map(|round| &round.messages);
        messages.filter(|one| one.role == Role::Tool).map(line).collect()
    };
    let mut found = results(&conversations[0].rounds);
    for task in &conversations[0].tasks {
        found.extend(results(&task.rounds));
    }
    found.sort();
    let mut expect: Vec<_> = (0..CALLS).map(|at| format!("tool: r{at}")).collect();
    expect.sort();
    assert_eq!(found, expect);
}

/// The texts of a file: one a line, or the value or the elements that it holds.
fn texts_of(path: &Path) -> Vec<String> {
    let text = std::fs::read_to_string(path).unwrap();
    if path.extension().is_some_and(|ending| ending == "jsonl") {
        return text.lines().filter(|line| !line.trim().is_empty()).map(str::to_owned).collect();
    }
    match Value::parse(text.trim()).unwrap() {
        Value::Array(all) => all.iter().map(Value::to_json).collect(),
        _ => vec![text],
    }
}

/// The ids of the spans in a value, found without the readers: whatever the framing, a span is an object with its id.
fn span_ids(value: &Value<'_>, into: &mut HashSet<(String, String)>) {
    match value {
        Value::Object(fields) => {
            let text = |key: &str| value.get(key).and_then(Value::as_str).map(str::to_owned);
            let context = value.get("spanContext");
            let inner = |key: &str| context?.get(key)?.as_str().map(str::to_owned);
            if let (Some(trace), Some(span)) = (text("traceId"), text("spanId")) {
                into.insert((trace, span));
            } else if let (Some(trace), Some(span)) = (inner("traceId"), inner("spanId")) {
                into.insert((trace, span));
            } else if let (Some(trace), Some(span)) = (text("traceId"), text("id")) {
                into.insert((trace, span));
            } else if let (Some(trace), Some(span), Some(_)) =
                (text("trace_id"), text("id"), text("dotted_order"))
            {
                into.insert((trace, span));
            }
            for (key, value) in fields {
                if !matches!(
                    &*key.to_string(),
                    "attributes" | "input" | "output" | "inputs" | "outputs" | "scores"
                ) {
                    span_ids(value, into);
                }
            }
        }
        Value::Array(all) => all.iter().for_each(|one| span_ids(one, into)),
        _ => {}
    }
}

#[test]
fn every_span_of_real_traces_is_a_node() {
    let Some(folder) = real_data() else { return };
    let mut counted: BTreeMap<&str, (usize, usize)> = BTreeMap::new();
    for (group, format) in [
        ("otlp-langwatch", "otlp"),
        ("agentpile/fixtures/otlp", "otlp"),
        ("openinference", "otlp"),
        ("otel-genai", "otlp"),
        ("langfuse", "langfuse"),
        ("litellm/logging_callback_tests/langfuse_expected_request_body", "langfuse"),
        ("langsmith", "langsmith"),
    ] {
        for path in files_below(&folder.join(group)) {
            let name = path.to_string_lossy().into_owned();
            if name.contains(".chatml.")
                || name.ends_with("versions.json")
                || !name.contains(".json")
            {
                continue;
            }
            let texts = texts_of(&path);
            for text in &texts {
                let sniff = Sniff::of(text);
                let found: Vec<_> = FORMATS
                    .iter()
                    .filter(|one| one.recognises(&sniff))
                    .map(|one| one.name())
                    .collect();
                assert_eq!(found, [format], "{name}");
            }
            let mut ids = HashSet::new();
            for text in &texts {
                span_ids(&Value::parse(text).unwrap(), &mut ids);
            }
            let (runs, conversations) = read(format, &texts);
            let nodes: usize = runs.iter().map(|run| run.nodes.len()).sum();
            let mut spans = if ids.is_empty() { texts.len() } else { ids.len() };
            if group.starts_with("litellm") {
                // Events that create anything but a trace.
                spans = texts[0].matches("-create\"").count()
                    - texts[0].matches("\"trace-create").count();
            }
            assert_eq!(nodes, spans, "{name}");
            once(&conversations, &name);
            let counts = counted.entry(group).or_default();
            *counts = (counts.0 + nodes, counts.1 + conversations.len());
        }
    }
    for (group, (nodes, conversations)) in counted {
        println!("{group}: {nodes} spans, {conversations} conversations");
    }
}

/// On one path no message follows itself, and none but the shortest comes twice.
fn once(conversations: &[Conversation<'_>], name: &str) {
    for conversation in conversations {
        let lines = said(conversation);
        for pair in lines.windows(2) {
            assert_ne!(pair[0], pair[1], "{name}: {lines:#?}");
        }
    }
}

#[test]
fn the_messages_of_real_model_calls_are_there_text_for_text() {
    let Some(folder) = real_data() else { return };
    let folder = folder.join("agentpile/fixtures/otlp");
    let of = |name: &str| {
        let (runs, conversations) = read("otlp", &texts_of(&folder.join(name)));
        assert!(conversations.iter().all(|one| one.not_understood.is_empty()), "{name}");
        (runs, conversations)
    };
    let (runs, conversations) = of("pydantic_ai_2.58.0.json");
    assert_eq!((runs.len(), conversations.len()), (2, 2));
    assert_eq!(
        said(&conversations[0]),
        [
            "system: You answer questions about weather and time.",
            "user: What is the weather in Paris and what time is it?",
            "assistant: Let me check both. get_weather({\"city\":\"Paris\"}) get_time({\"zone\":\"UTC\"})",
            "tool: sunny in Paris",
            "tool: {\"zone\":\"UTC\",\"time\":\"12:00\"}",
            "assistant: It is sunny in Paris and 12:00 UTC.",
        ]
    );
    assert_eq!(runs[0].question, Some("What is the weather in Paris and what time is it?".into()));
    assert_eq!(runs[0].answer, Some("It is sunny in Paris and 12:00 UTC.".into()));

    let (runs, conversations) = of("pydantic_ai_2.58.0_delegation.json");
    assert_eq!((runs.len(), conversations.len()), (1, 1));
    assert_eq!(conversations[0].tasks.len(), 1);
    assert_eq!(conversations[0].tasks[0].tool_call_id, Some("call_ask_1".into()));

    let (_, conversations) = of("openai_agents_0.24.0_oi_2.5.3.jsonl");
    assert_eq!(
        said(&conversations[0]),
        [
            "system: Route the customer.",
            "user: Where is order A1? I want a refund.",
            "assistant: Checking.",
            "assistant:  lookup_order({\"order_id\": \"A1\"})",
            "tool: order A1: shipped",
            "assistant:  transfer_to_refunds({})",
            "tool: {\"assistant\": \"Refunds\"}",
            "system: Handle refunds.",
            "assistant: Refund started for order A1.",
        ]
    );
    let (_, conversations) = of("openai_agents_0.24.0_oi_2.5.3_as_tool.json");
    let [task] = &conversations[0].tasks[..] else { panic!("{conversations:?}") };
    assert_eq!(task.rounds[0].messages[0].role, Role::System);
}

#[test]
fn the_answers_of_real_langfuse_traces_are_there_text_for_text() {
    let Some(folder) = real_data() else { return };
    let folder = folder.join("langfuse");
    for path in files_below(&folder) {
        let name = path.to_string_lossy().into_owned();
        if !name.ends_with(".trace.json") {
            continue;
        }
        let texts = texts_of(&path);
        let (_, conversations) = read("langfuse", &texts);
        let told: Vec<String> = conversations
            .iter()
            .flat_map(Conversation::messages)
            .map(|message| message.words().decoded().trim().to_owned())
            .collect();
        // What Langfuse itself makes of the same trace.
        let chatml = std::fs::read_to_string(name.replace(".trace.", ".chatml.")).unwrap();
        let mut missing = Vec::new();
        let mut expected = Vec::new();
        contents(&Value::parse(&chatml).unwrap(), &mut expected);
        for text in expected {
            if !told.contains(&text) {
                missing.push(text);
            }
        }
        assert!(missing.is_empty(), "{name}: {missing:#?}\n{told:#?}");
    }
}

/// The plain texts of the messages that Langfuse read.
fn contents(value: &Value<'_>, into: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            if value.get("role").and_then(Value::as_str).is_some_and(|role| role != "system")
                && let Some(text) = value.get("content").and_then(Value::as_str)
                && !text.trim().is_empty()
            {
                into.push(text.trim().to_owned());
            }
            for (key, value) in fields {
                if !matches!(&*key.to_string(), "json" | "tools") {
                    contents(value, into);
                }
            }
        }
        Value::Array(all) => all.iter().for_each(|one| contents(one, into)),
        _ => {}
    }
}

fn line_of(run: &Run<'_>) -> String {
    let mut line = Vec::new();
    canonical::write_run(run, &mut line);
    String::from_utf8(line).unwrap()
}

/// A run as OTLP, read again.
fn sent(run: &Run<'static>) -> Run<'static> {
    let shaped = crate::support::shape_item(
        &Item::Run(run.clone()),
        "otlp",
        retort_formats::data::ShapeOptions::default(),
    );
    let (mut runs, _) = read("otlp", &[shaped.text]);
    assert_eq!(runs.len(), 1);
    runs.remove(0)
}

#[test]
fn real_runs_come_back_from_otlp_as_they_were() {
    let Some(folder) = real_data() else { return };
    let (mut count, mut wrong) = (0, Vec::new());
    for group in ["otlp-langwatch", "agentpile/fixtures/otlp", "openinference", "otel-genai"] {
        for path in files_below(&folder.join(group)) {
            let name = path.to_string_lossy().into_owned();
            if name.contains(".chatml.")
                || name.ends_with("versions.json")
                || !name.contains(".json")
            {
                continue;
            }
            for run in read("otlp", &texts_of(&path)).0 {
                // What has no id gets one.
                if run.request_id.is_empty()
                    || run.nodes.iter().any(|node| node.metadata.get("span_id").is_none())
                {
                    continue;
                }
                count += 1;
                let back = sent(&run);
                if back != run {
                    wrong.push(format!("{name}\n{}\n{}", line_of(&run), line_of(&back)));
                }
            }
        }
    }
    println!("{count} runs");
    assert!(wrong.is_empty() && count > 20, "{} of {count}\n{}", wrong.len(), wrong.join("\n\n"));
}

#[test]
fn a_run_comes_back_from_otlp_as_it_was() {
    let agent = r#"a agent 00 09 {"openinference.span.kind":"AGENT","input.value":"Where?","output.value":"Here.","session.id":"s","user.id":"ann"}"#;
    let chat = format!(
        r#"b<a chat 01 03 {{{CHAT},"gen_ai.input.messages":"[{{\"role\":\"user\",\"content\":\"Where?\"}}]","gen_ai.output.messages":"[{{\"role\":\"assistant\",\"content\":\"Here.\"}}]","gen_ai.request.temperature":"0.5"}}"#
    );
    let tool = r#"c<a execute_tool 04 05 {"gen_ai.operation.name":"execute_tool","gen_ai.tool.name":"find","gen_ai.tool.call.arguments":"{\"q\":1}","gen_ai.tool.call.result":"kitchen"}"#;
    let search = r#"d<c search 05 06 {"openinference.span.kind":"RETRIEVER","retrieval.documents.0.document.content":"passage","input.value":"q"}"#;
    // An orphan, beside the root.
    let orphan = r#"e<99 late 07 08 {"openinference.span.kind":"CHAIN","n":7}"#;
    let failed = request("f1", &[agent, &chat])
        .replace("\"status\":{}", "\"status\":{\"code\":2,\"message\":\"no\"}");
    let scored = request("f1", &[agent]).replace(
        "\"status\":{}",
        r#""events":[{"name":"gen_ai.evaluation.result","attributes":[{"key":"gen_ai.evaluation.name","value":{"stringValue":"good"}},{"key":"gen_ai.evaluation.score.value","value":{"doubleValue":0.5}}]},{"name":"cache","attributes":[{"key":"hit","value":{"boolValue":true}}]}],"status":{}"#,
    );
    for text in [
        request("f1", &[agent, &chat, tool, search]),
        request("f1", &[agent, &chat, tool, search, orphan]),
        request("f1", &[&chat]),
        failed,
        scored,
    ] {
        let run = read("otlp", &[text]).0.remove(0);
        let back = sent(&Run { request_id: "f1".repeat(16).into(), ..run.clone() });
        assert_eq!(line_of(&Run { request_id: "f1".into(), ..back }), line_of(&run));
    }
}

#[test]
fn a_run_of_a_copilot_can_be_sent_as_otlp() {
    let line = r#"{"retort_run":2,"request_id":"r-1","source":"copilot","source_id":"helper","source_name":"Helper","version":"2","thread":"t","owner":"ann","status":"failure","question":"Where?","answer":"[1]","error":"no","nodes":[{"node":"search","kind":"retrieval","input":{"q":1},"output":["p"],"status":"success"},{"node":"answer","kind":"model-call","parent":0,"model":"m","prompt":"Say {x}","variables":{"x":1},"input":"Say 1","output":"Here.","status":"failure","error":"no","started_at":"2026-01-02T03:04:05Z","finished_at":"2026-01-02T03:04:06Z","input_tokens":3,"output_tokens":2,"cost_usd":0.25}],"feedback":{"rating":1,"label":"good"}}"#;
    let run = canonical::read_run(line).unwrap();
    let back = sent(&run);
    assert_eq!(back.request_id.decoded().len(), 32);
    assert_eq!((back.source, &*back.source_id.decoded()), (RunSource::Application, "helper"));
    assert_eq!((&back.version, &back.thread, &back.owner), (&run.version, &run.thread, &run.owner));
    assert_eq!(
        (&back.question, back.status, &back.error),
        (&run.question, RunStatus::Success, &None)
    );
    for (back, node) in back.nodes.iter().zip(&run.nodes) {
        let plain = NodeRun { metadata: Default::default(), ..back.clone() };
        assert_eq!(NodeRun { feedback: None, ..plain }, node.clone());
    }
    let empty = Run { nodes: Vec::new(), ..run };
    let back = sent(&empty);
    assert_eq!((back.nodes.len(), back.status, &back.error), (1, RunStatus::Failure, &empty.error));
    assert_eq!(back.feedback, empty.feedback);
}

#[test]
fn what_came_out_of_a_call_that_failed_or_was_cut_off_says_so() {
    let run = |outputs: &str, beside: &str| {
        let run = format!(
            r#"{{"id":"r","name":"ChatOpenAI","run_type":"llm","outputs":{outputs},"start_time":"2025-01-01T00:00:00",
            "inputs":{{"messages":[{{"role":"user","content":"q"}}]}}{beside}}}"#
        );
        let (_, mut read) = read("langsmith", &[run]);
        read.remove(0).rounds.remove(0).messages.pop().unwrap()
    };
    let message = r#"{"role":"assistant","content":"a"}"#;
    let failed = run(&format!(r#"{{"messages":[{message}]}}"#), r#","error":"RateLimit""#);
    assert_eq!(failed.error.unwrap().decoded(), "RateLimit");
    for (generation, output, expected) in [
        (r#"{"finish_reason":"length"}"#, "null", "length"),
        ("null", r#"{"stop_reason":"max_tokens"}"#, "max_tokens"),
    ] {
        let outputs = format!(
            r#"{{"generations":[[{{"text":"a","generation_info":{generation},"message":{message}}}]],"llm_output":{output}}}"#
        );
        let cut = run(&outputs, r#","end_time":"2025-01-01T00:00:01""#);
        assert_eq!(cut.finish_reason.unwrap().decoded(), expected);
    }
}
