//! What stands around every screen of someone who signed in: who they are, in which project, and where they can go.

use axum::extract::{FromRequest, FromRequestParts, Request};
use axum::http::header::ACCEPT;
use axum::http::request::Parts;
use axum::http::{HeaderMap, Method};
use axum::response::Response;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use retort_model::ProjectRole;
use retort_model::bounds::REQUEST_BYTES;
use retort_service::{Caller, Signed};
use serde::Deserialize;
use serde::de::DeserializeOwned;

use super::response::{see_other, trouble};
use super::taken::form;
use crate::app::App;
use crate::extract::{FORM, is_form, whole_body};
use crate::problem::Problem;
use crate::who::{Authenticated, base, check_page, cookie, is_token, masked};

/// The cookie that remembers the project.
pub(super) const PROJECT: &str = "retort-project";

/// What is said of a form that a page of another session sent.
pub(super) const OTHER_SESSION: &str = "Your session has changed. Reload the page.";

/// Whether a page's script asks, and not the browser itself.
pub(super) fn wants_json(headers: &HeaderMap) -> bool {
    headers.get(ACCEPT).is_some_and(|kind| kind == "application/json")
}

/// Someone who looks at a page.
pub(super) struct Visit {
    pub(super) caller: Caller,
    /// Who is signed in, in any project.
    pub(super) signed: Signed,
    projects: Vec<String>,
    /// The session's token against requests of other pages; empty where a proxy vouches for the person.
    pub(super) csrf: String,
    base: String,
}

/// What templates show around a screen.
pub(super) struct Frame {
    /// The person who is signed in.
    pub(super) person: String,
    /// The project that they look at.
    pub(super) project: String,
    /// The others.
    pub(super) projects: Vec<String>,
    /// Whether they administer it.
    pub(super) is_admin: bool,
    /// Whether they own it.
    pub(super) is_owner: bool,
    /// What every form carries.
    pub(super) csrf: String,
    /// What links to copy begin with.
    pub(super) base: String,
    /// The screen, as the navigation knows it.
    pub(super) here: &'static str,
}

impl Frame {
    /// A path of ours as a link that can be sent to someone.
    pub(super) fn absolute(&self, path: &str) -> String {
        format!("{}{path}", self.base)
    }
}

impl Visit {
    /// Whether a form with that token was sent from a page of this session.
    pub(super) fn is_own(&self, headers: &HeaderMap, token: Option<&str>) -> bool {
        match self.csrf.as_str() {
            // A proxy vouches for them: there is no session whose token a form could carry.
            "" => check_page(headers).is_ok(),
            own => token.is_some_and(|token| is_token(token, own)),
        }
    }

    /// The frame of a screen.
    pub(super) fn frame(&self, here: &'static str) -> Frame {
        Frame {
            person: self.caller.name().to_owned(),
            project: self.caller.project().name.clone(),
            projects: self.projects.clone(),
            is_admin: self.caller.role() >= ProjectRole::Admin,
            is_owner: self.caller.role() == ProjectRole::Owner,
            csrf: masked(&self.csrf),
            base: self.base.clone(),
            here,
        }
    }
}

impl FromRequestParts<App> for Visit {
    /// The way to the page to sign in, or what is wrong as a page.
    type Rejection = Response;

    async fn from_request_parts(parts: &mut Parts, app: &App) -> Result<Self, Response> {
        let who = match Authenticated::of(parts, app).await {
            Err(problem) if problem.kind().status == 401 => {
                return Err(see_other(&sign_in(parts), None));
            }
            who => who.map_err(|problem| trouble(&problem))?,
        };
        let wanted = cookie(&parts.headers, PROJECT).map(decoded);
        let (signed, origin) = (who.signed.clone(), who.origin);
        let found = app.call(move |service| {
            let projects: Vec<String> =
                service.projects_of(&signed)?.into_iter().map(|(one, _)| one.name).collect();
            let wanted = wanted.filter(|name| projects.contains(name));
            let project = wanted.or_else(|| projects.first().cloned());
            let caller = service.caller(&signed, project.as_deref(), origin)?;
            Ok((caller, projects))
        });
        let (caller, projects) = match found.await {
            Err(problem) if problem.kind().status == 404 => {
                let text = "you are in no project; ask an owner for an invitation";
                return Err(trouble(&Problem::forbidden(text)));
            }
            found => found.map_err(|problem| trouble(&problem))?,
        };
        let csrf = who.csrf.unwrap_or_default();
        Ok(Self { caller, signed: who.signed, projects, csrf, base: base(parts, app) })
    }
}

/// The page to sign in, from which the way leads back to what was asked for.
fn sign_in(parts: &Parts) -> String {
    match parts.uri.path_and_query().map(axum::http::uri::PathAndQuery::as_str) {
        Some(asked) if parts.method == Method::GET && parts.uri.path() != "/" => {
            format!("/sign-in?to={}", utf8_percent_encode(asked, NON_ALPHANUMERIC))
        }
        _ => "/sign-in".to_owned(),
    }
}

fn decoded(text: &str) -> String {
    percent_encoding::percent_decode_str(text).decode_utf8_lossy().into_owned()
}

/// A form that holds nothing but its token.
#[derive(Debug, Deserialize)]
pub(super) struct Nothing {}

/// A form that someone sent from a page of ours.
pub(super) struct Posted<T> {
    pub(super) visit: Visit,
    pub(super) form: T,
}

impl<T: DeserializeOwned> FromRequest<App> for Posted<T> {
    type Rejection = Response;

    async fn from_request(request: Request, app: &App) -> Result<Self, Response> {
        let (mut parts, body) = request.into_parts();
        let visit = Visit::from_request_parts(&mut parts, app).await?;
        if !is_form(&parts.headers) {
            return Err(trouble(&Problem::unsupported_media_type(FORM)));
        }
        let headers = parts.headers.clone();
        let body = whole_body(Request::from_parts(parts, body), REQUEST_BYTES).await;
        let body = body.map_err(|problem| trouble(&problem))?;
        let csrf = url::form_urlencoded::parse(&body).find(|(key, _)| key == "csrf");
        let token = csrf.map(|(_, value)| value);
        let is_own = visit.is_own(&headers, token.as_deref());
        if !is_own {
            return Err(trouble(&Problem::forbidden(OTHER_SESSION)));
        }
        let form = form(&body).map_err(|problem| trouble(&problem))?;
        Ok(Self { visit, form })
    }
}
