//! Opening, tables, projects.

use retort_model::{ConversationFilter, ItemKind, ProjectRole, Scope};
use retort_store::{Edit, Error, Incoming, Shard, Store, Taken};

use crate::support::*;

#[test]
fn a_new_store_keeps_its_identity() {
    on_both(|place| {
        assert_eq!(place.store.identity(), "identity-1");
        assert_eq!(Store::open(&place.url, "identity-2").unwrap().identity(), "identity-1");
        assert_eq!(place.again().identity(), "identity-1");
    });
}

#[test]
fn migrating_what_is_newest_changes_nothing() {
    on_both(|place| {
        let (before, after) = Store::migrate(&place.url, "identity-2").unwrap();
        assert_eq!(before, after);
        assert_eq!(place.again().identity(), "identity-1");
    });
}

#[test]
fn stores_that_open_at_once_are_made_once() {
    let open = |url: &str| {
        let opened: Vec<Store> = std::thread::scope(|scope| {
            let all: Vec<_> =
                (0..8).map(|n| scope.spawn(move || Store::open(url, &format!("i{n}")))).collect();
            all.into_iter().map(|one| one.join().unwrap().unwrap()).collect()
        });
        assert!(opened.iter().all(|store| store.identity() == opened[0].identity()));
    };
    let folder = tempfile::tempdir().unwrap();
    open(folder.path().join("new/store.db").to_str().unwrap());
    if let Some(url) = retort_testing::postgres::new_database() {
        open(&url);
    }
}

#[test]
fn another_releases_schema_is_refused() {
    on_both(|place| {
        place.sql("UPDATE meta SET value = '99' WHERE name = 'schema'");
        let refused = |result: Result<(), Error>| {
            assert!(matches!(result, Err(Error::Schema { found: 99, .. })), "{result:?}");
        };
        refused(Store::open(&place.url, "i").map(|_| ()));
        refused(Store::open_existing(&place.url).map(|_| ()));
        refused(Store::migrate(&place.url, "i").map(|_| ()));
    });
}

#[test]
fn what_is_no_store_is_refused() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("letter.txt");
    std::fs::write(&path, "Dear store, ".repeat(1000)).unwrap();
    let error = Store::open(path.to_str().unwrap(), "i").err().expect("no store").to_string();
    assert!(error.contains("letter.txt") && error.contains("not a Retort store"), "{error}");
    assert_eq!(std::fs::read(&path).unwrap().len(), 12_000);
    let missing = folder.path().join("missing.db");
    let error = Store::open_existing(missing.to_str().unwrap()).err().expect("nothing").to_string();
    assert!(error.contains("no such file"), "{error}");
    assert!(!missing.exists());
}

#[test]
fn a_store_without_tables_is_told_from_one_with_them() {
    if let Some(url) = retort_testing::postgres::new_database() {
        let found = Store::open_existing(&url).map(|_| ());
        assert!(matches!(found, Err(Error::Schema { found: 0, .. })), "{found:?}");
    }
}

#[test]
fn a_server_that_is_not_there_is_named_without_passwords() {
    for url in [
        "postgres://ann:secret@%2Fnowhere/db",
        "postgresql:///db?host=/nowhere&user=ann&password=secret",
    ] {
        let error = Store::open(url, "i").err().expect("no server").to_string();
        assert!(error.contains("nowhere") && !error.contains("secret"), "{error}");
    }
}

#[test]
fn both_ways_to_name_a_socket_are_understood() {
    on_postgres(|place| {
        let (user_and_host, name) = place.url.rsplit_once('/').unwrap();
        let folder = user_and_host.split_once('@').unwrap().1.replace("%2F", "/");
        let url = format!("postgresql:///{name}?host={folder}&user=retort");
        assert_eq!(Store::open_existing(&url).unwrap().identity(), "identity-1");
        assert_eq!(place.store.location(), place.url);
    });
}

#[test]
fn projects_are_made_once() {
    on_both(|place| {
        let other = place.again();
        let ids: Vec<i64> = std::thread::scope(|scope| {
            let make =
                |store| scope.spawn(move || Store::project_or_new(store, "q", at(1)).unwrap().id);
            let made = [&place.store, &other, &place.store, &other].map(make);
            made.map(|one| one.join().unwrap()).into()
        });
        assert!(ids.iter().all(|id| *id == ids[0] && *id != place.project), "{ids:?}");
        let names: Vec<_> = other.projects().unwrap().into_iter().map(|one| one.name).collect();
        assert_eq!(names, ["p", "q"]);
        assert_eq!(other.project("q").unwrap().unwrap().id, ids[0]);
        assert_eq!(other.project("r").unwrap(), None);
    });
}

/// The words for types that the first schema was made with, and its search index.
const FIRST_ON_SQLITE: ([(&str, &str); 3], &str) = (
    [("{key}", "INTEGER PRIMARY KEY"), ("{bytes}", "BLOB"), ("{clustered}", " WITHOUT ROWID")],
    "CREATE VIRTUAL TABLE conversation_search USING fts5(
         search, content='conversation', content_rowid='key', columnsize=0, detail=none,
         tokenize='trigram case_sensitive 1');
     INSERT INTO conversation_search (conversation_search, rank) VALUES ('secure-delete', 1);
     INSERT INTO conversation_search (conversation_search, rank) VALUES ('automerge', 16);",
);
const FIRST_ON_POSTGRES: ([(&str, &str); 3], &str) = (
    [("{key}", "BIGINT PRIMARY KEY"), ("{bytes}", "BYTEA"), ("{clustered}", "")],
    "CREATE EXTENSION IF NOT EXISTS pg_trgm;
     CREATE INDEX conversation_search ON conversation USING gin (search gin_trgm_ops);",
);

/// A store as the first release made it, with a project and an import that waits.
fn first_schema((words, search): ([(&str, &str); 3], &str)) -> String {
    let tables = include_str!("../../src/schema/0001.sql");
    let tables =
        words.iter().fold(tables.to_owned(), |sql, (word, meaning)| sql.replace(word, meaning));
    format!(
        "{tables} {search}
         INSERT INTO meta (name, value) VALUES ('identity', 'first'), ('schema', '1');
         INSERT INTO counter (name, value) VALUES ('project', 1), ('job', 1);
         INSERT INTO project (id, name, created_at) VALUES (1, 'p', 0);
         INSERT INTO job (id, project, kind, state, creator, name, plan, created_at, attempts, cancel,
             items_total, items_done, bytes_total, bytes_done, records)
         VALUES (1, 1, 'import', 'queued', 'ann', 'i', '{{}}', 0, 0, 0, 0, 0, 0, 0, 0);"
    )
}

/// The schema of a store that is made now.
fn newest() -> i64 {
    let folder = tempfile::tempdir().unwrap();
    Store::migrate(folder.path().join("new.db").to_str().unwrap(), "i").unwrap().1
}

fn migrates(url: &str) {
    let old = |result: Result<Store, Error>| matches!(result, Err(Error::Schema { found: 1, known }) if known == newest());
    assert!(old(Store::open(url, "i")) && old(Store::open_existing(url)));
    assert_eq!(Store::migrate(url, "i").unwrap(), (1, newest()));
    assert_eq!(Store::migrate(url, "i").unwrap(), (newest(), newest()));
    let store = Store::open_existing(url).unwrap();
    assert_eq!(store.identity(), "first");
    let project = store.project("p").unwrap().unwrap().id;
    assert_eq!(store.jobs(&Scope::project(project), 10).unwrap().len(), 1);
    let body = store.packer().pack(b"line").unwrap();
    let one = Incoming { id: "c".into(), body, size: 4, ..Incoming::default() };
    assert_eq!(take_in(&store, &Scope::project(project), &[one]), [Taken::New]);
    let ann = store.add_person("ann", None, at(0)).unwrap();
    assert!(store.set_role(project, ann.id, Some(ProjectRole::Owner), at(0)).unwrap());
    assert_eq!(store.check(true, at(0)).unwrap(), []);
}

#[test]
fn a_store_of_the_first_schema_is_taken_to_the_newest() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch(&first_schema(FIRST_ON_SQLITE)).unwrap();
    drop(connection);
    migrates(path.to_str().unwrap());
    if let Some(url) = retort_testing::postgres::new_database() {
        let mut client = postgres::Client::connect(&url, postgres::NoTls).unwrap();
        client.batch_execute(&first_schema(FIRST_ON_POSTGRES)).unwrap();
        migrates(&url);
    }
}

/// A store of the second schema in which an export of one conversation waits. Its body is a frame of Zstandard that
/// holds `line` as it is.
fn second_schema((words, search): ([(&str, &str); 3], &str), bytes: [&str; 2]) -> String {
    let tables = include_str!("../../src/schema/0002.sql");
    let tables =
        words.iter().fold(tables.to_owned(), |sql, (word, meaning)| sql.replace(word, meaning));
    let [before, after] = bytes;
    format!(
        "{} {tables}
         UPDATE meta SET value = '2' WHERE name = 'schema';
         INSERT INTO counter (name, value) VALUES ('conversation', 7), ('body', 9);
         INSERT INTO body (key, dictionary, superseded, crc32, bytes)
         VALUES (9, 0, 0, 3507795190, {before}28b52ffd20042100006c696e65{after});
         INSERT INTO conversation (key, project, id, source, owner, kind, status, was, edited, search, created_at,
             updated_at, rounds, messages, digest, size, body)
         VALUES (7, 1, 'c-7', 's', 'zoe', 0, 0, 0, 0, '', 0, 0, 0, 0, {before}{after}, 4, 9);
         INSERT INTO job (id, project, kind, state, creator, name, plan, created_at, attempts, cancel,
             items_total, items_done, bytes_total, bytes_done, records)
         VALUES (2, 1, 'export', 'queued', 'ann', 'e', '{{}}', 0, 0, 0, 1, 0, 4, 0, 0);
         INSERT INTO job_item (job, ordinal, conversation, body, ends) VALUES (2, 1, 7, 9, 4);
         INSERT INTO job_shard (job, number, first, last, bytes, result) VALUES (2, 0, 1, 1, 4, '{{}}');
         INSERT INTO job_left_out (job, ordinal) VALUES (2, 1);
         INSERT INTO person (id, name, folded, disabled, created_at)
         VALUES (1, 'ann', 'ann', 0, 0), (2, 'bob', 'bob', 0, 0);
         INSERT INTO membership (project, person, role, since) VALUES (1, 1, 'member', 0);
         INSERT INTO share (id, project, conversation, link, creator, shows, created_at)
         VALUES (1, 1, 7, 'open sesame', 'ann', 0, 0), (2, 1, 7, 'left', 'bob', 0, 0);
         INSERT INTO invitation (id, project, role, secret, creator, created_at, expires_at)
         VALUES (1, 1, 'member', {before}01{after}, 'local', 0, 9000000000000000),
                (2, 1, 'member', {before}02{after}, 'nobody', 0, 9000000000000000);",
        first_schema((words, search))
    )
}

/// The SHA-256 of `open sesame`.
const OPEN_SESAME: [u8; 32] = [
    0x41, 0xef, 0x4b, 0xb0, 0xb2, 0x36, 0x61, 0xe6, 0x63, 0x01, 0xaa, 0xc3, 0x60, 0x66, 0x91, 0x2d,
    0xac, 0x03, 0x78, 0x27, 0xb4, 0xae, 0x63, 0xa7, 0xb1, 0x16, 0x5a, 0x5a, 0xa9, 0x3e, 0xd4, 0xeb,
];

fn keeps_its_exports(url: &str) {
    assert_eq!(Store::migrate(url, "i").unwrap(), (2, newest()));
    let store = Store::open_existing(url).unwrap();
    let batch = store.selected(2, 0, 1, 0).unwrap();
    assert_eq!(batch.kind, ItemKind::Conversation);
    let (mut unpacker, mut line) = (store.unpacker(), Vec::new());
    batch.unpack(&batch.items[0], &mut unpacker, &mut line).unwrap();
    assert_eq!(line, b"line");
    assert_eq!(store.selected_id(&batch, 1).unwrap(), "c-7");
    // What was made of it was counted together with what was before: it is made anew.
    let shards = store.shards(2).unwrap();
    let shard = Shard { first: 1, last: 1, bytes: 4, ..Shard::default() };
    assert_eq!((shards, store.unfinished_shards(2).unwrap()), (vec![shard], 1));
    // Links are kept under the hash of their secret; one of someone who left is closed.
    assert!(store.share_behind(&OPEN_SESAME, at(0)).unwrap().is_some());
    let shares = store.shares(&Scope::project(1), None, None, 9).unwrap().0;
    assert_eq!(shares.iter().map(|one| one.is_closed).collect::<Vec<_>>(), [true, false]);
    let invitations = store.invitations(1, at(0)).unwrap();
    assert_eq!(invitations.iter().map(|one| one.id).collect::<Vec<_>>(), [1]);
    // The export holds what its maker does not own, which they may have as an admin alone.
    let job = store.job(&Scope::project(1), 2).unwrap().unwrap();
    assert_eq!((job.person, job.needs), (Some(1), ProjectRole::Admin));
    let lost = store.refuse_lost_role(&job);
    assert!(matches!(lost, Err(Error::RoleLost(..))), "{lost:?}");
    // It is its owner's to see, and an id is taken for the project alone.
    assert_eq!(store.find(&Scope::person(1, "zoe"), "c-7").unwrap()[0].key, 7);
    let body = store.packer().pack(b"bobs").unwrap();
    let one =
        Incoming { id: "c-7".into(), source: "s".into(), body, size: 4, ..Incoming::default() };
    let bob = Scope::person(1, "bob");
    assert_eq!(take_in(&store, &bob, &[one]), [Taken::New]);
    // What comes in gets a number of its own.
    let scope = Scope::project(1);
    let body = store.packer().pack(b"next").unwrap();
    let one = Incoming { id: "c-8".into(), body, size: 4, ..Incoming::default() };
    assert_eq!(take_in(&store, &scope, &[one]), [Taken::New]);
    assert!(store.find(&scope, "c-8").unwrap()[0].key > 7);
    let purged = ConversationFilter { ids: ["c-7".into()].into(), ..ConversationFilter::default() };
    assert_eq!(store.edit(&scope, &purged, &Edit::Purge).unwrap(), 2);
    let batch = store.selected(2, 0, 1, 0).unwrap();
    assert_eq!(batch.items[0].purged_id.as_deref(), Some("c-7"));
    assert_eq!(store.check(true, at(0)).unwrap(), []);
}

#[test]
fn a_store_of_the_second_schema_keeps_its_exports() {
    let folder = tempfile::tempdir().unwrap();
    let path = folder.path().join("store.db");
    let connection = rusqlite::Connection::open(&path).unwrap();
    connection.execute_batch(&second_schema(FIRST_ON_SQLITE, ["X'", "'"])).unwrap();
    drop(connection);
    keeps_its_exports(path.to_str().unwrap());
    if let Some(url) = retort_testing::postgres::new_database() {
        let mut client = postgres::Client::connect(&url, postgres::NoTls).unwrap();
        client.batch_execute(&second_schema(FIRST_ON_POSTGRES, ["'\\x", "'"])).unwrap();
        keeps_its_exports(&url);
    }
}
