//! Who someone is: names that are proved, invitations that end with their maker, secrets that stay out of addresses,
//! and people and projects that are deleted.

use retort_model::{Grant, ProjectRole};
use retort_service::Caller;
use serde_json::{Value, json};

use retort_testing_server::server::{
    self, ANN, As, PASSWORD, Reply, TestServer, each, on_both, on_sqlite,
};

async fn invite(server: &TestServer, who: &As, asked: Value) -> Value {
    let made = server.post("/api/v1/invitations", who, asked).await;
    assert_eq!(made.status, 201, "{}", made.text());
    made.json()["secret"].clone()
}

async fn accept(server: &TestServer, secret: &Value, name: &str) -> Reply {
    let asked = json!({"secret": secret, "name": name, "password": PASSWORD});
    server.post("/api/v1/invitations/accept", &As::Nobody, asked).await
}

async fn set_role(server: &TestServer, person: i64, role: Option<&str>) {
    let owner = server.session(&server.owner).await;
    let path = format!("/api/v1/members/{person}");
    let reply = match role {
        Some(role) => {
            server.request("PUT", &path).by(&owner).json(&json!({"role": role})).send().await
        }
        None => server.delete(&path, &owner).await,
    };
    assert_eq!(reply.status, 204, "{}", reply.text());
}

#[tokio::test(flavor = "multi_thread")]
async fn who_is_removed_demoted_or_disabled_does_not_come_back_by_their_own_invitation() {
    on_both(async |server| {
        for event in ["removed", "demoted", "disabled", "leaves"] {
            let admin = server.session(&server.admin).await;
            let own =
                invite(server, &admin, json!({"role": "admin", "name": server.admin.name})).await;
            let open = invite(server, &admin, json!({"role": "admin"})).await;
            match event {
                "removed" => set_role(server, server.admin.id, None).await,
                "demoted" => set_role(server, server.admin.id, Some("member")).await,
                "leaves" => {
                    let path = format!("/api/v1/members/{}", server.admin.id);
                    assert_eq!(server.delete(&path, &admin).await.status, 204);
                }
                _ => {
                    let person = server.admin.clone();
                    server.call(move |service| service.set_disabled(&person, true).unwrap()).await;
                }
            }
            let join =
                server.post("/api/v1/invitations/join", &admin, json!({"secret": own})).await;
            assert_eq!(join.status, 401, "{event}");
            accept(server, &open, "another me").await.refused(401, "unauthenticated");
            let (person, p) = (server.admin.clone(), server.p.clone());
            let role = server
                .call(move |service| {
                    service.set_disabled(&person, false).unwrap();
                    let members = service.members(&Caller::local(&p)).unwrap();
                    let role = members.iter().find(|one| one.person.id == person.id);
                    let role = role.map(|one| one.role);
                    service.admit(&Caller::local(&p), &person, ProjectRole::Admin).unwrap();
                    role
                })
                .await;
            let expect = match event {
                "demoted" => Some(ProjectRole::Member),
                "disabled" => Some(ProjectRole::Admin),
                _ => None,
            };
            assert_eq!(role, expect, "{event}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_open_invitation_takes_no_name_that_is_anothers() {
    on_both(async |server| {
        // The name of a run, of a conversation in another project, of an account, of the owner of the store.
        let (p, q) = (server.p.clone(), server.q.clone());
        server
            .call(move |service| {
                server::add_conversation(service, &q, "dave", "in another project");
                let run = json!({"request_id": "r", "copilot_id": "helper", "question": "secret?",
                    "answer": "here", "status": "success", "user_id": "carol"});
                let request = retort_service::IntakeRequest {
                    owner: Some("carol".into()),
                    ..Default::default()
                };
                let taken =
                    service.take_in(&Caller::local(&p), &request, run.to_string().into_bytes());
                assert_eq!(taken.unwrap().new, 1);
            })
            .await;
        let owner = server.session(&server.owner).await;
        let secret = invite(server, &owner, json!({"role": "member"})).await;
        let mut told = std::collections::BTreeSet::new();
        for name in ["carol", "dave", ANN, "local", "LOCAL", "nobody@x.org", " carol "] {
            let reply = accept(server, &secret, name).await;
            let problem = reply.refused(409, "conflict");
            assert_eq!(reply.session(), None);
            told.insert(problem["detail"].to_string());
        }
        assert_eq!(told.len(), 1, "nobody learns why: {told:?}");
        // The invitation is not used up, and one in that name lets in who has that name.
        assert_eq!(accept(server, &secret, "someone new").await.status, 201);
        let secret = invite(server, &owner, json!({"role": "member", "name": "carol"})).await;
        let carol = As::Session(accept(server, &secret, "").await.session().unwrap());
        let runs = server.get("/api/v1/runs", &carol).await.ok();
        assert_eq!(runs["runs"].as_array().unwrap().len(), 1, "{runs}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_others_import_under_a_chosen_name_is_seen_once_the_name_is_confirmed() {
    on_both(async |server| {
        let owner = server.session(&server.owner).await;
        let secret = invite(server, &owner, json!({"role": "member"})).await;
        let name = server.new_name("visitor");
        let accepted = accept(server, &secret, &name).await;
        let visitor = As::Session(accepted.session().unwrap());
        let (p, theirs) = (server.p.clone(), name.clone());
        server
            .call(move |service| {
                server::add_conversation(service, &p, &theirs, "later");
            })
            .await;
        server.post("/api/v1/conversations", &visitor, server::said("own")).await.ok();
        let seen = async || {
            let listed = server.get("/api/v1/conversations", &visitor).await.ok();
            listed["conversations"].as_array().unwrap().len()
        };
        assert_eq!(seen().await, 1, "only what they imported themselves");
        assert_eq!(server.get("/api/v1/conversations/later", &visitor).await.status, 404);
        let members = server.get("/api/v1/members", &owner).await.ok();
        let member = members["members"].as_array().unwrap().iter().find(|one| one["name"] == *name);
        let path = format!("/api/v1/members/{}/confirm", member.unwrap()["id"]);
        assert_eq!(server.post(&path, &owner, json!({})).await.status, 204);
        assert_eq!(seen().await, 2);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_secret_goes_to_the_server_in_a_form_and_never_in_an_address() {
    on_both(async |server| {
        let owner = server.session(&server.owner).await;
        let made =
            server.post("/api/v1/invitations", &owner, json!({"role": "member"})).await.json();
        let path = made["path"].as_str().unwrap();
        assert_eq!(path, format!("/invitation#{}", made["secret"].as_str().unwrap()));
        let csrf = retort_web::who::csrf_of(match &owner {
            As::Session(secret) => secret,
            _ => unreachable!(),
        });
        let form = [("csrf", &*csrf), ("role", "member")];
        let page =
            server.request("POST", "/project/invite").by(&owner).form(&form).send().await.text();
        // The link is shown whole.
        let whole = format!("http://{}/invitation#ri_", server.address);
        assert!(page.contains(&whole) || page.contains(&whole.replace('#', "&#35;")), "{page}");
        for page in ["/sign-in/link", "/invitation"] {
            let page = server.get(page, &As::Nobody).await;
            let text = page.text();
            assert!(
                text.contains("method=\"post\"") && text.contains("/assets/secret.js"),
                "{text}"
            );
            assert!(page.header("content-security-policy").contains("script-src 'self'"));
        }
        // Who is signed in joins by the page.
        let quinn = server.session(&server.quinn).await;
        let csrf = retort_web::who::csrf_of(match &quinn {
            As::Session(secret) => secret,
            _ => unreachable!(),
        });
        let secret = made["secret"].as_str().unwrap();
        let ask = server.request("POST", "/invitation/open").by(&quinn);
        let page = ask.form(&[("secret", secret)]).send().await.text();
        assert!(page.contains("Join as quinn@example.com"), "{page}");
        let ask = server.request("POST", "/invitation/join").by(&quinn);
        let reply = ask.form(&[("csrf", &*csrf), ("secret", secret)]).send().await;
        assert_eq!(reply.status, 303, "{}", reply.text());
        assert_eq!(server.get("/api/v1/conversations?project=p", &quinn).await.status, 200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_shown_once_and_no_list_gives_its_secret() {
    on_sqlite(async |server| {
        let ann = server.session(&server.ann).await;
        let id = server.conversation(&server.ann).await;
        let made = server.post("/api/v1/shares", &ann, json!({"conversation": id})).await.ok();
        let path = made["path"].as_str().unwrap().to_owned();
        let secret = path.strip_prefix("/s/").unwrap();
        assert_eq!(server.get(&path, &As::Nobody).await.status, 200);
        for page in ["/api/v1/shares", "/project/shares", &format!("/conversations/{id}")] {
            let text = server.get(page, &ann).await.text();
            assert!(!text.contains(secret), "{page}: {text}");
        }
        let file = server.folder().join("store.db");
        for file in [file.clone(), file.with_extension("db-wal")] {
            let bytes = std::fs::read(&file).unwrap_or_default();
            assert!(!bytes.windows(secret.len()).any(|some| some == secret.as_bytes()), "{file:?}");
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_an_admin_had_made_of_others_goes_with_the_role() {
    on_both(async |server| {
        server.conversation(&server.bob).await;
        let admin = server.session(&server.admin).await;
        let others = server.dataset("others", json!({}), &admin).await;
        let theirs = {
            let id = server.conversation(&server.admin).await;
            server.dataset("own", json!({"ids": [id]}), &admin).await
        };
        let status = async |id: i64| {
            let path = format!("/api/v1/datasets/{id}/download?project=p");
            server.get(&path, &admin).await.status
        };
        assert_eq!((status(others).await, status(theirs).await), (200, 200));
        set_role(server, server.admin.id, Some("member")).await;
        assert_eq!((status(others).await, status(theirs).await), (404, 200));
        let list = server.get("/api/v1/datasets", &admin).await.ok();
        assert_eq!(each(&list["datasets"], "name"), ["own"]);
        // Taken back as a plain member they see no more.
        set_role(server, server.admin.id, None).await;
        let (p, person) = (server.p.clone(), server.admin.clone());
        server
            .call(move |service| {
                service.admit(&Caller::local(&p), &person, ProjectRole::Member).unwrap();
            })
            .await;
        assert_eq!((status(others).await, status(theirs).await), (404, 200));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_deleted_with_what_acts_for_them_and_leaves_what_is_the_projects() {
    on_both(async |server| {
        let id = server.conversation(&server.ann).await;
        let ann = server.session(&server.ann).await;
        let dataset = server.dataset("hers", json!({}), &ann).await;
        let token = server.token(&server.p, &server.ann, Grant::ALL).await;
        let ask = server.request("DELETE", "/api/v1/account").by(&token).json(&json!({}));
        ask.send().await.refused(403, "forbidden");
        let ask = server
            .request("DELETE", "/api/v1/account")
            .by(&ann)
            .json(&json!({"password": "wrong"}));
        ask.send().await.refused(422, "choice");
        let gone = json!({"password": PASSWORD});
        let reply = server.request("DELETE", "/api/v1/account").by(&ann).json(&gone).send().await;
        assert_eq!(reply.status, 204, "{}", reply.text());
        for who in [&ann, &token] {
            server.get("/api/v1/session", who).await.refused(401, "unauthenticated");
        }
        let body = json!({"name": ANN, "password": PASSWORD});
        server.post("/api/v1/session", &As::Nobody, body).await.refused(401, "unauthenticated");
        let owner = server.session(&server.owner).await;
        let path = format!("/api/v1/conversations/{id}");
        assert_eq!(server.get(&path, &owner).await.ok()["summary"]["owner"], ANN);
        let (p, id) = (server.p.clone(), dataset);
        server.call(move |service| service.dataset(&Caller::local(&p), id).is_ok()).await;
        // The last owner does not go without another.
        let ask = server.request("DELETE", "/api/v1/account").by(&owner).json(&gone);
        let problem = ask.send().await.refused(409, "conflict");
        assert!(problem["detail"].as_str().unwrap().contains("`p`"), "{problem}");
        let found = server.call(|service| service.check().is_ok()).await;
        assert!(found);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_project_is_deleted_whole_by_its_owner_who_gives_its_name() {
    on_both(async |server| {
        server.conversation(&server.ann).await;
        let ann = server.session(&server.ann).await;
        let owner = server.session(&server.owner).await;
        let set = server.dataset("set", json!({}), &ann).await;
        let shared = server.conversation(&server.bob).await;
        let bob = server.session(&server.bob).await;
        let made = server.post("/api/v1/shares", &bob, json!({"conversation": shared})).await.ok();
        let run = json!({"request_id": "r", "copilot_id": "helper", "question": "q", "answer": "a",
            "status": "success", "nodes": [{"node": "n", "kind": "model-call", "output": "a"}]});
        server.post("/api/v1/runs", &ann, run).await.ok();
        let document = json!({"id": "d", "readable_filename": "a.pdf", "url": "https://a.example/d",
            "contexts": [{"text": "one"}]});
        server.post("/api/v1/documents", &owner, document).await.ok();
        let has = server.get("/api/v1/project", &owner).await.ok();
        let counts = ["members", "conversations", "runs", "documents", "datasets", "shares"];
        assert_eq!(counts.map(|name| has[name].clone()), [4, 2, 1, 1, 1, 1].map(|n| json!(n)));
        let delete = async |who: &As, name: &str| {
            let ask = server.request("DELETE", "/api/v1/project?project=p").by(who);
            ask.json(&json!({"name": name})).send().await
        };
        delete(&server.session(&server.admin).await, "p").await.refused(403, "forbidden");
        delete(&owner, "q").await.refused(422, "choice");
        assert!(server.objects.join("datasets").read_dir().unwrap().next().is_some());
        let reply = delete(&owner, "p").await;
        assert_eq!(reply.status, 204, "{}", reply.text());
        for who in [&owner, &ann] {
            server.get("/api/v1/conversations?project=p", who).await.refused(404, "not-found");
            assert_eq!(server.get("/api/v1/session", who).await.status, 200, "the account stays");
        }
        server.get(made["path"].as_str().unwrap(), &As::Nobody).await;
        assert_eq!(server.get(made["path"].as_str().unwrap(), &As::Nobody).await.status, 404);
        let left = server.objects.join("datasets").read_dir().map_or(0, Iterator::count);
        assert_eq!(left, 0, "dataset {set}");
        let projects = server.call(|service| service.projects().unwrap()).await;
        assert_eq!(projects.iter().map(|one| &*one.name).collect::<Vec<_>>(), ["q"]);
        let quinn = server.session(&server.quinn).await;
        assert_eq!(server.get("/api/v1/conversations", &quinn).await.status, 200);
        assert_eq!(seen_names(server).await, ["quinn@example.com"]);
    })
    .await;
}

/// The members of `q`.
async fn seen_names(server: &TestServer) -> Vec<String> {
    let q = server.q.clone();
    let members = server.call(move |service| service.members(&Caller::local(&q)).unwrap()).await;
    members.into_iter().map(|one| one.person.name).collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn an_account_that_came_by_an_invitation_is_added_elsewhere_once_its_person_has_come() {
    on_both(async |server| {
        // The owner of `q` makes an account in someone's name and keeps its password.
        let quinn = server.session(&server.quinn).await;
        let name = "chief@example.com";
        let secret = invite(server, &quinn, json!({"role": "member", "name": name})).await;
        let planted = As::Session(accept(server, &secret, "").await.session().unwrap());
        let p = server.p.clone();
        let refused = server
            .call(move |service| {
                let chief = service.person("chief@example.com").unwrap();
                service.admit(&Caller::local(&p), &chief, ProjectRole::Admin).unwrap_err()
            })
            .await;
        assert!(refused.to_string().contains("retort users link chief@example.com"), "{refused}");
        server.get("/api/v1/conversations?project=p", &planted).await.refused(404, "not-found");

        // Once they have come by a link, they are added, and the person who made the account has no way in.
        let p = server.p.clone();
        let session = server
            .call(move |service| {
                let chief = service.person("chief@example.com").unwrap();
                let session = server::session_of(service, &chief);
                service.admit(&Caller::local(&p), &chief, ProjectRole::Admin).unwrap();
                session
            })
            .await;
        server.get("/api/v1/session", &planted).await.refused(401, "unauthenticated");
        let body = json!({"name": name, "password": PASSWORD});
        let reply = server.post("/api/v1/session", &As::Nobody, body).await;
        reply.refused(401, "unauthenticated");
        let chief = As::Session(session);
        assert_eq!(server.get("/api/v1/conversations?project=p", &chief).await.status, 200);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_names_of_the_files_that_a_deleted_person_imported_are_forgotten() {
    on_both(async |server| {
        let ann = server.session(&server.ann).await;
        for body in [server::said("from a file").to_string(), "{no item".into()] {
            let imported =
                server.request("POST", "/api/v1/imports?name=zqfile-7391.jsonl").by(&ann);
            let job = imported.body(body).send().await.id();
            server.ended_job("imports", job, &ann).await;
        }
        let owner = server.session(&server.owner).await;
        let seen = async || {
            let jobs = server.get("/api/v1/imports?everyone=true", &owner).await.text();
            let audit = server.get("/api/v1/audit?action=import", &owner).await.text();
            (jobs, audit)
        };
        let (jobs, audit) = seen().await;
        assert!(jobs.contains("zqfile-7391"), "{jobs}");
        // The audit log never forgets, so it names imports by their job.
        assert!(audit.contains("job ") && !audit.contains("zqfile"), "{audit}");

        let ask = server.request("DELETE", "/api/v1/account").by(&ann);
        let reply = ask.json(&json!({"password": PASSWORD})).send().await;
        assert_eq!(reply.status, 204, "{}", reply.text());
        let (jobs, _) = seen().await;
        assert!(jobs.contains("deleted person") && !jobs.contains("zqfile"), "{jobs}");
        if server.folder().join("store.db").exists() {
            let bytes = std::fs::read(server.folder().join("store.db")).unwrap();
            assert!(!bytes.windows(6).any(|window| window == b"zqfile"));
        }
        let name = server.p.name.clone();
        let ask = server.request("DELETE", "/api/v1/project?project=p").by(&owner);
        let reply = ask.json(&json!({"name": name})).send().await;
        assert_eq!(reply.status, 204, "the plans of its jobs can still be read: {}", reply.text());
    })
    .await;
}
