use std::fs;
use std::path::Path;
use std::sync::atomic::AtomicBool;

use super::*;
use crate::pipeline::Nobody;
use crate::{ConvertPlan, ExportOptions, Input, convert};

fn chat(id: &str, answer: &str) -> String {
    let answer = match answer {
        "" => String::new(),
        answer => format!(",{{\"role\":\"assistant\",\"content\":\"{answer}\"}}"),
    };
    format!("{{\"id\":\"{id}\",\"messages\":[{{\"role\":\"user\",\"content\":\"q\"}}{answer}]}}\n")
}

/// A package of these chats.
fn package(folder: &Path, name: &str, chats: &[(&str, &str)], options: &[(&str, &str)]) -> Package {
    let input = folder.join("in.jsonl");
    let text: String = chats.iter().map(|(id, answer)| chat(id, answer)).collect();
    fs::write(&input, text).unwrap();
    let options = options
        .iter()
        .try_fold(ExportOptions::default(), |all, (name, value)| all.with(name, value));
    let inputs = vec![Input::Path(input)];
    let plan = ConvertPlan {
        output: folder.join(name),
        threads: 1,
        ..ConvertPlan::new(inputs, &options.unwrap(), "n".parse().unwrap()).unwrap()
    };
    convert(&plan, &Nobody, &AtomicBool::new(false), &mut io::sink()).unwrap();
    Package::open(&folder.join(name)).unwrap()
}

fn compared(before: &mut Package, after: &mut Package) -> (Diff, Vec<RecordChange>) {
    let mut listed = Vec::new();
    let found = diff(before, after, u64::MAX, (&Nobody, &AtomicBool::new(false)), &mut |one| {
        listed.push(one.clone());
        Ok(())
    });
    listed.sort_by(|one, other| one.id.cmp(&other.id));
    (found.unwrap(), listed)
}

fn lines(changes: &[RecordChange]) -> Vec<String> {
    changes.iter().map(|one| format!("{} {:?}: {}", one.id, one.change, one.why)).collect()
}

#[test]
fn records_that_are_larger_than_asked_for_are_not_compared() {
    let folder = tempfile::tempdir().unwrap();
    let one = [("a", "1"), ("b", "2")];
    let options = [("data_format", "openai"), ("compress", "zstd")];
    let mut before = package(folder.path(), "1", &one, &options);
    let mut after = package(folder.path(), "2", &one, &options);
    let stopped = AtomicBool::new(false);
    let mut of = |most| diff(&mut before, &mut after, most, (&Nobody, &stopped), &mut |_| Ok(()));
    assert_eq!(of(100_000).unwrap().same, 2);
    assert!(matches!(of(300), Err(Error::Choice(_))));
}

#[test]
fn records_are_compared_by_their_ids_whatever_their_order() {
    let folder = tempfile::tempdir().unwrap();
    for format in ["standard", "openai", "retort"] {
        let one = [("a", "1"), ("b", "2"), ("c", "3"), ("d", ""), ("e", "5")];
        let other = [("e", "5"), ("d", "4"), ("f", "6"), ("b", "two"), ("a", "1"), ("c", "")];
        let options = [("data_format", format)];
        let mut before = package(folder.path(), &format!("{format}-1"), &one, &options);
        let mut after = package(folder.path(), &format!("{format}-2"), &other, &options);
        let (found, listed) = compared(&mut before, &mut after);
        let why = |reason: &str| match format {
            // It keeps what no trainer takes.
            "retort" => None,
            _ => Some(reason.to_owned()),
        };
        let column = match format {
            "retort" => "the record",
            _ => "messages",
        };
        let expect: Vec<String> = [
            Some(format!("b Changed: {column}")),
            why("c Gone: left out now: no answer to train on"),
            why("d Added: left out before: no answer to train on"),
            Some("f Added: not in the source before".into()),
        ]
        .into_iter()
        .flatten()
        .collect();
        let listed: Vec<String> = lines(&listed)
            .into_iter()
            .filter(|line| format != "retort" || !line.starts_with(['c', 'd']))
            .collect();
        assert_eq!(listed, expect, "{format}");
        assert_eq!(found.same, 2, "{format}");
        let (same, listed) = compared(
            &mut before,
            &mut Package::open(&folder.path().join(format!("{format}-1"))).unwrap(),
        );
        assert_eq!((same.same, listed.len(), same.receipts.len()), (same.records[0], 0, 0));
    }
}

#[test]
fn records_that_moved_between_outputs_are_told_and_so_is_what_was_asked() {
    let folder = tempfile::tempdir().unwrap();
    let chats: Vec<(String, String)> = (0..40).map(|n| (format!("c{n}"), n.to_string())).collect();
    let chats: Vec<(&str, &str)> = chats.iter().map(|(id, answer)| (&**id, &**answer)).collect();
    let mut before = package(folder.path(), "1", &chats, &[("split", "train=0.8,test=0.2")]);
    let mut after =
        package(folder.path(), "2", &chats, &[("split", "train=0.5,test=0.5"), ("sample", "30")]);
    let (found, listed) = compared(&mut before, &mut after);
    assert_eq!((found.same, found.gone[0].count), (30, 10));
    assert_eq!(found.gone[0].kind, "not in the selection or the source now");
    assert!(found.moved.iter().all(|one| one.kind == "from `train` to `test`"), "{listed:?}");
    assert!(found.moved[0].count > 0);
    let fields: Vec<&str> = found.receipts.iter().map(|one| &*one.field).collect();
    for field in ["options.sample", "options.split", "split.outputs.test.share"] {
        assert!(fields.contains(&field), "{fields:?}");
    }
}

#[test]
fn fields_of_receipts_are_counts_or_decide_which_items_are_written_or_how() {
    let about =
        |field: &str| ReceiptChange { field: field.into(), before: None, after: None }.about();
    for field in ["check", "purpose", "options.dedup", "options.seed", "selection.tags"] {
        assert_eq!(about(field), About::Selection, "{field}");
    }
    for field in ["window.number", "decontamination.action", "decontamination.benchmarks.a.sha256"]
    {
        assert_eq!(about(field), About::Selection, "{field}");
    }
    for field in ["options.rows", "data_format", "file_format", "redaction.rules"] {
        assert_eq!(about(field), About::Options, "{field}");
    }
    for field in ["records.written", "decontamination.contaminated", "redaction.found.email"] {
        assert_eq!(about(field), About::Counts, "{field}");
    }
}

#[test]
fn rows_of_one_conversation_are_told_apart_and_left_out_as_a_whole() {
    let folder = tempfile::tempdir().unwrap();
    let rows = [("rows", "per-answer")];
    let mut before = package(folder.path(), "1", &[("a#b", "1"), ("c", "2")], &rows);
    let mut after = package(folder.path(), "2", &[("a#b", ""), ("c", "2")], &rows);
    let (found, listed) = compared(&mut before, &mut after);
    assert_eq!(found.same, 1);
    assert_eq!(lines(&listed), ["a#b#1 Gone: left out now: no answer to train on"]);
}
