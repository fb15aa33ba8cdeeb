//! Documents: brought in, listed, read with their chunks, their original files kept and fetched, and taken away.

use axum::extract::{FromRequest, Multipart, Request, State};
use axum::http::header::{CONTENT_LENGTH, CONTENT_TYPE};
use axum::http::{HeaderMap, Method};
use axum::response::{IntoResponse, Response};
use futures_util::StreamExt;
use retort_model::bounds::{CHUNKS_AT_ONCE, REQUEST_BYTES, UPLOAD_BYTES};
use retort_model::{DocumentFilter, Filter, ItemKind};
use retort_service::{Caller, DocumentOrder, IntakeRequest, NewOriginal, Service, Upload};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::Answer;
use super::idempotency::IdempotencyKey;
use super::imports::import_upload;
use super::intake::{self, Intake};
use super::paging::{Page, Paged, length};
use super::query::Params;
use crate::app::App;
use crate::blocking::take_memory;
use crate::bounds::BODY_COPIES;
use crate::extract::{Json, Path, is_lines};
use crate::problem::Problem;
use crate::ranges::{ByteRange, Offer, copy_range, download};
use crate::uploads::{take, too_large};
use crate::who::ProjectCaller;
use crate::wire;
use crate::wire::Filtered;

/// The import format of documents, if none is named.
const FORMAT: &str = "uiuc-documents";

/// Chunks that are shown, if not said.
const CHUNKS: usize = 20;

/// The media type of what is none of a known one.
const BYTES: &str = "application/octet-stream";

/// The routes.
pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_documents, import_documents))
        .routes(routes!(document_stats))
        .routes(routes!(purge_documents))
        .routes(routes!(show_document))
        .routes(routes!(list_chunks))
        .routes(routes!(download_original, keep_original))
}

/// The import format.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
struct Of {
    /// The import format, where the id alone is not enough.
    source: Option<String>,
}

/// What the original is called.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
struct Called {
    /// The import format of the document, where the id alone is not enough.
    source: Option<String>,
    /// The file's name.
    name: Option<String>,
}

/// Which chunks.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
struct ChunkQuery {
    /// The import format, where the id alone is not enough.
    source: Option<String>,
    /// Behind how many chunks: `next` of the chunks before.
    after: u64,
    /// Maximum number: 1 to 100. Default: 20.
    #[param(minimum = 1, maximum = 100)]
    limit: Option<usize>,
    /// Whether to include the embeddings.
    embeddings: bool,
}

/// List documents
#[utoipa::path(get, path = "/documents", tag = "documents", params(wire::filter::Documents, Page, wire::Sorting<wire::DocumentOrder>),
    responses((status = 200, body = wire::DocumentPage)))]
async fn list_documents(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Paged { filter, page, order }: Paged<DocumentFilter, DocumentOrder>,
) -> Answer<wire::DocumentPage> {
    let (after, most) = (page.after()?, page.most()?);
    let page = app.call(move |service| service.documents(&caller, &filter, order, after, most));
    let page = page.await?;
    Ok(Json(wire::DocumentPage {
        documents: page.documents.iter().map(wire::Document::from).collect(),
        next: page.next.map(|next| next.to_string()),
    }))
}

/// Count documents, and describe their embeddings
#[utoipa::path(get, path = "/documents/stats", tag = "documents", params(wire::filter::Documents),
    responses((status = 200, body = wire::DocumentStats)))]
async fn document_stats(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Filtered(filter): Filtered<DocumentFilter>,
) -> Answer<wire::DocumentStats> {
    let (documents, stats) =
        app.call(move |service| service.document_stats(&caller, &filter)).await?;
    Ok(Json(wire::DocumentStats { documents, embeddings: (&stats).into() }))
}

/// Import documents with their chunks
///
/// As `application/json`, an object or an array of up to 16 MiB is imported in the request (200). As
/// `application/x-ndjson` of any size, uncompressed or compressed with gzip or zstd, documents are streamed and
/// imported by a job (202). As `multipart/form-data`, the field `document` is one document, and the field `original`
/// its original file (200).
#[utoipa::path(post, path = "/documents", tag = "documents", params(IdempotencyKey, Intake),
    request_body(content((serde_json::Value = "application/json"), (String = "application/x-ndjson"),
        (Vec<u8> = "multipart/form-data"))),
    responses((status = 200, body = wire::ImportResult), (status = 202, body = wire::Job)))]
async fn import_documents(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Params(intake): Params<Intake>,
    request: Request,
) -> Result<Response, Problem> {
    let intake = Intake { from: intake.from.or_else(|| Some(FORMAT.into())), ..intake };
    if is_lines(request.headers()) {
        return import_upload(app, caller, intake, request).await;
    }
    let is_form = request
        .headers()
        .get(CONTENT_TYPE)
        .is_some_and(|kind| kind.as_bytes().starts_with(b"multipart/form-data"));
    if is_form {
        return with_original(app, caller, intake, request).await;
    }
    intake::take_in(app, caller, ItemKind::Document, intake, request).await
}

/// Takes in the document of a form, and the original file behind it.
async fn with_original(
    app: App,
    caller: Caller,
    intake: Intake,
    request: Request,
) -> Result<Response, Problem> {
    take_memory(REQUEST_BYTES as u64 * BODY_COPIES).await?;
    let mut form = Multipart::from_request(request, &app)
        .await
        .map_err(|_| Problem::unsupported_media_type("multipart/form-data"))?;
    let intake = IntakeRequest { kind: ItemKind::Document, ..intake.request()? };
    let mut told = None;
    while let Some(field) = form.next_field().await? {
        match (field.name().unwrap_or_default(), &told) {
            ("document", None) => {
                let mut text = Vec::new();
                let mut field = field;
                while let Some(piece) = field.chunk().await? {
                    if text.len() + piece.len() > REQUEST_BYTES {
                        return Err(Problem::too_large(REQUEST_BYTES));
                    }
                    text.extend_from_slice(&piece);
                }
                told = Some(intake::taken(&app, caller.clone(), intake.clone(), text).await?);
            }
            ("original", Some(told)) => {
                let [met] = &told.conversations[..] else {
                    return Err(Problem::bad_request(
                        "`original` is the file of exactly one document, but `document` \
                                                     has none or several",
                    ));
                };
                let (id, source) = (met.id.clone(), met.source.clone());
                let new = NewOriginal {
                    name: field.file_name().map(str::to_owned),
                    media_type: field.content_type().map(str::to_owned),
                };
                let pieces = field.map(|piece| piece.map_err(Problem::from));
                let upload = take(&app, caller.clone(), id.clone(), pieces).await?;
                let upload =
                    upload.ok_or_else(|| Problem::bad_request("the original file is empty"))?;
                kept(&app, caller.clone(), (id, Some(source)), new, upload).await?;
            }
            ("original", None) => {
                return Err(Problem::bad_request(
                    "the field `document` must come before `original`",
                ));
            }
            (other, _) => {
                return Err(Problem::bad_request(format!(
                    "unknown field `{other}` of the form: it has `document` and `original`"
                )));
            }
        }
    }
    let told = told.ok_or_else(|| Problem::bad_request("the form has no field `document`"))?;
    Ok(Json(told).into_response())
}

/// Keeps what was uploaded as the original file of a document.
///
/// # Errors
/// There is no such document; the caller may not; it could not be kept.
pub async fn kept(
    app: &App,
    caller: Caller,
    (id, source): (String, Option<String>),
    new: NewOriginal,
    upload: Upload,
) -> Result<wire::Document, Problem> {
    let keep = move |service: &Service| {
        service.keep_original(&caller, (&id, source.as_deref()), &new, upload)
    };
    Ok(wire::Document::from(&app.call(keep).await?))
}

/// Permanently delete documents
#[utoipa::path(post, path = "/documents/purge", tag = "documents", request_body = wire::PurgeDocuments,
    responses((status = 200, body = wire::Purged)))]
async fn purge_documents(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Json(asked): Json<wire::PurgeDocuments>,
) -> Answer<wire::Purged> {
    if asked.ids.is_empty() {
        return Err(Problem::bad_request("`ids` is empty: name at least one document"));
    }
    let selection =
        DocumentFilter { ids: asked.ids.into_iter().collect(), ..DocumentFilter::default() };
    selection.check().map_err(Problem::bad_request)?;
    let purged = app.call(move |service| service.purge_documents(&caller, &selection)).await?;
    Ok(Json(wire::Purged { purged }))
}

/// Return a document without its chunks
#[utoipa::path(get, path = "/documents/{id}", tag = "documents", params(("id" = String, Path), Of),
    responses((status = 200, body = wire::Document)))]
async fn show_document(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<String>,
    Params(of): Params<Of>,
) -> Answer<wire::Document> {
    let found =
        app.call(move |service| service.document(&caller, &id, of.source.as_deref())).await?;
    Ok(Json(wire::Document::from(&found)))
}

/// List chunks of a document
#[utoipa::path(get, path = "/documents/{id}/chunks", tag = "documents",
    params(("id" = String, Path), ChunkQuery),
    responses((status = 200, body = wire::Chunks)))]
async fn list_chunks(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<String>,
    Params(query): Params<ChunkQuery>,
) -> Answer<wire::Chunks> {
    let most = length(query.limit, CHUNKS, CHUNKS_AT_ONCE)?;
    let found = app.call(move |service| {
        let document = service.document(&caller, &id, query.source.as_deref())?;
        let after = usize::try_from(query.after).unwrap_or(usize::MAX);
        service.with_document(&document, |document| {
            wire::Chunks::of(&document, after, most, query.embeddings)
        })
    });
    Ok(Json(found.await?))
}

/// Download the original file of a document
#[utoipa::path(get, path = "/documents/{id}/original", tag = "documents", params(ByteRange, ("id" = String, Path), Of),
    responses(
        (status = 200, content_type = "application/octet-stream", body = String),
        (status = 206, content_type = "application/octet-stream", body = String),
        (status = 304)))]
async fn download_original(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<String>,
    Params(of): Params<Of>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    fetch(&app, caller, (id, of.source), &method, &headers).await
}

/// The answer with the original file of a document.
///
/// # Errors
/// There is none; those of a download.
pub async fn fetch(
    app: &App,
    caller: Caller,
    (id, source): (String, Option<String>),
    method: &Method,
    headers: &HeaderMap,
) -> Result<Response, Problem> {
    let (original, file) =
        app.call(move |service| service.original(&caller, &id, source.as_deref())).await?;
    let offer = Offer {
        total_bytes: original.bytes,
        etag: &original.sha256,
        file_name: original.name.as_deref().unwrap_or("original"),
        // What others sent is never shown as a page of this site.
        media_type: BYTES,
    };
    download(app.downloads(), method, headers, &offer, move |range, out| {
        copy_range(file, range, out, "an original or its receiver")
    })
    .await
}

/// Store the request body as the original file of a document
#[utoipa::path(put, path = "/documents/{id}/original", tag = "documents", params(("id" = String, Path), Called),
    request_body(content = String, content_type = "application/octet-stream"),
    responses((status = 200, body = wire::Document)))]
async fn keep_original(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<String>,
    Params(called): Params<Called>,
    request: Request,
) -> Answer<wire::Document> {
    let length = request.headers().get(CONTENT_LENGTH).and_then(|value| value.to_str().ok());
    if length.and_then(|text| text.parse::<u64>().ok()).is_some_and(|n| n > UPLOAD_BYTES) {
        return Err(too_large());
    }
    let kind = request.headers().get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let new = NewOriginal { name: called.name, media_type: kind.map(str::to_owned) };
    // A caller who may not do this is refused before the bytes are read.
    let (asks, of) = (caller.clone(), (id.clone(), called.source.clone()));
    app.call(move |service| service.document(&asks, &of.0, of.1.as_deref()).map(|_| ())).await?;
    let pieces = request.into_body().into_data_stream();
    let pieces = pieces.map(|piece| piece.map_err(Problem::from));
    let upload = take(&app, caller.clone(), id.clone(), pieces).await?;
    let upload = upload.ok_or_else(|| Problem::bad_request("the body is empty"))?;
    Ok(Json(kept(&app, caller, (id, called.source), new, upload).await?))
}
