//! `retort push`, and the option `--push` of the commands that make packages.

use std::path::PathBuf;
use std::process::ExitCode;
use std::sync::atomic::AtomicBool;

use clap::Args;
use reqwest::Url;
use retort_service::{EngineError, HubRepository, Package};
use serde_json::json;

use super::{Failure, STOPPED, misuse, print_json, stop_flag};
use crate::display::{bytes, several};
use crate::hub;

/// Push a package to a dataset on the Hugging Face Hub.
///
/// All files are pushed in one commit. The repository is created if it does not exist. Files that the Hub already has
/// are not sent again, so you can repeat an interrupted push. Files that only the previous package had are removed.
///
/// The token comes from HF_TOKEN or `hf auth login`.
#[derive(Args)]
pub struct Push {
    /// Folder or archive of the package.
    package: PathBuf,

    /// The dataset on the Hub.
    #[arg(id = "push", value_name = "hf://datasets/ORG/NAME")]
    repository: HubRepository,

    /// Print only errors.
    #[arg(short, long)]
    quiet: bool,

    /// Print JSON.
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    how: HowPushed,
}

/// Whether and where to push a package once it is made.
#[derive(Args)]
#[command(next_help_heading = "Hugging Face Hub")]
pub struct PushArgs {
    /// Push the package to a dataset on the Hugging Face Hub, as `retort push` does.
    #[arg(long, value_name = "hf://datasets/ORG/NAME")]
    push: Option<HubRepository>,

    #[command(flatten)]
    how: HowPushed,
}

/// How a package is pushed.
#[derive(Args)]
#[command(next_help_heading = "Hugging Face Hub")]
pub struct HowPushed {
    /// Let everyone read the dataset. Without this, it is private.
    #[arg(long, requires = "push")]
    public: bool,

    /// Push a dataset even if it was made without `--redact`.
    #[arg(long, requires = "push")]
    not_redacted: bool,

    /// URL of the Hub.
    #[arg(
        long,
        env = "HF_ENDPOINT",
        value_name = "URL",
        default_value = "https://huggingface.co/",
        hide_short_help = true
    )]
    hub: Url,
}

impl Push {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let mut package = Package::open(&self.package)?;
        self.how.check(package.manifest().redaction.is_some())?;
        let stopped = stop_flag()?;
        self.how.push(&mut package, &self.repository, &stopped, (self.quiet, self.json))
    }
}

impl PushArgs {
    /// Whether to push anything.
    pub fn is_any(&self) -> bool {
        self.push.is_some()
    }

    /// Refuses before the export begins what the push would refuse after it.
    pub fn check(&self, is_redacted: bool) -> Result<(), Failure> {
        if self.is_any() { self.how.check(is_redacted) } else { Ok(()) }
    }

    /// Pushes a package if `--push` was given.
    pub fn run(
        &self,
        package: &mut Package,
        stopped: &AtomicBool,
        quiet: bool,
    ) -> Result<ExitCode, Failure> {
        match &self.push {
            Some(repository) => self.how.push(package, repository, stopped, (quiet, false)),
            None => Ok(ExitCode::SUCCESS),
        }
    }
}

impl HowPushed {
    fn check(&self, is_redacted: bool) -> Result<(), Failure> {
        if !is_redacted && !self.not_redacted {
            return Err(misuse(
                "this dataset is not redacted: make it with `--redact secrets,pii`, for example, or add \
                 `--not-redacted` to push it as it is",
            ));
        }
        hub::needed_token()?;
        Ok(())
    }

    fn push(
        &self,
        package: &mut Package,
        repository: &HubRepository,
        stopped: &AtomicBool,
        (quiet, json): (bool, bool),
    ) -> Result<ExitCode, Failure> {
        let hub = hub::at(self.hub.clone(), Some(hub::needed_token()?))?;
        let pushed = match hub.push(package, repository, self.public, stopped) {
            Ok(pushed) => pushed,
            Err(error @ EngineError::Stopped) => {
                eprintln!("error: {error}");
                return Ok(ExitCode::from(STOPPED));
            }
            Err(error) => return Err(error.into()),
        };
        if json {
            print_json(&json!({
                "url": pushed.url,
                "commit": pushed.commit,
                "files_sent": pushed.sent,
                "bytes_sent": pushed.sent_bytes,
                "files_there": pushed.there,
            }))?;
        } else if !quiet {
            let there = several(pushed.there, "file");
            match &pushed.commit {
                Some(commit) => eprintln!(
                    "pushed     {} (sent {} in {}, {there} already there; commit {commit})",
                    pushed.url,
                    bytes(pushed.sent_bytes),
                    several(pushed.sent, "file"),
                ),
                None => eprintln!("unchanged  {} (this package is already there)", pushed.url),
            }
        }
        Ok(ExitCode::SUCCESS)
    }
}
