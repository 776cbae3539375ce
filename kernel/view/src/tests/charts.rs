use insta::assert_snapshot;
use serde_json::Value;

use super::support::{crashes, ledger, loss, metric, one, turned};
use crate::{
    Metric, bundle,
    chart::{self, Chart, Ground, Layer, Place},
};

/// Every field that an encoding names must be in the data, and the rest as `JupyterLab` needs it.
fn check(spec: &Value) {
    assert_eq!(spec["$schema"], "https://vega.github.io/schema/vega-lite/v5.json");
    assert_eq!(spec["background"], "transparent");
    for layer in spec["layer"].as_array().unwrap() {
        check_layer(layer, &Value::Null);
    }
}

fn check_layer(layer: &Value, inherited: &Value) {
    let data = if layer["data"].is_null() { inherited } else { &layer["data"] };
    if let Some(parts) = layer["layer"].as_array() {
        for part in parts {
            check_layer(part, data);
        }
        return;
    }
    assert!(layer["mark"].is_object() || layer["mark"].is_string(), "{layer}");
    let rows = data["values"].as_array().unwrap();
    let channels = layer["encoding"].as_object().into_iter().flat_map(|encoding| encoding.values());
    let fields =
        channels.flat_map(|channel| channel.as_array().cloned().unwrap_or_else(|| vec![channel.clone()]));
    for field in fields.filter_map(|channel| channel["field"].as_str().map(str::to_owned)) {
        assert!(rows.iter().any(|row| row.get(&field).is_some()), "no {field} in the data");
        assert!(!field.contains(['.', '[', ']', '\\', '"']), "{field}");
    }
}

fn places(chart: &Chart, name: &str) -> Vec<Place> {
    let of_name = chart.layers.iter().filter_map(|layer| match layer {
        Layer::Points(points) if points.name == name => Some(&points.points),
        _ => None,
    });
    of_name.flatten().map(|point| point.y).collect()
}

#[test]
fn progress_of_a_night() {
    let chart = chart::progress(&ledger(30), &metric());
    assert_snapshot!(chart.text(), @r"
    29 experiments, 7 kept improvements
    val_bpb 1.023000 → 1.017454 (−0.5%, experiment 26) · 4 beyond the axis, at its edge
    running best  ██▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▆▃▃▃▃▂▂▁▁▁▁  1.023 → 1.0175
    val_bpb (lower is better) by experiment
    ");
    check(&chart.vega_lite());
    assert!(chart.png(Ground::Paper).unwrap().starts_with(b"\x89PNG"));
    // The value of 3.4 does not flatten the rest: it stands at the worse edge.
    assert!(places(&chart, "discarded").contains(&Place::Top));
    assert!(places(&chart, "crashed or timed out").iter().all(|place| *place == Place::Top));
    let bundle = chart.bundle();
    let forms: Vec<&str> = bundle.iter().map(|(mime, _)| mime).collect();
    assert_eq!(forms, [bundle::TEXT, bundle::PNG, bundle::VEGA_LITE]);
}

#[test]
fn progress_where_higher_is_better() {
    let metric = Metric {
        name: "tokens_per_second".into(),
        direction: lab::Direction::Maximize,
        unit: Some("1/s".into()),
    };
    let chart = chart::progress(&turned(ledger(30)), &metric);
    assert_snapshot!(chart.text(), @r"
    29 experiments, 7 kept improvements
    tokens_per_second 11,908 → 11,930 1/s (+0.2%, experiment 26) · 4 beyond the axis, at its edge
    running best  ▁▁▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▃▆▆▆▆▇▇████  11,908 → 11,930
    tokens_per_second, 1/s (higher is better) by experiment
    ");
    assert!(places(&chart, "crashed or timed out").iter().all(|place| *place == Place::Bottom));
    check(&chart.vega_lite());
}

#[test]
fn progress_of_little() {
    assert_snapshot!(chart::progress(&[], &metric()).text(), @"No experiments yet");
    assert_snapshot!(chart::progress(&ledger(1), &metric()).text(), @r"
    0 experiments, 0 kept improvements
    val_bpb 1.0230 (experiment 0)
    running best  ▄  1.023 → 1.023
    val_bpb (lower is better) by experiment
    ");
    assert_snapshot!(chart::progress(&crashes(4), &metric()).text(), @r"
    3 experiments, 0 kept improvements
    no value of val_bpb yet
    ");
    for experiments in [vec![], ledger(1), ledger(2), crashes(4)] {
        let chart = chart::progress(&experiments, &metric());
        check(&chart.vega_lite());
        assert!(chart.png(Ground::Page).is_some());
    }
}

#[test]
fn progress_of_a_thousand() {
    let chart = chart::progress(&ledger(1000), &metric());
    check(&chart.vega_lite());
    assert!(chart.png(Ground::Paper).unwrap().len() < 300_000);
}

#[test]
fn bests_of_two_epochs_are_not_joined() {
    let mut experiments = ledger(6);
    for (i, e) in ledger(4).into_iter().enumerate() {
        let mut later = e;
        std::sync::Arc::make_mut(&mut later.record).number = 6 + i as u64;
        std::sync::Arc::make_mut(&mut later.record).epoch = lab::Epoch::new("e2");
        experiments.push(later);
    }
    let chart = chart::progress(&experiments, &metric());
    let pieces = chart
        .layers
        .iter()
        .find_map(|layer| if let Layer::Line(line) = layer { Some(line.pieces.len()) } else { None });
    assert_eq!(pieces, Some(2));
    check(&chart.vega_lite());
}

#[test]
fn values_that_are_no_numbers_are_passed_over() {
    let mut experiments = vec![one(0), one(1)];
    std::sync::Arc::make_mut(&mut experiments[1].record).value = Some(f64::NAN);
    assert!(chart::progress(&experiments, &metric()).png(Ground::Paper).is_some());
    let chart =
        chart::curves(vec![("a".into(), vec![(0.0, f64::NAN), (f64::INFINITY, 1.0)])], "step", "loss");
    assert_eq!(chart.subtitle, "no values of loss");
    check(&chart.vega_lite());
}

#[test]
fn curves_of_many_points_are_sampled_and_say_so() {
    let chart = chart::curves(
        vec![("17".into(), loss(20_000, 2.8)), ("best".into(), loss(300, 2.6))],
        "step",
        "loss",
    );
    assert_snapshot!(chart.text(), @r"
    loss over step
    up to 1,000 points drawn of 20,000: the lowest and the highest of each stretch
    17    █▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁  6.8 → 2.7994
    best  █▆▅▄▄▃▃▂▂▂▂▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁  6.6 → 2.6006
    loss by step
    ");
    check(&chart.vega_lite());
    assert!(chart.vega_lite().to_string().len() < 120_000);
}

#[test]
fn a_drawing_is_drawn_as_described() {
    let series =
        |name: &str, points: &[(f64, f64)]| chart::Series { name: name.into(), points: points.into() };
    let a = || series("a", &[(0.0, 3.0), (1.0, 2.0)]);
    let part =
        |kind: &str, series| chart::Part { kind: serde_json::from_value(kind.into()).unwrap(), series };
    let drawing = chart::Drawing {
        title: "mine".into(),
        x: "step".into(),
        y: "loss".into(),
        layers: vec![part("points", vec![a()]), part("steps", vec![a(), series("b", &[])])],
    };
    let chart = drawing.chart();
    assert_eq!((chart.title.as_str(), chart.layers.len(), chart.x.whole), ("mine", 2, true));
    let [Layer::Points(points), Layer::Line(line)] = &chart.layers[..] else { panic!("{:?}", chart.layers) };
    assert!(line.steps && line.colour == points.colour, "a name keeps its colour");
    check(&chart.vega_lite());
    let nothing = chart::Drawing { x: "step".into(), y: "loss".into(), ..chart::Drawing::default() }.chart();
    assert_eq!((nothing.title.as_str(), nothing.subtitle.as_str()), ("loss over step", "no values of loss"));
}
