//! Public links to conversations.

use std::time::Duration;

use retort_service::{Clock, Edit, Error, Pass, ShareRequest, Shows};

use crate::support::{Office, chat, named};

fn request(office: &Office) -> ShareRequest {
    let now = office.clock.now();
    ShareRequest {
        conversation: "a".into(),
        source: None,
        expires_at: retort_model::Time::from_unix_micros(now.unix_micros() + 60_000_000),
        password: None,
        shows: Shows::default(),
    }
}

#[test]
fn a_link_opens_until_it_expires() {
    let office = Office::new();
    office.import(&[chat("a")], None);
    let (_, link) = office.service.share(&office.local(), &request(&office)).unwrap();
    let shared = office.service.shared(&link, Pass::None).unwrap();
    let mut line = Vec::new();
    shared.write(&mut line).unwrap();
    assert!(String::from_utf8(line).unwrap().contains("a question in a"));

    office.clock.advance(Duration::from_secs(61));
    assert!(matches!(office.service.shared(&link, Pass::None), Err(Error::NotFound { .. })));
}

#[test]
fn a_password_is_asked_for_and_checked() {
    let office = Office::new();
    office.import(&[chat("a")], None);
    let request = ShareRequest { password: Some("correct horse".into()), ..request(&office) };
    let (_, link) = office.service.share(&office.local(), &request).unwrap();
    assert!(office.service.shared(&link, Pass::None).is_err());
    assert!(office.service.shared(&link, Pass::Password("battery staple")).is_err());
    let shared = office.service.shared(&link, Pass::Password("correct horse")).unwrap();
    let proof = shared.proof.unwrap();
    assert!(office.service.shared(&link, Pass::Proof(&proof)).is_ok());
}

#[test]
fn links_close_with_their_conversation() {
    let office = Office::new();
    office.import(&[chat("a")], None);
    let caller = office.local();
    let (_, link) = office.service.share(&caller, &request(&office)).unwrap();
    office.service.edit(&caller, &named(&["a"]), &Edit::Delete).unwrap();
    office.service.edit(&caller, &named(&["a"]), &Edit::Restore).unwrap();
    assert!(office.service.shared(&link, Pass::None).is_err(), "for good");
}
