//! Public links: what they show, and that they end.

use std::time::Duration;

use retort_model::Grant;
use serde_json::{Value, json};

use retort_testing_server::server::{As, TestServer, on_both};

/// A conversation with everything that a link leaves out.
async fn conversation(server: &TestServer, who: &As, id: &str) {
    let item = json!({
        "id": id, "title": "Shown", "tags": ["secret-tag"], "model": "m", "secret-field": "secret-value",
        "tools": [{"type": "function", "function": {"name": "secret-tool", "parameters": {}}}],
        "usage": {"prompt_tokens": 4711, "completion_tokens": 1147},
        "messages": [
            {"role": "system", "content": "secret-prompt"},
            {"role": "developer", "content": "secret-developer"},
            {"role": "user", "name": "secret-name", "content": [
                {"type": "text", "text": "a question"},
                {"type": "file", "file": {"filename": "a.txt", "file_data": "data:text/plain,whole"}},
            ]},
            {"role": "assistant", "content": "an answer", "secret-key": "secret-value"},
        ],
    });
    let taken =
        server.request("POST", "/api/v1/conversations").by(who).json(&item).send().await.ok();
    assert_eq!(taken["new"], 1, "{taken}");
}

async fn share(server: &TestServer, who: &As, asked: Value) -> (i64, String) {
    let made = server.post("/api/v1/shares", who, asked).await;
    assert_eq!(made.status, 201, "{}", made.text());
    let path = made.json()["path"].as_str().unwrap().to_owned();
    assert!(path.len() >= "/s/".len() + 43, "{path}");
    (made.id(), path)
}

/// The statuses of everything behind a link.
async fn statuses(server: &TestServer, path: &str) -> [u16; 4] {
    let api = path.replace("/s/", "/api/v1/shared/");
    let all = [path.to_owned(), api.clone(), format!("{api}/files/0"), format!("{api}/files.zip")];
    let mut statuses = [0; 4];
    for (status, path) in statuses.iter_mut().zip(all) {
        *status = server.get(&path, &As::Nobody).await.status;
    }
    statuses
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_shows_what_was_asked_for_and_no_more() {
    on_both(async |server| {
        let ann = server.session(&server.ann).await;
        conversation(server, &ann, "c").await;
        let (_, path) = share(server, &ann, json!({"conversation": "c"})).await;
        let json = server.get(&path.replace("/s/", "/api/v1/shared/"), &As::Nobody).await;
        let page = server.get(&path, &As::Nobody).await;
        for text in [json.text(), page.text()] {
            assert!(text.contains("a question") && text.contains("an answer"), "{text}");
            for hidden in ["secret", "4711", "1147", "ann@", "\"p\""] {
                assert!(!text.contains(hidden), "{hidden}: {text}");
            }
        }
        let (_, path) = share(
            server,
            &ann,
            json!({"conversation": "c", "system": true, "tools": true, "usage": true}),
        )
        .await;
        let text = server.get(&path.replace("/s/", "/api/v1/shared/"), &As::Nobody).await.text();
        for shown in ["secret-prompt", "secret-tool"] {
            assert!(text.contains(shown), "{shown}: {text}");
        }
        for hidden in ["secret-tag", "secret-value", "ann@"] {
            assert!(!text.contains(hidden), "{hidden}: {text}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_masks_secrets_and_personal_data_unless_it_is_to_show_them() {
    on_both(async |server| {
        let ann = server.session(&server.ann).await;
        let item = json!({"id": "c", "title": "Mail to eve@example.org", "messages": [
            {"role": "user", "content": "Write to ben@example.org"},
            {"role": "assistant", "content": "I did, from +49 170 1234567."},
        ]});
        server.request("POST", "/api/v1/conversations").by(&ann).json(&item).send().await.ok();
        for unredacted in [false, true] {
            let asked = json!({"conversation": "c", "unredacted": unredacted});
            let made = server.post("/api/v1/shares", &ann, asked).await;
            assert_eq!(made.json()["unredacted"], unredacted);
            let path = made.json()["path"].as_str().unwrap().to_owned();
            let json = server.get(&path.replace("/s/", "/api/v1/shared/"), &As::Nobody).await;
            let page = server.get(&path, &As::Nobody).await;
            for text in [json.text(), page.text()] {
                for secret in ["eve@example.org", "ben@example.org", "170 1234567"] {
                    assert_eq!(text.contains(secret), unredacted, "{secret}: {text}");
                }
                assert_eq!(text.contains("Write to [EMAIL]"), !unredacted, "{text}");
            }
            assert_eq!(page.text().contains("Secrets and personal data are masked"), !unredacted);
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_ends_at_once_with_its_conversation_or_when_it_is_revoked_and_does_not_come_back() {
    on_both(async |server| {
        let ann = server.session(&server.ann).await;
        let manager = server.token(&server.p, &server.owner, Grant::ALL).await;
        for end in ["revoke", "revoked by an owner", "delete", "status", "purge", "expiry"] {
            conversation(server, &ann, end).await;
            let mut asked = json!({"conversation": end});
            if end == "expiry" {
                asked["expires_at"] = json!("2026-01-01T01:00:00Z");
            }
            let (id, path) = share(server, &ann, asked).await;
            assert_eq!(statuses(server, &path).await, [200; 4], "{end}");
            let url: String = url::form_urlencoded::byte_serialize(end.as_bytes()).collect();
            let one = format!("/api/v1/conversations/{}", url.replace('+', "%20"));
            match end {
                "revoke" => drop(server.delete(&format!("/api/v1/shares/{id}"), &ann).await.ok()),
                "revoked by an owner" => {
                    drop(server.delete(&format!("/api/v1/shares/{id}"), &manager).await.ok());
                }
                "delete" => drop(server.delete(&one, &ann).await.ok()),
                "status" => {
                    let ask =
                        server.request("PATCH", &one).by(&ann).json(&json!({"status": "deleted"}));
                    ask.send().await.ok();
                }
                "purge" => drop(server.delete(&format!("{one}?purge=true"), &ann).await.ok()),
                _ => server.clock.advance(Duration::from_secs(3600)),
            }
            assert_eq!(statuses(server, &path).await, [404; 4], "{end}");
            if ["delete", "status"].contains(&end) {
                let ask = server.request("PATCH", &one).by(&ann).json(&json!({"status": "active"}));
                ask.send().await.ok();
                assert_eq!(server.get(&one, &ann).await.status, 200, "{end}");
                assert_eq!(statuses(server, &path).await, [404; 4], "{end}");
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_password_opens_the_page_the_json_and_the_files_and_nothing_else_does() {
    on_both(async |server| {
        let ann = server.session(&server.ann).await;
        conversation(server, &ann, "c").await;
        let asked = json!({"conversation": "c", "password": "öffne dich"});
        let (id, path) = share(server, &ann, asked).await;
        assert_eq!(statuses(server, &path).await, [401; 4]);
        assert!(!server.get(&path, &As::Nobody).await.text().contains("a question"));
        let list = server.get("/api/v1/shares", &ann).await.text();
        assert!(list.contains("\"has_password\":true") && !list.contains("dich"), "{list}");

        let api = path.replace("/s/", "/api/v1/shared/");
        let with = async |path: &str, password: &str| {
            server.request("GET", path).header("x-share-password", password).send().await
        };
        assert_eq!(with(&api, "offne dich").await.status, 401);
        for path in [&api, &format!("{api}/files/0"), &format!("{api}/files.zip")] {
            assert_eq!(with(path, "öffne dich").await.status, 200, "{path}");
        }
        let wrong = server.request("POST", &path).form(&[("password", "sesam")]).send().await;
        assert_eq!((wrong.status, wrong.headers.contains_key("set-cookie")), (401, false));
        let right = server.request("POST", &path).form(&[("password", "öffne dich")]).send().await;
        assert!(right.status == 200 && right.text().contains("a question"));
        let cookie = right.header("set-cookie").split(';').next().unwrap().to_owned();
        assert!(!cookie.contains("dich") && !cookie.contains(path.trim_start_matches("/s/")));
        for path in [&path, &api, &format!("{api}/files/0"), &format!("{api}/files.zip")] {
            let ask = server.request("GET", path).header("cookie", &cookie);
            assert_eq!(ask.send().await.status, 200, "{path}");
        }
        // It opens no other link, and ends with this one.
        let asked = json!({"conversation": "c", "password": "öffne dich"});
        let (_, other) = share(server, &ann, asked).await;
        let ask = server.request("GET", &other).header("cookie", &cookie);
        assert_eq!(ask.send().await.status, 401);
        server.delete(&format!("/api/v1/shares/{id}"), &ann).await.ok();
        assert_eq!(server.request("GET", &path).header("cookie", &cookie).send().await.status, 404);
    })
    .await;
}
