//! `croissant.json`: describes the dataset to catalogues and loaders, in
//! [Croissant 1.1](https://docs.mlcommons.org/croissant/docs/croissant-spec-1.1.html).
//!
//! Each output is a set of files and a set of records. Columns are described that have a type there: texts, numbers, lists of
//! them, and the same within a list of structs. Columns of any JSON, and what lies deeper, are named in the description.

use retort_model::display::several;
use serde_json::{Map, Value, json};

use super::manifest::{DataFile, Manifest};
use super::notes::{PaperNotes, SourceNote};
use crate::data::{Column, Field, Schema, Type};

/// The data files of an output.
#[derive(Clone, Copy, Debug)]
pub struct CroissantSet<'c> {
    /// The name of the output.
    pub name: &'c str,
    /// What the paths of its files match.
    pub pattern: &'c str,
}

/// What a package's description is made of.
#[derive(Clone, Copy)]
pub struct Described<'d> {
    /// The receipt, without its files.
    pub manifest: &'d Manifest,
    /// What the user wrote.
    pub notes: &'d PaperNotes,
    /// The outputs.
    pub sets: &'d [CroissantSet<'d>],
    /// The data files.
    pub files: &'d [DataFile],
    /// The columns; none if they have no fixed ones, or if each record is a file.
    pub schema: Option<&'d Schema>,
}

/// The text of the file.
pub fn croissant(described: &Described<'_>) -> String {
    let Described { manifest, notes, sets, files, schema } = *described;
    let mut whole = Map::new();
    let mut put = |name: &str, value: Value| drop(whole.insert(name.to_owned(), value));
    put("@context", context());
    put("@type", "sc:Dataset".into());
    put("conformsTo", "http://mlcommons.org/croissant/1.1".into());
    put("name", (&*manifest.dataset_name).into());
    let records = manifest.records.written;
    let written = several(records, "record");
    let made = format!("{written} in the data format `{}`.", manifest.data_format);
    let about = notes.description.as_deref().map(str::trim).filter(|text| !text.is_empty());
    put(
        "description",
        about.map_or_else(|| made.clone(), |about| format!("{about}\n\n{made}")).into(),
    );
    for (name, value) in [
        ("license", &notes.license),
        ("url", &notes.url),
        ("version", &notes.version),
        ("datePublished", &notes.published),
        ("dateModified", &manifest.snapshot),
        ("citeAs", &notes.citation),
    ] {
        if let Some(value) = value {
            put(name, (&**value).into());
        }
    }
    if let Some(creator) = &notes.creator {
        put("creator", json!({"@type": "sc:Organization", "name": creator}));
    }
    let based_on: Vec<Value> = notes.source.iter().map(SourceNote::to_json).collect();
    if !based_on.is_empty() {
        put("isBasedOn", based_on.into());
    }
    let done = processing(manifest);
    if !done.is_empty() {
        put("rai:dataPreprocessingProtocol", done.into());
    }
    let mut distribution: Vec<Value> = files.iter().map(file_object).collect();
    distribution.extend(sets.iter().map(file_set));
    put("distribution", distribution.into());
    if let Some(schema) = schema.filter(|schema| !schema.is_empty()) {
        let sets = sets.iter().map(|set| record_set(set, schema));
        put("recordSet", sets.collect::<Vec<_>>().into());
    }
    let mut text = serde_json::to_string_pretty(&whole).unwrap_or_default();
    text.push('\n');
    text
}

/// What was done with the items, in sentences.
pub(super) fn processing(manifest: &Manifest) -> Vec<String> {
    let mut done = Vec::new();
    match manifest.options.get("dedup").map(String::as_str) {
        Some("exact") => done.push("Exact duplicates were left out.".to_owned()),
        Some("near") => done.push(
            "Exact duplicates, and items at least 90 % similar to one that is kept, were left out."
                .to_owned(),
        ),
        _ => {}
    }
    if let Some(redaction) = &manifest.redaction {
        let own = redaction.own_rules.len();
        let rules: Vec<String> = Some(redaction.rules.clone())
            .filter(|rules| !rules.is_empty())
            .into_iter()
            .chain((own > 0).then(|| format!("{own} own rules")))
            .collect();
        let hits: u64 = redaction.found.iter().map(|found| found.hits).sum();
        done.push(format!(
            "Secrets and personal data were searched for ({}) and replaced in {hits} places (action `{}`). Names and \
             addresses of people are not searched for.",
            rules.join(", "),
            redaction.action
        ));
    }
    if let Some(looked) = &manifest.decontamination {
        let names: Vec<_> = looked.benchmarks.iter().map(|one| format!("`{}`", one.name)).collect();
        let what = if looked.action == "report" { "reported" } else { "left out" };
        done.push(format!(
            "Items with {} words in a row of the benchmarks {} were {what}: {}.",
            looked.words,
            names.join(", "),
            looked.contaminated
        ));
    }
    done
}

fn file_object(file: &DataFile) -> Value {
    json!({
        "@type": "cr:FileObject",
        "@id": file.path,
        "name": file.path,
        "contentUrl": file.path,
        "contentSize": format!("{} B", file.bytes),
        "encodingFormat": encoding(&file.path),
        "sha256": file.sha256,
    })
}

fn file_set(set: &CroissantSet<'_>) -> Value {
    json!({
        "@type": "cr:FileSet",
        "@id": set_id(set),
        "name": set_id(set),
        "encodingFormat": encoding(set.pattern),
        "includes": set.pattern,
    })
}

fn set_id(set: &CroissantSet<'_>) -> String {
    format!("files-{}", set.name)
}

/// The media type of a file by its name, as loaders know it. Of a compressed file it is that of what is in it.
fn encoding(path: &str) -> &'static str {
    let path = path.strip_suffix(".gz").or(path.strip_suffix(".zst")).unwrap_or(path);
    match path.rsplit_once('.').map(|(_, ending)| ending) {
        Some("jsonl") => "application/jsonlines",
        Some("csv") => "text/csv",
        Some("parquet") => "application/x-parquet",
        Some("json") => "application/json",
        Some("md") => "text/markdown",
        _ => "text/plain",
    }
}

/// Where the fields of a record set come from.
struct Fields<'f> {
    set: &'f CroissantSet<'f>,
    /// Columns, or parts of them, that are not described.
    left_out: Vec<String>,
}

fn record_set(set: &CroissantSet<'_>, schema: &Schema) -> Value {
    let mut fields = Fields { set, left_out: Vec::new() };
    let described: Vec<Value> =
        schema.columns().filter_map(|column| fields.of_column(column)).collect();
    let mut records = json!({
        "@type": "cr:RecordSet",
        "@id": set.name,
        "name": set.name,
        "field": described,
    });
    if !fields.left_out.is_empty() {
        let what = fields.left_out.join(", ");
        records["description"] =
            format!("Not described, as they may hold any JSON or lie deeper: {what}.").into();
    }
    records
}

impl Fields<'_> {
    fn of_column(&mut self, column: Column<'_>) -> Option<Value> {
        let (set, name) = (self.set, column.name);
        let mut field = json!({
            "@type": "cr:Field",
            "@id": format!("{}/{name}", set.name),
            "name": name,
            "source": self.source(name, None),
        });
        let shape = self.typed(column.kind, name, &mut field)?;
        if !shape.is_empty() {
            field["isArray"] = true.into();
            field["arrayShape"] = shape.into();
        }
        Some(field)
    }

    fn source(&self, column: &str, path: Option<String>) -> Value {
        let mut source = json!({
            "fileSet": {"@id": set_id(self.set)},
            "extract": {"column": column},
        });
        if let Some(path) = path {
            source["transform"] = json!({"jsonPath": path});
        }
        source
    }

    /// Gives a field its type and returns the shape of its lists; none if it has no type there.
    fn typed(&mut self, kind: Type, name: &str, field: &mut Value) -> Option<String> {
        let mut shape = String::new();
        let mut kind = kind;
        while let Type::List(item) = kind {
            shape.push_str(if shape.is_empty() { "-1" } else { ",-1" });
            kind = *item;
        }
        if let Type::Vector32 | Type::Vector64 = kind {
            shape.push_str(if shape.is_empty() { "-1" } else { ",-1" });
        }
        // Loaders take JSON texts of such names for moments.
        let is_moment = kind_is_text(kind) && shape.is_empty() && name.ends_with("_at");
        match (scalar(kind), kind) {
            (Some(_), _) if is_moment => field["dataType"] = "sc:DateTime".into(),
            (Some(scalar), _) => field["dataType"] = scalar.into(),
            // A list of structs, one level deep.
            (None, Type::Struct(parts)) if shape == "-1" => {
                let parts: Vec<Value> =
                    parts.iter().filter_map(|part| self.of_part(part, name)).collect();
                if parts.is_empty() {
                    return None;
                }
                field["subField"] = parts.into();
            }
            _ => {
                self.left_out.push(format!("`{name}`"));
                return None;
            }
        }
        Some(shape)
    }

    fn of_part(&mut self, part: &Field, column: &str) -> Option<Value> {
        let Some(scalar) = scalar(part.kind) else {
            self.left_out.push(format!("`{column}.{}`", part.name));
            return None;
        };
        Some(json!({
            "@type": "cr:Field",
            "@id": format!("{}/{column}/{}", self.set.name, part.name),
            "name": part.name,
            "dataType": scalar,
            "source": self.source(column, Some(format!("$.{}", part.name))),
        }))
    }
}

fn kind_is_text(kind: Type) -> bool {
    matches!(kind, Type::Text | Type::Word)
}

fn scalar(kind: Type) -> Option<&'static str> {
    match kind {
        Type::Text | Type::Word => Some("sc:Text"),
        Type::Int => Some("sc:Integer"),
        Type::Bool => Some("sc:Boolean"),
        Type::Vector32 => Some("cr:Float32"),
        Type::Vector64 => Some("cr:Float64"),
        Type::Json | Type::Object | Type::List(_) | Type::Struct(_) => None,
    }
}

/// The context of the standard.
fn context() -> Value {
    json!({
        "@language": "en",
        "@vocab": "https://schema.org/",
        "arrayShape": "cr:arrayShape",
        "citeAs": "cr:citeAs",
        "column": "cr:column",
        "conformsTo": "dct:conformsTo",
        "containedIn": "cr:containedIn",
        "cr": "http://mlcommons.org/croissant/",
        "data": {"@id": "cr:data", "@type": "@json"},
        "dataType": {"@id": "cr:dataType", "@type": "@vocab"},
        "dct": "http://purl.org/dc/terms/",
        "description": {"@container": "@language"},
        "equivalentProperty": "cr:equivalentProperty",
        "examples": {"@id": "cr:examples", "@type": "@json"},
        "extract": "cr:extract",
        "field": "cr:field",
        "fileObject": "cr:fileObject",
        "fileProperty": "cr:fileProperty",
        "fileSet": "cr:fileSet",
        "format": "cr:format",
        "includes": "cr:includes",
        "isArray": "cr:isArray",
        "isLiveDataset": "cr:isLiveDataset",
        "jsonPath": "cr:jsonPath",
        "key": "cr:key",
        "md5": "cr:md5",
        "name": {"@container": "@language"},
        "parentField": "cr:parentField",
        "path": "cr:path",
        "rai": "http://mlcommons.org/croissant/RAI/",
        "recordSet": "cr:recordSet",
        "references": "cr:references",
        "regex": "cr:regex",
        "repeated": "cr:repeated",
        "replace": "cr:replace",
        "samplingRate": "cr:samplingRate",
        "sc": "https://schema.org/",
        "separator": "cr:separator",
        "source": "cr:source",
        "subField": "cr:subField",
        "transform": "cr:transform",
    })
}
