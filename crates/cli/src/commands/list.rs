//! `retort list`.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use clap::builder::PossibleValuesParser;
use retort_model::{ConversationFilter, bounds};
use retort_service::{Cursor, Order};
use retort_web::wire;
use serde_json::json;

use super::Failure;
use crate::args::page_length;
use crate::client::Client;
use crate::config::StoreArgs;
use crate::display::{count, moment_of, one_line, several, table};
use crate::filters::FilterArgs;

/// List the conversations in the store.
#[derive(Args)]
pub struct List {
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
    /// Sort order.
    #[arg(long, value_name = "ORDER", default_value = Order::Newest.as_str(),
          value_parser = PossibleValuesParser::new(Order::ALL.map(Order::as_str)))]
    sort: String,

    /// Conversations per page.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = page_length("conversations; `--all` shows all pages"))]
    limit: usize,

    /// Show the page after this cursor, which the previous page gives.
    #[arg(long, value_name = "CURSOR")]
    after: Option<Cursor>,

    /// Show all pages.
    #[arg(long)]
    all: bool,
}

impl List {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let client = self.keeping.client()?;
        let selection = self.filtering.0;
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
        let pages = Pages { client: &client, selection: &selection, paging: &self.paging };
        if self.json {
            pages.json(&mut out)?;
        } else if self.lines {
            let next = pages.each(|page| {
                page.conversations
                    .iter()
                    .try_for_each(|one| Ok(writeln!(out, "{}", serde_json::to_string(one)?)?))
            })?;
            if let Some(next) = next {
                eprintln!("`--after {next}` shows the next page, `--all` all pages");
            }
        } else {
            pages.table(&mut out)?;
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// The pages that are to be shown.
struct Pages<'a> {
    client: &'a Client,
    selection: &'a ConversationFilter,
    paging: &'a Paging,
}

impl Pages<'_> {
    /// Hands over one page, or all; says where the next begins.
    fn each(
        &self,
        mut show: impl FnMut(&wire::ConversationPage) -> Result<(), Failure>,
    ) -> Result<Option<Cursor>, Failure> {
        let wanted = &self.paging.sort;
        let order = Order::ALL.into_iter().find(|order| order.as_str() == wanted);
        let order = order.unwrap_or_default();
        let most = if self.paging.all { bounds::PAGE_ITEMS } else { self.paging.limit };
        let mut after = self.paging.after;
        loop {
            let page = self.client.list(self.selection, order, after, most)?;
            show(&page)?;
            after = page.next.as_deref().map(str::parse).transpose()?;
            if after.is_none() || !self.paging.all {
                return Ok(after);
            }
        }
    }

    fn total(&self) -> Result<u64, Failure> {
        Ok(self.client.count(self.selection)?)
    }

    fn json(&self, out: &mut impl Write) -> Result<(), Failure> {
        let total = self.total()?;
        write!(out, "{{\n  \"conversations\": [")?;
        let mut before = "\n    ";
        let next = self.each(|page| {
            for one in &page.conversations {
                write!(out, "{before}{}", serde_json::to_string(one)?)?;
                before = ",\n    ";
            }
            Ok(())
        })?;
        let next = json!(next.map(|next| next.to_string()));
        writeln!(out, "\n  ],\n  \"total\": {total},\n  \"next\": {next}\n}}")?;
        Ok(())
    }

    fn table(&self, out: &mut impl Write) -> Result<(), Failure> {
        let mut header: &[&str] =
            &["ID", "TITLE", "TYPE", "STATUS", "TAGS", "MODEL", "ROUNDS", "CREATED"];
        let mut shown = 0;
        let next = self.each(|page| {
            let mut table = table(header);
            for one in &page.conversations {
                table.add_row([
                    one_line(&one.id, 64),
                    one_line(one.title.as_deref().unwrap_or_default(), 60),
                    one.kind.clone(),
                    one.status.clone(),
                    one_line(&one.tags.join(", "), 40),
                    one_line(one.model.as_deref().unwrap_or_default(), 40),
                    count(one.rounds),
                    moment_of(one.created_at.as_deref()),
                ]);
            }
            if !page.conversations.is_empty() {
                writeln!(out, "{}", table.trim_fmt())?;
            }
            shown += page.conversations.len() as u64;
            header = &[];
            Ok(())
        })?;
        let total = self.total()?;
        match next {
            _ if total == 0 => eprintln!("no conversation matches"),
            Some(next) => eprintln!(
                "{} of {}; `--after {next}` shows the next",
                count(shown),
                several(total, "conversation")
            ),
            None if shown == total => eprintln!("{}", several(total, "conversation")),
            None => {
                eprintln!("{} of {}, the last", count(shown), several(total, "conversation"));
            }
        }
        Ok(())
    }
}
