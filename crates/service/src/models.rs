//! The chat templates, tokenizers and benchmarks that exports name.
//!
//! People may only name those that the server's configuration lists, never a path: they must not read the server's files.

use std::collections::BTreeMap;

use retort_engine::{BenchmarkFile, DatasetPlan, MeasureOptions, ModelPaths, PlanPaths};
use retort_formats::template::BUILT_IN;
use retort_model::Time;

use crate::error::Error;
use crate::service::Service;

impl Service {
    /// Opens what a plan measures records with, and its benchmarks, for someone who opens the store directly: they may name
    /// those of the configuration, or files by their paths.
    ///
    /// # Errors
    /// A file that can't be read, or that is not what it should be; options that do not go together.
    pub fn open_local_files(&self, plan: &mut DatasetPlan) -> Result<(), Error> {
        // It names a dataset of the store.
        let mut paths = PlanPaths { split_from: None, ..plan.paths() };
        let model = &mut paths.model;
        for path in [&mut model.template, &mut model.tokenizer].into_iter().flatten() {
            if let Some(configured) = self.configured(path) {
                *path = configured;
            }
        }
        for (file, name) in paths.benchmarks.iter_mut().zip(plan.decontaminate.names.iter()) {
            if let Some(configured) = self.settings.benchmarks.get(name) {
                *file = BenchmarkFile::new(configured, Some(name));
            }
        }
        Ok(plan.open_files(&paths, self.clock.now())?)
    }

    /// Opens what a plan measures records with, and its benchmarks, unless the caller has opened them.
    pub(crate) fn open_files(&self, plan: &mut DatasetPlan, now: Time) -> Result<(), Error> {
        if plan.measure.is_some() || plan.benchmarks.is_some() {
            return Ok(());
        }
        let benchmarks = plan.decontaminate.names.iter().map(|name| self.benchmark(name));
        let benchmarks = benchmarks.collect::<Result<_, _>>()?;
        let model = self.model_paths(&plan.measuring)?;
        let paths = PlanPaths { model, benchmarks, split_from: None };
        Ok(plan.open_files(&paths, now)?)
    }

    fn benchmark(&self, name: &str) -> Result<BenchmarkFile, Error> {
        let path = self.settings.benchmarks.get(name).ok_or_else(|| {
            let known = known("benchmarks", &self.settings.benchmarks);
            Error::Choice(format!("no benchmark `{name}` for `decontaminate`: {known}"))
        })?;
        Ok(BenchmarkFile::new(path, Some(name)))
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
            let known = known("models", &self.settings.models);
            Error::Choice(format!("no model `{name}` for `{option}`: {known}"))
        })
    }

    /// Where a model is that the configuration names; `NAME#TEMPLATE` is one of its templates.
    pub(crate) fn configured(&self, name: &str) -> Option<String> {
        let (model, template) = match name.split_once('#') {
            Some((model, template)) => (model, Some(template)),
            None => (name, None),
        };
        let path = self.settings.models.get(model)?;
        Some(template.map_or_else(|| path.clone(), |template| format!("{path}#{template}")))
    }
}

/// The names that a table of the configuration has.
fn known(table: &str, listed: &BTreeMap<String, String>) -> String {
    let names: Vec<_> = listed.keys().map(|name| format!("`{name}`")).collect();
    match &*names {
        [] => format!("the configuration lists none under `[{table}]`"),
        names => format!("the configuration has {}", names.join(", ")),
    }
}
