//! What a stranger can ask of a server costs no more than n log n: lists, filters, search, pages and previews are timed at
//! one size and at four times that size. Alone in its process, whose time is counted.
#![cfg(target_os = "linux")]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

use retort_model::bounds::QUERY_PARTS;
use retort_model::{ConversationFilter, RunFilter};
use retort_service::{RunOrder, Service};
use retort_testing::growth::{TIMES, check_process, list};
use retort_testing_server::server::{As, TestServer, caller_of, on_sqlite};
use serde_json::json;

const QUESTION: &str = r#"{"role":"user","content":"q"}"#;
const ANSWER: &str = r#"{"role":"assistant","content":"a"}"#;

/// Does something that asks the server, on a thread that may block.
fn now<T>(future: impl Future<Output = T>) -> T {
    tokio::task::block_in_place(|| tokio::runtime::Handle::current().block_on(future))
}

async fn take(server: &TestServer, who: &As, path: &str, items: String) {
    let taken = server.request("POST", path).by(who).body(items).send().await;
    assert_eq!(taken.status, 200, "{}", taken.text());
    assert_eq!(taken.json()["refused"], 0, "{}", taken.text());
}

/// Asks for both paths, and compares what they cost.
fn compare(server: &TestServer, who: &As, what: &str, [small, large]: [&str; 2]) {
    let ask = |path: &str| {
        let reply = now(server.get(path, who));
        assert_eq!(reply.status, 200, "{what}: {}", reply.text());
    };
    check_process(what, || ask(small), || ask(large));
}

/// A conversation of so many of something, that shows on its page.
type Make = fn(usize) -> String;

fn messages(id: &str, messages: &str) -> String {
    format!(r#"{{"id":"{id}","messages":[{messages}]}}"#)
}

fn conversations() -> Vec<(&'static str, usize, Make)> {
    vec![
        ("rounds", 4_000, |n| list((0..n).map(|_| format!("{QUESTION},{ANSWER}")))),
        ("answers", 8_000, |n| format!("{QUESTION},{}", list((0..n).map(|_| ANSWER.to_owned())))),
        ("calls", 4_000, |n| {
            let call = |i| {
                format!(
                    r#"{{"id":"c{i}","type":"function","function":{{"name":"f","arguments":"{{}}"}}}}"#
                )
            };
            let result = |i| format!(r#"{{"role":"tool","tool_call_id":"c{i}","content":"r"}}"#);
            let calls = list((0..n).map(call));
            let results = list((0..n).rev().map(result));
            format!(
                r#"{QUESTION},{{"role":"assistant","content":null,"tool_calls":[{calls}]}},{results},{ANSWER}"#
            )
        }),
        ("contexts", 4_000, |n| {
            let context = |i| format!(r#"{{"text":"t{i}","url":"https://example.org/{i}"}}"#);
            let contexts = list((0..n).map(context));
            format!(r#"{QUESTION},{{"role":"assistant","content":"a","contexts":[{contexts}]}}"#)
        }),
        ("files", 4_000, |n| {
            let file = r#"{"type":"file","file":{"filename":"a.txt","file_data":"data:,x"}}"#;
            let files = list((0..n).map(|_| file.to_owned()));
            format!(r#"{{"role":"user","content":[{files}]}},{ANSWER}"#)
        }),
        ("markdown", 40_000, |n| {
            format!(r#"{QUESTION},{{"role":"assistant","content":"{}"}}"#, "[a](".repeat(n))
        }),
        ("long words", 400_000, |n| {
            format!(r#"{QUESTION},{{"role":"assistant","content":"{}"}}"#, "<".repeat(n))
        }),
    ]
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_asked_of_a_server_costs_time_that_grows_with_its_size() {
    on_sqlite(async |server| {
        let owner = server.session(&server.owner).await;
        conversation_pages(server, &owner).await;
        run_pages(server, &owner).await;
        document_pages(server, &owner).await;
        lists(server, &owner).await;
        previews(server, &owner).await;
    })
    .await;
}

async fn conversation_pages(server: &TestServer, owner: &As) {
    for (what, n, make) in conversations() {
        let mut paths = [Vec::new(), Vec::new()];
        for (paths, n) in paths.iter_mut().zip([n, n * TIMES]) {
            let id = format!("{}-{n}", what.replace(' ', "-"));
            take(server, owner, "/api/v1/conversations", messages(&id, &make(n))).await;
            let shared = server.post("/api/v1/shares", owner, json!({"conversation": id})).await;
            let link = shared.json()["path"].as_str().unwrap().to_owned();
            let half = n / 2;
            *paths = vec![
                format!("/conversations/{id}"),
                format!("/conversations/{id}?after={half}"),
                format!("/api/v1/conversations/{id}"),
                link.clone(),
                link.replace("/s/", "/api/v1/shared/"),
            ];
        }
        let [small, large] = paths;
        for (small, large) in small.iter().zip(&large) {
            compare(server, owner, &format!("{what}: {large}"), [small, large]);
        }
    }
}

async fn run_pages(server: &TestServer, owner: &As) {
    let run = |n: usize, fields: &str| {
        format!(r#"{{"request_id":"r-{n}","copilot_id":"c","question":"q","answer":"a",{fields}}}"#)
    };
    let shapes: [(&str, usize, Make); 3] = [
        ("nodes", 3_000, |n| {
            let node = |i: usize| {
                format!(
                    r#"{{"node":"n{i}","id":"i{i}","parent":"i{}","input":{{"a":"q"}}}}"#,
                    i.saturating_sub(1)
                )
            };
            format!(r#""nodes":[{}]"#, list((0..n).map(node)))
        }),
        ("keys", 5_000, |n| list((0..n).map(|i| format!(r#""k{i}":{i}"#)))),
        ("inputs", 100_000, |n| format!(r#""inputs":{{"a":[{}"x"]}}"#, r#""","#.repeat(n))),
    ];
    for (what, n, make) in shapes {
        let paths = [n, n * TIMES].map(|n| {
            now(take(server, owner, "/api/v1/runs", run(n, &make(n))));
            [format!("/copilots/c/runs/r-{n}"), format!("/api/v1/runs/r-{n}")]
        });
        for (small, large) in paths[0].iter().zip(&paths[1]) {
            compare(server, owner, &format!("{what}: {large}"), [small, large]);
        }
    }
}

async fn document_pages(server: &TestServer, owner: &As) {
    let n = 3_000;
    let paths = [n, n * TIMES].map(|n| {
        let chunk = |i| format!(r#"{{"text":"t{i}","embedding":[0.1,0.2],"k{i}":1}}"#);
        let chunks = list((0..n).map(chunk));
        let document = format!(r#"{{"retort_document":1,"id":"d-{n}","chunks":[{chunks}]}}"#);
        now(take(server, owner, "/api/v1/documents", document));
        let half = n / 2;
        [
            format!("/documents/d-{n}"),
            format!("/documents/d-{n}?after={half}"),
            format!("/api/v1/documents/d-{n}"),
            format!("/api/v1/documents/d-{n}/chunks?after={half}"),
        ]
    });
    for (small, large) in paths[0].iter().zip(&paths[1]) {
        compare(server, owner, large, [small, large]);
    }
}

/// Lists of many rows, with long filters.
async fn lists(server: &TestServer, owner: &As) {
    let rows = 800;
    for n in 0..rows {
        let item = |n: usize| {
            json!({"id": format!("l-{n}"), "title": "a\"<".repeat(300), "tags": ["t", format!("t{n}")],
                "messages": [{"role": "user", "content": "q"}]})
        };
        if n % 200 == 0 {
            let items: String = (n..n + 200).map(|n| format!("{}\n", item(n))).collect();
            take(server, owner, "/api/v1/conversations", items).await;
        }
    }
    let page = |path: &str, n: usize| format!("{path}limit={n}");
    for path in ["/api/v1/conversations?", "/api/v1/conversations?sort=oldest&"] {
        compare(server, owner, path, [&page(path, rows / TIMES), &page(path, rows)]);
    }
    // Phrases that are almost in every title, as long as a query may be, and many values of one field.
    let text = "a+".repeat(QUERY_PARTS - 1);
    let search = |n: usize| {
        let texts = (0..n).map(|i| format!("search=%22{text}{i}%22"));
        texts.collect::<Vec<_>>().join("&")
    };
    let values = |field: &str, n: usize| {
        (0..n).map(|i| format!("{field}=t{i}")).collect::<Vec<_>>().join("&")
    };
    for path in ["/api/v1/conversations?", "/api/v1/conversations/count?", "/export?"] {
        let long = |n: usize| format!("{path}{}", search(n));
        compare(server, owner, &format!("search: {path}"), [&long(5), &long(20)]);
        for field in ["tag", "id", "owner", "model"] {
            let many = |n: usize| format!("{path}{}", values(field, n));
            compare(server, owner, &format!("{field}: {path}"), [&many(50), &many(200)]);
        }
    }
    // What comes in a body names more.
    let caller = caller_of(&server.service, &server.p, &server.owner);
    let filter = |n: usize| ConversationFilter {
        ids: (0..n).map(|i| format!("l-{i}")).collect(),
        ..ConversationFilter::default()
    };
    let count = |n: usize| {
        let (filter, caller) = (filter(n), caller.clone());
        let counted = now(server.call(move |service| service.count(&caller, &filter).unwrap()));
        assert_eq!(counted, rows as u64);
    };
    check_process("ids of a filter", || count(20_000), || count(20_000 * TIMES));
    let runs = |n: usize| {
        let filter = RunFilter {
            ids: (0..n).map(|i| format!("none-{i}")).collect(),
            ..RunFilter::default()
        };
        let caller = caller.clone();
        let list = move |service: &Service| {
            service.runs(&caller, &filter, RunOrder::Newest, None, 10).unwrap()
        };
        now(server.call(list));
    };
    check_process("ids of runs", || runs(20_000), || runs(20_000 * TIMES));
}

/// The first records of datasets, on pages and as JSON.
async fn previews(server: &TestServer, owner: &As) {
    let [small, large] = [1_000, 1_000 * TIMES].map(|n| {
        let id = format!("preview-{n}");
        let said = list((0..n).map(|_| format!("{QUESTION},{ANSWER}")));
        now(take(server, owner, "/api/v1/conversations", messages(&id, &said)));
        let selection = json!({"ids": [id]});
        let dataset = now(server.dataset(&format!("d-{n}"), selection, owner));
        [format!("/datasets/{dataset}"), format!("/api/v1/datasets/{dataset}/preview")]
    });
    for (small, large) in small.iter().zip(&large) {
        compare(server, owner, &format!("preview: {large}"), [small, large]);
    }
}
