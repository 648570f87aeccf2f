//! hubbub-workers

pub mod outbound;
pub mod signing;
