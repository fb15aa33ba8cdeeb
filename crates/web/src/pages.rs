//! Pages, rendered here: every step works without JavaScript. One file a screen.

mod account;
mod addresses;
mod analysis;
mod arrangement;
mod as_model;
mod assets;
mod calls;
mod choose;
mod columns;
mod comparison;
mod conversation;
mod datasets;
mod description;
mod display;
mod documents;
mod erasures;
mod export;
mod filter_form;
mod flows;
mod frame;
mod history;
mod home;
mod import;
mod judged;
mod judging;
mod keys;
mod message;
mod options;
mod paging;
mod project;
mod receipt;
mod records;
mod response;
mod runs;
mod schedules;
mod settings;
mod shared;
mod taken;
mod tasks;
mod versions;
mod waterfall;

use axum::Router;
use utoipa::openapi::OpenApi;

use crate::app::App;
pub(crate) use message::explain;

/// The routes of the pages.
pub fn routes(description: &OpenApi) -> Router<App> {
    Router::new()
        .merge(account::routes())
        .merge(analysis::routes())
        .merge(as_model::routes())
        .merge(assets::routes())
        .merge(choose::routes())
        .merge(comparison::routes())
        .merge(conversation::routes())
        .merge(datasets::routes())
        .merge(description::routes(description))
        .merge(documents::routes())
        .merge(erasures::routes())
        .merge(export::routes())
        .merge(flows::routes())
        .merge(history::routes())
        .merge(home::routes())
        .merge(import::routes())
        .merge(judging::routes())
        .merge(keys::routes())
        .merge(project::routes())
        .merge(receipt::routes())
        .merge(runs::routes())
        .merge(schedules::routes())
        .merge(settings::routes())
        .merge(shared::routes())
        .merge(versions::routes())
}
