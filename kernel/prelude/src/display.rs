//! Rich output: what a cell shows beside text.
//!
//! A value leaves by standard output, between two lines that mark it, as evcxr has it. It is JSON of a type of our
//! own: its forms by their MIME types, or what the kernel draws itself (frames, charts, diffs).

use std::any::{TypeId, type_name};
use std::fmt::Debug;
use std::io::Write;
use std::sync::atomic::{AtomicBool, Ordering::Relaxed};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use polars::prelude::{Column, DataFrame, IntoColumn, LazyFrame, PolarsResult, Series};
use serde_json::{Value, json};

use crate::chart::Plot;
use crate::frames::{self, Diff};

/// Whether `{:#?}` is used.
static PRETTY: AtomicBool = AtomicBool::new(false);
/// Whether a value's type stands before it.
static TYPES: AtomicBool = AtomicBool::new(false);

/// Shows a value as the end of a cell does. evcxr calls this on the last expression of a cell.
pub trait Show {
    /// Shows it.
    fn evcxr_display(&self);
}

impl<T: Debug + ?Sized> Show for T {
    fn evcxr_display(&self) {
        if let Some(frame) = is_a::<T, DataFrame>(self) {
            frames::show(frame);
        } else if let Some(frame) = is_a::<T, PolarsResult<DataFrame>>(self) {
            outcome(frame.as_ref(), frames::show);
        } else if let Some(frame) = is_a::<T, crate::Result<DataFrame>>(self) {
            outcome(frame.as_ref(), frames::show);
        } else if let Some(series) = is_a::<T, Series>(self) {
            column(series.clone().into_column());
        } else if let Some(one) = is_a::<T, Column>(self) {
            column(one.clone());
        } else if let Some(lazy) = is_a::<T, LazyFrame>(self) {
            let plan = lazy.describe_plan().unwrap_or_else(|error| error.to_string());
            display("text/plain", &format!("A query that has not been run; `.collect()?` runs it:\n{plan}"));
        } else if let Some(chart) = is_a::<T, Plot>(self) {
            chart.show();
        } else if let Some(diff) = is_a::<T, Diff>(self) {
            diff.show();
        } else if let Some(diff) = is_a::<T, crate::Result<Diff>>(self) {
            outcome(diff.as_ref(), Diff::show);
        } else if is_a::<T, ()>(self).is_none() {
            display("text/plain", &text(self));
        }
    }
}

/// Shows a value now, also in the middle of a cell or in a loop.
pub fn show<T: Debug + ?Sized>(value: &T) {
    value.evcxr_display();
}

/// Shows text of any MIME type; JSON types take JSON, `image/png` takes base64.
pub fn display(mime: &str, content: &str) {
    drawn("bundle", &json!({mime: content}));
}

/// Shows HTML, which JupyterLab sanitizes where the notebook is not trusted.
pub fn html(content: &str) {
    display("text/html", content);
}

/// Shows Markdown.
pub fn markdown(content: &str) {
    display("text/markdown", content);
}

/// Shows a PNG picture, given as the bytes of its file.
pub fn png(bytes: &[u8]) {
    display("image/png", &STANDARD.encode(bytes));
}

/// Shows a Vega-Lite specification (version 5), given as JSON.
pub fn vega_lite(specification: &str) {
    display("application/vnd.vegalite.v5+json", specification);
}

/// How values are written from now on.
#[doc(hidden)]
pub fn set_format(pretty: bool, types: bool) {
    PRETTY.store(pretty, Relaxed);
    TYPES.store(types, Relaxed);
}

/// Something that the kernel draws, or takes apart into its forms.
pub(crate) fn drawn(kind: &str, value: &Value) {
    let mut out = std::io::stdout().lock();
    let text =
        format!("EVCXR_BEGIN_CONTENT application/vnd.overnight.{kind}+json\n{value}\nEVCXR_END_CONTENT\n");
    // Where standard output is gone, so is the one who would look.
    let _ = out.write_all(text.as_bytes()).and_then(|()| out.flush());
}

fn column(column: Column) {
    let height = column.len();
    match DataFrame::new(height, vec![column]) {
        Ok(frame) => frames::show(&frame),
        Err(error) => failed(&error),
    }
}

fn outcome<T, E: Debug>(result: Result<&T, &E>, show: impl Fn(&T)) {
    match result {
        Ok(value) => show(value),
        Err(error) => failed(error),
    }
}

/// Shows an error in the place of what was to be shown.
pub(crate) fn failed(error: &impl Debug) {
    drawn("error", &json!({"message": format!("{error:?}")}));
}

fn text<T: Debug + ?Sized>(value: &T) -> String {
    let written = if PRETTY.load(Relaxed) { format!("{value:#?}") } else { format!("{value:?}") };
    if TYPES.load(Relaxed) { format!(": {} = {written}", short(type_name::<T>())) } else { written }
}

/// `Option<String>` for `core::option::Option<alloc::string::String>`.
fn short(name: &str) -> String {
    let mut out = String::new();
    for part in name.split_inclusive(|c: char| !c.is_alphanumeric() && c != '_' && c != ':') {
        out.push_str(part.rsplit("::").next().unwrap_or(part));
    }
    out
}

/// The value as a `U`, if it is one.
fn is_a<T: ?Sized, U: 'static>(value: &T) -> Option<&U> {
    if typeid::of::<T>() != TypeId::of::<U>() {
        return None;
    }
    // SAFETY: `typeid::of` tells types apart up to lifetimes, and `U` has none: `T` is `U`.
    Some(unsafe { &*std::ptr::from_ref(value).cast::<U>() })
}
