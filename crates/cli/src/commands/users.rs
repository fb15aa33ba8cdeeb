//! `retort users`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use retort_model::{ProjectRole, bounds::SIGN_IN_LINK_MINUTES};
use retort_service::{Belongings, Caller, Person};
use retort_web::wire;
use serde_json::json;

use super::{Failure, confirm, print, print_json, read_password};
use crate::args::DryRunArgs;
use crate::changing::{print_dry, report, tell_would};
use crate::config::StoreArgs;
use crate::display::{fitted, moment_of, one_line, several, table};

/// Manage the accounts of the server.
#[derive(Args)]
pub struct Users {
    #[command(subcommand)]
    action: Option<Action>,

    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,

    #[command(flatten)]
    keeping: StoreArgs<false, false>,
}

#[derive(Subcommand)]
enum Action {
    /// List the accounts.
    List,
    /// Add an account.
    Add {
        /// Name of the person, as conversations name their owner; often an e-mail address.
        #[arg(value_name = "NAME")]
        name: String,

        /// Read the password from standard input.
        #[arg(long)]
        password_stdin: bool,

        /// Add the person to the project, as `owner`, `admin` or `member`.
        #[arg(long, value_name = "ROLE", value_parser = parse_role)]
        role: Option<ProjectRole>,

        /// The project, with `--role` [default: `default`, or what RETORT_PROJECT or the configuration names].
        #[arg(long, value_name = "NAME", requires = "role")]
        project: Option<String>,

        #[command(flatten)]
        dry: DryRunArgs,
    },
    /// Disable an account. Its sessions, API tokens, webhooks and invitations end, and its public links close.
    Disable {
        /// Name of the account.
        #[arg(value_name = "NAME")]
        name: String,

        #[command(flatten)]
        dry: DryRunArgs,
    },
    /// Enable a disabled account. Nothing that ended with it is restored.
    Enable {
        /// Name of the account.
        #[arg(value_name = "NAME")]
        name: String,

        #[command(flatten)]
        dry: DryRunArgs,
    },
    /// Set a new password. The account's sessions, one-time links and API tokens end.
    Password {
        /// Name of the account.
        #[arg(value_name = "NAME")]
        name: String,

        /// Read the password from standard input.
        #[arg(long, required = true)]
        password_stdin: bool,

        #[command(flatten)]
        dry: DryRunArgs,
    },
    /// Permanently delete an account with its sessions, API tokens, webhooks and invitations. What the person owns or created stays in
    /// its projects.
    #[command(alias = "delete")]
    Purge {
        /// Name of the account.
        #[arg(value_name = "NAME")]
        name: String,

        #[command(flatten)]
        dry: DryRunArgs,

        /// Do not ask for confirmation.
        #[arg(short, long)]
        yes: bool,
    },
    /// Print a link that signs the person in once. The first sign-in by link ends the account's earlier password, sessions and
    /// API tokens, because the person who created the account may know them.
    Link {
        /// Name of the account.
        #[arg(value_name = "NAME")]
        name: String,
    },
}

pub fn parse_role(text: &str) -> Result<ProjectRole, String> {
    text.parse()
}

impl Users {
    pub fn run(mut self) -> Result<ExitCode, Failure> {
        match self.action.take().unwrap_or(Action::List) {
            Action::List => {
                let people = self.keeping.service()?.people()?;
                list(&people.iter().map(Into::into).collect::<Vec<_>>(), self.json)?;
            }
            Action::Add { name, password_stdin, role, project, dry: DryRunArgs { dry_run } } => {
                self.add(&name, password_stdin, role.map(|role| (role, project)), dry_run)?;
            }
            Action::Disable { name, dry } => self.set_disabled(&name, true, dry)?,
            Action::Enable { name, dry } => self.set_disabled(&name, false, dry)?,
            Action::Password { name, dry: DryRunArgs { dry_run }, .. } => {
                let service = self.keeping.service()?;
                let person = service.person(&name)?;
                let password = read_password()?;
                let set = || service.set_password(&person, &password);
                let ended = service.rehearse_if(dry_run, set)?;
                let name = one_line(&person.name, 80);
                let sessions = several(ended.sessions, "session");
                let tokens = several(ended.tokens, "API token");
                let change = json!({"name": person.name, "sessions": ended.sessions, "tokens": ended.tokens});
                report(
                    (self.json, dry_run),
                    &change,
                    &format!("change the password of `{name}`, and end {sessions} and {tokens}"),
                    &format!("changed the password of `{name}`; ended {sessions} and {tokens}"),
                )?;
            }
            Action::Purge { name, dry: DryRunArgs { dry_run }, yes } => {
                let service = self.keeping.service()?;
                let person = service.person(&name)?;
                service.check_removal(&person)?;
                let lost = lost_with(&person, &service.belongings_of(&person)?);
                let name = one_line(&person.name, 80);
                if !dry_run {
                    confirm(&lost, yes)?;
                    service.delete_person(&person)?;
                }
                report(
                    (self.json, dry_run),
                    &json!({"purged": person.name}),
                    &format!("purge `{name}`: {lost}"),
                    &format!("purged `{name}`"),
                )?;
            }
            Action::Link { name } => {
                let service = self.keeping.service()?;
                let secret = service.sign_in_link(&service.person(&name)?)?;
                self.keeping.print_link(&secret, self.json)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Users {
    /// Adds an account, and its person to a project if a role is given.
    fn add(
        &self,
        name: &str,
        reads_password: bool,
        role: Option<(ProjectRole, Option<String>)>,
        is_dry: bool,
    ) -> Result<(), Failure> {
        let service = self.keeping.service_or_new(is_dry)?;
        let password = if reads_password { Some(read_password()?) } else { None };
        let add = || -> Result<_, Failure> {
            // Fails before the person is added if the project does not exist.
            let role = role.map(|(role, named)| {
                let project = self.keeping.project_to_join(&service, named.as_deref())?;
                Ok::<_, Failure>((role, Caller::local(&project)))
            });
            let role = role.transpose()?;
            let person = service.add_person(name, password.as_deref())?;
            if let Some((role, caller)) = &role {
                service.admit(caller, &person, *role)?;
            }
            Ok((person, role))
        };
        let (person, role) = service.rehearse_if(is_dry, add)?;
        let name = one_line(&person.name, 80);
        let project = role.as_ref().map(|(role, caller)| (role, &caller.project().name));
        if is_dry && self.json {
            return print_dry(&wire::Person::from(&person));
        }
        if is_dry {
            let with = project.map(|(role, project)| format!(", {role} of `{project}`"));
            tell_would(&format!("add `{name}`{}", with.unwrap_or_default()));
            return Ok(());
        }
        match project {
            Some((role, project)) => {
                eprintln!("added `{name}`, {role} of `{}`", one_line(project, 80));
            }
            None => eprintln!(
                "added `{name}`, who is in no project yet; `retort members set '{name}' ROLE` adds them to one"
            ),
        }
        if self.json {
            print_json(&wire::Person::from(&person))?;
            if password.is_none() {
                eprintln!("`retort users link '{name}'` prints a link that signs them in");
            }
        } else if password.is_none() {
            let secret = service.sign_in_link(&person)?;
            self.keeping.print_link(&secret, false)?;
        }
        Ok(())
    }

    fn set_disabled(&self, name: &str, disabled: bool, dry: DryRunArgs) -> Result<(), Failure> {
        let service = self.keeping.service()?;
        let person = service.person(name)?;
        let set = || {
            service.set_disabled(&person, disabled)?;
            service.person(name)
        };
        let changed = service.rehearse_if(dry.dry_run, set)?;
        let (verb, done) = if disabled { ("disable", "disabled") } else { ("enable", "enabled") };
        let name = one_line(&person.name, 80);
        report(
            (self.json, dry.dry_run),
            &wire::Person::from(&changed),
            &format!("{verb} `{name}`"),
            &format!("{done} `{name}`"),
        )
    }
}

/// Says what is deleted with an account.
fn lost_with(person: &Person, has: &Belongings) -> String {
    format!(
        "the account `{}` will be permanently deleted, with {}, {}, {} and {}; it is removed from {}; \
         {} will close and {} will end; {}, {}, {}, {}, and {} that belong to others but that they \
         imported stay in their projects",
        one_line(&person.name, 80),
        several(has.tokens, "API token"),
        several(has.webhooks, "webhook"),
        several(has.invitations, "invitation"),
        "their sessions",
        several(has.memberships, "project"),
        several(has.shares, "public link"),
        several(has.open_jobs, "open job"),
        several(has.conversations, "conversation"),
        several(has.runs, "run"),
        several(has.documents, "document"),
        several(has.datasets, "dataset"),
        several(has.imported, "item"),
    )
}

impl StoreArgs<false, false> {
    /// Prints a link that signs a person in once.
    fn print_link(&self, secret: &str, json: bool) -> Result<(), Failure> {
        let path = wire::sign_in_path(secret);
        let url = format!("{}{path}", self.public_url()?);
        if json {
            return print_json(&serde_json::json!({"secret": secret, "path": path, "url": url}));
        }
        print(url)?;
        eprintln!("this link signs them in once, within {SIGN_IN_LINK_MINUTES} minutes");
        Ok(())
    }
}

fn list(people: &[wire::Person], json: bool) -> Result<(), Failure> {
    if json {
        return print_json(&people);
    }
    if people.is_empty() {
        eprintln!("there are no accounts yet; `retort users add` adds one");
        return Ok(());
    }
    let mut table = table(&["ID", "NAME", "PASSWORD", "DISABLED", "ADDED", "SEEN"]);
    let yes = |is: bool| if is { "yes".to_owned() } else { String::new() };
    for person in people {
        table.add_row([
            person.id.to_string(),
            one_line(&person.name, 80),
            yes(person.has_password),
            yes(person.disabled),
            moment_of(person.created_at.as_deref()),
            moment_of(person.seen_at.as_deref()),
        ]);
    }
    print(fitted(table))
}
