//! Server-sent events: the `data` of each (WHATWG HTML, section 9.2).

/// Bytes as they come, cut anywhere.
#[derive(Debug, Default)]
pub(crate) struct Events {
    bytes: Vec<u8>,
    /// Up to here no line ends.
    searched: usize,
    data: Option<String>,
}

impl Events {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend_from_slice(bytes);
    }

    /// The next event that is whole.
    pub(crate) fn next(&mut self) -> Option<String> {
        while let Some(length) = self.bytes[self.searched..].iter().position(|byte| *byte == b'\n') {
            let line: Vec<u8> = self.bytes.drain(..=self.searched + length).collect();
            self.searched = 0;
            let line = String::from_utf8_lossy(&line);
            let line = line.trim_end_matches(['\n', '\r']);
            if line.is_empty() {
                if let Some(data) = self.data.take() {
                    return Some(data);
                }
            } else if let Some(text) = line.strip_prefix("data:") {
                let text = text.strip_prefix(' ').unwrap_or(text);
                match &mut self.data {
                    Some(data) => {
                        data.push('\n');
                        data.push_str(text);
                    }
                    none => *none = Some(text.to_owned()),
                }
            }
        }
        self.searched = self.bytes.len();
        None
    }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn read(pieces: &[&[u8]]) -> Vec<String> {
        let mut events = Events::default();
        let mut read = Vec::new();
        for piece in pieces {
            events.push(piece);
            read.extend(std::iter::from_fn(|| events.next()));
        }
        read
    }

    proptest! {
        /// Wherever the network cuts it, also between CR and LF, or within a letter.
        #[test]
        fn events_are_the_same_however_they_are_cut(cuts in proptest::collection::vec(0usize..90, 0..12)) {
            let text = "event: a\r\ndata: {\"é\": 1}\r\n\r\n: a comment\ndata: two\ndata:lines\n\nid: 3\n\ndata: [DONE]\n\nda";
            let bytes = text.as_bytes();
            let mut cuts: Vec<usize> = cuts.into_iter().map(|cut| cut.min(bytes.len())).collect();
            cuts.extend([0, bytes.len()]);
            cuts.sort_unstable();
            let pieces: Vec<&[u8]> = cuts.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect();
            prop_assert_eq!(read(&pieces), ["{\"é\": 1}", "two\nlines", "[DONE]"]);
        }
    }
}
