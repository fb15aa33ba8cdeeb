//! Files beside histories that an import puts into the conversations, and exports from the store that have them.

use crate::support::*;
use serde_json::{Value, json};

fn place() -> Place {
    let place = Place::new();
    let shown = json!([{"type": "text", "text": "Who is it?"}, {"type": "image", "path": "pictures/a.png"}]);
    let chats = [
        json!({"id": "c1", "messages": [{"role": "user", "content": shown}, {"role": "assistant", "content": "Ann."}]}),
        json!({"id": "c2", "messages": [{"role": "user", "content": "<image>And this?"}, {"role": "assistant", "content": "Bob."}],
            "images": ["gone.png"]}),
    ];
    place.file("in/chats.jsonl", lines(chats));
    place.file("in/pictures/a.png", "a picture");
    place
}

/// The files of a package of images and its rows.
fn exported(place: &Place, name: &str) -> (Vec<Value>, Vec<Vec<u8>>) {
    place.ok(&["export", name, "-q", "--to", "chat", "--attachments", "keep"]);
    let files = place.downloaded(name);
    let pictures = files.iter().filter(|(path, _)| path.starts_with("files/"));
    let pictures = pictures.map(|(_, bytes)| bytes.clone()).collect();
    (rows(std::str::from_utf8(&files["conversations.jsonl"]).unwrap()), pictures)
}

#[test]
fn files_that_an_import_keeps_go_with_exports_after_their_source_is_gone() {
    let place = place();
    let report = place.printed(&["import", "in", "--with-files", "--json"]);
    assert_eq!(report["new"], 2);
    assert_eq!(report["warnings"][0]["kind"], "attachment-left-behind");
    assert_eq!(report["warnings"][0]["first_ids"], json!(["c2"]), "its file is not there");
    std::fs::remove_dir_all(place.path("in/pictures")).unwrap();

    let (rows, pictures) = exported(&place, "e1");
    assert_eq!(rows.len(), 1, "the other answers what is not there");
    assert_eq!(pictures, [b"a picture"]);
    assert!(rows[0]["images"][0].as_str().unwrap().starts_with("files/"));

    // What comes again without the file is the same conversation, which keeps it.
    let report = place.printed(&["import", "in", "--json"]);
    assert_eq!((&report["same"], &report["updated"]), (&json!(2), &json!(0)));
    let report = place.printed(&["import", "in", "--with-files", "--json"]);
    assert_eq!((&report["same"], &report["updated"]), (&json!(2), &json!(0)));
    assert_eq!(exported(&place, "e2").1, [b"a picture"]);
}

#[test]
fn files_come_to_conversations_that_were_imported_without_them() {
    let place = place();
    place.ok(&["import", "in", "-q"]);
    place.refused(
        &["export", "e1", "-q", "--to", "chat", "--attachments", "keep"],
        "that is not in the rows",
    );
    let report = place.printed(&["import", "in", "--with-files", "--json"]);
    assert_eq!((&report["same"], &report["updated"]), (&json!(1), &json!(1)));
    assert_eq!(exported(&place, "e2").1, [b"a picture"]);
}
