//! Tokens: what programs show instead of a session.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::Answer;
use crate::app::App;
use crate::extract::{Json, Path};
use crate::problem::Problem;
use crate::who::ProjectCaller;
use crate::wire;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_tokens, create_token)).routes(routes!(delete_token))
}

/// List your tokens; for admins, those of all members
#[utoipa::path(get, path = "/tokens", tag = "tokens", responses((status = 200, body = wire::Tokens)))]
async fn list_tokens(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
) -> Answer<wire::Tokens> {
    let tokens = app.call(move |service| service.tokens(&caller)).await?;
    Ok(Json(wire::Tokens {
        tokens: tokens.iter().map(|one| wire::Token::new(one, None)).collect(),
    }))
}

/// Create a token; its secret is shown only once
#[utoipa::path(post, path = "/tokens", tag = "tokens", request_body = wire::NewToken,
    responses((status = 201, body = wire::Token)))]
async fn create_token(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Json(asked): Json<wire::NewToken>,
) -> Result<Response, Problem> {
    let request = asked.request()?;
    let (token, secret) = app.call(move |service| service.add_token(&caller, &request)).await?;
    Ok((StatusCode::CREATED, Json(wire::Token::new(&token, Some(secret)))).into_response())
}

/// Revoke a token
#[utoipa::path(delete, path = "/tokens/{id}", tag = "tokens", params(("id" = i64, Path)),
    responses((status = 204)))]
async fn delete_token(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<i64>,
) -> Result<StatusCode, Problem> {
    app.call(move |service| service.end_token(&caller, id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
