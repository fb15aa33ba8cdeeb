//! Finding the next byte of a string that is not plain: a quote, a backslash or a control character.

const LANES: usize = 32;
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

/// The position, at or after `from`, of the first quote, backslash or control character; the length if none.
pub(super) fn next_special(bytes: &[u8], from: usize) -> usize {
    let mut at = from;
    while let Some(chunk) = bytes.get(at..).and_then(|rest| rest.first_chunk::<LANES>()) {
        // Folded without a branch, so that the compiler makes vector comparisons of it.
        let hit = chunk.iter().fold(0_u8, |hit, &byte| hit | u8::from(is_special(byte)));
        if hit != 0 {
            break;
        }
        at += LANES;
    }
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
