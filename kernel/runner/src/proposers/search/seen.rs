//! What a search reads of a candidate: the values of its constants, and what else there is.

use std::collections::{BTreeMap, HashSet};
use std::hash::{DefaultHasher, Hash, Hasher};
use std::sync::Arc;

use super::{Language, Parameter, Point, Value, constants};

/// A file and a constant of it.
type Name = (String, String);
/// The names that candidates have, each set once: nearly all have the same.
pub(super) type Names = HashSet<Arc<[Name]>>;

/// What was read of a candidate: small, where its files would not be.
pub(super) struct Seen {
    /// In their order.
    names: Arc<[Name]>,
    values: Box<[Value]>,
    /// Of its files with every constant left out.
    skeleton: u64,
}

impl Seen {
    /// Reads the files at `paths` by `read`; `known` are the names that others have.
    pub(super) fn new(paths: &[String], known: &mut Names, read: impl Fn(&str) -> Option<Vec<u8>>) -> Self {
        let (mut values, mut skeleton) = (BTreeMap::<Name, Value>::new(), DefaultHasher::new());
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
        let (names, values): (Vec<Name>, Vec<Value>) = values.into_iter().unzip();
        let names = known.get(&*names).cloned().unwrap_or_else(|| names.into());
        known.insert(Arc::clone(&names));
        Self { names, values: values.into(), skeleton: skeleton.finish() }
    }

    /// The values of `parameters`, in their order.
    pub(super) fn point(&self, parameters: &[Parameter]) -> Point {
        let value = |parameter| {
            let at = self.names.binary_search(&name(parameter)).ok()?;
            self.values.get(at).cloned()
        };
        parameters.iter().map(value).collect()
    }

    /// What its metric is a function of `parameters` by: two candidates with the same code differ in these alone.
    pub(super) fn code(&self, parameters: &[Parameter]) -> u64 {
        let mut hasher = DefaultHasher::new();
        self.skeleton.hash(&mut hasher);
        for (constant, value) in self.names.iter().zip(&self.values) {
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
