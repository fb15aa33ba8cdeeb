//! Filters: one form in queries, in bodies, on pages and in receipts.

use serde_json::{Value, json};

use retort_testing_server::server::{TestServer, each, on_both};

fn said(id: &str, turns: usize, model: &str, more: &Value) -> Value {
    let turn =
        |_| [json!({"role": "user", "content": "q"}), json!({"role": "assistant", "content": "a"})];
    let mut messages: Vec<Value> = (0..turns).flat_map(turn).collect();
    let last = messages.len() - 1;
    for (name, value) in more.as_object().unwrap() {
        messages[last][name] = value.clone();
    }
    json!({"id": id, "model": model, "title": id, "messages": messages})
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_has_one_form_in_queries_bodies_pages_and_receipts() {
    on_both(async |server: &mut TestServer| {
        let ann = server.session(&server.ann).await;
        for one in [
            said("short", 1, "m-1", &json!({})),
            said("long", 3, "m-1", &json!({"feedback": {"rating": true}})),
            said("other", 3, "m-2", &json!({"feedback": {"rating": false}})),
        ] {
            server.post("/api/v1/conversations", &ann, one).await.ok();
        }
        let filters = [
            ("turns=2..", json!({"turns": "2.."}), &["long", "other"][..]),
            ("model=m-1&model=x", json!({"model": ["m-1", "x"]}), &["long", "short"]),
            ("rating=bad", json!({"rating": ["bad"]}), &["other"]),
            ("type=chat&calls=1..", json!({"type": ["chat"], "calls": "1.."}), &[]),
            ("has_error=false&turns=1", json!({"has_error": false, "turns": "1"}), &["short"]),
            (
                "status=active&id=long&id=short&model=m-1",
                json!({"status": ["active"], "id": ["long", "short"], "model": ["m-1"]}),
                &["long", "short"],
            ),
        ];
        for (number, (query, body, expect)) in filters.into_iter().enumerate() {
            let list = server.get(&format!("/api/v1/conversations?{query}"), &ann).await.ok();
            let mut found = each(&list["conversations"], "id");
            found.sort_by_key(|id| id.as_str());
            assert_eq!(found, expect, "{query}");
            let path = format!("/api/v1/conversations/count?{query}");
            assert_eq!(server.get(&path, &ann).await.ok()["total"], expect.len(), "{query}");
            if !query.contains("id=") {
                let page = server.get(&format!("/export?{query}"), &ann).await.text();
                for id in ["short", "long", "other"] {
                    let is_there = page.contains(&format!(">{id}</a>"));
                    assert_eq!(is_there, expect.contains(&id), "{query} {id}");
                }
            }
            if !expect.is_empty() {
                let name = format!("set {number}");
                let dataset = server.dataset(&name, body.clone(), &ann).await;
                let path = format!("/api/v1/datasets/{dataset}/manifest");
                let receipt = server.get(&path, &ann).await.ok();
                assert_eq!(receipt["selection"], body, "{query}");
                assert_eq!(receipt["conversations"]["selected"], expect.len(), "{query}");
            }
        }
        // Names of before are still read, and told as they are called now.
        let old = json!({"statuses": ["active"], "ids": ["long"]});
        let dataset = server.dataset("old", old, &ann).await;
        let receipt = server.get(&format!("/api/v1/datasets/{dataset}/manifest"), &ann).await.ok();
        assert_eq!(receipt["selection"], json!({"status": ["active"], "id": ["long"]}));
        for (query, words) in [
            ("turn=1", "did you mean `turns`?"),
            ("turns=many", "write `4..10`"),
            ("turns=1&turns=2", "`turns` is given twice"),
            ("has_error=maybe", "neither `true` nor `false`"),
            ("created_from=soon", "not a date or time"),
        ] {
            let reply = server.get(&format!("/api/v1/conversations?{query}"), &ann).await;
            assert_eq!(reply.status, 400, "{query}");
            assert!(reply.text().contains(words), "{query}: {}", reply.text());
        }
        let wrong = json!({"dataset_name": "wrong", "selection": {"tags": "a"}});
        let reply = server.post("/api/v1/exports", &ann, wrong).await;
        assert_eq!(reply.status, 400);
        assert!(reply.text().contains("did you mean `tag`?"), "{}", reply.text());
    })
    .await;
}
