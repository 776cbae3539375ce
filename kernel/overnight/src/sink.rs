//! Where a command's answer goes: a terminal or a notebook cell.

use view::Bundle;

/// What a command shows things on. A command never prints.
pub(crate) trait Sink: Send + Sync {
    /// Shows an answer.
    fn show(&self, bundle: Bundle);

    /// Shows `bundle` in place of what was last shown by `update` under the same name.
    fn update(&self, name: &str, bundle: Bundle);

    /// Whether what was shown can be shown anew in its place; where not, a line for what is new is better.
    fn redraws(&self) -> bool {
        true
    }

    /// How many columns a line of text may have.
    fn width(&self) -> usize {
        100
    }

    /// Updates what only grows: its text is that of the last update and more, of which a terminal prints what is new.
    fn grow(&self, name: &str, bundle: Bundle) {
        self.update(name, bundle);
    }

    /// Puts a cell below for a person to run, where there are cells.
    fn propose(&self, _code: &str) {}

    /// Shows a line of text at once, such as progress.
    fn line(&self, text: &str);
}
