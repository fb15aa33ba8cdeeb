//! One conversation of any size: its canonical line while it streams by, or as much of it as a page shows.

use std::io::{self, Read, Write};

use retort_model::Conversation;
use retort_model::bounds::{EXCERPT_BYTES, SERVED_ITEM_BYTES};
use retort_model::canonical::{self, Cutter, MessagePlace, Piece};
use retort_store::{Stop, StoredLine, Summary};

use crate::browse::{damaged, edits_of, no_conversation, read};
use crate::caller::Caller;
use crate::error::Error;
use crate::memory::take_to_stream;
use crate::service::Service;

/// Bytes of a line that are unpacked at a time.
const WINDOW_BYTES: usize = 128 << 10;

/// The canonical line of a conversation, with what was set in the store.
pub struct Line {
    stored: StoredLine,
    /// What stands for the beginning of the line, up to its rounds, if something there was set.
    head: Vec<u8>,
    /// Bytes of the beginning that it stands for.
    replaced: usize,
}

impl Service {
    /// The one conversation with that id, as [`find_one`](Self::find_one), and its line.
    ///
    /// # Errors
    /// There is none, or several; it is damaged; those of the store.
    pub fn whole(
        &self,
        caller: &Caller,
        id: &str,
        source: Option<&str>,
    ) -> Result<(Summary, Line), Error> {
        caller.needs(retort_model::Grant::Read)?;
        let summary = self.find_one(caller, id, source)?;
        let stored = self.stored_line(&summary)?;
        let line = Line::new(&summary, stored)?;
        Ok((summary, line))
    }

    /// The first conversation with that id, and of it as many messages as a page can show: those of the branch that ends
    /// with the round `leaf`, else of the active one, without the first `from`; and then those of its tasks.
    ///
    /// # Errors
    /// There is none; it is damaged; those of the store.
    pub fn excerpt(
        &self,
        caller: &Caller,
        (id, source): (&str, Option<&str>),
        leaf: Option<usize>,
        from: usize,
    ) -> Result<(Summary, Excerpt), Error> {
        caller.needs(retort_model::Grant::Read)?;
        let mut found = self.store.find(&caller.scope(), id)?;
        found.retain(|one| source.is_none_or(|source| one.source == source));
        let summary = found.into_iter().next().ok_or_else(|| no_conversation(id))?;
        let stored = self.stored_line(&summary)?;
        let excerpt = Excerpt::of(&summary, &stored, leaf, from)?;
        Ok((summary, excerpt))
    }

    /// The line of a conversation as it is stored. Waits for memory to read it.
    pub(crate) fn stored_line(&self, summary: &Summary) -> Result<StoredLine, Error> {
        take_to_stream(summary.size, summary.messages)?;
        self.store.open_line(summary)?.ok_or_else(|| no_conversation(&summary.id))
    }
}

/// Reads a line from its beginning until `act` has enough of it.
///
/// # Errors
/// Those of `act`; the line is damaged; the work was stopped.
pub(crate) fn each_chunk(
    summary: &Summary,
    stored: &StoredLine,
    act: &mut dyn FnMut(&[u8]) -> Result<bool, Error>,
) -> Result<(), Error> {
    let (mut reader, mut window) = (stored.read()?, vec![0; WINDOW_BYTES]);
    let stop = Stop::current();
    loop {
        if stop.is_asked() {
            return Err(Error::STOPPED);
        }
        let length =
            reader.read(&mut window).map_err(|error| damaged(summary, &error.to_string()))?;
        let bytes = window.get(..length).unwrap_or_default();
        if bytes.is_empty() || !act(bytes)? {
            return Ok(());
        }
    }
}

/// Cuts a line into its pieces, of which `most` bytes are kept.
///
/// # Errors
/// As [`each_chunk`].
pub(crate) fn each_piece(
    summary: &Summary,
    stored: &StoredLine,
    most: usize,
    act: &mut dyn FnMut(Piece<'_>) -> Result<(), Error>,
) -> Result<(), Error> {
    let mut cutter = Cutter::new(most);
    each_chunk(summary, stored, &mut |bytes| cutter.feed(bytes, act).map(|()| true))
}

/// The beginning of a line, up to its rounds, as a line without any.
pub(crate) fn line_head(summary: &Summary, stored: &StoredLine) -> Result<Vec<u8>, Error> {
    let (mut cutter, mut head) = (Cutter::new(usize::MAX), None);
    each_chunk(summary, stored, &mut |bytes| {
        cutter.feed(bytes, &mut |piece| {
            head.get_or_insert_with(|| piece.text.to_vec());
            Ok::<_, Error>(())
        })?;
        Ok(head.is_none())
    })?;
    let mut line = head.unwrap_or_default();
    line.extend_from_slice(END);
    Ok(line)
}

impl Line {
    fn new(summary: &Summary, stored: StoredLine) -> Result<Self, Error> {
        let line = line_head(summary, &stored)?;
        let mut conversation = read(summary, &line)?;
        edits_of(summary).apply(&mut conversation);
        let mut head = Vec::with_capacity(line.len());
        canonical::write(&conversation, &mut head);
        if head == line {
            return Ok(Self { stored, head: Vec::new(), replaced: 0 });
        }
        head.truncate(head.len() - END.len());
        Ok(Self { stored, head, replaced: line.len() - END.len() })
    }

    /// Bytes of the line.
    pub fn bytes(&self) -> u64 {
        (self.stored.bytes() + self.head.len() as u64).saturating_sub(self.replaced as u64)
    }

    /// Writes the line.
    ///
    /// # Errors
    /// The output fails; the line is damaged.
    pub fn write(&self, summary: &Summary, out: &mut dyn Write) -> Result<(), Error> {
        out.write_all(&self.head).map_err(Error::gone)?;
        let mut replaced = self.replaced;
        each_chunk(summary, &self.stored, &mut |bytes| {
            let skipped = replaced.min(bytes.len());
            replaced -= skipped;
            out.write_all(bytes.get(skipped..).unwrap_or_default()).map_err(Error::gone)?;
            Ok(true)
        })
    }

    /// Reads all of it, to see that it is what was written, before any of it is sent.
    ///
    /// # Errors
    /// The line is damaged.
    pub fn check(&self, summary: &Summary) -> Result<(), Error> {
        self.write(summary, &mut io::sink())
    }
}

/// The end of a line without rounds, and of all that could be behind them.
const END: &[u8] = b"]}";

/// Hands on the pieces of a line, from its beginning.
pub(crate) type Pieces<'p> = dyn Fn(&mut dyn FnMut(Piece<'_>)) -> Result<(), Error> + 'p;

/// As much of a conversation as a page shows.
pub struct Excerpt {
    line: canonical::Excerpt,
    /// The line that is shown instead.
    shown: Option<Vec<u8>>,
    from: usize,
    path: Vec<usize>,
}

impl Excerpt {
    /// Of a stored line, from a message on.
    pub(crate) fn of(
        summary: &Summary,
        stored: &StoredLine,
        leaf: Option<usize>,
        from: usize,
    ) -> Result<Self, Error> {
        let cut = |act: &mut dyn FnMut(Piece<'_>)| {
            each_piece(summary, stored, SERVED_ITEM_BYTES, &mut |piece| {
                act(piece);
                Ok(())
            })
        };
        Self::of_pieces(summary, &cut, leaf, from)
    }

    /// Of a line that is at hand.
    ///
    /// # Errors
    /// It is damaged.
    pub fn of_line(
        summary: &Summary,
        line: &[u8],
        leaf: Option<usize>,
        from: usize,
    ) -> Result<Self, Error> {
        let cut = |act: &mut dyn FnMut(Piece<'_>)| {
            Cutter::new(SERVED_ITEM_BYTES).feed(line, &mut |piece| {
                act(piece);
                Ok::<_, Error>(())
            })
        };
        Self::of_pieces(summary, &cut, leaf, from)
    }

    /// As [`Self::of`], from the pieces that `cut` hands on.
    pub(crate) fn of_pieces(
        summary: &Summary,
        cut: &Pieces<'_>,
        leaf: Option<usize>,
        from: usize,
    ) -> Result<Self, Error> {
        let excerpt = |keeps: &mut dyn FnMut(MessagePlace, usize) -> bool| {
            let mut excerpt = canonical::Excerpt::default();
            cut(&mut |piece| excerpt.take(piece, keeps))?;
            Ok::<_, Error>(excerpt)
        };
        let outline = excerpt(&mut |_, _| false)?;
        let path = {
            let outline = read(summary, outline.line())?;
            let leaf = leaf.filter(|&leaf| leaf < outline.rounds.len()).or(outline.current);
            outline.path_to(leaf)
        };
        // The number of the first message of each round that is shown.
        let mut number = 0;
        let mut rounds: Vec<Option<usize>> = vec![None; outline.rounds().len()];
        for &place in &path {
            if let Some(first) = rounds.get_mut(place) {
                *first = Some(number);
                number += outline.rounds().get(place).copied().unwrap_or(0);
            }
        }
        // The tasks come after the rounds in the line, too, so they get what these leave.
        let mut room = EXCERPT_BYTES;
        let line = excerpt(&mut |place, bytes| {
            let first = rounds.get(place.round).copied().flatten();
            let is_asked_for =
                place.task.is_some() || first.is_some_and(|first| first + place.message >= from);
            let is_kept = is_asked_for && room > 0;
            if is_kept {
                room = room.saturating_sub(bytes);
            }
            is_kept
        })?;
        Ok(Self { line, shown: None, from, path })
    }

    /// The number of the first message that is shown.
    pub fn from(&self) -> usize {
        self.from
    }

    /// The positions of the rounds of the branch.
    pub fn path(&self) -> &[usize] {
        &self.path
    }

    /// How many messages the round at a position has, with those that are not here.
    pub fn messages_of_round(&self, position: usize) -> usize {
        self.line.rounds().get(position).copied().unwrap_or(0)
    }

    /// How many messages the task at a position has.
    pub fn messages_of_task(&self, position: usize) -> usize {
        self.line.tasks().get(position).copied().unwrap_or(0)
    }

    /// The canonical line of what is here: all rounds, and the messages that a page can show.
    pub fn line(&self) -> &[u8] {
        self.shown.as_deref().unwrap_or_else(|| self.line.line())
    }

    /// The excerpt with a changed line, which must have the same rounds and messages.
    pub(crate) fn with_line(
        mut self,
        change: impl FnOnce(&[u8]) -> Result<Vec<u8>, Error>,
    ) -> Result<Self, Error> {
        self.shown = Some(change(self.line.line())?);
        Ok(self)
    }

    /// The conversation of that line.
    ///
    /// # Errors
    /// It is damaged.
    pub fn conversation(&self, summary: &Summary) -> Result<Conversation<'_>, Error> {
        read(summary, self.line())
    }
}
