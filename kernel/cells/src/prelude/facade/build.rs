//! Tells rustc where the prelude lies that was built before.

fn main() {
    let target = std::env::var("TARGET").unwrap_or_default();
    let built = concat!(env!("CARGO_MANIFEST_DIR"), "/../target");
    println!("cargo:rerun-if-changed=build.rs");
    println!("cargo:rustc-link-search=crate={built}/{target}/debug");
    // What the prelude needs, and the macros that were compiled for it.
    println!("cargo:rustc-link-search=dependency={built}/{target}/debug/deps");
    println!("cargo:rustc-link-search=dependency={built}/debug/deps");
}
