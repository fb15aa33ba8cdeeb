//! Public reports of bugs in such tools, each with what Retort makes of it: our own small input, the command, and the
//! rows and counts that are right. The reports themselves are read where they are beside the folder that
//! `RETORT_REAL_DATA` names, and passed over visibly without it.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use crate::support::*;
use retort_testing::real_data;
use serde_json::Value;

/// The messages of a row of `openai`, in words.
fn words(row: &Value) -> String {
    let message = |one: &Value| {
        let mut words = one["role"].as_str().unwrap().to_owned();
        if let Some(text) = one["content"].as_str().filter(|text| !text.is_empty()) {
            words.push_str(&format!(" {text}"));
        }
        for call in one["tool_calls"].as_array().into_iter().flatten() {
            let function = &call["function"];
            let [name, arguments] =
                ["name", "arguments"].map(|key| function[key].as_str().unwrap());
            words.push_str(&format!(" <{name} {arguments}>"));
        }
        if one["weight"] == 0 {
            words.push_str(" (not learnt)");
        }
        words
    };
    row["messages"].as_array().unwrap().iter().map(message).collect::<Vec<_>>().join(" | ")
}

/// Everything that a receipt counts beside what was written, each as its name and number.
fn counts(manifest: &Value) -> String {
    let mut counts = Vec::new();
    let mut add = |list: &Value| {
        for one in list.as_array().into_iter().flatten() {
            counts.push(format!("{} {}", one["kind"].as_str().unwrap(), one["count"]));
        }
    };
    add(&manifest["read"]["refused"]);
    add(&manifest["conversations"]["left_out_by_reason"]);
    add(&manifest["records"]["repaired_by_kind"]);
    add(&manifest["records"]["warnings"]);
    counts.join(", ")
}

struct Case {
    report: &'static str,
    input: &'static str,
    /// The rows of `openai`, in words.
    rows: &'static [&'static str],
    /// What the receipt counts; if there are no rows, what the error says.
    counts: &'static str,
}

const CASES: &[Case] = &[
    Case {
        report: "anthropic-tool-blocks",
        input: r#"{"system":"Be kind.","messages":[{"role":"user","content":"Rain in Oslo?"},{"role":"assistant","content":[{"type":"thinking","thinking":"Ask.","signature":"x"},{"type":"text","text":"I look."},{"type":"tool_use","id":"t","name":"rain","input":{"in":"Oslo"}}]},{"role":"user","content":[{"type":"tool_result","tool_use_id":"t","content":[{"type":"text","text":"no"}]}]},{"role":"assistant","content":[{"type":"text","text":"No."}]}],"tools":[{"name":"rain","description":"d","input_schema":{"type":"object","properties":{"in":{"type":"string"}}}}]}"#,
        rows: &[
            r#"system Be kind. | user Rain in Oslo? | assistant I look. <rain {"in":"Oslo"}> | tool no | assistant No."#,
        ],
        counts: "reasoning-left-behind 1",
    },
    Case {
        report: "langchain-tool-args",
        input: r#"{"messages":[{"role":"user","content":"Rain?"},{"role":"assistant","content":"","tool_calls":[{"name":"rain","args":{"in":"Oslo"},"id":"c","type":"tool_call"}]},{"role":"tool","content":"no","tool_call_id":"c"},{"role":"assistant","content":"No."}]}"#,
        rows: &[r#"user Rain? | assistant <rain {"in":"Oslo"}> | tool no | assistant No."#],
        counts: "declared-tool 1",
    },
    Case {
        report: "vercel-ui4-tool-invocations",
        input: r#"{"id":"v","messages":[{"role":"user","content":"Rain?"},{"role":"assistant","content":"No.","toolInvocations":[{"state":"result","toolCallId":"c","toolName":"rain","args":{"in":"Oslo"},"result":{"mm":0}}]}]}"#,
        rows: &[r#"user Rain? | assistant <rain {"in":"Oslo"}> | tool {"mm":0} | assistant No."#],
        counts: "declared-tool 1",
    },
    Case {
        report: "otel-parts",
        input: r#"{"messages":[{"role":"user","parts":[{"type":"text","content":"Rain?"}]},{"role":"assistant","parts":[{"type":"tool_call","id":"c","name":"rain","arguments":{"in":"Oslo"}}]},{"role":"tool","parts":[{"type":"tool_call_response","id":"c","response":"no"}]},{"role":"assistant","parts":[{"type":"text","content":"No."}],"finish_reason":"stop"}]}
{"messages":[{"role":"user","parts":[{"text":"Hi"}]},{"role":"model","parts":[{"text":"Hello"}]}]}"#,
        rows: &[
            r#"user Rain? | assistant <rain {"in":"Oslo"}> | tool no | assistant No."#,
            "user Hi | assistant Hello",
        ],
        counts: "declared-tool 1",
    },
    Case {
        report: "responses-items",
        input: r#"[{"role":"user","content":"Rain?"},{"type":"reasoning","id":"r","summary":[{"type":"summary_text","text":"Ask."}]},{"type":"function_call","call_id":"c","name":"rain","arguments":"{\"in\":\"Oslo\"}"},{"type":"function_call_output","call_id":"c","output":"no"},{"type":"message","role":"assistant","content":[{"type":"output_text","text":"No.","annotations":[]}]}]
{"id":"r2","object":"response","created_at":1741476777,"input":[{"role":"user","content":"Hi"}],"output":[{"type":"message","role":"assistant","content":[{"type":"output_text","text":"Hello"}]}]}
[{"role":"user","content":"Snow?"},{"type":"file_search_call","id":"c","queries":["snow"],"results":[{"text":"none"}]},{"type":"message","role":"assistant","content":[{"type":"output_text","text":"None."}]}]"#,
        rows: &[
            r#"user Rain? | assistant <rain {"in":"Oslo"}> | tool no | assistant No."#,
            "user Hi | assistant Hello",
            r#"user Snow? | assistant <file_search {"queries":["snow"]}> | tool none | assistant None."#,
        ],
        counts: "declared-tool 2, reasoning-left-behind 1",
    },
    Case {
        report: "text-part-without-text",
        input: r#"{"messages":[{"role":"user","content":[{"text":"One?"}]},{"role":"assistant","content":"1"}]}
{"messages":[{"role":"user","content":[{"type":"text","content":"Two?"}]},{"role":"assistant","content":"2"}]}
{"messages":[{"role":"user","content":[{"type":"text","body":"Three?"}]},{"role":"assistant","content":"3"}]}"#,
        rows: &["user One? | assistant 1", "user Two? | assistant 2"],
        counts: "not-understood 1, not-understood 1",
    },
    Case {
        report: "weight-zero",
        input: r#"{"messages":[{"role":"user","content":"Capital?"},{"role":"assistant","content":"Bern?","weight":0},{"role":"user","content":"Sure?"},{"role":"assistant","content":"Yes.","weight":1}]}"#,
        rows: &["user Capital? | assistant Bern? (not learnt) | user Sure? | assistant Yes."],
        counts: "kept-as-context 1",
    },
    Case {
        report: "finish-reason-length",
        input: r#"{"id":"f","messages":[{"role":"user","content":"A story"}],"response":{"choices":[{"index":0,"finish_reason":"length","message":{"role":"assistant","content":"There wa"}}]}}"#,
        rows: &[],
        counts: "1 an answer that was cut off",
    },
    Case {
        report: "choices-out-of-order",
        input: r#"{"id":"n","messages":[{"role":"user","content":"Pick"}],"response":{"choices":[{"index":1,"message":{"role":"assistant","content":"two"}},{"index":0,"message":{"role":"assistant","content":"one"}}]}}"#,
        rows: &["user Pick | assistant one"],
        counts: "other-branches 1",
    },
    Case {
        report: "litellm-json-text",
        input: r#"{"request_id":"r","call_type":"acompletion","startTime":"2025-01-02 03:04:05.123","messages":"[{\"role\":\"user\",\"content\":\"1+1?\"}]","response":"{\"choices\":[{\"message\":{\"role\":\"assistant\",\"content\":\"2\"},\"finish_reason\":\"stop\"}]}"}"#,
        rows: &["user 1+1? | assistant 2"],
        counts: "",
    },
    Case {
        report: "helicone-body",
        input: r#"{"request_id":"r","request_body":{"messages":[{"role":"user","content":"1+1?"}]},"response_body":{"choices":[{"message":{"role":"assistant","content":"2"}}]},"response_status":200}"#,
        rows: &["user 1+1? | assistant 2"],
        counts: "",
    },
    Case {
        report: "unknown-names-of-roles",
        input: r#"{"id":"1","conversations":[{"from":"human","value":"q"},{"from":"bing","value":"a"}]}
{"id":"2","messages":[{"role":"user","content":"q"},{"role":"bot","content":"a"}]}
{"id":"3","messages":[{"role":"user","content":"q"},{"role":"tool_call","content":"{\"name\":\"f\",\"arguments\":{\"x\":1}}"},{"role":"tool_response","content":"1"},{"role":"assistant","content":"a"}]}
{"id":"4","messages":[{"role":"user","content":"q"},{"role":"assistant_1","content":"a"}]}"#,
        rows: &[
            "user q | assistant a",
            "user q | assistant a",
            r#"user q | assistant <f {"x":1}> | tool 1 | assistant a"#,
        ],
        counts: "not-understood 1, declared-tool 1, not-understood 1",
    },
    Case {
        report: "call-then-answer-without-result",
        input: r#"{"messages":[{"role":"user","content":"Price?"},{"role":"assistant","content":null,"tool_calls":[{"id":"c","type":"function","function":{"name":"quote","arguments":"{\"s\":\"X\"}"}}]},{"role":"assistant","content":"It is 5."}],"tools":[{"type":"function","function":{"name":"quote","description":"d","parameters":{"type":"object","properties":{"s":{"type":"string"}}}}}]}"#,
        rows: &[r#"user Price? | assistant <quote {"s":"X"}>"#],
        counts: "cut-unfinished-call 1",
    },
    Case {
        report: "ollama-calls",
        input: r#"{"model":"m","messages":[{"role":"user","content":"Rain?"},{"role":"assistant","content":"","tool_calls":[{"function":{"name":"rain","arguments":{"in":"Oslo"}}},{"function":{"name":"rain","arguments":{"in":"Bergen"}}}]},{"role":"tool","tool_name":"rain","content":"0"},{"role":"tool","tool_name":"rain","content":"9"},{"role":"assistant","content":"0 and 9"}]}"#,
        rows: &[
            r#"user Rain? | assistant <rain {"in":"Oslo"}> <rain {"in":"Bergen"}> | tool 0 | tool 9 | assistant 0 and 9"#,
        ],
        counts: "declared-tool 1",
    },
    Case {
        report: "parquet-messages-as-json-text",
        input: r#"{"id":1,"messages":"[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"a\"}]"}
{"id":2,"conversations":"[{\"from\":\"human\",\"value\":\"r\"},{\"from\":\"gpt\",\"value\":\"b\"}]"}"#,
        rows: &["user q | assistant a", "user r | assistant b"],
        counts: "",
    },
    Case {
        report: "own-rows-not-read",
        input: r#"{"prompt":[{"role":"user","content":"1+1?"}],"completion":[{"role":"assistant","content":"2"}],"tools":null}"#,
        rows: &["user 1+1? | assistant 2"],
        counts: "",
    },
    Case {
        report: "not-offered-gemini-contents",
        input: r#"{"systemInstruction":{"parts":[{"text":"Be kind."}]},"contents":[{"role":"user","parts":[{"text":"Rain?"}]},{"role":"model","parts":[{"functionCall":{"name":"rain","args":{"in":"Oslo"}}}]},{"role":"function","parts":[{"functionResponse":{"name":"rain","response":{"mm":0}}}]},{"role":"model","parts":[{"text":"No."}]}]}"#,
        rows: &[
            r#"system Be kind. | user Rain? | assistant <rain {"in":"Oslo"}> | tool {"mm":0} | assistant No."#,
        ],
        counts: "declared-tool 1",
    },
    Case {
        report: "not-offered-openai-preference",
        input: r#"{"input":{"messages":[{"role":"user","content":"Cold?"}],"tools":[]},"preferred_output":[{"role":"assistant","content":"5 degrees."}],"non_preferred_output":[{"role":"assistant","content":"No."}]}"#,
        rows: &["user Cold? | assistant 5 degrees."],
        counts: "other-branches 1",
    },
    Case {
        report: "not-offered-langfuse-observation",
        input: r#"{"id":"o","traceId":"t","type":"GENERATION","name":"chat","startTime":"2025-01-02T03:04:05.000Z","input":[{"role":"user","content":"Hi"}],"output":{"role":"assistant","content":"Hello"}}"#,
        rows: &["user Hi | assistant Hello"],
        counts: "",
    },
    Case {
        report: "growing-history",
        input: r#"{"conversation_id":"g","messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]}
{"conversation_id":"g","messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"},{"role":"user","content":"r"},{"role":"assistant","content":"b"}]}"#,
        rows: &["user q | assistant a | user r | assistant b"],
        counts: "earlier-state 1",
    },
    Case {
        report: "two-files-with-id-1",
        input: r#"{"id":1,"messages":[{"role":"user","content":"One"},{"role":"assistant","content":"a"}]}
{"id":1,"messages":[{"role":"user","content":"Other"},{"role":"assistant","content":"b"}]}"#,
        rows: &["user One | assistant a", "user Other | assistant b"],
        counts: "id-kept-apart 1",
    },
    // What reads bytes: NUL, lone surrogates, line separators, huge numbers, a cut line, a comma too many.
    Case {
        report: "bytes-that-pass",
        input: "{\"id\":12345678901234567890123,\"score\":1e400,\"messages\":[{\"role\":\"user\",\"content\":\"q\\u0000\"},{\"role\":\"assistant\",\"content\":\"a\\ud83d\\ude00\"}]}\r\n\
                {\"messages\":[{\"role\":\"user\",\"content\":\"r\u{2028}s\"},{\"role\":\"assistant\",\"content\":\"b\"}]}\r\n\
                {\"id\":\"c\",\"messages\":[{\"role\":\"user\",\"co",
        rows: &["user q\u{0} | assistant a😀", "user r\u{2028}s | assistant b"],
        counts: "not-json 1",
    },
    Case {
        report: "bom-in-the-middle",
        input: "\u{feff}{\"messages\":[{\"role\":\"user\",\"content\":\"q\"},{\"role\":\"assistant\",\"content\":\"a\"}]}\n\u{feff}{\"messages\":[{\"role\":\"user\",\"content\":\"r\"},{\"role\":\"assistant\",\"content\":\"b\"}]}",
        rows: &["user q | assistant a", "user r | assistant b"],
        counts: "",
    },
    Case {
        report: "concatenated-objects",
        input: r#"{"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]}{"messages":[{"role":"user","content":"r"},{"role":"assistant","content":"b"}]}"#,
        rows: &["user q | assistant a", "user r | assistant b"],
        counts: "",
    },
    Case {
        report: "json-nan",
        input: r#"{"score":NaN,"messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]}"#,
        rows: &["user q | assistant a"],
        counts: "non-finite-number 1",
    },
    Case {
        report: "not-offered-alpaca-rows",
        input: r#"{"instruction":"Add","input":"1+1","output":"2"}
{"instruction":"Greet","output":"Hi","system":"Be kind."}"#,
        rows: &["user Add\n1+1 | assistant 2", "system Be kind. | user Greet | assistant Hi"],
        counts: "",
    },
    Case {
        report: "not-offered-one-message-a-line",
        input: r#"{"role":"user","content":"hi","session_id":"b"}
{"role":"user","content":"hey","session_id":"a"}
{"role":"assistant","content":"hello","session_id":"b"}
{"role":"assistant","content":"ho","session_id":"a"}"#,
        rows: &["user hi | assistant hello", "user hey | assistant ho"],
        counts: "",
    },
    Case {
        report: "not-offered-autogen-messages",
        input: r#"{"type":"TextMessage","source":"user","content":"Rain?","models_usage":null}
{"type":"ToolCallRequestEvent","source":"w","content":[{"id":"k","name":"rain","arguments":"{}"}]}
{"type":"ToolCallExecutionEvent","source":"w","content":[{"content":"no","call_id":"k"}]}
{"type":"TextMessage","source":"w","content":"No."}"#,
        rows: &["user Rain? | assistant <rain {}> | tool no | assistant No."],
        counts: "declared-tool 1",
    },
    Case {
        report: "not-offered-labelstudio-tasks",
        input: r#"{"id":1,"data":{"turns":[{"speaker":"user","text":"q"},{"speaker":"bot","text":"a"}]},"annotations":[]}"#,
        rows: &["user q | assistant a"],
        counts: "",
    },
];

#[test]
fn what_was_reported_is_right() {
    let place = Place::new();
    for (number, case) in CASES.iter().enumerate() {
        let (input, out) = (format!("{number}.jsonl"), format!("out{number}"));
        place.file(&input, case.input);
        let ran = place.run(&["convert", &input, "-d", "openai", "-o", &out]);
        if case.rows.is_empty() {
            assert_eq!(ran.code, Some(1), "{}: {}", case.report, ran.err);
            assert!(ran.err.contains(case.counts), "{}: {}", case.report, ran.err);
            continue;
        }
        assert_eq!(ran.code, Some(0), "{}: {}", case.report, ran.err);
        let rows: Vec<_> =
            place.rows(&format!("{out}/conversations.jsonl")).iter().map(words).collect();
        assert_eq!(rows, case.rows, "{}", case.report);
        let manifest = place.json(&format!("{out}/manifest.json"));
        assert_balanced(&manifest);
        assert_eq!(counts(&manifest), case.counts, "{}", case.report);
    }
}

#[test]
fn histories_whose_fields_differ_in_kind_are_written_whole() {
    // Reports history-mixed-types and history-name-twice.
    let place = Place::new();
    let convo = |number: u32, content: Value, model: Value, temperature: Value| {
        let id = format!("h{number}");
        serde_json::json!({"id": number, "convo_id": id, "course_name": "c", "created_at": "2024-01-01T00:00:00Z", "user_email": null,
            "convo": {"id": id, "name": "n", "messages": [{"role": "user", "content": content, "contexts": []},
                {"role": "assistant", "content": "a", "contexts": [{"text": "t", "pagenumber": 7}]}],
                "model": model, "prompt": null, "temperature": temperature, "folderId": null}})
    };
    let rows = [
        convo(1, "q".into(), serde_json::json!({"id": "m", "name": "M"}), 0.4.into()),
        convo(2, serde_json::json!([{"type": "text", "text": "q"}]), "m".into(), 1.into()),
        convo(3, "2024-01-01".into(), Value::Null, Value::Null),
    ];
    place.file("in.jsonl", lines(rows.clone()));
    for file_format in ["jsonl", "csv", "parquet"] {
        let out = format!("as-{file_format}");
        place.ok(&["convert", "in.jsonl", "-d", "history", "-f", file_format, "-o", &out]);
        // Whatever the file, the same comes back.
        place.ok(&["convert", &out, "-d", "history", "-o", &format!("{out}-back")]);
        assert_eq!(place.rows(&format!("{out}-back/conversations.jsonl")), rows, "{file_format}");
    }
    let line = r#"{"id":"t","title":"Title","name":"trace","messages":[{"role":"user","content":"q"},{"role":"assistant","content":"a"}]}"#;
    place.file("name.jsonl", line);
    place.ok(&["convert", "name.jsonl", "-d", "history", "-o", "name"]);
    let text = String::from_utf8(place.bytes("name/conversations.jsonl")).unwrap();
    assert_eq!(text.matches("\"name\":").count(), 1, "{text}");
}

#[test]
fn findings_name_the_first_items_of_each_kind() {
    let place = Place::new();
    let unknown = serde_json::json!({"id": "b", "messages": [{"role": "narrator", "content": "Meanwhile"}, {"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]});
    let mended = serde_json::json!({"id": "c", "messages": [{"role": "user", "content": "q"}, {"role": "user", "content": "r"}, {"role": "assistant", "content": "a"}]});
    place.file("in.jsonl", lines([chat("a"), unknown, mended]));
    let found = &place.printed(&["preview", "in.jsonl", "--json"])["findings"]["first_ids"];
    assert_eq!(found["left_out"]["not-understood"], serde_json::json!(["b"]), "{found}");
    assert_eq!(found["repaired"]["merged-turns"], serde_json::json!(["c"]), "{found}");
    let path = serde_json::json!(["b: messages[0].role=narrator"]);
    assert_eq!(found["warnings"]["not-understood"], path, "{found}");
    // The receipt that convert prints names the same.
    let receipt = place.printed(&["convert", "in.jsonl", "-o", "out", "--json"]);
    let repaired = &receipt["records"]["repaired_by_kind"][0];
    assert_eq!(
        (&repaired["kind"], &repaired["first_ids"]),
        (&"merged-turns".into(), &serde_json::json!(["c"]))
    );
}

#[test]
fn a_file_name_is_bounded_in_bytes() {
    // Report file-name-of-128-signs.
    let place = Place::new();
    place.file("in.jsonl", chats(1));
    let name = "客".repeat(128);
    place.refused(&["convert", "in.jsonl", "-o", "out", "--file-name", &name], "384 bytes");
    assert!(!place.path("out").exists());
}

/// How a report is held: by a command over its own file, by the words with which it is refused, or by a test of its own
/// elsewhere.
enum Held {
    /// File, arguments, and items read, refused, left out, and records written.
    Made(&'static str, &'static [&'static str], [u64; 4]),
    /// As above; nothing is written, and these are the reasons. Another reader may take it later.
    Refused(&'static str, &'static str),
    /// The file of the test.
    In(&'static str),
}

use Held::{In, Made, Refused};

const DOCUMENTS: &[&str] = &["-d", "documents"];
const SINCE: &[&str] = &["--created-from", "2024-01-01"];
const HISTORY: &[&str] = &["-d", "history"];

const REPORTS: &[(&str, Held)] = &[
    ("anthropic-tool-blocks", Made("anth.jsonl", &[], [1, 0, 0, 1])),
    ("api-that-passes", In("crates/web/tests/suite/flows.rs")),
    ("bom-in-the-middle", Made("bommid.jsonl", &[], [2, 0, 0, 2])),
    ("bytes-that-pass", Made("big.jsonl", &["-d", "retort"], [1, 0, 0, 1])),
    ("bytes-that-pass", Made("bom.jsonl", &[], [2, 0, 0, 2])),
    ("bytes-that-pass", Made("crlf.jsonl", &[], [2, 0, 0, 2])),
    ("bytes-that-pass", Made("mac.zip", &[], [2, 0, 0, 2])),
    ("bytes-that-pass", Made("multi.jsonl.gz", &[], [2, 0, 0, 2])),
    ("bytes-that-pass", Made("nul.jsonl", &[], [1, 0, 0, 1])),
    ("bytes-that-pass", Made("pretty.json", &[], [2, 0, 0, 2])),
    ("bytes-that-pass", Made("slip.zip", &[], [2, 1, 0, 1])),
    ("bytes-that-pass", Made("stream.zip", &[], [2, 0, 0, 2])),
    ("bytes-that-pass", Made("surr.jsonl", &[], [1, 0, 0, 1])),
    ("bytes-that-pass", Made("trailcomma.json", &[], [3, 1, 0, 2])),
    ("bytes-that-pass", Made("trunc.jsonl", &[], [3, 1, 0, 2])),
    ("bytes-that-pass", Made("u2028.jsonl", &[], [1, 0, 0, 1])),
    ("bytes-that-pass", Made("win.zip", &[], [2, 0, 0, 2])),
    ("bytes-that-pass", Made("z64.zip", &[], [2, 0, 0, 2])),
    ("bzip2-file", Made("x.jsonl.bz2", &[], [2, 0, 0, 2])),
    ("call-then-answer-without-result", Made("foundry.jsonl", &[], [1, 0, 0, 1])),
    ("choices-out-of-order", Made("finish_n.jsonl", &[], [1, 0, 0, 1])),
    ("concatenated-objects", Made("concat.json", &[], [2, 0, 0, 2])),
    ("csv-guards", Made("csvq.jsonl", &["-f", "csv"], [12, 0, 0, 12])),
    ("embedding-as-text", Made("emb_text.jsonl", DOCUMENTS, [1, 0, 0, 1])),
    ("embedding-ragged", Made("docs_many.jsonl", DOCUMENTS, [12, 4, 0, 8])),
    ("file-name-of-128-signs", In("crates/cli/tests/suite/reports.rs")),
    ("finish-reason-length", Refused("finish_len.jsonl", "1 an answer that was cut off")),
    ("folder-of-odd-endings", Made("", &[], [7, 0, 0, 7])),
    ("growing-history", Made("grow.jsonl", &[], [3, 0, 2, 1])),
    ("gzip-zero-padding", Made("gzpad.jsonl.gz", &[], [2, 0, 0, 2])),
    ("helicone-body", Made("helicone.jsonl", &[], [1, 0, 0, 1])),
    ("history-mixed-types", Made("hist_mixed.jsonl", HISTORY, [3, 0, 0, 3])),
    ("history-name-twice", Made("name.jsonl", HISTORY, [1, 0, 0, 1])),
    ("hub-cache-links", In("crates/cli/tests/suite/reading.rs")),
    ("json-nan", Made("nan.jsonl", &[], [1, 0, 0, 1])),
    ("langchain-tool-args", Made("lc_args.jsonl", &[], [1, 0, 0, 1])),
    ("litellm-json-text", Made("litellm.jsonl", &[], [1, 0, 0, 1])),
    ("litellm-json-text", Made("litellm2.jsonl", &[], [1, 0, 0, 1])),
    ("multipart-upload", In("crates/web/tests/suite/attacks.rs")),
    ("not-offered-alpaca-rows", Made("alpaca.json", &[], [2, 0, 0, 2])),
    ("not-offered-autogen-messages", Made("autogen.jsonl", &[], [1, 0, 0, 1])),
    ("not-offered-chatgpt-export", Made("chatgpt.json", &[], [1, 0, 0, 1])),
    ("not-offered-claude-ai-export", Made("claude_ai.json", &[], [1, 0, 0, 1])),
    ("not-offered-claude-code-session", Made("claude_code.jsonl", &[], [1, 0, 0, 1])),
    ("not-offered-codex-session", Made("codex.jsonl", &[], [1, 0, 0, 1])),
    ("not-offered-dify-messages", Made("dify.json", &[], [1, 0, 0, 1])),
    ("not-offered-gemini-contents", Made("gemini.jsonl", &[], [1, 0, 0, 1])),
    ("not-offered-inspect-log", Made("inspect.json", &[], [1, 0, 0, 1])),
    ("not-offered-labelstudio-tasks", Made("labelstudio.json", &[], [1, 0, 0, 1])),
    ("not-offered-langfuse-observation", Made("langfuse_obs.jsonl", &[], [2, 0, 0, 1])),
    ("not-offered-librechat-export", Made("librechat.json", &[], [1, 0, 0, 1])),
    ("not-offered-one-message-a-line", Made("permsg.jsonl", &[], [1, 0, 0, 1])),
    ("not-offered-openai-batch", Refused("batch_in.jsonl", "1 no answer to train on")),
    ("not-offered-openai-batch", Refused("batch_out.jsonl", "no answer to train on")),
    ("not-offered-openai-preference", Made("dpo_openai.jsonl", &[], [1, 0, 0, 1])),
    ("not-offered-question-answer-csv", Made("qa.csv", &[], [1, 0, 0, 1])),
    ("oidc-entra", In("crates/web/tests/suite/oidc.rs")),
    ("ollama-calls", Made("ollama.jsonl", &[], [1, 0, 0, 1])),
    ("one-cut-gzip-among-many", Made("", &[], [403, 1, 398, 4])),
    ("one-unreadable-parquet-among-many", Made("", &[], [5, 0, 0, 5])),
    ("otel-parts", Made("otel.jsonl", &[], [1, 0, 0, 1])),
    ("otel-parts", Made("gemini_msgs.jsonl", &[], [1, 0, 0, 1])),
    ("own-rows-not-read", Made("trl_pc.jsonl", &[], [1, 0, 0, 1])),
    ("parquet-binary-strings", Made("zp2_allbin.parquet", &[], [1, 0, 0, 1])),
    ("parquet-binary-strings", Made("zp2_contentbin.parquet", &[], [1, 0, 0, 1])),
    ("parquet-encodings", Made("delta.parquet", &[], [3, 0, 0, 3])),
    ("parquet-encodings", Made("dicttype.parquet", &[], [3, 0, 0, 3])),
    ("parquet-encodings", Made("dpv2.parquet", &[], [3, 0, 0, 3])),
    ("parquet-encodings", Made("hf_tools.parquet", &[], [1, 0, 0, 1])),
    ("parquet-encodings", Made("int96.parquet", &[], [3, 0, 0, 3])),
    ("parquet-encodings", Made("large.parquet", &[], [3, 0, 0, 3])),
    ("parquet-encodings", Made("noncompliant.parquet", &[], [3, 0, 0, 3])),
    ("parquet-encodings", Made("view.parquet", &[], [3, 0, 0, 3])),
    ("parquet-hf-datasets", Made("", &[], [3, 0, 0, 3])),
    ("parquet-interval-column", Made("", &[], [1, 0, 0, 1])),
    ("parquet-lz4", Made("", &[], [3, 0, 0, 3])),
    ("parquet-map-column", Made("", &["-d", "retort"], [3, 0, 0, 3])),
    ("parquet-messages-as-json-text", Made("messages_str.jsonl", &[], [2, 0, 0, 2])),
    ("parquet-messages-as-json-text", Made("msgstr.parquet", &[], [3, 0, 0, 3])),
    ("parquet-snappy", Made("", &[], [3, 0, 0, 3])),
    ("parquet-timestamp-ns", Made("", SINCE, [3, 0, 0, 3])),
    ("responses-items", Made("responses_in.jsonl", &[], [1, 0, 0, 1])),
    ("responses-items", Made("responses_obj.jsonl", &[], [1, 0, 0, 1])),
    ("s3-endpoint-without-tls", In("crates/cli/tests/suite/upkeep.rs")),
    ("server-panic-wedges-worker", Made("", &[], [1, 0, 0, 1])),
    ("server-panic-wedges-worker", In("crates/cli/tests/suite/panics.rs")),
    ("sse-behind-nginx", In("crates/web/tests/suite/flows.rs")),
    ("tar-gz", Made("x.tar.gz", &[], [2, 0, 0, 2])),
    ("text-part-without-text", Made("part_text.jsonl", &[], [2, 0, 0, 2])),
    ("time-microseconds", Made("time_us.jsonl", SINCE, [2, 0, 0, 2])),
    ("time-with-utc-word", Made("time_utc.jsonl", SINCE, [1, 0, 0, 1])),
    ("two-files-with-id-1", Made("", &[], [2, 0, 0, 2])),
    // Of the two left out one has an unknown role, and one a call that is only text: without it the row would pretend.
    ("unknown-names-of-roles", Made("mixed_roles_1.jsonl", &[], [8, 0, 2, 6])),
    ("url-with-trailing-slash", In("crates/cli/tests/suite/upkeep.rs")),
    ("utf16-le-bom", Made("utf16le.jsonl", &[], [2, 0, 0, 2])),
    ("vercel-ui4-tool-invocations", Made("vercel_ui4.jsonl", &[], [1, 0, 0, 1])),
    ("weight-zero", Made("weight.jsonl", &["-d", "openai"], [1, 0, 0, 1])),
    ("zip-deflate64", Made("deflate64.zip", &[], [3, 0, 0, 3])),
    ("zip-in-zip", Made("nested.zip", &[], [2, 0, 0, 2])),
    ("zstd-window-31", Refused("long.jsonl.zst", "--max-window 2148")),
    ("zstd-window-31", Made("long.jsonl.zst", &["--max-window", "2148"], [2, 0, 0, 2])),
];

fn repository(file: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../..").join(file)
}

#[test]
fn tests_elsewhere_name_their_report() {
    for (report, held) in REPORTS {
        if let In(file) = held {
            let text = fs::read_to_string(repository(file)).unwrap();
            assert!(text.contains(report), "{file} names no report {report}");
        }
    }
}

fn sum(list: &Value) -> u64 {
    list.as_array().into_iter().flatten().map(|one| one["count"].as_u64().unwrap()).sum()
}

#[test]
fn the_reports_themselves_come_out_right() {
    let folder = real_data()
        .and_then(|folder| Some(folder.parent()?.join("reports")))
        .filter(|folder| folder.is_dir());
    let Some(folder) = folder else {
        println!("no folder `reports` beside the one that RETORT_REAL_DATA names: passed over");
        return;
    };
    let known: BTreeSet<&str> = REPORTS.iter().map(|(report, _)| *report).collect();
    for entry in fs::read_dir(&folder).unwrap() {
        let entry = entry.unwrap();
        let name = entry.file_name().into_string().unwrap();
        assert!(!entry.path().is_dir() || known.contains(&*name), "no test holds {name}");
    }
    let place = Place::new();
    for (number, (report, held)) in REPORTS.iter().enumerate() {
        let out = format!("out{number}");
        match held {
            In(_) => {}
            Refused(file, words) => {
                let input = folder.join(report).join(file);
                let ran = place.run(&["convert", input.to_str().unwrap(), "-o", &out]);
                assert_eq!(ran.code, Some(1), "{report}: {}", ran.err);
                assert!(ran.err.contains(words), "{report}: {}", ran.err);
            }
            Made(file, args, [items, refused, left_out, written]) => {
                let input = folder.join(report).join(file);
                let args = [&["convert", input.to_str().unwrap(), "-o", &out], *args].concat();
                let ran = place.run(&args);
                assert_eq!(ran.code, Some(0), "{report} {file}: {}", ran.err);
                let manifest = place.json(&format!("{out}/manifest.json"));
                assert_balanced(&manifest);
                let out_of = |kind: &str| manifest[kind]["left_out"].as_u64().unwrap_or(0);
                let found = [
                    manifest["read"]["items"].as_u64().unwrap(),
                    sum(&manifest["read"]["refused"]),
                    out_of("conversations") + out_of("documents"),
                    manifest["records"]["written"].as_u64().unwrap(),
                ];
                assert_eq!(found, [*items, *refused, *left_out, *written], "{report} {file}");
            }
        }
    }
}
