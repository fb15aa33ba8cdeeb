//! `retort projects`.

use std::process::ExitCode;

use clap::builder::NonEmptyStringValueParser;
use clap::{Args, Subcommand};
use retort_model::ProjectRole;
use retort_service::{Caller, Error, Person, Project, Service};
use retort_web::wire;
use serde_json::json;

use super::{Failure, confirm, print, print_json};
use crate::args::DryRunArgs;
use crate::changing::report;
use crate::config::{ServerArgs, StoreArgs};
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
    keeping: StoreArgs<true, false>,
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

        #[command(flatten)]
        dry: DryRunArgs,

        // Only for commands that open the store; a server cannot do this.
        #[command(flatten)]
        _here: ServerArgs<false>,
    },
    /// Permanently delete a project and everything in it.
    #[command(alias = "delete")]
    Purge {
        /// Name of the project.
        #[arg(value_name = "NAME", value_parser = NonEmptyStringValueParser::new())]
        name: String,

        #[command(flatten)]
        dry: DryRunArgs,

        // Only for commands that open the store; a server cannot do this.
        #[command(flatten)]
        _here: ServerArgs<false>,

        /// Do not ask for confirmation.
        #[arg(short, long)]
        yes: bool,
    },
}

impl Projects {
    pub fn run(self) -> Result<ExitCode, Failure> {
        match self.action.unwrap_or(Action::List) {
            Action::List => {
                let projects = match self.keeping.server()? {
                    Some(client) => client.projects()?,
                    None => projects_of(&self.keeping.service()?)?,
                };
                list(&projects, self.json)?;
            }
            Action::Add { name, owner, dry: DryRunArgs { dry_run }, .. } => {
                let service = self.keeping.service_or_new(dry_run)?;
                let add = || add(&service, &name, owner.as_deref());
                let owner = service.rehearse_if(dry_run, add)?;
                let owner = owner.map(|owner| one_line(&owner.name, 80));
                let with = owner.as_ref().map(|owner| format!(", which `{owner}` owns"));
                let with = with.unwrap_or_default();
                let next = format!(
                    "; `retort members set PERSON ROLE --project '{name}'` adds people to it"
                );
                let next = if owner.is_some() { &with } else { &next };
                let role = ProjectRole::Owner.to_string();
                report(
                    (self.json, dry_run),
                    &wire::Project { name: name.clone(), role },
                    &format!("add `{name}`{with}"),
                    &format!("added `{name}`{next}"),
                )?;
            }
            Action::Purge { name, dry: DryRunArgs { dry_run }, yes, .. } => {
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
                if !dry_run {
                    confirm(&question, yes)?;
                    service.delete_project(&caller, &name)?;
                }
                report(
                    (self.json, dry_run),
                    &json!({"purged": name}),
                    &format!("purge `{name}`: {question}"),
                    &format!("purged the project `{name}`"),
                )?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// All projects of a store, each with the role `owner`: people who open the store directly may do everything.
fn projects_of(service: &Service) -> Result<Vec<wire::Project>, Failure> {
    let role = ProjectRole::Owner.to_string();
    let project = |one: Project| wire::Project { name: one.name, role: role.clone() };
    Ok(service.projects()?.into_iter().map(project).collect())
}

/// Adds a project, and its owner if one is named.
fn add(service: &Service, name: &str, owner: Option<&str>) -> Result<Option<Person>, Error> {
    let owner = owner.map(|owner| service.person(owner)).transpose()?;
    if service.project(name).is_ok() {
        return Err(Error::Conflict(format!("the project `{name}` already exists")));
    }
    let caller = Caller::local(&service.project_or_new(name)?);
    if let Some(owner) = &owner {
        service.admit(&caller, owner, ProjectRole::Owner)?;
    }
    Ok(owner)
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
