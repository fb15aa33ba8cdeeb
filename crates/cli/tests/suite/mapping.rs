//! `--map`: what no reader knows, read by a mapping.

use crate::support::*;
use serde_json::{Value, json};

const PAGE: &str = include_str!("../../../../docs/mapping.md");

/// The blocks of the page in that language, below each heading of an example.
fn blocks<'p>(example: &'p str, language: &str) -> Vec<&'p str> {
    let fence = format!("```{language}\n");
    example.split(&fence).skip(1).map(|rest| rest.split("```").next().unwrap()).collect()
}

#[test]
fn the_examples_of_the_docs_are_what_comes_out() {
    let examples: Vec<_> = PAGE.split("\n## ").skip(1).collect();
    assert_eq!(examples.len(), 3);
    for example in examples {
        let (json, toml) = (blocks(example, "json"), blocks(example, "toml"));
        let place = Place::new();
        place.file("in.jsonl", json[0]);
        place.file("map.toml", toml[0]);
        place.ok(&["convert", "in.jsonl", "--map", "map.toml", "--to", "openai", "-o", "out"]);
        let mut written = place.rows("out/conversations.jsonl");
        let mut expected = rows(json[1]);
        for rows in [&mut written, &mut expected] {
            rows.sort_by_key(Value::to_string);
        }
        assert_eq!(written, expected, "{example}");
        let manifest = place.json("out/manifest.json");
        assert_balanced(&manifest);
    }
}

#[test]
fn a_suggested_mapping_reads_what_it_was_made_from() {
    for (input, roles, count) in [
        (
            lines([
                json!({"id": 1, "subject": "T", "talk": {"turns": [{"speaker": "patient", "utterance": "q"}, {"speaker": "bot", "utterance": "a"}]}}),
            ]),
            "patient = 'user'\n",
            1,
        ),
        (lines([json!({"question": "q", "answer": "a", "topic": "T"})]), "", 1),
        (
            lines([
                json!({"session_id": "s", "turn": 2, "sender": "bot", "message": "a"}),
                json!({"session_id": "s", "turn": 1, "sender": "patient", "message": "q"}),
            ]),
            "patient = 'user'\n",
            1,
        ),
    ] {
        let place = Place::new();
        place.file("in.jsonl", &input);
        let mut map = place.ok(&["inspect", "in.jsonl", "--suggest-map"]).out;
        assert_eq!(map.contains("\"patient\" = 'user'"), !roles.is_empty(), "{map}");
        map.push_str(roles);
        place.file("map.toml", &map);
        place.ok(&["convert", "in.jsonl", "--map", "map.toml", "--to", "openai", "-o", "out"]);
        let written = place.rows("out/conversations.jsonl");
        assert_eq!(written.len(), count, "{map}");
        let messages =
            json!([{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]);
        assert_eq!(written[0]["messages"], messages, "{map}");
    }
}

#[test]
fn a_mapping_is_suggested_for_a_table_that_no_format_knows() {
    let place = Place::new();
    let table = "Speaker;Message Text;Ticket;Sent At\npatient;q;7;2024-01-02\nbot;a;7;2024-01-03\npatient;r;8;2024-01-04\n";
    place.file("in.csv", table);
    let mut map = place.ok(&["inspect", "in.csv", "--suggest-map"]).out;
    assert!(map.contains("[rows]\nkey = 'Ticket'\n"), "{map}");
    assert!(map.contains("role = 'Speaker'\ntext = 'Message Text'\n"), "{map}");
    map.push_str("patient = 'user'\n");
    place.file("map.toml", &map);
    place.ok(&["convert", "in.csv", "--map", "map.toml", "--to", "retort", "-o", "out"]);
    let written = place.rows("out/conversations.jsonl");
    let said: Vec<_> = written.iter().map(|row| &row["rounds"][0]["messages"]).collect();
    let message = |role: &str, text: &str| json!({"role": role, "content": text});
    assert_eq!(said.len(), 2);
    assert_matches(said[0], &[message("user", "q"), message("assistant", "a")]);
    assert_matches(said[1], &[message("user", "r")]);
}

/// Compares who said what.
fn assert_matches(found: &Value, expected: &[Value]) {
    let found: Vec<_> = found.as_array().unwrap().iter().collect();
    assert_eq!(found.len(), expected.len(), "{found:?}");
    for (found, expected) in found.iter().zip(expected) {
        assert_eq!((&found["role"], &found["content"]), (&expected["role"], &expected["content"]));
    }
}

#[test]
fn calls_trees_and_runs_can_be_mapped() {
    let place = Place::new();
    let turn = |id: &str, parent: Value, role: &str, text: &str| json!({"id": id, "up": parent, "by": role, "t": text});
    let mut call = turn("2", json!("1"), "assistant", "");
    call["does"] = json!([{"id": "k", "name": "f", "arguments": {"a": 1}}]);
    let mut result = turn("3", json!("2"), "tool", "r");
    result["of"] = json!("k");
    let turns = [
        turn("1", Value::Null, "user", "q"),
        call,
        result,
        turn("4", json!("3"), "assistant", "a"),
        turn("5", json!("3"), "wizard", "b"),
    ];
    place.file("in.jsonl", lines([json!({"thread": json!({"turns": turns}).to_string()})]));
    place.file(
        "map.toml",
        "messages = 'thread.turns'\n[message]\nrole = 'by'\ntext = 't'\nid = 'id'\nparent = 'up'\ncalls = 'does'\ncall_id = 'of'\n",
    );
    let found = place.printed(&["inspect", "in.jsonl", "--map", "map.toml", "--json"]);
    assert_eq!(found["calls"], json!({"f": 1}));
    assert_eq!((&found["results"], &found["branched"]), (&json!(1), &json!(1)));
    assert_eq!(found["not_understood"]["messages[].role=wizard"]["count"], 1);
    place.file(
        "run.jsonl",
        lines([json!({"rid": "r", "in": {"q": "question"}, "out": "answer", "app": "x"})]),
    );
    place.file(
        "run.toml",
        "kind = 'run'\n[fields]\nrequest_id = 'rid'\nsource_id = 'app'\nquestion = 'in.q'\nanswer = 'out'\n",
    );
    place.ok(&["convert", "run.jsonl", "--map", "run.toml", "--to", "runs", "-o", "runs"]);
    let row = &place.rows("runs/runs.jsonl")[0];
    assert_eq!(
        (&row["request_id"], &row["question"], &row["answer"]),
        (&json!("r"), &json!("question"), &json!("answer"))
    );
}

#[test]
fn a_wrong_mapping_is_refused_with_what_is_wrong() {
    let place = Place::new();
    place.file("in.jsonl", chats(1));
    for (map, words) in [
        ("messages = 'a..b'", "is not a path"),
        ("messages = 'a'", "[message] must say where `role` and `text` are"),
        ("[fields]\nid = 'x'", "needs one of `messages`"),
        (
            "messages = 'm'\n[message]\nrole = 'r'\ntext = 't'\nsize = 's'",
            "[message] has no `size`",
        ),
        ("messages = 'm'\n[roles]\nx = 'boss'", "unknown variant `boss`"),
        ("nonsense = 1", "unknown field `nonsense`"),
    ] {
        place.file("map.toml", map);
        place.refused(&["preview", "in.jsonl", "--map", "map.toml"], words);
    }
    place.refused(&["preview", "in.jsonl", "--map", "gone.toml"], "there is no such file");
}
