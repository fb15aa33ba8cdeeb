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

/// Numbers in an order that only looks random.
fn shuffled<T>(mut all: Vec<T>) -> Vec<T> {
    let mut order = Vec::new();
    let mut at = 7;
    while !all.is_empty() {
        at = (at * 31 + 17) % 1009;
        order.push(all.swap_remove(at % all.len()));
    }
    order
}

#[tokio::test(flavor = "multi_thread")]
async fn spans_in_any_order_and_number_make_the_same_runs() {
    on_both(async |server| {
        let traces = ["d4", "e5", "f6"];
        let mut spans = Vec::new();
        for (at, trace) in (0..).zip(traces) {
            let orphan = span("d", "9", 4, &[("x", "y")]);
            // The clock of the machine on which it ran is wrong by half a minute.
            let mut skewed = model_call("c", 2);
            let nanos = (SECOND - 30_000_000_000).to_string();
            skewed["startTimeUnixNano"] = json!(nanos);
            for mut one in [root(0), model_call("b", 1 + at), skewed, orphan] {
                one["traceId"] = json!(trace.repeat(16));
                spans.push(one);
            }
        }
        // Ann's exporter sends each trace whole, Bob's sends the spans of all in any order, and again, and one too late.
        let (ann, bob) = (server.session(&server.ann).await, server.session(&server.bob).await);
        send(server, &ann, &request(&spans)).await.ok();
        let (late, mut some) = (spans[1].clone(), spans.clone());
        some.extend(spans.iter().skip(3).cloned());
        some.retain(|one| (&one["traceId"], &one["spanId"]) != (&late["traceId"], &late["spanId"]));
        for some in shuffled(some).chunks(2) {
            send(server, &bob, &request(some)).await.ok();
        }
        assert_eq!(import(server, 130).await, TracesImported { traces: 6, refused: 0 });
        send(server, &bob, &request(&[late])).await.ok();
        assert_eq!(import(server, 130).await, TracesImported { traces: 1, refused: 0 });
        for trace in traces {
            let path = format!("/api/v1/runs/{}", trace.repeat(16));
            let nodes = async |who: &As| {
                let run = server.get(&path, who).await.ok()["run"].clone();
                let nodes = run["nodes"].as_array().unwrap().clone();
                let name_of = |node: &Value| node["node"].as_str().unwrap().to_owned();
                let parent = |node: &Value| {
                    let parent = usize::try_from(node["parent"].as_u64()?).unwrap();
                    Some(name_of(&nodes[parent]))
                };
                let mut told: Vec<_> = nodes
                    .iter()
                    .map(|node| (name_of(node), parent(node), node["started_at"].clone()))
                    .collect();
                told.sort_by_key(|(name, ..)| name.clone());
                (told, run["question"].clone(), run["answer"].clone())
            };
            let (one, other) = (nodes(&ann).await, nodes(&bob).await);
            assert_eq!(one, other);
            assert_eq!(one.0.len(), 4, "{one:?}");
            assert_eq!(one.0[3].1, None, "an orphan is at the top: {one:?}");
        }
        // The three traces of the session are one conversation, in which each message stands once.
        let chat = server.get("/api/v1/conversations/s-1", &ann).await.ok().to_string();
        assert_eq!(chat.matches("\"text\":\"Where?\"").count(), 1, "{chat}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn many_traces_that_are_never_whole_are_imported_page_by_page() {
    on_sqlite_with(Setup::default(), async |server| {
        let ann = server.session(&server.ann).await;
        for batch in 0..5_u32 {
            let spans: Vec<_> = (0..500_u32)
                .map(|number| {
                    let mut one = span("b", "a", 1, &[]);
                    one["traceId"] = json!(format!("{:032x}", batch * 500 + number + 1));
                    one
                })
                .collect();
            send(server, &ann, &request(&spans)).await.ok();
        }
        let mut imported = 0;
        server.clock.advance(Duration::from_secs(130));
        for _ in 0..5 {
            imported += import(server, 0).await.traces;
        }
        assert_eq!(imported, 2500);
        let count = server.get("/api/v1/runs/count", &ann).await.ok();
        assert_eq!(count["total"], 2500);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn traced_runs_are_found_by_what_their_spans_say() {
    on_both(async |server| {
        let admin = server.session(&server.admin).await;
        for (trace, environment, user, model) in
            [("b2", "production", "kim", "m-1"), ("c3", "test", "lee", "m-2")]
        {
            let mut agent = root(0);
            let mut call = model_call("b", 1);
            for span in [&mut agent, &mut call] {
                span["traceId"] = json!(trace.repeat(16));
            }
            let said = |key: &str, value: &str| json!({"key": key, "value": {"stringValue": value}});
            let attributes = agent["attributes"].as_array_mut().unwrap();
            attributes.push(said("user.id", user));
            attributes.push(said("session.id", &format!("session-{user}")));
            let attributes = call["attributes"].as_array_mut().unwrap();
            attributes.retain(|one| one["key"] != "session.id" && one["key"] != "gen_ai.request.model");
            attributes.push(said("gen_ai.request.model", model));
            let mut sent = request(&[agent, call]);
            let resource = sent["resourceSpans"][0]["resource"]["attributes"].as_array_mut();
            resource.unwrap().push(said("deployment.environment.name", environment));
            send(server, &admin, &sent).await.ok();
        }
        assert_eq!(import(server, 10).await, TracesImported { traces: 2, refused: 0 });
        let judged = json!({"request_id": "c3".repeat(16), "source": "application", "source_id": "shop",
            "feedback": {"rating": 0.25}});
        server.post("/api/v1/runs", &admin, judged).await.ok();
        for (query, expect) in [
            ("node_kind=agent", &["b2", "c3"][..]),
            ("node_kind=tool", &[]),
            ("node_kind=tool&node_kind=model-call", &["b2", "c3"]),
            ("model=m-2", &["c3"]),
            ("model=m-1&node_kind=retrieval", &[]),
            ("environment=production", &["b2"]),
            ("owner=lee", &["c3"]),
            ("thread=session-kim", &["b2"]),
            ("thread=session-kim&thread=session-lee", &["b2", "c3"]),
            ("score=0.2..1", &["c3"]),
            ("score=0.5..", &[]),
        ] {
            let page = server.get(&format!("/api/v1/runs?{query}"), &admin).await.ok();
            let mut ids = each(&page["runs"], "request_id");
            ids.sort_by_key(ToString::to_string);
            let expect: Vec<Value> = expect.iter().map(|id| json!(id.repeat(16))).collect();
            assert_eq!(ids, expect.iter().collect::<Vec<_>>(), "{query}");
            // The pages mean the same.
            let shown = server.get(&format!("/applications/shop?{query}"), &admin).await;
            assert_eq!(shown.status, 200, "{query}");
            for trace in ["b2", "c3"] {
                let is_shown = shown.text().contains(&format!("/{}", trace.repeat(16)));
                assert_eq!(is_shown, expect.contains(&json!(trace.repeat(16))), "{trace}: {query}");
            }
        }
        // The traces of a member are the member's, whatever user they name.
        let ann = server.session(&server.ann).await;
        let mut agent = root(0);
        let user = json!({"key": "user.id", "value": {"stringValue": "kim"}});
        agent["attributes"].as_array_mut().unwrap().push(user);
        send(server, &ann, &request(&[agent])).await.ok();
        assert_eq!(import(server, 10).await, TracesImported { traces: 1, refused: 0 });
        let run = server.get(&format!("/api/v1/runs/{}", "a1".repeat(16)), &ann).await.ok();
        assert_eq!(run["run"]["metadata"]["user"], "kim", "{run}");
        assert_eq!(run["run"]["owner"], run["summary"]["owner"]);
        assert_ne!(run["run"]["owner"], "kim");
        let odd = server.get("/api/v1/runs?node_kind=odd", &admin).await;
        odd.refused(400, "bad-request");
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
        assert!(refused.json()["message"].as_str().unwrap().contains("send these again"), "{}", refused.text());
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
