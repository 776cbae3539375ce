//! From files to pieces of prose.

use std::collections::HashSet;

/// A paragraph of at least so many bytes is kept the first time only, so that validation text does not
/// occur in the train split word for word (licences, repeated docs).
const UNIQUE_BYTES: usize = 40;

/// The text of `///` and `//!` comments, a paragraph for each run of lines.
pub(super) fn doc_comments(code: &str) -> String {
    let mut text = String::new();
    for line in code.lines() {
        let line = line.trim_start();
        let comment = line.strip_prefix("///").or_else(|| line.strip_prefix("//!"));
        match comment {
            Some(comment) if !comment.starts_with('/') => {
                text.push_str(comment.strip_prefix(' ').unwrap_or(comment));
                text.push('\n');
            }
            _ if text.is_empty() || text.ends_with("\n\n") => {}
            _ => text.push('\n'),
        }
    }
    text.truncate(text.trim_end().len());
    if !text.is_empty() {
        text.push('\n');
    }
    text
}

/// Cuts documents into pieces that end between paragraphs, each with the one that reaches `piece_bytes`, or within one
/// of more than `longest` bytes: of a document longer than a row, the row has the beginning alone.
pub(super) fn pieces(documents: &[String], piece_bytes: usize, longest: usize) -> Vec<String> {
    let mut seen: HashSet<&str> = HashSet::new();
    let mut pieces = Vec::new();
    for document in documents {
        let mut piece = String::new();
        for paragraph in document.split("\n\n") {
            let paragraph = paragraph.trim_end().trim_start_matches('\n');
            let repeated = paragraph.len() >= UNIQUE_BYTES && !seen.insert(paragraph);
            if paragraph.is_empty() || repeated {
                continue;
            }
            let mut rest = paragraph;
            while rest.len() > longest {
                let (part, after) = rest.split_at(cut(rest, longest));
                piece.push_str(part);
                pieces.push(std::mem::take(&mut piece));
                rest = after;
            }
            piece.push_str(rest);
            piece.push_str("\n\n");
            if piece.len() >= piece_bytes {
                pieces.push(std::mem::take(&mut piece));
            }
        }
        if !piece.is_empty() {
            pieces.push(piece);
        }
    }
    pieces
}

/// Where to cut a text before `most` bytes: after a line, else after a word, else anywhere.
fn cut(text: &str, most: usize) -> usize {
    let head = &text[..text.floor_char_boundary(most)];
    head.rfind('\n').or_else(|| head.rfind(' ')).map_or(head.len(), |at| at + 1)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn comments_become_paragraphs() {
        let code = "//! A crate.\n//!\n//! Its use:\n\nuse x;\n/// Adds.\n    ///   indented\nfn add() {} // no\n//// no\n";
        assert_eq!(doc_comments(code), "A crate.\n\nIts use:\n\nAdds.\n  indented\n");
        assert_eq!(doc_comments("fn main() {}"), "");
    }

    #[test]
    fn long_paragraphs_occur_once_and_short_ones_stay() {
        let long = "x".repeat(UNIQUE_BYTES);
        let document = format!("short\n\n{long}\n\nshort\n\n\n\n{long}\n");
        let pieces = pieces(&[document.clone(), document], 4096, usize::MAX);
        assert_eq!(pieces, [format!("short\n\n{long}\n\nshort\n\n"), "short\n\nshort\n\n".to_owned()]);
    }

    #[test]
    fn what_has_no_paragraphs_is_cut_after_lines_or_words() {
        let lines: String = (0..100).map(|n| format!("line {n} of a log\n")).collect();
        let words = "word ".repeat(100);
        let letters = "ä".repeat(100);
        for (text, end) in [(lines, "\n"), (words, " "), (letters, "ä")] {
            let pieces = pieces(std::slice::from_ref(&text), 16, 64);
            assert_eq!(pieces.concat(), format!("{}\n\n", text.trim_end()));
            let (_, cut) = pieces.split_last().unwrap_or_else(|| panic!("no pieces"));
            assert!(cut.len() > 2 && cut.iter().all(|piece| piece.len() <= 64 && piece.ends_with(end)));
        }
    }

    #[test]
    fn pieces_end_between_paragraphs() {
        let paragraphs: Vec<String> = (0..400).map(|n| format!("paragraph number {n}\n\n")).collect();
        let document = paragraphs.concat();
        let pieces = pieces(std::slice::from_ref(&document), 4096, usize::MAX);
        assert_eq!(pieces.concat(), document);
        assert!(pieces.len() > 1);
        for piece in &pieces {
            assert!(piece.ends_with("\n\n") && piece.len() < 4096 + 100);
        }
    }
}
