//! `/judgements`: what people and evaluators say of answers.

use axum::extract::{Request, State};
use retort_model::bounds::REQUEST_BYTES;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::Answer;
use crate::app::App;
use crate::extract::{Json, refuse_multipart, whole_body};
use crate::who::ProjectCaller;
use crate::wire;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(import_judgements))
}

/// Add judgements to runs and conversations
///
/// CSV with a header, JSON Lines or a JSON list; each row has the id of a run or conversation (`ID#2` is its second answer),
/// and any of `ground_truth`, `score`, `label`, `comment`, `corrected_answer` and `author`. Up to 16 MiB.
#[utoipa::path(post, path = "/judgements", tag = "conversations",
    request_body(content((String = "text/csv"), (String = "application/x-ndjson"), (serde_json::Value = "application/json"))),
    responses((status = 200, body = wire::Judged)))]
async fn import_judgements(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    request: Request,
) -> Answer<wire::Judged> {
    refuse_multipart(request.headers())?;
    let body = whole_body(request, REQUEST_BYTES).await?;
    let report = app.call_with_body(body.len(), move |service| service.judge(&caller, &body[..]));
    Ok(Json(wire::Judged::from(report.await?)))
}
