//! The connection file: where the five sockets listen and with what key messages are signed.

use std::{fmt, fs, path::Path};

use jupyter_protocol::{ConnectionInfo, connection_info::Transport};

use crate::{error::JupyterError, wire::Signer};

/// One of the five sockets of a kernel.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum Channel {
    /// Requests that run in order: execute, complete, inspect, …
    Shell,
    /// Requests that are answered while a cell runs: interrupt, shutdown.
    Control,
    /// What the kernel publishes: output, results, busy and idle.
    IoPub,
    /// The kernel asks, the person at the client answers.
    Stdin,
    /// Echoes bytes, so that the client sees that the kernel lives.
    Heartbeat,
}

impl fmt::Display for Channel {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Shell => "shell",
            Self::Control => "control",
            Self::IoPub => "iopub",
            Self::Stdin => "stdin",
            Self::Heartbeat => "heartbeat",
        })
    }
}

/// A parsed and checked connection file.
///
/// ```
/// use jupyter::{Channel, Connection};
///
/// let connection = Connection::parse(r#"{
///     "transport": "tcp", "ip": "127.0.0.1", "key": "secret", "signature_scheme": "hmac-sha256",
///     "shell_port": 5001, "control_port": 5002, "iopub_port": 5003, "stdin_port": 5004, "hb_port": 5005
/// }"#, "kernel.json")?;
/// assert_eq!(connection.endpoint(Channel::Shell), "tcp://127.0.0.1:5001");
/// # Ok::<(), jupyter::JupyterError>(())
/// ```
#[derive(Clone)]
pub struct Connection {
    info: ConnectionInfo,
}

impl Connection {
    /// Reads and checks a connection file.
    pub fn read(path: &Path) -> Result<Self, JupyterError> {
        let text = fs::read_to_string(path)
            .map_err(|source| JupyterError::ReadConnection { path: path.to_owned(), source })?;
        Self::parse(&text, &path.display().to_string())
    }

    /// Checks the text of a connection file; `origin` names it in errors.
    pub fn parse(text: &str, origin: &str) -> Result<Self, JupyterError> {
        let info = serde_json::from_str(text)
            .map_err(|source| JupyterError::ParseConnection { origin: origin.to_owned(), source })?;
        Self::new(info)
    }

    /// Takes what a connection file says from elsewhere.
    pub fn new(info: ConnectionInfo) -> Result<Self, JupyterError> {
        if info.signature_scheme != "hmac-sha256" && !info.key.is_empty() {
            return Err(JupyterError::SignatureScheme(info.signature_scheme));
        }
        Ok(Self { info })
    }

    /// What the file says.
    pub fn info(&self) -> &ConnectionInfo {
        &self.info
    }

    /// The zeromq endpoint of a socket, such as `tcp://127.0.0.1:5001` or `ipc:///run/kernel-1`.
    pub fn endpoint(&self, channel: Channel) -> String {
        let port = self.port(channel);
        match self.info.transport {
            Transport::TCP => format!("tcp://{}:{port}", self.info.ip),
            Transport::IPC => format!("ipc://{}-{port}", self.info.ip),
        }
    }

    /// The port, or for ipc the number at the end of the path.
    pub(crate) fn port(&self, channel: Channel) -> u16 {
        match channel {
            Channel::Shell => self.info.shell_port,
            Channel::Control => self.info.control_port,
            Channel::IoPub => self.info.iopub_port,
            Channel::Stdin => self.info.stdin_port,
            Channel::Heartbeat => self.info.hb_port,
        }
    }

    /// Signs and verifies with the connection's key; an empty key means no signatures.
    pub fn signer(&self) -> Signer {
        Signer::new(self.info.key.as_bytes())
    }
}

// Not derived: the key must not end up in a log.
impl fmt::Debug for Connection {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Connection")
            .field("shell", &self.endpoint(Channel::Shell))
            .field("control", &self.endpoint(Channel::Control))
            .field("iopub", &self.endpoint(Channel::IoPub))
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const FILE: &str = r#"{
        "shell_port": 57503, "iopub_port": 40885, "stdin_port": 52597, "control_port": 50160, "hb_port": 42540,
        "ip": "/run/user/1000/kernel", "key": "a0436f6c", "transport": "ipc",
        "signature_scheme": "hmac-sha256", "kernel_name": "", "jupyter_session": "/home/x/a.ipynb"
    }"#;

    #[test]
    fn ipc_paths_are_joined_as_jupyter_client_joins_them() {
        let connection = Connection::parse(FILE, "k.json").unwrap();
        assert_eq!(connection.endpoint(Channel::Heartbeat), "ipc:///run/user/1000/kernel-42540");
    }

    #[test]
    fn the_key_is_not_in_debug_output() {
        let connection = Connection::parse(FILE, "k.json").unwrap();
        assert!(!format!("{connection:?}").contains("a0436f6c"));
    }

    #[test]
    fn errors_name_file_and_place() {
        let error = Connection::parse("{\n  \"ip\": 3}", "k.json").unwrap_err();
        insta::assert_snapshot!(error, @r#"the connection file k.json is not valid: invalid type: integer `3`, expected a string at line 2 column 9"#);
        let error = Connection::read(Path::new("/nowhere/k.json")).unwrap_err();
        insta::assert_snapshot!(error, @"cannot read the connection file /nowhere/k.json: No such file or directory (os error 2)");
        let error = Connection::parse(&FILE.replace("sha256", "md5"), "k.json").unwrap_err();
        insta::assert_snapshot!(error, @r#"the connection file asks for the signature scheme "hmac-md5", known is "hmac-sha256""#);
    }
}
