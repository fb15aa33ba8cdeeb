//! The query of a request.

use std::collections::BTreeSet;

use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;
use retort_service::Caller;
use serde::de::DeserializeOwned;
use url::form_urlencoded::{Serializer, parse};

use crate::app::App;
use crate::problem::Problem;

/// A query without `project`, which names the project of the request. Unknown fields are refused: a filter that is ignored
/// would return more than was asked for.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<App> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        check_count(&parts.uri)?;
        let [whole] = split(parts, |_| 0);
        read(&whole).map(Self)
    }
}

/// Maximum number of values in a query: an SQL statement does not take several thousand.
const VALUES: usize = 200;

/// Refuses a query with too many values.
///
/// # Errors
/// It has more than `VALUES`.
pub fn check_count(uri: &Uri) -> Result<(), Problem> {
    let count = parse(uri.query().unwrap_or_default().as_bytes()).count();
    if count > VALUES {
        return Err(Problem::bad_request(format!(
            "in the query: {count} values, but at most {VALUES} are allowed"
        )));
    }
    Ok(())
}

/// The query without `project`, in parts: `part` says to which one a key belongs.
pub fn split<const N: usize>(parts: &Parts, part: impl Fn(&str) -> usize) -> [String; N] {
    let mut found = std::array::from_fn(|_| Serializer::new(String::new()));
    let pairs = parse(parts.uri.query().unwrap_or_default().as_bytes());
    for (key, value) in pairs.filter(|(key, _)| key != "project") {
        found[part(&key)].append_pair(&key, &value);
    }
    found.map(|mut part| part.finish())
}

/// Reads a query.
///
/// # Errors
/// It has an unknown field, or a value that a field does not take.
pub fn read<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    serde_html_form::from_str(query)
        .map_err(|error| Problem::bad_request(format!("in the query: {error}")))
}

/// Refuses to purge what a filter matches, unless the caller holds the store: a program's filter may match more than its
/// author thought.
///
/// # Errors
/// There are no ids, and the caller is a person.
pub fn check_purge(caller: &Caller, ids: &BTreeSet<String>) -> Result<(), Problem> {
    if ids.is_empty() && caller.person().is_some() {
        return Err(Problem::bad_request("purge takes ids only, not a filter"));
    }
    Ok(())
}
