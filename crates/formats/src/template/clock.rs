//! Python's `strftime`, for templates that print the date.

use std::fmt::Write as _;

use retort_model::Time;
use time::OffsetDateTime;

/// `now` in the form that `format` asks for. Directives that Python does not know stay as they are.
pub(super) fn strftime(now: Time, format: &str) -> String {
    let now = OffsetDateTime::from(now);
    let mut out = String::new();
    let mut chars = format.chars();
    while let Some(char) = chars.next() {
        if char != '%' {
            out.push(char);
            continue;
        }
        match chars.next() {
            Some('-') => match chars.next() {
                Some(directive) => unpadded(now, directive, &mut out),
                None => out.push_str("%-"),
            },
            Some(directive) => push(now, directive, &mut out),
            None => out.push('%'),
        }
    }
    out
}

/// As glibc has it: `%-d` is `%d` without zeros or spaces in front.
fn unpadded(now: OffsetDateTime, directive: char, out: &mut String) {
    let mut padded = String::new();
    push(now, directive, &mut padded);
    let trimmed = padded.trim_start_matches(['0', ' ']);
    out.push_str(if trimmed.is_empty() { "0" } else { trimmed });
}

fn push(now: OffsetDateTime, directive: char, out: &mut String) {
    let weekday = now.weekday().to_string();
    let month = now.month().to_string();
    let short = |name: &str| name.get(..3).unwrap_or_default().to_owned();
    let half = if now.hour() < 12 { "AM" } else { "PM" };
    let hour = (now.hour() + 11) % 12 + 1;
    let combined = |format: &str| strftime(Time::from(now), format);
    // A `String` takes whatever is written.
    let _ = match directive {
        'a' => write!(out, "{}", short(&weekday)),
        'A' => write!(out, "{weekday}"),
        'b' | 'h' => write!(out, "{}", short(&month)),
        'B' => write!(out, "{month}"),
        'c' => write!(out, "{}", combined("%a %b %e %H:%M:%S %Y")),
        'C' => write!(out, "{:02}", now.year() / 100),
        'd' => write!(out, "{:02}", now.day()),
        'D' | 'x' => write!(out, "{}", combined("%m/%d/%y")),
        'e' => write!(out, "{:2}", now.day()),
        'f' => write!(out, "{:06}", now.microsecond()),
        'F' => write!(out, "{}", combined("%Y-%m-%d")),
        'G' => write!(out, "{}", now.to_iso_week_date().0),
        'H' => write!(out, "{:02}", now.hour()),
        'I' => write!(out, "{hour:02}"),
        'j' => write!(out, "{:03}", now.ordinal()),
        'k' => write!(out, "{:2}", now.hour()),
        'l' => write!(out, "{hour:2}"),
        'm' => write!(out, "{:02}", u8::from(now.month())),
        'M' => write!(out, "{:02}", now.minute()),
        'n' => writeln!(out),
        'p' => write!(out, "{half}"),
        'P' => write!(out, "{}", half.to_lowercase()),
        'r' => write!(out, "{}", combined("%I:%M:%S %p")),
        'R' => write!(out, "{}", combined("%H:%M")),
        's' => write!(out, "{}", now.unix_timestamp()),
        'S' => write!(out, "{:02}", now.second()),
        't' => write!(out, "\t"),
        'T' | 'X' => write!(out, "{}", combined("%H:%M:%S")),
        'u' => write!(out, "{}", now.weekday().number_from_monday()),
        'U' => write!(out, "{:02}", now.sunday_based_week()),
        'V' => write!(out, "{:02}", now.iso_week()),
        'w' => write!(out, "{}", now.weekday().number_days_from_sunday()),
        'W' => write!(out, "{:02}", now.monday_based_week()),
        'y' => write!(out, "{:02}", now.year() % 100),
        'Y' => write!(out, "{}", now.year()),
        // The clock of `transformers` is a local time without a zone.
        'z' | 'Z' => Ok(()),
        '%' => write!(out, "%"),
        other => write!(out, "%{other}"),
    };
}

#[cfg(test)]
mod tests {
    use retort_model::Time;

    use super::strftime;

    #[test]
    fn a_date_prints_as_python_prints_it() {
        let now = Time::parse("2026-01-02T03:04:05.000678").unwrap();
        for (format, text) in [
            ("%d %b %Y", "02 Jan 2026"),
            ("%Y-%m-%d", "2026-01-02"),
            ("%A, %B %-d", "Friday, January 2"),
            ("%I:%M %p %f", "03:04 AM 000678"),
            ("%j %U %W %V %G %u %w %a", "002 00 00 01 2026 5 5 Fri"),
            ("%c|%x|%X|%e|%y", "Fri Jan  2 03:04:05 2026|01/02/26|03:04:05| 2|26"),
            ("100%% %Z.%", "100% .%"),
        ] {
            assert_eq!(strftime(now, format), text, "{format}");
        }
    }
}
