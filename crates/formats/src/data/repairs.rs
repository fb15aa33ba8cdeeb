//! What was repaired in a record: each kind once, with the first message that it concerns.

use retort_model::{Message, Repair};

/// The repairs of a record.
#[derive(Clone, Debug, Default)]
pub(super) struct Repairs<'c>(Vec<(Repair, Option<&'c Message<'c>>)>);

impl<'c> Repairs<'c> {
    /// Notes a repair of the record as a whole.
    pub fn add(&mut self, repair: Repair) {
        self.add_at(repair, None);
    }

    /// Notes a repair, and the message that it concerns if there is one.
    pub fn add_at(&mut self, repair: Repair, message: Option<&'c Message<'c>>) {
        if !self.0.iter().any(|(known, _)| *known == repair) {
            self.0.push((repair, message));
        }
    }

    /// The repairs, in the order in which they were noted.
    pub fn iter(&self) -> impl Iterator<Item = (Repair, Option<&'c Message<'c>>)> {
        self.0.iter().copied()
    }

    /// Their kinds alone.
    pub fn kinds(&self) -> impl Iterator<Item = Repair> {
        self.0.iter().map(|(repair, _)| *repair)
    }
}
