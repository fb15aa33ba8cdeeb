//! Receipts: what happened to the items of an export, number by number, each with the list of the items that it counts.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use retort_model::{Account, ConversationFilter, ItemKind, Reason, Repair, Status, Warning};
use retort_service::package::{FINDINGS, List, REJECTS};
use retort_service::{FrozenItem, Lines, Manifest, lines_of};
use serde::Deserialize;

use super::addresses::conversation;
use super::display::{capital, count, quoted, several};
use super::filter_form::FilterForm;
use super::frame::{Frame, Visit};
use super::paging::Paging;
use super::records::{Record, Turn, readable};
use super::response::{show, trouble};
use super::taken::{Path, Query};
use crate::app::App;
use crate::problem::Problem;

/// Items that a page lists.
const PAGE: usize = 100;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/datasets/{id}/left-out", get(left_out))
        .route("/datasets/{id}/findings", get(findings))
        .route("/datasets/{id}/items", get(items))
        .route("/datasets/{id}/repair", get(repair))
}

/// A finding's kind as people read it.
fn in_words(kind: &str) -> String {
    let words = kind
        .parse::<Reason>()
        .map(Reason::words)
        .or_else(|_| kind.parse::<Repair>().map(Repair::words))
        .or_else(|_| kind.parse::<Warning>().map(Warning::words));
    words.map_or_else(|_| kind.replace('-', " "), str::to_owned)
}

/// A line in the results of a check or an export.
pub(super) struct Found {
    pub(super) words: String,
    pub(super) number: String,
    /// How serious it is: `good`, `warn`, `bad`, or nothing.
    pub(super) weight: &'static str,
    /// The URL of the list of what it counts; empty if there is none.
    pub(super) link: String,
    /// The first of them, with URL and id, if there is no list of all.
    pub(super) examples: Vec<(String, String)>,
}

/// Examples that a line shows.
const EXAMPLES: usize = 3;

impl Found {
    pub(super) fn new(words: impl Into<String>, number: u64, weight: &'static str) -> Self {
        let (link, examples) = (String::new(), Vec::new());
        Self { words: words.into(), number: count(number), weight, link, examples }
    }

    fn at(self, link: String) -> Self {
        Self { link, ..self }
    }

    /// Adds the first of its items as examples, if they are conversations and there is no list of them.
    fn such_as(mut self, item: Option<ItemKind>, ids: &[String]) -> Self {
        if self.link.is_empty() && item == Some(ItemKind::Conversation) {
            let first = ids.iter().take(EXAMPLES);
            self.examples = first.map(|id| (conversation(id), id.clone())).collect();
        }
        self
    }
}

/// The results of a check, line by line.
pub(super) fn found(account: &Account) -> Vec<Found> {
    let item = Some(ItemKind::Conversation);
    let written = format!("{}s written", capital(account.noun()));
    let mut lines = vec![Found::new(written, account.written, "good")];
    for (reason, number, ids) in account.left_out.iter() {
        let words = format!("Left out: {}", quoted(reason.words()));
        lines.push(Found::new(words, number, "bad").such_as(item, ids));
    }
    for (repair, number, ids) in account.repaired.iter() {
        let words = format!("Repaired: {}", quoted(repair.words()));
        lines.push(Found::new(words, number, "warn").such_as(item, ids));
    }
    for (warning, number, ids) in account.warned.iter() {
        let words = format!("Note: {}", quoted(warning.words()));
        lines.push(Found::new(words, number, "warn").such_as(item, ids));
    }
    for (rule, redacted) in &account.redacted {
        let (items, noun) = (redacted.items, account.noun());
        let plural = if items == 1 { "" } else { "s" };
        let words = format!("Redacted: {rule}, in {items} {noun}{plural}");
        lines.push(Found::new(words, redacted.hits, "good"));
    }
    lines.push(Found::new("Records", account.records, ""));
    lines
}

/// A receipt, line by line; `id` is the dataset's.
pub(super) fn receipt(id: i64, manifest: &Manifest) -> Vec<Found> {
    let records = &manifest.records;
    // Packages of earlier releases have no list of findings.
    let has = |name| manifest.files.iter().any(|file| file.path == name);
    let listed = |file, path: &str| match has(file) {
        true => format!("/datasets/{id}/{path}"),
        false => String::new(),
    };
    let mut lines = Vec::new();
    let deleted = manifest.selection.deleted_left_out;
    if deleted > 0 {
        lines.push(Found::new("Deleted, not selected", deleted, "warn").at(deleted_list(manifest)));
    }
    let not_sampled = manifest.selection.not_sampled;
    if not_sampled > 0 {
        let link = format!("/datasets/{id}/items?list=not-sampled");
        lines.push(Found::new("Not in the sample", not_sampled, "").at(link));
    }
    let shown = format!("/datasets/{id}#records");
    for (kind, counts) in manifest.counts() {
        let link = format!("/datasets/{id}/items");
        lines.push(Found::new("Selected", counts.selected, "").at(link));
        let written = format!("{} written", capital(kind.plural()));
        lines.push(Found::new(written, counts.written, "good").at(shown.clone()));
        for one in &counts.left_out_by_reason {
            let words = format!("Left out: {}", quoted(&in_words(&one.kind)));
            let link = listed(REJECTS, &format!("left-out?reason={}", one.kind));
            lines.push(
                Found::new(words, one.count, "bad").at(link).such_as(Some(kind), &one.first_ids),
            );
        }
    }
    // Findings do not have the kind of their item.
    let kinds: Vec<_> = manifest.counts().map(|(kind, _)| kind).collect();
    let only = if let [only] = *kinds { Some(only) } else { None };
    let findings = [
        (List::Repaired, "Repaired", &records.repaired_by_kind),
        (List::WouldBeRefused, "Note", &records.would_be_refused),
        (List::Warning, "Note", &records.warnings),
    ];
    for (list, name, kinds) in findings {
        for one in kinds {
            let words = format!("{name}: {}", quoted(&in_words(&one.kind)));
            let link =
                listed(FINDINGS, &format!("findings?list={}&kind={}", list.as_str(), one.kind));
            lines.push(Found::new(words, one.count, "warn").at(link).such_as(only, &one.first_ids));
        }
    }
    for one in manifest.redaction.iter().flat_map(|redaction| &redaction.found) {
        let words = format!("Redacted: {}, in {}", one.rule, several(one.items, "item"));
        let rule = utf8_percent_encode(&one.rule, NON_ALPHANUMERIC);
        let list = List::Redacted.as_str();
        let link = listed(FINDINGS, &format!("findings?list={list}&kind={rule}"));
        lines.push(Found::new(words, one.hits, "good").at(link));
    }
    lines.push(Found::new("Records", records.written, "").at(shown));
    lines
}

/// The URL of the list of deleted conversations that the selection of a dataset otherwise matches; empty if the
/// selection was not a filter.
fn deleted_list(manifest: &Manifest) -> String {
    let fields = serde_json::Value::Object(manifest.selection.fields.clone());
    let Ok(filter) = serde_json::from_value::<ConversationFilter>(fields) else {
        return String::new();
    };
    let deleted = ConversationFilter { statuses: vec![Status::Deleted], ..filter };
    format!("/export?{}", FilterForm::query_of(&deleted))
}

/// One line of `rejects.jsonl` or `findings.jsonl`.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Line {
    conversation_id: Option<String>,
    request_id: Option<String>,
    document_id: Option<String>,
    part: Option<String>,
    reason: Option<String>,
    finding: String,
    kind: String,
    message: Option<u64>,
    count: Option<u64>,
    detail: Option<String>,
}

/// An item, as the page lists it.
struct ItemRow {
    name: String,
    path: String,
    part: String,
    reason: String,
    detail: String,
    /// The URL of the page that shows it before and after its repair; empty if it was not repaired.
    repair: String,
}

impl ItemRow {
    /// The row of an item that a dataset was made from.
    fn of_item(one: &FrozenItem) -> Self {
        let reason = if one.has_record { "Written" } else { "Not written" };
        Self {
            path: path_of(one.kind, &one.id),
            name: one.id.clone(),
            part: String::new(),
            reason: reason.into(),
            detail: String::new(),
            repair: String::new(),
        }
    }

    /// The row of a line of `rejects.jsonl` or `findings.jsonl`.
    fn of(line: &str, dataset: i64) -> Self {
        let line: Line = serde_json::from_str(line).unwrap_or_default();
        let kinds = [
            (ItemKind::Conversation, line.conversation_id),
            (ItemKind::Run, line.request_id),
            (ItemKind::Document, line.document_id),
        ];
        let item = kinds.into_iter().find_map(|(kind, id)| Some((kind, id?)));
        let path = item.as_ref().map(|(kind, id)| path_of(*kind, id)).unwrap_or_default();
        let repair = item.as_ref().filter(|_| line.finding == List::Repaired.as_str());
        let repair = repair.map(|(kind, id)| {
            let id = utf8_percent_encode(id, NON_ALPHANUMERIC);
            format!("/datasets/{dataset}/repair?kind={}&item={id}", kind.as_str())
        });
        let name = item.map(|(_, id)| id);
        let message = line.message.map(|message| format!("message {}", message.saturating_add(1)));
        let times = line.count.map(|count| format!("{count} times"));
        let detail = [line.detail, message, times].into_iter().flatten().collect::<Vec<_>>();
        Self {
            name: name.unwrap_or_else(|| "not readable".into()),
            path,
            part: line.part.unwrap_or_default(),
            reason: quoted(&in_words(&line.reason.unwrap_or(line.kind))),
            detail: detail.join(" · "),
            repair: repair.unwrap_or_default(),
        }
    }
}

/// The page of an item.
fn path_of(kind: ItemKind, id: &str) -> String {
    match kind {
        ItemKind::Conversation => conversation(id),
        ItemKind::Run => format!("/runs/{}", utf8_percent_encode(id, NON_ALPHANUMERIC)),
        ItemKind::Document => format!("/documents/{}", utf8_percent_encode(id, NON_ALPHANUMERIC)),
    }
}

#[derive(Template)]
#[template(path = "counted.html")]
struct CountedPage {
    frame: Frame,
    id: i64,
    name: String,
    title: &'static str,
    /// What the page lists, in words.
    about: String,
    /// The heading of the column with what the rows say about an item.
    column: &'static str,
    rows: Vec<ItemRow>,
    paging: Paging,
}

impl CountedPage {
    fn has_parts(&self) -> bool {
        self.rows.iter().any(|row| !row.part.is_empty())
    }

    fn has_details(&self) -> bool {
        self.rows.iter().any(|row| !row.detail.is_empty() || !row.repair.is_empty())
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Sought {
    reason: String,
    after: usize,
}

async fn left_out(
    State(app): State<App>,
    visit: Visit,
    Path(id): Path<i64>,
    Query(sought): Query<Sought>,
) -> Response {
    let about = match &*sought.reason {
        "" => "All reasons".into(),
        reason => quoted(&in_words(reason)),
    };
    let query = vec![("reason", sought.reason.clone())];
    let listing = Listing { id, title: "Left out", about, path: "left-out", query };
    list(&app, visit, listing, sought.after, move |after, package| {
        let reason = Some(&*sought.reason).filter(|reason| !reason.is_empty());
        lines_of(package, Lines::LeftOut(reason), after, PAGE)
    })
    .await
}

#[derive(Debug, Deserialize)]
struct SoughtFindings {
    list: String,
    kind: String,
    #[serde(default)]
    after: usize,
}

async fn findings(
    State(app): State<App>,
    visit: Visit,
    Path(id): Path<i64>,
    Query(sought): Query<SoughtFindings>,
) -> Response {
    let list_of: List = match sought.list.parse() {
        Ok(list) => list,
        Err(error) => return trouble(&Problem::bad_request(format!("in the query: {error}"))),
    };
    let title = match list_of {
        List::Repaired => "Repaired",
        List::WouldBeRefused => "Not repaired",
        List::Warning => "Notes",
        List::Redacted => "Redacted",
    };
    let query = vec![("list", sought.list), ("kind", sought.kind.clone())];
    let about = match list_of {
        List::Redacted => sought.kind.clone(),
        _ => quoted(&in_words(&sought.kind)),
    };
    let listing = Listing { id, title, about, path: "findings", query };
    list(&app, visit, listing, sought.after, move |after, package| {
        lines_of(package, Lines::Findings(list_of, &sought.kind), after, PAGE)
    })
    .await
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct SoughtItems {
    /// `not-sampled`, or nothing for the selected items.
    list: String,
    after: Option<i64>,
}

async fn items(
    State(app): State<App>,
    visit: Visit,
    Path(id): Path<i64>,
    Query(sought): Query<SoughtItems>,
) -> Response {
    let frame = visit.frame("datasets");
    let not_sampled = sought.list == NOT_SAMPLED;
    let seen = app.call(move |service| {
        let dataset = service.dataset(&visit.caller, id)?;
        let page = (sought.after.unwrap_or(-1), PAGE);
        let (items, next) = service.items_of(&dataset, not_sampled, page)?;
        Ok((dataset.name, items, next))
    });
    let (name, items, next) = match seen.await {
        Ok(seen) => seen,
        Err(problem) => return trouble(&problem),
    };
    let (title, about, query) = match not_sampled {
        true => {
            ("Not in the sample", "Selected, but not drawn", vec![("list", NOT_SAMPLED.into())])
        }
        false => ("Selected", "Items that the dataset was made from", Vec::new()),
    };
    let listing = Listing { id, title, about: about.into(), path: "items", query };
    let next = next.and_then(|next| usize::try_from(next).ok());
    let page = CountedPage {
        frame,
        id,
        name,
        paging: Paging::of(&listing.address(), sought.after.is_none(), next),
        title,
        about: listing.about,
        column: "Outcome",
        rows: items.iter().map(ItemRow::of_item).collect(),
    };
    show(StatusCode::OK, &page)
}

/// The name of the list of items that are not in the sample.
const NOT_SAMPLED: &str = "not-sampled";

/// One side of a repair: the turns of its records, and for each turn whether it is missing on the other side.
struct Side {
    title: &'static str,
    records: Vec<Vec<(Turn, bool)>>,
}

#[derive(Template)]
#[template(path = "repair.html")]
struct RepairPage {
    frame: Frame,
    id: i64,
    name: String,
    item: String,
    path: String,
    sides: [Side; 2],
}

#[derive(Debug, Deserialize)]
struct SoughtRepair {
    kind: String,
    item: String,
}

async fn repair(
    State(app): State<App>,
    visit: Visit,
    Path(id): Path<i64>,
    Query(sought): Query<SoughtRepair>,
) -> Response {
    let kind: ItemKind = match sought.kind.parse() {
        Ok(kind) => kind,
        Err(error) => return trouble(&Problem::bad_request(format!("in the query: {error}"))),
    };
    let frame = visit.frame("datasets");
    let item = sought.item;
    let seen = app.answer(move |service| {
        let dataset = service.dataset(&visit.caller, id)?;
        let [before, after] = service.repairs_of(&visit.caller, &dataset, (kind, &item))?;
        let (before, after) = (readable(&before), readable(&after));
        let sides = [
            Side { title: "Before", records: marked(before.iter().collect(), &after) },
            Side { title: "After", records: marked(after.iter().collect(), &before) },
        ];
        let path = path_of(kind, &item);
        Ok(show(StatusCode::OK, &RepairPage { frame, id, name: dataset.name, item, path, sides }))
    });
    seen.await.unwrap_or_else(|problem| trouble(&problem))
}

/// The turns of records, each with whether it is missing on the other side.
fn marked(records: Vec<&Record>, others: &[Record]) -> Vec<Vec<(Turn, bool)>> {
    let mark = |turn: &Turn| {
        let is_there = others.iter().flat_map(|one| &one.turns).any(|other| other == turn);
        (turn.clone(), !is_there)
    };
    records.into_iter().map(|record| record.turns.iter().map(mark).collect()).collect()
}

/// Which list of a dataset a page shows.
struct Listing {
    id: i64,
    title: &'static str,
    about: String,
    path: &'static str,
    query: Vec<(&'static str, String)>,
}

impl Listing {
    /// The URL of the first page.
    fn address(&self) -> String {
        let mut query = url::form_urlencoded::Serializer::new(String::new());
        query.extend_pairs(&self.query);
        format!("/datasets/{}/{}?{}", self.id, self.path, query.finish())
    }
}

async fn list(
    app: &App,
    visit: Visit,
    listing: Listing,
    after: usize,
    read: impl FnOnce(
        usize,
        &mut retort_service::Package,
    ) -> Result<(Vec<String>, bool), retort_service::EngineError>
    + Send
    + 'static,
) -> Response {
    let frame = visit.frame("datasets");
    let id = listing.id;
    let seen = app.call(move |service| {
        let dataset = service.dataset(&visit.caller, id)?;
        let mut package = service.open_dataset(&dataset)?;
        let (lines, has_more) = read(after, &mut package)?;
        Ok((dataset.name, lines, has_more))
    });
    let (name, lines, has_more) = match seen.await {
        Ok(seen) => seen,
        Err(problem) => return trouble(&problem),
    };
    let page = CountedPage {
        frame,
        id,
        name,
        paging: Paging::of(&listing.address(), after == 0, has_more.then_some(after + lines.len())),
        title: listing.title,
        about: listing.about,
        column: "Reason",
        rows: lines.iter().map(|line| ItemRow::of(line, id)).collect(),
    };
    show(StatusCode::OK, &page)
}
