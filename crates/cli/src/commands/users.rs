//! `retort users`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use retort_model::{ProjectRole, bounds::SIGN_IN_LINK_MINUTES};
use retort_web::wire;

use super::{Failure, print, print_json, read_password};
use crate::config::Keeping;
use crate::words::{moment_of, one_line, table};

/// Add the people who may sign in to the server, and let them in or not.
#[derive(Args)]
pub struct Users {
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
    /// List the people.
    List,
    /// Add a person.
    Add {
        /// Their name, as conversations name who held them: an address of e-mail, for instance.
        #[arg(value_name = "NAME")]
        name: String,

        /// Read their password from standard input.
        #[arg(long)]
        password_stdin: bool,

        /// What they become in the project: `owner`, `admin` or `member`.
        #[arg(long, value_name = "ROLE", value_parser = parse_role)]
        role: Option<ProjectRole>,
    },
    /// Let a person in no longer.
    Disable {
        /// Their name.
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Let a person in again.
    Enable {
        /// Their name.
        #[arg(value_name = "NAME")]
        name: String,
    },
    /// Give a person another password, which ends their sessions.
    Password {
        /// Their name.
        #[arg(value_name = "NAME")]
        name: String,

        /// Read it from standard input.
        #[arg(long, required = true)]
        password_stdin: bool,
    },
    /// Print a link that signs a person in, once.
    Link {
        /// Their name.
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
                        "added `{name}`, who is in no project; `retort members set` brings them in"
                    ),
                }
                if password.is_none() {
                    eprintln!("`retort users link '{name}'` prints a link that signs them in");
                }
                if self.json {
                    print_json(&wire::Person::from(&person))?;
                }
            }
            Action::Disable { name } => self.keeping.set_disabled(&name, true)?,
            Action::Enable { name } => self.keeping.set_disabled(&name, false)?,
            Action::Password { name, .. } => {
                let service = self.keeping.service()?;
                let person = service.person(&name)?;
                service.set_password(&person, &read_password()?)?;
                eprintln!("`{}` has another password; their sessions ended", person.name);
            }
            Action::Link { name } => {
                let service = self.keeping.service()?;
                let secret = service.sign_in_link(&service.person(&name)?)?;
                let path = format!("/sign-in/link?secret={secret}");
                if self.json {
                    print_json(&serde_json::json!({"secret": secret, "path": path}))?;
                } else {
                    print(format!("{}{path}", self.keeping.public_url()?))?;
                    eprintln!("it signs them in once, within {SIGN_IN_LINK_MINUTES} minutes");
                }
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

impl Keeping {
    fn set_disabled(&self, name: &str, disabled: bool) -> Result<(), Failure> {
        let service = self.service()?;
        let person = service.person(name)?;
        service.set_disabled(&person, disabled)?;
        let what = if disabled { "no longer let in" } else { "let in again" };
        eprintln!("`{}` is {what}", one_line(&person.name, 80));
        Ok(())
    }
}

fn list(people: &[wire::Person], json: bool) -> Result<(), Failure> {
    if json {
        return print_json(&people);
    }
    if people.is_empty() {
        eprintln!("there is nobody yet; `retort users add` adds a person");
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
    print(table.trim_fmt())
}
