//! What someone has chosen in the Export Manager: kept while they look at other filters, and on other days.

use std::collections::BTreeSet;

use retort_model::bounds::{CHOSEN_FILTERS, IDS_PER_REQUEST, SAMPLE_ITEMS, SEARCH_TEXTS};
use retort_model::{ConversationFilter, Grant, Status, fnv1a};
use retort_store::Counted;
use serde::{Deserialize, Serialize};

use crate::caller::Caller;
use crate::error::Error;
use crate::service::Service;

/// What is chosen: all that some filters match, some more by id, and some not. The store keeps it as JSON.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Choice {
    filters: Vec<ConversationFilter>,
    ids: BTreeSet<String>,
    except: BTreeSet<String>,
}

impl Choice {
    /// Whether nothing is chosen.
    pub fn is_empty(&self) -> bool {
        self.filters.is_empty() && self.ids.is_empty()
    }

    /// The conversations that are meant; none if nothing is chosen, as an empty selection means all.
    pub fn selection(&self) -> Option<ConversationFilter> {
        let by_id = (!self.ids.is_empty()).then(|| ConversationFilter {
            ids: self.ids.clone(),
            statuses: Status::ALL.to_vec(),
            ..ConversationFilter::default()
        });
        let mut all = self.filters.iter().cloned().chain(by_id);
        let first = all.next()?;
        Some(ConversationFilter { or: all.collect(), except: self.except.clone(), ..first })
    }

    /// Whether it is just what this filter matches.
    pub fn is_all_of(&self, filter: &ConversationFilter) -> bool {
        self.filters == [filter.clone()] && self.ids.is_empty() && self.except.is_empty()
    }

    fn to_json(&self) -> String {
        serde_json::to_string(self).unwrap_or_default()
    }

    /// What an earlier release wrote and this one does not understand is as if nothing were chosen.
    fn from_json(text: &str) -> Self {
        serde_json::from_str(text).unwrap_or_default()
    }
}

/// How a page of a list and a choice go together.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Chosen {
    /// How many conversations are chosen.
    pub total: Counted,
    /// How many of them the filter does not show.
    pub hidden: u64,
    /// Those of the page, by the store's numbers.
    pub here: BTreeSet<i64>,
}

impl Service {
    /// What the caller has chosen.
    pub fn choice(&self, caller: &Caller) -> Result<Choice, Error> {
        caller.needs(Grant::Read)?;
        let kept = self.store.choice(caller.project.id, &caller.name)?;
        Ok(kept.as_deref().map(Choice::from_json).unwrap_or_default())
    }

    /// Chooses all that a filter matches, beside what is chosen.
    ///
    /// # Errors
    /// Too many filters at once; those of the store.
    pub fn choose_all(
        &self,
        caller: &Caller,
        filter: &ConversationFilter,
    ) -> Result<Choice, Error> {
        let mut choice = self.choice(caller)?;
        if !choice.filters.contains(filter) {
            if choice.filters.len() >= CHOSEN_FILTERS {
                return Err(Error::TooMany(format!(
                    "{CHOSEN_FILTERS} filters are already selected together; deselect all and start again"
                )));
            }
            let texts = choice.filters.iter().chain([filter]).map(|one| one.search.len());
            if texts.sum::<usize>() > SEARCH_TEXTS {
                return Err(Error::TooMany(format!(
                    "the selected filters together search for more than {SEARCH_TEXTS} texts; deselect all and start \
                     again"
                )));
            }
            choice.filters.push(filter.clone());
        }
        if !choice.except.is_empty() {
            let mut kept = BTreeSet::new();
            for id in &choice.except {
                let one = ConversationFilter { ids: [id.clone()].into(), ..filter.clone() };
                if self.store.count(&caller.scope(), &one)? == 0 {
                    kept.insert(id.clone());
                }
            }
            choice.except = kept;
        }
        self.keep_choice(caller, choice)
    }

    /// Chooses some conversations, or no longer, by id.
    ///
    /// # Errors
    /// One of them is none of the caller's; too many by id.
    pub fn choose(
        &self,
        caller: &Caller,
        ids: &BTreeSet<String>,
        is_chosen: bool,
    ) -> Result<Choice, Error> {
        let mut choice = self.choice(caller)?;
        self.check_ids(
            caller,
            &ConversationFilter { ids: ids.clone(), ..ConversationFilter::default() },
        )?;
        for id in ids {
            if is_chosen {
                choice.except.remove(id);
                choice.ids.insert(id.clone());
            } else {
                choice.ids.remove(id);
                if !choice.filters.is_empty() {
                    choice.except.insert(id.clone());
                }
            }
        }
        if choice.ids.len() > IDS_PER_REQUEST || choice.except.len() > IDS_PER_REQUEST {
            return Err(Error::TooMany(format!(
                "at most {IDS_PER_REQUEST} conversations can be selected one by one; use a filter to select more"
            )));
        }
        self.keep_choice(caller, choice)
    }

    /// Chooses some conversations at random among those that a filter matches, beside what is chosen.
    ///
    /// # Errors
    /// Too many at a time, or too many by id; those of the store.
    pub fn choose_sample(
        &self,
        caller: &Caller,
        filter: &ConversationFilter,
        number: usize,
    ) -> Result<Choice, Error> {
        caller.needs(Grant::Read)?;
        if number > SAMPLE_ITEMS {
            return Err(Error::Choice(format!(
                "a random sample has at most {SAMPLE_ITEMS} conversations"
            )));
        }
        let seed = fnv1a(&self.clock.now().to_string());
        let ids = self.store.sample(&caller.scope(), filter, seed, number)?;
        self.choose(caller, &ids.into_iter().collect(), true)
    }

    /// Chooses nothing.
    pub fn choose_none(&self, caller: &Caller) -> Result<Choice, Error> {
        caller.needs(Grant::Read)?;
        self.keep_choice(caller, Choice::default())
    }

    fn keep_choice(&self, caller: &Caller, choice: Choice) -> Result<Choice, Error> {
        self.store.set_choice(caller.project.id, &caller.name, &choice.to_json())?;
        Ok(choice)
    }

    /// How a choice and a page of what a filter matches go together; `matching` is how many it matches.
    pub fn chosen(
        &self,
        caller: &Caller,
        choice: &Choice,
        filter: &ConversationFilter,
        matching: Counted,
        keys: &[i64],
    ) -> Result<Chosen, Error> {
        caller.needs(Grant::Read)?;
        let Some(selection) = choice.selection() else { return Ok(Chosen::default()) };
        if choice.is_all_of(filter) {
            let here = keys.iter().copied().collect();
            return Ok(Chosen { total: matching, hidden: 0, here });
        }
        let scope = caller.scope();
        let count = self.store.count(&scope, &selection)?;
        let shown = self.store.count_both(&scope, &selection, filter)?;
        let here = self.store.among(&scope, &selection, keys)?;
        let total = Counted { count, is_least: false };
        Ok(Chosen { total, hidden: count.saturating_sub(shown), here })
    }

    /// Whether a conversation is chosen, by the store's number.
    ///
    /// # Errors
    /// The caller may not read; those of the store.
    pub fn is_chosen(&self, caller: &Caller, key: i64) -> Result<bool, Error> {
        let Some(selection) = self.choice(caller)?.selection() else { return Ok(false) };
        Ok(!self.store.among(&caller.scope(), &selection, &[key])?.is_empty())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_choice_comes_back_as_it_was_kept() {
        let filter = ConversationFilter {
            search: vec!["a".parse().unwrap()],
            created: "2024-01-01..2024-02-01".parse().unwrap(),
            statuses: vec![Status::Deleted],
            ..ConversationFilter::default()
        };
        let choice = Choice {
            filters: vec![filter.clone()],
            ids: ["x".into()].into(),
            except: ["y".into()].into(),
        };
        assert_eq!(Choice::from_json(&choice.to_json()), choice);
        assert_eq!(Choice::from_json("{\"other\":1}"), Choice::default());
        let of_before = r#"{"filters":[{"search":["a"],"created_from":"2024-01-01T00:00:00Z",
            "created_before":"2024-02-01T00:00:00Z","statuses":["deleted"]}],"ids":["x"],"except":["y"]}"#;
        assert_eq!(Choice::from_json(of_before), choice);
        let of_later = of_before.replace("search", "poem");
        assert_eq!(Choice::from_json(&of_later), Choice::default());
        let selection = choice.selection().unwrap();
        assert_eq!(selection.search, filter.search);
        assert_eq!(selection.or.len(), 1);
        assert!(Choice::default().selection().is_none());
        assert!(!choice.is_all_of(&filter));
    }
}
