//! Writing large files past the page cache.
//!
//! A dataset is written once and is often larger than memory: copying it through the page cache costs 8 to 9 % of the CPU
//! seconds of a conversion to JSON Lines (`bench/README.md`), and pushes everything else out of the cache. Where the
//! system allows it (`O_DIRECT` on Linux), whole blocks go straight to the disk. Such a write returns only when the disk
//! has the bytes, so a thread does it while the next block is filled. Small files, the last part of a block and other
//! systems take the ordinary way.

use std::fs::{DirBuilder, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Receiver, SyncSender, sync_channel};
use std::thread::JoinHandle;

use retort_model::bounds::{DISK_BLOCK_BYTES, DISK_BLOCKS};

/// Creates a folder, and those above it, for this account alone; the ones that exist stay as they are.
pub fn make_private_folder(path: &Path) -> io::Result<()> {
    let mut builder = DirBuilder::new();
    builder.recursive(true);
    #[cfg(unix)]
    std::os::unix::fs::DirBuilderExt::mode(&mut builder, 0o700);
    builder.create(path)
}

/// How the names of temporary files and folders start, so that those which a killed process left are found.
pub const TEMPORARY_PREFIX: &str = "retort-tmp-";

/// A temporary folder that only its owner may open; dropping it removes it.
pub fn temporary_folder() -> io::Result<tempfile::TempDir> {
    let mut builder = tempfile::Builder::new();
    builder.prefix(TEMPORARY_PREFIX);
    #[cfg(unix)]
    builder.permissions(std::os::unix::fs::PermissionsExt::from_mode(0o700));
    builder.tempdir()
}

/// A temporary file that other code opens by its path; dropping it removes it.
pub fn temporary_file() -> io::Result<tempfile::NamedTempFile> {
    tempfile::Builder::new().prefix(TEMPORARY_PREFIX).tempfile()
}

/// Disks and file systems ask for addresses and lengths that are multiples of this at most.
const ALIGNMENT: usize = 4096;

/// Memory for one block, with its start where disks want it.
struct Block {
    memory: Vec<u8>,
    start: usize,
    filled: usize,
}

impl Block {
    fn new() -> Self {
        let memory = vec![0; DISK_BLOCK_BYTES + ALIGNMENT];
        let start = memory.as_ptr().align_offset(ALIGNMENT).min(ALIGNMENT);
        Self { memory, start, filled: 0 }
    }

    fn bytes(&self) -> &[u8] {
        self.memory.get(self.start..self.start + self.filled).unwrap_or_default()
    }

    /// Takes as many bytes as fit; says how many.
    fn fill(&mut self, bytes: &[u8]) -> usize {
        let room = self
            .memory
            .get_mut(self.start + self.filled..self.start + DISK_BLOCK_BYTES)
            .unwrap_or_default();
        let length = room.len().min(bytes.len());
        for (room, bytes) in room.get_mut(..length).into_iter().zip(bytes.get(..length)) {
            room.copy_from_slice(bytes);
        }
        self.filled += length;
        length
    }

    fn is_full(&self) -> bool {
        self.filled == DISK_BLOCK_BYTES
    }
}

/// A new file that is written from its start to its end.
pub struct DiskFile {
    path: PathBuf,
    file: File,
    block: Block,
    /// The thread that writes whole blocks, once there are any.
    blocks: Option<Blocks>,
}

struct Blocks {
    full: SyncSender<Block>,
    spent: Receiver<Block>,
    thread: JoinHandle<io::Result<()>>,
    made: usize,
}

impl DiskFile {
    /// With `private`, it is for this account alone.
    pub fn create(path: &Path, private: bool) -> io::Result<Self> {
        let mut options = OpenOptions::new();
        options.write(true).create_new(true);
        #[cfg(unix)]
        if private {
            std::os::unix::fs::OpenOptionsExt::mode(&mut options, 0o600);
        }
        let file = options.open(path)?;
        Ok(Self { path: path.to_owned(), file, block: Block::new(), blocks: None })
    }

    /// Writes everything that is still held.
    pub fn finish(mut self) -> io::Result<()> {
        if let Some(Blocks { full, spent, thread, .. }) = self.blocks.take() {
            drop((full, spent));
            thread
                .join()
                .unwrap_or_else(|_| Err(io::Error::other("the writing thread broke off")))?;
            self.file = OpenOptions::new().append(true).open(&self.path)?;
        }
        self.file.write_all(self.block.bytes())
    }

    /// Hands the full block over and takes an empty one.
    fn pass_on(&mut self) -> io::Result<()> {
        if self.blocks.is_none() {
            self.blocks = Some(Blocks::start(open_direct(&self.path, &self.file)?)?);
        }
        let Some(blocks) = &mut self.blocks else { return Ok(()) };
        let next = if blocks.made < DISK_BLOCKS {
            blocks.made += 1;
            Some(Block::new())
        } else {
            blocks.spent.recv().ok()
        };
        let handed = match next {
            Some(next) => blocks.full.send(std::mem::replace(&mut self.block, next)).is_ok(),
            None => false,
        };
        if handed {
            return Ok(());
        }
        // The thread ended before its time, and knows why.
        match self.blocks.take().map(|blocks| blocks.thread.join()) {
            Some(Ok(Err(error))) => Err(error),
            _ => Err(io::Error::other("the writing thread broke off")),
        }
    }
}

impl Write for DiskFile {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if self.block.is_full() {
            self.pass_on()?;
        }
        Ok(self.block.fill(bytes))
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl Blocks {
    fn start(file: (File, Option<File>)) -> io::Result<Self> {
        let (full, waiting) = sync_channel::<Block>(DISK_BLOCKS);
        let (give_back, spent) = sync_channel::<Block>(DISK_BLOCKS);
        let (mut file, mut otherwise) = file;
        let thread = std::thread::Builder::new().name("disk".into()).spawn(move || {
            for mut block in waiting {
                match file.write_all(block.bytes()) {
                    // Some file systems open a file so and then refuse to write it so.
                    Err(error)
                        if error.kind() == io::ErrorKind::InvalidInput && otherwise.is_some() =>
                    {
                        file = otherwise.take().unwrap_or(file);
                        file.write_all(block.bytes())?;
                    }
                    result => result?,
                }
                // What was written this way once can be written so again.
                otherwise = None;
                block.filled = 0;
                // Nobody takes them back once the file is finished.
                let _ = give_back.try_send(block);
            }
            Ok(())
        })?;
        Ok(Self { full, spent, thread, made: 1 })
    }
}

/// The file opened past the page cache if the system does that, and the ordinary one to fall back to.
#[cfg(target_os = "linux")]
fn open_direct(path: &Path, file: &File) -> io::Result<(File, Option<File>)> {
    use std::os::unix::fs::OpenOptionsExt;
    let direct = OpenOptions::new().write(true).custom_flags(libc::O_DIRECT).open(path);
    let ordinary = file.try_clone()?;
    Ok(match direct {
        Ok(direct) => (direct, Some(ordinary)),
        Err(_) => (ordinary, None),
    })
}

#[cfg(not(target_os = "linux"))]
fn open_direct(_path: &Path, file: &File) -> io::Result<(File, Option<File>)> {
    Ok((file.try_clone()?, None))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn files_of_any_length_come_out_as_they_were_written() {
        let folder = tempfile::tempdir().unwrap();
        let block = DISK_BLOCK_BYTES;
        for length in [0, 1, block - 1, block, block + 1, 3 * block, 7 * block + 4097] {
            let path = folder.path().join(length.to_string());
            let bytes: Vec<u8> = (0..length).map(|n| (n / 7 % 251) as u8).collect();
            let mut file = DiskFile::create(&path, false).unwrap();
            for piece in bytes.chunks(300_001) {
                file.write_all(piece).unwrap();
            }
            file.finish().unwrap();
            assert!(std::fs::read(&path).unwrap() == bytes, "{length}");
        }
    }

    #[test]
    fn a_file_that_is_there_is_not_written_over() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("x");
        DiskFile::create(&path, false).unwrap().finish().unwrap();
        assert!(DiskFile::create(&path, false).is_err());
    }
}
