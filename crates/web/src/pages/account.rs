//! Signing in and out, and taking an invitation.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::header::LOCATION;
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use percent_encoding::{NON_ALPHANUMERIC, percent_decode_str, utf8_percent_encode};
use retort_service::ThroughProvider;
use serde::Deserialize;

use super::display::sentence;
use super::frame::OTHER_SESSION;
use super::response::{see_other, set_cookie, show, show_public, status_of, trouble};
use super::taken::{Form, Query};
use crate::api::account::{known_from, slow_down, slow_down_from};
use crate::app::App;
use crate::problem::Problem;
use crate::who::{
    Visitor, check_page, cookie, cookie_name, csrf_of, is_token, masked, session_cookie,
};

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/sign-in", get(sign_in_page).post(sign_in))
        .route("/sign-in/link", get(link_page).post(sign_in_by_link))
        .route("/sign-in/provider", get(begin_at_provider))
        .route("/sign-in/callback", get(back_from_provider))
        .route("/sign-in/confirm", post(confirm_identity))
        .route("/sign-out", post(sign_out))
        .route("/invitation", get(invitation_page).post(take_invitation))
        .route("/invitation/open", post(open_invitation))
        .route("/invitation/join", post(join))
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
    let (name, to, address) = (form.name.clone(), form.to.clone(), visitor.address);
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
        Ok(session) => {
            known_from(&app, &name, address);
            see_other(wanted(&to), Some(&session_cookie(&app, Some(&session))))
        }
        Err(problem) => {
            let status = status_of(Some(&problem));
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

/// The page to which a link with a secret leads. The secret comes after the `#` of the address, which browsers send
/// to nobody; a script puts it into the form and takes it out of the address, and without scripts people do.
#[derive(Template)]
#[template(path = "link.html")]
struct LinkPage {
    title: &'static str,
    text: &'static str,
    action: &'static str,
    button: &'static str,
    /// Whether the script sends the form at once: it only looks at something.
    only_looks: bool,
}

/// Looking at the link does not use it up: what a mail program or a browser looks at beforehand stays usable.
async fn link_page() -> Response {
    let page = LinkPage {
        title: "Sign in",
        text: "Sign in to Retort on this computer. The link works once.",
        action: "/sign-in/link",
        button: "Sign in",
        only_looks: false,
    };
    show(StatusCode::OK, &page)
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

/// The secret of the session that a form was sent from, or what to answer where it was sent from none.
fn session_of_form(app: &App, headers: &HeaderMap, csrf: &str) -> Result<String, Box<Response>> {
    let Some(session) = cookie(headers, cookie_name(app)) else {
        return Err(Box::new(see_other("/sign-in", None)));
    };
    if !is_token(csrf, &csrf_of(session)) {
        return Err(Box::new(trouble(&Problem::forbidden(OTHER_SESSION))));
    }
    Ok(session.to_owned())
}

async fn sign_out(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(form): Form<WithCsrf>,
) -> Response {
    let secret = match session_of_form(&app, &headers, &form.csrf) {
        Ok(session) => session,
        Err(answer) => return *answer,
    };
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

/// The cookie that says which session asked to connect the provider's sign-in to its account.
const CONNECTING: &str = "retort-connecting";

#[derive(Default, Deserialize)]
#[serde(default)]
struct ToProvider {
    to: String,
    /// Whether the sign-in is to be connected to the account of who asked for it in the settings.
    connect: bool,
}

async fn begin_at_provider(
    State(app): State<App>,
    Query(ToProvider { to, connect }): Query<ToProvider>,
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
            if let Ok(there) = HeaderValue::from_str(begin.url.as_str()) {
                headers.insert(LOCATION, there);
            }
            set_cookie(&mut headers, &cookie);
            set_cookie(&mut headers, &wanted_cookie(wanted(&to), 600));
            if !connect {
                set_cookie(&mut headers, &connecting_cookie("", 0));
            }
            (StatusCode::SEE_OTHER, headers).into_response()
        }
        Err(error) => {
            tracing::warn!(cause = %error, "signing in through the provider could not begin");
            trouble(&Problem::unavailable(error.for_people(), std::time::Duration::from_secs(10)))
        }
    }
}

/// Notes that the session of this token wants to connect the provider's sign-in; with 0 seconds that is forgotten.
pub(super) fn connecting_cookie(token: &str, seconds: u32) -> String {
    format!("{CONNECTING}={token}; Path=/sign-in; Max-Age={seconds}; HttpOnly; SameSite=Lax")
}

/// The session that asked to connect the provider's sign-in, if this way back is its own.
fn connecting_session(app: &App, headers: &HeaderMap) -> Option<String> {
    let session = cookie(headers, cookie_name(app))?;
    let token = cookie(headers, CONNECTING)?;
    is_token(token, &csrf_of(session)).then(|| session.to_owned())
}

/// What the way back from a provider came to.
enum Came {
    Connected,
    Through(ThroughProvider),
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
    let keep = cookie(&headers, AT_PROVIDER).unwrap_or_default();
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
    let trusts_email = oidc.trusts_email();
    let connecting = connecting_session(&app, &headers);
    let came_to = app
        .call(move |service| {
            let identity = retort_service::Identity {
                issuer: &verified.issuer,
                subject: &verified.subject,
                email: verified.email.as_deref(),
                email_verified: verified.email_verified,
                trusts_email,
            };
            let signed = match connecting {
                Some(session) => service.by_session(&session)?,
                None => None,
            };
            match signed {
                Some(signed) => service
                    .connect_identity(&signed, &identity, &visitor.origin)
                    .map(|()| Came::Connected),
                None => service.sign_in_by_identity(&identity, &visitor.origin).map(Came::Through),
            }
        })
        .await;
    let to = cookie(&headers, WANTED).map(percent_decode_str);
    let to = to.map(|to| to.decode_utf8_lossy().into_owned()).unwrap_or_default();
    let mut response = match came_to {
        Ok(Came::Connected) => see_other("/settings?connected=true", None),
        Ok(Came::Through(ThroughProvider::SignedIn(session))) => {
            see_other(wanted(&to), Some(&session_cookie(&app, Some(&session))))
        }
        Ok(Came::Through(ThroughProvider::Confirm { secret, name, takes_password })) => {
            let page = ConfirmPage { secret, to, name, takes_password, trouble: None };
            show_public(StatusCode::OK, &page)
        }
        Ok(Came::Through(ThroughProvider::Unknown(unknown))) => {
            tracing::warn!(cause = unknown.reason(), "signing in through the provider was refused");
            trouble(&Problem::from(retort_service::Error::from(unknown)))
        }
        Err(problem) => trouble(&problem),
    };
    // What was kept for the way there and back has done its work.
    let gone = format!("{AT_PROVIDER}=; Path=/sign-in; Max-Age=0; HttpOnly; SameSite=Lax");
    for gone in [gone, wanted_cookie("", 0), connecting_cookie("", 0)] {
        set_cookie(response.headers_mut(), &gone);
    }
    response
}

/// Asks whether an account that is there already is the person's.
#[derive(Template)]
#[template(path = "confirm.html")]
struct ConfirmPage {
    secret: String,
    /// Where the person wanted to go.
    to: String,
    name: String,
    takes_password: bool,
    trouble: Option<String>,
}

#[derive(Deserialize)]
struct Confirmed {
    secret: String,
    #[serde(default)]
    password: String,
    #[serde(default)]
    to: String,
}

async fn confirm_identity(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(form): Form<Confirmed>,
) -> Response {
    if let Err(problem) = check_page(&headers) {
        return trouble(&problem);
    }
    let secret = form.secret.clone();
    let account = match app.call(move |service| service.identity_to_confirm(&secret)).await {
        Ok(account) => account,
        Err(problem) => return trouble(&problem),
    };
    let (name, takes_password) = (account.0.name, account.1);
    let (secret, to) = (form.secret.clone(), form.to.clone());
    let session = match slow_down(&app, &name, &visitor) {
        Ok(()) => {
            let origin = visitor.origin;
            app.call_with_password(move |service| {
                service.confirm_identity(&form.secret, Some(&form.password), &origin)
            })
            .await
        }
        Err(problem) => Err(problem),
    };
    match session {
        Ok(session) => see_other(wanted(&to), Some(&session_cookie(&app, Some(&session)))),
        Err(problem) => {
            let trouble = Some(sentence(problem.detail()));
            let page = ConfirmPage { secret, to, name, takes_password, trouble };
            show_public(status_of(Some(&problem)), &page)
        }
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
    /// The person who is signed in, and their form's token.
    here: Option<(String, String)>,
    trouble: Option<String>,
}

async fn invitation_page() -> Response {
    let page = LinkPage {
        title: "Invitation",
        text: "This link invites you to a project.",
        action: "/invitation/open",
        button: "Open the invitation",
        only_looks: true,
    };
    show(StatusCode::OK, &page)
}

async fn open_invitation(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(form): Form<WithSecret>,
) -> Response {
    if let Err(problem) = check_page(&headers).and_then(|()| slow_down_from(&app, &visitor)) {
        return trouble(&problem);
    }
    invited(&app, &headers, form.secret, None).await
}

async fn invited(
    app: &App,
    headers: &HeaderMap,
    secret: String,
    problem: Option<Problem>,
) -> Response {
    let session = cookie(headers, cookie_name(app)).map(str::to_owned);
    let csrf = session.as_deref().map(csrf_of);
    let asked = secret.clone();
    let found = app.call(move |service| {
        let signed = match session {
            Some(session) => service.by_session(&session)?,
            None => None,
        };
        Ok((service.invitation(&asked)?, signed.map(|signed| signed.person().name.clone())))
    });
    match found.await {
        Ok(((project, invitation), person)) => {
            let status = status_of(problem.as_ref());
            let page = InvitationPage {
                secret,
                project: project.name,
                role: invitation.role.to_string(),
                name: invitation.name,
                here: person.zip(csrf.as_deref().map(masked)),
                trouble: problem.map(|problem| sentence(problem.detail())),
            };
            show_public(status, &page)
        }
        Err(gone) => trouble(&gone),
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
        Err(problem) => invited(&app, &headers, secret, Some(problem)).await,
    }
}

#[derive(Deserialize)]
struct Joining {
    secret: String,
    csrf: String,
}

/// Takes an invitation as who is signed in.
async fn join(
    State(app): State<App>,
    visitor: Visitor,
    headers: HeaderMap,
    Form(form): Form<Joining>,
) -> Response {
    let session = match session_of_form(&app, &headers, &form.csrf) {
        Ok(session) => session,
        Err(answer) => return *answer,
    };
    let (origin, secret) = (visitor.origin, form.secret.clone());
    let joined = app.call(move |service| match service.by_session(&session)? {
        Some(signed) => service.accept(&signed, &form.secret, &origin).map(|()| true),
        None => Ok(false),
    });
    match joined.await {
        Ok(true) => see_other("/", None),
        Ok(false) => see_other("/sign-in", None),
        Err(problem) => invited(&app, &headers, secret, Some(problem)).await,
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
