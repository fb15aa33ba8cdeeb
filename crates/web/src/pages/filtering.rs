//! Filters as a page's form and address hold them.

use retort_model::{ConversationFilter, DateRange, Kind, Status, Time, check_search};
use serde::Deserialize;

use crate::problem::Problem;

/// What stands in the fields of a filter.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Filtering {
    /// A text in title or tags.
    pub(super) search: String,
    /// The first day.
    pub(super) from: String,
    /// The last day, which belongs to it.
    pub(super) to: String,
    /// A type; empty means all.
    #[serde(rename = "type")]
    pub(super) kind: String,
    /// A status; empty means all but the deleted.
    pub(super) status: String,
}

/// A choice of a field: its value, its words, and whether it is chosen.
pub(super) type Choices = Vec<(&'static str, &'static str, bool)>;

/// The range from the first day to the last, which belongs to it whole. Days are those of UTC.
///
/// # Errors
/// One of them is none.
pub(super) fn days(from: &str, to: &str) -> Result<DateRange, Problem> {
    let day = |text: &str| match text.trim() {
        "" => Ok(None),
        text => Time::parse(text)
            .map(Some)
            .map_err(|error| Problem::bad_request(format!("`{text}`: {error}"))),
    };
    let before = match day(to)? {
        Some(last) if to.trim().len() <= 10 => {
            let end = last.unix_micros().saturating_add(24 * 60 * 60 * 1_000_000);
            Some(Time::from_unix_micros(end).unwrap_or(last))
        }
        last => last,
    };
    let from = day(from)?;
    if from.zip(before).is_some_and(|(from, before)| from >= before) {
        return Err(Problem::bad_request("“From” is later than “To”."));
    }
    Ok(DateRange { from, before })
}

/// The search texts of a form field: its content, unless it is empty.
///
/// # Errors
/// It is too long.
pub(super) fn sought(field: &str) -> Result<Vec<String>, Problem> {
    let texts: Vec<String> =
        Some(field.trim().to_owned()).filter(|text| !text.is_empty()).into_iter().collect();
    check_search(&texts).map_err(Problem::bad_request)?;
    Ok(texts)
}

impl Filtering {
    /// The filter.
    ///
    /// # Errors
    /// A field holds what it cannot hold.
    pub(super) fn selection(&self) -> Result<ConversationFilter, Problem> {
        let kinds = match self.kind.as_str() {
            "" => Vec::new(),
            kind => vec![kind.parse::<Kind>().map_err(Problem::bad_request)?],
        };
        let statuses = match self.status.as_str() {
            "" => Vec::new(),
            "all" => Status::ALL.to_vec(),
            status => vec![status.parse::<Status>().map_err(Problem::bad_request)?],
        };
        Ok(ConversationFilter {
            search: sought(&self.search)?,
            created: days(&self.from, &self.to)?,
            kinds,
            statuses,
            ..ConversationFilter::default()
        })
    }

    /// The filter as a query, without `?`; empty if it matches all.
    pub(super) fn query(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        for (name, value) in [
            ("search", &self.search),
            ("from", &self.from),
            ("to", &self.to),
            ("type", &self.kind),
            ("status", &self.status),
        ] {
            if !value.trim().is_empty() {
                query.append_pair(name, value);
            }
        }
        query.finish()
    }

    /// Whether it leaves anything out.
    pub(super) fn is_set(&self) -> bool {
        !self.query().is_empty()
    }

    pub(super) fn kinds(&self) -> Choices {
        [("", "All"), ("chat", "Chat"), ("agent", "Agent"), ("graph", "Graph")]
            .map(|(value, words)| (value, words, value == self.kind))
            .to_vec()
    }

    pub(super) fn statuses(&self) -> Choices {
        [
            ("", "Active and favorite"),
            ("active", "Active"),
            ("favorite", "Favorite"),
            ("deleted", "Deleted"),
            ("all", "All, including deleted"),
        ]
        .map(|(value, words)| (value, words, value == self.status))
        .to_vec()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_day_belongs_to_the_range() {
        let filtering = Filtering {
            from: "2024-03-01".into(),
            to: "2024-03-02".into(),
            ..Filtering::default()
        };
        let range = filtering.selection().unwrap().created;
        for (moment, is_in) in [
            ("2024-02-29T23:59:59Z", false),
            ("2024-03-01T00:00:00Z", true),
            ("2024-03-02T23:59:59Z", true),
            ("2024-03-03T00:00:00Z", false),
        ] {
            assert_eq!(range.contains(Time::parse(moment).ok()), is_in, "{moment}");
        }
        assert_eq!(filtering.query(), "from=2024-03-01&to=2024-03-02");
        assert!(Filtering { kind: "poem".into(), ..Filtering::default() }.selection().is_err());
    }
}
