//! A report as Markdown that GitHub draws, fit for a pull request: nothing from outside is markup, a mention, a
//! reference or a word that closes an issue.

use super::{
    Report,
    document::{Block, Change, Figure, Line, Side, Span},
    stamp,
};
use crate::text::{clean, one_line};

/// Bytes that changes may take in all: a pull request's description has 65,536 characters.
const CHANGES: usize = 24_000;
/// What parts letters that would be a mention or a reference together.
const APART: &str = "<!-- -->";

/// The Markdown of some blocks, and on which of its lines each figure is.
#[derive(Debug, Default)]
pub(super) struct Pages {
    pub(super) text: String,
    /// Figures, each with its line as it is written.
    pub(super) figures: Vec<(Figure, String)>,
    changes: usize,
}

/// The document; `picture` is the name of the file beside it.
pub(super) fn write(report: &Report, picture: Option<&str>) -> String {
    let mut pages = Pages::default();
    for block in &report.blocks {
        match block {
            Block::Progress => {
                if let Some(name) = picture.filter(|_| report.has_picture()) {
                    let alt = one_line(&report.chart.title);
                    pages.paragraph(&format!("![{}]({})", escape(&alt), address(name)));
                }
            }
            block => pages.block(block),
        }
    }
    let text = pages.text.trim_end().to_owned();
    let stamp = stamp::of(report, &pages.figures, picture.is_some(), &stamp::lines_hash(&text));
    format!("{text}\n\n{}{}{}\n", stamp::MARKDOWN.0, stamp::json(&stamp), stamp::MARKDOWN.1)
}

/// A line without any markup.
pub(super) fn plain(line: &Line) -> String {
    let words = line.iter().map(|span| match span {
        Span::Text(words) | Span::Code(words) => words.as_str(),
        Span::Figure(figure) => &figure.text,
    });
    words.collect()
}

impl Pages {
    /// Adds what a block says; the picture is whoever draws it to add.
    pub(super) fn block(&mut self, block: &Block) {
        match block {
            Block::Title(line) => self.line("# ", line),
            Block::Section(title) => self.paragraph(&format!("## {title}")),
            Block::Words(line) => self.line("", line),
            Block::Note(line) if line.is_empty() => {}
            Block::Note(line) => {
                self.physical("<sub>", line, "</sub>");
                self.text.push('\n');
            }
            Block::Cards(cards) => {
                let heads =
                    cards.iter().map(|(name, _)| ((*name).to_owned(), Side::Right)).collect::<Vec<_>>();
                self.table(&heads, &[cards.iter().map(|(_, line)| line.clone()).collect()]);
            }
            Block::List(lines) => {
                for line in lines {
                    self.physical("- ", line, "");
                }
                self.text.push('\n');
            }
            Block::Table { heads, rows } => self.table(heads, rows),
            Block::Verbatim(text) => self.fenced("text", text),
            Block::Commands(commands) => self.fenced("sh", &commands.join("\n")),
            Block::Progress => {}
            Block::Change(change) => self.change(change),
            Block::Summary { by, text } => {
                let words = clean(text);
                self.paragraph(&format!("> Written by {}, not checked:", code(by)));
                let quoted: Vec<String> =
                    words.trim().lines().map(|line| format!("> {}", escape(line.trim_end()))).collect();
                self.paragraph(&format!(">\n{}", quoted.join("\n")));
            }
        }
    }

    fn change(&mut self, change: &Change) {
        self.line("**", &change.title);
        // The title is strong: what was begun is ended on its line.
        let end = self.text.trim_end_matches('\n').len();
        self.text.insert_str(end, "**");
        let start = self.text[..end].rfind('\n').map_or(0, |at| at + 1);
        let line = self.text[start..end + 2].to_owned();
        let ours = change.title.iter().filter(|span| matches!(span, Span::Figure(_))).count();
        let from = self.figures.len() - ours;
        for (_, at) in &mut self.figures[from..] {
            at.clone_from(&line);
        }
        if self.changes + change.unified.len() > CHANGES {
            self.paragraph(&format!(
                "{} shows what it changed.",
                code(&format!("overnight {}", change.command))
            ));
            return;
        }
        self.changes += change.unified.len();
        if !change.unified.is_empty() {
            self.fenced("diff", &change.unified);
        }
        if let Some(note) = &change.note {
            self.physical("<sub>", note, "</sub>");
            self.text.push('\n');
        }
    }

    fn table(&mut self, heads: &[(String, Side)], rows: &[Vec<Line>]) {
        let names: Vec<String> = heads.iter().map(|(name, _)| cell(&escape(name))).collect();
        self.text.push_str(&format!("| {} |\n", names.join(" | ")));
        let sides = heads.iter().map(|(_, side)| match side {
            Side::Left => "---",
            Side::Right => "--:",
        });
        self.text.push_str(&format!("| {} |\n", sides.collect::<Vec<_>>().join(" | ")));
        for row in rows {
            let cells: Vec<String> = row.iter().map(|line| cell(&spans(line))).collect();
            let written = format!("| {} |", cells.join(" | "));
            self.note_figures(row.iter().flatten(), &written);
            self.text.push_str(&written);
            self.text.push('\n');
        }
        self.text.push('\n');
    }

    fn line(&mut self, before: &str, line: &Line) {
        self.physical(before, line, "");
        self.text.push('\n');
    }

    /// One line of the file.
    fn physical(&mut self, before: &str, line: &Line, after: &str) {
        let written = format!("{before}{}{after}", spans(line).trim());
        self.note_figures(line.iter(), &written);
        self.text.push_str(&written);
        self.text.push('\n');
    }

    fn note_figures<'a>(&mut self, spans: impl Iterator<Item = &'a Span>, line: &str) {
        self.figures.extend(spans.filter_map(|span| match span {
            Span::Figure(figure) => Some((figure.clone(), line.to_owned())),
            _ => None,
        }));
    }

    pub(super) fn paragraph(&mut self, written: &str) {
        self.text.push_str(written);
        self.text.push_str("\n\n");
    }

    /// Text as it is, in a fence that is longer than any in it.
    fn fenced(&mut self, language: &str, text: &str) {
        let text = clean(text);
        let fence = "`".repeat(longest_run(&text).max(2) + 1);
        self.paragraph(&format!("{fence}{language}\n{}\n{fence}", text.trim_end()));
    }
}

fn spans(line: &Line) -> String {
    let written = line.iter().map(|span| match span {
        Span::Text(words) => escape(words),
        Span::Code(words) => code(words),
        Span::Figure(figure) => escape(&figure.text),
    });
    written.collect()
}

/// A name, letter by letter.
fn code(words: &str) -> String {
    let words = one_line(words);
    let fence = "`".repeat(longest_run(&words) + 1);
    let space = if words.starts_with('`') || words.ends_with('`') { " " } else { "" };
    format!("{fence}{space}{words}{space}{fence}")
}

/// What a cell may hold: a bar would end it.
fn cell(written: &str) -> String {
    let mut out = String::with_capacity(written.len());
    for c in written.chars() {
        if c == '|' && !out.ends_with('\\') {
            out.push('\\');
        }
        out.push(c);
    }
    out
}

fn longest_run(text: &str) -> usize {
    text.split(|c| c != '`').map(str::len).max().unwrap_or(0)
}

/// Words that are drawn as they are: nothing in them is markup, and nobody is mentioned by them.
pub(super) fn escape(words: &str) -> String {
    let words = clean(words).replace(['\n', '\t', '\r'], " ");
    let mut out = String::with_capacity(words.len() + 8);
    let mut rest = words.chars().peekable();
    let mut before = ' ';
    while let Some(c) = rest.next() {
        let after = rest.peek().copied().unwrap_or(' ');
        match c {
            '_' if before.is_alphanumeric() && after.is_alphanumeric() => out.push('_'),
            '\\' | '`' | '*' | '_' | '[' | ']' | '<' | '>' | '|' | '~' | '$' | '&' => {
                out.push('\\');
                out.push(c);
            }
            '@' | '#' => {
                out.push(c);
                if !after.is_whitespace() {
                    out.push_str(APART);
                }
            }
            ':' if after == '/' => {
                out.push(c);
                out.push_str(APART);
            }
            '-' if after.is_ascii_digit() && before.eq_ignore_ascii_case(&'h') => {
                out.push_str(APART);
                out.push(c);
            }
            c => out.push(c),
        }
        before = c;
    }
    out
}

/// A file's name in a link.
fn address(name: &str) -> String {
    let plain = |c: char| c.is_alphanumeric() || "-_./".contains(c);
    let mut out = String::new();
    for c in name.chars() {
        if plain(c) {
            out.push(c);
        } else {
            let mut bytes = [0; 4];
            for byte in c.encode_utf8(&mut bytes).bytes() {
                out.push_str(&format!("%{byte:02X}"));
            }
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use pulldown_cmark::{Event, Options, Parser};

    use super::*;

    /// What a reader sees of Markdown, and whether anything in it is more than words.
    fn drawn(markdown: &str) -> (String, bool) {
        let (mut text, mut markup) = (String::new(), false);
        // What GitHub has; it does not make dashes of hyphens.
        let options = Options::ENABLE_TABLES
            | Options::ENABLE_STRIKETHROUGH
            | Options::ENABLE_FOOTNOTES
            | Options::ENABLE_MATH;
        for event in Parser::new_ext(markdown, options) {
            match event {
                Event::Text(words) => text.push_str(&words),
                Event::InlineHtml(html) if html.as_ref() == APART => {}
                Event::Start(pulldown_cmark::Tag::Paragraph)
                | Event::End(pulldown_cmark::TagEnd::Paragraph) => {}
                _ => markup = true,
            }
        }
        (text, markup)
    }

    #[test]
    fn words_mention_nobody_and_close_nothing() {
        let words = escape(
            "@ada fixes #12, closes GH-7 and org/repo#3 | <b> `x` *y* val_bpb _z_ $a$ https://x.org &lt;",
        );
        insta::assert_snapshot!(words, @r"@<!-- -->ada fixes #<!-- -->12, closes GH<!-- -->-7 and org/repo#<!-- -->3 \| \<b\> \`x\` \*y\* val_bpb \_z\_ \$a\$ https:<!-- -->//x.org \&lt;");
        assert_eq!(code("a`b``"), "``` a`b`` ```");
        assert_eq!(cell(&escape("a|b")), r"a\|b");
        assert_eq!(cell(&code("a|b")), r"`a\|b`");
        assert_eq!(address("the night (1).png"), "the%20night%20%281%29.png");
    }

    proptest! {
        #[test]
        fn words_are_drawn_as_they_are(words in "[a-zA-Z0-9 @#<>&*_`|~$\\[\\]():/.!-]{1,60}") {
            let words = crate::text::one_line(&words);
            let (text, markup) = drawn(&format!("so: {}.", escape(&words)));
            prop_assert!(!markup, "{}", escape(&words));
            prop_assert_eq!(text, format!("so: {words}."));
        }
    }
}
