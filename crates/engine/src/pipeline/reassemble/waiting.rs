//! Fragments that wait for what they belong to: halves for the other half, and what side files say for the item. Their
//! texts are on disk.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use retort_formats::import::split::Span;
use retort_formats::import::{Fragment, Spread};
use retort_model::bounds::FRAGMENTS_WAITING;

use super::key::{Found, Key};
use super::scattered::Scattered;
use crate::pipeline::job::Source;
use crate::pipeline::spill::{Batches, SendBatch, Spill};

/// Fragments that wait.
pub(super) struct Waiting {
    held: HashMap<Key, Vec<Held>>,
    count: usize,
    most: usize,
    spill: Option<Spill>,
    /// Whether something that a side file says waits.
    has_sides: bool,
    /// Whether there were too many, and all are scattered.
    is_full: bool,
}

struct Held {
    source: Arc<Source>,
    span: Span,
    order: u64,
    at: u64,
    length: usize,
}

impl Default for Waiting {
    fn default() -> Self {
        Self::bounded(FRAGMENTS_WAITING)
    }
}

impl Waiting {
    pub(super) fn bounded(most: usize) -> Self {
        Self { held: HashMap::new(), count: 0, most, spill: None, has_sides: false, is_full: false }
    }

    pub(super) fn has_sides(&self) -> bool {
        self.has_sides
    }

    /// Holds a fragment, or gives the item that it completes.
    pub(super) fn put(
        &mut self,
        key: Key,
        found: Found<'_>,
        fragment: &Fragment<'_>,
        scattered: &mut Scattered,
        whole: &mut Batches,
    ) -> io::Result<()> {
        let text = fragment.text.as_bytes();
        if self.is_full {
            return scattered.put(key, found, fragment.order, text);
        }
        let is_side = found.source.is_side();
        let is_half = found.source.format.is_some_and(|format| format.spread() == Spread::Halves);
        if !is_side {
            let waits = |held: &Held| !is_half || held.order != fragment.order;
            let other = self.held.get(&key);
            if other.is_some_and(|held| held.iter().all(waits)) {
                let held = self.held.remove(&key).unwrap_or_default();
                self.count -= held.len();
                return self.join(&held, is_half, found, text, whole);
            }
            // An item that nothing was said of, or the same half again.
            if !is_half || other.is_some() {
                whole.add(found.source, found.span, text);
                return Ok(());
            }
        }
        self.has_sides |= is_side;
        let held = self.hold(found, fragment.order, text)?;
        self.held.entry(key).or_default().push(held);
        self.count += 1;
        if self.count > self.most { self.scatter(scattered) } else { Ok(()) }
    }

    fn hold(&mut self, found: Found<'_>, order: u64, text: &[u8]) -> io::Result<Held> {
        let spill = match &mut self.spill {
            Some(spill) => spill,
            None => self.spill.insert(Spill::new()?),
        };
        let (at, length) = (spill.length(), text.len());
        spill.put(text)?;
        Ok(Held { source: Arc::clone(found.source), span: *found.span, order, at, length })
    }

    /// Joins what waited with what it waited for: halves in the order in which they were read, an item before what is
    /// said of it.
    fn join(
        &mut self,
        held: &[Held],
        is_half: bool,
        found: Found<'_>,
        text: &[u8],
        whole: &mut Batches,
    ) -> io::Result<()> {
        let mut joined = vec![b'['];
        if !is_half {
            joined.extend_from_slice(text);
            joined.push(b',');
        }
        for (at, one) in held.iter().enumerate() {
            if at > 0 {
                joined.push(b',');
            }
            self.load(one, &mut joined)?;
        }
        if is_half {
            joined.push(b',');
            joined.extend_from_slice(text);
        }
        joined.push(b']');
        whole.add(found.source, found.span, &joined);
        Ok(())
    }

    /// Appends the text of a fragment.
    fn load(&mut self, held: &Held, into: &mut Vec<u8>) -> io::Result<()> {
        let start = into.len();
        into.resize(start + held.length, 0);
        let Some(spill) = &mut self.spill else { return Ok(()) };
        spill.read(held.at, into.get_mut(start..).unwrap_or_default())
    }

    /// All that waits, in the order in which it came.
    fn drain(&mut self) -> Vec<(Key, Held)> {
        let held = std::mem::take(&mut self.held);
        let mut all: Vec<_> = held
            .into_iter()
            .flat_map(|(key, held)| held.into_iter().map(move |one| (key, one)))
            .collect();
        all.sort_by_key(|(_, one)| one.at);
        self.count = 0;
        all
    }

    /// Leaves all to be sorted on disk, as there is too much of it.
    fn scatter(&mut self, scattered: &mut Scattered) -> io::Result<()> {
        self.is_full = true;
        let mut text = Vec::new();
        for (key, one) in self.drain() {
            text.clear();
            self.load(&one, &mut text)?;
            scattered.put(key, Found { source: &one.source, span: &one.span }, one.order, &text)?;
        }
        Ok(())
    }

    /// Sends the halves that never found the other, each as an item of its own; says whether more is wanted.
    pub(super) fn end(
        &mut self,
        send: &mut SendBatch<'_>,
        unwanted: &mut dyn FnMut(&Source),
    ) -> io::Result<bool> {
        let mut left = Batches::default();
        let mut text = Vec::new();
        for (_, one) in self.drain() {
            if one.source.is_side() {
                unwanted(&one.source);
                continue;
            }
            text.clear();
            self.load(&one, &mut text)?;
            left.add(&one.source, &one.span, &text);
            if !left.send_full(send) {
                return Ok(false);
            }
        }
        Ok(left.send(send))
    }
}
