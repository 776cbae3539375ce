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
/// About so many points of a kind are drawn: each picture is sent again with each view, and points make it large.
const POINTS: usize = 50;
/// So many slots have a picture of their curve; those of more are told by words and blocks.
const SLOTS: usize = 8;

/// What was drawn last.
#[derive(Clone, Debug, Default)]
pub struct Pictures {
    night: Option<String>,
    /// Whether it has only some of the points.
    thinned: bool,
    curves: BTreeMap<u32, String>,
}

impl Pictures {
    /// Draws the running best of the night.
    pub fn draw_night(&mut self, experiments: &[Experiment], metric: &Metric) {
        (self.night, self.thinned) = (None, false);
        if experiments.len() > 1 {
            let (picture, thinned) = night(experiments, metric);
            (self.night, self.thinned) = (Some(picture), thinned);
        }
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

    /// Whether the running best is drawn with only some of the experiments around it.
    pub(super) fn is_thinned(&self) -> bool {
        self.thinned
    }

    /// The curve of a slot's run, as HTML.
    pub(super) fn curve(&self, slot: u32) -> Option<&str> {
        self.curves.get(&slot).map(String::as_str)
    }
}

fn night(experiments: &[Experiment], metric: &Metric) -> (String, bool) {
    let mut thinned = false;
    let mut chart = chart::progress(experiments, metric);
    chart.layers.retain(|layer| !matches!(layer, Layer::Labels { .. } | Layer::Rules(_)));
    for layer in &mut chart.layers {
        if let Layer::Points(points) = layer {
            points.diameter *= 0.75;
            let every = points.points.len().div_ceil(POINTS).max(1);
            if every > 1 {
                thinned = true;
                points.points = std::mem::take(&mut points.points).into_iter().step_by(every).collect();
            }
        }
    }
    chart.compact = true;
    chart.size = SIZE;
    (chart.img("the running best").into_string(), thinned)
}
