//! What screens take from a request. What cannot be taken is shown as a page.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::request::Parts;
use axum::response::Response;
use retort_model::bounds::REQUEST_BYTES;
use serde::de::DeserializeOwned;

use super::response::trouble;
use crate::api::query::check_count;
use crate::extract::{self, whole_body};
use crate::problem::Problem;

/// What comes after the `?`.
pub(super) struct Query<T>(pub(super) T);

/// What is in the places of the route's pattern.
pub(super) struct Path<T>(pub(super) T);

/// A form of someone who need not have signed in; [`super::frame::Posted`] is that of someone who did.
pub(super) struct Form<T>(pub(super) T);

impl<T: DeserializeOwned, S: Sync> FromRequestParts<S> for Query<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, _: &S) -> Result<Self, Response> {
        check_count(&parts.uri).map_err(|problem| trouble(&problem))?;
        let query = parts.uri.query().unwrap_or_default();
        serde_html_form::from_str(query)
            .map(Self)
            .map_err(|error| trouble(&Problem::bad_request(format!("in the query: {error}"))))
    }
}

impl<T: DeserializeOwned + Send, S: Send + Sync> FromRequestParts<S> for Path<T> {
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, state: &S) -> Result<Self, Response> {
        let taken = extract::Path::from_request_parts(parts, state).await;
        taken.map(|path| Self(path.0)).map_err(|problem| trouble(&problem))
    }
}

impl<T: DeserializeOwned, S: Send + Sync> FromRequest<S> for Form<T> {
    type Rejection = Response;

    async fn from_request(request: Request, _: &S) -> Result<Self, Response> {
        if !extract::is_form(request.headers()) {
            return Err(trouble(&Problem::unsupported_media_type(extract::FORM)));
        }
        let body = whole_body(request, REQUEST_BYTES).await;
        body.and_then(|body| form(&body)).map(Self).map_err(|problem| trouble(&problem))
    }
}

/// Tags as a field holds them, with commas between them.
pub(super) fn tags(text: &str) -> Vec<String> {
    text.split(',').map(|tag| tag.trim().to_owned()).filter(|tag| !tag.is_empty()).collect()
}

/// The fields of a form.
///
/// # Errors
/// One is missing, or holds what it cannot hold.
pub(super) fn form<T: DeserializeOwned>(body: &[u8]) -> Result<T, Problem> {
    serde_html_form::from_bytes(body)
        .map_err(|error| Problem::bad_request(format!("in the form: {error}")))
}
