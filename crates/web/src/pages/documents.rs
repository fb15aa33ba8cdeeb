//! Documents: listed, opened with their chunks, and exported all at once. For who administers the project.

use askama::Template;
use axum::Router;
use axum::extract::multipart::Field;
use axum::extract::{FromRequest, FromRequestParts, Multipart, Request, State};
use axum::response::Response;
use axum::routing::{get, post};
use futures_util::StreamExt;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use retort_json::RawJson;
use retort_model::{DocumentFilter, EmbeddingStats, ItemKind};
use retort_service::{DocumentSummary, ExportRequest, NewOriginal};
use serde::Deserialize;

use super::datasets;
use super::display::{bytes, count, moment, sentence};
use super::filter_form::FilterForm;
use super::frame::{Frame, OTHER_SESSION, Posted, Visit};
use super::import::short;
use super::options;
use super::paging::Paging;
use super::records::cut;
use super::response::{see_other, show, status_of, trouble};
use super::taken::{Path, Query};
use crate::api::documents::kept;
use crate::app::App;
use crate::problem::Problem;
use crate::uploads::take;
use crate::wire;

/// Documents on a page.
const PAGE: usize = 50;

/// Chunks on a page.
const CHUNKS: usize = 20;

/// Conversations that are named as having cited a document.
const CITED: usize = 50;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/documents", get(list))
        .route("/documents/export", post(export))
        .route("/documents/{id}", get(document))
        .route("/documents/{id}/original", post(keep))
}

struct Row {
    /// The id as it is in an address.
    path: String,
    source: String,
    name: String,
    url: String,
    chunks: String,
    embeddings: String,
    original: String,
    created: String,
}

impl Row {
    fn of(document: &DocumentSummary) -> Self {
        let original = document.original.as_ref();
        Self {
            path: utf8_percent_encode(&document.id, NON_ALPHANUMERIC).to_string(),
            source: document.source.clone(),
            name: document.called().to_owned(),
            url: document.url.clone().unwrap_or_default(),
            chunks: count(document.chunks),
            embeddings: in_words(&document.embeddings),
            original: original.map(|original| bytes(original.bytes)).unwrap_or_default(),
            created: moment(document.created_at),
        }
    }
}

/// What embeddings have in common, in words; nothing where there are none.
fn in_words(stats: &EmbeddingStats) -> String {
    match (stats.least_dimension, stats.most_dimension) {
        _ if stats.embedded == 0 => String::new(),
        (least, most) if least == most => format!("{most} dimensions, float{}", stats.width),
        (least, most) => format!("{least} to {most} dimensions, float{}", stats.width),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    #[serde(flatten)]
    filtering: FilterForm<DocumentFilter>,
    after: Option<String>,
}

#[derive(Template)]
#[template(path = "documents.html")]
struct List {
    frame: Frame,
    rows: Vec<Row>,
    total: String,
    stats: String,
    filtering: FilterForm<DocumentFilter>,
    paging: Paging,
    has_any: bool,
    trouble: Option<String>,
}

/// The list with that filter.
fn address(filtering: &FilterForm<DocumentFilter>) -> String {
    match filtering.query() {
        query if query.is_empty() => "/documents".into(),
        query => format!("/documents?{query}"),
    }
}

async fn list(State(app): State<App>, visit: Visit, Query(asked): Query<Asked>) -> Response {
    listed(&app, visit, asked, None).await
}

async fn listed(app: &App, visit: Visit, asked: Asked, problem: Option<Problem>) -> Response {
    let frame = visit.frame("documents");
    let after = match asked.after.as_deref().map(str::parse).transpose() {
        Ok(after) => after,
        Err(error) => return trouble(&Problem::bad_request(error)),
    };
    let filter = match asked.filtering.filter() {
        Ok(filter) => filter,
        Err(problem) => return refused(frame, asked.filtering, &problem),
    };
    let is_first = after.is_none();
    let seen = app.call(move |service| {
        let page = service.documents(&visit.caller, &filter, after, PAGE)?;
        let stats = service.document_stats(&visit.caller, &filter)?;
        let all = match filter == DocumentFilter::default() {
            true => stats.0,
            false => service.document_stats(&visit.caller, &DocumentFilter::default())?.0,
        };
        Ok((page, stats, all))
    });
    let (page, (total, stats), all) = match seen.await {
        Ok(seen) => seen,
        Err(problem) => return trouble(&problem),
    };
    let status = status_of(problem.as_ref());
    let shown = List {
        frame,
        rows: page.documents.iter().map(Row::of).collect(),
        total: format!("{} {}", count(total), if total == 1 { "document" } else { "documents" }),
        stats: in_words(&stats),
        paging: Paging::of(&address(&asked.filtering), is_first, page.next),
        filtering: asked.filtering,
        has_any: all > 0,
        trouble: problem.map(|problem| sentence(problem.detail())),
    };
    show(status, &shown)
}

/// The list without documents, with what is wrong with its filter beside the search.
fn refused(frame: Frame, mut filtering: FilterForm<DocumentFilter>, problem: &Problem) -> Response {
    filtering.refuse(problem);
    let shown = List {
        frame,
        rows: Vec::new(),
        total: String::new(),
        stats: String::new(),
        paging: Paging { first: None, next: None },
        filtering,
        has_any: false,
        trouble: None,
    };
    show(status_of(Some(problem)), &shown)
}

#[derive(Debug, Deserialize)]
struct Exporting {
    dataset_name: String,
    file_format: String,
    #[serde(default)]
    embeddings: Option<String>,
}

async fn export(State(app): State<App>, Posted { visit, form }: Posted<Exporting>) -> Response {
    let mut given = options::Given::from([("file_format".into(), form.file_format)]);
    if form.embeddings.is_none() {
        given.insert("embeddings".into(), "none".into());
    }
    let caller = visit.caller.clone();
    let options = options::asked(&given).map(wire::Options);
    let plan = options.and_then(|options| options.plan(&form.dataset_name, ItemKind::Document));
    let asked = match plan {
        Ok(dataset) => {
            let selection = DocumentFilter::default().into();
            let request = ExportRequest { selection, dataset };
            app.call(move |service| service.submit_export(&caller, &request)).await
        }
        Err(problem) => Err(problem),
    };
    match asked {
        Ok(id) => see_other(&format!("/exports/{id}"), None),
        Err(problem) => listed(&app, visit, Asked::default(), Some(problem)).await,
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Opening {
    source: Option<String>,
    after: usize,
}

struct Chunk {
    number: String,
    page: String,
    dimension: String,
    text: String,
}

#[derive(Template)]
#[template(path = "document.html")]
struct Page {
    frame: Frame,
    row: Row,
    model: Option<String>,
    /// Where it is from: what each is, and it.
    places: Vec<(&'static str, String)>,
    /// Conversations: address and title.
    cited: Vec<(String, String)>,
    chunks: Vec<Chunk>,
    paging: Paging,
    trouble: Option<String>,
    /// The datasets that it is in, where the visitor may see any.
    datasets: datasets::Traced,
}

async fn document(
    State(app): State<App>,
    visit: Visit,
    Path(id): Path<String>,
    Query(opening): Query<Opening>,
) -> Response {
    opened(&app, visit, id, opening, None).await
}

async fn opened(
    app: &App,
    visit: Visit,
    id: String,
    opening: Opening,
    problem: Option<Problem>,
) -> Response {
    let frame = visit.frame("documents");
    let status = status_of(problem.as_ref());
    let after = opening.after;
    let seen = app.call(move |service| {
        let document = service.document(&visit.caller, &id, opening.source.as_deref())?;
        let (chunks, next) = service.with_document(&document, |document| {
            let some = document.chunks.iter().skip(after).take(CHUNKS);
            let chunk = |(number, chunk): (usize, &retort_model::Chunk<'_>)| Chunk {
                number: count(number as u64),
                page: chunk.pagenumber.as_ref().map(words_of).unwrap_or_default(),
                dimension: chunk.embedding.as_ref().map_or_else(String::new, |embedding| {
                    let vector = &embedding.vector;
                    format!("{} dimensions, float{}", vector.dimension(), vector.width())
                }),
                text: cut(&chunk.text.decoded()),
            };
            let more = document.chunks.len() > after.saturating_add(CHUNKS);
            let chunks: Vec<Chunk> = (after + 1..).zip(some).map(chunk).collect();
            (chunks, more.then_some(after.saturating_add(CHUNKS)))
        })?;
        let cited = service.citing(&visit.caller, &document, CITED)?;
        let questions = service.first_questions(&visit.caller, &cited)?;
        let cited = cited.into_iter().map(|one| {
            let path = super::addresses::path(&one.id, &one.source);
            let title = one.title.filter(|title| !title.trim().is_empty());
            (path, title.or_else(|| questions.get(&one.key).cloned()).unwrap_or(one.id))
        });
        let cited: Vec<_> = cited.collect();
        let datasets = datasets::traced(service, &visit, &document.id)?;
        Ok((document, chunks, next, cited, datasets))
    });
    let (document, chunks, next, cited, datasets) = match seen.await {
        Ok(seen) => seen,
        Err(problem) => return trouble(&problem),
    };
    let places = [
        ("Id", Some(document.id.clone())),
        ("URL", document.url.clone()),
        ("Site", document.base_url.clone()),
        ("Path", document.s3_path.clone()),
    ];
    let there = |(name, value): (&'static str, Option<String>)| {
        value.filter(|value| !value.is_empty()).map(|value| (name, value))
    };
    let row = Row::of(&document);
    let source = utf8_percent_encode(&document.source, NON_ALPHANUMERIC);
    let here = format!("/documents/{}?source={source}", row.path);
    let page = Page {
        frame,
        row,
        model: document.embeddings.model.clone(),
        places: places.into_iter().filter_map(there).collect(),
        cited,
        chunks,
        paging: Paging::of(&here, after == 0, next),
        datasets,
        trouble: problem.map(|problem| sentence(problem.detail())),
    };
    show(status, &page)
}

/// Keeps the file of a form as the original of a document.
async fn keep(State(app): State<App>, Path(id): Path<String>, request: Request) -> Response {
    let (mut parts, body) = request.into_parts();
    let visit = match Visit::from_request_parts(&mut parts, &app).await {
        Ok(visit) => visit,
        Err(response) => return response,
    };
    let request = Request::from_parts(parts, body);
    match receive(&app, &visit, &id, request).await {
        Ok(source) => {
            let id = utf8_percent_encode(&id, NON_ALPHANUMERIC);
            let source = utf8_percent_encode(&source, NON_ALPHANUMERIC);
            see_other(&format!("/documents/{id}?source={source}"), None)
        }
        Err((source, problem)) if problem.kind().status == 400 => {
            let opening = Opening { source, after: 0 };
            opened(&app, visit, id, opening, Some(problem)).await
        }
        Err((_, problem)) => trouble(&problem),
    }
}

/// The document's import format, as the form names it; with a problem, as far as it was read.
async fn receive(
    app: &App,
    visit: &Visit,
    id: &str,
    request: Request,
) -> Result<String, (Option<String>, Problem)> {
    let headers = request.headers().clone();
    let fail = |problem: Problem| (None, problem);
    let form = Multipart::from_request(request, app).await;
    let mut form =
        form.map_err(|_| fail(Problem::unsupported_media_type("multipart/form-data")))?;
    let mut is_own = visit.is_own(&headers, None);
    let mut source = None;
    while let Some(field) = form.next_field().await.map_err(|error| fail(error.into()))? {
        match field.name().unwrap_or_default() {
            "csrf" => {
                let token = short(field).await.map_err(fail)?;
                is_own = visit.is_own(&headers, Some(&token));
            }
            "source" => source = Some(short(field).await.map_err(fail)?),
            "original" if !is_own => return Err(fail(Problem::forbidden(OTHER_SESSION))),
            "original" => {
                let of = source.clone();
                let kept = keep_file(app, visit, (id.to_owned(), source.clone()), field).await;
                return match kept {
                    Ok(()) => Ok(of.unwrap_or_default()),
                    Err(problem) => Err((of, problem)),
                };
            }
            _ => {}
        }
    }
    Err((source, Problem::bad_request(NO_FILE)))
}

const NO_FILE: &str = "Choose a file that is not empty.";

async fn keep_file(
    app: &App,
    visit: &Visit,
    (id, source): (String, Option<String>),
    field: Field<'_>,
) -> Result<(), Problem> {
    let new = NewOriginal {
        name: field.file_name().filter(|name| !name.is_empty()).map(str::to_owned),
        media_type: field.content_type().map(str::to_owned),
    };
    // A caller who may not do this is refused before the bytes are read.
    let (asks, of) = (visit.caller.clone(), (id.clone(), source.clone()));
    app.call(move |service| service.document(&asks, &of.0, of.1.as_deref()).map(|_| ())).await?;
    let pieces = field.map(|piece| piece.map_err(Problem::from));
    let upload = take(app, visit.caller.clone(), id.clone(), pieces).await?;
    let upload = upload.ok_or_else(|| Problem::bad_request(NO_FILE))?;
    kept(app, visit.caller.clone(), (id, source), new, upload).await.map(|_| ())
}

/// A JSON value as people read it.
fn words_of(raw: &RawJson<'_>) -> String {
    raw.as_text().unwrap_or_else(|| raw.as_str().to_owned())
}
