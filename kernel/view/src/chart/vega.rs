//! The chart as Vega-Lite 5, data inline: `JupyterLab` draws it offline, with tooltips and zoom.

use serde_json::{Map, Value, json};

use super::{Chart, Key, Label, Layer, Line, Place, Points, Shape, svg::Frame};
use crate::style;

/// Legible on white and on black.
const INK: &str = "#808080";

impl Chart {
    /// A Vega-Lite 5 specification. Its background is transparent and its ink grey, so that it is right in a
    /// light and in a dark page; dragging and the wheel move and zoom it, a double click brings it back.
    pub fn vega_lite(&self) -> Value {
        let legend = self.legend();
        let frame = Frame::of(self);
        let area = frame.area;
        let mut layers: Vec<Value> = self
            .layers
            .iter()
            .filter_map(|layer| match layer {
                Layer::Points(points) => points_layer(points, self, &legend),
                Layer::Line(line) => line_layer(line, self, &legend),
                Layer::Labels { colour: _, above, labels } => {
                    grouped(labels_layers(self, &frame, labels, *above))
                }
                Layer::Rules(rules) => rules_layer(rules, self),
            })
            .collect();
        if let Some(Value::Object(first)) =
            layers.iter_mut().find(|layer| layer["encoding"]["y"].get("field").is_some())
        {
            let zoom = json!([{"name": "zoom", "select": {"type": "interval"}, "bind": "scales"}]);
            first.insert("params".to_owned(), zoom);
        }
        if layers.is_empty() {
            layers.push(json!({"data": {"values": []}, "mark": "point"}));
        }
        json!({
            "$schema": "https://vega.github.io/schema/vega-lite/v5.json",
            "title": {"text": self.title, "subtitle": self.subtitle, "anchor": "start", "offset": 12},
            // The area of the PNG, so that labels stand as they do there; about 720 pixels wide with the axes.
            "width": area.right - area.left,
            "height": area.bottom - area.top,
            "autosize": {"type": "pad"},
            "background": "transparent",
            "layer": layers,
            "config": config(),
        })
    }

    fn x_channel(&self) -> Value {
        let mut channel = json!({"field": "x", "type": "quantitative", "title": self.x.label});
        let mut scale = json!({"zero": false, "nice": false, "padding": 12});
        if let Some((low, high)) = self.x.domain {
            scale["domain"] = json!([low, high]);
        }
        channel["scale"] = scale;
        channel["axis"] = if self.x.whole {
            json!({"grid": false, "tickMinStep": 1, "format": ",d"})
        } else {
            json!({"grid": false})
        };
        channel
    }

    fn y_channel(&self) -> Value {
        let mut scale = json!({"zero": false, "nice": false});
        match self.y.domain {
            Some((low, high)) => scale["domain"] = json!([low, high]),
            None => scale["padding"] = json!(12),
        }
        json!({"field": "y", "type": "quantitative", "title": self.y.label, "scale": scale})
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
    merge(&mut legend, json!({"orient": "top", "title": null, "symbolOpacity": 1, "labelLimit": 240}));
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

/// The colour of a layer by the `kind` of its rows, through a scale that all layers share: one legend.
fn colour(legend: &[Key]) -> Value {
    let names: Vec<&str> = legend.iter().map(|key| key.name).collect();
    let colours: Vec<&str> = legend.iter().map(|key| key.colour).collect();
    let mut colour =
        json!({"field": "kind", "type": "nominal", "scale": {"domain": names, "range": colours}});
    if legend.len() < 2 {
        colour["legend"] = Value::Null;
    }
    colour
}

fn points_layer(points: &Points, chart: &Chart, legend: &[Key]) -> Option<Value> {
    if points.points.is_empty() {
        return None;
    }
    let mut tooltips: Vec<String> = Vec::new();
    let values: Vec<Value> = points
        .points
        .iter()
        .map(|point| {
            let mut row = Map::new();
            row.insert("x".to_owned(), json!(point.x));
            row.insert("kind".to_owned(), json!(points.name));
            row.insert("y".to_owned(), if let Place::At(y) = point.y { json!(y) } else { Value::Null });
            row.insert(
                "edge".to_owned(),
                json!(match point.y {
                    Place::At(_) => "",
                    Place::Top => "top",
                    Place::Bottom => "bottom",
                }),
            );
            for (name, value) in &point.tips {
                // Names of fields are given by us: a metric may be called `loss.train[0]`.
                let i = tooltips.iter().position(|known| known == name).unwrap_or_else(|| {
                    tooltips.push(name.clone());
                    tooltips.len() - 1
                });
                row.insert(format!("t{i}"), json!(value));
            }
            Value::Object(row)
        })
        .collect();
    let tooltip: Vec<Value> = tooltips
        .iter()
        .enumerate()
        .map(|(i, name)| json!({"field": format!("t{i}"), "type": "nominal", "title": name}))
        .collect();
    let area = points.diameter * points.diameter * 0.8;
    let mut mark = json!({"type": "point", "filled": true, "shape": shape(points.shape), "size": area, "opacity": points.opacity});
    if points.shape == Shape::Cross {
        mark["angle"] = json!(45);
    }
    let part = |edge: &str, y: Value, clip: bool| {
        let mut mark = mark.clone();
        mark["clip"] = json!(clip);
        let encoding = json!({
            "x": chart.x_channel(), "y": y, "color": colour(legend), "tooltip": tooltip,
        });
        json!({"transform": [{"filter": format!("datum.edge === '{edge}'")}], "mark": mark, "encoding": encoding})
    };
    let mut parts = Vec::new();
    for (edge, y, clip) in [
        ("", chart.y_channel(), true),
        ("top", json!({"value": 6}), true),
        ("bottom", json!({"value": {"expr": "height - 6"}}), true),
    ] {
        if values.iter().any(|row| row["edge"] == edge) {
            parts.push(part(edge, y, clip));
        }
    }
    match parts.len() {
        1 => {
            let mut only = parts.remove(0);
            only["data"] = json!({"values": values});
            Some(only)
        }
        _ => Some(json!({"data": {"values": values}, "layer": parts})),
    }
}

/// Vega-Lite's name for a shape; its `cross` is a plus, turned by the caller.
fn shape(shape: Shape) -> &'static str {
    match shape {
        Shape::Circle => "circle",
        Shape::Diamond => "diamond",
        Shape::Square => "square",
        Shape::Cross => "cross",
    }
}

fn line_layer(line: &Line, chart: &Chart, legend: &[Key]) -> Option<Value> {
    let values: Vec<Value> = line
        .pieces
        .iter()
        .enumerate()
        .flat_map(|(piece, points)| {
            points.iter().map(move |(x, y)| json!({"x": x, "y": y, "piece": piece, "kind": line.name}))
        })
        .collect();
    if values.is_empty() {
        return None;
    }
    let mut mark = json!({"type": "line", "strokeWidth": line.width, "clip": true});
    if line.steps {
        mark["interpolate"] = json!("step-after");
    }
    if line.dashed {
        mark["strokeDash"] = json!([6, 4]);
    }
    let tooltip = json!([
        {"field": "x", "type": "quantitative", "title": chart.x.label},
        {"field": "y", "type": "quantitative", "title": line.name},
    ]);
    Some(json!({
        "data": {"values": values},
        "mark": mark,
        "encoding": {
            "x": chart.x_channel(), "y": chart.y_channel(), "color": colour(legend),
            "detail": {"field": "piece", "type": "nominal"}, "tooltip": tooltip,
        },
    }))
}

/// The labels that found a place in the picture, one layer for each angle.
fn labels_layers(chart: &Chart, frame: &Frame, labels: &[Label], above: bool) -> Vec<Value> {
    let mut groups: Vec<((f64, bool), Vec<Value>)> = Vec::new();
    for placed in frame.placed(labels, above) {
        let key = (placed.angle, placed.ends);
        let row = json!({"x": placed.label.x, "y": placed.label.y, "text": placed.text});
        match groups.iter_mut().find(|(known, _)| *known == key) {
            Some((_, rows)) => rows.push(row),
            None => groups.push((key, vec![row])),
        }
    }
    groups
        .into_iter()
        .map(|((angle, ends), rows)| {
            json!({
                "data": {"values": rows},
                "mark": {
                    "type": "text", "angle": angle.rem_euclid(360.0), "align": if ends { "right" } else { "left" }, "fontSize": 10.5,
                    "baseline": "middle", "dx": if ends { -9 } else { 9 }, "color": style::GREEN, "clip": true,
                },
                "encoding": {
                    "x": chart.x_channel(), "y": chart.y_channel(), "text": {"field": "text", "type": "nominal"},
                },
            })
        })
        .collect()
}

fn rules_layer(rules: &[Label], chart: &Chart) -> Option<Value> {
    if rules.is_empty() {
        return None;
    }
    let values: Vec<Value> = rules.iter().map(|rule| json!({"x": rule.x, "text": rule.text})).collect();
    Some(json!({
        "data": {"values": values},
        "mark": {"type": "rule", "strokeDash": [2, 4], "color": INK, "clip": true},
        "encoding": {"x": chart.x_channel(), "tooltip": {"field": "text", "type": "nominal"}},
    }))
}

fn grouped(mut layers: Vec<Value>) -> Option<Value> {
    match layers.len() {
        0 => None,
        1 => Some(layers.remove(0)),
        _ => Some(json!({"layer": layers})),
    }
}
