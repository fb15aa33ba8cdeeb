//! Notices on their way: exports that ended, posted to the webhooks of who asked for them.

use std::time::Duration;

use futures_util::future::join_all;
use retort_service::{Delivery, DownloadLink};
use serde_json::json;

use crate::app::App;
use crate::outgoing::{Outgoing, next_attempt};
use crate::wire;

/// How often it is looked whether something is due.
const LOOK: Duration = Duration::from_secs(1);

/// Notices that are posted at once.
const AT_ONCE: usize = 8;

/// Posts what is due until the server stops.
pub async fn deliver(app: App, outgoing: Outgoing) {
    let stopping = app.stopping();
    loop {
        let due = app.call(|service| service.claim_deliveries(AT_ONCE)).await;
        let is_idle = match due {
            Ok(due) => {
                let count = due.len();
                join_all(due.into_iter().map(|one| post(&app, &outgoing, one))).await;
                count < AT_ONCE
            }
            Err(problem) => {
                tracing::warn!(cause = problem.detail(), "notices could not be looked up");
                true
            }
        };
        if stopping.has_begun() {
            return;
        }
        if is_idle {
            tokio::select! {
                () = tokio::time::sleep(LOOK) => {}
                () = stopping.wait() => return,
            }
        }
    }
}

async fn post(app: &App, outgoing: &Outgoing, delivery: Delivery) {
    let notice = wire::Notice::from(&delivery.notice);
    let mut data = json!({"project": delivery.project, "notice": notice});
    let id = format!("notice-{}-{}", delivery.webhook, delivery.notice.id);
    let asked = delivery.clone();
    let seen = app.call(move |service| Ok((service.now(), service.download_link(&asked))));
    let Ok((now, link)) = seen.await else { return };
    if let (Some(DownloadLink { link, expires_at }), Some(data)) = (link, data.as_object_mut()) {
        // Without a public address, the receiver has to know where the server is.
        let server = app.settings().url.as_deref().unwrap_or_default();
        let url = format!("{server}/api/v1/downloads/{link}");
        let download = json!({"url": url, "expires_at": expires_at.to_string()});
        data.insert("download".into(), download);
    }
    let body = json!({"type": "export.ended", "timestamp": notice.at, "data": data});
    let answer = outgoing.post(&delivery.url, &delivery.secret, &id, &body.to_string(), now).await;
    let again = match &answer {
        Ok(200..=299 | 410) => None,
        _ => next_attempt(delivery.attempts),
    };
    let told = app.call(move |service| {
        let answer = match &answer {
            Ok(status) => Ok(*status),
            Err(why) => Err(why.as_str()),
        };
        service.end_attempt(&delivery, answer, again)
    });
    if let Err(problem) = told.await {
        // It is claimed for a while only, and then posted again.
        tracing::warn!(cause = problem.detail(), "a notice's way could not be kept");
    }
}
