//! Histories that come in.

use retort_model::ConversationFilter;
use retort_service::Taken;
use serde_json::json;

use crate::support::{Office, chat, chat_with};

#[test]
fn an_import_says_of_each_item_what_became_of_it() {
    let office = Office::new();
    let first = office.import(&[chat("a"), chat("b"), chat("b"), json!({"no": "chat"})], None);
    assert!(first.balances(), "{first:?}");
    assert_eq!((first.read, first.new, first.same), (4, 2, 1), "{first:?}");
    assert_eq!(first.refused_count(), 1, "{first:?}");

    let again = office.import(&[chat("a")], None);
    assert_eq!((again.same, again.new), (1, 0), "{again:?}");
    assert_eq!(again.met[0].outcome, Taken::Same);
}

#[test]
fn a_state_that_continues_another_replaces_it_in_any_order() {
    let longer = json!({"id": "a", "messages": [
        {"role": "user", "content": "a question in a"},
        {"role": "assistant", "content": "an answer"},
        {"role": "user", "content": "And then?"},
        {"role": "assistant", "content": "That was all."},
    ]});
    for rows in [[chat("a"), longer.clone()], [longer, chat("a")]] {
        let office = Office::new();
        for row in rows {
            office.import(&[row], None);
        }
        let shown = office.service.show(&office.local(), "a").unwrap();
        let line = String::from_utf8(shown[0].1.clone()).unwrap();
        assert!(line.contains("That was all."), "{line}");
    }
}

#[test]
fn another_conversation_does_not_take_an_id() {
    let office = Office::new();
    office.import(&[chat("a")], None);
    let other = json!({"id": "a", "messages": [
        {"role": "user", "content": "Something else altogether"},
        {"role": "assistant", "content": "Quite"},
    ]});
    let report = office.import(&[other], None);
    assert_eq!((report.new, report.updated), (0, 0), "{report:?}");
    let shown = office.service.show(&office.local(), "a").unwrap();
    let line = String::from_utf8(shown[0].1.clone()).unwrap();
    assert!(line.contains("a question in a"), "{line}");
}

#[test]
fn an_owner_that_nobody_named_stays_unnamed() {
    let office = Office::new();
    office.import(&[chat("a")], None);
    office.import(&[chat_with("b", "another answer")], Some("ann"));
    let page = office.service.list(
        &office.local(),
        &ConversationFilter::default(),
        retort_service::Order::Newest,
        None,
        10,
    );
    let mut owners: Vec<_> =
        page.unwrap().conversations.into_iter().map(|one| (one.id, one.owner)).collect();
    owners.sort();
    assert_eq!(owners, [("a".into(), None), ("b".into(), Some("ann".into()))]);
}
