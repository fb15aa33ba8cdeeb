//! Runs: how they are read, and what each purpose makes of them.

use crate::support::*;
use arbtest::arbitrary::{self, Unstructured};
use arbtest::arbtest;
use retort_formats::data::ShapeOptions;
use retort_formats::import::{Notes, Refusal, by_name};
use retort_json::{RawJson, Text};
use retort_model::{
    Feedback, Fields, FileReference, Item, Judgement, Label, NodeKind, NodeRun, Run, RunSource,
    RunStatus, Time, Usage,
};
use serde_json::{Value, json};

/// What was read, as the canonical line has it, without its version.
fn canonical(item: &Value) -> Value {
    read_item(&item.to_string()).into_run_line()
}

trait IntoRunLine {
    fn into_run_line(self) -> Value;
}

impl IntoRunLine for Item<'_> {
    fn into_run_line(self) -> Value {
        let Item::Run(run) = self else { panic!("a run") };
        let mut line = Vec::new();
        retort_model::canonical::write_run(&run, &mut line);
        let mut value: Value = serde_json::from_slice(&line).unwrap();
        value.as_object_mut().unwrap().remove("retort_run");
        value
    }
}

#[test]
fn the_shape_of_the_house_is_read_field_by_field() {
    let run = json!({
        "request_id": "r1", "source": "recipe", "source_id": "rec", "source_name": "R", "version": "3",
        "thread": "t", "project": "p", "owner": "a@b.c", "question": "“q” 💡", "inputs": {"lang": "de"},
        "answer": "a\n", "status": "success",
        "files": [{"uri": "s3://b/k.pdf", "name": "k.pdf", "media_type": "application/pdf", "size_bytes": 9,
            "metadata": {"etag": "x"}}],
        "contexts": [{"text": "p"}, "bare"],
        "nodes": [
            {"node": "plan", "kind": "agent", "status": "success"},
            {"node": "summarise", "kind": "model-call", "parent": 0, "model": "m", "prompt": "Say {x}",
             "variables": {"x": 1.50}, "input": "i", "output": {"o": [1, null]}, "status": "failure", "error": "no",
             "feedback": {"rating": 4.5, "label": "good", "comment": "c"}, "ground_truth": "g",
             "started_at": "2026-01-02T03:04:05Z", "finished_at": "2026-01-02T03:04:06.5Z",
             "input_tokens": 3, "output_tokens": 0, "metadata": {"temperature": 0.1}}],
        "feedback": {"rating": true, "label": "l", "comment": "c"}, "ground_truth": "truth",
        "started_at": "2026-01-02T03:04:05Z", "finished_at": "2026-01-02T03:04:07Z", "metadata": {"later": [1]},
    });
    assert_eq!(canonical(&run), run);
    // Pretty printed, with line ends between the tokens, it is the same.
    let pretty = serde_json::to_string_pretty(&run).unwrap();
    assert_eq!(read_item(&pretty).into_run_line(), run);
}

#[test]
fn what_has_no_name_in_the_model_stays_with_the_rest() {
    let read = canonical(&json!({
        "request_id": "r", "colour": "blue", "answer": "a", "cost": {"usd": 1}, "started_at": "yesterday",
        "metadata": {"k": 1}, "nodes": [{"node": "n", "retries": 2}], "contexts": "none",
    }));
    assert_eq!(
        read["metadata"],
        json!({"colour": "blue", "cost": {"usd": 1}, "started_at": "yesterday", "k": 1, "contexts": "none"})
    );
    assert_eq!(read["nodes"][0]["metadata"], json!({"retries": 2}));
    // Two fields of one name, within and without, stay two.
    let read = canonical(&json!({"request_id": "r", "answer": "a", "k": 2, "metadata": {"k": 1}}));
    assert_eq!(read["metadata"], json!({"k": 2, "metadata": {"k": 1}}));
}

#[test]
fn the_names_of_webhooks_and_copilots_are_read() {
    let read = canonical(&json!({
        "requestId": "68f1efc97c30caba4676f6a0", "recipe_id": 7, "input_message": "q", "batch_status": "inProcess",
        "files": {"documents": [{"content_type": "application/pdf", "file_path": "s3://b/k.pdf"}], "metadata": {"a": 1}},
        "created_at": "2026-01-02T03:04:05Z", "version": 12,
    }));
    assert_eq!(
        read,
        json!({
            "request_id": "68f1efc97c30caba4676f6a0", "source": "recipe", "source_id": "7", "version": "12",
            "question": "q", "status": "running", "started_at": "2026-01-02T03:04:05Z",
            "files": [{"uri": "s3://b/k.pdf", "media_type": "application/pdf"}],
            "metadata": {"files": {"metadata": {"a": 1}}, "batch_status": "inProcess"},
        })
    );
    let read = canonical(
        &json!({"copilot_id": "cp_1", "request_id": "r", "question": "q", "response": {"text": "a"},
        "files": ["s3://b/1", {"url": "https://x/2", "pages": 3}]}),
    );
    assert_eq!(
        (&read["source"], &read["source_id"], &read["answer"]),
        (&json!("copilot"), &json!("cp_1"), &json!("{\"text\":\"a\"}"))
    );
    assert_eq!(
        read["files"],
        json!([{"uri": "s3://b/1"}, {"uri": "https://x/2", "metadata": {"pages": 3}}])
    );
}

#[test]
fn traces_become_nodes_with_and_without_a_run_around_them() {
    let steps = json!([
        {"process": "generate_embeddings", "details": {"prompt": {"input": "{\"text\":\"q\"}", "output": [0.25, -1e-7]}}},
        {"process": "search_vector_index", "details": {"prompt": {"input": {"k": 3}, "output": []}, "took": 4}},
        {"process": "Check Content Safety", "details": {"prompt": {"template": "Is {q} safe?", "input": "q"}}},
    ]);
    let nodes = json!([
        {"node": "generate_embeddings", "kind": "retrieval", "status": "success", "input": {"text": "q"}, "output": [0.25, -1e-7]},
        {"node": "search_vector_index", "kind": "retrieval", "status": "success", "input": {"k": 3}, "output": [], "metadata": {"took": 4}},
        {"node": "Check Content Safety", "kind": "model-call", "status": "success", "prompt": "Is {q} safe?", "input": "q"},
    ]);
    let alone = canonical(&json!({"data": steps}));
    assert_eq!((&alone["nodes"], &alone["request_id"]), (&nodes, &json!("")));
    let named = canonical(&json!({"request_id": "r", "data": steps}));
    assert_eq!((&named["nodes"], &named["request_id"]), (&nodes, &json!("r")));
    let within =
        canonical(&json!({"request_id": "r", "answer": "a", "trace": {"data": steps, "total": 3}}));
    assert_eq!((&within["nodes"], &within["metadata"]), (&nodes, &json!({"trace": {"total": 3}})));
    let data = canonical(&json!({"request_id": "r", "answer": "a", "data": [1, 2]}));
    assert_eq!(data["metadata"], json!({"data": [1, 2]}));
}

#[test]
fn nodes_inside_nodes_and_by_name_become_a_list_with_their_parents() {
    let read = |nodes: Value| {
        let item = json!({"request_id": "r", "answer": "a", "nodes": nodes}).to_string();
        read_run(&item)
            .nodes
            .iter()
            .map(|node| (node.node.decoded().into_owned(), node.parent))
            .collect::<Vec<_>>()
    };
    let named = |names: &[(&str, Option<usize>)]| {
        names.iter().map(|(name, parent)| ((*name).to_owned(), *parent)).collect::<Vec<_>>()
    };
    assert_eq!(
        read(
            json!([{"node": "a", "children": [{"node": "b", "nodes": [{"node": "c"}]}, {"node": "b"}]}, {"node": "d"}])
        ),
        named(&[("a", None), ("b", Some(0)), ("c", Some(1)), ("b", Some(0)), ("d", None)])
    );
    assert_eq!(
        read(json!({"first": {"output": 1}, "second": {"parent": "first"}})),
        named(&[("first", None), ("second", Some(0))])
    );
    // By id before position before name.
    assert_eq!(
        read(
            json!([{"id": 7, "name": "a"}, {"id": 0, "name": "b", "parent_id": 7}, {"name": "c", "parent": "a"}, {"name": "d", "parent": 3}])
        ),
        named(&[("a", None), ("b", Some(0)), ("c", Some(0)), ("d", None)])
    );
    // Circles are broken, and what was said stays.
    let item = json!({"request_id": "r", "nodes": [{"node": "a", "parent": 1}, {"node": "b", "parent": 0}, {"node": "c", "parent": "gone"}]});
    let run = canonical(&item);
    let parents: Vec<_> =
        run["nodes"].as_array().unwrap().iter().map(|node| node["parent"].clone()).collect();
    assert_eq!(parents.iter().filter(|parent| !parent.is_null()).count(), 1, "{run}");
    assert_eq!(run["nodes"][2]["metadata"], json!({"parent": "gone"}));
}

#[test]
fn words_for_states_and_kinds_are_understood_and_others_kept() {
    for (word, status) in [
        ("succeeded", RunStatus::Success),
        ("COMPLETED", RunStatus::Success),
        ("error", RunStatus::Failure),
        ("in_progress", RunStatus::Running),
        ("inProcess", RunStatus::Running),
        ("canceled", RunStatus::Cancelled),
    ] {
        let item = json!({"request_id": "r", "status": word}).to_string();
        assert_eq!(read_run(&item).status, status, "{word}");
        assert_eq!(
            canonical(&json!({"request_id": "r", "status": word}))["metadata"]["status"],
            word
        );
    }
    let item = json!({"request_id": "r", "status": "odd", "error": {"code": 5}}).to_string();
    let run = read_run(&item);
    assert_eq!((run.status, run.metadata.len()), (RunStatus::Failure, 1));
    assert_eq!(run.error.unwrap().decoded(), r#"{"code":5}"#);
    for (word, kind) in [
        ("LLM", NodeKind::ModelCall),
        ("retriever", NodeKind::Retrieval),
        ("tool_call", NodeKind::Tool),
        ("agent", NodeKind::Agent),
        ("merge", NodeKind::Other),
    ] {
        let item = json!({"request_id": "r", "nodes": [{"node": "n", "type": word}]}).to_string();
        assert_eq!(read_run(&item).nodes[0].kind, kind, "{word}");
    }
    let item = json!({"request_id": "r", "source": "webhook", "status": "success", "duration_ms": 1500, "started_at": 1_700_000_000}).to_string();
    let run = read_run(&item);
    assert_eq!(run.source, RunSource::Recipe);
    assert_eq!(run.finished_at.unwrap().to_string(), "2023-11-14T22:13:21.5Z");
}

#[test]
fn runs_are_told_from_conversations() {
    let runs = by_name("runs").unwrap();
    for item in [
        json!({"id": "c", "title": "t", "messages": [{"role": "user", "content": "q"}]}),
        json!({"_id": "c", "rounds": [], "status": "active"}),
        json!({"conversations": [], "query": "q"}),
        json!({"id": 1}),
    ] {
        let error = runs.read(&item.to_string(), &mut Notes::default()).unwrap_err();
        assert_eq!(error.refusal, Refusal::UnknownShape, "{item}");
    }
    // A request's log with messages is a conversation, whatever else it says.
    let log = json!({"request_id": "r", "status": "success", "messages": [{"role": "user", "content": "q"}]});
    assert!(matches!(read_item(&log.to_string()), Item::Conversation(_)));
}

fn any_text(u: &mut Unstructured<'_>) -> arbitrary::Result<Option<Text<'static>>> {
    let text: String = u.arbitrary()?;
    Ok(if text.is_empty() { None } else { Some(text.into()) })
}

fn any_raw(u: &mut Unstructured<'_>) -> arbitrary::Result<Option<RawJson<'static>>> {
    let texts = ["1.50", "\"\"", "{\"a\":[null,{\"b\":-0.0}]}", "[]", "\"\\u00e4\\n\"", "true"];
    Ok(if u.arbitrary()? { Some(RawJson::owned(u.choose(&texts)?).unwrap()) } else { None })
}

fn any_fields(u: &mut Unstructured<'_>) -> arbitrary::Result<Fields<'static>> {
    let names = ["answer", "metadata", "nodes", "k", "ä \" b", ""];
    let mut fields = Fields::new();
    for name in names {
        if let Some(raw) = any_raw(u)? {
            fields.put(name.into(), raw);
        }
    }
    Ok(fields)
}

fn any_feedback(u: &mut Unstructured<'_>) -> arbitrary::Result<Option<Box<Feedback<'static>>>> {
    let feedback = Feedback { rating: any_raw(u)?, label: any_text(u)?, comment: any_text(u)? };
    Ok((feedback != Feedback::default()).then(|| Box::new(feedback)))
}

fn any_time(u: &mut Unstructured<'_>) -> arbitrary::Result<Option<Time>> {
    Ok(Time::from_unix_micros(u.int_in_range(0..=4_000_000_000_000_000_i64)?)
        .filter(|_| u.arbitrary().unwrap_or(false)))
}

fn any_judgements(u: &mut Unstructured<'_>) -> arbitrary::Result<Vec<Judgement<'static>>> {
    let mut judgements = Vec::new();
    for place in 0..u.int_in_range(0..=2_usize)? {
        judgements.push(Judgement {
            by: (place > 0).then(|| format!("person {place}").into()),
            at: any_time(u)?,
            rating: any_raw(u)?,
            comment: any_text(u)?,
            preference: u.arbitrary::<bool>()?.then_some(Label::Rejected),
            train: Some(u.arbitrary()?),
            corrected: any_text(u)?,
            ..Judgement::default()
        });
    }
    Ok(judgements)
}

fn any_run(u: &mut Unstructured<'_>) -> arbitrary::Result<Run<'static>> {
    let mut nodes = Vec::new();
    for place in 0..u.int_in_range(0..=4_usize)? {
        let above = u.int_in_range(0..=place)?;
        nodes.push(NodeRun {
            node: format!("n{}", u.int_in_range(0..=2)?).into(),
            kind: *u.choose(NodeKind::ALL)?,
            parent: (above < place).then_some(above),
            model: any_text(u)?,
            prompt: any_text(u)?,
            variables: u.arbitrary::<bool>()?.then(|| RawJson::owned("{\"x\":1}").unwrap()),
            input: any_raw(u)?,
            output: any_raw(u)?,
            status: *u.choose(RunStatus::ALL)?,
            error: any_text(u)?,
            feedback: any_feedback(u)?,
            ground_truth: any_text(u)?,
            started_at: any_time(u)?,
            finished_at: any_time(u)?,
            usage: Usage {
                input_tokens: u.arbitrary::<Option<u32>>()?.map(u64::from),
                output_tokens: None,
            },
            cost_usd: u.arbitrary::<Option<u16>>()?.map(|cost| f64::from(cost) / 64.0),
            metadata: any_fields(u)?,
        });
    }
    let files = vec![
        FileReference {
            uri: any_text(u)?.unwrap_or_default(),
            size_bytes: Some(3),
            metadata: any_fields(u)?,
            ..FileReference::default()
        };
        u.int_in_range(0..=2)?
    ];
    Ok(Run {
        request_id: format!("r{}", u.arbitrary::<u8>()?).into(),
        project: any_text(u)?,
        owner: any_text(u)?,
        source: *u.choose(RunSource::ALL)?,
        source_id: any_text(u)?.unwrap_or_default(),
        source_name: any_text(u)?,
        version: any_text(u)?,
        thread: any_text(u)?,
        question: any_text(u)?,
        inputs: any_raw(u)?,
        answer: any_text(u)?,
        error: any_text(u)?,
        status: *u.choose(RunStatus::ALL)?,
        files,
        contexts: any_raw(u)?.into_iter().collect(),
        nodes,
        feedback: any_feedback(u)?,
        ground_truth: any_text(u)?,
        judgements: any_judgements(u)?,
        started_at: any_time(u)?,
        finished_at: any_time(u)?,
        not_understood: Vec::new(),
        metadata: any_fields(u)?,
    })
}

#[test]
fn whatever_a_run_holds_comes_back_through_both_formats_that_keep_everything() {
    arbtest(|u| {
        let run = Item::from(any_run(u)?);
        for format in ["retort", "runs"] {
            let line = shape_item(&run, format, ShapeOptions::default()).text;
            let back = by_name(format).unwrap().read(&line, &mut Notes::default()).unwrap();
            assert_eq!(back, run, "{format}: {line}");
        }
        Ok(())
    })
    .budget_ms(3000);
}

#[test]
fn a_run_that_goes_through_retort_lines_loses_nothing() {
    let item = json!({"request_id": "r", "recipe_id": "x", "status": "done", "odd": "💡\u{0}", "answer": "a",
        "nodes": {"n": {"output": "\u{2028}", "cost": 1e300}}});
    let text = item.to_string();
    let run = read_item(&text);
    let shaped = shape_item(&run, "retort", ShapeOptions::default());
    assert_eq!(read_item(&shaped.text), run);
}

/// The texts of a value.
fn texts(value: &Value, found: &mut Vec<String>) {
    match value {
        Value::String(text) => match serde_json::from_str::<Value>(text) {
            Ok(inner @ (Value::Array(_) | Value::Object(_))) => texts(&inner, found),
            _ => found.push(text.clone()),
        },
        Value::Array(list) => list.iter().for_each(|one| texts(one, found)),
        Value::Object(fields) => fields.values().for_each(|one| texts(one, found)),
        _ => {}
    }
}

#[test]
fn no_row_pretends_to_know_a_run_in_which_something_was_made_unknown() {
    let run = json!({"request_id": "r", "recipe_id": "p", "question": "What is asked?", "inputs": {"lang": "en"},
        "answer": "What is answered.", "status": "success", "contexts": [{"text": "What was found."}],
        "nodes": [{"node": "n", "kind": "model-call", "prompt": "Answer {q}.", "input": "What goes in.",
            "output": "What comes out.", "status": "success", "model": "m"}]});
    let mut failed = run.clone();
    for one in ["", "/nodes/0"] {
        let one = failed.pointer_mut(one).unwrap();
        one["status"] = "failure".into();
        one["error"] = "It took too long.".into();
    }
    let options = || ShapeOptions { node: Some("n".into()), ..ShapeOptions::default() };
    let mut tried = 0;
    for run in [run, failed] {
        for (at, key, renames) in [
            ("", "question", true),
            ("", "answer", true),
            ("", "contexts", true),
            ("", "error", true),
            ("", "status", false),
            ("/nodes/0", "node", true),
            ("/nodes/0", "input", true),
            ("/nodes/0", "output", true),
            ("/nodes/0", "error", true),
            ("/nodes/0", "status", false),
        ] {
            let mut changed = run.clone();
            let fields = changed.pointer_mut(at).unwrap().as_object_mut().unwrap();
            let Some(value) = fields.remove(key) else { continue };
            if renames {
                fields.insert("zz_unheard_of".into(), value);
            } else {
                fields.insert(key.into(), "zz_unheard_of".into());
            }
            for format in
                ["standard", "openai", "recipe-evaluation", "node-evaluation", "node-optimization"]
            {
                let shaped =
                    |run: &Value| shape_item(&read_item(&run.to_string()), format, options());
                let (before, after) = (shaped(&run), shaped(&changed));
                let Some(before) = before.rows.first() else { continue };
                tried += 1;
                let Some(after) = after.rows.first() else { continue };
                let (mut was, mut is) = (Vec::new(), Vec::new());
                texts(before, &mut was);
                texts(after, &mut is);
                assert!(was.iter().all(|text| is.contains(text)), "{format}, {at}/{key}: {after}");
            }
        }
    }
    assert!(tried > 10, "{tried}");
}
