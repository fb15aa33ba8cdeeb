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

    /// Reads a moment in any form that systems write and that can be read in one way only: what [`Self::parse`] reads,
    /// RFC 2822, what JavaScript, Java, C, BigQuery and web servers print, dates that name the month, numbers since 1970
    /// in a text. The parts may be in any order; a zone is an offset or an abbreviation with one meaning.
    pub fn parse_any(text: &str) -> Option<Self> {
        Self::parse(text).ok().or_else(|| Parts::of(text)?.moment())
    }

    /// A moment from a number's text since 1970. Its size tells the unit: seconds (`1722470400`, `1722470400.25`),
    /// milliseconds, microseconds or nanoseconds, each for years up to 5138.
    pub fn from_epoch(number: &str) -> Option<Self> {
        if let Ok(whole) = number.parse::<i64>() {
            let nanos = match whole.unsigned_abs() {
                size if size < 100_000_000_000 => 1_000_000_000,
                size if size < 100_000_000_000_000 => 1_000_000,
                size if size < 100_000_000_000_000_000 => 1_000,
                _ => 1,
            };
            return Self::from_unix_nanos(i128::from(whole) * nanos);
        }
        let seconds: f64 = number.parse().ok()?;
        let seconds = match seconds.abs() {
            size if size < 1e11 => seconds,
            size if size < 1e14 => seconds / 1e3,
            size if size < 1e17 => seconds / 1e6,
            size if size < 1e19 => seconds / 1e9,
            _ => return None,
        };
        // Microseconds: what a double still holds exactly at this size.
        #[allow(clippy::cast_possible_truncation, reason = "bounded above")]
        Self::from_unix_nanos((seconds * 1e6).round() as i128 * 1000)
    }

    /// A moment from nanoseconds since 1970, in UTC.
    pub fn from_unix_nanos(nanos: i128) -> Option<Self> {
        OffsetDateTime::from_unix_timestamp_nanos(nanos).ok().and_then(Self::within)
    }

    /// A moment from milliseconds since 1970.
    pub fn from_epoch_ms(ms: i64) -> Option<Self> {
        Self::from_unix_nanos(i128::from(ms) * 1_000_000)
    }

    /// A moment from microseconds since 1970, in UTC.
    pub fn from_unix_micros(micros: i64) -> Option<Self> {
        Self::from_unix_nanos(i128::from(micros) * 1000)
    }

    /// Nanoseconds since 1970.
    pub fn unix_nanos(self) -> i128 {
        self.0.unix_timestamp_nanos()
    }

    /// Microseconds since 1970, rounded down.
    pub fn unix_micros(self) -> i64 {
        i64::try_from(self.0.unix_timestamp_nanos().div_euclid(1000)).unwrap_or(i64::MAX)
    }
}

impl From<Time> for OffsetDateTime {
    fn from(time: Time) -> Self {
        time.0
    }
}

impl From<OffsetDateTime> for Time {
    fn from(time: OffsetDateTime) -> Self {
        Self(time)
    }
}

/// Longest text that is looked at as a moment: JavaScript writes up to 70 characters.
const LONGEST: usize = 100;

/// The parts of a moment, as they are found in a text.
#[derive(Default)]
struct Parts {
    date: Option<Date>,
    /// Of a date whose parts stand apart.
    day: Option<u8>,
    month: Option<Month>,
    year: Option<i32>,
    clock: Option<::time::Time>,
    is_afternoon: Option<bool>,
    offset: Option<UtcOffset>,
    /// Of a number since 1970, which is the whole text.
    moment: Option<Time>,
}

impl Parts {
    fn of(text: &str) -> Option<Self> {
        // Spaces that do not break come before AM and PM.
        let mut text = text.trim().replace(['\u{202f}', '\u{a0}'], " ");
        if text.contains('年') {
            // As Chinese and Japanese write a date: `2024年1月2日`.
            text = text.replace(['年', '月'], "-").replace('日', " ");
        }
        if text.len() > LONGEST || !text.is_ascii() {
            return None;
        }
        let mut parts = Self::default();
        if text.starts_with(|first: char| first.is_ascii_digit() || first == '-')
            && let Some(done) = parts.digits(&text)
        {
            return Some(done);
        }
        if let Some(ms) = text.strip_prefix("/Date(").and_then(|rest| rest.strip_suffix(")/")) {
            // What .NET writes: milliseconds, with an offset that says where they were read off.
            let end = ms.get(1..)?.find(['+', '-']).map_or(ms.len(), |at| at + 1);
            parts.moment = Time::from_epoch_ms(ms.get(..end)?.parse().ok()?);
            return Some(parts);
        }
        // A zone's name behind its offset: `+01:00[Europe/Paris]`, `GMT+0100 (Central European Standard Time)`.
        let text = text
            .find(['[', '('])
            .filter(|_| text.ends_with([']', ')']))
            .map_or(&*text, |at| &text[..at]);
        let mut words = text.split([' ', ',', '\t']).filter(|word| !word.is_empty());
        words.try_for_each(|word| parts.word(word))?;
        Some(parts)
    }

    /// The whole text as one number: of the day, or since 1970.
    fn digits(&mut self, text: &str) -> Option<Self> {
        let whole = text.strip_suffix(['Z', 'z']).unwrap_or(text);
        let (date, clock) = match whole.split_once(['T', 't']) {
            Some((date, clock)) => (date, clock),
            None => whole.split_at_checked(8).filter(|_| matches!(whole.len(), 8 | 14))?,
        };
        let is_digits = |text: &str| text.bytes().all(|byte| byte.is_ascii_digit());
        if date.len() == 8 && is_digits(date) && matches!(clock.len(), 0 | 6) && is_digits(clock) {
            let date = format!("{}-{}-{}", &date[..4], &date[4..6], &date[6..]);
            self.date = Some(parse_date(&date)?);
            if !clock.is_empty() {
                let clock = format!("{}:{}:{}", &clock[..2], &clock[2..4], &clock[4..]);
                self.clock = Some(parse_clock(&clock)?);
            }
            return Some(std::mem::take(self));
        }
        None
    }

    /// Takes a word; `None` if it says nothing that is known.
    fn word(&mut self, word: &str) -> Option<()> {
        let is_numeric = word.bytes().all(|byte| byte.is_ascii_digit());
        if is_numeric && word.len() >= 3 || word.parse::<f64>().is_ok() && word.contains('.') {
            return self.number(word);
        }
        if word.contains(':') {
            return self.time_of_day(word);
        }
        let bare = word.trim_end_matches('.').to_ascii_lowercase();
        if is_numeric
            || ["st", "nd", "rd", "th"].iter().any(|end| bare.ends_with(end))
                && word.starts_with(|c: char| c.is_ascii_digit())
        {
            let day =
                bare.trim_end_matches(|last: char| last.is_ascii_alphabetic()).parse().ok()?;
            return self.day.replace(day).is_none().then_some(());
        }
        if let Some(month) = month_of(&bare) {
            return self.month.replace(month).is_none().then_some(());
        }
        match &*bare {
            "at" | "t" => return Some(()),
            "am" | "a.m" | "pm" | "p.m" => {
                return self.is_afternoon.replace(bare.starts_with('p')).is_none().then_some(());
            }
            _ if is_weekday(&bare) => return Some(()),
            _ => {}
        }
        if let Some(offset) = zone(word) {
            // `UTC +0100` says both; the second counts.
            self.offset = Some(offset);
            return Some(());
        }
        self.date_in_one(word)
    }

    /// A year, or the number since 1970 that is the whole text.
    fn number(&mut self, word: &str) -> Option<()> {
        if word.len() == 4 && !word.contains('.') {
            return self.year.replace(word.parse().ok()?).is_none().then_some(());
        }
        let is_alone = self.date.is_none() && self.month.is_none() && self.clock.is_none();
        if word.len() < 9 || !is_alone {
            return None;
        }
        self.moment = Some(Time::from_epoch(word)?);
        Some(())
    }

    /// `3:04`, `03:04:05.678`, `3:04pm`, `03:04:05+0100`, also behind a date: `2024-01-02T03:04:05`.
    fn time_of_day(&mut self, word: &str) -> Option<()> {
        if let Some(offset) = zone(word) {
            self.offset = Some(offset);
            return Some(());
        }
        let colon = word.find(':')?;
        let (date, clock) = match word[..colon].rfind(['T', 't']) {
            Some(at) => (&word[..at], &word[at + 1..]),
            // As web servers write it: `02/Jan/2024:03:04:05`.
            None if word[..colon].contains('/') => (&word[..colon], &word[colon + 1..]),
            None => ("", word),
        };
        if !date.is_empty() {
            self.date_in_one(date)?;
        }
        let digits = |byte: char| byte.is_ascii_digit() || matches!(byte, ':' | '.' | ',');
        let end = clock.find(|byte| !digits(byte)).unwrap_or(clock.len());
        let (clock, rest) = clock.split_at(end);
        let padded =
            if clock.find(':') == Some(1) { format!("0{clock}") } else { clock.to_owned() };
        let had = self.clock.replace(parse_clock(&padded)?);
        let rest_is_read = match &*rest.to_ascii_lowercase() {
            "" => true,
            half @ ("am" | "pm") => self.is_afternoon.replace(half == "pm").is_none(),
            _ => self.offset.replace(zone(rest)?).is_none(),
        };
        (had.is_none() && rest_is_read).then_some(())
    }

    /// `2024-1-2`, `2024/01/02`, `2024.01.02`, `02-Jan-2024`, `02/Jan/2024`, and `31/12/2024` or
    /// `12/31/2024`, where only one of the two numbers can be the month, so that every country reads it the same way.
    fn date_in_one(&mut self, word: &str) -> Option<()> {
        if word.len() == 8 && word.bytes().all(|byte| byte.is_ascii_digit()) {
            let date = format!("{}-{}-{}", &word[..4], &word[4..6], &word[6..]);
            return self.date.replace(parse_date(&date)?).is_none().then_some(());
        }
        let mut fields = word.split(['-', '/', '.']);
        let (first, second, third) = (fields.next()?, fields.next()?, fields.next()?);
        if fields.next().is_some() {
            return None;
        }
        let date = match month_of(&second.to_ascii_lowercase()) {
            Some(month) if third.len() == 4 => {
                Date::from_calendar_date(third.parse().ok()?, month, first.parse().ok()?).ok()?
            }
            None if first.len() == 4 => parse_date(&format!("{first}-{second}-{third}"))?,
            None if third.len() == 4 => {
                let is_month = |field: &str| field.parse::<u8>().is_ok_and(|number| number <= 12);
                match (is_month(first), is_month(second)) {
                    (false, true) => parse_date(&format!("{third}-{second}-{first}"))?,
                    (true, false) => parse_date(&format!("{third}-{first}-{second}"))?,
                    _ => return None,
                }
            }
            _ => return None,
        };
        self.date.replace(date).is_none().then_some(())
    }

    fn moment(self) -> Option<Time> {
        if let Some(moment) = self.moment {
            let is_alone = self.date.is_none() && self.year.is_none() && self.clock.is_none();
            return is_alone.then_some(moment);
        }
        let date = match (self.date, self.year, self.month, self.day) {
            (Some(date), None, None, None) => date,
            (None, Some(year), Some(month), Some(day)) => {
                Date::from_calendar_date(year, month, day).ok()?
            }
            _ => return None,
        };
        let mut clock = match (self.clock, self.is_afternoon) {
            (None, Some(_)) => return None,
            (clock, _) => clock.unwrap_or(::time::Time::MIDNIGHT),
        };
        if let Some(is_afternoon) = self.is_afternoon {
            if !(1..=12).contains(&clock.hour()) {
                return None;
            }
            clock =
                clock.replace_hour(clock.hour() % 12 + if is_afternoon { 12 } else { 0 }).ok()?;
        }
        let offset = self.offset.unwrap_or(UtcOffset::UTC);
        Time::within(PrimitiveDateTime::new(date, clock).assume_offset(offset))
    }
}

/// The month of an English name or its first three or four letters.
fn month_of(word: &str) -> Option<Month> {
    const NAMES: [&str; 12] = [
        "january",
        "february",
        "march",
        "april",
        "may",
        "june",
        "july",
        "august",
        "september",
        "october",
        "november",
        "december",
    ];
    let at = NAMES
        .iter()
        .position(|name| *name == word || matches!(word.len(), 3 | 4) && name.starts_with(word))?;
    Month::try_from(u8::try_from(at + 1).ok()?).ok()
}

fn is_weekday(word: &str) -> bool {
    ["monday", "tuesday", "wednesday", "thursday", "friday", "saturday", "sunday"]
        .iter()
        .any(|name| *name == word || (3..=5).contains(&word.len()) && name.starts_with(word))
}

/// An offset, or an abbreviation of a zone that means one alone: those of RFC 2822 and the European ones.
fn zone(word: &str) -> Option<UtcOffset> {
    let hours = match &*word.to_ascii_uppercase() {
        "Z" | "UTC" | "GMT" | "UT" | "WET" => 0,
        "EST" => -5,
        "EDT" => -4,
        "CST" => -6,
        "CDT" => -5,
        "MST" => -7,
        "MDT" => -6,
        "PST" => -8,
        "PDT" => -7,
        "CET" | "WEST" => 1,
        "CEST" | "EET" => 2,
        "EEST" | "MSK" => 3,
        "JST" | "KST" => 9,
        upper => {
            let offset = upper.trim_start_matches("UTC").trim_start_matches("GMT");
            if !offset.starts_with(['+', '-']) {
                return None;
            }
            let sign = offset.get(..1)?;
            let (hours, minutes) =
                offset.get(1..)?.split_once(':').unwrap_or((offset.get(1..)?, ""));
            // `UTC+2`
            let padded = if hours.len() == 1 { format!("0{hours}") } else { hours.to_owned() };
            return parse_offset(&format!("{sign}{padded}{minutes}"));
        }
    };
    UtcOffset::from_hms(hours, 0, 0).ok()
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
    fn epochs_are_read_in_every_unit_by_their_size() {
        let expect = Time::parse("2024-08-01T00:00:00.25Z").unwrap();
        for number in [
            "1722470400.25",
            "1722470400250",
            "1722470400250.0",
            "1722470400250000",
            "1722470400250000000",
            "1.72247040025e9",
        ] {
            assert_eq!(Time::from_epoch(number), Some(expect), "{number}");
            assert_eq!(Time::parse_any(number), Some(expect), "{number}");
        }
        // Report time-microseconds.
        let check = |number, expect| {
            assert_eq!(Time::from_epoch(number).unwrap().to_string(), expect, "{number}");
        };
        check("1704164645678901", "2024-01-02T03:04:05.678901Z");
        check("1704164645678901234", "2024-01-02T03:04:05.678901234Z");
        check("-1", "1969-12-31T23:59:59Z");
        check("0", "1970-01-01T00:00:00Z");
        for none in ["1e300", "99999999999999999999", "NaN", "inf", ""] {
            assert_eq!(Time::from_epoch(none), None, "{none}");
        }
    }

    #[test]
    fn what_other_systems_print_is_read() {
        for (text, expect) in [
            // Report time-with-utc-word.
            ("2024-01-02 03:04:05 UTC", "2024-01-02T03:04:05Z"),
            ("2024-01-02 03:04:05.678901 UTC", "2024-01-02T03:04:05.678901Z"),
            ("2024-01-02 03:04:05 GMT", "2024-01-02T03:04:05Z"),
            ("2024-01-02 03:04:05 Z", "2024-01-02T03:04:05Z"),
            ("2024-01-02 03:04:05 +0000 UTC", "2024-01-02T03:04:05Z"),
            ("2024-01-02 03:04:05 -0330", "2024-01-02T03:04:05-03:30"),
            ("2024-01-02 03:04:05 EST", "2024-01-02T03:04:05-05:00"),
            ("2024-01-02 03:04:05 UTC+2", "2024-01-02T03:04:05+02:00"),
            ("2024-01-02T03:04:05+01:00[Europe/Paris]", "2024-01-02T03:04:05+01:00"),
            ("2024-01-02 3:04:05", "2024-01-02T03:04:05Z"),
            ("2024-1-2 03:04", "2024-01-02T03:04:00Z"),
            ("2024/01/02 03:04:05", "2024-01-02T03:04:05Z"),
            ("2024-01-02 03:04:05 PM", "2024-01-02T15:04:05Z"),
            ("Tue, 02 Jan 2024 03:04:05 +0100", "2024-01-02T03:04:05+01:00"),
            ("Tue, 2 Jan 2024 03:04:05 GMT", "2024-01-02T03:04:05Z"),
            ("Tue Jan  2 03:04:05 2024", "2024-01-02T03:04:05Z"),
            (
                "Tue Jan 02 2024 03:04:05 GMT+0100 (Central European Standard Time)",
                "2024-01-02T03:04:05+01:00",
            ),
            ("Jan 2, 2024, 3:04:05\u{202f}PM", "2024-01-02T15:04:05Z"),
            ("January 2nd, 2024 at 12:04 AM", "2024-01-02T00:04:00Z"),
            ("2 January 2024", "2024-01-02T00:00:00Z"),
            ("02/Jan/2024:03:04:05 +0200", "2024-01-02T03:04:05+02:00"),
            ("20240102", "2024-01-02T00:00:00Z"),
            ("20240102T030405Z", "2024-01-02T03:04:05Z"),
            ("20240102030405", "2024-01-02T03:04:05Z"),
            ("20240102T03:04:05.5Z", "2024-01-02T03:04:05.5Z"),
            // Superkikim/nexus-ai-chat-importer#18: clocks of other countries.
            ("2024年1月2日 03:04:05", "2024-01-02T03:04:05Z"),
            ("31.12.2024 03:04", "2024-12-31T03:04:00Z"),
            ("12/31/2024, 3:04:05 PM", "2024-12-31T15:04:05Z"),
            ("/Date(1704164645678+0100)/", "2024-01-02T03:04:05.678Z"),
        ] {
            let read = Time::parse_any(text).map(|time| time.to_string());
            assert_eq!(read.as_deref(), Some(expect), "{text}");
        }
        for none in [
            "",
            "yesterday",
            "01/02/2024",
            "01.02.2024",
            "13.13.2024",
            "1月2日",
            "2024",
            "Jan 2024",
            "12:30",
            "May",
            "2024-01-02 03:04:05 America/New_York",
            "2024-01-02 03:04:05 IST",
            "2024-01-02 2024-01-03",
            "2024-01-02 13:00 PM",
            "2024-02-30",
            "1 2 3",
            "at",
            "-",
            "[",
        ] {
            assert_eq!(Time::parse_any(none), None, "{none}");
        }
    }

    #[test]
    fn no_text_makes_the_reader_of_moments_panic() {
        arbtest::arbtest(|u| {
            let pieces = [
                "2024", "-", ":", "T", "Z", "+", "/Date(", ")/", "[", "jan", "pm", " ", ".", "1",
                "é", "(",
            ];
            let mut text = String::new();
            for _ in 0..u.int_in_range(0..=12)? {
                text.push_str(u.choose(&pieces)?);
            }
            let _ = Time::parse_any(&text);
            Ok(())
        });
    }

    #[test]
    fn moments_are_compared_across_offsets() {
        assert!(
            Time::parse("2024-01-01T01:00:00+02:00").unwrap() < Time::parse("2024-01-01").unwrap()
        );
    }
}
