//! Two experiments: their curves, and how far they are apart at each step.

use super::{Axis, Chart, Layer, Line, colour, curves, sample};
use crate::{
    Metric,
    number::{short, signed},
    text::{clip, one_line},
};

/// One of the two.
#[derive(Clone, Debug, PartialEq)]
pub struct Compared {
    /// Its number, as people write it.
    pub label: String,
    /// What it tried.
    pub hypothesis: String,
    /// The metric that decides, where it has it.
    pub value: Option<f64>,
    /// The curve.
    pub points: Vec<(f64, f64)>,
}

/// Constants that are told in the picture; the text has all.
const TOLD: usize = 3;

/// The curves of two experiments, named `y`, and the second minus the first at the same step. `differing` are the
/// constants that they set otherwise: name, and both values.
pub fn compare(
    a: &Compared,
    b: &Compared,
    y: &str,
    metric: &Metric,
    differing: &[(String, String, String)],
) -> Chart {
    let name = |one: &Compared| {
        let idea = one_line(&one.hypothesis);
        clip(
            &if idea.is_empty() {
                format!("exp {}", one.label)
            } else {
                format!("exp {}: {idea}", one.label)
            },
            60,
        )
    };
    let mut chart =
        Chart::new(format!("Experiments {} and {}", a.label, b.label), Axis::new(""), Axis::new(""));
    chart.size = (760, 560);
    let mut upper = curves(vec![(name(a), a.points.clone()), (name(b), b.points.clone())], "step", y);
    upper.title = upper.subtitle.clone();
    upper.subtitle = String::new();
    let apart = apart(&a.points, &b.points);
    let mut said = Vec::new();
    if let (Some(x), Some(y)) = (a.value, b.value) {
        let (from, to, change) = (short(x), short(y), signed(y - x, crate::number::decimals([x, y])));
        said.push(format!("{} {from} and {to} ({change})", one_line(&metric.name)));
    }
    match apart.iter().flatten().last() {
        Some((step, last)) => {
            let digits = crate::number::decimals([*last]);
            said.push(format!("at step {} they are {} apart", short(*step), signed(*last, digits)));
        }
        None if a.points.is_empty() || b.points.is_empty() => {}
        None => said.push("they have no step in common".to_owned()),
    }
    let told = |(name, a, b): &(String, String, String)| {
        format!("{} {} → {}", one_line(name), one_line(a), one_line(b))
    };
    said.extend(differing.iter().take(TOLD).map(told).map(|text| clip(&text, 60)));
    if differing.len() > TOLD {
        said.push(format!("{} other constants differ", differing.len() - TOLD));
    }
    chart.subtitle = said.join(" · ");
    chart.notes = match differing {
        [] => vec!["no constant that is declared differs".to_owned()],
        _ => differing.iter().map(|one| format!("  {}", told(one))).collect(),
    };
    let head = chart.head_height() as u32 + 30;
    upper.size = (760, (560_u32.saturating_sub(head)) * 3 / 5);
    let mut lower =
        Chart::new(String::new(), upper.x.clone(), Axis::new(format!("{} minus {}", b.label, a.label)));
    lower.size = (760, 560_u32.saturating_sub(head) - upper.size.1);
    upper.x.label = String::new();
    let ends = apart.first().and_then(|p| p.first()).zip(apart.last().and_then(|p| p.last()));
    let line = |name: &str, colour, dashed, pieces| {
        Layer::Line(Line { name: name.to_owned(), colour, steps: false, dashed, width: 1.8, pieces })
    };
    if let Some((first, last)) = ends {
        lower.layers.push(line("", colour::INK, true, vec![vec![(first.0, 0.0), (last.0, 0.0)]]));
        lower.layers.push(line("difference", colour::PURPLE, false, apart.clone()));
    }
    // Both over the same steps.
    let steps = a.points.iter().chain(&b.points).map(|point| point.0).filter(|step| step.is_finite());
    let (from, to) =
        steps.fold((f64::INFINITY, f64::NEG_INFINITY), |(low, high), x| (low.min(x), high.max(x)));
    if from < to {
        let margin = (to - from) * 0.02;
        upper.x.domain = Some((from - margin, to + margin));
        lower.x.domain = upper.x.domain;
    }
    chart.panels = if lower.layers.is_empty() { vec![upper] } else { vec![upper, lower] };
    chart
}

/// The second minus the first at the steps of both; between two steps of the first, on the line that joins them.
fn apart(a: &[(f64, f64)], b: &[(f64, f64)]) -> Vec<Vec<(f64, f64)>> {
    let first = sample::pieces(a);
    let at = |x: f64| {
        let piece = first.iter().find(|piece| piece[0].0 <= x && x <= piece[piece.len() - 1].0)?;
        let after = piece.partition_point(|point| point.0 < x);
        let (to, from) = (piece.get(after)?, piece[after.saturating_sub(1)]);
        let share = if to.0 > from.0 { (x - from.0) / (to.0 - from.0) } else { 1.0 };
        Some(from.1 + share * (to.1 - from.1))
    };
    let point = |(x, y): &(f64, f64)| at(*x).map_or((f64::NAN, f64::NAN), |base| (*x, y - base));
    sample::line(&b.iter().map(point).collect::<Vec<_>>(), curves::POINTS).0
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_difference_is_at_the_same_step() {
        let a = [(0.0, 4.0), (10.0, 2.0), (20.0, 1.0)];
        let b = [(0.0, 4.0), (5.0, 2.5), (10.0, 1.5), (30.0, 1.0)];
        assert_eq!(apart(&a, &b), [vec![(0.0, 0.0), (5.0, -0.5), (10.0, -0.5)]]);
        assert!(apart(&a, &[(30.0, 1.0)]).is_empty());
        // What diverged has no difference.
        assert_eq!(
            apart(&[(0.0, 1.0), (1.0, f64::NAN), (2.0, 1.0)], &[(0.0, 2.0), (1.0, 2.0), (2.0, 2.0)]).len(),
            2
        );
    }
}
