//! `retort conversations`, whose verbs are commands of their own as well.

use std::process::ExitCode;

use clap::{Args, Subcommand};

use super::Failure;
use super::delete::Delete;
use super::export::ExportOf;
use super::favorite::Favorite;
use super::list::List;
use super::purge::Purge;
use super::restore::Restore;
use super::show::Show;
use super::tag::Tag;
use crate::filters::SelectionArgs;

/// List, show, tag, export, delete or purge conversations.
#[derive(Args)]
pub struct Conversations {
    #[command(subcommand)]
    action: Action,
}

#[derive(Subcommand)]
enum Action {
    #[command(flatten)]
    Verb(Box<Verb>),
    /// Export conversations from the store as a dataset.
    Export(Box<ExportOf<SelectionArgs>>),
}

/// What is done to conversations. `retort list` is short for `retort conversations list`, and so on.
#[derive(Subcommand)]
pub enum Verb {
    List(List),
    Show(Show),
    Tag(Tag),
    Favorite(Favorite),
    Delete(Delete),
    Restore(Restore),
    Purge(Purge),
}

impl Conversations {
    pub fn run(self) -> Result<ExitCode, Failure> {
        match self.action {
            Action::Verb(verb) => verb.run(),
            Action::Export(export) => export.run(),
        }
    }
}

impl Verb {
    /// The names of the verbs.
    pub const NAMES: [&str; 7] = ["list", "show", "tag", "favorite", "delete", "restore", "purge"];

    pub fn run(self) -> Result<ExitCode, Failure> {
        match self {
            Self::List(list) => list.run(),
            Self::Show(show) => show.run(),
            Self::Tag(tag) => tag.run(),
            Self::Favorite(favorite) => favorite.run(),
            Self::Delete(delete) => delete.run(),
            Self::Restore(restore) => restore.run(),
            Self::Purge(purge) => purge.run(),
        }
    }
}
