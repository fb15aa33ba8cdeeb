//! `dataset_info.json`, by which LLaMA-Factory finds and reads a dataset.

use serde::{Serialize, Serializer, ser::SerializeMap};

use crate::data::TrainerColumns;

/// Pairs as a JSON object, in their order.
struct Pairs(&'static [(&'static str, &'static str)]);

impl Serialize for Pairs {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        serializer.collect_map(self.0.iter().copied())
    }
}

#[derive(Serialize)]
struct Entry {
    file_name: String,
    #[serde(skip_serializing_if = "Option::is_none")]
    formatting: Option<&'static str>,
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    ranking: bool,
    num_samples: u64,
    #[serde(skip_serializing_if = "Option::is_none")]
    columns: Option<Pairs>,
    #[serde(skip_serializing_if = "Option::is_none")]
    tags: Option<Pairs>,
}

/// A dataset as the trainer finds it: several outputs are several of its datasets.
#[derive(Clone, Debug)]
pub struct Found {
    /// The name to ask for.
    pub name: String,
    /// The data file, or the folder of several.
    pub file_name: String,
    /// Exactly how many records it has.
    pub records: u64,
}

/// Datasets under their names.
struct Named<'e>(Vec<(&'e str, Entry)>);

impl Serialize for Named<'_> {
    fn serialize<S: Serializer>(&self, serializer: S) -> Result<S::Ok, S::Error> {
        let mut map = serializer.serialize_map(Some(self.0.len()))?;
        for (name, entry) in &self.0 {
            map.serialize_entry(name, entry)?;
        }
        map.end()
    }
}

/// The text of the file: ASCII alone, as it is read with whatever encoding the system has.
///
/// `num_samples` is a sampling order to the trainer, so it must be the exact number of records.
pub fn dataset_info(datasets: &[Found], columns: Option<TrainerColumns>) -> String {
    let entry = |one: &Found| Entry {
        file_name: one.file_name.clone(),
        formatting: columns.map(|columns| columns.formatting),
        ranking: columns.is_some_and(|columns| columns.ranking),
        num_samples: one.records,
        columns: columns.map(|columns| Pairs(columns.columns)),
        tags: columns.filter(|columns| !columns.tags.is_empty()).map(|columns| Pairs(columns.tags)),
    };
    let named = datasets.iter().map(|one| (&*one.name, entry(one))).collect();
    let mut text = ascii(&serde_json::to_string_pretty(&Named(named)).unwrap_or_default());
    text.push('\n');
    text
}

/// JSON text with everything beyond ASCII as `\u` escapes.
fn ascii(json: &str) -> String {
    let mut text = String::with_capacity(json.len());
    for character in json.chars() {
        if character.is_ascii() {
            text.push(character);
        } else {
            for unit in character.encode_utf16(&mut [0; 2]) {
                text.push_str(&format!("\\u{unit:04x}"));
            }
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_entry_stands_as_the_specification_gives_it() {
        let columns = TrainerColumns {
            formatting: "sharegpt",
            ranking: false,
            columns: &[("messages", "messages"), ("tools", "tools")],
            tags: &[("role_tag", "role")],
        };
        let found = Found { name: "对话".into(), file_name: "c.jsonl".into(), records: 150 };
        let text = dataset_info(&[found], Some(columns));
        let expect = "{\n  \"\\u5bf9\\u8bdd\": {\n    \"file_name\": \"c.jsonl\",\n    \"formatting\": \"sharegpt\",\n    \
                      \"num_samples\": 150,\n    \"columns\": {\n      \"messages\": \"messages\",\n      \"tools\": \"tools\"\n    },\n    \
                      \"tags\": {\n      \"role_tag\": \"role\"\n    }\n  }\n}\n";
        assert_eq!(text, expect);
    }
}
