//! What surrounds the cells of one kernel: their folder and their environment variables.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use crate::env;
use crate::failure::{ExitCode, Failure};
use crate::grammar::WritefileArgs;

/// The folder that commands run in, and what `%env` has set.
#[derive(Clone, Debug)]
pub(super) struct Surroundings {
    pub(super) folder: PathBuf,
    pub(super) set: BTreeMap<String, String>,
}

impl Surroundings {
    /// A path as a person types it, from the folder on.
    pub(super) fn path(&self, typed: &Path) -> PathBuf {
        match typed.strip_prefix("~").ok().zip(env::path("HOME")) {
            Some((rest, home)) => home.join(rest),
            None => self.folder.join(typed),
        }
    }

    /// `%cd`: the new folder.
    pub(super) fn change(&mut self, typed: &Path) -> Result<PathBuf, Failure> {
        let path = self.path(typed);
        let folder = path.canonicalize().map_err(|error| Failure::io("change to", &path, &error))?;
        if !folder.is_dir() {
            return Err(Failure::new(format!("{} is not a folder", folder.display())));
        }
        self.folder.clone_from(&folder);
        Ok(folder)
    }

    /// `%env`: what to show, and what was set.
    pub(super) fn env(&mut self, words: &[String]) -> Result<(String, Option<(String, String)>), Failure> {
        let shown = |(name, value): (&String, &String)| format!("{name}={value}");
        let mut all = env::all();
        all.extend(self.set.clone());
        let (name, value) = match words {
            [] => {
                // Other people read notebooks: what is secret by its name is not shown unasked.
                let lines = all.iter().map(|(name, value)| {
                    if runner::is_secret(name) { format!("{name}=…") } else { shown((name, value)) }
                });
                return Ok((lines.collect::<Vec<_>>().join("\n"), None));
            }
            [one] if !one.contains('=') => {
                return all
                    .remove(one)
                    .map(|value| (value, None))
                    .ok_or_else(|| Failure::new(format!("there is no environment variable {one}")));
            }
            words => {
                let text = words.join(" ");
                let (name, value) = text.split_once(['=', ' ']).unwrap_or((&text, ""));
                (name.to_owned(), value.to_owned())
            }
        };
        let named = !name.is_empty() && !name.contains(['=', '\0']) && !value.contains('\0');
        if !named {
            return Err(Failure::new(format!("`{name}` cannot be a variable's name"))
                .hint("%env NAME=VALUE")
                .code(ExitCode::Usage));
        }
        self.set.insert(name.clone(), value.clone());
        Ok((shown((&name, &value)), Some((name, value))))
    }

    /// A magic's line with `$NAME` and `${NAME}` replaced by what is set; what is not set stays as it is.
    pub(super) fn expand(&self, line: &str) -> String {
        let value = |name: &str| self.set.get(name).cloned().or_else(|| env::var(name));
        shellexpand::env_with_context_no_errors(line, value).into_owned()
    }

    /// `%load`: the file's text.
    pub(super) fn load(&self, file: &Path) -> Result<String, Failure> {
        let path = self.path(file);
        std::fs::read_to_string(&path).map_err(|error| Failure::io("read", &path, &error))
    }

    /// `%%writefile`: what was done.
    pub(super) fn write(&self, args: &WritefileArgs, body: &str) -> Result<String, Failure> {
        use std::io::Write as _;
        let path = self.path(&args.file);
        let done = if path.exists() && !args.append { "overwrote" } else { "wrote" };
        std::fs::OpenOptions::new()
            .create(true)
            .write(true)
            .append(args.append)
            .truncate(!args.append)
            .open(&path)
            .and_then(|mut file| file.write_all(body.as_bytes()))
            .map_err(|error| Failure::io("write", &path, &error))?;
        Ok(format!("{done} {}", args.file.display()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn here(folder: &Path) -> Surroundings {
        Surroundings { folder: folder.to_owned(), set: BTreeMap::new() }
    }

    #[test]
    fn variables_are_set_shown_and_kept_secret() {
        let mut here = here(Path::new("/"));
        let words = |text: &str| text.split(' ').map(str::to_owned).collect::<Vec<_>>();
        here.env(&words("A=1=2")).unwrap();
        here.env(&words("B two words")).unwrap();
        here.env(&words("MY_TOKEN=hush")).unwrap();
        assert_eq!(here.env(&words("A")).unwrap().0, "1=2");
        assert_eq!(here.env(&words("B")).unwrap().0, "two words");
        let all = here.env(&[]).unwrap().0;
        assert!(all.contains("A=1=2") && !all.contains("hush"));
        assert!(here.env(&words("NOT_THERE_AT_ALL")).is_err());
        assert!(here.env(&words("=x")).is_err());
        assert_eq!(
            here.expand("loop start --hours ${A} $B $nothing '$5'"),
            "loop start --hours 1=2 two words $nothing '$5'"
        );
    }

    #[test]
    fn files_are_written_appended_to_and_loaded() {
        let folder = tempfile::tempdir().unwrap();
        let mut here = here(folder.path());
        let args = |append| WritefileArgs { file: "a.txt".into(), append };
        assert_eq!(here.write(&args(false), "one\n").unwrap(), "wrote a.txt");
        assert_eq!(here.write(&args(false), "two\n").unwrap(), "overwrote a.txt");
        assert_eq!(here.write(&args(true), "three\n").unwrap(), "wrote a.txt");
        assert_eq!(here.load(Path::new("a.txt")).unwrap(), "two\nthree\n");
        assert!(here.change(Path::new("a.txt")).is_err());
        assert!(here.change(Path::new("nowhere")).is_err());
        std::fs::create_dir(folder.path().join("sub")).unwrap();
        assert!(here.change(Path::new("sub")).unwrap().ends_with("sub"));
        assert!(here.load(Path::new("../a.txt")).is_ok());
    }
}
