//! The dataset card: `README.md` with the front matter by which `datasets` knows which files are data. Without
//! its `configs`, `load_dataset` would read the receipt as data too.

use std::fmt::Write;

use retort_model::display::several;
use retort_model::{Reason, Repair, Warning};

use super::manifest::{Finding, Manifest};
use crate::data::{DataFormat, Schema, Type};

/// The card of a package: each split with what its data files match. With a schema, the front matter has the types of the
/// columns, which `datasets` reads from version 4.7 on.
pub fn card(
    manifest: &Manifest,
    splits: &[(&str, &str)],
    format: &dyn DataFormat,
    notes: &str,
    typed_as: Option<&Schema>,
) -> String {
    let mut out = String::from("---\n");
    let yaml = |text: &str| serde_json::to_string(text).unwrap_or_default();
    // Writing to a string does not fail.
    let _ = write!(
        out,
        "pretty_name: {}\nconfigs:\n- config_name: default\n  data_files:\n",
        yaml(&manifest.dataset_name),
    );
    for (split, data_files) in splits {
        let _ = write!(out, "  - split: {split}\n    path: {}\n", yaml(data_files));
    }
    if let Some(schema) = typed_as {
        out.push_str("dataset_info:\n  features:\n");
        for column in schema.columns() {
            feature(column.name, column.kind, 2, &mut out);
        }
    }
    let _ = write!(out, "size_categories:\n- {}\n", size_category(manifest.records.written));
    if format.is_for_training() {
        out.push_str("task_categories:\n- text-generation\n");
    }
    out.push_str("tags:\n");
    for (kind, _) in manifest.counts() {
        let _ = writeln!(out, "- {}", kind.plural());
    }
    let _ = write!(out, "---\n\n# {}\n\n", escaped(&manifest.dataset_name));
    let _ = write!(
        out,
        "Data format `{}`: {}. File format `{}`.\n\n",
        manifest.data_format,
        format.about(),
        manifest.file_format
    );
    let _ = write!(out, "Purpose `{}`", manifest.purpose);
    if let Some(node) = &manifest.node {
        let _ = write!(out, ", node {}", escaped(node));
    }
    out.push_str(".\n\n");
    counts(manifest, &mut out);
    redaction(manifest, &mut out);
    columns(manifest, &mut out);
    if !notes.is_empty() {
        let _ = write!(out, "## Use\n\n{notes}\n");
    }
    out
}

/// A column or field as `datasets` writes its features, so many spaces deep.
fn feature(name: &str, kind: Type, depth: usize, out: &mut String) {
    let name = serde_json::to_string(name).unwrap_or_default();
    let (key, inner) = match kind {
        Type::Struct(fields) => ("struct", Err(fields)),
        Type::List(Type::Struct(fields)) => ("list", Err(*fields)),
        Type::List(item) => ("list", Ok(dtype(*item))),
        Type::Vector32 | Type::Vector64 => ("list", Ok(dtype(kind))),
        other => ("dtype", Ok(dtype(other))),
    };
    let _ = write!(out, "{:depth$}- name: {name}\n{:depth$}  {key}:", "", "");
    match inner {
        Ok(dtype) => {
            let _ = writeln!(out, " {dtype}");
        }
        Err(fields) => {
            out.push('\n');
            fields.iter().for_each(|field| feature(field.name, field.kind, depth + 2, out));
        }
    }
}

fn dtype(kind: Type) -> &'static str {
    match kind {
        Type::Text | Type::Word => "string",
        Type::Int => "int64",
        Type::Bool => "bool",
        Type::Vector32 => "float32",
        Type::Vector64 => "float64",
        Type::Json | Type::Object | Type::List(_) | Type::Struct(_) => "json",
    }
}

/// Text that markdown shows as it is.
pub(super) fn escaped(text: &str) -> String {
    let mut out = String::new();
    for character in text.chars() {
        if matches!(character, '_' | '*' | '`' | '<' | '>' | '[' | ']' | '\\' | '#') {
            out.push('\\');
        }
        out.push(character);
    }
    out
}

fn size_category(records: u64) -> &'static str {
    match records {
        0..1_000 => "n<1K",
        1_000..10_000 => "1K<n<10K",
        10_000..100_000 => "10K<n<100K",
        100_000..1_000_000 => "100K<n<1M",
        1_000_000..10_000_000 => "1M<n<10M",
        _ => "10M<n<100M",
    }
}

fn counts(manifest: &Manifest, out: &mut String) {
    out.push_str("## Account\n\n| | count |\n|---|---:|\n");
    let mut nouns = Vec::new();
    for (kind, counts) in manifest.counts() {
        let what = kind.plural();
        let _ = write!(
            out,
            "| {what} selected | {} |\n| {what} written | {} |\n| {what} left out | {} |\n",
            counts.selected, counts.written, counts.left_out
        );
        nouns.push(what);
    }
    let _ = write!(
        out,
        "| records written | {} |\n| records repaired | {} |\n\n",
        manifest.records.written, manifest.records.repaired
    );
    outputs(manifest, out);
    for (_, counts) in manifest.counts() {
        list("Left out", &counts.left_out_by_reason, out);
    }
    let of_written = format!("Records left out of {} that were written", nouns.join(" and "));
    let lists: [(&str, &[Finding]); 4] = [
        (&of_written, &manifest.records.left_out_by_reason),
        ("Repaired", &manifest.records.repaired_by_kind),
        ("Written, but trainers would reject them", &manifest.records.would_be_refused),
        ("Notes", &manifest.records.warnings),
    ];
    for (title, findings) in lists {
        list(title, findings, out);
    }
    out.push_str("`manifest.json` is the receipt, with checksums; `rejects.jsonl`, if present, names what was left out \
                  and why; `findings.jsonl`, if present, lists each repair and warning.\n\n");
}

fn outputs(manifest: &Manifest, out: &mut String) {
    let Some(split) = &manifest.split else { return };
    out.push_str("| split | share | records | items |\n|---|---:|---:|---:|\n");
    for one in &split.outputs {
        let _ = writeln!(
            out,
            "| `{}` | {} | {} | {} |",
            one.name, one.share, one.records, one.items.written
        );
    }
    let what = match split.group_by.as_str() {
        "user" => "Everything of one user is in one split",
        "family" => "Conversations that begin with the same question are in one split",
        _ => "All of one conversation is in one split",
    };
    let _ = write!(out, "\n{what}; the receipt says how that was tested.\n\n");
}

fn redaction(manifest: &Manifest, out: &mut String) {
    let Some(redaction) = &manifest.redaction else { return };
    let built_in = redaction.rules.split(',').filter(|rules| !rules.is_empty());
    let rules: Vec<String> = built_in
        .chain(redaction.own_rules.iter().map(String::as_str))
        .map(|rule| format!("`{rule}`"))
        .collect();
    let _ = write!(
        out,
        "## Redaction\n\nSearched with the rules {} (action `{}`). Names and addresses of people are not searched for.\n\n",
        rules.join(", "),
        redaction.action
    );
    for found in &redaction.found {
        let _ =
            writeln!(out, "- `{}`: {} in {}", found.rule, found.hits, several(found.items, "item"));
    }
    if redaction.found.is_empty() {
        out.push_str("Nothing was found.\n");
    }
    out.push('\n');
}

/// What a kind of finding means.
fn words_of(kind: &str) -> Option<&'static str> {
    let reason = kind.parse().map(Reason::words);
    let repair = || kind.parse().map(Repair::words);
    reason.or_else(|_| repair()).or_else(|_| kind.parse().map(Warning::words)).ok()
}

fn list(title: &str, findings: &[Finding], out: &mut String) {
    if findings.is_empty() {
        return;
    }
    let _ = write!(out, "{title}:\n\n");
    for finding in findings {
        let words = words_of(&finding.kind).map(|words| format!(", {words}")).unwrap_or_default();
        let _ = writeln!(out, "- `{}`: {}{words}", finding.kind, finding.count);
    }
    out.push('\n');
}

fn columns(manifest: &Manifest, out: &mut String) {
    if manifest.schema.is_empty() {
        return;
    }
    out.push_str("## Columns\n\n| column | type |\n|---|---|\n");
    for column in &manifest.schema {
        let _ = writeln!(
            out,
            "| `{}` | `{}`{} |",
            column.name,
            column.kind,
            if column.optional { ", may be absent" } else { "" }
        );
    }
    out.push('\n');
}
