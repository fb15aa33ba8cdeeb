//! Documents: taken in, listed, found by where they lie, purged, exported; and their originals.

use retort_model::{DateRange, DocumentFilter, EmbeddingStats, ItemKind, Scope};
use retort_store::{
    Cursor, DocumentOrder, DocumentSummary, Importer, IncomingDocument, ListOrder, NewExport,
    Original, Taken,
};

use crate::support::*;

/// A document of that id whose line is `text`.
fn document(place: &Place, id: &str, text: &str) -> IncomingDocument {
    let plain = place.incoming(id, text);
    IncomingDocument {
        id: id.into(),
        source: "uiuc-documents".into(),
        digest: plain.digest,
        size: plain.size,
        body: plain.body,
        ..IncomingDocument::default()
    }
}

fn take(place: &Place, some: &[IncomingDocument]) -> Vec<Taken> {
    let would =
        place.store.would_take_in_documents(&Importer::unnamed(&place.scope()), some).unwrap();
    let taken = place.store.take_in_documents(&Importer::unnamed(&place.scope()), some).unwrap();
    assert_eq!(would, taken);
    assert_eq!(place.store.check(true, at(0)).unwrap(), []);
    taken
}

fn all(place: &Place, selection: &DocumentFilter) -> Vec<DocumentSummary> {
    let found = place.store.documents(&place.scope(), selection, DocumentOrder::Newest, None, 1000);
    let found = found.unwrap().documents;
    let (count, _) = place.store.document_stats(&place.scope(), selection).unwrap();
    assert_eq!(found.len() as u64, count);
    found
}

fn ids(found: &[DocumentSummary]) -> Vec<&str> {
    found.iter().map(|one| &*one.id).collect()
}

fn of(ids: &[&str]) -> DocumentFilter {
    let ids = ids.iter().map(|&id| id.to_owned()).collect();
    DocumentFilter { ids, ..DocumentFilter::default() }
}

fn line(place: &Place, id: &str) -> String {
    let found = all(place, &of(&[id]));
    let line = place.store.document_line(&found[0], &mut place.store.unpacker()).unwrap();
    String::from_utf8(line.unwrap()).unwrap()
}

fn original(sha256: &str) -> Original {
    let media_type = Some("application/pdf".to_owned());
    Original { sha256: sha256.into(), name: Some("a.pdf".into()), media_type, bytes: 7 }
}

/// Names an original; which are gone by that.
fn set(place: &Place, id: &str, sha256: &str) -> Option<Vec<String>> {
    let key = all(place, &of(&[id])).first().map_or(0, |one| one.key);
    place.store.set_original(&place.scope(), key, &original(sha256)).unwrap()
}

fn purge(place: &Place, selection: &DocumentFilter) -> (u64, Vec<String>) {
    let mut gone = Vec::new();
    let mut forget = |more: Vec<String>| gone.extend(more);
    let count = place.store.purge_documents(&place.scope(), selection, &mut forget).unwrap();
    assert_eq!(place.store.check(true, at(0)).unwrap(), []);
    (count, gone)
}

#[test]
fn the_same_document_changes_nothing_and_another_state_takes_its_place() {
    on_both(|place| {
        let made = |text: &str, second: i64| IncomingDocument {
            created_at: Some(at(second)),
            name: Some("A Name.pdf".into()),
            chunks: 2,
            embeddings: EmbeddingStats {
                embedded: 2,
                least_dimension: 3,
                most_dimension: 4,
                width: 64,
                model: Some("ada".into()),
            },
            ..document(place, "1", text)
        };
        assert_eq!(take(place, &[made("one", 5)]), [Taken::New]);
        assert_eq!(take(place, &[made("one", 5)]), [Taken::Same]);
        let again = IncomingDocument { repeated: true, ..made("three", 6) };
        assert_eq!(take(place, &[made("two", 5), again]), [Taken::Updated, Taken::Repeated]);
        assert_eq!(line(place, "1"), "two");
        // Another source's document of that id is another one; two may have one name.
        let other = IncomingDocument { source: "chunks".into(), ..made("other", 5) };
        assert_eq!(take(place, &[other]), [Taken::New]);
        let found = all(place, &DocumentFilter { search: vec!["name".into()], ..of(&["1"]) });
        assert_eq!(found.len(), 2);
        assert_eq!(found[0].embeddings, made("", 0).embeddings);
        assert_eq!((found[0].chunks, found[0].created_at), (2, Some(at(5))));
        assert_eq!(place.number("SELECT COUNT(*) FROM body"), 2);
        let (_, stats) = place.store.document_stats(&place.scope(), &of(&[])).unwrap();
        assert_eq!(stats, EmbeddingStats { embedded: 4, ..made("", 0).embeddings });
    });
}

#[test]
fn a_person_holds_the_documents_that_they_imported() {
    on_both(|place| {
        let scope = place.scope();
        for (name, id) in [("ann", "1"), ("bob", "2"), ("ann", "3")] {
            let importer = Importer { name: Some(name), ..Importer::unnamed(&scope) };
            place.store.take_in_documents(&importer, &[document(place, id, id)]).unwrap();
        }
        let held = |name: &str| place.store.held(place.project, name).unwrap();
        assert_eq!((held("ann"), held("bob"), held("cid")), ([0, 0, 2], [0, 0, 1], [0; 3]));
        let purge = |name| place.store.purge_documents_held(place.project, name, &mut |_| ());
        assert_eq!(purge("ann").unwrap(), 2);
        assert_eq!((held("ann"), ids(&all(place, &of(&[])))), ([0; 3], vec!["2"]));
        assert_eq!(place.store.check(true, at(0)).unwrap(), []);
        assert_eq!(place.store.made_of_held(&scope, "bob", None, 9).unwrap(), (Vec::new(), false));
    });
}

#[test]
fn documents_are_nobody_s_own() {
    on_both(|place| {
        let scope = Scope::person(place.project, "ann");
        let some = [document(place, "1", "one")];
        take(place, &some);
        let everything = DocumentFilter::default();
        assert_eq!(place.store.document_stats(&scope, &everything).unwrap().0, 0);
        assert_eq!(place.store.document(&scope, "1").unwrap(), []);
        assert_eq!(place.store.purge_documents(&scope, &everything, &mut |_| ()).unwrap(), 0);
        let elsewhere = Scope::project(place.project + 1);
        assert_eq!(place.store.document_stats(&elsewhere, &everything).unwrap().0, 0);
        assert!(place.store.knows(&place.scope(), "1").unwrap());
        assert!(!place.store.knows(&scope, "1").unwrap());
    });
}

fn listed(place: &Place, order: DocumentOrder) -> Vec<DocumentSummary> {
    let (mut seen, mut after) = (Vec::new(), None::<Cursor>);
    loop {
        let page = place.store.documents(&place.scope(), &of(&[]), order, after, 2).unwrap();
        seen.extend(page.documents);
        match page.next {
            Some(next) => after = Some(next.to_string().parse().unwrap()),
            None => return seen,
        }
    }
}

#[test]
fn documents_are_listed_in_every_order() {
    on_both(|place| {
        let named = |id: &str, name: Option<&str>, chunks| IncomingDocument {
            created_at: (chunks > 1).then(|| at(chunks)),
            name: name.map(str::to_owned),
            url: Some(format!("https://a.b/{id}")),
            chunks: chunks.unsigned_abs(),
            ..document(place, id, id)
        };
        let some = [
            named("1", Some("beta"), 1),
            named("2", Some("Alpha"), 5),
            named("3", None, 2),
            named("4", Some(""), 5),
            named("5", Some("Ärger"), 3),
        ];
        take(place, &some);
        for &order in DocumentOrder::ALL {
            let expect = match order {
                DocumentOrder::Newest => ["4", "2", "5", "3", "1"],
                DocumentOrder::Oldest => ["1", "3", "5", "2", "4"],
                // A document without a name is sorted by its URL.
                DocumentOrder::Name => ["2", "1", "3", "4", "5"],
                DocumentOrder::NameDown => ["5", "4", "3", "1", "2"],
                DocumentOrder::MostChunks => ["4", "2", "5", "3", "1"],
                DocumentOrder::FewestChunks => ["1", "3", "5", "2", "4"],
            };
            let seen = listed(place, order);
            assert_eq!(ids(&seen), expect, "{order:?}");
            for (index, one) in seen.iter().enumerate() {
                let around = place.store.document_neighbours(&place.scope(), &of(&[]), order, one);
                let before = index.checked_sub(1).map(|before| seen[before].clone());
                assert_eq!(around.unwrap(), [before, seen.get(index + 1).cloned()], "{order:?}");
            }
        }
    });
}

#[test]
fn a_page_of_documents_is_read_from_an_index() {
    on_sqlite(|place| {
        take(place, &[document(place, "1", "one")]);
        for &order in DocumentOrder::ALL {
            let plan = place.store.explain_documents(&place.scope(), &of(&[]), order).unwrap();
            let plan = plan.join("\n");
            assert!(plan.contains("INDEX document_"), "{order:?}: {plan}");
            assert!(!plan.contains("SCAN c"), "{order:?}: {plan}");
            assert!(!plan.contains("TEMP B-TREE"), "{order:?}: {plan}");
        }
    });
}

#[test]
fn documents_are_listed_a_page_at_a_time_and_found_by_their_names_and_places() {
    on_both(|place| {
        let made = |number: i64| IncomingDocument {
            created_at: (number % 3 > 0).then(|| at(number)),
            name: Some(format!("Größe 100% {number}.pdf")),
            url: (number % 2 == 0).then(|| format!("https://a.b/{number}")),
            s3_path: (number > 3).then(|| format!("courses/p/{number}")),
            ..document(place, &number.to_string(), &format!("line {number}"))
        };
        let some: Vec<_> = (1..=7).map(made).collect();
        take(place, &some);
        let seen = listed(place, DocumentOrder::Newest);
        assert_eq!(ids(&seen), ["7", "5", "4", "2", "1", "6", "3"]);
        for (search, expect) in [
            ("GRÖSSE", 0),
            ("größe 100% 7", 1),
            ("0_ 7", 0),
            ("https://A.B/", 3),
            ("courses/p/5", 1),
            ("B/6", 1),
        ] {
            let selection = DocumentFilter { search: vec![search.into()], ..of(&[]) };
            assert_eq!(all(place, &selection).len(), expect, "{search}");
        }
        let lies = |path: Option<&str>, url: Option<&str>| {
            let found = place.store.document_at(&place.scope(), path, url).unwrap();
            found.map(|one| one.id).unwrap_or_default()
        };
        assert_eq!(lies(Some("courses/p/4"), Some("https://a.b/2")), "4");
        assert_eq!(lies(Some(""), Some("https://a.b/2")), "2");
        assert_eq!(lies(Some("https://a.b/2"), Some("courses/p/5")), "");
        assert_eq!(lies(None, None), "");
        // Only those whose moment is known are in a range.
        let before = DateRange { from: None, before: Some(at(5)) };
        assert_eq!(
            ids(&all(place, &DocumentFilter { created: before, ..of(&[]) })),
            ["4", "2", "1"]
        );
    });
}

#[test]
fn an_export_is_of_the_documents_that_were_there() {
    on_both(|place| {
        let some = ["1", "2", "3"].map(|id| document(place, id, &format!("line {id}")));
        take(place, &some);
        let freeze = |name: &str, selection: DocumentFilter| {
            let new =
                NewExport { creator: "ann", person: None, name, plan: "{}", part_bytes: 1 << 30 };
            place.store.submit_export(&place.scope(), &selection.into(), &new, at(100)).unwrap()
        };
        let everything = freeze("all", of(&[]));
        let latest = freeze("latest", DocumentFilter { limit: Some(1), ..of(&[]) });
        let lines = |job: i64| {
            let last = place.job(job).progress.items_total;
            let batch = place.store.selected(job, 0, last, 0).unwrap();
            assert_eq!(batch.kind, ItemKind::Document);
            let mut unpacker = place.store.unpacker();
            let line = |item: &retort_store::SelectedItem| match &item.purged_id {
                Some(id) => format!("purged {id}"),
                None => {
                    let mut line = Vec::new();
                    batch.unpack(item, &mut unpacker, &mut line).unwrap();
                    String::from_utf8(line).unwrap()
                }
            };
            batch.items.iter().map(line).collect::<Vec<_>>()
        };
        assert_eq!(take(place, &[document(place, "2", "changed")]), [Taken::Updated]);
        assert_eq!(purge(place, &of(&["3"])), (1, vec![]));
        assert_eq!(lines(everything), ["line 1", "line 2", "purged 3"]);
        assert_eq!(lines(latest), ["purged 3"]);
        assert_eq!(ids(&all(place, &of(&[]))), ["2", "1"]);
        assert_eq!(take(place, &[document(place, "3", "back")]), [Taken::New]);
        assert_eq!(line(place, "3"), "back");
    });
}

#[test]
fn an_original_is_gone_with_the_last_document_that_names_it() {
    on_both(|place| {
        let some = ["1", "2", "3"].map(|id| document(place, id, &format!("line {id}")));
        take(place, &some);
        for (id, sha256, gone) in
            [("1", "aa", None), ("2", "aa", None), ("3", "bb", None), ("3", "aa", Some("bb"))]
        {
            let gone = gone.into_iter().map(str::to_owned).collect();
            assert_eq!(set(place, id, sha256), Some(gone));
        }
        assert_eq!(set(place, "4", "aa"), None);
        // Another state of the document has the same original.
        take(place, &[document(place, "1", "changed")]);
        assert_eq!(all(place, &of(&["1"]))[0].original, Some(original("aa")));
        assert_eq!(purge(place, &of(&["1", "3"])), (2, vec![]));
        assert_eq!(purge(place, &of(&[])), (1, vec!["aa".to_owned()]));
        assert_eq!(place.number("SELECT COUNT(*) FROM body"), 0);
    });
}
