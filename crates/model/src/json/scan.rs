//! Finding the next byte of a string that is not plain: a quote, a backslash or a control character.

use super::parse::Problem;

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
        _mm_set1_epi8,
    };
    let (quote, backslash, control) =
        (_mm_set1_epi8(b'"' as i8), _mm_set1_epi8(b'\\' as i8), _mm_set1_epi8(0x1f));
    while let Some(block) = bytes.get(at..).and_then(|rest| rest.first_chunk::<16>()) {
        let number = u128::from_le_bytes(*block);
        let block = _mm_set_epi64x((number >> 64) as i64, number as i64);
        let hits = _mm_or_si128(
            _mm_or_si128(_mm_cmpeq_epi8(block, quote), _mm_cmpeq_epi8(block, backslash)),
            _mm_cmpeq_epi8(_mm_min_epu8(block, control), block),
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

/// What a walk over the inside of a string found.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Body {
    /// Where its closing quote stands.
    pub end: usize,
    /// Whether it has escapes.
    pub escaped: bool,
    /// Whether it has `\u` escapes.
    pub unicode: bool,
}

/// Walks over the inside of a string that begins at `from`, to its closing quote; else says what is wrong where.
pub(super) fn string_body(bytes: &[u8], from: usize) -> Result<Body, (usize, Problem)> {
    let mut body = Body::default();
    let mut at = from;
    loop {
        at = next_special(bytes, at);
        match bytes.get(at) {
            Some(b'"') => {
                body.end = at;
                return Ok(body);
            }
            Some(b'\\') => {
                body.escaped = true;
                match bytes.get(at + 1) {
                    Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => at += 2,
                    Some(b'u') => {
                        body.unicode = true;
                        let digits = bytes.get(at + 2..at + 6);
                        if !digits.is_some_and(|digits| digits.iter().all(u8::is_ascii_hexdigit)) {
                            return Err((at, Problem::Escape));
                        }
                        at += 6;
                    }
                    Some(_) => return Err((at, Problem::Escape)),
                    None => return Err((at + 1, Problem::Ended)),
                }
            }
            Some(_) => return Err((at, Problem::ControlCharacter)),
            None => return Err((bytes.len(), Problem::Ended)),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_special_byte_is_found_at_every_offset() {
        for special in (0..0x20).chain([b'"', b'\\']) {
            for at in 0..70 {
                let mut bytes = vec![b'x'; 90];
                bytes[3] = 0x7f;
                bytes[5] = 0xff;
                bytes[at] = special;
                bytes[80] = b'"';
                assert_eq!(next_special(&bytes, 0), at);
                assert_eq!(next_special(&bytes, at + 1), 80);
            }
        }
        assert_eq!(next_special(b"plain", 0), 5);
        assert_eq!(next_special(b"", 0), 0);
    }
}
