//! Datasets: listed, looked into, downloaded, renamed, deleted.

use axum::extract::State;
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::{IntoResponse, Response};
use retort_model::bounds::PAGE_ITEMS;
use retort_model::{DatasetName, Grant};
use retort_service::{Dataset, Download, Error, preview_package};
use serde::Deserialize;
use tokio::time::Instant;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::{Answer, raw};
use super::dry_run::DryRun;
use super::idempotency::{IdempotencyKey, key_of, once};
use super::paging::length;
use super::query::Params;
use crate::app::App;
use crate::extract::{Json, Path};
use crate::problem::Problem;
use crate::ranges::{ByteRange, Offer, download};
use crate::who::{ProjectCaller, Visitor};
use crate::wire;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_datasets))
        .routes(routes!(show_dataset, rename_dataset, delete_dataset))
        .routes(routes!(rebuild_dataset))
        .routes(routes!(preview_dataset))
        .routes(routes!(show_manifest))
        .routes(routes!(download_dataset))
        .routes(routes!(download_by_link))
}

/// Whose datasets.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
struct Whose {
    /// Everyone's in the project, for its owners. Default: your own.
    everyone: Option<bool>,
    /// Anyone's that hold something that a person of this name owns, imported or held; for owners of the project.
    person: Option<String>,
    /// Maximum number: 1 to 1000. Default: 1000.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
    /// After this dataset: `next` of the previous page.
    after: Option<i64>,
}

/// List your datasets
#[utoipa::path(get, path = "/datasets", tag = "datasets", params(Whose),
    responses((status = 200, body = wire::Datasets)))]
async fn list_datasets(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Params(whose): Params<Whose>,
) -> Answer<wire::Datasets> {
    let most = length(whose.limit, PAGE_ITEMS, PAGE_ITEMS)?;
    let everyone = whose.everyone.unwrap_or(false);
    let page = app.call(move |service| match &whose.person {
        Some(person) => service.trace_person(&caller, person, whose.after, most),
        None => service.dataset_page(&caller, everyone, whose.after, most),
    });
    let (datasets, next) = page.await?;
    let datasets = datasets.iter().map(wire::Dataset::from).collect();
    Ok(Json(wire::Datasets { datasets, next }))
}

/// Return a dataset
#[utoipa::path(get, path = "/datasets/{id}", tag = "datasets", params(("id" = i64, Path)),
    responses((status = 200, body = wire::Dataset)))]
async fn show_dataset(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<i64>,
) -> Answer<wire::Dataset> {
    let dataset = app.call(move |service| service.overseen_dataset(&caller, id)).await?;
    Ok(Json(wire::Dataset::from(&dataset)))
}

/// Rename a dataset
#[utoipa::path(patch, path = "/datasets/{id}", tag = "datasets", params(("id" = i64, Path)),
    request_body = wire::Rename, responses((status = 200, body = wire::Dataset)))]
async fn rename_dataset(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<i64>,
    Json(asked): Json<wire::Rename>,
) -> Answer<wire::Dataset> {
    let name: DatasetName =
        asked.name.parse().map_err(|error| Problem::bad_request(format!("`name`: {error}")))?;
    let dataset = app.call(move |service| service.rename_dataset(&caller, id, &name)).await?;
    Ok(Json(wire::Dataset::from(&dataset)))
}

/// Permanently delete a dataset
#[utoipa::path(delete, path = "/datasets/{id}", tag = "datasets", params(("id" = i64, Path)),
    responses((status = 204)))]
async fn delete_dataset(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<i64>,
) -> Result<StatusCode, Problem> {
    app.call(move |service| service.delete_dataset(&caller, id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Export a dataset again without some of its items
///
/// Exports the same frozen items, without those that you name and those that were purged since. The new dataset belongs
/// to the creator of the old one. Unless `keep` is set, it gets the name of the old one, which is deleted as soon as
/// the new one is complete. Owners of the project can rebuild everyone's datasets.
#[utoipa::path(post, path = "/datasets/{id}/rebuild", tag = "datasets", params(IdempotencyKey, ("id" = i64, Path), DryRun),
    request_body = wire::Rebuild,
    responses((status = 202, body = wire::Job), (status = 200, body = wire::Job, description = "A dry run: the job that would be queued")))]
async fn rebuild_dataset(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<i64>,
    Params(dry_run): Params<DryRun>,
    headers: HeaderMap,
    Json(asked): Json<wire::Rebuild>,
) -> Result<Response, Problem> {
    let body = serde_json::to_vec(&asked).map_err(Problem::internal)?;
    let key = key_of(&headers, &[b"rebuild", id.to_string().as_bytes(), &body])?;
    // The answer of a dry run must not be stored as the answer of the real run.
    let key = key.filter(|_| !dry_run.dry_run);
    asked.without()?;
    let (asks, doing) = (dry_run.of(caller.clone()), app.clone());
    let status = dry_run.status(StatusCode::ACCEPTED);
    once(&app, (&caller, Grant::Export), key, status, move |_| async move {
        let job = doing.call(move |service| {
            let without = asked.without().unwrap_or_default();
            service.rebuild_dataset(&asks, id, without, asked.keep)
        });
        Ok(wire::Job::from(&job.await?))
    })
    .await
}

/// Return the first 20 records of a dataset
#[utoipa::path(get, path = "/datasets/{id}/preview", tag = "datasets", params(("id" = i64, Path)),
    responses((status = 200, body = wire::Records)))]
async fn preview_dataset(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<i64>,
) -> Result<Response, Problem> {
    app.answer(move |service| {
        let dataset = service.dataset(&caller, id)?;
        let mut package = service.open_dataset(&dataset)?;
        let records = preview_package(&mut package).map_err(Error::from)?.into_iter();
        let records = records.map(|record| raw(record.into_bytes())).collect::<Result<_, _>>()?;
        Ok(Json(wire::Records { records }).into_response())
    })
    .await
}

/// Return the receipt of a dataset
#[utoipa::path(get, path = "/datasets/{id}/manifest", tag = "datasets", params(("id" = i64, Path)),
    responses((status = 200, body = Object)))]
async fn show_manifest(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<i64>,
) -> Answer<serde_json::Value> {
    let manifest = app.call(move |service| {
        let dataset = service.dataset(&caller, id)?;
        Ok(service.open_dataset(&dataset)?.manifest().clone())
    });
    Ok(Json(serde_json::to_value(manifest.await?).map_err(Problem::internal)?))
}

/// Download a dataset as a ZIP archive
///
/// All of it, or any range of its bytes.
#[utoipa::path(get, path = "/datasets/{id}/download", tag = "datasets", params(ByteRange, ("id" = i64, Path)),
    responses(
        (status = 200, content_type = "application/zip", body = String),
        (status = 206, content_type = "application/zip", body = String),
        (status = 304)))]
async fn download_dataset(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<i64>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let found = app.call(move |service| service.download(&caller, id)).await?;
    send(&app, found, &method, &headers).await
}

/// Download a dataset by a link from a notice
///
/// Notices have such a link if their webhook was added with `link_hours`. It works until it expires or the webhook is
/// removed.
#[utoipa::path(get, path = "/downloads/{link}", tag = "datasets", security(()),
    params(ByteRange, ("link" = String, Path)),
    responses(
        (status = 200, content_type = "application/zip", body = String),
        (status = 206, content_type = "application/zip", body = String),
        (status = 304)))]
async fn download_by_link(
    State(app): State<App>,
    visitor: Visitor,
    Path(link): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    app.rates().take(visitor.address.into(), Instant::now()).map_err(Problem::rate_limited)?;
    let found = app.call(move |service| service.download_by_link(&link, &visitor.origin)).await?;
    send(&app, found, &method, &headers).await
}

/// Sends a dataset's archive, or the ranges of it that are asked for.
async fn send(
    app: &App,
    (dataset, archive): (Dataset, Download),
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let offer = Offer {
        total_bytes: archive.bytes(),
        etag: &archive.etag(),
        file_name: &format!("{}.zip", dataset.name),
        media_type: "application/zip",
    };
    download(app.downloads(), method, headers, &offer, move |range, out| archive.write(range, out))
        .await
}
