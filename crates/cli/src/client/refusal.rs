//! What a server refuses, or why it cannot be asked, in words.

use std::fmt;
use std::time::Duration;

use reqwest::StatusCode;
use reqwest::header::{CONTENT_TYPE, HeaderMap, RETRY_AFTER};
use retort_web::problem::{Problem, kinds};
use serde::Deserialize;

use crate::display::one_line;

/// Characters that are shown of what a server says.
const SHOWN: usize = 600;

/// Why there is no answer.
#[derive(Debug)]
pub enum ClientError {
    /// The server refused.
    Refused(Refusal),
    /// This process itself refused, or failed.
    Local(Problem),
    /// The server cannot be reached, or what came is no answer.
    Broken(String),
    /// It ends here, whatever the connection.
    Ended(String),
    /// The reader of the output has closed it, or it cannot be written.
    Output(std::io::Error),
}

/// What the server said when it refused.
#[derive(Debug)]
pub struct Refusal {
    pub status: StatusCode,
    pub slug: String,
    detail: String,
    request: Option<String>,
    /// How long to wait before it is asked again.
    pub wait: Option<Duration>,
}

#[derive(Deserialize)]
struct Body {
    #[serde(rename = "type")]
    kind: String,
    detail: String,
    request_id: Option<String>,
}

impl ClientError {
    /// The status of the refusal, if it is one.
    pub fn status(&self) -> Option<u16> {
        match self {
            Self::Refused(refusal) => Some(refusal.status.as_u16()),
            Self::Local(problem) => Some(problem.kind().status),
            _ => None,
        }
    }

    /// What the API calls the problem, if it is one of its.
    pub fn slug(&self) -> Option<&str> {
        match self {
            Self::Refused(refusal) => Some(&refusal.slug),
            Self::Local(problem) => Some(problem.kind().slug),
            _ => None,
        }
    }

    /// Whether what was asked for does not go together.
    pub fn is_choice(&self) -> bool {
        match self {
            Self::Refused(refusal) => refusal.slug == kinds::CHOICE.slug,
            Self::Local(problem) => problem.kind().slug == kinds::CHOICE.slug,
            _ => false,
        }
    }

    /// The error of the service, if it was called in this process.
    pub fn local(&self) -> Option<&retort_service::Error> {
        match self {
            Self::Local(problem) => problem.error(),
            _ => None,
        }
    }

    /// Whether the token lacks a scope.
    pub fn is_scope(&self) -> bool {
        matches!(self, Self::Refused(refusal) if refusal.slug == "insufficient-scope")
    }
}

impl Refusal {
    /// The error that an answer tells of.
    pub fn read(status: StatusCode, headers: &HeaderMap, body: &[u8], url: &str) -> ClientError {
        let text = |name| headers.get(name).and_then(|value| value.to_str().ok());
        let is_problem = text(CONTENT_TYPE).is_some_and(|kind| kind.contains("problem+json"));
        let wait = text(RETRY_AFTER).and_then(|text| text.trim().parse().ok());
        let wait = wait.map(Duration::from_secs);
        let body = if is_problem { serde_json::from_slice::<Body>(body).ok() } else { None };
        match body {
            Some(body) => ClientError::Refused(Self {
                status,
                slug: body.kind.rsplit('/').next().unwrap_or_default().to_owned(),
                detail: one_line(&body.detail, SHOWN),
                request: body.request_id.map(|id| one_line(&id, 80)),
                wait,
            }),
            // A server that has too many connections, or a proxy before it.
            None if matches!(status.as_u16(), 429 | 502 | 503 | 504) => {
                ClientError::Refused(Self {
                    status,
                    slug: String::new(),
                    detail: format!("`{url}` is busy or unavailable ({status})"),
                    request: None,
                    wait,
                })
            }
            None => ClientError::Broken(format!(
                "`{url}` returned {status}, but not as a Retort server does; check `--server`"
            )),
        }
    }

    /// Whether it may be otherwise after a wait that is not too long.
    pub fn may_pass(&self, most: Duration) -> bool {
        matches!(self.status.as_u16(), 429 | 502 | 503 | 504)
            && self.wait.is_none_or(|wait| wait <= most)
    }
}

impl fmt::Display for ClientError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Refused(refusal) => refusal.fmt(f),
            Self::Local(problem) => match problem.error() {
                Some(error) => error.fmt(f),
                None => f.write_str(problem.cause().unwrap_or(problem.detail())),
            },
            Self::Broken(why) | Self::Ended(why) => f.write_str(why),
            Self::Output(error) => error.fmt(f),
        }
    }
}

impl std::error::Error for ClientError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Output(error) => Some(error),
            Self::Local(problem) => problem.error().and_then(std::error::Error::source),
            _ => None,
        }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let detail = &self.detail;
        match self.status.as_u16() {
            401 => write!(f, "not signed in: {detail}"),
            403 => write!(f, "not allowed: {detail}"),
            404 => write!(f, "not found: {detail}"),
            429 => write!(f, "too many requests: {detail}"),
            500.. => write!(f, "the server failed: {detail}"),
            _ => f.write_str(detail),
        }?;
        if let Some(wait) = self.wait {
            write!(f, "; try again in {} s", wait.as_secs())?;
        }
        match &self.request {
            Some(request) if self.status.is_server_error() => write!(f, " (request {request})"),
            _ => Ok(()),
        }
    }
}

/// What is behind an error of the connection.
pub fn why(error: &reqwest::Error) -> String {
    let mut deepest: &dyn std::error::Error = error;
    while let Some(source) = deepest.source() {
        deepest = source;
    }
    one_line(&deepest.to_string(), SHOWN)
}
