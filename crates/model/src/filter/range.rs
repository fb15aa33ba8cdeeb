//! Ranges of moments and of numbers.

use std::fmt;
use std::str::FromStr;

use crate::time::{Time, TimeError};

/// A half-open range of moments: `from` belongs to it, `before` does not.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DateRange {
    /// The first moment inside.
    pub from: Option<Time>,
    /// The first moment outside again.
    pub before: Option<Time>,
}

impl DateRange {
    /// Whether the moment lies in the range. An unknown moment lies only in the range without ends.
    pub fn contains(&self, time: Option<Time>) -> bool {
        match time {
            Some(time) => {
                self.from.is_none_or(|from| time >= from)
                    && self.before.is_none_or(|end| time < end)
            }
            None => self.from.is_none() && self.before.is_none(),
        }
    }
}

impl FromStr for DateRange {
    type Err = TimeError;

    /// Reads `FROM..BEFORE`, either end left out at will.
    fn from_str(text: &str) -> Result<Self, TimeError> {
        let (from, before) = text.split_once("..").unwrap_or((text, ""));
        let end = |text: &str| if text.is_empty() { Ok(None) } else { Time::parse(text).map(Some) };
        Ok(Self { from: end(from)?, before: end(before)? })
    }
}

impl fmt::Display for DateRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(from) = self.from {
            write!(f, "{from}")?;
        }
        f.write_str("..")?;
        if let Some(before) = self.before {
            write!(f, "{before}")?;
        }
        Ok(())
    }
}

/// A range of whole numbers; both ends belong to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct NumberRange {
    /// The smallest number inside.
    pub from: Option<u64>,
    /// The largest number inside.
    pub to: Option<u64>,
}

impl NumberRange {
    /// Whether a number lies in the range.
    pub fn contains(&self, number: u64) -> bool {
        self.from.is_none_or(|from| number >= from) && self.to.is_none_or(|to| number <= to)
    }

    /// Whether every number lies in it.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }
}

impl FromStr for NumberRange {
    type Err = String;

    /// Reads `4..10`, `4..`, `..10`, or `4` for that number alone.
    fn from_str(text: &str) -> Result<Self, String> {
        let fail = || {
            format!("`{text}` is not a range of whole numbers: write `4..10`, `4..`, `..10` or `4`")
        };
        let end = |text: &str| match text.trim() {
            "" => Ok(None),
            digits => digits.parse().map(Some).map_err(|_| fail()),
        };
        let range = match text.split_once("..") {
            Some((from, to)) => Self { from: end(from)?, to: end(to)? },
            None => Self { from: end(text)?, to: end(text)? },
        };
        let is_empty = range.from.zip(range.to).is_some_and(|(from, to)| from > to);
        if is_empty || range.is_all() { Err(fail()) } else { Ok(range) }
    }
}

impl fmt::Display for NumberRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = |end: Option<u64>| end.map(|number| number.to_string()).unwrap_or_default();
        if self.from == self.to {
            return f.write_str(&end(self.from));
        }
        write!(f, "{}..{}", end(self.from), end(self.to))
    }
}

/// A range of decimal numbers; both ends belong to it. Kept in millionths.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DecimalRange {
    /// The smallest number inside.
    pub from: Option<i64>,
    /// The largest number inside.
    pub to: Option<i64>,
}

/// One in millionths.
const ONE: i64 = 1_000_000;

impl DecimalRange {
    /// Whether a number, in millionths, lies in the range.
    pub fn contains(&self, number: i64) -> bool {
        self.from.is_none_or(|from| number >= from) && self.to.is_none_or(|to| number <= to)
    }

    /// Whether every number lies in it.
    pub fn is_all(&self) -> bool {
        *self == Self::default()
    }
}

/// A decimal number with up to six digits behind the point, in millionths.
fn millionths(text: &str) -> Option<i64> {
    let (sign, digits) = text.strip_prefix('-').map_or((1, text), |digits| (-1, digits));
    let (whole, part) = digits.split_once('.').unwrap_or((digits, ""));
    let is_number = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
    if whole.is_empty() || part.len() > 6 || !is_number(whole) || !is_number(part) {
        return None;
    }
    let part: i64 = format!("{part:0<6}").parse().ok()?;
    whole.parse::<i64>().ok()?.checked_mul(ONE)?.checked_add(part).map(|number| sign * number)
}

impl FromStr for DecimalRange {
    type Err = String;

    /// Reads `0.5..4`, `4..`, `..-1`, or `3` for that number alone.
    fn from_str(text: &str) -> Result<Self, String> {
        let fail = || {
            format!(
                "`{text}` is not a range of numbers: write `0.5..4`, `4..`, `..1` or `3`, with up to six digits behind the point"
            )
        };
        let end = |text: &str| match text.trim() {
            "" => Ok(None),
            digits => millionths(digits).map(Some).ok_or_else(fail),
        };
        let range = match text.split_once("..") {
            Some((from, to)) => Self { from: end(from)?, to: end(to)? },
            None => Self { from: end(text)?, to: end(text)? },
        };
        let is_empty = range.from.zip(range.to).is_some_and(|(from, to)| from > to);
        if is_empty || range.is_all() { Err(fail()) } else { Ok(range) }
    }
}

impl fmt::Display for DecimalRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let end = |end: Option<i64>| {
            let Some(number) = end else { return String::new() };
            let sign = if number < 0 { "-" } else { "" };
            let (whole, part) = (number.abs() / ONE, number.abs() % ONE);
            let text = format!("{sign}{whole}.{part:06}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        };
        if self.from == self.to {
            return f.write_str(&end(self.from));
        }
        write!(f, "{}..{}", end(self.from), end(self.to))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn both_ends_of_a_range_of_decimal_numbers_belong_to_it() {
        for (text, inside, outside) in [
            ("0.5..4", &[500_000, 4_000_000][..], &[499_999, 4_000_001][..]),
            ("4..", &[4_000_000], &[3_999_999]),
            ("..-1", &[-1_000_000], &[-999_999, 0]),
            ("-2.25", &[-2_250_000], &[2_250_000]),
        ] {
            let range: DecimalRange = text.parse().unwrap();
            assert!(inside.iter().all(|number| range.contains(*number)), "{text}");
            assert!(!outside.iter().any(|number| range.contains(*number)), "{text}");
            assert_eq!(range.to_string(), text);
        }
        for text in ["", "..", "2..1", "a", "1.2345678", ".5", "--1", "1e3"] {
            let error = text.parse::<DecimalRange>().unwrap_err();
            assert!(error.contains("write `0.5..4`"), "{error}");
        }
    }

    #[test]
    fn both_ends_of_a_range_of_numbers_belong_to_it() {
        for (text, inside, outside) in [
            ("4..10", &[4, 10][..], &[3, 11][..]),
            ("4..", &[4, u64::MAX], &[3]),
            ("..10", &[0, 10], &[11]),
            ("4", &[4], &[3, 5]),
        ] {
            let range: NumberRange = text.parse().unwrap();
            assert!(inside.iter().all(|number| range.contains(*number)), "{text}");
            assert!(!outside.iter().any(|number| range.contains(*number)), "{text}");
            assert_eq!(range.to_string(), text);
        }
        for text in ["", "..", "10..4", "a", "-1", "1.5", "4..x"] {
            let error = text.parse::<NumberRange>().unwrap_err();
            assert!(error.contains("write `4..10`"), "{error}");
        }
    }
}
