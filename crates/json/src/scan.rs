//! Finding the next byte of a string that is not plain: a quote, a backslash or a control character.

use crate::error::Problem;

const LOW: u64 = 0x0101_0101_0101_0101;
const HIGH: u64 = 0x8080_8080_8080_8080;

fn is_special(byte: u8) -> bool {
    byte < 0x20 || byte == b'"' || byte == b'\\'
}

/// A word with the high bit set in the lanes that hold a special byte; the lowest set lane is exact.
fn special_lanes(word: u64) -> u64 {
    let zero = |x: u64| x.wrapping_sub(LOW) & !x;
    let control = word.wrapping_sub(LOW * 0x20) & !word;
    (control | zero(word ^ (LOW * b'"' as u64)) | zero(word ^ (LOW * b'\\' as u64))) & HIGH
}

/// The first special byte among the blocks of sixteen from `at` on, or where the last whole block ends.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "sse2")]
fn scan_sse2(bytes: &[u8], mut at: usize) -> Result<usize, usize> {
    use std::arch::x86_64::{
        _mm_cmpeq_epi8, _mm_min_epu8, _mm_movemask_epi8, _mm_or_si128, _mm_set_epi64x,
        _mm_set1_epi8, _mm_xor_si128,
    };
    // With this bit turned, a quote follows the control characters.
    let (turned, last) = (_mm_set1_epi8(0x02), _mm_set1_epi8(0x20));
    let backslash = _mm_set1_epi8(b'\\' as i8);
    while let Some(block) = bytes.get(at..).and_then(|rest| rest.first_chunk::<16>()) {
        let number = u128::from_le_bytes(*block);
        let block = _mm_set_epi64x((number >> 64) as i64, number as i64);
        let moved = _mm_xor_si128(block, turned);
        let hits = _mm_or_si128(
            _mm_cmpeq_epi8(_mm_min_epu8(moved, last), moved),
            _mm_cmpeq_epi8(block, backslash),
        );
        let mask = _mm_movemask_epi8(hits);
        if mask != 0 {
            return Ok(at + mask.trailing_zeros() as usize);
        }
        at += 16;
    }
    Err(at)
}

#[cfg(target_arch = "x86_64")]
#[allow(unsafe_code, reason = "a call of vector instructions that every x86-64 has")]
fn scan_blocks(bytes: &[u8], at: usize) -> Result<usize, usize> {
    // SAFETY: SSE2 is part of the x86-64 architecture, and the function has no other precondition.
    unsafe { scan_sse2(bytes, at) }
}

#[cfg(not(target_arch = "x86_64"))]
fn scan_blocks(_bytes: &[u8], at: usize) -> Result<usize, usize> {
    Err(at)
}

/// The position, at or after `from`, of the first quote, backslash or control character; the length if none.
#[inline]
pub(super) fn next_special(bytes: &[u8], from: usize) -> usize {
    let mut at = match scan_blocks(bytes, from) {
        Ok(found) => return found,
        Err(at) => at,
    };
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<8>()) {
        let lanes = special_lanes(u64::from_le_bytes(*chunk));
        if lanes != 0 {
            return at + (lanes.trailing_zeros() / 8) as usize;
        }
        at += 8;
    }
    while let Some(&byte) = bytes.get(at) {
        if is_special(byte) {
            return at;
        }
        at += 1;
    }
    bytes.len()
}

/// What a walk over the inside of a string found; it fits two registers.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Body {
    /// Where its closing quote stands, or where it is broken.
    pub end: usize,
    marks: usize,
}

/// It has escapes.
pub(super) const ESCAPED: usize = 1;
/// It has `\u` escapes.
pub(super) const UNICODE: usize = 2;
/// It is no string.
pub(super) const BROKEN: usize = 4;

impl Body {
    pub(super) fn has(self, mark: usize) -> bool {
        self.marks & mark != 0
    }

    /// What is wrong where, if it is broken.
    pub(super) fn fault(self, bytes: &[u8]) -> (usize, Problem) {
        match bytes.get(self.end) {
            Some(b'\\') if bytes.len() == self.end + 1 => (bytes.len(), Problem::Ended),
            Some(b'\\') => (self.end, Problem::Escape),
            Some(_) => (self.end, Problem::ControlCharacter),
            None => (bytes.len(), Problem::Ended),
        }
    }
}

/// Walks over the inside of a string that begins at `from`, to its closing quote.
#[allow(unsafe_code, reason = "a call of vector instructions that this processor has")]
#[inline]
pub(super) fn string_body(bytes: &[u8], from: usize) -> Body {
    #[cfg(target_arch = "x86_64")]
    if std::arch::is_x86_feature_detected!("avx2") {
        // SAFETY: the processor has AVX2, and the function has no other precondition.
        return unsafe { string_body_avx2(bytes, from) };
    }
    walk(bytes, from, 0)
}

/// As [`walk`], in blocks of thirty-two: text has an escape every few words, and what comes after one is looked at
/// without another look at the block.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn string_body_avx2(bytes: &[u8], from: usize) -> Body {
    let (mut at, mut marks) = (from, 0);
    while let Some(block) = bytes.get(at..).and_then(|rest| rest.first_chunk::<32>()) {
        let mut left = special_bits(block);
        let mut length = block.len();
        while left != 0 {
            let special = left.trailing_zeros() as usize;
            match token(bytes, at + special) {
                Token::Escape { length: taken, mark } => {
                    marks |= ESCAPED | mark;
                    let behind = special + taken;
                    if behind >= block.len() {
                        length = behind;
                        break;
                    }
                    left &= u32::MAX << behind;
                }
                Token::Quote => return Body { end: at + special, marks },
                Token::Broken { mark } => {
                    return Body { end: at + special, marks: marks | mark | BROKEN };
                }
            }
        }
        at += length;
    }
    walk(bytes, at, marks)
}

/// A bit for each special byte of the block.
#[cfg(target_arch = "x86_64")]
#[target_feature(enable = "avx2")]
fn special_bits(block: &[u8; 32]) -> u32 {
    use std::arch::x86_64::{
        _mm256_cmpeq_epi8, _mm256_min_epu8, _mm256_movemask_epi8, _mm256_or_si256,
        _mm256_set_epi64x, _mm256_set1_epi8, _mm256_xor_si256,
    };
    // With this bit turned, a quote follows the control characters.
    let (turned, last) = (_mm256_set1_epi8(0x02), _mm256_set1_epi8(0x20));
    let backslash = _mm256_set1_epi8(b'\\' as i8);
    // Written out: a closure lacks the target feature of this function, so it would not be inlined.
    let ([a, b, c, d], []) = block.as_chunks::<8>() else { return 0 };
    let (a, b) = (i64::from_le_bytes(*a), i64::from_le_bytes(*b));
    let (c, d) = (i64::from_le_bytes(*c), i64::from_le_bytes(*d));
    let block = _mm256_set_epi64x(d, c, b, a);
    let moved = _mm256_xor_si256(block, turned);
    let hits = _mm256_or_si256(
        _mm256_cmpeq_epi8(_mm256_min_epu8(moved, last), moved),
        _mm256_cmpeq_epi8(block, backslash),
    );
    _mm256_movemask_epi8(hits) as u32
}

fn walk(bytes: &[u8], mut at: usize, mut marks: usize) -> Body {
    loop {
        at = next_special(bytes, at);
        match token(bytes, at) {
            Token::Escape { length, mark } => {
                marks |= ESCAPED | mark;
                at += length;
            }
            Token::Quote => return Body { end: at, marks },
            Token::Broken { mark } => return Body { end: at, marks: marks | mark | BROKEN },
        }
    }
}

/// What begins with a special byte inside a string.
enum Token {
    Quote,
    Escape { length: usize, mark: usize },
    Broken { mark: usize },
}

#[inline(always)]
fn token(bytes: &[u8], at: usize) -> Token {
    match (bytes.get(at), bytes.get(at + 1)) {
        (Some(b'"'), _) => Token::Quote,
        (Some(b'\\'), Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't')) => {
            Token::Escape { length: 2, mark: 0 }
        }
        (Some(b'\\'), Some(b'u')) => {
            let digits = bytes.get(at + 2..at + 6);
            if digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                Token::Escape { length: 6, mark: UNICODE }
            } else {
                Token::Broken { mark: UNICODE }
            }
        }
        _ => Token::Broken { mark: 0 },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_special_byte_is_found_at_every_offset() {
        for special in (0..0x20).chain([b'"', b'\\']) {
            for at in 0..70 {
                let mut bytes = vec![b'x'; 130];
                bytes[3] = 0x7f;
                bytes[5] = 0xff;
                bytes[at] = special;
                bytes[90] = b'"';
                assert_eq!(next_special(&bytes, 0), at);
                assert_eq!(next_special(&bytes, at + 1), 90);
                let (marks, problem) = match special {
                    b'"' => (0, None),
                    b'\\' => (BROKEN, Some(Problem::Escape)),
                    _ => (BROKEN, Some(Problem::ControlCharacter)),
                };
                let body = string_body(&bytes, 0);
                assert_eq!(body, Body { end: at, marks });
                assert_eq!(walk(&bytes, 0, 0), body);
                if let Some(problem) = problem {
                    assert_eq!(body.fault(&bytes), (at, problem));
                }
                assert_eq!(string_body(&bytes, at + 1), Body { end: 90, marks: 0 });
            }
        }
        assert_eq!(next_special(b"plain", 0), 5);
        assert_eq!(next_special(b"", 0), 0);
    }

    #[test]
    fn no_other_byte_is_special() {
        for byte in (0x20..=0xff).filter(|byte| !is_special(*byte)) {
            let mut bytes = vec![byte; 67];
            bytes.push(b'"');
            for from in 0..40 {
                assert_eq!(next_special(&bytes, from), 67, "{byte}");
                assert_eq!(string_body(&bytes, from), Body { end: 67, marks: 0 });
            }
        }
    }

    #[test]
    fn escapes_are_passed_wherever_blocks_end() {
        let valid = [r#"\""#, r"\\", r"\n", r"\u00e9", r#"\\\""#, r"\u22ff\/"];
        let others = [r"\u22", r"\x", r"\u123g", "\n"];
        let text = |before: usize, one: &str, next: &str| {
            format!("{}{one}{next}{one}é\" and \"", "x".repeat(before))
        };
        for (before, one) in (0..70).flat_map(|before| valid.map(|one| (before, one))) {
            for next in valid {
                let text = text(before, one, next);
                let body = string_body(text.as_bytes(), 0);
                assert_eq!((body.end, body.has(BROKEN)), (text.len() - 7, false), "{text}");
                assert_eq!(body, walk(text.as_bytes(), 0, 0), "{text}");
            }
            for next in others {
                let text = text(before, one, next);
                let body = string_body(text.as_bytes(), 0);
                assert_eq!((body.end, body.has(BROKEN)), (before + one.len(), true), "{text}");
                assert_eq!(body, walk(text.as_bytes(), 0, 0), "{text}");
            }
        }
    }
}
