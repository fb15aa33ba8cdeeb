//! `retort projects`.

use std::process::ExitCode;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use retort_model::ProjectRole;
use retort_service::Caller;
use retort_web::wire;

use super::{Failure, print, print_json};
use crate::config::Keeping;
use crate::words::{one_line, table};

/// List the projects, or add one.
#[derive(Args)]
pub struct Projects {
    #[command(subcommand)]
    action: Option<Action>,

    /// As JSON.
    #[arg(long, global = true)]
    json: bool,

    #[command(flatten)]
    keeping: Keeping,
}

#[derive(Subcommand)]
enum Action {
    /// List the projects, and what you are in them.
    List,
    /// Add a project.
    Add {
        /// Its name.
        #[arg(value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
        name: String,

        /// Who owns it.
        #[arg(long, value_name = "PERSON")]
        owner: Option<String>,
    },
}

impl Projects {
    pub fn run(self) -> Result<ExitCode, Failure> {
        match self.action.unwrap_or(Action::List) {
            Action::List => list(&self.keeping.house()?.projects()?, self.json)?,
            Action::Add { name, owner } => {
                let service = self.keeping.open_or_new()?.service;
                let owner = owner.map(|owner| service.person(&owner)).transpose()?;
                if service.project(&name).is_ok() {
                    return Err(format!("there is a project `{name}` already").into());
                }
                let project = service.project_or_new(&name)?;
                let caller = Caller::local(&project);
                match owner {
                    Some(owner) => {
                        service.admit(&caller, &owner, ProjectRole::Owner)?;
                        eprintln!("added `{name}`, which `{}` owns", one_line(&owner.name, 80));
                    }
                    None => eprintln!("added `{name}`, which nobody owns who could sign in"),
                }
                if self.json {
                    print_json(&wire::Project { name, role: caller.role().to_string() })?;
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn list(projects: &[wire::Project], json: bool) -> Result<(), Failure> {
    if json {
        return print_json(&projects);
    }
    let mut table = table(&["NAME", "ROLE"]);
    for project in projects {
        table.add_row([one_line(&project.name, 80), project.role.clone()]);
    }
    print(table.trim_fmt())
}
