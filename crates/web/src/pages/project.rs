//! A project: its people, tokens, links and log.

use std::collections::HashMap;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use retort_model::{Grant, ProjectRole};
use retort_service::{AuditFilter, Share, TokenRequest};
use serde::Deserialize;

use super::display::{moment, sentence};
use super::frame::{Frame, Nothing, PROJECT, Posted, Visit};
use super::paging::Paging;
use super::response::{see_other, show, status_of, trouble};
use super::taken::{Path, Query};
use crate::app::App;
use crate::outgoing::check_url;
use crate::problem::Problem;
use crate::wire;

/// Entries of the log, and links, on a page.
const PAGE: usize = 100;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/project", get(project))
        .route("/project/choose", post(choose))
        .route("/project/invite", post(invite))
        .route("/project/invitations/{id}/revoke", post(end_invitation))
        .route("/project/members/{id}", post(set_role))
        .route("/project/members/{id}/confirm", post(prove_name))
        .route("/project/tokens", get(tokens).post(add_token))
        .route("/project/tokens/{id}/revoke", post(end_token))
        .route("/project/webhooks", post(add_webhook))
        .route("/project/webhooks/{id}/remove", post(end_webhook))
        .route("/project/shares", get(shares))
        .route("/project/shares/{id}/keep", post(keep_share))
        .route("/project/audit", get(audit))
        .route("/project/delete", get(delete_page).post(delete))
}

#[derive(Debug, Deserialize)]
struct Named {
    name: String,
}

async fn choose(State(app): State<App>, Posted { form, .. }: Posted<Named>) -> Response {
    let secure = if app.settings().is_secure { "; Secure" } else { "" };
    let name = utf8_percent_encode(&form.name, NON_ALPHANUMERIC);
    let cookie =
        format!("{PROJECT}={name}; Path=/; Max-Age=31536000; HttpOnly; SameSite=Lax{secure}");
    see_other("/", Some(&cookie))
}

struct MemberRow {
    id: i64,
    name: String,
    role: &'static str,
    since: String,
    seen: String,
    is_disabled: bool,
    is_proved: bool,
}

struct InvitationRow {
    id: i64,
    role: &'static str,
    name: String,
    creator: String,
    until: String,
}

#[derive(Template)]
#[template(path = "project.html")]
struct Project {
    frame: Frame,
    members: Vec<MemberRow>,
    invitations: Vec<InvitationRow>,
    roles: Vec<&'static str>,
    /// The path of an invitation that was made just now.
    made: Option<String>,
    trouble: Option<String>,
}

async fn project(State(app): State<App>, visit: Visit) -> Response {
    people(&app, visit, None, None).await
}

async fn people(
    app: &App,
    visit: Visit,
    made: Option<String>,
    problem: Option<Problem>,
) -> Response {
    let frame = visit.frame("project");
    let role = visit.caller.role();
    let seen = app.call(move |service| {
        if role < ProjectRole::Admin {
            return Ok((Vec::new(), Vec::new()));
        }
        Ok((service.members(&visit.caller)?, service.invitations(&visit.caller)?))
    });
    let (members, invitations) = match seen.await {
        Ok(seen) => seen,
        Err(problem) => return trouble(&problem),
    };
    let status = status_of(problem.as_ref());
    let page = Project {
        frame,
        members: members
            .iter()
            .map(|one| MemberRow {
                id: one.person.id,
                name: one.person.name.clone(),
                role: one.role.as_str(),
                since: moment(one.since),
                seen: moment(one.person.seen_at),
                is_disabled: one.person.is_disabled,
                is_proved: one.is_proved,
            })
            .collect(),
        invitations: invitations
            .iter()
            .map(|one| InvitationRow {
                id: one.id,
                role: one.role.as_str(),
                name: one.name.clone().unwrap_or_else(|| "anyone with the link".into()),
                creator: one.creator.clone(),
                until: moment(one.expires_at),
            })
            .collect(),
        roles: ProjectRole::ALL
            .iter()
            .filter(|&&one| one <= role)
            .map(|one| one.as_str())
            .collect(),
        made,
        trouble: problem.map(|problem| sentence(problem.detail())),
    };
    show(status, &page)
}

#[derive(Debug, Deserialize)]
struct Inviting {
    role: String,
    #[serde(default)]
    name: String,
}

async fn invite(State(app): State<App>, Posted { visit, form }: Posted<Inviting>) -> Response {
    let role: ProjectRole = match form.role.parse() {
        Ok(role) => role,
        Err(error) => return trouble(&Problem::bad_request(error)),
    };
    let name = Some(form.name.trim().to_owned()).filter(|name| !name.is_empty());
    let caller = visit.caller.clone();
    match app.call(move |service| service.invite(&caller, role, name.as_deref())).await {
        Ok((_, secret)) => people(&app, visit, Some(wire::invitation_path(&secret)), None).await,
        Err(problem) => people(&app, visit, None, Some(problem)).await,
    }
}

async fn end_invitation(
    State(app): State<App>,
    Path(id): Path<i64>,
    Posted { visit, .. }: Posted<Nothing>,
) -> Response {
    match app.call(move |service| service.end_invitation(&visit.caller, id)).await {
        Ok(()) => see_other("/project", None),
        Err(problem) => trouble(&problem),
    }
}

#[derive(Debug, Deserialize)]
struct NewRole {
    /// A role, or `none`.
    role: String,
}

async fn set_role(
    State(app): State<App>,
    Path(id): Path<i64>,
    Posted { visit, form }: Posted<NewRole>,
) -> Response {
    let role = match form.role.as_str() {
        "none" => None,
        role => match role.parse::<ProjectRole>() {
            Ok(role) => Some(role),
            Err(error) => return trouble(&Problem::bad_request(error)),
        },
    };
    let caller = visit.caller.clone();
    match app.call(move |service| service.set_role(&caller, id, role)).await {
        Ok(()) => see_other("/project", None),
        Err(problem) => people(&app, visit, None, Some(problem)).await,
    }
}

async fn prove_name(
    State(app): State<App>,
    Path(id): Path<i64>,
    Posted { visit, .. }: Posted<Nothing>,
) -> Response {
    match app.call(move |service| service.prove_name(&visit.caller, id)).await {
        Ok(()) => see_other("/project", None),
        Err(problem) => trouble(&problem),
    }
}

struct TokenRow {
    id: i64,
    name: String,
    person: String,
    scopes: String,
    until: String,
    seen: String,
}

struct WebhookRow {
    id: i64,
    url: String,
    at: String,
    /// Whether notices have a link, and for how long it works.
    link: Option<String>,
    /// The name of the schedule that it is limited to.
    schedule: Option<String>,
}

#[derive(Template)]
#[template(path = "tokens.html")]
struct Tokens {
    frame: Frame,
    tokens: Vec<TokenRow>,
    webhooks: Vec<WebhookRow>,
    /// The schedules that a webhook can be limited to: each number with its name.
    schedules: Vec<(i64, String)>,
    scopes: Vec<(&'static str, &'static str)>,
    /// A secret that was made just now: what it is of, and it.
    made: Option<(&'static str, String)>,
    trouble: Option<String>,
}

async fn tokens(State(app): State<App>, visit: Visit) -> Response {
    programs(&app, visit, None, None).await
}

async fn programs(
    app: &App,
    visit: Visit,
    made: Option<(&'static str, String)>,
    problem: Option<Problem>,
) -> Response {
    let frame = visit.frame("project");
    let seen = app.call(move |service| {
        let caller = &visit.caller;
        let schedules = match caller.grants().has(Grant::Export) {
            true => service.schedules(caller, false)?,
            false => Vec::new(),
        };
        let own = schedules.into_iter().filter(|one| one.schedule.creator == caller.name());
        let schedules = own.map(|one| (one.schedule.id, one.schedule.name)).collect::<Vec<_>>();
        Ok((service.tokens(caller)?, service.webhooks(caller)?, schedules))
    });
    let (tokens, webhooks, schedules) = match seen.await {
        Ok(seen) => seen,
        Err(problem) => return trouble(&problem),
    };
    let status = status_of(problem.as_ref());
    let about = |grant: Grant| match grant {
        Grant::Read => "list and read conversations",
        Grant::Write => "import, edit and delete conversations",
        Grant::Export => "create, list, download and delete datasets",
        Grant::Share => "create and revoke public links",
        Grant::Manage => "members, tokens, webhooks and the audit log",
    };
    let page = Tokens {
        frame,
        tokens: tokens
            .iter()
            .map(|one| TokenRow {
                id: one.id,
                name: one.name.clone(),
                person: one.person_name.clone(),
                scopes: one.grants.iter().map(Grant::as_str).collect::<Vec<_>>().join(", "),
                until: moment(one.expires_at),
                seen: moment(one.seen_at),
            })
            .collect(),
        webhooks: webhooks
            .iter()
            .map(|one| WebhookRow {
                id: one.id,
                url: one.url.clone(),
                at: moment(one.created_at),
                link: one.link_hours.map(|hours| match hours {
                    1 => "with a link for 1 hour".to_owned(),
                    hours => format!("with a link for {hours} hours"),
                }),
                schedule: one.schedule.map(|id| {
                    let name = schedules.iter().find(|(known, _)| *known == id);
                    name.map_or_else(|| id.to_string(), |(_, name)| name.clone())
                }),
            })
            .collect(),
        schedules,
        scopes: Grant::ALL.iter().map(|&grant| (grant.as_str(), about(grant))).collect(),
        made,
        trouble: problem.map(|problem| sentence(problem.detail())),
    };
    show(status, &page)
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NewToken {
    name: String,
    scope: Vec<String>,
    days: String,
}

async fn add_token(State(app): State<App>, Posted { visit, form }: Posted<NewToken>) -> Response {
    let asked: Result<TokenRequest, Problem> = (|| {
        let grants = form
            .scope
            .iter()
            .map(|scope| scope.parse::<Grant>().map_err(Problem::bad_request))
            .collect::<Result<_, _>>()?;
        let days = form.days.trim().parse();
        let days = days.map_err(|_| Problem::bad_request("`days` is a whole number"))?;
        Ok(TokenRequest { name: form.name, grants, days })
    })();
    let caller = visit.caller.clone();
    let made = match asked {
        Ok(asked) => app.call(move |service| service.add_token(&caller, &asked)).await,
        Err(problem) => Err(problem),
    };
    match made {
        Ok((_, secret)) => programs(&app, visit, Some(("token", secret)), None).await,
        Err(problem) => programs(&app, visit, None, Some(problem)).await,
    }
}

async fn end_token(
    State(app): State<App>,
    Path(id): Path<i64>,
    Posted { visit, .. }: Posted<Nothing>,
) -> Response {
    match app.call(move |service| service.end_token(&visit.caller, id)).await {
        Ok(()) => see_other("/project/tokens", None),
        Err(problem) => trouble(&problem),
    }
}

#[derive(Debug, Deserialize)]
struct NewWebhook {
    url: String,
    #[serde(default)]
    link_hours: String,
    #[serde(default)]
    schedule: String,
}

async fn add_webhook(
    State(app): State<App>,
    Posted { visit, form }: Posted<NewWebhook>,
) -> Response {
    if let Err(why) = check_url(&form.url, app.settings().allows_private_webhooks) {
        let problem = Problem::bad_request(format!("the webhook's address: {why}"));
        return programs(&app, visit, None, Some(problem)).await;
    }
    let link_hours = match form.link_hours.trim() {
        "" => None,
        text => match text.parse::<u64>() {
            Ok(hours) => Some(hours),
            Err(_) => {
                let problem = Problem::bad_request("the hours of a link are a whole number");
                return programs(&app, visit, None, Some(problem)).await;
            }
        },
    };
    let schedule = match form.schedule.as_str() {
        "" => None,
        text => match text.parse::<i64>() {
            Ok(id) => Some(id),
            Err(_) => {
                let problem = Problem::bad_request("choose a schedule from the list");
                return programs(&app, visit, None, Some(problem)).await;
            }
        },
    };
    let caller = visit.caller.clone();
    let added =
        app.call(move |service| service.add_webhook(&caller, &form.url, link_hours, schedule));
    match added.await {
        Ok(webhook) => programs(&app, visit, Some(("webhook", webhook.secret)), None).await,
        Err(problem) => programs(&app, visit, None, Some(problem)).await,
    }
}

async fn end_webhook(
    State(app): State<App>,
    Path(id): Path<i64>,
    Posted { visit, .. }: Posted<Nothing>,
) -> Response {
    match app.call(move |service| service.end_webhook(&visit.caller, id)).await {
        Ok(()) => see_other("/project/tokens", None),
        Err(problem) => trouble(&problem),
    }
}

struct ShareRow {
    id: i64,
    title: String,
    conversation: String,
    creator: String,
    created: String,
    until: String,
    has_password: bool,
    is_closed: bool,
}

#[derive(Template)]
#[template(path = "shares.html")]
struct Shares {
    frame: Frame,
    shares: Vec<ShareRow>,
    paging: Paging,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Behind {
    after: Option<i64>,
}

async fn shares(State(app): State<App>, visit: Visit, Query(behind): Query<Behind>) -> Response {
    let frame = visit.frame("project");
    let seen = app.call(move |service| {
        let (shares, next) = service.shares(&visit.caller, behind.after, PAGE)?;
        // A token that may only share reads no questions.
        let reads = visit.caller.grants().has(Grant::Read);
        let untitled = shares.iter().filter(|one| reads && one.title.is_none());
        // Of several conversations with the id, one that is not clear is called by it.
        let untitled = untitled
            .filter_map(|one| service.find_one(&visit.caller, &one.conversation_id, None).ok());
        let untitled: Vec<_> = untitled.collect();
        let questions = match reads {
            true => service.first_questions(&visit.caller, &untitled)?,
            false => HashMap::new(),
        };
        Ok((shares, questions, next))
    });
    match seen.await {
        Ok((shares, questions, next)) => {
            let title = |one: &Share| {
                let question = || questions.get(&one.conversation).cloned();
                one.title.clone().or_else(question).unwrap_or_else(|| one.conversation_id.clone())
            };
            let shares = shares.iter().map(|one| ShareRow {
                id: one.id,
                title: title(one),
                conversation: utf8_percent_encode(&one.conversation_id, NON_ALPHANUMERIC)
                    .to_string(),
                creator: one.creator.clone(),
                created: moment(one.created_at),
                until: moment(one.expires_at),
                has_password: one.has_password,
                is_closed: one.is_closed,
            });
            let paging = Paging::of("/project/shares", behind.after.is_none(), next);
            show(StatusCode::OK, &Shares { frame, shares: shares.collect(), paging })
        }
        Err(problem) => trouble(&problem),
    }
}

async fn keep_share(
    State(app): State<App>,
    Path(id): Path<i64>,
    Posted { visit, .. }: Posted<Nothing>,
) -> Response {
    match app.call(move |service| service.keep_share(&visit.caller, id)).await {
        Ok(()) => see_other("/project/shares", None),
        Err(problem) => trouble(&problem),
    }
}

/// Says what goes with the project, and asks for its name.
#[derive(Template)]
#[template(path = "project_delete.html")]
struct DeletePage {
    frame: Frame,
    has: wire::Belongings,
    trouble: Option<String>,
}

async fn delete_page(State(app): State<App>, visit: Visit) -> Response {
    to_delete(&app, &visit, None).await
}

async fn to_delete(app: &App, visit: &Visit, problem: Option<Problem>) -> Response {
    let caller = visit.caller.clone();
    match app.call(move |service| service.belongings(&caller)).await {
        Ok(has) => {
            let status = status_of(problem.as_ref());
            let trouble = problem.map(|problem| problem.detail().to_owned());
            let page = DeletePage { frame: visit.frame("project"), has: has.into(), trouble };
            show(status, &page)
        }
        Err(problem) => trouble(&problem),
    }
}

async fn delete(State(app): State<App>, Posted { visit, form }: Posted<Named>) -> Response {
    let caller = visit.caller.clone();
    let name = form.name.trim().to_owned();
    match app.call(move |service| service.delete_project(&caller, &name)).await {
        Ok(()) => see_other("/", None),
        Err(problem) => to_delete(&app, &visit, Some(problem)).await,
    }
}

struct Entry {
    at: String,
    person: String,
    action: &'static str,
    object: String,
    is_refused: bool,
    address: String,
}

#[derive(Template)]
#[template(path = "audit.html")]
struct Audit {
    frame: Frame,
    entries: Vec<Entry>,
    asked: Sought,
    actions: Vec<(&'static str, bool)>,
    paging: Paging,
}

#[derive(Clone, Debug, Default, Deserialize)]
#[serde(default)]
struct Sought {
    action: String,
    person: String,
    refused: Option<String>,
    after: Option<i64>,
}

async fn audit(State(app): State<App>, visit: Visit, Query(asked): Query<Sought>) -> Response {
    let frame = visit.frame("project");
    let filter = AuditFilter {
        action: asked.action.parse().ok(),
        person: Some(asked.person.trim().to_owned()).filter(|person| !person.is_empty()),
        only_refused: asked.refused.is_some(),
        ..AuditFilter::default()
    };
    let after = asked.after;
    match app.call(move |service| service.audit(&visit.caller, &filter, after, PAGE)).await {
        Ok((entries, next)) => {
            let mut query = url::form_urlencoded::Serializer::new(String::new());
            query.append_pair("action", &asked.action).append_pair("person", &asked.person);
            if asked.refused.is_some() {
                query.append_pair("refused", "on");
            }
            let list = format!("/project/audit?{}", query.finish());
            let paging = Paging::of(&list, after.is_none(), next);
            let entries = entries.iter().map(|one| Entry {
                at: moment(one.at),
                person: one.person.clone().unwrap_or_else(|| "unknown".into()),
                action: one.action.as_str(),
                object: one.object.clone(),
                is_refused: one.is_refused,
                address: one.address.clone().unwrap_or_default(),
            });
            let actions = retort_model::Action::ALL
                .iter()
                .map(|action| (action.as_str(), action.as_str() == asked.action));
            let actions = actions.collect();
            let entries = entries.collect();
            show(StatusCode::OK, &Audit { frame, entries, asked, actions, paging })
        }
        Err(problem) => trouble(&problem),
    }
}
