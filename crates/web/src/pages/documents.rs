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
use retort_model::{DocumentFilter, ItemKind};
use retort_service::{DocumentSummary, ExportRequest, NewOriginal};
use serde::Deserialize;

use super::addresses::{document_from, list_at};
use super::arrangement::{Arrangement, Cell, Choices};
use super::columns::{Documents, in_words};
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
    path: String,
    name: String,
    cells: Vec<Cell>,
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
    choices: Choices,
    paging: Paging,
    has_any: bool,
    trouble: Option<String>,
}

/// The path of the list.
const LIST: &str = "/documents";

async fn list(State(app): State<App>, visit: Visit, Query(asked): Query<Asked>) -> Response {
    listed(&app, visit, asked, None).await
}

async fn listed(app: &App, visit: Visit, asked: Asked, problem: Option<Problem>) -> Response {
    let frame = visit.frame("documents");
    let after = match asked.after.as_deref().map(str::parse).transpose() {
        Ok(after) => after,
        Err(error) => return trouble(&Problem::bad_request(error)),
    };
    let Asked { filtering, after: this_page } = asked;
    let wanted = filtering.filter();
    let wanted = wanted.and_then(|filter| Ok((filter, Arrangement::<Documents>::of(&filtering)?)));
    let (filter, arrangement) = match wanted {
        Ok(wanted) => wanted,
        Err(problem) => return refused(frame, filtering, &problem),
    };
    let (is_first, order) = (after.is_none(), arrangement.order);
    let seen = app.call(move |service| {
        let page = service.documents(&visit.caller, &filter, order, after, PAGE)?;
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
    let mut here = filtering.query();
    if let Some(after) = this_page {
        here = format!("{here}&after={after}").trim_start_matches('&').to_owned();
    }
    let row = |one: &DocumentSummary| Row {
        path: document_from(&one.id, &one.source, &here),
        name: one.called().to_owned(),
        cells: arrangement.cells(one),
    };
    let shown = List {
        frame,
        rows: page.documents.iter().map(row).collect(),
        total: format!("{} {}", count(total), if total == 1 { "document" } else { "documents" }),
        stats: in_words(&stats),
        paging: Paging::of(&list_at(LIST, &filtering.query()), is_first, page.next),
        choices: arrangement.choices(&filtering, LIST),
        filtering,
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
        choices: Choices::default(),
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
    /// The query of the list to return to.
    from: String,
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
    /// The URLs of the list to return to, and of the documents before and after this one in it.
    list: String,
    before: Option<String>,
    after: Option<String>,
    /// The id, encoded for a URL.
    path: String,
    source: String,
    from: String,
    name: String,
    chunk_count: String,
    embeddings: String,
    original: String,
    created: String,
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
    let Opening { source, after, from } = opening;
    let list = from.clone();
    let seen = app.call(move |service| {
        let document = service.document(&visit.caller, &id, source.as_deref())?;
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
        let (filter, order) =
            (FilterForm::<DocumentFilter>::at(&list), Arrangement::<Documents>::order_at(&list));
        let around = service.document_neighbours(&visit.caller, &filter, order, &document)?;
        let around = around.map(|one| one.map(|one| document_from(&one.id, &one.source, &list)));
        Ok((document, chunks, next, cited, datasets, around))
    });
    let (document, chunks, next, cited, datasets, [before, onward]) = match seen.await {
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
    let here = document_from(&document.id, &document.source, &from);
    let original = document.original.as_ref();
    let page = Page {
        frame,
        list: list_at(LIST, &from),
        before,
        after: onward,
        path: utf8_percent_encode(&document.id, NON_ALPHANUMERIC).to_string(),
        source: document.source.clone(),
        from,
        name: document.called().to_owned(),
        chunk_count: count(document.chunks),
        embeddings: in_words(&document.embeddings),
        original: original.map(|original| bytes(original.bytes)).unwrap_or_default(),
        created: moment(document.created_at),
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
        Ok(Opening { source, from, .. }) => {
            see_other(&document_from(&id, &source.unwrap_or_default(), &from), None)
        }
        Err((opening, problem)) if problem.kind().status == 400 => {
            opened(&app, visit, id, opening, Some(problem)).await
        }
        Err((_, problem)) => trouble(&problem),
    }
}

/// Stores the file, and returns the other fields of the form. If there is a problem, they may be incomplete.
async fn receive(
    app: &App,
    visit: &Visit,
    id: &str,
    request: Request,
) -> Result<Opening, (Opening, Problem)> {
    let headers = request.headers().clone();
    let mut opening = Opening::default();
    let mut form = match Multipart::from_request(request, app).await {
        Ok(form) => form,
        Err(_) => return Err((opening, Problem::unsupported_media_type("multipart/form-data"))),
    };
    let mut is_own = visit.is_own(&headers, None);
    loop {
        let field = match form.next_field().await {
            Ok(Some(field)) => field,
            Ok(None) => return Err((opening, Problem::bad_request(NO_FILE))),
            Err(error) => return Err((opening, error.into())),
        };
        let name = field.name().unwrap_or_default().to_owned();
        if name == "original" {
            if !is_own {
                return Err((opening, Problem::forbidden(OTHER_SESSION)));
            }
            let kept = keep_file(app, visit, (id.to_owned(), opening.source.clone()), field).await;
            return match kept {
                Ok(()) => Ok(opening),
                Err(problem) => Err((opening, problem)),
            };
        }
        let text = match short(field).await {
            Ok(text) => text,
            Err(problem) => return Err((opening, problem)),
        };
        match &*name {
            "csrf" => is_own = visit.is_own(&headers, Some(&text)),
            "source" => opening.source = Some(text),
            "from" => opening.from = text,
            _ => {}
        }
    }
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
