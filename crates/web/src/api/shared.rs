//! What is behind a public link, for anyone who has it.

use axum::extract::{FromRequestParts, State};
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::{IntoResponse, Response};
use retort_service::{EngineError, Pass, Shared, pack};
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::{Problems, raw};
use crate::app::App;
use crate::extract::{Json, Path};
use crate::problem::Problem;
use crate::ranges::{Offer, download};
use crate::who::{Visitor, cookie};
use crate::wire;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(show)).routes(routes!(all_files)).routes(routes!(file))
}

/// What a visitor of a link shows besides it.
pub struct Knock {
    password: Option<String>,
    proofs: Vec<String>,
    visitor: Visitor,
}

/// How the cookies begin that stand for passwords of links.
pub const PROOF: &str = "retort-link-";

impl FromRequestParts<App> for Knock {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Problem> {
        let visitor = Visitor::from_request_parts(parts, app).await?;
        app.rates().take(visitor.address.into(), Instant::now()).map_err(Problem::rate_limited)?;
        let password = parts.headers.get("x-share-password");
        let password = password.and_then(|value| std::str::from_utf8(value.as_bytes()).ok());
        let password = password.map(str::to_owned);
        let link = parts.uri.path().split('/').find(|part| part.len() == 43).unwrap_or_default();
        let proof = cookie(&parts.headers, &proof_name(link)).map(str::to_owned);
        Ok(Self { password, proofs: proof.into_iter().collect(), visitor })
    }
}

/// What the cookie of a link's password is called: not the link, which is a secret of its own.
pub fn proof_name(link: &str) -> String {
    let hash = Sha256::digest(link.as_bytes());
    let start: String = hash.iter().take(8).map(|byte| format!("{byte:02x}")).collect();
    format!("{PROOF}{start}")
}

impl Knock {
    /// Opens the link.
    ///
    /// # Errors
    /// There is no such link, or the password is another or missing.
    pub async fn open(self, app: &App, link: String) -> Result<Shared, Problem> {
        match (self.password, self.proofs.into_iter().next()) {
            (Some(password), _) => open_with(app, link, password, &self.visitor).await,
            (None, Some(proof)) => {
                app.call(move |service| service.shared(&link, Pass::Proof(&proof))).await
            }
            (None, None) => app.call(move |service| service.shared(&link, Pass::None)).await,
        }
    }
}

/// Opens a link with a password, not too often.
///
/// # Errors
/// As [`Knock::open`].
pub async fn open_with(
    app: &App,
    link: String,
    password: String,
    visitor: &Visitor,
) -> Result<Shared, Problem> {
    super::account::slow_down(app, &link, visitor)?;
    app.call_with_password(move |service| service.shared(&link, Pass::Password(&password))).await
}

/// A shared conversation
///
/// A link with a password takes it in the header `X-Share-Password`.
#[utoipa::path(get, path = "/shared/{link}", tag = "shares", security(()), params(("link" = String, Path)),
    responses((status = 200, body = wire::SharedConversation), Problems))]
async fn show(
    State(app): State<App>,
    knock: Knock,
    Path(link): Path<String>,
) -> Result<Response, Problem> {
    let shared = knock.open(&app, link.clone()).await?;
    app.answer(move |service| {
        let files = service.attachments(&shared)?;
        let files = (0..).zip(&files).map(|(number, file): (usize, _)| wire::SharedFile {
            name: file.name.clone(),
            media_type: file.media_type.clone(),
            bytes: file.bytes.len() as u64,
            path: format!("/api/v1/shared/{link}/files/{number}"),
        });
        let shown = wire::SharedConversation {
            title: shared.summary.title.clone(),
            kind: shared.summary.kind.to_string(),
            model: shared.summary.model.clone(),
            created_at: shared.summary.created_at.map(|time| time.to_string()),
            files: files.collect(),
            conversation: raw(shared.line)?,
        };
        Ok(Json(shown).into_response())
    })
    .await
}

/// A file of a shared conversation
#[utoipa::path(get, path = "/shared/{link}/files/{number}", tag = "shares", security(()),
    params(("link" = String, Path), ("number" = usize, Path)),
    responses((status = 200, content_type = "*/*", body = String), (status = 206, content_type = "*/*", body = String),
        (status = 304), Problems))]
async fn file(
    State(app): State<App>,
    knock: Knock,
    Path((link, number)): Path<(String, usize)>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let shared = knock.open(&app, link).await?;
    let mut files = app.call(move |service| service.attachments(&shared)).await?;
    if number >= files.len() {
        return Err(Problem::not_found("file", &number.to_string()));
    }
    let file = files.swap_remove(number);
    send(&app, &method, &headers, &file.name, &file.media_type, file.bytes).await
}

/// All files of a shared conversation as a ZIP archive
#[utoipa::path(get, path = "/shared/{link}/files.zip", tag = "shares", security(()), params(("link" = String, Path)),
    responses((status = 200, content_type = "application/zip", body = String),
        (status = 206, content_type = "application/zip", body = String), (status = 304), Problems))]
async fn all_files(
    State(app): State<App>,
    knock: Knock,
    Path(link): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let shared = knock.open(&app, link).await?;
    let archive = app.call(move |service| Ok(pack(&service.attachments(&shared)?))).await?;
    let Some(archive) = archive else {
        return Err(Problem::not_found("file", "in the conversation"));
    };
    send(&app, &method, &headers, "files.zip", "application/zip", archive).await
}

/// Sends what people wrote to be saved, never to be run.
async fn send(
    app: &App,
    method: &Method,
    headers: &HeaderMap,
    name: &str,
    media_type: &str,
    bytes: Vec<u8>,
) -> Result<Response, Problem> {
    let etag: String =
        Sha256::digest(&bytes).iter().take(16).map(|byte| format!("{byte:02x}")).collect();
    let offer = Offer { total_bytes: bytes.len() as u64, etag: &etag, file_name: name, media_type };
    let mut response = download(app.downloads(), method, headers, &offer, move |range, out| {
        let range = usize::try_from(range.start).unwrap_or(usize::MAX)
            ..usize::try_from(range.end).unwrap_or(usize::MAX);
        let sent = out.write_all(bytes.get(range).unwrap_or_default());
        sent.map_err(|source| EngineError::Failed { what: "the connection", source }.into())
    })
    .await?;
    let sandbox = HeaderValue::from_static("default-src 'none'; sandbox");
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, sandbox);
    Ok(response)
}
