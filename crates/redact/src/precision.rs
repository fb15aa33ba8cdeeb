//! Precision on real histories: everything that the structured rules find in them was judged once, by hand. What was
//! judged is kept as pseudonyms, so no text of others is in the repository.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use retort_json::{Parser, write_string};

use retort_model::Redaction;

use super::*;
use crate::replace::Role;

/// The verdicts: a pseudonym, its kind, and whether it is one.
const VERDICTS: &str = include_str!("../verdicts.tsv");

/// Kinds that have a form or a checksum of their own. What is beside the word `password` is not among them.
fn is_structured(kind: Redaction) -> bool {
    kind != Redaction::Password
}

/// What is found in a text, by its pseudonym, with how often.
fn find_in(
    redactor: &Redactor,
    text: &str,
    all: &mut BTreeMap<(String, Redaction), (u64, String)>,
) {
    let mut add = |decoded: &str| {
        for found in redactor.find(decoded, 0) {
            let Rule::BuiltIn(kind) = found.rule else { continue };
            let raw = decoded.get(found.range.clone()).unwrap_or_default();
            let name = redactor.replacement(found.rule, raw, Role::Name);
            let around = decoded.get(
                found.range.start.saturating_sub(30)..(found.range.end + 30).min(decoded.len()),
            );
            let shown = format!("{raw}\t{}", around.unwrap_or_default().replace(['\n', '\t'], " "));
            all.entry((name, kind)).or_insert((0, shown)).0 += 1;
        }
    };
    let lines = text.lines().filter(|line| {
        let mut parser = Parser::new(line);
        !line.trim().is_empty() && parser.skip().is_ok()
    });
    let lines: Vec<&str> = lines.collect();
    if lines.len() * 2 > text.lines().count() {
        lines.iter().for_each(|line| each_string(line, &mut add));
    } else {
        each_string(text, &mut add);
    }
}

/// Tells of each string of a JSON text, decoded.
fn each_string(json: &str, tell: &mut dyn FnMut(&str)) {
    let mut rest = json;
    while let Some(start) = rest.find('"') {
        let body = &rest[start + 1..];
        let mut escaped = false;
        let end = body.bytes().position(|one| {
            let ends = one == b'"' && !escaped;
            escaped = one == b'\\' && !escaped;
            ends
        });
        let Some(end) = end else { return };
        let mut quoted = String::new();
        write_string("", &mut quoted);
        let mut parser = Parser::new(&rest[start..start + end + 2]);
        if parser.skip().is_ok() {
            let mut text = String::new();
            retort_json::unescape_into(&body[..end], &mut text);
            tell(&text);
        }
        rest = &body[end + 1..];
    }
}

fn files(folder: &Path, all: &mut Vec<std::path::PathBuf>) {
    let mut entries: Vec<_> =
        fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()).collect();
    entries.sort();
    for path in entries {
        let is_text = path.extension().is_some_and(|end| end == "json" || end == "jsonl");
        if path.is_dir() {
            files(&path, all);
        } else if is_text {
            all.push(path);
        }
    }
}

#[test]
fn what_is_found_in_real_histories_is_what_it_is_taken_for() {
    let Some(folder) = std::env::var_os("RETORT_REAL_DATA") else {
        println!("passed over: RETORT_REAL_DATA names no real histories");
        return;
    };
    let settings =
        Settings { sets: RuleSets::ALL, own: None, action: Action::Mask, key: Key::new([11; 32]) };
    let redactor = Redactor::new(settings).unwrap();
    let (mut paths, mut found) = (Vec::new(), BTreeMap::new());
    files(Path::new(&folder), &mut paths);
    for path in paths {
        if let Ok(text) = fs::read_to_string(&path) {
            find_in(&redactor, &text, &mut found);
        }
    }
    if std::env::var_os("RETORT_SHOW_FOUND").is_some() {
        for ((name, kind), (count, raw)) in &found {
            println!("SHOW\t{name}\t{kind}\t{count}\t{raw}");
        }
    }
    let verdicts: BTreeMap<&str, bool> = VERDICTS
        .lines()
        .filter_map(|line| line.split_once('\t'))
        .map(|(name, verdict)| (name, verdict == "yes"))
        .collect();
    let (mut right, mut wrong, mut unknown) = (0, 0, Vec::new());
    for ((name, kind), (count, _)) in found.iter().filter(|((_, kind), _)| is_structured(*kind)) {
        match verdicts.get(name.as_str()) {
            Some(true) => right += count,
            Some(false) => wrong += count,
            None => unknown.push(format!("{name} ({kind})")),
        }
    }
    println!("{right} right, {wrong} wrong, {} not judged", unknown.len());
    // A few may be new where the histories are others than those that were judged.
    assert!(unknown.len() * 100 <= found.len(), "not judged: {unknown:?}");
    assert!(right >= 99 * wrong, "{right} right, {wrong} wrong");
}
