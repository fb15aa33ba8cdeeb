//! The sort orders of lists, and cursors for the next page.
//!
//! Lists are read from an index and go on behind the last row of a page: by the value that they are sorted by, and among
//! equal values by the store's number of the row.

use crate::dialect::{Dialect, NO_TITLE, TITLE_SORTED};
use crate::statement::Statement;
use crate::summary::Summary;

/// By what a list of conversations is sorted.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum Order {
    /// The newest first.
    #[default]
    Newest,
    /// The oldest first.
    Oldest,
    /// The last changed first.
    Changed,
    /// The first changed first.
    Unchanged,
    /// By title, from A to Z; capital and small letters of ASCII are the same, and what has no title comes last.
    Title,
    /// By title, from Z to A.
    TitleDown,
    /// The most messages of the user first.
    MostTurns,
    /// The fewest messages of the user first.
    FewestTurns,
    /// The most tokens first, as the source counted them.
    MostTokens,
    /// The fewest tokens first.
    FewestTokens,
    /// The highest score of an answer first; what has no score comes last.
    BestScore,
    /// The reverse of [`Self::BestScore`]: what has no score comes first.
    WorstScore,
}

/// The least number, for what has no score; no database takes a smaller literal.
const NO_SCORE: i64 = -i64::MAX;

impl Order {
    /// Those that people choose from.
    pub const ALL: [Self; 11] = [
        Self::Newest,
        Self::Oldest,
        Self::Changed,
        Self::Unchanged,
        Self::Title,
        Self::TitleDown,
        Self::MostTurns,
        Self::FewestTurns,
        Self::MostTokens,
        Self::FewestTokens,
        Self::BestScore,
    ];

    /// The name to say on the command line.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Newest => "newest",
            Self::Oldest => "oldest",
            Self::Changed => "changed",
            Self::Unchanged => "unchanged",
            Self::Title => "title",
            Self::TitleDown => "title-down",
            Self::MostTurns => "most-turns",
            Self::FewestTurns => "fewest-turns",
            Self::MostTokens => "most-tokens",
            Self::FewestTokens => "fewest-tokens",
            Self::BestScore => "best-score",
            Self::WorstScore => "worst-score",
        }
    }

    /// The one of that name, if people can choose it.
    pub fn by_name(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|order| order.as_str() == name)
    }

    /// What comes first, in words.
    pub fn words(self) -> &'static str {
        match self {
            Self::Newest => "newest first",
            Self::Oldest => "oldest first",
            Self::Changed => "most recently changed first",
            Self::Unchanged => "least recently changed first",
            Self::Title => "title, A to Z",
            Self::TitleDown => "title, Z to A",
            Self::MostTurns => "most turns first",
            Self::FewestTurns => "fewest turns first",
            Self::MostTokens => "most tokens first",
            Self::FewestTokens => "fewest tokens first",
            Self::BestScore => "highest score first",
            Self::WorstScore => "lowest score first",
        }
    }

    /// `ascending` or `descending`.
    pub fn direction_words(self) -> &'static str {
        if self.direction().1 == "ASC" { "ascending" } else { "descending" }
    }

    /// The same list from its end.
    pub fn reversed(self) -> Self {
        match self {
            Self::Newest => Self::Oldest,
            Self::Oldest => Self::Newest,
            Self::Changed => Self::Unchanged,
            Self::Unchanged => Self::Changed,
            Self::Title => Self::TitleDown,
            Self::TitleDown => Self::Title,
            Self::MostTurns => Self::FewestTurns,
            Self::FewestTurns => Self::MostTurns,
            Self::MostTokens => Self::FewestTokens,
            Self::FewestTokens => Self::MostTokens,
            Self::BestScore => Self::WorstScore,
            Self::WorstScore => Self::BestScore,
        }
    }

    /// What is sorted by, as the index has it.
    fn column(self, dialect: Dialect) -> String {
        match self {
            Self::Newest | Self::Oldest => "c.created_at".into(),
            Self::Changed | Self::Unchanged => "c.updated_at".into(),
            Self::Title | Self::TitleDown => dialect.sorted_title("c.title"),
            Self::MostTurns | Self::FewestTurns => "c.turns".into(),
            Self::MostTokens | Self::FewestTokens => "c.tokens".into(),
            Self::BestScore | Self::WorstScore => format!("COALESCE(c.most_score, {NO_SCORE})"),
        }
    }

    /// The comparison with which the list goes on, and the word for its direction.
    fn direction(self) -> (&'static str, &'static str) {
        match self {
            Self::Oldest
            | Self::Unchanged
            | Self::Title
            | Self::FewestTurns
            | Self::FewestTokens
            | Self::WorstScore => (">", "ASC"),
            Self::Newest
            | Self::Changed
            | Self::TitleDown
            | Self::MostTurns
            | Self::MostTokens
            | Self::BestScore => ("<", "DESC"),
        }
    }

    /// The value that a conversation is sorted by.
    fn value(self, one: &Summary) -> Place {
        let whole = |number: u64| Place::Number(i64::try_from(number).unwrap_or(i64::MAX));
        match self {
            Self::Newest | Self::Oldest => Place::Number(crate::columns::micros(one.created_at)),
            Self::Changed | Self::Unchanged => {
                Place::Number(crate::columns::micros(one.updated_at))
            }
            Self::Title | Self::TitleDown => Place::Text(match &one.title {
                Some(title) => {
                    let sorted: String = title.chars().take(TITLE_SORTED).collect();
                    sorted.to_ascii_lowercase()
                }
                None => NO_TITLE.into(),
            }),
            Self::MostTurns | Self::FewestTurns => whole(one.turns),
            Self::MostTokens | Self::FewestTokens => whole(one.tokens),
            Self::BestScore | Self::WorstScore => Place::Number(one.score.unwrap_or(NO_SCORE)),
        }
    }
}

/// Behind which row a list goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    pub(crate) at: Place,
    pub(crate) key: i64,
}

/// The value of a row that a list is sorted by.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Place {
    Number(i64),
    Text(String),
}

/// What the cursor of a list that is sorted by texts begins with: no number does.
const OF_TEXT: char = 't';

impl Cursor {
    /// Behind this conversation in that order.
    pub fn behind(one: &Summary, order: Order) -> Self {
        Self { at: order.value(one), key: one.key }
    }

    /// Behind the row of that number, in a list by moments.
    pub(crate) fn at(moment: i64, key: i64) -> Self {
        Self { at: Place::Number(moment), key }
    }

    /// The moment of a list that is sorted by one.
    pub(crate) fn moment(&self) -> i64 {
        match self.at {
            Place::Number(number) => number,
            Place::Text(_) => i64::MIN,
        }
    }
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.at {
            Place::Number(at) => write!(f, "{at:x}")?,
            Place::Text(text) => {
                write!(f, "{OF_TEXT}")?;
                text.bytes().try_for_each(|byte| write!(f, "{byte:02x}"))?;
            }
        }
        write!(f, "-{:x}", self.key)
    }
}

impl std::str::FromStr for Cursor {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        let number = |text: &str| u64::from_str_radix(text, 16).ok().map(u64::cast_signed);
        let place = |at: &str| match at.strip_prefix(OF_TEXT) {
            Some(digits) => text_of(digits).map(Place::Text),
            None => number(at).map(Place::Number),
        };
        text.split_once('-')
            .and_then(|(at, key)| Some(Self { at: place(at)?, key: number(key)? }))
            .ok_or_else(|| format!("`{text}` is not a cursor; use `next` of the previous page"))
    }
}

/// The text with those bytes, in hexadecimal digits.
fn text_of(digits: &str) -> Option<String> {
    let digit = |byte: u8| char::from(byte).to_digit(16).and_then(|digit| u8::try_from(digit).ok());
    let (pairs, rest) = digits.as_bytes().as_chunks();
    let bytes = pairs.iter().map(|&[high, low]| Some(digit(high)? << 4 | digit(low)?));
    let bytes = bytes.collect::<Option<Vec<u8>>>().filter(|_| rest.is_empty())?;
    String::from_utf8(bytes).ok()
}

impl Statement {
    /// Appends that a list of conversations goes on behind a place, in that order, and has `most` rows and one more, which
    /// shows whether there is another page. A cursor from another order starts at the beginning.
    pub(crate) fn in_order(
        &mut self,
        dialect: Dialect,
        order: Order,
        after: Option<Cursor>,
        most: usize,
    ) -> &mut Self {
        let (column, (goes_on, direction)) = (order.column(dialect), order.direction());
        let is_by_text = matches!(order, Order::Title | Order::TitleDown);
        let after = after.filter(|after| matches!(after.at, Place::Text(_)) == is_by_text);
        if let Some(Cursor { at, key }) = after {
            self.push(&format!(" AND ({column}, c.key) {goes_on} ("));
            match at {
                Place::Number(number) => self.int(number),
                Place::Text(text) => self.text(&text),
            };
            self.push(", ").int(key).push(")");
        }
        self.push(&format!(" ORDER BY {column} {direction}, c.key {direction} LIMIT "));
        self.int(i64::try_from(most).unwrap_or(i64::MAX).saturating_add(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_cursor_comes_back_from_its_text() {
        for at in [
            Place::Number(0),
            Place::Number(i64::MIN),
            Place::Text(String::new()),
            Place::Text("größe-返金".into()),
        ] {
            let cursor = Cursor { at, key: 77 };
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for wrong in ["", "7", "-", "t0-1", "tff-1", "tzz-1", "7-", "x-1"] {
            assert!(wrong.parse::<Cursor>().is_err(), "{wrong}");
        }
    }
}
