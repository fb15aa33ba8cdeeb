//! Tables and texts as people read them in a terminal.

use comfy_table::{Cell, ColumnConstraint, ContentArrangement, Table, presets};
use retort_json::Value;
use retort_model::Time;
pub use retort_model::display::{bytes, count, moment, several};

/// As [`moment`], of one that is written down.
pub fn moment_of(text: Option<&str>) -> String {
    text.and_then(|text| Time::parse(text).ok()).map(moment).unwrap_or_default()
}

/// A table without decoration, as wide as the terminal.
pub fn table(header: &[&str]) -> Table {
    let mut table = Table::new();
    table.load_style(presets::NOTHING).set_content_arrangement(ContentArrangement::Dynamic);
    if !header.is_empty() {
        table.set_header(header.to_vec());
    }
    table
}

/// The columns that a narrow terminal has to do without, the first of them first.
const DISPENSABLE: [&str; 24] = [
    "NODE",
    "FILES",
    "ADDRESS",
    "DIMENSION",
    "REDACTED",
    "PASSWORD",
    "CREATOR",
    "VERSION",
    "TAGS",
    "ROUNDS",
    "KIND",
    "PURPOSE",
    "SIZE",
    "ANSWER",
    "OF",
    "SINCE",
    "SCOPES",
    "TYPE",
    "MODEL",
    "DATA FORMAT",
    "RECORDS",
    "DONE",
    "STATUS",
    "ERROR",
];

/// Narrowest that a column gets before one is left out, in characters.
const NARROWEST: u16 = 16;

/// A table of a list as text: a line for each row, as wide as the terminal. What comes first in a row, an id or a name, is
/// never cut; other texts are, and columns are left out, where there is not enough room. Without a terminal, nothing is.
pub fn fitted(table: Table) -> String {
    let names = table.header().map(|header| header.cell_iter().map(Cell::content).collect());
    let names: Vec<String> = names.unwrap_or_default();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    fitted_rows(table, &names)
}

/// As [`fitted`], for a table whose header was printed before.
pub fn fitted_rows(table: Table, names: &[&str]) -> String {
    let width = table.width();
    fitted_to(table, names, width)
}

fn fitted_to(mut table: Table, names: &[&str], width: Option<u16>) -> String {
    let Some(width) = width else { return table.trim_fmt() };
    table.set_width(width).set_truncation_indicator("…");
    let widths = table.column_max_content_widths();
    let mut needed: Vec<u32> = widths
        .iter()
        .enumerate()
        .map(|(at, width)| 2 + u32::from(if at == 0 { *width } else { (*width).min(NARROWEST) }))
        .collect();
    let mut order: Vec<usize> =
        DISPENSABLE.iter().filter_map(|one| names.iter().position(|name| name == one)).collect();
    order.extend((1..widths.len()).rev().filter(|at| !order.contains(at)).collect::<Vec<_>>());
    for at in order {
        if needed.iter().sum::<u32>() <= u32::from(width) {
            break;
        }
        needed.get_mut(at).into_iter().for_each(|needed| *needed = 0);
        table.column_mut(at).into_iter().for_each(|column| {
            column.set_constraint(ColumnConstraint::Hidden);
        });
    }
    table.column_mut(0).into_iter().for_each(|column| {
        column.set_constraint(ColumnConstraint::ContentWidth);
    });
    table.row_iter_mut().for_each(|row| {
        row.max_height(1);
    });
    table.trim_fmt()
}

/// Text for one line of a table: line breaks and control characters shown, cut at `most` characters.
pub fn one_line(text: &str, most: usize) -> String {
    let mut out = String::new();
    for (index, character) in text.chars().enumerate() {
        if index >= most {
            out.push('…');
            break;
        }
        out.push(match character {
            '\n' => '⏎',
            '\t' => ' ',
            character => shown(character),
        });
    }
    out
}

/// Text of many lines as it may be in a terminal, whole: each line behind `indent`, control characters shown.
pub fn lines(text: &str, indent: &str) -> String {
    let mut out = String::with_capacity(text.len() + indent.len());
    for line in text.lines() {
        if !line.is_empty() {
            out.push_str(indent);
        }
        out.extend(line.chars().map(|character| match character {
            '\t' => '\t',
            character => shown(character),
        }));
        out.push('\n');
    }
    out
}

/// A character that does nothing to a terminal but be seen.
fn shown(character: char) -> char {
    if character.is_control() || is_format(character) { '\u{fffd}' } else { character }
}

/// Characters that change how a terminal shows others.
fn is_format(character: char) -> bool {
    matches!(
        character,
        '\u{61c}' | '\u{200e}' | '\u{200f}' | '\u{2028}'..='\u{202e}' | '\u{2066}'..='\u{2069}'
    )
}

/// What a record is, in a line: its id, where it comes from, and the model.
pub fn title(record: &Value<'_>) -> String {
    let text = |key: &str| record.get(key).and_then(Value::as_str).filter(|text| !text.is_empty());
    let parts = [
        text("conversation_id").or(text("convo_id")).or(text("id")).or(text("request_id")),
        text("data_source"),
        text("model"),
    ];
    let parts: Vec<String> = parts.into_iter().flatten().map(|part| one_line(part, 60)).collect();
    if parts.is_empty() { "record".into() } else { parts.join(" · ") }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_table_fits_its_terminal_and_never_breaks_an_id() {
        let id = "translate_notes_20251103_100210_c07d1e84";
        let header = ["ID", "TITLE", "TYPE", "STATUS", "TAGS", "MODEL", "ROUNDS", "CREATED"];
        let title = "how to translate the notes of a whole week into another language";
        let rows = [
            [id, title, "graph", "active", "Agent graph", "qwen3-32b", "5", "2025-11-03 10:02"],
            ["a", "b", "chat", "active", "", "", "1", "2025-11-03 10:02"],
        ];
        let made = || {
            let mut made = table(&header);
            made.add_rows(rows);
            made
        };
        for width in [60, 80, 100, 140, 200] {
            let text = fitted_to(made(), &header, Some(width));
            assert_eq!(text.lines().count(), 3, "{text}");
            for line in text.lines() {
                assert!(line.chars().count() <= usize::from(width), "{width}: {line}");
            }
            assert!(text.contains(id) && text.contains("how to"), "{text}");
        }
        assert!(fitted_to(made(), &header, Some(80)).contains("CREATED"));
        assert!(fitted_to(made(), &header, None).contains(title));
        // An id that is longer than the terminal is wide stays whole.
        assert!(fitted_to(made(), &header, Some(30)).contains(id));
    }

    #[test]
    fn hostile_text_stays_on_its_line() {
        assert_eq!(one_line("a\nb\u{1b}[31mc\u{202e}", 20), "a⏎b\u{fffd}[31mc\u{fffd}");
        assert_eq!(one_line("abcdef", 3), "abc…");
    }

    #[test]
    fn hostile_lines_stay_behind_their_indent() {
        let text = "a\r\nb\rc\u{1b}[2J\u{9b}1m\u{202e}\td\n";
        assert_eq!(lines(text, "| "), "| a\n| b\u{fffd}c\u{fffd}[2J\u{fffd}1m\u{fffd}\td\n");
    }
}
