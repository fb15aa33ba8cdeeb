//! Systems that keep traces in tables of their own: Opik, Weave and Braintrust. The same small agent was traced by each:
//! it asks a model, which calls a tool, and answers.

use retort_formats::import::{Entry, ImportFormat, Notes, Sniff, by_name, recognise};
use retort_model::{Conversation, NodeKind, Run, RunStatus};

use crate::traces::{read, said};

const OPIK: &str = include_str!("../data/traces/opik.jsonl");
const OPIK_EXPORT: &str = include_str!("../data/traces/opik_export.json");
const WEAVE: &str = include_str!("../data/traces/weave.jsonl");
const BRAINTRUST: &str = include_str!("../data/traces/braintrust.jsonl");

fn lines(text: &str) -> Vec<String> {
    text.lines().map(str::to_owned).collect()
}

/// Reads what must be one run and one conversation.
fn read_one(format: &str, texts: &[String]) -> (Run<'static>, Conversation<'static>) {
    for text in texts {
        assert_eq!(recognise(&Sniff::of(text)).unwrap().name(), format, "{text}");
    }
    let (mut runs, mut conversations) = read(format, texts);
    assert_eq!((runs.len(), conversations.len()), (1, 1));
    (runs.remove(0), conversations.remove(0))
}

/// What all of them say of the agent.
fn check(run: &Run<'_>, conversation: &Conversation<'_>, project: &str) {
    assert_eq!(run.source_id, *project);
    assert_eq!([&run.owner, &run.thread], [&Some("u-1".into()), &Some("s-1".into())]);
    assert_eq!(run.question, Some("Weather in Oslo?".into()));
    assert_eq!(run.answer, Some("It rains in Oslo.".into()));
    assert_eq!((run.status, &run.error), (RunStatus::Success, &None));
    assert_eq!(run.metadata.get("name").unwrap().as_str(), "\"answer\"");
    assert!(run.nodes[0].parent.is_none());
    assert!(run.nodes.iter().skip(1).all(|node| node.parent == Some(0)));
    let calls: Vec<_> = run.nodes.iter().filter(|node| node.kind == NodeKind::ModelCall).collect();
    assert_eq!(calls.len(), 2);
    for call in &calls {
        assert_eq!(call.model, Some("m-1".into()));
        assert_eq!((call.usage.input_tokens, call.usage.output_tokens), (Some(12), Some(5)));
    }
    let tool = run.nodes.iter().find(|node| node.node == *"weather").unwrap();
    assert_eq!((tool.kind, tool.status), (NodeKind::Tool, RunStatus::Success));
    assert_eq!(conversation.id, *"s-1");
    assert!(conversation.not_understood.is_empty(), "{:?}", conversation.not_understood);
    assert_eq!(
        said(conversation),
        [
            "system: Be brief.",
            "user: Weather in Oslo?",
            "assistant:  weather({\"city\":\"Oslo\"})",
            "tool: rain",
            "assistant: It rains in Oslo.",
        ]
    );
    assert!(conversation.rounds.iter().any(|round| !round.tools.is_empty()));
}

#[test]
fn a_trace_of_opik_is_read_from_its_export_and_from_rows() {
    let mut rows = lines(OPIK);
    for texts in [vec![OPIK_EXPORT.to_owned()], rows.clone(), {
        rows.reverse();
        rows
    }] {
        let is_export = texts.len() == 1;
        let (run, conversation) = read_one("opik", &texts);
        check(&run, &conversation, if is_export { "weather-app" } else { "0194-p" });
        assert_eq!(run.nodes.len(), 5);
        assert_eq!(run.metadata.get("environment").unwrap().as_str(), "\"prod\"");
        let feedback = run.feedback.as_ref().unwrap();
        assert_eq!(feedback.label, Some("good".into()));
        assert_eq!(feedback.comment, Some("right".into()));
        let failed = run.nodes.iter().find(|node| node.node == *"map").unwrap();
        assert_eq!(failed.status, RunStatus::Failure);
        assert_eq!(failed.error, Some("no such town".into()));
        let asked = run.nodes.iter().find(|node| node.kind == NodeKind::ModelCall).unwrap();
        assert_eq!(asked.prompt, Some("Be {{style}}.".into()));
        assert_eq!(asked.cost_usd, Some(0.25));
        let judged = run.nodes.last().unwrap().feedback.as_ref().unwrap();
        assert_eq!(judged.rating.as_ref().unwrap().as_str(), "\"plain\"");
    }
}

#[test]
fn a_trace_of_opik_without_spans_says_that_it_failed() {
    let row = r#"{"id":"t","project_id":"p","start_time":"2025-01-02T03:04:05Z","end_time":"2025-01-02T03:04:06Z","input":"q","thread_id":null,"error_info":{"exception_type":"E","message":"down","traceback":"b"}}"#;
    let (runs, conversations) = read("opik", &[row.to_owned()]);
    assert_eq!(runs[0].status, RunStatus::Failure);
    assert_eq!(runs[0].error, Some("down".into()));
    assert!(runs[0].finished_at > runs[0].started_at);
    assert!(conversations.is_empty());
}

#[test]
fn a_trace_of_weave_is_read_from_its_calls() {
    let (run, conversation) = read_one("weave", &lines(WEAVE));
    check(&run, &conversation, "team/weather-app");
    assert_eq!(run.nodes.len(), 5);
    assert_eq!(run.metadata.get("environment").unwrap().as_str(), "\"prod\"");
    // What a call sums up of those inside it is not counted twice.
    assert_eq!(run.nodes[0].usage.input_tokens, None);
    assert_eq!(run.nodes[1].cost_usd, Some(0.25));
    assert_eq!(run.nodes[1].node, *"openai.chat.completions.create");
    let failed = run.nodes.iter().find(|node| node.node == *"map").unwrap();
    assert_eq!(failed.error, Some("ValueError: no such town".into()));
    let feedback = run.feedback.as_ref().unwrap();
    assert_eq!(feedback.rating.as_ref().unwrap().as_str(), "\":thumbs_up:\"");
    let scores = run.metadata.get("scores").unwrap().as_str();
    assert!(scores.contains("\"note\":\"right\""), "{scores}");
}

#[test]
fn a_trace_of_braintrust_is_read_from_its_rows() {
    let (run, conversation) = read_one("braintrust", &lines(BRAINTRUST));
    check(&run, &conversation, "weather-app");
    assert_eq!(run.nodes.len(), 4);
    assert_eq!(run.ground_truth, Some("Rain.".into()));
    let feedback = run.feedback.as_ref().unwrap();
    assert_eq!(feedback.label, Some("good".into()));
    assert_eq!(feedback.rating.as_ref().unwrap().as_str(), "1");
    let last = conversation.rounds.last().unwrap().messages.last().unwrap();
    assert_eq!(last.finish_reason, Some("stop".into()));
    let started = run.started_at.unwrap().unix_micros();
    assert_eq!(started, 1_735_787_040_250_000);
}

#[test]
fn a_row_of_braintrust_that_is_merged_completes_its_span() {
    let begun = r#"{"id":"r","span_id":"a","root_span_id":"t","span_parents":[],"span_attributes":{"name":"ask","type":"llm"},"input":[{"role":"user","content":"q"}],"metrics":{"start":1735787040},"created":"2025-01-02T03:04:00Z"}"#;
    let ended = r#"{"id":"r","span_id":"a","root_span_id":"t","_is_merge":true,"output":"a","metrics":{"end":1735787041}}"#;
    let (runs, _) = read("braintrust", &[begun.to_owned()]);
    assert_eq!(runs[0].nodes[0].status, RunStatus::Running);
    let (run, conversation) = read_one("braintrust", &[begun.to_owned(), ended.to_owned()]);
    assert_eq!((run.nodes.len(), run.nodes[0].status), (1, RunStatus::Success));
    assert_eq!(said(&conversation), ["user: q", "assistant: a"]);
}

#[test]
fn pages_are_read_row_by_row() {
    let row = |text: &str, at: usize| text.lines().nth(at).unwrap().to_owned();
    for (format, text, list) in
        [("opik", OPIK, "content"), ("weave", WEAVE, "calls"), ("braintrust", BRAINTRUST, "events")]
    {
        let all = lines(text);
        let (first, rest) = all.split_at(2);
        let page = |rows: &[String]| format!("{{\"{list}\":[{}],\"total\":9}}", rows.join(","));
        let (run, conversation) = read_one(format, &[page(first), page(rest)]);
        let (whole, _) = read_one(format, &all);
        assert_eq!(run, whole);
        assert_eq!(said(&conversation).len(), 5);
        // A row that names no trace: nothing of the page is lost.
        let page = page(&[
            row(text, 1),
            row(text, 2),
            r#"{"id":"x","op_name":"x","start_time":"2025-01-02","root_span_id":""}"#.to_owned(),
        ]);
        let mut fragments = Vec::new();
        by_name(format).unwrap().fragments(&page, Entry::default(), &mut fragments);
        let nodes: usize =
            read(format, std::slice::from_ref(&page)).0.iter().map(|run| run.nodes.len()).sum();
        assert!(nodes >= 2, "{format}: {} fragments", fragments.len());
    }
}

#[test]
fn damaged_rows_are_refused_and_the_rest_is_read() {
    for (format, text) in [("opik", OPIK), ("weave", WEAVE), ("braintrust", BRAINTRUST)] {
        let row = text.lines().nth(1).unwrap();
        let format = by_name(format).unwrap();
        for end in (1..row.len()).filter(|end| row.is_char_boundary(*end)) {
            assert!(format.read_all(&row[..end], &mut Notes::default()).is_err(), "{end}");
        }
        // Values of another kind than they should be stay, and the span with them.
        for (from, to) in [
            ("\"input\":", "\"input\":7,\"x\":"),
            ("\"inputs\":", "\"inputs\":7,\"x\":"),
            ("\"output\":", "\"output\":[[]],\"y\":"),
            ("\"metadata\":", "\"metadata\":\"none\",\"z\":"),
            ("\"summary\":", "\"summary\":[],\"z\":"),
        ] {
            let row = row.replace(from, to);
            let items = format.read_all(&row, &mut Notes::default()).unwrap();
            assert!(!items.is_empty(), "{from}");
        }
    }
}

#[test]
fn what_only_looks_like_them_is_not_taken_for_theirs() {
    for text in [
        // A span of OpenTelemetry, an observation of Langfuse, a run of LangSmith.
        r#"{"trace_id":"t","span_id":"s","parent_span_id":null,"attributes":{},"start_time":"2025-01-02T03:04:05Z"}"#,
        r#"{"id":"o","traceId":"t","type":"GENERATION","startTime":"2025-01-02T03:04:05Z"}"#,
        r#"{"id":"r","trace_id":"t","run_type":"llm","inputs":{},"start_time":"2025-01-02T03:04:05Z"}"#,
        // Rows of somebody's tables.
        r#"{"id":"1","type":"general","start_time":"2025-01-02","name":"meeting"}"#,
        r#"{"op_name":"add","inputs":[1,2]}"#,
        r#"{"span_id":"1","text":"a span of a text"}"#,
        r#"{"trace":{"start_time":1},"spans":[]}"#,
        r#"{"events":[{"id":"1","input":"q","output":"a"}]}"#,
        r#"{"content":[{"type":"text","text":"q"}],"role":"user"}"#,
    ] {
        let found = recognise(&Sniff::of(text)).map(ImportFormat::name);
        assert!(
            !matches!(found, Some("opik" | "weave" | "braintrust")),
            "{text} is taken for {found:?}"
        );
    }
}
