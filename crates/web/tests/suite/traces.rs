//! Traces as OpenTelemetry's exporters send them, while applications run.

use std::io::Write;
use std::sync::atomic::AtomicBool;
use std::time::Duration;

use flate2::write::GzEncoder;
use retort_service::{Quotas, TracesImported};
use serde_json::{Value, json};

use retort_testing_server::server::{As, Reply, Setup, TestServer, each, on_both, on_sqlite_with};

const SECOND: u64 = 1_700_000_000_000_000_000;

/// A span of the trace `t1`, at some second.
fn span(id: &str, parent: &str, second: u64, attributes: &[(&str, &str)]) -> Value {
    let attributes: Vec<_> = attributes
        .iter()
        .map(|(key, value)| json!({"key": key, "value": {"stringValue": value}}))
        .collect();
    json!({
        "traceId": "a1".repeat(16), "spanId": id.repeat(8), "parentSpanId": parent.repeat(8), "name": id,
        "startTimeUnixNano": (SECOND + second * 1_000_000_000).to_string(),
        "endTimeUnixNano": (SECOND + (second + 1) * 1_000_000_000).to_string(),
        "attributes": attributes,
    })
}

fn request(spans: &[Value]) -> Value {
    let name = json!({"key": "service.name", "value": {"stringValue": "shop"}});
    json!({"resourceSpans": [{"resource": {"attributes": [name]}, "scopeSpans": [{"spans": spans}]}]})
}

fn call(question: &str, answer: &str) -> [(&'static str, String); 5] {
    [
        ("gen_ai.operation.name", "chat".into()),
        ("gen_ai.request.model", "m-1".into()),
        ("session.id", "s-1".into()),
        (
            "gen_ai.input.messages",
            json!([{"role": "user", "parts": [{"type": "text", "content": question}]}]).to_string(),
        ),
        (
            "gen_ai.output.messages",
            json!([{"role": "assistant", "parts": [{"type": "text", "content": answer}]}])
                .to_string(),
        ),
    ]
}

fn root(second: u64) -> Value {
    span(
        "a",
        "",
        second,
        &[
            ("openinference.span.kind", "AGENT"),
            ("input.value", "Where?"),
            ("output.value", "Here."),
        ],
    )
}

fn model_call(id: &str, second: u64) -> Value {
    let call = call("Where?", "Here.");
    let attributes: Vec<_> = call.iter().map(|(key, value)| (*key, value.as_str())).collect();
    span(id, "a", second, &attributes)
}

async fn send(server: &TestServer, who: &As, body: &Value) -> Reply {
    server.request("POST", "/v1/traces").by(who).json(body).send().await
}

async fn import(server: &TestServer, after_seconds: u64) -> TracesImported {
    server.clock.advance(Duration::from_secs(after_seconds));
    server.call(|service| service.import_traces(&AtomicBool::new(false)).unwrap()).await
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_become_a_run_and_a_conversation_once_their_root_has_come() {
    on_both(async |server| {
        let ann = server.session(&server.ann).await;
        // Children come before their parent, and each may come twice.
        for spans in [vec![model_call("b", 1)], vec![model_call("b", 1), span("c", "b", 2, &[])]] {
            let reply = send(server, &ann, &request(&spans)).await;
            assert_eq!(
                (reply.text().as_str(), reply.header("content-type")),
                ("{}", "application/json")
            );
        }
        assert_eq!(import(server, 60).await, TracesImported::default());
        send(server, &ann, &request(&[root(0)])).await.ok();
        assert_eq!(import(server, 9).await.traces, 0);
        assert_eq!(import(server, 1).await, TracesImported { traces: 1, refused: 0 });
        assert_eq!(import(server, 1).await.traces, 0);
        let id = "a1".repeat(16);
        let run = server.get(&format!("/api/v1/runs/{id}"), &ann).await.ok();
        assert_eq!(
            (&run["run"]["question"], &run["run"]["answer"]),
            (&json!("Where?"), &json!("Here.")),
            "{run}"
        );
        let node = |run: &Value| {
            let nodes = run["run"]["nodes"].as_array().unwrap().iter();
            let nodes = nodes
                .map(|node| (node["node"].as_str().unwrap().to_owned(), node["parent"].as_u64()));
            nodes.collect::<std::collections::BTreeMap<_, _>>()
        };
        let nodes = node(&run);
        assert_eq!(nodes.len(), 3, "{run}");
        assert!(nodes["a"].is_none() && nodes["b"].is_some() && nodes["c"].is_some(), "{run}");
        let page = server.get("/api/v1/conversations", &ann).await.ok();
        assert_eq!(each(&page["conversations"], "id"), ["s-1"], "{page}");
        let bob = server.session(&server.bob).await;
        assert_eq!(server.get("/api/v1/runs", &bob).await.ok()["runs"], json!([]));

        // A span that comes late has a place in the run; one long afterwards is still part of it.
        for (late, wait) in [("d", 10), ("e", 3600)] {
            server.clock.advance(Duration::from_secs(wait));
            import(server, 0).await;
            send(server, &ann, &request(&[model_call(late, 3)])).await.ok();
            assert_eq!(import(server, 121).await, TracesImported { traces: 1, refused: 0 });
            let run = server.get(&format!("/api/v1/runs/{id}"), &ann).await.ok();
            assert!(node(&run).contains_key(late), "{run}");
        }
        let run = server.get(&format!("/api/v1/runs/{id}"), &ann).await.ok();
        assert_eq!(node(&run).len(), 5, "{run}");
        assert_eq!(
            server.get("/api/v1/runs", &ann).await.ok()["runs"].as_array().unwrap().len(),
            1
        );
    })
    .await;
}

fn field(number: u8, bytes: &[u8]) -> Vec<u8> {
    let length = u16::try_from(bytes.len()).unwrap();
    [&[number << 3 | 2, (length & 0x7f) as u8 | 0x80, (length >> 7) as u8], bytes].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn protobuf_is_answered_in_protobuf_compressed_or_not() {
    on_sqlite_with(Setup::default(), async |server| {
        let ann = server.session(&server.ann).await;
        let span = |trace: &[u8]| {
            let span = [field(1, trace), field(2, &[7; 8]), field(5, b"chat")].concat();
            field(1, &field(2, &field(2, &span)))
        };
        let ask = || {
            server.request("POST", "/v1/traces").header("content-type", "application/x-protobuf")
        };
        let mut packed = GzEncoder::new(Vec::new(), flate2::Compression::fast());
        packed.write_all(&span(&[2; 16])).unwrap();
        let packed = packed.finish().unwrap();
        for (body, is_packed, answer) in [
            (span(&[1; 16]), false, Vec::new()),
            (packed.clone(), true, Vec::new()),
            (Vec::new(), false, Vec::new()),
            // One span without a trace is refused.
            (
                span(&[0; 16]),
                false,
                field_short(1, &[&[8, 1], &*field_short(2, b"spans without a trace id")].concat()),
            ),
        ] {
            let mut ask = ask().by(&ann).body(body);
            if is_packed {
                ask = ask.header("content-encoding", "gzip");
            }
            let reply = ask.send().await;
            assert_eq!(
                (reply.status, reply.header("content-type")),
                (200, "application/x-protobuf")
            );
            assert_eq!(reply.body, answer);
        }
        assert_eq!(import(server, 10).await, TracesImported { traces: 2, refused: 0 });
        let refused = [
            (ask().body(span(&[1; 16])), 401, 16),
            (ask().by(&ann).body("{}"), 400, 3),
            (ask().by(&ann).body(packed.clone()), 400, 3),
            (ask().by(&ann).body("x").header("content-encoding", "gzip"), 400, 3),
            (ask().by(&ann).body("x").header("content-encoding", "br"), 415, 3),
            (ask().by(&ann).body(vec![0; (16 << 20) + 1]), 413, 3),
        ];
        for (ask, status, code) in refused {
            let reply = ask.send().await;
            assert_eq!(
                (reply.status, reply.header("content-type")),
                (status, "application/x-protobuf")
            );
            assert_eq!(reply.body.get(..3), Some(&[8, code, 18][..]), "{}", reply.text());
        }
        let ask = || server.request("POST", "/v1/traces").by(&ann);
        for (ask, status, words) in [
            (ask().header("content-type", "text/plain").body("{}"), 415, "application/x-protobuf"),
            (ask().json(&json!([])), 400, "object"),
            (
                ask().header("content-type", "application/json").body("{\"resourceSpans\":["),
                400,
                "OTLP in JSON",
            ),
        ] {
            let reply = ask.send().await;
            assert_eq!((reply.status, reply.header("content-type")), (status, "application/json"));
            assert!(reply.json()["message"].as_str().unwrap().contains(words), "{}", reply.text());
        }
    })
    .await;
}

/// A field whose length is one byte.
fn field_short(number: u8, bytes: &[u8]) -> Vec<u8> {
    [&[number << 3 | 2, u8::try_from(bytes.len()).unwrap()], bytes].concat()
}

#[tokio::test(flavor = "multi_thread")]
async fn what_there_is_no_room_for_is_to_be_sent_again_later() {
    let quotas = Quotas { trace_bytes: 1000, item_bytes: 5000, ..Quotas::default() };
    on_sqlite_with(Setup { quotas, ..Setup::default() }, async |server| {
        let ann = server.session(&server.ann).await;
        let large = json!({"resourceSpans": [{"scopeSpans": [{"spans": [span("f", "", 0, &[("x", &"x".repeat(6000))])]}]}]});
        let taken = send(server, &ann, &large).await.ok();
        let partial = json!({"rejectedSpans": "1", "errorMessage": "spans of a trace that is larger than 0 MB"});
        assert_eq!(taken["partialSuccess"], partial);
        let other = |number: u32| {
            let mut one = root(0);
            one["traceId"] = json!(format!("{number:032x}"));
            request(&[one])
        };
        let mut sent = 0;
        let refused = loop {
            let reply = send(server, &ann, &other(sent + 1)).await;
            if reply.status != 200 {
                break reply;
            }
            sent += 1;
            assert!(sent < 10);
        };
        assert_eq!((refused.status, refused.header("retry-after")), (429, "2"), "{}", refused.text());
        assert!(refused.json()["message"].as_str().unwrap().contains("send them again"), "{}", refused.text());
        // Those that were imported make room, although they are kept for a while.
        assert_eq!(import(server, 10).await.traces, u64::from(sent));
        send(server, &ann, &other(sent + 1)).await.ok();
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_takes_no_traces_unless_it_is_told_to() {
    on_sqlite_with(Setup { takes_traces: false, ..Setup::default() }, async |server| {
        let ann = server.session(&server.ann).await;
        let reply = send(server, &ann, &request(&[root(0)])).await;
        assert_eq!((reply.status, &reply.json()["code"]), (404, &json!(5)));
    })
    .await;
}
