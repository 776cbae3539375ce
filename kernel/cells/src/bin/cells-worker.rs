//! The worker alone: what `overnight cells-worker` is in the product.

fn main() {
    cells::runtime_hook();
    cells::worker::run();
}
