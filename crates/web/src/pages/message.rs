//! What went wrong, as a page: in plain words, with the navigation for who is signed in, and a way on.

use askama::Template;
use axum::extract::{FromRequestParts, MatchedPath, Request, State};
use axum::http::header::ACCEPT;
use axum::http::request::Parts;
use axum::http::{Method, StatusCode};
use axum::middleware::Next;
use axum::response::Response;

use super::display::sentence;
use super::frame::{Frame, Visit, wants_json};
use super::response::{Shown, permanently, show, show_public};
use crate::app::App;
use crate::problem::{Problem, kinds};
use crate::requests::{HasBody, RequestId};

/// A text to read, and where to go from it.
pub(super) struct Message {
    pub(super) title: String,
    pub(super) texts: Vec<String>,
    /// The words and addresses of the ways on, the likeliest first.
    pub(super) ways: Vec<(&'static str, String)>,
    /// The request's id, where the log says more.
    pub(super) request: String,
}

#[derive(Template)]
#[template(path = "message.html")]
struct Bare {
    message: Message,
}

#[derive(Template)]
#[template(path = "message_framed.html")]
struct Framed {
    frame: Frame,
    message: Message,
}

impl Message {
    /// The message as a page of its own.
    pub(super) fn show(self, status: StatusCode) -> Response {
        show_public(status, &Bare { message: self })
    }
}

/// Renders the problems of pages, and every other that a browser met outside the API.
pub(crate) async fn explain(State(app): State<App>, request: Request, next: Next) -> Response {
    let is_api = request.uri().path().starts_with("/api/");
    let is_script = wants_json(request.headers());
    let is_browser = !is_api && accepts_pages(&request);
    let (parts, body) = request.into_parts();
    let asked = parts.clone();
    if let Some(path) = without_slash(&asked).filter(|_| is_browser) {
        return permanently(&path);
    }
    let mut response = next.run(Request::from_parts(parts, body)).await;
    let is_shown = response.extensions_mut().remove::<Shown>().is_some();
    if !(is_shown && !is_script || is_browser) {
        return response;
    }
    let Some(problem) = response.extensions().get::<Problem>().cloned() else { return response };
    let mut page = render(&app, asked, &problem).await;
    // What a problem asks of the client, such as to wait, it asks beside a page, too.
    for (name, value) in response.headers() {
        page.headers_mut().entry(name).or_insert_with(|| value.clone());
    }
    page.extensions_mut().insert(problem);
    page.extensions_mut().insert(HasBody);
    page
}

fn accepts_pages(request: &Request) -> bool {
    let accept = request.headers().get(ACCEPT).and_then(|value| value.to_str().ok());
    accept.is_some_and(|kinds| kinds.contains("text/html"))
}

/// The address that someone meant who put a slash behind it.
fn without_slash(asked: &Parts) -> Option<String> {
    let path = asked.uri.path();
    let is_unknown = asked.extensions.get::<MatchedPath>().is_none();
    let is_safe = matches!(asked.method, Method::GET | Method::HEAD);
    let trimmed = path.trim_matches('/');
    if !is_unknown || !is_safe || trimmed.is_empty() || !path.ends_with('/') {
        return None;
    }
    let query = asked.uri.query().map(|query| format!("?{query}")).unwrap_or_default();
    Some(format!("/{trimmed}{query}"))
}

async fn render(app: &App, mut asked: Parts, problem: &Problem) -> Response {
    let kind = problem.kind();
    let status = StatusCode::from_u16(kind.status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let id = asked.extensions.get::<RequestId>().map(|id| id.as_str().to_owned());
    // A server that cannot answer now is not asked more.
    let is_overloaded = matches!(kind.status, 429 | 503);
    let visit =
        if is_overloaded { None } else { Visit::from_request_parts(&mut asked, app).await.ok() };
    let mut texts = vec![sentence(problem.detail())];
    if std::ptr::eq(kind, &kinds::NOT_FOUND) && asked.extensions.get::<MatchedPath>().is_some() {
        texts = vec![format!(
            "{}, or you don't have access to it.",
            texts.concat().trim_end_matches('.')
        )];
    }
    if kind.status >= 500 {
        texts.push(kind.remedy.to_owned());
    }
    let message = Message {
        title: kind.title.to_owned(),
        texts,
        ways: ways(asked.uri.path(), visit.is_some()),
        request: id.filter(|_| kind.status >= 500).unwrap_or_default(),
    };
    match visit {
        Some(visit) => show(status, &Framed { frame: visit.frame(""), message }),
        None => message.show(status),
    }
}

/// Where to go from an address at which something went wrong.
fn ways(path: &str, is_signed_in: bool) -> Vec<(&'static str, String)> {
    let places = [
        (["/export", "/conversations"], "Export Manager", "/export"),
        (["/datasets", "/exports"], "Datasets", "/datasets"),
        (["/copilots", "/copilots"], "Copilots", "/copilots"),
        (["/recipes", "/recipes"], "Recipes", "/recipes"),
        (["/applications", "/applications"], "Applications", "/applications"),
        (["/documents", "/documents"], "Documents", "/documents"),
        (["/analysis", "/analysis"], "Analysis", "/analysis"),
        (["/imports", "/import"], "Import", "/import"),
        (["/project", "/shares"], "Project", "/project"),
    ];
    let begins = |place: &str| {
        path.strip_prefix(place).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    if !is_signed_in {
        return if begins("/s") { Vec::new() } else { vec![("Sign in", "/sign-in".into())] };
    }
    let near = places.iter().filter(|(places, _, _)| places.iter().any(|place| begins(place)));
    let near = near.map(|(_, words, to)| (*words, (*to).to_owned()));
    near.chain([("Home", "/".to_owned())]).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slash_too_many_leads_to_the_address_without_it_and_never_elsewhere() {
        let asked = |uri: &str| Request::builder().uri(uri).body(()).unwrap().into_parts().0;
        for (uri, to) in [
            ("/documents/", Some("/documents")),
            ("/documents/?a=b", Some("/documents?a=b")),
            ("//evil.example/", Some("/evil.example")),
            ("/", None),
            ("//", None),
            ("/documents", None),
        ] {
            assert_eq!(without_slash(&asked(uri)).as_deref(), to, "{uri}");
        }
    }

    #[test]
    fn every_place_has_a_way_on() {
        assert_eq!(ways("/datasets/7", true)[0], ("Datasets", "/datasets".into()));
        assert_eq!(ways("/conversations/x", true)[0].1, "/export");
        assert_eq!(ways("/nowhere", true), [("Home", "/".into())]);
        assert_eq!(ways("/datasets/7", false), [("Sign in", "/sign-in".into())]);
        assert_eq!(ways("/s/link", false), []);
    }
}
