//! `dataset_info.json`, by which LLaMA-Factory finds and reads a dataset (`spec/conversation-export.md`).

use serde_json::{Map, Value, json};

use crate::data::TrainerColumns;

/// The text of the file: ASCII alone, as it is read with whatever encoding the system has.
///
/// `num_samples` is a sampling order to the trainer, so it must be the exact number of records.
pub fn dataset_info(name: &str, file_name: &str, records: u64, columns: Option<TrainerColumns>) -> String {
    let mut entry = Map::new();
    entry.insert("file_name".into(), json!(file_name));
    if let Some(columns) = columns {
        let map = |pairs: &[(&str, &str)]| -> Value {
            pairs.iter().map(|(key, value)| ((*key).to_owned(), json!(value))).collect::<Map<_, _>>().into()
        };
        entry.insert("formatting".into(), json!(columns.formatting));
        entry.insert("num_samples".into(), json!(records));
        entry.insert("columns".into(), map(columns.columns));
        if !columns.tags.is_empty() {
            entry.insert("tags".into(), map(columns.tags));
        }
    } else {
        entry.insert("num_samples".into(), json!(records));
    }
    let mut whole = Map::new();
    whole.insert(name.to_owned(), entry.into());
    let mut text = String::new();
    for character in serde_json::to_string_pretty(&Value::from(whole)).unwrap_or_default().chars() {
        if character.is_ascii() {
            text.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    text.push('\n');
    text
}
