//! Holds ARCHITECTURE.md and CONTRIBUTING.md to the code: what they name exists, and the table of tables is complete.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

fn root() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).ancestors().nth(2).unwrap().to_owned()
}

/// Every file of the repository by its path, with its text where it is code.
fn files() -> BTreeMap<String, String> {
    let root = root();
    let mut files = BTreeMap::new();
    let mut folders = vec![root.clone()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(folder).unwrap() {
            let path = entry.unwrap().path();
            let name = path.file_name().unwrap().to_string_lossy();
            let is_aside = (name.starts_with('.') && name != ".ci") || name.starts_with("target");
            if path.is_dir() && !is_aside {
                folders.push(path);
            } else if path.is_file() {
                let is_code = path.extension().is_none_or(|ending| {
                    ["rs", "sql", "toml", "py", "html", "sh"].iter().any(|one| ending == *one)
                });
                let text = if is_code { fs::read_to_string(&path).ok() } else { None };
                let path = path.strip_prefix(&root).unwrap().to_string_lossy().replace('\\', "/");
                files.insert(path, text.unwrap_or_default());
            }
        }
    }
    files
}

/// What stands between backticks in a line.
fn quoted(text: &str) -> impl Iterator<Item = &str> {
    text.lines().flat_map(|line| line.split('`').skip(1).step_by(2))
}

fn guide(name: &str) -> String {
    fs::read_to_string(root().join(name)).unwrap()
}

fn is_word(text: &str) -> bool {
    text.chars().all(|letter| letter.is_alphanumeric() || letter == '_')
}

#[test]
fn what_the_guides_name_exists() {
    let files = files();
    let words: BTreeSet<&str> = files
        .values()
        .flat_map(|text| text.split(|letter: char| !letter.is_alphanumeric() && letter != '_'))
        .collect();
    let paths: Vec<String> = files.keys().map(|path| format!("/{path}")).collect();
    let is_path = |name: &str| {
        let name = name.trim_end_matches('/');
        let (end, folder) = (format!("/{name}"), format!("/{name}/"));
        paths.iter().any(|path| path.ends_with(&end) || path.contains(&folder))
    };
    let is_in_code = |name: &str| files.values().any(|text| text.contains(name));
    let mut missing = Vec::new();
    for doc in ["ARCHITECTURE.md", "CONTRIBUTING.md"] {
        for name in quoted(&guide(doc)) {
            // Commands, options, and placeholders for names.
            if name.contains([' ', ';']) || name.starts_with('-') || name.contains("NAME") {
                continue;
            }
            let known = if name.contains('/') || name.contains('.') {
                is_path(name) || is_in_code(name)
            } else {
                let name = name.trim_end_matches('!');
                name.split("::").filter(|part| is_word(part)).all(|part| words.contains(part))
            };
            if !known {
                missing.push(format!("{doc}: `{name}`"));
            }
        }
    }
    assert!(missing.is_empty(), "{missing:#?}");
}

#[test]
fn every_link_of_the_map_leads_to_a_file_and_is_used() {
    let map = guide("ARCHITECTURE.md");
    let mut links = BTreeMap::new();
    let is_link = |line: &&str| line.starts_with("[`") && line.contains("`]: ");
    for line in map.lines().filter(is_link) {
        let (name, path) = line.split_once("]: ").unwrap();
        assert!(root().join(path).exists(), "`{path}` does not exist");
        links.insert(name.trim_start_matches('['), path);
    }
    let text: String = map.lines().filter(|line| !is_link(line)).collect();
    for (at, _) in text.match_indices("[`") {
        let name = text[at + 1..].split(']').next().unwrap();
        let has_own_path = text[at + 1 + name.len()..].starts_with("](");
        assert!(has_own_path || links.contains_key(name), "{name} leads nowhere");
    }
    for name in links.keys() {
        assert!(text.contains(&format!("[{name}]")), "{name} is not used");
    }
}

#[test]
fn the_table_of_tables_has_every_table_and_who_writes_it() {
    let files = files();
    let in_store = |path: &str| path.starts_with("crates/store/src/");
    let mut tables = BTreeSet::new();
    let mut gone = BTreeSet::new();
    let named_after = |text: &str, words: &str| -> Vec<String> {
        let rests = text.split(words).skip(1);
        let names = rests.map(|rest| rest.chars().take_while(|c| c.is_alphanumeric() || *c == '_'));
        names.map(Iterator::collect).filter(|name: &String| !name.is_empty()).collect()
    };
    for (_, text) in files.iter().filter(|(path, _)| in_store(path)) {
        tables.extend(named_after(text, "CREATE TABLE "));
        tables.extend(named_after(text, "CREATE VIRTUAL TABLE "));
        gone.extend(named_after(text, "DROP TABLE "));
    }
    // A table that is made anew under another name first.
    tables.remove("next_");
    let tables: BTreeSet<String> = tables.difference(&gone).cloned().collect();
    let mut listed = BTreeSet::new();
    let map = guide("ARCHITECTURE.md");
    let rows = map.split("| tables | hold | written by |").nth(1).unwrap().trim_start().lines();
    for row in rows.skip(1).take_while(|row| row.starts_with('|')) {
        let cells: Vec<&str> = row.split('|').collect();
        let writers: Vec<&str> = quoted(cells[3]).collect();
        for table in quoted(cells[1]) {
            assert!(listed.insert(table.to_owned()), "`{table}` is listed twice");
            let writes = |text: &str| {
                ["INTO ", "UPDATE ", "DELETE FROM ", "insert(\""]
                    .iter()
                    .any(|words| text.contains(&format!("{words}{table}")))
            };
            let is_writer = |name: &&str| {
                files.get(&format!("crates/store/src/{name}")).is_some_and(|text| writes(text))
            };
            assert!(writers.iter().any(is_writer), "none of {writers:?} writes `{table}`");
        }
    }
    assert_eq!(listed, tables);
}
