//! One run, with every node that it passed.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use retort_json::{RawJson, Text};
use retort_model::{Feedback, Fields, NodeRun, Run, RunFilter, RunSource, canonical};
use retort_service::RunSummary;
use serde::Deserialize;

use super::addresses::{list_at, queue_of, run_in};
use super::arrangement::Arrangement;
use super::columns::Runs;
use super::datasets::{Traced, traced};
use super::display::{bytes, count, moment, several, status_class, took};
use super::filter_form::FilterForm;
use super::flows::{Words, path, words};
use super::frame::{Frame, Visit};
use super::history::toggled;
use super::judged::{Judge, Judging, rated, said_of};
use super::paging::Paging;
use super::records::{Room, context, cut, pretty};
use super::response::{see_other, show, trouble};
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
    Router::new()
        .route("/runs/{id}", get(named_run))
        .merge(copilots)
        .merge(recipes)
        .merge(applications)
}

/// Goes to a run that is named by its id alone.
async fn named_run(State(app): State<App>, visit: Visit, Path(id): Path<String>) -> Response {
    let found = app.call(move |service| service.run(&visit.caller, &id, (None, None)));
    match found.await {
        Ok((run, _)) => see_other(&run_in(None, &run, ""), None),
        Err(problem) => trouble(&problem),
    }
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
    /// What was asked and answered, and what is known beside that.
    asked: Vec<Field>,
    fields: Vec<Field>,
    /// Who said what of the answer, corrections of it with their authors, and what the visitor may say of it.
    judged: Vec<(String, String)>,
    corrections: Vec<(String, String)>,
    judge: Judge,
    judging: Judging,
    /// The URLs of the previous run in the list to return to, and of the next one in that list or in the queue.
    before: Option<String>,
    onward: Option<String>,
    /// Whether it is selected in the list, and the URL that changes this.
    selecting: Option<(bool, String)>,
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
    /// The queue that one goes through to judge.
    queue: String,
    /// The answer, if everything can be said of it: `0:0`.
    at: Option<String>,
    /// The run of the queue that was judged just now.
    judged: String,
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
        let (told, fields) = fields_of(&run);
        told.iter().chain(&fields).for_each(|field| _ = room.take(&field.text));
        let corrections = run.corrections().map(|(text, one)| {
            let by = one.by.as_ref().map(|by| by.decoded().into_owned()).unwrap_or_default();
            (by, cut(&text.decoded()))
        });
        let corrections: Vec<_> = corrections.take_while(|(_, text)| room.take(text)).collect();
        let queue = queue_of(&asked.queue);
        let filter = RunFilter {
            source: Some(source),
            flow: Some(flow.clone()),
            ..FilterForm::<RunFilter>::at(&asked.from)
        };
        let order = Arrangement::<Runs>::order_at(&asked.from);
        let around = service.run_neighbours(&visit.caller, &filter, order, &summary)?;
        let [before, mut onward] =
            around.map(|one| one.as_ref().map(|one| run_in(queue, one, &asked.from)));
        let mut judging = Judging {
            action: format!("{}/judge", run_path(&summary)),
            hidden: vec![("from", asked.from.clone())],
            last: "Answer",
            ..Judging::default()
        };
        if let Some(queue) = queue {
            let caller = &visit.caller;
            let next = service.next_run_to_judge(caller, &filter, queue, Some(&summary))?;
            let next_path = |one: &RunSummary| run_in(Some(queue), one, &asked.from);
            onward = next.next.filter(|one| one.id != summary.id).as_ref().map(next_path);
            judging.left = Some(count(next.left));
            judging.hidden.push(("queue", queue.as_str().to_owned()));
            if !asked.judged.is_empty() {
                let before = RunSummary { id: asked.judged.clone(), ..summary.clone() };
                judging.before = next_path(&before);
            }
        }
        let here = run_in(queue, &summary, &asked.from);
        let selecting = toggled(&asked.from, &summary.id)
            .map(|(is_on, from)| (is_on, run_in(queue, &summary, &from)));
        let more =
            |at: &str| format!("{here}&at={}#m-0-0", utf8_percent_encode(at, NON_ALPHANUMERIC));
        let mut judge = Judge::of_run(&run, visit.caller.name(), asked.at.as_deref(), &more);
        judging.take_last(&judge);
        judging.take_open(&mut judge, || service.labels_used(&visit.caller))?;
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
        let address = here;
        let (bars, spans_left) = waterfall(&run.nodes);
        let here_to = next.unwrap_or(run.nodes.len());
        let spans = bars.into_iter().map(|bar| {
            let place = bar.place;
            let is_here = (asked.after..here_to).contains(&place);
            let path = match is_here {
                true => format!("#node-{place}"),
                false => format!("{address}&after={place}#node-{place}"),
            };
            Span { bar, path }
        });
        let page = Whole {
            spans: spans.collect(),
            spans_left,
            paging: Paging::of(&address, asked.after == 0, next),
            frame,
            datasets: traced(service, &visit, &summary.id)?,
            path: list_at(&path(source, &flow), &asked.from),
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
            asked: told,
            fields,
            judged: said_of(&run.judgements),
            corrections,
            judge,
            judging,
            before,
            onward,
            selecting,
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

/// What was asked and answered, and what is known beside that.
fn fields_of(run: &Run<'_>) -> (Vec<Field>, Vec<Field>) {
    // The judgements say it, if there are any.
    let unjudged = run.feedback.as_deref().filter(|_| run.judgements.is_empty());
    let told = named([
        ("Question", shown(run.question.as_ref())),
        ("Inputs", json(run.inputs.as_ref())),
        ("Answer", shown(run.answer.as_ref())),
        ("Error", shown(run.error.as_ref())),
    ]);
    let fields = named([
        ("Feedback", feedback(unjudged)),
        ("Ground truth", shown(run.ground_truth.as_ref())),
        ("Metadata", rest(&run.metadata)),
    ]);
    (told, fields)
}

/// The address of a run alone.
fn run_path(run: &RunSummary) -> String {
    let id = utf8_percent_encode(&run.id, NON_ALPHANUMERIC);
    format!("{}/runs/{id}", path(run.source, &run.flow))
}

fn node(node: &NodeRun<'_>, all: &[NodeRun<'_>]) -> Node {
    let usage = &node.usage;
    let tokens = match (usage.input_tokens, usage.output_tokens) {
        (None, None) => String::new(),
        (input, output) => {
            let input = several(input.unwrap_or(0), "token");
            format!("{input} in, {} out", count(output.unwrap_or(0)))
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
