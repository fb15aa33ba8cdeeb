//! Two versions of a copilot, recipe or application, by the inputs that both had.

use askama::Template;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use retort_model::{RunFilter, RunSource};
use retort_service::{InputPair, VersionComparison, VersionRun, VersionSide};
use serde::Deserialize;

use super::display::{count, span, status_class};
use super::filter_form::FilterForm;
use super::flows::{Words, path, shown_id, words};
use super::frame::{Frame, Visit};
use super::paging::Paging;
use super::response::{show, trouble};
use super::taken::{Path, Query};
use crate::app::App;

/// Inputs on a page.
const PAGE: usize = 50;

pub(super) fn routes() -> Router<App> {
    let copilots = Router::new()
        .route("/copilots/{id}/versions", get(compare))
        .layer(Extension(RunSource::Copilot));
    let recipes = Router::new()
        .route("/recipes/{id}/versions", get(compare))
        .layer(Extension(RunSource::Recipe));
    let applications = Router::new()
        .route("/applications/{id}/versions", get(compare))
        .layer(Extension(RunSource::Application));
    copilots.merge(recipes).merge(applications)
}

/// The versions to compare; the two with most runs, if none are named.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    first: String,
    second: String,
    after: usize,
}

/// A version to choose: its name, how many runs it has, and whether it is the first or the second of the two.
struct Version {
    name: String,
    about: String,
    is_first: bool,
    is_second: bool,
}

/// What there is of one version.
struct Side {
    version: String,
    /// The list of its runs.
    path: String,
    read: String,
    /// What else there is to say, such as how many runs were left aside.
    notes: Vec<String>,
}

/// An answer to an input.
struct Answer {
    path: String,
    status: &'static str,
    class: &'static str,
    text: String,
    is_bad: bool,
    took: String,
}

/// An input with the answers of both.
struct Row {
    input: String,
    answers: [Answer; 2],
    is_same: bool,
}

#[derive(Template)]
#[template(path = "versions.html")]
struct Page {
    frame: Frame,
    words: Words,
    name: String,
    path: String,
    versions: Vec<Version>,
    /// None if there are no two versions.
    sides: Option<[Side; 2]>,
    both: String,
    same: String,
    different: String,
    rows: Vec<Row>,
    paging: Paging,
}

fn note(what: &str, number: u64) -> Option<String> {
    (number > 0).then(|| format!("{what}: {}", count(number)))
}

impl Side {
    fn of(side: &VersionSide, version: &str, path: &str) -> Self {
        let filter = RunFilter { versions: vec![version.to_owned()], ..RunFilter::default() };
        let notes = [
            (!side.is_whole).then(|| "the most recent ones".to_owned()),
            note("failed on inputs that both had", side.failed),
            note("inputs of this version only", side.only),
            note("older runs of the same input", side.repeated),
            note("runs without an input", side.without_input),
        ];
        Self {
            version: version.to_owned(),
            path: format!("{path}?{}", FilterForm::query_of(&filter)),
            read: count(side.read),
            notes: notes.into_iter().flatten().collect(),
        }
    }
}

impl Answer {
    fn of(run: &VersionRun, path: &str) -> Self {
        let is_bad = run.answer.is_empty() && !run.error.is_empty();
        Self {
            path: format!("{path}/runs/{}", utf8_percent_encode(&run.id, NON_ALPHANUMERIC)),
            status: run.status.as_str(),
            class: status_class(run.status),
            text: if is_bad { run.error.clone() } else { run.answer.clone() },
            is_bad,
            took: run.took_ms.map(span).unwrap_or_default(),
        }
    }
}

impl Row {
    fn of(pair: &InputPair, path: &str) -> Self {
        let [first, second] = &pair.runs;
        Self {
            input: pair.input.clone(),
            answers: [Answer::of(first, path), Answer::of(second, path)],
            is_same: pair.is_same,
        }
    }
}

async fn compare(
    State(app): State<App>,
    Extension(source): Extension<RunSource>,
    visit: Visit,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    let words = words(source);
    let frame = visit.frame(words.place);
    let Asked { first, second, after } = asked;
    let seen = app.call(move |service| {
        let caller = &visit.caller;
        let (flow, parts) = service.flow(caller, Some(source), &id)?;
        let known: Vec<(String, u64)> =
            parts.versions.into_iter().filter_map(|(name, runs)| Some((name?, runs))).collect();
        let named = |asked: String, at: usize| match asked.is_empty() {
            true => known.get(at).map(|(name, _)| name.clone()),
            false => Some(asked),
        };
        let chosen = named(first, 0).zip(named(second, 1));
        let found = chosen.map(|chosen| {
            let versions = [&*chosen.0, &*chosen.1];
            let found =
                service.compare_versions(caller, (source, &flow.id), versions, (after, PAGE))?;
            Ok::<_, retort_service::Error>((chosen, found))
        });
        Ok((flow, known, found.transpose()?))
    });
    let (flow, known, found) = match seen.await {
        Ok(seen) => seen,
        Err(problem) => return trouble(&problem),
    };
    let path = path(source, &flow.id);
    let (chosen, found) = match found {
        Some((chosen, found)) => (Some(chosen), found),
        None => (None, VersionComparison::default()),
    };
    let version = |(name, runs): &(String, u64)| Version {
        about: format!("{name} ({})", count(*runs)),
        is_first: chosen.as_ref().is_some_and(|(first, _)| first == name),
        is_second: chosen.as_ref().is_some_and(|(_, second)| second == name),
        name: name.clone(),
    };
    let versions = known.iter().map(version).collect();
    let next = after.saturating_add(found.pairs.len());
    let address = chosen.as_ref().map(|(first, second)| {
        let mut query = url::form_urlencoded::Serializer::new(format!("{path}/versions?"));
        query.append_pair("first", first).append_pair("second", second).finish()
    });
    let sides = chosen.as_ref().map(|(first, second)| {
        let [one, other] = &found.sides;
        [Side::of(one, first, &path), Side::of(other, second, &path)]
    });
    let page = Page {
        frame,
        words,
        name: flow
            .name
            .filter(|name| !name.trim().is_empty())
            .unwrap_or_else(|| shown_id(&flow.id)),
        versions,
        sides,
        both: count(found.both),
        same: count(found.same),
        different: count(found.both.saturating_sub(found.same)),
        rows: found.pairs.iter().map(|pair| Row::of(pair, &path)).collect(),
        paging: Paging::of(
            &address.unwrap_or_else(|| format!("{path}/versions")),
            after == 0,
            ((next as u64) < found.both).then_some(next),
        ),
        path,
    };
    show(StatusCode::OK, &page)
}
