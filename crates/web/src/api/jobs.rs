//! Jobs of any kind: what exports and imports share.

use retort_model::JobKind;
use retort_model::bounds::PAGE_ITEMS;
use retort_service::{Caller, Service};
use serde::Deserialize;

use super::answer::Answer;
use super::paging::length;
use crate::app::App;
use crate::extract::Json;
use crate::wire;

/// Jobs of a list, if not said.
const JOBS: usize = 50;

/// Which jobs.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct Most {
    /// Maximum number: 1 to 1000. Default: 50.
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
    /// Everyone's in the project, for its owners. Default: your own.
    pub everyone: Option<bool>,
    /// After this job: `next` of the previous page.
    pub after: Option<i64>,
}

/// The jobs of a kind.
pub async fn jobs(app: App, caller: Caller, kind: JobKind, most: Most) -> Answer<wire::Jobs> {
    let everyone = most.everyone.unwrap_or(false);
    let (after, most) = (most.after, length(most.limit, JOBS, PAGE_ITEMS)?);
    let page = move |service: &Service| service.jobs_of(&caller, (kind, everyone), after, most);
    let (jobs, next) = app.call(page).await?;
    Ok(Json(wire::Jobs { jobs: jobs.iter().map(wire::Job::from).collect(), next }))
}

/// One job of a kind.
pub async fn job(app: &App, caller: Caller, kind: JobKind, id: i64) -> Answer<wire::Job> {
    let job = app.call(move |service| service.job_of(&caller, kind, id)).await?;
    Ok(Json(wire::Job::from(&job)))
}
