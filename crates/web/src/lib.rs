//! The doors of Retort over HTTP: a JSON API and pages over the service's verbs.

pub mod api;
pub mod app;
pub mod blocking;
pub mod bounds;
mod compress;
mod deliver;
pub mod extract;
mod in_process;
pub mod metrics;
pub mod oidc;
mod operations;
pub mod outgoing;
mod pace;
mod pages;
pub mod problem;
pub mod ranges;
pub mod rates;
pub mod requests;
pub mod server;
mod threads;
mod uploads;
pub mod who;
pub mod wire;

use axum::Router;
use axum::extract::DefaultBodyLimit;
use axum::http::HeaderValue;
use axum::http::header::STRICT_TRANSPORT_SECURITY;
use axum::middleware::{from_fn, from_fn_with_state, map_response};
use axum::response::Response;

use app::App;
use bounds::Bounds;

pub use deliver::deliver;
pub use in_process::InProcess;
pub use operations::watch;
pub use threads::stand_back;

/// Tells browsers to come with TLS only, for a year.
async fn with_tls_from_now_on(mut response: Response) -> Response {
    let value = HeaderValue::from_static("max-age=31536000");
    response.headers_mut().insert(STRICT_TRANSPORT_SECURITY, value);
    response
}

/// Everything that the server answers.
pub fn router(app: App, bounds: &Bounds) -> Router {
    let (api, description) = api::routes();
    let metrics = app.metrics().clone();
    let has_tls = app.settings().has_tls;
    let router = api
        .merge(api::openapi_route(&description))
        .merge(pages::routes(&description))
        .merge(operations::routes())
        .fallback(extract::no_route)
        .method_not_allowed_fallback(extract::no_method)
        .layer(from_fn_with_state(app.clone(), pages::explain))
        .layer(from_fn(compress::compress))
        // Every body has a bound of its own: `whole_body`'s, or that of an upload, which is streamed.
        .layer(DefaultBodyLimit::disable())
        .layer(from_fn_with_state(app.clone(), who::share))
        .with_state(app);
    let router = requests::around(router, metrics, bounds.sending);
    if has_tls { router.layer(map_response(with_tls_from_now_on)) } else { router }
}
