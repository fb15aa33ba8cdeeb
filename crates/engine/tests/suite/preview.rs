//! The first records, with nothing written.

use std::sync::atomic::AtomicBool;

use retort_engine::{Package, preview, preview_package};
use serde_json::Value;

use crate::support::{Bench, chat, chats, lines, question, records, run};

#[test]
fn a_preview_shows_the_records_that_a_conversion_writes() {
    let bench = Bench::new();
    for format in ["standard", "openai", "prompt-completion", "history", "retort"] {
        let rows = [chat("a"), question("b"), chat("c")];
        let mut plan = bench.plan(vec![lines(&rows)], &[("data_format", format)]);
        plan.output = bench.path(format);
        let mut rejects = Vec::new();
        let seen = preview(&plan, &AtomicBool::new(false), &mut rejects).unwrap();
        assert!(!plan.output.exists(), "{format}: nothing is written");
        let (report, _) = run(&plan);
        let report = report.unwrap();
        let first: Vec<Value> =
            seen.records.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
        assert_eq!(first, records(&plan), "{format}");
        assert_eq!(seen.found.account, report.found.account, "{format}");

        let again = preview_package(&mut Package::open(&plan.output).unwrap()).unwrap();
        let again: Vec<Value> =
            again.iter().map(|text| serde_json::from_str(text).unwrap()).collect();
        assert_eq!(again, first, "{format}: of the finished package");
    }
}

#[test]
fn a_preview_of_large_records_shows_as_many_as_fit_a_page() {
    let bench = Bench::new();
    let large = |id: &str| {
        let mut chat = chat(id);
        chat["messages"][0]["content"] = "x".repeat(1_500_000).into();
        chat
    };
    let rows: Vec<Value> = (0..5).map(|number| large(&number.to_string())).collect();
    let mut plan = bench.plan(vec![lines(&rows)], &[]);
    plan.output = bench.path("large");
    let seen = preview(&plan, &AtomicBool::new(false), &mut Vec::new()).unwrap();
    assert_eq!(seen.records.len(), 2);
    run(&plan).0.unwrap();
    let again = preview_package(&mut Package::open(&plan.output).unwrap()).unwrap();
    assert_eq!(again, seen.records);
}

#[test]
fn a_preview_ends_before_it_has_read_a_long_history() {
    let bench = Bench::new();
    let plan = bench.plan(vec![lines(&chats(50_000))], &[]);
    let seen = preview(&plan, &AtomicBool::new(false), &mut Vec::new()).unwrap();
    assert!(!seen.records.is_empty());
    assert!(seen.found.account.read < 50_000, "{:?}", seen.found.account);
}
