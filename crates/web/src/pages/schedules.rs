//! Schedules: exports that run by themselves, listed, added, paused, run now and deleted.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use retort_model::{ConversationFilter, Grant, ItemKind, ScheduleState, TimeRule, WindowKind};
use retort_service::{Job, ScheduleDelivery, Scheduled, View};
use serde::Deserialize;

use super::arrangement::Arrangement;
use super::columns::Conversations;
use super::display::{capital, count, moment, sentence};
use super::filter_form::FilterForm;
use super::frame::{Frame, Nothing, Posted, Visit};
use super::options::{self, Given, Offered};
use super::response::{see_other, show, status_of, trouble};
use super::taken::{Path, Query};
use crate::app::App;
use crate::problem::Problem;
use crate::wire;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/schedules", get(list).post(add))
        .route("/schedules/new", get(form))
        .route("/schedules/{id}", get(show_one))
        .route("/schedules/{id}/pause", post(pause))
        .route("/schedules/{id}/resume", post(resume))
        .route("/schedules/{id}/run", post(run))
        .route("/schedules/{id}/delete", post(delete))
}

struct Row {
    id: i64,
    name: String,
    state: &'static str,
    is_active: bool,
    when: String,
    window: &'static str,
    next: String,
    delivered: String,
    /// The run that is under way.
    job: Option<i64>,
    /// What came of the last run.
    last: String,
    /// Why it is disabled.
    reason: Option<String>,
    /// Where the datasets go.
    destination: Option<String>,
    /// What was not delivered yet, and why.
    undelivered: Option<String>,
}

impl Row {
    fn of(one: &Scheduled) -> Self {
        let (schedule, timing) = (&one.schedule, &one.plan.timing);
        let when = match &timing.rule {
            TimeRule::Cron(cron) => format!("{cron} ({})", timing.zone),
            TimeRule::EveryHours(1, _) => "every hour".to_owned(),
            TimeRule::EveryHours(hours, _) => format!("every {hours} hours"),
        };
        let last = moment(schedule.last_at);
        let last = match &schedule.last_note {
            Some(note) => format!("{last}: {note}"),
            None => last,
        };
        let undelivered = (schedule.undelivered > 0).then(|| {
            let count = count(schedule.undelivered);
            match &schedule.delivery_error {
                Some(error) => format!("{count} not delivered: {error}"),
                None => format!("{count} not delivered yet"),
            }
        });
        Self {
            destination: one.destination().map(str::to_owned),
            undelivered,
            id: schedule.id,
            name: schedule.name.clone(),
            state: schedule.state.as_str(),
            is_active: schedule.state == ScheduleState::Active,
            when,
            window: window_name(timing.window),
            next: moment(schedule.next_at),
            delivered: count(schedule.delivered),
            job: schedule.job,
            last,
            reason: schedule.reason.as_deref().map(sentence),
        }
    }
}

fn window_name(window: WindowKind) -> &'static str {
    match window {
        WindowKind::All => "everything that matches",
        WindowKind::Changed => "new and changed",
        WindowKind::Period => "created in the last period",
    }
}

#[derive(Template)]
#[template(path = "schedules.html")]
struct Schedules {
    frame: Frame,
    rows: Vec<Row>,
    /// What came of a run that was asked for just now.
    told: Option<&'static str>,
    trouble: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Looking {
    /// Whether a run was asked for just now that had nothing to export.
    nothing: bool,
}

async fn list(State(app): State<App>, visit: Visit, Query(looking): Query<Looking>) -> Response {
    let told = looking.nothing.then_some("There is nothing new to export.");
    listed(&app, visit, told, None).await
}

async fn listed(
    app: &App,
    visit: Visit,
    told: Option<&'static str>,
    problem: Option<Problem>,
) -> Response {
    let frame = visit.frame("datasets");
    let found = match app.call(move |service| service.schedules(&visit.caller, false)).await {
        Ok(found) => found,
        Err(problem) => return trouble(&problem),
    };
    let status = status_of(problem.as_ref());
    let trouble = problem.map(|problem| sentence(problem.detail()));
    let rows = found.iter().map(Row::of).collect();
    show(status, &Schedules { frame, rows, told, trouble })
}

/// A run of a schedule.
struct Run {
    job: i64,
    state: String,
    at: String,
    items: String,
    records: String,
    /// The dataset's name, and its number while it is there.
    name: String,
    dataset: Option<i64>,
    /// Why it made none.
    note: Option<String>,
    delivery: Option<Shipment>,
}

/// A dataset's way to a destination.
struct Shipment {
    /// Where it goes; empty before the first attempt.
    place: String,
    /// When it was delivered.
    at: Option<String>,
    /// Why the last attempt failed, and when the next one is.
    failed: Option<String>,
}

impl Shipment {
    fn of(one: &ScheduleDelivery) -> Self {
        let place = [one.destination.as_deref(), one.path.as_deref()];
        let failed =
            one.error.as_ref().filter(|_| one.delivered_at.is_none()).map(|error| {
                match one.next_at {
                    Some(next) => {
                        format!("{} Next attempt: {}.", sentence(error), moment(Some(next)))
                    }
                    None => format!("{} Resume the schedule to try again.", sentence(error)),
                }
            });
        Self {
            place: place.into_iter().flatten().collect::<Vec<_>>().join(": "),
            at: one.delivered_at.map(|at| moment(Some(at))),
            failed,
        }
    }
}

impl Run {
    fn of(job: &Job, deliveries: &[ScheduleDelivery]) -> Self {
        Self {
            job: job.id,
            state: job.state.to_string().replace('-', " "),
            at: moment(job.finished_at.or(job.created_at)),
            items: count(job.progress.items_total),
            records: count(job.progress.records),
            name: job.name.clone(),
            dataset: job.dataset,
            note: job.error.as_deref().map(sentence),
            delivery: deliveries.iter().find(|one| one.job == job.id).map(Shipment::of),
        }
    }
}

#[derive(Template)]
#[template(path = "schedule.html")]
struct ScheduleShown {
    frame: Frame,
    one: Row,
    runs: Vec<Run>,
    /// The addresses of the visitor's webhooks that are limited to it.
    webhooks: Vec<String>,
}

async fn show_one(State(app): State<App>, visit: Visit, Path(id): Path<i64>) -> Response {
    let frame = visit.frame("datasets");
    let seen = app.call(move |service| {
        let found = service.schedule(&visit.caller, id)?;
        let runs = service.schedule_runs(&visit.caller, id)?;
        let webhooks = match visit.caller.grants().has(Grant::Manage) {
            true => service.webhooks(&visit.caller)?,
            false => Vec::new(),
        };
        Ok((found, runs, service.schedule_deliveries(&visit.caller, id)?, webhooks))
    });
    match seen.await {
        Ok((found, runs, deliveries, webhooks)) => {
            let runs = runs.iter().map(|job| Run::of(job, &deliveries)).collect();
            let limited = webhooks.into_iter().filter(|one| one.schedule == Some(id));
            let webhooks = limited.map(|one| one.url).collect();
            show(StatusCode::OK, &ScheduleShown { frame, one: Row::of(&found), runs, webhooks })
        }
        Err(problem) => trouble(&problem),
    }
}

/// What the form of a new schedule holds.
#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Form {
    name: String,
    cron: String,
    zone: String,
    window: String,
    dataset_name: String,
    data_format: String,
    file_format: String,
    keep_datasets: String,
    destination: String,
    prefix: String,
    by_date: bool,
    #[serde(flatten)]
    filtering: FilterForm<ConversationFilter>,
}

impl Form {
    fn given(&self) -> Given {
        [("data_format", &self.data_format), ("file_format", &self.file_format)]
            .into_iter()
            .filter(|(_, value)| !value.is_empty())
            .map(|(name, value)| (name.to_owned(), value.clone()))
            .collect()
    }

    fn data_formats(&self) -> Vec<Offered> {
        let mut given = self.given();
        given.entry("data_format".into()).or_insert_with(|| "standard".into());
        options::offered("data_format", &given, ItemKind::Conversation)
    }

    fn file_formats(&self) -> Vec<Offered> {
        options::offered("file_format", &self.given(), ItemKind::Conversation)
    }

    fn windows(&self) -> Vec<(&'static str, String, bool)> {
        let shown = |window: &WindowKind| {
            let name = window.as_str();
            (name, capital(window_name(*window)), self.window == name)
        };
        WindowKind::ALL.iter().map(shown).collect()
    }

    fn cron(&self) -> &str {
        if self.cron.is_empty() { "0 2 * * *" } else { &self.cron }
    }

    fn zone(&self) -> &str {
        if self.zone.is_empty() { "UTC" } else { &self.zone }
    }

    fn asked(&self) -> Result<wire::NewSchedule, Problem> {
        let options = wire::Options(options::asked(&self.given())?);
        let pattern = match self.dataset_name.trim() {
            "" => format!("{}_{{date}}", self.name.trim()),
            pattern => pattern.to_owned(),
        };
        let keep_datasets = match self.keep_datasets.trim() {
            "" => None,
            text => Some(text.parse().map_err(|_| {
                Problem::bad_request(format!("the number of datasets to keep is not `{text}`"))
            })?),
        };
        let selection = self.filtering.filter()?;
        let plan = wire::SchedulePlan {
            export: wire::Export::of(pattern, &selection.into(), options),
            cron: Some(self.cron().to_owned()),
            every_hours: None,
            zone: Some(self.zone().to_owned()),
            window: (!self.window.is_empty()).then(|| self.window.clone()),
            settle_minutes: None,
            keep_datasets,
            keep_days: None,
            destination: filled(&self.destination),
            prefix: filled(&self.prefix),
            by_date: self.by_date.then_some(true),
        };
        Ok(wire::NewSchedule { name: self.name.trim().to_owned(), plan })
    }
}

/// What was typed into a field that may stay empty.
fn filled(text: &str) -> Option<String> {
    Some(text.trim()).filter(|text| !text.is_empty()).map(str::to_owned)
}

#[derive(Template)]
#[template(path = "schedule_new.html")]
struct New {
    frame: Frame,
    /// The destinations that there are; none is chosen where none are.
    destinations: Vec<String>,
    /// Saved views to begin with: address and name.
    views: Vec<(String, String)>,
    form: Form,
    filtering: FilterForm<ConversationFilter>,
    trouble: Option<String>,
}

async fn form(State(app): State<App>, visit: Visit, Query(form): Query<Form>) -> Response {
    shown(&app, &visit, form, None).await
}

async fn shown(app: &App, visit: &Visit, form: Form, problem: Option<Problem>) -> Response {
    let caller = visit.caller.clone();
    let found = app.call(move |service| {
        // A token may export and not read; then there are no views to begin with.
        let reads = caller.grants().has(Grant::Read);
        let views = if reads { service.views(&caller)? } else { Vec::new() };
        Ok((service.destinations(&caller)?, views))
    });
    let (destinations, views) = match found.await {
        Ok(found) => found,
        Err(problem) => return trouble(&problem),
    };
    let view = |one: View| {
        (format!("/schedules/new?{}", Arrangement::<Conversations>::query_of(&one.shown)), one.name)
    };
    let views = views.into_iter().map(view).collect();
    let status = problem.as_ref().map_or(StatusCode::OK, |problem| status_of(Some(problem)));
    let trouble = problem.map(|problem| sentence(problem.detail()));
    let filtering = form.filtering.clone();
    let frame = visit.frame("datasets");
    show(status, &New { frame, destinations, views, form, filtering, trouble })
}

async fn add(State(app): State<App>, Posted { visit, form }: Posted<Form>) -> Response {
    let asked = match form.asked() {
        Ok(asked) => asked,
        Err(problem) => return shown(&app, &visit, form, Some(problem)).await,
    };
    let caller = visit.caller.clone();
    let now = match app.call(|service| Ok(service.now())).await {
        Ok(now) => now,
        Err(problem) => return trouble(&problem),
    };
    let added = match asked.plan.plan(now) {
        Ok(plan) => app.call(move |service| service.add_schedule(&caller, &asked.name, plan)).await,
        Err(problem) => Err(problem),
    };
    match added {
        Ok(_) => see_other("/schedules", None),
        Err(problem) => shown(&app, &visit, form, Some(problem)).await,
    }
}

async fn pause(
    State(app): State<App>,
    Path(id): Path<i64>,
    Posted { visit, .. }: Posted<Nothing>,
) -> Response {
    set_paused(&app, visit, id, true).await
}

async fn resume(
    State(app): State<App>,
    Path(id): Path<i64>,
    Posted { visit, .. }: Posted<Nothing>,
) -> Response {
    set_paused(&app, visit, id, false).await
}

async fn set_paused(app: &App, visit: Visit, id: i64, pause: bool) -> Response {
    match app.call(move |service| service.pause_schedule(&visit.caller, id, pause)).await {
        Ok(_) => see_other("/schedules", None),
        Err(problem) => trouble(&problem),
    }
}

async fn run(
    State(app): State<App>,
    Path(id): Path<i64>,
    Posted { visit, .. }: Posted<Nothing>,
) -> Response {
    let caller = visit.caller.clone();
    match app.call(move |service| service.run_schedule(&caller, id)).await {
        Ok(Some(job)) => see_other(&format!("/exports/{}", job.id), None),
        Ok(None) => see_other("/schedules?nothing=true", None),
        Err(problem) if problem.kind().status == 404 => trouble(&problem),
        Err(problem) => listed(&app, visit, None, Some(problem)).await,
    }
}

async fn delete(
    State(app): State<App>,
    Path(id): Path<i64>,
    Posted { visit, .. }: Posted<Nothing>,
) -> Response {
    match app.call(move |service| service.delete_schedule(&visit.caller, id)).await {
        Ok(()) => see_other("/schedules", None),
        Err(problem) => trouble(&problem),
    }
}
