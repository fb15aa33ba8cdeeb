//! Pages: signing in, invitations, shared conversations, and the description of the API to read.

use askama::Template;
use axum::Router;
use axum::extract::{Form, Query, State};
use axum::http::header::{
    CACHE_CONTROL, CONTENT_SECURITY_POLICY, CONTENT_TYPE, LOCATION, SET_COOKIE,
};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use retort_model::{Conversation, Role};
use retort_service::{Attachment, Shared};
use serde::Deserialize;
use utoipa::openapi::OpenApi;

use crate::api::account::slow_down;
use crate::api::shared::{Knock, files_of, open_with, proof_name};
use crate::app::App;
use crate::extract::Path;
use crate::problem::{PROBLEMS, Problem};
use crate::who::{Visitor, Who, check_page, session_cookie};

/// What pages may load: their own style, nothing else.
const POLICY: HeaderValue = HeaderValue::from_static(
    "default-src 'none'; style-src 'self'; img-src 'self' data:; form-action 'self'; base-uri 'none'; \
     frame-ancestors 'none'",
);

/// The routes of the pages.
pub fn routes(description: &OpenApi) -> Router<App> {
    let api = Api::of(description);
    Router::new()
        .route("/", get(home))
        .route("/sign-in", get(sign_in_page).post(sign_in))
        .route("/sign-in/link", get(link_page).post(sign_in_by_link))
        .route("/sign-in/provider", get(begin_at_provider))
        .route("/sign-in/callback", get(back_from_provider))
        .route("/sign-out", post(sign_out))
        .route("/invitation", get(invitation_page).post(take_invitation))
        .route("/s/{link}", get(shared_page).post(open_shared))
        .route("/api", get(move || async move { show(StatusCode::OK, &api) }))
        .route("/problems/{slug}", get(problem_page))
        .route("/assets/retort.css", get(style))
}

async fn style() -> Response {
    let headers =
        [(CONTENT_TYPE, "text/css; charset=utf-8"), (CACHE_CONTROL, "public, max-age=3600")];
    (headers, include_str!("../assets/retort.css")).into_response()
}

/// A page as it is answered.
pub fn show(status: StatusCode, page: &impl Template) -> Response {
    match page.render() {
        Ok(html) => {
            let kind = HeaderValue::from_static("text/html; charset=utf-8");
            (status, [(CONTENT_TYPE, kind), (CONTENT_SECURITY_POLICY, POLICY)], html)
                .into_response()
        }
        Err(error) => Problem::internal(error).into_response(),
    }
}

/// A problem as a page.
fn trouble(problem: &Problem) -> Response {
    let kind = problem.kind();
    let page = Message { title: kind.title.to_owned(), text: problem.detail().to_owned() };
    show(StatusCode::from_u16(kind.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR), &page)
}

fn see_other(to: &'static str, cookie: Option<&str>) -> Response {
    let mut headers = HeaderMap::new();
    headers.insert(LOCATION, HeaderValue::from_static(to));
    if let Some(cookie) = cookie.and_then(|cookie| HeaderValue::from_str(cookie).ok()) {
        headers.append(SET_COOKIE, cookie);
    }
    (StatusCode::SEE_OTHER, headers).into_response()
}

#[derive(Template)]
#[template(path = "message.html")]
struct Message {
    title: String,
    text: String,
}

#[derive(Template)]
#[template(path = "home.html")]
struct Home {
    person: String,
    projects: Vec<(String, String)>,
    csrf: String,
}

async fn home(State(app): State<App>, who: Result<Who, Problem>) -> Response {
    let Ok(who) = who else { return see_other("/sign-in", None) };
    let signed = who.signed.clone();
    match app.call(move |service| service.projects_of(&signed)).await {
        Ok(projects) => {
            let projects =
                projects.into_iter().map(|(one, role)| (one.name, role.to_string())).collect();
            let person = who.signed.person().name.clone();
            show(StatusCode::OK, &Home { person, projects, csrf: who.csrf.unwrap_or_default() })
        }
        Err(problem) => trouble(&problem),
    }
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    name: String,
    trouble: Option<String>,
    has_provider: bool,
}

async fn sign_in_page(State(app): State<App>) -> Response {
    let has_provider = app.oidc().is_some();
    show(StatusCode::OK, &SignInPage { name: String::new(), trouble: None, has_provider })
}

#[derive(Deserialize)]
struct SignInForm {
    name: String,
    password: String,
}

async fn sign_in(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(form): Form<SignInForm>,
) -> Response {
    let allowed = check_page(&headers).and_then(|()| slow_down(&app, &form.name, &visitor));
    let name = form.name.clone();
    let session = match allowed {
        Ok(()) => {
            let origin = visitor.origin;
            app.call_with_password(move |service| {
                service.sign_in(&form.name, &form.password, &origin)
            })
            .await
        }
        Err(problem) => Err(problem),
    };
    match session {
        Ok(session) => see_other("/", Some(&session_cookie(&app, Some(&session)))),
        Err(problem) => {
            let status =
                StatusCode::from_u16(problem.kind().status).unwrap_or(StatusCode::FORBIDDEN);
            let trouble = Some(problem.detail().to_owned());
            let has_provider = app.oidc().is_some();
            show(status, &SignInPage { name, trouble, has_provider })
        }
    }
}

#[derive(Deserialize)]
struct WithSecret {
    secret: String,
}

#[derive(Template)]
#[template(path = "link.html")]
struct LinkPage {
    secret: String,
}

/// Looking at the link does not use it up: what a mail program or a browser looks at beforehand stays usable.
async fn link_page(Query(query): Query<WithSecret>) -> Response {
    show(StatusCode::OK, &LinkPage { secret: query.secret })
}

async fn sign_in_by_link(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(form): Form<WithSecret>,
) -> Response {
    if let Err(problem) = check_page(&headers).and_then(|()| slow_down(&app, "", &visitor)) {
        return trouble(&problem);
    }
    let origin = visitor.origin;
    match app.call(move |service| service.sign_in_by_link(&form.secret, &origin)).await {
        Ok(session) => see_other("/", Some(&session_cookie(&app, Some(&session)))),
        Err(problem) => trouble(&problem),
    }
}

#[derive(Deserialize)]
struct WithCsrf {
    csrf: String,
}

async fn sign_out(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    form: Form<WithCsrf>,
) -> Response {
    let name = crate::who::cookie_name(&app);
    let Some(secret) = crate::who::cookie(&headers, name).map(str::to_owned) else {
        return see_other("/sign-in", None);
    };
    if form.csrf != crate::who::csrf_of(&secret) {
        return trouble(&Problem::forbidden("the page is of another session; open it again"));
    }
    let origin = visitor.origin;
    let done = app
        .call(move |service| match service.by_session(&secret)? {
            Some(signed) => service.sign_out(&signed, &origin),
            None => Ok(()),
        })
        .await;
    match done {
        Ok(()) => see_other("/sign-in", Some(&session_cookie(&app, None))),
        Err(problem) => trouble(&problem),
    }
}

/// The cookie that carries what the way back from a provider is held against.
const AT_PROVIDER: &str = "retort-provider";

async fn begin_at_provider(State(app): State<App>) -> Response {
    let Some(oidc) = app.oidc() else { return crate::extract::no_route().await.into_response() };
    let now = match app.call(|service| Ok(service.now())).await {
        Ok(now) => now,
        Err(problem) => return trouble(&problem),
    };
    match oidc.begin(now).await {
        Ok(begin) => {
            let secure = if app.settings().is_secure { "; Secure" } else { "" };
            let cookie = format!(
                "{AT_PROVIDER}={}; Path=/sign-in; Max-Age=600; HttpOnly; SameSite=Lax{secure}",
                begin.keep
            );
            let mut headers = HeaderMap::new();
            if let (Ok(to), Ok(cookie)) =
                (HeaderValue::from_str(begin.url.as_str()), HeaderValue::from_str(&cookie))
            {
                headers.insert(LOCATION, to);
                headers.insert(SET_COOKIE, cookie);
            }
            (StatusCode::SEE_OTHER, headers).into_response()
        }
        Err(error) => {
            tracing::warn!(cause = %error, "signing in through the provider could not begin");
            trouble(&Problem::unavailable(error.for_people(), std::time::Duration::from_secs(10)))
        }
    }
}

#[derive(Deserialize)]
struct Back {
    #[serde(default)]
    state: String,
    #[serde(default)]
    code: String,
    #[serde(default)]
    error: Option<String>,
}

async fn back_from_provider(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Query(back): Query<Back>,
) -> Response {
    let Some(oidc) = app.oidc() else { return crate::extract::no_route().await.into_response() };
    if back.error.is_some() {
        return trouble(&Problem::unauthenticated("the provider did not sign you in"));
    }
    if let Err(problem) = slow_down(&app, "", &visitor) {
        return trouble(&problem);
    }
    let keep = crate::who::cookie(&headers, AT_PROVIDER).unwrap_or_default();
    let now = match app.call(|service| Ok(service.now())).await {
        Ok(now) => now,
        Err(problem) => return trouble(&problem),
    };
    let verified = match oidc.finish(keep, &back.state, &back.code, now).await {
        Ok(verified) => verified,
        Err(error) => {
            tracing::warn!(cause = %error, "signing in through the provider failed");
            return trouble(&Problem::unauthenticated(error.for_people()));
        }
    };
    let session = app
        .call(move |service| {
            let email = verified.email.as_deref().filter(|_| verified.email_verified);
            let identity = retort_service::Identity {
                issuer: &verified.issuer,
                subject: &verified.subject,
                email,
            };
            service.sign_in_by_identity(&identity, &visitor.origin)
        })
        .await;
    match session {
        Ok(session) => see_other("/", Some(&session_cookie(&app, Some(&session)))),
        Err(problem) => trouble(&problem),
    }
}

#[derive(Template)]
#[template(path = "invitation.html")]
struct InvitationPage {
    secret: String,
    project: String,
    role: String,
    /// Whom it is for.
    name: Option<String>,
    trouble: Option<String>,
}

async fn invitation_page(State(app): State<App>, Query(query): Query<WithSecret>) -> Response {
    invited(&app, query.secret, None, StatusCode::OK).await
}

async fn invited(
    app: &App,
    secret: String,
    trouble_: Option<String>,
    status: StatusCode,
) -> Response {
    let asked = secret.clone();
    match app.call(move |service| service.invitation(&asked)).await {
        Ok((project, invitation)) => {
            let page = InvitationPage {
                secret,
                project: project.name,
                role: invitation.role.to_string(),
                name: invitation.name,
                trouble: trouble_,
            };
            show(status, &page)
        }
        Err(problem) => trouble(&problem),
    }
}

#[derive(Deserialize)]
struct InvitationForm {
    secret: String,
    #[serde(default)]
    name: String,
    password: String,
}

async fn take_invitation(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(form): Form<InvitationForm>,
) -> Response {
    if let Err(problem) = check_page(&headers).and_then(|()| slow_down(&app, "", &visitor)) {
        return trouble(&problem);
    }
    let (origin, secret) = (visitor.origin, form.secret.clone());
    let session = app.call_with_password(move |service| {
        service.accept_anew(&form.secret, &form.name, &form.password, &origin)
    });
    match session.await {
        Ok(session) => see_other("/", Some(&session_cookie(&app, Some(&session)))),
        Err(problem) => {
            let status =
                StatusCode::from_u16(problem.kind().status).unwrap_or(StatusCode::FORBIDDEN);
            invited(&app, secret, Some(problem.detail().to_owned()), status).await
        }
    }
}

/// A message as the shared page shows it.
struct Said {
    who: String,
    text: String,
    calls: Vec<(String, String)>,
}

#[derive(Template)]
#[template(path = "shared.html")]
struct SharedPage {
    title: String,
    kind: String,
    model: Option<String>,
    created_at: Option<String>,
    said: Vec<Said>,
    files: Vec<(String, String, String)>,
    link: String,
}

#[derive(Template)]
#[template(path = "locked.html")]
struct Locked {
    link: String,
    trouble: Option<String>,
}

async fn shared_page(State(app): State<App>, knock: Knock, Path(link): Path<String>) -> Response {
    match knock.open(&app, link.clone()).await {
        Ok(shared) => shown(&app, link, shared).await,
        Err(problem) if problem.kind().status == 401 => {
            show(StatusCode::UNAUTHORIZED, &Locked { link, trouble: None })
        }
        Err(problem) => trouble(&problem),
    }
}

#[derive(Deserialize)]
struct WithPassword {
    password: String,
}

async fn open_shared(
    State(app): State<App>,
    visitor: Visitor,
    Path(link): Path<String>,
    Form(form): Form<WithPassword>,
) -> Response {
    match open_with(&app, link.clone(), form.password, &visitor).await {
        Ok(shared) => {
            let proof = shared.proof.clone().unwrap_or_default();
            let secure = if app.settings().is_secure { "; Secure" } else { "" };
            let name = proof_name(&link);
            let cookie =
                format!("{name}={proof}; Path=/; Max-Age=86400; HttpOnly; SameSite=Lax{secure}");
            let mut response = shown(&app, link, shared).await;
            if let Ok(cookie) = HeaderValue::from_str(&cookie) {
                response.headers_mut().append(SET_COOKIE, cookie);
            }
            response
        }
        Err(problem) if problem.kind().status == 401 => {
            let trouble = Some(problem.detail().to_owned());
            show(StatusCode::UNAUTHORIZED, &Locked { link, trouble })
        }
        Err(problem) => trouble(&problem),
    }
}

async fn shown(app: &App, link: String, shared: Shared) -> Response {
    let (shared, files) = match files_of(app, shared).await {
        Ok(found) => found,
        Err(problem) => return trouble(&problem),
    };
    let said = match shared.conversation() {
        Ok(conversation) => said(&conversation),
        Err(error) => return trouble(&Problem::from(error)),
    };
    let size = |file: &Attachment| format!("{} kB", (file.bytes.len() as u64).div_ceil(1000));
    let page = SharedPage {
        title: shared.summary.title.clone().unwrap_or_else(|| "Conversation".into()),
        kind: shared.summary.kind.to_string(),
        model: shared.summary.model.clone(),
        created_at: shared.summary.created_at.map(|time| time.to_string()),
        said,
        files: (0..)
            .zip(&files)
            .map(|(number, file): (usize, _)| {
                let path = format!("/api/v1/shared/{link}/files/{number}");
                (file.name.clone(), size(file), path)
            })
            .collect(),
        link,
    };
    show(StatusCode::OK, &page)
}

/// The messages of what the conversation shows, in order.
fn said(conversation: &Conversation<'_>) -> Vec<Said> {
    let path = conversation.active_path();
    let rounds = path.iter().filter_map(|&place| conversation.rounds.get(place));
    rounds
        .flat_map(|round| &round.messages)
        .map(|message| Said {
            who: match message.role {
                Role::User => "person".into(),
                Role::Assistant => "model".into(),
                Role::System => "system".into(),
                Role::Tool => "tool".into(),
                Role::Other => message.role_word().into_owned(),
            },
            text: message.words().decoded().into_owned(),
            calls: message
                .tool_calls
                .iter()
                .map(|call| {
                    (call.name.decoded().into_owned(), call.arguments.decoded().into_owned())
                })
                .collect(),
        })
        .collect()
}

async fn problem_page(Path(slug): Path<String>) -> Response {
    match PROBLEMS.iter().find(|kind| kind.slug == slug) {
        Some(kind) => {
            let text = kind.remedy.to_owned();
            let page = Message { title: format!("{} · {}", kind.status, kind.title), text };
            show(StatusCode::OK, &page)
        }
        None => trouble(&Problem::not_found("problem", &slug)),
    }
}

/// The description of the API as a page.
#[derive(Clone, Template)]
#[template(path = "api.html")]
struct Api {
    about: String,
    groups: Vec<(String, Vec<Endpoint>)>,
    problems: Vec<(u16, &'static str, &'static str, &'static str)>,
}

#[derive(Clone)]
struct Endpoint {
    method: String,
    path: String,
    summary: String,
    about: String,
    parameters: Vec<(String, String, String)>,
    body: Option<String>,
    answers: Vec<(String, String)>,
}

impl Api {
    fn of(description: &OpenApi) -> Self {
        let mut groups: Vec<(String, Vec<Endpoint>)> = Vec::new();
        let json = serde_json::to_value(description).unwrap_or_default();
        for (path, item) in
            json.get("paths").and_then(|paths| paths.as_object()).into_iter().flatten()
        {
            for (method, operation) in item.as_object().into_iter().flatten() {
                let text = |key: &str| {
                    operation
                        .get(key)
                        .and_then(|value| value.as_str())
                        .unwrap_or_default()
                        .to_owned()
                };
                let tag =
                    operation.pointer("/tags/0").and_then(|tag| tag.as_str()).unwrap_or("other");
                let endpoint = Endpoint {
                    method: method.to_uppercase(),
                    path: path.clone(),
                    summary: text("summary"),
                    about: text("description"),
                    parameters: parameters(operation),
                    body: operation
                        .pointer("/requestBody/content")
                        .and_then(|content| content.as_object()?.iter().next())
                        .map(|(kind, media)| schema_name(media).unwrap_or_else(|| kind.clone())),
                    answers: answers(operation),
                };
                match groups.iter_mut().find(|(name, _)| name == tag) {
                    Some((_, group)) => group.push(endpoint),
                    None => groups.push((tag.to_owned(), vec![endpoint])),
                }
            }
        }
        let problems =
            PROBLEMS.iter().map(|kind| (kind.status, kind.slug, kind.title, kind.remedy)).collect();
        let about = description.info.description.clone().unwrap_or_default();
        Self { about, groups, problems }
    }
}

fn schema_name(media: &serde_json::Value) -> Option<String> {
    let name = media.pointer("/schema/$ref")?.as_str()?;
    Some(name.rsplit('/').next().unwrap_or(name).to_owned())
}

fn parameters(operation: &serde_json::Value) -> Vec<(String, String, String)> {
    let text = |one: &serde_json::Value, key: &str| {
        one.get(key).and_then(|value| value.as_str()).unwrap_or_default().to_owned()
    };
    let all = operation.get("parameters").and_then(|all| all.as_array());
    all.into_iter()
        .flatten()
        .map(|one| (text(one, "name"), text(one, "in"), text(one, "description")))
        .collect()
}

/// What is answered when all goes well.
fn answers(operation: &serde_json::Value) -> Vec<(String, String)> {
    let all = operation.get("responses").and_then(|all| all.as_object());
    all.into_iter()
        .flatten()
        .filter(|(status, _)| status.starts_with('2') || status.starts_with('3'))
        .map(|(status, answer)| {
            let content =
                answer.get("content").and_then(|content| content.as_object()?.iter().next());
            let what =
                content.map(|(kind, media)| schema_name(media).unwrap_or_else(|| kind.clone()));
            (status.clone(), what.unwrap_or_default())
        })
        .collect()
}
