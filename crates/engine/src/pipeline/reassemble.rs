//! Items that are spread over several texts, brought together from their fragments.
//!
//! The thread that reads asks the format of each text for its fragments and gathers them by their keys, so what comes
//! out depends on the order of the input alone. When an item is complete depends on how its format spreads items:
//!
//! - Rows that follow one another are joined as they come (`rows.rs`). The first of them are held to see whether they do;
//!   where they do not, they are treated as what can be anywhere.
//! - Halves, and what side files say of items, wait on disk for what they belong to, with an index in memory
//!   (`waiting.rs`). Past a bound on that, they are treated as what can be anywhere, too.
//! - What can be anywhere is complete when all is read. It is kept on disk and sorted there (`scattered.rs`): no number
//!   of fragments or of items takes more memory.

mod key;
mod rows;
mod scattered;
mod waiting;

use std::borrow::Cow;
use std::io;
use std::sync::Arc;

use retort_formats::import::split::Batch;
use retort_formats::import::{ImportFormat, Spread};

use self::key::{Found, key_of};
use self::rows::Rows;
use self::scattered::Scattered;
use self::waiting::Waiting;
use super::job::Source;
use super::spill::{Batches, SendBatch};
use crate::seen::{IdHash, SeenIds};

/// The fragments of all inputs.
pub(super) struct Reassembly {
    rows: Rows,
    waiting: Waiting,
    scattered: Scattered,
    /// What fragments are known by that came so far.
    seen: SeenIds,
}

impl Reassembly {
    /// Brings fragments together to items of up to so many bytes.
    pub(super) fn bounded(item_bytes: usize) -> Self {
        Self {
            rows: Rows::bounded(item_bytes),
            waiting: Waiting::default(),
            scattered: Scattered::bounded(item_bytes),
            seen: SeenIds::new(),
        }
    }

    /// Whether texts of this source may be fragments, or wanted by some.
    pub(super) fn concerns(&self, source: &Source) -> bool {
        let Some(format) = source.format else { return false };
        match format.spread() {
            Spread::No => source.is_side() || self.waiting.has_sides(),
            Spread::Rows | Spread::Halves | Spread::Anywhere => true,
        }
    }

    /// Takes texts, and gives the items that are complete now.
    pub(super) fn take(
        &mut self,
        batch: Batch,
        source: &Arc<Source>,
        format: &dyn ImportFormat,
    ) -> io::Result<Batches> {
        let mut whole = Batches::default();
        if format.spread() == Spread::Rows {
            self.rows.take(batch, source, format, &mut self.scattered, &mut whole)?;
            return Ok(whole);
        }
        let mut fragments = Vec::new();
        for span in &batch.items {
            let bytes = batch.item(span);
            fragments.clear();
            if let Ok(text) = std::str::from_utf8(bytes)
                && span.fault.is_none()
            {
                format.fragments(text, source.name.entry(), &mut fragments);
            }
            if fragments.is_empty() {
                whole.add(source, span, bytes);
            }
            for fragment in fragments.drain(..) {
                let key = key_of(format, &fragment.key);
                let found = Found { source, span };
                if format.spread() == Spread::Anywhere {
                    let text = self.told_once(fragment.text, format)?;
                    self.scattered.put(key, found, fragment.order, text.as_bytes())?;
                } else {
                    self.waiting.put(key, found, &fragment, &mut self.scattered, &mut whole)?;
                }
            }
        }
        Ok(whole)
    }

    /// The text of a fragment, marked where it came before.
    fn told_once<'t>(
        &mut self,
        text: Cow<'t, str>,
        format: &dyn ImportFormat,
    ) -> io::Result<Cow<'t, str>> {
        let Some(identity) = format.identity(&text) else { return Ok(text) };
        let is_first = self.seen.add(IdHash::of(&[format.name(), &identity]))?;
        Ok(if is_first { text } else { format.repeated(&text).into() })
    }

    /// Sends what is left when all has been read. `unwanted` is told of what a side file says of an item that is not
    /// there.
    pub(super) fn end(
        mut self,
        send: &mut SendBatch<'_>,
        unwanted: &mut dyn FnMut(&Source),
    ) -> io::Result<()> {
        let mut whole = Batches::default();
        self.rows.end(&mut self.scattered, &mut whole)?;
        if !whole.send(send) {
            return Ok(());
        }
        if self.waiting.end(send, unwanted)? {
            self.scattered.end(send, unwanted)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
