//! Signing in and out, and taking an invitation.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::header::{LOCATION, SET_COOKIE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use serde::Deserialize;

use super::frame::OTHER_SESSION;
use super::taken::{Form, Query};
use super::words::sentence;
use super::{see_other, show_public, trouble};
use crate::api::account::{slow_down, slow_down_from};
use crate::app::App;
use crate::problem::Problem;
use crate::who::{Visitor, check_page, session_cookie};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/sign-in", get(sign_in_page).post(sign_in))
        .route("/sign-in/link", get(link_page).post(sign_in_by_link))
        .route("/sign-in/provider", get(begin_at_provider))
        .route("/sign-in/callback", get(back_from_provider))
        .route("/sign-out", post(sign_out))
        .route("/invitation", get(invitation_page).post(take_invitation))
}

#[derive(Template)]
#[template(path = "sign_in.html")]
struct SignInPage {
    /// Where the person wanted to go.
    to: String,
    name: String,
    trouble: Option<String>,
    has_provider: bool,
}

#[derive(Default, Deserialize)]
#[serde(default)]
struct Wanted {
    to: String,
}

async fn sign_in_page(State(app): State<App>, Query(Wanted { to }): Query<Wanted>) -> Response {
    let has_provider = app.oidc().is_some();
    show_public(
        StatusCode::OK,
        &SignInPage { to, name: String::new(), trouble: None, has_provider },
    )
}

/// Where to go after signing in: the page that was asked for, if it is one of ours.
fn wanted(to: &str) -> &str {
    let is_path = to.starts_with('/') && !to.starts_with("//");
    let is_plain = to.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'\\');
    if is_path && is_plain { to } else { "/" }
}

/// The cookie that remembers where to go after the way through a provider.
const WANTED: &str = "retort-wanted";

fn wanted_cookie(to: &str, seconds: u32) -> String {
    let to = utf8_percent_encode(to, NON_ALPHANUMERIC);
    format!("{WANTED}={to}; Path=/sign-in; Max-Age={seconds}; HttpOnly; SameSite=Lax")
}

#[derive(Deserialize)]
struct SignInForm {
    name: String,
    password: String,
    #[serde(default)]
    to: String,
}

async fn sign_in(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(form): Form<SignInForm>,
) -> Response {
    let allowed = check_page(&headers).and_then(|()| slow_down(&app, &form.name, &visitor));
    let (name, to) = (form.name.clone(), form.to.clone());
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
        Ok(session) => see_other(wanted(&to), Some(&session_cookie(&app, Some(&session)))),
        Err(problem) => {
            let status =
                StatusCode::from_u16(problem.kind().status).unwrap_or(StatusCode::FORBIDDEN);
            let trouble = Some(sentence(problem.detail()));
            let has_provider = app.oidc().is_some();
            show_public(status, &SignInPage { to, name, trouble, has_provider })
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
    show_public(StatusCode::OK, &LinkPage { secret: query.secret })
}

async fn sign_in_by_link(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(form): Form<WithSecret>,
) -> Response {
    if let Err(problem) = check_page(&headers).and_then(|()| slow_down_from(&app, &visitor)) {
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
    Form(form): Form<WithCsrf>,
) -> Response {
    let name = crate::who::cookie_name(&app);
    let Some(secret) = crate::who::cookie(&headers, name).map(str::to_owned) else {
        return see_other("/sign-in", None);
    };
    if !crate::who::is_token(&form.csrf, &crate::who::csrf_of(&secret)) {
        return trouble(&Problem::forbidden(OTHER_SESSION));
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

async fn begin_at_provider(
    State(app): State<App>,
    Query(Wanted { to }): Query<Wanted>,
) -> Response {
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
            if let (Ok(there), Ok(cookie)) =
                (HeaderValue::from_str(begin.url.as_str()), HeaderValue::from_str(&cookie))
            {
                headers.insert(LOCATION, there);
                headers.insert(SET_COOKIE, cookie);
            }
            if let Ok(cookie) = HeaderValue::from_str(&wanted_cookie(wanted(&to), 600)) {
                headers.append(SET_COOKIE, cookie);
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
    if let Err(problem) = slow_down_from(&app, &visitor) {
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
        Ok(session) => {
            let to = crate::who::cookie(&headers, WANTED).map(percent_decode_str);
            let to = to.map(|to| to.decode_utf8_lossy().into_owned()).unwrap_or_default();
            let mut response = see_other(wanted(&to), Some(&session_cookie(&app, Some(&session))));
            // What was kept for the way there and back has done its work.
            let gone = format!("{AT_PROVIDER}=; Path=/sign-in; Max-Age=0; HttpOnly; SameSite=Lax");
            for gone in [gone, wanted_cookie("", 0)] {
                if let Ok(gone) = HeaderValue::from_str(&gone) {
                    response.headers_mut().append(SET_COOKIE, gone);
                }
            }
            response
        }
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
            show_public(status, &page)
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
    if let Err(problem) = check_page(&headers).and_then(|()| slow_down_from(&app, &visitor)) {
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
            invited(&app, secret, Some(sentence(problem.detail())), status).await
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn signing_in_leads_to_pages_of_ours_alone() {
        let kept = ["/", "/conversations/a%20b?source=x&leaf=3", "/s/abc"];
        for to in kept {
            assert_eq!(wanted(to), to);
        }
        let others = [
            "",
            "https://evil.example",
            "//evil.example",
            "/\\evil.example",
            "/a\r\nb",
            "/\t/x",
            "x",
        ];
        for to in others {
            assert_eq!(wanted(to), "/", "{to}");
        }
    }
}
