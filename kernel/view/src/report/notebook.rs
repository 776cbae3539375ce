//! A report as a notebook: words, and cells whose outputs are there and that this kernel runs again.

use base64::{Engine, engine::general_purpose::STANDARD};
use serde::Serialize;
use serde_json::{Value, json, ser::PrettyFormatter};

use super::{
    Report,
    document::{Block, Change, Figure},
    markdown::Pages,
    stamp,
};
use crate::{bundle, diff};

/// What stands below the title.
const AGAIN: &str = "<sub>The outputs are those of the commit above. Run the cells again in the lab to see its ledger as it is then.</sub>";

/// The cells so far.
#[derive(Default)]
struct Book {
    cells: Vec<Value>,
    sources: Vec<String>,
    words: Pages,
    figures: Vec<(Figure, String)>,
    run: u64,
}

/// The document.
pub(super) fn write(report: &Report) -> String {
    let mut book = Book::default();
    for block in &report.blocks {
        match block {
            Block::Progress => book.progress(report),
            Block::Change(change) => book.change(change),
            block => {
                if matches!(block, Block::Section(_)) {
                    book.close();
                }
                book.words.block(block);
                if matches!(block, Block::Title(_)) {
                    book.words.paragraph(AGAIN);
                }
            }
        }
    }
    book.close();
    let body = stamp::cells_hash(book.sources.iter().map(String::as_str));
    let stamp = stamp::of(report, &book.figures, true, &body);
    let whole = json!({
        "cells": book.cells,
        "metadata": {
            "kernelspec": {"display_name": "Overnight (Rust)", "language": "rust", "name": "overnight"},
            "language_info": {"codemirror_mode": "rust", "file_extension": ".rs", "mimetype": "text/rust", "name": "rust"},
            "overnight": stamp,
        },
        "nbformat": 4,
        "nbformat_minor": 5,
    });
    let mut bytes = Vec::new();
    let mut writer = serde_json::Serializer::with_formatter(&mut bytes, PrettyFormatter::with_indent(b" "));
    // A vector takes everything, and a value is JSON.
    let _ = whole.serialize(&mut writer);
    String::from_utf8(bytes).unwrap_or_default() + "\n"
}

impl Book {
    /// Ends the cell of words.
    fn close(&mut self) {
        let words = std::mem::take(&mut self.words);
        let text = words.text.trim_end();
        if text.is_empty() {
            return;
        }
        self.figures.extend(words.figures);
        let id = format!("words-{}", self.cells.len());
        self.cells.push(json!({"cell_type": "markdown", "id": id, "metadata": {}, "source": lines(text)}));
        self.sources.push(text.to_owned());
    }

    fn code(&mut self, id: &str, source: &str, data: &Value, metadata: &Value) {
        self.close();
        self.run += 1;
        let output = json!({"data": data, "metadata": metadata, "output_type": "display_data"});
        self.cells.push(json!({
            "cell_type": "code", "execution_count": self.run, "id": id, "metadata": {}, "outputs": [output],
            "source": lines(source),
        }));
        self.sources.push(source.to_owned());
    }

    fn progress(&mut self, report: &Report) {
        let (width, height) = report.chart.size;
        let data = json!({
            bundle::PNG: STANDARD.encode(&report.picture),
            bundle::TEXT: lines(&report.chart.text()),
        });
        let metadata = json!({bundle::PNG: {"width": width, "height": height}});
        let source = format!("%plot progress --tag {}", report.source.tag);
        self.code(stamp::PICTURE_CELL, &source, &data, &metadata);
    }

    fn change(&mut self, change: &Change) {
        let shown = diff::diff(&change.unified);
        let data = json!({
            bundle::HTML: lines(shown.html().unwrap_or_default()),
            bundle::TEXT: lines(shown.text()),
        });
        self.words.block(&Block::Words(change.title.clone()));
        let id = format!("change-{}", self.run);
        self.code(&id, &format!("%{}", change.command), &data, &json!({}));
        if let Some(note) = &change.note {
            self.words.block(&Block::Note(note.clone()));
        }
    }
}

/// Text as notebooks keep it: lines with their ends.
fn lines(text: &str) -> Vec<&str> {
    text.split_inclusive('\n').collect()
}
