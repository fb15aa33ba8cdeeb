//! `retort tag`.

use std::process::ExitCode;

use clap::{ArgGroup, Args};
use retort_service::Edit;

use super::Failure;
use crate::args::Choosing;
use crate::changing::change;
use crate::config::StoreArgs;

/// Add tags to conversations, or remove them.
#[derive(Args)]
#[command(group = ArgGroup::new("tags").args(["add", "remove"]).required(true).multiple(true))]
pub struct Tag {
    /// Tag to add; repeatable.
    #[arg(long, value_name = "TAG", value_parser = parse_tag)]
    add: Vec<String>,

    /// Tag to remove; repeatable.
    #[arg(long, value_name = "TAG")]
    remove: Vec<String>,

    #[command(flatten)]
    choosing: Choosing,

    #[command(flatten)]
    keeping: StoreArgs,
}

fn parse_tag(text: &str) -> Result<String, String> {
    let tag = text.trim();
    if tag.is_empty() { Err("a tag has at least one letter".into()) } else { Ok(tag.to_owned()) }
}

impl Tag {
    pub fn run(self) -> Result<ExitCode, Failure> {
        let how = self.choosing.how();
        let selection = self.choosing.selection(&[])?;
        let edit = Edit::Tags { add: self.add, remove: self.remove };
        change(&self.keeping.client()?, &selection, &edit, how)
    }
}
