//! The API's contract: what its description says of every operation. `tests/api.txt` has it in short, so that a change of the
//! contract is a change of a file; `UPDATE_DOCS=1` writes it anew.

use std::collections::BTreeSet;
use std::fmt::Write as _;
use std::fs;
use std::path::Path;

use retort_testing_server::server::{Database, Setup, TestServer, on_both};
use serde_json::Value;

const SNAPSHOT: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/api.txt");

#[tokio::test(flavor = "multi_thread")]
async fn the_description_is_complete_and_changes_knowingly() {
    let server = TestServer::start(Database::Sqlite, Setup::default()).await.unwrap();
    let ann = server.session(&server.ann).await;
    let api = server.get("/api/openapi.json", &ann).await.ok();

    let mut ids = BTreeSet::new();
    for (path, method, operation) in operations(&api) {
        let id = operation["operationId"].as_str().unwrap();
        assert!(ids.insert(id.to_owned()), "`{id}` of {method} {path} is another operation's id");
        assert!(
            !operation["summary"].as_str().unwrap_or_default().is_empty(),
            "{id} has no summary"
        );
    }
    let mut references = Vec::new();
    each_reference(&api, &mut references);
    for reference in references {
        let pointer = reference.strip_prefix('#').unwrap();
        assert!(api.pointer(pointer).is_some(), "`{reference}` leads nowhere");
    }

    let short = in_short(&api);
    if std::env::var_os("UPDATE_DOCS").is_some() {
        fs::write(SNAPSHOT, &short).unwrap();
    }
    let kept = fs::read_to_string(Path::new(SNAPSHOT)).unwrap_or_default();
    let first = short.lines().zip(kept.lines()).find(|(now, before)| now != before);
    assert!(short == kept, "the API changed: {first:?}; if it is right, UPDATE_DOCS=1 keeps it");
}

#[tokio::test(flavor = "multi_thread")]
async fn operations_that_declare_a_project_mind_it_and_no_others() {
    on_both(async |server: &mut TestServer| {
        let ann = server.session(&server.ann).await;
        let api = server.get("/api/openapi.json", &ann).await.ok();
        for (path, method, operation) in operations(&api) {
            let parameters = operation["parameters"].as_array().into_iter().flatten();
            let declares = parameters.clone().any(|parameter| parameter["name"] == "project");
            if method != "get" {
                continue;
            }
            let path = path
                .replace("{number}", "1")
                .replace("{link}", "rl_no")
                .replace("{person}", "1")
                .replace("{id}", "1");
            let reply = server.get(&format!("{path}?project=no-such-project"), &ann).await;
            let minds = reply.status == 404 && reply.text().contains("no-such-project");
            assert_eq!(minds, declares, "{path}: {} {}", reply.status, reply.text());
        }
    })
    .await;
}

fn operations(api: &Value) -> Vec<(&str, &str, &Value)> {
    let paths = api["paths"].as_object().unwrap().iter();
    paths
        .flat_map(|(path, item)| {
            item.as_object()
                .unwrap()
                .iter()
                .map(move |(method, operation)| (path.as_str(), method.as_str(), operation))
        })
        .collect()
}

fn each_reference<'a>(value: &'a Value, found: &mut Vec<&'a str>) {
    match value {
        Value::Object(fields) => {
            found.extend(fields.get("$ref").and_then(Value::as_str));
            fields.values().for_each(|value| each_reference(value, found));
        }
        Value::Array(values) => values.iter().for_each(|value| each_reference(value, found)),
        _ => {}
    }
}

fn in_short(api: &Value) -> String {
    let mut short = String::from(
        "# The API in short: made and checked by tests/suite/contract.rs; UPDATE_DOCS=1 writes it anew.\n",
    );
    for (path, method, operation) in operations(api) {
        writeln!(
            short,
            "\n{} {path} {}",
            method.to_uppercase(),
            operation["operationId"].as_str().unwrap()
        )
        .unwrap();
        for parameter in operation["parameters"].as_array().into_iter().flatten() {
            let (place, name) =
                (parameter["in"].as_str().unwrap(), parameter["name"].as_str().unwrap());
            writeln!(
                short,
                "  {place} {name}{}: {}",
                needed(&parameter["required"]),
                kind(&parameter["schema"])
            )
            .unwrap();
        }
        for (media_type, content) in
            operation["requestBody"]["content"].as_object().into_iter().flatten()
        {
            writeln!(short, "  body {media_type}: {}", kind(&content["schema"])).unwrap();
        }
        let mut problems = String::new();
        for (status, answer) in operation["responses"].as_object().unwrap() {
            if answer.get("$ref").is_some() {
                write!(problems, " {status}").unwrap();
                continue;
            }
            let contents: Vec<String> = (answer["content"].as_object().into_iter().flatten())
                .map(|(media_type, content)| format!("{media_type}: {}", kind(&content["schema"])))
                .collect();
            writeln!(short, "  {status} {}", contents.join(", ")).unwrap();
        }
        writeln!(short, "  problems{problems}").unwrap();
    }
    for (name, schema) in api["components"]["schemas"].as_object().unwrap() {
        writeln!(
            short,
            "\n{name}{}",
            schema
                .get("properties")
                .map_or_else(|| format!(": {}", kind(schema)), |_| String::new())
        )
        .unwrap();
        let required = schema["required"].as_array();
        for (field, schema) in schema["properties"].as_object().into_iter().flatten() {
            let is_needed =
                required.is_some_and(|required| required.iter().any(|name| name == field));
            writeln!(short, "  {field}{}: {}", needed(&is_needed.into()), kind(schema)).unwrap();
        }
    }
    short
}

fn needed(required: &Value) -> &'static str {
    if *required == true { "" } else { "?" }
}

/// A schema in a few words.
fn kind(schema: &Value) -> String {
    if let Some(reference) = schema["$ref"].as_str() {
        return reference.rsplit('/').next().unwrap().to_owned();
    }
    for choice in ["oneOf", "anyOf", "allOf"] {
        if let Some(schemas) = schema[choice].as_array() {
            return schemas.iter().map(kind).collect::<Vec<_>>().join(if choice == "allOf" {
                " & "
            } else {
                " | "
            });
        }
    }
    if let Some(values) = schema["enum"].as_array() {
        return values
            .iter()
            .map(|value| value.as_str().map_or_else(|| value.to_string(), str::to_owned))
            .collect::<Vec<_>>()
            .join("|");
    }
    if let Some(items) = schema.get("items") {
        return format!("[{}]", kind(items));
    }
    let name = match &schema["type"] {
        Value::String(name) => name.clone(),
        Value::Array(names) => names.iter().filter_map(Value::as_str).collect::<Vec<_>>().join("|"),
        _ => "any".to_owned(),
    };
    match schema["format"].as_str() {
        Some(format) => format!("{name}({format})"),
        None => name,
    }
}
