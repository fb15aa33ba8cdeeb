//! `--dedup`: which items say the same as others, and which one of them is kept.
//!
//! What counts is what users and assistants say and which tools are called with what: system messages, tool definitions
//! and tool results are the same in many conversations of one agent, so they do not make two of them alike. Case and
//! white space do not count. Only items that make a record are compared: what is left out for another reason must not take
//! the place of an item that can be written.
//!
//! Near duplicates are found in three steps. (1) Of each item, the set of its shingles (five words in a row) goes to a
//! temporary file, and its MinHash signature, cut into bands, is kept (Broder 1997; Leskovec, Rajaraman and Ullman,
//! *Mining of Massive Datasets*, chapter 3). (2) From the largest item to the smallest, each is compared with those
//! kept before that share a band. (3) It is only left out if the sets themselves, not the signatures, are at least 0.9
//! similar (Jaccard), or if the kept one begins with all of its turns. As only kept items are compared with, similarity
//! is never passed on from one removed item to the next.

use std::collections::{HashMap, HashSet};
use std::fs::File;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};
use std::io::{self, BufWriter, Read, Seek, SeekFrom, Write};
use std::sync::atomic::{AtomicBool, Ordering};

use retort_model::bounds::{NEAR_DUPLICATES_ITEMS, WORDS_COMPARED};
use retort_model::{Item, LeftOut, Message, Reason, Role, named};

use crate::error::Error;
use crate::kept_rows::{Decided, keep_rows, kept_rows};
use crate::seen::SharedHasher;
use crate::sorter::{Sorted, Sorter, read_row, write_row};
use crate::storage::Storage;

/// Which duplicates are left out.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Dedup {
    /// None.
    #[default]
    None,
    /// Those that say the same.
    Exact,
    /// Also those that say almost the same.
    Near,
}

named!(Dedup, "kind of duplicates", None = "none", Exact = "exact", Near = "near");

impl Dedup {
    /// What it does, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::None => "keep all duplicates",
            Self::Exact => {
                "keep only the first of the items that are the same except for case and white space"
            }
            Self::Near => {
                "also leave out items that are at least 90 % similar to an item that is kept, or that are its beginning"
            }
        }
    }
}

/// Words in a row that are compared as one.
const SHINGLE_WORDS: usize = 5;
/// A pair of sets with this similarity always shares a band, but for one pair in four million.
pub(crate) const SIMILAR_PERCENT: u64 = 90;
pub(crate) const BANDS: usize = 20;
const BAND_ROWS: usize = 6;
const HASHES: usize = BANDS * BAND_ROWS;

/// What an item says, as hashes.
pub struct Fingerprint {
    /// Of all that it says.
    exact: [u8; 16],
    near: Option<NearPrint>,
}

struct NearPrint {
    /// Of each beginning of its turns, the last one being all of them.
    beginnings: Vec<u64>,
    /// Sorted, each once.
    shingles: Vec<u64>,
    bands: [u32; BANDS],
}

impl Fingerprint {
    /// That of an item; none if it says nothing.
    pub fn of(item: &Item<'_>, dedup: Dedup) -> Option<Self> {
        if dedup == Dedup::None {
            return None;
        }
        let mut said = Said { is_near: dedup == Dedup::Near, ..Said::default() };
        match item {
            Item::Conversation(conversation) => {
                conversation.messages().for_each(|message| said.message(message));
            }
            Item::Run(run) => {
                let texts = [&run.question, &run.answer];
                for (mark, text) in ["question", "answer"].into_iter().zip(texts) {
                    text.iter().for_each(|text| said.turn(mark, &text.decoded()));
                }
                run.inputs.iter().for_each(|inputs| said.turn("inputs", inputs.as_str()));
                for node in &run.nodes {
                    said.turn("node", &node.node.decoded());
                    let json = [&node.variables, &node.input, &node.output];
                    json.into_iter().flatten().for_each(|json| said.turn("json", json.as_str()));
                }
            }
            Item::Document(document) => {
                document.chunks.iter().for_each(|chunk| said.turn("chunk", &chunk.text.decoded()));
            }
        }
        said.finish()
    }
}

impl Fingerprint {
    /// A hash of all that the item says.
    pub(crate) fn exact(&self) -> &[u8; 16] {
        &self.exact
    }

    /// The set of its shingles, their bands, and hashes of its beginnings, if it can be compared.
    pub(crate) fn near(&self) -> Option<(&[u64], &[u32; BANDS], &[u64])> {
        let near = self.near.as_ref()?;
        Some((&near.shingles, &near.bands, &near.beginnings))
    }
}

/// Gathers what an item says.
#[derive(Default)]
struct Said {
    exact: SharedHasher,
    words: Vec<u64>,
    beginnings: Vec<u64>,
    running: DefaultHasher,
    is_near: bool,
    has_text: bool,
}

impl Said {
    fn message(&mut self, message: &Message<'_>) {
        if !matches!(message.role, Role::User | Role::Assistant) {
            return;
        }
        self.begin_turn(message.role.as_str());
        self.text(&message.words().decoded());
        for part in message.attachments() {
            part.raw.iter().for_each(|raw| self.text(raw.as_str()));
        }
        for call in &message.tool_calls {
            self.text(&call.name.decoded());
            self.text(&call.arguments.decoded());
        }
        self.end_turn();
    }

    fn turn(&mut self, mark: &str, text: &str) {
        self.begin_turn(mark);
        self.text(text);
        self.end_turn();
    }

    fn begin_turn(&mut self, mark: &str) {
        // No word has a line end, so a mark is none.
        self.word(&format!("\n{mark}"));
    }

    fn text(&mut self, text: &str) {
        for word in text.split_whitespace() {
            let word = word.to_lowercase();
            self.has_text = true;
            let mut rest = &*word;
            // In scripts without spaces, each character is a word.
            while let Some(at) = rest.find(is_word_alone) {
                let (before, from) = rest.split_at(at);
                let length = from.chars().next().map_or(0, char::len_utf8);
                let (character, behind) = from.split_at(length);
                [before, character].into_iter().filter(|word| !word.is_empty()).for_each(|word| {
                    self.word(word);
                });
                rest = behind;
            }
            if !rest.is_empty() {
                self.word(rest);
            }
        }
    }

    fn word(&mut self, word: &str) {
        word.hash(&mut self.exact);
        if self.is_near {
            let mut hasher = DefaultHasher::new();
            word.hash(&mut hasher);
            let hash = hasher.finish();
            hash.hash(&mut self.running);
            if self.words.len() <= WORDS_COMPARED {
                self.words.push(hash);
            }
        }
    }

    fn end_turn(&mut self) {
        if self.is_near {
            self.beginnings.push(self.running.finish());
        }
    }

    fn finish(self) -> Option<Fingerprint> {
        if !self.has_text {
            return None;
        }
        // What is longer is compared as a whole alone.
        let near = (self.is_near && self.words.len() <= WORDS_COMPARED).then(|| {
            let shingles = shingles(&self.words);
            let bands = bands(&shingles);
            NearPrint { beginnings: self.beginnings, shingles, bands }
        });
        Some(Fingerprint { exact: self.exact.digest(), near })
    }
}

/// Whether a character is a word of its own: Chinese, Japanese, Thai and the like.
pub fn is_word_alone(character: char) -> bool {
    matches!(character,
        '\u{e00}'..='\u{eff}' | '\u{2e80}'..='\u{9fff}' | '\u{f900}'..='\u{faff}' | '\u{20000}'..='\u{3ffff}')
}

fn shingles(words: &[u64]) -> Vec<u64> {
    let size = SHINGLE_WORDS.min(words.len()).max(1);
    let hash = |words: &[u64]| words.iter().fold(0, |hash, word| mixed(hash ^ word));
    let mut shingles: Vec<u64> = words.windows(size).map(hash).collect();
    shingles.sort_unstable();
    shingles.dedup();
    shingles
}

/// Spreads the bits of a number (the finalizer of SplitMix64).
fn mixed(number: u64) -> u64 {
    let number = number.wrapping_add(0x9e37_79b9_7f4a_7c15);
    let number = (number ^ (number >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
    let number = (number ^ (number >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
    number ^ (number >> 31)
}

/// The bands of the MinHash signature of a set.
fn bands(shingles: &[u64]) -> [u32; BANDS] {
    let mut signature = [u32::MAX; HASHES];
    for shingle in shingles {
        let (mut hash, step) = (*shingle, mixed(*shingle) | 1);
        for least in &mut signature {
            hash = hash.wrapping_add(step);
            // Two numbers of a set are seldom in the same order for two of these hashes.
            let one = (hash ^ (hash >> 29)).wrapping_mul(0xbf58_476d_1ce4_e5b9) >> 32;
            *least = (*least).min(one as u32);
        }
    }
    let mut bands = [0; BANDS];
    for (band, rows) in bands.iter_mut().zip(signature.chunks(BAND_ROWS)) {
        let hash = rows.iter().fold(0, |hash, row| mixed(hash ^ u64::from(*row)));
        *band = (hash >> 32) as u32;
    }
    bands
}

/// Gathers the fingerprints of all items, in their order.
pub struct Fingerprints {
    /// A row an item: its place, hash and id, and for near duplicates what there is to compare.
    rows: Sorter,
    /// The sets of shingles.
    sets: BufWriter<File>,
    numbers: u64,
    items: u64,
    /// Everything that an item says, as one hash.
    wholes: HashSet<u64, Fixed>,
    /// Whether near duplicates are looked for.
    is_near: bool,
}

impl Fingerprints {
    pub fn new(dedup: Dedup) -> io::Result<Self> {
        let (rows, sets) = (Sorter::new(), BufWriter::new(tempfile::tempfile()?));
        let is_near = dedup == Dedup::Near;
        Ok(Self { rows, sets, numbers: 0, items: 0, wholes: HashSet::default(), is_near })
    }

    /// Adds the fingerprint of the item at a place in the order of all.
    pub fn add(&mut self, order: u64, id: &str, fingerprint: &Fingerprint) -> Result<(), Error> {
        let mut row = order.to_be_bytes().to_vec();
        row.extend_from_slice(&fingerprint.exact);
        let mut written = write_row(id.as_bytes(), &mut row);
        if let Some(near) = fingerprint.near.as_ref().filter(|_| self.is_near) {
            self.items += 1;
            if self.items > NEAR_DUPLICATES_ITEMS {
                return Err(Error::Choice(format!(
                    "`--dedup near` compares at most {NEAR_DUPLICATES_ITEMS} items; select fewer, or use `--dedup exact`"
                )));
            }
            self.wholes.extend(near.beginnings.last());
            let count = near.shingles.len() as u64;
            for number in [self.numbers, count].iter().chain(&near.beginnings) {
                row.extend_from_slice(&number.to_be_bytes());
            }
            near.bands.iter().for_each(|band| row.extend_from_slice(&band.to_be_bytes()));
            for shingle in &near.shingles {
                written = written.and_then(|()| self.sets.write_all(&shingle.to_be_bytes()));
            }
            self.numbers += count;
        }
        written.and_then(|()| self.rows.push(&row)).map_err(failed)
    }

    /// Finds the duplicates. `number` says, in the order of the items, with which number an item is written among those
    /// that have its id; none if it is not. What comes back are rows for [`Duplicates`], in the order of the items.
    pub fn decide(
        self,
        mut number: impl FnMut(u64) -> io::Result<Option<u64>>,
        stopped: &AtomicBool,
    ) -> Result<Sorted, Error> {
        let mut by_hash = Sorter::new();
        for row in self.rows.sorted().map_err(failed)? {
            let row = row.map_err(failed)?;
            let Some((order, rest)) = row.split_first_chunk::<8>() else { continue };
            let Some((exact, rest)) = rest.split_first_chunk::<16>() else { continue };
            let mut row = [&exact[..], order].concat();
            match number(u64::from_be_bytes(*order)).map_err(failed)? {
                None => continue,
                Some(1) => row.extend_from_slice(rest),
                Some(number) => {
                    let (id, near) = split_id(rest).map_err(failed)?;
                    let id = [&id, format!("#{number}").as_bytes()].concat();
                    write_row(&id, &mut row).map_err(failed)?;
                    row.extend_from_slice(near);
                }
            }
            by_hash.push(&row).map_err(failed)?;
        }
        let mut verdicts = Sorter::new();
        let mut largest_first = Sorter::new();
        let mut first: Option<First> = None;
        for row in by_hash.sorted().map_err(failed)? {
            let row = row.map_err(failed)?;
            let Some((exact, rest)) = row.split_first_chunk::<16>() else { continue };
            let Some((order, rest)) = rest.split_first_chunk::<8>() else { continue };
            let (id, near) = split_id(rest).map_err(failed)?;
            let before = first.take().filter(|first| first.exact == *exact);
            let first = first.insert(match before {
                Some(before) => before,
                None => First { exact: *exact, order: *order, id, size: size_of_row(near) },
            });
            match first.size {
                // Those that say the same follow the first, wherever that is.
                Some(size) => {
                    let row = [&(!size).to_be_bytes()[..], &first.order, order, rest].concat();
                    largest_first.push(&row).map_err(failed)?;
                }
                None if first.order == *order => {}
                None => {
                    let verdict = [&order[..], &[SAME], &first.id].concat();
                    verdicts.push(&verdict).map_err(failed)?;
                }
            }
        }
        let file =
            self.sets.into_inner().map_err(io::IntoInnerError::into_error).map_err(failed)?;
        let rows = largest_first.sorted().map_err(failed)?;
        Kept::new(file, self.wholes).decide(rows, &mut verdicts, stopped)?;
        verdicts.sorted().map_err(failed)
    }
}

fn failed(source: io::Error) -> Error {
    Error::Failed { what: "the search for duplicates", source }
}

/// The first of the items that say the same.
struct First {
    exact: [u8; 16],
    order: [u8; 8],
    id: Box<[u8]>,
    /// Of its set, if there is one to compare.
    size: Option<u64>,
}

fn size_of_row(near: &[u8]) -> Option<u64> {
    Compared::of(near).map(|compared| compared.set.count)
}

/// The id at the beginning of a row, and what is behind it.
fn split_id(row: &[u8]) -> io::Result<(Box<[u8]>, &[u8])> {
    let mut rest = row;
    let id = read_row(&mut rest)?.unwrap_or_default();
    Ok((id, rest))
}

const SAME: u8 = 0;
const BEGINNING: u8 = 1;
/// Behind it stands how similar it is, in percent.
const SIMILAR: u8 = 2;

/// The items that are kept, to compare others with.
struct Kept {
    sets: File,
    items: Vec<KeptItem>,
    /// Of each band, the last kept item in each of its buckets.
    buckets: Vec<HashMap<u32, u32, Fixed>>,
    /// The kept item that begins in this way.
    beginnings: HashMap<u64, u32, Fixed>,
    /// Everything that an item says: only such beginnings are asked for.
    wholes: HashSet<u64, Fixed>,
}

type Fixed = BuildHasherDefault<DefaultHasher>;

struct KeptItem {
    id: Box<[u8]>,
    set: Set,
    /// In each band, the kept item before it in its bucket.
    before: [Option<u32>; BANDS],
}

/// Where the set of an item is, and how large it is.
#[derive(Clone, Copy)]
struct Set {
    at: u64,
    count: u64,
}

/// What there is to compare of an item.
struct Compared {
    set: Set,
    beginnings: Vec<u64>,
    bands: [u32; BANDS],
}

impl Compared {
    fn of(near: &[u8]) -> Option<Self> {
        let (numbers, bands) = near.split_at_checked(near.len().checked_sub(BANDS * 4)?)?;
        let mut numbers = numbers.as_chunks().0.iter().map(|bytes| u64::from_be_bytes(*bytes));
        let set = Set { at: numbers.next()?, count: numbers.next()? };
        let mut all = [0; BANDS];
        for (band, bytes) in all.iter_mut().zip(bands.as_chunks().0) {
            *band = u32::from_be_bytes(*bytes);
        }
        Some(Self { set, beginnings: numbers.collect(), bands: all })
    }
}

impl Kept {
    fn new(sets: File, wholes: HashSet<u64, Fixed>) -> Self {
        let buckets = (0..BANDS).map(|_| HashMap::default()).collect();
        Self { sets, items: Vec::new(), buckets, beginnings: HashMap::default(), wholes }
    }

    /// Goes through items from the largest to the smallest.
    fn decide(
        mut self,
        rows: Sorted,
        verdicts: &mut Sorter,
        stopped: &AtomicBool,
    ) -> Result<(), Error> {
        // Why the first of those that say the same was left out, if it was.
        let mut before: Option<(Vec<u8>, u32)> = None;
        for row in rows {
            if stopped.load(Ordering::Relaxed) {
                return Err(Error::Stopped);
            }
            let row = row.map_err(failed)?;
            let Some((first, rest)) = row.get(8..).and_then(<[u8]>::split_first_chunk::<8>) else {
                continue;
            };
            let Some((order, rest)) = rest.split_first_chunk::<8>() else { continue };
            if first != order {
                let (kind, kept) = match &before {
                    Some(decided) => decided.clone(),
                    None => (vec![SAME], self.last()),
                };
                self.leave_out(*order, &kind, kept, verdicts)?;
                continue;
            }
            let (id, near) = split_id(rest).map_err(failed)?;
            let Some(compared) = Compared::of(near) else { continue };
            let found = match compared.beginnings.last().and_then(|all| self.beginnings.get(all)) {
                Some(&longer) => Some((vec![BEGINNING], longer)),
                None => self.similar(&compared).map_err(failed)?,
            };
            match &found {
                Some((kind, kept)) => self.leave_out(*order, kind, *kept, verdicts)?,
                None => self.keep(id, &compared),
            }
            before = found;
        }
        Ok(())
    }

    fn leave_out(
        &self,
        order: [u8; 8],
        kind: &[u8],
        kept: u32,
        verdicts: &mut Sorter,
    ) -> Result<(), Error> {
        let kept = self.item(kept).map_or(&[][..], |kept| &kept.id);
        verdicts.push(&[&order[..], kind, kept].concat()).map_err(failed)
    }

    /// The place of the item that was kept last.
    fn last(&self) -> u32 {
        u32::try_from(self.items.len().saturating_sub(1)).unwrap_or(u32::MAX)
    }

    fn item(&self, place: u32) -> Option<&KeptItem> {
        self.items.get(place as usize)
    }

    fn keep(&mut self, id: Box<[u8]>, compared: &Compared) {
        let place = u32::try_from(self.items.len()).unwrap_or(u32::MAX);
        let mut before = [None; BANDS];
        for ((bucket, band), before) in self.buckets.iter_mut().zip(compared.bands).zip(&mut before)
        {
            *before = bucket.insert(band, place);
        }
        for beginning in &compared.beginnings {
            if self.wholes.contains(beginning) {
                self.beginnings.entry(*beginning).or_insert(place);
            }
        }
        self.items.push(KeptItem { id, set: compared.set, before });
    }

    /// A kept item that is similar enough, and how similar it is.
    fn similar(&mut self, compared: &Compared) -> io::Result<Option<(Vec<u8>, u32)>> {
        let mut seen = HashSet::<u32, Fixed>::default();
        let mut own = None;
        for band in 0..BANDS {
            let bucket = self.buckets.get(band).zip(compared.bands.get(band));
            let mut next = bucket.and_then(|(bucket, band)| bucket.get(band).copied());
            while let Some(place) = next {
                let Some(kept) = self.item(place) else { break };
                next = kept.before.get(band).copied().flatten();
                let set = kept.set;
                // Of sets whose sizes differ more, the larger has too much.
                let may_be = compared.set.count * 100 >= set.count * SIMILAR_PERCENT;
                if !may_be || !seen.insert(place) {
                    continue;
                }
                let own = match &own {
                    Some(own) => own,
                    None => own.insert(self.read(compared.set)?),
                };
                let percent = similarity(own, &self.read(set)?);
                if percent >= SIMILAR_PERCENT {
                    let percent = u8::try_from(percent).unwrap_or(100);
                    return Ok(Some((vec![SIMILAR, percent], place)));
                }
            }
        }
        Ok(None)
    }

    fn read(&self, set: Set) -> io::Result<Vec<u64>> {
        let mut bytes = vec![0; usize::try_from(set.count * 8).map_err(io::Error::other)?];
        let mut file = &self.sets;
        file.seek(SeekFrom::Start(set.at * 8))?;
        file.read_exact(&mut bytes)?;
        Ok(bytes.as_chunks().0.iter().map(|bytes| u64::from_be_bytes(*bytes)).collect())
    }
}

/// The Jaccard similarity of two sorted sets, in percent, rounded down.
pub(crate) fn similarity(one: &[u64], other: &[u64]) -> u64 {
    let (mut left, mut right) = (one, other);
    let mut shared = 0;
    while let (Some((first, more)), Some((second, rest))) =
        (left.split_first(), right.split_first())
    {
        match first.cmp(second) {
            std::cmp::Ordering::Less => left = more,
            std::cmp::Ordering::Greater => right = rest,
            std::cmp::Ordering::Equal => {
                shared += 1;
                (left, right) = (more, rest);
            }
        }
    }
    let all = (one.len() + other.len()) as u64 - shared;
    (shared * 100).checked_div(all).unwrap_or(0)
}

/// Where the decisions are kept beside the parts of a dataset.
const DECIDED: &str = ".parts/duplicates";

/// What was decided on all duplicates, in the order of the items.
pub struct Duplicates(Decided<LeftOut>);

/// How many items are duplicates of others.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DuplicateCounts {
    /// They say the same as another.
    pub exact: u64,
    /// They say almost the same as another, or are its beginning.
    pub near: u64,
}

impl Duplicates {
    /// Those of rows that the decisions on duplicates made.
    pub fn of(
        rows: impl Iterator<Item = io::Result<Box<[u8]>>> + Send + 'static,
    ) -> io::Result<Self> {
        Decided::of(rows, why).map(Self)
    }

    /// How many items are duplicates of others.
    ///
    /// # Errors
    /// The temporary file with the decisions cannot be read.
    pub fn count(mut self) -> io::Result<DuplicateCounts> {
        let mut counts = DuplicateCounts::default();
        while let Some(why) = self.0.take()? {
            match why.reason {
                Reason::Duplicate => counts.exact += 1,
                _ => counts.near += 1,
            }
        }
        Ok(counts)
    }

    /// Keeps the rows beside the parts of a dataset, for [`Self::kept_in`]: a worker that resumes it must not decide again.
    pub fn keep(rows: Sorted, storage: &dyn Storage) -> Result<(), Error> {
        keep_rows(rows, DECIDED, storage, failed)
    }

    /// What was decided before, if it is there and whole.
    pub fn kept_in(storage: &dyn Storage) -> Option<Self> {
        Self::of(kept_rows(DECIDED, storage)?).ok()
    }

    /// Why an item is left out, if it is a duplicate. Items are asked for in their order.
    pub fn on(&mut self, order: u64) -> io::Result<Option<LeftOut>> {
        self.0.on(order)
    }
}

/// Why an item is left out, of a row after the position.
fn why(row: &[u8]) -> Option<LeftOut> {
    let (&kind, rest) = row.split_first()?;
    let id = |bytes| String::from_utf8_lossy(bytes).into_owned();
    Some(match kind {
        SAME => {
            let detail = format!("it says the same as `{}`, which is kept", id(rest));
            LeftOut::new(Reason::Duplicate, detail)
        }
        BEGINNING => {
            let detail = format!("it is the beginning of `{}`, which is kept", id(rest));
            LeftOut::new(Reason::NearDuplicate, detail)
        }
        _ => {
            let (percent, rest) = rest.split_first()?;
            let detail = format!("it is {percent} % similar to `{}`, which is kept", id(rest));
            LeftOut::new(Reason::NearDuplicate, detail)
        }
    })
}

#[cfg(test)]
mod tests {
    use retort_model::{Conversation, Round, ToolCall};

    use super::*;

    fn conversation(turns: &[(Role, &str)]) -> Item<'static> {
        let messages = turns.iter().map(|&(role, text)| Message::text(role, text.to_owned()));
        let round = Round { messages: messages.collect(), ..Round::default() };
        Conversation { rounds: vec![round], ..Conversation::default() }.into()
    }

    /// What is decided on each item.
    fn decided(items: &[Item<'_>], dedup: Dedup) -> Vec<Option<String>> {
        let mut prints = Fingerprints::new(dedup).unwrap();
        for (order, item) in (0..).zip(items) {
            if let Some(print) = Fingerprint::of(item, dedup) {
                prints.add(order, &format!("i{order}"), &print).unwrap();
            }
        }
        let stopped = AtomicBool::new(false);
        let rows = prints.decide(|_| Ok(Some(1)), &stopped).unwrap();
        let mut duplicates = Duplicates::of(rows).unwrap();
        let orders = 0..items.len() as u64;
        orders.map(|order| duplicates.on(order).unwrap().map(|why| why.detail)).collect()
    }

    fn text(words: std::ops::Range<u32>) -> String {
        words.map(|n| format!("w{n}")).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn what_says_the_same_is_left_out_but_for_the_first() {
        use Role::{Assistant, System, Tool, User};
        let answer = (Assistant, "The answer is 42.");
        let items = [
            conversation(&[(User, "What is it?"), answer]),
            conversation(&[(System, "Be brief."), (User, "what  is IT?"), answer]),
            conversation(&[(User, "What is it?"), (Tool, "{\"a\":1}"), answer]),
            conversation(&[(User, "What is this?"), answer]),
            // Who says it counts.
            conversation(&[(Assistant, "What is it?"), (User, "The answer is 42.")]),
            conversation(&[(System, "Be brief.")]),
            conversation(&[(System, "Be brief.")]),
        ];
        let same = Some("it says the same as `i0`, which is kept".to_owned());
        let expect = [None, same.clone(), same, None, None, None, None];
        assert_eq!(decided(&items, Dedup::Exact), expect);
    }

    #[test]
    fn other_calls_make_other_items() {
        let calling = |arguments: &str| {
            let call = ToolCall {
                name: "look_up".into(),
                arguments: arguments.to_owned().into(),
                ..ToolCall::default()
            };
            let message =
                Message { role: Role::Assistant, tool_calls: vec![call], ..Message::default() };
            let round = Round { messages: vec![message], ..Round::default() };
            Conversation { rounds: vec![round], ..Conversation::default() }.into()
        };
        let items = [calling("{\"a\":1}"), calling("{\"a\":2}"), calling("{\"a\":1}")];
        assert_eq!(decided(&items, Dedup::Exact).iter().flatten().count(), 1);
    }

    #[test]
    fn only_what_is_similar_to_something_kept_is_left_out() {
        use Role::{Assistant, User};
        // Each goes on a little from the one before: neighbours are similar, others are not.
        let chain: Vec<_> = (0..6)
            .map(|n| conversation(&[(User, "go"), (Assistant, &text(n * 4..n * 4 + 200))]))
            .collect();
        let decided = decided(&chain, Dedup::Near);
        for (order, why) in decided.iter().enumerate() {
            let Some(why) = why else { continue };
            let kept: usize = why.split('`').nth(1).unwrap()[1..].parse().unwrap();
            assert_eq!(kept.abs_diff(order), 1, "{order}: {why}");
            assert_eq!(decided[kept], None, "{order} is compared with what was left out");
        }
        assert!(decided.iter().flatten().count() >= 2, "{decided:?}");
    }

    #[test]
    fn the_beginning_of_a_longer_item_is_left_out() {
        use Role::{Assistant, User};
        let (long, more) = (text(0..50), text(50..400));
        let items = [
            conversation(&[(User, "hi"), (Assistant, &long)]),
            conversation(&[(User, "hi"), (Assistant, &long), (User, "and?"), (Assistant, &more)]),
            conversation(&[(User, "hi"), (Assistant, &text(50..100))]),
        ];
        let beginning = Some("it is the beginning of `i1`, which is kept".to_owned());
        assert_eq!(decided(&items, Dedup::Near), [beginning, None, None]);
        assert_eq!(decided(&items, Dedup::Exact), [None, None, None]);
    }

    #[test]
    fn text_without_spaces_is_compared_by_characters() {
        use Role::{Assistant, User};
        let said: String = ('\u{4e00}'..'\u{4f00}').collect();
        let other = said.replace('\u{4e80}', "一");
        let items = [&said, &other].map(|text| conversation(&[(User, "go"), (Assistant, &**text)]));
        assert_eq!(decided(&items, Dedup::Near).iter().flatten().count(), 1);
    }

    /// Compares all pairs, as nobody can for many.
    #[test]
    fn brute_force_finds_no_similar_pair_left_and_none_left_out_below() {
        use Role::{Assistant, User};
        let mut state = 7_u64;
        let mut random = move |below: u64| {
            state = mixed(state);
            state % below
        };
        let mut texts: Vec<Vec<u64>> = Vec::new();
        for number in 0..1500_u64 {
            let copied = match random(3) {
                0 if number > 0 => Some(texts[random(number) as usize].clone()),
                _ => None,
            };
            let mut words = copied.unwrap_or_else(|| {
                let length = 20 + random(300);
                (0..length).map(|_| random(100_000)).collect()
            });
            for _ in 0..random(4) {
                let at = random(words.len() as u64) as usize;
                words[at] = random(100_000);
            }
            texts.push(words);
        }
        let items: Vec<_> = texts
            .iter()
            .map(|words| {
                let words: Vec<_> = words.iter().map(|word| format!("w{word}")).collect();
                conversation(&[(User, "go"), (Assistant, &words.join(" "))])
            })
            .collect();
        let decided = decided(&items, Dedup::Near);
        let sets: Vec<_> = items
            .iter()
            .map(|item| Fingerprint::of(item, Dedup::Near).unwrap().near.unwrap().shingles)
            .collect();
        let kept: Vec<usize> = (0..items.len()).filter(|&item| decided[item].is_none()).collect();
        for (place, &one) in kept.iter().enumerate() {
            for &other in &kept[..place] {
                assert!(similarity(&sets[one], &sets[other]) < SIMILAR_PERCENT, "{one} {other}");
            }
        }
        for (one, why) in decided.iter().enumerate() {
            let Some(why) = why else { continue };
            let by: usize = why.split('`').nth(1).unwrap()[1..].parse().unwrap();
            assert!(decided[by].is_none(), "{one}: {why}, but {:?}", decided[by]);
            assert!(similarity(&sets[one], &sets[by]) >= SIMILAR_PERCENT, "{one}: {why}");
        }
        assert!((200..600).contains(&(items.len() - kept.len())), "{} kept", kept.len());
    }
}
