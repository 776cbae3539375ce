//! Where to look next: small changes of the best, chosen by what was learned.
//!
//! At first three of ten points are anywhere, for a search may begin in a bad valley. Of the others half are drawn near
//! the best, one to three coordinates at a time, by TPE (a tree-structured Parzen estimator for each coordinate) once it
//! has something to say, before that by steps wide enough to show: that finds the way out of many valleys. The other
//! half are those, among a thousand such draws, from which a Gaussian process expects most: that finds the bottom of one.
//! `tests/bench/search.py` compares both with Optuna's TPE and with random search.

use std::cell::{OnceCell, RefCell};
use std::ops::Range;

use lab::Direction;
use rand::{Rng, RngExt};
use tpe::{
    TpeOptimizer, TpeOptimizerBuilder, categorical_range, histogram_estimator, parzen_estimator, range,
};

use super::Domain;
use super::surrogate::Surrogate;

/// From how many trials on there is something to learn.
pub(crate) const ENOUGH: usize = 6;
/// How wide a step is until then, as a share of a range: what a smaller one does is lost in the noise of short runs.
const BOLD: Range<f64> = 0.15..0.4;
/// How many trials there are before it no longer looks around.
const SURVEY: usize = 20;
/// What share of points is anywhere until then.
const ANYWHERE: f64 = 0.3;
/// From how many trials is learned at most: the surrogate's work grows with their cube.
const TRIALS: usize = 150;
/// How many of them are the best of all; the others are the latest.
const BEST: usize = 30;
/// Among how many points the surrogate chooses.
const CANDIDATES: usize = 1000;
/// What share of finite costs is below that of a failure.
const PENALTY: f64 = 0.9;

/// A point that was tried and what it cost; lower is better. A coordinate that a point does not have is NaN.
pub(super) type Trial = (Vec<f64>, f64);

/// What is known, and where to look next.
///
/// A point has a place for each domain, as [`Domain::place`] gives it.
pub struct Optimizer<'a> {
    domains: &'a [Domain],
    best: &'a [f64],
    direction: Direction,
    trials: Vec<Trial>,
    surrogate: OnceCell<Option<Surrogate>>,
    /// For each coordinate that was asked about.
    estimators: RefCell<Vec<Option<TpeOptimizer>>>,
}

impl<'a> Optimizer<'a> {
    /// Learns from what was `judged`, each point with its value where it had one, to improve on `best`. What is
    /// `pending` counts as middling, so that several at once are not all the same.
    pub fn new(
        domains: &'a [Domain],
        best: &'a [f64],
        judged: &[(Vec<f64>, Option<f64>)],
        pending: &[Vec<f64>],
        direction: Direction,
    ) -> Self {
        let mut trials = worth(costs(judged, direction));
        let mut sorted: Vec<f64> = trials.iter().map(|(_, cost)| *cost).collect();
        sorted.sort_by(f64::total_cmp);
        if let Some(median) = sorted.get(sorted.len() / 2) {
            trials.extend(pending.iter().map(|point| (point.clone(), *median)));
        }
        let estimators = RefCell::new(domains.iter().map(|_| None).collect());
        Self { domains, best, direction, trials, surrogate: OnceCell::new(), estimators }
    }

    /// The next point.
    pub fn ask<R: Rng>(&self, random: &mut R) -> Vec<f64> {
        if self.trials.len() <= SURVEY && random.random::<f64>() < ANYWHERE {
            return self.anywhere(random);
        }
        let surrogate = (random.random::<f64>() < 0.5).then(|| self.surrogate()).flatten();
        let Some(surrogate) = surrogate else { return self.nearby(random) };
        let mut chosen = (f64::NEG_INFINITY, self.best.to_vec());
        for draw in 0..CANDIDATES {
            let point = match draw % 10 {
                0 => self.anywhere(random),
                1 | 3 | 5 | 7 | 9 => self.nearby(random),
                2 | 8 => self.around(0.03, random),
                4 => self.around(0.1, random),
                _ => self.around(0.3, random),
            };
            let improvement = surrogate.improvement(&point);
            if improvement > chosen.0 {
                chosen = (improvement, point);
            }
        }
        chosen.1
    }

    /// What is expected at a point, and how far off that may be, as values of the metric; `None` where too little is
    /// known.
    pub(crate) fn expects(&self, point: &[f64]) -> Option<(f64, f64)> {
        let (cost, spread) = self.surrogate()?.expects(point);
        Some((cost * sign(self.direction), spread))
    }

    /// How far one goes along each coordinate until another value is to be expected, as a share of its range.
    pub(crate) fn lengths(&self) -> Option<&[f64]> {
        self.surrogate().map(Surrogate::lengths)
    }

    /// The best with one to three coordinates changed.
    pub fn nearby<R: Rng>(&self, random: &mut R) -> Vec<f64> {
        let mut point = self.best.to_vec();
        if self.domains.is_empty() {
            return point;
        }
        let changes = match random.random::<f64>() {
            x if x < 0.5 => 1,
            x if x < 0.8 => 2,
            _ => 3,
        };
        for _ in 0..changes.min(self.domains.len()) {
            let index = below(self.domains.len(), random);
            let learned = self.trials.len() >= ENOUGH && random.random::<f64>() < 0.5;
            point[index] = learned
                .then(|| self.by_tpe(index, random))
                .flatten()
                .unwrap_or_else(|| self.step(index, random));
        }
        point
    }

    /// Where a coordinate of the best may go.
    fn step<R: Rng>(&self, index: usize, random: &mut R) -> f64 {
        let from = self.best[index];
        if let Some(count) = self.domains[index].choices() {
            // Any other one.
            let step = 1 + below(count.max(2) - 1, random);
            return ((from as usize + step) % count.max(1)) as f64;
        }
        if self.trials.len() < ENOUGH {
            let wide = random.random_range(BOLD);
            let (up, down) = (from + wide, from - wide);
            return if down < 0.0 || (up <= 1.0 && random.random()) { up } else { down };
        }
        // Now and then a wide step, so that no valley is for ever.
        let width = if random.random::<f64>() < 0.2 { 0.4 } else { 0.12 };
        (from + width * normal(random)).clamp(0.0, 1.0)
    }

    /// The best with every coordinate changed a little, and a choice now and then.
    fn around<R: Rng>(&self, width: f64, random: &mut R) -> Vec<f64> {
        let coordinates = self.domains.iter().zip(self.best);
        coordinates
            .map(|(domain, from)| match domain.choices() {
                Some(count) if random.random::<f64>() < 0.15 => below(count, random) as f64,
                Some(_) => *from,
                None => (from + width * normal(random)).clamp(0.0, 1.0),
            })
            .collect()
    }

    fn anywhere<R: Rng>(&self, random: &mut R) -> Vec<f64> {
        let place = |domain: &Domain| match domain.choices() {
            Some(count) => below(count, random) as f64,
            None => random.random(),
        };
        self.domains.iter().map(place).collect()
    }

    fn by_tpe<R: Rng>(&self, index: usize, random: &mut R) -> Option<f64> {
        let mut estimators = self.estimators.borrow_mut();
        let estimator = match &mut estimators[index] {
            Some(estimator) => estimator,
            empty => empty.insert(estimator(&self.domains[index], index, &self.trials)?),
        };
        let place = estimator.ask(random).ok()?;
        Some(if self.domains[index].choices().is_some() { place.floor() } else { place })
    }

    fn surrogate(&self) -> Option<&Surrogate> {
        let learn = || {
            let whole = |trial: &&Trial| trial.0.iter().all(|place| !place.is_nan());
            let trials: Vec<&Trial> = self.trials.iter().rev().filter(whole).collect();
            if trials.len() < ENOUGH { None } else { Surrogate::new(self.domains, &trials) }
        };
        self.surrogate.get_or_init(learn).as_ref()
    }
}

/// What makes a value a cost, and a cost a value.
fn sign(direction: Direction) -> f64 {
    match direction {
        Direction::Minimize => 1.0,
        Direction::Maximize => -1.0,
    }
}

/// Values as costs. A failure costs as much as the worst tenth of what did not fail, so that it is avoided without
/// drowning the differences among the good ones.
fn costs(trials: &[(Vec<f64>, Option<f64>)], direction: Direction) -> Vec<Trial> {
    let cost = |value: Option<f64>| {
        let cost = value.map(|value| value * sign(direction));
        cost.filter(|cost| cost.is_finite())
    };
    let mut finite: Vec<f64> = trials.iter().filter_map(|(_, value)| cost(*value)).collect();
    finite.sort_by(f64::total_cmp);
    let Some(penalty) = finite.get((PENALTY * finite.len() as f64) as usize) else { return Vec::new() };
    trials.iter().map(|(point, value)| (point.clone(), cost(*value).unwrap_or(*penalty))).collect()
}

/// The trials from which is learned, in their order: where they are many, the best and the latest.
fn worth(trials: Vec<Trial>) -> Vec<Trial> {
    let Some(older) = trials.len().checked_sub(TRIALS - BEST).filter(|_| trials.len() > TRIALS) else {
        return trials;
    };
    let mut best: Vec<usize> = (0..older).collect();
    best.sort_by(|a, b| trials[*a].1.total_cmp(&trials[*b].1));
    best.truncate(BEST);
    best.sort_unstable();
    best.into_iter().chain(older..trials.len()).map(|index| trials[index].clone()).collect()
}

/// TPE over one coordinate.
fn estimator(domain: &Domain, index: usize, trials: &[Trial]) -> Option<TpeOptimizer> {
    let mut builder = TpeOptimizerBuilder::new();
    builder.gamma(0.2);
    let mut optimizer = match domain.choices() {
        Some(count) => builder.build(histogram_estimator(), categorical_range(count).ok()?).ok()?,
        None => builder.build(parzen_estimator(), range(0.0, 1.0).ok()?).ok()?,
    };
    for (point, cost) in trials {
        // The optimizer's ranges do not hold their end.
        let place = if domain.choices().is_some() { point[index] } else { point[index].min(1.0 - 1e-9) };
        optimizer.tell(place, *cost).ok()?;
    }
    Some(optimizer)
}

fn below<R: Rng>(count: usize, random: &mut R) -> usize {
    ((random.random::<f64>() * count as f64) as usize).min(count.saturating_sub(1))
}

/// A standard normal number, by Box and Muller.
fn normal<R: Rng>(random: &mut R) -> f64 {
    let (a, b): (f64, f64) = (random.random(), random.random());
    (-2.0 * (1.0 - a).ln()).sqrt() * (std::f64::consts::TAU * b).cos()
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use rand::SeedableRng;
    use rand::rngs::StdRng;

    use super::super::domain::Scale;
    use super::*;

    fn space() -> Vec<Domain> {
        let range = Domain::Range { low: 0.0, high: 1.0, scale: Scale::Linear, whole: false };
        let choice = Domain::Choice((0..4).map(super::super::Value::Int).collect());
        let mut space = vec![range; 6];
        space.extend([choice.clone(), choice]);
        space
    }

    /// A valley whose parameters matter unequally, and a corner that crashes.
    fn valley(point: &[f64]) -> Option<f64> {
        if point[0] > 0.9 && point[1] > 0.9 {
            return None;
        }
        let smooth: f64 = (0..6).map(|i| (1.0 + i as f64) * (point[i] - 0.15 * (i + 1) as f64).powi(2)).sum();
        let chosen = if point[6] == 2.0 { 0.0 } else { 0.3 } + if point[7] == 1.0 { 0.0 } else { 0.2 };
        Some(smooth + chosen)
    }

    /// Many valleys, the deepest of them at 0.4 in every coordinate: Rastrigin's function.
    fn hills(point: &[f64]) -> Option<f64> {
        let hill = |x: f64| 100.0 * x * x - 10.0 * (20.0 * std::f64::consts::PI * x).cos() + 10.0;
        Some(point[..4].iter().map(|x| hill((x - 0.4) / 2.0)).sum())
    }

    type Function = fn(&[f64]) -> Option<f64>;

    /// The lowest value of 60, and of that many random ones.
    fn lowest(function: Function, seed: u64) -> (f64, f64) {
        let domains = space();
        let mut random = StdRng::seed_from_u64(seed);
        let mut best = vec![0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.0, 0.0];
        let mut lowest = function(&best).unwrap();
        let mut by_chance = lowest;
        let mut trials = vec![(best.clone(), Some(lowest))];
        for _ in 0..60 {
            let optimizer = Optimizer::new(&domains, &best, &trials, &[], Direction::Minimize);
            let point = optimizer.ask(&mut random);
            by_chance = by_chance.min(function(&optimizer.anywhere(&mut random)).unwrap_or(by_chance));
            let value = function(&point);
            trials.push((point.clone(), value));
            if let Some(value) = value.filter(|value| *value < lowest) {
                (lowest, best) = (value, point);
            }
        }
        (lowest, by_chance)
    }

    fn medians(function: Function) -> (f64, f64) {
        let (mut guided, mut random): (Vec<f64>, Vec<f64>) =
            (0..7).map(|seed| lowest(function, seed)).unzip();
        guided.sort_by(f64::total_cmp);
        random.sort_by(f64::total_cmp);
        (guided[3], random[3])
    }

    #[test]
    fn it_beats_random_search_in_a_valley() {
        let (guided, random) = medians(valley);
        assert!(guided < 0.1 * random, "guided {guided}, random {random}");
    }

    #[test]
    fn it_beats_random_search_among_hills() {
        let (guided, random) = medians(hills);
        assert!(guided < 0.6 * random, "guided {guided}, random {random}");
    }

    #[test]
    fn of_many_trials_the_best_and_the_latest_are_learned_from() {
        let trials = |count: usize| -> Vec<Trial> {
            (0..count).map(|i| (vec![i as f64], (i as f64 - 400.0).abs())).collect()
        };
        assert_eq!(worth(trials(TRIALS)), trials(TRIALS));
        let places: Vec<usize> = worth(trials(1_000)).iter().map(|(point, _)| point[0] as usize).collect();
        assert_eq!(places.len(), TRIALS);
        assert_eq!(places[BEST..], (880..1_000).collect::<Vec<_>>());
        assert_eq!(places[..BEST], (385..415).collect::<Vec<_>>());
    }

    #[test]
    fn it_looks_around_at_first() {
        let domains = &space()[..6];
        let best = [0.5; 6];
        let far = |tried: usize| {
            let trials = vec![(best.to_vec(), Some(1.0)); tried];
            let optimizer = Optimizer::new(domains, &best, &trials, &[], Direction::Minimize);
            let mut random = StdRng::seed_from_u64(7);
            // What is drawn near the best has at most three other coordinates.
            let is_far =
                |point: &Vec<f64>| point.iter().filter(|place| (**place - 0.5).abs() > 0.0).count() > 3;
            (0..200).map(|_| optimizer.ask(&mut random)).filter(is_far).count()
        };
        assert!((40..80).contains(&far(1)), "{}", far(1));
        assert_eq!(far(SURVEY + 1), 0);
    }

    #[test]
    fn its_first_steps_are_bold() {
        let domains = &space()[..6];
        let best = [0.0, 0.2, 0.4, 0.6, 0.8, 1.0];
        let trials = [(best.to_vec(), Some(1.0))];
        let optimizer = Optimizer::new(domains, &best, &trials, &[], Direction::Minimize);
        let mut random = StdRng::seed_from_u64(7);
        for (place, from) in (0..200).flat_map(|_| optimizer.nearby(&mut random)).zip(best.iter().cycle()) {
            let step = (place - from).abs();
            assert!(step == 0.0 || step > 0.14, "{from} to {place}");
            assert!((0.0..=1.0).contains(&place), "{from} to {place}");
        }
    }

    #[test]
    fn a_failure_costs_as_much_as_the_worst_tenth() {
        let values = (0..20).map(f64::from).map(Some).chain([None, Some(f64::NAN)]);
        let trials: Vec<_> = values.map(|value| (vec![0.0], value)).collect();
        let told: Vec<f64> = costs(&trials, Direction::Maximize).into_iter().map(|(_, cost)| cost).collect();
        assert_eq!(told[..3], [0.0, -1.0, -2.0]);
        assert_eq!(told[20..], [-1.0, -1.0]);
        assert!(costs(&[(vec![0.0], None)], Direction::Minimize).is_empty());
    }

    #[test]
    fn what_is_pending_is_not_proposed_again() {
        let domains = &space()[..1];
        let judged: Vec<_> =
            (0..12).map(|i| f64::from(i) / 12.0).map(|x| (vec![x], Some((x - 0.6).abs()))).collect();
        let expected = |pending: &[Vec<f64>]| {
            let best = [0.5833];
            let optimizer = Optimizer::new(domains, &best, &judged, pending, Direction::Minimize);
            optimizer.surrogate().unwrap().improvement(&[0.6])
        };
        assert!(expected(&[vec![0.6]]) < 0.1 * expected(&[]));
    }
}
