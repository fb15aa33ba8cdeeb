//! Images, videos and sound that go with the rows.

use std::io::{self, Cursor};
use std::sync::Arc;

use retort_formats::data::{
    Attachments, FileContent, GivenFile, GivenFiles, ShapeContext, ShapeOptions, ToolCache, by_name,
};
use retort_formats::file::{FileOptions, by_name as file_named};
use serde_json::{Value, json};

use crate::support::*;

/// Files beside the history, each with its name as content.
struct Beside(&'static [&'static str]);

impl GivenFiles for Beside {
    fn find(&self, name: &str) -> Option<GivenFile> {
        let name = self.0.iter().find(|one| **one == name)?;
        let open = move || -> io::Result<Box<dyn io::Read>> { Ok(Box::new(Cursor::new(*name))) };
        let sha256 = format!("{:064x}", name.len());
        Some(GivenFile { sha256, name: (*name).to_owned(), open: Arc::new(open) })
    }
}

/// The rows with what is written beside them, and what was found.
fn kept(
    input: &Value,
    format: &str,
    beside: &'static [&'static str],
) -> (Vec<Value>, Vec<String>, String) {
    let options = ShapeOptions { attachments: Attachments::Keep, ..ShapeOptions::default() };
    let (data, jsonl) = (by_name(format).unwrap(), file_named("jsonl").unwrap());
    let schema = data.schema(&options, false);
    let mut rows = jsonl.rows(&schema, FileOptions::default());
    let given = Beside(beside);
    let mut context = ShapeContext {
        options: &options,
        flat: false,
        output: None,
        given: Some(&given),
        tools: &mut ToolCache::default(),
    };
    let outcome = data.shape(&read(&input.to_string()).into(), &mut context, &mut *rows);
    let row = |at| serde_json::from_slice(rows.row(at).unwrap()).unwrap();
    let files = outcome.records.iter().flat_map(|record| &record.files);
    let files = files.map(|file| match &file.content {
        FileContent::Bytes(bytes) => format!("{} {}", file.path, String::from_utf8_lossy(bytes)),
        FileContent::Given(given) => format!("{} = {}", file.path, given.name),
    });
    let mut found: Vec<String> =
        outcome.left_out.iter().map(|left| left.why.detail.clone()).collect();
    for record in &outcome.records {
        found.extend(record.warnings.iter().map(|one| one.kind.to_string()));
    }
    ((0..rows.count()).map(row).collect(), files.collect(), found.join("; "))
}

fn picture(url: &str) -> Value {
    json!({"type": "image_url", "image_url": {"url": url}})
}

fn text(text: &str) -> Value {
    json!({"type": "text", "text": text})
}

const HELLO: &str = "data:image/png;base64,aGVsbG8=";
const HELLO_FILE: &str =
    "files/2c/2cf24dba5fb0a30e26e83b2ac5b9e29e1b161e5c1fa7425e73043362938b9824.png";

#[test]
fn what_a_question_shows_goes_with_the_row_in_the_place_where_it_is_shown() {
    let input = json!({"id": "a", "messages": [
        say("user", json!([text("Is"), picture(HELLO), text("like this?"), picture("https://x.org/b.jpg?s=1")])),
        say("assistant", "Yes."),
        say("user", json!([picture(HELLO), {"type": "input_audio", "input_audio": {"data": "aGVsbG8=", "format": "wav"}}])),
        say("assistant", "Still."),
        say("user", json!([picture("data:image/png;base64,eA==")]))]});
    for format in ["standard", "ms-swift"] {
        let (rows, files, found) = kept(&input, format, &[]);
        assert_eq!(found, "", "{format}");
        let said: Vec<_> = rows[0]["messages"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["content"].as_str().unwrap())
            .collect();
        assert_eq!(
            said,
            ["Is<image>like this?<image>", "Yes.", "<image><audio>", "Still."],
            "{format}"
        );
        assert_eq!(rows[0]["images"], json!([HELLO_FILE, "https://x.org/b.jpg?s=1", HELLO_FILE]));
        assert_eq!(rows[0]["videos"], json!([]));
        let sound = HELLO_FILE.replace("png", "wav");
        assert_eq!(rows[0]["audios"], json!([sound]));
        // Once, and without the picture of the question that was cut.
        assert_eq!(files, [format!("{HELLO_FILE} hello"), format!("{sound} hello")], "{format}");
        let columns: Vec<_> = rows[0].as_object().unwrap().keys().collect();
        assert_eq!(
            columns.iter().filter(|name| name.ends_with('s')).count(),
            if format == "standard" { 5 } else { 4 }
        );
    }
}

#[test]
fn what_lies_beside_the_history_is_found_by_its_name_and_told_if_it_is_not_there() {
    let input = json!({"messages": [say("user", "<image>Who is it?\n<video>"), say("assistant", "Kane")],
        "images": ["data/1.jpg"], "videos": ["data/2.mp4"]});
    let (rows, files, found) = kept(&input, "standard", &["data/1.jpg", "data/2.mp4"]);
    assert_eq!(found, "");
    assert_eq!(rows[0]["messages"][0]["content"], "<image>Who is it?<video>");
    let path = format!("files/00/{:064x}.jpg", 10);
    assert_eq!(rows[0]["images"], json!([path]));
    assert_eq!(files[0], format!("{path} = data/1.jpg"));
    assert_eq!(rows[0]["extra"], "", "nothing is written twice");
    let (rows, files, found) = kept(&input, "standard", &["data/1.jpg"]);
    assert_eq!((rows.len(), files.len()), (0, 0));
    assert_eq!(found, "the file `data/2.mp4` is not among the inputs");
}

#[test]
fn nothing_that_answers_what_the_row_does_not_show_is_learnt() {
    let file = json!({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}});
    let shown = json!([text("look"), picture(HELLO)]);
    for (messages, why) in [
        (
            json!([say("user", json!([text("sum up"), file])), say("assistant", "a")]),
            "neither a picture nor",
        ),
        (
            json!([say("system", shown.clone()), say("user", "q"), say("assistant", "a")]),
            "it follows images",
        ),
        (
            json!([
                say("user", "draw"),
                say("assistant", shown),
                say("user", "more"),
                say("assistant", "a")
            ]),
            "it follows images",
        ),
        (
            json!([
                say("user", json!([picture(HELLO), text("what is <image> in HTML?")])),
                say("assistant", "a")
            ]),
            "`<image>` where nothing is shown",
        ),
        (
            json!([say("user", "q"), say("assistant", "write <video>")]),
            "`<video>` where nothing is shown",
        ),
    ] {
        for format in ["standard", "ms-swift"] {
            let (rows, _, found) = kept(&json!({"messages": messages}), format, &[]);
            assert!(rows.is_empty() && found.contains(why), "{format}: {rows:?} {found}");
        }
    }
}

#[test]
fn rows_that_show_nothing_have_the_columns_too() {
    let plain = json!({"messages": [say("user", "q"), say("assistant", "a")]});
    for format in ["standard", "ms-swift"] {
        let (rows, files, _) = kept(&plain, format, &[]);
        let lists = ["images", "videos", "audios"].map(|name| rows[0][name].clone());
        assert_eq!(lists, [json!([]), json!([]), json!([])]);
        assert!(files.is_empty());
    }
}
