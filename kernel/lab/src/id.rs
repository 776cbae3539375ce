//! Names and numbers that must not be mixed up, each a type of its own.

use std::{fmt, str::FromStr};

use serde::{Deserialize, Serialize};
use uuid::Uuid;

macro_rules! uuid_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(pub Uuid);

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl FromStr for $name {
            type Err = uuid::Error;

            fn from_str(text: &str) -> Result<Self, Self::Err> {
                Uuid::parse_str(text).map(Self)
            }
        }
    };
}

uuid_id!(
    /// One experiment, for ever and on every machine (UUID v7, so ordered by time).
    ExperimentId
);
uuid_id!(
    /// One execution of the lab's command for a candidate.
    RunId
);
uuid_id!(
    /// One entry of the journal or of the ledger's events.
    EventId
);

macro_rules! text_id {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(String);

        impl $name {
            /// Wraps a value that is known to be well formed.
            pub fn new(text: impl Into<String>) -> Self {
                Self(text.into())
            }

            /// The value as text.
            pub fn as_str(&self) -> &str {
                &self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                f.write_str(&self.0)
            }
        }
    };
}

text_id!(
    /// A git commit, as its full hexadecimal name.
    CommitId
);
text_id!(
    /// One line of research: the ledger `refs/overnight/ledger/<tag>` and the branch `autoresearch/<tag>`.
    Tag
);
text_id!(
    /// The name of a metric as the run prints it, such as `val_bpb`.
    MetricName
);
text_id!(
    /// What makes two numbers comparable, hashed: see [`Lab::epoch`](crate::Lab::epoch).
    Epoch
);

impl CommitId {
    /// The first ten digits, as people write them.
    pub fn short(&self) -> &str {
        self.0.get(..10).unwrap_or(&self.0)
    }
}

impl Tag {
    /// The tag of a lab that was given none.
    pub const DEFAULT: &'static str = "main";

    /// Checks that `text` can be a part of a ref name.
    ///
    /// # Errors
    /// Says what is wrong with it: git forbids spaces, `..`, `~^:?*[\`, control characters, and names
    /// that begin with `-` or `.` or end with `.` or `.lock`; a tag is also one component, without `/`.
    pub fn parse(text: &str) -> Result<Self, String> {
        let bad = |c: char| c.is_control() || " ~^:?*[\\/".contains(c);
        if text.is_empty() {
            Err("a tag cannot be empty".to_owned())
        } else if let Some(c) = text.chars().find(|c| bad(*c)) {
            Err(format!("a tag cannot contain {c:?}; use letters, digits, `-` and `_`"))
        } else if text.starts_with(['-', '.']) || text.ends_with('.') || text.strip_suffix(".lock").is_some()
        {
            Err("a tag cannot begin with `-` or `.`, nor end with `.` or `.lock`".to_owned())
        } else if text.contains("..") || text.contains("@{") || text == "@" {
            Err("a tag cannot contain `..` or `@{`".to_owned())
        } else {
            Ok(Self::new(text))
        }
    }
}

impl Default for Tag {
    fn default() -> Self {
        Self::new(Self::DEFAULT)
    }
}

/// A length of time in seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd, Serialize, Deserialize)]
#[serde(transparent)]
pub struct Seconds(pub f64);

impl Seconds {
    /// The same length as a [`std::time::Duration`]; a negative or endless one is zero or the longest.
    pub fn duration(self) -> std::time::Duration {
        std::time::Duration::try_from_secs_f64(self.0.max(0.0)).unwrap_or(std::time::Duration::MAX)
    }
}

impl fmt::Display for Seconds {
    /// `20s`, `5m`, `1h 30m`, `0.4s`: hours and minutes, or minutes and seconds, without what is zero.
    ///
    /// ```
    /// use lab::Seconds;
    /// let shown = [0.0, 0.42, 20.0, 300.0, 3599.6, 5400.0, 90_000.0].map(|s| Seconds(s).to_string());
    /// assert_eq!(shown, ["0s", "0.4s", "20s", "5m", "1h", "1h 30m", "25h"]);
    /// ```
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.0 < 10.0 && self.0.fract() != 0.0 {
            return write!(f, "{:.1}s", self.0);
        }
        let whole = self.0.round().max(0.0) as u64;
        let parts = [(whole / 3600, 'h'), (whole / 60 % 60, 'm'), (whole % 60, 's')];
        let mut shown = parts.iter().skip_while(|(n, _)| *n == 0).take(2).filter(|(n, _)| *n > 0).peekable();
        if shown.peek().is_none() {
            return f.write_str("0s");
        }
        let text: Vec<String> = shown.map(|(n, unit)| format!("{n}{unit}")).collect();
        f.write_str(&text.join(" "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_tag_is_one_component_of_a_ref() {
        for good in ["main", "mar5", "a-b_c.d", "日本"] {
            assert_eq!(Tag::parse(good), Ok(Tag::new(good)));
        }
        for bad in ["", "-x", ".x", "x.", "x.lock", "a..b", "a b", "a/b", "a~1", "@", "a@{b", "a\nb"] {
            assert!(Tag::parse(bad).is_err(), "{bad:?}");
        }
    }

    #[test]
    fn odd_lengths_of_time_are_shown_and_slept() {
        let shown = [f64::NAN, f64::INFINITY, -5.0, 9.96, 61.0].map(|s| Seconds(s).to_string());
        assert_eq!([&shown[0], &shown[2], &shown[3], &shown[4]], ["0s", "0s", "10.0s", "1m 1s"]);
        assert!(shown[1].ends_with(['h', 'm']));
        assert_eq!(Seconds(-1.0).duration(), std::time::Duration::ZERO);
        assert_eq!(Seconds(f64::NAN).duration(), std::time::Duration::ZERO);
        assert_eq!(Seconds(f64::INFINITY).duration(), std::time::Duration::MAX);
    }
}
