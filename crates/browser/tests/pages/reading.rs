//! Conversations read one after another, with keys.

use super::*;

/// Types a key where the focus is.
pub(super) async fn key(browser: &Browser, key: &str) {
    browser.client.active_element().await.unwrap().send_keys(key).await.unwrap();
}

#[tokio::test(flavor = "multi_thread")]
async fn conversations_are_gone_through_and_selected_by_keys() {
    on_sqlite(async |server: &mut TestServer| {
        furnish(server, &server.ann, 12).await;
        let Some(browser) = Browser::open(server, true).await else { return };
        browser.sign_in(&server.ann).await;
        // In the list: down twice, select, open.
        browser.go("/export?search=even").await;
        for typed in ["j", "j", "x"] {
            key(&browser, typed).await;
        }
        browser.until("1 selected · 6 conversations").await;
        assert_eq!(browser.count("tbody tr:nth-child(2).is-chosen").await, 1);
        key(&browser, "\u{e007}").await;
        browser.until("Question 8").await;
        // It is the second of six, so that there is one before and one after it in the same list.
        browser.until("✓ Selected").await;
        key(&browser, "j").await;
        browser.until("Question 6").await;
        key(&browser, "x").await;
        browser.until("✓ Selected").await;
        key(&browser, "f").await;
        browser.until("Remove from favorites").await;
        for question in ["Question 8", "Question 10"] {
            key(&browser, "k").await;
            browser.until(question).await;
        }
        assert_eq!(browser.count("a[rel=prev]").await, 0);
        key(&browser, "u").await;
        browser.until("2 selected · 6 conversations").await;
        // Letters that are typed into a field press nothing.
        key(&browser, "/").await;
        key(&browser, "jx").await;
        let typed = browser.client.find(Locator::Css("input[type=search]")).await.unwrap();
        assert_eq!(typed.prop("value").await.unwrap().unwrap(), "jx");
        browser.go("/export").await;
        key(&browser, "?").await;
        browser.until("Next row of a list").await;
        assert_eq!(browser.count("dialog[open]").await, 1);
        // Who needs no keys turns them off.
        browser.press("dialog [data-keys-on]").await;
        browser.go("/export").await;
        key(&browser, "j").await;
        let at = browser.client.execute("return document.activeElement.tagName", Vec::new()).await;
        assert_eq!(at.unwrap(), "BODY");
        browser.close().await;
    })
    .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn calls_are_read_with_their_results() {
    on_sqlite(async |server: &mut TestServer| {
        agent(server).await;
        let Some(browser) = Browser::open(server, true).await else { return };
        browser.sign_in(&server.owner).await;
        browser.go("/conversations/agent").await;
        assert_eq!(browser.count("div.call").await, 2);
        let calls = browser.text("div.call:nth-of-type(1)").await;
        assert_eq!(calls, "Tool call: get_weather(city=\"Oslo\")\nResult\n{\"temp\": 3}");
        let failed = browser.text("div.call.is-failed").await;
        assert!(
            failed.starts_with("Tool call: get_time(city=\"Oslo\")\nFailed: Result"),
            "{failed}"
        );
        // No result is shown a second time.
        assert_eq!(browser.count(".turn .result").await, 2);
        browser.press(".prose .code button").await;
        browser.until("Copied").await;
        browser.close().await;
    })
    .await;
}
