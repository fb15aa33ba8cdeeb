//! How long what lets someone in or acts for them lives: every kind of it, through everything that can happen to its
//! person, held against the table `tests/lives.tsv`.

use std::fmt::Write;
use std::sync::atomic::AtomicBool;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};

use retort_model::{ConversationFilter, Grants, ItemFilter, ItemKind, JobKind, ProjectRole};
use retort_service::{
    Caller, ExportRequest, Identity, IntakeRequest, Nobody, Observer, Origin, Person, Progress,
    Service, ShareRequest, ThroughProvider, Wanted,
};
use retort_web::wire::Options;
use serde_json::json;

use retort_testing_server::server::{
    As, BOB, Database, PASSWORD, Setup, TestServer, add_conversation, caller_of, said, session_of,
    token_of,
};

const TABLE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/lives.tsv");

const HEAD: &str = "\
# What lives on when something happens to the person, an admin, who has or made it: made and checked by
# tests/suite/lives.rs; UPDATE_ACCESS=1 writes it anew.
# demoted: to member. password: changed by themselves, from another session. signed out: everywhere. reset: the operator
# set another password. taken over: by the first sign-in through a provider, without the account's password.
# everyone's, own: the items that it still shows. account: it signs in, and the project is not there.
# works: as before. ends: it opens or does nothing any more.
";

const EVENTS: [&str; 9] = [
    "demoted",
    "removed",
    "left",
    "disabled",
    "password",
    "signed out",
    "reset",
    "taken over",
    "deleted",
];

const KINDS: [&str; 15] = [
    "session",
    "API token",
    "one-time link",
    "invitation as member",
    "invitation as admin",
    "public link to their own",
    "public link to another's",
    "queued export of their own",
    "queued export of everyone's",
    "running export of their own",
    "running export of everyone's",
    "queued import",
    "dataset of their own",
    "dataset of everyone's",
    "webhook",
];

/// Someone to whom something happens.
struct Life {
    number: usize,
    person: Person,
    caller: Caller,
    /// A conversation that is theirs.
    own: String,
}

/// What is looked at, before and after.
enum Thing {
    In(As),
    Link(String),
    Invitation(String),
    Share(String),
    Job(i64),
    /// A job that a worker has begun and that waits for a sign.
    Running(Sender<()>, std::thread::JoinHandle<bool>),
    Dataset(i64),
    /// Where it is told to, and the export that is.
    Webhook(i64, i64),
}

/// Holds the work up at its first progress until it may go on.
struct Gate {
    reached: Mutex<Option<Sender<()>>>,
    goes_on: Mutex<Receiver<()>>,
}

impl Observer for Gate {
    fn progress(&self, _: Progress) {
        if let Some(reached) = self.reached.lock().unwrap().take() {
            reached.send(()).unwrap();
            self.goes_on.lock().unwrap().recv().unwrap();
        }
    }
}

impl Life {
    fn begin(service: &Service, server: &Given, number: usize) -> Self {
        let name = format!("admin-{number}@example.com");
        let person = service.add_person(&name, None).unwrap();
        service.admit(&Caller::local(&server.p), &person, ProjectRole::Admin).unwrap();
        let caller = caller_of(service, &server.p, &person);
        let own = format!("own-{number}");
        add_conversation(service, &server.p, &name, &own);
        Self { number, person, caller, own }
    }

    fn export(&self, service: &Service, name: &str, is_own: bool) -> i64 {
        let plan = Options::history(Some("jsonl")).unwrap();
        let name = format!("{name}-{}", self.number);
        let dataset = plan.plan(&name, ItemKind::Conversation).unwrap();
        let mut selection = ConversationFilter::default();
        if is_own {
            selection.ids = [self.own.clone()].into();
        }
        let selection = ItemFilter::from(selection);
        let request = ExportRequest { selection, dataset };
        service.submit_export(&self.caller, &request).unwrap()
    }

    fn make(&self, service: &Arc<Service>, given: &Given, kind: &str) -> Thing {
        let is_own = kind.ends_with("their own");
        match kind {
            "session" => Thing::In(As::Session(session_of(service, &self.person))),
            "API token" => {
                Thing::In(As::Token(token_of(service, &given.p, &self.person, Grants::ALL, 30)))
            }
            "one-time link" => Thing::Link(service.sign_in_link(&self.person).unwrap()),
            "invitation as member" | "invitation as admin" => {
                let role =
                    if kind.ends_with("admin") { ProjectRole::Admin } else { ProjectRole::Member };
                Thing::Invitation(service.invite(&self.caller, role, None).unwrap().1)
            }
            "public link to their own" | "public link to another's" => {
                let conversation = if is_own { self.own.clone() } else { given.others.clone() };
                let request = ShareRequest { conversation, ..ShareRequest::default() };
                Thing::Share(service.share(&self.caller, &request).unwrap().1)
            }
            "queued export of their own" | "queued export of everyone's" => {
                Thing::Job(self.export(service, "queued", is_own))
            }
            "running export of their own" | "running export of everyone's" => {
                let id = self.export(service, "running", is_own);
                let (reached, waits) = channel();
                let (go, goes_on) = channel();
                let gate =
                    Gate { reached: Mutex::new(Some(reached)), goes_on: Mutex::new(goes_on) };
                let service = Arc::clone(service);
                let working = std::thread::spawn(move || {
                    let running = AtomicBool::new(false);
                    matches!(
                        service.work_one(Wanted::One(id), &gate, &running),
                        Ok(Some((_, Ok(_))))
                    )
                });
                waits.recv().unwrap();
                Thing::Running(go, working)
            }
            "queued import" => {
                let mut upload = service.upload(&self.caller, "upload").unwrap();
                let item = said(&format!("imported-{}", self.number)).to_string();
                std::io::Write::write_all(&mut upload, item.as_bytes()).unwrap();
                let request = IntakeRequest::default();
                Thing::Job(service.submit_upload(&self.caller, upload, &request).unwrap())
            }
            "dataset of their own" | "dataset of everyone's" => {
                let id = self.export(service, "made", is_own);
                assert!(works(service, id));
                let job = service.job_of(&self.caller, JobKind::Export, id).unwrap();
                Thing::Dataset(job.dataset.unwrap())
            }
            _ => {
                let url = format!("https://example.com/hook-{}", self.number);
                let webhook = service.add_webhook(&self.caller, &url, None, None).unwrap();
                Thing::Webhook(webhook.id, self.export(service, "told", true))
            }
        }
    }

    fn meet(&self, service: &Service, given: &Given, event: &str) {
        let local = Caller::local(&given.p);
        let origin = Origin::default();
        let signed = || service.by_session(&session_of(service, &self.person)).unwrap().unwrap();
        match event {
            "demoted" => {
                service.set_role(&local, self.person.id, Some(ProjectRole::Member)).unwrap();
            }
            "removed" => service.set_role(&local, self.person.id, None).unwrap(),
            "left" => service.set_role(&self.caller, self.person.id, None).unwrap(),
            "disabled" => service.set_disabled(&self.person, true).unwrap(),
            "password" => {
                service.change_password(&signed(), None, PASSWORD, &origin).unwrap();
            }
            "signed out" => drop(service.sign_out_everywhere(&signed(), &origin).unwrap()),
            "reset" => drop(service.set_password(&self.person, PASSWORD).unwrap()),
            "taken over" => {
                let identity = Identity {
                    issuer: "https://accounts.example.org",
                    subject: &self.person.name,
                    email: Some(&self.person.name),
                    email_verified: Some(true),
                    trusts_email: false,
                };
                let came = service.sign_in_by_identity(&identity, &origin).unwrap();
                let ThroughProvider::Confirm { secret, .. } = came else { panic!("{came:?}") };
                service.confirm_identity(&secret, None, &origin).unwrap();
            }
            _ => service.delete_person(&self.person).unwrap(),
        }
    }

    async fn look(&self, server: &TestServer, thing: Thing) -> String {
        let works = |is: bool| if is { "works" } else { "ends" }.to_owned();
        match thing {
            Thing::In(who) => self.sees(server, &who).await,
            Thing::Link(secret) => {
                let asked = json!({"secret": secret});
                let reply = server.post("/api/v1/session/link", &As::Nobody, asked).await;
                match reply.session() {
                    Some(session) => self.sees(server, &As::Session(session)).await,
                    None => works(false),
                }
            }
            Thing::Invitation(secret) => {
                let name = format!("newcomer-{}", self.number);
                let asked = json!({"secret": secret, "name": name, "password": PASSWORD});
                let reply = server.post("/api/v1/invitations/accept", &As::Nobody, asked).await;
                works(reply.status == 201)
            }
            Thing::Share(secret) => {
                works(server.get(&format!("/s/{secret}"), &As::Nobody).await.status == 200)
            }
            Thing::Job(id) => works(server.call(move |service| self::works(service, id)).await),
            Thing::Running(go, working) => {
                go.send(()).unwrap();
                works(tokio::task::spawn_blocking(|| working.join().unwrap()).await.unwrap())
            }
            Thing::Dataset(id) => {
                let person = self.person.clone();
                let session = server.call(move |service| {
                    let link = service.sign_in_link(&person).ok()?;
                    service.sign_in_by_link(&link, &Origin::default()).ok()
                });
                let Some(session) = session.await else { return works(false) };
                let path = format!("/api/v1/datasets/{id}/download?project=p");
                works(server.get(&path, &As::Session(session.secret)).await.status == 200)
            }
            Thing::Webhook(webhook, job) => {
                // The server may have claimed the delivery already, so it is not claimed here.
                let caller = self.caller.clone();
                let told = server.call(move |service| {
                    self::works(service, job);
                    service.deliveries(&caller, webhook).is_ok_and(|told| !told.is_empty())
                });
                works(told.await)
            }
        }
    }

    async fn sees(&self, server: &TestServer, who: &As) -> String {
        if server.get("/api/v1/session", who).await.status != 200 {
            return "ends".into();
        }
        let list = server.get("/api/v1/conversations?project=p&search=title", who).await;
        match list.status {
            200 if list.text().contains("of-bob") => "everyone's".into(),
            200 if list.text().contains(&self.own) => "own".into(),
            200 => "nothing".into(),
            _ => "account".into(),
        }
    }
}

/// Does a job; whether something came of it.
fn works(service: &Service, id: i64) -> bool {
    let running = AtomicBool::new(false);
    matches!(service.work_one(Wanted::One(id), &Nobody, &running), Ok(Some((_, Ok(_)))))
}

/// What all lives have in common.
#[derive(Clone)]
struct Given {
    p: retort_service::Project,
    /// A conversation of another member.
    others: String,
}

async fn table(server: &TestServer) -> String {
    let given = Given { p: server.p.clone(), others: "of-bob".into() };
    server
        .call({
            let given = given.clone();
            move |service| add_conversation(service, &given.p, BOB, &given.others)
        })
        .await;
    let mut table = format!("{HEAD}what\t{}\n", EVENTS.join("\t"));
    let mut number = 0;
    for kind in KINDS {
        table.push_str(kind);
        for event in EVENTS {
            number += 1;
            let (given, service) = (given.clone(), Arc::clone(&server.service));
            let (life, thing) = server
                .call(move |_| {
                    let life = Life::begin(&service, &given, number);
                    let thing = life.make(&service, &given, kind);
                    life.meet(&service, &given, event);
                    (life, thing)
                })
                .await;
            write!(table, "\t{}", life.look(server, thing).await).unwrap();
        }
        table.push('\n');
    }
    table
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_lives_as_long_as_the_table_says() {
    for database in [Database::Sqlite, Database::Postgres] {
        let setup = Setup { has_worker: false, ..Setup::default() };
        let Some(server) = TestServer::start(database, setup).await else { continue };
        let table = table(&server).await;
        server.stop().await;
        if std::env::var_os("UPDATE_ACCESS").is_some() && database == Database::Sqlite {
            std::fs::write(TABLE, &table).unwrap();
        }
        let expect = std::fs::read_to_string(TABLE).unwrap_or_default();
        assert!(table == expect, "{database:?}: the table is another:\n{table}");
    }
}
