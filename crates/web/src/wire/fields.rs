//! Single fields of the shapes, read and written.

use retort_model::bounds::IDS_PER_REQUEST;
use retort_model::{DateRange, Time, check_search};

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

/// Reads two dates or moments.
pub(super) fn range(from: Option<&str>, before: Option<&str>) -> Result<DateRange, Problem> {
    Ok(DateRange { from: time(from)?, before: time(before)? })
}

/// Refuses more ids than one request may name, and a search for nothing.
pub(super) fn bounded(ids: &[String], search: &[String]) -> Result<(), Problem> {
    if ids.len() > IDS_PER_REQUEST {
        return Err(Problem::bad_request(format!(
            "at most {IDS_PER_REQUEST} ids; use a filter to select more"
        )));
    }
    check_search(search).map_err(Problem::bad_request)
}

/// Reads a word of a closed set.
pub(super) fn word<T: std::str::FromStr<Err = String>>(text: &str) -> Result<T, Problem> {
    text.parse().map_err(Problem::bad_request)
}
