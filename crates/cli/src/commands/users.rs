//! `retort users`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use retort_model::{ProjectRole, bounds::SIGN_IN_LINK_MINUTES};
use retort_web::wire;

use super::{Failure, confirm, print, print_json, read_password};
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
    keeping: StoreArgs<false>,
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

        /// Role in the project: `owner`, `admin` or `member`.
        #[arg(long, value_name = "ROLE", value_parser = parse_role)]
        role: Option<ProjectRole>,
    },
    /// Disable an account. Its sessions, API tokens, webhooks and invitations end, and its public links close.
    Disable {
        /// Name of the account.
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Enable a disabled account. Nothing that ended with it is restored.
    Enable {
        /// Name of the account.
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Set a new password. The account's sessions, one-time links and API tokens end.
    Password {
        /// Name of the account.
        #[arg(value_name = "NAME")]
        name: String,

        /// Read the password from standard input.
        #[arg(long, required = true)]
        password_stdin: bool,
    },
    /// Permanently delete an account with its sessions, API tokens, webhooks and invitations. What the person owns or created stays in
    /// its projects.
    #[command(alias = "delete")]
    Purge {
        /// Name of the account.
        #[arg(value_name = "NAME")]
        name: String,

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
    pub fn run(self) -> Result<ExitCode, Failure> {
        match self.action.unwrap_or(Action::List) {
            Action::List => {
                let people = self.keeping.service()?.people()?;
                list(&people.iter().map(Into::into).collect::<Vec<_>>(), self.json)?;
            }
            Action::Add { name, password_stdin, role } => {
                let opened = self.keeping.open_or_new()?;
                let password = if password_stdin { Some(read_password()?) } else { None };
                let person = opened.service.add_person(&name, password.as_deref())?;
                let name = one_line(&person.name, 80);
                match role {
                    Some(role) => {
                        opened.service.admit(&opened.caller, &person, role)?;
                        let project = one_line(&opened.caller.project().name, 80);
                        eprintln!("added `{name}`, {role} of `{project}`");
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
                    let secret = opened.service.sign_in_link(&person)?;
                    self.keeping.print_link(&secret, false)?;
                }
            }
            Action::Disable { name } => self.keeping.set_disabled(&name, true)?,
            Action::Enable { name } => self.keeping.set_disabled(&name, false)?,
            Action::Password { name, .. } => {
                let service = self.keeping.service()?;
                let person = service.person(&name)?;
                let ended = service.set_password(&person, &read_password()?)?;
                eprintln!(
                    "changed the password of `{}`; ended {} sessions and links and {} API tokens",
                    one_line(&person.name, 80),
                    ended.sessions,
                    ended.tokens
                );
            }
            Action::Purge { name, yes } => {
                let service = self.keeping.service()?;
                let person = service.person(&name)?;
                let has = service.belongings_of(&person)?;
                let name = one_line(&person.name, 80);
                let question = format!(
                    "the account `{name}` will be permanently deleted, with {}, {}, {} and {}; it is removed from {}; \
                     {} will close and {} will end; {}, {}, {}, {}, and {} that belong to others but that they \
                     imported stay in their projects",
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
                );
                confirm(&question, yes)?;
                service.delete_person(&person)?;
                eprintln!("purged `{name}`");
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

impl StoreArgs<false> {
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

    fn set_disabled(&self, name: &str, disabled: bool) -> Result<(), Failure> {
        let service = self.service()?;
        let person = service.person(name)?;
        service.set_disabled(&person, disabled)?;
        let what = if disabled { "disabled" } else { "enabled" };
        eprintln!("{what} `{}`", one_line(&person.name, 80));
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
