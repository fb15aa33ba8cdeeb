//! Requests to the Hub: which host gets the token, which requests are retried, and how a refusal is reported.

use std::future::Future;
use std::pin::pin;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use reqwest::header::{HeaderMap, RETRY_AFTER};
use reqwest::{Client, Method, RequestBuilder, Response, StatusCode};
use retort_model::with_causes;
use serde::Deserialize;
use serde::de::DeserializeOwned;
use tokio::runtime::Runtime;
use url::Url;

use crate::error::Error;

/// The longest response that is held in memory, and the longest error in it that is shown.
const ANSWER_BYTES: usize = 64 << 20;
const REASON_CHARS: usize = 300;

/// How often a request is tried if it fails for a temporary reason.
pub(super) const ATTEMPTS: u32 = 5;

/// How long to wait for data from the Hub, and how often to check meanwhile whether the work was stopped.
const SILENCE: Duration = Duration::from_secs(60);
const LOOK: Duration = Duration::from_millis(200);

/// The Hub.
pub struct Hub {
    pub(super) client: Client,
    pub(super) runtime: Runtime,
    pub(super) endpoint: Url,
    pub(super) token: Option<String>,
    /// How long to wait before a failed request is sent again; doubled each time.
    pub(super) wait: Duration,
}

pub(super) fn failed(what: impl Into<String>, reason: impl Into<String>) -> Error {
    Error::Destination { what: what.into(), reason: reason.into() }
}

impl Hub {
    /// The Hub at `endpoint`; pushes and private datasets need a token. The client must follow no redirects, so that
    /// the token goes nowhere else.
    ///
    /// # Errors
    /// The thread that sends the requests cannot be set up.
    pub fn new(
        client: Client,
        endpoint: Url,
        token: Option<String>,
        wait: Duration,
    ) -> Result<Self, Error> {
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .map_err(|source| Error::Failed { what: "the thread for the Hub", source })?;
        Ok(Self { client, runtime, endpoint, token, wait })
    }

    pub(super) fn url(&self, path: &str) -> Result<Url, Error> {
        self.endpoint.join(path).map_err(|error| failed("reach the Hub", error.to_string()))
    }

    pub(super) fn authorized(&self, method: Method, url: &Url) -> RequestBuilder {
        let request = self.client.request(method, url.clone());
        match &self.token {
            Some(token) => request.bearer_auth(token),
            None => request,
        }
    }

    /// A request to an address that the Hub gave. Only the Hub itself gets the token.
    pub(super) fn request(&self, method: Method, url: &Url) -> RequestBuilder {
        if url.origin() == self.endpoint.origin() {
            self.authorized(method, url)
        } else {
            self.client.request(method, url.clone())
        }
    }

    pub(super) fn send(
        &self,
        what: &str,
        request: impl Fn() -> RequestBuilder,
    ) -> Result<Response, Error> {
        self.send_again(what, || Ok(request()))
    }

    /// Sends a request, and repeats it if it fails for a temporary reason.
    pub(super) fn send_again(
        &self,
        what: &str,
        mut request: impl FnMut() -> Result<RequestBuilder, Error>,
    ) -> Result<Response, Error> {
        let mut wait = self.wait;
        let mut attempt = 1;
        loop {
            let request = request()?;
            let answer = self.runtime.block_on(async { request.send().await });
            let is_passing = answer.as_ref().map_or(true, |answer| is_passing(answer.status()));
            if attempt == ATTEMPTS || !is_passing {
                return answer.map_err(|error| failed(what, with_causes(&error.without_url())));
            }
            wait = answer.as_ref().ok().and_then(asked_wait).unwrap_or(wait);
            self.runtime.block_on(async { tokio::time::sleep(wait).await });
            wait *= 2;
            attempt += 1;
        }
    }

    /// The text of a response, or an error if the Hub refused the request.
    pub(super) fn body(&self, what: &str, answer: Response) -> Result<String, Error> {
        let status = answer.status();
        let text = self.runtime.block_on(read_bounded(answer));
        let text = text.map_err(|why| failed(what, why))?;
        if status.is_success() {
            return Ok(text);
        }
        let advice = match status {
            StatusCode::UNAUTHORIZED => {
                "; check that the token in HF_TOKEN or its file is for this Hub and has not expired"
            }
            StatusCode::FORBIDDEN => "; the token needs write access to this repository",
            _ => "",
        };
        Err(failed(what, format!("the Hub answered {status}: {}{advice}", told(&text))))
    }

    pub(super) fn json<T: DeserializeOwned>(
        &self,
        what: &str,
        answer: Response,
    ) -> Result<T, Error> {
        let text = self.body(what, answer)?;
        parsed(what, &text)
    }
}

/// Parses a JSON response.
pub(super) fn parsed<T: DeserializeOwned>(what: &str, text: &str) -> Result<T, Error> {
    serde_json::from_str(text)
        .map_err(|error| failed(what, format!("the Hub's answer cannot be read: {error}")))
}

/// The reason in the body of a refusal.
pub(super) fn told(text: &str) -> String {
    #[derive(Deserialize)]
    struct Refusal {
        error: String,
    }
    let told = serde_json::from_str(text).map_or_else(|_| text.into(), |told: Refusal| told.error);
    told.trim().chars().take(REASON_CHARS).collect()
}

/// Whether another attempt may succeed.
pub(super) fn is_passing(status: StatusCode) -> bool {
    status.is_server_error()
        || matches!(status, StatusCode::TOO_MANY_REQUESTS | StatusCode::REQUEST_TIMEOUT)
}

/// How long the server asks to wait, at most five minutes.
pub(super) fn asked_wait(answer: &Response) -> Option<Duration> {
    let seconds: u64 = header(answer.headers(), RETRY_AFTER.as_str())?.parse().ok()?;
    Some(Duration::from_secs(seconds.min(300)))
}

/// The text of a header.
pub(super) fn header<'h>(headers: &'h HeaderMap, name: &str) -> Option<&'h str> {
    headers.get(name)?.to_str().ok()
}

/// The text of a response.
pub(super) async fn read_bounded(mut answer: Response) -> Result<String, String> {
    let mut read = Vec::new();
    while let Some(more) =
        answer.chunk().await.map_err(|error| with_causes(&error.without_url()))?
    {
        if read.len() + more.len() > ANSWER_BYTES {
            return Err("its answer is too long".into());
        }
        read.extend_from_slice(&more);
    }
    Ok(String::from_utf8_lossy(&read).into_owned())
}

/// Waits for data from the Hub; none if nothing arrives for a minute.
///
/// # Errors
/// [`Error::Stopped`].
pub(super) async fn watched<T>(
    stopped: &AtomicBool,
    future: impl Future<Output = T>,
) -> Result<Option<T>, Error> {
    let mut future = pin!(future);
    let mut waited = Duration::ZERO;
    while waited < SILENCE {
        if stopped.load(Ordering::Relaxed) {
            return Err(Error::Stopped);
        }
        match tokio::time::timeout(LOOK, future.as_mut()).await {
            Ok(done) => return Ok(Some(done)),
            Err(_) => waited += LOOK,
        }
    }
    Ok(None)
}
