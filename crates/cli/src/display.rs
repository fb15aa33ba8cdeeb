//! Numbers and tables as people read them.

use comfy_table::{ContentArrangement, Table, presets};
use retort_json::Value;
use retort_model::Time;

/// `1234567` as `1,234,567`.
pub fn count(number: u64) -> String {
    let digits = number.to_string();
    let mut out = String::new();
    for (index, digit) in digits.chars().enumerate() {
        if index > 0 && (digits.len() - index).is_multiple_of(3) {
            out.push(',');
        }
        out.push(digit);
    }
    out
}

/// `1` as `1 conversation`, `2` as `2 conversations`.
pub fn several(number: u64, noun: &str) -> String {
    format!("{} {noun}{}", count(number), if number == 1 { "" } else { "s" })
}

/// Bytes in decimal units, as disks are sold.
pub fn bytes(number: u64) -> String {
    const UNITS: [(u64, &str); 4] =
        [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    for (size, unit) in UNITS {
        if number >= size {
            let tenths = number / (size / 10);
            return format!("{}.{} {unit}", tenths / 10, tenths % 10);
        }
    }
    several(number, "byte")
}

/// A moment to the minute, in UTC.
pub fn moment(time: Time) -> String {
    let whole = Time::from_unix_micros(time.unix_micros()).unwrap_or(time).to_string();
    whole.get(..16).unwrap_or(&whole).replace('T', " ")
}

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
    fn numbers_are_grouped_and_units_fit() {
        assert_eq!(count(7), "7");
        assert_eq!(count(1_234_567), "1,234,567");
        assert_eq!(several(1, "record"), "1 record");
        assert_eq!(bytes(999), "999 bytes");
        assert_eq!(bytes(1_250_000), "1.2 MB");
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
