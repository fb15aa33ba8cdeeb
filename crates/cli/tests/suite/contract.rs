//! Rules for every command: each of its options has an effect, a dry run changes nothing, and wrong usage exits with 2.
//! New commands and options are tested here automatically, but a command with required arguments needs an entry.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::Path;
use std::sync::LazyLock;

use serde_json::Value;

use crate::support::*;

const COMMANDS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../../docs/commands.md");

/// A command without subcommands.
struct Leaf {
    path: String,
    usage: String,
    options: Vec<String>,
}

impl Leaf {
    fn read(path: &str) -> Self {
        let help = retort().args(path.split(' ')).arg("--help").output().unwrap();
        let help = String::from_utf8(help.stdout).unwrap();
        let usage = help.lines().find_map(|line| line.strip_prefix("Usage: retort ")).unwrap();
        let is_option = |word: &&str| word.starts_with("--") && word.len() > 2;
        let options = help.lines().filter(|line| line.starts_with("  ") && line.contains("--"));
        let options = options.filter_map(|line| {
            let line = line.trim_start();
            let line = if line.starts_with("--") { line } else { line.split_once(", ")?.1 };
            line.split([' ', '=', '[']).next().filter(is_option).map(str::to_owned)
        });
        Self { path: path.to_owned(), usage: usage.to_owned(), options: options.collect() }
    }

    fn has(&self, option: &str) -> bool {
        self.options.iter().any(|one| one == option)
    }

    /// The command with all required arguments. The items and files that they name may not exist.
    fn words(&self) -> Vec<&str> {
        let mut words: Vec<&str> = self.path.split(' ').collect();
        let more: &[&str] = match self.path.as_str() {
            "conversations tag" => &["--all", "--add", "x"],
            "conversations favorite" | "conversations delete" | "conversations restore" => {
                &["--all"]
            }
            "conversations purge" | "runs purge" => &["--all", "--yes"],
            "convert" | "merge" => &["--output", "out", "in.jsonl"],
            "sign" => &["--key", "in.jsonl", "in.jsonl"],
            "push" => &["in.jsonl", "hf://datasets/a/b"],
            "trace" => &["c00000"],
            "erase" => &["--list"],
            "schedules add" => &["x", "--every-hours", "1"],
            "users add" => &["x", "--role", "member"],
            "users password" => &["x", "--password-stdin"],
            "tokens add" => &["x", "--scope", "read"],
            "members set" => &["x", "member"],
            "completions" => &["bash"],
            "keep" => &["folder", "--once"],
            "serve" => &["--listen", "127.0.0.1:0"],
            "worker" => &["--once"],
            _ => {
                let needs = |word: &&str| word.starts_with('<');
                let value = |word: &str| match word.trim_end_matches("...") {
                    "<INPUT>" | "<FILE>" | "<PACKAGE>" => "in.jsonl",
                    "<ID>" if self.path.starts_with("jobs") || self.path.starts_with("share") => {
                        "1"
                    }
                    "<ID>" if self.path == "tokens revoke" => "1",
                    _ => "x",
                };
                words.extend(self.usage.split(' ').filter(needs).map(value));
                &[]
            }
        };
        words.extend(more);
        words
    }
}

/// Every command without subcommands, from the page with the help of all commands.
fn leaves() -> &'static [Leaf] {
    static LEAVES: LazyLock<Vec<Leaf>> = LazyLock::new(read_leaves);
    &LEAVES
}

fn read_leaves() -> Vec<Leaf> {
    let page = fs::read_to_string(COMMANDS).unwrap();
    let paths = page.lines().filter_map(|line| line.strip_prefix("## `retort "));
    let paths: Vec<_> = paths.filter_map(|line| line.strip_suffix('`')).collect();
    let is_leaf = |path: &&&str| !paths.iter().any(|one| one.starts_with(&format!("{path} ")));
    let leaves: Vec<_> = paths.iter().filter(is_leaf).map(|path| Leaf::read(path)).collect();
    assert!(leaves.len() > 80, "{}", leaves.len());
    leaves
}

fn place() -> Place {
    let place = Place::new();
    place.file("in.jsonl", chats(3));
    place.file("folder/in.jsonl", chats(3));
    place.ok(&["import", "in.jsonl", "-q"]);
    place
}

/// Runs each command that has the option with a bad value, and expects it to fail because of that value. `except` lists
/// the commands that do not fail, and why.
fn check_that_it_matters(option: &str, more: &[&str], words: &str, except: &[(&str, &str)]) {
    let place = place();
    let mut wrong = String::new();
    let all = leaves();
    for (path, _) in except {
        assert!(all.iter().any(|leaf| leaf.path == *path && leaf.has(option)), "{path} {option}");
    }
    for leaf in all.iter().filter(|leaf| leaf.has(option)) {
        if except.iter().any(|(path, _)| *path == leaf.path) {
            continue;
        }
        let args = [leaf.words(), [&[option], more].concat()].concat();
        let ran = place.run_on(&args, b"a long password\n".to_vec());
        if ran.code == Some(0) || !ran.err.contains(words) {
            writeln!(wrong, "{args:?} [{:?}]: {}", ran.code, ran.err).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn a_project_can_be_named_only_where_it_matters() {
    check_that_it_matters(
        "--project",
        &["nowhere"],
        "nowhere",
        &[
            ("import", "it adds the project"),
            ("serve", "it adds the project"),
            ("keep", "for `--import`, which adds the project"),
        ],
    );
}

#[test]
fn a_server_can_be_named_only_where_it_is_asked() {
    let address = ["http://127.0.0.1:1", "--token", "t"];
    check_that_it_matters("--server", &address, "cannot reach the server", &[]);
}

#[test]
fn a_configuration_or_store_can_be_named_only_where_it_is_used() {
    check_that_it_matters("--config", &["gone.toml"], "`gone.toml`", &[]);
    let archive = [("keep", "for `--import`")];
    check_that_it_matters("--store", &["folder"], "folder", &archive);
    let backup = [("restore-backup", "the backup is read first")];
    check_that_it_matters("--data", &["in.jsonl"], "in.jsonl", &backup);
}

#[test]
fn a_view_can_be_named_only_where_there_are_views() {
    check_that_it_matters("--view", &["nothing"], "there is no saved view `nothing`", &[]);
}

#[test]
fn wrong_usage_of_every_command_ends_with_2_and_is_json_where_the_output_is() {
    let place = place();
    for leaf in leaves() {
        let mut args = [leaf.words(), vec!["--no-such-option"]].concat();
        let ran = place.run(&args);
        assert_eq!(ran.code, Some(2), "{args:?}: {}", ran.err);
        assert!(ran.err.contains("unexpected argument '--no-such-option'"), "{}", ran.err);
        if leaf.has("--json") {
            args.push("--json");
            let ran = place.run(&args);
            let error: Value = serde_json::from_str(&ran.err).unwrap();
            assert_eq!(error["error"]["kind"], "usage", "{args:?}: {}", ran.err);
        }
        if leaf.usage.contains('<') {
            let path: Vec<_> = leaf.path.split(' ').collect();
            let ran = place.run(&path);
            assert_eq!(ran.code, Some(2), "{path:?}: {}", ran.err);
        }
    }
}

/// The whole content of a database.
fn content(path: &Path) -> BTreeMap<String, Vec<String>> {
    let database = rusqlite::Connection::open(path).unwrap();
    let sql = "SELECT name FROM sqlite_master WHERE type = 'table' AND name NOT LIKE 'sqlite_%'
               AND sql NOT LIKE 'CREATE VIRTUAL TABLE%'";
    let mut names = database.prepare(sql).unwrap();
    let names = names.query_map([], |row| row.get::<_, String>(0)).unwrap();
    let rows = |name: &str| -> Vec<String> {
        let mut rows = database.prepare(&format!("SELECT * FROM {name}")).unwrap();
        let columns = rows.column_count();
        let row = |row: &rusqlite::Row<'_>| {
            (0..columns).map(|at| Ok(format!("{:?}|", row.get_ref(at)?))).collect()
        };
        rows.query_map([], row).unwrap().map(Result::unwrap).collect()
    };
    names.map(Result::unwrap).map(|name| (name.clone(), rows(&name))).collect()
}

/// The arguments for each command that has a dry run, for the store that [`furnished`] creates.
fn to_rehearse(path: &str) -> Option<&'static [&'static str]> {
    Some(match path {
        "import" => &["more.jsonl"],
        "keep" => &["folder"],
        "conversations tag" => &["--all", "--add", "x"],
        "conversations favorite" | "conversations delete" | "conversations purge" => &["--all"],
        "conversations restore" => &["c00002"],
        "conversations export" | "export" | "runs export" | "documents export" => &["more"],
        "runs purge" => &["--all"],
        "documents purge" => &["doc_xyz789"],
        "judge" => &["scores.csv"],
        "erase" => &["--person", "ann"],
        "datasets rebuild" => &["all", "--without", "c00000"],
        "datasets purge" => &["all"],
        "schedules add" => &["weekly", "--every-hours", "168"],
        "schedules edit" => &["nightly", "--every-hours", "2"],
        "schedules pause" | "schedules resume" | "schedules run" | "schedules purge" => {
            &["nightly"]
        }
        "users add" => &["eve", "--role", "member"],
        "users disable" | "users purge" => &["bob"],
        "users enable" => &["bob"],
        "users password" => &["bob", "--password-stdin"],
        "projects add" => &["second", "--owner", "ann"],
        "projects purge" => &["default"],
        "migrate" => &[],
        _ => return None,
    })
}

/// A store with at least one of everything.
fn furnished() -> Place {
    const RUNS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../formats/tests/data/runs.jsonl");
    const DOCUMENTS: &str =
        concat!(env!("CARGO_MANIFEST_DIR"), "/../formats/tests/data/documents.jsonl");
    let place = place();
    place.file("more.jsonl", lines([chat("more")]));
    place.file("scores.csv", "id,score\nc00000,1\nc00000,1\nc00001,0\nnobody,1\n");
    place.ok(&["import", "in.jsonl", "-q", "--owner", "ann", "--replace"]);
    place.ok(&["import", RUNS, DOCUMENTS, "-q"]);
    place.ok(&["users", "add", "ann", "--role", "owner"]);
    place.ok(&["users", "add", "bob", "--role", "member"]);
    place.ok(&["export", "all", "-q"]);
    place.ok(&["delete", "c00002"]);
    place.ok(&["schedules", "add", "nightly", "--every-hours", "24"]);
    place
}

#[test]
fn every_dry_run_says_what_would_change_and_changes_nothing() {
    let place = furnished();
    let store = place.path("data/retort.sqlite");
    let state = || (content(&store), place.names("data/objects"), place.path("data/kept").exists());
    let before = state();
    let mut tried = 0;
    for leaf in leaves().iter().filter(|leaf| leaf.has("--dry-run")) {
        let path: Vec<_> = leaf.path.split(' ').collect();
        let more = to_rehearse(&leaf.path);
        let more = more.unwrap_or_else(|| panic!("say how to rehearse `{}`", leaf.path));
        let args = [&path, more, &["--dry-run"]].concat();
        let ran = place.run_on(&args, b"another password\n".to_vec());
        assert_eq!(ran.code, Some(0), "{args:?}: {}", ran.err);
        let says = ["would ", "what would happen:", "the store already has the newest schema"];
        assert!(says.iter().any(|words| ran.err.contains(words)), "{args:?}: {}", ran.err);
        if leaf.has("--json") {
            let args = [&args[..], &["--json"]].concat();
            let ran = place.run_on(&args, b"another password\n".to_vec());
            let told: Value = serde_json::from_str(&ran.out)
                .unwrap_or_else(|error| panic!("{args:?}: {error}: {} {}", ran.out, ran.err));
            assert_eq!(told["dry_run"], true, "{args:?}: {}", ran.out);
        }
        let after = state();
        for (table, rows) in &before.0 {
            assert_eq!(rows, &after.0[table], "{args:?} changed `{table}`");
        }
        assert!(after == before, "{args:?} changed files");
        tried += 1;
    }
    assert!(tried >= 28, "{tried}");
}

#[test]
fn a_dry_run_counts_and_refuses_the_same_as_the_real_run() {
    let place = furnished();
    // The second row about one answer says nothing new.
    let dry = place.run(&["judge", "scores.csv", "--dry-run", "--json"]);
    let done = place.printed(&["judge", "scores.csv", "--json"]);
    let mut dry: Value = serde_json::from_str(&dry.out).unwrap();
    assert_eq!(dry["dry_run"].take(), true);
    dry.as_object_mut().unwrap().remove("dry_run");
    assert_eq!((dry, &done["changed"], &done["same"]), (done.clone(), &2.into(), &1.into()));
    for (args, words) in [
        (&["schedules", "add", "nightly", "--every-hours", "1"][..], "already have a schedule"),
        (&["datasets", "rebuild", "all", "--without", "nobody"], "nothing to leave out"),
        (&["users", "add", "ann"], "there is already a person `ann`"),
        (&["users", "add", "eve", "--role", "member", "--project", "x"], "no project `x`"),
        (&["users", "purge", "ann"], "needs an owner"),
        (&["users", "disable", "eve"], "no person `eve`"),
        (&["projects", "add", "default"], "already exists"),
        (&["projects", "add", "more", "--owner", "eve"], "no person `eve`"),
        (&["projects", "purge", "more"], "no project `more`"),
    ] {
        let dry = place.refused(&[args, &["--dry-run"]].concat(), words);
        let asks = matches!(args[1], "purge" | "rebuild");
        let done = place.refused(&[args, &["--yes"][..usize::from(asks)]].concat(), words);
        assert_eq!((&dry.err, dry.code), (&done.err, done.code), "{args:?}");
    }
    let told = place.ok(&["conversations", "delete", "c00001", "c00002", "--dry-run"]).err;
    assert_eq!(told, "would delete 1 of 2 conversations; nothing was changed (`--dry-run`)\n");
}

#[test]
fn paths_that_cannot_be_used_are_named_with_the_reason_in_words() {
    let place = place();
    place.ok(&["convert", "in.jsonl", "-o", "package", "-q"]);
    place.ok(&["export", "all", "-q"]);
    let mut wrong = String::new();
    for command in [
        "convert in.jsonl -o out --map PATH",
        "convert in.jsonl -o out --redact PATH.toml",
        "convert in.jsonl -o out --redact pii --redact-key PATH",
        "convert in.jsonl -o out --papers PATH",
        "convert in.jsonl -o out --decontaminate PATH",
        "convert in.jsonl -o out --part 1/2 --repeats PATH",
        "convert in.jsonl -o out --max-tokens 9 --tokenizer PATH",
        "convert in.jsonl -o in.jsonl/PATH",
        "preview in.jsonl --as-model --template PATH",
        "merge PATH -o out",
        "verify package --key PATH",
        "verify PATH",
        "sign package --key PATH",
        "diff package PATH",
        "list --config PATH",
        "list --server https://a.org --token-file PATH",
        "judge PATH",
        "doctor --erased PATH",
        "restore-backup PATH",
        "serve --tls-certificate PATH --tls-key PATH",
        "datasets download all -o in.jsonl/PATH.zip",
        "datasets download all -o PATH/gone/x.zip",
    ] {
        for path in ["gone", "folder"] {
            let command = command.replace("PATH", path);
            let args: Vec<_> = command.split(' ').collect();
            let ran = place.run(&args);
            if !matches!(ran.code, Some(1 | 2)) || ran.err.contains("os error") {
                writeln!(wrong, "{command} [{:?}]: {}", ran.code, ran.err).unwrap();
            }
        }
    }
    for command in
        ["keep gone --once", "keep in.jsonl --once", "diff package package --list folder"]
    {
        let args: Vec<_> = command.split(' ').collect();
        let ran = place.run(&args);
        if !matches!(ran.code, Some(1 | 2)) || ran.err.contains("os error") {
            writeln!(wrong, "{command} [{:?}]: {}", ran.code, ran.err).unwrap();
        }
    }
    assert!(wrong.is_empty(), "{wrong}");
}

#[test]
fn people_are_added_to_projects_that_exist() {
    let place = Place::new();
    place.ok(&["users", "add", "ann", "--role", "owner"]);
    let projects = || place.ok(&["projects"]).out;
    assert!(projects().contains("default"), "the first project of a store is created");
    place.refused(&["users", "add", "bob", "--role", "owner", "--project", "x"], "no project `x`");
    assert_eq!(place.run(&["users", "add", "bob", "--project", "x"]).code, Some(2));
    assert_eq!(place.run(&["projects", "add", "x", "--project", "y"]).code, Some(2));
    assert_eq!(place.printed(&["users", "--json"]).as_array().unwrap().len(), 1);
    place.ok(&["projects", "add", "x", "--owner", "ann"]);
    place.ok(&["users", "add", "bob", "--role", "member", "--project", "x"]);
    assert!(!projects().contains('y'));
    let other = Place::new();
    other.ok(&["projects", "add", "research"]);
    assert_eq!(other.printed(&["projects", "--json"]).as_array().unwrap().len(), 1);
}
