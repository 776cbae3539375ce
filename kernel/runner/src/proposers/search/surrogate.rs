//! A Gaussian process over what was tried: where an improvement is to be expected.
//!
//! Matérn 5/2 with a length for each coordinate, fitted by its marginal likelihood, and expected improvement: Rasmussen
//! and Williams, *Gaussian Processes for Machine Learning* (2006), chapters 4 and 5; Jones, Schonlau and Welch,
//! *Efficient Global Optimization of Expensive Black-Box Functions* (1998).

use std::f64::consts::{SQRT_2, TAU};

use super::Domain;
use super::factor::{Factor, dot};
use super::optimizer::Trial;

/// What lengths and noise are multiplied by while they are fitted.
const STEPS: [f64; 4] = [0.4, 0.7, 1.5, 2.5];
/// How often every length is tried.
const ROUNDS: usize = 2;
/// A length that nothing is known of, in places of a range (0 to 1).
const USUAL: f64 = 0.5;

/// What the trials say about every point.
pub(super) struct Surrogate {
    points: Vec<Vec<f64>>,
    metric: Metric,
    weights: Vec<f64>,
    factor: Factor,
    amplitude: f64,
    lowest: f64,
    scale: Scale,
}

/// How far two points are from each other.
#[derive(Clone)]
struct Metric {
    /// For each coordinate: how far one goes until another value is to be expected.
    lengths: Vec<f64>,
    /// Whether it is a choice, of which any two are as far apart.
    choices: Vec<bool>,
}

impl Metric {
    /// What a coordinate adds to the squared distance of two points.
    fn square(&self, coordinate: usize, a: f64, b: f64) -> f64 {
        let choice = self.choices[coordinate];
        let apart = if choice { f64::from(u8::from(a.to_bits() != b.to_bits())) } else { a - b };
        (apart / self.lengths[coordinate]).powi(2)
    }

    fn covariance(&self, a: &[f64], b: &[f64]) -> f64 {
        covariance(a.iter().zip(b).enumerate().map(|(i, (a, b))| self.square(i, *a, *b)).sum())
    }

    /// The squared distance of each point to those before it, by rows, without the part of one coordinate.
    fn squares(&self, points: &[Vec<f64>], without: Option<usize>) -> Vec<f64> {
        let coordinates: Vec<usize> = (0..self.lengths.len()).filter(|it| Some(*it) != without).collect();
        pairs(points)
            .map(|(a, b)| coordinates.iter().map(|&it| self.square(it, points[a][it], points[b][it])).sum())
            .collect()
    }

    /// How unlikely such lengths are before anything is known.
    fn surprise(&self) -> f64 {
        self.lengths.iter().map(|length| 0.25 * (length / USUAL).ln().powi(2)).sum()
    }
}

/// The covariance of two points by their squared distance.
fn covariance(squared: f64) -> f64 {
    let r = (5.0 * squared).sqrt();
    (1.0 + r + r * r / 3.0) * (-r).exp()
}

/// Each point with those before it, by rows.
fn pairs(points: &[Vec<f64>]) -> impl Iterator<Item = (usize, usize)> {
    (0..points.len()).flat_map(|a| (0..a).map(move |b| (a, b)))
}

/// The trials under one metric and noise.
struct Fit {
    likelihood: f64,
    amplitude: f64,
    factor: Factor,
    weights: Vec<f64>,
}

impl Fit {
    /// `squares` are the squared distances of the points, each to those before it.
    fn new(squares: impl Iterator<Item = f64>, values: &[f64], metric: &Metric, noise: f64) -> Option<Self> {
        let n = values.len();
        let factor = Factor::new(n, squares.map(covariance), 1.0 + noise)?;
        let weights = factor.solve(values);
        // The amplitude that suits best is put in.
        let amplitude = (dot(values, &weights) / n as f64).max(f64::MIN_POSITIVE);
        let likelihood = -0.5 * n as f64 * amplitude.ln() - factor.log_determinant() - metric.surprise();
        likelihood.is_finite().then_some(Self { likelihood, amplitude, factor, weights })
    }
}

impl Surrogate {
    /// Learns from trials whose points are complete; `None` where they say nothing.
    pub(super) fn new(domains: &[Domain], trials: &[&Trial]) -> Option<Self> {
        let points: Vec<Vec<f64>> = trials.iter().map(|(point, _)| point.clone()).collect();
        let costs: Vec<f64> = trials.iter().map(|(_, cost)| *cost).collect();
        let scale = Scale::of(&costs)?;
        let values: Vec<f64> = costs.iter().map(|cost| scale.forth(*cost)).collect();
        let choices = domains.iter().map(|domain| domain.choices().is_some()).collect();
        let mut metric = Metric { lengths: vec![USUAL; domains.len()], choices };
        let mut noise = 1e-3;
        let mut fit = Fit::new(metric.squares(&points, None).into_iter(), &values, &metric, noise)?;
        for coordinate in (0..=domains.len()).cycle().take(ROUNDS * (domains.len() + 1)) {
            // What the other coordinates add stays as it is.
            let is_length = coordinate < domains.len();
            let others = metric.squares(&points, Some(coordinate));
            for step in STEPS {
                let (mut other, mut other_noise) = (metric.clone(), noise);
                match other.lengths.get_mut(coordinate) {
                    Some(length) => *length = (*length * step).clamp(0.05, 5.0),
                    None => other_noise = (noise * step * step).clamp(1e-6, 0.3),
                }
                let squares = pairs(&points).zip(&others).map(|((a, b), others)| {
                    let at = |point: usize| points[point][coordinate];
                    others + if is_length { other.square(coordinate, at(a), at(b)) } else { 0.0 }
                });
                if let Some(better) = Fit::new(squares, &values, &other, other_noise)
                    .filter(|other| other.likelihood > fit.likelihood)
                {
                    (fit, metric, noise) = (better, other, other_noise);
                }
            }
        }
        let Fit { amplitude, factor, weights, .. } = fit;
        let lowest = values.iter().copied().fold(f64::INFINITY, f64::min);
        Some(Self { points, metric, weights, factor, amplitude, lowest, scale })
    }

    /// How much lower than the lowest cost it is expected to be at a point, on the surrogate's own scale.
    pub(super) fn improvement(&self, point: &[f64]) -> f64 {
        let (mean, spread) = self.at(point);
        let z = (self.lowest - mean) / spread;
        let density = (-0.5 * z * z).exp() / TAU.sqrt();
        let below = 0.5 * (1.0 + libm::erf(z / SQRT_2));
        spread * (z * below + density)
    }

    /// The cost that is expected at a point, and its deviation.
    pub(super) fn expects(&self, point: &[f64]) -> (f64, f64) {
        let (mean, spread) = self.at(point);
        let spread = spread * self.amplitude.sqrt();
        let (low, high) = (self.scale.back(mean - spread), self.scale.back(mean + spread));
        (self.scale.back(mean), (high - low) / 2.0)
    }

    /// The length of each coordinate.
    pub(super) fn lengths(&self) -> &[f64] {
        &self.metric.lengths
    }

    /// Mean and deviation at a point, on the surrogate's own scale.
    fn at(&self, point: &[f64]) -> (f64, f64) {
        let near: Vec<f64> = self.points.iter().map(|other| self.metric.covariance(other, point)).collect();
        let mean = dot(&near, &self.weights);
        let known = self.factor.forward(&near);
        (mean, (1.0 - dot(&known, &known)).max(1e-12).sqrt())
    }
}

/// Costs with mean 0 and deviation 1, those worse than the median squeezed together: it is among the good ones that
/// differences matter.
struct Scale {
    median: f64,
    /// How far the median is from the lowest.
    half: f64,
    mean: f64,
    deviation: f64,
}

impl Scale {
    /// `None` where the costs do not differ.
    fn of(costs: &[f64]) -> Option<Self> {
        let mut sorted = costs.to_vec();
        sorted.sort_by(f64::total_cmp);
        let (low, median) = (*sorted.first()?, sorted[sorted.len() / 2]);
        let scale = Self { median, half: median - low, mean: 0.0, deviation: 1.0 };
        let squeezed: Vec<f64> = sorted.into_iter().map(|cost| scale.forth(cost)).collect();
        let mean = squeezed.iter().sum::<f64>() / squeezed.len() as f64;
        let squares: f64 = squeezed.iter().map(|it| (it - mean).powi(2)).sum();
        let deviation = (squares / squeezed.len() as f64).sqrt();
        (deviation > 0.0 && deviation.is_finite()).then_some(Self { mean, deviation, ..scale })
    }

    fn forth(&self, cost: f64) -> f64 {
        let above = cost - self.median;
        let squeezed = if above > 0.0 && self.half > 0.0 {
            self.median + self.half * (above / self.half).ln_1p()
        } else {
            cost
        };
        (squeezed - self.mean) / self.deviation
    }

    fn back(&self, value: f64) -> f64 {
        let squeezed = value * self.deviation + self.mean;
        let above = squeezed - self.median;
        if above > 0.0 && self.half > 0.0 {
            self.median + self.half * (above / self.half).exp_m1()
        } else {
            squeezed
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::super::domain::Scale;
    use super::super::literal::Value;
    use super::*;

    fn line() -> Vec<Domain> {
        vec![Domain::Range { low: 0.0, high: 1.0, scale: Scale::Linear, whole: false }]
    }

    #[test]
    fn an_improvement_is_expected_in_the_valley() {
        let trials: Vec<Trial> =
            [0.0, 0.2, 0.4, 0.8, 1.0].iter().map(|x: &f64| (vec![*x], (x - 0.6).powi(2))).collect();
        let surrogate = Surrogate::new(&line(), &trials.iter().collect::<Vec<_>>()).unwrap();
        let places = (0..=100).map(|i| f64::from(i) / 100.0);
        let best =
            places.max_by(|a, b| surrogate.improvement(&[*a]).total_cmp(&surrogate.improvement(&[*b])));
        assert!((0.55..0.65).contains(&best.unwrap()), "{best:?}");
    }

    #[test]
    fn what_is_expected_is_a_cost_and_surer_near_what_was_seen() {
        let trials: Vec<Trial> =
            [0.0, 0.2, 0.4, 0.8, 1.0].iter().map(|x: &f64| (vec![*x], 7.0 + (x - 0.6).powi(2))).collect();
        let surrogate = Surrogate::new(&line(), &trials.iter().collect::<Vec<_>>()).unwrap();
        for (point, cost) in &trials {
            let (expected, spread) = surrogate.expects(point);
            assert!((expected - cost).abs() < 0.02 && spread < 0.02, "{point:?}: {expected} ± {spread}");
        }
        assert!(surrogate.expects(&[0.6]).1 > 2.0 * surrogate.expects(&[0.8]).1);
    }

    #[test]
    fn what_was_seen_is_no_improvement() {
        let trials: Vec<Trial> = [0.1, 0.5, 0.9].iter().map(|x: &f64| (vec![*x], *x)).collect();
        let surrogate = Surrogate::new(&line(), &trials.iter().collect::<Vec<_>>()).unwrap();
        assert!(surrogate.improvement(&[0.9]) < 1e-3);
        assert!(surrogate.improvement(&[0.0]) > surrogate.improvement(&[0.3]));
    }

    #[test]
    fn choices_are_as_far_apart_as_any_two() {
        let domains = [Domain::Choice((0..9).map(Value::Int).collect())];
        let trials: Vec<Trial> = (0..6).map(|i| (vec![f64::from(i)], f64::from(i % 2))).collect();
        let surrogate = Surrogate::new(&domains, &trials.iter().collect::<Vec<_>>()).unwrap();
        let (six, eight) = (surrogate.improvement(&[6.0]), surrogate.improvement(&[8.0]));
        assert!((six - eight).abs() < 1e-12, "{six} {eight}");
    }

    #[test]
    fn trials_that_say_nothing_are_no_surrogate() {
        let trials: Vec<Trial> = vec![(vec![0.1], 1.0), (vec![0.2], 1.0), (vec![0.3], 1.0)];
        assert!(Surrogate::new(&line(), &trials.iter().collect::<Vec<_>>()).is_none());
        assert!(Surrogate::new(&line(), &[]).is_none());
    }
}
