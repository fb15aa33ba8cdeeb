//! What commands that change conversations share.

use std::process::ExitCode;

use retort_model::ConversationFilter;
use retort_service::Edit;
use serde_json::json;

use crate::client::Client;
use crate::commands::{Failure, print, print_json};
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
    let changed = client.edit(selection, edit, how.is_dry)?;
    if how.is_dry && how.is_json {
        print(json!({"changed": 0, "meant": meant, "would_change": changed, "dry_run": true}))?;
        return Ok(ExitCode::SUCCESS);
    }
    if how.is_json {
        print(json!({"changed": changed, "meant": meant}))?;
        return Ok(ExitCode::SUCCESS);
    }
    if meant == 0 {
        eprintln!("no conversation matches; nothing was changed");
        return Ok(ExitCode::SUCCESS);
    }
    let (verb, done, next) = match edit {
        Edit::Title(_) => ("retitle", "retitled", ""),
        Edit::Tags { .. } => ("change", "changed", ""),
        Edit::Favorite(true) => ("mark", "marked", ""),
        Edit::Favorite(false) => ("unmark", "unmarked", ""),
        Edit::Delete => ("delete", "deleted", "; `retort restore` restores them"),
        Edit::Restore => ("restore", "restored", ""),
        Edit::Purge => ("purge", "purged", ""),
    };
    if how.is_dry {
        tell_would(&format!("{verb} {} of {}", count(changed), several(meant, "conversation")));
        return Ok(ExitCode::SUCCESS);
    }
    let next = if changed == 0 { "" } else { next };
    eprintln!("{done} {} of {}{next}", count(changed), several(meant, "conversation"));
    Ok(ExitCode::SUCCESS)
}

/// Says what a command would do and to how many items, and that nothing was changed.
pub fn tell_dry(verb: &str, meant: u64, noun: &str, is_json: bool) -> Result<ExitCode, Failure> {
    match is_json {
        true => print(json!({"changed": 0, "meant": meant, "dry_run": true}))?,
        false => tell_would(&format!("{verb} {}", several(meant, noun))),
    }
    Ok(ExitCode::SUCCESS)
}

/// The first line of a dry run that prints the same report as the real run.
pub const NOTHING_CHANGED: &str = "nothing was changed; this is what would happen:";

/// Ends a dry run: says what would be done.
pub fn tell_would(what: &str) {
    eprintln!("would {what}; nothing was changed (`--dry-run`)");
}

/// Reports one change in words, or as JSON: what `would` be done in a dry run, else what was `done`.
pub fn report(
    (is_json, is_dry): (bool, bool),
    change: &impl serde::Serialize,
    would: &str,
    done: &str,
) -> Result<(), Failure> {
    match (is_json, is_dry) {
        (true, true) => print_dry(change),
        (false, true) => {
            tell_would(would);
            Ok(())
        }
        (is_json, false) => report_done(is_json, change, done),
    }
}

/// Reports one change in words, or as JSON.
pub fn report_done(
    is_json: bool,
    change: &impl serde::Serialize,
    done: &str,
) -> Result<(), Failure> {
    if is_json {
        return print_json(change);
    }
    eprintln!("{done}");
    Ok(())
}

/// Prints what a dry run found, as the real run would have printed it, and marks it as such.
pub fn print_dry(found: &impl serde::Serialize) -> Result<(), Failure> {
    print_json(&as_dry(found)?)
}

/// The report of a dry run as JSON, marked as a dry run.
pub fn as_dry(found: &impl serde::Serialize) -> Result<serde_json::Value, Failure> {
    let mut found = serde_json::to_value(found)?;
    if let Some(fields) = found.as_object_mut() {
        fields.insert("dry_run".into(), true.into());
    }
    Ok(found)
}
