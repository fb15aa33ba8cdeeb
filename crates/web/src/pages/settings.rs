//! One's own account.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use serde::Deserialize;

use super::account::connecting_cookie;
use super::display::sentence;
use super::frame::{Frame, Nothing, Posted, Visit};
use super::response::{see_other, set_cookie, show, status_of, trouble};
use super::taken::Query;
use crate::api::account::slow_down;
use crate::app::App;
use crate::extract::no_route;
use crate::problem::Problem;
use crate::who::{Visitor, session_cookie};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/settings", get(settings))
        .route("/settings/password", post(password))
        .route("/settings/sign-out-everywhere", post(sign_out_everywhere))
        .route("/settings/connect", post(connect))
        .route("/settings/delete-account", post(delete_account))
}

#[derive(Template)]
#[template(path = "settings.html")]
struct Settings {
    frame: Frame,
    has_password: bool,
    has_provider: bool,
    /// Whether the way to the provider is open.
    connects: bool,
    done: Option<String>,
    trouble: Option<String>,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Asked {
    connected: bool,
}

async fn settings(State(app): State<App>, visit: Visit, Query(asked): Query<Asked>) -> Response {
    let done = asked.connected.then(|| "You can now sign in with your organization.".to_owned());
    page(&app, &visit, done, None)
}

fn of(app: &App, visit: &Visit) -> Settings {
    Settings {
        frame: visit.frame("settings"),
        has_password: visit.signed.person().has_password,
        has_provider: app.oidc().is_some(),
        connects: false,
        done: None,
        trouble: None,
    }
}

fn page(app: &App, visit: &Visit, done: Option<String>, problem: Option<&Problem>) -> Response {
    let status = status_of(problem);
    let trouble = problem.map(|problem| sentence(problem.detail()));
    let page = Settings { done, trouble, ..of(app, visit) };
    show(status, &page)
}

/// Slows down who tries passwords. Tokens are refused anyway, and use up nobody's attempts.
fn may_try(app: &App, visit: &Visit, visitor: &Visitor) -> Result<(), Problem> {
    if visit.signed.is_ambient() { slow_down(app, visit.caller.name(), visitor) } else { Ok(()) }
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
    if let Err(problem) = may_try(&app, &visit, &visitor) {
        return page(&app, &visit, None, Some(&problem));
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
            page(&app, &visit, Some(done), None)
        }
        Err(problem) => page(&app, &visit, None, Some(&problem)),
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

/// What is only done with the password, where the account has one.
#[derive(Deserialize)]
struct WithPassword {
    #[serde(default)]
    current: String,
}

/// Allows the way to the provider whose sign-in is to be connected. It begins with a link: browsers do not let a form
/// lead to another site.
async fn connect(
    State(app): State<App>,
    visitor: Visitor,
    Posted { visit, form }: Posted<WithPassword>,
) -> Response {
    if app.oidc().is_none() {
        return no_route().await.into_response();
    }
    if let Err(problem) = may_try(&app, &visit, &visitor) {
        return page(&app, &visit, None, Some(&problem));
    }
    let signed = visit.signed.clone();
    let allowed =
        app.call_with_password(move |service| service.may_connect_identity(&signed, &form.current));
    if let Err(problem) = allowed.await {
        return page(&app, &visit, None, Some(&problem));
    }
    let page = Settings { connects: true, ..of(&app, &visit) };
    let mut response = show(StatusCode::OK, &page);
    set_cookie(response.headers_mut(), &connecting_cookie(&visit.csrf, 600));
    response
}

async fn delete_account(
    State(app): State<App>,
    visitor: Visitor,
    Posted { visit, form }: Posted<WithPassword>,
) -> Response {
    if let Err(problem) = may_try(&app, &visit, &visitor) {
        return page(&app, &visit, None, Some(&problem));
    }
    let signed = visit.signed.clone();
    let gone = app.call_with_password(move |service| {
        service.delete_own_account(&signed, Some(&form.current), &visitor.origin)
    });
    match gone.await {
        Ok(()) => see_other("/sign-in", Some(&session_cookie(&app, None))),
        Err(problem) => page(&app, &visit, None, Some(&problem)),
    }
}
