//! Signed statements on packages, as [in-toto](https://github.com/in-toto/attestation/blob/main/spec/v1/statement.md) has them:
//! the subject is every file of the package with its hash, the predicate what the receipt says.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::atomic::AtomicBool;

use retort_formats::package::MANIFEST;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

use crate::error::Error;
use crate::package::Package;
use crate::signing::{IN_TOTO, PublicKey, SecretKey, open_envelope};
use crate::storage::read_through;
use crate::verify::{Difference, verify_package};

/// The type of a statement.
const STATEMENT: &str = "https://in-toto.io/Statement/v1";

/// The type of what is said of a package: its receipt, without the files, which are the subject.
const DATASET: &str = "urn:retort:dataset:v1";

/// What the name of a statement's file ends on, beside its package.
const ENDING: &str = ".statement.json";

#[derive(Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Statement {
    #[serde(rename = "_type")]
    kind: String,
    subject: Vec<Subject>,
    predicate_type: String,
    predicate: Map<String, Value>,
}

#[derive(Serialize, Deserialize)]
struct Subject {
    name: String,
    digest: BTreeMap<String, String>,
}

/// Where the statement of a package is, if it is beside it.
pub fn statement_path(package: &Path) -> PathBuf {
    let whole = std::path::absolute(package).unwrap_or_else(|_| package.to_owned());
    let mut name = whole.file_name().unwrap_or_default().to_owned();
    name.push(ENDING);
    whole.with_file_name(name)
}

/// A signed statement on a package, as JSON text. The same package and key give the same bytes.
///
/// # Errors
/// The package cannot be read, or is not as its receipt says.
pub fn sign_package(path: &Path, key: &SecretKey) -> Result<String, Error> {
    let mut package = Package::open(path)?;
    let verified = verify_package(&mut package, &AtomicBool::new(false))?;
    if let Some(first) = verified.differences.first() {
        return Err(Error::Choice(format!(
            "{} does not match its receipt, so it is not signed: {}: {}",
            path.display(),
            first.file,
            first.what
        )));
    }
    let statement = statement_of(&mut package)?;
    let text = serde_json::to_vec(&statement).map_err(|error| Error::bug(error.to_string()))?;
    Ok(key.seal(IN_TOTO, &text))
}

fn statement_of(package: &mut Package) -> Result<Statement, Error> {
    let subject = |(name, sha256): (String, String)| Subject {
        name,
        digest: BTreeMap::from([("sha256".to_owned(), sha256)]),
    };
    let mut predicate = match serde_json::to_value(package.manifest()) {
        Ok(Value::Object(fields)) => fields,
        _ => Map::new(),
    };
    predicate.remove("files");
    Ok(Statement {
        kind: STATEMENT.to_owned(),
        subject: hashes(package)?.into_iter().map(subject).collect(),
        predicate_type: DATASET.to_owned(),
        predicate,
    })
}

/// The files of a package that its receipt lists, and the receipt, with their hashes.
fn hashes(package: &mut Package) -> Result<BTreeMap<String, String>, Error> {
    let files = package.manifest().files.iter();
    let mut hashes: BTreeMap<String, String> =
        files.map(|file| (file.path.clone(), file.sha256.clone())).collect();
    let failed = |source| Error::Failed { what: "the receipt", source };
    let (_, sha256, _) =
        package.file(MANIFEST).and_then(|mut file| read_through(&mut file)).map_err(failed)?;
    hashes.insert(MANIFEST.to_owned(), sha256);
    Ok(hashes)
}

/// Compares a package with the signed statement in a file. What is wrong is the result; the package itself is compared
/// with its receipt by [`verify_package`].
///
/// # Errors
/// The package or the file cannot be read.
pub fn check_statement(
    package: &mut Package,
    statement: &Path,
    key: &PublicKey,
) -> Result<Vec<Difference>, Error> {
    let name = statement.file_name().unwrap_or_default().to_string_lossy().into_owned();
    let differ = |what: String| Difference { file: name.clone(), what };
    let payload = match open_envelope(statement, key)? {
        Ok((kind, payload)) if kind == IN_TOTO => payload,
        Ok((kind, _)) => {
            return Ok(vec![differ(format!(
                "it is signed, but it is a `{kind}`, not a statement"
            ))]);
        }
        Err(why) => return Ok(vec![differ(why)]),
    };
    let said: Statement = match serde_json::from_slice(&payload) {
        Ok(said) => said,
        Err(error) => {
            return Ok(vec![differ(format!("it is signed, but it is not a statement: {error}"))]);
        }
    };
    if said.kind != STATEMENT || said.predicate_type != DATASET {
        let what = format!("it is signed, but not about a dataset: `{}`", said.predicate_type);
        return Ok(vec![differ(what)]);
    }
    let mut signed: BTreeMap<&str, Option<&String>> =
        said.subject.iter().map(|one| (&*one.name, one.digest.get("sha256"))).collect();
    let mut differences = Vec::new();
    for (file, sha256) in hashes(package)? {
        let what = match signed.remove(&*file) {
            Some(Some(said)) if *said == sha256 => continue,
            Some(said) => {
                let said = said.map_or("no hash", String::as_str);
                format!("SHA-256 {sha256}, the statement says {said}")
            }
            None => "the statement does not name it".to_owned(),
        };
        differences.push(Difference { file, what });
    }
    for file in signed.into_keys() {
        differences
            .push(Difference { file: file.to_owned(), what: "the statement names it".into() });
    }
    Ok(differences)
}
