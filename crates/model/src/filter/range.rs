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
    /// Whether the moment is in the range. An unknown moment is only in the range without ends.
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

/// A range of numbers; both ends belong to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ClosedRange<T> {
    /// The smallest number inside.
    pub from: Option<T>,
    /// The largest number inside.
    pub to: Option<T>,
}

/// A range of whole numbers.
pub type NumberRange = ClosedRange<u64>;

/// A range of decimal numbers, in millionths.
pub type DecimalRange = ClosedRange<i64>;

impl<T: Copy + PartialOrd> ClosedRange<T> {
    /// Whether a number is in the range.
    pub fn contains(&self, number: T) -> bool {
        self.from.is_none_or(|from| number >= from) && self.to.is_none_or(|to| number <= to)
    }

    /// Whether every number is in it.
    pub fn is_all(&self) -> bool {
        self.from.is_none() && self.to.is_none()
    }

    /// Reads `4..10`, `4..`, `..10`, or `4` for that number alone.
    fn read(text: &str, number: impl Fn(&str) -> Option<T>) -> Option<Self> {
        let end = |text: &str| match text.trim() {
            "" => Some(None),
            digits => number(digits).map(Some),
        };
        let (from, to) = text.split_once("..").unwrap_or((text, text));
        let range = Self { from: end(from)?, to: end(to)? };
        let is_empty = range.from.zip(range.to).is_some_and(|(from, to)| from > to);
        (!is_empty && !range.is_all()).then_some(range)
    }

    fn write(&self, f: &mut fmt::Formatter<'_>, text: impl Fn(T) -> String) -> fmt::Result {
        let end = |end: Option<T>| end.map(&text).unwrap_or_default();
        if self.from == self.to {
            return f.write_str(&end(self.from));
        }
        write!(f, "{}..{}", end(self.from), end(self.to))
    }
}

impl FromStr for NumberRange {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        Self::read(text, |digits| digits.parse().ok()).ok_or_else(|| {
            format!("`{text}` is not a range of whole numbers: write `4..10`, `4..`, `..10` or `4`")
        })
    }
}

impl fmt::Display for NumberRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, |number| number.to_string())
    }
}

/// One in millionths.
const ONE: i64 = 1_000_000;

/// A decimal number with up to six digits after the point, in millionths.
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

    fn from_str(text: &str) -> Result<Self, String> {
        Self::read(text, millionths).ok_or_else(|| {
            format!(
                "`{text}` is not a range of numbers: write `0.5..4`, `4..`, `..1` or `3`, with up to six digits after the point"
            )
        })
    }
}

impl fmt::Display for DecimalRange {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.write(f, |number| {
            let sign = if number < 0 { "-" } else { "" };
            let (whole, part) = (number.abs() / ONE, number.abs() % ONE);
            let text = format!("{sign}{whole}.{part:06}");
            text.trim_end_matches('0').trim_end_matches('.').to_owned()
        })
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
