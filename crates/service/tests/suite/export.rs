//! Jobs that make datasets.

use std::sync::atomic::AtomicBool;

use retort_model::{ConversationFilter, ItemFilter, JobKind, JobState};
use retort_service::{Dedup, Edit, Error, ExportRequest, Nobody, Wanted};

use crate::support::{Office, chat, named, plan};

#[test]
fn an_export_is_queued_made_verified_and_downloaded() {
    let office = Office::new();
    let caller = office.local();
    office.import(&[chat("a"), chat("b")], None);
    let job = office.submit(&caller, "first", ConversationFilter::default()).unwrap();
    assert_eq!(office.service.job(&caller, job).unwrap().state, JobState::Queued);
    assert!(office.work().unwrap().is_some());
    assert!(office.work().unwrap().is_none(), "there is one job");

    assert_eq!(office.service.job(&caller, job).unwrap().state, JobState::Completed);
    let dataset = office.service.dataset(&caller, "first").unwrap();
    let verified = office.service.verify_dataset(&dataset).unwrap();
    assert!(verified.differences.is_empty(), "{:?}", verified.differences);
    assert_eq!(verified.records, 2);
    let (_, archive) = office.service.download(&caller, "first").unwrap();
    let mut bytes = Vec::new();
    archive.write(0..archive.bytes(), &mut bytes).unwrap();
    assert_eq!(bytes.len() as u64, archive.bytes(), "the length is known before");
}

#[test]
fn a_selection_is_frozen_when_the_export_is_asked_for() {
    let office = Office::new();
    let caller = office.local();
    office.import(&[chat("a"), chat("b")], None);
    office.submit(&caller, "d", ConversationFilter::default()).unwrap();
    office.import(&[chat("c")], None);
    office.work().unwrap();
    let dataset = office.service.dataset(&caller, "d").unwrap();
    assert_eq!(office.service.verify_dataset(&dataset).unwrap().records, 2);
}

#[test]
fn deleted_conversations_are_left_out_until_they_are_restored() {
    let office = Office::new();
    let caller = office.local();
    office.import(&[chat("a"), chat("b")], None);
    assert_eq!(office.service.edit(&caller, &named(&["a"]), &Edit::Delete).unwrap(), 1);
    let without = office.export(&caller, "without", ConversationFilter::default());
    assert_eq!(office.service.verify_dataset(&without).unwrap().records, 1);

    assert_eq!(office.service.edit(&caller, &named(&["a"]), &Edit::Restore).unwrap(), 1);
    let with = office.export(&caller, "with", ConversationFilter::default());
    assert_eq!(office.service.verify_dataset(&with).unwrap().records, 2);
}

#[test]
fn a_name_in_use_is_refused_and_an_empty_selection_too() {
    let office = Office::new();
    let caller = office.local();
    office.import(&[chat("a")], None);
    office.export(&caller, "taken", ConversationFilter::default());
    let again = office.submit(&caller, "taken", ConversationFilter::default());
    assert!(matches!(again, Err(Error::NameTaken { .. })), "{again:?}");
    let nothing = office.submit(&caller, "none", named(&["z"]));
    assert!(nothing.is_err(), "{nothing:?}");
    assert!(!office.service.has_open_jobs().unwrap());
}

#[test]
fn a_cancelled_job_makes_no_dataset_and_can_be_tried_again() {
    let office = Office::new();
    let caller = office.local();
    office.import(&[chat("a")], None);
    let job = office.submit(&caller, "d", ConversationFilter::default()).unwrap();
    let cancelled = office.service.cancel(&caller, job, JobKind::Export).unwrap();
    assert_eq!(cancelled.state, JobState::Cancelled);
    assert!(office.work().unwrap().is_none());
    assert!(office.service.dataset(&caller, "d").is_err());

    office.service.retry(&caller, job, JobKind::Export).unwrap();
    office.work().unwrap();
    assert!(office.service.dataset(&caller, "d").is_ok());
}

#[test]
fn a_worker_that_is_stopped_gives_its_job_back() {
    let office = Office::new();
    let caller = office.local();
    office.import(&[chat("a")], None);
    let job = office.submit(&caller, "d", ConversationFilter::default()).unwrap();
    let stopped =
        office.service.work_one(Wanted::Any, &Nobody, &AtomicBool::new(true)).unwrap().unwrap();
    assert!(stopped.1.is_err());
    assert_eq!(office.service.job(&caller, job).unwrap().state, JobState::Queued);
    office.work().unwrap();
    assert_eq!(office.service.job(&caller, job).unwrap().state, JobState::Completed);
}

#[test]
fn files_of_records_are_in_the_dataset_of_several_parts_and_in_its_download() {
    let office = Office::with_parts_of(1);
    let caller = office.local();
    let chats: Vec<_> = (0..20).map(|number| chat(&format!("c{number}"))).collect();
    office.import(&chats, None);
    let selection = ItemFilter::Conversations(ConversationFilter::default());
    let dataset = plan("sessions", &[("data_format", "sts")]);
    let request = ExportRequest { selection, dataset };
    office.service.submit_export(&caller, &request).unwrap();
    office.work().unwrap();
    let dataset = office.service.dataset(&caller, "sessions").unwrap();
    let verified = office.service.verify_dataset(&dataset).unwrap();
    assert!(verified.differences.is_empty(), "{:?}", verified.differences);
    let files = verified.manifest.files.iter().filter(|file| file.path.starts_with("sessions/"));
    assert_eq!(files.count(), 20);
    let (_, archive) = office.service.download(&caller, "sessions").unwrap();
    let mut bytes = Vec::new();
    archive.write(0..archive.bytes(), &mut bytes).unwrap();
    let name = b"sessions/c7.jsonl";
    assert!(bytes.windows(name.len()).any(|window| window == name));
}

#[test]
fn stats_of_an_export_read_the_dataset_that_it_splits_like() {
    let office = Office::new();
    let caller = office.local();
    office.import(&[chat("a"), chat("b")], None);
    let split = [("split", "train=0.5,test=0.5")];
    let request = |dataset| ExportRequest {
        selection: ItemFilter::Conversations(ConversationFilter::default()),
        dataset,
    };
    office.service.submit_export(&caller, &request(plan("before", &split))).unwrap();
    office.work().unwrap();
    let stats = |from| {
        let dataset = plan("after", &[split[0], ("split_from", from)]);
        let stop = AtomicBool::new(false);
        office.service.export_stats(&caller, &request(dataset), Dedup::None, &stop)
    };
    assert_eq!(stats("before").unwrap().found.account.written, 2);
    assert!(matches!(stats("nothing"), Err(Error::NotFound { what: "dataset", .. })));
}
