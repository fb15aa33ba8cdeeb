//! Images, videos and sound that go with the rows.

use std::io::{self, Cursor};
use std::sync::Arc;

use retort_formats::data::{
    Attachments, FileContent, GivenFile, GivenFiles, Layout, ShapeContext, ShapeOptions, ToolCache,
    by_name,
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
    kept_with(input, format, beside, ShapeOptions::default())
}

/// The same with further options.
fn kept_with(
    input: &Value,
    format: &str,
    beside: &'static [&'static str],
    options: ShapeOptions,
) -> (Vec<Value>, Vec<String>, String) {
    let options = ShapeOptions { attachments: Attachments::Keep, ..options };
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
            "`<image>` where there is no attachment",
        ),
        (
            json!([say("user", "q"), say("assistant", "write <video>")]),
            "`<video>` where there is no attachment",
        ),
    ] {
        for format in ["standard", "ms-swift"] {
            let (rows, _, found) = kept(&json!({"messages": messages}), format, &[]);
            assert!(rows.is_empty() && found.contains(why), "{format}: {rows:?} {found}");
        }
    }
}

#[test]
fn a_mark_too_many_is_not_written_as_text() {
    // Two marks, and one image: templates of models that know the mark fail, and the answer is about two.
    let input = json!({"messages": [say("user", "<image><image>what"), say("assistant", "a cat")],
        "images": ["http://x/a.jpg"]});
    for format in ["standard", "ms-swift", "chat", "prompt-completion"] {
        let (rows, _, found) = kept(&input, format, &[]);
        assert!(rows.is_empty(), "{format}: {rows:?}");
        assert!(found.contains("`<image>` where there is no attachment"), "{format}: {found}");
    }
    // Of videos, rows with parts have neither marks nor a column.
    let input = json!({"messages": [say("user", "q"), say("assistant", "write <video>")]});
    assert_eq!(kept(&input, "chat", &[]).0.len(), 1);
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

fn asked_and_answered() -> Value {
    json!({"id": "a", "messages": [
        say("user", json!([text("Is"), picture(HELLO), text("like"), picture("https://x.org/b.jpg?s=1"), text("?")])),
        say("assistant", "Yes."),
        say("user", "Sure?"),
        say("assistant", "Quite.")]})
}

fn shown_as_parts() -> Value {
    json!([{"type": "text", "text": "Is"}, {"type": "image"}, {"type": "text", "text": "like"}, {"type": "image"},
        {"type": "text", "text": "?"}])
}

fn words(words: &str) -> Value {
    json!([{"type": "text", "text": words}])
}

#[test]
fn chat_rows_show_images_as_parts_of_messages_whose_content_is_always_a_list() {
    let images = json!([HELLO_FILE, "https://x.org/b.jpg?s=1"]);
    for (format, columns) in [
        ("chat", &["messages"][..]),
        ("prompt-completion", &["prompt", "completion"]),
        ("prompt-only", &["prompt"]),
    ] {
        let (rows, files, found) = kept(&asked_and_answered(), format, &[]);
        assert_eq!((rows.len(), &*found), (1, ""), "{format}");
        let messages: Vec<_> =
            columns.iter().flat_map(|name| rows[0][*name].as_array().unwrap()).collect();
        let contents: Vec<_> = messages.iter().map(|one| &one["content"]).collect();
        let expect = [shown_as_parts(), words("Yes."), words("Sure?"), words("Quite.")];
        let said = if format == "prompt-only" { 3 } else { 4 };
        assert_eq!(contents, expect.iter().take(said).collect::<Vec<_>>(), "{format}");
        assert_eq!(rows[0]["images"], images, "{format}");
        assert_eq!(files, [format!("{HELLO_FILE} hello")], "{format}");
    }
}

#[test]
fn openai_rows_hold_images_themselves() {
    let (rows, files, found) = kept(&asked_and_answered(), "openai", &[]);
    assert_eq!((&*found, files.len()), ("", 0));
    let url = |url: &str| json!({"type": "image_url", "image_url": {"url": url}});
    let content =
        json!([text("Is"), url(HELLO), text("like"), url("https://x.org/b.jpg?s=1"), text("?")]);
    assert_eq!(rows[0]["messages"][0]["content"], content);
    assert_eq!(rows[0]["messages"][1]["content"], words("Yes."));
    assert_eq!(rows[0].as_object().unwrap().len(), 1, "nothing but `messages`");

    let input = json!({"messages": [say("user", "Who is it?"), say("assistant", "Kane")], "images": ["data/1.png"]});
    let (rows, files, found) = kept(&input, "openai", &["data/1.png"]);
    assert_eq!((&*found, files.len()), ("", 0));
    assert_eq!(
        rows[0]["messages"][0]["content"],
        json!([url("data:image/png;base64,ZGF0YS8xLnBuZw=="), text("Who is it?")])
    );
}

#[test]
fn openai_rows_show_no_more_than_openai_takes() {
    let question = |shown: Value| json!({"messages": [say("user", shown), say("assistant", "a")]});
    for (input, why) in [
        (json!([text("q"), picture("data:image/bmp;base64,aGVsbG8=")]), "type `image/bmp`"),
        (json!([text("q"), picture("https://x.org/a.tiff")]), "type `image/tiff`"),
        (json!(vec![picture("https://x.org/a"); 11]), "more than 10 images"),
        (
            json!([{"type": "input_audio", "input_audio": {"data": "aGVsbG8=", "format": "wav"}}]),
            "sound, which the format cannot hold",
        ),
    ] {
        let (rows, _, found) = kept(&question(input), "openai", &[]);
        assert!(rows.is_empty() && found.contains(why), "{rows:?} {found}");
    }
    let (rows, _, found) =
        kept(&question(json!(vec![picture("https://x.org/a"); 10])), "openai", &[]);
    assert_eq!((rows.len(), &*found), (1, ""));
}

#[test]
fn what_chat_rows_cannot_show_is_not_answered() {
    let sound =
        json!([{"type": "input_audio", "input_audio": {"data": "aGVsbG8=", "format": "wav"}}]);
    let input = json!({"messages": [say("user", "q"), say("assistant", "a"), say("user", sound), say("assistant", "b")]});
    for format in ["chat", "prompt-completion"] {
        let (rows, files, _) = kept(&input, format, &[]);
        let row = rows[0].to_string();
        assert!(row.contains(r#""text":"a""#) && !row.contains(r#""text":"b""#), "{format}: {row}");
        assert!(files.is_empty(), "{format}");
    }
}

/// Two answers to one question that shows a picture, of which people liked one.
fn rated() -> Value {
    json!({"input": {"messages": [say("user", json!([text("Is"), picture(HELLO), text("?")]))]},
        "preferred_output": [say("assistant", "Yes.")], "non_preferred_output": [say("assistant", "No.")]})
}

#[test]
fn pairs_and_labelled_answers_show_what_their_question_shows() {
    let layout = |layout| ShapeOptions { layout, ..ShapeOptions::default() };
    let question = json!([text("Is"), {"type": "image"}, text("?")]);
    for format in ["preference", "kto"] {
        let (rows, files, found) = kept_with(&rated(), format, &[], layout(Layout::Trl));
        assert_eq!(found, "", "{format}");
        assert_eq!(rows[0]["prompt"][0]["content"], question, "{format}");
        assert_eq!(rows[0]["images"], json!([HELLO_FILE]), "{format}");
        assert_eq!(files[0], format!("{HELLO_FILE} hello"), "{format}");

        let (rows, files, found) = kept_with(&rated(), format, &[], layout(Layout::LlamaFactory));
        assert_eq!(found, "", "{format}");
        assert_eq!(rows[0]["messages"][0]["content"], "Is<image>?", "{format}");
        assert_eq!(rows[0]["images"], json!([HELLO_FILE]), "{format}");
        assert_eq!(rows[0]["audios"], json!([]), "{format}");
        assert_eq!(files[0], format!("{HELLO_FILE} hello"), "{format}");
    }
    let (rows, _, found) = kept_with(&rated(), "preference", &[], layout(Layout::OpenAi));
    assert!(rows.is_empty() && found.contains("it follows images"), "{found}");
}

#[test]
fn steps_of_atif_show_what_anyone_showed() {
    let input = json!({"id": "a", "messages": [
        say("user", json!([text("Like this?"), picture(HELLO)])),
        {"role": "assistant", "content": "", "tool_calls": [
            {"id": "1", "type": "function", "function": {"name": "look", "arguments": "{}"}}]},
        {"role": "tool", "tool_call_id": "1", "content": [text("this"), picture("https://x.org/b.jpg")]},
        say("assistant", "Yes.")]});
    let (rows, files, found) = kept(&input, "atif", &[]);
    assert_eq!((&*found, &*files), ("", &[format!("{HELLO_FILE} hello")][..]));
    let image = |media_type: &str, path: &str| json!({"type": "image", "source": {"media_type": media_type, "path": path}});
    let steps = &rows[0]["steps"];
    assert_eq!(steps[0]["message"], json!([text("Like this?"), image("image/png", HELLO_FILE)]));
    let result = &steps[1]["observation"]["results"][0];
    assert_eq!(
        result["content"],
        json!([text("this"), image("image/jpeg", "https://x.org/b.jpg")])
    );
    assert!(!rows[0].to_string().contains("attachments"), "nothing is written twice");

    let pdf = json!({"type": "file", "file": {"filename": "a.pdf", "file_data": "data:application/pdf;base64,aGk="}});
    let input = json!({"id": "a", "messages": [say("user", json!([text("Sum up"), pdf])), say("assistant", "b")]});
    let (rows, files, found) = kept(&input, "atif", &[]);
    assert!(files.is_empty() && found.contains("attachment"), "{found}");
    assert_eq!(rows[0]["steps"][0]["message"], "Sum up");
    assert_eq!(rows[0]["steps"][0]["extra"]["retort"]["attachments"], json!([pdf]));
}

#[test]
fn files_of_atif_travel_with_the_trajectory_that_names_them() {
    let trajectory = |path: &str| {
        json!({"schema_version": "ATIF-v1.8", "session_id": "s",
        "agent": {"name": "a", "version": "1"}, "steps": [
        {"step_id": 1, "source": "user", "message": [
            {"type": "image", "source": {"media_type": "image/png", "path": path}},
            {"type": "audio", "source": {"media_type": "audio/wav", "path": "gone.wav", "duration_sec": 1.50}}]},
        {"step_id": 2, "source": "agent", "message": "b"}]})
    };
    let (rows, files, found) = kept(&trajectory("a.png"), "atif", &["a.png"]);
    let path = format!("files/00/{:064x}.png", 5);
    assert_eq!(rows[0], trajectory(&path));
    assert_eq!(files, [format!("{path} = a.png")]);
    assert!(found.contains("attachment"), "{found}");
}
