//! Which paths a candidate may change.

use globset::{GlobBuilder, GlobSet, GlobSetBuilder};

use crate::Lab;

/// The program's own path, which no candidate may change.
pub(crate) const PROGRAM: &str = "program.md";
/// The folder of a proposer's worktree in which the ledger is readable as files. No candidate may hold any of it.
pub const RECORDS: &str = ".overnight";

/// A lab's editable paths and globs, made ready to be asked about many paths.
///
/// A plain path is one file or a folder with all that is in it. In a glob `*` and `?` stay within one
/// folder, `**` does not: `src/**/*.rs`. `program.md` is never editable, nor is what lies in `.git` or [`RECORDS`].
#[derive(Clone, Debug)]
pub struct Editable {
    plain: Vec<String>,
    globs: GlobSet,
}

impl Editable {
    /// Reads paths and globs.
    pub(crate) fn new(patterns: &[String]) -> Result<Self, String> {
        let mut globs = GlobSetBuilder::new();
        for pattern in patterns.iter().map(|pattern| plain(pattern)).filter(|pattern| is_glob(pattern)) {
            let glob = GlobBuilder::new(pattern).literal_separator(true).build();
            globs.add(glob.map_err(|error| error.kind().to_string())?);
        }
        let globs = globs.build().map_err(|error| error.kind().to_string())?;
        Ok(Self { plain: patterns.iter().map(|pattern| plain(pattern).to_owned()).collect(), globs })
    }

    /// Whether a candidate may change `path`, which is relative to the repository's root.
    pub fn contains(&self, path: &str) -> bool {
        path != PROGRAM
            && !is_within(path, RECORDS)
            && path.split('/').all(|part| !part.is_empty() && !matches!(part, "." | ".." | ".git"))
            && (self.plain.iter().any(|plain| is_within(path, plain)) || self.globs.is_match(path))
    }
}

impl Lab {
    /// The editable paths, made ready to be asked about many of them.
    pub fn editable(&self) -> Editable {
        // A lab that was parsed has no glob that cannot be read.
        Editable::new(&self.editable)
            .unwrap_or_else(|_| Editable { plain: self.editable.clone(), globs: GlobSet::empty() })
    }

    /// Whether a candidate may change `path`, which is relative to the repository's root. To ask about
    /// many paths, make [`Lab::editable`] once.
    pub fn is_editable(&self, path: &str) -> bool {
        self.editable().contains(path)
    }
}

/// A path without what does not change its meaning: `./src/` is `src`.
pub(crate) fn plain(path: &str) -> &str {
    path.trim_start_matches("./").trim_end_matches('/')
}

/// Whether `path` is `folder` or lies in it.
pub(crate) fn is_within(path: &str, folder: &str) -> bool {
    path.strip_prefix(folder).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
}

fn is_glob(path: &str) -> bool {
    path.contains(['*', '?', '[', '{'])
}

#[cfg(test)]
mod tests {
    use super::*;

    fn editable(patterns: &[&str], paths: &[&str]) -> Vec<bool> {
        let patterns: Vec<String> = patterns.iter().map(|&pattern| pattern.to_owned()).collect();
        let lab = Lab { editable: patterns, ..Lab::default() };
        paths.iter().map(|path| lab.is_editable(path)).collect()
    }

    #[test]
    fn a_path_is_one_file_or_a_folder_with_all_in_it() {
        assert_eq!(
            editable(&["train.py"], &["train.py", "a/train.py", "train.py.bak"]),
            [true, false, false]
        );
        assert_eq!(editable(&["./src/"], &["src/a.rs", "src/b/c.rs", "srcs/a.rs"]), [true, true, false]);
    }

    #[test]
    fn a_star_stays_in_its_folder_and_two_do_not() {
        assert_eq!(editable(&["src/*.rs"], &["src/a.rs", "src/b/c.rs"]), [true, false]);
        assert_eq!(editable(&["src/**/*.rs"], &["src/a.rs", "src/b/c.rs", "src/a.py"]), [true, true, false]);
        assert_eq!(editable(&["pages/[id].js"], &["pages/[id].js", "pages/i.js"]), [true, true]);
    }

    #[test]
    fn the_program_git_and_the_records_are_never_editable() {
        assert_eq!(
            editable(
                &["**"],
                &["program.md", ".git/config", "a/../b", ".overnight/brief.md", ".overnight", "a.py"]
            ),
            [false, false, false, false, false, true]
        );
    }
}
