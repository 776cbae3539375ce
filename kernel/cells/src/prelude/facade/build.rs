//! Tells rustc where the prelude lies that was built before.

use std::env;
use std::path::Path;

fn main() {
    let target = env::var("TARGET").unwrap_or_default();
    let folder = Path::new(env!("CARGO_MANIFEST_DIR"));
    let prelude = folder.parent().unwrap_or(folder).display().to_string();
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-link-search=crate={prelude}/lib");
    // What the prelude needs, and the macros that were compiled for it.
    println!("cargo:rustc-link-search=dependency={prelude}/target/{target}/debug/deps");
    println!("cargo:rustc-link-search=dependency={prelude}/target/debug/deps");
}
