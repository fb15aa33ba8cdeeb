//! Where coding agents keep their sessions.

use std::path::{Path, PathBuf};

use super::watched::Watched;

/// A folder of an agent's sessions.
struct Agent {
    /// Its folder in the archive.
    name: &'static str,
    /// An environment variable with another folder, which replaces the first part of `folder`.
    variable: Option<&'static str>,
    /// The folder, below the home folder.
    folder: &'static str,
    /// Only files in a folder of this name are sessions.
    within: Option<&'static str>,
    /// Only this file of the folder has sessions; others may hold keys.
    only: Option<&'static str>,
}

const fn agent(name: &'static str, folder: &'static str) -> Agent {
    Agent { name, variable: None, folder, within: None, only: None }
}

/// Extensions keep their tasks in the editor's folder.
const CLINE: &str = "User/globalStorage/saoudrizwan.claude-dev/tasks";
const ROO: &str = "User/globalStorage/rooveterinaryinc.roo-cline/tasks";

/// Where Cursor keeps its chats, among other things.
const CHATS: Option<&str> = Some("state.vscdb");
const CURSOR_ON_MACOS: &str = "Library/Application Support/Cursor/User/globalStorage";

/// The agents, and where each keeps its sessions.
const AGENTS: [Agent; 21] = [
    Agent { variable: Some("CLAUDE_CONFIG_DIR"), ..agent("claude-code", ".claude/projects") },
    agent("claude-code-config", ".config/claude/projects"),
    Agent { variable: Some("CODEX_HOME"), ..agent("codex", ".codex/sessions") },
    Agent { variable: Some("CODEX_HOME"), ..agent("codex-archived", ".codex/archived_sessions") },
    Agent { within: Some("chats"), ..agent("gemini-cli", ".gemini/tmp") },
    agent("opencode", ".local/share/opencode/storage"),
    Agent { only: Some("opencode.db"), ..agent("opencode-db", ".local/share/opencode") },
    agent("pi", ".pi/agent/sessions"),
    Agent { within: Some("sessions"), ..agent("openclaw", ".openclaw/agents") },
    agent("droid", ".factory/sessions"),
    agent("amp", ".local/share/amp/threads"),
    agent("continue", ".continue/sessions"),
    agent("copilot-cli", ".copilot/session-state"),
    Agent { within: Some("agent-transcripts"), ..agent("cursor", ".cursor/projects") },
    Agent { only: CHATS, ..agent("cursor-chats", ".config/Cursor/User/globalStorage") },
    Agent { only: CHATS, ..agent("cursor-chats", CURSOR_ON_MACOS) },
    Agent { only: CHATS, ..agent("cursor-chats", "AppData/Roaming/Cursor/User/globalStorage") },
    agent("goose", ".local/share/goose/sessions"),
    agent("cline", CLINE),
    agent("roo-code", ROO),
    Agent { within: Some("chatSessions"), ..agent("vscode-chat", "User/workspaceStorage") },
];

/// Where editors keep their own folder `User`, below the home folder.
const EDITORS: [(&str, &str); 4] = [
    ("", ".config/Code"),
    ("", "Library/Application Support/Code"),
    ("", "AppData/Roaming/Code"),
    ("-insiders", ".config/Code - Insiders"),
];

/// The folders of agents' sessions that exist. `variable` gives the value of an environment variable.
pub fn agents(home: &Path, variable: impl Fn(&str) -> Option<PathBuf>) -> Vec<Watched> {
    let mut found = Vec::new();
    let mut add = |name: String, folder: PathBuf, within, only| {
        if folder.is_dir() {
            found.push(Watched { name, folder, within, only });
        }
    };
    for Agent { name, variable: named, folder, within, only } in AGENTS {
        if folder.starts_with("User/") {
            for (suffix, editor) in EDITORS {
                add(format!("{name}{suffix}"), home.join(editor).join(folder), within, only);
            }
            continue;
        }
        let elsewhere = named.and_then(&variable).filter(|path| path.is_absolute());
        let folder = match (elsewhere, folder.split_once('/')) {
            (Some(elsewhere), Some((_, below))) => elsewhere.join(below),
            _ => home.join(folder),
        };
        add(name.to_owned(), folder, within, only);
    }
    found
}
