//! `retort erase`.

use std::process::ExitCode;

use clap::{ArgGroup, Args};
use retort_web::wire;
use serde_json::{Value, json};

use super::{Failure, confirm, print, print_json, stop_flag};
use crate::changing::{NOTHING_CHANGED, print_dry};
use crate::client::Client;
use crate::config::StoreArgs;
use crate::display::{one_line, several};

/// Erase everything that belongs to a person.
///
/// Permanently deletes the conversations, runs and documents of the project that the person owns, and those without an owner
/// that they imported. Deleted ones and public links are erased as well. Everyone's datasets with such items are rebuilt
/// without them, and their other rows do not change; datasets with nothing else in them are deleted. The person's ratings, labels, comments, marks and corrected answers on other people's items are removed.
/// Until `--lift`, imports leave out erased items and items that name the person as owner. Other people's items
/// that the person imported stay, and so does their account: `retort users purge` removes it. Only owners of the project can
/// do it.
///
/// Once the datasets are rebuilt, there is a signed receipt: `--receipt NUMBER` prints it, `--public-key` prints the key that
/// verifies it, and `retort verify RECEIPT --key KEY` checks it.
#[derive(Args)]
#[command(group(ArgGroup::new("what").required(true).args(["person", "list", "receipt", "public_key"])))]
pub struct Erase {
    /// Name or e-mail address of the person, as their items have it.
    #[arg(long, value_name = "NAME")]
    person: Option<String>,

    /// Only show what would be erased.
    #[arg(long, requires = "person")]
    dry_run: bool,

    /// Allow imports to bring back what was erased.
    #[arg(long, requires = "person", conflicts_with = "dry_run")]
    lift: bool,

    /// List the erasures.
    #[arg(long)]
    list: bool,

    /// Print the signed receipt of an erasure.
    #[arg(long, value_name = "NUMBER")]
    receipt: Option<i64>,

    /// Print the public key that verifies the receipts.
    #[arg(long)]
    public_key: bool,

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
        if let Some(person) = &self.person {
            return match self.lift {
                true => {
                    client.lift_erasure(person).map_err(Failure::from).map(|()| ExitCode::SUCCESS)
                }
                false => self.erase(&client, person),
            };
        }
        if self.public_key {
            print(client.receipt_key()?.trim_end())?;
        } else if let Some(id) = self.receipt {
            let erasure = client.erasure(id)?;
            let Some(receipt) = erasure.receipt else {
                let why =
                    erasure.error.unwrap_or_else(|| "its datasets are still being made".into());
                return Err(format!("erasure {id} has no receipt yet: {why}").into());
            };
            print(receipt.trim_end())?;
        } else {
            list(&client.erasures()?, self.json)?;
        }
        Ok(ExitCode::SUCCESS)
    }

    fn erase(&self, client: &Client, person: &str) -> Result<ExitCode, Failure> {
        let found = client.erasure_preview(person)?;
        if self.dry_run && self.json {
            print_dry(&as_json(&found, None))?;
            return Ok(ExitCode::SUCCESS);
        }
        if self.dry_run {
            eprintln!("{NOTHING_CHANGED}");
        }
        if !self.json && (self.dry_run || !self.quiet) {
            tell(&found);
        }
        if self.dry_run {
            return Ok(ExitCode::SUCCESS);
        }
        let said = found.judged_conversations + found.judged_runs;
        let items = found.conversations + found.runs + found.documents;
        if items + said > 0 || !found.datasets.is_empty() {
            confirm("this will be permanently erased", self.yes)?;
        }
        let begun = client.erase(person)?;
        let stopped = stop_flag()?;
        for job in begun.datasets.iter().filter_map(|one| one.job) {
            let code = super::export::finish_until(client, &client.job(job)?, true, &stopped)?;
            if code != ExitCode::SUCCESS {
                return Ok(code);
            }
        }
        let ended = client.erasure(begun.id)?;
        if let Some(error) = ended.error {
            return Err(error.into());
        }
        if self.json {
            print_json(&as_json(&found, Some(&ended)))?;
        } else if !self.quiet {
            let id = ended.id;
            let how = match ended.receipt {
                Some(_) => format!("erased; `retort erase --receipt {id}` prints the signed receipt"),
                None => "another process is still working on the erasure, or an export is being cancelled; `retort erase --list` shows when it is done".into(),
            };
            eprintln!("{how}");
            eprintln!("`retort doctor --erased FILE` searches the store for their texts");
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn tell(found: &wire::ErasurePreview) {
    let mut items = vec![
        several(found.conversations, "conversation"),
        several(found.runs, "run"),
        several(found.documents, "document"),
    ];
    if found.links > 0 {
        items.push(several(found.links, "public link"));
    }
    eprintln!("to erase   {}", items.join(", "));
    let mut said = Vec::new();
    if found.judged_conversations > 0 {
        said.push(several(found.judged_conversations, "conversation"));
    }
    if found.judged_runs > 0 {
        said.push(several(found.judged_runs, "run"));
    }
    if !said.is_empty() {
        eprintln!(
            "to remove  their judgements and corrections of {} of others",
            said.join(" and ")
        );
    }
    for one in &found.datasets {
        let (name, creator) = (one_line(&one.name, 40), one_line(&one.creator, 80));
        let what = if one.action == "delete" { "to delete " } else { "to rebuild" };
        let items = several(one.items_erased, "item");
        eprintln!("{what} `{name}` of {creator} ({items} of {})", one.items);
    }
}

fn list(erasures: &[wire::Erasure], as_json: bool) -> Result<(), Failure> {
    if as_json {
        return print_json(&erasures);
    }
    for one in erasures {
        let erased = several(one.conversations + one.runs + one.documents, "item");
        let datasets = several(one.datasets.len() as u64, "dataset");
        let at = one.finished_at.as_deref().or(one.created_at.as_deref()).unwrap_or_default();
        let why = one.error.as_ref().map(|why| format!("  {}", one_line(why, 200)));
        let why = why.unwrap_or_default();
        print(format_args!("{:>4}  {:<9}  {at}  {erased}, {datasets}{why}", one.id, one.state))?;
    }
    Ok(())
}

/// What was found, the erasure, and the numbers of the datasets that took the place of others.
fn as_json(found: &wire::ErasurePreview, erasure: Option<&wire::Erasure>) -> Value {
    let datasets: Vec<_> = found
        .datasets
        .iter()
        .map(|one| {
            json!({
                "id": one.id,
                "name": one.name,
                "action": one.action,
                "items": one.items,
                "items_erased": one.items_erased,
            })
        })
        .collect();
    let made: Vec<_> = erasure
        .iter()
        .flat_map(|erasure| erasure.datasets.iter().filter_map(|one| one.rebuilt_as))
        .collect();
    json!({
        "erasure": erasure.map(|erasure| erasure.id),
        "conversations": found.conversations,
        "runs": found.runs,
        "documents": found.documents,
        "links": found.links,
        "judged_conversations": found.judged_conversations,
        "judged_runs": found.judged_runs,
        "datasets": datasets,
        "rebuilt_as": made,
    })
}
