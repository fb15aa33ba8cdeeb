//! How much one person can write into the audit log.

use std::time::Duration;

use retort_model::ProjectRole;
use retort_service::{AuditFilter, Caller, Origin, Quotas};

use crate::support::Office;

/// What the log says of someone, the oldest first.
fn said_of(office: &Office, name: &str) -> Vec<String> {
    let filter = AuditFilter { person: Some(name.into()), ..AuditFilter::default() };
    let (entries, _) = office.service.audit(&office.local(), &filter, None, 1000).unwrap();
    entries.into_iter().rev().map(|one| format!("{} {}", one.action, one.object)).collect()
}

/// Makes and revokes an invitation `times` times.
fn invite(office: &Office, caller: &Caller, times: usize) {
    for _ in 0..times {
        let (made, _) = office.service.invite(caller, ProjectRole::Member, None).unwrap();
        office.service.end_invitation(caller, made.id).unwrap();
    }
}

#[test]
fn a_person_fills_no_more_of_the_log_than_their_quota_and_the_rest_is_counted() {
    let office = Office::with_quotas(Quotas { audit_per_day: 10, ..Quotas::default() });
    let (_, ann) = office.join("ann", ProjectRole::Owner);
    let (_, ben) = office.join("ben", ProjectRole::Owner);
    invite(&office, &ann, 50);
    let said = said_of(&office, "ann");
    assert_eq!(said.len(), 11, "{said:?}");
    assert_eq!(said[10], "invite too many entries; further ones are only counted");

    // Neither others nor someone who opens the store directly are affected.
    invite(&office, &ben, 5);
    assert_eq!(said_of(&office, "ben").len(), 10);

    // What was counted is said within the hour.
    office.clock.advance(Duration::from_secs(3600));
    let said = said_of(&office, "ann");
    assert_eq!(said.len(), 12, "{said:?}");
    assert!(said[11].starts_with("invite 90 more since "), "{said:?}");

    // The next day there is room again.
    office.clock.advance(Duration::from_secs(86_400));
    invite(&office, &ann, 2);
    assert_eq!(said_of(&office, "ann").len(), 16);
}

#[test]
fn what_was_counted_is_written_when_the_server_stops() {
    let office = Office::with_quotas(Quotas { audit_per_day: 1, ..Quotas::default() });
    let (_, ann) = office.join("ann", ProjectRole::Owner);
    invite(&office, &ann, 2);
    assert_eq!(said_of(&office, "ann").len(), 2);
    office.service.write_counted(None).unwrap();
    let said = said_of(&office, "ann");
    assert!(said[2].starts_with("invite 3 more since "), "{said:?}");
}

#[test]
fn strangers_who_fail_to_sign_in_are_counted_by_address() {
    let office = Office::new();
    office.service.add_person("ann", Some("a long password")).unwrap();
    let fail = |address: &str| {
        let origin = Origin { address: Some(address.into()), request: None };
        office.service.sign_in_by_link("none", &origin).unwrap_err();
    };
    (0..100).for_each(|_| fail("192.0.2.1"));
    (0..10).for_each(|_| fail("192.0.2.2"));
    let filter = AuditFilter { only_refused: true, ..AuditFilter::default() };
    let (entries, _) = office.service.audit(&office.local(), &filter, None, 1000).unwrap();
    let from = |address: &str| {
        entries.iter().filter(|one| one.address.as_deref() == Some(address)).count()
    };
    assert_eq!([from("192.0.2.1"), from("192.0.2.2")], [61, 10]);
}
