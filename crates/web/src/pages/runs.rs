//! One run, with every node that it passed.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use retort_json::{RawJson, Text};
use retort_model::{Feedback, Fields, NodeRun, Run, RunSource, canonical};
use serde::Deserialize;

use super::datasets::{Traced, traced};
use super::display::{bytes, count, moment, status_class, took};
use super::flows::{Words, path, words};
use super::frame::{Frame, Visit};
use super::judged::rated;
use super::paging::Paging;
use super::records::{Room, context, cut, pretty};
use super::response::{show, trouble};
use super::taken::{Path, Query};
use super::waterfall::{self, waterfall};
use crate::app::App;
use crate::problem::Problem;

pub(super) fn routes() -> Router<App> {
    let copilots = Router::new()
        .route("/copilots/{id}/runs/{run}", get(run))
        .layer(Extension(RunSource::Copilot));
    let recipes = Router::new()
        .route("/recipes/{id}/runs/{run}", get(run))
        .layer(Extension(RunSource::Recipe));
    let applications = Router::new()
        .route("/applications/{id}/runs/{run}", get(run))
        .layer(Extension(RunSource::Application));
    copilots.merge(recipes).merge(applications)
}

/// A named text.
struct Field {
    name: &'static str,
    text: String,
    is_bad: bool,
}

/// A node as the page shows it.
struct Node {
    /// Its position in the run.
    place: usize,
    name: String,
    kind: &'static str,
    status: &'static str,
    class: &'static str,
    model: String,
    took: String,
    tokens: String,
    /// The node that it ran inside.
    inside: String,
    fields: Vec<Field>,
}

/// A node in the drawing, and where its details are.
struct Span {
    bar: waterfall::Bar,
    path: String,
}

#[derive(Template)]
#[template(path = "run.html")]
struct Whole {
    frame: Frame,
    words: Words,
    flow: String,
    path: String,
    id: String,
    /// Where it is as JSON.
    raw: String,
    status: &'static str,
    class: &'static str,
    version: String,
    started: String,
    took: String,
    owner: String,
    thread: String,
    fields: Vec<Field>,
    files: Vec<(String, String)>,
    contexts: Vec<(String, String)>,
    nodes: Vec<Node>,
    /// All nodes as a tree with their times, how many are not in it, and where the details of those on other pages are.
    spans: Vec<Span>,
    spans_left: usize,
    /// The ways to other nodes.
    paging: Paging,
    /// The datasets that it is in, where the visitor may see any.
    datasets: Traced,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    /// The query of the history that one comes from.
    from: String,
    /// How many nodes are on the pages before.
    after: usize,
}

async fn run(
    State(app): State<App>,
    Extension(source): Extension<RunSource>,
    visit: Visit,
    Path((flow, id)): Path<(String, String)>,
    Query(asked): Query<Asked>,
) -> Response {
    let words = words(source);
    let frame = visit.frame(words.place);
    let seen = app.answer(move |service| {
        let (summary, line) = service.run(&visit.caller, &id, (Some(source), Some(&flow)))?;
        let line = String::from_utf8_lossy(&line);
        let run = canonical::read_run(&line).map_err(Problem::internal)?;
        let mut room = Room::of_page();
        let fields = fields_of(&run);
        fields.iter().for_each(|field| _ = room.take(&field.text));
        let files = run.files.iter().map(|file| {
            let name = file.name.as_ref().unwrap_or(&file.uri);
            let about = [
                shown(file.media_type.as_ref()),
                file.size_bytes.map(bytes).unwrap_or_default(),
                cut(&file.uri.decoded()),
            ];
            let about: Vec<_> = about.into_iter().filter(|one| !one.is_empty()).collect();
            (cut(&name.decoded()), about.join(" · "))
        });
        let files = files.take_while(|(name, about)| room.take(name) && room.take(about)).collect();
        let contexts = run.contexts.iter().map(|raw| context(raw.as_str()));
        let contexts = contexts.take_while(|(name, text)| room.take(name) && room.take(text));
        let contexts = contexts.collect();
        // One node is always shown, so that every page leads on.
        let mut nodes: Vec<Node> = Vec::new();
        for (place, one) in run.nodes.iter().enumerate().skip(asked.after) {
            if room.is_full() && !nodes.is_empty() {
                break;
            }
            let node = Node { place, ..node(one, &run.nodes) };
            node.fields.iter().for_each(|field| _ = room.take(&field.text));
            room.take("");
            nodes.push(node);
        }
        let next = asked.after.saturating_add(nodes.len());
        let next = (next < run.nodes.len()).then_some(next);
        let here = utf8_percent_encode(&summary.id, NON_ALPHANUMERIC);
        let mut address = format!("{}/runs/{here}", path(source, &flow));
        if !asked.from.is_empty() {
            let from = utf8_percent_encode(&asked.from, NON_ALPHANUMERIC);
            address.push_str(&format!("?from={from}"));
        }
        let (bars, spans_left) = waterfall(&run.nodes);
        let here_to = next.unwrap_or(run.nodes.len());
        let spans = bars.into_iter().map(|bar| {
            let place = bar.place;
            let is_here = (asked.after..here_to).contains(&place);
            let mark = if address.contains('?') { '&' } else { '?' };
            let path = match is_here {
                true => format!("#node-{place}"),
                false => format!("{address}{mark}after={place}#node-{place}"),
            };
            Span { bar, path }
        });
        let page = Whole {
            spans: spans.collect(),
            spans_left,
            paging: Paging::of(&address, asked.after == 0, next),
            frame,
            datasets: traced(service, &visit, &summary.id)?,
            path: match asked.from.bytes().all(|byte| byte.is_ascii_graphic() && byte != b'#') {
                true if !asked.from.is_empty() => format!("{}?{}", path(source, &flow), asked.from),
                _ => path(source, &flow),
            },
            words,
            raw: format!(
                "/api/v1/runs/{}?source={}&source_id={}",
                utf8_percent_encode(&summary.id, NON_ALPHANUMERIC),
                source.as_str(),
                utf8_percent_encode(&flow, NON_ALPHANUMERIC)
            ),
            flow: summary.flow_name.unwrap_or(summary.flow),
            id: summary.id,
            status: run.status.as_str(),
            class: status_class(run.status),
            version: shown(run.version.as_ref()),
            started: moment(run.started_at),
            took: took(run.started_at, run.finished_at),
            owner: summary.owner.unwrap_or_default(),
            thread: shown(run.thread.as_ref()),
            fields,
            files,
            contexts,
            nodes,
        };
        Ok(show(StatusCode::OK, &page))
    });
    seen.await.unwrap_or_else(|problem| trouble(&problem))
}

fn shown(text: Option<&Text<'_>>) -> String {
    text.map(|text| cut(&text.decoded())).unwrap_or_default()
}

/// A JSON value to be read: a text as it is, anything else with its lines set out.
fn json(raw: Option<&RawJson<'_>>) -> String {
    let text = |raw: &RawJson<'_>| raw.as_text().unwrap_or_else(|| pretty(raw.as_str()));
    raw.map(|raw| cut(&text(raw))).unwrap_or_default()
}

fn feedback(feedback: Option<&Feedback<'_>>) -> String {
    let Some(feedback) = feedback else { return String::new() };
    let parts = [
        rated(json(feedback.rating.as_ref())),
        shown(feedback.label.as_ref()),
        shown(feedback.comment.as_ref()),
    ];
    parts.into_iter().filter(|part| !part.is_empty()).collect::<Vec<_>>().join(" · ")
}

fn rest(metadata: &Fields<'_>) -> String {
    let lines = metadata.iter().map(|(key, raw)| format!("{}: {}", key.decoded(), json(Some(raw))));
    cut(&lines.collect::<Vec<_>>().join("\n"))
}

fn named(fields: impl IntoIterator<Item = (&'static str, String)>) -> Vec<Field> {
    let says = |(_, text): &(&str, String)| !text.is_empty();
    let field = |(name, text)| Field { name, text, is_bad: name == "Error" };
    fields.into_iter().filter(says).map(field).collect()
}

fn fields_of(run: &Run<'_>) -> Vec<Field> {
    named([
        ("Question", shown(run.question.as_ref())),
        ("Inputs", json(run.inputs.as_ref())),
        ("Answer", shown(run.answer.as_ref())),
        ("Error", shown(run.error.as_ref())),
        ("Feedback", feedback(run.feedback.as_deref())),
        ("Ground truth", shown(run.ground_truth.as_ref())),
        ("Metadata", rest(&run.metadata)),
    ])
}

fn node(node: &NodeRun<'_>, all: &[NodeRun<'_>]) -> Node {
    let usage = &node.usage;
    let tokens = match (usage.input_tokens, usage.output_tokens) {
        (None, None) => String::new(),
        (input, output) => {
            format!("{} tokens in, {} out", count(input.unwrap_or(0)), count(output.unwrap_or(0)))
        }
    };
    let cost = node.cost_usd.map(|cost| format!("${cost}"));
    let tokens: Vec<_> =
        [tokens, cost.unwrap_or_default()].into_iter().filter(|one| !one.is_empty()).collect();
    let inside = node.parent.and_then(|parent| all.get(parent));
    Node {
        place: 0,
        name: node.node.decoded().into_owned(),
        kind: node.kind.as_str(),
        status: node.status.as_str(),
        class: status_class(node.status),
        model: shown(node.model.as_ref()),
        took: took(node.started_at, node.finished_at),
        tokens: tokens.join(" · "),
        inside: inside.map(|above| above.node.decoded().into_owned()).unwrap_or_default(),
        fields: named([
            ("Prompt", shown(node.prompt.as_ref())),
            ("Variables", json(node.variables.as_ref())),
            ("Input", json(node.input.as_ref())),
            ("Output", json(node.output.as_ref())),
            ("Error", shown(node.error.as_ref())),
            ("Feedback", feedback(node.feedback.as_deref())),
            ("Ground truth", shown(node.ground_truth.as_ref())),
            ("Metadata", rest(&node.metadata)),
        ]),
    }
}
