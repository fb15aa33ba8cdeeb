//! Archives that are made to be slow are read in time that grows with their size.

use std::io::{Cursor, Read, Write};
use std::sync::Arc;

use zip::CompressionMethod;
use zip::write::SimpleFileOptions;

use super::{Input, Inputs, ReadOptions, Stream, Wanted};
use retort_testing::growth::{TIMES, check};

/// Reads all streams of an archive; how many bytes they hold, how many were read and how many were refused or passed
/// over.
fn read(archive: &[u8]) -> (u64, usize, usize) {
    let input = Input::Bytes(archive.to_vec().into(), "archive".into());
    let inputs = Inputs::find(&[input], None, ReadOptions::default()).unwrap();
    let (mut bytes, mut read, mut not_read) = (0, 0, 0);
    for file in &inputs.files {
        let mut take = |_, stream: Stream<'_>| {
            match stream {
                Stream::Items(input) => {
                    read += 1;
                    bytes += std::io::copy(input, &mut std::io::sink()).unwrap_or_default();
                }
                Stream::Refused(..) | Stream::PassedOver(_) => not_read += 1,
            }
            Ok(true)
        };
        file.each_stream(&inputs, (Wanted::Known, None), &Arc::default(), &mut take).unwrap();
    }
    (bytes, read, not_read)
}

fn zip_of(entries: impl Iterator<Item = (String, Vec<u8>)>) -> Vec<u8> {
    let mut archive = zip::ZipWriter::new(Cursor::new(Vec::new()));
    let options = SimpleFileOptions::default().compression_method(CompressionMethod::Deflated);
    for (name, bytes) in entries {
        archive.start_file(name, options).unwrap();
        archive.write_all(&bytes).unwrap();
    }
    archive.finish().unwrap().into_inner()
}

fn tiny(n: usize) -> Vec<u8> {
    zip_of((0..n).map(|i| (format!("{i:06}.json"), b"{}".to_vec())))
}

/// A workbook whose sheets are not in it, but other entries are.
fn without_sheets(n: usize) -> Vec<u8> {
    let tags = |tag: &dyn Fn(usize) -> String| (0..n).map(tag).collect::<String>();
    let sheets = tags(&|i| format!(r#"<sheet name="{i}" r:id="r{i}"/>"#));
    let targets = tags(&|i| format!(r#"<Relationship Id="r{i}" Target="worksheets/{i}.xml"/>"#));
    let parts = [
        ("xl/workbook.xml", format!("<workbook>{sheets}</workbook>")),
        ("xl/_rels/workbook.xml.rels", format!("<Relationships>{targets}</Relationships>")),
    ];
    let parts = parts.map(|(name, text)| (name.to_owned(), text.into_bytes()));
    zip_of(parts.into_iter().chain((0..n).map(|i| (format!("{i:06}.json"), b"{}".to_vec()))))
}

/// As `bytes`, with other names of the same length.
fn renamed(mut bytes: Vec<u8>, to: &[u8; 11]) -> Vec<u8> {
    let mut at = 0;
    while at + to.len() <= bytes.len() {
        if bytes[at + 6..at + 11] == *b".json" && bytes[at..at + 6].iter().all(u8::is_ascii_digit) {
            bytes[at..at + 11].copy_from_slice(to);
            at += 11;
        } else {
            at += 1;
        }
    }
    bytes
}

/// One file's bytes under the names of many entries.
fn overlapping(n: usize) -> Vec<u8> {
    let mut bytes = tiny(n);
    // The directory's entries, whose last field says where the file's own header is.
    let starts: Vec<usize> = bytes
        .windows(4)
        .enumerate()
        .filter(|(_, four)| four == b"PK\x01\x02")
        .map(|(at, _)| at)
        .collect();
    for at in starts {
        bytes[at + 42..at + 46].fill(0);
    }
    bytes
}

fn tar_of(names: impl Iterator<Item = String>) -> Vec<u8> {
    let mut archive = tar::Builder::new(Vec::new());
    for name in names {
        let mut header = tar::Header::new_gnu();
        header.set_size(2);
        header.set_mode(0o600);
        header.set_cksum();
        archive.append_data(&mut header, name, &b"{}"[..]).unwrap();
    }
    archive.into_inner().unwrap()
}

/// Makes an archive of so many entries.
type Make = fn(usize) -> Vec<u8>;

#[test]
fn entries_are_read_in_time_that_grows_with_their_number() {
    let archives: [(&str, Make); 7] = [
        ("tiny entries", tiny),
        ("entries of one name", |n| renamed(tiny(n), b"000000.json")),
        ("overlapping entries", overlapping),
        ("a workbook without its sheets", without_sheets),
        ("entries in folders", |n| {
            zip_of((0..n).map(|i| (format!("{}{i}.json", "d/".repeat(i % 50)), b"{}".to_vec())))
        }),
        ("a tar with tiny entries", |n| tar_of((0..n).map(|i| format!("{i}.json")))),
        ("a tar with entries of one name", |n| tar_of((0..n).map(|_| "a.json".into()))),
    ];
    for (what, archive) in archives {
        let n = 1_000;
        let (small, large) = (archive(n), archive(n * TIMES));
        let (_, read_of_it, not_read) = read(&small);
        match what {
            // The one that stands last in the directory is the one that there is.
            "entries of one name" => assert_eq!((read_of_it, not_read > 0), (1, true), "{what}"),
            "overlapping entries" | "a workbook without its sheets" => {
                assert_eq!((read_of_it, not_read), (0, n), "{what}");
            }
            _ => assert_eq!((read_of_it, not_read), (n, 0), "{what}"),
        }
        check(what, || _ = read(&small), || _ = read(&large));
    }
}

#[test]
fn what_unpacks_to_many_times_its_size_is_read_up_to_the_bound() {
    let bomb = |megabytes: u64| {
        let mut packer = flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::best());
        std::io::copy(&mut std::io::repeat(b' ').take(megabytes << 20), &mut packer).unwrap();
        packer.finish().unwrap()
    };
    // However large it would be, no more than a request may unpack to is unpacked.
    for megabytes in [100, 400] {
        let (bytes, ..) = read(&bomb(megabytes));
        assert!(bytes <= 64 << 20, "{bytes} of {megabytes} MiB");
        let entries =
            (0..4).map(|i| (format!("{i}.json"), vec![b' '; (megabytes as usize / 4) << 20]));
        let (bytes, ..) = read(&zip_of(entries));
        assert!(bytes <= 64 << 20, "{bytes} of {megabytes} MiB");
    }
}
