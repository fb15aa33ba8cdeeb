//! The Hugging Face Hub, with the settings of its own tools: the variables HF_ENDPOINT, HF_TOKEN, HF_TOKEN_PATH and
//! HF_HOME, and the token that `hf auth login` keeps.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::AtomicBool;
use std::time::Duration;
use std::{env, fs};

use reqwest::Url;
use retort_model::with_causes;
use retort_service::{EngineError, Hub, HubSource, Input, Observer};

/// The Hub, unless HF_ENDPOINT names another.
const ENDPOINT: &str = "https://huggingface.co/";

/// Pause before a failed request is sent again.
const WAIT: Duration = Duration::from_secs(1);

/// Time limit for connecting.
const CONNECT: Duration = Duration::from_secs(30);

/// The Hub at an endpoint.
pub fn at(mut endpoint: Url, token: Option<String>) -> Result<Hub, EngineError> {
    if !endpoint.path().ends_with('/') {
        endpoint.set_path(&format!("{}/", endpoint.path()));
    }
    let is_here = endpoint.host_str().is_some_and(|host| {
        host == "localhost" || host.parse().is_ok_and(|ip: std::net::IpAddr| ip.is_loopback())
    });
    if endpoint.scheme() != "https" && !is_here {
        return Err(EngineError::Choice(format!(
            "the token would be sent unencrypted to `{endpoint}`; use https"
        )));
    }
    let mut client = reqwest::Client::builder()
        .tls_backend_preconfigured(retort_service::client_tls())
        .user_agent(concat!("retort/", env!("CARGO_PKG_VERSION")))
        // The token must go to no host but the Hub.
        .redirect(reqwest::redirect::Policy::none())
        .connect_timeout(CONNECT);
    if is_here {
        client = client.no_proxy();
    }
    let client = client.build().map_err(|error| EngineError::Destination {
        what: "set up TLS for the Hub".into(),
        reason: with_causes(&error),
    })?;
    Hub::new(client, endpoint, token, WAIT)
}

/// Copies the inputs that are on the Hub to this machine.
///
/// # Errors
/// An address is invalid, the Hub refuses or cannot be reached, or the work is stopped.
pub fn fetched(
    inputs: Vec<Input>,
    observer: &dyn Observer,
    stopped: &AtomicBool,
) -> Result<Vec<Input>, EngineError> {
    let fetched = inputs.into_iter().map(|input| {
        let Some(source) = source(&input)? else { return Ok(input) };
        let files = of_environment()?.fetch(&source, &copies()?, observer, stopped)?;
        Ok(Input::Fetched(Arc::new(files)))
    });
    fetched.collect()
}

/// The input's address with its revision resolved to the current commit; none if the input is not on the Hub.
///
/// # Errors
/// As for [`fetched`].
pub fn pinned(input: &Input, stopped: &AtomicBool) -> Result<Option<String>, EngineError> {
    let Some(source) = source(input)? else { return Ok(None) };
    Ok(Some(of_environment()?.pinned(&source, stopped)?.to_string()))
}

/// The dataset on the Hub that an input names.
fn source(input: &Input) -> Result<Option<HubSource>, EngineError> {
    let Input::Path(path) = input else { return Ok(None) };
    match path.to_str().filter(|text| HubSource::is_address(text)) {
        Some(text) => Ok(Some(text.parse().map_err(EngineError::Choice)?)),
        None => Ok(None),
    }
}

fn of_environment() -> Result<Hub, EngineError> {
    let endpoint = variable("HF_ENDPOINT").unwrap_or_else(|| ENDPOINT.to_owned());
    let parsed = endpoint.parse().map_err(|error| {
        EngineError::Choice(format!("`HF_ENDPOINT` must be a URL, not `{endpoint}`: {error}"))
    });
    at(parsed?, token())
}

/// The folder for copies of datasets.
fn copies() -> Result<PathBuf, EngineError> {
    let why = "there is no home folder for copies of datasets; set XDG_CACHE_HOME";
    let cache = cache().ok_or_else(|| EngineError::Choice(why.into()))?;
    Ok(cache.join("retort").join("hub"))
}

/// The token for the Hub, or an error that says how to get one.
pub fn needed_token() -> Result<String, EngineError> {
    let why = "no token for the Hub: set HF_TOKEN, or run `hf auth login`";
    token().ok_or_else(|| EngineError::Choice(why.into()))
}

/// The token for the Hub, from the places where the Hub's own tools look for it.
fn token() -> Option<String> {
    if let Some(token) = variable("HF_TOKEN") {
        return Some(token.trim().to_owned());
    }
    let folder = || {
        let named = variable("HF_HOME").map(PathBuf::from);
        named.or_else(|| Some(cache()?.join("huggingface")))
    };
    let file = variable("HF_TOKEN_PATH").map(PathBuf::from);
    let file = file.or_else(|| Some(folder()?.join("token")))?;
    let token = fs::read_to_string(file).ok()?;
    Some(token.trim().to_owned()).filter(|token| !token.is_empty())
}

/// The folder for files that can be fetched again.
fn cache() -> Option<PathBuf> {
    let home = || variable("HOME").or_else(|| variable("USERPROFILE"));
    let named = variable("XDG_CACHE_HOME").map(PathBuf::from);
    named.or_else(|| Some(PathBuf::from(home()?).join(".cache")))
}

fn variable(name: &str) -> Option<String> {
    env::var(name).ok().filter(|value| !value.is_empty())
}
