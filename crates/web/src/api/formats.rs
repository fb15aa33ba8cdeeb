//! What can be read and written.

use retort_model::Check;
use retort_service::{data, file, sources};
use utoipa_axum::router::OpenApiRouter;
use utoipa_axum::routes;

use crate::app::App;
use crate::extract::Json;
use crate::wire;

pub fn routes() -> OpenApiRouter<App> {
    OpenApiRouter::new().routes(routes!(list_formats))
}

/// List all formats
#[utoipa::path(get, path = "/formats", tag = "formats", security(()),
    responses((status = 200, body = wire::Formats)))]
async fn list_formats() -> Json<wire::Formats> {
    let format = |name: &str, about: &str| wire::Format { name: name.into(), about: about.into() };
    let about = |check: Check| match check {
        Check::Repair => "fix what can be fixed, leave out the rest, and report both",
        Check::Reject => "leave out every record that a trainer would reject",
        Check::Off => "write every record as it is, and count what would be rejected",
    };
    Json(wire::Formats {
        import: sources::FORMATS.iter().map(|one| format(one.name(), one.about())).collect(),
        data: data::FORMATS.iter().map(|one| format(one.name(), one.about())).collect(),
        file: file::FORMATS.iter().map(|one| format(one.name(), one.about())).collect(),
        checks: Check::ALL.iter().map(|&one| (one.to_string(), about(one).into())).collect(),
    })
}
