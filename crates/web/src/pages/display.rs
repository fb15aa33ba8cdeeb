//! Words, moments and durations as people read them on a page.

pub(super) use retort_model::display::{bytes, count, several};
use retort_model::{Purpose, RunStatus, Time, display};
use retort_service::Counted;

/// A number of conversations, which may be a lower bound.
pub(super) fn at_least(counted: Counted) -> String {
    let number = count(counted.count);
    if counted.is_least { format!("at least {number}") } else { number }
}

/// A word at the beginning of a line.
pub(super) fn capital(word: &str) -> String {
    let mut letters = word.chars();
    letters.next().map_or_else(String::new, |first| first.to_uppercase().chain(letters).collect())
}

/// A text with quotation marks where it has backticks.
pub(super) fn quoted(text: &str) -> String {
    let mut out = String::with_capacity(text.len() + 8);
    for (index, part) in text.split('`').enumerate() {
        if index > 0 {
            out.push(if index % 2 == 1 { '“' } else { '”' });
        }
        out.push_str(part);
    }
    out
}

/// A message of a program as a sentence: with a capital letter, a full stop, and quotation marks where it has
/// backticks.
pub(super) fn sentence(message: &str) -> String {
    let mut out = capital(&quoted(message.trim()));
    if !out.is_empty() && !out.ends_with(['.', '!', '?', '…', ':']) {
        out.push('.');
    }
    out
}

/// A moment to the minute, in UTC; empty if it is not known.
pub(super) fn moment(time: Option<Time>) -> String {
    time.map(display::moment).unwrap_or_default()
}

/// The day of a moment as people write it, in UTC: `20 Nov 2026`.
pub(super) fn date(time: Time) -> String {
    const MONTHS: [&str; 12] =
        ["Jan", "Feb", "Mar", "Apr", "May", "Jun", "Jul", "Aug", "Sep", "Oct", "Nov", "Dec"];
    let day = day(Some(time));
    let mut parts = day.splitn(3, '-');
    let (year, month, number) = (parts.next(), parts.next(), parts.next());
    let month = month.and_then(|month| month.parse::<usize>().ok());
    let month = month.and_then(|month| MONTHS.get(month.checked_sub(1)?));
    match (year, month, number) {
        (Some(year), Some(month), Some(number)) => {
            format!("{} {month} {year}", number.trim_start_matches('0'))
        }
        _ => day,
    }
}

/// The day of a moment, in UTC.
pub(super) fn day(time: Option<Time>) -> String {
    let text = moment(time);
    text.get(..10).unwrap_or(&text).to_owned()
}

/// Milliseconds as people read them: `850 ms`, `1.9 s`, `2 min 5 s`.
pub(super) fn span(ms: u64) -> String {
    match ms {
        0..1_000 => format!("{ms} ms"),
        1_000..60_000 => {
            let tenths = (ms + 50) / 100;
            format!("{}.{} s", tenths / 10, tenths % 10)
        }
        60_000..3_600_000 => format!("{} min {} s", ms / 60_000, ms % 60_000 / 1000),
        _ => format!("{} h {} min", ms / 3_600_000, ms % 3_600_000 / 60_000),
    }
}

/// How a state weighs.
pub(super) fn status_class(status: RunStatus) -> &'static str {
    match status {
        RunStatus::Success => "good",
        RunStatus::Failure => "bad",
        RunStatus::Running => "warn",
        RunStatus::Cancelled => "",
    }
}

/// How long something took; empty if that is not known.
pub(super) fn took(from: Option<Time>, to: Option<Time>) -> String {
    let micros = from.zip(to).and_then(|(from, to)| {
        u64::try_from(to.unix_micros().saturating_sub(from.unix_micros())).ok()
    });
    micros.map(|micros| span(micros / 1000)).unwrap_or_default()
}

/// How much of a whole, in percent.
pub(super) fn percent(done: u64, total: u64) -> u64 {
    (done.saturating_mul(100)).checked_div(total).unwrap_or(0).min(100)
}

/// A purpose as people read it.
pub(super) fn purpose_name(purpose: Purpose) -> &'static str {
    match purpose {
        Purpose::ExportDataset => "Export Dataset",
        Purpose::RecipeEvaluation => "Recipe Evaluation",
        Purpose::NodeEvaluation => "Node Evaluation",
        Purpose::NodeOptimization => "Node Optimization",
        Purpose::FineTuning => "Fine-tuning",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn days_are_written_as_people_write_them() {
        assert_eq!(date(Time::parse("2026-11-02T10:00:00Z").unwrap()), "2 Nov 2026");
    }

    #[test]
    fn messages_become_sentences() {
        assert_eq!(sentence("there is no dataset `a b`"), "There is no dataset “a b”.");
        assert_eq!(sentence("Wrong name or password."), "Wrong name or password.");
        assert_eq!(sentence(""), "");
    }
}
