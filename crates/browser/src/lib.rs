//! The pages in a real browser: Chromium, driven by its own driver. Where they are not installed (Debian: `chromium`
//! and `chromium-driver`), the tests say so and pass over.
#![allow(missing_docs, reason = "tests")]
#![allow(clippy::expect_used, clippy::panic, clippy::unwrap_used, reason = "tests")]

use std::process::{Child, Command, Stdio};
use std::time::Duration;

use fantoccini::actions::{InputSource, KeyAction, KeyActions};
use fantoccini::{Client, ClientBuilder, Locator};
use retort_service::Person;
use retort_testing_server::server::{PASSWORD, TestServer};
use serde_json::json;

const DRIVER: &str = "/usr/bin/chromedriver";

/// How often to check a page, at least 50 ms apart, before the test fails. A busy machine is slow.
const LOOKS: usize = 1200;

/// A browser, and the process that drives it.
pub struct Browser {
    /// What asks the driver.
    pub client: Client,
    driver: Child,
    /// The address of the server.
    pub base: String,
    /// What the browser brings home.
    pub downloads: tempfile::TempDir,
}

impl Browser {
    /// None where there is no browser.
    pub async fn open(server: &TestServer, scripts: bool) -> Option<Self> {
        if !std::path::Path::new(DRIVER).exists() {
            eprintln!("passed over: there is no {DRIVER}");
            return None;
        }
        let port = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let driver = Command::new(DRIVER)
            .arg(format!("--port={port}"))
            .stdout(Stdio::null())
            .stderr(Stdio::null())
            .spawn()
            .unwrap();
        let downloads = tempfile::tempdir().unwrap();
        let preferences = json!({
            "download.default_directory": downloads.path(),
            "profile.managed_default_content_settings.javascript": if scripts { 1 } else { 2 },
        });
        let options = json!({
            "args": ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage",
                     "--window-size=1440,1000"],
            "prefs": preferences,
        });
        let mut capabilities = serde_json::Map::new();
        capabilities.insert("goog:chromeOptions".into(), options);
        let url = format!("http://127.0.0.1:{port}");
        let mut client = None;
        for _ in 0..LOOKS {
            let mut builder = ClientBuilder::new(fantoccini_connector());
            match builder.capabilities(capabilities.clone()).connect(&url).await {
                Ok(found) => {
                    client = Some(found);
                    break;
                }
                Err(_) => tokio::time::sleep(Duration::from_millis(50)).await,
            }
        }
        let base = format!("http://{}", server.address);
        Some(Self { client: client.expect("the browser begins"), driver, base, downloads })
    }

    pub async fn go(&self, path: &str) {
        self.client.goto(&format!("{}{path}", self.base)).await.unwrap();
    }

    /// How wide the page is, in CSS pixels.
    pub async fn width(&self) -> i64 {
        let script = "return document.documentElement.scrollWidth";
        self.client.execute(script, Vec::new()).await.unwrap().as_i64().unwrap()
    }

    /// Signs in by the page, with everyone's password.
    pub async fn sign_in(&self, person: &Person) {
        self.go("/sign-in").await;
        self.fill("name", &person.name).await;
        self.fill("password", PASSWORD).await;
        self.press("button.first").await;
        self.until(&person.name).await;
    }

    pub async fn text(&self, css: &str) -> String {
        loop {
            let found = self.client.wait().for_element(Locator::Css(css)).await;
            match found.unwrap_or_else(|error| panic!("{css}: {error}")).text().await {
                Ok(text) => return text,
                // A page that asks for itself anew, as those without scripts do, came between.
                Err(error) if error.is_stale_element_reference() => {}
                Err(error) => panic!("{css}: {error}"),
            }
        }
    }

    pub async fn count(&self, css: &str) -> usize {
        self.client.find_all(Locator::Css(css)).await.unwrap().len()
    }

    pub async fn fill(&self, name: &str, text: &str) {
        let css = format!("main [name='{name}']:not([type=hidden])");
        let field = self.client.wait().for_element(Locator::Css(&css)).await;
        let field = field.unwrap_or_else(|error| panic!("{css}: {error}"));
        field.clear().await.unwrap();
        field.send_keys(text).await.unwrap();
    }

    /// Clicks where a person would: in the middle of the window, clear of the bars at its ends.
    pub async fn press(&self, css: &str) {
        let found = self.client.wait().for_element(Locator::Css(css)).await;
        let found = found.unwrap_or_else(|error| panic!("{css}: {error}"));
        let script = "arguments[0].scrollIntoView({block: 'center'})";
        let element = serde_json::to_value(&found).unwrap();
        self.client.execute(script, vec![element]).await.unwrap();
        found.click().await.unwrap();
    }

    /// Types a key where the focus is, without moving it there first.
    pub async fn type_key(&self, key: char) {
        let keys = KeyActions::new("keyboard".into());
        let keys = keys.then(KeyAction::Down { value: key }).then(KeyAction::Up { value: key });
        self.client.perform_actions(keys).await.unwrap();
    }

    pub async fn body(&self) -> String {
        self.text("body").await
    }

    /// Waits until the page says so.
    pub async fn until(&self, words: &str) {
        for _ in 0..LOOKS {
            if let Ok(body) = self.client.find(Locator::Css("body")).await
                && body.text().await.is_ok_and(|text| text.contains(words))
            {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("`{words}` never came; there is: {}", self.body().await);
    }

    /// Waits until an expression of the page's script is true.
    pub async fn until_true(&self, expression: &str) {
        let script = format!("return {expression}");
        for _ in 0..LOOKS {
            if self.client.execute(&script, Vec::new()).await.is_ok_and(|is_true| is_true == true) {
                return;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        panic!("`{expression}` never was true");
    }

    /// The file that was downloaded under that name.
    pub async fn downloaded(&self, name: &str) -> Vec<u8> {
        let path = self.downloads.path().join(name);
        for _ in 0..LOOKS {
            if let Ok(bytes) = std::fs::read(&path) {
                return bytes;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        let there: Vec<_> = std::fs::read_dir(self.downloads.path()).unwrap().flatten().collect();
        panic!("`{name}` was not downloaded; there is {there:?}");
    }

    pub async fn close(mut self) {
        let _ = self.client.close().await;
        let _ = self.driver.kill();
        let _ = self.driver.wait();
    }
}

fn fantoccini_connector() -> hyper_util::client::legacy::connect::HttpConnector {
    hyper_util::client::legacy::connect::HttpConnector::new()
}
