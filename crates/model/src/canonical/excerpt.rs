//! A canonical line of any size, while it streams by: cut into its messages and what is around them, and written again
//! with some of its messages only.
//!
//! [`Cutter`] relies on what [`write`](super::write) guarantees: the lists `rounds`, `tasks` and `messages` are direct
//! fields of their objects, and there is no space between the tokens. It holds one message at a time.

use memchr::memchr2;
use retort_json::{Parser, write_string};

use crate::conversation::Parent;

/// What a piece of a line belongs to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Level {
    /// The conversation, around its rounds and tasks.
    Conversation,
    /// A sub-agent's history, around its rounds.
    Task,
    /// A round, around its messages.
    Round,
    /// A message.
    Message,
}

/// A piece of a line: a message, or the text of a larger object up to, between or behind its lists.
#[derive(Clone, Copy, Debug)]
pub struct Piece<'p> {
    /// What it belongs to.
    pub level: Level,
    /// Its text, in UTF-8 if the line is; only the beginning if it `is_cut`.
    pub text: &'p [u8],
    /// Whether the object begins with it.
    pub begins: bool,
    /// Whether the object ends with it.
    pub ends: bool,
    /// Whether it is longer than what the cutter keeps.
    pub is_cut: bool,
    /// Its length in bytes.
    pub bytes: usize,
}

/// Cuts a canonical line into pieces as it comes. What is between the elements of a list, the commas, is in no piece.
pub struct Cutter {
    most: usize,
    /// The objects that are open, the innermost last.
    open: Vec<Level>,
    /// Brackets that are open in the innermost object, with its own.
    depth: usize,
    /// What the elements are of the list that is read, between two of them.
    between: Option<Level>,
    in_string: bool,
    is_escaped: bool,
    begins: bool,
    kept: Vec<u8>,
    bytes: usize,
    /// The last bytes of the piece, by which its lists are found.
    last: Vec<u8>,
}

/// Bytes of a piece that the key of a list is found by: `,"messages":`.
const KEY_BYTES: usize = 12;

impl Cutter {
    /// A cutter that keeps so many bytes of a piece.
    pub fn new(most: usize) -> Self {
        Self {
            most,
            open: Vec::new(),
            depth: 0,
            between: Some(Level::Conversation),
            in_string: false,
            is_escaped: false,
            begins: false,
            kept: Vec::new(),
            bytes: 0,
            last: Vec::new(),
        }
    }

    /// Takes the next bytes of the line, and hands on the pieces that they complete.
    ///
    /// # Errors
    /// Those of `each`.
    pub fn feed<E>(
        &mut self,
        bytes: &[u8],
        each: &mut dyn FnMut(Piece<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let (mut from, mut next) = (0, 0);
        while let Some(&byte) = bytes.get(next) {
            let at = next;
            next += 1;
            if self.in_string {
                next = at + self.skip_string(bytes.get(at..).unwrap_or_default());
                continue;
            }
            if let Some(level) = self.between {
                from = at;
                match byte {
                    b'{' => self.begin(level),
                    b']' => self.resume(),
                    _ => from = at + 1,
                }
                continue;
            }
            match byte {
                b'"' => self.in_string = true,
                b'{' => self.depth += 1,
                b'[' if self.depth == 1 => {
                    self.keep(bytes.get(from..at).unwrap_or_default());
                    from = at;
                    match self.list() {
                        None => self.depth += 1,
                        list => {
                            self.keep(b"[");
                            self.hand(false, each)?;
                            self.between = list;
                        }
                    }
                }
                b'[' => self.depth += 1,
                b'}' | b']' if self.depth > 1 => self.depth -= 1,
                b'}' | b']' => {
                    self.keep(bytes.get(from..=at).unwrap_or_default());
                    from = at + 1;
                    self.hand(true, each)?;
                    self.between = self.open.pop().filter(|_| !self.open.is_empty());
                    if self.open.is_empty() {
                        // What is behind the line's object is nothing of it.
                        self.between = None;
                        return Ok(());
                    }
                }
                _ => {}
            }
        }
        if self.between.is_none() && !self.open.is_empty() {
            self.keep(bytes.get(from..).unwrap_or_default());
        }
        Ok(())
    }

    /// How many bytes are of the string that is read, up to and with its end.
    fn skip_string(&mut self, bytes: &[u8]) -> usize {
        let mut at = usize::from(std::mem::take(&mut self.is_escaped));
        loop {
            let rest = bytes.get(at..).unwrap_or_default();
            let Some(found) = memchr2(b'"', b'\\', rest) else { return bytes.len() };
            if rest.get(found) == Some(&b'"') {
                self.in_string = false;
                return at + found + 1;
            }
            at += found + 2;
            if at > bytes.len() {
                self.is_escaped = true;
                return bytes.len();
            }
        }
    }

    fn begin(&mut self, level: Level) {
        self.open.push(level);
        (self.between, self.depth, self.begins) = (None, 1, true);
    }

    fn resume(&mut self) {
        (self.between, self.depth, self.begins) = (None, 1, false);
    }

    fn keep(&mut self, bytes: &[u8]) {
        self.bytes += bytes.len();
        let room = self.most.saturating_sub(self.kept.len());
        self.kept.extend_from_slice(bytes.get(..room.min(bytes.len())).unwrap_or_default());
        let tail = bytes.get(bytes.len().saturating_sub(KEY_BYTES)..).unwrap_or_default();
        self.last.extend_from_slice(tail);
        let surplus = self.last.len().saturating_sub(KEY_BYTES);
        self.last.drain(..surplus);
    }

    /// What the elements are of the list that begins now, if it is one of those that are cut.
    fn list(&self) -> Option<Level> {
        let is_key = |name: &str| {
            let key = self.last.strip_suffix(format!("\"{name}\":").as_bytes());
            key.is_some_and(|before| before.ends_with(b",") || before.ends_with(b"{"))
        };
        match self.open.last()? {
            Level::Conversation if is_key("tasks") => Some(Level::Task),
            Level::Conversation | Level::Task if is_key("rounds") => Some(Level::Round),
            Level::Round if is_key("messages") => Some(Level::Message),
            _ => None,
        }
    }

    fn hand<E>(
        &mut self,
        ends: bool,
        each: &mut dyn FnMut(Piece<'_>) -> Result<(), E>,
    ) -> Result<(), E> {
        let Some(&level) = self.open.last() else { return Ok(()) };
        let is_cut = self.bytes > self.kept.len();
        let piece =
            Piece { level, text: &self.kept, begins: self.begins, ends, is_cut, bytes: self.bytes };
        each(piece)?;
        self.kept.clear();
        self.last.clear();
        (self.bytes, self.begins) = (0, false);
        Ok(())
    }
}

/// Where a message is in its conversation.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct MessagePlace {
    /// The task that it belongs to, if it does not belong to the conversation itself.
    pub task: Option<usize>,
    /// The position of its round, there.
    pub round: usize,
    /// Its position in the round.
    pub message: usize,
}

/// A canonical line with some of its messages only: all rounds are there, and know what they follow, but have only the
/// messages that were kept; those without any have no tools and no counts either.
#[derive(Debug, Default)]
pub struct Excerpt {
    line: Vec<u8>,
    /// How many messages each round of the line has.
    rounds: Vec<usize>,
    /// How many each task has.
    tasks: Vec<usize>,
    at: MessagePlace,
    /// The beginning of a round, until it is known whether a message of it is kept.
    round: Vec<u8>,
    /// Whether the next element of each open list is its first.
    is_first: Vec<bool>,
    keeps_round: bool,
}

impl Excerpt {
    /// Takes the next piece; `keeps` says whether a message of so many bytes is kept.
    pub fn take(&mut self, piece: Piece<'_>, keeps: &mut dyn FnMut(MessagePlace, usize) -> bool) {
        match piece.level {
            Level::Conversation => {
                self.around(piece, r#"{"retort":1,"id":"","source":"","rounds":["#);
            }
            Level::Task => {
                if piece.begins {
                    self.at =
                        MessagePlace { task: Some(self.tasks.len()), ..MessagePlace::default() };
                    self.tasks.push(0);
                }
                self.around(piece, r#"{"id":"","rounds":["#);
            }
            Level::Round if piece.begins => {
                self.comma();
                self.is_first.push(true);
                self.at.message = 0;
                self.keeps_round = false;
                self.round.clear();
                match piece.is_cut {
                    true => self.round.extend_from_slice(&without_tools(piece.text)),
                    false => self.round.extend_from_slice(piece.text),
                }
                if self.at.task.is_none() {
                    self.rounds.push(0);
                }
            }
            Level::Round => {
                self.is_first.pop();
                if self.keeps_round && !piece.is_cut {
                    self.line.extend_from_slice(piece.text);
                } else {
                    if !self.keeps_round {
                        self.line.extend_from_slice(&without_tools(&self.round));
                    }
                    self.line.extend_from_slice(b"]}");
                }
                self.at.round += 1;
            }
            Level::Message => self.message(piece, keeps),
        }
    }

    /// The text around lists of rounds or tasks; `start` replaces a beginning that is too long.
    fn around(&mut self, piece: Piece<'_>, start: &str) {
        if piece.begins {
            if piece.level == Level::Task {
                self.comma();
            }
            let start = if piece.is_cut { start.as_bytes() } else { piece.text };
            self.line.extend_from_slice(start);
        } else {
            self.is_first.pop();
            // What is behind the lists is nothing of the messages.
            let text = if piece.ends { b"]}" } else { piece.text };
            self.line.extend_from_slice(text);
        }
        if !piece.ends {
            self.is_first.push(true);
        }
    }

    fn message(&mut self, piece: Piece<'_>, keeps: &mut dyn FnMut(MessagePlace, usize) -> bool) {
        if keeps(self.at, piece.bytes) {
            if !std::mem::replace(&mut self.keeps_round, true) {
                let round = std::mem::take(&mut self.round);
                self.line.extend_from_slice(&round);
            }
            self.comma();
            match piece.is_cut {
                true => self.line.extend_from_slice(stand_in(&piece).as_bytes()),
                false => self.line.extend_from_slice(piece.text),
            }
        }
        self.at.message += 1;
        let count = match self.at.task {
            Some(_) => self.tasks.last_mut(),
            None => self.rounds.last_mut(),
        };
        if let Some(count) = count {
            *count += 1;
        }
    }

    fn comma(&mut self) {
        if let Some(is_first) = self.is_first.last_mut()
            && !std::mem::replace(is_first, false)
        {
            self.line.push(b',');
        }
    }

    /// The line, which [`read`](super::read) reads.
    pub fn line(&self) -> &[u8] {
        &self.line
    }

    /// How many messages each round has in the whole line.
    pub fn rounds(&self) -> &[usize] {
        &self.rounds
    }

    /// How many messages each task has in the whole line.
    pub fn tasks(&self) -> &[usize] {
        &self.tasks
    }
}

/// The beginning of a round with its number and what it follows alone, which stand first.
fn without_tools(start: &[u8]) -> Vec<u8> {
    let (mut number, mut parent) = (0_u32, Parent::Previous);
    let mut parser = Parser::new(start_of(start));
    let _ = parser.object();
    while let Ok(Some(key)) = parser.next_key() {
        match &*key {
            "number" => {
                let read = parser.number().ok().and_then(|number| number.parse().ok());
                number = read.unwrap_or(0);
            }
            "parent" => match parser.null() {
                Ok(true) => parent = Parent::Root,
                _ => {
                    let read = parser.number().ok().and_then(|number| number.parse().ok());
                    parent = read.map_or(Parent::Previous, Parent::Round);
                }
            },
            _ => break,
        }
    }
    let parent = match parent {
        Parent::Previous => String::new(),
        Parent::Root => ",\"parent\":null".to_owned(),
        Parent::Round(parent) => format!(",\"parent\":{parent}"),
    };
    format!("{{\"number\":{number}{parent},\"messages\":[").into_bytes()
}

/// The placeholder of a message of which only the beginning is here.
fn stand_in(piece: &Piece<'_>) -> String {
    let mut parser = Parser::new(start_of(piece.text));
    let _ = parser.object();
    let is_role = parser.next_key().is_ok_and(|key| key.as_deref() == Some("role"));
    let role = parser.string().ok().filter(|_| is_role);
    let mut out = b"{\"role\":".to_vec();
    write_string(role.as_ref().map(|role| role.decoded()).as_deref().unwrap_or("user"), &mut out);
    let text = format!(
        "[This message has {} MB and is not shown here. An export has it.]",
        piece.bytes / 1_000_000
    );
    out.extend_from_slice(b",\"content\":");
    write_string(&text, &mut out);
    out.push(b'}');
    String::from_utf8(out).unwrap_or_default()
}

/// What of a text that may be cut anywhere is UTF-8.
fn start_of(text: &[u8]) -> &str {
    text.utf8_chunks().next().map_or("", |chunk| chunk.valid())
}

#[cfg(test)]
mod tests {
    use super::super::{read, write};
    use super::*;
    use crate::conversation::Conversation;

    const LINE: &str = concat!(
        r#"{"retort":1,"id":"x","source":"s","kind":"chat","title":",\"rounds\":[","tags":["a","[{"],"#,
        r#""status":"active","current":2,"rounds":["#,
        r#"{"number":1,"tools":[{"messages":[1]}],"messages":[{"role":"user","content":"q1 \"}]"},"#,
        r#"{"role":"assistant","content":"a1","tool_calls":[{"id":"c","name":"f","arguments":"{\"messages\":[]}"}]}],"#,
        r#""input_tokens":3},{"number":2,"messages":[]},"#,
        r#"{"number":2,"parent":0,"messages":[{"role":"user","content":"q2"},{"role":"assistant","content":"a2"}],"#,
        r#""metadata":{"messages":[{"role":"user","content":"no message"}]}}],"#,
        r#""tasks":[{"id":"t","agent":"g","rounds":[{"number":1,"messages":[{"role":"user","content":"t1"},"#,
        r#"{"role":"assistant","content":"t2"}]}],"metadata":{"rounds":[]}},{"id":"u","rounds":[]}],"#,
        r#""metadata":{"rounds":[{"messages":[{}]}],"tasks":[]}}"#
    );

    fn pieces(line: &str, step: usize, most: usize) -> Vec<(Level, String, bool)> {
        let (mut cutter, mut found) = (Cutter::new(most), Vec::new());
        for chunk in line.as_bytes().chunks(step) {
            let each = &mut |piece: Piece<'_>| {
                let text = String::from_utf8(piece.text.to_vec()).unwrap();
                assert_eq!(piece.begins, text.starts_with('{'));
                assert_eq!(piece.is_cut, piece.bytes > text.len());
                found.push((piece.level, text, piece.ends));
                Ok::<_, ()>(())
            };
            cutter.feed(chunk, each).unwrap();
        }
        found
    }

    fn excerpt(step: usize, most: usize, keeps: impl Fn(MessagePlace) -> bool) -> Excerpt {
        let (mut cutter, mut excerpt) = (Cutter::new(most), Excerpt::default());
        for chunk in LINE.as_bytes().chunks(step) {
            let each = &mut |piece: Piece<'_>| {
                excerpt.take(piece, &mut |place, _| keeps(place));
                Ok::<_, ()>(())
            };
            cutter.feed(chunk, each).unwrap();
        }
        excerpt
    }

    fn texts(conversation: &Conversation<'_>) -> Vec<String> {
        conversation.messages().map(|one| one.words().decoded().into_owned()).collect()
    }

    #[test]
    fn a_line_is_cut_into_its_messages_and_what_is_around_them_wherever_its_bytes_are_parted() {
        let whole = pieces(LINE, LINE.len(), usize::MAX);
        let messages: Vec<&str> = whole
            .iter()
            .filter(|(level, ..)| *level == Level::Message)
            .map(|(_, text, _)| &**text)
            .collect();
        assert_eq!(messages.len(), 6, "{messages:?}");
        assert_eq!(messages[0], r#"{"role":"user","content":"q1 \"}]"}"#);
        let rounds = whole.iter().filter(|(level, _, ends)| *level == Level::Round && *ends);
        assert_eq!(rounds.count(), 4);
        // Nothing but the commas of the lists is in no piece.
        let bytes: usize = whole.iter().map(|(_, text, _)| text.len()).sum();
        assert_eq!(LINE.len() - bytes, 6);
        for step in 1..40 {
            assert!(pieces(LINE, step, usize::MAX) == whole, "{step}");
        }
    }

    #[test]
    fn an_excerpt_of_everything_reads_as_the_line_but_for_what_is_behind_its_lists() {
        let conversation = read(LINE).unwrap();
        let all = excerpt(7, usize::MAX, |_| true);
        let line = std::str::from_utf8(all.line()).unwrap();
        let mut read = read(line).unwrap();
        assert_eq!((all.rounds(), all.tasks()), (&[2, 0, 2][..], &[2, 0][..]));
        read.metadata = conversation.metadata.clone();
        read.tasks[0].metadata = conversation.tasks[0].metadata.clone();
        assert_eq!(read, conversation);
        let mut written = Vec::new();
        write(&conversation, &mut written);
        assert_eq!(std::str::from_utf8(&written).unwrap(), LINE, "the line is a canonical one");
    }

    #[test]
    fn an_excerpt_has_all_rounds_and_only_the_messages_that_are_kept() {
        for step in [1, 10, LINE.len()] {
            let none = excerpt(step, usize::MAX, |_| false);
            let read_of = |excerpt: &Excerpt| {
                read(std::str::from_utf8(excerpt.line()).unwrap()).unwrap().into_owned()
            };
            let outline = read_of(&none);
            assert_eq!(outline.active_path(), [0, 2]);
            assert_eq!((texts(&outline).len(), outline.rounds[0].tools.len()), (0, 0));
            let some = excerpt(step, usize::MAX, |place| {
                place == MessagePlace { task: None, round: 2, message: 1 }
                    || place == MessagePlace { task: Some(0), round: 0, message: 1 }
            });
            let kept = read_of(&some);
            assert_eq!(texts(&kept), ["a2", "t2"]);
            assert_eq!(kept.rounds[2].messages[0].words().decoded(), "a2");
            assert_eq!((some.rounds(), some.tasks()), (none.rounds(), none.tasks()));
        }
    }

    #[test]
    fn what_is_longer_than_the_cutter_keeps_is_stood_in_for() {
        let cut = excerpt(9, 40, |_| true);
        let read = read(std::str::from_utf8(cut.line()).unwrap()).unwrap();
        assert_eq!(read.rounds.len(), 3);
        let said = texts(&read);
        assert_eq!(said.len(), 6);
        assert!(said[1].starts_with("[This message has 0 MB"), "{}", said[1]);
        assert_eq!(read.rounds[0].messages[1].role, crate::message::Role::Assistant);
        assert_eq!(said[2], "q2");
    }
}
