//! The plainest values: text, Markdown, JSON, and an error with its hint.

use maud::html;
use serde_json::Value;

use crate::{
    Bundle,
    bundle::{HTML, JSON, MARKDOWN},
    style,
    text::clean,
};

/// Text as it is, without terminal codes.
pub fn plain(text: &str) -> Bundle {
    Bundle::new(clean(text))
}

/// Markdown, whose text form is its source. Front ends sanitize what HTML it may hold.
pub fn markdown(source: &str) -> Bundle {
    let source = clean(source);
    Bundle::new(source.clone()).with(MARKDOWN, source)
}

/// A value as indented JSON, and as a tree where the front end has one.
pub fn json(value: &Value) -> Bundle {
    let text = serde_json::to_string_pretty(value).unwrap_or_else(|_| value.to_string());
    Bundle::new(text).with(JSON, value.clone())
}

/// What went wrong and what to do about it.
pub fn error(title: &str, hint: Option<&str>) -> Bundle {
    let (title, hint) = (clean(title), hint.map(clean));
    let text = match &hint {
        Some(hint) => format!("error: {title}\nhint: {hint}"),
        None => format!("error: {title}"),
    };
    let html = html! {
        div style=(style::callout(style::RED)) {
            div style="white-space:pre-wrap" { b { "Error: " } (title) }
            @if let Some(hint) = &hint {
                div style="margin-top:4px;white-space:pre-wrap;opacity:0.8" { "Hint: " (hint) }
            }
        }
    };
    Bundle::new(text).with(HTML, html.into_string())
}

#[cfg(test)]
mod tests {
    use insta::assert_snapshot;

    use super::*;

    #[test]
    fn an_error_escapes_what_it_quotes() {
        let bundle = error("no experiment <script>alert(1)</script>", Some("try `overnight experiments`"));
        assert_snapshot!(bundle.text(), @r"
    error: no experiment <script>alert(1)</script>
    hint: try `overnight experiments`
    ");
        assert_snapshot!(bundle.html().unwrap_or_default(), @r#"<div style="border-left:3px solid #d55e00;background-color:#d55e001a;padding:6px 10px;margin:2px 0"><div style="white-space:pre-wrap"><b>Error: </b>no experiment &lt;script&gt;alert(1)&lt;/script&gt;</div><div style="margin-top:4px;white-space:pre-wrap;opacity:0.8">Hint: try `overnight experiments`</div></div>"#);
    }

    #[test]
    fn markdown_and_json_have_text() {
        assert_eq!(markdown("# Hi\u{1b}[31m").text(), "# Hi");
        assert_eq!(json(&serde_json::json!({"a": [1]})).text(), "{\n  \"a\": [\n    1\n  ]\n}");
        assert_eq!(plain("\u{1b}[1mbold").text(), "bold");
    }
}
