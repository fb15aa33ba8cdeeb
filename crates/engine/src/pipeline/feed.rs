//! What is read: streams into batches of items, those that are spread over several texts joined.

use std::io;
use std::sync::Arc;

use retort_formats::import::split::{Batch, Splitter};
use retort_formats::import::{Entry, ImportFormat, Side, Sniff, recognise};
use retort_json::{JsonError, Parser};
use retort_model::Tally;

use super::job::{RefusedInput, Source, Work};
use super::outlet::{Feed, Outlet};
use super::reassemble::Reassembly;
use super::share::{Extent, PartNumber, Share, Whose};
use super::spill::Batches;

use crate::error::Error;
use crate::panics::point;
use crate::source::{Inputs, PassedOver, SourceName, Stream, Wanted, refusal_of};

/// Items that are looked at to find out the format of a stream, in each batch until it is found.
const ITEMS_SNIFFED: usize = 16;

/// Items from files, folders, archives and standard input.
pub struct InputsFeed<'p> {
    inputs: &'p Inputs,
    from: Option<&'static dyn ImportFormat>,
    /// None once all is read.
    reassembly: Option<Reassembly>,
    sources: usize,
    share: Share,
    /// What was not read, by reason.
    pub passed_over: Tally<PassedOver>,
}

impl<'p> InputsFeed<'p> {
    /// A feed of `inputs`, read as `from` where that was named.
    pub fn new(inputs: &'p Inputs, from: Option<&'static dyn ImportFormat>) -> Self {
        let reassembly = Some(Reassembly::bounded(inputs.options.max_item));
        let (share, passed_over) = (Share::whole(), inputs.passed_over.clone());
        Self { inputs, from, reassembly, sources: 0, share, passed_over }
    }

    /// A feed of what one part reads of `inputs`. What was passed over when they were found is counted by no part.
    pub fn of_part(
        inputs: &'p Inputs,
        from: Option<&'static dyn ImportFormat>,
        part: PartNumber,
    ) -> Self {
        let share = Share::of_part(part, inputs.files.iter().map(|file| file.bytes).sum());
        Self { share, passed_over: Tally::default(), ..Self::new(inputs, from) }
    }

    /// How much was read of the share of a part.
    pub fn extent(&self) -> Extent {
        self.share.extent()
    }
}

impl Feed for InputsFeed<'_> {
    fn total_bytes(&self) -> u64 {
        self.inputs.bytes
    }

    fn feed(&mut self, to: &mut Outlet<'_>) -> Result<(), Error> {
        let read_bytes = Arc::clone(&to.read_bytes);
        let files = self.inputs.in_order(self.from);
        let side = files.iter().find(|(_, side)| matches!(side, Some(Side::Read(_))));
        if let Some((file, _)) = side.filter(|_| !self.share.is_whole()) {
            return Err(cannot_be_cut(&file.label));
        }
        for (file, side) in files {
            match self.share.next_file(file.bytes) {
                Whose::Earlier => continue,
                Whose::Own => {}
                Whose::Later => return Ok(()),
            }
            point("open");
            let (inputs, wanted) = (self.inputs, Wanted::of(self.from));
            let more =
                file.each_stream(inputs, (wanted, side), &read_bytes, &mut |name, stream| {
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
        let input = match stream {
            Stream::Items(input) => input,
            Stream::Refused(..) | Stream::PassedOver(_) if self.share.whose(0) != Whose::Own => {
                return Ok(self.share.whose(0) == Whose::Earlier && to.more_wanted());
            }
            Stream::Refused(refusal, why) => {
                let source = self.source(name);
                self.share.meet(1, 0, None);
                let refused = RefusedInput { refusal, why, position: (1, 0, 0) };
                return Ok(to.send(source, Work::Refused(refused)));
            }
            Stream::PassedOver(why) => {
                self.passed_over.add(why, &name.label);
                return Ok(to.more_wanted());
            }
        };
        let mut splitter = Splitter::bounded(input, self.inputs.options.max_item);
        point("split");
        let source = self.source(name);
        let more = self.items(source, &mut splitter, to);
        self.share.end_stream(splitter.position().2);
        more
    }

    fn source(&mut self, name: SourceName) -> Arc<Source> {
        self.sources += 1;
        let format = self.from.or(name.side_of);
        Arc::new(Source { place: self.sources - 1, name, format })
    }

    /// Sends the items of a stream, as far as they belong to the share.
    fn items(
        &mut self,
        mut source: Arc<Source>,
        splitter: &mut Splitter<&mut dyn io::Read>,
        to: &mut Outlet<'_>,
    ) -> Result<bool, Error> {
        let place = source.place;
        let (mut sent, mut skipped) = (false, None);
        // Items of the stream before those that come next.
        let mut before = 0;
        loop {
            let whose = self.share.whose(splitter.position().2);
            if whose == Whose::Later {
                return Ok(false);
            }
            let next = match splitter.next(to.spent_batch()) {
                Ok(next) => next,
                Err(_) if whose == Whose::Earlier => {
                    self.sources = place;
                    return Ok(to.more_wanted());
                }
                // What came before stays; the rest is refused, and the next input is read.
                Err(error) => {
                    let (index, line, byte) = splitter.position();
                    let what = if index > 1 { "the rest cannot be read: " } else { "" };
                    let refused = RefusedInput {
                        refusal: refusal_of(&error),
                        why: format!("{what}{error}"),
                        position: (index, line, byte),
                    };
                    self.share.meet(1, before, skipped);
                    return Ok(to.send(source, Work::Refused(refused)));
                }
            };
            let Some(batch) = next else {
                if sent || whose != Whose::Own || skipped.is_some() {
                    if !sent {
                        // All of it belongs to earlier parts.
                        self.sources = place;
                    }
                    return Ok(to.more_wanted());
                }
                // One that is empty, or whose rows wait for others, is told of too.
                self.share.meet(0, 0, None);
                return Ok(to.send(source, Work::Items(Batch::default())));
            };
            if source.format.is_none()
                && let Some(format) = format_of(&batch, source.name.entry())
            {
                let name = source.name.clone();
                source = Arc::new(Source { place, name, format: Some(format) });
            }
            let is_joined = self.reassembly.as_ref().is_some_and(|one| one.concerns(&source));
            if is_joined && !self.share.is_whole() {
                return Err(cannot_be_cut(&source.name.label));
            }
            let items = batch.items.len();
            if whose == Whose::Earlier {
                before += items as u64;
                skipped = Some(before);
                continue;
            }
            self.share.meet(items, before, skipped);
            before += items as u64;
            let fail = |error| Error::Unpack { name: source.name.label.clone(), source: error };
            let mut batches = match (source.format, &mut self.reassembly) {
                (Some(format), Some(reassembly)) if is_joined => {
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

/// Fragments of an item may be in several parts, so none of them could join the item.
fn cannot_be_cut(label: &str) -> Error {
    Error::Choice(format!(
        "items of `{label}` are assembled from several places, which may be anywhere in the inputs, so they cannot be \
         converted in parts; leave out `--part`"
    ))
}

/// The format of the first item that one recognises.
fn format_of(batch: &Batch, entry: Entry<'_>) -> Option<&'static dyn ImportFormat> {
    batch.items.iter().take(ITEMS_SNIFFED).find_map(|span| {
        let text = std::str::from_utf8(batch.item(span)).ok()?.trim_start_matches(is_between);
        let mut sniff = Sniff::found(text, entry);
        if sniff.check().is_err() {
            // One line may hold several.
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
