//! As much of ZMTP 3.0 (rfc.zeromq.org/spec/23) as the publishing side of one connection needs: the
//! greeting, the NULL handshake, frames.

use std::io;

use bytes::{BufMut, Bytes, BytesMut};
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

const MORE: u8 = 1;
const LONG: u8 = 2;
const COMMAND: u8 = 4;

/// Subscribers send topics and commands, nothing large.
const MAX_INCOMING: u64 = 64 << 10;

/// What a subscriber said.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Incoming {
    Subscribe(Bytes),
    Unsubscribe(Bytes),
    /// Answer with these bytes.
    Ping(Bytes),
    Other,
}

/// Agrees with the peer on ZMTP 3, no security, and that it subscribes.
pub(super) async fn handshake<S: AsyncRead + AsyncWrite + Unpin>(stream: &mut S) -> io::Result<()> {
    stream.write_all(&greeting()).await?;
    let mut theirs = [0; 64];
    stream.read_exact(&mut theirs).await?;
    if theirs[0] != 0xff || theirs[9] != 0x7f || theirs[10] < 3 {
        return Err(invalid("not a ZMTP 3 peer"));
    }
    if &theirs[12..32] != b"NULL\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0" {
        return Err(invalid("the peer wants a security mechanism"));
    }
    stream.write_all(&frame(COMMAND, &ready())).await?;
    let (flags, body) = read_frame(stream).await?;
    if flags & COMMAND == 0 || !body.starts_with(b"\x05READY") {
        return Err(invalid("the peer did not say READY"));
    }
    match property(&body[6..], b"socket-type") {
        Some(b"SUB" | b"XSUB") => Ok(()),
        _ => Err(invalid("the peer is not a subscriber")),
    }
}

/// The next thing that a subscriber says.
pub(super) async fn read<R: AsyncRead + Unpin>(stream: &mut R) -> io::Result<Incoming> {
    let (flags, body) = read_frame(stream).await?;
    let command = flags & COMMAND != 0;
    Ok(match body.first() {
        Some(1) if !command => Incoming::Subscribe(body.slice(1..)),
        Some(0) if !command => Incoming::Unsubscribe(body.slice(1..)),
        // ZMTP 3.1 has commands for it; we announce 3.0, but some peers send what they know.
        Some(9) if command && body.starts_with(b"\x09SUBSCRIBE") => Incoming::Subscribe(body.slice(10..)),
        Some(6) if command && body.starts_with(b"\x06CANCEL") => Incoming::Unsubscribe(body.slice(7..)),
        // PING is its name, a time to live of two bytes, and a context to send back.
        Some(4) if command && body.starts_with(b"\x04PING") && body.len() >= 7 => {
            let mut pong = BytesMut::from(&b"\x04PONG"[..]);
            pong.put_slice(&body[7..]);
            Incoming::Ping(frame(COMMAND, &pong))
        }
        _ => Incoming::Other,
    })
}

/// A message of several frames as it goes over the connection.
pub(super) fn message(frames: &[Bytes]) -> Bytes {
    let size = frames.iter().map(|frame| frame.len() + 9).sum();
    let mut out = BytesMut::with_capacity(size);
    for (index, body) in frames.iter().enumerate() {
        let more = if index + 1 < frames.len() { MORE } else { 0 };
        put_frame(&mut out, more, body);
    }
    out.freeze()
}

fn greeting() -> [u8; 64] {
    let mut greeting = [0; 64];
    greeting[0] = 0xff;
    greeting[9] = 0x7f;
    greeting[10] = 3;
    greeting[12..16].copy_from_slice(b"NULL");
    greeting
}

fn ready() -> Bytes {
    let mut body = BytesMut::from(&b"\x05READY"[..]);
    body.put_slice(b"\x0bSocket-Type");
    body.put_u32(4);
    body.put_slice(b"XPUB");
    body.freeze()
}

/// The value of a property by its name (lower case) in a READY command.
fn property<'a>(mut rest: &'a [u8], name: &[u8]) -> Option<&'a [u8]> {
    loop {
        let (&length, tail) = rest.split_first()?;
        let (key, tail) = tail.split_at_checked(length.into())?;
        let (size, tail) = tail.split_first_chunk::<4>()?;
        let (value, tail) = tail.split_at_checked(u32::from_be_bytes(*size) as usize)?;
        if key.to_ascii_lowercase() == name {
            return Some(value);
        }
        rest = tail;
    }
}

fn frame(flags: u8, body: &[u8]) -> Bytes {
    let mut out = BytesMut::with_capacity(body.len() + 9);
    put_frame(&mut out, flags, body);
    out.freeze()
}

fn put_frame(out: &mut BytesMut, flags: u8, body: &[u8]) {
    if let Ok(length) = u8::try_from(body.len()) {
        out.put_u8(flags);
        out.put_u8(length);
    } else {
        out.put_u8(flags | LONG);
        out.put_u64(body.len() as u64);
    }
    out.put_slice(body);
}

async fn read_frame<R: AsyncRead + Unpin>(stream: &mut R) -> io::Result<(u8, Bytes)> {
    let flags = stream.read_u8().await?;
    let length = if flags & LONG == 0 { stream.read_u8().await?.into() } else { stream.read_u64().await? };
    if length > MAX_INCOMING {
        return Err(invalid("a subscriber sent too much at once"));
    }
    let mut body = vec![0; length as usize];
    stream.read_exact(&mut body).await?;
    Ok((flags, body.into()))
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidData, what)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::{collection::vec, prelude::*};

    use super::*;

    fn run<T>(future: impl Future<Output = T>) -> T {
        let runtime = tokio::runtime::Builder::new_current_thread().build();
        runtime.unwrap().block_on(future)
    }

    #[test]
    fn frames_are_short_or_long() {
        let long = Bytes::from(vec![7; 256]);
        let out = message(&[Bytes::from_static(b"ab"), long.clone()]);
        assert_eq!(&out[..4], b"\x01\x02ab");
        assert_eq!(&out[4..13], b"\x02\0\0\0\0\0\0\x01\0");
        assert_eq!(&out[13..], &long[..]);
    }

    #[test]
    fn a_subscriber_speaks_in_messages_or_commands() {
        let heard = |flags, body: &[u8]| run(read(&mut &frame(flags, body)[..])).unwrap();
        assert_eq!(heard(0, b"\x01abc"), Incoming::Subscribe("abc".into()));
        assert_eq!(heard(0, b"\x00abc"), Incoming::Unsubscribe("abc".into()));
        assert_eq!(heard(COMMAND, b"\x09SUBSCRIBEx"), Incoming::Subscribe("x".into()));
        assert_eq!(heard(COMMAND, b"\x06CANCELx"), Incoming::Unsubscribe("x".into()));
        let pong = frame(COMMAND, b"\x04PONGhi");
        assert_eq!(heard(COMMAND, b"\x04PING\0\x05hi"), Incoming::Ping(pong));
        assert_eq!(heard(0, b""), Incoming::Other);
    }

    #[test]
    fn a_frame_too_large_for_a_subscriber_is_refused_before_it_is_read() {
        let bytes = b"\x02\xff\xff\xff\xff\xff\xff\xff\xff";
        assert!(run(read(&mut &bytes[..])).is_err());
    }

    #[test]
    fn two_peers_agree_and_a_publisher_is_refused() {
        let outcome = |kind: &'static [u8]| {
            run(async {
                let (mut ours, mut theirs) = tokio::io::duplex(1024);
                let peer = async {
                    let mut body = BytesMut::from(&b"\x05READY\x08Identity\0\0\0\0\x0bSocket-Type"[..]);
                    body.put_u32(kind.len() as u32);
                    body.put_slice(kind);
                    theirs.write_all(&greeting()).await.unwrap();
                    theirs.write_all(&frame(COMMAND, &body)).await.unwrap();
                };
                tokio::join!(handshake(&mut ours), peer).0
            })
        };
        assert!(outcome(b"SUB").is_ok());
        assert!(outcome(b"PUB").is_err());
    }

    proptest! {
        #[test]
        fn any_bytes_are_read_or_refused(bytes in vec(any::<u8>(), 0..300), flags in 0u8..8) {
            let _ = run(read(&mut &bytes[..]));
            let _ = run(read(&mut &frame(flags, &bytes)[..]));
            let _ = property(&bytes, b"socket-type");
        }
    }
}
