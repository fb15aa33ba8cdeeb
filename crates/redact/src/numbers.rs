//! Numbers of accounts, cards and telephones.

use std::ops::Range;

use crate::identity::groups;
use crate::text::{after, before, byte, digits, joins, matched, run, stands_alone};

/// Lengths of account numbers by country (the registry of SWIFT).
const IBANS: &str = "AD24 AE23 AL28 AT20 AZ28 BA20 BE16 BG22 BH22 BI27 BR29 BY28 CH21 CR22 CY28 CZ24 DE22 DJ27 DK18 DO28 \
                     EE20 EG29 ES24 FI18 FK18 FO18 FR27 GB22 GE22 GI23 GL18 GR27 GT28 HR21 HU28 IE22 IL23 IQ23 IS26 IT27 \
                     JO30 KW30 KZ20 LB28 LC32 LI21 LT20 LU20 LV21 LY25 MC27 MD24 ME22 MK19 MN20 MR27 MT31 MU30 NI28 NL18 \
                     NO15 OM23 PK24 PL28 PS29 PT25 QA29 RO24 RS22 RU33 SA24 SC31 SD18 SE24 SI19 SK24 SM27 SO23 ST25 SV28 \
                     TL23 TN24 TR26 UA29 VA22 VG24 XK20";

/// The account number whose check digits begin here, behind the letters of its country.
pub(crate) fn iban(text: &str, digit: usize) -> Option<Range<usize>> {
    let start = digit.checked_sub(2)?;
    let country = text.get(start..digit)?.to_ascii_uppercase();
    let length = IBANS.split_whitespace().find_map(|one| one.strip_prefix(&*country))?;
    let length: usize = length.parse().ok()?;
    // One space or hyphen may stand between two characters.
    let (mut number, mut end) = (String::with_capacity(length), start);
    while number.len() < length {
        let one = byte(text, end)?;
        let is_separator = matches!(one, b' ' | b'-');
        if one.is_ascii_alphanumeric() {
            number.push(char::from(one));
        } else if !is_separator || !byte(text, end + 1)?.is_ascii_alphanumeric() {
            return None;
        }
        end += 1;
    }
    let rest = number.chars().skip(4).chain(number.chars().take(4)).try_fold(0, |rest, one| {
        let value = one.to_digit(36)?;
        Some((rest * if value < 10 { 10 } else { 100 } + value) % 97)
    })?;
    let range = start..end;
    (rest == 1 && stands_alone(text, &range)).then_some(range)
}

/// Ways to write the number of a card in groups.
const CARD_SHAPES: [&[usize]; 4] = [&[4, 4, 4, 4], &[4, 6, 5], &[4, 6, 4], &[4, 4, 4, 4, 3]];

/// The number of a payment card that begins with the digit here.
pub(crate) fn card(text: &str, start: usize) -> Option<Range<usize>> {
    let whole = start..run(text, start, 20, |one| one.is_ascii_digit());
    let range = if whole.len() >= 14 {
        whole
    } else {
        let separator = match byte(text, whole.end)? {
            b' ' => " ",
            b'-' => "-",
            _ => return None,
        };
        // The longest first, as one begins as another does.
        let shapes = CARD_SHAPES.iter().rev();
        shapes.filter_map(|shape| grouped(text, start, shape, separator)).next()?
    };
    let is_part = |character: Option<char>| {
        character.is_some_and(|one| joins(one) || matches!(one, '-' | '+'))
    };
    let is_fraction = before(text, start) == Some('.')
        || (byte(text, range.end) == Some(b'.')
            && byte(text, range.end + 1).is_some_and(|one| one.is_ascii_digit()));
    let is_alone = !is_part(before(text, start)) && !is_part(after(text, range.end));
    (is_alone && !is_fraction && is_card(matched(text, &range))).then_some(range)
}

/// Groups of digits with one separator, of which no group of four goes before or follows: columns of numbers are no cards.
fn grouped(text: &str, start: usize, shape: &[usize], separator: &str) -> Option<Range<usize>> {
    let last = shape.len() - 1;
    let shape: Vec<(usize, &str)> = shape
        .iter()
        .enumerate()
        .map(|(place, length)| (*length, if place == last { "" } else { separator }))
        .collect();
    let range = groups(text, start, &shape)?;
    let rest = text.get(range.end..)?;
    let is_digit = |one: &u8| one.is_ascii_digit();
    let follows = rest
        .strip_prefix(separator)
        .is_some_and(|rest| rest.bytes().next().as_ref().is_some_and(is_digit));
    let front = text.get(..start)?.strip_suffix(separator);
    let goes_before =
        front.is_some_and(|front| front.bytes().rev().take(4).filter(is_digit).count() == 4);
    (!follows && !goes_before).then_some(range)
}

/// Whether digits are the number of a payment card: its issuer, its length and its checksum.
pub(crate) fn is_card(number: &str) -> bool {
    let digits = digits(number);
    let begins = |count: usize| digits.iter().take(count).fold(0, |all, digit| all * 10 + digit);
    let is_issued = match digits.len() {
        14 => matches!(begins(3), 300..=305) || matches!(begins(2), 36 | 38 | 39),
        15 => matches!(begins(2), 34 | 37),
        16 => {
            begins(1) == 4
                || matches!(begins(2), 51..=55 | 62 | 65)
                || matches!(begins(4), 2221..=2720 | 3528..=3589 | 6011)
                || matches!(begins(3), 644..=649)
        }
        19 => matches!(begins(1), 4) || matches!(begins(2), 62),
        _ => false,
    };
    is_issued && is_luhn(&digits) && digits.iter().any(|digit| Some(digit) != digits.first())
}

fn is_luhn(digits: &[u32]) -> bool {
    let sum: u32 = digits
        .iter()
        .rev()
        .enumerate()
        .map(|(place, &digit)| match (place % 2, digit * 2) {
            (0, _) => digit,
            (_, double) if double > 9 => double - 9,
            (_, double) => double,
        })
        .sum();
    sum.is_multiple_of(10)
}

/// The telephone number that begins with the digit here, or with what comes before it.
pub(crate) fn phone(text: &str, digit: usize) -> Option<Range<usize>> {
    international(text, digit).or_else(|| north_american(text, digit))
}

/// Most digits of a telephone number (E.164), and fewest that are taken for one.
const PHONE: std::ops::RangeInclusive<usize> = 9..=15;

/// Most digits of one without separators: longer ones are sums and ids.
const UNSEPARATED: usize = 14;

/// `+` or `00`, a country, and groups of digits.
fn international(text: &str, digit: usize) -> Option<Range<usize>> {
    let is_plus = digit > 0 && byte(text, digit - 1) == Some(b'+');
    let is_dialled = text.get(digit..)?.starts_with("00");
    let (start, first) = match (is_plus, is_dialled) {
        (true, _) => (digit - 1, digit),
        (false, true) => (digit, digit + 2),
        (false, false) => return None,
    };
    if !matches!(byte(text, first), Some(b'1'..=b'9')) {
        return None;
    }
    let is_separator = |one: u8| matches!(one, b' ' | b'.' | b'-' | b'/' | b'(' | b')');
    let (mut at, mut end, mut count, mut separators) = (first, first, 0, Vec::new());
    loop {
        let after = run(text, at, 16, |one| one.is_ascii_digit());
        if after == at {
            break;
        }
        count += after - at;
        end = after;
        at = run(text, after, 2, is_separator);
        if at > after && byte(text, at).is_some_and(|one| one.is_ascii_digit()) {
            separators.extend_from_slice(text.as_bytes().get(after..at)?);
        }
    }
    // A number with a fraction, or `00` at the beginning of any number.
    let is_number =
        separators == [b'.'] || (separators.is_empty() && (!is_plus || count > UNSEPARATED));
    let begins =
        !before(text, start).is_some_and(|one| joins(one) || matches!(one, '+' | '-' | '.' | '/'));
    // A group of a longer number may begin with two zeros.
    let goes_on = !is_plus
        && text.get(..start).is_some_and(|front| {
            front
                .strip_suffix([' ', '-'])
                .is_some_and(|front| front.ends_with(|one: char| one.is_ascii_digit()))
        });
    let begins = begins && !goes_on;
    let ends = !after(text, end).is_some_and(|one| joins(one) || matches!(one, '+' | '='));
    (PHONE.contains(&count) && !is_number && begins && ends).then_some(start..end)
}

/// `(415) 555-0132` and `415-555-0132`: an area and an exchange that begin with 2 to 9.
fn north_american(text: &str, digit: usize) -> Option<Range<usize>> {
    let is_digit =
        |at: usize, count: usize| run(text, at, count, |one| one.is_ascii_digit()) == at + count;
    let is_code = |at: usize| is_digit(at, 3) && matches!(byte(text, at), Some(b'2'..=b'9'));
    if !is_code(digit) {
        return None;
    }
    let is_enclosed = digit > 0 && byte(text, digit - 1) == Some(b'(');
    let (start, exchange, separators): (_, _, &[u8]) = match (is_enclosed, byte(text, digit + 3)) {
        (true, Some(b')')) => {
            (digit - 1, digit + 4 + usize::from(byte(text, digit + 4) == Some(b' ')), b"-. ")
        }
        (false, Some(b'-')) => (digit, digit + 4, b"-"),
        (false, Some(b'.')) => (digit, digit + 4, b"."),
        _ => return None,
    };
    let is_separated = byte(text, exchange + 3).is_some_and(|one| separators.contains(&one));
    let end = exchange + 8;
    let begins =
        !before(text, start).is_some_and(|one| joins(one) || matches!(one, '+' | '-' | '.' | '/'));
    let goes_on = matches!(byte(text, end), Some(b'-' | b'.'))
        && byte(text, end + 1).is_some_and(|one| one.is_ascii_digit());
    let ends = !goes_on && !after(text, end).is_some_and(joins);
    let is_number = is_code(exchange) && is_separated && is_digit(exchange + 4, 4);
    (is_number && begins && ends).then_some(start..end)
}
