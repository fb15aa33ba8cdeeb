//! Files that records have beside their rows: through threads, parts, archives, the check and back.

use std::fs;
use std::sync::atomic::AtomicBool;

use retort_engine::pipeline::Nobody;
use retort_engine::{AskedPart, ConvertPlan, Error, Input, MergePlan, merge, preview, verify};

use crate::support::{Bench, asked, chats, files, lines, records, run};

fn sessions(bench: &Bench, count: usize, output: &str, options: &[(&str, &str)]) -> ConvertPlan {
    let options = [&[("data_format", "sts")], options].concat();
    let mut plan = bench.plan(vec![lines(&chats(count))], &options);
    plan.output = bench.path(output);
    plan
}

#[test]
fn each_record_has_its_file_whatever_the_threads_and_parts() {
    let bench = Bench::new();
    let mut one = sessions(&bench, 400, "one", &[]);
    one.threads = 1;
    let report = run(&one).0.unwrap();
    assert_eq!(report.manifest.records.written, 400);
    let found = files(&one);
    let is_session = |(name, _): &&(String, Vec<u8>)| name.starts_with("sessions/");
    assert_eq!(found.iter().filter(is_session).count(), 400);
    assert!(fs::read_to_string(one.output.join("README.md")).unwrap().contains("sessions/*.jsonl"));

    let many = ConvertPlan { threads: 4, output: bench.path("many"), ..one.clone() };
    run(&many).0.unwrap();
    assert!(files(&many) == found, "threads make no difference");

    let mut parts = Vec::new();
    for number in 1..=3 {
        let part = format!("{number}/3").parse().unwrap();
        let output = bench.path(&format!("part-{number}"));
        let asked = Some(AskedPart { part, repeats: None });
        let plan = ConvertPlan { part: asked, output, ..one.clone() };
        run(&plan).0.unwrap();
        parts.push(plan.output);
    }
    let merged = |parts: Vec<_>, output: &str, is_partial| {
        let output = bench.path(output);
        let plan =
            MergePlan { parts, output: output.clone(), is_partial, force: false, threads: 2 };
        merge(&plan, &Nobody, &AtomicBool::new(false)).unwrap();
        output
    };
    let two = merged(parts[..2].to_vec(), "two", true);
    let output = merged(vec![two, parts[2].clone()], "merged", false);
    assert!(files(&ConvertPlan { output, ..one.clone() }) == found, "parts make no difference");
}

#[test]
fn the_check_reads_the_files_of_records_too() {
    let bench = Bench::new();
    for (output, options) in [("sts", &[][..]), ("markdown", &[("data_format", "markdown")][..])] {
        let plan = sessions(&bench, 5, output, options);
        run(&plan).0.unwrap();
        let verified = verify(&plan.output).unwrap();
        assert!(verified.differences.is_empty(), "{:?}", verified.differences);
        let (name, bytes) =
            files(&plan).into_iter().find(|(name, _)| name.contains("/c3.")).unwrap();
        let path = plan.output.join(&name);
        fs::write(&path, [&bytes[..], b"x"].concat()).unwrap();
        let differs = |what: &str| {
            let differences = verify(&plan.output).unwrap().differences;
            assert!(differences.iter().any(|one| one.file == name), "{what}: {differences:?}");
        };
        differs("longer");
        fs::remove_file(&path).unwrap();
        differs("gone");
        fs::write(&path, bytes).unwrap();
        fs::write(path.with_extension("more"), "x").unwrap();
        assert_eq!(verify(&plan.output).unwrap().differences.len(), 1, "one more");
    }
}

#[test]
fn a_package_of_sessions_is_read_as_its_sessions() {
    let bench = Bench::new();
    for output in ["folder", "package.zip"] {
        let plan = sessions(&bench, 30, output, &[]);
        run(&plan).0.unwrap();
        let mut back = bench.plan(vec![Input::Path(plan.output)], &[("data_format", "openai")]);
        back.output = bench.path(&format!("back-{}", output.replace('.', "-")));
        let (report, rejects) = run(&back);
        let account = report.unwrap().found.account;
        assert_eq!((account.read, account.refused), (30, 0), "{output}: {rejects:?}");
        let mut questions: Vec<_> =
            records(&back).iter().map(|one| asked(one).to_owned()).collect();
        questions.sort();
        questions.dedup();
        assert_eq!(questions.len(), 30);
    }
}

#[test]
fn several_outputs_have_folders_of_their_own() {
    let bench = Bench::new();
    let plan = sessions(&bench, 60, "split", &[("split", "train=0.5,test=0.5")]);
    run(&plan).0.unwrap();
    let card = fs::read_to_string(plan.output.join("README.md")).unwrap();
    for name in ["train", "test"] {
        assert!(card.contains(&format!("sessions/{name}/*.jsonl")), "{card}");
        let rows = fs::read_to_string(plan.output.join(format!("conversations-{name}.jsonl")));
        let listed = rows.unwrap().lines().count();
        let there = fs::read_dir(plan.output.join("sessions").join(name)).unwrap().count();
        assert!(listed > 0 && listed == there, "{name}: {listed} rows, {there} files");
    }
    assert!(verify(&plan.output).unwrap().differences.is_empty());
}

#[test]
fn what_cannot_hold_the_files_is_refused_and_a_preview_writes_none() {
    let bench = Bench::new();
    let plan = sessions(&bench, 3, "data.jsonl", &[]);
    let (refused, _) = run(&plan);
    let Err(Error::Choice(why)) = refused else { panic!("{refused:?}") };
    assert!(why.contains("`sts` writes files beside the rows"), "{why}");
    let shown = preview(&plan, &AtomicBool::new(false), &mut std::io::sink()).unwrap();
    assert_eq!(shown.records.len(), 3);
    assert!(shown.records[0].contains("sessions/c0.jsonl"), "{}", shown.records[0]);
    assert!(!plan.output.exists());
}
