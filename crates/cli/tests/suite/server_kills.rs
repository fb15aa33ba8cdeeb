//! Servers that are killed at any moment while many ask them, on both kinds of store: what was acknowledged is there,
//! nothing is there twice, and every job ends. On PostgreSQL with two servers and two workers. `RETORT_KILLS` says how
//! often.
#![cfg(unix)]

use std::collections::{BTreeMap, BTreeSet};
use std::process::Child;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use crate::support::asking::{Answer, Client, Server};
use crate::support::ended;
use crate::support::keeping::*;
use retort_testing::postgres;
use serde_json::{Value, json};

/// Conversations of an upload.
const UPLOADED: usize = 30;

fn kills() -> u64 {
    std::env::var("RETORT_KILLS").map_or(8, |kills| kills.parse().unwrap())
}

fn on_postgres(case: impl Fn(Keep)) {
    if let Some(url) = postgres::new_database() {
        case(Keep::postgres(url));
    }
}

fn chat(id: &str, text: &str) -> Value {
    json!({"id": id, "messages": [{"role": "user", "content": text}, {"role": "assistant", "content": "yes"}]})
}

/// What was asked of the servers, and what they said to it.
#[derive(Default)]
struct Ledger {
    /// Conversations that are there.
    taken: BTreeSet<String>,
    /// By conversation, what was appended to it for certain, and what perhaps.
    appended: BTreeMap<String, (Vec<String>, BTreeSet<String>)>,
    /// By conversation, the last title that it got.
    titled: BTreeMap<String, String>,
    exports: BTreeSet<i64>,
    imports: BTreeSet<i64>,
    answers: u64,
}

/// Where servers can be reached, and whether there is more to do.
struct Field {
    bases: Mutex<Vec<Arc<str>>>,
    is_over: AtomicBool,
    client: Client,
    ledger: Mutex<Ledger>,
}

impl Field {
    fn goes_on(&self) -> bool {
        !self.is_over.load(Ordering::Relaxed)
    }

    fn answers(&self) -> u64 {
        self.ledger.lock().unwrap().answers
    }

    /// Asks any of the servers until one answers; whether it had to be asked more than once.
    fn ask(
        &self,
        chance: &mut Chance,
        how: &str,
        path: &str,
        key: &str,
        body: &str,
    ) -> (Answer, bool) {
        for tries in 0..2000 {
            let base = {
                let bases = self.bases.lock().unwrap();
                Arc::clone(&bases[usize::try_from(chance.below(bases.len() as u64)).unwrap()])
            };
            let key = [("idempotency-key", key)];
            let headers: &[_] = if key[0].1.is_empty() { &[] } else { &key };
            if let Some(answer) = self.client.ask(&base, how, path, headers, body) {
                assert!(answer.status < 500, "{how} {path}: {} {}", answer.status, answer.body);
                self.ledger.lock().unwrap().answers += 1;
                return (answer, tries > 0);
            }
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("no server answers {how} {path}");
    }
}

/// Is the request under this key still thought to run, in a server that is dead?
fn is_under_way(answer: &Answer) -> bool {
    answer.status == 409 && answer.body.contains("/problems/idempotency-under-way")
}

fn takes_in(field: &Field, who: u64) {
    let mut chance = Chance::of(who);
    for number in 0.. {
        if !field.goes_on() {
            return;
        }
        let id = format!("t{who}-{number}");
        let (answer, _) =
            field.ask(&mut chance, "POST", "/conversations", "", &chat(&id, "x").to_string());
        assert_eq!(answer.status, 200, "{}", answer.body);
        field.ledger.lock().unwrap().taken.insert(id);
    }
}

fn appends(field: &Field, who: u64) {
    let mut chance = Chance::of(who);
    let id = format!("a{who}");
    field.ask(&mut chance, "POST", "/conversations", "", &chat(&id, "begin").to_string());
    let path = format!("/conversations/{id}/rounds");
    for number in 0.. {
        if !field.goes_on() {
            return;
        }
        let text = format!("said {number}");
        let body = json!([{"role": "user", "content": text}]).to_string();
        let key = format!("{id}-{number}");
        let (answer, again) = field.ask(&mut chance, "POST", &path, &key, &body);
        let mut ledger = field.ledger.lock().unwrap();
        let (certain, perhaps) = ledger.appended.entry(id.clone()).or_default();
        if again && is_under_way(&answer) {
            perhaps.insert(text);
        } else {
            assert_eq!(answer.status, 201, "{}", answer.body);
            certain.push(text);
        }
    }
}

fn edits(field: &Field, who: u64) {
    let mut chance = Chance::of(who);
    let id = format!("e{who}");
    field.ask(&mut chance, "POST", "/conversations", "", &chat(&id, "begin").to_string());
    for number in 0.. {
        if !field.goes_on() {
            return;
        }
        let title = format!("title {number}");
        let body = json!({ "title": title }).to_string();
        let (answer, _) =
            field.ask(&mut chance, "PATCH", &format!("/conversations/{id}"), "", &body);
        assert_eq!(answer.status, 200, "{}", answer.body);
        field.ledger.lock().unwrap().titled.insert(id.clone(), title);
    }
}

fn exports(field: &Field, who: u64) {
    let mut chance = Chance::of(who);
    for number in 0.. {
        if !field.goes_on() {
            return;
        }
        let body = json!({"dataset_name": format!("x{who}-{number}"), "data_format": "openai"});
        let (answer, again) = field.ask(&mut chance, "POST", "/exports", "", &body.to_string());
        match answer.status {
            202 => {
                let id = answer.json()["id"].as_i64().unwrap();
                field.ledger.lock().unwrap().exports.insert(id);
            }
            // Four of them run, or the first attempt came through.
            429 => {}
            409 if again => {}
            status => panic!("{status}: {}", answer.body),
        }
        std::thread::sleep(Duration::from_millis(50));
    }
}

fn uploads(field: &Field, who: u64) {
    let mut chance = Chance::of(who);
    for number in 0.. {
        if !field.goes_on() {
            return;
        }
        let ids: Vec<String> = (0..UPLOADED).map(|one| format!("u{who}-{number}-{one}")).collect();
        let lines: String = ids.iter().map(|id| format!("{}\n", chat(id, "up"))).collect();
        let (answer, _) = field.ask(&mut chance, "POST", "/imports", "", &lines);
        if answer.status == 429 {
            // As many of theirs wait as one person may have.
            std::thread::sleep(Duration::from_millis(50));
            continue;
        }
        assert_eq!(answer.status, 202, "{}", answer.body);
        let job = answer.json()["id"].as_i64().unwrap();
        let mut ledger = field.ledger.lock().unwrap();
        ledger.imports.insert(job);
        ledger.taken.extend(ids);
        drop(ledger);
        std::thread::sleep(Duration::from_millis(100));
    }
}

/// Something that can be killed and begun again.
enum Running {
    Server(Server),
    Worker(Child, String),
}

impl Running {
    fn server(keep: &Keep, number: usize, with_worker: bool) -> Self {
        let more: &[&str] = if with_worker { &[] } else { &["--no-worker"] };
        Self::Server(Server::begin(keep, &format!("server-{number}"), more))
    }

    fn worker(keep: &Keep, number: usize) -> Self {
        let log = format!("worker-{number}");
        Self::Worker(keep.spawn(&log, &["worker", "-q"]), log)
    }

    fn base(&self) -> Option<Arc<str>> {
        match self {
            Self::Server(server) => Some(Arc::clone(&server.base)),
            Self::Worker(..) => None,
        }
    }
}

fn killed_under_load(keep: Keep, servers: usize, workers: usize) {
    let mut chance = Chance::new();
    keep.place.file("in.jsonl", history(300, 5));
    keep.ok(&["import", "in.jsonl", "-q"]);
    let first = Server::begin(&keep, "first", &["--no-worker"]);
    let client = first.token(&first.sign_in(&keep));
    kill(first.child);
    let mut begun = 0;
    let mut begin = |is_server: bool| {
        begun += 1;
        if is_server {
            Running::server(&keep, begun, workers == 0)
        } else {
            Running::worker(&keep, begun)
        }
    };
    let mut running: Vec<Running> =
        (0..servers + workers).map(|number| begin(number < servers)).collect();
    let bases = running.iter().filter_map(Running::base).collect();
    let field = Field {
        bases: Mutex::new(bases),
        is_over: AtomicBool::new(false),
        client,
        ledger: Mutex::default(),
    };
    let asked = &field;
    let kinds: [fn(&Field, u64); 5] = [takes_in, appends, edits, exports, uploads];
    std::thread::scope(|scope| {
        let asking: Vec<_> = kinds
            .iter()
            .chain(&kinds[..3])
            .zip(1..)
            .map(|(kind, who)| scope.spawn(move || kind(asked, who)))
            .collect();
        for _ in 0..kills() {
            // Some work is under way at each kill, however slow the machine is.
            let before = asked.answers();
            while asked.answers() <= before + 20
                && !asking.iter().any(std::thread::ScopedJoinHandle::is_finished)
            {
                std::thread::sleep(Duration::from_millis(20));
            }
            std::thread::sleep(Duration::from_millis(chance.below(1500)));
            let which = usize::try_from(chance.below(running.len() as u64)).unwrap();
            match running.remove(which) {
                Running::Server(server) => {
                    kill(server.child);
                    field.bases.lock().unwrap().retain(|base| *base != server.base || servers == 1);
                    let next = begin(true);
                    let mut bases = field.bases.lock().unwrap();
                    bases.retain(|base| *base != server.base);
                    bases.extend(next.base());
                    running.push(next);
                }
                Running::Worker(child, _) => {
                    kill(child);
                    running.push(begin(false));
                }
            }
            if asking.iter().any(std::thread::ScopedJoinHandle::is_finished) {
                break;
            }
        }
        field.is_over.store(true, Ordering::Relaxed);
    });
    let base = Arc::clone(&field.bases.lock().unwrap()[0]);
    let ledger = field.ledger.into_inner().unwrap();
    eprintln!("{} answers, {} exports", ledger.answers, ledger.exports.len());
    assert!(ledger.answers > 20 * kills(), "{} answers", ledger.answers);
    check(&field.client, &base, &ledger);
    for one in running {
        let (mut child, log) = match one {
            Running::Server(server) => (server.child, server.log),
            Running::Worker(child, log) => (child, log),
        };
        signal(&child, "TERM");
        let status = ended(&mut child, 40).expect("it ends when it is asked to");
        assert!(status.success(), "{}", keep.said(&log));
    }
    for number in 1..=begun {
        for log in [format!("server-{number}"), format!("worker-{number}")] {
            if keep.place.path(&log).is_file() {
                let text = keep.said(&log);
                assert!(!text.contains("bug in Retort") && !text.contains("ERROR"), "{text}");
            }
        }
    }
    keep.assert_all_ended();
    keep.assert_none_half_made();
    keep.ok(&["doctor"]);
}

/// Everything that was acknowledged is there, once.
fn check(client: &Client, base: &str, ledger: &Ledger) {
    let jobs = |kind: &str| -> BTreeMap<i64, Value> {
        let list = client.get(base, &format!("/{kind}?limit=1000"));
        let jobs = list["jobs"].as_array().unwrap().iter();
        jobs.map(|job| (job["id"].as_i64().unwrap(), job.clone())).collect()
    };
    let is_open = |job: &Value| matches!(job["state"].as_str().unwrap(), "queued" | "running");
    let mut left = 0;
    for _ in 0..600 {
        left = [jobs("exports"), jobs("imports")]
            .iter()
            .flat_map(BTreeMap::values)
            .filter(|job| is_open(job))
            .count();
        if left == 0 {
            break;
        }
        std::thread::sleep(Duration::from_millis(200));
    }
    assert_eq!(left, 0, "jobs do not end");
    let (exports, imports) = (jobs("exports"), jobs("imports"));
    for (asked, jobs) in [(&ledger.exports, &exports), (&ledger.imports, &imports)] {
        for id in asked {
            let job = jobs.get(id).unwrap_or_else(|| panic!("job {id} is lost"));
            assert!(job["state"].as_str().unwrap().starts_with("completed"), "{job}");
        }
    }
    for id in &ledger.taken {
        client.get(base, &format!("/conversations/{id}"));
    }
    for (id, title) in &ledger.titled {
        let found = client.get(base, &format!("/conversations/{id}"));
        assert_eq!(found["summary"]["title"], **title, "{id}");
    }
    for (id, (certain, perhaps)) in &ledger.appended {
        let found = client.get(base, &format!("/conversations/{id}"))["conversation"].to_string();
        for text in certain {
            let times = found.matches(&format!("\"{text}\"")).count();
            assert_eq!(times, 1, "{id}: `{text}` stands there {times} times");
        }
        for text in perhaps {
            let times = found.matches(&format!("\"{text}\"")).count();
            assert_eq!(times, 0, "{id}: `{text}` is under way and there {times} times");
        }
    }
    let mut noticed = BTreeSet::new();
    let mut after = 0;
    loop {
        let page = client.get(base, &format!("/notices?after={after}"));
        let notices = page["notices"].as_array().unwrap();
        let Some(last) = notices.last() else { break };
        after = last["id"].as_i64().unwrap();
        for notice in notices {
            assert!(noticed.insert(notice["job"].as_i64().unwrap()), "told twice: {notice}");
        }
    }
    assert!(noticed.iter().eq(exports.keys()), "{noticed:?} of {:?}", exports.keys());
}

#[test]
fn a_killed_server_on_sqlite_keeps_what_it_acknowledged() {
    killed_under_load(Keep::sqlite(), 1, 0);
}

#[test]
fn killed_servers_and_workers_on_postgres_keep_what_they_acknowledged() {
    on_postgres(|keep| killed_under_load(keep, 2, 2));
}

/// Takes what is posted to it, and keeps what tells one notice from another.
fn listen() -> (String, Arc<Mutex<Vec<String>>>) {
    use std::io::{BufRead, BufReader, Read, Write};
    let listener = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let url = format!("http://{}/", listener.local_addr().unwrap());
    let heard = Arc::new(Mutex::new(Vec::new()));
    let hears = Arc::clone(&heard);
    std::thread::spawn(move || {
        for stream in listener.incoming() {
            let mut stream = BufReader::new(stream.unwrap());
            let (mut length, mut id) = (0, String::new());
            for line in stream.by_ref().lines().map_while(Result::ok).take_while(|l| !l.is_empty())
            {
                let (name, value) = line.split_once(": ").unwrap_or_default();
                match &*name.to_ascii_lowercase() {
                    "content-length" => length = value.parse().unwrap(),
                    "webhook-id" => id = value.to_owned(),
                    _ => {}
                }
            }
            let mut body = vec![0; length];
            stream.read_exact(&mut body).unwrap();
            hears.lock().unwrap().push(id);
            let answer = "HTTP/1.1 204 No Content\r\nconnection: close\r\n\r\n";
            stream.get_mut().write_all(answer.as_bytes()).unwrap();
        }
    });
    (url, heard)
}

/// Sessions and keys of one server count at the other, jobs are shared, and each notice is posted once.
#[test]
fn two_servers_and_two_workers_on_postgres_are_as_one() {
    on_postgres(|keep| {
        keep.place.file("in.jsonl", history(300, 5));
        keep.ok(&["import", "in.jsonl", "-q"]);
        let more = ["--no-worker", "--allow-private-webhooks"];
        let one = Server::begin(&keep, "one", &more);
        let other = Server::begin(&keep, "other", &more);
        let session = one.sign_in(&keep);
        assert_eq!(session.get(&other.base, "/session")["person"], "local");
        let client = other.token(&session);
        let bases = [&*one.base, &*other.base];

        let ask = |base: &str, path: &str, key: &str, body: &str| {
            client.ask(base, "POST", path, &[("idempotency-key", key)], body).unwrap()
        };
        assert_eq!(ask(bases[0], "/conversations", "c", &chat("k", "x").to_string()).status, 200);
        for number in 0..10 {
            let key = format!("key-{number}");
            let body = json!([{"role": "user", "content": key}]).to_string();
            let statuses: Vec<u16> = std::thread::scope(|scope| {
                let asked: Vec<_> = (0..4)
                    .map(|at| {
                        let (key, body, base) = (&key, &body, bases[at % 2]);
                        scope.spawn(move || ask(base, "/conversations/k/rounds", key, body).status)
                    })
                    .collect();
                asked.into_iter().map(|one| one.join().unwrap()).collect()
            });
            assert!(statuses.iter().all(|status| matches!(status, 201 | 409)), "{statuses:?}");
            assert!(statuses.contains(&201), "{statuses:?}");
            let again = ask(bases[1], "/conversations/k/rounds", &key, &body);
            assert_eq!(again.status, 201, "{}", again.body);
            let found = client.get(bases[0], "/conversations/k")["conversation"].to_string();
            assert_eq!(found.matches(&format!("\"{key}\"")).count(), 1, "{found}");
        }

        let (url, heard) = listen();
        let webhook = json!({ "url": url }).to_string();
        assert_eq!(ask(bases[0], "/webhooks", "", &webhook).status, 201);
        let mut workers = ["w1", "w2"].map(|log| keep.spawn(log, &["worker"]));
        let mut names = BTreeSet::new();
        for number in 0..16 {
            let name = format!("d{number}");
            let body = json!({"dataset_name": name, "data_format": "openai"}).to_string();
            for tries in 0.. {
                let answer = ask(bases[number % 2], "/exports", &format!("e{number}"), &body);
                if answer.status == 202 {
                    break;
                }
                assert!(answer.status == 429 && tries < 1000, "{}", answer.body);
                std::thread::sleep(Duration::from_millis(30));
            }
            names.insert(name);
        }
        for name in &names {
            keep.wait_for(name, |job| job["state"].as_str().unwrap().starts_with("completed"));
        }
        for _ in 0..1000 {
            if heard.lock().unwrap().len() >= names.len() {
                break;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        // What would come twice has time to.
        std::thread::sleep(Duration::from_secs(3));
        let heard = heard.lock().unwrap().clone();
        let ids: BTreeSet<&String> = heard.iter().collect();
        assert_eq!((heard.len(), ids.len()), (names.len(), names.len()), "{heard:?}");
        for worker in &workers {
            signal(worker, "TERM");
        }
        for (worker, log) in workers.iter_mut().zip(["w1", "w2"]) {
            assert!(ended(worker, 20).expect("it ends").success());
            assert!(keep.said(log).contains("is done"), "{log} had nothing to do");
        }
        for server in [one, other] {
            let mut child = server.child;
            signal(&child, "TERM");
            assert!(
                ended(&mut child, 40).expect("it ends").success(),
                "{}",
                keep.said(&server.log)
            );
        }
    });
}
