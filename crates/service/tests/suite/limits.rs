//! Limits on the length of records in exports from the store.

use std::fs;
use std::path::Path;

use retort_model::{ConversationFilter, ItemFilter, ProjectRole};
use retort_service::{Caller, DatasetPlan, Error, ExportRequest};
use serde_json::{Value, json};

use crate::support::{Office, chat, chat_with, plan};

const TEMPLATE: &str = "{% for m in messages %}<{{ m.role }}>{{ m.content }}{% endfor %}\
    {% if add_generation_prompt %}<assistant>{% endif %}";

/// A model's folder with a template.
fn model() -> tempfile::TempDir {
    let folder = tempfile::tempdir().unwrap();
    fs::write(folder.path().join("chat_template.jinja"), TEMPLATE).unwrap();
    folder
}

fn office(model: &Path) -> Office {
    let office = Office::with_models(&[("small", model.to_str().unwrap())]);
    office.import(&[chat("a"), chat_with("b", &"long ".repeat(100))], None);
    office
}

fn request(dataset: DatasetPlan) -> ExportRequest {
    ExportRequest { selection: ItemFilter::Conversations(ConversationFilter::default()), dataset }
}

/// The receipt of a dataset that an export made.
fn receipt(office: &Office, caller: &Caller, name: &str) -> Value {
    let dataset = office.service.dataset(caller, name).unwrap();
    let package = office.service.open_dataset(&dataset).unwrap();
    serde_json::from_str(&package.manifest().to_json()).unwrap()
}

#[test]
fn anyone_may_limit_characters_and_tokens_of_built_in_tokenizers() {
    let model = model();
    let office = office(model.path());
    let (_, ann) = office.join("ann", ProjectRole::Admin);
    for (name, options) in [
        ("c", &[("max_characters", "100")][..]),
        ("t", &[("tokenizer", "o200k"), ("max_tokens", "50")][..]),
    ] {
        let request = request(plan(name, options));
        let sample = office.service.preview_export(&ann, &request).unwrap();
        assert_eq!((sample.preview.records.len(), sample.looked_at), (1, 2));
        office.service.submit_export(&ann, &request).unwrap();
        office.work().unwrap();
        let dataset = office.service.dataset(&ann, name).unwrap();
        assert_eq!(office.service.verify_dataset(&dataset).unwrap().records, 1);
        let receipt = receipt(&office, &ann, name);
        assert_eq!(receipt["conversations"]["left_out_by_reason"][0]["kind"], "too-long");
        assert_eq!(receipt["options"][options[options.len() - 1].0], options[options.len() - 1].1);
    }
}

#[test]
fn a_caller_may_name_models_of_the_configuration_but_no_paths() {
    let model = model();
    let office = office(model.path());
    let (_, ann) = office.join("ann", ProjectRole::Owner);
    let path = model.path().to_str().unwrap();
    for (option, name) in [("template", path), ("tokenizer", path), ("template", "/etc/passwd")] {
        let request = request(plan("d", &[(option, name)]));
        for error in [
            office.service.submit_export(&ann, &request).map(|_| ()).unwrap_err(),
            office.service.preview_export(&ann, &request).map(|_| ()).unwrap_err(),
        ] {
            let words = error.to_string();
            assert!(matches!(error, Error::Choice(_)), "{error:?}");
            assert!(words.contains("the configuration has `small`"), "{words}");
        }
    }
    let request = request(plan("d", &[("template", "small"), ("max_characters", "100")]));
    office.service.submit_export(&ann, &request).unwrap();
    office.work().unwrap();
    let options = &receipt(&office, &ann, "d")["options"];
    assert_eq!(options["template"], json!("small"));
    assert_eq!(options["template_sha256"].as_str().unwrap().len(), 64);
}

#[test]
fn the_holder_of_the_store_may_name_files_and_a_changed_file_ends_the_job() {
    let model = model();
    let office = office(model.path());
    let caller = office.local();
    let submit = |name: &str| {
        let path = model.path().to_str().unwrap();
        let mut dataset = plan(name, &[("template", path)]);
        office.service.open_local_files(&mut dataset).unwrap();
        office.service.submit_export(&caller, &request(dataset)).unwrap()
    };
    submit("same");
    office.work().unwrap();
    assert!(office.service.dataset(&caller, "same").is_ok());
    submit("changed");
    fs::write(model.path().join("chat_template.jinja"), format!("{TEMPLATE} ")).unwrap();
    let error = office.work().unwrap_err().to_string();
    assert!(error.contains("changed after the export was submitted"), "{error}");
    assert!(office.service.dataset(&caller, "changed").is_err());
}

#[test]
fn options_that_do_not_go_together_are_refused_when_the_export_is_submitted() {
    let model = model();
    let office = office(model.path());
    let request = request(plan("d", &[("max_tokens", "5")]));
    let error = office.service.submit_export(&office.local(), &request).unwrap_err().to_string();
    assert!(error.contains("needs `--tokenizer`"), "{error}");
}

#[test]
fn people_may_name_only_benchmarks_of_the_configuration() {
    let model = model();
    let office = office(model.path());
    for name in ["gsm8k", "/etc/passwd"] {
        let request = request(plan("d", &[("decontaminate", name)]));
        let error =
            office.service.submit_export(&office.local(), &request).unwrap_err().to_string();
        let expect = format!("no benchmark `{name}` for `decontaminate`");
        assert!(error.contains(&expect), "{error}");
    }
    let request = request(plan("d", &[("contaminated", "report")]));
    let error = office.service.submit_export(&office.local(), &request).unwrap_err().to_string();
    assert!(error.contains("is for `--decontaminate`"), "{error}");
}
