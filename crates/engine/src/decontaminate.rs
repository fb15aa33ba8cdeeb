//! `--decontaminate`: finds items that contain text of a benchmark.
//!
//! A benchmark's file is cut into examples: rows of JSON Lines, CSV and Parquet files, lines of others. Every run of
//! [`WORDS`] words in a text of an example is kept as a hash; a shorter text is one run, unless it has fewer than
//! [`FEWEST_WORDS`]. Words are separated by spaces and punctuation and compared in lower case. An item is contaminated if
//! one of its texts has such a run (Brown et al. 2020, *Language Models are Few-Shot Learners*, appendix C). Runs that more
//! than [`COMMON`] examples have in common belong to the prompts of a benchmark, and do not count.

use std::collections::HashMap;
use std::fmt;
use std::fs::File;
use std::hash::{BuildHasherDefault, DefaultHasher, Hash, Hasher};
use std::io::{self, BufReader};
use std::path::Path;
use std::str::FromStr;

use retort_formats::file::by_name as file_format_named;
use retort_formats::package::{BenchmarkCount, Decontamination};
use retort_json::{Parser, RawJson};
use retort_model::bounds::BENCHMARK_RUNS;
use retort_model::{Item, Message, named};
use serde::{Deserialize, Serialize};

use crate::dedup::is_word_alone;
use crate::error::Error;
use crate::line::next_line;
use crate::storage::read_through;

/// Words in a row that are looked for.
pub const WORDS: usize = 13;

/// Words of the shortest text that is looked for as a whole.
pub const FEWEST_WORDS: usize = 8;

/// Examples of the benchmarks that may have a run in common.
const COMMON: u32 = 10;

/// Characters of a match that are shown.
const SHOWN: usize = 400;

/// What becomes of contaminated items.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Contaminated {
    /// They are left out.
    #[default]
    LeaveOut,
    /// They are written, with a warning.
    Report,
}

named!(Contaminated, "choice for contaminated items", LeaveOut = "leave-out", Report = "report");

impl Contaminated {
    /// What it does, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::LeaveOut => "leave them out",
            Self::Report => "write them, with a warning",
        }
    }
}

/// Which benchmarks are looked for, and what becomes of items with their text.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct DecontaminateOptions {
    /// Names of benchmarks, or paths of their files.
    pub names: BenchmarkNames,
    /// What becomes of contaminated items.
    pub action: Contaminated,
}

/// Names of benchmarks, or paths of their files, as they are separated by commas.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct BenchmarkNames(Vec<String>);

/// Benchmarks that one export may name.
const MOST_BENCHMARKS: usize = 100;

impl FromStr for BenchmarkNames {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let names: Vec<_> = text.split(',').map(|name| name.trim().to_owned()).collect();
        if names.iter().any(String::is_empty) {
            return Err(format!("`{text}` is not a list of benchmarks, separated by commas"));
        }
        if names.len() > MOST_BENCHMARKS {
            return Err(format!("more than {MOST_BENCHMARKS} benchmarks"));
        }
        Ok(Self(names))
    }
}

impl fmt::Display for BenchmarkNames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0.join(","))
    }
}

impl BenchmarkNames {
    /// Each of them.
    pub fn iter(&self) -> impl Iterator<Item = &str> {
        self.0.iter().map(String::as_str)
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

/// A file of a benchmark, and a hash of what was read.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct BenchmarkFile {
    /// What receipts call it.
    pub name: String,
    /// Its absolute path.
    pub path: String,
    /// The hash of what was read; empty before that.
    #[serde(default)]
    pub sha256: String,
}

impl BenchmarkFile {
    /// The file of a benchmark, which receipts call by the name, or else as the file is called.
    pub fn new(path: &str, name: Option<&str>) -> Self {
        let absolute = std::path::absolute(path).unwrap_or_else(|_| path.into());
        let file_name = absolute.file_name().unwrap_or(absolute.as_os_str()).to_string_lossy();
        let name = name.map_or_else(|| file_name.clone().into_owned(), str::to_owned);
        Self { name, path: absolute.to_string_lossy().into_owned(), sha256: String::new() }
    }
}

/// The texts of benchmarks.
pub struct Benchmarks {
    /// The runs of words, by their hash.
    runs: HashMap<u64, Occurrence, Fixed>,
    /// How many words the runs have, the longest first.
    lengths: Vec<usize>,
    files: Vec<BenchmarkCount>,
    read: Vec<BenchmarkFile>,
    action: Contaminated,
}

type Fixed = BuildHasherDefault<DefaultHasher>;

/// Where a run comes from.
#[derive(Clone, Copy)]
struct Occurrence {
    file: u32,
    /// The last example with it, from 1.
    example: u32,
    /// How many examples have it.
    examples: u32,
}

/// What an item has in common with a benchmark.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Overlap {
    /// The text, as the item has it.
    pub text: String,
    /// The name of the benchmark's file.
    pub file: String,
    /// The example in it, from 1.
    pub example: u32,
}

impl Overlap {
    /// As a sentence for rejects and findings.
    pub fn words(&self) -> String {
        let Self { text, file, example } = self;
        format!("it has text of example {example} of `{file}`: {text}")
    }
}

impl Benchmarks {
    /// Reads the files.
    ///
    /// # Errors
    /// A file cannot be read, has no example that is long enough, or there is too much in them.
    pub fn open(files: &[BenchmarkFile], action: Contaminated) -> Result<Self, Error> {
        let mut benchmarks = Self {
            runs: HashMap::default(),
            lengths: Vec::new(),
            files: Vec::new(),
            read: Vec::new(),
            action,
        };
        for file in files {
            benchmarks.add(file)?;
        }
        benchmarks.runs.retain(|_, place| place.examples <= COMMON);
        benchmarks.lengths.sort_unstable_by(|one, other| other.cmp(one));
        Ok(benchmarks)
    }

    fn add(&mut self, read: &BenchmarkFile) -> Result<(), Error> {
        let path = Path::new(&read.path);
        let fail = |source| Error::read(path, source);
        let mut bytes = File::open(path).map_err(fail)?;
        let (_, sha256, _) = read_through(&mut bytes).map_err(fail)?;
        if !read.sha256.is_empty() && read.sha256 != sha256 {
            return Err(Error::Choice(format!(
                "the benchmark `{}` changed after the export was submitted; submit it again",
                path.display()
            )));
        }
        self.read.push(BenchmarkFile { sha256: sha256.clone(), ..read.clone() });
        let mut file =
            BenchmarkCount { name: read.name.clone(), sha256, ..BenchmarkCount::default() };
        let place = u32::try_from(self.files.len()).unwrap_or(u32::MAX);
        for texts in examples(path).map_err(fail)? {
            let texts = texts.map_err(fail)?;
            file.examples += 1;
            let example = u32::try_from(file.examples).unwrap_or(u32::MAX);
            let mut is_long = false;
            for text in &texts {
                is_long |= self.add_text(text, Occurrence { file: place, example, examples: 1 });
            }
            file.too_short += u64::from(!is_long);
            if self.runs.len() > BENCHMARK_RUNS {
                return Err(Error::Choice(format!(
                    "the benchmarks have more than {BENCHMARK_RUNS} runs of {WORDS} words; give fewer files"
                )));
            }
        }
        if file.examples == file.too_short {
            return Err(Error::Choice(format!(
                "`{}` has no text of at least {FEWEST_WORDS} words to look for",
                path.display()
            )));
        }
        self.files.push(file);
        Ok(())
    }

    /// Adds a text of an example. Returns whether it is long enough.
    fn add_text(&mut self, text: &str, place: Occurrence) -> bool {
        let words = words(text);
        let length = words.len().min(WORDS);
        if length < FEWEST_WORDS {
            return false;
        }
        if !self.lengths.contains(&length) {
            self.lengths.push(length);
        }
        for (_, run) in runs(&words, length) {
            let known = self.runs.entry(run).or_insert(place);
            if (known.file, known.example) != (place.file, place.example) {
                *known = Occurrence { examples: known.examples.saturating_add(1), ..place };
            }
        }
        true
    }

    /// What the receipt says about them, before anything is counted.
    pub fn told(&self) -> Decontamination {
        Decontamination {
            words: WORDS as u64,
            action: self.action.to_string(),
            benchmarks: self.files.clone(),
            contaminated: 0,
        }
    }

    /// The files that they were read from.
    pub fn files(&self) -> &[BenchmarkFile] {
        &self.read
    }

    /// What becomes of contaminated items.
    pub fn action(&self) -> Contaminated {
        self.action
    }

    /// The first text that an item has in common with a benchmark.
    pub fn find(&self, item: &Item<'_>) -> Option<Overlap> {
        let mut found = None;
        each_text(item, &mut |text| {
            if found.is_none() {
                found = self.find_in(text);
            }
        });
        found
    }

    fn find_in(&self, text: &str) -> Option<Overlap> {
        let words = words(text);
        self.lengths.iter().find_map(|&length| {
            let mut runs = runs(&words, length);
            let (begin, place) = runs.find_map(|(at, run)| Some((at, *self.runs.get(&run)?)))?;
            // Up to where the text of the benchmarks ends.
            let more = runs.take_while(|(_, run)| self.runs.contains_key(run));
            let last = more.last().map_or(begin, |(at, _)| at) + length - 1;
            let (start, end) = (words.get(begin)?.start, words.get(last)?.end);
            let text: String = text.get(start..end)?.chars().take(SHOWN).collect();
            let file = self.files.get(place.file as usize)?.name.clone();
            Some(Overlap { text, file, example: place.example })
        })
    }
}

/// A word of a text.
struct Word {
    start: usize,
    end: usize,
    hash: u64,
}

/// The words of a text. In scripts without spaces, each character is one.
fn words(text: &str) -> Vec<Word> {
    let mut words = Vec::with_capacity(text.len() / 5);
    let mut begin: Option<usize> = None;
    for (at, character) in text.char_indices() {
        let is_alone = is_word_alone(character);
        if is_alone || !character.is_alphanumeric() {
            words.extend(begin.take().map(|start| word(text, start, at)));
        }
        if is_alone && character.is_alphanumeric() {
            words.push(word(text, at, at + character.len_utf8()));
        } else if character.is_alphanumeric() {
            begin.get_or_insert(at);
        }
    }
    words.extend(begin.map(|start| word(text, start, text.len())));
    words
}

fn word(text: &str, start: usize, end: usize) -> Word {
    let mut hasher = DefaultHasher::new();
    let word = text.get(start..end).unwrap_or_default();
    word.chars().flat_map(char::to_lowercase).for_each(|character| character.hash(&mut hasher));
    Word { start, end, hash: hasher.finish() }
}

/// The runs of so many words, each with its position and a rolling hash.
fn runs(words: &[Word], length: usize) -> impl Iterator<Item = (usize, u64)> {
    const BASE: u64 = 0x9e37_79b9_7f4a_7c15;
    let top = (1..length).fold(1_u64, |power, _| power.wrapping_mul(BASE));
    let mut hash = 0_u64;
    words.iter().enumerate().filter_map(move |(at, word)| {
        let leaving = at.checked_sub(length).and_then(|before| words.get(before));
        let without = hash.wrapping_sub(leaving.map_or(0, |word| word.hash.wrapping_mul(top)));
        hash = without.wrapping_mul(BASE).wrapping_add(word.hash);
        Some((at.checked_sub(length - 1)?, hash ^ length as u64))
    })
}

/// Hands over each text of an item.
fn each_text(item: &Item<'_>, take: &mut dyn FnMut(&str)) {
    match item {
        Item::Conversation(conversation) => {
            conversation.messages().for_each(|message| texts_of(message, take));
        }
        Item::Run(run) => {
            let texts = [&run.question, &run.answer, &run.ground_truth];
            texts.into_iter().flatten().for_each(|text| take(&text.decoded()));
            run.inputs.iter().chain(&run.contexts).for_each(|json| strings_of(json, take));
            for node in &run.nodes {
                let json = [&node.variables, &node.input, &node.output];
                json.into_iter().flatten().for_each(|json| strings_of(json, take));
            }
        }
        Item::Document(document) => {
            document.chunks.iter().for_each(|chunk| take(&chunk.text.decoded()));
        }
    }
}

fn texts_of(message: &Message<'_>, take: &mut dyn FnMut(&str)) {
    take(&message.words().decoded());
    message.reasoning.iter().for_each(|text| take(&text.decoded()));
    message.contexts.iter().for_each(|json| strings_of(json, take));
    for call in &message.tool_calls {
        let arguments = call.arguments.decoded();
        match RawJson::parse(&arguments) {
            Ok(json) => strings_of(&json, take),
            Err(_) => take(&arguments),
        }
    }
}

fn strings_of(json: &RawJson<'_>, take: &mut dyn FnMut(&str)) {
    // It was checked when it was read.
    let _ = Parser::new(json.as_str()).each_string(&mut |text| take(&text.decoded()));
}

/// The examples of a file, each with its texts.
fn examples(path: &Path) -> io::Result<Box<dyn Iterator<Item = io::Result<Vec<String>>>>> {
    let file = File::open(path)?;
    let ending = path.extension().map(|ending| ending.to_string_lossy().to_lowercase());
    let format = ending.as_deref().and_then(file_format_named);
    if let Some(format) = format {
        let rows = format.read(Box::new(file))?;
        return Ok(Box::new(rows.map(|row| texts_of_row(&row?))));
    }
    if matches!(ending.as_deref(), Some("json" | "gz" | "zst" | "zip" | "bz2" | "xz")) {
        let why = "a benchmark must be JSON Lines, CSV, Parquet or plain text, and not compressed";
        return Err(io::Error::new(io::ErrorKind::InvalidInput, why));
    }
    let mut input = BufReader::new(file);
    let lines = std::iter::from_fn(move || next_line(&mut input).transpose());
    let is_blank =
        |line: &io::Result<String>| line.as_ref().is_ok_and(|line| line.trim().is_empty());
    Ok(Box::new(lines.filter(move |line| !is_blank(line)).map(|line| Ok(vec![line?]))))
}

fn texts_of_row(row: &str) -> io::Result<Vec<String>> {
    let json = RawJson::parse(row).map_err(|error| io::Error::other(error.to_string()))?;
    let mut texts = Vec::new();
    strings_of(&json, &mut |text| texts.push(text.to_owned()));
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use retort_json::Value;
    use retort_model::{Conversation, Role, Round};

    use super::*;

    const QUESTION: &str = "Natalia sold clips to 48 of her friends in April, and then she sold half as many clips in May.";

    fn benchmarks(files: &[(&str, String)]) -> Result<Benchmarks, Error> {
        let folder = tempfile::tempdir().unwrap();
        let write = |(name, text): &(&str, String)| {
            let path = folder.path().join(name);
            fs::write(&path, text).unwrap();
            BenchmarkFile::new(&path.to_string_lossy(), None)
        };
        let files: Vec<_> = files.iter().map(write).collect();
        Benchmarks::open(&files, Contaminated::default())
    }

    fn found(benchmarks: &Benchmarks, text: &str) -> Option<(String, String, u32)> {
        let messages = vec![
            Message::text(Role::User, "Hello"),
            Message::text(Role::Assistant, text.to_owned()),
        ];
        let round = Round { messages, ..Round::default() };
        let item = Conversation { rounds: vec![round], ..Conversation::default() }.into();
        benchmarks.find(&item).map(|found| (found.text, found.file, found.example))
    }

    #[test]
    fn text_of_a_benchmark_is_found_whatever_its_case_and_punctuation() {
        let row = |text: &str| {
            format!("{}\n", Value::Object(vec![("q".into(), Value::String(text.into()))]).to_json())
        };
        let benchmarks = benchmarks(&[
            (
                "a.txt",
                "Some other line of text that has nothing to do with all of it, at all.\n".into(),
            ),
            ("b.jsonl", row("short") + &row(QUESTION)),
            (
                "c.csv",
                "question,answer\n\"What is, in your words, the capital of that country?\",Paris\n"
                    .into(),
            ),
        ])
        .unwrap();
        let counts: Vec<_> = benchmarks
            .told()
            .benchmarks
            .iter()
            .map(|file| (file.examples, file.too_short))
            .collect();
        assert_eq!(counts, [(1, 0), (2, 1), (1, 0)]);
        let said = "Well: NATALIA sold clips to 48 of her friends -- in April; and then she sold half. Yes.";
        let text = "NATALIA sold clips to 48 of her friends -- in April; and then she sold half";
        assert_eq!(found(&benchmarks, said), Some((text.into(), "b.jsonl".into(), 2)));
        assert_eq!(
            found(&benchmarks, "Natalia sold clips to 48 of her friends in April, and then he"),
            None
        );
        // A shorter text is looked for as a whole.
        let short = "what is in your words the capital of that country";
        assert_eq!(found(&benchmarks, short).unwrap().1, "c.csv");
        assert_eq!(found(&benchmarks, "what is in your words the capital of that"), None);
    }

    #[test]
    fn what_many_examples_have_in_common_is_no_text_of_a_benchmark() {
        let prompt =
            "Answer the following question with one of the letters A, B, C or D, and nothing else:";
        let line = |n: usize| format!("{prompt} what is {n} plus {n} times {n}\n");
        let common = benchmarks(&[("a.txt", (0..11).map(line).collect())]).unwrap();
        assert_eq!(found(&common, prompt), None);
        assert!(found(&common, &line(3)).is_some());
        let few = benchmarks(&[("a.txt", (0..10).map(line).collect())]).unwrap();
        assert!(found(&few, prompt).is_some());
    }

    #[test]
    fn a_file_without_anything_to_look_for_is_refused() {
        for (name, text, why) in [
            ("a.txt", "too short\n", "no text of at least 8 words"),
            ("a.json", "[]", "not compressed"),
            ("a.jsonl", "{\"a\": nothing}\n", "a.jsonl"),
        ] {
            let error = benchmarks(&[(name, text.to_owned())]).err().unwrap().to_string();
            assert!(error.contains(why), "{error}");
        }
    }

    #[test]
    fn characters_are_words_in_scripts_without_spaces() {
        let text = "如何在不更改列表的情况下对数字进行排序";
        let benchmarks = benchmarks(&[("a.txt", format!("{text}\n"))]).unwrap();
        assert!(found(&benchmarks, &format!("请问{text}？")).is_some());
        assert!(found(&benchmarks, "如何在不更改列表的数字").is_none());
    }
}
