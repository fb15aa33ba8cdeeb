//! `--split`: a dataset in several outputs, such as train, validation and test.
//!
//! An item goes to an output by a hash of its group alone. So all items of a group go to the same output, on any machine,
//! in any part, and also when the dataset is made again from more items: nobody moves.

use std::fmt;
use std::io::{self, BufRead, BufReader, Read};
use std::str::FromStr;

use retort_model::bounds::SPLIT_OUTPUTS;
use retort_model::{Conversation, Item, OutputPortion, Role, named};

use crate::seen::SharedHasher;
use crate::sorter::Sorter;

/// The outputs of a dataset, each with its share. Without any, there is one output that has no name.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Split(Vec<Share>);

/// An output and its share.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Share {
    /// The name of the output.
    pub name: String,
    /// Its share of all groups, as it was written.
    pub share: String,
    /// The same in millionths.
    millionths: u32,
}

/// What goes to one output as a whole.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum GroupBy {
    /// A conversation, with its runs.
    #[default]
    Conversation,
    /// All that one user has.
    User,
    /// Conversations that begin with the same question.
    Family,
    /// Items that say the same, or almost the same.
    Duplicates,
}

named!(
    GroupBy,
    "group of a split",
    Conversation = "conversation",
    User = "user",
    Family = "family",
    Duplicates = "duplicates"
);

impl GroupBy {
    /// What it does, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Conversation => "each conversation with its runs; each document",
            Self::User => {
                "everything of one user; items that name no user are grouped by conversation"
            }
            Self::Family => {
                "conversations and runs that begin with the same question, such as forks and earlier states"
            }
            Self::Duplicates => {
                "items that are equal, 90 % similar or more, or the beginning of one another; linked ones stay together"
            }
        }
    }
}

/// A group, as a hash that is the same everywhere.
pub type GroupHash = [u8; 16];

/// All shares together.
pub const WHOLE: u32 = 1_000_000;

impl Split {
    /// The outputs with their shares.
    pub fn shares(&self) -> &[Share] {
        &self.0
    }

    /// How many outputs a dataset has: at least one.
    pub fn outputs(&self) -> usize {
        self.0.len().max(1)
    }

    /// Whether there are several outputs.
    pub fn is_split(&self) -> bool {
        !self.0.is_empty()
    }

    /// The name of an output; none if there is only one.
    pub fn name(&self, output: usize) -> Option<&str> {
        self.0.get(output).map(|share| &*share.name)
    }

    /// What is counted of the outputs, before anything is; empty if there is only one.
    pub fn portions(&self) -> Vec<OutputPortion> {
        let portion =
            |share: &Share| OutputPortion { name: share.name.clone(), ..OutputPortion::default() };
        self.0.iter().map(portion).collect()
    }

    /// The output of a group.
    pub fn output_of(&self, group: &GroupHash) -> usize {
        let at = at_share(group);
        let mut end = 0;
        let ends = self.0.iter().position(|share| {
            end += u128::from(share.millionths);
            at < end
        });
        ends.unwrap_or(0)
    }
}

impl FromStr for Split {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let shares: Vec<Share> = text.split(',').map(str::parse).collect::<Result<_, _>>()?;
        let whole: u64 = shares.iter().map(|share| u64::from(share.millionths)).sum();
        if whole != u64::from(WHOLE) {
            return Err(format!("the shares of `{text}` do not add up to 1"));
        }
        if shares.len() > SPLIT_OUTPUTS {
            return Err(format!("`{text}` has more than {SPLIT_OUTPUTS} outputs"));
        }
        for (index, share) in shares.iter().enumerate() {
            if shares.iter().take(index).any(|before| before.name == share.name) {
                return Err(format!("`{text}` names `{}` twice", share.name));
            }
        }
        Ok(Self(shares))
    }
}

impl FromStr for Share {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let wrong = || {
            format!(
                "`{text}` is not a name with a share; write, for example, `train=0.9,validation=0.05,test=0.05`"
            )
        };
        let (name, share) = text.trim().split_once('=').ok_or_else(wrong)?;
        let millionths = millionths(share).filter(|&number| number > 0).ok_or_else(wrong)?;
        let is_plain =
            |byte: u8| byte.is_ascii_lowercase() || byte.is_ascii_digit() || byte == b'_';
        if name.is_empty() || name.len() > 32 || !name.bytes().all(is_plain) {
            return Err(format!(
                "`{name}` cannot name an output: use up to 32 characters: a to z, 0 to 9 and `_`"
            ));
        }
        Ok(Self { name: name.to_owned(), share: share.to_owned(), millionths })
    }
}

/// Maps a hash to a number from 0 to a million; hashes are spread evenly over that range.
pub fn at_share(hash: &[u8; 16]) -> u128 {
    let number = hash.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes));
    (u128::from(number) * u128::from(WHOLE)) >> 64
}

/// A decimal number from 0 to 1, with up to six digits after the point, in millionths.
fn millionths(text: &str) -> Option<u32> {
    decimal(text, 6).filter(|&number| number <= WHOLE)
}

/// A decimal number with up to `places` digits after the point, in units of the last of them.
pub fn decimal(text: &str, places: usize) -> Option<u32> {
    let (whole, digits) = text.split_once('.').unwrap_or((text, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() && digits.is_empty()
        || digits.len() > places
        || !is_number(whole)
        || !is_number(digits)
    {
        return None;
    }
    let whole: u32 = if whole.is_empty() { 0 } else { whole.parse().ok()? };
    let rest: u32 = format!("{digits:0<places$}").parse().ok()?;
    whole.checked_mul(10_u32.pow(u32::try_from(places).ok()?))?.checked_add(rest)
}

impl fmt::Display for Split {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for (index, Share { name, share, .. }) in self.0.iter().enumerate() {
            let comma = if index == 0 { "" } else { "," };
            write!(f, "{comma}{name}={share}")?;
        }
        Ok(())
    }
}

/// Bytes of the row of a written item: the hash of its group, and its output.
pub const GROUP_ROW: usize = size_of::<GroupHash>() + 1;

/// Appends the row of a written item.
pub fn write_group(group: &GroupHash, output: usize, out: &mut Vec<u8>) {
    out.extend_from_slice(group);
    out.push(u8::try_from(output).unwrap_or(u8::MAX));
}

/// Which groups were written to which outputs.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct LeakTest {
    /// Groups in each output.
    pub groups: Vec<u64>,
    /// Groups in more than one.
    pub in_several: u64,
}

/// Reads the rows of all written items and looks for groups in several of so many outputs. Sorts them on disk.
pub fn test_for_leaks(rows: &mut dyn Read, outputs: usize) -> io::Result<LeakTest> {
    let mut sorter = Sorter::new();
    let mut row = [0; GROUP_ROW];
    let mut rows = BufReader::new(rows);
    while !rows.fill_buf()?.is_empty() {
        rows.read_exact(&mut row)?;
        sorter.push(&row)?;
    }
    let mut test = LeakTest { groups: vec![0; outputs], in_several: 0 };
    let mut before: Option<Box<[u8]>> = None;
    let mut is_counted = false;
    for row in sorter.sorted()? {
        let row = row?;
        if before.as_ref() == Some(&row) {
            continue;
        }
        let Some((&output, group)) = row.split_last() else { continue };
        if let Some(count) = test.groups.get_mut(usize::from(output)) {
            *count += 1;
        }
        let is_same = before.as_ref().is_some_and(|before| before.starts_with(group));
        test.in_several += u64::from(is_same && !is_counted);
        is_counted = is_same;
        before = Some(row);
    }
    Ok(test)
}

/// The group of an item. What does not say to which group it belongs is a group of its own.
pub fn group_of(item: &Item<'_>, by: GroupBy) -> GroupHash {
    let key = match by {
        // What is like an item, others have to tell.
        GroupBy::Conversation | GroupBy::Duplicates => None,
        GroupBy::User => user(item),
        GroupBy::Family => question(item),
    };
    match key {
        Some(key) => SharedHasher::id(&["split", by.as_str(), &key]),
        None => SharedHasher::id(&["split", GroupBy::Conversation.as_str(), &conversation(item)]),
    }
}

fn conversation(item: &Item<'_>) -> String {
    let id = match item {
        Item::Run(run) => run.thread.as_ref().filter(|thread| !thread.is_empty()),
        Item::Conversation(_) | Item::Document(_) => None,
    };
    id.unwrap_or(item.id()).decoded().into_owned()
}

fn user(item: &Item<'_>) -> Option<String> {
    let owner = match item {
        Item::Conversation(conversation) => conversation.owner.as_ref(),
        Item::Run(run) => run.owner.as_ref(),
        Item::Document(_) => None,
    };
    owner.filter(|owner| !owner.is_blank()).map(|owner| owner.decoded().into_owned())
}

/// Whether an item names its user.
pub fn names_user(item: &Item<'_>) -> bool {
    user(item).is_some()
}

/// The first question, without differences of case and white space.
fn question(item: &Item<'_>) -> Option<String> {
    let text = match item {
        Item::Conversation(conversation) => first_question(conversation),
        Item::Run(run) => run.question.as_ref().map(|text| text.decoded().into_owned()),
        Item::Document(_) => None,
    }?;
    let words: Vec<String> = text.split_whitespace().map(str::to_lowercase).collect();
    (!words.is_empty()).then(|| words.join(" "))
}

fn first_question(conversation: &Conversation<'_>) -> Option<String> {
    let mut rounds = conversation.rounds.iter().flat_map(|round| &round.messages);
    rounds
        .find(|message| message.role == Role::User)
        .map(|message| message.words().decoded().into_owned())
}

#[cfg(test)]
mod tests {
    use retort_model::{Message, Round, Run};

    use super::*;

    #[test]
    fn shares_are_read_and_written() {
        for text in ["train=0.9,validation=0.05,test=0.05", "a=1", "a=.5,b=0.500000", "a=0.3,b=0.7"]
        {
            assert_eq!(text.parse::<Split>().unwrap().to_string(), text);
        }
        for (text, why) in [
            ("", "is not a name with a share"),
            ("train", "is not a name with a share"),
            ("train=0.9", "do not add up to 1"),
            ("train=0.9,test=0.2", "do not add up to 1"),
            ("train=0.5,train=0.5", "names `train` twice"),
            ("train=1,test=0", "is not a name with a share"),
            ("../x=1", "cannot name an output"),
            ("a=-1,b=2", "is not a name with a share"),
            ("a=0.3333333,b=0.6666667", "is not a name with a share"),
        ] {
            let error = text.parse::<Split>().unwrap_err();
            assert!(error.contains(why), "{text}: {error}");
        }
    }

    #[test]
    fn groups_are_spread_by_the_shares_and_stay_where_they_are() {
        let split: Split = "train=0.9,validation=0.05,test=0.05".parse().unwrap();
        let mut counts = [0_u32; 3];
        for number in 0..20_000 {
            let group = SharedHasher::id(&["split", "user", &number.to_string()]);
            counts[split.output_of(&group)] += 1;
        }
        let [train, validation, test] = counts;
        assert!((17_800..18_200).contains(&train), "{counts:?}");
        assert!((880..1_120).contains(&validation) && (880..1_120).contains(&test), "{counts:?}");
        // A dataset of before goes on: this output must not change.
        let group = SharedHasher::id(&["split", "user", "anna"]);
        assert_eq!(split.output_of(&group), 1);
        assert_eq!(hex_of(&group), "ef6ad74b9bdb6d222622a91e1d37bf2a");
    }

    #[test]
    fn a_group_in_two_outputs_is_found() {
        let mut rows = Vec::new();
        for (group, output) in [(1, 0), (2, 1), (3, 0), (2, 1), (3, 2), (3, 1), (1, 0), (4, 2)] {
            write_group(&[group; 16], output, &mut rows);
        }
        let test = test_for_leaks(&mut &*rows, 3).unwrap();
        assert_eq!(test, LeakTest { groups: vec![2, 2, 2], in_several: 1 });
        assert!(test_for_leaks(&mut &rows[1..], 3).is_err());
    }

    fn hex_of(group: &GroupHash) -> String {
        crate::storage::hex(group)
    }

    fn conversation(id: &str, owner: Option<&str>, question: &str) -> Item<'static> {
        let round = Round {
            messages: vec![
                Message::text(Role::System, "You help.".to_owned()),
                Message::text(Role::User, question.to_owned()),
            ],
            ..Round::default()
        };
        Conversation {
            id: id.to_owned().into(),
            owner: owner.map(|owner| owner.to_owned().into()),
            rounds: vec![round],
            ..Conversation::default()
        }
        .into()
    }

    #[test]
    fn items_of_one_group_have_one_hash() {
        let of = |item: &Item<'_>, by| group_of(item, by);
        let a = conversation("a", Some("anna"), "How  are you?");
        let b = conversation("b", Some("anna"), "how are YOU?");
        let c = conversation("c", None, "");
        assert_ne!(of(&a, GroupBy::Conversation), of(&b, GroupBy::Conversation));
        assert_eq!(of(&a, GroupBy::User), of(&b, GroupBy::User));
        assert_eq!(of(&a, GroupBy::Family), of(&b, GroupBy::Family));
        let run: Item<'_> = Run { thread: Some("a".into()), ..Run::default() }.into();
        assert_eq!(of(&a, GroupBy::Conversation), of(&run, GroupBy::Conversation));
        for by in [GroupBy::User, GroupBy::Family] {
            assert_eq!(of(&c, by), of(&c, GroupBy::Conversation));
        }
    }
}
