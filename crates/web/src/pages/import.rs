//! Histories brought in: files dropped or chosen, followed, and the report.

use askama::Template;
use axum::Router;
use axum::extract::multipart::Field;
use axum::extract::{FromRequest, FromRequestParts, Multipart, Request, State};
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use futures_util::StreamExt;
use retort_model::{ItemKind, JobKind, JobState, ProjectRole};
use retort_service::{ImportReport, IntakeRequest, Job, sources};
use serde::Serialize;

use super::display::{capital, count, moment, percent, several};
use super::frame::{Frame, Nothing, OTHER_SESSION, Posted, Visit, wants_json};
use super::response::{see_other, show, status_of, trouble};
use super::taken::Path;
use crate::app::App;
use crate::extract::Json;
use crate::problem::Problem;
use crate::uploads::take;

/// Imports of the list.
const JOBS: usize = 20;

/// Longest field of the form that is no file.
const FIELD_BYTES: usize = 4096;

/// Sample conversations and runs for everyone.
const EXAMPLES: [&str; 6] = [
    include_str!("../../../../examples/runs/leave-policy.jsonl"),
    include_str!("../../../../examples/conversations/course-assistant.jsonl"),
    include_str!("../../../../examples/conversations/release-graph.json"),
    include_str!("../../../../examples/conversations/support-chats.jsonl"),
    include_str!("../../../../examples/conversations/travel-agents.json"),
    include_str!("../../../../examples/conversations/tutoring.sharegpt.json"),
];

/// Sample documents, for those who administer the project.
const DOCUMENTS: &str = include_str!("../../../../examples/documents/course-material.jsonl");

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/import", get(page).post(upload))
        .route("/import/examples", post(examples))
        .route("/imports/{id}", get(progress))
        .route("/imports/{id}/cancel", post(cancel))
}

struct Row {
    id: i64,
    name: String,
    state: String,
    is_open: bool,
    percent: u64,
    records: String,
    created: String,
}

impl Row {
    fn of(job: &Job) -> Self {
        Self {
            id: job.id,
            name: job.name.clone(),
            state: job.state.to_string().replace('_', " "),
            is_open: !job.state.is_ended(),
            percent: percent(job.progress.bytes_done, job.progress.bytes_total),
            records: count(job.progress.records),
            created: moment(job.created_at),
        }
    }
}

#[derive(Template)]
#[template(path = "import.html")]
struct Import {
    frame: Frame,
    formats: Vec<(&'static str, &'static str)>,
    /// What could not be taken just now.
    troubles: Vec<String>,
    jobs: Vec<Row>,
    /// Whether one of them is under way.
    is_open: bool,
}

async fn page(State(app): State<App>, visit: Visit) -> Response {
    listed(&app, visit, StatusCode::OK, Vec::new()).await
}

/// The form, what could not be taken just now, and the latest imports.
async fn listed(app: &App, visit: Visit, status: StatusCode, troubles: Vec<String>) -> Response {
    let frame = visit.frame("import");
    let jobs = app
        .call(move |service| {
            Ok(service.jobs_of(&visit.caller, (JobKind::Import, false), None, JOBS)?.0)
        })
        .await;
    match jobs {
        Ok(jobs) => {
            let formats = sources::FORMATS.iter().map(|one| (one.name(), one.about())).collect();
            let jobs: Vec<Row> = jobs.iter().map(Row::of).collect();
            let is_open = jobs.iter().any(|job| job.is_open);
            show(status, &Import { frame, formats, troubles, jobs, is_open })
        }
        Err(problem) => trouble(&problem),
    }
}

/// What came of the files of a form, for the page's script.
#[derive(Default, Serialize)]
struct Uploaded {
    /// The imports, one for each file that arrived whole.
    jobs: Vec<i64>,
    /// What is wrong with the others.
    troubles: Vec<String>,
}

/// Takes the form with its files as it comes: the token first, then the other fields, then the files. Each file is
/// streamed to where imports read it, and queued as soon as it is whole: what breaks off later does not undo it.
async fn upload(State(app): State<App>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let visit = match Visit::from_request_parts(&mut parts, &app).await {
        Ok(visit) => visit,
        Err(response) => return response,
    };
    let wants_json = wants_json(&parts.headers);
    let mut uploaded = Uploaded::default();
    let received = receive(&app, &visit, Request::from_parts(parts, body), &mut uploaded).await;
    let status = match received {
        Ok(()) if uploaded.jobs.is_empty() && uploaded.troubles.is_empty() => {
            uploaded.troubles.push("Choose at least one file.".into());
            StatusCode::BAD_REQUEST
        }
        Ok(()) if uploaded.troubles.is_empty() => StatusCode::OK,
        Ok(()) => StatusCode::BAD_REQUEST,
        Err(problem) if uploaded.jobs.is_empty() => return trouble(&problem),
        Err(problem) => {
            uploaded.troubles.push(problem.detail().to_owned());
            status_of(Some(&problem))
        }
    };
    match uploaded.jobs.as_slice() {
        _ if wants_json => (status, Json(uploaded)).into_response(),
        [only] if status == StatusCode::OK => see_other(&format!("/imports/{only}"), None),
        _ if status == StatusCode::OK => see_other("/import", None),
        _ => listed(&app, visit, status, uploaded.troubles).await,
    }
}

async fn receive(
    app: &App,
    visit: &Visit,
    request: Request,
    uploaded: &mut Uploaded,
) -> Result<(), Problem> {
    let headers = request.headers().clone();
    let form = Multipart::from_request(request, app).await;
    let mut form = form.map_err(|_| Problem::unsupported_media_type("multipart/form-data"))?;
    let mut is_own = visit.is_own(&headers, None);
    let mut intake = IntakeRequest::default();
    while let Some(field) = form.next_field().await.map_err(Problem::from)? {
        match field.name().unwrap_or_default() {
            "csrf" => {
                let token = short(field).await?;
                is_own = visit.is_own(&headers, Some(&token));
            }
            "from" => {
                let name = short(field).await?;
                intake.from = match name.as_str() {
                    "" => None,
                    name => Some(sources::by_name(name).ok_or_else(|| {
                        Problem::bad_request(format!("There is no import format `{name}`."))
                    })?),
                };
            }
            "owner" => intake.owner = given(field).await?,
            "namespace" => intake.namespace = given(field).await?,
            "replace" => intake.replace = given(field).await?.is_some(),
            "with_files" => intake.keeps_files = given(field).await?.is_some(),
            "file" if !is_own => return Err(Problem::forbidden(OTHER_SESSION)),
            "file" => {
                let label = field.file_name().unwrap_or_default().to_owned();
                if label.is_empty() {
                    continue;
                }
                let caller = visit.caller.clone();
                let pieces = field.map(|piece| piece.map_err(Problem::from));
                match take(app, caller.clone(), label.clone(), pieces).await? {
                    None => uploaded.troubles.push(format!("{label} is empty.")),
                    Some(upload) => {
                        let asked = intake.clone();
                        let job = app
                            .call(move |service| service.submit_upload(&caller, upload, &asked))
                            .await?;
                        uploaded.jobs.push(job);
                    }
                }
            }
            _ => {}
        }
    }
    Ok(())
}

/// A field of the form, if there is anything in it.
async fn given(field: Field<'_>) -> Result<Option<String>, Problem> {
    let text = short(field).await?;
    Ok(Some(text.trim().to_owned()).filter(|text| !text.is_empty()))
}

/// A field that is no file.
pub(super) async fn short(mut field: Field<'_>) -> Result<String, Problem> {
    let mut bytes = Vec::new();
    while let Some(piece) = field.chunk().await? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > FIELD_BYTES {
            return Err(Problem::too_large(FIELD_BYTES));
        }
    }
    String::from_utf8(bytes).map_err(|_| Problem::bad_request("A field of the form is not UTF-8."))
}

/// Loads the sample data, as that of the person who asks for it: each has a copy under ids of their own.
async fn examples(State(app): State<App>, Posted { visit, .. }: Posted<Nothing>) -> Response {
    let taken = app.call(move |service| {
        let name = || Some(visit.caller.name().to_owned());
        let request =
            IntakeRequest { owner: name(), namespace: name(), ..IntakeRequest::default() };
        for text in EXAMPLES {
            service.take_in(&visit.caller, &request, text.as_bytes().to_vec())?;
        }
        if visit.caller.role() >= ProjectRole::Admin {
            let documents = IntakeRequest { kind: ItemKind::Document, ..IntakeRequest::default() };
            service.take_in(&visit.caller, &documents, DOCUMENTS.as_bytes().to_vec())?;
        }
        Ok(())
    });
    match taken.await {
        Ok(()) => see_other("/", None),
        Err(problem) => trouble(&problem),
    }
}

#[derive(Template)]
#[template(path = "imported.html")]
struct Imported {
    frame: Frame,
    id: i64,
    name: String,
    state: String,
    is_ended: bool,
    percent: u64,
    error: Option<String>,
    /// Nothing of it could be read.
    is_vain: bool,
    report: Vec<(&'static str, String)>,
    refusals: Vec<String>,
    /// Whether all of them can be downloaded.
    is_listed: bool,
    /// Where what came in can be seen: words and address.
    next: Vec<(&'static str, &'static str)>,
}

async fn progress(State(app): State<App>, visit: Visit, Path(id): Path<i64>) -> Response {
    let frame = visit.frame("import");
    let job =
        match app.call(move |service| service.job_of(&visit.caller, JobKind::Import, id)).await {
            Ok(job) => job,
            Err(problem) => return trouble(&problem),
        };
    let report: Option<ImportReport> =
        job.report.as_deref().and_then(|text| serde_json::from_str(text).ok());
    let report = report.unwrap_or_default();
    let lines = [
        ("Items read", report.read),
        ("New", report.new),
        ("Updated", report.updated),
        ("Unchanged", report.same),
        ("Older than the stored version", report.older),
        ("Duplicates in the file", report.repeated),
        ("Owned by someone else", report.foreign),
        ("Left out because they were erased", report.erased),
        ("Rejected", report.refused_count()),
        ("Files skipped", report.files_passed_over),
    ];
    let told = |(index, (_, number)): &(usize, (&str, u64))| *index < 2 || *number > 0;
    let lines = lines.into_iter().enumerate().filter(told);
    let refused = report.refused_count();
    let page = Imported {
        id,
        name: job.name.clone(),
        state: outcome(&job, &report),
        is_ended: job.state.is_ended(),
        percent: percent(job.progress.bytes_done, job.progress.bytes_total),
        error: job.error.clone(),
        is_vain: refused > 0 && refused == report.read,
        next: next(&frame, &report),
        frame,
        report: match job.report {
            Some(_) => lines.map(|(_, (words, number))| (words, count(number))).collect(),
            None => Vec::new(),
        },
        refusals: report.first_refused,
        is_listed: job.rejects_bytes.is_some(),
    };
    show(StatusCode::OK, &page)
}

/// How an import stands, or what came of it.
fn outcome(job: &Job, report: &ImportReport) -> String {
    let refused = report.refused_count();
    match job.state {
        JobState::Completed | JobState::CompletedWithSkips if report.dry_run => {
            "Nothing was changed; this is what an import would do.".into()
        }
        JobState::CompletedWithSkips if refused == report.read => "Nothing was imported.".into(),
        JobState::CompletedWithSkips if refused > 0 => {
            let were = if refused == 1 { "was" } else { "were" };
            let of = several(report.read, "item");
            format!("Done. {} of {of} {were} rejected.", count(refused))
        }
        JobState::Completed | JobState::CompletedWithSkips => "Done.".into(),
        state => capital(&state.to_string().replace('_', " ")),
    }
}

/// Where the items that an import met can be seen.
fn next(frame: &Frame, report: &ImportReport) -> Vec<(&'static str, &'static str)> {
    let met = report.read.saturating_sub(report.refused_count() + report.foreign + report.erased);
    let conversations = met.saturating_sub(report.runs + report.documents);
    [
        (conversations > 0, ("View conversations", "/export")),
        (conversations > 0, ("Judge answers", "/judge")),
        (report.runs > 0, ("View copilots", "/copilots")),
        (report.runs > 0, ("View recipes", "/recipes")),
        (report.runs > 0, ("View applications", "/applications")),
        (report.documents > 0 && frame.is_admin, ("View documents", "/documents")),
    ]
    .into_iter()
    .filter_map(|(is_met, link)| is_met.then_some(link))
    .collect()
}

async fn cancel(
    State(app): State<App>,
    Path(id): Path<i64>,
    Posted { visit, .. }: Posted<Nothing>,
) -> Response {
    match app.call(move |service| service.cancel(&visit.caller, id, JobKind::Import)).await {
        Ok(_) => see_other(&format!("/imports/{id}"), None),
        Err(problem) => trouble(&problem),
    }
}
