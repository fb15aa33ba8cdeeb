//! For operators of the server: whether it lives, whether it can work, what it does.

use std::time::Duration;

use axum::Router;
use axum::extract::State;
use axum::http::HeaderMap;
use axum::response::{IntoResponse, Response};
use axum::routing::get;
use retort_model::{Grant, ProjectRole};
use retort_service::Service;

use crate::app::App;
use crate::problem::Problem;
use crate::server::Listening;
use crate::who::{Authenticated, Visitor};

/// How often the queue and the connections are counted.
const LOOK: Duration = Duration::from_secs(5);

/// How long the worker may be silent: it looks twice a second, at a job as at the queue.
const WORKER_SILENT: Duration = Duration::from_secs(60);

pub(crate) fn routes() -> Router<App> {
    Router::new()
        .route("/healthz", get(async || "ok\n"))
        .route("/readyz", get(is_ready))
        .route("/metrics", get(metrics))
}

/// Whether the store and the place of the datasets answer, and the worker looks at its queue.
async fn is_ready(State(app): State<App>) -> Result<String, Problem> {
    if app.stopping().has_begun() {
        return Err(Problem::unavailable("the server is stopping", LOOK));
    }
    let (silent, schedules) = app
        .call(|service| {
            service.check()?;
            Ok((service.worker_silent_for(), service.schedule_stats()?))
        })
        .await?;
    if app.settings().has_worker && silent > WORKER_SILENT {
        let problem =
            format!("the worker has not looked at its queue for {} seconds", silent.as_secs());
        return Err(Problem::unavailable(problem, LOOK));
    }
    // The server works all the same: a late schedule is for a person to look at.
    Ok(match schedules.late {
        0 => "ready\n".to_owned(),
        late => format!("ready\nlate schedules: {late}\n"),
    })
}

/// Metrics, for the machine itself or an owner. A request through a proxy may come from another machine.
async fn metrics(
    State(app): State<App>,
    visitor: Visitor,
    who: Result<Authenticated, Problem>,
    headers: HeaderMap,
) -> Response {
    let passed_on = ["x-forwarded-for", "forwarded", "x-real-ip", "via"];
    let is_here = visitor.address.is_loopback()
        && !visitor.is_forwarded
        && !passed_on.iter().any(|name| headers.contains_key(*name));
    if is_here || owns(&app, who).await {
        return app.metrics().answer();
    }
    crate::extract::no_route().await.into_response()
}

async fn owns(app: &App, who: Result<Authenticated, Problem>) -> bool {
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
        let stats = app.call(|service| {
            let queue = (service.job_counts()?, service.queue_stats()?);
            Ok((queue, service.schedule_stats()?, service.now()))
        });
        let stats = stats.await;
        app.metrics().set_store_answers(stats.is_ok());
        if let Ok(((counts, stats), schedules, now)) = stats {
            for (state, count) in counts {
                app.metrics().set_jobs(state, count);
            }
            app.metrics().set_queue(&stats, now);
            app.metrics().set_schedules(&schedules);
        }
        if app.settings().takes_traces
            && let Ok(stats) = app.call(Service::trace_stats).await
        {
            app.metrics().set_traces(&stats);
        }
        let service = app.service();
        if app.settings().has_worker {
            app.metrics().set_worker_silent(service.worker_silent_for());
        }
        for (place, bytes) in service.free_bytes() {
            app.metrics().set_free(place, bytes);
        }
        tokio::select! {
            () = tokio::time::sleep(LOOK) => {}
            () = listening.stopping().wait() => return,
        }
    }
}
