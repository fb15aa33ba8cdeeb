//! `retort audit`.

use std::io::{self, Write};
use std::process::ExitCode;

use clap::{Args, Subcommand};
use retort_model::{Action as Done, Time};
use retort_web::wire;

use super::{Failure, print, print_json};
use crate::args::page_length;
use crate::config::StoreArgs;
use crate::display::{fitted, moment_of, one_line, table};

/// Show or export the audit log.
#[derive(Args)]
pub struct Audit {
    #[command(subcommand)]
    action: Action,

    #[command(flatten)]
    keeping: StoreArgs,
}

#[derive(Subcommand)]
enum Action {
    /// List the entries, newest first.
    List {
        #[command(flatten)]
        which: Which,

        /// Entries per page.
        #[arg(long, value_name = "N", default_value_t = 50, value_parser = page_length("entries; `retort audit export` has all"))]
        limit: usize,

        /// Show the page after this entry, whose number the previous page gives.
        #[arg(long, value_name = "ID")]
        after: Option<i64>,

        /// Print JSON.
        #[arg(long)]
        json: bool,
    },
    /// Print all entries, newest first, one line of JSON each.
    Export {
        #[command(flatten)]
        which: Which,
    },
}

/// Which entries.
#[derive(Args)]
struct Which {
    /// Only this action, such as `export`, `share` or `role`.
    #[arg(long, value_name = "ACTION", value_parser = parse_action)]
    action: Option<Done>,

    /// Only what this person did.
    #[arg(long, value_name = "PERSON")]
    person: Option<String>,

    /// Only entries at or after this date or time.
    #[arg(long, value_name = "DATE", value_parser = Time::parse)]
    from: Option<Time>,

    /// Only entries before this date or time.
    #[arg(long, value_name = "DATE", value_parser = Time::parse)]
    before: Option<Time>,

    /// Only refused actions.
    #[arg(long)]
    refused: bool,
}

fn parse_action(text: &str) -> Result<Done, String> {
    text.parse()
}

impl From<Which> for wire::AuditQuery {
    fn from(which: Which) -> Self {
        Self {
            action: which.action.map(|action| action.to_string()),
            person: which.person,
            from: which.from.map(|time| time.to_string()),
            before: which.before.map(|time| time.to_string()),
            refused: which.refused,
            after: None,
            limit: None,
        }
    }
}

impl Audit {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let client = self.keeping.client()?;
        match self.action {
            Action::List { which, limit, after, json } => {
                let page = client.audit(&which.into(), after, limit)?;
                if json {
                    print_json(&page)?;
                } else {
                    show(&page)?;
                }
            }
            Action::Export { which } => {
                let mut out = io::BufWriter::new(io::stdout().lock());
                client.export_audit(&which.into(), &mut out)?;
                out.flush()?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn show(page: &wire::AuditPage) -> Result<(), Failure> {
    if page.entries.is_empty() {
        eprintln!("no entry matches");
        return Ok(());
    }
    let mut table = table(&["ID", "AT", "PERSON", "ACTION", "OBJECT", "REFUSED", "FROM"]);
    for entry in &page.entries {
        table.add_row([
            entry.id.to_string(),
            moment_of(entry.at.as_deref()),
            one_line(entry.person.as_deref().unwrap_or_default(), 60),
            entry.action.clone(),
            one_line(&entry.object, 80),
            if entry.refused { "yes".into() } else { String::new() },
            one_line(entry.address.as_deref().unwrap_or_default(), 45),
        ]);
    }
    print(fitted(table))?;
    if let Some(next) = page.next {
        eprintln!("`--after {next}` shows the next page");
    }
    Ok(())
}
