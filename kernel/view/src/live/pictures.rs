//! The pictures of the live view: drawn where what they show has changed, and kept for the views after that.

use std::collections::BTreeMap;

use lab::Experiment;

use super::Curve;
use crate::{
    Metric,
    chart::{self, Layer},
};

/// The size of a picture, in pixels.
const SIZE: (u32, u32) = (400, 130);
/// So many slots have a picture of their curve; those of more are told by words and blocks.
const SLOTS: usize = 8;

/// What was drawn last.
#[derive(Clone, Debug, Default)]
pub struct Pictures {
    night: Option<String>,
    curves: BTreeMap<u32, String>,
}

impl Pictures {
    /// Draws the running best of the night.
    pub fn draw_night(&mut self, experiments: &[Experiment], metric: &Metric) {
        self.night = (experiments.len() > 1).then(|| night(experiments, metric));
    }

    /// Draws the curve of each run beside the best run's.
    pub fn draw_curves(&mut self, curves: &[Curve]) {
        let drawn = curves.iter().take(SLOTS).filter(|curve| curve.current.len() > 1);
        self.curves = drawn
            .map(|curve| {
                let picture = chart::small(&curve.current, &curve.best, SIZE).img("the curve of the run");
                (curve.slot, picture.into_string())
            })
            .collect();
    }

    /// The running best, as HTML.
    pub(super) fn night(&self) -> Option<&str> {
        self.night.as_deref()
    }

    /// The curve of a slot's run, as HTML.
    pub(super) fn curve(&self, slot: u32) -> Option<&str> {
        self.curves.get(&slot).map(String::as_str)
    }
}

fn night(experiments: &[Experiment], metric: &Metric) -> String {
    let mut chart = chart::progress(experiments, metric);
    chart.layers.retain(|layer| !matches!(layer, Layer::Labels { .. } | Layer::Rules(_)));
    for layer in &mut chart.layers {
        if let Layer::Points(points) = layer {
            points.diameter *= 0.75;
        }
    }
    chart.compact = true;
    chart.size = SIZE;
    chart.img("the running best").into_string()
}
