//! A Gaussian process over what was tried: where an improvement is to be expected.
//!
//! Matérn 5/2 with a length for each coordinate, fitted by its marginal likelihood, and expected improvement: Rasmussen
//! and Williams, *Gaussian Processes for Machine Learning* (2006), chapters 4 and 5; Jones, Schonlau and Welch,
//! *Efficient Global Optimization of Expensive Black-Box Functions* (1998).

use std::f64::consts::{SQRT_2, TAU};

use super::Domain;
use super::factor::{Factor, dot};
use super::optimizer::Trial;

/// What a length or the noise is multiplied by while it is fitted: less, or else more, as long as that is better.
const STEPS: [f64; 2] = [0.6, 1.6];
/// How many such steps are gone at a time.
const FAR: usize = 2;
/// How often every length is fitted.
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
    /// How far two places of a coordinate are apart, its length left out.
    fn apart(&self, coordinate: usize, a: f64, b: f64) -> f64 {
        if self.choices[coordinate] { f64::from(u8::from(a.to_bits() != b.to_bits())) } else { a - b }
    }

    fn covariance(&self, a: &[f64], b: &[f64]) -> f64 {
        let square = |(i, (a, b)): (usize, (&f64, &f64))| (self.apart(i, *a, *b) / self.lengths[i]).powi(2);
        covariance(a.iter().zip(b).enumerate().map(square).sum())
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

/// How far each point is from those before it, by rows: for each coordinate the squares, lengths left out.
///
/// Taken once, as every metric that is tried weighs the same squares.
struct Apart(Vec<Vec<f64>>);

impl Apart {
    fn new(points: &[Vec<f64>], metric: &Metric) -> Self {
        let of = |coordinate: usize| {
            let square = |(a, b): (usize, usize)| {
                metric.apart(coordinate, points[a][coordinate], points[b][coordinate]).powi(2)
            };
            (0..points.len()).flat_map(|a| (0..a).map(move |b| (a, b))).map(square).collect()
        };
        Self((0..metric.lengths.len()).map(of).collect())
    }

    /// The squared distances under a metric, without the part of one coordinate.
    fn squared(&self, metric: &Metric, without: Option<usize>) -> Vec<f64> {
        let mut sums = vec![0.0; self.0.first().map_or(0, Vec::len)];
        for (coordinate, length) in metric.lengths.iter().enumerate() {
            if Some(coordinate) != without {
                self.add(&mut sums, coordinate, *length);
            }
        }
        sums
    }

    /// Adds the part of one coordinate.
    fn add(&self, sums: &mut [f64], coordinate: usize, length: f64) {
        let by = length.powi(-2);
        for (sum, square) in sums.iter_mut().zip(&self.0[coordinate]) {
            *sum += square * by;
        }
    }
}

/// The trials under one metric and noise.
struct Fit {
    metric: Metric,
    noise: f64,
    likelihood: f64,
    amplitude: f64,
    factor: Factor,
    weights: Vec<f64>,
}

impl Fit {
    /// `squared` are the squared distances of the points, each to those before it.
    fn new(mut squared: Vec<f64>, values: &[f64], metric: Metric, noise: f64) -> Option<Self> {
        let n = values.len();
        for distance in &mut squared {
            *distance = covariance(*distance);
        }
        let factor = Factor::new(n, &squared, 1.0 + noise)?;
        let weights = factor.solve(values);
        // The amplitude that suits best is put in.
        let amplitude = (dot(values, &weights) / n as f64).max(f64::MIN_POSITIVE);
        let likelihood = -0.5 * n as f64 * amplitude.ln() - factor.log_determinant() - metric.surprise();
        likelihood.is_finite().then_some(Self { metric, noise, likelihood, amplitude, factor, weights })
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
        let metric = Metric { lengths: vec![USUAL; domains.len()], choices };
        let apart = Apart::new(&points, &metric);
        let mut fit = Fit::new(apart.squared(&metric, None), &values, metric, 1e-3)?;
        // The last of them is the noise.
        for coordinate in (0..=domains.len()).cycle().take(ROUNDS * (domains.len() + 1)) {
            // What the other coordinates add stays as it is.
            let others = apart.squared(&fit.metric, Some(coordinate));
            let gone = |fit: &Fit, step: f64| {
                let (mut metric, mut noise, mut squared) = (fit.metric.clone(), fit.noise, others.clone());
                match metric.lengths.get_mut(coordinate) {
                    Some(length) => {
                        *length = (*length * step).clamp(0.05, 5.0);
                        apart.add(&mut squared, coordinate, *length);
                    }
                    None => noise = (noise * step * step).clamp(1e-6, 0.3),
                }
                Fit::new(squared, &values, metric, noise).filter(|gone| gone.likelihood > fit.likelihood)
            };
            for step in STEPS {
                let before = fit.likelihood;
                for _ in 0..FAR {
                    let Some(better) = gone(&fit, step) else { break };
                    fit = better;
                }
                if fit.likelihood > before {
                    break;
                }
            }
        }
        let Fit { metric, amplitude, factor, weights, .. } = fit;
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
