//! Who did what, and when: a bar for each piece of work, a row for whoever did it.

use jiff::{Timestamp, tz::TimeZone};
use lab::Seconds;

use super::{Axis, AxisScale, Bar, Bars, Chart, Label, Layer, colour};
use crate::{
    number::{count, duration, fixed},
    text::{clip, columns, left, one_line},
};

/// From so many pieces of work on, those that lie within a pixel of each other are drawn as one.
const MANY: usize = 1500;
/// Pixels of the axis, about.
const PIXELS: f64 = 700.0;

/// A piece of work.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Who did it, or where: its row.
    pub lane: String,
    /// What was done.
    pub work: Work,
    /// When it began, in seconds since 1970.
    pub from: f64,
    /// When it ended.
    pub to: f64,
    /// The number of its experiment, as people write it.
    pub label: String,
    /// What there is to say of it.
    pub words: String,
}

/// What is done for an experiment.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Work {
    /// Its candidate is made.
    Proposing,
    /// Its candidate waits for a slot.
    Waiting,
    /// It is built.
    Building,
    /// It runs, or ran without saying more.
    Running,
    /// It ran and was kept.
    Kept,
    /// It ran and failed.
    Failed,
}

impl Work {
    const ALL: [Self; 6] =
        [Self::Waiting, Self::Proposing, Self::Building, Self::Running, Self::Failed, Self::Kept];

    fn name(self) -> &'static str {
        match self {
            Self::Proposing => "proposing",
            Self::Waiting => "waiting for a slot",
            Self::Building => "building",
            Self::Running => "run, not kept",
            Self::Kept => "run, kept",
            Self::Failed => "failed",
        }
    }

    fn colour(self) -> &'static str {
        match self {
            Self::Proposing => colour::PURPLE,
            Self::Waiting => colour::GREY,
            Self::Building => colour::ORANGE,
            Self::Running => colour::SKY,
            Self::Kept => colour::GREEN,
            Self::Failed => colour::RED,
        }
    }
}

/// The work of a night in rows, in the order of `lanes`; `marks` are moments with a word; `said` stands above.
pub fn timeline(
    spans: &[Span],
    lanes: &[String],
    marks: &[(f64, String)],
    said: &[String],
    zone: &TimeZone,
) -> Chart {
    let from = spans.iter().map(|span| span.from).fold(f64::INFINITY, f64::min);
    let to = spans.iter().map(|span| span.to).fold(f64::NEG_INFINITY, f64::max);
    let names: Vec<String> = lanes.iter().map(|lane| one_line(lane)).collect();
    let day = Timestamp::from_second(from as i64).ok().map(|at| at.to_zoned(zone.clone()));
    let label =
        day.as_ref().map_or(String::new(), |day| day.strftime("time, from %b %-d, %H:%M").to_string());
    let mut chart = Chart::new(
        String::new(),
        Axis::new(label).scaled(AxisScale::Time(zone.clone())),
        Axis::new("").scaled(AxisScale::Category(names)),
    );
    chart.title = if spans.is_empty() {
        "Nothing has been done yet".to_owned()
    } else {
        let mut labels: Vec<&str> = spans.iter().map(|span| span.label.as_str()).collect();
        labels.sort_unstable();
        labels.dedup();
        let all = count(labels.len(), "experiment", "experiments");
        format!("{all} in {}", duration(Seconds(to - from)))
    };
    let pixel = (to - from) / PIXELS;
    let mut joined = 0;
    for work in Work::ALL {
        let mut bars = Vec::new();
        for (row, lane) in lanes.iter().enumerate() {
            let mut its: Vec<&Span> =
                spans.iter().filter(|one| one.work == work && one.lane == *lane).collect();
            its.sort_by(|a, b| a.from.total_cmp(&b.from));
            let groups = its.chunk_by(|a, b| spans.len() > MANY && b.from - a.to < pixel);
            for group in groups {
                joined += group.len() - 1;
                bars.extend(bar(group, row));
            }
        }
        if !bars.is_empty() {
            chart.layers.push(Layer::Bars(Bars {
                name: work.name().to_owned(),
                colour: work.colour(),
                thickness: if work == Work::Waiting { 6.0 } else { 16.0 },
                opacity: if work == Work::Waiting { 0.6 } else { 0.9 },
                bars,
            }));
        }
    }
    let rule = |(x, text): &(f64, String)| Label { x: *x, y: 0.0, text: clip(&one_line(text), 40) };
    chart.layers.insert(0, Layer::Rules(marks.iter().map(rule).collect()));
    let joined = (joined > 0).then(|| {
        let all = fixed(spans.len() as f64, 0);
        format!("{all} pieces of work; those within a pixel of each other are drawn as one")
    });
    chart.subtitle = said.iter().cloned().chain(joined).collect::<Vec<_>>().join(" · ");
    chart.notes = shares(spans, lanes, to - from);
    // A row for each, and the axis below.
    chart.size = (760, 150 + 34 * lanes.len().clamp(1, 20) as u32);
    chart
}

/// Pieces of work of one kind in one row as one bar.
fn bar(group: &[&Span], row: usize) -> Option<Bar> {
    let (first, last) = (group.first()?, group.last()?);
    let to = group.iter().map(|span| span.to).fold(first.to, f64::max);
    let what = match group {
        [one] => ("experiment".to_owned(), one.label.clone()),
        many => {
            (count(many.len(), "experiment", "experiments"), format!("{} to {}", first.label, last.label))
        }
    };
    let mut tips = vec![what, ("what".to_owned(), first.work.name().to_owned())];
    tips.push(("took".to_owned(), duration(Seconds(to - first.from))));
    if group.len() == 1 && !first.words.is_empty() {
        tips.push(("more".to_owned(), clip(&one_line(&first.words), 120)));
    }
    Some(Bar { from: first.from, to, y: row as f64, tips })
}

/// What each row did for how long: `slot 0  run, not kept 71%  building 12%`.
fn shares(spans: &[Span], lanes: &[String], whole: f64) -> Vec<String> {
    let told = |lane: &String| {
        let time = |work: Work| -> f64 {
            spans.iter().filter(|s| s.work == work && s.lane == *lane).map(|s| s.to - s.from).sum()
        };
        let parts = Work::ALL.into_iter().map(|work| (work, time(work))).filter(|(_, time)| *time > 0.0);
        let parts = parts.map(|(work, time)| {
            format!("{} {} ({:.0}%)", work.name(), duration(Seconds(time)), time / whole.max(1e-9) * 100.0)
        });
        (clip(&one_line(lane), 30), parts.collect::<Vec<_>>().join(", "))
    };
    let told: Vec<(String, String)> = lanes.iter().map(told).collect();
    let widest = told.iter().map(|(lane, _)| columns(lane)).max().unwrap_or(0);
    told.into_iter().map(|(lane, parts)| format!("{}  {parts}", left(&lane, widest))).collect()
}
