//! Erasures of everything of a person.

use reqwest::Method;
use retort_web::wire;

use super::verbs::page_behind;
use super::{Client, ClientError, Query, with_json};
use crate::pages::all_of;

fn person(name: &str) -> wire::ErasurePerson {
    wire::ErasurePerson { person: name.to_owned() }
}

impl Client {
    /// What a person has in the project.
    pub fn erasure_preview(&self, name: &str) -> Result<wire::ErasurePreview, ClientError> {
        self.post(&["erasures", "preview"], &person(name))
    }

    pub fn erase(&self, name: &str) -> Result<wire::Erasure, ClientError> {
        self.post(&["erasures"], &person(name))
    }

    pub fn lift_erasure(&self, name: &str) -> Result<(), ClientError> {
        let request = self.request(Method::POST, &["erasures", "lift"], Query::new())?;
        self.done(with_json(request, &person(name))?)
    }

    pub fn erasure(&self, id: i64) -> Result<wire::Erasure, ClientError> {
        self.get(&["erasures", &id.to_string()], Query::new())
    }

    /// All erasures, the newest first.
    pub fn erasures(&self) -> Result<Vec<wire::Erasure>, ClientError> {
        all_of(|after| {
            let page: wire::Erasures = self.get(&["erasures"], page_behind(after, false))?;
            Ok((page.erasures, page.next))
        })
    }

    /// The public key of the receipts, as the text of a PEM file.
    pub fn receipt_key(&self) -> Result<String, ClientError> {
        let page: wire::Erasures = self.get(&["erasures"], Query::new())?;
        Ok(page.public_key)
    }
}
