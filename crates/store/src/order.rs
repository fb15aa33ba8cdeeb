//! Sort orders of lists, and cursors for the next page.
//!
//! Lists are read from an index. The next page begins after the last row of the current one: by the sort value and, among
//! equal values, by the row's number in the store. [`orders`](crate::orders) has the orders of each list.

use crate::dialect::{Dialect, NO_TITLE, TITLE_SORTED};
use crate::error::Error;
use crate::statement::Statement;

/// The smallest number, for unknown values. No database accepts a smaller literal.
pub(crate) const LEAST: i64 = -i64::MAX;

/// The sort orders of lists of one kind of items.
pub trait ListOrder: Copy + Default + PartialEq + std::fmt::Debug + Send + Sync + 'static {
    /// An item as the list shows it.
    type Item: ListItem;

    /// All orders.
    const ALL: &'static [Self];

    /// What the order sorts by, and in which direction.
    fn sort(self) -> Sort<Self::Item>;

    /// Its name in URLs and on the command line.
    fn as_str(self) -> &'static str {
        self.sort().name
    }

    /// The order with that name.
    fn by_name(name: &str) -> Option<Self> {
        Self::ALL.iter().copied().find(|order| order.as_str() == name)
    }

    /// What comes first, in words.
    fn words(self) -> &'static str {
        self.sort().words
    }

    /// `ascending` or `descending`.
    fn direction_words(self) -> &'static str {
        if self.sort().is_ascending { "ascending" } else { "descending" }
    }
}

/// An item of a list.
pub trait ListItem {
    /// Its number in the store.
    fn key(&self) -> i64;
}

/// One order: its name, what comes first in words, and the sort key.
#[derive(Debug)]
pub struct Sort<T> {
    name: &'static str,
    words: &'static str,
    is_ascending: bool,
    by: SortKey<T>,
}

impl<T> Sort<T> {
    /// The smallest value first.
    pub(crate) fn ascending(name: &'static str, words: &'static str, by: SortKey<T>) -> Self {
        Self { name, words, is_ascending: true, by }
    }

    /// The largest value first.
    pub(crate) fn descending(name: &'static str, words: &'static str, by: SortKey<T>) -> Self {
        Self { name, words, is_ascending: false, by }
    }
}

/// A sort key: a column or an expression, written as in the index, and a function for an item's value.
#[derive(Debug)]
pub(crate) enum SortKey<T> {
    Number(&'static str, fn(&T) -> i64),
    /// A title. The case of ASCII letters is ignored, and items without a title come last.
    Title(&'static str, for<'t> fn(&'t T) -> Option<&'t str>),
}

impl<T> SortKey<T> {
    /// The column or expression, written as in the index.
    fn column(&self, dialect: Dialect) -> String {
        match self {
            Self::Number(column, _) => (*column).to_owned(),
            Self::Title(column, _) => dialect.sorted_title(column),
        }
    }

    /// The value of an item.
    fn value(&self, one: &T) -> SortValue {
        match self {
            Self::Number(_, number) => SortValue::Number(number(one)),
            Self::Title(_, title) => SortValue::Text(match title(one) {
                Some(title) => {
                    let sorted: String = title.chars().take(TITLE_SORTED).collect();
                    sorted.to_ascii_lowercase()
                }
                None => NO_TITLE.into(),
            }),
        }
    }
}

/// Behind which row a list goes on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cursor {
    at: SortValue,
    key: i64,
}

/// The value of a row that a list is sorted by.
#[derive(Clone, Debug, PartialEq, Eq)]
enum SortValue {
    Number(i64),
    Text(String),
}

/// What the cursor of a list that is sorted by texts begins with: no number does.
const OF_TEXT: char = 't';

impl Cursor {
    /// The position after this item in that order.
    pub fn behind<O: ListOrder>(one: &O::Item, order: O) -> Self {
        Self { at: order.sort().by.value(one), key: one.key() }
    }
}

/// The part of a list that is read.
#[derive(Clone, Debug)]
pub(crate) enum Part {
    /// From the beginning, or after a row.
    Onward(Option<Cursor>),
    /// Backwards from a row: the one just before it comes first.
    Back(Cursor),
}

/// The items before and after one in a list; `find` reads the first item of a part of it.
pub(crate) fn neighbours<O: ListOrder>(
    one: &O::Item,
    order: O,
    mut find: impl FnMut(Part) -> Result<Option<O::Item>, Error>,
) -> Result<[Option<O::Item>; 2], Error> {
    let here = Cursor::behind(one, order);
    Ok([find(Part::Back(here.clone()))?, find(Part::Onward(Some(here)))?])
}

impl std::fmt::Display for Cursor {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match &self.at {
            SortValue::Number(at) => write!(f, "{at:x}")?,
            SortValue::Text(text) => {
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
            Some(digits) => text_of(digits).map(SortValue::Text),
            None => number(at).map(SortValue::Number),
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
    /// Appends the condition, order and limit for this part of a list: `most` rows and one more, which shows whether
    /// there is another page. A cursor from another order starts at the beginning.
    pub(crate) fn in_order<O: ListOrder>(
        &mut self,
        dialect: Dialect,
        order: O,
        part: Part,
        most: usize,
    ) -> &mut Self {
        let Sort { by, is_ascending, .. } = order.sort();
        let column = by.column(dialect);
        let (cursor, is_ascending) = match part {
            Part::Onward(cursor) => (cursor, is_ascending),
            Part::Back(cursor) => (Some(cursor), !is_ascending),
        };
        let (goes_on, direction) = if is_ascending { (">", "ASC") } else { ("<", "DESC") };
        let is_by_text = matches!(by, SortKey::Title(..));
        let cursor = cursor.filter(|one| matches!(one.at, SortValue::Text(_)) == is_by_text);
        if let Some(Cursor { at, key }) = cursor {
            self.push(&format!(" AND ({column}, c.key) {goes_on} ("));
            match at {
                SortValue::Number(number) => self.int(number),
                SortValue::Text(text) => self.text(&text),
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
            SortValue::Number(0),
            SortValue::Number(i64::MIN),
            SortValue::Text(String::new()),
            SortValue::Text("größe-返金".into()),
        ] {
            let cursor = Cursor { at, key: 77 };
            assert_eq!(cursor.to_string().parse(), Ok(cursor));
        }
        for wrong in ["", "7", "-", "t0-1", "tff-1", "tzz-1", "7-", "x-1"] {
            assert!(wrong.parse::<Cursor>().is_err(), "{wrong}");
        }
    }
}
