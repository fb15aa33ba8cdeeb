//! Lists that come in pages: the filter of a query, and which page of what it matches.

use std::str::FromStr;

use axum::extract::FromRequestParts;
use axum::http::request::Parts;
use retort_model::Filter;
use retort_model::bounds::PAGE_ITEMS;
use retort_service::ListOrder;
use serde::Deserialize;
use utoipa::IntoParams;

use super::query;
use crate::app::App;
use crate::problem::Problem;
use crate::wire::{self, Filtered};

/// Items on a page, if not said.
const PAGE: usize = 50;

/// Which page.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct Page {
    /// Where the page begins: `next` of the page before.
    after: Option<String>,
    /// Items per page: 1 to 1000. Default: 50.
    #[param(minimum = 1, maximum = 1000)]
    limit: Option<usize>,
}

/// Which page of a list of datasets.
#[derive(Clone, Debug, Default, Deserialize, IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct DatasetsPage {
    /// Page size, 1 to 1000 (default 1000).
    #[param(minimum = 1, maximum = 1000)]
    pub limit: Option<usize>,
    /// Start after this one: `next` of the last page.
    pub after: Option<i64>,
}

/// What comes first.
#[derive(Default, Deserialize)]
#[serde(deny_unknown_fields, default)]
struct Sort {
    sort: Option<String>,
}

/// A filter, the page of what it matches, and what comes first on it.
pub struct Paged<F, O> {
    /// The filter.
    pub filter: F,
    /// The page.
    pub page: Page,
    /// The order.
    pub order: O,
}

impl Page {
    /// Where it begins.
    ///
    /// # Errors
    /// It is no place of this list.
    pub fn after<C: FromStr<Err = String>>(&self) -> Result<Option<C>, Problem> {
        self.after
            .as_deref()
            .map(|text| text.parse().map_err(|error: String| Problem::bad_request(error)))
            .transpose()
    }

    /// How many items it has at most.
    ///
    /// # Errors
    /// There are fewer or more than a page may have.
    pub fn most(&self) -> Result<usize, Problem> {
        length(self.limit, PAGE, PAGE_ITEMS)
    }
}

/// How many a list has at most: `limit`, which is `usual` if it is not said.
///
/// # Errors
/// It is none, or more than `most`.
pub fn length(limit: Option<usize>, usual: usize, most: usize) -> Result<usize, Problem> {
    let limit = limit.unwrap_or(usual);
    if (1..=most).contains(&limit) {
        return Ok(limit);
    }
    Err(Problem::bad_request(format!("`limit` is 1 to {most}")))
}

impl<F: Filter, O: ListOrder> FromRequestParts<App> for Paged<F, O> {
    type Rejection = Problem;

    async fn from_request_parts(parts: &mut Parts, _: &App) -> Result<Self, Problem> {
        query::check_count(&parts.uri)?;
        let [page, sort, filter] = query::split(parts, |key| match key {
            "after" | "limit" => 0,
            "sort" => 1,
            _ => 2,
        });
        let sort: Sort = query::read(&sort)?;
        Ok(Self {
            filter: Filtered::read(&filter)?,
            page: query::read(&page)?,
            order: wire::order(sort.sort.as_deref())?.unwrap_or_default(),
        })
    }
}
