//! The selection of the Export Manager: made row by row or by filters, and what is done with all of it at once.

use std::collections::BTreeSet;

use axum::Router;
use axum::extract::State;
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use retort_model::ConversationFilter;
use retort_service::{Choice, Chosen, Edit, Service};
use serde::{Deserialize, Serialize};

use super::arrangement::Arrangement;
use super::columns::Conversations;
use super::datasets::Ask;
use super::display::{at_least, count};
use super::filter_form::FilterForm;
use super::frame::{Nothing, Posted, Visit, wants_json};
use super::response::{see_other, show, trouble};
use super::taken::{Path, tags};
use crate::app::App;
use crate::extract::Json;
use crate::problem::Problem;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/export/choose", post(choose))
        .route("/export/delete", get(ask).post(delete))
        .route("/export/views", post(save_view))
        .route("/export/views/{id}/delete", post(delete_view))
}

/// What is to be chosen, or to be done with what is.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Choosing {
    /// `all`, `none`, or else the rows as they are marked; then the others go on.
    action: String,
    /// The rows that the page shows.
    shown: Vec<String>,
    /// Those of them that are marked.
    id: Vec<String>,
    after: Option<String>,
    next: Option<String>,
    /// How many are to be selected at random.
    sample: String,
    /// The tags to add or remove, with commas between them.
    tag_names: String,
    #[serde(flatten)]
    filtering: FilterForm<ConversationFilter>,
}

impl Choosing {
    /// What is to be done with all that is chosen.
    fn edit(&self) -> Result<Option<Edit>, Problem> {
        let tags = || match tags(&self.tag_names) {
            tags if tags.is_empty() => Err(Problem::bad_request("Enter at least one tag.")),
            tags => Ok(tags),
        };
        Ok(Some(match self.action.as_str() {
            "favorite" => Edit::Favorite(true),
            "unfavorite" => Edit::Favorite(false),
            "restore" => Edit::Restore,
            "tag" => Edit::Tags { add: tags()?, remove: Vec::new() },
            "untag" => Edit::Tags { add: Vec::new(), remove: tags()? },
            _ => return Ok(None),
        }))
    }

    /// Where to go once it is chosen; `edited` is how many conversations were changed.
    fn goes_to(&self, edited: Option<u64>) -> String {
        match self.action.as_str() {
            "export" => return "/export/dataset".into(),
            "delete" => return "/export/delete".into(),
            _ => {}
        }
        let mut query = url::form_urlencoded::Serializer::new(self.filtering.query());
        let after = if self.action == "next" { &self.next } else { &self.after };
        if let Some(after) = after.as_ref().filter(|after| !after.is_empty()) {
            query.append_pair("after", after);
        }
        if let Some(edited) = edited {
            query.append_pair("edited", &edited.to_string());
        }
        format!("/export?{}", query.finish())
    }
}

/// How a choice stands, for the page's script.
#[derive(Serialize)]
struct Standing {
    /// In words, such as `12,345` or `at least 1,234`.
    chosen: String,
    hidden: u64,
    matching: String,
}

async fn choose(
    State(app): State<App>,
    headers: HeaderMap,
    Posted { visit, form }: Posted<Choosing>,
) -> Response {
    let asked = form.filtering.filter().and_then(|filter| Ok((filter, form.edit()?)));
    let (filter, edit) = match asked {
        Ok(asked) => asked,
        Err(problem) => return trouble(&problem),
    };
    let wants_json = wants_json(&headers);
    let changed = app.call(move |service| {
        let caller = &visit.caller;
        let choice = chosen(service, &visit, &form, &filter)?;
        let mut edited = None;
        if let Some(edit) = edit {
            let selection = choice.selection();
            let number = selection.map_or(Ok(0), |one| service.edit(caller, &one, &edit))?;
            edited = Some(number);
        }
        let to = form.goes_to(edited);
        if !wants_json {
            return Ok((to, None));
        }
        let matching = service.count_quickly(caller, &filter)?;
        let Chosen { total, hidden, .. } =
            service.chosen(caller, &choice, &filter, matching, &[])?;
        let [chosen, matching] = [total, matching].map(at_least);
        Ok((to, Some(Standing { chosen, hidden, matching })))
    });
    match changed.await {
        Ok((_, Some(standing))) => Json(standing).into_response(),
        Ok((to, None)) => see_other(&to, None),
        Err(problem) if wants_json => problem.into_response(),
        Err(problem) => trouble(&problem),
    }
}

/// The choice once the form's part of it is made.
fn chosen(
    service: &Service,
    visit: &Visit,
    form: &Choosing,
    filter: &ConversationFilter,
) -> Result<Choice, retort_service::Error> {
    let caller = &visit.caller;
    match form.action.as_str() {
        "all" => return service.choose_all(caller, filter),
        "none" => return service.choose_none(caller),
        "sample" => {
            let number = form.sample.trim().parse().unwrap_or(0);
            return service.choose_sample(caller, filter, number);
        }
        _ => {}
    }
    let marked: BTreeSet<String> = form.id.iter().cloned().collect();
    let others = form.shown.iter().filter(|id| !marked.contains(*id)).cloned();
    let others: BTreeSet<String> = others.collect();
    if !marked.is_empty() {
        service.choose(caller, &marked, true)?;
    }
    match others.is_empty() {
        true => service.choice(caller),
        false => service.choose(caller, &others, false),
    }
}

/// Asks before what is selected is deleted.
async fn ask(State(app): State<App>, visit: Visit) -> Response {
    let frame = visit.frame("export");
    let total = app.call(move |service| {
        let choice = service.choice(&visit.caller)?;
        choice.selection().map_or(Ok(0), |selection| service.count(&visit.caller, &selection))
    });
    let total = match total.await {
        Ok(0) => return trouble(&Problem::bad_request("Select at least one conversation.")),
        Ok(total) => total,
        Err(problem) => return trouble(&problem),
    };
    let noun = if total == 1 { "conversation" } else { "conversations" };
    let page = Ask {
        frame,
        question: format!("Delete {} {noun}?", count(total)),
        text: "Deleted conversations disappear from lists, exports and public links. To bring them back, filter by \
               the status deleted, select them and choose Restore."
            .into(),
        action: "/export/delete".into(),
        words: "Delete",
        back: "/export".into(),
    };
    show(StatusCode::OK, &page)
}

/// A filter to keep under a name, with the order and columns of its list.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct NewView {
    view_name: String,
    shared: Option<String>,
    #[serde(flatten)]
    filtering: FilterForm<ConversationFilter>,
}

async fn save_view(State(app): State<App>, Posted { visit, form }: Posted<NewView>) -> Response {
    let to = format!("/export?{}", form.filtering.query());
    let filter = form.filtering.filter();
    let shown = filter
        .and_then(|filter| Ok(Arrangement::<Conversations>::of(&form.filtering)?.shown(filter)));
    let shown = match shown {
        Ok(shown) => shown,
        Err(problem) => return trouble(&problem),
    };
    let saved = app.call(move |service| {
        service.save_view(&visit.caller, &form.view_name, &shown, form.shared.is_some())
    });
    match saved.await {
        Ok(_) => see_other(&to, None),
        Err(problem) => trouble(&problem),
    }
}

async fn delete_view(
    State(app): State<App>,
    Path(id): Path<i64>,
    Posted { visit, .. }: Posted<Nothing>,
) -> Response {
    match app.call(move |service| service.delete_view(&visit.caller, id)).await {
        Ok(()) => see_other("/export", None),
        Err(problem) => trouble(&problem),
    }
}

async fn delete(State(app): State<App>, Posted { visit, .. }: Posted<Nothing>) -> Response {
    let done = app.call(move |service| {
        let Some(selection) = service.choice(&visit.caller)?.selection() else { return Ok(0) };
        let number = service.edit(&visit.caller, &selection, &Edit::Delete)?;
        service.choose_none(&visit.caller)?;
        Ok(number)
    });
    match done.await {
        Ok(number) => see_other(&format!("/export?edited={number}"), None),
        Err(problem) => trouble(&problem),
    }
}
