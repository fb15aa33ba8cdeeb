//! Files packed for a ZIP archive: raw deflate in blocks, which several threads pack at once.
//!
//! The blocks are cut by the input alone, so the same file packs to the same bytes whatever the number of threads. A
//! member is packed before its archive is told of, as its length comes before it.

use std::io::{self, Read, Write};
use std::thread;

use flate2::{Compress, Compression, FlushCompress, Status};

/// Bytes of a block: enough that the window that each begins without is no loss.
const BLOCK_BYTES: usize = 1 << 20;

/// Text packs to nearly the same at twice the speed of the usual level.
const LEVEL: u32 = 3;

/// Files below this are stored: there is nothing to gain.
const LEAST_BYTES: u64 = 512;

/// Endings of files that are packed already. Parquet is read from any place, too.
const PACKED: [&str; 3] = [".parquet", ".gz", ".zst"];

/// Whether a file of this path and length is packed in an archive.
pub fn is_worth_packing(path: &str, bytes: u64) -> bool {
    bytes >= LEAST_BYTES && PACKED.iter().all(|ending| !path.ends_with(ending))
}

/// Packs all that `input` holds. Returns the packed length.
pub fn deflate(input: &mut dyn Read, out: &mut dyn Write, threads: usize) -> io::Result<u64> {
    let threads = threads.max(1);
    let mut bytes = 0;
    loop {
        let mut blocks = Vec::with_capacity(threads);
        for _ in 0..threads {
            let mut block = Vec::with_capacity(BLOCK_BYTES);
            Read::take(&mut *input, BLOCK_BYTES as u64).read_to_end(&mut block)?;
            if block.is_empty() {
                break;
            }
            blocks.push(block);
        }
        let is_end = blocks.len() < threads;
        let packed: Vec<io::Result<Vec<u8>>> = match blocks.as_slice() {
            [] => Vec::new(),
            [one] => vec![pack(one, FlushCompress::Sync)],
            several => thread::scope(|scope| {
                let started: Vec<_> = several
                    .iter()
                    .map(|block| scope.spawn(|| pack(block, FlushCompress::Sync)))
                    .collect();
                let broken = |_| io::Error::other("a thread that packs a file panicked");
                started.into_iter().map(|one| one.join().map_err(broken)?).collect()
            }),
        };
        for block in packed {
            let block = block?;
            out.write_all(&block)?;
            bytes += block.len() as u64;
        }
        if is_end {
            let last = pack(&[], FlushCompress::Finish)?;
            out.write_all(&last)?;
            return Ok(bytes + last.len() as u64);
        }
    }
}

/// One block. Flushed in sync it ends on a whole byte, and another can follow.
fn pack(block: &[u8], flush: FlushCompress) -> io::Result<Vec<u8>> {
    let mut packer = Compress::new(Compression::new(LEVEL), false);
    let mut out = Vec::with_capacity(block.len() / 2 + 64);
    loop {
        let done = usize::try_from(packer.total_in()).unwrap_or(usize::MAX);
        let rest = block.get(done..).unwrap_or_default();
        out.reserve(BLOCK_BYTES / 4);
        let room = out.capacity() - out.len();
        let before = out.len();
        let status = packer.compress_vec(rest, &mut out, flush).map_err(io::Error::other)?;
        let is_read = packer.total_in() >= block.len() as u64;
        let is_flushed = status == Status::StreamEnd || out.len() - before < room;
        if is_read && is_flushed {
            return Ok(out);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn unpacked(packed: &[u8]) -> Vec<u8> {
        let mut out = Vec::new();
        flate2::read::DeflateDecoder::new(packed).read_to_end(&mut out).unwrap();
        out
    }

    #[test]
    fn a_file_packs_to_the_same_bytes_with_any_number_of_threads_and_comes_back() {
        let mut noise = 1_u64;
        let random: Vec<u8> = (0..BLOCK_BYTES + 7)
            .map(|_| {
                noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
                (noise >> 56) as u8
            })
            .collect();
        let text = b"{\"role\": \"user\", \"content\": \"how many?\"}\n".repeat(100_000);
        for content in [Vec::new(), b"x".to_vec(), vec![7; BLOCK_BYTES], random, text] {
            let mut once = Vec::new();
            let bytes = deflate(&mut &content[..], &mut once, 1).unwrap();
            assert_eq!(bytes, once.len() as u64);
            assert!(unpacked(&once) == content, "{} bytes", content.len());
            for threads in [2, 3, 8] {
                let mut again = Vec::new();
                deflate(&mut &content[..], &mut again, threads).unwrap();
                assert!(again == once, "{threads} threads");
            }
        }
    }
}
