//! Numbers, sizes and moments as people read them.

use retort_model::Time;

/// `1234567` as `1,234,567`.
pub(super) fn count(number: u64) -> String {
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

/// Bytes in decimal units.
pub(super) fn size(bytes: u64) -> String {
    const UNITS: [(u64, &str); 4] =
        [(1_000_000_000_000, "TB"), (1_000_000_000, "GB"), (1_000_000, "MB"), (1_000, "kB")];
    for (unit, name) in UNITS {
        if bytes >= unit {
            let tenths = bytes / (unit / 10);
            return format!("{}.{} {name}", tenths / 10, tenths % 10);
        }
    }
    format!("{bytes} bytes")
}

/// A moment to the minute, in UTC.
pub(super) fn moment(time: Option<Time>) -> String {
    let text = time.map(|time| time.to_string()).unwrap_or_default();
    text.get(..16).unwrap_or(&text).replace('T', " ")
}

/// The day of a moment, in UTC.
pub(super) fn day(time: Option<Time>) -> String {
    let text = moment(time);
    text.get(..10).unwrap_or(&text).to_owned()
}

/// How much of a whole, in percent.
pub(super) fn percent(done: u64, total: u64) -> u64 {
    (done.saturating_mul(100)).checked_div(total).unwrap_or(0).min(100)
}
