//! Pictures, drawn in process with the font that is built in.

use std::sync::{Arc, OnceLock};

use resvg::{tiny_skia, usvg};

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
