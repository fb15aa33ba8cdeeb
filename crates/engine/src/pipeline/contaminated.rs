//! The stage that looks for text of benchmarks in items ([`crate::decontaminate`]).

use retort_model::{LeftOut, Reason, Warning};

use super::item::{ReadItem, Standing};
use super::stage::{Stage, Warn};
use crate::decontaminate::{Benchmarks, Contaminated};

/// Leaves out contaminated items, or warns about them.
pub(super) struct Decontaminating<'p>(&'p Benchmarks);

impl<'p> Decontaminating<'p> {
    /// The stage, if there are benchmarks.
    pub(super) fn of(benchmarks: Option<&'p Benchmarks>) -> Option<Self> {
        benchmarks.map(Self)
    }
}

impl Stage for Decontaminating<'_> {
    fn examine(&self, items: &mut [ReadItem<'_>], warn: &mut Warn<'_>) {
        for one in items.iter_mut().filter(|one| one.standing == Standing::Open) {
            let Some(overlap) = self.0.find(&one.item) else { continue };
            let detail = overlap.words();
            match self.0.action() {
                Contaminated::LeaveOut => {
                    let why = LeftOut::new(Reason::Contaminated, detail);
                    one.standing = Standing::LeftOut(why);
                }
                Contaminated::Report => warn(one, Warning::Contaminated, Some(&detail)),
            }
        }
    }

    fn chooses(&self) -> bool {
        false
    }
}
