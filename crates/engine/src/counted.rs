//! The account of an export as text, for what is kept between processes.

use std::collections::BTreeMap;
use std::str::FromStr;

use retort_formats::package::{Finding, findings};
use retort_model::{
    Account, ItemKind, Origins, OutputPortion, Portion, Reason, Redacted, Repair, SeenLengths,
    Tally, Time, Warning,
};
use serde::{Deserialize, Serialize};

/// An [`Account`] with its kinds by name.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
pub struct Counted {
    read: u64,
    refused: u64,
    selected: u64,
    deleted: u64,
    not_sampled: u64,
    written: u64,
    left_out: Vec<Finding>,
    /// By the name of the kind.
    kinds: BTreeMap<String, CountedKind>,
    records: u64,
    records_left_out: Vec<Finding>,
    repaired: Vec<Finding>,
    unrepaired: Vec<Finding>,
    unfit: Vec<Finding>,
    warned: Vec<Finding>,
    records_repaired: u64,
    lone_surrogates: u64,
    duplicate_keys: u64,
    longest_record_chars: u64,
    record_chars: u64,
    /// Of each output, where there are several.
    #[serde(skip_serializing_if = "Vec::is_empty", default)]
    outputs: Vec<CountedOutput>,
    /// Hits and items by redaction rule.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    redacted: BTreeMap<String, (u64, u64)>,
    /// Counts by length, then the total, what is learnt and the longest, where records were measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    seen: Option<(BTreeMap<u64, u64>, u64, u64, u64)>,
    #[serde(default, skip_serializing_if = "Option::is_none")]
    origins: Option<CountedOrigins>,
}

/// Moments are microseconds since 1970.
#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct CountedOrigins {
    models: BTreeMap<String, u64>,
    languages: BTreeMap<String, u64>,
    characters: u64,
    first: Option<i64>,
    last: Option<i64>,
}

impl From<&Origins> for CountedOrigins {
    fn from(origins: &Origins) -> Self {
        Self {
            models: origins.models.clone(),
            languages: origins.languages.clone(),
            characters: origins.characters,
            first: origins.first.map(Time::unix_micros),
            last: origins.last.map(Time::unix_micros),
        }
    }
}

impl From<&CountedOrigins> for Origins {
    fn from(counted: &CountedOrigins) -> Self {
        Self {
            models: counted.models.clone(),
            languages: counted.languages.clone(),
            characters: counted.characters,
            first: counted.first.and_then(Time::from_unix_micros),
            last: counted.last.and_then(Time::from_unix_micros),
        }
    }
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct CountedOutput {
    name: String,
    selected: u64,
    written: u64,
    left_out: Vec<Finding>,
    records: u64,
}

#[derive(Clone, PartialEq, Serialize, Deserialize)]
struct CountedKind {
    read: u64,
    selected: u64,
    written: u64,
    left_out: Vec<Finding>,
}

impl Counted {
    pub fn of(account: &Account) -> Self {
        Self {
            read: account.read,
            refused: account.refused,
            selected: account.selected,
            deleted: account.deleted,
            not_sampled: account.not_sampled,
            written: account.written,
            left_out: findings(&account.left_out, Reason::as_str),
            kinds: account.kinds.iter().map(counted_kind).collect(),
            records: account.records,
            records_left_out: findings(&account.records_left_out, Reason::as_str),
            repaired: findings(&account.repaired, Repair::as_str),
            unrepaired: findings(&account.unrepaired, Repair::as_str),
            unfit: findings(&account.unfit, Reason::as_str),
            warned: findings(&account.warned, Warning::as_str),
            records_repaired: account.records_repaired,
            lone_surrogates: account.lone_surrogates,
            duplicate_keys: account.duplicate_keys,
            longest_record_chars: account.longest_record_chars,
            record_chars: account.record_chars,
            outputs: account.outputs.iter().map(counted_output).collect(),
            redacted: account
                .redacted
                .iter()
                .map(|(rule, redacted)| (rule.clone(), (redacted.hits, redacted.items)))
                .collect(),
            seen: Some(account.seen.clone()).filter(|seen| !seen.counts.is_empty()).map(|seen| {
                let SeenLengths { counts, total, learnt, longest } = seen;
                (counts, total, learnt, longest)
            }),
            origins: (account.origins != Origins::default()).then(|| (&account.origins).into()),
        }
    }

    /// The account; the error says which name in it is not known.
    pub fn account(&self) -> Result<Account, String> {
        Ok(Account {
            read: self.read,
            refused: self.refused,
            selected: self.selected,
            deleted: self.deleted,
            not_sampled: self.not_sampled,
            written: self.written,
            left_out: tally(&self.left_out)?,
            kinds: self.kinds()?,
            records: self.records,
            records_left_out: tally(&self.records_left_out)?,
            repaired: tally(&self.repaired)?,
            unrepaired: tally(&self.unrepaired)?,
            unfit: tally(&self.unfit)?,
            warned: tally(&self.warned)?,
            records_repaired: self.records_repaired,
            lone_surrogates: self.lone_surrogates,
            duplicate_keys: self.duplicate_keys,
            longest_record_chars: self.longest_record_chars,
            record_chars: self.record_chars,
            outputs: self.outputs.iter().map(output_portion).collect::<Result<_, _>>()?,
            redacted: self
                .redacted
                .iter()
                .map(|(rule, &(hits, items))| (rule.clone(), Redacted { hits, items }))
                .collect(),
            seen: self.seen.clone().map_or_else(SeenLengths::default, |seen| {
                let (counts, total, learnt, longest) = seen;
                SeenLengths { counts, total, learnt, longest }
            }),
            origins: self.origins.as_ref().map(Origins::from).unwrap_or_default(),
        })
    }

    fn kinds(&self) -> Result<BTreeMap<ItemKind, Portion>, String> {
        let portion = |(kind, one): (&String, &CountedKind)| {
            let CountedKind { read, selected, written, left_out } = one;
            let left_out = tally(left_out)?;
            let portion = Portion { read: *read, selected: *selected, written: *written, left_out };
            Ok((kind.parse()?, portion))
        };
        self.kinds.iter().map(portion).collect()
    }
}

fn counted_kind((kind, portion): (&ItemKind, &Portion)) -> (String, CountedKind) {
    let Portion { read, selected, written, left_out } = portion;
    let left_out = findings(left_out, Reason::as_str);
    let one = CountedKind { read: *read, selected: *selected, written: *written, left_out };
    (kind.to_string(), one)
}

fn counted_output(portion: &OutputPortion) -> CountedOutput {
    let OutputPortion { name, selected, written, left_out, records } = portion.clone();
    let left_out = findings(&left_out, Reason::as_str);
    CountedOutput { name, selected, written, left_out, records }
}

fn output_portion(counted: &CountedOutput) -> Result<OutputPortion, String> {
    let CountedOutput { name, selected, written, left_out, records } = counted.clone();
    let left_out = tally(&left_out)?;
    Ok(OutputPortion { name, selected, written, left_out, records })
}

/// What [`findings`] wrote, as a tally.
pub fn tally<K>(findings: &[Finding]) -> Result<Tally<K>, String>
where
    K: Ord + Copy + FromStr<Err = String>,
{
    findings
        .iter()
        .map(|finding| Ok((finding.kind.parse()?, finding.count, finding.first_ids.clone())))
        .collect()
}
