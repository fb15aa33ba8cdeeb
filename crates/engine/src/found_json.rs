//! What was found in items, as JSON for programs: counts by kind, and the first items of each kind.

use retort_formats::import::Refusal;
use retort_model::{Reason, Repair, Tally, Warning};
use serde_json::{Map, Value, json};

use crate::convert::Found;
use crate::source::PassedOver;

/// The counts of a tally by the names of its kinds.
fn counts<K: Ord + Copy>(tally: &Tally<K>, name: impl Fn(K) -> &'static str) -> Value {
    let counts = tally.iter().map(|(kind, count, _)| (name(kind).to_owned(), json!(count)));
    counts.collect::<Map<_, _>>().into()
}

/// The first ids of each kind.
fn first_ids<K: Ord + Copy>(tally: &Tally<K>, name: impl Fn(K) -> &'static str) -> Value {
    let ids = tally.iter().map(|(kind, _, ids)| (name(kind).to_owned(), json!(ids)));
    ids.collect::<Map<_, _>>().into()
}

impl Found {
    /// The findings as JSON.
    pub fn to_json(&self) -> Value {
        let Found { account, refused, first_refused, passed_over, hits } = self;
        json!({
            "read": account.read,
            "refused": counts(refused, Refusal::as_str),
            "first_refused": first_refused,
            "passed_over": counts(passed_over, PassedOver::as_str),
            "selected": account.selected,
            "written": account.written,
            "left_out": counts(&account.left_out, Reason::as_str),
            "records": account.records,
            "outputs": account.outputs.iter().map(|one| (one.name.clone(), json!({
                "selected": one.selected,
                "written": one.written,
                "left_out": counts(&one.left_out, Reason::as_str),
                "records": one.records,
            }))).collect::<Map<_, _>>(),
            "records_left_out": counts(&account.records_left_out, Reason::as_str),
            "repaired": counts(&account.repaired, Repair::as_str),
            "would_be_refused": counts(&account.unrepaired, Repair::as_str),
            "unfit": counts(&account.unfit, Reason::as_str),
            "warnings": counts(&account.warned, Warning::as_str),
            "redacted": account.redacted.iter().map(|(rule, redacted)| (rule.clone(), json!({
                "hits": redacted.hits,
                "items": redacted.items,
            }))).collect::<Map<_, _>>(),
            "redaction_hits": hits.iter().map(|hit| json!({
                "rule": hit.rule,
                "item": hit.kind.as_str(),
                "id": hit.id,
                "place": hit.place,
                "context": hit.context,
            })).collect::<Vec<_>>(),
            "first_ids": {
                "left_out": first_ids(&account.left_out, Reason::as_str),
                "records_left_out": first_ids(&account.records_left_out, Reason::as_str),
                "repaired": first_ids(&account.repaired, Repair::as_str),
                "would_be_refused": first_ids(&account.unrepaired, Repair::as_str),
                "unfit": first_ids(&account.unfit, Reason::as_str),
                "warnings": first_ids(&account.warned, Warning::as_str),
            },
        })
    }
}
