//! Schedules: listed, added, changed, run.

use reqwest::Method;
use retort_web::wire;
use serde::de::DeserializeOwned;
use serde_json::json;

use super::verbs::dry;
use super::{Client, ClientError, Query, with_json};

impl Client {
    pub fn schedules(&self, everyone: bool) -> Result<Vec<wire::Schedule>, ClientError> {
        let query = if everyone { vec![("everyone", "true".to_owned())] } else { Query::new() };
        let found: wire::Schedules = self.get(&["schedules"], query)?;
        Ok(found.schedules)
    }

    /// The schedule of that name, or else of that number.
    pub fn schedule(&self, name: &str) -> Result<wire::Schedule, ClientError> {
        let mut all = self.schedules(false)?;
        let at = all.iter().position(|one| one.name == name);
        match (at, name.parse::<i64>()) {
            (Some(at), _) => Ok(all.swap_remove(at)),
            (None, Ok(id)) => self.get(&["schedules", &id.to_string()], Query::new()),
            (None, Err(_)) => Err(ClientError::Ended(format!("there is no schedule `{name}`"))),
        }
    }

    pub fn add_schedule(
        &self,
        asked: &wire::NewSchedule,
        is_dry: bool,
    ) -> Result<wire::Schedule, ClientError> {
        let request = self.request(Method::POST, &["schedules"], dry(is_dry))?;
        self.json(with_json(request, asked)?)
    }

    pub fn edit_schedule(
        &self,
        id: i64,
        plan: &wire::SchedulePlan,
        is_dry: bool,
    ) -> Result<wire::Schedule, ClientError> {
        let request = self.request(Method::PUT, &["schedules", &id.to_string()], dry(is_dry))?;
        self.json(with_json(request, plan)?)
    }

    pub fn pause_schedule(
        &self,
        id: i64,
        (pause, is_dry): (bool, bool),
    ) -> Result<wire::Schedule, ClientError> {
        let act = if pause { "pause" } else { "resume" };
        self.act(id, act, is_dry)
    }

    fn act<T: DeserializeOwned>(&self, id: i64, act: &str, is_dry: bool) -> Result<T, ClientError> {
        let place = ["schedules", &id.to_string(), act];
        let request = self.request(Method::POST, &place, dry(is_dry))?;
        self.json(with_json(request, &json!({}))?)
    }

    /// Queues a run; none if there is nothing new to export. In a dry run, returns the job that would be queued.
    pub fn run_schedule(&self, id: i64, is_dry: bool) -> Result<Option<wire::Job>, ClientError> {
        let run: wire::ScheduleRun = self.act(id, "run", is_dry)?;
        Ok(run.job)
    }

    pub fn schedule_runs(&self, id: i64) -> Result<Vec<wire::Job>, ClientError> {
        let found: wire::ScheduleRuns =
            self.get(&["schedules", &id.to_string(), "runs"], Query::new())?;
        Ok(found.jobs)
    }

    pub fn schedule_deliveries(&self, id: i64) -> Result<Vec<wire::DatasetDelivery>, ClientError> {
        let found: wire::DatasetDeliveries =
            self.get(&["schedules", &id.to_string(), "deliveries"], Query::new())?;
        Ok(found.deliveries)
    }

    pub fn schedule_series(&self, id: i64) -> Result<wire::Series, ClientError> {
        self.get(&["schedules", &id.to_string(), "series"], Query::new())
    }

    pub fn destinations(&self) -> Result<Vec<String>, ClientError> {
        let found: wire::Destinations = self.get(&["destinations"], Query::new())?;
        Ok(found.destinations)
    }

    pub fn delete_schedule(&self, id: i64) -> Result<(), ClientError> {
        self.remove(&["schedules", &id.to_string()])
    }
}
