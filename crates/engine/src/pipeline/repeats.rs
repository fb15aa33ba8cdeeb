//! Ids that come more than once in the inputs of a dataset.
//!
//! As long as no id is repeated, items are written as they come. The first repetition ends the run, as what stands
//! before it may have to go: a longer state of the same conversation can come anywhere behind it. The inputs are then
//! looked through once ([`super::survey()`]), which keeps for each item its id, its place and hashes of its messages, sorted on
//! disk. That decides on every repeated id whatever the order of the inputs:
//!
//! - of states that have the same messages, the one that changed last counts, else the larger, else the first;
//! - a state with which another one begins is left out, as the other has all of it;
//! - what counts decides for all of them: if its source says that it must not be trained on, an earlier state without that
//!   mark is not written in its place;
//! - others are different items: the first keeps its id, the next becomes `id#2`, and so on.
//!
//! Then the dataset is made again from the beginning, with these [`Decisions`].

use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher};
use std::io;

use retort_model::{Document, Item, Messages, Run, RunStatus, Time};

use super::item::{ReadItem, Verdict, order_of};
use crate::seen::{IdHash, SharedHasher, message_hasher};
use crate::sorter::{Sorted, Sorter};

/// The verdicts on all items that have one, in their order.
pub struct Decisions {
    verdicts: Sorted,
    next: Option<(u64, Verdict)>,
}

impl Decisions {
    /// Those where nothing is to be decided, as items that have one id are meant to.
    pub fn none() -> io::Result<Self> {
        Self::of(Sorter::new().sorted()?)
    }

    /// Those of rows that [`decide`] made.
    pub fn of(verdicts: Sorted) -> io::Result<Self> {
        let mut decisions = Self { verdicts, next: None };
        decisions.advance()?;
        Ok(decisions)
    }

    fn advance(&mut self) -> io::Result<()> {
        self.next = self.verdicts.next().transpose()?.and_then(|row| verdict_of(&row));
        Ok(())
    }

    /// The verdict on an item, if there is one. Items are asked for in their order.
    pub fn on(&mut self, ordinal: u64) -> io::Result<Option<Verdict>> {
        while let Some((at, verdict)) = self.next {
            if at > ordinal {
                break;
            }
            self.advance()?;
            if at == ordinal {
                return Ok(Some(verdict));
            }
        }
        Ok(None)
    }
}

/// What is written as a number in eight bytes, and what follows it.
fn number(row: &[u8]) -> Option<(u64, &[u8])> {
    row.split_first_chunk::<8>().map(|(number, rest)| (u64::from_be_bytes(*number), rest))
}

/// The place of an item and the verdict on it, from its row.
pub(super) fn verdict_of(row: &[u8]) -> Option<(u64, Verdict)> {
    let (ordinal, rest) = number(row)?;
    let (&kind, rest) = rest.split_first()?;
    Some((ordinal, verdict(kind, rest)?))
}

fn verdict(kind: u8, rest: &[u8]) -> Option<Verdict> {
    match kind {
        SAME => Some(Verdict::SameState),
        EARLIER => Some(Verdict::EarlierState),
        _ => number(rest).map(|(number, _)| Verdict::Number(number)),
    }
}

/// The row of the verdict on an item.
pub(super) fn row_of_verdict(ordinal: u64, verdict: Verdict) -> Vec<u8> {
    let mut row = ordinal.to_be_bytes().to_vec();
    match verdict {
        Verdict::SameState => row.push(SAME),
        Verdict::EarlierState => row.push(EARLIER),
        Verdict::Number(number) => {
            row.push(WRITTEN);
            row.extend_from_slice(&number.to_be_bytes());
        }
    }
    row
}

const WRITTEN: u8 = 0;
const SAME: u8 = 1;
const EARLIER: u8 = 2;

/// Bytes of the hash of an id, with which the row of an item begins.
const ID: usize = 16;

/// What comes after the messages in the row of an item: a mark, the hash of its system messages, its last change, its
/// size and its place.
const TAIL: usize = 1 + 4 * 8;

/// Marks that a message follows, or none. A state comes after those that continue it.
const MORE: u8 = 0;
const END: u8 = 1;

/// The row of an item with this hash of its id: rows in order are grouped by id, the longest states first.
fn row_of(one: &ReadItem<'_>, id: [u8; ID], hasher: &impl BuildHasher, ordinal: u64) -> Vec<u8> {
    let mut row = id.to_vec();
    let (messages, changed) = match &one.item {
        // Contents are the same or not: each item stands for itself, and only its number is wanted.
        _ if !one.has_id => (Messages { turns: vec![ordinal], system: 0 }, None),
        Item::Conversation(conversation) => {
            (Messages::of(conversation, hasher), conversation.updated_at)
        }
        Item::Run(run) => (Messages { turns: beginning(run, hasher), system: 0 }, end(run)),
        Item::Document(document) => (Messages { turns: texts(document, hasher), system: 0 }, None),
    };
    for turn in &messages.turns {
        row.push(MORE);
        row.extend_from_slice(&turn.to_be_bytes());
    }
    row.push(END);
    let size = (one.span.end - one.span.start) as u64;
    let changed = changed.map_or(i64::MIN, Time::unix_micros);
    // The last changed first.
    let changed = !(changed.cast_unsigned() ^ (1 << 63));
    for number in [messages.system, changed, !size, ordinal] {
        row.extend_from_slice(&number.to_be_bytes());
    }
    row
}

/// What is asked of a run, from which it goes on.
fn beginning(run: &Run<'_>, hasher: &impl BuildHasher) -> Vec<u64> {
    if run.question.is_none() && run.inputs.is_none() {
        return Vec::new();
    }
    let mut hash = hasher.build_hasher();
    run.question.as_ref().map(|text| text.decoded().into_owned()).hash(&mut hash);
    run.inputs.as_ref().map(|inputs| inputs.as_str().to_owned()).hash(&mut hash);
    vec![hash.finish()]
}

fn end(run: &Run<'_>) -> Option<Time> {
    run.finished_at.or(run.started_at).filter(|_| run.status != RunStatus::Running)
}

fn texts(document: &Document<'_>, hasher: &impl BuildHasher) -> Vec<u64> {
    document.chunks.iter().map(|chunk| hasher.hash_one(chunk.text.decoded())).collect()
}

/// The row of an item that is meant, for [`decide`].
pub(super) fn row(one: &ReadItem<'_>, items_before: u64) -> Option<Vec<u8>> {
    let id = one.hash?.to_bytes();
    Some(row_of(one, id, message_hasher(), one.order(items_before)))
}

/// The rows of the items of a batch that are meant, for [`moved_item`]: each behind a byte that says whether its source
/// gave it its id.
pub(super) fn shared_rows(items: &[ReadItem<'_>], items_before: u64) -> Vec<Vec<u8>> {
    let hasher = BuildHasherDefault::<SharedHasher>::new();
    let row = |one: &ReadItem<'_>| {
        let id = with_id(one, SharedHasher::id);
        let mut row = row_of(one, id, &hasher, one.order(items_before));
        row.insert(0, u8::from(one.has_id));
        row
    };
    items.iter().filter(|one| one.hash.is_some()).map(row).collect()
}

/// The row of an item of a part as [`decide`] takes it, behind so many items of the parts before.
pub fn moved_item(shared: &[u8], items_before: u64) -> Vec<u8> {
    let (has_id, row) = shared.split_first().unwrap_or((&1, &[]));
    let mut row = row.to_vec();
    let mut shift = |at: usize| {
        if let Some(ordinal) = row.get_mut(at..).and_then(<[u8]>::first_chunk_mut) {
            let moved = u64::from_be_bytes(*ordinal).wrapping_add(order_of(items_before, 0));
            *ordinal = moved.to_be_bytes();
        }
    };
    shift(shared.len().saturating_sub(1 + 8));
    // An item without an id of its own has its ordinal instead of messages.
    if *has_id == 0 {
        shift(ID + 1);
    }
    row
}

/// The row of a verdict that [`decide`] made, as one on an item of a part behind so many items of the parts before.
pub fn moved_verdict(row: &[u8], items_before: u64) -> Vec<u8> {
    let (ordinal, rest) = number(row).unwrap_or((0, &[]));
    let moved = ordinal.wrapping_sub(order_of(items_before, 0));
    [&moved.to_be_bytes(), rest].concat()
}

/// Whether a verdict is on one of so many first items.
pub fn is_of_first(row: &[u8], items: u64) -> bool {
    number(row).is_some_and(|(ordinal, _)| ordinal < order_of(items, 0))
}

/// The hash of an item's id, among those of its kind and source.
pub(super) fn hash_of(one: &ReadItem<'_>) -> IdHash {
    with_id(one, IdHash::of)
}

/// Hashes an item's id, among those of its kind and source. An id that was made is none that was given.
fn with_id<H>(one: &ReadItem<'_>, hash: impl FnOnce(&[&str]) -> H) -> H {
    let (kind, among) = (one.item.kind().as_str(), one.item.among().decoded());
    let given = if one.has_id { "given" } else { "made" };
    hash(&[given, kind, &among, &one.item.id().decoded()])
}

/// Decides on all items, from their rows. What comes back are the rows of the verdicts, in the order of the items.
pub fn decide(items: Sorter) -> io::Result<Sorted> {
    // Of each id that is repeated, its items in their order, each with whether it is written.
    let mut repeated = Sorter::new();
    let mut before: Option<Before> = None;
    let mut repeated_row = Vec::new();
    for row in items.sorted()? {
        let row = row?;
        let messages_end = row.len().saturating_sub(TAIL);
        let Some((messages, tail)) = row.split_at_checked(messages_end) else { continue };
        let (Some((system, tail)), Some(ordinal)) =
            (tail.get(1..).and_then(number), row.last_chunk::<8>())
        else {
            continue;
        };
        debug_assert_eq!(tail.len(), 3 * 8);
        let ordinal = u64::from_be_bytes(*ordinal);
        let is_repeated =
            before.as_ref().is_some_and(|before| before.messages.get(..ID) == messages.get(..ID));
        let kind = match &before {
            Some(before) if is_repeated => before.judge(messages, system),
            _ => WRITTEN,
        };
        let mut push = |ordinal: u64, kind: u8, id: &[u8]| {
            repeated_row.clear();
            repeated_row.extend_from_slice(id);
            repeated_row.extend_from_slice(&ordinal.to_be_bytes());
            repeated_row.push(kind);
            repeated.push(&repeated_row)
        };
        let id = messages.get(..ID).unwrap_or_default();
        if is_repeated {
            if let Some(first) = before.as_mut().and_then(|before| before.alone.take()) {
                push(first, WRITTEN, id)?;
            }
            push(ordinal, kind, id)?;
        }
        let is_same_messages = before.as_ref().is_some_and(|before| *before.messages == *messages);
        let is_continued = match &before {
            Some(before) if is_same_messages => before.is_continued,
            _ => kind == EARLIER,
        };
        let alone = if is_repeated { None } else { Some(ordinal) };
        before = Some(Before { messages: messages.into(), system, is_continued, alone });
    }
    let mut verdicts = Sorter::new();
    let (mut id, mut count) = ([0; ID], 0);
    for row in repeated.sorted()? {
        let row = row?;
        let Some((this, rest)) = row.split_first_chunk::<ID>() else { continue };
        let Some((ordinal, [kind])) = number(rest) else { continue };
        if *this != id {
            (id, count) = (*this, 0);
        }
        let verdict = match *kind {
            SAME => Verdict::SameState,
            EARLIER => Verdict::EarlierState,
            _ => {
                count += 1;
                if count == 1 {
                    continue;
                }
                Verdict::Number(count)
            }
        };
        verdicts.push(&row_of_verdict(ordinal, verdict))?;
    }
    verdicts.sorted()
}

/// The row before one.
struct Before {
    /// Its id and messages.
    messages: Box<[u8]>,
    system: u64,
    /// Whether another state continues it.
    is_continued: bool,
    /// Its place, while no other row of its id was met.
    alone: Option<u64>,
}

impl Before {
    /// What becomes of the next row of the same id.
    fn judge(&self, messages: &[u8], system: u64) -> u8 {
        match () {
            () if *self.messages != *messages => {
                if self.messages.starts_with(messages) {
                    EARLIER
                } else {
                    WRITTEN
                }
            }
            () if self.is_continued => EARLIER,
            // The best of these messages and system messages stands first.
            () if self.system == system => SAME,
            () => WRITTEN,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Items of an id: their messages, system messages, last change, size and place.
    type Of<'o> = (&'o str, u64, i64, u64, u64);

    fn verdicts(items: &[Of<'_>]) -> Vec<Option<Verdict>> {
        let mut sorter = Sorter::new();
        for &(messages, system, changed, size, ordinal) in items {
            let mut row = vec![7; ID];
            for message in messages.bytes() {
                row.push(MORE);
                row.extend_from_slice(&u64::from(message).to_be_bytes());
            }
            row.push(END);
            let changed = !(changed.cast_unsigned() ^ (1 << 63));
            for number in [system, changed, !size, ordinal] {
                row.extend_from_slice(&number.to_be_bytes());
            }
            sorter.push(&row).unwrap();
        }
        let mut decisions = decide(sorter).and_then(Decisions::of).unwrap();
        (1..=items.len() as u64).map(|ordinal| decisions.on(ordinal).unwrap()).collect()
    }

    #[test]
    fn states_are_decided_on_whatever_their_order() {
        use Verdict::{EarlierState, Number, SameState};
        let earlier = Some(EarlierState);
        for (items, expect) in [
            (vec![("abc", 0, 0, 1, 1)], vec![None]),
            (
                vec![("a", 0, 0, 1, 1), ("ab", 0, 0, 1, 2), ("abc", 0, 0, 1, 3)],
                vec![earlier, earlier, None],
            ),
            (
                vec![("abc", 0, 0, 1, 1), ("a", 0, 9, 1, 2), ("ab", 0, 9, 1, 3)],
                vec![None, earlier, earlier],
            ),
            // Two that go on from one state, and one that has nothing to do with them.
            (
                vec![("ax", 0, 0, 1, 1), ("a", 0, 0, 1, 2), ("z", 0, 0, 1, 3), ("ay", 0, 0, 1, 4)],
                vec![None, earlier, Some(Number(2)), Some(Number(3))],
            ),
            // The same messages: the last change, the larger, the first.
            (
                vec![("a", 0, 5, 1, 1), ("a", 0, 6, 1, 2), ("a", 0, -1, 9, 3)],
                vec![Some(SameState), None, Some(SameState)],
            ),
            (
                vec![("a", 0, 5, 1, 1), ("a", 0, 5, 2, 2), ("a", 0, 5, 2, 3)],
                vec![Some(SameState), None, Some(SameState)],
            ),
            // System messages tell equal ones apart, and do not keep a state from being continued.
            (vec![("a", 1, 0, 1, 1), ("a", 2, 0, 1, 2)], vec![None, Some(Number(2))]),
            (
                vec![("a", 1, 0, 1, 1), ("a", 2, 0, 1, 2), ("ab", 3, 0, 1, 3)],
                vec![earlier, earlier, None],
            ),
            (vec![("", 1, 0, 1, 1), ("q", 2, 0, 1, 2)], vec![earlier, None]),
        ] {
            assert_eq!(verdicts(&items), expect, "{items:?}");
        }
    }
}
