//! The two signatures that every webhook carries: pure functions over the bytes that are sent.

pub mod standard;
pub use hubbub_core::twilio_signature as twilio;
