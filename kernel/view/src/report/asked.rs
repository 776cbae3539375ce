//! What was asked: the program.

use lab::Lab;

use super::{
    View,
    document::{Block, code, figure, text},
};
use crate::{
    number::{count, duration},
    text::{clean, clip, one_line},
};

/// Lines and columns of a program that are shown.
const LINES: usize = 40;
const COLUMNS: usize = 200;

pub(super) fn section(view: &View<'_>, program: Option<&Lab>) -> Vec<Block> {
    let mut blocks = vec![Block::Section("What was asked")];
    let Some(written) = &view.source.program else {
        blocks.push(Block::Note(vec![text("The program is not in this clone.")]));
        return blocks;
    };
    if let Some(lab) = program {
        let mut line = vec![text("Run by "), code(clip(&one_line(&lab.run), COLUMNS))];
        line.extend([text(", which prints "), code(one_line(lab.metric.as_str()))]);
        line.push(text(format!(" ({} is better); a run is meant to take ", view.metric.better())));
        line.extend([figure("asked.budget", duration(lab.budget)), text(". What may change: ")]);
        line.extend([code(clip(&one_line(&lab.editable.join(", ")), COLUMNS)), text(".")]);
        blocks.push(Block::Words(line));
    }
    let instructions = program.map_or(written.as_str(), |lab| lab.instructions.as_str());
    let all: Vec<String> =
        clean(instructions).trim().lines().map(|line| clip(line.trim_end(), COLUMNS)).collect();
    blocks.push(Block::Verbatim(all.iter().take(LINES).cloned().collect::<Vec<_>>().join("\n")));
    let mut note = Vec::new();
    let blobs: Vec<&str> = view.own.iter().map(|e| e.record.program.as_str()).collect();
    let mut versions = blobs.clone();
    versions.sort_unstable();
    versions.dedup();
    if all.len() > LINES {
        note.push(text(format!("… {} more. ", count(all.len() - LINES, "line", "lines"))));
    }
    if let Some(last) = blobs.last().filter(|last| !last.is_empty()) {
        note.extend([code(format!("git show {}", clip(&one_line(last), 40))), text(" shows it whole.")]);
    }
    if versions.len() > 1 {
        note.push(text(" It was changed on the way: there are "));
        note.extend([
            figure("asked.versions", count(versions.len(), "version", "versions")),
            text(", and this is the last."),
        ]);
    }
    blocks.push(Block::Note(note));
    blocks
}
