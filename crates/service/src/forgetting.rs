//! What an erasure forgets of a person beside their items: what they said about items of others, and their name where
//! something is kept that names them.

use retort_model::{ItemKind, Scope, canonical};
use retort_store::{AskedIn, Incoming, JudgedItem};
use serde_json::{Map, Value};

use crate::caller::LOCAL;
use crate::error::Error;
use crate::forgotten::{forget_asked, forget_name};
use crate::import::{incoming_of, incoming_run};
use crate::service::Service;

impl Service {
    /// Takes back what a person said about items that others hold.
    pub(crate) fn forget_judgements(&self, project: i64, name: &str) -> Result<(), Error> {
        for kind in [ItemKind::Conversation, ItemKind::Run] {
            let mut behind = 0;
            while let Some(item) = self.store.next_judged(kind, (project, name), behind)? {
                let is_done = match kind {
                    ItemKind::Conversation => self.forget_in_conversation(project, &item, name)?,
                    ItemKind::Run | ItemKind::Document => self.forget_in_run(&item, name)?,
                };
                // One that was changed meanwhile is read again.
                if is_done {
                    self.store.forget_earlier_states(item.key)?;
                    behind = item.key;
                }
            }
        }
        Ok(())
    }

    fn forget_in_conversation(
        &self,
        project: i64,
        item: &JudgedItem,
        name: &str,
    ) -> Result<bool, Error> {
        let mut whole = canonical::read(text_of(item)?).map_err(|error| damaged(item, &error))?;
        if !whole.forget_judge(name) {
            return Ok(true);
        }
        let mut line = Vec::new();
        let incoming = incoming_of(&whole, false, self.clock.now(), &mut line);
        let incoming = Incoming { body: self.store.packer().pack(&line)?, ..incoming };
        let scope = Scope::project(project);
        Ok(self.store.change_body(&scope, item.key, item.body, &incoming, None)?)
    }

    fn forget_in_run(&self, item: &JudgedItem, name: &str) -> Result<bool, Error> {
        let mut run = canonical::read_run(text_of(item)?).map_err(|error| damaged(item, &error))?;
        if !run.forget_judge(name) {
            return Ok(true);
        }
        let mut line = Vec::new();
        canonical::write_run(&run, &mut line);
        let body = self.store.packer().pack(&line)?;
        let incoming = incoming_run(&run, &line, body);
        Ok(self.store.change_judged_run((item.key, item.body), &incoming)?)
    }

    /// How many items of others still say something of a person's.
    pub(crate) fn said_by(&self, project: i64, name: &str) -> Result<u64, Error> {
        Ok(self.store.judged_by(project, name)?.iter().sum())
    }

    /// Takes the name of a person out of what exports, schedules, saved views and selections ask for.
    pub(crate) fn forget_asked(&self, project: i64, name: &str) -> Result<(), Error> {
        // As JSON writes it.
        let quoted = serde_json::to_string(name).unwrap_or_default();
        let quoted = quoted.trim_matches('"');
        for place in AskedIn::ALL {
            for was in self.store.asked_with(project, place, quoted)? {
                let Ok(mut fields) = serde_json::from_str::<Map<String, Value>>(&was) else {
                    continue;
                };
                let is_changed = match place {
                    AskedIn::Exports => {
                        // The rest of a plan is options, whose words may be names, too.
                        let selection = fields.get_mut("selection").and_then(Value::as_object_mut);
                        selection.map_or(0, |selection| forget_name(selection, name))
                            + forget_asked(&mut fields, name)
                    }
                    _ => forget_asked(&mut fields, name),
                } > 0;
                if is_changed {
                    let becomes = serde_json::to_string(&fields).unwrap_or_default();
                    self.store.replace_asked(project, place, (&was, &becomes))?;
                }
            }
        }
        Ok(())
    }

    /// Takes the name of a person who is not in the project any more out of what they made there.
    pub(crate) fn forget_maker(&self, project: i64, erasure: i64, name: &str) -> Result<(), Error> {
        if name != LOCAL {
            self.store.forget_maker(project, erasure, name)?;
        }
        Ok(())
    }
}

fn text_of(item: &JudgedItem) -> Result<&str, Error> {
    std::str::from_utf8(&item.line).map_err(|error| damaged(item, &error))
}

fn damaged(item: &JudgedItem, why: &dyn std::fmt::Display) -> Error {
    retort_store::Error::Damaged(format!("the item `{}`: {why}", item.id)).into()
}
