//! JSON Schemas of the files that people write for Retort and that Retort writes, apart from the rows of data formats
//! ([`crate::data::json_schema`]).
//!
//! What `serde` reads and writes is described by its types. Lines that are written by hand are described here, closed, so
//! that a key that is added to a line and not here fails the check against real packages (`tests/consumers`).

use retort_model::{Kind, Label, NodeKind, PartKind, Role, RunSource, RunStatus, Status};
use serde_json::{Map, Value, json};
use utoipa::ToSchema;
use utoipa::openapi::{RefOr, Schema};

use crate::import::Mapping;
use crate::judgements;
use crate::package::{List, Manifest, PaperNotes, SeriesReceipt};

/// A file with a schema: its name, what it is, and its schema.
pub struct FileSchema {
    /// Its name, as `retort formats --schema` and the docs call it.
    pub name: &'static str,
    /// What it is.
    pub about: &'static str,
    /// Its schema, without a title.
    pub schema: fn() -> Value,
}

/// All of them.
pub const FILES: &[FileSchema] = &[
    FileSchema {
        name: "manifest",
        about: "manifest.json: the receipt of a package",
        schema: of_type::<Manifest>,
    },
    FileSchema {
        name: "rejects",
        about: "a line of rejects.jsonl: an item that was left out or could not be read",
        schema: rejects,
    },
    FileSchema {
        name: "findings",
        about: "a line of findings.jsonl: a repair, a warning or a redaction",
        schema: findings,
    },
    FileSchema {
        name: "extra",
        about: "a line of extra.jsonl: what the rows of a data format could not hold",
        schema: extra,
    },
    FileSchema {
        name: "series-receipt",
        about: "*.series.json: the windows that a schedule has exported",
        schema: of_type::<SeriesReceipt>,
    },
    FileSchema {
        name: "retort",
        about: "a line of the data format `retort`: everything about one conversation, run or document",
        schema: retort_line,
    },
    FileSchema {
        name: "mapping",
        about: "a mapping for `--map`, written in TOML",
        schema: of_type::<Mapping>,
    },
    FileSchema {
        name: "judgements",
        about: "a row for `retort judge`, in JSON Lines, a JSON list or CSV",
        schema: judgement,
    },
    FileSchema {
        name: "notes",
        about: "notes on a dataset and its sources for `--papers`, written in TOML",
        schema: of_type::<PaperNotes>,
    },
];

/// A schema with its name and what it describes.
pub fn titled(name: &str, about: &str, schema: Value) -> Value {
    let mut whole = json!({
        "$schema": "https://json-schema.org/draft/2020-12/schema",
        "title": name,
        "description": about,
    });
    if let (Some(whole), Value::Object(schema)) = (whole.as_object_mut(), schema) {
        schema.into_iter().filter(|(key, _)| key != "description").for_each(|(key, value)| {
            whole.insert(key, value);
        });
    }
    whole
}

impl FileSchema {
    /// The schema (draft 2020-12).
    pub fn schema(&self) -> Value {
        titled(self.name, self.about, (self.schema)())
    }
}

/// The schema of a type, with those of the types in it as definitions.
pub fn of_type<T: ToSchema>() -> Value {
    let mut named: Vec<(String, RefOr<Schema>)> = Vec::new();
    T::schemas(&mut named);
    let mut whole = value_of(&T::schema());
    let definitions: Map<_, _> =
        named.into_iter().map(|(name, schema)| (name, value_of(&schema))).collect();
    if let Some(whole) = whole.as_object_mut().filter(|_| !definitions.is_empty()) {
        whole.insert("$defs".into(), definitions.into());
    }
    whole
}

fn value_of(schema: &RefOr<Schema>) -> Value {
    let mut value = serde_json::to_value(schema).unwrap_or_default();
    localise(&mut value);
    value
}

/// Lets references point to definitions of the same file.
fn localise(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            if let Some(Value::String(to)) = fields.get_mut("$ref") {
                *to = to.replace("#/components/schemas/", "#/$defs/");
            }
            fields.values_mut().for_each(localise);
        }
        Value::Array(values) => values.iter_mut().for_each(localise),
        _ => {}
    }
}

/// A text.
pub fn text() -> Value {
    json!({"type": "string"})
}

/// A whole number from 0 on.
pub fn count() -> Value {
    json!({"type": "integer", "minimum": 0})
}

/// The names of a closed set.
pub fn names<T: Copy>(all: &[T], name: impl Fn(T) -> &'static str) -> Value {
    json!({"enum": all.iter().map(|one| name(*one)).collect::<Vec<_>>()})
}

/// A list.
#[allow(clippy::needless_pass_by_value, reason = "a schema is made for the one that has it")]
pub fn list(items: Value) -> Value {
    json!({"type": "array", "items": items})
}

fn defined(name: &str) -> Value {
    json!({"$ref": format!("#/$defs/{name}")})
}

/// An object with these properties and no others; those that end in `!` are required.
pub fn object(properties: impl IntoIterator<Item = (&'static str, Value)>) -> Value {
    let (mut all, mut required) = (Map::new(), Vec::new());
    for (name, schema) in properties {
        let plain = name.trim_end_matches('!');
        if plain != name {
            required.push(plain);
        }
        all.insert(plain.to_owned(), schema);
    }
    json!({
        "type": "object",
        "properties": all,
        "required": required,
        "additionalProperties": false,
    })
}

/// The id of an item, under the key of its kind; null for an item that could not be read.
fn ids() -> [(&'static str, Value); 3] {
    let id = json!({"type": ["string", "null"]});
    [("conversation_id", id.clone()), ("request_id", id.clone()), ("document_id", id)]
}

/// Where an item is in its input.
fn place() -> [(&'static str, Value); 4] {
    [("input!", text()), ("line!", count()), ("item!", count()), ("byte!", count())]
}

fn rejects() -> Value {
    let own = [("part", text()), ("reason!", text()), ("detail!", text())];
    object(ids().into_iter().chain(own).chain(place()))
}

fn findings() -> Value {
    let own = [
        ("part", text()),
        ("finding!", names(List::ALL, List::as_str)),
        ("kind!", text()),
        ("detail", text()),
        ("message", count()),
        ("count", json!({"type": "integer", "minimum": 2})),
    ];
    object(ids().into_iter().chain(own).chain(place()))
}

fn extra() -> Value {
    object(ids().into_iter().chain([("part", text()), ("extra!", json!({"type": "object"}))]))
}

fn judgement() -> Value {
    let value = json!({"type": ["string", "number", "boolean", "null"]});
    let mut properties = Map::new();
    for name in judgements::COLUMNS.iter().flat_map(|names| *names) {
        properties.insert((*name).to_owned(), value.clone());
    }
    let has_id: Vec<_> = judgements::ID.iter().map(|name| json!({"required": [name]})).collect();
    json!({"type": "object", "properties": properties, "anyOf": has_id})
}

fn retort_line() -> Value {
    let any = json!({});
    let metadata = json!({"type": "object"});
    let label = names(Label::ALL, Label::as_str);
    let not_understood = list(object([("path!", text()), ("raw!", any.clone())]));
    let feedback = object([("rating", any.clone()), ("label", text()), ("comment", text())]);
    let judgement = object([
        ("by", text()),
        ("at", text()),
        ("rating", any.clone()),
        ("label", text()),
        ("comment", text()),
        ("ground_truth", any.clone()),
        ("preference", label.clone()),
        ("train", json!({"type": "boolean"})),
        ("corrected_answer", text()),
    ]);
    let part = object([
        ("type!", names(PartKind::ALL, PartKind::as_str)),
        ("text", text()),
        ("raw", any.clone()),
    ]);
    let call = object([
        ("id!", text()),
        ("name!", text()),
        ("arguments!", text()),
        ("metadata", metadata.clone()),
    ]);
    let message = object([
        ("role!", names(Role::ALL, Role::as_str)),
        ("source_role", text()),
        ("name", text()),
        ("content", json!({"anyOf": [{"type": ["string", "null"]}, list(defined("part"))]})),
        ("reasoning", text()),
        ("tool_calls", list(defined("tool_call"))),
        ("tool_call_id", text()),
        ("contexts", list(any.clone())),
        ("feedback", defined("feedback")),
        ("created_at", text()),
        ("error", text()),
        ("finish_reason", text()),
        ("train", json!({"type": "boolean"})),
        ("label", label.clone()),
        ("judgements", list(defined("judgement"))),
        ("metadata", metadata.clone()),
    ]);
    let round = object([
        ("number", count()),
        ("parent", json!({"type": ["integer", "null"], "minimum": 0})),
        ("node", text()),
        ("agent", text()),
        ("model", text()),
        ("tools", list(any.clone())),
        ("messages", list(defined("message"))),
        ("input_tokens", count()),
        ("output_tokens", count()),
        ("metadata", metadata.clone()),
    ]);
    let task = object([
        ("id!", text()),
        ("agent", text()),
        ("tool_call_id", text()),
        ("rounds", list(defined("round"))),
        ("metadata", metadata.clone()),
    ]);
    let conversation = object([
        ("retort!", json!({"const": retort_model::canonical::VERSION})),
        ("id!", text()),
        ("source!", text()),
        ("project", text()),
        ("owner", text()),
        ("kind", names(Kind::ALL, Kind::as_str)),
        ("title", text()),
        ("tags", list(text())),
        ("status", names(Status::ALL, Status::as_str)),
        ("model", text()),
        ("created_at", text()),
        ("updated_at", text()),
        ("current", count()),
        ("rounds", list(defined("round"))),
        ("tasks", list(defined("task"))),
        ("label", label),
        ("judgements", list(defined("judgement"))),
        ("not_understood", not_understood.clone()),
        ("metadata", metadata.clone()),
    ]);
    let file = object([
        ("uri!", text()),
        ("name", text()),
        ("media_type", text()),
        ("size_bytes", count()),
        ("metadata", metadata.clone()),
    ]);
    let node = object([
        ("node!", text()),
        ("kind", names(NodeKind::ALL, NodeKind::as_str)),
        ("parent", count()),
        ("model", text()),
        ("prompt", text()),
        ("variables", any.clone()),
        ("input", any.clone()),
        ("output", any.clone()),
        ("status", names(RunStatus::ALL, RunStatus::as_str)),
        ("error", text()),
        ("feedback", defined("feedback")),
        ("ground_truth", text()),
        ("started_at", text()),
        ("finished_at", text()),
        ("input_tokens", count()),
        ("output_tokens", count()),
        ("cost_usd", json!({"type": "number"})),
        ("metadata", metadata.clone()),
    ]);
    let run = object([
        (
            "retort_run!",
            json!({"type": "integer", "minimum": 1, "maximum": retort_model::canonical::RUN_VERSION}),
        ),
        ("request_id!", text()),
        ("project", text()),
        ("owner", text()),
        ("source!", names(RunSource::ALL, RunSource::as_str)),
        ("source_id!", text()),
        ("source_name", text()),
        ("version", text()),
        ("thread", text()),
        ("question", text()),
        ("inputs", any.clone()),
        ("answer", text()),
        ("error", text()),
        ("status", names(RunStatus::ALL, RunStatus::as_str)),
        ("files", list(defined("file"))),
        ("contexts", list(any.clone())),
        ("nodes", list(defined("node"))),
        ("feedback", defined("feedback")),
        ("ground_truth", text()),
        ("judgements", list(defined("judgement"))),
        ("started_at", text()),
        ("finished_at", text()),
        ("not_understood", not_understood),
        ("metadata", metadata.clone()),
    ]);
    let bits = json!({"type": "string", "contentEncoding": "base64"});
    let chunk = object([
        ("text!", text()),
        ("pagenumber", any.clone()),
        ("timestamp", any.clone()),
        ("chunk_index", count()),
        ("embedding_model", text()),
        ("f32", bits.clone()),
        ("f32_as_f64", bits.clone()),
        ("f64", bits),
        ("metadata", metadata.clone()),
    ]);
    let document = object([
        ("retort_document!", json!({"const": retort_model::canonical::VERSION})),
        ("id!", text()),
        ("source!", text()),
        ("project", text()),
        ("readable_filename", text()),
        ("url", text()),
        ("base_url", text()),
        ("s3_path", text()),
        ("created_at", text()),
        ("chunks", list(defined("chunk"))),
        ("metadata", metadata),
    ]);
    json!({
        "oneOf": [defined("conversation"), defined("run"), defined("document")],
        "$defs": {
            "conversation": conversation,
            "round": round,
            "task": task,
            "message": message,
            "part": part,
            "tool_call": call,
            "feedback": feedback,
            "judgement": judgement,
            "run": run,
            "node": node,
            "file": file,
            "document": document,
            "chunk": chunk,
        },
    })
}
