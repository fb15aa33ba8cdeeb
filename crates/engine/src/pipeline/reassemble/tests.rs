//! Fragments through the whole feed, with a format of traces and one with side files that are made for the test.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use retort_formats::import::split::Span;
use retort_formats::import::{
    Entry, Fragment, ImportFormat, ItemError, Items, Notes, SideFiles, Sniff, Spread, by_name,
};
use retort_json::{Parser, Value};
use retort_model::{Conversation, Message, Role, Round};

use super::key::{Found, key_of};
use super::scattered::Scattered;
use super::waiting::Waiting;
use crate::pipeline::job::Source;
use crate::pipeline::parse::{lines, read};
use crate::pipeline::spill::Batches;
use crate::pipeline::{BatchDone, Ends, Feed, InputsFeed, Job, Outlet};
use crate::source::{Input, Inputs, ReadOptions, SourceName};

/// Lines of spans, each with its trace, and an index with the title of each trace.
struct Traces;

/// Conversations with a list of ratings beside them.
struct Rated;

fn text(value: &Value<'_>, key: &str) -> String {
    value.get(key).and_then(Value::as_str).unwrap_or_default().to_owned()
}

/// An item of fragments: a message of what each says.
fn joined(key: &str, text_of: &str, item: &str) -> Result<Items<'static>, ItemError> {
    let mut conversation = Conversation::default();
    let mut round = Round { number: 1, ..Round::default() };
    let list = match Value::take(&mut Parser::new(item))? {
        Value::Array(list) => list,
        one => vec![one],
    };
    for one in &list {
        conversation.id = text(one, key).into();
        round.messages.push(Message::text(Role::User, text(one, text_of)));
    }
    conversation.rounds.push(round);
    Ok(conversation.into())
}

impl ImportFormat for Traces {
    fn name(&self) -> &'static str {
        "traces"
    }

    fn about(&self) -> &'static str {
        "spans of traces"
    }

    fn notes(&self) -> &'static str {
        ""
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        sniff.has("spans") || sniff.has("trace")
    }

    fn spread(&self) -> Spread {
        Spread::Anywhere
    }

    fn fragments<'t>(&self, line: &'t str, entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
        let Ok(value) = Value::parse(line) else { return };
        if entry.name() == "index.jsonl" {
            into.push(Fragment { key: text(&value, "trace"), order: 0, text: line.into() });
        }
        let Some(Value::Array(spans)) = value.get("spans") else { return };
        for span in spans {
            let Some(Value::Number(start)) = span.get("start") else { continue };
            let order = start.parse().unwrap_or(u64::MAX);
            into.push(Fragment { key: text(span, "trace"), order, text: span.to_json().into() });
        }
    }

    fn identity(&self, fragment: &str) -> Option<String> {
        let span = Value::parse(fragment).ok()?;
        span.get("uuid").and_then(Value::as_str).map(str::to_owned)
    }

    fn repeated(&self, fragment: &str) -> String {
        fragment.replace("\"name\":\"", "\"name\":\"again ")
    }

    fn regroup<'t>(&self, joined: &'t str) -> Option<Fragment<'t>> {
        let Ok(Value::Array(spans)) = Value::parse(joined) else { return None };
        let session = spans.iter().find_map(|span| span.get("session").and_then(Value::as_str))?;
        let whole = format!("{{\"trace\":\"of {session}\",\"name\":\"{} spans\"}}", spans.len());
        Some(Fragment { key: session.to_owned(), order: 0, text: whole.into() })
    }

    fn parse<'a>(&self, item: &'a str, _notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        joined("trace", "name", item)
    }
}

impl ImportFormat for Rated {
    fn name(&self) -> &'static str {
        "rated"
    }

    fn about(&self) -> &'static str {
        "conversations with ratings"
    }

    fn notes(&self) -> &'static str {
        ""
    }

    fn recognises(&self, sniff: &Sniff<'_>) -> bool {
        sniff.has("chat")
    }

    fn side_files(&self) -> Option<&'static SideFiles> {
        Some(&SideFiles {
            items: &["chats*.json"],
            read: &["ratings.json"],
            ignored: &["me.json", "*.html"],
        })
    }

    fn fragments<'t>(&self, item: &'t str, _entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
        let Ok(value) = Value::parse(item) else { return };
        into.push(Fragment { key: text(&value, "chat"), order: 0, text: item.into() });
    }

    fn parse<'a>(&self, item: &'a str, _notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        joined("chat", "says", item)
    }
}

/// What inputs hold: where each item was found, its id and its messages; then what is refused or passed over.
fn items_of(inputs: &Inputs, format: &'static dyn ImportFormat) -> Vec<String> {
    let stopped = AtomicBool::new(false);
    let ends = Ends::new(&stopped);
    let mut feed = InputsFeed::new(inputs, Some(format));
    let mut found = Vec::new();
    let mut take = |job: Job| {
        let Job { source, items_before, work, .. } = job;
        let mut done = BatchDone::default();
        let (batch, packed) = lines(work, &source, &mut done);
        let items = read(&batch, packed.as_ref(), Some(format), items_before, &source, &mut done);
        for one in items {
            let conversation = one.item.into_conversation().unwrap();
            let words: Vec<_> =
                conversation.messages().map(|one| one.words().decoded().into_owned()).collect();
            let id = conversation.id.decoded();
            found.push(format!(
                "{}#{} {id}: {}",
                source.name.label,
                one.span.index,
                words.join(" ")
            ));
        }
        found.extend(done.rejects.iter().map(|one| format!("{}: {}", one.input, one.reason)));
        true
    };
    feed.feed(&mut Outlet::new(1, &mut take, &ends, None, 0, Arc::default())).unwrap();
    for (why, _, first) in feed.passed_over.iter() {
        found.push(format!("{}: {}", first.join(" "), why.as_str()));
    }
    found
}

fn items(files: &[(&str, &str)], format: &'static dyn ImportFormat) -> Vec<String> {
    let folder = tempfile::tempdir().unwrap();
    for (name, text) in files {
        let path = folder.path().join(name);
        std::fs::create_dir_all(path.parent().unwrap()).unwrap();
        std::fs::write(path, text).unwrap();
    }
    let input = Input::Path(folder.path().to_owned());
    let inputs = Inputs::find(&[input], None, ReadOptions::default()).unwrap();
    items_of(&inputs, format)
}

#[test]
fn two_lines_with_spans_of_two_traces_are_two_items() {
    let lines = r#"{"spans":[{"trace":"a","start":3,"name":"a3"},{"trace":"b","start":1,"name":"b1"}]}
{"nothing":"is an item of its own"}
{"spans":[{"trace":"b","start":0,"name":"b0"},{"trace":"a","start":3,"name":"a3 again"},{"trace":"a","start":1,"name":"a1"}]}
"#;
    assert_eq!(
        items(&[("spans.jsonl", lines)], &Traces),
        [
            "spans.jsonl#2 spans.jsonl#2: ",
            "spans.jsonl#1 a: a1 a3 a3 again",
            "spans.jsonl#1 b: b0 b1"
        ]
    );
}

#[test]
fn what_one_item_repeats_of_another_is_told() {
    let span = |trace: &str, start: u32, id: &str| {
        format!(
            "{{\"spans\":[{{\"trace\":\"{trace}\",\"start\":{start},\"uuid\":\"{id}\",\"name\":\"{id}\"}}]}}\n"
        )
    };
    let first = [span("a", 1, "x"), span("a", 2, "y")].concat();
    let second = [span("b", 1, "x"), span("b", 2, "y"), span("b", 3, "z")].concat();
    let found = items(&[("1.jsonl", &first), ("2.jsonl", &second)], &Traces);
    assert_eq!(found, ["1.jsonl#1 a: x y", "2.jsonl#1 b: again x again y z"]);
}

#[test]
fn joined_items_are_joined_once_more_to_what_several_of_them_make() {
    let lines = r#"{"spans":[{"trace":"a","start":1,"name":"a1","session":"s"},{"trace":"b","start":1,"name":"b1"}]}
{"spans":[{"trace":"c","start":1,"name":"c1"},{"trace":"c","start":2,"name":"c2","session":"s"}]}
"#;
    assert_eq!(
        items(&[("spans.jsonl", lines)], &Traces),
        [
            "spans.jsonl#1 a: a1",
            "spans.jsonl#1 b: b1",
            "spans.jsonl#2 c: c1 c2",
            "spans.jsonl#1 of s: 1 spans 2 spans"
        ]
    );
}

#[test]
fn spans_are_joined_with_an_index_beside_them() {
    let index = "{\"trace\":\"a\",\"name\":\"A\"}\n{\"trace\":\"b\",\"name\":\"B\"}\n";
    let spans = "{\"spans\":[{\"trace\":\"b\",\"start\":2,\"name\":\"b2\"}]}\n";
    let found = items(&[("z.jsonl", spans), ("index.jsonl", index), ("a.jsonl", spans)], &Traces);
    assert_eq!(found, ["a.jsonl#1 b: B b2 b2", "index.jsonl#1 a: A"]);
}

#[test]
fn what_side_files_say_is_joined_to_the_items_and_the_others_are_passed_over() {
    let chats = r#"[{"chat":"1","says":"one"},{"chat":"2","says":"two"}]"#;
    let ratings =
        r#"[{"chat":"2","says":"good"},{"chat":"9","says":"gone"},{"chat":"2","says":"bad"}]"#;
    let found = items(
        &[
            ("x/chats-1.json", chats),
            ("x/ratings.json", ratings),
            ("x/me.json", r#"{"email":"e"}"#),
            ("x/chat.html", "<html>"),
            ("y/me.json", r#"{"chat":"3","says":"three"}"#),
        ],
        &Rated,
    );
    assert_eq!(
        found,
        [
            "x/chats-1.json#1 1: one",
            "x/chats-1.json#2 2: two good bad",
            "y/me.json#1 3: three",
            "x/chat.html x/me.json: side-file",
            "x/ratings.json: no-item",
        ]
    );
}

/// What waits past the bound is sorted on disk, and comes out the same.
#[test]
fn halves_find_each_other_however_many_wait() {
    let format = by_name("mcp-agent-graph").unwrap();
    let name = SourceName { label: "in".into(), side_of: None };
    let source = Arc::new(Source { place: 0, name, format: Some(format) });
    let documents = ["a0", "b0", "c1", "a0", "b1", "a1", "d0", "c0", "b1", "e1"];
    let mut expect = Vec::new();
    for most in [100, 3, 2, 1, 0] {
        let mut waiting = Waiting::bounded(most);
        let mut scattered = Scattered::bounded(1 << 20);
        let mut whole = Batches::default();
        for (index, document) in (1..).zip(documents) {
            let order = u64::from(document.ends_with('1'));
            let span = Span { start: 0, end: 0, index, line: 0, byte: 0, fault: None };
            let (key, text) = (document[..1].to_owned(), format!("\"{document}\"").into());
            let found = Found { source: &source, span: &span };
            let fragment = Fragment { key, order, text };
            let key = key_of(format, &fragment.key);
            waiting.put(key, found, &fragment, &mut scattered, &mut whole).unwrap();
        }
        let mut items = Vec::new();
        let mut send = |_, batch: super::Batch| {
            for span in &batch.items {
                let text = String::from_utf8_lossy(batch.item(span)).replace('"', "");
                items.push(format!("{} {text}", span.index));
            }
            true
        };
        whole.send(&mut send);
        waiting.end(&mut send, &mut |_| panic!("no side files")).unwrap();
        scattered.end(&mut send, &mut |_| panic!("no side files")).unwrap();
        items.sort();
        if expect.is_empty() {
            expect = items;
        } else {
            assert_eq!(items, expect, "{most}");
        }
    }
    assert_eq!(expect, ["10 e1", "4 a0", "5 [b0,b1]", "6 [a0,a1]", "7 d0", "8 [c1,c0]", "9 b1"]);
}

fn interleaved(spans: usize, traces: usize) -> String {
    let mut lines = String::new();
    for span in 0..spans {
        let trace = span.wrapping_mul(7919) % traces;
        lines.push_str(&format!(
            "{{\"spans\":[{{\"trace\":\"t{trace}\",\"start\":{},\"name\":\"s{span}\"}}]}}\n",
            spans - span
        ));
    }
    lines
}

#[test]
fn many_interleaved_traces_come_in_the_order_of_their_first_spans() {
    let found = items(&[("spans.jsonl", &interleaved(6000, 1000))], &Traces);
    assert_eq!(found.len(), 1000);
    assert_eq!(found[1], "spans.jsonl#2 t919: s5001 s4001 s3001 s2001 s1001 s1");
}

#[test]
#[ignore = "takes a minute; prints the memory that a million fragments take"]
fn a_million_fragments() {
    for (spans, traces) in [(1_000_000, 1_000_000), (1_000_000, 10), (100_000, 100_000)] {
        let lines = interleaved(spans, traces);
        assert_eq!(items(&[("spans.jsonl", &lines)], &Traces).len(), traces);
        drop(lines);
        let status = std::fs::read_to_string("/proc/self/status").unwrap();
        let peak = status.lines().find(|line| line.starts_with("VmHWM")).unwrap();
        println!("{spans} spans of {traces} traces: {peak}");
    }
}
