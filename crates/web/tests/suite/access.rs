//! Who may do what: every endpoint, asked by every kind of caller, held against the table `tests/access.tsv`.

mod rows;

use std::collections::BTreeSet;
use std::fmt::Write;
use std::sync::Arc;
use std::time::Duration;

use retort_model::{Grant, Grants, ProjectRole};
use retort_service::Caller;
use retort_web::who::csrf_of;
use serde_json::{Value, json};

use retort_testing_server::server::{
    self, As, Database, Reply, Setup, TestServer, add_conversation, each, on_both, session_of,
    token_of,
};
use rows::{Body, Holder, ROWS, Stage};

/// The kinds of callers, in the order of the table's columns.
const CALLERS: [&str; 15] = [
    "anonymous",
    "expired",
    "revoked",
    "disabled",
    "stranger",
    "stranger in p",
    "other member",
    "member",
    "admin",
    "owner",
    "read",
    "write",
    "export",
    "share",
    "manage",
];

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/access.tsv");

const HEAD: &str = "\
# Who may do what: made and checked by tests/suite/access.rs; UPDATE_ACCESS=1 writes it anew.
# Items are held or made by `member`, a member of the project p; what is the project's, by `owner`.
# anonymous: without anything. expired, revoked: tokens that were good. disabled: a token of someone kept out.
# stranger: the owner of another project; stranger in p: the same, who names p in the query.
# other member: a member of p, on what another member has. read, write, export, share, manage: tokens of who
# holds the item, with that scope alone. `scope` and `role` say what was missing.
";

/// What stays the same of callers for the whole table.
struct Callers {
    expired: String,
    revoked: String,
    disabled: String,
}

impl Callers {
    async fn of(server: &TestServer) -> Self {
        let (p, ann) = (server.p.clone(), server.ann.clone());
        let all = Grants::ALL;
        let old = server
            .call({
                let (p, ann) = (p.clone(), ann.clone());
                move |service| token_of(service, &p, &ann, all, 1)
            })
            .await;
        server.clock.advance(Duration::from_secs(2 * 24 * 60 * 60));
        server
            .call(move |service| {
                let local = Caller::local(&p);
                let revoked = token_of(service, &p, &ann, all, 30);
                let newest = service.tokens(&local).unwrap().into_iter().next().unwrap();
                service.end_token(&local, newest.id).unwrap();
                let gone = service.add_person("gone@example.com", None).unwrap();
                service.admit(&local, &gone, ProjectRole::Member).unwrap();
                let disabled = token_of(service, &p, &gone, all, 30);
                service.set_disabled(&gone, true).unwrap();
                Self { expired: old, revoked, disabled }
            })
            .await
    }

    /// What the caller of a column shows. Sessions and tokens are made anew, as some requests end them.
    async fn shown(&self, server: &TestServer, column: usize, holder: Holder) -> As {
        let session = |person: &retort_service::Person| {
            let person = person.clone();
            server.call(move |service| session_of(service, &person))
        };
        match CALLERS[column] {
            "anonymous" => As::Nobody,
            "expired" => As::Token(self.expired.clone()),
            "revoked" => As::Token(self.revoked.clone()),
            "disabled" => As::Token(self.disabled.clone()),
            "stranger" | "stranger in p" => As::Session(session(&server.quinn).await),
            "other member" => As::Session(session(&server.bob).await),
            "member" => As::Session(session(&server.ann).await),
            "admin" => As::Session(session(&server.admin).await),
            "owner" => As::Session(session(&server.owner).await),
            _ => {
                let person = match holder {
                    Holder::Member => &server.ann,
                    Holder::Owner => &server.owner,
                };
                server.token(&server.p, person, &[Grant::ALL[column - 10]]).await
            }
        }
    }
}

/// A status as the table has it.
fn cell(reply: &Reply) -> String {
    let status = reply.status;
    if status != 403 || reply.headers["content-type"] != "application/problem+json" {
        return status.to_string();
    }
    let problem = reply.json();
    match problem["type"].as_str() {
        Some("/problems/insufficient-scope") => "403 scope".into(),
        _ if problem["role"].is_string() => "403 role".into(),
        _ => "403".into(),
    }
}

/// Every address that the server answers at, with its method.
fn endpoints() -> BTreeSet<String> {
    let description = serde_json::to_value(retort_web::api::routes().1).unwrap();
    let mut found = BTreeSet::new();
    for (path, item) in description["paths"].as_object().unwrap() {
        for method in item.as_object().unwrap().keys() {
            if ["get", "post", "put", "patch", "delete"].contains(&method.as_str()) {
                found.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    // The others are in the sources alone.
    let mut sources = vec![
        include_str!("../../src/api.rs").to_owned(),
        include_str!("../../src/operations.rs").to_owned(),
    ];
    let pages = concat!(env!("CARGO_MANIFEST_DIR"), "/src/pages");
    for page in std::fs::read_dir(pages).unwrap() {
        sources.push(std::fs::read_to_string(page.unwrap().path()).unwrap());
    }
    for asset in std::fs::read_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/assets")).unwrap() {
        let name = asset.unwrap().file_name();
        found.insert(format!("GET /assets/{}", name.to_str().unwrap()));
    }
    for route in sources.iter().flat_map(|text| text.split(".route(\"").skip(1)) {
        let (path, handlers) = route.split_once('"').unwrap();
        let handlers = handlers.lines().next().unwrap();
        for method in ["get", "post", "put", "patch", "delete"] {
            if handlers.contains(&format!(" {method}("))
                || handlers.contains(&format!(".{method}("))
            {
                found.insert(format!("{} {path}", method.to_uppercase()));
            }
        }
    }
    found
}

#[test]
fn every_endpoint_has_a_row() {
    let rows: BTreeSet<String> = ROWS.iter().map(|row| row.endpoint.to_owned()).collect();
    let all = endpoints();
    let missing: Vec<_> = all.difference(&rows).collect();
    let gone: Vec<_> = rows.difference(&all).collect();
    assert!(missing.is_empty() && gone.is_empty(), "without a row: {missing:?}; gone: {gone:?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn everyone_may_do_what_the_table_says_and_nothing_else() {
    let mut tables = Vec::new();
    for database in [Database::Sqlite, Database::Postgres] {
        let setup = Setup { has_worker: false, ..Setup::default() };
        let Some(server) = TestServer::start(database, setup).await else { continue };
        tables.push((database, table(&server).await));
        server.stop().await;
    }
    if std::env::var_os("UPDATE_ACCESS").is_some() {
        std::fs::write(TABLE, &tables[0].1).unwrap();
    }
    let expect = std::fs::read_to_string(TABLE).unwrap_or_default();
    for (database, table) in tables {
        let changed: Vec<String> = table
            .lines()
            .filter(|line| !expect.lines().any(|other| other == *line))
            .map(str::to_owned)
            .collect();
        assert!(
            table == expect,
            "{database:?}: the table has other rows; if they are right, UPDATE_ACCESS=1 keeps them:\n{}",
            changed.join("\n")
        );
    }
}

async fn table(server: &TestServer) -> String {
    let callers = Callers::of(server).await;
    let stage = server
        .call({
            let projects = [&server.p, &server.q].map(Clone::clone);
            let people = [&server.ann, &server.bob, &server.admin, &server.owner, &server.quinn];
            let people = people.map(Clone::clone);
            let service = Arc::clone(&server.service);
            move |_| Stage::new(service, projects, people)
        })
        .await;
    let stage = Arc::new(stage);
    let mut table = format!("{HEAD}endpoint\t{}\n", CALLERS.join("\t"));
    for row in ROWS {
        let is_read = row.endpoint.starts_with("GET ");
        let mut asked = None;
        let note = if row.note.is_empty() { String::new() } else { format!(" ({})", row.note) };
        write!(table, "{}{note}", row.endpoint).unwrap();
        for (column, caller) in CALLERS.into_iter().enumerate() {
            if asked.is_none() || !is_read {
                let (stage, make) = (Arc::clone(&stage), row.make);
                asked = Some(server.call(move |_| make(&stage)).await);
            }
            let asked = asked.as_ref().unwrap();
            let who = callers.shown(server, column, row.holder).await;
            let mut path = asked.path.clone();
            if caller == "stranger in p" {
                path = format!("{path}{}project=p", if path.contains('?') { "&" } else { "?" });
            }
            let method = row.endpoint.split(' ').next().unwrap();
            let mut ask = server.request(method, &path).by(&who);
            ask = match &asked.body {
                Body::None => ask,
                Body::Json(value) => ask.json(value),
                Body::Form(fields) => {
                    let csrf = match &who {
                        As::Session(secret) => csrf_of(secret),
                        _ => "none".into(),
                    };
                    let fields: Vec<(&str, &str)> = fields
                        .iter()
                        .map(|(name, value)| {
                            (*name, if value == "CSRF" { &csrf } else { &**value })
                        })
                        .collect();
                    ask.form(&fields)
                }
            };
            let reply = ask.send().await;
            assert!(reply.status < 500, "{} {}: {}", row.endpoint, caller, reply.text());
            write!(table, "\t{}", cell(&reply)).unwrap();
            if !is_read {
                let stage = Arc::clone(&stage);
                server.call(move |_| stage.clear(row.endpoint)).await;
            }
        }
        table.push('\n');
    }
    table
}

/// Ids of a list of the API.
async fn ids(server: &TestServer, who: &As, path: &str, field: &str, id: &str) -> BTreeSet<String> {
    let list = server.get(path, who).await.ok();
    each(&list[field], id)
        .into_iter()
        .map(|id| id.as_str().map_or(id.to_string(), Into::into))
        .collect()
}

#[tokio::test(flavor = "multi_thread")]
async fn lists_hold_what_their_caller_may_see_and_nothing_else() {
    on_both(async |server| {
        server
            .call({
                let (p, q) = (server.p.clone(), server.q.clone());
                let [ann, bob] = [&server.ann, &server.bob].map(|person| person.name.clone());
                move |service| {
                    for number in 0..3 {
                        add_conversation(service, &p, &ann, &format!("of-ann-{number}"));
                        add_conversation(service, &p, &bob, &format!("of-bob-{number}"));
                    }
                    add_conversation(service, &p, "someone else", "of-someone");
                    add_conversation(service, &q, "quinn@example.com", "of-quinn");
                    // Known in both projects, to different people.
                    add_conversation(service, &p, &bob, "of-both");
                    add_conversation(service, &q, "quinn@example.com", "of-both");
                }
            })
            .await;
        let people = [&server.ann, &server.bob, &server.admin, &server.owner, &server.quinn]
            .map(Clone::clone);
        let mut callers = Vec::new();
        for person in &people {
            let who = server.session(person).await;
            let name = format!("set of {}", person.name.split('@').next().unwrap());
            server.dataset(&name, json!({}), &who).await.to_string();
            let imported = server.request("POST", "/api/v1/imports?name=more").by(&who);
            let imported = imported.body(server::said(&format!("more of {name}")).to_string());
            let job = imported.send().await.id();
            server.ended_job("imports", job, &who).await;
            let list = server.get("/api/v1/conversations?search=of-", &who).await.ok();
            let first = list["conversations"][0]["id"].as_str().unwrap().to_owned();
            server.post("/api/v1/shares", &who, json!({"conversation": first})).await.ok();
            let asked = json!({"name": "mine", "scopes": ["read"], "days": 3});
            server.post("/api/v1/tokens", &who, asked).await.ok();
            let asked = json!({"url": "https://example.com/hook"});
            server.post("/api/v1/webhooks", &who, asked).await.ok();
            callers.push((person.name.clone(), who));
        }

        // Each list, the address of one of its items, and what names an item.
        let lists = [
            ("/api/v1/conversations?limit=1000", "conversations", "/api/v1/conversations/{}", "id"),
            ("/api/v1/exports", "jobs", "/api/v1/exports/{}", "id"),
            ("/api/v1/imports", "jobs", "/api/v1/imports/{}", "id"),
            ("/api/v1/datasets", "datasets", "/api/v1/datasets/{}", "id"),
            ("/api/v1/webhooks", "webhooks", "/api/v1/webhooks/{}/deliveries", "id"),
        ];
        for (path, field, one, id) in lists {
            let mut seen = Vec::new();
            for (_, who) in &callers {
                seen.push(ids(server, who, path, field, id).await);
            }
            let all: BTreeSet<String> = seen.iter().flatten().cloned().collect();
            for ((name, who), seen) in callers.iter().zip(&seen) {
                assert!(!seen.is_empty(), "{name} {path}");
                // Owners look at everyone's jobs and datasets.
                let everyone = format!("{path}?everyone=true");
                let oversees = server.get(&everyone, who).await.status == 200;
                let overseen = match oversees {
                    true => ids(server, who, &everyone, field, id).await,
                    false => BTreeSet::new(),
                };
                for id in &all {
                    let may = seen.contains(id) || overseen.contains(id);
                    let expect = if may { 200 } else { 404 };
                    let status = server.get(&one.replace("{}", id), who).await.status;
                    // An id may be known in both projects.
                    assert_eq!(status, expect, "{name}: {path} {id}");
                }
            }
        }

        for (name, who) in &callers {
            let is_member = [server::ANN, server::BOB].contains(&name.as_str());
            let list = server.get("/api/v1/conversations", who).await.ok();
            if is_member {
                let list = list["conversations"].as_array().unwrap();
                let is_theirs = |one: &Value| {
                    let owner = &one["owner"];
                    owner == name || (owner.is_null() && one["importer"] == *name)
                };
                assert!(list.iter().all(is_theirs), "{name}: {list:?}");
            }
            // Filters narrow what may be seen, and never widen it.
            for filter in [
                "search=of-",
                "id=of-bob-1&id=of-quinn&id=of-ann-1",
                "status=active",
                "owner=bob@example.com&owner=quinn@example.com",
                "turns=0..&calls=0..&has_error=false",
            ] {
                let found = ids(
                    server,
                    who,
                    &format!("/api/v1/conversations?{filter}"),
                    "conversations",
                    "id",
                )
                .await;
                let whole =
                    ids(server, who, "/api/v1/conversations?limit=1000", "conversations", "id")
                        .await;
                assert!(found.is_subset(&whole), "{name} {filter}: {found:?}");
                let path = format!("/api/v1/conversations/count?{filter}");
                assert_eq!(
                    server.get(&path, who).await.ok()["total"],
                    found.len(),
                    "{name} {filter}"
                );
            }
            // What is listed by its maker is one's own.
            for (path, field, maker) in [
                ("/api/v1/datasets", "datasets", "creator"),
                ("/api/v1/tokens", "tokens", "person"),
                ("/api/v1/shares", "shares", "creator"),
            ] {
                let list = server.get(path, who).await.ok();
                let makers = each(&list[field], maker);
                let is_wide = ["admin@example.com", "owner@example.com"].contains(&name.as_str());
                if field == "shares" && is_member {
                    // Who administers the project may have shared a conversation of theirs.
                    let path = "/api/v1/conversations?limit=1000";
                    let mine = ids(server, who, path, "conversations", "id").await;
                    let shared = each(&list[field], "conversation");
                    assert!(shared.iter().all(|id| mine.contains(id.as_str().unwrap())), "{list}");
                } else if !is_wide || field == "datasets" {
                    assert!(makers.iter().all(|maker| *maker == name), "{name} {path}: {makers:?}");
                } else {
                    let stranger = json!("quinn@example.com");
                    assert!(
                        makers.len() >= 4 && !makers.contains(&&stranger),
                        "{name}: {makers:?}"
                    );
                }
            }
            let notices = server.get("/api/v1/notices", who).await.ok();
            let own = format!("set of {}", name.split('@').next().unwrap());
            assert_eq!(each(&notices["notices"], "name"), [&json!(own)], "{name}");
        }

        // The datasets that hold a conversation are one's own, too.
        let (_, ann) = &callers[0];
        let (_, admin) = &callers[2];
        let found = server.get("/api/v1/conversations/of-ann-1/datasets", ann).await.ok();
        assert_eq!(each(&found["datasets"], "name"), [&json!("set of ann")]);
        let found = server.get("/api/v1/conversations/of-ann-1/datasets", admin).await.ok();
        assert_eq!(each(&found["datasets"], "name"), [&json!("set of admin")]);
        server.get("/api/v1/conversations/of-bob-1/datasets", ann).await.refused(404, "not-found");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_foreign_id_among_many_refuses_all_and_nothing_is_done() {
    on_both(async |server| {
        let (own, foreign) =
            (server.conversation(&server.ann).await, server.conversation(&server.bob).await);
        let ann = server.session(&server.ann).await;
        let ids = json!([own, foreign]);
        for change in [
            json!({"selection": {"ids": ids}, "change": {"title": "taken"}}),
            json!({"selection": {"ids": ids}, "change": {"add_tags": ["taken"]}}),
            json!({"selection": {"ids": ids}, "change": {"status": "deleted"}}),
            json!({"selection": {"ids": ids}, "purge": true}),
            json!({"selection": {"ids": ids},
                "change": {"title": "taken", "add_tags": ["taken"], "status": "favorite"}}),
        ] {
            let reply = server.post("/api/v1/conversations/change", &ann, change.clone()).await;
            let problem = reply.refused(404, "not-found");
            assert!(problem["detail"].as_str().unwrap().contains(&foreign), "{problem}");
        }
        let asked = json!({"dataset_name": "both", "selection": {"ids": ids}});
        server.post("/api/v1/exports", &ann, asked).await.refused(404, "not-found");
        let exports = server.get("/api/v1/exports", &ann).await.ok();
        assert_eq!(exports["jobs"], json!([]));

        let owner = server.session(&server.owner).await;
        for id in [&own, &foreign] {
            let path = format!("/api/v1/conversations/{id}");
            let summary = server.get(&path, &owner).await.ok()["summary"].clone();
            assert_eq!(summary["title"], format!("Title of {id}"));
            assert_eq!((&summary["tags"], &summary["status"]), (&json!([]), &json!("active")));
        }
        // The same by who may see both is done.
        let asked = json!({"dataset_name": "both", "selection": {"ids": ids}});
        assert_eq!(server.post("/api/v1/exports", &owner, asked).await.status, 202);
    })
    .await;
}

/// The attack review, finding 13.
#[tokio::test(flavor = "multi_thread")]
async fn an_import_by_a_member_tells_nothing_of_others_ids_and_takes_none() {
    on_both(async |server| {
        let (ann, owner) = (server.session(&server.ann).await, server.session(&server.owner).await);
        let theirs = server.conversation(&server.bob).await;
        let post = async |who: &As, path: &str, item: Value| -> Value {
            server.request("POST", path).by(who).json(&item).send().await.ok()
        };
        let said = |id: &str, text: &str| {
            json!({"id": id, "updated_at": "2999-01-01T00:00:00Z",
                "messages": [{"role": "user", "content": text}]})
        };
        // What is there looks as what is not, whatever the source.
        let (free, mut outcomes) = (server.new_name("free"), Vec::new());
        for id in [&theirs, &free] {
            for from in ["openai", "sharegpt"] {
                let item = match from {
                    "openai" => said(id, "mine"),
                    _ => json!({"id": id, "conversations": [{"from": "human", "value": "mine"}]}),
                };
                let path = format!("/api/v1/conversations?from={from}");
                let mut taken = post(&ann, &path, item).await;
                taken["conversations"][0]["id"] = json!("");
                outcomes.push(taken);
            }
        }
        assert_eq!((&outcomes[0], &outcomes[1]), (&outcomes[2], &outcomes[3]));
        let run = |id: &str| {
            json!({"request_id": id, "copilot_id": "helper", "question": "q", "answer": "a", "status": "success"})
        };
        let run_id = server.new_name("run");
        let path = "/api/v1/runs?owner=bob@example.com";
        assert_eq!(post(&owner, path, run(&run_id)).await["new"], 1);
        for id in [&run_id, &free] {
            assert_eq!(post(&ann, "/api/v1/runs", run(id)).await["new"], 1);
        }
        // The owner's look at it stays plain.
        let path = format!("/api/v1/conversations/{theirs}");
        let found = server.get(&path, &owner).await.ok();
        assert_eq!(found["summary"]["owner"], server::BOB);
        server.get(&format!("/api/v1/conversations/{free}"), &owner).await.ok();
        let found = server.get(&format!("/api/v1/runs/{run_id}"), &owner).await.ok();
        assert_eq!(found["summary"]["owner"], "bob@example.com");
        // An id that she took first is the project's all the same, once it is imported.
        let squatted = server.new_name("squatted");
        post(&ann, "/api/v1/conversations", said(&squatted, "forged")).await;
        let real = with_owner(said(&squatted, "real"), server::BOB);
        assert_eq!(post(&owner, "/api/v1/conversations", real).await["new"], 1);
        let found = server.get(&format!("/api/v1/conversations/{squatted}"), &owner).await.ok();
        assert!(found.to_string().contains("real") && !found.to_string().contains("forged"));
        let hers = server.get(&format!("/api/v1/conversations/{squatted}"), &ann).await.ok();
        assert!(hers.to_string().contains("forged"));
    })
    .await;
}

fn with_owner(mut item: Value, owner: &str) -> Value {
    item["owner"] = json!(owner);
    item
}

/// Importing items that name no owner makes nobody their owner, through any interface.
#[tokio::test(flavor = "multi_thread")]
async fn an_importer_is_no_owner() {
    on_both(async |server| {
        let (ann, owner) = (server.session(&server.ann).await, server.session(&server.owner).await);
        for (who, name) in [(&ann, server::ANN), (&owner, &*server.owner.name)] {
            let id = server.new_name("anonymous");
            let item = json!({"id": id, "messages": [{"role": "user", "content": "q"}]});
            server.request("POST", "/api/v1/conversations").by(who).json(&item).send().await.ok();
            let found = server.get(&format!("/api/v1/conversations/{id}"), who).await.ok();
            assert_eq!(
                (&found["summary"]["owner"], &found["summary"]["importer"]),
                (&Value::Null, &json!(name))
            );
            assert_eq!(found["conversation"]["owner"], Value::Null);
            // Another one's import of the same takes nothing over.
            let again = server
                .request("POST", "/api/v1/conversations")
                .by(&owner)
                .json(&item)
                .send()
                .await
                .ok();
            assert_eq!(again["same"], 1, "{again}");
            let found = server.get(&format!("/api/v1/conversations/{id}"), who).await.ok();
            assert_eq!(found["summary"]["importer"], name);
        }
        // Another conversation under an id that is in use is told of at once.
        let other =
            |text: &str| json!({"id": "in-use", "messages": [{"role": "user", "content": text}]});
        let post = async |path: &str, item: &Value| {
            server.request("POST", path).by(&owner).json(item).send().await
        };
        post("/api/v1/conversations", &other("one")).await.ok();
        let problem =
            post("/api/v1/conversations", &other("another")).await.refused(409, "conflict");
        assert!(problem["detail"].as_str().unwrap().contains("in-use"), "{problem}");
        let apart = post("/api/v1/conversations?namespace=second", &other("another")).await.ok();
        assert_eq!(apart["conversations"][0]["id"], "second/in-use");
        let replaced = post("/api/v1/conversations?replace=true", &other("another")).await.ok();
        assert_eq!(replaced["updated"], 1);
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_answer_tells_what_was_passed_over_and_what_was_not_understood() {
    on_both(async |server| {
        let owner = server.session(&server.owner).await;
        let strange = json!({"id": "strange", "messages": [{"role": "act", "content": "!"}]});
        let mut archive = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
        for (name, text) in [("a.json", strange.to_string()), ("b.7z", "7z".to_owned())] {
            archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
            std::io::Write::write_all(&mut archive, text.as_bytes()).unwrap();
        }
        let archive = archive.finish().unwrap().into_inner();
        let post = async |path: &str| {
            server.request("POST", path).by(&owner).body(archive.clone()).send().await.ok()
        };
        let looked = post("/api/v1/conversations?dry_run=true").await;
        assert_eq!((&looked["new"], &looked["dry_run"]), (&json!(1), &json!(true)));
        let done = post("/api/v1/conversations").await;
        assert_eq!((&done["new"], &done["dry_run"]), (&json!(1), &json!(false)));
        assert_eq!(
            done["warnings"],
            json!([{"kind": "not-understood", "count": 1, "first": ["strange: messages[0].role=act"]}])
        );
        let passed_over = &done["passed_over"][0];
        assert_eq!((&passed_over["kind"], &passed_over["count"]), (&json!("not-a-history"), &json!(1)));
        assert!(passed_over["first"][0].as_str().unwrap().contains("b.7z"), "{done}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_filter_never_reaches_what_is_not_listed() {
    on_both(async |server| {
        let (own, foreign) =
            (server.conversation(&server.ann).await, server.conversation(&server.bob).await);
        let ann = server.session(&server.ann).await;
        let change = json!({"selection": {"search": ["Title"]}, "change": {"status": "deleted"}});
        let changed = server.post("/api/v1/conversations/change", &ann, change).await.ok();
        assert_eq!(changed["changed"], 1);
        let owner = server.session(&server.owner).await;
        for (id, status) in [(&own, "deleted"), (&foreign, "active")] {
            let found = server.get(&format!("/api/v1/conversations/{id}"), &owner).await.ok();
            assert_eq!(found["summary"]["status"], status);
        }
        let taken: Value = server
            .request("POST", "/api/v1/conversations")
            .by(&ann)
            .json(&json!({"id": foreign, "messages": [{"role": "user", "content": "mine now"}]}))
            .send()
            .await
            .ok();
        // An id that someone else has is as new to her as one that nobody has, and hers alone to see.
        assert_eq!((&taken["new"], &taken["foreign"]), (&json!(1), &json!(0)));
        let hers = server.get(&format!("/api/v1/conversations/{foreign}"), &ann).await.ok();
        assert!(hers.to_string().contains("mine now"));
        assert_eq!(hers["summary"]["importer"], server::ANN);
        let found = server.get(&format!("/api/v1/conversations/{foreign}"), &owner).await.ok();
        assert_eq!(found["summary"]["owner"], server::BOB);
        assert!(!found.to_string().contains("mine now"));
    })
    .await;
}
