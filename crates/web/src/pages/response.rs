//! What pages are answered with: pages of HTML and what they may load, other addresses, and problems.

use askama::Template;
use axum::http::header::{CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};

use crate::problem::Problem;

/// What pages may load: what is beside them, nothing else, and nothing that is in them.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; script-src 'self'; connect-src 'self'; img-src 'self' data:; \
     form-action 'self'; base-uri 'none'; frame-ancestors 'none'",
);

/// The same for the pages that one need not be signed in for, which have no scripts.
const PUBLIC: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'",
);

/// A page of someone who signed in.
pub(super) fn show(status: StatusCode, page: &impl Template) -> Response {
    answer(status, page, POLICY)
}

/// A page without scripts that one need not be signed in for.
pub(super) fn show_public(status: StatusCode, page: &impl Template) -> Response {
    answer(status, page, PUBLIC)
}

fn answer(status: StatusCode, page: &impl Template, policy: HeaderValue) -> Response {
    match page.render() {
        Ok(html) => {
            let kind = HeaderValue::from_static("text/html; charset=utf-8");
            let headers = [(CONTENT_TYPE, kind), (CONTENT_SECURITY_POLICY, policy)];
            (status, headers, html).into_response()
        }
        Err(error) => Problem::internal(error).into_response(),
    }
}

/// On to where a page always is.
pub(super) fn permanently(to: &str) -> Response {
    let to = HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/"));
    (StatusCode::PERMANENT_REDIRECT, [(LOCATION, to)]).into_response()
}

/// On to another page of ours, with a cookie on the way.
pub(super) fn see_other(to: &str, cookie: Option<&str>) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(LOCATION, HeaderValue::from_str(to).unwrap_or(HeaderValue::from_static("/")));
    if let Some(cookie) = cookie {
        set_cookie(&mut headers, cookie);
    }
    (StatusCode::SEE_OTHER, headers).into_response()
}

/// The status of a page that says what is wrong, or of one that has nothing to say.
pub(super) fn status_of(problem: Option<&Problem>) -> StatusCode {
    let status = problem.map_or(200, |problem| problem.kind().status);
    StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR)
}

/// Adds a cookie, unless it cannot be in a header.
pub(super) fn set_cookie(headers: &mut HeaderMap, cookie: &str) {
    if let Ok(cookie) = HeaderValue::from_str(cookie) {
        headers.append(SET_COOKIE, cookie);
    }
}

/// A problem that is shown as a page: [`explain`] renders it.
#[derive(Clone)]
pub(super) struct Shown;

/// A problem as a page.
pub(super) fn trouble(problem: &Problem) -> Response {
    let mut response = problem.clone().into_response();
    response.extensions_mut().insert(Shown);
    response
}
