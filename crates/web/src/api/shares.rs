//! Public links to conversations, as those see them who make them.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::Answer;
use super::query::Params;
use crate::app::App;
use crate::extract::{Json, Path};
use crate::problem::Problem;
use crate::who::ProjectCaller;
use crate::wire;

/// Links on a page.
const PAGE: usize = 100;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_shares, create_share))
        .routes(routes!(delete_share))
        .routes(routes!(keep_share))
}

/// Which page of links.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
struct Behind {
    /// After this link: `next` of the previous page.
    after: Option<i64>,
}

/// List the public links to conversations that you may see
#[utoipa::path(get, path = "/shares", tag = "shares", params(Behind),
    responses((status = 200, body = wire::Shares)))]
async fn list_shares(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Params(behind): Params<Behind>,
) -> Answer<wire::Shares> {
    let page = app.call(move |service| service.shares(&caller, behind.after, PAGE));
    let (shares, next) = page.await?;
    Ok(Json(wire::Shares { shares: shares.iter().map(wire::Share::from).collect(), next }))
}

/// Create a public link to a conversation
#[utoipa::path(post, path = "/shares", tag = "shares", request_body = wire::NewShare,
    responses((status = 201, body = wire::Share)))]
async fn create_share(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Json(asked): Json<wire::NewShare>,
) -> Result<Response, Problem> {
    let request = asked.request()?;
    let share = app.call_with_password(move |service| service.share(&caller, &request)).await?;
    Ok((StatusCode::CREATED, Json(wire::Share::made(&share))).into_response())
}

/// Revoke a public link
#[utoipa::path(delete, path = "/shares/{id}", tag = "shares", params(("id" = i64, Path)),
    responses((status = 204)))]
async fn delete_share(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<i64>,
) -> Result<StatusCode, Problem> {
    app.call(move |service| service.unshare(&caller, id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Reopen a public link that closed because its creator lost their role
///
/// For admins and owners. The link then belongs to them.
#[utoipa::path(post, path = "/shares/{id}/keep", tag = "shares", params(("id" = i64, Path)),
    responses((status = 204)))]
async fn keep_share(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<i64>,
) -> Result<StatusCode, Problem> {
    app.call(move |service| service.keep_share(&caller, id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
