//! The JSON API under `/api/v1`: one file a noun, each with its routes. What they may answer stands beside them, and
//! `/api/openapi.json` is made of that.

pub mod account;
mod audit;
mod conversations;
mod datasets;
pub mod documents;
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

use std::collections::BTreeSet;

use axum::Router;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use retort_service::Caller;
use utoipa::openapi::security::{ApiKey, ApiKeyValue, Http, HttpAuthScheme, SecurityScheme};
use utoipa::openapi::{RefOr, ResponseBuilder, ResponsesBuilder};
use utoipa::{IntoResponses, Modify, OpenApi};
use utoipa_axum::router::OpenApiRouter;

use query::Params;

use crate::app::App;
use crate::extract::Json;
use crate::problem::{PROBLEMS, Problem, ProblemBody};

/// Whether a line for each item was announced.
fn is_lines(headers: &HeaderMap) -> bool {
    let kind = headers.get("content-type").and_then(|value| value.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    ["application/x-ndjson", "application/jsonl", "application/x-jsonlines"].contains(&kind)
}

/// The problems that any endpoint may answer with.
pub struct Problems;

impl IntoResponses for Problems {
    fn responses() -> std::collections::BTreeMap<String, RefOr<utoipa::openapi::Response>> {
        let mut responses = ResponsesBuilder::new();
        let mut known: Vec<u16> = Vec::new();
        for kind in PROBLEMS {
            let status = kind.status;
            if known.contains(&status) {
                continue;
            }
            known.push(status);
            let titles: Vec<&str> = PROBLEMS
                .iter()
                .filter(|other| other.status == kind.status)
                .map(|other| other.title)
                .collect();
            let schema = utoipa::openapi::Ref::from_schema_name("Problem");
            let content = utoipa::openapi::ContentBuilder::new().schema(Some(schema)).build();
            let response = ResponseBuilder::new()
                .description(titles.join("; "))
                .content("application/problem+json", content)
                .build();
            responses = responses.response(status.to_string(), response);
        }
        responses.build().responses
    }
}

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
        .merge(tokens::routes());
    // The path is the protocol's.
    OpenApiRouter::with_openapi(Description::openapi())
        .nest("/api/v1", api)
        .merge(traces::routes())
        .split_for_parts()
}

/// The route of the description itself.
pub fn openapi_route(description: &utoipa::openapi::OpenApi) -> Router<App> {
    let text = description.to_pretty_json().unwrap_or_default();
    Router::new().route("/api/openapi.json", get(move || openapi(text.clone())))
}

async fn openapi(text: String) -> Response {
    ([(axum::http::header::CONTENT_TYPE, "application/json")], text).into_response()
}

/// Refuses to purge what a filter matches, unless the caller holds the store: a program's filter may match more than its
/// author thought.
fn check_purge(caller: &Caller, ids: &BTreeSet<String>) -> Result<(), Problem> {
    if ids.is_empty() && caller.person().is_some() {
        return Err(Problem::bad_request("purge takes ids only, not a filter"));
    }
    Ok(())
}

/// What a handler gives.
type Answer<T> = Result<Json<T>, Problem>;

/// JSON text as it stands.
fn raw(line: Vec<u8>) -> Result<Box<serde_json::value::RawValue>, Problem> {
    let text = String::from_utf8(line).map_err(Problem::internal)?;
    serde_json::value::RawValue::from_string(text).map_err(Problem::internal)
}
