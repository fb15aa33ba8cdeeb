//! Tables and texts as people read them in a terminal.

use comfy_table::{ContentArrangement, Table, presets};
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

/// Text of many lines as it may stand in a terminal, whole: each line behind `indent`, control characters shown.
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
        text("conversation_id").or(text("convo_id")).or(text("id")),
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
