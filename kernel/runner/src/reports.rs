//! Where the reports of loops are: in the lab's state, so that the checkout stays as it is.

use std::path::PathBuf;

use jiff::Timestamp;
use jiff::tz::TimeZone;
use lab::Tag;

use crate::Paths;

/// The time in the name of a report, in UTC: a second can have the end of one loop and the beginning of the next.
const TIME: &str = "%Y%m%dT%H%M%S%.3fZ";

/// Where a report that is made at `at` belongs: `reports/<tag>-20261121T061002.340Z.html`.
pub fn path(paths: &Paths, tag: &Tag, at: Timestamp, extension: &str) -> PathBuf {
    folder(paths).join(format!("{tag}-{}.{extension}", at.strftime(TIME)))
}

/// The newest page that was written after a loop of `tag` began, if one was.
pub fn latest(paths: &Paths, tag: &Tag, since: Option<Timestamp>) -> Option<PathBuf> {
    let files = std::fs::read_dir(folder(paths)).ok()?.flatten();
    let made = |file: &std::fs::DirEntry| {
        let name = file.file_name();
        let time = name.to_str()?.strip_prefix(tag.as_str())?.strip_prefix('-')?.strip_suffix(".html")?;
        let time = jiff::civil::DateTime::strptime(TIME, time).ok()?;
        time.to_zoned(TimeZone::UTC).ok().map(|at| at.timestamp())
    };
    let newest = files.filter_map(|file| Some((made(&file)?, file.path()))).max()?;
    // A name has whole milliseconds.
    let from = since.map_or(i64::MIN, Timestamp::as_millisecond);
    (newest.0.as_millisecond() >= from).then_some(newest.1)
}

fn folder(paths: &Paths) -> PathBuf {
    paths.state.join("reports")
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    #[test]
    fn the_newest_of_a_line_of_research_is_found() {
        let state = tempfile::tempdir().unwrap();
        let here = state.path().to_owned();
        let paths = Paths { cache: here.clone(), runtime: here.clone(), program: here.clone(), state: here };
        let (tag, at) = (Tag::default(), |text: &str| text.parse::<Timestamp>().unwrap());
        assert_eq!(latest(&paths, &tag, None), None);
        let first = path(&paths, &tag, at("2026-11-21T06:10:02.9Z"), "html");
        assert!(first.ends_with("reports/main-20261121T061002.900Z.html"));
        std::fs::create_dir(first.parent().unwrap()).unwrap();
        for file in [
            first.clone(),
            path(&paths, &tag, at("2026-11-20T06:10:02Z"), "html"),
            path(&paths, &Tag::new("main-2"), at("2026-11-22T06:10:02Z"), "html"),
            path(&paths, &tag, at("2026-11-22T06:10:02Z"), "ipynb"),
        ] {
            std::fs::write(file, "").unwrap();
        }
        assert_eq!(latest(&paths, &tag, Some(at("2026-11-21T06:10:02.1Z"))), Some(first));
        assert_eq!(latest(&paths, &tag, Some(at("2026-11-21T07:00:00Z"))), None, "that of an earlier loop");
        assert_eq!(
            latest(&paths, &tag, Some(at("2026-11-21T06:10:02.95Z"))),
            None,
            "that ended in the same second"
        );
    }
}
