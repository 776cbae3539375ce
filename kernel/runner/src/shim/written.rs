//! The JSON file that a run writes its metrics to (`metrics:` in the program).

use std::path::{Path, PathBuf};

use lab::metrics::Reader;

/// A file of metrics has at most so many bytes.
const BYTES: u64 = 1 << 20;

/// A file in the folder of a run.
pub(super) struct Written<'a> {
    folder: &'a Path,
    file: &'a str,
}

impl<'a> Written<'a> {
    /// The file before the run: what an earlier one has left there is removed.
    pub(super) fn begin(folder: &'a Path, file: &'a str) -> Self {
        let written = Self { folder, file };
        if let Some(path) = written.path() {
            let _ = std::fs::remove_file(path);
        }
        written
    }

    /// Has the file's numbers read, once the run is over.
    ///
    /// # Errors
    /// What is wrong with it, in a sentence.
    pub(super) fn read(&self, reader: &mut Reader) -> Result<(), String> {
        let file = self.file;
        let path = self.path().ok_or_else(|| format!("it wrote no `{file}`"))?;
        // What is no file could be waited for without an end.
        let found = path.symlink_metadata().map_err(|_| format!("it wrote no `{file}`"))?;
        if !found.is_file() {
            return Err(format!("`{file}` is not a file"));
        }
        if found.len() > BYTES {
            return Err(format!("`{file}` is larger than 1 MiB"));
        }
        let text = std::fs::read_to_string(&path).map_err(|error| format!("`{file}`: {error}"))?;
        if reader.object(&text) { Ok(()) } else { Err(format!("`{file}` is not a JSON object")) }
    }

    /// Where it is: a link of the run's own must not lead out of its folder.
    fn path(&self) -> Option<PathBuf> {
        let path = self.folder.join(self.file);
        let parent = path.parent()?.canonicalize().ok()?;
        parent
            .starts_with(self.folder.canonicalize().ok()?)
            .then(|| parent.join(path.file_name().unwrap_or_default()))
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn only_a_file_of_the_runs_own_is_read() {
        let place = tempfile::tempdir().unwrap();
        let folder = place.path().join("run");
        std::fs::create_dir_all(folder.join("out")).unwrap();
        std::fs::write(folder.join("out/m.json"), "{\"a\": 1}").unwrap();
        std::fs::write(place.path().join("m.json"), "{\"a\": 2}").unwrap();
        let written = Written::begin(&folder, "out/m.json");
        let mut reader = Reader::new();
        assert_eq!(written.read(&mut reader).unwrap_err(), "it wrote no `out/m.json`");
        std::os::unix::fs::symlink(place.path().join("m.json"), folder.join("out/m.json")).unwrap();
        assert_eq!(written.read(&mut reader).unwrap_err(), "`out/m.json` is not a file");
        std::fs::remove_file(folder.join("out/m.json")).unwrap();
        std::fs::write(folder.join("out/m.json"), "[]").unwrap();
        assert_eq!(written.read(&mut reader).unwrap_err(), "`out/m.json` is not a JSON object");
        std::fs::write(folder.join("out/m.json"), "{\n\"a\": 3\n}").unwrap();
        written.read(&mut reader).unwrap();
        assert_eq!(reader.metric("a"), Some(3.0));

        std::fs::remove_dir_all(folder.join("out")).unwrap();
        std::os::unix::fs::symlink(place.path(), folder.join("out")).unwrap();
        assert_eq!(
            Written::begin(&folder, "out/m.json").read(&mut reader).unwrap_err(),
            "it wrote no `out/m.json`"
        );
        assert!(place.path().join("m.json").exists(), "what is not the run's is left alone");
    }
}
