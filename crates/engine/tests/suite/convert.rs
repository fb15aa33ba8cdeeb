//! Histories to a package.

use std::sync::atomic::AtomicBool;

use retort_engine::pipeline::Nobody;
use retort_engine::{Error, Input, convert};
use serde_json::json;

use crate::support::{Bench, chat, chats, files, lines, question, records, run};

#[test]
fn each_item_is_written_left_out_or_refused_and_the_receipt_says_why() {
    let bench = Bench::new();
    let rows = [chat("a"), question("b"), json!({"neither": "a chat"}), chat("c")];
    let plan = bench.plan(vec![lines(&rows)], &[("data_format", "openai")]);
    let (report, rejects) = run(&plan);
    let report = report.unwrap();

    let account = &report.found.account;
    assert_eq!((account.read, account.refused, account.selected), (4, 1, 3), "{account:?}");
    assert_eq!((account.written, account.left_out.total()), (2, 1), "{account:?}");
    let receipt = serde_json::to_value(&report.manifest).unwrap();
    assert_eq!(receipt["conversations"]["selected"], 3, "{receipt}");
    let ids: Vec<_> = rejects.iter().map(|reject| reject["conversation_id"].as_str()).collect();
    assert!(ids.contains(&Some("b")), "{rejects:?}");
    assert_eq!(records(&plan).len(), 2);
}

#[test]
fn what_holds_no_history_is_refused_by_what_it_is() {
    let bench = Bench::new();
    let input = |text: &str, name: &str| Input::Bytes(text.as_bytes().to_vec().into(), name.into());
    for (text, name, why) in [
        ("messages:\n  - role: user\n", "a.yaml", "a YAML file"),
        ("Title\n\n**User:** hi\n", "a.md", "a Markdown file"),
        (
            r#"{"log": {"version": "1.2", "entries": [{"request": {}, "response": {}}]}}"#,
            "a.har",
            "a HAR file",
        ),
        (r#"{"type": "thread.started", "thread_id": "t"}"#, "a.jsonl", "`codex exec --json`"),
        (
            r#"{"type": "item.completed", "item": {"id": "i", "type": "agent_message", "text": "hi"}}"#,
            "a.jsonl",
            "`codex exec --json`",
        ),
    ] {
        let plan = bench.plan(vec![lines(&[chat("a")]), input(text, name)], &[]);
        let (report, rejects) = run(&plan);
        assert!(report.is_ok(), "{name}");
        assert!(rejects.iter().any(|reject| reject.to_string().contains(why)), "{rejects:?}");
        std::fs::remove_dir_all(&plan.output).unwrap();
    }
}

#[test]
fn comments_between_the_lines_of_a_file_are_no_items() {
    let bench = Bench::new();
    let text = format!("// made by hand\n{}\n# the end\n", chat("a"));
    let plan = bench.plan(vec![Input::Bytes(text.into_bytes().into(), "a.jsonl".into())], &[]);
    let account = run(&plan).0.unwrap().found.account;
    assert_eq!((account.read, account.refused, account.written), (1, 0, 1), "{account:?}");
}

#[test]
fn the_bytes_do_not_depend_on_the_number_of_threads() {
    let bench = Bench::new();
    let inputs = vec![lines(&chats(3_000))];
    for format in ["jsonl", "parquet", "csv"] {
        let mut all = Vec::new();
        for threads in [1, 2, 5] {
            let mut plan = bench.plan(inputs.clone(), &[("file_format", format)]);
            plan.threads = threads;
            plan.output = bench.path(&format!("{format}-{threads}"));
            run(&plan).0.unwrap();
            all.push(files(&plan));
        }
        assert!(all[0] == all[1] && all[1] == all[2], "{format}");
    }
}

#[test]
fn a_package_is_replaced_only_if_that_is_asked() {
    let bench = Bench::new();
    let mut plan = bench.plan(vec![lines(&chats(1))], &[]);
    run(&plan).0.unwrap();
    let (again, _) = run(&plan);
    assert!(matches!(again, Err(Error::Exists(_))), "{again:?}");

    plan.inputs = vec![lines(&chats(2))];
    plan.force = true;
    run(&plan).0.unwrap();
    assert_eq!(records(&plan).len(), 2);
}

#[test]
fn something_else_at_the_output_is_never_replaced() {
    let bench = Bench::new();
    let mut plan = bench.plan(vec![lines(&chats(1))], &[]);
    plan.force = true;
    std::fs::create_dir(&plan.output).unwrap();
    std::fs::write(plan.output.join("thesis.tex"), "years of work").unwrap();
    let (report, _) = run(&plan);
    assert!(matches!(report, Err(Error::NotAPackage(_))), "{report:?}");
    assert!(plan.output.join("thesis.tex").exists());
}

#[test]
fn a_strict_run_publishes_nothing_if_an_item_was_refused() {
    let bench = Bench::new();
    let mut plan = bench.plan(vec![lines(&[chat("a"), json!({"neither": "a chat"})])], &[]);
    plan.strict = true;
    let (report, _) = run(&plan);
    assert!(matches!(report, Err(Error::Strict(_))), "{report:?}");
    assert!(!plan.output.exists());
}

#[test]
fn a_run_that_is_stopped_leaves_nothing_behind() {
    let bench = Bench::new();
    let plan = bench.plan(vec![lines(&chats(1_000))], &[]);
    let report = convert(&plan, &Nobody, &AtomicBool::new(true), &mut Vec::new());
    assert!(report.is_err());
    assert!(!plan.output.exists());
    let left: Vec<_> = std::fs::read_dir(bench.path("")).unwrap().collect();
    assert!(left.is_empty(), "{left:?}");
}

#[test]
fn without_an_item_that_can_be_read_no_package_is_written() {
    let bench = Bench::new();
    let plan = bench.plan(vec![Input::Bytes(b"no JSON".to_vec().into(), "x".into())], &[]);
    let (report, _) = run(&plan);
    assert!(matches!(report, Err(Error::Nothing(_))), "{report:?}");
    assert!(!plan.output.exists());
}

#[test]
fn a_namespace_keeps_ids_apart() {
    let bench = Bench::new();
    let mut plan = bench.plan(vec![lines(&[chat("1")])], &[("data_format", "retort")]);
    plan.namespace = Some("old".into());
    run(&plan).0.unwrap();
    assert_eq!(records(&plan)[0]["id"], "old/1");
}
