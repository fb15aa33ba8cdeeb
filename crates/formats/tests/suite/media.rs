//! Pictures, videos and sound that rows list beside their messages.

use retort_formats::data::ShapeOptions;
use retort_model::{Conversation, Item, PartKind};
use serde_json::{Value, json};

use crate::support::{read, shape, shape_item};

/// What the messages say and show, a line each, and what stays beside them.
#[track_caller]
fn check(row: Value, expect: &[&str], metadata: Value) {
    let row = row.to_string();
    let conversation = read(&row);
    assert_eq!(said(&conversation), expect);
    let rest: serde_json::Map<_, _> = conversation
        .metadata
        .iter()
        .map(|(key, raw)| {
            (key.decoded().into_owned(), serde_json::from_str(raw.as_str()).expect("JSON"))
        })
        .collect();
    assert_eq!(Value::Object(rest), metadata);
}

fn said(conversation: &Conversation<'_>) -> Vec<String> {
    let mut lines = Vec::new();
    for message in conversation.messages() {
        let parts = match &message.content {
            Some(retort_model::Content::Parts(parts)) => parts.clone(),
            _ => vec![retort_model::Part {
                kind: PartKind::Text,
                text: Some(message.words().into_owned()),
                raw: None,
            }],
        };
        let parts = parts.iter().map(|part| match (&part.text, &part.raw) {
            (Some(text), _) => text.decoded().into_owned(),
            (None, raw) => raw.as_ref().map(|raw| raw.as_str().to_owned()).unwrap_or_default(),
        });
        lines.push(parts.collect::<Vec<_>>().join(" + "));
    }
    lines
}

#[test]
fn what_a_row_lists_goes_where_the_text_marks_it() {
    check(
        json!({"messages": [
            {"role": "user", "content": "<image>\nWho?"}, {"role": "assistant", "content": "Ada."},
            {"role": "user", "content": "And a<image> b?"}, {"role": "assistant", "content": "Bo."},
        ], "images": ["1.png", "2.png"]}),
        &[
            r#"{"type":"image","image":"1.png"} + Who?"#,
            "Ada.",
            r#"And a + {"type":"image","image":"2.png"} +  b?"#,
            "Bo.",
        ],
        json!({}),
    );
}

#[test]
fn parts_without_a_source_get_the_one_that_is_listed() {
    check(
        json!({"messages": [
            {"role": "user", "content": [{"type": "image", "text": null}, {"type": "text", "text": "Who?"}]},
            {"role": "assistant", "content": "Ada."},
        ], "images": [{"path": "1.png"}]}),
        &[r#"{"type":"image","image":{"path":"1.png"}} + Who?"#, "Ada."],
        json!({}),
    );
}

#[test]
fn what_has_no_mark_goes_with_the_first_question() {
    check(
        json!({"conversations": [
            {"from": "system", "value": "S"}, {"from": "human", "value": "What is heard?"},
            {"from": "gpt", "value": "Rain."},
        ], "audios": ["a.wav"], "videos": []}),
        &["S", r#"{"type":"audio","audio":"a.wav"} + What is heard?"#, "Rain."],
        json!({"videos": []}),
    );
}

#[test]
fn one_picture_counts_where_the_text_has_a_mark_or_the_row_says_where_it_is() {
    let row = |text: &str, image: Value| {
        json!({"conversations": [{"from": "human", "value": text}, {"from": "gpt", "value": "b"}],
            "image": image})
    };
    let shown = [r#"{"type":"image","image":"a.jpg"} + a"#, "b"];
    check(row("<image>a", json!("a.jpg")), &shown, json!({}));
    check(row("a", json!("a.jpg")), &shown, json!({}));
    check(row("<image>a", json!("7")), &[r#"{"type":"image","image":"7"} + a"#, "b"], json!({}));
    check(row("a", json!("a cat")), &["a", "b"], json!({"image": "a cat"}));
}

#[test]
fn no_answer_about_something_in_a_column_is_trained_on() {
    let row = |key: &str, value: Value| {
        let mut row = json!({"question": "what", "answer": "cat"});
        row[key] = value;
        row
    };
    let picture = json!({"bytes": "iVBORw0KGgo=", "path": null});
    for row in [
        row("image", json!("http://x/a.png")),
        row("image", picture.clone()),
        row("image_path", json!("a.png")),
        row("image_url", json!("http://x/1")),
        row("img", json!("a.png")),
        row("audio", json!("a.wav")),
        row("video", json!("a.mp4")),
        row("files", json!(["http://x/a.pdf"])),
        row("attachments", json!([{"filename": "a.pdf"}])),
        json!({"messages": [{"role": "user", "content": "what", "image": "a.png"}, {"role": "assistant", "content": "cat"}]}),
        json!({"messages": [{"role": "user", "content": "what", "files": [{"path": "a.pdf"}]}, {"role": "assistant", "content": "cat"}]}),
    ] {
        let shaped = shape(&row, "chat", ShapeOptions::default());
        assert_eq!(
            (shaped.rows.len(), &*shaped.findings()),
            (0, "left-out:needs-attachment"),
            "{row}"
        );
    }
    // The bytes in a table of `datasets` are those of the picture.
    let shown = retort_formats::attachment::inline(&json!({"type": "image", "image": picture}));
    assert_eq!(shown.unwrap().0, "image/png");
}

#[test]
fn marks_beyond_the_list_stay_text() {
    check(
        json!({"messages": [
            {"role": "user", "content": "<video><video>What?"}, {"role": "assistant", "content": "b"},
        ], "videos": ["1.mp4"]}),
        &[r#"{"type":"video","video":"1.mp4"} + <video>What?"#, "b"],
        json!({}),
    );
}

#[test]
fn instructions_and_preference_rows_list_pictures_too() {
    check(
        json!({"instruction": "<image>Who?", "input": "", "output": "Ada.", "images": ["1.png"]}),
        &[r#"{"type":"image","image":"1.png"} + Who?"#, "Ada."],
        json!({}),
    );
    let pair = json!({
        "conversations": [{"from": "human", "value": "<image>Who?"}],
        "chosen": {"from": "gpt", "value": "Ada."}, "rejected": {"from": "gpt", "value": "Bo."},
        "images": ["1.png"],
    });
    let shaped = shape(&pair, "preference", ShapeOptions::default());
    assert_eq!(shaped.rows, [] as [Value; 0]);
    assert_eq!(shaped.findings(), "left-out:needs-attachment");
}

#[test]
fn nothing_that_answers_a_listed_picture_is_trained_on() {
    for key in ["images", "videos", "audios"] {
        let row = json!({"messages": [
            {"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "A dog."},
        ], key: ["1.bin"]});
        for format in ["standard", "openai", "chat", "prompt-completion", "ms-swift", "alpaca"] {
            let shaped = shape(&row, format, ShapeOptions::default());
            assert_eq!(shaped.findings(), "left-out:needs-attachment", "{format}");
        }
    }
}

#[test]
fn nothing_that_answers_what_was_sent_with_a_question_is_trained_on() {
    let picture = json!({"name": "a.png", "url": "https://example.org/a.png"});
    for (key, sent) in [
        ("experimental_attachments", json!([picture])),
        ("attachments", json!([picture])),
        ("files", json!([{"type": "image/png", "filepath": "/images/a.png"}])),
        ("image", json!("a.png")),
        ("image_url", json!("https://example.org/a.png")),
        ("audio", json!({"id": "a"})),
    ] {
        let row = |sent: Value| {
            json!({"messages": [
                {"role": "user", "content": "What is it?", key: sent},
                {"role": "assistant", "content": "A dog."},
            ]})
        };
        let findings = |sent| shape(&row(sent), "openai", ShapeOptions::default()).findings();
        assert_eq!(findings(sent), "left-out:needs-attachment", "{key}");
        for nothing in [json!([]), json!({}), json!(""), json!(null)] {
            assert_eq!(findings(nothing), "", "{key}");
        }
    }
}

#[test]
fn a_list_that_was_stored_before_readers_placed_it_is_not_overlooked() {
    let line = json!({"retort": 1, "id": "c", "source": "openai", "kind": "chat", "status": "active",
        "rounds": [{"number": 1, "messages": [
            {"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "A dog."}]}],
        "metadata": {"images": ["1.png"]}})
    .to_string();
    let stored = retort_model::canonical::read(&line).expect("a stored line");
    let shaped = shape_item(&Item::Conversation(stored), "openai", ShapeOptions::default());
    assert_eq!(shaped.findings(), "left-out:needs-attachment");
}
