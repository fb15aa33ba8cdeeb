//! What commands that change conversations share.

use std::process::ExitCode;

use retort_model::ConversationFilter;
use retort_service::Edit;
use serde_json::json;

use crate::client::Client;
use crate::commands::{Failure, print};
use crate::display::{count, several};

/// Whether to change anything, and how to report it.
#[derive(Clone, Copy)]
pub struct How {
    pub is_dry: bool,
    pub is_json: bool,
}

/// How many conversations are meant. An id that nobody knows is an error.
pub fn known(client: &Client, selection: &ConversationFilter) -> Result<u64, Failure> {
    if let Err(error) = client.check_ids(selection) {
        let error = crate::display::one_line(&error.to_string(), 240);
        return Err(format!("{error}; nothing was changed").into());
    }
    Ok(client.count(selection)?)
}

/// Changes the conversations that are meant, and says how many of how many were changed.
pub fn change(
    client: &Client,
    selection: &ConversationFilter,
    edit: &Edit,
    how: How,
) -> Result<ExitCode, Failure> {
    let meant = known(client, selection)?;
    let changed = if how.is_dry { 0 } else { client.edit(selection, edit)? };
    if how.is_dry {
        return tell_dry(meant, "conversation", how.is_json);
    }
    if how.is_json {
        print(json!({"changed": changed, "meant": meant}))?;
        return Ok(ExitCode::SUCCESS);
    }
    if meant == 0 {
        eprintln!("no conversation matches; nothing was changed");
        return Ok(ExitCode::SUCCESS);
    }
    let (done, next) = match edit {
        Edit::Title(_) => ("retitled", ""),
        Edit::Tags { .. } => ("changed", ""),
        Edit::Favorite(true) => ("marked", ""),
        Edit::Favorite(false) => ("unmarked", ""),
        Edit::Delete => ("deleted", "; `retort restore` restores them"),
        Edit::Restore => ("restored", ""),
        Edit::Purge => ("purged", ""),
    };
    let next = if changed == 0 { "" } else { next };
    eprintln!("{done} {} of {}{next}", count(changed), several(meant, "conversation"));
    Ok(ExitCode::SUCCESS)
}

/// Says how many items a command would change, and that it changed none.
pub fn tell_dry(meant: u64, noun: &str, is_json: bool) -> Result<ExitCode, Failure> {
    match is_json {
        true => print(json!({"changed": 0, "meant": meant, "dry_run": true}))?,
        false => eprintln!("{} selected; nothing was changed (`--dry-run`)", several(meant, noun)),
    }
    Ok(ExitCode::SUCCESS)
}
