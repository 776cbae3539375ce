//! What a search reads of a candidate: the values of its constants, and what else there is.

use std::collections::BTreeMap;
use std::hash::{DefaultHasher, Hash, Hasher};

use super::{Language, Parameter, Point, Value, constants};

/// A file and a constant of it.
type Name = (String, String);

/// What was read of a candidate: small, where its files would not be.
pub(super) struct Seen {
    values: BTreeMap<Name, Value>,
    /// Of its files with every constant left out.
    skeleton: u64,
}

impl Seen {
    /// Reads the files at `paths` by `read`.
    pub(super) fn new(paths: &[String], read: impl Fn(&str) -> Option<Vec<u8>>) -> Self {
        let (mut values, mut skeleton) = (BTreeMap::new(), DefaultHasher::new());
        for path in paths {
            let mut bytes = read(path);
            let text = bytes.clone().and_then(|bytes| String::from_utf8(bytes).ok());
            let found = Language::of(path).zip(text).map(|(language, text)| constants(&text, language));
            // From the end to the beginning, so that the places stay true.
            for constant in found.into_iter().flatten().rev() {
                if let Some(bytes) = &mut bytes {
                    bytes.drain(constant.span);
                }
                values.insert((path.clone(), constant.name), constant.literal.value);
            }
            bytes.hash(&mut skeleton);
        }
        Self { values, skeleton: skeleton.finish() }
    }

    /// The values of `parameters`, in their order.
    pub(super) fn point(&self, parameters: &[Parameter]) -> Point {
        parameters.iter().map(|parameter| self.values.get(&name(parameter)).cloned()).collect()
    }

    /// What its metric is a function of `parameters` by: two candidates with the same code differ in these alone.
    pub(super) fn code(&self, parameters: &[Parameter]) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.skeleton.hash(&mut hasher);
        for (constant, value) in &self.values {
            let is_it = |it: &Parameter| it.path == constant.0 && it.constant.name == constant.1;
            if !parameters.iter().any(is_it) {
                (constant, format!("{value:?}")).hash(&mut hasher);
            }
        }
        hasher.finish()
    }
}

fn name(parameter: &Parameter) -> Name {
    (parameter.path.clone(), parameter.constant.name.clone())
}
