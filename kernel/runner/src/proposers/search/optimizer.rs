//! Where to look next: small changes of the best, drawn by TPE from what was learned, or near by.
//!
//! Changing one to three parameters at a time keeps what is known to be good; TPE (a tree-structured
//! Parzen estimator for each parameter) says which values have been good before. The test below
//! checks against random search on a known function.

use lab::Direction;
use rand::{Rng, RngExt};
use tpe::{TpeOptimizerBuilder, categorical_range, histogram_estimator, parzen_estimator, range};

use super::Domain;

/// From how many trials on TPE has something to say.
const ENOUGH: usize = 6;

/// A point that was tried and what it cost; lower is better.
pub(super) type Trial = (Vec<f64>, f64);

/// Values as costs. What crashed costs as much as the worst that did not, so that it is avoided
/// without drowning the differences among the good ones.
pub(super) fn costs(trials: &[(Vec<f64>, Option<f64>)], direction: Direction) -> Vec<Trial> {
    let cost = |value: f64| match direction {
        Direction::Minimize => value,
        Direction::Maximize => -value,
    };
    let finite = || trials.iter().filter_map(|(_, value)| value.map(cost)).filter(|cost| cost.is_finite());
    let Some(worst) = finite().reduce(f64::max) else { return Vec::new() };
    trials
        .iter()
        .map(|(point, value)| {
            (point.clone(), value.map(cost).filter(|cost| cost.is_finite()).unwrap_or(worst))
        })
        .collect()
}

/// A point near `best`, with one to three coordinates changed.
pub(super) fn suggest<R: Rng>(
    domains: &[Domain],
    best: &[f64],
    trials: &[Trial],
    random: &mut R,
) -> Vec<f64> {
    let mut point = best.to_vec();
    if domains.is_empty() {
        return point;
    }
    let changes = match random.random::<f64>() {
        x if x < 0.5 => 1,
        x if x < 0.8 => 2,
        _ => 3,
    };
    for _ in 0..changes.min(domains.len()) {
        let index = (random.random::<f64>() * domains.len() as f64) as usize % domains.len();
        let learned = trials.len() >= ENOUGH && random.random::<f64>() < 0.5;
        point[index] = learned
            .then(|| by_tpe(&domains[index], index, trials, random))
            .flatten()
            .unwrap_or_else(|| near(&domains[index], best[index], random));
    }
    point
}

fn by_tpe<R: Rng>(domain: &Domain, index: usize, trials: &[Trial], random: &mut R) -> Option<f64> {
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
    let place = optimizer.ask(random).ok()?;
    Some(if domain.choices().is_some() { place.floor() } else { place })
}

fn near<R: Rng>(domain: &Domain, from: f64, random: &mut R) -> f64 {
    if let Some(count) = domain.choices() {
        // Any other one.
        let step = 1 + (random.random::<f64>() * (count.max(2) - 1) as f64) as usize;
        return ((from as usize + step) % count.max(1)) as f64;
    }
    // Box and Muller; now and then a wide step, so that no valley is for ever.
    let (a, b): (f64, f64) = (random.random(), random.random());
    let normal = (-2.0 * (1.0 - a).ln()).sqrt() * (std::f64::consts::TAU * b).cos();
    let width = if random.random::<f64>() < 0.2 { 0.4 } else { 0.12 };
    (from + width * normal).clamp(0.0, 1.0)
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
    fn objective(point: &[f64]) -> Option<f64> {
        if point[0] > 0.9 && point[1] > 0.9 {
            return None;
        }
        let smooth: f64 = (0..6).map(|i| (1.0 + i as f64) * (point[i] - 0.15 * (i + 1) as f64).powi(2)).sum();
        let chosen = if point[6] == 2.0 { 0.0 } else { 0.3 } + if point[7] == 1.0 { 0.0 } else { 0.2 };
        Some(smooth + chosen)
    }

    fn run(seed: u64, guided: bool) -> f64 {
        let domains = space();
        let mut random = StdRng::seed_from_u64(seed);
        let mut best = vec![0.5, 0.5, 0.5, 0.5, 0.5, 0.5, 0.0, 0.0];
        let mut lowest = objective(&best).unwrap();
        let mut trials = vec![(best.clone(), Some(lowest))];
        for _ in 0..60 {
            let point = if guided {
                suggest(&domains, &best, &costs(&trials, Direction::Minimize), &mut random)
            } else {
                domains
                    .iter()
                    .map(|d| {
                        let place: f64 = random.random();
                        d.choices().map_or(place, |n| (place * n as f64).floor())
                    })
                    .collect()
            };
            let value = objective(&point);
            trials.push((point.clone(), value));
            if let Some(value) = value.filter(|value| *value < lowest) {
                (lowest, best) = (value, point);
            }
        }
        lowest
    }

    fn median(guided: bool) -> f64 {
        let mut found: Vec<f64> = (0..31).map(|seed| run(seed, guided)).collect();
        found.sort_by(f64::total_cmp);
        found[15]
    }

    #[test]
    fn it_beats_random_search() {
        let (guided, random) = (median(true), median(false));
        assert!(guided < 0.5 * random, "guided {guided}, random {random}");
    }

    #[test]
    fn crashes_cost_as_much_as_the_worst() {
        let trials =
            [(vec![0.0], Some(1.0)), (vec![0.1], None), (vec![0.2], Some(3.0)), (vec![0.3], Some(f64::NAN))];
        let told: Vec<f64> = costs(&trials, Direction::Minimize).into_iter().map(|(_, cost)| cost).collect();
        assert_eq!(told, [1.0, 3.0, 3.0, 3.0]);
        assert!(costs(&[(vec![0.0], None)], Direction::Minimize).is_empty());
    }
}
