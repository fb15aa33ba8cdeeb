//! `retort erase` where a person left traces in what is not theirs: judgements and corrections of items of others, filters,
//! and what they made with their account. Their name is looked for in every table, file and object afterwards.

use serde_json::{Value, json};

use crate::support::asking::{Client, Server};
use crate::support::keeping::*;
use crate::support::*;
use retort_testing::postgres;

/// The name, and what must be found nowhere: it is in all that she wrote.
const NAME: &str = "zqnamenvogel@example.org";
const CANARY: &str = "zqkanarienvogel";

fn on_both(case: impl Fn(Keep)) {
    case(Keep::sqlite());
    if let Some(url) = postgres::new_database() {
        case(Keep::postgres(url));
    }
}

fn bobs(id: &str) -> Value {
    with(chat(id), "owner", json!("bob@example.org"))
}

/// What she says of conversations and runs of others.
fn judgements() -> String {
    lines([
        json!({"conversation_id": "c1", "score": 1, "comment": CANARY, "author": NAME}),
        json!({"conversation_id": "c1", "score": 0, "comment": "so so", "author": "carl"}),
        json!({"conversation_id": "c2", "corrected_answer": CANARY, "author": NAME}),
        json!({"id": "r1", "corrected_answer": "better", "author": NAME}),
    ])
}

/// A store with conversations of Bob, some of which she judged, and none of hers.
fn judged(keep: &Keep) {
    keep.place.file("chats.jsonl", lines(["c1", "c2", "c3"].map(bobs)));
    let run = json!({"request_id": "r1", "recipe_id": "leave", "question": "q", "status": "success",
        "nodes": [{"node": "answer", "prompt": "p", "output": "o", "status": "success"}],
        "started_at": 1_700_000_000});
    keep.place.file("runs.jsonl", lines([run]));
    keep.place.file("judgements.jsonl", judgements());
    keep.ok(&["import", "chats.jsonl", "-q"]);
    keep.ok(&["import", "runs.jsonl", "-q"]);
}

/// Where the texts are still found by `doctor`, but for files that others left in the folder for temporary files.
fn found(keep: &Keep, texts: &[&str]) -> Vec<String> {
    keep.place.file("texts", texts.join("\n"));
    let backup = keep.place.path("backup");
    let ran = match keep.settings.iter().any(|(name, _)| name == "RETORT_STORE") {
        true => keep.run(&["doctor", "--erased", "texts", "--json"]),
        false => {
            let _ = std::fs::remove_dir_all(&backup);
            let backup = backup.to_str().unwrap();
            keep.ok(&["backup", backup]);
            keep.run(&["doctor", "--erased", "texts", "--also", backup, "--json"])
        }
    };
    let told: Value = serde_json::from_str(&ran.out).unwrap_or_else(|_| panic!("{}", ran.err));
    let places = told["found"].as_array().unwrap().iter();
    let places = places.map(|one| one["place"].as_str().unwrap().to_owned());
    places.filter(|place| !place.contains("/retort-tmp-")).collect()
}

fn records(keep: &Keep, dataset: &str) -> Vec<Value> {
    let files = keep.dataset(dataset);
    rows(std::str::from_utf8(&files["conversations.jsonl"]).unwrap())
}

#[test]
fn what_a_person_said_about_items_of_others_is_taken_back() {
    on_both(|keep| {
        judged(&keep);
        keep.ok(&["judge", "judgements.jsonl"]);
        keep.ok(&["export", "judged", "-q", "-d", "retort"]);
        keep.ok(&["export", "other", "-q", "-d", "retort", "--id", "c3"]);
        keep.ok(&["export", "ran", "-q", "-d", "retort", "--runs"]);
        let before = records(&keep, "judged");
        let other = keep.dataset("other");
        let dry = keep.ok(&["erase", "--person", NAME, "--dry-run"]);
        for line in [
            "to erase   0 conversations, 0 runs, 0 documents",
            "to remove  their judgements and corrections of 2 conversations and 1 run of others",
            "to rebuild `judged` of local (0 items of 3)",
            "to rebuild `ran` of local (0 items of 1)",
        ] {
            assert!(dry.err.contains(line), "{line:?} is not in:\n{}", dry.err);
        }
        assert!(!dry.err.contains("`other`"), "{}", dry.err);
        let ran = keep.ok(&["erase", "--person", NAME, "--yes", "--json"]);
        let told: Value = serde_json::from_str(&ran.out).unwrap();
        assert_eq!((&told["judged_conversations"], &told["judged_runs"]), (&json!(2), &json!(1)));
        assert_eq!(told["rebuilt_as"].as_array().unwrap().len(), 2);

        let after = records(&keep, "judged");
        assert_eq!((after.len(), &after[2]), (3, &before[2]));
        // The other person's judgement counts now, and the answer is as it was.
        let answer = &after[0]["rounds"][0]["messages"][1];
        assert_eq!(answer["feedback"]["comment"], "so so");
        assert_eq!(answer["judgements"].as_array().unwrap().len(), 1);
        assert_eq!(after[1]["rounds"].as_array().unwrap().len(), 1);
        assert_eq!(keep.dataset("other"), other);
        assert!(keep.ok(&["list", "--judged-by", "carl"]).out.contains("c1"));

        let id = told["erasure"].to_string();
        keep.place.file("receipt.json", keep.ok(&["erase", "--receipt", &id]).out);
        keep.place.file("key.pem", keep.ok(&["erase", "--public-key"]).out);
        let receipt = keep.ok(&["verify", "receipt.json", "--key", "key.pem"]).out;
        let receipt: Value = serde_json::from_str(&receipt).unwrap();
        let erased = &receipt["erased"];
        assert_eq!(erased["judged_conversations_of_others"], 2);
        assert_eq!(erased["judged_runs_of_others"], 1);
        assert_eq!(found(&keep, &[NAME, CANARY]), [] as [String; 0]);

        // It neither comes back by an import nor is said anew.
        let lossless = lines(before);
        assert!(lossless.contains(CANARY));
        keep.place.file("again.jsonl", lossless);
        keep.ok(&["import", "again.jsonl", "-q"]);
        let again = keep.run(&["judge", "judgements.jsonl"]);
        assert!(again.err.contains("was erased in this project"), "{}", again.err);
        assert_eq!(found(&keep, &[NAME, CANARY]), [] as [String; 0]);
        keep.ok(&["erase", "--person", NAME, "--lift"]);
        keep.ok(&["judge", "judgements.jsonl"]);
        assert_ne!(found(&keep, &[NAME]), [] as [String; 0]);
    });
}

/// Signs in as someone by a link.
fn signed_in(keep: &Keep, server: &Server, name: &str) -> Client {
    let told = keep.ok(&["users", "link", name]).out;
    let secret = told.trim().split_once('#').expect("a link").1.to_owned();
    let body = json!({ "secret": secret }).to_string();
    let answer = Client::default().ask(&server.base, "POST", "/session/link", &[], &body).unwrap();
    assert_eq!(answer.status, 201, "{}", answer.body);
    let cookie = answer.cookie.as_deref().unwrap().split(';').next().unwrap().to_owned();
    let csrf = answer.json()["csrf"].as_str().unwrap().to_owned();
    server.token(&Client::new(&[("cookie", &cookie), ("x-csrf-token", &csrf)]))
}

#[test]
fn a_name_is_left_in_the_audit_log_alone_once_the_account_is_deleted() {
    on_both(|keep| {
        judged(&keep);
        let hers = with(with(chat("hers"), "owner", json!(NAME)), "title", json!(CANARY));
        keep.place.file("hers.jsonl", lines([hers]));
        keep.ok(&["import", "hers.jsonl", "-q"]);
        keep.ok(&["export", "all", "-q", "-d", "retort"]);
        keep.ok(&["export", "hers", "-q", "--owner", NAME, "--owner", "bob@example.org"]);
        keep.ok(&["schedules", "add", "nightly", "--every-hours", "24", "--owner", NAME]);
        let server = Server::begin(&keep, "server", &["--allow-private-webhooks"]);
        let other = server.token(&server.sign_in(&keep));
        keep.ok(&["users", "add", NAME, "--role", "owner"]);
        let she = signed_in(&keep, &server, NAME);
        let post = |client: &Client, path: &str, body: Value, status: u16| {
            let answer = client.ask(&server.base, "POST", path, &[], &body.to_string()).unwrap();
            assert_eq!(answer.status, status, "{path}: {}", answer.body);
            answer
        };
        // With her account, of items of others.
        post(&she, "/exports", json!({"dataset_name": "made", "data_format": "openai"}), 202);
        keep.wait_for("made", |job| job["state"] == "completed");
        post(
            &she,
            "/views",
            json!({"name": "v", "filter": {"owner": ["bob@example.org"]}, "shared": true}),
            201,
        );
        post(&she, "/webhooks", json!({"url": "http://127.0.0.1:9/"}), 201);
        post(&she, "/invitations", json!({"role": "member"}), 201);
        post(&she, "/invitations", json!({"role": "member", "name": NAME}), 201);
        post(&she, "/shares", json!({"conversation": "c1"}), 201);
        let id =
            json!({"id": "c7", "owner": "bob@example.org", "messages": bobs("c7")["messages"]});
        post(&she, "/conversations", id, 200);
        let answer = she.ask(
            &server.base,
            "POST",
            "/judgements",
            &[("content-type", "application/x-ndjson")],
            &judgements(),
        );
        assert_eq!(answer.unwrap().status, 200);
        // Others name her.
        post(
            &other,
            "/views",
            json!({"name": "w", "filter": {"judged_by": [NAME], "search": [format!("owner:{NAME} x")]}}),
            201,
        );
        keep.ok(&["users", "delete", NAME, "--yes"]);
        post(&other, "/erasures", json!({"person": NAME}), 201);
        for _ in 0..600 {
            if keep.ok(&["erase", "--list"]).out.contains("completed") {
                break;
            }
            std::thread::sleep(std::time::Duration::from_millis(50));
        }
        let listed = keep.ok(&["erase", "--list"]).out;
        assert!(listed.contains("completed"), "{listed}");
        let mut child = server.child;
        signal(&child, "TERM");
        ended(&mut child, 40).expect("it ends");
        assert_eq!(found(&keep, &[CANARY]), [] as [String; 0]);
        let places = found(&keep, &[NAME]);
        let is_audit =
            |place: &String| place.contains("table `audit`") || place.contains("retort.sqlite");
        let rest: Vec<_> = places.iter().filter(|place| !is_audit(place)).collect();
        assert!(rest.is_empty() && !places.is_empty(), "{places:?}");
        keep.ok(&["datasets", "verify", "all"]);
        keep.ok(&["doctor"]);
    });
}
