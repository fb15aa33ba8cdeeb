//! `retort keep`: sessions stay after the tool that wrote them deleted them.

use std::fs;

use crate::support::*;
use serde_json::json;

/// A session of Claude Code with a question and an answer.
fn session(answer: &str) -> String {
    let line = |role: &str, id: &str, parent: Option<&str>, text: &str| {
        json!({"type": role, "uuid": id, "parentUuid": parent, "sessionId": "s", "timestamp": "2026-01-01T00:00:00Z",
            "message": {"role": role, "content": text}})
    };
    lines([line("user", "a", None, "Where?"), line("assistant", "b", Some("a"), answer)])
}

#[test]
fn what_was_kept_is_read_after_it_was_deleted() {
    let place = Place::new();
    place.file("sessions/s.jsonl", session("Here."));
    let keep = ["keep", "sessions", "--archive", "kept", "--once", "--json"];
    let told = place.printed(&keep);
    assert_eq!((&told["pass"]["new_lines"], &told["archive_files"]), (&json!(2), &json!(1)));
    fs::remove_file(place.path("sessions/s.jsonl")).unwrap();
    assert_eq!(place.printed(&keep)["pass"]["new_lines"], json!(0));
    let found = place.printed(&["inspect", "kept", "--json"]);
    assert_eq!(
        (&found["items"], &found["roles"]),
        (&json!(1), &json!({"assistant": 1, "user": 1}))
    );
}

#[test]
fn what_is_new_is_imported() {
    let place = Place::new();
    place.file("sessions/s.jsonl", session("Here."));
    let keep = ["keep", "sessions", "--archive", "kept", "--once", "--import"];
    assert!(place.ok(&keep).err.contains("1 new, 0 updated"));
    assert!(place.ok(&["show", "s"]).out.contains("Here."));
}

#[test]
fn a_folder_must_be_there_and_named() {
    let place = Place::new();
    place.refused(&["keep", "nowhere", "--once"], "cannot read `nowhere`");
    place.refused(&["keep", "--once"], "<FOLDER>");
}
