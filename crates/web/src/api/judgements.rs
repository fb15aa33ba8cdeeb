//! `/judgements`: what people and evaluators say of answers.

use axum::extract::{Request, State};
use retort_json::RawJson;
use retort_model::bounds::REQUEST_BYTES;
use retort_model::{Judging, MessagePosition};
use retort_service::{JudgementTarget, OneJudgement};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::Answer;
use super::dry_run::DryRun;
use super::query::Params;
use super::runs::{Of, source as source_of};
use crate::app::App;
use crate::extract::{Json, Path, refuse_multipart, whole_body};
use crate::problem::Problem;
use crate::who::ProjectCaller;
use crate::wire;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(import_judgements))
        .routes(routes!(judge_conversation))
        .routes(routes!(judge_run))
}

/// Add judgements to runs and conversations
///
/// CSV with a header, JSON Lines or a JSON list; each row has the id of a run or conversation (`ID#2` is its second answer),
/// and any of `ground_truth`, `score`, `label`, `comment`, `corrected_answer` and `author`. Up to 16 MiB.
#[utoipa::path(post, path = "/judgements", tag = "conversations", params(DryRun),
    request_body(content((String = "text/csv"), (String = "application/x-ndjson"), (serde_json::Value = "application/json"))),
    responses((status = 200, body = wire::Judged)))]
async fn import_judgements(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Params(dry_run): Params<DryRun>,
    request: Request,
) -> Answer<wire::Judged> {
    let caller = dry_run.of(caller);
    refuse_multipart(request.headers())?;
    let body = whole_body(request, REQUEST_BYTES).await?;
    let report = app.call_with_body(body.len(), move |service| service.judge(&caller, &body[..]));
    Ok(Json(wire::Judged::from(report.await?)))
}

/// Judge a conversation or one of its messages
///
/// Stores the caller's judgement, in place of an earlier one of theirs. Exports use the latest judgement; `judgements`
/// of the message lists all of them with author and time.
#[utoipa::path(post, path = "/conversations/{id}/judgements", tag = "conversations", params(("id" = String, Path)),
    request_body = wire::JudgeOne, responses((status = 200, body = wire::Changed)))]
async fn judge_conversation(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<String>,
    Json(asked): Json<wire::JudgeOne>,
) -> Answer<wire::Changed> {
    let target = match (asked.answer, asked.round, asked.message) {
        (None, None, None) => JudgementTarget::Conversation,
        (Some(number), None, None) => JudgementTarget::Answer(number),
        (None, Some(round), Some(message)) => {
            JudgementTarget::Message(MessagePosition { round, message })
        }
        _ => {
            return Err(Problem::bad_request(
                "give `answer`, or `round` with `message`, or neither",
            ));
        }
    };
    let source = asked.source.clone();
    let one = OneJudgement { target, ..read(asked)? };
    let changed =
        app.call(move |service| service.judge_one(&caller, (&id, source.as_deref()), &one));
    Ok(Json(wire::Changed { changed: u64::from(changed.await?) }))
}

/// Judge a run
///
/// What the caller says of its answer, over what they said before. It counts in exports, where what was said last counts, and
/// is listed with its author and time in `judgements` of the run. A `corrected_answer` is what the answer should have been,
/// unless `ground_truth` says it; nothing is overwritten.
#[utoipa::path(post, path = "/runs/{id}/judgements", tag = "runs", params(("id" = String, Path), Of),
    request_body = wire::JudgeOne, responses((status = 200, body = wire::Changed)))]
async fn judge_run(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<String>,
    Params(of): Params<Of>,
    Json(asked): Json<wire::JudgeOne>,
) -> Answer<wire::Changed> {
    if asked.source.is_some() || asked.answer.or(asked.round).or(asked.message).is_some() {
        return Err(Problem::bad_request(
            "`source`, `answer`, `round` and `message` are for conversations",
        ));
    }
    let source = source_of(of.source.as_deref())?;
    let one = read(asked)?;
    let changed = app.call(move |service| {
        service.judge_run(&caller, (&id, (source, of.source_id.as_deref())), &one)
    });
    Ok(Json(wire::Changed { changed: u64::from(changed.await?) }))
}

/// What is said, of no message yet.
fn read(asked: wire::JudgeOne) -> Result<OneJudgement, Problem> {
    let rating = asked.rating.map(|rating| rating.map(|rating| rating.to_string()));
    let rating = match rating {
        Some(Some(text)) => Some(Some(RawJson::owned(&text).map_err(Problem::internal)?)),
        other => other.map(|_| None),
    };
    let says = Judging {
        rating,
        label: asked.label,
        comment: asked.comment,
        ground_truth: asked.ground_truth,
        train: asked.train,
    };
    if says.is_nothing() && asked.corrected_answer.is_none() {
        return Err(Problem::bad_request(
            "the judgement is empty: give `rating`, `label` or another field",
        ));
    }
    Ok(OneJudgement { says, corrected: asked.corrected_answer, ..Default::default() })
}
