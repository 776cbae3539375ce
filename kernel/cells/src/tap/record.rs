//! What the tap tells the worker: `kind: u8, length: u16 LE, body`, in pieces small enough that a
//! write to a named pipe is never mixed with another writer's.

use std::io::{self, Read, Write};

/// POSIX promises whole writes up to 512 bytes, Linux up to 4096.
const MAX_BODY: usize = if cfg!(target_os = "linux") { 4000 } else { 500 };

/// One piece of news.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) enum Record {
    /// Bytes of standard output.
    Stdout(Vec<u8>),
    /// Bytes of standard error.
    Stderr(Vec<u8>),
    /// A rich value begins, of this MIME type.
    DisplayStart(String),
    /// More of its content.
    DisplayData(Vec<u8>),
    /// It is complete.
    DisplayEnd,
    /// The cell's code panicked.
    Panicked,
    /// The cell's code returned early by `?`.
    Returned,
    /// The user's process has ended; how, in words.
    Ended(String),
    /// The worker's own: all that was written before this has been read.
    Mark(u64),
}

impl Record {
    /// Writes the record, in as many pieces as its length takes; empty text is nothing.
    pub(crate) fn write(&self, to: &mut impl Write) -> io::Result<()> {
        match self {
            Self::Stdout(bytes) => pieces(to, 1, bytes),
            Self::Stderr(bytes) => pieces(to, 2, bytes),
            Self::DisplayStart(mime) => piece(to, 3, cut(mime)),
            Self::DisplayData(bytes) => pieces(to, 4, bytes),
            Self::DisplayEnd => piece(to, 5, &[]),
            Self::Panicked => piece(to, 6, &[]),
            Self::Returned => piece(to, 7, &[]),
            Self::Ended(status) => piece(to, 8, cut(status)),
            Self::Mark(number) => piece(to, 9, &number.to_le_bytes()),
        }
    }

    /// Reads one record; blocks until there is one.
    pub(crate) fn read(from: &mut impl Read) -> io::Result<Self> {
        let mut header = [0; 3];
        from.read_exact(&mut header)?;
        let mut body = vec![0; usize::from(u16::from_le_bytes([header[1], header[2]]))];
        from.read_exact(&mut body)?;
        let text = |body: Vec<u8>| String::from_utf8_lossy(&body).into_owned();
        Ok(match header[0] {
            1 => Self::Stdout(body),
            2 => Self::Stderr(body),
            3 => Self::DisplayStart(text(body)),
            4 => Self::DisplayData(body),
            5 => Self::DisplayEnd,
            6 => Self::Panicked,
            7 => Self::Returned,
            8 => Self::Ended(text(body)),
            9 => Self::Mark(u64::from_le_bytes(
                body.try_into().map_err(|_| io::Error::other("a mark of the wrong length"))?,
            )),
            kind => return Err(io::Error::other(format!("unknown kind of record {kind}"))),
        })
    }
}

fn cut(text: &str) -> &[u8] {
    &text.as_bytes()[..text.len().min(MAX_BODY)]
}

fn pieces(to: &mut impl Write, kind: u8, body: &[u8]) -> io::Result<()> {
    body.chunks(MAX_BODY).try_for_each(|chunk| piece(to, kind, chunk))
}

fn piece(to: &mut impl Write, kind: u8, body: &[u8]) -> io::Result<()> {
    let mut bytes = Vec::with_capacity(3 + body.len());
    bytes.push(kind);
    bytes.extend_from_slice(&(body.len() as u16).to_le_bytes());
    bytes.extend_from_slice(body);
    to.write_all(&bytes)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn records_come_back_in_pieces() {
        let mut bytes = Vec::new();
        Record::Stdout(vec![b'x'; MAX_BODY + 1]).write(&mut bytes).unwrap();
        Record::Stdout(Vec::new()).write(&mut bytes).unwrap();
        Record::Ended("signal: 6 (SIGABRT)".into()).write(&mut bytes).unwrap();
        Record::Mark(7).write(&mut bytes).unwrap();
        let mut from = &bytes[..];
        let read = |from: &mut &[u8]| Record::read(from).unwrap();
        assert_eq!(read(&mut from), Record::Stdout(vec![b'x'; MAX_BODY]));
        assert_eq!(read(&mut from), Record::Stdout(vec![b'x']));
        assert_eq!(read(&mut from), Record::Ended("signal: 6 (SIGABRT)".into()));
        assert_eq!(read(&mut from), Record::Mark(7));
        assert!(Record::read(&mut from).is_err());
    }
}
