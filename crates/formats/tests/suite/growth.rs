//! What a stranger can send costs no more than n log n: every reader and every data format is timed on shapes that
//! are made to be slow, at one size and at four times that size.

use retort_formats::data::{self, ShapeContext, ShapeOptions, ToolCache};
use retort_formats::file::{self, FileOptions};
use retort_formats::import::split::{Batch, Splitter};
use retort_formats::import::{self, Entry, Notes, Sniff};
use retort_json::{RawJson, Value};
use retort_model::{Check, Item, canonical};
use retort_testing::growth::{TIMES, check, list};

/// A message of the model with calls of these ids.
fn calls(ids: impl Iterator<Item = String>) -> String {
    let call =
        |id: String| format!(r#"{{"id":"{id}","function":{{"name":"f","arguments":"{{}}"}}}}"#);
    format!(r#"{{"role":"assistant","content":null,"tool_calls":[{}]}}"#, list(ids.map(call)))
}

fn results(ids: impl Iterator<Item = String>) -> String {
    list(ids.map(|id| format!(r#"{{"role":"tool","tool_call_id":"{id}","content":"r"}}"#)))
}

const QUESTION: &str = r#"{"role":"user","content":"q"}"#;
const ANSWER: &str = r#"{"role":"assistant","content":"a"}"#;

fn chat(messages: &[String]) -> String {
    format!(r#"{{"id":"x","messages":[{}]}}"#, messages.join(","))
}

/// A conversation whose messages are a question, these, and an answer.
fn between(messages: String) -> String {
    chat(&[QUESTION.into(), messages, ANSWER.into()])
}

fn run(fields: &str) -> String {
    format!(
        r#"{{"request_id":"r","source":"copilot","source_id":"c","question":"q","answer":"a",{fields}}}"#
    )
}

fn node(fields: &str) -> String {
    run(&format!(
        r#""nodes":[{{"node":"n","kind":"model-call","input":"i","output":"o",{fields}}}]"#
    ))
}

/// Does everything that is done with an item, and times each step at `n` and at four times `n`.
fn everything(what: &str, n: usize, item: impl Fn(usize) -> String) {
    let (small, large) = (item(n), item(n * TIMES));
    let both = |step: &str, act: &dyn Fn(&str)| {
        check(&format!("{what}: {step}"), || act(&small), || act(&large));
    };
    both("sniff", &|item| drop(Sniff::of(item).check()));
    both("value", &|item| drop(Value::parse(item)));
    both("compact", &|item| drop(RawJson::parse(item).map(|raw| raw.compact())));
    for format in import::FORMATS {
        both(format.name(), &|item| {
            format.fragments(item, Entry { path: "stem.json" }, &mut Vec::new());
            let _ = format.read(item, &mut Notes::default());
        });
    }
    let format = import::recognise(&Sniff::of(&small)).expect("a known format");
    let read = |item| format.read(item, &mut Notes::default()).unwrap();
    let (small, large) = (read(&small), read(&large));
    let both = |step: &str, act: &dyn Fn(&Item<'_>)| {
        check(&format!("{what}: {step}"), || act(&small), || act(&large));
    };
    both("canonical", &|item| {
        let mut line = Vec::new();
        match item {
            Item::Conversation(one) => {
                canonical::write(one, &mut line);
                let read = canonical::read(std::str::from_utf8(&line).unwrap()).unwrap();
                assert_eq!(read, *one);
                drop(read.into_owned().active_path());
            }
            Item::Run(one) => {
                canonical::write_run(one, &mut line);
                let mut read = canonical::read_run(std::str::from_utf8(&line).unwrap()).unwrap();
                read.update(one.clone(), None);
            }
            Item::Document(one) => {
                canonical::write_document(one, &mut line);
                canonical::read_document(std::str::from_utf8(&line).unwrap()).unwrap();
            }
        }
    });
    for data_format in data::FORMATS {
        for check in [Check::Repair, Check::Off] {
            let mut options = ShapeOptions { check, tasks: true, ..ShapeOptions::default() };
            options.node = Some("n".into());
            if check == Check::Off && !data_format.is_for_training() {
                continue;
            }
            both(&format!("{} {check}", data_format.name()), &|item| {
                shape(item, *data_format, &options);
            });
        }
    }
}

fn shape(item: &Item<'_>, data_format: &dyn data::DataFormat, options: &ShapeOptions) {
    let file_format = file::by_name(data_format.file_formats()[0]).unwrap();
    let flat = !file_format.is_nested();
    let schema = data_format.schema(options, flat);
    let mut rows = file_format.rows(&schema, FileOptions::default());
    let tools = &mut ToolCache::default();
    let mut context = ShapeContext { options, flat, output: None, given: None, tools };
    data_format.each_variable(item, options, &mut |_| {});
    data_format.shape(item, &mut context, &mut *rows);
    file_format.encode(vec![rows], FileOptions::default()).unwrap();
}

/// Cuts a stream into its items, and counts them.
fn split(text: &str) -> usize {
    let (mut splitter, mut spent, mut count) =
        (Splitter::new(text.as_bytes()), Batch::default(), 0);
    while let Some(batch) = splitter.next(std::mem::take(&mut spent)).unwrap() {
        count += batch.items.len();
        spent = batch;
    }
    count
}

/// Makes a stream of about so many bytes.
type Make = fn(usize) -> String;

#[test]
fn streams_are_cut_in_time_that_grows_with_their_length() {
    let streams: [(&str, Make); 18] = [
        ("lines", |n| "{\"a\":1}\n".repeat(n / 8)),
        ("blank lines", |n| "\n".repeat(n)),
        ("spaces", |n| " ".repeat(n)),
        ("one line", |n| format!("{{\"a\":\"{}\"}}", "x".repeat(n))),
        ("one array", |n| format!("[{}]", "{\"a\":1},".repeat(n / 8))),
        ("an array over lines", |n| format!("[{}]", "{\"a\":\n1},".repeat(n / 9))),
        ("numbers in an array", |n| format!("[{}1]", "1,".repeat(n / 2))),
        ("commas", |n| format!("[{}]", ",".repeat(n))),
        ("brackets that open", |n| "[".repeat(n)),
        ("braces that open", |n| "{\"a\":".repeat(n / 5)),
        ("brackets that close", |n| format!("[1{}", "]".repeat(n))),
        ("nested", |n| format!("{}{}", "[".repeat(n / 2), "]".repeat(n / 2))),
        ("escapes", |n| format!("[\"{}\"]", "\\\\".repeat(n / 2))),
        ("quotation marks", |n| format!("[{}]", "\"".repeat(n))),
        ("values one behind another", |n| "{\"a\":1}".repeat(n / 7)),
        ("values over lines", |n| "{\n\"a\":1}".repeat(n / 8)),
        ("marks of byte order", |n| "{\n}\u{feff}".repeat(n / 6)),
        ("a large item and small ones", |n| {
            format!("[\"{}\",{}1]", "x".repeat(n * 2), "1,".repeat(n / 2))
        }),
    ];
    for (what, stream) in streams {
        let n = 400_000;
        let (small, large) = (stream(n), stream(n * TIMES));
        check(&format!("splitting {what}"), || _ = split(&small), || _ = split(&large));
    }
    // A list of messages is one item, which is known only once its first message is.
    let messages = |n: usize| format!("[{{\"k\":\"{}\",\"role\":\"user\"}}]", "x".repeat(n));
    assert_eq!(split(&messages(2_000_000)), 1);
}

/// Shapes of which every kind is timed in a test of its own, so that they run side by side.
macro_rules! shapes {
    ($($name:ident: $n:literal, $item:expr;)+) => {
        $(#[test]
        fn $name() {
            everything(stringify!($name), $n, $item);
        })+
    };
}

shapes! {
    system_messages: 2000, |n| between(list((0..n).map(|i| format!(r#"{{"role":"system","content":"s{i}"}}"#))));
    one_system_message_again: 2000, |n| between(list((0..n).map(|_| r#"{"role":"system","content":"s"}"#.into())));
    questions: 2000, |n| between(list((0..n).map(|i| format!(r#"{{"role":"user","content":"q{i}"}}"#))));
    answers: 2000, |n| between(list((0..n).map(|i| format!(r#"{{"role":"assistant","content":"a{i}"}}"#))));
    empty_answers: 2000, |n| between(list((0..n).map(|_| r#"{"role":"assistant","content":""}"#.into())));
    rounds: 1000, |n| chat(&vec![format!("{QUESTION},{ANSWER}"); n]);
    unknown_roles: 2000, |n| between(list((0..n).map(|i| format!(r#"{{"role":"r{i}","content":"a"}}"#))));
    results_in_order: 1500, |n| {
        let ids = || (0..n).map(|i| format!("c{i}"));
        between(format!("{},{}", calls(ids()), results(ids())))
    };
    results_in_reverse: 1500, |n| {
        let ids = || (0..n).map(|i| format!("c{i}"));
        between(format!("{},{}", calls(ids()), results(ids().rev())))
    };
    results_of_one_id: 1500, |n| {
        let ids = || (0..n).map(|_| "c".to_owned());
        between(format!("{},{}", calls(ids()), results(ids())))
    };
    results_without_ids: 1500, |n| {
        let ids = || (0..n).map(|_| String::new());
        between(format!("{},{}", calls(ids()), results(ids())))
    };
    results_of_no_call: 1500, |n| {
        let calls = calls((0..n).map(|i| format!("c{i}")));
        between(format!("{calls},{}", results((0..n).map(|i| format!("x{i}")))))
    };
    results_of_unknown_calls: 1500, |n| {
        let calls = calls((0..n).map(|i| if i == 0 { String::new() } else { format!("c{i}") }));
        between(format!("{calls},{}", results((0..n).map(|_| "unknown".into()))))
    };
    results_of_nothing: 2000, |n| between(results((0..n).map(|i| format!("x{i}"))));
    messages_with_one_call_each: 1500, |n| {
        let all = list((0..n).map(|i| calls(std::iter::once(format!("c{i}")))));
        between(format!("{all},{}", results((0..n).map(|i| format!("c{i}")).rev())))
    };
    exchanges_cut_late: 1000, |n| {
        let call = |i: usize| calls(std::iter::once(format!("c{i}")));
        let pair = |i: usize| format!("{},{}", call(i), results(std::iter::once(format!("c{i}"))));
        let strays = results((0..n).map(|i| format!("x{i}")));
        let again = list((0..n).map(|i| format!("{},{QUESTION}", pair(i))));
        between(format!("{},{strays},{QUESTION},{again}", list((0..n).map(pair))))
    };
    calls_of_many_tools: 1500, |n| {
        let call = |i| format!(r#"{{"id":"c{i}","function":{{"name":"f{i}","arguments":"{{}}"}}}}"#);
        let calls = format!(r#"{{"role":"assistant","content":null,"tool_calls":[{}]}}"#, list((0..n).map(call)));
        between(calls)
    };
    tools: 1000, |n| {
        let tool = |i| format!(r#"{{"type":"function","function":{{"name":"f{i}"}}}}"#);
        format!(r#"{{"id":"x","tools":[{}],"messages":[{QUESTION},{ANSWER}]}}"#, list((0..n).map(tool)))
    };
    tools_of_one_name: 1000, |n| {
        let tool = |i| format!(r#"{{"type":"function","function":{{"name":"f","description":"d{i}"}}}}"#);
        format!(r#"{{"id":"x","tools":[{}],"messages":[{QUESTION},{ANSWER}]}}"#, list((0..n).map(tool)))
    };
    tools_with_names_alike: 1000, |n| {
        let tool = |i: usize| format!(r#"{{"type":"function","function":{{"name":"{}"}}}}"#, char::from_u32(0x4e00 + i as u32).unwrap());
        format!(r#"{{"id":"x","tools":[{}],"messages":[{QUESTION},{ANSWER}]}}"#, list((0..n).map(tool)))
    };
    properties_of_a_tool: 1500, |n| {
        let property = |i| format!(r#""p{i}":{{"type":"Any","enum":[{i}]}}"#);
        format!(
            r#"{{"id":"x","tools":[{{"name":"f","parameters":{{"properties":{{{}}}}}}}],"messages":[{QUESTION},{ANSWER}]}}"#,
            list((0..n).map(property))
        )
    };
    keys_of_an_item: 3000, |n| {
        format!(r#"{{"id":"x","messages":[{QUESTION},{ANSWER}],{}}}"#, list((0..n).map(|i| format!(r#""k{i}":{i}"#))))
    };
    keys_twice: 3000, |n| {
        let keys = || list((0..n).map(|i| format!(r#""k{i}":{i}"#)));
        format!(r#"{{"id":"x","messages":[{QUESTION},{ANSWER}],{},{}}}"#, keys(), keys())
    };
    keys_of_a_message: 3000, |n| between(format!(r#"{{"role":"user","content":"q",{}}}"#, list((0..n).map(|i| format!(r#""k{i}":{i}"#)))));
    keys_of_a_call: 3000, |n| between(format!(
        r#"{{"role":"assistant","content":"a","tool_calls":[{{"id":"c","function":{{"name":"f","arguments":"{{}}",{}}}}}]}}"#,
        list((0..n).map(|i| format!(r#""k{i}":{i}"#)))
    ));
    keys_of_arguments: 3000, |n| {
        let arguments = format!("{{{}}}", list((0..n).map(|i| format!(r#"\"k{i}\":{i}"#))));
        between(format!(r#"{{"role":"assistant","tool_calls":[{{"id":"c","function":{{"name":"f","arguments":"{arguments}"}}}}]}}"#))
    };
    parts: 2000, |n| between(format!(
        r#"{{"role":"user","content":[{}]}}"#,
        list((0..n).map(|i| format!(r#"{{"type":"text","text":"t{i}"}},{{"type":"file","file":{{"filename":"f","file_data":"data:,"}}}}"#)))
    ));
    tags: 3000, |n| format!(r#"{{"id":"x","tags":[{}],"messages":[{QUESTION},{ANSWER}]}}"#, list((0..n).map(|i| format!(r#""t{i}""#))));
    contexts: 2000, |n| between(format!(
        r#"{{"role":"assistant","content":"a","contexts":[{}]}}"#, list((0..n).map(|i| format!(r#"{{"text":"t{i}"}}"#)))
    ));
    nested_lists: 200, |n| between(format!(
        r#"{{"role":"user","content":"q","k":[{}]}}"#,
        list((0..n).map(|_| format!("{}{}", "[".repeat(200), "]".repeat(200))))
    ));
    long_text: 100_000, |n| between(format!(r#"{{"role":"assistant","content":"{}"}}"#, r"<\n{{\u0041 ".repeat(n / 12)));
    long_number: 50_000, |n| format!(r#"{{"id":"x","create_time":{},"messages":[{QUESTION},{ANSWER}]}}"#, "1".repeat(n));
    long_time: 50_000, |n| format!(r#"{{"id":"x","created_at":"2024-01-01T{}","messages":[{QUESTION},{ANSWER}]}}"#, "0".repeat(n));
    sharegpt_calls: 1500, |n| {
        let turn = r#"{"from":"function_call","value":"[{\"name\":\"f\",\"arguments\":{}},{\"name\":\"g\",\"arguments\":{}}]"},{"from":"observation","value":"[1,2]"}"#;
        format!(r#"{{"id":"s","conversations":[{{"from":"human","value":"q"}},{},{{"from":"gpt","value":"a"}}]}}"#, list((0..n).map(|_| turn.into())))
    };
    sharegpt_calls_at_once: 1500, |n| {
        let calls = list((0..n).map(|i| format!(r#"{{\"name\":\"f{i}\",\"arguments\":{{}}}}"#)));
        let results = list((0..n).map(|_| r#"{"from":"observation","value":"[1,2]"}"#.into()));
        format!(
            r#"{{"id":"s","conversations":[{{"from":"human","value":"q"}},{{"from":"function_call","value":"[{calls}]"}},{results},{{"from":"gpt","value":"a"}}]}}"#
        )
    };
    tools_that_ran: 1000, |n| {
        let tool = |i| format!(r#"{{"name":"w{i}","invocationId":"i{i}","aiGeneratedArgumentValues":{{"a":1}},"output":{{"text":"r"}}}}"#);
        format!(
            r#"{{"convo":{{"id":"u","messages":[{{"role":"user","content":"q","tools":[{}]}},{ANSWER}],"prompt":"S","temperature":0.4}},"convo_id":"u","course_name":"c"}}"#,
            list((0..n).map(tool))
        )
    };
    rounds_of_a_graph: 1000, |n| {
        let round = |i| format!(r#"{{"round":{i},"node_name":"n{i}","messages":[{QUESTION},{ANSWER}],"tools":[{{"type":"function","function":{{"name":"f"}}}}]}}"#);
        format!(r#"{{"_id":"x","type":"graph","graph_name":"g","round_count":2,"rounds":[{}]}}"#, list((1..=n).map(round)))
    };
    tasks: 1000, |n| {
        let task = |i| format!(r#"{{"task_id":"t{i}","rounds":[{{"round":1,"tool_call_id":"k{i}","messages":[{QUESTION},{ANSWER}]}}]}}"#);
        format!(
            r#"{{"_id":"x","type":"agent","round_count":1,"rounds":[{{"round":1,"messages":[{QUESTION},{ANSWER}]}}],"tasks":[{}]}}"#,
            list((0..n).map(task))
        )
    };
    branches: 1500, |n| {
        let round = |i: usize| format!(r#"{{"number":{i},"parent":{},"messages":[{QUESTION},{ANSWER}]}}"#, i / 2);
        let round = |i: usize| if i == 0 { format!(r#"{{"number":1,"parent":null,"messages":[{QUESTION}]}}"#) } else { round(i) };
        format!(r#"{{"retort":1,"id":"x","source":"s","rounds":[{}]}}"#, list((0..n).map(round)))
    };
    nodes: 1500, |n| run(&format!(r#""nodes":[{}]"#, list((0..n).map(|i| format!(r#"{{"node":"n","id":"i{i}","parent":"i{}"}}"#, i + 1)))));
    nodes_of_one_id: 1500, |n| run(&format!(r#""nodes":[{}]"#, list((0..n).map(|_| r#"{"node":"n","id":"i"}"#.into()))));
    nodes_of_one_name: 1500, |n| {
        run(&format!(r#""nodes":[{}]"#, list((0..n).map(|i| format!(r#"{{"node":"n","kind":"model-call","input":"q{i}","output":"a"}}"#)))))
    };
    nodes_by_name: 1500, |n| run(&format!(r#""nodes":{{{}}}"#, list((0..n).map(|i| format!(r#""n{i}":{{"input":"q"}}"#)))));
    variables: 2000, |n| node(&format!(r#""variables":{{{}}}"#, list((0..n).map(|i| format!(r#""v{i}":"x""#)))));
    metadata_to_spread: 2000, |n| {
        let keys = |word: &str| list((0..n).map(|i| format!(r#""{word}{i}":1"#)));
        node(&format!(r#"{},"metadata":{{{}}}"#, keys("a"), keys("b")))
    };
    files: 2000, |n| run(&format!(r#""files":[{}]"#, list((0..n).map(|i| format!(r#""s3://b/{i}""#)))));
    chunks: 1500, |n| {
        let chunk = |i| format!(r#"{{"text":"t{i}","embedding":[0.1,0.2],"k{i}":1}}"#);
        format!(r#"{{"retort_document":1,"id":"d","chunks":[{}]}}"#, list((0..n).map(chunk)))
    };
    embedding: 10_000, |n| {
        format!(r#"{{"retort_document":1,"id":"d","chunks":[{{"text":"t","embedding":[{}]}}]}}"#, list((0..n).map(|i| format!("0.{i}"))))
    };
    keys_of_a_document: 3000, |n| {
        format!(r#"{{"retort_document":1,"id":"d","chunks":[{{"text":"t",{0}}}],{0}}}"#, list((0..n).map(|i| format!(r#""k{i}":{i}"#))))
    };
}
