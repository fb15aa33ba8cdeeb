//! Conversations found again: wrong queries, saved views, random samples, and figures that lead to lists.

use super::*;

async fn found(server: &TestServer, scripts: bool) {
    furnish(server, &server.ann, 30).await;
    let Some(browser) = Browser::open(server, scripts).await else { return };
    browser.sign_in(&server.ann).await;
    // What is wrong is said beside the search, with what was probably meant.
    browser.go("/export?search=tga%3Aeven+talk").await;
    browser.until("Unknown field “tga”. Search for tag:even talk").await;
    assert_eq!(browser.count("header nav a[aria-current]").await, 1);
    let search = browser.client.find(Locator::Css("input[type=search]")).await.unwrap();
    assert_eq!(search.prop("value").await.unwrap().unwrap(), "tga:even talk");
    browser.press("#trouble a").await;
    browser.until("0 selected · 15 conversations").await;

    // A view is a link of its own for everyone whom it is shared with.
    browser.press("#save-view summary").await;
    browser.fill("view_name", "Even <talks>").await;
    browser.press("#save-view [name=shared]").await;
    browser.press("#save-view form button").await;
    browser.until("Even <talks>").await;
    browser.go("/export").await;
    browser.until("30 conversations").await;
    browser.press(".views nav a").await;
    browser.until("15 conversations").await;
    assert_eq!(browser.count(".views a[aria-current=page]").await, 1);
    let other = Browser::open(server, scripts).await.unwrap();
    other.sign_in(&server.admin).await;
    other.go("/export").await;
    other.until("shared by ann@example.com").await;
    other.press(".views nav a").await;
    other.until("15 conversations").await;
    other.close().await;

    // A random sample of what matches.
    browser.press("#random summary").await;
    browser.fill("sample", "4").await;
    browser.press("button[value=sample]").await;
    browser.until("4 selected · 15 conversations").await;
    browser.press(".views nav form button").await;
    browser.until("4 selected · 30 conversations").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_are_found_again() {
    on_sqlite(async |server: &mut TestServer| found(server, true).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_are_found_again_without_scripts() {
    on_sqlite(async |server: &mut TestServer| found(server, false).await).await;
}

async fn sorted(server: &TestServer, scripts: bool) {
    furnish(server, &server.ann, 12).await;
    let Some(browser) = Browser::open(server, scripts).await else { return };
    browser.sign_in(&server.ann).await;
    browser.go("/export?search=talk").await;
    let first = async |css: &str| browser.text(&format!("tbody tr:first-child {css}")).await;
    browser.press("th a[href*='sort=title&']").await;
    browser.until("12 conversations").await;
    let heading = browser.text("th[aria-sort=ascending]").await;
    assert_eq!(heading.trim_end_matches(['↑', ' ']), "Title");
    assert!(first("td.title").await.contains("<script>"));
    browser.press("th a[href*='sort=title-down']").await;
    browser.until("12 conversations").await;
    assert_eq!(first("td.title").await, "返金");
    // The next conversation is the next one of this order, and the way back keeps it.
    browser.press("tbody tr:first-child td.title a").await;
    browser.press("a[rel=next]").await;
    browser.until("Talk 9").await;
    browser.press("a[data-key=u]").await;
    browser.until("12 conversations").await;
    assert_eq!(first("td.title").await, "返金");

    // Columns and order are chosen in one form, stay in the address, and are kept with a view.
    browser.press("#columns summary").await;
    browser.press("#columns input[value=turns]").await;
    browser.press("#columns input[value=status]").await;
    browser.press("#columns option[value=oldest]").await;
    browser.press("#columns form button").await;
    browser.until("Turns").await;
    assert_eq!(browser.count("thead th").await, 8);
    assert!(first("td.title").await.contains("<script>"));
    browser.press("#save-view summary").await;
    browser.fill("view_name", "By age").await;
    browser.press("#save-view form button").await;
    browser.until("By age").await;
    browser.go("/export").await;
    assert_eq!(browser.count("th a[href*=most-turns]").await, 0);
    browser.press(".views nav a").await;
    browser.until("Turns").await;
    assert_eq!(browser.count(".views a[aria-current=page]").await, 1);
    assert_eq!(browser.count("th[aria-sort=ascending] a[href*='sort=newest']").await, 1);
    // A new schedule starts from it.
    browser.go("/schedules/new").await;
    browser.press("fieldset .hint a").await;
    browser.until("New schedule").await;
    let search = browser.client.find(Locator::Css("[name=search]")).await.unwrap();
    assert_eq!(search.prop("value").await.unwrap().unwrap(), "talk");
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_sorted_and_its_columns_are_chosen() {
    on_sqlite(async |server: &mut TestServer| sorted(server, true).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn the_list_is_sorted_without_scripts() {
    on_sqlite(async |server: &mut TestServer| sorted(server, false).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_versions_are_compared_by_the_same_input() {
    on_sqlite(async |server: &mut TestServer| {
        let run = |id: &str, version: &str, question: &str, answer: &str, day: u8| {
            json!({"request_id": id, "recipe_id": "r", "version": version, "question": question, "answer": answer,
                   "status": "success", "started_at": format!("2026-01-{day:02}T10:00:00Z"),
                   "finished_at": format!("2026-01-{day:02}T10:00:02Z")})
        };
        let runs = [
            run("a1", "1", "How long?", "Thirty days", 1),
            run("a2", "1", "How much?", "Ten", 2),
            // A more recent run of the same input counts.
            run("a3", "1", "How much?", "Eleven", 3),
            run("a4", "1", "Only here", "x", 4),
            run("b1", "2", "How long?", "Thirty days", 5),
            run("b2", "2", "How much?", "Twelve", 6),
        ];
        let lines: String = runs.map(|run| format!("{run}\n")).concat();
        let (project, owner) = (server.p.clone(), server.owner.name.clone());
        server
            .call(move |service| {
                let request = IntakeRequest { owner: Some(owner), ..IntakeRequest::default() };
                service.take_in(&Caller::local(&project), &request, lines.into_bytes()).unwrap()
            })
            .await;
        let Some(browser) = Browser::open(server, false).await else { return };
        browser.sign_in(&server.owner).await;
        browser.go("/recipes/r").await;
        browser.press("a[href$='/versions']").await;
        browser.until("Inputs that both had\n2").await;
        let body = browser.body().await;
        assert!(body.contains("The same answer\n1") && body.contains("Different\n1"), "{body}");
        assert!(body.contains("inputs of this version only: 1"), "{body}");
        let first = browser.text("tbody tr:first-child").await;
        assert!(first.contains("Eleven") && first.contains("Twelve"), "{first}");
        browser.press("tbody tr:first-child td:nth-child(3) a").await;
        browser.until("Run b2").await;
        browser.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn two_datasets_are_compared() {
    on_sqlite(async |server: &mut TestServer| {
        furnish(server, &server.owner, 6).await;
        let who = server.token(&server.p, &server.owner, &[Grant::Export]).await;
        for (name, search) in [("all", "talk"), ("half", "tag:even")] {
            let plan = json!({"dataset_name": name, "selection": {"search": [search]}});
            let job = server.post("/api/v1/exports", &who, plan).await;
            server.ended_job("exports", job.json()["id"].as_i64().unwrap(), &who).await;
        }
        let Some(browser) = Browser::open(server, false).await else { return };
        browser.sign_in(&server.owner).await;
        browser.go("/datasets/1").await;
        browser.press("a[href$='/compare']").await;
        browser.press("form.row button").await;
        browser.until("Gone: 3").await;
        let body = browser.body().await;
        assert!(body.contains("The same in both\n3") && body.contains("selection"), "{body}");
        browser.press("dl.account dt.warn a").await;
        browser.until("Round 1").await;
        browser.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_wrong_with_a_query_is_said_beside_it_on_every_list() {
    on_sqlite(async |server: &mut TestServer| {
        furnish(server, &server.owner, 4).await;
        ran(server, &server.owner).await;
        let Some(browser) = Browser::open(server, false).await else { return };
        browser.sign_in(&server.owner).await;
        let recipe = "/recipes/leave%20%3Cb%3Epolicy%3C%2Fb%3E";
        for (list, query, field) in [
            ("/analysis", "turns=many", "turns"),
            ("/documents", "created_from=soon&search=plan", "search"),
            (recipe, "score=high&search=plan", "search"),
        ] {
            browser.go(&format!("{list}?{query}")).await;
            assert!(!browser.text(".filters #trouble").await.is_empty(), "{list}");
            // The navigation, the page and what was asked for are still there; nothing is listed.
            assert_eq!(browser.count("header nav a[aria-current]").await, 1, "{list}");
            let css = format!(".filters [name={field}]");
            let asked = browser.client.find(Locator::Css(&css)).await.unwrap();
            let asked = asked.prop("value").await.unwrap().unwrap();
            assert!(query.ends_with(&*asked), "{list}: {asked}");
            assert_eq!(browser.count("tbody tr, #standing").await, 0, "{list}");
        }
        browser.go("/analysis?search=tga%3Aeven").await;
        browser.press("#trouble a").await;
        browser.until("2 conversations, 4 messages").await;
        browser.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn figures_lead_to_what_they_count_and_runs_show_their_times() {
    on_sqlite(async |server: &mut TestServer| {
        furnish(server, &server.owner, 30).await;
        ran(server, &server.owner).await;
        let Some(browser) = Browser::open(server, false).await else { return };
        browser.sign_in(&server.owner).await;
        browser.go("/analysis").await;
        browser.press("figure td.name a[href*='tag%3Aodd']").await;
        browser.until("15 conversations").await;
        browser.go("/recipes/leave%20%3Cb%3Epolicy%3C%2Fb%3E/runs/run-07").await;
        let nodes = browser.count("section[id^=node-]").await;
        assert!(nodes > 1, "{nodes}");
        assert_eq!(browser.count(".spans tbody tr").await, nodes);
        browser.press(".spans tbody tr:last-child a").await;
        assert_eq!(browser.count("section:target").await, 1);
        browser.close().await;
    })
    .await;
}
