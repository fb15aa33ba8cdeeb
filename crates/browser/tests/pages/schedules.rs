//! A schedule with a destination: added, run and followed on the pages.

use std::time::Duration;

use retort_browser::Browser;
use retort_testing_server::server::{Setup, TestServer, on_sqlite_with};

use super::furnish;

async fn schedule_path(server: &TestServer, scripts: bool) {
    furnish(server, &server.ann, 12).await;
    let Some(browser) = Browser::open(server, scripts).await else { return };
    browser.sign_in(&server.ann).await;
    browser.go("/schedules").await;
    browser.press("a.button.first").await;
    browser.until("New schedule").await;
    browser.fill("name", "Every night").await;
    browser.fill("cron", "0 25 * * *").await;
    browser.fill("dataset_name", "night-{n}").await;
    browser.press("select[name=window] option[value=changed]").await;
    browser.press("select[name=destination] option:nth-child(2)").await;
    browser.fill("prefix", "talks").await;
    browser.press("input[name=by_date]").await;
    browser.press("form.settings button.first").await;
    // What is wrong is said, and what was filled in stays.
    browser.until("The hour is 0 to 23").await;
    browser.fill("cron", "0 2 * * *").await;
    browser.press("form.settings button.first").await;
    browser.until("new and changed, to shelf").await;
    browser.press("button[aria-label='Run Every night now']").await;
    super::until_made(&browser, scripts).await;

    browser.go("/schedules").await;
    browser.press("tbody td a").await;
    browser.until("Every night").await;
    let mut body = browser.body().await;
    for _ in 0..100 {
        if body.contains("shelf: talks/date=") && !body.contains("not yet") {
            break;
        }
        tokio::time::sleep(Duration::from_millis(100)).await;
        browser.client.refresh().await.unwrap();
        body = browser.body().await;
    }
    let place = body.split("shelf: ").nth(1).and_then(|rest| rest.lines().next()).unwrap();
    let place = place.trim();
    assert!(place.starts_with("talks/date=") && place.ends_with("/night-1"), "{body}");
    assert!(body.contains("completed") && body.contains("night-1"), "{body}");
    let verified = retort_service::verify_series(&server.shelf).unwrap().unwrap();
    assert!(verified.is_whole() && verified.records == 12, "{verified:?}");
    assert!(server.shelf.join(place).join("manifest.json").is_file());
    // A second run has nothing new.
    browser.press("button[aria-label='Run Every night now']").await;
    browser.until("There is nothing new to export.").await;
    // The run leads to its dataset.
    browser.press("tbody td a").await;
    browser.press("tbody a[href^='/datasets/']").await;
    browser.until("night-1").await;

    // Nobody else of the project sees it, but an owner, who may pause it and not run it.
    browser.client.delete_all_cookies().await.unwrap();
    browser.sign_in(&server.bob).await;
    browser.go("/schedules").await;
    browser.until("No schedules.").await;
    browser.go("/schedules/1").await;
    browser.until("Not found").await;
    browser.client.delete_all_cookies().await.unwrap();
    browser.sign_in(&server.owner).await;
    browser.go("/schedules/1").await;
    browser.until("shelf: talks/date=").await;
    browser.press("button[aria-label='Pause Every night']").await;
    // Back at the list, which has the owner's own.
    browser.until("No schedules.").await;
    browser.go("/schedules/1").await;
    browser.until("Schedule 1 · paused").await;
    browser.press("button[aria-label='Run Every night now']").await;
    browser.until("Not found").await;
    browser.close().await;
}

fn setup() -> Setup {
    Setup { has_destination: true, ..Setup::default() }
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_added_run_and_its_delivery_followed() {
    on_sqlite_with(setup(), async |server: &mut TestServer| schedule_path(server, true).await)
        .await;
}

#[tokio::test(flavor = "multi_thread")]
async fn a_schedule_is_run_without_scripts() {
    on_sqlite_with(setup(), async |server: &mut TestServer| schedule_path(server, false).await)
        .await;
}
