//! Answers judged one after another.

use super::reading::key;
use super::*;

async fn judged(server: &TestServer, scripts: bool) {
    furnish(server, &server.ann, 4).await;
    let Some(browser) = Browser::open(server, scripts).await else { return };
    browser.sign_in(&server.ann).await;
    let say = async |letter: &str, act: &str| match scripts {
        true => key(&browser, letter).await,
        false => browser.press(&format!(".judge-bar [value={act}]")).await,
    };
    // From the home page: what nobody has judged, one after another.
    browser.press("main a[href^='/judge']").await;
    browser.until("4 left to judge").await;
    say("g", "good").await;
    browser.until("3 left to judge").await;
    say("b", "bad").await;
    browser.until("2 left to judge").await;
    // A turn that is not to train on stays on the page.
    say("n", "unlearn").await;
    browser.until("not to train on").await;
    browser.until("1 left to judge").await;
    assert_eq!(browser.count(".judge-bar [value=learn][aria-pressed=true]").await, 1);
    say("n", "learn").await;
    browser.until("2 left to judge").await;

    // Everything that can be said of an answer.
    match scripts {
        true => key(&browser, "e").await,
        false => browser.press(".judge-bar a[data-key=e]").await,
    }
    browser.until("Corrected answer").await;
    browser.press("option[value='4']").await;
    browser.fill("label", "tone").await;
    browser.fill("comment", "Too long").await;
    browser.fill("truth", "Thirty days").await;
    browser.fill("answer", "A better answer,\nin two lines").await;
    browser.press(".judge-form button[value^=save]").await;
    browser.until("Corrected by ann@example.com").await;
    let body = browser.body().await;
    assert!(body.contains("A better answer,") && body.contains("Version 2 of 2"), "{body}");
    // The original stays as it was, with what was said of it.
    browser.press(".versions a").await;
    browser.until("4 · tone · Too long · expected: Thirty days").await;
    browser.press(".versions a").await;
    browser.until("Corrected by").await;
    // Another person gets what nobody has judged: one conversation.
    let other = Browser::open(server, scripts).await.unwrap();
    other.sign_in(&server.admin).await;
    other.go("/judge?queue=anyone&search=talk").await;
    other.until("1 left to judge").await;
    other.press(".judge-bar [value=bad]").await;
    other.until("Nothing in this list is left to judge.").await;
    // Who judged what is counted beside the list, and found.
    other.go("/export?search=judged_by:ann%40example.com").await;
    other.until("3 conversations").await;
    other.close().await;
    browser.go("/judge?queue=mine").await;
    browser.until("1 left to judge").await;

    let who = server.token(&server.p, &server.owner, &[Grant::Export]).await;
    for (name, format, expect) in [("pairs", "preference", 1), ("labels", "kto", 5)] {
        let plan = json!({"dataset_name": name, "data_format": format});
        let job = server.post("/api/v1/exports", &who, plan).await;
        let id = job.json()["id"].as_i64().unwrap();
        let ended = server.ended_job("exports", id, &who).await;
        assert_eq!(ended["records"], expect, "{ended}");
    }
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_judged_by_keys() {
    on_sqlite(async |server: &mut TestServer| judged(server, true).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn answers_are_judged_without_scripts() {
    on_sqlite(async |server: &mut TestServer| judged(server, false).await).await;
}

async fn judged_runs(server: &TestServer, scripts: bool) {
    let project = server.p.clone();
    server
        .call(move |service| {
            let line = |number: usize| {
                json!({
                    "request_id": format!("run-{number}"), "copilot_id": "helper", "status": "success",
                    "question": format!("Question {number}"), "answer": format!("Answer {number}"),
                    "started_at": format!("2024-03-0{number}T10:00:00Z"),
                })
            };
            let lines: String = (1..=4).map(|number| format!("{}\n", line(number))).collect();
            let request = IntakeRequest::default();
            service.take_in(&Caller::local(&project), &request, lines.into_bytes()).unwrap();
        })
        .await;
    let Some(browser) = Browser::open(server, scripts).await else { return };
    browser.sign_in(&server.admin).await;
    let say = async |letter: &str, act: &str| match scripts {
        true => key(&browser, letter).await,
        false => browser.press(&format!(".judge-bar [value={act}]")).await,
    };
    browser.go("/copilots/helper").await;
    browser.press("#judging summary").await;
    browser.press("#judging a[href*='queue=mine']").await;
    browser.until("4 left to judge").await;
    say("g", "good").await;
    browser.until("3 left to judge").await;
    say("n", "unlearn").await;
    browser.until("not to train on").await;
    say("b", "bad").await;
    browser.until("2 left to judge").await;
    match scripts {
        true => key(&browser, "e").await,
        false => browser.press(".judge-bar a[data-key=e]").await,
    }
    browser.until("Corrected answer").await;
    browser.fill("label", "tone").await;
    browser.fill("answer", "A better answer").await;
    browser.press(".judge-form button[value^=save]").await;
    browser.until("Corrected by").await;
    // The label is offered from now on.
    browser.press(".judge-bar a.button").await;
    browser.until("Corrected answer").await;
    assert_eq!(browser.count("#labels option[value=tone]").await, 1);
    let body = browser.body().await;
    assert!(body.contains("A better answer") && body.contains("Answer 2"), "{body}");
    browser.go("/copilots/helper/judge?queue=anyone").await;
    browser.until("1 left to judge").await;
    browser.press(".judge-bar [value=bad]").await;
    browser.until("Nothing in this list is left to judge.").await;
    browser.close().await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_judged_by_keys() {
    on_sqlite(async |server: &mut TestServer| judged_runs(server, true).await).await;
}

#[tokio::test(flavor = "multi_thread")]
async fn runs_are_judged_without_scripts() {
    on_sqlite(async |server: &mut TestServer| judged_runs(server, false).await).await;
}

/// Someone new labels a hundred conversations from the home page, most of them by one key, each tenth with a word.
#[tokio::test(flavor = "multi_thread")]
async fn a_hundred_conversations_are_labelled_from_the_home_page() {
    on_sqlite(async |server: &mut TestServer| {
        furnish(server, &server.ann, 100).await;
        let Some(browser) = Browser::open(server, true).await else { return };
        browser.sign_in(&server.ann).await;
        browser.press("main a[href^='/judge']").await;
        for left in (1..=100).rev() {
            browser.until(&format!("{left} left to judge")).await;
            if left % 10 == 0 {
                key(&browser, "e").await;
                browser.until("Corrected answer").await;
                browser.fill("label", "tone").await;
                let label = browser.client.find(Locator::Css("input[name=label]")).await.unwrap();
                label.send_keys(&ENTER.to_string()).await.unwrap();
            } else {
                key(&browser, if left % 3 == 0 { "b" } else { "g" }).await;
            }
        }
        browser.until("Nothing in this list is left to judge.").await;
        browser.go("/export?search=judged_by:ann%40example.com").await;
        browser.until("100 conversations").await;
        browser.close().await;
    })
    .await;
}
