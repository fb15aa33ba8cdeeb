//! Export Manager: conversations found and chosen, a dataset shaped, looked at beforehand and asked for.

use std::collections::HashMap;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use retort_model::{ConversationFilter, DatasetName, ItemKind, JobKind, JobState, Status};
use retort_service::{
    Choice, Chosen, Counted, Cursor, ExportRequest, Facets, ListedHit, Page, Sample, Service,
    Shown, Summary, View, preview_package,
};
use serde::{Deserialize, Serialize};

use super::arrangement::{Arrangement, Cell, Choices};
use super::columns::Conversations;
use super::display::{at_least, bytes, capital, count, percent, sentence, several};
use super::filter_form::FilterForm;
use super::frame::{Frame, Nothing, Posted, Visit};
use super::options::{self, Field, Given, Offered};
use super::receipt::{Found, found, receipt};
use super::records::{Record, readable};
use super::response::{see_other, show, status_of, trouble};
use super::taken::{Path, Query};
use crate::app::App;
use crate::problem::{Problem, kinds};
use crate::wire;

/// Conversations on a page.
const PAGE: usize = 50;

/// The path of the list of conversations.
const LIST: &str = "/export";

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/export", get(manager))
        .route("/export/dataset", get(dataset_form))
        .route("/export/check", get(check))
        .route("/export/confirm", post(confirm))
        .route("/exports/{id}", get(progress))
        .route("/exports/{id}/cancel", post(cancel))
        .route("/exports/{id}/retry", post(retry))
}

/// A conversation as the list shows it.
struct Row {
    id: String,
    path: String,
    title: String,
    /// Whether it has a title of its own.
    is_titled: bool,
    is_favorite: bool,
    cells: Vec<Cell>,
    is_chosen: bool,
}

impl Row {
    /// `question` is the first one of a conversation without a title; `here` is the query of the page.
    fn of(
        summary: &Summary,
        cells: Vec<Cell>,
        chosen: &Chosen,
        question: Option<&String>,
        here: &str,
    ) -> Self {
        let title = summary.title.clone().filter(|title| !title.trim().is_empty());
        let is_titled = title.is_some();
        let title = title.or_else(|| question.cloned());
        Self {
            is_titled,
            id: summary.id.clone(),
            path: super::addresses::path_from(&summary.id, &summary.source, here),
            title: title.unwrap_or_else(|| summary.id.clone()),
            is_favorite: summary.status == Status::Favorite,
            cells,
            is_chosen: chosen.here.contains(&summary.key),
        }
    }
}

/// The counted values of a field.
struct Facet {
    label: String,
    values: Vec<FacetLink>,
}

/// A value with its count, as a link that narrows the list to it, or no longer.
struct FacetLink {
    value: String,
    count: String,
    query: String,
    is_set: bool,
}

impl Facet {
    fn of(
        facet: &retort_service::Facet,
        filtering: &FilterForm<ConversationFilter>,
    ) -> Option<Self> {
        let link = |one: &retort_service::FacetValue| {
            let (query, is_set) = filtering.narrowed(&one.query)?;
            Some(FacetLink { value: one.value.clone(), count: count(one.count), query, is_set })
        };
        let values: Option<Vec<_>> = facet.values.iter().map(link).collect();
        Some(Self { label: capital(&facet.field.replace('_', " ")), values: values? })
    }
}

/// What the form of the dataset holds.
#[derive(Clone, Debug, Default, Deserialize, Serialize)]
#[serde(default)]
struct Form {
    dataset_name: String,
    #[serde(flatten)]
    given: Given,
}

/// Options that the form shows in its own way, or that none of its formats has a use for.
const OWN: &[&str] = &["data_format", "file_format", "file_name", "purpose"];

impl Form {
    /// The form as a query, without `?`.
    fn query(&self) -> String {
        serde_html_form::to_string(self).unwrap_or_default()
    }

    fn given(&self, name: &str, usual: &'static str) -> &str {
        self.given.get(name).map_or(usual, String::as_str)
    }

    fn file_name(&self) -> &str {
        self.given("file_name", ItemKind::Conversation.plural())
    }

    fn data_format(&self) -> &str {
        self.given("data_format", "standard")
    }

    fn file_format(&self) -> &str {
        self.given("file_format", "jsonl")
    }

    fn file_formats(&self) -> Vec<Offered> {
        options::offered("file_format", &self.given, ItemKind::Conversation)
    }

    fn data_formats(&self) -> Vec<Offered> {
        let mut given = self.given.clone();
        given.entry("data_format".into()).or_insert_with(|| "standard".into());
        options::offered("data_format", &given, ItemKind::Conversation)
    }
}

#[derive(Template)]
#[template(path = "export.html")]
struct Manager {
    frame: Frame,
    filtering: FilterForm<ConversationFilter>,
    query: String,
    choices: Choices,
    rows: Vec<Row>,
    facets: Vec<Facet>,
    views: Vec<ViewLink>,
    /// How many conversations the counts are of, if not of all.
    counted: Option<String>,
    /// How many match, and whether there may be more.
    matching: String,
    is_least: bool,
    chosen: String,
    hidden: u64,
    hidden_shown: String,
    next: Option<String>,
    is_first: bool,
    /// How many conversations were changed just now.
    edited: Option<String>,
    /// Whether only deleted conversations are shown.
    is_of_deleted: bool,
    /// Whether the last of a list was judged just now.
    judged_all: bool,
}

/// A saved view as a link.
struct ViewLink {
    id: i64,
    name: String,
    query: String,
    /// Who shares it, if that is not the visitor.
    by: Option<String>,
    is_here: bool,
    is_own: bool,
}

impl ViewLink {
    fn of(view: &View, name: &str, here: &Shown) -> Self {
        Self {
            id: view.id,
            name: view.name.clone(),
            query: Arrangement::<Conversations>::query_of(&view.shown),
            by: (view.creator != name).then(|| view.creator.clone()),
            is_here: view.shown == *here,
            is_own: view.is_own,
        }
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Looking {
    #[serde(flatten)]
    filtering: FilterForm<ConversationFilter>,
    after: Option<String>,
    /// How many conversations were changed just now.
    edited: Option<u64>,
    /// Whether the last of the list was judged just now.
    judged_all: Option<String>,
    /// Whether all that match are counted, however long it takes.
    exact: Option<String>,
}

/// What the manager shows of the store.
struct Seen {
    page: Page,
    facets: Facets,
    matching: Counted,
    chosen: Chosen,
    /// The first questions of those without a title, by the store's numbers.
    questions: HashMap<i64, String>,
    views: Vec<ViewLink>,
}

fn see(
    service: &Service,
    visit: &Visit,
    here: &Shown,
    (after, is_exact): (Option<Cursor>, bool),
) -> Result<Seen, retort_service::Error> {
    let caller = &visit.caller;
    let filter = &here.filter;
    let is_first = after.is_none();
    let page = service.list(caller, filter, here.order.unwrap_or_default(), after, PAGE)?;
    let is_whole = is_first && page.next.is_none();
    let matching = if is_exact {
        Counted { count: service.count(caller, filter)?, is_least: false }
    } else if is_whole {
        Counted { count: page.conversations.len() as u64, is_least: false }
    } else {
        service.count_quickly(caller, filter)?
    };
    let choice = service.choice(caller)?;
    let keys: Vec<i64> = page.conversations.iter().map(|one| one.key).collect();
    let chosen = service.chosen(caller, &choice, filter, matching, &keys)?;
    let questions = service.first_questions(caller, &page.conversations)?;
    let facets = service.facets(caller, filter)?;
    let views = service.views(caller)?;
    let views = views.iter().map(|view| ViewLink::of(view, caller.name(), here)).collect();
    Ok(Seen { page, facets, matching, chosen, questions, views })
}

async fn manager(State(app): State<App>, visit: Visit, Query(looking): Query<Looking>) -> Response {
    let Looking { filtering, after, edited, judged_all, exact } = looking;
    let asked = filtering
        .filter()
        .and_then(|filter| Ok((filter, Arrangement::<Conversations>::of(&filtering)?)));
    let (filter, arrangement) = match asked {
        Ok(asked) => asked,
        Err(problem) => return refused(&visit, filtering, &problem),
    };
    let after = match after.filter(|after| !after.is_empty()).map(|after| after.parse()).transpose()
    {
        Ok(after) => after,
        Err(error) => return trouble(&Problem::bad_request(error)),
    };
    let is_first = after.is_none();
    let mut here = filtering.query();
    if let Some(after) = &after {
        here = format!("{here}&after={after}");
    }
    let is_of_deleted = filter.statuses == [Status::Deleted];
    let frame = visit.frame("export");
    let shown = arrangement.shown(filter);
    let seen =
        app.call(move |service| see(service, &visit, &shown, (after, exact.is_some()))).await;
    let Seen { page, facets, matching, chosen, questions, views } = match seen {
        Ok(seen) => seen,
        Err(problem) => return trouble(&problem),
    };
    let row = |one: &Summary| {
        Row::of(one, arrangement.cells(one), &chosen, questions.get(&one.key), &here)
    };
    let manager = Manager {
        frame,
        facets: facets.fields.iter().filter_map(|one| Facet::of(one, &filtering)).collect(),
        counted: facets.has_more.then(|| count(facets.counted)),
        views,
        query: filtering.query(),
        choices: arrangement.choices(&filtering, LIST),
        filtering,
        rows: page.conversations.iter().map(row).collect(),
        matching: at_least(matching),
        is_least: matching.is_least,
        chosen: at_least(chosen.total),
        hidden: chosen.hidden,
        hidden_shown: count(chosen.hidden),
        next: page.next.map(|next| next.to_string()),
        is_first,
        edited: edited.map(count),
        is_of_deleted,
        judged_all: judged_all.is_some(),
    };
    show(StatusCode::OK, &manager)
}

/// The list without conversations, with what is wrong with its filter beside the search.
fn refused(
    visit: &Visit,
    mut filtering: FilterForm<ConversationFilter>,
    problem: &Problem,
) -> Response {
    filtering.refuse(problem);
    let manager = Manager {
        frame: visit.frame("export"),
        query: filtering.query(),
        filtering,
        choices: Choices::default(),
        rows: Vec::new(),
        facets: Vec::new(),
        views: Vec::new(),
        counted: None,
        matching: count(0),
        is_least: false,
        chosen: count(0),
        hidden: 0,
        hidden_shown: count(0),
        next: None,
        is_first: true,
        edited: None,
        is_of_deleted: false,
        judged_all: false,
    };
    show(status_of(Some(problem)), &manager)
}

#[derive(Template)]
#[template(path = "export_dataset.html")]
struct DatasetForm {
    frame: Frame,
    /// The options that the form shows as the table has them.
    more: Vec<Field>,
    form: Form,
    /// How many conversations are selected.
    total: u64,
    selected: String,
    trouble: Option<String>,
    /// What is wrong with the dataset's name.
    name_trouble: Option<String>,
}

async fn dataset_form(
    State(app): State<App>,
    visit: Visit,
    Query(mut form): Query<Form>,
) -> Response {
    if form.given.is_empty() {
        // The receipt's page lists what it counts.
        form.given.insert("findings".into(), "true".into());
    }
    configure(&app, visit, form, None).await
}

/// The form of the dataset, with what is wrong with it.
async fn configure(app: &App, visit: Visit, form: Form, problem: Option<Problem>) -> Response {
    let frame = visit.frame("export");
    let total = app.call(move |service| {
        let choice = service.choice(&visit.caller)?;
        choice.selection().map_or(Ok(0), |selection| service.count(&visit.caller, &selection))
    });
    let total = match total.await {
        Ok(total) => total,
        Err(problem) => return trouble(&problem),
    };
    let status = status_of(problem.as_ref());
    let text = problem.as_ref().map(|problem| sentence(problem.detail()));
    let is_of_name = problem.is_some_and(|problem| {
        std::ptr::eq(problem.kind(), &kinds::NAME_TAKEN)
            || form.dataset_name.parse::<DatasetName>().is_err()
    });
    let (name_trouble, trouble) = if is_of_name { (text, None) } else { (None, text) };
    let selected = several(total, "conversation");
    let more = options::fields(&form.given, ItemKind::Conversation, OWN);
    let page = DatasetForm { frame, more, form, total, selected, trouble, name_trouble };
    show(status, &page)
}

#[derive(Template)]
#[template(path = "check.html")]
struct Checked {
    frame: Frame,
    form: Form,
    /// The form, as the address has it.
    query: String,
    total: String,
    looked_at: String,
    is_whole: bool,
    found: Vec<Found>,
    hits: Vec<ListedHit>,
    records: Vec<Record>,
}

fn request(form: &Form, choice: &Choice) -> Result<ExportRequest, Problem> {
    let options = wire::Options(options::asked(&form.given)?);
    let dataset = options.plan(&form.dataset_name, ItemKind::Conversation)?;
    let selection = choice
        .selection()
        .ok_or_else(|| Problem::bad_request("Select at least one conversation."))?;
    Ok(ExportRequest { selection: selection.into(), dataset })
}

/// Shows what an export would find, before it is confirmed.
async fn check(State(app): State<App>, visit: Visit, Query(form): Query<Form>) -> Response {
    let caller = visit.caller.clone();
    let choice = match app.call(move |service| service.choice(&caller)).await {
        Ok(choice) => choice,
        Err(problem) => return trouble(&problem),
    };
    let sample = match request(&form, &choice) {
        Ok(request) => {
            let caller = visit.caller.clone();
            app.call(move |service| {
                service.check_name(&caller, &request.dataset.dataset_name)?;
                service.preview_export(&caller, &request)
            })
            .await
        }
        Err(problem) => Err(problem),
    };
    let Sample { preview, looked_at, total } = match sample {
        Ok(sample) => sample,
        Err(problem) => return configure(&app, visit, form, Some(problem)).await,
    };
    let page = Checked {
        frame: visit.frame("export"),
        query: form.query(),
        form,
        total: several(total, "conversation"),
        looked_at: count(looked_at),
        is_whole: looked_at >= total,
        found: found(&preview.found.account),
        hits: preview.found.hits,
        records: readable(&preview.records),
    };
    show(StatusCode::OK, &page)
}

async fn confirm(State(app): State<App>, Posted { visit, form }: Posted<Form>) -> Response {
    let caller = visit.caller.clone();
    let given = form.clone();
    let choice = match app.call(move |service| service.choice(&caller)).await {
        Ok(choice) => choice,
        Err(problem) => return trouble(&problem),
    };
    let submitted = match request(&given, &choice) {
        Ok(request) => {
            let caller = visit.caller.clone();
            app.call(move |service| service.submit_export(&caller, &request)).await
        }
        Err(problem) => Err(problem),
    };
    match submitted {
        Ok(id) => see_other(&format!("/exports/{id}"), None),
        Err(problem) => configure(&app, visit, form, Some(problem)).await,
    }
}

#[derive(Template)]
#[template(path = "progress.html")]
struct Progress {
    frame: Frame,
    id: i64,
    name: String,
    state: String,
    is_ended: bool,
    is_completed: bool,
    can_retry: bool,
    percent: u64,
    total: String,
    records: String,
    /// What it is made of.
    items: &'static str,
    error: Option<String>,
    is_handed_over: bool,
    dataset: Option<Finished>,
}

/// The dataset that came of it.
struct Finished {
    id: i64,
    size: String,
    records: String,
    found: Vec<Found>,
    preview: Vec<Record>,
}

/// Whether a dataset is to be handed to the person as soon as it is made.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Handing {
    hand: String,
}

async fn progress(
    State(app): State<App>,
    visit: Visit,
    Path(id): Path<i64>,
    Query(handing): Query<Handing>,
) -> Response {
    let frame = visit.frame("export");
    let seen = app.call(move |service| {
        let job = service.job_of(&visit.caller, JobKind::Export, id)?;
        let dataset = match job.dataset {
            // One that was deleted since is gone.
            Some(dataset) => service.dataset(&visit.caller, dataset).ok(),
            None => None,
        };
        let mut written = None;
        let finished = match dataset {
            Some(dataset) => {
                let mut package = service.open_dataset(&dataset)?;
                let counts = package.manifest().counts();
                written = Some(counts.map(|(_, counts)| counts.written).sum::<u64>());
                let preview = preview_package(&mut package)?;
                Some(Finished {
                    id: dataset.id,
                    size: bytes(dataset.bytes),
                    records: count(dataset.records),
                    found: receipt(dataset.id, package.manifest()),
                    preview: readable(&preview),
                })
            }
            None => None,
        };
        Ok((job, finished, written))
    });
    let (job, dataset, written) = match seen.await {
        Ok(seen) => seen,
        Err(problem) => return trouble(&problem),
    };
    let progress = &job.progress;
    let page = Progress {
        frame,
        id,
        name: job.name.clone(),
        state: match job.state {
            JobState::Completed => "Done.".into(),
            JobState::CompletedWithSkips => {
                let left = progress.items_total.saturating_sub(written.unwrap_or(0));
                let total = count(progress.items_total);
                format!("Done. {} of {total} {} were skipped.", count(left), job.items.plural())
            }
            state => capital(&state.to_string().replace('_', " ")),
        },
        is_ended: job.state.is_ended(),
        is_completed: matches!(job.state, JobState::Completed | JobState::CompletedWithSkips),
        can_retry: job.state.has_failed(),
        percent: percent(progress.bytes_done, progress.bytes_total),
        total: count(progress.items_total),
        records: count(progress.records),
        items: job.items.plural(),
        is_handed_over: handing.hand == "over",
        error: job.error.as_deref().map(sentence),
        dataset,
    };
    show(StatusCode::OK, &page)
}

async fn cancel(
    State(app): State<App>,
    Path(id): Path<i64>,
    Posted { visit, .. }: Posted<Nothing>,
) -> Response {
    let done = app.call(move |service| service.cancel(&visit.caller, id, JobKind::Export));
    match done.await {
        Ok(_) => see_other(&format!("/exports/{id}"), None),
        Err(problem) => trouble(&problem),
    }
}

async fn retry(
    State(app): State<App>,
    Path(id): Path<i64>,
    Posted { visit, .. }: Posted<Nothing>,
) -> Response {
    let done = app.call(move |service| service.retry(&visit.caller, id, JobKind::Export));
    match done.await {
        Ok(_) => see_other(&format!("/exports/{id}"), None),
        Err(problem) => trouble(&problem),
    }
}
