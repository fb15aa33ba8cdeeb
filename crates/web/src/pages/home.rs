//! The first page: what there is, and how to begin.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use retort_model::Selection;

use super::frame::{Frame, Visit};
use super::words::count;
use super::{show, trouble};
use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/", get(home))
}

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    frame: Frame,
    total: String,
    datasets: String,
}

async fn home(State(app): State<App>, visit: Visit) -> Response {
    let frame = visit.frame("home");
    let seen = app.call(move |service| {
        let total = service.count(&visit.caller, &Selection::default())?;
        Ok((total, service.datasets(&visit.caller)?.len() as u64))
    });
    match seen.await {
        Ok((total, datasets)) => {
            show(StatusCode::OK, &Home { frame, total: count(total), datasets: count(datasets) })
        }
        Err(problem) => trouble(&problem),
    }
}
