//! For whoever runs the server: whether it lives, whether it can work, what it does.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use retort_model::{Grant, ProjectRole};

use crate::app::App;
use crate::problem::Problem;
use crate::server::Listening;
use crate::who::{Visitor, Who};

/// How often the queue and the connections are counted.
const LOOK: Duration = Duration::from_secs(5);

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(is_ready))
        .route("/metrics", get(metrics))
}

/// Whether the store and the place of the datasets answer.
async fn is_ready(State(app): State<App>) -> Result<&'static str, Problem> {
    if app.stopping().has_begun() {
        return Err(Problem::unavailable("the server stops", LOOK));
    }
    app.call(retort_service::Service::check).await?;
    Ok("ready\n")
}

/// What is measured, for the machine itself or an owner.
async fn metrics(
    State(app): State<App>,
    visitor: Visitor,
    who: Result<Who, Problem>,
    headers: HeaderMap,
) -> Response {
    let is_here = visitor.address.is_loopback() && !headers.contains_key("x-forwarded-for");
    if is_here || owns(&app, who).await {
        return app.metrics().answer();
    }
    crate::extract::no_route().await.into_response()
}

async fn owns(app: &App, who: Result<Who, Problem>) -> bool {
    let Ok(who) = who else { return false };
    let signed = who.signed;
    signed.grants().has(Grant::Manage)
        && app
            .call(move |service| {
                let roles = service.projects_of(&signed)?;
                Ok(roles.iter().any(|(_, role)| *role == ProjectRole::Owner))
            })
            .await
            .unwrap_or(false)
}

/// Keeps the figures of the queue and the connections fresh until the server stops.
pub async fn watch(app: App, listening: Listening) {
    loop {
        app.metrics().set_connections(listening.open());
        if let Ok(counts) = app.call(retort_service::Service::job_counts).await {
            for (state, count) in counts {
                app.metrics().set_jobs(state, count);
            }
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = listening.stopping().wait() => return,
        }
    }
}
