//! Exports that ended: a feed, and webhooks that are told.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use retort_service::Service;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::Answer;
use super::query::Params;
use crate::app::App;
use crate::extract::{Json, Path};
use crate::outgoing::check_url;
use crate::problem::Problem;
use crate::who::ProjectCaller;
use crate::wire;

/// Notices on a page.
const PAGE: usize = 100;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_notices))
        .routes(routes!(list_webhooks, add_webhook))
        .routes(routes!(delete_webhook))
        .routes(routes!(list_webhook_deliveries))
}

/// Which notices.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
struct Behind {
    /// Those after this one. Default: the last 100.
    after: Option<i64>,
}

/// List your exports that ended, oldest first
#[utoipa::path(get, path = "/notices", tag = "notices", params(Behind),
    responses((status = 200, body = wire::Notices)))]
async fn list_notices(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Params(behind): Params<Behind>,
) -> Answer<wire::Notices> {
    let notices = app.call(move |service| service.notices(&caller, behind.after, PAGE)).await?;
    Ok(Json(wire::Notices { notices: notices.iter().map(wire::Notice::from).collect() }))
}

/// List your webhooks
#[utoipa::path(get, path = "/webhooks", tag = "notices", responses((status = 200, body = wire::Webhooks)))]
async fn list_webhooks(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
) -> Answer<wire::Webhooks> {
    let webhooks = app.call(move |service| service.webhooks(&caller)).await?;
    let webhooks = webhooks.iter().map(|one| wire::Webhook::new(one, false)).collect();
    Ok(Json(wire::Webhooks { webhooks }))
}

/// Add a webhook for exports that end
///
/// Notices are signed as Standard Webhooks describes, with a secret that is shown once. With `schedule`, only the runs
/// of that schedule are sent.
#[utoipa::path(post, path = "/webhooks", tag = "notices", request_body = wire::NewWebhook,
    responses((status = 201, body = wire::Webhook)))]
async fn add_webhook(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Json(asked): Json<wire::NewWebhook>,
) -> Result<Response, Problem> {
    check_url(&asked.url, app.settings().allows_private_webhooks)
        .map_err(|why| Problem::bad_request(format!("`url`: {why}")))?;
    let added = move |service: &Service| {
        service.add_webhook(&caller, &asked.url, asked.link_hours, asked.schedule)
    };
    let webhook = app.call(added).await?;
    Ok((StatusCode::CREATED, Json(wire::Webhook::new(&webhook, true))).into_response())
}

/// Remove a webhook
#[utoipa::path(delete, path = "/webhooks/{id}", tag = "notices", params(("id" = i64, Path)),
    responses((status = 204)))]
async fn delete_webhook(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<i64>,
) -> Result<StatusCode, Problem> {
    app.call(move |service| service.end_webhook(&caller, id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the latest deliveries to a webhook
#[utoipa::path(get, path = "/webhooks/{id}/deliveries", tag = "notices", params(("id" = i64, Path)),
    responses((status = 200, body = wire::Deliveries)))]
async fn list_webhook_deliveries(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<i64>,
) -> Answer<wire::Deliveries> {
    let found = app.call(move |service| service.deliveries(&caller, id)).await?;
    Ok(Json(wire::Deliveries { deliveries: found.iter().map(wire::Delivery::from).collect() }))
}
