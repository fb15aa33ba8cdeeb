//! Export Manager: conversations found and chosen, a dataset shaped, looked at beforehand and asked for.

use std::collections::BTreeSet;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use retort_model::{Check, ItemKind, JobKind, Selection};
use retort_service::{
    Choice, Chosen, Cursor, ExportRequest, Order, Page, Sample, Service, Summary, data, file,
    preview_package,
};
use serde::{Deserialize, Serialize};

use super::filtering::Filtering;
use super::frame::{Frame, Posted, Visit, wants_json};
use super::records::{Record, readable};
use super::taken::{Path, Query};
use super::words::{capital, count, day, percent, size};
use super::{see_other, show, trouble};
use crate::app::App;
use crate::extract::Json;
use crate::problem::Problem;
use crate::wire;

/// Conversations on a page.
const PAGE: usize = 50;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/export", get(manager))
        .route("/export/choose", post(choose))
        .route("/export/check", post(check))
        .route("/export/confirm", post(confirm))
        .route("/exports/{id}", get(progress))
        .route("/exports/{id}/cancel", post(cancel))
        .route("/exports/{id}/retry", post(retry))
}

/// A conversation as the list shows it.
struct Row {
    id: String,
    path: String,
    title: String,
    is_favorite: bool,
    status: String,
    kind: String,
    tags: Vec<String>,
    model: String,
    rounds: String,
    created: String,
    is_chosen: bool,
}

impl Row {
    fn of(summary: &Summary, chosen: &Chosen) -> Self {
        let title = summary.title.clone().filter(|title| !title.trim().is_empty());
        Self {
            id: summary.id.clone(),
            path: super::conversation::path(&summary.id, &summary.source),
            title: title.unwrap_or_else(|| summary.id.clone()),
            is_favorite: summary.status == retort_model::Status::Favorite,
            status: summary.status.to_string(),
            kind: summary.kind.to_string(),
            tags: summary.tags.clone(),
            model: summary.model.clone().unwrap_or_default(),
            rounds: count(summary.rounds),
            created: day(summary.created_at),
            is_chosen: chosen.here.contains(&summary.key),
        }
    }
}

/// A format that can be chosen.
struct Offered {
    name: &'static str,
    about: &'static str,
    is_chosen: bool,
}

/// What the form of the dataset holds.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
struct Form {
    dataset_name: String,
    file_name: String,
    file_format: String,
    data_format: String,
    check: String,
    /// A checkbox: sent as `true`, or not at all.
    fill: bool,
}

impl Default for Form {
    fn default() -> Self {
        let making = wire::Making::default();
        Self {
            dataset_name: String::new(),
            file_name: ItemKind::Conversation.plural().into(),
            file_format: making.file_format,
            data_format: "standard".into(),
            check: making.check,
            fill: making.fill,
        }
    }
}

impl Form {
    fn making(&self) -> wire::Making {
        wire::Making {
            file_name: Some(self.file_name.clone()),
            file_format: self.file_format.clone(),
            data_format: Some(self.data_format.clone()),
            check: self.check.clone(),
            fill: self.fill,
            ..wire::Making::default()
        }
    }

    fn file_formats(&self) -> Vec<Offered> {
        let chosen = |name: &str| name == self.file_format;
        file::FORMATS
            .iter()
            .map(|one| Offered {
                name: one.name(),
                about: one.about(),
                is_chosen: chosen(one.name()),
            })
            .collect()
    }

    fn data_formats(&self) -> Vec<Offered> {
        let chosen = |name: &str| name == self.data_format;
        data::FORMATS
            .iter()
            .filter(|one| one.items().contains(&ItemKind::Conversation))
            .map(|one| Offered {
                name: one.name(),
                about: one.about(),
                is_chosen: chosen(one.name()),
            })
            .collect()
    }

    fn checks(&self) -> Vec<Offered> {
        Check::ALL
            .iter()
            .map(|&check| Offered {
                name: check.as_str(),
                about: match check {
                    Check::Repair => "Repair what can be repaired, leave the rest out",
                    Check::Reject => "Repair nothing, leave out what a trainer refuses",
                    Check::Off => "Write every record as it is, and count what a trainer refuses",
                },
                is_chosen: check.as_str() == self.check,
            })
            .collect()
    }
}

#[derive(Template)]
#[template(path = "export.html")]
struct Manager {
    frame: Frame,
    filtering: Filtering,
    query: String,
    rows: Vec<Row>,
    matching: String,
    total: u64,
    chosen: String,
    hidden: u64,
    next: Option<String>,
    form: Form,
    trouble: Option<String>,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Looking {
    #[serde(flatten)]
    filtering: Filtering,
    after: Option<String>,
}

/// What the manager shows of the store.
struct Seen {
    page: Page,
    matching: u64,
    chosen: Chosen,
}

fn see(
    service: &Service,
    visit: &Visit,
    filter: &Selection,
    after: Option<Cursor>,
) -> Result<Seen, retort_service::Error> {
    let caller = &visit.caller;
    let page = service.list(caller, filter, Order::Newest, after, PAGE)?;
    let matching = service.count(caller, filter)?;
    let choice = service.choice(caller)?;
    let keys: Vec<i64> = page.conversations.iter().map(|one| one.key).collect();
    let chosen = service.chosen(caller, &choice, filter, matching, &keys)?;
    Ok(Seen { page, matching, chosen })
}

async fn manager(State(app): State<App>, visit: Visit, Query(looking): Query<Looking>) -> Response {
    let Looking { filtering, after } = looking;
    manage(&app, visit, filtering, after, Form::default(), None).await
}

async fn manage(
    app: &App,
    visit: Visit,
    filtering: Filtering,
    after: Option<String>,
    form: Form,
    problem: Option<Problem>,
) -> Response {
    let filter = match filtering.selection() {
        Ok(filter) => filter,
        Err(problem) => return trouble(&problem),
    };
    let after = match after.filter(|after| !after.is_empty()).map(|after| after.parse()).transpose()
    {
        Ok(after) => after,
        Err(error) => return trouble(&Problem::bad_request(error)),
    };
    let frame = visit.frame("export");
    let seen = app.call(move |service| see(service, &visit, &filter, after)).await;
    let Seen { page, matching, chosen } = match seen {
        Ok(seen) => seen,
        Err(problem) => return trouble(&problem),
    };
    let status = problem.as_ref().map_or(200, |problem| problem.kind().status);
    let manager = Manager {
        frame,
        query: filtering.query(),
        filtering,
        rows: page.conversations.iter().map(|one| Row::of(one, &chosen)).collect(),
        matching: count(matching),
        total: chosen.total,
        chosen: count(chosen.total),
        hidden: chosen.hidden,
        next: page.next.map(|next| next.to_string()),
        form,
        trouble: problem.map(|problem| problem.detail().to_owned()),
    };
    show(StatusCode::from_u16(status).unwrap_or(StatusCode::OK), &manager)
}

/// What is to be chosen.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Choosing {
    /// `all`, `none`, or else the rows as they are marked.
    action: String,
    /// The rows that the page shows.
    shown: Vec<String>,
    /// Those of them that are marked.
    id: Vec<String>,
    after: Option<String>,
    #[serde(flatten)]
    filtering: Filtering,
}

/// How a choice stands, for the page's script.
#[derive(Serialize)]
struct Standing {
    chosen: u64,
    hidden: u64,
    matching: u64,
}

async fn choose(
    State(app): State<App>,
    headers: HeaderMap,
    Posted { visit, form }: Posted<Choosing>,
) -> Response {
    let Choosing { action, shown, id, after, filtering } = form;
    let filter = match filtering.selection() {
        Ok(filter) => filter,
        Err(problem) => return trouble(&problem),
    };
    let wants_json = wants_json(&headers);
    let changed = app.call(move |service| {
        let caller = &visit.caller;
        let choice = match action.as_str() {
            "all" => service.choose_all(caller, &filter)?,
            "none" => service.choose_none(caller)?,
            _ => {
                let marked: BTreeSet<String> = id.into_iter().collect();
                let others: BTreeSet<String> =
                    shown.into_iter().filter(|id| !marked.contains(id)).collect();
                if !marked.is_empty() {
                    service.choose(caller, &marked, true)?;
                }
                if others.is_empty() {
                    service.choice(caller)?
                } else {
                    service.choose(caller, &others, false)?
                }
            }
        };
        let matching = if wants_json { service.count(caller, &filter)? } else { 0 };
        let chosen = if wants_json {
            service.chosen(caller, &choice, &filter, matching, &[])?
        } else {
            Chosen::default()
        };
        Ok(Standing { chosen: chosen.total, hidden: chosen.hidden, matching })
    });
    match changed.await {
        Ok(standing) if wants_json => Json(standing).into_response(),
        Ok(_) => {
            let mut to = format!("/export?{}", filtering.query());
            if let Some(after) = after.filter(|after| !after.is_empty()) {
                to.push_str("&after=");
                to.push_str(&after);
            }
            see_other(&to, None)
        }
        Err(problem) if wants_json => problem.into_response(),
        Err(problem) => trouble(&problem),
    }
}

#[derive(Template)]
#[template(path = "check.html")]
struct Checked {
    frame: Frame,
    form: Form,
    total: String,
    looked_at: String,
    is_whole: bool,
    found: Vec<(String, String, &'static str)>,
    records: Vec<Record>,
}

fn request(form: &Form, choice: &Choice) -> Result<ExportRequest, Problem> {
    let dataset = form.making().plan(&form.dataset_name, ItemKind::Conversation)?;
    let selection = choice
        .selection()
        .ok_or_else(|| Problem::bad_request("nothing is chosen yet: mark rows, or select all"))?;
    Ok(ExportRequest { selection: selection.into(), dataset })
}

/// Shows what an export would find, before it is confirmed.
async fn check(State(app): State<App>, Posted { visit, form }: Posted<Form>) -> Response {
    let caller = visit.caller.clone();
    let choice = match app.call(move |service| service.choice(&caller)).await {
        Ok(choice) => choice,
        Err(problem) => return trouble(&problem),
    };
    let sample = match request(&form, &choice) {
        Ok(request) => {
            let caller = visit.caller.clone();
            app.call(move |service| service.preview_export(&caller, &request)).await
        }
        Err(problem) => Err(problem),
    };
    let Sample { preview, looked_at, total } = match sample {
        Ok(sample) => sample,
        Err(problem) => {
            return manage(&app, visit, Filtering::default(), None, form, Some(problem)).await;
        }
    };
    let page = Checked {
        frame: visit.frame("export"),
        form,
        total: count(total),
        looked_at: count(looked_at),
        is_whole: looked_at >= total,
        found: found(&preview.account),
        records: readable(&preview.records),
    };
    show(StatusCode::OK, &page)
}

/// What an account says, line by line: words, number, and how it weighs.
pub(super) fn found(account: &retort_model::Account) -> Vec<(String, String, &'static str)> {
    let written = format!("{}s written", capital(account.noun()));
    let mut lines = vec![(written, count(account.written), "good")];
    for (reason, number, _) in account.left_out.iter() {
        lines.push((format!("Left out: {}", reason.words()), count(number), "bad"));
    }
    for (repair, number, _) in account.repaired.iter() {
        lines.push((format!("Repaired: {}", repair.words()), count(number), "warn"));
    }
    for (warning, number, _) in account.warned.iter() {
        lines.push((format!("Note: {}", warning.words()), count(number), "warn"));
    }
    lines.push(("Records".to_owned(), count(account.records), ""));
    lines
}

async fn confirm(State(app): State<App>, Posted { visit, form }: Posted<Form>) -> Response {
    let caller = visit.caller.clone();
    let given = form.clone();
    let choice = match app.call(move |service| service.choice(&caller)).await {
        Ok(choice) => choice,
        Err(problem) => return trouble(&problem),
    };
    let submitted = match request(&given, &choice) {
        Ok(request) => {
            let caller = visit.caller.clone();
            app.call(move |service| service.submit_export(&caller, &request)).await
        }
        Err(problem) => Err(problem),
    };
    match submitted {
        Ok(id) => see_other(&format!("/exports/{id}"), None),
        Err(problem) => manage(&app, visit, Filtering::default(), None, form, Some(problem)).await,
    }
}

#[derive(Template)]
#[template(path = "progress.html")]
struct Progress {
    frame: Frame,
    id: i64,
    name: String,
    state: String,
    is_ended: bool,
    can_retry: bool,
    percent: u64,
    done: String,
    total: String,
    records: String,
    /// What it is made of.
    items: &'static str,
    error: Option<String>,
    is_handed_over: bool,
    dataset: Option<Finished>,
}

/// The dataset that came of it.
struct Finished {
    id: i64,
    size: String,
    records: String,
    found: Vec<(String, String, &'static str)>,
    preview: Vec<Record>,
}

/// Whether a dataset is to be handed to the person as soon as it is made.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Handing {
    hand: String,
}

async fn progress(
    State(app): State<App>,
    visit: Visit,
    Path(id): Path<i64>,
    Query(handing): Query<Handing>,
) -> Response {
    let frame = visit.frame("export");
    let seen = app.call(move |service| {
        let job = service.job_of(&visit.caller, JobKind::Export, id)?;
        let dataset = match job.dataset {
            // One that was deleted since is gone.
            Some(dataset) => service.dataset(&visit.caller, dataset).ok(),
            None => None,
        };
        let finished = match dataset {
            Some(dataset) => {
                let mut package = service.open_dataset(&dataset)?;
                let preview = preview_package(&mut package)?;
                Some(Finished {
                    id: dataset.id,
                    size: size(dataset.bytes),
                    records: count(dataset.records),
                    found: super::datasets::receipt(package.manifest()),
                    preview: readable(&preview),
                })
            }
            None => None,
        };
        Ok((job, finished))
    });
    let (job, dataset) = match seen.await {
        Ok(seen) => seen,
        Err(problem) => return trouble(&problem),
    };
    let progress = &job.progress;
    let page = Progress {
        frame,
        id,
        name: job.name.clone(),
        state: job.state.to_string().replace('_', " "),
        is_ended: job.state.is_ended(),
        can_retry: matches!(
            job.state,
            retort_model::JobState::Failed | retort_model::JobState::Cancelled
        ),
        percent: percent(progress.bytes_done, progress.bytes_total),
        done: count(progress.items_done),
        total: count(progress.items_total),
        records: count(progress.records),
        items: job.items.plural(),
        is_handed_over: handing.hand == "over",
        error: job.error.clone(),
        dataset,
    };
    show(StatusCode::OK, &page)
}

/// A form that holds nothing but its token.
#[derive(Debug, Deserialize)]
pub(super) struct Nothing {}

async fn cancel(
    State(app): State<App>,
    Path(id): Path<i64>,
    Posted { visit, .. }: Posted<Nothing>,
) -> Response {
    let done = app.call(move |service| service.cancel(&visit.caller, id, JobKind::Export));
    match done.await {
        Ok(_) => see_other(&format!("/exports/{id}"), None),
        Err(problem) => trouble(&problem),
    }
}

async fn retry(
    State(app): State<App>,
    Path(id): Path<i64>,
    Posted { visit, .. }: Posted<Nothing>,
) -> Response {
    let done = app.call(move |service| service.retry(&visit.caller, id, JobKind::Export));
    match done.await {
        Ok(_) => see_other(&format!("/exports/{id}"), None),
        Err(problem) => trouble(&problem),
    }
}
