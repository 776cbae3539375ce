//! The kernelspec: how Jupyter finds and starts this kernel.

use std::path::{Path, PathBuf};

use serde_json::json;

use crate::env;
use crate::failure::Failure;
use crate::grammar::InstallArgs;
use crate::session;

/// The logo that JupyterLab's launcher shows.
const LOGO: &str = include_str!("logo.svg");

/// Installs the kernel and says where.
pub(crate) fn install(args: &InstallArgs) -> Result<PathBuf, Failure> {
    let program = session::program()?;
    let folder = folder(args)?;
    std::fs::create_dir_all(&folder).map_err(|error| Failure::io("make", &folder, &error))?;
    let spec = spec(&program, args);
    for (name, content) in [("kernel.json", format!("{spec:#}\n")), ("logo-svg.svg", LOGO.to_owned())] {
        let path = folder.join(name);
        std::fs::write(&path, content).map_err(|error| Failure::io("write", &path, &error))?;
    }
    Ok(folder)
}

/// Removes the kernel and says from where.
pub(crate) fn uninstall(args: &InstallArgs) -> Result<PathBuf, Failure> {
    let folder = folder(args)?;
    let spec = folder.join("kernel.json");
    if !spec.is_file() {
        return Err(Failure::new(format!("there is no kernel at {}", folder.display()))
            .hint("`jupyter kernelspec list` shows where kernels are installed"));
    }
    std::fs::remove_dir_all(&folder).map_err(|error| Failure::io("remove", &folder, &error))?;
    Ok(folder)
}

/// The content of `kernel.json`.
///
/// Interrupts come as messages: by default Jupyter would send SIGINT to the whole process group.
fn spec(program: &Path, args: &InstallArgs) -> serde_json::Value {
    let env: serde_json::Map<_, _> =
        args.env.iter().map(|(name, value)| (name.clone(), json!(value))).collect();
    json!({
        "argv": [program, "kernel", "--connection-file", "{connection_file}"],
        "display_name": args.display_name,
        "language": "rust",
        "interrupt_mode": "message",
        "kernel_protocol_version": "5.5",
        "env": env,
        "metadata": {"debugger": false},
    })
}

/// The kernel's folder, by where it is to be installed.
fn folder(args: &InstallArgs) -> Result<PathBuf, Failure> {
    let valid = |c: char| c.is_ascii_alphanumeric() || "-_.".contains(c);
    if args.name.is_empty() || !args.name.chars().all(valid) {
        return Err(Failure::new(format!("{:?} cannot be a kernel's name", args.name))
            .hint("use letters, digits, `-`, `_` and `.`"));
    }
    Ok(data_folder(args)?.join("kernels").join(&args.name))
}

fn data_folder(args: &InstallArgs) -> Result<PathBuf, Failure> {
    if let Some(prefix) = &args.prefix {
        return Ok(prefix.join("share/jupyter"));
    }
    if args.sys_prefix {
        return env::path("VIRTUAL_ENV")
            .or_else(|| env::path("CONDA_PREFIX"))
            .map(|prefix| prefix.join("share/jupyter"))
            .ok_or_else(|| {
                Failure::new("no Python environment is active")
                    .hint("activate one (VIRTUAL_ENV or CONDA_PREFIX), or name it with --prefix DIR")
            });
    }
    if let Some(folder) = env::path("JUPYTER_DATA_DIR") {
        return Ok(folder);
    }
    let home = etcetera::home_dir()
        .map_err(|_| Failure::new("there is no home folder").hint("set HOME, or use --prefix DIR"))?;
    if cfg!(target_os = "macos") {
        return Ok(home.join("Library/Jupyter"));
    }
    Ok(env::path("XDG_DATA_HOME").unwrap_or_else(|| home.join(".local/share")).join("jupyter"))
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;

    fn args(prefix: &Path, name: &str) -> InstallArgs {
        InstallArgs {
            user: false,
            sys_prefix: false,
            prefix: Some(prefix.to_owned()),
            name: name.to_owned(),
            display_name: "Overnight (Rust)".to_owned(),
            env: vec![("OVERNIGHT_LOG".to_owned(), "debug".to_owned())],
        }
    }

    #[test]
    fn jupyter_is_told_how_to_start_and_interrupt_it() {
        let spec = spec(Path::new("/opt/overnight"), &args(Path::new("/"), "overnight"));
        insta::assert_json_snapshot!(spec, @r#"
        {
          "argv": [
            "/opt/overnight",
            "kernel",
            "--connection-file",
            "{connection_file}"
          ],
          "display_name": "Overnight (Rust)",
          "language": "rust",
          "interrupt_mode": "message",
          "kernel_protocol_version": "5.5",
          "env": {
            "OVERNIGHT_LOG": "debug"
          },
          "metadata": {
            "debugger": false
          }
        }
        "#);
    }

    #[test]
    fn what_is_installed_can_be_removed_once() {
        let prefix = tempfile::tempdir().unwrap();
        let args = args(prefix.path(), "overnight");
        let folder = install(&args).unwrap();
        assert!(folder.join("kernel.json").is_file());
        assert_eq!(uninstall(&args).unwrap(), folder);
        assert!(!folder.exists());
        assert!(uninstall(&args).unwrap_err().message.contains("no kernel"));
    }

    #[test]
    fn a_name_cannot_leave_the_folder() {
        let args = args(Path::new("/"), "../x");
        assert!(install(&args).unwrap_err().message.contains("cannot be a kernel's name"));
    }
}
