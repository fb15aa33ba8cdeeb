//! `retort list`.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use retort_model::{ConversationFilter, Query};
use retort_service::{ListOrder, Order};
use retort_web::wire;

use super::listing::{Listing, PageArgs, Printed};
use super::{Failure, misuse};
use crate::args::{order, page_length};
use crate::config::StoreArgs;
use crate::display::{count, moment_of, one_line};
use crate::filters::FilterArgs;
use crate::views::ViewArgs;

/// List the conversations in the store.
#[derive(Args)]
pub struct List {
    /// Only conversations that match this query: words, "phrases", `-exclusions` and `field:value`; short for `--search`.
    #[arg(value_name = "QUERY", value_parser = |text: &str| text.parse::<Query>())]
    query: Option<Query>,

    /// Print only the number of matches.
    #[arg(long, conflicts_with_all = ["lines", "all", "after"])]
    count: bool,

    /// Print one JSON object: the conversations, the number of matches, and the cursor of the next page.
    #[arg(long, conflicts_with = "lines")]
    json: bool,

    /// Print one line of JSON per conversation.
    #[arg(long)]
    lines: bool,

    #[command(flatten)]
    view: ViewArgs,

    #[command(flatten)]
    filtering: FilterArgs<ConversationFilter>,

    #[command(flatten)]
    paging: Paging,

    #[command(flatten)]
    keeping: StoreArgs,
}

/// Which page of a list.
#[derive(Args)]
#[command(next_help_heading = "Page")]
struct Paging {
    /// Sort order [default: the view's, else newest].
    #[arg(long, value_name = "ORDER", value_parser = order::<Order>())]
    sort: Option<Order>,

    /// Conversations per page.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = page_length("conversations; `--all` shows all pages"))]
    limit: usize,

    #[command(flatten)]
    page: PageArgs,
}

impl List {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let client = self.keeping.client()?;
        let mut selection = self.filtering.0;
        if let Some(query) = self.query {
            if !selection.search.is_empty() {
                return Err(misuse("give the query as an argument or as `--search`, not both"));
            }
            selection.search.push(query);
        }
        let mut sort = self.paging.sort;
        if let Some(view) = self.view.find(&client, &selection)? {
            selection = view.filter;
            sort = sort.or(view.sort.as_deref().and_then(Order::by_name));
        }
        let mut out = std::io::stdout().lock();
        if self.count {
            let total = client.count(&selection)?;
            if self.json {
                writeln!(out, "{}", serde_json::to_string(&wire::Count { total })?)?;
            } else {
                writeln!(out, "{total}")?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        let order = sort.unwrap_or_default();
        let listing = Listing {
            kind: "conversation",
            columns: &["ID", "TITLE", "TYPE", "STATUS", "TAGS", "MODEL", "ROUNDS", "CREATED"],
            row,
            page: &|after, most| {
                let page = client.list(&selection, order, after, most)?;
                Ok((page.conversations, page.next))
            },
            total: &|| client.count(&selection),
        };
        let printed = Printed::of(self.json, self.lines);
        listing.print(printed, self.paging.limit, &self.paging.page, &mut out)?;
        Ok(ExitCode::SUCCESS)
    }
}

fn row(one: &wire::Conversation) -> Vec<String> {
    vec![
        one_line(&one.id, 64),
        one_line(one.title.as_deref().or(one.question.as_deref()).unwrap_or_default(), 60),
        one.kind.clone(),
        one.status.clone(),
        one_line(&one.tags.join(", "), 40),
        one_line(one.model.as_deref().unwrap_or_default(), 40),
        count(one.rounds),
        moment_of(one.created_at.as_deref()),
    ]
}
