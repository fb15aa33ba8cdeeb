//! The canonical line behind a public link, filtered while it is streamed: what the link does not show is left out, and
//! secrets and personal data are masked.
//!
//! [`Cutter`](canonical::Cutter) cuts the line into messages and the text around them. Each piece is wrapped into the
//! smallest valid line, filtered by the same rules as a whole conversation, and unwrapped again.

use std::io::{self, Write};
use std::sync::OnceLock;

use memchr::memmem;
use retort_engine::Redaction;
use retort_model::bounds::SERVED_ITEM_BYTES;
use retort_model::canonical::{self, Level, Piece};
use retort_model::{Conversation, Role, Usage};
use retort_store::{Share, StoredLine, Summary};

use crate::attachments::{Attachment, Files};
use crate::browse::{edits_of, read};
use crate::error::Error;
use crate::line::{Excerpt, each_chunk, each_piece, line_head};

/// Lines up to this size are filtered once, as a whole. Longer ones are filtered each time that they are read.
const WHOLE_BYTES: u64 = 16 << 20;

/// The line behind a link.
pub(crate) struct SharedLine {
    filter: Filter,
    stored: StoredLine,
    /// The filtered line and how much is masked in it, if the line is short.
    whole: Option<(Vec<u8>, u64)>,
}

/// The key of a message part as its source wrote it. Files are in such parts.
const RAW: &[u8] = b"\"raw\":";

/// Filters a line or a piece of one.
struct Filter {
    summary: Summary,
    shows: Shows,
}

/// Receives the pieces of a line.
type Each<'e> = dyn FnMut(Piece<'_>) -> Result<(), Error> + 'e;

impl SharedLine {
    pub(crate) fn new(summary: Summary, shows: Shows, stored: StoredLine) -> Result<Self, Error> {
        let filter = Filter { summary, shows };
        let mut whole = None;
        if stored.bytes() <= WHOLE_BYTES {
            let mut line = Vec::with_capacity(usize::try_from(stored.bytes()).unwrap_or(0));
            each_chunk(&filter.summary, &stored, &mut |bytes| {
                line.extend_from_slice(bytes);
                Ok(true)
            })?;
            whole = Some(filter.line(&line, true)?);
        }
        Ok(Self { filter, stored, whole })
    }

    /// The title, filtered.
    pub(crate) fn title(&self) -> Result<Option<String>, Error> {
        let summary = &self.filter.summary;
        let (head, _) = self.filter.line(&line_head(summary, &self.stored)?, true)?;
        let conversation = read(summary, &head)?;
        Ok(conversation.title.map(|title| title.decoded().into_owned()))
    }

    /// Writes the filtered line.
    pub(crate) fn write(&self, out: &mut dyn Write) -> Result<(), Error> {
        match &self.whole {
            Some((line, _)) => out.write_all(line).map_err(Error::gone),
            None => {
                let cut = |each: &mut Each<'_>| self.cut(usize::MAX, each);
                self.filter.write(&cut, out, &mut |_| Ok(())).map(|_| ())
            }
        }
    }

    /// How many bytes [`Self::write`] writes; hands on the files in the messages, in order.
    pub(crate) fn measure(
        &self,
        take: &mut dyn FnMut(Attachment) -> Result<bool, Error>,
    ) -> Result<u64, Error> {
        if let Some((line, _)) = &self.whole {
            self.each_file(take)?;
            return Ok(line.len() as u64);
        }
        let mut files = Files::default();
        let cut = |each: &mut Each<'_>| self.cut(usize::MAX, each);
        self.filter.write(&cut, &mut io::sink(), &mut |line| {
            self.filter.files_of(line, &mut files, take).map(|_| ())
        })
    }

    /// As much as a page shows, as in [`Excerpt::of`], and how much is masked in it.
    pub(crate) fn excerpt(
        &self,
        leaf: Option<usize>,
        from: usize,
    ) -> Result<(Excerpt, u64), Error> {
        let (filter, summary) = (&self.filter, &self.filter.summary);
        if let Some((line, masked)) = &self.whole {
            return Ok((Excerpt::of_line(summary, line, leaf, from)?, *masked));
        }
        let cut = |act: &mut dyn FnMut(Piece<'_>)| {
            self.cut(SERVED_ITEM_BYTES, &mut |piece| {
                if filter.shows_piece(&piece) {
                    act(piece);
                }
                Ok(())
            })
        };
        let mut masked = 0;
        let excerpt = Excerpt::of_pieces(summary, &cut, leaf, from)?;
        let excerpt = excerpt.with_line(|line| {
            let (line, count) = filter.line(line, true)?;
            masked = count;
            Ok::<_, Error>(line)
        })?;
        Ok((excerpt, masked))
    }

    /// Hands on the files in the messages, in order, until `take` returns false.
    pub(crate) fn each_file(
        &self,
        take: &mut dyn FnMut(Attachment) -> Result<bool, Error>,
    ) -> Result<(), Error> {
        let (mut files, mut goes_on) = (Files::default(), true);
        if let Some((line, _)) = &self.whole {
            return self.filter.files_of(line, &mut files, take).map(|_| ());
        }
        self.cut(usize::MAX, &mut |piece| {
            let is_wanted =
                goes_on && piece.level == Level::Message && self.filter.shows_piece(&piece);
            if !is_wanted || memmem::find(piece.text, RAW).is_none() {
                return Ok(());
            }
            let (line, _) = self.filter.line(&Frame::of(&piece).around(piece.text), false)?;
            goes_on = self.filter.files_of(&line, &mut files, take)?;
            Ok(())
        })
    }

    fn cut(&self, most: usize, each: &mut Each<'_>) -> Result<(), Error> {
        each_piece(&self.filter.summary, &self.stored, most, each)
    }
}

/// The text around a piece that makes it a line.
struct Frame {
    /// The text before `mark`. Writing the line again may change it.
    outer: &'static str,
    /// The text directly before the piece, by which it is found in the line once that was written again.
    mark: &'static str,
    after: &'static str,
}

impl Frame {
    fn of(piece: &Piece<'_>) -> Self {
        const HEAD: &str = r#"{"retort":1,"id":"","source":"","#;
        const ROUND: &str = r#"{"retort":1,"id":"","source":"","rounds":[{"#;
        let (outer, mark, after) = match (piece.level, piece.begins) {
            (Level::Conversation, true) => ("", "", "]}"),
            (Level::Conversation, false) => (HEAD, r#""rounds":["#, ""),
            (Level::Task, true) => (HEAD, r#""rounds":[],"tasks":["#, "]}]}"),
            (Level::Task, false) => (HEAD, r#""rounds":[],"tasks":[{"id":"","rounds":["#, "]}"),
            (Level::Round, true) => (HEAD, r#""rounds":["#, "]}]}"),
            (Level::Round, false) => (ROUND, r#""messages":["#, "]}"),
            (Level::Message, _) => (ROUND, r#""messages":["#, "]}]}"),
        };
        Self { outer, mark, after }
    }

    /// The piece as a line.
    fn around(&self, text: &[u8]) -> Vec<u8> {
        [self.outer.as_bytes(), self.mark.as_bytes(), text, self.after.as_bytes()].concat()
    }

    /// The piece in a line that was written again.
    fn inside<'l>(&self, line: &'l [u8]) -> &'l [u8] {
        let start = match self.mark {
            "" => 0,
            mark => memmem::find(line, mark.as_bytes()).map_or(line.len(), |at| at + mark.len()),
        };
        line.get(start..line.len().saturating_sub(self.after.len())).unwrap_or_default()
    }
}

impl Filter {
    /// Whether any part of a piece is shown.
    fn shows_piece(&self, piece: &Piece<'_>) -> bool {
        // A message begins with its role.
        let is_system =
            piece.level == Level::Message && piece.text.starts_with(br#"{"role":"system""#);
        self.shows.system || !is_system
    }

    /// The filtered line, and how much is masked in it.
    fn line(&self, line: &[u8], has_edits: bool) -> Result<(Vec<u8>, u64), Error> {
        let mut conversation = read(&self.summary, line)?;
        if has_edits {
            edits_of(&self.summary).apply(&mut conversation);
        }
        show(&mut conversation, self.shows);
        let mut out = Vec::with_capacity(line.len());
        canonical::write(&conversation, &mut out);
        if self.shows.unredacted {
            return Ok((out, 0));
        }
        redacted(out)
    }

    /// Hands on the files in a filtered line; returns whether `take` wants more.
    fn files_of(
        &self,
        line: &[u8],
        files: &mut Files,
        take: &mut dyn FnMut(Attachment) -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        if memmem::find(line, RAW).is_none() {
            return Ok(true);
        }
        let (conversation, mut goes_on) = (read(&self.summary, line)?, true);
        for message in conversation.messages() {
            files.each_of(message, &mut |file| {
                goes_on = goes_on && take(file)?;
                Ok::<_, Error>(())
            })?;
        }
        Ok(goes_on)
    }

    fn write(
        &self,
        cut: &dyn Fn(&mut Each<'_>) -> Result<(), Error>,
        out: &mut dyn Write,
        each_message: &mut dyn FnMut(&[u8]) -> Result<(), Error>,
    ) -> Result<u64, Error> {
        // For each open list, whether the next element is its first.
        let (mut first, mut bytes) = (Vec::new(), 0);
        let mut put = |text: &[u8]| {
            bytes += text.len() as u64;
            out.write_all(text).map_err(Error::gone)
        };
        cut(&mut |piece| {
            if !self.shows_piece(&piece) {
                return Ok(());
            }
            if piece.begins {
                if let Some(is_first) = first.last_mut()
                    && !std::mem::replace(is_first, false)
                {
                    put(b",")?;
                }
            } else {
                first.pop();
            }
            if !piece.ends {
                first.push(true);
            }
            let is_between = piece.level == Level::Conversation && !piece.begins && !piece.ends;
            if is_between {
                return put(piece.text);
            }
            let frame = Frame::of(&piece);
            let is_head = piece.level == Level::Conversation && piece.begins;
            let (line, _) = self.line(&frame.around(piece.text), is_head)?;
            if piece.level == Level::Message {
                each_message(&line)?;
            }
            put(frame.inside(&line))
        })?;
        Ok(bytes)
    }
}

/// Removes a conversation's owner and project, tags, what its source keeps besides the messages, and what a link does not
/// show.
fn show(conversation: &mut Conversation<'_>, shows: Shows) {
    conversation.owner = None;
    conversation.project = None;
    conversation.tags.clear();
    conversation.metadata.clear();
    conversation.not_understood.clear();
    conversation.judgements.clear();
    for task in &mut conversation.tasks {
        task.metadata.clear();
    }
    let tasks = conversation.tasks.iter_mut().flat_map(|task| &mut task.rounds);
    for round in conversation.rounds.iter_mut().chain(tasks) {
        round.metadata.clear();
        if !shows.tools {
            round.tools.clear();
        }
        if !shows.usage {
            round.usage = Usage::default();
        }
        if !shows.system {
            round.messages.retain(|message| message.role != Role::System);
        }
        for message in &mut round.messages {
            message.metadata.clear();
            message.feedback = None;
            message.judgements.clear();
            if message.role == Role::User {
                message.name = None;
            }
            for call in &mut message.tool_calls {
                call.metadata.clear();
            }
        }
    }
}

/// A line with its secrets and personal data masked, and how many there are.
fn redacted(line: Vec<u8>) -> Result<(Vec<u8>, u64), Error> {
    static RULES: OnceLock<Redaction> = OnceLock::new();
    let rules = match RULES.get() {
        Some(rules) => rules,
        None => {
            let rules = Redaction::of_public()?;
            RULES.get_or_init(|| rules)
        }
    };
    let found = rules.line(&String::from_utf8_lossy(&line));
    Ok(found.map_or((line, 0), |(redacted, count)| (redacted.into_bytes(), count)))
}

/// What of a conversation a link shows that is left out unless asked for.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Shows {
    /// System prompts.
    pub system: bool,
    /// Definitions of tools.
    pub tools: bool,
    /// Token counts.
    pub usage: bool,
    /// Secrets and personal data as they are, which are masked otherwise.
    pub unredacted: bool,
}

impl Shows {
    pub(crate) fn number(self) -> i64 {
        i64::from(self.system)
            | i64::from(self.tools) << 1
            | i64::from(self.usage) << 2
            | i64::from(self.unredacted) << 3
    }

    /// As the store keeps it.
    pub fn of(share: &Share) -> Self {
        let shows = share.shows;
        Self {
            system: shows & 1 != 0,
            tools: shows & 2 != 0,
            usage: shows & 4 != 0,
            unredacted: shows & 8 != 0,
        }
    }
}

#[cfg(test)]
mod tests {
    use retort_model::canonical::Cutter;

    use super::*;

    /// Everything that a line can have, with secrets and names in all places.
    const LINE: &str = concat!(
        r#"{"retort":1,"id":"c","source":"openai","project":"p","owner":"ann@example.org","kind":"agent","#,
        r#""title":"mail ben@example.org","tags":["t"],"status":"active","model":"m","current":1,"rounds":["#,
        r#"{"number":1,"parent":null,"model":"m","tools":[{"name":"f"}],"messages":["#,
        r#"{"role":"system","content":"be kind","metadata":{"a":1}},"#,
        r#"{"role":"user","name":"Ann","content":"I am ann@example.org, \"messages\":[","feedback":{"rating":1},"judgements":[{"by":"dee","rating":1,"comment":"dull"}]},"#,
        r#"{"role":"system","content":"again"}],"input_tokens":3,"output_tokens":4,"metadata":{"b":2}},"#,
        r#"{"number":2,"messages":[]},"#,
        r#"{"number":3,"parent":0,"messages":[{"role":"assistant","content":[{"type":"text","text":"x"},"#,
        r#"{"type":"file","raw":{"file":{"filename":"a.txt","file_data":"data:text/plain,hi"}}}],"tool_calls":["#,
        r#"{"id":"1","name":"f","arguments":"{\"to\":\"ben@example.org\"}","metadata":{"c":3}}]}]}],"#,
        r#""tasks":[{"id":"t1","agent":"a","rounds":[{"number":1,"messages":[{"role":"user","content":"q"}]}],"metadata":{"d":4}},"#,
        r#"{"id":"t2","rounds":[]}],"label":"preferred","judgements":[{"by":"dee","label":"dull"}],"not_understood":[{"path":"x","raw":{"owner":"ann"}}],"metadata":{"e":5}}"#
    );

    /// A line as a stream of windows.
    fn cut(line: &str, window: usize, each: &mut Each<'_>) -> Result<(), Error> {
        let mut cutter = Cutter::new(usize::MAX);
        line.as_bytes().chunks(window).try_for_each(|bytes| cutter.feed(bytes, each))
    }

    #[test]
    fn a_line_that_streams_by_shows_what_it_shows_as_a_whole() {
        let minimal =
            r#"{"retort":1,"id":"","source":"","kind":"chat","status":"active","rounds":[]}"#;
        let title = Some("set by cy@example.org".to_owned());
        let edited = Summary { title, title_is_set: true, ..Summary::default() };
        for summary in [Summary::default(), edited] {
            for bits in 0..16 {
                let bit = |at: u32| bits >> at & 1 == 1;
                let shows =
                    Shows { system: bit(0), tools: bit(1), usage: bit(2), unredacted: bit(3) };
                let filter = Filter { summary: summary.clone(), shows };
                for line in [LINE, minimal] {
                    let (whole, _) = filter.line(line.as_bytes(), true).unwrap();
                    for window in [1, 7, 1000, line.len()] {
                        let mut out = Vec::new();
                        let bytes = filter
                            .write(&|each| cut(line, window, each), &mut out, &mut |_| Ok(()))
                            .unwrap();
                        assert_eq!(
                            String::from_utf8(out).unwrap(),
                            String::from_utf8_lossy(&whole)
                        );
                        assert_eq!(bytes, whole.len() as u64);
                    }
                }
            }
        }
    }

    #[test]
    fn the_files_of_a_line_that_streams_by_are_those_of_the_whole() {
        let filter = Filter { summary: Summary::default(), shows: Shows::default() };
        let mut found = Vec::new();
        let mut take = |file: Attachment| {
            found.push((file.name, file.bytes));
            Ok(true)
        };
        let mut files = Files::default();
        let (whole, _) = filter.line(LINE.as_bytes(), true).unwrap();
        filter.files_of(&whole, &mut files, &mut take).unwrap();
        let mut files = Files::default();
        let mut each = |line: &[u8]| filter.files_of(line, &mut files, &mut take).map(|_| ());
        filter.write(&|each| cut(LINE, 5, each), &mut io::sink(), &mut each).unwrap();
        let file = ("a.txt".to_owned(), b"hi".to_vec());
        assert_eq!(found, [file.clone(), file]);
    }

    #[test]
    fn a_link_shows_nothing_of_whose_it_is() {
        let filter = Filter { summary: Summary::default(), shows: Shows::default() };
        let (line, masked) = filter.line(LINE.as_bytes(), true).unwrap();
        let line = String::from_utf8(line).unwrap();
        for gone in [
            "ann", "ben@", "Ann", "dee", "dull", "metadata", "feedback", "be kind", "tools",
            "tokens", "\"t\"",
        ] {
            assert!(!line.contains(gone), "{gone} in {line}");
        }
        assert!(masked >= 3, "{masked} in {line}");
    }
}
