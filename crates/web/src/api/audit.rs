//! The audit log, for owners.

use std::io::Write;

use axum::body::Body;
use axum::extract::State;
use axum::http::header::{CONTENT_DISPOSITION, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use retort_model::bounds::PAGE_ITEMS;
use retort_service::Error;
use tokio::sync::mpsc;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::Answer;
use super::paging::length;
use super::query::Params;
use crate::app::App;
use crate::extract::Json;
use crate::problem::Problem;
use crate::ranges::attachment;
use crate::who::ProjectCaller;
use crate::wire;

/// Entries on a page, if not said.
const PAGE: usize = 100;

/// Bytes of the exported log that are sent at a time, and how often that waits to be sent.
const PIECE_BYTES: usize = 64 << 10;
const PIECES_WAITING: usize = 4;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_audit)).routes(routes!(export_audit))
}

/// List a page of the audit log, newest first
#[utoipa::path(get, path = "/audit", tag = "audit", params(wire::AuditQuery),
    responses((status = 200, body = wire::AuditPage)))]
async fn list_audit(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Params(query): Params<wire::AuditQuery>,
) -> Answer<wire::AuditPage> {
    let filter = query.filter()?;
    let most = length(query.limit, PAGE, PAGE_ITEMS)?;
    let page = app.call(move |service| service.audit(&caller, &filter, query.after, most));
    let (entries, next) = page.await?;
    Ok(Json(wire::AuditPage { entries: entries.iter().map(wire::Audited::from).collect(), next }))
}

/// Export the whole audit log as JSON Lines, newest first
#[utoipa::path(get, path = "/audit/export", tag = "audit", params(wire::AuditQuery),
    responses((status = 200, content_type = "application/x-ndjson", body = String)))]
async fn export_audit(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Params(query): Params<wire::AuditQuery>,
) -> Result<Response, Problem> {
    let filter = query.filter()?;
    if query.after.is_some() || query.limit.is_some() {
        return Err(Problem::bad_request(
            "the export of the log takes neither `after` nor `limit`",
        ));
    }
    // Whether it may be had is answered before it begins.
    let (asks, same) = (caller.clone(), filter.clone());
    app.call(move |service| service.audit(&asks, &same, None, 1).map(|_| ())).await?;
    let permit = app.downloads().enter().await?;
    let (send, receive) = mpsc::channel::<Result<Vec<u8>, std::io::Error>>(PIECES_WAITING);
    let service = app.service();
    tokio::task::spawn_blocking(move || {
        let _permit = permit;
        let mut piece = Vec::with_capacity(PIECE_BYTES);
        let gone = || Error::Choice("the person who asked is gone".into());
        let done = service.export_audit(&caller, &filter, &mut |entry| {
            let line = serde_json::to_string(&wire::Audited::from(entry)).unwrap_or_default();
            let _ = writeln!(piece, "{line}");
            if piece.len() >= PIECE_BYTES {
                return send.blocking_send(Ok(std::mem::take(&mut piece))).map_err(|_| gone());
            }
            Ok(())
        });
        let last = done.map(|()| piece).map_err(|error| std::io::Error::other(error.to_string()));
        let _ = send.blocking_send(last);
    });
    let pieces = futures_util::stream::unfold(receive, |mut receive| async move {
        receive.recv().await.map(|piece| (piece, receive))
    });
    let mut response =
        ([(CONTENT_TYPE, "application/x-ndjson")], Body::from_stream(pieces)).into_response();
    response.headers_mut().insert(CONTENT_DISPOSITION, attachment("audit.jsonl"));
    Ok(response)
}
