//! Halves of conversations that wait for the other, on disk.

use std::collections::HashMap;
use std::io;
use std::sync::Arc;

use retort_formats::import::ImportFormat;
use retort_formats::import::split::{Batch, Span};

use super::Source;
use super::aside::{Batches, SendBatch, Spool, push};

/// The halves of all inputs.
#[derive(Default)]
pub(super) struct Halves {
    waiting: HashMap<String, Held>,
    spool: Option<Spool>,
}

struct Held {
    source: Arc<Source>,
    span: Span,
    at: u64,
    length: usize,
    has_messages: bool,
}

impl Halves {
    /// The batch with halves joined or held back.
    pub(super) fn join(
        &mut self,
        batch: &Batch,
        source: &Arc<Source>,
        format: &dyn ImportFormat,
    ) -> io::Result<Batch> {
        let mut joined = Batch::default();
        for span in &batch.items {
            let bytes = batch.item(span);
            let half = std::str::from_utf8(bytes)
                .ok()
                .and_then(|text| format.half(text, &source.name.stem));
            let Some(half) = half else {
                push(&mut joined, span, bytes);
                continue;
            };
            let other = match self.waiting.get(&half.key) {
                Some(held) if held.has_messages != half.has_messages => {
                    self.waiting.remove(&half.key)
                }
                Some(_) => {
                    // Twice the same half: the second is an item of its own.
                    push(&mut joined, span, bytes);
                    continue;
                }
                None => None,
            };
            match other {
                Some(held) => {
                    let first = self.load(&held)?;
                    let (first, second) =
                        (String::from_utf8_lossy(&first), String::from_utf8_lossy(bytes));
                    push(&mut joined, span, format.join(&first, &second).as_bytes());
                }
                None => self.hold(half.key, half.has_messages, source, span, bytes)?,
            }
        }
        Ok(joined)
    }

    fn hold(
        &mut self,
        key: String,
        has_messages: bool,
        source: &Arc<Source>,
        span: &Span,
        bytes: &[u8],
    ) -> io::Result<()> {
        let spool = match &mut self.spool {
            Some(spool) => spool,
            None => self.spool.insert(Spool::new()?),
        };
        let (at, length) = (spool.length(), bytes.len());
        spool.put(bytes)?;
        let held = Held { source: Arc::clone(source), span: *span, at, length, has_messages };
        self.waiting.insert(key, held);
        Ok(())
    }

    fn load(&mut self, held: &Held) -> io::Result<Vec<u8>> {
        let mut bytes = vec![0; held.length];
        if let Some(spool) = &mut self.spool {
            spool.read(held.at, &mut bytes)?;
        }
        Ok(bytes)
    }

    /// Sends what never found its other half, each as an item of its own, in the order it came.
    pub(super) fn end(mut self, send: &mut SendBatch<'_>) -> io::Result<()> {
        let mut held: Vec<Held> = std::mem::take(&mut self.waiting).into_values().collect();
        held.sort_by_key(|held| held.at);
        let mut left = Batches::default();
        for one in held {
            left.add(&one.source, &one.span, &self.load(&one)?);
            if !left.send_full(send) {
                return Ok(());
            }
        }
        left.send(send);
        Ok(())
    }
}
