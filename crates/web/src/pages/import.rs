//! Histories brought in: files dropped or chosen, followed, and the report.

use askama::Template;
use axum::Router;
use axum::extract::FromRequest;
use axum::extract::{FromRequestParts, Multipart, Request, State};
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use futures_util::StreamExt;
use retort_model::JobKind;
use retort_service::{ImportReport, IntakeRequest, Job, sources};

use super::export::Nothing;
use super::frame::{Frame, Posted, Visit};
use super::taken::Path;
use super::words::{count, moment, percent};
use super::{see_other, show_scripted, trouble};
use crate::app::App;
use crate::problem::Problem;
use crate::uploads::take;

/// Imports of the list.
const JOBS: usize = 20;

/// Longest field of the form that is no file.
const FIELD_BYTES: usize = 4096;

/// Histories that anyone may try things with.
const EXAMPLES: [&str; 5] = [
    include_str!("../../../../examples/course-assistant.jsonl"),
    include_str!("../../../../examples/release-graph.json"),
    include_str!("../../../../examples/support-chats.jsonl"),
    include_str!("../../../../examples/travel-agents.json"),
    include_str!("../../../../examples/tutoring.sharegpt.json"),
];

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
    records: String,
    created: String,
}

impl Row {
    fn of(job: &Job) -> Self {
        Self {
            id: job.id,
            name: job.name.clone(),
            state: job.state.to_string().replace('_', " "),
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
    jobs: Vec<Row>,
}

async fn page(State(app): State<App>, visit: Visit) -> Response {
    let frame = visit.frame("import");
    match app.call(move |service| service.jobs_of(&visit.caller, JobKind::Import, JOBS)).await {
        Ok(jobs) => {
            let formats = sources::FORMATS.iter().map(|one| (one.name(), one.about())).collect();
            show_scripted(
                StatusCode::OK,
                &Import { frame, formats, jobs: jobs.iter().map(Row::of).collect() },
            )
        }
        Err(problem) => trouble(&problem),
    }
}

/// Takes the form with its files as it comes: the token first, then the format, then the files.
async fn upload(State(app): State<App>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let visit = match Visit::from_request_parts(&mut parts, &app).await {
        Ok(visit) => visit,
        Err(response) => return response,
    };
    let headers = parts.headers.clone();
    let form = Multipart::from_request(Request::from_parts(parts, body), &app).await;
    let mut form = match form {
        Ok(form) => form,
        Err(_) => return trouble(&Problem::unsupported_media_type("multipart/form-data")),
    };
    let mut is_own = visit.is_own(&headers, None);
    let mut intake = IntakeRequest::default();
    let mut jobs = Vec::new();
    loop {
        let field = match form.next_field().await {
            Ok(Some(field)) => field,
            Ok(None) => break,
            Err(error) => {
                return trouble(&Problem::bad_request("the form broke off").because(error));
            }
        };
        match field.name().unwrap_or_default() {
            "csrf" => {
                let token = short(field).await;
                is_own = visit.is_own(&headers, token.as_deref());
            }
            "from" => {
                let name = short(field).await.unwrap_or_default();
                intake.from = sources::by_name(&name);
            }
            "file" if !is_own => {
                let text = "the form is of another session; open the page again";
                return trouble(&Problem::forbidden(text));
            }
            "file" => {
                let label = field.file_name().unwrap_or_default().to_owned();
                if label.is_empty() {
                    continue;
                }
                let pieces = field.map(|piece| {
                    piece.map_err(|error| Problem::bad_request("the file broke off").because(error))
                });
                match take(&app, visit.caller.clone(), label, pieces).await {
                    Ok(None) => {}
                    Ok(Some(upload)) => {
                        let (caller, asked) = (visit.caller.clone(), intake.clone());
                        let job = app
                            .call(move |service| service.submit_upload(&caller, upload, &asked))
                            .await;
                        match job {
                            Ok(id) => jobs.push(id),
                            Err(problem) => return trouble(&problem),
                        }
                    }
                    Err(problem) => return trouble(&problem),
                }
            }
            _ => {}
        }
    }
    match jobs.as_slice() {
        [] => trouble(&Problem::bad_request("no file was chosen")),
        [only] => see_other(&format!("/imports/{only}"), None),
        _ => see_other("/import", None),
    }
}

/// A field that is no file.
async fn short(mut field: axum::extract::multipart::Field<'_>) -> Option<String> {
    let mut bytes = Vec::new();
    while let Some(piece) = field.chunk().await.ok()? {
        bytes.extend_from_slice(&piece);
        if bytes.len() > FIELD_BYTES {
            return None;
        }
    }
    String::from_utf8(bytes).ok()
}

/// Brings in the examples.
async fn examples(State(app): State<App>, Posted { visit, .. }: Posted<Nothing>) -> Response {
    let taken = app.call(move |service| {
        for text in EXAMPLES {
            service.take_in(&visit.caller, &IntakeRequest::default(), text.as_bytes().to_vec())?;
        }
        Ok(())
    });
    match taken.await {
        Ok(()) => see_other("/export", None),
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
    report: Vec<(&'static str, String)>,
    refusals: Vec<String>,
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
    let lines = report.as_ref().map(|report| {
        let lines = [
            ("Items read", report.read),
            ("New", report.new),
            ("Updated", report.updated),
            ("Unchanged", report.same),
            ("Older than what is there", report.older),
            ("Repeated in the file", report.repeated),
            ("Another person's", report.foreign),
            ("Refused", report.refused_count()),
        ];
        let told = |(index, (_, number)): &(usize, (&str, u64))| *index < 2 || *number > 0;
        let lines = lines.into_iter().enumerate().filter(told);
        lines.map(|(_, (words, number))| (words, count(number))).collect()
    });
    let page = Imported {
        frame,
        id,
        name: job.name.clone(),
        state: job.state.to_string().replace('_', " "),
        is_ended: job.state.is_ended(),
        percent: percent(job.progress.bytes_done, job.progress.bytes_total),
        error: job.error.clone(),
        report: lines.unwrap_or_default(),
        refusals: report.map(|report| report.first_refused).unwrap_or_default(),
    };
    show_scripted(StatusCode::OK, &page)
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
