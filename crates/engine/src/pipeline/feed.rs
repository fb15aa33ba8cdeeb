//! What is read: streams into batches of items, those that are spread over several texts joined.

use std::sync::Arc;

use retort_formats::import::split::{Batch, Splitter};
use retort_formats::import::{Entry, ImportFormat, Sniff, recognise};
use retort_json::{JsonError, Parser};
use retort_model::Tally;

use super::aside::Batches;
use super::reassemble::Reassembly;
use super::{Feed, Outlet, RefusedInput, Source, Work};
use crate::error::Error;
use crate::panics::point;
use crate::source::{Inputs, PassedOver, SourceName, Stream, refusal_of};

/// Items that are looked at to find out the format of a stream, in each batch until it is found.
const ITEMS_SNIFFED: usize = 16;

/// Items from files, folders, archives and standard input.
pub struct InputsFeed<'p> {
    inputs: &'p Inputs,
    from: Option<&'static dyn ImportFormat>,
    /// None once all is read.
    reassembly: Option<Reassembly>,
    sources: usize,
    /// What was not read, by reason.
    pub passed_over: Tally<PassedOver>,
}

impl<'p> InputsFeed<'p> {
    /// A feed of `inputs`, read as `from` where that was named.
    pub fn new(inputs: &'p Inputs, from: Option<&'static dyn ImportFormat>) -> Self {
        let reassembly = Some(Reassembly::bounded(inputs.options.max_item));
        Self { inputs, from, reassembly, sources: 0, passed_over: inputs.passed_over.clone() }
    }
}

impl Feed for InputsFeed<'_> {
    fn total_bytes(&self) -> u64 {
        self.inputs.bytes
    }

    fn feed(&mut self, to: &mut Outlet<'_>) -> Result<(), Error> {
        let read_bytes = Arc::clone(&to.read_bytes);
        for (file, side) in self.inputs.in_order(self.from) {
            point("open");
            let (inputs, from) = (self.inputs, self.from);
            let more =
                file.each_stream(inputs, (from, side), &read_bytes, &mut |name, stream| {
                    self.stream(name, stream, to)
                })?;
            if !more {
                return Ok(());
            }
        }
        self.send_rest(to)
    }
}

impl InputsFeed<'_> {
    fn stream(
        &mut self,
        name: SourceName,
        stream: Stream<'_>,
        to: &mut Outlet<'_>,
    ) -> Result<bool, Error> {
        if let Stream::PassedOver(why) = stream {
            self.passed_over.add(why, &name.label);
            return Ok(to.more_wanted());
        }
        let place = self.sources;
        self.sources += 1;
        let format = self.from.or(name.side_of);
        let mut source = Arc::new(Source { place, name, format });
        let input = match stream {
            Stream::Items(input) => input,
            Stream::Refused(refusal, why) => {
                let refused = RefusedInput { refusal, why, position: (1, 0, 0) };
                return Ok(to.send(source, Work::Refused(refused)));
            }
            Stream::PassedOver(_) => return Ok(to.more_wanted()),
        };
        let mut splitter = Splitter::bounded(input, self.inputs.options.max_item);
        point("split");
        let mut sent = false;
        loop {
            let next = match splitter.next(to.spent_batch()) {
                Ok(next) => next,
                // What came before stays; the rest is refused, and the next input is read.
                Err(error) => {
                    let (index, line, byte) = splitter.position();
                    let what = if index > 1 { "the rest cannot be read: " } else { "" };
                    let refused = RefusedInput {
                        refusal: refusal_of(&error),
                        why: format!("{what}{error}"),
                        position: (index, line, byte),
                    };
                    return Ok(to.send(source, Work::Refused(refused)));
                }
            };
            let Some(batch) = next else {
                // One that is empty, or whose rows wait for others, is told of too.
                if !sent {
                    return Ok(to.send(source, Work::Items(Batch::default())));
                }
                return Ok(to.more_wanted());
            };
            if source.format.is_none()
                && let Some(format) = format_of(&batch, source.name.entry())
            {
                let name = source.name.clone();
                source = Arc::new(Source { place, name, format: Some(format) });
            }
            let fail = |error| Error::Unpack { name: source.name.label.clone(), source: error };
            let mut batches = match (source.format, &mut self.reassembly) {
                (Some(format), Some(reassembly)) if reassembly.concerns(&source) => {
                    reassembly.take(batch, &source, format).map_err(fail)?
                }
                _ => Batches::of(&source, batch),
            };
            let more = batches.send(&mut |of, batch| {
                sent |= of.place == place;
                to.send(of, Work::Items(batch))
            });
            if !more {
                return Ok(false);
            }
        }
    }

    /// Sends the items of which more might have come.
    fn send_rest(&mut self, to: &mut Outlet<'_>) -> Result<(), Error> {
        let Some(reassembly) = self.reassembly.take() else { return Ok(()) };
        let mut send = |source, batch| to.send(source, Work::Items(batch));
        let passed_over = &mut self.passed_over;
        reassembly
            .end(&mut send, &mut |side| passed_over.add(PassedOver::NoItem, &side.name.label))
            .map_err(|source| Error::Failed { what: "the fragments of items on disk", source })
    }
}

/// The format of the first item that one recognises.
fn format_of(batch: &Batch, entry: Entry<'_>) -> Option<&'static dyn ImportFormat> {
    batch.items.iter().take(ITEMS_SNIFFED).find_map(|span| {
        let text = std::str::from_utf8(batch.item(span)).ok()?.trim_start_matches(is_between);
        let mut sniff = Sniff::found(text, entry);
        if sniff.check().is_err() {
            // Several may stand on one line.
            sniff = Sniff::found(first_value(text).ok()?, entry);
            sniff.check().ok()?;
        }
        recognise(&sniff)
    })
}

/// The first of the values that stand one behind another.
fn first_value(text: &str) -> Result<&str, JsonError> {
    let mut parser = Parser::lenient(text);
    parser.skip()?;
    Ok(text.get(..parser.at()).unwrap_or_default())
}

/// Whether a character may stand between values that stand one behind another.
pub(super) fn is_between(character: char) -> bool {
    character.is_ascii_whitespace() || matches!(character, ',' | '\u{1e}' | '\u{feff}')
}
