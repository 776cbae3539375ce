//! Markdown that a model wrote, as HTML that can do nothing but be read.

use maud::{Markup, PreEscaped};
use pulldown_cmark::{Event, Options, Parser, Tag, TagEnd, html::push_html};

use crate::text::clean;

/// Where a link may lead.
const SCHEMES: [&str; 3] = ["https://", "http://", "mailto:"];

/// HTML in it is text. A picture is its caption, for to load one would tell its server something; a link that does not
/// lead to a page is its text.
pub(crate) fn prose(markdown: &str) -> Markup {
    let source = clean(markdown);
    let mut dead = false;
    let harmless = Parser::new_ext(&source, Options::ENABLE_TABLES | Options::ENABLE_STRIKETHROUGH)
        .filter_map(|event| match event {
            Event::Html(text) | Event::InlineHtml(text) => Some(Event::Text(text)),
            Event::Start(Tag::Image { .. }) | Event::End(TagEnd::Image) => None,
            Event::Start(Tag::Link { ref dest_url, .. }) => {
                dead = !SCHEMES.iter().any(|scheme| dest_url.to_ascii_lowercase().starts_with(scheme));
                (!dead).then_some(event)
            }
            Event::End(TagEnd::Link) => (!std::mem::take(&mut dead)).then_some(event),
            event => Some(event),
        });
    let mut html = String::new();
    push_html(&mut html, harmless);
    PreEscaped(html)
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn markdown_is_drawn() {
        let html = prose(
            "Experiment **3** won:\n\n| n | value |\n|--:|---|\n| 3 | `0.99` |\n\n- [why](https://example.org)",
        );
        assert_snapshot!(html.into_string(), @r#"
        <p>Experiment <strong>3</strong> won:</p>
        <table><thead><tr><th style="text-align: right">n</th><th>value</th></tr></thead><tbody>
        <tr><td style="text-align: right">3</td><td><code>0.99</code></td></tr>
        </tbody></table>
        <ul>
        <li><a href="https://example.org">why</a></li>
        </ul>
        "#);
    }

    #[test]
    fn what_is_no_prose_is_text() {
        let html = prose(
            "<script>alert(1)</script>\n\nsee <b onclick=x()>this</b> [a](javascript:alert(2)) ![b](https://evil/?key) \
             [c](data:text/html,x) <JavaScript:alert(3)> [![d](https://evil/d)](https://example.org)\n\n```x\" onload=\"y\n</code><script>\n```",
        );
        assert_snapshot!(html.into_string(), @r#"
        &lt;script&gt;alert(1)&lt;/script&gt;
        <p>see &lt;b onclick=x()&gt;this&lt;/b&gt; a b c JavaScript:alert(3) <a href="https://example.org">d</a></p>
        <pre><code class="language-x&quot;">&lt;/code&gt;&lt;script&gt;
        </code></pre>
        "#);
    }
}
