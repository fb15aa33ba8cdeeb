//! Cuts a stream of bytes into items: JSON Lines, one giant JSON array, or JSON values one after another.
//!
//! Nothing is parsed here beyond brackets and quotes, so that one thread feeds many that parse. What is broken
//! is cut where it can be cut and left to the parser to name.

use std::io::{self, Read};

use retort_json::{Parser, Problem};
use retort_model::bounds::{BATCH_BYTES, BATCH_ITEMS, ITEM_BYTES};

/// Some items of one source, and the bytes they are in.
#[derive(Debug, Default)]
pub struct Batch {
    /// The bytes; there may be more than the items take.
    pub bytes: Vec<u8>,
    /// Where the items stand.
    pub items: Vec<Span>,
}

/// Where an item stands.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Span {
    /// First byte in the batch.
    pub start: usize,
    /// First byte behind it in the batch.
    pub end: usize,
    /// Place among the items of the source, from 1.
    pub index: u64,
    /// Line of the source on which it begins, from 1.
    pub line: u64,
    /// First byte in the source.
    pub byte: u64,
    /// What is wrong at this place, if no item can be cut out there.
    pub fault: Option<Fault>,
}

/// Bytes without a line end in which values one behind another are looked for before more is read.
const SEVERAL_BYTES: usize = 8 * BATCH_BYTES;

/// What some systems put at the start of a text, and then files that were joined have it between items, too.
const BOM: &[u8] = b"\xef\xbb\xbf";

/// What can be wrong between items.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Fault {
    /// An item was larger than this many bytes and is not here.
    TooLarge(usize),
    /// Between the elements of an array a comma is missing, or there is one too many.
    Comma,
    /// The input ends inside an array.
    Unclosed,
}

impl Batch {
    /// The bytes of an item.
    pub fn item(&self, span: &Span) -> &[u8] {
        self.bytes.get(span.start..span.end).unwrap_or_default()
    }
}

/// How the items are in the stream.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Layout {
    /// One a line.
    Lines,
    /// Values one after another, on as many lines as they like.
    Values,
    /// Elements of arrays.
    Elements,
}

/// Cuts one stream.
pub struct Splitter<R> {
    input: R,
    /// Bytes of the largest item.
    most: usize,
    /// Bytes read and not yet given away are those from `head` to `filled`; behind them is room.
    buffer: Vec<u8>,
    head: usize,
    filled: usize,
    ended: bool,
    /// Why nothing more can be read, until the items before are given away.
    failed: Option<io::Error>,
    layout: Option<Layout>,
    /// Where between the elements of an array the walk stands; `None` outside of arrays.
    between: Option<Between>,
    /// Bytes of the source before the buffer.
    offset: u64,
    /// Line of the buffer's first byte.
    line: u64,
    index: u64,
    /// Bytes of an item past the bound that were thrown away so far.
    dropping: Option<Span>,
    progress: Scan,
}

/// Places between the elements of an array.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Between {
    /// Behind the opening bracket.
    Opened,
    /// Behind an element.
    Element,
    /// Behind a comma.
    Comma,
}

/// How far the value that begins the rest of the buffer has been walked over.
#[derive(Clone, Copy, Debug, Default)]
struct Scan {
    at: usize,
    depth: usize,
    in_string: bool,
}

enum Walk {
    /// The value ends before this byte.
    Ends(usize),
    /// More bytes are needed.
    More,
}

impl<R: Read> Splitter<R> {
    /// Cuts the items of `input`, of up to [`ITEM_BYTES`] each.
    pub fn new(input: R) -> Self {
        Self::bounded(input, ITEM_BYTES)
    }

    /// Cuts the items of `input`, of up to `most` bytes each. An item that is larger is a [`Fault::TooLarge`].
    pub fn bounded(input: R, most: usize) -> Self {
        Self {
            input,
            most: most.min(ITEM_BYTES),
            buffer: Vec::new(),
            head: 0,
            filled: 0,
            ended: false,
            failed: None,
            layout: None,
            between: None,
            offset: 0,
            line: 1,
            index: 0,
            dropping: None,
            progress: Scan::default(),
        }
    }

    /// Where the next item would begin: its place among the items, its line and its byte.
    pub fn position(&self) -> (u64, u64, u64) {
        (self.index + 1, self.line, self.offset)
    }

    /// The next items, in the memory of `spent`; `None` at the end of the stream. A batch may hold no items.
    ///
    /// # Errors
    /// Those of the input, once all whole items before are given.
    pub fn next(&mut self, spent: Batch) -> io::Result<Option<Batch>> {
        let Batch { bytes, mut items } = spent;
        items.clear();
        let mut wanted = BATCH_BYTES;
        loop {
            self.fill(wanted);
            if self.layout.is_none() && !self.begin() {
                if let Some(error) = self.failed.take() {
                    return Err(error);
                }
                // The first line is needed whole.
                wanted = (self.held() * 2).min(self.room());
                continue;
            }
            if self.held() == 0 && self.ended {
                return Ok(None);
            }
            let taken = match self.layout.unwrap_or(Layout::Lines) {
                Layout::Lines => self.cut_lines(&mut items),
                Layout::Values | Layout::Elements => self.cut_values(&mut items),
            };
            if taken > 0 {
                return Ok(Some(self.give(taken, bytes, items)));
            }
            if let Some(error) = self.failed.take() {
                return Err(error);
            }
            if self.held() >= self.room() {
                self.drop_head();
            }
            wanted = (self.held() + BATCH_BYTES.max(self.held() / 2)).min(self.room());
        }
    }

    /// Bytes that are held while an item is sought: the largest one, and one more, which tells whether it ended.
    fn room(&self) -> usize {
        self.most + 1
    }

    /// Gives away the first `taken` bytes.
    fn give(&mut self, taken: usize, mut bytes: Vec<u8>, mut items: Vec<Span>) -> Batch {
        // The larger part stays where it is, the smaller is copied: many small items may follow a large one.
        let (given, rest) = self.read().split_at(taken.min(self.held()));
        let gives_buffer = rest.len() <= given.len();
        let smaller = if gives_buffer { rest } else { given };
        let copied = smaller.len();
        match bytes.get_mut(..copied) {
            Some(room) => room.copy_from_slice(smaller),
            None => bytes = smaller.to_vec(),
        }
        if gives_buffer {
            for span in &mut items {
                (span.start, span.end) = (span.start + self.head, span.end + self.head);
            }
            std::mem::swap(&mut bytes, &mut self.buffer);
            (self.head, self.filled) = (0, copied);
        } else {
            self.head += taken;
        }
        self.offset += taken as u64;
        self.progress.at = self.progress.at.saturating_sub(taken);
        Batch { bytes, items }
    }

    fn fill(&mut self, wanted: usize) {
        if self.held() >= wanted || self.ended || self.failed.is_some() {
            return;
        }
        if self.head > 0 {
            self.buffer.copy_within(self.head..self.filled, 0);
            (self.head, self.filled) = (0, self.held());
        }
        if self.buffer.len() < wanted {
            self.buffer.resize(wanted, 0);
        }
        while self.filled < wanted && !self.ended && self.failed.is_none() {
            let room = self.buffer.get_mut(self.filled..wanted).unwrap_or_default();
            match self.input.read(room) {
                Ok(0) => self.ended = true,
                Ok(length) => self.filled += length,
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                Err(error) => self.failed = Some(error),
            }
        }
    }

    /// How many bytes are read and not yet given away.
    fn held(&self) -> usize {
        self.filled - self.head
    }

    /// The bytes read and not yet given away.
    fn read(&self) -> &[u8] {
        self.buffer.get(self.head..self.filled).unwrap_or_default()
    }

    /// Looks at the first bytes for the layout, and steps over a byte order mark; false if more are needed.
    fn begin(&mut self) -> bool {
        if self.read().starts_with(BOM) {
            self.head += BOM.len();
            self.offset += 3;
        }
        let may_grow = !self.ended && self.failed.is_none() && self.held() < self.room();
        self.layout = layout_of(self.read(), may_grow);
        self.layout.is_some()
    }

    fn span(&mut self, start: usize, end: usize, line: u64) -> Span {
        self.index += 1;
        let fault = (end - start > self.most).then_some(Fault::TooLarge(self.most));
        let end = if fault.is_some() { start } else { end };
        Span { start, end, index: self.index, line, byte: self.offset + start as u64, fault }
    }

    /// Cuts at line ends; returns how many bytes are done with.
    fn cut_lines(&mut self, items: &mut Vec<Span>) -> usize {
        let mut start = 0;
        while items.len() < BATCH_ITEMS && start < self.held() {
            let rest = self.read().get(start..).unwrap_or_default();
            let (end, next) = match memchr::memchr(b'\n', rest) {
                Some(at) => (start + at, start + at + 1),
                None if self.ended => (self.held(), self.held()),
                None => break,
            };
            if let Some(dropped) = self.dropping.take() {
                items.push(Span { start: next, end: next, ..dropped });
            } else {
                let line = self.read().get(start..end).unwrap_or_default();
                let mark = if line.starts_with(BOM) { BOM.len() } else { 0 };
                // Logs that are given their room beforehand end on zeros.
                let is_blank = |byte: &u8| byte.is_ascii_whitespace() || *byte == 0;
                if !line.iter().skip(mark).all(is_blank) {
                    let span = self.span(start + mark, end, self.line);
                    items.push(span);
                }
            }
            self.line += 1;
            start = next;
        }
        start
    }

    /// Throws away what is there of an item past the bound and remembers where it began.
    fn drop_head(&mut self) {
        if self.dropping.is_none() {
            let line = self.line;
            let span = self.span(0, 0, line);
            self.dropping = Some(Span { fault: Some(Fault::TooLarge(self.most)), ..span });
        }
        self.line += memchr::memchr_iter(b'\n', self.read()).count() as u64;
        self.offset += self.held() as u64;
        self.progress.at = self.progress.at.saturating_sub(self.held());
        (self.head, self.filled) = (0, 0);
    }

    /// Cuts at the ends of values; returns how many bytes are done with.
    fn cut_values(&mut self, items: &mut Vec<Span>) -> usize {
        let mut done = 0;
        while items.len() < BATCH_ITEMS {
            if self.dropping.is_none()
                && self.progress.at <= done
                && !self.step_to_next_value(&mut done, items)
            {
                break;
            }
            match self.walk(done) {
                Walk::Ends(end) => {
                    let line = self.line;
                    match self.dropping.take() {
                        Some(dropped) => items.push(Span { start: end, end, ..dropped }),
                        None => {
                            let span = self.span(done, end, line);
                            items.push(span);
                        }
                    }
                    self.line +=
                        memchr::memchr_iter(b'\n', self.read().get(done..end).unwrap_or_default())
                            .count() as u64;
                    done = end;
                    self.progress = Scan::default();
                }
                Walk::More => break,
            }
        }
        done
    }

    /// Steps over what stands between values; false if the buffer ends before the next. What is wrong between the
    /// elements of an array becomes an item of its own.
    fn step_to_next_value(&mut self, done: &mut usize, items: &mut Vec<Span>) -> bool {
        while let Some(&byte) = self.read().get(*done) {
            match (byte, self.between) {
                (b'\n', _) => self.line += 1,
                (b' ' | b'\t' | b'\r', _) => {}
                (0xef, _) if self.read().get(*done..).unwrap_or_default().starts_with(BOM) => {
                    *done += BOM.len();
                    continue;
                }
                (b',', Some(between)) => {
                    if between != Between::Element {
                        items.push(self.fault(*done, Fault::Comma));
                    }
                    self.between = Some(Between::Comma);
                }
                (b']', Some(between)) => {
                    if between == Between::Comma {
                        items.push(self.fault(*done, Fault::Comma));
                    }
                    self.between = None;
                }
                (b'[', None) if self.layout == Some(Layout::Elements) => {
                    self.between = Some(Between::Opened);
                }
                (_, between) => {
                    if between == Some(Between::Element) {
                        items.push(self.fault(*done, Fault::Comma));
                    }
                    self.between = between.map(|_| Between::Element);
                    self.progress = Scan { at: *done, depth: 0, in_string: false };
                    return true;
                }
            }
            *done += 1;
        }
        if self.ended && self.between.take().is_some() {
            items.push(self.fault(*done, Fault::Unclosed));
        }
        false
    }

    fn fault(&mut self, at: usize, fault: Fault) -> Span {
        let line = self.line;
        Span { fault: Some(fault), ..self.span(at, at, line) }
    }

    /// Walks on over the value that begins at `start`.
    fn walk(&mut self, start: usize) -> Walk {
        let bytes = self.read();
        let Scan { mut at, mut depth, mut in_string } = self.progress;
        at = at.max(start);
        let first =
            if self.dropping.is_some() { b'{' } else { bytes.get(start).copied().unwrap_or(b' ') };
        let nested = matches!(first, b'{' | b'[' | b'"') || depth > 0 || in_string;
        loop {
            if in_string {
                match memchr::memchr2(b'"', b'\\', bytes.get(at..).unwrap_or_default()) {
                    Some(step) if bytes.get(at + step) == Some(&b'"') => {
                        at += step + 1;
                        in_string = false;
                        if depth == 0 {
                            return Walk::Ends(at);
                        }
                    }
                    Some(step) if at + step + 1 < bytes.len() => at += step + 2,
                    Some(step) => {
                        at += step;
                        break;
                    }
                    None => {
                        at = bytes.len();
                        break;
                    }
                }
                continue;
            }
            let Some(&byte) = bytes.get(at) else { break };
            match byte {
                b'"' => in_string = true,
                b'{' | b'[' => depth += 1,
                b'}' | b']' if depth > 1 => depth -= 1,
                b'}' | b']' if depth == 1 => return Walk::Ends(at + 1),
                // Not a value that nests: it runs to the next thing that can end it.
                b'\n' | b',' | b']'
                    if !nested && at > start && (byte != b',' || self.between.is_some()) =>
                {
                    return Walk::Ends(at);
                }
                _ => {}
            }
            at += 1;
        }
        if self.ended {
            return Walk::Ends(bytes.len());
        }
        self.progress = Scan { at, depth, in_string };
        Walk::More
    }
}

/// The layout of a stream that begins with these bytes; `None` if more are needed to know, and more may come.
fn layout_of(bytes: &[u8], may_grow: bool) -> Option<Layout> {
    let valid = match std::str::from_utf8(bytes) {
        Ok(text) => text,
        Err(error) => std::str::from_utf8(&bytes[..error.valid_up_to()]).unwrap_or(""),
    };
    let text = valid.trim_ascii_start();
    if text.starts_with('[') && !begins_a_list_of_messages(text) {
        return Some(Layout::Elements);
    }
    let has_line_end = text.contains('\n');
    if may_grow && !has_line_end && valid.len() == bytes.len() {
        // A long first value is not walked over at each growth.
        let is_short = text.len() <= SEVERAL_BYTES;
        return (is_short && begins_with_several(text)).then_some(Layout::Values);
    }
    let line = text.split('\n').next().unwrap_or(text);
    let mut parser = Parser::lenient(line);
    match parser.skip().and_then(|()| parser.end()) {
        Ok(()) => Some(Layout::Lines),
        // The first value goes on behind the first line.
        Err(error) if error.problem == Problem::Ended => Some(Layout::Values),
        Err(_) if !has_line_end && begins_with_several(text) => Some(Layout::Values),
        Err(_) => Some(Layout::Lines),
    }
}

/// Whether one object or array stands directly behind another, as streams of messages are stored.
fn begins_with_several(text: &str) -> bool {
    let mut parser = Parser::lenient(text);
    parser.skip().is_ok()
        && text.get(parser.at()..).is_some_and(|rest| rest.trim_start().starts_with(['{', '[']))
}

/// Whether the array that the text begins with is one conversation's messages and not a list of conversations.
fn begins_a_list_of_messages(text: &str) -> bool {
    first_object_says(Parser::lenient(text), |key, parser| match key {
        "messages" | "conversations" | "rounds" | "convo" | "traj" | "mapping" => Some(false),
        // LangChain's serialized messages, and the parts of Pydantic AI's.
        "role" | "from" | "lc" => Some(true),
        "parts" if begins_with_key(parser, "part_kind") => Some(true),
        _ => None,
    })
}

/// Whether the list that comes next begins with an object that has the key, as far as it is there.
fn begins_with_key(parser: &Parser<'_>, name: &str) -> bool {
    first_object_says(parser.clone(), |key, _| (key == name).then_some(true))
}

/// Asks `decide` about the keys of the first object in a list until it has an answer; without one, it is no.
fn first_object_says(
    mut parser: Parser<'_>,
    decide: impl Fn(&str, &Parser<'_>) -> Option<bool>,
) -> bool {
    let mut look = || {
        parser.array()?;
        if !parser.next_element()? {
            return Ok(false);
        }
        parser.object()?;
        while let Some(key) = parser.next_key()? {
            if let Some(answer) = decide(&key, &parser) {
                return Ok(answer);
            }
            parser.skip()?;
        }
        Ok::<bool, retort_json::JsonError>(false)
    };
    look().unwrap_or(false)
}

#[cfg(test)]
mod tests {
    use retort_testing::Dribble;

    use super::*;

    fn items(bytes: &[u8]) -> Vec<(String, u64, u64)> {
        let mut splitter = Splitter::new(Dribble(bytes, 7));
        let mut found = Vec::new();
        while let Some(batch) = splitter.next(Batch::default()).unwrap() {
            for span in &batch.items {
                let text = String::from_utf8_lossy(batch.item(span)).trim().to_owned();
                assert!(bytes[usize::try_from(span.byte).unwrap()..].starts_with(batch.item(span)));
                found.push((text, span.line, span.index));
            }
        }
        found
    }

    fn check(bytes: &str, expect: &[(&str, u64)]) {
        let found = items(bytes.as_bytes());
        let found: Vec<_> = found.iter().map(|(text, line, _)| (text.as_str(), *line)).collect();
        assert_eq!(found, expect, "{bytes}");
    }

    #[test]
    fn lines_are_items_and_blank_lines_are_none() {
        check(
            "{\"a\":1}\n\n{\"b\":2}\r\n  \n{bad\n{\"c\":3}",
            &[("{\"a\":1}", 1), ("{\"b\":2}", 3), ("{bad", 5), ("{\"c\":3}", 6)],
        );
        check("\u{feff}{\"a\":1}\n", &[("{\"a\":1}", 1)]);
        check("", &[]);
        check("\n \n", &[]);
        check("{\"a\":1}\n\0\0\0", &[("{\"a\":1}", 1)]);
    }

    #[test]
    fn objects_one_behind_another_are_items() {
        // Report concatenated-objects.
        check(
            "{\"a\":1}{\"b\":2} {\"c\":\"}{\"}",
            &[("{\"a\":1}", 1), ("{\"b\":2}", 1), ("{\"c\":\"}{\"}", 1)],
        );
        check(
            "[{\"role\":\"x\"}][{\"role\":\"y\"}]",
            &[("[{\"role\":\"x\"}]", 1), ("[{\"role\":\"y\"}]", 1)],
        );
        // Where lines end, each is cut by itself, so that a broken one stays one.
        check("{\"a\":1}{\"b\":2}\n{\"c\":", &[("{\"a\":1}{\"b\":2}", 1), ("{\"c\":", 2)]);
    }

    #[test]
    fn byte_order_marks_between_items_are_stepped_over() {
        // Report bom-in-the-middle.
        check("{\"a\":1}\n\u{feff}{\"b\":2}\n\u{feff}\n", &[("{\"a\":1}", 1), ("{\"b\":2}", 2)]);
        check("{\n}\n\u{feff}{\"b\":\n2}", &[("{\n}", 1), ("{\"b\":\n2}", 3)]);
    }

    #[test]
    fn what_stands_before_a_failure_is_given_first() {
        struct Breaks<'a>(&'a [u8]);
        impl Read for Breaks<'_> {
            fn read(&mut self, into: &mut [u8]) -> io::Result<usize> {
                match self.0.read(into)? {
                    0 => Err(io::Error::new(io::ErrorKind::InvalidData, "damaged")),
                    length => Ok(length),
                }
            }
        }
        for (bytes, expect) in [
            ("{\"a\":1}\n{\"b\":2}\n{\"c\"", 2),
            ("[{\"a\":1},{\"b\":2},{\"c\":", 2),
            ("{\n\"a\":1}\n{\n", 1),
            ("{\"a\":1}", 0),
            ("", 0),
        ] {
            let mut splitter = Splitter::new(Breaks(bytes.as_bytes()));
            let mut found = 0;
            let error = loop {
                match splitter.next(Batch::default()) {
                    Ok(batch) => found += batch.unwrap().items.len(),
                    Err(error) => break error,
                }
            };
            assert_eq!((found, error.to_string().as_str()), (expect, "damaged"), "{bytes}");
        }
    }

    #[test]
    fn elements_of_an_array_are_items() {
        check(
            "[{\"a\":\"]}\\\"\"},\n {\"b\":[1,{}]} ]\n",
            &[("{\"a\":\"]}\\\"\"}", 1), ("{\"b\":[1,{}]}", 2)],
        );
        check("[]", &[]);
        check("[1, \"x,]\", null]", &[("1", 1), ("\"x,]\"", 1), ("null", 1)]);
        check("[{\"a\":1}]\n[{\"b\":1}]", &[("{\"a\":1}", 1), ("{\"b\":1}", 2)]);
    }

    #[test]
    fn a_list_of_messages_is_one_item() {
        check(
            "[\n {\"role\":\"user\"},\n {\"role\":\"x\"}]",
            &[("[\n {\"role\":\"user\"},\n {\"role\":\"x\"}]", 1)],
        );
        check(
            "[{\"role\":\"user\"}]\n[{\"role\":\"user\"}]",
            &[("[{\"role\":\"user\"}]", 1), ("[{\"role\":\"user\"}]", 2)],
        );
        check(
            "[[{\"role\":\"user\"}],[{\"role\":\"user\"}]]",
            &[("[{\"role\":\"user\"}]", 1), ("[{\"role\":\"user\"}]", 1)],
        );
    }

    #[test]
    fn values_may_spread_over_lines() {
        check(
            "{\n \"a\": 1\n}\n{\n \"b\": 2\n}",
            &[("{\n \"a\": 1\n}", 1), ("{\n \"b\": 2\n}", 4)],
        );
    }

    #[test]
    fn commas_that_are_missing_or_too_many_are_items() {
        check("[1,,2]", &[("1", 1), ("", 1), ("2", 1)]);
        check("[1 \n {}]", &[("1", 1), ("", 2), ("{}", 2)]);
        check("[{},]", &[("{}", 1), ("", 1)]);
        check("[,{}]", &[("", 1), ("{}", 1)]);
    }

    #[test]
    fn what_is_cut_off_is_an_item_too() {
        check("[{\"a\":1},{\"b\":", &[("{\"a\":1}", 1), ("{\"b\":", 1), ("", 1)]);
        check("[{\"a\":1}", &[("{\"a\":1}", 1), ("", 1)]);
        check("[{\"a\":1},\n", &[("{\"a\":1}", 1), ("", 2)]);
        check("{\"a\":\"x", &[("{\"a\":\"x", 1)]);
    }

    #[test]
    fn brackets_that_close_nothing_are_items_and_do_not_hold_the_walk() {
        check("[1]]\n]", &[("1", 1), ("]", 1), ("]", 2)]);
        check("{\n}]]\n,}", &[("{\n}", 1), ("]", 2), ("]", 2), (",}", 3)]);
    }

    /// An item of `length` bytes and a small one behind it, as lines or as elements of an array.
    fn large_and_small(length: usize, most: usize, array: bool) -> Vec<(usize, Option<Fault>)> {
        let (open, close) = if array { ("[", "]") } else { ("", "") };
        let between = if array { "," } else { "\n" };
        let head = format!("{open}{{\"a\":\"");
        let tail = format!("\"}}{between}{{\"b\":1}}{close}");
        let text = io::repeat(b'x').take((length - "{\"a\":\"\"}".len()) as u64);
        let input = head.as_bytes().chain(text).chain(tail.as_bytes());
        let mut splitter = Splitter::bounded(input, most);
        let mut found = Vec::new();
        while let Some(batch) = splitter.next(Batch::default()).unwrap() {
            found.extend(batch.items.iter().map(|span| (span.end - span.start, span.fault)));
        }
        found
    }

    #[test]
    fn the_bound_of_an_item_is_held_to_the_byte() {
        for (array, most) in [(false, 1000), (true, 1000), (false, ITEM_BYTES), (true, ITEM_BYTES)]
        {
            let largest = large_and_small(most, most, array);
            assert_eq!(largest, [(most, None), (7, None)], "in an array: {array}");
            let larger = large_and_small(most + 1, most, array);
            assert_eq!(
                larger,
                [(0, Some(Fault::TooLarge(most))), (7, None)],
                "in an array: {array}"
            );
        }
    }

    #[test]
    fn small_items_behind_a_large_one_are_not_moved_for_each_batch() {
        let (large, small) = ("x".repeat(12 << 20), "1,".repeat(3 << 20));
        let text = format!("[\"{large}\",{small}1]");
        let mut splitter = Splitter::new(text.as_bytes());
        let mut sizes = Vec::new();
        while let Some(batch) = splitter.next(Batch::default()).unwrap() {
            sizes.push(batch.bytes.len());
        }
        // The batch with the large item has the buffer.
        let largest = sizes.iter().copied().max().unwrap();
        assert!(largest > large.len() && sizes.len() > 700, "{largest} {}", sizes.len());
        let moved = sizes.iter().sum::<usize>() - largest;
        assert!(moved < 40 * small.len(), "{moved} bytes for {}", small.len());
    }

    #[test]
    fn large_items_are_walked_over_once() {
        let giant = format!("[{{\"a\":\"{}\"}},{{\"b\":1}}]", "x\\\"".repeat(700_000));
        let found = items(giant.as_bytes());
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].0.len(), 2_100_008);
        assert_eq!(found[1].0, "{\"b\":1}");
    }
}
