use insta::assert_snapshot;
use serde_json::Value;

use super::support::{crashes, epoch_start, ledger, loss, metric, one, repeated};
use crate::chart::{self, AxisScale, Chart, Ground, Layer, Place, Shape, Span, Work};

/// The views of a chart: itself, or its panels.
fn views(spec: &Value) -> Vec<&Value> {
    match spec["vconcat"].as_array() {
        Some(rows) => rows.iter().flat_map(|row| row["hconcat"].as_array().unwrap()).collect(),
        None => vec![spec],
    }
}

fn layers(spec: &Value) -> Vec<&Value> {
    views(spec).into_iter().flat_map(|view| view["layer"].as_array().unwrap()).collect()
}

/// Every field that an encoding names must be in the data, no two parameters may have one name, and the rest is as
/// `JupyterLab` needs it. `tests/test_charts.py` holds the same against the schema.
pub(super) fn check(spec: &Value) {
    assert_eq!(spec["$schema"], "https://vega.github.io/schema/vega-lite/v5.json");
    assert_eq!(spec["background"], "transparent");
    let mut names = std::collections::BTreeSet::new();
    for layer in layers(spec) {
        assert!(layer["mark"].is_object() || layer["mark"].is_string(), "{layer}");
        assert!(layer["layer"].is_null(), "nested");
        let rows = layer["data"]["values"].as_array().unwrap();
        let channels = layer["encoding"].as_object().into_iter().flat_map(|encoding| encoding.values());
        let fields =
            channels.flat_map(|channel| channel.as_array().cloned().unwrap_or_else(|| vec![channel.clone()]));
        for field in fields.filter_map(|channel| channel["field"].as_str().map(str::to_owned)) {
            assert!(rows.iter().any(|row| row.get(&field).is_some()), "no {field} in the data");
            assert!(!field.contains(['.', '[', ']', '\\', '"']), "{field}");
        }
        for param in layer["params"].as_array().into_iter().flatten() {
            assert!(names.insert(param["name"].as_str().unwrap().to_owned()), "twice: {param}");
        }
    }
    let zooms = names.iter().filter(|name| name.starts_with("zoom")).count();
    let drawn = views(spec)
        .iter()
        .filter(|v| layers(v).iter().any(|l| l["encoding"]["y"]["field"].is_string()))
        .count();
    assert_eq!(zooms, drawn, "each view that has values can be zoomed");
}

/// What a chart is made of, in lines: a mark, its rows, what they are.
pub(super) fn structure(chart: &Chart) -> String {
    let spec = chart.vega_lite();
    check(&spec);
    let told = |layer: &&Value| {
        let mark = layer["mark"]["type"].as_str().or(layer["mark"].as_str()).unwrap();
        let rows = layer["data"]["values"].as_array().unwrap();
        let kind = rows.first().and_then(|row| row["kind"].as_str()).unwrap_or_default();
        format!("{mark} {} {kind}", rows.len()).trim_end().to_owned()
    };
    layers(&spec).iter().map(told).collect::<Vec<_>>().join("\n")
}

pub(super) fn places(chart: &Chart, name: &str) -> Vec<Place> {
    let of_name = chart.layers.iter().filter_map(|layer| match layer {
        Layer::Points(points) if points.name == name => Some(&points.points),
        _ => None,
    });
    of_name.flatten().map(|point| point.y).collect()
}

#[test]
fn values_that_are_no_numbers_are_passed_over() {
    let mut experiments = vec![one(0), one(1)];
    std::sync::Arc::make_mut(&mut experiments[1].record).value = Some(f64::NAN);
    assert!(chart::progress(&experiments, &metric()).png(Ground::Paper).is_some());
    let chart =
        chart::curves(vec![("a".into(), vec![(0.0, f64::NAN), (f64::INFINITY, 1.0)])], "step", "loss");
    assert_eq!(chart.subtitle, "no values of loss · a is not a number at step 0");
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
    assert_eq!(
        (chart.title.as_str(), chart.layers.len(), chart.x.scale == AxisScale::Whole),
        ("mine", 2, true)
    );
    let [Layer::Points(points), Layer::Line(line)] = &chart.layers[..] else { panic!("{:?}", chart.layers) };
    assert!(line.steps && line.colour == points.colour, "a name keeps its colour");
    check(&chart.vega_lite());
    let nothing = chart::Drawing { x: "step".into(), y: "loss".into(), ..chart::Drawing::default() }.chart();
    assert_eq!((nothing.title.as_str(), nothing.subtitle.as_str()), ("loss over step", "no values of loss"));
}

#[test]
fn noise_is_drawn_where_it_is_known() {
    let unknown = chart::noise(&ledger(30), &metric());
    assert_snapshot!(unknown.text(), @r"
    Run-to-run noise of val_bpb: not known
    one run was made of each of 28 candidates: `loop rehearse` runs the baseline twice, `run` tries a candidate again
    run  8 points, x 0 to 7, y 1.0175 to 1.023
    val_bpb (lower is better) by candidate, by the experiment that tried it first
    ");
    structure(&unknown);
    let experiments = repeated(ledger(30), 4);
    let chart = chart::noise(&experiments, &metric());
    assert_snapshot!(format!("{}\n{}", chart.text(), structure(&chart)), @r"
    Run-to-run noise of val_bpb: 0.0008
    one standard deviation, 6 degrees of freedom, from 2 candidates that were run again · the best's gain of 0.0055 is 5.2 times the noise of a difference of two runs
    run  8 points, x −0.175 to 1.175, y 1.0169 to 1.0242
    baseline 0  mean 1.023150  1.023000  1.023000  1.024200  1.022400
    26          mean 1.017604  1.017454  1.017454  1.018654  1.016854
    val_bpb (lower is better) by candidate, by the experiment that tried it first
    area 4 mean ± 2 sd
    line 4
    point 8 run
    ");
    let progress = chart::progress(&experiments, &metric());
    assert!(progress.layers.iter().any(|layer| matches!(layer, Layer::Band(_))));
    assert!(progress.subtitle.contains("run-to-run noise"), "{}", progress.subtitle);
    assert!(chart::noise(&[], &metric()).png(Ground::Paper).is_some());
    assert!(chart::noise(&crashes(3), &metric()).subtitle.contains("nothing has a value"));
}

pub(super) fn plane() -> Chart {
    let candidates: Vec<chart::Candidate> = ledger(30)
        .iter()
        .filter_map(|e| {
            let value = e.record.value.filter(|value| *value < 2.0)?;
            let memory = 41_000.0 + (e.record.number * 977 % 13) as f64 * 800.0 + (1.03 - value) * 900_000.0;
            Some(chart::Candidate {
                label: e.record.number.to_string(),
                hypothesis: e.record.hypothesis.clone(),
                status: e.record.status,
                at: (value, memory),
            })
        })
        .collect();
    let side = |name: &str, unit: Option<&str>, assumed| chart::Side {
        name: name.to_owned(),
        unit: unit.map(str::to_owned),
        direction: lab::Direction::Minimize,
        assumed,
    };
    chart::pareto(
        &candidates,
        &side("val_bpb", None, false),
        &side("peak_vram_mb", Some("MB"), true),
        &["4 lack one of them".to_owned()],
    )
}

#[test]
fn the_front_of_two_metrics() {
    let chart = plane();
    assert_snapshot!(format!("{}\n{}", chart.text(), structure(&chart)), @r"
    val_bpb and peak_vram_mb: 9 of 27 experiments on the front
    best val_bpb 1.0175 (experiment 26) · best peak_vram_mb 39,410 (experiment 1) · 4 lack one of them
    not kept  14 points, x 1.0224 to 1.0341, y 40,996 to 54,709
    kept      4 points, x 1.0183 to 1.0214, y 51,920 to 58,706
    front     9 points, x 1.0175 to 1.0335, y 39,410 to 52,291
    front  val_bpb  peak_vram_mb
    26     1.0175   52,291        keep     deeper: 8 → 10 layers
    20     1.0192   51,496        keep     cosine schedule with a floor of 10%
    13     1.0213   48,820        keep     warm up the learning rate over 100 steps
    0      1.023    47,300        keep
    21     1.0259   47,065        discard  gradient clipping at 1.0
    3      1.0289   46,834        discard  GELU instead of squared ReLU
    16     1.0299   45,851        discard  learning rate 0.02 → 0.03
    8      1.0301   43,305        discard  cosine schedule with a floor of 10%
    1      1.0335   39,410        discard  warm up the learning rate over 100 steps
    peak_vram_mb, MB (lower is better, assumed) by val_bpb (lower is better)
    point 14 not kept
    point 4 kept
    line 17
    point 9 front
    text 8
    ");
}

pub(super) fn pair() -> Chart {
    let compared = |label: &str, hypothesis: &str, points| chart::Compared {
        label: label.to_owned(),
        hypothesis: hypothesis.to_owned(),
        value: Some(if label == "0" { 1.0230 } else { 1.0174 }),
        points,
    };
    let differing =
        [("DEPTH", "8", "10"), ("LR", "0.02", "0.03")].map(|(name, a, b)| (name.into(), a.into(), b.into()));
    chart::compare(
        &compared("0", "", loss(300, 2.8)),
        &compared("17", "deeper: 8 → 10 layers", loss(260, 2.7)),
        "loss",
        &metric(),
        &differing,
    )
}

#[test]
fn two_experiments_are_compared() {
    let chart = pair();
    assert_snapshot!(format!("{}\n{}", chart.text(), structure(&chart)), @r"
    Experiments 0 and 17
    val_bpb 1.023 and 1.0174 (−0.0056) · at step 2,590 they are −0.1000 apart · DEPTH 8 → 10 · LR 0.02 → 0.03
      DEPTH 8 → 10
      LR 0.02 → 0.03

    exp 0                          █▆▅▄▄▃▃▂▂▂▂▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁  6.8 → 2.8006
    exp 17: deeper: 8 → 10 layers  █▇▆▅▄▃▃▃▂▂▂▂▂▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁▁  6.7 → 2.6876

    difference  ▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄▄  −0.1 → −0.1
    17 minus 0 by step
    line 300 exp 0
    line 260 exp 17: deeper: 8 → 10 layers
    line 2
    line 260 difference
    ");
}

pub(super) fn night() -> Chart {
    let begin = epoch_start().as_second() as f64;
    let span = |lane: &str, work, from: f64, to: f64, label: u64| Span {
        lane: lane.to_owned(),
        work,
        from: begin + from,
        to: begin + to,
        label: label.to_string(),
        words: "deeper".to_owned(),
    };
    let spans: Vec<Span> = (0..40_u64)
        .flat_map(|i| {
            let at = i as f64 * 330.0;
            let slot = format!("slot {}", i % 2);
            let work =
                [Work::Running, Work::Running, Work::Kept, Work::Running, Work::Failed][i as usize % 5];
            let end = if work == Work::Failed { 60.0 } else { 600.0 };
            [
                span("anthropic:claude", Work::Proposing, at, at + 90.0, i),
                span("anthropic:claude", Work::Waiting, at + 90.0, at + 140.0, i),
                span(&slot, Work::Building, at + 140.0, at + 170.0, i),
                span(&slot, work, at + 170.0, at + 140.0 + end, i),
            ]
        })
        .collect();
    let lanes = ["anthropic:claude", "slot 0", "slot 1"].map(str::to_owned);
    chart::timeline(&spans, &lanes, &[(begin, "loop began".to_owned())], &[], &jiff::tz::TimeZone::UTC)
}

#[test]
fn a_night_in_rows() {
    let chart = night();
    assert_snapshot!(format!("{}\n{}", chart.text(), structure(&chart)), @r"
    40 experiments in 3h 41m
    anthropic:claude  waiting for a slot 33m 20s (15%), proposing 1h 00m (27%)
    slot 0            building 10m 00s (5%), run, not kept 1h 54m (52%), failed 2m 00s (1%), run, kept 38m 00s (17%)
    slot 1            building 10m 00s (5%), run, not kept 1h 54m (52%), failed 2m 00s (1%), run, kept 38m 00s (17%)
    rule 1
    rule 40 waiting for a slot
    rule 40 proposing
    rule 40 building
    rule 24 run, not kept
    rule 8 failed
    rule 8 run, kept
    ");
    let nothing = chart::timeline(&[], &[], &[], &[], &jiff::tz::TimeZone::UTC);
    structure(&nothing);
    assert!(nothing.png(Ground::Paper).is_some());
}

#[test]
fn a_night_of_thousands_is_joined() {
    let span = |i: u64| Span {
        lane: "slot 0".to_owned(),
        work: if i.is_multiple_of(100) { Work::Kept } else { Work::Running },
        from: i as f64,
        to: i as f64 + 0.9,
        label: i.to_string(),
        words: String::new(),
    };
    let spans: Vec<Span> = (0..10_000).map(span).collect();
    let chart = chart::timeline(&spans, &["slot 0".to_owned()], &[], &[], &jiff::tz::TimeZone::UTC);
    assert!(chart.subtitle.contains("drawn as one"), "{}", chart.subtitle);
    let bars = |chart: &Chart, name: &str| {
        let of_name = chart.layers.iter().find_map(|layer| match layer {
            Layer::Bars(bars) if bars.name == name => Some(bars.bars.len()),
            _ => None,
        });
        of_name.unwrap_or(0)
    };
    assert_eq!(bars(&chart, "run, kept"), 100);
    assert!(bars(&chart, "run, not kept") <= 101);
}

#[test]
fn the_tree_of_candidates() {
    let chart = chart::lineage(&ledger(30), &metric());
    assert_snapshot!(format!("{}\n{}", chart.text(), structure(&chart)), @r"
    7 changes from the baseline to the best, experiment 26
    discarded             20 points, x 1 to 29, y 1 to 8
    crashed or timed out  2 points, x 22 to 25, y 5 to 7
    baseline              1 point, x 0, y 0
    kept                  7 points, x 2 to 26, y 1 to 7
    0   1.023000  baseline                                  2 were tried from it
    2   1.021422  deeper: 8 → 10 layers                     8 were tried from it
    10  1.021312  wider head dimension, fewer heads         3 were tried from it
    13  1.021311  warm up the learning rate over 100 steps  7 were tried from it
    20  1.019227  cosine schedule with a floor of 10%       3 were tried from it
    23  1.019215  drop the bias in the output projection    1 was tried from it
    24  1.018327  halve the batch size                      2 were tried from it
    26  1.017454  deeper: 8 → 10 layers                     3 were tried from it
    generation: changes since the baseline by experiment
    rule 14
    rule 14 way to the best
    point 20 discarded
    point 2 crashed or timed out
    point 1 baseline
    point 7 kept
    text 5
    ");
    let many = chart::lineage(&ledger(10_000), &metric());
    assert!(many.vega_lite().to_string().len() < 1_000_000 && many.subtitle.contains("taken by chance"));
    structure(&many);
    for few in [vec![], ledger(1), crashes(4)] {
        let chart = chart::lineage(&few, &metric());
        structure(&chart);
        assert!(chart.png(Ground::Paper).is_some());
    }
}

pub(super) fn constants() -> Chart {
    let curve = |x: f64, best: f64, wide: f64| 1.0174 + wide * (x - best).powi(2);
    let constant = |name: &str, scale: AxisScale, places: &[f64], best: f64, wide: f64| {
        let log = scale == AxisScale::Log;
        let at = |x: f64| if log { x.log10() } else { x };
        let value = |x: f64| curve(at(x), best, wide);
        let setting = |(i, x): (usize, &f64)| chart::Setting {
            number: i as u64 + 1,
            at: *x,
            value: value(*x) + 0.0008 * ((i * 7 % 5) as f64 - 1.0),
            kept: i % 4 == 0,
        };
        chart::Constant {
            name: name.to_owned(),
            scale,
            now: Some((places[0].to_string(), places[0])),
            settings: places.iter().cycle().take(places.len() * 3).enumerate().map(setting).collect(),
            expected: places
                .iter()
                .map(|x| chart::Expected { at: *x, value: value(*x), spread: 0.0012 })
                .collect(),
        }
    };
    let depths = AxisScale::Category(["4", "6", "8", "10"].map(str::to_owned).to_vec());
    let constants = [
        constant("LEARNING_RATE", AxisScale::Log, &[1e-4, 3e-4, 1e-3, 3e-3, 1e-2, 3e-2], -2.2, 0.004),
        constant("DEPTH", depths, &[0.0, 1.0, 2.0, 3.0], 2.1, 0.002),
        constant("WARMUP", AxisScale::Linear, &[0.0, 0.1, 0.2, 0.3, 0.4], 0.3, 0.03),
        constant("WEIGHT_DECAY", AxisScale::Linear, &[0.0, 0.05, 0.1], 0.1, 0.01),
        constant("SEED", AxisScale::Linear, &[42.0], 0.0, 0.0),
    ];
    chart::parameters(&constants, &metric(), &[])
}

#[test]
fn what_each_constant_did() {
    let chart = constants();
    assert_snapshot!(format!("{}\n{}", chart.text(), structure(&chart)), @r"
    LEARNING_RATE moves val_bpb most
    dots: what was measured; line: what is to be expected, ± 1 sd, all else as in the best · 1 other was never changed
    LEARNING_RATE  now 0.0001  moves it 0.0128   6 values tried
    DEPTH          now 0       moves it 0.0088   4 values tried
    WARMUP         now 0       moves it 0.0027   5 values tried
    WEIGHT_DECAY   now 0       moves it 1.00e−4  3 values tried

    LEARNING_RATE  ████████████████████  0.0128
    DEPTH          █████████████▊······  0.0088
    WARMUP         ████▎···············  0.0027
    WEIGHT_DECAY   ▏···················  1.00e−4

    LEARNING_RATE
    expected  █▅▂▁▁▂  1.0304 → 1.0192

    DEPTH
    expected  █▃▁▂  1.0262 → 1.019

    WARMUP
    expected  █▄▂▁▂  1.0201 → 1.0177

    WEIGHT_DECAY
    expected  █▃▁  1.0175 → 1.0174
    rule 4 effect
    area 6
    point 13 not kept
    line 6 expected
    point 5 kept
    area 4
    point 9 not kept
    line 4 expected
    point 3 kept
    area 5
    point 11 not kept
    line 5 expected
    point 4 kept
    area 3
    point 6 not kept
    line 3 expected
    point 3 kept
    ");
    let nothing = chart::parameters(&[], &metric(), &[]);
    assert_eq!(nothing.title, "No constant was changed yet");
    check(&nothing.vega_lite());
    assert!(nothing.png(Ground::Page).is_some());
}

#[test]
fn curves_are_interrupted_where_they_diverge() {
    let mut points = loss(50, 2.8);
    points[30].1 = f64::NAN;
    let chart = chart::curves(vec![("17".into(), points)], "step", "loss");
    let [Layer::Line(line)] = &chart.layers[..] else { panic!("{:?}", chart.layers) };
    assert_eq!(line.pieces.iter().map(Vec::len).collect::<Vec<_>>(), [30, 19]);
    assert_eq!(chart.subtitle, "17 is not a number at step 300");
}

#[test]
fn a_scatter_is_sampled_without_bias() {
    let series = chart::Series {
        name: "a".into(),
        points: (0..20_000).map(|i| (f64::from(i), f64::from(i % 7))).collect(),
    };
    let drawing = chart::Drawing {
        layers: vec![chart::Part { kind: chart::Kind::Points, series: vec![series] }],
        ..chart::Drawing::default()
    };
    let chart = drawing.chart();
    let [Layer::Points(points)] = &chart.layers[..] else { panic!("{:?}", chart.layers) };
    let mean = points.points.iter().map(|p| if let Place::At(y) = p.y { y } else { 0.0 }).sum::<f64>()
        / points.points.len() as f64;
    // 3 is the mean of all, 0.05 the standard deviation of the mean of 1,500.
    assert!((mean - 3.0).abs() < 0.2, "{mean}");
    assert!(points.points.len() == 1500 && points.shape == Shape::Circle);
    assert_eq!(chart.subtitle, "up to 1,500 points drawn of 20,000, taken by chance");
    assert!(chart.text().contains("1,500 points, x "), "{}", chart.text());
}

#[test]
fn names_in_letters_that_the_font_lacks_leave_their_number() {
    let mut experiments = ledger(8);
    for e in &mut experiments[1..] {
        std::sync::Arc::make_mut(&mut e.record).hypothesis = "学習率を下げる".to_owned();
    }
    let chart = chart::progress(&experiments, &metric());
    let svg = chart.svg(Ground::Paper);
    assert!(
        !svg.contains('学') && svg.contains(" …<"),
        "the picture has the number and a sign that more is missing"
    );
    assert!(chart.vega_lite().to_string().contains("学習率"), "a browser has its own fonts");
}

#[test]
fn what_is_too_long_is_cut_and_says_so() {
    let series =
        (0..30).map(|i| (format!("experiment {i}: {}", "wider ".repeat(20)), loss(9, 2.0))).collect();
    let mut chart = chart::curves(series, "step", "loss");
    chart.title = "long ".repeat(100);
    let svg = chart.svg(Ground::Paper);
    assert!(svg.contains("long long…<"), "{svg}");
    assert!(svg.contains("and 24 more<") || svg.contains(" more<"), "{svg}");
}

/// What is to script the page, or to break out of the list of names in an axis's expression.
const EVIL: &str = "\"][0]+alert(1)//</text><script>alert(2)</script>\u{1b}[2J\u{202e}\u{0}";

#[test]
fn names_from_outside_stay_names() {
    let mut experiments = repeated(ledger(30), 2);
    for e in &mut experiments {
        let record = std::sync::Arc::make_mut(&mut e.record);
        (record.hypothesis, record.proposer) = (EVIL.to_owned(), EVIL.to_owned());
    }
    let mut metric = metric();
    metric.name = EVIL.to_owned();
    let evil = || EVIL.to_owned();
    let side = || chart::Side {
        name: evil(),
        unit: Some(evil()),
        direction: lab::Direction::Minimize,
        assumed: true,
    };
    let candidate =
        chart::Candidate { label: "1".into(), hypothesis: evil(), status: lab::Status::Keep, at: (1.0, 2.0) };
    let compared =
        || chart::Compared { label: "1".into(), hypothesis: evil(), value: Some(1.0), points: loss(9, 1.0) };
    let setting = |at| chart::Setting { number: 1, at, value: 1.0, kept: false };
    let constant = chart::Constant {
        name: evil(),
        scale: AxisScale::Category(vec![evil(), evil()]),
        now: Some((evil(), 0.0)),
        settings: vec![setting(0.0), setting(1.0)],
        expected: vec![chart::Expected { at: 0.0, value: 1.0, spread: 0.1 }],
    };
    let span = Span { lane: evil(), work: Work::Kept, from: 0.0, to: 9.0, label: "1".into(), words: evil() };
    let utc = jiff::tz::TimeZone::UTC;
    let charts = [
        chart::progress(&experiments, &metric),
        chart::lineage(&experiments, &metric),
        chart::noise(&experiments, &metric),
        chart::pareto(&[candidate], &side(), &side(), &[]),
        chart::compare(&compared(), &compared(), "loss", &metric, &[(evil(), evil(), evil())]),
        chart::parameters(&[constant], &metric, &[]),
        chart::timeline(&[span], &[evil()], &[(1.0, evil())], &[], &utc),
    ];
    for chart in charts {
        let spec = chart.vega_lite();
        check(&spec);
        assert!(!chart.text().contains(['\u{1b}', '\u{202e}', '\u{0}']), "{}", chart.text());
        assert!(!spec.to_string().contains("\\u001b"), "{spec}");
        assert!(!chart.svg(Ground::Paper).contains("<script"));
        assert!(chart.png(Ground::Paper).is_some());
        // The list that an axis's expression begins with is one list of texts, whatever is in them.
        for layer in layers(&spec) {
            for axis in ["x", "y"] {
                let Some(expression) = layer["encoding"][axis]["axis"]["labelExpr"].as_str() else {
                    continue;
                };
                let list = expression.strip_suffix("[datum.value]").unwrap();
                assert!(serde_json::from_str::<Vec<String>>(list).is_ok(), "{list}");
            }
        }
    }
}
