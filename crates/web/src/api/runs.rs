//! Runs: brought in, listed, read, charted, purged; and the copilots and recipes that they were executions of.

use axum::extract::{Request, State};
use axum::response::{IntoResponse, Response};
use retort_model::{ItemKind, RunFilter, RunSource};
use retort_service::RunOrder;
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::{Answer, raw};
use super::idempotency::IdempotencyKey;
use super::imports::import_upload;
use super::intake::{self, Intake};
use super::paging::{Page, Paged};
use super::query::{Params, check_purge};
use crate::app::App;
use crate::extract::{Json, Path, is_lines};
use crate::problem::Problem;
use crate::who::ProjectCaller;
use crate::wire;
use crate::wire::Filtered;

/// The import format of runs, if none is named.
const FORMAT: &str = "runs";

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_runs, import_runs))
        .routes(routes!(count_runs))
        .routes(routes!(run_stats))
        .routes(routes!(purge_runs))
        .routes(routes!(show_run))
        .routes(routes!(list_flows))
        .routes(routes!(show_flow))
}

/// The copilot or recipe.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub(super) struct Of {
    /// `copilot`, `recipe` or `application`, where the id alone is not enough.
    pub(super) source: Option<String>,
    /// Id of the copilot, recipe or application, where the request id alone is not enough.
    pub(super) source_id: Option<String>,
}

/// Copilots, recipes or both.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
struct Which {
    /// `copilot` or `recipe`. Default: both.
    source: Option<String>,
}

pub(super) fn source(text: Option<&str>) -> Result<Option<RunSource>, Problem> {
    text.map(|text| text.parse().map_err(|error: String| Problem::bad_request(error))).transpose()
}

/// List runs
#[utoipa::path(get, path = "/runs", tag = "runs", params(wire::filter::Runs, Page, wire::Sorting<wire::RunOrder>),
    responses((status = 200, body = wire::RunPage)))]
async fn list_runs(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Paged { filter, page, order }: Paged<RunFilter, RunOrder>,
) -> Answer<wire::RunPage> {
    let (after, most) = (page.after()?, page.most()?);
    let page = app.call(move |service| service.runs(&caller, &filter, order, after, most)).await?;
    Ok(Json(wire::RunPage {
        runs: page.runs.iter().map(wire::Run::from).collect(),
        next: page.next.map(|next| next.to_string()),
    }))
}

/// Count runs
#[utoipa::path(get, path = "/runs/count", tag = "runs", params(wire::filter::Runs),
    responses((status = 200, body = wire::Count)))]
async fn count_runs(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Filtered(filter): Filtered<RunFilter>,
) -> Answer<wire::Count> {
    let total = app.call(move |service| service.count_runs(&caller, &filter)).await?;
    Ok(Json(wire::Count { total }))
}

/// Return volume, failures and latency of runs over time
///
/// Of the most recent million runs that match the filter.
#[utoipa::path(get, path = "/runs/stats", tag = "runs", params(wire::filter::Runs),
    responses((status = 200, body = wire::RunStats)))]
async fn run_stats(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Filtered(filter): Filtered<RunFilter>,
) -> Answer<wire::RunStats> {
    let charts = app.call(move |service| service.run_charts(&caller, &filter)).await?;
    Ok(Json(charts.into()))
}

/// Import runs, or update them
///
/// As `application/json`, an object or an array of up to 16 MiB is imported in the request (200). As
/// `application/x-ndjson` of any size, one run per line, uncompressed or compressed with gzip or zstd, runs are
/// streamed and imported by a job (202); `/imports/{id}` returns its state. A run that has not ended is updated by
/// later requests with its `request_id`: fields in the request replace the stored ones. A run that has ended accepts
/// feedback, ground truth, and fields that it did not have.
#[utoipa::path(post, path = "/runs", tag = "runs", params(IdempotencyKey, Intake),
    request_body(content((serde_json::Value = "application/json"), (String = "application/x-ndjson"))),
    responses((status = 200, body = wire::ImportResult), (status = 202, body = wire::Job)))]
async fn import_runs(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Params(intake): Params<Intake>,
    request: Request,
) -> Result<Response, Problem> {
    let intake = Intake { from: intake.from.or_else(|| Some(FORMAT.into())), ..intake };
    if is_lines(request.headers()) {
        return import_upload(app, caller, intake, request).await;
    }
    intake::take_in(app, caller, ItemKind::Run, intake, request).await
}

/// Permanently delete runs
#[utoipa::path(post, path = "/runs/purge", tag = "runs", request_body = wire::PurgeRuns,
    responses((status = 200, body = wire::Purged)))]
async fn purge_runs(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Json(asked): Json<wire::PurgeRuns>,
) -> Answer<wire::Purged> {
    let selection = asked.selection;
    if selection.limit.is_some() {
        return Err(Problem::bad_request("a purge takes no `limit`"));
    }
    check_purge(&caller, &selection.ids)?;
    let purged = app.call(move |service| service.purge_runs(&caller, &selection)).await?;
    Ok(Json(wire::Purged { purged }))
}

/// Return a complete run
#[utoipa::path(get, path = "/runs/{id}", tag = "runs", params(("id" = String, Path), Of),
    responses((status = 200, body = wire::WholeRun)))]
async fn show_run(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<String>,
    Params(of): Params<Of>,
) -> Result<Response, Problem> {
    let source = source(of.source.as_deref())?;
    app.answer(move |service| {
        let (summary, line) = service.run(&caller, &id, (source, of.source_id.as_deref()))?;
        let summary = wire::Run::from(&summary);
        Ok(Json(wire::WholeRun { summary, run: raw(line)? }).into_response())
    })
    .await
}

/// List the copilots and recipes that have runs
#[utoipa::path(get, path = "/flows", tag = "runs", params(Which),
    responses((status = 200, body = wire::Flows)))]
async fn list_flows(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Params(which): Params<Which>,
) -> Answer<wire::Flows> {
    let source = source(which.source.as_deref())?;
    let found = app.call(move |service| service.flows(&caller, source)).await?;
    Ok(Json(wire::Flows { flows: found.iter().map(wire::Flow::from).collect() }))
}

/// Return a copilot or recipe with its versions and nodes
#[utoipa::path(get, path = "/flows/{id}", tag = "runs", params(("id" = String, Path), Which),
    responses((status = 200, body = wire::WholeFlow)))]
async fn show_flow(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<String>,
    Params(which): Params<Which>,
) -> Answer<wire::WholeFlow> {
    let source = source(which.source.as_deref())?;
    let found = app.call(move |service| service.flow(&caller, source, &id)).await?;
    Ok(Json(wire::WholeFlow::from(&found)))
}
