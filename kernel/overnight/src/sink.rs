//! Where a command's answer goes: a terminal or a notebook cell.

use view::Bundle;

/// What a command shows things on. A command never prints.
pub(crate) trait Sink: Send + Sync {
    /// Shows an answer.
    fn show(&self, bundle: Bundle);

    /// Shows `bundle` in place of what was last shown by `update` under the same name.
    fn update(&self, name: &str, bundle: Bundle);

    /// Shows a line of text at once, such as progress.
    fn line(&self, text: &str);
}
