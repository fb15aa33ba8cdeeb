//! Datasets: listed, looked into, renamed, deleted.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use retort_model::bounds::PAGE_ITEMS;
use retort_model::{DatasetName, Grant, JobKind, JobState};
use retort_service::{Dataset, Error, Job, Service, Without, preview_package};
use serde::Deserialize;

use super::display::{bytes, count, moment, percent, purpose_name, quoted, sentence, several};
use super::frame::{Frame, Nothing, Posted, Visit};
use super::paging::Paging;
use super::receipt::{Found, receipt};
use super::records::{Record, readable};
use super::response::{see_other, show, status_of, trouble};
use super::taken::{Path, Query};
use crate::app::App;
use crate::problem::Problem;
use crate::wire;

/// Exports under way that are looked for among the newest.
const JOBS: usize = 50;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/datasets", get(list))
        .route("/datasets/{id}", get(dataset))
        .route("/datasets/{id}/rename", post(rename))
        .route("/datasets/{id}/delete", get(ask).post(delete))
        .route("/datasets/{id}/rebuild", get(ask_rebuild).post(rebuild))
}

/// The list of everyone's datasets, for owners.
const EVERYONES: &str = "/datasets?everyone=true";

pub(super) struct Row {
    pub(super) id: i64,
    pub(super) name: String,
    purpose: String,
    format: String,
    node: String,
    records: String,
    size: String,
    pub(super) creator: String,
    pub(super) created: String,
    /// The page that rebuilds it without what it was searched for; empty if it was not searched for.
    pub(super) rebuild: String,
    /// Whether the visitor may read it; an owner of the project may only see and delete the datasets of others.
    is_open: bool,
}

impl Row {
    pub(super) fn of(dataset: &Dataset) -> Self {
        Self {
            id: dataset.id,
            name: dataset.name.clone(),
            purpose: dataset.purpose.parse().map_or_else(
                |_| dataset.purpose.clone(),
                |purpose| purpose_name(purpose).to_owned(),
            ),
            format: format!("{}, {}", dataset.data_format, dataset.file_format),
            node: dataset.node.clone().unwrap_or_default(),
            records: count(dataset.records),
            size: bytes(dataset.bytes),
            creator: dataset.creator.clone(),
            created: moment(dataset.created_at),
            rebuild: String::new(),
            is_open: true,
        }
    }

    /// A dataset that was found by what it contains.
    fn found_by(dataset: &Dataset, without: Without<'_>) -> Self {
        let rebuild = format!("/datasets/{}/rebuild{}", dataset.id, query_of(without));
        Self { rebuild, ..Self::of(dataset) }
    }
}

/// The query of the page that rebuilds a dataset.
fn query_of(without: Without<'_>) -> String {
    let encoded = |text| utf8_percent_encode(text, NON_ALPHANUMERIC);
    match without {
        Without::Purged => String::new(),
        Without::Id(id) => format!("?without_id={}", encoded(id)),
        Without::Person(name) | Without::Held(name) => {
            format!("?without_person={}", encoded(name))
        }
    }
}

/// Datasets that the page of an item names.
const NAMED: usize = 100;

/// Some datasets that an item is in, and whether there are more; none where the visitor may see no datasets.
pub(super) type Traced = Option<(Vec<Row>, bool)>;

/// The newest datasets that an item is in.
pub(super) fn traced(service: &Service, visit: &Visit, id: &str) -> Result<Traced, Error> {
    if !visit.caller.grants().has(Grant::Export) {
        return Ok(None);
    }
    let (found, next) = service.trace(&visit.caller, id, None, NAMED)?;
    let rows = found.iter().map(|one| Row::found_by(one, Without::Id(id))).collect();
    Ok(Some((rows, next.is_some())))
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
            is_failed: job.state == JobState::Failed,
        }
    }
}

/// A job of someone else, which an owner may cancel.
struct OtherJob {
    kind: &'static str,
    place: &'static str,
    creator: String,
    size: String,
    job: Open,
}

impl OtherJob {
    fn of(job: &Job) -> Self {
        let (kind, place) = match job.kind {
            JobKind::Import => ("Import", "imports"),
            JobKind::Export => ("Export", "exports"),
        };
        Self {
            kind,
            place,
            creator: job.creator.clone(),
            size: bytes(job.progress.bytes_total),
            job: Open::of(job),
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    q: String,
    sort: String,
    /// Everyone's in the project, for its owners.
    everyone: bool,
    /// The last dataset of the page before.
    after: Option<i64>,
    /// Only those that hold something of this person, of everyone's.
    person: String,
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
    /// Jobs of others that are under way or failed.
    others: Vec<OtherJob>,
    everyone: bool,
    paging: Paging,
    person: String,
    q: String,
    sort: String,
}

async fn list(State(app): State<App>, visit: Visit, Query(asked): Query<Asked>) -> Response {
    let frame = visit.frame("datasets");
    let me = visit.caller.name().to_owned();
    let person = asked.person.trim().to_owned();
    let sought_person = person.clone();
    let seen = app.call(move |service| {
        if !sought_person.is_empty() {
            let caller = &visit.caller;
            let page = service.trace_person(caller, &sought_person, asked.after, PAGE_ITEMS)?;
            return Ok((page, Vec::new(), Vec::new()));
        }
        let is_open = |job: &Job| !job.state.is_ended() || job.state == JobState::Failed;
        let caller = &visit.caller;
        let newest = |kind, everyone| service.jobs_of(caller, (kind, everyone), None, JOBS);
        let (mut jobs, _) = newest(JobKind::Export, false)?;
        jobs.retain(is_open);
        let mut others = Vec::new();
        if asked.everyone {
            others = newest(JobKind::Export, true)?.0;
            if caller.grants().has(Grant::Write) {
                others.extend(newest(JobKind::Import, true)?.0);
            }
            others.retain(|job| is_open(job) && job.creator != caller.name());
        }
        let page = service.dataset_page(caller, asked.everyone, asked.after, PAGE_ITEMS)?;
        Ok((page, jobs, others))
    });
    let ((mut datasets, next), jobs, others) = match seen.await {
        Ok(seen) => seen,
        Err(problem) => return trouble(&problem),
    };
    let sought = asked.q.trim().to_lowercase();
    datasets.retain(|one| {
        [&one.name, &one.purpose, &one.data_format, &one.file_format, &one.creator]
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
    let everyones = asked.everyone || !person.is_empty();
    let first = match (&*person, everyones) {
        ("", false) => "/datasets".to_owned(),
        ("", true) => EVERYONES.to_owned(),
        (person, _) => {
            format!("/datasets?person={}", utf8_percent_encode(person, NON_ALPHANUMERIC))
        }
    };
    let paging = Paging::of(&first, asked.after.is_none(), next);
    let page = List {
        frame,
        is_moving: jobs.iter().any(|job| !job.state.is_ended()),
        has_nodes: datasets.iter().any(|one| one.node.is_some()),
        rows: datasets
            .iter()
            .map(|one| {
                let row = match &*person {
                    "" => Row::of(one),
                    person => Row::found_by(one, Without::Person(person)),
                };
                Row { is_open: one.creator == me, ..row }
            })
            .collect(),
        others: others.iter().map(OtherJob::of).collect(),
        everyone: everyones,
        person,
        paging,
        open: jobs.iter().map(Open::of).collect(),
        q: asked.q,
        sort: asked.sort,
    };
    show(StatusCode::OK, &page)
}

#[derive(Template)]
#[template(path = "dataset.html")]
struct Whole {
    frame: Frame,
    row: Row,
    found: Vec<Found>,
    records: Vec<Record>,
    manifest: String,
    trouble: Option<String>,
}

async fn dataset(State(app): State<App>, visit: Visit, Path(id): Path<i64>) -> Response {
    whole(&app, visit, id, None).await
}

async fn whole(app: &App, visit: Visit, id: i64, problem: Option<Problem>) -> Response {
    let frame = visit.frame("datasets");
    let seen = app.answer(move |service| {
        let dataset = service.dataset(&visit.caller, id)?;
        let mut package = service.open_dataset(&dataset)?;
        let records = preview_package(&mut package).map_err(Error::from)?;
        let status = status_of(problem.as_ref());
        let manifest = package.manifest();
        let page = Whole {
            frame,
            row: Row::of(&dataset),
            found: receipt(dataset.id, manifest),
            records: readable(&records),
            manifest: serde_json::to_string_pretty(manifest).unwrap_or_default(),
            trouble: problem.map(|problem| sentence(problem.detail())),
        };
        Ok(show(status, &page))
    });
    seen.await.unwrap_or_else(|problem| trouble(&problem))
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
    let me = visit.caller.name().to_owned();
    match app.call(move |service| service.overseen_dataset(&visit.caller, id)).await {
        Ok(dataset) => {
            let page = Ask {
                frame,
                question: format!("Delete {}?", dataset.name),
                text: format!(
                    "{}, {}, by {}. This permanently deletes the dataset and its files. The conversations and runs stay.",
                    several(dataset.records, "record"),
                    bytes(dataset.bytes),
                    dataset.creator
                ),
                action: format!("/datasets/{id}/delete"),
                words: "Delete",
                back: if dataset.creator == me {
                    format!("/datasets/{id}")
                } else {
                    EVERYONES.to_owned()
                },
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
    let me = visit.caller.name().to_owned();
    match app.call(move |service| service.delete_dataset(&visit.caller, id)).await {
        Ok(dataset) if dataset.creator == me => see_other("/datasets", None),
        Ok(_) => see_other(EVERYONES, None),
        Err(problem) => trouble(&problem),
    }
}

/// What to rebuild a dataset without.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Rebuilding {
    without_id: Option<String>,
    without_person: Option<String>,
}

impl Rebuilding {
    fn request(self) -> wire::Rebuild {
        let Self { without_id, without_person } = self;
        wire::Rebuild { without_id, without_person, keep: false }
    }
}

#[derive(Template)]
#[template(path = "rebuild.html")]
struct AskRebuild {
    frame: Frame,
    name: String,
    creator: String,
    /// What is left out.
    without: String,
    action: String,
    back: String,
}

async fn ask_rebuild(
    State(app): State<App>,
    visit: Visit,
    Path(id): Path<i64>,
    Query(asked): Query<Rebuilding>,
) -> Response {
    let frame = visit.frame("datasets");
    let asked = asked.request();
    let without = match asked.without() {
        Ok(without) => without,
        Err(problem) => return trouble(&problem),
    };
    let (words, back) = match without {
        Without::Purged => ("anything that was purged since".to_owned(), "/datasets".to_owned()),
        Without::Id(id) => (quoted(id), "/datasets".to_owned()),
        Without::Person(name) | Without::Held(name) => {
            let encoded = utf8_percent_encode(name, NON_ALPHANUMERIC);
            (format!("what {name} owns or imported"), format!("{EVERYONES}&person={encoded}"))
        }
    };
    let action = format!("/datasets/{id}/rebuild{}", query_of(without));
    match app.call(move |service| service.overseen_dataset(&visit.caller, id)).await {
        Ok(Dataset { name, creator, .. }) => {
            let page = AskRebuild { frame, name, creator, without: words, action, back };
            show(StatusCode::OK, &page)
        }
        Err(problem) => trouble(&problem),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Kept {
    keep: Option<String>,
}

async fn rebuild(
    State(app): State<App>,
    Path(id): Path<i64>,
    Query(asked): Query<Rebuilding>,
    Posted { visit, form }: Posted<Kept>,
) -> Response {
    let asked = wire::Rebuild { keep: form.keep.is_some(), ..asked.request() };
    if let Err(problem) = asked.without() {
        return trouble(&problem);
    }
    let submitted = app.call(move |service| {
        let without = asked.without().unwrap_or_default();
        service.rebuild_dataset(&visit.caller, id, without, asked.keep)
    });
    match submitted.await {
        Ok(job) => see_other(&format!("/exports/{}", job.id), None),
        Err(problem) => trouble(&problem),
    }
}
