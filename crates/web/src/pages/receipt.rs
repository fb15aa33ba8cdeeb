//! Receipts: what became of the items of an export, number by number, each with the list of what it counts.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use retort_model::{Account, ItemKind, Reason, Repair, Warning};
use retort_service::package::{FINDINGS, List, REJECTS};
use retort_service::{Lines, Manifest, lines_of};
use serde::Deserialize;

use super::addresses::conversation;
use super::display::{capital, count, quoted};
use super::frame::{Frame, Visit};
use super::paging::Paging;
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

/// A line of what a check or an export found.
pub(super) struct Found {
    pub(super) words: String,
    pub(super) number: String,
    /// How it weighs: `good`, `warn`, `bad`, or nothing.
    pub(super) weight: &'static str,
    /// Where the records are that it counts; empty if nowhere.
    pub(super) link: String,
    /// The first of them, by address and id, where no list has them all.
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

    /// With the first of its items, if they are conversations and no list has them.
    fn such_as(mut self, item: Option<ItemKind>, ids: &[String]) -> Self {
        if self.link.is_empty() && item == Some(ItemKind::Conversation) {
            let first = ids.iter().take(EXAMPLES);
            self.examples = first.map(|id| (conversation(id), id.clone())).collect();
        }
        self
    }
}

/// What a check says of conversations, line by line.
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

/// What a receipt says, line by line; `id` is that of the dataset.
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
        lines.push(Found::new("Deleted, not selected", deleted, "warn"));
    }
    let not_sampled = manifest.selection.not_sampled;
    if not_sampled > 0 {
        lines.push(Found::new("Not in the sample, not selected", not_sampled, ""));
    }
    let shown = format!("/datasets/{id}#records");
    for (kind, counts) in manifest.counts() {
        lines.push(Found::new("Selected", counts.selected, ""));
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
    // Findings do not say of which kind of item they are.
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
    lines.push(Found::new("Records", records.written, "").at(shown));
    lines
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
}

impl ItemRow {
    fn of(line: &str) -> Self {
        let line: Line = serde_json::from_str(line).unwrap_or_default();
        let encoded = |id: &String| utf8_percent_encode(id, NON_ALPHANUMERIC).to_string();
        let path = match (&line.conversation_id, &line.document_id) {
            (Some(id), _) => conversation(id),
            (None, Some(id)) => format!("/documents/{}", encoded(id)),
            (None, None) => String::new(),
        };
        let name = line.conversation_id.or(line.request_id).or(line.document_id);
        let message = line.message.map(|message| format!("message {}", message.saturating_add(1)));
        let times = line.count.map(|count| format!("{count} times"));
        let detail = [line.detail, message, times].into_iter().flatten().collect::<Vec<_>>();
        Self {
            name: name.unwrap_or_else(|| "not readable".into()),
            path,
            part: line.part.unwrap_or_default(),
            reason: quoted(&in_words(&line.reason.unwrap_or(line.kind))),
            detail: detail.join(" · "),
        }
    }
}

#[derive(Template)]
#[template(path = "counted.html")]
struct CountedPage {
    frame: Frame,
    id: i64,
    name: String,
    title: &'static str,
    /// What was asked for, in words.
    about: String,
    rows: Vec<ItemRow>,
    paging: Paging,
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
    };
    let query = vec![("list", sought.list), ("kind", sought.kind.clone())];
    let about = quoted(&in_words(&sought.kind));
    let listing = Listing { id, title, about, path: "findings", query };
    list(&app, visit, listing, sought.after, move |after, package| {
        lines_of(package, Lines::Findings(list_of, &sought.kind), after, PAGE)
    })
    .await
}

/// What a page lists of a dataset.
struct Listing {
    id: i64,
    title: &'static str,
    about: String,
    path: &'static str,
    query: Vec<(&'static str, String)>,
}

impl Listing {
    /// The address of the first page.
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
        rows: lines.iter().map(|line| ItemRow::of(line)).collect(),
    };
    show(StatusCode::OK, &page)
}
