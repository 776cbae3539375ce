//! What an agent is given leave for: to edit what it may edit, to read where it works, to use the tools it was given.
//!
//! An agent says itself what it is about to do, and may say it in several updates. So what sounds worst is believed, and
//! every path that is named anywhere must be one that it may have.

use std::path::{Component, Path, PathBuf};

use serde_json::Value;

use crate::Spec;

/// What editors call their commands; whatever else is called a command is one of a shell.
const EDITOR: [&str; 6] = ["view", "create", "write", "str_replace", "insert", "undo_edit"];

/// A tool call, as far as it is known: later updates may hold only what changed.
#[derive(Clone, Debug, Default)]
pub(crate) struct Call {
    pub(crate) title: String,
    name: Option<String>,
    pub(crate) kind: String,
    paths: Vec<PathBuf>,
}

impl Call {
    /// Takes in what an update says.
    pub(crate) fn update(&mut self, update: &Value) {
        if let Some(title) = text(&update["title"]) {
            self.title = title;
        }
        // Claude's adapter has its tool's name in `_meta`.
        let name = text(&update["name"]).or_else(|| text(&update["_meta"]["claudeCode"]["toolName"]));
        self.name = name.or(self.name.take());
        let input = &update["rawInput"];
        let shell = ["command", "cmd"].map(|name| &input[name]).into_iter().any(is_shell);
        let kinds = text(&update["kind"]).into_iter().chain(shell.then(|| "execute".to_owned()));
        for kind in kinds {
            if danger(&kind) >= danger(&self.kind) {
                self.kind = kind;
            }
        }
        let each = |list: &'static str| update[list].as_array().into_iter().flatten();
        let diffs = each("content").filter(|content| content["type"] == "diff");
        for place in each("locations").chain(diffs) {
            // One that cannot be read could be anywhere.
            self.paths.push(text(&place["path"]).map_or_else(|| PathBuf::from("/"), PathBuf::from));
        }
        named(input, &mut self.paths);
        self.paths.sort();
        self.paths.dedup();
    }

    /// Whether leave is given.
    pub(crate) fn is_granted(&self, spec: &Spec) -> bool {
        let all = |may: &dyn Fn(&Path) -> bool| {
            let within = |path: &PathBuf| inside(&spec.folder, path).is_some_and(|path| may(&path));
            !self.paths.is_empty() && self.paths.iter().all(within)
        };
        match self.kind.as_str() {
            "edit" => all(&|path| (spec.writable)(path)),
            "read" | "search" => all(&|_| true),
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

/// How much a call of a kind may do.
fn danger(kind: &str) -> u8 {
    match kind {
        "" => 0,
        "read" | "search" => 1,
        "other" => 2,
        "edit" => 3,
        _ => 4,
    }
}

fn text(value: &Value) -> Option<String> {
    value.as_str().filter(|text| !text.is_empty()).map(str::to_owned)
}

/// Whether this is a command of a shell.
fn is_shell(command: &Value) -> bool {
    !command.is_null() && !command.as_str().is_some_and(|word| EDITOR.contains(&word))
}

/// The paths that the input of a tool names: `file_path`, `filePath`, `paths: [..]`, `changes: {PATH: ..}`, at any depth.
fn named(input: &Value, paths: &mut Vec<PathBuf>) {
    match input {
        Value::Array(items) => items.iter().for_each(|item| named(item, paths)),
        Value::Object(fields) => {
            for (name, value) in fields {
                let name = name.to_lowercase();
                if ["path", "paths", "file", "files", "filename"].iter().any(|end| name.ends_with(end)) {
                    let one = std::slice::from_ref(value);
                    let texts = value.as_array().map_or(one, Vec::as_slice).iter().filter_map(text);
                    paths.extend(texts.map(PathBuf::from));
                }
                if let (true, Some(changes)) = (name == "changes", value.as_object()) {
                    paths.extend(changes.keys().map(PathBuf::from));
                }
                named(value, paths);
            }
        }
        _ => {}
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

    use std::sync::Arc;

    use proptest::prelude::*;
    use serde_json::json;

    use super::*;
    use crate::Server;

    /// A folder in which `train.py` may be edited, and what lies in `src`; `link.py` and `src/out` lead elsewhere.
    fn spec(folder: &Path) -> Spec {
        std::fs::write(folder.join("train.py"), "x").unwrap();
        std::fs::write(folder.join("prepare.py"), "x").unwrap();
        std::fs::create_dir(folder.join("src")).unwrap();
        std::os::unix::fs::symlink("prepare.py", folder.join("link.py")).unwrap();
        std::os::unix::fs::symlink("/etc", folder.join("src/out")).unwrap();
        let mut spec = Spec::new(Vec::new(), folder.to_owned());
        spec.writable = Arc::new(|path| {
            path.starts_with("src") || ["train.py", "link.py"].iter().any(|name| path == Path::new(name))
        });
        spec.servers = vec![Server { name: "lab".into(), program: "x".into(), arguments: Vec::new() }];
        spec
    }

    fn granted(spec: &Spec, updates: &[Value]) -> bool {
        let mut call = Call::default();
        for update in updates {
            call.update(update);
        }
        call.is_granted(spec)
    }

    fn edit(path: &str) -> Value {
        json!({"kind": "edit", "locations": [{"path": path}]})
    }

    #[test]
    fn only_what_may_be_edited() {
        let folder = tempfile::tempdir().unwrap();
        let spec = spec(folder.path());
        let whole = |path: &str| folder.path().join(path).display().to_string();
        for path in ["train.py", "./train.py", "src/new.py", &whole("train.py"), &whole("src/a/b.py")] {
            assert!(granted(&spec, &[edit(path)]), "{path}");
        }
        for path in [
            "prepare.py",
            "link.py",
            "../train.py",
            "/etc/passwd",
            "sub/../train.py",
            "src/../prepare.py",
            "src/out/passwd",
            ".overnight/brief.md",
            ".git",
            "file:///train.py",
            "~/train.py",
            "train.py/../prepare.py",
            "TRAIN.PY",
            ".",
            "",
            &whole("../train.py"),
            &whole("src/out/passwd"),
        ] {
            assert!(!granted(&spec, &[edit(path)]), "{path}");
        }
        assert!(!granted(&spec, &[json!({"kind": "edit"})]), "no path is no leave");
        for kind in ["execute", "delete", "move", "fetch", "think", "switch_mode", "EDIT", "brand_new"] {
            let call = json!({"kind": kind, "title": "mcp__lab__sql", "locations": [{"path": "train.py"}]});
            assert!(!granted(&spec, &[call]), "{kind}");
        }
        assert!(granted(&spec, &[json!({"kind": "read", "locations": [{"path": "prepare.py"}]})]));
        assert!(granted(&spec, &[json!({"kind": "other", "name": "mcp__lab__sql"})]));
        assert!(granted(&spec, &[json!({"kind": "other", "title": "sql (lab MCP Server)"})]));
        for title in ["mcp__other__sql", "mcp__lab__", "rm -rf / (lab MCP Server)", "sql"] {
            assert!(!granted(&spec, &[json!({"kind": "other", "title": title})]), "{title}");
        }
    }

    #[test]
    fn one_path_among_others_that_may_not_be_edited_is_one_too_many() {
        let folder = tempfile::tempdir().unwrap();
        let spec = spec(folder.path());
        let with = |key: &str, value: Value| {
            let mut call = edit("train.py");
            call[key] = value;
            granted(&spec, &[call])
        };
        assert!(with(
            "rawInput",
            json!({"file_path": "train.py", "old_string": "a /etc/passwd", "content": "../b"})
        ));
        assert!(with("rawInput", json!({"command": "str_replace", "path": "train.py", "file_text": "/etc"})));
        for input in [
            json!({"changes": {"prepare.py": {}}}),
            json!({"changes": {"train.py": {"move_path": "prepare.py"}}}),
            json!({"filePath": "prepare.py"}),
            json!({"notebook_path": "/etc/passwd"}),
            json!({"paths": ["train.py", "prepare.py"]}),
            json!({"edits": [{"target_file": "train.py"}, {"target_file": "prepare.py"}]}),
            json!({"files": [{"path": "prepare.py"}]}),
        ] {
            assert!(!with("rawInput", input.clone()), "{input}");
        }
        for places in
            [json!([{"path": "train.py"}, {"path": "prepare.py"}]), json!([{"path": 7}]), json!([{}])]
        {
            assert!(!with("locations", places.clone()), "{places}");
        }
        for content in [json!([{"type": "diff", "path": "prepare.py"}]), json!([{"type": "diff"}])] {
            assert!(!with("content", content.clone()), "{content}");
        }
    }

    #[test]
    fn what_was_called_worse_before_stays_so() {
        let folder = tempfile::tempdir().unwrap();
        let spec = spec(folder.path());
        let read = json!({"kind": "read", "locations": [{"path": "prepare.py"}]});
        let ours = json!({"kind": "other", "name": "mcp__lab__sql"});
        for (first, then) in [
            (json!({"kind": "execute"}), edit("train.py")),
            (json!({"kind": "delete"}), edit("train.py")),
            (edit("prepare.py"), read.clone()),
            (edit("prepare.py"), ours.clone()),
            (edit("prepare.py"), edit("train.py")),
            (json!({"rawInput": {"command": "rm -rf ~"}}), read),
            (json!({"rawInput": {"command": ["rm", "train.py"]}}), edit("train.py")),
            (json!({"rawInput": {"cmd": "reboot"}}), ours),
        ] {
            assert!(!granted(&spec, &[first.clone(), then.clone()]), "{first} {then}");
            assert!(!granted(&spec, &[then.clone(), first.clone()]), "{then} {first}");
        }
        let pending = json!({"kind": "other", "title": "Edit"});
        assert!(granted(&spec, &[pending, edit("train.py"), json!({"title": "Edit train.py"})]));
    }

    proptest! {
        /// However a path is made up: what is granted is in the folder, and may be edited.
        #[test]
        fn what_is_granted_is_what_may_be_edited(parts in proptest::collection::vec(
            prop::sample::select(vec!["train.py", "prepare.py", "src", "out", "link.py", "..", ".", "", "/", "~"]), 0..6)) {
            let folder = tempfile::tempdir().unwrap();
            let spec = spec(folder.path());
            let path = parts.join("/");
            if granted(&spec, &[edit(&path)]) {
                let plain: PathBuf = Path::new(&path).components().filter(|part| *part != Component::CurDir).collect();
                prop_assert!(plain == Path::new("train.py") || plain.starts_with("src"), "{}", path);
                prop_assert!(!plain.starts_with("src/out"), "{}", path);
            }
        }
    }
}
