//! Two datasets side by side: which records both have, which only one has and why, and where their receipts differ.

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::get;
use retort_model::bounds::PAGE_ITEMS;
use retort_model::{ItemKind, Reason};
use retort_service::package::Finding;
use retort_service::{
    About, Dataset, Diff, EngineError, Error, Manifest, Nobody, ReceiptChange, Stop, diff,
};
use serde::Deserialize;

use super::addresses::conversation;
use super::display::{capital, count, moment, quoted};
use super::frame::{Frame, Visit};
use super::response::{show, trouble};
use super::taken::{Path, Query};
use crate::app::App;

/// Bytes of records of two datasets, unpacked, that are compared while a person waits; larger ones are for the command line.
const COMPARED: u64 = 512 * 1024 * 1024;

/// Records that a line names.
const NAMED: usize = 10;

/// Fields of receipts that are shown.
const FIELDS: usize = 100;

pub(super) fn routes() -> Router<App> {
    Router::new().route("/datasets/{id}/compare", get(compare))
}

/// What to compare with.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    with: String,
}

/// A dataset to compare with.
struct Other {
    id: i64,
    name: String,
    is_chosen: bool,
}

/// Records of one change, for one reason.
struct Line {
    why: String,
    number: String,
    /// The first of them: address, empty where there is no page, and id.
    named: Vec<(String, String)>,
    has_more: bool,
}

/// What became of records.
struct Group {
    title: &'static str,
    about: &'static str,
    number: String,
    lines: Vec<Line>,
}

impl Group {
    fn of(title: &'static str, about: &'static str, found: &[Finding], link: bool) -> Self {
        let line = |one: &Finding| {
            let address = |id: &String| if link { conversation(id) } else { String::new() };
            let named = one.first_ids.iter().take(NAMED).map(|id| (address(id), id.clone()));
            let named: Vec<_> = named.collect();
            Line {
                why: why(&one.kind),
                number: count(one.count),
                has_more: one.count > named.len() as u64,
                named,
            }
        };
        Self {
            title,
            about,
            number: count(found.iter().map(|one| one.count).sum()),
            lines: found.iter().map(line).collect(),
        }
    }
}

/// A reason in words, where it is one of ours.
fn why(kind: &str) -> String {
    quoted(&kind.parse().map_or_else(|_| kind.to_owned(), |reason: Reason| reason.words().into()))
}

/// What was found.
struct Found {
    /// The second dataset: number and name.
    other: (i64, String),
    records: [String; 2],
    same: String,
    groups: Vec<Group>,
    /// Fields of the receipts that differ, with what each says.
    fields: Vec<ReceiptChange>,
    /// How many more differ: mostly numbers of what is said above.
    more: String,
}

impl Found {
    fn of(found: Diff, manifest: &Manifest, other: Dataset) -> Self {
        // Ids of runs say nothing of their copilot or recipe, so that nothing leads to them.
        let link = manifest.counts().all(|(kind, _)| kind == ItemKind::Conversation);
        let groups = vec![
            Group::of("Added", "only in the second", &found.added, link),
            Group::of("Gone", "only in the first", &found.gone, link),
            Group::of("Changed", "in both, with different content", &found.changed, link),
            Group::of(
                "Moved",
                "same content, but in another output of the split",
                &found.moved,
                link,
            ),
        ];
        let all = found.receipts.len();
        let is_shown = |one: &ReceiptChange| one.about() != About::Counts;
        let fields: Vec<_> = found.receipts.into_iter().filter(is_shown).take(FIELDS).collect();
        Self {
            other: (other.id, other.name),
            records: found.records.map(count),
            same: count(found.same),
            groups,
            more: match all - fields.len() {
                0 => String::new(),
                more => count(more as u64),
            },
            fields,
        }
    }
}

#[derive(Template)]
#[template(path = "comparison.html")]
struct Page {
    frame: Frame,
    id: i64,
    name: String,
    others: Vec<Other>,
    found: Option<Found>,
    /// Why they are not compared here.
    trouble: Option<String>,
}

/// What the page shows of the store.
struct Seen {
    dataset: Dataset,
    others: Vec<Dataset>,
    found: Option<Found>,
    trouble: Option<String>,
}

async fn compare(
    State(app): State<App>,
    visit: Visit,
    Path(id): Path<i64>,
    Query(asked): Query<Asked>,
) -> Response {
    let frame = visit.frame("datasets");
    let with: Option<i64> = asked.with.trim().parse().ok();
    let seen = app.call(move |service| {
        let caller = &visit.caller;
        let dataset = service.dataset(caller, id)?;
        let (mut others, _) = service.dataset_page(caller, false, None, PAGE_ITEMS)?;
        others.retain(|one| one.id != id);
        let Some(with) = with else {
            return Ok(Seen { dataset, others, found: None, trouble: None });
        };
        let other = service.dataset(caller, with)?;
        let (mut before, mut after) =
            (service.open_dataset(&dataset)?, service.open_dataset(&other)?);
        let stop = Stop::current();
        let mut list = |_: &_| Ok(());
        let found = match diff(&mut before, &mut after, COMPARED, (&Nobody, stop.flag()), &mut list)
        {
            Ok(found) => Ok(Some(Found::of(found, before.manifest(), other))),
            Err(EngineError::Choice(why)) => {
                Err(format!("{}. Compare them with `retort datasets diff`.", capital(&why)))
            }
            Err(error) => return Err(Error::from(error)),
        };
        let (found, trouble) = found.map_or_else(|why| (None, Some(why)), |found| (found, None));
        Ok(Seen { dataset, others, found, trouble })
    });
    let Seen { dataset, others, found, trouble: problem } = match seen.await {
        Ok(seen) => seen,
        Err(problem) => return trouble(&problem),
    };
    let other = |one: Dataset| Other {
        id: one.id,
        is_chosen: Some(one.id) == with,
        name: format!("{} ({}, {})", one.name, one.data_format, moment(one.created_at)),
    };
    let page = Page {
        frame,
        id: dataset.id,
        name: dataset.name,
        others: others.into_iter().map(other).collect(),
        found,
        trouble: problem.map(|problem| quoted(&problem)),
    };
    show(StatusCode::OK, &page)
}
