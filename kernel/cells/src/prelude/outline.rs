//! The prelude's crates and the standard library without what their functions do, for rust-analyzer.
//!
//! To tell the type of a variable, rust-analyzer reads the source of every crate below the cells. It needs what a
//! header has in C: without the bodies of functions, and without the crates that only those use, it reads a tenth
//! of the text. Nothing of this is ever compiled; cells are linked against the real thing.

use std::collections::HashMap;
use std::fs;
use std::io;
use std::ops::Range;
use std::path::Path;

use cargo_metadata::{DependencyKind, Metadata, MetadataCommand, Node, Package, Target, TargetKind};
use ra_ap_syntax::ast::{HasAttrs, HasName};
use ra_ap_syntax::{AstNode, Edition, SourceFile, SyntaxNode, ast};
use toml::{Table, Value};
use walkdir::WalkDir;

use super::PreludeError;

/// The name of the prelude's package.
const ROOT: &str = "overnight-prelude";
/// How the names begin of those below it that its users meet.
const POLARS: &str = "polars";
/// What cells see of the standard library.
const STANDARD: [&str; 3] = ["core", "alloc", "std"];

/// Writes the outlines of the crate in `folder` and of polars, a folder in `to` for each package.
pub(super) fn write(folder: &Path, to: &Path) -> Result<(), PreludeError> {
    let metadata = MetadataCommand::new()
        .current_dir(folder)
        .other_options(vec!["--locked".to_owned()])
        .exec()
        .map_err(|error| PreludeError::Outline(error.to_string()))?;
    let nodes: HashMap<_, _> =
        metadata.resolve.iter().flat_map(|resolve| &resolve.nodes).map(|node| (&node.id, node)).collect();
    for package in metadata.packages.iter().filter(|package| is_outlined(package)) {
        let Some((node, library)) = nodes.get(&package.id).zip(library(package)) else { continue };
        let folder = to.join(package.name.as_str());
        let failed = |source| PreludeError::Folder { path: folder.clone(), source };
        let manifest = manifest(package, node, library, &metadata).to_string();
        let source = library.src_path.parent().map(|parent| parent.as_std_path());
        fs::create_dir_all(&folder).map_err(failed)?;
        fs::write(folder.join("Cargo.toml"), manifest).map_err(failed)?;
        source.map_or(Ok(()), |source| outline_folder(source, &folder.join("src"))).map_err(failed)?;
    }
    Ok(())
}

/// Writes the outline of the standard library, whose source is in `library`; a folder in `to` for each crate.
pub(super) fn write_standard(library: &Path, to: &Path) -> Result<(), PreludeError> {
    STANDARD.into_iter().try_for_each(|name| {
        let (source, folder) = (library.join(name).join("src"), to.join(name).join("src"));
        outline_folder(&source, &folder).map_err(|error| PreludeError::Folder { path: folder, source: error })
    })
}

fn is_outlined(package: &Package) -> bool {
    package.name.as_str() == ROOT || package.name.starts_with(POLARS)
}

fn library(package: &Package) -> Option<&Target> {
    let kinds = [TargetKind::Lib, TargetKind::DyLib, TargetKind::RLib];
    package.targets.iter().find(|target| kinds.iter().any(|kind| target.is_kind(kind.clone())))
}

/// The package with the features that it was built with, and those of its dependencies that have an outline.
fn manifest(package: &Package, node: &Node, library: &Target, metadata: &Metadata) -> Table {
    let text = |text: &str| Value::String(text.to_owned());
    let table = |entries: Vec<(&str, Value)>| -> Table {
        entries.into_iter().map(|(name, value)| (name.to_owned(), value)).collect()
    };
    let mut dependencies = Table::new();
    for dependency in &node.deps {
        let normal = dependency.dep_kinds.iter().any(|kind| kind.kind == DependencyKind::Normal);
        let found = metadata.packages.iter().find(|package| package.id == dependency.pkg);
        if let Some(found) = found.filter(|package| normal && is_outlined(package)) {
            let place = vec![("path", text(&format!("../{}", found.name))), ("package", text(&found.name))];
            dependencies.insert(dependency.name.clone(), table(place).into());
        }
    }
    let enabled: Vec<&str> =
        node.features.iter().map(|name| name.as_str()).filter(|name| *name != "default").collect();
    let mut features: Table =
        enabled.iter().map(|name| ((*name).to_owned(), Value::Array(Vec::new()))).collect();
    features.insert("default".to_owned(), Value::Array(enabled.into_iter().map(text).collect()));
    let root = library.src_path.file_name().unwrap_or("lib.rs");
    table(vec![
        (
            "package",
            table(vec![
                ("name", text(&package.name)),
                ("version", text(&package.version.to_string())),
                ("edition", text(library.edition.as_str())),
            ])
            .into(),
        ),
        ("lib", table(vec![("name", text(&library.name)), ("path", text(&format!("src/{root}")))]).into()),
        ("features", features.into()),
        ("dependencies", dependencies.into()),
    ])
}

fn outline_folder(from: &Path, to: &Path) -> io::Result<()> {
    for entry in WalkDir::new(from) {
        let entry = entry?;
        let Ok(name) = entry.path().strip_prefix(from) else { continue };
        if entry.file_type().is_dir() {
            fs::create_dir_all(to.join(name))?;
        } else if name.extension().is_some_and(|extension| extension == "rs") {
            fs::write(to.join(name), outline(&fs::read_to_string(entry.path())?))?;
        }
    }
    Ok(())
}

/// A file with empty functions, and without what only tests see.
fn outline(source: &str) -> String {
    let tree = SourceFile::parse(source, Edition::CURRENT).tree();
    let mut cuts = Vec::new();
    collect(tree.syntax(), &mut cuts);
    let (mut text, mut done) = (String::with_capacity(source.len()), 0);
    for (range, instead) in cuts {
        text.push_str(&source[done..range.start]);
        text.push_str(instead);
        done = range.end;
    }
    text.push_str(&source[done..]);
    text
}

/// What is cut, in order, and what stands there instead.
fn collect(node: &SyntaxNode, cuts: &mut Vec<(Range<usize>, &'static str)>) {
    for child in node.children() {
        let cut = if is_for_tests(&child) {
            Some((child.text_range(), ""))
        } else if let Some(function) = ast::Fn::cast(child.clone()) {
            function.body().map(|body| (body.syntax().text_range(), "{}"))
        } else {
            None
        };
        match cut {
            Some((range, instead)) => cuts.push((range.into(), instead)),
            None => collect(&child, cuts),
        }
    }
}

fn is_for_tests(node: &SyntaxNode) -> bool {
    ast::Module::cast(node.clone()).is_some_and(|module| {
        module.name().is_some_and(|name| name.text() == "tests" || name.text() == "test")
            && module.attrs().any(|attribute| attribute.syntax().text() == "#[cfg(test)]")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_functions_do_is_left_out() {
        let source = "\
/// Adds.
pub fn add(a: u32) -> impl Fn(u32) -> u32 { move |b| { fn inner() {} a + b } }
impl Frame { pub(crate) fn height(&self) -> usize { 3 } const fn size() -> usize { 4 } }
trait Show { fn show(&self) { println!(\"x\") } fn name(&self) -> String; }
macro_rules! twice { ($x:expr) => { fn f() { $x + $x } } }
#[cfg(test)]
mod tests { fn check() {} }
static N: [u8; 2] = [0; 2];
";
        insta::assert_snapshot!(outline(source), @r##"
        /// Adds.
        pub fn add(a: u32) -> impl Fn(u32) -> u32 {}
        impl Frame { pub(crate) fn height(&self) -> usize {} const fn size() -> usize {} }
        trait Show { fn show(&self) {} fn name(&self) -> String; }
        macro_rules! twice { ($x:expr) => { fn f() { $x + $x } } }

        static N: [u8; 2] = [0; 2];
        "##);
    }
}
