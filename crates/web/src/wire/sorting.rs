//! How lists are sorted.

use std::marker::PhantomData;

use retort_service::ListOrder;
use utoipa::openapi::Required;
use utoipa::openapi::path::{Parameter, ParameterBuilder, ParameterIn};
use utoipa::{IntoParams, PartialSchema};

use crate::problem::Problem;

/// The parameter `sort` of a list, with one of these words.
pub struct Sorting<W>(PhantomData<W>);

impl<W: PartialSchema> IntoParams for Sorting<W> {
    fn into_params(_: impl Fn() -> Option<ParameterIn>) -> Vec<Parameter> {
        let sort = ParameterBuilder::new()
            .name("sort")
            .parameter_in(ParameterIn::Query)
            .required(Required::False)
            .description(Some("What comes first. Default: `newest`."))
            .schema(Some(W::schema()));
        vec![sort.build()]
    }
}

/// The order with that name.
///
/// # Errors
/// No order has that name.
pub fn order<O: ListOrder>(name: Option<&str>) -> Result<Option<O>, Problem> {
    let unknown = |name| {
        let names: Vec<_> = O::ALL.iter().map(|one| one.as_str()).collect();
        let names = names.join("`, `");
        Problem::bad_request(format!("unknown order `{name}`; use one of `{names}`"))
    };
    name.map(|name| O::by_name(name).ok_or_else(|| unknown(name))).transpose()
}
