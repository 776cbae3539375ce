//! What an agent is given leave for: to edit what it may edit, to read where it works, to use the tools it was given.

use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use crate::Spec;

/// A tool call, as far as it is known: later updates may hold only what changed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Call {
    pub(crate) title: String,
    pub(crate) name: Option<String>,
    pub(crate) kind: String,
    pub(crate) paths: Vec<PathBuf>,
}

impl Call {
    /// Takes in what an update says.
    pub(crate) fn update(&mut self, update: &Value) {
        let text = |value: &Value| value.as_str().filter(|text| !text.is_empty()).map(str::to_owned);
        if let Some(title) = text(&update["title"]) {
            self.title = title;
        }
        // Claude's adapter has its tool's name in `_meta`.
        let name = text(&update["name"]).or_else(|| text(&update["_meta"]["claudeCode"]["toolName"]));
        self.name = name.or(self.name.take());
        if let Some(kind) = text(&update["kind"]) {
            self.kind = kind;
        }
        let places = update["locations"].as_array().into_iter().flatten().map(|place| &place["path"]);
        let content = update["content"].as_array().into_iter().flatten();
        let diffs = content.filter(|content| content["type"] == "diff").map(|content| &content["path"]);
        let input = &update["rawInput"];
        let named = ["file_path", "filePath", "path", "filepath"].map(|name| &input[name]);
        let mut paths: Vec<PathBuf> =
            places.chain(diffs).chain(named).filter_map(text).map(PathBuf::from).collect();
        paths.extend(input["changes"].as_object().into_iter().flatten().map(|(path, _)| PathBuf::from(path)));
        for path in paths {
            if !self.paths.contains(&path) {
                self.paths.push(path);
            }
        }
    }

    /// Whether leave is given.
    pub(crate) fn is_granted(&self, spec: &Spec) -> bool {
        let all =
            |may: &dyn Fn(&Path) -> bool| !self.paths.is_empty() && self.paths.iter().all(|path| may(path));
        match self.kind.as_str() {
            "edit" => {
                all(&|path| inside(&spec.folder, path).is_some_and(|path| spec.writable.contains(&path)))
            }
            "read" | "search" => all(&|path| inside(&spec.folder, path).is_some()),
            // The title of a command is whatever the command is, so it is not believed.
            "other" => self.is_ours(spec),
            _ => false,
        }
    }

    /// Whether it is a tool of a server that was given: `mcp__lab__sql` (Claude), `sql (lab MCP Server)` (Gemini).
    fn is_ours(&self, spec: &Spec) -> bool {
        let name = self.name.as_deref().unwrap_or(&self.title);
        let word = |tool: &str| !tool.is_empty() && tool.chars().all(|c| c.is_alphanumeric() || c == '_');
        spec.servers.iter().any(|server| {
            let claude = name.strip_prefix(&format!("mcp__{}__", server.name));
            let gemini = name.strip_suffix(&format!(" ({} MCP Server)", server.name));
            claude.or(gemini).is_some_and(word)
        })
    }
}

/// `path` from `folder` on, where it lies in it and no link on its way leads elsewhere.
fn inside(folder: &Path, path: &Path) -> Option<PathBuf> {
    let root = folder.canonicalize().ok()?;
    let relative = if path.is_absolute() {
        path.strip_prefix(folder).or_else(|_| path.strip_prefix(&root)).ok()?
    } else {
        path
    };
    let (mut way, mut plain) = (root, PathBuf::new());
    for part in relative.components() {
        match part {
            Component::Normal(name) => {
                way.push(name);
                plain.push(name);
            }
            Component::CurDir => {}
            _ => return None,
        }
        if way.symlink_metadata().is_ok_and(|file| file.file_type().is_symlink()) {
            return None;
        }
    }
    Some(plain)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use serde_json::json;

    use super::*;
    use crate::Server;

    fn spec(folder: &Path) -> Spec {
        std::fs::write(folder.join("train.py"), "x").unwrap();
        std::fs::write(folder.join("prepare.py"), "x").unwrap();
        std::os::unix::fs::symlink("prepare.py", folder.join("link.py")).unwrap();
        let mut spec = Spec::new(Vec::new(), folder.to_owned());
        spec.writable = vec!["train.py".into(), "link.py".into()];
        spec.servers = vec![Server { name: "lab".into(), program: "x".into(), arguments: Vec::new() }];
        spec
    }

    #[test]
    fn only_what_may_be_edited() {
        let folder = tempfile::tempdir().unwrap();
        let spec = spec(folder.path());
        let whole = |path: &str| folder.path().join(path).display().to_string();
        let granted = |update: Value| {
            let mut call = Call::default();
            call.update(&update);
            call.is_granted(&spec)
        };
        let edit = |path: &str| json!({"kind": "edit", "locations": [{"path": path}]});
        assert!(
            granted(edit("train.py")) && granted(edit(&whole("train.py"))) && granted(edit("./train.py"))
        );
        for path in ["prepare.py", "link.py", "../train.py", "/etc/passwd", "sub/../train.py", ""] {
            assert!(!granted(edit(path)), "{path}");
        }
        assert!(!granted(json!({"kind": "edit"})), "no path is no leave");
        let both = json!({"kind": "edit", "locations": [{"path": "train.py"}], "rawInput": {"changes": {"prepare.py": {}}}});
        assert!(!granted(both));
        assert!(!granted(
            json!({"kind": "execute", "title": "mcp__lab__sql", "locations": [{"path": "train.py"}]})
        ));
        assert!(granted(json!({"kind": "read", "locations": [{"path": "prepare.py"}]})));
        assert!(granted(json!({"kind": "other", "name": "mcp__lab__sql"})));
        assert!(granted(json!({"kind": "other", "title": "sql (lab MCP Server)"})));
        for title in ["mcp__other__sql", "mcp__lab__", "rm -rf / (lab MCP Server)", "sql"] {
            assert!(!granted(json!({"kind": "other", "title": title})), "{title}");
        }
    }

    #[test]
    fn a_later_update_adds_to_what_is_known() {
        let folder = tempfile::tempdir().unwrap();
        let spec = spec(folder.path());
        let mut call = Call::default();
        call.update(&json!({"kind": "edit", "content": [{"type": "diff", "path": "train.py"}]}));
        call.update(&json!({"title": "Edit"}));
        assert!(call.is_granted(&spec));
        call.update(&json!({"rawInput": {"file_path": "prepare.py"}}));
        assert!(!call.is_granted(&spec));
    }
}
