//! Interrupts, floods, clients that stall or lie, and the end of a kernel.
#![allow(clippy::unwrap_used, missing_docs)]

mod client;
#[allow(dead_code)]
#[path = "../examples/echo.rs"]
mod echo;

use std::{
    io::{Read, Write},
    net::{TcpListener, TcpStream},
    os::unix::net::UnixStream,
    process::Command,
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use client::{Client, connect, ipc, options, within};
use echo::Echo;
use jupyter::{
    Channel::{self, Control, Heartbeat, IoPub, Shell, Stdin},
    Connection, Transport, serve,
    wire::Signer,
};
use serde_json::json;
use zeromq::{DealerSocket, Socket, SocketRecv, SocketSend, ZmqMessage};

#[tokio::test]
async fn a_flood_of_lines_arrives_whole_in_order_and_before_idle() {
    let mut client = Client::start(Echo).await;
    let answer = client.execute("flood 100000").await;
    let printed = answer.printed("stdout");
    assert!(printed.lines().eq((0..100_000).map(|n| format!("line {n}"))));
    assert!(answer.published().len() < 1000, "{}", answer.published().len());
    client.shut_down().await;
}

#[tokio::test]
async fn control_answers_while_a_cell_blocks_its_thread() {
    let mut client = Client::start(Echo).await;
    let cell = client.request(Shell, "execute_request", json!({"code": "block 0.5"})).await;
    let info = client.request(Control, "kernel_info_request", json!({})).await;
    assert_eq!(client.receive(Control).await.parent.msg_id(), Some(info.clone()));
    let mut idle = Vec::new();
    while idle.len() < 2 {
        let message = client.published().await;
        if message.content["execution_state"] == "idle" {
            idle.extend(message.parent.msg_id());
        }
    }
    assert_eq!(idle, [info, cell]);
    assert_eq!(client.receive(Shell).await.content["status"], "ok");
    client.shut_down().await;
}

/// Interrupts a cell when `started` has been published for it, and returns its reply.
async fn interrupted(client: &mut Client, code: &str, started: &str) -> serde_json::Value {
    client.request(Shell, "execute_request", json!({"code": code})).await;
    while client.published().await.msg_type() != started {}
    client.request(Control, "interrupt_request", json!({})).await;
    assert_eq!(client.receive(Control).await.content, json!({"status": "ok"}));
    let reply = client.receive(Shell).await.content;
    let mut idle = 0;
    while idle < 2 {
        idle += usize::from(client.published().await.content["execution_state"] == "idle");
    }
    reply
}

#[tokio::test]
async fn an_interrupt_ends_the_cell_and_not_the_kernel() {
    let mut client = Client::start(Echo).await;
    // Also in the instant in which the client knows of the cell and the language hardly does.
    for _ in 0..20 {
        let reply = interrupted(&mut client, "sleep 60", "execute_input").await;
        assert_eq!(reply["ename"], "Interrupted");
    }
    client.request(Control, "interrupt_request", json!({})).await;
    client.receive(Control).await;
    while client.published().await.content["execution_state"] != "idle" {}
    client.echoes("after").await;
    client.shut_down().await;
}

#[tokio::test]
async fn an_interrupt_ends_a_cell_that_waits_for_input() {
    let mut client = Client::start(Echo).await;
    let id = client.request(Shell, "execute_request", json!({"code": "ask"})).await;
    client.receive(Stdin).await;
    client.request(Control, "interrupt_request", json!({})).await;
    let reply = client.receive(Shell).await;
    assert_eq!(reply.parent.msg_id(), Some(id));
    assert_eq!(reply.content["status"], "error");
    client.receive(Control).await;
}

#[tokio::test]
async fn output_of_what_outlives_a_cell_belongs_to_it() {
    let mut client = Client::start(Echo).await;
    let id = client.request(Shell, "execute_request", json!({"code": "later"})).await;
    client.published_for(&id).await;
    let late = client.published().await;
    assert_eq!(late.content["text"], "later\n");
    assert_eq!(late.parent.msg_id(), Some(id));
    client.receive(Shell).await;
    client.shut_down().await;
}

#[tokio::test]
async fn what_is_forged_or_broken_is_dropped_and_the_kernel_lives() {
    let mut client = Client::start(Echo).await;
    let request = client.message("execute_request", json!({"code": "evil"}));
    let forged = request.encode(&Signer::new(b"another key"));
    let unsigned = request.encode(&Signer::new(b""));
    let mut cut = request.encode(&client.signer);
    cut[5] = cut[5].slice(..4);
    let mut resigned = cut.clone();
    resigned[1] = client.signer.sign(&cut[2..6]);
    let short = request.encode(&client.signer)[..3].to_vec();
    let junk = vec![Bytes::from_static(b"junk")];
    let empty = vec![Bytes::new(); 9];
    for channel in [Shell, Control, Stdin] {
        for frames in [&forged, &unsigned, &cut, &resigned, &short, &junk, &empty] {
            client.send_frames(channel, frames.clone()).await;
        }
    }
    // The next thing that is answered and published is the next honest request.
    assert_eq!(client.echoes("honest").await, 1);
    client.shut_down().await;
}

#[tokio::test]
async fn peers_that_speak_no_zeromq_harm_nobody() {
    let mut client = Client::start(Echo).await;
    for channel in [Shell, Control, Stdin, Heartbeat, IoPub] {
        let endpoint = client.connection.endpoint(channel);
        let path = endpoint.strip_prefix("ipc://").unwrap();
        let mut greeting = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 1, 0x7f, 3, 0];
        greeting.extend_from_slice(b"NULL");
        greeting.resize(64, 0);
        let half = greeting[..20].to_vec();
        let huge = [&greeting[..], b"\x06\xff\xff\xff\xff\xff\xff\xff\xff"].concat();
        for bytes in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[0xff; 200], &half, &huge] {
            let mut peer = UnixStream::connect(path).unwrap();
            // The kernel may have hung up already, which is an answer.
            let _ = peer.write_all(bytes);
        }
    }
    client.echoes("alive").await;
    client.shut_down().await;
}

#[tokio::test]
async fn a_client_that_stops_reading_does_not_hold_up_the_others() {
    let mut client = Client::start(Echo).await;
    let endpoint = client.connection.endpoint(IoPub);
    let mut stalled = UnixStream::connect(endpoint.strip_prefix("ipc://").unwrap()).unwrap();
    let mut hello = vec![0xff, 0, 0, 0, 0, 0, 0, 0, 0, 0x7f, 3, 0];
    hello.extend_from_slice(b"NULL");
    hello.resize(64, 0);
    hello.extend_from_slice(b"\x04\x19\x05READY\x0bSocket-Type\0\0\0\x03SUB");
    hello.extend_from_slice(b"\x00\x01\x01");
    stalled.write_all(&hello).unwrap();
    // Its welcome shows that it is subscribed; then it reads no more.
    let mut welcome = [0; 300];
    tokio::task::spawn_blocking(move || {
        stalled.read_exact(&mut welcome).unwrap();
        stalled
    })
    .await
    .unwrap();
    let lines = 1_500_000;
    let answer = client.execute(&format!("flood {lines}")).await;
    assert_eq!(answer.printed("stdout").lines().count(), lines);
    client.shut_down().await;
}

#[tokio::test]
async fn the_heartbeat_is_an_exact_echo() {
    let client = Client::start(Echo).await;
    let mut beat = DealerSocket::new();
    connect(&mut beat, &client.connection, Heartbeat).await;
    for frames in [vec!["", "ping"], vec!["", "", "\u{1f980}"], vec!["no delimiter"]] {
        let frames: Vec<Bytes> = frames.into_iter().map(Bytes::from).collect();
        beat.send(ZmqMessage::try_from(frames.clone()).unwrap()).await.unwrap();
        assert_eq!(within(beat.recv()).await.unwrap().into_vec(), frames);
    }
    client.shut_down().await;
}

#[tokio::test]
async fn a_shutdown_is_told_to_all_and_leaves_no_socket_behind() {
    let mut client = Client::start(Echo).await;
    client.request(Shell, "execute_request", json!({"code": "sleep 60"})).await;
    while client.published().await.msg_type() != "execute_input" {}
    let id = client.request(Control, "shutdown_request", json!({"restart": true})).await;
    let reply = client.receive(Control).await;
    assert_eq!(reply.parent.msg_id(), Some(id));
    assert_eq!(reply.content, json!({"status": "ok", "restart": true}));
    while client.published().await.msg_type() != "shutdown_reply" {}
    while client.published().await.content["execution_state"] != "idle" {}
    within(client.kernel).await.unwrap().unwrap();
    for channel in [Shell, Control, Stdin, Heartbeat, IoPub] {
        let endpoint = client.connection.endpoint(channel);
        assert!(UnixStream::connect(endpoint.strip_prefix("ipc://").unwrap()).is_err());
    }
}

#[tokio::test]
async fn the_kernel_ends_with_its_parent() {
    let mut parent = Command::new("sleep").arg("600").spawn().unwrap();
    let mut options = options();
    options.parent_pid = Some(parent.id());
    let folder = tempfile::tempdir().unwrap();
    let info = ipc(&folder);
    let mut client = Client::start_on(Echo, info, options, folder).await;
    client.echoes("alive").await;
    parent.kill().unwrap();
    parent.wait().unwrap();
    let ended = tokio::time::timeout(Duration::from_secs(2), client.kernel).await;
    ended.unwrap().unwrap().unwrap();
}

#[tokio::test]
async fn a_port_that_is_taken_is_one_clear_error() {
    let folder = tempfile::tempdir().unwrap();
    let taken = TcpListener::bind("127.0.0.1:0").unwrap();
    let mut info = ipc(&folder);
    info.transport = Transport::TCP;
    info.ip = "127.0.0.1".to_owned();
    [info.shell_port, info.control_port, info.stdin_port, info.hb_port] = [0; 4];
    info.iopub_port = taken.local_addr().unwrap().port();
    let port = info.iopub_port.to_string();
    let connection = Connection::new(info).unwrap();
    let error = serve(connection, Arc::new(Echo), options()).await.unwrap_err();
    insta::assert_snapshot!(error.to_string().replace(&port, "PORT"), @"cannot bind the iopub socket to tcp://127.0.0.1:PORT: Address already in use (os error 98)");
    insta::assert_snapshot!(error.hint(), @"Another process took the port; start the kernel again, Jupyter will choose other ports.");
}

#[tokio::test]
async fn tcp_serves_as_ipc_does() {
    let folder = tempfile::tempdir().unwrap();
    let mut info = ipc(&folder);
    info.transport = Transport::TCP;
    info.ip = "127.0.0.1".to_owned();
    let free: Vec<TcpListener> = (0..5).map(|_| TcpListener::bind("127.0.0.1:0").unwrap()).collect();
    let port = |n: usize| free[n].local_addr().unwrap().port();
    info.shell_port = port(0);
    info.control_port = port(1);
    info.iopub_port = port(2);
    info.stdin_port = port(3);
    info.hb_port = port(4);
    let address = ("127.0.0.1", port(0));
    drop(free);
    let mut client = Client::start_on(Echo, info, options(), folder).await;
    let answer = client.execute("flood 1000").await;
    assert_eq!(answer.printed("stdout").lines().count(), 1000);
    client.shut_down().await;
    assert!(TcpStream::connect(address).is_err());
}

#[test]
fn the_channels_have_the_names_that_people_know() {
    let names = [Shell, Control, IoPub, Stdin, Heartbeat].map(|channel: Channel| channel.to_string());
    assert_eq!(names, ["shell", "control", "iopub", "stdin", "heartbeat"]);
}
