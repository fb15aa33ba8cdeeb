//! Parts of an export to one package.

use std::sync::atomic::AtomicBool;

use retort_engine::pipeline::{Nobody, PartNumber};
use retort_engine::{AskedPart, Error, MergePlan, merge};

use crate::support::{Bench, chats, files, lines, run};

#[test]
fn merged_parts_are_the_package_of_one_run() {
    let bench = Bench::new();
    let whole = bench.plan(vec![lines(&chats(500))], &[]);
    run(&whole).0.unwrap();

    let mut parts = Vec::new();
    for number in [2, 1, 3] {
        let mut plan = whole.clone();
        plan.output = bench.path(&format!("part-{number}"));
        let part: PartNumber = format!("{number}/3").parse().unwrap();
        plan.part = Some(AskedPart { part, repeats: None });
        run(&plan).0.unwrap();
        parts.push(plan.output);
    }
    let mut plan = MergePlan {
        parts: parts.clone(),
        output: bench.path("merged"),
        is_partial: false,
        force: false,
        threads: 2,
    };
    merge(&plan, &Nobody, &AtomicBool::new(false)).unwrap();
    let mut merged = whole.clone();
    merged.output.clone_from(&plan.output);
    assert!(files(&merged) == files(&whole));

    plan.output = bench.path("two");
    plan.parts = parts[..2].to_vec();
    let incomplete = merge(&plan, &Nobody, &AtomicBool::new(false));
    assert!(matches!(incomplete, Err(Error::Choice(_))), "{incomplete:?}");
    assert!(!plan.output.exists());
}
