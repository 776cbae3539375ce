//! HMAC-SHA256 over the four JSON frames of a message.

use bytes::Bytes;
use hmac::{Hmac, KeyInit, Mac};
use sha2::Sha256;

/// Signs what is sent and verifies what came in, with the key of one connection.
#[derive(Clone)]
pub struct Signer(Option<Hmac<Sha256>>);

impl Signer {
    /// A signer for a key; an empty key means that messages carry no signature.
    pub fn new(key: &[u8]) -> Self {
        if key.is_empty() {
            return Self(None);
        }
        // HMAC takes keys of any length, so the error never comes; no signature would be the worst answer.
        Self(Hmac::new_from_slice(key).ok())
    }

    /// The signature of the given frames in hexadecimal, empty when there is no key.
    pub fn sign(&self, frames: &[Bytes]) -> Bytes {
        match self.mac(frames) {
            Some(mac) => Bytes::from(hex::encode(mac.finalize().into_bytes())),
            None => Bytes::new(),
        }
    }

    /// Whether `signature` (hexadecimal) is that of the frames, compared in constant time.
    pub fn verify(&self, frames: &[Bytes], signature: &[u8]) -> bool {
        let Some(mac) = self.mac(frames) else {
            return true;
        };
        hex::decode(signature).is_ok_and(|bytes| mac.verify_slice(&bytes).is_ok())
    }

    fn mac(&self, frames: &[Bytes]) -> Option<Hmac<Sha256>> {
        let mut mac = self.0.clone()?;
        for frame in frames {
            mac.update(frame);
        }
        Some(mac)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_signature_is_the_one_that_jupyter_client_makes() {
        // hmac.new(b"secret", b"{}" * 4, "sha256").hexdigest() in Python
        let frames = vec![Bytes::from_static(b"{}"); 4];
        insta::assert_snapshot!(String::from_utf8_lossy(&Signer::new(b"secret").sign(&frames)), @"34982f0bfec60e7b933ffde06c1ecab0fba073717a95ab943d1dd06f82c2d5e4");
    }

    #[test]
    fn another_key_another_frame_or_half_a_signature_do_not_verify() {
        let frames = vec![Bytes::from_static(b"{}"); 4];
        let signer = Signer::new(b"secret");
        let signature = signer.sign(&frames);
        assert!(signer.verify(&frames, &signature));
        assert!(!signer.verify(&frames[1..], &signature));
        assert!(!signer.verify(&frames, &signature[..32]));
        assert!(!signer.verify(&frames, b"not hexadecimal"));
        assert!(!signer.verify(&frames, b""));
        assert!(!Signer::new(b"Secret").verify(&frames, &signature));
    }

    #[test]
    fn without_a_key_nothing_is_signed_and_all_is_accepted() {
        let signer = Signer::new(b"");
        assert!(signer.sign(&[]).is_empty());
        assert!(signer.verify(&[], b"whatever"));
    }
}
