//! Looking around in a text.

use std::ops::Range;

pub(crate) fn before(text: &str, at: usize) -> Option<char> {
    text.get(..at)?.chars().next_back()
}

pub(crate) fn after(text: &str, at: usize) -> Option<char> {
    text.get(at..)?.chars().next()
}

pub(crate) fn byte(text: &str, at: usize) -> Option<u8> {
    text.as_bytes().get(at).copied()
}

pub(crate) fn matched<'t>(text: &'t str, range: &Range<usize>) -> &'t str {
    text.get(range.clone()).unwrap_or_default()
}

/// Whether a character can be part of the word or number next to it. Scripts that write no spaces never are.
pub(crate) fn joins(character: char) -> bool {
    character.is_ascii_alphanumeric()
        || character == '_'
        || (character.is_alphabetic() && character < '\u{250}')
}

/// Whether a range is not part of a longer word or number.
pub(crate) fn stands_alone(text: &str, range: &Range<usize>) -> bool {
    !before(text, range.start).is_some_and(joins) && !after(text, range.end).is_some_and(joins)
}

/// Where bytes of a class that begin here end, at most so many.
pub(crate) fn run(text: &str, start: usize, most: usize, is_part: impl Fn(u8) -> bool) -> usize {
    let rest = text.as_bytes().get(start..).unwrap_or_default();
    start + rest.iter().take(most).take_while(|byte| is_part(**byte)).count()
}

/// Where bytes of a class that end here begin, at most so many.
pub(crate) fn run_back(text: &str, end: usize, most: usize, is_part: impl Fn(u8) -> bool) -> usize {
    let front = text.as_bytes().get(..end).unwrap_or_default();
    end - front.iter().rev().take(most).take_while(|byte| is_part(**byte)).count()
}

/// The digits of a text as numbers.
pub(crate) fn digits(text: &str) -> Vec<u32> {
    text.chars().filter_map(|character| character.to_digit(10)).collect()
}

/// The number that some digits in a row are.
pub(crate) fn number(digits: &[u32], from: usize, count: usize) -> u64 {
    digits.iter().skip(from).take(count).fold(0, |all, digit| all * 10 + u64::from(*digit))
}
