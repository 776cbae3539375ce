//! Text from outside made fit to be shown: a hypothesis, a log or a diff can hold anything.

use unicode_width::{UnicodeWidthChar, UnicodeWidthStr};

/// `text` without terminal codes and without characters that change how others are shown.
///
/// ANSI sequences go; line ends and tabs stay; other control characters, bidirectional controls and
/// invisible characters become `�`, so that nothing can be hidden or reordered.
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
            c if c.is_control() || hides(c) => out.push('\u{fffd}'),
            c => out.push(c),
        }
    }
    out
}

/// [`clean`]ed text on one line: white space of any length becomes one space.
pub fn one_line(text: &str) -> String {
    clean(text).split_whitespace().collect::<Vec<_>>().join(" ")
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

/// Bidirectional controls, zero-width characters and tags: they change or hide what stands beside them.
fn hides(c: char) -> bool {
    matches!(c,
        '\u{ad}' | '\u{61c}' | '\u{180e}' | '\u{200b}'..='\u{200f}' | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{206f}' | '\u{feff}' | '\u{fffe}' | '\u{ffff}' | '\u{fff9}'..='\u{fffb}' | '\u{e0000}'..='\u{e007f}')
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
