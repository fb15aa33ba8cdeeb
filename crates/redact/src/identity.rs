//! National identity numbers that have a checksum, or a form of their own.

use std::ops::Range;

use crate::text::{before, byte, digits, matched, number, run, stands_alone};

/// The identity number that begins with the digit here.
pub(crate) fn of_digits(text: &str, start: usize) -> Option<Range<usize>> {
    united_states(text, start)
        .or_else(|| brazil(text, start))
        .or_else(|| china(text, start))
        .or_else(|| france(text, start))
        .or_else(|| spain(text, start))
        .filter(|range| stands_alone(text, range) && !is_joined(text, range))
}

fn is_joined(text: &str, range: &Range<usize>) -> bool {
    before(text, range.start).is_some_and(|one| matches!(one, '-' | '.' | '/'))
        || (matches!(byte(text, range.end), Some(b'-' | b'.' | b'/'))
            && byte(text, range.end + 1).is_some_and(|one| one.is_ascii_alphanumeric()))
}

/// The range of groups of digits with these lengths and what stands between them.
pub(crate) fn groups(text: &str, start: usize, shape: &[(usize, &str)]) -> Option<Range<usize>> {
    let mut at = start;
    for (length, separator) in shape {
        let end = run(text, at, length + 1, |one| one.is_ascii_digit());
        if end - at != *length || !text.get(end..)?.starts_with(separator) {
            return None;
        }
        at = end + separator.len();
    }
    Some(start..at)
}

/// A social security number of the United States: no number of an area, group or person that is never given.
fn united_states(text: &str, start: usize) -> Option<Range<usize>> {
    let range = groups(text, start, &[(3, "-"), (2, "-"), (4, "")])?;
    let found = digits(matched(text, &range));
    let is_given = !matches!(number(&found, 0, 3), 0 | 666 | 900..)
        && number(&found, 3, 2) != 0
        && number(&found, 5, 4) != 0;
    is_given.then_some(range)
}

/// The CPF of Brazil, with its two check digits.
fn brazil(text: &str, start: usize) -> Option<Range<usize>> {
    let range = groups(text, start, &[(3, "."), (3, "."), (3, "-"), (2, "")])?;
    let found = digits(matched(text, &range));
    let is_valid = [9, 10].into_iter().all(|count: usize| {
        let weights = (2..).take(count).collect::<Vec<u32>>();
        let sum: u32 = found.iter().take(count).zip(weights.iter().rev()).map(|(a, b)| a * b).sum();
        found.get(count) == Some(&(sum * 10 % 11 % 10))
    });
    is_valid.then_some(range)
}

/// The resident identity number of China: a date of birth, and a check character (ISO 7064 MOD 11-2).
fn china(text: &str, start: usize) -> Option<Range<usize>> {
    let end = run(text, start, 19, |one| one.is_ascii_digit());
    let end = match (end - start, byte(text, end)) {
        (18, _) => end,
        (17, Some(b'X' | b'x')) => end + 1,
        _ => return None,
    };
    let range = start..end;
    let found = digits(matched(text, &range));
    let is_date = matches!(number(&found, 6, 4), 1900..=2099)
        && matches!(number(&found, 10, 2), 1..=12)
        && matches!(number(&found, 12, 2), 1..=31);
    let sum = found.iter().take(17).fold(0, |sum, digit| (sum * 2 + digit * 2) % 11);
    let check = found.get(17).copied().unwrap_or(10);
    (is_date && found.first() != Some(&0) && (sum + check) % 11 == 1).then_some(range)
}

/// The number of the social security of France: sex, month of birth, and two check digits.
fn france(text: &str, start: usize) -> Option<Range<usize>> {
    let spaced = [(1, " "), (2, " "), (2, " "), (2, " "), (3, " "), (3, " "), (2, "")];
    let range = groups(text, start, &[(15, "")]).or_else(|| groups(text, start, &spaced))?;
    let found = digits(matched(text, &range));
    let is_valid = matches!(found.first(), Some(1 | 2))
        && matches!(number(&found, 3, 2), 1..=12 | 20..=42 | 50..)
        && 97 - number(&found, 0, 13) % 97 == number(&found, 13, 2);
    is_valid.then_some(range)
}

/// The DNI of Spain: eight digits and the letter that they give.
fn spain(text: &str, start: usize) -> Option<Range<usize>> {
    let range = groups(text, start, &[(8, "")])?;
    let letter = usize::from(byte(text, range.end) == Some(b'-')) + range.end;
    let given = char::from(byte(text, letter)?).to_ascii_uppercase();
    let rest = number(&digits(matched(text, &range)), 0, 8) % 23;
    let expected = "TRWAGMYFPDXBNJZSQVHLCKE".chars().nth(usize::try_from(rest).ok()?)?;
    // A lower-case letter behind digits is a unit or part of a hash.
    (given == expected && byte(text, letter)?.is_ascii_uppercase())
        .then_some(range.start..letter + 1)
}
