//! `retort share`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use retort_model::Time;
use retort_web::wire;
use serde_json::json;

use super::{Failure, print, print_json, read_password};
use crate::args::whole;
use crate::changing::report_done;
use crate::config::StoreArgs;
use crate::display::{fitted, moment_of, one_line, table};

/// Create, list or revoke public links to conversations.
#[derive(Args)]
pub struct Share {
    #[command(subcommand)]
    action: Action,

    /// Print JSON.
    #[arg(long, global = true)]
    json: bool,

    #[command(flatten)]
    keeping: StoreArgs,
}

#[derive(Subcommand)]
enum Action {
    Make(Make),
    /// List the links.
    List,
    /// Reopen a link that closed because its creator lost their role. It then belongs to you.
    Keep {
        /// Number of the link in the list.
        #[arg(value_parser = whole::<i64, 1, { u64::MAX }>)]
        id: i64,
    },
    /// Revoke a link.
    Revoke {
        /// Number of the link in the list.
        #[arg(value_parser = whole::<i64, 1, { u64::MAX }>)]
        id: i64,
    },
}

/// Create a link to a conversation and print it. Anyone with the link can read the conversation.
#[derive(Args)]
struct Make {
    /// The conversation's id.
    #[arg(value_name = "CONVERSATION")]
    conversation: String,

    /// Import format of the conversation (`--format` in filters), if conversations of several formats have this id.
    #[arg(long, value_name = "FORMAT")]
    source: Option<String>,

    /// When the link expires.
    #[arg(long, value_name = "DATE", value_parser = Time::parse)]
    expires: Option<Time>,

    /// Read a password for the link from standard input.
    #[arg(long)]
    password_stdin: bool,

    /// Also show system prompts.
    #[arg(long)]
    system: bool,

    /// Also show tool definitions.
    #[arg(long)]
    tools: bool,

    /// Also show token counts.
    #[arg(long)]
    usage: bool,

    /// Show secrets and personal data, which are masked otherwise.
    #[arg(long)]
    unredacted: bool,
}

impl Share {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let client = self.keeping.client()?;
        match self.action {
            Action::Make(make) => {
                let password = if make.password_stdin { Some(read_password()?) } else { None };
                let share = client.share(&wire::NewShare {
                    conversation: make.conversation,
                    source: make.source,
                    expires_at: make.expires.map(|time| time.to_string()),
                    password,
                    system: make.system,
                    tools: make.tools,
                    usage: make.usage,
                    unredacted: make.unredacted,
                })?;
                if self.json {
                    print_json(&share)?;
                } else {
                    let path = share.path.as_deref().unwrap_or_default();
                    print(format!("{}{path}", self.keeping.public_url()?))?;
                    eprintln!("link {}; `retort share revoke {}` revokes it", share.id, share.id);
                    eprintln!("{}", told(share.unredacted));
                }
            }
            Action::List => list(&client.shares()?, self.json)?,
            Action::Revoke { id } => {
                client.unshare(id)?;
                let done = format!("revoked link {id}");
                report_done(self.json, &json!({"revoked": id}), &done)?;
            }
            Action::Keep { id } => {
                client.keep_share(id)?;
                let done = format!("link {id} is open");
                report_done(self.json, &json!({"opened": id}), &done)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

/// Whether a link masks anything.
fn told(is_unredacted: bool) -> &'static str {
    if is_unredacted {
        "it shows secrets and personal data as they are"
    } else {
        "secrets and personal data in it are masked, but not names; `--unredacted` shows everything as it is"
    }
}

fn list(shares: &[wire::Share], json: bool) -> Result<(), Failure> {
    if json {
        return print_json(&shares);
    }
    if shares.is_empty() {
        eprintln!("there are no links; `retort share make` creates one");
        return Ok(());
    }
    let mut table = table(&[
        "ID",
        "CONVERSATION",
        "TITLE",
        "PASSWORD",
        "REDACTED",
        "CREATOR",
        "CREATED",
        "EXPIRES",
        "CLOSED",
    ]);
    for share in shares {
        table.add_row([
            share.id.to_string(),
            one_line(&share.conversation, 64),
            one_line(share.title.as_deref().unwrap_or_default(), 60),
            if share.has_password { "yes".into() } else { String::new() },
            if share.unredacted { "no".into() } else { "yes".into() },
            one_line(&share.creator, 40),
            moment_of(share.created_at.as_deref()),
            moment_of(share.expires_at.as_deref()),
            if share.closed { "yes".into() } else { String::new() },
        ]);
    }
    print(fitted(table))
}
