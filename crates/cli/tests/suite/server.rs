//! The same commands, asked of a store that lies here and of a server before it.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::process::{Child, Command, Stdio};
use std::time::Duration;

use crate::support::*;
use serde_json::{Value, json};

/// All that a token can let one do.
const ALL: [&str; 5] = ["read", "write", "export", "share", "manage"];

/// A server on a store of its own, and a token of its owner.
struct Served {
    place: Place,
    child: Child,
    url: String,
    token: String,
}

impl Served {
    /// A server that someone who was not there before finds: its owner is `local`, as the holder of the store is.
    fn new() -> Self {
        Self::on(Place::new())
    }

    fn on(place: Place) -> Self {
        Self::of(place, "local")
    }

    /// A server, with a token of that person.
    fn of(place: Place, person: &str) -> Self {
        let log = File::create(place.path("serve.log")).unwrap();
        let mut command = place.command(&["serve", "--listen", "127.0.0.1:0"]);
        let child = command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(log).spawn().unwrap();
        let mut served = Self { place, child, url: String::new(), token: String::new() };
        served.url = served.said("listening at ");
        served.token = served.token_of(person, &ALL);
        served
    }

    /// What the server says behind these words.
    fn said(&mut self, words: &str) -> String {
        for _ in 0..1500 {
            let log = fs::read_to_string(self.place.path("serve.log")).unwrap();
            let mut lines = log.split_inclusive('\n').filter(|line| line.ends_with('\n'));
            if let Some(found) = lines.find_map(|line| line.trim().strip_prefix(words)) {
                return found.to_owned();
            }
            assert!(self.child.try_wait().unwrap().is_none(), "{log}");
            std::thread::sleep(Duration::from_millis(20));
        }
        panic!("the server does not say `{words}`");
    }

    fn token_of(&self, person: &str, scopes: &[&str]) -> String {
        let scopes = scopes.iter().flat_map(|scope| ["--scope", scope]);
        let args: Vec<_> =
            ["tokens", "add", "t", "--person", person].into_iter().chain(scopes).collect();
        let ran = self.place.ok(&args);
        let token = ran.out.trim_end().to_owned();
        assert!(token.starts_with("rt_") && token.len() == 46, "{token}");
        assert!(!ran.err.contains(&token), "the secret stands on standard output alone");
        token
    }

    fn command_as(&self, token: &str, args: &[&str]) -> Command {
        let mut command = self.place.command(args);
        command.env("RETORT_SERVER", &self.url).env("RETORT_TOKEN", token);
        command
    }

    fn there_as(&self, token: &str, args: &[&str]) -> Ran {
        finish(self.command_as(token, args), Vec::new())
    }

    /// Asks the server, and expects success.
    fn there(&self, args: &[&str]) -> Ran {
        let ran = self.there_as(&self.token, args);
        assert_eq!(ran.code, Some(0), "{args:?}: {}{}", ran.err, self.log());
        ran
    }

    fn refused(&self, token: &str, args: &[&str], words: &str) {
        self.ended_with(1, token, args, words);
    }

    /// Expects that the server takes the arguments for wrong usage.
    fn misused(&self, args: &[&str], words: &str) {
        self.ended_with(2, &self.token, args, words);
    }

    fn ended_with(&self, code: i32, token: &str, args: &[&str], words: &str) {
        let ran = self.there_as(token, args);
        assert_eq!(ran.code, Some(code), "{args:?}: {}", ran.err);
        assert!(ran.err.contains(words), "{args:?}: {}", ran.err);
        assert!(!ran.err.contains(token), "{args:?} shows the token");
    }

    /// Asks both ways, and expects the same output.
    fn same(&self, args: &[&str]) -> String {
        let (here, there) = (self.place.ok(args).out, self.there(args).out);
        assert_eq!(here, there, "{args:?}");
        here
    }

    fn log(&self) -> String {
        fs::read_to_string(self.place.path("serve.log")).unwrap()
    }

    /// Asks the server to stop, as an operator does.
    fn stop(mut self) -> (Option<i32>, String) {
        let pid = self.child.id().to_string();
        assert!(Command::new("kill").args(["-TERM", &pid]).status().unwrap().success());
        let status = ended(&mut self.child, 60);
        (status.and_then(|status| status.code()), self.log())
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// Conversations of all kinds.
fn histories() -> String {
    let system = json!({"role": "system", "content": "be kind"});
    let tagged = with(chat("tagged"), "tags", json!(["旅行", "a"]));
    let tagged = with(tagged, "title", json!("Trains to Kyoto"));
    let mut prompted = chat("prompted");
    prompted["messages"].as_array_mut().unwrap().insert(0, system);
    lines([
        chat("c1"),
        with(chat("c2"), "created_at", json!("2024-01-02T10:00:00Z")),
        with(tagged, "created_at", json!("2024-02-01T00:00:00.123456Z")),
        with(chat("kept"), "status", json!("favorite")),
        with(chat("gone"), "status", json!("deleted")),
        prompted,
        chat("a/b?c #%d"),
    ])
}

fn served_with_histories() -> Served {
    let place = Place::new();
    place.file("in.jsonl", histories());
    place.ok(&["import", "-q", "in.jsonl"]);
    Served::on(place)
}

#[test]
fn what_is_listed_and_shown_is_the_same_here_and_there() {
    let served = served_with_histories();
    for args in [
        &["list"][..],
        &["list", "--json"],
        &["list", "--lines", "--all"],
        &["list", "--json", "--limit", "2", "--sort", "oldest"],
        &["list", "--count"],
        &["list", "--count", "--json", "--status", "deleted"],
        &["list", "--search", "KYOTO", "--search", "旅", "--type", "chat"],
        &["list", "--created-from", "2024-01-02", "--created-before", "2024-01-31"],
        &["list", "--id", "c1", "--id", "kept"],
        &["list", "--lines", "--turns", "1..3", "--calls", "0", "--has-error=false"],
        &["list", "--count", "--model", "m", "--tag", "x", "--tag", "旅行", "--format", "retort"],
        &["show", "tagged"],
        &["show", "a/b?c #%d"],
        &["show", "gone", "--json"],
        &["jobs", "list"],
        &["jobs", "--json"],
        &["projects"],
        &["projects", "list", "--json"],
        &["members", "--json"],
        &["members"],
        &["audit", "list", "--json"],
        &["audit", "list", "--action", "import", "--person", "local"],
        &["share", "list", "--json"],
        &["datasets"],
        &["datasets", "--json"],
    ] {
        served.same(args);
    }
    // The next page begins where the one before says.
    let page: Value =
        serde_json::from_str(&served.same(&["list", "--json", "--limit", "2"])).unwrap();
    served.same(&["list", "--lines", "--limit", "2", "--after", page["next"].as_str().unwrap()]);
    for id in ["c9", "..", "a/b"] {
        served.place.refused(&["show", id], "");
        served.refused(&served.token, &["show", id], "");
    }
}

#[test]
fn what_is_read_by_a_mapping_comes_to_a_server_as_to_a_store() {
    let served = Served::new();
    let place = &served.place;
    let item = |id: u32, text: &str| json!({"no": id, "talk": {"turns": [{"speaker": "patient", "utterance": text}, {"speaker": "bot", "utterance": "a"}]}});
    place.file(
        "in.jsonl",
        lines([item(1, "q"), item(2, "r"), item(1, "q"), json!({"no": 3})]) + "no JSON\n",
    );
    place.file(
        "map.toml",
        "messages = 'talk.turns'\n[message]\nrole = 'speaker'\ntext = 'utterance'\n[roles]\npatient = 'user'\n[fields]\nid = 'no'\n",
    );
    let args = ["import", "in.jsonl", "--map", "map.toml", "--json", "--rejects"];
    let report = |args: &[&str], run: &dyn Fn(&[&str]) -> Ran| -> Value {
        serde_json::from_str(&run(args).out).unwrap()
    };
    let there = report(&[&args[..], &["there.jsonl"]].concat(), &|args| served.there(args));
    let here = Place::new();
    for name in ["in.jsonl", "map.toml"] {
        here.file(name, fs::read_to_string(place.path(name)).unwrap());
    }
    let local = report(&[&args[..], &["here.jsonl"]].concat(), &|args| here.ok(args));
    for field in ["read", "new", "refused"] {
        assert_eq!(there[field], local[field], "{field}: {there} {local}");
    }
    // The second of two that are the same; only a store can say that they are.
    assert_eq!((&there["repeated"], &local["same"]), (&json!(1), &json!(1)));
    // It is in the list, too, in front of what could not be read.
    let (mut listed, refused) = (place.rows("there.jsonl"), here.rows("here.jsonl"));
    assert_eq!(listed.remove(0)["reason"], "repeated-id");
    assert_eq!(listed, refused);
    for id in ["1", "2"] {
        let shown = |ran: Ran| -> Value { serde_json::from_str(&ran.out).unwrap() };
        let (there, local) =
            (shown(served.there(&["show", id, "--json"])), shown(here.ok(&["show", id, "--json"])));
        assert_eq!(there["rounds"], local["rounds"]);
    }
    let both = ["import", "in.jsonl", "--map", "map.toml", "--with-files"];
    served.misused(&both, "work together with a local store only");
}

#[test]
fn a_server_gets_the_files_beside_the_histories_of_a_folder() {
    let served = Served::new();
    let shown = |name: &str| json!([{"type": "text", "text": "Who is it?"}, {"type": "image", "path": name}]);
    let chat = |id: &str, name: &str| json!({"id": id, "messages": [{"role": "user", "content": shown(name)}, {"role": "assistant", "content": "Ann."}]});
    let place = &served.place;
    place.file("in/a/chats.jsonl", lines([chat("c1", "pictures/a.png"), chat("c2", "gone.png")]));
    place.file("in/a/pictures/a.png", "a picture");
    let mut archive = zip::ZipWriter::new(File::create(place.path("in/b.zip")).unwrap());
    for (name, text) in
        [("chats.jsonl", chat("c3", "b.png").to_string()), ("b.png", "another".into())]
    {
        archive.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
        archive.write_all(text.as_bytes()).unwrap();
    }
    archive.finish().unwrap();

    let report = served.there(&["import", "in", "--with-files", "--json"]);
    let report: Value = serde_json::from_str(&report.out).unwrap();
    assert_eq!((&report["read"], &report["new"]), (&json!(3), &json!(3)), "{report}");
    assert_eq!(report["warnings"][0]["kind"], "attachment-left-behind");
    assert_eq!(report["warnings"][0]["first_ids"], json!(["c2"]), "its file is not there");
    served.there(&["export", "e", "-q", "--to", "chat", "--attachments", "keep"]);
    let files = place.downloaded("e");
    let pictures = files.iter().filter(|(path, _)| path.starts_with("files/"));
    let mut pictures: Vec<_> = pictures.map(|(_, bytes)| &bytes[..]).collect();
    pictures.sort();
    assert_eq!(pictures, [b"a picture" as &[u8], b"another"]);
}

#[test]
fn a_conversation_of_two_sources_is_shown_whole_both_ways() {
    let served = served_with_histories();
    let other = json!({"retort": 1, "id": "c1", "source": "retort", "kind": "chat", "tags": [], "status": "active",
        "rounds": [{"number": 1, "messages": [{"role": "user", "content": "q"}]}]});
    served.place.file("other.jsonl", lines([other]));
    served.there(&["import", "-q", "other.jsonl"]);
    assert_eq!(served.same(&["show", "c1", "--json"]).lines().count(), 2);
}

#[test]
fn what_is_changed_there_is_as_if_it_were_changed_here() {
    let (here, there) = (served_with_histories(), served_with_histories());
    for args in [
        &["tag", "c1", "c2", "--add", "x", "--json"][..],
        &["tag", "--all", "--add", "y", "--remove", "a", "--json"],
        &["tag", "--search", "Kyoto", "--remove", "y", "--json"],
        &["favorite", "c1", "gone", "--json"],
        &["favorite", "--off", "kept", "--json"],
        &["delete", "c1", "c2", "--json"],
        &["restore", "c1", "--json"],
        &["restore", "--all", "--json"],
        &["delete", "--search", "y", "--json"],
        &["purge", "--yes", "c2", "--json"],
        &["purge", "--yes", "--status", "deleted", "--search", "x", "--json"],
        &["purge", "--yes", "--all", "--json"],
    ] {
        let (mine, yours) = (here.place.ok(args), there.there(args));
        assert_eq!(mine.out, yours.out, "{args:?}");
        assert_eq!(mine.err, yours.err, "{args:?}");
        let all = [
            "list", "--lines", "--all", "--status", "active", "--status", "favorite", "--status",
            "deleted",
        ];
        assert_eq!(here.place.ok(&all).out, there.place.ok(&all).out, "after {args:?}");
    }
    for args in [&["tag", "c1", "c9", "--add", "z"][..], &["delete", "--id", "c9"]] {
        let (mine, yours) = (here.place.run(args), there.there_as(&there.token, args));
        assert_eq!((mine.code, &mine.err), (yours.code, &yours.err), "{args:?}");
        assert!(mine.err.contains("nothing was changed"), "{}", mine.err);
    }
}

#[test]
fn an_import_through_the_server_equals_one_here() {
    let (here, there) = (Place::new(), Served::new());
    for place in [&here, &there.place] {
        place.file("in/a.jsonl", histories() + "{broken\n");
        place.file("in/b.jsonl.gz", gzip(chats(300).as_bytes()));
        place.file("in/deep/c.zip", zip(&[("x.json", lines([chat("zipped")]).as_bytes())]));
        place.file("in/readme.txt", "no history");
    }
    let args = ["import", "--json", "--owner", "ann", "--rejects", "rejects.jsonl", "in", "-"];
    let stdin = lines([chat("piped")]) + "not JSON\n";
    let mine = finish(here.command(&args), stdin.clone().into_bytes());
    let yours = finish(there.command_as(&there.token, &args), stdin.into_bytes());
    assert_eq!((mine.code, yours.code), (Some(0), Some(0)), "{}{}", mine.err, yours.err);
    assert_eq!(mine.out, yours.out);
    let rejects = here.rows("rejects.jsonl");
    assert_eq!(rejects, there.place.rows("rejects.jsonl"));
    assert_eq!((rejects.len(), &rejects[1]["line"]), (2, &json!(2)), "{rejects:?}");
    let all = ["list", "--lines", "--all", "--sort", "oldest"];
    assert_eq!(here.ok(&all).out.lines().count(), 308);
    let listed = |text: String| {
        let mut rows: Vec<String> = text.lines().map(str::to_owned).collect();
        rows.sort();
        rows
    };
    assert_eq!(listed(here.ok(&all).out), listed(there.place.ok(&all).out));
    // Again: nothing changes.
    let again: Value =
        serde_json::from_str(&there.there(&["import", "--json", "--owner", "ann", "in"]).out)
            .unwrap();
    assert_eq!((again["same"].as_u64(), again["new"].as_u64()), (Some(308), Some(0)), "{again}");
    // And without waiting for it.
    let jobs: Value =
        serde_json::from_str(&there.there(&["import", "--json", "--detach", "in"]).out).unwrap();
    let job = jobs[0]["id"].to_string();
    there.there(&["jobs", "watch", &job]);
    let listed = there.same(&["jobs", "rejects", &job]);
    assert_eq!(rows(&listed), rejects[..1]);
    let whole = jobs[1]["id"].to_string();
    there.there(&["jobs", "watch", &whole]);
    assert_eq!(there.same(&["jobs", "rejects", &whole]), "");
    let detached = ["import", "--detach", "--rejects", "r.jsonl", "in"];
    there.misused(&detached, "jobs rejects NUMBER");
}

#[test]
fn a_dry_run_through_the_server_says_what_one_here_says_and_keeps_nothing() {
    let (here, there) = (Place::new(), Served::new());
    for place in [&here, &there.place] {
        place.file("in/a.jsonl", histories() + "{broken\n");
        place.file(
            "in/c.zip",
            zip(&[("x.json", lines([chat("zipped")]).as_bytes()), ("y.7z", b"7z")]),
        );
    }
    let look = ["import", "--dry-run", "--json", "--owner", "ann", "in"];
    let (mine, yours) = (here.ok(&look), there.there(&look));
    assert_eq!(mine.out, yours.out);
    let report: Value = serde_json::from_str(&yours.out).unwrap();
    assert_eq!(
        (&report["dry_run"], report["refused"][0]["count"].as_u64()),
        (&json!(true), Some(1))
    );
    assert!(yours.err.contains("nothing was changed; this is what would happen"), "{}", yours.err);
    assert_eq!(there.there(&["list", "--lines", "--all"]).out, "");
    let done = there.there(&["import", "--json", "--owner", "ann", "in"]).out;
    let done: Value = serde_json::from_str(&done).unwrap();
    assert_eq!((&done["new"], &done["dry_run"]), (&report["new"], &Value::Null));
}

#[test]
fn a_dataset_is_made_looked_into_and_brought_here_as_if_it_lay_here() {
    let served = served_with_histories();
    let made = served.there(&["export", "first", "--json", "--search", "Kyoto", "-f", "csv"]);
    assert!(made.err.contains("written    1 conversation"), "{}", made.err);
    let job: Value = serde_json::from_str(&made.out).unwrap();
    assert_eq!(job["state"], "completed", "{job}");
    served.there(&["export", "all", "-q"]);
    for args in [
        &["datasets"][..],
        &["datasets", "list", "--json", "--sort", "name", "--search", "ALL"],
        &["datasets", "preview", "all"],
        &["datasets", "preview", "--json", "first"],
        &["datasets", "preview", "--lines", "1"],
        &["datasets", "verify", "all", "--json"],
        &["jobs", "list", "--json"],
        &["trace", "tagged", "--json"],
        &["trace", "c1"],
        &["stats", "--json"],
        &["stats", "--search", "Kyoto", "--duplicates", "none"],
        &["datasets", "stats", "all"],
    ] {
        served.same(args);
    }
    served.place.ok(&["datasets", "download", "all", "-o", "here.zip"]);
    let said = served.there(&["datasets", "download", "all", "-o", "there.zip"]).err;
    assert!(said.contains("downloaded there.zip"), "{said}");
    assert_eq!(served.place.bytes("here.zip"), served.place.bytes("there.zip"));
    served.refused(&served.token, &["datasets", "download", "all", "-o", "there.zip"], "--force");
    assert!(served.place.names(".").iter().all(|name| !name.ends_with(".partial")));
    served.refused(&served.token, &["export", "all"], "`all-2` is free");
    served.refused(
        &served.token,
        &["datasets", "preview", "nothing"],
        "there is no dataset `nothing`",
    );
    served.there(&["datasets", "rename", "all", "whole"]);
    served.there(&["datasets", "delete", "first", "--yes"]);
    let left = served.same(&["datasets", "--json"]);
    assert!(left.contains("\"whole\"") && !left.contains("\"first\""), "{left}");
    // Without waiting, then cancelled, or done.
    served.there(&["export", "later", "--detach", "-q"]);
    let jobs: Value = serde_json::from_str(&served.there(&["jobs", "--json"]).out).unwrap();
    let id = jobs[0]["id"].to_string();
    let watched = served.there(&["jobs", "watch", &id, "--json"]);
    let watched: Value = serde_json::from_str(&watched.out).unwrap();
    assert_eq!((&watched[0]["name"], &watched[0]["state"]), (&json!("later"), &json!("completed")));
    served.refused(&served.token, &["jobs", "cancel", &id], "has ended");
    served.refused(&served.token, &["jobs", "watch", "999"], "there is no job");
}

#[test]
fn a_download_that_breaks_off_goes_on_where_it_did() {
    let served = Served::new();
    // Text that an archive cannot pack to less than three megabytes.
    let mut state = 1_u64;
    let mut letter = || {
        state =
            state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        char::from(b'0' + u8::try_from(state >> 58).unwrap())
    };
    let rows: Vec<_> = (0..60)
        .map(|n| {
            let mut row = long_chat(&format!("c{n}"), 5);
            row["messages"][1]["content"] =
                (0..100_000).map(|_| letter()).collect::<String>().into();
            row
        })
        .collect();
    served.place.file("in.jsonl", lines(rows));
    served.place.ok(&["import", "-q", "in.jsonl"]);
    served.there(&["export", "all", "-q"]);
    served.place.ok(&["datasets", "download", "all", "-q", "-o", "here.zip"]);
    let whole = served.place.bytes("here.zip");
    // Between client and server stands someone who cuts each answer after a megabyte.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let between = format!("http://{}", listener.local_addr().unwrap());
    let to = served.url.strip_prefix("http://").unwrap().to_owned();
    std::thread::spawn(move || {
        for client in listener.incoming().map(Result::unwrap) {
            let server = TcpStream::connect(&to).unwrap();
            let (mut asking, mut asked) =
                (client.try_clone().unwrap(), server.try_clone().unwrap());
            std::thread::spawn(move || {
                let mut buffer = [0; 4096];
                while let Ok(length @ 1..) = asking.read(&mut buffer) {
                    if asked.write_all(&buffer[..length]).is_err() {
                        break;
                    }
                }
            });
            std::thread::spawn(move || {
                let _ = std::io::copy(&mut server.take(1_000_000), &mut (&client));
                let _ = client.shutdown(std::net::Shutdown::Both);
            });
        }
    });
    let args = ["--server", &between, "datasets", "download", "all", "-q", "-o", "there.zip"];
    served.there(&args);
    assert!(whole.len() > 3_000_000 && whole == served.place.bytes("there.zip"));
}

#[test]
fn links_tokens_and_members_are_managed_both_ways() {
    let served = served_with_histories();
    served.place.ok(&["users", "add", "ann", "--role", "member"]);
    served.place.ok(&["users", "add", "bob"]);
    served.same(&["members", "--json"]);
    served.there(&["members", "set", "ann", "admin"]);
    assert!(served.same(&["members"]).contains("admin"));
    served.refused(&served.token, &["members", "set", "bob", "member"], "not in the project");
    served.place.ok(&["members", "set", "bob", "member"]);
    served.there(&["members", "remove", "bob"]);
    served.refused(&served.token, &["members", "remove", "local"], "needs an owner");

    let link =
        served.there(&["share", "make", "tagged", "--expires", "2100-01-01", "--system"]).out;
    assert!(link.starts_with(&format!("{}/s/", served.url)), "{link}");
    let made = served.place.printed(&["share", "make", "c1", "--json"]);
    assert!(served.same(&["share", "list"]).contains("Trains to Kyoto"));
    assert_eq!(get(&served, made["path"].as_str().unwrap()).0, 200);
    served.there(&["share", "revoke", &made["id"].to_string()]);
    assert_eq!(get(&served, made["path"].as_str().unwrap()).0, 404);
    let mut command =
        served.command_as(&served.token, &["share", "make", "c2", "--password-stdin", "--json"]);
    command.env("RETORT_PROJECT", "default");
    let closed = finish(command, b"open sesame\n".to_vec());
    assert!(
        closed.out.contains("\"has_password\": true") && !closed.out.contains("sesame"),
        "{}",
        closed.err
    );

    let token = served.there(&["tokens", "add", "mine", "--scope", "read", "--days", "3"]).out;
    assert_eq!(served.there_as(token.trim(), &["list", "--count"]).out, "6\n");
    let tokens = rows_of(&served.there(&["tokens", "list", "--json"]).out);
    let mine = tokens.iter().find(|one| one["name"] == "mine").unwrap();
    served.there(&["tokens", "revoke", &mine["id"].to_string()]);
    served.refused(token.trim(), &["list"], "not signed in");
}

fn rows_of(text: &str) -> Vec<Value> {
    serde_json::from_str(text).unwrap()
}

#[test]
fn the_audit_log_is_exported_both_ways() {
    let served = served_with_histories();
    let here = served.place.ok(&["audit", "export"]).out;
    let there = served.there(&["audit", "export"]).out;
    let there = rows(&there);
    let mut here = rows(&here);
    assert_eq!((&here[0]["action"], &there[0]["action"]), (&json!("audit"), &json!("audit")));
    assert_eq!(there.len(), here.len() + 1);
    here.remove(0);
    assert_eq!(here, there[2..]);
    served.refused(&served.token, &["audit", "export", "--project", "other"], "not found");
    let refused = served.there(&["audit", "list", "--refused", "--json"]).out;
    assert!(refused.contains("entries"), "{refused}");
}

#[test]
fn who_may_not_is_told_why() {
    let served = served_with_histories();
    served.refused("rt_wrong", &["list"], "not signed in: there is no such token");
    let reading = served.token_of("local", &["read"]);
    served.refused(
        &reading,
        &["tag", "c1", "--add", "x"],
        "not allowed: this needs the scope `write`",
    );
    served.refused(&reading, &["import", "in.jsonl"], "scope `write`");
    served.refused(&reading, &["export", "x"], "scope `export`");
    served.refused(&reading, &["jobs"], "scope");
    served.refused(
        &served.token,
        &["list", "--project", "other"],
        "not found: there is no project `other`",
    );
    // A member sees their own, and nothing of others.
    served.place.ok(&["users", "add", "ann", "--role", "member"]);
    let anns = served.token_of("ann", &ALL);
    assert_eq!(served.there_as(&anns, &["list", "--count"]).out, "0\n");
    served.refused(&anns, &["show", "c1"], "not found: there is no conversation `c1`");
    served.refused(&anns, &["members"], "not allowed");
    served.place.ok(&["users", "disable", "ann"]);
    served.refused(&anns, &["list"], "not signed in");
}

#[test]
fn a_token_goes_only_where_it_is_safe_and_comes_from_where_it_is_said() {
    let served = served_with_histories();
    let place = &served.place;
    let asked = |args: &[&str]| place.run_with(&[("RETORT_TOKEN", "rt_secret")], args);
    let plain = asked(&["--server", "http://192.0.2.1", "list"]);
    assert!(plain.code == Some(2) && plain.err.contains("--insecure"), "{}", plain.err);
    let nobody = asked(&["list", "--server", "http://127.0.0.1:1"]);
    assert!(
        nobody.code == Some(1) && nobody.err.contains("cannot reach the server"),
        "{}",
        nobody.err
    );
    place.refused(&["list", "--server", &served.url], "RETORT_TOKEN");
    place.ok(&["list", "--server", &served.url, "--token", &served.token]);
    place.file("token", format!("{}\n", served.token));
    let file = place.path("token");
    let file = ["--token-file", file.to_str().unwrap()];
    place.ok(&[&["--server", &served.url], &file[..], &["list"]].concat());
    place.file("config/retort/config.toml", format!("server = \"{}\"\n", served.url));
    assert!(place.ok(&[&file[..], &["projects"]].concat()).out.contains("default"));
    for args in [
        &["doctor"][..],
        &["worker", "--once"],
        &["backup", "x"],
        &["users"],
        &["serve"],
        &["migrate"],
    ] {
        place.refused(args, "works on the store itself");
        let args = [args, &["--server", ""]].concat();
        if args[0] != "serve" {
            place.ok(&args);
        }
    }
    // A server that leads elsewhere gets no second request.
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let elsewhere = format!("http://{}", listener.local_addr().unwrap());
    std::thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        let _ = stream.read(&mut [0; 4096]);
        let answer =
            "HTTP/1.1 302 Found\r\nLocation: http://192.0.2.1/\r\nContent-Length: 0\r\n\r\n";
        stream.write_all(answer.as_bytes()).unwrap();
    });
    let led = asked(&["--server", &elsewhere, "list", "--count"]);
    assert!(led.code == Some(1) && led.err.contains("redirects to"), "{}", led.err);
}

#[test]
fn people_are_added_let_in_and_kept_out() {
    let place = Place::new();
    let add = ["users", "add", "ann", "--password-stdin", "--role", "owner", "--json"];
    let added = place.run_on(&add, b"correct horse battery\n".to_vec());
    assert!(added.code == Some(0) && !added.out.contains("horse"), "{}", added.err);
    place.refused(&["users", "add", "ANN"], "already");
    assert_eq!(
        place.run_on(&["users", "add", "x", "--password-stdin"], b"short\n".to_vec()).code,
        Some(1)
    );
    place.ok(&["projects", "add", "second", "--owner", "ann"]);
    place.refused(&["projects", "add", "second"], "already");
    assert!(place.ok(&["members", "--project", "second"]).out.contains("ann"));
    place.ok(&["users", "disable", "ann"]);
    assert_eq!(place.printed(&["users", "--json"])[0]["disabled"], true);
    place.ok(&["users", "enable", "ann"]);
    let other = place
        .run_on(&["users", "password", "ann", "--password-stdin"], b"another battery\n".to_vec());
    assert_eq!(other.code, Some(0), "{}", other.err);
    let served = Served::of(place, "ann");
    assert!(!served.log().contains("sign-in/link"), "{}", served.log());
    let body = json!({"name": "ann", "password": "another battery"});
    assert_eq!(post(&served, "/api/v1/session", &body).0, 201);
    let old = json!({"name": "ann", "password": "correct horse battery"});
    assert_eq!(post(&served, "/api/v1/session", &old).0, 401);
    let link = served.place.ok(&["users", "link", "ann"]).out;
    let secret = link.trim().strip_prefix("http://127.0.0.1:8610/sign-in/link#").unwrap();
    assert_eq!(post(&served, "/api/v1/session/link", &json!({"secret": secret})).0, 201);
}

#[test]
fn the_first_start_prints_a_link_that_signs_in_once_and_a_signal_ends_it_well() {
    let mut served = Served::new();
    let link = served.said("sign in, once and within 30 minutes: ");
    let secret = link.split_once('#').unwrap().1.to_owned();
    assert!(link.starts_with(&served.url), "{link}");
    let body = json!({"secret": secret});
    assert_eq!(post(&served, "/api/v1/session/link", &body).0, 201);
    assert_eq!(post(&served, "/api/v1/session/link", &body).0, 401);
    let (code, log) = served.stop();
    assert_eq!(code, Some(0), "{log}");
}

/// A request that carries no token.
fn ask(served: &Served, head: &str, body: &str) -> (u16, String) {
    let mut stream = TcpStream::connect(served.url.strip_prefix("http://").unwrap()).unwrap();
    stream.set_read_timeout(Some(Duration::from_secs(30))).unwrap();
    let length = body.len();
    write!(stream, "{head} HTTP/1.1\r\nHost: here\r\nConnection: close\r\nContent-Type: application/json\r\nContent-Length: {length}\r\n\r\n{body}").unwrap();
    let mut text = String::new();
    stream.read_to_string(&mut text).unwrap();
    (text.split(' ').nth(1).unwrap().parse().unwrap(), text)
}

fn get(served: &Served, path: &str) -> (u16, String) {
    ask(served, &format!("GET {path}"), "")
}

fn post(served: &Served, path: &str, body: &Value) -> (u16, String) {
    ask(served, &format!("POST {path}"), &body.to_string())
}

#[test]
fn runs_are_the_same_from_either_side() {
    let place = Place::new();
    let run = |id: &str, of: &str, day: u32, more: Value| {
        let mut run = json!({
            "request_id": id, of: "x", "question": format!("Where is {id}?"),
            "started_at": format!("2024-03-{day:02}T10:00:00Z"),
            "finished_at": format!("2024-03-{day:02}T10:00:04Z"),
            "nodes": [{"node": "search", "kind": "retrieval", "output": ["p"]},
                {"node": "answer", "kind": "model-call", "prompt": "Answer {q}", "variables": {"q": id},
                 "input": {"q": id}, "output": "a", "usage": {"input_tokens": 3, "output_tokens": 4}}],
        });
        run.as_object_mut().unwrap().extend(more.as_object().unwrap().clone());
        run
    };
    place.file(
        "runs.jsonl",
        lines([
            run(
                "r1",
                "copilot_id",
                1,
                json!({"answer": "here", "version": "v1", "files": [{"uri": "s3://b/f.pdf"}]}),
            ),
            run(
                "r2",
                "copilot_id",
                2,
                json!({"answer": "Ärger", "version": "v2", "feedback": {"rating": 1}}),
            ),
            run("r3", "copilot_id", 3, json!({"error": "time-out", "status": "failure"})),
            run("r4", "recipe_id", 4, json!({"answer": "there"})),
        ]),
    );
    let report = place.ok(&["import", "--from", "runs", "runs.jsonl"]);
    assert!(report.err.contains("4 runs"), "{}", report.err);
    let served = Served::on(place);
    for args in [
        &["runs", "list"][..],
        &["runs", "list", "--json", "--copilot", "x"],
        &["runs", "list", "--lines", "--all", "--of-version", "v1", "--of-version", "v2"],
        &["runs", "list", "--lines", "--search", "äRGER", "--has-feedback"],
        &["runs", "list", "--lines", "--has-error", "--status", "failure"],
        &["runs", "list", "--lines", "--has-error=false", "--passed", "answer", "--recipe", "x"],
        &[
            "runs",
            "list",
            "--lines",
            "--started-from",
            "2024-03-02",
            "--started-before",
            "2024-03-03",
        ],
        &["runs", "list", "--lines", "--id", "r1", "--id", "r4"],
        &["runs", "count"],
        &["runs", "count", "--json", "--copilot", "x"],
        &["runs", "stats", "--json"],
        &["runs", "stats"],
        &["runs", "flows"],
        &["runs", "flows", "--json", "--recipes"],
        &["runs", "flows", "x", "--copilots"],
        &["runs", "flows", "x", "--copilots", "--json"],
        &["runs", "show", "r1"],
        &["runs", "show", "r2", "--json"],
    ] {
        assert!(!served.same(args).is_empty(), "{args:?}");
    }
    let whole = served.same(&["runs", "show", "r1"]);
    for words in [
        "copilot x",
        "version v1",
        "Where is r1?",
        "Answer {q}",
        "3 tokens in, 4 out",
        "s3://b/f.pdf",
    ] {
        assert!(whole.contains(words), "{words}: {whole}");
    }
    assert_eq!(served.same(&["runs", "count", "--copilot", "x", "--has-error"]), "1\n");
    served.refused(&served.token, &["runs", "show", "r9"], "there is no run `r9`");
    served.misused(&["runs", "flows", "x"], "say which one");
    // Either way the same dataset.
    let purpose =
        ["--copilot", "x", "--purpose", "node-evaluation", "--node", "answer", "--limit", "2"];
    let there = served.there(&[&["export", "there"][..], &purpose].concat());
    assert!(there.err.contains("2 runs selected"), "{}", there.err);
    served.place.ok(&[&["export", "here"][..], &purpose].concat());
    let preview = |name: &str| served.same(&["datasets", "preview", name, "--lines"]);
    let records = preview("there");
    assert_eq!((records.lines().count(), &records), (2, &preview("here")));
    assert!(records.contains("\"q\":\"r3\"") && records.contains("\"q\":\"r2\""), "{records}");
    let traced = served.same(&["trace", "r3", "--json"]);
    assert!(traced.contains("there") && traced.contains("here"), "{traced}");
    served.refused(
        &served.token,
        &["export", "no", "--runs", "--purpose", "node-evaluation", "--node", "odd"],
        "node `odd`",
    );
    let wrong = ["export", "no", "--runs", "--created-from", "2024-01-01"];
    let wrong = served.there_as(&served.token, &wrong);
    assert_eq!(wrong.code, Some(2), "{}", wrong.err);
    assert!(wrong.err.contains("not runs; use"), "{}", wrong.err);
    assert!(wrong.err.contains("`--started-from`"), "{}", wrong.err);
    served.misused(&["export", "no", "--runs", "-d", "history"], "cannot hold runs");
    // Gone for good, also from the history behind a dataset.
    served.misused(
        &["runs", "purge", "--yes"],
        "select runs: request ids, a filter such as `--copilot ID`, or `--all`",
    );
    served.refused(&served.token, &["runs", "purge", "r1", "r9", "--yes"], "nothing was purged");
    let gone = served.there(&["runs", "purge", "--copilot", "x", "--has-error", "--yes", "--json"]);
    assert_eq!(serde_json::from_str::<Value>(&gone.out).unwrap(), json!({"purged": 1}));
    served.place.ok(&["runs", "purge", "r1", "--yes"]);
    assert_eq!(served.same(&["runs", "count"]), "2\n");
    assert!(served.place.ok(&["doctor"]).out.contains("2  runs"));
}
