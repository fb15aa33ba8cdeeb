//! A store of the test's own, of either kind, and what the binary does with it.

use std::collections::BTreeMap;
use std::fs;
use std::hash::{BuildHasher, Hasher};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::support::{Place, Ran, finish, retort, with};

/// Numbers that look like chance and can be had again.
pub struct Chance(u64);

impl Chance {
    pub fn of(seed: u64) -> Self {
        Self(seed | 1)
    }

    /// Another one each time, which is told; `RETORT_SEED` has it again.
    pub fn new() -> Self {
        let seed = match std::env::var("RETORT_SEED") {
            Ok(seed) => seed.parse().unwrap(),
            Err(_) => std::hash::RandomState::new().build_hasher().finish(),
        };
        eprintln!("RETORT_SEED={seed}");
        Self::of(seed)
    }

    pub fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 11) % end.max(1)
    }

    pub fn sentence(&mut self, words: u64) -> String {
        let word = |chance: &mut Self| format!("w{:x}", chance.below(5000));
        (0..words).map(|_| word(self)).collect::<Vec<_>>().join(" ")
    }
}

/// A history with everything in it that exports treat in a way of its own, about 4 kB a conversation.
pub fn history(count: u64, seed: u64) -> String {
    let mut chance = Chance::of(seed);
    let tools = json!([{"type": "function", "function": {"name": "f.x", "description": "d", "parameters": {"type": "object", "properties": {}}}}]);
    let calls = json!([{"id": "k", "type": "function", "function": {"name": "f.x", "arguments": "{\"a\": 1}"}}]);
    let mut text = String::new();
    for number in 0..count {
        let id = format!("c{number:05}");
        let (question, answer) = (chance.sentence(40), chance.sentence(600));
        let user = json!({"role": "user", "content": question});
        let assistant = json!({"role": "assistant", "content": answer});
        let item = match number % 20 {
            3 => {
                json!({"id": id, "type": "agent", "tools": tools, "messages": [user, {"role": "assistant", "content": "", "tool_calls": calls},
                {"role": "tool", "tool_call_id": "k", "content": "r"}, assistant]})
            }
            7 => {
                json!({"_id": id, "type": "graph", "graph_name": "g", "rounds": [{"round": 1, "node_name": "start", "messages": [user.clone()]},
                {"round": 2, "node_name": "n", "messages": [user.clone(), assistant.clone()]}, {"round": 3, "node_name": "m", "messages": [user, assistant]}]})
            }
            11 => json!({"id": id, "status": "deleted", "messages": [user, assistant]}),
            13 => json!({"id": id, "messages": [assistant, user]}),
            14 => json!({"id": id, "messages": [user]}),
            17 => json!({"messages": [user, assistant]}),
            _ => {
                json!({"id": id, "title": format!("Title {number}"), "tags": ["旅行", "a"], "model": "m",
                "created_at": "2024-03-01T00:00:00Z", "messages": [user, assistant]})
            }
        };
        text.push_str(&format!("{item}\n"));
        if number % 50 == 49 {
            // Earlier ones come again, some of them newer.
            let again = json!({"id": format!("c{:05}", number - 40), "updated_at": "2024-05-01T00:00:00Z",
                "messages": [{"role": "user", "content": "again"}, {"role": "assistant", "content": chance.sentence(300)}]});
            text.push_str(&format!("{again}\n"));
        }
    }
    text
}

/// Runs of a recipe, about 4 kB each, whose node has other variables as time goes on.
pub fn runs(count: u64, seed: u64) -> String {
    let mut chance = Chance::of(seed);
    let mut text = String::new();
    for number in 0..count {
        let mut variables =
            json!({"context": chance.sentence(300), "question": chance.sentence(20)});
        variables[format!("v{}", number / 40)] = json!(number);
        let status = if number % 9 == 0 { "running" } else { "success" };
        let nodes = json!([{"node": "answer", "prompt": "{context}: {question}", "variables": variables,
            "output": chance.sentence(200), "status": status}]);
        let run = json!({"request_id": format!("r{number:05}"), "recipe_id": "leave", "question": "q",
            "status": status, "nodes": nodes, "started_at": 1_700_000_000 + number});
        text.push_str(&format!("{run}\n"));
    }
    text
}

/// A store, a place for its datasets, and how the binary is run on them.
pub struct Keep {
    pub place: Place,
    pub settings: Vec<(String, String)>,
}

impl Keep {
    /// A store in a file, not made yet.
    pub fn sqlite() -> Self {
        let place = Place::new();
        let data = place.path("data").to_str().unwrap().to_owned();
        let keep = Self { place, settings: Vec::new() };
        keep.set("RETORT_DATA", data)
            .set("RETORT_LEASE_SECONDS", "1")
            .set("RETORT_PART_MEGABYTES", "1")
            .set("RETORT_PATIENCE_SECONDS", "2")
    }

    /// A store in a new database of PostgreSQL.
    pub fn postgres(url: String) -> Self {
        Self::sqlite().set("RETORT_STORE", url)
    }

    pub fn set(mut self, name: &str, value: impl Into<String>) -> Self {
        self.settings.push((name.to_owned(), value.into()));
        self
    }

    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = retort();
        for (name, _) in std::env::vars() {
            if name.starts_with("RETORT_") || name.starts_with("AWS_") {
                command.env_remove(name);
            }
        }
        command.envs(self.settings.iter().map(|(name, value)| (name, value)));
        command.env("XDG_CONFIG_HOME", self.place.path("config"));
        command.current_dir(self.place.0.path()).args(args);
        command
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        finish(self.command(args), Vec::new())
    }

    pub fn ok(&self, args: &[&str]) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.code, Some(0), "{args:?}: {}{}", ran.err, self.jobs_told());
        ran
    }

    fn jobs_told(&self) -> String {
        self.run(&["jobs", "list"]).out
    }

    /// Runs and expects to fail with these words, and without a bug.
    pub fn refused(&self, args: &[&str], words: &str) -> Ran {
        self.ended_with(1, args, words)
    }

    /// Expects that the arguments are taken for wrong usage.
    pub fn misused(&self, args: &[&str], words: &str) -> Ran {
        self.ended_with(2, args, words)
    }

    fn ended_with(&self, code: i32, args: &[&str], words: &str) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.code, Some(code), "{args:?}: {}", ran.err);
        assert!(ran.err.contains(words), "{args:?}: {}", ran.err);
        assert!(!ran.err.contains("bug in Retort"), "{args:?}: {}", ran.err);
        ran
    }

    /// Begins a command that is to be disturbed; what it says goes to files that [`Keep::said`] reads.
    pub fn spawn(&self, name: &str, args: &[&str]) -> Child {
        let file = || {
            let path = self.place.path(name);
            fs::OpenOptions::new().create(true).append(true).open(path).unwrap()
        };
        let mut command = self.command(args);
        command.stdin(Stdio::null()).stdout(file()).stderr(file()).spawn().unwrap()
    }

    pub fn said(&self, name: &str) -> String {
        fs::read_to_string(self.place.path(name)).unwrap()
    }

    /// All jobs, the newest first.
    pub fn jobs(&self) -> Vec<Value> {
        let told = self.ok(&["jobs", "list", "--limit", "100000", "--json"]).out;
        serde_json::from_str::<Value>(&told).unwrap().as_array().unwrap().clone()
    }

    pub fn job(&self, name: &str) -> Value {
        let jobs = self.jobs();
        let found = jobs.into_iter().find(|job| job["name"] == name);
        found.unwrap_or_else(|| panic!("no job `{name}`"))
    }

    /// Waits until a job is as wanted.
    pub fn wait_for(&self, name: &str, wanted: impl Fn(&Value) -> bool) -> Value {
        for _ in 0..4000 {
            let found = self.jobs().into_iter().find(|job| job["name"] == name);
            if let Some(job) = found.filter(|job| wanted(job)) {
                return job;
            }
            std::thread::sleep(Duration::from_millis(10));
        }
        panic!("job `{name}` stays {}", self.job(name));
    }

    fn datasets(&self) -> PathBuf {
        self.place.path("data/objects/datasets")
    }

    /// The folder of a job's objects.
    pub fn folder(&self, job: &Value) -> PathBuf {
        let end = format!("-{}", job["id"]);
        let found = fs::read_dir(self.datasets()).unwrap().map(|entry| entry.unwrap().path());
        let mut found = found.filter(|path| path.to_string_lossy().ends_with(&end));
        found.next().unwrap_or_else(|| panic!("no objects of {job}"))
    }

    /// The finished dataset of a job.
    pub fn dataset(&self, name: &str) -> BTreeMap<String, Vec<u8>> {
        let job = self.job(name);
        assert!(
            matches!(job["state"].as_str(), Some("completed" | "completed_with_skips")),
            "{job}"
        );
        assert!(job["dataset"].is_i64(), "{job}");
        package(files_below(&self.folder(&job)))
    }

    /// No dataset is seen before it is whole.
    pub fn assert_none_half_made(&self) {
        let folders = fs::read_dir(self.datasets()).into_iter().flatten();
        for folder in folders.map(|entry| entry.unwrap().path()) {
            let files = files_below(&folder);
            if let Some(manifest) = files.get("manifest.json") {
                let sums: Vec<String> = files.values().map(|bytes| sha256(bytes)).collect();
                let manifest: Value = serde_json::from_slice(manifest).unwrap();
                for file in manifest["files"].as_array().unwrap() {
                    let sum = file["sha256"].as_str().unwrap().to_owned();
                    assert!(sums.contains(&sum), "{folder:?}: {file} is not there");
                }
            }
        }
    }

    /// Every job has ended, and those with a dataset are the completed exports.
    pub fn assert_all_ended(&self) {
        for job in self.jobs() {
            let state = job["state"].as_str().unwrap();
            assert!(!matches!(state, "queued" | "running"), "{job}");
            let has_dataset = job["kind"] == "export" && state.starts_with("completed");
            assert_eq!(job["dataset"].is_i64(), has_dataset, "{job}");
        }
    }
}

pub fn files_below(folder: &Path) -> BTreeMap<String, Vec<u8>> {
    fn walk(folder: &Path, prefix: &str, files: &mut BTreeMap<String, Vec<u8>>) {
        for entry in fs::read_dir(folder).unwrap() {
            let entry = entry.unwrap();
            let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
            if entry.file_type().unwrap().is_dir() {
                walk(&entry.path(), &format!("{name}/"), files);
            } else {
                files.insert(name, fs::read(entry.path()).unwrap());
            }
        }
    }
    let mut files = BTreeMap::new();
    walk(folder, "", &mut files);
    files
}

pub fn sha256(bytes: &[u8]) -> String {
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}

/// The files of a dataset by their paths in the package, which are all the objects there are: each has its bytes by
/// the receipt, whatever its key.
pub fn package(mut objects: BTreeMap<String, Vec<u8>>) -> BTreeMap<String, Vec<u8>> {
    let receipt = objects.remove("manifest.json").expect("a receipt");
    let manifest: Value = serde_json::from_slice(&receipt).unwrap();
    let mut files = BTreeMap::new();
    for file in manifest["files"].as_array().unwrap() {
        let (path, sum) = (file["path"].as_str().unwrap(), file["sha256"].as_str().unwrap());
        let key = if objects.contains_key(path) {
            path.to_owned()
        } else {
            let found = objects.iter().find(|(_, bytes)| sha256(bytes) == sum);
            found.unwrap_or_else(|| panic!("`{path}` is missing")).0.clone()
        };
        let bytes = objects.remove(&key).unwrap();
        assert_eq!(sha256(&bytes), sum, "{path}");
        files.insert(path.to_owned(), bytes);
    }
    let left: Vec<_> = objects.keys().collect();
    assert!(left.is_empty(), "objects that are no files of the dataset: {left:?}");
    files.insert("manifest.json".into(), receipt);
    files
}

/// A dataset but for its name and the moment of its selection.
pub fn nameless(mut files: BTreeMap<String, Vec<u8>>, name: &str) -> BTreeMap<String, Vec<u8>> {
    for (path, bytes) in &mut files {
        if !matches!(&**path, "README.md" | "dataset_info.json" | "manifest.json") {
            continue;
        }
        let text = String::from_utf8(bytes.clone()).unwrap().replace(name, "NAME");
        *bytes = text.into_bytes();
        if path == "manifest.json" {
            let manifest: Value = serde_json::from_slice(bytes).unwrap();
            let mut manifest = with(manifest, "snapshot", Value::Null);
            for file in manifest["files"].as_array_mut().unwrap() {
                if matches!(file["path"].as_str(), Some("README.md" | "dataset_info.json")) {
                    *file = file["path"].clone();
                }
            }
            *bytes = serde_json::to_vec(&manifest).unwrap();
        }
    }
    files
}

/// Two datasets are the same but for name and moment.
pub fn assert_same(
    (name, files): (&str, BTreeMap<String, Vec<u8>>),
    (like, others): (&str, BTreeMap<String, Vec<u8>>),
) {
    let (files, others) = (nameless(files, name), nameless(others, like));
    assert!(files.keys().eq(others.keys()), "{:?} and {:?}", files.keys(), others.keys());
    for ((path, bytes), other) in files.iter().zip(others.values()) {
        let text =
            |bytes: &[u8]| String::from_utf8_lossy(&bytes[..bytes.len().min(4000)]).into_owned();
        assert!(bytes == other, "{path} of {name} and {like}:\n{}\n{}", text(bytes), text(other));
    }
}

/// Ends a child at once, as a crash does.
pub fn kill(mut child: Child) {
    child.kill().unwrap();
    child.wait().unwrap();
}

/// Sends a signal by name.
pub fn signal(child: &Child, name: &str) {
    let done = Command::new("kill").arg(format!("-{name}")).arg(child.id().to_string()).status();
    assert!(done.unwrap().success());
}
