//! Text from outside made fit to be shown: a hypothesis, a log or a diff can hold anything.

use maud::{Markup, html};
use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// `text` without terminal codes and without characters that change how others are shown.
///
/// ANSI sequences and what asks for another look of a letter go; line ends and tabs stay; other control
/// characters, bidirectional controls and invisible characters become `�`, so that nothing can be hidden or
/// reordered.
///
/// ```
/// assert_eq!(view::text::clean("\u{1b}[31mred\u{1b}[0m \u{202e}txt"), "red �txt");
/// ```
pub fn clean(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut rest = text.chars().peekable();
    while let Some(c) = rest.next() {
        match c {
            '\u{1b}' => skip_escape(&mut rest),
            '\u{9b}' => skip_csi(&mut rest),
            '\r' if rest.peek() == Some(&'\n') => {}
            '\n' | '\t' | '\r' => out.push(c),
            '\u{fe00}'..='\u{fe0f}' => {}
            c if c.is_control() || hides(c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// No line is read further than this, in bytes: more is never shown, and a line may have a megabyte.
const LONGEST: usize = 8 << 10;

/// The beginning of a text, [`clean`]ed, on one line: white space of any length becomes one space.
pub fn one_line(text: &str) -> String {
    let (text, cut) = beginning(text, LONGEST);
    let mut line = clean(text).split_whitespace().collect::<Vec<_>>().join(" ");
    if cut {
        line.push('…');
    }
    line
}

/// At most so many bytes of a text, and whether there is more.
pub(crate) fn beginning(text: &str, bytes: usize) -> (&str, bool) {
    let end = text.floor_char_boundary(bytes);
    (&text[..end], end < text.len())
}

/// Clean text among other HTML. Letters that are written from right to left move nothing that stands beside them.
pub(crate) fn outside(text: &str) -> Markup {
    html! { @if has_right_to_left(text) { bdi { (text) } } @else { (text) } }
}

/// Clean code or output as HTML: its characters in the order in which a machine reads them.
pub(crate) fn in_order(text: &str) -> Markup {
    html! { @if has_right_to_left(text) { bdo dir="ltr" { (text) } } @else { (text) } }
}

/// Whether a text has letters that are written from right to left.
fn has_right_to_left(text: &str) -> bool {
    text.chars().any(|c| {
        matches!(c, '\u{590}'..='\u{8ff}' | '\u{fb1d}'..='\u{fdff}' | '\u{fe70}'..='\u{fefe}'
            | '\u{10800}'..='\u{10fff}' | '\u{1e800}'..='\u{1efff}')
    })
}

/// At most `width` columns of a terminal; what is cut is shown by `…`.
pub fn clip(text: &str, width: usize) -> String {
    if UnicodeWidthStr::width(text) <= width {
        return text.to_owned();
    }
    let mut out = String::new();
    let mut used = 0;
    for c in text.chars() {
        let wide = c.width().unwrap_or(1);
        if used + wide + 1 > width {
            break;
        }
        used += wide;
        out.push(c);
    }
    while out.ends_with(' ') {
        out.pop();
    }
    if width > 0 {
        out.push('…');
    }
    out
}

/// `text` filled with spaces on the left up to `width` columns.
pub fn right(text: &str, width: usize) -> String {
    format!("{}{text}", " ".repeat(width.saturating_sub(columns(text))))
}

/// `text` filled with spaces on the right up to `width` columns.
pub fn left(text: &str, width: usize) -> String {
    format!("{text}{}", " ".repeat(width.saturating_sub(columns(text))))
}

/// How many columns of a terminal `text` takes.
pub fn columns(text: &str) -> usize {
    UnicodeWidthStr::width(text)
}

/// `text` in lines of at most `width` columns, broken between words where there are any.
pub fn wrap(text: &str, width: usize) -> Vec<String> {
    let mut lines = vec![String::new()];
    for word in text.split_whitespace() {
        let word = clip(word, width);
        let last = lines.len() - 1;
        if lines[last].is_empty() {
            lines[last] = word;
        } else if columns(&lines[last]) + 1 + columns(&word) <= width {
            lines[last].push(' ');
            lines[last].push_str(&word);
        } else {
            lines.push(word);
        }
    }
    lines
}

/// Bidirectional controls, zero-width characters, letters and patterns without ink, and tags: they change or hide what
/// stands beside them, or are taken for white space.
fn hides(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{34f}' | '\u{61c}' | '\u{115f}' | '\u{1160}' | '\u{17b4}' | '\u{17b5}' | '\u{180b}'..='\u{180f}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{2800}' | '\u{3164}' | '\u{ffa0}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e01ef}')
}

type Rest<'a> = std::iter::Peekable<std::str::Chars<'a>>;

fn skip_escape(rest: &mut Rest) {
    match rest.next() {
        Some('[') => skip_csi(rest),
        // Operating system commands and other strings end with BEL or ESC \.
        Some(']' | 'P' | 'X' | '^' | '_') => {
            while let Some(c) = rest.next() {
                if c == '\u{7}' || c == '\u{9c}' {
                    break;
                }
                if c == '\u{1b}' {
                    rest.next_if_eq(&'\\');
                    break;
                }
            }
        }
        Some('(' | ')' | '#' | '%' | ' ') => {
            rest.next();
        }
        _ => {}
    }
}

fn skip_csi(rest: &mut Rest) {
    while let Some(c) = rest.next_if(|c| ('\u{20}'..='\u{7e}').contains(c)) {
        if ('\u{40}'..='\u{7e}').contains(&c) {
            break;
        }
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn terminal_codes_go_and_hidden_characters_show() {
        let link = "\u{1b}]8;;https://example.org\u{7}here\u{1b}]8;;\u{1b}\\ \u{1b}[1;31mred\u{1b}[0m";
        assert_eq!(clean(link), "here red");
        assert_eq!(clean("a\u{202e}b\u{200b}c\u{0}d\r\ne\tf"), "a\u{fffd}b\u{fffd}c\u{fffd}d\ne\tf");
        assert_eq!(clean("\u{1b}"), "");
        for blank in ['\u{3164}', '\u{115f}', '\u{34f}', '\u{2800}', '\u{ffa0}', '\u{e0100}'] {
            assert_eq!(clean(&format!("a{blank}b")), "a\u{fffd}b");
        }
        assert_eq!(clean("a\u{2764}\u{fe0f}b"), "a\u{2764}b");
    }

    #[test]
    fn letters_from_right_to_left_stay_where_they_are() {
        assert_eq!(outside("a < b").into_string(), "a &lt; b");
        assert_eq!(outside("\u{5d0} 12").into_string(), "<bdi>\u{5d0} 12</bdi>");
        assert_eq!(in_order("x = \u{627}").into_string(), "<bdo dir=\"ltr\">x = \u{627}</bdo>");
    }

    #[test]
    fn a_line_of_a_megabyte_is_read_no_further_than_it_is_shown() {
        let line = one_line(&"é ".repeat(1 << 20));
        assert!(line.len() <= LONGEST + 3 && line.ends_with('…'));
        assert_eq!(one_line(" two\n  words "), "two words");
    }

    #[test]
    fn clips_by_columns() {
        assert_eq!(clip("halve the batch", 10), "halve the…");
        assert_eq!(clip("日本語テキスト", 7), "日本語…");
        assert_eq!(clip("fits", 4), "fits");
        assert_eq!(clip("anything", 0), "");
    }

    #[test]
    fn wraps_between_words() {
        assert_eq!(wrap("one two three", 7), ["one two", "three"]);
        assert_eq!(wrap("", 7), [""]);
    }

    proptest! {
        #[test]
        fn clean_text_stays_as_it_is_and_has_no_controls(text in ".{0,80}") {
            let once = clean(&text);
            let plain = |c: char| !c.is_control() || "\n\t\r".contains(c);
            prop_assert!(once.chars().all(plain));
            prop_assert_eq!(&clean(&once), &once);
        }

        #[test]
        fn clip_never_exceeds_its_width(text in ".{0,60}", width in 0_usize..40) {
            prop_assert!(columns(&clip(&text, width)) <= width);
        }
    }
}
