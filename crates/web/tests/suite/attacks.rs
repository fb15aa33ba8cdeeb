//! What attackers try, refused.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::Duration;

use retort_model::Grant;
use retort_service::{Caller, Origin};
use retort_web::app::AddressHeader;
use retort_web::who::csrf_of;
use serde_json::{Value, json};
use tokio::time::Instant;

use retort_testing_server::server::{
    self, ANN, As, BOB, PASSWORD, Reply, Setup, TestServer, on_both, on_sqlite, on_sqlite_with,
};

const SCRIPT: &str = "<script>alert(1)</script>\"><img src=x onerror=alert(2)>'{{7*7}}";

#[tokio::test(flavor = "multi_thread")]
async fn guessed_numbers_of_others_open_nothing() {
    on_both(async |server| {
        let ann = server.session(&server.ann).await;
        let conversation = server.conversation(&server.ann).await;
        server.dataset("the-set", json!({}), &ann).await;
        let import = server.request("POST", "/api/v1/imports").by(&ann).body("{\"messages\":[]}");
        import.send().await.ok();
        server.post("/api/v1/shares", &ann, json!({"conversation": conversation})).await.ok();
        let asked = json!({"name": "t", "scopes": ["read"], "days": 3});
        server.post("/api/v1/tokens", &ann, asked).await.ok();
        let asked = json!({"url": "https://example.com/hook"});
        server.post("/api/v1/webhooks", &ann, asked).await.ok();

        for person in [&server.bob, &server.quinn] {
            let who = server.session(person).await;
            for id in [-1, 0, 1, 2, 3, 4, 5, i64::MAX] {
                for (method, path) in [
                    ("GET", format!("exports/{id}")),
                    ("GET", format!("exports/{id}/events")),
                    ("POST", format!("exports/{id}/cancel")),
                    ("POST", format!("exports/{id}/retry")),
                    ("GET", format!("imports/{id}")),
                    ("GET", format!("imports/{id}/events")),
                    ("POST", format!("imports/{id}/cancel")),
                    ("POST", format!("imports/{id}/retry")),
                    ("GET", format!("datasets/{id}")),
                    ("GET", format!("datasets/{id}/preview")),
                    ("GET", format!("datasets/{id}/manifest")),
                    ("GET", format!("datasets/{id}/download")),
                    ("DELETE", format!("datasets/{id}")),
                    ("DELETE", format!("shares/{id}")),
                    ("DELETE", format!("tokens/{id}")),
                    ("GET", format!("webhooks/{id}/deliveries")),
                    ("DELETE", format!("webhooks/{id}")),
                ] {
                    let reply =
                        server.request(method, &format!("/api/v1/{path}")).by(&who).send().await;
                    let problem = reply.refused(404, "not-found");
                    // Nothing of what is there is told, not even that it is.
                    let text = problem.to_string();
                    assert!(!text.contains("the-set") && !text.contains("ann"), "{path}: {text}");
                }
                let renamed = server.request("PATCH", &format!("/api/v1/datasets/{id}")).by(&who);
                renamed.json(&json!({"name": "taken"})).send().await.refused(404, "not-found");
            }
        }
        for path in ["exports", "imports", "datasets", "shares", "webhooks"] {
            let list = server.get(&format!("/api/v1/{path}"), &ann).await.ok();
            let all = list.as_object().unwrap().values().find(|value| value.is_array()).unwrap();
            assert_eq!(all.as_array().unwrap().len(), 1, "{path}: {list}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_a_browser_carries_along_changes_nothing_without_its_token() {
    on_sqlite(async |server| {
        let id = server.conversation(&server.ann).await;
        let (As::Session(own), As::Session(other)) =
            (server.session(&server.ann).await, server.session(&server.ann).await)
        else {
            panic!()
        };
        let path = format!("/api/v1/conversations/{id}");
        let attempts: [&[(&str, &str)]; 6] = [
            &[],
            &[("x-csrf-token", "")],
            &[("x-csrf-token", &csrf_of(&other))],
            &[("x-csrf-token", &own)],
            &[("origin", "https://evil.example"), ("sec-fetch-site", "cross-site")],
            // What a page of this site sends is not enough either: it might show others' content.
            &[("sec-fetch-site", "same-origin")],
        ];
        for headers in attempts {
            let mut ask = server.request("DELETE", &path).cookie(&own);
            for (name, value) in headers {
                ask = ask.header(name, value);
            }
            ask.send().await.refused(403, "forbidden");
        }
        // A form can send these without asking the browser's leave.
        for kind in ["text/plain", "application/x-www-form-urlencoded", "multipart/form-data"] {
            let body = "{\"id\":\"forged\",\"messages\":[{\"role\":\"user\",\"content\":\"x\"}]}";
            for path in ["/api/v1/conversations", "/api/v1/imports"] {
                let ask = server.request("POST", path).cookie(&own).header("content-type", kind);
                ask.body(body).send().await.refused(403, "forbidden");
            }
            let ask = server.request("POST", "/api/v1/session").header("content-type", kind);
            let body = json!({"name": ANN, "password": PASSWORD}).to_string();
            let reply = ask.body(body).send().await;
            reply.refused(415, "unsupported-media-type");
            assert_eq!(reply.session(), None);
        }
        let found = server.get(&path, &As::Session(own.clone())).await.ok();
        assert_eq!(found["summary"]["status"], "active");
        let ask =
            server.request("DELETE", &path).cookie(&own).header("x-csrf-token", &csrf_of(&own));
        ask.send().await.ok();
        // Signing out of someone's session takes their token, too.
        let page = server.request("POST", "/sign-out").cookie(&own);
        assert_eq!(page.form(&[("csrf", &csrf_of(&other))]).send().await.status, 403);
        assert_eq!(server.get("/api/v1/session", &As::Session(own)).await.status, 200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_on_another_site_signs_nobody_in() {
    on_sqlite(async |server| {
        let (person, p) = (server.ann.clone(), server.p.clone());
        let (link, invitation) = server
            .call(move |service| {
                let link = service.sign_in_link(&person).unwrap();
                let role = retort_model::ProjectRole::Member;
                (link, service.invite(&Caller::local(&p), role, None).unwrap().1)
            })
            .await;
        let forms: [(&str, Vec<(&str, &str)>); 3] = [
            ("/sign-in", vec![("name", ANN), ("password", PASSWORD)]),
            ("/sign-in/link", vec![("secret", &link)]),
            ("/invitation", vec![("secret", &invitation), ("name", "new"), ("password", PASSWORD)]),
        ];
        let own = format!("http://{}", server.address);
        for (path, fields) in &forms {
            let from: [&[(&str, &str)]; 5] = [
                &[],
                &[("origin", "https://evil.example")],
                &[("origin", "null")],
                &[("origin", &own), ("sec-fetch-site", "cross-site")],
                &[("sec-fetch-site", "same-site")],
            ];
            for headers in from {
                let mut ask = server.request("POST", path).form_only(fields);
                for (name, value) in headers {
                    ask = ask.header(name, value);
                }
                let reply = ask.send().await;
                assert_eq!((reply.status, reply.session()), (403, None), "{path} {headers:?}");
            }
        }
        // Nothing was used up by the attempts.
        for (path, fields) in &forms {
            let reply = server.request("POST", path).form(fields).send().await;
            assert_eq!((reply.status, reply.header("location")), (303, "/"), "{path}");
            assert!(reply.session().is_some(), "{path}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_session_that_was_set_beforehand_is_not_adopted() {
    on_both(async |server| {
        let planted = "rs_planted-by-someone-else";
        let sign_in = json!({"name": ANN, "password": PASSWORD});
        let reply =
            server.request("POST", "/api/v1/session").cookie(planted).json(&sign_in).send().await;
        let first = reply.session().unwrap();
        assert_eq!(reply.status, 201);
        assert_eq!(reply.json()["csrf"], csrf_of(&first));
        let cookie = reply.header("set-cookie");
        assert!(cookie.contains("HttpOnly") && cookie.contains("SameSite=Lax"), "{cookie}");

        // Who was signed in gets another session on signing in again.
        let fields = [("name", ANN), ("password", PASSWORD)];
        let reply = server.request("POST", "/sign-in").cookie(&first).form(&fields).send().await;
        let second = reply.session().unwrap();
        assert!(first != second && second != planted && first != planted);
        let status = async |secret: &str| {
            server.request("GET", "/api/v1/session").cookie(secret).send().await.status
        };
        assert_eq!(status(planted).await, 401);
        assert_eq!(status(&second).await, 200);

        // A new password ends what was begun with the old one, but for where it was set.
        let (one, two) = (As::Session(first.clone()), As::Session(second.clone()));
        let asked = json!({"current": PASSWORD, "new": "another battery"});
        server.request("PUT", "/api/v1/password").by(&two).json(&asked).send().await.ok();
        assert_eq!((status(&first).await, status(&second).await), (401, 200));
        assert_eq!(server.get("/api/v1/session", &one).await.status, 401);

        let reply = server.delete("/api/v1/session", &two).await;
        assert_eq!(reply.status, 204);
        assert!(reply.header("set-cookie").contains("Max-Age=0"));
        assert_eq!(status(&second).await, 401);

        // So does the end of its time.
        let third = server.session(&server.ann).await;
        server.clock.advance(Duration::from_secs(14 * 24 * 60 * 60 - 1));
        assert_eq!(server.get("/api/v1/session", &third).await.status, 200);
        server.clock.advance(Duration::from_secs(1));
        server.get("/api/v1/session", &third).await.refused(401, "unauthenticated");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_in_an_address_or_a_cookie_is_none() {
    on_sqlite(async |server| {
        let As::Token(token) = server.token(&server.p, &server.ann, Grant::ALL).await else {
            panic!()
        };
        for name in ["token", "access_token", "api_key", "bearer_token", "authorization"] {
            for path in ["/api/v1/session", "/api/v1/conversations", "/api/v1/datasets", "/metrics"]
            {
                let path = format!("{path}?{name}={token}");
                let status = server.get(&path, &As::Nobody).await.status;
                assert_eq!(status, if path.starts_with("/metrics") { 404 } else { 401 }, "{path}");
            }
        }
        let reply = server.request("GET", "/api/v1/session").cookie(&token).send().await;
        reply.refused(401, "unauthenticated");
        for value in [
            token.clone(),
            format!("Basic {token}"),
            format!("Token {token}"),
            "Bearer".into(),
            "Bearer ".into(),
            format!("Bearer {token} {token}"),
            format!("Bearer {}", token.to_uppercase()),
        ] {
            let ask = server.request("GET", "/api/v1/session").header("authorization", &value);
            ask.send().await.refused(401, "unauthenticated");
        }
        let bearer = format!("Bearer {token}");
        let ask = server.request("GET", "/api/v1/session").header("authorization", &bearer);
        ask.header("authorization", &bearer).send().await.refused(401, "unauthenticated");
        let ask = server.request("GET", "/api/v1/session").header("authorization", &bearer);
        assert_eq!(ask.send().await.ok()["person"], ANN);
    })
    .await;
}

/// A server whose proxies name people in a header.
fn with_header(proxies: &'static str) -> Setup {
    Setup { proxies, person_header: Some("x-retort-person"), ..Setup::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn only_a_proxy_says_who_someone_is_and_only_once() {
    on_sqlite_with(with_header("127.0.0.0/8"), async |server| {
        let who = async |headers: &[(&str, &str)]| {
            let mut ask = server.request("GET", "/api/v1/session");
            for (name, value) in headers {
                ask = ask.header(name, value);
            }
            ask.send().await
        };
        let me = who(&[("x-retort-person", ANN)]).await.ok();
        assert_eq!((&me["person"], &me["csrf"]), (&json!(ANN), &Value::Null));
        for headers in [
            &[("x-retort-person", ANN), ("x-retort-person", "owner@example.com")][..],
            &[("x-retort-person", ANN), ("x-retort-person", ANN)],
            &[("x-retort-person", ANN), ("X-Retort-Person", "")],
            &[("x_retort_person", ANN)],
            &[("x-retort_person", ANN)],
            &[("x-retort-person", "")],
            &[("x-retort-person", "  ")],
            &[("x-retort-person", "nobody@example.com")],
            &[("x-retort-person", "ann@example.com,owner@example.com")],
            &[("x-retort-person", "ann@example.com, ann@example.com")],
            &[("remote-user", ANN)],
            &[("x-remote-user", ANN)],
            &[("x-forwarded-user", ANN)],
        ] {
            who(headers).await.refused(401, "unauthenticated");
        }
        // Browsers carry it along, as the proxy adds it to whatever comes.
        let id = server.conversation(&server.ann).await;
        let path = format!("/api/v1/conversations/{id}");
        for headers in [
            &[("sec-fetch-site", "cross-site")][..],
            &[("sec-fetch-site", "none")],
            &[("origin", "https://evil.example")],
            &[],
        ] {
            let mut ask = server.request("DELETE", &path).header("x-retort-person", ANN);
            for (name, value) in headers {
                ask = ask.header(name, value);
            }
            ask.send().await.refused(403, "forbidden");
        }
        let ask = server.request("DELETE", &path).header("x-retort-person", ANN);
        ask.header("sec-fetch-site", "same-origin").send().await.ok();
        let ann = server.ann.clone();
        server.call(move |service| service.set_disabled(&ann, true).unwrap()).await;
        who(&[("x-retort-person", ANN)]).await.refused(401, "unauthenticated");
    })
    .await;

    on_sqlite_with(with_header("192.0.2.0/24"), async |server| {
        for forwarded in ["203.0.113.9", "192.0.2.1", "192.0.2.1, 192.0.2.2"] {
            let ask = server.request("GET", "/api/v1/session").header("x-retort-person", ANN);
            let ask = ask.header("x-forwarded-for", forwarded).header("forwarded", "for=192.0.2.1");
            ask.send().await.refused(401, "unauthenticated");
        }
    })
    .await;
}

/// The address that the audit log has of a sign-in that is refused.
async fn address_of(server: &TestServer, forwarded: &str) -> String {
    address_by(server, "x-forwarded-for", forwarded).await
}

async fn address_by(server: &TestServer, header: &str, forwarded: &str) -> String {
    let sign_in = json!({"name": "nobody", "password": "not this one"});
    let ask = server.request("POST", "/api/v1/session").direct().header(header, forwarded);
    ask.json(&sign_in).send().await.refused(401, "unauthenticated");
    let owner = server.session(&server.owner).await;
    let log = server.get("/api/v1/audit?action=sign-in&refused=true&limit=1", &owner).await.ok();
    log["entries"][0]["address"].as_str().unwrap().to_owned()
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_chooses_the_address_that_they_are_known_by() {
    on_sqlite(async |server| {
        for (forwarded, expect) in [
            ("203.0.113.7", "203.0.113.7"),
            ("6.6.6.6, 203.0.113.7", "203.0.113.7"),
            ("127.0.0.1, 203.0.113.7", "203.0.113.7"),
            ("6.6.6.6, 203.0.113.7, 127.0.0.1", "203.0.113.7"),
            ("6.6.6.6, nonsense", "127.0.0.1"),
            ("::ffff:203.0.113.8", "203.0.113.8"),
        ] {
            assert_eq!(address_of(server, forwarded).await, expect, "{forwarded}");
        }
        // What is measured is for the machine itself, however far someone says they have come.
        for forwarded in ["127.0.0.1", "127.0.0.1, 203.0.113.7", "::1", "localhost"] {
            let ask = server.request("GET", "/metrics").header("x-forwarded-for", forwarded);
            assert_eq!(ask.send().await.status, 404, "{forwarded}");
        }
    })
    .await;
    on_sqlite_with(Setup { proxies: "192.0.2.0/24", ..Setup::default() }, async |server| {
        assert_eq!(address_of(server, "203.0.113.7").await, "127.0.0.1");
        let direct = || server.request("GET", "/metrics").direct();
        assert_eq!(direct().send().await.status, 200);
        for header in ["forwarded", "x-real-ip", "via", "x-forwarded-for"] {
            let ask = direct().header(header, "1.1 proxy");
            assert_eq!(ask.send().await.status, 404, "{header}");
        }
    })
    .await;
    // Who comes by a proxy that says nothing is not on the machine itself.
    on_sqlite(async |server| {
        assert_eq!(server.request("GET", "/metrics").direct().send().await.status, 404);
        let owner = server.session(&server.owner).await;
        assert_eq!(server.get("/metrics", &owner).await.status, 200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn of_the_headers_with_an_address_the_one_that_the_proxy_sets_is_believed() {
    for (address_header, name, value) in [
        (
            AddressHeader::Forwarded,
            "forwarded",
            "for=6.6.6.6, for=\"203.0.113.7:4711\";proto=https",
        ),
        (AddressHeader::XRealIp, "x-real-ip", "203.0.113.7"),
        (AddressHeader::XForwardedFor, "x-forwarded-for", "6.6.6.6, 203.0.113.7:4711"),
    ] {
        on_sqlite_with(Setup { address_header, ..Setup::default() }, async |server| {
            assert_eq!(address_by(server, name, value).await, "203.0.113.7");
            for other in ["forwarded", "x-real-ip", "x-forwarded-for"] {
                if other != name {
                    assert_eq!(
                        address_by(server, other, "203.0.113.7").await,
                        "127.0.0.1",
                        "{other}"
                    );
                }
            }
        })
        .await;
    }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_form_with_files_is_refused_where_items_are_expected() {
    // Report multipart-upload.
    on_sqlite(async |server| {
        let token = server.token(&server.p, &server.ann, Grant::ALL).await;
        let As::Token(token) = token else { panic!() };
        for path in ["/conversations", "/imports", "/runs", "/documents"] {
            let ask = server.request("POST", &format!("/api/v1{path}"));
            let ask = ask.header("authorization", &format!("Bearer {token}"));
            let ask = ask.header("content-type", "Multipart/Form-Data; boundary=x");
            let status = ask.body("--x\r\n\r\n{}\r\n--x--").send().await.status;
            assert!(status == 415 || (path == "/documents" && status == 405), "{path}: {status}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_with_tls_of_its_own_tells_browsers_to_keep_to_it() {
    for has_tls in [false, true] {
        on_sqlite_with(Setup { has_tls, ..Setup::default() }, async |server| {
            let reply = server.get("/healthz", &As::Nobody).await;
            let told = reply.headers.get("strict-transport-security").is_some();
            assert_eq!(told, has_tls);
        })
        .await;
    }
}

fn files_below(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    let mut folders = vec![folder.to_owned()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(folder).into_iter().flatten().flatten() {
            if entry.path().is_dir() {
                folders.push(entry.path());
            } else {
                found.insert(entry.path());
            }
        }
    }
    found
}

const CLIMBING: [&str; 12] = [
    "../../outside",
    "..",
    "/etc/passwd",
    "a/b",
    "a\\b",
    "..\\..\\outside",
    "a\0b",
    "a\r\nset-cookie: x=y",
    "%2e%2e%2foutside",
    ".hidden",
    "manifest",
    "",
];

#[tokio::test(flavor = "multi_thread")]
async fn no_name_leads_out_of_its_folder() {
    on_sqlite(async |server| {
        let ann = server.session(&server.ann).await;
        server.conversation(&server.ann).await;
        let id = server.dataset("set", json!({}), &ann).await;
        for name in CLIMBING {
            let asked = json!({"dataset_name": name, "selection": {}});
            let reply = server.post("/api/v1/exports", &ann, asked).await;
            assert!([400, 422].contains(&reply.status), "{name:?}: {}", reply.text());
            let asked = json!({"dataset_name": "other", "file_name": name, "selection": {}});
            let reply = server.post("/api/v1/exports", &ann, asked).await;
            assert!([400, 422].contains(&reply.status), "{name:?}: {}", reply.text());
            let ask = server.request("PATCH", &format!("/api/v1/datasets/{id}")).by(&ann);
            let reply = ask.json(&json!({"name": name})).send().await;
            assert!([400, 422].contains(&reply.status), "{name:?}: {}", reply.text());
        }
        // What an upload is called is only ever shown.
        let all = server.objects.parent().unwrap().to_owned();
        let before: BTreeSet<PathBuf> = files_below(&all)
            .into_iter()
            .filter(|file| !file.starts_with(&server.objects))
            .collect();
        for name in CLIMBING {
            let query: String = url::form_urlencoded::Serializer::new(String::new())
                .append_pair("name", name)
                .finish();
            let ask = server.request("POST", &format!("/api/v1/imports?{query}")).by(&ann);
            let job = ask.body(server::said(&server.new_name("c")).to_string()).send().await;
            let job = server.ended_job("imports", job.id(), &ann).await;
            assert_eq!(job["state"], "completed", "{job}");
        }
        let after: BTreeSet<PathBuf> = files_below(&all)
            .into_iter()
            .filter(|file| !file.starts_with(&server.objects))
            .collect();
        assert_eq!(before, after);
        assert!(!Path::new("/outside").exists());
        for path in [
            "/assets/../../../etc/passwd",
            "/assets/..%2f..%2f..%2fetc%2fpasswd",
            "/assets/%2e%2e/%2e%2e/etc/passwd",
            "/problems/..%2f..%2fetc%2fpasswd",
            "/s/..%2f..%2fetc%2fpasswd",
            "/api/v1/shared/..%2f..%2fetc%2fpasswd",
            "/api/v1/conversations/..%2f..%2fetc%2fpasswd",
        ] {
            let status = server.get(path, &ann).await.status;
            assert_eq!(status, 404, "{path}");
        }
        for path in ["/api/v1/datasets/..%2f1/download", "/api/v1/datasets/%2e%2e/download"] {
            assert!([400, 404].contains(&server.get(path, &ann).await.status), "{path}");
        }
    })
    .await;
}

/// A conversation full of what must not run, shared; its link.
async fn shared_script(server: &TestServer, who: &As) -> String {
    let file = |name: &str, url: &str| json!({"type": "file", "file": {"filename": name, "file_data": url}});
    let item = json!({
        "id": SCRIPT, "title": SCRIPT, "tags": [SCRIPT], "model": SCRIPT,
        "messages": [
            {"role": SCRIPT, "content": SCRIPT},
            {"role": "user", "content": [
                {"type": "text", "text": SCRIPT},
                file(SCRIPT, "data:text/html;base64,PHNjcmlwdD4="),
                file("../../../etc/cron.d/x", "data:image/svg+xml,<svg onload='alert(1)'/>"),
                file("a\r\nset-cookie: x=y.html", "data:text/html\r\nx:y;base64,aGk="),
            ]},
            {"role": "assistant", "content": SCRIPT, "tool_calls": [{"id": SCRIPT, "type": "function",
                "function": {"name": SCRIPT, "arguments": SCRIPT}}]},
        ],
    });
    let taken =
        server.request("POST", "/api/v1/conversations").by(who).json(&item).send().await.ok();
    assert_eq!(taken["new"], 1, "{taken}");
    let share = server.post("/api/v1/shares", who, json!({"conversation": SCRIPT})).await.ok();
    share["path"].as_str().unwrap().to_owned()
}

/// A page that runs nothing but the two scripts of ours that every page of someone who signed in has.
#[track_caller]
fn is_inert(page: &Reply) {
    let own = ["page", "keys"]
        .map(|name| format!("<script type=\"module\" src=\"/assets/{name}.js\"></script>"));
    let own = own.concat();
    let is_signed_in = page.text().contains(&own);
    let text = page.text().replace(&own, "");
    assert!(page.header("content-type").starts_with("text/html"), "{text}");
    for bad in ["<script", "<img", "onerror=alert(2)>", "javascript:"] {
        assert!(!text.to_lowercase().contains(bad), "{bad}: {text}");
    }
    let policy = page.header("content-security-policy");
    assert!(policy.contains("default-src 'none'"), "{policy}");
    let own = if is_signed_in { "script-src 'self'; " } else { "no script" };
    let policy = policy.replace(own, "");
    for bad in ["unsafe-inline", "unsafe-eval", "script-src", "*", "http"] {
        assert!(!policy.contains(bad), "{policy}");
    }
    assert_eq!(page.header("x-content-type-options"), "nosniff");
    assert_eq!(page.header("x-frame-options"), "DENY");
    assert_eq!(page.header("referrer-policy"), "no-referrer");
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_wrote_is_shown_and_never_run() {
    on_sqlite(async |server| {
        let ann = server.session(&server.ann).await;
        let path = shared_script(server, &ann).await;
        let page = server.get(&path, &As::Nobody).await;
        assert_eq!(page.status, 200);
        is_inert(&page);
        assert!(page.text().contains("&#60;script&#62;") || page.text().contains("&lt;script&gt;"));

        // Files are saved, never opened in place of the page.
        let json = server.get(&path.replace("/s/", "/api/v1/shared/"), &As::Nobody).await.ok();
        let files = json["files"].as_array().unwrap();
        assert_eq!(files.len(), 3, "{json}");
        for file in files {
            let name = file["name"].as_str().unwrap();
            assert!(!name.contains(['/', '\\', '\r', '\n', '<', '>', '"']), "{name}");
            let reply = server.get(file["path"].as_str().unwrap(), &As::Nobody).await;
            let disposition = reply.header("content-disposition");
            assert!(disposition.starts_with("attachment"), "{disposition}");
            assert!(!reply.headers.contains_key("set-cookie") && !reply.headers.contains_key("x"));
            assert!(reply.header("content-security-policy").contains("sandbox"));
            assert_eq!(reply.header("x-content-type-options"), "nosniff");
        }
        let all = format!("{}/files.zip", path.replace("/s/", "/api/v1/shared/"));
        let archive = server.get(&all, &As::Nobody).await.body;
        let archive = zip::ZipArchive::new(std::io::Cursor::new(archive)).unwrap();
        for name in archive.file_names().map(Result::unwrap) {
            assert!(!name.contains(['/', '\\', '\r', '\n']) && !name.starts_with('.'), "{name}");
        }

        // People, projects and what was typed.
        let script = SCRIPT.to_owned();
        let (session, secrets) = server
            .call(move |service| {
                let person = service.add_person(&script, None).unwrap();
                let project = service.project_or_new(&script).unwrap();
                let local = Caller::local(&project);
                let member = retort_model::ProjectRole::Member;
                service.admit(&local, &person, member).unwrap();
                let secrets = [None, Some(&*script)]
                    .map(|name| service.invite(&local, member, name).unwrap().1);
                (server::session_of(service, &person), secrets)
            })
            .await;
        let home = server.request("GET", "/").cookie(&session).send().await;
        assert!(home.text().contains("alert(1)"));
        is_inert(&home);
        for secret in &secrets {
            let ask = server.request("POST", "/invitation/open").form(&[("secret", &**secret)]);
            let page = ask.send().await;
            assert!(page.status == 200 && page.text().contains("alert(1)"));
            is_inert(&page);
            let fields = [("secret", &**secret), ("name", SCRIPT), ("password", "short")];
            is_inert(&server.request("POST", "/invitation").form(&fields).send().await);
        }
        let fields = [("name", SCRIPT), ("password", SCRIPT)];
        let page = server.request("POST", "/sign-in").form(&fields).send().await;
        assert!(page.status == 401 && page.text().contains("alert(1)"));
        is_inert(&page);
        let script: String = url::form_urlencoded::byte_serialize(SCRIPT.as_bytes()).collect();
        for path in ["/problems/", "/s/"] {
            is_inert(
                &server.get(&format!("{path}{}", script.replace('+', "%20")), &As::Nobody).await,
            );
        }
        // JSON is no page, whatever it holds.
        let reply = server.get("/api/v1/conversations", &ann).await;
        assert_eq!(reply.header("content-type"), "application/json");
        assert_eq!(reply.header("x-content-type-options"), "nosniff");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_is_sent_to_another_site() {
    on_sqlite(async |server| {
        let (ann, fields) =
            (server.session(&server.ann).await, [("name", ANN), ("password", PASSWORD)]);
        for evil in
            ["//evil.example", "https://evil.example", "/\\evil.example", "/%09/evil.example"]
        {
            for name in ["next", "redirect", "redirect_uri", "return_to", "url", "continue"] {
                let query: String = url::form_urlencoded::Serializer::new(String::new())
                    .append_pair(name, evil)
                    .finish();
                let reply = server.get(&format!("/?{query}"), &As::Nobody).await;
                assert_eq!((reply.status, reply.header("location")), (303, "/sign-in"));
                let ask = server.request("POST", &format!("/sign-out?{query}"));
                assert_eq!(ask.form(&[("csrf", "")]).send().await.header("location"), "/sign-in");
            }
            let ask = server.request("GET", "/").header("host", "evil.example");
            let ask = ask.header("x-forwarded-host", "evil.example");
            assert_eq!(ask.send().await.header("location"), "/sign-in");
        }
        let ask = server.request("POST", "/sign-in?next=//evil.example").form(&fields);
        assert_eq!(ask.send().await.header("location"), "/");
        for path in
            ["//evil.example", "//evil.example/%2e%2e", "/sign-in/", "/api/", "/%5cevil.example"]
        {
            let reply = server.get(path, &ann).await;
            assert_eq!(reply.status, 404, "{path}");
            assert!(!reply.headers.contains_key("location"), "{path}");
        }
    })
    .await;
}

/// Whether none is twice another.
fn is_alike(some: &[Duration]) -> bool {
    let (shortest, longest) = (some.iter().min().unwrap(), some.iter().max().unwrap());
    *longest < *shortest * 2
}

#[tokio::test(flavor = "multi_thread")]
async fn nobody_learns_from_answers_or_their_time_which_accounts_there_are() {
    on_both(async |server| {
        server
            .call(|service| {
                let gone = service.add_person("gone", Some(PASSWORD)).unwrap();
                service.set_disabled(&gone, true).unwrap();
                service.add_person("by link alone", None).unwrap();
            })
            .await;
        let names = [ANN, "nobody@example.com", "gone", "by link alone"];
        let mut told = BTreeSet::new();
        for name in names {
            let sign_in = json!({"name": name, "password": "not the right one"});
            let ask = server.request("POST", "/api/v1/session").json(&sign_in);
            let reply = ask.header("x-request-id", "the-same").send().await;
            reply.refused(401, "unauthenticated");
            let headers: Vec<&str> =
                reply.headers.keys().map(reqwest::header::HeaderName::as_str).collect();
            told.insert(format!("{headers:?} {}", reply.text()));
        }
        assert_eq!(told.len(), 1, "{told:?}");

        // As much work is done for each, which takes a hundred times as long as everything else. The quickest of many
        // attempts is disturbed by nothing.
        let least = server.call(move |service| {
            let mut least = [Duration::MAX; 4];
            for _ in 0..200 {
                for (name, least) in names.iter().zip(&mut least) {
                    let start = Instant::now();
                    service.sign_in(name, "not the right one", &Origin::default()).unwrap_err();
                    *least = (*least).min(start.elapsed());
                }
                if is_alike(&least) {
                    break;
                }
            }
            least
        });
        let least = least.await;
        assert!(is_alike(&least), "{least:?}");

        let mut told = BTreeSet::new();
        for name in names {
            let fields = [("name", name), ("password", "not the right one")];
            let ask = server.request("POST", "/sign-in").form(&fields);
            let reply = ask.send().await;
            assert_eq!(reply.status, 401);
            told.insert(reply.text().replace(name, "NAME"));
        }
        assert_eq!(told.len(), 1, "{told:?}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_tries_many_passwords_is_slowed_down_and_keeps_nobody_else_out() {
    on_sqlite(async |server| {
        let attempt = async |address: &str, password: &str| {
            let sign_in = json!({"name": ANN, "password": password});
            let ask = server.request("POST", "/api/v1/session").json(&sign_in);
            ask.header("x-forwarded-for", address).send().await.status
        };
        assert_eq!(attempt("198.51.100.200", PASSWORD).await, 201);
        let mut last = 0;
        for _ in 0..12 {
            last = attempt("198.51.100.9", "not the right one").await;
        }
        assert_eq!(last, 429);
        // A stranger who fails on purpose locks out nobody but themselves.
        assert_eq!(attempt("198.51.100.201", PASSWORD).await, 201);
        // Many strangers slow down the rest of the world, and not where the person was before.
        for address in 0..100 {
            last = attempt(&format!("203.0.113.{address}"), "not the right one").await;
        }
        assert_eq!(last, 429);
        assert_eq!(attempt("198.51.100.200", PASSWORD).await, 201);
        // Wrong links from many addresses do not keep those out who have a good one.
        for _ in 0..40 {
            let asked = json!({"secret": "rl_guessed"});
            let reply = server.request("POST", "/api/v1/session/link").json(&asked).send().await;
            reply.refused(401, "unauthenticated");
        }
        let bob = server.bob.clone();
        let secret = server.call(move |service| service.sign_in_link(&bob).unwrap()).await;
        let asked = json!({"secret": secret});
        let reply = server.request("POST", "/api/v1/session/link").json(&asked).send().await;
        assert_eq!(reply.ok()["person"], BOB);
        // One address that guesses links is slowed down.
        let mut last = 0;
        for _ in 0..32 {
            let ask =
                server.request("POST", "/api/v1/session/link").json(&json!({"secret": "rl_x"}));
            last = ask.header("x-forwarded-for", "198.51.100.1").send().await.status;
        }
        assert_eq!(last, 429);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_webhook_to_this_machine_or_its_network_is_not_made() {
    on_sqlite(async |server| {
        let ann = server.session(&server.ann).await;
        for url in [
            "http://example.com/hook",
            "https://127.0.0.1/",
            "https://localhost/",
            "https://[::1]/",
            "https://2130706433/",
            "https://10.0.0.1/",
            "https://169.254.169.254/latest/meta-data/",
            "https://192.168.0.1/",
            "https://[::ffff:127.0.0.1]/",
            "file:///etc/passwd",
            "gopher://example.com/",
            "https://user:password@example.com/",
            "no url",
            "",
        ] {
            let reply = server.post("/api/v1/webhooks", &ann, json!({"url": url})).await;
            let problem = reply.refused(400, "bad-request");
            assert!(problem["detail"].as_str().unwrap().starts_with("`url`: "), "{problem}");
        }
        assert_eq!(server.get("/api/v1/webhooks", &ann).await.ok()["webhooks"], json!([]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_of_one_project_tells_nothing_of_the_people_of_another() {
    on_both(async |server| {
        for person in [&server.quinn, &server.ann] {
            let sign_in = json!({"name": person.name, "password": PASSWORD});
            server.post("/api/v1/session", &As::Nobody, sign_in).await.ok();
            let sign_in = json!({"name": person.name, "password": "a wrong one"});
            assert_eq!(server.post("/api/v1/session", &As::Nobody, sign_in).await.status, 401);
        }
        let owner = server.session(&server.owner).await;
        // Trying every number there may be names nobody either.
        for person in 0..20 {
            let path = format!("/api/v1/members/{person}");
            if [server.owner.id, server.admin.id, server.ann.id, server.bob.id].contains(&person) {
                continue;
            }
            let ask = server.request("PUT", &path).by(&owner).json(&json!({"role": "member"}));
            ask.send().await.refused(404, "not-found");
        }
        let log = server.get("/api/v1/audit/export", &owner).await.text();
        assert!(log.contains(ANN) && log.contains("sign-in"), "{log}");
        assert!(!log.contains("quinn"), "{log}");
        let quinn = server.session(&server.quinn).await;
        let log = server.get("/api/v1/audit?limit=1000", &quinn).await.text();
        assert!(log.contains("quinn") && !log.contains(ANN) && !log.contains(BOB), "{log}");
        // The owner of the store sees everything.
        let (p, filter) = (server.p.clone(), retort_service::AuditFilter::default());
        let all = server
            .call(move |service| service.audit(&Caller::local(&p), &filter, None, 1000).unwrap().0)
            .await;
        assert!(all.iter().any(|entry| entry.person.as_deref() == Some("quinn@example.com")));
    })
    .await;
}
