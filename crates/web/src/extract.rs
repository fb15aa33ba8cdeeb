//! What handlers take from a request. What cannot be taken is a [`Problem`], not the framework's own text.

use std::error::Error;

use axum::body::{Bytes, HttpBody, to_bytes};
use axum::extract::multipart::MultipartError;
use axum::extract::rejection::PathRejection;
use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::CONTENT_TYPE;
use axum::http::request::Parts;
use axum::http::{HeaderMap, HeaderValue};
use axum::response::{IntoResponse, Response};
use http_body_util::LengthLimitError;
use serde::Serialize;
use serde::de::DeserializeOwned;

use crate::blocking::{off_thread, take_memory};
use crate::bounds::{BODY_COPIES, INLINE_BYTES, JSON_BYTES};
use crate::pace::TooSlow;
use crate::problem::{Problem, kinds};

/// A JSON body, of a request or an answer.
pub struct Json<T>(pub T);

/// What comes after the `?`.
pub struct Query<T>(pub T);

/// What is in the places of the route's pattern.
pub struct Path<T>(pub T);

impl<T: DeserializeOwned + Send + 'static, S: Send + Sync> FromRequest<S> for Json<T> {
    type Rejection = Problem;

    async fn from_request(request: Request, _: &S) -> Result<Self, Problem> {
        if !is_json(request.headers()) {
            return Err(Problem::unsupported_media_type("application/json"));
        }
        let bytes = whole_body(request, JSON_BYTES).await?;
        let is_long = bytes.len() > INLINE_BYTES;
        let read = move || serde_json::from_slice(&bytes).map(Json);
        let read = if is_long { off_thread(read).await? } else { read() };
        read.map_err(|error| json_problem(&error))
    }
}

impl<T: Serialize> IntoResponse for Json<T> {
    fn into_response(self) -> Response {
        match serde_json::to_vec(&self.0) {
            Ok(json) => {
                let kind = HeaderValue::from_static("application/json");
                ([(CONTENT_TYPE, kind)], json).into_response()
            }
            Err(error) => Problem::internal(error).into_response(),
        }
    }
}

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Problem> {
        axum::extract::Query::try_from_uri(&parts.uri).map(|query| Self(query.0)).map_err(|error| {
            let why = error.source().map_or_else(|| error.to_string(), ToString::to_string);
            Problem::bad_request(format!("in the query: {why}"))
        })
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Problem> {
        match axum::extract::Path::from_request_parts(parts, state).await {
            Ok(path) => Ok(Self(path.0)),
            Err(PathRejection::FailedToDeserializePathParams(error))
                if error.status().is_client_error() =>
            {
                let text = error.into_kind().to_string();
                Err(Problem::bad_request(format!("in the address: {text}")))
            }
            Err(error) => Err(Problem::internal(error)),
        }
    }
}

/// The body of a request, which may have so many bytes.
///
/// # Errors
/// It has more, came too slowly, or broke off.
pub async fn whole_body(request: Request, most_bytes: usize) -> Result<Bytes, Problem> {
    let body = request.into_body();
    let size = body.size_hint();
    if size.lower() > most_bytes as u64 {
        return Err(Problem::too_large(most_bytes));
    }
    take_memory(size.exact().unwrap_or(most_bytes as u64) * BODY_COPIES).await?;
    to_bytes(body, most_bytes).await.map_err(|error| {
        if has_cause::<LengthLimitError>(&error) {
            Problem::too_large(most_bytes)
        } else {
            Problem::from(error)
        }
    })
}

/// What went wrong with a request's body while it was read.
impl From<axum::Error> for Problem {
    fn from(error: axum::Error) -> Self {
        if has_cause::<TooSlow>(&error) {
            Self::timeout()
        } else {
            Self::bad_request("the body broke off before its end").because(error)
        }
    }
}

/// What went wrong with a form's files while they were read.
impl From<MultipartError> for Problem {
    fn from(error: MultipartError) -> Self {
        if has_cause::<TooSlow>(&error) {
            Self::timeout()
        } else {
            Self::bad_request("The upload was interrupted.").because(error)
        }
    }
}

/// The answer where there is no route.
pub async fn no_route() -> Problem {
    Problem::new(&kinds::NOT_FOUND, "there is nothing at this address")
}

/// The answer where there is a route, but not for the method.
pub async fn no_method() -> Problem {
    Problem::new(
        &kinds::METHOD_NOT_ALLOWED,
        "the header `Allow` lists the methods that it supports",
    )
}

/// The media type of forms.
pub const FORM: &str = "application/x-www-form-urlencoded";

/// Whether the body is a form.
pub fn is_form(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes);
    kind.is_some_and(|kind| kind.starts_with(FORM.as_bytes()))
}

/// Whether the body is JSON Lines.
pub fn is_lines(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|value| value.to_str().ok());
    let kind = kind.and_then(|kind| kind.split(';').next()).unwrap_or_default().trim();
    ["application/x-ndjson", "application/jsonl", "application/x-jsonlines"].contains(&kind)
}

/// Refuses a form with files in it, whose own lines would be read as items.
///
/// # Errors
/// It is one.
pub fn refuse_multipart(headers: &HeaderMap) -> Result<(), Problem> {
    let kind = headers.get(CONTENT_TYPE).map(HeaderValue::as_bytes).unwrap_or_default();
    match kind.get(..10).is_some_and(|start| start.eq_ignore_ascii_case(b"multipart/")) {
        true => Err(Problem::unsupported_media_type("application/octet-stream")),
        false => Ok(()),
    }
}

fn is_json(headers: &HeaderMap) -> bool {
    let Some(Ok(value)) = headers.get(CONTENT_TYPE).map(HeaderValue::to_str) else { return false };
    let essence = value.split(';').next().unwrap_or_default().trim().to_ascii_lowercase();
    essence == "application/json"
        || (essence.starts_with("application/") && essence.ends_with("+json"))
}

fn json_problem(error: &serde_json::Error) -> Problem {
    let (line, column) = (error.line(), error.column());
    let text = error.to_string();
    let why = text.strip_suffix(&format!(" at line {line} column {column}")).unwrap_or(&text);
    Problem::bad_request(format!("line {line}, column {column}: {why}"))
}

fn has_cause<E: Error + 'static>(error: &(dyn Error + 'static)) -> bool {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<E>() {
            return true;
        }
        next = error.source();
    }
    false
}

#[cfg(test)]
mod tests {
    use axum::Router;
    use axum::body::Body;
    use axum::routing::{get, post};
    use serde::Deserialize;
    use tower::ServiceExt;

    use super::*;

    #[derive(Deserialize)]
    struct Asked {
        most: u8,
    }

    async fn answer(method: &str, address: &str, kind: Option<&str>, body: &str) -> (u16, String) {
        let router: Router = Router::new()
            .route("/json", post(async |Json(asked): Json<Asked>| asked.most.to_string()))
            .route("/query", get(async |Query(asked): Query<Asked>| asked.most.to_string()))
            .route("/jobs/{id}", get(async |Path(id): Path<i64>| id.to_string()))
            .fallback(no_route)
            .method_not_allowed_fallback(no_method);
        let mut request = Request::builder().method(method).uri(address);
        if let Some(kind) = kind {
            request = request.header(CONTENT_TYPE, kind);
        }
        let request = request.body(Body::from(body.to_owned())).unwrap();
        let response = router.oneshot(request).await.unwrap();
        let status = response.status();
        if status.is_client_error() {
            assert_eq!(response.headers()[CONTENT_TYPE], "application/problem+json");
        }
        if status == 405 {
            assert_eq!(response.headers()["allow"], "POST");
        }
        let text = to_bytes(response.into_body(), 1 << 20).await.unwrap();
        let text = String::from_utf8(text.to_vec()).unwrap();
        let detail = serde_json::from_str::<serde_json::Value>(&text)
            .ok()
            .and_then(|json| json["detail"].as_str().map(str::to_owned));
        (status.as_u16(), detail.unwrap_or(text))
    }

    #[tokio::test]
    async fn what_cannot_be_taken_is_a_problem_that_says_where() {
        let json = Some("application/json");
        let large = format!("{{\"most\":1{}}}", " ".repeat(JSON_BYTES));
        let table = [
            ("POST", "/json", json, "{\"most\":7}", 200, "7"),
            ("POST", "/json", Some("Application/JSON; charset=utf-8"), "{\"most\":7}", 200, "7"),
            ("POST", "/json", Some("application/merge-patch+json"), "{\"most\":7}", 200, "7"),
            ("POST", "/json", None, "{\"most\":7}", 415, "must be `application/json`"),
            ("POST", "/json", Some("text/plain"), "{\"most\":7}", 415, "`application/json`"),
            ("POST", "/json", json, "", 400, "line 1, column 0: EOF while parsing a value"),
            ("POST", "/json", json, "{\n \"most\": 300}", 400, "line 2, column 12: invalid value"),
            ("POST", "/json", json, "{\"most\":7} 8", 400, "line 1, column 12: trailing"),
            ("POST", "/json", json, &large, 413, "larger than 4194304 bytes"),
            ("GET", "/query?most=7", None, "", 200, "7"),
            ("GET", "/query?most=x", None, "", 400, "in the query: most: invalid digit"),
            ("GET", "/query", None, "", 400, "in the query: missing field `most`"),
            ("GET", "/jobs/7", None, "", 200, "7"),
            ("GET", "/jobs/x", None, "", 400, "in the address: "),
            ("GET", "/jobs/%FF", None, "", 400, "in the address: "),
            ("GET", "/nowhere", None, "", 404, "nothing at this address"),
            ("GET", "/json", None, "", 405, "`Allow`"),
        ];
        for (method, address, kind, body, status, words) in table {
            let got = answer(method, address, kind, body).await;
            assert_eq!(got.0, status, "{method} {address} {kind:?}: {}", got.1);
            assert!(got.1.contains(words), "{method} {address} {kind:?}: {}", got.1);
        }
    }
}
