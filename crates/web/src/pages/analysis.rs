//! What the conversations of a filter are like, drawn and in numbers.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use retort_model::{ConversationFilter, ItemKind, Status};
use retort_service::{Analysis, Counts};
use serde::Deserialize;

use super::display::count;
use super::filtering::Filtering;
use super::frame::{Frame, Posted, Visit};
use super::response::{see_other, show, trouble};
use super::taken::Query;
use crate::app::App;
use crate::problem::Problem;
use crate::wire;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/analysis", get(analysis)).route("/analysis/download", post(download))
}

/// A figure: bars, and their numbers as a table.
struct Figure {
    title: &'static str,
    about: String,
    bars: Vec<Bar>,
    width: usize,
}

/// One bar, in the units of the drawing.
struct Bar {
    name: String,
    number: String,
    share: String,
    x: usize,
    y: usize,
    height: usize,
}

/// The drawing's height, the width of a bar, and the gap behind it.
const HEIGHT: usize = 120;
const BAR: usize = 20;
const GAP: usize = 6;

#[allow(
    clippy::cast_possible_truncation,
    clippy::cast_precision_loss,
    clippy::cast_sign_loss,
    reason = "heights of bars"
)]
fn figure(title: &'static str, about: impl Into<String>, counts: &Counts) -> Option<Figure> {
    let most = counts.iter().map(|(_, number)| *number).max().filter(|&most| most > 0)?;
    let total: u64 = counts.iter().map(|(_, number)| number).sum();
    let bars = counts.iter().enumerate().map(|(index, (name, number))| {
        let height = (*number as f64 / most as f64 * HEIGHT as f64).ceil() as usize;
        Bar {
            name: name.clone(),
            number: count(*number),
            share: format!("{:.1} %", *number as f64 * 100.0 / total as f64),
            x: index * (BAR + GAP),
            y: HEIGHT - height,
            height,
        }
    });
    let width = counts.len() * (BAR + GAP);
    Some(Figure { title, about: about.into(), bars: bars.collect(), width })
}

#[derive(Template)]
#[template(path = "analysis.html")]
struct Page {
    frame: Frame,
    filtering: Filtering<ConversationFilter>,
    total: String,
    messages: String,
    figures: Vec<Figure>,
    bar: usize,
    height: usize,
    /// What a download of everything leaves out.
    deleted: u64,
    deleted_shown: String,
}

async fn analysis(
    State(app): State<App>,
    visit: Visit,
    Query(filtering): Query<Filtering<ConversationFilter>>,
) -> Response {
    let frame = visit.frame("analysis");
    let filter = match filtering.filter() {
        Ok(filter) => filter,
        Err(problem) => return trouble(&problem),
    };
    let is_admin = frame.is_admin;
    let seen = app.call(move |service| {
        let deleted =
            ConversationFilter { statuses: vec![Status::Deleted], ..ConversationFilter::default() };
        let deleted = if is_admin { service.count(&visit.caller, &deleted)? } else { 0 };
        Ok((service.analysis(&visit.caller, &filter)?, deleted))
    });
    let (found, deleted) = match seen.await {
        Ok(seen) => seen,
        Err(problem) => return trouble(&problem),
    };
    let page = Page {
        frame,
        filtering,
        total: count(found.total),
        messages: count(found.messages),
        figures: figures(&found),
        bar: BAR,
        height: HEIGHT,
        deleted,
        deleted_shown: count(deleted),
    };
    show(StatusCode::OK, &page)
}

/// What a download of everything leaves open.
#[derive(Debug, Deserialize)]
struct Everything {
    file_format: String,
    #[serde(default)]
    deleted: Option<String>,
}

/// Exports everyone's conversations under a name that is free, and hands them over when they are written.
async fn download(State(app): State<App>, Posted { visit, form }: Posted<Everything>) -> Response {
    let asked = app.call(move |service| {
        let caller = &visit.caller;
        let name = service.free_name(caller, "conversation_history")?;
        Ok(wire::Making::history(Some(&form.file_format))
            .and_then(|making| making.plan(&name, ItemKind::Conversation))
            .map(|plan| service.export_project(caller, plan, form.deleted.is_some())))
    });
    match asked.await {
        Ok(Ok(Ok(id))) => see_other(&format!("/exports/{id}?hand=over"), None),
        Ok(Ok(Err(error))) => trouble(&Problem::from(error)),
        Ok(Err(problem)) | Err(problem) => trouble(&problem),
    }
}

fn figures(found: &Analysis) -> Vec<Figure> {
    let undated = match found.undated {
        0 => String::new(),
        number => format!("{} without a date are not shown", count(number)),
    };
    let read = &found.read;
    let recent = format!("{} most recent", count(read.conversations));
    let tokens = format!(
        "{recent}; {} report tokens ({} in, {} out)",
        count(read.with_tokens),
        count(read.input_tokens),
        count(read.output_tokens)
    );
    [
        figure("Over time", undated, &found.months),
        figure("Type", "", &found.kinds),
        figure("Status", "", &found.statuses),
        figure("Model", "", &found.models),
        figure("Tag", "a conversation may have several", &found.tags),
        figure("Length in messages", "", &found.lengths),
        figure("Length in tokens", tokens, &read.tokens),
        figure("Feedback", format!("on answers, {recent}"), &read.feedback),
    ]
    .into_iter()
    .flatten()
    .collect()
}
