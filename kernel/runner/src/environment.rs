//! What a candidate's process sees of the caller's environment: an allow-list, and nothing secret.

use std::collections::BTreeMap;

/// A process environment as a value. The library reads none: the binary passes its own.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Variables(pub BTreeMap<String, String>);

const NAMES: [&str; 22] = [
    "PATH",
    "HOME",
    "USER",
    "LOGNAME",
    "SHELL",
    "LANG",
    "TERM",
    "TZ",
    "TMPDIR",
    "LD_LIBRARY_PATH",
    "LIBRARY_PATH",
    "VIRTUAL_ENV",
    "SSL_CERT_FILE",
    "SSL_CERT_DIR",
    "http_proxy",
    "https_proxy",
    "no_proxy",
    "HTTP_PROXY",
    "HTTPS_PROXY",
    "NO_PROXY",
    "all_proxy",
    "ALL_PROXY",
];

const PREFIXES: [&str; 16] = [
    "LC_", "CARGO_", "RUSTUP_", "RUST", "UV_", "PIP_", "HF_", "TORCH", "TRITON", "XDG_", "CUDA_", "NVIDIA_",
    "PYTHON", "CONDA_", "OMP_", "MKL_",
];

const SECRET: [&str; 5] = ["KEY", "TOKEN", "SECRET", "PASSWORD", "CREDENTIAL"];

/// A value shorter than this, in bytes, is no secret, and could be part of any word.
const SHORTEST: usize = 6;

/// What `cargo run` sets for the program that it runs, and what would send a candidate's build to a
/// folder that is not its own.
const CARGO_OWN: [&str; 9] = [
    "CARGO_TARGET_DIR",
    "CARGO_BUILD_TARGET_DIR",
    "CARGO_BUILD_BUILD_DIR",
    "CARGO_PKG_",
    "CARGO_MANIFEST_",
    "CARGO_BIN_",
    "CARGO_CRATE_NAME",
    "CARGO_PRIMARY_PACKAGE",
    "CARGO_MAKEFLAGS",
];

impl Variables {
    /// A variable's value.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// What a candidate may see of it.
    pub(crate) fn allowed(&self) -> BTreeMap<String, String> {
        self.0
            .iter()
            .filter(|(name, value)| allowed(name) && !holds_password(value))
            .map(|(name, value)| (name.clone(), value.clone()))
            .collect()
    }

    /// A text without the values of secret variables.
    pub(crate) fn redacted(&self, text: &str) -> String {
        let secrets = self.0.iter().filter(|(name, value)| is_secret(name) && value.len() >= SHORTEST);
        secrets.fold(text.to_owned(), |text, (name, value)| text.replace(value.as_str(), &format!("${name}")))
    }

    /// Where a bare program name is found on `PATH`.
    pub(crate) fn find(&self, program: &str) -> Option<std::path::PathBuf> {
        use std::os::unix::fs::PermissionsExt;
        std::env::split_paths(self.get("PATH")?).map(|folder| folder.join(program)).find(|path| {
            std::fs::metadata(path).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0)
        })
    }
}

/// Whether a variable's name says that its value is nobody else's business.
pub fn is_secret(name: &str) -> bool {
    let upper = name.to_ascii_uppercase();
    SECRET.iter().any(|word| upper.contains(word))
}

/// Whether a value is an address with a password in it, as of a proxy or a package index.
fn holds_password(value: &str) -> bool {
    value.split("://").skip(1).any(|rest| {
        let authority = rest.split(['/', '?', '#', ' ', ',']).next().unwrap_or_default();
        authority.rsplit_once('@').is_some_and(|(user, _)| user.contains(':'))
    })
}

fn allowed(name: &str) -> bool {
    let listed = NAMES.contains(&name) || PREFIXES.iter().any(|prefix| name.starts_with(prefix));
    let cargo = CARGO_OWN.iter().any(|prefix| name.starts_with(prefix));
    listed && !is_secret(name) && !cargo
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_and_strangers_stay_out() {
        let given = [
            "PATH",
            "LC_ALL",
            "CARGO_HOME",
            "RUSTFLAGS",
            "CUDA_VISIBLE_DEVICES",
            "https_proxy",
            "HF_HOME",
            "HF_TOKEN",
            "UV_INDEX_PASSWORD",
            "CARGO_REGISTRY_TOKEN",
            "PIP_api_key",
            "OPENAI_API_KEY",
            "GIT_DIR",
            "CARGO_TARGET_DIR",
            "CARGO_PKG_NAME",
            "LD_PRELOAD",
            "OVERNIGHT_RUN",
        ];
        let variables = Variables(given.iter().map(|name| ((*name).to_owned(), "x".to_owned())).collect());
        let seen = variables.allowed();
        let seen: Vec<&str> = seen.keys().map(String::as_str).collect();
        assert_eq!(
            seen,
            ["CARGO_HOME", "CUDA_VISIBLE_DEVICES", "HF_HOME", "LC_ALL", "PATH", "RUSTFLAGS", "https_proxy"]
        );
    }

    #[test]
    fn addresses_with_passwords_stay_out() {
        assert!(holds_password("https://ada:secret@example.org/simple"));
        assert!(holds_password("https://a.example/simple https://ada:secret@b.example"));
        for plain in ["https://example.org:8080/a@b:c", "http://ada@example.org", "/usr/bin:/a@b", ""] {
            assert!(!holds_password(plain), "{plain}");
        }
    }

    #[test]
    fn secrets_are_not_repeated() {
        let pairs = [("A_KEY", "sk-12345678"), ("B_TOKEN", "short"), ("PATH", "/usr/bin")];
        let variables = Variables(pairs.map(|(name, value)| (name.to_owned(), value.to_owned())).into());
        assert_eq!(variables.redacted("sk-12345678 in short /usr/bin"), "$A_KEY in short /usr/bin");
    }
}
