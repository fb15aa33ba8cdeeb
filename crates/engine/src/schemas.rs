//! JSON Schemas of the files that people write for the engine.

use retort_formats::schemas::{FileSchema, count, list, names, object, text};
use retort_redact::Action;
use serde_json::{Value, json};

/// All of them.
pub const FILES: &[FileSchema] = &[FileSchema {
    name: "redaction-rules",
    about: "your own rules for `--redact FILE.toml`",
    schema: redaction_rules,
}];

fn redaction_rules() -> Value {
    let mut rule = object([
        ("name!", json!({"type": "string", "pattern": "^[a-z0-9-]+$"})),
        ("action", names(Action::ALL, Action::as_str)),
        ("regex", text()),
        ("words", list(text())),
        ("fields", list(text())),
        ("program", list(text())),
        ("recogniser", text()),
        ("timeout_seconds", count()),
        ("processes", count()),
        ("sha256", text()),
    ]);
    if let Some(rule) = rule.as_object_mut() {
        let ways = ["regex", "words", "fields", "program", "recogniser"]
            .map(|way| json!({"required": [way]}));
        rule.insert("oneOf".into(), ways.to_vec().into());
    }
    object([("rule!", json!({"type": "array", "items": rule, "minItems": 1}))])
}
