//! Sessions of coding agents: files of lines, each of which says one thing that happened. A reader turns the lines into
//! steps; the steps become rounds here, with the tokens and the model of each.

use std::collections::{HashMap, HashSet};

use retort_json::{Kind, Parser, RawJson, Text};
use retort_model::{Conversation, Fields, Message, Role, Round, Usage};

use super::fields::{self, FieldMap};
use super::format::{Fragment, ItemError, Notes, Refusal};
use super::sniff::{Entry, Sniff};
use super::tree::{Links, Tree};

/// A line of a session.
pub(super) struct Line<'a> {
    /// The line as it was written.
    pub(super) raw: RawJson<'a>,
    /// Its fields.
    pub(super) map: FieldMap<'a>,
}

/// The lines of a session: of a list that they were joined to, or one alone.
pub(super) fn lines<'a>(text: &'a str, notes: &mut Notes) -> Result<Vec<Line<'a>>, ItemError> {
    let mut parser = Parser::lenient(text);
    let mut lines = Vec::new();
    let mut take = |parser: &mut Parser<'a>| {
        let at = parser.at();
        let raw = parser.raw()?;
        let map = FieldMap::of(&raw, notes).ok_or_else(|| unknown(at))?;
        lines.push(Line { raw, map });
        Ok::<_, ItemError>(())
    };
    if parser.kind()? == Kind::Array {
        parser.array()?;
        while parser.next_element()? {
            take(&mut parser)?;
        }
    } else {
        take(&mut parser)?;
    }
    parser.end()?;
    notes.count(&parser);
    Ok(lines)
}

/// Hands over each line of a session. What cannot be placed in a line is noted under its number.
pub(super) fn each_line<'a>(
    text: &'a str,
    notes: &mut Notes,
    mut take: impl FnMut(Line<'a>, &mut Notes) -> Result<(), ItemError>,
) -> Result<(), ItemError> {
    for (at, line) in lines(text, notes)?.into_iter().enumerate() {
        let mark = notes.mark();
        take(line, notes)?;
        notes.under(mark, || format!("lines[{at}]"));
    }
    Ok(())
}

fn unknown(at: usize) -> ItemError {
    ItemError::new(Refusal::UnknownShape, at, "a line of a session that is not an object")
}

/// Why a session that says nothing is refused.
pub(super) fn without_messages() -> ItemError {
    ItemError::new(Refusal::BadField, 0, "the session has no messages")
}

/// The fragment that an object is in a file whose lines are one session.
pub(super) fn line_of_file<'t>(text: &'t str, entry: Entry<'_>, into: &mut Vec<Fragment<'t>>) {
    if is_object(text) {
        into.push(Fragment { key: key_of_file(entry), order: 0, text: text.into() });
    }
}

/// What the fragments of a file have in common.
pub(super) fn key_of_file(entry: Entry<'_>) -> String {
    format!("file {}", entry.path)
}

/// Whether a text is an object of JSON, as fragments must be.
pub(super) fn is_object(text: &str) -> bool {
    text.trim_start().starts_with('{') && Sniff::of(text).check().is_ok()
}

/// A step of a session: what one of its lines says.
#[derive(Default)]
pub(super) struct Step<'a> {
    /// Where it stands; a step without an id follows the one before it.
    pub(super) links: Links<'a>,
    /// Without any, it says nothing.
    pub(super) messages: Vec<Message<'a>>,
    pub(super) model: Option<Text<'a>>,
    pub(super) usage: Usage,
}

/// The rounds of steps, and the position of the one that is shown last, if it is not the last of them. `current` is the
/// step that is shown last; none is the last. A step whose parent is not there follows the step before it.
pub(super) fn rounds<'a>(
    mut steps: Vec<Step<'a>>,
    current: Option<&Text<'a>>,
) -> (Vec<Round<'a>>, Option<usize>) {
    let known: HashSet<String> =
        steps.iter().map(|step| step.links.id.decoded().into_owned()).collect();
    let mut before: Option<Text<'a>> = None;
    // Of ids that came more than once, what the last step with it is called.
    let mut names: HashMap<String, Text<'a>> = HashMap::new();
    for (at, step) in steps.iter_mut().enumerate() {
        let links = &mut step.links;
        let is_known = |parent: &Text<'_>| known.contains(&*parent.decoded());
        if links.id.is_empty() || links.parent.as_ref().is_some_and(|parent| !is_known(parent)) {
            links.parent = before.clone();
        } else if let Some(name) =
            links.parent.as_ref().and_then(|parent| names.get(&*parent.decoded()))
        {
            links.parent = Some(name.clone());
        }
        if links.id.is_empty() || names.contains_key(&*links.id.decoded()) {
            let name = Text::from(format!("\u{0}{at}"));
            let id = std::mem::replace(&mut links.id, name.clone());
            names.insert(id.decoded().into_owned(), name);
        } else {
            names.insert(links.id.decoded().into_owned(), links.id.clone());
        }
        before = Some(links.id.clone());
    }
    let last = steps.iter().rfind(|step| !step.messages.is_empty());
    let current = current.cloned().or_else(|| last.map(|step| step.links.id.clone()));
    let links: Vec<_> = steps.iter().map(|step| step.links.clone()).collect();
    let (mut tree, _) = Tree::of(&links, current.as_ref());
    let mut places: Vec<Vec<usize>> = Vec::new();
    for at in tree.order() {
        let Some(step) = steps.get(at) else { continue };
        if step.messages.is_empty() {
            tree.pass(at);
            continue;
        }
        let has = |role: Role| step.messages.iter().any(|message| message.role == role);
        // Results that are told with a question belong to what came before.
        let asks = step.messages.first().is_some_and(|message| message.role == Role::User);
        let answers = has(Role::Assistant) || has(Role::Tool);
        let round = tree.enter(at, asks, answers);
        places.resize_with(places.len().max(round + 1), Vec::new);
        if let Some(places) = places.get_mut(round) {
            places.push(at);
        }
    }
    let (mut rounds, shown) = tree.rounds();
    for (round, places) in rounds.iter_mut().zip(places) {
        for at in places {
            let Some(step) = steps.get_mut(at).map(std::mem::take) else { continue };
            round.messages.extend(step.messages);
            round.model = step.model.or(round.model.take());
            add_usage(&mut round.usage, step.usage);
        }
    }
    (rounds, shown)
}

/// Steps that follow one another, the last of which may be taken back. What was taken back stays beside the path, as what
/// was edited does, and its answers are not to be trained on.
#[derive(Default)]
pub(super) struct Trail<'a> {
    /// Each with the place of the step that it follows.
    steps: Vec<(Option<usize>, Step<'a>)>,
    /// The places of the steps that say something and were not taken back.
    path: Vec<usize>,
}

impl<'a> Trail<'a> {
    /// Adds a step; gives its place.
    pub(super) fn push(&mut self, step: Step<'a>) -> usize {
        let place = self.steps.len();
        let says = !step.messages.is_empty();
        self.steps.push((self.path.last().copied(), step));
        if says {
            self.path.push(place);
        }
        place
    }

    /// The place of the next step.
    pub(super) fn end(&self) -> usize {
        self.steps.len()
    }

    /// The steps, with those that were taken back.
    pub(super) fn steps(&self) -> impl DoubleEndedIterator<Item = &Step<'a>> {
        self.steps.iter().map(|(_, step)| step)
    }

    pub(super) fn step_mut(&mut self, place: usize) -> Option<&mut Step<'a>> {
        self.steps.get_mut(place).map(|(_, step)| step)
    }

    /// The last step on the path before this place.
    pub(super) fn before(&self, place: usize) -> Option<(usize, &Step<'a>)> {
        let at = self.path.partition_point(|&one| one < place).checked_sub(1)?;
        let place = *self.path.get(at)?;
        self.steps.get(place).map(|(_, step)| (place, step))
    }

    /// Takes back the steps from this place on.
    pub(super) fn take_back(&mut self, from: usize) {
        let kept = self.path.partition_point(|&place| place < from);
        for place in self.path.split_off(kept) {
            let messages = self.step_mut(place).map(|step| step.messages.iter_mut());
            let answers = messages.into_iter().flatten().filter(|one| one.role == Role::Assistant);
            answers.for_each(|answer| answer.train = Some(false));
        }
    }

    /// Records that the answer at the end of the path broke off: with an error, or because a person stopped it. Where the
    /// path ends with a question or a result, no answer did. A last message that only tells the model of it is passed.
    pub(super) fn broke_off(
        &mut self,
        error: Option<Text<'a>>,
        is_notice: impl Fn(&Message<'a>) -> bool,
    ) {
        let said = |place: &usize| self.steps.get(*place)?.1.messages.last();
        let mut last = self.path.iter().rev().take(2);
        let place = last.find(|place| !said(place).is_some_and(&is_notice)).copied();
        let message = place.and_then(|place| self.step_mut(place)?.messages.last_mut());
        if let Some(answer) = message.filter(|message| message.role == Role::Assistant) {
            match error {
                Some(error) => answer.error = answer.error.take().or(Some(error)),
                None => interrupt(answer),
            }
        }
    }

    /// The rounds of the steps, and the position of the one that is shown last, if it is not the last of them.
    pub(super) fn rounds(self) -> (Vec<Round<'a>>, Option<usize>) {
        let says = |step: &Step<'a>| !step.messages.is_empty();
        if self.steps().filter(|step| says(step)).count() == self.path.len() {
            return rounds(self.steps.into_iter().map(|(_, step)| step).collect(), None);
        }
        let id = |place: usize| Text::from(format!("\u{0}{place}"));
        let current = self.path.last().copied().map(id);
        let steps = self.steps.into_iter().enumerate().filter(|(_, (_, step))| says(step));
        let linked = steps.map(|(place, (before, step))| {
            let links = Links { id: id(place), parent: before.map(id), children: Vec::new() };
            Step { links, ..step }
        });
        rounds(linked.collect(), current.as_ref())
    }

    /// Makes the rounds of a conversation, and dates it by them. Refused if no step says anything.
    pub(super) fn finish(self, conversation: &mut Conversation<'a>) -> Result<(), ItemError> {
        if self.steps().all(|step| step.messages.is_empty()) {
            return Err(without_messages());
        }
        (conversation.rounds, conversation.current) = self.rounds();
        date(conversation);
        Ok(())
    }
}

/// Records that a person stopped an answer, unless something else says how it ended.
pub(super) fn interrupt(answer: &mut Message<'_>) {
    answer.finish_reason.get_or_insert_with(|| "interrupted".into());
}

/// Makes the rounds of a conversation from its steps, of which the last is shown, and dates it by them. Refused if no step
/// says anything.
pub(super) fn finish<'a>(
    conversation: &mut Conversation<'a>,
    steps: Vec<Step<'a>>,
) -> Result<(), ItemError> {
    if steps.iter().all(|step| step.messages.is_empty()) {
        return Err(without_messages());
    }
    (conversation.rounds, conversation.current) = rounds(steps, None);
    date(conversation);
    Ok(())
}

/// Adds tokens to those that are counted.
pub(super) fn add_usage(usage: &mut Usage, more: Usage) {
    let add = |one: Option<u64>, more: Option<u64>| match (one, more) {
        (Some(one), Some(more)) => Some(one.saturating_add(more)),
        (one, more) => one.or(more),
    };
    usage.input_tokens = add(usage.input_tokens, more.input_tokens);
    usage.output_tokens = add(usage.output_tokens, more.output_tokens);
}

/// The tokens that an object counts, under the names that systems have for them.
pub(super) fn usage_of(raw: &RawJson<'_>) -> Usage {
    let Some(map) = fields::map(raw) else { return Usage::default() };
    let find = |names: &[&str]| names.iter().find_map(|name| fields::count(map.peek(name)?));
    Usage {
        input_tokens: find(&[
            "input_tokens",
            "prompt_tokens",
            "inputTokens",
            "promptTokens",
            "promptTokenCount",
            "input",
        ]),
        output_tokens: find(&[
            "output_tokens",
            "completion_tokens",
            "outputTokens",
            "completionTokens",
            "candidatesTokenCount",
            "output",
        ]),
    }
}

/// Gathers what stays the same over a whole session, so that it is told once.
#[derive(Default)]
pub(super) struct Constant<'a>(HashMap<&'static str, RawJson<'a>>);

impl<'a> Constant<'a> {
    /// Takes those of these fields that say what was said before; the first time they are gathered.
    pub(super) fn take(&mut self, map: &mut FieldMap<'a>, names: &[&'static str]) {
        for name in names {
            let Some(raw) = map.peek(name).cloned() else { continue };
            if *self.0.entry(name).or_insert_with(|| raw.clone()) == raw {
                map.take(&[name], fields::json);
            }
        }
    }

    /// Puts what was gathered beside what else is known of the conversation.
    pub(super) fn put(self, names: &[&'static str], into: &mut Fields<'a>) {
        for name in names {
            if let Some(raw) = self.0.get(name)
                && into.get(name).is_none()
            {
                into.put((*name).into(), raw.clone());
            }
        }
    }
}

/// Keeps lines that say nothing to the model.
pub(super) fn keep_events(conversation: &mut Conversation<'_>, events: &[RawJson<'_>]) {
    if !events.is_empty() {
        conversation.metadata.put("events".into(), RawJson::array(events).into_owned());
    }
}

/// When a conversation began and when it changed last, by its messages.
pub(super) fn date(conversation: &mut Conversation<'_>) {
    let times = || conversation.messages().filter_map(|message| message.created_at);
    let (first, last) = (times().min(), times().max());
    conversation.created_at = conversation.created_at.or(first);
    conversation.updated_at = conversation.updated_at.max(last);
}

/// Whether a message says nothing at all.
pub(super) fn is_empty(message: &Message<'_>) -> bool {
    message.content.is_none()
        && message.tool_calls.is_empty()
        && message.reasoning.is_none()
        && message.error.is_none()
}
