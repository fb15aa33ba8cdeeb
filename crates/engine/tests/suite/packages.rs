//! Whatever Retort writes, it reads: every data format in every file format, as one file, as shards and as splits, in a
//! folder and in a ZIP archive. What comes back differently from what was written is listed in `packages.tsv`;
//! `UPDATE_PACKAGES=1` writes the file.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use retort_engine::Input;
use retort_formats::data::{self, DataFormat};
use retort_model::ItemKind;
use serde_json::{Value, json};

use crate::support::{Bench, run};

/// Formats that must lose nothing, whatever the snapshot says.
const LOSSLESS: &[&str] = &["documents", "retort", "runs"];

/// Items of every kind, in several files: a shard ends only between two batches.
fn inputs() -> Vec<Input> {
    let file = |number: usize| {
        let id = |name: &str| format!("{name}{number}");
        let chat = json!({"id": id("chat"), "title": "T", "messages": [
            {"role": "user", "content": id("q")}, {"role": "assistant", "content": id("a")}]});
        let call = json!([{"id": "k", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}}]);
        let tools = json!([{"type": "function", "function": {"name": "f", "description": "d",
            "parameters": {"type": "object", "properties": {"a": {"type": "integer"}}}}}]);
        let agent = json!({"id": id("agent"), "model": "m", "tags": ["t"], "tools": tools, "messages": [
            {"role": "system", "content": "S"}, {"role": "user", "content": id("do")},
            {"role": "assistant", "content": "", "reasoning_content": "R", "tool_calls": call},
            {"role": "tool", "tool_call_id": "k", "content": "r"}, {"role": "assistant", "content": id("done")}]});
        let pair = json!({"id": id("pair"), "prompt": [{"role": "user", "content": id("which")}],
            "chosen": [{"role": "assistant", "content": "this"}], "rejected": [{"role": "assistant", "content": "that"}]});
        let run = json!({"request_id": id("run"), "recipe_id": "x", "question": id("q"), "answer": "a", "status": "success",
            "nodes": [{"node": "n", "kind": "model-call", "prompt": "{x}", "variables": {"x": number}, "output": {"n": 2}}]});
        let document = json!({"id": number, "s3_path": id("c/"), "course_name": "c", "readable_filename": id("f"),
            "contexts": [{"text": id("one"), "pagenumber": 1, "chunk_index": 0, "embedding": [0.25, -1.5]}]});
        let items = [chat, agent, pair, run, document];
        let text: String = items.iter().map(|item| format!("{item}\n")).collect();
        Input::Bytes(text.into_bytes().into(), format!("in{number}.jsonl"))
    };
    (0..6).map(file).collect()
}

/// The canonical lines of inputs, and how many items were read.
fn canonical(
    bench: &Bench,
    inputs: Vec<Input>,
    data_format: &str,
) -> Result<(Vec<Value>, u64), String> {
    let mut plan = bench.plan(inputs, &[("data_format", data_format)]);
    plan.output = bench.path("read");
    plan.force = true;
    let (report, rejects) = run(&plan);
    let report = report.map_err(|error| error.to_string())?;
    if report.found.account.refused > 0 {
        return Err(format!("{:?}", rejects.first()));
    }
    let mut lines = Vec::new();
    for file in report.manifest.files.iter().filter(|file| file.records.is_some()) {
        let text = fs::read_to_string(plan.output.join(&file.path)).unwrap();
        lines.extend(text.lines().map(|line| serde_json::from_str::<Value>(line).unwrap()));
    }
    Ok((lines, report.found.account.read))
}

fn sorted(lines: &[Value]) -> Vec<Value> {
    let mut lines = lines.to_vec();
    lines.sort_by_key(Value::to_string);
    lines
}

/// The lines without their ids, which are made from the names of files where neither rows nor package keep them.
fn without_ids(lines: &[Value]) -> Vec<Value> {
    let mut lines = lines.to_vec();
    for line in &mut lines {
        for name in ["id", "request_id"] {
            line.as_object_mut().unwrap().remove(name);
        }
    }
    sorted(&lines)
}

fn id_of(line: &Value) -> Option<String> {
    let id = line.get("id").or(line.get("request_id"))?;
    Some(id.as_str().map_or_else(|| id.to_string(), str::to_owned))
}

/// Whether all ids are those of the items.
fn has_ids(lines: &[Value]) -> bool {
    let is_own =
        |id: String| ["chat", "agent", "pair", "run"].iter().any(|name| id.starts_with(name));
    lines.iter().all(|line| id_of(line).is_none_or(is_own))
}

/// Adds the paths under which two values differ: `-` lost, `+` added, `~` changed.
fn differ(before: &Value, after: &Value, path: &str, paths: &mut BTreeSet<String>) {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            for key in before.keys().chain(after.keys()) {
                let path = if path.is_empty() { key.clone() } else { format!("{path}.{key}") };
                match (before.get(key), after.get(key)) {
                    (Some(before), Some(after)) => differ(before, after, &path, paths),
                    (Some(_), None) => drop(paths.insert(format!("-{path}"))),
                    (None, _) => drop(paths.insert(format!("+{path}"))),
                }
            }
        }
        (Value::Array(before), Value::Array(after)) if before.len() == after.len() => {
            for (before, after) in before.iter().zip(after) {
                differ(before, after, &format!("{path}[]"), paths);
            }
        }
        _ if before == after => {}
        _ => drop(paths.insert(format!("~{path}"))),
    }
}

/// What the items of a package lost, in words.
fn lost(before: &[Value], after: &[Value]) -> String {
    let mut paths = BTreeSet::new();
    let by_id = |line: &Value| after.iter().find(|one| id_of(one) == id_of(line));
    let all_by_id: Option<Vec<_>> = before.iter().map(by_id).collect();
    if before.len() == after.len() {
        let after = all_by_id.unwrap_or_else(|| after.iter().collect());
        for (before, after) in before.iter().zip(after) {
            match before.get("retort_run").is_some() && after.get("retort_run").is_none() {
                true => drop(paths.insert("(runs are conversations)".to_owned())),
                false => differ(before, after, "", &mut paths),
            }
        }
    } else {
        paths.insert(format!("{} items instead of {}", after.len(), before.len()));
    }
    paths.into_iter().collect::<Vec<_>>().join(" ")
}

fn options<'a>(format: &dyn DataFormat, file: &'a str) -> Vec<(&'a str, &'a str)> {
    let mut options = vec![("file_format", file)];
    if let Some(purpose) = format.purposes().first() {
        options.push(("purpose", purpose.as_str()));
        if purpose.needs_node() {
            options.push(("node", "n"));
        }
    }
    options
}

/// Writes all items in one data format and file format, in every layout, and reads them back. Returns what was lost.
fn written_and_read(format: &dyn DataFormat, file: &str, wrong: &mut Vec<String>) -> String {
    let is_of_documents = format.items() == [ItemKind::Document];
    let lossless = if is_of_documents { "documents" } else { "retort" };
    let bench = Bench::new();
    let mut first: Option<(Vec<Value>, u64)> = None;
    let mut found = String::new();
    for layout in ["whole", "shards", "split"] {
        let what = format!("{} {file} {layout}", format.name());
        let mut options = options(format, file);
        options.push(("data_format", format.name()));
        if layout == "split" {
            options.push(("split", "zeta=0.5,alpha=0.5"));
        }
        let mut plan = bench.plan(inputs(), &options);
        plan.shard_bytes = if layout == "shards" { 1 } else { 1 << 30 };
        for place in [layout.to_owned(), format!("{layout}.zip")] {
            plan.output = bench.path(&place);
            let (report, rejects) = run(&plan);
            let report = report.unwrap_or_else(|error| panic!("{what}: {error}"));
            let files = report.manifest.files.iter();
            let count = files.filter(|file| file.records.is_some()).count();
            // So few rows are one group of Parquet, and a group is in one file.
            let is_divided = layout == "split" || layout == "shards" && file != "parquet";
            assert_eq!(count > 1, is_divided, "{what}: {count} files");
            let read = canonical(&bench, vec![Input::Path(plan.output.clone())], lossless);
            let Ok((lines, count)) =
                read.map_err(|why| wrong.push(format!("{place} {what}: {why}")))
            else {
                continue;
            };
            if first.is_none() {
                found = lost(&written(&bench, lossless, &rejects), &lines);
            }
            let (expected, items) = first.get_or_insert_with(|| (lines.clone(), count));
            if count != *items || without_ids(&lines) != without_ids(expected) {
                wrong.push(format!("{place} {what}: {count} of {items} items, or others"));
            } else if has_ids(expected) && sorted(&lines) != sorted(expected) {
                wrong.push(format!("{place} {what}: other ids"));
            }
        }
    }
    found
}

/// The canonical lines of the items that a package holds: all but those that its rejects name.
fn written(bench: &Bench, lossless: &str, rejects: &[Value]) -> Vec<Value> {
    let id_of_reject = |line: &Value| {
        let mut fields = line.as_object()?.iter();
        let (_, id) = fields.find(|(key, _)| key.ends_with("_id"))?;
        id.as_str().map(str::to_owned)
    };
    let left_out: BTreeSet<_> = rejects.iter().filter_map(id_of_reject).collect();
    let (mut lines, _) = canonical(bench, inputs(), lossless).unwrap();
    lines.retain(|line| id_of(line).is_none_or(|id| !left_out.contains(&id)));
    lines
}

#[test]
fn every_package_is_read_alike_however_its_rows_are_divided_and_packed() {
    let mut wrong = Vec::new();
    let mut found = String::from("data format\tfile format\tdifferent when it is read back\n");
    for format in data::FORMATS.iter().filter(|format| !format.is_for_people()) {
        for file in format.file_formats() {
            let lost = written_and_read(*format, file, &mut wrong);
            if LOSSLESS.contains(&format.name()) && !lost.is_empty() {
                wrong.push(format!("{} {file} loses {lost}", format.name()));
            }
            found.push_str(&format!("{}\t{file}\t{lost}\n", format.name()));
        }
    }
    assert!(wrong.is_empty(), "{wrong:#?}");
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/suite/packages.tsv");
    if std::env::var_os("UPDATE_PACKAGES").is_some() {
        fs::write(&path, &found).unwrap();
    }
    let kept = fs::read_to_string(&path).unwrap();
    for (kept, found) in kept.lines().zip(found.lines()) {
        assert_eq!(kept, found, "`UPDATE_PACKAGES=1` keeps it");
    }
    assert_eq!(kept.lines().count(), found.lines().count());
}

#[test]
fn a_package_for_people_is_passed_over_with_the_reason() {
    let bench = Bench::new();
    let mut plan = bench.plan(inputs(), &[("data_format", "markdown")]);
    for place in ["pages", "pages.zip"] {
        plan.output = bench.path(place);
        run(&plan).0.unwrap();
        let error =
            canonical(&bench, vec![Input::Path(plan.output.clone())], "retort").unwrap_err();
        assert!(
            error.contains("an export for people to read, which cannot be read back"),
            "{error}"
        );
    }
}
