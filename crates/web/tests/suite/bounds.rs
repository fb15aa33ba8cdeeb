//! What one person can send and ask for is bounded, and refused in words where it is not.

use std::time::Duration;

use retort_service::Quotas;
use retort_web::who::csrf_of;
use serde_json::{Value, json};

use retort_testing_server::server::{
    As, Setup, TestServer, each, on_both, on_sqlite, on_sqlite_with, said,
};

const MIB: usize = 1 << 20;

fn quotas(quotas: Quotas) -> Setup {
    Setup { quotas, ..Setup::default() }
}

/// A conversation with this title and these tags.
fn titled(id: &str, title: &str, tags: &[String]) -> Value {
    let mut item = said(id);
    item["title"] = json!(title);
    item["tags"] = json!(tags);
    item
}

async fn take(server: &TestServer, who: &As, item: &Value) -> Value {
    server.request("POST", "/api/v1/conversations").by(who).json(item).send().await.ok()
}

#[tokio::test(flavor = "multi_thread")]
async fn long_titles_tags_and_ids_are_cut_in_lists_and_whole_in_exports() {
    on_both(async |server| {
        let ann = server.session(&server.ann).await;
        let (title, id) = ("é".repeat(2 * MIB), "i".repeat(MIB));
        let tags: Vec<String> = (0..5_000).map(|n| format!("tag-{n}")).collect();
        for number in 0..3 {
            let taken = take(server, &ann, &titled(&format!("{number}{id}"), &title, &tags)).await;
            assert_eq!(taken["new"], 1, "{}", taken["refusals"]);
        }
        for path in ["/api/v1/conversations?limit=1000", "/export", "/project/shares", "/"] {
            let list = server.get(path, &ann).await;
            assert_eq!(list.status, 200, "{path}");
            assert!(list.body.len() < 200_000, "{path}: {} bytes", list.body.len());
        }
        let list = server.get("/api/v1/conversations", &ann).await.ok();
        let one = &list["conversations"][0];
        let shown = one["title"].as_str().unwrap();
        assert_eq!(shown.chars().count(), 1_000);
        assert!(shown.ends_with("é…"), "{shown}");
        assert_eq!(one["tags"].as_array().unwrap().len(), 100);

        // It is opened by the id that lists show, and is whole there, but on pages.
        let short = one["id"].as_str().unwrap().to_owned();
        let path = format!("/api/v1/conversations/{}", short.replace('…', "%E2%80%A6"));
        let whole = server.get(&path, &ann).await.ok();
        let conversation = &whole["conversation"];
        assert_eq!(conversation["title"].as_str().unwrap().len(), title.len());
        assert_eq!(conversation["tags"].as_array().unwrap().len(), 5_000);
        assert_eq!(conversation["id"].as_str().unwrap().len(), id.len() + 1);
        let page = path.replace("/api/v1", "");
        let page = server.get(&page, &ann).await;
        assert_eq!((page.status, page.body.len() < 200_000), (200, true), "{}", page.body.len());

        // What the page's form has of it is not taken for all of it.
        let As::Session(secret) = &ann else { panic!() };
        let (csrf, form_tags) = (csrf_of(secret), tags[..100].join(", "));
        let fields = [
            ("csrf", &*csrf),
            ("action", "edit"),
            ("source", "openai"),
            ("title", shown),
            ("tags", &form_tags),
        ];
        let form = format!("{}/change", path.replace("/api/v1", ""));
        let saved = server.request("POST", &form).cookie(secret).form(&fields).send().await;
        assert_eq!(saved.status, 303, "{}", saved.text());
        let again = server.get(&path, &ann).await.ok();
        assert!(again["conversation"] == *conversation, "the form cut it");

        // What is edited beside it leaves the title and the tags whole.
        let change = json!({"favorite": true});
        let changed = server.request("PATCH", &path).by(&ann).json(&change).send().await.ok();
        assert_eq!(changed["changed"], 1);
        let dataset = server.dataset("whole", json!({}), &ann).await;
        let path = format!("/api/v1/datasets/{dataset}/download");
        let file = server.get(&path, &ann).await;
        assert_eq!(file.status, 200, "{}", file.status);
        let again = server.get(&format!("/api/v1/datasets/{dataset}/preview"), &ann).await;
        assert_eq!(again.status, 200, "{}", again.text());
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_page_of_a_list_ends_before_it_is_too_large() {
    on_sqlite(async |server| {
        let ann = server.session(&server.ann).await;
        let (title, tags) = ("\"<&".repeat(300), vec!["<'&\">".repeat(30); 30]);
        let items: String =
            (0..300).map(|n| format!("{}\n", titled(&format!("c-{n}"), &title, &tags))).collect();
        let ask = server.request("POST", "/api/v1/conversations").by(&ann).body(items);
        assert_eq!(ask.send().await.ok()["new"], 300);
        let (mut found, mut after) = (0, String::new());
        loop {
            let path = format!("/api/v1/conversations?limit=1000{after}");
            let reply = server.get(&path, &ann).await;
            assert!(reply.body.len() <= 4 * MIB, "{} bytes", reply.body.len());
            let page = reply.ok();
            found += page["conversations"].as_array().unwrap().len();
            let Some(next) = page["next"].as_str() else { break };
            after = format!("&after={next}");
        }
        assert_eq!((found, after.is_empty()), (300, false));
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn titles_and_tags_that_are_set_have_bounds() {
    on_sqlite(async |server| {
        let ann = server.session(&server.ann).await;
        let id = server.conversation(&server.ann).await;
        let path = format!("/api/v1/conversations/{id}");
        let many: Vec<String> = (0..101).map(|n| n.to_string()).collect();
        for change in [
            json!({"title": "x".repeat(1_001)}),
            json!({"add_tags": ["x".repeat(201)]}),
            json!({"add_tags": many}),
        ] {
            let asked = server.request("PATCH", &path).by(&ann).json(&change);
            asked.send().await.refused(422, "choice");
        }
        let fits = json!({"title": "x".repeat(1_000), "add_tags": many[..100]});
        assert_eq!(
            server.request("PATCH", &path).by(&ann).json(&fits).send().await.ok()["changed"],
            1
        );
        let more = json!({"add_tags": ["one more"]});
        server.request("PATCH", &path).by(&ann).json(&more).send().await.refused(409, "conflict");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn an_item_past_the_bound_is_refused_and_what_to_do_is_told() {
    let setup = quotas(Quotas { item_bytes: 2_000_000, ..Quotas::default() });
    on_sqlite_with(setup, async |server| {
        let ann = server.session(&server.ann).await;
        let of = |id: &str, bytes: usize| {
            let mut item = said(id);
            item["messages"][1]["content"] = json!("x".repeat(bytes));
            item.to_string()
        };
        let items = format!("{}\n{}\n", of("small", 1_000_000), of("large", 3_000_000));
        let told = "larger than the item size limit of 2 MB; `--max-item` on the command line or `item_megabytes` in \
                    the server's settings raises it";
        let ask = server.request("POST", "/api/v1/conversations").by(&ann).body(items.clone());
        let taken = ask.send().await.ok();
        assert_eq!((&taken["new"], &taken["refused"]), (&json!(1), &json!(1)), "{taken}");
        assert!(taken["refusals"][0].as_str().unwrap().contains(told), "{taken}");

        let job = server.request("POST", "/api/v1/imports").by(&ann).body(items).send().await.id();
        let job = server.ended_job("imports", job, &ann).await;
        assert_eq!(job["state"], "completed_with_skips", "{job}");
        assert_eq!(job["report"]["same"], 1, "{job}");
        assert!(job["report"].to_string().contains(told), "{job}");

        // Nor does it become too large piece by piece.
        let path = "/api/v1/conversations/small/rounds";
        let more = json!([{"role": "user", "content": "y".repeat(900_000)}]);
        let asked = server.request("POST", path).by(&ann).json(&more).send().await;
        assert_eq!(asked.status, 201, "{}", asked.text());
        let asked = server.request("POST", path).by(&ann).json(&more).send().await;
        let problem = asked.refused(422, "choice");
        assert!(problem["detail"].as_str().unwrap().contains("2 MB"), "{problem}");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn more_values_or_search_texts_than_are_taken_are_a_bad_request() {
    on_both(async |server| {
        let owner = server.session(&server.owner).await;
        let many = |count: usize| "search=abc&".repeat(count);
        let long = format!("search={}", "x".repeat(1_001));
        for list in [
            "conversations",
            "conversations/count",
            "runs",
            "runs/count",
            "runs/stats",
            "documents",
            "documents/stats",
        ] {
            for query in [&many(21), &many(201), &many(2_000), &long, "search="] {
                let path = format!("/api/v1/{list}?{query}");
                server.get(&path, &owner).await.refused(400, "bad-request");
            }
            let fits = server.get(&format!("/api/v1/{list}?{}", many(20)), &owner).await;
            assert_eq!(fits.status, 200, "{list}: {}", fits.text());
        }
        // A filter in a body.
        let texts = |count: usize| json!({"search": vec!["abc"; count]});
        for (path, asked) in [
            ("conversations/change", json!({"selection": texts(21), "change": {"favorite": true}})),
            ("exports", json!({"dataset_name": "d", "selection": texts(21)})),
            ("exports", json!({"dataset_name": "d", "selection": texts(2_000)})),
        ] {
            let path = format!("/api/v1/{path}");
            server.post(&path, &owner, asked).await.refused(400, "bad-request");
        }
        // No list has more values, whatever they are called.
        for list in ["exports", "imports", "datasets", "shares", "notices", "audit", "flows"] {
            let path = format!("/api/v1/{list}?{}", "limit=1&".repeat(201));
            server.get(&path, &owner).await.refused(400, "bad-request");
        }
        for page in [
            "/",
            "/export",
            "/analysis",
            "/documents",
            "/copilots/desk",
            "/recipes/hook",
            "/datasets",
            "/import",
            "/project/audit",
            "/project/shares",
        ] {
            for query in [&many(201), &many(2_000), &long] {
                let reply = server.get(&format!("{page}?{query}"), &owner).await;
                let is_fine = [200, 303, 400, 404].contains(&reply.status);
                assert!(is_fine, "{page}: {}: {}", reply.status, reply.text());
            }
        }
        for page in ["/export", "/analysis", "/documents"] {
            for query in [&many(201), &long] {
                let reply = server.get(&format!("{page}?{query}"), &owner).await;
                assert_eq!(reply.status, 400, "{page}: {}", reply.text());
            }
        }
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn who_has_all_the_room_there_is_is_told_so() {
    let setup = || {
        let person_bytes = Some(2_000);
        quotas(Quotas { person_bytes, ..Quotas::default() })
    };
    let setup = || Setup { has_worker: false, ..setup() };
    on_sqlite_with(setup(), async |server| {
        let (ann, bob) = (server.session(&server.ann).await, server.session(&server.bob).await);
        let import = |who: &As| {
            let ask = server.request("POST", "/api/v1/imports").by(who);
            ask.body(format!("{}{}", said("c"), " ".repeat(3_000))).send()
        };
        assert_eq!(import(&ann).await.status, 202);
        for reply in [
            import(&ann).await,
            server.request("POST", "/api/v1/conversations").by(&ann).json(&said("d")).send().await,
        ] {
            let problem = reply.refused(429, "rate-limited");
            let detail = problem["detail"].as_str().unwrap();
            assert!(detail.starts_with("the account has 0 of 0 MB"), "{detail}");
            assert!(!reply.header("retry-after").is_empty());
        }
        // It is hers, not his.
        assert_eq!(import(&bob).await.status, 202);
    })
    .await;

    let project_bytes = Some(100);
    let setup = quotas(Quotas { project_bytes, ..Quotas::default() });
    on_sqlite_with(setup, async |server| {
        let ann = server.session(&server.ann).await;
        take(server, &ann, &said("first")).await;
        let ask = server.request("POST", "/api/v1/conversations").by(&ann).json(&said("second"));
        let problem = ask.send().await.refused(429, "rate-limited");
        assert!(problem["detail"].as_str().unwrap().contains("the project has"), "{problem}");
        // Another project has room of its own.
        let quinn = server.session(&server.quinn).await;
        take(server, &quinn, &said("elsewhere")).await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn one_person_has_so_many_jobs_at_a_time() {
    let setup = quotas(Quotas { imports_per_person: 2, ..Quotas::default() });
    on_sqlite_with(Setup { has_worker: false, ..setup }, async |server| {
        let (ann, bob) = (server.session(&server.ann).await, server.session(&server.bob).await);
        server.conversation(&server.ann).await;
        let import = |who: &As| {
            server.request("POST", "/api/v1/imports").by(who).body(said("c").to_string()).send()
        };
        for _ in 0..2 {
            assert_eq!(import(&ann).await.status, 202);
        }
        let problem = import(&ann).await.refused(429, "rate-limited");
        assert!(
            problem["detail"].as_str().unwrap().starts_with("you already have 2 imports"),
            "{problem}"
        );
        assert_eq!(import(&bob).await.status, 202);

        let export = |number: usize| {
            let asked = json!({"dataset_name": format!("d-{number}")});
            server.post("/api/v1/exports", &ann, asked)
        };
        for number in 0..4 {
            assert_eq!(export(number).await.status, 202);
        }
        export(4).await.refused(429, "rate-limited");
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_refusals_of_one_person_do_not_fill_the_audit_log() {
    on_sqlite(async |server| {
        let (ann, owner) = (server.session(&server.ann).await, server.session(&server.owner).await);
        let refused = async || {
            for number in 0..100 {
                server
                    .delete(&format!("/api/v1/shares/{number}"), &ann)
                    .await
                    .refused(404, "not-found");
            }
            let log = server.get("/api/v1/audit?limit=1000&refused=true", &owner).await.ok();
            let entries = each(&log["entries"], "object").into_iter();
            let objects = entries.map(|object| object.as_str().unwrap().to_owned());
            let (counts, others): (Vec<_>, Vec<_>) =
                objects.partition(|object| object.contains("counted"));
            (others.len(), counts)
        };
        let begun = "too many entries; further ones are only counted";
        assert_eq!(refused().await, (60, vec![begun.to_owned()]));
        server.clock.advance(Duration::from_secs(60));
        let (written, said) = refused().await;
        assert_eq!((written, said.len()), (120, 3));
        assert_eq!([&*said[0], &*said[2]], [begun, begun]);
        let counted = &said[1];
        assert!(
            counted.starts_with("40 more since ") && counted.ends_with("only counted"),
            "{counted}"
        );
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_server_whose_worker_is_silent_is_not_ready() {
    on_sqlite(async |server| {
        let ready = async |server: &TestServer| server.get("/readyz", &As::Nobody).await;
        assert_eq!(ready(server).await.status, 200);
        server.stop_worker().await;
        server.clock.advance(Duration::from_secs(61));
        let problem = ready(server).await.refused(503, "unavailable");
        let told = "the worker has not looked at its queue for 61 seconds";
        assert_eq!(problem["detail"], told, "{problem}");
        server.start_worker();
        let mut status = 0;
        for _ in 0..500 {
            status = ready(server).await.status;
            if status == 200 {
                break;
            }
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
        assert_eq!(status, 200);
    })
    .await;
}
