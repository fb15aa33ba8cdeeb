//! A whole server for tests: the real router on a port of its own, a real store of either kind, a folder for datasets,
//! a worker, people of every kind, and a clock that the tests own.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicI64, AtomicU32, AtomicU64, Ordering};
use std::time::Duration;

use reqwest::header::{HeaderMap, HeaderName, HeaderValue};
use retort_model::{Grant, Grants, ProjectRole, Time};
use retort_service::{
    Caller, Clock, DestinationSettings, IntakeRequest, Nobody, Origin, Person, Project, Quotas,
    Retention, Service, Settings, TokenRequest, Wanted,
};
use retort_web::app::{AddressHeader, App, Settings as WebSettings};
use retort_web::bounds::Bounds;
use retort_web::metrics::Metrics;
use retort_web::oidc::Oidc;
use retort_web::outgoing::{Outgoing, OutgoingSettings};
use retort_web::server::{Listening, serve};
use retort_web::who::csrf_of;
use serde_json::{Value, json};
use tokio::net::TcpListener;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// When the tests' clock begins: a little after the provider of identities issued its tokens.
pub const BEGINNING: i64 = 1_767_225_700;

/// Everyone's password.
pub const PASSWORD: &str = "correct horse battery";

/// Two of the memberships' names.
pub const ANN: &str = "ann@example.com";
pub const BOB: &str = "bob@example.com";

/// A clock that stands until a test moves it.
#[derive(Clone, Default)]
pub struct TestClock(Arc<AtomicI64>);

impl TestClock {
    pub fn advance(&self, by: Duration) {
        self.0.fetch_add(i64::try_from(by.as_micros()).unwrap(), Ordering::SeqCst);
    }
}

impl Clock for TestClock {
    fn now(&self) -> Time {
        let micros = BEGINNING * 1_000_000 + self.0.load(Ordering::SeqCst);
        Time::from_unix_micros(micros).unwrap()
    }
}

/// How a server is set up.
pub struct Setup {
    pub proxies: &'static str,
    pub person_header: Option<&'static str>,
    pub allows_private_webhooks: bool,
    pub is_secure: bool,
    pub has_tls: bool,
    pub address_header: AddressHeader,
    pub has_worker: bool,
    pub oidc: Option<fn(SocketAddr, &str) -> Oidc>,
    pub issuer: String,
    pub quotas: Quotas,
    pub takes_traces: bool,
    /// Whether there is a destination `shelf`: the folder [`TestServer::shelf`].
    pub has_destination: bool,
    /// The models of the configuration: names and files.
    pub models: BTreeMap<String, String>,
}

impl Default for Setup {
    fn default() -> Self {
        Self {
            proxies: "127.0.0.0/8",
            person_header: None,
            allows_private_webhooks: false,
            is_secure: false,
            has_tls: false,
            address_header: AddressHeader::default(),
            has_worker: true,
            oidc: None,
            issuer: String::new(),
            quotas: Quotas { imports_per_person: u64::MAX, ..Quotas::default() },
            takes_traces: true,
            has_destination: false,
            models: BTreeMap::new(),
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Database {
    Sqlite,
    Postgres,
}

/// Who shows what with a request.
#[derive(Clone, Debug, Default)]
pub enum As {
    #[default]
    Nobody,
    Token(String),
    Session(String),
}

pub struct TestServer {
    pub address: SocketAddr,
    pub database: Database,
    pub service: Arc<Service>,
    pub clock: TestClock,
    pub app: App,
    pub p: Project,
    pub q: Project,
    pub owner: Person,
    pub admin: Person,
    pub ann: Person,
    pub bob: Person,
    /// Owns the project `q` and is not in `p`.
    pub quinn: Person,
    pub objects: std::path::PathBuf,
    /// Where schedules may deliver to, if there is a destination.
    pub shelf: std::path::PathBuf,
    client: reqwest::Client,
    /// So that the tests' own sign-ins are not counted together.
    visitors: AtomicU32,
    made: AtomicU64,
    stop: Option<oneshot::Sender<()>>,
    ended: Arc<AtomicBool>,
    tasks: Vec<JoinHandle<()>>,
    worker: Option<std::thread::JoinHandle<()>>,
    folder: Option<tempfile::TempDir>,
}

/// Runs the case on a server with SQLite and, where it is installed, on one with PostgreSQL.
pub async fn on_both(case: impl AsyncFn(&mut TestServer)) {
    on_both_with(Setup::default, case).await;
}

pub async fn on_both_with(setup: impl Fn() -> Setup, case: impl AsyncFn(&mut TestServer)) {
    for database in [Database::Sqlite, Database::Postgres] {
        if let Some(mut server) = TestServer::start(database, setup()).await {
            case(&mut server).await;
            server.stop().await;
        }
    }
}

/// Runs the case on a server with SQLite.
pub async fn on_sqlite(case: impl AsyncFn(&mut TestServer)) {
    on_sqlite_with(Setup::default(), case).await;
}

pub async fn on_sqlite_with(setup: Setup, case: impl AsyncFn(&mut TestServer)) {
    let mut server = TestServer::start(Database::Sqlite, setup).await.unwrap();
    case(&mut server).await;
    server.stop().await;
}

impl TestServer {
    /// None where PostgreSQL is not installed.
    pub async fn start(database: Database, setup: Setup) -> Option<Self> {
        // What is behind an answer of 500 is in the log.
        let _ = tracing_subscriber::fmt()
            .with_max_level(tracing_subscriber::filter::LevelFilter::ERROR)
            .with_test_writer()
            .try_init();
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().to_owned();
        let (objects, shelf) = (path.join("objects"), path.join("shelf"));
        let mut destinations = BTreeMap::new();
        if setup.has_destination {
            std::fs::create_dir(&shelf).unwrap();
            let location = shelf.to_str().unwrap().to_owned();
            let one = DestinationSettings { location, ..DestinationSettings::default() };
            destinations.insert("shelf".to_owned(), one);
        }
        let clock = TestClock::default();
        let service = tokio::task::spawn_blocking({
            let (clock, objects) = (clock.clone(), objects.clone());
            move || {
                let store = match database {
                    Database::Sqlite => path.join("store.db").to_str().unwrap().to_owned(),
                    Database::Postgres => retort_testing::postgres::new_database()?,
                };
                let settings = Settings {
                    store,
                    objects: objects.to_str().unwrap().to_owned(),
                    worker: "the worker".into(),
                    identity: "identity".into(),
                    lease: Duration::from_secs(60),
                    patience: Duration::from_secs(2),
                    threads: 1,
                    part_bytes: 1 << 30,
                    retention: Retention::default(),
                    quotas: setup.quotas,
                    models: setup.models,
                    benchmarks: BTreeMap::default(),
                    recognisers: BTreeMap::default(),
                    destinations,
                    signing_key: None,
                };
                Some(Service::open(settings, Box::new(clock), true).unwrap())
            }
        });
        let service = Arc::new(service.await.unwrap()?);
        let people = tokio::task::spawn_blocking({
            let service = Arc::clone(&service);
            move || furnish(&service)
        });
        let ([p, q], [owner, admin, ann, bob, quinn]) = people.await.unwrap();

        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let listening = Listening::new(Bounds::default());
        let settings = WebSettings {
            is_secure: setup.is_secure,
            has_worker: setup.has_worker,
            url: None,
            has_tls: setup.has_tls,
            deadline: retort_web::bounds::DEADLINE,
            address_header: setup.address_header,
            proxies: vec![setup.proxies.parse().unwrap()],
            person_header: setup.person_header.map(|name| name.parse().unwrap()),
            requests_per_minute: 1_000_000,
            allows_private_webhooks: setup.allows_private_webhooks,
            takes_traces: setup.takes_traces,
        };
        let outgoing = OutgoingSettings {
            allow_private: setup.allows_private_webhooks,
            timeout: Duration::from_secs(5),
        };
        let app = App::new(
            Arc::clone(&service),
            settings,
            setup.oidc.map(|make| make(address, &setup.issuer)),
            Metrics::new("0"),
            listening.stopping().clone(),
        );
        let router = retort_web::router(app.clone(), &Bounds::default());
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(async move {
            serve(listener, None, router, &listening, async { drop(stopped.await) }).await;
        });
        let delivering =
            tokio::spawn(retort_web::deliver(app.clone(), Outgoing::new(outgoing).unwrap()));
        let client = reqwest::Client::builder()
            .tls_backend_preconfigured(retort_service::client_tls())
            .redirect(reqwest::redirect::Policy::none())
            .timeout(Duration::from_secs(60))
            .no_proxy()
            .build()
            .unwrap();
        let mut server = Self {
            address,
            database,
            service,
            clock,
            app,
            p,
            q,
            owner,
            admin,
            ann,
            bob,
            quinn,
            objects,
            shelf,
            client,
            visitors: AtomicU32::new(0),
            made: AtomicU64::new(0),
            stop: Some(stop),
            ended: Arc::default(),
            tasks: vec![serving, delivering],
            worker: None,
            folder: Some(folder),
        };
        if setup.has_worker {
            server.start_worker();
        }
        Some(server)
    }

    /// Does jobs from now on.
    pub fn start_worker(&mut self) {
        let (service, ended) = (Arc::clone(&self.service), Arc::clone(&self.ended));
        self.worker = Some(std::thread::spawn(move || {
            while !ended.load(Ordering::Relaxed) {
                let done = service.work_one(Wanted::Any, &Nobody, &ended);
                if !matches!(done, Ok(Some(_))) {
                    std::thread::sleep(Duration::from_millis(10));
                }
            }
        }));
    }

    /// Does no jobs any more.
    pub async fn stop_worker(&mut self) {
        self.ended.store(true, Ordering::Relaxed);
        if let Some(worker) = self.worker.take() {
            tokio::task::spawn_blocking(move || worker.join().unwrap()).await.unwrap();
        }
        self.ended.store(false, Ordering::Relaxed);
    }

    /// Stops everything and waits for it.
    pub async fn stop(mut self) {
        self.ended.store(true, Ordering::Relaxed);
        drop(self.stop.take());
        for task in self.tasks.drain(..) {
            task.await.unwrap();
        }
        if let Some(worker) = self.worker.take() {
            tokio::task::spawn_blocking(move || worker.join().unwrap()).await.unwrap();
        }
        tokio::task::spawn_blocking(move || drop(self)).await.unwrap();
    }

    /// Where the store and the objects lie.
    pub fn folder(&self) -> std::path::PathBuf {
        self.folder.as_ref().unwrap().path().to_owned()
    }

    /// Asks the service itself, on a thread that may block.
    pub async fn call<T: Send + 'static>(
        &self,
        act: impl FnOnce(&Service) -> T + Send + 'static,
    ) -> T {
        let service = Arc::clone(&self.service);
        tokio::task::spawn_blocking(move || act(&service)).await.unwrap()
    }

    /// A session of a person, begun just now.
    pub async fn session(&self, person: &Person) -> As {
        let person = person.clone();
        As::Session(self.call(move |service| session_of(service, &person)).await)
    }

    /// A token of a person for a project.
    pub async fn token(&self, project: &Project, person: &Person, grants: &[Grant]) -> As {
        let (project, person) = (project.clone(), person.clone());
        let grants: Grants = grants.iter().copied().collect();
        let token =
            self.call(move |service| token_of(service, &project, &person, grants, 30)).await;
        As::Token(token)
    }

    /// A name that nothing has yet.
    pub fn new_name(&self, what: &str) -> String {
        format!("{what}-{}", self.made.fetch_add(1, Ordering::Relaxed))
    }

    /// A new conversation that `person` holds in `p`; its id.
    pub async fn conversation(&self, person: &Person) -> String {
        let id = self.new_name("conversation");
        let (project, person, same) = (self.p.clone(), person.clone(), id.clone());
        self.call(move |service| add_conversation(service, &project, &person.name, &same)).await;
        id
    }

    /// A request to be made.
    pub fn request(&self, method: &str, path: &str) -> TestRequest<'_> {
        let url = format!("http://{}{path}", self.address);
        let request = self.client.request(method.parse().unwrap(), url);
        TestRequest { server: self, request, has_visitor: false }
    }

    pub async fn get(&self, path: &str, who: &As) -> Reply {
        self.request("GET", path).by(who).send().await
    }

    pub async fn post(&self, path: &str, who: &As, body: Value) -> Reply {
        self.request("POST", path).by(who).json(&body).send().await
    }

    pub async fn delete(&self, path: &str, who: &As) -> Reply {
        self.request("DELETE", path).by(who).send().await
    }

    /// Waits until an export or import of theirs has ended; how it stands then.
    pub async fn ended_job(&self, kind: &str, id: i64, who: &As) -> Value {
        for _ in 0..2_000 {
            let job = self.get(&format!("/api/v1/{kind}/{id}"), who).await.ok();
            if !["queued", "running"].contains(&job["state"].as_str().unwrap()) {
                return job;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        panic!("job {id} does not end");
    }

    /// Has a dataset made through the API, of what the selection means.
    pub async fn dataset(&self, name: &str, selection: Value, who: &As) -> i64 {
        let asked = json!({"dataset_name": name, "selection": selection});
        let job = self.post("/api/v1/exports", who, asked).await;
        assert_eq!(job.status, 202, "{}", job.text());
        let job = self.ended_job("exports", job.json()["id"].as_i64().unwrap(), who).await;
        job["dataset"].as_i64().unwrap_or_else(|| panic!("{job}"))
    }
}

/// Projects and people.
fn furnish(service: &Service) -> ([Project; 2], [Person; 5]) {
    let [p, q] = ["p", "q"].map(|name| service.project_or_new(name).unwrap());
    let add = |name: &str, project: &Project, role| {
        let person = service.add_person(name, None).unwrap();
        service.admit(&Caller::local(project), &person, role).unwrap();
        set_password(service, &person)
    };
    let people = [
        add("owner@example.com", &p, ProjectRole::Owner),
        add("admin@example.com", &p, ProjectRole::Admin),
        add(ANN, &p, ProjectRole::Member),
        add(BOB, &p, ProjectRole::Member),
        add("quinn@example.com", &q, ProjectRole::Owner),
    ];
    ([p, q], people)
}

/// Has a person set the password that everyone has.
pub fn set_password(service: &Service, person: &Person) -> Person {
    let session = service.by_session(&session_of(service, person)).unwrap().unwrap();
    service.change_password(&session, None, PASSWORD, &Origin::default()).unwrap();
    service.sign_out(&session, &Origin::default()).unwrap();
    service.person(&person.name).unwrap()
}

pub fn session_of(service: &Service, person: &Person) -> String {
    let link = service.sign_in_link(person).unwrap();
    service.sign_in_by_link(&link, &Origin::default()).unwrap().secret
}

pub fn token_of(
    service: &Service,
    project: &Project,
    person: &Person,
    grants: Grants,
    days: u64,
) -> String {
    let request = TokenRequest { name: "a token".into(), grants, days };
    service.add_token_for(&Caller::local(project), person, &request).unwrap().1
}

/// Someone as the service knows them when they ask.
pub fn caller_of(service: &Service, project: &Project, person: &Person) -> Caller {
    let signed = service.by_session(&session_of(service, person)).unwrap().unwrap();
    service.caller(&signed, Some(&project.name), Origin::default()).unwrap()
}

/// A conversation as a request brings it in.
pub fn said(id: &str) -> Value {
    json!({
        "id": id,
        "title": format!("Title of {id}"),
        "messages": [
            {"role": "system", "content": "the system prompt"},
            {"role": "user", "content": format!("a question in {id}")},
            {"role": "assistant", "content": "an answer"},
        ],
    })
}

pub fn add_conversation(service: &Service, project: &Project, owner: &str, id: &str) {
    let request = IntakeRequest { owner: Some(owner.to_owned()), ..IntakeRequest::default() };
    let line = said(id).to_string().into_bytes();
    let report = service.take_in(&Caller::local(project), &request, line).unwrap();
    assert_eq!(report.new, 1, "{report:?}");
}

/// A request to be made.
pub struct TestRequest<'h> {
    server: &'h TestServer,
    request: reqwest::RequestBuilder,
    has_visitor: bool,
}

impl TestRequest<'_> {
    /// With what shows who asks; a session with its token against requests of other pages.
    pub fn by(self, who: &As) -> Self {
        match who {
            As::Nobody => self,
            As::Token(token) => self.header("authorization", &format!("Bearer {token}")),
            As::Session(secret) => self.cookie(secret).header("x-csrf-token", &csrf_of(secret)),
        }
    }

    pub fn cookie(self, secret: &str) -> Self {
        self.header("cookie", &format!("retort={secret}"))
    }

    /// As no proxy would pass it on.
    pub fn direct(mut self) -> Self {
        self.has_visitor = true;
        self
    }

    pub fn header(mut self, name: &str, value: &str) -> Self {
        self.has_visitor |= name == "x-forwarded-for";
        let name: HeaderName = name.parse().unwrap();
        self.request =
            self.request.header(name, HeaderValue::from_bytes(value.as_bytes()).unwrap());
        self
    }

    pub fn json(self, body: &Value) -> Self {
        self.header("content-type", "application/json").body(body.to_string())
    }

    pub fn body(mut self, body: impl Into<reqwest::Body>) -> Self {
        self.request = self.request.body(body);
        self
    }

    /// As a page of this site sends a form.
    pub fn form(self, fields: &[(&str, &str)]) -> Self {
        let origin = format!("http://{}", self.server.address);
        self.header("origin", &origin).form_only(fields)
    }

    pub fn form_only(self, fields: &[(&str, &str)]) -> Self {
        let mut body = url::form_urlencoded::Serializer::new(String::new());
        let body = body.extend_pairs(fields).finish();
        self.header("content-type", "application/x-www-form-urlencoded").body(body)
    }

    pub async fn send(self) -> Reply {
        let mut request = self.request;
        if !self.has_visitor {
            let number = self.server.visitors.fetch_add(1, Ordering::Relaxed);
            let [_, a, b, c] = number.to_be_bytes();
            request = request.header("x-forwarded-for", format!("203.{a}.{b}.{c}"));
        }
        let answer = request.send().await.unwrap();
        let (status, headers) = (answer.status().as_u16(), answer.headers().clone());
        Reply { status, headers, body: answer.bytes().await.unwrap().to_vec() }
    }
}

/// What was answered.
#[derive(Debug)]
pub struct Reply {
    pub status: u16,
    pub headers: HeaderMap,
    pub body: Vec<u8>,
}

impl Reply {
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body)
            .unwrap_or_else(|_| panic!("{}: {}", self.status, self.text()))
    }

    /// The JSON of an answer that says that all went well.
    #[track_caller]
    pub fn ok(&self) -> Value {
        assert!((200..300).contains(&self.status), "{}: {}", self.status, self.text());
        if self.body.is_empty() { Value::Null } else { self.json() }
    }

    #[track_caller]
    pub fn id(&self) -> i64 {
        self.ok()["id"].as_i64().unwrap()
    }

    /// Asserts that it is a problem of a kind, shaped as problems are.
    #[track_caller]
    pub fn refused(&self, status: u16, slug: &str) -> Value {
        assert_eq!(self.status, status, "{}", self.text());
        assert_eq!(self.headers["content-type"], "application/problem+json", "{}", self.text());
        let problem = self.json();
        assert_eq!(problem["type"], format!("/problems/{slug}"), "{problem}");
        assert_eq!(problem["status"], status, "{problem}");
        assert_eq!(problem["request_id"], self.header("x-request-id"), "{problem}");
        for field in ["title", "detail"] {
            assert!(problem[field].as_str().is_some_and(|text| !text.is_empty()), "{problem}");
        }
        problem
    }

    #[track_caller]
    pub fn header(&self, name: &str) -> &str {
        self.headers.get(name).unwrap_or_else(|| panic!("no `{name}`")).to_str().unwrap()
    }

    /// The session that it begins, if it does.
    pub fn session(&self) -> Option<String> {
        let cookies = self.headers.get_all("set-cookie").iter();
        cookies
            .filter_map(|cookie| cookie.to_str().unwrap().strip_prefix("retort="))
            .map(|rest| rest.split(';').next().unwrap().to_owned())
            .find(|secret| !secret.is_empty())
    }
}

/// The field of each, such as its id.
#[track_caller]
pub fn each<'v>(list: &'v Value, field: &str) -> Vec<&'v Value> {
    list.as_array().unwrap_or_else(|| panic!("{list}")).iter().map(|one| &one[field]).collect()
}
