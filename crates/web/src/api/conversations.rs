//! Conversations: brought in, listed, read, changed.

use axum::body::{Bytes, HttpBody};
use axum::extract::{Request, State};
use axum::http::{HeaderMap, StatusCode};
use axum::response::Response;
use retort_model::bounds::{PAGE_ITEMS, REQUEST_BYTES, SERVED_ITEM_BYTES};
use retort_model::{ConversationFilter, Grant, ItemKind, Status};
use retort_service::{Edit, Order, Service};
use serde::Deserialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use super::answer::Answer;
use super::dry_run::DryRun;
use super::idempotency::{IdempotencyKey, key_of, once};
use super::intake::{self, Intake};
use super::line::{Around, WriteLine, no_line, with_line};
use super::paging::{DatasetsPage, Page, Paged, length};
use super::query::{Params, check_purge};
use crate::app::App;
use crate::blocking::take_memory;
use crate::bounds::{BODY_COPIES, SLOW_BODY_BYTES};
use crate::extract::{Json, Path, whole_body};
use crate::problem::Problem;
use crate::who::ProjectCaller;
use crate::wire;
use crate::wire::Filtered;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new()
        .routes(routes!(list_conversations, import_conversations))
        .routes(routes!(count_conversations))
        .routes(routes!(list_conversation_facets))
        .routes(routes!(change_conversations))
        .routes(routes!(show_conversation, change_conversation, delete_conversation))
        .routes(routes!(append_rounds))
        .routes(routes!(list_conversation_datasets))
}

/// Which of the conversations with one id.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
struct Which {
    /// Its source, where the id alone is not enough.
    source: Option<String>,
}

/// How a conversation is deleted.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
struct Deleting {
    /// Whether it is gone for good.
    purge: bool,
}

/// Which round is followed.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
struct Following {
    /// Its source, where the id alone is not enough.
    source: Option<String>,
    /// The number of the round to append to. Default: the one that is shown.
    after: Option<u32>,
}

/// List conversations
#[utoipa::path(get, path = "/conversations", tag = "conversations", params(wire::filter::Conversations, Page, wire::Sorting<wire::ConversationOrder>),
    responses((status = 200, body = wire::ConversationPage)))]
async fn list_conversations(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Paged { filter, page, order }: Paged<ConversationFilter, Order>,
) -> Answer<wire::ConversationPage> {
    let (after, most) = (page.after()?, page.most()?);
    let listed = app.call(move |service| {
        let page = service.list(&caller, &filter, order, after, most)?;
        let questions = service.first_questions(&caller, &page.conversations)?;
        Ok((page, questions))
    });
    let (page, mut questions) = listed.await?;
    let shown = page
        .conversations
        .iter()
        .map(|one| wire::Conversation { question: questions.remove(&one.key), ..one.into() });
    Ok(Json(wire::ConversationPage {
        conversations: shown.collect(),
        next: page.next.map(|next| next.to_string()),
    }))
}

/// Count conversations
#[utoipa::path(get, path = "/conversations/count", tag = "conversations", params(wire::filter::Conversations),
    responses((status = 200, body = wire::Count)))]
async fn count_conversations(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Filtered(filter): Filtered<ConversationFilter>,
) -> Answer<wire::Count> {
    let total = app.call(move |service| service.count(&caller, &filter)).await?;
    Ok(Json(wire::Count { total }))
}

/// Count the values of the fields of conversations
///
/// For each value of each field: how many of the matching conversations have it, and the condition that finds them in a
/// query. If many match, only the newest are counted, at most 10,000.
#[utoipa::path(get, path = "/conversations/facets", tag = "conversations", params(wire::filter::Conversations),
    responses((status = 200, body = wire::ConversationFacets)))]
async fn list_conversation_facets(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Filtered(filter): Filtered<ConversationFilter>,
) -> Answer<wire::ConversationFacets> {
    let facets = app.call(move |service| service.facets(&caller, &filter)).await?;
    Ok(Json(facets.into()))
}

/// Import conversations in the request
///
/// One conversation or many, in any import format (`/formats`): an object, an array, or one per line, uncompressed or
/// compressed with gzip or zstd. Up to 16 MiB; use `/imports` for more.
#[utoipa::path(post, path = "/conversations", tag = "conversations", params(IdempotencyKey, Intake),
    request_body(content((serde_json::Value = "application/json"), (String = "application/x-ndjson"))),
    responses((status = 200, body = wire::ImportResult)))]
async fn import_conversations(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Params(intake): Params<Intake>,
    request: Request,
) -> Result<Response, Problem> {
    intake::take_in(app, caller, ItemKind::Conversation, intake, request).await
}

/// Change many conversations
#[utoipa::path(post, path = "/conversations/change", tag = "conversations", params(DryRun), request_body = wire::ChangeMany,
    responses((status = 200, body = wire::Changed)))]
async fn change_conversations(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Params(dry_run): Params<DryRun>,
    Json(asked): Json<wire::ChangeMany>,
) -> Answer<wire::Changed> {
    let selection = asked.selection;
    if selection.limit.is_some() {
        return Err(Problem::bad_request("a change takes no `limit`"));
    }
    if selection == ConversationFilter::default() {
        return Err(Problem::bad_request("select conversations: by ids or a filter"));
    }
    if asked.purge {
        check_purge(&caller, &selection.ids)?;
    }
    let edits = edits(&asked.change, asked.purge)?;
    let caller = dry_run.of(caller);
    let changed = app
        .call(move |service| {
            let mut most = 0;
            for edit in edits {
                let selection = reaching(selection.clone(), &edit);
                most = most.max(service.edit(&caller, &selection, &edit)?);
            }
            Ok(most)
        })
        .await?;
    Ok(Json(wire::Changed { changed }))
}

/// Without a status, ids mean conversations of any, and restoring looks among the deleted.
fn reaching(mut selection: ConversationFilter, edit: &Edit) -> ConversationFilter {
    if selection.statuses.is_empty() {
        if !selection.ids.is_empty() {
            selection.statuses = Status::ALL.to_vec();
        } else if *edit == Edit::Restore {
            selection.statuses = vec![Status::Deleted];
        }
    }
    selection
}

/// The edits that a change takes, in order.
fn edits(change: &wire::Change, purge: bool) -> Result<Vec<Edit>, Problem> {
    let mut edits = Vec::new();
    if purge {
        edits.push(Edit::Purge);
    }
    if let Some(title) = &change.title {
        edits.push(Edit::Title(Some(title.clone()).filter(|title| !title.is_empty())));
    }
    if !change.add_tags.is_empty() || !change.remove_tags.is_empty() {
        if change.add_tags.iter().any(|tag| tag.trim().is_empty()) {
            return Err(Problem::bad_request("a tag is empty"));
        }
        edits.push(Edit::Tags { add: change.add_tags.clone(), remove: change.remove_tags.clone() });
    }
    match change.status.as_deref().map(str::parse::<Status>).transpose() {
        Ok(None) => {}
        Ok(Some(Status::Deleted)) => edits.push(Edit::Delete),
        Ok(Some(Status::Active)) => edits.extend([Edit::Restore, Edit::Favorite(false)]),
        Ok(Some(Status::Favorite)) => edits.extend([Edit::Restore, Edit::Favorite(true)]),
        Err(error) => return Err(Problem::bad_request(error)),
    }
    match change.deleted {
        None => {}
        Some(true) => edits.push(Edit::Delete),
        Some(false) => edits.push(Edit::Restore),
    }
    edits.extend(change.favorite.map(Edit::Favorite));
    match (edits.is_empty(), purge && edits.len() > 1) {
        (true, _) => Err(Problem::bad_request("say what to change")),
        (_, true) => Err(Problem::bad_request("a purge cannot be combined with other changes")),
        _ => Ok(edits),
    }
}

/// Return a complete conversation
#[utoipa::path(get, path = "/conversations/{id}", tag = "conversations", params(("id" = String, Path), Which),
    responses((status = 200, body = wire::WholeConversation)))]
async fn show_conversation(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<String>,
    Params(which): Params<Which>,
) -> Result<Response, Problem> {
    with_line(&app, move |service| {
        let (summary, line) = service.whole(&caller, &id, which.source.as_deref())?;
        let answer =
            wire::WholeConversation { summary: (&summary).into(), conversation: no_line() };
        let around = Around::new(&answer)?;
        line.check(&summary)?;
        let bytes = line.bytes();
        let write: WriteLine = Box::new(move |out| line.write(&summary, out));
        Ok((around, bytes, write))
    })
    .await
}

/// Change a conversation: title, tags, status
#[utoipa::path(patch, path = "/conversations/{id}", tag = "conversations", params(("id" = String, Path)),
    request_body = wire::Change, responses((status = 200, body = wire::Changed)))]
async fn change_conversation(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<String>,
    Json(change): Json<wire::Change>,
) -> Answer<wire::Changed> {
    let edits = edits(&change, false)?;
    let changed = app
        .call(move |service| {
            let selection = of_any_status(id);
            let mut most = 0;
            for edit in edits {
                most = most.max(service.edit(&caller, &selection, &edit)?);
            }
            Ok(most)
        })
        .await?;
    Ok(Json(wire::Changed { changed }))
}

fn of_any_status(id: String) -> ConversationFilter {
    ConversationFilter {
        ids: [id].into_iter().collect(),
        statuses: Status::ALL.to_vec(),
        ..ConversationFilter::default()
    }
}

/// Delete a conversation, so that it can be restored, or permanently
#[utoipa::path(delete, path = "/conversations/{id}", tag = "conversations",
    params(("id" = String, Path), Deleting), responses((status = 200, body = wire::Changed)))]
async fn delete_conversation(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<String>,
    Params(how): Params<Deleting>,
) -> Answer<wire::Changed> {
    let edit = if how.purge { Edit::Purge } else { Edit::Delete };
    let changed =
        app.call(move |service: &Service| service.edit(&caller, &of_any_status(id), &edit));
    Ok(Json(wire::Changed { changed: changed.await? }))
}

/// Append messages to a conversation
///
/// An object with `messages`, or an array of chat messages, as in the format `openai`.
#[utoipa::path(post, path = "/conversations/{id}/rounds", tag = "conversations",
    params(IdempotencyKey, ("id" = String, Path), Following), request_body = serde_json::Value,
    responses((status = 201, body = wire::Conversation)))]
async fn append_rounds(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<String>,
    Params(following): Params<Following>,
    headers: HeaderMap,
    request: Request,
) -> Result<Response, Problem> {
    if request.body().size_hint().upper().is_none_or(|bytes| bytes >= SLOW_BODY_BYTES as u64) {
        // Of the conversation, too, which may be as large as any.
        take_memory((REQUEST_BYTES + SERVED_ITEM_BYTES) as u64 * BODY_COPIES).await?;
    }
    let body: Bytes = whole_body(request, REQUEST_BYTES).await?;
    let text = String::from_utf8(body.to_vec())
        .map_err(|_| Problem::bad_request("the body is not UTF-8"))?;
    let after = following.after.map(|after| after.to_string()).unwrap_or_default();
    let key = key_of(&headers, &[b"append", id.as_bytes(), after.as_bytes(), text.as_bytes()])?;
    let (asks, doing) = (caller.clone(), app.clone());
    let under = key.as_ref().map(|key| key.as_str().to_owned());
    once(&app, (&caller, Grant::Write), key, StatusCode::CREATED, move |was_done| async move {
        let Following { source, after } = following;
        let summary = doing.call_with_body(text.len(), move |service| {
            if was_done {
                return service.find_one(&asks, &id, source.as_deref());
            }
            service.append(&asks, &id, source.as_deref(), &text, after, under.as_deref())
        });
        Ok(wire::Conversation::from(&summary.await?))
    })
    .await
}

/// List the datasets that contain a conversation, newest first
#[utoipa::path(get, path = "/conversations/{id}/datasets", tag = "conversations", params(("id" = String, Path), DatasetsPage),
    responses((status = 200, body = wire::Datasets)))]
async fn list_conversation_datasets(
    State(app): State<App>,
    ProjectCaller(caller): ProjectCaller,
    Path(id): Path<String>,
    Params(page): Params<DatasetsPage>,
) -> Answer<wire::Datasets> {
    let most = length(page.limit, PAGE_ITEMS, PAGE_ITEMS)?;
    let found = app.call(move |service| service.trace(&caller, &id, page.after, most));
    let (datasets, next) = found.await?;
    let datasets = datasets.iter().map(wire::Dataset::from).collect();
    Ok(Json(wire::Datasets { datasets, next }))
}
