//! `--sample` and `--balance`: some of the items, the same ones on any machine and in any number of threads and parts.
//!
//! Each item has a number: a hash of the seed and its id. A share of the items is those whose number is below a threshold,
//! which can be decided item by item. A count of items is those with the smallest numbers, so all items are looked at
//! first, and their numbers are sorted on disk, group by group. In both cases, when the dataset grows, its sample keeps
//! most of its items.

use std::fmt;
use std::io;
use std::iter::Peekable;
use std::str::FromStr;

use retort_model::bounds::SAMPLE_GROUPS;
use retort_model::{Conversation, Features, Item, language_of, named};

use crate::error::Error;
use crate::kept_rows::{Rows, keep_rows, kept_rows};
use crate::seen::SharedHasher;
use crate::sorter::{Sorted, Sorter};
use crate::split::{WHOLE, at_share, decimal};
use crate::storage::Storage;

/// Which of the items are written. By default, all.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Sampling {
    /// How many.
    pub size: Option<SampleSize>,
    /// A different seed gives a different sample.
    pub seed: u64,
    /// The field whose values keep their proportions in the sample.
    pub by: SampleBy,
    /// The field whose values all get the same number of items.
    pub balance: SampleBy,
}

/// How many of the items are written.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SampleSize {
    /// So many.
    Items(u64),
    /// So many millionths of them.
    Share(u32),
}

/// A field by which items are sampled.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum SampleBy {
    /// None: all items are one group.
    #[default]
    Nothing,
    /// The type of a conversation.
    Type,
    /// The models that are named.
    Model,
    /// The import format.
    Format,
    /// The owner.
    Owner,
    /// The tags.
    Tag,
    /// The language that it is in.
    Language,
    /// What people thought of the answers.
    Rating,
    /// Whether it or an answer was preferred or rejected.
    Label,
}

named!(
    SampleBy,
    "field to sample by",
    Nothing = "none",
    Type = "type",
    Model = "model",
    Format = "format",
    Owner = "owner",
    Tag = "tag",
    Language = "language",
    Rating = "rating",
    Label = "label"
);

impl SampleBy {
    /// What it is, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Nothing => "no field",
            Self::Type => "type of the conversation",
            Self::Model => "models that the conversation names",
            Self::Format => "import format",
            Self::Owner => "owner",
            Self::Tag => "tags",
            Self::Language => "language",
            Self::Rating => "ratings of the answers, `good` or `bad`",
            Self::Label => "labels of the conversation and its answers, `preferred` or `rejected`",
        }
    }

    /// The values of an item in the field. Each combination of values is a group, and so are the items with none.
    fn values_of(self, item: &Item<'_>) -> Vec<String> {
        match item {
            Item::Conversation(conversation) => self.values_in(conversation),
            Item::Run(run) => match self {
                Self::Owner => run.owner.iter().map(|text| text.decoded().into_owned()).collect(),
                _ => Vec::new(),
            },
            Item::Document(_) => Vec::new(),
        }
    }

    fn values_in(self, conversation: &Conversation<'_>) -> Vec<String> {
        let features = || Features::of(conversation);
        let text = |text: &retort_json::Text<'_>| text.decoded().into_owned();
        let mut values: Vec<String> = match self {
            Self::Nothing => Vec::new(),
            Self::Type => vec![conversation.kind.to_string()],
            Self::Format => vec![text(&conversation.source)],
            Self::Owner => conversation.owner.iter().map(text).collect(),
            Self::Tag => conversation.tags.iter().map(text).collect(),
            Self::Model => features().models.into_iter().collect(),
            Self::Language => language_of(conversation).into_iter().map(str::to_owned).collect(),
            Self::Rating => features().ratings.iter().map(ToString::to_string).collect(),
            Self::Label => features().labels.iter().map(ToString::to_string).collect(),
        };
        values.sort_unstable();
        values.dedup();
        values
    }
}

impl FromStr for SampleSize {
    type Err = String;

    /// Reads `500` or `2.5%`.
    fn from_str(text: &str) -> Result<Self, String> {
        let size = match text.strip_suffix('%') {
            Some(percent) => decimal(percent, 4).filter(|share| *share <= WHOLE).map(Self::Share),
            None => text.parse().ok().map(Self::Items),
        };
        size.filter(|size| !matches!(size, Self::Share(0) | Self::Items(0))).ok_or_else(|| {
            format!(
                "`{text}` is not the size of a sample; write a number of items such as `500`, or a share such as `2.5%`"
            )
        })
    }
}

impl fmt::Display for SampleSize {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Items(count) => write!(f, "{count}"),
            Self::Share(millionths) => {
                let percent = format!("{}.{:04}", millionths / 10_000, millionths % 10_000);
                write!(f, "{}%", percent.trim_end_matches('0').trim_end_matches('.'))
            }
        }
    }
}

/// The group of an item, and its number in the group.
pub type SampleKey = [u8; KEY];

const KEY: usize = 32;

impl Sampling {
    /// Whether some items are left out of the sample.
    pub fn is_any(&self) -> bool {
        self.size.is_some() || self.balance != SampleBy::Nothing
    }

    /// Whether all items must be looked at before any is chosen.
    pub fn needs_survey(&self) -> bool {
        matches!(self.size, Some(SampleSize::Items(_))) || self.balance != SampleBy::Nothing
    }

    /// Checks that the fields can be combined.
    ///
    /// # Errors
    /// [`Error::Choice`] with what does not.
    pub fn check(&self) -> Result<(), Error> {
        let why = match (self.by, self.balance, self.size) {
            (SampleBy::Nothing, _, _) => return Ok(()),
            (_, SampleBy::Nothing, Some(SampleSize::Items(_))) => return Ok(()),
            (_, SampleBy::Nothing, _) => {
                "`--sample-by` needs `--sample` with a number of items; a share takes about as much of each value anyway"
            }
            _ => {
                "`--sample-by` keeps the shares of the values and `--balance` makes them equal; leave out one of them"
            }
        };
        Err(Error::Choice(why.into()))
    }

    /// Whether an item with this id is in the share that is wanted.
    pub fn is_in_share(&self, id: &str) -> bool {
        match self.size {
            Some(SampleSize::Share(millionths)) => at_share(&self.number(id)) < millionths.into(),
            _ => true,
        }
    }

    fn number(&self, id: &str) -> [u8; 16] {
        SharedHasher::id(&["sample", &self.seed.to_string(), id])
    }

    /// The key of an item, by which a number of items is chosen.
    pub fn key_of(&self, item: &Item<'_>) -> SampleKey {
        let by = if self.balance == SampleBy::Nothing { self.by } else { self.balance };
        let values = by.values_of(item);
        let values: Vec<&str> = values.iter().map(String::as_str).collect();
        let mut key = [0; KEY];
        let (group, number) = key.split_at_mut(KEY / 2);
        group.copy_from_slice(&SharedHasher::id(&values));
        number.copy_from_slice(&self.number(&item.id().decoded()));
        key
    }

    /// How many items are taken from groups of these sizes.
    fn quotas(&self, sizes: &[u64]) -> Result<Vec<u64>, Error> {
        let most = match self.size {
            Some(SampleSize::Items(most)) => most,
            _ => u64::MAX,
        };
        if self.balance == SampleBy::Nothing {
            return Ok(proportional(most, sizes));
        }
        let groups = sizes.len() as u64;
        let each = sizes.iter().min().map_or(0, |least| (*least).min(most / groups));
        if each == 0 && groups > 0 {
            return Err(Error::Choice(format!(
                "`--sample {most}` is less than one for each of the {groups} values of `{}`",
                self.balance
            )));
        }
        Ok(vec![each; sizes.len()])
    }
}

/// Divides a number among groups in proportion to their sizes. Each group gets its exact share, rounded up or down, and
/// the shares add up to the number.
fn proportional(most: u64, sizes: &[u64]) -> Vec<u64> {
    let all: u128 = sizes.iter().map(|size| u128::from(*size)).sum();
    let most = u128::from(most).min(all);
    let (mut below, mut given) = (0, 0);
    let quota = |size: &u64| {
        below += u128::from(*size);
        let up_to = (most * below).checked_div(all).unwrap_or(0);
        let quota = u64::try_from(up_to - given).unwrap_or(u64::MAX);
        given = up_to;
        quota
    };
    sizes.iter().map(quota).collect()
}

/// The items among which some are chosen.
pub struct Candidates(Sorter);

impl Candidates {
    pub fn new() -> Self {
        Self(Sorter::new())
    }

    /// Adds an item by its position among all items.
    pub fn add(&mut self, order: u64, key: &SampleKey) -> io::Result<()> {
        self.0.push(&[&order.to_be_bytes()[..], key].concat())
    }

    /// Chooses among the items that would be written without a sample. `is_open` says which these are, and is called in
    /// the order of the items. Returns rows for [`Sampled`].
    pub fn decide(
        self,
        sampling: &Sampling,
        mut is_open: impl FnMut(u64) -> io::Result<bool>,
    ) -> Result<Sorted, Error> {
        let mut by_group = Sorter::new();
        for row in self.0.sorted().map_err(failed)? {
            let row = row.map_err(failed)?;
            let Some((order, key)) = row.split_first_chunk::<8>() else { continue };
            if is_open(u64::from_be_bytes(*order)).map_err(failed)? {
                by_group.push(&[key, order].concat()).map_err(failed)?;
            }
        }
        // The rows are read once for the sizes of the groups, and again to choose.
        let mut again = Sorter::new();
        let mut groups = Groups::default();
        let mut sizes: Vec<u64> = Vec::new();
        for row in by_group.sorted().map_err(failed)? {
            let row = row.map_err(failed)?;
            if groups.is_next(&row) {
                sizes.push(0);
            }
            if sizes.len() > SAMPLE_GROUPS {
                return Err(Error::Choice(format!(
                    "the field to sample by has more than {SAMPLE_GROUPS} values; sample by another one"
                )));
            }
            sizes.last_mut().into_iter().for_each(|size| *size += 1);
            again.push(&row).map_err(failed)?;
        }
        let quotas = sampling.quotas(&sizes)?;
        let (mut quotas, mut left) = (quotas.into_iter(), 0);
        let mut groups = Groups::default();
        let mut chosen = Sorter::new();
        for row in again.sorted().map_err(failed)? {
            let row = row.map_err(failed)?;
            if groups.is_next(&row) {
                left = quotas.next().unwrap_or(0);
            }
            if left > 0 {
                left -= 1;
                chosen.push(row.get(KEY..).unwrap_or_default()).map_err(failed)?;
            }
        }
        chosen.sorted().map_err(failed)
    }
}

/// Finds where each group begins among sorted rows.
#[derive(Default)]
struct Groups(Option<[u8; KEY / 2]>);

impl Groups {
    fn is_next(&mut self, row: &[u8]) -> bool {
        let group = row.first_chunk().copied();
        std::mem::replace(&mut self.0, group) != group
    }
}

fn failed(source: io::Error) -> Error {
    Error::Failed { what: "the sample", source }
}

/// The items that were chosen, in their order.
pub struct Sampled(Peekable<Rows>);

/// Where the sample is kept beside the parts of a dataset.
const SAMPLED: &str = ".parts/sample";

impl Sampled {
    /// The items of rows that [`Candidates::decide`] returned.
    pub fn of(rows: Sorted) -> Self {
        let rows: Rows = Box::new(rows);
        Self(rows.peekable())
    }

    /// Keeps the rows beside the parts of a dataset, for [`Self::kept_in`].
    pub fn keep(rows: Sorted, storage: &dyn Storage) -> Result<(), Error> {
        keep_rows(rows, SAMPLED, storage, failed)
    }

    /// The sample that was kept, if it is there and whole.
    pub fn kept_in(storage: &dyn Storage) -> Option<Self> {
        kept_rows(SAMPLED, storage).map(|rows| Self(rows.peekable()))
    }

    /// Whether an item is in the sample. Must be called in the order of the items.
    pub fn has(&mut self, order: u64) -> io::Result<bool> {
        let order = order.to_be_bytes();
        let is_before =
            |row: &io::Result<Box<[u8]>>| row.as_ref().is_ok_and(|row| **row < order[..]);
        while self.0.next_if(is_before).is_some() {}
        let is_it =
            |row: &io::Result<Box<[u8]>>| row.as_ref().map_or(true, |row| **row == order[..]);
        self.0.next_if(is_it).transpose().map(|row| row.is_some())
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use super::*;

    fn conversation(number: usize, owner: &str) -> Item<'static> {
        let (id, owner) = (format!("c{number}").into(), Some(owner.to_owned().into()));
        Conversation { id, owner, ..Conversation::default() }.into()
    }

    /// How many of each owner are chosen among those that are open, and which.
    fn chosen(
        sampling: &Sampling,
        items: &[(Item<'_>, &str)],
        is_open: impl Fn(u64) -> bool,
    ) -> (BTreeMap<String, u64>, Vec<u64>) {
        let mut candidates = Candidates::new();
        for (order, (item, _)) in (0..).zip(items) {
            candidates.add(order, &sampling.key_of(item)).unwrap();
        }
        let rows = candidates.decide(sampling, |order| Ok(is_open(order))).unwrap();
        let mut sampled = Sampled::of(rows);
        let (mut counts, mut orders) = (BTreeMap::new(), Vec::new());
        for (order, (_, owner)) in (0..).zip(items) {
            if sampled.has(order).unwrap() {
                *counts.entry((*owner).to_owned()).or_default() += 1;
                orders.push(order);
            }
        }
        (counts, orders)
    }

    fn items(owners: &[(&'static str, usize)]) -> Vec<(Item<'static>, &'static str)> {
        let all = owners.iter().flat_map(|(owner, count)| (0..*count).map(move |_| *owner));
        all.enumerate().map(|(number, owner)| (conversation(number, owner), owner)).collect()
    }

    #[test]
    fn sizes_are_read_and_written() {
        for text in ["500", "1", "2.5%", "100%", "0.0001%"] {
            assert_eq!(text.parse::<SampleSize>().unwrap().to_string(), text);
        }
        for text in ["", "0", "-1", "0%", "100.1%", "1.5", "%", "0.00001%", "a"] {
            let error = text.parse::<SampleSize>().unwrap_err();
            assert!(error.contains("a share such as `2.5%`"), "{text}: {error}");
        }
    }

    #[test]
    fn a_sample_has_as_many_items_as_asked_whatever_their_order() {
        let sampling = Sampling { size: "30".parse().ok(), seed: 7, ..Sampling::default() };
        let items = items(&[("a", 100)]);
        let (_, orders) = chosen(&sampling, &items, |_| true);
        assert_eq!(orders.len(), 30);
        let backwards: Vec<_> = items.iter().rev().cloned().collect();
        let (_, others) = chosen(&sampling, &backwards, |_| true);
        let mut others: Vec<u64> = others.into_iter().map(|order| 99 - order).collect();
        others.sort_unstable();
        assert_eq!(orders, others);
        let (_, other) = chosen(&Sampling { seed: 8, ..sampling }, &items, |_| true);
        assert_ne!(orders, other);
        // An item that is left out for another reason takes no place in the sample.
        let (_, open) = chosen(&sampling, &items, |order| order % 2 == 0);
        assert!(open.len() == 30 && open.iter().all(|order| order % 2 == 0));
    }

    #[test]
    fn values_keep_their_shares_or_get_equal_ones() {
        let items = items(&[("a", 600), ("b", 300), ("c", 101)]);
        let by =
            |size: &str, by, balance| Sampling { size: size.parse().ok(), seed: 1, by, balance };
        let count = |sampling: &Sampling| chosen(sampling, &items, |_| true).0;
        let of = |a: u64, b: u64, c: u64| {
            [("a", a), ("b", b), ("c", c)].map(|(name, n)| (name.to_owned(), n)).into()
        };
        let found = count(&by("100", SampleBy::Owner, SampleBy::Nothing));
        assert_eq!(found.values().sum::<u64>(), 100);
        assert!((59..=60).contains(&found["a"]) && (29..=30).contains(&found["b"]), "{found:?}");
        assert_eq!(count(&by("", SampleBy::Nothing, SampleBy::Owner)), of(101, 101, 101));
        assert_eq!(count(&by("32", SampleBy::Nothing, SampleBy::Owner)), of(10, 10, 10));
        assert_eq!(count(&by("5000", SampleBy::Owner, SampleBy::Nothing)), of(600, 300, 101));
    }

    #[test]
    fn a_share_is_about_as_large_as_asked_and_grows_with_the_dataset() {
        let share = |text: &str| Sampling { size: text.parse().ok(), ..Sampling::default() };
        let ids: Vec<String> = (0..20_000).map(|n| format!("c{n}")).collect();
        let of = |sampling: Sampling| ids.iter().filter(|id| sampling.is_in_share(id)).count();
        assert!((900..1_100).contains(&of(share("5%"))));
        assert_eq!(of(share("100%")), 20_000);
        let both = |id: &&String| share("5%").is_in_share(id) && !share("10%").is_in_share(id);
        assert_eq!(ids.iter().filter(both).count(), 0);
    }

    #[test]
    fn fields_that_do_not_go_together_are_refused() {
        let sampling =
            |size: &str, by, balance| Sampling { size: size.parse().ok(), seed: 0, by, balance };
        let (none, owner) = (SampleBy::Nothing, SampleBy::Owner);
        assert!(sampling("5", owner, none).check().is_ok());
        assert!(sampling("5%", none, owner).check().is_ok());
        for (sampling, why) in [
            (sampling("5%", owner, none), "needs `--sample` with a number"),
            (sampling("", owner, none), "needs `--sample` with a number"),
            (sampling("5", owner, owner), "leave out one of them"),
        ] {
            let error = sampling.check().unwrap_err().to_string();
            assert!(error.contains(why), "{error}");
        }
        let error = sampling("2", none, owner).quotas(&[4, 9, 3]).unwrap_err().to_string();
        assert!(error.contains("less than one for each of the 3 values of `owner`"), "{error}");
    }
}
