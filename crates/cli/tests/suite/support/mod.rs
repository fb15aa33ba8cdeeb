//! Runs the built binary on histories made here, in a folder of its own.

#[cfg(unix)]
pub mod asking;
#[cfg(unix)]
pub mod bucket;
pub mod http;
pub mod hub;
pub mod keeping;

use std::collections::BTreeMap;
use std::ffi::OsStr;
use std::fs::{self, File};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::Duration;

use serde_json::{Value, json};
use tempfile::TempDir;

pub struct Ran {
    pub code: Option<i32>,
    pub out: String,
    pub err: String,
}

pub fn command(program: impl AsRef<OsStr>) -> Command {
    let mut command = Command::new(program);
    command.env_remove("SOURCE_DATE_EPOCH").env("RUST_BACKTRACE", "0");
    command
}

pub fn retort() -> Command {
    command(env!("CARGO_BIN_EXE_retort"))
}

/// The status of a child that ends within some seconds; one that does not is killed.
pub fn ended(child: &mut Child, seconds: u32) -> Option<ExitStatus> {
    for _ in 0..seconds * 100 {
        if let Some(status) = child.try_wait().unwrap() {
            return Some(status);
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    child.kill().unwrap();
    child.wait().unwrap();
    None
}

/// Runs a command with these bytes on its standard input.
pub fn finish(mut command: Command, input: Vec<u8>) -> Ran {
    let (mut out, mut err) = (tempfile::tempfile().unwrap(), tempfile::tempfile().unwrap());
    command.stdin(Stdio::piped()).stdout(out.try_clone().unwrap()).stderr(err.try_clone().unwrap());
    let mut child = command.spawn().unwrap();
    let mut stdin = child.stdin.take().unwrap();
    let feeder = std::thread::spawn(move || {
        let _ = stdin.write_all(&input);
    });
    let status =
        ended(&mut child, 60).unwrap_or_else(|| panic!("{command:?} did not end within a minute"));
    feeder.join().unwrap();
    let text = |file: &mut File| {
        let mut bytes = Vec::new();
        std::io::Seek::rewind(file).unwrap();
        file.read_to_end(&mut bytes).unwrap();
        String::from_utf8(bytes).unwrap()
    };
    Ran { code: status.code(), out: text(&mut out), err: text(&mut err) }
}

pub struct Place(pub TempDir);

impl Place {
    pub fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    pub fn path(&self, name: &str) -> PathBuf {
        self.0.path().join(name)
    }

    pub fn file(&self, name: &str, bytes: impl AsRef<[u8]>) -> PathBuf {
        let path = self.path(name);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(&path, bytes).unwrap();
        path
    }

    /// A run with a store of its own in `data`, and no settings but these.
    pub fn command(&self, args: &[&str]) -> Command {
        let mut command = retort();
        for (name, _) in std::env::vars().filter(|(name, _)| name.starts_with("RETORT_")) {
            command.env_remove(name);
        }
        command.env("RETORT_DATA", self.path("data")).env("XDG_CONFIG_HOME", self.path("config"));
        command.current_dir(self.0.path()).args(args);
        command
    }

    pub fn run_on(&self, args: &[&str], input: Vec<u8>) -> Ran {
        finish(self.command(args), input)
    }

    /// As [`Place::run`], with variables of the environment.
    pub fn run_with(&self, variables: &[(&str, &str)], args: &[&str]) -> Ran {
        let mut command = self.command(args);
        command.envs(variables.iter().copied());
        finish(command, Vec::new())
    }

    pub fn run(&self, args: &[&str]) -> Ran {
        self.run_on(args, Vec::new())
    }

    /// Runs and expects success.
    pub fn ok(&self, args: &[&str]) -> Ran {
        let ran = self.run(args);
        assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.err);
        ran
    }

    /// Runs and expects to be refused with these words.
    pub fn refused(&self, args: &[&str], words: &str) -> Ran {
        let ran = self.run(args);
        assert!(matches!(ran.code, Some(1 | 2)), "{args:?} ended with {:?}: {}", ran.code, ran.err);
        assert!(ran.err.contains(words), "{args:?}: {}", ran.err);
        ran
    }

    /// Runs, expects success, and reads what was printed.
    pub fn printed(&self, args: &[&str]) -> Value {
        let ran = self.ok(args);
        serde_json::from_str(&ran.out)
            .unwrap_or_else(|error| panic!("{args:?}: {error}: {}", ran.out))
    }

    /// The ids that a list shows.
    pub fn listed(&self, args: &[&str]) -> Vec<String> {
        let ran = self.ok(&[&["list", "--lines", "--all"], args].concat());
        rows(&ran.out).iter().map(|row| row["id"].as_str().unwrap().to_owned()).collect()
    }

    /// The files of a dataset, as its archive has them.
    pub fn downloaded(&self, dataset: &str) -> BTreeMap<String, Vec<u8>> {
        let path = self.path("downloaded.zip");
        self.ok(&["datasets", "download", dataset, "-q", "--force", "-o", path.to_str().unwrap()]);
        unzip(&path)
    }

    pub fn json(&self, name: &str) -> Value {
        serde_json::from_slice(&fs::read(self.path(name)).unwrap()).unwrap()
    }

    pub fn rows(&self, name: &str) -> Vec<Value> {
        rows(&fs::read_to_string(self.path(name)).unwrap())
    }

    pub fn bytes(&self, name: &str) -> Vec<u8> {
        fs::read(self.path(name)).unwrap()
    }

    /// Names of all files and folders below, with `/`.
    pub fn names(&self, below: &str) -> Vec<String> {
        fn walk(folder: &Path, prefix: &str, names: &mut Vec<String>) {
            for entry in fs::read_dir(folder).unwrap() {
                let entry = entry.unwrap();
                let name = format!("{prefix}{}", entry.file_name().to_string_lossy());
                if entry.file_type().unwrap().is_dir() {
                    walk(&entry.path(), &format!("{name}/"), names);
                }
                names.push(name);
            }
        }
        let mut names = Vec::new();
        walk(&self.path(below), "", &mut names);
        names.sort();
        names
    }
}

pub fn rows(text: &str) -> Vec<Value> {
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// The ids of `standard` rows.
pub fn ids(rows: &[Value]) -> Vec<String> {
    rows.iter().map(|row| row["conversation_id"].as_str().unwrap().to_owned()).collect()
}

/// A chat of one question and answer.
pub fn chat(id: &str) -> Value {
    json!({"id": id, "messages": [{"role": "user", "content": format!("question {id}")}, {"role": "assistant", "content": "answer"}]})
}

/// As [`chat`], about so many bytes long.
pub fn long_chat(id: &str, bytes: usize) -> Value {
    let mut chat = chat(id);
    chat["messages"][1]["content"] = json!("word ".repeat(bytes / 5));
    chat
}

pub fn with(mut value: Value, key: &str, field: Value) -> Value {
    value[key] = field;
    value
}

pub fn lines(items: impl IntoIterator<Item = Value>) -> String {
    items.into_iter().map(|item| format!("{item}\n")).collect()
}

pub fn chats(count: usize) -> String {
    lines((0..count).map(|n| chat(&format!("c{n:05}"))))
}

pub fn gzip(bytes: &[u8]) -> Vec<u8> {
    let mut encoder = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::fast());
    encoder.write_all(bytes).unwrap();
    encoder.finish().unwrap()
}

pub fn zip(entries: &[(&str, &[u8])]) -> Vec<u8> {
    let mut writer = zip::ZipWriter::new(std::io::Cursor::new(Vec::new()));
    for (name, bytes) in entries {
        writer.start_file(*name, zip::write::SimpleFileOptions::default()).unwrap();
        writer.write_all(bytes).unwrap();
    }
    writer.finish().unwrap().into_inner()
}

pub fn unzip(path: &Path) -> BTreeMap<String, Vec<u8>> {
    let mut archive = zip::ZipArchive::new(File::open(path).unwrap()).unwrap();
    (0..archive.len())
        .map(|index| {
            let mut entry = archive.by_index(index).unwrap();
            let mut bytes = Vec::new();
            entry.read_to_end(&mut bytes).unwrap();
            (entry.name().unwrap().into_owned(), bytes)
        })
        .collect()
}

/// The account in a receipt balances, to the last item.
pub fn assert_balanced(manifest: &Value) {
    let number = |place: &str| {
        manifest.pointer(place).unwrap_or_else(|| panic!("no {place}")).as_u64().unwrap()
    };
    // What there is none of is not told of.
    let read = |kind: &str| manifest["read"].get(kind).map_or(0, |count| count.as_u64().unwrap());
    let kinds = ["conversations", "runs", "documents"];
    let sum = |place: &str, key: &str| -> u64 {
        let list =
            manifest.pointer(place).unwrap_or_else(|| panic!("no {place}")).as_array().unwrap();
        list.iter().filter_map(|one| one[key].as_u64()).sum()
    };
    let whole = manifest.to_string();
    assert_eq!(
        number("/read/items"),
        kinds.into_iter().map(read).sum::<u64>() + sum("/read/refused", "count"),
        "{whole}"
    );
    assert_eq!(number("/read/items"), sum("/read/inputs", "items"), "{whole}");
    let told: Vec<&str> = kinds.into_iter().filter(|kind| manifest.get(kind).is_some()).collect();
    assert!(!told.is_empty(), "{whole}");
    for kind in told {
        let number = |what: &str| number(&format!("/{kind}/{what}"));
        assert_eq!(number("selected"), number("written") + number("left_out"), "{whole}");
        assert!(number("selected") > 0 && number("selected") <= read(kind), "{whole}");
        let left_out = sum(&format!("/{kind}/left_out_by_reason"), "count");
        assert_eq!(number("left_out"), left_out, "{whole}");
    }
    assert_eq!(number("/records/written"), sum("/files", "records"), "{whole}");
}
