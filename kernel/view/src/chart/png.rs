//! Pictures, drawn in process with the font that is built in.

use std::sync::{Arc, OnceLock};

use resvg::{tiny_skia, usvg};
use skrifa::{FontRef, MetadataProvider, charmap::Charmap};

use super::{Chart, Ground};

/// Inter, cut down to Latin, Greek, Cyrillic and symbols; see `assets/LICENSE-Inter.txt`.
const FONT: &[u8] = include_bytes!("../../assets/Inter-Regular.otf");

/// Pixels of the picture for each of the chart: sharp on today's screens.
const SCALE: f32 = 2.0;

impl Chart {
    /// The chart as a PNG file of twice its size in pixels; nothing where it cannot be drawn.
    pub fn png(&self, ground: Ground) -> Option<Vec<u8>> {
        let options =
            usvg::Options { fontdb: fonts(), font_family: "Inter".to_owned(), ..usvg::Options::default() };
        let tree = usvg::Tree::from_str(&self.svg(ground), &options).ok()?;
        let size = |n: u32| (n as f32 * SCALE) as u32;
        let mut pixels = tiny_skia::Pixmap::new(size(self.size.0), size(self.size.1))?;
        resvg::render(&tree, tiny_skia::Transform::from_scale(SCALE, SCALE), &mut pixels.as_mut());
        pixels.encode_png().ok()
    }
}

fn fonts() -> Arc<usvg::fontdb::Database> {
    static FONTS: OnceLock<Arc<usvg::fontdb::Database>> = OnceLock::new();
    let load = || {
        let mut fonts = usvg::fontdb::Database::new();
        fonts.load_font_data(FONT.to_vec());
        fonts.set_sans_serif_family("Inter");
        fonts.set_serif_family("Inter");
        fonts.set_monospace_family("Inter");
        Arc::new(fonts)
    };
    Arc::clone(FONTS.get_or_init(load))
}

/// A text as the font can write it: where it lacks letters, as those of Chinese, stands `…` in their place, so that
/// the number before them remains and nobody takes them for nothing.
pub(super) fn legible(text: &str) -> String {
    static LETTERS: OnceLock<Option<Charmap<'static>>> = OnceLock::new();
    let letters = LETTERS.get_or_init(|| FontRef::new(FONT).ok().map(|font| font.charmap()));
    let Some(letters) = letters else { return text.to_owned() };
    let mut out = String::with_capacity(text.len());
    for letter in text.chars() {
        if letters.map(letter).is_some() {
            out.push(letter);
        } else if !out.ends_with('…') {
            out.push('…');
        }
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_the_font_lacks_is_not_nothing() {
        assert_eq!(legible("17 学習率を下げる"), "17 …");
        assert_eq!(
            legible("exp 3: learning rate 0.02 → 0.03 (−2%) ★"),
            "exp 3: learning rate 0.02 → 0.03 (−2%) ★"
        );
        assert_eq!(legible("Größe, скорость, λ"), "Größe, скорость, λ");
        assert_eq!(legible("🚀🚀 bigger"), "… bigger");
        assert_eq!(legible("भारत"), "…");
    }
}
