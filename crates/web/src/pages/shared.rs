//! The public page of a shared conversation.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use retort_service::Shared;
use serde::Deserialize;

use super::conversation::{self, Shown};
use super::display::{date, sentence};
use super::paging::Paging;
use super::records::Room;
use super::response::{set_cookie, show_public, trouble};
use super::taken::{Form, Path, Query};
use crate::api::shared::{Knock, open_with, proof_name};
use crate::app::App;
use crate::who::Visitor;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/s/{link}", get(shared_page).post(open_shared))
}

#[derive(Template)]
#[template(path = "shared.html")]
struct SharedPage {
    title: String,
    kind: String,
    model: Option<String>,
    created_at: Option<(String, String)>,
    shown: Shown,
    paging: Paging,
    files: Vec<(String, String, String)>,
    is_masked: bool,
    link: String,
}

#[derive(Template)]
#[template(path = "locked.html")]
struct Locked {
    link: String,
    trouble: Option<String>,
}

/// Which branch is shown, and which part of it.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Part {
    leaf: Option<usize>,
    /// How many messages of the branch are on the pages before.
    after: usize,
}

async fn shared_page(
    State(app): State<App>,
    knock: Knock,
    Path(link): Path<String>,
    Query(part): Query<Part>,
) -> Response {
    match knock.open(&app, link.clone()).await {
        Ok(shared) => shown(&app, link, part, shared).await,
        Err(problem) if problem.kind().status == 401 => {
            show_public(StatusCode::UNAUTHORIZED, &Locked { link, trouble: None })
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
            let mut response = shown(&app, link, Part::default(), shared).await;
            set_cookie(response.headers_mut(), &cookie);
            response
        }
        Err(problem) if problem.kind().status == 401 => {
            let trouble = Some(sentence(problem.detail()));
            show_public(StatusCode::UNAUTHORIZED, &Locked { link, trouble })
        }
        Err(problem) => trouble(&problem),
    }
}

async fn shown(app: &App, link: String, part: Part, shared: Shared) -> Response {
    let seen = app.answer(move |_| {
        let Part { leaf, after } = part;
        let files = shared.files()?;
        let (excerpt, masked) = shared.excerpt(leaf, after)?;
        let conversation = excerpt.conversation(&shared.summary)?;
        let (address, room) = (format!("/s/{link}"), &mut Room::of_page());
        let shown = conversation::shown((&conversation, &excerpt), leaf, &|_| None, address, room);
        let files = (0..).zip(&files).map(|(number, file): (usize, _)| {
            let size = format!("{} kB", file.bytes.div_ceil(1000));
            (file.name.clone(), size, format!("/api/v1/shared/{link}/files/{number}"))
        });
        let page = SharedPage {
            title: shared.summary.title.clone().unwrap_or_else(|| "Conversation".into()),
            kind: shared.summary.kind.to_string(),
            model: shared.summary.model.clone(),
            created_at: shared.summary.created_at.map(|time| (time.to_string(), date(time))),
            paging: shown.paging(),
            shown,
            files: files.collect(),
            is_masked: masked > 0,
            link: link.clone(),
        };
        Ok(show_public(StatusCode::OK, &page))
    });
    seen.await.unwrap_or_else(|problem| trouble(&problem))
}
