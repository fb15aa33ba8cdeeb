//! What comes in at once: what is said of it, and what became of it.

use axum::extract::Request;
use axum::http::StatusCode;
use axum::response::Response;
use retort_model::bounds::REQUEST_BYTES;
use retort_model::{Grant, ItemKind};
use retort_service::{Caller, IntakeRequest, Service, sources};
use serde::Deserialize;

use super::idempotency::{key_of, once};
use crate::app::App;
use crate::extract::{refuse_multipart, whole_body};
use crate::problem::{Problem, kinds};
use crate::wire;

/// What is said of items that come in.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct Intake {
    /// Import format; detected from the content by default.
    pub from: Option<String>,
    /// Owner of items that name none; without it, they have no owner.
    pub owner: Option<String>,
    /// Prefixes ids, in case they collide with others: an id becomes `NAMESPACE/ID`.
    pub namespace: Option<String>,
    /// Replace what is stored under an id, even if it is a different conversation.
    pub replace: bool,
    /// Put pictures, sound and other files that are in the same archive as the histories into the conversations that show
    /// them, up to 20 MB for each conversation.
    pub with_files: bool,
    /// Look only at what would happen: everything is read and counted, nothing is kept.
    pub dry_run: bool,
    /// What the import is called; its file's name, for instance.
    pub name: Option<String>,
}

impl Intake {
    /// What of it makes two requests with one body different.
    pub fn told(&self) -> [&[u8]; 6] {
        let texts = [&self.from, &self.owner, &self.namespace];
        let [from, owner, namespace] =
            texts.map(|said| said.as_deref().unwrap_or_default().as_bytes());
        let flag = |is_set: bool, name: &'static [u8]| if is_set { name } else { b"" };
        let replace = flag(self.replace, b"replace");
        let with_files = flag(self.with_files, b"with-files");
        [from, owner, namespace, replace, with_files, flag(self.dry_run, b"dry-run")]
    }

    /// The service's request.
    ///
    /// # Errors
    /// There is no such format.
    pub fn request(&self) -> Result<IntakeRequest, Problem> {
        let from =
            match self.from.as_deref() {
                None => None,
                Some(name) => Some(sources::by_name(name).ok_or_else(|| {
                    Problem::bad_request(format!("unknown import format `{name}`"))
                })?),
            };
        let given = |text: &Option<String>| text.clone().filter(|text| !text.trim().is_empty());
        let (owner, namespace) = (given(&self.owner), given(&self.namespace));
        Ok(IntakeRequest {
            from,
            owner,
            namespace,
            replace: self.replace,
            keeps_files: self.with_files,
            dry_run: self.dry_run,
            ..IntakeRequest::default()
        })
    }
}

/// Answers a request that takes in the items of its body, at once.
///
/// # Errors
/// Those of [`taken`], or the body is too large.
pub async fn take_in(
    app: App,
    caller: Caller,
    kind: ItemKind,
    intake: Intake,
    request: Request,
) -> Result<Response, Problem> {
    let headers = request.headers().clone();
    refuse_multipart(&headers)?;
    let body = whole_body(request, REQUEST_BYTES).await?;
    let [from, owner, namespace, replace, with_files, dry_run] = intake.told();
    let kind_name = kind.as_str().as_bytes();
    let told = [b"take-in", kind_name, from, owner, namespace, replace, with_files, dry_run, &body];
    let key = key_of(&headers, &told)?;
    let intake = IntakeRequest { kind, ..intake.request()? };
    let (asks, doing) = (caller.clone(), app.clone());
    once(&app, (&caller, Grant::Write), key, StatusCode::OK, |_| async move {
        taken(&doing, asks, intake, body.to_vec()).await
    })
    .await
}

/// Takes in the items of a body.
///
/// # Errors
/// There is none, or the only one cannot be read; or the caller may not.
pub async fn taken(
    app: &App,
    caller: Caller,
    intake: IntakeRequest,
    body: Vec<u8>,
) -> Result<wire::ImportResult, Problem> {
    let (kind, bytes) = (intake.kind, body.len());
    let take_in = move |service: &Service| service.take_in(&caller, &intake, body);
    let taken = app.call_with_body(bytes, take_in).await?;
    let taken = wire::ImportResult::from(taken);
    if let [one] = taken.conversations.as_slice()
        && one.outcome == "conflict"
    {
        let why = taken.refusals.first().cloned().unwrap_or_else(|| one.id.clone());
        return Err(Problem::conflict(why));
    }
    if taken.read == 0 || (taken.read == taken.refused && taken.read == 1) {
        let why = taken.refusals.first().cloned();
        let why = why.unwrap_or_else(|| format!("there is no {kind} in the body"));
        return Err(Problem::new(&kinds::UNREADABLE, why));
    }
    Ok(taken)
}
