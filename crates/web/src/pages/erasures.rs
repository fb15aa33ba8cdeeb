//! Erasing everything of a person: what would go, the erasure, and its receipt.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::http::{HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use retort_model::ErasureState;
use serde::Deserialize;

use super::display::{moment, sentence};
use super::frame::{Frame, Posted, Visit};
use super::paging::Paging;
use super::response::{see_other, show, status_of, trouble};
use super::taken::{Path, Query};
use crate::app::App;
use crate::problem::Problem;
use crate::ranges::attachment;
use crate::wire;

/// Erasures on a page.
const PAGE: usize = 50;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/project/erasures", get(list).post(erase))
        .route("/project/erasures/preview", post(preview))
        .route("/project/erasures/{id}", get(one))
        .route("/project/erasures/{id}/receipt", get(receipt))
        .route("/project/erasures/key", get(key))
}

struct ErasureRow {
    id: i64,
    state: &'static str,
    at: String,
    items: u64,
    datasets: usize,
}

/// The erasures, and a form for another.
#[derive(Template)]
#[template(path = "erasures.html")]
struct List {
    frame: Frame,
    erasures: Vec<ErasureRow>,
    paging: Paging,
    person: String,
    trouble: Option<String>,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Behind {
    after: Option<i64>,
}

async fn list(State(app): State<App>, visit: Visit, Query(behind): Query<Behind>) -> Response {
    listed(&app, &visit, (behind.after, String::new()), None).await
}

async fn listed(
    app: &App,
    visit: &Visit,
    (after, person): (Option<i64>, String),
    problem: Option<Problem>,
) -> Response {
    let caller = visit.caller.clone();
    let found = app.call(move |service| {
        let (erasures, next) = service.erasures(&caller, after, PAGE)?;
        let rows = erasures.iter().map(|erasure| {
            let told = wire::Erasure::try_from(erasure)?;
            Ok(ErasureRow {
                id: erasure.id,
                state: words(erasure.state),
                at: moment(erasure.finished_at.or(erasure.created_at)),
                items: told.conversations + told.runs + told.documents,
                datasets: told.datasets.len(),
            })
        });
        Ok((rows.collect::<Result<Vec<_>, retort_service::Error>>()?, next))
    });
    match found.await {
        Ok((erasures, next)) => {
            let status = status_of(problem.as_ref());
            let trouble = problem.map(|problem| sentence(problem.detail()));
            let paging = Paging::of("/project/erasures", after.is_none(), next);
            let frame = visit.frame("project");
            show(status, &List { frame, erasures, paging, person, trouble })
        }
        Err(problem) => trouble(&problem),
    }
}

fn words(state: ErasureState) -> &'static str {
    match state {
        ErasureState::Running => "Running",
        ErasureState::Completed => "Completed",
    }
}

#[derive(Debug, Deserialize)]
struct Named {
    person: String,
}

/// What an erasure would erase, with a form to confirm it.
#[derive(Template)]
#[template(path = "erasure_preview.html")]
struct Preview {
    frame: Frame,
    person: String,
    found: wire::ErasurePreview,
    is_nothing: bool,
}

async fn preview(State(app): State<App>, Posted { visit, form }: Posted<Named>) -> Response {
    let person = form.person.trim().to_owned();
    let (caller, name) = (visit.caller.clone(), person.clone());
    match app.call(move |service| service.erasure(&caller, &name)).await {
        Ok(found) => {
            let is_nothing = found.is_nothing();
            let frame = visit.frame("project");
            let page = Preview { frame, person, found: (&found).into(), is_nothing };
            show(StatusCode::OK, &page)
        }
        Err(problem) => trouble(&problem),
    }
}

async fn erase(State(app): State<App>, Posted { visit, form }: Posted<Named>) -> Response {
    let (caller, name) = (visit.caller.clone(), form.person.trim().to_owned());
    match app.call(move |service| service.erase(&caller, &name)).await {
        Ok(erasure) => see_other(&format!("/project/erasures/{}", erasure.id), None),
        Err(problem) => listed(&app, &visit, (None, form.person), Some(problem)).await,
    }
}

/// An erasure.
#[derive(Template)]
#[template(path = "erasure.html")]
struct One {
    frame: Frame,
    erasure: wire::Erasure,
    state: &'static str,
    began: String,
    ended: String,
}

async fn one(State(app): State<App>, visit: Visit, Path(id): Path<i64>) -> Response {
    let caller = visit.caller.clone();
    let found = app.call(move |service| {
        let erasure = service.erasure_of(&caller, id)?;
        Ok((wire::Erasure::try_from(&erasure)?, erasure))
    });
    match found.await {
        Ok((told, erasure)) => {
            let page = One {
                frame: visit.frame("project"),
                state: words(erasure.state),
                began: moment(erasure.created_at),
                ended: moment(erasure.finished_at),
                erasure: told,
            };
            show(StatusCode::OK, &page)
        }
        Err(problem) => trouble(&problem),
    }
}

async fn receipt(State(app): State<App>, visit: Visit, Path(id): Path<i64>) -> Response {
    match app.call(move |service| service.erasure_of(&visit.caller, id)).await {
        Ok(erasure) => match erasure.receipt {
            Some(receipt) => file(&format!("erasure-{id}.json"), "application/json", receipt),
            None => trouble(&Problem::bad_request("this erasure has no receipt yet")),
        },
        Err(problem) => trouble(&problem),
    }
}

async fn key(State(app): State<App>, visit: Visit) -> Response {
    match app.call(move |service| service.receipt_key(&visit.caller)).await {
        Ok(key) => file("retort-receipts.pem", "application/x-pem-file", key.to_pem()),
        Err(problem) => trouble(&problem),
    }
}

/// A small file to save.
fn file(name: &str, media_type: &'static str, text: String) -> Response {
    let kind = HeaderValue::from_static(media_type);
    ([(CONTENT_TYPE, kind), (CONTENT_DISPOSITION, attachment(name))], text).into_response()
}
