//! A hash that stays the same from release to release.

/// FNV-1a, 64 bits (Fowler, Noll, Vo): for keys and names, which are a few bytes long.
pub fn fnv1a(text: &str) -> u64 {
    text.bytes().fold(0xcbf2_9ce4_8422_2325, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    })
}
