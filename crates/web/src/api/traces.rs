//! Traces as OpenTelemetry's exporters send them: OTLP over HTTP, in protobuf or JSON. Every answer, of a failure too, is in
//! the encoding of the request.
//!
//! <https://opentelemetry.io/docs/specs/otlp/#otlphttp>

use axum::body::Body;
use axum::extract::{Request, State};
use axum::http::header::{CONTENT_ENCODING, CONTENT_TYPE};
use axum::http::{HeaderMap, HeaderValue, StatusCode};
use axum::response::{IntoResponse, Response};
use retort_model::bounds::REQUEST_BYTES;
use retort_service::{Caller, SpansRequest, SpansTaken};
use serde::Serialize;
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::extract::{no_route, whole_body};
use crate::problem::Problem;
use crate::requests::HasBody;
use crate::who::ProjectCaller;
use crate::wire;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(export_traces))
}

/// How a request is encoded, and so its answer.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Encoding {
    Protobuf,
    Json,
}

/// Send traces with OTLP over HTTP
///
/// For OpenTelemetry's exporters and the Collector. The spans are stored at once; a trace is imported a few seconds
/// after its root span has arrived, or two minutes after its last span. The response is 404 unless `traces` is set in
/// the server's configuration. After 429 or 503, send the same request again after `Retry-After` seconds; do not send
/// `rejected_spans` again.
#[utoipa::path(post, path = "/v1/traces", tag = "traces",
    request_body(content((serde_json::Value = "application/json"), (String = "application/x-protobuf"))),
    responses(
        (status = 200, content((wire::ExportTraceResponse = "application/json"), (String = "application/x-protobuf"))),
        (status = "4XX", content((wire::OtlpStatus = "application/json"), (String = "application/x-protobuf"))),
        (status = "5XX", content((wire::OtlpStatus = "application/json"), (String = "application/x-protobuf"))),
    ))]
async fn export_traces(
    State(app): State<App>,
    caller: Result<ProjectCaller, Problem>,
    request: Request,
) -> Response {
    let asked = encoding(request.headers());
    let encoding = asked.as_ref().copied().unwrap_or(Encoding::Json);
    let taken = match (app.settings().takes_traces, asked, caller) {
        (false, ..) => Err(no_route().await),
        (_, Err(problem), _) | (_, _, Err(problem)) => Err(problem),
        (_, Ok(_), Ok(ProjectCaller(caller))) => take(&app, caller, encoding, request).await,
    };
    answer(&app, encoding, taken)
}

fn encoding(headers: &HeaderMap) -> Result<Encoding, Problem> {
    let kind = headers.get(CONTENT_TYPE).and_then(|kind| kind.to_str().ok()).unwrap_or_default();
    match kind.split(';').next().unwrap_or_default().trim() {
        "application/x-protobuf" => Ok(Encoding::Protobuf),
        "application/json" => Ok(Encoding::Json),
        _ => Err(Problem::unsupported_media_type("application/x-protobuf` or `application/json")),
    }
}

async fn take(
    app: &App,
    caller: Caller,
    encoding: Encoding,
    request: Request,
) -> Result<SpansTaken, Problem> {
    let is_gzip = match request.headers().get(CONTENT_ENCODING).map(HeaderValue::as_bytes) {
        None | Some(b"" | b"identity") => false,
        Some(b"gzip") => true,
        Some(_) => return Err(Problem::unsupported_media_type("gzip` or not compressed")),
    };
    let body = whole_body(request, REQUEST_BYTES).await?.to_vec();
    let request = SpansRequest { body, is_gzip, is_json: encoding == Encoding::Json };
    let bytes = request.body.len();
    let taken = app.call_with_body(bytes, move |service| service.take_spans(&caller, request));
    taken.await.map_err(|problem| match problem.kind().status {
        // The protocol's word for what cannot be read.
        422 => Problem::bad_request(problem.detail()),
        _ => problem,
    })
}

fn answer(app: &App, encoding: Encoding, taken: Result<SpansTaken, Problem>) -> Response {
    let (mut response, body) = match taken {
        Ok(taken) => {
            app.metrics().count_spans(taken.taken, taken.refused);
            (StatusCode::OK.into_response(), taken_body(encoding, &taken))
        }
        Err(problem) => {
            let body = status_body(encoding, &problem);
            (problem.into_response(), body)
        }
    };
    *response.body_mut() = Body::from(body);
    let kind = match encoding {
        Encoding::Protobuf => "application/x-protobuf",
        Encoding::Json => "application/json",
    };
    response.headers_mut().insert(CONTENT_TYPE, HeaderValue::from_static(kind));
    response.extensions_mut().insert(HasBody);
    response
}

/// `ExportTraceServiceResponse`.
fn taken_body(encoding: Encoding, taken: &SpansTaken) -> Vec<u8> {
    let why = taken.why.as_deref().unwrap_or_default();
    match encoding {
        Encoding::Json => {
            let partial_success = (taken.refused > 0).then(|| wire::PartialSuccess {
                rejected_spans: taken.refused.to_string(),
                error_message: why.into(),
            });
            json_body(&wire::ExportTraceResponse { partial_success })
        }
        Encoding::Protobuf if taken.refused == 0 => Vec::new(),
        Encoding::Protobuf => {
            let mut partial = vec![0x08];
            varint(taken.refused, &mut partial);
            text_field(2, why, &mut partial);
            let mut body = Vec::new();
            bytes_field(1, &partial, &mut body);
            body
        }
    }
}

/// `google.rpc.Status`.
fn status_body(encoding: Encoding, problem: &Problem) -> Vec<u8> {
    let (code, why) = (grpc_code(problem.kind().status), problem.detail());
    match encoding {
        Encoding::Json => json_body(&wire::OtlpStatus { code, message: why.into() }),
        Encoding::Protobuf => {
            let mut body = vec![0x08];
            varint(code, &mut body);
            text_field(2, why, &mut body);
            body
        }
    }
}

fn json_body(body: &impl Serialize) -> Vec<u8> {
    serde_json::to_vec(body).unwrap_or_default()
}

/// The code of gRPC that goes with a status of HTTP (`google.rpc.Code`).
fn grpc_code(status: u16) -> u64 {
    match status {
        401 => 16,
        403 => 7,
        404 => 5,
        429 => 8,
        400..500 => 3,
        503 | 504 => 14,
        _ => 13,
    }
}

fn text_field(number: u8, text: &str, out: &mut Vec<u8>) {
    bytes_field(number, text.as_bytes(), out);
}

fn bytes_field(number: u8, bytes: &[u8], out: &mut Vec<u8>) {
    out.push(number << 3 | 2);
    varint(bytes.len() as u64, out);
    out.extend_from_slice(bytes);
}

fn varint(mut number: u64, out: &mut Vec<u8>) {
    while number >= 0x80 {
        out.push((number & 0x7f) as u8 | 0x80);
        number >>= 7;
    }
    out.push(number as u8);
}
