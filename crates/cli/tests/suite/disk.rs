//! Disks that are full, closed to writing or damaged under the store and under the datasets: what is wrong is said,
//! what was kept stays, and work goes on when the disk is well again.
#![cfg(target_os = "linux")]

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::support::keeping::*;
use crate::support::*;

/// A disk of the test's own, in memory.
struct Disk(PathBuf);

impl Disk {
    /// None, told, where nobody but root makes disks.
    fn new(folder: PathBuf, size: &str) -> Option<Self> {
        fs::create_dir_all(&folder).unwrap();
        let options = format!("size={size},mode=0777");
        if mount(&["-t", "tmpfs", "-o", &options, "tmpfs"], &folder) {
            return Some(Self(folder));
        }
        eprintln!("no disk can be mounted here: this test is passed over");
        None
    }

    fn again(&self, options: &str) {
        assert!(mount(&["-o", &format!("remount,{options}")], &self.0), "{options}");
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = Command::new("umount").arg("-l").arg(&self.0).stderr(Stdio::null()).status();
    }
}

fn mount(args: &[&str], folder: &Path) -> bool {
    let done = Command::new("mount").args(args).arg(folder).stderr(Stdio::null()).status();
    done.is_ok_and(|status| status.success())
}

/// A store with a history of about 3 MB.
fn filled() -> Keep {
    let keep = Keep::sqlite();
    keep.place.file("in.jsonl", history(1000, 8));
    keep.ok(&["import", "in.jsonl", "-q"]);
    keep
}

fn exported(keep: &Keep, name: &str) -> Vec<u8> {
    keep.ok(&["export", name, "-q", "-d", "retort", "--check", "off"]);
    let files = keep.dataset(name);
    let data = files.iter().filter(|(path, _)| path.starts_with("conversations"));
    data.flat_map(|(_, bytes)| bytes.clone()).collect()
}

/// However the command ends, it ends with words.
fn ends_with_words(keep: &Keep, args: &[&str]) {
    let ran = keep.run(args);
    assert!(matches!(ran.code, Some(0 | 1)), "{args:?} ended with {:?}: {}", ran.code, ran.err);
    assert!(!ran.err.contains("bug in Retort"), "{args:?}: {}", ran.err);
}

#[test]
fn a_full_disk_under_the_store_loses_nothing() {
    let whole = filled();
    let keep = Keep::sqlite();
    let Some(disk) = Disk::new(keep.place.path("data"), "2m") else { return };
    let objects = keep.place.path("elsewhere").to_str().unwrap().to_owned();
    let keep = keep.set("RETORT_OBJECTS", objects.as_str());
    keep.place.file("in.jsonl", history(1000, 8));
    keep.place.file("first.jsonl", lines((0..20).map(|n| chat(&format!("first-{n}")))));
    keep.ok(&["import", "first.jsonl", "-q"]);
    keep.refused(&["import", "in.jsonl", "-q"], "full");
    for args in [&["jobs", "list"][..], &["export", "small", "-q"], &["import", "in.jsonl", "-q"]] {
        ends_with_words(&keep, args);
    }
    disk.again("size=100m");
    keep.ok(&["worker", "--once", "-q"]);
    keep.ok(&["import", "in.jsonl", "-q"]);
    keep.assert_all_ended();
    fs::copy(keep.place.path("first.jsonl"), whole.place.path("first.jsonl")).unwrap();
    whole.ok(&["import", "first.jsonl", "-q"]);
    let sorted = |bytes: Vec<u8>| -> BTreeSet<String> {
        String::from_utf8(bytes).unwrap().lines().map(str::to_owned).collect()
    };
    keep.ok(&["export", "all", "-q", "-d", "retort", "--check", "off"]);
    let folder = fs::read_dir(keep.place.path("elsewhere/datasets")).unwrap();
    let end = format!("-{}", keep.job("all")["id"]);
    let mut folder = folder.map(|entry| entry.unwrap().path());
    let folder = folder.find(|path| path.to_string_lossy().ends_with(&end)).unwrap();
    let files = package(files_below(&folder));
    let data = files.iter().filter(|(path, _)| path.starts_with("conversations"));
    let all: Vec<u8> = data.flat_map(|(_, bytes)| bytes.clone()).collect();
    let count = all.iter().filter(|byte| **byte == b'\n').count();
    let all = sorted(all);
    assert_eq!(all.len(), count, "nothing is there twice");
    assert!(all == sorted(exported(&whole, "all")));
}

#[test]
fn a_full_disk_under_the_datasets_fails_the_job_until_there_is_room() {
    let keep = filled();
    keep.ok(&["export", "whole", "-q", "-d", "openai"]);
    let Some(disk) = Disk::new(keep.place.path("data/objects/datasets/small"), "1500k") else {
        return;
    };
    let keep = keep.set("RETORT_OBJECTS", disk.0.to_str().unwrap());
    let ran = keep.refused(&["export", "full", "-q", "-d", "openai"], "No space left");
    assert!(ran.err.contains("in the storage of the datasets"), "{}", ran.err);
    let job = keep.job("full");
    assert_eq!((&job["state"], &job["dataset"]), (&"failed".into(), &serde_json::Value::Null));
    assert!(job["error"].as_str().unwrap().contains("No space left"), "{job}");
    disk.again("size=50m");
    keep.ok(&["jobs", "retry", &job["id"].to_string()]);
    let made = fs::read_dir(disk.0.join("datasets")).unwrap().next().unwrap().unwrap().path();
    let files = package(files_below(&made));
    let whole = {
        let end = format!("-{}", keep.job("whole")["id"]);
        let mut all = fs::read_dir(keep.place.path("data/objects/datasets")).unwrap();
        let found = all.find_map(|entry| {
            let path = entry.unwrap().path();
            path.to_string_lossy().ends_with(&end).then_some(path)
        });
        package(files_below(&found.unwrap()))
    };
    assert_same(("full", files), ("whole", whole));
}

#[test]
fn a_store_that_cannot_be_written_is_told_of() {
    let keep = filled();
    let Some(disk) = Disk::new(keep.place.path("closed"), "50m") else { return };
    fs::copy(keep.place.path("data/retort.sqlite"), disk.0.join("retort.sqlite")).unwrap();
    let closed = keep.place.path("closed/retort.sqlite").to_str().unwrap().to_owned();
    let before = exported(&keep, "before");
    disk.again("ro");
    for args in
        [&["import", "in.jsonl", "-q"][..], &["export", "closed", "-q"], &["worker", "--once"]]
    {
        let ran = keep.refused(&[args, &["--store", &closed]].concat(), "store");
        let told = ["read-only", "readonly", "unable to open", "cannot be written"];
        assert!(told.iter().any(|words| ran.err.contains(words)), "{args:?}: {}", ran.err);
    }
    disk.again("rw");
    let keep = keep.set("RETORT_STORE", closed);
    keep.ok(&["export", "after", "-q", "-d", "retort", "--check", "off"]);
    keep.ok(&["import", "in.jsonl", "-q"]);
    assert!(exported(&keep, "before") == before);
}

#[test]
fn datasets_that_cannot_be_written_fail_the_job_until_they_can() {
    let keep = filled();
    let Some(disk) = Disk::new(keep.place.path("data/objects"), "50m") else { return };
    keep.ok(&["export", "whole", "-q"]);
    disk.again("ro");
    keep.refused(&["export", "closed", "-q"], "Read-only file system");
    let job = keep.job("closed");
    assert_eq!(job["state"], "failed");
    assert!(job["error"].as_str().unwrap().contains("Read-only file system"), "{job}");
    disk.again("rw");
    keep.ok(&["jobs", "retry", &job["id"].to_string()]);
    assert_same(("closed", keep.dataset("closed")), ("whole", keep.dataset("whole")));
}

#[test]
fn damaged_pages_leave_out_what_they_held_or_are_told_of() {
    let keep = filled();
    let whole = String::from_utf8(exported(&keep, "whole")).unwrap();
    let lines: BTreeSet<&str> = whole.lines().collect();
    let file = keep.place.path("data/retort.sqlite");
    assert!(fs::metadata(file.with_extension("sqlite-wal")).is_err(), "the file is whole");
    let good = fs::read(&file).unwrap();
    let mut chance = Chance::of(11);
    let (mut left_out, mut refused) = (0, 0);
    for number in 0..24 {
        let length = [60, 600, 16 << 10][number % 3];
        // The first pages are the schema and its tables' roots.
        let start = (64 << 10) + chance.below((good.len() - (128 << 10)) as u64) as usize;
        let mut bad = good.clone();
        for byte in &mut bad[start..start + length] {
            *byte = chance.below(256) as u8;
        }
        fs::write(&file, &bad).unwrap();
        for name in ["sqlite-wal", "sqlite-shm"] {
            let _ = fs::remove_file(file.with_extension(name));
        }
        let ran =
            keep.run(&["export", "damaged", "-q", "-d", "retort", "--check", "off", "--json"]);
        assert!(!ran.err.contains("bug in Retort"), "{start}: {}", ran.err);
        if ran.code != Some(0) {
            assert_eq!(ran.code, Some(1), "{start}: {}", ran.err);
            assert!(
                ran.err.contains("damaged") || ran.err.contains("malformed"),
                "{start}: {}",
                ran.err
            );
            refused += 1;
            continue;
        }
        let job: serde_json::Value = serde_json::from_str(&ran.out).unwrap();
        let files = package(files_below(&keep.folder(&job)));
        let manifest: serde_json::Value = serde_json::from_slice(&files["manifest.json"]).unwrap();
        assert_balanced(&manifest);
        let data = files.iter().filter(|(path, _)| path.starts_with("conversations"));
        let data: Vec<u8> = data.flat_map(|(_, bytes)| bytes.clone()).collect();
        let written: Vec<&str> = std::str::from_utf8(&data).unwrap().lines().collect();
        for line in &written {
            assert!(
                lines.contains(line),
                "{start}: not as it was: {}",
                &line[..line.len().min(500)]
            );
        }
        let rejects = files.get("rejects.jsonl").cloned().unwrap_or_default();
        let rejects = rows(std::str::from_utf8(&rejects).unwrap());
        assert_eq!(written.len() + rejects.len(), lines.len(), "{start}");
        for reject in &rejects {
            assert_eq!(reject["reason"], "damaged", "{reject}");
            let id = reject["conversation_id"].as_str().unwrap();
            assert!(whole.contains(&format!("\"{id}\"")), "{reject}");
        }
        left_out += rejects.len();
    }
    eprintln!("{left_out} conversations were left out, {refused} exports refused");
    assert!(left_out > 0, "no body was hit");
}

#[test]
fn what_is_no_store_is_told_of() {
    let keep = filled();
    let good = fs::read(keep.place.path("data/retort.sqlite")).unwrap();
    let bad = |name: &str, bytes: &[u8]| {
        let path = keep.place.file(name, bytes).to_str().unwrap().to_owned();
        for args in [&["export", "d", "-q"][..], &["import", "in.jsonl", "-q"], &["jobs"]] {
            let ran = keep.refused(&[args, &["--store", &path]].concat(), "");
            let told = ["damaged", "not a Retort store", "malformed"];
            assert!(
                told.iter().any(|words| ran.err.contains(words)),
                "{name} {args:?}: {}",
                ran.err
            );
        }
        assert!(fs::read(&path).unwrap() == bytes, "{name} was changed");
    };
    bad("text.sqlite", b"Dear diary\n".repeat(100).as_slice());
    bad("image.sqlite", &[0x89; 100_000]);
    for length in [1000, 20_000, 100_000] {
        bad(&format!("cut-{length}.sqlite"), &good[..length]);
    }
    // Cut where what is asked for may still be there.
    let cut = keep.place.file("cut.sqlite", &good[..good.len() / 2]).to_str().unwrap().to_owned();
    for args in [&["export", "d", "-q"][..], &["import", "in.jsonl", "-q"], &["jobs"]] {
        ends_with_words(&keep, &[args, &["--store", &cut]].concat());
    }
    // A folder.
    fs::create_dir(keep.place.path("folder.sqlite")).unwrap();
    keep.refused(&["import", "in.jsonl", "-q", "--store", "folder.sqlite"], "folder.sqlite");
    keep.refused(&["export", "d", "-q", "--store", "missing.sqlite"], "there is no such file");
}

#[test]
fn a_database_of_others_is_not_moved_into() {
    // One table `t`, as SQLite 3 writes it: a page of schema and a page of rows.
    let mut file = vec![0_u8; 8192];
    file[..18].copy_from_slice(b"SQLite format 3\0\x10\x00");
    file[18..24].copy_from_slice(&[1, 1, 0, 64, 32, 32]);
    file[28..32].copy_from_slice(&2_u32.to_be_bytes());
    file[24..28].copy_from_slice(&1_u32.to_be_bytes());
    file[92..96].copy_from_slice(&1_u32.to_be_bytes());
    file[40..44].copy_from_slice(&1_u32.to_be_bytes());
    file[44..48].copy_from_slice(&4_u32.to_be_bytes());
    file[56..60].copy_from_slice(&1_u32.to_be_bytes());
    let sql = b"CREATE TABLE t(a)";
    let mut cell = vec![0, 1, 6, 23, 15, 15, 1, 13 + 2 * sql.len() as u8];
    cell.extend_from_slice(b"tablett\x02");
    cell.extend_from_slice(sql);
    cell[0] = cell.len() as u8 - 2;
    let at = 4096 - cell.len();
    file[at..4096].copy_from_slice(&cell);
    file[100..108].copy_from_slice(&[13, 0, 0, 0, 1, (at >> 8) as u8, at as u8, 0]);
    file[108..110].copy_from_slice(&[(at >> 8) as u8, at as u8]);
    file[4096..4104].copy_from_slice(&[13, 0, 0, 0, 0, 16, 0, 0]);
    let keep = Keep::sqlite();
    keep.place.file("in.jsonl", chats(3));
    keep.place.file("other.sqlite", &file);
    for args in [&["import", "in.jsonl", "-q"][..], &["jobs"]] {
        keep.refused(&[args, &["--store", "other.sqlite"]].concat(), "not a Retort store");
    }
    let tables =
        String::from_utf8_lossy(&keep.place.bytes("other.sqlite")).matches("CREATE").count();
    assert_eq!(tables, 1);
}

#[test]
fn a_store_of_a_newer_release_is_told_of() {
    let keep = filled();
    let file = keep.place.path("data/retort.sqlite");
    let store = rusqlite::Connection::open(&file).unwrap();
    assert_eq!(
        store.execute("UPDATE meta SET value = '999' WHERE name = 'schema'", []).unwrap(),
        1
    );
    store.close().unwrap();
    let bytes = fs::read(&file).unwrap();
    for args in [&["import", "in.jsonl", "-q"][..], &["export", "d", "-q"], &["worker", "--once"]] {
        keep.refused(args, "use a newer release of Retort");
    }
    assert!(fs::read(&file).unwrap() == bytes, "it was changed");
}

#[test]
fn a_destination_whose_disk_is_full_or_closed_gets_the_dataset_once_it_is_well() {
    let keep = filled();
    let Some(disk) = Disk::new(keep.place.path("out"), "512k") else { return };
    let config = format!("[destinations.out]\nlocation = \"{}\"\n", disk.0.display());
    fs::create_dir_all(keep.place.path("config/retort")).unwrap();
    keep.place.file("config/retort/config.toml", config);
    let add =
        ["schedules", "add", "s", "--every-hours", "1", "--window", "changed", "-d", "retort"];
    let to = ["--check", "off", "--deliver-to", "out", "--dataset-name", "d-{n}"];
    keep.ok(&[&add[..], &to].concat());
    let receipt = disk.0.join("d-1/manifest.json");
    let ran = keep.refused(&["schedules", "run", "s", "-q"], "in the store, but not delivered");
    assert!(ran.err.contains("no space left on device"), "{}", ran.err);
    assert!(!receipt.exists());
    disk.again("size=50m,ro");
    keep.ok(&["schedules", "resume", "s"]);
    keep.ok(&["worker", "--once", "-q"]);
    let shown = keep.ok(&["schedules", "show", "s"]).out;
    assert!(
        shown.contains("not yet") && shown.contains("not delivered: destination `out`"),
        "{shown}"
    );
    disk.again("size=50m,rw");
    keep.ok(&["schedules", "resume", "s"]);
    keep.ok(&["worker", "--once", "-q"]);
    let verified = keep.ok(&["verify", "out"]);
    assert!(
        verified.err.contains("windows") || verified.err.contains("window 1"),
        "{}",
        verified.err
    );
    let left: Vec<_> = files_below(&disk.0).into_keys().filter(|path| path.contains('#')).collect();
    assert!(left.is_empty() && receipt.exists(), "{left:?}");
}
