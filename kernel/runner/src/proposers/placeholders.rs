//! `%{…}` in the command line of a `command:` proposer: `command:claude -p %{prompt}`.

/// What may stand in a command line.
const KNOWN: [&str; 7] = ["brief", "prompt", "editable", "folder", "number", "metric", "best"];

/// A command line with each placeholder replaced by what `value` says of it, quoted for the shell.
///
/// # Errors
/// Where there is no such placeholder, or one is not closed.
pub(super) fn expand(template: &str, mut value: impl FnMut(&str) -> Vec<String>) -> Result<String, String> {
    let mut parts = template.split("%{");
    let mut command = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        let (name, rest) = part.split_once('}').ok_or_else(|| format!("`%{{{part}` has no closing brace"))?;
        if !KNOWN.contains(&name) {
            let known = KNOWN.map(|name| format!("%{{{name}}}")).join(", ");
            return Err(format!("there is no `%{{{name}}}`; there are {known}"));
        }
        command.push_str(&shell_words::join(value(name)));
        command.push_str(rest);
    }
    Ok(command)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_for_the_shell() {
        let expanded = expand("tool --on %{editable} '%{number}' %d {x}", |name| match name {
            "editable" => vec!["a b.py".to_owned(), "c.py".to_owned()],
            _ => vec!["7".to_owned()],
        });
        assert_eq!(expanded.as_deref(), Ok("tool --on 'a b.py' c.py '7' %d {x}"));
    }

    #[test]
    fn what_cannot_be_expanded_is_said() {
        let said = |template| expand(template, |_| Vec::new()).unwrap_err();
        insta::assert_snapshot!(said("x %{brif}"), @"there is no `%{brif}`; there are %{brief}, %{prompt}, %{editable}, %{folder}, %{number}, %{metric}, %{best}");
        insta::assert_snapshot!(said("x %{brief"), @"`%{brief` has no closing brace");
    }
}
