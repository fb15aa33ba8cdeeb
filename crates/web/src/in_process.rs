//! The API without a network: the same routes, called by a program that holds the store itself.

use std::sync::Arc;

use axum::body::Body;
use axum::extract::DefaultBodyLimit;
use axum::http::Request;
use axum::{Extension, Router};
use retort_service::{Caller, Service};
use tower::ServiceExt;

use crate::api;
use crate::app::App;
use crate::problem::Problem;
use crate::who::Trusted;

/// Answers requests of the API in this process, all of them as asked by one caller. What protects a server from its
/// clients does not apply: signing in, rates, turns, deadlines.
pub struct InProcess(Router);

impl InProcess {
    /// The API over `service`, as `caller` sees it.
    pub fn new(service: Arc<Service>, caller: Caller) -> Self {
        let (routes, _) = api::routes();
        let router = routes
            .layer(DefaultBodyLimit::disable())
            .layer(Extension(Trusted(caller)))
            .with_state(App::in_process(service));
        Self(router)
    }

    /// The answer to a request; the host in its URL means nothing. Bodies are streamed both ways.
    ///
    /// # Errors
    /// The request was refused or failed. [`Problem::error`] is what the service said.
    pub async fn answer(&self, request: reqwest::Request) -> Result<reqwest::Response, Problem> {
        let request = Request::<reqwest::Body>::try_from(request).map_err(Problem::internal)?;
        let answered = self.0.clone().oneshot(request.map(Body::new)).await;
        let mut response = answered.unwrap_or_else(|never| match never {});
        match response.extensions_mut().remove() {
            Some(problem) => Err(problem),
            None => {
                let body = |body: Body| reqwest::Body::wrap_stream(body.into_data_stream());
                Ok(response.map(body).into())
            }
        }
    }
}
