//! `SOURCES.md`: which models wrote the answers, the sources with their licences, and the dataset's part of a provider's
//! public summary of training content (Regulation (EU) 2024/1689, Article 53(1)(d)). What nobody said is not invented.

use std::fmt::Write;

use retort_model::display::several;

use super::card::escaped;
use super::croissant::processing;
use super::manifest::{InputCount, Manifest};
use super::notes::{PaperNotes, SourceCategory, SourceNote};

const UNSTATED: &str = "not stated";

/// The text of the file.
pub fn sources(manifest: &Manifest, inputs: &[InputCount], notes: &PaperNotes) -> String {
    // Writing to a string does not fail.
    let mut out = format!("# Sources of {}\n\n", escaped(&manifest.dataset_name));
    models(manifest, &mut out);
    inputs_of(inputs, notes, &mut out);
    summary(manifest, inputs, notes, &mut out);
    out
}

fn stated(text: Option<&String>) -> String {
    text.map_or_else(|| UNSTATED.to_owned(), |text| cell(text))
}

/// Text in a table.
fn cell(text: &str) -> String {
    escaped(text).replace('|', "\\|").split_whitespace().collect::<Vec<_>>().join(" ")
}

fn models(manifest: &Manifest, out: &mut String) {
    let Some(origins) = &manifest.origins else { return };
    out.push_str(
        "## Who wrote the answers\n\nMessages of assistants in what was written, by the model that the history names.\n\n| model | messages |\n|---|---:|\n",
    );
    for one in &origins.models {
        let name = if one.model.is_empty() { "(no model named)".into() } else { cell(&one.model) };
        let _ = writeln!(out, "| {name} | {} |", one.messages);
    }
    out.push('\n');
}

fn inputs_of(inputs: &[InputCount], notes: &PaperNotes, out: &mut String) {
    out.push_str("## Inputs\n\n| input | format | items | source | licence | collected |\n|---|---|---:|---|---|---|\n");
    for input in inputs {
        let source = notes.source_of(&input.name);
        let of = |field: fn(&SourceNote) -> &Option<String>| {
            stated(source.and_then(|one| field(one).as_ref()))
        };
        let _ = writeln!(
            out,
            "| {} | {} | {} | {} | {} | {} |",
            cell(&input.name),
            input.format.as_deref().unwrap_or("none recognised"),
            input.items,
            of(|one| &one.name),
            of(|one| &one.license),
            of(|one| &one.collected),
        );
    }
    out.push('\n');
    for source in &notes.source {
        let Some(note) = &source.note else { continue };
        let _ = writeln!(out, "- {}: {}", stated(source.name.as_ref()), cell(note));
    }
    if notes.source.iter().any(|source| source.note.is_some()) {
        out.push('\n');
    }
}

fn summary(manifest: &Manifest, inputs: &[InputCount], notes: &PaperNotes, out: &mut String) {
    out.push_str(
        "## Part of the public summary of training content\n\nFor the template that the European Commission published for Article 53(1)(d) of Regulation (EU) 2024/1689. A provider \
         adds up the parts of all datasets.\n\n### 1 General information\n\n",
    );
    let _ = writeln!(out, "- Modality: text");
    let _ = writeln!(out, "- Records: {}", manifest.records.written);
    if let Some(origins) = &manifest.origins {
        let _ =
            writeln!(out, "- Size: {} characters of text before it was shaped", origins.characters);
        let languages: Vec<_> = origins
            .languages
            .iter()
            .map(|one| format!("{} ({})", one.language, one.items))
            .collect();
        let languages =
            if languages.is_empty() { "not certain".to_owned() } else { languages.join(", ") };
        let _ = writeln!(out, "- Languages, by conversations where they are certain: {languages}");
        let between = match (&origins.first, &origins.last) {
            (Some(first), Some(last)) => format!("{first} to {last}"),
            _ => "no dates in the items".to_owned(),
        };
        let _ = writeln!(out, "- Earliest and latest item: {between}");
    }
    let _ = writeln!(out, "- Contact: {}", stated(notes.contact.as_ref()));
    out.push_str("\n### 2 List of data sources\n");
    for category in SourceCategory::ALL {
        let _ = write!(out, "\n#### {}\n\n", category.heading());
        let of: Vec<&SourceNote> =
            notes.source.iter().filter(|source| source.category == category).collect();
        for source in &of {
            let items: u64 = inputs
                .iter()
                .filter(|input| notes.source_of(&input.name) == Some(source))
                .map(|input| input.items)
                .sum();
            let _ = writeln!(
                out,
                "- {}: {} read; licence or ground: {}; collected: {}; page: {}",
                stated(source.name.as_ref()),
                several(items, "item"),
                stated(source.license.as_ref()),
                stated(source.collected.as_ref()),
                stated(source.url.as_ref())
            );
        }
        let mut is_empty = of.is_empty();
        if category == SourceCategory::Synthetic
            && let Some(origins) = &manifest.origins
        {
            let named = origins.models.iter().filter(|one| !one.model.is_empty());
            let named: Vec<_> = named.map(|one| cell(&one.model)).collect();
            let unnamed = origins.models.iter().filter(|one| one.model.is_empty());
            let unnamed: u64 = unnamed.map(|one| one.messages).sum();
            if !named.is_empty() {
                let _ = writeln!(out, "- Answers written by the models {}", named.join(", "));
                is_empty = false;
            }
            if unnamed > 0 {
                let _ =
                    writeln!(out, "- {unnamed} answers of models that the history does not name");
                is_empty = false;
            }
        }
        let unknown = inputs.iter().filter(|input| notes.source_of(&input.name).is_none());
        let unknown: Vec<_> = unknown.map(|input| cell(&input.name)).collect();
        if category == SourceCategory::Other && !unknown.is_empty() {
            let _ = writeln!(out, "- Source not stated: {}", unknown.join(", "));
            is_empty = false;
        }
        if is_empty {
            out.push_str("None stated.\n");
        }
    }
    out.push_str("\n### 3 Data processing\n\n");
    let _ = writeln!(
        out,
        "- Reservations of rights (text and data mining): {}",
        stated(notes.rights_reservations.as_ref())
    );
    let _ = writeln!(out, "- Unlawful content: {}", stated(notes.unlawful_content.as_ref()));
    for done in processing(manifest) {
        let _ = writeln!(out, "- {done}");
    }
}
