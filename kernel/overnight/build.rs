//! Links the binary at a fixed address, where that saves memory.

use std::env;

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // A program that may be loaded anywhere has its tables of pointers written anew at each start: 11 MB of
    // memory of its own per kernel here, most of them tables of polars and rust-analyzer that nobody reads.
    // Libraries, heap and stack stay at random addresses.
    let target = |name: &str| env::var(format!("CARGO_CFG_TARGET_{name}")).unwrap_or_default();
    if target("OS") == "linux" && target("ENV") == "gnu" {
        println!("cargo::rustc-link-arg-bins=-no-pie");
    }
}
