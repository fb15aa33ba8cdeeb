//! `retort erase`.

use std::process::ExitCode;

use clap::Args;
use retort_service::Erasure;
use serde_json::{Value, json};

use super::{Failure, confirm, print_json};
use crate::config::StoreArgs;
use crate::display::{one_line, several};

/// Erase everything of a person.
///
/// Permanently deletes the conversations, runs and documents of the project that the person owns, and those that they
/// imported and that name no owner, whatever their status. Datasets that were made of any of these, whoever made them, are
/// made again without them, with all other rows as they were; those made of nothing else are deleted. Items of others that
/// the person imported stay, and so does their account: `retort users delete` removes it. Works on the store itself, not
/// through a server.
#[derive(Args)]
pub struct Erase {
    /// The person, by the name or e-mail address that their items have.
    #[arg(long, value_name = "NAME")]
    person: String,

    /// Only show what would be erased.
    #[arg(long)]
    dry_run: bool,

    /// Do not ask for confirmation.
    #[arg(short, long)]
    yes: bool,

    /// Print only errors.
    #[arg(short, long)]
    quiet: bool,

    /// Print what was erased as JSON, which does not name the person.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    keeping: StoreArgs,
}

impl Erase {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let client = self.keeping.client()?;
        let Some(opened) = client.opened() else {
            return Err(
                "`retort erase` works on the store itself; run it where the store is".into()
            );
        };
        let found = opened.service.erasure(&opened.caller, &self.person)?;
        if found.is_nothing() {
            let name = one_line(&self.person, 80);
            return Err(format!("there is nothing of `{name}` in this project").into());
        }
        if !self.quiet && !self.json {
            tell(&found);
        }
        if self.dry_run {
            if self.json {
                print_json(&as_json(&found, &[]))?;
            }
            return Ok(ExitCode::SUCCESS);
        }
        confirm("this will be permanently erased", self.yes)?;
        let jobs = opened.service.erase(&opened.caller, &self.person, &found)?;
        let mut made = Vec::new();
        for job in &jobs {
            let code = super::export::finish(&client, &client.job(*job)?, true)?;
            if code != ExitCode::SUCCESS {
                return Ok(code);
            }
            made.extend(client.job(*job)?.dataset);
        }
        let left = opened.service.erasure(&opened.caller, &self.person)?;
        if !left.is_nothing() {
            return Err("something of theirs came in meanwhile; run the command again".into());
        }
        if self.json {
            print_json(&as_json(&found, &made))?;
        } else if !self.quiet {
            eprintln!(
                "erased; `retort doctor --erased FILE` searches the store for texts of theirs"
            );
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn tell(found: &Erasure) {
    let items = [
        several(found.conversations, "conversation"),
        several(found.runs, "run"),
        several(found.documents, "document"),
    ];
    eprintln!("to erase   {}", items.join(", "));
    for one in &found.datasets {
        let name = one_line(&one.dataset.name, 40);
        let what = match one.is_emptied() {
            true => "to delete ",
            false => "to rebuild",
        };
        let items = several(one.leaving, "item");
        eprintln!("{what} `{name}` of {} ({items} of {})", one.dataset.creator, one.selected);
    }
}

/// What was found, and the numbers of the datasets that took the place of others.
fn as_json(found: &Erasure, made: &[i64]) -> Value {
    let datasets: Vec<_> = found
        .datasets
        .iter()
        .map(|one| {
            json!({
                "id": one.dataset.id,
                "name": one.dataset.name,
                "action": if one.is_emptied() { "delete" } else { "rebuild" },
                "items": one.selected,
                "items_erased": one.leaving,
            })
        })
        .collect();
    json!({
        "conversations": found.conversations,
        "runs": found.runs,
        "documents": found.documents,
        "datasets": datasets,
        "rebuilt_as": made,
    })
}
