//! The description of the API to read, and what its problems mean.

use askama::Template;
use axum::Router;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use utoipa::openapi::OpenApi;

use super::display::quoted;
use super::message::Message;
use super::response::{show_public, trouble};
use super::taken::Path;
use crate::app::App;
use crate::problem::{PROBLEMS, Problem};

pub(super) fn routes(description: &OpenApi) -> Router<App> {
    let api = Api::of(description);
    Router::new()
        .route("/api", get(move || async move { show_public(StatusCode::OK, &api) }))
        .route("/problems/{slug}", get(problem_page))
}

async fn problem_page(Path(slug): Path<String>) -> Response {
    match PROBLEMS.iter().find(|kind| kind.slug == slug) {
        Some(kind) => {
            let message = Message {
                title: format!("{} · {}", kind.status, kind.title),
                texts: vec![kind.remedy.to_owned()],
                ways: vec![("All problems", "/api#problems".into())],
                request: String::new(),
            };
            message.show(StatusCode::OK)
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
                    about: quoted(&text("description")),
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
        let about = quoted(description.info.description.as_deref().unwrap_or_default());
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
        .map(|one| (text(one, "name"), text(one, "in"), quoted(&text(one, "description"))))
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
