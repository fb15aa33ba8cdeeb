//! What the description says of every operation by one rule: the project it is about, the problems it can answer with,
//! and bodies that are bytes.

use utoipa::openapi::path::{Operation, ParameterBuilder, ParameterIn, PathItem};
use utoipa::openapi::response::Response;
use utoipa::openapi::schema::{KnownFormat, ObjectBuilder, SchemaFormat, Type};
use utoipa::openapi::{Content, ContentBuilder, OpenApi, Ref, RefOr, ResponseBuilder};

use crate::problem::PROBLEMS;

/// Operations that are about no project, by the beginning of their path.
const WITHOUT_PROJECT: [&str; 10] = [
    "/api/v1/account",
    "/api/v1/downloads",
    "/api/v1/formats",
    "/api/v1/invitations/accept",
    "/api/v1/invitations/join",
    "/api/v1/password",
    "/api/v1/projects",
    "/api/v1/session",
    "/api/v1/shared",
    "/v1/traces",
];

/// Completes the description that the handlers give.
pub fn complete(api: &mut OpenApi) {
    for (path, item) in &mut api.paths.paths {
        let has_project = !WITHOUT_PROJECT.iter().any(|without| path.starts_with(without));
        for (operation, writes) in operations(item) {
            if has_project {
                operation.parameters.get_or_insert_default().push(
                    ParameterBuilder::new()
                        .name("project")
                        .parameter_in(ParameterIn::Query)
                        .description(Some("The project's name; needed if you are in several and the token is for none."))
                        .schema(Some(ObjectBuilder::new().schema_type(Type::String)))
                        .build(),
                );
            }
            // What the protocol of traces answers with is told beside its handler.
            if !path.starts_with("/v1/") {
                add_problems(operation, writes);
            }
            let bodies = operation.request_body.iter_mut().flat_map(|body| body.content.iter_mut());
            let answers =
                operation.responses.responses.values_mut().filter_map(|answer| match answer {
                    RefOr::T(answer) => Some(answer.content.iter_mut()),
                    RefOr::Ref(_) => None,
                });
            for (media_type, content) in bodies.chain(answers.flatten()) {
                describe_bytes(media_type, content);
            }
        }
    }
    let components = api.components.get_or_insert_default();
    for status in statuses() {
        components.responses.insert(response_name(status), RefOr::T(problems_of(status)));
    }
}

/// The operations of a path, and whether each changes something.
fn operations(item: &mut PathItem) -> impl Iterator<Item = (&mut Operation, bool)> {
    let reads = [&mut item.get].into_iter().flatten().map(|operation| (operation, false));
    let writes = [&mut item.post, &mut item.put, &mut item.patch, &mut item.delete];
    reads.chain(writes.into_iter().flatten().map(|operation| (operation, true)))
}

/// Adds the problems that the operation can answer with: a body can be too large, a range can lie beyond the end, and so on.
fn add_problems(operation: &mut Operation, writes: bool) {
    let has_body = operation.request_body.is_some();
    let has_range =
        operation.parameters.iter().flatten().any(|parameter| parameter.name == "Range");
    for status in statuses() {
        let is_possible = match status {
            // No operation: it has the method.
            405 => false,
            408 | 413 | 415 => has_body,
            409 => {
                writes
                    || has_range
                    || operation.operation_id.as_deref().is_some_and(|id| !id.starts_with("list_"))
            }
            412 | 416 => has_range,
            507 => writes || has_range,
            _ => true,
        };
        if is_possible {
            let name = response_name(status);
            operation
                .responses
                .responses
                .insert(status.to_string(), RefOr::Ref(Ref::from_response_name(name)));
        }
    }
}

/// Bytes that are not text, so that generated clients take them as such.
fn describe_bytes(media_type: &str, content: &mut Content) {
    if matches!(
        media_type,
        "application/octet-stream" | "application/x-protobuf" | "application/zip" | "*/*"
    ) {
        let format = SchemaFormat::KnownFormat(KnownFormat::Binary);
        let bytes = ObjectBuilder::new().schema_type(Type::String).format(Some(format));
        *content = ContentBuilder::new().schema(Some(bytes)).build();
    }
}

/// The statuses of problems, each once, ascending.
fn statuses() -> impl Iterator<Item = u16> {
    let mut statuses: Vec<u16> = PROBLEMS.iter().map(|kind| kind.status).collect();
    statuses.sort_unstable();
    statuses.dedup();
    statuses.into_iter()
}

fn response_name(status: u16) -> String {
    format!("Problem{status}")
}

fn problems_of(status: u16) -> Response {
    let titles: Vec<&str> =
        PROBLEMS.iter().filter(|kind| kind.status == status).map(|kind| kind.title).collect();
    let content = ContentBuilder::new().schema(Some(Ref::from_schema_name("Problem"))).build();
    ResponseBuilder::new()
        .description(titles.join("; "))
        .content("application/problem+json", content)
        .build()
}
