//! Folders that begin as what another one holds.

use std::ffi::OsStr;
use std::fs::{self, File};
use std::io;
use std::path::Path;

/// Links each file of a target folder into another. What cargo may write anew in place is copied, with its time,
/// by which cargo knows that it is fresh; the seed's own crate is left out.
pub(super) fn link_tree(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let name = entry.file_name();
        let (source, target) = (entry.path(), to.join(&name));
        if is_of_the_seed(&name) {
            continue;
        }
        if entry.file_type()?.is_dir() {
            link_tree(&source, &target)?;
        } else if from.components().any(|part| part.as_os_str() == ".fingerprint")
            || fs::hard_link(&source, &target).is_err()
        {
            fs::copy(&source, &target)?;
            let times = fs::FileTimes::new().set_modified(entry.metadata()?.modified()?);
            File::options().write(true).open(&target)?.set_times(times)?;
        }
    }
    Ok(())
}

fn is_of_the_seed(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    let own = name.strip_prefix("lib").unwrap_or(&name);
    name == ".cargo-lock" || name == "incremental" || own.starts_with("ctx-") || own.starts_with("ctx.")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn a_seed_is_linked_without_its_own_crate() {
        let folder = tempfile::tempdir().unwrap();
        let (from, to) = (folder.path().join("from"), folder.path().join("to"));
        for (name, text) in [
            ("debug/deps/libpolars-1.rlib", "polars"),
            ("debug/deps/libctx-1.so", "cell"),
            ("debug/.fingerprint/polars-1/lib-polars", "print"),
            ("debug/.fingerprint/ctx-1/lib-ctx", "print"),
            ("debug/.cargo-lock", ""),
        ] {
            let path = from.join(name);
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, text).unwrap();
        }
        link_tree(&from, &to).unwrap();
        let same = |name: &str| {
            use std::os::unix::fs::MetadataExt;
            let (a, b) = (fs::metadata(from.join(name)).unwrap(), fs::metadata(to.join(name)).unwrap());
            assert_eq!(a.modified().unwrap(), b.modified().unwrap());
            a.ino() == b.ino()
        };
        assert!(same("debug/deps/libpolars-1.rlib"));
        assert!(!same("debug/.fingerprint/polars-1/lib-polars"));
        for name in ["debug/deps/libctx-1.so", "debug/.fingerprint/ctx-1", "debug/.cargo-lock"] {
            assert!(!to.join(name).exists(), "{name}");
        }
    }
}
