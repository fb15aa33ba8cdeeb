//! `retort tokens`.

use std::process::ExitCode;

use clap::{Args, Subcommand};
use retort_model::Grant;
use retort_service::TokenRequest;
use retort_web::wire;
use serde_json::json;

use super::{Failure, print, print_json};
use crate::args::whole;
use crate::changing::report_done;
use crate::config::StoreArgs;
use crate::display::{fitted, moment_of, one_line, table};

/// Days that a token lasts, if not said.
const DAYS: u64 = 90;

/// Create, list or revoke API tokens.
///
/// Each token is for one project.
#[derive(Args)]
pub struct Tokens {
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
    /// List the tokens.
    List,
    /// Create a token and print it. It is never shown again.
    Add {
        /// Name of the token.
        #[arg(value_name = "NAME")]
        name: String,

        /// What the token allows: `read`, `write`, `export`, `share` or `manage`; repeatable.
        #[arg(long = "scope", value_name = "SCOPE", required = true, value_parser = parse_grant)]
        scopes: Vec<Grant>,

        /// Days until the token expires.
        #[arg(long, value_name = "N", default_value_t = DAYS)]
        days: u64,

        /// Person that the token acts for [default: the owner that the server created].
        #[arg(long, value_name = "PERSON")]
        person: Option<String>,
    },
    /// Revoke a token.
    Revoke {
        /// Number of the token in the list.
        #[arg(value_parser = whole::<i64, 1, { u64::MAX }>)]
        id: i64,
    },
}

fn parse_grant(text: &str) -> Result<Grant, String> {
    text.parse()
}

impl Tokens {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let client = self.keeping.client()?;
        match self.action.unwrap_or(Action::List) {
            Action::List => list(&client.tokens()?, self.json)?,
            Action::Add { name, scopes, days, person } => {
                let request = TokenRequest { name, grants: scopes.into_iter().collect(), days };
                let token = client.add_token(&request, person.as_deref())?;
                if self.json {
                    print_json(&token)?;
                } else {
                    print(token.token.as_deref().unwrap_or_default())?;
                    eprintln!(
                        "token {} of `{}`, until {}; it is not shown again",
                        token.id,
                        one_line(&token.person, 80),
                        moment_of(token.expires_at.as_deref())
                    );
                }
            }
            Action::Revoke { id } => {
                client.end_token(id)?;
                let done = format!("revoked token {id}");
                report_done(self.json, &json!({"revoked": id}), &done)?;
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}

fn list(tokens: &[wire::Token], json: bool) -> Result<(), Failure> {
    if json {
        return print_json(&tokens);
    }
    if tokens.is_empty() {
        eprintln!("there are no tokens; `retort tokens add` makes one");
        return Ok(());
    }
    let mut table = table(&["ID", "NAME", "PERSON", "SCOPES", "MADE", "EXPIRES", "USED"]);
    for token in tokens {
        table.add_row([
            token.id.to_string(),
            one_line(&token.name, 60),
            one_line(&token.person, 60),
            token.scopes.join(", "),
            moment_of(token.created_at.as_deref()),
            moment_of(token.expires_at.as_deref()),
            moment_of(token.seen_at.as_deref()),
        ]);
    }
    print(fitted(table))
}
