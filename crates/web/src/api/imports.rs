//! Imports: bytes of any size, streamed to where they are imported from, and the jobs that do it.

use axum::extract::{Request, State};
use axum::http::{HeaderMap, Method, StatusCode};
use axum::response::Response;
use futures_util::StreamExt;
use retort_model::bounds::UPLOAD_BYTES;
use retort_model::{Grant, JobKind};
use retort_service::{Caller, Upload};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::Answer;
use super::idempotency::{IdempotencyKey, key_of, once};
use super::intake::Intake;
use super::jobs::{Most, job, jobs};
use super::query::Params;
use crate::app::App;
use crate::extract::{Json, Path, refuse_multipart};
use crate::problem::Problem;
use crate::ranges::{ByteRange, Offer, copy_range, download};
use crate::uploads::{discard, take, too_large};
use crate::who::{ProjectCaller, Sent};
use crate::wire;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_imports, start_import))
        .routes(routes!(show_import))
        .routes(routes!(cancel_import))
        .routes(routes!(retry_import))
        .routes(routes!(download_rejects))
        .routes(routes!(import_events))
}

/// List your imports
#[utoipa::path(get, path = "/imports", tag = "imports", params(Most),
    responses((status = 200, body = wire::Jobs)))]
async fn list_imports(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Params(most): Params<Most>,
) -> Answer<wire::Jobs> {
    jobs(app, caller, JobKind::Import, most).await
}

/// Import a file of histories
///
/// JSON, JSON Lines or a ZIP archive of them, uncompressed or compressed with gzip or zstd, in any import format. The
/// body is streamed and stored, then imported by a job, whose report says what could not be read.
#[utoipa::path(post, path = "/imports", tag = "imports", params(IdempotencyKey, Intake),
    request_body(content((String = "application/octet-stream"), (String = "application/x-ndjson"))),
    responses((status = 202, body = wire::Job)))]
async fn start_import(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Params(intake): Params<Intake>,
    request: Request,
) -> Result<Response, Problem> {
    import_upload(app, caller, intake, request).await
}

/// Streams a request's body to where it is imported from, and queues the import.
///
/// # Errors
/// It is empty, too large, broke off or could not be kept; there is no such format.
pub async fn import_upload(
    app: App,
    caller: Caller,
    intake: Intake,
    request: Request,
) -> Result<Response, Problem> {
    let headers = request.headers().clone();
    refuse_multipart(&headers)?;
    let asked = intake.request()?;
    let label = intake.name.clone().unwrap_or_else(|| "upload".into());
    if request.headers().get("content-length").and_then(length).is_some_and(|n| n > UPLOAD_BYTES) {
        return Err(too_large());
    }
    let pieces = request.into_body().into_data_stream();
    let pieces = pieces.map(|piece| piece.map_err(Problem::from));
    let given = take(&app, caller.clone(), label, pieces).await?;
    let mut upload = given.ok_or_else(|| Problem::bad_request("the body is empty"))?;
    let hash = {
        let done = tokio::task::spawn_blocking(move || {
            let hash = upload.finish();
            (upload, hash)
        });
        let (back, hash) = done.await.map_err(Problem::internal)?;
        upload = back;
        hash?
    };
    let [from, owner, namespace, replace, with_files, dry_run] = intake.told();
    let told = [b"import", from, owner, namespace, replace, with_files, dry_run, &hash];
    let key = match key_of(&headers, &told) {
        Ok(key) => key,
        Err(problem) => {
            discard(&app, upload).await;
            return Err(problem);
        }
    };
    // What was imported before is not kept twice.
    let kept = std::sync::Arc::new(std::sync::Mutex::new(Some(upload)));
    let (asks, given, service) = (caller.clone(), std::sync::Arc::clone(&kept), app.clone());
    let answer = once(&app, (&caller, Grant::Write), key, StatusCode::ACCEPTED, |_| async move {
        let upload = taken(&given).ok_or_else(|| Problem::internal("the upload is gone"))?;
        let job = service.call(move |service| {
            let id = service.submit_upload(&asks, upload, &asked)?;
            service.job(&asks, id)
        });
        Ok::<_, Problem>(wire::Job::from(&job.await?))
    })
    .await;
    if let Some(upload) = taken(&kept) {
        discard(&app, upload).await;
    }
    answer
}

fn taken(kept: &std::sync::Mutex<Option<Upload>>) -> Option<Upload> {
    kept.lock().unwrap_or_else(std::sync::PoisonError::into_inner).take()
}

fn length(value: &axum::http::HeaderValue) -> Option<u64> {
    value.to_str().ok()?.parse().ok()
}

/// Return an import with its progress
#[utoipa::path(get, path = "/imports/{id}", tag = "imports", params(("id" = i64, Path)),
    responses((status = 200, body = wire::Job)))]
async fn show_import(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<i64>,
) -> Answer<wire::Job> {
    job(&app, caller, JobKind::Import, id).await
}

/// Cancel an import; what was imported stays
#[utoipa::path(post, path = "/imports/{id}/cancel", tag = "imports", params(("id" = i64, Path)),
    responses((status = 200, body = wire::Job)))]
async fn cancel_import(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<i64>,
) -> Answer<wire::Job> {
    let job = app.call(move |service| service.cancel(&caller, id, JobKind::Import)).await?;
    Ok(Json(wire::Job::from(&job)))
}

/// Retry a failed import
#[utoipa::path(post, path = "/imports/{id}/retry", tag = "imports", params(("id" = i64, Path)),
    responses((status = 200, body = wire::Job)))]
async fn retry_import(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<i64>,
) -> Answer<wire::Job> {
    let job = app.call(move |service| service.retry(&caller, id, JobKind::Import)).await?;
    Ok(Json(wire::Job::from(&job)))
}

/// Download the list of items that an import could not read
///
/// JSON Lines, one rejected item per line, with what is wrong and where, as in `rejects.jsonl` of a dataset. Empty if
/// everything was read. The list is kept as long as the job. It has at most 64 MiB; `rejects_omitted` in the job's
/// report counts the items that did not fit.
#[utoipa::path(get, path = "/imports/{id}/rejects", tag = "imports", params(ByteRange, ("id" = i64, Path)),
    responses(
        (status = 200, content_type = "application/x-ndjson", body = String),
        (status = 206, content_type = "application/x-ndjson", body = String),
        (status = 304)))]
async fn download_rejects(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<i64>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let kept = app.call(move |service| service.rejects(&caller, id)).await?;
    let (total_bytes, file) = kept.map_or((0, None), |kept| (kept.bytes, Some(kept.file)));
    let offer = Offer {
        total_bytes,
        etag: &format!("{id}-{total_bytes:x}"),
        file_name: &format!("rejects-{id}.jsonl"),
        media_type: "application/x-ndjson",
    };
    download(app.downloads(), &method, &headers, &offer, move |range, out| match file {
        Some(file) => copy_range(file, range, out, "the list of rejected items"),
        None => Ok(()),
    })
    .await
}

/// Follow an import
///
/// Server-sent events: `progress` with the job each time it has changed, `end` with the job when it has ended.
#[utoipa::path(get, path = "/imports/{id}/events", tag = "imports", params(("id" = i64, Path)),
    responses((status = 200, content_type = "text/event-stream", body = wire::Event)))]
async fn import_events(
    State(app): State<App>,
    asking: ProjectCaller,
    sent: Sent,
    Path(id): Path<i64>,
) -> Result<Response, Problem> {
    super::events::follow(app, (asking, sent), JobKind::Import, id).await
}
