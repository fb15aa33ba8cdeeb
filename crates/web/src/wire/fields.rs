//! Single fields of the shapes, read and written.

use retort_model::Time;

use crate::problem::Problem;

/// A moment as RFC 3339 writes it, in UTC.
pub(super) fn moment(time: Option<Time>) -> Option<String> {
    time.map(|time| time.to_string())
}

/// Reads a date or a moment.
pub(super) fn time(text: Option<&str>) -> Result<Option<Time>, Problem> {
    let read = |text: &str| {
        Time::parse(text).map_err(|error| Problem::bad_request(format!("`{text}`: {error}")))
    };
    text.map(read).transpose()
}

/// Reads a word of a closed set.
pub(super) fn word<T: std::str::FromStr<Err = String>>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(Problem::bad_request)
}
