//! Rows as bytes, for the time between the process that makes them and the one that encodes them.
//!
//! Numbers are little-endian; each list comes after its length. Only the same release reads them back.

use std::io;

/// A number of fixed width.
pub(super) trait Number: Copy {
    const BYTES: usize;
    fn put(self, out: &mut Vec<u8>);
    fn get(bytes: &[u8]) -> Option<Self>;
}

macro_rules! numbers {
    ($($type:ty),+) => {$(
        impl Number for $type {
            const BYTES: usize = size_of::<$type>();

            fn put(self, out: &mut Vec<u8>) {
                out.extend_from_slice(&self.to_le_bytes());
            }

            fn get(bytes: &[u8]) -> Option<Self> {
                Some(Self::from_le_bytes(bytes.try_into().ok()?))
            }
        }
    )+};
}

numbers!(i16, u32, u64, i64, f32, f64);

impl Number for usize {
    const BYTES: usize = u64::BYTES;

    fn put(self, out: &mut Vec<u8>) {
        (self as u64).put(out);
    }

    fn get(bytes: &[u8]) -> Option<Self> {
        u64::get(bytes)?.try_into().ok()
    }
}

/// Appends a list of bytes.
pub(super) fn put_bytes(bytes: &[u8], out: &mut Vec<u8>) {
    bytes.len().put(out);
    out.extend_from_slice(bytes);
}

/// Appends a list of numbers.
pub(super) fn put_numbers<N: Number>(numbers: &[N], out: &mut Vec<u8>) {
    numbers.len().put(out);
    out.reserve(numbers.len() * N::BYTES);
    numbers.iter().for_each(|number| number.put(out));
}

/// Reads lists in the order in which they were written.
pub(super) struct Saved<'b>(pub(super) &'b [u8]);

impl<'b> Saved<'b> {
    fn split(&mut self, length: usize) -> io::Result<&'b [u8]> {
        let (taken, rest) = self.0.split_at_checked(length).ok_or_else(cut_short)?;
        self.0 = rest;
        Ok(taken)
    }

    pub(super) fn number<N: Number>(&mut self) -> io::Result<N> {
        N::get(self.split(N::BYTES)?).ok_or_else(cut_short)
    }

    pub(super) fn bytes(&mut self) -> io::Result<&'b [u8]> {
        let length = self.number()?;
        self.split(length)
    }

    pub(super) fn numbers<N: Number>(&mut self) -> io::Result<Vec<N>> {
        let count: usize = self.number()?;
        let bytes = self.split(count.checked_mul(N::BYTES).ok_or_else(cut_short)?)?;
        bytes.chunks_exact(N::BYTES).map(|one| N::get(one).ok_or_else(cut_short)).collect()
    }
}

fn cut_short() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, "the saved rows are cut short")
}
