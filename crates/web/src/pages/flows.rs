//! Copilots, recipes and traced applications: listed, each with the way to its history.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use retort_model::RunSource;
use retort_service::Flow;

use super::display::{count, moment};
use super::frame::{Frame, Visit};
use super::response::{show, trouble};
use crate::app::App;

pub(super) fn routes() -> Router<App> {
    let copilots = Router::new().route("/copilots", get(list)).layer(Extension(RunSource::Copilot));
    let recipes = Router::new().route("/recipes", get(list)).layer(Extension(RunSource::Recipe));
    let applications =
        Router::new().route("/applications", get(list)).layer(Extension(RunSource::Application));
    copilots.merge(recipes).merge(applications)
}

/// The words of one of them.
pub(super) struct Words {
    /// Where they are listed, and the screen in the navigation.
    pub(super) place: &'static str,
    /// One of them, with a capital letter.
    pub(super) one: &'static str,
    /// Several.
    pub(super) several: &'static str,
    /// The way to its history.
    pub(super) history: &'static str,
}

pub(super) fn words(source: RunSource) -> Words {
    match source {
        RunSource::Copilot => Words {
            place: "copilots",
            one: "Copilot",
            several: "Copilots",
            history: "View history",
        },
        RunSource::Recipe => Words {
            place: "recipes",
            one: "Recipe",
            several: "Recipes",
            history: "Webhook history",
        },
        RunSource::Application => Words {
            place: "applications",
            one: "Application",
            several: "Applications",
            history: "View traces",
        },
    }
}

/// Where the history of one is.
pub(super) fn path(source: RunSource, id: &str) -> String {
    format!("/{}/{}", words(source).place, utf8_percent_encode(id, NON_ALPHANUMERIC))
}

struct Row {
    name: String,
    id: String,
    path: String,
    runs: String,
    failed: String,
    last: String,
}

impl Row {
    fn of(flow: &Flow) -> Self {
        let name = flow.name.clone().filter(|name| !name.trim().is_empty());
        Self {
            name: name.unwrap_or_else(|| shown_id(&flow.id)),
            id: flow.id.clone(),
            path: path(flow.source, &flow.id),
            runs: count(flow.runs),
            failed: count(flow.failures),
            last: moment(flow.last_started_at),
        }
    }
}

/// An id as a name; runs may say of no copilot or recipe.
pub(super) fn shown_id(id: &str) -> String {
    if id.trim().is_empty() { "without an id".into() } else { id.to_owned() }
}

#[derive(Template)]
#[template(path = "flows.html")]
struct List {
    frame: Frame,
    words: Words,
    rows: Vec<Row>,
}

async fn list(
    State(app): State<App>,
    Extension(source): Extension<RunSource>,
    visit: Visit,
) -> Response {
    let words = words(source);
    let frame = visit.frame(words.place);
    let flows = match app.call(move |service| service.flows(&visit.caller, Some(source))).await {
        Ok(flows) => flows,
        Err(problem) => return trouble(&problem),
    };
    let page = List { frame, words, rows: flows.iter().map(Row::of).collect() };
    show(StatusCode::OK, &page)
}
