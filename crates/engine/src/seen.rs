//! The ids that came before, exactly and in bounded memory: what does not fit goes to sorted runs on disk, each
//! with a Bloom filter in front of it. Most ids are new, and the filter says so without a look at the disk.

use std::collections::HashSet;
use std::fs::File;
use std::hash::{BuildHasher, BuildHasherDefault, Hash, Hasher, RandomState};
use std::io::{self, Read, Seek, SeekFrom, Write};
use std::sync::LazyLock;

use retort_model::bounds::SEEN_IDS_IN_MEMORY;
use sha2::{Digest, Sha256};

/// Hashes are spread already.
#[derive(Default)]
struct AsIs(u64);

impl Hasher for AsIs {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.0 = self.0.rotate_left(8) ^ u64::from(byte);
        }
    }

    fn write_u128(&mut self, number: u128) {
        // The low half: the set looks at its upper and lower bits alike.
        self.0 = (number & u128::from(u64::MAX)) as u64;
    }
}

/// A set of ids, each kept as 128 bits of hash.
pub struct SeenIds {
    recent: HashSet<u128, BuildHasherDefault<AsIs>>,
    most: usize,
    runs: Vec<Run>,
}

struct Run {
    file: File,
    count: u64,
    bloom: Vec<u64>,
}

const BLOOM_BITS_PER_ID: usize = 10;
const BLOOM_PROBES: u32 = 7;
const HASH_BYTES: u64 = 16;

/// 128 bits of hash of an id.
#[derive(Clone, Copy, Debug)]
pub struct IdHash(u128);

/// Of this process alone: nobody can find two ids with one hash, as one of them would be left out.
static KEYS: LazyLock<[RandomState; 2]> = LazyLock::new(Default::default);

/// What hashes messages, so that nobody can find two that look alike.
pub fn message_hasher() -> &'static RandomState {
    let [hasher, _] = &*KEYS;
    hasher
}

impl IdHash {
    /// Its bytes.
    pub fn to_bytes(self) -> [u8; 16] {
        self.0.to_be_bytes()
    }

    /// That of an id, given in parts.
    pub fn of(parts: &[&str]) -> Self {
        let [upper, lower] = KEYS.each_ref().map(|key| u128::from(key.hash_one(parts)));
        Self(upper << 64 | lower)
    }
}

/// A hash that is the same in every process: parts of an export compare their items by it.
#[derive(Clone, Default)]
pub struct SharedHasher(Sha256);

impl SharedHasher {
    /// 128 bits of hash of all that was hashed.
    pub fn digest(self) -> [u8; 16] {
        self.0.finalize().first_chunk().copied().unwrap_or_default()
    }

    /// 128 bits of hash of an id, given in parts.
    pub fn id(parts: &[&str]) -> [u8; 16] {
        let mut hasher = Self::default();
        parts.hash(&mut hasher);
        hasher.digest()
    }
}

impl Hasher for SharedHasher {
    fn finish(&self) -> u64 {
        let hash = self.0.clone().finalize();
        hash.first_chunk().map_or(0, |bytes| u64::from_be_bytes(*bytes))
    }

    fn write(&mut self, bytes: &[u8]) {
        self.0.update(bytes);
    }

    // Machines differ in the width and order of the bytes of lengths.
    fn write_usize(&mut self, number: usize) {
        self.0.update((number as u64).to_le_bytes());
    }
}

impl Default for SeenIds {
    fn default() -> Self {
        Self::new()
    }
}

impl SeenIds {
    /// An empty set.
    pub fn new() -> Self {
        Self::with_most(SEEN_IDS_IN_MEMORY)
    }

    fn with_most(most: usize) -> Self {
        Self { recent: HashSet::default(), most, runs: Vec::new() }
    }

    /// Adds an id; says whether it is new.
    pub fn add(&mut self, IdHash(hash): IdHash) -> io::Result<bool> {
        if self.holds(IdHash(hash))? {
            return Ok(false);
        }
        self.recent.insert(hash);
        if self.recent.len() >= self.most {
            self.spill()?;
        }
        Ok(true)
    }

    /// Whether the id is there.
    pub fn holds(&mut self, IdHash(hash): IdHash) -> io::Result<bool> {
        if self.recent.contains(&hash) {
            return Ok(true);
        }
        for run in &mut self.runs {
            if run.holds(hash)? {
                return Ok(true);
            }
        }
        Ok(false)
    }

    fn spill(&mut self) -> io::Result<()> {
        let mut hashes: Vec<u128> = self.recent.drain().collect();
        hashes.sort_unstable();
        let mut bloom = vec![0_u64; (hashes.len() * BLOOM_BITS_PER_ID).div_ceil(64).max(1)];
        let mut file = io::BufWriter::new(tempfile::tempfile()?);
        for &hash in &hashes {
            file.write_all(&hash.to_be_bytes())?;
            for bit in probes(hash, bloom.len()) {
                if let Some(word) = bloom.get_mut(bit / 64) {
                    *word |= 1 << (bit % 64);
                }
            }
        }
        let file = file.into_inner().map_err(io::IntoInnerError::into_error)?;
        self.runs.push(Run { file, count: hashes.len() as u64, bloom });
        Ok(())
    }
}

/// The bits of a filter of so many words that stand for a hash.
fn probes(hash: u128, words: usize) -> impl Iterator<Item = usize> {
    let (start, step) = ((hash >> 64) as u64, (hash as u64) | 1);
    let bits = words as u64 * 64;
    (0..u64::from(BLOOM_PROBES))
        .map(move |n| (start.wrapping_add(step.wrapping_mul(n)) % bits) as usize)
}

impl Run {
    fn holds(&mut self, hash: u128) -> io::Result<bool> {
        let set =
            |bit: usize| self.bloom.get(bit / 64).is_some_and(|word| word & (1 << (bit % 64)) != 0);
        if !probes(hash, self.bloom.len()).all(set) {
            return Ok(false);
        }
        let (mut low, mut high) = (0, self.count);
        while low < high {
            let middle = low + (high - low) / 2;
            let mut bytes = [0; HASH_BYTES as usize];
            self.file.seek(SeekFrom::Start(middle * HASH_BYTES))?;
            self.file.read_exact(&mut bytes)?;
            match u128::from_be_bytes(bytes).cmp(&hash) {
                std::cmp::Ordering::Equal => return Ok(true),
                std::cmp::Ordering::Less => low = middle + 1,
                std::cmp::Ordering::Greater => high = middle,
            }
        }
        Ok(false)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_are_known_again_in_memory_and_on_disk() {
        let mut seen = SeenIds::with_most(100);
        let mut is_new = |parts: &[&str]| seen.add(IdHash::of(parts)).unwrap();
        for n in 0..1234 {
            assert!(is_new(&["f", &n.to_string()]), "{n}");
        }
        for n in 0..1234 {
            assert!(!is_new(&["f", &n.to_string()]), "{n}");
            assert!(is_new(&["g", &n.to_string()]), "{n}");
        }
        assert!(is_new(&["f1", ""]));
        assert!(is_new(&["f", "1 "]));
        assert_eq!(seen.runs.len(), 24);
    }
}
