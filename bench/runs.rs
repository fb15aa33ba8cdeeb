//! Invents runs of copilots and recipes, and times what a store does with them: pages, counts, charts and the export
//! of the most recent.
//!
//!     measure-runs generate COUNT > runs.jsonl
//!     measure-runs times STORE [PROJECT]

#![allow(clippy::expect_used, clippy::disallowed_methods, reason = "a measurement reads the clock")]

use std::error::Error;
use std::io::{BufWriter, Write};
use std::time::{Duration, Instant};

use retort_model::{ItemKind, Purpose, RunFilter, RunSource, RunStatus, Time};
use retort_service::{
    Caller, Clock, DatasetPlan, ExportOptions, ExportRequest, Nobody, Quotas, Retention, RunOrder,
    Service, Settings, Wanted,
};

const TIMES: usize = 21;
const PAGE: usize = 50;

/// Runs that the limited export takes.
const MOST_RECENT: u64 = 10_000;

struct Now;

impl Clock for Now {
    fn now(&self) -> Time {
        let since = std::time::UNIX_EPOCH.elapsed().expect("after 1970");
        Time::from_epoch_ms(i64::try_from(since.as_millis()).expect("not so late")).expect("a time")
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let args: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = args.iter().map(String::as_str).collect();
    match words.as_slice() {
        ["generate", count] => generate(count.parse()?),
        ["times", store] => times(store, "default"),
        ["times", store, project] => times(store, project),
        _ => Err("Usage: measure-runs generate COUNT | measure-runs times STORE [PROJECT]".into()),
    }
}

/// Numbers that look random and are the same each time (SplitMix64).
struct Dice(u64);

impl Dice {
    fn below(&mut self, bound: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut mixed = self.0;
        mixed = (mixed ^ (mixed >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed ^ (mixed >> 31)) % bound
    }

    fn pick<'t>(&mut self, of: &[&'t str]) -> &'t str {
        let at = usize::try_from(self.below(of.len() as u64)).unwrap_or_default();
        of.get(at).copied().unwrap_or_default()
    }

    fn sentence(&mut self, words: u64) -> String {
        let words: Vec<&str> = (0..words).map(|_| self.pick(WORDS)).collect();
        words.join(" ")
    }
}

const WORDS: &[&str] = &[
    "account",
    "address",
    "answer",
    "balance",
    "billing",
    "cancel",
    "change",
    "charge",
    "contract",
    "customer",
    "date",
    "delay",
    "delivery",
    "department",
    "document",
    "email",
    "error",
    "invoice",
    "late",
    "letter",
    "limit",
    "loan",
    "meeting",
    "missing",
    "number",
    "offer",
    "order",
    "parcel",
    "password",
    "payment",
    "policy",
    "price",
    "question",
    "refund",
    "report",
    "return",
    "server",
    "shipping",
    "summary",
    "ticket",
    "travel",
    "update",
    "user",
    "wait",
    "warranty",
    "week",
    "Rechnung",
    "Lieferung",
    "Ärger",
    "注文",
    "旅行",
    "счёт",
];
const NODES: &[(&str, &str)] = &[
    ("route", "model-call"),
    ("retrieve", "retrieval"),
    ("rerank", "tool"),
    ("lookup", "tool"),
    ("draft", "model-call"),
    ("check", "agent"),
];

fn generate(count: u64) -> Result<(), Box<dyn Error>> {
    let mut out = BufWriter::new(std::io::stdout().lock());
    let mut dice = Dice(1);
    for number in 0..count {
        // Half of all are of the first copilot.
        let flow = if dice.below(2) == 0 { 0 } else { dice.below(20) };
        let of = if flow % 2 == 0 { "copilot" } else { "recipe" };
        // Two years, in order, but for a few that come late.
        let late = if dice.below(100) == 0 { dice.below(86_400_000) } else { 0 };
        let began = 1_640_995_200_000 + number * 63_072_000_000 / count - late;
        let took = 200 + dice.below(3000) * dice.below(8);
        let status = match dice.below(100) {
            0..5 => "failure",
            5 => "running",
            6 => "cancelled",
            _ => "success",
        };
        let question = dice.sentence(8);
        let mut nodes = Vec::new();
        for (node, kind) in NODES {
            if dice.below(4) == 0 {
                continue;
            }
            let (input, output) = (dice.sentence(12), dice.sentence(25));
            nodes.push(serde_json::json!({
                "node": node, "kind": kind, "status": "success", "model": "small-1",
                "prompt": format!("You are {node}. {input}"), "variables": {"question": question},
                "input": {"question": question}, "output": output,
                "usage": {"input_tokens": 40 + dice.below(400), "output_tokens": dice.below(300)},
            }));
        }
        let mut run = serde_json::json!({
            "request_id": format!("req-{number:012x}"),
            format!("{of}_id"): format!("{of}-{flow}"),
            "version": format!("v{}", dice.below(5)),
            "owner": format!("p{}@example.org", dice.below(100)),
            "thread": format!("t-{}", number / 4),
            "question": question,
            "status": status,
            "started_at": began,
            "nodes": nodes,
        });
        let Some(fields) = run.as_object_mut() else { continue };
        if status != "running" {
            fields.insert("finished_at".into(), (began + took).into());
        }
        if status == "failure" {
            fields.insert("error".into(), format!("timeout in {}", dice.sentence(2)).into());
        } else {
            fields.insert("answer".into(), dice.sentence(40).into());
        }
        if dice.below(10) == 0 {
            fields.insert("feedback".into(), serde_json::json!({"rating": dice.below(2)}));
        }
        serde_json::to_writer(&mut out, &run)?;
        writeln!(out)?;
    }
    Ok(out.flush()?)
}

fn times(store: &str, project: &str) -> Result<(), Box<dyn Error>> {
    let objects = std::env::temp_dir().join(format!("measure-runs-{}", std::process::id()));
    let settings = Settings {
        store: store.to_owned(),
        objects: objects.to_string_lossy().into_owned(),
        worker: "measure".into(),
        identity: String::new(),
        lease: Duration::from_secs(60),
        patience: Duration::from_secs(1),
        threads: 2,
        part_bytes: retort_model::bounds::PART_BYTES,
        retention: Retention::default(),
        quotas: Quotas::default(),
        models: std::collections::BTreeMap::new(),
        benchmarks: std::collections::BTreeMap::new(),
        recognisers: std::collections::BTreeMap::new(),
        signing_key: None,
        destinations: Default::default(),
    };
    let service = Service::open(settings, Box::new(Now), false)?;
    let project = service.project(project)?;
    let caller = Caller::local(&project);
    let flow = || RunFilter {
        source: Some(RunSource::Copilot),
        flow: Some("copilot-0".into()),
        ..RunFilter::default()
    };
    let search = |text: &str| RunFilter { search: vec![text.into()], ..flow() };
    let filters = [
        ("all", RunFilter::default()),
        ("a copilot", flow()),
        ("its failures", RunFilter { statuses: vec![RunStatus::Failure], ..flow() }),
        ("an old month", RunFilter { started: "2022-03-01..2022-04-01".parse()?, ..flow() }),
        ("one version", RunFilter { versions: vec!["v3".into()], ..flow() }),
        ("through a node", RunFilter { node: Some("check".into()), ..flow() }),
        ("with feedback", RunFilter { has_feedback: Some(true), ..flow() }),
        ("often found", search("invoice")),
        ("found in one", search("req-00000000beef")),
        ("never found", search("zzzz")),
    ];
    println!(
        "{:>9} {:>9} {:>9} {:>9} {:>9}  {:>9}",
        "first ms", "next ms", "count ms", "facts ms", "p99 ms", "found"
    );
    for (name, selection) in &filters {
        let order = RunOrder::Newest;
        let page = service.runs(&caller, selection, order, None, PAGE)?;
        let found = service.count_runs(&caller, selection)?;
        let first = timed(TIMES, || service.runs(&caller, selection, order, None, PAGE).map(drop))?;
        let next = timed(TIMES, || {
            service.runs(&caller, selection, order, page.next.clone(), PAGE).map(drop)
        })?;
        let count = timed(5, || service.count_runs(&caller, selection).map(drop))?;
        let facts = timed(5, || service.run_charts(&caller, selection).map(drop))?;
        println!(
            "{:>9.2} {:>9.2} {:>9.2} {:>9.2} {:>9.2}  {found:>9}  {name}",
            first.0, next.0, count.0, facts.0, first.1
        );
    }
    let flows = timed(5, || service.flows(&caller, None).map(drop))?;
    let parts = timed(5, || service.flow(&caller, None, "copilot-0").map(drop))?;
    println!("flows: {:.2} ms; one of them with versions and nodes: {:.2} ms", flows.0, parts.0);
    for purpose in [Purpose::ExportDataset, Purpose::RecipeEvaluation, Purpose::FineTuning] {
        let began = Instant::now();
        let request = ExportRequest {
            selection: RunFilter { limit: Some(MOST_RECENT), ..flow() }.into(),
            dataset: plan(purpose)?,
        };
        let job = service.submit_export(&caller, &request)?;
        let asked = began.elapsed();
        let running = std::sync::atomic::AtomicBool::new(false);
        let Some((_, done)) = service.work_one(Wanted::One(job), &Nobody, &running)? else {
            return Err("someone else does the job".into());
        };
        done?;
        let whole = began.elapsed();
        let dataset = service.job(&caller, job)?.dataset.ok_or("no dataset")?;
        let dataset = service.delete_dataset(&caller, dataset)?;
        println!(
            "export of the most recent {MOST_RECENT} as {purpose}: asked for in {} ms, done in {} ms, {} records",
            asked.as_millis(),
            whole.as_millis(),
            dataset.records
        );
    }
    std::fs::remove_dir_all(&objects)?;
    Ok(())
}

fn plan(purpose: Purpose) -> Result<DatasetPlan, Box<dyn Error>> {
    let options = ExportOptions::default().with("purpose", purpose.as_str())?;
    let name = format!("measured {purpose}").parse()?;
    Ok(options.resolve(name, Some(ItemKind::Run))?)
}

/// Milliseconds: the median, and the longest but for one of a hundred.
fn timed<E>(times: usize, mut act: impl FnMut() -> Result<(), E>) -> Result<(f64, f64), E> {
    let mut all = Vec::with_capacity(times);
    for _ in 0..times {
        let began = Instant::now();
        act()?;
        all.push(began.elapsed().as_secs_f64() * 1000.0);
    }
    all.sort_by(f64::total_cmp);
    let at = |part: usize| all.get((all.len() - 1) * part / 100).copied().unwrap_or_default();
    Ok((at(50), at(99)))
}
