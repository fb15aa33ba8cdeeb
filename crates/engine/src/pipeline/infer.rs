//! Infers from the first items, before anything is written, what only items determine: columns of variables, and the kind.

use std::sync::Arc;
use std::sync::atomic::AtomicBool;

use retort_model::ItemKind;
use retort_model::bounds::{BYTES_INFERRED_FROM, ITEMS_INFERRED_FROM, VARIABLE_COLUMNS};

use super::choose::is_meant;
use super::ends::More;
use super::item::ReadItem;
use super::look::{Looked, look_through};
use super::observer::Nobody;
use super::outlet::Feed;
use super::shaping::Shaping;
use crate::error::Error;
use crate::panics::point;

/// What is in a batch.
struct Found {
    /// For each item that is meant, its variables.
    items: Vec<Vec<String>>,
    bytes: u64,
}

/// The variables that are to have columns, in the order in which the first items name them. The same items tell the
/// same, whatever the number of threads.
pub fn variables(
    feed: &mut dyn Feed,
    shaping: &Shaping<'_>,
    stopped: &AtomicBool,
) -> Result<Arc<[Arc<str>]>, Error> {
    let most = shaping.selection.limit.unwrap_or(u64::MAX).min(ITEMS_INFERRED_FROM);
    let (mut names, mut items, mut bytes) = (Vec::<Arc<str>>::new(), 0, 0);
    look_through(
        feed,
        shaping,
        (&Nobody, stopped),
        |looked| found_in(&looked, shaping),
        &mut |found: Found| {
            bytes += found.bytes;
            for variables in found.items {
                if items >= most {
                    return Ok(More::Enough);
                }
                items += 1;
                for name in variables {
                    if names.len() < VARIABLE_COLUMNS && !names.iter().any(|one| **one == *name) {
                        names.push(name.into());
                    }
                }
            }
            Ok(if bytes >= BYTES_INFERRED_FROM { More::Enough } else { More::Wanted })
        },
    )?;
    Ok(names.into())
}

/// The kind of the first item that is meant.
pub fn first_kind(
    feed: &mut dyn Feed,
    shaping: &Shaping<'_>,
    stopped: &AtomicBool,
) -> Result<Option<ItemKind>, Error> {
    let mut found = None;
    look_through(
        feed,
        shaping,
        (&Nobody, stopped),
        |looked| {
            let first = looked.items.iter().find(|one| is_meant(shaping.selection, &one.item));
            first.map(|one| one.item.kind())
        },
        &mut |kind| {
            found = kind;
            Ok(if found.is_some() { More::Enough } else { More::Wanted })
        },
    )?;
    Ok(found)
}

fn found_in(looked: &Looked<'_>, shaping: &Shaping<'_>) -> Found {
    point("learn");
    let mut items = Vec::with_capacity(looked.items.len());
    let is_wanted =
        |one: &&ReadItem<'_>| looked.is_chosen || is_meant(shaping.selection, &one.item);
    for one in looked.items.iter().filter(is_wanted) {
        let mut variables = Vec::new();
        shaping.data_format.each_variable(&one.item, &shaping.shape_options, &mut |name| {
            let redacted = shaping.redactor.as_ref().map(|redactor| redactor.name(name));
            variables.push(redacted.as_deref().unwrap_or(name).to_owned());
        });
        items.push(variables);
    }
    Found { items, bytes: looked.bytes }
}
