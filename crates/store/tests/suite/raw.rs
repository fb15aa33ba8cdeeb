//! What a purge leaves in the bytes of a store, and what a search of them sees.

use std::collections::BTreeSet;
use std::fs;
use std::path::Path;

use retort_model::ConversationFilter;
use retort_store::{Edit, Incoming};

use crate::support::*;

/// Those of the names that are in the bytes of a file.
fn left(path: &Path, names: &[String]) -> Vec<String> {
    let bytes = fs::read(path).unwrap();
    let text = String::from_utf8_lossy(&bytes);
    let found: BTreeSet<&str> = text
        .match_indices("zq")
        .filter_map(|(at, _)| text[at..].split_inclusive('y').next())
        .collect();
    names.iter().filter(|name| found.contains(&***name)).cloned().collect()
}

fn purge(place: &Place, selection: &ConversationFilter) {
    place.store.edit(&place.scope(), selection, &Edit::Purge).unwrap();
}

/// Imports conversations of all sizes in random order and purges some of them, round by round. Returns what was purged.
fn come_and_go(place: &Place, rounds: usize) -> Vec<String> {
    let mut dice = Dice(SEED);
    let (mut there, mut gone) = (Vec::new(), Vec::new());
    for round in 0..rounds {
        let some: Vec<Incoming> = (0..1 + dice.below(40))
            .map(|number| {
                let name = format!("zq{}x{round}x{number}y", dice.below(1_000_000));
                let length = *dice.one(&[1, 20, 300, 2_000, 9_000]);
                let noise: String =
                    (0..length).map(|_| char::from(b'a' + dice.below(16) as u8)).collect();
                there.push(name.clone());
                let title = Some(format!("{name} {noise:.200}"));
                Incoming { title, ..place.incoming(&name, &format!("{name} {noise}")) }
            })
            .collect();
        place.take(&some);
        let some = there.extract_if(.., |_| dice.happens(20)).collect::<Vec<_>>();
        if !some.is_empty() {
            purge(place, &ids(&some.iter().map(String::as_str).collect::<Vec<_>>()));
        }
        gone.extend(some);
    }
    gone
}

/// A seed with which SQLite leaves a name behind, where nothing is done about it.
const SEED: u64 = 11;

#[test]
fn what_sqlite_copied_from_page_to_page_is_erased_by_a_purge() {
    on_sqlite(|place| {
        let gone = come_and_go(place, 40);
        assert!(gone.len() > 100, "{}", gone.len());
        assert_eq!(left(place.store.file().unwrap(), &gone), [""; 0]);
        assert!(!place.store.is_rewrite_due().unwrap());
    });
}

#[test]
fn a_large_file_is_rewritten_later() {
    on_sqlite(|place| {
        place.sql("INSERT INTO meta (name, value) VALUES ('large', zeroblob(20000000))");
        let gone = come_and_go(place, 40);
        assert!(place.store.is_rewrite_due().unwrap());
        place.store.rewrite_file_if_due().unwrap();
        assert!(!place.store.is_rewrite_due().unwrap());
        assert_eq!(left(place.store.file().unwrap(), &gone), [""; 0]);
    });
}

#[test]
fn every_body_and_every_table_is_handed_on() {
    on_both(|place| {
        let long = "a long line, ".repeat(20_000);
        place.add("small", "zqsmall");
        place.add("large", &long);
        place.export("x", &everything());
        let title = Some("zqtitle".to_owned());
        place.take(&[Incoming {
            title,
            updated_at: Some(at(9)),
            ..place.incoming("small", "zqnew")
        }]);

        let mut bodies = Vec::new();
        place
            .store
            .each_body(&mut |key, line| {
                bodies.push((key, String::from_utf8(line.unwrap().to_vec()).unwrap()));
            })
            .unwrap();
        let mut lines: Vec<&str> = bodies.iter().map(|(_, line)| &**line).collect();
        lines.sort_unstable();
        assert_eq!(lines, [long.as_str(), "zqnew", "zqsmall"]);
        for (key, line) in &bodies {
            let item = place.store.item_of_body(*key).unwrap().map(|(_, id)| id);
            let expect = match &**line {
                "zqnew" => Some("small"),
                "zqsmall" => None,
                _ => Some("large"),
            };
            assert_eq!(item.as_deref(), expect, "{line:.20}");
        }

        let mut tables = Vec::new();
        place
            .store
            .each_table(&mut |table, rows| {
                let mut bytes = Vec::new();
                rows.read_to_end(&mut bytes)?;
                if bytes.windows(7).any(|window| window == b"zqtitle") {
                    tables.push(table.to_owned());
                }
                Ok(())
            })
            .unwrap();
        assert!(tables.contains(&"conversation".to_owned()), "{tables:?}");
    });
}

#[test]
fn the_start_of_a_body_unpacks_as_far_as_it_goes() {
    on_sqlite(|place| {
        let mut dice = Dice(3);
        let line: Vec<u8> = (0..400_000).map(|_| b'a' + dice.below(26) as u8).collect();
        let mut packed = place.store.packer().pack(&line).unwrap().bytes().to_vec();
        assert_eq!(place.store.unpack_start(&packed), (line.clone(), true));
        packed.truncate(packed.len() / 2);
        let (start, is_whole) = place.store.unpack_start(&packed);
        assert!(start.len() > 100_000 && line.starts_with(&start) && !is_whole);
        assert_eq!(place.store.unpack_start(b"\x28\xb5\x2f\xfdgarbage"), (Vec::new(), false));
    });
}
