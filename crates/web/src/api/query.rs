//! What the query of a request says.

use axum::extract::FromRequestParts;
use axum::http::Uri;
use axum::http::request::Parts;
use serde::de::DeserializeOwned;
use url::form_urlencoded::{Serializer, parse};

use crate::app::App;
use crate::problem::Problem;

/// A query but for `project`, which says in which project something is asked. What is not known is refused: a
/// filter that is not heeded would give more than was asked for.
pub struct Params<T>(pub T);

impl<T: DeserializeOwned> FromRequestParts<App> for Params<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        check_count(&parts.uri)?;
        let [whole] = split(parts, |_| 0);
        read(&whole).map(Self)
    }
}

/// Values of a query, at most: several thousand would be more than a statement of SQL takes.
const VALUES: usize = 200;

/// Refuses a query of more values than are taken.
///
/// # Errors
/// It has.
pub fn check_count(uri: &Uri) -> Result<(), Problem> {
    let count = parse(uri.query().unwrap_or_default().as_bytes()).count();
    if count > VALUES {
        return Err(Problem::bad_request(format!(
            "in the query: {count} values, at most {VALUES} are taken"
        )));
    }
    Ok(())
}

/// The query without `project`, in parts: `part` says in which a key belongs.
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
/// It says what is not known, or not as it is to be said.
pub fn read<T: DeserializeOwned>(query: &str) -> Result<T, Problem> {
    serde_html_form::from_str(query)
        .map_err(|error| Problem::bad_request(format!("in the query: {error}")))
}
