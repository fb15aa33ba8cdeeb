//! What a client asks of a file whose bytes never change: all, a part, or whether it has it already (RFC 9110,
//! sections 13 and 14).

use std::ops::Range;

use axum::http::header::{IF_MATCH, IF_NONE_MATCH, IF_RANGE, RANGE};
use axum::http::{HeaderMap, HeaderName, Method};

/// What is to be answered.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Asked {
    Whole,
    Part(Range<u64>),
    NotModified,
    PreconditionFailed,
    NotSatisfiable,
}

/// The preconditions in their order, then the range. `etag` is in its quotes.
pub(super) fn asked(method: &Method, headers: &HeaderMap, etag: &str, total_bytes: u64) -> Asked {
    let matches = |name: HeaderName, weak| lists(headers, name, etag, weak);
    if matches(IF_MATCH, false) == Some(false) {
        return Asked::PreconditionFailed;
    }
    if matches(IF_NONE_MATCH, true) == Some(true) {
        return Asked::NotModified;
    }
    // A date in `If-Range` matches nothing: there is none to hold it against.
    let is_same = headers.get(IF_RANGE).is_none_or(|value| value.as_bytes() == etag.as_bytes());
    let mut ranges = headers.get_all(RANGE).iter();
    match (ranges.next(), ranges.next()) {
        (Some(range), None) if is_same && method == Method::GET => {
            part(range.to_str().unwrap_or_default(), total_bytes).unwrap_or(Asked::Whole)
        }
        _ => Asked::Whole,
    }
}

/// The part that a `Range` means. None if it is to be passed over: it is malformed, of another unit, or of several
/// ranges.
fn part(range: &str, total_bytes: u64) -> Option<Asked> {
    let (unit, range) = range.split_once('=')?;
    let (first, last) = range.split_once('-')?;
    let (first, last) = (number(first)?, number(last)?);
    if !unit.trim().eq_ignore_ascii_case("bytes") {
        return None;
    }
    let range = match (first, last) {
        (None, None) => return None,
        (Some(first), Some(last)) if first > last => return None,
        (Some(first), last) => {
            first..last.map_or(total_bytes, |last| last.saturating_add(1).min(total_bytes))
        }
        (None, Some(count)) => total_bytes.saturating_sub(count)..total_bytes,
    };
    Some(if range.is_empty() { Asked::NotSatisfiable } else { Asked::Part(range) })
}

/// A number, or none where there is nothing; outer none if it is neither.
fn number(text: &str) -> Option<Option<u64>> {
    let text = text.trim();
    if !text.bytes().all(|byte| byte.is_ascii_digit()) {
        return None;
    }
    // What does not fit lies beyond every end.
    Some((!text.is_empty()).then(|| text.parse().unwrap_or(u64::MAX)))
}

/// Whether a header's list has the tag; none if there is no such header. Weakly, `W/` makes no difference.
fn lists(headers: &HeaderMap, name: HeaderName, etag: &str, weak: bool) -> Option<bool> {
    let mut is_there = None;
    for value in headers.get_all(name) {
        let value = value.to_str().unwrap_or_default().trim();
        let found =
            value == "*" || tags(value).any(|(is_weak, tag)| tag == etag && (weak || !is_weak));
        is_there = Some(is_there.unwrap_or(false) || found);
    }
    is_there
}

/// The tags of a list in their quotes, and whether each is weak. A tag may hold commas.
fn tags(mut list: &str) -> impl Iterator<Item = (bool, &str)> {
    std::iter::from_fn(move || {
        let rest = list.trim_start_matches([' ', '\t', ',']);
        let (is_weak, rest) = rest.strip_prefix("W/").map_or((false, rest), |rest| (true, rest));
        let end = rest.strip_prefix('"')?.find('"')? + 2;
        let (tag, after) = rest.split_at_checked(end)?;
        list = after;
        Some((is_weak, tag))
    })
}

#[cfg(test)]
mod tests {
    use super::Asked::{NotModified, NotSatisfiable, Part, PreconditionFailed, Whole};
    use super::*;

    fn check(method: &Method, sent: &[(HeaderName, &str)], total_bytes: u64) -> Asked {
        let mut headers = HeaderMap::new();
        for (name, value) in sent {
            headers.append(name, value.parse().unwrap());
        }
        asked(method, &headers, "\"a,b\"", total_bytes)
    }

    #[test]
    fn a_range_means_what_rfc_9110_says() {
        let table = [
            ("bytes=0-0", Part(0..1)),
            ("bytes=0-9", Part(0..10)),
            ("bytes=2-5", Part(2..6)),
            ("bytes=2-", Part(2..10)),
            ("bytes=9-", Part(9..10)),
            ("bytes=-3", Part(7..10)),
            ("bytes=-10", Part(0..10)),
            ("bytes=-11", Part(0..10)),
            ("bytes=5-99", Part(5..10)),
            ("bytes=5-18446744073709551615", Part(5..10)),
            ("bytes=5-99999999999999999999999", Part(5..10)),
            ("Bytes = 2 - 5", Part(2..6)),
            ("bytes=10-", NotSatisfiable),
            ("bytes=10-20", NotSatisfiable),
            ("bytes=99999999999999999999999-", NotSatisfiable),
            ("bytes=-0", NotSatisfiable),
            ("bytes=5-2", Whole),
            ("bytes=0-1,4-5", Whole),
            ("bytes=-", Whole),
            ("bytes=", Whole),
            ("bytes=a-b", Whole),
            ("bytes=+1-2", Whole),
            ("bytes=--1", Whole),
            ("bytes 0-1", Whole),
            ("lines=0-1", Whole),
            ("", Whole),
        ];
        for (range, expect) in table {
            assert_eq!(check(&Method::GET, &[(RANGE, range)], 10), expect, "{range}");
        }
        for range in ["bytes=0-", "bytes=0-0", "bytes=-1"] {
            assert_eq!(check(&Method::GET, &[(RANGE, range)], 0), NotSatisfiable, "{range}");
        }
        assert_eq!(check(&Method::HEAD, &[(RANGE, "bytes=0-1")], 10), Whole);
        assert_eq!(check(&Method::GET, &[(RANGE, "bytes=0-1"), (RANGE, "bytes=2-3")], 10), Whole);
    }

    #[test]
    fn preconditions_come_before_the_range_and_in_their_order() {
        let range = (RANGE, "bytes=0-1");
        let table: [(&[(HeaderName, &str)], Asked); 18] = [
            (&[(IF_NONE_MATCH, "\"a,b\"")], NotModified),
            (&[(IF_NONE_MATCH, "W/\"a,b\"")], NotModified),
            (&[(IF_NONE_MATCH, "\"c\", W/\"d\" ,\"a,b\"")], NotModified),
            (&[(IF_NONE_MATCH, "\"c\""), (IF_NONE_MATCH, "\"a,b\"")], NotModified),
            (&[(IF_NONE_MATCH, "*")], NotModified),
            (&[(IF_NONE_MATCH, "\"a,b\""), range.clone()], NotModified),
            (&[(IF_NONE_MATCH, "\"a\""), range.clone()], Part(0..2)),
            (&[(IF_NONE_MATCH, "a,b")], Whole),
            (&[(IF_NONE_MATCH, "\"a,b")], Whole),
            (&[(IF_MATCH, "\"a,b\""), range.clone()], Part(0..2)),
            (&[(IF_MATCH, "*")], Whole),
            (&[(IF_MATCH, "W/\"a,b\"")], PreconditionFailed),
            (&[(IF_MATCH, "\"c\""), (IF_NONE_MATCH, "*")], PreconditionFailed),
            (&[(IF_RANGE, "\"a,b\""), range.clone()], Part(0..2)),
            (&[(IF_RANGE, "W/\"a,b\""), range.clone()], Whole),
            (&[(IF_RANGE, "\"c\""), range.clone()], Whole),
            (&[(IF_RANGE, "Sat, 29 Oct 1994 19:43:31 GMT"), range.clone()], Whole),
            (&[(IF_RANGE, "\"c\""), (RANGE, "bytes=99-")], Whole),
        ];
        for (headers, expect) in table {
            assert_eq!(check(&Method::GET, headers, 10), expect, "{headers:?}");
        }
    }
}
