//! Requests that create something, under a key that the client chose: sent again, they are answered as before.

use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use retort_model::Grant;
use retort_service::{Begun, Caller};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sha2::{Digest, Sha256};
use utoipa::IntoParams;

use crate::app::App;
use crate::blocking::continuing;
use crate::extract::Json;
use crate::problem::Problem;

/// Longest key.
const KEY_BYTES: usize = 200;

/// The header of such requests, for the API's description.
#[derive(IntoParams)]
#[into_params(parameter_in = Header)]
#[expect(dead_code, reason = "describes the header, which `key_of` reads")]
pub struct IdempotencyKey {
    /// A key of your choice, 1 to 200 ASCII characters. The same request sent again under it is answered as the first time
    /// and done only once.
    #[param(rename = "Idempotency-Key", required = false)]
    key: Option<String>,
}

/// A request's key, and what tells it from others.
pub struct OnceKey {
    key: String,
    fingerprint: [u8; 32],
}

impl OnceKey {
    /// The key.
    pub fn as_str(&self) -> &str {
        &self.key
    }
}

/// The key that the headers name, of a request that says `what`.
///
/// # Errors
/// It is too long.
pub fn key_of(headers: &HeaderMap, what: &[&[u8]]) -> Result<Option<OnceKey>, Problem> {
    let Some(value) = headers.get("idempotency-key") else { return Ok(None) };
    let key = value.to_str().unwrap_or_default();
    if !(1..=KEY_BYTES).contains(&key.len()) {
        return Err(Problem::bad_request(format!(
            "`Idempotency-Key` has 1 to {KEY_BYTES} ASCII characters"
        )));
    }
    let mut hash = Sha256::new();
    for part in what {
        hash.update((part.len() as u64).to_be_bytes());
        hash.update(part);
    }
    Ok(Some(OnceKey { key: key.to_owned(), fingerprint: hash.finalize().into() }))
}

/// Does `act` unless it was answered under the key before; then the answer is the one that was given. `act` hears
/// whether what it does was done already, and only the answer is missing. Under a key it is done to its end also if
/// the client goes away meanwhile: it will ask for the answer again.
///
/// # Errors
/// Those of `act`; under a key, the caller has not the `grant` that `act` takes; the key is another request's, or that request is still under way.
pub async fn once<T, F>(
    app: &App,
    (caller, grant): (&Caller, Grant),
    key: Option<OnceKey>,
    status: StatusCode,
    act: impl FnOnce(bool) -> F + Send + 'static,
) -> Result<Response, Problem>
where
    T: Serialize + DeserializeOwned + Send,
    F: Future<Output = Result<T, Problem>> + Send,
{
    let Some(key) = key else {
        return Ok((status, Json(act(false).await?)).into_response());
    };
    let (app, caller) = (app.clone(), caller.clone());
    let doing = async move { under(&app, (&caller, grant), key, status, act).await };
    let doing = tokio::spawn(continuing(doing));
    doing.await.map_err(|_| Problem::internal("a request under a key panicked"))?
}

async fn under<T, F>(
    app: &App,
    (caller, grant): (&Caller, Grant),
    OnceKey { key, fingerprint }: OnceKey,
    status: StatusCode,
    act: impl FnOnce(bool) -> F,
) -> Result<Response, Problem>
where
    T: Serialize + DeserializeOwned,
    F: Future<Output = Result<T, Problem>>,
{
    let begun = {
        let (caller, key) = (caller.clone(), key.clone());
        app.call(move |service| service.begin_answer(&caller, grant, &key, &fingerprint)).await?
    };
    let was_done = begun == Begun::Done;
    match begun {
        Begun::New | Begun::Done => {}
        Begun::UnderWay => return Err(Problem::idempotency_under_way()),
        Begun::Different => return Err(Problem::idempotency_mismatch()),
        Begun::Answered { status, body } => {
            let status = u16::try_from(status).ok().and_then(|s| StatusCode::from_u16(s).ok());
            let json = [(axum::http::header::CONTENT_TYPE, "application/json")];
            return Ok((status.unwrap_or(StatusCode::OK), json, body).into_response());
        }
    }
    let done = act(was_done).await;
    let kept = match &done {
        Ok(answer) => Some(serde_json::to_string(answer).map_err(Problem::internal)?),
        Err(_) => None,
    };
    let caller = caller.clone();
    let status_kept = status.as_u16();
    app.call(move |service| {
        service.end_answer(&caller, &key, kept.as_deref().map(|body| (status_kept, body)))
    })
    .await?;
    Ok((status, Json(done?)).into_response())
}
