//! The chat templates and tokenizers that exports name.
//!
//! People may only name models that the server's configuration lists, never a path: they must not read the server's files.

use retort_engine::{DatasetPlan, MeasureOptions, ModelPaths};
use retort_formats::template::BUILT_IN;
use retort_model::Time;

use crate::error::Error;
use crate::service::Service;

impl Service {
    /// Opens what a plan measures records with, for someone who opens the store directly: they may name models of the
    /// configuration, or files by their paths.
    ///
    /// # Errors
    /// A file that can't be read, or that is not what it should be; options that do not go together.
    pub fn open_local_measure(&self, plan: &mut DatasetPlan) -> Result<(), Error> {
        let mut paths = plan.measuring.paths();
        for path in [&mut paths.template, &mut paths.tokenizer].into_iter().flatten() {
            if let Some(configured) = self.configured(path) {
                *path = configured;
            }
        }
        Ok(plan.open_measure(&paths, self.clock.now())?)
    }

    /// Opens what a plan measures records with, unless the caller has opened it.
    pub(crate) fn open_measure(&self, plan: &mut DatasetPlan, now: Time) -> Result<(), Error> {
        if plan.measure.is_none() {
            let paths = self.model_paths(&plan.measuring)?;
            plan.open_measure(&paths, now)?;
        }
        Ok(())
    }

    fn model_paths(&self, options: &MeasureOptions) -> Result<ModelPaths, Error> {
        let template = options.template.as_deref().map(|name| self.model_path("template", name));
        let tokenizer = options.tokenizer.as_deref().map(|name| {
            let is_built_in = BUILT_IN.contains(&name);
            if is_built_in { Ok(name.to_owned()) } else { self.model_path("tokenizer", name) }
        });
        Ok(ModelPaths { template: template.transpose()?, tokenizer: tokenizer.transpose()? })
    }

    fn model_path(&self, option: &str, name: &str) -> Result<String, Error> {
        self.configured(name).ok_or_else(|| {
            let names: Vec<_> =
                self.settings.models.keys().map(|name| format!("`{name}`")).collect();
            let known = if names.is_empty() {
                "the configuration lists none under `[models]`".to_owned()
            } else {
                format!("the configuration has {}", names.join(", "))
            };
            Error::Choice(format!("no model `{name}` for `{option}`: {known}"))
        })
    }

    /// Where a model is that the configuration names; `NAME#TEMPLATE` is one of its templates.
    fn configured(&self, name: &str) -> Option<String> {
        let (model, template) = match name.split_once('#') {
            Some((model, template)) => (model, Some(template)),
            None => (name, None),
        };
        let path = self.settings.models.get(model)?;
        Some(template.map_or_else(|| path.clone(), |template| format!("{path}#{template}")))
    }
}
