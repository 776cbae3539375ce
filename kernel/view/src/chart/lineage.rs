//! The tree of candidates: what each was made from.

use std::collections::HashMap;

use lab::{CommitId, Experiment, Status};

use super::{
    Axis, AxisScale, Beside, Chart, Label, Layer, Place, Point, Points, Segment, Segments, Shape, colour,
    sample, summary::rows,
};
use crate::{
    Metric,
    experiments::hypothesis,
    number::{count, fixed},
    standing::{Standing, decimals, improved},
    text::{clip, one_line},
};

/// So many of those that are not kept are drawn at most.
const POINTS: usize = 1500;
/// So many are labelled, and told in the text.
const TOLD: usize = 14;

/// An experiment in the tree.
#[derive(Clone, Copy)]
struct Node<'a> {
    experiment: &'a Experiment,
    /// The index of what it was made from, where that is here.
    parent: Option<usize>,
    /// How many changes lie between it and what began the line.
    depth: usize,
}

impl Node<'_> {
    fn at(&self) -> (f64, f64) {
        (self.experiment.record.number as f64, self.depth as f64)
    }
}

/// Every experiment by its number, as high as there are changes beneath it, joined to what it was made from; the way to
/// the best is thick.
pub fn lineage(experiments: &[Experiment], metric: &Metric) -> Chart {
    let nodes = nodes(experiments);
    let standing = Standing::of(experiments);
    let digits = decimals(experiments);
    let way = way(&nodes, &standing);
    let on_way = |i: &usize| way.contains(i);
    let kept: Vec<usize> = (0..nodes.len()).filter(|i| improved(nodes[*i].experiment)).collect();
    let aside = kept.iter().filter(|i| !on_way(i)).count();
    let mut chart = Chart::new(
        match way.last() {
            Some(best) => {
                let steps = count(
                    way.iter().filter(|i| improved(nodes[**i].experiment)).count(),
                    "change",
                    "changes",
                );
                format!(
                    "{steps} from the baseline to the best, experiment {}",
                    nodes[*best].experiment.record.number
                )
            }
            None if experiments.is_empty() => "No experiments yet".to_owned(),
            None => "Nothing was kept yet".to_owned(),
        },
        Axis::new("experiment").scaled(AxisScale::Whole),
        Axis::new("generation: changes since the baseline").scaled(AxisScale::Whole),
    );
    let leaves_way = |i: &&usize| !on_way(i) && nodes[**i].parent.is_some_and(|parent| on_way(&parent));
    let branches = kept.iter().filter(leaves_way).count();
    let unknown = nodes.iter().filter(|n| n.parent.is_none() && !n.experiment.record.baseline).count();
    let leaves: Vec<usize> = (0..nodes.len())
        .filter(|i| !improved(nodes[*i].experiment) && !nodes[*i].experiment.record.baseline)
        .collect();
    let all = leaves.len();
    let leaves = sample::by_chance(leaves, POINTS);
    let said = [
        (aside > 0).then(|| format!("{} beside that way", count(aside, "kept change", "kept changes"))),
        (branches > 0).then(|| count(branches, "branch leaves it", "branches leave it")),
        (unknown > 0)
            .then(|| format!("{} from a commit that is no experiment here", count(unknown, "comes", "come"))),
        sample::few(leaves.len(), all, "not kept"),
    ];
    chart.subtitle = said.into_iter().flatten().collect::<Vec<_>>().join(" · ");
    let segments = |name: &str, colour, width, opacity, of: &mut dyn Iterator<Item = usize>| {
        let segments = of.flat_map(|i| rail(&nodes, i)).collect();
        Layer::Segments(Segments { name: name.to_owned(), colour, width, opacity, segments })
    };
    let tips = |i: usize| {
        let record = &nodes[i].experiment.record;
        let mut tips = vec![
            ("experiment".to_owned(), format!("{} ({})", record.number, record.status)),
            ("hypothesis".to_owned(), clip(&hypothesis(nodes[i].experiment), 120)),
        ];
        tips.extend(record.value.map(|value| (one_line(&metric.name), fixed(value, digits))));
        tips.extend(
            nodes[i].parent.map(|p| ("made from".to_owned(), nodes[p].experiment.record.number.to_string())),
        );
        tips.push(("proposer".to_owned(), clip(&one_line(&record.proposer), 40)));
        tips
    };
    let points = |name: &str, colour, shape, diameter, opacity, of: &mut dyn Iterator<Item = usize>| {
        let point = |i: usize| Point { x: nodes[i].at().0, y: Place::At(nodes[i].at().1), tips: tips(i) };
        Layer::Points(Points {
            name: name.to_owned(),
            colour,
            shape,
            diameter,
            opacity,
            points: of.map(point).collect(),
        })
    };
    let status = |i: usize| nodes[i].experiment.record.status;
    let failed = |i: usize| matches!(status(i), Status::Crash | Status::Timeout);
    let doubtful = |i: usize| matches!(status(i), Status::Suspect | Status::Invalid);
    chart.layers = vec![
        segments("", colour::GREY, 1.0, 0.7, &mut last_of_each(&nodes, &leaves).into_iter()),
        segments("", colour::GREEN, 1.4, 0.8, &mut kept.iter().copied().filter(|i| !on_way(i))),
        segments("way to the best", colour::GREEN, 2.4, 1.0, &mut way.iter().copied()),
        points(
            "discarded",
            colour::GREY,
            Shape::Circle,
            5.5,
            colour::FADED,
            &mut leaves.iter().copied().filter(|i| !failed(*i) && !doubtful(*i)),
        ),
        points(
            "crashed or timed out",
            colour::RED,
            Shape::Cross,
            6.0,
            1.0,
            &mut leaves.iter().copied().filter(|i| failed(*i)),
        ),
        points(
            "suspect or invalid",
            colour::ORANGE,
            Shape::Square,
            6.0,
            1.0,
            &mut leaves.iter().copied().filter(|i| doubtful(*i)),
        ),
        points(
            "baseline",
            colour::BLUE,
            Shape::Diamond,
            11.0,
            1.0,
            &mut (0..nodes.len()).filter(|i| nodes[*i].experiment.record.baseline),
        ),
        points("kept", colour::GREEN, Shape::Circle, 9.0, 1.0, &mut kept.iter().copied()),
        Layer::Labels { colour: colour::GREEN_INK, side: Beside::Below, labels: labels(&nodes, &way, &kept) },
    ];
    chart.notes = told(&nodes, &way, digits);
    chart
}

/// The tree, in the order of the ledger.
fn nodes(experiments: &[Experiment]) -> Vec<Node<'_>> {
    let mut newest: HashMap<&CommitId, usize> = HashMap::new();
    let mut nodes: Vec<Node> = Vec::with_capacity(experiments.len());
    for experiment in experiments {
        let record = &experiment.record;
        let (parent, depth) = match (&record.parent, newest.get(&record.candidate)) {
            // A baseline of something that is here: the same candidate, run again.
            (None, Some(same)) => (Some(*same), nodes[*same].depth),
            (Some(parent), _) => match newest.get(parent) {
                Some(parent) => (Some(*parent), nodes[*parent].depth + 1),
                None => (None, 0),
            },
            (None, None) => (None, 0),
        };
        newest.insert(&record.candidate, nodes.len());
        nodes.push(Node { experiment, parent, depth });
    }
    nodes
}

/// From what an experiment was made from up to its height, and along to it.
fn rail(nodes: &[Node], i: usize) -> Vec<Segment> {
    let Some(parent) = nodes[i].parent else { return Vec::new() };
    let (from, to) = (nodes[parent].at(), nodes[i].at());
    let corner = (from.0, to.1);
    vec![Segment { from, to: corner }, Segment { from: corner, to }]
}

/// Of those that were made from the same, the last, whose rail is the others' too.
fn last_of_each(nodes: &[Node], leaves: &[usize]) -> Vec<usize> {
    let last: HashMap<usize, usize> = leaves.iter().filter_map(|i| Some((nodes[*i].parent?, *i))).collect();
    let mut last: Vec<usize> = last.into_values().collect();
    last.sort_unstable();
    last
}

/// From what began the line of the best to the best.
fn way(nodes: &[Node], standing: &Standing) -> Vec<usize> {
    let mut at = nodes.iter().position(|node| standing.is_best(node.experiment));
    let mut way = Vec::new();
    while let Some(i) = at {
        way.push(i);
        at = nodes[i].parent;
    }
    way.reverse();
    way
}

/// The best, then what was kept with the largest gains.
fn labels(nodes: &[Node], way: &[usize], kept: &[usize]) -> Vec<Label> {
    let mut kept = kept.to_vec();
    let gain = |i: usize| {
        if way.last() == Some(&i) {
            f64::INFINITY
        } else {
            nodes[i].experiment.record.delta.map_or(0.0, f64::abs)
        }
    };
    kept.sort_by(|a, b| gain(*b).total_cmp(&gain(*a)));
    let label = |i: usize| {
        let (record, at) = (&nodes[i].experiment.record, nodes[i].at());
        Label {
            x: at.0,
            y: at.1,
            text: format!("{} {}", record.number, clip(&one_line(&record.hypothesis), 30)),
        }
    };
    kept.into_iter().take(TOLD).map(label).collect()
}

/// The way to the best by its steps, and how many were tried from each.
fn told(nodes: &[Node], way: &[usize], digits: usize) -> Vec<String> {
    let mut tried: HashMap<usize, usize> = HashMap::new();
    for parent in nodes.iter().filter_map(|node| node.parent) {
        *tried.entry(parent).or_default() += 1;
    }
    let row = |i: &usize| {
        let record = &nodes[*i].experiment.record;
        let value = record.value.map_or_else(|| "–".to_owned(), |value| fixed(value, digits));
        let from = count(tried.get(i).copied().unwrap_or(0), "was tried from it", "were tried from it");
        vec![record.number.to_string(), value, hypothesis(nodes[*i].experiment), from]
    };
    let left_out = way.len().saturating_sub(TOLD);
    let mut lines = rows(&way[left_out..].iter().map(row).collect::<Vec<_>>());
    if left_out > 0 {
        lines.insert(0, format!("{left_out} earlier steps, then"));
    }
    lines
}
