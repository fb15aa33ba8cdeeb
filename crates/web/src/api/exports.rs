//! Exports: asked for, followed, cancelled, tried again.

use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use retort_model::{Grant, ItemKind, JobKind};
use retort_service::{Dedup, Stop};
use serde::Deserialize;
use utoipa::ToSchema;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::Answer;
use super::idempotency::{IdempotencyKey, key_of, once};
use super::jobs::{Most, job, jobs};
use super::query::Params;
use crate::app::App;
use crate::extract::{Json, Path};
use crate::problem::Problem;
use crate::who::{ProjectCaller, Sent};
use crate::wire;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_exports, start_export))
        .routes(routes!(export_stats))
        .routes(routes!(export_project))
        .routes(routes!(show_export))
        .routes(routes!(cancel_export))
        .routes(routes!(retry_export))
        .routes(routes!(export_events))
}

/// List your exports
#[utoipa::path(get, path = "/exports", tag = "exports", params(Most),
    responses((status = 200, body = wire::Jobs)))]
async fn list_exports(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Params(most): Params<Most>,
) -> Answer<wire::Jobs> {
    jobs(app, caller, JobKind::Export, most).await
}

/// Create an export
///
/// The selection is frozen at this moment; later changes do not affect it.
#[utoipa::path(post, path = "/exports", tag = "exports", params(IdempotencyKey), request_body = wire::Export,
    responses((status = 202, body = wire::Job)))]
async fn start_export(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    headers: HeaderMap,
    Json(asked): Json<wire::Export>,
) -> Result<Response, Problem> {
    let body = serde_json::to_vec(&asked).map_err(Problem::internal)?;
    let key = key_of(&headers, &[b"export", &body])?;
    let request = asked.request()?;
    let (asks, doing) = (caller.clone(), app.clone());
    once(&app, (&caller, Grant::Export), key, StatusCode::ACCEPTED, |_| async move {
        let job = doing.call(move |service| {
            let id = service.submit_export(&asks, &request)?;
            service.job(&asks, id)
        });
        Ok(wire::Job::from(&job.await?))
    })
    .await
}

/// Which duplicates are counted.
#[derive(Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields)]
#[into_params(parameter_in = Query)]
struct Counting {
    /// Which duplicates to count: `exact`, `near` or `none`. Default: those that the options of the export leave out,
    /// otherwise `none`.
    #[serde(default)]
    duplicates: Option<String>,
}

/// Count what an export would read and write
///
/// Kinds, turns, tokens, models, languages, tools, dates and lengths of the selected items, and of those that the
/// dataset would contain. Nothing is written. It reads all items and is stopped at the time limit of requests; for
/// large selections, use the command line on the store's machine.
#[utoipa::path(post, path = "/exports/stats", tag = "exports", params(Counting),
    request_body = wire::Export, responses((status = 200, body = wire::Stats)))]
async fn export_stats(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Params(counting): Params<Counting>,
    Json(asked): Json<wire::Export>,
) -> Answer<wire::Stats> {
    let counting = counting.duplicates.as_deref().map_or(Ok(Dedup::None), str::parse);
    let counting = counting.map_err(Problem::bad_request)?;
    let request = asked.request()?;
    let stats = app.call(move |service| {
        service.export_stats(&caller, &request, counting, Stop::current().flag())
    });
    Ok(Json(wire::Stats::from(&stats.await?)))
}

/// A whole project's history.
#[derive(Debug, serde::Serialize, Deserialize, ToSchema)]
#[serde(deny_unknown_fields)]
struct WholeProject {
    /// Name of the dataset: 1 to 64 characters.
    #[schema(max_length = 64, min_length = 1)]
    dataset_name: String,
    /// `jsonl`, `csv` or `parquet`. Default: `jsonl`.
    #[serde(default)]
    file_format: Option<String>,
}

/// Export the conversations of everyone in the project
///
/// In the data format `history`, for owners and admins of the project.
#[utoipa::path(post, path = "/project/export", tag = "project", params(IdempotencyKey), request_body = WholeProject,
    responses((status = 202, body = wire::Job)))]
async fn export_project(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    headers: HeaderMap,
    Json(asked): Json<WholeProject>,
) -> Result<Response, Problem> {
    let body = serde_json::to_vec(&asked).map_err(Problem::internal)?;
    let key = key_of(&headers, &[b"export-project", &body])?;
    let options = wire::Options::history(asked.file_format.as_deref())?;
    let plan = options.plan(&asked.dataset_name, ItemKind::Conversation)?;
    let (asks, doing) = (caller.clone(), app.clone());
    once(&app, (&caller, Grant::Export), key, StatusCode::ACCEPTED, |_| async move {
        let job = doing.call(move |service| {
            let id = service.export_project(&asks, plan, false)?;
            service.job(&asks, id)
        });
        Ok(wire::Job::from(&job.await?))
    })
    .await
}

/// Return an export with its progress
#[utoipa::path(get, path = "/exports/{id}", tag = "exports", params(("id" = i64, Path)),
    responses((status = 200, body = wire::Job)))]
async fn show_export(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<i64>,
) -> Answer<wire::Job> {
    job(&app, caller, JobKind::Export, id).await
}

/// Cancel an export
#[utoipa::path(post, path = "/exports/{id}/cancel", tag = "exports", params(("id" = i64, Path)),
    responses((status = 200, body = wire::Job)))]
async fn cancel_export(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<i64>,
) -> Answer<wire::Job> {
    let job = app.call(move |service| service.cancel(&caller, id, JobKind::Export)).await?;
    Ok(Json(wire::Job::from(&job)))
}

/// Retry a failed or cancelled export
#[utoipa::path(post, path = "/exports/{id}/retry", tag = "exports", params(("id" = i64, Path)),
    responses((status = 200, body = wire::Job)))]
async fn retry_export(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<i64>,
) -> Answer<wire::Job> {
    let job = app.call(move |service| service.retry(&caller, id, JobKind::Export)).await?;
    Ok(Json(wire::Job::from(&job)))
}

/// Follow an export
///
/// Server-sent events: `progress` with the job each time it has changed, `end` with the job when it has ended.
#[utoipa::path(get, path = "/exports/{id}/events", tag = "exports", params(("id" = i64, Path)),
    responses((status = 200, content_type = "text/event-stream", body = wire::Event)))]
async fn export_events(
    State(app): State<App>,
    asking: ProjectCaller,
    sent: Sent,
    Path(id): Path<i64>,
) -> Result<Response, Problem> {
    super::events::follow(app, (asking, sent), JobKind::Export, id).await
}
