//! Binds the five sockets, all or none.

use std::{
    fs, io,
    net::TcpListener,
    os::unix::{
        fs::PermissionsExt,
        net::{UnixListener, UnixStream},
    },
    path::{Path, PathBuf},
};

use jupyter_protocol::connection_info::Transport;
use zeromq::{RouterSocket, Socket};

use crate::{
    connection::{Channel, Connection},
    error::JupyterError,
    iopub::Listener,
};

/// The sockets of a kernel, bound.
pub(crate) struct Sockets {
    pub(crate) shell: RouterSocket,
    pub(crate) control: RouterSocket,
    pub(crate) stdin: RouterSocket,
    pub(crate) heartbeat: RouterSocket,
    pub(crate) iopub: Listener,
    pub(crate) files: SocketFiles,
}

/// The ipc sockets' files, removed when this is dropped.
#[derive(Default)]
pub(crate) struct SocketFiles(Vec<PathBuf>);

impl Drop for SocketFiles {
    fn drop(&mut self) {
        for path in &self.0 {
            // zeromq removes its own; whoever comes second finds nothing, which is what was wanted.
            let _ = fs::remove_file(path);
        }
    }
}

impl Sockets {
    pub(crate) async fn bind(connection: &Connection) -> Result<Self, JupyterError> {
        let mut files = SocketFiles::default();
        let mut listen = |channel| listen(connection, channel, &mut files);
        // All are bound before any is served, so that a port that is taken leaves nothing behind.
        let shell = listen(Channel::Shell)?;
        let control = listen(Channel::Control)?;
        let stdin = listen(Channel::Stdin)?;
        let heartbeat = listen(Channel::Heartbeat)?;
        let iopub = listen(Channel::IoPub)?;
        Ok(Self {
            shell: router(connection, Channel::Shell, shell).await?,
            control: router(connection, Channel::Control, control).await?,
            stdin: router(connection, Channel::Stdin, stdin).await?,
            heartbeat: router(connection, Channel::Heartbeat, heartbeat).await?,
            iopub,
            files,
        })
    }
}

async fn router(
    connection: &Connection,
    channel: Channel,
    listener: Listener,
) -> Result<RouterSocket, JupyterError> {
    let mut socket = RouterSocket::new();
    let bound = match listener {
        Listener::Tcp(listener) => socket.bind_listener(listener).await,
        Listener::Unix(listener) => socket.bind_listener(listener).await,
    };
    match bound {
        Ok(_) => Ok(socket),
        Err(error) => Err(failed(connection, channel, io::Error::other(error))),
    }
}

fn listen(
    connection: &Connection,
    channel: Channel,
    files: &mut SocketFiles,
) -> Result<Listener, JupyterError> {
    let info = connection.info();
    let port = connection.port(channel);
    let bound = match info.transport {
        Transport::TCP => {
            let ip = if info.ip == "*" { "0.0.0.0" } else { &info.ip };
            TcpListener::bind((ip, port)).map(Listener::Tcp)
        }
        Transport::IPC => {
            let path = PathBuf::from(format!("{}-{port}", info.ip));
            listen_on_file(&path).map(|listener| {
                files.0.push(path);
                Listener::Unix(listener)
            })
        }
    };
    bound.map_err(|source| failed(connection, channel, source))
}

fn listen_on_file(path: &Path) -> io::Result<UnixListener> {
    let listener = match UnixListener::bind(path) {
        // A file that nobody listens on was left by a kernel that was killed.
        Err(error) if error.kind() == io::ErrorKind::AddrInUse && abandoned(path) => {
            fs::remove_file(path)?;
            UnixListener::bind(path)
        }
        result => result,
    }?;
    fs::set_permissions(path, fs::Permissions::from_mode(0o600))?;
    Ok(listener)
}

fn abandoned(path: &Path) -> bool {
    UnixStream::connect(path).is_err_and(|error| error.kind() == io::ErrorKind::ConnectionRefused)
}

fn failed(connection: &Connection, channel: Channel, source: io::Error) -> JupyterError {
    JupyterError::Bind { channel, endpoint: connection.endpoint(channel), source }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn an_abandoned_socket_file_is_taken_over_and_a_live_one_is_not() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("kernel-1");
        drop(UnixListener::bind(&path).unwrap());
        // A child that another test starts holds every descriptor until its exec, the dropped one too.
        let live = (0..10_000).find_map(|_| listen_on_file(&path).ok()).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        let error = listen_on_file(&path).unwrap_err();
        assert_eq!(error.kind(), io::ErrorKind::AddrInUse);
        drop(live);
    }
}
