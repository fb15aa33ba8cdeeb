//! Signing in and out, one's own account, one's projects.

use std::net::IpAddr;

use axum::extract::State;
use axum::http::header::SET_COOKIE;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use retort_service::Session;
use tokio::time::Instant;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::Answer;
use crate::app::App;
use crate::extract::Json;
use crate::problem::Problem;
use crate::who::{Authenticated, ProjectCaller, Visitor, csrf_of, session_cookie};
use crate::wire;

pub(super) fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(who_am_i, sign_in, sign_out))
        .routes(routes!(sign_in_by_link))
        .routes(routes!(sign_out_everywhere))
        .routes(routes!(change_password))
        .routes(routes!(delete_account))
        .routes(routes!(list_projects, add_project))
        .routes(routes!(show_project, delete_project))
}

/// The answer that begins a session: its cookie, and its token against requests of other pages.
pub fn begun(app: &App, session: &Session) -> Result<Response, Problem> {
    let body = wire::Session::new(session, csrf_of(&session.secret));
    let cookie = session_cookie(app, Some(session));
    let cookie = HeaderValue::from_str(&cookie).map_err(Problem::internal)?;
    Ok((StatusCode::CREATED, [(SET_COOKIE, cookie)], Json(body)).into_response())
}

/// Slows down who tries passwords.
pub fn slow_down(app: &App, account: &str, visitor: &Visitor) -> Result<(), Problem> {
    let account = account.to_lowercase();
    app.sign_ins().attempt(&account, visitor.address, Instant::now()).map_err(Problem::rate_limited)
}

/// Notes that someone signed in to an account from there: strangers elsewhere cannot lock them out.
pub fn known_from(app: &App, account: &str, address: IpAddr) {
    app.sign_ins().succeeded(&account.to_lowercase(), address);
}

/// Slows down who tries secrets that name no account.
pub fn slow_down_from(app: &App, visitor: &Visitor) -> Result<(), Problem> {
    app.sign_ins().attempt_from(visitor.address, Instant::now()).map_err(Problem::rate_limited)
}

/// Return who is signed in, and their projects
#[utoipa::path(get, path = "/session", tag = "account", responses((status = 200, body = wire::Me)))]
async fn who_am_i(State(app): State<App>, who: Authenticated) -> Answer<wire::Me> {
    let signed = who.signed.clone();
    let projects = app.call(move |service| service.projects_of(&signed)).await?;
    let person = who.signed.person();
    Ok(Json(wire::Me {
        person: person.name.clone(),
        has_password: person.has_password,
        scopes: who.signed.grants().iter().map(|grant| grant.to_string()).collect(),
        projects: projects
            .into_iter()
            .map(|(project, role)| wire::Project { name: project.name, role: role.to_string() })
            .collect(),
        csrf: who.csrf,
    }))
}

/// Sign in with name and password
#[utoipa::path(post, path = "/session", tag = "account", security(()), request_body = wire::SignIn,
    responses((status = 201, body = wire::Session)))]
async fn sign_in(
    State(app): State<App>,
    visitor: Visitor,
    Json(asked): Json<wire::SignIn>,
) -> Result<Response, Problem> {
    slow_down(&app, &asked.name, &visitor)?;
    let (name, origin) = (asked.name.clone(), visitor.origin);
    let session = app
        .call_with_password(move |service| service.sign_in(&asked.name, &asked.password, &origin))
        .await?;
    known_from(&app, &name, visitor.address);
    begun(&app, &session)
}

/// Sign in with a one-time link
#[utoipa::path(post, path = "/session/link", tag = "account", security(()), request_body = wire::Secret,
    responses((status = 201, body = wire::Session)))]
async fn sign_in_by_link(
    State(app): State<App>,
    visitor: Visitor,
    Json(asked): Json<wire::Secret>,
) -> Result<Response, Problem> {
    slow_down_from(&app, &visitor)?;
    let origin = visitor.origin;
    let session = app.call(move |service| service.sign_in_by_link(&asked.secret, &origin)).await?;
    begun(&app, &session)
}

/// Sign out
#[utoipa::path(delete, path = "/session", tag = "account", responses((status = 204)))]
async fn sign_out(State(app): State<App>, who: Authenticated) -> Result<Response, Problem> {
    app.call(move |service| service.sign_out(&who.signed, &who.origin)).await?;
    let mut headers = HeaderMap::new();
    if let Ok(cookie) = HeaderValue::from_str(&session_cookie(&app, None)) {
        headers.insert(SET_COOKIE, cookie);
    }
    Ok((StatusCode::NO_CONTENT, headers).into_response())
}

/// Sign out everywhere: end all of your sessions, one-time links and API tokens
#[utoipa::path(delete, path = "/sessions", tag = "account", responses((status = 200, body = wire::Ended)))]
async fn sign_out_everywhere(State(app): State<App>, who: Authenticated) -> Answer<wire::Ended> {
    let ended = app.call(move |service| service.sign_out_everywhere(&who.signed, &who.origin));
    Ok(Json(ended.await?.into()))
}

/// Set your password, which ends your other sessions, one-time links and API tokens
#[utoipa::path(put, path = "/password", tag = "account", request_body = wire::NewPassword,
    responses((status = 200, body = wire::Ended)))]
async fn change_password(
    State(app): State<App>,
    visitor: Visitor,
    who: Authenticated,
    Json(asked): Json<wire::NewPassword>,
) -> Answer<wire::Ended> {
    slow_down(&app, &who.signed.person().name, &visitor)?;
    let ended = app.call_with_password(move |service| {
        service.change_password(&who.signed, asked.current.as_deref(), &asked.new, &who.origin)
    });
    Ok(Json(ended.await?.into()))
}

/// Delete your account
///
/// Its sessions, API tokens, webhooks and invitations end, and its public links close. What you own or created stays in
/// its projects.
#[utoipa::path(delete, path = "/account", tag = "account", request_body = wire::DeleteAccount,
    responses((status = 204)))]
async fn delete_account(
    State(app): State<App>,
    visitor: Visitor,
    who: Authenticated,
    Json(asked): Json<wire::DeleteAccount>,
) -> Result<Response, Problem> {
    slow_down(&app, &who.signed.person().name, &visitor)?;
    app.call_with_password(move |service| {
        service.delete_own_account(&who.signed, asked.password.as_deref(), &who.origin)
    })
    .await?;
    let mut headers = HeaderMap::new();
    if let Ok(cookie) = HeaderValue::from_str(&session_cookie(&app, None)) {
        headers.insert(SET_COOKIE, cookie);
    }
    Ok((StatusCode::NO_CONTENT, headers).into_response())
}

/// Count what is in the project, to show before it is deleted
#[utoipa::path(get, path = "/project", tag = "project", responses((status = 200, body = wire::Belongings)))]
async fn show_project(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
) -> Answer<wire::Belongings> {
    let found = app.call(move |service| service.belongings(&caller)).await?;
    Ok(Json(found.into()))
}

/// Permanently delete the project with everything in it
///
/// For owners of the project, who have to repeat its name.
#[utoipa::path(delete, path = "/project", tag = "project", request_body = wire::Rename,
    responses((status = 204)))]
async fn delete_project(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Json(asked): Json<wire::Rename>,
) -> Result<StatusCode, Problem> {
    app.call(move |service| service.delete_project(&caller, &asked.name)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List your projects
#[utoipa::path(get, path = "/projects", tag = "project", responses((status = 200, body = wire::Projects)))]
async fn list_projects(State(app): State<App>, who: Authenticated) -> Answer<wire::Projects> {
    let projects = app.call(move |service| service.projects_of(&who.signed)).await?;
    let projects = projects
        .into_iter()
        .map(|(project, role)| wire::Project { name: project.name, role: role.to_string() })
        .collect();
    Ok(Json(wire::Projects { projects }))
}

/// Create a project; owners of a project may create others
#[utoipa::path(post, path = "/projects", tag = "project", request_body = wire::Rename,
    responses((status = 201, body = wire::Project)))]
async fn add_project(
    State(app): State<App>,
    who: Authenticated,
    Json(asked): Json<wire::Rename>,
) -> Result<Response, Problem> {
    let caller =
        app.call(move |service| service.add_project(&who.signed, &asked.name, who.origin)).await?;
    let project =
        wire::Project { name: caller.project().name.clone(), role: caller.role().to_string() };
    Ok((StatusCode::CREATED, Json(project)).into_response())
}
