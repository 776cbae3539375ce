//! The standard questions, each with the query that answers it.
//!
//! In a query `{gain}` is how much better than the best so far an experiment was and `{loss}` how much worse, whichever
//! way the metric is to go. In what is said, a name in braces is a column of the first row, or one of `{rows}`, `{half}` and
//! `{since}`.

/// A question that a query answers.
pub(super) struct Question {
    /// Itself.
    pub(super) asks: &'static str,
    /// Beginnings of words by which it is asked for.
    pub(super) words: &'static [&'static str],
    /// The query.
    pub(super) query: &'static str,
    /// The answer where the query finds something.
    pub(super) said: &'static str,
    /// The answer where it finds nothing.
    pub(super) none: &'static str,
}

/// All of them.
pub(super) const QUESTIONS: [Question; 10] = [
    Question {
        asks: "What helped most?",
        words: &["help", "gain", "improve", "best", "worked"],
        query: "SELECT number, {gain} AS gain, value, hypothesis, proposer\n\
                FROM experiments\n\
                WHERE status = 'keep' AND NOT baseline AND delta IS NOT NULL\n\
                ORDER BY gain DESC LIMIT 5",
        said: "Experiment {number} gained {gain}: {hypothesis}",
        none: "Nothing has been kept since the baseline.",
    },
    Question {
        asks: "What hurt most?",
        words: &["hurt", "worse", "worst", "harm", "lost"],
        query: "SELECT number, {loss} AS loss, value, hypothesis, proposer\n\
                FROM experiments\n\
                WHERE status <> 'keep' AND NOT baseline AND {loss} > 0\n\
                ORDER BY loss DESC LIMIT 5",
        said: "Experiment {number} was worse by {loss}: {hypothesis}",
        none: "Nothing was worse than what it was compared with.",
    },
    Question {
        asks: "What crashed or took too long, and why?",
        words: &["crash", "timeout", "timed", "fail", "broke", "error"],
        query: "SELECT number, status, reason, hypothesis\n\
                FROM experiments\n\
                WHERE status IN ('crash', 'timeout')\n\
                ORDER BY number DESC",
        said: "Experiment {number} ({status}) is the latest of {rows}: {reason}",
        none: "Nothing did.",
    },
    Question {
        asks: "What was never tried?",
        words: &["never", "untried", "unexplored", "missing"],
        query: "SELECT name, MIN(setting) AS setting, MIN(becomes) AS may_become, path\n\
                FROM constants\n\
                WHERE NOT fixed\n\
                GROUP BY path, name HAVING COUNT(DISTINCT setting) = 1\n\
                ORDER BY path, name",
        said: "{rows} of the constants that may change never did, such as {name}, which is {setting}.",
        none: "No constant that may change has kept its first value.",
    },
    Question {
        asks: "Which constant matters most?",
        words: &["matter", "parameter", "constant", "important", "sensitiv"],
        query: "SELECT name, COUNT(*) AS settings, MAX(mean) - MIN(mean) AS spread\n\
                FROM (SELECT name, setting, AVG(value) AS mean\n      \
                FROM constants JOIN experiments ON constants.experiment = experiments.number\n      \
                WHERE value IS NOT NULL GROUP BY name, setting) AS means\n\
                GROUP BY name HAVING COUNT(*) > 1\n\
                ORDER BY spread DESC LIMIT 10",
        said: "{name}: the means of its {settings} settings lie {spread} apart. Others were changed at the same time, so \
               this is a hint and no proof.",
        none: "No constant has had two settings that were measured.",
    },
    Question {
        asks: "What was close?",
        words: &["close", "near", "almost", "miss"],
        query: "SELECT number, {loss} AS missed_by, value, hypothesis, proposer\n\
                FROM experiments\n\
                WHERE status = 'discard' AND {loss} >= 0\n\
                ORDER BY missed_by, number LIMIT 5",
        said: "Experiment {number} missed the best by {missed_by}: {hypothesis}",
        none: "Nothing was discarded that had a value.",
    },
    Question {
        asks: "Who gained what, and for how much?",
        words: &["who", "proposer", "agent", "cost", "dollar", "spent", "usd"],
        query: "SELECT proposer, COUNT(*) AS tried, SUM(CASE WHEN status = 'keep' THEN 1 ELSE 0 END) AS kept,\n       \
                SUM(CASE WHEN status = 'keep' THEN {gain} ELSE 0.0 END) AS gain, SUM(usd) AS usd, SUM(seconds) / 3600 AS hours\n\
                FROM experiments\n\
                WHERE NOT baseline\n\
                GROUP BY proposer ORDER BY gain DESC",
        said: "{proposer} gained most: {gain} by {kept} kept of {tried} tried.",
        none: "Nobody has proposed anything yet.",
    },
    Question {
        asks: "Is there still progress?",
        words: &["progress", "still", "rate", "plateau", "stuck", "since"],
        query: "SELECT CASE WHEN number <= {half} THEN 'first' ELSE 'second' END AS half, COUNT(*) AS tried,\n       \
                SUM(CASE WHEN status = 'keep' THEN 1 ELSE 0 END) AS kept,\n       \
                SUM(CASE WHEN status = 'keep' THEN {gain} ELSE 0.0 END) AS gain\n\
                FROM experiments\n\
                WHERE NOT baseline\n\
                GROUP BY half ORDER BY half",
        said: "{since} experiments since the last keep. The first half of the work gained {gain} by {kept} of {tried}.",
        none: "Nothing has been tried since the baseline.",
    },
    Question {
        asks: "What takes the time?",
        words: &["time", "seconds", "hours", "long", "duration"],
        query: "SELECT status, COUNT(*) AS experiments, SUM(seconds) / 60 AS minutes, AVG(seconds) AS seconds_each,\n       \
                MAX(seconds) AS longest\n\
                FROM experiments\n\
                GROUP BY status ORDER BY minutes DESC",
        said: "Most of it went into what ended as {status}: {minutes} minutes, {seconds_each} seconds for each of \
               {experiments}.",
        none: "Nothing has been run yet.",
    },
    Question {
        asks: "What wants a look?",
        words: &["invalid", "suspect", "note", "unfinished", "inconsistent", "look", "odd", "judge"],
        query: "SELECT number, status, judged, reason, notes\n\
                FROM experiments\n\
                WHERE status IN ('invalid', 'suspect', 'waiting') OR judged IS NOT NULL OR notes IS NOT NULL\n\
                ORDER BY number DESC",
        said: "Experiment {number} ({status}) is the latest of {rows}.",
        none: "Nothing is invalid or in doubt, nobody has decided against the judge, and there are no notes.",
    },
];
