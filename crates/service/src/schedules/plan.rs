//! What a schedule exports, when, and under which name; and how the store keeps it.

use retort_engine::DatasetPlan;
use retort_model::{
    Cron, DatasetName, DeliverTo, ItemFilter, ItemKind, Keep, NamePattern, Time, TimeRule, Timing,
    WindowKind,
};
use retort_store::Schedule;
use serde::{Deserialize, Serialize};
use serde_json::value::RawValue;

use crate::error::Error;

/// The most hours between two runs: a year.
const MOST_HOURS: u32 = 8_784;

/// The most minutes for which a period may wait: a month.
const MOST_SETTLE_MINUTES: u32 = 31 * 24 * 60;

/// What a schedule exports, when, and under which name.
#[derive(Clone)]
pub struct SchedulePlan {
    /// Which items match.
    pub selection: ItemFilter,
    /// The datasets' plan; each run replaces the name in it.
    pub dataset: DatasetPlan,
    /// The names of the datasets.
    pub pattern: NamePattern,
    /// When it runs, and which window it then exports.
    pub timing: Timing,
    /// Which of its datasets are kept; none keeps all.
    pub keep: Option<Keep>,
    /// Where the datasets are delivered; none leaves them in the store.
    pub deliver_to: Option<DeliverTo>,
}

/// A schedule and what it exports.
#[derive(Clone)]
pub struct Scheduled {
    /// What the store knows of it.
    pub schedule: Schedule,
    /// What it exports.
    pub plan: SchedulePlan,
}

/// A plan as the store keeps it.
#[derive(Serialize, Deserialize)]
struct KeptPlan {
    items: String,
    selection: Box<RawValue>,
    dataset: Box<RawValue>,
    dataset_name: String,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    cron: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    every_hours: Option<u32>,
    /// Where the hours are counted from, in microseconds since 1970.
    #[serde(default)]
    from: i64,
    zone: String,
    window: String,
    settle_minutes: u32,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    keep_datasets: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    keep_days: Option<u64>,
    #[serde(skip_serializing_if = "Option::is_none", default)]
    destination: Option<String>,
    #[serde(skip_serializing_if = "String::is_empty", default)]
    prefix: String,
    #[serde(skip_serializing_if = "std::ops::Not::not", default)]
    by_date: bool,
}

impl SchedulePlan {
    /// Refuses a plan that no run could carry out, or that would leave items out for good.
    pub(crate) fn check(&self) -> Result<(), Error> {
        let refused = |why: String| Err(Error::Choice(why));
        if let TimeRule::EveryHours(hours, _) = self.timing.rule
            && !(1..=MOST_HOURS).contains(&hours)
        {
            return refused(format!(
                "a schedule runs every 1 to {MOST_HOURS} hours, not every {hours}"
            ));
        }
        if self.timing.settle_minutes > MOST_SETTLE_MINUTES {
            return refused(format!("the settling time is at most {MOST_SETTLE_MINUTES} minutes"));
        }
        if self.timing.settle_minutes > 0 && self.timing.window != WindowKind::Period {
            return refused("only the window `period` takes a settling time".into());
        }
        if self.timing.window != WindowKind::All && self.selection.limit().is_some() {
            return refused(format!(
                "with the window `{}`, a limit would leave items out for good; remove the limit",
                self.timing.window
            ));
        }
        if matches!(self.keep, Some(Keep::Datasets(0) | Keep::Days(0))) {
            return refused(
                "keep at least one dataset, or the datasets of at least one day".into(),
            );
        }
        Ok(())
    }

    /// The dataset's name of a run that is named after that moment.
    pub(crate) fn name(&self, moment: Time, number: u64) -> Result<DatasetName, Error> {
        self.timing.name(&self.pattern, moment, number).map_err(Error::Choice)
    }

    /// Whether the windows of this plan cannot continue those of the plan before.
    pub(crate) fn restarts_after(&self, before: &Self) -> bool {
        let exported = |plan: &Self| {
            let kept = plan.kept();
            (
                kept.items,
                kept.selection.get().to_owned(),
                kept.dataset.get().to_owned(),
                kept.window,
            )
        };
        exported(self) != exported(before)
            || self.goes_elsewhere_than(before)
            || (self.timing.window == WindowKind::Period && self.timing != before.timing)
    }

    /// Whether its datasets are delivered elsewhere than those of the plan before.
    pub(crate) fn goes_elsewhere_than(&self, before: &Self) -> bool {
        let to = |plan: &Self| plan.deliver_to.as_ref().map(|to| to.destination.clone());
        to(self) != to(before)
    }

    pub(crate) fn to_json(&self) -> String {
        serde_json::to_string(&self.kept()).unwrap_or_default()
    }

    fn kept(&self) -> KeptPlan {
        let raw = |text: String| RawValue::from_string(text).unwrap_or_default();
        let (cron, every_hours, from) = match &self.timing.rule {
            TimeRule::Cron(cron) => (Some(cron.to_string()), None, 0),
            TimeRule::EveryHours(hours, from) => (None, Some(*hours), from.unix_micros()),
        };
        let (keep_datasets, keep_days) = match self.keep {
            Some(Keep::Datasets(count)) => (Some(count), None),
            Some(Keep::Days(days)) => (None, Some(days)),
            None => (None, None),
        };
        KeptPlan {
            items: self.selection.kind().to_string(),
            selection: raw(serde_json::to_string(&self.selection).unwrap_or_default()),
            dataset: raw(self.dataset.to_json()),
            dataset_name: self.pattern.to_string(),
            cron,
            every_hours,
            from,
            zone: self.timing.zone.to_string(),
            window: self.timing.window.to_string(),
            settle_minutes: self.timing.settle_minutes,
            keep_datasets,
            keep_days,
            destination: self.deliver_to.as_ref().map(|to| to.destination.clone()),
            prefix: self.deliver_to.as_ref().map(|to| to.prefix.to_string()).unwrap_or_default(),
            by_date: self.deliver_to.as_ref().is_some_and(|to| to.by_date),
        }
    }

    pub(crate) fn read(schedule: &Schedule) -> Result<Self, Error> {
        let fail =
            |why: String| Error::Choice(format!("the plan of schedule `{}`: {why}", schedule.name));
        let kept: KeptPlan =
            serde_json::from_str(&schedule.plan).map_err(|error| fail(error.to_string()))?;
        kept.plan().map_err(fail)
    }
}

impl KeptPlan {
    fn plan(self) -> Result<SchedulePlan, String> {
        let selection = self.selection.get();
        let wrong = |error: serde_json::Error| error.to_string();
        let selection: ItemFilter = match self.items.parse::<ItemKind>()? {
            ItemKind::Conversation => {
                ItemFilter::Conversations(serde_json::from_str(selection).map_err(wrong)?)
            }
            ItemKind::Run => ItemFilter::Runs(serde_json::from_str(selection).map_err(wrong)?),
            ItemKind::Document => {
                ItemFilter::Documents(serde_json::from_str(selection).map_err(wrong)?)
            }
        };
        let rule = match (self.cron, self.every_hours) {
            (Some(cron), None) => TimeRule::Cron(cron.parse::<Cron>()?),
            (None, Some(hours)) => {
                let from =
                    Time::from_unix_micros(self.from).ok_or("its hours count from no moment")?;
                TimeRule::EveryHours(hours, from)
            }
            _ => return Err("it has no rule".into()),
        };
        let timing = Timing {
            rule,
            zone: self.zone.parse()?,
            window: self.window.parse()?,
            settle_minutes: self.settle_minutes,
        };
        let deliver_to = match self.destination {
            Some(destination) => {
                Some(DeliverTo { destination, prefix: self.prefix.parse()?, by_date: self.by_date })
            }
            None => None,
        };
        Ok(SchedulePlan {
            selection,
            dataset: DatasetPlan::from_json(self.dataset.get())?,
            pattern: self.dataset_name.parse()?,
            timing,
            keep: self.keep_datasets.map(Keep::Datasets).or(self.keep_days.map(Keep::Days)),
            deliver_to,
        })
    }
}
