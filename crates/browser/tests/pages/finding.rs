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
    browser.press(".views summary").await;
    browser.fill("view_name", "Even <talks>").await;
    browser.press(".views [name=shared]").await;
    browser.press(".views form button").await;
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
