//! Conversations looked at and changed.

use std::collections::{BTreeSet, HashMap};

use retort_engine::pipeline::Edits;
use retort_formats::import::{self, Notes};
use retort_model::bounds::{TAG_CHARACTERS, TAGS, TITLE_CHARACTERS};
use retort_model::{
    Action, Conversation, ConversationFilter, Grant, Parent, Role, Round, Status, canonical,
};
use retort_store::{Counted, Cursor, Edit, Incoming, Order, Page, Summary};

use crate::caller::Caller;
use crate::error::Error;
use crate::idempotency::in_project;
use crate::import::incoming_of;
use crate::memory::take_for_item;
use crate::service::Service;

/// Bytes of a line that is read for its first question alone: a page of a list has fifty of them.
const QUESTION_LINE_BYTES: u64 = 1 << 20;

/// Characters of a first question.
const QUESTION: usize = 200;

/// The beginning of what a person first said, on one line; none if nobody said anything.
pub fn first_question(conversation: &Conversation<'_>) -> Option<String> {
    let path = conversation.active_path();
    let rounds = path.iter().filter_map(|&place| conversation.rounds.get(place));
    let mut said = rounds.flat_map(|round| &round.messages).filter(|one| one.role == Role::User);
    said.find_map(|message| {
        let text = message.words().decoded().into_owned();
        let words = text.split_whitespace().take(QUESTION).collect::<Vec<_>>().join(" ");
        let question: String = words.chars().take(QUESTION).collect();
        (!question.is_empty()).then_some(question)
    })
}

/// How often a change of an item is begun again because someone else changed it meanwhile.
pub(crate) const REWRITES: usize = 20;

impl Service {
    /// A page of the conversations.
    pub fn list(
        &self,
        caller: &Caller,
        selection: &ConversationFilter,
        order: Order,
        after: Option<Cursor>,
        most: usize,
    ) -> Result<Page, Error> {
        caller.needs(Grant::Read)?;
        Ok(self.store.list(&caller.scope(), selection, order, after, most)?)
    }

    /// The conversations before and after one in the list that a filter makes in that order.
    ///
    /// # Errors
    /// The caller may not read; those of the store.
    pub fn neighbours(
        &self,
        caller: &Caller,
        filter: &ConversationFilter,
        order: Order,
        one: &Summary,
    ) -> Result<[Option<Summary>; 2], Error> {
        caller.needs(Grant::Read)?;
        Ok(self.store.neighbours(&caller.scope(), filter, order, one)?)
    }

    /// The first question of each of these conversations that has no title, by the store's numbers: the beginning of
    /// its first line.
    pub fn first_questions(
        &self,
        caller: &Caller,
        summaries: &[Summary],
    ) -> Result<HashMap<i64, String>, Error> {
        caller.needs(Grant::Read)?;
        let mut unpacker = self.store.unpacker();
        let mut questions = HashMap::new();
        let is_untitled = |one: &&Summary| {
            one.title.as_ref().is_none_or(|title| title.trim().is_empty())
                && one.size <= QUESTION_LINE_BYTES
        };
        for summary in summaries.iter().filter(is_untitled) {
            let Some(line) = self.store.line(summary, &mut unpacker)? else { continue };
            let conversation =
                std::str::from_utf8(&line).ok().and_then(|line| canonical::read(line).ok());
            if let Some(question) = conversation.as_ref().and_then(first_question) {
                questions.insert(summary.key, question);
            }
        }
        Ok(questions)
    }

    /// How many conversations the selection means.
    pub fn count(&self, caller: &Caller, selection: &ConversationFilter) -> Result<u64, Error> {
        caller.needs(Grant::Read)?;
        Ok(self.store.count(&caller.scope(), selection)?)
    }

    /// As [`Service::count`], or a lower bound where an exact count would take long.
    pub fn count_quickly(
        &self,
        caller: &Caller,
        selection: &ConversationFilter,
    ) -> Result<Counted, Error> {
        caller.needs(Grant::Read)?;
        Ok(self.store.count_quickly(&caller.scope(), selection)?)
    }

    /// The conversations with that id, each with its canonical line as it stands now.
    ///
    /// # Errors
    /// There is none; it is damaged; those of the store.
    pub fn show(&self, caller: &Caller, id: &str) -> Result<Vec<(Summary, Vec<u8>)>, Error> {
        caller.needs(Grant::Read)?;
        let found = self.store.find(&caller.scope(), id)?;
        if found.is_empty() {
            return Err(no_conversation(id));
        }
        let sum = |of: fn(&Summary) -> u64| found.iter().map(of).sum();
        take_for_item(sum(|one| one.size), sum(|one| one.messages))?;
        let mut unpacker = self.store.unpacker();
        found
            .into_iter()
            .map(|summary| {
                let line = self.store.line(&summary, &mut unpacker)?;
                let line = line.ok_or_else(|| no_conversation(id))?;
                let line = with_edits(&summary, &line)?;
                Ok((summary, line))
            })
            .collect()
    }

    /// The one conversation with that id, of that source if one is named. What the project imported comes before what
    /// members did for themselves.
    pub fn find_one(
        &self,
        caller: &Caller,
        id: &str,
        source: Option<&str>,
    ) -> Result<Summary, Error> {
        let mut found = self.store.find(&caller.scope(), id)?;
        found.retain(|one| source.is_none_or(|source| one.source == source));
        keep_first_space(caller, &mut found, |one| one.member.as_deref());
        match <[Summary; 1]>::try_from(found) {
            Ok([one]) => Ok(one),
            Err(none) if none.is_empty() => Err(no_conversation(id)),
            Err(several) => {
                let sources: Vec<_> =
                    several.iter().map(|one| format!("`{}`", one.source)).collect();
                Err(Error::Choice(format!(
                    "conversations of several sources have this id; name one source: {}",
                    sources.join(", ")
                )))
            }
        }
    }

    /// Changes the conversations that the selection means; says how many were changed.
    ///
    /// # Errors
    /// One of the ids is none that the caller may see, and nothing was changed; those of the store.
    pub fn edit(
        &self,
        caller: &Caller,
        selection: &ConversationFilter,
        edit: &Edit,
    ) -> Result<u64, Error> {
        let action = match edit {
            Edit::Title(_) | Edit::Tags { .. } | Edit::Favorite(_) => Action::Edit,
            Edit::Delete | Edit::Restore => Action::Delete,
            Edit::Purge => Action::Purge,
        };
        self.audited(caller, action, &meant(selection), || {
            caller.needs(Grant::Write)?;
            check_edit(edit)?;
            self.check_ids(caller, selection)?;
            self.check_tags(caller, selection, edit)?;
            Ok(self.store.edit(&caller.scope(), selection, edit)?)
        })
    }

    /// Refuses to add tags to a conversation that is named and has as many as it may have.
    fn check_tags(
        &self,
        caller: &Caller,
        selection: &ConversationFilter,
        edit: &Edit,
    ) -> Result<(), Error> {
        let Edit::Tags { add, remove } = edit else { return Ok(()) };
        for id in &selection.ids {
            for one in self.store.find(&caller.scope(), id)? {
                let stay = one.tags.iter().filter(|tag| !remove.contains(tag)).count();
                let new = add.iter().filter(|tag| !one.tags.contains(tag)).count();
                if new > 0 && stay + new > TAGS {
                    return Err(Error::Conflict(format!(
                        "the conversation `{id}` would have more than {TAGS} tags; remove some first"
                    )));
                }
            }
        }
        Ok(())
    }

    /// Refuses a selection that names an id of which the caller has no conversation.
    ///
    /// # Errors
    /// As it says; those of the store.
    pub fn check_ids(&self, caller: &Caller, selection: &ConversationFilter) -> Result<(), Error> {
        for id in &selection.ids {
            if self.store.find(&caller.scope(), id)?.is_empty() {
                return Err(no_conversation(id));
            }
        }
        Ok(())
    }

    /// Appends what was said next: `messages` is an object or array of chat messages, as the format `openai` reads
    /// them. It follows the round that is shown, or the one with the number `after`. `key` is that of the request, if it
    /// began under one: it is done with what it appends, and not once more.
    ///
    /// # Errors
    /// There is no such conversation or round; the messages cannot be read.
    pub fn append(
        &self,
        caller: &Caller,
        id: &str,
        source: Option<&str>,
        messages: &str,
        after: Option<u32>,
        key: Option<&str>,
    ) -> Result<Summary, Error> {
        self.audited(caller, Action::Edit, id, || {
            caller.needs(Grant::Write)?;
            let format = import::by_name("openai")
                .ok_or_else(|| Error::Choice("the format `openai` is gone".into()))?;
            let more = format
                .read(messages, &mut Notes::default())
                .map_err(|error| Error::Choice(format!("byte {}: {error}", error.at)))?
                .into_conversation()
                .ok_or_else(|| Error::Choice("these are not messages".into()))?
                .into_owned();
            let key = key.map(|key| in_project(caller, key));
            self.rewrite(caller, (id, source), key.as_deref(), |whole| {
                add_rounds(whole, more.rounds.clone(), after)?;
                whole.updated_at = Some(self.clock.now()).max(whole.updated_at);
                Ok(true)
            })?;
            self.find_one(caller, id, source)
        })
    }

    /// Changes what a conversation says; whether it changed. `change` may be called again, if others changed it meanwhile.
    pub(crate) fn rewrite(
        &self,
        caller: &Caller,
        (id, source): (&str, Option<&str>),
        key: Option<&str>,
        mut change: impl FnMut(&mut Conversation<'_>) -> Result<bool, Error>,
    ) -> Result<bool, Error> {
        for _ in 0..REWRITES {
            let summary = self.find_one(caller, id, source)?;
            if summary.status == Status::Deleted {
                return Err(Error::Conflict(format!(
                    "the conversation `{id}` is deleted; restore it first"
                )));
            }
            take_for_item(summary.size, summary.messages)?;
            let line = self.store.line(&summary, &mut self.store.unpacker())?;
            let line = line.ok_or_else(|| no_conversation(id))?;
            let mut whole = read(&summary, &line)?;
            if !change(&mut whole)? {
                return Ok(false);
            }
            let mut line = Vec::new();
            let item = incoming_of(&whole, false, self.clock.now(), &mut line);
            let most = self.settings.quotas.item_bytes;
            if line.len() > most {
                let most = most / 1_000_000;
                return Err(Error::Choice(format!(
                    "the conversation `{id}` would be larger than the item size limit of {most} MB; begin a new one"
                )));
            }
            let item = Incoming { body: self.store.packer().pack(&line)?, ..item };
            let request = key.map(|key| (caller.person.unwrap_or(0), key));
            let scope = caller.scope();
            if self.store.change_body(&scope, summary.key, summary.body, &item, request)? {
                return Ok(true);
            }
        }
        Err(Error::Conflict(format!("others keep changing the conversation `{id}`; try again")))
    }
}

/// A page of a list, and its last row's number if there are more rows.
pub(crate) fn with_next<T>(
    (page, has_more): (Vec<T>, bool),
    number: impl Fn(&T) -> i64,
) -> (Vec<T>, Option<i64>) {
    let next = page.last().filter(|_| has_more).map(number);
    (page, next)
}

/// Keeps the items whose ids are in one space with the first's, so that nobody's import makes an id ambiguous for
/// others. Of what another member imported for themselves, only the first is kept.
pub fn keep_first_space<T>(
    caller: &Caller,
    found: &mut Vec<T>,
    member: impl Fn(&T) -> Option<&str>,
) {
    let first = found.first().and_then(|one| member(one).map(str::to_owned));
    found.retain(|one| member(one) == first.as_deref());
    if first.is_some() && first != caller.scope().owner {
        found.truncate(1);
    }
}

/// What a selection means, for the audit log: ids, or that it is a filter.
pub(crate) fn meant(selection: &ConversationFilter) -> String {
    named(&selection.ids)
}

/// As [`meant`], of ids alone.
pub(crate) fn named(ids: &BTreeSet<String>) -> String {
    match (ids.first(), ids.len()) {
        (None, _) => "those that a filter matches".into(),
        (Some(one), 1) => one.clone(),
        (Some(first), count) => format!("{first} and {} more", count - 1),
    }
}

pub(crate) fn no_conversation(id: &str) -> Error {
    Error::NotFound { what: "conversation", name: id.to_owned() }
}

/// Refuses a title or tags that are too long.
fn check_edit(edit: &Edit) -> Result<(), Error> {
    let is_longer = |text: &String, most: usize| text.chars().nth(most).is_some();
    match edit {
        Edit::Title(Some(title)) if is_longer(title, TITLE_CHARACTERS) => {
            Err(Error::Choice(format!("a title has at most {TITLE_CHARACTERS} characters")))
        }
        Edit::Tags { add, .. } if add.len() > TAGS => {
            Err(Error::Choice(format!("at most {TAGS} tags can be added at a time")))
        }
        Edit::Tags { add, .. } if add.iter().any(|tag| is_longer(tag, TAG_CHARACTERS)) => {
            Err(Error::Choice(format!("a tag has at most {TAG_CHARACTERS} characters")))
        }
        _ => Ok(()),
    }
}

/// Puts rounds behind one of a conversation's, and shows them.
fn add_rounds<'a>(
    whole: &mut Conversation<'a>,
    more: Vec<Round<'a>>,
    after: Option<u32>,
) -> Result<(), Error> {
    if more.is_empty() {
        return Err(Error::Choice("there is no message to append".into()));
    }
    let last = whole.rounds.len().checked_sub(1);
    let leaf = match after {
        None => whole.current.filter(|&leaf| leaf < whole.rounds.len()).or(last),
        Some(number) => {
            let place = whole.rounds.iter().rposition(|round| round.number == number);
            Some(place.ok_or_else(|| Error::NotFound { what: "round", name: number.to_string() })?)
        }
    };
    let mut number = whole.rounds.iter().map(|round| round.number).max().unwrap_or(0);
    for (index, mut round) in more.into_iter().enumerate() {
        number += 1;
        round.number = number;
        round.parent = match leaf {
            Some(leaf) if index == 0 && Some(leaf) != last => Parent::Round(leaf),
            _ => Parent::Previous,
        };
        whole.rounds.push(round);
    }
    whole.current = None;
    Ok(())
}

/// The conversation of a canonical line.
pub(crate) fn read<'l>(summary: &Summary, line: &'l [u8]) -> Result<Conversation<'l>, Error> {
    let text = std::str::from_utf8(line).map_err(|error| damaged(summary, &error.to_string()))?;
    canonical::read(text).map_err(|error| damaged(summary, &error.to_string()))
}

pub(crate) fn damaged(summary: &Summary, why: &str) -> Error {
    retort_store::Error::Damaged(format!("the conversation `{}`: {why}", summary.id)).into()
}

/// What was set in the store. What was not is the line's own: columns have only the beginning of a long title.
pub(crate) fn edits_of(summary: &Summary) -> Edits {
    Edits {
        status: Some(summary.status),
        title: summary.title_is_set.then(|| summary.title.clone().unwrap_or_default()),
        tags: summary.tags_are_set.then(|| summary.tags.clone()),
    }
}

/// A canonical line with what was set in the store.
pub(crate) fn with_edits(summary: &Summary, line: &[u8]) -> Result<Vec<u8>, Error> {
    let mut conversation = read(summary, line)?;
    edits_of(summary).apply(&mut conversation);
    let mut out = Vec::with_capacity(line.len());
    canonical::write(&conversation, &mut out);
    Ok(out)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn round(number: u32) -> Round<'static> {
        Round { number, ..Round::default() }
    }

    #[test]
    fn a_title_that_was_cut_for_the_lists_is_no_edit() {
        let summary = Summary {
            title: Some("the beginning…".into()),
            tags: vec!["first".into()],
            ..Summary::default()
        };
        let edits = edits_of(&summary);
        assert_eq!((edits.title, edits.tags), (None, None));
        let edits = edits_of(&Summary { title_is_set: true, tags_are_set: true, ..summary });
        assert_eq!(edits.title.as_deref(), Some("the beginning…"));
        assert_eq!(edits.tags, Some(vec!["first".to_owned()]));
        // A title that was removed is empty, not the line's own.
        let edits = edits_of(&Summary { title_is_set: true, ..Summary::default() });
        assert_eq!(edits.title.as_deref(), Some(""));
    }

    #[test]
    fn what_is_appended_follows_what_is_shown() {
        let rounds = vec![round(1), round(2)];
        let mut whole = Conversation { rounds, current: Some(0), ..Conversation::default() };
        add_rounds(&mut whole, vec![round(1), round(2)], None).unwrap();
        let numbers: Vec<u32> = whole.rounds.iter().map(|round| round.number).collect();
        assert_eq!(numbers, [1, 2, 3, 4]);
        assert_eq!(whole.active_path(), [0, 2, 3]);
        add_rounds(&mut whole, vec![round(1)], Some(2)).unwrap();
        assert_eq!(whole.active_path(), [0, 1, 4]);
        assert!(add_rounds(&mut whole, vec![round(1)], Some(9)).is_err());
        assert!(add_rounds(&mut whole, Vec::new(), None).is_err());
    }
}
