//! Rows that were saved and loaded again make the same file.

use retort_formats::data::{self, ShapeContext, ShapeOptions, ToolCache};
use retort_formats::file::{self, FileFormat, FileOptions, Rows};
use serde_json::json;

use crate::support::read_item;

fn items() -> Vec<String> {
    let calls = json!([{"id": "k", "type": "function", "function": {"name": "f", "arguments": "{\"a\":1}"}}]);
    let chat = |id: &str| {
        json!({"id": id, "title": "=1", "messages": [{"role": "user", "content": "q \"é\"\n"},
            {"role": "assistant", "content": "", "tool_calls": calls},
            {"role": "tool", "tool_call_id": "k", "content": "r"},
            {"role": "assistant", "content": "a"}]})
    };
    let pair = json!({"id": "p", "messages": [{"role": "user", "content": "q"}],
        "chosen": {"role": "assistant", "content": "a"}, "rejected": {"role": "assistant", "content": "b"}});
    let history = json!({"id": "h", "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a"},
        {"role": "user", "content": "r"}, {"role": "assistant", "content": "b"}]});
    let run = json!({"request_id": "r", "recipe_id": "x", "question": "q", "answer": "a", "status": "success",
        "nodes": [{"node": "n", "prompt": "{x}", "variables": {"x": 1}, "output": {"n": 2}}]});
    let document = |numbers: &[f64]| {
        json!({"id": numbers.len(), "s3_path": "c/a.pdf", "course_name": "c", "readable_filename": "a.pdf",
            "contexts": [{"text": "one", "pagenumber": 1, "chunk_index": 0, "embedding": numbers}]})
    };
    let all = [chat("a"), chat("b"), pair, history, run, document(&[0.25, -1.5]), document(&[])];
    all.iter().map(ToString::to_string).collect()
}

fn encoded(format: &dyn FileFormat, schema: &data::Schema, batches: Vec<Box<dyn Rows>>) -> Vec<u8> {
    let options = FileOptions::default();
    let mut file = Vec::new();
    let mut writer = format.writer(schema, options).unwrap();
    writer.write(format.encode(batches, options).unwrap(), &mut file).unwrap();
    writer.finish(&mut file).unwrap();
    file
}

/// Makes batches of some items.
type Batching<'b> = &'b dyn Fn(&[String]) -> Box<dyn Rows>;

/// Calls `check` for each data format in each file format that it can have.
fn each_format(check: impl Fn(&dyn FileFormat, &data::Schema, Batching<'_>, &str)) {
    for data in data::FORMATS {
        for file in data.file_formats() {
            let format = file::by_name(file).unwrap();
            let mut options = ShapeOptions::default();
            if data.purposes().iter().all(|purpose| purpose.needs_node()) {
                options.node = Some("n".into());
            }
            let schema = data.schema(&options, !format.is_nested());
            let batch = |items: &[String]| {
                let mut rows = format.rows(&schema, FileOptions::default());
                let mut context = ShapeContext {
                    options: &options,
                    flat: !format.is_nested(),
                    output: None,
                    given: None,
                    tools: &mut ToolCache::default(),
                };
                for item in items {
                    data.shape(&read_item(item), &mut context, &mut *rows);
                }
                rows
            };
            check(format, &schema, &batch, &format!("{} as {file}", data.name()));
        }
    }
}

#[test]
fn saved_rows_are_encoded_as_those_that_were_never_saved() {
    let items = items();
    each_format(|format, schema, batch, what| {
        let batches = || vec![batch(&items), batch(&[]), batch(&items[1..])];
        assert!(batches()[0].count() > 0, "{what}");
        let load = |rows: Box<dyn Rows>| {
            let mut saved = Vec::new();
            rows.save(&mut saved);
            let cut = saved.get(..saved.len() / 2).unwrap();
            assert!(format.load(schema, FileOptions::default(), cut).is_err(), "{what}");
            let loaded = format.load(schema, FileOptions::default(), &saved).unwrap();
            assert_eq!(loaded.count(), rows.count(), "{what}");
            assert_eq!(loaded.size_bytes(), rows.size_bytes(), "{what}");
            assert_eq!(loaded.evidence(), rows.evidence(), "{what}");
            loaded
        };
        let loaded = batches().into_iter().map(load).collect();
        assert_eq!(encoded(format, schema, loaded), encoded(format, schema, batches()), "{what}");
    });
}

#[test]
fn where_batches_end_makes_no_difference_to_the_file() {
    let items: Vec<String> = std::iter::repeat_n(items(), 30).flatten().collect();
    each_format(|format, schema, batch, what| {
        let whole = || batch(&items);
        let (count, size) = (whole().count(), whole().size_bytes());
        let expected = encoded(format, schema, vec![whole()]);
        for at in [0, 1, count / 3, count - 1, count] {
            let mut rest = whole();
            let front = rest.take_front(at);
            assert_eq!((front.count(), rest.count()), (at, count - at), "{what}");
            assert_eq!(front.size_bytes() + rest.size_bytes(), size, "{what}");
            let sizes = [front.row_sizes(), rest.row_sizes()].concat();
            assert_eq!(sizes, whole().row_sizes(), "{what}");
            let evidence = [front.evidence(), rest.evidence()].concat();
            assert_eq!(evidence, whole().evidence(), "{what}");
            let again = rest.take_front((count - at) / 2);
            assert_eq!(
                encoded(format, schema, vec![front, again, rest]),
                expected,
                "{what} at {at}"
            );
        }
    });
}
