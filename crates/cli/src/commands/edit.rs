//! `retort tag`, `favorite`, `delete`, `restore` and `purge`.

use std::io::{BufRead, IsTerminal, Write};
use std::process::ExitCode;

use clap::Args;
use retort_model::{Selection, Status};
use retort_service::{Edit, Error};
use serde_json::json;

use super::Failure;
use crate::args::Filtering;
use crate::config::Keeping;
use crate::words::{count, several};

/// Which conversations are changed.
#[derive(Args)]
struct Meant {
    /// Ids of the conversations.
    #[arg(value_name = "ID")]
    named: Vec<String>,

    #[command(flatten)]
    filtering: Filtering,

    /// All conversations that are not deleted.
    #[arg(long)]
    all: bool,

    #[command(flatten)]
    keeping: Keeping,

    /// Print the counts as JSON.
    #[arg(long)]
    json: bool,
}

/// Add tags to conversations and take tags away.
#[derive(Args)]
pub struct Tag {
    #[command(flatten)]
    meant: Meant,

    /// A tag to add.
    #[arg(long, value_name = "TAG")]
    add: Vec<String>,

    /// A tag to take away.
    #[arg(long, value_name = "TAG")]
    remove: Vec<String>,
}

/// Mark conversations as favourites.
#[derive(Args)]
pub struct Favorite {
    #[command(flatten)]
    meant: Meant,

    /// Take the mark away.
    #[arg(long)]
    off: bool,
}

/// Delete conversations so that they can be restored.
#[derive(Args)]
pub struct Delete {
    #[command(flatten)]
    meant: Meant,
}

/// Restore deleted conversations.
#[derive(Args)]
pub struct Restore {
    #[command(flatten)]
    meant: Meant,
}

/// Remove conversations for good. Datasets that were made of them stay.
#[derive(Args)]
pub struct Purge {
    #[command(flatten)]
    meant: Meant,

    /// Do not ask.
    #[arg(short, long)]
    yes: bool,
}

impl Tag {
    pub fn run(self) -> Result<ExitCode, Failure> {
        if self.add.is_empty() && self.remove.is_empty() {
            return Err("say which tags with `--add` and `--remove`".into());
        }
        self.meant.change(&Edit::Tags { add: self.add, remove: self.remove }, &[], "changed", true)
    }
}

impl Favorite {
    pub fn run(self) -> Result<ExitCode, Failure> {
        self.meant.change(&Edit::Favorite(!self.off), &[], "changed", true)
    }
}

impl Delete {
    pub fn run(self) -> Result<ExitCode, Failure> {
        self.meant.change(&Edit::Delete, &[], "deleted", true)
    }
}

impl Restore {
    pub fn run(self) -> Result<ExitCode, Failure> {
        self.meant.change(&Edit::Restore, &[Status::Deleted], "restored", true)
    }
}

impl Purge {
    pub fn run(self) -> Result<ExitCode, Failure> {
        self.meant.change(&Edit::Purge, &[], "purged", self.yes)
    }
}

impl Meant {
    /// Makes the change. `statuses` are meant where neither ids nor statuses are named; what is not `agreed` is
    /// asked for.
    fn change(
        self,
        edit: &Edit,
        statuses: &[Status],
        done: &str,
        agreed: bool,
    ) -> Result<ExitCode, Failure> {
        let opened = self.keeping.open()?;
        let mut selection = Selection::from(self.filtering);
        selection.ids.extend(self.named);
        if selection == Selection::default() && !self.all {
            return Err("say which conversations: by id, by a filter, or all with `--all`".into());
        }
        if selection.statuses.is_empty() {
            // Who names a conversation means it whatever its status.
            let named = if selection.ids.is_empty() { statuses } else { Status::ALL };
            selection.statuses = named.to_vec();
        }
        if let Some(id) = opened.service.unknown_ids(&opened.caller, &selection)?.into_iter().next()
        {
            return Err(Error::NotFound { what: "conversation", name: id }.into());
        }
        let meant = opened.service.count(&opened.caller, &selection)?;
        if meant > 0
            && !agreed
            && !ask(&format!("Remove {} for good?", several(meant, "conversation")))?
        {
            eprintln!("nothing was changed");
            return Ok(ExitCode::FAILURE);
        }
        let changed = opened.service.edit(&opened.caller, &selection, edit)?;
        if self.json {
            println!("{}", json!({"meant": meant, "changed": changed}));
        } else {
            eprintln!("{done} {} of {}", count(changed), several(meant, "conversation"));
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Asks a person; where there is none, says how to agree beforehand.
pub fn ask(question: &str) -> Result<bool, Failure> {
    if !std::io::stdin().is_terminal() {
        return Err(format!("{question} Agree with `--yes`").into());
    }
    let mut err = std::io::stderr().lock();
    write!(err, "{question} [y/N] ")?;
    err.flush()?;
    let mut answer = String::new();
    std::io::stdin().lock().read_line(&mut answer)?;
    Ok(matches!(answer.trim().to_lowercase().as_str(), "y" | "yes"))
}
