//! A request of OpenTelemetry's protocol by the traces in it, for a store that gathers spans until their traces are whole.

use std::collections::HashMap;

use retort_json::{Kind, Parser, RawJson};

use super::format::{ItemError, Refusal};
use super::raw_spans::{SpanHead, each_of_request};

/// What a request holds of one trace.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceSpans {
    /// The trace's id.
    pub trace: String,
    /// The session that one of its spans names.
    pub session: Option<String>,
    /// Whether one of the spans has no parent. It is the last one to end.
    pub has_root: bool,
    /// How many spans and records of logs there are.
    pub spans: u64,
    /// They, as the JSON text of a request. The `otlp` format reads the requests of a trace as its fragments.
    pub text: String,
}

/// The traces of a request.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct SplitRequest {
    /// In the order in which they were met.
    pub traces: Vec<TraceSpans>,
    /// Spans that name no trace. They belong to none, so nothing can be made of them.
    pub without_trace: u64,
}

/// Spans of one trace that were gathered so far.
#[derive(Default)]
struct Gathered {
    session: Option<String>,
    has_root: bool,
    spans: u64,
    /// Of spans and of logs: the groups, the last of them still open.
    texts: [String; 2],
    /// The resource and scope of the open groups.
    heads: [String; 2],
}

const KINDS: [(&str, [&str; 3]); 2] = [
    ("span", ["resourceSpans", "scopeSpans", "spans"]),
    ("log", ["resourceLogs", "scopeLogs", "logRecords"]),
];

/// Splits the JSON text of a request.
///
/// # Errors
/// It is no JSON, or no object.
pub fn split(text: &str) -> Result<SplitRequest, ItemError> {
    let mut parser = Parser::lenient(text);
    if parser.kind()? != Kind::Object {
        return Err(ItemError::new(Refusal::UnknownShape, 0, "a request is a JSON object"));
    }
    let raw = parser.raw()?;
    parser.end()?;
    let mut places: HashMap<String, usize> = HashMap::new();
    let mut gathered: Vec<(String, Gathered)> = Vec::new();
    let mut without_trace = 0;
    each_of_request(&raw, &mut |resource, scope, span, what| {
        let Some(head) = SpanHead::of(span) else {
            without_trace += u64::from(what == "span");
            return;
        };
        let place = places.get(&head.trace).copied().unwrap_or_else(|| {
            places.insert(head.trace.clone(), gathered.len());
            gathered.push((head.trace.clone(), Gathered::default()));
            gathered.len() - 1
        });
        if let Some((_, trace)) = gathered.get_mut(place) {
            trace.spans += 1;
            trace.has_root |= what == "span" && head.is_root;
            if trace.session.is_none() {
                trace.session = head.session(resource);
            }
            trace.add(resource, scope, span, what);
        }
    });
    let traces = gathered.into_iter().map(|(trace, spans)| spans.finish(trace)).collect();
    Ok(SplitRequest { traces, without_trace })
}

impl Gathered {
    /// Adds a span's text, in the group of the one before where it has the same resource and scope.
    fn add(
        &mut self,
        resource: Option<&RawJson<'_>>,
        scope: Option<&RawJson<'_>>,
        span: &RawJson<'_>,
        what: &'static str,
    ) {
        let kinds = KINDS.iter().zip(&mut self.texts).zip(&mut self.heads);
        for (((kind, [_, scopes, spans]), text), head) in kinds {
            if *kind != what {
                continue;
            }
            let mut new = String::from("{");
            if let Some(resource) = resource {
                new.extend(["\"resource\":", resource.as_str(), ","]);
            }
            new.extend(["\"", scopes, "\":[{"]);
            if let Some(scope) = scope {
                new.extend(["\"scope\":", scope.as_str(), ","]);
            }
            new.extend(["\"", spans, "\":["]);
            if *head == new {
                text.push(',');
            } else {
                text.push_str(if text.is_empty() { "" } else { "]}]}," });
                text.push_str(&new);
                *head = new;
            }
            text.push_str(span.as_str());
        }
    }

    fn finish(self, trace: String) -> TraceSpans {
        let mut text = String::from("{");
        for ((_, [groups, ..]), one) in KINDS.iter().zip(&self.texts) {
            if !one.is_empty() {
                text.push_str(if text.len() > 1 { "," } else { "" });
                text.extend(["\"", groups, "\":[", one, "]}]}]"]);
            }
        }
        text.push('}');
        let Self { session, has_root, spans, .. } = self;
        TraceSpans { trace, session, has_root, spans, text }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_spans_of_a_request_are_told_apart_by_their_traces() {
        let text = r#"{"resourceSpans":[
            {"resource":{"attributes":[{"key":"service.name","value":{"stringValue":"a"}}]},"scopeSpans":[
                {"scope":{"name":"s"},"spans":[
                    {"traceId":"01","spanId":"1","parentSpanId":"2"},
                    {"traceId":"02","spanId":"1","parentSpanId":""},
                    {"traceId":"01","spanId":"2","attributes":[{"key":"session.id","value":{"stringValue":"x"}}]},
                    {"traceId":"0000","spanId":"3"}]},
                {"spans":[{"traceId":"01","spanId":"4","parentSpanId":"0000"}]}]}],
            "resourceLogs":[{"scopeLogs":[{"logRecords":[{"traceId":"02","spanId":"1"},{"body":{}}]}]}]}"#;
        let resource = r#"{"attributes":[{"key":"service.name","value":{"stringValue":"a"}}]}"#;
        let one = [
            r#"{"resourceSpans":[{"resource":"#,
            resource,
            r#","scopeSpans":[{"scope":{"name":"s"},"spans":[{"traceId":"01","spanId":"1","parentSpanId":"2"},"#,
            r#"{"traceId":"01","spanId":"2","attributes":[{"key":"session.id","value":{"stringValue":"x"}}]}]}]},"#,
            r#"{"resource":"#,
            resource,
            r#","scopeSpans":[{"spans":[{"traceId":"01","spanId":"4","parentSpanId":"0000"}]}]}]}"#,
        ];
        let two = [
            r#"{"resourceSpans":[{"resource":"#,
            resource,
            r#","scopeSpans":[{"scope":{"name":"s"},"spans":[{"traceId":"02","spanId":"1","parentSpanId":""}]}]}],"#,
            r#""resourceLogs":[{"scopeLogs":[{"logRecords":[{"traceId":"02","spanId":"1"}]}]}]}"#,
        ];
        let traces = [
            TraceSpans {
                trace: "01".into(),
                session: Some("x".into()),
                has_root: true,
                spans: 3,
                text: one.concat(),
            },
            TraceSpans {
                trace: "02".into(),
                session: None,
                has_root: true,
                spans: 2,
                text: two.concat(),
            },
        ];
        assert_eq!(split(text).unwrap(), SplitRequest { traces: traces.into(), without_trace: 1 });
        assert_eq!(split("{}").unwrap(), SplitRequest::default());
        assert!(split("{\"resourceSpans\":[").is_err());
        assert!(split("[]").is_err());
    }
}
