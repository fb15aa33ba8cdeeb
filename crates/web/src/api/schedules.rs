//! Schedules: exports that run by themselves.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::Answer;
use super::dry_run::DryRun;
use super::query::Params;
use crate::app::App;
use crate::extract::{Json, Path};
use crate::problem::Problem;
use crate::who::ProjectCaller;
use crate::wire;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_schedules, add_schedule))
        .routes(routes!(show_schedule, edit_schedule, delete_schedule))
        .routes(routes!(pause_schedule))
        .routes(routes!(resume_schedule))
        .routes(routes!(run_schedule))
        .routes(routes!(list_schedule_runs))
        .routes(routes!(list_schedule_deliveries))
        .routes(routes!(show_schedule_series))
        .routes(routes!(list_destinations))
}

/// Whose schedules.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
struct Whose {
    /// Everyone's in the project, for its owners. Default: your own.
    everyone: Option<bool>,
}

/// List your schedules
#[utoipa::path(get, path = "/schedules", tag = "schedules", params(Whose),
    responses((status = 200, body = wire::Schedules)))]
async fn list_schedules(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Params(whose): Params<Whose>,
) -> Answer<wire::Schedules> {
    let everyone = whose.everyone.unwrap_or(false);
    let found = app.call(move |service| service.schedules(&caller, everyone)).await?;
    Ok(Json(wire::Schedules { schedules: found.iter().map(wire::Schedule::from).collect() }))
}

/// Add a schedule
///
/// Its exports run as the person who added it, and contain what that person may see at the time.
#[utoipa::path(post, path = "/schedules", tag = "schedules", params(DryRun), request_body = wire::NewSchedule,
    responses((status = 201, body = wire::Schedule), (status = 200, body = wire::Schedule, description = "A dry run")))]
async fn add_schedule(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Params(dry_run): Params<DryRun>,
    Json(asked): Json<wire::NewSchedule>,
) -> Result<Response, Problem> {
    let now = app.call(|service| Ok(service.now())).await?;
    let plan = asked.plan.plan(now)?;
    let caller = dry_run.of(caller);
    let made = app.call(move |service| service.add_schedule(&caller, &asked.name, plan)).await?;
    let status = dry_run.status(StatusCode::CREATED);
    Ok((status, Json(wire::Schedule::from(&made))).into_response())
}

/// Return a schedule
#[utoipa::path(get, path = "/schedules/{id}", tag = "schedules", params(("id" = i64, Path)), responses((status = 200, body = wire::Schedule)))]
async fn show_schedule(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<i64>,
) -> Answer<wire::Schedule> {
    let found = app.call(move |service| service.schedule(&caller, id)).await?;
    Ok(Json(wire::Schedule::from(&found)))
}

/// Change what a schedule exports, and when
///
/// If it then exports something else, its next run exports everything again.
#[utoipa::path(put, path = "/schedules/{id}", tag = "schedules", params(("id" = i64, Path), DryRun),
    request_body = wire::SchedulePlan,
    responses((status = 200, body = wire::Schedule)))]
async fn edit_schedule(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<i64>,
    Params(dry_run): Params<DryRun>,
    Json(asked): Json<wire::SchedulePlan>,
) -> Answer<wire::Schedule> {
    let now = app.call(|service| Ok(service.now())).await?;
    let plan = asked.plan(now)?;
    let caller = dry_run.of(caller);
    let edited = app.call(move |service| service.edit_schedule(&caller, id, plan)).await?;
    Ok(Json(wire::Schedule::from(&edited)))
}

/// Delete a schedule; its datasets stay
#[utoipa::path(delete, path = "/schedules/{id}", tag = "schedules", params(("id" = i64, Path)), responses((status = 204)))]
async fn delete_schedule(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<i64>,
) -> Result<StatusCode, Problem> {
    app.call(move |service| service.delete_schedule(&caller, id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Pause a schedule
#[utoipa::path(post, path = "/schedules/{id}/pause", tag = "schedules", params(("id" = i64, Path), DryRun), responses((status = 200, body = wire::Schedule)))]
async fn pause_schedule(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<i64>,
    Params(dry_run): Params<DryRun>,
) -> Answer<wire::Schedule> {
    let caller = dry_run.of(caller);
    let found = app.call(move |service| service.pause_schedule(&caller, id, true)).await?;
    Ok(Json(wire::Schedule::from(&found)))
}

/// Resume a schedule that was paused or disabled
#[utoipa::path(post, path = "/schedules/{id}/resume", tag = "schedules", params(("id" = i64, Path), DryRun), responses((status = 200, body = wire::Schedule)))]
async fn resume_schedule(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<i64>,
    Params(dry_run): Params<DryRun>,
) -> Answer<wire::Schedule> {
    let caller = dry_run.of(caller);
    let found = app.call(move |service| service.pause_schedule(&caller, id, false)).await?;
    Ok(Json(wire::Schedule::from(&found)))
}

/// Run a schedule now
#[utoipa::path(post, path = "/schedules/{id}/run", tag = "schedules", params(("id" = i64, Path), DryRun),
    responses((status = 202, body = wire::ScheduleRun), (status = 200, body = wire::ScheduleRun, description = "A dry run")))]
async fn run_schedule(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<i64>,
    Params(dry_run): Params<DryRun>,
) -> Result<Response, Problem> {
    let caller = dry_run.of(caller);
    let job = app.call(move |service| service.run_schedule(&caller, id)).await?;
    let run = wire::ScheduleRun { job: job.as_ref().map(wire::Job::from) };
    Ok((dry_run.status(StatusCode::ACCEPTED), Json(run)).into_response())
}

/// List the last 50 runs of a schedule, newest first
#[utoipa::path(get, path = "/schedules/{id}/runs", tag = "schedules", params(("id" = i64, Path)), responses((status = 200, body = wire::ScheduleRuns)))]
async fn list_schedule_runs(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<i64>,
) -> Answer<wire::ScheduleRuns> {
    let jobs = app.call(move |service| service.schedule_runs(&caller, id)).await?;
    Ok(Json(wire::ScheduleRuns { jobs: jobs.iter().map(wire::Job::from).collect() }))
}

/// List the last 50 deliveries of a schedule, newest first
#[utoipa::path(get, path = "/schedules/{id}/deliveries", tag = "schedules", params(("id" = i64, Path)), responses((status = 200, body = wire::DatasetDeliveries)))]
async fn list_schedule_deliveries(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<i64>,
) -> Answer<wire::DatasetDeliveries> {
    let found = app.call(move |service| service.schedule_deliveries(&caller, id)).await?;
    let deliveries = found.iter().map(wire::DatasetDelivery::from).collect();
    Ok(Json(wire::DatasetDeliveries { deliveries }))
}

/// Return the receipt of a schedule's current series
///
/// It lists the windows that were exported one after another, each with its dataset. `retort verify` compares datasets with it.
#[utoipa::path(get, path = "/schedules/{id}/series", tag = "schedules", params(("id" = i64, Path)), responses((status = 200, body = wire::Series)))]
async fn show_schedule_series(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<i64>,
) -> Answer<wire::Series> {
    let found = app.call(move |service| service.schedule_series(&caller, id)).await?;
    Ok(Json(wire::Series::from(found)))
}

/// List the destinations that schedules may deliver to
///
/// Operators configure them; the API cannot change them.
#[utoipa::path(get, path = "/destinations", tag = "schedules", 
    responses((status = 200, body = wire::Destinations)))]
async fn list_destinations(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
) -> Answer<wire::Destinations> {
    let destinations = app.call(move |service| service.destinations(&caller)).await?;
    Ok(Json(wire::Destinations { destinations }))
}
