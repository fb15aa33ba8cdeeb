//! The JSON API under `/api/v1`: one file a noun, each with its routes. What they may answer is beside them, and
//! `/api/openapi.json` is made of that.

pub mod account;
mod answer;
mod audit;
mod contract;
mod conversations;
mod datasets;
pub mod documents;
mod dry_run;
mod erasures;
mod events;
mod exports;
mod formats;
mod idempotency;
mod imports;
mod intake;
mod jobs;
mod judgements;
mod line;
mod members;
mod notices;
mod paging;
pub mod query;
mod runs;
mod schedules;
pub mod shared;
mod shares;
mod tokens;
mod traces;
mod views;

use axum::Router;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::{Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;

use crate::app::App;
use crate::problem::ProblemBody;

/// What the description says of the whole.
#[derive(OpenApi)]
#[openapi(
    info(
        title = "Retort",
        description = "Turns the history of conversations with language models into datasets. Every request names its \
                       project with the query parameter `project`, unless the token is for one or the person is in \
                       only one. Resources you may not access return 404."
    ),
    components(schemas(ProblemBody)),
    modifiers(&Secured),
    security(("token" = []), ("session" = []))
)]
struct Description;

struct Secured;

impl Modify for Secured {
    fn modify(&self, openapi: &mut utoipa::openapi::OpenApi) {
        let components = openapi.components.get_or_insert_default();
        let token = SecurityScheme::Http(Http::new(HttpAuthScheme::Bearer));
        let session = SecurityScheme::ApiKey(ApiKey::Cookie(ApiKeyValue::new("retort")));
        components.add_security_scheme("token", token);
        components.add_security_scheme("session", session);
    }
}

/// The routes, and their description.
pub fn routes() -> (Router<App>, utoipa::openapi::OpenApi) {
    let api = OpenApiRouter::new()
        .merge(account::routes())
        .merge(audit::routes())
        .merge(conversations::routes())
        .merge(datasets::routes())
        .merge(erasures::routes())
        .merge(exports::routes())
        .merge(formats::routes())
        .merge(imports::routes())
        .merge(judgements::routes())
        .merge(members::routes())
        .merge(notices::routes())
        .merge(runs::routes())
        .merge(documents::routes())
        .merge(schedules::routes())
        .merge(shared::routes())
        .merge(shares::routes())
        .merge(tokens::routes())
        .merge(views::routes());
    // The path is the protocol's.
    let (routes, mut description) = OpenApiRouter::with_openapi(Description::openapi())
        .nest("/api/v1", api)
        .merge(traces::routes())
        .split_for_parts();
    contract::complete(&mut description);
    (routes, description)
}

/// The route of the description itself.
pub fn openapi_route(description: &utoipa::openapi::OpenApi) -> Router<App> {
    let text = description.to_pretty_json().unwrap_or_default();
    Router::new().route("/api/openapi.json", get(move || openapi(text.clone())))
}

async fn openapi(text: String) -> Response {
    ([(axum::http::header::CONTENT_TYPE, "application/json")], text).into_response()
}
