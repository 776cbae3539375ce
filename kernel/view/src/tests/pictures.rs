//! The pictures beside those that were looked at and found good, in `pictures/`: as the eye would compare them, so that
//! a letter that is drawn a little otherwise is no difference, and a line that is missing is one.

use std::path::PathBuf;

use resvg::tiny_skia::Pixmap;

use super::charts::{constants, night, pair, plane};
use super::support::{crashes, ledger, loss, metric, repeated, turned};
use crate::{
    Metric,
    chart::{self, Chart, Ground},
};

/// So many pixels of a picture are one of what is compared.
const BLUR: u32 = 4;
/// How far one of them may be off, of 255, and all of them on the mean.
const ONE: u8 = 60;
const ALL: f64 = 1.0;

/// The colours of a picture, smaller by [`BLUR`].
fn blurred(png: &[u8]) -> Pixmap {
    let large = Pixmap::decode_png(png).unwrap();
    let mut small = Pixmap::new(large.width() / BLUR, large.height() / BLUR).unwrap();
    let wide = small.width();
    let at = |x: u32, y: u32| large.pixel(x, y).unwrap();
    for (i, pixel) in small.pixels_mut().iter_mut().enumerate() {
        let (x, y) = (i as u32 % wide * BLUR, i as u32 / wide * BLUR);
        let all = || (0..BLUR).flat_map(move |dy| (0..BLUR).map(move |dx| (x + dx, y + dy)));
        let mean = |of: fn(resvg::tiny_skia::PremultipliedColorU8) -> u8| {
            (all().map(|(x, y)| u32::from(of(at(x, y)))).sum::<u32>() / (BLUR * BLUR)) as u8
        };
        let (r, g, b) = (mean(|p| p.red()), mean(|p| p.green()), mean(|p| p.blue()));
        *pixel = resvg::tiny_skia::PremultipliedColorU8::from_rgba(r, g, b, 255).unwrap();
    }
    small
}

/// How far the farthest is off, and all on the mean.
fn difference(a: &Pixmap, b: &Pixmap) -> (u8, f64) {
    if (a.width(), a.height()) != (b.width(), b.height()) {
        return (255, 255.0);
    }
    let off: Vec<u8> = a.data().iter().zip(b.data()).map(|(a, b)| a.abs_diff(*b)).collect();
    let mean = off.iter().map(|off| f64::from(*off)).sum::<f64>() / off.len() as f64;
    (off.into_iter().max().unwrap_or(0), mean)
}

/// Compares with the picture of this name. Where it differs, what was drawn is left beside it as `NAME.new.png`: who
/// finds that good puts it in its place.
fn differs(name: &str, chart: &Chart) -> Option<String> {
    let png = chart.png(Ground::Paper).unwrap();
    let drawn = blurred(&png);
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("src/tests/pictures");
    let known = std::fs::read(folder.join(format!("{name}.png")));
    let off = known.map_or((255, 255.0), |known| difference(&drawn, &Pixmap::decode_png(&known).unwrap()));
    if off.0 <= ONE && off.1 <= ALL {
        return None;
    }
    std::fs::create_dir_all(&folder).unwrap();
    let new = folder.join(format!("{name}.new.png"));
    std::fs::write(&new, drawn.encode_png().unwrap()).unwrap();
    Some(format!("{name} differs by {} at most and {:.2} on the mean: see {}", off.0, off.1, new.display()))
}

#[test]
fn pictures_look_as_they_did() {
    let higher = Metric { name: "tok/s".into(), direction: lab::Direction::Maximize, unit: None };
    let mut noisy = repeated(turned(ledger(60)), 3);
    for run in noisy.iter_mut().flat_map(|e| &mut std::sync::Arc::make_mut(&mut e.record).runs) {
        run.value = run.value.map(|v| ((4.0 - v) * 4000.0).round());
    }
    let curves = (0..3).map(|i| (format!("exp {i}"), loss(200, 2.8 - 0.1 * f64::from(i)))).collect();
    let all = [
        ("progress", chart::progress(&ledger(80), &metric())),
        ("crashes", chart::progress(&crashes(12), &metric())),
        ("higher", chart::progress(&noisy, &higher)),
        ("curves", chart::curves(curves, "step", "loss")),
        ("compare", pair()),
        ("pareto", plane()),
        ("timeline", night()),
        ("lineage", chart::lineage(&ledger(80), &metric())),
        ("parameters", constants()),
        ("noise", chart::noise(&repeated(ledger(30), 4), &metric())),
    ];
    let differing: Vec<String> = all.iter().filter_map(|(name, chart)| differs(name, chart)).collect();
    assert!(differing.is_empty(), "{}", differing.join("\n"));
}

#[test]
fn a_line_that_is_missing_is_a_difference() {
    let whole = chart::progress(&ledger(80), &metric());
    let mut without = whole.clone();
    without.layers.retain(|layer| !matches!(layer, chart::Layer::Line(_)));
    let [a, b] = [&whole, &without].map(|chart| blurred(&chart.png(Ground::Paper).unwrap()));
    assert!(difference(&a, &b).0 > ONE);
    assert_eq!(difference(&a, &a), (0, 0.0));
}
