//! How far runs of the same candidate are apart, and what that makes of the gains.

use lab::{Experiment, Noise, noise::Run};

use super::{Axis, AxisScale, Band, Chart, Layer, Line, Place, Point, Points, Shape, colour, summary::rows};
use crate::{
    Metric,
    number::{count, fixed, short},
    standing::{Standing, decimals, improved, valued},
    text::one_line,
};

/// So many candidates are drawn at most.
const CANDIDATES: usize = 30;

/// Every value of each candidate that was run more than once, and how far they are apart. Where none was, the baseline
/// and what was kept with their one value, and what to run to know more.
pub fn noise(experiments: &[Experiment], metric: &Metric) -> Chart {
    let name = one_line(&metric.name);
    let known = lab::noise(experiments);
    let mut candidates = candidates(experiments, known.is_some());
    let left_out = candidates.len().saturating_sub(CANDIDATES);
    candidates.drain(..left_out);
    let digits = decimals(experiments);
    let names: Vec<String> = candidates.iter().map(|one| one.label.clone()).collect();
    let title = match &known {
        Some(noise) => format!("Run-to-run noise of {name}: {}", short(noise.deviation)),
        None => format!("Run-to-run noise of {name}: not known"),
    };
    let mut chart = Chart::new(
        title,
        Axis::new("candidate, by the experiment that tried it first").scaled(AxisScale::Category(names)),
        Axis::new(metric.axis()),
    );
    let said = match &known {
        Some(noise) => [Some(of(noise)), gain(experiments, noise), seeds(noise)],
        None => [Some(unknown(experiments)), None, None],
    };
    let left_out = (left_out > 0).then(|| format!("{left_out} earlier ones are not drawn"));
    chart.subtitle = said.into_iter().chain([left_out]).flatten().collect::<Vec<_>>().join(" · ");
    let around = |one: &Repeated, i: usize, wide: f64| {
        let (x, mean) = (i as f64, one.mean());
        vec![(x - 0.35, mean - wide, mean + wide), (x + 0.35, mean - wide, mean + wide)]
    };
    if let Some(noise) = known.filter(|noise| noise.deviation > 0.0) {
        let pieces = candidates.iter().enumerate().map(|(i, one)| around(one, i, 2.0 * noise.deviation));
        chart.layers.push(Layer::Band(Band {
            name: "mean ± 2 sd".to_owned(),
            colour: colour::BLUE,
            steps: false,
            pieces: pieces.collect(),
        }));
    }
    let means = candidates.iter().enumerate().filter(|(_, one)| one.runs.len() > 1);
    chart.layers.push(Layer::Line(Line {
        // The text has each by its numbers.
        name: String::new(),
        colour: colour::BLUE,
        steps: false,
        dashed: false,
        width: 1.6,
        pieces: means
            .map(|(i, one)| vec![(i as f64 - 0.35, one.mean()), (i as f64 + 0.35, one.mean())])
            .collect(),
    }));
    let called = &name;
    let points = candidates.iter().enumerate().flat_map(|(i, one)| {
        one.runs.iter().zip(1..).map(move |(run, number)| {
            // Beside each other, so that none hides another.
            let aside =
                (number as f64 - (one.runs.len() + 1) as f64 / 2.0) / (one.runs.len() + 2) as f64 * 0.7;
            let mut tips = vec![
                ("candidate".to_owned(), one.label.clone()),
                ("run".to_owned(), format!("{number} of {}", one.runs.len())),
                (called.clone(), fixed(run.value, digits)),
            ];
            tips.extend(run.seed.map(|seed| ("seed".to_owned(), seed.to_string())));
            Point { x: i as f64 + aside, y: Place::At(run.value), tips }
        })
    });
    chart.layers.push(Layer::Points(Points {
        name: "run".to_owned(),
        colour: colour::BLUE,
        shape: Shape::Circle,
        diameter: 7.5,
        opacity: 0.9,
        points: points.collect(),
    }));
    if known.is_some() {
        let row = |one: &Repeated| {
            let values: Vec<String> = one.runs.iter().map(|run| fixed(run.value, digits)).collect();
            vec![one.label.clone(), format!("mean {}", fixed(one.mean(), digits)), values.join("  ")]
        };
        chart.notes = rows(&candidates.iter().map(row).collect::<Vec<_>>());
    }
    chart
}

/// `run-to-run noise 0.0012 (1 sd, 4 degrees of freedom)`.
pub(super) fn words(noise: &Noise) -> String {
    let free = count(noise.freedom, "degree", "degrees");
    format!("run-to-run noise {} (1 sd, {free} of freedom)", short(noise.deviation))
}

fn of(noise: &Noise) -> String {
    let free = count(noise.freedom, "degree", "degrees");
    let candidates = count(noise.candidates, "candidate that was", "candidates that were");
    format!("one standard deviation, {free} of freedom, from {candidates} run again")
}

fn seeds(noise: &Noise) -> Option<String> {
    (!noise.seeds).then(|| "each with one seed: what another seed does is not known".to_owned())
}

/// What the noise makes of the best's gain.
fn gain(experiments: &[Experiment], noise: &Noise) -> Option<String> {
    let standing = Standing::of(experiments);
    let best = standing.best?;
    let gain = standing.gain(best)?.abs();
    // A difference of two runs has the noise of both.
    let times = gain / (noise.deviation * std::f64::consts::SQRT_2);
    let times = if times.is_finite() { format!("{times:.1} times") } else { "far above".to_owned() };
    Some(format!("the best's gain of {} is {times} the noise of a difference of two runs", short(gain)))
}

fn unknown(experiments: &[Experiment]) -> String {
    let tried = valued(experiments).count();
    if tried == 0 {
        return "nothing has a value yet: `loop start` begins".to_owned();
    }
    format!(
        "one run was made of each of {}: `loop rehearse` runs the baseline twice, `run` tries a candidate again",
        count(tried, "candidate", "candidates")
    )
}

/// A candidate and its runs.
struct Repeated {
    label: String,
    runs: Vec<Run>,
}

impl Repeated {
    fn mean(&self) -> f64 {
        lab::noise::mean(&self.runs)
    }
}

/// What was run more than once; or else what was kept. In the order of the numbers.
fn candidates(experiments: &[Experiment], repeated: bool) -> Vec<Repeated> {
    let mut runs = lab::noise::repeats(experiments);
    let wanted = |e: &&Experiment| repeated || e.record.baseline || improved(e);
    let found = experiments.iter().filter(wanted).filter_map(|e| {
        // The first that tried it takes them.
        let runs = runs.remove(&e.record.candidate).filter(|runs| !repeated || runs.len() > 1)?;
        let label = if e.record.baseline { "baseline ".to_owned() } else { String::new() };
        Some(Repeated { label: format!("{label}{}", e.record.number), runs })
    });
    found.collect()
}
