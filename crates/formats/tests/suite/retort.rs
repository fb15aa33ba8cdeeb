//! The retort data format: lines that lose nothing.

use crate::support::*;
use retort_formats::data::ShapeOptions;
use retort_formats::import::{Notes, Refusal, by_name};
use retort_json::RawJson;
use retort_model::{
    Content, Conversation, Feedback, Fields, Judgement, Kind, Label, Message, NotUnderstood,
    Parent, Part, PartKind, Role, Round, Status, Task, Time, ToolCall, Usage, canonical,
};

/// Text that needs every kind of escape.
const TEXT: &str = "ä \"q\" \\ \n\r\t \u{8}\u{c}\u{0}\u{1f} \u{2028} 💡 </think>";

fn raw(json: &str) -> RawJson<'static> {
    RawJson::parse(json).unwrap().into_owned()
}

fn fields() -> Fields<'static> {
    let fields = [
        (TEXT.into(), raw(r#"{"n":1.50,"list":[null,true,"\u00e4"]}"#)),
        ("id".into(), raw("1e300")),
    ];
    fields.into_iter().collect()
}

fn time(text: &str) -> Option<Time> {
    Some(Time::parse(text).unwrap())
}

/// One judgement with every field filled, behind what the source said.
fn judgements() -> Vec<Judgement<'static>> {
    let source = Judgement { train: Some(true), ..Judgement::default() };
    let person = Judgement {
        by: Some(TEXT.into()),
        at: time("2026-01-01T00:00:00.25Z"),
        rating: Some(raw("4.50")),
        label: Some(TEXT.into()),
        comment: Some(TEXT.into()),
        ground_truth: Some(raw(r#"{"a":1}"#)),
        preference: Some(Label::Preferred),
        train: Some(false),
        corrected: Some(TEXT.into()),
    };
    vec![source, person]
}

/// A message with every field filled.
fn message(role: Role, content: Option<Content<'static>>) -> Message<'static> {
    Message {
        role,
        source_role: Some("gpt".into()),
        name: Some(TEXT.into()),
        content,
        reasoning: Some(TEXT.into()),
        tool_calls: vec![ToolCall {
            id: "k1".into(),
            name: "f".into(),
            arguments: "{not json".into(),
            metadata: fields(),
        }],
        tool_call_id: Some("k0".into()),
        contexts: vec![raw(r#"{"text":"p"}"#), raw("\"bare\"")],
        feedback: Some(Box::new(Feedback {
            rating: Some(raw("-1")),
            label: Some("wrong".into()),
            comment: Some(TEXT.into()),
        })),
        created_at: time("2023-08-14T16:35:40.508062-07:00"),
        error: Some("timeout".into()),
        finish_reason: Some("length".into()),
        train: Some(false),
        label: Some(Label::Rejected),
        judgements: judgements(),
        metadata: fields(),
    }
}

fn round(number: u32, parent: Parent) -> Round<'static> {
    let part = |kind, text: Option<&'static str>, json: Option<&str>| Part {
        kind,
        text: text.map(Into::into),
        raw: json.map(raw),
    };
    let parts = vec![
        part(PartKind::Text, Some(TEXT), None),
        part(PartKind::Image, None, Some(r#"{"type":"image_url"}"#)),
        part(PartKind::Audio, None, Some("{}")),
        part(PartKind::File, None, Some("[1]")),
        part(PartKind::Other, Some("x"), Some("null")),
    ];
    let roles = Role::ALL.iter().map(|&role| message(role, Some(Content::Text(TEXT.into()))));
    Round {
        number,
        parent,
        node: Some("n".into()),
        agent: Some("a".into()),
        model: Some("m".into()),
        tools: vec![raw(r#"{"name":"f"}"#)],
        messages: roles
            .chain([
                message(Role::User, Some(Content::Parts(parts))),
                message(Role::Assistant, None),
                message(Role::User, Some(Content::Parts(vec![]))),
            ])
            .collect(),
        usage: Usage { input_tokens: Some(u64::MAX), output_tokens: Some(0) },
        metadata: fields(),
    }
}

fn whole(kind: Kind, status: Status) -> Conversation<'static> {
    Conversation {
        id: TEXT.into(),
        source: "openai".into(),
        project: Some("p".into()),
        owner: Some("kim@example.org".into()),
        kind,
        title: Some(TEXT.into()),
        tags: vec!["t1".into(), "".into(), TEXT.into()],
        status,
        model: Some("m".into()),
        created_at: time("2024-02-29T23:59:59.999999999+05:30"),
        updated_at: time("0000-01-01T00:00:00Z"),
        // 0 ← 1, 1 ← 2 and its regenerated sibling 3, 4 begins anew.
        rounds: vec![
            round(1, Parent::Previous),
            round(2, Parent::Previous),
            round(3, Parent::Previous),
            round(3, Parent::Round(1)),
            round(u32::MAX, Parent::Root),
        ],
        current: Some(3),
        tasks: vec![Task {
            id: "t".into(),
            agent: Some("b".into()),
            tool_call_id: Some("k1".into()),
            rounds: vec![round(1, Parent::Previous)],
            metadata: fields(),
        }],
        label: Some(Label::Preferred),
        judgements: judgements(),
        not_understood: vec![NotUnderstood {
            path: "messages[3].content[1].type=tool_use".into(),
            raw: raw(r#"{"type":"tool_use"}"#),
        }],
        metadata: fields(),
    }
}

/// Through the data format, a file and the reader, and back the same.
fn check(conversation: &Conversation<'_>) {
    let shaped = shape_conversation(conversation, "retort", ShapeOptions::default());
    assert_eq!(shaped.text.lines().count(), 1);
    let again =
        by_name("retort").unwrap().read(shaped.text.trim_end(), &mut Notes::default()).unwrap();
    let again = again.into_conversation().unwrap();
    assert_eq!(&again, conversation);
    assert_eq!(&canonical::read(shaped.text.trim_end()).unwrap().into_owned(), conversation);
    let mut anew = Vec::new();
    canonical::write(&again, &mut anew);
    anew.push(b'\n');
    assert_eq!(String::from_utf8(anew).unwrap(), shaped.text, "written anew, the same bytes");
}

#[test]
fn a_conversation_with_every_field_filled_reads_back_the_same() {
    for &kind in Kind::ALL {
        for &status in Status::ALL {
            check(&whole(kind, status));
        }
    }
    check(&Conversation::default());
    check(&Conversation { rounds: vec![Round::default()], ..Conversation::default() });
}

#[test]
fn histories_of_every_format_pass_through_it_without_loss() {
    for input in [
        agent(&[say("user", "q"), call(&[("k1", "f", "{\"a\": 1}")]), result("k1", "r"), say("assistant", "a")]).to_string(),
        r#"[{"role":"user","content":[{"type":"text","text":"\ud83d\ude00 \ud800"},{"type":"input_audio","x":[1, 2]}]},{"role":"x","content":null,"weight":0}]"#.into(),
        r#"{"conversations":[{"from":"human","value":"q"},{"from":"gpt","value":"a"}],"tools":"[{\"name\":\"f\"}]","other":{"k":[1, 2]}}"#.into(),
    ] {
        check(&read(&input).into_owned());
    }
}

#[test]
fn the_active_path_survives() {
    let conversation = whole(Kind::Chat, Status::Active);
    assert_eq!(conversation.active_path(), [0, 1, 3]);
    let mut line = Vec::new();
    canonical::write(&conversation, &mut line);
    let text = String::from_utf8(line).unwrap();
    let mut again = canonical::read(&text).unwrap();
    assert_eq!(again.active_path(), [0, 1, 3]);
    again.current = Some(2);
    assert_eq!(again.active_path(), [0, 1, 2]);
    again.current = None;
    assert_eq!(again.active_path(), [4]);
}

#[test]
fn a_line_of_a_later_version_is_refused_in_words() {
    let reader = by_name("retort").unwrap();
    for version in ["2", "99999999999999999999", "1.5", "-1"] {
        let line = format!(r#"{{"retort":{version},"id":"x","rounds":[]}}"#);
        let error = reader.read(&line, &mut Notes::default()).unwrap_err();
        assert_eq!(error.refusal, Refusal::BadField);
        assert_eq!(
            error.message,
            format!("written in version {version} of the format; this release reads up to 1")
        );
    }
    assert!(reader.read(r#"{"id":"x","rounds":[]}"#, &mut Notes::default()).is_err(), "no version");
}

#[test]
fn what_a_field_must_not_hold_is_refused_with_its_place() {
    let line = r#"{"retort":1,"id":"x","kind":"opera","rounds":[]}"#;
    let error = by_name("retort").unwrap().read(line, &mut Notes::default()).unwrap_err();
    assert_eq!((error.refusal, &line[error.at..error.at + 7]), (Refusal::BadField, "\"opera\""));
}

#[test]
fn a_moment_before_the_year_nought_can_be_written() {
    let input = serde_json::json!({"id": "x", "created_at": {"$date": {"$numberLong": "-99999999999999"}}, "rounds": [{"messages": [say("user", "q")]}]}).to_string();
    check(&read(&input));
}
