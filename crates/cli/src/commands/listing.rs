//! Lists of conversations and of runs: a page or all, as a table, as one JSON object, or as a line of JSON for each.

use std::io::Write;

use clap::Args;
use retort_model::bounds::PAGE_ITEMS;
use retort_service::Cursor;
use serde::Serialize;
use serde_json::json;

use super::Failure;
use crate::client::ClientError;
use crate::display::{count, fitted_rows, several, table};

/// How a list is printed; a table, if not said.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Printed {
    Table,
    Json,
    Lines,
}

impl Printed {
    pub fn of(json: bool, lines: bool) -> Self {
        match (json, lines) {
            (true, _) => Self::Json,
            (_, true) => Self::Lines,
            _ => Self::Table,
        }
    }
}

/// Which page of a list.
#[derive(Args)]
#[command(next_help_heading = "Page")]
pub struct PageArgs {
    /// Show the page after this cursor, which the previous page gives.
    #[arg(long, value_name = "CURSOR")]
    after: Option<Cursor>,

    /// Show all pages.
    #[arg(long)]
    all: bool,
}

/// A page: its items, and where the next one begins.
pub type Page<T> = (Vec<T>, Option<String>);

/// A list of items of one kind.
pub struct Listing<'l, T> {
    /// What one of them is called; the name of the list in JSON is its plural.
    pub kind: &'l str,
    /// The columns of the table, and an item's row.
    pub columns: &'l [&'l str],
    pub row: fn(&T) -> Vec<String>,
    /// Fetches the page after a cursor, of so many items at most.
    pub page: &'l dyn Fn(Option<Cursor>, usize) -> Result<Page<T>, ClientError>,
    /// Counts all that match.
    pub total: &'l dyn Fn() -> Result<u64, ClientError>,
}

impl<T: Serialize> Listing<'_, T> {
    pub fn print(
        &self,
        printed: Printed,
        limit: usize,
        paging: &PageArgs,
        out: &mut impl Write,
    ) -> Result<(), Failure> {
        let most = if paging.all { PAGE_ITEMS } else { limit };
        match printed {
            Printed::Table => self.table(most, paging, out),
            Printed::Json => self.json(most, paging, out),
            Printed::Lines => {
                let next = self.each(most, paging, |items| {
                    items
                        .iter()
                        .try_for_each(|one| Ok(writeln!(out, "{}", serde_json::to_string(one)?)?))
                })?;
                if let Some(next) = next {
                    eprintln!("`--after {next}` shows the next page, `--all` all pages");
                }
                Ok(())
            }
        }
    }

    /// Hands over one page, or all; returns where the next begins.
    fn each(
        &self,
        most: usize,
        paging: &PageArgs,
        mut show: impl FnMut(&[T]) -> Result<(), Failure>,
    ) -> Result<Option<Cursor>, Failure> {
        let mut after = paging.after.clone();
        loop {
            let (items, next) = (self.page)(after, most)?;
            show(&items)?;
            after = next.as_deref().map(str::parse).transpose()?;
            if after.is_none() || !paging.all {
                return Ok(after);
            }
        }
    }

    fn json(&self, most: usize, paging: &PageArgs, out: &mut impl Write) -> Result<(), Failure> {
        let total = (self.total)()?;
        write!(out, "{{\n  \"{}s\": [", self.kind)?;
        let mut before = "\n    ";
        let next = self.each(most, paging, |items| {
            for one in items {
                write!(out, "{before}{}", serde_json::to_string(one)?)?;
                before = ",\n    ";
            }
            Ok(())
        })?;
        let next = json!(next.map(|next| next.to_string()));
        writeln!(out, "\n  ],\n  \"total\": {total},\n  \"next\": {next}\n}}")?;
        Ok(())
    }

    fn table(&self, most: usize, paging: &PageArgs, out: &mut impl Write) -> Result<(), Failure> {
        let mut header = self.columns;
        let mut shown = 0;
        let next = self.each(most, paging, |items| {
            let mut table = table(header);
            for one in items {
                table.add_row((self.row)(one));
            }
            if !items.is_empty() {
                writeln!(out, "{}", fitted_rows(table, self.columns))?;
            }
            shown += items.len() as u64;
            header = &[];
            Ok(())
        })?;
        let (total, kind) = ((self.total)()?, self.kind);
        match next {
            _ if total == 0 => eprintln!("no {kind} matches"),
            Some(next) => eprintln!(
                "{} of {}; `--after {next}` shows the next page",
                count(shown),
                several(total, kind)
            ),
            None if shown == total => eprintln!("{}", several(total, kind)),
            None => eprintln!("{} of {}, the last", count(shown), several(total, kind)),
        }
        Ok(())
    }
}
