//! The agents that are known by name, and what each needs to ask before it acts.

use std::collections::BTreeMap;

use serde_json::{Value, json};

/// An agent that is known by name.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Known {
    /// Claude Code, by Zed's adapter.
    Claude,
    /// Codex, by its adapter.
    Codex,
    /// Gemini CLI.
    Gemini,
    /// opencode.
    Opencode,
}

impl Known {
    /// All of them.
    pub const ALL: [Self; 4] = [Self::Claude, Self::Codex, Self::Gemini, Self::Opencode];

    /// By its name.
    pub fn named(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|known| known.name() == name)
    }

    /// What it is called: `acp:NAME`.
    pub fn name(self) -> &'static str {
        match self {
            Self::Claude => "claude",
            Self::Codex => "codex",
            Self::Gemini => "gemini",
            Self::Opencode => "opencode",
        }
    }

    /// The program that speaks the protocol, and its arguments.
    pub fn command(self) -> Vec<String> {
        let words: &[&str] = match self {
            Self::Claude => &["claude-agent-acp"],
            Self::Codex => &["codex-acp"],
            Self::Gemini => &["gemini", "--acp"],
            Self::Opencode => &["opencode", "acp"],
        };
        words.iter().map(|word| (*word).to_owned()).collect()
    }

    /// How it is installed, where it is not.
    pub fn install(self) -> &'static str {
        match self {
            Self::Claude => "npm install -g @agentclientprotocol/claude-agent-acp",
            Self::Codex => "npm install -g @agentclientprotocol/codex-acp",
            Self::Gemini => "npm install -g @google/gemini-cli",
            Self::Opencode => "npm install -g opencode-ai",
        }
    }

    /// What its environment needs, so that it asks, and takes the tools that it is given; `writable` is what it may
    /// edit, paths and globs, `server` what tools are called by.
    pub fn environment(self, writable: &[&str], server: &str) -> BTreeMap<String, String> {
        let pairs: Vec<(&str, String)> = match self {
            // Tools would be looked for, and not found, in a list that is not asked for.
            Self::Claude => vec![("ENABLE_TOOL_SEARCH", "false".to_owned())],
            // In its usual mode it edits and runs whatever it likes.
            Self::Codex => vec![("INITIAL_AGENT_MODE", "read-only".to_owned())],
            // Tools of a folder that is not trusted are not started, and nothing is said.
            Self::Gemini => vec![("GEMINI_CLI_TRUST_WORKSPACE", "true".to_owned())],
            Self::Opencode => vec![("OPENCODE_CONFIG_CONTENT", opencode(writable, server).to_string())],
        };
        pairs.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    }

    /// The mode in which it asks.
    pub fn mode(self) -> Option<&'static str> {
        // Its usual one has a model decide, which lets it edit everything.
        (self == Self::Claude).then_some("default")
    }

    /// What its session takes beyond the protocol.
    pub fn meta(self) -> Option<Value> {
        // Without the user's own settings, which may let it edit everything unasked, and without the mode that asks
        // nothing, with which it does not start as root.
        let claude = json!({
            "settingSources": [], "tools": ["Read", "Edit", "Write", "Glob", "Grep"],
            "allowDangerouslySkipPermissions": false, "promptSuggestions": false,
        });
        (self == Self::Claude).then(|| json!({"claudeCode": {"options": claude}}))
    }
}

/// opencode's permissions, which it holds itself.
fn opencode(writable: &[&str], server: &str) -> Value {
    let mut edit = serde_json::Map::from_iter([("*".to_owned(), json!("deny"))]);
    edit.extend(writable.iter().map(|path| ((*path).to_owned(), json!("allow"))));
    json!({
        "autoupdate": false,
        "share": "disabled",
        "permission": {
            "*": "deny", "read": "allow", "glob": "allow", "grep": "allow", "edit": edit, format!("{server}_*"): "allow",
        },
    })
}
