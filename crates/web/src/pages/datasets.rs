//! Datasets: listed, looked into, renamed, deleted.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use retort_model::{DatasetName, JobKind, Reason, Repair, Warning};
use retort_service::{Dataset, Job, Manifest, preview_package};
use serde::Deserialize;

use super::export::Nothing;
use super::frame::{Frame, Posted, Visit};
use super::records::{Record, readable};
use super::taken::{Path, Query};
use super::words::{capital, count, moment, percent, quoted, sentence, size};
use super::{see_other, show, trouble};
use crate::app::App;
use crate::problem::Problem;

/// Exports under way that are looked for among the newest.
const JOBS: usize = 50;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/datasets", get(list))
        .route("/datasets/{id}", get(dataset))
        .route("/datasets/{id}/rename", post(rename))
        .route("/datasets/{id}/delete", get(ask).post(delete))
}

struct Row {
    id: i64,
    name: String,
    purpose: String,
    format: String,
    node: String,
    records: String,
    size: String,
    creator: String,
    created: String,
}

impl Row {
    fn of(dataset: &Dataset) -> Self {
        Self {
            id: dataset.id,
            name: dataset.name.clone(),
            purpose: dataset.purpose.parse().map_or_else(
                |_| dataset.purpose.clone(),
                |purpose| super::history::purpose_name(purpose).to_owned(),
            ),
            format: format!("{}, {}", dataset.data_format, dataset.file_format),
            node: dataset.node.clone().unwrap_or_default(),
            records: count(dataset.records),
            size: size(dataset.bytes),
            creator: dataset.creator.clone(),
            created: moment(dataset.created_at),
        }
    }
}

struct Open {
    id: i64,
    name: String,
    state: String,
    percent: u64,
    is_failed: bool,
}

impl Open {
    fn of(job: &Job) -> Self {
        Self {
            id: job.id,
            name: job.name.clone(),
            state: job.state.to_string().replace('_', " "),
            percent: percent(job.progress.bytes_done, job.progress.bytes_total),
            is_failed: job.state == retort_model::JobState::Failed,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    q: String,
    sort: String,
}

#[derive(Template)]
#[template(path = "datasets.html")]
struct List {
    frame: Frame,
    /// Whether an export is under way.
    is_moving: bool,
    /// Whether a dataset is of a node.
    has_nodes: bool,
    rows: Vec<Row>,
    open: Vec<Open>,
    q: String,
    sort: String,
}

async fn list(State(app): State<App>, visit: Visit, Query(asked): Query<Asked>) -> Response {
    let frame = visit.frame("datasets");
    let seen = app.call(move |service| {
        let mut jobs = service.jobs_of(&visit.caller, JobKind::Export, JOBS)?;
        jobs.retain(|job| !job.state.is_ended() || job.state == retort_model::JobState::Failed);
        Ok((service.datasets(&visit.caller)?, jobs))
    });
    let (mut datasets, jobs) = match seen.await {
        Ok(seen) => seen,
        Err(problem) => return trouble(&problem),
    };
    let sought = asked.q.trim().to_lowercase();
    datasets.retain(|one| {
        [&one.name, &one.purpose, &one.data_format, &one.file_format]
            .iter()
            .any(|text| text.to_lowercase().contains(&sought))
    });
    match asked.sort.as_str() {
        "name" => datasets.sort_by_key(|one| one.name.to_lowercase()),
        "records" => datasets.sort_by_key(|one| std::cmp::Reverse(one.records)),
        "size" => datasets.sort_by_key(|one| std::cmp::Reverse(one.bytes)),
        "oldest" => datasets.reverse(),
        _ => {}
    }
    let page = List {
        frame,
        is_moving: jobs.iter().any(|job| !job.state.is_ended()),
        has_nodes: datasets.iter().any(|one| one.node.is_some()),
        rows: datasets.iter().map(Row::of).collect(),
        open: jobs.iter().map(Open::of).collect(),
        q: asked.q,
        sort: asked.sort,
    };
    show(StatusCode::OK, &page)
}

/// A finding's kind as people read it.
fn in_words(kind: &str) -> String {
    let words = kind
        .parse::<Reason>()
        .map(Reason::words)
        .or_else(|_| kind.parse::<Repair>().map(Repair::words))
        .or_else(|_| kind.parse::<Warning>().map(Warning::words));
    words.map_or_else(|_| kind.replace('-', " "), str::to_owned)
}

/// What a receipt says, line by line: words, number, and how it weighs.
pub(super) fn receipt(manifest: &Manifest) -> Vec<(String, String, &'static str)> {
    let records = &manifest.records;
    let mut lines = Vec::new();
    for (kind, counts) in manifest.counts() {
        lines.push(("Selected".to_owned(), count(counts.selected), ""));
        lines.push((format!("{} written", capital(kind.plural())), count(counts.written), "good"));
        for one in &counts.left_out_by_reason {
            lines.push((
                format!("Left out: {}", quoted(&in_words(&one.kind))),
                count(one.count),
                "bad",
            ));
        }
    }
    for one in &records.repaired_by_kind {
        lines.push((
            format!("Repaired: {}", quoted(&in_words(&one.kind))),
            count(one.count),
            "warn",
        ));
    }
    for one in records.would_be_refused.iter().chain(&records.warnings) {
        lines.push((format!("Note: {}", quoted(&in_words(&one.kind))), count(one.count), "warn"));
    }
    lines.push(("Records".to_owned(), count(records.written), ""));
    lines
}

#[derive(Template)]
#[template(path = "dataset.html")]
struct Whole {
    frame: Frame,
    row: Row,
    found: Vec<(String, String, &'static str)>,
    records: Vec<Record>,
    manifest: String,
    trouble: Option<String>,
}

async fn dataset(State(app): State<App>, visit: Visit, Path(id): Path<i64>) -> Response {
    whole(&app, visit, id, None).await
}

async fn whole(app: &App, visit: Visit, id: i64, problem: Option<Problem>) -> Response {
    let frame = visit.frame("datasets");
    let seen = app.call(move |service| {
        let dataset = service.dataset(&visit.caller, id)?;
        let mut package = service.open_dataset(&dataset)?;
        let records = preview_package(&mut package)?;
        Ok((dataset, records, package.manifest().clone()))
    });
    match seen.await {
        Ok((dataset, records, manifest)) => {
            let status = problem.as_ref().map_or(200, |problem| problem.kind().status);
            let page = Whole {
                frame,
                row: Row::of(&dataset),
                found: receipt(&manifest),
                records: readable(&records),
                manifest: serde_json::to_string_pretty(&manifest).unwrap_or_default(),
                trouble: problem.map(|problem| sentence(problem.detail())),
            };
            show(StatusCode::from_u16(status).unwrap_or(StatusCode::OK), &page)
        }
        Err(problem) => trouble(&problem),
    }
}

#[derive(Debug, Deserialize)]
struct Name {
    name: String,
}

async fn rename(
    State(app): State<App>,
    Path(id): Path<i64>,
    Posted { visit, form }: Posted<Name>,
) -> Response {
    let name: DatasetName = match form.name.parse() {
        Ok(name) => name,
        Err(error) => {
            return whole(&app, visit, id, Some(Problem::bad_request(format!("{error}")))).await;
        }
    };
    let caller = visit.caller.clone();
    match app.call(move |service| service.rename_dataset(&caller, id, &name)).await {
        Ok(_) => see_other(&format!("/datasets/{id}"), None),
        Err(problem) => whole(&app, visit, id, Some(problem)).await,
    }
}

#[derive(Template)]
#[template(path = "ask.html")]
pub(super) struct Ask {
    pub(super) frame: Frame,
    pub(super) question: String,
    pub(super) text: String,
    pub(super) action: String,
    pub(super) words: &'static str,
    pub(super) back: String,
}

async fn ask(State(app): State<App>, visit: Visit, Path(id): Path<i64>) -> Response {
    let frame = visit.frame("datasets");
    match app.call(move |service| service.dataset(&visit.caller, id)).await {
        Ok(dataset) => {
            let page = Ask {
                frame,
                question: format!("Delete {}?", dataset.name),
                text: format!(
                    "{} records, {}. This permanently deletes the dataset and its files. The conversations and runs stay.",
                    count(dataset.records),
                    size(dataset.bytes)
                ),
                action: format!("/datasets/{id}/delete"),
                words: "Delete",
                back: format!("/datasets/{id}"),
            };
            show(StatusCode::OK, &page)
        }
        Err(problem) => trouble(&problem),
    }
}

async fn delete(
    State(app): State<App>,
    Path(id): Path<i64>,
    Posted { visit, .. }: Posted<Nothing>,
) -> Response {
    match app.call(move |service| service.delete_dataset(&visit.caller, id)).await {
        Ok(_) => see_other("/datasets", None),
        Err(problem) => trouble(&problem),
    }
}
