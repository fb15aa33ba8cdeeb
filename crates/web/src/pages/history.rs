//! History: the activity of a copilot or recipe, its runs one by one, and the way to a dataset of them.

use std::borrow::Cow;
use std::collections::BTreeSet;

use askama::Template;
use axum::extract::State;
use axum::response::Response;
use axum::routing::get;
use axum::{Extension, Router};
use retort_model::{ItemKind, Purpose, RunFilter, RunSource, Time};
use retort_service::{
    Cursor, ExportRequest, Flow, FlowParts, Latency, RunBar, RunCharts, RunPage, RunSummary,
    Service, file,
};
use serde::Deserialize;

use super::addresses::run_in;
use super::arrangement::{Arrangement, Cell, Choices};
use super::columns::{QUESTION, Runs};
use super::display::{count, day, moment, purpose_name, sentence, several, span};
use super::filter_form::{FilterForm, Input};
use super::flows::{Words, path, shown_id, words};
use super::frame::{Frame, Posted, Visit};
use super::options::{self, Given};
use super::response::{see_other, show, status_of, trouble};
use super::taken::{Path, Query};
use crate::app::App;
use crate::problem::Problem;
use crate::wire;

/// Runs on a page.
const PAGE: usize = 50;

/// Runs that are marked at a time: they travel in the page's address. More are meant by a filter and a limit.
const MARKED: usize = 200;

/// Runs of an export, if nothing else is said.
const LIMIT: u64 = 500;

pub(super) fn routes() -> Router<App> {
    let copilots = Router::new()
        .route("/copilots/{id}", get(history))
        .route("/copilots/{id}/export", get(settings).post(proceed))
        .layer(Extension(RunSource::Copilot));
    let recipes = Router::new()
        .route("/recipes/{id}", get(history))
        .route("/recipes/{id}/export", get(settings).post(proceed))
        .layer(Extension(RunSource::Recipe));
    let applications = Router::new()
        .route("/applications/{id}", get(history))
        .route("/applications/{id}/export", get(settings).post(proceed))
        .layer(Extension(RunSource::Application));
    copilots.merge(recipes).merge(applications)
}

/// What the page's address says.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Looking {
    #[serde(flatten)]
    filtering: FilterForm<RunFilter>,
    /// Request ids that are selected.
    id: BTreeSet<String>,
    /// `on`, in the end, if all are selected that the filter matches.
    all: Vec<String>,
    after: Option<String>,
    /// Whether the last of the history was judged just now.
    judged_all: Option<String>,
}

fn is_on(all: &[String]) -> bool {
    all.last().is_some_and(|all| all == "on")
}

/// The runs of a flow that the filter means.
fn of_flow(
    filtering: &FilterForm<RunFilter>,
    source: RunSource,
    flow: &str,
) -> Result<RunFilter, Problem> {
    Ok(RunFilter { source: Some(source), flow: Some(flow.to_owned()), ..filtering.filter()? })
}

/// The runs that are selected, else those that the filter means.
fn chosen(
    source: RunSource,
    flow: &str,
    filtering: &FilterForm<RunFilter>,
    (ids, is_all): (&BTreeSet<String>, bool),
) -> Result<RunFilter, Problem> {
    if ids.is_empty() || is_all {
        return of_flow(filtering, source, flow);
    }
    if ids.len() > MARKED {
        return Err(Problem::bad_request(format!(
            "You can select up to {MARKED} runs one by one. For more, use a filter, and select all or a limit."
        )));
    }
    Ok(RunFilter {
        source: Some(source),
        flow: Some(flow.to_owned()),
        ids: ids.clone(),
        ..RunFilter::default()
    })
}

/// A run as the list shows it.
struct Row {
    id: String,
    path: String,
    cells: Vec<Cell>,
    is_marked: bool,
}

impl Row {
    /// `here` is the query of the page.
    fn of(run: &RunSummary, cells: Vec<Cell>, marked: &BTreeSet<String>, here: &str) -> Self {
        Self {
            path: run_in(None, run, here),
            id: run.id.clone(),
            cells,
            is_marked: marked.contains(&run.id),
        }
    }
}

/// A chart: bars, and what they stand for in numbers.
struct Chart {
    title: &'static str,
    /// What it comes to.
    sum: String,
    about: String,
    columns: &'static [&'static str],
    bars: Vec<Bar>,
    width: usize,
    /// The largest value, and when the first and the last bar begin.
    most: String,
    ends: [String; 2],
}

/// One bar, in the units of the drawing; the lower part of it stands out.
struct Bar {
    name: String,
    /// The list of its runs; empty where a bar begins or ends within a day.
    path: String,
    numbers: Vec<String>,
    x: usize,
    y: usize,
    height: usize,
    lower_y: usize,
    lower: usize,
}

/// The drawing's height, the width of a bar, and the gap behind it.
const HEIGHT: usize = 120;
const BAR: usize = 20;
const GAP: usize = 6;

/// Bars of these heights, each with the part of it that stands out. `names` are their names and addresses.
fn bars(heights: &[(u64, u64)], names: &[(String, String)], numbers: Vec<Vec<String>>) -> Vec<Bar> {
    let most = heights.iter().map(|(whole, part)| whole.max(part)).max().copied().unwrap_or(0);
    let scaled = |value: u64| {
        let height = value.saturating_mul(HEIGHT as u64).div_ceil(most.max(1));
        usize::try_from(height).unwrap_or(HEIGHT)
    };
    let mut bars = Vec::with_capacity(heights.len());
    for (index, (((whole, part), (name, path)), numbers)) in
        heights.iter().zip(names).zip(numbers).enumerate()
    {
        let (height, lower) = (scaled(*whole), scaled(*part));
        bars.push(Bar {
            name: name.clone(),
            path: path.clone(),
            numbers,
            x: index * (BAR + GAP),
            y: HEIGHT - height,
            height,
            lower_y: HEIGHT - lower,
            lower,
        });
    }
    bars
}

/// `of_days` is the address of the list of runs that began on the days from one to another.
fn charts(found: &RunCharts, of_days: &dyn Fn(&str, &str) -> String) -> Vec<Chart> {
    if found.bars.is_empty() {
        return Vec::new();
    }
    let is_by_day = found.step_seconds >= 24 * 60 * 60;
    let name = |bar: &RunBar| match days_of(bar.from, found.step_seconds) {
        Some((first, last)) => (first.clone(), of_days(&first, &last)),
        None if is_by_day => (day(bar.from), String::new()),
        None => (moment(bar.from), String::new()),
    };
    let names: Vec<(String, String)> = found.bars.iter().map(name).collect();
    let per_mille = |part: u64, whole: u64| (part * 1000).checked_div(whole).unwrap_or(0);
    let share = |part: u64, whole: u64| {
        let share = per_mille(part, whole);
        format!("{}.{} %", share / 10, share % 10)
    };
    let (runs, failures): (u64, u64) = found
        .bars
        .iter()
        .fold((0, 0), |(runs, failures), bar| (runs + bar.runs, failures + bar.failures));
    let about = format!("{} per bar", step(found.step_seconds));
    let undated = match found.undated {
        0 => about.clone(),
        number => format!("{about}; {} without a start time are not shown", count(number)),
    };
    let ends = [names.first(), names.last()]
        .map(|end| end.map(|(name, _)| name.clone()).unwrap_or_default());
    type Shown = fn(u64) -> String;
    let chart = |title, sum, about, columns, heights: Vec<(u64, u64)>, numbers, shown: Shown| {
        let most = heights.iter().map(|(whole, part)| whole.max(part)).max().copied();
        Chart {
            title,
            sum,
            about,
            columns,
            width: heights.len() * (BAR + GAP),
            bars: bars(&heights, &names, numbers),
            most: shown(most.unwrap_or(0)),
            ends: ends.clone(),
        }
    };
    let all = if found.is_whole { "" } else { "the most recent " };
    let volume = chart(
        "Runs",
        format!("{all}{}", count(found.runs)),
        undated,
        &["Runs"],
        found.bars.iter().map(|bar| (bar.runs, bar.runs)).collect(),
        found.bars.iter().map(|bar| vec![count(bar.runs)]).collect(),
        count,
    );
    let failed = chart(
        "Failure rate",
        share(failures, runs),
        about.clone(),
        &["Failed", "Share"],
        found
            .bars
            .iter()
            .map(|bar| per_mille(bar.failures, bar.runs))
            .map(|share| (share, share))
            .collect(),
        found
            .bars
            .iter()
            .map(|bar| vec![count(bar.failures), share(bar.failures, bar.runs)])
            .collect(),
        |per_mille| format!("{}.{} %", per_mille / 10, per_mille % 10),
    );
    let mut charts = vec![volume, failed];
    if let Some(Latency { p50_ms, p95_ms, .. }) = found.latency {
        let times = |bar: &RunBar| bar.latency.map_or((0, 0), |took| (took.p95_ms, took.p50_ms));
        let numbers = |bar: &RunBar| match bar.latency {
            Some(took) => vec![span(took.p50_ms), span(took.p95_ms), span(took.p99_ms)],
            None => vec![String::new(); 3],
        };
        charts.push(chart(
            "Latency",
            format!("median {}, p95 {}", span(p50_ms), span(p95_ms)),
            format!("dark: median, light: p95; {about}"),
            &["Median", "p95", "p99"],
            found.bars.iter().map(times).collect(),
            found.bars.iter().map(numbers).collect(),
            span,
        ));
    }
    charts
}

/// The first and the last day of a bar that spans whole days.
fn days_of(from: Option<Time>, step_seconds: u64) -> Option<(String, String)> {
    let (from, seconds) = (from?, i64::try_from(step_seconds).ok()?);
    let is_whole = |seconds: i64| seconds > 0 && seconds % DAY_SECONDS == 0;
    let start = from.unix_micros().div_euclid(1_000_000);
    if !is_whole(seconds) || start.rem_euclid(DAY_SECONDS) != 0 {
        return None;
    }
    let last = start.checked_add(seconds - DAY_SECONDS)?.checked_mul(1_000_000)?;
    Some((day(Some(from)), day(Some(Time::from_unix_micros(last)?))))
}

const DAY_SECONDS: i64 = 24 * 60 * 60;

/// How long a bar spans.
fn step(seconds: u64) -> String {
    let units = [(24 * 60 * 60, "day"), (60 * 60, "hour"), (60, "minute")];
    let (unit, name) =
        units.into_iter().find(|(unit, _)| seconds.is_multiple_of(*unit)).unwrap_or((1, "second"));
    match seconds / unit {
        1 => format!("1 {name}"),
        several => format!("{several} {name}s"),
    }
}

#[derive(Template)]
#[template(path = "history.html")]
struct History {
    frame: Frame,
    words: Words,
    name: String,
    flow: String,
    path: String,
    filtering: FilterForm<RunFilter>,
    /// Whether there are two versions to compare.
    can_compare: bool,
    /// The fields of the filter that are shown at once.
    inputs: Vec<Input>,
    charts: Vec<Chart>,
    bar: usize,
    height: usize,
    rows: Vec<Row>,
    choices: Choices,
    /// Whether narrow screens hide the id.
    hides_id: bool,
    matching: String,
    /// Selected runs that are on other pages.
    others: Vec<String>,
    marked: String,
    /// Whether all are selected that the filter matches.
    is_all: bool,
    /// Most runs that are selected one by one.
    most: usize,
    /// The page without its filter, and without what is selected.
    unfiltered: String,
    unselected: String,
    next: Option<String>,
    is_first: bool,
    /// The query of the filter alone.
    query: String,
    judged_all: bool,
}

/// The query of a filter, with a selection added.
fn with_selected(query: String, ids: &BTreeSet<String>, is_all: bool) -> String {
    let mut query = url::form_urlencoded::Serializer::new(query);
    query.extend_pairs(ids.iter().map(|id| ("id", id)));
    if is_all {
        query.append_pair("all", "on");
    }
    query.finish()
}

/// The URL of a history or a form, with a filter and a selection.
fn address(path: &str, query: String, ids: &BTreeSet<String>, is_all: bool) -> String {
    let query = with_selected(query, ids, is_all);
    if query.is_empty() { path.to_owned() } else { format!("{path}?{query}") }
}

/// Whether a run is selected in the list with that query, and the query that changes this. None if all runs are selected,
/// or if no more can be selected.
pub(super) fn toggled(query: &str, run: &str) -> Option<(bool, String)> {
    let pairs = || url::form_urlencoded::parse(query.as_bytes());
    let is_this = |(name, value): &(Cow<'_, str>, Cow<'_, str>)| name == "id" && value == run;
    let is_selected = pairs().any(|pair| is_this(&pair));
    let is_full = pairs().filter(|(name, _)| name == "id").count() >= MARKED;
    if pairs().any(|(name, value)| name == "all" && value == "on") || is_full && !is_selected {
        return None;
    }
    let mut toggled = url::form_urlencoded::Serializer::new(String::new());
    toggled.extend_pairs(pairs().filter(|pair| !is_this(pair)));
    if !is_selected {
        toggled.append_pair("id", run);
    }
    Some((is_selected, toggled.finish()))
}

/// What the history shows of the store.
struct Seen {
    flow: Flow,
    parts: FlowParts,
    page: RunPage,
    matching: u64,
    charts: RunCharts,
}

async fn history(
    State(app): State<App>,
    Extension(source): Extension<RunSource>,
    visit: Visit,
    Path(id): Path<String>,
    Query(looking): Query<Looking>,
) -> Response {
    let Looking { mut filtering, id: ids, all, after, judged_all } = looking;
    let is_all = is_on(&all);
    let words = words(source);
    let frame = visit.frame(words.place);
    let after = after.filter(|after| !after.is_empty());
    let is_first = after.is_none();
    let after: Option<Cursor> = match after.map(|after| after.parse()).transpose() {
        Ok(after) => after,
        Err(error) => return trouble(&Problem::bad_request(error)),
    };
    let asked = of_flow(&filtering, source, &id)
        .and_then(|filter| Ok((filter, Arrangement::<Runs>::of(&filtering)?)));
    let (filter, arrangement, problem) = match asked {
        Ok((filter, arrangement)) => (Some(filter), arrangement, None),
        Err(problem) => {
            filtering.refuse(&problem);
            (None, Arrangement::default(), Some(problem))
        }
    };
    let (order, this_page) = (arrangement.order, after.as_ref().map(ToString::to_string));
    let seen = app.call(move |service| {
        let caller = &visit.caller;
        let (flow, parts) = service.flow(caller, Some(source), &id)?;
        // Of a filter that is wrong, the page says so and shows no runs.
        let Some(filter) = filter else {
            let (page, charts) = (RunPage::default(), RunCharts::default());
            return Ok(Seen { flow, parts, page, matching: 0, charts });
        };
        let page = service.runs(caller, &filter, order, after, PAGE)?;
        let charts = service.run_charts(caller, &filter)?;
        Ok(Seen { flow, parts, page, matching: service.count_runs(caller, &filter)?, charts })
    });
    let Seen { flow, parts, page, matching, charts: found } = match seen.await {
        Ok(seen) => seen,
        Err(problem) => return trouble(&problem),
    };
    let shown: BTreeSet<&str> = page.runs.iter().map(|run| &*run.id).collect();
    let others = ids.iter().filter(|id| !shown.contains(&***id)).cloned().collect();
    let path = path(source, &flow.id);
    let here = with_selected(filtering.query(), &ids, is_all);
    let here = url::form_urlencoded::Serializer::new(here)
        .extend_pairs(this_page.map(|after| ("after", after)))
        .finish();
    let none = BTreeSet::new();
    let of_days = |first: &str, last: &str| {
        let others = filtering.set();
        let others = others.into_iter().filter(|(name, _)| !name.starts_with("started_"));
        let days = [("started_from".to_owned(), first), ("started_to".to_owned(), last)];
        let mut query = url::form_urlencoded::Serializer::new(format!("{path}?"));
        query.extend_pairs(days.into_iter().chain(others)).finish()
    };
    let charts = charts(&found, &of_days);
    let mut choices = arrangement.choices(&filtering, &path);
    choices.beside.extend(ids.iter().map(|id| ("id", id.clone())));
    choices.beside.extend(is_all.then(|| ("all", "on".to_owned())));
    // The question leads to the run as well.
    let hides_id = arrangement.has(QUESTION);
    if let Some(first) = choices.headings.first_mut().filter(|_| hides_id) {
        "hide".clone_into(&mut first.class);
    }
    let history = History {
        frame,
        words,
        name: name_of(&flow),
        flow: flow.id.clone(),
        unfiltered: address(&path, filtering.unfiltered(), &ids, false),
        unselected: address(&path, filtering.query(), &none, false),
        is_all,
        most: MARKED,
        path,
        can_compare: parts.versions.iter().filter(|(version, _)| version.is_some()).count() > 1,
        inputs: filtering.offering("source_version", &versions(&parts)),
        charts,
        bar: BAR,
        height: HEIGHT,
        rows: page
            .runs
            .iter()
            .map(|run| Row::of(run, arrangement.cells(run), &ids, &here))
            .collect(),
        choices,
        hides_id,
        matching: count(matching),
        others,
        marked: count(ids.len() as u64),
        next: page.next.map(|next| next.to_string()),
        is_first,
        query: filtering.query(),
        judged_all: judged_all.is_some(),
        filtering,
    };
    show(status_of(problem.as_ref()), &history)
}

fn name_of(flow: &Flow) -> String {
    let name = flow.name.clone().filter(|name| !name.trim().is_empty());
    name.unwrap_or_else(|| shown_id(&flow.id))
}

/// The versions, and in words how many runs there are.
fn versions(parts: &FlowParts) -> Vec<(String, String)> {
    parts
        .versions
        .iter()
        .filter_map(|(version, runs)| Some((version.clone()?, count(*runs))))
        .map(|(version, runs)| (version.clone(), format!("{version} ({runs})")))
        .collect()
}

/// What the form of the dataset holds.
#[derive(Clone, Debug, Deserialize)]
#[serde(default)]
struct Form {
    dataset_name: String,
    purpose: String,
    /// The node; empty means none.
    node: String,
    limit: String,
    /// Empty means what is usual for the purpose.
    data_format: String,
    /// Empty means what is usual for the data format.
    file_format: String,
    #[serde(flatten)]
    filtering: FilterForm<RunFilter>,
    /// Request ids that are selected.
    id: BTreeSet<String>,
    /// `on` if all are selected that the filter matches.
    all: Vec<String>,
}

impl Default for Form {
    fn default() -> Self {
        Self {
            dataset_name: String::new(),
            purpose: Purpose::default().to_string(),
            node: String::new(),
            limit: LIMIT.to_string(),
            data_format: String::new(),
            file_format: String::new(),
            filtering: FilterForm::default(),
            id: BTreeSet::new(),
            all: Vec::new(),
        }
    }
}

/// A purpose as the form offers it.
struct Offered {
    value: &'static str,
    name: &'static str,
    about: &'static str,
    is_chosen: bool,
}

impl Form {
    fn purposes(&self) -> Vec<Offered> {
        Purpose::ALL
            .iter()
            .map(|&purpose| Offered {
                value: purpose.as_str(),
                name: purpose_name(purpose),
                about: purpose.words(),
                is_chosen: purpose.as_str() == self.purpose,
            })
            .collect()
    }

    /// The options, by their names.
    fn given(&self) -> Given {
        [
            ("purpose", &self.purpose),
            ("node", &self.node),
            ("data_format", &self.data_format),
            ("file_format", &self.file_format),
        ]
        .map(|(name, text)| (name.to_owned(), text.clone()))
        .into()
    }

    /// The values of an option for runs.
    fn offered(&self, option: &str) -> Vec<options::Offered> {
        options::offered(option, &self.given(), ItemKind::Run)
    }

    fn is_all(&self) -> bool {
        is_on(&self.all)
    }

    fn chosen(&self, source: RunSource, flow: &str) -> Result<RunFilter, Problem> {
        chosen(source, flow, &self.filtering, (&self.id, self.is_all()))
    }

    /// What is asked of the service.
    fn request(&self, source: RunSource, flow: &str) -> Result<ExportRequest, Problem> {
        let limit = match self.limit.trim() {
            "" => None,
            text => Some(text.parse().ok().filter(|limit| *limit > 0).ok_or_else(|| {
                Problem::bad_request(format!("the limit is a number of runs, not `{text}`"))
            })?),
        };
        let options = wire::Options(options::asked(&self.given())?);
        let mut dataset = options.plan(&self.dataset_name, ItemKind::Run)?;
        if self.file_format.is_empty()
            && let Some(usual) = dataset.data_format.file_formats().first()
            && let Some(usual) = file::by_name(usual)
        {
            dataset.file_format = usual;
        }
        let selection = RunFilter { limit, ..self.chosen(source, flow)? };
        Ok(ExportRequest { selection: selection.into(), dataset })
    }
}

#[derive(Template)]
#[template(path = "run_export.html")]
struct Settings {
    frame: Frame,
    words: Words,
    name: String,
    path: String,
    /// The history as it was left.
    back: String,
    form: Form,
    nodes: Vec<(String, String, bool)>,
    /// How many runs are meant, but for the limit.
    meant: String,
    trouble: Option<String>,
}

async fn settings(
    State(app): State<App>,
    Extension(source): Extension<RunSource>,
    visit: Visit,
    Path(id): Path<String>,
    Query(looking): Query<Looking>,
) -> Response {
    let Looking { filtering, id: ids, all, .. } = looking;
    let mut form = Form { filtering, id: ids, all, ..Form::default() };
    if form.is_all() {
        form.limit = String::new();
    }
    set(&app, visit, (source, id), form, None).await
}

/// What the form is shown with.
fn seen(
    service: &Service,
    visit: &Visit,
    (source, id): (RunSource, &str),
    selection: &RunFilter,
) -> Result<(Flow, FlowParts, u64), retort_service::Error> {
    let (flow, parts) = service.flow(&visit.caller, Some(source), id)?;
    let meant = service.count_runs(&visit.caller, selection)?;
    Ok((flow, parts, meant))
}

async fn set(
    app: &App,
    visit: Visit,
    (source, id): (RunSource, String),
    form: Form,
    problem: Option<Problem>,
) -> Response {
    let words = words(source);
    let frame = visit.frame(words.place);
    let selection = match form.chosen(source, &id) {
        Ok(selection) => selection,
        Err(problem) => return trouble(&problem),
    };
    let found = app.call(move |service| seen(service, &visit, (source, &id), &selection));
    let (flow, parts, meant) = match found.await {
        Ok(found) => found,
        Err(problem) => return trouble(&problem),
    };
    let mut nodes: Vec<(String, String, bool)> = Vec::new();
    for (node, kind, runs) in &parts.nodes {
        if !nodes.iter().any(|(name, _, _)| name == node) {
            let about = format!("{node} ({kind}, {})", several(*runs, "run"));
            nodes.push((node.clone(), about, *node == form.node));
        }
    }
    let status = status_of(problem.as_ref());
    let page = Settings {
        frame,
        words,
        name: name_of(&flow),
        back: address(&path(source, &flow.id), form.filtering.query(), &form.id, form.is_all()),
        path: path(source, &flow.id),
        nodes,
        meant: count(meant),
        form,
        trouble: problem.map(|problem| sentence(problem.detail())),
    };
    show(status, &page)
}

async fn proceed(
    State(app): State<App>,
    Extension(source): Extension<RunSource>,
    Path(id): Path<String>,
    Posted { visit, form }: Posted<Form>,
) -> Response {
    let submitted = match form.request(source, &id) {
        Ok(request) => {
            let caller = visit.caller.clone();
            app.call(move |service| service.submit_export(&caller, &request)).await
        }
        Err(problem) => Err(problem),
    };
    match submitted {
        // What is to be evaluated is handed to the person at once.
        Ok(job) if form.purpose == Purpose::RecipeEvaluation.as_str() => {
            see_other(&format!("/exports/{job}?hand=over"), None)
        }
        Ok(job) => see_other(&format!("/exports/{job}"), None),
        Err(problem) => set(&app, visit, (source, id), form, Some(problem)).await,
    }
}

#[cfg(test)]
mod tests {
    use retort_model::RunStatus;

    use super::*;

    #[test]
    fn marked_runs_are_meant_before_the_filter() {
        let filter = FilterForm::of(&[
            ("search", " hail "),
            ("status", "failure"),
            ("has_feedback", "false"),
        ]);
        let mut ids = BTreeSet::new();
        let of = |ids: &BTreeSet<String>| chosen(RunSource::Recipe, "r", &filter, (ids, false));
        let meant = of(&ids).unwrap();
        assert_eq!((&*meant.search[0], meant.has_feedback), ("hail", Some(false)));
        assert_eq!((meant.statuses, meant.ids.len()), (vec![RunStatus::Failure], 0));
        ids.insert("a".into());
        let marked = of(&ids).unwrap();
        assert_eq!((marked.ids.len(), marked.statuses.len(), marked.search.len()), (1, 0, 0));
        let all = chosen(RunSource::Recipe, "r", &filter, (&ids, true)).unwrap();
        assert_eq!((all.ids.len(), &*all.search[0]), (0, "hail"));
        assert_eq!(
            address("/recipes/r", filter.query(), &ids, true),
            "/recipes/r?search=hail&status=failure&has_feedback=false&id=a&all=on"
        );
        ids.extend((0..=MARKED).map(|n| n.to_string()));
        assert!(of(&ids).is_err());
        let odd = FilterForm::of(&[("has_error", "maybe")]);
        assert!(of_flow(&odd, RunSource::Copilot, "").is_err());
    }

    #[test]
    fn a_run_is_selected_in_the_address_of_its_list() {
        let on = toggled("search=a&id=1&after=7-1", "r 2").unwrap();
        assert_eq!(on, (false, "search=a&id=1&after=7-1&id=r+2".to_owned()));
        let off = toggled(&on.1, "r 2").unwrap();
        assert_eq!(off, (true, "search=a&id=1&after=7-1".to_owned()));
        assert_eq!(toggled("all=off&id=1&all=on", "1"), None);
        let full: Vec<_> = (0..MARKED).map(|n| format!("id={n}")).collect();
        assert_eq!(toggled(&full.join("&"), "x"), None);
        assert!(toggled(&full.join("&"), "0").is_some());
    }

    #[test]
    fn spans_of_bars_are_named() {
        for (seconds, words) in [
            (60, "1 minute"),
            (600, "10 minutes"),
            (3600, "1 hour"),
            (86_400, "1 day"),
            (604_800, "7 days"),
        ] {
            assert_eq!(step(seconds), words);
        }
    }

    #[test]
    fn a_bar_of_whole_days_says_which() {
        let days = |from: &str, seconds| days_of(Time::parse(from).ok(), seconds);
        let both = |first: &str, last: &str| Some((first.to_owned(), last.to_owned()));
        assert_eq!(days("2026-01-05", 86_400), both("2026-01-05", "2026-01-05"));
        assert_eq!(days("2026-01-05", 604_800), both("2026-01-05", "2026-01-11"));
        assert_eq!(days("1969-12-31", 86_400), both("1969-12-31", "1969-12-31"));
        assert_eq!(days("2026-01-05", 3_600), None);
        assert_eq!(days("2026-01-05T01:00:00Z", 86_400), None);
    }

    #[test]
    fn a_bar_is_as_high_as_its_share_of_the_highest() {
        let names = ["a", "b", "c"].map(|name| (name.to_owned(), String::new()));
        let heights = [(10, 5), (5, 1), (0, 0)];
        let bars = bars(&heights, &names, vec![Vec::new(), Vec::new(), Vec::new()]);
        let drawn: Vec<_> = bars.iter().map(|bar| (bar.y, bar.height, bar.lower)).collect();
        assert_eq!(drawn, [(0, 120, 60), (60, 60, 12), (120, 0, 0)]);
    }
}
