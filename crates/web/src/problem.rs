//! Problems: every answer that is a refusal or a failure, as `application/problem+json` (RFC 9457).
//!
//! What is behind a failure of the server is logged, never answered.

pub mod kinds;
mod service;

use std::fmt::Display;
use std::sync::Arc;
use std::time::Duration;

use axum::body::Body;
use axum::http::header::{CONNECTION, CONTENT_RANGE, CONTENT_TYPE, RETRY_AFTER, WWW_AUTHENTICATE};
use axum::http::{HeaderName, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use retort_service::Error;
use serde::Serialize;
use serde_json::{Map, Value};
use utoipa::ToSchema;

pub use kinds::{Kind, PROBLEMS};

/// When to try again what may pass.
const RETRY: Duration = Duration::from_secs(2);

/// A refusal or a failure.
#[derive(Clone, Debug)]
pub struct Problem {
    kind: &'static Kind,
    detail: String,
    extra: Map<String, Value>,
    headers: Vec<(HeaderName, HeaderValue)>,
    cause: Option<Arc<str>>,
    error: Option<Arc<Error>>,
}

/// A problem as it is answered.
#[derive(Serialize, ToSchema)]
#[schema(as = Problem)]
pub struct ProblemBody {
    /// `/problems/<slug>`: what kind of problem it is.
    #[serde(rename = "type")]
    kind: String,
    /// What the kind means, the same each time.
    title: &'static str,
    /// The HTTP status.
    status: u16,
    /// What it is about this time.
    detail: String,
    /// The request, as the server's log names it.
    #[serde(skip_serializing_if = "Option::is_none")]
    request_id: Option<String>,
    /// What some kinds add, such as `free`, a name that is not in use.
    #[serde(flatten)]
    #[schema(value_type = Object)]
    extra: Map<String, Value>,
}

impl Problem {
    /// A problem of that kind. The detail is for the client: no paths of the machine, no SQL, no content.
    pub fn new(kind: &'static Kind, detail: impl Into<String>) -> Self {
        Self {
            kind,
            detail: detail.into(),
            extra: Map::new(),
            headers: Vec::new(),
            cause: None,
            error: None,
        }
    }

    /// With a field more in the body.
    #[must_use]
    pub fn with(mut self, name: &str, value: impl Into<Value>) -> Self {
        self.extra.insert(name.to_owned(), value.into());
        self
    }

    /// With a header more. A value that no header can hold is left out.
    #[must_use]
    pub fn with_header(mut self, name: HeaderName, value: &str) -> Self {
        if let Ok(value) = HeaderValue::from_str(value) {
            self.headers.push((name, value));
        }
        self
    }

    /// With what is behind it, for the log alone.
    #[must_use]
    pub fn because(mut self, cause: impl Display) -> Self {
        self.cause = Some(cause.to_string().into());
        self
    }

    fn retry(self, after: Duration) -> Self {
        let seconds = after.as_secs() + u64::from(after.subsec_nanos() > 0);
        self.with_header(RETRY_AFTER, &seconds.max(1).to_string())
    }

    /// 400: the request cannot be read.
    pub fn bad_request(detail: impl Into<String>) -> Self {
        Self::new(&kinds::BAD_REQUEST, detail)
    }

    /// 401: it is not known who asks.
    pub fn unauthenticated(detail: impl Into<String>) -> Self {
        let problem = Self::new(&kinds::UNAUTHENTICATED, detail);
        problem.with_header(WWW_AUTHENTICATE, "Bearer realm=\"retort\"")
    }

    /// 403: the token lacks a scope.
    pub fn insufficient_scope(scope: &str) -> Self {
        let header =
            format!("Bearer realm=\"retort\", error=\"insufficient_scope\", scope=\"{scope}\"");
        Self::new(&kinds::INSUFFICIENT_SCOPE, format!("this needs the scope `{scope}`"))
            .with("scope", scope)
            .with_header(WWW_AUTHENTICATE, &header)
    }

    /// 403: not allowed to this person.
    pub fn forbidden(detail: impl Into<String>) -> Self {
        Self::new(&kinds::FORBIDDEN, detail)
    }

    /// 404: not there, or not for this person to see.
    pub fn not_found(what: &str, name: &str) -> Self {
        Self::new(&kinds::NOT_FOUND, format!("there is no {what} `{name}`"))
    }

    /// 408: a body that came too slowly. The connection ends with it.
    pub fn timeout() -> Self {
        Self::new(&kinds::TIMEOUT, "the rest of the body did not arrive in time")
            .with_header(CONNECTION, "close")
    }

    /// 409: not in a state that allows it.
    pub fn conflict(detail: impl Into<String>) -> Self {
        Self::new(&kinds::CONFLICT, detail)
    }

    /// 409: the first request with the same key is running.
    pub fn idempotency_under_way() -> Self {
        Self::new(&kinds::IDEMPOTENCY_UNDER_WAY, "the first request with this key is running")
            .retry(RETRY)
    }

    /// 412: it changed since.
    pub fn precondition_failed() -> Self {
        Self::new(&kinds::PRECONDITION_FAILED, "its `ETag` is not one of those in `If-Match`")
    }

    /// 413: a body of more bytes than are taken.
    pub fn too_large(most_bytes: usize) -> Self {
        Self::new(&kinds::TOO_LARGE, format!("the body is larger than {most_bytes} bytes"))
            .with("most_bytes", most_bytes)
    }

    /// 415: a body of another type than is taken.
    pub fn unsupported_media_type(wanted: &str) -> Self {
        let detail = format!("the body must be `{wanted}`, and `Content-Type` must say so");
        Self::new(&kinds::UNSUPPORTED_MEDIA_TYPE, detail)
    }

    /// 416: a range beyond the end.
    pub fn range_not_satisfiable(total_bytes: u64) -> Self {
        Self::new(&kinds::RANGE_NOT_SATISFIABLE, format!("the content has {total_bytes} bytes"))
            .with_header(CONTENT_RANGE, &format!("bytes */{total_bytes}"))
    }

    /// 422: understood, but the choices do not go together.
    pub fn unprocessable(detail: impl Into<String>) -> Self {
        Self::new(&kinds::CHOICE, detail)
    }

    /// 422: a key that was used for something else.
    pub fn idempotency_mismatch() -> Self {
        let detail = "the key was already used with another address or body";
        Self::new(&kinds::IDEMPOTENCY_MISMATCH, detail)
    }

    /// 429: too many requests.
    pub fn rate_limited(wait: Duration) -> Self {
        Self::new(&kinds::RATE_LIMITED, "too many requests from here in a short time").retry(wait)
    }

    /// 500: the cause is for the log.
    pub fn internal(cause: impl Display) -> Self {
        let detail = "the server's log has the cause, under the request's id";
        Self::new(&kinds::INTERNAL, detail).because(cause)
    }

    /// 503: not now.
    pub fn unavailable(detail: impl Into<String>, retry: Duration) -> Self {
        Self::new(&kinds::UNAVAILABLE, detail).retry(retry)
    }

    /// 507: the disk is full.
    pub fn full() -> Self {
        Self::new(&kinds::FULL, "there is no room to write; nothing was published")
    }

    /// Which kind.
    pub fn kind(&self) -> &'static Kind {
        self.kind
    }

    /// What it is about this time.
    pub fn detail(&self) -> &str {
        &self.detail
    }

    /// What is behind it: for the log, and for the owner of the store.
    pub fn cause(&self) -> Option<&str> {
        self.cause.as_deref()
    }

    /// The service's error that this was made of, if it was. Like the cause, it is never sent.
    pub fn error(&self) -> Option<&Error> {
        self.error.as_deref()
    }

    pub(crate) fn json(&self, request_id: Option<&str>) -> String {
        let body = ProblemBody {
            kind: format!("/problems/{}", self.kind.slug),
            title: self.kind.title,
            status: self.kind.status,
            detail: self.detail.clone(),
            request_id: request_id.map(str::to_owned),
            extra: self.extra.clone(),
        };
        serde_json::to_string(&body).unwrap_or_default()
    }
}

/// The problem goes along in the response's extensions, so that what stands around the handler can add the
/// request's id, log the cause, or answer with a page.
impl IntoResponse for Problem {
    fn into_response(self) -> Response {
        let mut response = Response::new(Body::from(self.json(None)));
        let status = StatusCode::from_u16(self.kind.status);
        *response.status_mut() = status.unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
        let headers = response.headers_mut();
        headers.insert(CONTENT_TYPE, HeaderValue::from_static("application/problem+json"));
        for (name, value) in &self.headers {
            headers.insert(name, value.clone());
        }
        response.extensions_mut().insert(self);
        response
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn each_kind_has_a_slug_of_its_own_and_a_status_of_an_error() {
        let mut slugs = HashSet::new();
        for kind in PROBLEMS {
            assert!(slugs.insert(kind.slug), "{}", kind.slug);
            assert!((400..600).contains(&kind.status), "{}", kind.slug);
            assert!(kind.slug.bytes().all(|byte| byte == b'-' || byte.is_ascii_lowercase()));
        }
    }

    #[test]
    fn a_problem_is_answered_as_rfc_9457_says() {
        let problem = Problem::too_large(10);
        let expect = concat!(
            r#"{"type":"/problems/too-large","title":"The request body is too large","status":413,"#,
            r#""detail":"the body is larger than 10 bytes","request_id":"r-1","most_bytes":10}"#,
        );
        assert_eq!(problem.json(Some("r-1")), expect);
        let response = problem.into_response();
        assert_eq!(response.status(), 413);
        assert_eq!(response.headers()["content-type"], "application/problem+json");
    }

    #[test]
    fn each_constructor_sends_the_headers_that_go_with_it() {
        let table = [
            (Problem::unauthenticated("x"), 401, "www-authenticate", "Bearer realm=\"retort\""),
            (
                Problem::insufficient_scope("export"),
                403,
                "www-authenticate",
                "Bearer realm=\"retort\", error=\"insufficient_scope\", scope=\"export\"",
            ),
            (Problem::timeout(), 408, "connection", "close"),
            (Problem::idempotency_under_way(), 409, "retry-after", "2"),
            (Problem::range_not_satisfiable(7), 416, "content-range", "bytes */7"),
            (Problem::rate_limited(Duration::from_millis(1001)), 429, "retry-after", "2"),
            (Problem::rate_limited(Duration::ZERO), 429, "retry-after", "1"),
            (Problem::unavailable("x", Duration::from_secs(3)), 503, "retry-after", "3"),
        ];
        for (problem, status, name, value) in table {
            let response = problem.into_response();
            assert_eq!(response.status(), status);
            assert_eq!(response.headers()[name], value);
        }
    }
}
