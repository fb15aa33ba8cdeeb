//! What is read: streams into batches of items, rows and halves of one item joined.

use std::io;
use std::sync::Arc;

use retort_formats::import::split::{Batch, Splitter};
use retort_formats::import::{ImportFormat, Shape, sniff};
use retort_json::Parser;
use retort_model::Tally;

use super::aside::Batches;
use super::halves::Halves;
use super::rows::Rows;
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
    halves: Halves,
    rows: Rows,
    sources: usize,
    /// What was not read, by reason.
    pub passed_over: Tally<PassedOver>,
}

impl<'p> InputsFeed<'p> {
    /// A feed of `inputs`, read as `from` where that was named.
    pub fn new(inputs: &'p Inputs, from: Option<&'static dyn ImportFormat>) -> Self {
        let (halves, rows) = (Halves::default(), Rows::bounded(inputs.options.max_item));
        Self { inputs, from, halves, rows, sources: 0, passed_over: inputs.passed_over.clone() }
    }
}

impl Feed for InputsFeed<'_> {
    fn total_bytes(&self) -> u64 {
        self.inputs.bytes
    }

    fn feed(&mut self, to: &mut Outlet<'_>) -> Result<(), Error> {
        let read_bytes = Arc::clone(&to.read_bytes);
        for file in &self.inputs.files {
            point("open");
            let (inputs, from) = (self.inputs, self.from);
            let more = file.each_stream(inputs, from, &read_bytes, &mut |name, stream| {
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
        let mut source = Arc::new(Source { place, name, format: self.from });
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
                && let Some(format) = format_of(&batch)
            {
                let name =
                    SourceName { label: source.name.label.clone(), stem: source.name.stem.clone() };
                source = Arc::new(Source { place, name, format: Some(format) });
            }
            let fail = |error| Error::Unpack { name: source.name.label.clone(), source: error };
            let mut batches = match source.format {
                Some(format) if format.has_rows() => {
                    self.rows.take(batch, &source, format).map_err(fail)?
                }
                Some(format) if format.has_halves() => {
                    let joined = self.halves.join(&batch, &source, format).map_err(fail)?;
                    Batches::of(&source, joined)
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

    /// Sends the items whose rows might have gone on, then what never found its other half.
    fn send_rest(&mut self, to: &mut Outlet<'_>) -> Result<(), Error> {
        let fail = |what| move |source: io::Error| Error::Failed { what, source };
        let mut send = |source, batch| to.send(source, Work::Items(batch));
        std::mem::take(&mut self.rows).end(&mut send).map_err(fail("the file of kept rows"))?;
        std::mem::take(&mut self.halves).end(&mut send).map_err(fail("halves of conversations"))
    }
}

/// The format of the first item that one recognises.
fn format_of(batch: &Batch) -> Option<&'static dyn ImportFormat> {
    batch.items.iter().take(ITEMS_SNIFFED).find_map(|span| {
        let text = std::str::from_utf8(batch.item(span)).ok()?.trim_start_matches(is_between);
        let shape = Shape::of(text).or_else(|_| {
            // Several may stand on one line.
            let mut parser = Parser::lenient(text);
            parser.skip()?;
            Shape::of(text.get(..parser.at()).unwrap_or_default())
        });
        sniff(&shape.ok()?)
    })
}

/// Whether a character may stand between values that stand one behind another.
pub(super) fn is_between(character: char) -> bool {
    character.is_ascii_whitespace() || matches!(character, ',' | '\u{1e}' | '\u{feff}')
}
