//! Runs in, looked at, charted, exported and purged, as programs ask for them.

use std::io::Write;
use std::time::Duration;

use serde_json::{Value, json};

use retort_testing_server::server::{As, TestServer, each, on_both};

fn run(id: &str, seconds: u64) -> Value {
    json!({
        "request_id": id, "copilot_id": "helper", "copilot_name": "Helper", "version": "v1",
        "question": format!("Where is {id}?"), "answer": "Here.", "status": "success",
        "started_at": format!("2024-03-01T00:00:{seconds:02}Z"),
        "finished_at": format!("2024-03-01T00:00:{:02}Z", seconds + 2),
        "files": [{"uri": "s3://bucket/a.pdf", "name": "a.pdf"}],
        "nodes": [
            {"node": "search", "kind": "retrieval", "input": {"q": id}, "output": ["p"]},
            {"node": "answer", "kind": "model-call", "prompt": "Answer {q}", "output": "Here."},
        ],
    })
}

async fn ended(server: &TestServer, path: &str, who: &As) -> Value {
    for _ in 0..400 {
        let job = server.get(path, who).await.ok();
        if job["finished_at"].is_string() {
            return job;
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
    panic!("{path} does not end");
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_of_runs_and_documents_are_sorted_as_asked() {
    on_both(async |server| {
        let owner = server.session(&server.owner).await;
        let rated = |id: &str, seconds: u64, took: u64, rating: Value| {
            let mut run = run(id, seconds);
            run["finished_at"] = json!(format!("2024-03-01T00:00:{:02}Z", seconds + took));
            run["feedback"] = json!({ "rating": rating });
            run
        };
        let running = json!({"request_id": "r-4", "copilot_id": "helper", "status": "running", "started_at": "2024-03-01T00:00:09Z"});
        let runs = json!([rated("r-1", 1, 3, json!(0.5)), rated("r-2", 2, 1, json!(0.1)), rated("r-3", 3, 9, json!(1)), running]);
        server.post("/api/v1/runs", &owner, runs).await.ok();
        let document = |id: &str, name: &str, chunks: usize| json!({"id": id, "doc_groups": [], "readable_filename": name,
            "created_at": format!("2024-03-0{id}T00:00:00Z"), "contexts": vec![json!({"text": "t"}); chunks]});
        let documents = json!([document("1", "b", 1), document("2", "a", 3), document("3", "C", 2)]);
        server.post("/api/v1/documents", &owner, documents).await.ok();
        let listed = async |list: &str, id: &str, sort: &str| {
            let (mut seen, mut after) = (Vec::new(), String::new());
            loop {
                let path = format!("/api/v1/{list}?limit=2&sort={sort}{after}");
                let page = server.get(&path, &owner).await.ok();
                let ids = each(&page[list], id);
                seen.extend(ids.iter().map(|id| id.as_str().unwrap().to_owned()));
                let Some(next) = page["next"].as_str() else { return seen };
                after = format!("&after={next}");
            }
        };
        for (sort, expect) in [
            ("newest", ["r-4", "r-3", "r-2", "r-1"]),
            ("oldest", ["r-1", "r-2", "r-3", "r-4"]),
            ("slowest", ["r-3", "r-1", "r-2", "r-4"]),
            ("best-score", ["r-3", "r-1", "r-2", "r-4"]),
            ("worst-score", ["r-2", "r-1", "r-3", "r-4"]),
        ] {
            assert_eq!(listed("runs", "request_id", sort).await, expect, "{sort}");
        }
        for (sort, expect) in [
            ("newest", ["3", "2", "1"]),
            ("oldest", ["1", "2", "3"]),
            ("name", ["2", "1", "3"]),
            ("name-down", ["3", "1", "2"]),
            ("most-chunks", ["2", "3", "1"]),
            ("fewest-chunks", ["1", "3", "2"]),
        ] {
            assert_eq!(listed("documents", "id", sort).await, expect, "{sort}");
        }
        for path in ["runs?sort=name", "documents?sort=slowest", "runs?sort=latest"] {
            let path = format!("/api/v1/{path}");
            server.get(&path, &owner).await.refused(400, "bad-request");
        }

        // The pages keep the order and the columns from the list to an item and to the next one.
        let page = async |path: &str| {
            let reply = server.request("GET", path).by(&owner).send().await;
            assert_eq!(reply.status, 200, "{path}: {}", reply.text());
            reply.text()
        };
        let has = |page: &str, words: &str| assert!(page.contains(words), "{words}: {page}");
        let list = page("/copilots/helper?sort=worst-score&column=score&column=question").await;
        let place = |words: &str| list.find(words).unwrap_or_else(|| panic!("{words}: {list}"));
        assert!(place(">r-2<") < place(">r-1<") && place(">r-1<") < place(">r-3<"), "{list}");
        has(&list, "<th class=\"num\" aria-sort=\"ascending\"><a href=\"/copilots/helper?sort=best-score&#38;column=score&#38;column=question\">Score</a>");
        has(&list, "<td class=\"num\">0.1</td>");
        assert!(!list.contains(">Started</a>"), "{list}");
        let from = "from=sort%3Dworst%2Dscore%26id%3Dr%2D2";
        let run = page(&format!("/copilots/helper/runs/r%2D1?{from}")).await;
        has(&run, &format!("<a href=\"/copilots/helper/runs/r%2D2?{from}\" rel=\"prev\""));
        has(&run, &format!("<a href=\"/copilots/helper/runs/r%2D3?{from}\" rel=\"next\""));
        has(&run, &format!("<a class=\"button\" href=\"/copilots/helper/runs/r%2D1?{from}%26id%3Dr%2D1\""));
        has(&run, "<a href=\"/copilots/helper?sort=worst-score&#38;id=r-2\" data-key=\"u\">");
        let selected = page(&format!("/copilots/helper/runs/r%2D2?{from}")).await;
        has(&selected, "href=\"/copilots/helper/runs/r%2D2?from=sort%3Dworst%2Dscore\" data-key=\"x\"");
        has(&selected, "✓ Selected");
        let list = page("/documents?sort=name&column=size").await;
        has(&list, "<th aria-sort=\"ascending\"><a href=\"/documents?sort=name-down&#38;column=size\">Name</a>");
        assert!(!list.contains(">Chunks</a>"), "{list}");
        let from = "from=sort%3Dname";
        let middle = page(&format!("/documents/1?source=uiuc%2Ddocuments&{from}")).await;
        let at = |id: u8| format!("<a href=\"/documents/{id}?source=uiuc%2Ddocuments&#38;{from}\"");
        has(&middle, &format!("{} rel=\"prev\"", at(2)));
        has(&middle, &format!("{} rel=\"next\"", at(3)));
        has(&middle, "<a href=\"/documents?sort=name\" data-key=\"u\">");
        for path in ["/copilots/helper?sort=name", "/documents?column=password"] {
            let reply = server.request("GET", path).by(&owner).send().await;
            assert_eq!(reply.status, 400, "{path}: {}", reply.text());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_come_in_grow_and_are_told_of() {
    on_both(async |server| {
        let ann = server.session(&server.ann).await;
        let post = async |body: Value| server.post("/api/v1/runs", &ann, body).await.ok();
        let running = json!({
            "request_id": "r-1", "copilot_id": "helper", "question": "Where is Ärger?", "status": "running",
            "started_at": "2024-03-01T00:00:01Z", "nodes": [{"node": "search", "kind": "retrieval"}],
        });
        let taken = post(json!([running, run("r-2", 5)])).await;
        assert_eq!((&taken["new"], &taken["read"]), (&json!(2), &json!(2)), "{taken}");
        let outcome = |taken: &Value| taken["conversations"][0]["outcome"].clone();
        assert_eq!(outcome(&post(running.clone()).await), "same");
        let more = json!({
            "request_id": "r-1", "copilot_id": "helper", "answer": "There.", "status": "success",
            "finished_at": "2024-03-01T00:00:11Z",
        });
        assert_eq!(outcome(&post(more.clone()).await), "updated");
        assert_eq!(outcome(&post(more).await), "same");
        assert_eq!(outcome(&post(running).await), "older");
        let thought =
            json!({"request_id": "r-1", "copilot_id": "helper", "feedback": {"rating": 1}, "ground_truth": "There!"});
        assert_eq!(outcome(&post(thought).await), "updated");
        let whole = server.get("/api/v1/runs/r-1", &ann).await.ok();
        assert_eq!(whole["run"]["question"], "Where is Ärger?", "{whole}");
        assert_eq!(whole["run"]["answer"], "There.");
        assert_eq!(whole["run"]["ground_truth"], "There!");
        assert_eq!(whole["run"]["status"], "success");
        assert_eq!(whole["summary"]["has_feedback"], true);
        assert_eq!(whole["summary"]["nodes"], 1);
        // Lists, by each filter.
        let listed = async |query: &str| {
            let page = server.get(&format!("/api/v1/runs?{query}"), &ann).await.ok();
            let mut ids: Vec<String> = each(&page["runs"], "request_id").iter().map(|id| id.as_str().unwrap().to_owned()).collect();
            let count = server.get(&format!("/api/v1/runs/count?{query}"), &ann).await.ok();
            assert_eq!(count["total"], ids.len(), "{query}");
            ids.sort();
            ids
        };
        for (query, expect) in [
            ("", &["r-1", "r-2"][..]),
            ("source=copilot&source_id=helper", &["r-1", "r-2"]),
            ("source=recipe", &[]),
            ("source_id=other", &[]),
            ("version=v1", &["r-2"]),
            ("status=success&status=failure", &["r-1", "r-2"]),
            ("status=running", &[]),
            ("has_feedback=true", &["r-1"]),
            ("has_feedback=false", &["r-2"]),
            ("has_error=true", &[]),
            ("search=%C3%A4RGER", &["r-1"]),
            ("node=answer", &["r-2"]),
            ("started_from=2024-03-01T00:00:02Z", &["r-2"]),
            ("started_before=2024-03-01T00:00:02Z", &["r-1"]),
            ("id=r-2&id=none", &["r-2"]),
        ] {
            assert_eq!(listed(query).await, expect, "{query}");
        }
        server.get("/api/v1/runs?status=odd", &ann).await.refused(400, "bad-request");
        server.get("/api/v1/runs?colour=red", &ann).await.refused(400, "bad-request");
        // A page at a time.
        let first = server.get("/api/v1/runs?limit=1", &ann).await.ok();
        assert_eq!(first["runs"][0]["request_id"], "r-2");
        let next = first["next"].as_str().unwrap();
        let second = server.get(&format!("/api/v1/runs?limit=1&after={next}"), &ann).await.ok();
        assert_eq!((&second["runs"][0]["request_id"], &second["next"]), (&json!("r-1"), &Value::Null));
        // What ran, and how long it took.
        let flows = server.get("/api/v1/flows?source=copilot", &ann).await.ok();
        assert_eq!(flows["flows"][0]["id"], "helper");
        assert_eq!(flows["flows"][0]["name"], "Helper");
        assert_eq!(flows["flows"][0]["runs"], 2);
        let flow = server.get("/api/v1/flows/helper", &ann).await.ok();
        assert_eq!(each(&flow["nodes"], "node"), ["search", "answer"], "{flow}");
        assert_eq!(each(&flow["nodes"], "runs"), [2, 1]);
        assert_eq!(each(&flow["versions"], "version"), [&Value::Null, &json!("v1")], "{flow}");
        let stats = server.get("/api/v1/runs/stats?source_id=helper", &ann).await.ok();
        assert_eq!((&stats["runs"], &stats["whole"]), (&json!(2), &json!(true)));
        assert_eq!(stats["statuses"], json!({"success": 2}));
        assert_eq!(stats["bars"][0]["runs"], 2);
        let p99 = stats["latency"]["p99_ms"].as_u64().unwrap();
        assert!((9_800..=10_200).contains(&p99), "{stats}");
        // Gone for good.
        let purge = async |selection: Value| {
            server.post("/api/v1/runs/purge", &ann, json!({"selection": selection})).await
        };
        purge(json!({"ids": ["r-1", "none"]})).await.refused(404, "not-found");
        purge(json!({"statuses": ["success"]})).await.refused(400, "bad-request");
        assert_eq!(purge(json!({"ids": ["r-1"]})).await.ok(), json!({"purged": 1}));
        server.get("/api/v1/runs/r-1", &ann).await.refused(404, "not-found");
        assert_eq!(listed("").await, ["r-2"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn lines_of_runs_are_streamed_and_packed_as_imports_are() {
    on_both(async |server| {
        let ann = server.session(&server.ann).await;
        let mut packed = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
        for number in 0..1000 {
            writeln!(packed, "{}", run(&format!("r-{number}"), number % 50)).unwrap();
        }
        writeln!(packed, "{{\"nothing\":1}}").unwrap();
        let packed = packed.finish().unwrap();
        let send = async || {
            let ask =
                server.request("POST", "/api/v1/runs").by(&ann).header("idempotency-key", "once");
            ask.header("content-type", "application/x-ndjson").body(packed.clone()).send().await
        };
        let (first, again) = (send().await, send().await);
        assert_eq!((first.status, first.id()), (202, again.id()));
        let job = ended(server, &format!("/api/v1/imports/{}", first.id()), &ann).await;
        assert_eq!(job["state"], "completed_with_skips", "{job}");
        assert_eq!((&job["report"]["new"], &job["report"]["read"]), (&json!(1000), &json!(1001)));
        let count = server.get("/api/v1/runs/count", &ann).await.ok();
        assert_eq!(count["total"], 1000);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_become_datasets_for_a_purpose() {
    on_both(async |server| {
        let ann = server.session(&server.ann).await;
        let some: Vec<Value> = (0..10).map(|n| run(&format!("r-{n}"), n)).collect();
        server.post("/api/v1/runs", &ann, json!(some)).await.ok();
        let recipe = json!({"request_id": "w", "recipe_id": "r", "question": "q", "answer": "a"});
        server.post("/api/v1/runs", &ann, recipe).await.ok();
        let submit = async |name: &str, more: Value| {
            let mut asked = json!({
                "dataset_name": name, "runs": {"source": "copilot", "source_id": "helper", "limit": 4},
            });
            asked.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
            server.post("/api/v1/exports", &ann, asked).await
        };
        for (purpose, node, format) in [
            ("export-dataset", None, "runs"),
            ("recipe-evaluation", None, "recipe-evaluation"),
            ("node-evaluation", Some("answer"), "node-evaluation"),
            ("node-optimization", Some("answer"), "node-optimization"),
            ("fine-tuning", None, "standard"),
        ] {
            let more = match node {
                Some(node) => json!({"purpose": purpose, "node": node}),
                None => json!({"purpose": purpose}),
            };
            let job = submit(purpose, more).await;
            let job = ended(server, &format!("/api/v1/exports/{}", job.id()), &ann).await;
            assert_eq!((&job["of"], &job["items"]["total"]), (&json!("run"), &json!(4)), "{job}");
            let dataset = server.get(&format!("/api/v1/datasets/{}", job["dataset"]), &ann).await.ok();
            assert_eq!(dataset["purpose"], purpose, "{dataset}");
            assert_eq!(dataset["node"], json!(node));
            assert_eq!(dataset["data_format"], format);
            assert_eq!(dataset["records"], 4);
            let receipt =
                server.get(&format!("/api/v1/datasets/{}/manifest", job["dataset"]), &ann).await.ok();
            assert_eq!(receipt["runs"]["written"], 4, "{receipt}");
            assert_eq!(receipt["selection"]["source_id"], "helper");
        }
        submit("none", json!({"purpose": "node-evaluation"})).await.refused(422, "choice");
        submit("none", json!({"purpose": "node-evaluation", "node": "odd"})).await.refused(404, "not-found");
        submit("none", json!({"data_format": "history"})).await.refused(422, "choice");
        submit("none", json!({"selection": {"ids": ["c"]}})).await.refused(400, "bad-request");
        submit("none", json!({"runs": {"ids": ["r-1", "w", "other"]}})).await.refused(404, "not-found");
        submit("none", json!({"runs": {"search": ["nothing has this"]}})).await.refused(422, "nothing-to-write");
        // By id, whatever the order.
        let job = submit("picked", json!({"runs": {"ids": ["r-7", "w"]}})).await;
        let job = ended(server, &format!("/api/v1/exports/{}", job.id()), &ann).await;
        assert_eq!(job["records"], 2);
        let traced = server.get("/api/v1/conversations/w/datasets", &ann).await.ok();
        assert_eq!(each(&traced["datasets"], "name"), ["picked"]);
    })
    .await;
}
