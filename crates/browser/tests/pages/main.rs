//! What people see and do on the pages.
//!
//! `RETORT_SCREENSHOTS=FOLDER` keeps a picture of every screen, `UPDATE_SCREENS=1` their sketches; `RETORT_AXE=FILE` names
//! axe-core's script, which then looks every screen over.
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

mod editing;
mod finding;
mod judging;
mod reading;
mod schedules;
mod sketches;
mod ways;

use std::time::Duration;

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use fantoccini::Locator;
use retort_browser::Browser;
use retort_model::{ConversationFilter, Grant};
use retort_service::{Caller, IntakeRequest, Person};
use retort_testing_server::server::{As, Setup, TestServer, on_sqlite, on_sqlite_with};
use serde_json::{Value, json};
use sketches::Sketches;

/// Conversations that `person` holds: so many, the first with titles that would do harm.
async fn furnish(server: &TestServer, person: &Person, many: usize) {
    let (project, person) = (server.p.clone(), person.clone());
    server
        .call(move |service| {
            let titles =
                ["<script>document.title='harmed'</script>", "Refund \"now\" & <b>bold</b>", "返金"];
            let mut lines = String::new();
            for number in 0..many {
                let title = titles.get(number).map_or_else(|| format!("Talk {number}"), |t| (*t).into());
                let line = json!({
                    "id": format!("talk-{number}"), "title": title,
                    "tags": ["<img src=x onerror=alert(1)>", if number % 2 == 0 { "even" } else { "odd" }],
                    "created_at": format!("2024-{:02}-11T10:00:00Z", number % 12 + 1),
                    "messages": [
                        {"role": "user", "content": format!("Question {number} <script>alert(1)</script>")},
                        {"role": "assistant", "content": format!("**Answer** {number}")},
                    ],
                });
                lines.push_str(&line.to_string());
                lines.push('\n');
            }
            let request = IntakeRequest { owner: Some(person.name), ..IntakeRequest::default() };
            let report =
                service.take_in(&Caller::local(&project), &request, lines.into_bytes()).unwrap();
            assert_eq!(report.new, many as u64);
        })
        .await;
}

/// The lines of the data file in an archive that was downloaded.
fn rows(archive: &[u8], name: &str) -> Vec<Value> {
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(archive)).unwrap();
    let file = archive.by_name(name).unwrap();
    let text = std::io::read_to_string(file).unwrap();
    text.lines().map(|line| serde_json::from_str(line).unwrap()).collect()
}

/// Select → Configure → Export → Preview → Download, with or without scripts.
async fn whole_path(server: &TestServer, scripts: bool) {
    furnish(server, &server.ann, 120).await;
    let Some(browser) = Browser::open(server, scripts).await else { return };
    browser.sign_in(&server.ann).await;
    browser.press("header nav a[href='/export']").await;
    assert!(browser.text("#standing").await.starts_with("0 selected · 120 conversations"));

    // All that the filter matches, not only the page.
    browser.go("/export?search=even").await;
    browser.press("button[value=all]").await;
    browser.until("60 selected · 60 conversations").await;
    // One of them is not wanted after all.
    browser.press("tbody tr:first-child input[name=id]").await;
    if !scripts {
        browser.press("button[value=rows]").await;
    }
    browser.until("59 selected · 60 conversations").await;
    // The choice stays behind another filter, and shows that it is hidden.
    browser.go("/export?search=odd").await;
    browser.until("59 selected · 60 conversations · 59 selected are outside this filter").await;
    if scripts {
        // A click on a row, then Shift and a click three rows below.
        browser.press("tbody tr:nth-child(1) td.kind").await;
        browser.until("60 selected · 60 conversations · 59 selected are outside").await;
        let script = "const row = document.querySelector('tbody tr:nth-child(4) td.kind');
                      row.dispatchEvent(new MouseEvent('click', {bubbles: true, shiftKey: true}));";
        browser.client.execute(script, Vec::new()).await.unwrap();
        browser.until("63 selected · 60 conversations · 59 selected are outside").await;
    }
    let chosen = if scripts { 63 } else { 59 };

    browser.go("/export").await;
    browser.press("button[value=export]").await;
    browser.until(&format!("{chosen} conversations selected")).await;
    // What is wrong with the name is said beside it, and what was filled in stays.
    browser.fill("dataset_name", "a/b").await;
    browser.fill("file_name", "talks").await;
    browser.press("form.settings button.first").await;
    browser.until("New dataset").await;
    assert_eq!(browser.count("input[aria-invalid=true] + #name-trouble").await, 1);
    browser.fill("dataset_name", "refunds_2024").await;
    browser.press("form.settings button.first").await;
    browser.until("Confirm Export").await;
    // The check is a page of its own: it can be loaded again.
    browser.client.refresh().await.unwrap();
    browser.until(&format!("{chosen} conversations selected")).await;
    let body = browser.body().await;
    assert!(body.contains(&format!("Conversations written\n{chosen}")), "{body}");
    assert!(browser.count("article.record").await == 20, "{body}");
    browser.press("form[action='/export/confirm'] button").await;
    if scripts {
        browser.until("Open the dataset").await;
    } else {
        for _ in 0..100 {
            if browser.body().await.contains("Open the dataset") {
                break;
            }
            tokio::time::sleep(Duration::from_millis(100)).await;
            browser.client.refresh().await.unwrap();
        }
    }
    assert!(browser.body().await.contains("Done."));
    assert_eq!(browser.count("article.record").await, 20);
    assert_eq!(browser.count("article.record > details[open]").await, 3);
    browser.press("a[download]").await;
    let rows = rows(&browser.downloaded("refunds_2024.zip").await, "talks.jsonl");
    assert_eq!(rows.len(), chosen);
    assert!(rows.iter().all(|row| row["messages"][0]["role"] == "user"), "{}", rows[0]);

    browser.go("/datasets").await;
    browser.until("refunds_2024").await;
    browser.press("td.title a").await;
    browser.fill("name", "refunds").await;
    browser.press("form[action$='/rename'] button").await;
    browser.until("\nrefunds\nstandard, jsonl").await;
    browser.press("a[href$='/delete']").await;
    browser.press("form.narrow button.first").await;
    browser.until("No datasets yet").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_is_chosen_made_looked_at_and_downloaded() {
    on_sqlite(async |server: &mut TestServer| whole_path(server, true).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_same_goes_without_scripts() {
    on_sqlite(async |server: &mut TestServer| whole_path(server, false).await).await;
}

/// Runs of a recipe and of a copilot that `person` started.
async fn ran(server: &TestServer, person: &Person) {
    let (project, person) = (server.p.clone(), person.clone());
    server
        .call(move |service| {
            let mut lines = String::new();
            for number in 0..70 {
                let failed = number % 10 == 3;
                let flow = if number < 60 { "recipe_id" } else { "copilot_id" };
                let line = json!({
                    "request_id": format!("run-{number:02}"), flow: "leave <b>policy</b>", "version": number % 2 + 1,
                    "question": format!("Question {number} <script>alert(1)</script>"),
                    "answer": if failed { Value::Null } else { json!(format!("Answer {number}")) },
                    "error": if failed { json!("timeout in answer") } else { Value::Null },
                    "status": if failed { "failure" } else { "success" },
                    "files": if number == 5 { json!(["s3://files/policy.pdf"]) } else { json!([]) },
                    "started_at": format!("2026-01-{:02}T10:00:00Z", number % 28 + 1),
                    "finished_at": format!("2026-01-{:02}T10:00:02Z", number % 28 + 1),
                    "feedback": if number == 7 { json!({"rating": 1, "comment": "Exactly <i>so</i>."}) } else { Value::Null },
                    "nodes": [
                        {"node": "search", "kind": "retrieval", "input": {"query": "leave"}, "output": [0.5, 1.25]},
                        {"node": "answer", "kind": "model-call", "parent": 0, "model": "m-1", "prompt": "Answer {question}",
                         "variables": {"question": format!("Question {number}")}, "output": format!("Answer {number}"),
                         "status": if failed { "failure" } else { "success" }, "error": if failed { json!("timeout") } else { Value::Null },
                         "started_at": "2026-01-01T10:00:00Z", "finished_at": "2026-01-01T10:00:01.500Z",
                         "input_tokens": 41, "output_tokens": 6},
                    ],
                });
                lines.push_str(&line.to_string());
                lines.push('\n');
            }
            let request = IntakeRequest { owner: Some(person.name), ..IntakeRequest::default() };
            let report =
                service.take_in(&Caller::local(&project), &request, lines.into_bytes()).unwrap();
            assert_eq!(report.new, 70);
        })
        .await;
}

/// Opens a menu of actions and takes the one with that selector.
async fn act(browser: &Browser, menu: &str, action: &str) {
    browser.press(menu).await;
    browser.press(action).await;
}

/// Until the dataset of an export is there, with or without scripts.
async fn until_made(browser: &Browser, scripts: bool) {
    if scripts {
        browser.until("Open the dataset").await;
        return;
    }
    for _ in 0..100 {
        if browser.body().await.contains("Open the dataset") {
            return;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        browser.client.refresh().await.unwrap();
    }
}

/// Recipe → Action → Webhook history → rows → Action → Export dataset → Proceed.
async fn recipe_path(server: &TestServer, scripts: bool) {
    ran(server, &server.ann).await;
    let Some(browser) = Browser::open(server, scripts).await else { return };
    browser.sign_in(&server.ann).await;
    browser.press("header nav a[href='/recipes']").await;
    act(&browser, "td details.menu summary", "td details.menu a").await;
    browser.until("Recipe · History · 60 runs").await;
    assert_eq!(browser.count("figure.card svg").await, 3);
    assert!(browser.text("figure.card:nth-child(2) h2").await.contains("10.0 %"));

    // The filter, then a row on each of two pages.
    browser.press("select[name=status] option[value=success]").await;
    browser.press(".filters button").await;
    browser.until("54 runs match").await;
    browser.press("tbody tr:nth-child(2) input[name=id]").await;
    if scripts {
        browser.until("1 selected · 54 runs").await;
    }
    browser.press("#more").await;
    browser.until("1 selected · 54 runs").await;
    browser.press("tbody tr:nth-child(1) input[name=id]").await;
    // What is selected stays when the filter goes, and on the way back from the form.
    act(&browser, ".head details.menu summary", ".head details.menu button").await;
    browser.until("2 runs selected").await;
    browser.press(".head .actions a").await;
    browser.until("2 selected · 54 runs").await;
    browser.press(".filters a").await;
    browser.until("2 selected · 60 runs").await;
    act(&browser, ".head details.menu summary", ".head details.menu button").await;
    browser.until("2 runs selected").await;

    // A node is required where a purpose needs one; what was filled in stays.
    browser.fill("dataset_name", "leave_eval").await;
    browser.press("input[value=node-evaluation]").await;
    browser.press("form.settings button.first").await;
    browser.until("node").await;
    assert_eq!(browser.count(".notice.bad").await, 1);
    browser.press("select[name=node] option[value=answer]").await;
    browser.press("form.settings button.first").await;
    until_made(&browser, scripts).await;
    let body = browser.body().await;
    assert!(body.contains("Runs written\n2") && body.contains("Records\n2"), "{body}");
    assert_eq!(browser.count("article.record").await, 2);

    // Recipe Evaluation comes down by itself.
    browser.go("/recipes").await;
    browser.press("td.title a").await;
    act(&browser, ".head details.menu summary", ".head details.menu button").await;
    browser.until("60 runs; the most recent are exported, up to the limit").await;
    browser.fill("dataset_name", "whole_recipe").await;
    browser.press("input[value=recipe-evaluation]").await;
    browser.fill("limit", "20").await;
    browser.press("form.settings button.first").await;
    let archive = if scripts {
        browser.downloaded("whole_recipe.zip").await
    } else {
        until_made(&browser, scripts).await;
        browser.downloaded("whole_recipe.zip").await
    };
    let mut archive = zip::ZipArchive::new(std::io::Cursor::new(&archive)).unwrap();
    let file = archive.by_name("runs.csv").unwrap();
    let text = std::io::read_to_string(file).unwrap();
    assert!(text.starts_with("input,output,ground_truth,contexts,request_id,"), "{text}");
    assert_eq!(text.lines().count(), 21);

    browser.go("/datasets").await;
    let body = browser.body().await;
    assert!(body.contains("Recipe Evaluation") && body.contains("Node Evaluation"), "{body}");
    // All that the filter matches, at once.
    browser.go("/recipes").await;
    browser.press("td.title a").await;
    browser.press("select[name=status] option[value=success]").await;
    browser.press(".filters button").await;
    browser.until("54 runs match").await;
    browser.press("button[value=on]").await;
    browser.until("All 54 runs selected").await;
    act(&browser, ".head details.menu summary", ".head details.menu button").await;
    browser.until("54 runs match the filter").await;
    browser.fill("dataset_name", "all_good").await;
    browser.press("form.settings button.first").await;
    until_made(&browser, scripts).await;
    assert!(browser.body().await.contains("Runs written\n54"));
    browser.go("/datasets").await;
    let row = browser.text("tbody tr:nth-child(3)").await;
    assert!(row.contains("leave_eval") && row.contains("answer"), "{row}");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipe_is_looked_at_and_exported() {
    on_sqlite(async |server: &mut TestServer| recipe_path(server, true).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_recipe_is_exported_without_scripts() {
    on_sqlite(async |server: &mut TestServer| recipe_path(server, false).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_copilot_is_looked_at_run_by_run_and_tuned_on() {
    on_sqlite(async |server: &mut TestServer| {
        ran(server, &server.ann).await;
        let Some(browser) = Browser::open(server, true).await else { return };
        browser.sign_in(&server.ann).await;
        browser.press("header nav a[href='/copilots']").await;
        act(&browser, "td details.menu summary", "td details.menu a").await;
        browser.until("Copilot · History · 10 runs").await;
        browser.fill("search", "QUESTION 61").await;
        browser.press(".filters button").await;
        browser.until("1 run matches").await;
        browser.press("tbody td.title:nth-child(3) a").await;
        browser.until("Run run-61").await;
        let body = browser.body().await;
        for words in [
            "Answer 61",
            "<script>alert(1)</script>",
            "search",
            "retrieval",
            "[0.5,1.25]",
            "child of search",
            "Answer {question}",
            "1.5 s",
            "41 tokens in, 6 out",
        ] {
            assert!(body.contains(words), "{words}: {body}");
        }
        assert_eq!(browser.count("main script:not([src])").await, 0);

        browser.press(".back a").await;
        browser.until("1 run matches").await;
        browser.press(".filters a").await;
        act(&browser, ".head details.menu summary", ".head details.menu button").await;
        browser.fill("dataset_name", "tuned").await;
        browser.press("input[value=fine-tuning]").await;
        browser.press("form.settings button.first").await;
        browser.until("Open the dataset").await;
        let body = browser.body().await;
        assert!(
            body.contains("Runs written\n9") && body.contains("Left out: a run that failed\n1"),
            "{body}"
        );
        browser.press("a[download]").await;
        let rows = rows(&browser.downloaded("tuned.zip").await, "runs.jsonl");
        assert_eq!(rows.len(), 9);
        assert_eq!(rows[0]["messages"][1]["role"], "assistant");
        // What is another's is not there.
        let other = Browser::open(server, true).await.unwrap();
        other.sign_in(&server.bob).await;
        other.go("/copilots").await;
        assert!(other.body().await.contains("No runs yet"));
        other.close().await;
        browser.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn documents_are_found_read_and_exported_by_who_administers() {
    on_sqlite(async |server: &mut TestServer| {
        let owner = server.session(&server.owner).await;
        let document = |number: usize| {
            json!({
                "id": number, "readable_filename": format!("Part {number} <b>é</b>.pdf"), "s3_path": format!("p/{number}"),
                "contexts": [{"text": format!("<script>alert({number})</script>"), "pagenumber": 7, "embedding": [0.5, 0.25]},
                    {"text": "two", "embedding": [1, 2]}],
            })
        };
        let all: Vec<Value> = (0..60).map(document).collect();
        server.post("/api/v1/documents", &owner, json!(all)).await.ok();
        let kept = server.request("PUT", "/api/v1/documents/3/original?name=three.txt").by(&owner);
        kept.body("as it was").send().await.ok();
        let asked = json!({
            "id": "cites", "messages": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a",
                "contexts": [{"readable_filename": "Part 3", "s3_path": "p/3", "text": "t"}]}],
        });
        server.post("/api/v1/conversations", &owner, asked).await.ok();
        let passage = json!({"readable_filename": "Part 4", "s3_path": "p/4", "text": "t"});
        let dug = json!([{"role": "user", "content": "dig"}, {"role": "assistant", "content": "dug", "contexts": [passage]}]);
        let rounds = json!([{"number": 1, "messages": [{"role": "user", "content": "q"}]}]);
        let helped = json!({
            "retort": 1, "id": "helped", "source": "s", "kind": "agent", "status": "active", "rounds": rounds,
            "tasks": [{"id": "t", "agent": "digger", "rounds": [{"number": 1, "messages": dug}]}],
        });
        server.post("/api/v1/conversations", &owner, helped).await.ok();
        let Some(browser) = Browser::open(server, false).await else { return };
        browser.sign_in(&server.owner).await;
        browser.go("/conversations/helped").await;
        assert_eq!(browser.count("a[href='/documents/4']").await, 1, "{}", browser.body().await);
        browser.press("header nav a[href='/documents']").await;
        browser.until("60 documents · 2 dimensions, float32").await;
        assert_eq!(browser.count("tbody tr").await, 50);
        browser.press("a[rel=next]").await;
        assert_eq!(browser.count("tbody tr").await, 10);
        browser.fill("search", "part 3 <B>").await;
        browser.press(".filters button").await;
        browser.until("1 document").await;
        browser.press("tbody td.title a").await;
        browser.until("Cited in").await;
        let body = browser.body().await;
        for words in ["Part 3 <b>é</b>.pdf", "<script>alert(3)</script>", "page 7", "2 chunks"] {
            assert!(body.contains(words), "{words}: {body}");
        }
        // Its original is replaced from the page.
        let file = browser.downloads.path().join("another.txt");
        std::fs::write(&file, "x".repeat(3 << 20)).unwrap();
        browser.press("section details summary").await;
        let field = browser.client.find(Locator::Css("input[type=file]")).await.unwrap();
        field.send_keys(file.to_str().unwrap()).await.unwrap();
        browser.press("form[action$='/original'] button").await;
        browser.until("Download original (3.1 MB)").await;
        browser.press("section[aria-label='Cited in'] a").await;
        browser.press("details summary").await;
        browser.press("details h4 a").await;
        browser.until("Download original").await;
        browser.press("a[download]").await;
        assert_eq!(browser.downloaded("another.txt").await.len(), 3 << 20);
        browser.go("/documents").await;
        browser.press("option[value=parquet]").await;
        browser.press("form.row button.first").await;
        until_made(&browser, false).await;
        let body = browser.body().await;
        assert!(body.contains("Documents written\n60") && body.contains("Records\n120"), "{body}");
        browser.close().await;
        let member = Browser::open(server, false).await.unwrap();
        member.sign_in(&server.ann).await;
        assert_eq!(member.count("header nav a[href='/documents']").await, 0);
        member.go("/documents").await;
        assert!(!member.body().await.contains("Part 3"));
        member.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_people_wrote_shows_as_text_on_every_page() {
    on_sqlite(async |server: &mut TestServer| {
        furnish(server, &server.ann, 5).await;
        let Some(browser) = Browser::open(server, true).await else { return };
        browser.sign_in(&server.ann).await;
        agent(server).await;
        let owner = server.session(&server.owner).await;
        let page = server.get("/conversations/agent", &owner).await.text();
        assert!(page.contains("Keep   spaces.\n- and lists"), "{page}");
        for words in
            ["Tool call: <code>get_weather(city=&#34;Oslo&#34;)</code>", "Failed: Result</summary>"]
        {
            assert!(page.contains(words), "{words}: {page}");
        }
        for path in ["/export", "/analysis", "/conversations/talk-0", "/conversations/talk-1"] {
            browser.go(path).await;
            assert_ne!(browser.client.title().await.unwrap(), "harmed", "{path}");
            assert_eq!(browser.count("main script:not([src]), main img[src=x]").await, 0, "{path}");
        }
        assert!(browser.body().await.contains("<script>alert(1)</script>"));
        assert!(browser.text("h1").await.contains("<b>bold</b>"));
        browser.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_link_is_made_opened_by_anyone_and_revoked() {
    on_sqlite(async |server: &mut TestServer| {
        furnish(server, &server.ann, 5).await;
        let Some(browser) = Browser::open(server, true).await else { return };
        browser.sign_in(&server.ann).await;
        browser.go("/conversations/talk-4").await;
        browser.press("#shares details summary").await;
        browser.press("#shares details button").await;
        let link =
            browser.client.wait().for_element(Locator::Css("#shares .notice a")).await.unwrap();
        let path = link.attr("href").await.unwrap().unwrap();
        assert!(path.starts_with("/s/"), "{path}");
        // It is shown whole, as it is sent to others.
        let whole = browser.client.find(Locator::Css("#shares .copy input")).await.unwrap();
        let whole = whole.prop("value").await.unwrap().unwrap();
        assert_eq!(whole, format!("{}{path}", browser.base));
        browser.press("#shares [data-copy]").await;
        browser.until("Copied").await;
        let visitor = Browser::open(server, true).await.unwrap();
        visitor.go(&path).await;
        assert!(visitor.body().await.contains("Question 4"));
        assert!(!visitor.body().await.contains("ann@example.com"));
        browser.press("#shares form button.quiet").await;
        browser.until("Not shared publicly").await;
        visitor.client.refresh().await.unwrap();
        assert!(!visitor.body().await.contains("Question 4"));
        visitor.close().await;
        browser.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_whole_project_is_for_its_admins() {
    on_sqlite(async |server: &mut TestServer| {
        furnish(server, &server.ann, 7).await;
        let Some(browser) = Browser::open(server, true).await else { return };
        browser.sign_in(&server.ann).await;
        browser.go("/analysis").await;
        assert_eq!(browser.count("#everything").await, 0);
        let member = server.session(&server.ann).await;
        let body = json!({"dataset_name": "all"});
        assert_eq!(server.post("/api/v1/project/export", &member, body).await.status, 403);
        browser.close().await;

        let browser = Browser::open(server, true).await.unwrap();
        browser.sign_in(&server.admin).await;
        // Analysis, then Download: what is deleted is named, and the archive comes by itself.
        server
            .delete("/api/v1/conversations/talk-6", &server.session(&server.ann).await)
            .await
            .ok();
        browser.press("header nav a[href='/analysis']").await;
        browser.until("Deleted conversations left out: 1.").await;
        browser.press("#everything button").await;
        browser.until("Open the dataset").await;
        let archive = browser.downloaded("conversation_history.zip").await;
        let all = rows(&archive, "conversation_history.jsonl");
        let everyone = server.p.clone();
        let count = server.call(move |service| {
            service.count(&Caller::local(&everyone), &ConversationFilter::default()).unwrap()
        });
        assert_eq!(all.len() as u64, count.await);
        assert!(all.iter().any(|row| row["user_email"] == "ann@example.com"), "{}", all[0]);
        // A second time, the name is another.
        browser.go("/analysis").await;
        browser.press("#everything input[name=deleted]").await;
        browser.press("#everything button").await;
        browser.until("conversation_history-2").await;
        let archive = browser.downloaded("conversation_history-2.zip").await;
        assert_eq!(rows(&archive, "conversation_history.jsonl").len(), all.len() + 1);
        browser.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_person_is_erased_by_an_owner_who_sees_first_what_would_go() {
    on_sqlite(async |server: &mut TestServer| {
        furnish(server, &server.ann, 5).await;
        let ann = server.session(&server.ann).await;
        let hers = server.post("/api/v1/exports", &ann, json!({"dataset_name": "hers"})).await;
        server.ended_job("exports", hers.json()["id"].as_i64().unwrap(), &ann).await;
        let Some(browser) = Browser::open(server, false).await else { return };
        browser.sign_in(&server.owner).await;
        browser.go("/project").await;
        browser.press("a[href='/project/erasures']").await;
        browser.fill("person", &server.ann.name).await;
        browser.press("form.card button.first").await;
        browser.until("This permanently erases 5 conversations").await;
        let body = browser.body().await;
        assert!(body.contains("hers") && body.contains("deleted: nothing else is in it"), "{body}");
        browser.press("form.card button.first").await;
        browser.until("Download the signed receipt").await;
        let body = browser.body().await;
        assert!(body.contains("Completed. Started") && body.contains("5 of 5"), "{body}");
        browser.press(".actions a.first").await;
        let receipt = browser.downloaded("erasure-1.json").await;
        let receipt: Value = serde_json::from_slice(&receipt).unwrap();
        assert_eq!(receipt["payloadType"], "application/vnd.retort.erasure+json");
        browser.go("/project/erasures").await;
        browser.fill("person", &server.ann.name).await;
        browser.press("form.card button.first").await;
        browser.until("Nothing to erase").await;
        browser.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn files_come_in_and_the_report_says_what_became_of_them() {
    on_sqlite(async |server: &mut TestServer| {
        let Some(browser) = Browser::open(server, true).await else { return };
        browser.sign_in(&server.bob).await;
        let file = browser.downloads.path().join("history.jsonl");
        let line = json!({"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]});
        std::fs::write(&file, format!("{line}\nno JSON\n")).unwrap();
        browser.go("/import").await;
        let field = browser.client.find(Locator::Css("input[type=file]")).await.unwrap();
        field.send_keys(file.to_str().unwrap()).await.unwrap();
        browser.press("#drop button.first").await;
        browser.until("Done. 1 of 2 items was rejected.").await;
        let body = browser.body().await;
        assert!(body.contains("Items read\n2") && body.contains("New\n1"), "{body}");
        assert!(body.contains("Rejected\n1") && body.contains("line 2"), "{body}");

        // Several files of any size; one that is empty stops none of the others.
        let name = |name: &str| browser.downloads.path().join(name);
        let long = json!({"messages": [{"role": "user", "content": "x".repeat(1 << 20)}, {"role": "assistant", "content": "b"}]});
        std::fs::write(name("long.jsonl"), format!("{long}\n").repeat(50)).unwrap();
        std::fs::write(name("empty.jsonl"), "").unwrap();
        std::fs::write(name("other.jsonl"), format!("{line}\n")).unwrap();
        browser.go("/import").await;
        let files = ["long.jsonl", "empty.jsonl", "other.jsonl"];
        let files = files.map(|file| name(file).to_str().unwrap().to_owned()).join("\n");
        let field = browser.client.find(Locator::Css("input[type=file]")).await.unwrap();
        field.send_keys(&files).await.unwrap();
        browser.press("#drop button.first").await;
        browser.until("empty.jsonl is empty.").await;
        browser.until("other.jsonl\nUploaded").await;
        browser.until("long.jsonl\ncompleted 50").await;

        // What nobody could read says so, and what to do.
        std::fs::write(name("odd.json"), "{\"a\":1}").unwrap();
        browser.go("/import").await;
        let field = browser.client.find(Locator::Css("input[type=file]")).await.unwrap();
        field.send_keys(name("odd.json").to_str().unwrap()).await.unwrap();
        browser.press("#drop button.first").await;
        browser.until("Nothing was imported.").await;
        assert!(browser.body().await.contains("choose it in the list and import again"));
        browser.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_large_history_is_imported_without_scripts() {
    on_sqlite(async |server: &mut TestServer| {
        let Some(browser) = Browser::open(server, false).await else { return };
        browser.sign_in(&server.bob).await;
        let file = browser.downloads.path().join("long.jsonl");
        let long = |number: usize| {
            let asked = format!("{number} {}", "x".repeat(1 << 20));
            json!({"messages": [{"role": "user", "content": asked}, {"role": "assistant", "content": "b"}]})
        };
        let lines: String = (0..50).map(|number| format!("{}\n", long(number))).collect();
        std::fs::write(&file, lines).unwrap();
        browser.go("/import").await;
        let field = browser.client.find(Locator::Css("input[type=file]")).await.unwrap();
        field.send_keys(file.to_str().unwrap()).await.unwrap();
        browser.press("#drop button.first").await;
        browser.until("long.jsonl\nImport").await;
        // The page reloads itself until the import has ended.
        browser.until("Done.").await;
        let body = browser.body().await;
        assert!(body.contains("long.jsonl") && body.contains("New\n50"), "{body}");
        browser.close().await;
    })
    .await;
}

/// The smallest picture in PNG that browsers show.
const PICTURE: &[u8] =
    b"\x89PNG\x0d\x0a\x1a\x0a\0\0\0\x0dIHDR\0\0\0\x01\0\0\0\x01\x08\0\0\0\0:~\x9bU\0\0\0\x0aIDAT\
    x\xdac\xf8\x0f\0\x01\x01\x01\0\x1c\xb0\x8c\x99\0\0\0\0IEND\xaeB`\x82";

#[tokio::test(flavor = "multi_thread")]
async fn pictures_of_an_archive_come_in_with_its_conversations_where_the_box_is_checked() {
    on_sqlite(async |server: &mut TestServer| {
        let Some(browser) = Browser::open(server, true).await else { return };
        browser.sign_in(&server.bob).await;
        let archive = |name: &str, id: &str| {
            let shown = json!([{"type": "text", "text": "Who is it?"}, {"type": "image", "path": "pictures/a.png"}]);
            let chat = json!({"id": id, "messages": [{"role": "user", "content": shown}, {"role": "assistant", "content": "Ann."}]});
            let path = browser.downloads.path().join(name);
            let mut zip = zip::ZipWriter::new(std::fs::File::create(&path).unwrap());
            for (name, bytes) in [("chats.jsonl", chat.to_string().as_bytes()), ("pictures/a.png", PICTURE)] {
                zip.start_file(name, zip::write::SimpleFileOptions::default()).unwrap();
                std::io::Write::write_all(&mut zip, bytes).unwrap();
            }
            zip.finish().unwrap();
            path.to_str().unwrap().to_owned()
        };
        for (id, is_checked) in [("without", false), ("with", true)] {
            browser.go("/import").await;
            browser.press("#drop summary").await;
            if is_checked {
                browser.press("input[name=with_files]").await;
            }
            let field = browser.client.find(Locator::Css("input[type=file]")).await.unwrap();
            field.send_keys(&archive(&format!("{id}.zip"), id)).await.unwrap();
            browser.press("#drop button.first").await;
            browser.until("New\n1").await;
            browser.go(&format!("/conversations/{id}")).await;
            browser.until("Who is it?").await;
            let seen = browser.client.execute(
                "return [...document.querySelectorAll('main img')].filter(one => one.naturalWidth === 1).length",
                Vec::new(),
            );
            assert_eq!(seen.await.unwrap(), u8::from(is_checked), "{id}");
        }
        browser.close().await;
    })
    .await;
}

/// A conversation with calls, a failed result, right-to-left text, a table and long lines of code.
async fn agent(server: &TestServer) {
    let call = |id: &str, name: &str| json!({"id": id, "type": "function", "function": {"name": name, "arguments": "{\"city\":\"Oslo\"}"}});
    let said = json!({"id": "agent", "title": "A title that never ends ".repeat(12), "messages": [
        {"role": "system", "content": "Keep   spaces.\n- and lists"},
        {"role": "user", "content": "ما هو الطقس في أوسلو؟"},
        {"role": "assistant", "content": null, "tool_calls": [call("c1", "get_weather"), call("c2", "get_time")]},
        {"role": "tool", "tool_call_id": "c1", "content": "{\"temp\": 3}"},
        {"role": "tool", "tool_call_id": "c2", "content": "timeout", "error": "timeout after 30 s"},
        {"role": "assistant", "content": format!("|a|b|\n|:-|-:|\n|Oslo|3|\n\n> quoted\n\n```py\n{}\n```", "x = 1; ".repeat(40))},
    ]});
    let owner = server.session(&server.owner).await;
    server.post("/api/v1/conversations", &owner, said).await.ok();
}

/// Every screen, once with something on it.
const SCREENS: [(&str, &str); 39] = [
    ("sign-in", "/sign-in"),
    ("home", "/"),
    ("export", "/export"),
    ("export-dataset", "/export/dataset"),
    ("check", "/export/check?dataset_name=checked&findings=true"),
    ("datasets", "/datasets"),
    ("dataset", "/datasets/1"),
    ("compare", "/datasets/1/compare?with=2"),
    ("items", "/datasets/1/items"),
    ("left-out", "/datasets/1/left-out"),
    ("findings", "/datasets/1/findings?list=repaired&kind=cut-end"),
    ("repair", "/datasets/1/repair?kind=conversation&item=open"),
    ("export-progress", "/exports/1"),
    ("schedules", "/schedules"),
    ("new-schedule", "/schedules/new"),
    ("schedule", "/schedules/1"),
    ("copilots", "/copilots"),
    ("recipes", "/recipes"),
    ("history", "/recipes/leave%20%3Cb%3Epolicy%3C%2Fb%3E"),
    ("run", "/recipes/leave%20%3Cb%3Epolicy%3C%2Fb%3E/runs/run-07"),
    ("judge-run", "/recipes/leave%20%3Cb%3Epolicy%3C%2Fb%3E/runs/run-07?queue=mine&at=0:0"),
    ("versions", "/recipes/leave%20%3Cb%3Epolicy%3C%2Fb%3E/versions"),
    ("run-export", "/recipes/leave%20%3Cb%3Epolicy%3C%2Fb%3E/export"),
    ("documents", "/documents"),
    ("document", "/documents/d1?from=sort%3Dname"),
    ("analysis", "/analysis"),
    ("import", "/import"),
    ("project", "/project"),
    ("tokens", "/project/tokens"),
    ("shares", "/project/shares"),
    ("audit", "/project/audit"),
    ("erasures", "/project/erasures"),
    ("settings", "/settings"),
    ("conversation", "/conversations/talk-3"),
    ("judge", "/conversations/talk-3?queue=mine&at=0:1"),
    ("as-model", "/conversations/talk-3/model?model=chatml"),
    ("agent", "/conversations/agent"),
    ("api", "/api"),
    ("keys", "/keys"),
];

/// A server that has a model, `chatml`, whose template is in that folder.
fn with_model(folder: &std::path::Path) -> Setup {
    let template = folder.join("chatml.jinja");
    let text = "{% for message in messages %}<|im_start|>{{ message.role }}\n{% if message.role == 'assistant' %}\
                {% generation %}{{ message.content }}<|im_end|>{% endgeneration %}{% else %}{{ message.content }}<|im_end|>\
                {% endif %}\n{% endfor %}";
    std::fs::write(&template, text).unwrap();
    let models = [("chatml".to_owned(), template.to_str().unwrap().to_owned())];
    Setup { models: models.into(), ..Setup::default() }
}

/// Keys as WebDriver writes them.
const TAB: char = '\u{e004}';
const ENTER: char = '\u{e007}';

/// What the screens show, of the owner.
async fn fill_screens(server: &mut TestServer, many: usize) {
    furnish(server, &server.owner, many).await;
    ran(server, &server.owner).await;
    agent(server).await;
    let owner = server.session(&server.owner).await;
    let open = json!({"id": "open", "messages": [
        {"role": "user", "content": "Is it open?"}, {"role": "assistant", "content": "It is."},
        {"role": "user", "content": "And now?"},
    ]});
    server.post("/api/v1/conversations", &owner, open).await.ok();
    let document = json!({"id": "d1", "doc_groups": [], "readable_filename": "Leave policy.pdf", "contexts": [{"text": "Thirty days.", "embedding": [0.5, 0.25]}]});
    server.post("/api/v1/documents", &owner, document).await;
    for (id, name) in [
        ("d0", "A handbook with a name that is much too long for one line of a phone.pdf"),
        ("d2", "Travel.pdf"),
    ] {
        let document = json!({"id": id, "doc_groups": [], "readable_filename": name, "url": format!("https://example.org/{id}"),
            "created_at": "2026-01-05T10:00:00Z", "contexts": []});
        server.post("/api/v1/documents", &owner, document).await.ok();
    }
    // A selection, and views of the list.
    let page = server.get("/export", &owner).await.text();
    let csrf = page.split("name=\"csrf\" value=\"").nth(1).unwrap().split('"').next().unwrap();
    let all = format!("csrf={csrf}&action=all");
    let form = server.request("POST", "/export/choose").by(&owner).body(all);
    let form = form.header("content-type", "application/x-www-form-urlencoded").send().await;
    assert_eq!(form.status, 303, "{}", form.text());
    for (name, search) in [("To review", "judged:false"), ("Long conversations", "turns:4..")] {
        let view = json!({"name": name, "shared": true, "filter": {"search": [search]}, "sort": "most-turns", "columns": ["turns"]});
        server.post("/api/v1/views", &owner, view).await.ok();
    }
    let who = server.token(&server.p, &server.owner, &[Grant::Export]).await;
    let shown = json!({"dataset_name": "shown", "findings": true});
    let job = server.post("/api/v1/exports", &who, shown).await;
    server.ended_job("exports", job.json()["id"].as_i64().unwrap(), &who).await;
    let plan = json!({"export": {"dataset_name": "weekly_{date}"}, "cron": "0 2 * * 1", "zone": "Europe/Berlin", "window": "changed"});
    server.post("/api/v1/schedules", &who, json!({"name": "Every week", "plan": plan})).await.ok();
    let run = server.post("/api/v1/schedules/1/run", &who, json!({})).await.ok();
    server.ended_job("exports", run["job"]["id"].as_i64().unwrap(), &who).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn every_screen_is_whole_at_every_width_and_open_to_everyone() {
    let folder = tempfile::tempdir().unwrap();
    on_sqlite_with(with_model(folder.path()), async |server: &mut TestServer| {
        fill_screens(server, 30).await;
        let Some(browser) = Browser::open(server, true).await else { return };
        browser.sign_in(&server.owner).await;
        let axe = std::env::var_os("RETORT_AXE").map(|path| std::fs::read_to_string(path).unwrap());
        if axe.is_none() {
            eprintln!("passed over: RETORT_AXE names no script of axe-core");
        }
        let widths = [
            (1440, "light"),
            (1440, "dark"),
            (800, "light"),
            (640, "dark"),
            (390, "light"),
            (390, "dark"),
        ];
        let mut sketches = Sketches::default();
        for (width, scheme) in widths {
            look_as(&browser, width, scheme).await;
            for (name, path) in SCREENS {
                browser.go(path).await;
                let mut wide = browser.width().await;
                // A page that has just come may have its window's width before it has the one asked for.
                for _ in 0..100 {
                    if wide <= width {
                        break;
                    }
                    tokio::time::sleep(Duration::from_millis(20)).await;
                    wide = browser.width().await;
                }
                assert!(wide <= width, "{name} is {wide} wide at {width}");
                let outside = browser.client.execute(OUTSIDE, Vec::new()).await.unwrap();
                assert_eq!(outside, json!([]), "{name} at {width}: outside of the page");
                // Of two schemes at one width the layout is the same.
                let is_sketched = scheme == "light" || width == 640;
                let kept = std::env::var_os("RETORT_SCREENSHOTS");
                if is_sketched || kept.is_some() {
                    let picture = picture(&browser, width).await;
                    if is_sketched {
                        sketches.draw(&browser, name, &format!("{width} {scheme}"), &picture).await;
                    }
                    if let Some(folder) = kept {
                        let file = format!("{name}-{width}-{scheme}.png");
                        std::fs::write(std::path::Path::new(&folder).join(file), picture).unwrap();
                    }
                }
                if let Some(axe) = &axe {
                    look_over(&browser, axe, &format!("{name} at {width}, {scheme}")).await;
                }
            }
        }
        browser.close().await;
        sketches.compare();
    })
    .await;
}

/// Elements that reach out of the page at the left or right, but for what can be scrolled to, or is for screen readers.
const OUTSIDE: &str = "const wide = document.documentElement.clientWidth;
    const isCut = (one) => getComputedStyle(one).overflowX !== 'visible';
    const isCutAbove = (one) => { for (let up = one.parentElement; up; up = up.parentElement) if (isCut(up)) return true };
    return [...document.querySelectorAll('body *')].filter((one) => {
        const { left, right, width, height } = one.getBoundingClientRect();
        if (!one.checkVisibility() || !width || !height || (left >= -1 && right <= wide + 1)) return false;
        return !one.matches('.skip, .unseen') && !isCut(one) && !isCutAbove(one);
    }).map((one) => one.outerHTML.slice(0, 200))";

/// A picture of the page, as PNG, once it does not change any more: the browser also shows what is half drawn.
async fn picture(browser: &Browser, width: i64) -> Vec<u8> {
    let clip = json!({"x": 0, "y": 0, "width": width, "height": HEIGHT, "scale": 1});
    let mut before = Value::Null;
    for _ in 0..20 {
        let parameters = json!({"format": "png", "captureBeyondViewport": true, "clip": clip});
        let command = Devtools { command: "Page.captureScreenshot", parameters };
        let drawn = browser.client.issue_cmd(command).await.unwrap();
        if drawn == before {
            break;
        }
        before = drawn;
    }
    STANDARD.decode(before["data"].as_str().unwrap()).unwrap()
}

/// How much of a page is looked at, in pixels.
const HEIGHT: u32 = 1000;

async fn look_as(browser: &Browser, width: i64, scheme: &str) {
    for (command, parameters) in [
        (
            "Emulation.setDeviceMetricsOverride",
            json!({"width": width, "height": HEIGHT, "deviceScaleFactor": 1, "mobile": width < 500}),
        ),
        (
            "Emulation.setEmulatedMedia",
            json!({"features": [{"name": "prefers-color-scheme", "value": scheme}]}),
        ),
    ] {
        let command = Devtools { command, parameters };
        browser.client.issue_cmd(command).await.unwrap();
    }
}

/// A command of Chromium's own.
#[derive(Debug)]
struct Devtools {
    command: &'static str,
    parameters: Value,
}

impl fantoccini::wd::WebDriverCompatibleCommand for Devtools {
    fn endpoint(
        &self,
        base: &url::Url,
        session: Option<&str>,
    ) -> Result<url::Url, url::ParseError> {
        base.join(&format!("session/{}/goog/cdp/execute", session.unwrap_or_default()))
    }

    fn method_and_body(&self, _: &url::Url) -> (axum::http::Method, Option<String>) {
        let body = json!({"cmd": self.command, "params": self.parameters});
        (axum::http::Method::POST, Some(body.to_string()))
    }
}

/// Has axe-core look a screen over; serious findings fail.
async fn look_over(browser: &Browser, axe: &str, screen: &str) {
    browser.client.execute(axe, Vec::new()).await.unwrap();
    let script = "const done = arguments[arguments.length - 1];
                  axe.run(document, {resultTypes: ['violations']}).then(
                      (found) => done(found.violations.map((one) => ({
                          id: one.id, impact: one.impact, where: one.nodes.map((node) => node.html).slice(0, 3)}))),
                      (error) => done([{id: String(error), impact: 'critical'}]));";
    let found = browser.client.execute_async(script, Vec::new()).await.unwrap();
    let serious: Vec<&Value> = found
        .as_array()
        .unwrap()
        .iter()
        .filter(|one| matches!(one["impact"].as_str(), Some("serious" | "critical")))
        .collect();
    assert!(serious.is_empty(), "{screen}: {serious:#?}");
}

#[tokio::test(flavor = "multi_thread")]
async fn everything_is_reached_by_keyboard_and_progress_is_announced() {
    on_sqlite(async |server: &mut TestServer| {
        furnish(server, &server.ann, 3).await;
        let Some(browser) = Browser::open(server, true).await else { return };
        browser.sign_in(&server.ann).await;
        browser.go("/export").await;
        let script = "const wanted = [...document.querySelectorAll('a, button, input:not([type=hidden]), select, summary')]
                          .filter((one) => one.offsetParent !== null);
                      return wanted.filter((one) => one.tabIndex < 0).map((one) => one.outerHTML)";
        let left_out = browser.client.execute(script, Vec::new()).await.unwrap();
        assert_eq!(left_out, json!([]));
        let live = browser.client.find(Locator::Css("#standing[aria-live=polite]")).await;
        assert!(live.is_ok());
        // The first stop leads past the navigation, and shows where it is.
        browser.type_key(TAB).await;
        let script = "const at = document.activeElement; const style = getComputedStyle(at);
                      return [at.className, style.outlineStyle, at.outerHTML.slice(0, 200)]";
        let at = browser.client.execute(script, Vec::new()).await.unwrap();
        assert_eq!(at[0], "skip", "{at}");
        assert_ne!(at[1], "none");
        // On a phone, and at 200 %, the form of the dataset is reached with Tab and Enter alone, past the navigation and before
        // the list.
        look_as(&browser, 640, "light").await;
        browser.go("/export").await;
        browser.press("button[value=all]").await;
        browser.until("3 selected").await;
        browser.go("/export").await;
        browser.until("3 selected").await;
        browser.type_key(TAB).await;
        browser.until_true("document.activeElement.className === 'skip'").await;
        browser.type_key(ENTER).await;
        browser.until_true("location.hash !== ''").await;
        let mut stops = 0;
        let script = "return document.activeElement.value";
        while browser.client.execute(script, Vec::new()).await.unwrap() != "export" {
            stops += 1;
            assert!(stops < 30, "the form is not reached by keyboard");
            browser.type_key(TAB).await;
        }
        browser.type_key(ENTER).await;
        browser.until("3 conversations selected").await;
        let form = "return document.querySelector('[name=dataset_name]').getBoundingClientRect().bottom";
        let form = browser.client.execute(form, Vec::new()).await.unwrap();
        assert!(form.as_f64().unwrap() < 400.0, "{form}");
        browser.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn no_screen_weighs_more_than_60_kb() {
    let folder = tempfile::tempdir().unwrap();
    on_sqlite_with(with_model(folder.path()), async |server: &mut TestServer| {
        fill_screens(server, 60).await;
        let session = server.session(&server.owner).await;
        let weight = async |path: &str, who: &As| {
            let reply = server.request("GET", path).by(who).send().await;
            assert_eq!(reply.status, 200, "{path}");
            let mut packed =
                flate2::write::GzEncoder::new(Vec::new(), flate2::Compression::default());
            std::io::Write::write_all(&mut packed, &reply.body).unwrap();
            packed.finish().unwrap().len()
        };
        let mut assets = 0;
        for asset in [
            "retort.css",
            "page.js",
            "keys.js",
            "rows.js",
            "runs.js",
            "choose.js",
            "follow.js",
            "drop.js",
            "retort.svg",
        ] {
            assets += weight(&format!("/assets/{asset}"), &As::Nobody).await;
        }
        for (name, path) in SCREENS {
            let whole = assets + weight(path, &session).await;
            assert!(whole < 60_000, "{name} weighs {whole} bytes");
        }
    })
    .await;
}
