//! What stands around every request: an id, headers that keep browsers strict, bounds on slow bodies, a net below
//! panics, and one line in the log at its end.
//!
//! The line names the route's pattern: paths and queries may hold secrets.

use std::future::poll_fn;
use std::panic::{AssertUnwindSafe, catch_unwind};
use std::pin::{Pin, pin};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::task::{Context, Poll};

use axum::Router;
use axum::body::{Body, Bytes, HttpBody};
use axum::extract::{MatchedPath, Request, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
    X_FRAME_OPTIONS,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode};
use axum::middleware::{Next, from_fn_with_state};
use axum::response::{IntoResponse, Response};
use hyper::body::{Frame, SizeHint};
use tokio::time::Instant;

use crate::bounds::{Pace, REQUEST_ID_CHARS};
use crate::metrics::{Ended, Metrics, NO_ROUTE, method_name};
use crate::pace::PacedBody;
use crate::problem::Problem;

const REQUEST_ID: HeaderName = HeaderName::from_static("x-request-id");

/// What an answer says to browsers unless its handler says something else.
const STRICT: [(HeaderName, HeaderValue); 7] = [
    (X_CONTENT_TYPE_OPTIONS, HeaderValue::from_static("nosniff")),
    (X_FRAME_OPTIONS, HeaderValue::from_static("DENY")),
    // An address may be a secret: that of a shared conversation is.
    (REFERRER_POLICY, HeaderValue::from_static("no-referrer")),
    (
        CONTENT_SECURITY_POLICY,
        HeaderValue::from_static(
            "default-src 'none'; base-uri 'none'; form-action 'none'; frame-ancestors 'none'",
        ),
    ),
    (
        HeaderName::from_static("cross-origin-opener-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (
        HeaderName::from_static("cross-origin-resource-policy"),
        HeaderValue::from_static("same-origin"),
    ),
    (CACHE_CONTROL, HeaderValue::from_static("no-store")),
];

/// What the log and the answer call a request. Handlers find it in the request's extensions.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RequestId(Arc<str>);

impl RequestId {
    /// The caller's own, if it is one, or else a new one.
    fn of(headers: &HeaderMap) -> Self {
        let mut sent = headers.get_all(REQUEST_ID).iter();
        let only = if let (Some(id), None) = (sent.next(), sent.next()) { Some(id) } else { None };
        let id = only.and_then(|id| id.to_str().ok()).filter(|id| is_well_formed(id));
        Self(id.map_or_else(new_id, Arc::from))
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

fn is_well_formed(id: &str) -> bool {
    let is_plain = |byte: u8| byte.is_ascii_alphanumeric() || b"._-".contains(&byte);
    (1..=REQUEST_ID_CHARS).contains(&id.len()) && id.bytes().all(is_plain)
}

fn new_id() -> Arc<str> {
    static COUNT: AtomicU64 = AtomicU64::new(0);
    let mut bytes = [0; 12];
    if getrandom::fill(&mut bytes).is_err() {
        // It need not be secret, only its own.
        return format!("request-{}", COUNT.fetch_add(1, Ordering::Relaxed)).into();
    }
    bytes.iter().map(|byte| format!("{byte:02x}")).collect::<String>().into()
}

/// Marks an answer whose bytes are a download's.
#[derive(Clone)]
pub(crate) struct IsDownload;

/// Marks a problem that is answered as a page, or as another protocol has it: its body stays.
#[derive(Clone)]
pub(crate) struct HasBody;

/// Puts all of it around a router. `sending` says how slowly bodies may come.
pub fn around(router: Router, metrics: Metrics, sending: Pace) -> Router {
    router.layer(from_fn_with_state((metrics, sending), handle))
}

async fn handle(
    State((metrics, sending)): State<(Metrics, Pace)>,
    mut request: Request,
    next: Next,
) -> Response {
    let id = RequestId::of(request.headers());
    let route = request.extensions().get::<MatchedPath>();
    let mut ending = Ending {
        started: Instant::now(),
        id: id.clone(),
        method: method_name(request.method()),
        route: route.map_or(NO_ROUTE, MatchedPath::as_str).into(),
        status: GONE,
        bytes: 0,
        is_whole: false,
        is_download: false,
        metrics,
    };
    let is_head = request.method() == Method::HEAD;
    let too_slow = Arc::new(AtomicBool::new(false));
    request.extensions_mut().insert(id);
    let request =
        request.map(|body| Body::new(PacedBody::new(body, sending, Arc::clone(&too_slow))));

    let mut response = match caught(next.run(request)).await {
        Some(_) if too_slow.load(Ordering::Relaxed) => Problem::timeout().into_response(),
        Some(response) => response,
        None => Problem::internal("the handler panicked").into_response(),
    };
    ending.finish_problem(&mut response);
    ending.status = response.status();
    ending.is_whole = is_head;
    ending.is_download = response.extensions().get::<IsDownload>().is_some();
    let headers = response.headers_mut();
    for (name, value) in STRICT {
        headers.entry(name).or_insert(value);
    }
    if let Ok(value) = HeaderValue::from_str(ending.id.as_str()) {
        headers.insert(REQUEST_ID, value);
    }
    response.map(|body| Body::new(Told { body, ending }))
}

/// What the future gives; none if it panicked.
async fn caught<F: Future>(future: F) -> Option<F::Output> {
    let mut future = pin!(future);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(polled) => polled.map(Some),
        Err(_) => Poll::Ready(None),
    })
    .await
}

/// The client went before there was an answer (nginx's number for it).
const GONE: StatusCode = match StatusCode::from_u16(499) {
    Ok(status) => status,
    Err(_) => StatusCode::BAD_REQUEST,
};

/// Tells of a request once, when it is dropped: at its end, whatever ended it.
struct Ending {
    started: Instant,
    id: RequestId,
    method: &'static str,
    route: Arc<str>,
    status: StatusCode,
    bytes: u64,
    is_whole: bool,
    is_download: bool,
    metrics: Metrics,
}

impl Ending {
    /// Logs what is behind a problem, and gives it the request's id.
    fn finish_problem(&self, response: &mut Response) {
        let Some(problem) = response.extensions_mut().remove::<Problem>() else { return };
        let (request, route) = (self.id.as_str(), &*self.route);
        match problem.cause() {
            Some(cause) if response.status().is_server_error() => {
                tracing::error!(request, route, cause, "a request failed");
            }
            Some(cause) => tracing::debug!(request, route, cause, "a request was refused"),
            None => {}
        }
        if response.extensions().get::<HasBody>().is_none() {
            *response.body_mut() = Body::from(problem.json(Some(request)));
        }
    }
}

impl Drop for Ending {
    fn drop(&mut self) {
        let took = self.started.elapsed();
        tracing::info!(
            request = self.id.as_str(),
            method = self.method,
            route = &*self.route,
            status = self.status.as_u16(),
            ms = u64::try_from(took.as_millis()).unwrap_or(u64::MAX),
            bytes = self.bytes,
            whole = self.is_whole,
            "request"
        );
        self.metrics.count(&Ended {
            method: self.method,
            route: &self.route,
            status: self.status,
            took,
            bytes: self.bytes,
            is_download: self.is_download,
        });
    }
}

/// An answer's body, which tells of the request when it ends.
struct Told {
    body: Body,
    ending: Ending,
}

impl HttpBody for Told {
    type Data = Bytes;
    type Error = axum::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, axum::Error>>> {
        let polled = Pin::new(&mut self.body).poll_frame(cx);
        match &polled {
            Poll::Ready(Some(Ok(frame))) => {
                self.ending.bytes += frame.data_ref().map_or(0, Bytes::len) as u64;
            }
            Poll::Ready(Some(Err(error))) => {
                let (request, route) = (self.ending.id.as_str(), &*self.ending.route);
                tracing::error!(request, route, cause = %error, "an answer broke off");
            }
            Poll::Ready(None) => self.ending.is_whole = true,
            Poll::Pending => {}
        }
        polled
    }

    fn is_end_stream(&self) -> bool {
        self.body.is_end_stream()
    }

    fn size_hint(&self) -> SizeHint {
        self.body.size_hint()
    }
}

impl Drop for Told {
    fn drop(&mut self) {
        self.ending.is_whole |= self.body.is_end_stream();
    }
}

#[cfg(test)]
mod tests;
