//! Erasures of everything of a person. Names are in bodies, as addresses are logged.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use retort_service::Error;
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

/// Erasures on a page.
const PAGE: usize = 100;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_erasures, erase_person))
        .routes(routes!(preview_erasure))
        .routes(routes!(lift_erasure))
        .routes(routes!(get_erasure))
}

/// Which page of erasures.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
struct Behind {
    /// After this erasure: `next` of the previous page.
    after: Option<i64>,
}

/// List the erasures of the project, with the key of their receipts
#[utoipa::path(get, path = "/erasures", tag = "project", params(Behind),
    responses((status = 200, body = wire::Erasures)))]
async fn list_erasures(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Params(behind): Params<Behind>,
) -> Answer<wire::Erasures> {
    let found = app.call(move |service| {
        let (erasures, next) = service.erasures(&caller, behind.after, PAGE)?;
        let erasures = erasures.iter().map(wire::Erasure::try_from).collect::<Result<_, _>>()?;
        let public_key = service.receipt_key(&caller)?.to_pem();
        Ok::<_, Error>(wire::Erasures { erasures, next, public_key })
    });
    Ok(Json(found.await?))
}

/// Erase everything that belongs to a person
///
/// For owners of the project. Purges the person's items, deletes the datasets that contain nothing else, and queues the
/// other datasets that contain them to be rebuilt without them; running exports of these items are cancelled. From then
/// on, imports leave out what was erased and what names the person as its owner. Once the datasets are rebuilt, the
/// erasure has a signed receipt.
#[utoipa::path(post, path = "/erasures", tag = "project",
    request_body = wire::ErasurePerson, responses((status = 201, body = wire::Erasure)))]
async fn erase_person(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Json(asked): Json<wire::ErasurePerson>,
) -> Result<Response, Problem> {
    let erasure = app.call(move |service| {
        let begun = service.erase(&caller, &asked.person)?;
        wire::Erasure::try_from(&begun)
    });
    Ok((StatusCode::CREATED, Json(erasure.await?)).into_response())
}

/// Preview what an erasure of a person would erase
#[utoipa::path(post, path = "/erasures/preview", tag = "project",
    request_body = wire::ErasurePerson, responses((status = 200, body = wire::ErasurePreview)))]
async fn preview_erasure(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Json(asked): Json<wire::ErasurePerson>,
) -> Answer<wire::ErasurePreview> {
    let found = app.call(move |service| service.erasure(&caller, &asked.person)).await?;
    Ok(Json((&found).into()))
}

/// Lift the erasures of a person
///
/// For owners of the project. Imports then no longer leave out the person's items because of completed erasures.
#[utoipa::path(post, path = "/erasures/lift", tag = "project",
    request_body = wire::ErasurePerson, responses((status = 204)))]
async fn lift_erasure(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Json(asked): Json<wire::ErasurePerson>,
) -> Result<StatusCode, Problem> {
    app.call(move |service| service.lift_erasure(&caller, &asked.person)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Return an erasure, with its receipt once it is completed
#[utoipa::path(get, path = "/erasures/{id}", tag = "project", params(("id" = i64, Path)),
    responses((status = 200, body = wire::Erasure)))]
async fn get_erasure(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<i64>,
) -> Answer<wire::Erasure> {
    let found = app.call(move |service| {
        let erasure = service.erasure_of(&caller, id)?;
        wire::Erasure::try_from(&erasure)
    });
    Ok(Json(found.await?))
}
