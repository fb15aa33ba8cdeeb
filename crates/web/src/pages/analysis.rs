//! What the conversations of a filter are like, drawn and in numbers.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::response::Response;
use axum::routing::{get, post};
use retort_model::{ConversationFilter, DecimalRange, ItemKind, Status, condition};
use retort_service::{Analysis, Counted, Counts};
use serde::Deserialize;

use super::display::{count, several};
use super::filter_form::FilterForm;
use super::frame::{Frame, Posted, Visit};
use super::response::{see_other, show, status_of, trouble};
use super::taken::Query;
use crate::app::App;
use crate::problem::Problem;
use crate::wire;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/analysis", get(analysis)).route("/analysis/download", post(download))
}

/// A figure: a row or column for each value, with its number.
struct Figure {
    title: &'static str,
    about: String,
    bars: Vec<Bar>,
    /// Whether the values are periods, shown side by side.
    is_over_time: bool,
    width: usize,
    /// The largest number, and the first and last value.
    most: String,
    ends: [String; 2],
}

/// One value of a figure.
struct Bar {
    name: String,
    number: String,
    share: String,
    /// The list of the conversations that have it, if a query finds them.
    path: Option<String>,
    /// Whether it is a sum of several values.
    is_rest: bool,
    /// In the units of the drawing: where a column begins, and how long it is of 1,000.
    x: usize,
    y: usize,
    length: usize,
}

/// The length of the longest bar, the width of a column, and the gap behind it.
const LENGTH: usize = 1000;
const BAR: usize = 20;
const GAP: usize = 6;

/// The bar of all values without one of their own.
const REST: &str = "Other";

/// The conditions that find the conversations of a value.
type Finding<'f> = &'f dyn Fn(&str) -> Option<String>;

/// A figure of counts, with shares of their sum.
fn figure(
    title: &'static str,
    about: impl Into<String>,
    counts: &Counts,
    found_by: Finding<'_>,
    narrowed: &dyn Fn(&str) -> Option<String>,
) -> Option<Figure> {
    let total = counts.iter().map(|(_, number)| number).sum();
    figure_of(total, title, about, counts, found_by, narrowed)
}

/// The same with shares of `total`.
fn figure_of(
    total: u64,
    title: &'static str,
    about: impl Into<String>,
    counts: &Counts,
    found_by: Finding<'_>,
    narrowed: &dyn Fn(&str) -> Option<String>,
) -> Option<Figure> {
    let most = counts.iter().map(|(_, number)| *number).max().filter(|&most| most > 0)?;
    let scaled = |number: u64| {
        let length = number.saturating_mul(LENGTH as u64).div_ceil(most);
        usize::try_from(length).unwrap_or(LENGTH)
    };
    // A sum of several values is not what others are compared with.
    let mut counts: Vec<_> = counts.iter().collect();
    counts.sort_by_key(|(name, _)| name == REST);
    let bars = counts.iter().enumerate().map(|(index, (name, number))| {
        let length = scaled(*number);
        let per_mille = number.saturating_mul(1000) / total.max(1);
        Bar {
            name: name.clone(),
            number: count(*number),
            share: format!("{}.{} %", per_mille / 10, per_mille % 10),
            path: found_by(name).and_then(|condition| narrowed(&condition)),
            is_rest: name == REST,
            x: index * (BAR + GAP),
            y: LENGTH - length,
            length,
        }
    });
    let ends = [counts.first(), counts.last()].map(|end| end.map(|(name, _)| name.clone()));
    Some(Figure {
        title,
        about: about.into(),
        bars: bars.collect(),
        is_over_time: false,
        width: counts.len() * (BAR + GAP),
        most: count(most),
        ends: ends.map(Option::unwrap_or_default),
    })
}

/// The condition of a month such as `2026-03`, or of a year.
fn in_month(name: &str) -> Option<String> {
    let (year, month) = match name.split_once('-') {
        Some((year, month)) => (year.parse::<i32>().ok()?, Some(month.parse::<u8>().ok()?)),
        None => (name.parse().ok()?, None),
    };
    let (next_year, next) = match month {
        Some(month) if month < 12 => (year, month + 1),
        _ => (year + 1, 1),
    };
    let month = month.unwrap_or(1);
    Some(format!("created_from:{year:04}-{month:02}-01 created_before:{next_year:04}-{next:02}-01"))
}

/// The range of a class such as `3 to 4` or `65 or more`.
fn range_of(class: &str) -> Option<String> {
    match class.split_once(" to ") {
        Some((from, to)) => Some(format!("{from}..{to}")),
        None => Some(format!("{}..", class.strip_suffix(" or more")?)),
    }
}

#[derive(Template)]
#[template(path = "analysis.html")]
struct Page {
    frame: Frame,
    filtering: FilterForm<ConversationFilter>,
    total: String,
    /// How many there are if only the most recent were looked at; empty if that was not counted either.
    sample_of: Option<String>,
    query: String,
    messages: String,
    figures: Vec<Figure>,
    bar: usize,
    /// What a download of everything leaves out.
    deleted: u64,
    deleted_shown: String,
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    #[serde(flatten)]
    filtering: FilterForm<ConversationFilter>,
    /// Whether all that match are analyzed, however long it takes.
    exact: Option<String>,
}

async fn analysis(
    State(app): State<App>,
    visit: Visit,
    Query(Asked { mut filtering, exact }): Query<Asked>,
) -> Response {
    let frame = visit.frame("analysis");
    let (filter, problem) = match filtering.filter() {
        Ok(filter) => (Some(filter), None),
        Err(problem) => {
            filtering.refuse(&problem);
            (None, Some(problem))
        }
    };
    let is_admin = frame.is_admin;
    let seen = app.call(move |service| {
        let deleted =
            ConversationFilter { statuses: vec![Status::Deleted], ..ConversationFilter::default() };
        let deleted = if is_admin { service.count(&visit.caller, &deleted)? } else { 0 };
        // Of a filter that is wrong, the page says so and shows no figures.
        let found = filter.map(|filter| service.analysis(&visit.caller, &filter, exact.is_some()));
        Ok((found.transpose()?.unwrap_or_default(), deleted))
    });
    let (found, deleted) = match seen.await {
        Ok(seen) => seen,
        Err(problem) => return trouble(&problem),
    };
    let page = Page {
        frame,
        figures: figures(&found, &filtering),
        query: filtering.query(),
        filtering,
        sample_of: found.all.map(|all| match all.is_least {
            true => String::new(),
            false => several(all.count, "conversation"),
        }),
        total: match found.all {
            Some(Counted { is_least: false, .. }) => count(found.total),
            _ => several(found.total, "conversation"),
        },
        messages: several(found.messages, "message"),
        bar: BAR,
        deleted,
        deleted_shown: count(deleted),
    };
    show(status_of(problem.as_ref()), &page)
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
        Ok(wire::Options::history(Some(&form.file_format))
            .and_then(|options| options.plan(&name, ItemKind::Conversation))
            .map(|plan| service.export_project(caller, plan, form.deleted.is_some())))
    });
    match asked.await {
        Ok(Ok(Ok(id))) => see_other(&format!("/exports/{id}?hand=over"), None),
        Ok(Ok(Err(error))) => trouble(&Problem::from(error)),
        Ok(Err(problem)) | Err(problem) => trouble(&problem),
    }
}

fn figures(found: &Analysis, filtering: &FilterForm<ConversationFilter>) -> Vec<Figure> {
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
    let list = |condition: &str| {
        let (query, is_set) = filtering.narrowed(condition)?;
        (!is_set).then(|| format!("/export?{query}"))
    };
    let field =
        |name: &'static str| move |value: &str| condition(name, value).filter(|_| value != REST);
    let within = |name: &'static str| move |class: &str| condition(name, &range_of(class)?);
    let rated = |rating: &str| match rating {
        "true" => condition("rating", "good"),
        "false" => condition("rating", "bad"),
        number if number.parse::<DecimalRange>().is_ok() => condition("score", number),
        _ => None,
    };
    let over_time = figure("Over time", undated, &found.months, &in_month, &list);
    [
        over_time.map(|figure| Figure { is_over_time: true, ..figure }),
        figure("Type", "", &found.kinds, &field("type"), &list),
        figure("Status", "", &found.statuses, &field("status"), &list),
        figure("Model", "", &found.models, &field("model"), &list),
        figure_of(
            found.total,
            "Tag",
            "a conversation may have several",
            &found.tags,
            &field("tag"),
            &list,
        ),
        figure("Length in messages", "", &found.lengths, &within("messages"), &list),
        figure("Length in tokens", tokens, &read.tokens, &within("tokens"), &list),
        figure("Feedback", format!("on answers, {recent}"), &read.feedback, &rated, &list),
    ]
    .into_iter()
    .flatten()
    .collect()
}
