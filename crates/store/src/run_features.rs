//! The columns that say what filters ask of a run beyond its own fields. Runs that were taken in before there were such
//! columns get theirs when the store is opened the first time: page by page, so that a kill loses no more than a page.

use retort_model::bounds::{ITEM_BYTES, MODELS, PAGE_ITEMS};
use retort_model::{ItemKind, RunFeatures, canonical};

use crate::body::Unpacker;
use crate::columns::{array_of, key_text, title_text};
use crate::dialect::{Connection, Value};
use crate::error::Error;
use crate::features::{judges_column, readable_line};

/// The columns `models`, `least_score`, `most_score`, `environment` and `judges`.
pub(crate) struct RunFeatureColumns {
    /// Never null: that stands for features that were not read so far.
    models: String,
    scores: [Option<i64>; 2],
    environment: Option<String>,
    judges: Option<String>,
}

impl From<&RunFeatures> for RunFeatureColumns {
    fn from(features: &RunFeatures) -> Self {
        Self {
            models: array_of(features.models.iter().take(MODELS).map(|model| title_text(model))),
            scores: features.scores.map_or([None; 2], |scores| scores.map(Some)),
            environment: features.environment.as_deref().map(|name| key_text(name).into_owned()),
            judges: judges_column(&features.judges),
        }
    }
}

impl RunFeatureColumns {
    /// The values, in the order of the columns.
    pub(crate) fn values(&self) -> [Value<'_>; 5] {
        let [least, most] = self.scores;
        [
            Value::Text(&self.models),
            least.into(),
            most.into(),
            self.environment.as_ref().into(),
            self.judges.as_ref().into(),
        ]
    }
}

impl crate::Store {
    /// Reads from their bodies what filters ask of runs that were taken in before it was kept. A body that is damaged
    /// says nothing.
    pub(crate) fn read_run_features(&self) -> Result<(), Error> {
        self.read_unread("run", "models", read_page)
    }
}

/// Reads the features of a page of runs; says whether there were any.
fn read_page(connection: &mut Connection, unpacker: &mut Unpacker<'_>) -> Result<bool, Error> {
    let sql = format!(
        "SELECT key, size, body FROM run WHERE models IS NULL ORDER BY key LIMIT {PAGE_ITEMS}"
    );
    let page = connection.rows(&sql, &[], |row| Ok((row.int(0)?, row.int(1)?, row.int(2)?)))?;
    let mut page_bytes = 0;
    for (key, size, body) in &page {
        let line = readable_line(connection, unpacker, ItemKind::Run, (*body, *size))?;
        let text = std::str::from_utf8(&line).unwrap_or_default();
        let features =
            canonical::read_run(text).map(|run| RunFeatures::of(&run)).unwrap_or_default();
        let columns = RunFeatureColumns::from(&features);
        let sql = "UPDATE run SET models = $1, least_score = $2, most_score = $3, environment = $4,
                       judges = $5
                   WHERE key = $6";
        let mut values: Vec<Value<'_>> = columns.values().into();
        values.push(Value::Int(*key));
        connection.execute(sql, &values)?;
        page_bytes += line.len();
        if page_bytes > ITEM_BYTES {
            break;
        }
    }
    Ok(!page.is_empty())
}
