//! Members, invitations, tokens, signing in through others, and the log of it all.

use std::collections::BTreeSet;
use std::time::Duration;

use retort_model::Grant;
use retort_web::oidc::{Oidc, OidcSettings};
use retort_web::who::csrf_of;
use serde_json::{Value, json};

use retort_testing_server::provider::{CLIENT_ID, CLIENT_SECRET, Person, Provider, visit};
use retort_testing_server::server::{
    self, ANN, As, PASSWORD, Reply, Setup, TestServer, each, on_both, on_both_with,
};

async fn invite(server: &TestServer, who: &As, asked: Value) -> Value {
    let made = server.post("/api/v1/invitations", who, asked).await;
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()
}

async fn accept(server: &TestServer, secret: &Value, name: &str) -> Reply {
    let asked = json!({"secret": secret, "name": name, "password": PASSWORD});
    server.post("/api/v1/invitations/accept", &As::Nobody, asked).await
}

#[tokio::test(flavor = "multi_thread")]
async fn an_invitation_lets_one_in_once_and_for_a_while() {
    on_both(async |server| {
        let owner = server.session(&server.owner).await;
        let open = invite(server, &owner, json!({"role": "admin"})).await;
        // Its address leads to the page that takes it. What comes after `#` is sent to nobody.
        let path = open["path"].as_str().unwrap();
        let (path, secret) = path.split_once('#').unwrap();
        assert_eq!(secret, open["secret"]);
        let page = server.get(path, &As::Nobody).await;
        assert!(page.status == 200 && page.text().contains("/invitation/open"), "{}", page.text());
        let page =
            server.request("POST", "/invitation/open").form(&[("secret", secret)]).send().await;
        assert!(page.status == 200 && page.text().contains("Join p"), "{}", page.text());
        let joined = accept(server, &open["secret"], "newcomer").await;
        assert_eq!(joined.status, 201, "{}", joined.text());
        let newcomer = As::Session(joined.session().unwrap());
        let me = server.get("/api/v1/session", &newcomer).await.ok();
        assert_eq!(me["projects"], json!([{"name": "p", "role": "admin"}]));
        accept(server, &open["secret"], "another").await.refused(401, "unauthenticated");

        let named =
            invite(server, &owner, json!({"role": "member", "name": "named@example.com"})).await;
        let bob = server.session(&server.bob).await;
        let join = json!({"secret": named["secret"]});
        server.post("/api/v1/invitations/join", &bob, join.clone()).await.refused(403, "forbidden");
        let joined = accept(server, &named["secret"], "someone else").await.ok();
        assert_eq!(joined["person"], "named@example.com");

        let quinn = server.session(&server.quinn).await;
        let open = invite(server, &owner, json!({"role": "member"})).await;
        let join = json!({"secret": open["secret"]});
        assert_eq!(server.post("/api/v1/invitations/join", &quinn, join.clone()).await.status, 204);
        server.post("/api/v1/invitations/join", &quinn, join).await.refused(401, "unauthenticated");
        let me = server.get("/api/v1/session", &quinn).await.ok();
        assert_eq!(each(&me["projects"], "role"), [&json!("member"), &json!("owner")]);

        // An account that is there is not taken over.
        let open = invite(server, &owner, json!({"role": "member"})).await;
        for name in [ANN, "ANN@example.com"] {
            accept(server, &open["secret"], name).await.refused(409, "conflict");
        }
        let revoked = server.delete(&format!("/api/v1/invitations/{}", open["id"]), &owner).await;
        assert_eq!(revoked.status, 204);
        accept(server, &open["secret"], "x").await.refused(401, "unauthenticated");

        let late = invite(server, &owner, json!({"role": "member"})).await;
        server.clock.advance(Duration::from_secs(7 * 24 * 60 * 60));
        accept(server, &late["secret"], "x").await.refused(401, "unauthenticated");
        let list = server.get("/api/v1/invitations", &owner).await.ok();
        assert_eq!(list["invitations"], json!([]));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_member_leaves_and_the_last_owner_cannot() {
    on_both(async |server| {
        let (ann, owner) = (server.session(&server.ann).await, server.session(&server.owner).await);
        let token = server.token(&server.p, &server.ann, Grant::ALL).await;
        let own = format!("/api/v1/members/{}", server.ann.id);
        assert_eq!(server.delete(&own, &ann).await.status, 204);
        server.get("/api/v1/conversations", &ann).await.refused(404, "not-found");
        server.get("/api/v1/conversations", &token).await.refused(401, "unauthenticated");

        let own = format!("/api/v1/members/{}", server.owner.id);
        server.delete(&own, &owner).await.refused(409, "conflict");
        let ask = server.request("PUT", &own).by(&owner).json(&json!({"role": "member"}));
        ask.send().await.refused(409, "conflict");
        let admin = format!("/api/v1/members/{}", server.admin.id);
        let ask = server.request("PUT", &admin).by(&owner).json(&json!({"role": "owner"}));
        assert_eq!(ask.send().await.status, 204);
        assert_eq!(server.delete(&own, &owner).await.status, 204);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_token_is_shown_once_and_ends_when_it_is_revoked_or_too_old() {
    on_both(async |server| {
        let ann = server.session(&server.ann).await;
        let asked = json!({"name": "mine", "scopes": ["read"], "days": 1});
        let made = server.post("/api/v1/tokens", &ann, asked.clone()).await;
        let token = As::Token(made.json()["token"].as_str().unwrap().to_owned());
        let list = server.get("/api/v1/tokens", &ann).await;
        assert!(!list.text().contains(made.json()["token"].as_str().unwrap()));
        assert_eq!(server.get("/api/v1/conversations", &token).await.status, 200);
        server.delete(&format!("/api/v1/tokens/{}", made.id()), &ann).await.ok();
        server.get("/api/v1/conversations", &token).await.refused(401, "unauthenticated");

        let made = server.post("/api/v1/tokens", &ann, asked).await.ok();
        let token = As::Token(made["token"].as_str().unwrap().to_owned());
        server.clock.advance(Duration::from_secs(24 * 60 * 60 - 1));
        assert_eq!(server.get("/api/v1/conversations", &token).await.status, 200);
        server.clock.advance(Duration::from_secs(1));
        server.get("/api/v1/conversations", &token).await.refused(401, "unauthenticated");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn signing_out_everywhere_ends_every_session_link_and_token() {
    on_both(async |server| {
        let (one, two) = (server.session(&server.ann).await, server.session(&server.ann).await);
        let bob = server.session(&server.bob).await;
        let token = server.token(&server.p, &server.ann, Grant::ALL).await;
        let ann = server.ann.clone();
        let link = server.call(move |service| service.sign_in_link(&ann).unwrap()).await;
        server.delete("/api/v1/sessions", &token).await.refused(403, "forbidden");
        let ended = server.delete("/api/v1/sessions", &one).await.ok();
        assert!(ended["ended"].as_u64() >= Some(3), "{ended}");
        assert_eq!(ended["tokens"], 1);
        for who in [&one, &two, &token] {
            server.get("/api/v1/session", who).await.refused(401, "unauthenticated");
        }
        let asked = json!({"secret": link});
        let reply = server.post("/api/v1/session/link", &As::Nobody, asked).await;
        reply.refused(401, "unauthenticated");
        assert_eq!(server.get("/api/v1/session", &bob).await.status, 200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_new_password_ends_the_tokens_made_before() {
    on_both(async |server| {
        let ann = server.session(&server.ann).await;
        let make = async || server.token(&server.p, &server.ann, Grant::ALL).await;
        let token = make().await;
        let asked = json!({"current": PASSWORD, "new": "another password"});
        let ended =
            server.request("PUT", "/api/v1/password").by(&ann).json(&asked).send().await.ok();
        assert_eq!(ended["tokens"], 1);
        server.get("/api/v1/session", &token).await.refused(401, "unauthenticated");
        assert_eq!(server.get("/api/v1/session", &ann).await.status, 200);

        let token = make().await;
        let person = server.ann.clone();
        server.call(move |service| service.set_password(&person, PASSWORD).unwrap()).await;
        for who in [&ann, &token] {
            server.get("/api/v1/session", who).await.refused(401, "unauthenticated");
        }
    })
    .await;
}

/// A whole sign-in through the provider, as a browser makes it.
async fn through_provider(server: &TestServer) -> Reply {
    let begun = server.get("/sign-in/provider", &As::Nobody).await;
    assert_eq!(begun.status, 303, "{}", begun.text());
    let cookie = begun.header("set-cookie").split(';').next().unwrap().to_owned();
    let back = visit(&begun.header("location").parse().unwrap()).await.unwrap();
    let path = format!("{}?{}", back.path(), back.query().unwrap());
    // The way back opens nothing in another browser.
    let reply = server.get(&path, &As::Nobody).await;
    assert_eq!((reply.status, reply.session()), (401, None));
    server.request("GET", &path).header("cookie", &cookie).send().await
}

/// How a server is set up whose people sign in through a provider.
fn with_provider(provider: &Provider, trusts_email: bool) -> impl Fn() -> Setup {
    fn make(address: std::net::SocketAddr, issuer: &str, trusts_email: bool) -> Oidc {
        Oidc::new(OidcSettings {
            issuer: issuer.to_owned(),
            client_id: CLIENT_ID.to_owned(),
            client_secret: Some(CLIENT_SECRET.to_owned()),
            redirect: format!("http://{address}/sign-in/callback"),
            scopes: Vec::new(),
            trusts_email,
        })
        .unwrap()
    }
    let issuer = provider.issuer().to_owned();
    let oidc: fn(std::net::SocketAddr, &str) -> Oidc = if trusts_email {
        |address, issuer| make(address, issuer, true)
    } else {
        |address, issuer| make(address, issuer, false)
    };
    move || Setup { oidc: Some(oidc), issuer: issuer.clone(), ..Setup::default() }
}

/// What the page that asks whether an account is the person's has in its form.
fn secret_in(page: &Reply) -> String {
    let text = page.text();
    let (_, rest) = text.split_once("name=\"secret\" value=\"").unwrap_or_else(|| panic!("{text}"));
    rest.split_once('"').unwrap().0.to_owned()
}

async fn confirm(server: &TestServer, page: &Reply, password: &str) -> Reply {
    assert_eq!(page.status, 200, "{}", page.text());
    assert_eq!(page.session(), None);
    let secret = secret_in(page);
    let form = [("secret", &*secret), ("password", password)];
    server.request("POST", "/sign-in/confirm").form(&form).send().await
}

#[tokio::test(flavor = "multi_thread")]
async fn people_sign_in_through_the_provider_if_their_address_is_known_and_verified() {
    let provider = Provider::start().await;
    on_both_with(with_provider(&provider, false), async |server| {
        provider.sign_in_as(Person { email_verified: Some(false), ..Person::with_email(ANN) });
        let reply = through_provider(server).await;
        assert_eq!((reply.status, reply.session()), (401, None), "{}", reply.text());
        provider.sign_in_as(Person::with_email("stranger@example.com"));
        let reply = through_provider(server).await;
        assert_eq!((reply.status, reply.session()), (401, None), "{}", reply.text());

        // One whose account nobody has used is in at once.
        server
            .call(|service| {
                service.add_person("new@example.com", None).unwrap();
            })
            .await;
        provider.sign_in_as(Person::with_email("new@example.com"));
        let reply = through_provider(server).await;
        assert_eq!((reply.status, reply.header("location")), (303, "/"), "{}", reply.text());

        // One whose account was used before says that it is theirs.
        provider.sign_in_as(Person::with_email(ANN));
        let page = through_provider(server).await;
        assert!(page.text().contains(ANN), "{}", page.text());
        let wrong = confirm(server, &page, "not the password").await;
        assert_eq!((wrong.status, wrong.session()), (401, None));
        let reply = confirm(server, &page, PASSWORD).await;
        assert_eq!((reply.status, reply.header("location")), (303, "/"), "{}", reply.text());
        let ann = As::Session(reply.session().unwrap());
        assert_eq!(server.get("/api/v1/session", &ann).await.ok()["person"], ANN);
        let again = confirm(server, &page, PASSWORD).await;
        assert_eq!((again.status, again.session()), (401, None), "it is confirmed once");
        // From now on it is the subject that tells who it is, whatever the address.
        let moved = Person { email: Some(server::BOB.into()), ..Person::with_email(ANN) };
        provider.sign_in_as(moved);
        let reply = through_provider(server).await;
        let who = As::Session(reply.session().unwrap());
        assert_eq!(server.get("/api/v1/session", &who).await.ok()["person"], ANN);

        let person = server.ann.clone();
        server.call(move |service| service.set_disabled(&person, true).unwrap()).await;
        let reply = through_provider(server).await;
        assert_eq!((reply.status, reply.session()), (401, None));
        // Many people sign in at once through one provider.
        provider.sign_in_as(Person::with_email("new@example.com"));
        for _ in 0..15 {
            assert_eq!(through_provider(server).await.status, 303);
        }
        let page = server.get("/sign-in/callback?error=access_denied", &As::Nobody).await;
        assert_eq!(page.status, 401);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_another_made_is_theirs_no_longer_once_its_person_comes() {
    let provider = Provider::start().await;
    on_both_with(with_provider(&provider, false), async |server| {
        for way in ["provider", "link"] {
            // The owner of another project makes an account in someone's name and keeps its password.
            let name = format!("chief-{way}@example.com");
            let quinn = server.session(&server.quinn).await;
            let asked = json!({"role": "admin", "name": name});
            let secret = invite(server, &quinn, asked).await["secret"].clone();
            let planted = accept(server, &secret, "").await;
            let planted = As::Session(planted.session().unwrap());
            let asked = json!({"name": "kept", "scopes": ["read"], "days": 300});
            let token = server.post("/api/v1/tokens", &planted, asked).await.ok();
            let token = As::Token(token["token"].as_str().unwrap().to_owned());
            // Nothing is theirs in the other project, though the name owns things there.
            server.get("/api/v1/conversations?project=p", &planted).await.refused(404, "not-found");

            let session = match way {
                "provider" => {
                    provider.sign_in_as(Person::with_email(&name));
                    let page = through_provider(server).await;
                    assert!(page.text().contains(&name), "{}", page.text());
                    confirm(server, &page, "").await.session().unwrap()
                }
                _ => {
                    let name = name.clone();
                    server
                        .call(move |service| {
                            let person = service.person(&name).unwrap();
                            server::session_of(service, &person)
                        })
                        .await
                }
            };
            for who in [&planted, &token] {
                server.get("/api/v1/session", who).await.refused(401, "unauthenticated");
            }
            let body = json!({"name": name, "password": PASSWORD});
            let reply = server.post("/api/v1/session", &As::Nobody, body).await;
            reply.refused(401, "unauthenticated");
            let chief = As::Session(session);
            assert_eq!(server.get("/api/v1/session", &chief).await.ok()["person"], name);
        }
    })
    .await;
}

/// What the operator reads of refused sign-ins: who, and how.
async fn refused_sign_ins(server: &TestServer) -> Vec<(String, String)> {
    let p = server.p.clone();
    server
        .call(move |service| {
            let local = retort_service::Caller::local(&p);
            let filter = retort_service::AuditFilter { only_refused: true, ..Default::default() };
            let entries = service.audit(&local, &filter, None, 100).unwrap().0;
            entries
                .into_iter()
                .filter(|entry| entry.action == retort_model::Action::SignIn)
                .map(|entry| (entry.person.unwrap_or_default(), entry.object))
                .collect()
        })
        .await
}

/// Report oidc-entra: Microsoft Entra ID sends no `email_verified`, Authentik sends false.
#[tokio::test(flavor = "multi_thread")]
async fn addresses_that_a_provider_does_not_verify_count_where_the_operator_trusts_them() {
    let provider = Provider::start().await;
    let new = "entra@example.com";
    for trusts in [false, true] {
        on_both_with(with_provider(&provider, trusts), async |server| {
            server
                .call(move |service| {
                    service.add_person(new, None).unwrap();
                })
                .await;
            for (email_verified, reason) in [
                (None, "did not say whether the e-mail address is verified"),
                (Some(false), "says that the e-mail address is not verified"),
            ] {
                provider.sign_in_as(Person { email_verified, ..Person::with_email(new) });
                let reply = through_provider(server).await;
                assert_eq!(reply.status, if trusts { 303 } else { 401 }, "{}", reply.text());
                if trusts {
                    continue;
                }
                let text = reply.text();
                assert!(text.contains("has not verified your e-mail address"), "{text}");
                let (who, how) = refused_sign_ins(server).await.remove(0);
                assert!(who == new && how.contains(reason), "{who} {how}");
                assert!(how.contains(provider.issuer()), "{how}");
            }
            // An account that someone uses takes its password, as the address may be chosen by the person who signs in.
            provider.sign_in_as(Person { email_verified: None, ..Person::with_email(ANN) });
            let page = through_provider(server).await;
            if trusts {
                let reply = confirm(server, &page, "").await;
                assert_eq!((reply.status, reply.session()), (401, None), "{}", reply.text());
                assert_eq!(confirm(server, &page, PASSWORD).await.status, 303);
            } else {
                assert_eq!(page.status, 401);
            }
            provider.sign_in_as(Person { email: None, ..Person::with_email("none@example.com") });
            assert_eq!(through_provider(server).await.status, 401);
            let (_, how) = refused_sign_ins(server).await.remove(0);
            assert!(how.contains("gave no e-mail address"), "{how}");
        })
        .await;
    }
}

/// Report oidc-entra: a person who came by an invitation or a link connects a sign-in that proves no address.
#[tokio::test(flavor = "multi_thread")]
async fn a_sign_in_that_proves_no_address_is_connected_by_who_is_here() {
    let provider = Provider::start().await;
    on_both_with(with_provider(&provider, false), async |server| {
        let entra = Person { email_verified: None, ..Person::with_email("a@tenant.example") };
        provider.sign_in_as(entra);
        assert_eq!(through_provider(server).await.status, 401);

        let ann = server.session(&server.ann).await;
        let As::Session(secret) = &ann else { panic!() };
        let csrf = csrf_of(secret);
        let connect = async |password: &str| {
            let form = [("csrf", &*csrf), ("current", password)];
            server.request("POST", "/settings/connect").by(&ann).form(&form).send().await
        };
        assert_eq!(connect("not the password").await.status, 422);
        let allowed = connect(PASSWORD).await;
        assert_eq!(allowed.status, 200, "{}", allowed.text());
        let asked = allowed.header("set-cookie").split(';').next().unwrap().to_owned();

        let to = "/sign-in/provider?to=/settings&connect=true";
        let begun = server.get(to, &ann).await;
        let kept = begun.header("set-cookie").split(';').next().unwrap().to_owned();
        let back = visit(&begun.header("location").parse().unwrap()).await.unwrap();
        let path = format!("{}?{}", back.path(), back.query().unwrap());
        // Another session's wish connects nothing.
        let bob = server.session(&server.bob).await;
        let cookies = format!("{kept}; {asked}");
        let foreign = server.request("GET", &path).by(&bob).header("cookie", &cookies).send().await;
        assert_eq!(foreign.status, 401, "{}", foreign.text());

        let begun = server.get(to, &ann).await;
        let kept = begun.header("set-cookie").split(';').next().unwrap().to_owned();
        let back = visit(&begun.header("location").parse().unwrap()).await.unwrap();
        let path = format!("{}?{}", back.path(), back.query().unwrap());
        let cookies = format!("{kept}; {asked}");
        let done = server.request("GET", &path).by(&ann).header("cookie", &cookies).send().await;
        let location = "/settings?connected=true";
        assert_eq!((done.status, done.header("location")), (303, location), "{}", done.text());
        assert!(
            server
                .get(location, &ann)
                .await
                .text()
                .contains("You can now sign in with your organization")
        );

        let reply = through_provider(server).await;
        let who = As::Session(reply.session().unwrap());
        assert_eq!(server.get("/api/v1/session", &who).await.ok()["person"], ANN);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_log_has_what_was_done_and_what_was_refused_and_is_for_owners() {
    on_both(async |server| {
        let [ann, bob, owner] = [
            server.session(&server.ann).await,
            server.session(&server.bob).await,
            server.session(&server.owner).await,
        ];
        let read = server.token(&server.p, &server.ann, &[Grant::Read]).await;
        let sign_in = json!({"name": ANN, "password": PASSWORD});
        let session = server.post("/api/v1/session", &As::Nobody, sign_in).await.session().unwrap();
        server.delete("/api/v1/session", &As::Session(session)).await.ok();
        let id = server.conversation(&server.ann).await;
        let one = format!("/api/v1/conversations/{id}");
        let title = json!({"title": "another"});
        server.request("PATCH", &one).by(&ann).json(&title).send().await.ok();
        server.request("PATCH", &one).by(&bob).json(&title).send().await.refused(404, "not-found");
        server
            .post(&format!("{one}/rounds"), &ann, json!([{"role": "user", "content": "x"}]))
            .await
            .ok();
        let set = server.dataset("set", json!({}), &ann).await;
        server.get(&format!("/api/v1/datasets/{set}/download"), &ann).await;
        server
            .get(&format!("/api/v1/datasets/{set}/download"), &bob)
            .await
            .refused(404, "not-found");
        let asked = json!({"dataset_name": "all"});
        server.post("/api/v1/project/export", &ann, asked.clone()).await.refused(403, "forbidden");
        let path = format!("/api/v1/datasets/{set}");
        server
            .request("PATCH", &path)
            .by(&ann)
            .json(&json!({"name": "new name"}))
            .send()
            .await
            .ok();
        server.delete(&path, &bob).await.refused(404, "not-found");
        server.delete(&path, &ann).await.ok();
        server.post("/api/v1/exports", &read, asked).await.refused(403, "insufficient-scope");
        let import = || server.request("POST", "/api/v1/imports?name=file.jsonl");
        import().by(&read).body("{}").send().await.refused(403, "insufficient-scope");
        import().by(&ann).body(server::said("imported").to_string()).send().await.ok();
        let shared = server.post("/api/v1/shares", &ann, json!({"conversation": id})).await;
        server
            .post("/api/v1/shares", &bob, json!({"conversation": id}))
            .await
            .refused(404, "not-found");
        server.delete(&format!("/api/v1/shares/{}", shared.id()), &ann).await.ok();
        let asked = json!({"name": "t", "scopes": ["read"], "days": 1});
        server.post("/api/v1/tokens", &ann, asked).await.ok();
        server.post("/api/v1/webhooks", &ann, json!({"url": "https://example.com/h"})).await.ok();
        let role = json!({"role": "admin"});
        let member = format!("/api/v1/members/{}", server.bob.id);
        server.request("PUT", &member).by(&bob).json(&role).send().await.refused(403, "forbidden");
        server.request("PUT", &member).by(&owner).json(&role).send().await.ok();
        server.post("/api/v1/invitations", &ann, role.clone()).await.refused(403, "forbidden");
        invite(server, &owner, role).await;
        let asked = json!({"current": PASSWORD, "new": "another password"});
        server.request("PUT", "/api/v1/password").by(&ann).json(&asked).send().await.ok();
        server.delete(&one, &ann).await.ok();
        server.delete(&format!("{one}?purge=true"), &ann).await.ok();
        for who in [&ann, &bob] {
            server.get("/api/v1/audit", who).await.refused(403, "forbidden");
            server.get("/api/v1/audit/export", who).await.refused(403, "forbidden");
        }
        let whole = server.get("/api/v1/audit/export", &owner).await;
        assert_eq!(whole.header("content-type"), "application/x-ndjson");
        let entries: Vec<Value> =
            whole.text().lines().map(|line| serde_json::from_str(line).unwrap()).collect();
        let done: BTreeSet<(&str, bool)> = entries
            .iter()
            .map(|one| (one["action"].as_str().unwrap(), one["refused"].as_bool().unwrap()))
            .collect();
        for action in [
            "sign-in", "sign-out", "password", "role", "invite", "token", "import", "edit",
            "delete", "purge", "export", "download", "dataset", "share", "webhook", "audit",
        ] {
            assert!(done.contains(&(action, false)), "{action}: {done:?}");
        }
        for action in
            ["edit", "download", "export", "dataset", "import", "share", "role", "invite", "audit"]
        {
            assert!(done.contains(&(action, true)), "{action} refused: {done:?}");
        }
        // Each tells who, from where, and by which request; newer ones stand first.
        let asked: Vec<&Value> = entries.iter().filter(|one| one["address"].is_string()).collect();
        assert!(asked.len() > 20 && asked.iter().all(|one| one["request"].is_string()));
        let ids: Vec<i64> = entries.iter().map(|one| one["id"].as_i64().unwrap()).collect();
        assert!(ids.is_sorted_by(|one, next| one > next), "{ids:?}");
        // What people said stands nowhere in it.
        assert!(!whole.text().contains("a question") && !whole.text().contains("battery"));
        let mut seen = Vec::new();
        let mut after = String::new();
        loop {
            let page = server.get(&format!("/api/v1/audit?limit=7{after}"), &owner).await.ok();
            seen.extend(each(&page["entries"], "id").into_iter().map(|id| id.as_i64().unwrap()));
            let Some(next) = page["next"].as_i64() else { break };
            after = format!("&after={next}");
        }
        assert!(seen.ends_with(&ids[1..]), "{seen:?} {ids:?}");
    })
    .await;
}
