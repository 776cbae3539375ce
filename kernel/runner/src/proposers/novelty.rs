//! Whether a candidate is something new: one that differs from an earlier one in comments, in white space or by a
//! hair's breadth in a number would cost a run and tell nothing.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use tree_sitter::Tree;

use super::search::Language;

/// Numbers that are nearer to each other, as a share of the larger, are taken for the same.
const NEAR: f64 = 0.01;

/// What matters of a candidate's editable files.
#[derive(Clone, Debug, PartialEq)]
pub struct Outline {
    /// A hash of everything but numbers, comments and white space.
    rest: u64,
    numbers: Vec<f64>,
}

impl Outline {
    /// The outline of files, by path.
    pub fn of(files: &BTreeMap<String, Vec<u8>>) -> Self {
        let (mut hash, mut numbers) = (DefaultHasher::new(), Vec::new());
        for (path, content) in files {
            path.hash(&mut hash);
            let text = String::from_utf8_lossy(content);
            let mut take = |token: &str| match token.replace('_', "").parse::<f64>() {
                Ok(number) if number.is_finite() => {
                    numbers.push(number);
                    0_u8.hash(&mut hash);
                }
                _ => token.hash(&mut hash),
            };
            match Language::of(path).and_then(|language| language.tree(&text)) {
                Some(tree) => tokens(&tree, &text, &mut take),
                None => text.split_whitespace().for_each(take),
            }
        }
        Self { rest: hash.finish(), numbers }
    }

    /// Whether a run of the one tells nothing that a run of the other does not.
    pub fn is_near(&self, other: &Self) -> bool {
        let near = |(a, b): (&f64, &f64)| a == b || (a - b).abs() <= NEAR * a.abs().max(b.abs());
        self.rest == other.rest
            && self.numbers.len() == other.numbers.len()
            && self.numbers.iter().zip(&other.numbers).all(near)
    }
}

/// The tokens of a text without its comments, and where each part of its syntax begins and ends: in Python only that
/// tells what is inside of a block.
fn tokens(tree: &Tree, text: &str, take: &mut impl FnMut(&str)) {
    let mut cursor = tree.walk();
    loop {
        let node = cursor.node();
        let comment = node.kind().contains("comment");
        if !comment && node.child_count() > 0 {
            take(node.kind());
        } else if !comment {
            take(&text[node.byte_range()]);
        }
        if !comment && cursor.goto_first_child() {
            continue;
        }
        while !cursor.goto_next_sibling() {
            if !cursor.goto_parent() {
                return;
            }
            take("\0");
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn near(path: &str, a: &str, b: &str) -> bool {
        let outline =
            |text: &str| Outline::of(&BTreeMap::from([(path.to_owned(), text.as_bytes().to_vec())]));
        outline(a).is_near(&outline(b))
    }

    #[test]
    fn comments_white_space_and_the_last_digit_are_nothing_new() {
        assert!(near("a.py", "LR = 0.04\n", "# slower\nLR  =  0.0401  # was 0.04\n"));
        assert!(near("a.rs", "const N: usize = 1_000;", "const N: usize = 1005; // more"));
        assert!(near("a.c", "int n = 8 ;", "int  n = 8 ;"));
    }

    #[test]
    fn other_numbers_names_and_structure_are() {
        assert!(!near("a.py", "LR = 0.04\n", "LR = 0.042\n"));
        assert!(!near("a.py", "DEPTH = 8\n", "DEPTH = 9\n"));
        assert!(!near("a.py", "x = '# not a comment'\n", "x = ''\n"));
        assert!(!near("a.py", "if a:\n    b()\n    c()\n", "if a:\n    b()\nc()\n"));
        assert!(!near("a.py", "a = b + c\n", "a = b - c\n"));
    }
}
