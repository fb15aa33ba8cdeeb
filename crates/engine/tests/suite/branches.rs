//! Conversations with regenerated answers and edited questions: which of their branches become records.

use retort_engine::Input;
use serde_json::{Value, json};

use crate::support::{Bench, records, run};

/// A question with two answers, the first of which was asked about in two ways.
fn tree() -> Value {
    let message = |id: &str, parent: Value, children: &[&str], role: &str| json!({"id": id, "parentId": parent, "childrenIds": children, "role": role, "content": id});
    json!({"id": "t", "title": "T", "chat": {"models": ["m"], "history": {"currentId": "answer 2", "messages": {
        "question": message("question", json!(null), &["answer 1", "answer 2"], "user"),
        "answer 1": message("answer 1", json!("question"), &["why", "how"], "assistant"),
        "answer 2": message("answer 2", json!("question"), &[], "assistant"),
        "why": message("why", json!("answer 1"), &["because"], "user"),
        "because": message("because", json!("why"), &[], "assistant"),
        "how": message("how", json!("answer 1"), &["so"], "user"),
        "so": message("so", json!("how"), &[], "assistant"),
    }}}})
}

/// Each record as its messages, and the ids of the records.
fn written(options: &[(&str, &str)]) -> (Vec<String>, String) {
    let bench = Bench::new();
    let text = tree().to_string();
    let input = Input::Bytes(text.into_bytes().into(), "chats.json".into());
    let options = [&[("data_format", "openai")], options].concat();
    let plan = bench.plan(vec![input], &options);
    let (report, _) = run(&plan);
    let account = report.unwrap().found.account;
    assert_eq!((account.read, account.selected), (1, 1));
    let said = |record: &Value| {
        let messages = record["messages"].as_array().unwrap().iter();
        messages.map(|one| one["content"].as_str().unwrap()).collect::<Vec<_>>().join(", ")
    };
    let ids = std::fs::read_to_string(plan.output.join("ids.txt")).unwrap();
    (records(&plan).iter().map(said).collect(), ids)
}

#[test]
fn the_branch_that_is_shown_is_the_record_unless_all_are_asked_for() {
    let (said, ids) = written(&[]);
    assert_eq!(said, ["question, answer 2"]);
    assert_eq!(ids, "t\n");
}

#[test]
fn each_leaf_is_a_record_with_its_branch_named() {
    let (said, ids) = written(&[("branches", "all")]);
    let mut sorted = said.clone();
    sorted.sort();
    assert_eq!(
        sorted,
        ["question, answer 1, how, so", "question, answer 1, why, because", "question, answer 2"]
    );
    assert_eq!(ids, "t#branch-1\nt#branch-2\nt#branch-3\n");
}

#[test]
fn an_answer_that_branches_share_is_a_row_once() {
    let (said, ids) = written(&[("branches", "all"), ("rows", "per-answer")]);
    let mut sorted = said.clone();
    sorted.sort();
    assert_eq!(
        sorted,
        [
            "question, answer 1",
            "question, answer 1, how, so",
            "question, answer 1, why, because",
            "question, answer 2"
        ]
    );
    assert_eq!(ids.lines().collect::<std::collections::BTreeSet<_>>().len(), 4, "{ids}");
}
