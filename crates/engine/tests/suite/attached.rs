//! Pictures and the like that are beside histories, in folders and archives.

use std::fs;
use std::io::{Cursor, Write};
use std::path::Path;

use retort_engine::pipeline::Nobody;
use retort_engine::{AskedPart, ConvertPlan, Error, Input, MergePlan, merge, verify};
use serde_json::{Value, json};

use crate::support::{Bench, files, records, run};

fn shows(id: &str, picture: &str) -> Value {
    json!({"id": id, "images": [picture], "messages": [
        {"role": "user", "content": "<image>What is it?"}, {"role": "assistant", "content": format!("It is {id}.")}]})
}

fn write(path: &Path, bytes: impl AsRef<[u8]>) {
    fs::create_dir_all(path.parent().unwrap()).unwrap();
    fs::write(path, bytes).unwrap();
}

fn keeping(bench: &Bench, input: &Path, output: &str) -> ConvertPlan {
    let mut plan = bench.plan(vec![Input::Path(input.to_owned())], &[("attachments", "keep")]);
    plan.output = bench.path(output);
    plan
}

fn rows(plan: &ConvertPlan) -> Vec<Value> {
    let mut rows = records(plan);
    rows.sort_by_key(|row| row["conversation_id"].as_str().unwrap().to_owned());
    rows
}

#[test]
fn pictures_beside_a_history_go_with_it_and_nothing_outside_of_the_inputs_is_read() {
    let bench = Bench::new();
    let folder = bench.path("in");
    write(&bench.path("secret.png"), "secret");
    write(&folder.join("sub/data/1.jpg"), "one");
    write(&folder.join("data/2.png"), "two");
    write(&folder.join("sub/again.JPEG"), "one");
    let absolute = folder.join("data/2.png");
    let secret = bench.path("secret.png");
    let histories = [
        shows("a", "data/1.jpg"),
        shows("b", "./again.JPEG"),
        shows("c", "data/2.png"),
        shows("d", absolute.to_str().unwrap()),
        shows("e", "../../secret.png"),
        shows("f", secret.to_str().unwrap()),
        shows("g", "data/none.png"),
        json!({"id": "h", "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"}]}),
    ];
    let text: String = histories.iter().map(|one| format!("{one}\n")).collect();
    write(&folder.join("sub/history.jsonl"), text);
    #[cfg(unix)]
    std::os::unix::fs::symlink(&secret, folder.join("data/none.png")).unwrap();

    let plan = keeping(&bench, &folder, "out");
    let (report, rejects) = run(&plan);
    let account = report.unwrap().found.account;
    assert_eq!((account.records, account.selected), (5, 8), "{rejects:?}");
    let why: Vec<_> = rejects.iter().map(|one| one["detail"].as_str().unwrap()).collect();
    assert_eq!(why.len(), 3);
    assert!(why.iter().all(|why| why.ends_with("is not among the inputs")), "{why:?}");
    let found = rows(&plan);
    let images = |at: usize| found[at]["images"][0].as_str().unwrap();
    assert_eq!(images(0), images(1), "by content");
    assert_eq!(images(2), images(3), "a whole path inside the inputs");
    for (at, content) in [(0, "one"), (2, "two")] {
        assert_eq!(fs::read_to_string(plan.output.join(images(at))).unwrap(), content);
    }
    assert!(verify(&plan.output).unwrap().differences.is_empty());
    let all = files(&plan);
    assert_eq!(all.iter().filter(|(name, _)| name.starts_with("files/")).count(), 2);
    let info = fs::read_to_string(plan.output.join("dataset_info.json")).unwrap();
    assert!(info.contains("\"images\": \"images\""), "{info}");

    let mut parts = Vec::new();
    for number in 1..=2 {
        let part = format!("{number}/2").parse().unwrap();
        let asked = Some(AskedPart { part, repeats: None });
        let output = bench.path(&format!("part-{number}"));
        let plan = ConvertPlan { part: asked, output, ..plan.clone() };
        run(&plan).0.unwrap();
        parts.push(plan.output);
    }
    let output = bench.path("merged");
    let merging =
        MergePlan { parts, output: output.clone(), is_partial: false, force: false, threads: 1 };
    merge(&merging, &Nobody, &std::sync::atomic::AtomicBool::new(false)).unwrap();
    assert!(files(&ConvertPlan { output, ..plan.clone() }) == all);

    // What is read back has its pictures still.
    let back = keeping(&bench, &plan.output, "back");
    run(&back).0.unwrap();
    let shown = |plan: &ConvertPlan| -> Vec<Value> {
        rows(plan).iter().map(|row| json!([row["messages"], row["images"]])).collect()
    };
    assert_eq!(shown(&back), shown(&plan));
}

#[test]
fn pictures_in_an_export_of_chatgpt_are_found_by_their_ids() {
    let bench = Bench::new();
    let node = |id: &str, parent: &str, role: &str, content: Value| json!({"id": id, "parent": parent, "children": [], "message": {"id": id, "author": {"role": role}, "content": content}});
    let asset = |pointer: &str| json!({"content_type": "image_asset_pointer", "asset_pointer": pointer, "width": 1, "height": 1});
    let asks = |pointer: &str| json!({"content_type": "multimodal_text", "parts": [asset(pointer), "What is it?"]});
    let chat = |id: &str, pointer: &str| {
        json!({"conversation_id": id, "title": "T", "create_time": 1.0, "current_node": "b", "mapping": {
            "r": {"id": "r", "parent": null, "children": ["a"], "message": null},
            "a": node("a", "r", "user", asks(pointer)),
            "b": node("b", "a", "assistant", json!({"content_type": "text", "parts": ["A cat."]}))}})
    };
    let chats = json!([
        chat("1", "file-service://file-AbCdEfGh12"),
        chat("2", "sediment://file_0000abcd1234"),
        chat("3", "sediment://file_0000nothere"),
    ]);
    let mut zip = zip::ZipWriter::new(Cursor::new(Vec::new()));
    for (name, bytes) in [
        ("conversations.json", chats.to_string().into_bytes()),
        ("file-AbCdEfGh12-cat.png", b"cat".to_vec()),
        ("user-x/file_0000abcd1234-sanitized.jpg", b"dog".to_vec()),
    ] {
        zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        zip.write_all(&bytes).unwrap();
    }
    let archive = bench.path("export.zip");
    fs::write(&archive, zip.finish().unwrap().into_inner()).unwrap();
    let plan = keeping(&bench, &archive, "out");
    let (report, rejects) = run(&plan);
    assert_eq!(report.unwrap().found.account.records, 2, "{rejects:?}");
    for (row, content) in rows(&plan).iter().zip(["cat", "dog"]) {
        let image = row["images"][0].as_str().unwrap();
        assert_eq!(fs::read_to_string(plan.output.join(image)).unwrap(), content);
    }
    assert!(verify(&plan.output).unwrap().differences.is_empty());
}

#[test]
fn where_there_is_no_place_for_pictures_keeping_them_is_refused_by_name() {
    let bench = Bench::new();
    let input = bench.path("a.jsonl");
    fs::write(&input, shows("a", "data:image/png;base64,aGk=").to_string()).unwrap();
    for (options, why) in [
        (&[("data_format", "alpaca")][..], "`alpaca` cannot hold"),
        (&[("file_format", "csv")], "`csv` cannot hold"),
        (&[("redact", "pii")], "cannot be used with `--redact`"),
    ] {
        let options = [&[("attachments", "keep")], options].concat();
        let plan = bench.plan(vec![Input::Path(input.clone())], &options);
        let (refused, _) = run(&plan);
        let Err(Error::Choice(found)) = refused else { panic!("{refused:?}") };
        assert!(found.contains(why), "{found}");
    }
}
