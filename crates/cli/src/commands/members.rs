//! `retort members`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use retort_model::ProjectRole;
use retort_web::wire;

use super::users::parse_role;
use super::{Failure, print, print_json};
use crate::config::StoreArgs;
use crate::display::{moment_of, one_line, table};

/// List who is in the project, give them roles, or take them out.
#[derive(Args)]
pub struct Members {
    #[command(subcommand)]
    action: Option<Action>,

    /// As JSON.
    #[arg(long, global = true)]
    json: bool,

    #[command(flatten)]
    keeping: StoreArgs,
}

#[derive(Subcommand)]
enum Action {
    /// List who is in the project.
    List,
    /// Give a person a role; here, where the store lies, also one who was not in the project.
    Set {
        /// Their name.
        #[arg(value_name = "PERSON")]
        person: String,

        /// `owner`, `admin` or `member`.
        #[arg(value_name = "ROLE", value_parser = parse_role)]
        role: ProjectRole,
    },
    /// Confirm that a member who chose their own name (through an open invitation) is who they say they are. They then
    /// see the items owned by that name.
    Confirm {
        /// Their name.
        #[arg(value_name = "PERSON")]
        person: String,
    },
    /// Take a person out of the project.
    Remove {
        /// Their name.
        #[arg(value_name = "PERSON")]
        person: String,
    },
}

impl Members {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let backend = self.keeping.backend()?;
        match self.action.unwrap_or(Action::List) {
            Action::List => list(&backend.members()?, self.json)?,
            Action::Set { person, role } => {
                backend.set_role(&person, Some(role))?;
                eprintln!("`{}` is {role} of the project", one_line(&person, 80));
            }
            Action::Confirm { person } => {
                backend.prove_name(&person)?;
                eprintln!("the name `{}` is confirmed", one_line(&person, 80));
            }
            Action::Remove { person } => {
                backend.set_role(&person, None)?;
                eprintln!("`{}` is not in the project any more", one_line(&person, 80));
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
        eprintln!("nobody is in the project; `retort members set` brings a person in");
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
    print(table.trim_fmt())
}
