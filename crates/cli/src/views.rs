//! Saved views as arguments: what people filtered on the pages, by its name.

use clap::Args;
use retort_model::{ConversationFilter, ItemFilter};
use retort_web::wire;

use crate::client::Client;
use crate::commands::{Failure, misuse};

/// A saved view in place of a filter.
#[derive(Args)]
#[command(next_help_heading = "Selection")]
pub struct ViewArgs {
    /// Only conversations of this saved view, yours or a shared one; replaces the other filters.
    #[arg(long, value_name = "NAME")]
    view: Option<String>,
}

impl ViewArgs {
    /// The view that was named; `others` are the other filters that were given.
    ///
    /// # Errors
    /// There is no such view; another filter is given; those of the store and the server.
    pub fn find(
        &self,
        client: &Client,
        others: &ConversationFilter,
    ) -> Result<Option<wire::View>, Failure> {
        let Some(name) = &self.view else { return Ok(None) };
        let none = ConversationFilter { limit: others.limit, ..ConversationFilter::default() };
        if *others != none {
            return Err(misuse(
                "`--view` replaces the other filters: leave them out, or save a view that includes them",
            ));
        }
        Ok(Some(client.view(name)?))
    }
}

/// Options of an export that can replace the filter.
pub trait Views {
    /// The selection: the saved view if one is named, with the limit of `given`; otherwise `given`.
    ///
    /// # Errors
    /// As [`ViewArgs::find`], or a view is named but runs or documents are exported.
    fn selection(&self, client: &Client, given: ItemFilter) -> Result<ItemFilter, Failure>;
}

impl Views for ViewArgs {
    fn selection(&self, client: &Client, given: ItemFilter) -> Result<ItemFilter, Failure> {
        match (given, &self.view) {
            (given, None) => Ok(given),
            (ItemFilter::Conversations(others), Some(_)) => {
                let limit = others.limit;
                let found = self.find(client, &others)?.map(|view| view.filter);
                Ok(ConversationFilter { limit, ..found.unwrap_or_default() }.into())
            }
            (other, Some(_)) => {
                let kind = other.kind().plural();
                Err(misuse(format!(
                    "saved views select conversations, not {kind}: leave out `--view`"
                )))
            }
        }
    }
}

/// For items that have no saved views.
#[derive(Args)]
pub struct NoViews {}

impl Views for NoViews {
    fn selection(&self, _: &Client, given: ItemFilter) -> Result<ItemFilter, Failure> {
        Ok(given)
    }
}
