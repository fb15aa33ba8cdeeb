//! Judging: reads the form with a judgement, and leads through a queue of conversations or runs.

use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use axum::{Extension, Router};
use retort_json::RawJson;
use retort_model::{ConversationFilter, Judging, MessagePosition, RunFilter, RunSource};
use retort_service::{JudgementTarget, OneJudgement, Queue};
use serde::Deserialize;

use super::addresses::{path_in, queue_of, run_in};
use super::filter_form::FilterForm;
use super::flows;
use super::frame::{Posted, Visit};
use super::response::{see_other, trouble};
use super::taken::{Path, Query};
use crate::app::App;
use crate::problem::Problem;

pub(super) fn routes() -> Router<App> {
    let conversations =
        Router::new().route("/judge", get(begin)).route("/conversations/{id}/judge", post(judge));
    let copilots = Router::new()
        .route("/copilots/{id}/judge", get(begin_runs))
        .route("/copilots/{id}/runs/{run}/judge", post(judge_run))
        .layer(Extension(RunSource::Copilot));
    let recipes = Router::new()
        .route("/recipes/{id}/judge", get(begin_runs))
        .route("/recipes/{id}/runs/{run}/judge", post(judge_run))
        .layer(Extension(RunSource::Recipe));
    let applications = Router::new()
        .route("/applications/{id}/judge", get(begin_runs))
        .route("/applications/{id}/runs/{run}/judge", post(judge_run))
        .layer(Extension(RunSource::Application));
    conversations.merge(copilots).merge(recipes).merge(applications)
}

/// The URL of the list at a path, once nothing in it is left to judge.
fn done(path: &str, list: &str) -> String {
    match list {
        "" => format!("{path}?judged_all=1"),
        list => format!("{path}?{list}&judged_all=1"),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Begun {
    queue: String,
    #[serde(flatten)]
    filtering: FilterForm<ConversationFilter>,
}

/// Redirects to the first conversation of a list that is left to judge.
async fn begin(State(app): State<App>, visit: Visit, Query(begun): Query<Begun>) -> Response {
    let filter = match begun.filtering.filter() {
        Ok(filter) => filter,
        Err(problem) => return trouble(&problem),
    };
    let queue = queue_of(&begun.queue).unwrap_or(Queue::Mine);
    let list = begun.filtering.query();
    let next = app.call(move |service| service.next_to_judge(&visit.caller, &filter, queue, None));
    led(next.await.map(|found| {
        let to = found.next.map(|one| path_in(Some(queue), &one.id, &one.source, &list));
        to.unwrap_or_else(|| done("/export", &list))
    }))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct RunsBegun {
    queue: String,
    #[serde(flatten)]
    filtering: FilterForm<RunFilter>,
}

/// Redirects to the first run of a history that is left to judge.
async fn begin_runs(
    State(app): State<App>,
    Extension(source): Extension<RunSource>,
    visit: Visit,
    Path(flow): Path<String>,
    Query(begun): Query<RunsBegun>,
) -> Response {
    let filter = match begun.filtering.filter() {
        Ok(filter) => RunFilter { source: Some(source), flow: Some(flow.clone()), ..filter },
        Err(problem) => return trouble(&problem),
    };
    let queue = queue_of(&begun.queue).unwrap_or(Queue::Mine);
    let list = begun.filtering.query();
    let next = app.call(move |service| {
        service.flow(&visit.caller, Some(source), &flow)?;
        let next = service.next_run_to_judge(&visit.caller, &filter, queue, None)?.next;
        let to = next.map(|one| run_in(Some(queue), &one, &list));
        Ok(to.unwrap_or_else(|| done(&flows::path(source, &flow), &list)))
    });
    led(next.await)
}

/// Redirects to a page.
fn led(to: Result<String, Problem>) -> Response {
    match to {
        Ok(to) => see_other(&to, None),
        Err(problem) => trouble(&problem),
    }
}

/// The form with a judgement.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Said {
    source: String,
    from: String,
    queue: String,
    leaf: String,
    after: String,
    /// The action, and the answer: `good:3:1:HASH`. If no answer is named, it is the last one.
    act: String,
    rating: String,
    label: String,
    comment: String,
    truth: String,
    unlearnt: Option<String>,
    answer: Option<String>,
}

/// The action that saves the whole form and goes on to the next item.
const NEXT: &str = "next";

/// The text of a form field with the line ends that were typed: browsers send `\r\n`.
fn lines(text: &str) -> String {
    text.replace("\r\n", "\n")
}

impl Said {
    fn says(&self, act: &str) -> Result<OneJudgement, Problem> {
        let rating = |json: &str| {
            let raw = RawJson::owned(json);
            raw.map(|raw| Judging { rating: Some(Some(raw)), ..Judging::default() })
        };
        let bad = |_| Problem::bad_request("the rating is not JSON");
        let learns = |train| Judging { train: Some(train), ..Judging::default() };
        let says = match act {
            "good" => rating("true").map_err(bad)?,
            "bad" => rating("false").map_err(bad)?,
            "unrate" => Judging { rating: Some(None), ..Judging::default() },
            "unlearn" => learns(Some(false)),
            "learn" => learns(None),
            "save" | NEXT => Judging {
                rating: match &*self.rating {
                    "" => Some(None),
                    json => rating(json).map_err(bad)?.rating,
                },
                label: Some(Some(self.label.trim().to_owned())),
                comment: Some(Some(lines(&self.comment))),
                ground_truth: Some(Some(lines(&self.truth))),
                train: Some(self.unlearnt.as_ref().map(|_| false)),
            },
            _ => return Err(Problem::bad_request("the form has no known action")),
        };
        let corrected = self
            .answer
            .as_ref()
            .filter(|_| matches!(act, "save" | NEXT))
            .map(|text| Some(lines(text)).filter(|text| !text.trim().is_empty()));
        Ok(OneJudgement { says, corrected, ..OneJudgement::default() })
    }

    /// Whether the next item of the queue follows: always after a rating of the last answer, otherwise only on request.
    fn goes_on(&self, one: &OneJudgement, place: Option<MessagePosition>) -> bool {
        let is_rated = one.says.rating.as_ref().is_some_and(Option::is_some);
        place.is_none() && is_rated || self.act.starts_with(NEXT)
    }

    /// The judgement, and the position of the answer; none for the last answer.
    fn read(&self) -> Result<(OneJudgement, Option<MessagePosition>), Problem> {
        let mut parts = self.act.split(':');
        let one = self.says(parts.next().unwrap_or_default())?;
        let rest: Vec<&str> = parts.collect();
        let [round, message, read] = rest.as_slice() else {
            return Ok((OneJudgement { target: JudgementTarget::LastAnswer, ..one }, None));
        };
        let number = |text: &str| {
            text.parse().map_err(|_| Problem::bad_request("the form does not name a message"))
        };
        let place = MessagePosition { round: number(round)?, message: number(message)? };
        let read = u64::from_str_radix(read, 16).ok();
        Ok((OneJudgement { target: JudgementTarget::Message(place), read, ..one }, Some(place)))
    }
}

async fn judge(
    State(app): State<App>,
    Path(id): Path<String>,
    Posted { visit, form }: Posted<Said>,
) -> Response {
    let (one, place) = match form.read() {
        Ok(read) => read,
        Err(problem) => return trouble(&problem),
    };
    let queue = queue_of(&form.queue);
    let judged = app.call(move |service| {
        let caller = &visit.caller;
        let source = Some(&*form.source).filter(|source| !source.is_empty());
        service.judge_one(caller, (&id, source), &one)?;
        let here = path_in(queue, &id, &form.source, &form.from);
        let Some(queue) = queue.filter(|_| form.goes_on(&one, place)) else {
            let mut to = here;
            for (name, value) in [("leaf", &form.leaf), ("after", &form.after)] {
                if value.parse::<usize>().is_ok() {
                    to = format!("{to}&{name}={value}");
                }
            }
            if let Some(MessagePosition { round, message }) = place {
                to = format!("{to}#m-{round}-{message}");
            }
            return Ok(to);
        };
        let filter = FilterForm::<ConversationFilter>::at(&form.from);
        let summary = service.find_one(caller, &id, source)?;
        let next = service.next_to_judge(caller, &filter, queue, Some(&summary))?.next;
        let next = next.map(|one| {
            let path = path_in(Some(queue), &one.id, &one.source, &form.from);
            let mut query = url::form_urlencoded::Serializer::new(path);
            query.append_pair("judged", &id).append_pair("judged_source", &form.source).finish()
        });
        Ok(next.unwrap_or_else(|| done("/export", &form.from)))
    });
    led(judged.await)
}

async fn judge_run(
    State(app): State<App>,
    Extension(source): Extension<RunSource>,
    Path((flow, id)): Path<(String, String)>,
    Posted { visit, form }: Posted<Said>,
) -> Response {
    let (one, place) = match form.read() {
        Ok(read) => read,
        Err(problem) => return trouble(&problem),
    };
    let queue = queue_of(&form.queue);
    let judged = app.call(move |service| {
        let caller = &visit.caller;
        let which = (&*id, (Some(source), Some(&*flow)));
        service.judge_run(caller, which, &one)?;
        let summary = service.find_run(caller, which.0, which.1)?;
        let Some(queue) = queue.filter(|_| form.goes_on(&one, place)) else {
            let anchor = if place.is_some() { "#m-0-0" } else { "" };
            return Ok(format!("{}{anchor}", run_in(queue, &summary, &form.from)));
        };
        let filter = FilterForm::<RunFilter>::at(&form.from);
        let filter = RunFilter { source: Some(source), flow: Some(flow.clone()), ..filter };
        let next = service.next_run_to_judge(caller, &filter, queue, Some(&summary))?.next;
        let next = next.map(|one| {
            let path = run_in(Some(queue), &one, &form.from);
            let mut query = url::form_urlencoded::Serializer::new(path);
            query.append_pair("judged", &id).finish()
        });
        Ok(next.unwrap_or_else(|| done(&flows::path(source, &flow), &form.from)))
    });
    led(judged.await)
}
