//! Uploads that a server which was killed left behind.

use std::fs::{self, File};
use std::io::Write;
use std::path::Path;
use std::sync::atomic::AtomicBool;
use std::time::{Duration, SystemTime};

use retort_service::{IntakeRequest, Nobody, Service, Wanted};

use crate::support::{Office, chat};

/// The names of the files below `uploads`.
fn uploads(objects: &Path) -> Vec<String> {
    let Ok(found) = fs::read_dir(objects.join("uploads")) else { return Vec::new() };
    let mut names: Vec<String> =
        found.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Has every upload be as old as the service's clock says, which is ahead, but for `age`.
fn make_old(objects: &Path, names: &[String], now: SystemTime, age: Duration) {
    for name in names {
        let file = File::options().write(true).open(objects.join("uploads").join(name)).unwrap();
        file.set_modified(now - age).unwrap();
    }
}

#[test]
fn uploads_that_a_killed_server_left_are_removed_by_doctor_and_by_a_worker() {
    let folder = tempfile::tempdir().unwrap();
    let objects = folder.path().join("objects");
    let office = Office::at(folder.path());
    let (service, caller) = (&office.service, office.local());
    let now = SystemTime::UNIX_EPOCH + Duration::from_secs(1_800_000_000);
    let hour = Duration::from_secs(3600);
    // Killed while bytes came, and when all had come.
    let kill = || {
        let mut cut = service.upload(&caller, "cut").unwrap();
        cut.write_all(&vec![b'x'; 5 << 20]).unwrap();
        std::mem::forget(cut);
        let mut whole = service.upload(&caller, "whole").unwrap();
        whole.write_all(b"{}").unwrap();
        whole.finish().unwrap();
        std::mem::forget(whole);
    };
    kill();
    let killed = uploads(&objects);
    assert_eq!(killed.len(), 2, "{killed:?}");
    let mut queued = service.upload(&caller, "queued").unwrap();
    queued.write_all(chat("a").to_string().as_bytes()).unwrap();
    service.submit_upload(&caller, queued, &IntakeRequest::default()).unwrap();
    let all = uploads(&objects);
    assert_eq!(all.len(), 3);

    make_old(&objects, &all, now, hour / 2);
    let doctor = |repair| service.doctor(false, repair).unwrap();
    let problems = |service: &Service| service.doctor(false, false).unwrap().findings.len();
    let before = problems(service);
    assert_eq!(doctor(true).mended, Vec::<String>::new(), "they may still be sent");
    assert_eq!(uploads(&objects).len(), 3);

    make_old(&objects, &all, now, hour * 2);
    assert_eq!(problems(service), before + 1);
    assert_eq!(doctor(true).mended, ["removed 2 uploads that belong to no import"]);
    let left = uploads(&objects);
    assert!(left.len() == 1 && !killed.contains(&left[0]), "{left:?}");
    assert_eq!(problems(service), before);

    // A worker does the same once an hour, and the import that waited is done.
    kill();
    make_old(&objects, &uploads(&objects), now, hour * 2);
    let work = || service.work_one(Wanted::Any, &Nobody, &AtomicBool::new(false)).unwrap();
    let (_, done) = work().expect("an import waits");
    done.unwrap();
    assert!(work().is_none());
    assert_eq!(uploads(&objects), Vec::<String>::new());
    assert_eq!(service.show(&caller, "a").unwrap().len(), 1);
}
