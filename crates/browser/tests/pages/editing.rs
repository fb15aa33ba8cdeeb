//! What is done with all that is selected at once.

use super::*;

async fn edits(server: &TestServer, scripts: bool) {
    furnish(server, &server.ann, 12).await;
    let Some(browser) = Browser::open(server, scripts).await else { return };
    browser.sign_in(&server.ann).await;
    browser.go("/export?search=even").await;
    browser.press("button[value=all]").await;
    browser.until("6 selected · 6 conversations").await;
    browser.press("#edit summary").await;
    browser.fill("tag_names", "gold, reviewed").await;
    if scripts {
        let field = browser.client.find(Locator::Css("[name=tag_names]")).await.unwrap();
        field.send_keys("\u{e007}").await.unwrap();
    } else {
        browser.press("button[value=tag]").await;
    }
    browser.until("6 conversations were changed.").await;
    // The filter and the selection stay.
    browser.until("6 selected · 6 conversations").await;
    assert_eq!(browser.count("tbody .tag").await, 6 * 4);
    browser.press("#edit summary").await;
    browser.press("button[value=favorite]").await;
    browser.until("6 conversations were changed.").await;
    assert_eq!(browser.count("tbody [aria-label=favorite]").await, 6);
    // Marks that were not saved yet count as well.
    browser.press("tbody tr:first-child input[name=id]").await;
    browser.press("#edit summary").await;
    browser.fill("tag_names", "reviewed").await;
    browser.press("button[value=untag]").await;
    browser.until("5 conversations were changed.").await;
    browser.press("#edit summary").await;
    browser.press("button[value=delete]").await;
    browser.until("Delete 5 conversations?").await;
    browser.press("form.narrow button.first").await;
    browser.until("5 conversations were changed.").await;
    browser.until("0 selected · 7 conversations").await;
    browser.go("/export?status=deleted").await;
    browser.press("button[value=all]").await;
    browser.until("5 selected · 5 conversations").await;
    browser.press("#edit summary").await;
    browser.press("button[value=restore]").await;
    browser.until("5 conversations were changed.").await;
    browser.go("/export").await;
    browser.until("12 conversations").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_selected_is_tagged_liked_deleted_and_restored() {
    on_sqlite(async |server: &mut TestServer| edits(server, true).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn what_is_selected_is_edited_without_scripts() {
    on_sqlite(async |server: &mut TestServer| edits(server, false).await).await;
}
