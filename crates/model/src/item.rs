//! What histories are made of: conversations, runs and documents, each one item.

use crate::conversation::Conversation;
use crate::document::Document;
use crate::message::NotUnderstood;
use crate::named;
use crate::run::Run;
use retort_json::Text;

/// What a reader yields, a store keeps and a data format shapes.
#[derive(Clone, Debug, PartialEq)]
pub enum Item<'a> {
    /// A conversation.
    Conversation(Conversation<'a>),
    /// An execution of a copilot or recipe.
    Run(Run<'a>),
    /// A document with its chunks.
    Document(Document<'a>),
}

/// Which of them an item is.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub enum ItemKind {
    /// A conversation.
    #[default]
    Conversation,
    /// A run.
    Run,
    /// A document.
    Document,
}

named!(ItemKind, "kind of item", Conversation = "conversation", Run = "run", Document = "document");

impl ItemKind {
    /// What several of them are called.
    pub fn plural(self) -> &'static str {
        match self {
            Self::Conversation => "conversations",
            Self::Run => "runs",
            Self::Document => "documents",
        }
    }
}

impl<'a> Item<'a> {
    /// Which kind it is.
    pub fn kind(&self) -> ItemKind {
        match self {
            Self::Conversation(_) => ItemKind::Conversation,
            Self::Run(_) => ItemKind::Run,
            Self::Document(_) => ItemKind::Document,
        }
    }

    /// The source's own id.
    pub fn id(&self) -> &Text<'a> {
        match self {
            Self::Conversation(conversation) => &conversation.id,
            Self::Run(run) => &run.request_id,
            Self::Document(document) => &document.id,
        }
    }

    /// The same, to be set.
    pub fn id_mut(&mut self) -> &mut Text<'a> {
        match self {
            Self::Conversation(conversation) => &mut conversation.id,
            Self::Run(run) => &mut run.request_id,
            Self::Document(document) => &mut document.id,
        }
    }

    /// Among what the id is told apart: the import format, or the copilot or recipe that ran.
    pub fn among(&self) -> &Text<'a> {
        match self {
            Self::Conversation(conversation) => &conversation.source,
            Self::Run(run) => &run.source_id,
            Self::Document(document) => &document.source,
        }
    }

    /// Who held or started it, if the kind has such a person.
    pub fn owner_mut(&mut self) -> Option<&mut Option<Text<'a>>> {
        match self {
            Self::Conversation(conversation) => Some(&mut conversation.owner),
            Self::Run(run) => Some(&mut run.owner),
            Self::Document(_) => None,
        }
    }

    /// What the reader met and could not place.
    pub fn not_understood(&self) -> &[NotUnderstood<'a>] {
        match self {
            Self::Conversation(conversation) => &conversation.not_understood,
            Self::Run(run) => &run.not_understood,
            Self::Document(_) => &[],
        }
    }

    /// The same item, borrowing from nothing.
    pub fn into_owned(self) -> Item<'static> {
        match self {
            Self::Conversation(conversation) => Item::Conversation(conversation.into_owned()),
            Self::Run(run) => Item::Run(run.into_owned()),
            Self::Document(document) => Item::Document(document.into_owned()),
        }
    }

    /// The conversation, if it is one.
    pub fn into_conversation(self) -> Option<Conversation<'a>> {
        match self {
            Self::Conversation(conversation) => Some(conversation),
            Self::Run(_) | Self::Document(_) => None,
        }
    }
}

impl<'a> From<Conversation<'a>> for Item<'a> {
    fn from(conversation: Conversation<'a>) -> Self {
        Self::Conversation(conversation)
    }
}

impl<'a> From<Run<'a>> for Item<'a> {
    fn from(run: Run<'a>) -> Self {
        Self::Run(run)
    }
}

impl<'a> From<Document<'a>> for Item<'a> {
    fn from(document: Document<'a>) -> Self {
        Self::Document(document)
    }
}
