//! Messages as frames on a zeromq socket: routing identities, a delimiter, a signature, four JSON
//! dictionaries (header, parent header, metadata, content), and raw buffers.
//!
//! ```
//! use jupyter::wire::{Header, Message, Parent, Signer};
//!
//! let signer = Signer::new(b"secret");
//! let header = Header::new("m-1", "s-1", "kernel", "status", "2026-11-21T09:00:00.000000Z");
//! let message = Message::new(header, Parent::none(), serde_json::json!({"execution_state": "idle"}));
//! let back = Message::decode(message.encode(&signer), &signer)?;
//! assert_eq!(back, message);
//! # Ok::<(), jupyter::wire::WireError>(())
//! ```
//!
//! The kernel never trusts a frame: [`Message::decode`] answers any bytes with a message or a
//! [`WireError`], and looks at no JSON before the signature holds.

mod header;
mod message;
mod signer;

pub use header::{Header, Parent, VERSION};
pub use message::{Message, WireError};
pub use signer::Signer;
