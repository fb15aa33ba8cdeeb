//! What an import format is.

use std::borrow::Cow;
use std::fmt;
use std::io::{self, BufRead};

use retort_model::{Conversation, Document, Item, Run};

pub use super::notes::{ItemError, Notes, Refusal};
use super::sniff::{Entry, Sniff};
use super::{marks, media};

/// A shape of histories that can be read.
pub trait ImportFormat: Sync {
    /// The name to say on the command line.
    fn name(&self) -> &'static str;

    /// Where such histories come from, in one line.
    fn about(&self) -> &'static str;

    /// The section on it in `docs/formats.md`, in Markdown: what it reads, how a person gets such a file, what is kept and
    /// what is dropped, and what the reader was written from where no specification is public.
    fn notes(&self) -> &'static str;

    /// Whether an item is one of this format.
    fn recognises(&self, sniff: &Sniff<'_>) -> bool;

    /// Parses what one text holds; what the reader cannot place goes to the notes.
    ///
    /// # Errors
    /// What is wrong with the text, and at which byte of it.
    fn parse<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError>;

    /// Reads what one text holds, with what its reader could not place. That counts for each of several items.
    ///
    /// # Errors
    /// What is wrong with the text, and at which byte of it.
    fn read_all<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Items<'a>, ItemError> {
        let items = self.parse(text, notes);
        let unplaced = notes.take_unplaced();
        let mut items = items?;
        for item in items.iter_mut() {
            if let Item::Conversation(conversation) = item {
                media::place(conversation);
                if self.has_marks() {
                    marks::apply(conversation);
                }
            }
        }
        if unplaced.is_empty() {
            return Ok(items);
        }
        if let (Some(first), None) = (unplaced.first(), &items.first) {
            let why = format!("it was not understood: {}", first.path);
            return Err(ItemError::new(Refusal::UnknownShape, 0, why));
        }
        for item in items.iter_mut() {
            if let Item::Conversation(Conversation { not_understood, .. })
            | Item::Run(Run { not_understood, .. }) = item
            {
                // A row of Retort's own tells what was met before.
                let before: Vec<_> = not_understood.iter().map(|one| one.raw.clone()).collect();
                let new = unplaced.iter().filter(|one| !before.contains(&one.raw));
                not_understood.extend(new.cloned());
            }
        }
        Ok(items)
    }

    /// Whether fields beside messages may say whether these are to be learnt.
    fn has_marks(&self) -> bool {
        true
    }

    /// Reads a text that holds one item.
    ///
    /// # Errors
    /// As [`Self::read_all`], or there are none or several items.
    fn read<'a>(&self, text: &'a str, notes: &mut Notes) -> Result<Item<'a>, ItemError> {
        let Items { first, rest } = self.read_all(text, notes)?;
        first.filter(|_| rest.is_empty()).ok_or_else(|| {
            ItemError::new(Refusal::UnknownShape, 0, "it does not hold exactly one item")
        })
    }

    /// How its items are spread over texts.
    fn spread(&self) -> Spread {
        Spread::No
    }

    /// The fragments of items that a text holds, where items are spread over texts or have side files. A text without
    /// any is an item of its own.
    fn fragments<'t>(&self, text: &'t str, entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
        let _ = (text, entry, into);
    }

    /// What a fragment is known by in every item that holds it, where items repeat what others hold. A fragment that came
    /// before is read as [`Self::repeated`] says.
    fn identity(&self, fragment: &str) -> Option<String> {
        let _ = fragment;
        None
    }

    /// A fragment that was read before, as part of another item or of the same one, with a mark that says so.
    fn repeated(&self, fragment: &str) -> String {
        fragment.to_owned()
    }

    /// What a joined item adds to a second one, which is made of several of them, as the traces of a session are a
    /// conversation. Both are read: the fragments that have one key are joined once more.
    fn regroup<'t>(&self, joined: &'t str) -> Option<Fragment<'t>> {
        let _ = joined;
        None
    }

    /// Its files of text that is no JSON, and how items are cut from them.
    fn text_files(&self) -> Option<&'static TextFiles> {
        None
    }

    /// What its archives and folders hold beside the items.
    fn side_files(&self) -> Option<&'static SideFiles> {
        None
    }
}

impl fmt::Debug for dyn ImportFormat {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a format's items are spread over texts. What is joined is read as a JSON list of the fragments.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spread {
    /// A text is an item. Fragments are the items, by the key under which their side files name them.
    No,
    /// An item is any number of rows, which follow one another as a rule: it is complete when another one follows.
    Rows,
    /// An item is two halves, told apart by their order: it is complete with the second. One alone is read as it is.
    Halves,
    /// An item is any number of fragments, anywhere: it is complete when all is read.
    Anywhere,
}

/// A part of an item that is spread over texts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fragment<'t> {
    /// What the fragments of one item have in common, and no other.
    pub key: String,
    /// Its place in the item; fragments with the same stay in the order in which they were read.
    pub order: u64,
    /// What is read of it.
    pub text: Cow<'t, str>,
}

/// What archives and folders of a format hold, by the names of the files. A `*` in a name stands for anything.
#[derive(Debug)]
pub struct SideFiles {
    /// Files of items: beside one of them, the others are what they are declared to be.
    pub items: &'static [&'static str],
    /// Files whose texts are fragments of the items beside them, and are read before these.
    pub read: &'static [&'static str],
    /// Files without items.
    pub ignored: &'static [&'static str],
}

/// Files of text that is no JSON.
pub struct TextFiles {
    /// Their names. A `*` matches anything; they are read even if a name begins with a dot.
    pub names: &'static [&'static str],
    /// What one of their lines begins with.
    pub mark: &'static str,
    /// The items of a file, each as JSON.
    pub items: for<'r> fn(Box<dyn BufRead + 'r>) -> TextItems<'r>,
}

/// Items that are made as a file is read.
pub type TextItems<'r> = Box<dyn Iterator<Item = io::Result<String>> + 'r>;

/// What one text holds: none, one or several items.
#[derive(Debug, Default)]
pub struct Items<'a> {
    first: Option<Item<'a>>,
    rest: Vec<Item<'a>>,
}

impl<'a> Items<'a> {
    /// Adds an item behind the others.
    pub fn push(&mut self, item: impl Into<Item<'a>>) {
        match self.first {
            None => self.first = Some(item.into()),
            Some(_) => self.rest.push(item.into()),
        }
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.first.is_none()
    }

    /// Adds others behind them.
    pub(super) fn append(&mut self, others: Self) {
        for item in others {
            self.push(item);
        }
    }

    fn iter_mut(&mut self) -> impl Iterator<Item = &mut Item<'a>> {
        self.first.iter_mut().chain(&mut self.rest)
    }
}

impl<'a, T: Into<Item<'a>>> Extend<T> for Items<'a> {
    fn extend<I: IntoIterator<Item = T>>(&mut self, items: I) {
        for item in items {
            self.push(item);
        }
    }
}

impl<'a> IntoIterator for Items<'a> {
    type Item = Item<'a>;
    type IntoIter = std::iter::Chain<std::option::IntoIter<Item<'a>>, std::vec::IntoIter<Item<'a>>>;

    fn into_iter(self) -> Self::IntoIter {
        self.first.into_iter().chain(self.rest)
    }
}

impl<'a> From<Item<'a>> for Items<'a> {
    fn from(item: Item<'a>) -> Self {
        Self { first: Some(item), rest: Vec::new() }
    }
}

impl<'a> From<Conversation<'a>> for Items<'a> {
    fn from(conversation: Conversation<'a>) -> Self {
        Item::from(conversation).into()
    }
}

impl<'a> From<Run<'a>> for Items<'a> {
    fn from(run: Run<'a>) -> Self {
        Item::from(run).into()
    }
}

impl<'a> From<Document<'a>> for Items<'a> {
    fn from(document: Document<'a>) -> Self {
        Item::from(document).into()
    }
}
