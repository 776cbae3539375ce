//! One message, to frames and back.

use bytes::Bytes;
use serde_json::{Map, Value};

use super::{
    header::{Header, Parent},
    signer::Signer,
};

const DELIMITER: &[u8] = b"<IDS|MSG>";

/// Why frames are not a message.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum WireError {
    /// No frame is `<IDS|MSG>`.
    #[error("no <IDS|MSG> delimiter among {0} frames")]
    NoDelimiter(usize),
    /// Fewer than a signature and four dictionaries follow the delimiter.
    #[error("{0} frames after the delimiter, a message has at least 5")]
    TooShort(usize),
    /// The signature is not that of the frames.
    #[error("the signature does not match")]
    BadSignature,
    /// A frame that must be a JSON dictionary is not.
    #[error("the {part} is not a valid JSON dictionary: {source}")]
    Json {
        /// `header`, `parent_header`, `metadata` or `content`.
        part: &'static str,
        /// What is wrong, with line and column.
        source: serde_json::Error,
    },
}

/// A message of the Jupyter protocol.
#[derive(Clone, Debug, PartialEq)]
pub struct Message {
    /// Where a ROUTER socket sends it, or on iopub its topic.
    pub identities: Vec<Bytes>,
    header: Header,
    raw_header: Bytes,
    /// The header of the request that this message answers.
    pub parent: Parent,
    /// Free-form, most often empty.
    pub metadata: Map<String, Value>,
    /// A dictionary whose fields depend on the message's type.
    pub content: Value,
    /// Binary data that travels beside the JSON.
    pub buffers: Vec<Bytes>,
}

impl Message {
    /// A message to send, with no identities, metadata and buffers yet.
    pub fn new(header: Header, parent: Parent, content: Value) -> Self {
        let raw_header = json(&header);
        Self {
            identities: Vec::new(),
            header,
            raw_header,
            parent,
            metadata: Map::new(),
            content,
            buffers: Vec::new(),
        }
    }

    /// The message's header.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The message's type, such as `execute_request`.
    pub fn msg_type(&self) -> &str {
        &self.header.msg_type
    }

    /// This message as the parent of what answers it.
    pub fn as_parent(&self) -> Parent {
        Parent::from_json(self.raw_header.clone())
    }

    /// Frames, signed, ready for a socket.
    pub fn encode(&self, signer: &Signer) -> Vec<Bytes> {
        let dictionaries = [
            self.raw_header.clone(),
            self.parent.as_json().clone(),
            json(&self.metadata),
            json(&self.content),
        ];
        let mut frames = Vec::with_capacity(self.identities.len() + 6 + self.buffers.len());
        frames.extend(self.identities.iter().cloned());
        frames.push(Bytes::from_static(DELIMITER));
        frames.push(signer.sign(&dictionaries));
        frames.extend(dictionaries);
        frames.extend(self.buffers.iter().cloned());
        frames
    }

    /// The message that the frames hold, if they do and their signature is right.
    pub fn decode(mut frames: Vec<Bytes>, signer: &Signer) -> Result<Self, WireError> {
        let delimiter =
            frames.iter().position(|frame| frame == DELIMITER).ok_or(WireError::NoDelimiter(frames.len()))?;
        let mut rest = frames.split_off(delimiter).split_off(1);
        frames.truncate(delimiter);
        if rest.len() < 5 {
            return Err(WireError::TooShort(rest.len()));
        }
        let buffers = rest.split_off(5);
        if !signer.verify(&rest[1..5], &rest[0]) {
            return Err(WireError::BadSignature);
        }
        let header = serde_json::from_slice(&rest[1]).map_err(part("header"))?;
        let _: Map<String, Value> = serde_json::from_slice(&rest[2]).map_err(part("parent_header"))?;
        let metadata = serde_json::from_slice(&rest[3]).map_err(part("metadata"))?;
        let content: Map<String, Value> = serde_json::from_slice(&rest[4]).map_err(part("content"))?;
        Ok(Self {
            identities: frames,
            header,
            raw_header: rest[1].clone(),
            parent: Parent::from_json(rest[2].clone()),
            metadata,
            content: Value::Object(content),
            buffers,
        })
    }
}

fn part(part: &'static str) -> impl FnOnce(serde_json::Error) -> WireError {
    move |source| WireError::Json { part, source }
}

/// Serialises what cannot fail to be serialised: maps with string keys.
fn json(value: &impl serde::Serialize) -> Bytes {
    serde_json::to_vec(value).map_or_else(
        |error| {
            tracing::error!(%error, "a message could not be serialised");
            Bytes::from_static(b"{}")
        },
        Bytes::from,
    )
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use proptest::{collection::vec, prelude::*};
    use serde_json::json;

    use super::*;

    fn frame() -> impl Strategy<Value = Bytes> {
        prop_oneof![
            vec(any::<u8>(), 0..40).prop_map(Bytes::from),
            Just(Bytes::from_static(DELIMITER)),
            Just(Bytes::from_static(b"{}")),
            Just(Bytes::from_static(br#"{"msg_id":"1","msg_type":"x"}"#)),
            Just(Bytes::from_static(br#"{"msg_id":1,"msg_type":"x"}"#)),
            Just(Bytes::from_static(b"[[[[")),
        ]
    }

    prop_compose! {
        fn message()(
            identities in vec(vec(any::<u8>(), 1..5).prop_map(Bytes::from), 0..3),
            texts in vec(any::<String>(), 6),
            number in any::<i64>(),
            buffers in vec(vec(any::<u8>(), 0..50).prop_map(Bytes::from), 0..3),
        ) -> Message {
            let mut header = Header::new(&texts[0], &texts[1], &texts[2], &texts[3], "2026-11-21");
            header.extra.insert("subshell_id".to_owned(), json!(number));
            let mut message = Message::new(header.clone(), Parent::none(), json!({ &texts[4]: &texts[5] }));
            message.parent = message.as_parent();
            message.metadata.insert(texts[5].clone(), json!([number]));
            message.identities = identities;
            message.buffers = buffers;
            message
        }
    }

    proptest! {
        #[test]
        fn any_frames_are_a_message_or_an_error(frames in vec(frame(), 0..12)) {
            let _ = Message::decode(frames.clone(), &Signer::new(b""));
            prop_assert!(Message::decode(frames, &Signer::new(b"key")).is_err());
        }

        #[test]
        fn what_is_encoded_is_decoded(message in message()) {
            let signer = Signer::new(b"key");
            let back = Message::decode(message.encode(&signer), &signer).unwrap();
            prop_assert_eq!(back, message);
        }

        #[test]
        fn a_message_cut_or_changed_anywhere_is_refused(message in message(), at in any::<prop::sample::Index>()) {
            let signer = Signer::new(b"key");
            let mut frames = message.encode(&signer);
            let first = message.identities.len();
            let signed = first + 2 + at.index(4);
            frames[signed] = frames[signed].slice(..frames[signed].len() - 1);
            prop_assert!(matches!(Message::decode(frames, &signer), Err(WireError::BadSignature)));
            let mut frames = message.encode(&signer);
            frames.truncate(first + at.index(6));
            prop_assert!(Message::decode(frames, &signer).is_err());
        }
    }

    #[test]
    fn the_parent_is_echoed_byte_for_byte() {
        let signer = Signer::new(b"");
        let odd = br#"{ "msg_type":"x",  "msg_id":"7", "later":  1.50, "later2":[null] }"#;
        let frames = [&b"<IDS|MSG>"[..], b"", odd, b"{}", b"{}", b"{}"];
        let request = Message::decode(frames.map(Bytes::copy_from_slice).to_vec(), &signer).unwrap();
        assert_eq!(request.header().extra["later"], json!(1.5));
        let reply = Message::new(Header::new("8", "", "", "y", ""), request.as_parent(), json!({}));
        assert_eq!(reply.encode(&signer)[3], &odd[..]);
        assert_eq!(reply.parent.msg_id().as_deref(), Some("7"));
    }

    #[test]
    fn errors_say_what_is_wrong() {
        let signer = Signer::new(b"");
        let text = |frames: &[&'static [u8]]| {
            let frames = frames.iter().map(|f| Bytes::from_static(f)).collect();
            Message::decode(frames, &signer).unwrap_err().to_string()
        };
        insta::assert_snapshot!(text(&[b"a", b"b"]), @"no <IDS|MSG> delimiter among 2 frames");
        insta::assert_snapshot!(text(&[b"<IDS|MSG>", b"", b"{}"]), @"2 frames after the delimiter, a message has at least 5");
        insta::assert_snapshot!(
            text(&[b"<IDS|MSG>", b"", br#"{"msg_id":"1","msg_type":"x"}"#, b"{}", b"{}", b"{\"a\":"]),
            @"the content is not a valid JSON dictionary: EOF while parsing a value at line 1 column 5"
        );
    }
}
