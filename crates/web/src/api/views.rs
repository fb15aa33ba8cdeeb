//! `/views`: filters of conversations under a name.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use retort_service::Shown;
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

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_views, save_view)).routes(routes!(delete_view))
}

/// Which views.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Only the view with this name: yours, or else a shared one.
    name: Option<String>,
}

/// List saved views: yours, and those that others share
#[utoipa::path(get, path = "/views", tag = "conversations", params(Which),
    responses((status = 200, body = wire::Views)))]
async fn list_views(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Params(which): Params<Which>,
) -> Answer<wire::Views> {
    let views = app.call(move |service| match &which.name {
        Some(name) => Ok(vec![service.view(&caller, name)?]),
        None => service.views(&caller),
    });
    let views = views.await?;
    Ok(Json(wire::Views { views: views.into_iter().map(wire::View::from).collect() }))
}

/// Save a filter under a name
///
/// It replaces your view of that name.
#[utoipa::path(post, path = "/views", tag = "conversations", request_body = wire::NewView,
    responses((status = 201, body = wire::SavedView)))]
async fn save_view(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Json(asked): Json<wire::NewView>,
) -> Result<Response, Problem> {
    let wire::NewView { name, filter, shared, sort, columns } = asked;
    let shown = Shown { filter, order: wire::order(sort.as_deref())?, columns };
    let id = app.call(move |service| service.save_view(&caller, &name, &shown, shared)).await?;
    Ok((StatusCode::CREATED, Json(wire::SavedView { id })).into_response())
}

/// Delete a saved view
#[utoipa::path(delete, path = "/views/{id}", tag = "conversations", params(("id" = i64, Path)),
    responses((status = 204)))]
async fn delete_view(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<i64>,
) -> Result<StatusCode, Problem> {
    app.call(move |service| service.delete_view(&caller, id)).await?;
    Ok(StatusCode::NO_CONTENT)
}
