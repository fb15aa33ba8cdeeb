//! Jobs followed as they move, by server-sent events.

use std::time::Duration;

use axum::body::{Body, Bytes};
use axum::http::HeaderName;
use axum::http::header::{CACHE_CONTROL, CONTENT_TYPE};
use axum::response::{IntoResponse, Response};
use futures_util::stream;
use retort_model::JobKind;
use retort_service::Caller;

use crate::app::App;
use crate::problem::Problem;
use crate::who::{ProjectCaller, Sent};
use crate::wire;

/// How often a job is looked at.
const LOOK: Duration = Duration::from_millis(400);

/// After how many looks without news a comment keeps the connection open.
const QUIET_LOOKS: u32 = 37;

/// After how many looks the follower's credentials are checked again: they may have ended since.
const TRUSTED_LOOKS: u32 = 25;

/// Where a stream of events stands.
struct Following {
    app: App,
    caller: Caller,
    sent: Sent,
    looks: u32,
    kind: JobKind,
    id: i64,
    told: Option<String>,
    quiet: u32,
    is_over: bool,
}

/// The events of a job until it ends, or the server does.
pub async fn follow(
    app: App,
    (ProjectCaller(caller), sent): (ProjectCaller, Sent),
    kind: JobKind,
    id: i64,
) -> Result<Response, Problem> {
    // Whether there is such a job is answered before the stream begins.
    super::jobs::job(&app, caller.clone(), kind, id).await?;
    let following =
        Following { app, caller, sent, looks: 0, kind, id, told: None, quiet: 0, is_over: false };
    let events = stream::unfold(following, |mut following| async move {
        let event = following.next().await?;
        Some((Ok::<_, std::convert::Infallible>(Bytes::from(event)), following))
    });
    let headers = [
        (CONTENT_TYPE, "text/event-stream"),
        (CACHE_CONTROL, "no-store"),
        // nginx would keep them until the end.
        (HeaderName::from_static("x-accel-buffering"), "no"),
    ];
    Ok((headers, Body::from_stream(events)).into_response())
}

impl Following {
    /// The next event; none when all was told.
    async fn next(&mut self) -> Option<String> {
        if self.is_over {
            return None;
        }
        loop {
            if self.told.is_some() {
                let stopping = self.app.stopping();
                tokio::select! {
                    () = tokio::time::sleep(LOOK) => {}
                    () = stopping.wait() => return None,
                }
            }
            self.looks += 1;
            if self.looks.is_multiple_of(TRUSTED_LOOKS) {
                self.caller = self.sent.again(&self.app).await.ok()?.0;
            }
            let (caller, kind, id) = (self.caller.clone(), self.kind, self.id);
            let looked = self.app.call(move |service| service.job_of(&caller, kind, id)).await;
            let Ok(job) = looked else { return None };
            let job = wire::Job::from(&job);
            let text = serde_json::to_string(&job).ok()?;
            if job.is_ended() {
                self.is_over = true;
                return Some(format!("event: end\ndata: {text}\n\n"));
            }
            if self.told.as_ref() != Some(&text) {
                let event = format!("event: progress\ndata: {text}\n\n");
                self.told = Some(text);
                self.quiet = 0;
                return Some(event);
            }
            self.quiet += 1;
            if self.quiet >= QUIET_LOOKS {
                self.quiet = 0;
                return Some(": still there\n\n".into());
            }
        }
    }
}
