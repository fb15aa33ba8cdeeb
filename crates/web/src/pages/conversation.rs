//! A conversation to read: messages, tools, passages and branches; and what can be done with it.

use std::collections::HashMap;

use askama::Template;
use axum::Router;
use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use axum::routing::{get, post};
use percent_encoding::{NON_ALPHANUMERIC, utf8_percent_encode};
use retort_model::{
    Conversation, ConversationFilter, Grant, Message, MessagePosition, Round, Status, Time,
};
use retort_service::{Edit, Excerpt, Share, ShareRequest, Shows, Summary, first_question};
use serde::Deserialize;

use super::addresses::{self, list_at, path_from, path_in, queue_of};
use super::arrangement::Arrangement;
use super::columns::Conversations;
use super::datasets::{Traced, traced};
use super::display::{count, moment, several};
use super::filter_form::FilterForm;
use super::frame::{Frame, Posted, Visit};
use super::judged::{Judge, Judging};
use super::paging::Paging;
use super::records::{Linked, Room, Said, said, shown_messages};
use super::response::{see_other, show, trouble};
use super::taken::{Path, Query, tags};
use super::tasks::{self, Task};
use crate::app::App;
use crate::problem::Problem;
use crate::wire::share_path;

/// Rounds that one page shows.
const ROUNDS: usize = 500;

pub(super) fn routes() -> Router<App> {
    Router::new()
        .route("/conversations/{id}", get(page))
        .route("/conversations/{id}/change", post(change))
        .route("/conversations/{id}/share", post(share))
        .route("/shares/{id}/revoke", post(revoke))
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Asked {
    source: Option<String>,
    /// The query of the list that one comes from.
    from: String,
    /// The round whose branch is shown, by its place.
    leaf: Option<usize>,
    /// How many messages of the branch are on the pages before.
    after: usize,
    /// The queue that one goes through to judge.
    queue: String,
    /// The answer of which everything can be said, by its positions: `3:1`.
    at: Option<String>,
    /// The conversation of the queue that was judged just now, and its source.
    judged: String,
    judged_source: String,
}

/// A round of the path that is shown.
pub(super) struct RoundShown {
    /// Its position, and that of the first of its messages on the page.
    place: usize,
    first: usize,
    pub(super) number: u32,
    pub(super) node: Option<String>,
    pub(super) tools: Vec<String>,
    pub(super) said: Vec<Said>,
    pub(super) tokens: Option<String>,
    /// Which of several it is in its place, if there are several.
    pub(super) version: Option<Version>,
}

/// What a page shows of a conversation, and the ways to the rest.
pub(super) struct Shown {
    pub(super) rounds: Vec<RoundShown>,
    /// The address of the first part of the active branch.
    address: String,
    /// The branch that is shown, if it is not the active one.
    leaf: Option<usize>,
    /// The numbers of the first message here, of the first on the next page, and how many there are.
    from: usize,
    next: Option<usize>,
    total: usize,
}

impl Shown {
    /// The address of the first part of a branch.
    pub(super) fn branch(&self, leaf: &usize) -> String {
        let mark = if self.address.contains('?') { '&' } else { '?' };
        format!("{}{mark}leaf={leaf}", self.address)
    }

    /// The ways to the other parts of the branch.
    pub(super) fn paging(&self) -> Paging {
        let first = self.leaf.map_or_else(|| self.address.clone(), |leaf| self.branch(&leaf));
        Paging::of(&first, self.from == 0, self.next)
    }

    /// The address of this part.
    fn here(&self) -> String {
        let branch = self.leaf.map_or_else(|| self.address.clone(), |leaf| self.branch(&leaf));
        if self.from == 0 { branch } else { format!("{branch}&after={}", self.from) }
    }

    /// Says of each answer what the caller may say of it; `open` is the one of which that is everything. Returns the last
    /// answer of the branch, if it is here.
    fn judge(
        &mut self,
        conversation: &Conversation<'_>,
        name: &str,
        open: Option<&str>,
    ) -> Option<&Judge> {
        let here = self.here();
        let more = |at: &str| {
            let anchor = at.replace(':', "-");
            let at = utf8_percent_encode(at, NON_ALPHANUMERIC);
            format!("{here}&at={at}#m-{anchor}")
        };
        for round in &mut self.rounds {
            let messages = conversation.rounds.get(round.place).map(|round| &*round.messages);
            for said in &mut round.said {
                let message = messages.and_then(|messages| messages.get(said.place));
                let place =
                    MessagePosition { round: round.place, message: round.first + said.place };
                said.judge =
                    message.and_then(|message| Judge::of(message, place, name, open, &more));
            }
        }
        let all = self.rounds.iter().flat_map(|round| &round.said);
        let mut answers = all.filter(|said| said.judge.is_some() && !said.html.is_empty());
        answers.next_back().filter(|_| self.next.is_none())?.judge.as_ref()
    }

    /// Which messages these are, where they are not all.
    pub(super) fn part(&self) -> Option<String> {
        let to = self.next.unwrap_or(self.total);
        (self.from > 0 || self.next.is_some()).then(|| {
            let (first, last) = (count(self.from as u64 + 1), count(to as u64));
            format!("Messages {first} to {last} of {}", count(self.total as u64))
        })
    }
}

/// One of several rounds in one place: another question, or another answer.
pub(super) struct Version {
    pub(super) number: usize,
    pub(super) of: usize,
    /// The leaf below the one before, and below the one after.
    pub(super) before: Option<usize>,
    pub(super) after: Option<usize>,
}

#[derive(Template)]
#[template(path = "conversation.html")]
struct Page {
    frame: Frame,
    title: String,
    raw_title: String,
    id: String,
    source: String,
    path: String,
    /// The query of the list that one comes from, and the list.
    from: String,
    list: String,
    kind: String,
    status: String,
    owner: Option<String>,
    importer: Option<String>,
    model: Option<String>,
    created: String,
    tags: Vec<String>,
    shown: Shown,
    /// Sub-agents, each before those that it started; and how many are not shown.
    tasks: Vec<Task>,
    tasks_left: usize,
    paging: Paging,
    /// Public links: number, whether it is closed, until when.
    shares: Vec<(i64, bool, String)>,
    /// The path of one that was made just now.
    made: Option<String>,
    can_share: bool,
    /// The datasets that it is in, where the caller may see any.
    datasets: Traced,
    /// The addresses of the conversations before and after it in the list that one comes from.
    before: Option<String>,
    after: Option<String>,
    /// Whether it is selected for an export.
    is_chosen: bool,
    judging: Judging,
    /// The models of the configuration, as which it can be looked at.
    models: Vec<String>,
}

async fn page(
    State(app): State<App>,
    visit: Visit,
    Path(id): Path<String>,
    Query(asked): Query<Asked>,
) -> Response {
    one(&app, visit, id, asked, None).await
}

/// The page of a conversation; `made` is the path of a public link that was made just now.
async fn one(app: &App, visit: Visit, id: String, asked: Asked, made: Option<String>) -> Response {
    let frame = visit.frame("export");
    let seen = app.answer(move |service| {
        let Asked { source, from, leaf, after, queue, at, judged, judged_source } = asked;
        let queue = queue_of(&queue);
        let which = (&*id, source.as_deref());
        let (summary, excerpt) = service.excerpt(&visit.caller, which, leaf, after)?;
        let can_share = visit.caller.grants().has(Grant::Share);
        let shares = service.shares_of(&visit.caller, &summary)?;
        let cited = service.cited(&visit.caller, excerpt.line())?;
        let datasets = traced(service, &visit, &summary.id)?;
        let list = FilterForm::<ConversationFilter>::at(&from);
        let neighbours = service.neighbours(
            &visit.caller,
            &list,
            Arrangement::<Conversations>::order_at(&from),
            &summary,
        )?;
        let [before, next] =
            neighbours.map(|one| one.map(|one| path_in(queue, &one.id, &one.source, &from)));
        let is_chosen = service.is_chosen(&visit.caller, summary.key)?;
        let conversation = excerpt.conversation(&summary)?;
        let linked = |passage: &str| {
            let document = cited.get(passage)?;
            Some(format!("/documents/{}", utf8_percent_encode(document, NON_ALPHANUMERIC)))
        };
        let address = path_in(queue, &summary.id, &summary.source, &from);
        let mut room = Room::of_page();
        let mut shown = shown((&conversation, &excerpt), leaf, &linked, address, &mut room);
        let left = match queue {
            Some(queue) => {
                let next = service.next_to_judge(&visit.caller, &list, queue, None)?;
                Some(count(next.left))
            }
            None => None,
        };
        let mut hidden = vec![
            ("source", summary.source.clone()),
            ("from", from.clone()),
            ("leaf", leaf.map(|leaf| leaf.to_string()).unwrap_or_default()),
            ("after", after.to_string()),
        ];
        hidden.extend(queue.map(|queue| ("queue", queue.as_str().to_owned())));
        let mut judging = Judging {
            action: format!("{}/judge", addresses::conversation(&summary.id)),
            hidden,
            left,
            before: match &*judged {
                "" => String::new(),
                id => path_in(queue, id, &judged_source, &from),
            },
            ..Judging::default()
        };
        if summary.status != Status::Deleted {
            let last = shown.judge(&conversation, visit.caller.name(), at.as_deref());
            if leaf.is_none() {
                judging.last = "Last answer";
                last.into_iter().for_each(|last| judging.take_last(last));
            }
            let all = shown.rounds.iter_mut().flat_map(|round| &mut round.said);
            for one in all.filter_map(|said| said.judge.as_mut()) {
                judging.take_open(one, || service.labels_used(&visit.caller))?;
            }
        }
        let (mut tasks, mut tasks_left) = (Vec::new(), 0);
        if shown.next.is_none() {
            let total = |index| excerpt.messages_of_task(index);
            tasks = tasks::shown((&conversation, &total), &linked, &mut room);
            tasks_left = conversation.tasks.len() - tasks.len();
            tasks::link(&tasks, shown.rounds.iter_mut().flat_map(|round| &mut round.said));
        }
        let page = whole(frame, &summary, &conversation, shown, &shares, can_share);
        let list = list_at("/export", &from);
        let page = Page { list, from, made, datasets, before, after: next, is_chosen, ..page };
        let models = service.model_names();
        let page = Page { tasks, tasks_left, judging, models, ..page };
        Ok(show(StatusCode::OK, &page))
    });
    seen.await.unwrap_or_else(|problem| trouble(&problem))
}

fn whole(
    frame: Frame,
    summary: &Summary,
    conversation: &Conversation<'_>,
    shown: Shown,
    shares: &[Share],
    can_share: bool,
) -> Page {
    let shares = shares.iter().map(|share| {
        let until = share.expires_at.map(|at| format!("expires {} UTC", moment(Some(at))));
        let password = share.has_password.then(|| "with a password".to_owned());
        let unredacted = Shows::of(share).unredacted.then(|| "not redacted".to_owned());
        let about: Vec<String> = password.into_iter().chain(unredacted).chain(until).collect();
        (share.id, share.is_closed, about.join(" · "))
    });
    let raw_title = summary.title.clone().unwrap_or_default();
    Page {
        frame,
        title: match raw_title.trim() {
            "" => first_question(conversation).unwrap_or_else(|| summary.id.clone()),
            _ => raw_title.clone(),
        },
        raw_title,
        id: summary.id.clone(),
        source: summary.source.clone(),
        path: utf8_percent_encode(&summary.id, NON_ALPHANUMERIC).to_string(),
        from: String::new(),
        list: list_at("/export", ""),
        kind: summary.kind.to_string(),
        status: summary.status.to_string(),
        owner: summary.owner.clone(),
        importer: summary.importer.clone(),
        model: summary.model.clone(),
        created: moment(summary.created_at),
        tags: summary.tags.clone(),
        paging: shown.paging(),
        shown,
        tasks: Vec::new(),
        tasks_left: 0,
        shares: shares.collect(),
        made: None,
        can_share,
        datasets: None,
        before: None,
        after: None,
        is_chosen: false,
        judging: Judging::default(),
        models: Vec::new(),
    }
}

/// The rounds of an excerpt from the root to a leaf, with their branches, as far as there is room. The page of the active
/// branch has this address.
pub(super) fn shown(
    (conversation, excerpt): (&Conversation<'_>, &Excerpt),
    leaf: Option<usize>,
    linked: &Linked<'_>,
    address: String,
    room: &mut Room,
) -> Shown {
    let tree = Tree::of(conversation);
    let mut shown = Shown {
        rounds: Vec::new(),
        address,
        leaf: leaf.filter(|&leaf| leaf < conversation.rounds.len()),
        from: excerpt.from(),
        next: None,
        total: 0,
    };
    for &place in excerpt.path() {
        let Some(round) = conversation.rounds.get(place) else { continue };
        let is_full = shown.rounds.len() == ROUNDS;
        let messages = excerpt.messages_of_round(place);
        let said = shown.take(messages, is_full, &round.messages, linked, room);
        if let Some((first, said)) = said {
            let round = round_shown(round, said, version(conversation, &tree, place), room);
            shown.rounds.push(RoundShown { place, first, ..round });
        }
    }
    shown
}

impl Shown {
    /// The next `count` messages, as far as they are here and there is room, and how many of them are on pages before; none
    /// if they are on another page.
    fn take<'m, 'a: 'm>(
        &mut self,
        count: usize,
        is_full: bool,
        messages: impl IntoIterator<Item = &'m Message<'a>>,
        linked: &Linked<'_>,
        room: &mut Room,
    ) -> Option<(usize, Vec<Said>)> {
        let begins = self.total;
        self.total += count;
        let is_before = self.total < self.from || self.total == self.from && self.from > 0;
        if is_before || self.next.is_some() {
            return None;
        }
        let first = begins.max(self.from);
        let said = if is_full { Vec::new() } else { said(messages, linked, room) };
        let end = first + shown_messages(&said);
        self.next = (end < self.total).then_some(end);
        (count == 0 || !said.is_empty()).then_some((first - begins, said))
    }
}

/// Which of its siblings a round is.
fn version(conversation: &Conversation<'_>, tree: &Tree, place: usize) -> Option<Version> {
    let siblings = tree.children_of(conversation.parent_of(place));
    let at = siblings.binary_search(&place).unwrap_or(0);
    let leaf = |index: Option<usize>| {
        let other = index.and_then(|index| siblings.get(index))?;
        tree.leaves.get(*other).copied()
    };
    (siblings.len() > 1).then(|| Version {
        number: at + 1,
        of: siblings.len(),
        before: leaf(at.checked_sub(1)),
        after: leaf(at.checked_add(1)),
    })
}

fn round_shown(
    round: &Round<'_>,
    said: Vec<Said>,
    version: Option<Version>,
    room: &mut Room,
) -> RoundShown {
    let usage = &round.usage;
    let tokens = (usage.input_tokens.is_some() || usage.output_tokens.is_some()).then(|| {
        let (input, output) = (usage.input_tokens.unwrap_or(0), usage.output_tokens.unwrap_or(0));
        format!("{} in, {} out", several(input, "token"), count(output))
    });
    let tools = round.tools.iter().map(|tool| tool_name(tool.as_str()));
    RoundShown {
        place: 0,
        first: 0,
        number: round.number,
        node: round.node.as_ref().map(|node| node.decoded().into_owned()),
        tools: tools.take_while(|name| room.take(name)).collect(),
        said,
        tokens,
        version,
    }
}

/// The rounds of a conversation by what they follow, found in one walk: a stranger may have made the tree.
struct Tree {
    /// The rounds that follow each, and those that follow none.
    children: HashMap<Option<usize>, Vec<usize>>,
    /// The leaf that is shown for each round.
    leaves: Vec<usize>,
}

impl Tree {
    fn of(conversation: &Conversation<'_>) -> Self {
        let mut children: HashMap<Option<usize>, Vec<usize>> = HashMap::new();
        for place in 0..conversation.rounds.len() {
            children.entry(conversation.parent_of(place)).or_default().push(place);
        }
        let mut leaves: Vec<usize> = (0..conversation.rounds.len()).collect();
        // A child comes after its parent, so its leaf is known first.
        for place in (0..leaves.len()).rev() {
            let child = children.get(&Some(place)).and_then(|below| below.first());
            if let Some(leaf) = child.and_then(|&child| leaves.get(child)).copied()
                && let Some(slot) = leaves.get_mut(place)
            {
                *slot = leaf;
            }
        }
        Self { children, leaves }
    }

    /// The rounds that follow one, in order; or those that follow none.
    fn children_of(&self, parent: Option<usize>) -> &[usize] {
        self.children.get(&parent).map(Vec::as_slice).unwrap_or_default()
    }
}

fn tool_name(raw: &str) -> String {
    let value: serde_json::Value = serde_json::from_str(raw).unwrap_or_default();
    let name = value.pointer("/function/name").or_else(|| value.get("name"));
    name.and_then(|name| name.as_str()).unwrap_or("tool").to_owned()
}

/// What is to be done with a conversation.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Change {
    source: String,
    from: String,
    action: String,
    title: String,
    tags: String,
}

async fn change(
    State(app): State<App>,
    Path(id): Path<String>,
    Posted { visit, form }: Posted<Change>,
) -> Response {
    let back = path_from(&id, &form.source, &form.from);
    let done = app.call(move |service| {
        if matches!(form.action.as_str(), "select" | "deselect") {
            service.choose(&visit.caller, &[id].into(), form.action == "select")?;
            return Ok(());
        }
        let selection = ConversationFilter {
            ids: [id.clone()].into(),
            statuses: Status::ALL.to_vec(),
            ..ConversationFilter::default()
        };
        let edits = match form.action.as_str() {
            "favorite" => vec![Edit::Favorite(true)],
            "unfavorite" => vec![Edit::Favorite(false)],
            "delete" => vec![Edit::Delete],
            "restore" => vec![Edit::Restore],
            _ => {
                let title = Some(form.title.trim().to_owned()).filter(|title| !title.is_empty());
                let wanted = tags(&form.tags);
                let source = Some(form.source.as_str()).filter(|source| !source.is_empty());
                let shown = service.find_one(&visit.caller, &id, source)?;
                let before = shown.tags;
                let remove: Vec<_> =
                    before.iter().filter(|tag| !wanted.contains(tag)).cloned().collect();
                let add: Vec<_> = wanted.into_iter().filter(|tag| !before.contains(tag)).collect();
                // What was not touched is not set: of a long title the form has the beginning alone.
                let was = one_line(shown.title.as_deref().unwrap_or_default());
                let is_new = title.as_deref().unwrap_or_default() != was;
                let titled = is_new.then_some(Edit::Title(title));
                let has_tags = !add.is_empty() || !remove.is_empty();
                let tagged = has_tags.then_some(Edit::Tags { add, remove });
                titled.into_iter().chain(tagged).collect()
            }
        };
        for edit in edits {
            service.edit(&visit.caller, &selection, &edit)?;
        }
        Ok(())
    });
    match done.await {
        Ok(()) => see_other(&back, None),
        Err(problem) => trouble(&problem),
    }
}

/// A title as it comes back from a field of one line.
fn one_line(title: &str) -> String {
    title.replace(['\r', '\n'], "").trim().to_owned()
}

/// A public link to be made.
#[derive(Default, Deserialize)]
#[serde(default)]
struct Sharing {
    source: String,
    until: String,
    password: String,
    system: Option<String>,
    tools: Option<String>,
    usage: Option<String>,
    unredacted: Option<String>,
}

async fn share(
    State(app): State<App>,
    Path(id): Path<String>,
    Posted { visit, form }: Posted<Sharing>,
) -> Response {
    let asked = Asked {
        source: Some(form.source.clone()).filter(|one| !one.is_empty()),
        ..Asked::default()
    };
    let until = match form.until.trim() {
        "" => Ok(None),
        text => Time::parse(text).map(Some),
    };
    let expires_at = match until {
        Ok(until) => until,
        Err(error) => {
            return trouble(&Problem::bad_request(format!("the end of the link: {error}")));
        }
    };
    let request = ShareRequest {
        conversation: id.clone(),
        source: Some(form.source).filter(|source| !source.is_empty()),
        expires_at,
        password: Some(form.password).filter(|password| !password.is_empty()),
        shows: Shows {
            system: form.system.is_some(),
            tools: form.tools.is_some(),
            usage: form.usage.is_some(),
            unredacted: form.unredacted.is_some(),
        },
    };
    let caller = visit.caller.clone();
    let made = app.call_with_password(move |service| service.share(&caller, &request));
    match made.await {
        Ok((_, secret)) => one(&app, visit, id, asked, Some(share_path(&secret))).await,
        Err(problem) => trouble(&problem),
    }
}

#[derive(Debug, Default, Deserialize)]
#[serde(default)]
struct Revoking {
    /// The page to go back to: one of ours.
    back: String,
}

async fn revoke(
    State(app): State<App>,
    Path(id): Path<i64>,
    Posted { visit, form }: Posted<Revoking>,
) -> Response {
    let is_own = form.back.starts_with("/conversations/");
    match app.call(move |service| service.unshare(&visit.caller, id)).await {
        Ok(()) => see_other(if is_own { &form.back } else { "/project/shares" }, None),
        Err(problem) => trouble(&problem),
    }
}

#[cfg(test)]
mod tests {
    use retort_model::{Content, Parent, canonical};
    use retort_testing::growth;

    use super::*;

    fn tree(n: usize, parent: impl Fn(usize) -> Parent) -> Conversation<'static> {
        let message = || Message { content: Some(Content::Text("q".into())), ..Message::default() };
        let round = |place| Round {
            number: u32::try_from(place + 1).unwrap(),
            parent: parent(place),
            messages: vec![message()],
            ..Round::default()
        };
        Conversation { rounds: (0..n).map(round).collect(), ..Conversation::default() }
    }

    fn page(conversation: &Conversation<'_>, leaf: Option<usize>, from: usize) -> Shown {
        let (mut line, summary) = (Vec::new(), Summary::default());
        canonical::write(conversation, &mut line);
        let excerpt = Excerpt::of_line(&summary, &line, leaf, from).unwrap();
        let part = excerpt.conversation(&summary).unwrap();
        shown((&part, &excerpt), leaf, &|_| None, "/c?source=s".into(), &mut Room::of_page())
    }

    #[test]
    fn branches_lead_to_the_leaf_that_is_shown_for_them() {
        // 0 <- 1 <- 2, 0 <- 3, and 4 beside 0.
        let parents =
            [Parent::Root, Parent::Round(0), Parent::Round(1), Parent::Round(0), Parent::Root];
        let one = tree(5, |place| parents[place]);
        let path = page(&one, Some(3), 0);
        let versions: Vec<_> = path
            .rounds
            .iter()
            .filter_map(|round| round.version.as_ref())
            .map(|one| (one.number, one.of, one.before, one.after))
            .collect();
        assert_eq!(versions, [(1, 2, None, Some(4)), (2, 2, Some(2), None)]);
        let rounds = page(&one, None, 0).rounds;
        assert_eq!(rounds[0].version.as_ref().and_then(|one| one.before), Some(2));
    }

    #[test]
    fn pages_show_all_of_a_conversation_one_after_the_other() {
        let text = "<".repeat(30_000);
        let message = |number: usize| {
            let text = format!("{number} {text}");
            Message { content: Some(Content::Text(text.into())), ..Message::default() }
        };
        let mut one = tree(4, |place| if place == 2 { Parent::Round(0) } else { Parent::Previous });
        let messages: Vec<_> = (0..100).map(message).collect();
        one.rounds[0].messages = messages[..30].to_vec();
        // Of another branch.
        one.rounds[1].messages = vec![message(1000)];
        one.rounds[2].messages = messages[30..90].to_vec();
        one.rounds[3].messages = messages[90..].to_vec();
        let (mut found, mut from, mut sizes) = (Vec::new(), Some(0), Vec::new());
        while let Some(first) = from {
            let page = page(&one, None, first);
            let said = page.rounds.iter().flat_map(|round| &round.said);
            let before = found.len();
            found.extend(said.map(|said| said.text.split(' ').next().unwrap().to_owned()));
            sizes.push(found.len() - before);
            let paging = page.paging();
            assert_eq!(paging.first.is_some(), first > 0);
            assert_eq!(paging.next, page.next.map(|next| format!("/c?source=s&after={next}")));
            from = page.next;
        }
        // Each is cut to 20,000 characters, which take five times as many bytes.
        assert_eq!(sizes, [42, 42, 16]);
        let numbers: Vec<String> = (0..100).map(|number| number.to_string()).collect();
        assert_eq!(found, numbers, "each once");
        let second = page(&one, Some(3), 42);
        assert_eq!(second.part().as_deref(), Some("Messages 43 to 84 of 100"));
        assert_eq!(second.paging().next.as_deref(), Some("/c?source=s&leaf=3&after=84"));
        let small = page(&tree(3, |_| Parent::Previous), None, 0);
        assert_eq!((small.part(), small.next, small.rounds.len()), (None, None, 3));
    }

    #[test]
    fn a_page_of_any_tree_takes_time_that_grows_with_its_rounds() {
        for (what, parent) in [
            ("roots", (|_| Parent::Root) as fn(usize) -> Parent),
            ("line", |_| Parent::Previous),
            ("pairs", |n| Parent::Round(n / 2)),
            ("star", |n| if n == 0 { Parent::Root } else { Parent::Round(0) }),
            ("comb", |n| Parent::Round(n.saturating_sub(1 + n % 2))),
        ] {
            let (small, large) = (tree(5000, parent), tree(5000 * growth::TIMES, parent));
            growth::check(what, || drop(page(&small, None, 0)), || drop(page(&large, None, 0)));
            let (half, end) = (2500, 10_000);
            growth::check(
                what,
                || drop(page(&small, None, half)),
                || drop(page(&large, None, end)),
            );
        }
    }

    #[test]
    fn any_text_is_rendered_in_time_that_grows_with_it() {
        for piece in [
            "[", "![", "`", "*a_", "<", "> ", "- ", "|a", "[a](", "\n    ", "&amp;", "a\n=\n",
            "~~a", "((",
        ] {
            let text = |n: usize| super::super::records::markdown(&piece.repeat(n));
            growth::check(piece, || drop(text(1000)), || drop(text(1000 * growth::TIMES)));
        }
    }
}
