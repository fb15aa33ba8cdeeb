//! Holds what ARCHITECTURE.md says of imports: they go down between crates, and not in circles within one.
//!
//! A file imports another if a path of its code, in a `use` or elsewhere, leads there; a re-export leads to where the
//! name comes from. A `mod` line alone is no import, and code under `#[cfg(test)]` is not counted. Files are in a circle
//! if each leads to the other, however far around.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::collections::{BTreeMap, BTreeSet};
use std::fmt::Write as _;
use std::fs;
use std::path::{Path, PathBuf};

/// Each crate, from the top down, with how many of its files may import each other in circles. Lower the number when
/// circles go; never raise it.
const CRATES: [(&str, usize); 8] = [
    ("cli", 0),
    ("web", 0),
    ("service", 0),
    ("engine", 0),
    ("store", 0),
    ("formats", 0),
    ("model", 0),
    ("json", 0),
];

#[test]
fn imports_within_a_crate_make_no_circles() {
    let mut report = String::new();
    let mut failed = false;
    for (name, allowed) in CRATES {
        let krate = Crate::read(&crates().join(name).join("src"));
        let imports = krate.imports();
        let circles = circles(&imports);
        let within: usize = circles.iter().map(Vec::len).sum();
        writeln!(
            report,
            "{name}: {within} of {} files are in circles, {allowed} may be",
            krate.files.len()
        )
        .unwrap();
        for circle in circles {
            writeln!(report, "  {} files:", circle.len()).unwrap();
            for file in &circle {
                let others: Vec<String> = circle
                    .iter()
                    .filter(|other| imports[file].contains(**other))
                    .map(shown)
                    .collect();
                writeln!(report, "    {} imports {}", shown(file), others.join(", ")).unwrap();
            }
        }
        failed |= within > allowed;
    }
    println!("{report}");
    assert!(!failed, "{report}");
}

#[test]
fn crates_import_only_crates_beneath_them() {
    for (above, (name, _)) in CRATES.iter().enumerate() {
        let manifest = fs::read_to_string(crates().join(name).join("Cargo.toml")).unwrap();
        let dependencies = manifest.split("[dev-dependencies]").next().unwrap();
        for (other, _) in &CRATES[..=above] {
            assert!(
                !dependencies.contains(&format!("retort-{other}.")),
                "`{name}` depends on `{other}`, which is above it"
            );
        }
    }
}

fn crates() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).parent().unwrap().to_owned()
}

/// A module's path, without the crate's name: `["import", "claude"]`.
type Module = Vec<String>;

struct Crate {
    files: BTreeMap<Module, Source>,
}

struct Source {
    /// Every path in the code, as it is written.
    paths: Vec<Vec<String>>,
    /// The path behind a name that a `use` brings in, whether or not it is exported again.
    names: BTreeMap<String, Vec<String>>,
    /// Modules of which every name is brought in.
    globs: Vec<Vec<String>>,
}

impl Crate {
    fn read(root: &Path) -> Self {
        let mut files = BTreeMap::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            for entry in fs::read_dir(folder).unwrap() {
                let path = entry.unwrap().path();
                if path.is_dir() {
                    folders.push(path);
                } else if path.extension().is_some_and(|kind| kind == "rs") {
                    files.insert(
                        module(path.strip_prefix(root).unwrap()),
                        Source::read(&fs::read_to_string(&path).unwrap()),
                    );
                }
            }
        }
        // Files of tests only, which a `mod` under `#[cfg(test)]` names.
        files.retain(|module, _| module.last().is_none_or(|name| name != "tests"));
        Self { files }
    }

    /// The file that `path` leads to from the file of `from`.
    fn resolve(&self, from: &Module, path: &[String], depth: usize) -> Option<Module> {
        let mut at = from.clone();
        let mut rest = path;
        match rest.first()?.as_str() {
            "crate" => {
                at.clear();
                rest = &rest[1..];
            }
            "self" => rest = &rest[1..],
            "super" => {
                while rest.first().is_some_and(|name| name == "super") {
                    at.pop()?;
                    rest = &rest[1..];
                }
            }
            _ => {}
        }
        let relative = rest.len() == path.len();
        while let Some(name) = rest.first() {
            at.push(name.clone());
            if self.files.contains_key(&at) {
                rest = &rest[1..];
                continue;
            }
            at.pop();
            let source = self.files.get(&at)?;
            let onward = source.names.get(name).filter(|onward| onward.as_slice() != path);
            if depth < 16 {
                if let Some(onward) = onward {
                    let whole: Vec<String> = onward.iter().chain(&rest[1..]).cloned().collect();
                    return self.resolve(&at, &whole, depth + 1);
                }
                let glob =
                    source.globs.iter().filter_map(|glob| self.resolve(&at, glob, depth + 1)).find(
                        |glob| {
                            *glob != at
                                && self
                                    .files
                                    .get(glob)
                                    .is_some_and(|file| file.names.contains_key(name))
                        },
                    );
                if let Some(glob) = glob {
                    return self.resolve(&glob, rest, depth + 1);
                }
            }
            // A name of another crate, of the language, or of this file.
            return (!relative || at != *from).then_some(at);
        }
        Some(at)
    }

    /// The files that each file imports.
    fn imports(&self) -> BTreeMap<&Module, BTreeSet<Module>> {
        self.files
            .iter()
            .map(|(module, source)| {
                let found = source.paths.iter().filter_map(|path| self.resolve(module, path, 0));
                (
                    module,
                    found
                        .filter(|other| other != module && self.files.contains_key(other))
                        .collect(),
                )
            })
            .collect()
    }
}

/// The files that import each other in circles.
fn circles<'a>(imports: &BTreeMap<&'a Module, BTreeSet<Module>>) -> BTreeSet<Vec<&'a Module>> {
    let reaches: BTreeMap<&'a Module, BTreeSet<&Module>> = imports
        .keys()
        .map(|start| {
            let mut seen = BTreeSet::new();
            let mut next: Vec<&Module> = imports[*start].iter().collect();
            while let Some(module) = next.pop() {
                if seen.insert(module) {
                    next.extend(&imports[module]);
                }
            }
            (*start, seen)
        })
        .collect();
    let around = |start: &&'a Module| -> Vec<&'a Module> {
        let back = |other: &&&'a Module| {
            reaches[start].contains(**other) && reaches[**other].contains(*start)
        };
        reaches.keys().filter(back).copied().collect()
    };
    reaches.keys().map(around).filter(|circle| !circle.is_empty()).collect()
}

fn shown(module: &&Module) -> String {
    if module.is_empty() { "the root".to_owned() } else { module.join("::") }
}

fn module(file: &Path) -> Module {
    let mut parts: Module =
        file.with_extension("").iter().map(|part| part.to_str().unwrap().to_owned()).collect();
    if parts.last().is_some_and(|last| matches!(last.as_str(), "mod" | "lib" | "main")) {
        parts.pop();
    }
    parts
}

impl Source {
    fn read(text: &str) -> Self {
        let tokens = without_tests(&tokens(text));
        let mut source = Self { paths: Vec::new(), names: BTreeMap::new(), globs: Vec::new() };
        let mut at = 0;
        while at < tokens.len() {
            if tokens[at] == "use" {
                at = source.tree(&tokens, at + 1, &[]) + 1;
            } else if is_name(&tokens[at])
                && tokens.get(at + 1).is_some_and(|token| token == "::")
                && (at == 0 || tokens[at - 1] != "::")
            {
                let mut path = vec![tokens[at].clone()];
                while tokens.get(at + 1).is_some_and(|token| token == "::")
                    && tokens.get(at + 2).is_some_and(|token| is_name(token))
                {
                    path.push(tokens[at + 2].clone());
                    at += 2;
                }
                source.paths.push(path);
                at += 1;
            } else {
                at += 1;
            }
        }
        source
    }

    /// Reads one tree of a `use` from `at`; gives where it ends.
    fn tree(&mut self, tokens: &[String], mut at: usize, prefix: &[String]) -> usize {
        let mut path = prefix.to_vec();
        loop {
            match tokens.get(at).map_or(";", String::as_str) {
                "::" => {}
                "{" => {
                    while tokens[at] != "}" {
                        at = self.tree(tokens, at + 1, &path);
                    }
                    return at + 1;
                }
                "*" => {
                    self.paths.push(path.clone());
                    self.globs.push(path);
                    return at + 1;
                }
                "as" => {
                    self.bring(tokens[at + 1].clone(), path);
                    return at + 2;
                }
                "," | "}" | ";" => {
                    if path.len() > prefix.len() {
                        let name = path.last().unwrap().clone();
                        if name == "self" {
                            path.pop();
                            let name = path.last().unwrap().clone();
                            self.bring(name, path);
                        } else {
                            self.bring(name, path);
                        }
                    }
                    return at;
                }
                name => path.push(name.to_owned()),
            }
            at += 1;
        }
    }

    fn bring(&mut self, name: String, path: Vec<String>) {
        self.paths.push(path.clone());
        self.names.insert(name, path);
    }
}

fn is_name(token: &str) -> bool {
    token.starts_with(|first: char| first.is_alphabetic() || first == '_')
}

/// The names and marks of Rust code, without its comments, its text and its numbers.
fn tokens(text: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = text;
    while let Some(first) = rest.chars().next() {
        if rest.starts_with("//") {
            rest = rest.split_once('\n').map_or("", |(_, after)| after);
        } else if rest.starts_with("/*") {
            rest = rest.split_once("*/").map_or("", |(_, after)| after);
        } else if let Some(hashes) = raw_text(rest) {
            let end = format!("\"{}", "#".repeat(hashes));
            let open = rest.find('"').unwrap() + 1;
            rest = rest[open..].split_once(&end).map_or("", |(_, after)| after);
        } else if first == '"' {
            let mut escaped = false;
            let end = rest[1..].find(|letter| {
                let ends = letter == '"' && !escaped;
                escaped = letter == '\\' && !escaped;
                ends
            });
            rest = end.map_or("", |end| &rest[end + 2..]);
        } else if first == '\'' {
            // A character, or else a lifetime.
            let mut letters = rest[1..].chars();
            let length = match (letters.next(), letters.next()) {
                (Some('\\'), _) => rest[3..].find('\'').map_or(1, |end| end + 4),
                (Some(letter), Some('\'')) => 2 + letter.len_utf8(),
                _ => 1,
            };
            rest = &rest[length..];
        } else if first.is_alphanumeric() || first == '_' {
            let end = rest
                .find(|letter: char| !letter.is_alphanumeric() && letter != '_')
                .unwrap_or(rest.len());
            tokens.push(rest[..end].to_owned());
            rest = &rest[end..];
        } else if rest.starts_with("::") {
            tokens.push("::".to_owned());
            rest = &rest[2..];
        } else {
            if !first.is_whitespace() {
                tokens.push(first.to_string());
            }
            rest = &rest[first.len_utf8()..];
        }
    }
    tokens
}

/// The number of `#` if raw text begins here.
fn raw_text(rest: &str) -> Option<usize> {
    let after = rest.strip_prefix("br").or_else(|| rest.strip_prefix('r'))?;
    let hashes = after.len() - after.trim_start_matches('#').len();
    after[hashes..].starts_with('"').then_some(hashes)
}

/// Takes out what `#[cfg(test)]` comes before: up to the `;`, its closing brace, or that of what it is in.
fn without_tests(tokens: &[String]) -> Vec<String> {
    let mut kept = Vec::with_capacity(tokens.len());
    let mut at = 0;
    while at < tokens.len() {
        let attribute = ["#", "[", "cfg", "(", "test", ")", "]"];
        if tokens[at..].iter().map(String::as_str).take(attribute.len()).eq(attribute) {
            let mut depth = 0_usize;
            at += attribute.len();
            while at < tokens.len() {
                match tokens[at].as_str() {
                    "{" => depth += 1,
                    "}" if depth == 1 => break,
                    // The end of what it is the last part of, such as a struct whose last field is for tests.
                    "}" if depth == 0 => {
                        at -= 1;
                        break;
                    }
                    "}" => depth -= 1,
                    ";" if depth == 0 => break,
                    _ => {}
                }
                at += 1;
            }
        } else {
            kept.push(tokens[at].clone());
        }
        at += 1;
    }
    kept
}
