//! `retort projects`.

use std::process::ExitCode;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use retort_model::ProjectRole;
use retort_service::Caller;
use retort_web::wire;

use super::{Failure, confirm, print, print_json};
use crate::config::StoreArgs;
use crate::display::{fitted, one_line, several, table};

/// List, add or purge projects.
#[derive(Args)]
pub struct Projects {
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
    /// List the projects and your role in each.
    List,
    /// Add a project.
    Add {
        /// Name of the project.
        #[arg(value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
        name: String,

        /// Owner of the project.
        #[arg(long, value_name = "PERSON")]
        owner: Option<String>,
    },
    /// Permanently delete a project and everything in it.
    #[command(alias = "delete")]
    Purge {
        /// Name of the project.
        #[arg(value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
        name: String,

        /// Do not ask for confirmation.
        #[arg(short, long)]
        yes: bool,
    },
}

impl Projects {
    pub fn run(self) -> Result<ExitCode, Failure> {
        match self.action.unwrap_or(Action::List) {
            Action::List => list(&self.keeping.client()?.projects()?, self.json)?,
            Action::Add { name, owner } => {
                let service = self.keeping.open_or_new()?.service;
                let owner = owner.map(|owner| service.person(&owner)).transpose()?;
                if service.project(&name).is_ok() {
                    return Err(format!("the project `{name}` already exists").into());
                }
                let project = service.project_or_new(&name)?;
                let caller = Caller::local(&project);
                match owner {
                    Some(owner) => {
                        service.admit(&caller, &owner, ProjectRole::Owner)?;
                        eprintln!("added `{name}`, which `{}` owns", one_line(&owner.name, 80));
                    }
                    None => eprintln!(
                        "added `{name}`; `retort members set PERSON ROLE --project '{name}'` adds people to it"
                    ),
                }
                if self.json {
                    print_json(&wire::Project { name, role: caller.role().to_string() })?;
                }
            }
            Action::Purge { name, yes } => {
                let service = self.keeping.service()?;
                let caller = Caller::local(&service.project(&name)?);
                let has = service.belongings(&caller)?;
                let question = format!(
                    "the project `{name}` will be permanently deleted, with {}, {} and {}, {} with their files, {}, \
                     {}, {} and {}; {} will lose access and keep their accounts",
                    several(has.conversations, "conversation"),
                    several(has.runs, "run"),
                    several(has.documents, "document"),
                    several(has.datasets, "dataset"),
                    several(has.open_jobs, "open job"),
                    several(has.shares, "public link"),
                    several(has.tokens, "API token"),
                    several(has.webhooks, "webhook"),
                    several(has.memberships, "member"),
                );
                confirm(&question, yes)?;
                service.delete_project(&caller, &name)?;
                eprintln!("purged the project `{name}`");
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
    print(fitted(table))
}
