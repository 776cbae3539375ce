//! The chart as Vega-Lite 5, data inline: `JupyterLab` draws it offline, with tooltips, zoom and selection.

use serde_json::{Map, Value, json};

use super::{
    Axis, AxisScale, Band, Bars, Beside, Chart, Label, Layer, Line, Place, Points, Segments, Shape, Tips,
    colour::INK,
    layer::{BAND, Key, Mark},
    svg::Frame,
};

/// How opaque what the legend has not selected is.
const UNSELECTED: f64 = 0.08;

impl Chart {
    /// A Vega-Lite 5 specification. Its background is transparent and its ink grey, so that it is right in a
    /// light and in a dark page. Dragging moves it, the wheel with shift or ctrl (or a pinch) zooms, so that the
    /// notebook still scrolls; a double click brings it back, and a click in the legend leaves one kind alone.
    pub fn vega_lite(&self) -> Value {
        let title = |limit: f64| {
            let lines: Vec<String> =
                super::labels::lines(&self.subtitle, 12.0, f64::from(self.size.0) - 60.0, 3);
            json!({"text": self.title, "subtitle": lines, "anchor": "start", "offset": 12, "limit": limit})
        };
        let mut spec = json!({
            "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
            "title": title(f64::from(self.size.0)),
            "autosize": {"type": "pad"},
            "background": "transparent",
            "config": config(),
        });
        if self.panels.is_empty() {
            merge(&mut spec, View { chart: self, legend: &self.legend(), number: None }.spec());
            return spec;
        }
        let (legend, mut number) = (self.legend(), 0);
        let mut rows = Vec::new();
        for row in self.rows() {
            let mut views = Vec::new();
            for panel in row {
                let mut view = View { chart: panel, legend: &legend, number: Some(number) }.spec();
                view["title"] = json!({
                    "text": panel.title, "anchor": "start", "fontSize": 13, "offset": 6,
                    "subtitle": super::labels::lines(&panel.subtitle, 12.0, f64::from(panel.size.0) - 40.0, 3),
                });
                views.push(view);
                number += 1;
            }
            rows.push(json!({"hconcat": views, "spacing": 24}));
        }
        spec["vconcat"] = json!(rows);
        spec["spacing"] = json!(20);
        spec
    }
}

/// A chart that is no others' frame, alone or as a panel.
struct View<'a> {
    chart: &'a Chart,
    legend: &'a [Key<'a>],
    /// Which panel it is, if it is one.
    number: Option<usize>,
}

impl View<'_> {
    fn spec(&self) -> Value {
        let frame = Frame::of(self.chart, self.number.is_some());
        let area = frame.area;
        let mut layers: Vec<Value> =
            self.chart.layers.iter().flat_map(|layer| self.layers(layer, &frame)).collect();
        self.interact(&mut layers);
        if layers.is_empty() {
            layers.push(json!({"data": {"values": []}, "mark": "point"}));
        }
        // The area of the PNG, so that labels stand as they do there; about 720 pixels wide with the axes.
        json!({"width": area.right - area.left, "height": area.bottom - area.top, "layer": layers})
    }

    fn layers(&self, layer: &Layer, frame: &Frame) -> Vec<Value> {
        match layer {
            Layer::Points(points) => self.points(points),
            Layer::Line(line) => self.line(line),
            Layer::Bars(bars) => self.bars(bars),
            Layer::Segments(segments) => self.segments(segments),
            Layer::Band(band) => self.band(band),
            Layer::Labels { colour, side, labels } => self.labels(frame, labels, *side, colour),
            Layer::Rules(rules) => self.rules(rules),
        }
    }

    /// Zoom in the first layer that has both axes, selection in the first that has a colour.
    fn interact(&self, layers: &mut [Value]) {
        let has = |layer: &Value, channel: &str| layer["encoding"][channel].get("field").is_some();
        let mut give = |channel: &str, param: Value| {
            if let Some(layer) = layers.iter_mut().find(|layer| has(layer, channel))
                && let Some(fields) = layer.as_object_mut()
                && let Some(params) = fields.entry("params").or_insert_with(|| json!([])).as_array_mut()
            {
                params.push(param);
            }
        };
        let number = self.number.map_or(String::new(), |number| format!("_{number}"));
        let mut select =
            json!({"type": "interval", "zoom": "wheel![event.shiftKey || event.ctrlKey || event.metaKey]"});
        if self.chart.y.names().is_some() {
            select["encodings"] = json!(["x"]);
        }
        give("y", json!({"name": format!("zoom{number}"), "select": select, "bind": "scales"}));
        if self.selects() {
            give(
                "color",
                json!({"name": "legend", "select": {"type": "point", "fields": ["kind"]}, "bind": "legend"}),
            );
        }
    }

    /// Whether its legend selects: that of several panels would not know in which.
    fn selects(&self) -> bool {
        self.number.is_none() && self.legend.len() > 1
    }

    /// The colour of a layer by the `kind` of its rows, through a scale that all layers share: one legend.
    fn colour(&self, name: &str, own: &str) -> Value {
        if name.is_empty() {
            return json!({"value": own});
        }
        let names: Vec<&str> = self.legend.iter().map(|key| key.name).collect();
        let colours: Vec<&str> = self.legend.iter().map(|key| key.colour).collect();
        let mut colour =
            json!({"field": "kind", "type": "nominal", "scale": {"domain": names, "range": colours}});
        if self.legend.len() < 2 {
            colour["legend"] = Value::Null;
        }
        colour
    }

    /// The shapes by the `kind`, for the legend: whoever sees no colours tells its entries by them.
    fn shapes(&self, name: &str) -> Option<Value> {
        let outline = |key: &Key| match key.mark {
            Mark::Point(of, _) => shape(of),
            Mark::Line { .. } => "M-1,-0.15L1,-0.15L1,0.15L-1,0.15Z",
            Mark::Block(_) => "M-1,-0.6L1,-0.6L1,0.6L-1,0.6Z",
        };
        let shapes: Vec<&str> = self.legend.iter().map(outline).collect();
        let names: Vec<&str> = self.legend.iter().map(|key| key.name).collect();
        (!name.is_empty() && names.len() > 1)
            .then(|| json!({"field": "kind", "type": "nominal", "scale": {"domain": names, "range": shapes}}))
    }

    fn opacity(&self, name: &str, opacity: f64) -> Value {
        if self.selects() && !name.is_empty() {
            json!({"condition": {"param": "legend", "value": opacity}, "value": UNSELECTED.min(opacity)})
        } else {
            json!({"value": opacity})
        }
    }

    /// A value as the data has it: dates are milliseconds there.
    fn at(axis: &Axis, value: f64) -> Value {
        match axis.scale {
            AxisScale::Time(_) => json!((value * 1000.0).round()),
            _ => json!(value),
        }
    }

    fn channel(axis: &Axis, field: &str, upright: bool) -> Value {
        let kind = kind(axis);
        let title = if axis.label.is_empty() { Value::Null } else { json!(axis.label) };
        let mut scale = json!({"zero": false, "nice": false});
        let mut words = json!({"grid": upright});
        match axis.scale {
            AxisScale::Log => scale = json!({"type": "log", "nice": false}),
            AxisScale::Time(_) => {
                scale = json!({"nice": false});
                // By itself Vega writes 12 hours, and `:07` and `.900` where ticks are near each other.
                words["format"] = json!({
                    "milliseconds": "%H:%M:%S.%L", "seconds": "%H:%M:%S", "minutes": "%H:%M", "hours": "%H:%M",
                });
            }
            _ => {}
        }
        match (axis.domain, axis.names()) {
            (_, Some(names)) => {
                scale["domain"] = json!([-0.5, names.len().max(1) as f64 - 0.5]);
                scale["reverse"] = json!(upright);
                // JSON is what the expression takes for a list of texts.
                let list = serde_json::to_string(names).unwrap_or_else(|_| "[]".to_owned());
                words = json!({
                    "grid": false, "ticks": false, "values": (0..names.len()).collect::<Vec<_>>(), "labelLimit": 200,
                    "labelExpr": format!("{list}[datum.value]"),
                });
            }
            (Some((low, high)), None) => scale["domain"] = json!([Self::at(axis, low), Self::at(axis, high)]),
            (None, None) => scale["padding"] = json!(12),
        }
        if axis.scale == AxisScale::Whole {
            merge(&mut words, json!({"tickMinStep": 1, "format": ",d"}));
        }
        json!({"field": field, "type": kind, "title": title, "scale": scale, "axis": words})
    }

    fn x(&self, field: &str) -> Value {
        Self::channel(&self.chart.x, field, false)
    }

    fn y(&self, field: &str) -> Value {
        Self::channel(&self.chart.y, field, true)
    }

    fn points(&self, points: &Points) -> Vec<Value> {
        let area = points.diameter * points.diameter * 0.8;
        let mark = json!({"type": "point", "filled": true, "shape": shape(points.shape), "size": area, "clip": true});
        let mut layers = Vec::new();
        for (edge, y) in [
            (None, self.y("y")),
            (Some(Place::Top), json!({"value": 6})),
            (Some(Place::Bottom), json!({"value": {"expr": "height - 6"}})),
        ] {
            let mut tooltips = Tooltips::default();
            let rows: Vec<Value> = points
                .points
                .iter()
                .filter(|point| match point.y {
                    Place::At(_) => edge.is_none(),
                    place => edge == Some(place),
                })
                .map(|point| {
                    let mut row = Map::from_iter([
                        ("x".to_owned(), Self::at(&self.chart.x, point.x)),
                        ("kind".to_owned(), json!(points.name)),
                    ]);
                    if let Place::At(y) = point.y {
                        row.insert("y".to_owned(), Self::at(&self.chart.y, y));
                    }
                    tooltips.add(&mut row, &point.tips);
                    Value::Object(row)
                })
                .collect();
            if !rows.is_empty() {
                let mut layer = json!({
                    "data": {"values": rows},
                    "mark": mark,
                    "encoding": {
                        "x": self.x("x"), "y": y, "color": self.colour(&points.name, points.colour),
                        "opacity": self.opacity(&points.name, points.opacity), "tooltip": tooltips.channel(),
                    },
                });
                if let Some(shapes) = self.shapes(&points.name) {
                    layer["encoding"]["shape"] = shapes;
                }
                layers.push(layer);
            }
        }
        layers
    }

    fn line(&self, line: &Line) -> Vec<Value> {
        let (whole, alone): (Vec<_>, Vec<_>) = line.pieces.iter().enumerate().partition(|(_, p)| p.len() > 1);
        let mut mark = json!({"type": "line", "strokeWidth": line.width, "clip": true});
        if line.steps {
            mark["interpolate"] = json!("step-after");
        }
        if line.dashed {
            mark["strokeDash"] = json!([6, 4]);
        }
        let dot = json!({"type": "circle", "size": line.width * line.width * 3.0, "clip": true});
        let name = if line.name.is_empty() { &self.chart.y.label } else { &line.name };
        let tooltip = json!([
            {"field": "x", "type": kind(&self.chart.x), "title": title(&self.chart.x)},
            {"field": "y", "type": kind(&self.chart.y), "title": if name.is_empty() { "value" } else { name }},
        ]);
        let mut layers = Vec::new();
        for (pieces, mark) in [(whole, mark), (alone, dot)] {
            let rows: Vec<Value> = pieces
                .into_iter()
                .flat_map(|(piece, points)| {
                    points.iter().map(move |(x, y)| {
                        let (x, y) = (Self::at(&self.chart.x, *x), Self::at(&self.chart.y, *y));
                        json!({"x": x, "y": y, "piece": piece, "kind": line.name})
                    })
                })
                .collect();
            if !rows.is_empty() {
                layers.push(json!({
                    "data": {"values": rows},
                    "mark": mark,
                    "encoding": {
                        "x": self.x("x"), "y": self.y("y"), "color": self.colour(&line.name, line.colour),
                        "opacity": self.opacity(&line.name, 1.0),
                        "detail": {"field": "piece", "type": "nominal"}, "tooltip": tooltip,
                    },
                }));
            }
        }
        layers
    }

    fn bars(&self, bars: &Bars) -> Vec<Value> {
        let mut tooltips = Tooltips::default();
        let rows: Vec<Value> = bars
            .bars
            .iter()
            .map(|bar| {
                let mut row = Map::from_iter([
                    ("x".to_owned(), Self::at(&self.chart.x, bar.from)),
                    ("x2".to_owned(), Self::at(&self.chart.x, bar.to)),
                    ("y".to_owned(), Self::at(&self.chart.y, bar.y)),
                    ("kind".to_owned(), json!(bars.name)),
                ]);
                tooltips.add(&mut row, &bar.tips);
                Value::Object(row)
            })
            .collect();
        if rows.is_empty() {
            return Vec::new();
        }
        vec![json!({
            "data": {"values": rows},
            // A thick line, which is a bar on any kind of axis.
            "mark": {"type": "rule", "strokeWidth": bars.thickness, "clip": true},
            "encoding": {
                "x": self.x("x"), "x2": {"field": "x2"}, "y": self.y("y"), "color": self.colour(&bars.name, bars.colour),
                "opacity": self.opacity(&bars.name, bars.opacity), "tooltip": tooltips.channel(),
            },
        })]
    }

    fn segments(&self, segments: &Segments) -> Vec<Value> {
        let row = |one: &super::Segment| {
            json!({
                "x": Self::at(&self.chart.x, one.from.0), "y": Self::at(&self.chart.y, one.from.1),
                "x2": Self::at(&self.chart.x, one.to.0), "y2": Self::at(&self.chart.y, one.to.1), "kind": segments.name,
            })
        };
        let rows: Vec<Value> = segments.segments.iter().map(row).collect();
        if rows.is_empty() {
            return Vec::new();
        }
        vec![json!({
            "data": {"values": rows},
            "mark": {"type": "rule", "strokeWidth": segments.width, "clip": true, "tooltip": null},
            "encoding": {
                "x": self.x("x"), "x2": {"field": "x2"}, "y": self.y("y"), "y2": {"field": "y2"},
                "color": self.colour(&segments.name, segments.colour),
                "opacity": self.opacity(&segments.name, segments.opacity),
            },
        })]
    }

    fn band(&self, band: &Band) -> Vec<Value> {
        let pieces = band.pieces.iter().enumerate();
        let rows: Vec<Value> = pieces
            .flat_map(|(piece, points)| {
                points.iter().map(move |(x, low, high)| {
                    let (low, high) = (Self::at(&self.chart.y, *low), Self::at(&self.chart.y, *high));
                    json!({"x": Self::at(&self.chart.x, *x), "y": low, "y2": high, "piece": piece, "kind": band.name})
                })
            })
            .collect();
        if rows.is_empty() {
            return Vec::new();
        }
        let mut mark = json!({"type": "area", "clip": true});
        if band.steps {
            mark["interpolate"] = json!("step-after");
        }
        vec![json!({
            "data": {"values": rows},
            "mark": mark,
            "encoding": {
                "x": self.x("x"), "y": self.y("y"), "y2": {"field": "y2"}, "color": self.colour(&band.name, band.colour),
                "opacity": self.opacity(&band.name, BAND), "detail": {"field": "piece", "type": "nominal"},
            },
        })]
    }

    /// The labels that found a place in the picture, one layer for each way to stand.
    fn labels(&self, frame: &Frame, labels: &[Label], side: Beside, colour: &str) -> Vec<Value> {
        let mut groups: Vec<((f64, bool, f64), Vec<Value>)> = Vec::new();
        for placed in frame.placed(labels, side) {
            let key = (placed.angle, placed.ends, placed.lower);
            let (x, y) = (Self::at(&self.chart.x, placed.label.x), Self::at(&self.chart.y, placed.label.y));
            let row = json!({"x": x, "y": y, "text": placed.text});
            match groups.iter_mut().find(|(known, _)| *known == key) {
                Some((_, rows)) => rows.push(row),
                None => groups.push((key, vec![row])),
            }
        }
        groups
            .into_iter()
            .map(|((angle, ends, lower), rows)| {
                let mut layer = json!({
                    "data": {"values": rows},
                    "mark": {
                        "type": "text", "angle": angle.rem_euclid(360.0), "align": if ends { "right" } else { "left" },
                        "fontSize": 10.5, "baseline": "middle", "dx": if ends { -9 } else { 9 }, "color": colour,
                        "clip": true,
                    },
                    "encoding": {"x": self.x("x"), "y": self.y("y"), "text": {"field": "text", "type": "nominal"}},
                });
                if lower != 0.0 {
                    layer["mark"]["dy"] = json!(lower);
                }
                layer
            })
            .collect()
    }

    fn rules(&self, rules: &[Label]) -> Vec<Value> {
        if rules.is_empty() {
            return Vec::new();
        }
        let row = |rule: &Label| json!({"x": Self::at(&self.chart.x, rule.x), "text": rule.text});
        vec![json!({
            "data": {"values": rules.iter().map(row).collect::<Vec<Value>>()},
            "mark": {"type": "rule", "strokeDash": [2, 4], "color": INK, "clip": true},
            "encoding": {"x": self.x("x"), "tooltip": {"field": "text", "type": "nominal"}},
        })]
    }
}

fn kind(axis: &Axis) -> &'static str {
    if matches!(axis.scale, AxisScale::Time(_)) { "temporal" } else { "quantitative" }
}

fn title(axis: &Axis) -> &str {
    if axis.label.is_empty() { "x" } else { &axis.label }
}

/// The tooltips of a layer: fields with names of ours, for a metric may be called `loss.train[0]`.
#[derive(Default)]
struct Tooltips(Vec<String>);

impl Tooltips {
    fn add(&mut self, row: &mut Map<String, Value>, tips: &Tips) {
        for (name, value) in tips {
            let i = self.0.iter().position(|known| known == name).unwrap_or_else(|| {
                self.0.push(name.clone());
                self.0.len() - 1
            });
            row.insert(format!("t{i}"), json!(value));
        }
    }

    fn channel(&self) -> Value {
        let channel =
            |(i, name): (usize, &String)| json!({"field": format!("t{i}"), "type": "nominal", "title": name});
        self.0.iter().enumerate().map(channel).collect()
    }
}

fn config() -> Value {
    let text = json!({"labelColor": INK, "titleColor": INK, "titleFontWeight": "normal", "titleFontSize": 12, "labelFontSize": 11});
    let mut axis = text.clone();
    merge(
        &mut axis,
        json!({"gridColor": INK, "gridOpacity": 0.2, "domainColor": INK, "domainOpacity": 0.6, "tickColor": INK, "tickOpacity": 0.6}),
    );
    let mut legend = text;
    merge(
        &mut legend,
        json!({"orient": "top", "title": null, "symbolOpacity": 1, "labelLimit": 240, "columns": 4}),
    );
    json!({
        "view": {"stroke": null},
        "title": {"color": INK, "subtitleColor": INK, "fontSize": 16, "fontWeight": 500, "subtitleFontSize": 12},
        "axis": axis,
        "legend": legend,
    })
}

fn merge(into: &mut Value, more: Value) {
    if let (Some(into), Value::Object(more)) = (into.as_object_mut(), more) {
        into.extend(more);
    }
}

/// Vega's name for a shape, or its outline.
fn shape(shape: Shape) -> &'static str {
    match shape {
        Shape::Circle => "circle",
        Shape::Diamond => "diamond",
        Shape::Square => "square",
        // Its own `cross` is a plus.
        Shape::Cross => "M-1,-0.7L-0.7,-1L0,-0.3L0.7,-1L1,-0.7L0.3,0L1,0.7L0.7,1L0,0.3L-0.7,1L-1,0.7L-0.3,0Z",
    }
}
