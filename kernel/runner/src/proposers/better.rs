//! Which better proposer this machine has than the one that runs.

use agents::Known;

use crate::environment::Variables;

/// What a person should know who runs `search`; `None` where nothing better is at hand.
pub(crate) fn better(variables: &Variables) -> Option<String> {
    let agents = Known::ALL.into_iter().filter_map(|known| {
        let name = known.name();
        let ready = variables.find(&known.command()[0]).is_some();
        let there = ready || variables.find(name).is_some();
        let install = if ready { String::new() } else { format!(" (first `{}`)", known.install()) };
        there.then(|| format!("{name} is installed: `--agent acp:{name}`{install}"))
    });
    let keys = [("ANTHROPIC_API_KEY", "anthropic"), ("OPENAI_API_KEY", "openai")];
    let models = keys.into_iter().filter_map(|(variable, api)| {
        let set = variables.get(variable).is_some_and(|value| !value.trim().is_empty());
        set.then(|| format!("{variable} is set: `--agent {api}:MODEL`"))
    });
    let found: Vec<String> = agents.chain(models).collect();
    (!found.is_empty())
        .then(|| format!("`search` changes constants alone; at hand is more: {}", found.join("; ")))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn what_is_installed_and_what_has_a_key_is_named() {
        let folder = tempfile::tempdir().unwrap();
        for program in ["claude", "codex-acp"] {
            let path = folder.path().join(program);
            std::fs::write(&path, "").unwrap();
            std::fs::set_permissions(&path, PermissionsExt::from_mode(0o755)).unwrap();
        }
        let mut variables = Variables([("PATH".to_owned(), folder.path().display().to_string())].into());
        variables.0.insert("OPENAI_API_KEY".to_owned(), "k".to_owned());
        insta::assert_snapshot!(better(&variables).unwrap(), @"`search` changes constants alone; at hand is more: claude is installed: `--agent acp:claude` (first `npm install -g @agentclientprotocol/claude-agent-acp`); codex is installed: `--agent acp:codex`; OPENAI_API_KEY is set: `--agent openai:MODEL`");
        assert_eq!(better(&Variables::default()), None);
    }
}
