//! Where two receipts differ.

use std::collections::BTreeMap;

use retort_formats::package::Manifest;
use serde::Serialize;
use serde_json::Value;

use crate::option::ExportOption;

/// A field of the receipts that differs.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct ReceiptChange {
    /// Its path, such as `options.dedup`.
    pub field: String,
    /// Its text in the first receipt; none if it is not there.
    pub before: Option<String>,
    /// Its text in the second receipt; none if it is not there.
    pub after: Option<String>,
}

/// What a field of a receipt is about.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum About {
    /// The release that wrote the package.
    Version,
    /// The filter, and what else decides which items are written.
    Selection,
    /// The formats and options.
    Options,
    /// What was read.
    Source,
    /// What came of it.
    Counts,
}

/// Most fields that are listed, as an export may have any number of inputs.
const FIELDS: usize = 1000;

impl ReceiptChange {
    /// What it is about.
    pub fn about(&self) -> About {
        let top = self.field.split('.').next().unwrap_or_default();
        match top {
            "retort_version" | "manifest_version" => About::Version,
            _ if self.field == "decontamination.contaminated" => About::Counts,
            "selection" | "window" | "decontamination" => About::Selection,
            _ if self.option().is_some_and(|option| option.chooses) => About::Selection,
            "read" | "snapshot" => About::Source,
            "conversations" | "runs" | "documents" | "records" | "renamed_tools" => About::Counts,
            "redaction" if self.field.starts_with("redaction.found") => About::Counts,
            "split"
                if self.field.starts_with("split.outputs") && !self.field.ends_with(".share") =>
            {
                About::Counts
            }
            _ => About::Options,
        }
    }

    /// The option that the field has. Some options have a field of their own in the receipt.
    fn option(&self) -> Option<&'static ExportOption> {
        ExportOption::named(self.field.strip_prefix("options.").unwrap_or(&self.field))
    }

    /// Whether the packages may have different items because of it.
    pub(super) fn is_choice(&self) -> bool {
        self.about() == About::Selection
            && !self.field.ends_with("_left_out")
            && !self.field.ends_with("not_sampled")
    }
}

/// Where two receipts differ, up to a bound, except in their files, which follow from the records.
pub(super) fn changes(before: &Manifest, after: &Manifest) -> Vec<ReceiptChange> {
    let (before, mut after) = (fields(before), fields(after));
    let mut changes: Vec<ReceiptChange> = before
        .into_iter()
        .map(|(field, text)| {
            let after = after.remove(&field);
            ReceiptChange { field, before: Some(text), after }
        })
        .collect();
    let new = after.into_iter();
    changes.extend(new.map(|(field, text)| ReceiptChange {
        field,
        before: None,
        after: Some(text),
    }));
    changes.retain(|change| change.before != change.after);
    changes.sort_by(|one, other| one.field.cmp(&other.field));
    changes.truncate(FIELDS);
    changes
}

/// The fields of a receipt with their paths.
fn fields(manifest: &Manifest) -> BTreeMap<String, String> {
    let mut fields = BTreeMap::new();
    // A receipt is an object of texts and numbers.
    if let Ok(Value::Object(whole)) = serde_json::to_value(manifest) {
        for (name, value) in
            whole.iter().filter(|(name, _)| !matches!(name.as_str(), "files" | "dataset_name"))
        {
            add(name, value, &mut fields);
        }
    }
    fields
}

fn add(path: &str, value: &Value, fields: &mut BTreeMap<String, String>) {
    match value {
        Value::Object(inner) => {
            // The name of an object is in the path already, and ids are in the records.
            let named = ["first_ids", "files"];
            for (name, value) in inner.iter().filter(|(name, _)| !named.contains(&name.as_str())) {
                add(&format!("{path}.{name}"), value, fields);
            }
        }
        Value::Array(list) if list.iter().any(|one| name_of(one).is_some()) => {
            for one in list {
                let Some((key, name)) = name_of(one) else { continue };
                let mut rest = one.clone();
                rest.as_object_mut().into_iter().for_each(|rest| drop(rest.remove(key)));
                add(&format!("{path}.{name}"), &rest, fields);
            }
        }
        Value::Null => {}
        Value::String(text) => drop(fields.insert(path.to_owned(), text.clone())),
        other => drop(fields.insert(path.to_owned(), other.to_string())),
    }
}

/// The key and the text by which an object in a list is named.
fn name_of(value: &Value) -> Option<(&'static str, &str)> {
    ["name", "kind", "rule", "from"]
        .into_iter()
        .find_map(|key| Some((key, value.get(key)?.as_str()?)))
}
