//! The keys of the pages; the script with them is `assets/keys.js`.

use askama::Template;
use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;

use super::frame::{Frame, Visit};
use super::response::show;
use crate::app::App;

const KEYS: [(&str, &str); 13] = [
    ("j", "Next row of a list; next conversation, run or document"),
    ("k", "Previous row of a list; previous conversation, run or document"),
    ("Enter", "Open the row"),
    ("x", "Select or deselect the row, conversation or run"),
    ("f", "Add the conversation to favorites, or remove it"),
    ("g", "Rate the last answer as good; in a queue, go on to the next one"),
    ("b", "Rate it as bad; in a queue, go on to the next one"),
    ("n", "Don't train on the last answer"),
    ("z", "In a queue, back to what was judged just before"),
    ("e", "Comment on the last answer, or correct it"),
    ("u", "Back to the list"),
    ("/", "Search"),
    ("?", "Show these shortcuts"),
];

pub(super) fn routes() -> Router<App> {
    Router::new().route("/keys", get(keys))
}

#[derive(Template)]
#[template(path = "keys.html")]
struct Keys {
    frame: Frame,
    keys: &'static [(&'static str, &'static str)],
}

async fn keys(visit: Visit) -> Response {
    show(StatusCode::OK, &Keys { frame: visit.frame(""), keys: &KEYS })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_docs_have_the_same_keys() {
        let docs = include_str!("../../../../docs/pages.md");
        let documented = docs.lines().filter(|line| line.starts_with("| `"));
        let expected = KEYS.map(|(key, words)| format!("| `{key}` | {words} |"));
        assert!(documented.eq(&expected), "docs/pages.md differs from {expected:#?}");
    }
}
