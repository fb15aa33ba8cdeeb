//! Histories in and datasets out, as programs ask for them.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use axum::Router;
use axum::http::{HeaderMap, StatusCode};
use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use hmac::{Hmac, KeyInit, Mac};
use serde_json::{Value, json};
use sha2::Sha256;
use tokio::io::AsyncWriteExt;
use tokio::net::TcpListener;
use tokio::task::JoinHandle;

use retort_model::Grant;
use retort_service::Caller;

use retort_testing_server::server::{
    self, As, Reply, Setup, each, on_both, on_both_with, on_sqlite, on_sqlite_with, said,
};

#[tokio::test(flavor = "multi_thread")]
async fn a_request_with_a_key_is_done_once() {
    on_both(async |server| {
        let ann = server.session(&server.ann).await;
        let id = server.conversation(&server.ann).await;
        let rounds = format!("/api/v1/conversations/{id}/rounds");
        let more = json!([{"role": "user", "content": "more"}]).to_string();
        let requests = [
            ("/api/v1/conversations", said("one").to_string(), said("two").to_string()),
            ("/api/v1/imports", said("three").to_string(), said("four").to_string()),
            (&rounds, more.clone(), more.replace("more", "other")),
            (
                "/api/v1/exports",
                json!({"dataset_name": "set"}).to_string(),
                json!({"dataset_name": "other"}).to_string(),
            ),
        ];
        for (number, (path, body, other)) in requests.iter().enumerate() {
            let key = format!("key-{number}");
            let send = async |key: &str, body: &str| {
                let ask = server.request("POST", path).by(&ann).header("idempotency-key", key);
                ask.header("content-type", "application/json").body(body.to_owned()).send().await
            };
            let first = send(&key, body).await;
            let again = send(&key, body).await;
            assert_eq!((first.status, first.ok()), (again.status, again.ok()), "{path}");
            send(&key, other).await.refused(422, "idempotency-mismatch");
            for key in ["", &"k".repeat(201), "ключ"] {
                send(key, body).await.refused(400, "bad-request");
            }
            // Someone else's key is another.
            if *path != rounds {
                let bob = server.session(&server.bob).await;
                let ask = server.request("POST", path).by(&bob).header("idempotency-key", &key);
                let body = other.replace("four", "bobs").replace("two", "bobs too");
                let reply = ask.header("content-type", "application/json").body(body).send().await;
                assert!(reply.status != 409, "{path}: {}", reply.text());
            }
        }
        let found = server.get(&format!("/api/v1/conversations/{id}"), &ann).await.ok();
        assert_eq!(found["conversation"]["rounds"].as_array().unwrap().len(), 2, "{found}");
        // What failed may be tried again under its key.
        let ask = || {
            server
                .request("POST", "/api/v1/conversations")
                .by(&ann)
                .header("idempotency-key", "bad")
        };
        ask().body("nothing that can be read").send().await.refused(422, "unreadable");
        ask().body("nothing that can be read").send().await.refused(422, "unreadable");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_answered_under_a_key_is_told_to_those_alone_who_may_ask() {
    on_both(async |server| {
        let (p, ann) = (server.p.clone(), server.ann.clone());
        let ask = async |who: &As| {
            let ask = server.request("POST", "/api/v1/conversations").by(who);
            let ask =
                ask.header("idempotency-key", "mine").header("content-type", "application/json");
            ask.body(said("under a key").to_string()).send().await
        };
        let writes = server.token(&p, &ann, &[Grant::Write]).await;
        let reads = server.token(&p, &ann, &[Grant::Read]).await;
        ask(&writes).await.ok();
        ask(&writes).await.ok();
        ask(&reads).await.refused(403, "insufficient-scope");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_may_no_longer_ask_is_no_longer_told_how_a_job_moves() {
    on_sqlite_with(Setup { has_worker: false, ..Setup::default() }, async |server| {
        let (p, ann) = (server.p.clone(), server.ann.clone());
        server.conversation(&ann).await;
        let token = server.token(&p, &ann, &[Grant::Export]).await;
        let asked = json!({"dataset_name": "never made", "selection": {}});
        let job = server.post("/api/v1/exports", &token, asked).await.id();
        let session = server.session(&ann).await;
        let path = format!("/api/v1/exports/{job}/events");
        let told = tokio::join!(server.get(&path, &token), async {
            let tokens = server.get("/api/v1/tokens", &session).await.ok();
            for id in each(&tokens["tokens"], "id") {
                assert_eq!(
                    server.delete(&format!("/api/v1/tokens/{id}"), &session).await.status,
                    204
                );
            }
        });
        let text = told.0.text();
        assert!(text.starts_with("event: progress") && !text.contains("event: end"), "{text}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_page_cannot_take_is_told_on_a_page() {
    on_sqlite(async |server| {
        let ann = server.session(&server.ann).await;
        let forms = [
            server.request("POST", "/sign-in").form(&[("name", "no password")]),
            server.request("POST", "/sign-in/link").form(&[]),
            server.request("POST", "/sign-in").header("content-type", "text/plain").body("name=x"),
            server.request("POST", "/sign-in/confirm").form(&[("secret", "no such")]),
            server.request("GET", "/datasets/one").by(&ann),
            server.request("GET", "/s/x?leaf=green"),
        ];
        for form in forms {
            let reply = form.send().await;
            assert!((400..500).contains(&reply.status), "{}", reply.text());
            assert!(reply.header("content-type").starts_with("text/html"), "{}", reply.text());
            assert!(reply.text().contains("<h1"), "{}", reply.text());
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_key_in_one_project_is_another_in_the_next() {
    on_both(async |server| {
        let (q, ann) = (server.q.clone(), server.ann.clone());
        server
            .call(move |service| {
                let local = Caller::local(&q);
                service.admit(&local, &ann, retort_model::ProjectRole::Member).unwrap();
            })
            .await;
        let ann = server.session(&server.ann).await;
        for project in ["p", "q"] {
            let path = format!("/api/v1/conversations?project={project}");
            let ask = server.request("POST", &path).by(&ann).header("idempotency-key", "the same");
            assert_eq!(ask.json(&said("one")).send().await.ok()["new"], 1);
            let path = format!("/api/v1/conversations/one?project={project}");
            assert_eq!(server.get(&path, &ann).await.status, 200, "{project}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn requests_with_one_key_at_the_same_time_are_done_once() {
    on_both(async |server| {
        let ann = server.session(&server.ann).await;
        let id = server.conversation(&server.ann).await;
        let path = format!("/api/v1/conversations/{id}/rounds");
        let send = async || {
            let ask = server.request("POST", &path).by(&ann).header("idempotency-key", "one");
            ask.json(&json!([{"role": "user", "content": "once"}])).send().await
        };
        let replies = futures_util::future::join_all((0..8).map(|_| send())).await;
        for reply in &replies {
            match reply.status {
                201 => {}
                _ => {
                    reply.refused(409, "idempotency-under-way");
                    reply.header("retry-after");
                }
            }
        }
        assert!(replies.iter().any(|reply| reply.status == 201));
        let found = server.get(&format!("/api/v1/conversations/{id}"), &ann).await.ok();
        assert_eq!(found["conversation"]["rounds"].as_array().unwrap().len(), 2, "{found}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_goes_away_meanwhile_finds_the_answer_later_and_it_is_done_once() {
    on_both(async |server| {
        let As::Token(token) = server.token(&server.p, &server.ann, Grant::ALL).await else {
            panic!()
        };
        let id = server.conversation(&server.ann).await;
        let path = format!("/api/v1/conversations/{id}/rounds");
        let body = json!([{"role": "user", "content": "once"}]).to_string();
        let tries = 12;
        for number in 0..tries {
            let request = format!(
                "POST {path} HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
                 idempotency-key: key-{number}\r\ncontent-type: application/json\r\n\
                 content-length: {}\r\n\r\n{body}",
                body.len()
            );
            let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
            stream.write_all(request.as_bytes()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(2 * number)).await;
            drop(stream);
            let mut status = 409;
            for _ in 0..500 {
                let who = As::Token(token.clone());
                let ask = server.request("POST", &path).by(&who);
                let ask = ask.header("idempotency-key", &format!("key-{number}"));
                let ask = ask.header("content-type", "application/json").body(body.clone());
                status = ask.send().await.status;
                if status != 409 {
                    break;
                }
                tokio::time::sleep(Duration::from_millis(10)).await;
            }
            assert_eq!(status, 201, "{number}");
        }
        let who = As::Token(token);
        let found = server.get(&format!("/api/v1/conversations/{id}"), &who).await.ok();
        let rounds = found["conversation"]["rounds"].as_array().unwrap().len();
        assert_eq!(rounds as u64, 1 + tries, "{found}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_who_append_at_once_lose_nothing() {
    on_both(async |server| {
        let ann = server.session(&server.ann).await;
        let id = server.conversation(&server.ann).await;
        let path = format!("/api/v1/conversations/{id}/rounds");
        let append = async |who: usize| {
            for number in 0..6 {
                let said = json!([{"role": "user", "content": format!("{who} says {number}")}]);
                assert_eq!(server.post(&path, &ann, said).await.status, 201);
            }
        };
        tokio::join!(append(1), append(2));
        let found = server.get(&format!("/api/v1/conversations/{id}"), &ann).await.ok();
        let text = found["conversation"].to_string();
        for who in [1, 2] {
            for number in 0..6 {
                assert!(text.contains(&format!("{who} says {number}")), "{text}");
            }
        }
        assert_eq!(found["summary"]["rounds"], 13);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_is_followed_previewed_downloaded_renamed_and_deleted() {
    on_both(async |server| {
        let ann = server.session(&server.ann).await;
        for _ in 0..3 {
            server.conversation(&server.ann).await;
        }
        let asked = json!({"dataset_name": "My set", "file_name": "data", "selection": {}});
        let job = server.post("/api/v1/exports", &ann, asked.clone()).await;
        assert_eq!(job.status, 202);
        let events = server.get(&format!("/api/v1/exports/{}/events", job.id()), &ann).await;
        assert_eq!(events.header("content-type"), "text/event-stream");
        // Report sse-behind-nginx.
        assert_eq!(events.header("x-accel-buffering"), "no");
        let text = events.text();
        let last = text.trim().rsplit("\n\n").next().unwrap();
        let last = last.strip_prefix("event: end\ndata: ").unwrap_or_else(|| panic!("{text}"));
        let last: Value = serde_json::from_str(last).unwrap();
        assert_eq!((&last["state"], &last["records"]), (&json!("completed"), &json!(3)));
        let id = last["dataset"].as_i64().unwrap();
        let again = server.post("/api/v1/exports", &ann, asked).await;
        assert_eq!(again.refused(409, "name-taken")["free"], "My set-2");

        let path = format!("/api/v1/datasets/{id}");
        let preview = server.get(&format!("{path}/preview"), &ann).await.ok();
        assert_eq!(preview["records"].as_array().unwrap().len(), 3);
        let manifest = server.get(&format!("{path}/manifest"), &ann).await.ok();
        assert!(manifest.to_string().contains("sha256"), "{manifest}");

        let path_ = format!("{path}/download");
        let whole = server.get(&path_, &ann).await;
        assert_eq!(whole.header("content-length"), whole.body.len().to_string());
        assert!(whole.header("content-disposition").contains("My set.zip"));
        let archive = zip::ZipArchive::new(std::io::Cursor::new(whole.body.clone())).unwrap();
        let names: BTreeSet<String> =
            archive.file_names().map(|n| n.unwrap().into_owned()).collect();
        for name in ["data.jsonl", "dataset_info.json", "manifest.json", "README.md"] {
            assert!(names.contains(name), "{names:?}");
        }
        let etag = whole.header("etag").to_owned();
        let get = async |headers: &[(&str, &str)]| {
            let mut ask = server.request("GET", &path_).by(&ann);
            for (name, value) in headers {
                ask = ask.header(name, value);
            }
            ask.send().await
        };
        // Report api-that-passes.
        let part = get(&[("range", "bytes=10-19"), ("if-range", &etag)]).await;
        assert_eq!((part.status, &part.body[..]), (206, &whole.body[10..20]));
        let total = whole.body.len();
        assert_eq!(part.header("content-range"), format!("bytes 10-19/{total}"));
        let part = get(&[("range", "bytes=10-19"), ("if-range", "\"another\"")]).await;
        assert_eq!((part.status, &part.body), (200, &whole.body));
        let part = get(&[("range", "bytes=-5")]).await;
        assert_eq!((part.status, &part.body[..]), (206, &whole.body[total - 5..]));
        assert_eq!(get(&[("if-none-match", &etag)]).await.status, 304);
        let beyond = format!("bytes={total}-");
        get(&[("range", &beyond)]).await.refused(416, "range-not-satisfiable");
        get(&[("if-match", "\"another\"")]).await.refused(412, "precondition-failed");

        let renamed =
            server.request("PATCH", &path).by(&ann).json(&json!({"name": "Новый"})).send().await;
        assert_eq!(renamed.ok()["name"], "Новый");
        let again = server.get(&path_, &ann).await;
        assert!(again.header("content-disposition").contains("filename*=UTF-8''"));
        assert_eq!(server.delete(&path, &ann).await.status, 204);
        for path in [path.clone(), path_.clone(), format!("{path}/preview")] {
            server.get(&path, &ann).await.refused(404, "not-found");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_project_is_exported_by_who_administers_it_alone() {
    on_both(async |server| {
        for person in [&server.ann, &server.bob] {
            server.conversation(person).await;
        }
        let asked = json!({"dataset_name": "everything"});
        for person in [&server.ann, &server.bob] {
            let who = server.session(person).await;
            let reply = server.post("/api/v1/project/export", &who, asked.clone()).await;
            reply.refused(403, "forbidden");
        }
        let admin = server.session(&server.admin).await;
        let job = server.post("/api/v1/project/export", &admin, asked).await;
        assert_eq!(job.status, 202, "{}", job.text());
        let job = server.ended_job("exports", job.id(), &admin).await;
        let path = format!("/api/v1/datasets/{}/preview", job["dataset"]);
        let records = server.get(&path, &admin).await.ok();
        let emails: BTreeSet<&str> = each(&records["records"], "user_email")
            .into_iter()
            .map(|e| e.as_str().unwrap())
            .collect();
        assert_eq!(emails, [server::ANN, server::BOB].into());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_of_a_list_show_every_conversation_once() {
    on_both(async |server| {
        let ann = server.session(&server.ann).await;
        let lines: String = (0..25)
            .map(|number| {
                // Several began at the same moment, and some at none.
                let mut one = said(&format!("c-{number}"));
                if number % 5 != 0 {
                    one["created_at"] = json!(format!("2024-01-0{}T00:00:00Z", 1 + number % 3));
                }
                format!("{one}\n")
            })
            .collect();
        server.request("POST", "/api/v1/conversations").by(&ann).body(lines).send().await.ok();
        for sort in ["newest", "oldest", "changed"] {
            for limit in [1, 7, 25, 26] {
                let (mut seen, mut after) = (Vec::new(), String::new());
                loop {
                    let path = format!("/api/v1/conversations?sort={sort}&limit={limit}{after}");
                    let page = server.get(&path, &ann).await.ok();
                    seen.extend(each(&page["conversations"], "id").into_iter().cloned());
                    let Some(next) = page["next"].as_str() else { break };
                    after = format!("&after={next}");
                }
                let once: BTreeSet<String> = seen.iter().map(Value::to_string).collect();
                assert_eq!((seen.len(), once.len()), (25, 25), "{sort} {limit}");
            }
        }
        for query in
            ["limit=0", "limit=1001", "after=nonsense", "sort=size", "unknown=1", "limit=x"]
        {
            for list in ["conversations", "runs", "documents"] {
                let path = format!("/api/v1/{list}?{query}");
                server.get(&path, &ann).await.refused(400, "bad-request");
            }
        }
        for query in ["sort=most-turns", "sort=slowest"] {
            let path = format!("/api/v1/documents?{query}");
            server.get(&path, &ann).await.refused(400, "bad-request");
        }
        // What was expected is what the log says, though no document came.
        let owner = server.session(&server.owner).await;
        server
            .request("POST", "/api/v1/documents")
            .by(&owner)
            .body("[]")
            .send()
            .await
            .refused(422, "unreadable");
        let log = server.get("/api/v1/audit?action=import&limit=1", &owner).await.ok();
        assert_eq!(log["entries"][0]["object"], "documents", "{log}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_upload_that_breaks_off_leaves_nothing() {
    on_sqlite(async |server| {
        let As::Token(token) = server.token(&server.p, &server.ann, Grant::ALL).await else {
            panic!()
        };
        for pause in [0, 20, 100] {
            let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
            let head = format!(
                "POST /api/v1/imports HTTP/1.1\r\nhost: x\r\nauthorization: Bearer {token}\r\n\
                 content-length: 1000000\r\n\r\n{{\"messages\":"
            );
            stream.write_all(head.as_bytes()).await.unwrap();
            tokio::time::sleep(Duration::from_millis(pause)).await;
        }
        let uploads = server.objects.join("uploads");
        for _ in 0..300 {
            tokio::time::sleep(Duration::from_millis(10)).await;
            if std::fs::read_dir(&uploads).into_iter().flatten().count() == 0 {
                break;
            }
        }
        let left: Vec<_> = std::fs::read_dir(&uploads).into_iter().flatten().collect();
        assert!(left.is_empty(), "{left:?}");
        let who = As::Token(token);
        assert_eq!(server.get("/api/v1/imports", &who).await.ok()["jobs"], json!([]));
    })
    .await;
}

/// A program that gets the notices of webhooks.
struct Receiver {
    url: String,
    received: Arc<Mutex<Vec<(HeaderMap, String)>>>,
    task: JoinHandle<()>,
}

impl Receiver {
    /// The first `refused` notices are answered with 503.
    async fn begin(refused: usize) -> Self {
        let received = Arc::<Mutex<Vec<_>>>::default();
        let kept = Arc::clone(&received);
        let answer = move |headers: HeaderMap, body: String| {
            let mut kept = kept.lock().unwrap();
            kept.push((headers, body));
            let refuses = kept.len() <= refused;
            async move { if refuses { StatusCode::SERVICE_UNAVAILABLE } else { StatusCode::OK } }
        };
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let url = format!("http://{}/hook", listener.local_addr().unwrap());
        let task = tokio::spawn(async move {
            axum::serve(listener, Router::new().fallback(answer)).await.unwrap();
        });
        Self { url, received, task }
    }

    /// The headers and bodies of all notices, once there are `count` of them.
    async fn notices(&self, count: usize) -> Vec<(HeaderMap, String)> {
        for _ in 0..600 {
            let received = self.received.lock().unwrap().clone();
            if received.len() >= count {
                return received;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("{count} notices did not come");
    }
}

impl Drop for Receiver {
    fn drop(&mut self) {
        self.task.abort();
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn an_export_that_ended_is_told_signed_and_told_again_until_it_arrives() {
    let setup = || Setup { allows_private_webhooks: true, ..Setup::default() };
    on_both_with(setup, async |server| {
        let receiver = Receiver::begin(1).await;
        let url = &receiver.url;

        let ann = server.session(&server.ann).await;
        server.conversation(&server.ann).await;
        let webhook = server.post("/api/v1/webhooks", &ann, json!({"url": url})).await;
        assert_eq!(webhook.status, 201, "{}", webhook.text());
        let secret = webhook.json()["secret"].as_str().unwrap().to_owned();
        let id = server.dataset("told", json!({}), &ann).await;
        let feed = server.get("/api/v1/notices", &ann).await.ok();
        assert_eq!(each(&feed["notices"], "dataset"), [&json!(id)]);
        assert!(!server.get("/api/v1/webhooks", &ann).await.text().contains(&secret));

        receiver.notices(1).await;
        let path = format!("/api/v1/webhooks/{}/deliveries", webhook.id());
        let mut delivery = Value::Null;
        for _ in 0..300 {
            delivery = server.get(&path, &ann).await.ok()["deliveries"][0].clone();
            if delivery["status"] == 503 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!((&delivery["status"], &delivery["attempts"]), (&json!(503), &json!(1)));
        assert!(delivery["next_at"].is_string(), "{delivery}");
        server.clock.advance(Duration::from_secs(11));
        let received = receiver.notices(2).await;
        let key = STANDARD.decode(secret.strip_prefix("whsec_").unwrap()).unwrap();
        for (headers, body) in &received {
            let header = |name: &str| headers[name].to_str().unwrap();
            let mut mac = Hmac::<Sha256>::new_from_slice(&key).unwrap();
            let (id, at) = (header("webhook-id"), header("webhook-timestamp"));
            mac.update(format!("{id}.{at}.{body}").as_bytes());
            let expect = format!("v1,{}", STANDARD.encode(mac.finalize().into_bytes()));
            assert_eq!(header("webhook-signature"), expect);
            let body: Value = serde_json::from_str(body).unwrap();
            assert_eq!(
                (&body["type"], &body["data"]["project"]),
                (&json!("export.ended"), &json!("p"))
            );
            assert_eq!(body["data"]["notice"]["name"], "told");
        }
        assert_eq!(received[0].0["webhook-id"], received[1].0["webhook-id"]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_notice_has_a_link_to_the_dataset_that_expires_and_ends_with_its_webhook() {
    let setup = || Setup { allows_private_webhooks: true, ..Setup::default() };
    on_both_with(setup, async |server| {
        let receiver = Receiver::begin(0).await;
        let url = &receiver.url;
        let ann = server.session(&server.ann).await;
        server.conversation(&server.ann).await;
        let add = async |hours: u64| {
            server.post("/api/v1/webhooks", &ann, json!({"url": url, "link_hours": hours})).await
        };
        for hours in [0, 169] {
            assert_eq!(add(hours).await.status, 422);
        }
        let (kept, removed) = (add(2).await, add(2).await);
        assert_eq!(kept.status, 201, "{}", kept.text());
        let id = server.dataset("told", json!({}), &ann).await;
        let received = receiver.notices(2).await;
        let link = |webhook: &Reply| {
            let mut bodies = received.iter().map(|(_, body)| serde_json::from_str(body).unwrap());
            let begin = format!("/api/v1/downloads/{}-", webhook.id());
            let told =
                |body: &Value| body["data"]["download"]["url"].as_str().unwrap().contains(&begin);
            let body: Value = bodies.find(told).unwrap();
            assert_eq!(body["data"]["notice"]["dataset"], json!(id));
            let until = body["data"]["download"]["expires_at"].as_str().unwrap();
            let until = retort_model::Time::parse(until).unwrap().unix_micros();
            let left = until - server.service.now().unix_micros();
            assert!((7_100_000_000..=7_200_000_000).contains(&left), "{left}");
            let url = body["data"]["download"]["url"].as_str().unwrap();
            url[url.find("/api/").unwrap()..].to_owned()
        };
        let (path, ended) = (link(&kept), link(&removed));
        assert_eq!(server.get(&ended, &As::Nobody).await.status, 200);
        let gone = server.delete(&format!("/api/v1/webhooks/{}", removed.id()), &ann).await;
        assert_eq!(gone.status, 204);
        assert_eq!(server.get(&ended, &As::Nobody).await.status, 404);
        let whole = server.get(&format!("/api/v1/datasets/{id}/download"), &ann).await;
        let found = server.get(&path, &As::Nobody).await;
        assert_eq!((found.status, &found.body), (200, &whole.body));
        let head = found.headers["content-disposition"].to_str().unwrap();
        assert!(head.contains("told.zip"), "{head}");
        // Neither the dataset nor the time can be changed.
        let name = path.rsplit('/').next().unwrap();
        let parts: Vec<&str> = name.splitn(4, '-').collect();
        let [hook, number, expires, signature] = *parts else { panic!("{name}") };
        let begin = format!("{hook}-{number}");
        let later = expires.parse::<i64>().unwrap() + 1;
        let other = server.dataset("other", json!({}), &ann).await;
        for forged in [
            format!("{begin}-{later}-{signature}"),
            format!("{hook}-{other}-{expires}-{signature}"),
            format!("{begin}-{expires}-AAAA"),
            format!("{begin}-{expires}"),
            "x".into(),
        ] {
            let refused = server.get(&format!("/api/v1/downloads/{forged}"), &As::Nobody).await;
            assert_eq!(refused.status, 404, "{forged}: {}", refused.text());
        }
        server.clock.advance(Duration::from_secs(2 * 3600));
        assert_eq!(server.get(&path, &As::Nobody).await.status, 404, "expired");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_of_a_schedule_gets_its_runs_alone_with_a_link_to_each_dataset() {
    let setup = || Setup { allows_private_webhooks: true, ..Setup::default() };
    on_both_with(setup, async |server| {
        let receiver = Receiver::begin(0).await;
        let url = &receiver.url;
        let ann = server.session(&server.ann).await;
        server.conversation(&server.ann).await;
        let plan = json!({"export": {"dataset_name": "nightly_{n}"}, "cron": "0 2 * * *"});
        let asked = json!({"name": "nightly", "plan": plan});
        let schedule = server.post("/api/v1/schedules", &ann, asked).await;
        assert_eq!(schedule.status, 201, "{}", schedule.text());
        let id = schedule.id();

        // Only one's own, and only for those who may see schedules.
        let asked = json!({"url": url, "link_hours": 2, "schedule": id});
        for other in [&server.bob, &server.owner] {
            let other = server.session(other).await;
            let refused = server.post("/api/v1/webhooks", &other, asked.clone()).await;
            refused.refused(404, "not-found");
        }
        let manages = server.token(&server.p, &server.ann, &[Grant::Manage]).await;
        let bare = json!({"url": url, "schedule": id});
        assert_eq!(server.post("/api/v1/webhooks", &manages, bare).await.status, 403);
        let unknown = json!({"url": url, "schedule": id + 1});
        server.post("/api/v1/webhooks", &ann, unknown).await.refused(404, "not-found");

        let webhook = server.post("/api/v1/webhooks", &ann, asked).await;
        assert_eq!((webhook.status, &webhook.json()["schedule"]), (201, &json!(id)));
        let listed = server.get("/api/v1/webhooks", &ann).await.ok();
        assert_eq!(each(&listed["webhooks"], "schedule"), [&json!(id)]);
        let page = server.get("/project/tokens", &ann).await.text();
        assert!(
            page.contains(&format!("<option value=\"{id}\">schedule nightly</option>")),
            "{page}"
        );
        assert!(page.contains(", schedule nightly, with a link for 2 hours"), "{page}");
        let page = server.get(&format!("/schedules/{id}"), &ann).await.text();
        assert!(page.contains(url), "{page}");

        server.dataset("other", json!({}), &ann).await;
        let run = server.post(&format!("/api/v1/schedules/{id}/run"), &ann, json!({})).await;
        assert_eq!(run.status, 202, "{}", run.text());
        let received = receiver.notices(1).await;
        let path = format!("/api/v1/webhooks/{}/deliveries", webhook.id());
        assert_eq!(server.get(&path, &ann).await.ok()["deliveries"].as_array().unwrap().len(), 1);
        let body: Value = serde_json::from_str(&received[0].1).unwrap();
        let notice = &body["data"]["notice"];
        assert_eq!(
            (&notice["name"], &notice["schedule"]),
            (&json!("nightly_1"), &json!("nightly"))
        );
        let link = body["data"]["download"]["url"].as_str().unwrap();
        let link = &link[link.find("/api/").unwrap()..];
        assert_eq!(server.get(link, &As::Nobody).await.status, 200);

        let gone = server.delete(&format!("/api/v1/schedules/{id}"), &ann).await;
        assert_eq!(gone.status, 204);
        let listed = server.get("/api/v1/webhooks", &ann).await.ok();
        assert_eq!(listed["webhooks"], json!([]));
        assert_eq!(server.get(link, &As::Nobody).await.status, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_refusal_is_a_problem() {
    on_sqlite(async |server| {
        let ann = server.session(&server.ann).await;
        let id = server.conversation(&server.ann).await;
        let one = format!("/api/v1/conversations/{id}");
        for (method, path, body, status, slug) in [
            ("GET", "/api/v1/nowhere", None, 404, "not-found"),
            ("GET", "/nowhere", None, 404, "not-found"),
            ("PUT", "/api/v1/conversations", None, 405, "method-not-allowed"),
            ("GET", "/api/v1/datasets/x", None, 400, "bad-request"),
            ("GET", "/api/v1/datasets/99999999999999999999", None, 400, "bad-request"),
            ("GET", "/api/v1/conversations/%FF", None, 400, "bad-request"),
            ("POST", "/api/v1/exports", Some("{"), 400, "bad-request"),
            (
                "POST",
                "/api/v1/exports",
                Some("{\"dataset_name\":\"x\",\"unknown\":1}"),
                400,
                "bad-request",
            ),
            (
                "POST",
                "/api/v1/exports",
                Some("{\"dataset_name\":\"x\",\"selection\":{\"types\":[\"x\"]}}"),
                400,
                "bad-request",
            ),
            (
                "POST",
                "/api/v1/exports",
                Some("{\"dataset_name\":\"x\",\"selection\":{\"search\":[\"zzzz\"]}}"),
                422,
                "nothing-to-write",
            ),
            ("PATCH", &*one, Some("{}"), 400, "bad-request"),
            ("PATCH", &one, Some("{\"status\":\"gone\"}"), 400, "bad-request"),
            ("PATCH", &one, Some("{\"add_tags\":[\" \"]}"), 400, "bad-request"),
            (
                "POST",
                "/api/v1/conversations/change",
                Some("{\"selection\":{}}"),
                400,
                "bad-request",
            ),
            (
                "POST",
                "/api/v1/conversations/change",
                Some("{\"selection\":{\"search\":[\"x\"]},\"purge\":true}"),
                400,
                "bad-request",
            ),
            (
                "POST",
                "/api/v1/tokens",
                Some("{\"name\":\"t\",\"scopes\":[\"all\"],\"days\":1}"),
                400,
                "bad-request",
            ),
            (
                "POST",
                "/api/v1/tokens",
                Some("{\"name\":\"t\",\"scopes\":[],\"days\":1}"),
                422,
                "choice",
            ),
            (
                "POST",
                "/api/v1/tokens",
                Some("{\"name\":\"t\",\"scopes\":[\"read\"],\"days\":367}"),
                422,
                "choice",
            ),
            ("POST", "/api/v1/shares", Some("{\"conversation\":\"no such\"}"), 404, "not-found"),
            ("POST", "/api/v1/conversations?from=nonsense", Some("{}"), 400, "bad-request"),
            ("POST", "/api/v1/conversations", Some(""), 422, "unreadable"),
            ("POST", "/api/v1/imports", Some(""), 400, "bad-request"),
            ("GET", "/api/v1/audit", None, 403, "forbidden"),
        ] {
            let mut ask = server.request(method, path).by(&ann);
            if let Some(body) = body {
                ask = ask.header("content-type", "application/json").body(body);
            }
            let reply = ask.send().await;
            assert_eq!(reply.status, status, "{method} {path} {body:?}: {}", reply.text());
            reply.refused(status, slug);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_sees_and_deletes_datasets_that_anyone_made_of_an_item() {
    on_both(async |server| {
        let (owner, ann) = (server.session(&server.owner).await, server.session(&server.ann).await);
        let id = server.conversation(&server.ann).await;
        let dataset = server.dataset("Hers", json!({"ids": [id]}), &ann).await;
        let names = |found: Value| -> Vec<String> {
            let found = found["datasets"].as_array().unwrap().clone();
            found.iter().map(|one| one["name"].as_str().unwrap().to_owned()).collect()
        };
        let trace = format!("/api/v1/conversations/{id}/datasets");
        assert_eq!(names(server.get(&trace, &owner).await.ok()), ["Hers"]);
        let of = |name: &str| format!("/api/v1/datasets?person={name}");
        assert_eq!(names(server.get(&of(&server.ann.name), &owner).await.ok()), ["Hers"]);
        assert!(names(server.get(&of("nobody"), &owner).await.ok()).is_empty());
        assert_eq!(server.get(&of(&server.ann.name), &ann).await.status, 403);

        // The pages say who made it, and offer to delete it, not to read it.
        let list = server.get("/datasets?everyone=true", &owner).await.text();
        assert!(list.contains("Hers") && list.contains(&server.ann.name), "{list}");
        assert!(!list.contains(&format!("/datasets/{dataset}\"")), "{list}");
        assert!(!server.get("/datasets", &owner).await.text().contains("Hers"));
        assert_eq!(server.get("/datasets?everyone=true", &ann).await.status, 403);
        let page = server.get(&format!("/conversations/{id}"), &owner).await.text();
        let delete = format!("/datasets/{dataset}/delete");
        assert!(page.contains("Hers") && page.contains(&delete), "{page}");
        assert_eq!(server.get(&format!("/datasets/{dataset}"), &owner).await.status, 404);
        assert!(server.get(&delete, &owner).await.text().contains("Delete Hers?"));

        let done =
            server.request("DELETE", &format!("/api/v1{}", delete.trim_end_matches("/delete")));
        assert_eq!(done.by(&owner).send().await.status, 204);
        assert!(names(server.get(&trace, &owner).await.ok()).is_empty());
    })
    .await;
}

/// A dataset is made again without a conversation, a person or what was purged, and takes the place of the old one.
#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_is_rebuilt_without_what_is_to_go() {
    on_both(async |server| {
        let (owner, ann) = (server.session(&server.owner).await, server.session(&server.ann).await);
        let admin = server.session(&server.admin).await;
        let mut ids = Vec::new();
        for person in [&server.ann, &server.ann, &server.bob] {
            ids.push(server.conversation(person).await);
        }
        let set = async |name: &str, who: &As| {
            server.dataset(name, json!({"ids": ids.clone()}), who).await
        };
        let rebuild = async |id: i64, who: &As, asked: Value| {
            server.post(&format!("/api/v1/datasets/{id}/rebuild"), who, asked).await
        };
        let manifest = async |id: i64, who: &As| {
            server.get(&format!("/api/v1/datasets/{id}/manifest"), who).await.ok()
        };
        let traced = async |id: &str| {
            let found = server.get(&format!("/api/v1/conversations/{id}/datasets"), &owner).await;
            each(&found.ok()["datasets"], "name").into_iter().cloned().collect::<Vec<_>>()
        };

        // An owner has the dataset of an admin made again, and it stays the admin's.
        let old = set("All", &admin).await;
        let before = manifest(old, &admin).await;
        let job = rebuild(old, &owner, json!({"without_id": ids[1]})).await;
        assert_eq!(job.status, 202);
        assert_eq!(
            (&job.json()["replaces"], &job.json()["creator"]),
            (&json!(old), &json!(server.admin.name))
        );
        let job = server.ended_job("exports", job.id(), &owner).await;
        assert_eq!(
            (&job["state"], &job["report"]["selected"]),
            (&json!("completed"), &json!(2)),
            "{job}"
        );
        let new = job["dataset"].as_i64().unwrap();
        assert_eq!((traced(&ids[0]).await, traced(&ids[1]).await), (vec![json!("All")], vec![]));
        assert_eq!(server.get(&format!("/api/v1/datasets/{old}"), &owner).await.status, 404);
        let after = manifest(new, &admin).await;
        assert_eq!(after["snapshot"], before["snapshot"]);
        assert_eq!(after["selection"]["id"].as_array().unwrap().len(), 2);
        assert!(!after.to_string().contains(&ids[1]), "{after}");
        let records = async |id: i64| {
            let found = server.get(&format!("/api/v1/datasets/{id}/preview"), &admin).await.ok();
            found["records"].as_array().unwrap().len()
        };
        assert_eq!(records(new).await, 2);
        assert_eq!(
            server.get(&format!("/api/v1/datasets/{new}/preview"), &owner).await.status,
            404
        );
        let kept = std::fs::read_dir(server.folder().join("objects/datasets")).unwrap();
        let kept: Vec<_> =
            kept.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        assert!(kept.len() == 1 && kept[0].ends_with(&format!("-{}", job["id"])), "{kept:?}");

        // What cannot be: of others, of what is not in it, of all that is in it, twice at once.
        rebuild(new, &ann, json!({"without_id": ids[0]})).await.refused(404, "not-found");
        rebuild(new, &admin, json!({"without_person": server.bob.name}))
            .await
            .refused(403, "forbidden");
        rebuild(new, &owner, json!({"without_id": ids[1]})).await.refused(409, "conflict");
        rebuild(new, &owner, json!({})).await.refused(409, "conflict");
        let both = json!({"without_id": "a", "without_person": "b"});
        rebuild(new, &owner, both).await.refused(400, "bad-request");
        let of_ann = server.dataset("Hers", json!({"ids": ids[..2]}), &ann).await;
        let whole = json!({"without_person": server.ann.name});
        let refused = rebuild(of_ann, &owner, whole).await.refused(409, "conflict");
        assert!(refused["detail"].as_str().unwrap().contains("delete it instead"), "{refused}");

        // Without a person, from the page, and kept beside the old one.
        let list = format!("/datasets?everyone=true&person={}", server.bob.name);
        let page = server.get(&list, &owner).await.text();
        let path = format!("/datasets/{new}/rebuild?without_person=");
        assert!(page.contains(&path), "{page}");
        let path = format!("{path}{}", server.bob.name.replace('@', "%40"));
        let asked = server.get(&path, &owner).await.text();
        assert!(asked.contains("Rebuild All?") && asked.contains(&server.admin.name), "{asked}");
        let As::Session(secret) = &owner else { panic!("an owner with a session") };
        let form = [("csrf", &*retort_web::who::csrf_of(secret)), ("keep", "yes")];
        let sent = server.request("POST", &path).by(&owner).form(&form).send().await;
        assert_eq!(sent.status, 303, "{}", sent.text());
        let job: i64 = sent.header("location").rsplit('/').next().unwrap().parse().unwrap();
        let job = server.ended_job("exports", job, &owner).await;
        assert_eq!((&job["name"], &job["replaces"]), (&json!("All-2"), &Value::Null));
        assert_eq!(traced(&ids[0]).await, [json!("All-2"), json!("Hers"), json!("All")]);
        assert_eq!(traced(&ids[2]).await, [json!("All")]);
        assert!(
            server
                .get(&format!("/conversations/{}", ids[0]), &owner)
                .await
                .text()
                .contains(&format!("/datasets/{of_ann}/rebuild?without_id="))
        );

        // Without what was purged.
        server.delete(&format!("/api/v1/conversations/{}?purge=true", ids[0]), &ann).await;
        let job = rebuild(new, &admin, json!({})).await.id();
        let job = server.ended_job("exports", job, &admin).await;
        assert_eq!(
            (&job["state"], records(job["dataset"].as_i64().unwrap()).await),
            (&json!("completed"), 1)
        );

        let log = server.get("/api/v1/audit?action=dataset", &owner).await.ok();
        let told = format!("{old}: rebuilt without `{}`", ids[1]);
        let entries = log["entries"].as_array().unwrap();
        let entry = entries.iter().find(|entry| entry["object"] == json!(told));
        assert_eq!(entry.map(|entry| &entry["person"]), Some(&json!(server.owner.name)), "{log}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_would_take_the_place_of_a_dataset_goes_with_it() {
    on_both(async |server| {
        let ann = server.session(&server.ann).await;
        let ids = [server.conversation(&server.ann).await, server.conversation(&server.ann).await];
        let id = server.dataset("Hers", json!({"ids": ids}), &ann).await;
        server.stop_worker().await;
        let path = format!("/api/v1/datasets/{id}/rebuild");
        let asked = json!({"without_id": ids[1]});
        let waiting = server.post(&path, &ann, asked.clone()).await.id();
        server.post(&path, &ann, asked).await.refused(409, "conflict");
        assert_eq!(server.delete(&format!("/api/v1/datasets/{id}"), &ann).await.status, 204);
        server.start_worker();
        let ended = server.ended_job("exports", waiting, &ann).await;
        assert_eq!((&ended["state"], &ended["dataset"]), (&json!("cancelled"), &Value::Null));
        assert_eq!(server.get("/api/v1/datasets", &ann).await.ok()["datasets"], json!([]));
    })
    .await;
}

/// What an import could not read is listed whole, to everyone who sees the import, for as long as its job is kept.
#[tokio::test(flavor = "multi_thread")]
async fn what_an_import_could_not_read_is_downloaded_and_goes_with_its_job() {
    on_both(async |server| {
        let (owner, ann) = (server.session(&server.owner).await, server.session(&server.ann).await);
        let bob = server.session(&server.bob).await;
        let name = server.new_name("read");
        let body: String = (0..2000).map(|n| format!("broken {n}\n")).collect();
        let import = async |body: String| {
            let sent =
                server.request("POST", "/api/v1/imports?name=mixed.jsonl").by(&ann).body(body);
            server.ended_job("imports", sent.send().await.id(), &ann).await
        };
        let job = import(format!("{}\n{body}", said(&name))).await;
        assert_eq!(job["state"], "completed_with_skips", "{job}");
        let path = format!("/api/v1/imports/{}/rejects", job["id"]);
        let listed = server.get(&path, &ann).await;
        assert_eq!(listed.header("content-type"), "application/x-ndjson");
        assert_eq!(listed.text().lines().count(), 2000);
        let first: Value = serde_json::from_str(listed.text().lines().next().unwrap()).unwrap();
        assert_eq!((&first["input"], &first["line"]), (&json!("mixed.jsonl"), &json!(2)));
        let part =
            server.request("GET", &path).by(&ann).header("range", "bytes=10-29").send().await;
        assert_eq!((part.status, part.text()), (206, listed.text()[10..30].to_owned()));
        assert_eq!(server.get(&path, &owner).await.text(), listed.text());
        server.get(&path, &bob).await.refused(404, "not-found");
        let page = server.get(&format!("/imports/{}", job["id"]), &ann).await.text();
        assert!(page.contains(&format!("{path}?project=")), "{page}");

        let whole = import(said(&name).to_string()).await;
        let none = server.get(&format!("/api/v1/imports/{}/rejects", whole["id"]), &ann).await;
        assert_eq!((none.status, none.text()), (200, String::new()));

        // The file is gone with the person who imported it.
        let kept = server.folder().join("objects/rejects");
        let files = || std::fs::read_dir(&kept).map_or(0, Iterator::count);
        assert_eq!(files(), 1);
        let person = server.ann.clone();
        server.call(move |service| service.delete_person(&person).unwrap()).await;
        assert_eq!(files(), 0);
        server.get(&path, &owner).await.refused(404, "not-found");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_pages_of_runs_and_documents_list_the_datasets_that_contain_them() {
    on_both(async |server| {
        let owner = server.session(&server.owner).await;
        let run = json!({"request_id": "r", "copilot_id": "helper", "question": "q", "answer": "a",
            "status": "success", "nodes": [{"node": "n", "kind": "model-call", "output": "a"}]});
        server.post("/api/v1/runs", &owner, run).await.ok();
        let document = json!({"id": "d", "readable_filename": "a.pdf", "url": "https://a.example/d",
            "contexts": [{"text": "one"}]});
        server.post("/api/v1/documents", &owner, document).await.ok();
        let pages = ["/copilots/helper/runs/r", "/documents/d"];
        for page in pages {
            let text = server.get(page, &owner).await.text();
            assert!(text.contains("Not in any dataset."), "{page}: {text}");
        }
        for (name, asked) in [
            ("Of runs", json!({"runs": {"source": "copilot", "source_id": "helper"}})),
            ("Of documents", json!({"documents": {}})),
        ] {
            let mut asked = asked;
            asked["dataset_name"] = json!(name);
            let job = server.post("/api/v1/exports", &owner, asked).await.id();
            let job = server.ended_job("exports", job, &owner).await;
            assert!(job["dataset"].is_i64(), "{job}");
        }
        for (page, name) in pages.into_iter().zip(["Of runs", "Of documents"]) {
            let text = server.get(page, &owner).await.text();
            assert!(text.contains("In datasets") && text.contains(name), "{page}: {text}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_owner_lists_the_datasets_that_contain_something_of_a_person() {
    on_both(async |server| {
        let (owner, ann) = (server.session(&server.owner).await, server.session(&server.ann).await);
        let id = server.conversation(&server.ann).await;
        server.dataset("Hers", json!({"ids": [id]}), &ann).await;
        let page = async |person: &str, who: &As| {
            server.get(&format!("/datasets?everyone=true&person={person}"), who).await
        };
        let found = page(&server.ann.name, &owner).await.text();
        assert!(found.contains("Hers") && found.contains("/delete"), "{found}");
        let nobody = page("nobody", &owner).await.text();
        assert!(nobody.contains("No dataset contains an item of this person."), "{nobody}");
        assert!(!nobody.contains("Hers"), "{nobody}");
        assert_eq!(page(&server.ann.name, &ann).await.status, 403);
        let everyones = server.get("/datasets?everyone=true", &owner).await.text();
        assert!(everyones.contains("name=\"person\""), "{everyones}");
    })
    .await;
}

/// The largest packed copy of a file among the objects.
fn largest_packed(folder: &Path) -> PathBuf {
    let (mut folders, mut found) = (vec![folder.to_owned()], Vec::new());
    while let Some(folder) = folders.pop() {
        for path in std::fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
            } else if path.extension().is_some_and(|extension| extension == "deflate") {
                found.push((path.metadata().unwrap().len(), path));
            }
        }
    }
    found.into_iter().max().unwrap().1
}

#[tokio::test(flavor = "multi_thread")]
async fn a_download_that_is_taken_up_again_is_compared_with_what_was_made() {
    on_sqlite(async |server| {
        let ann = server.session(&server.ann).await;
        for _ in 0..20 {
            server.conversation(&server.ann).await;
        }
        let id = server.dataset("one", json!({}), &ann).await;
        let (p, objects) = (server.p.clone(), server.objects.clone());
        server
            .call(move |service| {
                let (_, download) = service.download(&Caller::local(&p), id).unwrap();
                let end = download.bytes();
                let part = |range: std::ops::Range<u64>| {
                    let mut out = Vec::new();
                    download.write(range, &mut out).map(|()| out)
                };
                let whole = part(0..end).unwrap();
                for start in [1, 50, 200, end - 200, end - 1] {
                    assert!(part(start..end).unwrap() == whole[start as usize..], "{start}");
                }
                // A packed copy is damaged later.
                let path = largest_packed(&objects);
                let mut bytes = std::fs::read(&path).unwrap();
                let at = bytes.len() / 2;
                bytes[at] ^= 4;
                let place =
                    whole.windows(at).position(|window| *window == bytes[..at]).unwrap() as u64;
                std::fs::write(&path, &bytes).unwrap();
                let (middle, file_end) = (place + at as u64, place + bytes.len() as u64);
                for range in [0..end, place..end, middle + 5..end, file_end - 1..file_end] {
                    let error = part(range.clone()).expect_err("damaged").to_string();
                    assert!(error.contains("SHA-256 differs"), "{range:?}: {error}");
                }
                // What ends before the file's end cannot be compared.
                assert_eq!(part(middle..middle + 2).unwrap().len(), 2);
            })
            .await;
    })
    .await;
}
