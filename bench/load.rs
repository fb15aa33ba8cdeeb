//! Asks a running server as many people at once would: readers that list, open and look, and exporters that have
//! datasets made, follow them, download and delete them.
//!
//!     load-server http://127.0.0.1:8610 TOKENS [--secret SECRET] [--readers 200] [--exporters 8] [--seconds 120]
//!                 [--pause-ms 500] [--warm 5] [--export-limit 20000] [--pid PID]
//!
//! TOKENS is a file with a token a line, the first an owner's. If it is not there, it is made: who signs in with the
//! SECRET of a one-time link invites `p0@example.org` and so on, and each makes a token.

#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "a measurement reads the clock")]

use std::collections::BTreeMap;
use std::error::Error;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use reqwest::{Client, Method, RequestBuilder};
use serde_json::{Value, json};

type Failure = Box<dyn Error + Send + Sync>;

/// People beside the owner.
const PEOPLE: usize = 8;

const SEARCHES: [&str; 4] = ["weather", "server request", "旅行", "a"];

/// How long each request took, by what was asked.
type Times = BTreeMap<&'static str, Vec<Duration>>;

struct Load {
    base: String,
    client: Client,
    tokens: Vec<String>,
    /// From when on times count, once everyone has begun.
    counts: Instant,
    ends: Instant,
    pause: Duration,
    export_limit: u64,
    errors: Mutex<Vec<String>>,
    bytes: AtomicU64,
    exports: AtomicU64,
}

fn main() -> Result<(), Failure> {
    tokio::runtime::Runtime::new()?.block_on(run())
}

async fn run() -> Result<(), Failure> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let option = |name: &str| {
        let at = args.iter().position(|arg| arg == name);
        at.and_then(|at| args.get(at + 1)).cloned()
    };
    let number = |name: &str, without: u64| {
        option(name)
            .map_or(Ok(without), |text| text.parse::<u64>())
            .map_err(|_| format!("{name} N"))
    };
    let [base, file, ..] = &args[..] else {
        return Err("Usage: load-server URL TOKENS …".into());
    };
    let client = Client::builder()
        .tls_backend_preconfigured(retort_service::client_tls())
        .no_proxy()
        .pool_max_idle_per_host(1024)
        .build()?;
    if !std::path::Path::new(file).is_file() {
        let secret = option("--secret").ok_or("there is no file of tokens: give a --secret")?;
        std::fs::write(file, make_people(&client, base, &secret).await?.join("\n"))?;
    }
    let seconds = number("--seconds", 120)?;
    let began = Instant::now();
    let load = Arc::new(Load {
        base: format!("{base}/api/v1"),
        client,
        tokens: std::fs::read_to_string(file)?.lines().map(str::to_owned).collect(),
        counts: began + Duration::from_secs(number("--warm", 5)?),
        ends: began + Duration::from_secs(seconds),
        pause: Duration::from_millis(number("--pause-ms", 500)?),
        export_limit: number("--export-limit", 20_000)?,
        errors: Mutex::default(),
        bytes: AtomicU64::new(0),
        exports: AtomicU64::new(0),
    });
    let mut tasks = Vec::new();
    for reader in 0..number("--readers", 200)? {
        tasks.push(tokio::spawn(read(Arc::clone(&load), reader)));
    }
    for exporter in 0..number("--exporters", 8)? {
        tasks.push(tokio::spawn(export(Arc::clone(&load), exporter)));
    }
    let watching = option("--pid").map(|pid| tokio::spawn(watch(pid, load.ends)));
    let mut all = Times::new();
    for task in tasks {
        for (name, times) in task.await? {
            all.entry(name).or_default().extend(times);
        }
    }
    let took = load.counts.elapsed().as_secs_f64();
    println!(
        "{:<34} {:>8} {:>9} {:>9} {:>9} {:>9}",
        "", "count", "p50 ms", "p95 ms", "p99 ms", "most ms"
    );
    let mut count = 0;
    for (name, times) in &mut all {
        times.sort();
        count += times.len();
        let at = |part: usize| times[(times.len() - 1) * part / 100].as_secs_f64() * 1000.0;
        println!(
            "{name:<34} {:>8} {:>9.1} {:>9.1} {:>9.1} {:>9.1}",
            times.len(),
            at(50),
            at(95),
            at(99),
            at(100)
        );
    }
    println!(
        "{count} requests in {took:.0} s: {:.0} a second; {} exports, {} MB downloaded",
        f64::from(u32::try_from(count)?) / took,
        load.exports.load(Ordering::Relaxed),
        load.bytes.load(Ordering::Relaxed) >> 20
    );
    if let Some(watching) = watching {
        let (anonymous, whole) = watching.await?;
        println!(
            "memory: {} MB of its own at most, {} MB with mapped files",
            anonymous >> 10,
            whole >> 10
        );
    }
    let errors = load.errors.lock().expect("no panic").clone();
    println!("{} errors", errors.len());
    errors.iter().take(10).for_each(|error| println!("  {error}"));
    if errors.is_empty() { Ok(()) } else { Err("there were errors".into()) }
}

/// Tokens of the owner and of others, who are brought in.
async fn make_people(client: &Client, base: &str, secret: &str) -> Result<Vec<String>, Failure> {
    let post = async |path: &str, body: Value, session: Option<&(String, String)>| {
        let mut request = client.post(format!("{base}/api/v1{path}")).json(&body);
        if let Some((cookie, csrf)) = session {
            request = request.header("cookie", cookie).header("x-csrf-token", csrf);
        }
        let answer = request.send().await?.error_for_status()?;
        let cookie = answer.headers().get("set-cookie").and_then(|value| value.to_str().ok());
        let cookie = cookie.unwrap_or_default().split(';').next().unwrap_or_default().to_owned();
        Ok::<(String, Value), Failure>((cookie, answer.json().await?))
    };
    let csrf = |body: &Value| body["csrf"].as_str().unwrap_or_default().to_owned();
    let (cookie, begun) = post("/session/link", json!({ "secret": secret }), None).await?;
    let owner = (cookie, csrf(&begun));
    let mut sessions = vec![owner.clone()];
    for number in 0..PEOPLE {
        let role = if number % 2 == 0 { "admin" } else { "member" };
        let asked = json!({"role": role, "name": format!("p{number}@example.org")});
        let (_, invited) = post("/invitations", asked, Some(&owner)).await?;
        let accepted = json!({"secret": invited["secret"], "password": "long enough for a bench"});
        let (cookie, begun) = post("/invitations/accept", accepted, None).await?;
        sessions.push((cookie, csrf(&begun)));
    }
    let mut tokens = Vec::new();
    for session in &sessions {
        let asked = json!({"name": "load", "scopes": ["read", "write", "export"], "days": 30});
        let (_, token) = post("/tokens", asked, Some(session)).await?;
        tokens.push(token["token"].as_str().unwrap_or_default().to_owned());
    }
    Ok(tokens)
}

/// Someone's requests, timed.
struct Person {
    load: Arc<Load>,
    token: String,
    times: Times,
}

impl Person {
    fn new(load: &Arc<Load>, number: u64) -> Self {
        let which = usize::try_from(number).unwrap_or(0) % load.tokens.len();
        Self { load: Arc::clone(load), token: load.tokens[which].clone(), times: Times::new() }
    }

    fn request(&self, method: Method, path: &str) -> RequestBuilder {
        let url = format!("{}{path}", self.load.base);
        self.load.client.request(method, url).bearer_auth(&self.token)
    }

    /// Asks, reads the answer to its end, and takes the time of it. None is an error that was noted.
    async fn ask(&mut self, name: &'static str, request: RequestBuilder) -> Option<Vec<u8>> {
        let began = Instant::now();
        let answer = async {
            let answer = request.send().await.map_err(|error| format!("{error:?}"))?;
            let status = answer.status();
            let bytes = answer.bytes().await.map_err(|error| format!("{error:?}"))?;
            if status.is_success() {
                return Ok(bytes.to_vec());
            }
            Err(format!("{status}: {}", String::from_utf8_lossy(&bytes)))
        };
        match answer.await {
            Ok(bytes) => {
                if began >= self.load.counts {
                    self.times.entry(name).or_default().push(began.elapsed());
                }
                Some(bytes)
            }
            Err(error) => {
                self.load.errors.lock().expect("no panic").push(format!("{name}: {error}"));
                None
            }
        }
    }

    async fn json(&mut self, name: &'static str, request: RequestBuilder) -> Option<Value> {
        let bytes = self.ask(name, request).await?;
        serde_json::from_slice(&bytes).ok()
    }
}

/// Numbers that look like chance.
struct Chance(u64);

impl Chance {
    fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end.max(1)
    }

    fn one_of<'t>(&mut self, of: &[&'t str]) -> &'t str {
        let which = usize::try_from(self.below(of.len() as u64)).unwrap_or(0);
        of[which]
    }
}

async fn read(load: Arc<Load>, number: u64) -> Times {
    let mut person = Person::new(&load, number);
    let mut chance = Chance(0x9E37_79B9_7F4A_7C15 ^ (number + 1));
    let mut next: Option<(String, String)> = None;
    let mut ids: Vec<String> = Vec::new();
    // They do not all begin at once.
    pause(&mut chance, load.pause).await;
    while Instant::now() < load.ends {
        match chance.below(100) {
            0..70 => {
                let (filter, after) = match next.take().filter(|_| chance.below(2) == 0) {
                    Some((filter, after)) => (filter, format!("&after={after}")),
                    None => (filter(&mut chance), String::new()),
                };
                let path = format!("/conversations?{filter}{after}");
                let request = person.request(Method::GET, &path);
                let Some(page) = person.json("GET /conversations", request).await else { continue };
                let found = page["conversations"].as_array().into_iter().flatten();
                ids = found.filter_map(|one| one["id"].as_str().map(str::to_owned)).collect();
                next = page["next"].as_str().map(|after| (filter, after.to_owned()));
            }
            70..85 => {
                let which = usize::try_from(chance.below(ids.len() as u64)).unwrap_or(0);
                let Some(id) = ids.get(which) else { continue };
                let request = person.request(Method::GET, &format!("/conversations/{id}"));
                person.ask("GET /conversations/{id}", request).await;
            }
            85..91 => {
                let request = person.request(Method::GET, "/exports");
                person.ask("GET /exports", request).await;
            }
            91..97 => {
                let request = person.request(Method::GET, "/datasets");
                person.ask("GET /datasets", request).await;
            }
            _ => {
                let path = format!("/conversations/count?{}", days(&mut chance));
                let request = person.request(Method::GET, &path);
                person.ask("GET /conversations/count", request).await;
            }
        }
        pause(&mut chance, load.pause).await;
    }
    person.times
}

/// About so long, from half to one and a half of it.
async fn pause(chance: &mut Chance, about: Duration) {
    let micros = u64::try_from(about.as_micros()).unwrap_or(u64::MAX);
    tokio::time::sleep(Duration::from_micros(micros / 2 + chance.below(micros + 1))).await;
}

/// A month's conversations.
fn days(chance: &mut Chance) -> String {
    let (year, month) = (2019 + chance.below(6), 1 + chance.below(11));
    format!("created_from={year}-{month:02}-01&created_before={year}-{:02}-01", month + 1)
}

fn filter(chance: &mut Chance) -> String {
    let mut parts =
        vec![format!("limit={}", [20, 50, 100][usize::try_from(chance.below(3)).unwrap_or(0)])];
    match chance.below(10) {
        0..4 => {}
        4..6 => parts.push(format!("search={}", chance.one_of(&SEARCHES).replace(' ', "%20"))),
        6 => parts.push(days(chance)),
        7 => parts.push(format!("type={}", chance.one_of(&["chat", "agent", "graph"]))),
        8 => parts.push(format!("status={}", chance.one_of(&["favorite", "active", "deleted"]))),
        _ => parts.push(format!("sort={}", chance.one_of(&["oldest", "changed"]))),
    }
    parts.join("&")
}

async fn export(load: Arc<Load>, number: u64) -> Times {
    let mut person = Person::new(&load, number + 1);
    let run = std::process::id();
    for round in 0.. {
        if Instant::now() >= load.ends {
            break;
        }
        let (data, file) =
            [("openai", "jsonl"), ("standard", "parquet"), ("standard", "csv")][round % 3];
        let asked = json!({"dataset_name": format!("load-{run}-{number}-{round}"), "data_format": data,
            "file_format": file, "selection": {"limit": load.export_limit}});
        let request = person.request(Method::POST, "/exports").json(&asked);
        let Some(job) = person.json("POST /exports", request).await else { break };
        let request = person.request(Method::GET, &format!("/exports/{}/events", job["id"]));
        let Some(events) = person.ask("GET /exports/{id}/events, to the end", request).await else {
            break;
        };
        let events = String::from_utf8_lossy(&events).into_owned();
        let last = events.rsplit_once("data: ").map_or("", |(_, last)| last);
        let job: Value = serde_json::from_str(last.trim()).unwrap_or_default();
        let Some(dataset) = job["dataset"].as_i64() else {
            // What the limit leaves to a member may be nothing.
            person.load.errors.lock().expect("no panic").push(format!("an export ended so: {job}"));
            break;
        };
        load.exports.fetch_add(1, Ordering::Relaxed);
        let request = person.request(Method::GET, &format!("/datasets/{dataset}/preview"));
        person.ask("GET /datasets/{id}/preview", request).await;
        let request = person.request(Method::GET, &format!("/datasets/{dataset}/download"));
        if let Some(bytes) = person.ask("GET /datasets/{id}/download", request).await {
            load.bytes.fetch_add(bytes.len() as u64, Ordering::Relaxed);
        }
        let request = person.request(Method::DELETE, &format!("/datasets/{dataset}"));
        person.ask("DELETE /datasets/{id}", request).await;
    }
    person.times
}

/// The most memory of a process in kilobytes: its own, and with mapped files.
async fn watch(pid: String, ends: Instant) -> (u64, u64) {
    let mut most = (0, 0);
    while Instant::now() < ends {
        let status = std::fs::read_to_string(format!("/proc/{pid}/status")).unwrap_or_default();
        let of = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
            number.unwrap_or(0)
        };
        most = (most.0.max(of("RssAnon:")), most.1.max(of("VmRSS:")));
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    most
}
