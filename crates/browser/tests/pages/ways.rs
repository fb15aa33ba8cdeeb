//! The whole ways of three kinds of people, from the home page to the file on their disk, with their clicks counted: an
//! engineer who fine-tunes a model, the owner of a course, and an analyst. They need no more clicks than in the systems that
//! they come from, and those for the check.

use std::cell::Cell;

use super::*;

/// A browser whose clicks are counted.
struct Counted<'b> {
    browser: &'b Browser,
    clicks: Cell<usize>,
}

impl<'b> Counted<'b> {
    /// Begins at the home page.
    async fn at_home(browser: &'b Browser) -> Self {
        browser.go("/").await;
        Self { browser, clicks: Cell::new(0) }
    }

    async fn press(&self, css: &str) {
        self.clicks.set(self.clicks.get() + 1);
        self.browser.press(css).await;
    }

    fn most(&self, most: usize) {
        let clicks = self.clicks.get();
        assert!(clicks <= most, "{clicks} clicks, where {most} should do");
    }
}

/// The three ways; on a narrow screen if `width` says so.
async fn ways(server: &TestServer, scripts: bool, width: i64) {
    furnish(server, &server.owner, 40).await;
    ran(server, &server.owner).await;
    let Some(browser) = Browser::open(server, scripts).await else { return };
    look_as(&browser, width, "light").await;
    browser.sign_in(&server.owner).await;

    // The engineer: Export, Filter, Select all, Export…, Check and preview, Confirm Export, Download.
    let way = Counted::at_home(&browser).await;
    way.press("header nav a[href='/export']").await;
    browser.fill("search", "tag:even").await;
    way.press(".filters button").await;
    browser.until("0 selected · 20 conversations").await;
    way.press("button[value=all]").await;
    browser.until("20 selected").await;
    way.press("button[value=export]").await;
    browser.fill("dataset_name", "tuning").await;
    way.press("form.settings button.first").await;
    way.press("form[action='/export/confirm'] button").await;
    until_made(&browser, scripts).await;
    way.press("a[download]").await;
    let archive = browser.downloaded("tuning.zip").await;
    assert_eq!(rows(&archive, "conversations.jsonl").len(), 20);
    way.most(7);

    // The owner of a course: Analysis, Download.
    let way = Counted::at_home(&browser).await;
    way.press("header nav a[href='/analysis']").await;
    way.press("#everything button").await;
    if !scripts {
        until_made(&browser, scripts).await;
    }
    let archive = browser.downloaded("conversation_history.zip").await;
    assert_eq!(rows(&archive, "conversation_history.jsonl").len(), 40);
    way.most(2);

    // The analyst: Recipes, Action, Webhook history, a row, Action, Export dataset, its purpose and node, Proceed, Download.
    let way = Counted::at_home(&browser).await;
    way.press("header nav a[href='/recipes']").await;
    way.press("td details.menu summary").await;
    way.press("td details.menu a").await;
    way.press("tbody tr:nth-child(2) input[name=id]").await;
    way.press(".head details.menu summary").await;
    way.press(".head details.menu button").await;
    browser.until("1 run").await;
    browser.fill("dataset_name", "judged").await;
    way.press("input[value=node-evaluation]").await;
    // Chosen by the keys of the list.
    browser.press("select[name=node] option[value=answer]").await;
    way.press("form.settings button.first").await;
    until_made(&browser, scripts).await;
    way.press("a[download]").await;
    assert!(!browser.downloaded("judged.zip").await.is_empty());
    way.most(9);
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_people_get_their_datasets_in_few_clicks() {
    on_sqlite(async |server: &mut TestServer| ways(server, true, 1440).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn three_people_get_their_datasets_on_a_narrow_screen_without_scripts() {
    on_sqlite(async |server: &mut TestServer| ways(server, false, 640).await).await;
}

/// Types Tab until the focus is there.
async fn tab_to(browser: &Browser, css: &str) {
    browser.client.wait().for_element(Locator::Css(css)).await.unwrap();
    let script = "return document.activeElement.matches(arguments[0])";
    for _ in 0..150 {
        browser.type_key(TAB).await;
        if browser.client.execute(script, vec![json!(css)]).await.unwrap() == true {
            return;
        }
    }
    panic!("`{css}` is not reached by Tab");
}

#[tokio::test(flavor = "multi_thread")]
async fn a_dataset_is_made_and_downloaded_with_the_keyboard_alone() {
    on_sqlite(async |server: &mut TestServer| {
        furnish(server, &server.ann, 8).await;
        let Some(browser) = Browser::open(server, true).await else { return };
        browser.sign_in(&server.ann).await;
        browser.go("/").await;
        tab_to(&browser, "header nav a[href='/export']").await;
        browser.type_key(ENTER).await;
        tab_to(&browser, "button[value=all]").await;
        browser.type_key(ENTER).await;
        browser.until("8 selected").await;
        tab_to(&browser, "button[value=export]").await;
        browser.type_key(ENTER).await;
        browser.until("8 conversations selected").await;
        browser.fill("dataset_name", "typed").await;
        browser.type_key(ENTER).await;
        browser.until("Confirm Export").await;
        tab_to(&browser, "form[action='/export/confirm'] button").await;
        browser.type_key(ENTER).await;
        until_made(&browser, true).await;
        tab_to(&browser, "a[download]").await;
        browser.type_key(ENTER).await;
        let archive = browser.downloaded("typed.zip").await;
        assert_eq!(rows(&archive, "conversations.jsonl").len(), 8);
        browser.close().await;
    })
    .await;
}
