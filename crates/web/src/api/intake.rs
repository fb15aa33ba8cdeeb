//! What comes in at once: what is said of it, and what became of it.

use retort_service::{Caller, IntakeRequest, sources};
use serde::Deserialize;

use crate::app::App;
use crate::problem::{Problem, kinds};
use crate::wire;

/// What is said of items that come in.
#[derive(Clone, Debug, Default, Deserialize, utoipa::IntoParams)]
#[serde(deny_unknown_fields, default)]
#[into_params(parameter_in = Query)]
pub struct Intake {
    /// The import format, if it is not to be found out from the content.
    pub from: Option<String>,
    /// Who held the conversations that do not say who did; the caller, if not said.
    pub owner: Option<String>,
    /// What the import is called; its file's name, for instance.
    pub name: Option<String>,
}

impl Intake {
    /// The service's request.
    ///
    /// # Errors
    /// There is no such format.
    pub fn request(&self) -> Result<IntakeRequest, Problem> {
        let from =
            match self.from.as_deref() {
                None => None,
                Some(name) => Some(sources::by_name(name).ok_or_else(|| {
                    Problem::bad_request(format!("unknown import format `{name}`"))
                })?),
            };
        Ok(IntakeRequest { from, owner: self.owner.clone(), ..IntakeRequest::default() })
    }
}

/// Takes in the items of a body.
///
/// # Errors
/// There is none, or the only one cannot be read; or the caller may not.
pub async fn taken(
    app: &App,
    caller: Caller,
    intake: IntakeRequest,
    body: Vec<u8>,
) -> Result<wire::Taking, Problem> {
    let kind = intake.kind;
    let taken = app.call(move |service| service.take_in(&caller, &intake, body)).await?;
    let taken = wire::Taking::from(taken);
    if taken.read == 0 || (taken.read == taken.refused && taken.read == 1) {
        let why = taken.refusals.first().cloned();
        let why = why.unwrap_or_else(|| format!("there is no {kind} in the body"));
        return Err(Problem::new(&kinds::UNREADABLE, why));
    }
    Ok(taken)
}
