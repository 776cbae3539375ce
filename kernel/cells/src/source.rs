//! A light reading of Rust source: enough to know whether a cell is complete, and how it ends.
//!
//! It knows strings, characters, lifetimes, comments and brackets, and nothing of the grammar.

use std::borrow::Cow;

use ra_ap_syntax::ast::HasLoopBody;
use ra_ap_syntax::{AstNode, Edition, SourceFile, SyntaxKind, SyntaxNode, ast};

/// What is put at the beginning of each loop.
const CHECK: &str = "::overnight::interrupt::check();";
/// What follows a cell's last value, which stands in brackets then.
const SHOW: &str = ").evcxr_display();";

/// Whether a cell can be run as it stands (the console asks this at each Enter).
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completeness {
    /// It can.
    Complete,
    /// A bracket, string or comment is still open; the next line may be indented by `indent` spaces.
    Incomplete {
        /// Four for each open bracket.
        indent: usize,
    },
    /// A bracket closes what was never opened.
    Invalid,
}

/// Whether `code` is complete, by its brackets, strings and comments.
///
/// ```
/// use cells::{Completeness, is_complete};
/// assert_eq!(is_complete("let x = 1;"), Completeness::Complete);
/// assert_eq!(is_complete("fn f() {"), Completeness::Incomplete { indent: 4 });
/// assert_eq!(is_complete("}"), Completeness::Invalid);
/// ```
pub fn is_complete(code: &str) -> Completeness {
    let outline = Outline::of(code);
    if outline.mismatched {
        Completeness::Invalid
    } else if outline.unfinished || outline.depth > 0 {
        Completeness::Incomplete { indent: 4 * outline.depth }
    } else {
        Completeness::Complete
    }
}

/// A cell as it is compiled: what is added stands in lines that are there, or after the last one.
#[derive(Debug)]
pub(crate) struct Prepared {
    /// The code.
    pub(crate) code: String,
    /// The line, the column of the cell that it stands before (both count from 1), and the length of each addition.
    added: Vec<(usize, usize, usize)>,
}

impl Prepared {
    /// The cell with what it needs to show what it prints. With a prelude, its loops end when they are told, and its
    /// last value is shown by the prelude: evcxr would have to compile twice to find out how.
    pub(crate) fn new(code: &str, prelude: bool) -> Self {
        let (mut out, mut added) = (String::with_capacity(code.len()), Vec::new());
        let mut done = 0;
        for (at, text) in if prelude { additions(code) } else { Vec::new() } {
            out.push_str(&code[done..at]);
            out.push_str(text);
            done = at;
            let line = code[..at].rsplit('\n').next().unwrap_or_default();
            added.push((code[..at].matches('\n').count() + 1, line.chars().count() + 1, text.len()));
        }
        out.push_str(&code[done..]);
        if let Cow::Owned(flushed) = with_flush(&out) {
            out = flushed;
        }
        Self { code: out, added }
    }

    /// The column of the cell for one of this code.
    pub(crate) fn original_column(&self, line: usize, column: usize) -> usize {
        let mut shift = 0;
        for (_, before, length) in self.added.iter().filter(|(number, ..)| *number == line) {
            if column < before + shift {
                break;
            }
            // A place inside what was added is the place where it was added.
            shift += length.min(&(column - before - shift));
        }
        column - shift
    }
}

/// What is added to a cell, and where, in bytes and in order; nothing where it does not parse.
fn additions(code: &str) -> Vec<(usize, &'static str)> {
    const HEAD: &str = "fn cell() {\n";
    let mut text = String::from(HEAD);
    for line in code.split_inclusive('\n') {
        // A command of evcxr's is no Rust.
        if line.starts_with(':') {
            text.extend(line.bytes().map(|byte| if byte == b'\n' { '\n' } else { ' ' }));
        } else {
            text.push_str(line);
        }
    }
    text.push_str("\n}");
    let parsed = SourceFile::parse(&text, Edition::Edition2024);
    if !parsed.errors().is_empty() {
        return Vec::new();
    }
    let tree = parsed.tree();
    let mut found: Vec<(usize, &str)> = tree
        .syntax()
        .descendants()
        .filter(|node| !node.ancestors().any(|node| is_constant(&node)))
        .filter_map(|node| Some((usize::from(loop_body(node)?.l_curly_token()?.text_range().end()), CHECK)))
        .collect();
    let body = tree.syntax().children().find_map(ast::Fn::cast).and_then(|cell| cell.body());
    if let Some(last) = body.and_then(|body| body.stmt_list()?.tail_expr()) {
        let range = last.syntax().text_range();
        let (start, end) = (usize::from(range.start()), usize::from(range.end()));
        match last {
            ast::Expr::ForExpr(_) | ast::Expr::WhileExpr(_) => found.push((end, ";")),
            _ => found.extend([(start, "("), (end, SHOW)]),
        }
    }
    for (at, _) in &mut found {
        *at -= HEAD.len();
    }
    found.sort_by_key(|(at, _)| *at);
    found
}

fn loop_body(node: SyntaxNode) -> Option<ast::StmtList> {
    let body = match node.kind() {
        SyntaxKind::FOR_EXPR => ast::ForExpr::cast(node)?.loop_body(),
        SyntaxKind::WHILE_EXPR => ast::WhileExpr::cast(node)?.loop_body(),
        SyntaxKind::LOOP_EXPR => ast::LoopExpr::cast(node)?.loop_body(),
        _ => None,
    };
    body?.stmt_list()
}

/// Whether the compiler itself may run what is inside.
fn is_constant(node: &SyntaxNode) -> bool {
    match node.kind() {
        SyntaxKind::CONST | SyntaxKind::STATIC | SyntaxKind::CONST_ARG | SyntaxKind::ARRAY_TYPE => true,
        SyntaxKind::FN => ast::Fn::cast(node.clone()).is_some_and(|item| item.const_token().is_some()),
        SyntaxKind::BLOCK_EXPR => {
            ast::BlockExpr::cast(node.clone()).is_some_and(|block| block.const_token().is_some())
        }
        _ => false,
    }
}

/// The path or chain of names that ends at `cursor`, or around it: `DataFrame::empty`, `frame.height`.
pub(crate) fn path_at(code: &str, cursor: usize) -> Option<&str> {
    let is_name = |c: char| c.is_alphanumeric() || c == '_';
    let (before, after) = (code.get(..cursor)?, code.get(cursor..)?);
    let start = before
        .rfind(|c| !is_name(c) && c != ':' && c != '.')
        .map_or(0, |at| at + before[at..].chars().next().map_or(0, char::len_utf8));
    let end = cursor + after.find(|c| !is_name(c)).unwrap_or(after.len());
    let path = code[start..end].trim_matches([':', '.']);
    path.starts_with(|c: char| c.is_alphabetic() || c == '_').then_some(path)
}

/// The cell, with a flush at its end where it prints without a newline: Rust keeps such text back,
/// and it would come out with the next cell.
fn with_flush(code: &str) -> Cow<'_, str> {
    let prints = code.replace("println!", "").contains("print!") || code.contains("stdout()");
    if !prints || !Outline::of(code).ends_without_value() {
        return Cow::Borrowed(code);
    }
    Cow::Owned(format!("{code}\nlet _ = ::std::io::Write::flush(&mut ::std::io::stdout());"))
}

/// What the brackets of a piece of code say.
#[derive(Debug, Default, PartialEq, Eq)]
struct Outline<'a> {
    /// How many brackets are open at the end.
    depth: usize,
    /// A string or comment is open at the end.
    unfinished: bool,
    /// A bracket closes what another opened, or nothing.
    mismatched: bool,
    /// The first word of the last statement outside all brackets.
    last_word: &'a str,
    /// The last character that is neither space nor comment.
    last: Option<char>,
}

impl<'a> Outline<'a> {
    fn of(code: &'a str) -> Self {
        let mut outline = Self::default();
        let mut open = Vec::new();
        let mut at_start = true;
        let mut after_block = false;
        let mut at = 0;
        while let Some(c) = code[at..].chars().next() {
            let Some(token) = token(&code[at..]) else {
                outline.unfinished = true;
                break;
            };
            let text = &code[at..at + token.length];
            at += token.length;
            if token.kind == Kind::Space {
                continue;
            }
            // A block ends a statement, unless something goes on with its value.
            let word_after_block = after_block && token.kind == Kind::Word && text != "else";
            if open.is_empty() && (at_start || word_after_block) {
                outline.last_word = text;
            }
            (at_start, after_block) = (false, false);
            outline.last = text.chars().next_back();
            if token.kind != Kind::Other {
                continue;
            }
            match c {
                '(' | '[' | '{' => open.push(c),
                ')' | ']' | '}' => {
                    outline.mismatched |= open.pop() != Some(opening(c));
                    after_block = c == '}' && open.is_empty();
                }
                ';' => at_start = open.is_empty(),
                _ => {}
            }
        }
        outline.depth = open.len();
        outline
    }

    /// Whether another statement may follow without taking a value's place as the cell's last.
    fn ends_without_value(&self) -> bool {
        let whole = !self.unfinished && !self.mismatched && self.depth == 0;
        let loops = self.last == Some('}') && matches!(self.last_word, "for" | "while");
        whole && (self.last == Some(';') || loops)
    }
}

fn opening(closing: char) -> char {
    match closing {
        ')' => '(',
        ']' => '[',
        _ => '{',
    }
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Kind {
    /// Space or comment.
    Space,
    /// Identifier, keyword or number.
    Word,
    /// String, byte string, raw string, character.
    Literal,
    /// A single character of anything else.
    Other,
}

struct Token {
    kind: Kind,
    /// In bytes.
    length: usize,
}

/// The first token of `text`, which is not empty; `None` where it has no end.
fn token(text: &str) -> Option<Token> {
    let first = text.chars().next()?;
    let (kind, length) = if first.is_whitespace() {
        (Kind::Space, first.len_utf8())
    } else if text.starts_with("//") {
        (Kind::Space, text.find('\n').unwrap_or(text.len()))
    } else if text.starts_with("/*") {
        (Kind::Space, block_comment(text)?)
    } else if let Some(end) = raw_string(text) {
        (Kind::Literal, end.find(text)?)
    } else if let Some(rest) = ["b\"", "c\"", "\""].iter().find_map(|prefix| text.strip_prefix(prefix)) {
        (Kind::Literal, text.len() - rest.len() + string_end(rest)?)
    } else if first == '\'' {
        (Kind::Literal, character(text))
    } else if first.is_alphanumeric() || first == '_' {
        let end = text.find(|c: char| !c.is_alphanumeric() && c != '_').unwrap_or(text.len());
        (Kind::Word, end)
    } else {
        (Kind::Other, first.len_utf8())
    };
    Some(Token { kind, length })
}

/// The length of a comment that may hold others.
fn block_comment(text: &str) -> Option<usize> {
    let mut depth = 0usize;
    let mut at = 0;
    while at < text.len() {
        let rest = &text.as_bytes()[at..];
        if rest.starts_with(b"/*") {
            depth += 1;
            at += 2;
        } else if rest.starts_with(b"*/") {
            depth -= 1;
            at += 2;
            if depth == 0 {
                return Some(at);
            }
        } else {
            at += 1;
        }
    }
    None
}

/// Where to look for the end of a raw string.
struct RawString {
    /// Where its text begins.
    start: usize,
    /// What ends it: a quote and as many `#` as before the text.
    quote: String,
}

impl RawString {
    fn find(&self, text: &str) -> Option<usize> {
        text[self.start..].find(&self.quote).map(|at| self.start + at + self.quote.len())
    }
}

/// Whether a raw string begins here.
fn raw_string(text: &str) -> Option<RawString> {
    let rest = ["r", "br", "cr"].iter().find_map(|prefix| text.strip_prefix(prefix))?;
    let hashes = rest.len() - rest.trim_start_matches('#').len();
    let body = rest[hashes..].strip_prefix('"')?;
    Some(RawString { start: text.len() - body.len(), quote: format!("\"{}", "#".repeat(hashes)) })
}

/// Where the string whose opening quote has been read ends.
fn string_end(body: &str) -> Option<usize> {
    let mut escaped = false;
    body.char_indices().find_map(|(at, c)| {
        let ends = c == '"' && !escaped;
        escaped = c == '\\' && !escaped;
        ends.then_some(at + 1)
    })
}

/// The length of a character, or 1 for the quote of a lifetime.
fn character(text: &str) -> usize {
    let body = &text[1..];
    if let Some(escape) = body.strip_prefix('\\') {
        // The escaped character itself may be a quote.
        let skip = escape.chars().next().map_or(0, char::len_utf8);
        return escape[skip..].find('\'').map_or(1, |end| 2 + skip + end + 1);
    }
    let first = body.chars().next().map_or(0, char::len_utf8);
    if body[first..].starts_with('\'') { 1 + first + 1 } else { 1 }
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn completeness_follows_brackets_strings_and_comments() {
        use Completeness::{Complete, Incomplete, Invalid};
        for (code, expected) in [
            ("", Complete),
            ("1 + 1", Complete),
            ("fn f<'a>(x: &'a str) -> &'a str { x }", Complete),
            ("let c = '{'; let q = '\\''; let b = b\"}\";", Complete),
            ("r#\"{ \" {\"#", Complete),
            ("// {", Complete),
            ("/* { /* ( */ */", Complete),
            ("\"a\\\"\"", Complete),
            ("fn f() {\n    g(", Incomplete { indent: 8 }),
            ("\"open", Incomplete { indent: 0 }),
            ("r#\"open\"", Incomplete { indent: 0 }),
            ("/* open", Incomplete { indent: 0 }),
            ("f(]", Invalid),
            ("}", Invalid),
        ] {
            assert_eq!(is_complete(code), expected, "{code}");
        }
    }

    #[test]
    fn a_flush_follows_statements_and_loops_only() {
        let flushed = |code: &str| with_flush(code).len() > code.len();
        for code in [
            "print!(\"a\");",
            "print!(\"a\"); // done",
            "let x = 1;\nfor i in 0..3 { print!(\".\"); }",
            "if x { 1 } else { 2 };\nwhile y { print!(\"\") }",
            "if x { y() }\nfor i in z { print!(\"a\") }",
        ] {
            assert!(flushed(code), "{code}");
        }
        for code in [
            "println!(\"a\");",
            "print!(\"a\"); 3",
            "{ print!(\"a\"); 3 }",
            "fn f() { print!(\"a\"); }",
            "if x { print!(\"a\"); 1 } else { 2 }",
            "for x in y { print!(\"a\"); }.fold()",
            "print!(\"a\"",
        ] {
            assert!(!flushed(code), "{code}");
        }
    }

    #[test]
    fn loops_are_told_of_interrupts() {
        let prepared = |code: &str| Prepared::new(code, true).code.replace(CHECK, "¤").replace(SHOW, "»");
        for (code, expected) in [
            ("loop { x(); }", "(loop {¤ x(); }»"),
            (":dep rand\nfor i in 0..3 {}\ni", ":dep rand\nfor i in 0..3 {¤}\n(i»"),
            ("while a { loop {\n} }", "while a {¤ loop {¤\n} };"),
            ("let x = 1;\nx.f()? // a comment", "let x = 1;\n(x.f()?» // a comment"),
            ("vec![1]", "(vec![1]»"),
            ("if a { 1 } else { 2 }", "(if a { 1 } else { 2 }»"),
            ("struct A;", "struct A;"),
            ("let x = 1;", "let x = 1;"),
            ("fn f() { 'a: loop { break 'a } }", "fn f() { 'a: loop {¤ break 'a } }"),
            ("let v = x.map(|y| { for z in y {} });", "let v = x.map(|y| { for z in y {¤} });"),
            ("const fn f() { while true {} }", "const fn f() { while true {} }"),
            ("const X: u8 = { loop { break 1 } };", "const X: u8 = { loop { break 1 } };"),
            ("macro_rules! m { () => { loop {} } }", "macro_rules! m { () => { loop {} } }"),
            ("loop { not rust", "loop { not rust"),
            ("// loop {\n\"loop {\"", "// loop {\n(\"loop {\"»"),
        ] {
            assert_eq!(prepared(code), expected, "{code}");
        }
        assert_eq!(Prepared::new("loop {}", false).code, "loop {}");
    }

    #[test]
    fn columns_are_those_of_the_cell() {
        let prepared = Prepared::new("a;\nloop { é; loop { b } }", true);
        let line = prepared.code.lines().nth(1).unwrap_or_default();
        let at = |what: &str| {
            line.chars().collect::<String>().split(what).next().map(|before| before.chars().count() + 1)
        };
        for (what, expected) in [("loop {::", 1), ("é", 8), ("b }", 18), ("} }", 20)] {
            assert_eq!(at(what).map(|column| prepared.original_column(2, column)), Some(expected), "{what}");
        }
        assert_eq!(prepared.original_column(1, 1), 1);
        // Inside what was added.
        assert_eq!(prepared.original_column(2, 10), 7);
    }

    #[test]
    fn the_path_at_the_cursor_is_found() {
        for (code, cursor, expected) in [
            ("let x = DataFrame::empty();", 24, Some("DataFrame::empty")),
            ("let x = DataFrame::empty();", 12, Some("DataFrame")),
            ("e.clone().lazy", 14, Some("lazy")),
            ("é.height", 9, Some("é.height")),
            ("1 + 2", 3, None),
            ("", 0, None),
            ("x", 9, None),
        ] {
            assert_eq!(path_at(code, cursor), expected, "{code}");
        }
    }

    proptest! {
        #[test]
        fn any_cell_can_be_prepared(code in "[a-z{}() :;\nloop]{0,80}|(loop \\{ [a-z; ]{0,9}\\}\n?){0,4}") {
            let prepared = Prepared::new(&code, true);
            let bare = prepared.code.replace(CHECK, "");
            let kept: String = bare.replace(SHOW, "").chars().filter(|c| !"(;".contains(*c)).collect();
            prop_assert_eq!(kept, code.chars().filter(|c| !"(;".contains(*c)).collect::<String>());
        }

        #[test]
        fn any_text_can_be_read(code in "[-a-z'\"\\\\#/*(){}\\[\\];\n rbé]{0,60}") {
            let _ = is_complete(&code);
            prop_assert!(with_flush(&code).starts_with(&code));
        }

        #[test]
        fn a_cell_in_braces_is_as_complete_as_before(code in "[a-z'\"/ (){};\n]{0,40}") {
            if is_complete(&code) == Completeness::Complete {
                prop_assert_eq!(is_complete(&format!("{{\n{code}\n}}")), Completeness::Complete);
            }
        }
    }
}
