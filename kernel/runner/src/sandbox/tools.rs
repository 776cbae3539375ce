//! What a sandboxed command finds in its environment beside the caller's: its own folders, and tools told to stay
//! offline and off the person's caches.

use std::collections::BTreeMap;
use std::io;
use std::os::unix::fs::symlink;
use std::path::Path;

/// The slot's uv cache, with the person's downloads in it.
const UV: &str = "uv";
/// The one for a run with network, which adds to it.
const UV_ONLINE: &str = "uv-online";

/// Where tools keep what they compile, each in a folder of the slot's own: it stays from run to run, and neither other
/// slots nor the person share it. Caches of downloads are not among them: those are read where they are.
const CACHES: [(&str, &str); 6] = [
    ("TRITON_CACHE_DIR", "triton"),
    ("TORCHINDUCTOR_CACHE_DIR", "inductor"),
    ("TORCH_EXTENSIONS_DIR", "torch_extensions"),
    ("CUDA_CACHE_PATH", "cuda"),
    ("NUMBA_CACHE_DIR", "numba"),
    ("MPLCONFIGDIR", "matplotlib"),
];

/// What keeps tools from trying a network that is not there.
const OFFLINE: [(&str, &str); 7] = [
    ("CARGO_NET_OFFLINE", "true"),
    ("UV_OFFLINE", "1"),
    ("HF_HUB_OFFLINE", "1"),
    ("HF_DATASETS_OFFLINE", "1"),
    ("TRANSFORMERS_OFFLINE", "1"),
    ("WANDB_MODE", "offline"),
    ("PIP_NO_INDEX", "1"),
];

/// What tools read of the home's dot-files, which are hidden: they are told that there is nothing.
const NOTHING: [(&str, &str); 2] = [("GIT_CONFIG_GLOBAL", "/dev/null"), ("PIP_CONFIG_FILE", "/dev/null")];

/// What the home's configuration of git may have said of a repository that is somebody else's.
const SAFE: [(&str, &str); 3] =
    [("GIT_CONFIG_COUNT", "1"), ("GIT_CONFIG_KEY_0", "safe.directory"), ("GIT_CONFIG_VALUE_0", "*")];

/// Folders of uv's cache that hold what it has downloaded. The others it writes at its start.
const DOWNLOADS: [&str; 4] = ["archive-v", "wheels-v", "simple-v", "flat-index-v"];

/// Makes a cache of uv's in a slot: the person's downloads by links, to be read, and all else the slot's own. uv refuses
/// to work with a cache that it cannot write.
///
/// # Errors
/// Where a folder or a link cannot be made.
pub(super) fn uv_cache(person: &Path, tools: &Path) -> io::Result<()> {
    let own = tools.join(UV);
    std::fs::create_dir_all(&own)?;
    for entry in std::fs::read_dir(person).into_iter().flatten().flatten() {
        let name = entry.file_name();
        let link = own.join(&name);
        let download = DOWNLOADS.iter().any(|known| name.to_string_lossy().starts_with(known));
        if download && link.symlink_metadata().is_err() {
            symlink(entry.path(), link)?;
        }
    }
    Ok(())
}

/// Adds to `environment` what is not set there: what the caller chose stands.
pub(super) fn settle(environment: &mut BTreeMap<String, String>, tools: &Path, network: bool) {
    // Not as the caller has it: that one can be read only. Links cost nothing, where copies of torch would take a minute.
    let uv = tools.join(if network { UV_ONLINE } else { UV });
    environment.insert("UV_CACHE_DIR".to_owned(), uv.display().to_string());
    let mut set = |name: &str, value: String| {
        environment.entry(name.to_owned()).or_insert(value);
    };
    for (name, folder) in CACHES {
        set(name, tools.join(folder).display().to_string());
    }
    set("UV_LINK_MODE", if network { "copy" } else { "symlink" }.to_owned());
    for (name, value) in NOTHING.iter().chain(&SAFE).chain(OFFLINE.iter().filter(|_| !network)) {
        set(name, (*value).to_owned());
    }
}
