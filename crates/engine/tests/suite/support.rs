//! Conversations in the shape of `openai`, and plans for them in a folder of their own.

use std::fs;
use std::path::PathBuf;
use std::sync::atomic::AtomicBool;

use retort_engine::pipeline::Nobody;
use retort_engine::{ByKind, ConvertPlan, Error, ExportOptions, Input, Package, Report, convert};
use serde_json::{Value, json};
use tempfile::TempDir;

/// A folder that a test works in.
pub struct Bench {
    folder: TempDir,
}

impl Bench {
    pub fn new() -> Self {
        Self { folder: TempDir::new().unwrap() }
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.folder.path().join(name)
    }

    /// A plan for the inputs, to a package called `out` in the folder, with options as the command line takes them.
    pub fn plan(&self, inputs: Vec<Input>, options: &[(&str, &str)]) -> ConvertPlan {
        let options = options
            .iter()
            .try_fold(ExportOptions::default(), |options, (name, value)| options.with(name, value));
        let plan = ConvertPlan::new(inputs, &options.unwrap(), "data".parse().unwrap()).unwrap();
        ConvertPlan {
            by_kind: ByKind::default(),
            output: self.path("out"),
            shard_bytes: 1 << 30,
            threads: 2,
            ..plan
        }
    }
}

/// Lines as an input that is called `chats.jsonl`.
pub fn lines(rows: &[Value]) -> Input {
    let text: String = rows.iter().map(|row| format!("{row}\n")).collect();
    Input::Bytes(text.into_bytes().into(), "chats.jsonl".into())
}

/// A conversation that can be trained on.
pub fn chat(id: &str) -> Value {
    json!({"id": id, "messages": [
        {"role": "user", "content": format!("Where is {id}?")},
        {"role": "assistant", "content": format!("{id} is here.")},
    ]})
}

pub fn chats(count: usize) -> Vec<Value> {
    (0..count).map(|number| chat(&format!("c{number}"))).collect()
}

/// A conversation without an answer, which training formats leave out.
pub fn question(id: &str) -> Value {
    json!({"id": id, "messages": [{"role": "user", "content": "Is anybody there?"}]})
}

/// Carries a plan out, with the lines of its rejects.
pub fn run(plan: &ConvertPlan) -> (Result<Report, Error>, Vec<Value>) {
    let mut rejects = Vec::new();
    let report = convert(plan, &Nobody, &AtomicBool::new(false), &mut rejects);
    let rejects = String::from_utf8(rejects).unwrap();
    (report, rejects.lines().map(|line| serde_json::from_str(line).unwrap()).collect())
}

/// The records of a package whose data file is JSON Lines.
pub fn records(plan: &ConvertPlan) -> Vec<Value> {
    let text = fs::read_to_string(plan.output.join("conversations.jsonl")).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// What the first message of a record says.
pub fn asked(record: &Value) -> &str {
    record["messages"][0]["content"].as_str().unwrap()
}

/// Converts bytes as a file of this name, compares how many items were read and refused, and returns what the first message
/// of each record says.
pub fn asked_in_file(bytes: Vec<u8>, name: &str, counts: (u64, u64)) -> Vec<String> {
    let bench = Bench::new();
    let input = Input::Bytes(bytes.into(), name.into());
    let plan = bench.plan(vec![input], &[("data_format", "openai")]);
    let (report, rejects) = run(&plan);
    let account = report.unwrap().found.account;
    assert_eq!((account.read, account.refused), counts, "{name}: {rejects:?}");
    records(&plan).iter().map(|record| asked(record).to_owned()).collect()
}

/// All files of a package, by name.
pub fn files(plan: &ConvertPlan) -> Vec<(String, Vec<u8>)> {
    let names = Package::open(&plan.output).unwrap().names().unwrap();
    names
        .into_iter()
        .map(|name| {
            let bytes = fs::read(plan.output.join(&name)).unwrap();
            (name, bytes)
        })
        .collect()
}
