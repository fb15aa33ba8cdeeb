//! `retort list`.

use std::io::Write;
use std::process::ExitCode;

use clap::Args;
use clap::builder::PossibleValuesParser;
use retort_model::{Selection, Time, bounds};
use retort_service::{Cursor, Order, Page, Summary};
use serde_json::{Value, json};

use super::Failure;
use crate::args::Filtering;
use crate::config::Keeping;
use crate::words::{count, moment, one_line, several, table};

/// List the conversations in the store.
#[derive(Args)]
pub struct List {
    #[command(flatten)]
    filtering: Filtering,

    #[command(flatten)]
    keeping: Keeping,

    /// How the list is sorted.
    #[arg(long, value_name = "ORDER", default_value = "newest",
          value_parser = PossibleValuesParser::new(Order::ALL.map(Order::as_str)))]
    sort: String,

    /// Conversations on one page.
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = parse_limit)]
    limit: usize,

    /// Go on behind the page before, which told this place.
    #[arg(long, value_name = "PLACE")]
    after: Option<Cursor>,

    /// All pages, one after another.
    #[arg(long, conflicts_with = "after")]
    all: bool,

    /// Only how many there are.
    #[arg(long, conflicts_with_all = ["after", "all", "lines"])]
    count: bool,

    /// As one JSON document.
    #[arg(long, conflicts_with = "lines")]
    json: bool,

    /// As a line of JSON each.
    #[arg(long)]
    lines: bool,
}

fn parse_limit(text: &str) -> Result<usize, String> {
    match text.parse() {
        Ok(limit) if (1..=bounds::PAGE_ITEMS).contains(&limit) => Ok(limit),
        _ => Err(format!("a page has 1 to {} conversations", bounds::PAGE_ITEMS)),
    }
}

impl List {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let opened = self.keeping.open()?;
        let selection = Selection::from(self.filtering);
        let order =
            Order::ALL.into_iter().find(|order| order.as_str() == self.sort).unwrap_or_default();
        let mut out = std::io::stdout().lock();
        let total = opened.service.count(&opened.caller, &selection)?;
        if self.count {
            let told =
                if self.json { json!({"total": total}).to_string() } else { total.to_string() };
            writeln!(out, "{told}")?;
            return Ok(ExitCode::SUCCESS);
        }
        let page = |after| -> Result<Page, Failure> {
            Ok(opened.service.list(&opened.caller, &selection, order, after, self.limit)?)
        };
        if self.lines {
            let mut at = page(self.after)?;
            loop {
                for conversation in &at.conversations {
                    writeln!(out, "{}", as_json(conversation))?;
                }
                match at.next.filter(|_| self.all) {
                    Some(next) => at = page(Some(next))?,
                    None => return Ok(ExitCode::SUCCESS),
                }
            }
        }
        if self.json {
            let mut at = page(self.after)?;
            write!(out, "{{\"total\":{total},\"conversations\":[")?;
            let mut first = true;
            loop {
                for conversation in &at.conversations {
                    let comma = if std::mem::take(&mut first) { "" } else { "," };
                    write!(out, "{comma}\n{}", as_json(conversation))?;
                }
                match at.next.filter(|_| self.all) {
                    Some(next) => at = page(Some(next))?,
                    None => break,
                }
            }
            let next = at.next.map(|next| next.to_string());
            writeln!(out, "\n],\"next\":{}}}", json!(next))?;
            return Ok(ExitCode::SUCCESS);
        }
        let mut at = page(self.after)?;
        loop {
            print(&at, &mut out)?;
            match at.next {
                Some(next) if self.all => at = page(Some(next))?,
                Some(next) => {
                    eprintln!(
                        "{} of {}; `--after {next}` goes on",
                        count(at.conversations.len() as u64),
                        several(total, "conversation")
                    );
                    break;
                }
                None => {
                    eprintln!("{} in all", several(total, "conversation"));
                    break;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn print(page: &Page, out: &mut impl Write) -> Result<(), Failure> {
    if page.conversations.is_empty() {
        return Ok(());
    }
    let mut table = table(&["ID", "TITLE", "TYPE", "STATUS", "TAGS", "MODEL", "ROUNDS", "CREATED"]);
    for one in &page.conversations {
        table.add_row([
            one_line(&one.id, 40),
            one_line(one.title.as_deref().unwrap_or_default(), 60),
            one.kind.to_string(),
            one.status.to_string(),
            one_line(&one.tags.join(", "), 40),
            one_line(one.model.as_deref().unwrap_or_default(), 30),
            count(one.rounds),
            one.created_at.map(moment).unwrap_or_default(),
        ]);
    }
    writeln!(out, "{}", table.trim_fmt())?;
    Ok(())
}

/// A conversation of a list as JSON.
pub fn as_json(one: &Summary) -> Value {
    let time = |time: Option<Time>| time.map(|time| time.to_string());
    json!({
        "id": one.id,
        "source": one.source,
        "owner": one.owner,
        "type": one.kind.as_str(),
        "status": one.status.as_str(),
        "title": one.title,
        "tags": one.tags,
        "model": one.model,
        "created_at": time(one.created_at),
        "updated_at": time(one.updated_at),
        "rounds": one.rounds,
        "messages": one.messages,
    })
}
