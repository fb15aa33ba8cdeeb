//! `retort members`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use retort_model::ProjectRole;
use retort_web::wire;
use serde_json::json;

use super::users::parse_role;
use super::{Failure, print, print_json};
use crate::changing::report_done;
use crate::config::StoreArgs;
use crate::display::{fitted, moment_of, one_line, table};

/// List a project's members, set their roles or remove them.
#[derive(Args)]
pub struct Members {
    #[command(subcommand)]
    action: Option<Action>,

    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,

    #[command(flatten)]
    keeping: StoreArgs,
}

#[derive(Subcommand)]
enum Action {
    /// List the members.
    List,
    /// Set a person's role. In a local store, this also adds people who are not members yet.
    Set {
        /// Name of the person.
        #[arg(value_name = "PERSON")]
        person: String,

        /// `owner`, `admin` or `member`.
        #[arg(value_name = "ROLE", value_parser = parse_role)]
        role: ProjectRole,
    },
    /// Confirm that a member who chose their own name (through an open invitation) is who they say they are. They then
    /// see the items owned by that name.
    Confirm {
        /// Name of the person.
        #[arg(value_name = "PERSON")]
        person: String,
    },
    /// Remove a person from the project.
    Remove {
        /// Name of the person.
        #[arg(value_name = "PERSON")]
        person: String,
    },
}

impl Members {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let client = self.keeping.client()?;
        match self.action.unwrap_or(Action::List) {
            Action::List => list(&client.members()?, self.json)?,
            Action::Set { person, role } => {
                client.set_role(&person, Some(role))?;
                let done = format!("`{}` is now {role} of the project", one_line(&person, 80));
                let change = json!({"person": person, "role": role.as_str()});
                report_done(self.json, &change, &done)?;
            }
            Action::Confirm { person } => {
                client.prove_name(&person)?;
                let done = format!("confirmed the name `{}`", one_line(&person, 80));
                report_done(self.json, &json!({"confirmed": person}), &done)?;
            }
            Action::Remove { person } => {
                client.set_role(&person, None)?;
                let done = format!("removed `{}` from the project", one_line(&person, 80));
                report_done(self.json, &json!({"removed": person}), &done)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn list(members: &[wire::Member], json: bool) -> Result<(), Failure> {
    if json {
        return print_json(&members);
    }
    if members.is_empty() {
        eprintln!("the project has no members; `retort members set` adds one");
        return Ok(());
    }
    let mut table = table(&["ID", "NAME", "ROLE", "SINCE", "DISABLED", "CONFIRMED", "SEEN"]);
    for member in members {
        table.add_row([
            member.id.to_string(),
            one_line(&member.name, 80),
            member.role.clone(),
            moment_of(member.since.as_deref()),
            if member.disabled { "yes".into() } else { String::new() },
            if member.proved { "yes".into() } else { "no".into() },
            moment_of(member.seen_at.as_deref()),
        ]);
    }
    print(fitted(table))
}
