//! Servers of the built binary, and a client that asks them.

use std::process::Child;
use std::sync::{Arc, LazyLock};
use std::time::Duration;

use serde_json::{Value, json};
use tokio::runtime::Runtime;

use crate::support::keeping::Keep;

static RUNTIME: LazyLock<Runtime> = LazyLock::new(|| Runtime::new().unwrap());

/// A server that runs.
pub struct Server {
    pub child: Child,
    pub base: Arc<str>,
    pub log: String,
}

impl Server {
    /// Begins one, whose log is a file of that name.
    pub fn begin(keep: &Keep, log: &str, more: &[&str]) -> Self {
        let args = ["serve", "--listen", "127.0.0.1:0", "--requests-per-minute", "10000000"];
        let child = keep.spawn(log, &[&args, more].concat());
        let base = said(keep, log, "listening at ");
        Self { child, base: base.into(), log: log.to_owned() }
    }

    /// Who signs in by the link that the server said when it began.
    pub fn sign_in(&self, keep: &Keep) -> Client {
        let link = said(keep, &self.log, "sign in, once and within 30 minutes: ");
        let secret = link.split_once('#').unwrap().1;
        let answer = Client::default().ask(
            &self.base,
            "POST",
            "/session/link",
            &[],
            &json!({ "secret": secret }).to_string(),
        );
        let answer = answer.unwrap();
        assert_eq!(answer.status, 201, "{}", answer.body);
        let cookie = answer.cookie.as_deref().unwrap().split(';').next().unwrap().to_owned();
        let csrf = answer.json()["csrf"].as_str().unwrap().to_owned();
        Client::new(&[("cookie", &cookie), ("x-csrf-token", &csrf)])
    }

    /// A client with a token that may do everything.
    pub fn token(&self, signed_in: &Client) -> Client {
        let wanted = json!({"name": "t", "days": 2,
            "scopes": ["read", "write", "export", "share", "manage"]});
        let answer =
            signed_in.ask(&self.base, "POST", "/tokens", &[], &wanted.to_string()).unwrap();
        assert_eq!(answer.status, 201, "{}", answer.body);
        let bearer = format!("Bearer {}", answer.json()["token"].as_str().unwrap());
        Client::new(&[("authorization", &bearer)])
    }
}

/// What comes after the words in a line of a log, once it is there.
fn said(keep: &Keep, log: &str, words: &str) -> String {
    for _ in 0..3000 {
        let text = keep.said(log);
        let whole = text.rfind('\n').map_or("", |end| &text[..end]);
        if let Some(line) = whole.lines().find_map(|line| line.strip_prefix(words)) {
            return line.to_owned();
        }
        std::thread::sleep(Duration::from_millis(10));
    }
    panic!("no `{words}`: {}", keep.said(log));
}

/// What a server answered.
pub struct Answer {
    pub status: u16,
    pub cookie: Option<String>,
    pub body: String,
}

impl Answer {
    pub fn json(&self) -> Value {
        serde_json::from_str(&self.body).unwrap_or_else(|_| panic!("{}", self.body))
    }
}

/// Someone who asks.
#[derive(Clone)]
pub struct Client {
    http: reqwest::Client,
    headers: Vec<(String, String)>,
}

impl Default for Client {
    fn default() -> Self {
        Self::new(&[])
    }
}

impl Client {
    pub fn new(headers: &[(&str, &str)]) -> Self {
        let http = reqwest::Client::builder()
            .tls_backend_preconfigured(retort_service::client_tls())
            .no_proxy()
            .timeout(Duration::from_secs(60));
        let headers = headers.iter().map(|(name, value)| ((*name).into(), (*value).into()));
        Self { http: http.build().unwrap(), headers: headers.collect() }
    }

    /// Asks under `/api/v1`; none if there was no whole answer.
    pub fn ask(
        &self,
        base: &str,
        method: &str,
        path: &str,
        headers: &[(&str, &str)],
        body: &str,
    ) -> Option<Answer> {
        let method = method.parse().unwrap();
        let mut request = self.http.request(method, format!("{base}/api/v1{path}"));
        for (name, value) in &self.headers {
            request = request.header(name, value);
        }
        for (name, value) in headers {
            request = request.header(*name, *value);
        }
        if !body.is_empty() {
            request = request.header("content-type", "application/json").body(body.to_owned());
        }
        RUNTIME.block_on(async {
            let answer = request.send().await.ok()?;
            let status = answer.status().as_u16();
            let cookie = answer.headers().get("set-cookie");
            let cookie = cookie.map(|value| value.to_str().unwrap().to_owned());
            Some(Answer { status, cookie, body: answer.text().await.ok()? })
        })
    }

    /// The status of a page or of what else is beside the API.
    pub fn status(&self, base: &str, path: &str) -> u16 {
        RUNTIME.block_on(async {
            let answer = self.http.get(format!("{base}{path}")).send().await;
            answer.expect("an answer").status().as_u16()
        })
    }

    /// Asks for what must be there.
    pub fn get(&self, base: &str, path: &str) -> Value {
        let answer = self.ask(base, "GET", path, &[], "").expect("an answer");
        assert_eq!(answer.status, 200, "{path}: {}", answer.body);
        answer.json()
    }
}
