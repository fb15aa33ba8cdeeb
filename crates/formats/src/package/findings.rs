//! `findings.jsonl`: a line for each repair, each warning and each redaction that the receipt counts.

use std::borrow::Cow;
use std::io::{self, BufRead};

use retort_json::write_string;
use retort_model::display::several;
use retort_model::{ItemKind, named};
use serde::Deserialize;

use super::manifest::{Finding, Manifest};
use super::rejects::{write_id, write_place};

/// A line on a repair, a warning or a redaction.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct FindingLine {
    /// The item's kind.
    pub item: ItemKind,
    /// The item's id.
    pub id: String,
    /// The part of the item that it concerns, if not the whole.
    pub part: Option<String>,
    /// The list of the receipt that counts it.
    pub list: List,
    /// Its name there.
    pub kind: Cow<'static, str>,
    /// The message that it concerns, from 0 in the order of the source, if it concerns one.
    pub message: Option<usize>,
    /// What was found, in words.
    pub detail: Option<String>,
    /// How often, in the one record.
    pub count: u64,
    /// The input.
    pub input: String,
    /// Line in the input, from 1.
    pub line: u64,
    /// Place among the input's items, from 1.
    pub index: u64,
    /// Byte in the input.
    pub byte: u64,
}

/// A list of findings in the receipt.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum List {
    /// Repairs that were made.
    #[default]
    Repaired,
    /// With the check off: what a trainer would refuse.
    WouldBeRefused,
    /// Notes.
    Warning,
    /// What was redacted, by rules.
    Redacted,
}

named!(
    List,
    "list of findings",
    Repaired = "repaired",
    WouldBeRefused = "would-be-refused",
    Warning = "warning",
    Redacted = "redacted"
);

impl List {
    /// What the receipt counts, by kind.
    fn of(self, manifest: &Manifest) -> Vec<(&str, u64)> {
        let records = &manifest.records;
        let findings = match self {
            Self::Repaired => &records.repaired_by_kind,
            Self::WouldBeRefused => &records.would_be_refused,
            Self::Warning => &records.warnings,
            Self::Redacted => {
                let found = manifest.redaction.iter().flat_map(|redaction| &redaction.found);
                return found.map(|one| (&*one.rule, one.hits)).collect();
            }
        };
        findings.iter().map(|Finding { kind, count, .. }| (&**kind, *count)).collect()
    }
}

/// Appends the line of a finding.
pub fn write_finding(one: &FindingLine, out: &mut Vec<u8>) {
    write_id(one.item, Some(&one.id), out);
    let texts = [
        ("part", one.part.as_deref()),
        ("finding", Some(one.list.as_str())),
        ("kind", Some(&*one.kind)),
        ("detail", one.detail.as_deref()),
    ];
    for (key, text) in texts {
        let Some(text) = text else { continue };
        out.push(b',');
        write_string(key, out);
        out.push(b':');
        write_string(text, out);
    }
    if let Some(message) = one.message {
        out.extend_from_slice(format!(",\"message\":{message}").as_bytes());
    }
    if one.count > 1 {
        out.extend_from_slice(format!(",\"count\":{}", one.count).as_bytes());
    }
    write_place(&one.input, (one.line, one.index, one.byte), out);
}

/// Where the lines differ from the receipt, in words.
///
/// # Errors
/// The file cannot be read.
pub fn findings_differ(lines: impl BufRead, manifest: &Manifest) -> io::Result<Vec<String>> {
    #[derive(Deserialize)]
    struct Line {
        finding: List,
        kind: String,
        #[serde(default = "once")]
        count: u64,
    }
    fn once() -> u64 {
        1
    }
    // With how many lines there are for each.
    let counted =
        |list: List| list.of(manifest).into_iter().map(move |counted| (list, counted, 0u64));
    let mut counts: Vec<_> = List::ALL.iter().copied().flat_map(counted).collect();
    let mut strays = 0u64;
    for line in lines.lines() {
        let line = line?;
        let known = serde_json::from_str::<Line>(&line).ok().and_then(|line| {
            let is_same = |list, kind: &str| line.finding == list && line.kind == kind;
            let known = counts.iter_mut().find(|(list, one, _)| is_same(*list, one.0))?;
            Some((&mut known.2, line.count))
        });
        match known {
            Some((listed, count)) => *listed = listed.saturating_add(count),
            None => strays += 1,
        }
    }
    // Earlier releases did not list redactions.
    let lists = |list: List| counts.iter().any(|(one, _, listed)| *one == list && *listed > 0);
    let has_redacted = lists(List::Redacted);
    let mut differences: Vec<_> = counts
        .iter()
        .filter(|(list, _, _)| *list != List::Redacted || has_redacted)
        .filter(|(_, (_, count), listed)| count != listed)
        .map(|(list, (kind, count), listed)| {
            format!("{listed} {} `{kind}`, the receipt counts {count}", list.as_str())
        })
        .collect();
    if strays > 0 {
        differences.push(format!(
            "{} with findings that the receipt does not count",
            several(strays, "line")
        ));
    }
    Ok(differences)
}

#[cfg(test)]
mod tests {
    use super::super::manifest::{RedactedCount, RedactionCounts};
    use super::*;

    fn line(list: List, kind: &'static str, count: u64) -> String {
        let kind = kind.into();
        let line = FindingLine { id: "c".into(), list, kind, count, ..FindingLine::default() };
        let mut out = Vec::new();
        write_finding(&line, &mut out);
        String::from_utf8(out).unwrap()
    }

    #[test]
    fn lines_are_held_against_the_counts_of_the_receipt() {
        let finding =
            |kind: &str, count| Finding { kind: kind.into(), count, ..Finding::default() };
        let mut manifest = Manifest::default();
        manifest.records.repaired_by_kind = vec![finding("cut-end", 2)];
        manifest.records.warnings = vec![finding("guarded-cell", 3)];
        let cut = line(List::Repaired, "cut-end", 1);
        let cells = line(List::Warning, "guarded-cell", 3);
        let differ = |text: String| findings_differ(text.as_bytes(), &manifest).unwrap();
        assert_eq!(differ(format!("{cut}{cells}{cut}")), Vec::<String>::new());
        assert_eq!(differ(format!("{cut}{cells}")), ["1 repaired `cut-end`, the receipt counts 2"]);
        let other = line(List::Warning, "cut-end", 1);
        assert_eq!(
            differ(format!("{cut}{cut}{cells}{other}no JSON\n")),
            ["2 lines with findings that the receipt does not count"]
        );
        let email = RedactedCount { rule: "email".into(), hits: 3, items: 2 };
        let found = vec![email];
        manifest.redaction = Some(RedactionCounts { found, ..RedactionCounts::default() });
        let differ = |more: &str| {
            let text = format!("{cut}{cells}{cut}{more}");
            findings_differ(text.as_bytes(), &manifest).unwrap()
        };
        assert_eq!(differ(""), Vec::<String>::new(), "an earlier release wrote it");
        let one = line(List::Redacted, "email", 1);
        assert_eq!(differ(&one), ["1 redacted `email`, the receipt counts 3"]);
        let two = line(List::Redacted, "email", 2);
        assert_eq!(differ(&format!("{one}{two}")), Vec::<String>::new());
    }
}
