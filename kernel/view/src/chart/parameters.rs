//! What each constant did: how far it moves the metric, and what was found at each of its values.

use lab::Direction;

use super::{
    Axis, AxisScale, Band, Bar, Bars, Chart, Layer, Line, Place, Point, Points, Shape, colour, summary::rows,
};
use crate::{
    Metric,
    number::{count, decimals, fixed, plain, short},
    text::{clip, one_line},
};

/// So many constants have a bar at most, and so many a picture of their own.
const BARS: usize = 12;
const PICTURES: usize = 6;
/// Width and height of such a picture.
const PICTURE: (u32, u32) = (253, 190);

/// A constant, and what is known of it.
#[derive(Clone, Debug, PartialEq)]
pub struct Constant {
    /// Its name.
    pub name: String,
    /// How its values are spread: by their logarithm where its domain is, names where they are no numbers.
    pub scale: AxisScale,
    /// Its value in the best candidate, as it is written and where it is on the axis.
    pub now: Option<(String, f64)>,
    /// What it was set to.
    pub settings: Vec<Setting>,
    /// What is to be expected of it, everything else as in the best candidate; empty where too little is known.
    pub expected: Vec<Expected>,
}

/// What an experiment set a constant to.
#[derive(Clone, Debug, PartialEq)]
pub struct Setting {
    /// The experiment's number.
    pub number: u64,
    /// Where the value is on the axis.
    pub at: f64,
    /// The metric that came of it.
    pub value: f64,
    /// Whether it was kept.
    pub kept: bool,
}

/// What is to be expected at a value.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Expected {
    /// Where the value is on the axis.
    pub at: f64,
    /// The metric.
    pub value: f64,
    /// How far off that may be: a standard deviation.
    pub spread: f64,
}

impl Constant {
    /// The same with names that can be shown: they are from the candidates' files.
    fn clean(&self) -> Self {
        let word = |word: &String| clip(&one_line(word), 40);
        let scale = match &self.scale {
            AxisScale::Category(names) => AxisScale::Category(names.iter().map(word).collect()),
            other => other.clone(),
        };
        let now = self.now.as_ref().map(|(now, at)| (word(now), *at));
        Self { name: word(&self.name), scale, now, ..self.clone() }
    }

    /// How far the metric moves where this alone goes over its range; none where too little is known.
    fn effect(&self) -> Option<f64> {
        let values = || self.expected.iter().map(|expected| expected.value).filter(|value| value.is_finite());
        Some(values().reduce(f64::max)? - values().reduce(f64::min)?)
    }

    /// How many different values it was set to.
    fn different(&self) -> usize {
        let mut places: Vec<u64> = self.settings.iter().map(|setting| setting.at.to_bits()).collect();
        places.sort_unstable();
        places.dedup();
        places.len()
    }

    fn word(&self, at: f64) -> String {
        match &self.scale {
            AxisScale::Category(names) => {
                names.get(at.round().max(0.0) as usize).cloned().unwrap_or_default()
            }
            _ => plain(at),
        }
    }
}

/// Each constant that was changed: bars by how far it moves the metric, then for those that move it most what was found
/// at each value and what is to be expected there. `said` stands above.
pub fn parameters(constants: &[Constant], metric: &Metric, said: &[String]) -> Chart {
    let constants: Vec<Constant> = constants.iter().map(Constant::clean).collect();
    let mut changed: Vec<&Constant> = constants.iter().filter(|one| one.different() > 1).collect();
    let key = |one: &Constant| (one.effect().unwrap_or(-1.0), one.different() as f64);
    changed.sort_by(|a, b| {
        let (a, b) = (key(a), key(b));
        b.0.total_cmp(&a.0).then(b.1.total_cmp(&a.1))
    });
    let known: Vec<(&Constant, f64)> = changed.iter().filter_map(|one| Some((*one, one.effect()?))).collect();
    let name = one_line(&metric.name);
    let mut chart = Chart::new(String::new(), Axis::new(""), Axis::new(""));
    chart.title = match (known.first(), changed.is_empty()) {
        (_, true) => "No constant was changed yet".to_owned(),
        (Some((first, _)), _) => format!("{} moves {name} most", one_line(&first.name)),
        (None, _) => format!("{} changed", count(changed.len(), "constant was", "constants were")),
    };
    let still = constants.len() - changed.len();
    let about = (!changed.is_empty()).then(|| {
        "dots: what was measured; line: what is to be expected, ± 1 sd, all else as in the best".to_owned()
    });
    let about =
        about.map(|words| if known.is_empty() { "dots: what was measured".to_owned() } else { words });
    let few = (changed.len() > PICTURES).then(|| format!("pictures of {PICTURES} of {}", changed.len()));
    let still = (still > 0).then(|| format!("{} never changed", count(still, "other was", "others were")));
    chart.subtitle =
        said.iter().cloned().chain(about).chain(few).chain(still).collect::<Vec<_>>().join(" · ");
    if !known.is_empty() {
        chart.panels.push(bars(&known[..known.len().min(BARS)], &name));
    }
    let domain = domain(&changed, metric.direction);
    for (i, one) in changed.iter().take(PICTURES).enumerate() {
        chart.panels.push(picture(one, metric, domain, i % 3 == 0));
    }
    let head = chart.head_height();
    let below: u32 =
        chart.rows().iter().map(|row| row.iter().map(|panel| panel.size.1).max().unwrap_or(0)).sum();
    chart.size = (760, head as u32 + below.max(60) + 12);
    chart.notes = told(&changed);
    // The notes have what the panels would say.
    chart
}

fn bars(known: &[(&Constant, f64)], metric: &str) -> Chart {
    let names = known.iter().map(|(one, _)| one_line(&one.name)).collect();
    let mut chart = Chart::new(
        "",
        Axis::new(format!("how far it moves {metric} over its range")),
        Axis::new("").scaled(AxisScale::Category(names)),
    );
    let largest = known.iter().map(|(_, effect)| *effect).fold(0.0, f64::max);
    chart.x.domain = Some((0.0, if largest > 0.0 { largest * 1.05 } else { 1.0 }));
    let bar = |(i, (one, effect)): (usize, &(&Constant, f64))| {
        let mut tips =
            vec![("constant".to_owned(), one_line(&one.name)), ("moves".to_owned(), short(*effect))];
        tips.extend(one.now.as_ref().map(|(now, _)| ("in the best".to_owned(), one_line(now))));
        tips.push(("values tried".to_owned(), one.different().to_string()));
        Bar { from: 0.0, to: *effect, y: i as f64, tips }
    };
    chart.layers.push(Layer::Bars(Bars {
        name: "effect".to_owned(),
        colour: colour::SKY,
        thickness: 13.0,
        opacity: 0.9,
        bars: known.iter().enumerate().map(bar).collect(),
    }));
    chart.size = (760, 80 + 22 * known.len() as u32);
    chart
}

fn picture(one: &Constant, metric: &Metric, domain: Option<(f64, f64)>, first: bool) -> Chart {
    let y = Axis { domain, ..Axis::new(if first { one_line(&metric.name) } else { String::new() }) };
    let mut chart = Chart::new(one_line(&one.name), Axis::new("").scaled(one.scale.clone()), y);
    chart.size = PICTURE;
    let (low, high) = domain.unwrap_or((f64::NEG_INFINITY, f64::INFINITY));
    let place = |value: f64| {
        if value < low {
            Place::Bottom
        } else if value > high {
            Place::Top
        } else {
            Place::At(value)
        }
    };
    let digits = decimals(one.settings.iter().map(|setting| setting.value));
    let points = |name: &str, colour, shape, diameter, opacity, is: &dyn Fn(&&Setting) -> bool| {
        let point = |setting: &Setting| Point {
            x: setting.at,
            y: place(setting.value),
            tips: vec![
                ("experiment".to_owned(), setting.number.to_string()),
                (one_line(&one.name), one.word(setting.at)),
                (one_line(&metric.name), fixed(setting.value, digits)),
            ],
        };
        let points = one.settings.iter().filter(is).map(point).collect();
        Layer::Points(Points { name: name.to_owned(), colour, shape, diameter, opacity, points })
    };
    let expected: Vec<&Expected> = one.expected.iter().filter(|at| at.value.is_finite()).collect();
    chart.layers = vec![
        Layer::Band(Band {
            name: String::new(),
            colour: colour::SKY,
            steps: false,
            pieces: some(
                expected.iter().map(|at| (at.at, at.value - at.spread, at.value + at.spread)).collect(),
            ),
        }),
        points("not kept", colour::GREY, Shape::Circle, 4.5, colour::FADED, &|setting| !setting.kept),
        Layer::Line(Line {
            name: "expected".to_owned(),
            colour: colour::BLUE,
            steps: false,
            dashed: false,
            width: 1.8,
            pieces: some(expected.iter().map(|at| (at.at, at.value)).collect()),
        }),
        points("kept", colour::GREEN, Shape::Circle, 7.0, 1.0, &|setting| setting.kept),
    ];
    chart
}

fn some<T>(piece: Vec<T>) -> Vec<Vec<T>> {
    if piece.is_empty() { Vec::new() } else { vec![piece] }
}

/// What all pictures span: all that was kept, and of the rest what does not flatten that.
fn domain(changed: &[&Constant], direction: Direction) -> Option<(f64, f64)> {
    let sign = if direction == Direction::Minimize { 1.0 } else { -1.0 };
    let settings = || changed.iter().flat_map(|one| &one.settings);
    let cost = |setting: &Setting| sign * setting.value;
    let mut all: Vec<f64> = settings().map(cost).filter(|cost| cost.is_finite()).collect();
    all.sort_by(f64::total_cmp);
    let typical = *all.get(all.len() * 17 / 20).or(all.last())?;
    let kept = settings().filter(|setting| setting.kept).map(cost).filter(|cost| cost.is_finite());
    let high = kept.fold(typical, f64::max);
    // The line goes below what was found, where something better is to be expected.
    let expected = changed.iter().flat_map(|one| &one.expected).map(|expected| sign * expected.value);
    let low = expected.filter(|cost| cost.is_finite()).fold(all[0], f64::min);
    let margin = (high - low).max(low.abs() * 1e-4).max(1e-9) * 0.08;
    let (low, high) = (low - margin, high + margin);
    Some(if sign > 0.0 { (low, high) } else { (-high, -low) })
}

/// A row for each: what it is now, how far it moves the metric, how many values were tried.
fn told(changed: &[&Constant]) -> Vec<String> {
    let row = |one: &&Constant| {
        let now = one.now.as_ref().map_or_else(|| "–".to_owned(), |(now, _)| one_line(now));
        let effect = one
            .effect()
            .map_or_else(|| "too little known".to_owned(), |effect| format!("moves it {}", short(effect)));
        vec![
            one_line(&one.name),
            format!("now {now}"),
            effect,
            count(one.different(), "value tried", "values tried"),
        ]
    };
    rows(&changed.iter().map(row).collect::<Vec<_>>())
}
