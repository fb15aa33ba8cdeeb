//! Records that are left out or split for how a model sees them.

use std::fs;

use retort_engine::pipeline::PartNumber;
use retort_engine::{ConvertPlan, MeasureOptions, OverLong, verify};
use retort_model::Time;
use serde_json::{Value, json};

use crate::support::{Bench, chat, lines, records, run};

const TEMPLATE: &str = "{% for m in messages %}<{{ m.role }}>{{ m.content }}<end>{% endfor %}\
    {% if add_generation_prompt %}<assistant>{% endif %}";

fn exchange(question: &str, answer: &str) -> [Value; 2] {
    [json!({"role": "user", "content": question}), json!({"role": "assistant", "content": answer})]
}

fn conversation(id: &str, exchanges: &[[Value; 2]]) -> Value {
    let system = json!({"role": "system", "content": "S"});
    let messages: Vec<_> = std::iter::once(&system).chain(exchanges.iter().flatten()).collect();
    json!({"id": id, "messages": messages})
}

fn measured(bench: &Bench, rows: &[Value], format: &str, options: &MeasureOptions) -> ConvertPlan {
    let mut plan = bench.plan(vec![lines(rows)], &[("data_format", format)]);
    let now = Time::parse("2026-01-02T00:00:00Z").unwrap();
    plan.dataset.measuring = options.clone();
    plan.dataset.open_files(&plan.dataset.paths(), now).unwrap();
    plan
}

/// The ids and contents of the records, and the reasons of what was left out.
fn made(plan: &ConvertPlan) -> (Vec<(String, String)>, Vec<String>) {
    let (report, rejects) = run(plan);
    let report = report.unwrap();
    assert!(report.found.account.balances() && report.manifest.balances());
    let verified = verify(&plan.output).unwrap();
    assert_eq!(verified.differences, [], "the package matches its receipt");
    let ids = fs::read_to_string(plan.output.join("ids.txt")).unwrap();
    let said = |row: Value| {
        let messages = row["messages"].as_array().unwrap().clone();
        messages
            .iter()
            .map(|one| one["content"].as_str().unwrap().to_owned())
            .collect::<Vec<_>>()
            .join(" ")
    };
    let records = ids.lines().map(str::to_owned).zip(records(plan).into_iter().map(said)).collect();
    let why = |line: &Value| {
        format!(
            "{} {}: {}",
            line["conversation_id"].as_str().unwrap(),
            line["part"].as_str().unwrap_or("-"),
            line["reason"].as_str().unwrap()
        )
    };
    (records, rejects.iter().map(why).collect())
}

fn owned(pairs: &[(&str, &str)]) -> Vec<(String, String)> {
    pairs.iter().map(|(id, said)| ((*id).to_owned(), (*said).to_owned())).collect()
}

#[test]
fn records_past_the_limit_are_left_out_and_told_of() {
    let bench = Bench::new();
    let long = "x".repeat(100);
    let rows = [chat("a"), conversation("b", &[exchange("q", &long)]), chat("c")];
    let options = MeasureOptions { max_characters: Some(60), ..MeasureOptions::default() };
    let plan = measured(&bench, &rows, "openai", &options);
    let (records, rejects) = made(&plan);
    assert_eq!(records, owned(&[("a", "Where is a? a is here."), ("c", "Where is c? c is here.")]));
    assert_eq!(rejects, ["b -: too-long"]);
    let receipt: Value =
        serde_json::from_str(&fs::read_to_string(plan.output.join("manifest.json")).unwrap())
            .unwrap();
    assert_eq!(receipt["options"]["max_characters"], "60");
    assert_eq!(
        receipt["records"]["seen_lengths"],
        json!({"unit": "characters", "total": 46, "learnt": 22, "p50": 23, "p90": 23, "p99": 23, "longest": 23})
    );
}

#[test]
fn rows_that_are_no_chats_are_measured_by_their_text_and_no_template_renders_them() {
    let bench = Bench::new();
    let rows = [chat("a"), conversation("b", &[exchange("q", &"x".repeat(2000))])];
    let limit = MeasureOptions { max_characters: Some(1000), ..MeasureOptions::default() };
    let (report, rejects) = run(&measured(&bench, &rows, "history", &limit));
    assert_eq!(report.unwrap().found.account.records, 1);
    assert_eq!(rejects[0]["reason"], "too-long");
    let template = bench.path("t.jinja");
    fs::write(&template, TEMPLATE).unwrap();
    let template = Some(template.to_string_lossy().into());
    let mut plan = measured(&bench, &rows, "history", &MeasureOptions { template, ..limit });
    plan.output = bench.path("rendered");
    let error = run(&plan).0.unwrap_err().to_string();
    assert!(error.contains("template"), "{error}");
}

#[test]
fn long_conversations_are_split_between_exchanges() {
    let bench = Bench::new();
    let exchanges: Vec<_> = (1..=5).map(|n| exchange(&format!("q{n}"), &format!("a{n}"))).collect();
    let mut all = exchanges.clone();
    all.insert(2, exchange("long", &"x".repeat(100)));
    let options = MeasureOptions {
        max_characters: Some(14),
        over_long: OverLong::Split,
        ..MeasureOptions::default()
    };
    let rows = [conversation("a", &all), conversation("b", &exchanges[..1])];
    for format in ["openai", "chat"] {
        let mut plan = measured(&bench, &rows, format, &options);
        plan.output = bench.path(format);
        let (records, rejects) = made(&plan);
        assert_eq!(
            records,
            owned(&[
                ("a#1", "S q1 a1 q2 a2"),
                ("a#3", "S q3 a3 q4 a4"),
                ("a#4", "S q5 a5"),
                ("b", "S q1 a1")
            ])
        );
        assert_eq!(rejects, ["a part 2: too-long"]);
    }
}

#[test]
fn a_template_decides_on_the_length_and_on_what_is_learnt() {
    let bench = Bench::new();
    let template = bench.path("chat_template.jinja");
    let said = format!(
        "{TEMPLATE}{{% if messages[0].content == 'no' %}}{{{{ raise_exception('not so') }}}}{{% endif %}}"
    );
    fs::write(&template, said).unwrap();
    let refused = json!({"id": "b", "messages": exchange("no", "x")});
    let rows = [chat("a"), refused, chat("cc")];
    let options = MeasureOptions {
        template: Some(template.to_string_lossy().into()),
        tokenizer: Some("o200k".into()),
        max_tokens: Some(100),
        ..MeasureOptions::default()
    };
    let plan = measured(&bench, &rows, "openai", &options);
    let (records, rejects) = made(&plan);
    assert_eq!(records.len(), 2);
    assert_eq!(rejects, ["b -: template-error"]);
    let receipt: Value =
        serde_json::from_str(&fs::read_to_string(plan.output.join("manifest.json")).unwrap())
            .unwrap();
    assert_eq!(receipt["records"]["seen_lengths"]["unit"], "tokens");
    assert_eq!(receipt["options"]["template_sha256"].as_str().unwrap().len(), 64);
    // A template that writes nothing of what is learnt.
    let silent = "{% for m in messages %}{% if m.role == 'assistant' %}{% generation %}{% endgeneration %}{% else %}{{ m.content }}{% endif %}{% endfor %}";
    fs::write(&template, silent).unwrap();
    let mut plan = measured(&bench, &rows[..1], "openai", &options);
    plan.output = bench.path("silent");
    let error = run(&plan).0.unwrap_err().to_string();
    assert!(error.contains("nothing-to-learn") || error.contains("nothing to train on"), "{error}");
}

#[test]
fn parts_leave_out_the_same_and_merge_to_the_same_package() {
    let bench = Bench::new();
    let rows: Vec<Value> = (0..40)
        .map(|n| conversation(&format!("c{n}"), &vec![exchange("q", &"y".repeat(n)); 1 + n % 3]))
        .collect();
    fs::write(
        bench.path("in.jsonl"),
        rows.iter().map(|row| format!("{row}\n")).collect::<String>(),
    )
    .unwrap();
    let options = MeasureOptions {
        max_characters: Some(50),
        over_long: OverLong::Split,
        ..MeasureOptions::default()
    };
    let whole = |output: &str, part: Option<PartNumber>| {
        let mut plan = measured(&bench, &rows, "openai", &options);
        plan.inputs = vec![retort_engine::Input::Path(bench.path("in.jsonl"))];
        plan.output = bench.path(output);
        plan.part = part.map(|part| retort_engine::AskedPart { part, repeats: None });
        run(&plan).0.unwrap();
        plan
    };
    let straight = whole("straight", None);
    let parts = ["1/2", "2/2"]
        .map(|part| whole(&format!("part-{}", &part[..1]), Some(part.parse().unwrap())).output);
    let merged = retort_engine::MergePlan {
        parts: parts.to_vec(),
        output: bench.path("merged"),
        force: false,
        is_partial: false,
        threads: 1,
    };
    let stopped = std::sync::atomic::AtomicBool::new(false);
    retort_engine::merge(&merged, &retort_engine::pipeline::Nobody, &stopped).unwrap();
    for file in ["conversations.jsonl", "manifest.json", "ids.txt", "rejects.jsonl"] {
        let read = |folder: &std::path::Path| fs::read_to_string(folder.join(file)).unwrap();
        assert_eq!(read(&merged.output), read(&straight.output), "{file}");
    }
}
