//! One value in every form that a front end may want: MIME type → data.

use serde::Serialize;
use serde_json::{Map, Value, json};

/// Plain text: always there.
pub const TEXT: &str = "text/plain";
/// HTML with inline styles and no script.
pub const HTML: &str = "text/html";
/// Markdown.
pub const MARKDOWN: &str = "text/markdown";
/// A picture, as base64.
pub const PNG: &str = "image/png";
/// A Vega-Lite chart of version 5, the newest that `JupyterLab` draws offline.
pub const VEGA_LITE: &str = "application/vnd.vegalite.v5+json";
/// A value as a tree.
pub const JSON: &str = "application/json";

/// What a notebook's output or a terminal is given: the same value by MIME type, plain text always among them.
///
/// ```
/// let bundle = view::plain("three keeps").with(view::bundle::HTML, "<b>three keeps</b>");
/// assert_eq!(bundle.text(), "three keeps");
/// assert_eq!(bundle.into_map().len(), 2);
/// ```
#[derive(Clone, Debug, PartialEq, Serialize)]
#[serde(transparent)]
pub struct Bundle(Map<String, Value>);

impl Bundle {
    /// A bundle of plain text alone.
    pub fn new(text: impl Into<String>) -> Self {
        let mut map = Map::new();
        map.insert(TEXT.to_owned(), Value::String(text.into()));
        Self(map)
    }

    /// The same with one more form, or with another value for a form that it has.
    #[must_use]
    pub fn with(mut self, mime: &str, value: impl Into<Value>) -> Self {
        self.0.insert(mime.to_owned(), value.into());
        self
    }

    /// The plain form, for a terminal.
    pub fn text(&self) -> &str {
        self.get(TEXT).unwrap_or_default()
    }

    /// The HTML form, if it has one.
    pub fn html(&self) -> Option<&str> {
        self.get(HTML)
    }

    /// A form that is text, if it has it.
    pub fn get(&self, mime: &str) -> Option<&str> {
        self.0.get(mime).and_then(Value::as_str)
    }

    /// Any form, if it has it.
    pub fn value(&self, mime: &str) -> Option<&Value> {
        self.0.get(mime)
    }

    /// What `--json` answers: the JSON form where there is one, else the chart, else the text.
    pub fn json(&self) -> Value {
        if let Some(value) = self.value(JSON) {
            return value.clone();
        }
        match self.value(VEGA_LITE) {
            Some(chart) => json!({"schema": lab::SCHEMA, "chart": chart}),
            None => json!({"schema": lab::SCHEMA, "text": self.text()}),
        }
    }

    /// The forms in order, the richest last.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &Value)> {
        self.0.iter().map(|(mime, value)| (mime.as_str(), value))
    }

    /// The forms as a JSON object: the `data` of a Jupyter message.
    pub fn into_map(self) -> Map<String, Value> {
        self.0
    }
}

impl From<Bundle> for Value {
    fn from(bundle: Bundle) -> Self {
        Self::Object(bundle.0)
    }
}
