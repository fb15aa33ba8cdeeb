//! The pages over HTTP: what they take, what they answer, and where they lead.

use std::time::Duration;

use retort_model::Grant;
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};

use retort_testing_server::server::{self, As, Reply, TestServer, on_sqlite, said};

const BOUNDARY: &str = "the-boundary";

/// A form with files, as browsers send it: the session's token, then the files by name.
fn form(token: &str, files: &[(&str, &str)]) -> String {
    let field = |head: &str, text: &str| {
        format!("--{BOUNDARY}\r\nContent-Disposition: form-data; {head}\r\n\r\n{text}\r\n")
    };
    let mut body = field("name=\"csrf\"", token);
    body.push_str(&field("name=\"from\"", ""));
    for (name, text) in files {
        body.push_str(&field(&format!("name=\"file\"; filename=\"{name}\""), text));
    }
    body
}

async fn upload(server: &TestServer, who: &As, body: String, accept: &str) -> Reply {
    let kind = format!("multipart/form-data; boundary={BOUNDARY}");
    let ask = server.request("POST", "/import").by(who).header("content-type", &kind);
    ask.header("accept", accept).body(body).send().await
}

fn token(who: &As) -> String {
    match who {
        As::Session(secret) => retort_web::who::csrf_of(secret),
        _ => String::new(),
    }
}

/// A file of so many conversations, each of so many bytes.
fn history(name: &str, many: usize, bytes: usize) -> String {
    let one = |number| {
        let mut line = said(&format!("{name}-{number}"));
        line["messages"][1]["content"] = Value::from("x".repeat(bytes));
        format!("{line}\n")
    };
    (0..many).map(one).collect()
}

async fn ended(server: &TestServer, jobs: &[Value], who: &As) -> Vec<u64> {
    let mut new = Vec::new();
    for job in jobs {
        let job = server.ended_job("imports", job["id"].as_i64().unwrap(), who).await;
        new.push(job["report"]["new"].as_u64().unwrap());
    }
    new
}

#[tokio::test(flavor = "multi_thread")]
async fn files_of_any_size_are_uploaded_from_a_form() {
    on_sqlite(async |server: &mut TestServer| {
        let ann = server.session(&server.ann).await;
        let (large, small) = (history("large", 5, 1 << 20), history("small", 1, 10));
        let body = form(&token(&ann), &[("large.jsonl", &large)]) + &format!("--{BOUNDARY}--\r\n");
        let reply = upload(server, &ann, body, "text/html").await;
        assert_eq!(reply.status, 303, "{}", reply.text());
        assert!(reply.header("location").starts_with("/imports/"));

        // Several files in one form: an empty one is named, and stops none of the others.
        let files = [("a.jsonl", &*large), ("b.jsonl", ""), ("c.jsonl", &*small)];
        let body = form(&token(&ann), &files) + &format!("--{BOUNDARY}--\r\n");
        let reply = upload(server, &ann, body, "application/json").await;
        assert_eq!(reply.status, 400);
        let uploaded = reply.json();
        assert_eq!(uploaded["troubles"], json!(["b.jsonl is empty."]));
        assert_eq!(uploaded["jobs"].as_array().unwrap().len(), 2);
        let jobs = server.get("/api/v1/imports", &ann).await.ok();
        assert_eq!(ended(server, jobs["jobs"].as_array().unwrap(), &ann).await, [1, 0, 5]);
    })
    .await;
}

/// A browser without scripts sends the form while it reads the file. The server writes what it has received to the
/// store's folder long before the rest arrives, and does not keep it in memory.
#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_50_mb_is_streamed_and_leads_to_its_import() {
    on_sqlite(async |server: &mut TestServer| {
        let ann = server.session(&server.ann).await;
        let As::Session(secret) = &ann else { panic!() };
        let file = history("whole", 50, 1 << 20);
        let body = form(&token(&ann), &[("whole.jsonl", &file)]) + &format!("--{BOUNDARY}--\r\n");
        let head = format!(
            "POST /import HTTP/1.1\r\nhost: x\r\ncookie: retort={secret}\r\naccept: text/html\r\nconnection: close\r\n\
             content-type: multipart/form-data; boundary={BOUNDARY}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        let (most, rest) = body.as_bytes().split_at(body.len() - (1 << 20));
        let mut stream = tokio::net::TcpStream::connect(server.address).await.unwrap();
        stream.write_all(head.as_bytes()).await.unwrap();
        stream.write_all(most).await.unwrap();
        let uploads = server.objects.join("uploads");
        let written = || {
            let files = std::fs::read_dir(&uploads).into_iter().flatten();
            files.map(|file| file.unwrap().metadata().unwrap().len()).sum::<u64>()
        };
        // Except for the pieces that are in transit.
        while written() < most.len() as u64 - (4 << 20) {
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(server.get("/api/v1/imports", &ann).await.ok()["jobs"], json!([]));
        stream.write_all(rest).await.unwrap();
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await.unwrap();
        assert!(answer.starts_with("HTTP/1.1 303"), "{answer}");
        let at = answer.split("\r\nlocation: ").nth(1).unwrap().lines().next().unwrap();
        assert!(at.starts_with("/imports/"), "{answer}");
        let jobs = server.get("/api/v1/imports", &ann).await.ok();
        assert_eq!(ended(server, jobs["jobs"].as_array().unwrap(), &ann).await, [50]);
        let page = server.request("GET", at).by(&ann).header("accept", "text/html").send().await;
        assert!(page.text().contains("whole.jsonl"), "{}", page.text());
        assert!(page.text().contains("Done."), "{}", page.text());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_that_breaks_off_keeps_the_files_that_are_whole() {
    on_sqlite(async |server: &mut TestServer| {
        let ann = server.session(&server.ann).await;
        let (first, second) = (history("first", 1, 10), history("second", 1, 10));
        let mut body = form(&token(&ann), &[("first.jsonl", &first), ("second.jsonl", &second)]);
        body.truncate(body.len() - 20);
        let reply = upload(server, &ann, body, "text/html").await;
        assert_eq!(reply.status, 400);
        assert!(reply.text().contains("The upload was interrupted."), "{}", reply.text());
        assert!(reply.text().contains("first.jsonl"), "{}", reply.text());
        let jobs = server.get("/api/v1/imports", &ann).await.ok();
        assert_eq!(ended(server, jobs["jobs"].as_array().unwrap(), &ann).await, [1]);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_of_another_session_or_without_files_uploads_nothing() {
    on_sqlite(async |server: &mut TestServer| {
        let ann = server.session(&server.ann).await;
        let file = history("file", 1, 10);
        let end = format!("--{BOUNDARY}--\r\n");
        for (body, accept, status) in [
            (form("another", &[("file.jsonl", &file)]) + &end, "text/html", 403),
            (form("another", &[("file.jsonl", &file)]) + &end, "application/json", 403),
            (form(&token(&ann), &[]) + &end, "text/html", 400),
            (form(&token(&ann), &[("", "")]) + &end, "text/html", 400),
        ] {
            let reply = upload(server, &ann, body, accept).await;
            assert_eq!(reply.status, status, "{}", reply.text());
        }
        let jobs = server.get("/api/v1/imports", &ann).await.ok();
        assert_eq!(jobs["jobs"], json!([]));
    })
    .await;
}

const BROWSER: &str = "text/html,application/xhtml+xml,application/xml;q=0.9,*/*;q=0.8";

#[tokio::test(flavor = "multi_thread")]
async fn what_goes_wrong_is_a_page_with_a_way_on() {
    on_sqlite(async |server: &mut TestServer| {
        let ann = server.session(&server.ann).await;
        let ask = async |path: &str, who: &As| {
            server.request("GET", path).by(who).header("accept", BROWSER).send().await
        };
        // Signed in: the navigation, and the list that the thing would be in.
        for (path, status, words, way) in [
            (
                "/datasets/7",
                404,
                "There is no dataset “7”, or you don&#39;t have access to it.",
                "/datasets",
            ),
            ("/conversations/x", 404, "There is no conversation “x”", "/export"),
            ("/documents", 403, "admin", "/documents"),
            ("/nothing", 404, "nothing at this address", "/"),
            ("/exports/x", 400, "address", "/datasets"),
        ] {
            let reply = ask(path, &ann).await;
            let text = reply.text();
            assert_eq!(reply.status, status, "{path}: {text}");
            assert!(reply.header("content-type").starts_with("text/html"), "{path}");
            assert!(text.contains("aria-label=\"Main\"") && text.contains(words), "{path}: {text}");
            assert!(text.contains(&format!("<a class=\"button first\" href=\"{way}\">")), "{text}");
            assert!(!reply.header("x-request-id").is_empty());
        }
        // What is wrong with a filter is said on its own page.
        let reply = ask("/analysis?type=zebra", &ann).await;
        assert_eq!(reply.status, 400);
        let text = reply.text();
        assert!(text.contains("id=\"trouble\"") && text.contains("zebra"), "{text}");
        // Signed out: the way to sign in. Programs are answered as before.
        let reply = ask("/nothing", &As::Nobody).await;
        assert_eq!(reply.status, 404);
        assert!(reply.text().contains("href=\"/sign-in\""), "{}", reply.text());
        assert!(!reply.text().contains("aria-label=\"Main\""));
        server.get("/nothing", &As::Nobody).await.refused(404, "not-found");
        ask("/api/v1/datasets/7", &ann).await.refused(404, "not-found");

        // Addresses that people try.
        for (path, to) in [
            ("/documents/", "/documents"),
            ("/analysis/?type=chat", "/analysis?type=chat"),
            ("//evil.example/", "/evil.example"),
            ("/conversations", "/export"),
            ("/exports", "/datasets"),
        ] {
            let reply = ask(path, &ann).await;
            assert_eq!((reply.status, reply.header("location")), (308, to), "{path}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_in_leads_to_the_page_that_was_asked_for() {
    on_sqlite(async |server: &mut TestServer| {
        let asked = server.get("/conversations/a%20b?source=x", &As::Nobody).await;
        assert_eq!(asked.status, 303);
        let to = asked.header("location").to_owned();
        assert_eq!(to, "/sign-in?to=%2Fconversations%2Fa%2520b%3Fsource%3Dx");
        let page = server.get(&to, &As::Nobody).await.text();
        assert!(page.contains("value=\"/conversations/a%20b?source=x\""), "{page}");
        let password = server::PASSWORD;
        for (to, there) in [
            ("/conversations/a%20b?source=x", "/conversations/a%20b?source=x"),
            ("//evil.example", "/"),
            ("https://evil.example", "/"),
        ] {
            let fields = [("name", &*server.ann.name), ("password", password), ("to", to)];
            let reply = server.request("POST", "/sign-in").form(&fields).send().await;
            assert_eq!((reply.status, reply.header("location")), (303, there));
        }
        // A wrong password does not forget it.
        let fields = [("name", &*server.ann.name), ("password", "wrong"), ("to", "/analysis")];
        let reply = server.request("POST", "/sign-in").form(&fields).send().await;
        assert!(reply.text().contains("name=\"to\" value=\"/analysis\""), "{}", reply.text());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn pages_and_json_are_compressed() {
    on_sqlite(async |server: &mut TestServer| {
        let ann = server.session(&server.ann).await;
        for number in 0..30 {
            server.post("/api/v1/conversations", &ann, said(&format!("c-{number}"))).await.ok();
        }
        for path in ["/export", "/api/v1/conversations", "/assets/retort.css", "/assets/page.js"] {
            let plain = server.get(path, &ann).await;
            assert!(plain.headers.get("content-encoding").is_none(), "{path}");
            let packed = server.request("GET", path).by(&ann).header("accept-encoding", "gzip");
            let packed = packed.send().await;
            assert_eq!(packed.header("content-encoding"), "gzip", "{path}");
            assert_eq!(packed.header("vary"), "accept-encoding", "{path}");
            assert!(packed.body.len() * 2 < plain.body.len(), "{path}: {}", packed.body.len());
        }
        let dataset = server.token(&server.p, &server.ann, &[Grant::Read, Grant::Export]).await;
        let id = server.dataset("packed", json!({}), &dataset).await;
        let download =
            server.request("GET", &format!("/api/v1/datasets/{id}/download")).by(&dataset);
        let download = download.header("accept-encoding", "gzip").send().await;
        assert!(download.headers.get("content-encoding").is_none());
        assert_eq!(download.header("content-length"), download.body.len().to_string());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_list_is_searched_and_narrowed_by_the_counts_beside_it() {
    on_sqlite(async |server: &mut TestServer| {
        let ann = server.session(&server.ann).await;
        for (id, tag, question) in [
            ("one", "lamp", "A refund for a lamp?"),
            ("two", "tea", "A refund for tea?"),
            ("three", "tea", "Which tea?"),
        ] {
            let messages = json!([
                {"role": "user", "content": question},
                {"role": "assistant", "content": "Yes."},
            ]);
            let one = json!({"id": id, "tags": [tag], "messages": messages});
            server.post("/api/v1/conversations", &ann, one).await.ok();
        }
        let path = "/api/v1/conversations/facets?search=refund";
        let facets = server.get(path, &ann).await.ok();
        assert_eq!((&facets["counted"], &facets["has_more"]), (&json!(2), &json!(false)));
        let tags = facets["fields"].as_array().unwrap();
        let tags = tags.iter().find(|field| field["field"] == "tag").unwrap();
        let expect = json!([
            {"value": "lamp", "count": 1, "query": "tag:lamp"},
            {"value": "tea", "count": 1, "query": "tag:tea"},
        ]);
        assert_eq!(tags["values"], expect);
        let list = server.get("/export?search=refund", &ann).await.text();
        assert!(list.contains("2 conversations"), "{list}");
        assert!(list.contains("href=\"/export?search=refund+tag%3Atea\""), "{list}");
        // The value that is asked for leads back.
        let list = server.get("/export?search=refund+tag%3Atea", &ann).await.text();
        assert!(list.contains("1 conversation<"), "{list}");
        assert!(list.contains("href=\"/export?search=refund\" aria-current=\"true\""), "{list}");
        let wrong = server.get("/export?search=tga%3Atea", &ann).await;
        assert_eq!(wrong.status, 400);
        let wrong = wrong.text();
        assert!(wrong.contains("Unknown field “tga”."), "{wrong}");
        assert!(
            wrong.contains("<a href=\"?search=tag%3Atea\">Search for <code>tag:tea</code>"),
            "{wrong}"
        );
        // A person who sees none of them gets no counts of them.
        let bob = server.session(&server.bob).await;
        let facets = server.get(path, &bob).await.ok();
        assert_eq!((&facets["counted"], &facets["fields"]), (&json!(0), &json!([])));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_without_a_title_are_listed_by_their_first_question() {
    on_sqlite(async |server: &mut TestServer| {
        let ann = server.session(&server.ann).await;
        let untitled = json!({"id": "untitled", "messages": [
            {"role": "system", "content": "be brief"},
            {"role": "user", "content": "Where is\n\n my parcel?"},
            {"role": "assistant", "content": "Underway."},
        ]});
        server.post("/api/v1/conversations", &ann, untitled).await.ok();
        server.post("/api/v1/conversations", &ann, said("titled")).await.ok();
        let list = server.get("/export?search=&type=chat", &ann).await.text();
        assert!(list.contains(">Where is my parcel?</a>"), "{list}");
        assert!(list.contains(">Title of titled</a>"), "{list}");
        // From there, the way back leads to the same list.
        let way = "from=type%3Dchat";
        assert!(
            list.contains(&format!("/conversations/untitled?source=openai&#38;{way}")),
            "{list}"
        );
        let page = server.get(&format!("/conversations/untitled?source=openai&{way}"), &ann).await;
        let page = page.text();
        assert!(page.contains("href=\"/export?type=chat\""), "{page}");
        assert!(page.contains("<h1 dir=\"auto\">Where is my parcel?</h1>"), "{page}");
        let json = "/api/v1/conversations/untitled?source=openai&project=p";
        assert!(page.contains(&json.replace('&', "&amp;")), "{page}");
        assert_eq!(server.get(json, &ann).await.ok()["conversation"]["id"], "untitled");
        let back = [("csrf", &*token(&ann)), ("source", "openai"), ("from", "type=chat")];
        let fields = [&back[..], &[("action", "favorite")]].concat();
        let ask = server.request("POST", "/conversations/untitled/change").by(&ann);
        let reply = ask.form(&fields).send().await;
        assert_eq!(
            reply.header("location"),
            "/conversations/untitled?source=openai&from=type%3Dchat"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_name_in_use_is_told_before_anything_is_confirmed() {
    on_sqlite(async |server: &mut TestServer| {
        let ann = server.session(&server.ann).await;
        server.post("/api/v1/conversations", &ann, said("one")).await.ok();
        let who = server.token(&server.p, &server.ann, &[Grant::Read, Grant::Export]).await;
        let id = server.dataset("taken", json!({}), &who).await;
        // Nothing is selected yet.
        let reply = server.get("/export/check?dataset_name=free", &ann).await;
        assert_eq!(reply.status, 400);
        assert!(reply.text().contains("Select at least one conversation."), "{}", reply.text());
        let csrf = token(&ann);
        let all = [("csrf", &*csrf), ("action", "all")];
        server.request("POST", "/export/choose").by(&ann).form(&all).send().await;
        let reply = server.get("/export/check?dataset_name=taken&file_format=csv", &ann).await;
        assert_eq!(reply.status, 409, "{}", reply.text());
        let text = reply.text();
        assert!(text.contains("aria-invalid=\"true\"") && text.contains("“taken-2”"), "{text}");
        assert!(text.contains("value=\"csv\" checked"), "{text}");
        server.delete(&format!("/api/v1/datasets/{id}"), &who).await.ok();
        let reply = server.get("/export/check?dataset_name=taken&file_format=csv", &ann).await;
        assert_eq!(reply.status, 200, "{}", reply.text());
        // A range of days that ends before it begins is refused, not empty.
        let reply = server.get("/export?created_from=2024-03-02&created_to=2024-03-01", &ann).await;
        assert_eq!(reply.status, 400);
        assert_eq!(
            server.get("/export?created_from=2024-03-02&created_to=2024-03-02", &ann).await.status,
            200
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_export_page_has_the_choices_of_repairs_and_keeps_them_to_the_dataset() {
    on_sqlite(async |server: &mut TestServer| {
        let ann = server.session(&server.ann).await;
        server.post("/api/v1/conversations", &ann, said("one")).await.ok();
        let csrf = token(&ann);
        let all = [("csrf", &*csrf), ("action", "all")];
        server.request("POST", "/export/choose").by(&ann).form(&all).send().await;
        let form = "dataset_name=x&call_text=extra&attachments=drop&fill=true";
        let text = server.get(&format!("/export/dataset?{form}"), &ann).await.text();
        for chosen in [
            "<option value=\"extra\" selected>",
            "<option value=\"drop\" selected>",
            "name=\"fill\" value=\"true\" checked>",
        ] {
            assert!(text.contains(chosen), "{chosen}: {text}");
        }
        let text = server.get(&format!("/export/check?{form}"), &ann).await.text();
        let fields = [("call_text", "extra"), ("attachments", "drop"), ("fill", "true")];
        for (name, value) in fields {
            let field = format!("<input type=\"hidden\" name=\"{name}\" value=\"{value}\">");
            assert!(text.contains(&field), "{field}: {text}");
        }
        let refused = server.get("/export/check?dataset_name=x&call_text=nowhere", &ann).await;
        assert_eq!(refused.status, 400, "{}", refused.text());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_receipt_left_out_is_listed_record_by_record() {
    on_sqlite(async |server: &mut TestServer| {
        let ann = server.session(&server.ann).await;
        server.post("/api/v1/conversations", &ann, said("whole")).await.ok();
        for number in 0..120 {
            let open = json!({"id": format!("open <{number}>"), "messages": [{"role": "user", "content": "?"}]});
            server.post("/api/v1/conversations", &ann, open).await.ok();
        }
        let who = server.token(&server.p, &server.ann, &[Grant::Read, Grant::Export]).await;
        let id = server.dataset("some", json!({}), &who).await;
        let page = server.get(&format!("/datasets/{id}"), &ann).await.text();
        let at = page.find(&format!("/datasets/{id}/left-out?reason=")).unwrap_or_else(|| panic!("{page}"));
        let link = page[at..].split('"').next().unwrap();
        let first = server.get(link, &ann).await.text();
        assert_eq!(first.matches("<td class=\"title\"><a href=\"/conversations/open%20%3C").count(), 100);
        let next = first.split("href=\"").find(|part| part.contains("after=100")).unwrap();
        let next = next.split('"').next().unwrap().replace("&#38;", "&").replace("&amp;", "&");
        let second = server.get(&next, &ann).await.text();
        assert_eq!(second.matches("<td class=\"title\">").count(), 20, "{second}");
        let other = server.get(&format!("/datasets/{id}/left-out?reason=another"), &ann).await;
        assert!(other.text().contains("<td colspan=\"4\" class=\"empty\">None.</td>"));
        let bob = server.session(&server.bob).await;
        assert_eq!(server.get(link, &bob).await.status, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_was_selected_redacted_deleted_or_not_sampled_is_listed_item_by_item() {
    on_sqlite(async |server: &mut TestServer| {
        let ann = server.session(&server.ann).await;
        for number in 0..9 {
            let answer = if number == 8 { "user" } else { "assistant" };
            let said = json!({"id": format!("talk-{number}"), "messages": [
                {"role": "user", "content": format!("Write to me-{number}@mail.example.org")},
                {"role": answer, "content": "I will."},
            ]});
            server.post("/api/v1/conversations", &ann, said).await.ok();
        }
        server.post("/api/v1/conversations", &ann, said("gone")).await.ok();
        let change = json!({"selection": {"ids": ["gone"]}, "change": {"status": "deleted"}});
        let changed = server.post("/api/v1/conversations/change", &ann, change).await;
        assert_eq!(changed.status, 200, "{}", changed.text());
        let who = server.token(&server.p, &server.ann, &[Grant::Read, Grant::Export]).await;
        let dataset = async |options: Value| {
            let job = server.post("/api/v1/exports", &who, options).await.json();
            let id = job["id"].as_i64().unwrap_or_else(|| panic!("{job}"));
            let ended = server.ended_job("exports", id, &who).await;
            ended["dataset"].as_i64().unwrap_or_else(|| panic!("{ended}"))
        };
        let rows = async |link: &str| {
            let page = server.get(link, &ann).await.text();
            let bob = server.session(&server.bob).await;
            if link.starts_with("/datasets") {
                assert_eq!(server.get(link, &bob).await.status, 404);
            }
            (page.matches("<a href=\"/conversations/").count(), page)
        };
        let whole = json!({"dataset_name": "all", "findings": true, "redact": "pii"});
        let id = dataset(whole).await;
        let page = server.get(&format!("/datasets/{id}"), &ann).await.text().replace("&#38;", "&");
        for (link, count) in [
            (format!("/datasets/{id}/items"), 9),
            (format!("/datasets/{id}/findings?list=redacted&kind=email"), 9),
            ("/export?status=deleted".into(), 1),
        ] {
            assert!(page.contains(&format!("href=\"{link}\"")), "{link}: {page}");
            let (found, page) = rows(&link).await;
            assert_eq!(found, count, "{link}: {page}");
        }
        let sampled = json!({"dataset_name": "some", "sample": "3", "seed": 1});
        let id = dataset(sampled).await;
        let page = server.get(&format!("/datasets/{id}"), &ann).await.text();
        assert!(page.contains("Not in the sample"), "{page}");
        let selected = rows(&format!("/datasets/{id}/items")).await.0;
        let others = rows(&format!("/datasets/{id}/items?list=not-sampled")).await.0;
        assert_eq!((selected, others), (3, 6));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_a_receipt_repaired_and_noted_is_listed_record_by_record() {
    on_sqlite(async |server: &mut TestServer| {
        let ann = server.session(&server.ann).await;
        server.post("/api/v1/conversations", &ann, said("whole")).await.ok();
        for number in 0..3 {
            let said = json!({"id": format!("open-{number}"), "messages": [
                {"role": "user", "content": "Is <image> here?"}, {"role": "assistant", "content": "yes"},
                {"role": "user", "content": "And now?"},
            ]});
            server.post("/api/v1/conversations", &ann, said).await.ok();
        }
        let who = server.token(&server.p, &server.ann, &[Grant::Read, Grant::Export]).await;
        // Without a list, the first of them are named.
        let id = server.dataset("plain", json!({}), &who).await;
        let page = server.get(&format!("/datasets/{id}"), &ann).await.text();
        let cut = "Repaired: cut back to the last answer <small>such as <a href=\"/conversations/open%2D";
        assert!(page.contains(cut) && !page.contains("/findings?"), "{page}");
        let form = server.get("/export/dataset", &ann).await.text();
        assert!(form.contains("name=\"findings\" value=\"true\" checked"), "{form}");
        let asked = json!({"dataset_name": "some", "findings": true});
        let job = server.post("/api/v1/exports", &who, asked).await.json();
        let job = server.ended_job("exports", job["id"].as_i64().unwrap(), &who).await;
        let id = job["dataset"].as_i64().unwrap();
        let page = server.get(&format!("/datasets/{id}"), &ann).await.text();
        for kind in ["list=repaired&#38;kind=cut-end", "list=warning&#38;kind="] {
            let at = page.find(&format!("/datasets/{id}/findings?{kind}"));
            let at = at.unwrap_or_else(|| panic!("{kind}: {page}"));
            let link = page[at..].split('"').next().unwrap().replace("&#38;", "&");
            let listed = server.get(&link, &ann).await.text();
            let found = listed.matches("<td class=\"title\"><a href=\"/conversations/open%2D").count();
            assert_eq!(found, 3, "{link}: {listed}");
            let bob = server.session(&server.bob).await;
            assert_eq!(server.get(&link, &bob).await.status, 404);
        }
        let odd = server.get(&format!("/datasets/{id}/findings?list=odd&kind=x"), &ann).await;
        assert_eq!(odd.status, 400);
        // A repair is shown as it was before and after.
        let link = format!("/datasets/{id}/findings?list=repaired&kind=cut-end");
        let listed = server.get(&link, &ann).await.text();
        let repair = format!("/datasets/{id}/repair?kind=conversation&item=open%2D1");
        assert!(listed.replace("&#38;", "&").contains(&repair), "{listed}");
        let page = server.get(&repair, &ann).await.text();
        let (before, after) = page.split_once("<h2>After</h2>").unwrap();
        assert!(before.contains("And now?") && before.contains("changed or removed"), "{page}");
        assert!(!after.contains("And now?") && after.contains("Is &#60;image&#62; here?"), "{page}");
        let bob = server.session(&server.bob).await;
        assert_eq!(server.get(&repair, &bob).await.status, 404);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn sample_data_fills_every_place() {
    on_sqlite(async |server: &mut TestServer| {
        let owner = server.session(&server.owner).await;
        let home = sample_data(server, &owner).await;
        assert!(home.contains("12 runs · 4 documents"), "{home}");
        let page = server.get("/copilots", &owner).await.text();
        assert!(page.contains("Leave policy"), "{page}");
        let page = server.get("/recipes", &owner).await.text();
        assert!(page.contains("Leave requests"), "{page}");
        // Who loads it after someone else has a copy of their own.
        let ann = server.session(&server.ann).await;
        let home = sample_data(server, &ann).await;
        assert!(home.contains("12 runs · your 0 datasets"), "{home}");
    })
    .await;
    // A member sees what they loaded, too.
    on_sqlite(async |server: &mut TestServer| {
        let ann = server.session(&server.ann).await;
        let home = sample_data(server, &ann).await;
        assert!(home.contains("12 runs · your 0 datasets"), "{home}");
    })
    .await;
}

/// The first page after the sample data was loaded.
async fn sample_data(server: &TestServer, who: &As) -> String {
    let csrf = token(who);
    let ask = server.request("POST", "/import/examples").by(who);
    let reply = ask.form(&[("csrf", &*csrf)]).send().await;
    assert_eq!((reply.status, reply.header("location")), (303, "/"), "{}", reply.text());
    let home = server.get("/", who).await.text();
    assert!(!home.contains("Import your conversations"), "{home}");
    home
}
