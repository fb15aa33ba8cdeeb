//! What is behind a public link, for anyone who has it.

use std::io::Write;
use std::ops::Range;

use axum::extract::{FromRequestParts, State};
use axum::http::header::CONTENT_SECURITY_POLICY;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue, Method};
use axum::response::Response;
use retort_service::{Error, Pass, Shared};
use sha2::{Digest, Sha256};
use tokio::time::Instant;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::line::{Around, WriteLine, no_line, with_line};
use crate::app::App;
use crate::extract::Path;
use crate::problem::Problem;
use crate::ranges::{ByteRange, Offer, download};
use crate::who::{Visitor, cookie};
use crate::wire;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(show_shared))
        .routes(routes!(download_shared_files))
        .routes(routes!(download_shared_file))
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

/// Return a shared conversation
///
/// If the link has a password, send it in the header `X-Share-Password`.
#[utoipa::path(get, path = "/shared/{link}", tag = "shares", security(()), params(("link" = String, Path)),
    responses((status = 200, body = wire::SharedConversation)))]
async fn show_shared(
    State(app): State<App>,
    knock: Knock,
    Path(link): Path<String>,
) -> Result<Response, Problem> {
    let shared = knock.open(&app, link.clone()).await?;
    with_line(&app, move |_| {
        let (bytes, files) = shared.measure()?;
        let files = (0..).zip(files).map(|(number, file): (usize, _)| wire::SharedFile {
            name: file.name,
            media_type: file.media_type,
            bytes: file.bytes,
            path: format!("/api/v1/shared/{link}/files/{number}"),
        });
        let answer = wire::SharedConversation {
            title: shared.summary.title.clone(),
            kind: shared.summary.kind.to_string(),
            model: shared.summary.model.clone(),
            created_at: shared.summary.created_at.map(|time| time.to_string()),
            files: files.collect(),
            conversation: no_line(),
        };
        let around = Around::new(&answer)?;
        let write: WriteLine = Box::new(move |out| shared.write(out));
        Ok((around, bytes, write))
    })
    .await
}

/// Download a file of a shared conversation
#[utoipa::path(get, path = "/shared/{link}/files/{number}", tag = "shares", security(()),
    params(ByteRange, ("link" = String, Path), ("number" = usize, Path)),
    responses((status = 200, content_type = "*/*", body = String), (status = 206, content_type = "*/*", body = String),
        (status = 304)))]
async fn download_shared_file(
    State(app): State<App>,
    knock: Knock,
    Path((link, number)): Path<(String, usize)>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let shared = knock.open(&app, link).await?;
    let file = app.call(move |_| shared.file(number)).await?;
    let file = file.ok_or_else(|| Problem::not_found("file", &number.to_string()))?;
    let etag = etag(&Sha256::digest(&file.bytes));
    let offer = Offer {
        total_bytes: file.bytes.len() as u64,
        etag: &etag,
        file_name: &file.name,
        media_type: &file.media_type,
    };
    let write = move |range: Range<u64>, out: &mut dyn Write| {
        let range = usize::try_from(range.start).unwrap_or(usize::MAX)
            ..usize::try_from(range.end).unwrap_or(usize::MAX);
        out.write_all(file.bytes.get(range).unwrap_or_default()).map_err(Error::gone)
    };
    Ok(sandboxed(download(app.downloads(), &method, &headers, &offer, write).await?))
}

/// Download all files of a shared conversation as a ZIP archive
#[utoipa::path(get, path = "/shared/{link}/files.zip", tag = "shares", security(()), params(ByteRange, ("link" = String, Path)),
    responses((status = 200, content_type = "application/zip", body = String),
        (status = 206, content_type = "application/zip", body = String), (status = 304)))]
async fn download_shared_files(
    State(app): State<App>,
    knock: Knock,
    Path(link): Path<String>,
    method: Method,
    headers: HeaderMap,
) -> Result<Response, Problem> {
    let shared = knock.open(&app, link).await?;
    let archive = app.call(move |_| {
        let Some(archive) = shared.archive()? else { return Ok(None) };
        let etag = etag(&archive.hash());
        Ok(Some((archive, etag)))
    });
    let archive = archive.await?;
    let (archive, etag) =
        archive.ok_or_else(|| Problem::not_found("file", "in the conversation"))?;
    let offer = Offer {
        total_bytes: archive.bytes(),
        etag: &etag,
        file_name: "files.zip",
        media_type: "application/zip",
    };
    let write = move |range, out: &mut dyn Write| archive.write(range, out);
    Ok(sandboxed(download(app.downloads(), &method, &headers, &offer, write).await?))
}

fn etag(hash: &[u8]) -> String {
    hash.iter().take(16).map(|byte| format!("{byte:02x}")).collect()
}

/// What people wrote is to be saved, never to be run.
fn sandboxed(mut response: Response) -> Response {
    let sandbox = HeaderValue::from_static("default-src 'none'; sandbox");
    response.headers_mut().insert(CONTENT_SECURITY_POLICY, sandbox);
    response
}
