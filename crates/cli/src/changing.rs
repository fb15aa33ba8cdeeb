//! What commands that change conversations share.

use std::process::ExitCode;

use retort_model::ConversationFilter;
use retort_service::Edit;
use serde_json::json;

use crate::client::Client;
use crate::commands::{Failure, print};
use crate::display::{count, several};

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
    json: bool,
) -> Result<ExitCode, Failure> {
    let meant = known(client, selection)?;
    let changed = client.edit(selection, edit)?;
    if json {
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
