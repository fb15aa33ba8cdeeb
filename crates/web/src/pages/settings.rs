//! One's own account.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use serde::Deserialize;

use super::export::Nothing;
use super::frame::{Frame, Posted, Visit};
use super::words::sentence;
use super::{see_other, show, trouble};
use crate::api::account::slow_down;
use crate::app::App;
use crate::problem::Problem;
use crate::who::{Visitor, session_cookie};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/settings", get(settings))
        .route("/settings/password", post(password))
        .route("/settings/sign-out-everywhere", post(sign_out_everywhere))
        .route("/settings/delete-account", post(delete_account))
}

#[derive(Template)]
#[template(path = "settings.html")]
struct Settings {
    frame: Frame,
    has_password: bool,
    done: Option<String>,
    trouble: Option<String>,
}

async fn settings(visit: Visit) -> Response {
    page(&visit, None, None)
}

fn page(visit: &Visit, done: Option<String>, problem: Option<&Problem>) -> Response {
    let status = problem.map_or(200, |problem| problem.kind().status);
    let page = Settings {
        frame: visit.frame("settings"),
        has_password: visit.signed.person().has_password,
        done,
        trouble: problem.map(|problem| sentence(problem.detail())),
    };
    show(StatusCode::from_u16(status).unwrap_or(StatusCode::OK), &page)
}

#[derive(Deserialize)]
struct NewPassword {
    #[serde(default)]
    current: String,
    new: String,
}

async fn password(
    State(app): State<App>,
    visitor: Visitor,
    Posted { visit, form }: Posted<NewPassword>,
) -> Response {
    // Tokens are refused anyway, and use up nobody's attempts.
    if visit.signed.is_ambient()
        && let Err(problem) = slow_down(&app, visit.caller.name(), &visitor)
    {
        return page(&visit, None, Some(&problem));
    }
    let signed = visit.signed.clone();
    let changed = app.call_with_password(move |service| {
        service.change_password(&signed, Some(&form.current), &form.new, &visitor.origin)
    });
    match changed.await {
        Ok(ended) => {
            let (sessions, tokens) = (ended.sessions, ended.tokens);
            let done = format!(
                "Password changed. Ended: {sessions} other sessions and links, {tokens} API tokens."
            );
            page(&visit, Some(done), None)
        }
        Err(problem) => page(&visit, None, Some(&problem)),
    }
}

async fn sign_out_everywhere(
    State(app): State<App>,
    visitor: Visitor,
    Posted { visit, .. }: Posted<Nothing>,
) -> Response {
    let signed = visit.signed.clone();
    let ended =
        app.call(move |service| service.sign_out_everywhere(&signed, &visitor.origin)).await;
    match ended {
        Ok(_) => see_other("/sign-in", Some(&session_cookie(&app, None))),
        Err(problem) => trouble(&problem),
    }
}

#[derive(Deserialize)]
struct Leaving {
    #[serde(default)]
    current: String,
}

async fn delete_account(
    State(app): State<App>,
    visitor: Visitor,
    Posted { visit, form }: Posted<Leaving>,
) -> Response {
    if visit.signed.is_ambient()
        && let Err(problem) = slow_down(&app, visit.caller.name(), &visitor)
    {
        return page(&visit, None, Some(&problem));
    }
    let signed = visit.signed.clone();
    let gone = app.call_with_password(move |service| {
        service.delete_own_account(&signed, Some(&form.current), &visitor.origin)
    });
    match gone.await {
        Ok(()) => see_other("/sign-in", Some(&session_cookie(&app, None))),
        Err(problem) => page(&visit, None, Some(&problem)),
    }
}
