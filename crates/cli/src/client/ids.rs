//! Items that are named by their ids: more of them than one address can name, and more than one request may purge.

use std::collections::BTreeSet;

use retort_service::Cursor;

use super::ClientError;

/// Ids that one address names, at most: with their escapes they fit what servers read of one.
pub const IDS_PER_ADDRESS: usize = 40;

/// Bytes of ids that one address names, at most.
const ID_BYTES_PER_ADDRESS: usize = 8 << 10;

/// The sum of what `count` gives for the ids, in parts that fit an address each; for no ids, what it gives for none.
pub fn sum_over(
    ids: &BTreeSet<String>,
    count: impl Fn(BTreeSet<String>) -> Result<u64, ClientError>,
) -> Result<u64, ClientError> {
    if ids.is_empty() {
        return count(BTreeSet::new());
    }
    in_addresses(ids).into_iter().map(count).sum()
}

/// Refuses ids that are not on the pages of those ids; `page` gives the ids after a cursor, and the next cursor.
pub fn check_known(
    kind: &str,
    ids: &BTreeSet<String>,
    page: impl Fn(
        &BTreeSet<String>,
        Option<Cursor>,
    ) -> Result<(BTreeSet<String>, Option<String>), ClientError>,
) -> Result<(), ClientError> {
    for ids in in_addresses(ids) {
        let mut missing = ids.clone();
        let mut after = None;
        loop {
            let (known, next) = page(&ids, after)?;
            missing.retain(|id| !known.contains(id));
            after = next.map(|next| next.parse().map_err(ClientError::Ended)).transpose()?;
            if after.is_none() {
                break;
            }
        }
        if let Some(id) = missing.first() {
            return Err(ClientError::Ended(format!("there is no {kind} `{id}`")));
        }
    }
    Ok(())
}

/// Purges what a filter matches, which a server takes by ids alone: `page` gives the ids of the first page of it, and
/// `purge` purges them.
pub fn purge_by_pages(
    meant: u64,
    page: impl Fn() -> Result<BTreeSet<String>, ClientError>,
    purge: impl Fn(BTreeSet<String>) -> Result<u64, ClientError>,
) -> Result<u64, ClientError> {
    let mut gone = 0;
    while gone < meant {
        let ids = page()?;
        if ids.is_empty() {
            break;
        }
        match purge(ids)? {
            0 => break,
            more => gone += more,
        }
    }
    Ok(gone)
}

/// Ids in parts that fit an address each.
fn in_addresses(ids: &BTreeSet<String>) -> Vec<BTreeSet<String>> {
    let mut parts: Vec<BTreeSet<String>> = Vec::new();
    let mut bytes = 0;
    for id in ids {
        // An escape takes three bytes for one.
        let more = 3 * id.len();
        match parts.last_mut() {
            Some(part) if part.len() < IDS_PER_ADDRESS && bytes + more <= ID_BYTES_PER_ADDRESS => {
                bytes += more;
                part.insert(id.clone());
            }
            _ => {
                bytes = more;
                parts.push([id.clone()].into());
            }
        }
    }
    parts
}
