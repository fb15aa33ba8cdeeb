//! Moments, with the offset that the source gave.

use std::fmt;

use ::time::format_description::well_known::Rfc3339;
use ::time::{Date, Month, OffsetDateTime, PrimitiveDateTime, UtcOffset};

/// A moment and the offset from UTC in which the source wrote it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Time(OffsetDateTime);

/// A text that is no moment.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TimeError(String);

impl fmt::Display for TimeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "not a date or time: `{}`; write it like `2024-01-31` or `2024-01-31T09:30:00Z`",
            self.0
        )
    }
}

impl std::error::Error for TimeError {}

impl Time {
    /// Reads RFC 3339, a date (its first moment, UTC), or a date and time without offset (taken as UTC), with
    /// `T` or a space between them.
    ///
    /// # Errors
    /// The text, if it is none of these.
    pub fn parse(text: &str) -> Result<Self, TimeError> {
        let fail = || TimeError(text.chars().take(40).collect());
        let trimmed = text.trim();
        if !trimmed.is_ascii() {
            return Err(fail());
        }
        let (date, rest) = trimmed.split_at_checked(10).ok_or_else(fail)?;
        let date = parse_date(date).ok_or_else(fail)?;
        if rest.is_empty() {
            return Self::within(date.midnight().assume_utc()).ok_or_else(fail);
        }
        let clock = rest.strip_prefix(['T', 't', ' ']).ok_or_else(fail)?;
        let zone_at = clock.find(['Z', 'z', '+', '-']).unwrap_or(clock.len());
        let (clock, zone) = clock.split_at(zone_at);
        let time = parse_clock(clock.trim_end()).ok_or_else(fail)?;
        let offset = parse_offset(zone).ok_or_else(fail)?;
        Self::within(PrimitiveDateTime::new(date, time).assume_offset(offset)).ok_or_else(fail)
    }

    /// The moment, if RFC 3339 can write it: in the years 0 to 9999.
    fn within(time: OffsetDateTime) -> Option<Self> {
        (0..=9999).contains(&time.year()).then_some(Self(time))
    }

    /// A moment from seconds since 1970, as a number's text: `1722470400`, `1722470400.25`; numbers too large
    /// for seconds of this age are taken as milliseconds.
    pub fn from_epoch(number: &str) -> Option<Self> {
        let seconds: f64 = number.parse().ok()?;
        if !seconds.is_finite() {
            return None;
        }
        let seconds = if seconds.abs() >= 1e11 { seconds / 1000.0 } else { seconds };
        // Microseconds: what a double still holds exactly at this size.
        let micros = (seconds * 1e6).round();
        if micros.abs() > 2.5e17 {
            return None;
        }
        #[allow(clippy::cast_possible_truncation, reason = "bounded above")]
        OffsetDateTime::from_unix_timestamp_nanos(micros as i128 * 1000).ok().and_then(Self::within)
    }

    /// A moment from milliseconds since 1970.
    pub fn from_epoch_ms(ms: i64) -> Option<Self> {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(ms) * 1_000_000)
            .ok()
            .and_then(Self::within)
    }

    /// A moment from microseconds since 1970, in UTC.
    pub fn from_unix_micros(micros: i64) -> Option<Self> {
        OffsetDateTime::from_unix_timestamp_nanos(i128::from(micros) * 1000)
            .ok()
            .and_then(Self::within)
    }

    /// Microseconds since 1970, rounded down.
    pub fn unix_micros(self) -> i64 {
        i64::try_from(self.0.unix_timestamp_nanos().div_euclid(1000)).unwrap_or(i64::MAX)
    }
}

fn parse_date(text: &str) -> Option<Date> {
    let mut fields = text.splitn(3, '-');
    let mut number = || -> Option<u32> {
        fields.next().filter(|f| f.bytes().all(|b| b.is_ascii_digit()))?.parse().ok()
    };
    let (year, month, day) = (number()?, number()?, number()?);
    let month = Month::try_from(u8::try_from(month).ok()?).ok()?;
    Date::from_calendar_date(i32::try_from(year).ok()?, month, u8::try_from(day).ok()?).ok()
}

fn parse_clock(text: &str) -> Option<::time::Time> {
    let (clock, fraction) = text.split_once(['.', ',']).unwrap_or((text, ""));
    let mut fields = clock.split(':');
    let mut number = |default: Option<u8>| -> Option<u8> {
        match fields.next() {
            Some(field) if field.len() == 2 => field.parse().ok(),
            Some(_) => None,
            None => default,
        }
    };
    let (hour, minute, second) = (number(None)?, number(None)?, number(Some(0))?);
    if fields.next().is_some() || !fraction.bytes().all(|b| b.is_ascii_digit()) {
        return None;
    }
    let digits = fraction.bytes().chain(std::iter::repeat(b'0')).take(9);
    let nanos = digits.fold(0, |nanos, digit| nanos * 10 + u32::from(digit - b'0'));
    // A leap second is read as the last moment of its minute.
    ::time::Time::from_hms_nano(hour, minute, second.min(59), nanos).ok()
}

fn parse_offset(text: &str) -> Option<UtcOffset> {
    if text.is_empty() || text.eq_ignore_ascii_case("z") {
        return Some(UtcOffset::UTC);
    }
    let sign = if text.starts_with('-') { -1 } else { 1 };
    let digits: String = text.get(1..)?.chars().filter(|c| *c != ':').collect();
    if !(digits.len() == 2 || digits.len() == 4) {
        return None;
    }
    let hours: i8 = digits.get(..2)?.parse().ok()?;
    let minutes: i8 = digits.get(2..).filter(|m| !m.is_empty()).map_or(Ok(0), str::parse).ok()?;
    UtcOffset::from_hms(sign * hours, sign * minutes, 0).ok()
}

impl fmt::Display for Time {
    /// RFC 3339 with the source's offset.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // What RFC 3339 cannot write is never made, so this does not fail.
        f.write_str(&self.0.format(&Rfc3339).map_err(|_| fmt::Error)?)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(text: &str, expect: &str) {
        assert_eq!(Time::parse(text).unwrap().to_string(), expect, "{text}");
    }

    #[test]
    fn the_forms_of_histories_are_read_and_keep_their_offset() {
        check("2024-02-29", "2024-02-29T00:00:00Z");
        check("2023-08-14T16:35:40.508062-07:00", "2023-08-14T16:35:40.508062-07:00");
        check("2025-11-25T00:00:00.000Z", "2025-11-25T00:00:00Z");
        check("2025-11-25 08:01:02", "2025-11-25T08:01:02Z");
        check("2025-11-25 08:01:02.5+00", "2025-11-25T08:01:02.5Z");
        check("2025-11-25T08:01+0530", "2025-11-25T08:01:00+05:30");
    }

    #[test]
    fn what_is_no_time_is_refused() {
        for text in [
            "",
            "yesterday",
            "2024-13-01",
            "2024-02-30",
            "2024-01-01T25:00:00Z",
            "2024-01-01T",
            "２０２４-01-01",
        ] {
            assert!(Time::parse(text).is_err(), "{text}");
        }
    }

    #[test]
    fn epochs_are_read_in_seconds_and_in_milliseconds() {
        let expect = Time::parse("2024-08-01T00:00:00.25Z").unwrap();
        assert_eq!(Time::from_epoch("1722470400.25"), Some(expect));
        assert_eq!(Time::from_epoch("1722470400250"), Some(expect));
        assert_eq!(Time::from_epoch("1e300"), None);
    }

    #[test]
    fn moments_are_compared_across_offsets() {
        assert!(
            Time::parse("2024-01-01T01:00:00+02:00").unwrap() < Time::parse("2024-01-01").unwrap()
        );
    }
}
