//! A conversation as a model of the configuration sees it.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use retort_service::SeenRow;
use serde::Deserialize;

use super::addresses::path_from;
use super::display::count;
use super::frame::{Frame, Visit};
use super::receipt::{Found, found};
use super::records::cut;
use super::response::{show, trouble};
use super::taken::{Path, Query};
use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/conversations/{id}/model", get(page))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    source: Option<String>,
    from: String,
    model: String,
}

/// A row of an export.
struct Row {
    /// Its parts: text, whether the model is trained on it, and its length.
    parts: Vec<(String, bool, String)>,
    about: String,
    error: Option<String>,
}

impl Row {
    fn of(row: SeenRow, unit: &str) -> Self {
        let all = format!("{} {unit}s", count(row.length as u64));
        let about = match row.learnt {
            Some(learnt) => format!("{all}, {} trained on", count(learnt as u64)),
            None => format!("{all}; the template does not tell what the model is trained on"),
        };
        let parts = row
            .parts
            .into_iter()
            .map(|part| (cut(&part.text), part.is_learnt, count(part.length as u64)));
        Self { parts: parts.collect(), about, error: row.error }
    }
}

#[derive(Template)]
#[template(path = "as_model.html")]
struct Page {
    frame: Frame,
    id: String,
    back: String,
    model: String,
    unit: &'static str,
    rows: Vec<Row>,
    found: Vec<Found>,
}

async fn page(
    State(app): State<App>,
    visit: Visit,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    let frame = visit.frame("export");
    let Asked { source, from, model } = asked;
    let (which, name) = (id.clone(), model.clone());
    let back = path_from(&id, source.as_deref().unwrap_or_default(), &from);
    let seen = app.call(move |service| {
        service.seen_by_model(&visit.caller, (&which, source.as_deref()), &name)
    });
    match seen.await {
        Ok(seen) => {
            let found = found(&seen.found);
            let rows = seen.rows.into_iter().map(|row| Row::of(row, seen.unit)).collect();
            let page = Page { frame, id, back, model, unit: seen.unit, rows, found };
            show(StatusCode::OK, &page)
        }
        Err(problem) => trouble(&problem),
    }
}
