//! `%{…}` in the command line of a `command:` proposer: `command:claude -p %{prompt}`.

/// What may stand in a command line.
const KNOWN: [&str; 7] = ["brief", "prompt", "editable", "folder", "number", "metric", "best"];

/// A command line with each placeholder replaced by what `value` says of it, quoted for the shell.
///
/// # Errors
/// Where there is no such placeholder, one is not closed, or one stands in quotes: what it stands for is quoted itself,
/// and within other quotes the shell would run what a log or a hypothesis says.
pub(super) fn expand(template: &str, mut value: impl FnMut(&str) -> Vec<String>) -> Result<String, String> {
    let mut parts = template.split("%{");
    let mut command = parts.next().unwrap_or_default().to_owned();
    for part in parts {
        if is_quoted(&command) {
            return Err(format!("`%{{{part}` stands in quotes: write it without, it is quoted by itself"));
        }
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

/// Whether what follows a beginning of a command line stands in quotes.
fn is_quoted(command: &str) -> bool {
    let (mut quote, mut escaped) = (None, false);
    for c in command.chars() {
        match (quote, c) {
            _ if escaped => escaped = false,
            (None | Some('"'), '\\') => escaped = true,
            (None, '"' | '\'' | '`') => quote = Some(c),
            (Some(open), c) if open == c => quote = None,
            _ => {}
        }
    }
    quote.is_some() || escaped
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_quoted_for_the_shell() {
        let expanded = expand("tool -m 'it''s' \\\" --on %{editable} %{number} %d {x}", |name| match name {
            "editable" => vec!["a b.py".to_owned(), "c.py".to_owned()],
            _ => vec!["7".to_owned()],
        });
        assert_eq!(expanded.as_deref(), Ok("tool -m 'it''s' \\\" --on 'a b.py' c.py 7 %d {x}"));
    }

    #[test]
    fn what_cannot_be_expanded_is_said() {
        let said = |template| expand(template, |_| Vec::new()).unwrap_err();
        insta::assert_snapshot!(said("x %{brif}"), @"there is no `%{brif}`; there are %{brief}, %{prompt}, %{editable}, %{folder}, %{number}, %{metric}, %{best}");
        for template in
            ["x \"%{prompt}\"", "x '%{prompt}'", "x `y %{prompt}`", "x \"a\\\" %{prompt}", "x \\%{prompt}"]
        {
            assert!(said(template).contains("stands in quotes"), "{template}");
        }
        insta::assert_snapshot!(said("x %{brief"), @"`%{brief` has no closing brace");
    }
}
