//! The first page: what there is, and how to begin.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use retort_model::{ConversationFilter, DocumentFilter, ProjectRole, RunFilter};

use super::display::several;
use super::frame::{Frame, Visit};
use super::response::{permanently, show, trouble};
use crate::app::App;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/", get(home))
        // Where people look for the lists of what these addresses begin.
        .route("/conversations", get(async || permanently("/export")))
        .route("/exports", get(async || permanently("/datasets")))
        .route("/imports", get(async || permanently("/import")))
}

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    frame: Frame,
    total: String,
    runs: String,
    datasets: String,
    documents: Option<String>,
    is_empty: bool,
}

async fn home(State(app): State<App>, visit: Visit) -> Response {
    let frame = visit.frame("home");
    let seen = app.call(move |service| {
        let total = service.count(&visit.caller, &ConversationFilter::default())?;
        let runs = service.count_runs(&visit.caller, &RunFilter::default())?;
        let all = DocumentFilter::default();
        // Documents are for who administers the project.
        let documents = match visit.caller.role() >= ProjectRole::Admin {
            true => Some(service.document_stats(&visit.caller, &all)?.0),
            false => None,
        };
        Ok((total, runs, service.datasets(&visit.caller)?.len() as u64, documents))
    });
    match seen.await {
        Ok((total, runs, datasets, documents)) => {
            let page = Home {
                frame,
                total: several(total, "conversation"),
                runs: several(runs, "run"),
                datasets: several(datasets, "dataset"),
                documents: documents.map(|number| several(number, "document")),
                is_empty: total == 0 && runs == 0 && documents.is_none_or(|number| number == 0),
            };
            show(StatusCode::OK, &page)
        }
        Err(problem) => trouble(&problem),
    }
}
