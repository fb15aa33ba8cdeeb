//! The members of a project, and invitations.

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::{IntoResponse, Response};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::account::{begun, slow_down_from};
use super::answer::Answer;
use crate::app::App;
use crate::extract::{Json, Path};
use crate::problem::Problem;
use crate::who::{Authenticated, ProjectCaller, Visitor};
use crate::wire;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_members))
        .routes(routes!(set_role, remove_member))
        .routes(routes!(confirm_member))
        .routes(routes!(list_invitations, invite))
        .routes(routes!(delete_invitation))
        .routes(routes!(accept_invitation))
        .routes(routes!(join_by_invitation))
}

/// List the members of the project
#[utoipa::path(get, path = "/members", tag = "project", responses((status = 200, body = wire::Members)))]
async fn list_members(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
) -> Answer<wire::Members> {
    let members = app.call(move |service| service.members(&caller)).await?;
    Ok(Json(wire::Members { members: members.iter().map(wire::Member::from).collect() }))
}

/// Change a member's role
#[utoipa::path(put, path = "/members/{person}", tag = "project", params(("person" = i64, Path)),
    request_body = wire::Role, responses((status = 204)))]
async fn set_role(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(person): Path<i64>,
    Json(asked): Json<wire::Role>,
) -> Result<StatusCode, Problem> {
    let role = asked.role()?;
    app.call(move |service| service.set_role(&caller, person, Some(role))).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Remove a member from the project, or leave it
#[utoipa::path(delete, path = "/members/{person}", tag = "project", params(("person" = i64, Path)),
    responses((status = 204)))]
async fn remove_member(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(person): Path<i64>,
) -> Result<StatusCode, Problem> {
    app.call(move |service| service.set_role(&caller, person, None)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Confirm a member's name
///
/// A person who accepted an open invitation chose their own name. Once it is confirmed, they see the items that this
/// name owns.
#[utoipa::path(post, path = "/members/{person}/confirm", tag = "project", params(("person" = i64, Path)),
    responses((status = 204)))]
async fn confirm_member(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(person): Path<i64>,
) -> Result<StatusCode, Problem> {
    app.call(move |service| service.prove_name(&caller, person)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// List the invitations that can be accepted
#[utoipa::path(get, path = "/invitations", tag = "project",
    responses((status = 200, body = wire::Invitations)))]
async fn list_invitations(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
) -> Answer<wire::Invitations> {
    let found = app.call(move |service| service.invitations(&caller)).await?;
    let invitations = found.iter().map(|one| wire::Invitation::new(one, None)).collect();
    Ok(Json(wire::Invitations { invitations }))
}

/// Invite someone
#[utoipa::path(post, path = "/invitations", tag = "project", request_body = wire::Invite,
    responses((status = 201, body = wire::Invitation)))]
async fn invite(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Json(asked): Json<wire::Invite>,
) -> Result<Response, Problem> {
    let role = wire::Role { role: asked.role }.role()?;
    let (made, secret) =
        app.call(move |service| service.invite(&caller, role, asked.name.as_deref())).await?;
    Ok((StatusCode::CREATED, Json(wire::Invitation::new(&made, Some(secret)))).into_response())
}

/// Revoke an invitation
#[utoipa::path(delete, path = "/invitations/{id}", tag = "project", params(("id" = i64, Path)),
    responses((status = 204)))]
async fn delete_invitation(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<i64>,
) -> Result<StatusCode, Problem> {
    app.call(move |service| service.end_invitation(&caller, id)).await?;
    Ok(StatusCode::NO_CONTENT)
}

/// Accept an invitation and create an account
#[utoipa::path(post, path = "/invitations/accept", tag = "account", security(()), request_body = wire::Accept,
    responses((status = 201, body = wire::Session)))]
async fn accept_invitation(
    State(app): State<App>,
    visitor: Visitor,
    Json(asked): Json<wire::Accept>,
) -> Result<Response, Problem> {
    slow_down_from(&app, &visitor)?;
    let origin = visitor.origin;
    let session = app.call_with_password(move |service| {
        let name = asked.name.as_deref().unwrap_or_default();
        service.accept_anew(&asked.secret, name, &asked.password, &origin)
    });
    begun(&app, &session.await?)
}

/// Accept an invitation as a signed-in person
#[utoipa::path(post, path = "/invitations/join", tag = "account", request_body = wire::Secret,
    responses((status = 204)))]
async fn join_by_invitation(
    State(app): State<App>,
    who: Authenticated,
    Json(asked): Json<wire::Secret>,
) -> Result<StatusCode, Problem> {
    app.call(move |service| service.accept(&who.signed, &asked.secret, &who.origin)).await?;
    Ok(StatusCode::NO_CONTENT)
}
