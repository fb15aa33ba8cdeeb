//! Readers: foreign bytes to items. One file a format; [`FORMATS`] is the list of them.
//!
//! [`split`] cuts a stream into texts, [`Sniff`] answers what the formats ask of one to know their own, and a format's
//! reader turns it into [`Items`]. A bad item is refused with its position and passed over.

mod answers;
mod assemble;
pub mod bson;
mod calls;
mod chat;
mod conventions;
mod definitions;
mod draft;
mod fields;
mod format;
mod histories;
mod hosted;
mod layout;
mod links;
mod map;
mod marks;
mod media;
mod notes;
pub(crate) mod otlp_names;
pub mod otlp_protobuf;
pub mod otlp_request;
mod pairs;
mod parts;
mod python;
mod raw_spans;
pub mod refused;
mod roles;
mod rounds;
mod session;
mod side;
mod sniff;
mod span_messages;
mod span_rows;
mod spans;
pub mod split;
mod streams;
pub mod table;
mod tagged_calls;
mod thread;
mod tree;
mod typed;
mod unplaced;
mod vector;
mod written_out;

use crate::list::formats;

pub use format::{
    Fragment, ImportFormat, ItemError, Items, Notes, Refusal, SideFiles, Spread, TextFiles,
    TextItems,
};
pub use map::{Mapping, suggest};
pub use side::{Side, Sides};
pub use sniff::{Entry, Sniff};

formats! {
    /// All import formats. Where two recognise an item, the first is taken: the special come before the general.
    FORMATS: ImportFormat;
    retort::Retort,
    deepseek::DeepSeek,
    chatgpt::ChatGpt,
    claude::Claude,
    claude_code::ClaudeCode,
    mlflow::MlFlow,
    langfuse::Langfuse,
    langsmith::LangSmith,
    opik::Opik,
    weave::Weave,
    braintrust::Braintrust,
    otlp::Otlp,
    open_webui::OpenWebUi,
    librechat::LibreChat,
    grok::Grok,
    ai_studio::AiStudio,
    chatbot_ui::ChatbotUi,
    next_chat::NextChat,
    chatbox::Chatbox,
    typing_mind::TypingMind,
    lm_studio::LmStudio,
    lobe_chat::LobeChat,
    silly_tavern::SillyTavern,
    dify::Dify,
    fast_gpt::FastGpt,
    poe::Poe,
    threads::Threads,
    gemini_activity::GeminiActivity,
    codex::Codex,
    sts::Sts,
    pi::Pi,
    droid::Droid,
    gemini_cli::GeminiCli,
    cursor::Cursor,
    cursor_chats::CursorChats,
    goose::Goose,
    opencode::OpenCode,
    aider::Aider,
    amp::Amp,
    continue_dev::Continue,
    windsurf::Windsurf,
    pydantic_ai::PydanticAi,
    langgraph::LangGraph,
    adk::Adk,
    vscode_chat::VsCodeChat,
    run_state::RunState,
    fast_agent::FastAgent,
    atif::Atif,
    inspect::Inspect,
    verifiers::Verifiers,
    tau2::Tau2,
    nemo_gym::NemoGym,
    swe_agent::SweAgent,
    openhands::OpenHands,
    toolbench::ToolBench,
    mint::Mint,
    promptfoo::Promptfoo,
    bfcl::Bfcl,
    moss::Moss,
    xlam::XLam,
    glaive::Glaive,
    adp::Adp,
    copilot::Copilot,
    uiuc_chat::UiucChat,
    documents::Documents,
    chunks::Chunks,
    mcp_agent_graph::McpAgentGraph,
    sharegpt::ShareGpt,
    prompt_completion::PromptCompletion,
    autogen::AutoGen,
    openai::OpenAi,
    preference::Preference,
    ranked::Ranked,
    oasst::Oasst,
    label_studio::LabelStudio,
    recorded::Recorded,
    requests::Requests,
    question_answer::QuestionAnswer,
    message_rows::MessageRows,
    runs::Runs,
    wrapped::Wrapped(recognise_unwrapped),
}

/// The format of that name.
pub fn by_name(name: &str) -> Option<&'static dyn ImportFormat> {
    FORMATS.iter().copied().find(|format| format.name() == name)
}

/// The format that recognises an item.
pub fn recognise(sniff: &Sniff<'_>) -> Option<&'static dyn ImportFormat> {
    FORMATS.iter().copied().find(|format| format.recognises(sniff))
}

/// The format whose text, which is no JSON, a file holds: by the file's name, or by a mark near the start.
pub fn with_text(
    name: &str,
    start: &[u8],
) -> Option<(&'static dyn ImportFormat, &'static TextFiles)> {
    let marked = |files: &TextFiles| {
        start.split(|byte| *byte == b'\n').any(|line| line.starts_with(files.mark.as_bytes()))
    };
    let mut all = FORMATS.iter().filter_map(|format| Some((*format, format.text_files()?)));
    all.find(|(_, files)| has_name(files, name) || marked(files))
}

/// Whether a file holds such text by its name.
pub fn is_text_file(name: &str) -> bool {
    FORMATS.iter().filter_map(|format| format.text_files()).any(|files| has_name(files, name))
}

fn has_name(files: &TextFiles, path: &str) -> bool {
    side::is_one(files.names, side::parted(side::unpacked(path)).1)
}

/// The format that recognises an element of a list that is wrapped in an object: no list in a list.
fn recognise_unwrapped(sniff: &Sniff<'_>) -> Option<&'static dyn ImportFormat> {
    FORMATS.split_last()?.1.iter().copied().find(|format| format.recognises(sniff))
}
