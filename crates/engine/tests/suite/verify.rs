//! Packages held against their receipts.

use std::fs;

use retort_engine::{Error, verify};

use crate::support::{Bench, chats, files, lines, run};

#[test]
fn a_package_is_as_its_receipt_says_until_a_byte_changes() {
    let bench = Bench::new();
    for format in ["jsonl", "parquet", "csv"] {
        let mut plan = bench.plan(vec![lines(&chats(20))], &[("file_format", format)]);
        plan.output = bench.path(format);
        run(&plan).0.unwrap();
        let verified = verify(&plan.output).unwrap();
        assert!(verified.differences.is_empty(), "{format}: {:?}", verified.differences);
        assert_eq!(verified.records, 20, "{format}");

        let (name, mut bytes) =
            files(&plan).into_iter().find(|(name, _)| name.starts_with("conversations.")).unwrap();
        let middle = bytes.len() / 2;
        bytes[middle] ^= 1;
        fs::write(plan.output.join(&name), bytes).unwrap();
        let differences = verify(&plan.output).unwrap().differences;
        assert!(differences.iter().any(|one| one.file == name), "{format}: {differences:?}");
    }
}

#[test]
fn a_folder_without_a_receipt_is_no_package() {
    let bench = Bench::new();
    let plan = bench.plan(vec![lines(&chats(2))], &[]);
    run(&plan).0.unwrap();
    fs::remove_file(plan.output.join("manifest.json")).unwrap();
    let verified = verify(&plan.output);
    assert!(matches!(verified, Err(Error::NotWhole { .. })), "{verified:?}");
}

#[test]
fn a_missing_file_is_a_difference() {
    let bench = Bench::new();
    let plan = bench.plan(vec![lines(&chats(2))], &[]);
    run(&plan).0.unwrap();
    fs::remove_file(plan.output.join("README.md")).unwrap();
    let differences = verify(&plan.output).unwrap().differences;
    assert!(differences.iter().any(|one| one.file == "README.md"), "{differences:?}");
}
