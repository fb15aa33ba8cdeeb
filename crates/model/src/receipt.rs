//! The account of an export: what was read, selected, written, left out and mended.

use std::collections::BTreeMap;

use crate::bounds::IDS_LISTED;
use crate::finding::{Reason, Repair, Warning};
use crate::item::ItemKind;
use crate::time::Time;

/// Counts by kind, each with the first ids it befell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Tally<K: Ord>(BTreeMap<K, (u64, Vec<String>)>);

impl<K: Ord> Default for Tally<K> {
    fn default() -> Self {
        Self(BTreeMap::new())
    }
}

impl<K: Ord> FromIterator<(K, u64, Vec<String>)> for Tally<K> {
    /// Counts with their first ids, as [`Tally::iter`] tells them.
    fn from_iter<I: IntoIterator<Item = (K, u64, Vec<String>)>>(counts: I) -> Self {
        Self(counts.into_iter().map(|(kind, count, ids)| (kind, (count, ids))).collect())
    }
}

impl<K: Ord> Tally<K> {
    /// Replaces the ids that are kept.
    pub fn rename(&mut self, name: &dyn Fn(&str) -> String) {
        for (_, ids) in self.0.values_mut() {
            ids.iter_mut().for_each(|id| *id = name(id));
        }
    }
}

impl<K: Ord + Copy> Tally<K> {
    /// Counts one more of `kind`, in `id`.
    pub fn add(&mut self, kind: K, id: &str) {
        let (count, ids) = self.0.entry(kind).or_default();
        *count += 1;
        if ids.len() < IDS_LISTED && ids.last().is_none_or(|last| last != id) {
            ids.push(id.to_owned());
        }
    }

    /// Counts several more of `kind`, whose ids are not kept.
    pub fn add_many(&mut self, kind: K, count: u64) {
        if count > 0 {
            self.0.entry(kind).or_default().0 += count;
        }
    }

    /// Adds what another tally counted after this one.
    pub fn merge(&mut self, later: Self) {
        for (kind, (more, later_ids)) in later.0 {
            let (count, ids) = self.0.entry(kind).or_default();
            *count += more;
            for id in later_ids {
                if ids.len() < IDS_LISTED && ids.last() != Some(&id) {
                    ids.push(id);
                }
            }
        }
    }

    /// Kinds, counts and first ids, in the order of the kinds.
    pub fn iter(&self) -> impl Iterator<Item = (K, u64, &[String])> {
        self.0.iter().map(|(&kind, (count, ids))| (kind, *count, ids.as_slice()))
    }

    /// The count of one kind.
    pub fn count(&self, kind: K) -> u64 {
        self.0.get(&kind).map_or(0, |(count, _)| *count)
    }

    /// All counts together.
    pub fn total(&self) -> u64 {
        self.0.values().map(|(count, _)| count).sum()
    }

    /// Whether nothing was counted.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// What became of the items of one kind.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Portion {
    /// Those that were read.
    pub read: u64,
    /// Those that the selection meant.
    pub selected: u64,
    /// Those of which at least one record was written.
    pub written: u64,
    /// Those of which nothing was written.
    pub left_out: Tally<Reason>,
}

/// The account of an export. It balances: `read = selected + passed over`, `selected = written + left out`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Account {
    /// Items that were read.
    pub read: u64,
    /// Items that could not be read.
    pub refused: u64,
    /// Items that the selection meant.
    pub selected: u64,
    /// Of those that it did not mean, the deleted conversations that it would mean if they were not deleted.
    pub deleted: u64,
    /// Of those that were not selected, the items that are not in the sample.
    pub not_sampled: u64,
    /// Items of which at least one record was written.
    pub written: u64,
    /// Items of which nothing was written.
    pub left_out: Tally<Reason>,
    /// The same for each kind of item that was read.
    pub kinds: BTreeMap<ItemKind, Portion>,
    /// Records that were written.
    pub records: u64,
    /// Records that were left out of items that were written.
    pub records_left_out: Tally<Reason>,
    /// Records that were changed, by what was done.
    pub repaired: Tally<Repair>,
    /// Records that were written although trainers would refuse them (with the check off), by what they need.
    pub unrepaired: Tally<Repair>,
    /// Records that were written although trainers would refuse them (with the check off), by reason.
    pub unfit: Tally<Reason>,
    /// Records or cells that people should know of.
    pub warned: Tally<Warning>,
    /// Records with at least one repair.
    pub records_repaired: u64,
    /// Lone surrogates that were read as U+FFFD.
    pub lone_surrogates: u64,
    /// Keys that stood twice in one object; the last one counted.
    pub duplicate_keys: u64,
    /// Characters of the longest record.
    pub longest_record_chars: u64,
    /// Characters of all records.
    pub record_chars: u64,
    /// What went to each output of a dataset that is split; empty if it is not.
    pub outputs: Vec<OutputPortion>,
    /// Lengths of records as a model sees them, where they were measured.
    pub seen: SeenLengths,
    /// What redaction found in the items that were written, by the name of the rule.
    pub redacted: BTreeMap<String, Redacted>,
    /// Where the items that were written come from, where that is counted.
    pub origins: Origins,
}

/// Names that are counted apart in a list of [`Origins`]; a person reads no more of them.
const NAMES: usize = 1000;

/// Under which the rest is counted.
const OTHERS: &str = "(others)";

/// Where items that were written come from.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Origins {
    /// Messages of assistants by the model that wrote them; the empty name counts those whose model is not named.
    pub models: BTreeMap<String, u64>,
    /// Conversations by the code of their language, where it is certain.
    pub languages: BTreeMap<String, u64>,
    /// Characters of text.
    pub characters: u64,
    /// When the first item began.
    pub first: Option<Time>,
    /// When the last item began.
    pub last: Option<Time>,
}

impl Origins {
    /// Adds what was counted elsewhere.
    pub fn merge(&mut self, later: Self) {
        for (own, later) in
            [(&mut self.models, later.models), (&mut self.languages, later.languages)]
        {
            for (name, count) in later {
                let is_apart = own.len() < NAMES || own.contains_key(&name);
                let name = if is_apart { name } else { OTHERS.to_owned() };
                *own.entry(name).or_default() += count;
            }
        }
        self.characters += later.characters;
        self.first = [self.first, later.first].into_iter().flatten().min();
        self.last = self.last.max(later.last);
    }
}

/// What one redaction rule found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Redacted {
    /// How often.
    pub hits: u64,
    /// In how many items.
    pub items: u64,
}

/// How many records have which length, in tokens or characters. Lengths are kept to three digits, so that there are few.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SeenLengths {
    /// By length, rounded up.
    pub counts: BTreeMap<u64, u64>,
    /// Of all records together.
    pub total: u64,
    /// What of that is learnt.
    pub learnt: u64,
    /// Of the longest.
    pub longest: u64,
}

impl SeenLengths {
    /// Counts a record.
    pub fn add(&mut self, length: u64, learnt: u64) {
        *self.counts.entry(rounded_up(length)).or_default() += 1;
        self.total += length;
        self.learnt += learnt;
        self.longest = self.longest.max(length);
    }

    /// Adds what was counted elsewhere.
    pub fn merge(&mut self, later: Self) {
        for (length, count) in later.counts {
            *self.counts.entry(length).or_default() += count;
        }
        self.total += later.total;
        self.learnt += later.learnt;
        self.longest = self.longest.max(later.longest);
    }

    /// The length that so many percent of the records do not exceed, to three digits; 0 if there are none.
    pub fn percentile(&self, percent: u64) -> u64 {
        let all: u64 = self.counts.values().sum();
        let rank = (all * percent).div_ceil(100).max(1);
        let mut below = 0;
        let reaches = |(_, count): &(&u64, &u64)| {
            below += **count;
            below >= rank
        };
        let length = self.counts.iter().find(reaches);
        length.map_or(0, |(length, _)| (*length).min(self.longest))
    }
}

/// A number with no more than three digits that are not zeros.
fn rounded_up(number: u64) -> u64 {
    let mut unit = 1;
    while number / unit >= 1000 {
        unit *= 10;
    }
    number.div_ceil(unit) * unit
}

/// What became of the selected items that belong to one output.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct OutputPortion {
    /// The name of the output.
    pub name: String,
    /// Those that the selection meant.
    pub selected: u64,
    /// Those of which at least one record was written.
    pub written: u64,
    /// Those of which nothing was written.
    pub left_out: Tally<Reason>,
    /// Records that were written.
    pub records: u64,
}

impl Account {
    /// Counts an item that could be read.
    pub fn read_one(&mut self, kind: ItemKind) {
        self.read += 1;
        self.kinds.entry(kind).or_default().read += 1;
    }

    /// Counts an item that the selection means.
    pub fn select_one(&mut self, kind: ItemKind) {
        self.selected += 1;
        self.kinds.entry(kind).or_default().selected += 1;
    }

    /// Counts a selected item of which something was written.
    pub fn write_one(&mut self, kind: ItemKind) {
        self.written += 1;
        self.kinds.entry(kind).or_default().written += 1;
    }

    /// Counts a selected item of which nothing was written.
    pub fn leave_out_one(&mut self, kind: ItemKind, reason: Reason, id: &str) {
        self.left_out.add(reason, id);
        self.kinds.entry(kind).or_default().left_out.add(reason, id);
    }

    /// Counts what became of a selected item of an output: how many records were written, or why there is none.
    pub fn put_out(&mut self, output: usize, records: u64, left_out: Option<Reason>, id: &str) {
        let Some(portion) = self.outputs.get_mut(output) else { return };
        portion.selected += 1;
        portion.records += records;
        if records > 0 {
            portion.written += 1;
        } else if let Some(reason) = left_out {
            portion.left_out.add(reason, id);
        }
    }

    /// Counts what a redaction rule found in one item.
    pub fn redact_one(&mut self, rule: &str, hits: u64) {
        let Redacted { hits: all, items } = match self.redacted.get_mut(rule) {
            Some(redacted) => redacted,
            None => self.redacted.entry(rule.to_owned()).or_default(),
        };
        *all += hits;
        *items += 1;
    }

    /// Replaces the ids that are kept.
    pub fn rename(&mut self, name: &dyn Fn(&str) -> String) {
        self.left_out.rename(name);
        self.kinds.values_mut().for_each(|portion| portion.left_out.rename(name));
        self.outputs.iter_mut().for_each(|portion| portion.left_out.rename(name));
        self.records_left_out.rename(name);
        self.repaired.rename(name);
        self.unrepaired.rename(name);
        self.unfit.rename(name);
        self.warned.rename(name);
    }

    /// What the items are called, one of them: by their kind where all are of one.
    pub fn noun(&self) -> &'static str {
        let mut kinds = self.kinds.iter().filter(|(_, portion)| portion.read > 0);
        match (kinds.next(), kinds.next()) {
            (Some((kind, _)), None) => kind.as_str(),
            _ => "item",
        }
    }

    /// Adds what was counted after this account.
    pub fn merge(&mut self, later: Self) {
        self.read += later.read;
        self.refused += later.refused;
        self.selected += later.selected;
        self.written += later.written;
        self.left_out.merge(later.left_out);
        for (kind, portion) in later.kinds {
            self.kinds.entry(kind).or_default().merge(portion);
        }
        self.records += later.records;
        self.records_left_out.merge(later.records_left_out);
        self.repaired.merge(later.repaired);
        self.unrepaired.merge(later.unrepaired);
        self.unfit.merge(later.unfit);
        self.warned.merge(later.warned);
        self.records_repaired += later.records_repaired;
        self.lone_surrogates += later.lone_surrogates;
        self.duplicate_keys += later.duplicate_keys;
        self.deleted += later.deleted;
        self.not_sampled += later.not_sampled;
        self.longest_record_chars = self.longest_record_chars.max(later.longest_record_chars);
        self.record_chars += later.record_chars;
        for (output, portion) in later.outputs.into_iter().enumerate() {
            match self.outputs.get_mut(output) {
                Some(before) => before.merge(portion),
                None => self.outputs.push(portion),
            }
        }
        self.seen.merge(later.seen);
        self.origins.merge(later.origins);
        for (rule, Redacted { hits, items }) in later.redacted {
            let redacted = self.redacted.entry(rule).or_default();
            redacted.hits += hits;
            redacted.items += items;
        }
    }

    /// Whether every item that was selected is accounted for, in all and kind by kind.
    pub fn balances(&self) -> bool {
        let sum = |count: fn(&Portion) -> u64| self.kinds.values().map(count).sum::<u64>();
        self.selected == self.written + self.left_out.total()
            && self.selected <= self.read
            && self.kinds.values().all(Portion::balances)
            && self.read == sum(|portion| portion.read) + self.refused
            && self.selected == sum(|portion| portion.selected)
            && self.written == sum(|portion| portion.written)
            && self.outputs_balance()
    }

    fn outputs_balance(&self) -> bool {
        let sum = |count: fn(&OutputPortion) -> u64| self.outputs.iter().map(count).sum::<u64>();
        self.outputs.is_empty()
            || (self.outputs.iter().all(OutputPortion::balances)
                && self.written == sum(|portion| portion.written)
                && self.records == sum(|portion| portion.records)
                && self.selected >= sum(|portion| portion.selected))
    }
}

impl OutputPortion {
    fn merge(&mut self, later: Self) {
        self.selected += later.selected;
        self.written += later.written;
        self.left_out.merge(later.left_out);
        self.records += later.records;
    }

    fn balances(&self) -> bool {
        self.selected == self.written + self.left_out.total()
    }
}

impl Portion {
    fn merge(&mut self, later: Self) {
        self.read += later.read;
        self.selected += later.selected;
        self.written += later.written;
        self.left_out.merge(later.left_out);
    }

    fn balances(&self) -> bool {
        self.selected == self.written + self.left_out.total() && self.selected <= self.read
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn percentiles_are_lengths_that_so_many_records_do_not_exceed() {
        let (mut lengths, mut others) = (SeenLengths::default(), SeenLengths::default());
        assert_eq!(lengths.percentile(50), 0);
        (1..=60).for_each(|length| lengths.add(length, 1));
        (61..=100).for_each(|length| others.add(length, 0));
        lengths.merge(others);
        let found = [50, 90, 99, 100].map(|percent| lengths.percentile(percent));
        assert_eq!(found, [50, 90, 99, 100]);
        assert_eq!((lengths.total, lengths.learnt, lengths.longest), (5050, 60, 100));
        lengths.add(123_456, 0);
        assert_eq!(lengths.percentile(100), 123_456);
        lengths.add(223_456, 0);
        assert_eq!(lengths.percentile(99), 124_000);
    }

    #[test]
    fn merged_in_order_a_tally_is_as_if_counted_at_once() {
        let ids: Vec<String> = (0..50).map(|n| format!("c-{n}")).collect();
        let mut whole = Tally::default();
        let (mut first, mut second) = (Tally::default(), Tally::default());
        for (n, id) in ids.iter().enumerate() {
            whole.add(Reason::NoAnswer, id);
            if n < 13 { first.add(Reason::NoAnswer, id) } else { second.add(Reason::NoAnswer, id) }
        }
        first.merge(second);
        assert_eq!(first, whole);
        assert_eq!(whole.total(), 50);
        assert_eq!(whole.iter().next().unwrap().2.len(), IDS_LISTED);
    }
}
